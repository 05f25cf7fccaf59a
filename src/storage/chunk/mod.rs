//! The values of a chunk, encoded; the same bits come back, whatever they are.
//!
//! Owns the encodings of blocks and their tags: start reading at `body.rs`, then `decimal.rs` and
//! `ints.rs`. What the head and the log write is in `pack.rs`, on the bits of this module.
//!
//! Never: files, labels, what a sample means.

mod bits;
pub(super) use bits::{BitReader, BitWriter};
pub(super) mod body;
mod decimal;
mod ints;
mod xor;

/// How a chunk is encoded; the number is its tag on disk and never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(super) enum Encoding {
    /// XOR with the value before: Gorilla.
    Xor = 1,
    /// One value for all.
    Constant = 2,
    /// Decimals that rise by the same amount.
    DeltaConstant = 3,
    /// Decimals scaled to integers, bit-packed.
    Decimal = 4,
    /// The bits of the values as integers, bit-packed.
    Bits = 5,
    /// Native histograms: not written yet.
    Histogram = 7,
    /// Start timestamps beside the samples: not written yet.
    StartTimestamps = 8,
}

impl Encoding {
    /// The tag on disk.
    pub(super) const fn tag(self) -> u8 {
        self as u8
    }

    /// Its name, for people.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Xor => "xor",
            Self::Constant => "constant",
            Self::DeltaConstant => "delta-constant",
            Self::Decimal => "decimal",
            Self::Bits => "bits",
            Self::Histogram => "histogram",
            Self::StartTimestamps => "start-timestamps",
        }
    }

    /// The encoding of this tag.
    pub(super) const fn from_tag(tag: u8) -> Option<Self> {
        Some(match tag {
            1 => Self::Xor,
            2 => Self::Constant,
            3 => Self::DeltaConstant,
            4 => Self::Decimal,
            5 => Self::Bits,
            7 => Self::Histogram,
            8 => Self::StartTimestamps,
            _ => return None,
        })
    }
}

/// A chunk's bytes end too early, or hold what no writer writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its bytes make no sense")]
pub(super) struct ChunkError;

/// Decodes a body whose encoding, count and length of times stand before it.
#[cfg(fuzzing)]
pub(super) fn fuzz(bytes: &[u8]) {
    let Some(([tag, low, high, times], rest)) = bytes.split_first_chunk() else { return };
    let Some(encoding) = Encoding::from_tag(*tag) else { return };
    let (times, values) = rest.split_at(usize::from(*times).min(rest.len()));
    let count = usize::from(u16::from_le_bytes([*low, *high])) % 2049;
    let Some(ts) = body::decode_times(times, count) else { return };
    assert!(ts.len() == count, "BUG: times");
    let mut out = super::source::Columns::default();
    for range in [(i64::MIN, i64::MAX), (0, 1 << 40)] {
        out.clear();
        let read = body::decode(&ts, encoding, values, range, &mut out);
        assert!(out.ts.len() == out.values.len() && out.len() <= count, "BUG: columns");
        assert!(read.is_ok() || out.is_empty(), "BUG: half a chunk");
    }
}
