//! The same protobuf scraped by the real Prometheus, where it is installed, and by this server: the
//! same series, values, metadata and exemplars.
//!
//! Left out on purpose is what Debian's 2.42 does not know (names in UTF-8, classic histograms with
//! fractions) or gets wrong (it gives all parts of a gauge histogram the family's bare name), and
//! what we do not keep (native histograms).

use super::live::{Live, Real};
use messages::{
    Bucket, COUNTER, Exemplar, GAUGE, HISTOGRAM, Histogram, Metric, Quantile, SUMMARY, Single,
    Summary, Time, UNTYPED, bucket, family, gauge, labels, single,
};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use watchbell::sys::tasks;

#[path = "../../src/exposition/proto/messages.rs"]
mod messages;

const MEDIA: &str = "application/vnd.google.protobuf; \
                     proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// A target that answers every request with the same body, and remembers what it was asked.
struct Exporter {
    address: SocketAddr,
    accepts: Arc<Mutex<Vec<String>>>,
}

impl Exporter {
    fn start(body: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("bound");
        let accepts = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&accepts);
        let serve = move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(stream);
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|len| len > 2) {
                    if let Some(accept) = line.to_ascii_lowercase().strip_prefix("accept: ") {
                        seen.lock().expect("whole").push(accept.trim().to_owned());
                    }
                    line.clear();
                }
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: {MEDIA}\r\nContent-Length: {}\r\n\
                     Connection: close\r\n\r\n",
                    body.len()
                );
                // A scraper that went away is no fault of the others.
                let _ = reader.get_mut().write_all(&[head.as_bytes(), &body].concat());
            }
        };
        tasks::spawn_thread("exporter", serve).expect("a thread");
        Self { address, accepts }
    }
}

/// The `data` of an answer.
fn get(address: &str, path: &str) -> Option<serde_json::Value> {
    let mut stream = TcpStream::connect(address).ok()?;
    let head = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let mut answer: serde_json::Value = serde_json::from_str(body).ok()?;
    Some(answer.get_mut("data")?.take())
}

/// Series of the exporter and their values, but for those about scrapes.
fn series(address: &str) -> BTreeMap<String, String> {
    let path = "/api/v1/query?query=%7Bjob%3D%22p%22%7D";
    let data = get(address, path).unwrap_or_default();
    let list = data.get("result").and_then(|result| result.as_array().cloned());
    let row = |one: serde_json::Value| {
        let metric: BTreeMap<String, String> =
            serde_json::from_value(one.get("metric")?.clone()).ok()?;
        let value = one.pointer("/value/1")?.as_str()?.to_owned();
        Some((format!("{metric:?}"), value))
    };
    let rows = list.unwrap_or_default().into_iter().filter_map(row);
    rows.filter(|(series, _)| !series.contains("\"__name__\": \"scrape_")).collect()
}

/// Types and help texts of the exporter's families.
fn metadata(address: &str) -> BTreeMap<String, String> {
    let data = get(address, "/api/v1/metadata").unwrap_or_default();
    let families = data.as_object().cloned().unwrap_or_default();
    let own = families.into_iter().filter(|(name, _)| name.starts_with("p_"));
    own.map(|(name, about)| (name, about.to_string())).collect()
}

/// Exemplars of the exporter's series.
fn exemplars(address: &str) -> Vec<String> {
    let path = "/api/v1/query_exemplars?query=%7Bjob%3D%22p%22%7D&start=1&end=4000000000";
    let data = get(address, path).unwrap_or_default();
    let mut found: Vec<String> =
        data.as_array().into_iter().flatten().map(ToString::to_string).collect();
    found.sort();
    found
}

fn body(now_ms: i64) -> Vec<u8> {
    let timestamp = Some(Time { seconds: now_ms / 1000, nanos: 500_000_000 });
    let exemplar =
        |id: &str| Some(Exemplar { labels: labels(&[("id", id)]), value: 0.25, timestamp });
    let counter = |l: &str, value| Metric {
        labels: labels(&[("l", l)]),
        counter: Some(Single { value, exemplar: exemplar(l), created: timestamp }),
        ..Metric::default()
    };
    let with_exemplar = Bucket { exemplar: exemplar("in a bucket"), ..bucket(1.0, 3) };
    let buckets = vec![bucket(0.5, 1), with_exemplar, bucket(2e6, 4)];
    let histogram = |l: &str, buckets| Metric {
        labels: labels(&[("l", l)]),
        histogram: Some(Histogram { count: 5, sum: 1.5, buckets, ..Histogram::default() }),
        ..Metric::default()
    };
    let quantiles =
        vec![Quantile { rank: 0.5, value: 9.0 }, Quantile { rank: 1.0, value: f64::NAN }];
    let summary = Summary { count: 3, sum: 30.0, quantiles };
    let stamped = Metric { timestamp_ms: Some(now_ms - 1_500), ..gauge(&[("l", "own time")], 7.0) };
    [
        family("p_total", COUNTER, vec![counter("a", 1e6), counter("b", 0.1)]),
        family(
            "p_gauge",
            GAUGE,
            vec![
                gauge(&[("l", "\u{e9}\"\\\n")], f64::NEG_INFINITY),
                gauge(&[("job", "own")], 2.0),
                stamped,
            ],
        ),
        family("p_untyped", UNTYPED, vec![Metric { untyped: single(-0.0), ..Metric::default() }]),
        family(
            "p_seconds",
            HISTOGRAM,
            vec![
                histogram("a", buckets),
                histogram("b", vec![bucket(0.0, 1), bucket(f64::INFINITY, 5)]),
                histogram("c", Vec::new()),
            ],
        ),
        family("p_summary", SUMMARY, vec![Metric { summary: Some(summary), ..Metric::default() }]),
        family("p_none", GAUGE, vec![]),
    ]
    .concat()
}

#[test]
fn prometheus_takes_the_same_series_out_of_protobuf() {
    let folder = tempfile::tempdir().expect("a folder");
    let exporter = Exporter::start(body(Live::clock_ms()));
    let job = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs:\n- job_name: p\n  static_configs: [{{targets: ['{}']}}]\n",
        exporter.address
    );
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, &job).expect("writes");
    let features = "native-histograms,exemplar-storage";
    let Some(prometheus) = Real::prometheus(&file, features) else { return };
    let real = prometheus.address.to_string();
    let live = Live::start(&format!("{job}  scrape_native_histograms: true\n"), &[]);
    let ours = live.address.to_string();
    // Two of a counter, three gauges, one untyped, histograms of 6, 4 and 3, a summary of 4, `up`.
    let count = 2 + 3 + 1 + 6 + 4 + 3 + 4 + 1;
    live.until("a scrape by both", |_| {
        series(&real).len() == count && series(&ours).len() == count
    });
    assert_eq!(series(&ours), series(&real));
    live.until("metadata of both", |_| metadata(&real).len() == 5 && metadata(&ours).len() == 5);
    assert_eq!(metadata(&ours), metadata(&real));
    assert_eq!(exemplars(&ours), exemplars(&real));
    assert_eq!(exemplars(&ours).len(), 3);
    let accepts = exporter.accepts.lock().expect("whole");
    let proto = "application/vnd.google.protobuf;proto=io.prometheus.client.metricfamily;\
                 encoding=delimited";
    assert!(accepts.iter().all(|accept| accept.starts_with(proto)), "{accepts:?}");
}
