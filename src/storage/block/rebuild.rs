//! Making an index anew from the chunk file alone, when `index.db` or the trailer is lost.

use super::chunks::{Span, TRAILER_BYTES, Trailer, read_facts, read_labels};
use super::index::{Facts, IndexWriter, PageRef};
use super::page::kind;
use super::write::trailer_of;
use crate::model::Labels;
use crate::storage::error::{Error, Result};
use crate::storage::wal::frame::{FILE_HEAD, FRAME_HEAD, Found, Frame, Frames};
use crate::sys::files::{SharedFile, SharedFiles};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// The file is read in pieces of this size; a record is below half of it.
const PIECE_BYTES: usize = 4 << 20;

/// What a chunk file says about itself.
#[derive(Debug, Default)]
struct Contents {
    pages: BTreeMap<u64, PageRef>,
    /// Number of series before each record of label sets, and its series.
    series: BTreeMap<u64, Vec<(Labels, Span)>>,
    facts: Option<Facts>,
    /// Bytes that are no record, from and to, in order.
    damaged: Vec<Range<u64>>,
}

/// Makes `index.db` and the trailer of the block in `dir` anew; says what is missing.
///
/// # Errors
/// The chunk file cannot be read, has no series left, or the disk refuses.
pub(super) fn rebuild(files: &SharedFiles, dir: &Path) -> Result<String> {
    let path = dir.join("chunks");
    let file = files.open(&path).map_err(Error::io("open", &path))?;
    let len = file.byte_len().map_err(Error::io("read", &path))?;
    let end = data_end(&file, len, &path)?;
    let contents = read(&file, end, &path)?;
    if contents.series.is_empty() {
        let what = "no label set in it is whole".to_owned();
        return Err(Error::Damaged { path, what });
    }
    let (index, lost_series) = contents.index();
    let facts = Facts {
        series: index.len() as u64,
        // Without facts it is taken for a cut of the head that was never merged: its name has
        // the times.
        ..contents.facts.clone().unwrap_or_default()
    };
    let temporary = dir.join("index.db.tmp");
    let _ = files.remove(&temporary);
    index.write(&temporary, &facts).map_err(Error::sql("write", &temporary))?;
    let trailer = trailer_of(files, &temporary, end)?;
    file.write_all_at(&trailer.encode(), end)
        .and_then(|()| file.set_len(end + TRAILER_BYTES as u64))
        .and_then(|()| file.sync_data())
        .map_err(Error::io("write", &path))?;
    let named = dir.join("index.db");
    files
        .rename(&temporary, &named)
        .and_then(|()| files.sync_dir(dir))
        .map_err(Error::io("name", &named))?;
    Ok(format!(
        "the index of block {} was lost or damaged and made anew: {} series, {lost_series} without \
         labels, {} bytes of chunks unreadable",
        dir.display(),
        facts.series,
        contents.damaged.iter().map(|range| range.end - range.start).sum::<u64>()
    ))
}

/// Where the chunk file of the block in `dir` is no record.
///
/// # Errors
/// The file cannot be read.
pub(super) fn damaged(files: &SharedFiles, dir: &Path) -> Result<Vec<Range<u64>>> {
    let path = dir.join("chunks");
    let file = files.open_read_only(&path).map_err(Error::io("open", &path))?;
    let len = file.byte_len().map_err(Error::io("read", &path))?;
    let end = data_end(&file, len, &path)?;
    Ok(read(&file, end, &path)?.damaged)
}

/// Where the records end: before the trailer, or at the end when it has none.
fn data_end(file: &SharedFile, len: u64, path: &Path) -> Result<u64> {
    let at = len.saturating_sub(TRAILER_BYTES as u64);
    let mut bytes = [0; TRAILER_BYTES];
    if len >= TRAILER_BYTES as u64 {
        file.read_exact_at(&mut bytes, at).map_err(Error::io("read", path))?;
    }
    Ok(if Trailer::decode(&bytes, path).is_ok() { at } else { len })
}

fn read(file: &SharedFile, end: u64, path: &Path) -> Result<Contents> {
    let mut contents = Contents::default();
    let mut at = FILE_HEAD as u64;
    let mut piece = Vec::new();
    while at < end {
        let len = usize::try_from(end - at).unwrap_or(usize::MAX).min(PIECE_BYTES);
        piece.resize(len, 0);
        file.read_exact_at(&mut piece, at).map_err(Error::io("read", path))?;
        let is_last = at + len as u64 == end;
        let mut done = 0;
        for found in Frames::numbered_by_kind(&piece) {
            match found {
                Found::Frame(frame, frame_end) => {
                    let start = frame_end - FRAME_HEAD - 1 - frame.payload.len();
                    let bytes = u32::try_from(frame_end - start).unwrap_or(u32::MAX);
                    contents.take(frame, PageRef { offset: at + start as u64, len: bytes });
                    done = frame_end;
                }
                Found::Damage(range) => contents.damage(at, range),
                Found::Tail(range) if is_last => contents.damage(at, range),
                // A record that goes on in the next piece, or damage longer than half a piece.
                Found::Tail(range) => {
                    done = range.start.max(if range.start < len / 2 { len / 2 } else { 0 });
                    contents.damage(at, range.start..done);
                }
            }
        }
        at += if is_last { len } else { done.max(1) } as u64;
    }
    Ok(contents)
}

impl Contents {
    /// Notes damage in the piece at `at`; it may go on from the piece before.
    fn damage(&mut self, at: u64, range: Range<usize>) {
        let (from, to) = (at + range.start as u64, at + range.end as u64);
        match self.damaged.last_mut() {
            _ if from == to => {}
            Some(last) if last.end == from => last.end = to,
            Some(_) | None => self.damaged.push(from..to),
        }
    }

    fn take(&mut self, frame: Frame<'_>, place: PageRef) {
        match frame.kind {
            kind::PAGE | kind::PAGE_ZSTD => {
                self.pages.insert(frame.seq, place);
            }
            kind::LABELS | kind::LABELS_ZSTD => {
                if let Some(series) = read_labels(frame) {
                    self.series.insert(frame.seq, series);
                }
            }
            kind::FACTS => self.facts = read_facts(frame.payload),
            // Of a later version.
            _later => {}
        }
    }

    /// The index, and how many of its series have no labels left: they keep their numbers.
    fn index(&self) -> (IndexWriter, u64) {
        let mut index = IndexWriter::default();
        let mut lost = 0;
        let unknown = Span { min: 0, max: 0, page: 0, more_pages: 0 };
        for (before, series) in &self.series {
            while (index.len() as u64) < *before {
                index.put(&Labels::empty(), unknown);
                lost += 1;
            }
            series.iter().for_each(|(labels, span)| index.put(labels, *span));
        }
        let pages = self.pages.last_key_value().map_or(0, |(last, _)| last + 1);
        let missing = PageRef { offset: 0, len: 0 };
        let page = |number| self.pages.get(&number).copied().unwrap_or(missing);
        index.pages = (0..pages.min(u64::from(u32::MAX))).map(page).collect();
        (index, lost)
    }
}
