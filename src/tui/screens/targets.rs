//! Targets: what is scraped, whether it answers, and why not; what is wrong with whole jobs; and
//! what relabelling dropped.

use super::detail::draw_pairs;
use crate::model::Labels;
use crate::tui::fmt;
use crate::tui::model::Model;
use crate::tui::theme::Role;
use crate::tui::widgets::table::{Column, Field, Table};
use crate::tui::widgets::{Pen, below, top};
use crate::wire::{DroppedTarget, TargetForm, TargetHealth};
use ratatui::layout::Rect;

/// A line of the list.
#[derive(Clone, Copy, Debug)]
pub(super) enum Row<'a> {
    /// What is wrong with a job as a whole: it is skipped, its discovery fails.
    Problem {
        /// The job.
        job: &'a str,
        /// What is wrong with it.
        text: &'a str,
    },
    /// A target that is scraped.
    Target(&'a TargetForm),
    /// One that is not, by a rule or because it is none.
    Dropped(&'a DroppedTarget),
}

/// Which line it is, also after the next answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowKey {
    job: String,
    /// The labels before relabelling; none for a job's problem.
    pub(crate) before: Labels,
    /// A job's problem.
    text: String,
}

impl RowKey {
    /// The job whose rules made the target of its labels; `None` for a job's problem.
    pub(crate) fn relabelled(&self) -> Option<(&str, &Labels)> {
        self.text.is_empty().then_some((self.job.as_str(), &self.before))
    }
}

impl<'a> Row<'a> {
    /// Which line it is.
    pub(super) fn key(self) -> RowKey {
        let (before, text) = match self {
            Self::Problem { text, .. } => (Labels::empty(), text.to_owned()),
            Self::Target(one) => (one.discovered_labels.clone(), String::new()),
            Self::Dropped(one) => (one.discovered_labels.clone(), String::new()),
        };
        RowKey { job: self.job().to_owned(), before, text }
    }

    /// The job.
    pub(super) fn job(self) -> &'a str {
        match self {
            Self::Problem { job, .. } => job,
            Self::Target(one) => &one.scrape_pool,
            Self::Dropped(one) => &one.scrape_pool,
        }
    }

    /// What it is called beside its job.
    pub(super) fn name(self) -> &'a str {
        match self {
            Self::Problem { text, .. } => text,
            Self::Target(one) => one.labels.value_of("instance"),
            Self::Dropped(one) => one.discovered_labels.value_of("__address__"),
        }
    }

    /// What is copied of it: where it is, or what is wrong.
    pub(super) fn copied(self) -> String {
        match self {
            Self::Target(one) => one.scrape_url.clone(),
            Self::Problem { .. } | Self::Dropped(_) => self.name().to_owned(),
        }
    }

    /// Mark, word and color of its state.
    pub(super) fn state(self) -> (&'static str, &'static str, Role) {
        match self {
            Self::Problem { .. } => ("!", "JOB", Role::Warn),
            Self::Target(one) => match one.health {
                TargetHealth::Down => ("!", "DOWN", Role::Crit),
                TargetHealth::Unknown => ("~", "new", Role::Pending),
                TargetHealth::Up if !one.notes.is_empty() => ("~", "notes", Role::Warn),
                TargetHealth::Up => (" ", "up", Role::Ok),
            },
            Self::Dropped(one) if one.reason.is_some() => ("~", "none", Role::Warn),
            Self::Dropped(_) => ("-", "drop", Role::Dim),
        }
    }

    /// What is wrong comes first.
    fn order(self) -> u8 {
        match self {
            Self::Problem { .. } => 0,
            Self::Target(one) => match one.health {
                TargetHealth::Down => 1,
                TargetHealth::Unknown => 2,
                TargetHealth::Up => 3,
            },
            Self::Dropped(_) => 4,
        }
    }

    fn passes(self, model: &Model) -> bool {
        let (word, job) = (self.state().1, self.job());
        let text = match self {
            Self::Problem { text, .. } => format!("{word} {job} {text}"),
            Self::Target(one) => format!("{word} {job} {} {}", one.labels, one.scrape_url),
            Self::Dropped(one) => format!("{word} {job} {}", one.discovered_labels),
        };
        model.targets.passes(&text)
    }
}

/// All lines that there are; what was dropped is not always among those of the list.
fn every(model: &Model) -> impl Iterator<Item = Row<'_>> {
    model.server.targets.value.iter().flat_map(|targets| {
        let problems = targets.job_problems.iter().flat_map(|(job, problems)| {
            problems.iter().map(move |text| Row::Problem { job: job.as_str(), text })
        });
        let dropped = targets.dropped_targets.iter().map(Row::Dropped);
        problems.chain(targets.active_targets.iter().map(Row::Target)).chain(dropped)
    })
}

/// Lines that pass the filter: problems and what is down first, then by job and instance.
pub(super) fn rows(model: &Model) -> Vec<Row<'_>> {
    let shown = |row: &Row<'_>| model.target.shows_dropped || !matches!(row, Row::Dropped(_));
    let mut rows: Vec<_> = every(model).filter(|row| shown(row) && row.passes(model)).collect();
    let place = |row: &Row<'_>| match *row {
        Row::Target(one) => one.scrape_url.clone(),
        other => other.name().to_owned(),
    };
    rows.sort_by(|a, b| {
        let by_job = a.job().cmp(b.job());
        a.order().cmp(&b.order()).then(by_job).then_with(|| place(a).cmp(&place(b)))
    });
    rows
}

/// The line with this key, also when the list does not show it now.
pub(super) fn find<'a>(model: &'a Model, key: &RowKey) -> Option<Row<'a>> {
    every(model).find(|row| row.job() == key.job && row.key() == *key)
}

/// The line that keys act on: the one that is open, or the selected one.
pub(super) fn current(model: &Model) -> Option<Row<'_>> {
    if let Some(open) = &model.target.open {
        return find(model, &open.row);
    }
    let rows = rows(model);
    rows.get(model.targets.selected.min(rows.len().saturating_sub(1))).copied()
}

/// Whether the target answered, over time.
pub(super) fn up_expr(row: Row<'_>) -> Option<String> {
    let Row::Target(target) = row else { return None };
    let label =
        |name: &str| target.labels.value_of(name).replace('\\', "\\\\").replace('"', "\\\"");
    Some(format!("up{{job=\"{}\", instance=\"{}\"}}", label("job"), label("instance")))
}

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
    if model.server.targets.value.is_none() {
        let error = model.server.targets.error.as_deref();
        super::draw_empty(pen, body, "asking ...", error);
        return;
    }
    pen.put(body.x, body.y, body.width.saturating_sub(32), &summary(model), Role::Dim);
    model.targets.draw_filter(pen, body);
    let area = below(body, 1);
    let rows = rows(model);
    if rows.is_empty() {
        let text = if every(model).next().is_none() {
            "Nothing is scraped. Add a job under scrape_configs, then reload."
        } else if model.targets.filter.text().is_empty() {
            "Nothing is scraped: relabelling dropped all targets. z shows them."
        } else {
            "No target matches the filter. esc drops it."
        };
        super::draw_empty(pen, below(area, 1), text, None);
        return;
    }
    let list = top(area, area.height * 3 / 5);
    let selected = model.targets.selected.min(rows.len() - 1);
    let table = Table { columns: &COLUMNS, count: rows.len(), selected, focused: true };
    table.draw(pen, list, |place| {
        rows.get(place).map(|row| fields(model, *row)).unwrap_or_default()
    });
    if let Some(row) = rows.get(selected) {
        draw_preview(model, pen, below(area, list.height), *row);
    }
}

fn summary(model: &Model) -> String {
    let Some(targets) = &model.server.targets.value else { return String::new() };
    let all = &targets.active_targets;
    let up = all.iter().filter(|one| one.health == TargetHealth::Up).count();
    let mut text = format!(" {up} of {} up", all.len());
    let problems: usize = targets.job_problems.values().map(Vec::len).sum();
    if problems > 0 {
        text.push_str(&format!("   {problems} problems"));
    }
    let dropped: u64 = targets.dropped_target_counts.values().sum();
    if dropped > 0 {
        let kept = targets.dropped_targets.len();
        text.push_str(&match model.target.shows_dropped {
            false => format!("   {dropped} dropped: z"),
            true if u64::try_from(kept).is_ok_and(|kept| kept < dropped) => {
                format!("   {dropped} dropped, {kept} of them kept")
            }
            true => format!("   {dropped} dropped"),
        });
    }
    text
}

fn fields(model: &Model, row: Row<'_>) -> Vec<Field> {
    let (mark, health, role) = row.state();
    let text = |text: String| (text, Role::Text);
    let mut fields = vec![
        (mark.to_owned(), role),
        (health.to_owned(), role),
        text(row.job().to_owned()),
        text(row.name().to_owned()),
    ];
    if let Row::Target(target) = row {
        let down = target.health != TargetHealth::Up;
        let last = target.last_scrape.map(|at| fmt::age_bound(model.now().millis_since(at)).0);
        let took = fmt::seconds(target.last_scrape_duration);
        fields.extend([
            text(last.unwrap_or_else(|| "-".to_owned())),
            text(if target.last_scrape.is_none() { "-".to_owned() } else { took }),
            text(if down { "-".to_owned() } else { fmt::count(target.samples) }),
            (target.scrape_url.clone(), Role::Dim),
        ]);
    }
    fields
}

/// Since when it is as it is.
pub(super) fn since(model: &Model, row: Row<'_>) -> String {
    let Row::Target(target) = row else { return String::new() };
    let since = target.since.map(|at| {
        format!("{} since {}", row.state().1, fmt::moment(at, model.now(), &model.look.zone))
    });
    since.unwrap_or_default()
}

/// What is wrong with it, what it says, and where it is: names and texts.
pub(super) fn facts(model: &Model, row: Row<'_>) -> Vec<(&'static str, String)> {
    let target = match row {
        Row::Problem { text, .. } => return vec![("problem", text.to_owned())],
        Row::Dropped(one) => {
            let why = one.reason.clone();
            let why = why.unwrap_or_else(|| "dropped by relabelling".to_owned());
            return vec![("not scraped", why)];
        }
        Row::Target(target) => target,
    };
    let mut facts: Vec<(&str, String)> = Vec::new();
    if !target.last_error.is_empty() {
        facts.push(("last error", target.last_error.clone()));
    }
    facts.extend(target.notes.iter().map(|note| ("note", note.clone())));
    let (url, every) = (&target.scrape_url, &target.scrape_interval);
    facts.push(("url", format!("{url}   every {every}  timeout {}", target.scrape_timeout)));
    let instance = target.labels.value_of("instance");
    let alerts = model.server.alerts.value.iter().flat_map(crate::tui::data::worst_first);
    let alerts = alerts.filter(|view| view.row.labels.value_of("instance") == instance);
    let alerts: Vec<_> =
        alerts.map(|view| format!("{} ({})", view.name, view.severity.word())).collect();
    if !alerts.is_empty() {
        facts.push(("alerts", alerts.join("  ")));
    }
    facts
}

fn pairs_of(labels: &Labels) -> String {
    labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

fn draw_preview(model: &Model, pen: &mut Pen<'_>, area: Rect, row: Row<'_>) {
    let title = match row {
        Row::Problem { job, .. } => job,
        Row::Target(_) | Row::Dropped(_) => row.name(),
    };
    pen.rule(area, 0, title, &since(model, row));
    let mut pairs = facts(model, row);
    match row {
        Row::Problem { .. } => {}
        Row::Target(target) => {
            pairs.push(("labels", pairs_of(&target.labels)));
            pairs.push(("discovered", pairs_of(&target.discovered_labels)));
        }
        Row::Dropped(one) => pairs.push(("discovered", pairs_of(&one.discovered_labels))),
    }
    draw_pairs(pen, below(area, 1), &pairs);
}
