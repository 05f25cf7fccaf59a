//! One series of the head: its open chunk, and where its full ones are.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | number |
//! | 16 | labels (and about 24 behind it) |
//! | 64 | open chunk (and its samples behind it) |
//! | 8 | start |
//! | 32 | the two newest full chunks, and where the newest ends |
//! | 8 | what the checkpoint has |
//!
//! Full chunks are a chain in files: each names the two before it, so that a series takes the same
//! room after an hour as after a minute, and one damaged chunk does not hide those behind it.

use super::open::OpenChunk;
use super::table::PairId;
use crate::storage::codec::Reader;

/// A series.
#[derive(Debug)]
pub(super) struct Series {
    /// Slab place and generation: what a `SeriesRef` holds and the log knows.
    pub(super) number: u64,
    /// Pairs of name and value, as varints, in order of names.
    labels: Box<[u8]>,
    pub(super) open: OpenChunk,
    /// No sample is older: the first one's time, or the end of the last cut.
    pub(super) start: i64,
    /// The newest full chunks in files, the newest first.
    pub(super) full: [Option<Place>; 2],
    /// The last timestamp of the newest full chunk in a file.
    pub(super) full_max: i64,
    /// Bytes of the open chunk that the checkpoint has. All of a byte's bits must be set for it
    /// to count.
    pub(super) saved_bytes: u16,
    /// Samples of the open chunk that the checkpoint has.
    pub(super) saved_count: u8,
    /// Whether the checkpoint has the labels.
    pub(super) saved_labels: bool,
    /// Whether the checkpoint has `full`.
    pub(super) saved_full: bool,
}

/// Full chunks of a series in files: the newest two, of which each names the two before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// The newest first.
    pub(crate) newest: [Option<Place>; 2],
    /// The last timestamp of the newest.
    pub(crate) max: i64,
}

/// Where the record of a full chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of its file, `head/<file>.chunks`; never 0.
    pub(crate) file: std::num::NonZeroU32,
    /// Where the record begins.
    pub(crate) offset: u32,
    /// Bytes of the record.
    pub(crate) len: u16,
}

impl Series {
    pub(super) fn new(number: u64, labels: Box<[u8]>) -> Self {
        Self {
            number,
            labels,
            open: OpenChunk::default(),
            start: i64::MAX,
            full: [None; 2],
            full_max: i64::MIN,
            saved_bytes: 0,
            saved_count: 0,
            saved_labels: false,
            saved_full: true,
        }
    }

    /// The newest sample; what duplicates and older ones are compared with.
    pub(super) fn last(&self) -> Option<(i64, u64)> {
        self.open.last()
    }

    /// A time before which there is no sample; `None` without samples.
    pub(super) fn min_time(&self) -> Option<i64> {
        self.last().map(|_| self.start)
    }

    /// The labels, as the table knows them.
    pub(super) fn pairs(&self) -> impl Iterator<Item = PairId> + Clone + '_ {
        let mut reader = Reader::new(&self.labels);
        std::iter::from_fn(move || PairId::try_from(reader.varint()?).ok())
    }

    /// Takes out the open chunk, to begin another.
    pub(super) fn take_open(&mut self) -> OpenChunk {
        self.saved_bytes = 0;
        self.saved_count = 0;
        let next = self.last().map(|(ts, bits)| OpenChunk::behind(ts, bits));
        std::mem::replace(&mut self.open, next.unwrap_or_default())
    }

    /// What full chunks it has in files.
    pub(super) const fn chain(&self) -> Chain {
        Chain { newest: self.full, max: self.full_max }
    }

    /// Takes over a longer chain.
    pub(super) fn set_chain(&mut self, chain: Chain) {
        self.full = chain.newest;
        self.full_max = chain.max;
        self.saved_full = false;
    }
}
