//! One alert: its chart with the limit, what was sent, its route, rule and labels.

use super::alerts::series_of;
use super::explore;
use crate::tui::data::{AlertView, lines_of, state_word, without_rule};
use crate::tui::fmt;
use crate::tui::model::{Model, range_ms, range_name};
use crate::tui::theme::Role;
use crate::tui::widgets::chart::{Chart, Limit};
use crate::tui::widgets::{Pen, below, columns, indent, top, wrap};
use crate::wire::{DeliveryStatus, SendingStatus};
use ratatui::layout::Rect;

/// Draws the part below the list: summary, chart, and as many facts as there is room for.
pub(super) fn draw_preview(model: &Model, pen: &mut Pen<'_>, area: Rect, view: &AlertView) {
    let title = format!("{}  {}", view.name, view.place);
    pen.rule(area, 0, &title, range_name(model.alerts.range));
    let area = below(area, 1);
    let rows = if area.height >= 8 { 2 } else { 1 };
    let used = pen.paragraph(top(indent(area, 1), rows), &view.summary(), Role::Text);
    let area = below(area, used);
    let facts = if area.height >= 14 { 6 } else { 0 };
    let chart = top(area, area.height.saturating_sub(facts));
    draw_chart(model, pen, chart, view);
    draw_facts(model, pen, below(area, chart.height), view);
}

/// Draws the alert over the whole screen.
pub(super) fn draw(model: &Model, pen: &mut Pen<'_>, body: Rect) {
    let Some(view) = super::alerts::current(model) else {
        let text = "This alert is gone. esc goes back to the list.";
        super::draw_empty(pen, body, text, None);
        return;
    };
    draw_head(model, pen, body, view);
    let area = below(body, 2);
    let used = pen.paragraph(top(indent(area, 1), 2), &view.summary(), Role::Text);
    let area = below(area, used);
    let chart = top(area, (area.height / 2).min(16));
    draw_chart(model, pen, chart, view);
    draw_facts(model, pen, below(area, chart.height), view);
}

fn draw_head(model: &Model, pen: &mut Pen<'_>, body: Rect, view: &AlertView) {
    let path = format!(" Alerts > {} > {}", view.name, view.place);
    pen.put(body.x, body.y, body.width.saturating_sub(20), &path, Role::Title);
    let alerts: Vec<_> = model
        .alerts
        .rows
        .iter()
        .filter(|row| matches!(row, super::alerts::Row::Alert(..)))
        .collect();
    let all = model.server.alerts.value.as_ref();
    let at = alerts.iter().position(|row| match row {
        super::alerts::Row::Alert(index, _) => all
            .and_then(|all| all.rows.get(*index))
            .is_some_and(|one| one.row.fingerprint == view.row.fingerprint),
        super::alerts::Row::Group { .. } => false,
    });
    if let Some(at) = at {
        let text = format!("{} of {}  ] next ", at + 1, alerts.len());
        pen.put_right(body.right(), body.y, 20, &text, Role::Dim);
    }
    let zone = &model.look.zone;
    let since = view.since.map(|at| {
        let age = fmt::short_age(model.now().millis_since(at));
        format!(" {age}, since {}", fmt::clock_seconds(at, zone))
    });
    let acked = if view.is_acked() { ", acknowledged" } else { "" };
    let state = format!("{}{}{acked}", state_word(view.row.state), since.unwrap_or_default());
    let word = format!(" {} ", view.severity.word());
    let compared = format!("  {} {}", view.value, view.limit);
    pen.line(
        below(body, 1),
        0,
        &[(&word, view.severity.role()), (&state, Role::Text), (&compared, Role::Title)],
    );
}

fn draw_chart(model: &Model, pen: &mut Pen<'_>, area: Rect, view: &AlertView) {
    let preview = &model.alerts.preview;
    let (from, to) = explore::window(range_ms(model.alerts.range), model.alerts.end, model.now());
    let Some(series) = &preview.value else {
        let text = match view.row.expr.is_empty() {
            true => format!("Nothing to draw: {}.", without_rule(&view.row)),
            false => String::new(),
        };
        super::draw_empty(pen, area, &text, preview.error.as_deref());
        return;
    };
    let lines = lines_of(&series_of(&view.row.labels, series));
    if lines.is_empty() {
        super::draw_empty(pen, area, "No samples in this window. - looks further back.", None);
        return;
    }
    let limit = view.row.limit.as_ref().and_then(|limit| limit.value);
    let limit = limit.map(|value| Limit { value, text: view.limit.clone() });
    let fired =
        view.row.fired_at.map(|at| (at, format!("fired {}", fmt::clock(at, &model.look.zone))));
    let chart = Chart {
        lines: &lines,
        from,
        to,
        gap_ms: explore::gap_ms(from, to),
        unit: view.unit,
        limit,
        event: fired,
    };
    chart.draw(pen, indent(area, 1));
}

fn delivery(model: &Model, sent: &DeliveryStatus) -> String {
    let at = fmt::moment(sent.at, model.now(), &model.look.zone);
    let how = match &sent.error {
        None => "ok".to_owned(),
        Some(error) => format!("FAILED {}x: {error}", sent.attempts),
    };
    format!("{} ({}) {at} {how}", sent.receiver, sent.integration)
}

/// A notification that is on its way.
fn under_way(model: &Model, one: &SendingStatus) -> String {
    let clock = |at| fmt::clock_seconds(at, &model.look.zone);
    let to = format!("{} ({}) since {}", one.receiver, one.integration, clock(one.since));
    let Some(error) = &one.error else { return format!("{to}, no answer yet") };
    let next = match one.next_attempt.filter(|at| *at > model.now()) {
        Some(at) => format!("next {}", clock(at)),
        None => "tried again just now".to_owned(),
    };
    format!("{to} RETRY {}x, {next}: {error}   w has more", one.attempts)
}

/// Names and texts of what is known about an alert.
fn facts(model: &Model, view: &AlertView) -> Vec<(&'static str, String)> {
    let row = &view.row;
    let zone = &model.look.zone;
    let mut facts: Vec<(&str, String)> =
        row.deliveries.iter().map(|sent| ("notified", delivery(model, sent))).collect();
    if facts.is_empty() && row.sending.is_empty() && row.ack.is_none() {
        facts.push(("notified", view.notified(model.now())));
    }
    facts.extend(row.sending.iter().map(|one| ("sending", under_way(model, one))));
    if let Some(ack) = &row.ack {
        let at = fmt::moment(ack.at, model.now(), zone);
        let said = if ack.comment.is_empty() { "" } else { ": " };
        let text = format!("by {} {at}{said}{}   u takes it back", ack.by, ack.comment);
        facts.insert(0, ("acked", text));
    }
    if let Some(at) = row.next_flush.filter(|at| *at > model.now()) {
        facts.push(("next", format!("group is looked at {}", fmt::clock_seconds(at, zone))));
    }
    if !row.silenced_by.is_empty() {
        facts.push(("silenced", format!("by {}", row.silenced_by.join(", "))));
    }
    if !row.inhibited_by.is_empty() {
        facts.push(("inhibited", format!("by {}", row.inhibited_by.join(", "))));
    }
    if !row.route.is_empty() {
        facts.push(("route", row.route.clone()));
    }
    if !row.rule_group.is_empty() {
        let every = fmt::seconds(row.interval_seconds);
        let held = if row.for_seconds > 0.0 {
            format!("   for {}", fmt::seconds(row.for_seconds))
        } else {
            String::new()
        };
        let text = format!("{}, group {}, every {every}{held}", row.rule_file, row.rule_group);
        facts.push(("rule", text));
    }
    if !row.expr.is_empty() {
        facts.push(("expr", row.expr.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    let labels: Vec<_> = row.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    facts.push(("labels", labels.join(" ")));
    if let Some(link) = view.runbook() {
        facts.push(("runbook", link.to_owned()));
    }
    facts
}

fn draw_facts(model: &Model, pen: &mut Pen<'_>, area: Rect, view: &AlertView) {
    draw_pairs(pen, area, &facts(model, view));
}

/// Draws names and texts; a long text goes on below itself, the same name is written once.
pub(super) fn draw_pairs(pen: &mut Pen<'_>, area: Rect, pairs: &[(&str, String)]) {
    let left = pairs.iter().map(|(name, _)| columns(name)).max().unwrap_or(0).max(9) + 1;
    let mut row = 0;
    let mut before = "";
    for (name, text) in pairs {
        if *name != before {
            pen.put(area.x + 1, area.y + row.min(area.height), left, "", Role::Dim);
            if row < area.height {
                pen.put(area.x + 1, area.y + row, left, name, Role::Dim);
            }
        }
        before = name;
        let room = usize::from(area.width.saturating_sub(left + 2));
        let text = crate::model::printable(text);
        for line in wrap(text.as_str(), room.max(8)) {
            if row >= area.height {
                return;
            }
            pen.put(area.x + 1 + left, area.y + row, area.width, &line, Role::Text);
            row += 1;
        }
    }
}
