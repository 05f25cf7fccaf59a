//! Range vectors: one series at a time, and for each step the slice of samples in its window.

use super::column::{ABSENT, is_absent};
use super::layout::{Layouts, Place};
use super::plan::{Kind, Node, Select};
use super::rate::{Falls, Slope};
use super::select::drop_stale;
use super::{Evaluator, Grid, Sink, annotate, rate};
use crate::model::{Labels, METRIC_NAME, TimeRange, Timestamp};
use crate::promql::Error;
use crate::promql::syntax::Extension;
use crate::storage::source::{Columns, SelectedSeries};
use crate::sys::locks::lock;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The samples of one series that one step sees. With an extension the slices reach beyond the
/// window, by the lookback.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window<'a> {
    pub(super) ts: &'a [i64],
    pub(super) values: &'a [f64],
    /// When the samples' counters started; empty when that is not known of the series.
    pub(super) starts: &'a [i64],
    /// The open start of the range.
    pub(super) start: i64,
    /// The closed end of the range.
    pub(super) end: i64,
    /// The evaluation time.
    pub(super) now: i64,
    pub(super) extension: Option<Extension>,
}

impl Window<'_> {
    /// The length of the range in seconds.
    pub(super) fn range_seconds(&self) -> f64 {
        self.end.saturating_sub(self.start) as f64 / 1000.0
    }

    /// The sample at a place.
    pub(super) fn sample(&self, place: usize) -> Option<(i64, f64)> {
        Some((*self.ts.get(place)?, *self.values.get(place)?))
    }
}

/// Takes the samples of one series: labels, whether its name is to go, and the samples.
pub(super) type RangeSink<'s> = dyn FnMut(&Labels, bool, &mut Columns) -> Result<(), Error> + 's;

/// What the steps' windows are, relative to the evaluation time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) range: i64,
    offset: i64,
    at: Option<i64>,
    extension: Option<Extension>,
    lookback: i64,
}

impl Shape {
    /// What an instant vector's steps look back on.
    pub(super) const fn of_lookback(select: &Select, lookback: i64) -> Self {
        let Select { offset, at, .. } = *select;
        Self { range: lookback, offset, at, extension: None, lookback }
    }

    /// The closed end of the range at an evaluation time.
    pub(super) fn end(self, ts: i64) -> i64 {
        self.at.unwrap_or(ts).saturating_sub(self.offset)
    }

    /// Before the samples that a step sees, and the last time of those.
    pub(super) fn reach(self, now: i64) -> (i64, i64) {
        let end = self.end(now);
        let (before, beyond) = self.margins();
        (end.saturating_sub(self.range).saturating_sub(before), end.saturating_add(beyond))
    }

    /// The first and the last time of samples that any step sees.
    fn span(self, grid: Grid) -> (i64, i64) {
        (self.reach(grid.start).0.saturating_add(1), self.reach(grid.last()).1)
    }

    /// A step's window of a series.
    fn window<'a>(self, columns: &'a Columns, place: Place, now: i64) -> Window<'a> {
        let end = self.end(now);
        Window {
            ts: columns.ts.get(place.first..place.after).unwrap_or_default(),
            values: columns.values.get(place.first..place.after).unwrap_or_default(),
            starts: columns.starts.get(place.first..place.after).unwrap_or_default(),
            start: end.saturating_sub(self.range),
            end,
            now,
            extension: self.extension,
        }
    }

    /// How far the slices reach beyond the range, before and after.
    const fn margins(self) -> (i64, i64) {
        match self.extension {
            None => (0, 0),
            Some(Extension::Anchored) => (self.lookback, 0),
            Some(Extension::Smoothed) => (self.lookback, self.lookback),
        }
    }
}

impl Evaluator<'_> {
    /// The windows of a range vector expression.
    pub(super) fn shape(&self, node: &Node) -> Result<Shape, Error> {
        let lookback = self.settings.lookback;
        match &node.kind {
            Kind::Range { select, range } => Ok(Shape {
                range: *range,
                offset: select.offset,
                at: select.at,
                extension: select.extension,
                lookback,
            }),
            Kind::Subquery { window, .. } => Ok(Shape {
                range: window.range,
                offset: window.offset,
                at: window.at,
                extension: None,
                lookback,
            }),
            Kind::Number(_)
            | Kind::String(_)
            | Kind::Negate(_)
            | Kind::Plus(_)
            | Kind::Binary(_)
            | Kind::Aggregate(_)
            | Kind::Call { .. }
            | Kind::Select(_) => Err(Error::execution("a range vector was expected")),
        }
    }

    pub(super) fn ranges_of(
        &self,
        node: &Node,
        grid: Grid,
        sink: &mut RangeSink<'_>,
    ) -> Result<(), Error> {
        let (from, to) = self.shape(node)?.span(grid);
        match &node.kind {
            Kind::Subquery { inner, window, step } => {
                let inner_grid = window.grid(grid, *step);
                if inner_grid.count == 0 {
                    return Ok(());
                }
                self.guard.fits(inner_grid.count)?;
                // A column of values, and one of times and values.
                self.guard.room(inner_grid.count.saturating_mul(3))?;
                let mut columns = Columns::default();
                self.stream(inner, inner_grid, &mut |labels, drop_name, values| {
                    columns.clear();
                    for (ts, value) in inner_grid.times().zip(values.iter()) {
                        if !is_absent(*value) {
                            columns.push(ts, *value);
                        }
                    }
                    sink(labels, drop_name, &mut columns)
                })
            }
            Kind::Range { select, .. } => {
                let bounds = (Timestamp::from_millis(from), Timestamp::from_millis(to));
                let Some(range) = TimeRange::new(bounds.0, bounds.1) else { return Ok(()) };
                let series = self.fetched(select.fetch)?;
                self.read_in_turn(series.iter(), range, &mut |series, columns| {
                    drop_stale(columns);
                    if columns.is_empty() { Ok(()) } else { sink(&series.labels, false, columns) }
                })
            }
            Kind::Number(_)
            | Kind::String(_)
            | Kind::Negate(_)
            | Kind::Plus(_)
            | Kind::Binary(_)
            | Kind::Aggregate(_)
            | Kind::Call { .. }
            | Kind::Select(_) => Err(Error::execution("a range vector was expected")),
        }
    }

    /// Applies `f` to every window of every series. `f` gets the step as well; `None` is no value.
    pub(super) fn each_window(
        &self,
        node: &Node,
        grid: Grid,
        mut f: impl FnMut(usize, Window<'_>) -> Option<f64>,
        mut sink: impl FnMut(&Labels, bool, &mut Vec<f64>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let shape = self.shape(node)?;
        let mut layouts = Layouts::new(shape, grid);
        let mut values = Vec::new();
        self.range_series(node, grid, &mut |labels, drop_name, columns| {
            self.guard.fits(grid.count + columns.len())?;
            self.guard.room(grid.count + 3 * columns.len() + layouts.words(columns.len()))?;
            values.clear();
            let places = layouts.places(columns);
            for (step, (now, place)) in grid.times().zip(places).enumerate() {
                let window = shape.window(columns, *place, now);
                self.guard.work(window.values.len())?;
                let value = if window.ts.is_empty() { None } else { f(step, window) };
                values.push(value.unwrap_or(ABSENT));
            }
            if values.iter().all(|value| is_absent(*value)) {
                return Ok(());
            }
            sink(labels, drop_name, &mut values)
        })
    }

    /// The slopes or differences over the windows of every series.
    pub(super) fn slopes(
        &self,
        node: &Node,
        grid: Grid,
        slope: Slope,
        mut sink: impl FnMut(&Labels, bool, &mut Vec<f64>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let shape = self.shape(node)?;
        if shape.extension.is_some() {
            return self.each_window(node, grid, |_, window| rate::bounded(&window, slope), sink);
        }
        let overlaps: Mutex<BTreeMap<String, usize>> = Mutex::default();
        let make = || {
            let (mut layouts, mut falls) = (Layouts::new(shape, grid), Falls::default());
            let overlaps = &overlaps;
            move |labels: &Labels, columns: &Columns, values: &mut Vec<f64>| {
                let stretches = layouts.stretches(columns, slope.is_rate());
                if columns.starts.is_empty() || !slope.is_counter() {
                    rate::extrapolated(&columns.values, stretches, slope, &mut falls, values);
                    return;
                }
                for (now, stretch) in grid.times().zip(&stretches.each) {
                    let window = shape.window(columns, stretch.place, now);
                    values.push(rate::from_starts(&window, stretch, slope).unwrap_or(ABSENT));
                    if rate::overlaps(&window) {
                        let name = labels.value_of(METRIC_NAME).to_owned();
                        let mut overlaps = lock(overlaps);
                        *overlaps.entry(name).or_default() += 1;
                    }
                }
            }
        };
        // Where the work went is told of one thread alone.
        if self.trace.is_none()
            && let Kind::Range { select, .. } = &node.kind
        {
            let make = || {
                let mut slopes = make();
                move |series: &SelectedSeries, columns: &mut Columns, values: &mut Vec<f64>| {
                    drop_stale(columns);
                    if !columns.is_empty() {
                        slopes(&series.labels, columns, values);
                    }
                }
            };
            self.each_column(select.fetch, shape.span(grid), grid.count, make, &mut sink)?;
        } else {
            let (mut slopes, mut values) = (make(), Vec::new());
            self.range_series(node, grid, &mut |labels, drop_name, columns| {
                self.count_column(grid.count, columns.len())?;
                values.clear();
                slopes(labels, columns, &mut values);
                if values.iter().all(|value| is_absent(*value)) {
                    return Ok(());
                }
                sink(labels, drop_name, &mut values)
            })?;
        }
        for (name, count) in overlaps.into_inner().unwrap_or_else(PoisonError::into_inner) {
            self.warn(node.span, annotate::overlapping_starts(&name, count));
        }
        Ok(())
    }

    /// The samples of a range vector at the first instant, with the values at both ends that
    /// `anchored` and `smoothed` add.
    pub(super) fn extended_samples(&self, node: &Node, grid: Grid, all: &Columns) -> Columns {
        let Ok(shape) = self.shape(node) else { return Columns::default() };
        let mut layouts = Layouts::new(shape, grid.once());
        let Some(place) = layouts.places(all).first() else { return Columns::default() };
        let window = shape.window(all, *place, grid.start);
        match window.extension {
            Some(_) => rate::extended(&window),
            None => Columns {
                ts: window.ts.to_vec(),
                values: window.values.to_vec(),
                ..Columns::default()
            },
        }
    }

    /// As `each_window`, collected.
    pub(super) fn window_rows(
        &self,
        node: &Node,
        grid: Grid,
        f: impl FnMut(usize, Window<'_>) -> Option<f64>,
        sink: &mut Sink<'_>,
        drops_name: bool,
    ) -> Result<(), Error> {
        let delayed = self.settings.delayed_name_removal;
        self.each_window(node, grid, f, |labels, drop_name, values| {
            if drops_name || drop_name {
                return super::column::emit_nameless(labels, delayed, values, sink);
            }
            sink(labels, false, values)
        })
    }
}
