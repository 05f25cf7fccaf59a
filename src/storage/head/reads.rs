//! Chunk files as one selection reads them. What runs over its series in order of their places
//! finds their chunks side by side, and reads them together; in order of labels that would only
//! read the same bytes again and again.

use super::series::Place;
use super::snapshot::FileTable;
use crate::sys::files::SharedFile;
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that are read together.
const WINDOW_BYTES: usize = 64 << 10;

/// Windows that are remembered. Two generations of chunks take two at a time.
const WINDOWS_MAX: usize = 4;

/// Reads that are looked back on: a window that was touched among them is read as a whole.
const TOUCHES_MAX: usize = 8;

/// The chunk files that were there when series were selected.
#[derive(Debug)]
pub(super) struct ChunkReads {
    files: Arc<FileTable>,
    near: Option<Mutex<Near>>,
}

#[derive(Debug, Default)]
struct Near {
    touches: VecDeque<(NonZeroU32, u64)>,
    windows: VecDeque<Window>,
}

/// Bytes of a file, from a multiple of `WINDOW_BYTES` on.
#[derive(Debug)]
struct Window {
    key: (NonZeroU32, u64),
    bytes: Vec<u8>,
}

impl ChunkReads {
    /// For reads in any order.
    pub(super) const fn new(files: Arc<FileTable>) -> Self {
        Self { files, near: None }
    }

    /// For reads in order of places.
    pub(super) fn in_order(files: Arc<FileTable>) -> Self {
        Self { files, near: Some(Mutex::default()) }
    }

    /// Whether a chunk's file is gone because blocks have all that it had.
    pub(super) fn is_dropped(&self, place: Place) -> bool {
        self.files.first_key_value().is_none_or(|(first, _)| place.file < *first)
    }

    /// The record of a chunk.
    ///
    /// # Errors
    /// The file is gone or cannot be read there.
    pub(super) fn read(&self, place: Place) -> Result<Vec<u8>, String> {
        let file = self.files.get(&place.file).ok_or("its file is gone")?;
        if let Some(record) = self.read_near(file, place) {
            return Ok(record);
        }
        let mut record = vec![0; usize::from(place.len)];
        file.read_exact_at(&mut record, u64::from(place.offset)).map_err(|err| err.to_string())?;
        Ok(record)
    }

    /// The record out of a window, which is read if it was touched a moment ago.
    fn read_near(&self, file: &SharedFile, place: Place) -> Option<Vec<u8>> {
        let offset = u64::from(place.offset);
        let key = (place.file, offset / WINDOW_BYTES as u64);
        let mut near = self.near.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = near.windows.iter().rev().find(|window| window.key == key) {
            return window.record(place);
        }
        if !near.touches.contains(&key) {
            near.touches.push_back(key);
            if near.touches.len() > TOUCHES_MAX {
                near.touches.pop_front();
            }
            return None;
        }
        // All records of the selection were there before it was made: what a window lacks that was
        // read since is none of them.
        let mut window = Window { key, bytes: vec![0; WINDOW_BYTES] };
        let read = file.read_at(&mut window.bytes, key.1 * WINDOW_BYTES as u64).ok()?;
        window.bytes.truncate(read);
        let record = window.record(place);
        if near.windows.len() == WINDOWS_MAX {
            near.windows.pop_front();
        }
        near.windows.push_back(window);
        record
    }
}

impl Window {
    /// A record that is here as a whole.
    fn record(&self, place: Place) -> Option<Vec<u8>> {
        let from = usize::try_from(place.offset).ok()? % WINDOW_BYTES;
        self.bytes.get(from..from + usize::from(place.len)).map(<[u8]>::to_vec)
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
        let bytes: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
        let files = SimFiles::new();
        let file = files.create(Path::new("/c")).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        let number = NonZeroU32::new(3).unwrap();
        let reads = ChunkReads::in_order(Arc::new([(number, file)].into()));
        // Rising, again, over the edge of a window, and back.
        let offsets = (0..199_000).step_by(911).chain([65_000, 65_530, 65_530, 10, 140_000]);
        for offset in offsets {
            let place = Place { file: number, offset, len: 300 };
            let from = offset as usize;
            assert_eq!(reads.read(place).unwrap(), bytes[from..from + 300], "{offset}");
        }
        let beyond = Place { file: number, offset: 199_900, len: 300 };
        assert!(reads.read(beyond).is_err());
        let gone = Place { file: NonZeroU32::MIN, offset: 0, len: 1 };
        assert!(reads.read(gone).is_err() && reads.is_dropped(gone));
    }
}
