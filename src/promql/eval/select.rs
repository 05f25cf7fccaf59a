//! Selectors: from series of the source to columns.
//!
//! Source: prometheus, promql/engine.go (vectorSelectorSingle, smoothSeries).

use super::column::{ABSENT, is_absent};
use super::plan::Select;
use super::{Evaluator, Grid, Sink, rate};
use crate::model::{TimeRange, Timestamp, is_stale_nan};
use crate::promql::Error;
use crate::promql::syntax::Extension;
use crate::storage::source::{Columns, SelectedSeries, SourceError};
use std::rc::Rc;

impl Evaluator<'_> {
    /// The series of a selector; the source is asked once for equal selectors.
    pub(super) fn fetched(&self, place: usize) -> Result<Rc<Vec<SelectedSeries>>, Error> {
        let mut fetches = self.fetches.borrow_mut();
        let fetched = fetches.get_mut(place).expect("the plan numbers its own fetches");
        if let Some(found) = &fetched.found {
            return Ok(found.clone());
        }
        self.guard.check()?;
        let (range, matchers) = (fetched.fetch.range, &fetched.fetch.matchers);
        let series_max = self.guard.series_room(self.settings.series_max);
        let set = self.source.select(range, matchers, series_max).map_err(source_error)?;
        self.guard.hold_series(&set.series)?;
        for warning in set.warnings {
            self.notes.borrow_mut().source(warning);
        }
        self.series_selected.set(self.series_selected.get() + set.series.len());
        let found = Rc::new(set.series);
        fetched.found = Some(found.clone());
        Ok(found)
    }

    /// Reads the samples `from..=to` of one series into `columns`.
    pub(super) fn read(
        &self,
        series: &SelectedSeries,
        from: i64,
        to: i64,
        columns: &mut Columns,
    ) -> Result<(), Error> {
        columns.clear();
        let bounds = (Timestamp::from_millis(from), Timestamp::from_millis(to));
        let Some(range) = TimeRange::new(bounds.0, bounds.1) else { return Ok(()) };
        let warnings = series.samples.read(range, columns).map_err(source_error)?;
        for warning in warnings {
            self.notes.borrow_mut().source(warning);
        }
        self.guard.count_read(columns.len())?;
        self.guard.fits(columns.len())?;
        self.guard.room(2 * columns.len())
    }

    /// For each step the newest sample within the lookback; its time instead of its value when
    /// `times` is set.
    pub(super) fn select_instant(
        &self,
        select: &Select,
        grid: Grid,
        times: bool,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        if select.extension == Some(Extension::Smoothed) && !times {
            return self.select_smoothed(select, grid, sink);
        }
        let lookback = self.settings.lookback;
        let from = select.reference(grid.start).saturating_sub(lookback).saturating_add(1);
        let to = select.reference(grid.last());
        let (mut columns, mut values) = (Columns::default(), Vec::new());
        for series in self.fetched(select.fetch)?.iter() {
            self.read(series, from, to, &mut columns)?;
            if columns.is_empty() {
                continue;
            }
            self.guard.fits(grid.count)?;
            self.guard.work(grid.count)?;
            values.clear();
            newest(&columns, select, grid, lookback, times, &mut values);
            if values.iter().any(|value| !is_absent(*value)) {
                sink(&series.labels, false, &mut values)?;
            }
        }
        Ok(())
    }

    /// For each step the value interpolated between the samples around it.
    fn select_smoothed(
        &self,
        select: &Select,
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let lookback = self.settings.lookback;
        let from = select.reference(grid.start).saturating_sub(lookback).saturating_add(1);
        let to = select.reference(grid.last()).saturating_add(lookback);
        let (mut columns, mut values) = (Columns::default(), Vec::new());
        for series in self.fetched(select.fetch)?.iter() {
            self.read(series, from, to, &mut columns)?;
            drop_stale(&mut columns);
            self.guard.fits(grid.count)?;
            self.guard.work(grid.count)?;
            values.clear();
            values
                .extend(grid.times().map(|ts| {
                    smoothed(&columns, select.reference(ts), lookback).unwrap_or(ABSENT)
                }));
            sink(&series.labels, false, &mut values)?;
        }
        Ok(())
    }
}

/// Markers of staleness end here: ranges do not see them.
pub(super) fn drop_stale(columns: &mut Columns) {
    if !columns.values.iter().any(|value| is_stale_nan(*value)) {
        return;
    }
    let mut kept = Columns::default();
    for (ts, value) in columns.ts.iter().zip(&columns.values) {
        if !is_stale_nan(*value) {
            kept.push(*ts, *value);
        }
    }
    *columns = kept;
}

pub(super) fn source_error(err: SourceError) -> Error {
    match err {
        SourceError::Canceled => Error::Canceled,
        other => Error::Source(other),
    }
}

fn newest(
    columns: &Columns,
    select: &Select,
    grid: Grid,
    lookback: i64,
    times: bool,
    out: &mut Vec<f64>,
) {
    let mut samples = columns.ts.iter().copied().zip(columns.values.iter().copied()).peekable();
    let mut last: Option<(i64, f64)> = None;
    for ts in grid.times() {
        let reference = select.reference(ts);
        while let Some(sample) = samples.next_if(|(sample_ts, _)| *sample_ts <= reference) {
            last = Some(sample);
        }
        out.push(match last {
            // Left-open: a sample exactly one lookback old is too old.
            Some((sample_ts, value)) if sample_ts > reference.saturating_sub(lookback) => {
                if times && !is_stale_nan(value) { sample_ts as f64 / 1000.0 } else { value }
            }
            _none_or_old => ABSENT,
        });
    }
}

fn smoothed(columns: &Columns, reference: i64, lookback: i64) -> Option<f64> {
    let next = columns.ts.partition_point(|ts| *ts < reference);
    let sample = |place: usize| Some((*columns.ts.get(place)?, *columns.values.get(place)?));
    let after = sample(next).filter(|(ts, _)| *ts <= reference.saturating_add(lookback));
    let before = next
        .checked_sub(1)
        .and_then(sample)
        .filter(|(ts, _)| *ts > reference.saturating_sub(lookback));
    match (before, after) {
        (_, Some((ts, value))) if ts == reference => Some(value),
        (Some(before), Some(after)) => Some(rate::interpolated(before, after, reference, false)),
        (Some((_, value)), None) => Some(value),
        (None, _) => None,
    }
}

/// For each step the time of the newest sample within the lookback.
pub(super) fn newest_times(
    columns: &Columns,
    select: &Select,
    grid: Grid,
    lookback: i64,
) -> Vec<f64> {
    let mut times = Vec::with_capacity(grid.count);
    newest(columns, select, grid, lookback, true, &mut times);
    times
}
