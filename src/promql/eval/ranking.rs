//! Aggregations that keep some of the series: topk, bottomk, limitk, limit_ratio.
//!
//! Source: prometheus, promql/engine.go (aggregationK, HashRatioSampler).

use super::aggregate::{Map, group_labels};
use super::column::{Row, Rows, Scalars, is_absent};
use super::guard::row_bytes;
use super::math::whole_place;
use super::plan::Aggregate;
use super::{Evaluator, Grid, annotate, empty_column};
use crate::model::{Labels, value_text};
use crate::promql::Error;
use crate::promql::syntax::AggregateOp;
use std::cmp::Ordering;

impl Evaluator<'_> {
    pub(super) fn rank(&self, aggregate: &Aggregate, grid: Grid) -> Result<Rows, Error> {
        let param = aggregate.param.as_ref().expect("the parser gives rankings their parameter");
        let params = self.scalar(param, grid)?;
        let mut rows = self.eval(&aggregate.inner, grid)?;
        // Among equals the first labels win, at every step and however the input was made.
        rows.sort_by(|a, b| a.labels.cmp(&b.labels));
        let ratio = aggregate.op == AggregateOp::LimitRatio;
        let nothing = if ratio {
            params.iter().all(|param| param == 0.0)
        } else {
            params.iter().all(|param| param < 1.0)
        };
        if nothing {
            self.let_go(&rows, grid);
            return Ok(Rows::new());
        }
        if ratio {
            self.check_ratios(&params, param.span)?
        } else {
            check_counts(&params)?
        }
        let mut places: Map<Labels, usize> = Map::default();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            let labels = group_labels(&row.labels, &aggregate.grouping);
            let group = *places.entry(labels).or_insert(groups.len());
            match groups.get_mut(group) {
                Some(members) => members.push(place),
                None => groups.push(vec![place]),
            }
        }
        let mut kept: Vec<Option<Vec<f64>>> = vec![None; rows.len()];
        let mut order: Vec<usize> = Vec::new();
        for step in 0..grid.count {
            for members in &groups {
                self.guard.work(members.len())?;
                for place in chosen(aggregate.op, params.at(step), members, &rows, step) {
                    let (Some(slots), Some(row)) = (kept.get_mut(place), rows.get(place)) else {
                        continue;
                    };
                    if slots.is_none() {
                        self.guard.hold(grid.count)?;
                        self.guard.hold_bytes(row_bytes(&row.labels))?;
                        order.push(place);
                    }
                    let slots = slots.get_or_insert_with(|| empty_column(grid.count));
                    if let (Some(slot), Some(value)) = (slots.get_mut(step), row.values.get(step)) {
                        *slot = *value;
                    }
                }
            }
        }
        let out = order.into_iter().filter_map(|place| {
            let values = kept.get_mut(place)?.take()?;
            let row = rows.get(place)?;
            Some(Row { labels: row.labels.clone(), drop_name: row.drop_name, values })
        });
        let out: Rows = out.collect();
        self.let_go(&rows, grid);
        Ok(out)
    }

    fn check_ratios(
        &self,
        params: &Scalars,
        span: crate::promql::syntax::Span,
    ) -> Result<(), Error> {
        if params.iter().any(f64::is_nan) {
            return Err(Error::execution("Ratio value is NaN"));
        }
        let largest = params.iter().fold(f64::NEG_INFINITY, f64::max);
        let smallest = params.iter().fold(f64::INFINITY, f64::min);
        if largest > 1.0 {
            self.warn(span, annotate::invalid_ratio(largest, 1.0));
        }
        if smallest < -1.0 {
            self.warn(span, annotate::invalid_ratio(smallest, -1.0));
        }
        Ok(())
    }
}

fn check_counts(params: &Scalars) -> Result<(), Error> {
    // 2^63: Go's int64 ends below.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if params.iter().any(f64::is_nan) {
        return Err(Error::execution("Parameter value is NaN"));
    }
    for param in params.iter() {
        let text = value_text::go_default(param);
        if param <= -LIMIT {
            return Err(Error::execution(format!("Scalar value {text} underflows int64")));
        }
        if param >= LIMIT {
            return Err(Error::execution(format!("Scalar value {text} overflows int64")));
        }
    }
    Ok(())
}

/// The places of the series that stay at a step, best first.
fn chosen(op: AggregateOp, param: f64, members: &[usize], rows: &Rows, step: usize) -> Vec<usize> {
    let value = |place: usize| rows.get(place).and_then(|row| row.values.get(step)).copied();
    let present = members.iter().filter_map(|place| Some((*place, value(*place)?)));
    let mut present: Vec<(usize, f64)> = present.filter(|(_, value)| !is_absent(*value)).collect();
    let count = whole_place(param);
    match op {
        AggregateOp::LimitRatio => {
            let ratio = param.clamp(-1.0, 1.0);
            present.retain(|(place, _)| {
                rows.get(*place).is_some_and(|row| is_sampled(&row.labels, ratio))
            });
        }
        AggregateOp::Topk => {
            present.sort_by(|(_, a), (_, b)| best_first(*b, *a, a.is_nan(), b.is_nan()));
            present.truncate(count);
        }
        AggregateOp::Bottomk => {
            present.sort_by(|(_, a), (_, b)| best_first(*a, *b, a.is_nan(), b.is_nan()));
            present.truncate(count);
        }
        _limitk => present.truncate(count),
    }
    present.into_iter().map(|(place, _)| place).collect()
}

/// Ascending, with every NaN last.
fn best_first(a: f64, b: f64, a_is_last: bool, b_is_last: bool) -> Ordering {
    a_is_last.cmp(&b_is_last).then(a.partial_cmp(&b).unwrap_or(Ordering::Equal))
}

/// Whether a label set lies in the share: a hash decides, so that a ratio and its negative
/// complement part the series exactly.
fn is_sampled(labels: &Labels, ratio: f64) -> bool {
    // The fingerprint's high bits differ little between short label sets: mix it (splitmix64).
    let mut hash = labels.fingerprint().bits();
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    let place = hash as f64 / u64::MAX as f64;
    if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio }
}
