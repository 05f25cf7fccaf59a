//! The head: what is not in a block yet. Every commit passes through here.
//!
//! Owns the table of series, their open and full chunks, the log, and the checkpoint in `head/`.
//! Start reading at `Head::commit`, then `admit.rs` (which samples are taken), `table.rs` (how
//! series are found), `keep.rs` (checkpoint and cut).
//!
//! One writer at a time; readers copy what they need under a read lock and decode without it.
//! Never: shows a sample that the log does not have.

mod admit;
mod check;
mod checkpoint;
mod chunk_file;
mod count;
mod delete;
mod keep;
mod load;
mod open;
mod opens;
mod out_of_order;
mod places;
mod reads;
mod restore;
mod series;
mod snapshot;
mod symbols;
mod table;
#[cfg(test)]
mod tests;

pub(super) use check::check;
#[cfg(fuzzing)]
pub(super) use open::fuzz;
pub(super) use open::{ChunkBytes, OpenChunk};
pub(super) use out_of_order::LateSeries;
pub(super) use snapshot::{HeadSelection, HeadSeries};

use self::admit::{Admission, Limits, Stop, Touched};
use self::keep::Keeper;
use self::out_of_order::LateSamples;
use self::snapshot::FileTable;
use self::table::Table;
use super::append::{AppendError, Commit, Committed, SeriesRef};
use super::config::{Config, WalSync};
use super::error::Error;
use super::tombstone::Tombstones;
use super::wal::{LogCommit, LogSample, Syncer, Wal};
use crate::model::Labels;
use crate::sys::clock::SharedClock;
use crate::sys::files::SharedFiles;
use crate::sys::locks::lock;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::Duration;

/// The writer's list of samples keeps its memory up to this length.
const SCRATCH_SAMPLES_MAX: usize = 1 << 15;

/// Bytes of full chunks that wait for the next maintenance at most, about: a back-fill fills more.
const PENDING_BYTES_MAX: usize = 1 << 20;

/// What a sender is told whose late samples find no room.
const LATE_FULL: &str = "too many out-of-order samples wait for a block; send them again later";

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
    /// Samples in the log since the last checkpoint. New series are not counted: they take as
    /// long to load from a checkpoint.
    logged: AtomicU64,
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
    /// No sample is older.
    min_time: Option<i64>,
    max_time: Option<i64>,
    /// Older samples are refused: they belong to a block that is cut or being cut.
    accept_from: Option<i64>,
    /// Older samples are in a block and no longer read here.
    read_from: Option<i64>,
    /// Open files of full chunks.
    chunk_files: Arc<FileTable>,
    /// What is in each of them.
    file_facts: BTreeMap<NonZeroU32, FileFacts>,
    /// Full chunks that no file has yet, by series, the oldest first.
    pending: BTreeMap<u64, Vec<Arc<ChunkBytes>>>,
    pending_bytes: usize,
    /// Series with an open chunk.
    open_chunks: u64,
    /// What was deleted, by number of series.
    deleted: Tombstones,
    /// Whether the checkpoint has all of `deleted`.
    saved_deleted: bool,
    late: LateSamples,
}

/// What is in a file of full chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileFacts {
    /// The newest time; once a block has all up to there, the file can go.
    newest: i64,
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
            Err(why) => {
                writer.samples = samples;
                return Err(match why {
                    Stop::Stale => AppendError::Stale,
                    Stop::LateFull => AppendError::Refusing(LATE_FULL.to_owned()),
                });
            }
        };
        if admission.committed.taken == 0 && admission.new_series.is_empty() {
            writer.samples = samples;
            drop(writer);
            // A sender who repeats what is here wants it durable like anyone else.
            return if synced {
                self.sync_for_sender(None).map(|()| admission.committed)
            } else {
                Ok(admission.committed)
            };
        }
        let Admission { new_series, late, committed, .. } = admission;
        let brings = LogCommit { series: &new_series, samples: &samples, late: &late };
        let seq = writer.wal.append(brings).map_err(log_error)?;
        if self.wal_sync == WalSync::Always {
            self.sync_to(seq)?;
        }
        self.show(brings);
        self.logged.fetch_add(committed.taken as u64, Ordering::Relaxed);
        if samples.capacity() <= SCRATCH_SAMPLES_MAX {
            writer.samples = samples;
        }
        drop(writer);
        self.relieve();
        if synced {
            self.sync_for_sender(Some(seq))?;
        }
        Ok(committed)
    }

    /// Refuses samples older than `from`: a block up to there is being cut.
    pub(super) fn accept_from(&self, from: i64) {
        let mut state = self.state_mut();
        state.accept_from = state.accept_from.max(Some(from));
    }

    /// Takes over new limits.
    pub(super) fn set_limits(&self, config: &Config) {
        let mut limits = self.limits.write().unwrap_or_else(PoisonError::into_inner);
        let is_memory_short = limits.is_memory_short;
        *limits = Limits::of(config);
        limits.is_memory_short = is_memory_short;
    }

    /// Whether memory runs short: then no series are made.
    pub(super) fn set_memory_short(&self, is_short: bool) {
        let mut limits = self.limits.write().unwrap_or_else(PoisonError::into_inner);
        limits.is_memory_short = is_short;
    }

    /// Counts and bounds.
    pub(super) fn facts(&self) -> HeadFacts {
        let state = self.state();
        HeadFacts {
            series: state.table.len(),
            chunks: state.chunks(),
            min_time: state.min_time.max(state.min_time.and(state.read_from)),
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

    /// Syncs up to `seq`, or all. What a failed sync may have lost is made good as well: samples
    /// that are synced now may be of series that were logged then.
    fn sync_for_sender(&self, seq: Option<u64>) -> Result<(), AppendError> {
        seq.map_or_else(|| self.sync_all(), |seq| self.sync_to(seq))?;
        if self.syncer.checkpoint_due() {
            self.checkpoint().map_err(|err| AppendError::Log(err.with_causes()))?;
        }
        Ok(())
    }

    /// The series that have these labels.
    pub(super) fn find(&self, labels: &[Labels]) -> Vec<Option<SeriesRef>> {
        let state = self.state();
        let find = |labels: &Labels| state.table.find(labels, state.table.hash(labels));
        labels.iter().map(|labels| find(labels).map(SeriesRef::from_number)).collect()
    }

    /// The labels of these series, as far as they are here.
    pub(super) fn labels_of(
        &self,
        refs: impl Iterator<Item = Option<SeriesRef>>,
    ) -> Vec<Option<Labels>> {
        let state = self.state();
        let labels =
            |one: Option<SeriesRef>| Some(state.table.labels(state.table.get(one?.number())?));
        refs.map(labels).collect()
    }

    fn admit(
        &self,
        commit: &Commit,
        touched: &mut Touched,
        samples: &mut Vec<LogSample>,
    ) -> Result<Admission, Stop> {
        let state = self.state();
        let limits = self.limits.read().unwrap_or_else(PoisonError::into_inner);
        admit::admit(&state, &limits, self.clock.now(), commit, touched, samples)
    }

    fn show(&self, commit: LogCommit<'_>) {
        let mut state = self.state_mut();
        for series in commit.series {
            // Admission has found that it is new.
            let _ = state.table.insert(series.number, &series.labels);
        }
        for sample in commit.samples {
            state.push(*sample);
        }
        commit.late.iter().for_each(|sample| state.late.insert(*sample));
    }

    /// Writes full chunks out when many have come, if nobody does it already.
    fn relieve(&self) {
        if self.state().pending_bytes <= PENDING_BYTES_MAX {
            return;
        }
        if let Ok(mut keeper) = self.keeper.try_lock()
            && let Err(err) = self.move_full_chunks(keeper.chunks())
        {
            // They are in the log; the next maintenance tries again, and tells.
            tracing::debug!(error = %err, "cannot write full chunks");
        }
    }

    fn start_sync_thread(&self) -> super::error::Result<()> {
        let WalSync::Every(every) = self.wal_sync else { return Ok(()) };
        let thread = self.syncer.start(every.max(Duration::from_millis(1)))?;
        *lock(&self.sync_thread) = Some(thread);
        Ok(())
    }

    fn stop_sync_thread(&self) {
        self.syncer.stop();
        let thread = lock(&self.sync_thread).take();
        if let Some(thread) = thread {
            // Its panic, if it had one, was told by `tasks`.
            let _ = thread.join();
        }
    }

    fn keeper(&self) -> MutexGuard<'_, Keeper> {
        lock(&self.keeper)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        lock(&self.writer)
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
    /// Chunks, among them those in files that wait for the rest of their file to be in a block.
    fn chunks(&self) -> u64 {
        let waiting: usize = self.pending.values().map(Vec::len).sum();
        let written: u64 = self.file_facts.values().map(|file| file.chunks).sum();
        self.open_chunks + waiting as u64 + written
    }

    /// Appends a sample of the log, unless the series has it or a newer one; whether the series
    /// is known.
    fn push(&mut self, sample: LogSample) -> bool {
        let LogSample { series: number, ts, bits } = sample;
        let Some(series) = self.table.get_mut(number) else { return false };
        if series.last().is_some_and(|(last, _)| ts <= last) {
            return true;
        }
        if series.open.is_full() {
            let chunk = series.take_open();
            seal(&mut self.pending, &mut self.pending_bytes, number, &chunk);
            self.open_chunks -= 1;
        }
        self.open_chunks += u64::from(series.open.count() == 0);
        series.start = series.start.min(ts);
        // Also of a series that was here: when it is only kept for its late samples, this may be
        // the oldest sample of the head.
        self.min_time = Some(self.min_time.map_or(ts, |min| min.min(ts)));
        series.open.push(ts, bits);
        self.max_time = self.max_time.max(Some(ts));
        true
    }
}

/// Keeps a chunk that is full until it is in a file.
fn seal(
    pending: &mut BTreeMap<u64, Vec<Arc<ChunkBytes>>>,
    bytes: &mut usize,
    number: u64,
    chunk: &OpenChunk,
) {
    let chunk = chunk.to_bytes();
    *bytes += chunk.bytes.len();
    pending.entry(number).or_default().push(Arc::new(chunk));
}

fn log_error(err: Error) -> AppendError {
    AppendError::Log(err.with_causes())
}
