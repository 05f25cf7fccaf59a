//! The checkpoint, `head/<number>.open`: what the log would otherwise have to be kept for.
//!
//! A log of its own, framed like the WAL. Each checkpoint appends new series, where full chunks
//! lie, and those bytes of open chunks that no checkpoint before has; an `END` record closes it
//! and carries the sequence number up to which the WAL is no longer needed. Records without their
//! `END` do not count. When the file has grown to several times what it says, and after a cut, a
//! whole new one is written.

use super::series::{FullChunk, Place, Series};
use super::{State, table::Table};
use crate::model::Labels;
use crate::storage::chunk::{ChunkWriter, Encoding, WriterState};
use crate::storage::codec::{Reader, put_signed, put_varint};
use crate::storage::damage::Damages;
use crate::storage::error::{Error, Result};
use crate::storage::wal::frame::{
    FILE_HEAD, Found, Frame, Frames, check_file_head, put_file_head, put_frame,
};
use crate::storage::wal::record::{kind, put_series, read_series};
use crate::sys::files::{Files, SharedFile, SharedFiles};
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"wbell-cp";
const VERSION: u32 = 1;

/// A checkpoint file is read whole; a larger file is not ours.
const FILE_BYTES_MAX: u64 = 8 << 30;

/// Bytes of one record, about: what one damage can take.
const RECORD_BYTES: usize = 256 << 10;

/// The file is rewritten once what was appended is this many times the whole.
const REWRITE_FACTOR: u64 = 3;
/// And not before it is this large.
const REWRITE_BYTES_MIN: u64 = 4 << 20;

/// The checkpoint file that is appended to.
#[derive(Debug)]
pub(super) struct CheckpointLog {
    files: SharedFiles,
    dir: PathBuf,
    active: Option<Active>,
    next: u64,
}

#[derive(Debug)]
struct Active {
    file: SharedFile,
    path: PathBuf,
    offset: u64,
    whole_bytes: u64,
}

/// What a checkpoint says beside the series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    /// The WAL is not needed up to here.
    pub(super) seq: u64,
    /// The generation that the next series gets.
    pub(super) next_generation: u64,
}

impl CheckpointLog {
    /// A log whose first checkpoint is a whole one, in the file `next`.
    pub(super) const fn new(files: SharedFiles, dir: PathBuf, next: u64) -> Self {
        Self { files, dir, active: None, next }
    }

    /// Whether the next checkpoint has to say everything.
    pub(super) fn wants_whole(&self) -> bool {
        self.active.as_ref().is_none_or(|active| {
            let limit = (active.whole_bytes * REWRITE_FACTOR).max(REWRITE_BYTES_MIN);
            active.offset > active.whole_bytes + limit
        })
    }

    /// Makes the next checkpoint say everything.
    pub(super) fn begin_anew(&mut self) {
        self.active = None;
    }

    /// Writes and syncs what `encode` made; a whole one into a file of its own.
    ///
    /// # Errors
    /// It does not count; the next one has to say everything.
    pub(super) fn write(&mut self, records: &[u8], whole: bool) -> Result<()> {
        let Some(mut active) = self.active.take().filter(|_| !whole) else {
            self.active = Some(self.write_whole(records)?);
            return self.remove_old();
        };
        let written =
            active.file.write_all_at(records, active.offset).and_then(|()| active.file.sync_data());
        written.map_err(Error::io("write checkpoint", &active.path))?;
        active.offset += records.len() as u64;
        self.active = Some(active);
        Ok(())
    }

    fn write_whole(&mut self, records: &[u8]) -> Result<Active> {
        let number = self.next;
        self.next += 1;
        let path = self.dir.join(format!("{number:010}.open"));
        let temporary = self.dir.join(format!("{number:010}.tmp"));
        let write = || {
            let file = self.files.create(&temporary)?;
            let mut head = Vec::new();
            put_file_head(&mut head, MAGIC, VERSION, number);
            file.write_all_at(&head, 0)?;
            file.write_all_at(records, head.len() as u64)?;
            file.sync_data()?;
            self.files.rename(&temporary, &path)?;
            self.files.sync_dir(&self.dir)?;
            Ok(file)
        };
        let file = write().inspect_err(|_: &std::io::Error| {
            // The half-written file would only take room.
            let _ = self.files.remove(&temporary);
        });
        let file = file.map_err(Error::io("write checkpoint", &path))?;
        let whole_bytes = FILE_HEAD as u64 + records.len() as u64;
        Ok(Active { file, path, offset: whole_bytes, whole_bytes })
    }

    fn remove_old(&self) -> Result<()> {
        let Some(active) = &self.active else { return Ok(()) };
        for (_, path) in list(&*self.files, &self.dir)? {
            if path != active.path {
                self.files.remove(&path).map_err(Error::io("remove checkpoint", &path))?;
            }
        }
        Ok(())
    }
}

/// Encodes a checkpoint and marks what it says as saved. Should writing it fail, the next one
/// must be whole.
pub(super) fn encode(state: &mut State, gone: &[u64], end: End, whole: bool) -> Vec<u8> {
    let mut out = Vec::new();
    put_new_series(&mut out, &state.table, end.seq, whole);
    if !gone.is_empty() && !whole {
        put_frame(&mut out, end.seq, kind::GONE, |out| {
            gone.iter().for_each(|number| put_varint(out, *number));
        });
    }
    let mut full = Vec::new();
    let mut open = Vec::new();
    for series in state.table.iter_mut() {
        put_full(&mut full, series, whole);
        put_open(&mut open, series, whole);
        series.saved_labels = true;
        flush(&mut out, &mut full, end.seq, kind::FULL_CHUNKS, RECORD_BYTES);
        flush(&mut out, &mut open, end.seq, kind::OPEN_CHUNKS, RECORD_BYTES);
    }
    flush(&mut out, &mut full, end.seq, kind::FULL_CHUNKS, 1);
    flush(&mut out, &mut open, end.seq, kind::OPEN_CHUNKS, 1);
    put_frame(&mut out, end.seq, kind::END, |out| put_varint(out, end.next_generation));
    out
}

fn flush(out: &mut Vec<u8>, payload: &mut Vec<u8>, seq: u64, kind: u8, bytes_min: usize) {
    if payload.len() >= bytes_min {
        put_frame(out, seq, kind, |out| out.append(payload));
    }
}

fn put_new_series(out: &mut Vec<u8>, table: &Table, seq: u64, whole: bool) {
    let new = table.iter().filter(|series| whole || !series.saved_labels);
    let pairs: Vec<(u64, Labels)> =
        new.map(|series| (series.number, table.labels(series))).collect();
    for run in pairs.chunks(2048) {
        let pairs = run.iter().map(|(number, labels)| (*number, labels));
        put_frame(out, seq, kind::SERIES, |out| put_series(out, pairs));
    }
}

fn put_full(out: &mut Vec<u8>, series: &mut Series, whole: bool) {
    let saved = series.full.len().saturating_sub(usize::from(series.unsaved_full));
    let from = if whole { 0 } else { saved };
    for chunk in series.full.get(from..).unwrap_or_default() {
        // A chunk still in memory was refused by the disk; the log keeps it, see `keep.rs`.
        let Place::File { file, offset, len } = chunk.place else { continue };
        put_varint(out, series.number);
        put_varint(out, file);
        put_varint(out, offset);
        put_varint(out, u64::from(len));
        out.push(chunk.encoding.tag());
        put_varint(out, u64::from(chunk.count));
        put_signed(out, chunk.min);
        put_varint(out, chunk.max.abs_diff(chunk.min));
    }
    series.unsaved_full = 0;
}

fn put_open(out: &mut Vec<u8>, series: &mut Series, whole: bool) {
    let open = &series.open;
    let state = open.state();
    if state.count == 0 || (!whole && series.saved_count == state.count) {
        return;
    }
    let from = if whole { 0 } else { usize::try_from(series.saved_bytes).unwrap_or(0) };
    put_varint(out, series.number);
    put_signed(out, open.min());
    put_varint(out, from as u64);
    put_varint(out, u64::from(state.count));
    put_varint(out, state.bit_len as u64);
    out.extend_from_slice(open.bytes().get(from..).unwrap_or_default());
    series.saved_count = state.count;
    // The last byte may still change.
    series.saved_bytes = u32::try_from(state.bit_len / 8).unwrap_or(0);
}

/// What a checkpoint file says about one series.
#[derive(Debug)]
pub(super) struct Restored {
    pub(super) labels: Labels,
    pub(super) full: Vec<FullChunk>,
    open: Option<OpenBytes>,
}

#[derive(Debug)]
struct OpenBytes {
    min: i64,
    state: WriterState,
    bytes: Vec<u8>,
}

impl Restored {
    /// Whether there is an open chunk.
    pub(super) const fn has_open(&self) -> bool {
        self.open.is_some()
    }

    /// The open chunk, ready to go on; `None` when there is none or its bytes make no sense.
    pub(super) fn take_open(&mut self) -> Option<ChunkWriter> {
        let open = self.open.take()?;
        ChunkWriter::resume(open.state, open.bytes).filter(|writer| writer.min() == open.min)
    }
}

/// All series of a checkpoint, by number.
pub(super) type RestoredSeries = super::symbols::NumberMap<u64, Restored>;

/// Reads the newest checkpoint that was finished; also answers the next free file number.
///
/// # Errors
/// A file cannot be read, or is of a later version.
pub(super) fn load(
    files: &dyn Files,
    dir: &Path,
    damages: &mut Damages,
) -> Result<(Option<(RestoredSeries, End)>, u64)> {
    let found = list(files, dir)?;
    let next = found.last().map_or(1, |(number, _)| number + 1);
    for (_, path) in found.iter().rev() {
        let bytes = files.read(path, FILE_BYTES_MAX).map_err(Error::io("read checkpoint", path))?;
        if !check_file_head(&bytes, MAGIC, VERSION, path)? {
            damages.note(format!("checkpoint {} has a damaged head", path.display()));
        }
        if let Some(loaded) = read(path, &bytes, damages) {
            return Ok((Some(loaded), next));
        }
    }
    Ok((None, next))
}

fn list(files: &dyn Files, dir: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let entries = files.list(dir).map_err(Error::io("list", dir))?;
    let numbered = entries.into_iter().filter_map(|entry| {
        let number = entry.name.strip_suffix(".open")?.parse().ok()?;
        Some((number, dir.join(entry.name)))
    });
    let mut found: Vec<_> = numbered.collect();
    found.sort();
    Ok(found)
}

fn read(path: &Path, bytes: &[u8], damages: &mut Damages) -> Option<(RestoredSeries, End)> {
    let mut series = RestoredSeries::default();
    let mut last = None;
    let mut waiting: Vec<Frame<'_>> = Vec::new();
    for found in Frames::new(bytes, FILE_HEAD.min(bytes.len())) {
        match found {
            Found::Frame(frame, _) if frame.kind == kind::END => {
                let mut reader = Reader::new(frame.payload);
                let Some(next_generation) = reader.varint() else { continue };
                for frame in waiting.drain(..) {
                    if apply(&mut series, frame).is_none() {
                        damages.note(format!(
                            "a record of checkpoint {} makes no sense and was passed over",
                            path.display()
                        ));
                    }
                }
                last = Some(End { seq: frame.seq, next_generation });
            }
            Found::Frame(frame, _) => waiting.push(frame),
            Found::Damage(range) => {
                let part = bytes.get(range.clone()).unwrap_or_default();
                damages.quarantine(path, range.start as u64, part);
            }
            // A checkpoint that was being written: the log still has what it would have said.
            Found::Tail(_) => {}
        }
    }
    last.map(|end| (series, end))
}

fn apply(series: &mut RestoredSeries, frame: Frame<'_>) -> Option<()> {
    match frame.kind {
        kind::SERIES => {
            for (number, labels) in read_series(frame.payload)? {
                series.insert(number, Restored { labels, full: Vec::new(), open: None });
            }
            Some(())
        }
        kind::FULL_CHUNKS => apply_full(series, frame.payload),
        kind::OPEN_CHUNKS => apply_open(series, frame.payload),
        kind::GONE => {
            let mut reader = Reader::new(frame.payload);
            while !reader.is_empty() {
                series.remove(&reader.varint()?);
            }
            Some(())
        }
        // Kinds of the log, or of a later version: not a checkpoint's.
        0..=kind::FULL_CHUNKS | kind::END.. => None,
    }
}

fn apply_full(series: &mut RestoredSeries, payload: &[u8]) -> Option<()> {
    let mut reader = Reader::new(payload);
    while !reader.is_empty() {
        let number = reader.varint()?;
        let (file, offset) = (reader.varint()?, reader.varint()?);
        let len = u32::try_from(reader.varint()?).ok()?;
        let encoding = Encoding::from_tag(reader.byte()?)?;
        let count = u16::try_from(reader.varint()?).ok()?;
        let min = reader.signed()?;
        let max = min.checked_add_unsigned(reader.varint()?)?;
        let Some(series) = series.get_mut(&number) else { continue };
        if series.open.as_ref().is_some_and(|open| open.min <= max) {
            series.open = None;
        }
        let place = Place::File { file, offset, len };
        series.full.push(FullChunk { min, max, count, encoding, place });
    }
    Some(())
}

fn apply_open(series: &mut RestoredSeries, payload: &[u8]) -> Option<()> {
    let mut reader = Reader::new(payload);
    while !reader.is_empty() {
        let number = reader.varint()?;
        let min = reader.signed()?;
        let from = reader.number()?;
        let count = u16::try_from(reader.varint()?).ok()?;
        let bit_len = reader.number()?;
        let part = reader.take(bit_len.div_ceil(8).checked_sub(from)?)?;
        let Some(series) = series.get_mut(&number) else { continue };
        let state = WriterState { count, bit_len };
        // A part belongs to the chunk that begins at `min`; when a part between is lost, so is
        // the chunk.
        let before = series.open.take().filter(|open| open.min == min);
        let mut bytes = before.map(|open| open.bytes).unwrap_or_default();
        if bytes.len() < from {
            continue;
        }
        bytes.truncate(from);
        bytes.extend_from_slice(part);
        series.open = Some(OpenBytes { min, state, bytes });
    }
    Some(())
}
