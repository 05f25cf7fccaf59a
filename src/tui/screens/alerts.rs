//! The alert list: what fires, worst first, with a chart of the selected alert below.

use super::{ack, detail, explore, history, sheet, why};
use crate::model::{Labels, Timestamp};
use crate::tui::data::{AlertView, Alerts, Loadable, Severity, without_rule};
use crate::tui::filter::Filter;
use crate::tui::fmt;
use crate::tui::keys::Action;
use crate::tui::model::{Model, RANGES, range_ms};
use crate::tui::source::{Request, Slot};
use crate::tui::theme::Role;
use crate::tui::update::{self, Effect};
use crate::tui::widgets::prompt::Prompt;
use crate::tui::widgets::table::{Column, Field, Table};
use crate::tui::widgets::{Pen, below, top};
use crate::wire::MatrixSeries;
use ratatui::layout::Rect;
use std::collections::{BTreeMap, BTreeSet};

/// What holds alerts together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Grouping {
    /// The alert's name.
    #[default]
    Name,
    /// Who is told.
    Receiver,
    /// Nothing.
    None,
}

/// What the list is ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sorting {
    /// Severity, then the oldest first.
    #[default]
    Severity,
    /// The newest first.
    Age,
    /// The name.
    Name,
}

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// A group of more than one.
    Group {
        /// What its members share.
        key: String,
        /// How many there are.
        count: usize,
        /// The worst of them.
        severity: Severity,
        /// The oldest of them.
        since: Option<Timestamp>,
    },
    /// An alert, by its place among all; whether it stands below its group.
    Alert(usize, bool),
}

/// What the alert list remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct AlertsScreen {
    /// The selected alert's fingerprint, or a group's key.
    pub(crate) selected: Option<String>,
    /// The filter.
    pub(crate) filter: Prompt,
    /// Whether the filter is typed now.
    pub(crate) filtering: bool,
    /// Whether silenced, inhibited, muted and resolved alerts are listed.
    pub(crate) show_hidden: bool,
    /// What holds alerts together.
    pub(crate) grouping: Grouping,
    /// What the list is ordered by.
    pub(crate) sorting: Sorting,
    folded: BTreeSet<String>,
    /// The lines.
    pub(crate) rows: Vec<Row>,
    /// Alerts that pass the filter but are not listed.
    pub(crate) hidden: usize,
    /// The alert that fills the screen.
    pub(crate) detail: Option<String>,
    /// Zoom level of its chart.
    pub(crate) range: usize,
    /// The right edge of its chart; now when missing.
    pub(crate) end: Option<Timestamp>,
    /// Series of the chart.
    pub(crate) preview: Loadable<Vec<MatrixSeries>>,
    /// What the chart was asked for: fingerprint, zoom, edge.
    asked: Option<(String, usize, Option<Timestamp>)>,
}

impl AlertsScreen {
    /// A list with this filter.
    pub(crate) fn new(filter: &str) -> Self {
        Self { filter: Prompt::new(filter), range: 2, ..Self::default() }
    }

    /// Takes the series of the chart.
    pub(crate) fn take_preview(&mut self, outcome: Result<Vec<MatrixSeries>, String>) {
        self.preview.take(outcome);
    }

    /// The place of the selected line.
    fn place(&self, alerts: &Alerts) -> usize {
        let found = self.rows.iter().position(|row| self.selected == key_of(row, alerts));
        found.unwrap_or(0)
    }
}

/// What stays the same when the order changes.
fn key_of(row: &Row, alerts: &Alerts) -> Option<String> {
    match row {
        Row::Group { key, .. } => Some(key.clone()),
        Row::Alert(index, _) => alerts.rows.get(*index).map(|view| view.row.fingerprint.clone()),
    }
}

/// Makes the lines again after the data, the filter or a setting has changed. The selection stays
/// on its alert; when that is gone, it goes to the line in its place.
pub(crate) fn rebuild(model: &mut Model) {
    let Some(alerts) = &model.server.alerts.value else { return };
    let now = model.look.now;
    let screen = &mut model.alerts;
    let place = screen.place(alerts);
    let filter = Filter::parse(&screen.filter.text());
    let passing = alerts.rows.iter().enumerate().filter(|(_, view)| filter.matches(view, now));
    let (shown, hidden): (Vec<_>, Vec<_>) =
        passing.partition(|(_, view)| screen.show_hidden || view.is_active());
    screen.hidden = hidden.len();
    screen.rows = rows_of(screen, shown);
    let still = screen.rows.iter().any(|row| screen.selected == key_of(row, alerts));
    if !still {
        let last = screen.rows.len().saturating_sub(1);
        // A group's heading says nothing that its first member does not.
        let from = place.min(last);
        let alert = screen.rows.iter().skip(from).find(|row| matches!(row, Row::Alert(..)));
        screen.selected = alert.or(screen.rows.get(from)).and_then(|row| key_of(row, alerts));
    }
}

fn rows_of(screen: &AlertsScreen, mut shown: Vec<(usize, &AlertView)>) -> Vec<Row> {
    match screen.sorting {
        Sorting::Severity => {}
        Sorting::Age => shown.sort_by_key(|(_, view)| std::cmp::Reverse(view.since)),
        Sorting::Name => shown.sort_by(|a, b| a.1.row.labels.cmp(&b.1.row.labels)),
    }
    let mut order: Vec<String> = Vec::new();
    let mut groups: BTreeMap<String, Vec<(usize, &AlertView)>> = BTreeMap::new();
    for (index, view) in shown {
        let key = group_key(screen.grouping, view);
        let members = groups.entry(key.clone()).or_default();
        if members.is_empty() {
            order.push(key);
        }
        members.push((index, view));
    }
    let mut rows = Vec::new();
    for key in order {
        let members = groups.remove(&key).unwrap_or_default();
        if let [(index, _)] = members.as_slice() {
            rows.push(Row::Alert(*index, false));
            continue;
        }
        let severity = members.iter().map(|(_, view)| &view.severity).min();
        rows.push(Row::Group {
            key: key.clone(),
            count: members.len(),
            severity: severity.cloned().unwrap_or(Severity::None),
            since: members.iter().filter_map(|(_, view)| view.since).min(),
        });
        if !screen.folded.contains(&key) {
            rows.extend(members.into_iter().map(|(index, _)| Row::Alert(index, true)));
        }
    }
    rows
}

/// The alert that keys act on; for a group its first member.
pub(crate) fn current(model: &Model) -> Option<&AlertView> {
    let alerts = model.server.alerts.value.as_ref()?;
    let wanted = model.alerts.detail.as_ref().or(model.alerts.selected.as_ref())?;
    alerts.get(wanted).or_else(|| {
        let grouping = model.alerts.grouping;
        alerts.rows.iter().find(|view| group_key(grouping, view) == *wanted)
    })
}

/// The alerts that a key which acts on several acts on: the selected one, or those of the selected
/// group that are listed.
pub(super) fn selected(model: &Model) -> Vec<&AlertView> {
    let alone = || current(model).into_iter().collect();
    let Some(alerts) = &model.server.alerts.value else { return Vec::new() };
    let screen = &model.alerts;
    let Some(wanted) = &screen.selected else { return Vec::new() };
    if screen.detail.is_some() || alerts.get(wanted).is_some() {
        return alone();
    }
    let filter = Filter::parse(&screen.filter.text());
    let of_group = alerts.rows.iter().filter(|view| {
        group_key(screen.grouping, view) == *wanted
            && (screen.show_hidden || view.is_active())
            && filter.matches(view, model.look.now)
    });
    of_group.collect()
}

fn group_key(grouping: Grouping, view: &AlertView) -> String {
    match grouping {
        Grouping::Name => view.name.clone(),
        Grouping::Receiver => view.row.receivers.join(", "),
        Grouping::None => view.row.fingerprint.clone(),
    }
}

/// Asks for the chart when the selection, the zoom or the edge is another one than it was asked
/// for.
pub(crate) fn follow_selection(model: &mut Model) -> Vec<Effect> {
    let wanted = current(model)
        .map(|view| (view.row.fingerprint.clone(), model.alerts.range, model.alerts.end));
    if wanted == model.alerts.asked {
        return Vec::new();
    }
    let other = wanted.as_ref().map(|(alert, ..)| alert)
        != model.alerts.asked.as_ref().map(|(alert, ..)| alert);
    if other {
        model.alerts.preview = Loadable::default();
    }
    model.alerts.asked = wanted;
    match preview_request(model) {
        Some(request) => update::ask(model, Slot::Preview, request),
        None => Vec::new(),
    }
}

/// Asks for the newest samples of the chart.
pub(crate) fn ask_preview(model: &mut Model) -> Vec<Effect> {
    match preview_request(model) {
        Some(request) if model.alerts.end.is_none() => {
            update::ask_calmly(model, Slot::Preview, request)
        }
        Some(_) | None => Vec::new(),
    }
}

fn preview_request(model: &Model) -> Option<Request> {
    let view = current(model)?;
    let expr = view.row.limit.as_ref().map_or(&view.row.expr, |limit| &limit.left);
    if expr.is_empty() {
        return None;
    }
    let length = range_ms(model.alerts.range);
    let window = explore::window(length, model.alerts.end, model.now());
    Some(Request::Range(explore::range_query(expr, window, model.now())))
}

/// The series of a rule's expression that belong to an alert: none of their labels contradicts
/// the alert's.
pub(crate) fn series_of(alert: &Labels, series: &[MatrixSeries]) -> Vec<MatrixSeries> {
    let belongs = |one: &&MatrixSeries| {
        let metric = one.metric.without_name();
        metric.iter().all(|(name, value)| alert.get(name) == Some(value))
    };
    series.iter().filter(belongs).cloned().collect()
}

/// What a key does on the list, or on the one alert that fills the screen.
pub(crate) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::Up
        | Action::Down
        | Action::PageUp
        | Action::PageDown
        | Action::First
        | Action::Last
        | Action::NextItem
        | Action::PreviousItem => move_selection(model, action),
        Action::Open => open(model),
        Action::Back => back(model),
        Action::Filter => model.alerts.filtering = true,
        Action::Save => model.alerts.filtering = false,
        Action::ToggleHidden => {
            model.alerts.show_hidden = !model.alerts.show_hidden;
            rebuild(model);
        }
        Action::GroupBy => {
            model.alerts.grouping = match model.alerts.grouping {
                Grouping::Name => Grouping::Receiver,
                Grouping::Receiver => Grouping::None,
                Grouping::None => Grouping::Name,
            };
            rebuild(model);
        }
        Action::SortBy => {
            model.alerts.sorting = match model.alerts.sorting {
                Sorting::Severity => Sorting::Age,
                Sorting::Age => Sorting::Name,
                Sorting::Name => Sorting::Severity,
            };
            rebuild(model);
        }
        Action::ZoomIn => model.alerts.range = model.alerts.range.saturating_sub(1),
        Action::ZoomOut => model.alerts.range = (model.alerts.range + 1).min(RANGES.len() - 1),
        Action::PanLeft | Action::PanRight | Action::Live => {
            let length = range_ms(model.alerts.range);
            model.alerts.end = explore::panned(action, model.alerts.end, length, model.now());
        }
        Action::Silence => {
            let group = model.alerts.detail.is_none() && selects_group(model);
            if let Some(fingerprint) = current(model).map(|view| view.row.fingerprint.clone()) {
                sheet::open_for(model, &fingerprint, group);
            }
        }
        Action::Acknowledge => ack::open(model, &ack::meant(model)),
        Action::WithdrawAck => ack::ask_back(model, &ack::meant(model)),
        Action::Why => return why::open(model),
        Action::History => return history::show_current(model, false),
        Action::Deliveries => return history::show_current(model, true),
        Action::Explore => return explore_current(model),
        Action::Copy => return copy(model, current(model).map(AlertView::selector)),
        Action::Runbook => return runbook(model),
        _ => {}
    }
    Vec::new()
}

/// Whether the selected line is the heading of alerts of one name.
fn selects_group(model: &Model) -> bool {
    let alone = |alerts: &Alerts| {
        model.alerts.selected.as_ref().is_some_and(|wanted| alerts.get(wanted).is_none())
    };
    model.alerts.grouping == Grouping::Name && model.server.alerts.value.as_ref().is_some_and(alone)
}

fn explore_current(model: &mut Model) -> Vec<Effect> {
    let expr = current(model)
        .map(|view| view.row.limit.as_ref().map_or(&view.row.expr, |limit| &limit.left).clone());
    match expr {
        Some(expr) if !expr.is_empty() => explore::show(model, &expr),
        Some(_) => {
            let why = current(model).map_or("", |view| without_rule(&view.row));
            model.complain(format!("no expression to explore: {why}"));
            Vec::new()
        }
        None => Vec::new(),
    }
}

fn runbook(model: &mut Model) -> Vec<Effect> {
    let link = current(model).and_then(AlertView::runbook).map(str::to_owned);
    if link.is_none() && current(model).is_some() {
        model.complain("this alert has no runbook: its rule has no annotation runbook_url");
        return Vec::new();
    }
    copy(model, link)
}

/// Copies `text` and says so.
pub(crate) fn copy(model: &mut Model, text: Option<String>) -> Vec<Effect> {
    let Some(text) = text else { return Vec::new() };
    model.say(format!("copied: {text}"));
    vec![Effect::Copy(text)]
}

fn move_selection(model: &mut Model, action: Action) {
    let Some(alerts) = &model.server.alerts.value else { return };
    let screen = &mut model.alerts;
    let detail = screen.detail.is_some();
    let at = screen.place(alerts);
    let last = screen.rows.len().saturating_sub(1);
    let page = usize::from(model.size.1 / 2).max(1);
    let to = match action {
        Action::Up => at.saturating_sub(1),
        Action::Down => at + 1,
        Action::PageUp => at.saturating_sub(page),
        Action::PageDown => at + page,
        Action::First => 0,
        Action::NextItem => {
            let next =
                screen.rows.iter().skip(at + 1).position(|row| matches!(row, Row::Alert(..)));
            next.map_or(at, |step| at + 1 + step)
        }
        Action::PreviousItem => {
            let before = screen.rows.iter().take(at).rposition(|row| matches!(row, Row::Alert(..)));
            before.unwrap_or(at)
        }
        _ => last,
    };
    screen.selected = screen.rows.get(to.min(last)).and_then(|row| key_of(row, alerts));
    if detail {
        screen.detail.clone_from(&screen.selected);
    }
}

fn open(model: &mut Model) {
    let Some(alerts) = &model.server.alerts.value else { return };
    let Some(selected) = model.alerts.selected.clone() else { return };
    if alerts.get(&selected).is_some() {
        model.alerts.detail = Some(selected);
        return;
    }
    if !model.alerts.folded.remove(&selected) {
        model.alerts.folded.insert(selected);
    }
    rebuild(model);
}

fn back(model: &mut Model) {
    if model.alerts.detail.take().is_none() {
        model.alerts.filtering = false;
        model.alerts.filter = Prompt::default();
        rebuild(model);
    }
}

/// What an empty list says.
pub(crate) fn quiet_sentence(model: &Model) -> String {
    let status = model.server.status.value.as_ref();
    let mut text = "Nothing is firing.".to_owned();
    if let Some(last) = status.and_then(|status| status.last_resolved.as_ref()) {
        let ago = last.resolved_at.map(|at| fmt::since(model.now(), at)).unwrap_or_default();
        let name = last.labels.value_of("alertname");
        text.push_str(&format!(" Last: {name}, resolved {ago} ago."));
    }
    let rules = model.server.rules.value.as_ref();
    let rules =
        rules.map(|rules| rules.groups.iter().map(|group| group.rules.len()).sum::<usize>());
    let targets = model.server.targets.value.as_ref().map(|all| all.active_targets.len());
    match (rules, targets) {
        (Some(0), _) => text.push_str(" There are no rules: nothing can fire."),
        (Some(rules), Some(targets)) => {
            text.push_str(&format!(" {rules} rules look at {targets} targets."));
        }
        (Some(_) | None, _) => {}
    }
    text
}

/// Draws the list and the chart of the selected alert.
pub(crate) fn draw(model: &Model, pen: &mut Pen<'_>, body: Rect) {
    draw_summary(model, pen, body);
    let below_summary = below(body, 1);
    let detail_rows = if body.height >= 30 { body.height / 2 } else { body.height * 2 / 5 };
    let list = top(below_summary, below_summary.height.saturating_sub(detail_rows));
    let Some(alerts) = &model.server.alerts.value else {
        let error = model.server.alerts.error.as_deref();
        super::draw_empty(pen, below(list, 1), "asking ...", error);
        return;
    };
    if model.alerts.rows.is_empty() {
        draw_none(model, alerts, pen, below(list, 1));
        return;
    }
    let table = Table {
        columns: &COLUMNS,
        count: model.alerts.rows.len(),
        selected: model.alerts.place(alerts),
        focused: true,
    };
    table.draw(pen, list, |place| match model.alerts.rows.get(place) {
        Some(row) => fields(model, alerts, row),
        None => Vec::new(),
    });
    if let Some(view) = current(model) {
        detail::draw_preview(model, pen, below(below_summary, list.height), view);
    }
}

const COLUMNS: [Column; 8] = [
    Column::new(" ", 1),
    Column::new("SEV", 4),
    Column::new("ALERT / WHERE", 0),
    Column::new("LABELS", 0).from(110),
    Column::new("VALUE", 9).right(),
    Column::new("LIMIT", 10).from(100),
    Column::new("AGE", 5).right(),
    Column::new("NOTIFIED", 20),
];

fn fields(model: &Model, alerts: &Alerts, row: &Row) -> Vec<Field> {
    let now = model.now();
    let age = |since: Option<Timestamp>| since.map(|at| fmt::since(now, at)).unwrap_or_default();
    let blank = || (String::new(), Role::Text);
    match row {
        Row::Group { key, count, severity, since } => {
            let fold = if model.alerts.folded.contains(key) { ">" } else { "v" };
            vec![
                (fold.to_owned(), Role::Dim),
                (severity.word(), severity.role()),
                (format!("{key} ({count})"), Role::Text),
                blank(),
                blank(),
                blank(),
                (age(*since), Role::Text),
                blank(),
            ]
        }
        Row::Alert(index, member) => {
            let Some(view) = alerts.rows.get(*index) else { return Vec::new() };
            let indent = if *member { "  " } else { "" };
            let name = match (*member, model.alerts.grouping) {
                (true, Grouping::Name) => format!("{indent}{}", view.place),
                (true, Grouping::Receiver | Grouping::None) | (false, _) => {
                    format!("{indent}{} {}", view.name, view.place)
                }
            };
            let loud = view.is_untold();
            vec![
                (view.mark().to_owned(), view.severity.role()),
                (view.severity.word(), view.severity.role()),
                (name, Role::Text),
                (other_labels(view), Role::Dim),
                (view.value.clone(), Role::Text),
                (view.limit.clone(), Role::Dim),
                (age(view.since), Role::Text),
                (view.notified(now), if loud { Role::Error } else { Role::Dim }),
            ]
        }
    }
}

/// Labels that the row does not show already.
fn other_labels(view: &AlertView) -> String {
    let shown = |name: &str, value: &str| {
        matches!(name, "alertname" | "severity") || view.place.contains(value)
    };
    let labels = view.row.labels.iter().filter(|(name, value)| !shown(name, value));
    labels.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

fn draw_summary(model: &Model, pen: &mut Pen<'_>, body: Rect) {
    let screen = &model.alerts;
    let state = if screen.show_hidden { "all" } else { "active" };
    let group = match screen.grouping {
        Grouping::Name => "alertname",
        Grouping::Receiver => "receiver",
        Grouping::None => "none",
    };
    let sort = match screen.sorting {
        Sorting::Severity => "severity, age",
        Sorting::Age => "age",
        Sorting::Name => "name",
    };
    let text = format!(" state {state}   group {group}   sort {sort}");
    let mut x = pen.put(body.x, body.y, body.width, &text, Role::Dim);
    let filter = screen.filter.text();
    if screen.filtering || !filter.is_empty() {
        x = pen.put(x, body.y, body.width, "   filter ", Role::Dim);
        let room =
            Rect { x, y: body.y, width: (body.right().saturating_sub(x)).min(30), height: 1 };
        screen.filter.draw(pen, room, screen.filtering);
    }
    let shown = screen.rows.iter().filter(|row| matches!(row, Row::Alert(..))).count();
    let hidden = match screen.hidden {
        0 => String::new(),
        hidden => format!(", {hidden} hidden: z"),
    };
    let text = format!("{shown} shown{hidden} ");
    pen.put_right(body.right(), body.y, 30, &text, Role::Dim);
}

fn draw_none(model: &Model, alerts: &Alerts, pen: &mut Pen<'_>, area: Rect) {
    let filter = model.alerts.filter.text();
    let text = if filter.is_empty() {
        let mut text = quiet_sentence(model);
        if model.alerts.hidden > 0 {
            text.push_str(&format!(" z shows {} that are held back.", model.alerts.hidden));
        }
        text
    } else {
        format!("0 of {} match {filter}. esc drops the filter.", alerts.rows.len())
    };
    super::draw_empty(pen, area, &text, None);
}
