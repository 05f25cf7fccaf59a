//! What happened to alerts, newest first: of one alert, or of all that a filter leaves.
//!
//! Rows come a page at a time: the next page is asked for when the selection reaches the last
//! row. New rows appear at the top while the window ends now. Below 100 columns the receiver and
//! the time that a notification took have no columns of their own; the line names the receiver
//! and the time first, and the pane below has all of the selected entry.

use super::{body_of, happened};
use crate::model::{Matcher, Timestamp, printable};
use crate::tui::filter;
use crate::tui::fmt;
use crate::tui::keys::Action;
use crate::tui::model::{Model, RANGES, range_name};
use crate::tui::options::ScreenName;
use crate::tui::source::{Part, Request, Slot};
use crate::tui::theme::Role;
use crate::tui::update::{self, Effect};
use crate::tui::widgets::prompt::Prompt;
use crate::tui::widgets::table::{Column, Field, Table};
use crate::tui::widgets::{Pen, below, cells, columns, top, wrap};
use crate::wire::{HistoryAnswer, HistoryRequest, HistoryRow};
use ratatui::layout::Rect;
use std::collections::BTreeSet;
use std::time::Duration;

/// Rows that are asked for at a time.
const PAGE: usize = 100;
/// Rows that are kept, of a few kilobytes each at most: beyond them a filter or a shorter time
/// finds things sooner than scrolling.
const ROWS_MAX: usize = 1_000;
/// New rows that are taken at a time; after more of them everything is asked again.
const NEWS_MAX: usize = 500;
/// Rows are written a little later than they happened: so far back new ones are looked for.
const LATE: Duration = Duration::from_secs(60);
/// Answers in a row that found less than a page before the end: the server looks through 100,000
/// rows for each, so a rare thing may be found in the next.
const ROUNDS_MAX: usize = 10;
/// The window at first: 7 days.
const RANGE: usize = 5;
/// From so many columns on the receiver and the time taken have columns.
const WIDE: u16 = 100;

/// The alert that the history is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    fingerprint: String,
    title: String,
}

/// What the filter says.
#[derive(Clone, Debug, Default)]
struct Question {
    matchers: Vec<Matcher>,
    kind: Option<String>,
}

impl Question {
    /// Reads an alert's name, matchers, and `kind:ack`.
    fn parse(text: &str) -> Result<Self, String> {
        let mut question = Self::default();
        for (place, word) in words(text).iter().enumerate() {
            if let Some(kind) = word.strip_prefix("kind:") {
                question.kind = Some(kind.to_owned());
                continue;
            }
            let matcher = match filter::matcher(word) {
                Some(matcher) => matcher.map_err(|err| format!("{word}: {err}"))?,
                None if place == 0 => Matcher::equal("alertname", word.as_str()),
                None => {
                    let wanted = "write name=value, or with =~ != !~, or kind:ack";
                    return Err(format!("{word:?} is no matcher; {wanted}"));
                }
            };
            question.matchers.push(matcher);
        }
        Ok(question)
    }
}

/// Words, between spaces that stand in no quotes.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        quoted ^= c == '"';
        match words.last_mut() {
            Some(word) if quoted || !c.is_whitespace() => word.push(c),
            _ => words.push(String::new()),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// What the history remembers.
#[derive(Clone, Debug)]
pub(crate) struct History {
    subject: Option<Subject>,
    /// The filter, as it is typed.
    pub(crate) filter: Prompt,
    /// Whether the filter is typed now.
    pub(crate) filtering: bool,
    /// The filter that is in force.
    question: Question,
    deliveries_alone: bool,
    range: usize,
    /// The end of the window; now when missing.
    end: Option<Timestamp>,
    /// Counts the questions: answers to older ones are not wanted.
    number: u64,
    /// The question whose newest rows were asked for last.
    asked: u64,
    /// Whether the newest rows of the question are here.
    loaded: bool,
    rows: Vec<HistoryRow>,
    /// Where older rows go on.
    cursor: Option<String>,
    /// Whether rows were dropped since there were too many.
    full: bool,
    /// Answers in a row that held less than a page.
    rounds: usize,
    error: Option<String>,
    /// Until when new rows are known, and until when once the open question is answered.
    known_to: Timestamp,
    asked_to: Timestamp,
    /// The selected row; the newest when missing.
    selected: Option<i64>,
    /// The selected row fills the screen, scrolled by so many lines.
    pub(crate) open: Option<usize>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            subject: None,
            filter: Prompt::default(),
            filtering: false,
            question: Question::default(),
            deliveries_alone: false,
            range: RANGE,
            end: None,
            number: 1,
            asked: 0,
            loaded: false,
            rows: Vec::new(),
            cursor: None,
            full: false,
            rounds: 0,
            error: None,
            known_to: Timestamp::EPOCH,
            asked_to: Timestamp::EPOCH,
            selected: None,
            open: None,
        }
    }
}

impl History {
    /// The length of the window; beyond the last zoom level it is all that is kept.
    fn length_ms(&self) -> Option<i64> {
        RANGES.get(self.range).map(|(_, length)| *length)
    }

    fn range_name(&self) -> &'static str {
        if self.range < RANGES.len() { range_name(self.range) } else { "all time" }
    }

    fn request(&self, now: Timestamp) -> HistoryRequest {
        let end = self.end.unwrap_or(now);
        let kind = self.deliveries_alone.then(|| "notified".to_owned());
        HistoryRequest {
            matchers: self.question.matchers.clone(),
            start: self.length_ms().map(|length| end.plus_millis(-length)),
            end: self.end,
            kind: kind.or_else(|| self.question.kind.clone()),
            fingerprint: self.subject.as_ref().map(|one| one.fingerprint.clone()),
            limit: PAGE,
            cursor: None,
        }
    }

    /// The place of the selected row.
    fn place(&self) -> usize {
        let found = self.rows.iter().position(|row| Some(row.id) == self.selected);
        found.unwrap_or(0)
    }

    fn current(&self) -> Option<&HistoryRow> {
        self.rows.get(self.place())
    }

    /// Forgets what was asked before.
    fn reset(&mut self) {
        self.number += 1;
        self.loaded = false;
        self.rows.clear();
        self.cursor = None;
        self.full = false;
        self.rounds = 0;
        self.error = None;
        self.selected = None;
        self.open = None;
    }

    /// Puts rows that are new where they belong.
    fn merge(&mut self, rows: Vec<HistoryRow>) {
        let known: BTreeSet<i64> = self.rows.iter().map(|row| row.id).collect();
        self.rows.extend(rows.into_iter().filter(|row| !known.contains(&row.id)));
        self.rows.sort_by_key(|row| std::cmp::Reverse((row.at, row.id)));
        if self.rows.len() > ROWS_MAX {
            self.rows.truncate(ROWS_MAX);
            self.cursor = None;
            self.full = true;
        }
    }
}

/// Shows the history of one alert, or of all.
pub(crate) fn show(model: &mut Model, subject: Option<Subject>) -> Vec<Effect> {
    if model.history.subject != subject {
        model.history.subject = subject;
        model.history.reset();
    }
    update::go(model, ScreenName::History)
}

/// Shows the history of the current alert; its notifications alone if so wanted.
pub(super) fn show_current(model: &mut Model, deliveries_alone: bool) -> Vec<Effect> {
    let Some(view) = super::alerts::current(model) else { return Vec::new() };
    let title = format!("{} {}", view.name, view.place);
    let subject = Subject { fingerprint: view.row.fingerprint.clone(), title };
    if model.history.deliveries_alone != deliveries_alone {
        model.history.deliveries_alone = deliveries_alone;
        model.history.reset();
    }
    show(model, Some(subject))
}

/// Shows the history of all alerts with this filter.
pub(super) fn show_filtered(model: &mut Model, filter: &str) -> Vec<Effect> {
    let history = &mut model.history;
    history.filter = Prompt::new(filter);
    history.subject = None;
    history.reset();
    match Question::parse(filter) {
        Ok(question) => history.question = question,
        Err(problem) => {
            history.filtering = true;
            model.complain(problem);
        }
    }
    update::go(model, ScreenName::History)
}

/// Asks for what is missing: the newest rows at first, then those that are new since.
pub(crate) fn refresh(model: &mut Model) -> Vec<Effect> {
    let now = model.now();
    let history = &mut model.history;
    if !history.loaded {
        let waits = model.requests.waiting_since(Slot::History).is_some();
        return if waits && history.asked == history.number { Vec::new() } else { newest(model) };
    }
    if history.end.is_some() {
        return Vec::new();
    }
    let mut request = history.request(now);
    request.start = request.start.max(Some(history.known_to.minus(LATE)));
    request.limit = NEWS_MAX;
    history.asked_to = now;
    let number = history.number;
    update::ask_calmly(model, Slot::News, Request::History { number, part: Part::News, request })
}

fn newest(model: &mut Model) -> Vec<Effect> {
    let now = model.now();
    let history = &mut model.history;
    history.known_to = now;
    history.asked_to = now;
    history.asked = history.number;
    let (number, request) = (history.number, history.request(now));
    let request = Request::History { number, part: Part::Newest, request };
    let mut effects = update::ask(model, Slot::History, request);
    // They are named by what silences said.
    effects.extend(update::ask_calmly(model, Slot::Silences, Request::Silences));
    effects
}

/// Asks again with another question.
fn restart(model: &mut Model) -> Vec<Effect> {
    model.history.reset();
    newest(model)
}

/// Asks for older rows, if there are any and nothing is asked yet.
fn older(model: &mut Model) -> Vec<Effect> {
    let now = model.now();
    let history = &model.history;
    if history.cursor.is_none() || model.requests.waiting_since(Slot::History).is_some() {
        return Vec::new();
    }
    let mut request = history.request(now);
    request.cursor.clone_from(&history.cursor);
    let number = history.number;
    update::ask(model, Slot::History, Request::History { number, part: Part::Older, request })
}

/// Takes an answer.
pub(crate) fn take(
    model: &mut Model,
    number: u64,
    part: Part,
    answer: HistoryAnswer,
) -> Vec<Effect> {
    let history = &mut model.history;
    if number != history.number {
        return Vec::new();
    }
    let HistoryAnswer { rows, cursor } = answer;
    history.error = None;
    let is_short = rows.len() < PAGE;
    match part {
        Part::News if cursor.is_some() => return restart(model),
        Part::News => {
            history.known_to = history.asked_to;
            history.merge(rows);
            return Vec::new();
        }
        Part::Newest => {
            history.loaded = true;
            history.rows = rows;
            history.cursor = cursor;
        }
        Part::Older => {
            history.cursor = cursor;
            history.merge(rows);
        }
    }
    if is_short && history.cursor.is_some() && history.rounds < ROUNDS_MAX {
        history.rounds += 1;
        return older(model);
    }
    Vec::new()
}

/// Takes the reason why there is no answer.
pub(crate) fn fail(model: &mut Model, text: String) {
    model.history.error = Some(text);
}

/// What a key does on the history.
pub(crate) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    if model.history.open.is_some() {
        return act_open(model, action);
    }
    let now = model.now();
    let history = &mut model.history;
    match action {
        Action::Open => open(history),
        Action::Back => return back(model),
        Action::Filter => history.filtering = true,
        Action::Save => return apply(model),
        Action::Deliveries => {
            history.deliveries_alone = !history.deliveries_alone;
            return restart(model);
        }
        Action::History => return show(model, None),
        Action::ZoomIn | Action::ZoomOut => {
            let to = if action == Action::ZoomIn {
                history.range.saturating_sub(1)
            } else {
                (history.range + 1).min(RANGES.len())
            };
            if to != history.range {
                history.range = to;
                return restart(model);
            }
        }
        Action::PanLeft | Action::PanRight | Action::Live => {
            let Some(length) = history.length_ms() else { return Vec::new() };
            let end = super::explore::panned(action, history.end, length, now);
            if end != history.end {
                history.end = end;
                return restart(model);
            }
        }
        Action::Copy => return copy(model),
        _ => return move_selection(model, action),
    }
    Vec::new()
}

/// Lets the selected entry fill the screen; it stays the same when others come before it.
fn open(history: &mut History) {
    history.selected = history.current().map(|row| row.id);
    history.open = history.selected.map(|_| 0);
}

fn copy(model: &mut Model) -> Vec<Effect> {
    let text = model.history.current().and_then(|row| serde_json::to_string(row).ok());
    super::alerts::copy(model, text)
}

/// Out of the filter, then back to where one alert's history was asked for.
fn back(model: &mut Model) -> Vec<Effect> {
    let history = &mut model.history;
    if history.filtering || !history.filter.text().is_empty() {
        history.filtering = false;
        history.filter = Prompt::default();
        return apply(model);
    }
    if is_of_one(model) { update::go_back(model) } else { Vec::new() }
}

/// Whether there is a level above: that of the alert whose history is shown.
pub(crate) fn is_of_one(model: &Model) -> bool {
    model.screen == ScreenName::History && model.history.subject.is_some()
}

/// Asks with the filter that was typed, unless it cannot be read.
fn apply(model: &mut Model) -> Vec<Effect> {
    match Question::parse(&model.history.filter.text()) {
        Ok(question) => {
            model.history.filtering = false;
            model.history.question = question;
            restart(model)
        }
        Err(problem) => {
            model.history.filtering = true;
            model.complain(problem);
            Vec::new()
        }
    }
}

/// Goes to another row, and asks for older ones at the end.
fn move_selection(model: &mut Model, action: Action) -> Vec<Effect> {
    let page = usize::from(model.size.1 / 2).max(1);
    let history = &mut model.history;
    let (at, last) = (history.place(), history.rows.len().saturating_sub(1));
    let to = match action {
        Action::Up | Action::PreviousItem => at.saturating_sub(1),
        Action::Down | Action::NextItem => (at + 1).min(last),
        Action::PageUp => at.saturating_sub(page),
        Action::PageDown => (at + page).min(last),
        Action::First => 0,
        Action::Last => last,
        _ => return Vec::new(),
    };
    // The newest row stays selected while others come before it.
    history.selected = history.rows.get(to).filter(|_| to > 0).map(|row| row.id);
    if to < last {
        return Vec::new();
    }
    if history.full || history.rows.len() >= ROWS_MAX {
        model.say(format!("no more than {ROWS_MAX} entries are listed: / filters, + shortens"));
        return Vec::new();
    }
    history.rounds = 0;
    older(model)
}

/// What a key does while an entry fills the screen.
fn act_open(model: &mut Model, action: Action) -> Vec<Effect> {
    let body = body_of(Rect::new(0, 0, model.size.0, model.size.1));
    let room = usize::from(below(body, 1).height);
    let count = model.history.current().map_or(0, |row| lines(model, row, body.width).len());
    let last = count.saturating_sub(room);
    let at = model.history.open.unwrap_or(0).min(last);
    let page = room.saturating_sub(1).max(1);
    let to = match action {
        Action::Up => at.saturating_sub(1),
        Action::Down => (at + 1).min(last),
        Action::PageUp => at.saturating_sub(page),
        Action::PageDown => (at + page).min(last),
        Action::First => 0,
        Action::Last => last,
        Action::Back => {
            model.history.open = None;
            return Vec::new();
        }
        Action::NextItem | Action::PreviousItem => {
            let effects = move_selection(model, action);
            open(&mut model.history);
            return effects;
        }
        Action::Copy => return copy(model),
        _ => at,
    };
    model.history.open = Some(to);
    Vec::new()
}

/// The columns of the list. Of one alert the name is in the title: its column goes to what
/// happened.
fn columns_of(of_one: bool, wide: bool) -> Vec<Column> {
    let mut columns = vec![Column::new(" ", 1), Column::new("TIME", 12), Column::new("WHAT", 9)];
    if !of_one {
        columns.push(Column::new("ALERT / WHERE", if wide { 0 } else { 22 }));
    }
    columns.extend([
        Column::new("RECEIVER", 14).from(WIDE),
        Column::new("TOOK", 7).right().from(WIDE),
        Column::new("HOW", 0),
    ]);
    columns
}

/// Draws the history.
pub(super) fn draw(model: &Model, pen: &mut Pen<'_>, body: Rect) {
    let history = &model.history;
    if let (Some(scrolled), Some(row)) = (history.open, history.current()) {
        draw_open(model, pen, body, row, scrolled);
        return;
    }
    draw_summary(model, pen, body);
    let area = below(body, 1);
    if history.rows.is_empty() {
        draw_none(model, pen, below(area, 1));
        return;
    }
    let list = top(area, area.height * 3 / 5);
    let (count, selected) = (history.rows.len(), history.place());
    let wide = body.width >= WIDE;
    let columns = columns_of(history.subject.is_some(), wide);
    let table = Table { columns: &columns, count, selected, focused: true };
    table.draw(pen, list, |place| match history.rows.get(place) {
        Some(row) => fields(model, row, wide),
        None => Vec::new(),
    });
    if let Some(row) = history.rows.get(selected) {
        let pane = below(area, list.height);
        let lines = lines(model, row, pane.width);
        let cut = lines.len() > usize::from(pane.height.saturating_sub(1));
        let more = if cut { "enter: the rest" } else { "enter: whole screen" };
        let dropped = if wide { "" } else { "no RECEIVER, TOOK below 100 columns   " };
        pen.rule(pane, 0, happened::kind(row).1, &format!("{dropped}{more}"));
        draw_lines(pen, below(pane, 1), &lines, 0);
    }
}

fn fields(model: &Model, row: &HistoryRow, wide: bool) -> Vec<Field> {
    let (mark, word, role) = happened::kind(row);
    let zone = &model.look.zone;
    let time = if fmt::date(row.at, zone) == fmt::date(model.now(), zone) {
        fmt::clock_seconds(row.at, zone)
    } else {
        fmt::moment(row.at, model.now(), zone)
    };
    let mut fields = vec![(mark.to_owned(), role), (time, Role::Dim), (word.to_owned(), role)];
    if model.history.subject.is_none() {
        fields.push((happened::subject(model, row), Role::Text));
    }
    let receiver = if row.kind == "notified" { happened::receiver(row) } else { "" };
    fields.push((receiver.to_owned(), Role::Text));
    fields.push((happened::took(row), Role::Dim));
    let how = if role == Role::Error { Role::Error } else { Role::Text };
    fields.push((happened::line(model, row, !wide), how));
    fields
}

fn draw_summary(model: &Model, pen: &mut Pen<'_>, body: Rect) {
    let history = &model.history;
    let title = match &history.subject {
        Some(subject) => format!(" History of {}", subject.title),
        None => " History of all alerts".to_owned(),
    };
    let mut x = pen.put(body.x, body.y, body.width / 2, &title, Role::Title);
    let window = match history.end {
        None => format!("   {}", history.range_name()),
        Some(end) => {
            let end = fmt::moment(end, model.now(), &model.look.zone);
            format!("   {} to {end}", history.range_name())
        }
    };
    x = pen.put(x, body.y, body.width, &window, Role::Dim);
    if history.deliveries_alone {
        x = pen.put(x, body.y, body.width, "   sent alone", Role::Dim);
    }
    if history.filtering || !history.filter.text().is_empty() {
        x = pen.put(x, body.y, body.width, "   filter ", Role::Dim);
        let width = body.right().saturating_sub(x).min(40);
        let room = Rect { x, y: body.y, width, height: 1 };
        history.filter.draw(pen, room, history.filtering);
        if history.filtering {
            return;
        }
    }
    let count = history.rows.len();
    let waits = model.requests.waiting_since(Slot::History).is_some();
    let (text, role) = match (&history.error, waits, history.full, &history.cursor) {
        (Some(_), ..) if count > 0 => (format!("{count}, no answer: R "), Role::Error),
        (_, true, ..) => (format!("{count}, asking ... "), Role::Dim),
        (_, _, true, _) => (format!("the newest {count} "), Role::Dim),
        (_, _, _, Some(_)) => (format!("{count}, older: G "), Role::Dim),
        (_, _, _, None) => (format!("{count} in all "), Role::Dim),
    };
    let width = columns(&text);
    if x + width < body.right() {
        pen.put_right(body.right(), body.y, width, &text, role);
    }
}

/// An empty list says why, and what to do.
fn draw_none(model: &Model, pen: &mut Pen<'_>, area: Rect) {
    let history = &model.history;
    if let Some(error) = &history.error {
        let what = if model.is_foreign() {
            "n/a: only a watchbell server keeps a history. esc or 2 goes back to the alerts."
                .to_owned()
        } else {
            format!("{error}. R asks again.")
        };
        super::draw_empty(pen, area, &what, Some(&what));
        return;
    }
    if !history.loaded {
        super::draw_empty(pen, area, "asking ... R asks again, + for a shorter time.", None);
        return;
    }
    let what = match (&history.subject, history.deliveries_alone) {
        (_, true) => "No notification was sent",
        (Some(_), false) => "Nothing happened to this alert",
        (None, false) => "Nothing happened",
    };
    let within = match (history.length_ms(), history.end) {
        (None, _) => "in all that is kept".to_owned(),
        (Some(_), None) => format!("in the last {}", history.range_name()),
        (Some(_), Some(_)) => "in this window".to_owned(),
    };
    let next = if history.cursor.is_some() {
        "The newest entries hold none: G looks further back"
    } else if !history.filter.text().is_empty() {
        "esc drops the filter, - looks further back"
    } else if history.deliveries_alone {
        "D shows everything, - looks further back"
    } else if history.end.is_some() {
        "0 goes back to now, - takes a longer time"
    } else if history.length_ms().is_some() {
        "- looks further back"
    } else {
        "Entries come when an alert fires; watchbell alerts tail prints them too"
    };
    super::draw_empty(pen, area, &format!("{what} {within}. {next}."), None);
}

/// A line of one entry: the name of a fact before its first.
type Line = (String, String);

/// All of an entry, in lines for `width` columns.
fn lines(model: &Model, row: &HistoryRow, width: u16) -> Vec<Line> {
    let facts = happened::facts(model, row);
    let room = usize::from(width.saturating_sub(NAMES + 2)).max(8);
    let mut lines = Vec::new();
    for (name, text) in facts {
        let mut name = name;
        for text in wrap(printable(&text).as_str(), room) {
            lines.push((std::mem::take(&mut name), text));
        }
    }
    lines
}

/// Columns of the names.
const NAMES: u16 = 13;

fn draw_lines(pen: &mut Pen<'_>, area: Rect, lines: &[Line], scrolled: usize) {
    let room = usize::from(area.height);
    for (row, (name, text)) in lines.iter().skip(scrolled).take(room).enumerate() {
        let y = area.y + cells(row);
        pen.put(area.x + 1, y, NAMES, name, Role::Dim);
        pen.put(area.x + 1 + NAMES, y, area.width, text, Role::Text);
    }
}

fn draw_open(model: &Model, pen: &mut Pen<'_>, body: Rect, row: &HistoryRow, scrolled: usize) {
    let title = format!(" History > {} > {}", happened::subject(model, row), happened::kind(row).1);
    pen.put(body.x, body.y, body.width.saturating_sub(24), &title, Role::Title);
    let text = format!("{} of {}  ] older ", model.history.place() + 1, model.history.rows.len());
    pen.put_right(body.right(), body.y, 24, &text, Role::Dim);
    let area = below(body, 1);
    let lines = lines(model, row, area.width);
    let last = lines.len().saturating_sub(usize::from(area.height));
    draw_lines(pen, area, &lines, scrolled.min(last));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_name_matchers_and_a_kind() {
        let found = |text: &str| {
            let question = Question::parse(text)?;
            let matchers: Vec<_> = question.matchers.iter().map(ToString::to_string).collect();
            Ok::<_, String>((matchers.join(","), question.kind.unwrap_or_default()))
        };
        for (text, matchers, kind) in [
            ("", "", ""),
            ("DiskFull", "alertname=\"DiskFull\"", ""),
            ("DiskFull team!=web", "alertname=\"DiskFull\",team!=\"web\"", ""),
            ("kind:ack job=~\"a b|c\"", "job=~\"a b|c\"", "ack"),
        ] {
            let expected = Ok((matchers.to_owned(), kind.to_owned()));
            assert_eq!(found(text), expected, "{text}");
        }
        assert!(found("DiskFull web").is_err_and(|text| text.contains("name=value")));
        assert!(found("job=~(").is_err_and(|text| text.starts_with("job=~(:")));
    }
}
