//! One value for all samples: eight bytes of value, then the timestamps as in `xor.rs`.

use super::bits::{BitReader, BitWriter};
use super::xor::{TimeReader, TimeWriter};
use super::{Chunk, ChunkError, Encoding};
use crate::storage::source::Columns;

pub(super) fn encode(ts: &[i64], value_bits: u64) -> Chunk {
    let mut out = BitWriter::default();
    out.put(value_bits, 64);
    let mut times = TimeWriter::default();
    for ts in ts {
        times.put(&mut out, *ts);
    }
    Chunk {
        encoding: Encoding::Constant,
        count: u16::try_from(ts.len()).expect("a chunk has at most 65,535 samples"),
        min: ts.first().copied().unwrap_or_default(),
        max: ts.last().copied().unwrap_or_default(),
        bytes: out.into_bytes().into(),
    }
}

pub(super) fn decode(
    count: u16,
    bytes: &[u8],
    from: i64,
    to: i64,
    out: &mut Columns,
) -> Result<(), ChunkError> {
    let mut bits = BitReader::new(bytes);
    let value = f64::from_bits(bits.get(64).ok_or(ChunkError::Damaged)?);
    let mut times = TimeReader::default();
    for _ in 0..count {
        let ts = times.next(&mut bits).ok_or(ChunkError::Damaged)?;
        if ts > to {
            break;
        }
        if ts >= from {
            out.push(ts, value);
        }
    }
    Ok(())
}
