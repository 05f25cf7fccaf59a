//! Keeping the head small and its log short: full chunks go to files, checkpoints free the log,
//! and what a block has taken over is dropped.
//!
//! All of it goes over the series in runs of `RUN_PLACES`, so that commits wait for one run at
//! most.

use super::checkpoint::{self, CheckpointLog, End, Pass};
use super::chunk_file::{ChunkFiles, TakenBy, Unwritten, path_of};
use super::snapshot::HeadSeries;
use super::table::place_of;
use super::{FileFacts, Head, State, seal};
use crate::storage::codec::{put_signed, put_varint};
use crate::storage::error::{Error, Result};
use crate::storage::source::Columns;
use crate::storage::tombstone::put_tombstones;
use crate::storage::wal::frame::put_frame;
use crate::storage::wal::record::kind;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Series of one run: about a quarter of a millisecond under the lock.
const RUN_PLACES: u32 = 1024;

/// A checkpoint ends chunks of so many samples: their bytes go to a chunk file once, instead of
/// to the checkpoint and later to a chunk file, and they leave memory sooner. Measured with
/// 250,000 series at 5 s and a checkpoint each two minutes: 5.1 bytes written a sample and at most
/// 368 bytes of memory a series; 40 samples wrote as much, and took 14 % more memory.
const RIPE_SAMPLES: u8 = 20;

/// And chunks of so many bytes.
const RIPE_BYTES: usize = 160;

/// Samples in the log at most, about. Measured with 250,000 series: their checkpoint is loaded in
/// 0.15 s, and a sample of the log replayed in 45 ns.
const LOGGED_MAX: u64 = 3_000_000;

/// What the maintaining thread owns.
#[derive(Debug)]
pub(super) struct Keeper {
    chunks: ChunkFiles,
    checkpoint: CheckpointLog,
    /// Series that left since the last checkpoint.
    gone: Vec<u64>,
}

impl Keeper {
    pub(super) const fn new(chunks: ChunkFiles, checkpoint: CheckpointLog) -> Self {
        Self { chunks, checkpoint, gone: Vec::new() }
    }

    pub(super) const fn chunks(&mut self) -> &mut ChunkFiles {
        &mut self.chunks
    }
}

impl Head {
    /// Writes full chunks to a file and gives their memory back.
    ///
    /// # Errors
    /// The disk refuses; they stay in memory.
    pub(crate) fn write_full_chunks(&self) -> Result<()> {
        let mut keeper = self.keeper();
        self.move_full_chunks(&mut keeper.chunks)
    }

    /// Makes the log unneeded up to now, and frees what can be.
    ///
    /// # Errors
    /// The disk refuses; the log still has everything.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        self.checkpoint_with(&mut self.keeper())
    }

    /// Whether a failed sync or a long log makes a checkpoint urgent.
    pub(crate) fn checkpoint_due(&self) -> bool {
        self.syncer.checkpoint_due() || self.logged.load(Ordering::Relaxed) >= LOGGED_MAX
    }

    /// Refuses further commits, makes a last checkpoint and syncs.
    ///
    /// # Errors
    /// The checkpoint failed; the log still has everything, and it is synced if that worked.
    pub(crate) fn close(&self) -> Result<()> {
        {
            let mut writer = self.writer();
            if writer.closed {
                return Ok(());
            }
            writer.closed = true;
        }
        self.stop_sync_thread();
        let synced = self.syncer.sync_all().map_err(Error::io("sync log", &self.dir));
        self.checkpoint()?;
        synced
    }

    /// Series that may have samples in `from..=to`, in order of labels, for `cut_one`.
    pub(crate) fn cut_order(&self, from: i64, to: i64) -> Vec<u64> {
        let (ranks, end) = {
            let state = self.state();
            (state.table.ranks(), state.table.places_end())
        };
        let mut keys: Vec<u32> = Vec::new();
        let mut series: Vec<(u64, Range<usize>)> = Vec::new();
        for run in runs(end) {
            let state = self.state();
            for one in run.filter_map(|place| state.table.at_place(place)) {
                if !state.overlaps(one, from, to) {
                    continue;
                }
                let start = keys.len();
                let rank = |id| ranks.get(usize::try_from(id).ok()?).copied();
                // A label made since then has no rank; its series has no sample that old.
                keys.extend(one.pairs().map(|id| rank(id).unwrap_or(u32::MAX)));
                series.push((one.number, start..keys.len()));
            }
        }
        let key = |range: &Range<usize>| keys.get(range.clone()).unwrap_or_default();
        series.sort_unstable_by(|(_, a), (_, b)| key(a).cmp(key(b)));
        series.into_iter().map(|(number, _)| number).collect()
    }

    /// A series of `cut_order`; `None` when it has left meanwhile.
    pub(crate) fn cut_one(&self, number: u64, from: i64, to: i64) -> Option<HeadSeries> {
        let state = self.state();
        let series = state.table.get(number)?;
        let reads = state.reads(1);
        Some(state.snapshot(series, state.table.labels(series), (from, to), &reads))
    }

    /// A time at or after `from` before which there is no sample since `from`; `None` when there
    /// is none at all.
    pub(crate) fn oldest_after(&self, from: Option<i64>) -> Option<i64> {
        let state = self.state();
        let from = from.unwrap_or(i64::MIN);
        state.max_time.filter(|max| *max >= from)?;
        state.min_time.map(|min| min.max(from))
    }

    /// The first sample at or after `from`, found by reading.
    pub(crate) fn first_sample_from(&self, from: i64) -> Option<i64> {
        let mut columns = Columns::default();
        let mut first: Option<i64> = None;
        for number in self.cut_order(from, i64::MAX) {
            let to = first.unwrap_or(i64::MAX);
            let Some(series) = self.cut_one(number, from, to) else { continue };
            columns.clear();
            // What cannot be read is told when it is cut.
            series.read(from, to, &mut columns);
            first = columns.ts.first().copied().or(first);
        }
        first
    }

    /// Until when samples are in blocks or were found to be none.
    pub(crate) fn cut_until(&self) -> Option<i64> {
        self.state().read_from
    }

    /// Takes it that there is no sample before `until` to be cut.
    pub(crate) fn skip_to(&self, until: i64) {
        let mut state = self.state_mut();
        state.read_from = state.read_from.max(Some(until));
        state.accept_from = state.accept_from.max(Some(until));
    }

    /// Drops samples before `until`, which a block has now, and series without newer ones; then
    /// makes a checkpoint, so that files and log can go.
    ///
    /// # Errors
    /// The checkpoint failed; it is made up for by the next.
    pub(crate) fn drop_before(&self, until: i64) -> Result<()> {
        let mut keeper = self.keeper();
        self.skip_to(until);
        let end = {
            let mut state = self.state_mut();
            // From here on it is that of series that come meanwhile.
            state.min_time = None;
            state.table.places_end()
        };
        let mut oldest: Option<i64> = None;
        for run in runs(end) {
            // The writer must not hold numbers of series that go.
            let _writer = self.writer();
            let mut state = self.state_mut();
            for place in run {
                match state.drop_before(place, until) {
                    Dropped::Gone(number) => keeper.gone.push(number),
                    Dropped::From(start) => {
                        oldest = Some(oldest.map_or(start, |oldest| oldest.min(start)));
                    }
                    Dropped::Nothing => {}
                }
            }
        }
        self.state_mut().end_drop(oldest, until);
        keeper.chunks.end_file();
        self.checkpoint_with(&mut keeper)?;
        self.remove_unused_chunk_files(&keeper.chunks, until)
    }

    fn checkpoint_with(&self, keeper: &mut Keeper) -> Result<()> {
        let failures = self.syncer.failures();
        let (seq, logged) = {
            let mut writer = self.writer();
            writer.wal.close_active();
            (writer.wal.last_seq(), self.logged.load(Ordering::Relaxed))
        };
        let mut pass = keeper.checkpoint.begin()?;
        if let Err(err) = self.write_checkpoint(keeper, &mut pass, seq) {
            keeper.checkpoint.give_up(&pass);
            return Err(err);
        }
        keeper.checkpoint.finish(pass)?;
        self.logged.fetch_sub(logged, Ordering::Relaxed);
        keeper.gone.clear();
        self.syncer.checkpoint_done(failures);
        self.writer().wal.free_through(seq)
    }

    fn write_checkpoint(&self, keeper: &mut Keeper, pass: &mut Pass, seq: u64) -> Result<()> {
        let mut out = Vec::new();
        if !keeper.gone.is_empty() && !pass.is_whole() {
            put_frame(&mut out, seq, kind::GONE, |out| {
                keeper.gone.iter().for_each(|number| put_varint(out, *number));
            });
        }
        let end = self.state().table.places_end();
        for run in runs(end) {
            self.state_mut().seal_ripe(run.clone());
            self.move_full_chunks(&mut keeper.chunks)?;
            if !self.state_mut().put_places(&mut out, run.clone(), seq, pass.is_whole()) {
                // A chunk was filled in between: once more, while commits wait.
                let _writer = self.writer();
                self.move_full_chunks(&mut keeper.chunks)?;
                self.state_mut().put_places(&mut out, run, seq, pass.is_whole());
            }
            pass.put(&out)?;
            out.clear();
        }
        let mut state = self.state_mut();
        state.late.put(&mut out, seq, pass.is_whole());
        let next_generation = state.table.next_generation();
        put_frame(&mut out, seq, kind::FILES, |out| {
            for (number, FileFacts { newest, chunks }) in &state.file_facts {
                put_varint(out, u64::from(number.get()));
                put_signed(out, *newest);
                put_varint(out, *chunks);
            }
        });
        drop(state);
        keeper.chunks.sync()?;
        // What the checkpoint has of later commits, the log must have whole.
        self.syncer.sync_all().map_err(Error::io("sync log", &self.dir))?;
        let cut_until = self.put_deleted(&mut out, seq, pass.is_whole());
        let End { seq, next_generation, cut_until } = End { seq, next_generation, cut_until };
        put_frame(&mut out, seq, kind::END, |out| {
            put_varint(out, next_generation);
            cut_until.iter().for_each(|until| put_signed(out, *until));
        });
        pass.put(&out)
    }

    /// Puts what was deleted, as far as the checkpoint does not have it; answers up to when the
    /// head was cut.
    fn put_deleted(&self, out: &mut Vec<u8>, seq: u64, whole: bool) -> Option<i64> {
        let mut state = self.state_mut();
        if (whole || !state.saved_deleted) && !state.deleted.is_empty() {
            put_frame(out, seq, kind::TOMBSTONES, |out| put_tombstones(out, &state.deleted));
        }
        state.saved_deleted = true;
        state.read_from
    }

    pub(super) fn move_full_chunks(&self, files: &mut ChunkFiles) -> Result<()> {
        loop {
            let mut run = self.state().unwritten();
            if run.is_empty() {
                return Ok(());
            }
            let taken = files.append(&mut run)?;
            self.state_mut().written(run, taken);
        }
    }

    fn remove_unused_chunk_files(&self, active: &ChunkFiles, until: i64) -> Result<()> {
        let unused: Vec<NonZeroU32> = {
            let mut state = self.state_mut();
            let kept = active.active_number();
            let old = state
                .file_facts
                .iter()
                .filter(|(number, facts)| facts.newest < until && kept != Some(**number));
            let unused: Vec<NonZeroU32> = old.map(|(number, _)| *number).collect();
            state.file_facts.retain(|number, _| !unused.contains(number));
            Arc::make_mut(&mut state.chunk_files).retain(|number, _| !unused.contains(number));
            unused
        };
        let dir = self.dir.join("head");
        for number in unused {
            let path = path_of(&dir, number);
            self.files.remove(&path).map_err(Error::io("remove", &path))?;
        }
        Ok(())
    }
}

/// What became of a series at a cut.
enum Dropped {
    Nothing,
    Gone(u64),
    /// It is here; no sample is older.
    From(i64),
}

impl State {
    /// Ends chunks that are worth a record of their own.
    fn seal_ripe(&mut self, places: Range<u32>) {
        for place in places {
            let Some(series) = self.table.at_place_mut(place) else { continue };
            let open = &series.open;
            if open.count() >= RIPE_SAMPLES || open.bytes().len() >= RIPE_BYTES {
                let (number, chunk) = (series.number, series.take_open());
                seal(&mut self.pending, &mut self.pending_bytes, number, &chunk);
                self.open_chunks -= 1;
            }
        }
    }

    /// Puts series into a checkpoint; whether all could be: their full chunks are in files.
    fn put_places(&mut self, out: &mut Vec<u8>, places: Range<u32>, seq: u64, whole: bool) -> bool {
        let waits = |number: &u64| places.contains(&place_of(*number));
        if self.pending.keys().any(waits) {
            return false;
        }
        checkpoint::put_places(out, &mut self.table, places, seq, whole);
        true
    }

    /// Some of the full chunks that no file has.
    fn unwritten(&self) -> Vec<Unwritten> {
        let some = self.pending.iter().take(4096);
        let known = some.filter_map(|(number, chunks)| {
            let chain = self.table.get(*number)?.chain();
            Some(Unwritten { number: *number, chain, chunks: chunks.clone() })
        });
        known.collect()
    }

    /// Takes over where they lie now.
    fn written(&mut self, run: Vec<Unwritten>, by: TakenBy) {
        if !self.chunk_files.contains_key(&by.number) {
            Arc::make_mut(&mut self.chunk_files).insert(by.number, by.file);
        }
        let none = FileFacts { newest: i64::MIN, chunks: 0 };
        let file = self.file_facts.entry(by.number).or_insert(none);
        for Unwritten { number, chain, chunks } in run {
            if let Some(series) = self.table.get_mut(number) {
                series.set_chain(chain);
            }
            file.newest = file.newest.max(chain.max);
            file.chunks += chunks.len() as u64;
            let bytes: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
            self.pending_bytes = self.pending_bytes.saturating_sub(bytes);
            if let Some(waiting) = self.pending.get_mut(&number) {
                waiting.drain(..chunks.len().min(waiting.len()));
                if waiting.is_empty() {
                    self.pending.remove(&number);
                }
            }
        }
    }

    fn drop_before(&mut self, place: u32, until: i64) -> Dropped {
        let Some(series) = self.table.at_place_mut(place) else { return Dropped::Nothing };
        if series.last().is_some_and(|(last, _)| last >= until) {
            series.start = series.start.max(until);
            return Dropped::From(series.start);
        }
        let number = series.number;
        if self.late.has(number) {
            // It keeps its place until a block has them.
            series.start = series.start.max(until);
            return Dropped::Nothing;
        }
        self.open_chunks -= u64::from(series.open.count() > 0);
        self.table.remove_place(place);
        for chunk in self.pending.remove(&number).into_iter().flatten() {
            self.pending_bytes = self.pending_bytes.saturating_sub(chunk.bytes.len());
        }
        Dropped::Gone(number)
    }

    fn end_drop(&mut self, oldest: Option<i64>, until: i64) {
        self.drop_tombstones(until);
        self.min_time = [oldest, self.min_time].into_iter().flatten().min();
        // The series with the newest sample is here, unless all are gone.
        self.max_time = self.max_time.filter(|max| *max >= until);
        if self.max_time.is_none() {
            self.min_time = None;
        }
    }
}

/// The places up to `end` in runs.
fn runs(end: u32) -> impl Iterator<Item = Range<u32>> {
    let starts = (0..end).step_by(usize::try_from(RUN_PLACES).unwrap_or(1));
    starts.map(move |start| start..end.min(start + RUN_PLACES))
}
