//! A chunk: about 120 samples of one series, encoded; the same bits come back, whatever they are.
//!
//! Owns the encodings and their tags. Start reading at `Chunk`, then `xor.rs`. The open form is
//! `ChunkWriter`, the finished one `Chunk`; both decode into `Columns`.
//!
//! Never: files, labels, what a sample means.

mod bits;
pub(super) use bits::{BitReader, BitWriter};
mod constant;
mod xor;

pub(super) use xor::ChunkWriter;

use super::source::Columns;
use std::sync::Arc;

/// Samples of a chunk at most: with 15 s between samples half an hour, and about 160 bytes.
pub(super) const CHUNK_SAMPLES_MAX: u16 = 120;

/// How a chunk is encoded; the number is its tag on disk and never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(super) enum Encoding {
    /// Delta-of-delta timestamps, XOR values: Gorilla.
    Xor = 1,
    /// Delta-of-delta timestamps, one value for all.
    Constant = 2,
    /// Delta-of-delta timestamps, values that rise by the same amount: not written yet.
    DeltaConstant = 3,
    /// Decimals scaled to integers, frame of reference, bit-packed: not written yet.
    Decimal = 4,
    /// Bytes of another encoding, compressed: not written yet.
    Compressed = 5,
    /// Values only; timestamps are shared with other chunks of the block: not written yet.
    SharedTimestamps = 6,
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
            5 => Self::Compressed,
            6 => Self::SharedTimestamps,
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
    /// Encodes samples in the smallest form. `columns` hold 1 to 65,535 samples in order.
    pub(super) fn encode(ts: &[i64], values: &[f64]) -> Self {
        let mut writer = ChunkWriter::default();
        for (ts, value) in ts.iter().zip(values) {
            writer.push(*ts, *value);
        }
        let first = values.first().map(|value| value.to_bits());
        let constant = values.iter().all(|value| Some(value.to_bits()) == first);
        if let (true, Some(bits)) = (constant, first) {
            return constant::encode(ts, bits);
        }
        writer.seal()
    }
}

/// Appends the samples of a chunk with `from <= ts <= to` to `out`.
///
/// # Errors
/// The bytes are no chunk of that count; nothing is appended.
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
        Encoding::Constant => constant::decode(count, bytes, from, to, out),
        Encoding::DeltaConstant
        | Encoding::Decimal
        | Encoding::Compressed
        | Encoding::SharedTimestamps
        | Encoding::Histogram
        | Encoding::StartTimestamps => Err(ChunkError::Unknown(encoding.tag())),
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
        prop_oneof![Just(15_000_i64), 14_990_i64..15_010, 1_i64..100, 1_i64..(1 << 40)]
    }

    fn series() -> impl Strategy<Value = (Vec<i64>, Vec<u64>)> {
        let first = prop_oneof![any::<i32>().prop_map(i64::from), Just(i64::MIN), Just(1 << 41)];
        (first, proptest::collection::vec((step(), value()), 1..200)).prop_map(|(first, rest)| {
            let mut ts = first;
            let mut times = Vec::new();
            for (step, _) in &rest {
                times.push(ts);
                ts += step;
            }
            (times, rest.into_iter().map(|(_, bits)| bits).collect())
        })
    }

    #[track_caller]
    fn decode_all(chunk: &Chunk, from: i64, to: i64, out: &mut Columns) {
        decode(chunk.encoding, chunk.count, &chunk.bytes, from, to, out).unwrap();
    }

    #[track_caller]
    fn bits(columns: &Columns) -> Vec<u64> {
        columns.values.iter().map(|value| value.to_bits()).collect()
    }

    proptest! {
        #[test]
        fn every_bit_comes_back((ts, values) in series()) {
            let floats: Vec<f64> = values.iter().map(|bits| f64::from_bits(*bits)).collect();
            let chunk = Chunk::encode(&ts, &floats);
            let mut out = Columns::default();
            decode_all(&chunk, i64::MIN, i64::MAX, &mut out);
            prop_assert_eq!(&out.ts, &ts);
            prop_assert_eq!(bits(&out), values);
            prop_assert_eq!((chunk.min, chunk.max), (ts[0], *ts.last().unwrap()));
        }

        #[test]
        fn a_range_is_cut_out((ts, values) in series(), a in 0_usize..200, b in 0_usize..200) {
            let floats: Vec<f64> = values.iter().map(|bits| f64::from_bits(*bits)).collect();
            let (a, b) = (a.min(ts.len() - 1), b.min(ts.len() - 1));
            let mut out = Columns::default();
            decode_all(&Chunk::encode(&ts, &floats), ts[a], ts[b], &mut out);
            let expected = if a <= b { &ts[a..=b] } else { &[] };
            prop_assert_eq!(&out.ts[..], expected);
        }

        #[test]
        fn any_bytes_are_refused_or_read_but_never_panic(
            bytes: Vec<u8>, tag in 1_u8..9, count: u16,
        ) {
            let mut out = Columns::default();
            let encoding = Encoding::from_tag(tag).unwrap();
            if decode(encoding, count, &bytes, i64::MIN, i64::MAX, &mut out).is_err() {
                prop_assert!(out.is_empty());
            }
            prop_assert!(out.len() <= usize::from(count));
        }
    }

    #[test]
    fn a_constant_chunk_of_regular_samples_takes_a_few_bytes() {
        let ts: Vec<i64> = (0..120).map(|at| 1_700_000_000_000 + at * 15_000).collect();
        let chunk = Chunk::encode(&ts, &[1.0; 120]);
        assert_eq!(chunk.encoding, Encoding::Constant);
        assert!(chunk.bytes.len() < 40, "{} bytes", chunk.bytes.len());
    }
}
