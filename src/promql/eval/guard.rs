//! Budgets and the deadline of one query.

use super::column::{Row, is_absent};
use crate::model::{Labels, Matcher, Regex};
use crate::promql::pool::Lease;
use crate::promql::syntax::{Expr, selectors};
use crate::promql::{Error, Light, Value};
use crate::storage::source::{SelectedSeries, selection_bytes};
use crate::sys::clock::SharedClock;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// After so many samples of work the clock and the flag are looked at.
const WORK_BETWEEN_CHECKS: usize = 1024;

/// What a slot of a column takes in memory.
const SLOT_BYTES: usize = size_of::<f64>();

/// What a text of labels takes beside its bytes: the counts in front of it, and what the
/// allocator rounds up.
const LABELS_BYTES: usize = 32;

/// What one entry of a map by labels takes: key, place, control byte and the free room of the map.
const ENTRY_BYTES: usize = 64;

/// What the store's handle of a series takes: its parts, each about 130 bytes, the chunk that is
/// open, and the lists that hold them, old and new while they grow.
const HANDLE_BYTES: usize = size_of::<SelectedSeries>() + 576;

/// What the regular expressions of a query take: the programs, and as much again for the states
/// that matching finds.
pub(super) fn regex_bytes(expr: &Expr) -> usize {
    let matchers = selectors(expr).into_iter().flat_map(|selector| &selector.matchers);
    2 * matchers.filter_map(Matcher::regex).map(Regex::memory).sum::<usize>()
}

/// How many times the work of a light query it may take when it was expected to be one: breaking
/// it off would waste what was done.
const OVERRUN: usize = 4;

/// What the regular expressions of a light query may take.
const LIGHT_REGEX_BYTES: usize = 512 << 10;

/// What a labels' text takes.
pub(super) fn label_bytes(labels: &Labels) -> usize {
    LABELS_BYTES + labels.byte_len()
}

/// What a row takes beside its column.
pub(super) fn row_bytes(labels: &Labels) -> usize {
    size_of::<Row>() + label_bytes(labels)
}

/// What rows take beside their columns.
pub(super) fn rows_bytes(rows: &[Row]) -> usize {
    rows.iter().map(|row| row_bytes(&row.labels)).sum()
}

/// What a group takes beside its column: a row, and its entry in a map by the same labels.
pub(super) fn group_bytes(labels: &Labels) -> usize {
    row_bytes(labels) + ENTRY_BYTES
}

/// What one sample of an answer takes while it is written: time and value, as the engine and as
/// the wire have them, and the text.
const ANSWER_SAMPLE_BYTES: usize = 64;

/// What one series of an answer takes while it is written, apart from its samples: the text has
/// the labels once more, with quotes.
fn answer_series_bytes(labels: &Labels) -> usize {
    row_bytes(labels) + 2 * labels.byte_len() + ANSWER_SAMPLE_BYTES
}

/// What an answer takes while it is written.
pub(super) fn answer_bytes(value: &Value) -> usize {
    match value {
        Value::Scalar(_) => ANSWER_SAMPLE_BYTES,
        Value::String(_, text) => 4 * text.len(),
        Value::Vector(list) => list.iter().map(|one| answer_series_bytes(&one.metric)).sum(),
        Value::Matrix(list) => {
            let sizes = list.iter().map(|one| {
                answer_series_bytes(&one.metric) + one.samples.len() * ANSWER_SAMPLE_BYTES
            });
            sizes.sum()
        }
    }
}

/// Who stops the query, and what its owner sees of it.
#[derive(Debug)]
pub(in crate::promql) struct Watch {
    pub(in crate::promql) clock: SharedClock,
    /// In the clock's elapsed time.
    pub(in crate::promql) deadline: Duration,
    pub(in crate::promql) canceled: Arc<AtomicBool>,
    /// Samples that were read.
    pub(in crate::promql) progress: Arc<AtomicUsize>,
}

/// Counts what a query holds and reads, and ends it when that is too much or too late.
#[derive(Debug)]
pub(in crate::promql) struct Guard {
    watch: Watch,
    samples_max: usize,
    light: Option<Light>,
    lease: RefCell<Lease>,
    /// Samples, each one slot of a column.
    held: Cell<usize>,
    /// Bytes of what is held beside samples.
    others: Cell<usize>,
    peak: Cell<usize>,
    read: Cell<usize>,
    work_left: Cell<usize>,
    work_done: Cell<usize>,
}

impl Guard {
    /// Budgets in samples and, by the lease, in bytes; of a light query in work too.
    pub(in crate::promql) const fn new(
        watch: Watch,
        samples_max: usize,
        lease: Lease,
        light: Option<Light>,
    ) -> Self {
        Self {
            watch,
            samples_max,
            light,
            lease: RefCell::new(lease),
            held: Cell::new(0),
            others: Cell::new(0),
            peak: Cell::new(0),
            read: Cell::new(0),
            work_left: Cell::new(WORK_BETWEEN_CHECKS),
            work_done: Cell::new(0),
        }
    }

    /// The time on the clock that measures the query.
    pub(super) fn elapsed(&self) -> Duration {
        self.watch.clock.elapsed()
    }

    /// Whether the query may go on.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.watch.canceled.load(Ordering::Relaxed) {
            return Err(Error::Canceled);
        }
        if self.watch.clock.elapsed() >= self.watch.deadline {
            return Err(Error::Timeout);
        }
        Ok(())
    }

    /// Counts work on `samples` samples, and checks now and then.
    pub(super) fn work(&self, samples: usize) -> Result<(), Error> {
        // A series without samples is work as well.
        let (samples, left) = (samples.max(1), self.work_left.get());
        if let Some(left) = left.checked_sub(samples) {
            self.work_left.set(left);
            return Ok(());
        }
        self.work_left.set(WORK_BETWEEN_CHECKS);
        let done = self.work_done.get().saturating_add(WORK_BETWEEN_CHECKS - left);
        self.work_done.set(done.saturating_add(samples));
        if self.light.is_some_and(|light| self.work_done.get() / OVERRUN > light.work_max) {
            return Err(Error::Heavy);
        }
        self.check()
    }

    /// Whether work on so many samples is more than a light query may do, known beforehand.
    pub(super) fn expect_work(&self, samples: usize) -> Result<(), Error> {
        match self.light {
            Some(light) if samples > light.work_max => Err(Error::Heavy),
            Some(_) | None => Ok(()),
        }
    }

    /// Counts the regular expressions of a query. With large ones a light query may take long
    /// before it has found its series.
    pub(super) fn hold_regexes(&self, bytes: usize) -> Result<(), Error> {
        if self.is_light() && bytes > LIGHT_REGEX_BYTES {
            return Err(Error::Heavy);
        }
        self.hold_bytes(bytes)
    }

    /// Whether it may only do little.
    pub(super) const fn is_light(&self) -> bool {
        self.light.is_some()
    }

    /// Whether `samples` more samples would fit; memory for them is set aside until the next
    /// release.
    pub(super) fn fits(&self, samples: usize) -> Result<usize, Error> {
        let held = self.held.get().saturating_add(samples);
        if held > self.samples_max {
            return Err(Error::TooManySamples);
        }
        self.reserve(held.saturating_mul(SLOT_BYTES).saturating_add(self.others.get()))?;
        self.peak.set(self.peak.get().max(held));
        Ok(held)
    }

    /// Sets memory aside for `slots` slots that are no samples of the query's own: buffers.
    pub(super) fn room(&self, slots: usize) -> Result<(), Error> {
        self.reserve(self.bytes().saturating_add(slots.saturating_mul(SLOT_BYTES)))
    }

    /// Counts samples that are held from now on.
    pub(super) fn hold(&self, samples: usize) -> Result<(), Error> {
        self.held.set(self.fits(samples)?);
        Ok(())
    }

    /// Counts samples that are no longer held.
    pub(super) fn release(&self, samples: usize) {
        self.held.set(self.held.get().saturating_sub(samples));
        self.lease.borrow_mut().shrink_to(self.bytes());
    }

    /// Counts bytes beside samples that are held from now on.
    pub(super) fn hold_bytes(&self, bytes: usize) -> Result<(), Error> {
        self.reserve(self.bytes().saturating_add(bytes))?;
        self.others.set(self.others.get().saturating_add(bytes));
        Ok(())
    }

    /// Counts bytes beside samples that are no longer held.
    pub(super) fn release_bytes(&self, bytes: usize) {
        self.others.set(self.others.get().saturating_sub(bytes));
        self.lease.borrow_mut().shrink_to(self.bytes());
    }

    /// Counts the rows that an operation was given as no longer held, and those that it made.
    pub(super) fn exchange(
        &self,
        (given, given_bytes): (usize, usize),
        (made, made_bytes): (usize, usize),
    ) -> Result<(), Error> {
        self.release(given);
        self.release_bytes(given_bytes);
        self.hold(made)?;
        self.hold_bytes(made_bytes)
    }

    /// Series that a selector may find, of at most `series_max`: as many as there is memory for.
    pub(super) fn series_room(&self, series_max: usize) -> usize {
        let light = self.light.map_or(usize::MAX, |light| light.series_max);
        let free = self.lease.borrow().bytes_max().saturating_sub(self.bytes());
        series_max.min(light).min(free / HANDLE_BYTES)
    }

    /// Counts the handles of selected series.
    pub(super) fn hold_series(&self, series: &[SelectedSeries]) -> Result<(), Error> {
        let labels: usize = series.iter().map(|one| label_bytes(&one.labels)).sum();
        let handles = series.len() * HANDLE_BYTES;
        self.hold_bytes(labels + handles + selection_bytes(series.len()))
    }

    /// Counts samples that were read from the source.
    pub(super) fn count_read(&self, samples: usize) -> Result<(), Error> {
        let read = self.read.get().saturating_add(samples);
        self.read.set(read);
        self.watch.progress.store(read, Ordering::Relaxed);
        self.work(samples)
    }

    pub(super) fn samples_read(&self) -> usize {
        self.read.get()
    }

    pub(super) fn samples_peak(&self) -> usize {
        self.peak.get()
    }

    /// Sets memory aside for the answer that rows become.
    pub(super) fn room_for_answer(&self, rows: &[Row]) -> Result<(), Error> {
        let sizes = rows.iter().map(|row| {
            let present = row.values.iter().filter(|value| !is_absent(**value)).count();
            answer_series_bytes(&row.labels) + present * ANSWER_SAMPLE_BYTES
        });
        self.reserve(sizes.sum())
    }

    /// The lease, for the answer alone, which takes `bytes`.
    pub(super) fn into_lease(self, bytes: usize) -> Result<Lease, Error> {
        let mut lease = self.lease.into_inner();
        lease.grow_to(bytes)?;
        lease.shrink_to(bytes);
        Ok(lease)
    }

    fn bytes(&self) -> usize {
        self.held.get().saturating_mul(SLOT_BYTES).saturating_add(self.others.get())
    }

    fn reserve(&self, bytes: usize) -> Result<(), Error> {
        self.lease.borrow_mut().grow_to(bytes)
    }
}
