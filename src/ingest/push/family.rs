//! Pushed metrics: families as a push has them, and the samples that they are.

use crate::model::{Labels, MetricType, value_text};
use crate::sys::metrics::FamilySample;

/// One metric of a family.
#[derive(Clone, Debug, PartialEq)]
pub struct PushedMetric {
    /// Its labels without the name, those of the group among them once it is in one.
    pub labels: Labels,
    /// What it says.
    pub value: PushedValue,
}

/// The value of a metric, by the type of its family.
#[derive(Clone, Debug, PartialEq)]
pub enum PushedValue {
    /// A counter, a gauge, or untyped.
    Single(f64),
    /// Cumulative buckets by upper bound, in the order of the push.
    Histogram {
        /// Bounds and counts.
        buckets: Vec<(f64, f64)>,
        /// Sum of what was observed.
        sum: f64,
        /// How much was observed: a whole number.
        count: f64,
    },
    /// Quantiles computed by the sender.
    Summary {
        /// Quantiles and values.
        quantiles: Vec<(f64, f64)>,
        /// Sum of what was observed.
        sum: f64,
        /// How much was observed: a whole number.
        count: f64,
    },
}

/// All metrics of one name in one group.
#[derive(Clone, Debug, PartialEq)]
pub struct PushedFamily {
    /// The name.
    pub name: String,
    /// One sentence, or nothing.
    pub help: String,
    /// Counter, gauge, histogram, summary, or unknown.
    pub kind: MetricType,
    /// Its metrics, in the order of the push.
    pub metrics: Vec<PushedMetric>,
}

impl PushedFamily {
    /// How many samples it is.
    pub fn sample_count(&self) -> usize {
        self.metrics.iter().map(|metric| metric.value.sample_count()).sum()
    }

    /// Bytes that it holds, about.
    pub fn byte_len(&self) -> usize {
        let metric = |metric: &PushedMetric| {
            metric.labels.byte_len() + metric.value.sample_count() * size_of::<(f64, f64)>()
        };
        let own = self.name.len() + self.help.len() + size_of::<Self>();
        own + self.metrics.iter().map(metric).sum::<usize>()
            + self.metrics.len() * size_of::<PushedMetric>()
    }

    /// Its samples, as a scrape of the Pushgateway has them.
    pub(super) fn samples(&self) -> impl Iterator<Item = FamilySample> + '_ {
        self.metrics.iter().flat_map(PushedMetric::samples)
    }
}

impl PushedValue {
    fn sample_count(&self) -> usize {
        match self {
            Self::Single(_) => 1,
            Self::Histogram { buckets, .. } => {
                buckets.len() + 2 + usize::from(!has_infinity(buckets))
            }
            Self::Summary { quantiles, .. } => quantiles.len() + 2,
        }
    }
}

/// Where the bucket of +Inf is missing, the count stands in.
fn has_infinity(buckets: &[(f64, f64)]) -> bool {
    buckets.iter().any(|(bound, _)| *bound == f64::INFINITY)
}

impl PushedMetric {
    fn samples(&self) -> Vec<FamilySample> {
        let plain = |suffix, value| FamilySample { suffix, labels: self.labels.clone(), value };
        let with = |suffix, name: &str, bound: f64, value| {
            let bound = value_text::go_default(bound);
            let labels = self.labels.to_builder().set(name, bound).build();
            FamilySample { suffix, labels, value }
        };
        match &self.value {
            PushedValue::Single(value) => vec![plain("", *value)],
            PushedValue::Histogram { buckets, sum, count } => {
                let bucket = |(bound, value): &(f64, f64)| with("_bucket", "le", *bound, *value);
                let mut out: Vec<_> = buckets.iter().map(bucket).collect();
                if !has_infinity(buckets) {
                    out.push(with("_bucket", "le", f64::INFINITY, *count));
                }
                out.extend([plain("_sum", *sum), plain("_count", *count)]);
                out
            }
            PushedValue::Summary { quantiles, sum, count } => {
                let quantile = |(rank, value): &(f64, f64)| with("", "quantile", *rank, *value);
                let mut out: Vec<_> = quantiles.iter().map(quantile).collect();
                out.extend([plain("_sum", *sum), plain("_count", *count)]);
                out
            }
        }
    }
}
