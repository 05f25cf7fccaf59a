//! The head: what is not in a block yet. Every commit passes through here.
//!
//! Owns the table of series, their open and full chunks, the log, and the checkpoint in `head/`.
//! Start reading at `Head::commit`, then `admit.rs` (which samples are taken), `table.rs` (how
//! series are found), `keep.rs` (checkpoint and cut).
//!
//! One writer at a time; readers copy what they need under a read lock and decode without it.
//! Never: shows a sample that the log does not have.

mod admit;
mod checkpoint;
mod chunk_file;
mod keep;
mod restore;
mod series;
mod snapshot;
mod symbols;
mod table;
#[cfg(test)]
mod tests;

pub(super) use snapshot::HeadSeries;

use self::admit::{Admission, Limits, Touched};
use self::keep::Keeper;
use self::snapshot::FileTable;
use self::table::Table;
use super::append::{AppendError, Commit, Committed, SeriesRef};
use super::chunk::CHUNK_SAMPLES_MAX;
use super::config::{Config, WalSync};
use super::error::Error;
use super::wal::{LogSample, NewSeries, Syncer, Wal};
use crate::model::Labels;
use crate::sys::clock::SharedClock;
use crate::sys::files::SharedFiles;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the head takes from the world.
#[derive(Clone, Debug)]
pub(super) struct HeadDeps {
    pub(super) files: SharedFiles,
    pub(super) clock: SharedClock,
}

/// The head.
#[derive(Debug)]
pub(super) struct Head {
    files: SharedFiles,
    clock: SharedClock,
    /// The data directory.
    dir: PathBuf,
    wal_sync: WalSync,
    limits: RwLock<Limits>,
    /// Lock order: `keeper`, then `writer`, then `state`.
    keeper: Mutex<Keeper>,
    writer: Mutex<Writer>,
    state: RwLock<State>,
    syncer: Arc<Syncer>,
    sync_thread: Mutex<Option<JoinHandle<Option<()>>>>,
}

/// What only one commit at a time may touch.
#[derive(Debug)]
struct Writer {
    wal: Wal,
    closed: bool,
    /// Kept between commits for their memory.
    samples: Vec<LogSample>,
    touched: Touched,
}

/// What readers see.
#[derive(Debug, Default)]
struct State {
    table: Table,
    max_time: Option<i64>,
    /// Older samples are refused: they belong to a block that is cut or being cut.
    accept_from: Option<i64>,
    /// Older samples are in a block and no longer read here.
    read_from: Option<i64>,
    /// Open files of full chunks.
    chunk_files: Arc<FileTable>,
    /// Numbers of series with full chunks in memory.
    sealed: Vec<u64>,
    chunks: u64,
}

/// Counts and bounds of the head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HeadFacts {
    pub(super) series: usize,
    pub(super) chunks: u64,
    pub(super) min_time: Option<i64>,
    pub(super) max_time: Option<i64>,
    pub(super) symbol_bytes: usize,
    /// Whether a block was ever cut.
    pub(super) has_cut: bool,
}

impl Head {
    /// Writes the commit to the log and shows it.
    ///
    /// # Errors
    /// Nothing of it is taken, see `AppendError`.
    pub(super) fn commit(&self, commit: &Commit, synced: bool) -> Result<Committed, AppendError> {
        let mut writer = self.writer();
        if writer.closed {
            return Err(AppendError::Closed);
        }
        let mut samples = std::mem::take(&mut writer.samples);
        samples.clear();
        let admission = match self.admit(commit, &mut writer.touched, &mut samples) {
            Ok(admission) => admission,
            Err(admit::Stale) => {
                writer.samples = samples;
                return Err(AppendError::Stale);
            }
        };
        if samples.is_empty() && admission.new_series.is_empty() {
            writer.samples = samples;
            drop(writer);
            // A sender who repeats what is here wants it durable like anyone else.
            return if synced {
                self.sync_all().map(|()| admission.committed)
            } else {
                Ok(admission.committed)
            };
        }
        let seq = writer.wal.append(&admission.new_series, &samples).map_err(log_error)?;
        if self.wal_sync == WalSync::Always {
            self.sync_to(seq)?;
        }
        self.show(&admission.new_series, &samples);
        if samples.capacity() <= 1 << 20 {
            writer.samples = samples;
        }
        drop(writer);
        if synced {
            self.sync_to(seq)?;
        }
        Ok(admission.committed)
    }

    /// Refuses samples older than `from`: a block up to there is being cut.
    pub(super) fn accept_from(&self, from: i64) {
        let mut state = self.state_mut();
        state.accept_from = state.accept_from.max(Some(from));
    }

    /// Takes over new limits.
    pub(super) fn set_limits(&self, config: &Config) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = Limits::of(config);
    }

    /// Counts and bounds.
    pub(super) fn facts(&self) -> HeadFacts {
        let state = self.state();
        HeadFacts {
            series: state.table.len(),
            chunks: state.chunks,
            min_time: state.min_time(),
            max_time: state.max_time,
            symbol_bytes: state.table.symbols.byte_len(),
            has_cut: state.accept_from.is_some(),
        }
    }

    /// Syncs the log.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn sync_all(&self) -> Result<(), AppendError> {
        self.syncer.sync_all().map_err(|err| AppendError::Log(err.to_string()))
    }

    fn sync_to(&self, seq: u64) -> Result<(), AppendError> {
        self.syncer.sync_to(seq).map_err(|err| AppendError::Log(err.to_string()))
    }

    /// The series that have these labels.
    pub(super) fn find(&self, labels: &[Labels]) -> Vec<Option<SeriesRef>> {
        let state = self.state();
        let find = |labels: &Labels| state.table.find(labels, state.table.hash(labels));
        labels.iter().map(|labels| find(labels).map(SeriesRef::from_number)).collect()
    }

    fn admit(
        &self,
        commit: &Commit,
        touched: &mut Touched,
        samples: &mut Vec<LogSample>,
    ) -> Result<Admission, admit::Stale> {
        let state = self.state();
        let limits = self.limits.read().unwrap_or_else(PoisonError::into_inner);
        admit::admit(&state, &limits, self.clock.now(), commit, touched, samples)
    }

    fn show(&self, new_series: &[NewSeries], samples: &[LogSample]) {
        let mut state = self.state_mut();
        for series in new_series {
            state.table.insert(series.number, &series.labels);
        }
        for sample in samples {
            state.push(*sample);
        }
    }

    fn start_sync_thread(&self) -> super::error::Result<()> {
        let WalSync::Every(every) = self.wal_sync else { return Ok(()) };
        let thread = self.syncer.start(every.max(Duration::from_millis(1)))?;
        *self.sync_thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    fn stop_sync_thread(&self) {
        self.syncer.stop();
        let thread = self.sync_thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Its panic, if it had one, was told by `tasks`.
            let _ = thread.join();
        }
    }

    fn keeper(&self) -> MutexGuard<'_, Keeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Head {
    fn drop(&mut self) {
        self.stop_sync_thread();
    }
}

impl State {
    /// Appends a sample of the log, unless the series has it or a newer one.
    fn push(&mut self, sample: LogSample) {
        let Some(series) = self.table.get_mut(sample.series) else { return };
        if series.last.is_some_and(|(ts, _)| sample.ts <= ts) {
            return;
        }
        let full = series.full.len();
        if series.push(sample.ts, sample.bits, CHUNK_SAMPLES_MAX) {
            self.chunks += 1;
        }
        if series.full.len() > full {
            self.sealed.push(sample.series);
        }
        self.max_time = self.max_time.max(Some(sample.ts));
    }

    fn min_time(&self) -> Option<i64> {
        let oldest = self.table.iter().filter_map(series::Series::min_time).min();
        match self.read_from {
            Some(from) => oldest.map(|oldest| oldest.max(from)),
            None => oldest,
        }
    }
}

fn log_error(err: Error) -> AppendError {
    AppendError::Log(err.with_causes())
}
