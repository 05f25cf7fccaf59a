//! Gorilla: timestamps as deltas of deltas, values as XOR with the one before.
//!
//! The first timestamp takes 64 bits. Each later one stores `dod = delta - delta_before` behind a
//! prefix, in two's complement:
//!
//! | prefix | bits | `dod`, milliseconds |
//! |---|---|---|
//! | `0` | 0 | 0: a regular series |
//! | `10` | 7 | -64..=63: jitter of a scrape |
//! | `110` | 14 | -8192..=8191 |
//! | `1110` | 20 | -524288..=524287 |
//! | `1111` | 64 | anything |
//!
//! The first value takes 64 bits. Each later one stores `x = bits ^ bits_before`: `0` for no
//! change; `10` and the meaningful bits in the window of the value before; or `11`, five bits of
//! leading zeros (at most 31), six bits of length (0 stands for 64) and the meaningful bits.
//!
//! Source: Pelkonen et al., VLDB 2015, section 4.1; widths chosen for milliseconds.

use super::bits::{BitReader, BitWriter};
use super::{Chunk, ChunkError, Encoding};
use crate::storage::source::Columns;

/// A chunk that still grows.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChunkWriter {
    out: BitWriter,
    times: TimeWriter,
    values: ValueWriter,
    count: u16,
    min: i64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct TimeWriter {
    /// The timestamp before; `None` at the start.
    last: Option<i64>,
    delta: i64,
}

#[derive(Clone, Debug, Default)]
struct ValueWriter {
    last: u64,
    leading: u8,
    /// Length of the window; 0 as long as there is none.
    len: u8,
}

impl ChunkWriter {
    /// Appends a sample; the caller sees to it that `ts` rises.
    pub(crate) fn push(&mut self, ts: i64, value: f64) {
        if self.count == 0 {
            self.min = ts;
        }
        self.times.put(&mut self.out, ts);
        self.values.put(&mut self.out, value.to_bits(), self.count == 0);
        self.count = self.count.checked_add(1).expect("a chunk is sealed long before 65,535");
    }

    /// The finished chunk of what is there so far; the writer may go on.
    pub(crate) fn to_chunk(&self) -> Chunk {
        Chunk {
            encoding: Encoding::Xor,
            count: self.count,
            min: self.min,
            max: self.times.last.unwrap_or(self.min),
            bytes: self.out.bytes().into(),
        }
    }

    /// The finished chunk.
    pub(crate) fn seal(self) -> Chunk {
        self.to_chunk()
    }
}

impl TimeWriter {
    pub(super) fn put(&mut self, out: &mut BitWriter, ts: i64) {
        let Some(last) = self.last.replace(ts) else {
            out.put(ts.cast_unsigned(), 64);
            return;
        };
        // Wrapping keeps every pair of timestamps exact; the reader wraps back.
        let delta = ts.wrapping_sub(last);
        let dod = delta.wrapping_sub(self.delta);
        self.delta = delta;
        match dod {
            0 => out.put(0, 1),
            -64..=63 => {
                out.put(0b10, 2);
                out.put(dod.cast_unsigned(), 7);
            }
            -8192..=8191 => {
                out.put(0b110, 3);
                out.put(dod.cast_unsigned(), 14);
            }
            -524_288..=524_287 => {
                out.put(0b1110, 4);
                out.put(dod.cast_unsigned(), 20);
            }
            i64::MIN..=-524_289 | 524_288.. => {
                out.put(0b1111, 4);
                out.put(dod.cast_unsigned(), 64);
            }
        }
    }
}

impl ValueWriter {
    fn put(&mut self, out: &mut BitWriter, bits: u64, first: bool) {
        if first {
            self.last = bits;
            out.put(bits, 64);
            return;
        }
        let x = bits ^ self.last;
        self.last = bits;
        if x == 0 {
            out.put(0, 1);
            return;
        }
        let leading = x.leading_zeros().min(31);
        let trailing = x.trailing_zeros();
        let (old_leading, old_len) = (u32::from(self.leading), u32::from(self.len));
        if old_len > 0 && leading >= old_leading && 64 - trailing <= old_leading + old_len {
            out.put(0b10, 2);
            out.put(x >> (64 - old_leading - old_len), old_len);
            return;
        }
        let len = 64 - leading - trailing;
        out.put(0b11, 2);
        out.put(u64::from(leading), 5);
        out.put(u64::from(len % 64), 6);
        out.put(x >> trailing, len);
        self.leading = u8::try_from(leading).expect("at most 31");
        self.len = u8::try_from(len).expect("at most 64");
    }
}

/// Reads what `TimeWriter` wrote.
#[derive(Debug, Default)]
pub(super) struct TimeReader {
    last: Option<i64>,
    delta: i64,
}

impl TimeReader {
    /// The next timestamp; `None` at the end, or when it would not rise.
    #[inline]
    pub(super) fn next(&mut self, bits: &mut BitReader<'_>) -> Option<i64> {
        let Some(last) = self.last else {
            self.last = Some(bits.get(64)?.cast_signed());
            return self.last;
        };
        let width = match (bits.bit()?, ()) {
            (false, ()) => 0,
            (true, ()) if !bits.bit()? => 7,
            (true, ()) if !bits.bit()? => 14,
            (true, ()) if !bits.bit()? => 20,
            (true, ()) => 64,
        };
        if width > 0 {
            let shift = 64 - width;
            let dod = (bits.get(width)? << shift).cast_signed() >> shift;
            self.delta = self.delta.wrapping_add(dod);
        }
        let ts = last.wrapping_add(self.delta);
        self.last = (ts > last).then_some(ts);
        self.last
    }
}

#[derive(Debug, Default)]
struct ValueReader {
    last: Option<u64>,
    leading: u32,
    len: u32,
}

impl ValueReader {
    #[inline]
    fn next(&mut self, bits: &mut BitReader<'_>) -> Option<u64> {
        let Some(last) = self.last else {
            self.last = Some(bits.get(64)?);
            return self.last;
        };
        if !bits.bit()? {
            return Some(last);
        }
        if bits.bit()? {
            self.leading = u32::try_from(bits.get(5)?).ok()?;
            let len = u32::try_from(bits.get(6)?).ok()?;
            self.len = if len == 0 { 64 } else { len };
        }
        // A window that was never set, or that reaches past the word, is damage.
        let shift = 64_u32.checked_sub(self.leading + self.len).filter(|_| self.len > 0)?;
        self.last = Some(last ^ (bits.get(self.len)? << shift));
        self.last
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
    let mut times = TimeReader::default();
    let mut values = ValueReader::default();
    for _ in 0..count {
        let ts = times.next(&mut bits).ok_or(ChunkError::Damaged)?;
        let value = values.next(&mut bits).ok_or(ChunkError::Damaged)?;
        if ts > to {
            break;
        }
        if ts >= from {
            out.push(ts, f64::from_bits(value));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_counter_takes_less_than_three_bytes_a_sample() {
        let mut writer = ChunkWriter::default();
        for at in 0..120 {
            writer.push(1_700_000_000_000 + at * 15_000, 1e6 + (at * 37) as f64);
        }
        let chunk = writer.seal();
        assert!(chunk.bytes.len() < 360, "{}", chunk.bytes.len());
    }
}
