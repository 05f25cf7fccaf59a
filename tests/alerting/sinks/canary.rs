//! No secret of a receiver leaves it but to its sink: not in what is shown of the configuration,
//! not in errors, answers (which the history keeps), logs and metrics, whatever the sink says.
//!
//! A kind with a secret belongs into `ROWS`, with every field that may hold one.

use super::{allowed, own_kind};
use crate::outside::{FakeHttp, delivery, drive, outside};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use watchbell::alerts::Options;
use watchbell::model::Problem;
use watchbell::notify::config::{File, OwnReceiverSettings, Receiver};
use watchbell::notify::{Receivers, Templates};
use watchbell::sys::http::{Http, HttpClient, HttpError, Pending, Request, Response};
use watchbell::sys::local::Ended;
use watchbell::sys::metrics::Registry;
use watchbell::sys::settings::HttpClientSettings;
use watchbell::sys::sim_local::ScriptedLocal;

/// Stands in every place where a secret may stand.
const CANARY: &str = "CANARYs3cret0123";

/// Kind, item, whether it sends over HTTP or runs a command. `@` stands for the canary; files hold
/// it too.
const ROWS: &[(&str, &str, bool)] = &[
    ("webhook", "{url: 'http://u:@@sink/@/x?k=@'}", true),
    ("webhook", "{url: 'http://sink/@/{{ .GroupLabels.alertname }}'}", true),
    ("webhook", "{url: 'http://sink/@/{{ .Nope 1 }}'}", true),
    ("webhook", "{url: 'http://sink/@/{{ if }}'}", true),
    ("webhook", "{url: 'nonsense @'}", true),
    ("webhook", "{url_file: f}", true),
    ("webhook", "{url: 'http://x', http_config: {authorization: {credentials: '@'}}}", true),
    ("webhook", "{url: 'http://x', http_config: {authorization: {credentials_file: f}}}", true),
    ("webhook", "{url: 'http://x', http_config: {basic_auth: {username: u, password: '@'}}}", true),
    (
        "webhook",
        "{url: 'http://x', http_config: {basic_auth: {username: u, password_file: f}}}",
        true,
    ),
    ("webhook", "{url: 'http://x', http_config: {bearer_token: '@'}}", true),
    ("webhook", "{url: 'http://x', http_config: {bearer_token_file: f}}", true),
    ("webhook", "{url: 'http://x', http_config: {http_headers: {A: {secrets: ['@']}}}}", true),
    ("webhook", "{url: 'http://x', http_config: {http_headers: {A: {files: [f]}}}}", true),
    ("webhook", "{url: 'http://x', http_config: {proxy_url: 'http://u:@@p'}}", true),
    (
        "webhook",
        "{url: 'http://x', http_config: {oauth2: {client_id: i, client_secret: '@', token_url: 'http://t'}}}",
        true,
    ),
    (
        "email",
        "{to: a@b, from: c@d, smarthost: 'h:25', auth_password: '@', auth_secret: '@'}",
        false,
    ),
    ("slack", "{api_url: 'http://u:@@sink/@/x?k=@', channel: c}", true),
    ("slack", "{api_url_file: f, channel: c}", true),
    ("slack", "{app_token: '@', app_url: 'http://sink/', channel: c}", true),
    ("slack", "{app_token_file: f, app_url: 'http://u:@@sink/', channel: c}", true),
    ("discord", "{webhook_url: 'http://sink/@/x?k=@'}", true),
    ("discord", "{webhook_url_file: f}", true),
    ("msteams", "{webhook_url: 'http://sink/@/x?k=@'}", true),
    ("msteams", "{webhook_url_file: f}", true),
    ("msteamsv2", "{webhook_url: 'http://sink/@/x?k=@'}", true),
    ("msteamsv2", "{webhook_url_file: f}", true),
    ("mattermost", "{webhook_url: 'http://sink/@/x?k=@'}", true),
    ("mattermost", "{webhook_url_file: f}", true),
    ("rocketchat", "{api_url: 'http://u:@@sink', token: '@', token_id: '@', channel: c}", true),
    ("rocketchat", "{api_url: 'http://sink', token_file: f, token_id_file: f}", true),
    ("telegram", "{bot_token: '@', chat_id: 1, api_url: 'http://u:@@sink'}", true),
    ("telegram", "{bot_token_file: f, chat_id: 1, api_url: 'http://sink'}", true),
    ("pushover", "{user_key: '@', token: '@'}", true),
    ("pushover", "{user_key_file: f, token_file: f}", true),
    (
        "webex",
        "{room_id: r, api_url: 'http://u:@@sink/', http_config: {authorization: {credentials: '@'}}}",
        true,
    ),
    ("opsgenie", "{api_key: '@', api_url: 'http://u:@@sink/'}", true),
    ("opsgenie", "{api_key_file: f, api_url: 'http://sink/', update_alerts: true}", true),
    ("pagerduty", "{routing_key: '@', url: 'http://u:@@sink/'}", true),
    ("pagerduty", "{routing_key_file: f, url: 'http://sink/'}", true),
    ("pagerduty", "{service_key: '@'}", true),
    ("pagerduty", "{service_key_file: f}", true),
    ("victorops", "{routing_key: r, api_key: '@', api_url: 'http://u:@@sink/'}", true),
    ("victorops", "{routing_key: r, api_key_file: f, api_url: 'http://sink/'}", true),
    ("incidentio", "{url: 'http://u:@@sink/', alert_source_token: '@'}", true),
    ("incidentio", "{url: 'http://sink/', alert_source_token_file: f}", true),
    ("incidentio", "{url_file: f, alert_source_token: '@'}", true),
    ("wechat", "{api_secret: '@', corp_id: c, api_url: 'http://sink/'}", true),
    ("wechat", "{api_secret_file: f, corp_id: c, api_url: 'http://sink/'}", true),
    ("jira", "{api_url: 'http://u:@@jira/', project: p, issue_type: t}", true),
    (
        "jira",
        "{api_url: 'http://jira/', project: p, issue_type: t, http_config: {basic_auth: {username: u, password: '@'}}}",
        true,
    ),
    ("sns", "{topic_arn: t, sigv4: {region: r, access_key: a, secret_key: '@'}}", true),
    (
        "sns",
        "{topic_arn: t, sigv4: {region: r, access_key: a, secret_key: '@', role_arn: x}}",
        true,
    ),
    ("ntfy", "{topic: '@'}", true),
    ("ntfy", "{topic: tttt, token: '@'}", true),
    ("ntfy", "{topic: tttt, token_file: f}", true),
    (
        "ntfy",
        "{topic: tttt, actions: [{action: http, label: l, url: 'http://a/@', headers: {A: '@'}}]}",
        true,
    ),
    ("ntfy", "{topic: tttt, url: 'http://u:@@sink'}", true),
    ("gotify", "{url: 'http://sink', token: '@'}", true),
    ("gotify", "{url: 'http://sink', token_file: f}", true),
    ("gotify", "{url: 'http://u:@@sink', token: tttt}", true),
    ("matrix", "{homeserver_url: 'http://hs', room_id: '!r', access_token: '@'}", true),
    ("matrix", "{homeserver_url: 'http://hs', room_id: '!r', access_token_file: f}", true),
    ("matrix", "{homeserver_url: 'http://u:@@hs', room_id: '!r', access_token: tttt}", true),
    ("exec", "{command: [/usr/bin/page], env: {A: '@'}}", true),
    ("exec", "{command: [/usr/bin/page], env_files: {A: f}}", true),
];

/// A sink that repeats what it was told, and a secret besides.
#[derive(Clone, Debug)]
struct Echo {
    answer: Result<u16, HttpError>,
    /// What its answer begins with, of which little is kept.
    first: First,
}

/// What an answer begins with.
#[derive(Clone, Copy, Debug)]
enum First {
    Canary,
    /// The secret stands across the end of what is kept.
    Space,
    Url,
    Headers,
    Body,
}

impl Http for Echo {
    fn client(&self, _: &HttpClientSettings, _: &Path) -> Result<Arc<dyn HttpClient>, Problem> {
        Ok(Arc::new(self.clone()))
    }
}

impl HttpClient for Echo {
    fn send(&self, request: Request) -> Pending<'_> {
        let told = String::from_utf8_lossy(&request.body).into_owned();
        let body = match self.first {
            _ if request.url.contains("gettoken") => format!(r#"{{"access_token":"{CANARY}"}}"#),
            First::Canary => format!("{CANARY} {told}"),
            First::Space => format!("-{}{CANARY}", " ".repeat(190)),
            First::Url => request.url.clone(),
            First::Headers => format!("{:?}", request.headers),
            First::Body => told,
        };
        let answer = self.answer.clone().map(|status| Response {
            status: if request.url.contains("gettoken") { 200 } else { status },
            headers: vec![("content-type".to_owned(), CANARY.to_owned())],
            body: body.into(),
            ..Response::default()
        });
        Box::pin(std::future::ready(answer))
    }
}

/// What was logged.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The receiver `team` with an item, and all that is seen of its settings; no receivers where the
/// item is refused.
fn shown(kind: &str, item: &str) -> (Vec<Receiver>, String) {
    let receiver = format!("{{name: team, {kind}_configs: [{item}]}}");
    let own = own_kind(kind);
    let written = if own { "{name: team}" } else { receiver.as_str() };
    let yaml = format!("{{route: {{receiver: team}}, receivers: [{written}]}}");
    let file: File = serde_yaml::from_str(&yaml).expect("reads");
    let mut seen = format!("{file:?}") + &serde_yaml::to_string(&file).expect("writes");
    let mut receivers = Vec::new();
    if own {
        let item: OwnReceiverSettings = serde_yaml::from_str(&receiver).expect("reads");
        seen += &format!("{item:?}");
        seen += &serde_yaml::to_string(&item).expect("writes");
        receivers = file.check_own(&[item], &allowed()).expect("valid").receivers;
    }
    match file.check_with(receivers, &Options::default()) {
        Ok(checked) => {
            seen += &format!("{checked:?}");
            (checked.receivers, seen)
        }
        Err(problems) => (Vec::new(), seen + &format!("{problems:?}")),
    }
}

/// All that is seen of a delivery to such a receiver.
fn delivered(kind: &str, receivers: &[Receiver], templates: &Templates, echo: &Echo) -> String {
    let (mut outside, clock) = outside(FakeHttp::answering(&[200]));
    let local = ScriptedLocal::new();
    local.answer(Ended::Status(i32::from(echo.answer.clone().unwrap_or(75))), CANARY);
    outside.http = Arc::new(echo.clone());
    outside.local = Arc::new(local);
    outside.read_file = Arc::new(|_: &Path| Ok(format!("{CANARY}\n").into_bytes()));
    let (templates, registry) = (templates.clone(), Registry::new());
    let (receivers, problems) = Receivers::new(receivers, templates, outside, &registry);
    let outcome = drive(&clock, receivers.deliver(&delivery("team", kind)));
    format!("{problems:?} {outcome:?} {:?}", registry.gather())
}

const FIRSTS: [First; 5] = [First::Canary, First::Space, First::Url, First::Headers, First::Body];

#[test]
fn no_secret_is_repeated_whatever_a_sink_says() {
    let connect = HttpError::Connect("dial tcp: connect: connection refused".to_owned());
    let templates = Templates::new(&[]).expect("templates");
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        for (kind, item, sends) in ROWS {
            let item = item.replace("@@", &format!("{CANARY}@"));
            let item = [("'@", '\''), ("/@", '/'), ("=@", '='), (" @", ' ')]
                .into_iter()
                .fold(item, |item, (place, before)| {
                    item.replace(place, &format!("{before}{CANARY}"))
                });
            let (receivers, seen) = shown(kind, &item);
            assert!(!seen.contains(CANARY), "{kind} {item}: {seen}");
            if !sends || receivers.is_empty() {
                continue;
            }
            for answer in [Ok(200), Ok(400), Ok(500), Err(connect.clone())] {
                for first in FIRSTS {
                    let echo = Echo { answer: answer.clone(), first };
                    let seen = delivered(kind, &receivers, &templates, &echo);
                    // Half of it is enough to guess the rest.
                    let half = &CANARY[..9];
                    assert!(!seen.contains(half), "{kind} {item} {answer:?} {first:?}: {seen}");
                }
            }
        }
    });
    let logged = String::from_utf8(logged.0.lock().expect("not poisoned").clone()).expect("text");
    assert!(!logged.contains(CANARY), "{logged}");
}

#[test]
fn the_canary_sings_where_nothing_hides_it() {
    // The other test would pass if nothing was looked at: what is no secret here is repeated.
    let (receivers, _) = shown("webhook", "{url: 'http://sink/harmless'}");
    let templates = Templates::new(&[]).expect("templates");
    for (first, sings) in FIRSTS.into_iter().zip([true, true, false, false, false]) {
        let echo = Echo { answer: Ok(400), first };
        let seen = delivered("webhook", &receivers, &templates, &echo);
        assert_eq!(seen.contains(&CANARY[..9]), sings, "{first:?}: {seen}");
        assert!(!seen.contains("/harmless"), "{first:?}: {seen}");
    }
}

#[test]
fn secrets_of_the_global_settings_are_not_shown() {
    let keys = [
        "smtp_auth_password",
        "smtp_auth_secret",
        "slack_api_url",
        "opsgenie_api_key",
        "victorops_api_key",
        "telegram_bot_token",
        "mattermost_webhook_url",
        "rocketchat_token",
        "rocketchat_token_id",
        "wechat_api_secret",
        "slack_app_token",
    ];
    for key in keys {
        let yaml = format!(
            "{{global: {{{key}: 'http://x/{CANARY}'}}, route: {{receiver: r}}, receivers: [{{name: r}}]}}"
        );
        let file: File = serde_yaml::from_str(&yaml).expect("reads");
        let shown = serde_yaml::to_string(&file).expect("writes") + &format!("{file:?}");
        assert!(!shown.contains(CANARY) && shown.contains("<secret>"), "{key}: {shown}");
    }
}
