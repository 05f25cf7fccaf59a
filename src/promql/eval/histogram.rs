//! Quantiles and fractions of classic histograms: series with a label `le`.
//!
//! Source: prometheus, promql/quantile.go (BucketQuantile, BucketFraction), promql/functions.go.

use super::aggregate::Map;
use super::annotate::{self, Forced};
use super::call::{arg, text};
use super::column::{Rows, emit_nameless, is_absent};
use super::guard::group_bytes;
use super::{Evaluator, Grid, Sink, empty_column};
use crate::model::{Labels, METRIC_NAME, value_text};
use crate::promql::Error;
use crate::promql::syntax::{Function, Span};
use std::collections::BTreeMap;

/// A bucket: its upper bound and the count of all observations up to it.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    bound: f64,
    count: f64,
}

/// The buckets of one histogram: the bounds, and the places of their series.
struct Group {
    labels: Labels,
    drop_name: bool,
    buckets: Vec<(f64, usize)>,
}

impl Group {
    fn bytes(&self) -> usize {
        group_bytes(&self.labels) + self.buckets.len() * size_of::<(f64, usize)>()
    }
}

impl Evaluator<'_> {
    pub(super) fn histogram(
        &self,
        function: Function,
        args: &[super::plan::Node],
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let delayed = self.settings.delayed_name_removal;
        let (vector, first_scalar, label) = match function {
            Function::HistogramQuantile => (arg(args, 1)?, 0..1, None),
            Function::HistogramFraction => (arg(args, 2)?, 0..2, None),
            _quantiles => (arg(args, 0)?, 2..args.len(), Some(text(args, 1)?)),
        };
        let numbers = args.get(first_scalar).unwrap_or_default();
        let mut scalars = Vec::new();
        for number in numbers {
            let values = self.scalar(number, grid)?;
            if function != Function::HistogramFraction {
                for q in values.iter().filter(|q| q.is_nan() || !(0.0..=1.0).contains(q)) {
                    self.warn(number.span, annotate::invalid_quantile(q));
                }
            }
            scalars.push(values);
        }
        let rows = self.eval(vector, grid)?;
        let groups = self.bucket_groups(&rows, vector.span);
        let tables = groups.iter().map(Group::bytes).sum();
        self.guard.hold_bytes(tables)?;
        let mut forced: BTreeMap<String, Forced> = BTreeMap::new();
        if function == Function::HistogramFraction {
            let [lower, upper] = scalars.as_slice() else {
                return Err(Error::execution("histogram_fraction wants two numbers"));
            };
            for group in &groups {
                let mut values = self.per_step(group, &rows, grid, |step, _, buckets| {
                    fraction(lower.at(step), upper.at(step), buckets)
                })?;
                emit_nameless(&group.labels, delayed, &mut values, sink)?;
            }
        } else {
            for qs in &scalars {
                for group in &groups {
                    let name = if delayed { group.labels.value_of(METRIC_NAME) } else { "" };
                    let mut values = self.per_step(group, &rows, grid, |step, ts, buckets| {
                        let found = bucket_quantile(qs.at(step), buckets);
                        if let Some(dips) = found.1 {
                            note_forced(&mut forced, name, ts, dips);
                        }
                        found.0
                    })?;
                    let labels = match label {
                        Some(label) => {
                            let q = value_text::go_default(qs.at(0));
                            let whole = !q.contains(['.', 'e', 'N', 'I']);
                            let q = if whole { format!("{q}.0") } else { q };
                            group.labels.to_builder().set(label, q).build()
                        }
                        None => group.labels.clone(),
                    };
                    emit_nameless(&labels, delayed, &mut values, sink)?;
                }
            }
        }
        for (name, forced) in forced {
            self.info(vector.span, annotate::forced_monotonic(&name, &forced));
        }
        self.guard.release_bytes(tables);
        self.let_go(&rows, grid);
        Ok(())
    }

    fn bucket_groups(&self, rows: &Rows, span: Span) -> Vec<Group> {
        let mut places: Map<Labels, usize> = Map::default();
        let mut groups: Vec<Group> = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            let le = row.labels.value_of("le");
            let Ok(bound) = le.parse::<f64>() else {
                let delayed = self.settings.delayed_name_removal;
                let name = if delayed { row.labels.value_of(METRIC_NAME) } else { "" };
                self.warn(span, annotate::bad_bucket_label(le, name));
                continue;
            };
            let labels = row.labels.filtered(|name| name != "le");
            let group = *places.entry(labels.clone()).or_insert(groups.len());
            if group == groups.len() {
                groups.push(Group { labels, drop_name: row.drop_name, buckets: Vec::new() });
            }
            if let Some(group) = groups.get_mut(group) {
                group.drop_name |= row.drop_name;
                group.buckets.push((bound, place));
            }
        }
        for group in &mut groups {
            group.buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        }
        groups
    }

    /// Applies `f` to the buckets that are there at each step.
    fn per_step(
        &self,
        group: &Group,
        rows: &Rows,
        grid: Grid,
        mut f: impl FnMut(usize, i64, &mut Vec<Bucket>) -> f64,
    ) -> Result<Vec<f64>, Error> {
        self.guard.fits(grid.count)?;
        let mut values = empty_column(grid.count);
        let mut buckets = Vec::new();
        for ((step, ts), slot) in grid.times().enumerate().zip(&mut values) {
            buckets.clear();
            for (bound, place) in &group.buckets {
                let count = rows.get(*place).and_then(|row| row.values.get(step)).copied();
                if let Some(count) = count.filter(|count| !is_absent(*count)) {
                    buckets.push(Bucket { bound: *bound, count });
                }
            }
            self.guard.work(buckets.len())?;
            if !buckets.is_empty() {
                *slot = f(step, ts, &mut buckets);
            }
        }
        Ok(values)
    }
}

/// Dips in the counts that had to be raised.
#[derive(Clone, Copy, Debug)]
struct Dips {
    bound_min: f64,
    bound_max: f64,
    diff_max: f64,
}

fn note_forced(all: &mut BTreeMap<String, Forced>, name: &str, ts: i64, dips: Dips) {
    let fresh = Forced {
        first_ts: ts,
        last_ts: ts,
        bucket_min: dips.bound_min,
        bucket_max: dips.bound_max,
        diff_max: dips.diff_max,
        count: 0,
    };
    let forced = all.entry(name.to_owned()).or_insert(fresh);
    forced.first_ts = forced.first_ts.min(ts);
    forced.last_ts = forced.last_ts.max(ts);
    forced.bucket_min = forced.bucket_min.min(dips.bound_min);
    forced.bucket_max = forced.bucket_max.max(dips.bound_max);
    forced.diff_max = forced.diff_max.max(dips.diff_max);
    forced.count += 1;
}

/// The quantile of buckets in order of their bounds, and the dips that were raised.
fn bucket_quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, Option<Dips>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if buckets.last().is_none_or(|last| last.bound != f64::INFINITY) {
        return (f64::NAN, None);
    }
    coalesce(buckets);
    let dips = raise(buckets);
    let observations = buckets.last().map_or(0.0, |last| last.count);
    if buckets.len() < 2 || observations == 0.0 {
        return (f64::NAN, dips);
    }
    let mut rank = q * observations;
    let top = buckets.len() - 1;
    let place = buckets.iter().take(top).position(|bucket| bucket.count >= rank).unwrap_or(top);
    let at = |place: usize| buckets.get(place).copied();
    let before = place.checked_sub(1).and_then(at);
    let Some(bucket) = at(place) else { return (f64::NAN, dips) };
    let value = match before {
        Some(before) if place == top => before.bound,
        None if bucket.bound <= 0.0 => bucket.bound,
        _inner => {
            let (mut start, mut count) = (0.0, bucket.count);
            if let Some(before) = before {
                start = before.bound;
                count -= before.count;
                rank -= before.count;
            }
            start + (bucket.bound - start) * (rank / count)
        }
    };
    (value, dips)
}

/// The share of observations between two values.
fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if buckets.last().is_none_or(|last| last.bound != f64::INFINITY) {
        return f64::NAN;
    }
    coalesce(buckets);
    let count = buckets.last().map_or(0.0, |last| last.count);
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let lower_rank = rank_of(lower, buckets).unwrap_or(count).min(count);
    let upper_rank = rank_of(upper, buckets).unwrap_or(count).min(count);
    (upper_rank - lower_rank) / count
}

/// How many observations lie below `value`, interpolated inside its bucket; `None` above all.
fn rank_of(value: f64, buckets: &[Bucket]) -> Option<f64> {
    let first = buckets.first()?;
    let mut start = if first.bound <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    let mut rank = 0.0;
    for bucket in buckets {
        if start >= value {
            return Some(rank);
        }
        if bucket.bound > value {
            if start == f64::NEG_INFINITY {
                return Some(bucket.count);
            }
            let share = (value - start) / (bucket.bound - start);
            return Some(rank + (bucket.count - rank) * share);
        }
        rank = bucket.count;
        start = bucket.bound;
    }
    None
}

/// Buckets with equal bounds become one with the sum of their counts.
fn coalesce(buckets: &mut Vec<Bucket>) {
    buckets.dedup_by(|next, kept| {
        let same = next.bound == kept.bound;
        if same {
            kept.count += next.count;
        }
        same
    });
}

/// Counts must rise: differences within rounding are flattened in silence, dips are raised and
/// told.
fn raise(buckets: &mut [Bucket]) -> Option<Dips> {
    /// Relative differences below this come from rounding.
    const TOLERANCE: f64 = 1e-12;
    let mut dips: Option<Dips> = None;
    let mut before = buckets.first()?.count;
    for bucket in buckets.iter_mut().skip(1) {
        let count = bucket.count;
        if count == before {
            continue;
        }
        if almost_equal(before, count, TOLERANCE) {
            bucket.count = before;
        } else if count < before {
            bucket.count = before;
            let bound = bucket.bound;
            let dips =
                dips.get_or_insert(Dips { bound_min: bound, bound_max: bound, diff_max: 0.0 });
            dips.bound_min = dips.bound_min.min(bound);
            dips.bound_max = dips.bound_max.max(bound);
            dips.diff_max = dips.diff_max.max(before - count);
        } else {
            before = count;
        }
    }
    dips
}

/// Source: prometheus, util/almost/almost.go.
fn almost_equal(a: f64, b: f64, tolerance: f64) -> bool {
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < tolerance * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < tolerance
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(list: &[(f64, f64)]) -> Vec<Bucket> {
        list.iter().map(|(bound, count)| Bucket { bound: *bound, count: *count }).collect()
    }

    #[test]
    fn t23_quantiles_of_buckets_follow_the_rules() {
        const INF: f64 = f64::INFINITY;
        for (q, list, expected) in [
            (0.5, &[(1.0, 1.0), (2.0, 3.0), (INF, 4.0)][..], 1.5),
            // In the top bucket the answer is the bound below it.
            (0.9, &[(1.0, 1.0), (INF, 4.0)], 1.0),
            // The lowest bucket starts at zero, unless its bound is not above zero.
            (0.25, &[(4.0, 4.0), (INF, 4.0)], 1.0),
            (0.25, &[(-1.0, 4.0), (INF, 4.0)], -1.0),
            (-0.1, &[(1.0, 1.0), (INF, 4.0)], f64::NEG_INFINITY),
            (1.1, &[(1.0, 1.0), (INF, 4.0)], INF),
            (0.5, &[(1.0, 1.0), (2.0, 4.0)], f64::NAN),
            (0.5, &[(INF, 4.0)], f64::NAN),
            (0.5, &[(1.0, 0.0), (INF, 0.0)], f64::NAN),
        ] {
            let (value, _) = bucket_quantile(q, &mut buckets(list));
            assert!(value == expected || value.is_nan() && expected.is_nan(), "{q} of {list:?}");
        }
    }

    #[test]
    fn t23_real_dips_are_told_and_rounding_is_not() {
        let mut list = buckets(&[(1.0, 3.0), (2.0, 2.0), (f64::INFINITY, 4.0)]);
        let dips = raise(&mut list).expect("a dip");
        assert_eq!((dips.bound_min, dips.bound_max, dips.diff_max), (2.0, 2.0, 1.0));
        let mut list = buckets(&[(1.0, 3.0), (2.0, 3.0 - 1e-14), (f64::INFINITY, 4.0)]);
        assert!(raise(&mut list).is_none());
    }
}
