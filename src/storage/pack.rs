//! Times and values packed against the ones before them: the code that the log and the head's
//! chunks share.
//!
//! A value is compared with the one before it. `mode` is what the last difference was told in:
//! a scale (0 to 6 decimal places, or 7: the bits themselves) and a width.
//!
//! | code | what follows |
//! |---|---|
//! | `0` | nothing: the same bits |
//! | `10` | a difference in the mode's width |
//! | `110` | scale (3 bits), width - 1 (6 bits): the new mode; a difference in it |
//! | `111` | leading zeros (6 bits), length - 1 (6 bits) and the bits between, of the XOR; the mode stays |
//!
//! A difference of a scale below 7 is the zigzag difference of both values times ten to the
//! scale, and only written when both come back from it bit for bit. One of scale 7 is the low
//! bits of the XOR. The first value is compared with +0.
//!
//! A time is a delta of delta as in Gorilla: `0` for none, `10` + 7 bits, `110` + 14, `1110` + 20,
//! `1111` + 64, two's complement.
//!
//! Measured on the synthetic mix of the benchmark at 5 s, in the log: 1.4 bytes a sample.
//! Source: the idea of scaled integers in a float stream is M3's (m3tsz); the code is ours.

use super::chunk::{BitReader, BitWriter};
use super::codec::{low_byte, unzigzag, zigzag};

/// Ten to the scale.
const POWERS: [f64; 7] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];

/// The scale that means the bits themselves.
const BITS: u8 = 7;

/// Whole numbers below are exact as floats: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A mode this much wider than a difference needs is given up: a new one costs ten bits more.
const SLACK_BITS: u32 = 10;

/// The XOR of two floats with this many trailing zeros is shorter told by its middle.
const SHORT_TAIL_BITS: u32 = 12;

/// Behind the zero of an even time, the code of a difference in the mode's width.
const DIFFERS: u64 = 0b010;

/// Zeros in a row that are a run of values alike.
const RUN_BITS: u32 = 16;

/// What the last difference was told in. The default has no width yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mode {
    scale: u8,
    /// 1 to 64; 0 before the first difference.
    width: u8,
}

/// Appends the value with these bits after one with the bits `last`.
#[inline]
pub(super) fn put_value(out: &mut BitWriter, mode: &mut Mode, last: u64, bits: u64) {
    put_value_behind(0, out, mode, last, bits);
}

/// Appends a sample: the next time, and the value with these bits after one with the bits `last`.
#[inline]
pub(super) fn put_sample(
    out: &mut BitWriter,
    times: &mut Times,
    mode: &mut Mode,
    last: u64,
    (ts, bits): (i64, u64),
) {
    // The usual time is a zero that is written together with the value.
    let zeros = u32::from(times.is_even(ts));
    if zeros == 0 {
        times.put(out, ts);
    } else {
        times.repeat();
    }
    put_value_behind(zeros, out, mode, last, bits);
}

/// As `put_value`, behind so many zeros: none or one.
#[inline]
fn put_value_behind(zeros: u32, out: &mut BitWriter, mode: &mut Mode, last: u64, bits: u64) {
    if bits == last {
        out.put(0, zeros + 1);
        return;
    }
    let width = u32::from(mode.width);
    if let Some(told) = mode.told(last, bits) {
        let needed = 64 - told.leading_zeros();
        if needed <= width && width < needed + SLACK_BITS {
            put_behind(out, 0b10, zeros + 2, told, width);
            return;
        }
    }
    out.put(0, zeros);
    put_anew(out, mode, last, bits);
}

/// The next value after one with the bits `last`; `None` when the bits end or make no sense.
#[inline]
pub(super) fn get_value(bits: &mut BitReader<'_>, mode: &mut Mode, last: u64) -> Option<u64> {
    let mut values = Values { last, mode: *mode, whole: None };
    values.next(bits)?;
    *mode = values.mode;
    Some(values.last)
}

/// Reads values one behind the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values {
    last: u64,
    mode: Mode,
    /// `last` times ten to the scale of `mode`, once that was needed.
    whole: Option<i64>,
}

impl Values {
    /// What follows +0.
    pub(super) const fn first() -> Self {
        Self { last: 0, mode: Mode::NONE, whole: None }
    }

    /// The bits of the value before.
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    /// What a value behind it is told in.
    pub(super) const fn mode(&self) -> Mode {
        self.mode
    }

    /// The next value; `None` when the bits end or make no sense.
    #[expect(clippy::inline_always, reason = "its state is to stay in registers")]
    #[inline(always)]
    pub(super) fn next(&mut self, bits: &mut BitReader<'_>) -> Option<u64> {
        match bits.ones() {
            0 => {
                bits.get(1)?;
                return Some(self.last);
            }
            1 => {
                bits.get(2)?;
            }
            2 => {
                let head = bits.get(12)?;
                let (scale, width) = (low_byte(head >> 6 & 7), low_byte(head & 63) + 1);
                self.mode = Mode { scale, width };
                self.whole = None;
            }
            3.. => return self.next_xor(bits),
        }
        let Mode { scale, width } = self.mode;
        let told = bits.get(u32::from(width))?;
        if width == 0 {
            return None;
        }
        if scale == BITS {
            self.last ^= told;
            return Some(self.last);
        }
        let before = match self.whole {
            Some(whole) => whole,
            None => whole_of(self.last, scale)?,
        };
        // No writer goes so far that it wraps, and others are not ours to judge.
        let whole = before.wrapping_add(unzigzag(told));
        self.whole = Some(whole);
        self.last = bits_of(whole, scale)?;
        Some(self.last)
    }

    /// Puts the next values into `out` as far as a run of zeros says that they are the same, each
    /// behind one bit 0; how many. Of short runs it says nothing.
    #[expect(clippy::inline_always, reason = "its state is to stay in registers")]
    #[inline(always)]
    pub(super) fn next_alike(&self, bits: &mut BitReader<'_>, out: &mut [f64]) -> usize {
        let mut count = 0;
        while let zeros @ RUN_BITS.. = bits.zeros() {
            let rest = out.get_mut(count..).unwrap_or_default();
            let some = rest.len().min(zeros as usize / 2);
            rest.iter_mut().take(some).for_each(|slot| *slot = f64::from_bits(self.last));
            bits.pass(u32::try_from(some).unwrap_or(0) * 2);
            count += some;
            if some == 0 {
                break;
            }
        }
        count
    }

    /// Puts the next values into `out` as long as each is the same, or told as the one before was,
    /// by a decimal difference, behind one bit 0; how many. It stops before a run of `RUN_BITS`
    /// zeros too, which is read faster otherwise.
    #[expect(clippy::inline_always, reason = "its state is to stay in registers")]
    #[inline(always)]
    pub(super) fn next_behind_zeros(&mut self, bits: &mut BitReader<'_>, out: &mut [f64]) -> usize {
        let scale = self.mode.scale;
        let power = POWERS.get(usize::from(scale));
        let (Some(whole), Some(power)) = (self.whole, power) else { return 0 };
        let mut wholes = Wholes { whole, mode: self.mode };
        // Most are whole numbers, and a division takes longer than all else here.
        let count = if scale == 0 {
            wholes.next_behind_zeros(bits, |whole| whole as f64, out)
        } else {
            wholes.next_behind_zeros(bits, |whole| whole as f64 / power, out)
        };
        (self.whole, self.mode) = (Some(wholes.whole), wholes.mode);
        if let Some(last) = count.checked_sub(1).and_then(|last| out.get(last)) {
            self.last = last.to_bits();
        }
        count
    }

    /// As `next_behind_zeros` for values told by their bits: by the middle of an XOR, or its end.
    #[inline(always)]
    pub(super) fn next_xors_behind_zeros(
        &mut self,
        bits: &mut BitReader<'_>,
        out: &mut [f64],
    ) -> usize {
        const HEAD_BITS: u32 = 16;
        let Mode { scale, width } = self.mode;
        let (mut last, mut count) = (self.last, 0);
        for slot in out {
            let Some(word) = bits.peek(HEAD_BITS) else { break };
            if word >> 62 == 0 {
                if word.leading_zeros() >= RUN_BITS {
                    break;
                }
                bits.pass(2);
            } else if word >> 61 == DIFFERS {
                // Of a decimal difference that is for the other loop.
                if scale != BITS || width == 0 {
                    break;
                }
                let Some(told) = bits.get_behind(3, u32::from(width)) else { break };
                last ^= told;
            } else {
                let (leading, len) = (word >> 54 & 63, (word >> 48 & 63) + 1);
                if word >> 60 != 0b0111 || leading + len > 64 {
                    break;
                }
                let len = u32::try_from(len).unwrap_or(u32::MAX);
                let Some(told) = bits.get_behind(HEAD_BITS, len) else { break };
                last ^= told << (64 - leading - u64::from(len));
            }
            *slot = f64::from_bits(last);
            count += 1;
        }
        if count > 0 {
            (self.last, self.whole) = (last, None);
        }
        count
    }

    fn next_xor(&mut self, bits: &mut BitReader<'_>) -> Option<u64> {
        bits.get(3)?;
        let leading = u32::try_from(bits.get(6)?).ok()?;
        let len = u32::try_from(bits.get(6)?).ok()? + 1;
        let trailing = 64_u32.checked_sub(leading + len)?;
        self.last ^= bits.get(len)? << trailing;
        self.whole = None;
        Some(self.last)
    }
}

/// Reads values that are told by decimal differences of one scale.
#[derive(Clone, Copy, Debug)]
struct Wholes {
    /// The value before, times ten to the scale.
    whole: i64,
    mode: Mode,
}

impl Wholes {
    /// As `Values::next_behind_zeros`.
    #[inline(always)]
    fn next_behind_zeros(
        &mut self,
        bits: &mut BitReader<'_>,
        value_of: impl Fn(i64) -> f64,
        out: &mut [f64],
    ) -> usize {
        const HEAD_BITS: u32 = 13;
        let (mut whole, mut width) = (self.whole, u32::from(self.mode.width));
        let (mut value, mut count) = (value_of(whole), 0);
        for slot in out {
            let Some(word) = bits.peek(HEAD_BITS.max(3 + width)) else { break };
            // Most series do either nearly always, so that the next place is guessed right, and
            // the loop does not wait for this one's value.
            if word >> 62 == 0 {
                if word.leading_zeros() >= RUN_BITS {
                    break;
                }
                bits.pass(2);
            } else {
                let told = if word >> 61 == DIFFERS {
                    bits.pass(3 + width);
                    // The width is not nought, or there were no whole number.
                    (word << 3) >> ((64 - width) & 63)
                } else {
                    // Another width: most have that now and then.
                    let is_wider = word >> 60 == 0b0110;
                    if !is_wider || word >> 57 & 7 != u64::from(self.mode.scale) {
                        break;
                    }
                    let wider = low_byte(word >> 51 & 63) + 1;
                    let Some(told) = bits.get_behind(HEAD_BITS, u32::from(wider)) else { break };
                    width = u32::from(wider);
                    told
                };
                whole = whole.wrapping_add(unzigzag(told));
                value = value_of(whole);
            }
            *slot = value;
            count += 1;
        }
        self.whole = whole;
        self.mode.width = low_byte(u64::from(width));
        count
    }
}

impl Mode {
    /// No difference was told yet.
    pub(super) const NONE: Self = Self { scale: 0, width: 0 };

    fn told(self, last: u64, bits: u64) -> Option<u64> {
        if self.width == 0 {
            return None;
        }
        if self.scale != BITS {
            return difference(last, bits, self.scale);
        }
        let x = last ^ bits;
        (x.trailing_zeros() < SHORT_TAIL_BITS).then_some(x)
    }
}

#[cold]
fn put_anew(out: &mut BitWriter, mode: &mut Mode, last: u64, bits: u64) {
    let x = last ^ bits;
    let leading = x.leading_zeros();
    let len = 64 - leading - x.trailing_zeros();
    // The place of the last scale first: a decimal series keeps its places.
    let scales = std::iter::once(mode.scale).chain(0..BITS);
    let decimal = scales.filter_map(|scale| Some((scale, difference(last, bits, scale)?))).next();
    let (scale, told) = match decimal {
        // A header of twelve bits against one of fifteen.
        Some((scale, told)) if 64 - told.leading_zeros() <= len + 3 => (scale, told),
        Some(_) | None if x.trailing_zeros() < SHORT_TAIL_BITS => (BITS, x),
        Some(_) | None => {
            out.put(0b111, 3);
            out.put(u64::from(leading), 6);
            out.put(u64::from(len - 1), 6);
            out.put(x >> x.trailing_zeros(), len);
            return;
        }
    };
    let width = 64 - told.leading_zeros();
    *mode = Mode { scale, width: low_byte(u64::from(width)) };
    let head = 0b110 << 9 | u64::from(scale) << 6 | u64::from(width - 1);
    put_behind(out, head, 12, told, width);
}

/// Appends bits behind a prefix: at once where one word holds both.
#[inline]
fn put_behind(out: &mut BitWriter, prefix: u64, prefix_width: u32, bits: u64, width: u32) {
    if prefix_width + width <= 64 {
        out.put(prefix << width | bits, prefix_width + width);
    } else {
        out.put(prefix, prefix_width);
        out.put(bits, width);
    }
}

/// The zigzag difference at this scale, if both values come back from it.
fn difference(last: u64, bits: u64, scale: u8) -> Option<u64> {
    let now = whole_of(bits, scale)?;
    Some(zigzag(now.wrapping_sub(whole_of(last, scale)?)))
}

/// The value times ten to the scale, if it comes back from it bit for bit.
#[expect(clippy::cast_possible_truncation, reason = "below 2^53, and checked backwards")]
fn whole_of(bits: u64, scale: u8) -> Option<i64> {
    let scaled = f64::from_bits(bits) * POWERS.get(usize::from(scale))?;
    // NaN is not below either.
    if scaled.abs() < EXACT {
        let whole = (scaled + 0.5_f64.copysign(scaled)) as i64;
        return (bits_of(whole, scale)? == bits).then_some(whole);
    }
    None
}

fn bits_of(whole: i64, scale: u8) -> Option<u64> {
    // Most are whole numbers, and a division takes longer than all else here.
    if scale == 0 {
        return Some((whole as f64).to_bits());
    }
    let power = POWERS.get(usize::from(scale))?;
    Some((whole as f64 / power).to_bits())
}

/// The time before, and its distance to the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    last: i64,
    delta: i64,
}

impl Times {
    /// Goes on after a first time that is told elsewhere.
    pub(super) const fn after(first: i64) -> Self {
        Self { last: first, delta: 0 }
    }

    /// The time before.
    pub(super) const fn last(self) -> i64 {
        self.last
    }

    /// Whether `ts` follows at the same distance as the last one did.
    const fn is_even(self, ts: i64) -> bool {
        ts.wrapping_sub(self.last) == self.delta
    }

    /// Its distance to the one before it.
    pub(super) const fn delta(self) -> i64 {
        self.delta
    }

    /// How many times at the same distance as the last one's rise and are not above `to`, `most`
    /// at most.
    pub(super) fn repeats_until(self, to: i64, most: u32) -> u32 {
        let gap = u64::try_from(to.saturating_sub(self.last)).unwrap_or(0);
        let delta = u64::try_from(self.delta).unwrap_or(0);
        if delta == 0 {
            return 0;
        }
        // The usual case, without a division.
        if delta.saturating_mul(u64::from(most)) <= gap {
            return most;
        }
        u32::try_from(gap / delta).map_or(most, |some| some.min(most))
    }

    /// The time that follows at the same distance as the last one did.
    pub(super) const fn repeat(&mut self) -> i64 {
        self.last = self.last.wrapping_add(self.delta);
        self.last
    }

    /// Appends a time.
    pub(super) fn put(&mut self, out: &mut BitWriter, ts: i64) {
        // Wrapping keeps every pair of times exact; the reader wraps back.
        let delta = ts.wrapping_sub(self.last);
        let dod = delta.wrapping_sub(self.delta);
        *self = Self { last: ts, delta };
        let (prefix, len, width) = match dod {
            0 => (0, 1, 0),
            -64..=63 => (0b10, 2, 7),
            -8192..=8191 => (0b110, 3, 14),
            -524_288..=524_287 => (0b1110, 4, 20),
            i64::MIN..=-524_289 | 524_288.. => (0b1111, 4, 64),
        };
        let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
        put_behind(out, prefix, len, dod.cast_unsigned() & mask, width);
    }

    /// The next time; `None` when the bits end.
    #[expect(clippy::inline_always, reason = "its state is to stay in registers")]
    #[inline(always)]
    pub(super) fn get(&mut self, bits: &mut BitReader<'_>) -> Option<i64> {
        if bits.bit()? {
            let dod = Self::change(bits)?;
            self.delta = self.delta.wrapping_add(dod);
        }
        self.last = self.last.wrapping_add(self.delta);
        Some(self.last)
    }

    fn change(bits: &mut BitReader<'_>) -> Option<i64> {
        let mut widths = [7, 14, 20].into_iter();
        let width = loop {
            let Some(width) = widths.next() else { break 64 };
            if !bits.bit()? {
                break width;
            }
        };
        let shift = 64 - width;
        Some((bits.get(width)? << shift).cast_signed() >> shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ORDINARY_NAN_BITS, STALE_NAN_BITS};
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            (-1000_i64..100_000).prop_map(|number| (number as f64).to_bits()),
            (0_i64..100_000).prop_map(|number| (number as f64 / 100.0).to_bits()),
            (0_i64..1 << 60).prop_map(|number| (number as f64 / 1e6).to_bits()),
            (0.0_f64..1.0).prop_map(f64::to_bits),
            Just(STALE_NAN_BITS),
            Just(ORDINARY_NAN_BITS),
            Just((-0.0_f64).to_bits()),
            Just(0.0_f64.to_bits()),
            Just(f64::NEG_INFINITY.to_bits()),
            Just(f64::MAX.to_bits()),
        ]
    }

    proptest! {
        #[test]
        fn every_bit_comes_back(
            list in proptest::collection::vec((value(), any::<i64>(), 0_i64..40), 0..80),
        ) {
            let (mut out, mut mode, mut last) = (BitWriter::default(), Mode::default(), 0);
            let mut times = Times::after(7);
            for (bits, far, near) in &list {
                put_value(&mut out, &mut mode, last, *bits);
                times.put(&mut out, if near % 4 == 0 { *far } else { times.last() + near });
                last = *bits;
            }
            let (mut read, mut mode, mut last) =
                (BitReader::new(out.bytes()), Mode::default(), 0);
            let (mut times, mut expected) = (Times::after(7), 7);
            for (bits, far, near) in &list {
                last = get_value(&mut read, &mut mode, last).unwrap();
                prop_assert_eq!(last, *bits);
                expected = if near % 4 == 0 { *far } else { expected + near };
                prop_assert_eq!(times.get(&mut read), Some(expected));
            }
        }

        #[test]
        fn any_bits_end(bytes: Vec<u8>) {
            let (mut bits, mut mode, mut last) = (BitReader::new(&bytes), Mode::default(), 0);
            let mut times = Times::after(0);
            let mut count = 0;
            while let Some(next) = get_value(&mut bits, &mut mode, last) {
                last = next;
                count += 1;
                let _ = times.get(&mut bits);
            }
            prop_assert!(count <= bytes.len() * 8);
        }
    }

    /// Bits a value of `step` repeated.
    #[track_caller]
    fn cost(step: impl Fn(u64) -> f64) -> usize {
        let (mut out, mut mode, mut last) = (BitWriter::default(), Mode::default(), 0);
        for at in 0..1000 {
            let bits = step(at).to_bits();
            put_value(&mut out, &mut mode, last, bits);
            last = bits;
        }
        out.bit_len() / 1000
    }

    #[test]
    fn counters_and_decimals_are_short() {
        assert_eq!(cost(|_| 0.1), 1);
        assert!(cost(|at| (1_000_000 + at * 50 + at * 7 % 13) as f64) <= 9);
        assert!(cost(|at| (300_000 + at * 50 + at * 7 % 13) as f64 / 100.0) <= 9);
        assert!(cost(|at| 100.0 + (at as f64).sin()) <= 57);
    }
}
