//! The web hook as a sink sees it: body, headers, attempts.

use crate::outside::{FakeHttp, registry_value};
use std::time::Duration;
use watchbell::sys::http::Method;
use watchbell::sys::metrics::Registry;

fn run(receiver: &str, http: &FakeHttp) -> (Option<String>, u32, Registry) {
    let (outcome, registry) = crate::outside::run(receiver, "webhook", http);
    (outcome.error, outcome.attempts, registry)
}

const HOOK: &str = "{name: team, webhook_configs: [{url: 'http://sink/x'}]}";

#[test]
fn the_body_is_version_4_and_the_key_is_the_same_in_each_attempt() {
    let http = FakeHttp::answering(&[503, 200]);
    let (error, attempts, registry) = run(HOOK, &http);
    assert_eq!((error, attempts), (None, 2));
    let sent = http.sent();
    let keys: Vec<_> = sent.iter().map(|one| one.header("idempotency-key")).collect();
    assert_eq!(keys.first(), keys.last());
    assert!(keys.first().is_some_and(|key| key.ends_with("-1")), "{keys:?}");
    let first = sent.first().expect("sent");
    assert_eq!(first.method, Method::Post);
    assert_eq!(first.header("content-type"), "application/json");
    let body: serde_json::Value = serde_json::from_str(&first.body).expect("JSON");
    let keys: Vec<_> = body.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "receiver",
            "status",
            "alerts",
            "notification_reason",
            "groupLabels",
            "commonLabels",
            "commonAnnotations",
            "routeLabels",
            "externalURL",
            "version",
            "groupKey",
            "truncatedAlerts",
        ]
    );
    assert_eq!(body["truncatedAlerts"], 0);
    assert_eq!(body["version"], "4");
    let metric = |name| registry_value(&registry, name);
    assert_eq!(metric("alertmanager_notifications_total"), 1.0);
    assert_eq!(metric("alertmanager_notification_requests_total"), 2.0);
    assert_eq!(metric("alertmanager_notification_requests_failed_total"), 1.0);
    assert_eq!(metric("alertmanager_notifications_failed_total"), 0.0);
}

#[test]
fn what_is_final_is_not_tried_again_and_what_is_not_is_tried_until_the_deadline() {
    let (error, attempts, registry) = run(HOOK, &FakeHttp::answering(&[404]));
    assert_eq!(attempts, 1);
    assert_eq!(error.as_deref(), Some("unexpected status code 404"));
    assert_eq!(registry_value(&registry, "alertmanager_notifications_failed_total"), 1.0);
    let (error, attempts, _) = run(HOOK, &FakeHttp::answering(&[500]));
    assert!(attempts > 3, "{attempts}");
    assert_eq!(error.as_deref(), Some("unexpected status code 500"));
}

#[test]
fn the_last_answer_is_kept_for_people() {
    let answers = [(503, "", "later"), (400, "text/plain", " no such\nroom ")];
    let (outcome, _) = crate::outside::run(HOOK, "webhook", &FakeHttp::saying(&answers));
    assert_eq!((outcome.status, outcome.answer.as_str()), (Some(400), "no such\nroom"));
    assert_eq!(outcome.error.as_deref(), Some("unexpected status code 400: no such\nroom"));
    assert!(outcome.took > Duration::ZERO, "a pause lies between the attempts");
    let long = "x".repeat(300);
    let (outcome, _) = crate::outside::run(HOOK, "webhook", &FakeHttp::saying(&[(200, "", &long)]));
    assert_eq!((outcome.status, outcome.answer.len()), (Some(200), 200));
}

#[test]
fn a_sink_that_asks_to_wait_is_given_its_time() {
    let http = FakeHttp::answering(&[429, 200]).retry_after(7);
    let (error, attempts, _) = run(HOOK, &http);
    assert_eq!((error, attempts), (None, 2));
    let times: Vec<_> = http.sent().iter().map(|one| one.at).collect();
    assert_eq!(times, [Duration::ZERO, Duration::from_secs(7)]);
    // Shorter than what we wait on our own: it is not called without end.
    let http = FakeHttp::answering(&[429, 429, 200]).retry_after(0);
    let (error, attempts, _) = run(HOOK, &http);
    assert_eq!((error, attempts), (None, 3));
    let times: Vec<_> = http.sent().iter().map(|one| one.at).collect();
    assert!(times.windows(2).all(|pair| pair[1] >= pair[0] + Duration::from_millis(250)));
    // Longer than the deadline: there is no use in waiting.
    let (error, attempts, _) = run(HOOK, &FakeHttp::answering(&[429]).retry_after(600));
    assert_eq!((error.as_deref(), attempts), (Some("unexpected status code 429"), 1));
}

#[test]
fn urls_and_payloads_are_templates() {
    let http = FakeHttp::answering(&[200]);
    let receiver = r#"
      name: team
      webhook_configs:
      - url: 'http://sink/{{ .GroupLabels.alertname }}'
        max_alerts: 1
        payload: {text: '{{ template "own" . }} {{ len .Alerts }}', n: [1, '{{ len .Alerts }}', '{{ .Status }}']}
"#;
    let (error, _, _) = run(&format!("{{{}}}", inline(receiver)), &http);
    assert_eq!(error, None);
    let sent = http.sent();
    let first = sent.first().expect("sent");
    assert_eq!(first.url, "http://sink/X");
    assert_eq!(first.body, "{\"n\":[1,1,\"firing\"],\"text\":\"own X 1\"}\n");
}

#[test]
fn a_url_in_a_file_is_read_when_it_is_used() {
    let http = FakeHttp::answering(&[200]);
    let (error, _, _) = run("{name: team, webhook_configs: [{url_file: url.txt}]}", &http);
    assert_eq!(error, None);
    assert_eq!(http.sent().first().expect("sent").url, "http://from-file/etc/watchbell/url.txt");
    let missing = "{name: team, webhook_configs: [{url_file: missing}]}";
    let (error, attempts, _) = run(missing, &http);
    let error = error.expect("no file");
    assert!(error.contains("could not read missing"), "{error}");
    assert_eq!(attempts, 1);
}

/// A block as one flow mapping's inside: JSON is YAML.
fn inline(block: &str) -> String {
    let value: serde_json::Value = serde_yaml::from_str(block).expect("reads");
    let text = value.to_string();
    text.trim_start_matches('{').trim_end_matches('}').to_owned()
        + if text.ends_with("}}") { "}" } else { "" }
}
