//! How long the time between two scrapes really was: `prometheus_target_interval_length_seconds`,
//! which dashboards read as quantiles for each configured interval.

use crate::model::duration::go_text;
use crate::sys::locks::lock;
use crate::sys::metrics::{Quantiles, Registry};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

const NAME: &str = "prometheus_target_interval_length_seconds";
const HELP: &str = "Time between two scrapes, for each configured interval.";

/// The quantiles that Prometheus offers.
const SHOWN: &[(&str, f64)] =
    &[("0.01", 0.01), ("0.05", 0.05), ("0.5", 0.5), ("0.9", 0.9), ("0.99", 0.99)];

/// The lengths of all intervals.
#[derive(Debug)]
pub(super) struct Lengths {
    registry: Registry,
    by_interval: Mutex<BTreeMap<Duration, Quantiles>>,
}

impl Lengths {
    /// Lengths shown in this registry.
    pub(super) fn new(registry: &Registry) -> Self {
        Self { registry: registry.clone(), by_interval: Mutex::default() }
    }

    /// A target of this interval was scraped `length` after its scrape before.
    pub(super) fn observe(&self, interval: Duration, length: Duration) {
        let mut all = lock(&self.by_interval);
        all.entry(interval).or_insert_with(|| self.made(interval)).observe(length.as_secs_f64());
    }

    fn made(&self, interval: Duration) -> Quantiles {
        self.registry.summary(NAME, HELP, &[("interval", &go_text(interval))], SHOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::metrics::FamilySample;

    #[test]
    fn quantiles_are_those_of_recent_lengths() {
        let registry = Registry::new();
        let lengths = Lengths::new(&registry);
        for millis in 1..=100 {
            lengths.observe(Duration::from_secs(15), Duration::from_millis(millis));
        }
        let families = registry.gather();
        let samples = &families.iter().find(|family| family.name == NAME).expect("it").samples;
        let value = |suffix: &str, quantile: Option<&str>| {
            let is_it = |sample: &&FamilySample| {
                sample.suffix == suffix && sample.labels.get("quantile") == quantile
            };
            samples.iter().find(is_it).expect("a sample").value
        };
        // Nearest rank.
        for (quantile, length) in
            [("0.01", 0.001), ("0.05", 0.005), ("0.5", 0.05), ("0.9", 0.09), ("0.99", 0.099)]
        {
            assert_eq!(value("", Some(quantile)), length, "{quantile}");
        }
        assert_eq!(value("_count", None), 100.0);
        assert!((value("_sum", None) - 5.05).abs() < 1e-9);
        assert!(samples.iter().all(|sample| sample.labels.get("interval") == Some("15s")));
    }
}
