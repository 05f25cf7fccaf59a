//! The texts of warnings and infos.
//!
//! Source: prometheus, util/annotations/annotations.go (the wording is part of the API).

use crate::model::value_text::{go_default, quoted};

pub(super) const SORT_IN_RANGE: &str =
    "sort is ineffective for range queries since results are always ordered by labels";

pub(super) fn invalid_quantile(q: f64) -> String {
    format!("quantile value should be between 0 and 1, got {}", go_default(q))
}

pub(super) fn invalid_ratio(ratio: f64, capped: f64) -> String {
    let (ratio, capped) = (go_default(ratio), go_default(capped));
    format!("ratio value should be between -1 and 1, got {ratio}, capping to {capped}")
}

pub(super) fn possible_non_counter(name: &str) -> String {
    let name = quoted(name);
    format!(
        "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name}"
    )
}

/// `count` is how many windows were seen that say so.
pub(super) fn overlapping_starts(name: &str, count: usize) -> String {
    let times = if count > 1 { format!(" ({count} occurrences)") } else { String::new() };
    let name = quoted(name);
    format!(
        "sample has start time that overlaps with previous sample timestamp for metric {name}{times}"
    )
}

pub(super) fn bad_bucket_label(le: &str, metric: &str) -> String {
    let le = quoted(le);
    with_metric(format!("bucket label \"le\" is missing or has a malformed value of {le}"), metric)
}

/// What had to be changed to make buckets rise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forced {
    pub(super) first_ts: i64,
    pub(super) last_ts: i64,
    pub(super) bucket_min: f64,
    pub(super) bucket_max: f64,
    pub(super) diff_max: f64,
    pub(super) count: usize,
}

pub(super) fn forced_monotonic(metric: &str, forced: &Forced) -> String {
    let text = with_metric(
        "input to histogram_quantile needed to be fixed for monotonicity (see \
         https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
            .to_owned(),
        metric,
    );
    let (from, to) = (go_default(forced.bucket_min), go_default(forced.bucket_max));
    let diff = go_default(two_digits(forced.diff_max));
    let (first, last) = (rfc3339(forced.first_ts), rfc3339(forced.last_ts));
    format!(
        "{text}, from buckets {from} to {to}, with a max diff of {diff}, over {} samples from \
         {first} to {last}",
        forced.count
    )
}

pub(super) fn incompatible_types(op: &str) -> String {
    let op_quoted = quoted(op);
    format!(
        "incompatible sample types encountered for binary operator {op_quoted}: float {op} float"
    )
}

fn with_metric(text: String, metric: &str) -> String {
    if metric.is_empty() { text } else { format!("{text} for metric name {}", quoted(metric)) }
}

/// Rounded to two significant digits, as `%.2g` prints.
fn two_digits(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

fn rfc3339(ms: i64) -> String {
    use super::calendar::field;
    use crate::promql::syntax::Function::{DayOfMonth, Hour, Minute, Month, Year};
    let seconds = ms.div_euclid(1000);
    let part = |function| field(function, seconds as f64);
    let (year, month, day) = (part(Year), part(Month), part(DayOfMonth));
    let (hour, minute) = (part(Hour), part(Minute));
    let second = seconds.rem_euclid(60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
