//! One series of the head: its open chunk, and where its full ones are.

use crate::storage::chunk::{Chunk, ChunkWriter, Encoding};
use std::sync::Arc;

/// A series.
#[derive(Debug)]
pub(super) struct Series {
    /// Slab place and generation: what a `SeriesRef` holds and the log knows.
    pub(super) number: u64,
    /// Hash of its labels, keyed by a seed of this process.
    pub(super) hash: u64,
    /// Symbols of names and values in turn, as varints.
    pub(super) labels: Box<[u8]>,
    /// The newest sample; what duplicates and older ones are compared with.
    pub(super) last: Option<(i64, u64)>,
    pub(super) open: ChunkWriter,
    /// Full chunks, oldest first.
    pub(super) full: Vec<FullChunk>,
    /// Bytes of the open chunk that the checkpoint has. All of a byte's bits must be set for it
    /// to count.
    pub(super) saved_bytes: u32,
    /// Samples of the open chunk that the checkpoint has.
    pub(super) saved_count: u16,
    /// Whether the checkpoint has the labels.
    pub(super) saved_labels: bool,
    /// Full chunks, counted from the end, that the checkpoint does not have.
    pub(super) unsaved_full: u16,
}

/// A full chunk.
#[derive(Clone, Debug)]
pub(crate) struct FullChunk {
    /// First timestamp.
    pub(crate) min: i64,
    /// Last timestamp.
    pub(crate) max: i64,
    /// Number of samples.
    pub(crate) count: u16,
    /// Its encoding.
    pub(crate) encoding: Encoding,
    /// Where its bytes are.
    pub(crate) place: Place,
}

/// Where the bytes of a full chunk are.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// Here, until the next maintenance writes them out.
    Memory(Arc<[u8]>),
    /// In `head/<file>.chunks`.
    File {
        /// The file's number.
        file: u64,
        /// Where the chunk's record begins.
        offset: u64,
        /// Bytes of the record.
        len: u32,
    },
}

impl Series {
    pub(super) fn new(number: u64, hash: u64, labels: Box<[u8]>) -> Self {
        Self {
            number,
            hash,
            labels,
            last: None,
            open: ChunkWriter::default(),
            full: Vec::new(),
            saved_bytes: 0,
            saved_count: 0,
            saved_labels: false,
            unsaved_full: 0,
        }
    }

    /// Appends a sample that was found acceptable; whether it began a new chunk.
    pub(super) fn push(&mut self, ts: i64, bits: u64, samples_max: u16) -> bool {
        let begins = self.open.count() == 0 || self.open.count() >= samples_max;
        if self.open.count() >= samples_max {
            self.seal();
        }
        self.open.push(ts, f64::from_bits(bits));
        self.last = Some((ts, bits));
        begins
    }

    /// The oldest sample, if there is one.
    pub(super) fn min_time(&self) -> Option<i64> {
        let open = (self.open.count() > 0).then(|| self.open.min());
        self.full.first().map(|chunk| chunk.min).or(open)
    }

    fn seal(&mut self) {
        let Chunk { encoding, count, min, max, bytes } = std::mem::take(&mut self.open).seal();
        self.full.push(FullChunk { min, max, count, encoding, place: Place::Memory(bytes) });
        self.unsaved_full = self.unsaved_full.saturating_add(1);
        self.saved_bytes = 0;
        self.saved_count = 0;
    }
}
