//! Gotify.

use super::{body, fault, send};
use crate::outside::FakeHttp;
use serde_json::json;
use watchbell::sys::sim_local::ScriptedLocal;

#[test]
fn the_request_is_gotify_s_message() {
    let http = FakeHttp::saying(&[(200, "application/json", r#"{"id":1}"#)]);
    let item = "{url: 'http://sink/g/', token: t0ken, message: '{{ .Status }}'}";
    let outcome = send("gotify", item, &http, &ScriptedLocal::new());
    assert_eq!((outcome.error, outcome.answer.as_str()), (None, r#"{"id":1}"#));
    let sent = http.sent();
    let first = sent.first().expect("sent");
    assert_eq!(
        (first.url.as_str(), first.header("x-gotify-key")),
        ("http://sink/g/message", "t0ken".to_owned())
    );
    let expected = json!({
        "title": "[FIRING:2] X", "message": "firing", "priority": 8,
        "extras": {"client::notification": {"click": {"url": "http://am/#/alerts?receiver=team"}}},
    });
    assert_eq!(body(&http), expected);
}

#[test]
fn every_field_arrives() {
    let http = FakeHttp::answering(&[200]);
    let item = "{url: 'http://sink', token_file: t, title: T, message: M, priority: 2, click: '', markdown: true}";
    let outcome = send("gotify", item, &http, &ScriptedLocal::new());
    assert_eq!(outcome.error, None);
    let expected = json!({
        "title": "T", "message": "M", "priority": 2,
        "extras": {"client::display": {"contentType": "text/markdown"}},
    });
    assert_eq!(body(&http), expected);
    let refused = FakeHttp::saying(&[(401, "", r#"{"error":"Unauthorized"}"#)]);
    let outcome = send("gotify", item, &refused, &ScriptedLocal::new());
    let text = r#"unexpected status code 401: {"error":"Unauthorized"}"#;
    assert_eq!((outcome.error.as_deref(), outcome.attempts), (Some(text), 1));
}

#[test]
fn what_is_wrong_is_told() {
    let at = "receivers[0].gotify_configs[0]";
    for (item, expected) in [
        ("{token: t}", ": missing url in gotify_config"),
        ("{url: 'http://x'}", ": one of token or token_file must be configured"),
        ("{url: x, token: t}", ".url: unsupported scheme \"\" for URL"),
        (
            "{url: 'http://x', token: a, token_file: b}",
            ": at most one of token & token_file must be configured",
        ),
    ] {
        assert_eq!(fault("gotify", item), format!("{at}{expected}"));
    }
}
