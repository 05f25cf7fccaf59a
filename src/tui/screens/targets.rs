//! Targets: what is scraped, whether it answers, and why not.

use super::detail::draw_pairs;
use crate::model::Labels;
use crate::tui::fmt;
use crate::tui::model::Model;
use crate::tui::theme::Role;
use crate::tui::widgets::table::{Column, Field, Table};
use crate::tui::widgets::{Pen, below, top};
use crate::wire::{TargetForm, TargetHealth, TargetsAnswer};
use ratatui::layout::Rect;

/// Targets that pass the filter: down first, then by job and instance.
pub(super) fn rows(model: &Model) -> Vec<&TargetForm> {
    let Some(targets) = &model.server.targets.value else { return Vec::new() };
    let passes = |one: &&TargetForm| {
        let word = word(one).1;
        model
            .targets
            .passes(&format!("{word} {} {} {}", one.scrape_pool, one.labels, one.scrape_url))
    };
    let mut rows: Vec<_> = targets.active_targets.iter().filter(passes).collect();
    let order = |one: &TargetForm| match one.health {
        TargetHealth::Down => 0,
        TargetHealth::Unknown => 1,
        TargetHealth::Up => 2,
    };
    rows.sort_by(|a, b| {
        let by_job = a.scrape_pool.cmp(&b.scrape_pool);
        order(a).cmp(&order(b)).then(by_job).then_with(|| a.scrape_url.cmp(&b.scrape_url))
    });
    rows
}

/// The selected target.
pub(super) fn current(model: &Model) -> Option<&TargetForm> {
    let rows = rows(model);
    rows.get(model.targets.selected.min(rows.len().saturating_sub(1))).copied()
}

/// Whether the target answered, over time.
pub(super) fn up_expr(target: &TargetForm) -> String {
    let label =
        |name: &str| target.labels.value_of(name).replace('\\', "\\\\").replace('"', "\\\"");
    format!("up{{job=\"{}\", instance=\"{}\"}}", label("job"), label("instance"))
}

/// Mark, word and color of a target's health.
fn word(target: &TargetForm) -> (&'static str, &'static str, Role) {
    match target.health {
        TargetHealth::Down => ("!", "DOWN", Role::Crit),
        TargetHealth::Unknown => ("~", "new", Role::Pending),
        TargetHealth::Up if !target.notes.is_empty() => ("~", "notes", Role::Warn),
        TargetHealth::Up => (" ", "up", Role::Ok),
    }
}

/// Rows for what is wrong with jobs.
const PROBLEM_ROWS_MAX: u16 = 4;

const COLUMNS: [Column; 8] = [
    Column::new(" ", 1),
    Column::new("HEALTH", 6),
    Column::new("JOB", 14),
    Column::new("INSTANCE", 0),
    Column::new("LAST", 6).right(),
    Column::new("TOOK", 8).right(),
    Column::new("SAMPLES", 7).right(),
    Column::new("URL", 44).from(120),
];

/// Draws Targets.
pub(super) fn draw(model: &Model, pen: &mut Pen<'_>, body: Rect) {
    let Some(targets) = &model.server.targets.value else {
        let error = model.server.targets.error.as_deref();
        super::draw_empty(pen, body, "asking ...", error);
        return;
    };
    let all = &targets.active_targets;
    let up = all.iter().filter(|one| one.health == TargetHealth::Up).count();
    let dropped: u64 = targets.dropped_target_counts.values().sum();
    let mut text = format!(" {up} of {} up", all.len());
    if dropped > 0 {
        text.push_str(&format!("   {dropped} dropped by relabelling"));
    }
    pen.put(body.x, body.y, body.width / 2, &text, Role::Dim);
    model.targets.draw_filter(pen, body);
    let area = draw_problems(targets, pen, below(body, 1));
    let rows = rows(model);
    if rows.is_empty() {
        let text = if all.is_empty() {
            "Nothing is scraped. Add a job under scrape_configs, then reload."
        } else {
            "No target matches the filter. esc drops it."
        };
        super::draw_empty(pen, below(area, 1), text, None);
        return;
    }
    let list = top(area, area.height * 3 / 5);
    let selected = model.targets.selected.min(rows.len() - 1);
    let table = Table { columns: &COLUMNS, count: rows.len(), selected, focused: true };
    table
        .draw(pen, list, |place| rows.get(place).map(|one| fields(model, one)).unwrap_or_default());
    if let Some(target) = rows.get(selected) {
        draw_detail(model, pen, below(area, list.height), target);
    }
}

/// What is wrong with jobs as a whole, a line each; answers the area below.
fn draw_problems(targets: &TargetsAnswer, pen: &mut Pen<'_>, area: Rect) -> Rect {
    let problems: Vec<_> = targets
        .job_problems
        .iter()
        .flat_map(|(job, problems)| problems.iter().map(move |text| format!("job {job}: {text}")))
        .collect();
    // Targets are what the screen is for: in a small one there is room for two problems.
    let room = usize::from((area.height / 8).min(PROBLEM_ROWS_MAX));
    let shown = if problems.len() > room { room.saturating_sub(1) } else { problems.len() };
    let rest = problems.len() - shown;
    let more =
        (rest > 0).then(|| format!("{rest} more problems of jobs: watchbell targets explain"));
    let mut left = area;
    for text in problems.iter().take(shown).chain(&more) {
        pen.put(left.x, left.y, left.width, &format!("  ! {text}"), Role::Warn);
        left = below(left, 1);
    }
    left
}

fn fields(model: &Model, target: &TargetForm) -> Vec<Field> {
    let (mark, health, role) = word(target);
    let down = target.health != TargetHealth::Up;
    let last = target.last_scrape.map(|at| fmt::age_bound(model.now().millis_since(at)).0);
    let took = fmt::seconds(target.last_scrape_duration);
    let text = |text: String| (text, Role::Text);
    vec![
        (mark.to_owned(), role),
        (health.to_owned(), role),
        text(target.scrape_pool.clone()),
        text(target.labels.value_of("instance").to_owned()),
        text(last.unwrap_or_else(|| "-".to_owned())),
        text(if target.last_scrape.is_none() { "-".to_owned() } else { took }),
        text(if down { "-".to_owned() } else { fmt::count(target.samples) }),
        (target.scrape_url.clone(), Role::Dim),
    ]
}

fn pairs_of(labels: &Labels) -> String {
    labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

fn draw_detail(model: &Model, pen: &mut Pen<'_>, area: Rect, target: &TargetForm) {
    let since = target.since.map(|at| {
        format!("{} since {}", word(target).1, fmt::moment(at, model.now(), &model.look.zone))
    });
    pen.rule(area, 0, target.labels.value_of("instance"), &since.unwrap_or_default());
    let mut pairs: Vec<(&str, String)> = Vec::new();
    if !target.last_error.is_empty() {
        pairs.push(("last error", target.last_error.clone()));
    }
    for note in &target.notes {
        pairs.push(("note", note.clone()));
    }
    let every = format!(
        "{}   every {}  timeout {}",
        target.scrape_url, target.scrape_interval, target.scrape_timeout
    );
    pairs.push(("url", every));
    pairs.push(("labels", pairs_of(&target.labels)));
    pairs.push(("discovered", pairs_of(&target.discovered_labels)));
    let instance = target.labels.value_of("instance");
    let alerts = model.server.alerts.value.iter().flat_map(super::super::data::worst_first);
    let alerts = alerts.filter(|view| view.row.labels.value_of("instance") == instance);
    let alerts: Vec<_> =
        alerts.map(|view| format!("{} ({})", view.name, view.severity.word())).collect();
    if !alerts.is_empty() {
        pairs.push(("alerts", alerts.join("  ")));
    }
    draw_pairs(pen, below(area, 1), &pairs);
}
