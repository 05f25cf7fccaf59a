//! Claims about scraping protobuf: what text would have brought comes, under the same limits.

use super::tests::{Bench, PLAIN, figure, shown, with_keys};
use crate::exposition::messages::{
    COUNTER, Exemplar, GAUGE, HISTOGRAM, Histogram, Metric, MetricFamily, Single, Span, Time,
    bucket, family, gauge, labels,
};
use crate::model::{Labels, MetricType, Timestamp};
use prost::Message as _;

/// A counter with an exemplar, and a histogram of two buckets.
fn usual(counter: f64) -> Vec<Vec<u8>> {
    let timestamp = Some(Time { seconds: 1_700_000_000, nanos: 0 });
    let exemplar = Exemplar { labels: labels(&[("id", "t")]), value: 0.5, timestamp };
    let counter = Single { value: counter, exemplar: Some(exemplar), created: timestamp };
    let counter = Metric { counter: Some(counter), ..Metric::default() };
    let buckets = vec![bucket(0.5, 1), bucket(1.0, 3)];
    let histogram = Histogram { count: 3, sum: 1.5, buckets, ..Histogram::default() };
    let histogram =
        Metric { labels: labels(&[("a", "x")]), histogram: Some(histogram), ..Metric::default() };
    vec![family("c_total", COUNTER, vec![counter]), family("h", HISTOGRAM, vec![histogram])]
}

#[tokio::test]
async fn protobuf_becomes_the_series_of_its_text_and_the_cache_hits() {
    let mut bench = Bench::with(&with_keys("scrape_protocols: [PrometheusProto]"));
    bench.script.protobuf(&usual(1.0));
    bench.script.protobuf(&usual(2.0));
    bench.script.protobuf(&usual(3.0)[1..]);
    let first = bench.next().await;
    let expected = [
        "c_total 1",
        "h_bucket{a=\"x\", le=\"+Inf\"} 3",
        "h_bucket{a=\"x\", le=\"0.5\"} 1",
        "h_bucket{a=\"x\", le=\"1.0\"} 3",
        "h_count{a=\"x\"} 3",
        "h_sum{a=\"x\"} 1.5",
        "up 1",
    ];
    assert_eq!(shown(&first), expected);
    assert_eq!(figure(&first, "scrape_samples_scraped"), 6.0);
    assert_eq!(first.exemplars.len(), 1);
    assert_eq!(first.exemplars[0].labels, Labels::from_pairs([("id", "t")]));
    assert_eq!(first.exemplars[0].ts, Timestamp::from_millis(1_700_000_000_000));
    let kinds: Vec<_> =
        first.metadata.iter().map(|(name, about)| (name.as_str(), about.kind)).collect();
    assert!(kinds.contains(&("c_total", MetricType::Counter)), "{kinds:?}");
    assert!(kinds.contains(&("h", MetricType::Histogram)), "{kinds:?}");
    assert!(first.metadata.iter().all(|(_, about)| about.help == "Helps."));
    let second = bench.next().await;
    assert!(second.samples.iter().all(|row| row.known.is_some()), "all series are known");
    assert!(shown(&second).contains(&"c_total 2".to_owned()));
    assert!(second.metadata.is_empty(), "said already");
    assert!(shown(&bench.next().await).contains(&"c_total stale".to_owned()));
    let request = bench.script.requests.lock().expect("whole")[0].clone();
    let accept = request.headers.iter().find(|(name, _)| name == "Accept").expect("asked");
    assert!(accept.1.starts_with("application/vnd.google.protobuf;"), "{accept:?}");
}

#[tokio::test]
async fn text_and_protobuf_in_turn_are_the_same_series() {
    let mut bench = Bench::with(PLAIN);
    bench.script.protobuf(&[family("g", GAUGE, vec![gauge(&[("a", "1")], 1.0)])]);
    bench.script.text("# TYPE g gauge\ng{a=\"1\"} 2\n");
    bench.script.protobuf(&[family("g", GAUGE, vec![gauge(&[("a", "1")], 3.0)])]);
    for expected in ["g{a=\"1\"} 1", "g{a=\"1\"} 2", "g{a=\"1\"} 3"] {
        assert_eq!(bench.samples().await, [expected, "up 1"]);
    }
}

#[tokio::test]
async fn t6_times_of_protobuf_count_as_those_of_text() {
    let stamped = |at: i64, value: f64| {
        let metric = Metric { timestamp_ms: Some(at), ..gauge(&[], value) };
        [family("g", GAUGE, vec![metric])]
    };
    let mut bench = Bench::with(PLAIN);
    bench.script.protobuf(&stamped(1_700_000_000_500, 1.0));
    // As upstream: 0 is no time.
    bench.script.protobuf(&stamped(0, 2.0));
    assert_eq!(bench.samples().await, ["g 1 @1700000000500", "up 1"]);
    assert_eq!(bench.samples().await, ["g 2", "up 1"]);
    let mut bench = Bench::with(&with_keys("honor_timestamps: false"));
    bench.script.protobuf(&stamped(1_700_000_000_500, 1.0));
    assert_eq!(bench.samples().await, ["g 1", "up 1"]);
}

#[tokio::test]
async fn native_histograms_are_counted_and_their_classic_part_is_kept() {
    let native = |buckets| {
        let spans = vec![Span { offset: 0, length: 1 }];
        let histogram = Histogram {
            count: 2,
            sum: 1.0,
            spans,
            deltas: vec![2],
            buckets,
            ..Histogram::default()
        };
        Metric { histogram: Some(histogram), ..Metric::default() }
    };
    let body = [
        family("both", HISTOGRAM, vec![native(vec![bucket(1.0, 2)])]),
        family("pure", HISTOGRAM, vec![native(Vec::new())]),
    ];
    let expected = [
        "both_bucket{le=\"+Inf\"} 2",
        "both_bucket{le=\"1.0\"} 2",
        "both_count 2",
        "both_sum 1",
        "pure_bucket{le=\"+Inf\"} 2",
        "pure_count 2",
        "pure_sum 1",
        "up 1",
    ];
    for (keys, count) in [("scheme: http", 1.0), ("scrape_native_histograms: true", 2.0)] {
        let mut bench = Bench::with(&with_keys(keys));
        bench.script.protobuf(&body);
        for scrape in [1.0, 2.0] {
            assert_eq!(bench.samples().await, expected, "{keys}");
            let name = "watchbell_scrape_native_histograms_skipped_total";
            let families = bench.registry.gather();
            let family = families.iter().find(|one| one.name == name).expect("counted");
            assert_eq!(family.samples[0].value, count * scrape, "{keys}");
            let notes = bench.manager.targets()[0].notes.clone();
            assert_eq!(notes.len(), 1, "said once: {notes:?}");
            assert!(notes[0].contains("native histograms"), "{notes:?}");
        }
    }
}

#[tokio::test]
async fn t2_a_bad_message_fails_the_scrape_whole() {
    let good = family("a", GAUGE, vec![gauge(&[], 1.0)]);
    let wrong = [good.clone(), vec![200]].concat();
    let twice = family("b", GAUGE, vec![gauge(&[("x", "1"), ("x", "2")], 1.0)]);
    let empty =
        MetricFamily { kind: GAUGE, metrics: vec![gauge(&[], 1.0)], ..MetricFamily::default() };
    let place = good.len();
    for (body, error) in [
        (vec![wrong], format!("byte {place}: ")),
        (vec![good.clone(), twice], "label name \"x\" is not unique".to_owned()),
        (vec![empty.encode_length_delimited_to_vec()], "a family has no name".to_owned()),
    ] {
        let mut bench = Bench::with(PLAIN);
        bench.script.protobuf(&body);
        assert_eq!(bench.samples().await, ["up 0"]);
        let found = bench.manager.targets()[0].last_error.clone();
        assert!(found.contains(&error), "{found}: no {error}");
    }
}

#[tokio::test]
async fn t9_limits_hold_for_protobuf() {
    let many: Vec<_> = (0..1001).map(|n| gauge(&[("n", &n.to_string())], 1.0)).collect();
    let metrics = |count: usize| (0..count).map(|n| gauge(&[("n", &n.to_string())], 1.0)).collect();
    let long = "x".repeat(5_000);
    for (keys, body, error) in [
        (
            "sample_limit: 2",
            family("a", GAUGE, metrics(4)),
            "sample limit exceeded: 4 samples, limit 2",
        ),
        ("label_limit: 3", family("a", GAUGE, metrics(1)), "label_limit exceeded (metric: a"),
        ("scheme: http", family("a", GAUGE, many), "safety limit 1000 (--scrape.max-samples)"),
        ("scheme: http", family("a", GAUGE, vec![gauge(&[("l", &long)], 1.0)]), "limit: 4096"),
    ] {
        let mut bench = Bench::with(&with_keys(keys));
        bench.script.protobuf(&[body]);
        assert_eq!(bench.samples().await, ["up 0"], "{keys}");
        let found = bench.manager.targets()[0].last_error.clone();
        assert!(found.contains(error), "{found}: no {error}");
    }
}

#[tokio::test]
async fn t46_a_small_body_is_not_the_work_of_a_large_one() {
    // 20,000 buckets of 2 bytes, each with labels of 40,000 that relabelling would drop.
    let long = "x".repeat(40_000);
    let buckets = vec![bucket(0.0, 0); 20_000];
    let histogram = Histogram { buckets, ..Histogram::default() };
    let metric =
        Metric { labels: labels(&[("l", &long)]), histogram: Some(histogram), ..Metric::default() };
    let keys = "metric_relabel_configs: [{source_labels: [l], regex: x.*, action: drop}]";
    let mut bench = Bench::with(&with_keys(keys));
    bench.script.protobuf(&[family("h", HISTOGRAM, vec![metric])]);
    assert_eq!(bench.samples().await, ["up 0"]);
    let found = bench.manager.targets()[0].last_error.clone();
    assert!(found.contains("as text the samples are longer than 67108864 bytes"), "{found}");
}
