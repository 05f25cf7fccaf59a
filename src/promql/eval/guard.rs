//! Budgets and the deadline of one query.

use crate::promql::Error;
use crate::sys::clock::SharedClock;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// After so many samples of work the clock and the flag are looked at.
const WORK_BETWEEN_CHECKS: usize = 1024;

/// What a slot of a column takes in memory.
const SLOT_BYTES: usize = size_of::<f64>();

/// Counts what a query holds and reads, and ends it when that is too much or too late.
#[derive(Debug)]
pub(in crate::promql) struct Guard {
    clock: SharedClock,
    deadline: Duration,
    canceled: Arc<AtomicBool>,
    samples_max: usize,
    bytes_max: usize,
    held: Cell<usize>,
    peak: Cell<usize>,
    read: Cell<usize>,
    work_left: Cell<usize>,
}

impl Guard {
    /// Budgets in samples and bytes; `deadline` in the clock's elapsed time.
    pub(in crate::promql) const fn new(
        clock: SharedClock,
        deadline: Duration,
        canceled: Arc<AtomicBool>,
        samples_max: usize,
        bytes_max: usize,
    ) -> Self {
        Self {
            clock,
            deadline,
            canceled,
            samples_max,
            bytes_max,
            held: Cell::new(0),
            peak: Cell::new(0),
            read: Cell::new(0),
            work_left: Cell::new(WORK_BETWEEN_CHECKS),
        }
    }

    /// Whether the query may go on.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.canceled.load(Ordering::Relaxed) {
            return Err(Error::Canceled);
        }
        if self.clock.elapsed() >= self.deadline {
            return Err(Error::Timeout);
        }
        Ok(())
    }

    /// Counts work on `samples` samples, and checks now and then.
    pub(super) fn work(&self, samples: usize) -> Result<(), Error> {
        // A series without samples is work as well.
        match self.work_left.get().checked_sub(samples.max(1)) {
            Some(left) => {
                self.work_left.set(left);
                Ok(())
            }
            None => {
                self.work_left.set(WORK_BETWEEN_CHECKS);
                self.check()
            }
        }
    }

    /// Whether `samples` more samples would fit, before memory is taken for them.
    pub(super) fn fits(&self, samples: usize) -> Result<usize, Error> {
        let held = self.held.get().saturating_add(samples);
        if held > self.samples_max {
            return Err(Error::TooManySamples);
        }
        if held.saturating_mul(SLOT_BYTES) > self.bytes_max {
            return Err(Error::TooManyBytes { limit: self.bytes_max });
        }
        self.peak.set(self.peak.get().max(held));
        Ok(held)
    }

    /// Counts samples that are held from now on.
    pub(super) fn hold(&self, samples: usize) -> Result<(), Error> {
        self.held.set(self.fits(samples)?);
        Ok(())
    }

    /// Counts samples that are no longer held.
    pub(super) fn release(&self, samples: usize) {
        self.held.set(self.held.get().saturating_sub(samples));
    }

    /// Counts samples that were read from the source.
    pub(super) fn count_read(&self, samples: usize) -> Result<(), Error> {
        self.read.set(self.read.get().saturating_add(samples));
        self.work(samples)
    }

    pub(super) fn samples_read(&self) -> usize {
        self.read.get()
    }

    pub(super) fn samples_peak(&self) -> usize {
        self.peak.get()
    }
}
