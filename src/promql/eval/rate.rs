//! rate, increase, delta and their kin over one window.
//!
//! Source: prometheus, promql/functions.go (extrapolatedRate, extendedRate, instantValue,
//! isStartTimestampReset, checkStartTimeOverlap).

use super::column::ABSENT;
use super::layout::{Place, Slide, Stretch, Stretches};
use super::window::Window;
use crate::promql::syntax::Extension;
use crate::storage::source::Columns;
use multiversion::multiversion;
use std::cmp::Ordering;

/// Of two products of times and values the larger one is surely the larger number when it exceeds
/// the other by this: both were rounded, by far less.
const SURELY: f64 = 1.0 + 1e-9;

/// What is asked of the windows of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slope {
    /// The slope of a counter, per second.
    Rate,
    /// The difference of a counter.
    Increase,
    /// The difference of a gauge.
    Delta,
}

impl Slope {
    pub(super) const fn is_counter(self) -> bool {
        !matches!(self, Self::Delta)
    }

    pub(super) const fn is_rate(self) -> bool {
        matches!(self, Self::Rate)
    }
}

/// Up to so many samples a window it pays to sum over all of them and not over falls alone: that
/// loop has no branches, and works on many windows at once.
const DENSE_SAMPLES_MAX: usize = 128;

/// As it does where one of so many samples is a fall.
const DENSE_FALLS: usize = 8;

/// Where a counter fell. Kept between series for its memory.
#[derive(Debug, Default)]
pub(super) struct Falls {
    /// How many.
    count: usize,
    /// Whether each value is the one before or larger, and none is NaN.
    rises: bool,
    /// What it had reached, fall by fall; or for each sample, with -0 where the next one is no
    /// fall: adding that changes nothing, not even the sign of a zero.
    reached: Vec<f64>,
    /// For each sample, how many falls came before it: the one between it and the next is none of
    /// them.
    before: Vec<usize>,
}

impl Falls {
    fn find(&mut self, values: &[f64]) {
        // Usually nothing but rises is found.
        self.rises = others_than_rises(values) == 0;
        self.count = if self.rises { 0 } else { falls(values) };
    }

    /// Whether windows of so many samples, of so many in all, are best summed sample by sample.
    const fn may_be_dense(&self, window: usize, all: usize) -> bool {
        self.count == 0 || window <= DENSE_SAMPLES_MAX || self.count >= all / DENSE_FALLS
    }

    /// Puts down for each sample what a fall behind it adds.
    fn lay_out(&mut self, values: &[f64]) {
        self.reached.resize(values.len().saturating_sub(1), 0.0);
        lay_out(values, &mut self.reached);
    }

    /// Puts down the falls one by one.
    fn list(&mut self, values: &[f64]) {
        self.reached.clear();
        self.before.clear();
        // One more than there are: each value is put down, and stays if it is one.
        self.reached.resize(self.count + 1, 0.0);
        let mut found = 0;
        for (value, next) in values.iter().zip(values.iter().skip(1)) {
            self.before.push(found);
            if let Some(slot) = self.reached.get_mut(found) {
                *slot = *value;
            }
            found += usize::from(next < value);
        }
        self.before.push(found);
        self.reached.truncate(self.count);
    }

    /// What it had reached before each fall within a window.
    fn within(&self, place: Place) -> &[f64] {
        let before = |at: usize| self.before.get(at).copied();
        let range = before(place.first).zip(place.after.checked_sub(1).and_then(before));
        range.and_then(|(from, to)| self.reached.get(from..to)).unwrap_or_default()
    }
}

// Loops without branches, of which the compiler makes vectors: as long as the processor has them.

#[multiversion(targets("x86_64+avx2"))]
fn others_than_rises(values: &[f64]) -> usize {
    let pairs = values.iter().zip(values.iter().skip(1));
    pairs.map(|(a, b)| 1 - usize::from(b >= a)).sum()
}

#[multiversion(targets("x86_64+avx2"))]
fn falls(values: &[f64]) -> usize {
    let pairs = values.iter().zip(values.iter().skip(1));
    pairs.map(|(a, b)| usize::from(b < a)).sum()
}

/// See `Falls::reached`.
#[multiversion(targets("x86_64+avx2"))]
fn lay_out(values: &[f64], reached: &mut [f64]) {
    let pairs = values.iter().zip(values.iter().skip(1));
    for ((a, b), reached) in pairs.zip(reached) {
        *reached = if b < a { *a } else { -0.0 };
    }
}

/// Appends for each stretch the slope or difference over it, extrapolated to the ends of its
/// window. `falls` is room for work.
pub(super) fn extrapolated(
    values: &[f64],
    stretches: &Stretches,
    slope: Slope,
    falls: &mut Falls,
    out: &mut Vec<f64>,
) {
    let Stretches { each, slide } = stretches;
    (falls.count, falls.rises) = (0, false);
    if slope.is_counter() {
        falls.find(values);
    }
    // Most of the time of a rate over many series is spent here.
    if let Some(slide) = slide
        && falls.may_be_dense(slide.place.after - slide.place.first, values.len())
        && slid(values, slide, each, slope, falls, out)
    {
        return;
    }
    let ends = |place: Place| {
        let last = place.after.checked_sub(1).and_then(|last| values.get(last));
        values.get(place.first).zip(last)
    };
    let grown = |stretch: &Stretch, result: f64| match values.get(stretch.place.first) {
        Some(first) if stretch.has_two() => result * factor(stretch, *first, result, slope),
        _ => ABSENT,
    };
    let difference = |stretch: &Stretch| ends(stretch.place).map_or(0.0, |(a, b)| b - a);
    if falls.count == 0 {
        out.extend(each.iter().map(|stretch| grown(stretch, difference(stretch))));
        return;
    }
    falls.list(values);
    // A counter that fell was reset: what it had reached is added, in order. Windows go by fours,
    // for no sum waits for another.
    for some in each.chunks(4) {
        let mut windows =
            some.iter().map(|stretch| (difference(stretch), falls.within(stretch.place)));
        let mut next = || windows.next().unwrap_or_default();
        let ((mut a, fell_a), (mut b, fell_b)) = (next(), next());
        let ((mut c, fell_c), (mut d, fell_d)) = (next(), next());
        let fell = [fell_a, fell_b, fell_c, fell_d];
        let all_have = fell.iter().map(|fell| fell.len()).min().unwrap_or_default();
        for (((in_a, in_b), in_c), in_d) in
            fell_a.iter().zip(fell_b).zip(fell_c).zip(fell_d).take(all_have)
        {
            a += in_a;
            b += in_b;
            c += in_c;
            d += in_d;
        }
        let sums = [a, b, c, d].into_iter().zip(fell);
        out.extend(some.iter().zip(sums).map(|(stretch, (sum, fell))| {
            let rest = fell.get(all_have..).unwrap_or_default();
            grown(stretch, rest.iter().fold(sum, |sum, reached| sum + reached))
        }));
    }
}

/// As `extrapolated` for windows that slide. Whether `values` are as many as they must be.
#[multiversion(targets("x86_64+avx2"))]
fn slid(
    values: &[f64],
    slide: &Slide,
    each: &[Stretch],
    slope: Slope,
    falls: &mut Falls,
    out: &mut Vec<f64>,
) -> bool {
    let Place { first, after } = slide.place;
    let (Some(firsts), Some(lasts)) =
        (values.get(first..first + each.len()), values.get(after - 1..after - 1 + each.len()))
    else {
        return false;
    };
    let may_reach = slope.is_counter() && !(falls.rises && stays_above_zero(firsts, lasts, slide));
    let ends = firsts.iter().zip(lasts);
    if falls.count == 0 && !may_reach {
        out.extend(ends.zip(&slide.factors).map(|((first, last), factor)| (last - first) * factor));
        return true;
    }
    let start = out.len();
    out.extend(ends.map(|(first, last)| last - first));
    let results = out.get_mut(start..).unwrap_or_default();
    if falls.count > 0 {
        falls.lay_out(values);
        add_sliding(falls.reached.get(first..).unwrap_or_default(), after - 1 - first, results);
    }
    let lines = || firsts.iter().zip(slide.sampled.iter().zip(&slide.to_start));
    let reaching = |(result, (first, (sampled, to_start))): (&f64, (&f64, (&f64, &f64)))| {
        u32::from(may_reach_zero(*first, *result, *sampled, *to_start))
    };
    if may_reach && results.iter().zip(lines()).map(reaching).sum::<u32>() > 0 {
        for ((result, first), stretch) in results.iter_mut().zip(firsts).zip(each) {
            *result *= factor(stretch, *first, *result, slope);
        }
    } else {
        results.iter_mut().zip(&slide.factors).for_each(|(result, factor)| *result *= factor);
    }
    true
}

/// Adds to each sum the `len` addends from its own place on, in order.
#[multiversion(targets("x86_64+avx2"))]
fn add_sliding(addends: &[f64], len: usize, sums: &mut [f64]) {
    // So many sums stay in registers.
    const TOGETHER: usize = 16;
    let mut blocks = sums.chunks_exact_mut(TOGETHER);
    let mut done = 0;
    for block in &mut blocks {
        let Some(block) = block.first_chunk_mut::<TOGETHER>() else { break };
        let mut totals = *block;
        for at in done..done + len {
            let some = addends.get(at..).and_then(|rest| rest.first_chunk::<TOGETHER>());
            let Some(some) = some else { break };
            for (total, addend) in totals.iter_mut().zip(some) {
                *total += addend;
            }
        }
        *block = totals;
        done += TOGETHER;
    }
    for (at, sum) in (done..).zip(blocks.into_remainder()) {
        let own = addends.get(at..at + len).unwrap_or_default();
        *sum = own.iter().fold(*sum, |sum, addend| sum + addend);
    }
}

/// Whether no window of a counter that only rises, with these first and last values, has a line
/// that may fall below zero: the lowest and steepest one there could be has none.
fn stays_above_zero(firsts: &[f64], lasts: &[f64], slide: &Slide) -> bool {
    let (Some(first), Some(last)) = (firsts.first(), lasts.last()) else { return true };
    *first >= 0.0 && !may_reach_zero(*first, last - first, slide.sampled_min, slide.to_start_max)
}

/// Whether the line of a counter, drawn back before its window, may fall below zero.
fn may_reach_zero(first: f64, result: f64, sampled: f64, to_start: f64) -> bool {
    (result > 0.0) & (first >= 0.0) & (first * sampled <= to_start * result * SURELY)
}

/// What a difference grows by. A counter was not below zero: its line is not drawn further back
/// than that.
fn factor(stretch: &Stretch, first: f64, result: f64, slope: Slope) -> f64 {
    // The division only where it may matter, which is seldom.
    if slope.is_counter() && may_reach_zero(first, result, stretch.sampled, stretch.to_start) {
        let to_zero = stretch.sampled * (first / result);
        return stretch.factor_from(stretch.to_start.min(to_zero));
    }
    stretch.factor
}

/// As `extrapolated`, over one window whose samples know when their counter started.
pub(super) fn from_starts(window: &Window<'_>, stretch: &Stretch, slope: Slope) -> Option<f64> {
    let last_place = window.ts.len().checked_sub(1)?;
    let ((first_ts, first), (last_ts, last)) = (window.sample(0)?, window.sample(last_place)?);
    let mut result = last - first;
    for (place, before) in window.values.iter().enumerate().take(last_place) {
        if was_reset(window, place) {
            result += before;
        }
    }
    let start = window.starts.first().copied().unwrap_or_default();
    if start != 0 && start > window.start && start < first_ts {
        // The counter was zero when it started, which is better known than any extrapolation.
        let sampled = last_ts.saturating_sub(start) as f64 / 1000.0;
        return Some((result + first) * ((sampled + stretch.to_end) / sampled / stretch.per));
    }
    stretch.has_two().then(|| result * factor(stretch, first, result, slope))
}

/// Whether a counter was reset between the sample at a place and the next one: it fell, or the
/// next one says that it started in between.
fn was_reset(window: &Window<'_>, place: usize) -> bool {
    let (Some((ts_before, before)), Some((ts, value))) =
        (window.sample(place), window.sample(place + 1))
    else {
        return false;
    };
    if value < before {
        return true;
    }
    let (start_before, start) = match window.starts.get(place..place + 2) {
        Some([start_before, start]) if *start != 0 => (*start_before, *start),
        _unknown => return false,
    };
    match start.cmp(&ts_before) {
        Ordering::Less => false,
        // Not before its own sample is no start at all.
        Ordering::Greater => start < ts,
        // Each sample is a difference to the one before; or it is the second one of a counter
        // whose start is unknown, and of which the first says its own time or nothing.
        Ordering::Equal => start_before != 0 && start_before < ts_before,
    }
}

/// Whether a sample's counter started before the sample ahead of it, which is of another one.
pub(super) fn overlaps(window: &Window<'_>) -> bool {
    let pairs = window.starts.iter().zip(window.starts.iter().skip(1)).zip(window.ts);
    pairs.into_iter().any(|((start_before, start), ts_before)| {
        *start != 0 && start < ts_before && start != start_before
    })
}

/// The difference of the last two samples, or their slope.
pub(super) fn instant(window: &Window<'_>, is_rate: bool) -> Option<f64> {
    let last_place = window.ts.len().checked_sub(1)?;
    let ((ts, value), (ts_before, before)) =
        (window.sample(last_place)?, window.sample(last_place.checked_sub(1)?)?);
    let ms = ts.saturating_sub(ts_before);
    if ms == 0 {
        return None;
    }
    let reset = is_rate && was_reset(window, last_place - 1);
    let difference = if reset { value } else { value - before };
    Some(if is_rate { difference / (ms as f64 / 1000.0) } else { difference })
}

/// How often a counter was reset.
pub(super) fn resets(window: &Window<'_>) -> Option<f64> {
    if !window.starts.is_empty() {
        let first = first_place(window)?;
        let places = first..window.ts.len().checked_sub(1)?;
        return Some(places.filter(|place| was_reset(window, *place)).count() as f64);
    }
    count_pairs(window, |before, after| after < before)
}

/// How often the value changed.
pub(super) fn changes(window: &Window<'_>) -> Option<f64> {
    count_pairs(window, |before, after| before != after && !(before.is_nan() && after.is_nan()))
}

fn count_pairs(window: &Window<'_>, counts: impl Fn(f64, f64) -> bool) -> Option<f64> {
    let values = window.values.get(first_place(window)?..)?;
    let pairs = values.iter().zip(values.iter().skip(1));
    let found = pairs.filter(|(before, after)| counts(**before, **after)).count();
    Some(found as f64)
}

/// The first sample that counts: an anchored window has one before its start.
fn first_place(window: &Window<'_>) -> Option<usize> {
    if window.extension != Some(Extension::Anchored) {
        return Some(0);
    }
    let last = window.ts.len().checked_sub(1)?;
    if window.sample(last)?.0 <= window.start {
        return None;
    }
    Some(window.ts.partition_point(|ts| *ts <= window.start).min(last).saturating_sub(1))
}

/// The value at `at` on the line between two samples. A counter that fell starts from zero.
pub(super) fn interpolated(
    before: (i64, f64),
    after: (i64, f64),
    at: i64,
    is_counter: bool,
) -> f64 {
    let from = if is_counter && after.1 < before.1 { 0.0 } else { before.1 };
    let (here, gap) = (at.saturating_sub(before.0), after.0.saturating_sub(before.0));
    from + (after.1 - from) * here as f64 / gap as f64
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
pub(super) fn bounded(window: &Window<'_>, slope: Slope) -> Option<f64> {
    let ends = ends(window, slope.is_counter())?;
    let mut result = ends.right - ends.left;
    if slope.is_counter() {
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
    Some(if slope.is_rate() { result / window.range_seconds() } else { result })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::eval::Grid;
    use crate::promql::eval::layout::Layouts;
    use crate::promql::eval::window::Shape;
    use proptest::prelude::*;

    /// Upstream's loop over one window, word for word in order of its sums.
    fn plain(ts: &[i64], values: &[f64], stretch: &Stretch, slope: Slope) -> f64 {
        let place = stretch.place.first..stretch.place.after;
        let (Some(ts), Some(values)) = (ts.get(place.clone()), values.get(place)) else {
            return ABSENT;
        };
        let ([first_ts, _, ..], [first, _, ..]) = (ts, values) else { return ABSENT };
        let mut result = values[values.len() - 1] - first;
        for pair in values.windows(2).filter(|pair| slope.is_counter() && pair[1] < pair[0]) {
            result += pair[0];
        }
        let sampled = (ts[ts.len() - 1] - first_ts) as f64 / 1000.0;
        let mut to_start = stretch.to_start;
        if slope.is_counter() && result > 0.0 && *first >= 0.0 {
            to_start = to_start.min(sampled * (first / result));
        }
        result * ((sampled + to_start + stretch.to_end) / sampled / stretch.per)
    }

    proptest! {
        #[test]
        fn slopes_are_those_of_each_window_by_itself(
            steps in proptest::collection::vec((-40_i32..100, 0_u8..12), 2..90),
            begin in 0_i64..30,
            (every, range) in (prop_oneof![3 => Just(15_000_i64), 1 => 5_000_i64..40_000], 1_i64..400_000),
            (falls_allowed, has_gaps) in any::<(bool, bool)>(),
            slope in prop_oneof![Just(Slope::Rate), Just(Slope::Increase), Just(Slope::Delta)],
        ) {
            let (mut ts, mut values, mut value) = (Vec::new(), Vec::new(), 0.3);
            for (at, (step, missing)) in (0_i64..).zip(&steps) {
                value = f64::max(0.0, value + f64::from(if falls_allowed { *step } else { step.abs() }) / 10.0);
                if !has_gaps || *missing > 0 {
                    ts.push(1_000_000 + at * 15_000);
                    values.push(value);
                }
            }
            let grid = Grid { start: 1_000_000 + begin * 15_000, step: every, count: 20 };
            let mut layouts = Layouts::new(Shape::of_lookback(&select(), range), grid);
            let columns = Columns { ts: ts.clone(), ..Columns::default() };
            let stretches = layouts.stretches(&columns, slope.is_rate());
            let mut out = Vec::new();
            extrapolated(&values, stretches, slope, &mut Falls::default(), &mut out);
            let expected: Vec<u64> = stretches
                .each
                .iter()
                .map(|stretch| plain(&ts, &values, stretch, slope).to_bits())
                .collect();
            prop_assert_eq!(out.iter().map(|value| value.to_bits()).collect::<Vec<_>>(), expected);
        }
    }

    fn select() -> crate::promql::eval::plan::Select {
        crate::promql::eval::plan::Select {
            matchers: Vec::new(),
            offset: 0,
            at: None,
            extension: None,
            fetch: 0,
        }
    }
}
