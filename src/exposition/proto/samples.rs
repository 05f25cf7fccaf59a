//! What samples a metric is: those that its text form has, the counts before the bounds.

use super::fields::Message;
use super::{Family, Histogram, Metric, MetricValue, ProtoError, Summary, each_label};
use crate::exposition::error::excerpt;
use crate::exposition::parse::LINE_BYTES_MAX;
use crate::exposition::series::{Pairs, named_twice};
use crate::exposition::value;
use crate::model::{
    Exemplar, LabelsBuilder, METRIC_NAME, ORDINARY_NAN_BITS, Timestamp, is_stale_nan,
};
use std::borrow::Cow;

/// One sample of a metric.
#[derive(Clone, Copy, Debug)]
pub struct MetricSample<'a> {
    /// What follows the family's name, as `_bucket` does.
    pub suffix: &'static str,
    /// The label that stands for its part of the metric, `le` or `quantile`, and its number.
    pub bound: Option<(&'static str, f64)>,
    /// Its value, never the mark of a series' end.
    pub value: f64,
    /// Its exemplar.
    pub exemplar: Option<ExemplarMessage<'a>>,
}

impl<'a> MetricSample<'a> {
    fn new(suffix: &'static str, value: f64) -> Self {
        // Any other NaN is the target's own.
        let value = if is_stale_nan(value) { f64::from_bits(ORDINARY_NAN_BITS) } else { value };
        Self { suffix, bound: None, value, exemplar: None }
    }

    const fn at(self, label: &'static str, bound: f64) -> Self {
        Self { bound: Some((label, bound)), ..self }
    }

    const fn with(self, exemplar: Option<ExemplarMessage<'a>>) -> Self {
        Self { exemplar, ..self }
    }
}

impl<'a> Metric<'a> {
    /// Calls `take` for each of its samples, in upstream's order.
    ///
    /// A histogram is read as a classic one: where the bucket of +Inf is missing, the count stands
    /// in, and what follows that bucket is not read. A value that is not set is 0.
    ///
    /// # Errors
    /// Those of `take`, and what is wrong with the message.
    pub fn each_sample<E: From<ProtoError>>(
        &self,
        mut take: impl FnMut(MetricSample<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.value {
            None => take(MetricSample::new("", 0.0)),
            Some(MetricValue::Single(value, exemplar)) => {
                take(MetricSample::new("", value).with(exemplar))
            }
            Some(MetricValue::Summary(summary)) => summary.each_sample(take),
            Some(MetricValue::Histogram(histogram)) => histogram.each_sample(&mut take),
        }
    }

    /// The series of one of its samples, as text would have it, into `pairs`, which is emptied.
    ///
    /// # Errors
    /// A label has no name, stands twice, or is no UTF-8.
    pub fn read_series(
        &self,
        family: &Family<'a>,
        sample: &MetricSample<'_>,
        pairs: &mut Pairs<'a>,
    ) -> Result<(), ProtoError> {
        pairs.clear();
        let name = match sample.suffix {
            "" => Cow::Borrowed(family.name),
            suffix => Cow::Owned(format!("{}{suffix}", family.name)),
        };
        pairs.push((Cow::Borrowed(METRIC_NAME), name));
        self.read_labels(pairs).map_err(|err| family.named(err))?;
        if let Some((label, bound)) = sample.bound {
            pairs.push((Cow::Borrowed(label), Cow::Owned(value::uniform(bound))));
        }
        match named_twice(pairs) {
            None => Ok(()),
            Some(name) => {
                let text = format!("label name {} is not unique", excerpt(name.as_bytes()));
                Err(family.named(self.message.fault(self.message.bytes, text)))
            }
        }
    }
}

impl<'a> Summary<'a> {
    fn each_sample<E: From<ProtoError>>(
        &self,
        mut take: impl FnMut(MetricSample<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        take(MetricSample::new("_count", whole(self.count)))?;
        take(MetricSample::new("_sum", self.sum))?;
        for quantile in self.quantiles() {
            let (rank, value) = quantile?;
            take(MetricSample::new("", value).at("quantile", rank))?;
        }
        Ok(())
    }
}

impl<'a> Histogram<'a> {
    fn each_sample<E: From<ProtoError>>(
        &self,
        take: &mut impl FnMut(MetricSample<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        let count = either(self.count, self.float_count);
        take(MetricSample::new("_count", count))?;
        take(MetricSample::new("_sum", self.sum))?;
        for bucket in self.buckets() {
            let bucket = bucket?;
            let value = either(bucket.count, bucket.float_count);
            let sample = MetricSample::new("_bucket", value).at("le", bucket.bound);
            take(sample.with(bucket.exemplar))?;
            if bucket.bound == f64::INFINITY {
                return Ok(());
            }
        }
        take(MetricSample::new("_bucket", count).at("le", f64::INFINITY))
    }
}

/// The count with a fraction, unless it is 0.
fn either(count: u64, float_count: f64) -> f64 {
    if float_count == 0.0 { whole(count) } else { float_count }
}

#[expect(clippy::cast_precision_loss, reason = "samples are floats: upstream rounds counts too")]
const fn whole(count: u64) -> f64 {
    count as f64
}

/// An exemplar, whole, but not taken apart.
#[derive(Clone, Copy, Debug)]
pub struct ExemplarMessage<'a> {
    message: Message<'a>,
    value: f64,
    ts: Option<Timestamp>,
}

impl<'a> ExemplarMessage<'a> {
    pub(super) fn read(message: Message<'a>) -> Result<Self, ProtoError> {
        if message.bytes.len() > LINE_BYTES_MAX {
            let text = format!("an exemplar is longer than {LINE_BYTES_MAX} bytes");
            return Err(message.fault(message.bytes, text));
        }
        let (mut value, mut ts) = (0.0, None);
        for field in message.fields() {
            let (tag, field) = field?;
            match tag {
                2 => value = message.double_of(tag, field)?,
                3 => ts = Some(time(message.inner(message.bytes_of(tag, field)?))?),
                _ => {}
            }
        }
        each_label(message, |_, _| {})?;
        Ok(Self { message, value, ts })
    }

    /// The exemplar of a sample at `sample_ts`, which is its time when it has none of its own.
    pub fn exemplar(&self, sample_ts: Timestamp) -> Exemplar {
        let mut labels = LabelsBuilder::default();
        // It was walked over when the bucket was read, so there is no fault.
        let _ = each_label(self.message, |name, value| {
            labels.set(name, value);
        });
        let ts = self.ts.unwrap_or(sample_ts);
        Exemplar { labels: labels.build(), value: self.value, ts, has_own_ts: self.ts.is_some() }
    }
}

/// A `google.protobuf.Timestamp`, cut to milliseconds.
fn time(message: Message<'_>) -> Result<Timestamp, ProtoError> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in message.fields() {
        let (tag, field) = field?;
        match tag {
            1 => seconds = message.varint_of(tag, field)?.cast_signed(),
            2 => nanos = message.varint_of(tag, field)?.cast_signed(),
            _ => {}
        }
    }
    let millis = seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000);
    Ok(Timestamp::from_millis(millis))
}
