//! The screens: each draws itself from the model and says what its keys do.
//!
//! `draw` paints the frame that all share (title, tabs, hints) and the screen in it; `contexts`
//! says which keys mean something now. Start reading at `draw`, then `overview.rs`.
//!
//! Never: a question to the core (an `Effect` asks), a change of the model while drawing.

pub(super) mod ack;
pub(super) mod alerts;
mod detail;
pub(super) mod explore;
mod happened;
pub(super) mod help;
pub(super) mod history;
pub(super) mod lists;
pub(super) mod overview;
pub(super) mod palette;
mod proposals;
mod rules;
pub(super) mod sheet;
mod silences;
mod status;
pub(super) mod target;
pub(super) mod targets;
pub(super) mod why;

use super::data::Counts;
use super::fmt;
use super::keys::{self, Context};
use super::model::{Confirm, Model, Overlay};
use super::options::ScreenName;
use super::theme::Role;
use super::update::Effect;
use super::widgets::prompt::Prompt;
use super::widgets::{Charset, Pen, below, columns, top};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Where keys mean something now, the narrowest first.
pub(super) fn contexts(model: &Model) -> Vec<Context> {
    match model.overlays.last() {
        Some(Overlay::Help(_)) => return vec![Context::Help, Context::List],
        Some(Overlay::Palette(_)) => return vec![Context::Palette],
        Some(Overlay::Sheet(_)) => return vec![Context::Sheet],
        Some(Overlay::Ack(_)) => return vec![Context::Ack],
        Some(Overlay::Why(_)) => return vec![Context::Why, Context::List],
        Some(Overlay::Confirm(_)) => return vec![Context::Confirm],
        None => {}
    }
    if is_filtering(model) {
        return vec![Context::FilterPrompt];
    }
    match model.screen {
        ScreenName::Overview => vec![Context::Overview, Context::List, Context::Global],
        ScreenName::Alerts if model.alerts.detail.is_some() => {
            vec![Context::Detail, Context::Chart, Context::Global]
        }
        ScreenName::Alerts => vec![Context::Alerts, Context::List, Context::Global],
        ScreenName::Explore if model.explore.editing => vec![Context::ExplorePrompt],
        ScreenName::Explore => {
            vec![Context::Explore, Context::Chart, Context::List, Context::Global]
        }
        ScreenName::Targets if model.target.open.is_some() => {
            vec![Context::Target, Context::List, Context::Global]
        }
        ScreenName::Targets => vec![Context::Targets, Context::List, Context::Global],
        ScreenName::Rules => vec![Context::Rules, Context::List, Context::Global],
        ScreenName::Silences => vec![Context::Silences, Context::List, Context::Global],
        ScreenName::Status => vec![Context::Global],
        ScreenName::History if model.history.open.is_some() => {
            vec![Context::Happening, Context::List, Context::Global]
        }
        ScreenName::History => {
            vec![Context::History, Context::Chart, Context::List, Context::Global]
        }
    }
}

fn is_filtering(model: &Model) -> bool {
    match model.screen {
        ScreenName::Alerts => model.alerts.filtering,
        ScreenName::History => model.history.filtering,
        ScreenName::Targets | ScreenName::Rules | ScreenName::Silences => {
            lists::state(model).is_some_and(|list| list.filtering)
        }
        ScreenName::Overview | ScreenName::Explore | ScreenName::Status => false,
    }
}

/// The line that is typed into now.
pub(super) fn typing(model: &mut Model) -> Option<&mut Prompt> {
    let filtering = is_filtering(model);
    if !model.overlays.is_empty() {
        return match model.overlays.last_mut() {
            Some(Overlay::Palette(palette)) => Some(&mut palette.prompt),
            Some(Overlay::Sheet(sheet)) => sheet.typing(),
            Some(Overlay::Ack(sheet)) => Some(&mut sheet.comment),
            Some(Overlay::Help(_) | Overlay::Why(_) | Overlay::Confirm(_)) | None => None,
        };
    }
    match model.screen {
        ScreenName::Explore if model.explore.editing => Some(&mut model.explore.prompt),
        ScreenName::Alerts if filtering => Some(&mut model.alerts.filter),
        ScreenName::History if filtering => Some(&mut model.history.filter),
        ScreenName::Targets | ScreenName::Rules | ScreenName::Silences if filtering => {
            lists::state_mut(model).map(|list| &mut list.filter)
        }
        ScreenName::Overview
        | ScreenName::Alerts
        | ScreenName::Explore
        | ScreenName::Targets
        | ScreenName::Rules
        | ScreenName::Silences
        | ScreenName::Status
        | ScreenName::History => None,
    }
}

/// What follows from a change of the line that is typed into.
pub(super) fn typed(model: &mut Model) -> Vec<Effect> {
    if let Some(overlay) = model.overlays.last_mut() {
        if let Overlay::Palette(palette) = overlay {
            palette.selected = 0;
        }
        return Vec::new();
    }
    match model.screen {
        ScreenName::Explore => return explore::typed(model),
        ScreenName::Alerts => alerts::rebuild(model),
        ScreenName::Overview
        | ScreenName::Targets
        | ScreenName::Rules
        | ScreenName::Silences
        | ScreenName::Status
        | ScreenName::History => {}
    }
    Vec::new()
}

/// Goes up one level; false on a top screen.
pub(super) fn leave(model: &mut Model) -> bool {
    match model.screen {
        ScreenName::Alerts => model.alerts.detail.take().is_some(),
        ScreenName::Targets => model.target.open.take().is_some(),
        ScreenName::History => model.history.open.take().is_some(),
        ScreenName::Overview
        | ScreenName::Explore
        | ScreenName::Rules
        | ScreenName::Silences
        | ScreenName::Status => false,
    }
}

/// Paints everything.
pub(super) fn draw(model: &Model, buf: &mut Buffer) {
    let area = buf.area;
    let mut pen = Pen::new(buf, &model.look);
    if area.width < 60 || area.height < 15 {
        draw_tiny(model, &mut pen, area);
    } else {
        draw_title(model, &mut pen, area);
        if has_tabs(area) {
            draw_tabs(model, &mut pen, area);
        }
        draw_screen(model, &mut pen, body_of(area));
    }
    draw_overlays(model, &mut pen, area);
    draw_hints(model, &mut pen, area);
    if model.look.charset == Charset::Ascii {
        to_ascii(buf);
    }
}

const fn has_tabs(area: Rect) -> bool {
    area.height >= 20
}

/// What the title, the tabs and the hints leave to a screen.
fn body_of(area: Rect) -> Rect {
    let body = below(area, if has_tabs(area) { 2 } else { 1 });
    top(body, body.height.saturating_sub(1))
}

fn draw_screen(model: &Model, pen: &mut Pen<'_>, body: Rect) {
    match model.screen {
        ScreenName::Overview => overview::draw(model, pen, body),
        ScreenName::Alerts if model.alerts.detail.is_some() => detail::draw(model, pen, body),
        ScreenName::Alerts => alerts::draw(model, pen, body),
        ScreenName::Explore => explore::draw(model, pen, body),
        ScreenName::Targets => match &model.target.open {
            Some(open) => target::draw(model, pen, body, open),
            None => targets::draw(model, pen, body),
        },
        ScreenName::Rules => rules::draw(model, pen, body),
        ScreenName::Silences => silences::draw(model, pen, body),
        ScreenName::Status => status::draw(model, pen, body),
        ScreenName::History => history::draw(model, pen, body),
    }
}

/// The counts that are not zero, as words; at least the worst two severities.
fn counts_line(counts: &Counts, wide: bool) -> Vec<(String, Role)> {
    let pending = if wide { "pending" } else { "pend" };
    let silenced = if wide { "silenced" } else { "sil" };
    let all = [
        ("CRIT", counts.critical, Role::Crit, true),
        ("WARN", counts.warning, Role::Warn, true),
        ("INFO", counts.other, Role::Info, false),
        (pending, counts.pending, Role::Pending, false),
        (silenced, counts.silenced, Role::Pending, false),
        ("ack", counts.acked, Role::Pending, false),
    ];
    let kept = all.into_iter().filter(|(_, count, _, always)| *always || *count > 0);
    kept.map(|(word, count, role, _)| {
        (format!("{word} {count}  "), if count > 0 { role } else { Role::Dim })
    })
    .collect()
}

fn draw_title(model: &Model, pen: &mut Pen<'_>, area: Rect) {
    let wide = area.width >= 100;
    let server = model.server.status.value.as_ref().map_or("", |status| status.server.as_str());
    let mut x = pen.put(area.x + 1, area.y, 10, "watchbell ", Role::Title) + 1;
    x = pen.put(x.saturating_sub(1), area.y, area.width / 4, server, Role::Text);
    let right = draw_title_right(model, pen, area, wide);
    let counts = model.server.alerts.value.as_ref().map(|alerts| alerts.counts);
    let Some(counts) = counts else { return };
    let mut pieces = counts_line(&counts, wide);
    let width =
        |pieces: &[(String, Role)]| -> u16 { pieces.iter().map(|(text, _)| columns(text)).sum() };
    // The least important counts go first where there is no room for all.
    while pieces.len() > 2 && x + 2 + width(&pieces) > right {
        pieces.pop();
    }
    let latest = right.saturating_sub(width(&pieces)).max(x + 2);
    x = (x + 2).max(area.x + area.width / 3).min(latest);
    for (text, role) in pieces {
        x = pen.put(x, area.y, right.saturating_sub(x), &text, role);
    }
}

/// Freshness, flags and clock; answers with the column where they begin.
fn draw_title_right(model: &Model, pen: &mut Pen<'_>, area: Rect, wide: bool) -> u16 {
    let now = model.now();
    let mut clock = fmt::clock(now, &model.look.zone);
    if wide {
        clock = format!("{clock} {}", fmt::zone_name(now, &model.look.zone));
    }
    let flags = if model.options.read_only { "RO  " } else { "" };
    let (fresh, role) = model.freshness();
    // Padded, so that another bound of the age moves nothing else.
    let text = format!("{fresh:<9}  {flags}{clock} ");
    let start = area.right().saturating_sub(columns(&text));
    pen.put(start, area.y, columns(&text), &fresh, role);
    let after = start + columns(&fresh).max(9) + 2;
    pen.put(after, area.y, columns(&text), &format!("{flags}{clock}"), Role::Text);
    start.saturating_sub(1)
}

fn draw_tabs(model: &Model, pen: &mut Pen<'_>, area: Rect) {
    let wide = area.width >= 100;
    let mut x = area.x;
    for name in ScreenName::ALL {
        let word = if wide { name.as_str() } else { name.short() };
        let here = name == model.screen;
        let star = name == ScreenName::Alerts && model.unseen_critical;
        let text = format!("{} {word}{}", name.number(), if star { "*" } else { "" });
        let (text, role) = if here {
            (format!("[{text}]"), Role::Title)
        } else {
            (format!(" {text} "), Role::Dim)
        };
        x = pen.put(x, area.y + 1, area.right().saturating_sub(x), &text, role);
    }
}

/// The last row: a question, a filter, a message, or the keys.
fn draw_hints(model: &Model, pen: &mut Pen<'_>, area: Rect) {
    let row = area.height.saturating_sub(1);
    let line = Rect { y: area.y + row, height: area.height.min(1), ..area };
    if line.height == 0 {
        return;
    }
    pen.clear(line);
    if let Some(Overlay::Confirm(Confirm { question, .. })) = model.overlays.last() {
        pen.line(line, 0, &[(" ", Role::Text), (question, Role::Focus)]);
        return;
    }
    if let Some(toast) = &model.toast {
        pen.line(line, 0, &[(" ", Role::Text), (&toast.text, toast.role)]);
        return;
    }
    let hints = keys::hints(&contexts(model), usize::from(area.width), model.may_write());
    pen.line(line, 0, &[(&hints, Role::Dim)]);
}

fn draw_overlays(model: &Model, pen: &mut Pen<'_>, area: Rect) {
    for overlay in &model.overlays {
        match overlay {
            Overlay::Help(top) => help::draw(model, pen, area, *top),
            Overlay::Palette(palette) => palette::draw(pen, area, palette),
            Overlay::Sheet(sheet) => sheet::draw(model, pen, area, sheet),
            Overlay::Ack(sheet) => ack::draw(model, pen, area, sheet),
            Overlay::Why(top) => why::draw(model, pen, area, *top),
            Overlay::Confirm(_) => {}
        }
    }
}

/// A terminal too small for the screens: what fires, one line each.
fn draw_tiny(model: &Model, pen: &mut Pen<'_>, area: Rect) {
    let (fresh, role) = model.freshness();
    let Some(alerts) = &model.server.alerts.value else {
        pen.line(area, 0, &[("watchbell ", Role::Title), (&fresh, role)]);
        return;
    };
    let mut pieces = counts_line(&alerts.counts, false);
    pieces.push((fresh, role));
    let pieces: Vec<_> = pieces.iter().map(|(text, role)| (text.as_str(), *role)).collect();
    pen.line(area, 0, &pieces);
    let firing = super::data::worst_first(alerts);
    for (row, view) in (1..area.height.saturating_sub(1)).zip(firing) {
        let age = view.since.map(|since| fmt::since(model.now(), since)).unwrap_or_default();
        let word = format!("{} ", view.severity.word());
        let text = format!("{} {} {age}", view.name, view.place);
        let role = view.severity.role();
        pen.line(area, row, &[("!", role), (&word, role), (&text, Role::Text)]);
    }
}

/// Every byte of a frame in the ASCII set is below 0x80.
pub(super) fn to_ascii(buf: &mut Buffer) {
    for cell in &mut buf.content {
        if !cell.symbol().is_ascii() {
            let plain = if cell.symbol() == "…" { "~" } else { "?" };
            cell.set_symbol(plain);
        }
    }
}

/// A line of the empty states: what is so, and what to do.
fn draw_empty(pen: &mut Pen<'_>, area: Rect, text: &str, error: Option<&str>) {
    let area = super::widgets::indent(area, 2);
    match error {
        Some(error) => {
            pen.paragraph(area, error, Role::Error);
        }
        None => {
            pen.paragraph(area, text, Role::Dim);
        }
    }
}
