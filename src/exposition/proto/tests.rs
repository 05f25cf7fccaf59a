//! Families as messages and as text are the same samples; what is no message is told by place.

use super::messages::{
    COUNTER, Exemplar, GAUGE, GAUGE_HISTOGRAM, HISTOGRAM, Histogram, Metric, MetricFamily,
    Quantile, SUMMARY, Single, Span, Summary, Time, UNTYPED, bucket, family, gauge, labels, single,
};
use super::{Families, MetricValue, ProtoError};
use crate::exposition::parse::LINE_BYTES_MAX;
use crate::exposition::{Entry, Format, Pairs, Parser};
use crate::model::{self, Labels, STALE_NAN_BITS, Timestamp};
use proptest::prelude::*;
use prost::Message as _;
use prost::encoding::encode_varint;

const AT: Timestamp = Timestamp::from_millis(7);

/// What a body says, one line a sample: its series, value, time and exemplar.
fn read(body: &[u8]) -> Result<Vec<String>, ProtoError> {
    let mut out = Vec::new();
    for family in Families::new(body) {
        let family = family?;
        for metric in family.metrics() {
            let metric = metric?;
            let ts = metric.timestamp_ms.map(Timestamp::from_millis);
            metric.each_sample(|sample| {
                let mut pairs = Pairs::new();
                metric.read_series(&family, &sample, &mut pairs)?;
                let exemplar = sample.exemplar.map(|found| found.exemplar(ts.unwrap_or(AT)));
                out.push(shown(pairs, sample.value, ts, exemplar));
                Ok::<_, ProtoError>(())
            })?;
        }
    }
    Ok(out)
}

/// The same of text.
fn read_text(body: &str) -> Vec<String> {
    let mut out = Vec::new();
    for entry in Parser::new(body.as_bytes(), Format::OpenMetrics) {
        let Entry::Sample(line) = entry.expect("reads") else { continue };
        let mut pairs = Pairs::new();
        line.series.read(&mut pairs).expect("a series");
        let exemplar = line.exemplar.and_then(|text| text.read(line.ts.unwrap_or(AT)));
        out.push(shown(pairs, line.value, line.ts, exemplar));
    }
    out
}

fn shown(
    pairs: Pairs<'_>,
    value: f64,
    ts: Option<Timestamp>,
    exemplar: Option<model::Exemplar>,
) -> String {
    let labels: Labels = pairs.into_iter().collect();
    format!("{labels} {value} {ts:?} {exemplar:?}")
}

fn of(histogram: Histogram) -> Metric {
    Metric { labels: labels(&[("a", "x")]), histogram: Some(histogram), ..Metric::default() }
}

fn exemplar(timestamp: Option<Time>) -> Option<Exemplar> {
    Some(Exemplar { labels: labels(&[("id", "t")]), value: 0.25, timestamp })
}

#[test]
fn messages_are_the_samples_of_their_text() {
    let half = Time { seconds: 1, nanos: 500_999_999 };
    let counter = Single { value: 2.0, exemplar: exemplar(None), created: Some(half) };
    let mut buckets = vec![bucket(0.5, 1), bucket(1.0, 3), bucket(1e6, 4)];
    buckets[0].exemplar = exemplar(Some(half));
    let histogram = Histogram { count: 5, sum: 1.5, buckets, ..Histogram::default() };
    let quantiles = vec![Quantile { rank: 0.5, value: 9.0 }, Quantile { rank: 1.0, value: 10.0 }];
    let summary = Summary { count: 3, sum: 30.0, quantiles };
    let mut fractions = vec![bucket(2.0, 0), bucket(f64::INFINITY, 0), bucket(3.0, 7)];
    fractions[0].float_count = 0.5;
    fractions[1].float_count = 2.5;
    let gauges =
        Histogram { float_count: 2.5, sum: -1.0, buckets: fractions, ..Histogram::default() };
    let body = [
        family(
            "c_total",
            COUNTER,
            vec![Metric { counter: Some(counter), timestamp_ms: Some(3_000), ..Metric::default() }],
        ),
        family("g.g", GAUGE, vec![gauge(&[("l.l", "\u{e9}\n")], -1.0), gauge(&[], 1.0)]),
        family("u", UNTYPED, vec![Metric { untyped: single(f64::NAN), ..Metric::default() }]),
        family("none", GAUGE, vec![]),
        family("h", HISTOGRAM, vec![of(histogram)]),
        family("s", SUMMARY, vec![Metric { summary: Some(summary), ..Metric::default() }]),
        family("gh", GAUGE_HISTOGRAM, vec![of(gauges)]),
        // Upstream takes a value that is not set for 0, and a native histogram for its sums.
        family("unset", GAUGE, vec![Metric { counter: single(5.0), ..Metric::default() }]),
        family(
            "native",
            HISTOGRAM,
            vec![of(Histogram {
                count: 4,
                sum: 8.0,
                spans: vec![Span { offset: 1, length: 2 }],
                deltas: vec![1, 2],
                schema: 3,
                ..Histogram::default()
            })],
        ),
    ];
    let text = r#"c_total 2 3 # {id="t"} 0.25
{"g.g","l.l"="é\n"} -1
{"g.g"} 1
u NaN
h_count{a="x"} 5
h_sum{a="x"} 1.5
h_bucket{a="x",le="0.5"} 1 # {id="t"} 0.25 1.500
h_bucket{a="x",le="1.0"} 3
h_bucket{a="x",le="1e+06"} 4
h_bucket{a="x",le="+Inf"} 5
s_count 3
s_sum 30
s{quantile="0.5"} 9
s{quantile="1.0"} 10
gh_count{a="x"} 2.5
gh_sum{a="x"} -1
gh_bucket{a="x",le="2.0"} 0.5
gh_bucket{a="x",le="+Inf"} 2.5
unset 0
native_count{a="x"} 4
native_sum{a="x"} 8
native_bucket{a="x",le="+Inf"} 4
# EOF
"#;
    assert_eq!(read(&body.concat()).expect("reads"), read_text(text));
}

#[test]
fn families_say_what_they_are() {
    let unit = MetricFamily {
        name: "a_seconds".to_owned(),
        help: "Helps.".to_owned(),
        unit: "seconds".to_owned(),
        kind: HISTOGRAM,
        metrics: vec![
            of(Histogram { zero_threshold: 0.1, ..Histogram::default() }),
            of(Histogram::default()),
        ],
    };
    let body = unit.encode_length_delimited_to_vec();
    let family = Families::new(&body).next().expect("one").expect("reads");
    assert_eq!((family.name, family.help, family.unit), ("a_seconds", "Helps.", "seconds"));
    assert_eq!((family.kind, family.metric_count), (model::MetricType::Histogram, 2));
    let native = family.metrics().map(|metric| match metric.expect("reads").value {
        Some(MetricValue::Histogram(found)) => found.is_native,
        other => panic!("no histogram: {other:?}"),
    });
    assert_eq!(native.collect::<Vec<_>>(), [true, false]);
}

#[test]
fn no_target_writes_the_mark_of_an_end_and_other_nans_keep_their_bits() {
    for (bits, kept) in
        [(STALE_NAN_BITS, false), (0x7ff8_0000_0000_0001, true), (0x7ff8_0000_0000_0abc, true)]
    {
        let body = family("a", GAUGE, vec![gauge(&[], f64::from_bits(bits))]);
        let family = Families::new(&body).next().expect("one").expect("reads");
        let metric = family.metrics().next().expect("one").expect("reads");
        let mut found = Vec::new();
        metric
            .each_sample(|sample| {
                found.push(sample.value.to_bits());
                Ok::<_, ProtoError>(())
            })
            .expect("reads");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0] == bits, kept, "{bits:x}");
        assert!(f64::from_bits(found[0]).is_nan());
    }
}

/// A message with its length before it.
fn delimited(fields: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_varint(fields.len() as u64, &mut out);
    out.extend(fields);
    out
}

/// A field that holds bytes.
fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    [vec![tag << 3 | 2], delimited(bytes)].concat()
}

/// The family `a` of gauges with one metric of these bytes.
fn with_metric(metric: &[u8]) -> Vec<u8> {
    delimited(&[field(1, b"a"), vec![3 << 3, 1], field(4, metric)].concat())
}

#[test]
fn what_is_no_family_is_told_by_place() {
    let gauge_message = field(2, &[]);
    let label = |name: &[u8], value: &[u8]| field(1, &[field(1, name), field(2, value)].concat());
    let long = vec![b'x'; LINE_BYTES_MAX + 1];
    for (body, place, words) in [
        (vec![5, 1], 0, "the message is cut short"),
        // The length says 2^63.
        ([vec![0xff; 8], vec![0x7f]].concat(), 0, "the message is cut short"),
        (vec![0xff; 11], 0, "varint"),
        (delimited(&[0x0b]), 1, "groups are not accepted"),
        (delimited(&[0x08, 1]), 1, "field 1 of the message here has the wrong wire type"),
        (delimited(&field(1, b"\xff")), 3, "invalid UTF-8"),
        (delimited(&field(4, &[])), 1, "a family has no name"),
        (
            delimited(&[field(1, &long), field(4, &[])].concat()),
            3,
            "the name of a family is longer",
        ),
        (
            delimited(&[field(1, b"a"), vec![3 << 3, 9], field(4, &[])].concat()),
            1,
            "family \"a\": metric type 9 is not known; 0 to 5 are",
        ),
        (
            with_metric(&[gauge_message.clone(), gauge_message].concat()),
            12,
            "family \"a\": a metric has two values",
        ),
        (with_metric(&[0x10]), 8, "family \"a\": "),
        (with_metric(&label(b"", b"v")), 10, "a label has no name"),
        (with_metric(&label(b"l", b"\xff")), 15, "invalid UTF-8"),
        (
            with_metric(&[label(b"l", b"1"), label(b"l", b"2")].concat()),
            8,
            "label name \"l\" is not unique",
        ),
        (with_metric(&label(b"l", &long)), 12, "the labels of a metric are longer than 65536"),
    ] {
        let err = read(&body).expect_err(words);
        assert!(err.message.contains(words), "{err}: no {words:?}");
        assert_eq!(err.offset, place, "{err}");
    }
    // A bucket's label is among those that must differ.
    let twice = Metric { labels: labels(&[("le", "1")]), ..of(Histogram::default()) };
    let plain = family("h", HISTOGRAM, vec![twice]);
    assert!(read(&plain).expect_err("twice").message.contains("label name \"le\" is not unique"));
}

#[test]
fn labels_are_hashed_wherever_they_stand_in_the_message() {
    use std::hash::{BuildHasher as _, BuildHasherDefault};
    let label = field(1, &[field(1, b"l"), field(2, b"v")].concat());
    let other = field(1, &[field(1, b"l"), field(2, b"w")].concat());
    let value = field(2, &[0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
    let key = |metric: &[u8]| {
        let body = with_metric(metric);
        let family = Families::new(&body).next().expect("one").expect("reads");
        let metric = family.metrics().next().expect("one").expect("reads");
        let state = BuildHasherDefault::<std::hash::DefaultHasher>::default();
        state.hash_one(metric.raw_labels())
    };
    let before = key(&[&label[..], &value].concat());
    assert_eq!(before, key(&[&value[..], &label].concat()));
    assert_eq!(before, key(&label));
    assert_ne!(before, key(&[&other[..], &value].concat()));
    assert_ne!(before, key(&[&label[..], &label, &value].concat()));
}

proptest! {
    #[test]
    fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
    }

    #[test]
    fn a_body_that_is_changed_is_read_or_refused(
        values in prop::collection::vec(any::<f64>(), 1..5),
        at in any::<prop::sample::Index>(),
        byte: u8,
    ) {
        let buckets = values.iter().map(|bound| bucket(*bound, 1)).collect();
        let histogram = of(Histogram { buckets, ..Histogram::default() });
        let mut body = family("h", HISTOGRAM, vec![histogram, gauge(&[("x", "y")], 1.0)]);
        let whole = read(&body).expect("reads");
        prop_assert!(whole.len() >= 3);
        let cut = at.index(body.len());
        prop_assert!(cut == 0 || read(&body[..cut]).is_err(), "cut at {}", cut);
        body[cut] = byte;
        let _ = read(&body);
    }
}
