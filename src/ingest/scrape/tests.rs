//! Claims about scraping, with a virtual clock, a scripted network and a recording store.

use super::super::config::{Global, ScrapeConfig, ScrapeJob, TargetGroup, check};
use super::super::discover::{HostFiles, ParseGroups};
use super::super::limits::SafetyLimits;
use super::support::{Names, Written};
use super::*;
use crate::model::Problem;
use crate::model::{Exemplar, Labels, MetricType, Timestamp, is_stale_nan};
use crate::storage::append::{AppendError, Appender, Commit, Committed, Refusal, SeriesRef};
use crate::sys::clock::{Clock, Sleep};
use crate::sys::dns::{Dns, LookupError, PendingRecords, RecordKind};
use crate::sys::http::{Http, HttpClient, HttpError, Pending, Request, Response};
use crate::sys::metrics::{Family, FamilySample, Registry};
use crate::sys::settings::HttpClientSettings;
use crate::sys::sim::VirtualClock;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A virtual clock that knows who sleeps, so that time moves only when all do.
#[derive(Clone, Debug)]
struct TestClock {
    time: VirtualClock,
    sleepers: Arc<Sleepers>,
}

/// Deadlines of those who sleep.
#[derive(Debug, Default)]
struct Sleepers {
    deadlines: Mutex<BTreeMap<u64, Duration>>,
    changed: Notify,
}

impl Sleepers {
    /// The earliest deadline, once as many as `count` sleep and none of them is due.
    async fn earliest(&self, count: usize, clock: &VirtualClock) -> Duration {
        loop {
            let changed = self.changed.notified();
            {
                let deadlines = self.deadlines.lock().expect("whole");
                let due = deadlines.values().any(|deadline| *deadline <= clock.elapsed());
                if !due && deadlines.len() >= count {
                    return *deadlines.values().min().expect("somebody sleeps");
                }
            }
            changed.await;
        }
    }
}

/// One sleeper; forgotten when it wakes or is dropped.
struct Sleeper {
    id: u64,
    sleepers: Arc<Sleepers>,
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.sleepers.deadlines.lock().expect("whole").remove(&self.id);
        self.sleepers.changed.notify_one();
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.time.now()
    }

    fn elapsed(&self) -> Duration {
        self.time.elapsed()
    }

    fn sleep_until(&self, deadline: Duration) -> Sleep {
        static IDS: AtomicU64 = AtomicU64::new(0);
        let mut sleep = self.time.sleep_until(deadline);
        let sleepers = Arc::clone(&self.sleepers);
        let mut registered = None;
        Box::pin(std::future::poll_fn(move |context| {
            let polled = sleep.as_mut().poll(context);
            if polled.is_pending() && registered.is_none() {
                let id = IDS.fetch_add(1, Ordering::Relaxed);
                sleepers.deadlines.lock().expect("whole").insert(id, deadline);
                registered = Some(Sleeper { id, sleepers: Arc::clone(&sleepers) });
                sleepers.changed.notify_one();
            } else if polled.is_ready() {
                registered = None;
            }
            polled
        }))
    }
}

/// Answers in order; then the last one again and again.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    answers: Arc<Mutex<VecDeque<Result<Response, HttpError>>>>,
    pub(super) requests: Arc<Mutex<Vec<Request>>>,
}

impl Script {
    pub(super) fn push(&self, answer: Result<Response, HttpError>) {
        self.answers.lock().expect("whole").push_back(answer);
    }

    pub(super) fn protobuf(&self, body: &[Vec<u8>]) {
        self.push(Ok(response("application/vnd.google.protobuf", body.concat())));
    }

    pub(super) fn text(&self, body: &str) {
        self.push(Ok(response("text/plain; version=0.0.4", body)));
    }
}

impl HttpClient for Script {
    fn send(&self, request: Request) -> Pending<'_> {
        self.requests.lock().expect("whole").push(request);
        let mut answers = self.answers.lock().expect("whole");
        let answer = match answers.len() {
            0 => Err(HttpError::Connect("connection refused".to_owned())),
            1 => answers[0].clone(),
            _ => answers.pop_front().expect("more than one"),
        };
        Box::pin(async move { answer })
    }
}

impl Http for Script {
    fn client(&self, _: &HttpClientSettings, _: &Path) -> Result<Arc<dyn HttpClient>, Problem> {
        Ok(Arc::new(self.clone()))
    }
}

/// A name service that nobody asks.
#[derive(Debug)]
struct NoDns;

impl Dns for NoDns {
    fn records<'a>(&'a self, name: &'a str, _: RecordKind) -> PendingRecords<'a> {
        Box::pin(async move { Err(LookupError::new(name, "nobody to ask")) })
    }
}

fn response(content_type: &str, body: impl Into<Vec<u8>>) -> Response {
    Response {
        status: 200,
        headers: vec![("content-type".to_owned(), content_type.to_owned())],
        body: body.into().into(),
        length_known: true,
    }
}

/// Keeps every commit and hands it to the test.
#[derive(Debug)]
struct Recorder {
    commits: mpsc::UnboundedSender<Written>,
    names: Names,
    fail: Arc<Mutex<bool>>,
}

impl Appender for Recorder {
    fn commit(&self, commit: &Commit) -> Result<Committed, AppendError> {
        if *self.fail.lock().expect("whole") {
            let _ = self.commits.send(Written::default());
            return Err(AppendError::Refusing("disk full".to_owned()));
        }
        let far = |ts: Timestamp| ts > START.plus_millis(3_600_000);
        let places = commit.samples.iter().enumerate();
        let mut refused: Vec<_> = places
            .filter(|(_, sample)| far(sample.ts))
            .map(|(place, _)| (place, Refusal::TooFarAhead))
            .collect();
        let (written, duplicates) = self.names.written(commit);
        refused.extend(duplicates.into_iter().map(|place| (place, Refusal::Duplicate)));
        let taken = written.samples.iter().filter(|row| !far(row.ts));
        taken.for_each(|row| self.names.make(&row.labels));
        let refs = self.names.find(&commit.labels);
        let _ = self.commits.send(written);
        Ok(Committed { refs, refused, ..Committed::default() })
    }

    fn commit_synced(&self, commit: &Commit) -> Result<Committed, AppendError> {
        self.commit(commit)
    }

    fn find(&self, labels: &[Labels]) -> Vec<Option<SeriesRef>> {
        self.names.find(labels)
    }
}

pub(super) struct Bench {
    pub(super) manager: ScrapeManager,
    pub(super) clock: VirtualClock,
    pub(super) script: Script,
    commits: mpsc::UnboundedReceiver<Written>,
    /// One word for each commit whose target's view is up to date.
    told: mpsc::UnboundedReceiver<()>,
    sleepers: Arc<Sleepers>,
    /// How many sleep when nothing happens: one a target, one a job with files.
    sleepers_expected: usize,
    pub(super) registry: Registry,
    fail: Arc<Mutex<bool>>,
}

impl Bench {
    fn new() -> Self {
        let script = Script::default();
        Self { script: script.clone(), ..Self::over(Arc::new(script)) }
    }

    /// A bench on this network.
    pub(super) fn over(http: Arc<dyn Http>) -> Self {
        let sleepers = Arc::new(Sleepers::default());
        let (commit_sender, commits) = mpsc::unbounded_channel();
        let (tell, told) = mpsc::unbounded_channel();
        let clock = VirtualClock::at(START);
        let registry = Registry::new();
        let fail = Arc::new(Mutex::new(false));
        let parse: ParseGroups = Arc::new(|_, text| {
            serde_yaml::from_str::<Vec<TargetGroup>>(text).map_err(|err| err.to_string())
        });
        let manager = ScrapeManager::new(Deps {
            clock: Arc::new(TestClock { time: clock.clone(), sleepers: Arc::clone(&sleepers) }),
            http,
            dns: Arc::new(NoDns),
            appender: Arc::new(Recorder {
                commits: commit_sender,
                names: Names::default(),
                fail: Arc::clone(&fail),
            }),
            registry: registry.clone(),
            server_seed: 1,
            parse_groups: parse,
            files: Arc::new(HostFiles),
            user_agent: "Prometheus/3.14.0".to_owned(),
            safety: SafetyLimits { samples_max: 1000, ..SafetyLimits::default() },
            event_loop: None,
            on_commit: Arc::new(move || {
                let _ = tell.send(());
            }),
        });
        Self {
            manager,
            clock,
            script: Script::default(),
            commits,
            told,
            sleepers,
            sleepers_expected: 1,
            registry,
            fail,
        }
    }

    pub(super) fn with(yaml: &str) -> Self {
        let bench = Self::new();
        bench.apply(yaml);
        bench
    }

    fn apply(&self, yaml: &str) {
        self.manager.apply(jobs(yaml), Vec::new());
    }

    /// Lets time pass until the next scrape or mark, and answers its commit. Time stands still
    /// while anything works.
    pub(super) async fn next(&mut self) -> Written {
        loop {
            tokio::select! {
                biased;
                commit = self.commits.recv() => {
                    let commit = commit.expect("the manager lives");
                    if !commit.samples.is_empty() {
                        self.told.recv().await.expect("the manager lives");
                    }
                    return commit;
                }
                deadline = self.sleepers.earliest(self.sleepers_expected, &self.clock) => {
                    self.clock.advance(deadline - self.clock.elapsed());
                }
            }
        }
    }

    /// The samples of the next commit, as text: value and, where it is not the scrape's, time.
    pub(super) async fn samples(&mut self) -> Vec<String> {
        shown(&self.next().await)
    }
}

pub(super) fn jobs(yaml: &str) -> Vec<ScrapeJob> {
    let configs: Vec<ScrapeConfig> = serde_yaml::from_str(yaml).expect("reads");
    let checked = check(&Global::default(), &configs, Path::new("/"), &mut BTreeSet::new());
    checked.expect("valid").jobs
}

/// Samples without the scrape's own series except `up`, without the target's labels.
pub(super) fn shown(commit: &Written) -> Vec<String> {
    let scrape_ts = commit.samples.last().map(|sample| sample.ts);
    let mut lines: Vec<String> = commit
        .samples
        .iter()
        .filter(|s| !s.labels.metric_name().unwrap_or_default().starts_with("scrape_"))
        .map(|sample| {
            let name = sample.labels.metric_name().unwrap_or_default();
            let own = |name: &str| !matches!(name, "__name__" | "job" | "instance");
            let labels = sample.labels.filtered(own);
            let labels = if labels.is_empty() { String::new() } else { labels.to_string() };
            let value = if is_stale_nan(sample.value) {
                "stale".to_owned()
            } else {
                sample.value.to_string()
            };
            let ts = if Some(sample.ts) == scrape_ts {
                String::new()
            } else {
                format!(" @{}", sample.ts)
            };
            format!("{name}{labels} {value}{ts}")
        })
        .collect();
    lines.sort();
    lines
}

pub(super) fn figure(commit: &Written, name: &str) -> f64 {
    let found = commit.samples.iter().find(|s| s.labels.metric_name() == Some(name));
    found.unwrap_or_else(|| panic!("no {name}")).value
}

pub(super) const PLAIN: &str = "[{job_name: j, scrape_interval: 5s, scrape_timeout: 5s, \
    static_configs: [{targets: ['a:1']}]}]";

pub(super) fn with_keys(keys: &str) -> String {
    PLAIN.replace("static_configs", &format!("{keys}, static_configs"))
}

#[tokio::test]
async fn one_scrape_is_one_commit_with_its_own_series() {
    let mut bench = Bench::with(PLAIN);
    bench.script.text("# TYPE a counter\n# HELP a Counts.\na 1\nb{x=\"1\"} 2\n");
    let commit = bench.next().await;
    assert_eq!(shown(&commit), ["a 1", "b{x=\"1\"} 2", "up 1"]);
    assert_eq!(commit.samples.len(), 2 + 5);
    let target = Labels::from_pairs([("__name__", "up"), ("job", "j"), ("instance", "a:1")]);
    assert!(commit.samples.iter().any(|sample| sample.labels == target));
    for (name, value) in [
        ("scrape_samples_scraped", 2.0),
        ("scrape_samples_post_metric_relabeling", 2.0),
        ("scrape_series_added", 2.0),
    ] {
        assert_eq!(figure(&commit, name), value, "{name}");
    }
    assert_eq!(commit.metadata.len(), 1);
    assert_eq!(commit.metadata[0].1.kind, MetricType::Counter);
    assert_eq!(commit.metadata[0].1.help, "Counts.");
    // Steady: references are reused, nothing is said twice.
    let again = bench.next().await;
    assert!(again.samples.iter().all(|sample| sample.known.is_some()));
    assert!(again.metadata.is_empty());
    assert_eq!(figure(&again, "scrape_series_added"), 0.0);
    let request = bench.script.requests.lock().expect("whole")[0].clone();
    assert_eq!(request.url, "http://a:1/metrics");
    let header = |name: &str| {
        request.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
    };
    assert_eq!(header("User-Agent").as_deref(), Some("Prometheus/3.14.0"));
    assert_eq!(header("Accept-Encoding").as_deref(), Some("gzip"));
    assert_eq!(header("X-Prometheus-Scrape-Timeout-Seconds").as_deref(), Some("5"), "T45");
}

#[tokio::test]
async fn t1_scrapes_keep_their_phase_and_their_timestamps_are_snapped() {
    let mut bench = Bench::with(PLAIN);
    bench.script.text("a 1\n");
    let first = bench.next().await.samples[0].ts;
    assert!(first.millis_since(START) <= 5_000, "the first scrape comes within the interval");
    let second = bench.next().await.samples[0].ts;
    assert_eq!(second.millis_since(first), 5_000);
    bench.manager.stop().await;
    // Another start of the same server, at another time: the same phase.
    let mut other = Bench::new();
    other.clock.advance(Duration::from_millis(12_345));
    other.script.text("a 1\n");
    other.apply(PLAIN);
    let third = other.next().await.samples[0].ts;
    assert_eq!(third.millis_since(first).rem_euclid(5_000), 0);
}

#[tokio::test]
async fn t2_a_failed_scrape_is_an_empty_scrape() {
    let mut bench = Bench::with(PLAIN);
    bench.script.text("a 1\nb 1\n");
    bench.script.text("a 2\nb 0x\n");
    bench.script.push(Ok(Response { status: 503, ..response("text/plain", "a 1\n") }));
    bench.script.push(Err(HttpError::Timeout));
    bench.script.text("a 3\n");
    assert_eq!(bench.samples().await, ["a 1", "b 1", "up 1"]);
    let failed = bench.next().await;
    assert_eq!(shown(&failed), ["a stale", "b stale", "up 0"]);
    assert_eq!(figure(&failed, "scrape_samples_scraped"), 1.0);
    let view = bench.manager.targets().remove(0);
    assert_eq!(view.health, Health::Down);
    assert_eq!(view.last_error, "2:3: expected a value after the metric, got \"0x\"");
    assert_eq!(bench.samples().await, ["up 0"], "ends are marked once");
    assert_eq!(bench.samples().await, ["up 0"]);
    let good = bench.next().await;
    assert_eq!(shown(&good), ["a 3", "up 1"]);
    assert_eq!(figure(&good, "scrape_series_added"), 0.0, "failures forget no series");
}

#[tokio::test]
async fn t3_an_answer_without_a_known_type_fails_unless_the_job_names_one() {
    for (keys, content_type, expected) in [
        ("", "text/html", vec!["up 0"]),
        ("fallback_scrape_protocol: PrometheusText0.0.4", "text/html", vec!["a 1", "up 1"]),
        (
            "fallback_scrape_protocol: PrometheusText0.0.4",
            "application/openmetrics-text",
            vec!["up 0"],
        ),
    ] {
        let yaml = if keys.is_empty() { PLAIN.to_owned() } else { with_keys(keys) };
        let mut bench = Bench::with(&yaml);
        bench.script.push(Ok(response(content_type, "a 1\n")));
        assert_eq!(bench.samples().await, expected, "{keys} {content_type}");
    }
}

#[tokio::test]
async fn exemplars_of_kept_samples_come_with_them_and_the_cache_still_hits() {
    let mut bench = Bench::with(&with_keys(
        "metric_relabel_configs: [{source_labels: [__name__], regex: drop_total, action: drop}]",
    ));
    for id in ["1", "2"] {
        let body = format!(
            "a_total 1 # {{id=\"{id}\"}} 0.5\nb_total 1 # {{id=\"b{id}\"}} 2 1600000000\n\
             drop_total 1 # {{id=\"x\"}} 1\nc_total 1\n# EOF\n"
        );
        bench.script.push(Ok(response("application/openmetrics-text; version=1.0.0", body)));
    }
    let mut scrapes = Vec::new();
    for id in ["1", "2"] {
        let written = bench.next().await;
        let ts = written.samples.last().expect("its own series").ts;
        let exemplar = |id: &str, value, ts, has_own_ts| Exemplar {
            labels: Labels::from_pairs([("id", id)]),
            value,
            ts,
            has_own_ts,
        };
        let own = Timestamp::from_millis(1_600_000_000_000);
        let b = format!("b{id}");
        assert_eq!(written.exemplars, [exemplar(id, 0.5, ts, false), exemplar(&b, 2.0, own, true)]);
        scrapes.push(written);
    }
    assert!(scrapes[1].samples.iter().all(|row| row.known.is_some()), "by reference");
}

#[tokio::test]
async fn t4_normalized_bounds_survive_the_cache() {
    let mut bench = Bench::with(PLAIN);
    bench.script.text("# TYPE h histogram\nh_bucket{le=\"1\"} 1\n");
    bench.script.text("h_bucket{le=\"1\"} 2\n");
    bench.script.text("# TYPE h histogram\nh_bucket{le=\"1\"} 3\n");
    assert_eq!(bench.samples().await, ["h_bucket{le=\"1.0\"} 1", "up 1"]);
    assert_eq!(
        bench.samples().await,
        ["h_bucket{le=\"1\"} 2", "h_bucket{le=\"1.0\"} stale", "up 1"]
    );
    assert_eq!(
        bench.samples().await,
        ["h_bucket{le=\"1\"} stale", "h_bucket{le=\"1.0\"} 3", "up 1"]
    );
}

#[tokio::test]
async fn t5_a_series_that_is_gone_is_marked_once() {
    let mut bench = Bench::with(PLAIN);
    bench.script.text("a{x=\"1\"} 1\na{x=\"2\"} NaN\n");
    bench.script.text("a{x=\"1\"} 1\n");
    bench.script.text("a{x=\"1\"} 1\n");
    bench.script.text("a{x=\"2\"} 5\n");
    assert_eq!(bench.samples().await, ["a{x=\"1\"} 1", "a{x=\"2\"} NaN", "up 1"]);
    assert_eq!(bench.samples().await, ["a{x=\"1\"} 1", "a{x=\"2\"} stale", "up 1"]);
    assert_eq!(bench.samples().await, ["a{x=\"1\"} 1", "up 1"]);
    assert_eq!(bench.samples().await, ["a{x=\"1\"} stale", "a{x=\"2\"} 5", "up 1"]);
}

#[tokio::test]
async fn t5_the_identity_is_the_one_after_relabelling() {
    let rules = "metric_relabel_configs: [{action: labeldrop, regex: pod}]";
    let mut bench = Bench::with(&with_keys(rules));
    bench.script.text("a{pod=\"1\"} 1\n");
    bench.script.text("a{pod=\"2\"} 2\n");
    assert_eq!(bench.samples().await, ["a 1", "up 1"]);
    assert_eq!(bench.samples().await, ["a 2", "up 1"], "another line, the same series");
}

#[tokio::test]
async fn t6_own_timestamps_opt_out_of_staleness() {
    let body = format!("a 1 {START}\nb 1\n");
    for (keys, gone) in [
        ("honor_timestamps: true", vec!["b stale", "up 1"]),
        ("track_timestamps_staleness: true", vec!["a stale", "b stale", "up 1"]),
        ("honor_timestamps: false", vec!["a stale", "b stale", "up 1"]),
    ] {
        let mut bench = Bench::with(&with_keys(keys));
        bench.script.text(&body);
        bench.script.text("");
        let first = bench.samples().await;
        let own = format!("a 1 @{START}");
        let expected = if keys == "honor_timestamps: false" { "a 1" } else { own.as_str() };
        assert_eq!(first, [expected, "b 1", "up 1"], "{keys}");
        assert_eq!(bench.samples().await, gone, "{keys}");
    }
}

#[tokio::test]
async fn t6_a_timestamp_far_ahead_costs_its_sample_and_not_the_scrape() {
    let mut bench = Bench::with(PLAIN);
    let far = START.plus_millis(7_200_000);
    bench.script.text(&format!("a 1 {far}\nb 1\n"));
    bench.next().await;
    bench.next().await;
    assert_eq!(bench.manager.targets()[0].health, Health::Up);
    let name = "prometheus_target_scrapes_sample_out_of_bounds_total";
    assert!(bench.registry.counter(name, "", &[]).get() >= 1.0);
}

#[tokio::test]
async fn t7_a_removed_target_is_marked_at_its_first_missed_scrape() {
    let mut bench = Bench::with(PLAIN);
    bench.script.text("a 1\n");
    let last = bench.next().await.samples[0].ts;
    bench.apply("[]");
    assert!(bench.manager.targets().is_empty());
    let ends = bench.next().await;
    let waited = bench.clock.now().millis_since(last);
    assert!(waited >= 10_500, "marked after {waited} ms");
    assert_eq!(ends.samples.len(), 1 + 5, "the series about the scrape end too");
    for sample in &ends.samples {
        assert!(is_stale_nan(sample.value));
        assert_eq!(sample.ts.millis_since(last), 5_000);
    }
}

#[tokio::test]
async fn t7_shutdown_marks_nothing() {
    let mut bench = Bench::with(PLAIN);
    bench.script.text("a 1\n");
    bench.next().await;
    bench.manager.stop().await;
    bench.clock.advance(Duration::from_secs(60));
    bench.apply(PLAIN);
    assert!(bench.commits.try_recv().is_err());
    assert!(bench.manager.targets().is_empty(), "nothing starts after the stop");
}

#[tokio::test]
async fn t8_honor_labels_decides_who_wins() {
    let group = "static_configs: [{targets: ['a:1'], labels: {b: target}}]";
    let keys = |honor: bool| {
        let honor = format!("honor_labels: {honor}, {group}");
        PLAIN.replace("static_configs: [{targets: ['a:1']}]", &honor)
    };
    let body = "m{b=\"x\",exported_b=\"y\"} 1\nn{b=\"\"} 1\no{instance=\"\"} 1\n";
    for (honor, expected) in [
        (
            false,
            vec![
                "{__name__=\"m\", b=\"target\", exported_b=\"y\", exported_exported_b=\"x\", \
                 instance=\"a:1\", job=\"j\"}",
                r#"{__name__="n", b="target", instance="a:1", job="j"}"#,
                r#"{__name__="o", b="target", instance="a:1", job="j"}"#,
            ],
        ),
        (
            true,
            vec![
                r#"{__name__="m", b="x", exported_b="y", instance="a:1", job="j"}"#,
                r#"{__name__="n", instance="a:1", job="j"}"#,
                r#"{__name__="o", b="target", job="j"}"#,
            ],
        ),
    ] {
        let mut bench = Bench::with(&keys(honor));
        bench.script.text(body);
        let commit = bench.next().await;
        let found: Vec<_> =
            commit.samples.iter().take(3).map(|sample| sample.labels.to_string()).collect();
        assert_eq!(found, expected, "{honor}");
    }
}

#[tokio::test]
async fn t9_limits_fail_the_whole_scrape() {
    let long = "x".repeat(5_000);
    let many: String = (0..1001).map(|n| format!("a{{n=\"{n}\"}} 1\n")).collect();
    let wide: Vec<_> = (0..70).map(|n| format!("l{n}=\"1\"")).collect();
    let wide = format!("a{{{}}} 1\n", wide.join(","));
    let value = format!("a{{b=\"{long}\"}} 1\n");
    for (keys, body, error, scraped) in [
        (
            "sample_limit: 2",
            "a 1\nb 1\nc 1\nd 1\n",
            "sample limit exceeded: 4 samples, limit 2",
            4.0,
        ),
        (
            "label_limit: 3",
            "a{b=\"1\"} 1\n",
            "label_limit exceeded (metric: a, number of labels: 4, limit: 3)",
            1.0,
        ),
        (
            "label_name_length_limit: 8",
            "a{ninechars=\"1\"} 1\n",
            "label_name_length_limit exceeded",
            1.0,
        ),
        (
            "label_value_length_limit: 3",
            "a{b=\"1234\"} 1\n",
            "label_value_length_limit exceeded",
            1.0,
        ),
        ("scheme: http", &many, "safety limit 1000 (--scrape.max-samples)", 1001.0),
        ("scheme: http", &wide, "limit: 64, a safety limit", 1.0),
        ("scheme: http", &value, "limit: 4096, a safety limit", 1.0),
    ] {
        let mut bench = Bench::with(&with_keys(keys));
        bench.script.text(body);
        let commit = bench.next().await;
        assert_eq!(shown(&commit), ["up 0"], "{keys}");
        assert_eq!(figure(&commit, "scrape_samples_scraped"), scraped, "{keys}");
        let found = bench.manager.targets().remove(0).last_error;
        assert!(found.contains(error), "{keys}: {found}");
    }
}

#[tokio::test]
async fn t9_dropped_samples_do_not_count_and_duplicates_do() {
    let keys = "sample_limit: 2, metric_relabel_configs: \
        [{action: drop, source_labels: [__name__], regex: d}]";
    let mut bench = Bench::with(&with_keys(keys));
    bench.script.text("a 1\nb 1\nd 1\n");
    let commit = bench.next().await;
    assert_eq!(shown(&commit), ["a 1", "b 1", "up 1"]);
    assert_eq!(figure(&commit, "scrape_samples_scraped"), 3.0);
    assert_eq!(figure(&commit, "scrape_samples_post_metric_relabeling"), 2.0);
}

#[tokio::test]
async fn t9_a_body_as_long_as_its_limit_is_too_long() {
    let keys = "body_size_limit: 10B, extra_scrape_metrics: true, sample_limit: 7";
    let mut bench = Bench::with(&with_keys(keys));
    bench.script.text("a 1\n");
    bench.script.push(Err(HttpError::TooLarge { limit: 9 }));
    let commit = bench.next().await;
    assert_eq!(bench.script.requests.lock().expect("whole")[0].body_bytes_max, 9);
    for (name, value) in [
        ("scrape_timeout_seconds", 5.0),
        ("scrape_sample_limit", 7.0),
        ("scrape_body_size_bytes", 4.0),
    ] {
        assert_eq!(figure(&commit, name), value, "{name}");
    }
    let commit = bench.next().await;
    assert_eq!(shown(&commit), ["a stale", "up 0"]);
    assert_eq!(figure(&commit, "scrape_body_size_bytes"), -1.0);
}

#[tokio::test]
async fn t9_too_many_targets_fail_all_of_them() {
    let yaml = with_keys("target_limit: 1").replace("['a:1']", "['a:1', 'b:1']");
    let mut bench = Bench::with(&yaml);
    bench.sleepers_expected = 2;
    bench.script.text("a 1\n");
    assert_eq!(bench.samples().await, ["up 0"]);
    assert_eq!(bench.samples().await, ["up 0"]);
    let problems = bench.manager.pools().remove(0).problems;
    assert_eq!(problems, ["target_limit exceeded (number of targets: 2, limit: 1)"]);
}

#[tokio::test]
async fn t9_a_target_that_is_named_twice_counts_once_towards_the_limit() {
    // prometheus, scrape/scrape.go: refreshTargetLimitErr counts the active targets, by hash.
    let yaml = with_keys("target_limit: 1").replace("['a:1']", "['a:1', 'a:1']");
    let mut bench = Bench::with(&yaml);
    bench.script.text("a 1\n");
    assert_eq!(bench.samples().await, ["a 1", "up 1"]);
    assert!(bench.manager.pools().remove(0).problems.is_empty());
}

#[tokio::test]
async fn t10_dropping_the_name_fails_the_scrape() {
    let keys = "metric_relabel_configs: [{action: labeldrop, regex: __name__}]";
    let mut bench = Bench::with(&with_keys(keys));
    bench.script.text("a 1\n");
    assert_eq!(bench.samples().await, ["up 0"]);
}

#[tokio::test]
async fn t11_the_first_of_two_equal_series_wins() {
    let mut bench = Bench::with(PLAIN);
    bench.script.text("a 1\na 2\nb 1\n");
    let commit = bench.next().await;
    assert_eq!(shown(&commit), ["a 1", "b 1", "up 1"]);
    assert_eq!(figure(&commit, "scrape_samples_post_metric_relabeling"), 3.0);
    let name = "prometheus_target_scrapes_sample_duplicate_timestamp_total";
    assert_eq!(bench.registry.counter(name, "", &[]).get(), 1.0);
}

#[tokio::test]
async fn t12_a_body_without_length_must_end_in_a_line_break() {
    for (length_known, body, expected) in [
        (true, "a 12", vec!["a 12", "up 1"]),
        (false, "a 12\n", vec!["a 12", "up 1"]),
        (false, "a 12", vec!["up 0"]),
    ] {
        let mut bench = Bench::with(PLAIN);
        bench.script.push(Ok(Response { length_known, ..response("text/plain", body) }));
        assert_eq!(bench.samples().await, expected, "{length_known} {body:?}");
    }
}

#[tokio::test]
async fn t12_names_are_checked_after_relabelling_by_the_scheme() {
    let body = "{\"a.b\"} 1\n";
    let fixed = "metric_name_validation_scheme: legacy, metric_relabel_configs: \
        [{target_label: __name__, replacement: fixed}]";
    for (keys, expected) in [
        ("metric_name_validation_scheme: utf8", vec!["a.b 1", "up 1"]),
        ("metric_name_validation_scheme: legacy", vec!["up 0"]),
        (fixed, vec!["fixed 1", "up 1"]),
    ] {
        let mut bench = Bench::with(&with_keys(keys));
        bench.script.text(body);
        assert_eq!(bench.samples().await, expected, "{keys}");
    }
}

#[tokio::test]
async fn t41_a_target_cannot_write_the_series_about_itself() {
    let rules =
        "metric_relabel_configs: [{source_labels: [__name__], regex: 'scrape_.*', action: drop}]";
    let mut bench = Bench::with(&with_keys(rules));
    bench.script.text("up 0\nup{x=\"1\"} 7\n");
    let commit = bench.next().await;
    assert_eq!(shown(&commit), ["up 1", "up{x=\"1\"} 7"]);
    assert_eq!(commit.samples.len(), 1 + 5, "relabelling never sees the scrape's own series");
    bench.next().await;
    let notes = bench.manager.targets().remove(0).notes;
    assert!(notes[0].contains("which the scrape writes itself"), "{notes:?}");
}

#[tokio::test]
async fn t44_a_reload_disturbs_nothing_that_did_not_change() {
    let mut bench = Bench::with(PLAIN);
    bench.script.text("a 1\nb 1\n");
    let first = bench.next().await.samples[0].ts;
    // A new target and a new rule: the old target keeps its phase and its memory.
    let rules = "metric_relabel_configs: [{action: drop, source_labels: [__name__], regex: b}]";
    bench.apply(&with_keys(rules));
    let second = bench.next().await;
    assert_eq!(second.samples[0].ts.millis_since(first), 5_000);
    assert_eq!(shown(&second), ["a 1", "b stale", "up 1"], "what relabelling drops now, ends");
    // Away and back again before its ends are marked: nothing happened.
    bench.apply("[]");
    bench.apply(&with_keys(rules));
    let third = bench.next().await;
    assert_eq!(shown(&third), ["a 1", "up 1"]);
    assert_eq!(third.samples[0].ts.millis_since(first), 10_000);
    assert_eq!(figure(&third, "scrape_series_added"), 0.0, "the same loop with its memory");
}

#[tokio::test]
async fn t44_a_target_that_comes_back_keeps_its_memory() {
    let two = PLAIN.replace("['a:1']", "['a:1', 'b:1']");
    let mut bench = Bench::with(&two);
    bench.sleepers_expected = 2;
    bench.script.text("a 1\n");
    bench.next().await;
    bench.next().await;
    bench.apply(PLAIN);
    assert_eq!(bench.manager.targets().len(), 1);
    bench.apply(&two);
    for _ in 0..4 {
        let commit = bench.next().await;
        assert_eq!(shown(&commit), ["a 1", "up 1"], "no marker was written");
        assert_eq!(figure(&commit, "scrape_series_added"), 0.0);
    }
}

#[tokio::test]
async fn t44_dropped_targets_are_counted_in_full_and_kept_in_part() {
    let addresses: Vec<_> = (0..5).map(|n| format!("'a:{n}'")).collect();
    let keys = "keep_dropped_targets: 2, relabel_configs: [{action: drop, source_labels: [job]}]";
    let yaml = with_keys(keys).replace("['a:1']", &format!("[{}]", addresses.join(",")));
    let bench = Bench::with(&yaml);
    assert_eq!(bench.manager.dropped().len(), 2);
    assert_eq!(bench.manager.pools()[0].dropped, 5);
}

#[tokio::test]
async fn a_store_that_refuses_loses_no_staleness() {
    let mut bench = Bench::with(PLAIN);
    bench.script.text("a 1\nb 1\n");
    bench.script.text("a 1\n");
    bench.next().await;
    *bench.fail.lock().expect("whole") = true;
    bench.next().await;
    *bench.fail.lock().expect("whole") = false;
    assert_eq!(bench.samples().await, ["a 1", "b stale", "up 1"]);
    bench.manager.stop().await;
}

#[derive(Debug)]
struct Inside;

impl LocalTarget for Inside {
    fn gather(&self) -> Vec<Family> {
        let labels = Labels::from_pairs([("cpu", "0")]);
        let samples = vec![FamilySample { suffix: "_total", labels, value: 3.0 }];
        vec![Family {
            name: "node_cpu".to_owned(),
            help: "Time.".into(),
            kind: MetricType::Counter,
            samples,
        }]
    }
}

#[tokio::test]
async fn a_target_inside_the_process_is_scraped_as_any_other() {
    let mut bench = Bench::new();
    let labels = Labels::from_pairs([("job", "node"), ("instance", "host")]);
    let interval = Duration::from_secs(5);
    let (target, honor_labels) = (Arc::new(Inside), false);
    let local = LocalJob {
        name: "host".to_owned(),
        interval,
        target,
        labels,
        honor_labels,
        members: Vec::new(),
    };
    bench.manager.apply(Vec::new(), vec![local]);
    for _ in 0..2 {
        let commit = bench.next().await;
        assert_eq!(shown(&commit), ["node_cpu_total{cpu=\"0\"} 3", "up 1"]);
        assert_eq!(commit.samples[0].labels.get("instance"), Some("host"));
    }
}

#[tokio::test]
async fn t4_bounds_of_a_target_inside_the_process_are_those_of_its_text() {
    let mut bench = Bench::new();
    let own = Registry::new();
    own.histogram("h", "Spread.", &[], &[1.0]).observe(0.5);
    let interval = Duration::from_secs(5);
    let labels = Labels::empty();
    let (target, honor_labels) = (Arc::new(own), false);
    let local = LocalJob {
        name: "own".to_owned(),
        interval,
        target,
        labels,
        honor_labels,
        members: Vec::new(),
    };
    bench.manager.apply(Vec::new(), vec![local]);
    let expected =
        ["h_bucket{le=\"+Inf\"} 1", "h_bucket{le=\"1.0\"} 1", "h_count 1", "h_sum 0.5", "up 1"];
    assert_eq!(bench.samples().await, expected);
}

#[tokio::test]
async fn file_discovery_feeds_the_job_and_a_broken_file_keeps_the_last_good() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("targets.yml");
    std::fs::write(&file, "[{targets: ['f:1'], labels: {team: x}}]").expect("writes");
    let yaml = format!(
        "[{{job_name: j, scrape_interval: 5s, scrape_timeout: 5s, \
         file_sd_configs: [{{files: ['{}/*.yml']}}]}}]",
        folder.path().display()
    );
    let mut bench = Bench::with(&yaml);
    bench.sleepers_expected = 2;
    bench.script.text("a 1\n");
    assert_eq!(bench.samples().await, ["a{team=\"x\"} 1", "up{team=\"x\"} 1"]);
    let view = bench.manager.targets().remove(0);
    assert_eq!(view.discovered.get("__meta_filepath"), Some(&*file.to_string_lossy()));
    std::fs::write(&file, "[{targets: ").expect("writes");
    for _ in 0..4 {
        let commit = bench.next().await;
        assert_eq!(shown(&commit), ["a{team=\"x\"} 1", "up{team=\"x\"} 1"]);
    }
}
