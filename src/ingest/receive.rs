//! Remote write 1.0: what agents and other servers push.
//!
//! A body is taken apart with bounds at each step: the declared length before anything is
//! allocated, then series by series, so that a small body cannot become a large structure.
//!
//! Source: prometheus, prompb/remote.proto, prompb/types.proto, storage/remote/write_handler.go.

use super::limits::{SafetyLimits, WRITE_BYTES_MAX, WRITE_SAMPLES_MAX};
use crate::model::{Labels, Metadata, MetricType, Timestamp};
use crate::storage::append::{AppendSample, Commit, Committed, Refusal};
use prost::Message as _;
use prost::encoding::{WireType, decode_key, decode_varint};

/// Why nothing of a request was taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// Another message or encoding: status 415.
    #[error("{0}")]
    Unsupported(String),
    /// The body is longer than allowed: status 413.
    #[error("the body declares {declared} bytes; at most {limit} are taken")]
    TooLarge {
        /// What it declares.
        declared: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The body cannot be read: status 400.
    #[error("{0}")]
    Malformed(String),
}

impl ReceiveError {
    /// The status of the answer.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Unsupported(_) => 415,
            Self::TooLarge { .. } => 413,
            Self::Malformed(_) => 400,
        }
    }
}

/// A request that was read.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// What is to be stored.
    pub commit: Commit,
    /// Series that were left out, and the reason of the first.
    pub invalid_series: usize,
    /// The reason of the first that was left out.
    pub invalid_reason: Option<String>,
    /// Native histograms, which are counted and not kept.
    pub histograms: usize,
    /// Exemplars, which are counted and not kept.
    pub exemplars: usize,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteAnswer {
    /// 204, or 400 when something was refused: never send it again.
    pub status: u16,
    /// Why, empty for 204.
    pub body: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct LabelPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SampleMessage {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// A message of which only the presence matters.
#[derive(Clone, PartialEq, prost::Message)]
struct Counted {}

#[derive(Clone, PartialEq, prost::Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<LabelPair>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<SampleMessage>,
    #[prost(message, repeated, tag = "3")]
    exemplars: Vec<Counted>,
    #[prost(message, repeated, tag = "4")]
    histograms: Vec<Counted>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct MetricMetadata {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "4")]
    help: String,
    #[prost(string, tag = "5")]
    unit: String,
}

const SERIES_TAG: u32 = 1;
const METADATA_TAG: u32 = 3;

/// Reads a request.
///
/// # Errors
/// See `ReceiveError`. Single bad series are left out and counted in `Received`.
pub fn decode(
    content_type: Option<&str>,
    encoding: Option<&str>,
    body: &[u8],
    limits: &SafetyLimits,
) -> Result<Received, ReceiveError> {
    check_content(content_type, encoding)?;
    let body = uncompressed(body)?;
    let mut received = Received::default();
    let mut rest = body.as_slice();
    while !rest.is_empty() {
        let (tag, field) = next_field(&mut rest)?;
        match (tag, field) {
            (SERIES_TAG, Some(bytes)) => take_series(bytes, limits, &mut received)?,
            (METADATA_TAG, Some(bytes)) => take_metadata(bytes, &mut received)?,
            // Fields of newer versions are skipped, as protobuf wants it.
            (_, Some(_) | None) => {}
        }
    }
    Ok(received)
}

/// The answer once the store has spoken.
///
/// Source: prometheus, storage/remote/write_handler.go: any refused sample makes it a 400, so that
/// the sender does not try again; the rest is kept.
pub fn answer(received: &Received, committed: &Committed) -> WriteAnswer {
    let refused = committed.refused.first().map(|(place, why)| {
        let labels = received.commit.samples.get(*place).map(|sample| sample.labels.to_string());
        match why {
            Refusal::TooFarAhead => "out of bounds: timestamp is too far in the future".to_owned(),
            Refusal::SeriesLimit | Refusal::BadLabels => {
                format!("{} for series {}", why.as_str(), labels.unwrap_or_default())
            }
            Refusal::OutOfOrder | Refusal::Duplicate | Refusal::TooOld => why.as_str().to_owned(),
        }
    });
    match received.invalid_reason.clone().or(refused) {
        Some(body) => WriteAnswer { status: 400, body },
        None => WriteAnswer { status: 204, body: String::new() },
    }
}

fn check_content(content_type: Option<&str>, encoding: Option<&str>) -> Result<(), ReceiveError> {
    let unsupported = |text: String| Err(ReceiveError::Unsupported(text));
    // Senders of the first days name no type.
    let content_type = content_type.unwrap_or("application/x-protobuf");
    let mut parts = content_type.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    if !media.eq_ignore_ascii_case("application/x-protobuf") {
        return unsupported(format!(
            "expected application/x-protobuf as the first (media) part, got {content_type}"
        ));
    }
    let message = parts.find_map(|part| part.strip_prefix("proto="));
    if message.is_some_and(|message| message != "prometheus.WriteRequest") {
        return unsupported(format!(
            "{content_type} is not accepted; send prometheus.WriteRequest"
        ));
    }
    match encoding {
        None => Ok(()),
        Some(encoding) if encoding.is_empty() || encoding.eq_ignore_ascii_case("snappy") => Ok(()),
        Some(encoding) => unsupported(format!(
            "{encoding} encoding (compression) is not accepted by this server; only snappy is acceptable"
        )),
    }
}

/// T36: the declared length is checked before memory is taken for it.
fn uncompressed(body: &[u8]) -> Result<Vec<u8>, ReceiveError> {
    let malformed = |err: snap::Error| ReceiveError::Malformed(err.to_string());
    let declared = snap::raw::decompress_len(body).map_err(malformed)?;
    if declared > WRITE_BYTES_MAX {
        return Err(ReceiveError::TooLarge { declared, limit: WRITE_BYTES_MAX });
    }
    // Snappy makes at most 64 bytes of 3: a small body that declares more lies.
    if declared > body.len().saturating_mul(64) {
        return Err(ReceiveError::Malformed("snappy: the declared length is a lie".to_owned()));
    }
    snap::raw::Decoder::new().decompress_vec(body).map_err(malformed)
}

/// The next field of a message: its tag, and its bytes when it has any.
fn next_field<'a>(rest: &mut &'a [u8]) -> Result<(u32, Option<&'a [u8]>), ReceiveError> {
    let malformed = |err: prost::DecodeError| ReceiveError::Malformed(err.to_string());
    let cut = || ReceiveError::Malformed("the message is cut short".to_owned());
    let (tag, wire) = decode_key(rest).map_err(malformed)?;
    let fixed = match wire {
        WireType::Varint => {
            decode_varint(rest).map_err(malformed)?;
            return Ok((tag, None));
        }
        WireType::LengthDelimited => {
            let len = decode_varint(rest).map_err(malformed)?;
            let len = usize::try_from(len).map_err(|_| cut())?;
            let (field, after) = rest.split_at_checked(len).ok_or_else(cut)?;
            *rest = after;
            return Ok((tag, Some(field)));
        }
        WireType::ThirtyTwoBit => 4,
        WireType::SixtyFourBit => 8,
        WireType::StartGroup | WireType::EndGroup => {
            return Err(ReceiveError::Malformed("groups are not accepted".to_owned()));
        }
    };
    *rest = rest.get(fixed..).ok_or_else(cut)?;
    Ok((tag, None))
}

fn take_series(
    bytes: &[u8],
    limits: &SafetyLimits,
    received: &mut Received,
) -> Result<(), ReceiveError> {
    // Counted before it is built: an empty label is two bytes here and fifty in memory.
    let (mut labels, mut others, mut rest) = (0, 0, bytes);
    while !rest.is_empty() {
        match next_field(&mut rest)?.0 {
            1 => labels += 1,
            _ => others += 1,
        }
    }
    if received.commit.samples.len() + others > WRITE_SAMPLES_MAX {
        let text = format!("more than {WRITE_SAMPLES_MAX} samples in one request");
        return Err(ReceiveError::Malformed(text));
    }
    if labels > limits.labels_max {
        let text = format!("{labels} labels; at most {} are taken", limits.labels_max);
        received.refuse(text);
        return Ok(());
    }
    let series =
        TimeSeries::decode(bytes).map_err(|err| ReceiveError::Malformed(err.to_string()))?;
    received.histograms += series.histograms.len();
    received.exemplars += series.exemplars.len();
    match checked_labels(series.labels, limits) {
        Ok(labels) => {
            let samples = series.samples.into_iter().map(|sample| AppendSample {
                known: None,
                labels: labels.clone(),
                ts: Timestamp::from_millis(sample.timestamp),
                value: sample.value,
            });
            received.commit.samples.extend(samples);
        }
        Err(text) => received.refuse(text),
    }
    Ok(())
}

/// The label set, when each name is there once, none is empty and there is a metric's name. Order
/// is mended, as in Prometheus.
fn checked_labels(pairs: Vec<LabelPair>, limits: &SafetyLimits) -> Result<Labels, String> {
    let mut names: Vec<&str> = pairs.iter().map(|pair| pair.name.as_str()).collect();
    names.sort_unstable();
    let shown = || {
        let pairs = pairs.iter().map(|pair| (pair.name.as_str(), pair.value.as_str()));
        Labels::from_pairs(pairs).to_string()
    };
    if let Some([twice, _]) = names.array_windows().find(|[a, b]| a == b) {
        return Err(format!(
            "invalid labels for series, labels {}, duplicated label {twice}",
            shown()
        ));
    }
    let too_long = |pair: &&LabelPair| {
        pair.name.len() > limits.label_name_bytes_max
            || pair.value.len() > limits.label_value_bytes_max
    };
    if let Some(pair) = pairs.iter().find(too_long) {
        let name: String = pair.name.chars().take(50).collect();
        return Err(format!("label {name:?} or its value is too long"));
    }
    let labels =
        Labels::from_pairs(pairs.iter().map(|pair| (pair.name.as_str(), pair.value.as_str())));
    if labels.metric_name().is_none() || labels.get("").is_some() {
        return Err(format!("invalid metric name or labels, got {labels}"));
    }
    Ok(labels)
}

fn take_metadata(bytes: &[u8], received: &mut Received) -> Result<(), ReceiveError> {
    if received.commit.metadata.len() >= super::limits::METADATA_MAX {
        return Ok(());
    }
    let said =
        MetricMetadata::decode(bytes).map_err(|err| ReceiveError::Malformed(err.to_string()))?;
    if said.name.is_empty() {
        return Ok(());
    }
    let kind = match said.kind {
        1 => MetricType::Counter,
        2 => MetricType::Gauge,
        3 => MetricType::Histogram,
        4 => MetricType::GaugeHistogram,
        5 => MetricType::Summary,
        6 => MetricType::Info,
        7 => MetricType::StateSet,
        _ => MetricType::Unknown,
    };
    let metadata = Metadata { kind, help: said.help, unit: said.unit };
    received.commit.metadata.push((said.name, metadata));
    Ok(())
}

impl Received {
    fn refuse(&mut self, reason: String) {
        self.invalid_series += 1;
        self.invalid_reason.get_or_insert(reason);
    }
}
