//! Overview: what fires, the last day, the health of the watcher, the host.

use crate::model::Timestamp;
use crate::tui::data::{Severity, lines_of, worst_first};
use crate::tui::fmt::{self, Unit};
use crate::tui::keys::Action;
use crate::tui::model::Model;
use crate::tui::options::ScreenName;
use crate::tui::source::{Request, Slot};
use crate::tui::theme::Role;
use crate::tui::update::{self, Effect};
use crate::tui::widgets::spark::Spark;
use crate::tui::widgets::{Pen, below, cells, table, top};
use crate::wire::{Detail, MatrixSeries, RangeQuery, RuleForm, TargetHealth, WatchStatus};
use ratatui::layout::Rect;
use std::time::Duration;

/// How far back the host's sparks look, and how far their samples are apart.
const HOST_SPAN: Duration = Duration::from_secs(300);
const HOST_STEP: Duration = Duration::from_secs(5);

/// How far back the strip of alerts looks, and how far its cells are apart.
const STRIP_SPAN: Duration = Duration::from_secs(24 * 3600);
const STRIP_STEP: Duration = Duration::from_secs(1800);

/// One line of the host pane.
struct HostLine {
    name: &'static str,
    expr: &'static str,
    unit: Unit,
    /// The value of the highest glyph; by the samples when missing.
    full: Option<f64>,
}

/// The ratio of rates holds from the second sample on, where a rate over a minute that is not
/// over yet would not.
const HOST: [HostLine; 5] = [
    HostLine {
        name: "cpu",
        expr: "1 - sum(rate(node_cpu_seconds_total{mode=\"idle\"}[1m])) / \
               sum(rate(node_cpu_seconds_total[1m]))",
        unit: Unit::Ratio,
        full: Some(1.0),
    },
    HostLine {
        name: "mem",
        expr: "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
        unit: Unit::Ratio,
        full: Some(1.0),
    },
    HostLine {
        name: "disk",
        expr: "1 - node_filesystem_avail_bytes{fstype!~\"tmpfs|ramfs|squashfs|iso9660\"} / \
               node_filesystem_size_bytes > 0",
        unit: Unit::Ratio,
        full: Some(1.0),
    },
    HostLine {
        name: "net",
        expr: "sum(irate(node_network_receive_bytes_total{device!=\"lo\"}[1m])) + \
               sum(irate(node_network_transmit_bytes_total{device!=\"lo\"}[1m]))",
        unit: Unit::BytesPerSecond,
        full: None,
    },
    HostLine { name: "load", expr: "node_load1", unit: Unit::Plain, full: None },
];

/// The strip: the most alerts that fired at once in each half hour.
const STRIP: &str = "sum by (severity) (max_over_time(ALERTS{alertstate=\"firing\"}[30m]))";

/// What Overview remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overview {
    /// The selected line.
    pub(crate) selected: usize,
    /// Series of the host lines, in their order.
    pub(crate) host: Vec<Vec<MatrixSeries>>,
    /// Firing alerts of the last day by severity.
    pub(crate) strip: Option<Vec<MatrixSeries>>,
    /// Elapsed time when the strip was asked for.
    strip_asked: Option<Duration>,
}

/// What a line of Overview leads to.
#[derive(Clone, Debug, PartialEq)]
enum Item {
    Alert(String),
    Screen(ScreenName),
    Expr(&'static str),
}

/// Asks for the series that Overview shows.
pub(crate) fn ask(model: &mut Model) -> Vec<Effect> {
    let now = model.now();
    let queries = HOST.iter().map(|line| range(line.expr, now, HOST_SPAN, HOST_STEP)).collect();
    let mut effects = update::ask_calmly(model, Slot::Host, Request::Ranges(queries));
    let due = model.overview.strip_asked.is_none_or(|at| model.elapsed >= at + STRIP_STEP / 6);
    if due {
        model.overview.strip_asked = Some(model.elapsed);
        // The step after now covers the half hour that is not over yet.
        let query = range(STRIP, now.plus(STRIP_STEP), STRIP_SPAN + STRIP_STEP, STRIP_STEP);
        effects.extend(update::ask_calmly(model, Slot::Strip, Request::Ranges(vec![query])));
    }
    effects
}

/// A query over the last `span`, its steps on multiples of `step`.
fn range(expr: &str, now: Timestamp, span: Duration, step: Duration) -> RangeQuery {
    let step_ms = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
    let end = Timestamp::from_millis(now.as_millis().div_euclid(step_ms) * step_ms);
    RangeQuery {
        expr: expr.to_owned(),
        start: end.minus(span),
        end,
        step,
        timeout: None,
        lookback: None,
        limit: 50,
        detail: Detail::default(),
    }
}

/// Lines of firing alerts that Overview has room for.
fn alert_rows(body: Rect) -> usize {
    usize::from(body.height.saturating_sub(15).clamp(1, 12))
}

fn items(model: &Model) -> Vec<Item> {
    let rows = alert_rows(Rect::new(0, 0, model.size.0, model.size.1.saturating_sub(3)));
    let alerts = model.server.alerts.value.iter().flat_map(worst_first).take(rows);
    let alerts = alerts.map(|view| Item::Alert(view.row.fingerprint.clone()));
    let health = [ScreenName::Targets, ScreenName::Rules, ScreenName::Status, ScreenName::Status];
    let host = HOST.iter().map(|line| Item::Expr(line.expr));
    alerts.chain(health.map(Item::Screen)).chain(host).collect()
}

/// What a key does on Overview.
pub(crate) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let items = items(model);
    let last = items.len().saturating_sub(1);
    let alerts = items.iter().filter(|item| matches!(item, Item::Alert(_))).count();
    let panes = [0, alerts, alerts + 4];
    let at = model.overview.selected.min(last);
    let next = panes.iter().copied().find(|start| *start > at).unwrap_or(0);
    let previous = panes.iter().rev().copied().find(|start| *start < at).unwrap_or(alerts + 4);
    let item = items.get(at).cloned();
    match action {
        Action::Down => model.overview.selected = (at + 1).min(last),
        Action::Up => model.overview.selected = at.saturating_sub(1),
        Action::First => model.overview.selected = 0,
        Action::Last => model.overview.selected = last,
        Action::NextPane => model.overview.selected = next,
        Action::PreviousPane => model.overview.selected = previous,
        Action::Open => return open(model, item),
        Action::Silence => {
            if let Some(Item::Alert(fingerprint)) = item {
                super::sheet::open_for(model, &fingerprint, false);
            }
        }
        Action::Acknowledge => {
            if let Some(Item::Alert(fingerprint)) = item {
                super::ack::open(model, &[fingerprint]);
            }
        }
        _ => {}
    }
    Vec::new()
}

fn open(model: &mut Model, item: Option<Item>) -> Vec<Effect> {
    match item {
        Some(Item::Alert(fingerprint)) => {
            let effects = update::go(model, ScreenName::Alerts);
            model.alerts.selected = Some(fingerprint.clone());
            model.alerts.detail = Some(fingerprint);
            effects
        }
        Some(Item::Screen(name)) => update::go(model, name),
        Some(Item::Expr(expr)) => super::explore::show(model, expr),
        None => Vec::new(),
    }
}

/// Draws Overview.
pub(crate) fn draw(model: &Model, pen: &mut Pen<'_>, body: Rect) {
    let selected = model.overview.selected.min(items(model).len().saturating_sub(1));
    let rows = alert_rows(body);
    let shown = draw_firing(model, pen, body, rows, selected);
    let mut rest = below(body, cells(rows) + 2);
    if body.height >= 17 {
        draw_strip(model, pen, rest);
        rest = below(rest, 4);
    }
    draw_health(model, pen, rest, selected.checked_sub(shown));
    draw_host(model, pen, below(rest, 5), selected.checked_sub(shown + 4));
}

/// Draws the worst alerts; answers with how many lines can be selected.
fn draw_firing(
    model: &Model,
    pen: &mut Pen<'_>,
    body: Rect,
    rows: usize,
    selected: usize,
) -> usize {
    pen.rule(body, 0, "Firing now", &acked_line(model));
    let area = below(body, 1);
    let Some(alerts) = &model.server.alerts.value else {
        super::draw_empty(pen, area, "asking ...", model.server.alerts.error.as_deref());
        return 0;
    };
    let firing: Vec<_> = worst_first(alerts).collect();
    if firing.is_empty() {
        super::draw_empty(pen, area, &super::alerts::quiet_sentence(model), None);
        return 0;
    }
    for (row, view) in (0u16..).zip(firing.iter().take(rows)) {
        let line = top(below(area, row), 1);
        let age = view.since.map(|since| fmt::since(model.now(), since)).unwrap_or_default();
        let role = view.severity.role();
        pen.put(line.x + 1, line.y, 1, view.mark(), role);
        pen.put(line.x + 3, line.y, 4, &view.severity.word(), role);
        let notified = view.notified(model.now());
        let right = line.width / 3;
        let name = line.width.saturating_sub(right + 17) / 2;
        pen.put(line.x + 8, line.y, name, &view.name, Role::Text);
        pen.put(line.x + 9 + name, line.y, name, &view.place, Role::Text);
        let age_end = line.right().saturating_sub(right + 1);
        pen.put_right(age_end, line.y, 6, &age, Role::Text);
        let loud = view.is_untold();
        pen.put(age_end + 2, line.y, right, &notified, if loud { Role::Error } else { Role::Dim });
        if usize::from(row) == selected {
            table::select(pen, line, 0);
        }
    }
    if firing.len() > rows {
        let more = format!("+{} more", firing.len() - rows);
        pen.put(area.x + 3, area.y + cells(rows), 20, &more, Role::Dim);
    }
    firing.len().min(rows)
}

/// Acknowledged alerts, so that none is forgotten, and where all are.
fn acked_line(model: &Model) -> String {
    let all = "2 Alerts: all";
    let alerts = model.server.alerts.value.iter().flat_map(|alerts| &alerts.rows);
    let acked = alerts.filter(|view| view.is_acked());
    let mut acks: Vec<_> = acked.filter_map(|view| view.row.ack.as_ref()).collect();
    acks.sort_by_key(|ack| ack.at);
    let Some(oldest) = acks.first() else { return all.to_owned() };
    let age = fmt::since(model.now(), oldest.at);
    format!("{} acked, longest {age} by {}   {all}", acks.len(), oldest.by)
}

fn draw_strip(model: &Model, pen: &mut Pen<'_>, area: Rect) {
    pen.rule(area, 0, "Last 24 h", "firing alerts, most at once in 30 min");
    let Some(strip) = &model.overview.strip else { return };
    let (from, to) = (model.now().minus(STRIP_SPAN), model.now());
    let rows = [("crit", Severity::Critical, Role::Crit), ("warn", Severity::Warning, Role::Warn)];
    let most = strip.iter().flat_map(|one| &one.values).map(|(_, v)| *v).fold(4.0, f64::max);
    let width = area.width.saturating_sub(7);
    for ((word, severity, role), y) in rows.into_iter().zip(area.y + 1..area.bottom()) {
        pen.put(area.x + 1, y, 4, word, Role::Dim);
        let points = strip_points(strip, &severity, (from, to), width);
        let spark = Spark { points: &points, from, to, range: Some((0.0, most)) };
        spark.draw(pen, area.x + 6, y, width, role);
    }
    draw_strip_times(model, pen, area, from);
}

/// One point a column: alerts of a severity that fired in the half hour it lies in. A half hour
/// without any has no sample, which means none.
fn strip_points(
    strip: &[MatrixSeries],
    severity: &Severity,
    (from, to): (Timestamp, Timestamp),
    width: u16,
) -> Vec<(Timestamp, f64)> {
    let mut sums = std::collections::BTreeMap::new();
    for series in strip {
        let found = Severity::of(series.metric.value_of("severity"));
        let found = if found == Severity::Error { Severity::Critical } else { found };
        if found == *severity {
            for (ts, value) in &series.values {
                *sums.entry(*ts).or_insert(0.0) += value;
            }
        }
    }
    let step = i64::try_from(STRIP_STEP.as_millis()).unwrap_or(i64::MAX);
    let span = to.millis_since(from);
    let columns = (0..i64::from(width)).map(|column| {
        let at = from.plus_millis(span * (2 * column + 1) / (2 * i64::from(width)));
        // A sample covers the half hour before it.
        let end = at.as_millis().div_euclid(step).saturating_add(1).saturating_mul(step);
        let value = sums.range(at..=Timestamp::from_millis(end)).next();
        (at, value.map_or(0.0, |(_, value)| *value))
    });
    columns.collect()
}

fn draw_strip_times(model: &Model, pen: &mut Pen<'_>, area: Rect, from: Timestamp) {
    if area.height < 4 {
        return;
    }
    let (y, width) = (area.y + 3, area.width.saturating_sub(7));
    for quarter in 0..5u16 {
        let at = from.plus_millis(i64::from(quarter) * 21_600_000);
        let text = fmt::clock(at, &model.look.zone);
        let x = area.x + 6 + width / 4 * quarter;
        if quarter == 4 {
            pen.put_right(area.x + 6 + width, y, 5, &text, Role::Dim);
        } else {
            pen.put(x, y, 5, &text, Role::Dim);
        }
    }
}

fn draw_health(model: &Model, pen: &mut Pen<'_>, area: Rect, selected: Option<usize>) {
    pen.rule(area, 0, "Health of the watcher", "");
    let status = model.server.status.value.as_ref();
    let lines = [
        ("scrape", scrape_line(model)),
        ("rules", rules_line(model)),
        ("notify", status.map(|status| notify_line(model, status)).unwrap_or_default()),
        ("storage", status.map(|status| storage_line(model, status)).unwrap_or_default()),
    ];
    for ((place, (name, (text, role))), row) in lines.into_iter().enumerate().zip(1u16..) {
        let line = top(below(area, row), 1);
        if line.height == 0 {
            return;
        }
        pen.put(line.x + 1, line.y, 8, name, Role::Dim);
        pen.put(line.x + 10, line.y, line.width.saturating_sub(11), &text, role);
        if selected == Some(place) {
            table::select(pen, line, 0);
        }
    }
}

fn scrape_line(model: &Model) -> (String, Role) {
    let Some(targets) = &model.server.targets.value else { return Default::default() };
    let all = &targets.active_targets;
    let down: Vec<_> = all.iter().filter(|one| one.health == TargetHealth::Down).collect();
    let up = all.iter().filter(|one| one.health == TargetHealth::Up).count();
    let samples: u64 = all.iter().map(|one| one.samples).sum();
    let mut text = format!("{up}/{} up", all.len());
    if !down.is_empty() {
        let names: Vec<_> =
            down.iter().take(3).map(|one| one.labels.value_of("instance")).collect();
        text.push_str(&format!("   {} down: {}", down.len(), names.join(", ")));
    }
    text.push_str(&format!("   {} samples a round", fmt::count(samples)));
    (text, if down.is_empty() { Role::Text } else { Role::Error })
}

/// A rule's name, health, error and time.
fn rule_facts(rule: &RuleForm) -> (&str, &str, &str, f64) {
    match rule {
        RuleForm::Alerting { name, health, last_error, evaluation_time, .. }
        | RuleForm::Recording { name, health, last_error, evaluation_time, .. } => {
            (name, health, last_error, *evaluation_time)
        }
    }
}

fn rules_line(model: &Model) -> (String, Role) {
    let Some(rules) = &model.server.rules.value else { return Default::default() };
    let all: Vec<_> = rules.groups.iter().flat_map(|group| &group.rules).map(rule_facts).collect();
    let failing: Vec<_> = all.iter().filter(|(_, health, ..)| *health == "err").collect();
    let slowest = all.iter().map(|(.., took)| *took).fold(0.0, f64::max);
    let ok = all.len() - failing.len();
    let slow = format!("   slowest {}", fmt::seconds(slowest));
    match failing.first() {
        None => (format!("{ok} ok{slow}"), Role::Text),
        Some((name, _, error, _)) => {
            (format!("{ok} ok, {} failing: {name} ({error}){slow}", failing.len()), Role::Error)
        }
    }
}

fn notify_line(model: &Model, status: &WatchStatus) -> (String, Role) {
    if status.receivers.is_empty() {
        return ("no receiver is configured: nobody is told".to_owned(), Role::Warn);
    }
    let now = model.now();
    let one =
        |receiver: &crate::wire::ReceiverStatus| match (receiver.failing_since, receiver.last_ok) {
            (Some(since), _) => {
                let since = fmt::since(now, since);
                format!("{} FAILING {since} ({})", receiver.name, receiver.last_error)
            }
            (None, Some(ok)) => format!("{} ok {}", receiver.name, fmt::since(now, ok)),
            (None, None) => format!("{} not used yet", receiver.name),
        };
    let failing = status.receivers.iter().any(|receiver| receiver.failing_since.is_some());
    let text = status.receivers.iter().map(one).collect::<Vec<_>>().join("   ");
    (text, if failing { Role::Error } else { Role::Text })
}

fn storage_line(model: &Model, status: &WatchStatus) -> (String, Role) {
    let storage = &status.storage;
    if let Some(why) = &storage.refusing {
        return (format!("REFUSES samples: {why}"), Role::Error);
    }
    let used = storage.block_bytes.saturating_add(storage.wal_bytes);
    let oldest = storage.oldest.map(|at| format!(", {} used", fmt::since(model.now(), at)));
    let text = format!(
        "{} series   {}   keeps {}{}   {} free",
        fmt::count(storage.series),
        fmt::bytes(used),
        storage.retention,
        oldest.unwrap_or_default(),
        fmt::bytes(storage.free_bytes),
    );
    (text, Role::Text)
}

fn draw_host(model: &Model, pen: &mut Pen<'_>, area: Rect, selected: Option<usize>) {
    if area.height < 2 {
        return;
    }
    pen.rule(area, 0, "Host", "last 5 min");
    let wide = area.height < 6;
    let columns = if wide { 2 } else { 1 };
    let width = area.width / columns;
    for (place, line) in HOST.iter().enumerate() {
        let place16 = cells(place);
        let (column, row) = (place16 % columns, place16 / columns);
        let spot = top(below(area, row + 1), 1);
        if spot.height == 0 {
            return;
        }
        let spot = Rect { x: area.x + column * width, width, ..spot };
        draw_host_line(model, pen, spot, line, place);
        if selected == Some(place) {
            table::select(pen, spot, 0);
        }
    }
}

fn draw_host_line(model: &Model, pen: &mut Pen<'_>, spot: Rect, line: &HostLine, place: usize) {
    pen.put(spot.x + 1, spot.y, 5, line.name, Role::Dim);
    let series = model.overview.host.get(place).map(Vec::as_slice).unwrap_or_default();
    let lines = lines_of(series);
    let Some(most) = lines.first() else {
        let text = if model.overview.host.is_empty() { "asking ..." } else { "no data yet" };
        pen.put(spot.x + 6, spot.y, spot.width.saturating_sub(6), text, Role::Dim);
        return;
    };
    let Some((_, last)) = most.points.last() else { return };
    let role = match line.full {
        Some(full) if *last >= full * 0.95 => Role::Crit,
        Some(full) if *last >= full * 0.85 => Role::Warn,
        Some(_) | None => Role::Text,
    };
    pen.put_right(spot.x + 16, spot.y, 10, &line.unit.text(*last), role);
    let mount = series
        .iter()
        .find(|one| one.values == most.points)
        .and_then(|one| one.metric.get("mountpoint"))
        .unwrap_or_default();
    let note = if line.name == "disk" { mount } else { "" };
    let width = spot.width.saturating_sub(18 + 11).min(60);
    let to = Timestamp::from_millis(model.now().as_millis().div_euclid(5_000) * 5_000);
    let range = line.full.map(|full| (0.0, full));
    let spark = Spark { points: &most.points, from: to.minus(HOST_SPAN), to, range };
    spark.draw(pen, spot.x + 17, spot.y, width, Role::Series(0));
    pen.put(spot.x + 18 + width, spot.y, 10, note, Role::Dim);
}
