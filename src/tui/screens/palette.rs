//! The command line: screens by name, with an argument where one makes sense.

use super::{explore, history};
use crate::tui::keys::Action;
use crate::tui::model::{Model, Overlay};
use crate::tui::options::ScreenName;
use crate::tui::theme::Role;
use crate::tui::update::{self, Effect};
use crate::tui::widgets::Pen;
use crate::tui::widgets::prompt::Prompt;
use ratatui::layout::Rect;

/// The command line and the chosen proposal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Palette {
    /// What is typed.
    pub(crate) prompt: Prompt,
    /// The chosen proposal.
    pub(crate) selected: usize,
}

impl Palette {
    /// Screens whose names hold the letters of the first word in their order, and the argument.
    fn found(&self) -> (Vec<ScreenName>, String) {
        let text = self.prompt.text();
        let (word, argument) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let word = word.to_lowercase();
        let mut found: Vec<_> = ScreenName::ALL
            .into_iter()
            .filter(|name| holds(&name.as_str().to_lowercase(), &word))
            .collect();
        found.sort_by_key(|name| !name.as_str().to_lowercase().starts_with(&word));
        (found, argument.trim().to_owned())
    }
}

/// Whether `text` holds the letters of `wanted` in their order.
fn holds(text: &str, wanted: &str) -> bool {
    let mut letters = text.chars();
    wanted.chars().all(|letter| letters.any(|found| found == letter))
}

/// What a key does in the palette.
pub(crate) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(Overlay::Palette(palette)) = model.overlays.last_mut() else { return Vec::new() };
    let (found, argument) = palette.found();
    match action {
        Action::Up => palette.selected = palette.selected.saturating_sub(1),
        Action::Down => {
            palette.selected = (palette.selected + 1).min(found.len().saturating_sub(1));
        }
        Action::Run => {
            let name = found.get(palette.selected).copied();
            let text = palette.prompt.text();
            model.overlays.pop();
            return match name {
                Some(name) => open(model, name, &argument),
                None => {
                    model.complain(format!("there is no screen {text:?}"));
                    Vec::new()
                }
            };
        }
        _ => {
            model.overlays.pop();
        }
    }
    Vec::new()
}

fn open(model: &mut Model, name: ScreenName, argument: &str) -> Vec<Effect> {
    if argument.is_empty() {
        return match name {
            ScreenName::History => history::show(model, None),
            name => update::go(model, name),
        };
    }
    let filter = Prompt::new(argument);
    match name {
        ScreenName::Explore => return explore::show(model, argument),
        ScreenName::History => return history::show_filtered(model, argument),
        ScreenName::Alerts => model.alerts.filter = filter,
        ScreenName::Targets => model.targets.filter = filter,
        ScreenName::Rules => model.rules.filter = filter,
        ScreenName::Silences => model.silences.filter = filter,
        ScreenName::Overview | ScreenName::Status => {}
    }
    update::go(model, name)
}

/// Draws the palette above the hint row.
pub(super) fn draw(pen: &mut Pen<'_>, area: Rect, palette: &Palette) {
    let (found, _) = palette.found();
    let height = (super::super::widgets::cells(found.len()) + 1).min(area.height);
    let y = area.bottom().saturating_sub(height + 1).max(area.y);
    let area = Rect { y, height, ..area };
    pen.clear(area);
    pen.put(area.x + 1, area.y, 2, ": ", Role::Focus);
    let line = Rect {
        x: area.x + 3,
        height: area.height.min(1),
        width: area.width.saturating_sub(4),
        ..area
    };
    palette.prompt.draw(pen, line, true);
    for ((place, name), y) in found.iter().enumerate().zip(area.y + 1..area.bottom()) {
        let text = format!("{}  {}", name.number(), name.as_str().to_lowercase());
        pen.put(area.x + 3, y, area.width, &text, Role::Text);
        if place == palette.selected {
            pen.shade(Rect { y, height: 1, ..area }, Role::Select);
        }
    }
}
