//! `client::Remote` against watchbell over both listeners, and against servers that are not.

use crate::fixture::{self, Fixture, ID, Servers, api, direct};
use crate::pairs::PAIRS;
use std::sync::Arc;
use std::time::Duration;
use watchbell::api::ApiSettings;
use watchbell::api::tcp::TcpLimits;
use watchbell::client::Remote;
use watchbell::model::{Labels, Matcher, TimeRange, Timestamp};
use watchbell::sys::clock::{Clock, SystemClock};
use watchbell::sys::http::{Http, SystemHttp};
use watchbell::sys::settings::HttpClientSettings;
use watchbell::sys::sim::VirtualClock;
use watchbell::sys::sim_http::ScriptedHttp;
use watchbell::sys::tasks;
use watchbell::wire::*;

fn permissive() -> ApiSettings {
    ApiSettings { enable_lifecycle: true, enable_admin: true, ..ApiSettings::default() }
}

fn push(path: &str, ttl: &str) -> RawPush {
    RawPush {
        verb: PushVerb::Replace,
        path: path.to_owned(),
        ttl: ttl.to_owned(),
        content_type: "text/plain".to_owned(),
        content_encoding: "gzip".to_owned(),
        body: vec![0, 255],
    }
}

/// Every question of the contract, as text.
fn ask_everything(core: &dyn Core) -> Vec<(&'static str, String)> {
    let call = Call::with_timeout(Duration::from_secs(5));
    let at = Timestamp::from_millis(1_700_000_000_123);
    let instant = |expr: &str| InstantQuery { time: Some(at), ..InstantQuery::now(expr) };
    let range = RangeQuery {
        expr: "up".to_owned(),
        start: at,
        end: at.plus(Duration::from_secs(60)),
        step: Duration::from_millis(1500),
        timeout: Some(Duration::from_secs(3)),
        lookback: Some(Duration::from_secs(60)),
        limit: 5,
        detail: Detail { stats: true, explain: true },
    };
    let series = SeriesRequest {
        matchers: vec![vec![Matcher::equal("__name__", "up")], vec![Matcher::equal("job", "x")]],
        range: TimeRange::new(at, at.plus(Duration::from_secs(1))).expect("in order"),
        limit: 2,
    };
    let probe = ProbeRequest {
        target: "http://a/?b=c d".to_owned(),
        module: "m".to_owned(),
        hostname: "h".to_owned(),
        patience: Some(Duration::from_millis(2500)),
        debug: true,
        listed_only: false,
    };
    let exemplars = |expr: &str, range| ExemplarQuery { expr: expr.to_owned(), range };
    let everything = SeriesRequest { matchers: Vec::new(), range: TimeRange::ALL, limit: 0 };
    let silence = PostableSilence {
        id: None,
        matchers: vec![MatcherForm {
            name: "a".to_owned(),
            value: "b".to_owned(),
            is_regex: false,
            is_equal: true,
        }],
        starts_at: at,
        ends_at: at.plus(Duration::from_secs(60)),
        created_by: "me".to_owned(),
        comment: "c".to_owned(),
        annotations: watchbell::model::Annotations::empty(),
    };
    let alert = PostableAlert {
        labels: watchbell::model::Labels::from_pairs([("alertname", "E")]),
        annotations: watchbell::model::Annotations::empty(),
        starts_at: Some(at),
        ends_at: None,
        generator_url: String::new(),
    };
    let filter = AlertFilter {
        silenced: false,
        matchers: vec![Matcher::equal("a", "b")],
        receiver: Some("d.*".to_owned()),
        ..AlertFilter::default()
    };
    let history = HistoryRequest {
        matchers: vec![Matcher::equal("a", "b{"), Matcher::equal("c", "d")],
        start: Some(at),
        end: Some(at.plus(Duration::from_secs(1))),
        kind: Some("notified".to_owned()),
        fingerprint: Some("476f33eddce37ce9".to_owned()),
        limit: 3,
        cursor: Some("1:2".to_owned()),
    };
    let drill = Drill {
        labels: watchbell::model::Labels::from_pairs([("a", "b")]),
        span: "2m".to_owned(),
        waits: true,
        ..Drill::default()
    };
    let alert_print = fixture::alert().fingerprint().to_string();
    let way = RouteTestRequest { labels: drill.labels.clone(), at: Some(at) };
    let grouping =
        GroupingRequest { route: Some("{}".to_owned()), group_by: vec!["...".to_owned()] };
    let ack = AckRequest {
        fingerprints: vec!["476f33eddce37ce9".to_owned()],
        matchers: silence.matchers.clone(),
        by: "me".to_owned(),
        comment: "c".to_owned(),
    };
    let test = ReceiverTest {
        receiver: "a/b".to_owned(),
        integration: Some("webhook".to_owned()),
        index: Some(1),
        resolved: true,
        labels: Labels::from_pairs([("a", "b")]),
        annotations: Labels::from_pairs([("c", "d")]),
    };
    let nobody = ReceiverTest { receiver: "x".to_owned(), ..ReceiverTest::default() };
    let rules = RulesRequest {
        kind: Some(RuleKind::Alerting),
        rule_names: vec!["X".to_owned()],
        matchers: vec![vec![Matcher::equal("sev", "a")]],
        exclude_alerts: true,
        ..RulesRequest::default()
    };
    let write = RawWrite {
        content_type: "application/x-protobuf".to_owned(),
        content_encoding: "snappy".to_owned(),
        body: vec![0, 1, 255],
    };
    let write_2 = RawWrite {
        content_type: "application/x-protobuf;proto=io.prometheus.write.v2.Request".to_owned(),
        ..write.clone()
    };
    let json = RawWrite { content_type: "application/json".to_owned(), ..write.clone() };
    vec![
        ("write 2.0", format!("{:?}", core.remote_write(write_2))),
        ("otlp", format!("{:?}", core.otlp_write(write.clone()))),
        ("otlp in JSON", format!("{:?}", core.otlp_write(json))),
        ("vector", format!("{:?}", core.query(&call, &instant("up")))),
        ("warned", format!("{:?}", core.query(&call, &instant("warned")))),
        ("scalar", format!("{:?}", core.query(&call, &instant("1")))),
        ("string", format!("{:?}", core.query(&call, &instant("'a'")))),
        ("range", format!("{:?}", core.query_range(&call, &range))),
        ("exemplars", format!("{:?}", core.query_exemplars(&call, &exemplars("up", series.range)))),
        (
            "no selector",
            format!("{:?}", core.query_exemplars(&call, &exemplars("1", TimeRange::ALL))),
        ),
        (
            "bad exemplars",
            format!("{:?}", core.query_exemplars(&call, &exemplars("sum(", TimeRange::ALL))),
        ),
        ("failing", format!("{:?}", core.query(&call, &instant("many")))),
        ("slow", format!("{:?}", core.query(&call, &instant("slow")))),
        ("format", format!("{:?}", core.format_query("a + b"))),
        ("matchers", format!("{:?}", core.parse_matchers("up{a=~\"b|c\"}"))),
        ("bad matchers", format!("{:?}", core.parse_matchers("up{"))),
        ("alert matchers", format!("{:?}", core.parse_alert_matchers("a!=\"b\",c=\"d\""))),
        ("series", format!("{:?}", core.series(&call, &series))),
        ("names", format!("{:?}", core.label_names(&call, &everything))),
        ("values", format!("{:?}", core.label_values(&call, "a/b c", &series))),
        (
            "metadata",
            format!(
                "{:?}",
                core.metadata(&MetadataRequest { limit: 3, ..MetadataRequest::default() })
            ),
        ),
        (
            "targets' metadata",
            format!(
                "{:?} {:?}",
                core.targets_metadata(&TargetMetadataRequest::default()),
                core.targets_metadata(&TargetMetadataRequest {
                    targets: vec![Matcher::equal("job", "node")],
                    metric: Some("up".to_owned()),
                    limit: Some(3),
                })
            ),
        ),
        ("targets", format!("{:?}", core.targets(TargetState::Active, Some("node")))),
        ("steps", format!("{:?}", core.relabel_steps("node", &Labels::from_pairs([("job", "n")])))),
        ("bad steps", format!("{:?}", core.relabel_steps("x", &Labels::empty()))),
        ("pools", format!("{:?}", core.scrape_pools())),
        ("rules", format!("{:?}", core.rules(&rules))),
        ("alerts", format!("{:?}", core.alerts())),
        ("alertmanagers", format!("{:?}", core.alertmanagers())),
        ("config", format!("{:?}", core.config())),
        ("hints", format!("{:?}", core.query_hints(&call, "up", TimeRange::ALL))),
        ("parsed", format!("{:?}", core.parse_query("up"))),
        ("flags", format!("{:?}", core.flags())),
        ("runtime", format!("{:?}", core.runtime_info())),
        ("build", format!("{:?}", core.build_info())),
        ("tsdb", format!("{:?}", core.tsdb_status(7))),
        ("replay", format!("{:?}", core.wal_replay())),
        ("ready", format!("{:?}", core.readiness())),
        ("reload", format!("{:?}", core.reload())),
        ("quit", format!("{:?}", core.quit())),
        ("metrics", format!("{:?}", core.own_metrics())),
        ("write", format!("{:?}", core.remote_write(write))),
        ("push", format!("{:?}", core.push(push("job@base64/YS9i/a b/ü@", "1h")))),
        ("no push", format!("{:?}", core.push(push("job/j", "wrong")))),
        ("pushed", format!("{:?}", core.push_groups())),
        ("push text", format!("{:?}", core.push_text())),
        ("probe", format!("{:?}", core.probe(&probe))),
        ("wipe", format!("{:?}", core.wipe_push())),
        ("compact", format!("{:?}", core.compact())),
        ("am status", format!("{:?}", core.alertmanager_status())),
        ("receivers", format!("{:?}", core.receivers(&[]))),
        ("am alerts", format!("{:?}", core.alertmanager_alerts(&filter))),
        ("post alerts", format!("{:?}", core.post_alerts(vec![alert]))),
        ("groups", format!("{:?}", core.alert_groups(&AlertFilter::default()))),
        ("silences", format!("{:?}", core.silences(&[Matcher::equal("a", "b")]))),
        ("silence", format!("{:?}", core.silence(ID))),
        ("no silence", format!("{:?}", core.silence("00000000-0000-0000-0000-000000000000"))),
        ("post silence", format!("{:?}", core.post_silence(silence))),
        ("expire", format!("{:?}", core.expire_silence(ID))),
        ("matcher", format!("{:?}", core.parse_alert_matcher("a!=\"b\""))),
        ("no matcher", format!("{:?}", core.parse_alert_matcher("{a=b}"))),
        ("history", format!("{:?}", core.history(&history))),
        ("all history", format!("{:?}", core.history(&HistoryRequest::default()))),
        ("ack", format!("{:?}", core.acknowledge(&ack))),
        ("no ack", format!("{:?}", core.acknowledge(&AckRequest::default()))),
        ("withdrawn", format!("{:?}", core.withdraw_ack("476f33eddce37ce9", "me & you"))),
        ("no such ack", format!("{:?}", core.withdraw_ack("a/b", "me"))),
        ("tested", format!("{:?}", core.test_receiver(&test))),
        ("no receiver", format!("{:?}", core.test_receiver(&nobody))),
        ("drill", format!("{:?}", core.begin_drill(&drill))),
        ("its look", format!("{:?}", core.drill(&alert_print))),
        ("no drill", format!("{:?}", core.drill("a/b"))),
        ("its end", format!("{:?}", core.end_drill(&alert_print))),
        ("route test", format!("{:?}", core.route_test(&way))),
        ("grouping", format!("{:?}", core.grouping_preview(&grouping))),
        ("active", format!("{:?}", core.active_queries())),
        ("top", format!("{:?}", core.top_queries(2))),
        ("canceled", format!("{:?}", core.cancel_query("7"))),
        ("not running", format!("{:?}", core.cancel_query("a/b"))),
        ("rows", format!("{:?}", core.alert_rows())),
        ("status", format!("{:?}", core.status())),
        ("changes", format!("{:?}", core.changes_after(3, Duration::from_secs(1)))),
    ]
}

#[test]
fn a_remote_core_asks_and_answers_as_the_core_itself() {
    let here = Fixture::default();
    let expected = ask_everything(&here);
    let servers = Servers::start(permissive(), TcpLimits::default());
    for address in
        [format!("http://{}/", servers.tcp), format!("unix:{}", servers.socket.display())]
    {
        servers.core.told.lock().expect("no panic").clear();
        let found = ask_everything(&servers.remote(&address));
        for (expected, found) in expected.iter().zip(&found) {
            assert_eq!(expected, found, "{address}");
        }
        assert_eq!(here.told(), servers.core.told(), "what arrives over {address}");
    }
}

#[test]
fn an_api_in_front_of_a_remote_core_answers_the_same_pairs() {
    let servers = Servers::start(permissive(), TcpLimits::default());
    let remote = servers.remote(&format!("http://{}", servers.tcp));
    let relay = api(Arc::new(remote), permissive());
    let own = api(Arc::new(Fixture::default()), permissive());
    for pair in PAIRS {
        let headers = crate::headers(pair);
        let near = direct(&own, pair.method, pair.target, &headers, pair.body);
        let far = direct(&relay, pair.method, pair.target, &headers, pair.body);
        assert_eq!((near.status, &near.body), (far.status, &far.body), "{pair:?}");
    }
}

#[test]
fn nobody_there_is_an_error_that_says_so_without_the_password() {
    let http = SystemHttp::new();
    let clock = Arc::new(SystemClock::new());
    let settings = HttpClientSettings::default();
    let remote =
        Remote::new(&http, &settings, clock.clone(), "http://me:hunter2@127.0.0.1:1", None);
    let remote = remote.expect("an address");
    let err = remote.status().expect_err("nobody there");
    assert_eq!(
        err.message,
        "cannot reach http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused"
    );
    assert!(matches!(remote.readiness(), Readiness::Starting(_)));
    let wrong = Remote::new(&http, &settings, clock, "127.0.0.1:9090", None);
    assert!(wrong.expect_err("no scheme").message.contains("write http://"));
}

/// A Prometheus 2.42, as far as the screens ask.
fn prometheus() -> ScriptedHttp {
    let http = ScriptedHttp::new();
    let json = |status, body: &str| ScriptedHttp::answer(status, "application/json", body);
    let p = "http://p:9090";
    http.on(
        format!("{p}/api/v1/watchbell/status"),
        ScriptedHttp::answer(404, "text/plain", "404 page not found\n"),
    );
    http.on(format!("{p}/api/v1/status/buildinfo"), json(200, r#"{"status":"success","data":{"version":"2.42.0","revision":"","branch":"","buildUser":"","buildDate":"","goVersion":"go1.19"}}"#));
    http.on(format!("{p}/api/v1/status/runtimeinfo"), json(200, r#"{"status":"success","data":{"startTime":"2023-11-14T22:13:20Z","CWD":"/","reloadConfigSuccess":true,"lastConfigTime":"2023-11-14T22:13:20Z","corruptionCount":0,"goroutineCount":30,"GOMAXPROCS":2,"GOGC":"","GODEBUG":"","storageRetention":"15d"}}"#));
    http.on(format!("{p}/api/v1/status/tsdb?limit=1"), json(200, r#"{"status":"success","data":{"headStats":{"numSeries":508,"numLabelPairs":1,"chunkCount":1,"minTime":1,"maxTime":2},"seriesCountByMetricName":[],"labelValueCountByLabelName":[],"memoryInBytesByLabelName":[],"seriesCountByLabelValuePair":[]}}"#));
    http.on(format!("{p}/api/v1/rules"), json(200, r#"{"status":"success","data":{"groups":[{"name":"g","file":"r.yml","interval":15,"limit":0,"evaluationTime":0.1,"lastEvaluation":"2023-11-14T22:13:21Z","rules":[{"state":"firing","name":"X","query":"up == 0","duration":60,"labels":{},"annotations":{},"health":"ok","evaluationTime":0.1,"lastEvaluation":"2023-11-14T22:13:21Z","type":"alerting","alerts":[{"labels":{"alertname":"X"},"annotations":{},"state":"firing","activeAt":"2023-11-14T22:13:20Z","value":"0e+00"}]}]}]}}"#));
    let am = "http://a:9093";
    let status = |state: &str, silenced: &str| {
        format!(r#"{{"state":"{state}","silencedBy":[{silenced}],"inhibitedBy":[]}}"#)
    };
    let alert = |labels: &str, status: &str| {
        format!(
            r#"{{"labels":{labels},"annotations":{{}},"startsAt":"2023-11-14T22:14:20Z","endsAt":"2023-11-14T22:24:20Z","updatedAt":"2023-11-14T22:14:20Z","generatorURL":"","fingerprint":"00000000000000ff","receivers":[{{"name":"def"}}],"status":{status}}}"#
        )
    };
    let alerts = format!(
        "[{},{}]",
        alert(r#"{"alertname":"X","cluster":"c"}"#, &status("suppressed", "\"s1\"")),
        alert(r#"{"alertname":"Other"}"#, &status("active", ""))
    );
    http.on(format!("{am}/api/v2/alerts"), json(200, &alerts));
    http.on(format!("{am}/api/v2/receivers"), json(200, r#"[{"name":"def"}]"#));
    http
}

fn foreign(http: &dyn Http, alertmanager: Option<&str>) -> Remote {
    let clock = Arc::new(SystemClock::new());
    let settings = HttpClientSettings::default();
    Remote::new(http, &settings, clock, "http://p:9090", alertmanager).expect("a remote")
}

#[test]
fn the_screens_work_against_a_prometheus_and_its_alertmanager() {
    let http = prometheus();
    let remote = foreign(&http, Some("http://a:9093"));
    let rows = remote.alert_rows().expect("rows");
    let found: Vec<_> = rows
        .iter()
        .map(|row| (row.labels.value_of("alertname"), row.state, row.rule_group.as_str()))
        .collect();
    assert_eq!(found, [("X", AlertState::Silenced, "g"), ("Other", AlertState::Firing, "")]);
    assert_eq!(rows[0].fired_at, Some(Timestamp::from_millis(1_700_000_060_000)));
    let status = remote.status().expect("a status");
    assert_eq!((status.server.as_str(), status.version.as_str()), ("p:9090", ""));
    assert_eq!((status.storage.series, status.evaluation_interval_seconds), (508, 15.0));
    assert_eq!(status.receivers[0].name, "def");
}

#[test]
fn without_an_alertmanager_its_questions_say_how_to_name_one() {
    let http = prometheus();
    let remote = foreign(&http, None);
    let err = remote.silences(&[]).expect_err("none is known");
    assert!(err.message.contains("--alertmanager"), "{err}");
    assert_eq!(remote.alert_rows().expect("its own half").len(), 1);
}

#[test]
fn a_server_that_cannot_tell_of_changes_is_looked_at_now_and_then() {
    let http = prometheus();
    let clock = VirtualClock::at(Timestamp::EPOCH);
    let settings = HttpClientSettings::default();
    let shared = Arc::new(clock.clone());
    let remote = Remote::new(&http, &settings, shared, "http://p:9090", None).expect("a remote");
    let asking =
        tasks::spawn_thread("asks", move || remote.changes_after(4, Duration::from_secs(60)));
    let asking = asking.expect("a thread");
    while !asking.is_finished() {
        clock.advance(Duration::from_millis(100));
        std::thread::yield_now();
    }
    let changes = asking.join().expect("joins").expect("no panic").expect("waits");
    assert_eq!(changes.revision, 5);
    assert!(clock.elapsed() >= Duration::from_secs(5));
}
