//! Reading the log again: whole records only, in order, and what lies behind a damage too.

use super::LogSample;
use super::frame::{FILE_HEAD, Found, Frame, Frames, check_file_head};
use super::record::{ShapesRead, kind, read_inline};
use super::series::SeriesRecord;
use super::write::{MAGIC, VERSION};
use crate::storage::damage::Damages;
use crate::storage::error::{Error, Result};
use crate::storage::store::ReplayProgress;
use crate::sys::files::Files;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A segment is read whole; a larger file is not ours.
const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// A segment that is no longer written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Its number.
    pub(crate) number: u64,
    /// Its file.
    pub(crate) path: PathBuf,
    /// The highest sequence number in it or before it.
    pub(crate) last_seq: u64,
}

/// What the log tells.
#[derive(Debug)]
pub(crate) enum Replayed<'a> {
    /// Series with their numbers: the payload of a record that makes sense.
    Series(&'a [u8]),
    /// One commit.
    Commit(&'a [LogSample]),
    /// The out-of-order samples of one commit.
    Late(&'a [LogSample]),
}

/// The log as it was read.
#[derive(Debug)]
pub(crate) struct Read {
    /// Its segments.
    pub(crate) segments: Vec<Segment>,
    /// The last sequence number.
    pub(crate) last_seq: u64,
    /// Whether it goes back to the first commit of all.
    pub(crate) is_complete: bool,
}

/// What is known before the log is read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// Commits up to here need not be told.
    pub(crate) after: u64,
    /// Up to here there were commits, in the log or not; not less than `after`.
    pub(crate) seen: u64,
}

/// Reads all segments in `dir` and tells of commits after `known.after`.
///
/// A torn tail of the last segment is cut off; damage elsewhere is copied to quarantine and
/// passed over. Commits that are missing without damage are told: a segment is gone.
///
/// # Errors
/// A segment cannot be read at all, or is of a later version.
pub(crate) fn replay(
    files: &dyn Files,
    dir: &Path,
    known: Known,
    progress: &ReplayProgress,
    damages: &mut Damages,
    mut tell: impl FnMut(Replayed<'_>),
) -> Result<Read> {
    let mut segments = list(files, dir)?;
    if let (Some(first), Some(last)) = (segments.first(), segments.last()) {
        progress.set_range(first.number, last.number);
    }
    let count = segments.len();
    let mut reader = SegmentReader {
        after_seq: known.after,
        last_seq: known.seen,
        first_seq: None,
        told: damages.count(),
        tell: &mut tell,
        damages,
    };
    for (place, segment) in segments.iter_mut().enumerate() {
        progress.set_current(segment.number);
        let bytes = files
            .read(&segment.path, SEGMENT_BYTES_MAX)
            .map_err(Error::io("read log segment", &segment.path))?;
        let good = reader.read(&segment.path, &bytes, place + 1 == count)?;
        segment.last_seq = reader.last_seq;
        if let Some(end) = good {
            let file =
                files.open(&segment.path).map_err(Error::io("open log segment", &segment.path))?;
            let cut = file.set_len(end as u64).and_then(|()| file.sync_data());
            cut.map_err(Error::io("cut log segment", &segment.path))?;
        }
    }
    let (last_seq, is_complete) = (reader.last_seq, reader.first_seq == Some(1));
    Ok(Read { segments, last_seq, is_complete })
}

fn list(files: &dyn Files, dir: &Path) -> Result<Vec<Segment>> {
    let entries = files.list(dir).map_err(Error::io("list", dir))?;
    let numbered = entries.into_iter().filter_map(|entry| {
        let number = entry.name.strip_suffix(".log")?.parse().ok()?;
        Some(Segment { number, path: dir.join(entry.name), last_seq: 0 })
    });
    let mut segments: Vec<_> = numbered.collect();
    segments.sort_by_key(|segment| segment.number);
    Ok(segments)
}

struct SegmentReader<'a> {
    after_seq: u64,
    last_seq: u64,
    first_seq: Option<u64>,
    /// Damages up to the last record that was read.
    told: u64,
    tell: &'a mut dyn FnMut(Replayed<'_>),
    damages: &'a mut Damages,
}

impl SegmentReader<'_> {
    /// Reads one segment; answers where to cut it when its tail is torn and it is the last.
    fn read(&mut self, path: &Path, bytes: &[u8], is_last: bool) -> Result<Option<usize>> {
        if bytes.iter().all(|byte| *byte == 0) {
            // Made, and the host died before its head was on the disk.
            return Ok(None);
        }
        let mut start = FILE_HEAD;
        if !check_file_head(bytes, MAGIC, VERSION, path)? {
            self.damages.note(format!("log segment {} has a damaged head", path.display()));
            start = FILE_HEAD.min(bytes.len());
        }
        let mut shapes = ShapesRead::default();
        let mut samples = Vec::new();
        let mut cut = None;
        for found in Frames::new(bytes, start) {
            match found {
                Found::Frame(frame, end) => {
                    if self.take(path, &mut shapes, frame, &mut samples).is_none() {
                        let head = end.saturating_sub(frame.payload.len());
                        self.lost(path, bytes, head..end);
                    }
                }
                Found::Damage(range) => self.lost(path, bytes, range),
                Found::Tail(range) if is_last => {
                    let len = range.len();
                    self.damages.note(format!(
                        "log segment {} ended in a torn write: {len} bytes cut off at {}",
                        path.display(),
                        range.start
                    ));
                    cut = Some(range.start);
                }
                Found::Tail(range) => self.lost(path, bytes, range),
            }
        }
        Ok(cut)
    }

    fn take(
        &mut self,
        path: &Path,
        shapes: &mut ShapesRead,
        frame: Frame<'_>,
        samples: &mut Vec<LogSample>,
    ) -> Option<()> {
        self.tell_gap(path, frame.seq);
        samples.clear();
        match frame.kind {
            kind::SERIES if frame.seq <= self.after_seq => return Some(()),
            kind::SERIES => {
                SeriesRecord::read(frame.payload)?;
                (self.tell)(Replayed::Series(frame.payload));
                return Some(());
            }
            kind::SHAPE => return shapes.read_shape(frame.payload),
            kind::SHAPED => shapes.read_shaped(frame.payload, frame.seq, samples)?,
            kind::INLINE | kind::OUT_OF_ORDER => read_inline(frame.payload, samples)?,
            // Kinds that other versions write: told as lost, the rest goes on.
            0 | 6.. => return None,
        }
        if frame.seq > self.after_seq {
            let is_late = frame.kind == kind::OUT_OF_ORDER;
            (self.tell)(if is_late { Replayed::Late(samples) } else { Replayed::Commit(samples) });
        }
        Some(())
    }

    /// Commits are numbered without gaps; one behind damage was told with that.
    fn tell_gap(&mut self, path: &Path, seq: u64) {
        self.first_seq = self.first_seq.or(Some(seq));
        let missing = seq.saturating_sub(self.last_seq.saturating_add(1));
        if missing > 0 && self.damages.count() == self.told {
            self.damages.note(format!(
                "{missing} commits before those in log segment {} are gone",
                path.display()
            ));
        }
        self.last_seq = self.last_seq.max(seq);
        self.told = self.damages.count();
    }

    fn lost(&mut self, path: &Path, bytes: &[u8], range: Range<usize>) {
        let part = bytes.get(range.clone()).unwrap_or_default();
        self.damages.quarantine(path, range.start as u64, part);
    }
}
