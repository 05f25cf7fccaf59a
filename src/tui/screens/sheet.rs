//! The sheet that makes a silence; its defaults are right for the alert it was opened from.

use super::silences::{covers, reach};
use crate::model::Annotations;
use crate::tui::data::AlertView;
use crate::tui::fmt;
use crate::tui::keys::{Action, Key};
use crate::tui::model::{About, Confirm, Model, Overlay};
use crate::tui::source::{Request, Slot};
use crate::tui::theme::Role;
use crate::tui::update::{self, Effect};
use crate::tui::widgets::prompt::Prompt;
use crate::tui::widgets::{Pen, below, cells, top};
use crate::wire::{MatcherForm, PostableSilence, UNTIL_RESOLVED};
use ratatui::layout::Rect;
use std::collections::BTreeSet;

/// Lengths to choose from, in minutes, with their names; the last is as long as the alerts fire,
/// and is that long at least.
const LENGTHS: [(&str, i64); 7] = [
    ("30m", 30),
    ("1h", 60),
    ("2h", 120),
    ("4h", 240),
    ("8h", 480),
    ("24h", 1440),
    ("until resolved", 5),
];

/// A silence that reaches more alerts asks first.
const REACH_MAX: usize = 20;

/// A matcher that may be left out.
#[derive(Clone, Debug)]
struct Choice {
    used: bool,
    form: MatcherForm,
}

/// A silence in the making.
#[derive(Clone, Debug)]
pub(crate) struct Sheet {
    choices: Vec<Choice>,
    /// A matcher that is typed.
    more: Prompt,
    length: usize,
    /// How many lengths there are: only watchbell knows the last.
    lengths: usize,
    comment: Prompt,
    author: String,
    /// The field with the cursor: the choices, then more, length, comment.
    field: usize,
}

/// The fields below the matchers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Choice(usize),
    More,
    Length,
    Comment,
}

impl Sheet {
    fn field(&self) -> Field {
        match self.field.checked_sub(self.choices.len()) {
            None => Field::Choice(self.field),
            Some(0) => Field::More,
            Some(1) => Field::Length,
            Some(_) => Field::Comment,
        }
    }

    /// The line that is typed into now.
    pub(crate) fn typing(&mut self) -> Option<&mut Prompt> {
        match self.field() {
            Field::Choice(_) | Field::Length => None,
            Field::More => Some(&mut self.more),
            Field::Comment => Some(&mut self.comment),
        }
    }

    fn last_field(&self) -> usize {
        self.choices.len() + 2
    }

    /// Whether it lasts as long as its alerts fire.
    fn is_until_resolved(&self) -> bool {
        self.length == LENGTHS.len() - 1
    }

    fn matchers(&self) -> Vec<MatcherForm> {
        self.choices.iter().filter(|one| one.used).map(|one| one.form.clone()).collect()
    }
}

/// Reads `name="value"` with any of the four operators; quotes may be missing.
fn matcher_of(text: &str) -> Option<MatcherForm> {
    let at = text.find(['=', '!'])?;
    let (name, rest) = text.split_at_checked(at)?;
    let ops = [("=~", true, true), ("!~", true, false), ("!=", false, false), ("=", false, true)];
    let (is_regex, is_equal, value) = ops.into_iter().find_map(|(op, regex, equal)| {
        Some((regex, equal, rest.strip_prefix(op)?.trim().trim_matches('"').to_owned()))
    })?;
    let name = name.trim().to_owned();
    let known = !name.is_empty() && !value.is_empty();
    known.then_some(MatcherForm { name, value, is_regex, is_equal })
}

fn new_sheet(model: &Model, choices: Vec<Choice>) -> Sheet {
    let author = model.options.login.clone();
    let comment = format!("on it: {author} {}", fmt::clock(model.now(), &model.look.zone));
    let field = if choices.is_empty() { 0 } else { choices.len() + 1 };
    Sheet {
        choices,
        more: Prompt::default(),
        length: 2,
        lengths: LENGTHS.len() - usize::from(model.is_foreign()),
        comment: Prompt::new(&comment),
        author,
        field,
    }
}

/// Opens the sheet for an alert: `alertname` and the labels that tell it from its siblings are
/// used, the others can be. For its whole `group` it is `alertname` alone.
pub(crate) fn open_for(model: &mut Model, fingerprint: &str, group: bool) {
    let alerts = model.server.alerts.value.as_ref();
    let Some(view) = alerts.and_then(|alerts| alerts.get(fingerprint)) else { return };
    let siblings: Vec<&AlertView> = alerts
        .iter()
        .flat_map(|alerts| &alerts.rows)
        .filter(|other| other.name == view.name && other.row.fingerprint != view.row.fingerprint)
        .collect();
    let mut names: Vec<&str> = view.row.labels.iter().map(|(name, _)| name).collect();
    let known = ["alertname", "instance", "mountpoint", "device", "job"];
    names.sort_by_key(|name| known.iter().position(|known| known == name).unwrap_or(known.len()));
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut choices = Vec::new();
    for name in names {
        let value = view.row.labels.value_of(name);
        let tells: BTreeSet<&str> = siblings
            .iter()
            .filter(|other| other.row.labels.value_of(name) != value)
            .map(|other| other.row.fingerprint.as_str())
            .collect();
        let new = tells.difference(&told).count() > 0;
        let alone = siblings.is_empty() && name == "instance";
        let used = name == "alertname" || (!group && (new || alone));
        told.extend(tells);
        let form = MatcherForm {
            name: name.to_owned(),
            value: value.to_owned(),
            is_regex: false,
            is_equal: true,
        };
        choices.push(Choice { used, form });
    }
    choices.sort_by_key(|one| !one.used);
    let sheet = new_sheet(model, choices);
    model.overlays.push(Overlay::Sheet(Box::new(sheet)));
}

/// Opens the sheet without an alert.
pub(crate) fn open_empty(model: &mut Model) {
    let sheet = new_sheet(model, Vec::new());
    model.overlays.push(Overlay::Sheet(Box::new(sheet)));
}

/// What a key does on the sheet.
pub(crate) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(Overlay::Sheet(sheet)) = model.overlays.last_mut() else { return Vec::new() };
    let last = sheet.last_field();
    match action {
        Action::Down => sheet.field = (sheet.field + 1).min(last),
        Action::Up => sheet.field = sheet.field.saturating_sub(1),
        Action::NextPane => {
            sheet.field = match sheet.field() {
                Field::Choice(_) => sheet.choices.len(),
                Field::More | Field::Length => sheet.field + 1,
                Field::Comment => 0,
            };
        }
        Action::PreviousPane => {
            sheet.field = match sheet.field() {
                Field::Choice(_) => last,
                Field::More => 0,
                Field::Length | Field::Comment => sheet.field - 1,
            };
        }
        Action::Toggle => match sheet.field() {
            Field::Choice(place) => {
                if let Some(choice) = sheet.choices.get_mut(place) {
                    choice.used = !choice.used;
                }
            }
            Field::Length => {}
            Field::More => sheet.more.insert(" "),
            Field::Comment => sheet.comment.insert(" "),
        },
        Action::Save => return save(model),
        _ => {
            model.overlays.pop();
        }
    }
    Vec::new()
}

/// Keys of fields that are chosen, not typed: the length.
pub(crate) fn key(model: &mut Model, key: Key) -> Vec<Effect> {
    let Some(Overlay::Sheet(sheet)) = model.overlays.last_mut() else { return Vec::new() };
    match key {
        Key::Left => sheet.length = sheet.length.saturating_sub(1),
        Key::Right => sheet.length = (sheet.length + 1).min(sheet.lengths - 1),
        Key::Char(digit) => {
            let place = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
            if let Some(place) = place.and_then(|place| place.checked_sub(1)) {
                sheet.length = place.min(sheet.lengths - 1);
            }
        }
        Key::Ctrl(_)
        | Key::Enter
        | Key::Esc
        | Key::Tab
        | Key::BackTab
        | Key::Up
        | Key::Down
        | Key::Home
        | Key::End
        | Key::PageUp
        | Key::PageDown
        | Key::Backspace
        | Key::Delete => {}
    }
    Vec::new()
}

fn save(model: &mut Model) -> Vec<Effect> {
    let now = model.now();
    let Some(Overlay::Sheet(sheet)) = model.overlays.last_mut() else { return Vec::new() };
    let more = sheet.more.text();
    if !more.trim().is_empty() {
        let Some(form) = matcher_of(&more) else {
            model.complain(format!("{more:?} is no matcher; write name=value, or with =~ != !~"));
            return Vec::new();
        };
        sheet.choices.push(Choice { used: true, form });
        sheet.more = Prompt::default();
        sheet.field = sheet.choices.len();
        return Vec::new();
    }
    let matchers = sheet.matchers();
    if matchers.is_empty() {
        model.complain("a silence needs a matcher: without one it would hold back everything");
        return Vec::new();
    }
    let minutes = LENGTHS.get(sheet.length).map_or(120, |(_, minutes)| *minutes);
    let silence = PostableSilence {
        id: None,
        matchers,
        starts_at: now,
        ends_at: now.plus_millis(minutes * 60_000),
        created_by: sheet.author.clone(),
        comment: sheet.comment.text(),
        annotations: Annotations::from_pairs(sheet.is_until_resolved().then_some(UNTIL_RESOLVED)),
    };
    model.overlays.pop();
    let count = reach(model, &silence.matchers).len();
    if count > REACH_MAX {
        let question = format!("This silences {count} alerts at once.  y: do it   n: back");
        model.overlays.push(Overlay::Confirm(Confirm { question, about: About::Save(silence) }));
        return Vec::new();
    }
    update::ask(model, Slot::Write, Request::PostSilence(silence))
}

/// Draws the sheet over the list.
pub(super) fn draw(model: &Model, pen: &mut Pen<'_>, area: Rect, sheet: &Sheet) {
    let wanted = cells(sheet.choices.len()) + 10;
    let height = wanted.min(area.height.saturating_sub(3));
    let y = area.bottom().saturating_sub(height + 1);
    let area = Rect { y, height, ..area };
    pen.clear(area);
    let reached = reach(model, &sheet.matchers());
    let right = match reached.len() {
        1 => "1 alert now".to_owned(),
        count => format!("{count} alerts now"),
    };
    pen.rule(area, 0, "Silence", &right);
    let rest = 8;
    let room = area.height.saturating_sub(rest + 1);
    draw_choices(pen, top(below(area, 1), room), sheet);
    let shown = cells(sheet.choices.len()).min(room);
    let fields = below(area, 1 + shown);
    draw_fields(pen, fields, sheet);
    draw_reach(model, pen, below(fields, 5), sheet, &reached);
}

fn draw_choices(pen: &mut Pen<'_>, area: Rect, sheet: &Sheet) {
    pen.put(area.x + 3, area.y, 9, "matchers", Role::Dim);
    let selected = sheet.field.min(sheet.choices.len().saturating_sub(1));
    let shown = super::super::widgets::page(selected, sheet.choices.len(), area.height);
    for (place, y) in shown.zip(area.top()..area.bottom()) {
        let Some(choice) = sheet.choices.get(place) else { return };
        let check = if choice.used { "[x]" } else { "[ ]" };
        let text = super::silences::matchers_text(std::slice::from_ref(&choice.form));
        let role = if choice.used { Role::Text } else { Role::Dim };
        pen.put(area.x + 13, y, 3, check, role);
        pen.put(area.x + 17, y, area.width.saturating_sub(18), &text, role);
        if sheet.field() == Field::Choice(place) {
            let line = Rect { x: area.x + 12, y, width: area.width.saturating_sub(13), height: 1 };
            pen.shade(line, Role::Select);
        }
    }
}

fn draw_fields(pen: &mut Pen<'_>, area: Rect, sheet: &Sheet) {
    let field = sheet.field();
    let names = ["add", "for", "comment", "author"];
    for (name, y) in names.into_iter().zip(area.top()..area.bottom()) {
        pen.put(area.x + 3, y, 9, name, Role::Dim);
    }
    let line = |row: u16| Rect {
        x: area.x + 13,
        width: area.width.saturating_sub(14),
        ..top(below(area, row), 1)
    };
    if sheet.more.text().is_empty() && field != Field::More {
        pen.line(line(0), 0, &[("name=value, or with =~ != !~", Role::Dim)]);
    } else if line(0).height > 0 {
        sheet.more.draw(pen, line(0), field == Field::More);
    }
    let mut x = line(1).x;
    for ((place, (name, _)), digit) in LENGTHS.iter().take(sheet.lengths).enumerate().zip('1'..) {
        let here = place == sheet.length;
        let text = if here { format!("[{name}]") } else { format!("{digit} {name}") };
        let role = match (here, field == Field::Length) {
            (true, true) => Role::Select,
            (true, false) => Role::Title,
            (false, _) => Role::Dim,
        };
        if line(1).height > 0 {
            x = pen.put(x, line(1).y, area.right().saturating_sub(x), &text, role) + 2;
        }
    }
    if line(2).height > 0 {
        sheet.comment.draw(pen, line(2), field == Field::Comment);
    }
    pen.line(line(3), 0, &[(&sheet.author, Role::Text)]);
}

fn draw_reach(model: &Model, pen: &mut Pen<'_>, area: Rect, sheet: &Sheet, reached: &[&AlertView]) {
    let list = |views: &[&AlertView]| {
        let mut names: Vec<_> =
            views.iter().take(4).map(|view| format!("{} {}", view.name, view.place)).collect();
        if views.len() > 4 {
            names.push(format!("+{}", views.len() - 4));
        }
        if names.is_empty() { "nothing".to_owned() } else { names.join("   ") }
    };
    pen.line(area, 0, &[(" Reach       silences now: ", Role::Dim), (&list(reached), Role::Text)]);
    if sheet.is_until_resolved() {
        let text = "             ends a few minutes after they do, in 24h at the latest";
        pen.line(area, 2, &[(text, Role::Dim)]);
    }
    let matchers = sheet.matchers();
    let names: BTreeSet<&str> = reached.iter().map(|view| view.name.as_str()).collect();
    let alerts = model.server.alerts.value.iter().flat_map(|alerts| &alerts.rows);
    let missed: Vec<_> = alerts
        .filter(|view| names.contains(view.name.as_str()) && view.is_active())
        .filter(|view| !covers(&matchers, &view.row.labels))
        .collect();
    if !missed.is_empty() {
        let text = list(&missed);
        pen.line(area, 1, &[("             does not cover: ", Role::Dim), (&text, Role::Text)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_are_read_with_and_without_quotes() {
        for (text, expected) in [
            ("job=node", Some(("job", "node", false, true))),
            ("job=\"no de\"", Some(("job", "no de", false, true))),
            ("job =~ a.*", Some(("job", "a.*", true, true))),
            ("job!=x", Some(("job", "x", false, false))),
            ("job!~x", Some(("job", "x", true, false))),
            ("job", None),
            ("=x", None),
            ("job=", None),
        ] {
            let found = matcher_of(text);
            let found = found.as_ref().map(|form| {
                (form.name.as_str(), form.value.as_str(), form.is_regex, form.is_equal)
            });
            assert_eq!(found, expected, "{text}");
        }
    }
}
