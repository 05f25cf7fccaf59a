//! Silences: which act, until when, on what, and who made them.

use super::detail::draw_pairs;
use crate::model::{Labels, MatchOp, Matcher, Timestamp};
use crate::tui::data::AlertView;
use crate::tui::fmt;
use crate::tui::model::{About, Confirm, Model, Overlay};
use crate::tui::theme::Role;
use crate::tui::widgets::table::{Column, Field, Table};
use crate::tui::widgets::{Pen, below, top};
use crate::wire::{MatcherForm, RECURS, SilenceForm, UNTIL_RESOLVED};
use ratatui::layout::Rect;

/// A silence that ends sooner than this while its alerts go on is marked.
const SOON_MS: i64 = 10 * 60_000;

/// Silences that pass the filter, as the server orders them: active first, by end.
pub(super) fn rows(model: &Model) -> Vec<&SilenceForm> {
    let all = model.server.silences.value.as_deref().unwrap_or_default();
    let passes = |one: &&SilenceForm| {
        let text = format!("{} {} {} {}", one.status.state, one.created_by, one.comment, one.id);
        model.silences.passes(&format!("{text} {}", matchers_text(&one.matchers)))
    };
    all.iter().filter(passes).collect()
}

/// The selected silence.
pub(super) fn current(model: &Model) -> Option<&SilenceForm> {
    let rows = rows(model);
    rows.get(model.silences.selected.min(rows.len().saturating_sub(1))).copied()
}

/// `a="b", c=~"d"`.
pub(super) fn matchers_text(forms: &[MatcherForm]) -> String {
    forms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Whether matchers hold for an alert; one that cannot be compiled holds for none.
pub(super) fn covers(forms: &[MatcherForm], labels: &Labels) -> bool {
    forms.iter().all(|form| {
        let op = match (form.is_equal, form.is_regex) {
            (true, false) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Regex,
            (false, true) => MatchOp::NotRegex,
        };
        Matcher::of_alerts(form.name.as_str(), op, form.value.as_str())
            .is_ok_and(|matcher| matcher.matches(labels))
    })
}

/// Alerts that go on and that matchers hold for.
pub(super) fn reach<'a>(model: &'a Model, forms: &[MatcherForm]) -> Vec<&'a AlertView> {
    let alerts = model.server.alerts.value.iter().flat_map(|alerts| &alerts.rows);
    let live = alerts.filter(|view| view.row.state != crate::wire::AlertState::Resolved);
    live.filter(|view| covers(forms, &view.row.labels)).collect()
}

/// The silence as a command for Alertmanager's tool.
pub(super) fn amtool(silence: &SilenceForm) -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let matchers: Vec<_> = silence.matchers.iter().map(|one| quote(&one.to_string())).collect();
    format!(
        "amtool silence add --author {} --comment {} --start {} --end {} {}",
        quote(&silence.created_by),
        quote(&silence.comment),
        crate::wire::rfc3339(silence.starts_at),
        crate::wire::rfc3339(silence.ends_at),
        matchers.join(" ")
    )
}

/// Asks whether the selected silence should end.
pub(super) fn ask_expire(model: &mut Model) {
    let Some(silence) = current(model) else { return };
    if silence.status.state == "expired" {
        model.complain("this silence has ended already");
        return;
    }
    let count = reach(model, &silence.matchers).len();
    let id = silence.id.clone();
    let comment = crate::tui::widgets::cut(&silence.comment, 22);
    let notify = if count == 1 { "alert notifies" } else { "alerts notify" };
    let question = format!("End \"{comment}\" now? {count} {notify} again.  y: end   n: back");
    model.overlays.push(Overlay::Confirm(Confirm { question, about: About::Expire(id) }));
}

const COLUMNS: [Column; 7] = [
    Column::new(" ", 1),
    Column::new("STATE", 7),
    Column::new("ENDS", 12),
    Column::new("MATCHES", 9),
    Column::new("WHO", 8),
    Column::new("COMMENT", 0),
    Column::new("ID", 8),
];

/// Draws Silences.
pub(super) fn draw(model: &Model, pen: &mut Pen<'_>, body: Rect) {
    let Some(all) = &model.server.silences.value else {
        super::draw_empty(pen, body, "asking ...", model.server.silences.error.as_deref());
        return;
    };
    let count = |state: &str| all.iter().filter(|one| one.status.state == state).count();
    let text = format!(
        " active {}   pending {}   expired {}",
        count("active"),
        count("pending"),
        count("expired")
    );
    pen.put(body.x, body.y, body.width * 2 / 3, &text, Role::Dim);
    model.silences.draw_filter(pen, body);
    let area = below(body, 1);
    let rows = rows(model);
    if rows.is_empty() {
        let text = if all.is_empty() {
            "There are no silences. A makes one; s on an alert makes one for it."
        } else {
            "No silence matches the filter. esc drops it."
        };
        super::draw_empty(pen, below(area, 1), text, None);
        return;
    }
    let list = top(area, area.height * 3 / 5);
    let selected = model.silences.selected.min(rows.len() - 1);
    let table = Table { columns: &COLUMNS, count: rows.len(), selected, focused: true };
    table
        .draw(pen, list, |place| rows.get(place).map(|one| fields(model, one)).unwrap_or_default());
    if let Some(silence) = rows.get(selected) {
        draw_detail(model, pen, below(area, list.height), silence);
    }
}

/// Whether it goes on as long as what it silences.
fn lasts_with_alerts(silence: &SilenceForm) -> bool {
    let (name, value) = UNTIL_RESOLVED;
    silence.annotations.get(name) == Some(value)
}

fn ends(model: &Model, silence: &SilenceForm) -> String {
    let now = model.now();
    let left = silence.ends_at.millis_since(now);
    match silence.status.state.as_str() {
        "pending" => format!("from {}", fmt::moment(silence.starts_at, now, &model.look.zone)),
        "expired" => format!("{} ago", fmt::age(-left)),
        _ if lasts_with_alerts(silence) => "with alerts".to_owned(),
        _ if left < SOON_MS && !reach(model, &silence.matchers).is_empty() => {
            format!("in {} !", fmt::age(left))
        }
        _ => format!("in {}", fmt::age(left)),
    }
}

fn fields(model: &Model, silence: &SilenceForm) -> Vec<Field> {
    let (mark, role) = match silence.status.state.as_str() {
        "active" => ("z", Role::Text),
        "pending" => (".", Role::Pending),
        _ => ("x", Role::Dim),
    };
    let matches = match reach(model, &silence.matchers).len() {
        0 => "none".to_owned(),
        1 => "1 alert".to_owned(),
        count => format!("{count} alerts"),
    };
    vec![
        (mark.to_owned(), role),
        (silence.status.state.clone(), role),
        (ends(model, silence), role),
        (matches, role),
        (silence.created_by.clone(), role),
        (silence.comment.clone(), role),
        (silence.id.chars().take(8).collect(), Role::Dim),
    ]
}

fn draw_detail(model: &Model, pen: &mut Pen<'_>, area: Rect, silence: &SilenceForm) {
    let by = format!("by {}", silence.created_by);
    let short: String = silence.id.chars().take(8).collect();
    pen.rule(area, 0, &short, &by);
    let at = |ts: Timestamp| fmt::moment(ts, model.now(), &model.look.zone);
    let length = fmt::age(silence.ends_at.millis_since(silence.starts_at));
    let reached: Vec<_> = reach(model, &silence.matchers)
        .iter()
        .map(|view| format!("{} {}", view.name, view.place))
        .collect();
    let reached = if reached.is_empty() { "nothing".to_owned() } else { reached.join("   ") };
    let mut time = format!("{} to {} ({length})", at(silence.starts_at), at(silence.ends_at));
    if lasts_with_alerts(silence) {
        time.push_str(", longer while its alerts fire, 24h at most");
    }
    if let Some(interval) = silence.annotations.get(RECURS) {
        time.push_str(&format!(", only within time interval {interval:?}"));
    }
    let pairs = [
        ("matchers", matchers_text(&silence.matchers)),
        ("time", time),
        ("comment", silence.comment.clone()),
        ("reaches", reached),
        ("id", silence.id.clone()),
    ];
    draw_pairs(pen, below(area, 1), &pairs);
}
