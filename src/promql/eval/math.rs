//! Sums, quantiles and regressions with the rounding that Prometheus has.
//!
//! Source: prometheus, util/kahansum/kahansum.go, promql/functions.go, promql/quantile.go.

use std::cmp::Ordering;

/// A sum with Neumaier's compensation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    pub(super) value: f64,
    pub(super) compensation: f64,
}

impl Sum {
    pub(super) fn add(&mut self, term: f64) {
        let total = self.value + term;
        // Neumaier's, by a choice in place of the branch, of which the compiler makes vectors.
        // Knuth's TwoSum needs neither, but what it takes away again may overflow where this does
        // not.
        let is_larger = self.value.abs() >= term.abs();
        let (large, small) = if is_larger { (self.value, term) } else { (term, self.value) };
        let lost = (large - total) + small;
        let compensation = self.compensation + lost;
        self.compensation = if total.is_infinite() { 0.0 } else { compensation };
        self.value = total;
    }

    pub(super) fn total(self) -> f64 {
        if self.value.is_infinite() { self.value } else { self.value + self.compensation }
    }
}

/// A mean that stays finite when the sum does not: sum by count until it overflows, then
/// incremental.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mean {
    pub(super) sum: Sum,
    pub(super) count: f64,
    /// Whether the sum has overflowed, and is one of shares now.
    pub(super) incremental: bool,
}

impl Mean {
    /// The mean of one value.
    pub(super) const fn of(first: f64) -> Self {
        Self { sum: Sum { value: first, compensation: 0.0 }, count: 1.0, incremental: false }
    }

    pub(super) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.incremental {
            let mut sum = self.sum;
            sum.add(value);
            if !sum.value.is_infinite() {
                self.sum = sum;
                return;
            }
            self.incremental = true;
            self.sum.value /= self.count - 1.0;
            self.sum.compensation /= self.count - 1.0;
        }
        let share = (self.count - 1.0) / self.count;
        self.sum.value *= share;
        self.sum.compensation *= share;
        self.sum.add(value / self.count);
    }

    pub(super) fn value(self) -> f64 {
        if self.incremental {
            self.sum.value + self.sum.compensation
        } else {
            self.sum.value / self.count + self.sum.compensation / self.count
        }
    }
}

/// Smaller values first, and a NaN before everything.
pub(super) fn nan_first(a: &f64, b: &f64) -> Ordering {
    a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// The quantile `q` of the values, interpolated between ranks. Changes the order of `values`.
pub(super) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = whole_place(rank.floor()).min(last);
    let weight = rank - rank.floor();
    let (_, lower, above) = values.select_nth_unstable_by(lower, nan_first);
    let upper = above.iter().copied().min_by(nan_first).unwrap_or(*lower);
    *lower * (1.0 - weight) + upper * weight
}

/// Slope and intercept at `at` of the straight line through the samples; times in milliseconds,
/// the slope per second.
pub(super) fn regression(ts: &[i64], values: &[f64], at: i64) -> (f64, f64) {
    let first = values.first().copied().unwrap_or(f64::NAN);
    let (mut sum_x, mut sum_y) = (Sum::default(), Sum::default());
    let (mut sum_xy, mut sum_x2) = (Sum::default(), Sum::default());
    let mut constant = true;
    for (place, (ts, y)) in ts.iter().zip(values).enumerate() {
        // The first value counts as equal to itself even when it is a NaN.
        constant &= place == 0 || *y == first;
        let x = ts.saturating_sub(at) as f64 / 1000.0;
        sum_x.add(x);
        sum_y.add(*y);
        sum_xy.add(x * y);
        sum_x2.add(x * x);
    }
    if constant {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let n = values.len() as f64;
    let plain = |sum: Sum| sum.value + sum.compensation;
    let (sum_x, sum_y, sum_xy, sum_x2) = (plain(sum_x), plain(sum_y), plain(sum_xy), plain(sum_x2));
    let covariance = sum_xy - sum_x * sum_y / n;
    let variance = sum_x2 - sum_x * sum_x / n;
    let slope = covariance / variance;
    (slope, sum_y / n - slope * sum_x / n)
}

/// As in Go, whose hyperbolic functions end where its exponential does.
/// Source: go, src/math/sinh.go.
pub(super) fn sinh(value: f64) -> f64 {
    if value.abs() > 21.0 { half_exp(value).copysign(value) } else { value.sinh() }
}

/// See `sinh`.
pub(super) fn cosh(value: f64) -> f64 {
    if value.abs() > 21.0 { half_exp(value) } else { value.cosh() }
}

/// Half of the exponential of the size, which the other half no longer changes.
fn half_exp(value: f64) -> f64 {
    value.abs().exp() * 0.5
}

/// From 2^28 on both inverses are the logarithm of the double.
const LARGE: f64 = 268_435_456.0;

/// As in Go, whose inverse functions do not overflow. Source: go, src/math/asinh.go.
pub(super) fn asinh(value: f64) -> f64 {
    if value.abs() > LARGE { log_of_double(value).copysign(value) } else { value.asinh() }
}

/// See `asinh`. Source: go, src/math/acosh.go.
pub(super) fn acosh(value: f64) -> f64 {
    if value >= LARGE { log_of_double(value) } else { value.acosh() }
}

fn log_of_double(value: f64) -> f64 {
    value.abs().ln() + std::f64::consts::LN_2
}

/// The variance of the values, compensated.
pub(super) fn variance(values: &[f64]) -> f64 {
    let mut count = 0.0;
    let (mut mean, mut squares) = (Sum::default(), Sum::default());
    for value in values {
        count += 1.0;
        let delta = value - (mean.value + mean.compensation);
        mean.add(delta / count);
        squares.add(delta * (value - (mean.value + mean.compensation)));
    }
    (squares.value + squares.compensation) / count
}

/// A float as a place in a list; out of range it is held at the ends, NaN is 0.
pub(super) fn whole_place(value: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as saturates")]
    let place = value as usize;
    place
}

/// A float cut to a whole number, held at the ends of the range; NaN is 0.
pub(super) fn whole(value: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "as saturates")]
    let whole = value as i64;
    whole
}
