//! From a pushed body to families: unpacked within a limit, then read line by line.
//!
//! Source: prometheus/pushgateway, handler/push.go; prometheus/common, expfmt/text_parse.go (which
//! family a line belongs to). OpenMetrics is read as such when the type of the body says so, which
//! the Pushgateway does not do.

use super::super::limits::{HELP_BYTES_MAX, PUSH_BYTES_MAX, PUSH_SAMPLES_MAX};
use super::error::PushError;
use super::family::{PushedFamily, PushedMetric, PushedValue};
use super::proto;
use crate::exposition::{Entry, Format, Media, Pairs, Parser, SampleLine};
use crate::model::{Labels, METRIC_NAME, MetricType, NameValidation, value_text};
use std::collections::{BTreeMap, HashMap};
use std::io::Read;

/// A body as it came.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    /// The header `Content-Type`.
    pub content_type: &'a str,
    /// The header `Content-Encoding`.
    pub content_encoding: &'a str,
    /// The body, still packed.
    pub bytes: &'a [u8],
}

/// What a body says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pushed {
    /// Families with metrics, by name.
    pub families: Vec<PushedFamily>,
    /// Some sample has a time of its own, which is refused.
    pub has_timestamps: bool,
}

/// Reads a body whose names are valid by `names`; any type but protobuf and OpenMetrics is taken for
/// text 0.0.4, as upstream does.
///
/// # Errors
/// `PushError::Body`: it cannot be unpacked or read, or passes a limit.
pub fn read(body: &Body<'_>, names: NameValidation) -> Result<Pushed, PushError> {
    let unpacked;
    let bytes = match body.content_encoding.to_ascii_lowercase().as_str() {
        "gzip" => {
            unpacked = bounded(flate2::read::MultiGzDecoder::new(body.bytes))?;
            &unpacked
        }
        "snappy" => {
            unpacked = bounded(snap::read::FrameDecoder::new(body.bytes))?;
            &unpacked
        }
        // As upstream: an encoding it does not know is not looked at.
        _ if body.bytes.len() > PUSH_BYTES_MAX => return Err(too_large()),
        _ => body.bytes,
    };
    match media(body.content_type) {
        Media::Protobuf => proto::read(bytes, names).map_err(PushError::Body),
        Media::Text(format) => text(bytes, format, names),
    }
}

fn media(content_type: &str) -> Media {
    let mut parts = content_type.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let has = |wanted: (&str, &str)| {
        let mut pairs = parts.clone().filter_map(|part| part.split_once('='));
        pairs.any(|(name, value)| (name.trim(), value.trim().trim_matches('"')) == wanted)
    };
    if media.eq_ignore_ascii_case("application/vnd.google.protobuf")
        && has(("encoding", "delimited"))
        && has(("proto", "io.prometheus.client.MetricFamily"))
    {
        return Media::Protobuf;
    }
    let is_open = media.eq_ignore_ascii_case("application/openmetrics-text");
    Media::Text(if is_open { Format::OpenMetrics } else { Format::Text })
}

/// All that `from` gives, if it is not too much.
fn bounded(from: impl Read) -> Result<Vec<u8>, PushError> {
    let mut out = Vec::new();
    let limit = u64::try_from(PUSH_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    from.take(limit).read_to_end(&mut out).map_err(|err| PushError::Body(err.to_string()))?;
    if out.len() > PUSH_BYTES_MAX { Err(too_large()) } else { Ok(out) }
}

fn too_large() -> PushError {
    PushError::Body(format!("the body is longer than {PUSH_BYTES_MAX} bytes, unpacked"))
}

fn text(body: &[u8], format: Format, names: NameValidation) -> Result<Pushed, PushError> {
    // A last line that has no end may be cut: upstream refuses it too.
    if format == Format::Text && body.last().is_some_and(|last| *last != b'\n') {
        let line = memchr::memchr_iter(b'\n', body).count() + 1;
        let text =
            format!("text format parsing error in line {line}: unexpected end of input stream");
        return Err(PushError::Body(text));
    }
    let mut reader = Reader { format, names, ..Reader::default() };
    for entry in Parser::new(body, format).with_loose_comments() {
        let entry = entry.map_err(|err| {
            let (line, message) = (err.line, err.message);
            PushError::Body(format!("text format parsing error in line {line}: {message}"))
        })?;
        reader.entry(entry).map_err(PushError::Body)?;
    }
    Ok(reader.finish())
}

/// A family that is being read.
#[derive(Debug, Default)]
struct Draft {
    help: Option<String>,
    kind: Option<MetricType>,
    metrics: Vec<PushedMetric>,
    /// Where the histogram or summary of these labels is.
    places: HashMap<Labels, usize>,
}

#[derive(Debug)]
struct Reader {
    format: Format,
    names: NameValidation,
    drafts: BTreeMap<String, Draft>,
    samples: usize,
    has_timestamps: bool,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            format: Format::Text,
            names: NameValidation::Legacy,
            drafts: BTreeMap::new(),
            samples: 0,
            has_timestamps: false,
        }
    }
}

impl Reader {
    fn entry(&mut self, entry: Entry<'_>) -> Result<(), String> {
        match entry {
            Entry::Sample(line) => self.sample(&line),
            Entry::Type { name, kind } => {
                let (name, draft) = self.draft(&name)?;
                if draft.kind.is_some() {
                    return Err(format!(
                        "second TYPE line for metric name {}, or TYPE reported after samples",
                        value_text::quoted(&name)
                    ));
                }
                draft.kind = Some(kind);
                Ok(())
            }
            Entry::Help { name, text } => {
                let (name, draft) = self.draft(&name)?;
                if draft.help.is_some() {
                    let name = value_text::quoted(&name);
                    return Err(format!("second HELP line for metric name {name}"));
                }
                let end = text.floor_char_boundary(HELP_BYTES_MAX);
                draft.help = Some(text.get(..end).unwrap_or_default().to_owned());
                Ok(())
            }
            Entry::Unit { .. } => Ok(()),
        }
    }

    /// The family that a line of this name belongs to, made when there is none.
    fn draft(&mut self, name: &str) -> Result<(String, &mut Draft), String> {
        let family = self.family_of(name);
        if !self.drafts.contains_key(&family) {
            check_metric_name(&family, self.names)?;
            if self.drafts.len() >= PUSH_SAMPLES_MAX {
                return Err(format!("more than {PUSH_SAMPLES_MAX} metric names in one push"));
            }
        }
        let draft = self.drafts.entry(family.clone()).or_default();
        Ok((family, draft))
    }

    /// `x_count` is of the summary or histogram `x` when that was announced, and else its own.
    fn family_of(&self, name: &str) -> String {
        if self.drafts.contains_key(name) {
            return name.to_owned();
        }
        let is = |suffix: &str, kinds: &[MetricType]| {
            let base = name.strip_suffix(suffix)?;
            let kind = self.drafts.get(base)?.kind?;
            kinds.contains(&kind).then(|| base.to_owned())
        };
        let both = [MetricType::Summary, MetricType::Histogram];
        let mut found = is("_count", &both).or_else(|| is("_sum", &both));
        found = found.or_else(|| is("_bucket", &[MetricType::Histogram]));
        if self.format == Format::OpenMetrics {
            found = found.or_else(|| is("_total", &[MetricType::Counter]));
            found = found.or_else(|| is("_info", &[MetricType::Info]));
        }
        found.unwrap_or_else(|| name.to_owned())
    }

    fn sample(&mut self, line: &SampleLine<'_>) -> Result<(), String> {
        self.samples += 1;
        if self.samples > PUSH_SAMPLES_MAX {
            return Err(format!("more than {PUSH_SAMPLES_MAX} samples in one push"));
        }
        self.has_timestamps |= line.ts.is_some();
        let mut pairs = Pairs::new();
        line.series.read(&mut pairs).map_err(|err| err.to_string())?;
        let at = pairs.iter().position(|(name, _)| name == METRIC_NAME);
        let name = at.map(|at| pairs.swap_remove(at).1).unwrap_or_default();
        for (label, _) in &pairs {
            check_label_name(label, &name, self.names)?;
        }
        let (family, draft) = self.draft(&name)?;
        let suffix = name.strip_prefix(family.as_str()).unwrap_or_default();
        match *draft.kind.get_or_insert(MetricType::Unknown) {
            MetricType::Histogram => draft.part("le", suffix, &pairs, line.value),
            MetricType::Summary => draft.part("quantile", suffix, &pairs, line.value),
            MetricType::Counter
            | MetricType::Gauge
            | MetricType::GaugeHistogram
            | MetricType::Info
            | MetricType::StateSet
            | MetricType::Unknown => {
                let labels = Labels::from_pairs(pairs.iter().map(owned));
                draft.metrics.push(PushedMetric { labels, value: PushedValue::Single(line.value) });
                Ok(())
            }
        }
    }

    fn finish(self) -> Pushed {
        let is_open = self.format == Format::OpenMetrics;
        let family = |(name, draft): (String, Draft)| {
            let (name, kind) = match draft.kind.unwrap_or_default() {
                kind @ (MetricType::Histogram | MetricType::Summary | MetricType::Gauge) => {
                    (name, kind)
                }
                MetricType::Counter if is_open => (format!("{name}_total"), MetricType::Counter),
                MetricType::Counter => (name, MetricType::Counter),
                MetricType::Info => (format!("{name}_info"), MetricType::Gauge),
                MetricType::StateSet => (name, MetricType::Gauge),
                MetricType::GaugeHistogram | MetricType::Unknown => (name, MetricType::Unknown),
            };
            let help = draft.help.unwrap_or_default();
            PushedFamily { name, help, kind, metrics: draft.metrics }
        };
        let families = self.drafts.into_iter().filter(|(_, draft)| !draft.metrics.is_empty());
        let families = families.map(family).collect();
        Pushed { families, has_timestamps: self.has_timestamps }
    }
}

fn owned(
    (name, value): &(std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>),
) -> (String, String) {
    (name.clone().into_owned(), value.clone().into_owned())
}

impl Draft {
    /// One line of a histogram or summary, whose other lines have the same labels but `own`.
    fn part(
        &mut self,
        own: &str,
        suffix: &str,
        pairs: &Pairs<'_>,
        value: f64,
    ) -> Result<(), String> {
        let labels = pairs.iter().filter(|(name, _)| name != own);
        let labels = Labels::from_pairs(labels.map(owned));
        let place = match self.places.get(&labels) {
            Some(place) => *place,
            None => {
                let empty = match own {
                    "le" => PushedValue::Histogram { buckets: Vec::new(), sum: 0.0, count: 0.0 },
                    _ => PushedValue::Summary { quantiles: Vec::new(), sum: 0.0, count: 0.0 },
                };
                self.places.insert(labels.clone(), self.metrics.len());
                self.metrics.push(PushedMetric { labels, value: empty });
                self.metrics.len() - 1
            }
        };
        let Some(metric) = self.metrics.get_mut(place) else { return Ok(()) };
        let (PushedValue::Histogram { buckets: bounds, sum, count }
        | PushedValue::Summary { quantiles: bounds, sum, count }) = &mut metric.value
        else {
            return Ok(());
        };
        match suffix {
            "_count" => *count = whole(value),
            "_sum" => *sum = value,
            _ => {
                let Some((_, text)) = pairs.iter().find(|(name, _)| name == own) else {
                    return Ok(());
                };
                let bound: f64 = text.parse().map_err(|_| {
                    let text = value_text::quoted(text);
                    format!(
                        "expected float as value for {} label, got {text}",
                        value_text::quoted(own)
                    )
                })?;
                if bounds.len() >= BOUNDS_MAX {
                    return Err(format!("more than {BOUNDS_MAX} values of {own} in one metric"));
                }
                if bounds.iter().any(|(known, _)| known.to_bits() == bound.to_bits()) {
                    return Err(format!(
                        "{own}={} stands twice in one metric",
                        value_text::quoted(text)
                    ));
                }
                bounds.push((bound, if own == "le" { whole(value) } else { value }));
            }
        }
        Ok(())
    }
}

/// Refuses a metric name that is not valid.
pub(super) fn check_metric_name(name: &str, names: NameValidation) -> Result<(), String> {
    let wrong = || format!("invalid metric name {}", value_text::quoted(name));
    names.is_metric(name).then_some(()).ok_or_else(wrong)
}

/// Refuses a label name that is not valid.
pub(super) fn check_label_name(
    label: &str,
    metric: &str,
    names: NameValidation,
) -> Result<(), String> {
    let wrong = || {
        let (label, metric) = (value_text::quoted(label), value_text::quoted(metric));
        format!("invalid label name {label} for metric {metric}")
    };
    names.is_label(label).then_some(()).ok_or_else(wrong)
}

/// Buckets or quantiles of one metric: each is looked for among those before it.
pub(super) const BOUNDS_MAX: usize = 1_000;

/// A count: upstream keeps them as whole numbers.
pub(super) fn whole(value: f64) -> f64 {
    // Beyond 64 bits there is nothing to be kept exactly.
    if value.is_nan() { 0.0 } else { value.trunc().clamp(0.0, 18_446_744_073_709_551_615.0) }
}
