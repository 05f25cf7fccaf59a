//! Explore: an expression, its chart, and its series as a table.

use super::proposals::{self, Proposals, Wanted};
use crate::model::{TimeRange, Timestamp};
use crate::promql::syntax::{self, ParseError};
use crate::tui::data::{Loadable, lines_of};
use crate::tui::fmt::{self, Unit};
use crate::tui::keys::Action;
use crate::tui::model::{Model, RANGES, range_ms, range_name};
use crate::tui::options::ScreenName;
use crate::tui::source::{Request, Slot};
use crate::tui::theme::Role;
use crate::tui::update::{self, Effect};
use crate::tui::widgets::chart::{Chart, Line};
use crate::tui::widgets::prompt::Prompt;
use crate::tui::widgets::spark::Spark;
use crate::tui::widgets::table::{Column, Table};
use crate::tui::widgets::{Pen, below, cells, indent, top};
use crate::wire::{Detail, MatrixSeries, RangeQuery};
use ratatui::layout::Rect;
use std::time::Duration;

/// Expressions that are remembered.
const HISTORY_MAX: usize = 100;

/// The table of series; its last column is for their sparks.
pub(crate) const COLUMNS: [Column; 7] = [
    Column::new("#", 3).right(),
    Column::new("SERIES", 0),
    Column::new("LAST", 9).right(),
    Column::new("MIN", 9).right(),
    Column::new("MAX", 9).right(),
    Column::new("AVG", 9).right(),
    Column::new("", 12).from(90),
];

/// What Explore remembers.
#[derive(Clone, Debug)]
pub(crate) struct Explore {
    /// The expression under edit.
    pub(crate) prompt: Prompt,
    /// Whether it is edited now.
    pub(crate) editing: bool,
    /// The expression that was asked for.
    pub(crate) expr: String,
    /// Zoom level.
    pub(crate) range: usize,
    /// The right edge; now when missing.
    pub(crate) end: Option<Timestamp>,
    /// The answer.
    result: Loadable<Vec<Line>>,
    /// Whether the table has the whole screen.
    table_only: bool,
    /// The selected series.
    selected: usize,
    history: Vec<String>,
    history_place: Option<usize>,
    /// Names of all metrics.
    pub(crate) metrics: Vec<String>,
    proposals: Proposals,
    /// Why the answer is empty, once that was asked for.
    pub(crate) hints: Option<Vec<String>>,
    /// What is wrong with the text of the prompt.
    problem: Option<ParseError>,
}

impl Explore {
    /// A screen that shows `expr` when it is opened.
    pub(crate) fn new(expr: &str) -> Self {
        Self {
            prompt: Prompt::new(expr),
            editing: false,
            expr: expr.to_owned(),
            range: 2,
            end: None,
            result: Loadable::default(),
            table_only: false,
            selected: 0,
            history: Vec::new(),
            history_place: None,
            metrics: Vec::new(),
            proposals: Proposals::default(),
            hints: None,
            problem: None,
        }
    }

    /// Reads the text of the prompt.
    fn check(&mut self) {
        let text = self.prompt.text();
        let read = syntax::parse(&text, &syntax::Features::ALL);
        self.problem = read.err().filter(|_| !text.trim().is_empty());
    }

    /// Takes an answer.
    pub(crate) fn take(&mut self, outcome: Result<Vec<MatrixSeries>, String>) {
        self.result.take(outcome.map(|series| lines_of(&series)));
    }

    /// Takes label names or values for the proposals.
    pub(crate) fn take_words(&mut self, words: Vec<String>) {
        self.proposals.take(words);
    }
}

/// The window of a chart: `length` up to `end`, or, live, up to the next eighth of the length
/// after now, so that it stands still while samples come and then jumps.
pub(crate) fn window(
    length_ms: i64,
    end: Option<Timestamp>,
    now: Timestamp,
) -> (Timestamp, Timestamp) {
    let to = end.unwrap_or_else(|| {
        let eighth = (length_ms / 8).max(1);
        let next = now.as_millis().div_euclid(eighth).saturating_add(1);
        Timestamp::from_millis(next.saturating_mul(eighth))
    });
    (to.plus_millis(-length_ms), to)
}

/// The right edge after a move by a quarter; `None` is live.
pub(crate) fn panned(
    action: Action,
    end: Option<Timestamp>,
    length_ms: i64,
    now: Timestamp,
) -> Option<Timestamp> {
    let from = end.unwrap_or(now);
    match action {
        Action::PanLeft => Some(from.plus_millis(-length_ms / 4)),
        Action::PanRight => Some(from.plus_millis(length_ms / 4)).filter(|end| *end < now),
        _ => None,
    }
}

/// Milliseconds between the samples of a window.
fn step_ms(from: Timestamp, to: Timestamp) -> i64 {
    let raw = to.millis_since(from) / 240;
    let steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800];
    let found = steps.into_iter().map(|step| step * 1000).find(|step| *step >= raw);
    found.unwrap_or(raw)
}

/// Samples of a window further apart than this are not joined.
pub(crate) fn gap_ms(from: Timestamp, to: Timestamp) -> i64 {
    step_ms(from, to) * 3 / 2
}

/// The query for a window; its steps are on multiples of the step, so that samples stay where
/// they are while the window stands still.
pub(crate) fn range_query(
    expr: &str,
    (from, to): (Timestamp, Timestamp),
    now: Timestamp,
) -> RangeQuery {
    let step = step_ms(from, to);
    let on_step = |ts: Timestamp| Timestamp::from_millis(ts.as_millis().div_euclid(step) * step);
    let start = on_step(from);
    RangeQuery {
        expr: expr.to_owned(),
        start,
        end: on_step(to.min(now)).max(start),
        step: Duration::from_millis(u64::try_from(step).unwrap_or(1000)),
        timeout: Some(crate::tui::source::ANSWER_TIMEOUT),
        lookback: None,
        limit: 0,
        detail: Detail::default(),
    }
}

fn request(model: &Model) -> Option<Request> {
    let explore = &model.explore;
    if explore.expr.trim().is_empty() {
        return None;
    }
    let window = window(range_ms(explore.range), explore.end, model.now());
    Some(Request::Range(range_query(&explore.expr, window, model.now())))
}

/// Asks for the newest samples, unless the window is in the past.
pub(crate) fn ask_live(model: &mut Model) -> Vec<Effect> {
    match request(model) {
        Some(request) if model.explore.end.is_none() => {
            update::ask_calmly(model, Slot::Explore, request)
        }
        Some(_) | None => Vec::new(),
    }
}

/// Asks for what proposals need.
pub(crate) fn open(model: &mut Model) -> Vec<Effect> {
    let now = model.now();
    let request = Request::LabelValues { name: "__name__".to_owned(), metric: None, now };
    update::ask_calmly(model, Slot::Metrics, request)
}

/// Asks why there are no series, once for each answer to an expression that has none.
pub(crate) fn ask_hints(model: &mut Model) -> Vec<Effect> {
    let explore = &model.explore;
    let is_empty = explore.result.value.as_ref().is_some_and(Vec::is_empty);
    if !is_empty || explore.hints.is_some() {
        return Vec::new();
    }
    let (from, to) = window(range_ms(explore.range), explore.end, model.now());
    let range = TimeRange::new(from, to).unwrap_or(TimeRange::at(to));
    update::ask_calmly(model, Slot::Hints, Request::Hints { expr: explore.expr.clone(), range })
}

/// Goes to Explore with this expression.
pub(crate) fn show(model: &mut Model, expr: &str) -> Vec<Effect> {
    let expr = expr.split_whitespace().collect::<Vec<_>>().join(" ");
    model.explore.prompt = Prompt::new(&expr);
    model.explore.editing = false;
    model.explore.end = None;
    let mut effects = run(model);
    effects.extend(update::go(model, ScreenName::Explore));
    effects
}

/// Asks for the expression of the prompt.
fn run(model: &mut Model) -> Vec<Effect> {
    model.explore.check();
    if let Some(problem) = &model.explore.problem {
        let text = problem.to_string();
        model.complain(text);
        return Vec::new();
    }
    let expr = model.explore.prompt.text();
    if expr != model.explore.expr {
        model.explore.result = Loadable::default();
        model.explore.selected = 0;
    }
    model.explore.history.retain(|old| *old != expr);
    model.explore.history.push(expr.clone());
    if model.explore.history.len() > HISTORY_MAX {
        model.explore.history.remove(0);
    }
    model.explore.history_place = None;
    model.explore.expr = expr;
    model.explore.editing = false;
    model.explore.proposals = Proposals::default();
    ask_again(model)
}

fn ask_again(model: &mut Model) -> Vec<Effect> {
    model.explore.hints = None;
    match request(model) {
        Some(request) => update::ask(model, Slot::Explore, request),
        None => Vec::new(),
    }
}

/// What a key does on Explore.
pub(crate) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let length = range_ms(model.explore.range);
    let last = model.explore.result.value.as_ref().map_or(0, |lines| lines.len().saturating_sub(1));
    let at = model.explore.selected.min(last);
    match action {
        Action::Edit => {
            model.explore.editing = true;
            return typed(model);
        }
        Action::Run => return run(model),
        Action::Back if model.explore.editing => {
            model.explore.editing = false;
            model.explore.proposals = Proposals::default();
            model.explore.problem = None;
        }
        Action::Complete => return complete(model),
        Action::HistoryUp | Action::HistoryDown => history(model, action),
        Action::TableOnly => model.explore.table_only = !model.explore.table_only,
        Action::ZoomIn => {
            model.explore.range = model.explore.range.saturating_sub(1);
            return ask_again(model);
        }
        Action::ZoomOut => {
            model.explore.range = (model.explore.range + 1).min(RANGES.len() - 1);
            return ask_again(model);
        }
        Action::PanLeft | Action::PanRight | Action::Live => {
            model.explore.end = panned(action, model.explore.end, length, model.now());
            return ask_again(model);
        }
        Action::Up => model.explore.selected = at.saturating_sub(1),
        Action::Down => model.explore.selected = (at + 1).min(last),
        Action::First => model.explore.selected = 0,
        Action::Last => model.explore.selected = last,
        Action::PageDown => model.explore.selected = (at + 5).min(last),
        Action::PageUp => model.explore.selected = at.saturating_sub(5),
        Action::Copy => {
            let expr = model.explore.expr.clone();
            return super::alerts::copy(model, Some(expr));
        }
        _ => {}
    }
    Vec::new()
}

fn history(model: &mut Model, action: Action) {
    let explore = &mut model.explore;
    if explore.proposals.is_open() {
        explore.proposals.step(action == Action::HistoryDown);
        return;
    }
    let len = explore.history.len();
    let place = match (action, explore.history_place) {
        (Action::HistoryUp, None) => len.checked_sub(1),
        (Action::HistoryUp, Some(place)) => Some(place.saturating_sub(1)),
        (_, Some(place)) if place + 1 < len => Some(place + 1),
        (_, _) => None,
    };
    explore.history_place = place;
    if let Some(expr) = place.and_then(|place| explore.history.get(place)) {
        explore.prompt = Prompt::new(expr);
    }
}

/// Looks for proposals after the text has changed.
pub(crate) fn typed(model: &mut Model) -> Vec<Effect> {
    let wanted = proposals::wanted(&model.explore.prompt.before_cursor());
    let now = model.now();
    let explore = &mut model.explore;
    explore.history_place = None;
    explore.check();
    let request = match &wanted {
        Wanted::Nothing => None,
        Wanted::Metric(_) => {
            explore.proposals.take_for(&wanted, proposals::expression_words(&explore.metrics));
            None
        }
        Wanted::Name { metric, .. } if explore.proposals.needs(&wanted) => {
            Some(Request::LabelNames(metric.clone()))
        }
        Wanted::Value { metric, name, .. } if explore.proposals.needs(&wanted) => {
            let (name, metric) = (name.clone(), metric.clone());
            Some(Request::LabelValues { name, metric, now })
        }
        Wanted::Name { .. } | Wanted::Value { .. } => None,
    };
    explore.proposals.look_for(wanted);
    match request {
        Some(request) => update::ask(model, Slot::Proposals, request),
        None => Vec::new(),
    }
}

fn complete(model: &mut Model) -> Vec<Effect> {
    if let Some((typed_chars, word)) = model.explore.proposals.chosen() {
        model.explore.prompt.replace_before(typed_chars, &word);
        return typed(model);
    }
    Vec::new()
}

/// Draws Explore.
pub(crate) fn draw(model: &Model, pen: &mut Pen<'_>, body: Rect) {
    let explore = &model.explore;
    pen.put(body.x + 1, body.y, 2, "> ", Role::Focus);
    let line = Rect { x: body.x + 3, y: body.y, width: body.width.saturating_sub(4), height: 1 };
    explore.prompt.draw(pen, line, explore.editing);
    draw_state(model, pen, below(body, 1));
    let area = below(body, 2);
    match &explore.result.value {
        None if explore.result.error.is_none() => {
            let text = if explore.expr.trim().is_empty() {
                "i writes an expression, for instance: rate(node_cpu_seconds_total[1m])"
            } else {
                "asking ..."
            };
            super::draw_empty(pen, area, text, None);
        }
        None => {}
        Some(lines) if lines.is_empty() => {
            let text = format!(
                "No series for {} in the last {}. - looks further back, i changes it.",
                explore.expr,
                range_name(explore.range)
            );
            let hints = explore.hints.iter().flatten().map(String::as_str);
            let mut area = area;
            for text in [text.as_str()].into_iter().chain(hints) {
                let used = pen.paragraph(indent(area, 2), text, Role::Dim);
                area = below(area, used);
            }
        }
        Some(lines) => draw_lines(model, pen, area, lines),
    }
    if explore.editing {
        explore.proposals.draw(pen, below(body, 2));
    }
}

fn draw_state(model: &Model, pen: &mut Pen<'_>, area: Rect) {
    let explore = &model.explore;
    if let Some(problem) = &explore.problem {
        draw_problem(pen, area, &explore.prompt.text(), problem);
        return;
    }
    if let Some(error) = &explore.result.error {
        pen.put(area.x + 1, area.y, area.width.saturating_sub(2), error, Role::Error);
        return;
    }
    let lines = explore.result.value.as_deref().unwrap_or_default();
    let points: usize = lines.iter().map(|line| line.points.len()).sum();
    let text = format!("{} series  {points} points", lines.len());
    pen.put(area.x + 3, area.y, area.width / 2, &text, Role::Dim);
    let range = match explore.end {
        None => format!("last {}, live ", range_name(explore.range)),
        Some(end) => {
            let end = fmt::moment(end, model.now(), &model.look.zone);
            format!("{} up to {end}, 0 is live ", range_name(explore.range))
        }
    };
    pen.put_right(area.right(), area.y, area.width / 2, &range, Role::Dim);
}

/// Marks the wrong span below the prompt, with the message beside it where there is room.
fn draw_problem(pen: &mut Pen<'_>, area: Rect, text: &str, problem: &ParseError) {
    let chars = |to: usize| text.char_indices().take_while(|(at, _)| *at < to).count();
    let (from, to) = (chars(problem.span.start), chars(problem.span.end));
    let carets = "^".repeat(to.saturating_sub(from).max(1));
    let (start, width) = (usize::from(area.x) + 3 + from, usize::from(area.width));
    let whole = match &problem.help {
        Some(help) => format!("{}; {help}", problem.message),
        None => problem.message.clone(),
    };
    // The help goes first where there is no room for both.
    let short = problem.help.as_deref().unwrap_or(&problem.message);
    let marks = carets.chars().count();
    let beside = |text: &str| start + marks + 1 + text.chars().count() < width;
    let before = |text: &str| text.chars().count() + 1 < start && start + marks < width;
    let line = if let Some(text) = [&whole, short].into_iter().find(|text| beside(text)) {
        format!("{:start$}{carets} {text}", "")
    } else if let Some(text) = [&whole, short].into_iter().find(|text| before(text)) {
        format!(" {text:room$}{carets}", room = start - 1)
    } else {
        format!(" {whole}")
    };
    pen.put(area.x, area.y, area.width, &line, Role::Error);
}

fn draw_lines(model: &Model, pen: &mut Pen<'_>, area: Rect, lines: &[Line]) {
    let explore = &model.explore;
    let table_rows = if explore.table_only {
        area.height
    } else {
        cells(lines.len() + 1).min(area.height * 2 / 5)
    };
    let chart_area = top(area, area.height.saturating_sub(table_rows));
    let (from, to) = window(range_ms(explore.range), explore.end, model.now());
    let unit = Unit::of_expr(&explore.expr);
    let chart = Chart { lines, from, to, gap_ms: gap_ms(from, to), unit, limit: None, event: None };
    chart.draw(pen, chart_area);
    let table_area = below(area, chart_area.height);
    let selected = explore.selected.min(lines.len().saturating_sub(1));
    let table = Table { columns: &COLUMNS, count: lines.len(), selected, focused: true };
    table.draw(pen, table_area, |place| fields(lines, place, unit));
    if table_area.width >= 90 {
        let shown =
            super::super::widgets::page(selected, lines.len(), table_area.height.saturating_sub(1));
        for (line, row) in lines.iter().skip(shown.start).take(shown.len()).zip(1u16..) {
            let spark = Spark { points: &line.points, from, to, range: None };
            let x = table_area.right().saturating_sub(13);
            spark.draw(
                pen,
                x,
                table_area.y + row,
                12,
                Role::Series(shown.start + usize::from(row) - 1),
            );
        }
    }
}

/// A row of the table of series.
pub(crate) fn fields(lines: &[Line], place: usize, unit: Unit) -> Vec<(String, Role)> {
    let Some(line) = lines.get(place) else { return Vec::new() };
    let values = line.points.iter().map(|(_, value)| *value).filter(|value| !value.is_nan());
    let count = values.clone().count();
    let of = |value: f64| (if count == 0 { "-".to_owned() } else { unit.text(value) }, Role::Text);
    let sum: f64 = values.clone().sum();
    let label = if line.label.is_empty() { "{}".to_owned() } else { line.label.clone() };
    vec![
        ((place + 1).to_string(), Role::Series(place)),
        (label, Role::Text),
        of(values.clone().next_back().unwrap_or(f64::NAN)),
        of(values.clone().fold(f64::INFINITY, f64::min)),
        of(values.clone().fold(f64::NEG_INFINITY, f64::max)),
        of(sum / count as f64),
        (String::new(), Role::Text),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_live_window_stands_still_for_an_eighth_and_always_holds_now() {
        let hour = 3_600_000;
        let mut jumps = 0;
        let mut before = None;
        for second in 0..7200 {
            let now = Timestamp::from_millis(1_700_000_000_000 + second * 1000);
            let (from, to) = window(hour, None, now);
            assert!(from < now && now < to, "{second}");
            assert!(now.millis_since(from) >= hour * 7 / 8, "{second}");
            if before.replace(to).is_some_and(|before| before != to) {
                jumps += 1;
            }
        }
        assert_eq!(jumps, 16, "two hours are sixteen eighths of an hour");
    }

    #[test]
    fn panning_right_of_now_is_live_again() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let left = panned(Action::PanLeft, None, 3_600_000, now);
        assert_eq!(left, Some(now.plus_millis(-900_000)));
        assert_eq!(panned(Action::PanRight, left, 3_600_000, now), None);
    }

    #[test]
    fn samples_stay_on_their_steps() {
        let now = Timestamp::from_millis(1_700_000_003_217);
        for (_, length) in RANGES {
            let query = range_query("up", window(length, None, now), now);
            let step = i64::try_from(query.step.as_millis()).expect("short");
            assert_eq!(query.start.as_millis() % step, 0);
            assert_eq!(query.end.as_millis() % step, 0);
            assert!(query.end <= now);
        }
    }
}
