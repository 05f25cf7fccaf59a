//! How rules ask for data.

use crate::model::{Labels, Timestamp};
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
}

/// Labels without the metric's name, as alerts have them.
pub(super) fn unnamed(labels: &Labels) -> Labels {
    labels.without_name()
}
