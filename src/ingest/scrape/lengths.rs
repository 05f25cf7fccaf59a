//! How long the time between two scrapes really was: `prometheus_target_interval_length_seconds`,
//! which dashboards read as quantiles for each configured interval.

use crate::sys::metrics::{Cell, Registry};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const NAME: &str = "prometheus_target_interval_length_seconds";
const HELP: &str = "Time between two scrapes, for each configured interval.";

/// The quantiles that Prometheus offers, as text and in percent.
const PERCENTS: [(&str, usize); 5] =
    [("0.01", 1), ("0.05", 5), ("0.5", 50), ("0.9", 90), ("0.99", 99)];

/// Lengths that the quantiles are taken of: enough for the 99th, cheap to sort.
const RECENT: usize = 256;

#[derive(Debug)]
struct Recent {
    seconds: VecDeque<f64>,
    /// The same in order: to sort them at each scrape would take as long as to read its lines.
    sorted: Vec<f64>,
    quantiles: Vec<Cell>,
}

/// The lengths of all intervals.
#[derive(Debug)]
pub(super) struct Lengths {
    registry: Registry,
    by_interval: Mutex<BTreeMap<Duration, Recent>>,
}

impl Lengths {
    /// Lengths shown in this registry.
    pub(super) fn new(registry: &Registry) -> Self {
        Self { registry: registry.clone(), by_interval: Mutex::default() }
    }

    /// A target of this interval was scraped `length` after its scrape before.
    pub(super) fn observe(&self, interval: Duration, length: Duration) {
        let mut all = self.by_interval.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = all.entry(interval).or_insert_with(|| self.recent(interval));
        recent.push(length.as_secs_f64());
        let sorted = &recent.sorted;
        for ((_, percent), cell) in PERCENTS.iter().zip(&recent.quantiles) {
            let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            cell.set(sorted.get(place).copied().unwrap_or(f64::NAN));
        }
    }

    fn recent(&self, interval: Duration) -> Recent {
        let interval = go_text(interval);
        let cell = |quantile: &str| {
            self.registry.gauge(NAME, HELP, &[("interval", &interval), ("quantile", quantile)])
        };
        Recent {
            seconds: VecDeque::with_capacity(RECENT),
            sorted: Vec::with_capacity(RECENT),
            quantiles: PERCENTS.iter().map(|(text, _)| cell(text)).collect(),
        }
    }
}

impl Recent {
    /// Takes a length in, and the oldest out when there are enough.
    fn push(&mut self, seconds: f64) {
        if self.seconds.len() == RECENT
            && let Some(oldest) = self.seconds.pop_front()
            && let Ok(place) = self.sorted.binary_search_by(|one| one.total_cmp(&oldest))
        {
            self.sorted.remove(place);
        }
        self.seconds.push_back(seconds);
        let place = self.sorted.partition_point(|one| one.total_cmp(&seconds).is_lt());
        self.sorted.insert(place, seconds);
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
        let interval = Duration::from_secs(15);
        // Old ones leave: these are gone after the next 256.
        lengths.observe(interval, Duration::from_secs(1_000));
        for millis in 1..=256 {
            lengths.observe(interval, Duration::from_millis(millis));
        }
        let found = |quantile| {
            registry.gauge(NAME, HELP, &[("interval", "15s"), ("quantile", quantile)]).get()
        };
        // Nearest rank: the 128th and the 254th of 256.
        assert_eq!((found("0.5"), found("0.99")), (0.128, 0.254));
    }
}
