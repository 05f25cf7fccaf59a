//! Reads bodies of delimited `io.prometheus.client.MetricFamily` messages, family by family and
//! metric by metric, without building them: what is handed out points into the body.
//!
//! Start reading at `Families`, then `samples.rs` (what samples a metric is). Fields may stand in
//! any order in a message, so a family is walked twice: for what it says about itself, then for its
//! metrics. A message of which protobuf would merge two into one is refused: no sender writes it.
//!
//! Source: prometheus/client_model, io/prometheus/client/metrics.proto; prometheus,
//! model/textparse/protobufparse.go.

mod fields;
#[cfg(test)]
pub(crate) mod messages;
mod samples;

#[cfg(test)]
mod tests;

pub use samples::{ExemplarMessage, MetricSample};

use super::error::excerpt;
use super::parse::LINE_BYTES_MAX;
use super::series::Pairs;
use crate::model::MetricType;
use fields::{Message, delimited};
use std::borrow::Cow;
use std::hash::{Hash, Hasher};

/// A fault in a body, with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {message}")]
pub struct ProtoError {
    /// Bytes before it.
    pub offset: usize,
    /// What was found and what is wanted.
    pub message: String,
}

/// Reads a body family by family; ends after the first error.
#[derive(Clone, Debug)]
pub struct Families<'a> {
    body: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Families<'a> {
    /// At the start of `body`.
    pub const fn new(body: &'a [u8]) -> Self {
        Self { body, rest: body }
    }

    fn step(&mut self) -> Result<Family<'a>, ProtoError> {
        let place = Message { body: self.body, bytes: self.rest };
        let bytes = delimited(place, &mut self.rest)?;
        Family::read(place.inner(bytes))
    }
}

impl<'a> Iterator for Families<'a> {
    type Item = Result<Family<'a>, ProtoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let family = self.step();
        if family.is_err() {
            self.rest = &[];
        }
        Some(family)
    }
}

/// What a family says about itself.
#[derive(Clone, Copy, Debug)]
pub struct Family<'a> {
    message: Message<'a>,
    /// The name: not empty, any UTF-8.
    pub name: &'a str,
    /// One sentence, or nothing.
    pub help: &'a str,
    /// The unit, or nothing.
    pub unit: &'a str,
    /// Counter, gauge, summary, histogram, gauge histogram, or unknown for untyped.
    pub kind: MetricType,
    /// How many metrics it has.
    pub metric_count: usize,
}

impl<'a> Family<'a> {
    fn read(message: Message<'a>) -> Result<Self, ProtoError> {
        let (mut name, mut help, mut unit) = ("", "", "");
        let (mut number, mut metric_count) = (0, 0);
        for field in message.fields() {
            let (tag, field) = field?;
            match tag {
                1 => name = message.text_of(tag, field)?,
                2 => help = message.text_of(tag, field)?,
                3 => number = message.varint_of(tag, field)?,
                4 => {
                    message.bytes_of(tag, field)?;
                    metric_count += 1;
                }
                5 => unit = message.text_of(tag, field)?,
                _ => {}
            }
        }
        if metric_count > 0 && name.is_empty() {
            return Err(message.fault(message.bytes, "a family has no name"));
        }
        // It is written out for each sample, as labels are.
        if name.len() > LINE_BYTES_MAX {
            let text = format!("the name of a family is longer than {LINE_BYTES_MAX} bytes");
            return Err(message.fault(message.bytes, text));
        }
        let kind = match number {
            0 => MetricType::Counter,
            1 => MetricType::Gauge,
            2 => MetricType::Summary,
            3 => MetricType::Unknown,
            4 => MetricType::Histogram,
            5 => MetricType::GaugeHistogram,
            _ if metric_count == 0 => MetricType::Unknown,
            other => {
                let name = excerpt(name.as_bytes());
                let text = format!("family {name}: metric type {other} is not known; 0 to 5 are");
                return Err(message.fault(message.bytes, text));
            }
        };
        Ok(Self { message, name, help, unit, kind, metric_count })
    }

    /// Its metrics.
    pub fn metrics(&self) -> impl Iterator<Item = Result<Metric<'a>, ProtoError>> + use<'a> {
        let family = *self;
        self.message.all(4).map(move |bytes| {
            let message = family.message.inner(bytes?);
            Metric::read(message, family.kind).map_err(|err| family.named(err))
        })
    }

    /// The error with the family's name.
    fn named(&self, err: ProtoError) -> ProtoError {
        let message = format!("family {}: {}", excerpt(self.name.as_bytes()), err.message);
        ProtoError { message, ..err }
    }
}

/// One metric of a family.
#[derive(Clone, Copy, Debug)]
pub struct Metric<'a> {
    message: Message<'a>,
    /// Its own time, in milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
    /// What it says; `None` when it has nothing of its family's type.
    pub value: Option<MetricValue<'a>>,
    label_bytes: usize,
}

/// The value of a metric, by the type of its family. Of two counts the one with a fraction is
/// meant, unless it is 0.
#[derive(Clone, Copy, Debug)]
pub enum MetricValue<'a> {
    /// A counter, a gauge, or untyped.
    Single(f64, Option<ExemplarMessage<'a>>),
    /// Quantiles.
    Summary(Summary<'a>),
    /// Buckets.
    Histogram(Histogram<'a>),
}

impl<'a> Metric<'a> {
    fn read(message: Message<'a>, kind: MetricType) -> Result<Self, ProtoError> {
        let wanted = match kind {
            MetricType::Gauge => 2,
            MetricType::Counter => 3,
            MetricType::Summary => 4,
            MetricType::Histogram | MetricType::GaugeHistogram => 7,
            MetricType::Info | MetricType::StateSet | MetricType::Unknown => 5,
        };
        let (mut timestamp_ms, mut value, mut label_bytes) = (None, None, 0);
        for field in message.fields() {
            let (tag, field) = field?;
            match tag {
                1 => label_bytes += message.bytes_of(tag, field)?.len() + 2,
                6 => timestamp_ms = Some(message.varint_of(tag, field)?.cast_signed()),
                _ if tag == wanted => {
                    let inner = message.inner(message.bytes_of(tag, field)?);
                    if value.is_some() {
                        return Err(message.fault(inner.bytes, "a metric has two values"));
                    }
                    value = Some(match kind {
                        MetricType::Summary => MetricValue::Summary(Summary::read(inner)?),
                        MetricType::Histogram | MetricType::GaugeHistogram => {
                            MetricValue::Histogram(Histogram::read(inner)?)
                        }
                        MetricType::Counter
                        | MetricType::Gauge
                        | MetricType::Info
                        | MetricType::StateSet
                        | MetricType::Unknown => single(inner, kind)?,
                    });
                }
                _ => {}
            }
        }
        // As long as a line of text may be: its labels are written out for each of its samples.
        if label_bytes > LINE_BYTES_MAX {
            let text = format!("the labels of a metric are longer than {LINE_BYTES_MAX} bytes");
            return Err(message.fault(message.bytes, text));
        }
        Ok(Self { message, timestamp_ms, value, label_bytes })
    }

    /// Its labels as they were written: equal ones are equal here, and mostly the other way round.
    pub const fn raw_labels(&self) -> RawLabels<'a> {
        RawLabels(self.message)
    }

    /// Bytes of its labels, as they were written.
    pub const fn label_bytes(&self) -> usize {
        self.label_bytes
    }

    /// Adds its labels to `pairs`, in the order of the message.
    ///
    /// # Errors
    /// A label has no name, or one of them is no UTF-8.
    pub fn read_labels(&self, pairs: &mut Pairs<'a>) -> Result<(), ProtoError> {
        each_label(self.message, |name, value| {
            pairs.push((Cow::Borrowed(name), Cow::Borrowed(value)));
        })
    }
}

/// Calls `take` for the labels of a metric or an exemplar: both have them as field 1.
fn each_label<'a>(
    message: Message<'a>,
    mut take: impl FnMut(&'a str, &'a str),
) -> Result<(), ProtoError> {
    for bytes in message.all(1) {
        let pair = message.inner(bytes?);
        let (mut name, mut value) = ("", "");
        for field in pair.fields() {
            let (tag, field) = field?;
            match tag {
                1 => name = pair.text_of(tag, field)?,
                2 => value = pair.text_of(tag, field)?,
                _ => {}
            }
        }
        if name.is_empty() {
            return Err(pair.fault(pair.bytes, "a label has no name"));
        }
        take(name, value);
    }
    Ok(())
}

/// The labels of a metric, not read.
#[derive(Clone, Copy, Debug)]
pub struct RawLabels<'a>(Message<'a>);

impl Hash for RawLabels<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The fields were walked over before, so there is no fault.
        for bytes in self.0.all(1).flatten() {
            bytes.hash(state);
        }
    }
}

fn single(message: Message<'_>, kind: MetricType) -> Result<MetricValue<'_>, ProtoError> {
    let (mut value, mut exemplar) = (0.0, None);
    for field in message.fields() {
        let (tag, field) = field?;
        match tag {
            1 => value = message.double_of(tag, field)?,
            2 if kind == MetricType::Counter => {
                let inner = message.inner(message.bytes_of(tag, field)?);
                exemplar = Some(ExemplarMessage::read(inner)?);
            }
            _ => {}
        }
    }
    Ok(MetricValue::Single(value, exemplar))
}

/// A summary.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a> {
    message: Message<'a>,
    /// How much was observed.
    pub count: u64,
    /// Its sum.
    pub sum: f64,
}

impl<'a> Summary<'a> {
    fn read(message: Message<'a>) -> Result<Self, ProtoError> {
        let (mut count, mut sum) = (0, 0.0);
        for field in message.fields() {
            let (tag, field) = field?;
            match tag {
                1 => count = message.varint_of(tag, field)?,
                2 => sum = message.double_of(tag, field)?,
                3 => {
                    message.bytes_of(tag, field)?;
                }
                _ => {}
            }
        }
        Ok(Self { message, count, sum })
    }

    /// Its quantiles: ranks and values.
    pub fn quantiles(&self) -> impl Iterator<Item = Result<(f64, f64), ProtoError>> + use<'a> {
        let message = self.message;
        message.all(3).map(move |bytes| {
            let quantile = message.inner(bytes?);
            let (mut rank, mut value) = (0.0, 0.0);
            for field in quantile.fields() {
                let (tag, field) = field?;
                match tag {
                    1 => rank = quantile.double_of(tag, field)?,
                    2 => value = quantile.double_of(tag, field)?,
                    _ => {}
                }
            }
            Ok((rank, value))
        })
    }
}

/// A histogram, classic, native or both.
#[derive(Clone, Copy, Debug)]
pub struct Histogram<'a> {
    message: Message<'a>,
    /// How much was observed.
    pub count: u64,
    /// The same with a fraction.
    pub float_count: f64,
    /// The sum of what was observed.
    pub sum: f64,
    /// Whether it has a native part.
    pub is_native: bool,
    /// How many classic buckets it has.
    pub bucket_count: usize,
}

/// A classic bucket.
#[derive(Clone, Copy, Debug)]
pub struct Bucket<'a> {
    /// What it and those below it count.
    pub count: u64,
    /// The same with a fraction.
    pub float_count: f64,
    /// Its upper bound.
    pub bound: f64,
    /// One of what it counts.
    pub exemplar: Option<ExemplarMessage<'a>>,
}

impl<'a> Histogram<'a> {
    fn read(message: Message<'a>) -> Result<Self, ProtoError> {
        let (mut count, mut float_count, mut sum) = (0, 0.0, 0.0);
        let (mut is_native, mut bucket_count) = (false, 0);
        for field in message.fields() {
            let (tag, field) = field?;
            match tag {
                1 => count = message.varint_of(tag, field)?,
                2 => sum = message.double_of(tag, field)?,
                3 => {
                    message.bytes_of(tag, field)?;
                    bucket_count += 1;
                }
                4 => float_count = message.double_of(tag, field)?,
                // The width of the zero bucket, its count, and spans of others.
                6 => is_native |= message.double_of(tag, field)? > 0.0,
                7 => is_native |= message.varint_of(tag, field)? > 0,
                9 | 12 => is_native = true,
                _ => {}
            }
        }
        Ok(Self { message, count, float_count, sum, is_native, bucket_count })
    }

    /// Its classic buckets, in the order of the message.
    pub fn buckets(&self) -> impl Iterator<Item = Result<Bucket<'a>, ProtoError>> + use<'a> {
        let message = self.message;
        message.all(3).map(move |bytes| {
            let inner = message.inner(bytes?);
            let mut bucket = Bucket { count: 0, float_count: 0.0, bound: 0.0, exemplar: None };
            for field in inner.fields() {
                let (tag, field) = field?;
                match tag {
                    1 => bucket.count = inner.varint_of(tag, field)?,
                    2 => bucket.bound = inner.double_of(tag, field)?,
                    3 => {
                        let exemplar = inner.inner(inner.bytes_of(tag, field)?);
                        bucket.exemplar = Some(ExemplarMessage::read(exemplar)?);
                    }
                    4 => bucket.float_count = inner.double_of(tag, field)?,
                    _ => {}
                }
            }
            Ok(bucket)
        })
    }
}
