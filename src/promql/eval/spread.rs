//! Columns of a selector's series, worked out one after another, or on two cores where that pays.
//!
//! With two, both claim batches of series, one after the other; what they make of them is handed on
//! in order, so that a sum is the same to the last bit.

use super::column::is_absent;
use super::layout::Layouts;
use super::select::source_error;
use super::{Evaluator, Sink};
use crate::model::{TimeRange, Timestamp};
use crate::promql::Error;
use crate::storage::source::{Columns, SelectedSeries, SourceError};
use crate::sys::tasks;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// Slots of the columns of a batch at most, 256 KiB; one series is always in it.
const BATCH_SLOTS: usize = 32 << 10;

/// Series of a batch at most.
const BATCH_SERIES: usize = 64;

/// Batches that wait for one before them, at most.
const WAITING: usize = 4;

/// Batches that wait to be taken over from the other core.
const SENT: usize = 2;

/// Batches that there may be at a time: those, and one in each hand.
const BATCHES: usize = WAITING + SENT + 2;

/// Appends the column of one series, worked out from its samples; nothing when the series is to be
/// passed over.
pub(super) trait Work: FnMut(&SelectedSeries, &mut Columns, &mut Vec<f64>) {}

impl<F: FnMut(&SelectedSeries, &mut Columns, &mut Vec<f64>)> Work for F {}

/// What became of one series.
#[derive(Debug, Default)]
struct Done {
    /// Of the batch's values, where its own end.
    end: usize,
    samples: usize,
    warnings: Vec<String>,
}

/// What became of the series of a batch.
#[derive(Debug, Default)]
struct Batch {
    values: Vec<f64>,
    /// All, or those before one that could not be read.
    done: Vec<Done>,
    failure: Option<SourceError>,
}

/// The batches of a selector's series.
struct Batches<'s> {
    list: Vec<&'s [SelectedSeries]>,
    next: AtomicUsize,
    range: TimeRange,
    keeps_starts: bool,
}

impl Batches<'_> {
    /// The number of a batch that nobody has, if there is one left.
    fn claim(&self) -> Option<usize> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.list.len()).then_some(number)
    }

    fn work(&self, number: usize, columns: &mut Columns, work: &mut impl Work) -> Batch {
        let series = self.list.get(number).copied().unwrap_or_default();
        let mut batch = Batch::default();
        for one in series {
            columns.clear();
            let warnings = match one.read(self.range, columns) {
                Ok(warnings) => warnings,
                Err(err) => return Batch { failure: Some(err), ..batch },
            };
            if !self.keeps_starts {
                columns.starts.clear();
            }
            let samples = columns.len();
            work(one, columns, &mut batch.values);
            batch.done.push(Done { end: batch.values.len(), samples, warnings });
        }
        batch
    }
}

impl Evaluator<'_> {
    /// Reads the samples `from..=to` of each series of a selector, and hands on the columns of so
    /// many steps that are made of them, in order.
    pub(super) fn each_column<W: Work>(
        &self,
        fetch: usize,
        (from, to): (i64, i64),
        steps: usize,
        make: impl Fn() -> W + Sync,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let series = self.fetched(fetch)?;
        let bounds = (Timestamp::from_millis(from), Timestamp::from_millis(to));
        let Some(range) = TimeRange::new(bounds.0, bounds.1) else { return Ok(()) };
        // Where the work went is told of one thread alone.
        if self.trace.is_none()
            && self.samples_expected(series.len(), range) >= self.settings.large_samples_min
            && let Some(_core) = self.cores.take()
            && let Some(ended) = self.on_two_cores(&series, range, steps, &make, sink)
        {
            return ended;
        }
        let (mut work, mut values) = (make(), Vec::new());
        self.read_in_turn(series.iter(), range, &mut |series, columns| {
            self.count_column(steps, columns.len())?;
            values.clear();
            work(series, columns, &mut values);
            if values.iter().any(|value| !is_absent(*value)) {
                sink(&series.labels, false, &mut values)?;
            }
            Ok(())
        })
    }

    /// Reads the samples of some series in `range` and shows them, in order.
    pub(super) fn read_in_turn<'s>(
        &self,
        series: impl Iterator<Item = &'s SelectedSeries>,
        range: TimeRange,
        f: &mut dyn FnMut(&'s SelectedSeries, &mut Columns) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut columns = Columns::default();
        for series in series {
            columns.clear();
            let warnings = series.read(range, &mut columns).map_err(source_error)?;
            self.tell_warnings(warnings);
            if !self.settings.start_timestamps {
                columns.starts.clear();
            }
            self.guard.count_read(columns.len())?;
            self.guard.fits(columns.len())?;
            self.guard.room(2 * columns.len())?;
            f(series, &mut columns)?;
        }
        Ok(())
    }

    /// As `each_column`. `None` when there is no memory or no thread for it, and then nothing was
    /// handed on.
    fn on_two_cores<W: Work>(
        &self,
        series: &[SelectedSeries],
        range: TimeRange,
        steps: usize,
        make: &(impl Fn() -> W + Sync),
        sink: &mut Sink<'_>,
    ) -> Option<Result<(), Error>> {
        let each = (BATCH_SLOTS / steps.max(1)).clamp(1, BATCH_SERIES);
        let slots = BATCHES * each * steps;
        self.guard.hold_bytes(slots * size_of::<f64>()).ok()?;
        let keeps_starts = self.settings.start_timestamps;
        let list = series.chunks(each).collect();
        let batches = Batches { list, next: AtomicUsize::new(0), range, keeps_starts };
        let (sender, receiver) = mpsc::sync_channel(SENT);
        let there = || {
            let (mut columns, mut work) = (Columns::default(), make());
            while let Some(number) = batches.claim() {
                let batch = batches.work(number, &mut columns, &mut work);
                // Nobody wants it where the query has ended.
                if sender.send((number, batch)).is_err() {
                    return;
                }
            }
            drop(sender);
        };
        let here = || self.take_batches(&batches, receiver, steps, make(), sink);
        let ended = tasks::beside("query beside", there, here);
        self.guard.release_bytes(slots * size_of::<f64>());
        ended.ok().map(|((), ended)| ended)
    }

    /// Works on batches as well, and hands on those of both, in order.
    fn take_batches(
        &self,
        batches: &Batches<'_>,
        receiver: mpsc::Receiver<(usize, Batch)>,
        steps: usize,
        mut work: impl Work,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let (mut columns, mut waiting) = (Columns::default(), BTreeMap::new());
        for (due, series) in batches.list.iter().enumerate() {
            let batch = loop {
                waiting.extend(receiver.try_iter());
                if let Some(batch) = waiting.remove(&due) {
                    break batch;
                }
                let claimed = if waiting.len() < WAITING { batches.claim() } else { None };
                if let Some(number) = claimed {
                    self.guard.check()?;
                    waiting.insert(number, batches.work(number, &mut columns, &mut work));
                } else if let Ok((number, batch)) = receiver.recv() {
                    waiting.insert(number, batch);
                } else {
                    // The other one has panicked, which goes on where it is waited for.
                    return Ok(());
                }
            };
            self.hand_on(series, batch, steps, sink)?;
        }
        Ok(())
    }

    fn hand_on(
        &self,
        series: &[SelectedSeries],
        Batch { values, done, failure }: Batch,
        steps: usize,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let (mut column, mut start) = (Vec::new(), 0);
        for (series, done) in series.iter().zip(done) {
            self.tell_warnings(done.warnings);
            self.guard.count_read(done.samples)?;
            // Both cores hold the samples of a series.
            self.count_column(steps, 2 * done.samples)?;
            column.clear();
            column.extend_from_slice(values.get(start..done.end).unwrap_or_default());
            start = done.end;
            if column.iter().any(|value| !is_absent(*value)) {
                sink(&series.labels, false, &mut column)?;
            }
        }
        failure.map_or(Ok(()), |failure| Err(source_error(failure)))
    }

    /// Counts the work on one column, and the memory that it takes meanwhile.
    pub(super) fn count_column(&self, steps: usize, samples: usize) -> Result<(), Error> {
        self.guard.fits(steps.saturating_add(samples))?;
        self.guard.room(steps + 3 * samples + Layouts::words_of(samples, steps))?;
        self.guard.work(steps)
    }

    fn tell_warnings(&self, warnings: Vec<String>) {
        for warning in warnings {
            self.notes.borrow_mut().source(warning);
        }
    }
}
