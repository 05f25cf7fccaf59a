//! Tombstones: spans of time whose samples were deleted, by number of series.
//!
//! The head keeps its own in the checkpoint, a block in the file `tombstones` beside its chunks.
//! They hide samples from every read, so that a cut or a merge leaves the samples out.

use super::codec::{Reader, put_signed, put_varint};
use super::damage::Damages;
use super::error::{Error, Result};
use super::source::Columns;
use super::wal::frame::{FILE_HEAD, check_file_head, parse_frame, put_file_head, put_frame};
use super::wal::record::kind;
use crate::sys::files::SharedFiles;
use rustc_hash::FxHashMap;
use std::path::Path;
use std::sync::Arc;

const MAGIC: [u8; 8] = *b"wbell-ts";
const VERSION: u32 = 1;

/// Tombstones are read whole; a larger file is not ours.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// The file's name in a block's directory.
pub(super) const FILE_NAME: &str = "tombstones";

/// Tombstones by number of series.
pub(super) type Tombstones = FxHashMap<u64, Arc<Intervals>>;

/// Spans of time, both ends included: rising, and apart by at least a millisecond.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Intervals(Vec<(i64, i64)>);

impl Intervals {
    /// Adds `from..=to`, if that is a span.
    pub(super) fn add(&mut self, from: i64, to: i64) {
        if from > to {
            return;
        }
        let before = self.0.partition_point(|(_, end)| end.saturating_add(1) < from);
        let apart = self.0.partition_point(|(start, _)| *start <= to.saturating_add(1));
        let joined = self.0.get(before..apart).unwrap_or_default();
        let from = joined.first().map_or(from, |(start, _)| from.min(*start));
        let to = joined.last().map_or(to, |(_, end)| to.max(*end));
        self.0.splice(before..apart.max(before), [(from, to)]);
    }

    /// Whether every moment of `from..=to` is in one of them.
    pub(super) fn cover(&self, from: i64, to: i64) -> bool {
        let first = self.0.partition_point(|(_, end)| *end < from);
        self.0.get(first).is_some_and(|(start, end)| *start <= from && to <= *end)
    }

    /// Takes the samples behind the first `start` that lie in one of them out of `columns`.
    pub(super) fn strike(&self, columns: &mut Columns, start: usize) {
        let has = |ts: i64| self.cover(ts, ts);
        if !columns.ts.iter().skip(start).any(|ts| has(*ts)) {
            return;
        }
        let tail = columns.ts.iter().zip(&columns.values).skip(start);
        let (ts, values): (Vec<i64>, Vec<f64>) = tail.filter(|(ts, _)| !has(**ts)).unzip();
        columns.ts.truncate(start);
        columns.values.truncate(start);
        columns.ts.extend(ts);
        columns.values.extend(values);
    }

    /// Forgets what ends before `until`.
    pub(super) fn drop_before(&mut self, until: i64) {
        self.0.retain(|(_, end)| *end >= until);
    }

    /// Whether there is none.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Adds `from..=to` to the tombstones of a series.
pub(super) fn bury(stones: &mut Tombstones, series: u64, from: i64, to: i64) {
    Arc::make_mut(stones.entry(series).or_default()).add(from, to);
}

/// Writes the payload of a record of tombstones.
pub(super) fn put_tombstones(out: &mut Vec<u8>, stones: &Tombstones) {
    for (series, intervals) in stones {
        put_varint(out, *series);
        put_varint(out, intervals.0.len() as u64);
        for (from, to) in &intervals.0 {
            put_signed(out, *from);
            put_varint(out, to.abs_diff(*from));
        }
    }
}

/// Reads the payload of a record of tombstones; `None` when the bytes make no sense.
pub(super) fn read_tombstones(payload: &[u8]) -> Option<Tombstones> {
    let mut reader = Reader::new(payload);
    let mut stones = Tombstones::default();
    while !reader.is_empty() {
        let series = reader.varint()?;
        let mut intervals = Intervals::default();
        for _ in 0..reader.count()? {
            let from = reader.signed()?;
            intervals.add(from, from.checked_add_unsigned(reader.varint()?)?);
        }
        stones.insert(series, Arc::new(intervals));
    }
    Some(stones)
}

/// Writes the tombstones of the block `number` in `dir`: all of them or, after an error, those
/// that were there.
///
/// # Errors
/// The disk refuses.
pub(super) fn save(
    files: &SharedFiles,
    dir: &Path,
    number: u64,
    stones: &Tombstones,
) -> Result<()> {
    let (path, temporary) = (dir.join(FILE_NAME), dir.join(format!("{FILE_NAME}.tmp")));
    let mut bytes = Vec::new();
    put_file_head(&mut bytes, MAGIC, VERSION, number);
    put_frame(&mut bytes, 0, kind::TOMBSTONES, |out| put_tombstones(out, stones));
    let write = || {
        let file = files.create(&temporary)?;
        file.write_all_at(&bytes, 0)?;
        file.sync_data()?;
        files.rename(&temporary, &path)?;
        files.sync_dir(dir)
    };
    write().map_err(Error::io("write tombstones", &path))
}

/// Reads the tombstones of the block in `dir`; none when there is no file. Damaged ones are told:
/// what was deleted shows again.
///
/// # Errors
/// The file cannot be read, or is of a later version.
pub(super) fn load(files: &SharedFiles, dir: &Path, damages: &mut Damages) -> Result<Tombstones> {
    let path = dir.join(FILE_NAME);
    let bytes = match files.read(&path, FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(Tombstones::default()),
        Err(err) => return Err(Error::io("read tombstones", &path)(err)),
    };
    let whole = check_file_head(&bytes, MAGIC, VERSION, &path)?;
    let frame = bytes.get(FILE_HEAD..).filter(|_| whole).and_then(parse_frame);
    let frame = frame.filter(|frame| frame.kind == kind::TOMBSTONES);
    if let Some(stones) = frame.and_then(|frame| read_tombstones(frame.payload)) {
        return Ok(stones);
    }
    damages.quarantine(&path, 0, &bytes);
    damages.note(format!(
        "{} is damaged: samples that were deleted show again; delete them once more",
        path.display()
    ));
    Ok(Tombstones::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn intervals_hold_what_was_added(
            added in proptest::collection::vec((0_i64..60, -2_i64..20), 0..12),
            kept in 0_usize..4,
        ) {
            let mut intervals = Intervals::default();
            let mut oracle = [false; 100];
            for (from, len) in added {
                intervals.add(from, from + len);
                (from..=from + len).for_each(|at| oracle[usize::try_from(at).unwrap()] = true);
            }
            prop_assert!(intervals.0.is_sorted_by(|a, b| a.1 + 1 < b.0));
            let mut columns = Columns::default();
            (0..100).for_each(|at| columns.push(at, at as f64));
            intervals.strike(&mut columns, kept);
            let left = |at: &i64| {
                let at = usize::try_from(*at).unwrap();
                at < kept || !oracle[at]
            };
            let expected: Vec<i64> = (0..100).filter(left).collect();
            prop_assert_eq!(&columns.ts, &expected);
            prop_assert_eq!(columns.values.len(), expected.len());
            for from in 0..90_usize {
                let whole = oracle[from..from + 7].iter().all(|is| *is);
                let from = i64::try_from(from).unwrap();
                prop_assert_eq!(intervals.cover(from, from + 6), whole);
            }
        }

        #[test]
        fn tombstones_come_back(added in proptest::collection::vec(
            (0_u64..9, any::<i64>(), 0_i64..50), 0..20)) {
            let mut stones = Tombstones::default();
            for (series, from, len) in added {
                bury(&mut stones, series, from, from.saturating_add(len));
            }
            let mut out = Vec::new();
            put_tombstones(&mut out, &stones);
            prop_assert_eq!(read_tombstones(&out), Some(stones));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = read_tombstones(&bytes);
        }
    }

    #[test]
    fn the_ends_of_time_are_spans_too() {
        let mut intervals = Intervals::default();
        intervals.add(i64::MIN, i64::MIN);
        intervals.add(i64::MAX, i64::MAX);
        intervals.add(5, 4);
        assert!(intervals.cover(i64::MAX, i64::MAX) && !intervals.cover(0, 0));
        intervals.add(i64::MIN, i64::MAX);
        assert_eq!(intervals.0, [(i64::MIN, i64::MAX)]);
    }
}
