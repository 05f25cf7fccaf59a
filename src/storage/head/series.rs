//! One series of the head: its open chunk, and where its full ones are.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | number |
//! | 16 | labels (and about 24 behind it) |
//! | 64 | open chunk (and its samples behind it), and what the checkpoint has of it |
//! | 8 | start |
//! | 30 | the two newest full chunks, and where the newest ends |
//! | 2 | what the checkpoint has |
//!
//! These are two lines of a processor's cache, and are to stay so: a scrape reads them of every
//! series.
//!
//! Full chunks are a chain in files: each names the two before it, so that a series takes the same
//! room after an hour as after a minute, and one damaged chunk does not hide those behind it.

use super::open::OpenChunk;
use super::table::PairId;
use crate::storage::codec::Reader;
use std::num::NonZeroU32;

/// A series.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Series {
    /// Slab place and generation: what a `SeriesRef` holds and the log knows.
    pub(super) number: u64,
    /// Pairs of name and value, as varints, in order of names.
    labels: Box<[u8]>,
    pub(super) open: OpenChunk,
    /// No sample is older: the first one's time, or the end of the last cut.
    pub(super) start: i64,
    /// The last timestamp of the newest full chunk in a file.
    full_max: i64,
    /// The newest full chunks in files, the newest first: the parts of two `Place`s, which leave
    /// no gaps this way.
    full_files: [Option<NonZeroU32>; 2],
    full_offsets: [u32; 2],
    full_lens: [u16; 2],
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
    pub(crate) file: NonZeroU32,
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
            full_max: i64::MIN,
            full_files: [None; 2],
            full_offsets: [0; 2],
            full_lens: [0; 2],
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
        let next = self.last().map(|(ts, bits)| OpenChunk::behind(ts, bits));
        std::mem::replace(&mut self.open, next.unwrap_or_default())
    }

    /// What full chunks it has in files.
    pub(super) fn chain(&self) -> Chain {
        let Self { full_files: files, full_offsets: offsets, full_lens: lens, .. } = self;
        let place = |((file, offset), len): ((&Option<NonZeroU32>, &u32), &u16)| {
            Some(Place { file: (*file)?, offset: *offset, len: *len })
        };
        let mut places = files.iter().zip(offsets).zip(lens).map(place);
        let newest = [places.next().flatten(), places.next().flatten()];
        Chain { newest, max: self.full_max }
    }

    /// Takes over a longer chain.
    pub(super) fn set_chain(&mut self, chain: Chain) {
        self.full_files = chain.newest.map(|place| Some(place?.file));
        self.full_offsets = chain.newest.map(|place| place.map_or(0, |place| place.offset));
        self.full_lens = chain.newest.map(|place| place.map_or(0, |place| place.len));
        self.full_max = chain.max;
        self.saved_full = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_takes_two_lines_of_the_cache() {
        assert_eq!(size_of::<Option<Series>>(), 128);
        assert_eq!(align_of::<Option<Series>>(), 64);
    }

    #[test]
    fn a_chain_is_what_was_set() {
        let mut series = Series::new(7, Box::default());
        assert_eq!(series.chain(), Chain { newest: [None; 2], max: i64::MIN });
        let place = |file, offset, len| Some(Place { file: NonZeroU32::new(file)?, offset, len });
        let chain = Chain { newest: [place(1, u32::MAX, 3), place(4, 5, u16::MAX)], max: 6 };
        series.set_chain(chain);
        assert_eq!(series.chain(), chain);
        series.set_chain(Chain { newest: [place(1, 2, 3), None], max: 7 });
        assert_eq!(series.chain(), Chain { newest: [place(1, 2, 3), None], max: 7 });
    }
}
