//! Why an alert was told, or was not: the same steps as `watchbell why` prints, over the screen.

use super::alerts;
use crate::tui::explain::{self, Around, Explanation};
use crate::tui::keys::Action;
use crate::tui::model::{Model, Overlay};
use crate::tui::source::{Request, Slot};
use crate::tui::theme::Role;
use crate::tui::update::{Effect, ask_calmly};
use crate::tui::widgets::{Pen, below, cells, columns, wrap};
use ratatui::layout::Rect;

/// Columns of a step's answer.
const ANSWER: u16 = 5;

/// Opens the explanation of the current alert; silences are asked for, since it names them.
pub(super) fn open(model: &mut Model) -> Vec<Effect> {
    if alerts::current(model).is_none() {
        return Vec::new();
    }
    model.overlays.push(Overlay::Why(0));
    ask_calmly(model, Slot::Silences, Request::Silences)
}

/// What a key does over the explanation.
pub(crate) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let room = room(Rect::new(0, 0, model.size.0, model.size.1));
    let last = lines(model, model.size.0).len().saturating_sub(room);
    let Some(Overlay::Why(top)) = model.overlays.last_mut() else { return Vec::new() };
    let at = (*top).min(last);
    let page = room.saturating_sub(1).max(1);
    match action {
        Action::Down => *top = (at + 1).min(last),
        Action::Up => *top = at.saturating_sub(1),
        Action::PageDown => *top = (at + page).min(last),
        Action::PageUp => *top = at.saturating_sub(page),
        Action::First => *top = 0,
        Action::Last => *top = last,
        _ => {
            model.overlays.pop();
        }
    }
    Vec::new()
}

/// Rows below the heading.
fn room(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(2))
}

fn explained(model: &Model) -> Option<Explanation> {
    let view = alerts::current(model)?;
    let all = model.server.alerts.value.as_ref()?;
    let by = view.row.inhibited_by.iter().filter_map(|print| all.get(print));
    let rows: Vec<_> = by.map(|view| view.row.clone()).collect();
    let status = model.server.status.value.as_ref();
    let around = Around {
        rows: &rows,
        silences: model.server.silences.value.as_deref().unwrap_or_default(),
        receivers: status.map(|status| status.receivers.as_slice()).unwrap_or_default(),
        now: model.now(),
        zone: &model.look.zone,
    };
    Some(explain::explain(&view.row, &around))
}

/// A line: number and name, answer, text.
type Line = (String, String, String, Role);

/// The verdict, then the steps.
fn lines(model: &Model, width: u16) -> Vec<Line> {
    let Some(told) = explained(model) else {
        let text = "This alert is gone. esc goes back to the list.".to_owned();
        return vec![(String::new(), String::new(), text, Role::Dim)];
    };
    let left = name_columns(&told) + ANSWER + 1;
    let room = usize::from(width.saturating_sub(left + 1)).max(8);
    let mut lines = Vec::new();
    let mut add = |name: &str, answer: &str, texts: &[String], role: Role| {
        let (mut name, mut answer) = (name.to_owned(), answer.to_owned());
        for text in texts {
            for text in wrap(crate::model::printable(text).as_str(), room) {
                lines.push((std::mem::take(&mut name), std::mem::take(&mut answer), text, role));
            }
        }
    };
    add("verdict", "", std::slice::from_ref(&told.verdict), Role::Title);
    add("", "", &[String::new()], Role::Text);
    for (step, number) in told.steps.iter().zip(1..) {
        let role = if step.answer == "FAIL" { Role::Error } else { Role::Text };
        add(&format!("{number} {}", step.name), step.answer, &step.lines, role);
    }
    lines
}

fn name_columns(told: &Explanation) -> u16 {
    let names = told.steps.iter().map(|step| columns(&step.name) + 3);
    names.max().unwrap_or(0).max(9)
}

/// Draws the explanation over the whole screen, from row `top`.
pub(super) fn draw(model: &Model, pen: &mut Pen<'_>, area: Rect, top: usize) {
    pen.clear(area);
    let name = alerts::current(model).map(|view| format!("{} {}", view.name, view.place));
    let title = format!("Why  {}", name.unwrap_or_default());
    pen.rule(area, 0, &title, "esc closes, j k scroll");
    let left = explained(model).map_or(9, |told| name_columns(&told));
    let lines = lines(model, area.width);
    let body = below(area, 1);
    let room = room(area);
    let top = top.min(lines.len().saturating_sub(room));
    for (row, (name, answer, text, role)) in lines.iter().skip(top).take(room).enumerate() {
        let y = body.y + cells(row);
        pen.put(body.x + 1, y, left, name, Role::Dim);
        pen.put(body.x + 1 + left, y, ANSWER, answer, *role);
        pen.put(body.x + 1 + left + ANSWER, y, body.width, text, *role);
    }
}
