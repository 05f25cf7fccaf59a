//! rate, increase, delta and their kin over one window.
//!
//! Source: prometheus, promql/functions.go (extrapolatedRate, extendedRate, instantValue).

use super::window::Window;
use crate::promql::syntax::Extension;
use crate::storage::source::Columns;

/// The slope or the difference over a window, extrapolated to its ends.
pub(super) fn extrapolated(window: &Window<'_>, is_counter: bool, is_rate: bool) -> Option<f64> {
    if window.extension.is_some() {
        return bounded(window, is_counter, is_rate);
    }
    let ((first_ts, first), (last_ts, last)) =
        (window.sample(0)?, window.sample(window.ts.len().checked_sub(1)?)?);
    let gaps = window.ts.len() - 1;
    if gaps == 0 {
        return None;
    }
    let mut result = last - first;
    if is_counter {
        for (before, after) in window.values.iter().zip(window.values.iter().skip(1)) {
            if after < before {
                result += before;
            }
        }
    }
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let mut to_start = seconds(first_ts - window.start);
    let mut to_end = seconds(window.end - last_ts);
    let sampled = seconds(last_ts - first_ts);
    let gap = sampled / gaps as f64;
    // A gap a little longer than usual is jitter; a longer one means that the series begins or
    // ends here.
    let threshold = gap * 1.1;
    if to_start >= threshold {
        to_start = gap / 2.0;
    }
    if is_counter {
        // A counter was not below zero: the line is not drawn further back than that.
        let to_zero =
            if result > 0.0 && first >= 0.0 { sampled * (first / result) } else { to_start };
        to_start = to_start.min(to_zero);
    }
    if to_end >= threshold {
        to_end = gap / 2.0;
    }
    let mut factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
    if is_rate {
        factor /= window.range_seconds();
    }
    Some(result * factor)
}

/// The difference of the last two samples, or their slope.
pub(super) fn instant(window: &Window<'_>, is_rate: bool) -> Option<f64> {
    let last_place = window.ts.len().checked_sub(1)?;
    let ((ts, value), (ts_before, before)) =
        (window.sample(last_place)?, window.sample(last_place.checked_sub(1)?)?);
    let ms = ts - ts_before;
    if ms == 0 {
        return None;
    }
    // A counter that fell was reset to zero in between.
    let difference = if is_rate && value < before { value } else { value - before };
    Some(if is_rate { difference / (ms as f64 / 1000.0) } else { difference })
}

/// How often a counter fell.
pub(super) fn resets(window: &Window<'_>) -> Option<f64> {
    count_pairs(window, |before, after| after < before)
}

/// How often the value changed.
pub(super) fn changes(window: &Window<'_>) -> Option<f64> {
    count_pairs(window, |before, after| before != after && !(before.is_nan() && after.is_nan()))
}

fn count_pairs(window: &Window<'_>, counts: impl Fn(f64, f64) -> bool) -> Option<f64> {
    let mut first = 0;
    if window.extension == Some(Extension::Anchored) {
        let last = window.ts.len().checked_sub(1)?;
        first = window.ts.partition_point(|ts| *ts <= window.start).min(last).saturating_sub(1);
        if window.sample(last)?.0 <= window.start {
            return None;
        }
    }
    let values = window.values.get(first..)?;
    let pairs = values.iter().zip(values.iter().skip(1));
    let found = pairs.filter(|(before, after)| counts(**before, **after)).count();
    Some(found as f64)
}

/// The value at `at` on the line between two samples. A counter that fell starts from zero.
pub(super) fn interpolated(
    before: (i64, f64),
    after: (i64, f64),
    at: i64,
    is_counter: bool,
) -> f64 {
    let from = if is_counter && after.1 < before.1 { 0.0 } else { before.1 };
    from + (after.1 - from) * (at - before.0) as f64 / (after.0 - before.0) as f64
}

/// The ends of an extended window: places of the first and last sample that count, and the values
/// at the window's ends.
struct Ends {
    first: usize,
    last: usize,
    left: f64,
    right: f64,
}

fn ends(window: &Window<'_>, is_counter: bool) -> Option<Ends> {
    let smoothed = window.extension == Some(Extension::Smoothed);
    let newest = window.ts.len().checked_sub(1)?;
    let search = |before: &dyn Fn(i64) -> bool| {
        window.ts.iter().take(newest).take_while(|ts| before(**ts)).count()
    };
    let first = search(&|ts| ts <= window.start).saturating_sub(1);
    let last = if smoothed { search(&|ts| ts < window.end) } else { newest };
    let (first_sample, last_sample) = (window.sample(first)?, window.sample(last)?);
    if last_sample.0 <= window.start || (smoothed && first_sample.0 > window.end) {
        return None;
    }
    let left = match window.sample(first + 1) {
        Some(next) if smoothed && first_sample.0 < window.start => {
            interpolated(first_sample, next, window.start, is_counter)
        }
        _not_between => first_sample.1,
    };
    let right = match last.checked_sub(1).and_then(|place| window.sample(place)) {
        Some(before) if smoothed && last_sample.0 > window.end => {
            interpolated(before, last_sample, window.end, is_counter)
        }
        _not_between => last_sample.1,
    };
    Some(Ends { first, last, left, right })
}

/// The samples strictly inside the window.
fn inside<'a>(window: &Window<'a>, ends: &Ends) -> (&'a [i64], &'a [f64]) {
    let at = |place: usize| window.ts.get(place).copied().unwrap_or_default();
    let first = ends.first + usize::from(at(ends.first) <= window.start);
    let after = ends.last + usize::from(at(ends.last) < window.end);
    (
        window.ts.get(first..after).unwrap_or_default(),
        window.values.get(first..after).unwrap_or_default(),
    )
}

/// The slope or difference between the exact ends of an extended window.
fn bounded(window: &Window<'_>, is_counter: bool, is_rate: bool) -> Option<f64> {
    let ends = ends(window, is_counter)?;
    let mut result = ends.right - ends.left;
    if is_counter {
        let mut before = ends.left;
        for value in inside(window, &ends).1 {
            if *value < before {
                result += before;
            }
            before = *value;
        }
        if ends.right < before {
            result += before;
        }
    }
    Some(if is_rate { result / window.range_seconds() } else { result })
}

/// The samples of an extended window, with those at its ends.
pub(super) fn extended(window: &Window<'_>) -> Columns {
    let mut samples = Columns::default();
    let Some(ends) = ends(window, false) else { return samples };
    samples.push(window.start, ends.left);
    let (ts, values) = inside(window, &ends);
    for (ts, value) in ts.iter().zip(values) {
        samples.push(*ts, *value);
    }
    samples.push(window.end, ends.right);
    samples
}
