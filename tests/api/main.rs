//! The HTTP API: the same requests in process, over loopback, over the unix socket and through
//! `client::Remote`, and what hostile clients may not do.

mod fixture;
mod hostile;
mod pairs;
mod remote;

use fixture::{Fixture, Servers, api, direct, raw};
use pairs::{PAIRS, Pair};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use watchbell::api::tcp::TcpLimits;
use watchbell::api::{Api, ApiSettings};
use watchbell::model::Regex;

fn headers(pair: &Pair) -> Vec<(&'static str, &'static str)> {
    let media = match pair.body.chars().next() {
        Some('{' | '[' | 'g' | 'n') => "application/json",
        Some(_) => "application/x-www-form-urlencoded",
        None => return Vec::new(),
    };
    vec![("content-type", media)]
}

fn check(pair: &Pair, seen: &fixture::Seen, way: &str) {
    assert_eq!(seen.status, pair.status, "{way}: {pair:?}: {}", seen.body);
    match pair.answer.strip_prefix('~') {
        Some(part) => assert!(seen.body.contains(part), "{way}: {pair:?}: {}", seen.body),
        None => assert_eq!(seen.body, pair.answer, "{way}: {pair:?}"),
    }
}

fn fixture_api(settings: ApiSettings) -> (Arc<Fixture>, Api) {
    let core = Arc::new(Fixture::default());
    let api = api(Arc::clone(&core) as Arc<dyn watchbell::wire::Core>, settings);
    (core, api)
}

#[test]
fn every_way_to_the_api_gives_the_same_answers() {
    let (_, in_process) = fixture_api(ApiSettings::default());
    let servers = Servers::usual();
    for pair in PAIRS {
        let headers = headers(pair);
        let bytes = raw(pair.method, pair.target, &headers, pair.body);
        let ways = [
            ("in process", direct(&in_process, pair.method, pair.target, &headers, pair.body)),
            ("tcp", servers.over_tcp(&bytes)),
            ("socket", servers.over_socket(&bytes)),
        ];
        for (way, seen) in &ways {
            // The answer to a HEAD announces a body that does not come.
            if pair.method == "HEAD" {
                assert_eq!(seen.status, pair.status, "{way}: {pair:?}");
            } else {
                check(pair, seen, way);
            }
            let stored = pair.target.contains("/api/v2/").then_some("no-store");
            assert_eq!(seen.header("cache-control"), stored, "{way}: {pair:?}");
            let media = ways[0].1.header("content-type");
            assert_eq!(seen.header("content-type"), media, "{way}: {pair:?}");
        }
    }
}

#[test]
fn parameters_arrive_as_they_were_sent() {
    let (core, api) = fixture_api(ApiSettings::default());
    for (target, told) in [
        (
            "/api/v1/query?query=up&time=5&timeout=5m&lookback_delta=60&limit=3",
            "InstantQuery { expr: \"up\", time: Some(Timestamp(5000)), timeout: Some(300s), lookback: Some(60s), limit: 3, detail: Detail { stats: false, explain: false } }",
        ),
        (
            "/api/v1/series?match[]=up&match[]=%7Ba%3D~%22b%22%7D&start=1&end=2.5",
            "range: TimeRange { from: Timestamp(1000), to: Timestamp(2500) }, limit: 0",
        ),
        ("/api/v1/label/job/values", "job SeriesRequest { matchers: [], "),
        ("/api/v1/targets?state=Dropped&scrapePool=node", "Dropped Some(\"node\")"),
        (
            "/api/v1/rules?exclude_alerts=true&rule_group[]=g&file[]=f&type=record",
            "RulesRequest { kind: Some(Recording), rule_names: [], rule_groups: [\"g\"], files: [\"f\"], matchers: [], exclude_alerts: true, limits: false, evaluations: false, page: None }",
        ),
        (
            "/api/v1/rules?group_limit=2&group_next_token=ab",
            "page: Some(RulesPage { limit: 2, token: Some(\"ab\") }) }",
        ),
        (
            "/api/v2/alerts?silenced=maybe&receiver=pa.*&filter=a%3D%22b%22",
            "AlertFilter { active: true, silenced: false, inhibited: true, muted: true, unprocessed: true, matchers: [Matcher { name: \"a\"",
        ),
        ("/api/v1/watchbell/changes?after=3&timeout=500", "changes 3 60s"),
    ] {
        assert_eq!(direct(&api, "GET", target, &[], "").status, 200, "{target}");
        let last = core.told().pop().unwrap_or_default();
        assert!(last.contains(told), "{target}: {last}");
    }
}

#[test]
fn deletes_and_snapshots_hand_on_what_was_asked_and_refuse_nonsense() {
    let settings = ApiSettings { enable_admin: true, ..ApiSettings::default() };
    let (core, api) = fixture_api(settings);
    for (path, status, part) in [
        ("delete_series", 400, "no match[] parameter provided"),
        ("delete_series?match[]=up{", 400, "invalid parameter"),
        ("delete_series?match[]=up&start=x", 400, "start"),
        ("delete_series?match[]=up&start=1&end=2.5", 204, ""),
        ("delete_series?match[]=up&start=2&end=1", 204, ""),
        ("clean_tombstones", 204, ""),
        ("snapshot?skip_head=maybe", 400, "skip_head"),
        ("snapshot?skip_head=true", 200, "{\"name\":\"20261124T020304Z-00000000000000ff\"}"),
    ] {
        let seen = direct(&api, "POST", &format!("/api/v1/admin/tsdb/{path}"), &[], "");
        assert_eq!(seen.status, status, "{path}: {}", seen.body);
        assert!(seen.body.contains(part), "{path}: {}", seen.body);
    }
    let told = core.told();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("delete [[") && told[0].ends_with(" 1000 2500"), "{told:?}");
    assert_eq!(told[1..], ["clean", "snapshot true"]);
}

#[test]
fn t76_queries_wait_for_the_log_and_health_does_not() {
    let (core, api) = fixture_api(ApiSettings::default());
    core.starting.store(true, Ordering::Relaxed);
    for (target, status) in [
        ("/-/healthy", 200),
        ("/-/ready", 503),
        ("/api/v1/query?query=1", 503),
        ("/api/v1/status/walreplay", 200),
        ("/api/v1/watchbell/status", 200),
        ("/alertmanager/-/ready", 503),
    ] {
        let seen = direct(&api, "GET", target, &[], "");
        assert_eq!(seen.status, status, "{target}");
        if status == 503 {
            assert_eq!(seen.header("x-prometheus-stopping"), Some("false"), "{target}");
            assert_eq!(seen.body, "Service Unavailable", "{target}");
        }
    }
}

#[test]
fn lifecycle_and_administration_need_a_flag_over_tcp_and_none_on_the_socket() {
    for (enabled, reload, compact) in [(false, 403, 500), (true, 200, 204)] {
        let settings = ApiSettings {
            enable_lifecycle: enabled,
            enable_admin: enabled,
            ..ApiSettings::default()
        };
        let servers = Servers::start(settings, TcpLimits::default());
        for (target, over_tcp, over_socket) in [
            ("/-/reload", reload, 200),
            ("/-/quit", reload, 200),
            ("/alertmanager/-/reload", reload, 200),
            ("/api/v1/admin/tsdb/compact", compact, 204),
            ("/api/v1/admin/tsdb/delete_series?match[]=up", compact, 204),
            ("/api/v1/admin/tsdb/clean_tombstones", compact, 204),
            ("/api/v1/admin/tsdb/snapshot", if enabled { 200 } else { 500 }, 200),
        ] {
            for method in ["POST", "PUT"] {
                let bytes = raw(method, target, &[], "");
                let seen = servers.over_tcp(&bytes);
                assert_eq!(seen.status, over_tcp, "{enabled} {method} {target}: {}", seen.body);
                assert_eq!(servers.over_socket(&bytes).status, over_socket, "{method} {target}");
            }
        }
        // As in the Pushgateway: without the flag there is no such path.
        let wipe = raw("PUT", "/pushgateway/api/v1/admin/wipe", &[], "");
        assert_eq!(servers.over_tcp(&wipe).status, if enabled { 202 } else { 404 });
        assert_eq!(servers.over_socket(&wipe).status, 202);
    }
}

#[test]
fn foreign_pages_and_rebound_names_get_nothing() {
    let servers = Servers::usual();
    let foreign = [("Origin", "http://evil.example")];
    for (method, target, headers, status) in [
        ("POST", "/api/v2/silences", &foreign[..], 403),
        ("POST", "/api/v1/write", &[("Sec-Fetch-Site", "cross-site")][..], 403),
        ("PUT", "/metrics/job/j", &foreign[..], 403),
        ("DELETE", "/pushgateway/metrics/job/j", &foreign[..], 403),
        ("GET", "/probe?target=ab", &foreign[..], 403),
        ("GET", "/api/v1/query?query=1", &foreign[..], 200),
    ] {
        let seen = servers.over_tcp(&raw(method, target, headers, ""));
        assert_eq!(seen.status, status, "{method} {target}");
        assert_eq!(seen.header("access-control-allow-origin"), None, "{target}");
    }
    let rebound = b"GET /metrics HTTP/1.1\r\nHost: evil.example:9090\r\nConnection: close\r\n\r\n";
    assert_eq!(servers.over_tcp(rebound).status, 403);
}

#[test]
fn senders_of_remote_write_2_are_told_what_is_stored() {
    let (_, api) = fixture_api(ApiSettings::default());
    let v2 = ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request");
    let v1 = ("Content-Type", "application/x-protobuf");
    for (kind, body, status, counts) in [
        (v2, "x", 204, Some(["3", "0", "1"])),
        // Nothing could be read: nothing is stored, and that is said too.
        (v2, "", 400, Some(["0", "0", "0"])),
        (v1, "x", 204, None),
        (v1, "", 400, None),
    ] {
        let seen = direct(&api, "POST", "/api/v1/write", &[kind], body);
        assert_eq!(seen.status, status, "{kind:?} {body:?}");
        for (place, what) in ["samples", "histograms", "exemplars"].into_iter().enumerate() {
            let name = format!("x-prometheus-remote-write-{what}-written");
            assert_eq!(seen.header(&name), counts.map(|counts| counts[place]), "{kind:?} {what}");
        }
    }
}

#[test]
fn otlp_is_answered_in_the_encoding_of_the_request() {
    let (_, api) = fixture_api(ApiSettings::default());
    for (media, body, expected) in [
        ("application/json", "x", "{}"),
        (
            "application/json",
            "abc",
            r#"{"partialSuccess":{"rejectedDataPoints":"2","errorMessage":"why"}}"#,
        ),
        ("application/x-protobuf", "x", ""),
        ("application/x-protobuf", "abc", "\n\u{7}\u{8}\u{2}\u{12}\u{3}why"),
    ] {
        let headers = [("Content-Type", media)];
        let seen = direct(&api, "POST", "/api/v1/otlp/v1/metrics", &headers, body);
        assert_eq!((seen.status, seen.header("content-type")), (200, Some(media)));
        assert_eq!(seen.body, expected, "{media} {body}");
    }
    let off = ApiSettings { enable_otlp: false, ..ApiSettings::default() };
    let servers = Servers::start(off, TcpLimits::default());
    let seen = servers.over_tcp(&raw("POST", "/api/v1/otlp/v1/metrics", &[], "x"));
    assert_eq!(seen.status, 404);
    let words = "otlp write receiver needs to be enabled with --web.enable-otlp-receiver\n";
    assert_eq!(seen.body, words);
}

#[test]
fn pushes_that_are_not_checked_are_answered_before_anybody_knows() {
    // prometheus/pushgateway, handler/push.go: without the check, StatusAccepted.
    for (push_unchecked, expected) in [(false, 200), (true, 202)] {
        let (_, api) = fixture_api(ApiSettings { push_unchecked, ..ApiSettings::default() });
        for (method, expected) in [("PUT", expected), ("POST", expected), ("DELETE", 202)] {
            let seen = direct(&api, method, "/metrics/job/j", &[], "a 1\n");
            assert_eq!(seen.status, expected, "{method} {push_unchecked}");
        }
    }
}

#[test]
fn origins_that_are_named_may_read() {
    let settings = ApiSettings {
        cors_origin: Regex::anchored("https?://grafana\\.example").ok(),
        ..ApiSettings::default()
    };
    let (_, api) = fixture_api(settings);
    for (origin, allowed) in
        [("http://grafana.example", true), ("http://grafana.example.evil", false)]
    {
        let seen = direct(&api, "GET", "/api/v1/query?query=1", &[("origin", origin)], "");
        let header = seen.header("access-control-allow-origin");
        assert_eq!(header, allowed.then_some(origin));
    }
}

#[test]
fn pages_show_data_as_text_under_the_prefix() {
    let settings = ApiSettings { route_prefix: "/prom/".to_owned(), ..ApiSettings::default() };
    let (_, api) = fixture_api(settings);
    let front = direct(&api, "GET", "/prom/", &[], "");
    assert_eq!(front.status, 200);
    assert!(
        front.body.contains("open &lt;port&gt;") && front.body.contains("href=\"/prom/graph\"")
    );
    let graph = direct(&api, "GET", "/prom/graph?g0.expr=up%3C1&g0.tab=1", &[], "");
    assert!(graph.body.contains("value=\"up&lt;1\""), "{}", graph.body);
    assert!(graph.body.contains("{__name__=&quot;up&quot;, job=&quot;node&quot;}</td><td>+Inf"));
    assert_eq!(direct(&api, "GET", "/api/v1/query?query=1", &[], "").status, 404);
    assert_eq!(direct(&api, "GET", "/prom/api/v1/query?query=1", &[], "").status, 200);
}

#[test]
fn long_answers_are_compressed_for_those_who_take_it() {
    let (_, api) = fixture_api(ApiSettings::default());
    let ask =
        |encoding| direct(&api, "GET", "/api/v2/alerts", &[("accept-encoding", encoding)], "");
    assert_eq!(ask("gzip").header("content-encoding"), Some("gzip"));
    assert_eq!(ask("identity").header("content-encoding"), None);
}

#[test]
fn requests_are_counted_by_handler_and_code() {
    let registry = watchbell::sys::metrics::Registry::new();
    let clock = Arc::new(watchbell::sys::clock::SystemClock::new());
    let core = Arc::new(Fixture::default());
    let api = Api::new(core, ApiSettings::default(), registry.clone(), clock);
    direct(&api, "GET", "/api/v1/label/job/values", &[], "");
    direct(&api, "GET", "/api/v1/query?query=sum(", &[], "");
    let families = registry.gather();
    let total = families.iter().find(|family| family.name == "prometheus_http_requests_total");
    let found: Vec<_> = total
        .expect("counted")
        .samples
        .iter()
        .map(|sample| (sample.labels.to_string(), sample.value))
        .collect();
    assert_eq!(
        found,
        [
            ("{code=\"200\", handler=\"/api/v1/label/:name/values\"}".to_owned(), 1.0),
            ("{code=\"400\", handler=\"/api/v1/query\"}".to_owned(), 1.0),
        ]
    );
}
