//! What is too long: an answer, of which the status counts first, as upstream's `Retrier.Check`
//! has it, and a group of very many alerts, which is told all the same.

use super::outcome;
use crate::mail;
use crate::outside::{FakeHttp, delivery};
use crate::sinks::send_this;
use watchbell::alerts::Delivery;
use watchbell::model::{Annotations, Labels};
use watchbell::sys::sim_local::{Done, ScriptedLocal};

/// More than what is read of an answer.
const LONG: usize = 70_000;

/// A sink of each kind that sends requests, without those that ask first.
const KINDS: [(&str, &str); 15] = [
    ("webhook", "{url: 'http://x'}"),
    ("slack", "{api_url: 'http://x'}"),
    ("discord", "{webhook_url: 'http://x'}"),
    ("msteams", "{webhook_url: 'http://x'}"),
    ("msteamsv2", "{webhook_url: 'http://x'}"),
    ("mattermost", "{webhook_url: 'http://x'}"),
    ("rocketchat", "{token: t, token_id: u, channel: c}"),
    ("pagerduty", "{routing_key: k}"),
    ("opsgenie", "{api_key: k}"),
    ("victorops", "{api_key: k, routing_key: r}"),
    ("incidentio", "{url: 'http://x', alert_source_token: t}"),
    ("telegram", "{bot_token: t, chat_id: 1}"),
    ("pushover", "{user_key: u, token: t}"),
    ("webex", "{room_id: r, http_config: {authorization: {credentials: t}}}"),
    ("sns", "{topic_arn: t, message: m, sigv4: {region: r, access_key: a, secret_key: s}}"),
];

#[test]
fn a_refusal_is_one_however_much_is_said_beside_it() {
    let long = "x".repeat(LONG);
    for (kind, item) in KINDS {
        let refused = outcome(kind, item, &[(400, "text/html", &long)]);
        assert!(refused.error.is_some(), "{kind}");
        assert_eq!((refused.status, refused.attempts), (Some(400), 1), "{kind}");
        let busy = outcome(kind, item, &[(503, "text/html", &long)]);
        assert!(busy.error.is_some() && busy.attempts > 1, "{kind}: {busy:?}");
        assert_eq!(busy.status, Some(503), "{kind}");
    }
}

#[test]
fn a_long_answer_says_what_its_beginning_says() {
    let echo = format!(r#","message":{{"text":"{}"}}}}"#, "x".repeat(LONG));
    let said = |start: &str| format!("{start}{echo}");
    let slack = "{api_url: 'https://slack.com/api/chat.postMessage', update_message: true}";
    let taken = said(r#"{"ok":true,"channel":"C","ts":"1.2""#);
    let taken = outcome("slack", slack, &[(200, "application/json", &taken)]);
    assert_eq!(taken.error, None);
    assert_eq!(taken.data.get("threadTs").map(String::as_str), Some("1.2"));
    let refused = said(r#"{"ok":false,"error":"channel_not_found""#);
    let refused = outcome("slack", slack, &[(200, "application/json", &refused)]);
    let error = refused.error.expect("refused");
    assert!(error.ends_with("error response from Slack: channel_not_found"), "{error}");
    for (kind, start) in [("telegram", r#"{"ok":true"#), ("rocketchat", r#"{"ts":1"#)] {
        let (_, item) = KINDS.iter().find(|(known, _)| *known == kind).expect("known");
        let end = outcome(kind, item, &[(200, "application/json", &said(start))]);
        assert_eq!((end.error, end.attempts), (None, 1), "{kind}");
    }
}

/// Gives a delivery very many alerts, of some 900 bytes each, as a route without `group_by` does.
fn many(delivery: &mut Delivery) {
    let first = delivery.notification.alerts.remove(0);
    let alert = |number: usize| {
        let mut alert = first.clone();
        alert.labels = Labels::from_pairs([
            ("alertname".to_owned(), "X".to_owned()),
            ("instance".to_owned(), format!("host{number}:9100")),
            ("job".to_owned(), "node".to_owned()),
            ("sev".to_owned(), "a".to_owned()),
        ]);
        let text = format!("of host {number}: {}", "<more> & more ".repeat(50));
        alert.annotations =
            Annotations::from_pairs([("summary", "down"), ("description", text.as_str())]);
        alert
    };
    delivery.notification.alerts = (0..2_000).map(alert).collect();
}

#[test]
fn two_thousand_alerts_in_one_group_are_told_by_every_kind() {
    let found = r#"{"ok":true,"success":true,"errcode":0,"access_token":"t","issues":[]}"#;
    let others = [
        ("jira", "{api_url: 'http://x', project: p, issue_type: t}"),
        ("wechat", "{api_secret: s, corp_id: c}"),
        ("ntfy", "{topic: t}"),
        ("gotify", "{url: 'http://x', token: t}"),
        ("matrix", "{homeserver_url: 'http://x', room_id: '!r', access_token: t}"),
    ];
    for (kind, item) in KINDS.into_iter().chain(others) {
        let http = FakeHttp::saying(&[(200, "application/json", found)]);
        let mut delivery = delivery("team", kind);
        many(&mut delivery);
        let outcome = send_this(&delivery, item, &http, &ScriptedLocal::new());
        assert_eq!((outcome.error, outcome.attempts), (None, 1), "{kind}");
        let body = http.sent().pop().expect("sent").body;
        match kind {
            "webhook" => assert!(body.contains("host1999")),
            // No limit is known.
            "gotify" | "wechat" => {}
            // The longest that a service takes is 512 KiB.
            _ => assert!(body.len() <= 512 << 10, "{kind}: {}", body.len()),
        }
        if kind == "pagerduty" {
            assert!(body.contains("Custom details have been removed"), "{body}");
        }
    }
    for (kind, item) in [
        ("exec", "{command: [/usr/bin/page]}"),
        ("syslog", "{address: 'unix:/dev/log'}"),
        ("file", "{path: /var/log/alerts}"),
        ("file", "{path: /var/log/alerts, format: text}"),
    ] {
        let local = ScriptedLocal::new();
        let mut delivery = delivery("team", kind);
        many(&mut delivery);
        let outcome = send_this(&delivery, item, &FakeHttp::answering(&[200]), &local);
        assert_eq!((outcome.error, outcome.attempts), (None, 1), "{kind}");
        let bytes = match local.done().pop() {
            Some(Done::Ran(command)) => command.stdin.to_vec(),
            Some(Done::Told(_, messages)) => messages.concat(),
            Some(Done::Appended(append)) => append.bytes,
            Some(Done::Printed(bytes)) => bytes,
            None => Vec::new(),
        };
        assert!(String::from_utf8_lossy(&bytes).contains("host1999"), "{kind}");
    }
}

#[test]
fn a_mail_holds_two_thousand_alerts() {
    let (error, heard) = mail::told("require_tls: false, text: '{{ .Alerts | toJson }}'", many);
    assert_eq!(error, None);
    let all = heard.join("\n").replace("=\n", "");
    assert_eq!(all.matches("host1999:9100").count(), 2, "in the text and in HTML");
}
