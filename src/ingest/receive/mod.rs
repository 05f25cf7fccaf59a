//! Remote write, 1.0 and 2.0: what agents and other servers push.
//!
//! A body is taken apart with bounds at each step: the declared length before anything is
//! allocated, then series by series, so that a small body cannot become a large structure.
//! Start reading at `decode`, then `v1.rs` and `v2.rs`; `answer` says what became of it.
//!
//! Source: prometheus, storage/remote/write_handler.go.

mod v1;
mod v2;

use super::limits::{LABEL_BYTES_MAX, SafetyLimits, WRITE_BYTES_MAX, WRITE_SAMPLES_MAX};
use crate::model::{Labels, MetricType, Timestamp};
use crate::storage::append::{Commit, Committed, Refusal};
use prost::encoding::{WireType, decode_key, decode_varint};

/// Reasons that an answer names: more say the same.
const REASONS_MAX: usize = 8;

/// Why nothing of a request was taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// Another message or encoding: status 415.
    #[error("{0}")]
    Unsupported(String),
    /// The body declares more than is taken: status 400, which upstream answers to any body that
    /// it cannot unpack, and after which senders do not come again with it.
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
            Self::TooLarge { .. } | Self::Malformed(_) => 400,
        }
    }
}

/// The message that a body holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Message {
    /// `prometheus.WriteRequest`.
    #[default]
    V1,
    /// `io.prometheus.write.v2.Request`.
    V2,
}

impl Message {
    const fn name(self) -> &'static str {
        match self {
            Self::V1 => "prometheus.WriteRequest",
            Self::V2 => "io.prometheus.write.v2.Request",
        }
    }

    /// The message that a content type names. Senders of the first days name none.
    ///
    /// # Errors
    /// `ReceiveError::Unsupported`.
    pub fn of(content_type: Option<&str>) -> Result<Self, ReceiveError> {
        let content_type = content_type.unwrap_or("application/x-protobuf");
        let mut parts = content_type.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        if !media.eq_ignore_ascii_case("application/x-protobuf") {
            return Err(ReceiveError::Unsupported(format!(
                "expected application/x-protobuf as the first (media) part, got {content_type}"
            )));
        }
        let Some(name) = parts.find_map(|part| part.strip_prefix("proto=")) else {
            return Ok(Self::V1);
        };
        let known = [Self::V1, Self::V2].into_iter().find(|message| message.name() == name);
        known.ok_or_else(|| {
            ReceiveError::Unsupported(format!(
                "{content_type} is not accepted; send {} or {}",
                Self::V1.name(),
                Self::V2.name()
            ))
        })
    }
}

/// A request that was read.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Which message it was.
    pub message: Message,
    /// What is to be stored.
    pub commit: Commit,
    /// When counters began: a zero there shows the first increase. Only for who wants them.
    pub starts: Vec<(Labels, Timestamp)>,
    /// Series and points that were left out.
    pub invalid_series: usize,
    /// Why, for the first few of them.
    pub reasons: Vec<String>,
    /// Native histograms, which are counted and not kept.
    pub histograms: usize,
    /// Bytes of all labels, written out.
    label_bytes: usize,
}

impl Received {
    pub(super) fn refuse(&mut self, reason: String) {
        self.refuse_with(|| reason);
    }

    /// As `refuse`, for a long reason that many may have: it is made for the first few only.
    pub(super) fn refuse_with(&mut self, reason: impl FnOnce() -> String) {
        self.invalid_series += 1;
        if self.reasons.len() < REASONS_MAX {
            self.reasons.push(reason());
        }
    }

    /// Whether so many more fit in one request.
    ///
    /// # Errors
    /// They do not.
    pub(super) fn check_room(&self, more: usize) -> Result<(), ReceiveError> {
        let before = self.commit.samples.len() + self.commit.exemplars.len();
        if before.saturating_add(more) > WRITE_SAMPLES_MAX {
            let text = format!("more than {WRITE_SAMPLES_MAX} samples in one request");
            return Err(ReceiveError::Malformed(text));
        }
        Ok(())
    }

    /// Counts labels of a sender that names each text once and uses it often: few bytes of its
    /// could become many here. Also those of series that are refused then: they are work too.
    ///
    /// # Errors
    /// They are too many.
    pub(super) fn count_labels<'a>(
        &mut self,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), ReceiveError> {
        let bytes = pairs.into_iter().map(|(name, value)| name.len().saturating_add(value.len()));
        self.label_bytes = bytes.fold(self.label_bytes, usize::saturating_add);
        if self.label_bytes > LABEL_BYTES_MAX {
            let text = format!(
                "the labels of all series together take more than {} MiB; send fewer series at once",
                LABEL_BYTES_MAX >> 20
            );
            return Err(ReceiveError::Malformed(text));
        }
        Ok(())
    }
}

/// What of a request is stored, for senders of 2.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Samples.
    pub samples: usize,
    /// Native histograms.
    pub histograms: usize,
    /// Exemplars.
    pub exemplars: usize,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteAnswer {
    /// 204, or 400 when something was refused: never send it again.
    pub status: u16,
    /// Why, empty for 204.
    pub body: String,
    /// What was stored; for 2.0.
    pub written: Option<Written>,
}

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
    let message = Message::of(content_type)?;
    check_encoding(encoding)?;
    let body = uncompressed(body)?;
    match message {
        Message::V1 => v1::read(&body, limits),
        Message::V2 => v2::read(&body, limits),
    }
}

/// The answer once the store has spoken.
///
/// Source: prometheus, storage/remote/write_handler.go: any refused sample makes it a 400, so that
/// the sender does not try again; the rest is kept.
pub fn answer(received: &Received, committed: &Committed) -> WriteAnswer {
    let (body, written) = match received.message {
        Message::V1 => {
            let refused = committed.refused.first();
            let refused = refused.map(|(place, why)| refusal(received, *place, *why));
            (received.reasons.first().cloned().or(refused), None)
        }
        Message::V2 => (
            reasons(received, &committed.refused, committed.exemplars_out_of_order),
            Some(v2::written(received, committed)),
        ),
    };
    match body {
        Some(body) => WriteAnswer { status: 400, body, written },
        None => WriteAnswer { status: 204, body: String::new(), written },
    }
}

/// Why series, samples and so many late exemplars were refused, one line each; `None` when nothing
/// was.
pub(super) fn reasons(
    received: &Received,
    refused: &[(usize, Refusal)],
    exemplars: usize,
) -> Option<String> {
    let mut lines = received.reasons.clone();
    lines.extend(refused.iter().take(REASONS_MAX).map(|(place, why)| {
        let what = match why {
            Refusal::TooFarAhead => "out of bounds: timestamp is too far in the future",
            Refusal::OutOfOrder
            | Refusal::Duplicate
            | Refusal::TooOld
            | Refusal::SeriesLimit
            | Refusal::Memory
            | Refusal::BadLabels => why.as_str(),
        };
        let labels = received.commit.labels_at(*place).map(Labels::to_string);
        format!("{what} for series {}", labels.unwrap_or_default())
    }));
    if exemplars > 0 {
        lines.push(format!("out of order exemplar: {} of them", exemplars));
    }
    let all = received.invalid_series + refused.len() + usize::from(exemplars > 0);
    lines.truncate(REASONS_MAX);
    if all > lines.len() {
        lines.push(format!("and {} more", all - lines.len()));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Why a sample was refused, in Prometheus' words.
pub(super) fn refusal(received: &Received, place: usize, why: Refusal) -> String {
    let labels = received.commit.labels_at(place).map(Labels::to_string);
    match why {
        Refusal::TooFarAhead => "out of bounds: timestamp is too far in the future".to_owned(),
        Refusal::SeriesLimit | Refusal::Memory | Refusal::BadLabels => {
            format!("{} for series {}", why.as_str(), labels.unwrap_or_default())
        }
        Refusal::OutOfOrder | Refusal::Duplicate | Refusal::TooOld => why.as_str().to_owned(),
    }
}

fn check_encoding(encoding: Option<&str>) -> Result<(), ReceiveError> {
    match encoding {
        None => Ok(()),
        Some(encoding) if encoding.is_empty() || encoding.eq_ignore_ascii_case("snappy") => Ok(()),
        Some(encoding) => Err(ReceiveError::Unsupported(format!(
            "{encoding} encoding (compression) is not accepted by this server; \
             only snappy is acceptable"
        ))),
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
pub(super) fn next_field<'a>(rest: &mut &'a [u8]) -> Result<(u32, Option<&'a [u8]>), ReceiveError> {
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

#[expect(clippy::needless_pass_by_value, reason = "used with map_err")]
pub(super) fn malformed(err: prost::DecodeError) -> ReceiveError {
    ReceiveError::Malformed(err.to_string())
}

/// The label set, when each name is there once, none is empty and there is a metric's name. Order
/// is mended, as in Prometheus.
pub(super) fn checked_labels(
    pairs: &[(&str, &str)],
    limits: &SafetyLimits,
) -> Result<Labels, String> {
    let too_long = |(name, value): &&(&str, &str)| {
        name.len() > limits.label_name_bytes_max || value.len() > limits.label_value_bytes_max
    };
    if let Some((name, _)) = pairs.iter().find(too_long) {
        let name = cut(name, 50);
        return Err(format!("label {name:?} or its value is too long"));
    }
    let mut names: Vec<&str> = pairs.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    if let Some([twice, _]) = names.array_windows().find(|[a, b]| a == b) {
        return Err(format!(
            "invalid labels for series, labels {}, duplicated label {twice}",
            Labels::from_pairs(pairs.iter().copied())
        ));
    }
    let labels = Labels::from_pairs(pairs.iter().copied());
    if labels.metric_name().is_none() || labels.get("").is_some() {
        return Err(format!("invalid metric name or labels, got {labels}"));
    }
    Ok(labels)
}

/// The family that a series' own metadata is about: buckets, sums and counts belong to one.
pub(super) fn family(name: &str, kind: MetricType) -> &str {
    let suffixes: &[&str] = match kind {
        MetricType::Histogram | MetricType::GaugeHistogram => {
            &["_bucket", "_sum", "_count", "_gsum", "_gcount"]
        }
        MetricType::Summary => &["_sum", "_count"],
        MetricType::Counter
        | MetricType::Gauge
        | MetricType::Info
        | MetricType::StateSet
        | MetricType::Unknown => &[],
    };
    let base = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
    base.filter(|base| !base.is_empty()).unwrap_or(name)
}

/// The beginning of a text, at most so many bytes.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default()
}
/// The type of a metric by its number, which is the same in both versions.
const fn metric_type(number: i32) -> MetricType {
    match number {
        1 => MetricType::Counter,
        2 => MetricType::Gauge,
        3 => MetricType::Histogram,
        4 => MetricType::GaugeHistogram,
        5 => MetricType::Summary,
        6 => MetricType::Info,
        7 => MetricType::StateSet,
        _ => MetricType::Unknown,
    }
}
