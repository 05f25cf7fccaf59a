//! Columns of integers: groups of 128, each packed by itself, so that a range in the middle is
//! read without what lies before it.
//!
//! A group stores its first number against the first of the group before, then residuals: the
//! numbers against the first (order 0), their deltas (order 1) or the deltas of those (order 2),
//! whichever is smallest. Residuals stand above a reference in a fixed width; the few that do not
//! fit have their high bits in a list of exceptions (patched frame of reference).
//!
//! ```text
//! | order u2, width u6 | exceptions u8 | first | [slope] | reference | packed |
//! exceptions:  | width u8 | place u8 ... | packed |
//! ```
//!
//! Width 63 stands for 64. `first`, `slope` (the first delta, order 2 only) and `reference` are
//! signed varints; packed numbers begin with the lowest bit. All arithmetic wraps, so that any
//! numbers come back.
//!
//! Source: Zukowski et al., ICDE 2006 (patched frame of reference).

use crate::storage::codec::{Reader, low_byte, put_signed};

/// Numbers of one group.
pub(super) const GROUP_LEN: usize = 128;

/// Which of the sorted residuals may be the reference: more than the smallest, since one far below
/// the others (a counter's reset) is better off as an exception.
const REFERENCE_PLACES: [usize; 3] = [0, 1, 4];

/// Appends `ints`.
pub(super) fn put(out: &mut Vec<u8>, ints: &[i64]) {
    let mut before = 0;
    for group in ints.chunks(GROUP_LEN) {
        let first = group.first().copied().unwrap_or_default();
        put_group(out, group, first.wrapping_sub(before));
        before = first;
    }
}

fn put_group(out: &mut Vec<u8>, group: &[i64], first_step: i64) {
    let start = first(group);
    let plain: Vec<i64> = group.iter().map(|int| int.wrapping_sub(start)).collect();
    let deltas = steps(group);
    let bends = steps(&deltas);
    let candidates = [(0_u8, &plain), (1, &deltas), (2, &bends)];
    let plans = candidates.into_iter().map(|(order, ints)| (order, ints, Plan::of(ints)));
    // The simplest of equals: `min_by_key` keeps the first.
    let order_cost = |order: u8| if order == 2 { 24 } else { 0 };
    let best = plans.min_by_key(|(order, _, plan)| plan.bits + order_cost(*order));
    let (order, ints, plan) = best.expect("there are three plans");
    let width_code = if plan.width >= 63 { 63 } else { low_byte(u64::from(plan.width)) };
    let packed_width = if plan.width >= 63 { 64 } else { plan.width };
    let residuals = || ints.iter().map(|int| int.wrapping_sub(plan.reference).cast_unsigned());
    let exceeding: Vec<(u8, u64)> = (0_u8..)
        .zip(residuals())
        .filter(|(_, residual)| bit_len(*residual) > packed_width)
        .collect();
    out.push(order << 6 | width_code);
    out.push(low_byte(exceeding.len() as u64));
    put_signed(out, first_step);
    if order == 2 {
        put_signed(out, deltas.first().copied().unwrap_or_default());
    }
    put_signed(out, plan.reference);
    pack(out, residuals(), packed_width);
    if exceeding.is_empty() {
        return;
    }
    let high = |residual: u64| residual.checked_shr(packed_width).unwrap_or(0);
    let high_width = exceeding.iter().map(|(_, one)| bit_len(high(*one))).max().unwrap_or(0);
    out.push(low_byte(u64::from(high_width)));
    out.extend(exceeding.iter().map(|(place, _)| place));
    pack(out, exceeding.iter().map(|(_, one)| high(*one)), high_width);
}

/// The differences of neighbours.
fn steps(ints: &[i64]) -> Vec<i64> {
    ints.windows(2).map(|pair| last(pair).wrapping_sub(first(pair))).collect()
}

fn first(ints: &[i64]) -> i64 {
    ints.first().copied().unwrap_or_default()
}

fn last(ints: &[i64]) -> i64 {
    ints.last().copied().unwrap_or_default()
}

fn bit_len(value: u64) -> u32 {
    64 - value.leading_zeros()
}

/// How residuals are packed best.
#[derive(Clone, Copy, Debug)]
struct Plan {
    reference: i64,
    width: u32,
    /// Bits that it takes, without the group's head.
    bits: usize,
}

impl Plan {
    fn of(ints: &[i64]) -> Self {
        let mut sorted = ints.to_vec();
        sorted.sort_unstable();
        let references = REFERENCE_PLACES.iter().filter_map(|place| sorted.get(*place).copied());
        let plans = references.map(|reference| Self::with_reference(&sorted, reference));
        plans.min_by_key(|plan| plan.bits).unwrap_or(Self { reference: 0, width: 0, bits: 0 })
    }

    fn with_reference(sorted: &[i64], reference: i64) -> Self {
        let mut counts = [0_usize; 65];
        let mut longest = 0;
        for int in sorted {
            let len = bit_len(int.wrapping_sub(reference).cast_unsigned());
            longest = longest.max(len);
            if let Some(count) = counts.get_mut(len as usize) {
                *count += 1;
            }
        }
        let mut exceeding = sorted.len();
        let mut best = Self { reference, width: 64, bits: usize::MAX };
        for (width, count) in (0_u32..).zip(counts) {
            exceeding -= count;
            let packed = sorted.len() * width as usize;
            let patches = exceeding * (8 + longest.saturating_sub(width) as usize);
            let bits = packed + patches + if exceeding > 0 { 8 } else { 0 };
            // 63 has no code of its own.
            if bits < best.bits && width != 63 {
                best = Self { reference, width, bits };
            }
        }
        best
    }
}

/// Appends numbers of `width` bits each, the lowest bit first.
fn pack(out: &mut Vec<u8>, ints: impl Iterator<Item = u64>, width: u32) {
    if width == 0 {
        return;
    }
    let mask = u64::MAX >> (64 - width);
    let (mut word, mut held) = (0_u128, 0_u32);
    for int in ints {
        word |= u128::from(int & mask) << held;
        held += width;
        while held >= 8 {
            let [low, ..] = word.to_le_bytes();
            out.push(low);
            word >>= 8;
            held -= 8;
        }
    }
    if held > 0 {
        let [low, ..] = word.to_le_bytes();
        out.push(low);
    }
}

/// The groups of a column.
#[derive(Clone, Debug)]
pub(super) struct Groups<'a> {
    reader: Reader<'a>,
    left: usize,
    first: i64,
}

/// One group, not unpacked yet.
#[derive(Clone, Debug)]
pub(super) struct Group<'a> {
    /// How many numbers it has: 1 to `GROUP_LEN`.
    pub(super) len: usize,
    /// The first of them.
    pub(super) first: i64,
    order: u8,
    width: u32,
    slope: i64,
    reference: i64,
    packed: &'a [u8],
    places: &'a [u8],
    high_width: u32,
    high: &'a [u8],
}

impl<'a> Groups<'a> {
    /// The groups of a column of `count` numbers.
    pub(super) const fn new(bytes: &'a [u8], count: usize) -> Self {
        Self { reader: Reader::new(bytes), left: count, first: 0 }
    }

    /// The next group: `Ok(None)` behind the last one.
    ///
    /// # Errors
    /// The bytes make no sense.
    pub(super) fn next(&mut self) -> Result<Option<Group<'a>>, Senseless> {
        if self.left == 0 {
            return Ok(None);
        }
        self.read().map(Some).ok_or(Senseless)
    }

    fn read(&mut self) -> Option<Group<'a>> {
        let reader = &mut self.reader;
        let len = self.left.min(GROUP_LEN);
        let [head, exceptions] = reader.array()?;
        let (order, code) = (head >> 6, u32::from(head & 63));
        let width = if code == 63 { 64 } else { code };
        self.first = self.first.wrapping_add(reader.signed()?);
        let slope = if order == 2 { reader.signed()? } else { 0 };
        let reference = reader.signed()?;
        let count = len.checked_sub(usize::from(order))?;
        let packed = reader.take((count * width as usize).div_ceil(8))?;
        let (mut places, mut high_width, mut high): (&[u8], _, &[u8]) = (&[], 0, &[]);
        if exceptions > 0 {
            high_width = u32::from(reader.byte()?);
            places = reader.take(usize::from(exceptions))?;
            high = reader.take((places.len() * high_width as usize).div_ceil(8))?;
        }
        if order > 2 || high_width > 64 {
            return None;
        }
        self.left -= len;
        let first = self.first;
        Some(Group { len, first, order, width, slope, reference, packed, places, high_width, high })
    }
}

/// Bytes that no writer writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Senseless;

impl Group<'_> {
    /// Replaces `out` by the numbers.
    ///
    /// # Errors
    /// An exception lies outside.
    pub(super) fn unpack(&self, out: &mut Vec<i64>) -> Result<(), Senseless> {
        out.clear();
        if self.order > 0 {
            out.push(self.first);
        }
        if self.order > 1 && self.len > 1 {
            out.push(self.slope);
        }
        let start = out.len();
        unpack(self.packed, self.width, self.len - start.min(self.len), out);
        self.patch(out, start)?;
        let residuals = out.get_mut(start..).unwrap_or_default();
        residuals.iter_mut().for_each(|one| *one = one.wrapping_add(self.reference));
        match self.order {
            0 => out.iter_mut().for_each(|one| *one = one.wrapping_add(self.first)),
            1 => sum(out),
            _ => {
                sum(out.get_mut(1..).unwrap_or_default());
                sum(out);
            }
        }
        Ok(())
    }

    fn patch(&self, out: &mut [i64], start: usize) -> Result<(), Senseless> {
        if self.places.is_empty() {
            return Ok(());
        }
        let mut high = Vec::with_capacity(self.places.len());
        unpack(self.high, self.high_width, self.places.len(), &mut high);
        for (place, high) in self.places.iter().zip(high) {
            let residual = out.get_mut(start + usize::from(*place)).ok_or(Senseless)?;
            *residual |= high.cast_unsigned().checked_shl(self.width).unwrap_or(0).cast_signed();
        }
        Ok(())
    }
}

/// Turns steps into sums, in place.
fn sum(ints: &mut [i64]) {
    let mut total = 0_i64;
    for int in ints {
        total = total.wrapping_add(*int);
        *int = total;
    }
}

/// Numbers of so many bits lie in one word, wherever in a byte they begin.
const WORD_WIDTH_MAX: u32 = 56;

/// Appends `count` numbers of `width` bits; what is missing is zero.
fn unpack(packed: &[u8], width: u32, count: usize, out: &mut Vec<i64>) {
    if width == 0 {
        out.resize(out.len() + count, 0);
        return;
    }
    // A copy with room behind it, so that each number is read by one load.
    let mut padded = [0_u8; GROUP_LEN * 8 + 16];
    if let Some(to) = padded.get_mut(..packed.len()) {
        to.copy_from_slice(packed);
    }
    let mask = u64::MAX >> (64 - width);
    let start = out.len();
    out.resize(start + count, 0);
    let slots = out.get_mut(start..).unwrap_or_default().iter_mut();
    let places = (0..).step_by(width as usize).map(|bit: usize| (bit / 8, bit % 8));
    if width <= WORD_WIDTH_MAX {
        for (slot, (byte, bit)) in slots.zip(places) {
            let bytes = padded.get(byte..).and_then(<[u8]>::first_chunk::<8>);
            let word = u64::from_le_bytes(*bytes.unwrap_or(&[0; 8])) >> bit;
            *slot = (word & mask).cast_signed();
        }
        return;
    }
    for (slot, (byte, bit)) in slots.zip(places) {
        let bytes = padded.get(byte..).and_then(<[u8]>::first_chunk::<16>);
        let word = u128::from_le_bytes(*bytes.unwrap_or(&[0; 16])) >> bit;
        let [a, b, c, d, e, f, g, h, ..] = word.to_le_bytes();
        *slot = (u64::from_le_bytes([a, b, c, d, e, f, g, h]) & mask).cast_signed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8], count: usize) -> Result<Vec<i64>, Senseless> {
        let mut groups = Groups::new(bytes, count);
        let (mut all, mut buffer) = (Vec::new(), Vec::new());
        while let Some(group) = groups.next()? {
            group.unpack(&mut buffer)?;
            assert!(group.len == buffer.len(), "{} {}", group.len, buffer.len());
            all.extend_from_slice(&buffer);
        }
        Ok(all)
    }

    fn ints() -> impl Strategy<Value = Vec<i64>> {
        let step = prop_oneof![
            8 => Just(15_000_i64),
            8 => 0_i64..50,
            1 => any::<i64>(),
            2 => Just(0),
        ];
        prop_oneof![
            proptest::collection::vec(any::<i64>(), 1..300),
            proptest::collection::vec(step.clone(), 1..400),
            proptest::collection::vec(step, 1..400).prop_map(|mut steps| {
                sum(&mut steps);
                steps
            }),
        ]
    }

    proptest! {
        #[test]
        fn any_numbers_come_back(ints in ints()) {
            let mut out = Vec::new();
            put(&mut out, &ints);
            prop_assert_eq!(read(&out, ints.len()), Ok(ints));
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes: Vec<u8>, count in 0_usize..300) {
            let _ = read(&bytes, count);
        }
    }

    #[track_caller]
    fn check_bytes(ints: &[i64], bytes_max: usize) {
        let mut out = Vec::new();
        put(&mut out, ints);
        assert_eq!(read(&out, ints.len()).unwrap(), ints);
        assert!(out.len() <= bytes_max, "{} bytes", out.len());
    }

    #[test]
    fn regular_numbers_take_a_few_bytes_a_group() {
        let regular: Vec<i64> = (0..1280).map(|at| 1_700_000_000_000 + at * 15_000).collect();
        check_bytes(&regular, 10 * 9 + 8);
        let accelerating: Vec<i64> = (0..128).map(|at| at * at * 1000).collect();
        check_bytes(&accelerating, 10);
    }

    #[test]
    fn an_outlier_costs_little_above_or_below() {
        let mut ints: Vec<i64> = (0..128).map(|at| at * 100 + at % 3).collect();
        let mut plain = Vec::new();
        put(&mut plain, &ints);
        for place in [40, 41, 42] {
            if let Some(int) = ints.get_mut(place) {
                *int = 0;
            }
        }
        check_bytes(&ints, plain.len() + 40);
    }
}
