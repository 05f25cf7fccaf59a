//! Requests made here, in both encodings, and what becomes of them.

use super::message::{
    AnyValue, ExemplarMessage, ExemplarNumber, HistogramPoint, KeyValue, Number, NumberPoint, Value,
};
use super::*;
use crate::ingest::config::TranslationStrategy;
use crate::ingest::limits::{ATTRIBUTES_MAX, WRITE_SAMPLES_MAX};
use crate::model::{Labels, MetricType, STALE_NAN_BITS, Timestamp};
use crate::storage::append::{Refusal, SeriesKey};
use proptest::prelude::*;
use prost::Message as _;
use serde_json::json;
use std::io::Write as _;

const LOOKBACK: Duration = Duration::from_mins(5);
/// 1,700,000,000 s in nanoseconds, as text.
const TIME: &str = "1700000000000000000";
const START: &str = "1699999000000000000";

#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<ResourceMetrics>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ResourceMetrics {
    #[prost(message, optional, tag = "1")]
    resource: Option<ResourceMessage>,
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<ScopeMetrics>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ResourceMessage {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ScopeMetrics {
    #[prost(message, repeated, tag = "2")]
    metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metric {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "3")]
    unit: String,
    #[prost(message, optional, tag = "7")]
    sum: Option<Sum>,
    #[prost(message, optional, tag = "9")]
    histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Sum {
    #[prost(message, repeated, tag = "1")]
    points: Vec<NumberPoint>,
    #[prost(int32, tag = "2")]
    temporality: i32,
    #[prost(bool, tag = "3")]
    is_monotonic: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Histogram {
    #[prost(message, repeated, tag = "1")]
    points: Vec<HistogramPoint>,
    #[prost(int32, tag = "2")]
    temporality: i32,
}

fn take(
    media: &str,
    encoding: &str,
    body: &[u8],
    settings: &OtlpSettings,
) -> Result<Received, ReceiveError> {
    decode(media, encoding, body, &SafetyLimits::default(), settings, LOOKBACK)
}

fn attributes(pairs: &[(&str, &str)]) -> serde_json::Value {
    pairs.iter().map(|(key, value)| json!({"key": key, "value": {"stringValue": value}})).collect()
}

/// A request of one resource, which is a service, with these metrics.
fn request(resource: &[(&str, &str)], metrics: serde_json::Value) -> serde_json::Value {
    json!({"resourceMetrics": [{
        "resource": {"attributes": attributes(resource)},
        "scopeMetrics": [{
            "scope": {"name": "lib", "version": "1", "attributes": attributes(&[("k", "v")])},
            "schemaUrl": "http://schema",
            "metrics": metrics,
        }],
    }]})
}

#[track_caller]
fn sent(request: &serde_json::Value, settings: &OtlpSettings) -> Received {
    take("application/json", "", request.to_string().as_bytes(), settings).expect("reads")
}

/// Every sample as `{labels} value @ milliseconds`.
fn shown(received: &Received) -> Vec<String> {
    let commit = &received.commit;
    let one = |(place, sample): (usize, &crate::storage::append::AppendSample)| {
        let labels = commit.labels_at(place).map(Labels::to_string).unwrap_or_default();
        let stale = sample.value.to_bits() == STALE_NAN_BITS;
        let value = if stale { "stale".to_owned() } else { sample.value.to_string() };
        format!("{labels} {value} @ {}", sample.ts.as_millis())
    };
    commit.samples.iter().enumerate().map(one).collect()
}

const SERVICE: [(&str, &str); 4] = [
    ("service.name", "shop"),
    ("service.namespace", "eu"),
    ("service.instance.id", "i1"),
    ("host.name", "box"),
];

#[test]
fn numbers_become_gauges_and_counters() {
    let point = json!({"timeUnixNano": TIME, "startTimeUnixNano": START, "asInt": "7",
        "attributes": attributes(&[("http.method", "GET"), ("empty", "")])});
    let gauge = json!({"timeUnixNano": TIME, "asDouble": 0.5});
    let sum = |monotonic: bool| json!({"dataPoints": [point], "isMonotonic": monotonic, "aggregationTemporality": 2});
    let metrics = json!([
        {"name": "system.io", "unit": "By", "description": "Bytes.", "sum": sum(true)},
        {"name": "queue.length", "unit": "{item}", "sum": sum(false)},
        {"name": "cpu.use", "unit": "1", "gauge": {"dataPoints": [gauge]}},
    ]);
    let received = sent(&request(&SERVICE, metrics), &OtlpSettings::default());
    let labels = r#"http_method="GET", instance="i1", job="eu/shop""#;
    assert_eq!(
        shown(&received),
        [
            format!(r#"{{__name__="system_io_bytes_total", {labels}}} 7 @ 1700000000000"#),
            format!(r#"{{__name__="queue_length", {labels}}} 7 @ 1700000000000"#),
            r#"{__name__="cpu_use_ratio", instance="i1", job="eu/shop"} 0.5 @ 1700000000000"#.into(),
            r#"{__name__="target_info", host_name="box", instance="i1", job="eu/shop"} 1 @ 1700000000000"#.into(),
        ]
    );
    let about: Vec<_> = received
        .commit
        .metadata
        .iter()
        .map(|(name, about)| (name.as_str(), about.kind, about.help.as_str(), about.unit.as_str()))
        .collect();
    assert_eq!(
        about,
        [
            ("system_io_bytes_total", MetricType::Counter, "Bytes.", "bytes"),
            ("queue_length", MetricType::Gauge, "", ""),
            ("cpu_use_ratio", MetricType::Gauge, "", ""),
            ("target_info", MetricType::Gauge, "Target metadata", ""),
        ]
    );
    let starts: Vec<_> = received.starts.iter().map(|(_, at)| *at).collect();
    assert_eq!(starts, [Timestamp::from_millis(1_699_999_000_000)], "only the counter began");
    assert_eq!(answer(&received, &Committed::default()), OtlpAnswer::default());
}

#[test]
fn histograms_and_summaries_become_their_parts() {
    let exemplar = |value: f64, trace: &str| {
        json!({"timeUnixNano": TIME, "asDouble": value, "traceId": trace, "spanId": "00f067aa0ba902b7",
            "filteredAttributes": attributes(&[("user", "x")])})
    };
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let metrics = json!([
        {"name": "latency", "unit": "s", "histogram": {"aggregationTemporality": "AGGREGATION_TEMPORALITY_CUMULATIVE",
            "dataPoints": [{"timeUnixNano": TIME, "count": "6", "sum": 2.5, "explicitBounds": [0.1, 1, 1e7],
                "bucketCounts": ["1", 2, "3", "0"], "exemplars": [exemplar(0.5, id), exemplar(9e9, id)]}]}},
        {"name": "wait", "summary": {"dataPoints": [{"timeUnixNano": TIME, "count": 3, "sum": 1.5,
            "quantileValues": [{"quantile": 0.99, "value": 0.75}]}]}},
    ]);
    let received = sent(&request(&[], metrics), &OtlpSettings::default());
    let at = "@ 1700000000000";
    assert_eq!(
        shown(&received),
        [
            format!(r#"{{__name__="latency_seconds_sum"}} 2.5 {at}"#),
            format!(r#"{{__name__="latency_seconds_count"}} 6 {at}"#),
            format!(r#"{{__name__="latency_seconds_bucket", le="0.1"}} 1 {at}"#),
            format!(r#"{{__name__="latency_seconds_bucket", le="1"}} 3 {at}"#),
            format!(r#"{{__name__="latency_seconds_bucket", le="10000000"}} 6 {at}"#),
            format!(r#"{{__name__="latency_seconds_bucket", le="+Inf"}} 6 {at}"#),
            format!(r#"{{__name__="wait_sum"}} 1.5 {at}"#),
            format!(r#"{{__name__="wait_count"}} 3 {at}"#),
            format!(r#"{{__name__="wait", quantile="0.99"}} 0.75 {at}"#),
        ]
    );
    let exemplars = &received.commit.exemplars;
    let labels =
        Labels::from_pairs([("trace_id", id), ("span_id", "00f067aa0ba902b7"), ("user", "x")]);
    assert_eq!(exemplars.len(), 2);
    assert_eq!((exemplars[0].series, &exemplars[0].exemplar.labels), (SeriesKey::New(3), &labels));
    assert_eq!(exemplars[1].series, SeriesKey::New(5), "what no bound holds");
}

#[test]
fn a_point_without_a_recorded_value_ends_its_series() {
    let point = json!({"timeUnixNano": TIME, "asInt": 1, "flags": 1});
    let metrics = json!([{"name": "a", "gauge": {"dataPoints": [point]}}]);
    let received = sent(&request(&[], metrics), &OtlpSettings::default());
    assert_eq!(shown(&received), [r#"{__name__="a"} stale @ 1700000000000"#]);
}

#[test]
fn what_cannot_be_kept_is_said_and_the_rest_is_kept() {
    let point = json!([{"timeUnixNano": TIME, "asInt": 1}]);
    let good = json!({"name": "good", "gauge": {"dataPoints": point}});
    for (bad, refused, rejected) in [
        (
            json!({"name": "d", "sum": {"dataPoints": point, "aggregationTemporality": 1}}),
            "invalid temporality and type combination for metric \"d\"",
            0,
        ),
        (
            json!({"name": "none"}),
            "could not get aggregation temporality for none as it has unsupported metric type Empty",
            0,
        ),
        (
            json!({"name": "\u{e9}", "gauge": {"dataPoints": point}}),
            "normalization for metric \"\u{e9}\" resulted in empty name",
            0,
        ),
        (
            json!({"name": "e", "exponentialHistogram": {"dataPoints": [{"timeUnixNano": TIME, "count": 1}, {}],
                "aggregationTemporality": 2}}),
            "",
            2,
        ),
        (
            json!({"name": "l", "gauge": {"dataPoints": [{"asInt": 1, "attributes": attributes(&[("", "x")])}]}}),
            "l: label name is empty",
            0,
        ),
    ] {
        let received = sent(&request(&[], json!([bad, good])), &OtlpSettings::default());
        assert_eq!(shown(&received), [r#"{__name__="good"} 1 @ 1700000000000"#], "{refused}");
        let answered = answer(&received, &Committed::default());
        assert_eq!(answered.refused.as_deref().unwrap_or_default(), refused);
        assert_eq!(answered.rejected_points, rejected);
        assert_eq!(answered.message.is_empty(), rejected == 0);
    }
    let received = sent(&request(&[], json!([good])), &OtlpSettings::default());
    let committed = Committed { refused: vec![(0, Refusal::OutOfOrder)], ..Committed::default() };
    let refused = answer(&received, &committed).refused.expect("said");
    assert_eq!(refused, "out of order sample for series {__name__=\"good\"}");
}

#[test]
fn settings_say_which_labels_there_are() {
    let point = json!({"timeUnixNano": TIME, "asInt": 1, "attributes": attributes(&[("a.b", "1"), ("a_b", "2")])});
    let metrics = json!([{"name": "m.x", "gauge": {"dataPoints": [point]}}]);
    let usual = OtlpSettings::default();
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    for (settings, metric, target) in [
        (
            usual.clone(),
            r#"{__name__="m_x", a_b="1;2", instance="i1", job="eu/shop"}"#,
            r#"{__name__="target_info", host_name="box", instance="i1", job="eu/shop"}"#,
        ),
        (
            OtlpSettings { promote_resource_attributes: named(&["host.name"]), ..usual.clone() },
            r#"{__name__="m_x", a_b="1;2", host_name="box", instance="i1", job="eu/shop"}"#,
            r#"{__name__="target_info", host_name="box", instance="i1", job="eu/shop"}"#,
        ),
        (
            OtlpSettings {
                promote_all_resource_attributes: true,
                ignore_resource_attributes: named(&["service.namespace", "host.name"]),
                keep_identifying_resource_attributes: true,
                ..usual.clone()
            },
            r#"{__name__="m_x", a_b="1;2", instance="i1", job="eu/shop", service_instance_id="i1", service_name="shop"}"#,
            r#"{__name__="target_info", host_name="box", instance="i1", job="eu/shop", service_instance_id="i1", service_name="shop", service_namespace="eu"}"#,
        ),
        (
            OtlpSettings { promote_scope_metadata: true, ..usual.clone() },
            r#"{__name__="m_x", a_b="1;2", instance="i1", job="eu/shop", otel_scope_k="v", otel_scope_name="lib", otel_scope_schema_url="http://schema", otel_scope_version="1"}"#,
            r#"{__name__="target_info", host_name="box", instance="i1", job="eu/shop"}"#,
        ),
        (
            OtlpSettings { translation_strategy: TranslationStrategy::NoTranslation, ..usual },
            r#"{__name__="m.x", "a.b"="1", a_b="2", instance="i1", job="eu/shop"}"#,
            r#"{__name__="target_info", "host.name"="box", instance="i1", job="eu/shop"}"#,
        ),
    ] {
        let received = sent(&request(&SERVICE, metrics.clone()), &settings);
        let labels: Vec<_> = received.commit.labels.iter().map(Labels::to_string).collect();
        assert_eq!(labels, [metric, target]);
    }
}

#[test]
fn target_info_is_there_for_the_whole_time_and_never_without_end() {
    let gauge = |times: &[&str]| {
        let points: Vec<_> =
            times.iter().map(|time| json!({"timeUnixNano": time, "asInt": 1})).collect();
        json!([{"name": "g", "gauge": {"dataPoints": points}}])
    };
    let target_info = |received: &Received| {
        shown(received).iter().filter(|line| line.contains("target_info")).count()
    };
    // Ten minutes: both ends, and every two and a half minutes between them.
    let ten = gauge(&[TIME, "1700000600000000000"]);
    let mut twice = request(&SERVICE, ten);
    assert_eq!(target_info(&sent(&twice, &OtlpSettings::default())), 5);
    let list = twice["resourceMetrics"].as_array_mut().expect("a list");
    list.push(list[0].clone());
    assert_eq!(target_info(&sent(&twice, &OtlpSettings::default())), 5, "one resource, told once");
    let ever = request(&SERVICE, gauge(&["0", "18446744073709551615"]));
    assert_eq!(target_info(&sent(&ever, &OtlpSettings::default())), 1_001);
    for resource in [&SERVICE[..3], &SERVICE[3..]] {
        let received = sent(&request(resource, gauge(&[TIME])), &OtlpSettings::default());
        assert_eq!(target_info(&received), 0, "nothing to tell, or nobody to tell it of");
    }
}

fn key_value(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

/// One counter and one histogram of a service, in protobuf.
fn message(value: i64, name: &str, label: &str) -> Request {
    let exemplar = ExemplarMessage {
        time: 1_700_000_000_000_000_000,
        value: Some(ExemplarNumber::Int(3)),
        span_id: vec![1; 8],
        trace_id: vec![0; 16],
        attributes: Vec::new(),
    };
    let point = NumberPoint {
        start: 1_699_999_000_000_000_000,
        time: 1_700_000_000_000_000_000,
        value: Some(Number::Int(value)),
        exemplars: vec![exemplar.encode_to_vec()],
        attributes: vec![key_value("k", Value::Text(label.to_owned())).encode_to_vec()],
        flags: 0,
    };
    let histogram = HistogramPoint {
        time: 1_700_000_000_000_000_000,
        count: 3,
        bucket_counts: vec![1, 2],
        bounds: vec![0.5],
        ..HistogramPoint::default()
    };
    let sum = Sum { points: vec![point], temporality: 2, is_monotonic: true };
    let metric = |name: &str, sum, histogram| Metric {
        name: name.to_owned(),
        unit: "s".to_owned(),
        sum,
        histogram,
    };
    let histogram = Histogram { points: vec![histogram], temporality: 2 };
    let metrics = vec![metric(name, Some(sum), None), metric("h", None, Some(histogram))];
    let attributes = vec![
        key_value("service.name", Value::Text("shop".to_owned())),
        key_value("cpus", Value::Int(8)),
    ];
    Request {
        resources: vec![ResourceMetrics {
            resource: Some(ResourceMessage { attributes }),
            scopes: vec![ScopeMetrics { metrics }],
        }],
    }
}

/// The same in JSON.
fn as_json(value: i64, name: &str, label: &str) -> serde_json::Value {
    let point = json!({"timeUnixNano": TIME, "start_time_unix_nano": START, "asInt": value.to_string(),
        "attributes": attributes(&[("k", label)]), "unknown": {"deep": [1, {"a": null}]},
        "exemplars": [{"timeUnixNano": TIME, "asInt": 3, "spanId": "0101010101010101",
            "traceId": "00000000000000000000000000000000"}]});
    json!({"resource_metrics": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}},
            {"key": "cpus", "value": {"intValue": "8"}}]},
        "scopeMetrics": [{"metrics": [
            {"name": name, "unit": "s", "sum": {"dataPoints": [point], "isMonotonic": true, "aggregationTemporality": 2}},
            {"name": "h", "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": [
                {"timeUnixNano": TIME, "count": 3, "sum": null, "bucketCounts": [1, "2"], "explicitBounds": ["0.5"]}]}},
        ]}],
    }]})
}

#[test]
fn both_encodings_and_gzip_say_the_same() {
    let settings = OtlpSettings::default();
    let bytes = message(5, "a.b", "x").encode_to_vec();
    let plain = take("application/x-protobuf", "", &bytes, &settings).expect("reads");
    assert!(shown(&plain)[0].starts_with(r#"{__name__="a_b_seconds_total", job="shop", k="x"} 5"#));
    let found = plain.commit.exemplars[0].exemplar.labels.to_string();
    assert_eq!(found, r#"{span_id="0101010101010101"}"#, "an id of zeros is none");
    assert_eq!(plain.commit.exemplars.len(), 1);
    let json = sent(&as_json(5, "a.b", "x"), &settings);
    assert_eq!(shown(&json), shown(&plain));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&bytes).expect("memory");
    let packed = encoder.finish().expect("memory");
    let gzip = take("application/x-protobuf", "gzip", &packed, &settings).expect("reads");
    assert_eq!(shown(&gzip), shown(&plain));
}

#[test]
fn other_bodies_are_refused_with_the_reason() {
    let settings = OtlpSettings::default();
    for (media, encoding, body, reason) in [
        ("text/plain", "", &b""[..], "unsupported content type: text/plain"),
        ("application/json", "br", b"{}", "unsupported compression: br"),
        ("application/json", "gzip", b"{}", "gzip: "),
        ("application/json", "", b"[]", "JSON: invalid type"),
        ("application/json", "", b"{}{}", "JSON: trailing characters"),
        (
            "application/json",
            "",
            br#"{"resourceMetrics": 1}"#,
            "JSON: resourceMetrics: 1 is no value",
        ),
        ("application/x-protobuf", "", b"\x0a\x7f", "the message is cut short"),
    ] {
        let err = take(media, encoding, body, &settings).expect_err(reason);
        assert!(err.to_string().contains(reason), "{err}");
        assert_eq!(err.status(), 400);
    }
    assert!(take("application/json; charset=utf-8", "", b"{}", &settings).is_ok());
    assert!(take("application/x-protobuf", "", b"", &settings).is_ok());
}

/// A field with bytes.
fn wrapped(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![tag << 3 | 2];
    prost::encoding::encode_varint(bytes.len() as u64, &mut out);
    out.extend(bytes);
    out
}

/// A gauge with these bytes as its data, in a whole request.
fn with_gauge(data: &[u8]) -> Vec<u8> {
    let metric = [wrapped(1, b"g"), wrapped(5, data)].concat();
    wrapped(1, &wrapped(2, &wrapped(2, &metric)))
}

#[test]
fn t46_small_bodies_do_not_become_large_structures() {
    let settings = OtlpSettings::default();
    let refused = |body: &[u8], media: &str, encoding: &str| {
        take(media, encoding, body, &settings).expect_err("too much").to_string()
    };
    // Empty points: two bytes each.
    let points = [0x0a, 0x00].repeat(WRITE_SAMPLES_MAX + 1);
    let err = refused(&with_gauge(&points), "application/x-protobuf", "");
    assert!(err.contains("more than 500000 samples"), "{err}");
    let points = "{},".repeat(WRITE_SAMPLES_MAX + 1);
    let text = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"g","gauge":{{"dataPoints":[{}{{}}]}}}}]}}]}}]}}"#,
        points
    );
    assert!(refused(text.as_bytes(), "application/json", "").contains("more than 500000 samples"));
    // Empty attributes of one point; the others are taken.
    let wide = wrapped(1, &[0x3a, 0x00].repeat(ATTRIBUTES_MAX + 1));
    let received =
        take("application/x-protobuf", "", &with_gauge(&wide), &settings).expect("reads");
    assert_eq!((received.invalid_series, received.commit.samples.len()), (1, 0));
    // A promoted attribute of 4 KiB on many points.
    let promoted = OtlpSettings { promote_all_resource_attributes: true, ..settings.clone() };
    let long = key_value("a", Value::Text("x".repeat(4_000))).encode_to_vec();
    let metric = [wrapped(1, b"g"), wrapped(5, &[0x0a, 0x00].repeat(20_000))].concat();
    let resource = [wrapped(1, &wrapped(1, &long)), wrapped(2, &wrapped(2, &metric))].concat();
    let err = take("application/x-protobuf", "", &wrapped(1, &resource), &promoted);
    assert!(err.expect_err("too much").to_string().contains("more than 64 MiB"));
    // The same with more labels than any series may have: each point would be refused by itself.
    let wide: Vec<u8> = (0..100)
        .flat_map(|at| {
            let long = Value::Text("x".repeat(1_000));
            wrapped(1, &key_value(&format!("a{at}"), long).encode_to_vec())
        })
        .collect();
    let resource = [wrapped(1, &wide), wrapped(2, &wrapped(2, &metric))].concat();
    let err = take("application/x-protobuf", "", &wrapped(1, &resource), &promoted);
    assert!(err.expect_err("too much").to_string().contains("more than 64 MiB"));
    // A bomb: zeros pack a thousandfold.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; WRITE_BYTES_MAX + 1]).expect("memory");
    let bomb = encoder.finish().expect("memory");
    assert!(refused(&bomb, "application/x-protobuf", "gzip").contains("more than 16777216 bytes"));
    // Numbers of two characters that take eight bytes.
    let numbers = "1,".repeat(WRITE_BYTES_MAX / 8 + 2);
    let text = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{{"bucketCounts":[{numbers}1]}}]}}}}]}}]}}]}}"#
    );
    assert!(refused(text.as_bytes(), "application/json", "").contains("more than 16777216 bytes"));
}

#[test]
fn depth_is_bounded_in_both_encodings() {
    let settings = OtlpSettings::default();
    let mut value = wrapped(1, b"x");
    for _ in 0..500 {
        value = wrapped(5, &wrapped(1, &value));
    }
    let attribute = [wrapped(1, b"k"), wrapped(2, &value)].concat();
    let body = with_gauge(&wrapped(1, &wrapped(7, &attribute)));
    assert!(take("application/x-protobuf", "", &body, &settings).is_err());
    let deep = r#"{"arrayValue":{"values":["#.repeat(500);
    let text = format!(r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"value":{deep}"#);
    let err = take("application/json", "", text.as_bytes(), &settings).expect_err("too deep");
    assert!(err.to_string().contains("recursion limit"), "{err}");
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let settings = OtlpSettings::default();
        let _ = take("application/x-protobuf", "", &bytes, &settings);
        let _ = take("application/x-protobuf", "", &with_gauge(&bytes), &settings);
        let _ = take("application/json", "", &bytes, &settings);
        let _ = take("application/x-protobuf", "gzip", &bytes, &settings);
    }

    #[test]
    fn damaged_requests_do_not_make_the_reader_panic(at in any::<usize>(), byte in any::<u8>()) {
        let settings = OtlpSettings::default();
        for (media, mut body) in [
            ("application/x-protobuf", message(1, "a", "b").encode_to_vec()),
            ("application/json", as_json(1, "a", "b").to_string().into_bytes()),
        ] {
            let at = at % body.len();
            body[at] = byte;
            let _ = take(media, "", &body, &settings);
        }
    }

    #[test]
    fn json_is_read_as_protobuf(value in any::<i64>(), name in "[a-z.]{1,12}", label in ".{0,20}") {
        let settings = OtlpSettings::default();
        let bytes = message(value, &name, &label).encode_to_vec();
        let one = take("application/x-protobuf", "", &bytes, &settings).expect("reads");
        let other = sent(&as_json(value, &name, &label), &settings);
        prop_assert_eq!(shown(&one), shown(&other));
        prop_assert_eq!(one.reasons, other.reasons);
        prop_assert_eq!(one.commit.metadata, other.commit.metadata);
    }
}
