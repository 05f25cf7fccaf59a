//! The checkpoint, `head/<number>.open`: what the log would otherwise have to be kept for.
//!
//! A log of its own, framed like the WAL. Each checkpoint appends new series, where the newest
//! full chunks lie, and those bytes of open chunks that no checkpoint before has; an `END` record
//! closes it and carries the sequence number up to which the WAL is no longer needed. Records
//! without their `END` do not count. When the file has grown to several times what it says, a
//! whole new one is written.
//!
//! It is taken series by series while commits go on, so what it says may be newer than its
//! sequence number; replay passes over what is there already. `keep.rs` syncs the log before the
//! `END`, so that no commit is there by half.

use super::series::{Chain, Place, Series};
use super::table::Table;
use crate::storage::codec::{Steps, put_signed, put_varint};
use crate::storage::error::{Error, Result};
use crate::storage::wal::frame::{FILE_HEAD, put_file_head, put_frame};
use crate::storage::wal::record::kind;
use crate::storage::wal::series::SeriesWriter;
use crate::sys::files::{Files, SharedFile, SharedFiles};
use std::path::{Path, PathBuf};

pub(super) const MAGIC: [u8; 8] = *b"wbell-cp";
pub(super) const VERSION: u32 = 1;

/// The file is rewritten once what was appended is this many times the whole: loading it again
/// takes that much longer.
const REWRITE_FACTOR: u64 = 2;
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

/// A checkpoint that is being written.
#[derive(Debug)]
pub(super) struct Pass {
    active: Active,
    /// The name that it has until it is whole.
    temporary: Option<PathBuf>,
}

/// What a checkpoint says beside the series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    /// The WAL is not needed up to here.
    pub(super) seq: u64,
    /// The generation that the next series gets.
    pub(super) next_generation: u64,
    /// Up to here samples are in blocks, or were before they were deleted.
    pub(super) cut_until: Option<i64>,
}

impl CheckpointLog {
    /// A log whose first checkpoint is a whole one, in the file `next`.
    pub(super) const fn new(files: SharedFiles, dir: PathBuf, next: u64) -> Self {
        Self { files, dir, active: None, next }
    }

    /// Begins a checkpoint. As long as it is not finished, the next one has to say everything.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn begin(&mut self) -> Result<Pass> {
        if let Some(active) = self.active.take().filter(|active| !active.is_overgrown()) {
            return Ok(Pass { active, temporary: None });
        }
        let number = self.next;
        self.next += 1;
        let path = self.dir.join(format!("{number:010}.open"));
        let temporary = self.dir.join(format!("{number:010}.tmp"));
        let made = self.files.create(&temporary).and_then(|file| {
            let mut head = Vec::new();
            put_file_head(&mut head, MAGIC, VERSION, number);
            file.write_all_at(&head, 0)?;
            Ok(file)
        });
        let file = made.map_err(Error::io("make checkpoint", &temporary))?;
        let active = Active { file, path, offset: FILE_HEAD as u64, whole_bytes: 0 };
        Ok(Pass { active, temporary: Some(temporary) })
    }

    /// Syncs a checkpoint whose `END` is written; from now on it counts.
    ///
    /// # Errors
    /// It does not count; the next one has to say everything.
    pub(super) fn finish(&mut self, pass: Pass) -> Result<()> {
        let Pass { mut active, temporary } = pass;
        let path = active.path.clone();
        let synced = active.file.sync_data().and_then(|()| match &temporary {
            None => Ok(()),
            Some(temporary) => {
                self.files.rename(temporary, &path).and_then(|()| self.files.sync_dir(&self.dir))
            }
        });
        synced.map_err(Error::io("write checkpoint", &path))?;
        if temporary.is_some() {
            active.whole_bytes = active.offset;
        }
        self.active = Some(active);
        if temporary.is_some() { self.remove_others(&path) } else { Ok(()) }
    }

    /// Gives up a checkpoint that could not be finished.
    pub(super) fn give_up(&mut self, pass: &Pass) {
        if let Some(temporary) = &pass.temporary {
            // The half-written file would only take room.
            let _ = self.files.remove(temporary);
        }
    }

    fn remove_others(&self, kept: &Path) -> Result<()> {
        for (_, path) in list(&*self.files, &self.dir)? {
            if path != kept {
                self.files.remove(&path).map_err(Error::io("remove checkpoint", &path))?;
            }
        }
        Ok(())
    }
}

impl Active {
    fn is_overgrown(&self) -> bool {
        let limit = (self.whole_bytes * REWRITE_FACTOR).max(REWRITE_BYTES_MIN);
        self.offset > self.whole_bytes + limit
    }
}

impl Pass {
    /// Whether it has to say everything.
    pub(super) const fn is_whole(&self) -> bool {
        self.temporary.is_some()
    }

    /// Writes records.
    ///
    /// # Errors
    /// The disk refuses; the checkpoint is to be given up.
    pub(super) fn put(&mut self, records: &[u8]) -> Result<()> {
        let written = self.active.file.write_all_at(records, self.active.offset);
        written.map_err(Error::io("write checkpoint", &self.active.path))?;
        self.active.offset += records.len() as u64;
        Ok(())
    }
}

/// Checkpoint files in `dir`, the oldest first.
pub(super) fn list(files: &dyn Files, dir: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let entries = files.list(dir).map_err(Error::io("list", dir))?;
    let numbered = entries.into_iter().filter_map(|entry| {
        let number = entry.name.strip_suffix(".open")?.parse().ok()?;
        Some((number, dir.join(entry.name)))
    });
    let mut found: Vec<_> = numbered.collect();
    found.sort();
    Ok(found)
}

/// Encodes series of the table in places `from..to`, and marks what it says as saved.
pub(super) fn put_places(
    out: &mut Vec<u8>,
    table: &mut Table,
    places: std::ops::Range<u32>,
    seq: u64,
    whole: bool,
) {
    put_new_series(out, table, places.clone(), seq, whole);
    let (mut full, mut open) = (FullWriter::default(), OpenWriter::default());
    for place in places {
        let Some(series) = table.at_place_mut(place) else { continue };
        if series.chain().newest != [None; 2] && (whole || !series.saved_full) {
            full.put(series);
        }
        if series.open.count() > 0 && (whole || series.open.saved_count != series.open.count()) {
            open.put(series, whole);
        }
        series.saved_labels = true;
        series.saved_full = true;
    }
    for (kind, bytes) in [(kind::FULL_CHUNKS, full.out), (kind::OPEN_CHUNKS, open.out)] {
        if !bytes.is_empty() {
            put_frame(out, seq, kind, |out| out.extend_from_slice(&bytes));
        }
    }
}

fn put_new_series(
    out: &mut Vec<u8>,
    table: &Table,
    places: std::ops::Range<u32>,
    seq: u64,
    whole: bool,
) {
    let mut writer = SeriesWriter::default();
    for series in places.filter_map(|place| table.at_place(place)) {
        if whole || !series.saved_labels {
            writer.put(series.number, table.texts(series));
        }
    }
    if !writer.is_empty() {
        put_frame(out, seq, kind::SERIES, |out| writer.finish(out));
    }
}

/// Writes FULL_CHUNKS: numbers and times as distances to those of the series before.
#[derive(Debug, Default)]
struct FullWriter {
    out: Vec<u8>,
    numbers: Steps,
    start: i64,
    max: i64,
    /// Where the two chunks of the series before end: file and offset.
    ends: [(u32, u32); 2],
}

impl FullWriter {
    fn put(&mut self, series: &Series) {
        let Chain { newest, max } = series.chain();
        let (last, bits) = series.last().unwrap_or((max, 0));
        self.numbers.put(&mut self.out, series.number);
        put_signed(&mut self.out, series.start.wrapping_sub(self.start));
        put_signed(&mut self.out, max.wrapping_sub(self.max));
        put_signed(&mut self.out, last.wrapping_sub(max));
        // The first bytes of a float are those that are never zero.
        put_varint(&mut self.out, bits.swap_bytes());
        for (place, end) in newest.into_iter().zip(&mut self.ends) {
            let Some(Place { file, offset, len }) = place else {
                self.out.push(0);
                continue;
            };
            put_varint(&mut self.out, u64::from(len));
            put_signed(&mut self.out, i64::from(file.get()) - i64::from(end.0));
            put_signed(&mut self.out, i64::from(offset) - i64::from(end.1));
            *end = (file.get(), offset.saturating_add(u32::from(len)));
        }
        (self.start, self.max) = (series.start, max);
    }
}

/// Writes OPEN_CHUNKS, as `FullWriter` does.
#[derive(Debug, Default)]
struct OpenWriter {
    out: Vec<u8>,
    numbers: Steps,
    min: i64,
}

impl OpenWriter {
    fn put(&mut self, series: &mut Series, whole: bool) {
        let open = &mut series.open;
        let min = open.min().unwrap_or_default();
        let from = if whole { 0 } else { usize::from(open.saved_bytes) };
        self.numbers.put(&mut self.out, series.number);
        put_signed(&mut self.out, min.wrapping_sub(self.min));
        put_varint(&mut self.out, from as u64);
        self.out.push(open.count());
        put_varint(&mut self.out, open.bit_len() as u64);
        self.out.extend_from_slice(open.bytes().get(from..).unwrap_or_default());
        self.min = min;
        open.saved_count = open.count();
        // The last byte may still change.
        open.saved_bytes = u16::try_from(open.bit_len() / 8).unwrap_or(0);
    }
}
