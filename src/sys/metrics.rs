//! The process' own metrics: a registry that `api` prints and `ingest` reads as a target.

use crate::model::{Labels, MetricType};
use crate::sys::locks::lock;
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A number that any thread may change.
#[derive(Clone, Debug, Default)]
pub struct Cell(Arc<AtomicU64>);

impl Cell {
    /// Adds to it.
    pub fn add(&self, amount: f64) {
        let add = |bits: u64| Some((f64::from_bits(bits) + amount).to_bits());
        // The closure always answers, so this cannot fail.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Adds one.
    pub fn inc(&self) {
        self.add(1.0);
    }

    /// Replaces it.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// What it is.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// Counts of observations in buckets.
#[derive(Clone, Debug)]
pub struct Buckets {
    /// Upper bounds, rising, without +Inf.
    bounds: Arc<[f64]>,
    /// One count a bound and one for +Inf, not cumulative; then the sum.
    counts: Arc<[Cell]>,
    sum: Cell,
}

impl Buckets {
    /// Counts one observation.
    pub fn observe(&self, value: f64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(at) {
            count.inc();
        }
        self.sum.add(value);
    }
}

/// Observations of which the latest are kept, for quantiles over them.
#[derive(Clone, Debug)]
pub struct Quantiles(Arc<Mutex<Recent>>);

#[derive(Debug)]
struct Recent {
    /// The quantiles that are shown, by the text of their label.
    shown: &'static [(&'static str, f64)],
    latest: VecDeque<f64>,
    sum: f64,
    count: f64,
}

/// So many observations make the quantiles.
const RECENT_MAX: usize = 512;
/// The quantiles of most summaries: those of Prometheus' own.
pub const QUANTILES: &[(&str, f64)] = &[("0.5", 0.5), ("0.9", 0.9), ("0.99", 0.99)];

impl Quantiles {
    fn new(shown: &'static [(&'static str, f64)]) -> Self {
        let recent = Recent { shown, latest: VecDeque::new(), sum: 0.0, count: 0.0 };
        Self(Arc::new(Mutex::new(recent)))
    }

    /// Counts one observation.
    pub fn observe(&self, value: f64) {
        let mut recent = lock(&self.0);
        if recent.latest.len() >= RECENT_MAX {
            recent.latest.pop_front();
        }
        recent.latest.push_back(value);
        recent.sum += value;
        recent.count += 1.0;
    }

    /// The quantiles, sum and count; a quantile of nothing is NaN.
    fn samples(&self, labels: &Labels) -> Vec<FamilySample> {
        let recent = lock(&self.0);
        let mut sorted: Vec<f64> = recent.latest.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let one = |suffix, labels, value| FamilySample { suffix, labels, value };
        let quantile = |(text, q): &(&str, f64)| {
            let rank = sorted
                .iter()
                .enumerate()
                .find(|(place, _)| (place + 1) as f64 >= q * sorted.len() as f64);
            let labels = labels.to_builder().set("quantile", *text).build();
            one("", labels, rank.map_or(f64::NAN, |(_, value)| *value))
        };
        let mut samples: Vec<FamilySample> = recent.shown.iter().map(quantile).collect();
        samples.push(one("_sum", labels.clone(), recent.sum));
        samples.push(one("_count", labels.clone(), recent.count));
        samples
    }
}

/// One sample of a family.
#[derive(Clone, Debug, PartialEq)]
pub struct FamilySample {
    /// What follows the family's name: empty, `_bucket`, `_count`, `_sum`.
    pub suffix: &'static str,
    /// Its labels without the name.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

/// All series of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The metric's name.
    pub name: String,
    /// One sentence.
    pub help: Cow<'static, str>,
    /// Its type.
    pub kind: MetricType,
    /// Its samples, by labels.
    pub samples: Vec<FamilySample>,
}

#[derive(Clone, Debug)]
enum Series {
    Cell(Cell),
    Buckets(Buckets),
    Quantiles(Quantiles),
}

#[derive(Debug)]
struct Entry {
    help: &'static str,
    kind: MetricType,
    series: BTreeMap<Labels, Series>,
}

/// All metrics of the process. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
}

impl Registry {
    /// A registry without metrics.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counter of this name and these labels, made at the first call.
    pub fn counter(&self, name: &str, help: &'static str, labels: &[(&str, &str)]) -> Cell {
        self.cell(name, help, MetricType::Counter, labels)
    }

    /// The gauge of this name and these labels, made at the first call.
    pub fn gauge(&self, name: &str, help: &'static str, labels: &[(&str, &str)]) -> Cell {
        self.cell(name, help, MetricType::Gauge, labels)
    }

    /// The histogram of this name and these labels, made at the first call.
    pub fn histogram(
        &self,
        name: &str,
        help: &'static str,
        labels: &[(&str, &str)],
        bounds: &[f64],
    ) -> Buckets {
        let made = Series::Buckets(Buckets {
            bounds: bounds.into(),
            counts: (0..=bounds.len()).map(|_| Cell::default()).collect(),
            sum: Cell::default(),
        });
        match self.entry(name, help, MetricType::Histogram, labels, made) {
            Series::Buckets(buckets) => buckets,
            Series::Cell(_) | Series::Quantiles(_) => panic!("BUG: {name} is no histogram"),
        }
    }

    /// The summary of this name and these labels, made at the first call; it shows the quantiles
    /// with these texts, from 0 to 1.
    pub fn summary(
        &self,
        name: &str,
        help: &'static str,
        labels: &[(&str, &str)],
        shown: &'static [(&'static str, f64)],
    ) -> Quantiles {
        let made = Series::Quantiles(Quantiles::new(shown));
        match self.entry(name, help, MetricType::Summary, labels, made) {
            Series::Quantiles(quantiles) => quantiles,
            Series::Cell(_) | Series::Buckets(_) => panic!("BUG: {name} is no summary"),
        }
    }

    /// Forgets one series of a metric.
    pub fn remove(&self, name: &str, labels: &[(&str, &str)]) {
        let labels = Labels::from_pairs(labels.iter().copied());
        if let Some(entry) = self.lock().get_mut(name) {
            entry.series.remove(&labels);
        }
    }

    /// Everything as it is now, by name.
    pub fn gather(&self) -> Vec<Family> {
        let entries = self.lock();
        entries
            .iter()
            .map(|(name, entry)| Family {
                name: name.clone(),
                help: Cow::Borrowed(entry.help),
                kind: entry.kind,
                samples: entry
                    .series
                    .iter()
                    .flat_map(|(labels, one)| samples(labels, one))
                    .collect(),
            })
            .collect()
    }

    fn cell(
        &self,
        name: &str,
        help: &'static str,
        kind: MetricType,
        labels: &[(&str, &str)],
    ) -> Cell {
        match self.entry(name, help, kind, labels, Series::Cell(Cell::default())) {
            Series::Cell(cell) => cell,
            Series::Buckets(_) | Series::Quantiles(_) => panic!("BUG: {name} is no number"),
        }
    }

    fn entry(
        &self,
        name: &str,
        help: &'static str,
        kind: MetricType,
        labels: &[(&str, &str)],
        made: Series,
    ) -> Series {
        let labels = Labels::from_pairs(labels.iter().copied());
        let mut entries = self.lock();
        let entry = entries.entry(name.to_owned()).or_insert_with(|| Entry {
            help,
            kind,
            series: BTreeMap::new(),
        });
        entry.series.entry(labels).or_insert(made).clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Entry>> {
        lock(&self.entries)
    }
}

fn samples(labels: &Labels, series: &Series) -> Vec<FamilySample> {
    let one = |suffix, labels: Labels, value| FamilySample { suffix, labels, value };
    match series {
        Series::Quantiles(quantiles) => quantiles.samples(labels),
        Series::Cell(cell) => vec![one("", labels.clone(), cell.get())],
        Series::Buckets(buckets) => {
            let mut total = 0.0;
            let bounds = buckets.bounds.iter().copied().chain([f64::INFINITY]);
            let mut out = Vec::new();
            for (bound, count) in bounds.zip(buckets.counts.iter()) {
                total += count.get();
                let le = crate::model::value_text::plain(bound);
                out.push(one("_bucket", labels.to_builder().set("le", le).build(), total));
            }
            out.push(one("_sum", labels.clone(), buckets.sum.get()));
            out.push(one("_count", labels.clone(), total));
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_and_labels_are_the_same_cell() {
        let registry = Registry::new();
        registry.counter("c_total", "Counts.", &[("a", "1")]).inc();
        registry.counter("c_total", "Counts.", &[("a", "1")]).add(2.0);
        let families = registry.gather();
        assert_eq!(families.len(), 1);
        assert_eq!(families[0].samples[0].value, 3.0);
    }

    #[test]
    fn quantiles_are_of_the_latest_and_the_count_is_of_all() {
        let registry = Registry::new();
        let summary = registry.summary("s", "Times.", &[("a", "1")], QUANTILES);
        let found = || -> Vec<(String, f64)> {
            let samples = registry.gather().remove(0).samples;
            samples
                .into_iter()
                .map(|one| (one.suffix.to_owned() + &one.labels.to_string(), one.value))
                .collect()
        };
        assert!(found()[0].1.is_nan());
        for value in std::iter::repeat_n(1000.0, 10).chain((1..=512).map(f64::from)) {
            summary.observe(value);
        }
        let expected = [
            ("{a=\"1\", quantile=\"0.5\"}", 256.0),
            ("{a=\"1\", quantile=\"0.9\"}", 461.0),
            ("{a=\"1\", quantile=\"0.99\"}", 507.0),
            ("_sum{a=\"1\"}", 10_000.0 + 512.0 * 513.0 / 2.0),
            ("_count{a=\"1\"}", 522.0),
        ];
        assert_eq!(found(), expected.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn buckets_are_cumulative_and_their_bounds_belong_to_them() {
        let registry = Registry::new();
        let buckets = registry.histogram("h", "Spread.", &[], &[0.1, 1.0]);
        for value in [0.1, 0.5, 5.0] {
            buckets.observe(value);
        }
        let found: Vec<_> =
            registry.gather()[0].samples.iter().map(|s| (s.suffix, s.value)).collect();
        let expected =
            [("_bucket", 1.0), ("_bucket", 2.0), ("_bucket", 3.0), ("_sum", 5.6), ("_count", 3.0)];
        assert_eq!(found, expected);
    }
}
