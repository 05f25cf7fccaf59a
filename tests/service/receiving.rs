//! What others push, over HTTP and in real time: remote write 2.0 and OTLP by hand, remote write 1.0
//! from the agents that are installed.

use super::live::{Agent, Live, flag};
use super::values;
use prost::Message as _;
use std::time::Duration;
use watchbell::model::TimeRange;
use watchbell::service::Service;
use watchbell::wire::{Call, Core, ExemplarQuery, MetadataRequest, OtlpOutcome, RawWrite};

const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

impl Live {
    fn post_v2(&self, request: &Request) -> (u16, String, String) {
        let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).expect("fits");
        let headers = [
            ("Content-Type", V2),
            ("Content-Encoding", "snappy"),
            ("X-Prometheus-Remote-Write-Version", "2.0.0"),
        ];
        self.post("/api/v1/write", &headers, &body)
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    series: Vec<Series>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Series {
    #[prost(uint32, repeated, tag = "1")]
    labels: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    histograms: Vec<Empty>,
    #[prost(message, repeated, tag = "4")]
    exemplars: Vec<Exemplar>,
    #[prost(message, optional, tag = "5")]
    metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
    #[prost(int64, tag = "3")]
    start: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Empty {}

#[derive(Clone, PartialEq, prost::Message)]
struct Exemplar {
    #[prost(uint32, repeated, tag = "1")]
    labels: Vec<u32>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metadata {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(uint32, tag = "3")]
    help: u32,
}

/// One series `sent_total{job="j"}` with these samples, its metadata and an exemplar.
fn counter(samples: &[(f64, i64, i64)]) -> Request {
    let symbols = ["", "__name__", "sent_total", "job", "j", "Things sent.", "trace_id", "abc"];
    let sample = |&(value, timestamp, start): &(f64, i64, i64)| Sample { value, timestamp, start };
    let at = samples.last().map_or(0, |(_, at, _)| *at);
    let series = Series {
        labels: vec![1, 2, 3, 4],
        samples: samples.iter().map(sample).collect(),
        histograms: Vec::new(),
        exemplars: vec![Exemplar { labels: vec![6, 7], value: 1.0, timestamp: at }],
        metadata: Some(Metadata { kind: 1, help: 5 }),
    };
    Request { symbols: symbols.map(str::to_owned).to_vec(), series: vec![series] }
}

/// The counts in an answer's head.
fn written(head: &str) -> [Option<usize>; 3] {
    ["samples", "histograms", "exemplars"].map(|what| {
        let name = format!("x-prometheus-remote-write-{what}-written: ");
        let line = head.lines().find_map(|line| line.strip_prefix(&name));
        line.and_then(|count| count.parse().ok())
    })
}

#[test]
fn remote_write_2_is_stored_and_partial_writes_are_counted() {
    let live = Live::start("{}", &[]);
    let now = Live::clock_ms();
    let good = counter(&[(1.0, now - 2_000, 0), (3.0, now - 1_000, 0)]);
    let (status, head, body) = live.post_v2(&good);
    assert_eq!((status, body.as_str()), (204, ""), "{head}");
    assert_eq!(written(&head), [Some(2), Some(0), Some(1)]);
    // The newest again is stored already; one before it is late, as in Prometheus.
    let (status, head, _) = live.post_v2(&counter(&[(3.0, now - 1_000, 0)]));
    assert_eq!((status, written(&head)), (204, [Some(1), Some(0), Some(1)]));
    let (status, head, body) = live.post_v2(&good);
    assert_eq!((status, written(&head)), (400, [Some(1), Some(0), Some(1)]));
    let late = "out of order sample for series {__name__=\"sent_total\", job=\"j\"}\n";
    assert_eq!(body, late);
    assert_eq!(values(live.service.as_ref(), "sent_total{job='j'}"), [3.0]);
    let about = live.service.metadata(&MetadataRequest {
        metric: Some("sent_total".to_owned()),
        ..MetadataRequest::default()
    });
    let about = format!("{:?}", about.expect("answers"));
    assert!(about.contains("Things sent.") && about.contains("counter"), "{about}");
    let query = ExemplarQuery { expr: "sent_total".to_owned(), range: TimeRange::ALL };
    let call = Call::with_timeout(Duration::from_secs(30));
    let exemplars = live.service.query_exemplars(&call, &query).expect("answers");
    assert_eq!(exemplars.expect("a selector").len(), 1);
    // One sample of another value, one that is new, a histogram, and a bad reference.
    let mut mixed = counter(&[(9.0, now - 1_000, 0), (4.0, now, 0)]);
    let histogram = Series { histograms: vec![Empty {}], labels: vec![1, 5], ..Series::default() };
    let bad = Series { labels: vec![1, 99], ..mixed.series[0].clone() };
    mixed.series.extend([histogram, bad]);
    let (status, head, body) = live.post_v2(&mixed);
    assert_eq!((status, written(&head)), (400, [Some(1), Some(0), Some(1)]), "{body}");
    for line in [
        "native histograms are disabled for series {__name__=\"Things sent.\"}",
        "labelRefs 1 (name) = 99 (value) outside of symbols table (size 8)",
        "duplicate sample for timestamp for series {__name__=\"sent_total\", job=\"j\"}",
    ] {
        assert!(body.contains(line), "no {line:?} in {body}");
    }
    assert_eq!(values(live.service.as_ref(), "sent_total"), [4.0]);
    let own = live.service.own_metrics().expect("answers");
    for (what, count) in [("samples", 5), ("refused", 4), ("histograms", 1)] {
        let line =
            format!("watchbell_received_{what}_total{{protocol=\"remote_write_2\"}} {count}\n");
        assert!(own.contains(&line), "no {line:?} in {own}");
    }
    let (status, head, body) =
        live.post("/api/v1/write", &[("Content-Type", V2), ("Content-Encoding", "gzip")], b"x");
    assert_eq!((status, written(&head)), (415, [Some(0); 3]), "{body}");
}

#[test]
fn a_zero_shows_where_a_counter_began_with_the_feature_for_it() {
    for (features, expected) in
        [(&[][..], vec![1.0]), (&["created-timestamp-zero-ingestion"][..], vec![2.0])]
    {
        let live = Live::start("{}", features);
        let now = Live::clock_ms();
        for at in [now - 1, now] {
            let (status, _, body) = live.post_v2(&counter(&[(5.0, now - 1, now - 60_000)]));
            assert_eq!(status, 204, "{at}: {body}");
        }
        let core = live.service.as_ref();
        assert_eq!(values(core, "count_over_time(sent_total[5m])"), expected, "{features:?}");
        let (increase, is_there) = (values(core, "increase(sent_total[5m])"), features.len() == 1);
        assert_eq!(!increase.is_empty(), is_there, "{features:?} {increase:?}");
    }
}

fn otlp(now: i64, temporality: i32) -> String {
    let time = format!("{now}000000");
    serde_json::json!({"resourceMetrics": [{
        "resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": "shop"}},
            {"key": "host.name", "value": {"stringValue": "box"}},
        ]},
        "scopeMetrics": [{"metrics": [
            {"name": "orders", "unit": "{order}", "description": "Orders.",
                "sum": {"isMonotonic": true, "aggregationTemporality": temporality,
                    "dataPoints": [{"timeUnixNano": time, "asInt": "5"}]}},
            {"name": "latency", "unit": "s", "histogram": {"aggregationTemporality": 2,
                "dataPoints": [{"timeUnixNano": time, "count": "3", "sum": 0.75,
                    "explicitBounds": [0.5], "bucketCounts": ["2", "1"]}]}},
        ]}],
    }]})
    .to_string()
}

#[test]
fn otlp_is_stored_under_names_of_prometheus() {
    let live = Live::start("otlp: {promote_resource_attributes: [host.name]}", &[]);
    let now = Live::clock_ms();
    let json = [("Content-Type", "application/json")];
    let path = "/api/v1/otlp/v1/metrics";
    let (status, head, body) = live.post(path, &json, otlp(now, 2).as_bytes());
    assert_eq!((status, body.as_str()), (200, "{}"), "{head}");
    let core = live.service.as_ref();
    for (expr, expected) in [
        ("orders_total{job='shop', host_name='box'}", vec![5.0]),
        ("latency_seconds_bucket{le='0.5'}", vec![2.0]),
        ("latency_seconds_count", vec![3.0]),
        ("latency_seconds_sum", vec![0.75]),
        ("target_info{job='shop', host_name='box'}", vec![1.0]),
        ("histogram_quantile(0.5, latency_seconds_bucket)", vec![0.375]),
    ] {
        assert_eq!(values(core, expr), expected, "{expr}");
    }
    // A delta is refused, and the histogram beside it is kept.
    let (status, _, body) = live.post(path, &json, otlp(now + 1_000, 1).as_bytes());
    let words = "invalid temporality and type combination for metric \"orders\"\n";
    assert_eq!((status, body.as_str()), (400, words));
    assert_eq!(values(core, "count_over_time(latency_seconds_count[5m] offset -1m)"), [2.0]);
    let outcome = core.otlp_write(RawWrite {
        content_type: "application/x-protobuf".to_owned(),
        content_encoding: String::new(),
        body: Vec::new(),
    });
    assert_eq!(outcome, Ok(OtlpOutcome::default()));
}

/// The agents scrape the server itself and write what they found into it.
fn scrape_config(live: &Live, job: &str, rest: &str) -> std::path::PathBuf {
    let path = live.folder.path().join(format!("{job}.yml"));
    let text = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs:\n- job_name: {job}\n  static_configs: [{{targets: ['{}']}}]\n{rest}",
        live.address
    );
    std::fs::write(&path, text).expect("writes");
    path
}

#[track_caller]
fn arrives(live: &Live, job: &str) {
    let expr = format!("count_over_time(up{{job='{job}'}}[1m]) >= 3");
    live.until(job, |service| !values(service, &expr).is_empty());
    let whole = format!("sum(scrape_samples_post_metric_relabeling{{job='{job}'}}) > 10");
    assert!(!values(live.service.as_ref(), &whole).is_empty(), "{job}");
}

#[test]
fn prometheus_in_agent_mode_writes_here() {
    let live = Live::start("{}", &[]);
    let url = format!("http://{}/api/v1/write", live.address);
    let rest = format!("remote_write:\n- url: {url}\n  metadata_config: {{send_interval: 1s}}\n");
    let config = scrape_config(&live, "prometheus_agent", &rest);
    let args = [
        "--enable-feature=agent".to_owned(),
        flag("--config.file", &config),
        flag("--storage.agent.path", &live.folder.path().join("agent")),
        "--web.listen-address=127.0.0.1:0".to_owned(),
    ];
    let Some(_agent) = Agent::start("prometheus", &args) else {
        eprintln!("prometheus is not installed");
        return;
    };
    arrives(&live, "prometheus_agent");
    let all = MetadataRequest::default();
    let described = |service: &Service| !service.metadata(&all).expect("answers").is_empty();
    live.until("metadata", described);
}

#[test]
fn vmagent_writes_here() {
    let live = Live::start("{}", &[]);
    let config = scrape_config(&live, "vmagent", "");
    let args = [
        flag("-promscrape.config", &config),
        format!("-remoteWrite.url=http://{}/api/v1/write", live.address),
        flag("-remoteWrite.tmpDataPath", &live.folder.path().join("queue")),
        "-httpListenAddr=127.0.0.1:0".to_owned(),
    ];
    let Some(_agent) = Agent::start("vmagent", &args) else {
        eprintln!("vmagent is not installed");
        return;
    };
    arrives(&live, "vmagent");
}
