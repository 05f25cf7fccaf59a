//! One line of Targets over the whole screen: all that the list cuts, and relabelling rule by rule.

use super::targets::{self, Row, RowKey};
use super::{body_of, lists};
use crate::model::{Labels, printable, relabel, value_text};
use crate::tui::data::Loadable;
use crate::tui::fmt;
use crate::tui::keys::Action;
use crate::tui::model::Model;
use crate::tui::source::{Request, Slot};
use crate::tui::theme::Role;
use crate::tui::update::{Effect, ask, ask_calmly};
use crate::tui::widgets::{Pen, below, cells, wrap};
use crate::wire::{RelabelSteps, TargetHealth};
use ratatui::layout::Rect;

/// Columns of the names at the left.
const NAMES: u16 = 12;
/// Rows above the part that scrolls.
const HEAD: u16 = 2;

/// What Targets remembers besides its list.
#[derive(Clone, Debug, Default)]
pub(crate) struct TargetState {
    /// Whether the list shows what relabelling dropped.
    pub(crate) shows_dropped: bool,
    /// The line that is open.
    pub(crate) open: Option<Open>,
}

/// A line that is open.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    /// Which.
    pub(crate) row: RowKey,
    /// Scrolled by so many lines.
    top: usize,
    steps: Loadable<RelabelSteps>,
}

/// Opens the selected line of the list.
pub(super) fn open(model: &mut Model) -> Vec<Effect> {
    let Some(row) = targets::current(model).map(Row::key) else { return Vec::new() };
    show(model, row)
}

fn show(model: &mut Model, row: RowKey) -> Vec<Effect> {
    let request = request(&row);
    model.target.open = Some(Open { row, top: 0, steps: Loadable::default() });
    request.map(|request| ask(model, Slot::Steps, request)).unwrap_or_default()
}

fn request(row: &RowKey) -> Option<Request> {
    let (job, labels) = row.relabelled()?;
    Some(Request::RelabelSteps { job: job.to_owned(), labels: labels.clone() })
}

/// Asks again for the rules of the line that is open: they may be others since a reload.
pub(crate) fn refresh(model: &mut Model) -> Vec<Effect> {
    let request = model.target.open.as_ref().and_then(|open| request(&open.row));
    request.map(|request| ask_calmly(model, Slot::Steps, request)).unwrap_or_default()
}

/// Takes the answer.
pub(crate) fn take(model: &mut Model, steps: Result<RelabelSteps, String>) {
    if let Some(open) = &mut model.target.open {
        open.steps.take(steps);
    }
}

/// Shows what relabelling dropped in the list, or hides it; the selected line stays.
pub(super) fn toggle_dropped(model: &mut Model) {
    let selected = targets::current(model).map(Row::key);
    model.target.shows_dropped = !model.target.shows_dropped;
    let rows = targets::rows(model);
    let place = rows.iter().position(|row| Some(row.key()) == selected);
    model.targets.selected = place.unwrap_or(0);
}

/// What a key does while a line is open.
pub(crate) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let room =
        usize::from(below(body_of(Rect::new(0, 0, model.size.0, model.size.1)), HEAD).height);
    let count = match &model.target.open {
        Some(open) => lines(model, open, model.size.0).len(),
        None => return Vec::new(),
    };
    let last = count.saturating_sub(room);
    let Some(open) = &mut model.target.open else { return Vec::new() };
    let at = open.top.min(last);
    let page = room.saturating_sub(1).max(1);
    match action {
        Action::Up => open.top = at.saturating_sub(1),
        Action::Down => open.top = (at + 1).min(last),
        Action::PageUp => open.top = at.saturating_sub(page),
        Action::PageDown => open.top = (at + page).min(last),
        Action::First => open.top = 0,
        Action::Last => open.top = last,
        Action::Back => model.target.open = None,
        Action::NextItem => return step(model, 1),
        Action::PreviousItem => return step(model, -1),
        other => return lists::act(model, other),
    }
    Vec::new()
}

/// Opens the next line of the list, or the one before.
fn step(model: &mut Model, by: isize) -> Vec<Effect> {
    let rows = targets::rows(model);
    let at = place(model, &rows).unwrap_or(model.targets.selected);
    let to = at.saturating_add_signed(by).min(rows.len().saturating_sub(1));
    let Some(row) = rows.get(to).map(|row| row.key()) else { return Vec::new() };
    if to == at {
        return Vec::new();
    }
    model.targets.selected = to;
    show(model, row)
}

/// Where the open line is in the list.
fn place(model: &Model, rows: &[Row<'_>]) -> Option<usize> {
    let open = model.target.open.as_ref()?;
    rows.iter().position(|row| row.key() == open.row)
}

/// Draws the line that is open.
pub(super) fn draw(model: &Model, pen: &mut Pen<'_>, body: Rect, open: &Open) {
    let Some(row) = targets::find(model, &open.row) else {
        let text = "This target is gone. esc goes back to the list.";
        super::draw_empty(pen, body, text, None);
        return;
    };
    let path = format!(" Targets > {} > {}", row.job(), row.name());
    pen.put(body.x, body.y, body.width.saturating_sub(20), &path, Role::Title);
    let rows = targets::rows(model);
    if let Some(at) = place(model, &rows) {
        let text = format!("{} of {}  ] next ", at + 1, rows.len());
        pen.put_right(body.right(), body.y, 20, &text, Role::Dim);
    }
    let (_, word, role) = row.state();
    pen.line(below(body, 1), 0, &[(&format!(" {word} "), role), (&told(model, row), Role::Text)]);
    let area = below(body, HEAD);
    let lines = lines(model, open, body.width);
    let room = usize::from(area.height);
    let top = open.top.min(lines.len().saturating_sub(room));
    if lines.len() > room {
        let end = (top + room).min(lines.len());
        let text = format!(" {}-{end} of {}  j k scroll ", top + 1, lines.len());
        pen.put_right(body.right(), body.y + 1, 30, &text, Role::Dim);
    }
    for (y, line) in lines.iter().skip(top).take(room).enumerate() {
        let y = area.y + cells(y);
        pen.put(area.x + 1, y, NAMES, &line.name, Role::Dim);
        pen.put(area.x + 1 + NAMES, y, area.width, &line.text, line.role);
    }
}

/// Since when it is so, and how the last scrape went.
fn told(model: &Model, row: Row<'_>) -> String {
    let Row::Target(target) = row else { return String::new() };
    let since = target.since.map(|at| fmt::moment(at, model.now(), &model.look.zone));
    let mut text = since.map_or_else(String::new, |at| format!(" since {at}"));
    if let Some(at) = target.last_scrape {
        let age = fmt::age_bound(model.now().millis_since(at)).0;
        let took = fmt::seconds(target.last_scrape_duration);
        text.push_str(&format!("   last {age} ago, took {took}"));
    }
    if target.health == TargetHealth::Up {
        text.push_str(&format!(", {} samples", fmt::count(target.samples)));
    }
    text
}

/// A line of the part that scrolls.
struct Line {
    name: String,
    text: String,
    role: Role,
}

/// Lines under construction.
struct Lines {
    room: usize,
    made: Vec<Line>,
}

impl Lines {
    /// Adds a text in as many lines as it takes; `name` stands before the first.
    fn add(&mut self, name: &str, text: &str, role: Role) {
        let mut name = name.to_owned();
        for text in wrap(printable(text).as_str(), self.room) {
            self.made.push(Line { name: std::mem::take(&mut name), text, role });
        }
    }

    fn labels(&mut self, name: &str, labels: &Labels) {
        if labels.is_empty() {
            self.add(name, "(no labels)", Role::Dim);
        }
        for (place, (label, value)) in labels.iter().enumerate() {
            let name = if place == 0 { name } else { "" };
            self.add(name, &format!("{label}={}", value_text::quoted(value)), Role::Text);
        }
    }
}

/// Everything about the line that is open, in lines for a screen of `width` columns.
fn lines(model: &Model, open: &Open, width: u16) -> Vec<Line> {
    let room = usize::from(width.saturating_sub(NAMES + 2)).max(8);
    let mut lines = Lines { room, made: Vec::new() };
    let Some(row) = targets::find(model, &open.row) else { return Vec::new() };
    let mut before = "";
    for (name, text) in targets::facts(model, row) {
        let role = if matches!(name, "last error" | "problem") { Role::Error } else { Role::Text };
        lines.add(if name == before { "" } else { name }, &text, role);
        before = name;
    }
    if let Some((_, labels)) = open.row.relabelled() {
        lines.add("", "", Role::Text);
        lines.labels("discovered", labels);
        lines.add("", "", Role::Text);
        let goes_on = steps(open, labels, &mut lines);
        match row {
            Row::Target(target) => lines.labels("labels", &target.labels),
            Row::Dropped(one) if goes_on => {
                let why = one.reason.as_deref().unwrap_or("dropped by relabelling");
                lines.add("not scraped", why, Role::Warn);
            }
            Row::Dropped(_) | Row::Problem { .. } => {}
        }
    }
    lines.made
}

/// Rule by rule what became of the labels; whether no rule dropped them.
fn steps(open: &Open, discovered: &Labels, lines: &mut Lines) -> bool {
    let Some(RelabelSteps { steps }) = &open.steps.value else {
        let error = open.steps.error.as_deref();
        lines.add("rules", error.unwrap_or("asking ..."), Role::Dim);
        return true;
    };
    if steps.is_empty() {
        lines.add("rules", "the job has no relabel_configs", Role::Dim);
    }
    let mut before = discovered;
    for (place, step) in steps.iter().enumerate() {
        lines.add(&format!("rule {}", place + 1), &step.rule.to_string(), Role::Title);
        if !step.keep {
            lines.add("", "DROPPED by this rule", Role::Warn);
            return false;
        }
        let changes = relabel::changes(before, &step.output);
        if changes.is_empty() {
            lines.add("", "= no change", Role::Dim);
        }
        for change in changes {
            lines.add("", &change.to_string(), Role::Text);
        }
        before = &step.output;
    }
    true
}
