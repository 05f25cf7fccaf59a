//! Reading a checkpoint: see `checkpoint.rs` for what it is.

use super::checkpoint::{End, MAGIC, VERSION, list};
use super::open::OpenChunk;
use super::series::{Chain, Place};
use super::symbols::NumberMap;
use super::table::PairId;
use super::{FileFacts, State};
use crate::storage::codec::{Reader, Steps};
use crate::storage::damage::Damages;
use crate::storage::error::{Error, Result};
use crate::storage::tombstone::read_tombstones;
use crate::storage::wal::frame::{self, FILE_HEAD, Found, Frame, Frames, check_file_head};
use crate::storage::wal::record::{kind, read_inline};
use crate::storage::wal::series::SeriesRecord;
use crate::sys::files::Files;
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

/// Bytes of an open chunk, as far as they were read.
#[derive(Debug)]
struct OpenBytes {
    min: i64,
    count: u8,
    bit_len: usize,
    bytes: Vec<u8>,
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
        let opens = NumberMap::default();
        let (whole_seq, torn_seq) = (0, None);
        let mut loader = Loader { state, path, damages, opens, files: None, whole_seq, torn_seq };
        if let Some(end) = loader.read(&bytes) {
            let (files, whole_seq) = (loader.files.take(), loader.whole_seq);
            let torn_seq = loader.torn_seq;
            loader.resume_open();
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
    opens: NumberMap<u64, OpenBytes>,
    files: Option<BTreeMap<NonZeroU32, FileFacts>>,
    whole_seq: u64,
    torn_seq: Option<u64>,
}

impl Loader<'_> {
    fn read(&mut self, bytes: &[u8]) -> Option<End> {
        let mut last = None;
        let mut is_whole = true;
        let mut waiting: Vec<Frame<'_>> = Vec::new();
        for found in Frames::new(bytes, FILE_HEAD.min(bytes.len())) {
            match found {
                Found::Frame(frame, _) if frame.kind == kind::END => {
                    let mut reader = Reader::new(frame.payload);
                    let Some(next_generation) = reader.varint() else { continue };
                    let cut_until = reader.signed();
                    self.reserve(&waiting);
                    for frame in waiting.drain(..) {
                        self.apply_or_tell(frame);
                    }
                    if is_whole {
                        self.whole_seq = frame.seq;
                    }
                    last = Some(End { seq: frame.seq, next_generation, cut_until });
                }
                Found::Frame(frame, _) => waiting.push(frame),
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
        self.torn_seq = self.torn_seq.max(waiting.iter().map(|frame| frame.seq).max());
        last
    }

    /// Makes room for the series of all records at once: growing means to hash all series again.
    fn reserve(&mut self, waiting: &[Frame<'_>]) {
        let records = waiting.iter().filter(|frame| frame.kind == kind::SERIES);
        let series = records.map(|frame| SeriesRecord::count_in(frame.payload)).sum();
        self.state.table.reserve(series);
    }

    fn apply_or_tell(&mut self, frame: Frame<'_>) {
        if self.apply(frame).is_none() {
            self.damages.note(format!(
                "a record of checkpoint {} makes no sense and was passed over",
                self.path.display()
            ));
        }
    }

    fn apply(&mut self, frame: Frame<'_>) -> Option<()> {
        match frame.kind {
            kind::SERIES => self.apply_series(&SeriesRecord::read(frame.payload)?),
            kind::FULL_CHUNKS => return self.apply_full(frame.payload),
            kind::OPEN_CHUNKS => return self.apply_open(frame.payload),
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
                    self.forget(reader.varint()?);
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

    fn forget(&mut self, number: u64) {
        self.opens.remove(&number);
        if self.state.table.get(number).is_some() {
            self.state.table.remove_place(super::table::place_of(number));
        }
    }

    fn apply_full(&mut self, payload: &[u8]) -> Option<()> {
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
            let Some(series) = self.state.table.get_mut(number) else { continue };
            series.set_chain(Chain { newest, max });
            series.saved_full = true;
            series.start = start;
            series.open = OpenChunk::behind(last, bits);
            if self.opens.get(&number).is_some_and(|open| open.min <= max) {
                self.opens.remove(&number);
            }
        }
        Some(())
    }

    fn apply_open(&mut self, payload: &[u8]) -> Option<()> {
        let mut reader = Reader::new(payload);
        let (mut numbers, mut min) = (Steps::default(), 0_i64);
        while !reader.is_empty() {
            let number = numbers.get(&mut reader)?;
            min = min.wrapping_add(reader.signed()?);
            let from = reader.number()?;
            let count = reader.byte()?;
            let bit_len = reader.number()?;
            let part = reader.take(bit_len.div_ceil(8).checked_sub(from)?)?;
            // A part belongs to the chunk that begins at `min`; when a part between is lost, what
            // came before it stays.
            let before = self.opens.get_mut(&number).filter(|open| open.min == min);
            let had = before.as_ref().map_or(0, |open| open.bytes.len());
            if had < from {
                continue;
            }
            let mut bytes = before.map(|open| std::mem::take(&mut open.bytes)).unwrap_or_default();
            bytes.truncate(from);
            bytes.reserve_exact(part.len());
            bytes.extend_from_slice(part);
            self.opens.insert(number, OpenBytes { min, count, bit_len, bytes });
        }
        Some(())
    }

    fn resume_open(&mut self) {
        let mut broken = 0_u64;
        for (number, open) in std::mem::take(&mut self.opens) {
            let Some(series) = self.state.table.get_mut(number) else { continue };
            let OpenBytes { min, count, bit_len, bytes } = open;
            let after = series.last().is_none_or(|_| series.chain().max < min);
            let Some(open) = OpenChunk::resume(min, count, bit_len, bytes).filter(|_| after) else {
                broken += 1;
                continue;
            };
            series.saved_count = count;
            series.saved_bytes = u16::try_from(bit_len / 8).unwrap_or(0);
            series.start = series.start.min(min);
            series.open = open;
            self.state.open_chunks += 1;
        }
        self.state.settle();
        if broken > 0 {
            let path = self.path.display();
            self.damages.note(format!("{broken} open chunks of checkpoint {path} make no sense"));
        }
    }
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
