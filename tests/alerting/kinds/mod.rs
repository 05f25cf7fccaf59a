//! What each kind of receiver sends, as its sink sees it: whole bodies, which are Alertmanager
//! 0.34's for the same alerts, what answers mean, and what is refused in the configuration.

mod chats;
mod incidents;
mod long;
mod pushes;
mod slack;

use crate::outside::{FakeHttp, Sent, outside, run, run_changed};
use watchbell::alerts::{Delivery, DeliveryOutcome, Options};
use watchbell::model::Annotations;
use watchbell::notify::config::File;
use watchbell::notify::{Receivers, Templates};
use watchbell::sys::metrics::Registry;
use watchbell::sys::settings::{Authorization, HttpClientSettings, Secret};

/// SHA-256 of the group's key, `{}:{alertname="X"}`.
const HASH: &str = "25fb0bff77cf7f8850f1cb3aeea9e63be0fbd3e78a8c0ef038392ade26e7d3a6";
/// Where the alerts are shown.
const LINK: &str = "http://am/#/alerts?receiver=team";

/// A receiver with one item of a kind.
fn receiver(kind: &str, item: &str) -> String {
    format!("{{name: team, {kind}_configs: [{item}]}}")
}

/// What one item sends about two firing alerts, to a sink that is content.
#[track_caller]
fn sent(kind: &str, item: &str, answer: (u16, &str, &str)) -> Vec<Sent> {
    sent_of(kind, item, answer, |_| {})
}

/// What one item sends about another delivery.
#[track_caller]
fn sent_of(
    kind: &str,
    item: &str,
    answer: (u16, &str, &str),
    change: impl FnOnce(&mut Delivery),
) -> Vec<Sent> {
    let http = FakeHttp::saying(&[answer]);
    let (outcome, _) = run_changed(&receiver(kind, item), kind, &http, change);
    assert_eq!(outcome.error, None);
    http.sent()
}

/// How the sender of one item talks, below these defaults for all.
#[track_caller]
fn talks(global: &str, kind: &str, item: &str) -> HttpClientSettings {
    let http = FakeHttp::answering(&[200]);
    let receiver = receiver(kind, item);
    let yaml = format!(
        "{{global: {{http_config: {global}}}, route: {{receiver: team}}, receivers: [{receiver}]}}"
    );
    let file: File = serde_yaml::from_str(&yaml).expect(item);
    let checked = file.check(&Options::default()).expect("valid");
    let templates = Templates::new(&[]).expect("templates");
    let (outside, _) = outside(http.clone());
    Receivers::new(&checked.receivers, templates, outside, &Registry::new());
    http.clients().pop().expect("a client is made")
}

/// The only body of `sent`, without the line end.
#[track_caller]
fn body(kind: &str, item: &str, answer: (u16, &str, &str)) -> String {
    body_of(kind, item, answer, |_| {})
}

/// The only body of `sent_of`, without the line end.
#[track_caller]
fn body_of(
    kind: &str,
    item: &str,
    answer: (u16, &str, &str),
    change: impl FnOnce(&mut Delivery),
) -> String {
    let sent = sent_of(kind, item, answer, change);
    let [one] = sent.as_slice() else { panic!("one request is wanted: {sent:?}") };
    let body = one.body.strip_suffix('\n').unwrap_or(&one.body);
    body.to_owned()
}

/// What a request is authorized by that has this token.
fn bearer(token: &str) -> Option<Authorization> {
    let (scheme, credentials) = ("Bearer".to_owned(), Secret::new(token));
    Some(Authorization { scheme, credentials, credentials_file: None })
}

/// Makes all alerts of a delivery end.
fn resolved(delivery: &mut Delivery) {
    for alert in &mut delivery.notification.alerts {
        alert.ends_at = Some(alert.starts_at);
    }
}

/// Gives all alerts this summary.
fn summary(text: &str) -> impl FnOnce(&mut Delivery) {
    move |delivery| {
        for alert in &mut delivery.notification.alerts {
            alert.annotations = Annotations::from_pairs([("summary", text)]);
        }
    }
}

/// How a delivery to one item ends when its sink gives these answers.
fn outcome(kind: &str, item: &str, answers: &[(u16, &str, &str)]) -> DeliveryOutcome {
    run(&receiver(kind, item), kind, &FakeHttp::saying(answers)).0
}

/// Checks how deliveries end: the sink's answer, then the error; one that is tried again at least
/// once begins with `again: `.
#[track_caller]
fn check_answers(kind: &str, item: &str, cases: &[((u16, &str, &str), &str)]) {
    for (answer, expected) in cases {
        let DeliveryOutcome { error, attempts, .. } = outcome(kind, item, &[*answer]);
        let again = if attempts > 1 { "again: " } else { "" };
        let found = error.map_or_else(String::new, |error| format!("{again}{error}"));
        assert_eq!(found, *expected, "{answer:?}");
    }
}

/// Checks what is refused in a configuration, and in which words.
#[track_caller]
fn check_refused(kind: &str, cases: &[(&str, &str)]) {
    check_refused_in("", kind, cases);
}

/// The same with `global`, as the inside of a flow mapping.
#[track_caller]
fn check_refused_in(global: &str, kind: &str, cases: &[(&str, &str)]) {
    for (item, expected) in cases {
        let receiver = receiver(kind, item);
        let yaml =
            format!("{{global: {{{global}}}, route: {{receiver: team}}, receivers: [{receiver}]}}");
        let file: File = serde_yaml::from_str(&yaml).expect(item);
        let found = match file.check(&Options::default()) {
            Ok(_) => String::new(),
            Err(problems) => problems.iter().map(|one| one.message.clone()).collect::<String>(),
        };
        assert_eq!(found, *expected, "{item}");
    }
}

#[test]
fn each_talks_as_it_says_itself_or_else_as_all_do() {
    let global = "{proxy_url: 'http://proxy', authorization: {type: Bearer, credentials: all}}";
    let own = "http_config: {follow_redirects: false}";
    for (kind, item) in [
        ("discord", "webhook_url: 'http://x'"),
        ("msteams", "webhook_url: 'http://x'"),
        ("opsgenie", "api_key: x"),
        ("telegram", "bot_token: x, chat_id: 1"),
    ] {
        let as_all = talks(global, kind, &format!("{{{item}}}"));
        assert_eq!(as_all.authorization, bearer("all"), "{kind}");
        assert!(as_all.proxy_url.is_some(), "{kind}");
        let alone = talks(global, kind, &format!("{{{item}, {own}}}"));
        assert_eq!((alone.authorization, alone.proxy_url), (None, None), "{kind}");
    }
    // The proxy of all is taken by workflows that have none of their own.
    let alone = talks(global, "msteamsv2", &format!("{{webhook_url: 'http://x', {own}}}"));
    assert_eq!(alone.authorization, None);
    assert!(alone.proxy_url.is_some_and(|url| url.reveal() == "http://proxy"));
    // Not beside one from the environment, which both are for themselves.
    let own = "{proxy_from_environment: true}";
    let item = format!("{{webhook_url: 'http://x', http_config: {own}}}");
    let environment = talks(global, "msteamsv2", &item);
    assert_eq!((environment.proxy_from_environment, environment.proxy_url), (Some(true), None));
    // An older spelling of the authorization is one.
    for older in ["{bearer_token: t}", "{authorization: {type: Bearer, credentials: t}}"] {
        let item = format!("{{url: 'http://x', http_config: {older}}}");
        assert_eq!(talks("{}", "webhook", &item).authorization, bearer("t"), "{older}");
        let source = "{url: 'http://x', alert_source_token: own}";
        assert_eq!(talks(older, "incidentio", source).authorization, bearer("own"), "{older}");
    }
    // Tokens of receivers.
    assert_eq!(talks("{}", "slack", "{app_token: t}").authorization, bearer("t"));
    let file = talks("{}", "slack", "{app_token_file: f}").authorization.expect("a token");
    assert_eq!(file.credentials_file.as_deref(), Some("f".as_ref()));
    let source = "{url: 'http://x', alert_source_token: t}";
    assert_eq!(talks(global, "incidentio", source).authorization, bearer("t"));
    assert_eq!(talks(global, "incidentio", "{url: 'http://x'}").authorization, bearer("all"));
}
