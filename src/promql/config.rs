//! The settings of the query engine.

pub use super::syntax::Features;
use super::syntax::Offered;
use std::collections::BTreeMap;
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
    /// Cores that queries may use: one with a large selector takes a second where no other query
    /// wants it.
    pub cores: usize,
    /// A selector of which so many samples are expected is a large one. One core takes about a third
    /// of a second for the default; two take less time and a tenth more work.
    pub large_samples_min: usize,
    /// What of the language is allowed.
    pub features: Features,
    /// `promql-delayed-name-removal`: names go at the end of the query, not in each operation.
    pub delayed_name_removal: bool,
    /// `use-start-timestamps`: what samples say of their counter's start counts in `rate` and its
    /// kin, and `start_timestamp` shows it.
    pub start_timestamps: bool,
}

impl Config {
    /// What of the language is offered, by upstream's categories of features.
    pub fn offered(&self) -> BTreeMap<String, Offered> {
        let mut language = self.features.keywords();
        language.insert("delayed_name_removal".to_owned(), self.delayed_name_removal);
        [
            ("promql".to_owned(), language),
            ("promql_functions".to_owned(), self.features.functions()),
            ("promql_operators".to_owned(), self.features.operators()),
        ]
        .into()
    }
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
            cores: 1,
            large_samples_min: 16_000_000,
            features: Features::default(),
            delayed_name_removal: false,
            start_timestamps: false,
        }
    }
}
