//! The open chunk of a series: times and values packed as `pack.rs` has them.
//!
//! The first time stands outside the bytes; the first value is packed against +0.

use crate::model::is_stale_nan;
use crate::storage::chunk::{BitReader, BitWriter};
use crate::storage::pack::{Mode, Times, Values, put_sample, put_value};
use crate::storage::source::Columns;

/// Samples of a chunk at most: with 15 s between samples half an hour.
pub(super) const CHUNK_SAMPLES_MAX: u8 = 120;

/// Neighbours in a plain chunk are no more apart, in milliseconds: the usual scrape interval is in
/// it, and the usual lookback is far longer.
pub(super) const PLAIN_GAP_MAX: i64 = 60_000;

/// A chunk that still grows. 64 bytes beside its samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenChunk {
    out: BitWriter,
    min: i64,
    times: Times,
    last: u64,
    mode: Mode,
    count: u8,
    /// Whether `times` and `last` are those of a sample, here or in the chunk before.
    has_last: bool,
    /// Whether a sample is a staleness marker or more than `PLAIN_GAP_MAX` after its neighbour.
    has_breaks: bool,
    /// Samples that the checkpoint has.
    pub(super) saved_count: u8,
    /// Bytes that the checkpoint has. All of a byte's bits must be set for it to count.
    pub(super) saved_bytes: u16,
}

/// The chunk as it is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChunkBytes {
    /// First timestamp, milliseconds.
    pub(crate) min: i64,
    /// Last timestamp, milliseconds.
    pub(crate) max: i64,
    /// Samples, at least one.
    pub(crate) count: u8,
    /// Whether no sample is a staleness marker, and none more than `PLAIN_GAP_MAX` after the one
    /// before: what is asked at an instant in it is answered without unpacking it.
    pub(crate) is_plain: bool,
    /// The samples.
    pub(crate) bytes: Box<[u8]>,
}

impl OpenChunk {
    /// Number of samples.
    pub(crate) const fn count(&self) -> u8 {
        self.count
    }

    /// Whether the next sample belongs to another chunk.
    pub(crate) const fn is_full(&self) -> bool {
        self.count >= CHUNK_SAMPLES_MAX
    }

    /// The first timestamp, `None` without samples.
    pub(super) fn min(&self) -> Option<i64> {
        (self.count > 0).then_some(self.min)
    }

    /// An empty chunk behind this newest sample.
    pub(super) fn behind(ts: i64, bits: u64) -> Self {
        Self { times: Times::after(ts), last: bits, has_last: true, ..Self::default() }
    }

    /// The newest sample, here or in the chunk before.
    pub(crate) fn last(&self) -> Option<(i64, u64)> {
        self.has_last.then(|| (self.times.last(), self.last))
    }

    /// The bytes so far; unused bits of the last one are zero.
    pub(super) fn bytes(&self) -> &[u8] {
        self.out.bytes()
    }

    /// The byte that the next sample begins in, 0 without one.
    pub(super) fn last_byte(&self) -> u8 {
        self.out.last_byte()
    }

    /// Number of bits that are used.
    pub(super) fn bit_len(&self) -> usize {
        self.out.bit_len()
    }

    /// Appends a sample; the caller sees to it that `ts` rises and that there is room.
    pub(crate) fn push(&mut self, ts: i64, bits: u64) {
        let is_stale = is_stale_nan(f64::from_bits(bits));
        if self.count == 0 {
            self.min = ts;
            self.times = Times::after(ts);
            self.has_breaks = is_stale;
            put_value(&mut self.out, &mut self.mode, 0, bits);
        } else {
            self.has_breaks |= is_stale || !is_near(self.times.last(), ts);
            let sample = (ts, bits);
            put_sample(&mut self.out, &mut self.times, &mut self.mode, self.last, sample);
        }
        self.last = bits;
        self.has_last = true;
        self.count = self.count.saturating_add(1);
    }

    /// What is there so far.
    pub(crate) fn to_bytes(&self) -> ChunkBytes {
        let (min, max) = (self.min, self.times.last());
        let (count, is_plain) = (self.count, self.is_plain());
        ChunkBytes { min, max, count, is_plain, bytes: self.bytes().into() }
    }

    /// As `ChunkBytes::is_plain`.
    pub(super) const fn is_plain(&self) -> bool {
        !self.has_breaks
    }

    /// Goes on where a chunk with these bytes stopped; `None` when they make no sense.
    pub(super) fn resume(min: i64, count: u8, bit_len: usize, bytes: Vec<u8>) -> Option<Self> {
        if count > CHUNK_SAMPLES_MAX {
            return None;
        }
        let mut walk = Walk::new(min, &bytes);
        let (mut has_breaks, mut before) = (false, min);
        for _ in 0..count {
            let (ts, bits) = walk.next()?;
            has_breaks |= is_stale_nan(f64::from_bits(bits)) || !is_near(before, ts);
            before = ts;
        }
        let (times, last, mode) = (walk.times, walk.values.last(), walk.values.mode());
        let out = BitWriter::resume(bytes, bit_len)?;
        let has_last = count > 0;
        let begun = Self { out, min, times, last, mode, count, has_last, ..Self::default() };
        Some(Self { has_breaks, ..begun })
    }
}

impl ChunkBytes {
    /// Appends samples with `from <= ts <= to` to `out`; `None` when the bytes are no chunk of
    /// that count, and nothing is appended.
    pub(crate) fn decode(&self, from: i64, to: i64, out: &mut Columns) -> Option<Spacing> {
        decode(self.min, self.count, &self.bytes, from, to, out)
    }
}

/// Whether two times, the later one last, are neighbours in a plain chunk.
const fn is_near(before: i64, ts: i64) -> bool {
    ts.saturating_sub(before) <= PLAIN_GAP_MAX
}

/// As `ChunkBytes::decode`, of bytes that lie elsewhere.
pub(super) fn decode(
    min: i64,
    count: u8,
    bytes: &[u8],
    from: i64,
    to: i64,
    out: &mut Columns,
) -> Option<Spacing> {
    let start = out.len();
    let room = start + usize::from(count);
    out.ts.resize(room, 0);
    out.values.resize(room, 0.0);
    let ts = out.ts.get_mut(start..).unwrap_or_default();
    let values = out.values.get_mut(start..).unwrap_or_default();
    let unpacked = Walk::new(min, bytes).unpack(ts, values, to);
    // Half a chunk is no data: what follows the damage is unknown, and so is what it hit.
    let end = start + unpacked.map_or(0, |(samples, _)| samples);
    out.ts.truncate(end);
    out.values.truncate(end);
    let early = out.ts.iter().skip(start).take_while(|ts| **ts < from).count();
    if early > 0 {
        out.ts.drain(start..start + early);
        out.values.drain(start..start + early);
    }
    unpacked.map(|(_, spacing)| spacing)
}

/// What is known of the distances between the samples of a chunk, or some of them in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spacing {
    /// There are fewer than two.
    None,
    /// All are the same, in milliseconds.
    Even(i64),
    /// They may differ.
    Uneven,
}

/// Reads a chunk sample by sample.
#[derive(Debug)]
struct Walk<'a> {
    bits: BitReader<'a>,
    times: Times,
    values: Values,
    begun: bool,
}

impl<'a> Walk<'a> {
    const fn new(min: i64, bytes: &'a [u8]) -> Self {
        let (bits, times) = (BitReader::new(bytes), Times::after(min));
        Self { bits, times, values: Values::first(), begun: false }
    }

    /// The next sample; `None` when the bytes end, or its time would not rise.
    #[expect(clippy::inline_always, reason = "its state is to stay in registers")]
    #[inline(always)]
    fn next(&mut self) -> Option<(i64, u64)> {
        if self.begun {
            let before = self.times.last();
            if self.times.get(&mut self.bits)? <= before {
                return None;
            }
        }
        self.begun = true;
        let value = self.values.next(&mut self.bits)?;
        Some((self.times.last(), value))
    }

    /// Puts samples up to `to` into `ts` and `values`, which are of the same length; how many, and
    /// how they are spaced. `None` when the bytes end before, or make no sense.
    fn unpack(&mut self, ts: &mut [i64], values: &mut [f64], to: i64) -> Option<(usize, Spacing)> {
        let mut done = 0;
        let mut spacing = Spacing::None;
        // Samples that may still come at the same distance in time as the last two.
        let mut even = 0;
        while done < values.len() {
            let (ts, values) = (ts.get_mut(done..)?, values.get_mut(done..)?);
            let some = match self.unpack_even(ts, values, even) {
                0 => {
                    let (time, bits) = self.next()?;
                    if time > to {
                        break;
                    }
                    spacing = match spacing {
                        _first if done == 0 => Spacing::None,
                        Spacing::None => Spacing::Even(self.times.delta()),
                        Spacing::Even(step) if step == self.times.delta() => spacing,
                        _other => Spacing::Uneven,
                    };
                    (*ts.first_mut()?, *values.first_mut()?) = (time, f64::from_bits(bits));
                    let left = u32::try_from(values.len() - 1).unwrap_or(u32::MAX);
                    even = self.times.repeats_until(to, left) as usize;
                    1
                }
                some => {
                    even -= some;
                    some
                }
            };
            done += some;
        }
        Some((done, spacing))
    }

    /// As `unpack`, as long as samples come at the same distance in time, `most` at most, and are
    /// told in the usual way; how many those were, which may be none.
    #[expect(clippy::inline_always, reason = "its state is to stay in registers")]
    #[inline(always)]
    fn unpack_even(&mut self, ts: &mut [i64], values: &mut [f64], most: usize) -> usize {
        let values = values.get_mut(..most).unwrap_or_default();
        if values.is_empty() {
            return 0;
        }
        let mut some = self.values.next_alike(&mut self.bits, values);
        if some == 0 {
            some = self.values.next_behind_zeros(&mut self.bits, values);
        }
        if some == 0 {
            some = self.values.next_xors_behind_zeros(&mut self.bits, values);
        }
        for ts in ts.iter_mut().take(some) {
            *ts = self.times.repeat();
        }
        some
    }
}

/// Decodes a chunk whose count and first time stand before it, and goes on with it.
#[cfg(fuzzing)]
pub(in super::super) fn fuzz(bytes: &[u8]) {
    let Some(([count, min @ ..], rest)) = bytes.split_first_chunk::<9>() else { return };
    let min = i64::from_le_bytes(*min);
    let mut out = Columns::default();
    let read = decode(min, *count, rest, i64::MIN, i64::MAX, &mut out);
    assert!(read.is_some() || out.is_empty(), "BUG: half a chunk");
    assert!(out.ts.is_sorted_by(|a, b| a < b), "BUG: disorder");
    if let Some(mut open) = OpenChunk::resume(min, *count, rest.len() * 8, rest.to_vec())
        && !open.is_full()
        && let Some((ts, _)) = open.last()
        && ts < i64::MAX
    {
        open.push(ts + 1, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Values of a series: of one kind all along, or of any.
    fn values() -> impl Strategy<Value = Vec<u64>> {
        let len = 1..120_usize;
        let of = |one: BoxedStrategy<f64>| {
            proptest::collection::vec(one.prop_map(f64::to_bits), 1..120_usize).boxed()
        };
        // Whole numbers, decimals, and numbers of all their digits that have most in common.
        let whole = of((0_u32..5000).prop_map(f64::from).boxed());
        let decimal = (0_u32..8, 1_u32..100_000)
            .prop_map(|(same, n)| if same < 3 { 12.5 } else { f64::from(n) / 1000.0 });
        let full = (0_u32..8, 1_u32..1000)
            .prop_map(|(same, n)| if same < 2 { 0.3 } else { 1.0 + f64::from(n) / 3e4 });
        let any_kind =
            prop_oneof![any::<u64>(), (0_u32..5000).prop_map(|n| f64::from(n).to_bits())];
        let mixed = proptest::collection::vec(any_kind, len);
        prop_oneof![mixed, whole, of(decimal.boxed()), of(full.boxed())]
    }

    fn samples() -> impl Strategy<Value = Vec<(i64, u64)>> {
        let step = prop_oneof![Just(5000_i64), 4990_i64..5010, 1_i64..(1 << 50)];
        let steps = prop_oneof![
            proptest::collection::vec(Just(15_000_i64), 120),
            proptest::collection::vec(step, 120),
        ];
        (steps, values()).prop_map(|(steps, values)| {
            let mut ts = -1_000_000;
            let next = |(step, bits)| {
                ts += step;
                (ts, bits)
            };
            steps.into_iter().zip(values).map(next).collect()
        })
    }

    proptest! {
        #[test]
        fn samples_come_back_and_go_on_anywhere(list in samples(), at in 0_usize..120) {
            let mut chunk = OpenChunk::default();
            for (place, (ts, bits)) in list.iter().enumerate() {
                if place == at {
                    let ChunkBytes { min, count, bytes, .. } = chunk.to_bytes();
                    let bits = chunk.bit_len();
                    chunk = OpenChunk::resume(min, count, bits, bytes.into()).unwrap();
                }
                chunk.push(*ts, *bits);
            }
            let mut out = Columns::default();
            chunk.to_bytes().decode(i64::MIN, i64::MAX, &mut out).unwrap();
            let values = out.values.iter().map(|value| value.to_bits());
            prop_assert_eq!(out.ts.iter().copied().zip(values).collect::<Vec<_>>(), list.clone());
            prop_assert_eq!(chunk.last(), list.last().copied());
            let (from, to) = (list[list.len() / 3].0, list[list.len() / 2].0);
            out.clear();
            chunk.to_bytes().decode(from, to, &mut out).unwrap();
            prop_assert_eq!(out.len(), list.len() / 2 - list.len() / 3 + 1);
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes: Vec<u8>, count: u8, min: i64) {
            let mut out = Columns::default();
            if decode(min, count, &bytes, i64::MIN, i64::MAX, &mut out).is_none() {
                prop_assert!(out.is_empty());
            }
            prop_assert!(out.ts.is_sorted_by(|a, b| a < b));
            let _ = OpenChunk::resume(min, count, bytes.len() * 8, bytes);
        }
    }
}
