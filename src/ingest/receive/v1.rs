//! Remote write 1.0: each series carries its labels as text.
//!
//! Source: prometheus, prompb/remote.proto, prompb/types.proto.

use super::{ReceiveError, Received, checked_labels, malformed, metric_type, next_field};
use crate::ingest::limits::{METADATA_MAX, SafetyLimits};
use crate::model::{EXEMPLAR_CHARS_MAX, Exemplar, Metadata, Timestamp};
use crate::storage::append::{AppendExemplar, AppendSample};
use prost::Message as _;

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
    /// Not read yet: an empty label is two bytes there and fifty in memory.
    #[prost(bytes = "vec", repeated, tag = "3")]
    exemplars: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "4")]
    histograms: Vec<Counted>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ExemplarMessage {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<LabelPair>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
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

/// Reads an uncompressed message.
pub(super) fn read(body: &[u8], limits: &SafetyLimits) -> Result<Received, ReceiveError> {
    let mut received = Received::default();
    let mut rest = body;
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
    received.check_room(others)?;
    if labels > limits.labels_max {
        let text = format!("{labels} labels; at most {} are taken", limits.labels_max);
        received.refuse(text);
        return Ok(());
    }
    let series = TimeSeries::decode(bytes).map_err(malformed)?;
    received.histograms += series.histograms.len();
    let pairs: Vec<_> =
        series.labels.iter().map(|pair| (pair.name.as_str(), pair.value.as_str())).collect();
    match checked_labels(&pairs, limits) {
        Ok(labels) => {
            if series.samples.is_empty() && series.exemplars.is_empty() {
                return Ok(());
            }
            let key = received.commit.name(labels);
            for bytes in &series.exemplars {
                let exemplar = read_exemplar(bytes)?;
                let exemplar = exemplar.map(|exemplar| AppendExemplar { series: key, exemplar });
                received.commit.exemplars.extend(exemplar);
            }
            let samples = series.samples.into_iter().map(|sample| AppendSample {
                series: key,
                ts: Timestamp::from_millis(sample.timestamp),
                value: sample.value,
            });
            received.commit.samples.extend(samples);
        }
        Err(text) => received.refuse(text),
    }
    Ok(())
}

/// One exemplar; `None` when it has more labels than any may have characters.
fn read_exemplar(bytes: &[u8]) -> Result<Option<Exemplar>, ReceiveError> {
    let (mut labels, mut rest) = (0, bytes);
    while !rest.is_empty() {
        labels += usize::from(next_field(&mut rest)?.0 == 1);
    }
    if labels > EXEMPLAR_CHARS_MAX {
        return Ok(None);
    }
    let read = ExemplarMessage::decode(bytes).map_err(malformed)?;
    Ok(Some(Exemplar {
        labels: read.labels.into_iter().map(|pair| (pair.name, pair.value)).collect(),
        value: read.value,
        ts: Timestamp::from_millis(read.timestamp),
        has_own_ts: read.timestamp != 0,
    }))
}

fn take_metadata(bytes: &[u8], received: &mut Received) -> Result<(), ReceiveError> {
    if received.commit.metadata.len() >= METADATA_MAX {
        return Ok(());
    }
    let said = MetricMetadata::decode(bytes).map_err(malformed)?;
    if said.name.is_empty() {
        return Ok(());
    }
    let kind = metric_type(said.kind);
    let metadata = Metadata { kind, help: said.help, unit: said.unit };
    received.commit.metadata.push((said.name, metadata));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{answer, decode};
    use super::*;
    use crate::ingest::limits::WRITE_SAMPLES_MAX;
    use crate::model::Labels;
    use crate::model::MetricType;
    use crate::model::STALE_NAN_BITS;
    use crate::storage::append::{Committed, Refusal, SeriesKey};
    use proptest::prelude::*;

    #[derive(Clone, PartialEq, prost::Message)]
    struct Request {
        #[prost(message, repeated, tag = "1")]
        series: Vec<TimeSeries>,
        #[prost(message, repeated, tag = "3")]
        metadata: Vec<MetricMetadata>,
    }

    fn series(labels: &[(&str, &str)], samples: &[(f64, i64)]) -> TimeSeries {
        let pair = |(name, value): &(&str, &str)| LabelPair {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        };
        let sample = |(value, timestamp): &(f64, i64)| SampleMessage {
            value: *value,
            timestamp: *timestamp,
        };
        TimeSeries {
            labels: labels.iter().map(pair).collect(),
            samples: samples.iter().map(sample).collect(),
            exemplars: Vec::new(),
            histograms: Vec::new(),
        }
    }

    fn body(series: Vec<TimeSeries>) -> Vec<u8> {
        packed(&Request { series, metadata: Vec::new() }.encode_to_vec())
    }

    fn packed(message: &[u8]) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(message).expect("fits")
    }

    fn read(body: &[u8]) -> Result<Received, ReceiveError> {
        decode(Some("application/x-protobuf"), Some("snappy"), body, &SafetyLimits::default())
    }

    #[test]
    fn samples_come_in_with_their_bits() {
        let stale = f64::from_bits(STALE_NAN_BITS);
        let sent = series(&[("job", "j"), ("__name__", "up"), ("e", "")], &[(1.0, 5), (stale, 6)]);
        let received = read(&body(vec![sent])).expect("reads");
        let samples = &received.commit.samples;
        assert_eq!(samples.len(), 2);
        let labels = received.commit.labels_at(0).expect("named");
        assert_eq!(labels.to_string(), r#"{__name__="up", job="j"}"#);
        assert_eq!((samples[0].value, samples[0].ts), (1.0, Timestamp::from_millis(5)));
        assert_eq!(samples[1].value.to_bits(), STALE_NAN_BITS);
        let answered = answer(&received, &Committed::default());
        assert_eq!((answered.status, answered.body.as_str()), (204, ""));
    }

    #[test]
    fn exemplars_come_in_with_their_series() {
        let pair = |name: &str, value: &str| LabelPair { name: name.into(), value: value.into() };
        let message = |labels, timestamp| ExemplarMessage { labels, value: 0.5, timestamp };
        let mut sent = series(&[("__name__", "a_total")], &[(1.0, 5)]);
        let many = vec![pair("", ""); EXEMPLAR_CHARS_MAX + 1];
        let exemplars = [message(vec![pair("trace_id", "x")], 4), message(many, 5)];
        sent.exemplars = exemplars.map(|one| one.encode_to_vec()).into();
        let mut alone = series(&[("__name__", "b_total")], &[]);
        alone.exemplars = vec![message(Vec::new(), 0).encode_to_vec()];
        let received = read(&body(vec![sent, alone])).expect("reads");
        let found: Vec<_> = received.commit.exemplars.iter().collect();
        assert_eq!(found.len(), 2, "the one of many labels is left out");
        let expected = Exemplar {
            labels: Labels::from_pairs([("trace_id", "x")]),
            value: 0.5,
            ts: Timestamp::from_millis(4),
            has_own_ts: true,
        };
        assert_eq!((found[0].series, &found[0].exemplar), (SeriesKey::New(0), &expected));
        assert_eq!((found[1].series, found[1].exemplar.has_own_ts), (SeriesKey::New(1), false));
        assert_eq!(received.commit.samples.len(), 1);
    }

    #[test]
    fn metadata_comes_in() {
        let said = MetricMetadata {
            kind: 1,
            name: "a_total".to_owned(),
            help: "Counts.".to_owned(),
            unit: String::new(),
        };
        let message = Request { series: Vec::new(), metadata: vec![said] }.encode_to_vec();
        let received = read(&packed(&message)).expect("reads");
        let (name, metadata) = &received.commit.metadata[0];
        assert_eq!((name.as_str(), metadata.kind), ("a_total", MetricType::Counter));
        assert_eq!(metadata.help, "Counts.");
    }

    #[test]
    fn bad_series_are_left_out_and_the_rest_is_kept() {
        let long = "x".repeat(5_000);
        for (labels, reason) in [
            (vec![("job", "j")], "invalid metric name or labels, got {job=\"j\"}"),
            (
                vec![("__name__", "a"), ("b", "1"), ("b", "2")],
                "invalid labels for series, labels {__name__=\"a\", b=\"2\"}, duplicated label b",
            ),
            (vec![("__name__", "a"), ("", "1")], "invalid metric name or labels"),
            (vec![("__name__", "a"), ("b", long.as_str())], "label \"b\" or its value is too long"),
        ] {
            let sent =
                vec![series(&labels, &[(1.0, 1)]), series(&[("__name__", "ok")], &[(1.0, 1)])];
            let received = read(&body(sent)).expect("reads");
            assert_eq!(received.commit.samples.len(), 1, "{reason}");
            assert_eq!(received.invalid_series, 1);
            let answered = answer(&received, &Committed::default());
            assert_eq!(answered.status, 400);
            assert!(answered.body.starts_with(reason), "{}", answered.body);
        }
    }

    #[test]
    fn refused_samples_make_it_a_400_in_prometheus_words() {
        let received = read(&body(vec![series(&[("__name__", "a")], &[(1.0, 1)])])).expect("reads");
        for (why, words) in [
            (Refusal::OutOfOrder, "out of order sample"),
            (Refusal::Duplicate, "duplicate sample for timestamp"),
            (Refusal::TooOld, "too old sample"),
            (Refusal::TooFarAhead, "out of bounds: timestamp is too far in the future"),
            (Refusal::BadLabels, "invalid labels for series {__name__=\"a\"}"),
        ] {
            let committed = Committed { refused: vec![(0, why)], ..Committed::default() };
            let answered = answer(&received, &committed);
            assert_eq!((answered.status, answered.body.as_str()), (400, words));
        }
    }

    #[test]
    fn other_messages_and_encodings_are_415() {
        let fine = body(Vec::new());
        for (content_type, encoding, is_taken) in [
            (Some("application/x-protobuf"), Some("snappy"), true),
            (Some("application/x-protobuf;proto=prometheus.WriteRequest"), None, true),
            (None, None, true),
            (Some("application/x-protobuf;proto=io.prometheus.write.v2.Request"), None, true),
            (Some("application/x-protobuf;proto=io.prometheus.write.v3.Request"), None, false),
            (Some("application/json"), Some("snappy"), false),
            (Some("application/x-protobuf"), Some("zstd"), false),
        ] {
            let found = decode(content_type, encoding, &fine, &SafetyLimits::default());
            match found {
                Ok(_) => assert!(is_taken, "{content_type:?} {encoding:?}"),
                Err(err) => assert!(!is_taken && err.status() == 415, "{err}"),
            }
        }
    }

    #[test]
    fn t36_a_declared_length_is_checked_before_memory_is_taken() {
        // The varint of 4 GiB - 1, and nothing behind it.
        let lie = [0xff, 0xff, 0xff, 0xff, 0x0f];
        let err = read(&lie).expect_err("too large");
        assert!(matches!(err, ReceiveError::TooLarge { .. }), "{err}");
        // prometheus/client_golang, exp/api/remote/remote_api.go: SnappyDecodeMiddleware.
        assert_eq!(err.status(), 400);
        // Within the limit, and still more than so few bytes can hold.
        let mut small_lie = vec![0x80, 0x80, 0x80, 0x04];
        small_lie.extend([0; 16]);
        assert_eq!(read(&small_lie).expect_err("a lie").status(), 400);
    }

    #[test]
    fn t46_many_empty_parts_do_not_become_a_large_structure() {
        // Ten thousand empty labels: two bytes each here.
        let labels = [0x0a, 0x00].repeat(10_000);
        let mut message = vec![0x0a];
        prost::encoding::encode_varint(labels.len() as u64, &mut message);
        message.extend(&labels);
        let received = read(&packed(&message)).expect("reads");
        assert_eq!((received.invalid_series, received.commit.samples.len()), (1, 0));
        let samples = [0x12, 0x00].repeat(WRITE_SAMPLES_MAX + 1);
        let mut message = vec![0x0a];
        prost::encoding::encode_varint(samples.len() as u64, &mut message);
        message.extend(&samples);
        assert_eq!(read(&packed(&message)).expect_err("too many").status(), 400);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
            let _ = read(&packed(&bytes));
        }
    }
}
