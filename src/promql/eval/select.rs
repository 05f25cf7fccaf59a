//! Selectors: from series of the source to columns.
//!
//! Source: prometheus, promql/engine.go (vectorSelectorSingle, smoothSeries).

use super::column::ABSENT;
use super::layout::Layouts;
use super::plan::Select;
use super::window::Shape;
use super::{Evaluator, Grid, Sink, column, rate};
use crate::model::{Labels, TimeRange, Timestamp, is_stale_nan};
use crate::promql::Error;
use crate::promql::syntax::Extension;
use crate::storage::source::{Columns, CountBy, SelectedSeries, SourceError};
use std::rc::Rc;

/// Steps from which on it pays to find the samples of all once for all series with the same times.
const LAYOUT_STEPS_MIN: usize = 16;

/// What of a sample is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Value,
    /// When it was taken, in seconds.
    Time,
    /// When its counter started, in seconds; 0 when that is unknown.
    Start,
}

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
        if set.series.iter().any(|series| column::tells_type(&series.labels)) {
            self.typed.set(true);
        }
        self.series_selected.set(self.series_selected.get() + set.series.len());
        let found = Rc::new(set.series);
        fetched.found = Some(found.clone());
        Ok(found)
    }

    /// Asks the source to count a selector's series at one instant; `None` when it would rather
    /// hand them out, or has done so already.
    pub(super) fn count_selected(
        &self,
        select: &Select,
        grid: Grid,
        by: CountBy<'_>,
    ) -> Result<Option<Vec<(Labels, u64)>>, Error> {
        let fetches = self.fetches.borrow();
        let fetched = fetches.get(select.fetch).expect("the plan numbers its own fetches");
        if fetched.found.is_some() {
            return Ok(None);
        }
        self.guard.check()?;
        let to = select.reference(grid.start);
        let from = to.saturating_sub(self.settings.lookback).saturating_add(1);
        let bounds = (Timestamp::from_millis(from), Timestamp::from_millis(to));
        let Some(range) = TimeRange::new(bounds.0, bounds.1) else { return Ok(None) };
        let matchers = &fetched.fetch.matchers;
        let counted = self.source.count(range, matchers, by, self.settings.series_max);
        let counted = counted.map_err(source_error)?;
        let total: u64 = counted.iter().flatten().map(|(_, count)| count).sum();
        let total = usize::try_from(total).unwrap_or(usize::MAX);
        self.series_selected.set(self.series_selected.get().saturating_add(total));
        self.guard.count_read(total)?;
        Ok(counted)
    }

    /// For each step what is wanted of the newest sample within the lookback.
    pub(super) fn select_instant(
        &self,
        select: &Select,
        grid: Grid,
        wanted: Wanted,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        if select.extension == Some(Extension::Smoothed) && wanted == Wanted::Value {
            return self.select_smoothed(select, grid, sink);
        }
        let lookback = self.settings.lookback;
        // Asked for times, upstream reads what `@` and `offset` say, and then looks back from the
        // time of `@` alone.
        let forgets = wanted != Wanted::Value && select.at.is_some();
        let reference = |ts| {
            if forgets { select.at.unwrap_or(ts) } else { select.reference(ts) }
        };
        let first = select.reference(grid.start).max(reference(grid.start));
        let from = first.saturating_sub(lookback).saturating_add(1);
        let to = select.reference(grid.last()).min(reference(grid.last()));
        let has_layouts = grid.count >= LAYOUT_STEPS_MIN && wanted == Wanted::Value;
        let make = || {
            let mut layouts = Layouts::new(Shape::of_lookback(select, lookback), grid);
            move |_: &SelectedSeries, columns: &mut Columns, values: &mut Vec<f64>| {
                if columns.is_empty() {
                    return;
                }
                if has_layouts {
                    let places = layouts.places(columns).iter();
                    values.extend(places.map(|place| place.last_of(&columns.values)));
                } else {
                    newest(columns, grid.times().map(reference), lookback, wanted, values);
                }
            }
        };
        self.each_column(select.fetch, (from, to), grid.count, make, sink)
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
        let make = || {
            |_: &SelectedSeries, columns: &mut Columns, values: &mut Vec<f64>| {
                drop_stale(columns);
                let times = grid.times().map(|ts| select.reference(ts));
                let each = times.map(|ts| smoothed(columns, ts, lookback).unwrap_or(ABSENT));
                values.extend(each);
            }
        };
        self.each_column(select.fetch, (from, to), grid.count, make, sink)
    }
}

/// Markers of staleness end here: ranges do not see them.
pub(super) fn drop_stale(columns: &mut Columns) {
    if columns.known.has_no_markers {
        return;
    }
    // The usual case, and a loop without branches.
    let markers: u32 = columns.values.iter().map(|value| u32::from(is_stale_nan(*value))).sum();
    if markers == 0 {
        return;
    }
    let mut kept = Columns::default();
    for (place, (ts, value)) in columns.ts.iter().zip(&columns.values).enumerate() {
        if !is_stale_nan(*value) {
            kept.push(*ts, *value);
            kept.starts.extend(columns.starts.get(place));
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

/// For each of the times the newest sample up to it, if it is within the lookback.
fn newest(
    columns: &Columns,
    references: impl Iterator<Item = i64>,
    lookback: i64,
    wanted: Wanted,
    out: &mut Vec<f64>,
) {
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let samples = columns.ts.iter().copied().zip(columns.values.iter().copied());
    let mut samples = samples.enumerate().peekable();
    let mut last = None;
    for reference in references {
        while let Some(sample) = samples.next_if(|(_, (sample_ts, _))| *sample_ts <= reference) {
            last = Some(sample);
        }
        out.push(match last {
            // Left-open: a sample exactly one lookback old is too old.
            Some((place, (sample_ts, value))) if sample_ts > reference.saturating_sub(lookback) => {
                match wanted {
                    Wanted::Time if !is_stale_nan(value) => seconds(sample_ts),
                    Wanted::Start if !is_stale_nan(value) => {
                        seconds(columns.starts.get(place).copied().unwrap_or_default())
                    }
                    _value_or_stale => value,
                }
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
    let references = grid.times().map(|ts| select.reference(ts));
    newest(columns, references, lookback, Wanted::Time, &mut times);
    times
}
