//! Reading a checkpoint: see `checkpoint.rs` for what it is.

use super::checkpoint::{End, MAGIC, VERSION, list};
use super::open::OpenChunk;
use super::opens::{self, Resumed, ResumedChunk};
use super::series::{Chain, Place};
use super::table::{PairId, place_of};
use super::{FileFacts, State};
use crate::storage::codec::{Reader, Steps};
use crate::storage::damage::Damages;
use crate::storage::error::{Error, Result};
use crate::storage::tombstone::read_tombstones;
use crate::storage::wal::frame::{self, FILE_HEAD, Found, Frame, Frames, check_file_head};
use crate::storage::wal::record::{kind, read_inline};
use crate::storage::wal::series::SeriesRecord;
use crate::sys::files::Files;
use crate::sys::tasks;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

/// A checkpoint file is read whole; a larger file is not ours.
const FILE_BYTES_MAX: u64 = 8 << 30;

/// What a checkpoint said beside what is in the state now.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// What its last end says.
    pub(super) end: End,
    /// Commits up to here are in it. Behind damage that is less than the last end says: what was
    /// lost may still be in the log, as it is when a power cut tears the checkpoint that is being
    /// written and leaves its end.
    pub(super) whole_seq: u64,
    /// Files of full chunks. Without a checkpoint, or when it does
    /// not say: `None`.
    pub(super) files: Option<BTreeMap<NonZeroU32, FileFacts>>,
    /// The number of the next checkpoint file.
    pub(super) next_file: u64,
    /// Which file it was, if any.
    pub(super) path: Option<PathBuf>,
    /// Up to which commit a checkpoint goes that was begun behind it and not finished, if any.
    pub(super) torn_seq: Option<u64>,
}

/// Takes the newest checkpoint that was finished into `state`, which is empty.
///
/// # Errors
/// A file cannot be read, or is of a later version.
pub(super) fn load(
    files: &dyn Files,
    dir: &Path,
    state: &mut State,
    damages: &mut Damages,
) -> Result<Loaded> {
    let found = list(files, dir)?;
    let next_file = found.last().map_or(1, |(number, _)| number + 1);
    for (_, path) in found.iter().rev() {
        let bytes = files.read(path, FILE_BYTES_MAX).map_err(Error::io("read checkpoint", path))?;
        if !check_file_head(&bytes, MAGIC, VERSION, path)? {
            damages.note(format!("checkpoint {} has a damaged head", path.display()));
        }
        let (whole_seq, torn_seq) = (0, None);
        let mut loader = Loader { state, path, damages, files: None, whole_seq, torn_seq };
        let read = loader.read(&bytes)?;
        // Not all that it says need be held twice.
        drop(bytes);
        if let Some((end, resumed)) = read {
            loader.take_open(resumed);
            let (files, whole_seq) = (loader.files.take(), loader.whole_seq);
            let torn_seq = loader.torn_seq;
            state.table.raise_generation(end.next_generation);
            state.read_from = state.read_from.max(end.cut_until);
            state.accept_from = state.accept_from.max(end.cut_until);
            let path = Some(path.clone());
            return Ok(Loaded { end, whole_seq, files, next_file, path, torn_seq });
        }
    }
    Ok(Loaded { next_file, ..Loaded::default() })
}

struct Loader<'a> {
    state: &'a mut State,
    path: &'a Path,
    damages: &'a mut Damages,
    files: Option<BTreeMap<NonZeroU32, FileFacts>>,
    whole_seq: u64,
    torn_seq: Option<u64>,
}

impl Loader<'_> {
    /// Reads the records up to the last end, all but the open chunks; `None` without one.
    fn read(&mut self, bytes: &[u8]) -> Result<Option<(End, Resumed)>> {
        let mut last = None;
        let mut is_whole = true;
        let mut frames: Vec<Frame<'_>> = Vec::new();
        let mut ended = 0;
        for found in Frames::new(bytes, FILE_HEAD.min(bytes.len())) {
            match found {
                Found::Frame(frame, _) if frame.kind == kind::END => {
                    let mut reader = Reader::new(frame.payload);
                    let Some(next_generation) = reader.varint() else { continue };
                    let cut_until = reader.signed();
                    ended = frames.len();
                    if is_whole {
                        self.whole_seq = frame.seq;
                    }
                    last = Some(End { seq: frame.seq, next_generation, cut_until });
                }
                Found::Frame(frame, _) => frames.push(frame),
                Found::Damage(range) => {
                    let part = bytes.get(range.clone()).unwrap_or_default();
                    self.damages.quarantine(self.path, range.start as u64, part);
                    is_whole = false;
                }
                // A checkpoint that was being written: the log still has what it would have said.
                Found::Tail(range) => {
                    let seq = bytes.get(range).and_then(frame::claimed_seq);
                    let after = last.as_ref().map_or(0, |end: &End| end.seq);
                    self.torn_seq = Some(seq.unwrap_or(after + 1));
                }
            }
        }
        let waiting = frames.iter().skip(ended);
        self.torn_seq = self.torn_seq.max(waiting.map(|frame| frame.seq).max());
        frames.truncate(ended);
        let Some(end) = last else { return Ok(None) };
        Ok(Some((end, self.apply_all(&frames)?)))
    }

    /// Takes records in, all but the open chunks. Unpacking those is half of the work, and needs
    /// nothing of the other half.
    fn apply_all(&mut self, frames: &[Frame<'_>]) -> Result<Resumed> {
        self.reserve(frames);
        let resume = || opens::resume(frames);
        let others = || frames.iter().for_each(|frame| self.apply_or_tell(*frame));
        let done = tasks::beside("open chunks", resume, others).map_err(Error::Thread)?;
        Ok(done.0)
    }

    /// Makes room for the series of all records at once: growing means to hash all series again.
    fn reserve(&mut self, frames: &[Frame<'_>]) {
        let records = frames.iter().filter(|frame| frame.kind == kind::SERIES);
        let series = records.map(|frame| SeriesRecord::count_in(frame.payload)).sum();
        self.state.table.reserve(series);
    }

    fn apply_or_tell(&mut self, frame: Frame<'_>) {
        if self.apply(frame).is_none() {
            self.tell_senseless();
        }
    }

    fn tell_senseless(&mut self) {
        self.damages.note(format!(
            "a record of checkpoint {} makes no sense and was passed over",
            self.path.display()
        ));
    }

    fn apply(&mut self, frame: Frame<'_>) -> Option<()> {
        match frame.kind {
            kind::SERIES => self.apply_series(&SeriesRecord::read(frame.payload)?),
            kind::FULL_CHUNKS => return self.apply_full(frame.payload),
            // `opens.rs` reads these.
            kind::OPEN_CHUNKS => {}
            kind::OUT_OF_ORDER => {
                let mut samples = Vec::new();
                read_inline(frame.payload, &mut samples)?;
                samples.into_iter().for_each(|sample| self.state.late.insert(sample));
            }
            kind::LATE_DONE => self.state.late.clear(),
            kind::TOMBSTONES => {
                self.state.deleted.extend(read_tombstones(frame.payload)?);
            }
            kind::FILES => self.files = Some(read_files(frame.payload)?),
            kind::GONE => {
                let mut reader = Reader::new(frame.payload);
                while !reader.is_empty() {
                    let number = reader.varint()?;
                    if self.state.table.get(number).is_some() {
                        self.state.table.remove_place(place_of(number));
                    }
                }
            }
            // Kinds of the log, or of a later version: not a checkpoint's.
            0..=kind::INLINE | 6..=kind::FULL_CHUNKS | kind::END.. => return None,
        }
        Some(())
    }

    fn apply_series(&mut self, record: &SeriesRecord<'_>) {
        self.state.insert_record(record, |series| series.saved_labels = true, |_, _| {});
    }

    fn apply_full(&mut self, payload: &[u8]) -> Option<()> {
        read_full(payload, |full| {
            let FullChunks { number, start, chain, last } = full;
            if let Some(series) = self.state.table.get_mut(number) {
                series.set_chain(chain);
                series.saved_full = true;
                series.start = start;
                series.open = OpenChunk::behind(last.0, last.1);
            }
        })
    }

    fn take_open(&mut self, resumed: Resumed) {
        let mut broken = 0_u64;
        for ResumedChunk { number, chunk } in resumed.chunks {
            let Some(series) = self.state.table.get_mut(number) else { continue };
            let full_until = series.last().map(|_| series.chain().max);
            let is_behind = |min| full_until.is_none_or(|until| until < min);
            let chunk = chunk.filter(|chunk| chunk.min().is_some_and(is_behind));
            let Some(chunk) = chunk else {
                broken += 1;
                continue;
            };
            series.start = chunk.min().map_or(series.start, |min| series.start.min(min));
            series.open = chunk;
            series.open.saved_count = series.open.count();
            series.open.saved_bytes = u16::try_from(series.open.bit_len() / 8).unwrap_or(0);
            self.state.open_chunks += 1;
        }
        self.state.settle();
        for _ in 0..resumed.senseless {
            self.tell_senseless();
        }
        if broken > 0 {
            let path = self.path.display();
            self.damages.note(format!("{broken} open chunks of checkpoint {path} make no sense"));
        }
    }
}

/// What a checkpoint says of the full chunks of one series.
pub(super) struct FullChunks {
    pub(super) number: u64,
    start: i64,
    pub(super) chain: Chain,
    /// The newest sample of them.
    last: (i64, u64),
}

/// Reads a record of full chunks; `None` when it makes no sense from somewhere on.
pub(super) fn read_full(payload: &[u8], mut tell: impl FnMut(FullChunks)) -> Option<()> {
    let mut reader = Reader::new(payload);
    let (mut numbers, mut start, mut max) = (Steps::default(), 0_i64, 0_i64);
    let mut ends = [(0_i64, 0_i64); 2];
    while !reader.is_empty() {
        let number = numbers.get(&mut reader)?;
        start = start.wrapping_add(reader.signed()?);
        max = max.wrapping_add(reader.signed()?);
        let last = max.wrapping_add(reader.signed()?);
        let bits = reader.varint()?.swap_bytes();
        let [newer, older] = &mut ends;
        let newest = [read_place(&mut reader, newer)?, read_place(&mut reader, older)?];
        tell(FullChunks { number, start, chain: Chain { newest, max }, last: (last, bits) });
    }
    Some(())
}

/// Reads a place that is told from where the one before ends.
#[expect(clippy::option_option, reason = "unreadable, none, or one")]
fn read_place(reader: &mut Reader<'_>, end: &mut (i64, i64)) -> Option<Option<Place>> {
    let len = u16::try_from(reader.varint()?).ok()?;
    if len == 0 {
        return Some(None);
    }
    let file = end.0.checked_add(reader.signed()?)?;
    let offset = end.1.checked_add(reader.signed()?)?;
    *end = (file, offset.checked_add(i64::from(len))?);
    let file = NonZeroU32::new(u32::try_from(file).ok()?)?;
    Some(Some(Place { file, offset: u32::try_from(offset).ok()?, len }))
}

fn read_files(payload: &[u8]) -> Option<BTreeMap<NonZeroU32, FileFacts>> {
    let mut reader = Reader::new(payload);
    let mut files = BTreeMap::new();
    while !reader.is_empty() {
        let number = NonZeroU32::new(u32::try_from(reader.varint()?).ok()?)?;
        let (newest, chunks) = (reader.signed()?, reader.varint()?);
        files.insert(number, FileFacts { newest, chunks });
    }
    Some(files)
}

/// Numbers of pairs for a record's labels.
pub(super) fn pairs_of(record: &SeriesRecord<'_>, state: &mut State) -> Vec<PairId> {
    record.pairs.iter().map(|(name, value)| state.table.pair(name, value)).collect()
}
