//! From a request to a commit: resource by resource, scope by scope, metric by metric.
//!
//! Nothing is built of a message before it is bounded: each level is walked as bytes, and only
//! leaves are decoded.
//!
//! Source: prometheus, storage/remote/otlptranslator/prometheusremotewrite/metrics_to_prw.go.

use super::context::{
    Attributes, Pairs, Resource, attributes, count, fields, point_labels, scope_labels,
};
use super::message::{DataHead, MetricHead, PointTime, ScopeHead};
use super::name::{self, Shape};
use crate::ingest::config::OtlpSettings;
use crate::ingest::limits::{HELP_BYTES_MAX, METADATA_MAX, SafetyLimits};
use crate::ingest::receive::{ReceiveError, Received, checked_labels, cut, malformed, next_field};
use crate::model::{Exemplar, Labels, METRIC_NAME, Metadata, MetricType, Timestamp};
use crate::storage::append::{AppendExemplar, AppendSample};
use prost::Message as _;
use std::collections::HashSet;
use std::time::Duration;

/// The series that tells about a resource.
const TARGET_INFO: &str = "target_info";

/// Samples of one resource's `target_info`: two days at the usual distance.
const TARGET_INFO_MAX: u64 = 1_000;

const NANOS_IN_MILLI: u64 = 1_000_000;
/// `aggregation_temporality`: cumulative.
const CUMULATIVE: i32 = 2;

/// The data of a metric, by its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    Gauge,
    Sum,
    Histogram,
    ExponentialHistogram,
    Summary,
}

impl Data {
    const fn of(tag: u32) -> Option<Self> {
        Some(match tag {
            5 => Self::Gauge,
            7 => Self::Sum,
            9 => Self::Histogram,
            10 => Self::ExponentialHistogram,
            11 => Self::Summary,
            _ => return None,
        })
    }

    const fn has_temporality(self) -> bool {
        matches!(self, Self::Sum | Self::Histogram | Self::ExponentialHistogram)
    }
}

/// A metric whose points are read.
pub(super) struct Family<'a> {
    /// Its name here.
    pub(super) name: String,
    /// Whether its points count from a start on.
    pub(super) counts: bool,
    pub(super) resource: &'a Resource,
    pub(super) scope: &'a Pairs,
}

/// One value of a series.
pub(super) struct Point {
    pub(super) labels: Pairs,
    /// Nanoseconds.
    pub(super) start: u64,
    /// Nanoseconds.
    pub(super) time: u64,
    pub(super) value: f64,
    pub(super) exemplars: Vec<Exemplar>,
}

/// First and last time of a resource's points, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: u64,
    last: u64,
}

/// Reads requests into one commit.
pub(super) struct Translator<'a> {
    pub(super) settings: &'a OtlpSettings,
    pub(super) limits: &'a SafetyLimits,
    /// How far back queries look: half of it is between samples of `target_info`.
    lookback: Duration,
    pub(super) received: Received,
    described: HashSet<String>,
    /// `target_info` that was told: several resources of a request may be one.
    told: HashSet<(Labels, i64)>,
}

impl<'a> Translator<'a> {
    pub(super) fn new(
        settings: &'a OtlpSettings,
        limits: &'a SafetyLimits,
        lookback: Duration,
    ) -> Self {
        Self {
            settings,
            limits,
            lookback,
            received: Received::default(),
            described: HashSet::new(),
            told: HashSet::new(),
        }
    }

    /// Reads a whole request.
    ///
    /// # Errors
    /// It cannot be read, or is too much; nothing of it may be stored.
    pub(super) fn request(&mut self, bytes: &[u8]) -> Result<(), ReceiveError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if let (1, Some(bytes)) = next_field(&mut rest)? {
                self.resource(bytes)?;
            }
        }
        Ok(())
    }

    fn resource(&mut self, bytes: &[u8]) -> Result<(), ReceiveError> {
        // The resource may stand behind its metrics.
        let own = fields(bytes, 1)?.pop().unwrap_or_default();
        let (attributes, fault) = attributes(fields(own, 1)?, self.limits)?;
        let resource = match Resource::new(attributes, self.settings) {
            Ok(resource) => resource,
            Err(reason) => {
                self.received.refuse(reason);
                return Ok(());
            }
        };
        let mut span = Span { first: u64::MAX, last: 0 };
        let mut rest = bytes;
        while !rest.is_empty() {
            if let (2, Some(bytes)) = next_field(&mut rest)? {
                self.scope(bytes, &resource, &mut span)?;
            }
        }
        if span.first == u64::MAX {
            return Ok(());
        }
        match fault {
            Some(why) => self.received.refuse(format!("target_info is left out: {why}")),
            None => self.target_info(&resource, span)?,
        }
        Ok(())
    }

    fn scope(
        &mut self,
        bytes: &[u8],
        resource: &Resource,
        span: &mut Span,
    ) -> Result<(), ReceiveError> {
        let mut labels = Pairs::new();
        if self.settings.promote_scope_metadata {
            let own = fields(bytes, 1)?.pop().unwrap_or_default();
            let head = ScopeHead::decode(own).map_err(malformed)?;
            let (attributes, fault) = attributes(fields(own, 3)?, self.limits)?;
            let url = fields(bytes, 3)?.pop().unwrap_or_default();
            let url = String::from_utf8_lossy(url);
            let made = match fault {
                Some(why) => Err(why),
                None => scope_labels(&head, &url, &attributes, self.settings),
            };
            match made {
                Ok(made) => labels = made,
                Err(reason) => {
                    self.received.refuse(reason);
                    return Ok(());
                }
            }
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            if let (2, Some(bytes)) = next_field(&mut rest)? {
                self.metric(bytes, resource, &labels, span)?;
            }
        }
        Ok(())
    }

    fn metric(
        &mut self,
        bytes: &[u8],
        resource: &Resource,
        scope: &Pairs,
        span: &mut Span,
    ) -> Result<(), ReceiveError> {
        let head = MetricHead::decode(bytes).map_err(malformed)?;
        let (mut found, mut rest) = (None, bytes);
        while !rest.is_empty() {
            let (tag, field) = next_field(&mut rest)?;
            found = Data::of(tag).zip(field).or(found);
        }
        let Some((data, points)) = found else {
            self.received.refuse(format!(
                "could not get aggregation temporality for {} as it has unsupported metric type Empty",
                shown(&head.name)
            ));
            return Ok(());
        };
        see_times(points, span)?;
        let about = DataHead::decode(points).map_err(malformed)?;
        if data.has_temporality() && about.temporality != CUMULATIVE {
            self.received.refuse(format!(
                "invalid temporality and type combination for metric {:?}",
                shown(&head.name)
            ));
            return Ok(());
        }
        if data == Data::ExponentialHistogram {
            self.received.histograms += count(points, [1])?[0];
            return Ok(());
        }
        let (shape, kind) = match data {
            Data::Gauge => (Shape::Gauge, MetricType::Gauge),
            Data::Sum if about.is_monotonic => (Shape::Counter, MetricType::Counter),
            Data::Sum => (Shape::Other, MetricType::Gauge),
            Data::Histogram | Data::ExponentialHistogram => (Shape::Other, MetricType::Histogram),
            Data::Summary => (Shape::Other, MetricType::Summary),
        };
        let name = match name::metric(&head.name, &head.unit, shape, self.settings) {
            Ok(name) => name,
            Err(reason) => {
                self.received.refuse(reason);
                return Ok(());
            }
        };
        let counts = kind != MetricType::Gauge;
        let family = Family { name, counts, resource, scope };
        let before = self.received.commit.samples.len();
        let mut rest = points;
        while !rest.is_empty() {
            if let (1, Some(bytes)) = next_field(&mut rest)? {
                match data {
                    Data::Gauge => self.number(bytes, &family, false)?,
                    Data::Sum => self.number(bytes, &family, true)?,
                    Data::Histogram => self.histogram(bytes, &family)?,
                    Data::ExponentialHistogram | Data::Summary => self.summary(bytes, &family)?,
                }
            }
        }
        if self.received.commit.samples.len() > before {
            self.describe(&family.name, kind, &head.description, &name::unit(&head.unit));
        }
        Ok(())
    }

    /// The labels of a point but for its name; `None` when it is left out.
    pub(super) fn labels_of(
        &mut self,
        list: &[Vec<u8>],
        family: &Family<'_>,
    ) -> Result<Option<Pairs>, ReceiveError> {
        let (found, fault): (Attributes, _) =
            attributes(list.iter().map(Vec::as_slice), self.limits)?;
        let made = match fault {
            Some(why) => Err(why),
            None => point_labels(&found, family.resource, family.scope, self.settings),
        };
        Ok(made.map_err(|why| self.received.refuse(format!("{}: {why}", shown(&family.name)))).ok())
    }

    /// Takes one value, or refuses its series.
    pub(super) fn push(
        &mut self,
        name: &str,
        counts: bool,
        point: Point,
    ) -> Result<(), ReceiveError> {
        self.received.check_room(1 + point.exemplars.len())?;
        let Some(labels) = self.checked(name, point.labels)? else { return Ok(()) };
        let (start, ts) = (millis(point.start), millis(point.time));
        if counts && point.start != 0 && start < ts {
            self.received.starts.push((labels.clone(), start));
        }
        let series = self.received.commit.name(labels);
        self.received.commit.samples.push(AppendSample { series, ts, value: point.value });
        let exemplars =
            point.exemplars.into_iter().map(|exemplar| AppendExemplar { series, exemplar });
        self.received.commit.exemplars.extend(exemplars);
        Ok(())
    }

    /// The labels of a series, when it may have them; else it is refused.
    fn checked(&mut self, name: &str, mut pairs: Pairs) -> Result<Option<Labels>, ReceiveError> {
        pairs.insert(METRIC_NAME.to_owned(), name.to_owned());
        pairs.retain(|_, value| !value.is_empty());
        let max = self.limits.labels_max;
        let pairs: Vec<_> =
            pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.received.count_labels(pairs.iter().copied())?;
        let made = if pairs.len() > max {
            Err(format!("{}: {} labels; at most {max} are taken", shown(name), pairs.len()))
        } else {
            checked_labels(&pairs, self.limits)
        };
        Ok(made.map_err(|reason| self.received.refuse(reason)).ok())
    }

    fn describe(&mut self, name: &str, kind: MetricType, help: &str, unit: &str) {
        if self.described.len() < METADATA_MAX && self.described.insert(name.to_owned()) {
            let metadata = Metadata {
                kind,
                help: cut(help, HELP_BYTES_MAX).to_owned(),
                unit: cut(unit, HELP_BYTES_MAX).to_owned(),
            };
            self.received.commit.metadata.push((name.to_owned(), metadata));
        }
    }

    /// Tells what is known about the resource, so often that queries find it at any time.
    fn target_info(&mut self, resource: &Resource, span: Span) -> Result<(), ReceiveError> {
        let labels = match resource.target_info(self.settings) {
            Ok(Some(labels)) => labels,
            Ok(None) => return Ok(()),
            Err(reason) => {
                self.received.refuse(reason);
                return Ok(());
            }
        };
        let Some(labels) = self.checked(TARGET_INFO, labels)? else { return Ok(()) };
        self.describe(TARGET_INFO, MetricType::Gauge, "Target metadata", "");
        let series = self.received.commit.name(labels.clone());
        let step = u64::try_from(self.lookback.as_nanos() / 2).unwrap_or(u64::MAX);
        let step = step.max(NANOS_IN_MILLI);
        // Of a longer span the end is told.
        let oldest = span.last.saturating_sub(step.saturating_mul(TARGET_INFO_MAX));
        let mut time = span.first.max(oldest);
        loop {
            let ts = millis(time);
            if self.told.insert((labels.clone(), ts.as_millis())) {
                self.received.check_room(1)?;
                self.received.commit.samples.push(AppendSample { series, ts, value: 1.0 });
            }
            if time >= span.last {
                return Ok(());
            }
            time = time.saturating_add(step).min(span.last);
        }
    }
}

/// Nanoseconds as milliseconds.
pub(super) fn millis(nanos: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(nanos / NANOS_IN_MILLI).unwrap_or(i64::MAX))
}

/// A name as an answer shows it.
fn shown(name: &str) -> &str {
    cut(name, 200)
}

/// Widens `span` by the times of all points.
fn see_times(points: &[u8], span: &mut Span) -> Result<(), ReceiveError> {
    let mut rest = points;
    while !rest.is_empty() {
        if let (1, Some(bytes)) = next_field(&mut rest)? {
            let time = PointTime::decode(bytes).map_err(malformed)?.time;
            span.first = span.first.min(time);
            span.last = span.last.max(time);
        }
    }
    Ok(())
}
