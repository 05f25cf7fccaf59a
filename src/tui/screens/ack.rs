//! The sheet that acknowledges: who works on what is said in one line, and no repeats go out.

use super::alerts;
use crate::tui::data::AlertView;
use crate::tui::keys::Action;
use crate::tui::model::{About, Confirm, Model, Overlay};
use crate::tui::source::{Request, Slot};
use crate::tui::theme::Role;
use crate::tui::update::{self, Effect};
use crate::tui::widgets::prompt::Prompt;
use crate::tui::widgets::{Pen, below, cut, top};
use crate::wire::{AckRequest, AlertState};
use ratatui::layout::Rect;

/// An acknowledgement in the making.
#[derive(Clone, Debug)]
pub(crate) struct AckSheet {
    /// Fingerprints of the alerts.
    alerts: Vec<String>,
    /// The alerts in words.
    about: String,
    /// What is said about it.
    pub(crate) comment: Prompt,
}

/// Opens the sheet for the alerts with these fingerprints, of which those count that fire and
/// that nobody works on.
pub(crate) fn open(model: &mut Model, fingerprints: &[String]) {
    let all = model.server.alerts.value.as_ref();
    let views: Vec<&AlertView> =
        fingerprints.iter().filter_map(|print| all.and_then(|all| all.get(print))).collect();
    let Some(first) = views.first() else { return };
    let free: Vec<_> = views.iter().filter(|view| fires(view) && view.row.ack.is_none()).collect();
    let Some(one) = free.first() else {
        let text = match (&first.row.ack, views.len()) {
            (Some(ack), 1) => format!("{} works on it already; u takes that back", ack.by),
            (None, 1) => {
                format!("this alert is {}: only one that fires is acknowledged", first.state_word())
            }
            (..) => "none of them fires without somebody working on it".to_owned(),
        };
        model.complain(text);
        return;
    };
    let about = match free.len() {
        1 => format!("{} {}", one.name, one.place),
        count => format!("{count} alerts {}", one.name),
    };
    let alerts = free.iter().map(|view| view.row.fingerprint.clone()).collect();
    model.overlays.push(Overlay::Ack(AckSheet { alerts, about, comment: Prompt::default() }));
}

/// Whether the server takes an acknowledgement of it.
fn fires(view: &AlertView) -> bool {
    match view.row.state {
        AlertState::Firing
        | AlertState::KeepFiring
        | AlertState::Silenced
        | AlertState::Inhibited
        | AlertState::Muted
        | AlertState::Unknown => true,
        AlertState::Pending | AlertState::Resolved => false,
    }
}

/// Asks whether the acknowledgements of these alerts should be taken back.
pub(super) fn ask_back(model: &mut Model, fingerprints: &[String]) {
    let all = model.server.alerts.value.as_ref();
    let acked: Vec<&AlertView> = fingerprints
        .iter()
        .filter_map(|print| all.and_then(|all| all.get(print)))
        .filter(|view| view.row.ack.is_some())
        .collect();
    let by = acked.first().and_then(|view| view.row.ack.as_ref()).map(|ack| ack.by.clone());
    let Some(by) = by else {
        model.complain("it is not acknowledged; a does that");
        return;
    };
    let by = cut(&by, 20);
    let what = match acked.len() {
        1 => format!("the acknowledgement of {by}"),
        count => format!("{count} acknowledgements"),
    };
    let question = format!("Take {what} back? Repeats go out again.  y: do it   n: back");
    let prints = acked.iter().map(|view| view.row.fingerprint.clone()).collect();
    model.overlays.push(Overlay::Confirm(Confirm { question, about: About::Unack(prints) }));
}

/// What a key does on the sheet.
pub(crate) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(Overlay::Ack(sheet)) = model.overlays.pop() else { return Vec::new() };
    if action != Action::Save {
        return Vec::new();
    }
    let (by, comment) = (model.options.login.clone(), sheet.comment.text());
    let request = AckRequest { fingerprints: sheet.alerts, matchers: Vec::new(), by, comment };
    update::ask(model, Slot::Write, Request::Acknowledge(request))
}

/// Draws the sheet above the hint row.
pub(super) fn draw(model: &Model, pen: &mut Pen<'_>, area: Rect, sheet: &AckSheet) {
    let height = 6.min(area.height.saturating_sub(1));
    let y = area.bottom().saturating_sub(height + 1);
    let area = Rect { y, height, ..area };
    pen.clear(area);
    pen.rule(area, 0, &format!("Acknowledge  {}", sheet.about), "");
    let names = ["comment", "author"];
    for (name, y) in names.into_iter().zip(area.top() + 1..area.bottom()) {
        pen.put(area.x + 3, y, 9, name, Role::Dim);
    }
    let line = |row: u16| Rect {
        x: area.x + 13,
        width: area.width.saturating_sub(14),
        ..top(below(area, row), 1)
    };
    if line(1).height > 0 {
        sheet.comment.draw(pen, line(1), true);
    }
    pen.line(line(2), 0, &[(&model.options.login, Role::Text)]);
    let words = if model.is_foreign() {
        "This server knows no acknowledgements: a silence of 30m on exactly its labels does it."
    } else {
        "No repeats until it ends, or u takes it back. New alerts of its group still notify."
    };
    let area = below(area, 3);
    pen.paragraph(super::super::widgets::indent(area, 3), words, Role::Dim);
}

/// Fingerprints of the alerts that keys act on: the selected one, or all of the selected group.
pub(super) fn meant(model: &Model) -> Vec<String> {
    let views = alerts::selected(model);
    views.iter().map(|view| view.row.fingerprint.clone()).collect()
}
