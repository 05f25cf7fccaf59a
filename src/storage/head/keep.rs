//! Keeping the head small and its log short: full chunks go to files, checkpoints free the log,
//! and what a block has taken over is dropped.

use super::checkpoint::{self, CheckpointLog, End};
use super::chunk_file::{ChunkFiles, path_of};
use super::series::{FullChunk, Place};
use super::snapshot::HeadSeries;
use super::{Head, State};
use crate::storage::chunk::ChunkWriter;
use crate::storage::error::{Error, Result};
use crate::storage::source::Columns;
use std::collections::BTreeSet;
use std::sync::Arc;

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

    /// Whether a failed sync makes a checkpoint urgent.
    pub(crate) fn checkpoint_due(&self) -> bool {
        self.syncer.checkpoint_due()
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

    /// Series with samples in `from..=to`, for a block, in no order.
    pub(crate) fn cut_series(&self, from: i64, to: i64) -> Vec<HeadSeries> {
        let state = self.state();
        let in_range = |one: &&super::series::Series| {
            one.last.is_some_and(|(last, _)| last >= from)
                && one.min_time().is_some_and(|min| min <= to)
        };
        state.table.iter().filter(in_range).map(|one| state.snapshot(one, from, to)).collect()
    }

    /// The oldest and newest sample at or after `from`.
    pub(crate) fn oldest_after(&self, from: Option<i64>) -> Option<i64> {
        let state = self.state();
        let from = from.unwrap_or(i64::MIN);
        let mut oldest: Option<i64> = None;
        for series in state.table.iter() {
            let open = (series.open.count() > 0)
                .then(|| (series.open.min(), series.open.max().unwrap_or(i64::MIN)));
            let full = series.full.iter().map(|chunk| (chunk.min, chunk.max));
            let first = full.chain(open).find(|(_, max)| *max >= from);
            if let Some((min, _)) = first {
                let min = min.max(from);
                oldest = Some(oldest.map_or(min, |oldest| oldest.min(min)));
            }
        }
        oldest
    }

    /// The first sample at or after `from`, found by reading.
    pub(crate) fn first_sample_from(&self, from: i64) -> Option<i64> {
        let mut columns = Columns::default();
        let series = self.cut_series(from, i64::MAX);
        let first = series.iter().filter_map(|one| {
            columns.clear();
            // What cannot be read is told when it is cut.
            one.read(from, i64::MAX, &mut columns);
            columns.ts.first().copied()
        });
        first.min()
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
    /// makes a whole checkpoint, so that files and log can go.
    ///
    /// # Errors
    /// The checkpoint failed; it is made up for by the next.
    pub(crate) fn drop_before(&self, until: i64) -> Result<()> {
        let mut keeper = self.keeper();
        {
            // The writer must not hold numbers of series that go.
            let _writer = self.writer();
            let gone = self.state_mut().drop_before(until);
            keeper.gone.extend(gone);
        }
        keeper.chunks.end_file();
        keeper.checkpoint.begin_anew();
        self.checkpoint_with(&mut keeper)
    }

    fn checkpoint_with(&self, keeper: &mut Keeper) -> Result<()> {
        // Most full chunks go while commits run; the few that follow while they wait.
        self.move_full_chunks(&mut keeper.chunks)?;
        let whole = keeper.checkpoint.wants_whole();
        let mut writer = self.writer();
        self.move_full_chunks(&mut keeper.chunks)?;
        writer.wal.close_active();
        let seq = writer.wal.last_seq();
        let records = {
            let mut state = self.state_mut();
            let end = End { seq, next_generation: state.table.next_generation() };
            checkpoint::encode(&mut state, &keeper.gone, end, whole)
        };
        drop(writer);
        let written = keeper.chunks.sync().and_then(|()| keeper.checkpoint.write(&records, whole));
        if written.is_err() {
            // What was marked as saved is not.
            keeper.checkpoint.begin_anew();
        }
        written?;
        keeper.gone.clear();
        self.syncer.checkpoint_done();
        self.writer().wal.free_through(seq)?;
        if whole {
            self.remove_unused_chunk_files(&keeper.chunks)?;
        }
        Ok(())
    }

    fn move_full_chunks(&self, files: &mut ChunkFiles) -> Result<()> {
        let chunks = self.state().full_in_memory();
        for run in chunks.chunks(4096) {
            let (places, number, file) = files.append(run)?;
            let mut state = self.state_mut();
            if !state.chunk_files.contains_key(&number) {
                Arc::make_mut(&mut state.chunk_files).insert(number, file);
            }
            for ((series, chunk), place) in run.iter().zip(places) {
                state.replace_place(*series, chunk, place);
            }
        }
        let mut state = self.state_mut();
        let moved: BTreeSet<u64> = chunks.iter().map(|(number, _)| *number).collect();
        let State { sealed, table, .. } = &mut *state;
        sealed.retain(|number| {
            let in_memory = |chunk: &FullChunk| matches!(chunk.place, Place::Memory(_));
            !moved.contains(number)
                || table.get(*number).is_some_and(|series| series.full.iter().any(in_memory))
        });
        Ok(())
    }

    fn remove_unused_chunk_files(&self, active: &ChunkFiles) -> Result<()> {
        let unused: Vec<u64> = {
            let mut state = self.state_mut();
            let used = state.used_files();
            let named =
                |number: &u64| used.contains(number) || active.active_number() == Some(*number);
            let unused =
                state.chunk_files.keys().filter(|number| !named(number)).copied().collect();
            Arc::make_mut(&mut state.chunk_files).retain(|number, _| named(number));
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

impl State {
    fn full_in_memory(&self) -> Vec<(u64, FullChunk)> {
        let numbers: BTreeSet<u64> = self.sealed.iter().copied().collect();
        let series = numbers.into_iter().filter_map(|number| self.table.get(number));
        let chunks = series.flat_map(|one| one.full.iter().map(|chunk| (one.number, chunk)));
        let in_memory = chunks.filter(|(_, chunk)| matches!(chunk.place, Place::Memory(_)));
        in_memory.map(|(number, chunk)| (number, chunk.clone())).collect()
    }

    fn replace_place(&mut self, number: u64, moved: &FullChunk, place: Place) {
        let Some(series) = self.table.get_mut(number) else { return };
        let mut same = series.full.iter_mut().rev().filter(|chunk| chunk.min == moved.min);
        if let Some(chunk) = same.next() {
            chunk.place = place;
        }
    }

    fn used_files(&self) -> BTreeSet<u64> {
        let chunks = self.table.iter().flat_map(|series| &series.full);
        let files = chunks.filter_map(|chunk| match chunk.place {
            Place::File { file, .. } => Some(file),
            Place::Memory(_) => None,
        });
        files.collect()
    }

    fn drop_before(&mut self, until: i64) -> Vec<u64> {
        self.read_from = self.read_from.max(Some(until));
        self.accept_from = self.accept_from.max(Some(until));
        let mut dropped = 0;
        for series in self.table.iter_mut() {
            let before = series.full.len();
            series.full.retain(|chunk| chunk.max >= until);
            dropped += before - series.full.len();
            if series.open.count() > 0 && series.open.max().is_some_and(|max| max < until) {
                series.open = ChunkWriter::default();
                dropped += 1;
            }
        }
        self.chunks = self.chunks.saturating_sub(dropped as u64);
        let ended =
            |series: &super::series::Series| series.last.is_none_or(|(last, _)| last < until);
        let gone = self.table.remove_where(ended);
        self.max_time = self.table.iter().filter_map(|one| one.last).map(|(ts, _)| ts).max();
        gone
    }
}
