//! What a recording rule makes of its result.
//!
//! Source: prometheus, rules/recording.go.

use super::error::RuleError;
use super::query::QuerySample;
use crate::model::{Labels, METRIC_NAME};
use std::collections::{BTreeMap, BTreeSet};

/// Names the result's series and sets the rule's labels; an empty label deletes.
///
/// # Errors
/// Two series became the same, or there are more than `limit` (0 is any number).
pub(super) fn apply(
    name: &str,
    labels: &BTreeMap<String, String>,
    limit: u64,
    result: &[QuerySample],
) -> Result<Vec<(Labels, f64)>, RuleError> {
    let mut seen = BTreeSet::new();
    let mut out = Vec::with_capacity(result.len());
    for sample in result {
        let series = named(name, labels, &sample.labels);
        if !seen.insert(series.clone()) {
            return Err(RuleError::Duplicate { kind: "rule" });
        }
        out.push((series, sample.value));
    }
    let found = out.len();
    if limit > 0 && u64::try_from(found).unwrap_or(u64::MAX) > limit {
        return Err(RuleError::Limit { limit, found, what: "series" });
    }
    Ok(out)
}

/// The recorded series of one of the result's.
pub(super) fn named(name: &str, labels: &BTreeMap<String, String>, of: &Labels) -> Labels {
    let mut builder = of.to_builder();
    builder.set(METRIC_NAME, name);
    for (name, value) in labels {
        builder.set(name, value);
    }
    builder.build()
}
