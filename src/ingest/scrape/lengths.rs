//! How long the time between two scrapes really was: `prometheus_target_interval_length_seconds`,
//! which dashboards read as quantiles for each configured interval.

use crate::sys::metrics::{Quantiles, Registry};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
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
        let mut all = self.by_interval.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(interval).or_insert_with(|| self.made(interval)).observe(length.as_secs_f64());
    }

    fn made(&self, interval: Duration) -> Quantiles {
        self.registry.summary(NAME, HELP, &[("interval", &go_text(interval))], SHOWN)
    }
}

/// The interval as Go prints it, `1m0s`: that is the label's text.
fn go_text(interval: Duration) -> String {
    let (whole, nanos) = (interval.as_secs(), interval.subsec_nanos());
    if whole == 0 {
        return format!("{}ms", interval.as_millis());
    }
    let seconds = (interval - Duration::from_secs(whole - whole % 60)).as_secs_f64();
    let seconds = if nanos == 0 { (whole % 60).to_string() } else { seconds.to_string() };
    match (whole / 3600, whole / 60 % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::metrics::FamilySample;

    #[test]
    fn intervals_are_spelled_as_go_spells_them() {
        for (millis, text) in [
            (500, "500ms"),
            (1_500, "1.5s"),
            (15_000, "15s"),
            (60_000, "1m0s"),
            (90_000, "1m30s"),
            (3_600_000, "1h0m0s"),
        ] {
            assert_eq!(go_text(Duration::from_millis(millis)), text);
        }
    }

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
