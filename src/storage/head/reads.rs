//! Chunk files as one selection reads them. Chunks that were filled at about the same time lie side
//! by side, so that a selection of many series soon wants most of what a part of a file has: that
//! part is then read as a whole, and kept for a while.

use super::series::Place;
use super::snapshot::FileTable;
use crate::storage::source::selection_bytes;
use crate::sys::files::SharedFile;
use crate::sys::locks::lock;
use rustc_hash::FxHashMap;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

/// Bytes that are read together.
const WINDOW_BYTES: u16 = 16 << 10;

/// Records that are read out of a window one by one before it is read as a whole. That costs about
/// as much as reading so many once more: however thinly a selection is spread, it does not take
/// more than twice the time.
const TOUCHES: u8 = 3;

/// As `TOUCHES`, of a selection of `MANY_SERIES` or more, which is hardly thin. Of one that has at
/// least one series of `DENSE` it is sure that it is not: a window has some hundred records.
const TOUCHES_OF_MANY: u8 = 1;

/// See `TOUCHES_OF_MANY`.
const MANY_SERIES: usize = 1000;

/// See `TOUCHES_OF_MANY`.
const DENSE: usize = 16;

/// File, and number of the window in it.
type Key = (NonZeroU32, u32);

/// The chunk files that were there when series were selected.
#[derive(Debug)]
pub(super) struct ChunkReads {
    files: Arc<FileTable>,
    windows_max: usize,
    touches: u8,
    windows: Mutex<Windows>,
}

/// The files while one series is read.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    reads: &'a ChunkReads,
    windows: MutexGuard<'a, Windows>,
}

#[derive(Debug, Default)]
struct Windows {
    touches: FxHashMap<Key, u8>,
    kept: FxHashMap<Key, Window>,
    uses: u64,
}

#[derive(Debug)]
struct Window {
    bytes: Arc<Vec<u8>>,
    /// The number of its last use.
    used: u64,
}

/// The bytes of a record, and maybe those around it.
#[derive(Debug)]
pub(super) struct RecordBytes {
    bytes: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl RecordBytes {
    /// Those of the record alone.
    pub(super) fn get(&self) -> &[u8] {
        self.bytes.get(self.range.clone()).unwrap_or_default()
    }
}

impl ChunkReads {
    /// For a selection of about so many series, of so many in all.
    pub(super) fn new(files: Arc<FileTable>, (series, all): (usize, usize)) -> Self {
        let windows_max = selection_bytes(series) / usize::from(WINDOW_BYTES);
        let touches = match series {
            0..MANY_SERIES => TOUCHES,
            some if some >= all / DENSE => 0,
            _thin => TOUCHES_OF_MANY,
        };
        Self { files, windows_max, touches, windows: Mutex::default() }
    }

    /// To read several chunks; meanwhile nobody else does.
    pub(super) fn reading(&self) -> Reading<'_> {
        let windows = lock(&self.windows);
        Reading { reads: self, windows }
    }

    /// Whether a chunk's file is gone because blocks have all that it had.
    pub(super) fn is_dropped(&self, place: Place) -> bool {
        self.files.first_key_value().is_none_or(|(first, _)| place.file < *first)
    }
}

impl Reading<'_> {
    /// The record of a chunk.
    ///
    /// # Errors
    /// The file is gone or cannot be read there.
    pub(super) fn read(&mut self, place: Place) -> Result<RecordBytes, String> {
        let file = self.reads.files.get(&place.file).ok_or("its file is gone")?;
        if let Some(record) = self.read_near(file, place) {
            return Ok(record);
        }
        let mut record = vec![0; usize::from(place.len)];
        file.read_exact_at(&mut record, u64::from(place.offset)).map_err(|err| err.to_string())?;
        Ok(RecordBytes { range: 0..record.len(), bytes: Arc::new(record) })
    }

    /// The record out of a window, if that is kept or was touched often enough.
    fn read_near(&mut self, file: &SharedFile, place: Place) -> Option<RecordBytes> {
        let key = (place.file, place.offset / u32::from(WINDOW_BYTES));
        let windows = &mut *self.windows;
        windows.uses += 1;
        let now = windows.uses;
        if let Some(window) = windows.kept.get_mut(&key) {
            window.used = now;
            return window.record(place);
        }
        let touches = windows.touches.entry(key).or_default();
        if *touches < self.reads.touches {
            *touches += 1;
            return None;
        }
        // It is touched anew once it was given up.
        *touches = 0;
        // All records of the selection were there before it was made: what a window lacks that was
        // read since is none of them.
        let mut bytes = vec![0; usize::from(WINDOW_BYTES)];
        let read = file.read_at(&mut bytes, u64::from(key.1) * u64::from(WINDOW_BYTES)).ok()?;
        bytes.truncate(read);
        let window = Window { bytes: Arc::new(bytes), used: now };
        let record = window.record(place);
        if windows.kept.len() >= self.reads.windows_max {
            let oldest = windows.kept.iter().min_by_key(|(_, window)| window.used);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                windows.kept.remove(&oldest);
            }
        }
        windows.kept.insert(key, window);
        record
    }
}

impl Window {
    /// A record that is here as a whole.
    fn record(&self, place: Place) -> Option<RecordBytes> {
        let from = usize::try_from(place.offset % u32::from(WINDOW_BYTES)).ok()?;
        let range = from..from + usize::from(place.len);
        (range.end <= self.bytes.len())
            .then(|| RecordBytes { bytes: Arc::clone(&self.bytes), range })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::files::Files as _;
    use crate::sys::sim_files::SimFiles;
    use std::path::Path;

    #[test]
    fn records_are_the_same_near_and_far() {
        let selections = [(1, 1), (MANY_SERIES, MANY_SERIES), (MANY_SERIES, usize::MAX)];
        selections.into_iter().for_each(read_near_and_far);
    }

    fn read_near_and_far(series: (usize, usize)) {
        let bytes: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
        let files = SimFiles::new();
        let file = files.create(Path::new("/c")).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        let number = NonZeroU32::new(3).unwrap();
        let reads = ChunkReads::new(Arc::new([(number, file)].into()), series);
        let mut reading = reads.reading();
        // Rising, again, over the edge of a window, and back to those that were given up.
        let offsets = (0..199_000).step_by(911).chain([65_000, 65_530, 65_530, 10, 140_000]);
        let offsets = offsets.chain((0..199_000).step_by(1733));
        for offset in offsets {
            let place = Place { file: number, offset, len: 300 };
            let from = offset as usize;
            assert_eq!(reading.read(place).unwrap().get(), &bytes[from..from + 300], "{offset}");
        }
        let beyond = Place { file: number, offset: 199_900, len: 300 };
        assert!(reading.read(beyond).is_err());
        let gone = Place { file: NonZeroU32::MIN, offset: 0, len: 1 };
        assert!(reading.read(gone).is_err() && reads.is_dropped(gone));
    }
}
