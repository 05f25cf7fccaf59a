//! Values as decimals: most numbers that programs expose were decimals with few digits once, so
//! they are integers times a power of ten, and integers pack well.
//!
//! `value = (base + step * k) / 10^exponent`, where the division is the correctly rounded one
//! that reading the decimal text does; each value is tried when it is encoded, so the same bits
//! come back. What is no such decimal (staleness markers, negative zero, a stray full-precision
//! number) is an exception with its 64 bits; its `k` repeats the one before.
//!
//! ```text
//! | exponent u8 | base | step | count of exceptions | place (distance), bits u64 ... | ints of k |
//! ```

use super::ints;
use crate::storage::codec::{Reader, put_signed, put_varint};

/// Integers up to here are exact as floats.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// Powers of ten up to the largest one tried; all are exact.
const POWERS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Values as integers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decimals {
    exponent: u8,
    base: i64,
    step: u64,
    exceptions: Vec<(usize, u64)>,
    ks: Vec<i64>,
}

impl Decimals {
    /// The values as decimals; `None` when too many are none.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let exceptions_max = values.len() / 16 + 1;
        let exponent = exponent_of(values, exceptions_max)?;
        let mut exceptions = Vec::new();
        let mut integers = Vec::with_capacity(values.len());
        let mut before = None;
        for (place, value) in values.iter().enumerate() {
            match integer(*value, exponent) {
                Some(integer) => {
                    before = Some(integer);
                    integers.push(Some(integer));
                }
                None => {
                    exceptions.push((place, value.to_bits()));
                    integers.push(None);
                }
            }
        }
        before?;
        let base = integers.iter().flatten().next().copied()?;
        let step = integers.iter().flatten().fold(0, |step, one| gcd(step, one.abs_diff(base)));
        let divisor = step.max(1).cast_signed();
        let mut k = 0;
        let ks = integers.into_iter().map(|one| {
            k = one.map_or(k, |one| (one - base) / divisor);
            k
        });
        let ks = ks.collect();
        let exponent = u8::try_from(exponent).ok()?;
        Some(Self { exponent, base, step, exceptions, ks })
    }

    /// The amount by which every value rises, in steps, if it is always the same and there is no
    /// exception.
    pub(super) fn rise(&self) -> Option<i64> {
        if !self.exceptions.is_empty() {
            return None;
        }
        let mut rises = self.ks.windows(2).map(|pair| match pair {
            [a, b] => b - a,
            _ => 0,
        });
        let rise = rises.next()?;
        rises.all(|other| other == rise).then_some(rise)
    }

    /// Appends everything.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        self.put_scale(out);
        put_varint(out, self.exceptions.len() as u64);
        let mut before = 0;
        for (place, bits) in &self.exceptions {
            put_varint(out, (place - before) as u64);
            out.extend_from_slice(&bits.to_le_bytes());
            before = *place;
        }
        ints::put(out, &self.ks);
    }

    /// Appends what a line of values needs: the scale, and the rise of each.
    pub(super) fn put_line(&self, out: &mut Vec<u8>, rise: i64) {
        self.put_scale(out);
        put_signed(out, rise);
    }

    fn put_scale(&self, out: &mut Vec<u8>) {
        out.push(self.exponent);
        put_signed(out, self.base);
        put_varint(out, self.step);
    }
}

/// The smallest exponent with which nearly all values are integers.
fn exponent_of(values: &[f64], exceptions_max: usize) -> Option<usize> {
    let mut counts = [0_usize; POWERS.len()];
    let mut none = 0;
    for value in values {
        match (0..POWERS.len()).find(|exponent| integer(*value, *exponent).is_some()) {
            Some(exponent) => {
                if let Some(count) = counts.get_mut(exponent) {
                    *count += 1;
                }
            }
            None => none += 1,
        }
        if none > exceptions_max {
            return None;
        }
    }
    let mut without = values.len();
    (0..).zip(counts).find_map(|(exponent, count)| {
        without -= count;
        (without <= exceptions_max).then_some(exponent)
    })
}

/// The integer that stands for `value`; `None` when the way back would not give the same bits.
#[expect(clippy::cast_possible_truncation, reason = "checked to be an integer below 2^53")]
fn integer(value: f64, exponent: usize) -> Option<i64> {
    let power = POWERS.get(exponent)?;
    let scaled = (value * power).round();
    if scaled.abs() > INTEGER_MAX {
        return None;
    }
    // Back from the integer, which knows no negative zero; NaN becomes 0.
    let integer = scaled as i64;
    (integer as f64 / power).to_bits().eq(&value.to_bits()).then_some(integer)
}

fn gcd(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// How integers become values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    power: f64,
    base: i64,
    step: i64,
}

impl Scale {
    /// Reads what `put_scale` wrote.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let power = *POWERS.get(usize::from(reader.byte()?))?;
        let base = reader.signed()?;
        let step = reader.varint()?.cast_signed();
        Some(Self { power, base, step })
    }

    /// The value of `k`.
    pub(super) fn value(&self, k: i64) -> f64 {
        self.base.wrapping_add(self.step.wrapping_mul(k)) as f64 / self.power
    }
}

/// Reads the exceptions, by rising place.
pub(super) fn read_exceptions(reader: &mut Reader<'_>) -> Option<Vec<(usize, f64)>> {
    let count = reader.count()?;
    let mut place = 0_usize;
    let mut exceptions = Vec::new();
    for _ in 0..count {
        place = place.checked_add(reader.number()?)?;
        exceptions.push((place, f64::from_bits(reader.u64()?)));
    }
    Some(exceptions)
}
