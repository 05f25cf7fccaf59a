//! The settings of the query engine.

pub use super::syntax::Features;
use std::time::Duration;

/// Limits and defaults of all queries. Flags and the `watchbell` section set them.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// How far back an instant selector looks for the newest sample.
    pub lookback: Duration,
    /// How long a query may run.
    pub timeout: Duration,
    /// Samples that one query may hold at a time.
    pub samples_max: usize,
    /// Bytes that all running queries may hold together. One that runs alone may use all of them,
    /// apart from the part that is kept for rules.
    pub bytes_max: usize,
    /// Series that one selector may find.
    pub series_max: usize,
    /// Step of subqueries that have none: the global evaluation interval.
    pub evaluation_interval: Duration,
    /// What of the language is allowed.
    pub features: Features,
    /// `promql-delayed-name-removal`: names go at the end of the query, not in each operation.
    pub delayed_name_removal: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lookback: Duration::from_secs(300),
            timeout: Duration::from_secs(120),
            samples_max: 50_000_000,
            // reliability.md, section 1.
            bytes_max: 256 << 20,
            series_max: 1_000_000,
            evaluation_interval: Duration::from_secs(60),
            features: Features::default(),
            delayed_name_removal: false,
        }
    }
}
