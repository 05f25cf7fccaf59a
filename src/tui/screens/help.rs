//! The keys of the screen below, then those of everywhere, from the key table.

use crate::tui::keys::{BINDINGS, Context};
use crate::tui::model::Model;
use crate::tui::theme::Role;
use crate::tui::widgets::{Pen, below, cells};
use ratatui::layout::Rect;

/// The help is never longer.
pub(crate) const ROWS_MAX: usize = 100;

/// Draws the help over the whole screen, from row `top`.
pub(super) fn draw(model: &Model, pen: &mut Pen<'_>, area: Rect, top: usize) {
    pen.clear(area);
    pen.rule(area, 0, "Keys", "esc closes, j k scroll");
    let mut lines: Vec<(String, String)> = Vec::new();
    for context in contexts_below(model) {
        lines.push((context.title().to_owned(), String::new()));
        let mut rows: Vec<(String, &str)> = Vec::new();
        for binding in BINDINGS.iter().filter(|binding| binding.context == context) {
            match rows.iter_mut().find(|(_, help)| *help == binding.help) {
                Some((keys, _)) => keys.push_str(&format!(" {}", binding.key.name())),
                None => rows.push((binding.key.name(), binding.help)),
            }
        }
        lines.extend(rows.into_iter().map(|(keys, help)| (keys, help.to_owned())));
    }
    let body = below(area, 1);
    let room = usize::from(body.height.saturating_sub(1));
    let top = top.min(lines.len().saturating_sub(room));
    for (row, (keys, help)) in lines.iter().skip(top).take(room).enumerate() {
        let y = body.y + cells(row);
        if help.is_empty() {
            pen.put(body.x + 1, y, body.width, keys, Role::Title);
        } else {
            pen.put(body.x + 3, y, 18, keys, Role::Focus);
            pen.put(body.x + 22, y, body.width.saturating_sub(22), help, Role::Text);
        }
    }
}

/// The contexts of the screen that the help lies over.
fn contexts_below(model: &Model) -> Vec<Context> {
    use crate::tui::options::ScreenName;
    let screen = match model.screen {
        ScreenName::Overview => vec![Context::Overview, Context::List],
        ScreenName::Alerts if model.alerts.detail.is_some() => {
            vec![Context::Detail, Context::Chart]
        }
        ScreenName::Alerts => vec![Context::Alerts, Context::List],
        ScreenName::Explore => {
            vec![Context::Explore, Context::ExplorePrompt, Context::Chart, Context::List]
        }
        ScreenName::Targets if model.target.open.is_some() => {
            vec![Context::Target, Context::List]
        }
        ScreenName::Targets => vec![Context::Targets, Context::List],
        ScreenName::Rules => vec![Context::Rules, Context::List],
        ScreenName::Silences => vec![Context::Silences, Context::Sheet, Context::List],
        ScreenName::Status => Vec::new(),
        ScreenName::History if model.history.open.is_some() => {
            vec![Context::Happening, Context::List]
        }
        ScreenName::History => vec![Context::History, Context::Chart, Context::List],
    };
    screen.into_iter().chain([Context::Global]).collect()
}
