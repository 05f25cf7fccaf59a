//! How rules ask for data.

use crate::model::{Labels, Matcher, TimeRange, Timestamp};
use crate::promql::Value;
use std::fmt;

pub use crate::template::QuerySample;

/// Runs queries for rules, at a time and with the limits of rules. Methods block.
pub trait Querier: Send + Sync + fmt::Debug {
    /// The instant vector that `query` yields at `at`; a scalar is one element without labels.
    /// Elements keep the metric's name where the expression keeps it.
    ///
    /// # Errors
    /// A sentence: why there is no answer.
    fn instant(&self, query: &str, at: Timestamp) -> Result<Vec<QuerySample>, String>;

    /// The newest sample in `range` of each series that matches all of `matchers`, staleness
    /// markers included.
    ///
    /// # Errors
    /// A sentence: why there is no answer.
    fn newest(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Newest>, String> {
        let _ = (matchers, range);
        Ok(Vec::new())
    }

    /// Whether the answers are wanted no longer: an evaluation then ends before its next rule.
    fn is_over(&self) -> bool {
        false
    }
}

/// The newest sample of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Newest {
    /// The series.
    pub labels: Labels,
    /// When the sample is from.
    pub at: Timestamp,
    /// Its value.
    pub value: f64,
}

/// What a rule makes of a query's value.
///
/// # Errors
/// It is neither a vector nor a scalar.
pub fn answer(value: Value) -> Result<Vec<QuerySample>, String> {
    match value {
        Value::Vector(samples) => Ok(samples
            .into_iter()
            .map(|sample| QuerySample { labels: sample.metric, value: sample.value })
            .collect()),
        Value::Scalar(sample) => {
            Ok(vec![QuerySample { labels: Labels::empty(), value: sample.value }])
        }
        Value::String(..) | Value::Matrix(_) => {
            Err("rule result is not a vector or scalar".to_owned())
        }
    }
}

/// Labels without the metric's name, as alerts have them.
pub(super) fn unnamed(labels: &Labels) -> Labels {
    labels.without_name()
}
