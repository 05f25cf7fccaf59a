//! Messages to people's phones: Telegram, Pushover, Webex.

use super::{
    body, body_of, check_answers, check_refused, check_refused_in, outcome, sent, sent_of, summary,
};
use crate::outside::{FakeHttp, run};
use std::time::Duration;
use watchbell::sys::http::Method;

const JSON: &str = "application/json";
const SENT: (u16, &str, &str) =
    (200, JSON, r#"{"ok":true,"result":{"message_id":1,"chat":{"id":1}}}"#);

#[test]
fn a_message_of_telegram_is_upstreams() {
    let item = "{bot_token: 'a:b', chat_id: -100, message: '{{ .CommonAnnotations.summary }}'}";
    let sent = sent("telegram", item, SENT);
    let [one] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(one.method, Method::Post);
    assert_eq!(one.url, "https://api.telegram.org/bota:b/sendMessage");
    // In HTML what alerts say is escaped.
    assert_eq!(
        one.body,
        concat!(
            r#"{"chat_id":"-100","disable_web_page_preview":"true","parse_mode":"HTML","#,
            r#""text":"\u0026lt;b\u0026gt;\u0026amp;\r\nBcc: evil@x"}"#,
            "\n",
        )
    );
    let item = "{bot_token: t, chat_id: 5, api_url: 'http://tg', parse_mode: '', \
                message_thread_id: 7, disable_notifications: true, \
                message: '{{ .CommonAnnotations.summary }}'}";
    assert_eq!(
        body("telegram", item, SENT),
        concat!(
            r#"{"chat_id":"5","disable_notification":"true","disable_web_page_preview":"true","#,
            r#""message_thread_id":"7","text":"\u003cb\u003e\u0026\r\nBcc: evil@x"}"#,
        )
    );
}

#[test]
fn long_messages_of_telegram_are_cut_and_html_is_told_about() {
    let long = |mode: &str, len: usize| {
        let message = "{{ .CommonAnnotations.summary }}";
        let item =
            format!("{{bot_token: t, chat_id: 5, parse_mode: '{mode}', message: '{message}'}}");
        let body = body_of("telegram", &item, SENT, summary(&"x".repeat(len)));
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        body["text"].as_str().expect("text").to_owned()
    };
    for mode in ["", "Markdown", "MarkdownV2", "HTML"] {
        assert_eq!(long(mode, 4_096).len(), 4_096, "{mode}");
    }
    assert_eq!(long("Markdown", 4_097), format!("{}\u{2026}", "x".repeat(4_095)));
    let text = long("HTML", 5_000);
    assert!(text.starts_with("[FIRING:2] X \n(The whole message has 5000 characters"), "{text}");
    // The subject alone may be long, and full of what is escaped.
    let item = "{bot_token: t, chat_id: 5, message: '{{ .CommonAnnotations.summary }}'}";
    let body = body_of("telegram", item, SENT, |delivery| {
        summary(&"x".repeat(5_000))(delivery);
        let labels = [("alertname".to_owned(), "<&".repeat(5_000))];
        delivery.notification.group_labels = labels.into_iter().collect();
    });
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let text = body["text"].as_str().expect("text");
    assert!(text.chars().count() <= 4_096, "{}", text.chars().count());
    assert!(text.starts_with("[FIRING:2] &lt;&amp;&lt;"), "{text}");
}

#[test]
fn marks_that_telegram_cannot_read_are_told_as_plain_text() {
    let refused = (
        400,
        JSON,
        r#"{"ok":false,"error_code":400,"description":"Bad Request: can't parse entities: Can't find end"}"#,
    );
    for mode in ["Markdown", "MarkdownV2", "HTML"] {
        let item = format!(
            "{{bot_token: t, chat_id: 5, parse_mode: {mode}, message: '*{{{{ .CommonAnnotations.summary }}}}'}}"
        );
        let http = FakeHttp::saying(&[refused, SENT]);
        let (done, _) = run(&super::receiver("telegram", &item), "telegram", &http);
        assert_eq!((done.error, done.attempts), (None, 1), "{mode}");
        let sent = http.sent();
        let [_, plain] = sent.as_slice() else { panic!("{sent:?}") };
        let plain: serde_json::Value = serde_json::from_str(&plain.body).expect("JSON");
        assert_eq!(plain.get("parse_mode"), None);
        assert_eq!(plain["text"], "*<b>&\r\nBcc: evil@x");
        // No more than one other form is tried.
        let http = FakeHttp::saying(&[refused]);
        let (done, _) = run(&super::receiver("telegram", &item), "telegram", &http);
        assert_eq!((http.sent().len(), done.attempts), (2, 1));
        assert!(done.error.is_some_and(|error| error.contains("can't parse entities")));
    }
}

#[test]
fn telegram_s_answers_and_refusals() {
    let item = "{bot_token: t, chat_id: 5}";
    check_answers(
        "telegram",
        item,
        &[
            (
                (
                    400,
                    JSON,
                    r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#,
                ),
                "telegram: Bad Request: chat not found (400)",
            ),
            (
                (200, JSON, r#"{"ok":false,"error_code":500,"description":"oops"}"#),
                "again: telegram: oops (500)",
            ),
            ((502, "text/html", "<h1>"), "again: unexpected status code 502: <h1>"),
        ],
    );
    assert!(outcome("telegram", item, &[(200, "", "?")]).attempts > 1);
    let wait = r#"{"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":11}}"#;
    let http = FakeHttp::saying(&[(429, JSON, wait), SENT]);
    let (done, _) = run(&super::receiver("telegram", item), "telegram", &http);
    assert_eq!(done.error, None);
    assert_eq!(http.sent().last().map(|one| one.at), Some(Duration::from_secs(11)));
    check_answers(
        "telegram",
        "{bot_token: t, chat_id_file: id.txt}",
        &[(SENT, "could not parse chat_id from id.txt: invalid digit found in string")],
    );
    check_refused(
        "telegram",
        &[
            ("{chat_id: 1}", "missing bot_token or bot_token_file on telegram_config"),
            ("{bot_token: t}", "missing chat_id or chat_id_file on telegram_config"),
            (
                "{bot_token: t, bot_token_file: f, chat_id: 1}",
                "at most one of bot_token & bot_token_file must be configured",
            ),
            (
                "{bot_token: t, chat_id: 1, chat_id_file: f}",
                "at most one of chat_id & chat_id_file must be configured",
            ),
            (
                "{bot_token: t, chat_id: 1, parse_mode: html}",
                "unknown parse_mode on telegram_config, must be Markdown, MarkdownV2, HTML or empty string",
            ),
        ],
    );
    check_refused_in("telegram_bot_token: t", "telegram", &[("{chat_id: 1}", "")]);
}

#[test]
fn a_message_of_pushover_is_upstreams() {
    let item = "{user_key: 'u{{ len .Alerts }}', token: 't&', message: '{{ .CommonAnnotations.summary }}'}";
    let sent = sent("pushover", item, (200, "", ""));
    let [one] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(one.method, Method::Post);
    assert_eq!((one.body.as_str(), one.header("content-type").as_str()), ("", "text/plain"));
    assert_eq!(
        one.url,
        "https://api.pushover.net/1/messages.json?device=&expire=3600&\
         message=%3Cb%3E%26%0D%0ABcc%3A+evil%40x&priority=2&retry=60&sound=&\
         title=%5BFIRING%3A2%5D+X+&token=t%26&\
         url=http%3A%2F%2Fam%2F%23%2Falerts%3Freceiver%3Dteam&url_title=&user=u2"
    );
    let item = "{user_key_file: u, token_file: t, title: t, message: ' {{ .CommonAnnotations.nope }} ', \
                url: u, url_title: ut, device: d, sound: s, priority: 1, retry: 2m, expire: 1h30m, \
                ttl: 1m, html: true}";
    let sent = sent_of("pushover", item, (200, "", ""), super::resolved);
    assert_eq!(
        sent.first().map(|one| one.url.as_str()),
        Some(
            "https://api.pushover.net/1/messages.json?device=d&expire=5400&html=1&\
             message=%28no+details%29&priority=1&retry=120&sound=s&title=t&\
             token=http%3A%2F%2Ffrom-file%2Fetc%2Fwatchbell%2Ft&ttl=60&url=u&url_title=ut&\
             user=http%3A%2F%2Ffrom-file%2Fetc%2Fwatchbell%2Fu"
        )
    );
    let item =
        "{user_key: u, token: t, html: true, message: '<b>{{ .CommonAnnotations.summary }}</b>'}";
    let sent = sent_of("pushover", item, (200, "", ""), summary("<i>"));
    let url = sent.first().map(|one| one.url.clone()).unwrap_or_default();
    assert!(url.contains("&message=%3Cb%3E%26lt%3Bi%26gt%3B%3C%2Fb%3E&"), "{url}");
    let long = |key: &str, len: usize| {
        let item =
            format!("{{user_key: u, token: t, monospace: true, {key}: '{}'}}", "Q".repeat(len));
        let sent = super::sent("pushover", &item, (200, "", ""));
        let url = sent.first().map(|one| one.url.clone()).unwrap_or_default();
        assert!(url.contains("&monospace=1&"), "{url}");
        (url.matches('Q').count(), url.contains("%E2%80%A6"))
    };
    for (key, max) in [("title", 250), ("message", 1_024), ("url", 512)] {
        assert_eq!(long(key, max), (max, false));
        assert_eq!(long(key, max + 1), (max - 1, true));
    }
}

#[test]
fn what_pushover_refuses() {
    check_answers(
        "pushover",
        "{user_key: u, token: t}",
        &[
            ((400, "", "invalid"), "unexpected status code 400: invalid"),
            ((500, "", ""), "again: unexpected status code 500"),
        ],
    );
    check_refused(
        "pushover",
        &[
            ("{token: t}", "one of user_key or user_key_file must be configured"),
            ("{user_key: u}", "one of token or token_file must be configured"),
            (
                "{user_key: u, user_key_file: f, token: t}",
                "at most one of user_key & user_key_file must be configured",
            ),
            (
                "{user_key: u, token: t, token_file: f}",
                "at most one of token & token_file must be configured",
            ),
            (
                "{user_key: u, token: t, html: true, monospace: true}",
                "at most one of monospace & html must be configured",
            ),
        ],
    );
}

#[test]
fn a_message_of_webex_is_upstreams() {
    let auth = "http_config: {authorization: {credentials: c}}";
    let item = format!(
        "{{room_id: '{{{{ .Receiver }}}}', message: '{{{{ .CommonAnnotations.summary }}}}', {auth}}}"
    );
    let sent = sent("webex", &item, (200, "", ""));
    let [one] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(one.url, "https://webexapis.com/v1/messages");
    assert_eq!(
        one.body,
        "{\"markdown\":\"\\u003cb\\u003e\\u0026\\r\\nBcc: evil@x\",\"roomId\":\"team\"}\n"
    );
    let said = body_of("webex", &item, (200, "", ""), summary("<@all>"));
    assert!(said.contains("\\u003c@\u{200d}all\\u003e"), "{said}");
    let long = |len: usize| {
        let body = body_of("webex", &item, (200, "", ""), summary(&"x".repeat(len)));
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        body["markdown"].as_str().expect("text").to_owned()
    };
    assert_eq!(long(7_439).len(), 7_439);
    assert_eq!(long(7_440), format!("{}\u{2026}", "x".repeat(7_436)));
    check_refused(
        "webex",
        &[
            (&format!("{{{auth}}}"), "missing room_id on webex_config"),
            ("{room_id: r}", "missing webex_configs.http_config.authorization"),
            ("{room_id: r, http_config: {}}", "missing webex_configs.http_config.authorization"),
            ("{room_id: r, http_config: {bearer_token: t}}", ""),
            ("{room_id: r, http_config: {bearer_token_file: t}}", ""),
            (
                "{room_id: r, api_url: 'http://{{ .x }}/', http_config: {bearer_token_file: t}}",
                "cannot read the URL: invalid international domain name",
            ),
        ],
    );
}
