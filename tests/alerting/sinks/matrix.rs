//! Matrix.

use super::{body, fault, send};
use crate::outside::FakeHttp;
use serde_json::json;
use std::time::Duration;
use watchbell::sys::http::Method;
use watchbell::sys::sim_local::ScriptedLocal;

const ROOM: &str = "homeserver_url: 'http://hs/', room_id: '!a/b:x.example', access_token: t0ken";

#[test]
fn the_same_event_is_put_again_and_html_is_escaped() {
    let limited = r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too many","retry_after_ms":2000}"#;
    let http = FakeHttp::saying(&[(429, "", limited), (200, "", r#"{"event_id":"$1"}"#)]);
    let item = format!(
        "{{{ROOM}, message: '{{{{ .CommonAnnotations.summary }}}} @room', \
           html: '<b>{{{{ .CommonAnnotations.summary }}}}</b>', msgtype: m.notice}}"
    );
    let outcome = send("matrix", &item, &http, &ScriptedLocal::new());
    assert_eq!((outcome.error, outcome.attempts), (None, 2));
    let sent = http.sent();
    let [first, second] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!((&first.url, &first.body), (&second.url, &second.body));
    assert_eq!((first.at, second.at), (Duration::ZERO, Duration::from_secs(2)));
    assert_eq!(first.method, Method::Put);
    assert_eq!(first.header("authorization"), "Bearer t0ken");
    let key = first.header("idempotency-key");
    let url = "http://hs/_matrix/client/v3/rooms/%21a%2Fb%3Ax.example/send/m.room.message/";
    assert_eq!(first.url, format!("{url}{key}"));
    let expected = json!({
        "msgtype": "m.notice", "body": "<b>&\r\nBcc: evil@x @room",
        "format": "org.matrix.custom.html",
        "formatted_body": "<b>&lt;b&gt;&amp;\r\nBcc: evil@x</b>", "m.mentions": {"room": true},
    });
    assert_eq!(body(&http), expected);
}

#[test]
fn the_default_message_names_the_alerts_and_calls_nobody() {
    let http = FakeHttp::answering(&[200]);
    let outcome = send("matrix", &format!("{{{ROOM}}}"), &http, &ScriptedLocal::new());
    assert_eq!(outcome.error, None);
    let body = body(&http);
    let html = body["formatted_body"].as_str().expect("HTML");
    assert!(html.starts_with("<b>[FIRING:2] X </b><br/>firing alertname=X sev=a<br/>"), "{html}");
    assert!(html.contains("summary: &lt;b&gt;&amp;") && !html.contains("<b>&"), "{html}");
    let text = body["body"].as_str().expect("text");
    assert!(text.starts_with("[FIRING:2] X") && text.contains("- sev = b"), "{text}");
    assert_eq!((&body["m.mentions"], &body["msgtype"]), (&json!({}), &json!("m.text")));
}

#[test]
fn what_is_too_long_for_an_event_is_cut_or_left_out() {
    let http = FakeHttp::answering(&[200]);
    let long = "x".repeat(20_000);
    let item = format!("{{{ROOM}, message: '{long}', html: '{long}'}}");
    send("matrix", &item, &http, &ScriptedLocal::new());
    let body = body(&http);
    assert_eq!(body["body"].as_str().map(str::len), Some(12 << 10));
    assert!(body.get("formatted_body").is_none() && body.get("format").is_none());
}

#[test]
fn a_refusal_is_told_with_its_code() {
    let answer = r#"{"errcode":"M_FORBIDDEN","error":"not in room"}"#;
    let http = FakeHttp::saying(&[(403, "", answer)]);
    let outcome = send("matrix", &format!("{{{ROOM}}}"), &http, &ScriptedLocal::new());
    let text = "unexpected status code 403: M_FORBIDDEN: not in room";
    assert_eq!((outcome.error.as_deref(), outcome.attempts), (Some(text), 1));
}

#[test]
fn what_is_wrong_is_told() {
    let at = "receivers[0].matrix_configs[0]";
    let hs = "homeserver_url: 'http://hs'";
    for (item, expected) in [
        ("{}".to_owned(), ": missing homeserver_url in matrix_config"),
        (format!("{{{hs}}}"), ": missing room_id in matrix_config"),
        (
            format!("{{{hs}, room_id: '#a:b'}}"),
            ".room_id: \"#a:b\" is no room: its identifier begins with !",
        ),
        (
            format!("{{{hs}, room_id: '!a:b'}}"),
            ": one of access_token or access_token_file must be configured",
        ),
        (
            format!("{{{hs}, room_id: '!a:b', access_token: a, access_token_file: b}}"),
            ": at most one of access_token & access_token_file must be configured",
        ),
        (
            format!("{{{hs}, room_id: '!a:b', access_token: a, msgtype: m.image}}"),
            ".msgtype: \"m.image\" is neither m.text nor m.notice",
        ),
    ] {
        assert_eq!(fault("matrix", &item), format!("{at}{expected}"));
    }
}
