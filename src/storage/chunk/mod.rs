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
