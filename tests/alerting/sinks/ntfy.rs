//! ntfy.

use super::{body, fault, send};
use crate::outside::FakeHttp;
use serde_json::json;
use watchbell::sys::sim_local::ScriptedLocal;

fn told(item: &str) -> serde_json::Value {
    let http = FakeHttp::answering(&[200]);
    let outcome = send("ntfy", item, &http, &ScriptedLocal::new());
    assert_eq!(outcome.error, None);
    body(&http)
}

#[test]
fn the_request_is_ntfy_s_json() {
    let http = FakeHttp::answering(&[503, 200]);
    let item = "{topic: 'alerts-{{ .Status }}', token_file: t, message: '{{ .CommonAnnotations.summary }}'}";
    let outcome = send("ntfy", item, &http, &ScriptedLocal::new());
    assert_eq!((outcome.error, outcome.attempts), (None, 2));
    let sent = http.sent();
    let first = sent.first().expect("sent");
    assert_eq!(first.url, "https://ntfy.sh");
    assert_eq!(first.header("authorization"), "Bearer http://from-file/etc/watchbell/t");
    assert_eq!(
        first.body,
        concat!(
            r#"{"topic":"alerts-firing","title":"[FIRING:2] X","message":"\u003cb\u003e\u0026\r\nBcc: evil@x","#,
            r#""priority":4,"click":"http://am/#/alerts?receiver=team"}"#,
            "\n"
        )
    );
}

#[test]
fn every_field_arrives() {
    let item = "{url: 'http://sink/', topic: t, title: T, message: M, priority: urgent, click: '', \
        tags: [warning, '{{ .Status }}', ''], icon: 'http://i', markdown: true, actions: [\
        {action: http, label: '{{ .Status }}', url: 'http://a/{{ .Status }}', method: PUT, \
         headers: {A: '{{ .Status }}'}, body: b, clear: true}, {action: broadcast, label: l}]}";
    let expected = json!({
        "topic": "t", "title": "T", "message": "M", "priority": 5, "tags": ["warning", "firing"],
        "icon": "http://i", "markdown": true, "actions": [
            {"action": "http", "label": "firing", "url": "http://a/firing", "method": "PUT",
             "headers": {"A": "firing"}, "body": "b", "clear": true},
            {"action": "broadcast", "label": "l", "clear": false},
        ],
    });
    assert_eq!(told(item), expected);
}

#[test]
fn priorities_that_are_none_and_long_messages_are_no_reason_to_fail() {
    for (priority, number) in [("1", 1), ("low", 2), (" High ", 4), ("0", 4), ("6", 4), ("x", 4)] {
        let body = told(&format!("{{topic: t, priority: '{priority}'}}"));
        assert_eq!(body["priority"], number, "{priority}");
    }
    for (length, kept) in [(4096, 4096), (4097, 4096)] {
        let body = told(&format!("{{topic: t, message: '{}'}}", "x".repeat(length)));
        assert_eq!(body["message"].as_str().map(str::len), Some(kept));
    }
}

#[test]
fn what_is_wrong_is_told() {
    let at = "receivers[0].ntfy_configs[0]";
    for (item, expected) in [
        ("{}", ": missing topic in ntfy_config"),
        (
            "{topic: t, token: a, token_file: b}",
            ": at most one of token & token_file must be configured",
        ),
        ("{topic: t, url: 'ftp://x'}", ".url: unsupported scheme \"ftp\" for URL"),
        (
            "{topic: t, token: a, http_config: {authorization: {credentials: c}}}",
            ": cannot specify token or token_file when using http_config.authorization",
        ),
        (
            "{topic: t, actions: [{action: x}]}",
            ".actions[0]: \"x\" is none of view, http and broadcast",
        ),
        ("{topic: t, actions: [{action: view}]}", ".actions[0]: missing url in ntfy action"),
    ] {
        assert_eq!(fault("ntfy", item), format!("{at}{expected}"));
    }
}
