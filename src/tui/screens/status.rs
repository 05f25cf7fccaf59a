//! Status: the process, its store, its receivers, its configuration, and what it warns of.

use super::detail::draw_pairs;
use crate::tui::fmt;
use crate::tui::model::Model;
use crate::tui::widgets::Pen;
use crate::wire::WatchStatus;
use ratatui::layout::Rect;

/// Draws Status.
pub(super) fn draw(model: &Model, pen: &mut Pen<'_>, body: Rect) {
    let Some(status) = &model.server.status.value else {
        super::draw_empty(pen, body, "asking ...", model.server.status.error.as_deref());
        return;
    };
    draw_pairs(pen, body, &pairs(model, status));
}

fn pairs(model: &Model, status: &WatchStatus) -> Vec<(&'static str, String)> {
    let now = model.now();
    let storage = &status.storage;
    let oldest = storage.oldest.map_or_else(|| "none".to_owned(), |at| fmt::since(now, at));
    let mut pairs = vec![
        (
            "watchbell",
            format!(
                "{}  on {}  up {}  pid {}  rss {}",
                status.version,
                status.server,
                fmt::since(now, status.started),
                status.pid,
                fmt::bytes(status.resident_bytes)
            ),
        ),
        (
            "storage",
            format!(
                "{} series   {} in {} blocks   log {}   oldest {oldest}   keeps {}   {} free",
                fmt::count(storage.series),
                fmt::bytes(storage.block_bytes),
                storage.blocks,
                fmt::bytes(storage.wal_bytes),
                storage.retention,
                fmt::bytes(storage.free_bytes)
            ),
        ),
        (
            "ingest",
            format!(
                "{} samples since the start   {} refused",
                fmt::count(storage.samples_total),
                fmt::count(storage.refused_total)
            ),
        ),
    ];
    if let Some(why) = &storage.refusing {
        pairs.push(("refuses", why.clone()));
    }
    for one in &status.receivers {
        let state = match (one.failing_since, one.last_ok) {
            (Some(since), _) => {
                format!("FAILING {} ({})", fmt::since(now, since), one.last_error)
            }
            (None, Some(ok)) => format!("ok {} ago", fmt::since(now, ok)),
            (None, None) => "not used yet".to_owned(),
        };
        let counts = format!("{} sent, {} failed", one.sent, one.failed);
        pairs.push(("notify", format!("{} ({}) {state}   {counts}", one.name, one.integration)));
    }
    let config = if status.config_file.is_empty() { "built in" } else { &status.config_file };
    pairs.push(("config", config.to_owned()));
    if let Some(error) = &status.config_error {
        pairs.push(("reload", format!("FAILED: {error}")));
    }
    let listen =
        if status.listen.is_empty() { "nowhere".to_owned() } else { status.listen.join(" ") };
    pairs.push(("http", listen));
    for warning in &status.warnings {
        pairs.push(("warning", warning.clone()));
    }
    let (width, height) = model.size;
    let charset = format!("{:?}", model.look.charset).to_lowercase();
    let color = if model.look.theme.color { "16 colors" } else { "no color" };
    pairs.push(("terminal", format!("{width}x{height}  {color}  {charset}")));
    pairs
}
