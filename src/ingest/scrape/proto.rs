//! From a body of protobuf to the samples of a commit: metric by metric, with the limits, the cache
//! and the relabelling that text has.
//!
//! Start timestamps are read over, as those of OpenMetrics' `_created` lines are: the store has no
//! place for them.

use super::intake::{Intake, Rejected};
use crate::exposition::{Families, Family, Metric, MetricSample, MetricValue, ProtoError};
use crate::model::Timestamp;
use crate::storage::append::AppendExemplar;

/// As text a body may be so many times longer than the longest body: a name and labels that stand
/// once in a metric belong to each of its samples, and one byte of a bucket must not cost the work
/// of a line.
const TEXT_BODIES_MAX: usize = 2;

/// About what a bound and a suffix add to a series.
const PART_BYTES: usize = 16;

impl From<ProtoError> for Rejected {
    fn from(err: ProtoError) -> Self {
        Self::Other(err.to_string())
    }
}

impl Intake<'_> {
    /// Takes in delimited families.
    pub(super) fn protobuf(&mut self, body: &[u8]) -> Result<(), Rejected> {
        let mut text_bytes = 0;
        for family in Families::new(body) {
            let family = family?;
            if family.metric_count == 0 {
                continue;
            }
            let unit = Some(family.unit).filter(|unit| !unit.is_empty());
            let key = self.cache.key_of((family.name, family.kind, family.help, unit));
            self.describe(key, family.name, Some(family.kind), Some(family.help), unit);
            for metric in family.metrics() {
                self.metric(&family, &metric?, &mut text_bytes)?;
            }
        }
        Ok(())
    }

    fn metric(
        &mut self,
        family: &Family<'_>,
        metric: &Metric<'_>,
        text_bytes: &mut usize,
    ) -> Result<(), Rejected> {
        self.count_native(metric);
        // As upstream: 0 is no time.
        let own_ts = metric.timestamp_ms.filter(|ms| *ms != 0).map(Timestamp::from_millis);
        let own_ts = own_ts.filter(|_| self.terms.job.honor_timestamps);
        let base = self.cache.key_of((family.name, metric.raw_labels()));
        let bytes = family.name.len() + metric.label_bytes() + PART_BYTES;
        let bytes_max = self.terms.safety.body_bytes_max.saturating_mul(TEXT_BODIES_MAX);
        metric.each_sample(|sample| {
            *text_bytes += bytes;
            if *text_bytes > bytes_max {
                return Err(Rejected::Other(format!(
                    "body size limit exceeded: as text the samples are longer than {bytes_max} \
                     bytes, a safety limit (--scrape.max-body-bytes)"
                )));
            }
            self.part(base, family, metric, &sample, own_ts)
        })
    }

    /// One sample of a metric whose name and labels have the key `base`.
    fn part(
        &mut self,
        base: u64,
        family: &Family<'_>,
        metric: &Metric<'_>,
        sample: &MetricSample<'_>,
        own_ts: Option<Timestamp>,
    ) -> Result<(), Rejected> {
        let bound = sample.bound.map(|(_, bound)| bound.to_bits());
        let key = self.cache.key_of((base, sample.suffix, bound));
        let place = self.commit.samples.len();
        self.sample((key, 0), own_ts, sample.value, |pairs| {
            metric.read_series(family, sample, pairs).map_err(|err| err.to_string())
        })?;
        // Only a sample that is kept has one.
        if let Some(message) = sample.exemplar
            && let Some(kept) = self.commit.samples.get(place)
        {
            let exemplar = message.exemplar(kept.ts);
            self.commit.exemplars.push(AppendExemplar { series: kept.series, exemplar });
        }
        Ok(())
    }

    /// Counts a histogram of which something is lost: its native part where that was asked for, or
    /// where there is no other.
    fn count_native(&mut self, metric: &Metric<'_>) {
        if let Some(MetricValue::Histogram(histogram)) = metric.value
            && histogram.is_native
            && (self.terms.job.native_histograms || histogram.bucket_count == 0)
        {
            self.native += 1;
            let text = "the target exposes native histograms, of which only the sum, the count and \
                        the classic buckets are kept";
            self.note(text.to_owned());
        }
    }
}
