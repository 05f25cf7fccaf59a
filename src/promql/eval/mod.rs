//! Evaluates a plan for all steps at once: each series is a column with one slot a step.
//!
//! Owns the plan, the columns and every operation on them. Start reading at `plan.rs`, then
//! `Evaluator::stream` here, which is how all operations hand series on: one at a time, so that an
//! aggregation over many series holds its groups and not its input.
//!
//! Never: text, parsing, the time of day.

mod aggregate;
mod annotate;
mod binary;
mod calendar;
mod call;
mod column;
mod guard;
mod histogram;
mod info;
mod labels;
mod layout;
mod matching;
mod math;
mod plan;
mod ranking;
mod rate;
mod select;
mod sorting;
mod spread;
mod trace;
mod window;

use super::annotation::Notes;
use super::cores::Cores;
use super::syntax::{Expr, Span, ValueType};
use super::value::{Series, Stats, Value, VectorSample};
use super::{Error, Lease, Profile, value};
use crate::model::{Labels, Sample, TimeRange, Timestamp};
use crate::storage::source::{Columns, SelectedSeries, Source};
use column::{ABSENT, Row, Rows, Scalars, is_absent};
use guard::{answer_bytes, regex_bytes, row_bytes};
use plan::{Kind, Node, Plan};
use rustc_hash::FxBuildHasher;
use select::Wanted;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::hash::BuildHasher as _;
use std::rc::Rc;
use std::time::Duration;
use trace::Trace;

pub(super) use guard::{Guard, Watch};

/// Milliseconds between two samples where nothing is known of them.
const USUAL_INTERVAL_MS: i64 = 15_000;

/// The instants of an evaluation: `start`, `start + step` and so on, `count` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) start: i64,
    pub(super) step: i64,
    pub(super) count: usize,
}

impl Grid {
    /// The instants in order.
    fn times(self) -> impl Iterator<Item = i64> {
        let steps = i64::try_from(self.count).unwrap_or(i64::MAX);
        (0..steps).map(move |n| self.start.saturating_add(n.saturating_mul(self.step)))
    }

    fn last(self) -> i64 {
        let steps = i64::try_from(self.count).unwrap_or(i64::MAX).saturating_sub(1);
        self.start.saturating_add(steps.saturating_mul(self.step))
    }

    /// The first instant alone, for what is the same at every step.
    const fn once(self) -> Self {
        Self { count: 1, ..self }
    }
}

/// What holds for the whole query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) lookback: i64,
    pub(super) subquery_step: i64,
    pub(super) series_max: usize,
    pub(super) large_samples_min: usize,
    pub(super) delayed_name_removal: bool,
    pub(super) start_timestamps: bool,
    pub(super) query_start: i64,
    pub(super) query_end: i64,
    /// 0 for an instant query.
    pub(super) query_step: i64,
    pub(super) instant: bool,
    /// Whether it is told where the work went.
    pub(super) profile: bool,
}

/// What an evaluation yields.
pub(super) type Evaluated = (Value, Stats, Lease, Option<Box<Profile>>);

/// Evaluates `expr` at the instants of `grid`.
pub(super) fn run(
    (source, cores): (&dyn Source, &Cores),
    expr: &Expr,
    grid: Grid,
    settings: Settings,
    guard: Guard,
    notes: &mut Notes,
) -> Result<Evaluated, Error> {
    guard.check()?;
    guard.fits(grid.count)?;
    guard.hold_regexes(regex_bytes(expr))?;
    let begun = guard.elapsed();
    let Plan { root, fetches } = plan::build(expr, grid, &settings)?;
    let prepared = guard.elapsed().saturating_sub(begun);
    let fetches = fetches.into_iter().map(Fetched::new).collect();
    let trace = settings.profile.then(|| Trace::new(&guard));
    let mut evaluator = Evaluator {
        source,
        cores,
        settings,
        guard,
        trace,
        notes: RefCell::new(std::mem::take(notes)),
        fetches: RefCell::new(fetches),
        series_selected: Cell::new(0),
        typed: Cell::new(false),
        sorted: Cell::new(Duration::ZERO),
    };
    let result = evaluator.weigh(grid).and_then(|()| evaluator.answer(&root, grid));
    let stats = Stats {
        steps: grid.count,
        series_selected: evaluator.series_selected.get(),
        samples_read: evaluator.guard.samples_read(),
        samples_peak: evaluator.guard.samples_peak(),
        prepared,
        sorted: evaluator.sorted.get(),
    };
    *notes = evaluator.notes.into_inner();
    let value = result?;
    let selected = evaluator.fetches.into_inner().into_iter();
    let selected: Vec<_> = selected.map(|one| one.found.map(|found| found.len())).collect();
    let profile = evaluator
        .trace
        .take()
        .map(|trace| Box::new(trace.finish(&evaluator.guard, &root, &selected)));
    let lease = evaluator.guard.into_lease(answer_bytes(&value))?;
    Ok((value, stats, lease, profile))
}

/// A selector's series, once they were asked for.
struct Fetched {
    fetch: plan::Fetch,
    found: Option<Rc<Vec<SelectedSeries>>>,
}

impl Fetched {
    const fn new(fetch: plan::Fetch) -> Self {
        Self { fetch, found: None }
    }
}

/// Takes one series: its labels, whether its name is to go, and its column. The column may be
/// taken out; what is left in it has no meaning.
type Sink<'s> = dyn FnMut(&Labels, bool, &mut Vec<f64>) -> Result<(), Error> + 's;

/// Evaluates the nodes of one query.
struct Evaluator<'a> {
    source: &'a dyn Source,
    cores: &'a Cores,
    settings: Settings,
    guard: Guard,
    trace: Option<Trace>,
    notes: RefCell<Notes>,
    fetches: RefCell<Vec<Fetched>>,
    series_selected: Cell<usize>,
    /// Series were found that say of what type or unit they are. Those of one name may then lose
    /// more than it, and become equal.
    typed: Cell<bool>,
    /// How long it took to put the result in order.
    sorted: Cell<Duration>,
}

impl Evaluator<'_> {
    /// Ends a light query that will take more work than it may, before it does.
    fn weigh(&self, grid: Grid) -> Result<(), Error> {
        if !self.guard.is_light() {
            return Ok(());
        }
        let count = self.fetches.borrow().len();
        let mut samples: usize = 0;
        for place in 0..count {
            let series = self.fetched(place)?.len();
            let range = self.fetches.borrow().get(place).map(|fetched| fetched.fetch.range);
            let read = range.map_or(0, |range| self.samples_expected(series, range));
            let looked_at = series.saturating_mul(grid.count);
            samples = samples.saturating_add(read.saturating_add(looked_at));
        }
        self.guard.expect_work(samples)
    }

    /// Samples that so many series are expected to have.
    fn samples_expected(&self, series: usize, range: TimeRange) -> usize {
        let each = range.to().millis_since(range.from()) / USUAL_INTERVAL_MS;
        series.saturating_mul(usize::try_from(each).unwrap_or(usize::MAX))
    }

    fn answer(&self, root: &Node, grid: Grid) -> Result<Value, Error> {
        let at = Timestamp::from_millis(grid.start);
        match root.value_type {
            ValueType::String => {
                let Kind::String(text) = &root.kind else {
                    return Err(Error::execution("no function yields a string"));
                };
                Ok(Value::String(at, text.clone()))
            }
            ValueType::Scalar if self.settings.instant => {
                let value = self.scalar(root, grid)?.at(0);
                Ok(Value::Scalar(Sample::new(at, value)))
            }
            ValueType::Scalar => {
                let scalars = self.scalar(root, grid)?;
                let mut samples = Columns::default();
                for (step, ts) in grid.times().enumerate() {
                    samples.push(ts, scalars.at(step));
                }
                Ok(Value::Matrix(vec![Series { metric: Labels::empty(), samples }]))
            }
            ValueType::Vector => {
                let rows = self.eval(root, grid)?;
                let rows = self.without_dropped_names(rows)?;
                self.guard.room_for_answer(&rows)?;
                if self.settings.instant {
                    return Ok(vector(rows, at));
                }
                let begun = self.guard.elapsed();
                let answer = matrix(rows, grid);
                self.sorted.set(self.guard.elapsed().saturating_sub(begun));
                Ok(answer)
            }
            ValueType::Matrix => self.range_answer(root, grid),
        }
    }

    /// A range vector as the answer of an instant query.
    fn range_answer(&self, root: &Node, grid: Grid) -> Result<Value, Error> {
        let mut list: Vec<Series> = Vec::new();
        self.range_series(root, grid, &mut |labels, drop_name, samples| {
            let window = self.extended_samples(root, grid, samples);
            if window.is_empty() {
                return Ok(());
            }
            self.guard.hold(window.len())?;
            // Beside its value a sample has its time.
            self.guard.hold_bytes(row_bytes(labels) + window.len() * size_of::<i64>())?;
            let metric = if drop_name { column::without_metadata(labels) } else { labels.clone() };
            list.push(Series { metric, samples: window });
            Ok(())
        })?;
        list.sort_by(|a, b| a.metric.cmp(&b.metric));
        Ok(Value::Matrix(list))
    }

    /// Names go at the end of the query when their removal was delayed.
    fn without_dropped_names(&self, mut rows: Rows) -> Result<Rows, Error> {
        if !self.settings.delayed_name_removal {
            return if self.typed.get() { column::merged(rows, false) } else { Ok(rows) };
        }
        for row in &mut rows {
            if row.drop_name {
                row.labels = column::without_metadata(&row.labels);
            }
        }
        column::merged(rows, false)
    }

    /// All series of a vector expression.
    fn eval(&self, node: &Node, grid: Grid) -> Result<Rows, Error> {
        let mut rows = Rows::new();
        let mut collect = |labels: &Labels, drop_name: bool, values: &mut Vec<f64>| {
            if values.iter().all(|value| is_absent(*value)) {
                return Ok(());
            }
            self.guard.hold(values.len())?;
            self.guard.hold_bytes(row_bytes(labels))?;
            let values = std::mem::take(values);
            rows.push(Row { labels: labels.clone(), drop_name, values });
            Ok(())
        };
        if node.invariant && grid.count > 1 {
            self.broadcast(node, grid, &mut collect)?;
            return Ok(rows);
        }
        self.raw_stream(node, grid, &mut collect)?;
        if self.may_collide(node)? {
            return column::merged(rows, node.collides_strictly);
        }
        Ok(rows)
    }

    /// Whether two of its series may have the same labels. Those of one name may differ in nothing
    /// but their type, which goes with it.
    fn may_collide(&self, node: &Node) -> Result<bool, Error> {
        if node.may_collide || self.settings.delayed_name_removal {
            return Ok(node.may_collide);
        }
        let Some(select) = node.nameless_select() else { return Ok(false) };
        self.fetched(select.fetch)?;
        Ok(self.typed.get())
    }

    /// Hands the series of a vector expression to `sink`, one at a time.
    fn stream(&self, node: &Node, grid: Grid, sink: &mut Sink<'_>) -> Result<(), Error> {
        if node.invariant && grid.count > 1 {
            return self.broadcast(node, grid, sink);
        }
        if self.may_collide(node)? && !self.stays_apart(node)? {
            let rows = self.eval(node, grid)?;
            return self.emit(rows, sink);
        }
        self.raw_stream(node, grid, sink)
    }

    /// Whether the series of a selector that only loses its names are known to stay distinct, so
    /// that they need not be collected to see it.
    fn stays_apart(&self, node: &Node) -> Result<bool, Error> {
        let Some(select) = node.nameless_select() else { return Ok(false) };
        let hasher = FxBuildHasher;
        let series = self.fetched(select.fetch)?;
        let mut seen = HashSet::with_capacity_and_hasher(series.len(), FxBuildHasher);
        Ok(series.iter().all(|series| {
            // Two of one hash are taken for equal: that costs memory and no more.
            seen.insert(hasher.hash_one(column::LabelsWithoutMetadata(&series.labels)))
        }))
    }

    /// Evaluates once what is the same at every step.
    fn broadcast(&self, node: &Node, grid: Grid, sink: &mut Sink<'_>) -> Result<(), Error> {
        let mut column = Vec::new();
        for row in self.once_for(grid, || self.eval(node, grid.once()))? {
            self.guard.release(row.values.len());
            self.guard.release_bytes(row_bytes(&row.labels));
            let Some(value) = row.values.first().copied().filter(|value| !is_absent(*value)) else {
                continue;
            };
            self.guard.work(grid.count)?;
            self.guard.fits(grid.count)?;
            column.clear();
            column.resize(grid.count, value);
            sink(&row.labels, row.drop_name, &mut column)?;
        }
        Ok(())
    }

    fn emit(&self, rows: Rows, sink: &mut Sink<'_>) -> Result<(), Error> {
        for mut row in rows {
            let held = row.values.len();
            self.guard.work(held)?;
            self.guard.release(held);
            self.guard.release_bytes(row_bytes(&row.labels));
            sink(&row.labels, row.drop_name, &mut row.values)?;
        }
        Ok(())
    }

    fn series_of(&self, node: &Node, grid: Grid, sink: &mut Sink<'_>) -> Result<(), Error> {
        match &node.kind {
            Kind::Select(select) => self.select_instant(select, grid, Wanted::Value, sink),
            Kind::Call { function, args } => self.call(node, *function, args, grid, sink),
            Kind::Plus(inner) => self.stream(inner, grid, sink),
            Kind::Negate(inner) => {
                let delayed = self.settings.delayed_name_removal;
                self.stream(inner, grid, &mut |labels, _, values| {
                    column::map_present(values, |value| -value);
                    column::emit_nameless(labels, delayed, values, sink)
                })
            }
            Kind::Aggregate(aggregate) => {
                let rows = self.aggregate(aggregate, grid)?;
                self.emit(rows, sink)
            }
            Kind::Binary(binary) => self.binary(binary, node.span, grid, sink),
            Kind::Number(_) | Kind::String(_) | Kind::Range { .. } | Kind::Subquery { .. } => {
                Err(Error::execution("an instant vector was expected"))
            }
        }
    }

    fn scalars_of(&self, node: &Node, grid: Grid) -> Result<Scalars, Error> {
        if node.invariant && grid.count > 1 {
            let once = self.once_for(grid, || self.scalar(node, grid.once()))?;
            return Ok(Scalars::Constant(once.at(0)));
        }
        match &node.kind {
            Kind::Number(value) => Ok(Scalars::Constant(*value)),
            Kind::Negate(inner) => Ok(self.scalar(inner, grid)?.map(|value| -value)),
            Kind::Binary(binary) => {
                self.guard.hold(grid.count)?;
                let lhs = self.scalar(&binary.lhs, grid)?;
                let rhs = self.scalar(&binary.rhs, grid)?;
                self.guard.work(grid.count)?;
                Ok(lhs.zip(&rhs, grid.count, |a, b| matching::scalar_op(binary.op, a, b)))
            }
            Kind::Call { function, args } => {
                self.guard.hold(grid.count)?;
                self.scalar_call(*function, args, grid)
            }
            Kind::String(_)
            | Kind::Plus(_)
            | Kind::Aggregate(_)
            | Kind::Select(_)
            | Kind::Range { .. }
            | Kind::Subquery { .. } => Err(Error::execution("a scalar was expected")),
        }
    }

    fn warn(&self, span: Span, text: impl Into<String>) {
        self.notes.borrow_mut().warn(span, text);
    }

    fn info(&self, span: Span, text: impl Into<String>) {
        self.notes.borrow_mut().info(span, text);
    }
}

fn vector(rows: Rows, at: Timestamp) -> Value {
    let samples = rows.into_iter().filter_map(|row| {
        let value = row.values.first().copied().filter(|value| !is_absent(*value))?;
        Some(VectorSample { metric: row.labels, ts: at, value })
    });
    Value::Vector(samples.collect())
}

fn matrix(mut rows: Rows, grid: Grid) -> Value {
    rows.sort_by(|a, b| a.labels.cmp(&b.labels));
    let series = rows.into_iter().filter_map(|row| {
        let mut samples = Columns::default();
        for (ts, value) in grid.times().zip(&row.values) {
            if !is_absent(*value) {
                samples.push(ts, *value);
            }
        }
        (!samples.is_empty()).then_some(value::Series { metric: row.labels, samples })
    });
    Value::Matrix(series.collect())
}

/// A column of `count` empty slots.
fn empty_column(count: usize) -> Vec<f64> {
    vec![ABSENT; count]
}
