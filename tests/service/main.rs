//! The whole line in one process: a scripted target, rules, the alert engine and a web hook, on a
//! clock that the test moves, through the one door that screens and HTTP use.

mod alertmanagers;
mod discovery;
mod drilling;
mod host;
mod live;
mod probe_servers;
mod probing;
mod programs;
mod protobuf;
mod pushgateway;
mod pushing;
mod receiving;
mod recorded;
mod rules;
mod scraping;
mod trying;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use watchbell::ingest::limits::SafetyLimits;
use watchbell::ingest::push::PushRules;
use watchbell::model::{Labels, TimeRange, Timestamp};
use watchbell::service::{Options, SendOptions, Service, WalSync, World};
use watchbell::sys::dns::HostResolver;
use watchbell::sys::http::HttpError;
use watchbell::sys::metrics::Registry;
use watchbell::sys::sim::{SeededEntropy, VirtualClock};
use watchbell::sys::sim_http::ScriptedHttp;
use watchbell::sys::tasks::Shutdown;
use watchbell::wire::{
    Call, Core, ExemplarForm, ExemplarQuery, ImportPart, InstantQuery, PostableSilence, QueryData,
    Readiness,
};

const TARGET: &str = "http://10.0.0.1:9100/metrics";
const HOOK: &str = "http://10.0.0.2/hook";
const CONFIG: &str = "
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [rules.yml]
scrape_configs:
- job_name: node
  static_configs: [{targets: ['10.0.0.1:9100']}]
";
const RULES: &str = "
groups:
- name: g
  rules:
  - {record: 'job:up:sum', expr: 'sum by (job) (up)'}
  - alert: Down
    expr: up == 0
    for: 3s
    labels: {severity: page}
    annotations: {summary: '{{ $labels.instance }} is down'}
";
const ROUTES: &str = "
route: {receiver: hook, group_wait: 1s, group_interval: 2s, repeat_interval: 1h}
receivers:
- name: hook
  webhook_configs: [{url: 'http://10.0.0.2/hook'}]
";

struct Scene {
    clock: VirtualClock,
    http: Arc<ScriptedHttp>,
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in [("p.yml", CONFIG), ("rules.yml", RULES), ("a.yml", ROUTES)] {
            std::fs::write(folder.path().join(name), text).expect("writes");
        }
        let http = Arc::new(ScriptedHttp::new());
        http.on(TARGET, ScriptedHttp::answer(200, "text/plain; version=0.0.4", "heat 21.5\n"));
        http.on(HOOK, ScriptedHttp::answer(200, "text/plain", ""));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let clock = VirtualClock::at(Timestamp::from_millis(1_700_000_000_000));
        Self { clock, http, folder, runtime }
    }

    fn start(&self) -> Arc<Service> {
        self.start_with(|_| {})
    }

    fn start_with(&self, change: impl FnOnce(&mut Options)) -> Arc<Service> {
        let world = World {
            clock: Arc::new(self.clock.clone()),
            entropy: Arc::new(SeededEntropy::new(1)),
            http: self.http.clone(),
            dns: Arc::new(HostResolver::forgetful()),
            registry: Registry::new(),
            runtime: self.runtime.handle().clone(),
            shutdown: Shutdown::new(),
        };
        let mut options = options(self.folder.path());
        change(&mut options);
        let service = Service::new(options, world).expect("a valid file");
        assert!(matches!(service.readiness(), Readiness::Starting(_)));
        service.open().expect("opens");
        assert_eq!(service.readiness(), Readiness::Ready);
        service
    }

    /// Lets time pass a quarter of a second at a time until `holds`, waiting for real work only on
    /// the service's own word that something changed.
    #[track_caller]
    fn until(&self, service: &Service, what: &str, holds: impl Fn(&Service) -> bool) {
        for _ in 0..2_000 {
            if holds(service) {
                return;
            }
            let before = service.changes_after(0, Duration::ZERO).expect("answers").revision;
            self.clock.advance(Duration::from_millis(250));
            service.changes_after(before, Duration::from_millis(20)).expect("answers");
        }
        panic!("{what} did not happen");
    }

    /// What the web hook was told: status of each message.
    fn told(&self) -> Vec<String> {
        let hooks = self.http.requests().into_iter().filter(|request| request.url == HOOK);
        hooks
            .map(|request| {
                let body: serde_json::Value =
                    serde_json::from_slice(&request.body).expect("the payload is JSON");
                body.get("status").and_then(|one| one.as_str()).unwrap_or("none").to_owned()
            })
            .collect()
    }
}

fn options(folder: &Path) -> Options {
    Options {
        config_file: Some(folder.join("p.yml")),
        alertmanager_file: Some(folder.join("a.yml")),
        data: folder.join("data"),
        retention_time: None,
        retention_size: None,
        wal_sync: WalSync::Off,
        min_free: Some(0),
        series_max: None,
        external_url: "http://localhost:9090".to_owned(),
        lookback: Duration::from_secs(300),
        query_timeout: Duration::from_secs(30),
        query_concurrency: 4,
        query_samples: 1_000_000,
        query_bytes: None,
        resend_delay: Duration::from_secs(5),
        outage_tolerance: Duration::from_secs(3600),
        grace_period: Duration::from_secs(600),
        rule_concurrency: 2,
        alert_limits: watchbell::alerts::Limits::default(),
        data_retention: Duration::from_secs(3600),
        history_retention: Duration::from_secs(86_400),
        limits: SafetyLimits::default(),
        push: PushRules::default(),
        sending: SendOptions::default(),
        features: Vec::new(),
        flags: BTreeMap::new(),
        warnings: Vec::new(),
        listen: Vec::new(),
    }
}

/// The values of an instant query, in the order of the answer.
fn values(core: &dyn Core, expr: &str) -> Vec<f64> {
    let call = Call::with_timeout(Duration::from_secs(30));
    let answer = core.query(&call, &InstantQuery::now(expr)).expect("a valid query");
    match answer.data {
        QueryData::Vector(samples) => samples.iter().map(|sample| sample.value).collect(),
        other => panic!("{expr} is a {}", other.type_name()),
    }
}

#[test]
fn a_stopped_target_pages_once_and_resolves() {
    let world = Scene::new();
    let service = world.start();
    world.until(&service, "a scrape", |core| values(core, "heat") == [21.5]);
    world.until(&service, "a recording", |core| values(core, "job:up:sum") == [1.0]);
    assert_eq!(world.told(), Vec::<String>::new());

    world.http.on_error(TARGET, HttpError::Connect("dial tcp: connection refused".to_owned()));
    world.until(&service, "the alert", |core| {
        values(core, "ALERTS{alertname=\"Down\",alertstate=\"firing\"}") == [1.0]
    });
    world.until(&service, "the page", |_| world.told() == ["firing"]);
    assert_eq!(values(service.as_ref(), "heat"), Vec::<f64>::new(), "its series ended");
    let rows = service.alert_rows().expect("rows");
    let row = rows.first().expect("one alert");
    assert_eq!(row.annotations.get("summary"), Some("10.0.0.1:9100 is down"));
    assert_eq!(row.limit.as_ref().map(|limit| limit.left.as_str()), Some("up"));

    world.http.on(TARGET, ScriptedHttp::answer(200, "text/plain; version=0.0.4", "heat 20\n"));
    world.until(&service, "the end", |_| world.told() == ["firing", "resolved"]);
    service.close();
}

#[test]
fn exemplars_of_a_target_are_found_by_an_expression_and_after_a_restart() {
    let world = Scene::new();
    let text = "heat_total{room=\"a\"} 3 # {trace_id=\"t1\"} 0.25 1699999999.5\n# EOF\n";
    let media = "application/openmetrics-text; version=1.0.0";
    world.http.on(TARGET, ScriptedHttp::answer(200, media, text));
    let service = world.start();
    let ask = |service: &Service, expr: &str| {
        let query = ExemplarQuery { expr: expr.to_owned(), range: TimeRange::ALL };
        service.query_exemplars(&Call::with_timeout(Duration::from_secs(30)), &query)
    };
    let expr = "sum(rate(heat_total{room=\"a\"}[5m])) + nothing";
    world.until(&service, "an exemplar", |core| {
        ask(core, expr).is_ok_and(|one| one != Some(vec![]))
    });
    let found = ask(&service, expr).expect("a valid query").expect("it has selectors");
    assert_eq!(found[0].series_labels.get("instance"), Some("10.0.0.1:9100"));
    let expected = ExemplarForm {
        labels: Labels::from_pairs([("trace_id", "t1")]),
        value: 0.25,
        ts: Timestamp::from_millis(1_699_999_999_500),
    };
    assert_eq!(found[0].exemplars, [expected]);
    assert_eq!(ask(&service, "heat_total{room=\"b\"}"), Ok(Some(Vec::new())));
    assert_eq!(ask(&service, "1 + 1"), Ok(None));
    service.close();
    drop(service);
    assert_eq!(ask(&world.start(), expr), Ok(Some(found)));
}

#[test]
fn what_was_shown_and_decided_is_there_after_a_crash() {
    let world = Scene::new();
    let service = world.start();
    world.until(&service, "a scrape", |core| values(core, "heat") == [21.5]);
    world.http.on_error(TARGET, HttpError::Timeout);
    world.until(&service, "the page", |_| world.told() == ["firing"]);
    let shown = values(service.as_ref(), "count_over_time(heat[1h])");
    let now = service.status().expect("status").now;
    let silence = service
        .post_silence(PostableSilence {
            id: None,
            matchers: vec![watchbell::wire::MatcherForm {
                name: "severity".to_owned(),
                value: "page".to_owned(),
                is_regex: false,
                is_equal: true,
            }],
            starts_at: now,
            ends_at: now.plus(Duration::from_secs(3600)),
            created_by: "test".to_owned(),
            comment: "kept".to_owned(),
            annotations: watchbell::model::Annotations::empty(),
        })
        .expect("a silence");
    // Nothing is closed: the next one reads what a killed process leaves, in a copy of the folder.
    let copy = Scene::new();
    copy_folder(&world.folder.path().join("data"), &copy.folder.path().join("data"));
    copy.clock.set_wall(now);
    copy.http.on_error(TARGET, HttpError::Timeout);
    let again = copy.start();
    assert_eq!(values(again.as_ref(), "count_over_time(heat[1h])"), shown);
    let kept = again.silence(&silence).expect("the silence is there");
    assert_eq!((kept.comment.as_str(), kept.status.state.as_str()), ("kept", "active"));
    copy.until(&again, "the alert goes on", |core| {
        values(core, "ALERTS{alertname=\"Down\",alertstate=\"firing\"}") == [1.0]
    });
    // Silenced, and the log knows that it was told: nobody hears of it again.
    assert_eq!(copy.told(), Vec::<String>::new());
    again.close();
    service.close();
}

#[test]
fn a_bad_file_leaves_the_running_configuration_in_force() {
    let world = Scene::new();
    let service = world.start();
    world.until(&service, "a scrape", |core| values(core, "heat") == [21.5]);
    let rules = world.folder.path().join("rules.yml");
    std::fs::write(&rules, "groups:\n- name: g\n  rulez: []\n").expect("writes");
    let err = service.reload().expect_err("a bad file");
    assert!(
        err.message.contains(":3:3: unknown field \"rulez\"; did you mean \"rules\"?"),
        "{err}"
    );
    let status = service.status().expect("status");
    assert!(status.config_error.is_some_and(|text| text.contains("rulez")));
    assert_eq!(service.rules(&Default::default()).expect("rules").groups.len(), 1);
    std::fs::write(&rules, "groups: []\n").expect("writes");
    service.reload().expect("a good file");
    assert_eq!(service.status().expect("status").config_error, None);
    assert_eq!(service.rules(&Default::default()).expect("rules").groups.len(), 0);
    service.close();
}

#[test]
fn queries_are_logged_listed_and_those_that_a_kill_ended_are_told() {
    let world = Scene::new();
    let log =
        |name: &str| CONFIG.replace("global: {", &format!("global: {{query_log_file: {name}, "));
    std::fs::write(world.folder.path().join("p.yml"), log("first.log")).expect("writes");
    let data = world.folder.path().join("data");
    std::fs::create_dir_all(&data).expect("a folder");
    let left = "{\"query\":\"sum(left)\",\"client\":\"::1\",\"timestamp_sec\":1.5}";
    std::fs::write(data.join("queries.active"), left).expect("writes");
    let service = world.start();
    let warnings = service.status().expect("status").warnings;
    let told = "this query was running when the last process ended: sum(left) (asked by ::1)";
    assert!(warnings.iter().any(|warning| warning == told), "{warnings:?}");

    let lines = |name: &str, query: &str| {
        let text = std::fs::read_to_string(world.folder.path().join(name)).unwrap_or_default();
        text.lines().filter(|line| line.contains(query)).count()
    };
    values(service.as_ref(), "vector(1) + 41");
    assert_eq!(lines("first.log", "vector(1) + 41"), 1);
    std::fs::write(world.folder.path().join("p.yml"), log("second.log")).expect("writes");
    service.reload().expect("a good file");
    values(service.as_ref(), "vector(1) + 41");
    assert_eq!((lines("first.log", "41"), lines("second.log", "41")), (1, 1));
    // Rules' queries are among them.
    world.until(&service, "a rule", |_| lines("second.log", "up == 0") > 0);

    let top = service.top_queries(1).expect("answers").by_count;
    assert_eq!(top.len(), 1);
    assert!(service.cancel_query("none").is_err());
    let metrics = service.own_metrics().expect("metrics");
    for line in [
        "prometheus_engine_query_log_enabled 1\n",
        "prometheus_engine_queries_concurrent_max 4\n",
        "prometheus_engine_query_duration_seconds_count{slice=\"inner_eval\"} ",
        "prometheus_engine_query_samples_total ",
    ] {
        assert!(metrics.contains(line), "{line}");
    }
    service.close();
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let place = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_folder(&entry.path(), &place);
        } else if entry.file_name() != "lock" {
            std::fs::copy(entry.path(), place).expect("copies");
        }
    }
}

/// A history of so many samples a second apart, and its end.
fn history(name: &str, samples: i64) -> Vec<u8> {
    let line = |at| format!("{name} {at} {}\n", 1_690_000_000 + at);
    let lines: String = (0..samples).map(line).collect();
    format!("# TYPE {name} gauge\n{lines}# EOF\n").into_bytes()
}

/// Files and folders in the blocks' folder.
fn blocks(scene: &Scene) -> usize {
    std::fs::read_dir(scene.folder.path().join("data/blocks")).expect("a folder").count()
}

#[test]
fn an_import_in_parts_is_one_whatever_its_cuts() {
    let scene = Scene::new();
    let service = scene.start();
    let text = history("old", 1000);
    let cuts: Vec<&[u8]> = text.chunks(777).collect();
    for (number, piece) in cuts.iter().enumerate() {
        let is_last = number + 1 == cuts.len();
        let part = ImportPart { id: 7, number: number as u64, is_last };
        assert_eq!(blocks(&scene), 0, "nothing is visible before the end");
        let answer = service.import(piece.to_vec(), Some(part)).expect("takes it");
        if is_last {
            assert_eq!((answer.samples, answer.series, answer.blocks), (1000, 1, 1));
        }
    }
    assert_eq!(blocks(&scene), 1);
    service.close();
}

#[test]
fn parts_come_in_order_and_what_is_refused_leaves_nothing() {
    let scene = Scene::new();
    let service = scene.start();
    let import = |text: &str, id, number, is_last| {
        let part = ImportPart { id, number, is_last };
        service.import(text.as_bytes().to_vec(), Some(part)).map_err(|err| err.message)
    };
    import("a 1 1690000000\n", 1, 0, false).expect("begins");
    assert!(import("a 1 1690000001\n# EOF\n", 2, 0, true).unwrap_err().contains("another import"));
    assert!(import("", 1, 2, true).unwrap_err().contains("not the next"));
    assert!(import("", 2, 1, true).unwrap_err().contains("not the next"));
    // The place of what is wrong is that in the whole text.
    let err = import("a 2\n", 1, 1, true).unwrap_err();
    assert_eq!(err, "2:1: the sample has no timestamp; a history needs one on every line");
    assert!(import("", 1, 2, true).unwrap_err().contains("not the next"), "it is over");
    assert_eq!(import("", 3, 0, true).unwrap_err().split_once(": ").map(|(at, _)| at), Some("1:1"));
    assert_eq!(import("a 1 1690000000\n# EOF\n", 4, 0, true).expect("whole").samples, 1);
    assert_eq!(blocks(&scene), 1);
    service.close();
}
