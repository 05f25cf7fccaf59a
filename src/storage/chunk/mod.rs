//! A chunk: about 120 samples of one series, encoded; the same bits come back, whatever they are.
//!
//! Owns the encodings and their tags. The head's chunks are Gorilla: start reading at `Chunk`,
//! then `xor.rs`; the open form is `ChunkWriter`. Those of blocks are longer and denser: start at
//! `body.rs`, then `decimal.rs` and `ints.rs`. All decode into `Columns`.
//!
//! Never: files, labels, what a sample means.

mod bits;
pub(super) use bits::{BitReader, BitWriter};
pub(super) mod body;
mod decimal;
mod ints;
mod xor;

pub(super) use xor::{ChunkWriter, WriterState};

use super::source::Columns;
use std::sync::Arc;

/// Samples of a chunk at most: with 15 s between samples half an hour, and about 160 bytes.
pub(super) const CHUNK_SAMPLES_MAX: u16 = 120;

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

/// Why a chunk's bytes cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ChunkError {
    /// They end too early, or hold what no writer writes.
    #[error("its bytes make no sense")]
    Damaged,
    /// A tag of a later version.
    #[error("encoding {0} is not known to this version")]
    Unknown(u8),
}

/// A finished chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// How its bytes are to be read.
    pub(super) encoding: Encoding,
    /// Number of samples.
    pub(super) count: u16,
    /// First timestamp, milliseconds.
    pub(super) min: i64,
    /// Last timestamp, milliseconds.
    pub(super) max: i64,
    /// The samples.
    pub(super) bytes: Arc<[u8]>,
}

impl Chunk {
    /// Appends samples with `from <= ts <= to` to `out`.
    ///
    /// # Errors
    /// The bytes are no chunk of that count; what was read until then stays in `out`.
    pub(super) fn decode(&self, from: i64, to: i64, out: &mut Columns) -> Result<(), ChunkError> {
        decode(self.encoding, self.count, &self.bytes, from, to, out)
    }
}

/// As `Chunk::decode`, of bytes that lie elsewhere.
///
/// # Errors
/// As `Chunk::decode`.
pub(super) fn decode(
    encoding: Encoding,
    count: u16,
    bytes: &[u8],
    from: i64,
    to: i64,
    out: &mut Columns,
) -> Result<(), ChunkError> {
    let start = out.len();
    let result = match encoding {
        Encoding::Xor => xor::decode(count, bytes, from, to, out),
        // A chunk of the head is nothing else.
        other => Err(ChunkError::Unknown(other.tag())),
    };
    if result.is_err() {
        // Half a chunk is no data: what follows the damage is unknown, and so is what it hit.
        out.ts.truncate(start);
        out.values.truncate(start);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ORDINARY_NAN_BITS, STALE_NAN_BITS};
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            (0_i64..100_000).prop_map(|number| (number as f64).to_bits()),
            (0_i64..100_000).prop_map(|number| (number as f64 / 100.0).to_bits()),
            Just(0.0_f64.to_bits()),
            Just((-0.0_f64).to_bits()),
            Just(STALE_NAN_BITS),
            Just(ORDINARY_NAN_BITS),
            Just(f64::INFINITY.to_bits()),
        ]
    }

    fn step() -> impl Strategy<Value = i64> {
        prop_oneof![8 => Just(15_000_i64), 2 => 14_990_i64..15_010, 1 => 1_i64..100, 1 => 1_i64..(1 << 40)]
    }

    pub(super) fn series() -> impl Strategy<Value = (Vec<i64>, Vec<u64>)> {
        let first = prop_oneof![any::<i32>().prop_map(i64::from), Just(i64::MIN), Just(1 << 41)];
        (first, proptest::collection::vec((step(), value()), 1..500)).prop_map(|(first, rest)| {
            let mut ts = first;
            let mut times = Vec::new();
            for (step, _) in &rest {
                times.push(ts);
                ts += step;
            }
            (times, rest.into_iter().map(|(_, bits)| bits).collect())
        })
    }

    fn gorilla(ts: &[i64], values: &[f64]) -> Chunk {
        let mut writer = ChunkWriter::default();
        ts.iter().zip(values).for_each(|(ts, value)| writer.push(*ts, *value));
        writer.seal()
    }

    #[track_caller]
    fn bits(columns: &Columns) -> Vec<u64> {
        columns.values.iter().map(|value| value.to_bits()).collect()
    }

    proptest! {
        #[test]
        fn every_bit_comes_back((ts, values) in series()) {
            let floats: Vec<f64> = values.iter().map(|bits| f64::from_bits(*bits)).collect();
            let chunk = gorilla(&ts, &floats);
            let mut out = Columns::default();
            chunk.decode(i64::MIN, i64::MAX, &mut out).unwrap();
            prop_assert_eq!(&out.ts, &ts);
            prop_assert_eq!(bits(&out), values);
            prop_assert_eq!((chunk.min, chunk.max), (ts[0], *ts.last().unwrap()));
        }

        #[test]
        fn a_range_is_cut_out((ts, values) in series(), a in 0_usize..200, b in 0_usize..200) {
            let floats: Vec<f64> = values.iter().map(|bits| f64::from_bits(*bits)).collect();
            let (a, b) = (a.min(ts.len() - 1), b.min(ts.len() - 1));
            let mut out = Columns::default();
            gorilla(&ts, &floats).decode(ts[a], ts[b], &mut out).unwrap();
            let expected = if a <= b { &ts[a..=b] } else { &[] };
            prop_assert_eq!(&out.ts[..], expected);
        }

        #[test]
        fn any_bytes_are_refused_or_read_but_never_panic(
            bytes: Vec<u8>, tag in 1_u8..9, count: u16,
        ) {
            let mut out = Columns::default();
            let Some(encoding) = Encoding::from_tag(tag) else { return Ok(()) };
            if decode(encoding, count, &bytes, i64::MIN, i64::MAX, &mut out).is_err() {
                prop_assert!(out.is_empty());
            }
            prop_assert!(out.len() <= usize::from(count));
        }
    }
}
