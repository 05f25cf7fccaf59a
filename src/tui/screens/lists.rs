//! What Targets, Rules and Silences share: a filtered list, a selected row, keys that act on it.

use super::{alerts, explore, rules, sheet, silences, target, targets};
use crate::tui::keys::Action;
use crate::tui::model::Model;
use crate::tui::options::ScreenName;
use crate::tui::theme::Role;
use crate::tui::update::Effect;
use crate::tui::widgets::Pen;
use crate::tui::widgets::prompt::Prompt;
use ratatui::layout::Rect;

/// What a list remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListScreen {
    /// The selected row.
    pub(crate) selected: usize,
    /// The filter.
    pub(crate) filter: Prompt,
    /// Whether the filter is typed now.
    pub(crate) filtering: bool,
}

impl ListScreen {
    /// Whether a row with this text passes: all words of the filter are in it.
    pub(super) fn passes(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.filter.text().to_lowercase().split_whitespace().all(|word| text.contains(word))
    }

    /// Draws the filter at the right of the first row.
    pub(super) fn draw_filter(&self, pen: &mut Pen<'_>, body: Rect) {
        let width = (body.width / 3).min(30);
        let x = body.right().saturating_sub(width + 1);
        if self.filtering || !self.filter.text().is_empty() {
            let x = pen.put(x, body.y, width, "filter ", Role::Dim);
            let room = Rect { x, y: body.y, width: body.right().saturating_sub(x), height: 1 };
            self.filter.draw(pen, room, self.filtering);
        } else {
            pen.put_right(body.right().saturating_sub(1), body.y, width, "/ filter", Role::Dim);
        }
    }
}

/// The list of this screen.
pub(crate) fn state(model: &Model) -> Option<&ListScreen> {
    match model.screen {
        ScreenName::Targets => Some(&model.targets),
        ScreenName::Rules => Some(&model.rules),
        ScreenName::Silences => Some(&model.silences),
        ScreenName::Overview
        | ScreenName::Alerts
        | ScreenName::Explore
        | ScreenName::Status
        | ScreenName::History => None,
    }
}

/// The list of this screen, to be changed.
pub(crate) fn state_mut(model: &mut Model) -> Option<&mut ListScreen> {
    match model.screen {
        ScreenName::Targets => Some(&mut model.targets),
        ScreenName::Rules => Some(&mut model.rules),
        ScreenName::Silences => Some(&mut model.silences),
        ScreenName::Overview
        | ScreenName::Alerts
        | ScreenName::Explore
        | ScreenName::Status
        | ScreenName::History => None,
    }
}

fn count(model: &Model) -> usize {
    match model.screen {
        ScreenName::Targets => targets::rows(model).len(),
        ScreenName::Rules => rules::rows(model).len(),
        ScreenName::Silences => silences::rows(model).len(),
        ScreenName::Overview
        | ScreenName::Alerts
        | ScreenName::Explore
        | ScreenName::Status
        | ScreenName::History => 0,
    }
}

/// What a key does on a list.
pub(crate) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let last = count(model).saturating_sub(1);
    let page = usize::from(model.size.1 / 2).max(1);
    let Some(list) = state_mut(model) else { return Vec::new() };
    let at = list.selected.min(last);
    match action {
        Action::Up => list.selected = at.saturating_sub(1),
        Action::Down => list.selected = (at + 1).min(last),
        Action::PageUp => list.selected = at.saturating_sub(page),
        Action::PageDown => list.selected = (at + page).min(last),
        Action::First => list.selected = 0,
        Action::Last => list.selected = last,
        Action::Filter => list.filtering = true,
        Action::Save => list.filtering = false,
        Action::Back => {
            list.filtering = false;
            list.filter = Prompt::default();
        }
        Action::Copy => {
            let text = match model.screen {
                ScreenName::Targets => targets::current(model).map(targets::Row::copied),
                ScreenName::Rules => rules::current(model).map(|one| one.query.to_owned()),
                _ => silences::current(model).map(silences::amtool),
            };
            return alerts::copy(model, text);
        }
        Action::Explore => {
            let expr = match model.screen {
                ScreenName::Targets => targets::current(model).and_then(targets::up_expr),
                ScreenName::Rules => rules::current(model).map(|one| one.compared().to_owned()),
                _ => None,
            };
            return expr.map_or_else(Vec::new, |expr| explore::show(model, &expr));
        }
        Action::Open if model.screen == ScreenName::Targets => return target::open(model),
        Action::ToggleHidden if model.screen == ScreenName::Targets => {
            target::toggle_dropped(model);
        }
        Action::Add => sheet::open_empty(model),
        Action::Expire => silences::ask_expire(model),
        _ => {}
    }
    Vec::new()
}
