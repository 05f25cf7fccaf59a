//! The long chunks of blocks: a column of times, which many series may share, and a body of
//! values in the smallest encoding.
//!
//! Both are cut into groups of the same length, so that a range in the middle of a long chunk is
//! read without decoding what lies before it.

use super::bits::{BitReader, BitWriter};
use super::decimal::{Decimals, Scale, read_exceptions};
use super::ints::{self, GROUP_LEN, Group, Groups};
use super::xor::{ValueReader, ValueWriter};
use super::{ChunkError, Encoding};
use crate::storage::codec::{Reader, put_varint};
use crate::storage::source::Columns;

/// Samples of a body at most.
pub(crate) const BODY_SAMPLES_MAX: usize = 2048;

/// Bytes a value above which decimals are compared with the other encodings.
const DECIMAL_GOOD_BYTES: usize = 4;

/// Encodes timestamps, which rise.
pub(crate) fn encode_times(ts: &[i64]) -> Vec<u8> {
    let mut out = Vec::new();
    ints::put(&mut out, ts);
    out
}

/// Encodes 1 to `BODY_SAMPLES_MAX` values in the smallest form.
pub(crate) fn encode_values(values: &[f64]) -> (Encoding, Vec<u8>) {
    let first = values.first().map_or(0, |value| value.to_bits());
    if values.iter().all(|value| value.to_bits() == first) {
        return (Encoding::Constant, constant_bytes(first));
    }
    let mut best: Option<(Encoding, Vec<u8>)> = None;
    if let Some(decimals) = Decimals::of(values) {
        let mut out = Vec::new();
        if let Some(rise) = decimals.rise() {
            decimals.put_line(&mut out, rise);
            return (Encoding::DeltaConstant, out);
        }
        decimals.put(&mut out);
        if out.len() <= values.len() * DECIMAL_GOOD_BYTES {
            return (Encoding::Decimal, out);
        }
        best = Some((Encoding::Decimal, out));
    }
    let bits: Vec<i64> = values.iter().map(|value| value.to_bits().cast_signed()).collect();
    let mut packed = Vec::new();
    ints::put(&mut packed, &bits);
    let others = [(Encoding::Bits, packed), (Encoding::Xor, xor_bytes(values))];
    let smallest = best.into_iter().chain(others).min_by_key(|(_, bytes)| bytes.len());
    smallest.expect("there are two at least")
}

/// The bits without trailing zero bytes: round numbers have few.
fn constant_bytes(bits: u64) -> Vec<u8> {
    let bytes = bits.to_be_bytes();
    let len = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.get(..len).unwrap_or_default().to_vec()
}

fn read_constant(bytes: &[u8]) -> Option<f64> {
    let mut whole = [0; 8];
    whole.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(f64::from_bits(u64::from_be_bytes(whole)))
}

/// Gorilla, begun anew with each group: its length in bytes, then its bits.
fn xor_bytes(values: &[f64]) -> Vec<u8> {
    let mut out = Vec::new();
    for group in values.chunks(GROUP_LEN) {
        let mut bits = BitWriter::default();
        let mut writer = ValueWriter::default();
        for (place, value) in group.iter().enumerate() {
            writer.put(&mut bits, value.to_bits(), place == 0);
        }
        put_varint(&mut out, bits.bytes().len() as u64);
        out.extend_from_slice(bits.bytes());
    }
    out
}

/// The timestamps of a column of `count`; `None` when the bytes make no sense.
pub(crate) fn decode_times(bytes: &[u8], count: usize) -> Option<Vec<i64>> {
    let mut groups = Groups::new(bytes, count);
    let (mut ts, mut group) = (Vec::with_capacity(count.min(BODY_SAMPLES_MAX)), Vec::new());
    while let Some(next) = groups.next().ok()? {
        let len = next.len;
        unpack(next, len, &mut group)?;
        ts.extend_from_slice(&group);
    }
    ts.is_sorted_by(|a, b| a < b).then_some(ts)
}

/// Appends the samples with `from <= ts <= to` of a body that has a value for each of `ts` to
/// `out`.
///
/// # Errors
/// The bytes make no sense; `out` is as it was.
pub(crate) fn decode(
    ts: &[i64],
    encoding: Encoding,
    values: &[u8],
    (from, to): (i64, i64),
    out: &mut Columns,
) -> Result<(), ChunkError> {
    let start = out.len();
    let low = ts.partition_point(|ts| *ts < from);
    let range = low..ts.partition_point(|ts| *ts <= to).max(low);
    out.ts.extend_from_slice(ts.get(range.clone()).unwrap_or_default());
    let done = decode_groups(encoding, values, ts.len(), range, &mut out.values);
    if done.is_none() || out.values.len() != out.ts.len() {
        out.ts.truncate(start);
        out.values.truncate(start);
        return Err(ChunkError);
    }
    Ok(())
}

/// Appends the values at the places of `range` of a body of `count`.
fn decode_groups(
    encoding: Encoding,
    values: &[u8],
    count: usize,
    range: std::ops::Range<usize>,
    out: &mut Vec<f64>,
) -> Option<()> {
    let mut values = Values::open(encoding, values, count)?;
    for place in (0..range.end).step_by(GROUP_LEN) {
        let len = GROUP_LEN.min(count - place);
        if place + len <= range.start {
            values.skip()?;
            continue;
        }
        let wanted = range.start.saturating_sub(place)..len.min(range.end - place);
        values.read(place, len, wanted, out)?;
    }
    Some(())
}

/// The values of a body, group by group.
#[derive(Debug)]
enum Values<'a> {
    Constant(f64),
    Line(Scale, i64),
    Decimal { scale: Scale, groups: Groups<'a>, exceptions: Vec<(usize, f64)>, ks: Vec<i64> },
    Bits { groups: Groups<'a>, bits: Vec<i64> },
    Xor { reader: Reader<'a> },
}

impl<'a> Values<'a> {
    fn open(encoding: Encoding, bytes: &'a [u8], count: usize) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        Some(match encoding {
            Encoding::Constant => Self::Constant(read_constant(bytes)?),
            Encoding::DeltaConstant => {
                let scale = Scale::read(&mut reader)?;
                Self::Line(scale, reader.signed()?)
            }
            Encoding::Decimal => {
                let scale = Scale::read(&mut reader)?;
                let exceptions = read_exceptions(&mut reader)?;
                let groups = Groups::new(reader.rest(), count);
                Self::Decimal { scale, groups, exceptions, ks: Vec::new() }
            }
            Encoding::Bits => Self::Bits { groups: Groups::new(bytes, count), bits: Vec::new() },
            Encoding::Xor => Self::Xor { reader },
            Encoding::Histogram | Encoding::StartTimestamps => return None,
        })
    }

    /// Passes over the next group.
    fn skip(&mut self) -> Option<()> {
        match self {
            Self::Constant(_) | Self::Line(..) => {}
            Self::Decimal { groups, .. } | Self::Bits { groups, .. } => {
                groups.next().ok()??;
            }
            Self::Xor { reader } => {
                let len = reader.number()?;
                reader.take(len)?;
            }
        }
        Some(())
    }

    /// Appends `range` of the next group, which begins at `place` of the body and has `len`
    /// values.
    fn read(
        &mut self,
        place: usize,
        len: usize,
        range: std::ops::Range<usize>,
        out: &mut Vec<f64>,
    ) -> Option<()> {
        match self {
            Self::Constant(value) => out.resize(out.len() + range.len(), *value),
            Self::Line(scale, rise) => out.extend(range.map(|at| {
                let k = i64::try_from(place + at).unwrap_or(0).wrapping_mul(*rise);
                scale.value(k)
            })),
            Self::Decimal { scale, groups, exceptions, ks } => {
                unpack(groups.next().ok()??, len, ks)?;
                let start = out.len();
                out.extend(ks.get(range.clone())?.iter().map(|k| scale.value(*k)));
                patch(exceptions, place, &range, out.get_mut(start..)?);
            }
            Self::Bits { groups, bits } => {
                unpack(groups.next().ok()??, len, bits)?;
                out.extend(
                    bits.get(range)?.iter().map(|bits| f64::from_bits(bits.cast_unsigned())),
                );
            }
            Self::Xor { reader } => {
                let bytes = reader.number().and_then(|len| reader.take(len))?;
                let mut bits = BitReader::new(bytes);
                let mut values = ValueReader::default();
                for at in 0..range.end {
                    let value = values.next(&mut bits)?;
                    if at >= range.start {
                        out.push(f64::from_bits(value));
                    }
                }
            }
        }
        Some(())
    }
}

fn unpack(group: Group<'_>, len: usize, into: &mut Vec<i64>) -> Option<()> {
    group.unpack(into).ok()?;
    (into.len() == len).then_some(())
}

/// Puts exceptions into `range` of the group that begins at `place`.
fn patch(
    exceptions: &[(usize, f64)],
    place: usize,
    range: &std::ops::Range<usize>,
    values: &mut [f64],
) {
    if exceptions.is_empty() {
        return;
    }
    let start = place + range.start;
    let find = |at: usize| exceptions.binary_search_by(|(place, _)| place.cmp(&at));
    let first = find(start).unwrap_or_else(|next| next);
    for (at, value) in exceptions.get(first..).unwrap_or_default() {
        match at.checked_sub(start).and_then(|at| values.get_mut(at)) {
            Some(found) => *found = *value,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ORDINARY_NAN_BITS, STALE_NAN_BITS};
    use proptest::prelude::*;

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|value| value.to_bits()).collect()
    }

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

    fn series() -> impl Strategy<Value = (Vec<i64>, Vec<u64>)> {
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

    #[test]
    fn negative_zero_stays_negative() {
        for values in [[0.0, -0.0, 1.0, 2.0], [-0.0; 4], [1.5, -0.0, -0.0, 0.0]] {
            let (encoding, body) = encode_values(&values);
            let (mut out, range) = (Columns::default(), (i64::MIN, i64::MAX));
            decode(&[1, 2, 3, 4], encoding, &body, range, &mut out).unwrap();
            assert_eq!(bits(&out.values), bits(&values), "{encoding:?}");
        }
    }

    proptest! {
        #[test]
        fn every_bit_comes_back((ts, values) in series(), a in 0_usize..600, b in 0_usize..600) {
            let floats: Vec<f64> = values.iter().map(|bits| f64::from_bits(*bits)).collect();
            let (encoding, body) = encode_values(&floats);
            prop_assert_eq!(decode_times(&encode_times(&ts), ts.len()), Some(ts.clone()));
            let (a, b) = (a.min(ts.len() - 1), b.min(ts.len() - 1));
            for (low, high) in [(0, ts.len() - 1), (a, b)] {
                let mut out = Columns::default();
                let range = (ts[low], ts[high]);
                decode(&ts, encoding, &body, range, &mut out).unwrap();
                let expected = low..(high + 1).max(low);
                prop_assert_eq!(&out.ts, &ts[expected.clone()]);
                prop_assert_eq!(bits(&out.values), &values[expected]);
            }
        }

        #[test]
        fn any_bytes_are_refused_or_read_but_never_panic(
            times: Vec<u8>, body: Vec<u8>, tag in 0_u8..12, count in 0_usize..3000, from: i16,
        ) {
            let Some(encoding) = Encoding::from_tag(tag) else { return Ok(()) };
            let mut out = Columns::default();
            if let Some(ts) = decode_times(&times, count) {
                prop_assert!(ts.len() == count && ts.is_sorted_by(|a, b| a < b));
            }
            let ts: Vec<i64> = (0..3000).take(count).collect();
            if decode(&ts, encoding, &body, (i64::from(from), i64::MAX), &mut out).is_err() {
                prop_assert!(out.is_empty());
            }
            prop_assert_eq!(out.ts.len(), out.values.len());
            prop_assert!(out.len() <= count);
        }
    }

    #[track_caller]
    fn check(values: &[f64], encoding: Encoding, bytes_max: usize) {
        let (found, body) = encode_values(values);
        assert_eq!(found, encoding);
        assert!(body.len() <= bytes_max, "{} bytes", body.len());
    }

    #[test]
    fn each_kind_of_value_finds_its_encoding() {
        let numbers = || (0..1024).map(|at| f64::from(at * 7 % 13));
        check(&[1.5; 1024], Encoding::Constant, 2);
        check(
            &(0..1024).map(|at| f64::from(at) * 0.25).collect::<Vec<_>>(),
            Encoding::DeltaConstant,
            6,
        );
        check(&numbers().map(|n| n / 100.0).collect::<Vec<_>>(), Encoding::Decimal, 600);
        check(&numbers().map(|n| n * 4096.0 + 1e9).collect::<Vec<_>>(), Encoding::Decimal, 600);
        // A walk of 5 % of the value has 48 bits that say nothing of each other.
        let full: Vec<f64> = numbers().map(|n| 50.0 + (n + 1.0).ln()).collect();
        check(&full, Encoding::Bits, 7 * 1024);
    }
}
