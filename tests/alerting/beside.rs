//! The same alerts to the real Alertmanager, where it is installed, and to our receivers: what
//! sinks get is the same request for request and byte for byte, but for what is said to differ.

use crate::programs::{Real, flag};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use watchbell::alerts::{
    AlertDraft, Delivery, Effect, Engine, Event, Moment, Options, complete_all,
};
use watchbell::model::{Annotations, Labels, Timestamp};
use watchbell::notify::config::File;
use watchbell::notify::{Outside, Receivers, Revealed, Templates};
use watchbell::sys::clock::{Clock as _, SystemClock};
use watchbell::sys::entropy::SystemEntropy;
use watchbell::sys::http::SystemHttp;
use watchbell::sys::metrics::Registry;
use watchbell::sys::sim_local::ScriptedLocal;
use watchbell::sys::tasks;

/// The parts of a file that both read; `SINK` is an address. Pushover and the older events of
/// PagerDuty go to hosts that no setting changes: the sink is their proxy. Details of PagerDuty
/// are texts here that are no YAML, since 0.25 knows no others.
const RECEIVER: &str = "
global: {http_config: {follow_redirects: false}}
receivers:
- name: team.x
  webhook_configs: [{url: 'http://SINK/webhook'}]
  slack_configs:
  - {api_url: 'http://SINK/slack', send_resolved: true, channel: '#ops'}
  - api_url: 'http://SINK/slack/all'
    send_resolved: true
    channel: '{{ .CommonLabels.job }}'
    title: '{{ range .Alerts }}{{ .Annotations.summary }}{{ end }}'
    text: '{{ .CommonAnnotations.runbook }}'
    short_fields: true
    fields: [{title: Severity, value: '{{ .CommonLabels.severity }}'}, {title: n, value: '{{ len .Alerts }}', short: false}]
    actions: [{type: button, text: Runbook, url: '{{ .CommonAnnotations.runbook }}'}]
    image_url: 'http://image'
    link_names: true
  pagerduty_configs:
  - url: 'http://SINK/pagerduty'
    routing_key: KEY
    class: '{{ .CommonLabels.job }}'
    images: [{src: 'http://s', alt: a, href: h}]
    links: [{href: '{{ .ExternalURL }}', text: t}]
    details: &details
      firing: '[ {{ template \"pagerduty.default.instances\" .Alerts.Firing }}'
      resolved: '[ {{ template \"pagerduty.default.instances\" .Alerts.Resolved }}'
      num_firing: 'f {{ .Alerts.Firing | len }}'
      num_resolved: 'r {{ .Alerts.Resolved | len }}'
  - {service_key: KEY, details: *details, http_config: &proxied {proxy_url: 'http://SINK', tls_config: {insecure_skip_verify: true}}}
  opsgenie_configs:
  - api_url: 'http://SINK/opsgenie'
    api_key: KEY
    update_alerts: true
    tags: 'a,{{ .CommonLabels.job }}'
    priority: P2
    responders: [{name: 'x,y', type: teams}, {id: i, type: schedule}]
    details: {own: '{{ .Status }}'}
  victorops_configs:
  - {api_url: 'http://SINK/victorops', api_key: KEY, routing_key: 'r {{ .CommonLabels.job }}', custom_fields: {own: '{{ .Status }}'}}
  pushover_configs:
  - {user_key: USER, token: TOKEN, http_config: *proxied}
  - {user_key: USER, token: TOKEN, html: true, message: '<b>{{ .CommonAnnotations.summary }}</b>', http_config: *proxied}
  telegram_configs:
  - {api_url: 'http://SINK/telegram', bot_token: 'a:b', chat_id: -10}
  - {api_url: 'http://SINK/telegram', bot_token: plain, chat_id: 10, parse_mode: '', disable_notifications: true}
  discord_configs: [{webhook_url: 'http://SINK/discord'}]
  webex_configs:
  - {api_url: 'http://SINK/webex', room_id: room, http_config: {authorization: {credentials: c}}}
";

/// What 0.25 does not have: keys of bodies and of queries, by the beginning of the path.
const NEWER: [(&str, &[&str]); 3] = [
    ("POST /webhook", &["notification_reason", "routeLabels"]),
    ("POST /1/messages.json", &["device"]),
    // Ours alone.
    ("POST /discord", &["allowed_mentions"]),
];

/// So long anything may take before the test fails. Nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(40);

#[test]
fn what_sinks_get_is_what_the_real_alertmanager_sends() {
    // A group may be told before all of its alerts have arrived, on a machine that is busy: then
    // once more, with more time.
    for wait in [1, 5, 20] {
        if compared(wait) {
            return;
        }
    }
    panic!("Alertmanager never told the three alerts at once");
}

/// Whether both could be compared, or there is nothing to compare with.
fn compared(wait: u64) -> bool {
    let (theirs, ours) = (Sink::start(), Sink::start());
    let folder = tempfile::tempdir().expect("a folder");
    let Some(real) = alertmanager(folder.path(), &theirs, wait) else { return true };
    let starts = SystemClock::new().now();
    let ends = starts.plus_millis(1);
    for resolved in [false, true] {
        let until = if resolved { ends } else { starts.plus_millis(3_600_000) };
        tell_ours(&ours, starts, resolved.then_some(ends));
        tell(real.address, starts, until);
        let wanted = ours.seen(0);
        let found = theirs.seen(wanted.len());
        if !found.iter().any(|request| tells_three(request, resolved)) {
            return false;
        }
        let (found, wanted) = (by_path(found), by_path(wanted));
        assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
        let differ: Vec<_> = found
            .iter()
            .filter(|(path, found)| wanted.get(*path) != Some(*found))
            .map(|(path, found)| format!("{:#?} for {found:#?}", wanted.get(path)))
            .collect();
        assert!(differ.is_empty(), "{}", differ.join("\n"));
    }
    true
}

fn alertmanager(folder: &Path, sink: &Sink, wait: u64) -> Option<Real> {
    let file = folder.join("am.yml");
    let route = format!(
        "route: {{receiver: team.x, group_by: [alertname], group_wait: {wait}s, group_interval: {wait}s}}"
    );
    let text = format!("{route}{}", RECEIVER.replace("SINK", &sink.address.to_string()));
    std::fs::write(&file, text).expect("writes");
    let args = [
        flag("--config.file", &file),
        flag("--storage.path", &folder.join("data")),
        "--web.listen-address=127.0.0.1:0".to_owned(),
        "--web.external-url=http://am".to_owned(),
        "--cluster.listen-address=".to_owned(),
    ];
    Real::start("prometheus-alertmanager", &args)
}

/// Three alerts of one group, with labels and annotations that are full of marks.
fn drafts(starts: Timestamp, ends: Timestamp) -> Vec<AlertDraft> {
    let draft = |instance: &str, summary: &str| AlertDraft {
        labels: Labels::from_pairs([
            ("alertname", "Disk <full>"),
            ("instance", instance),
            ("job", "node & co"),
            ("severity", "critical"),
        ]),
        annotations: Annotations::from_pairs([
            // A template that comes to nothing is an annotation all the same.
            ("empty", ""),
            ("runbook", "http://wiki/?a=1&b=\"2\"#x"),
            ("summary", summary),
        ]),
        starts_at: Some(starts),
        ends_at: Some(ends),
        generator_url: "http://prom/graph?g0.expr=a+%3E+1&g0.tab=1".to_owned(),
    };
    vec![
        draft("b:9100", "it's <b>93 %</b> \u{65e5}\u{672c}\nand \"more\" {} \\ \u{2028}"),
        draft("a:9100", "'`*_[x](y)~"),
        draft("c:9100", "plain"),
    ]
}

fn texts<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
}

/// Posts the alerts to the real one.
fn tell(address: SocketAddr, starts: Timestamp, ends: Timestamp) {
    let alerts: Vec<_> = drafts(starts, ends)
        .iter()
        .map(|draft| {
            json!({
                "labels": texts(&draft.labels),
                "annotations": texts(&draft.annotations),
                "startsAt": rfc3339(starts),
                "endsAt": rfc3339(ends),
                "generatorURL": draft.generator_url,
            })
        })
        .collect();
    let body = json!(alerts).to_string();
    let mut stream = TcpStream::connect(address).expect("listens");
    let head = format!(
        "POST /api/v2/alerts HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).expect("sends");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answers");
    assert!(answer.split(' ').nth(1) == Some("200"), "{answer}");
}

fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_millis()).expect("in range").to_string()
}

/// Sends the alerts by our receivers, as the engine decides.
fn tell_ours(sink: &Sink, starts: Timestamp, ended: Option<Timestamp>) {
    let route = "route: {receiver: team.x, group_by: [alertname], group_wait: 0s}";
    let yaml = format!("{route}{}", RECEIVER.replace("SINK", &sink.address.to_string()));
    let file: File = serde_yaml::from_str(&yaml).expect("reads");
    let options = Options { external_url: "http://am".to_owned(), ..Options::default() };
    let checked = file.check(&options).expect("valid");
    assert_eq!(checked.warnings, []);
    let clock = Arc::new(SystemClock::new());
    let outside = Outside {
        http: Arc::new(SystemHttp::new()),
        clock: clock.clone(),
        entropy: Arc::new(SystemEntropy),
        read_file: Arc::new(|path: &Path| std::fs::read(path)),
        read_yaml: Arc::new(watchbell::config::parse_plain_yaml),
        local: Arc::new(ScriptedLocal::new()),
        hostname: "bell".to_owned(),
        base: "/".into(),
        revealed: Revealed::default(),
    };
    let templates = Templates::new(&[]).expect("templates");
    let (receivers, problems) =
        Receivers::new(&checked.receivers, templates, outside, &Registry::new());
    assert_eq!(problems, []);
    let config = Arc::new(checked.alerts);
    let drafts = drafts(starts, starts.plus_millis(3_600_000));
    let (alerts, _) = complete_all(drafts, starts, &config);
    let now = Moment { wall: starts, elapsed: clock.elapsed() };
    let effects = Engine::new(config).step(now, Event::AlertsReceived(alerts));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    for effect in effects {
        let Effect::Deliver(delivery) = effect else { continue };
        let mut delivery: Delivery = *delivery;
        for alert in &mut delivery.notification.alerts {
            alert.ends_at = ended;
        }
        let outcome = runtime.block_on(receivers.deliver(&delivery));
        assert_eq!(outcome.error, None, "{}", delivery.integration);
    }
}

/// Whether this is the web hook's message about all alerts.
fn tells_three(request: &Asked, resolved: bool) -> bool {
    let status = if resolved { "resolved" } else { "firing" };
    let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
    request.line.starts_with("POST /webhook")
        && body.get("status").is_some_and(|found| *found == status)
        && body.pointer("/alerts/2").is_some()
        && body.pointer("/alerts/3").is_none()
}

/// What came to each path, in order, as far as it is comparable.
fn by_path(requests: Vec<Asked>) -> BTreeMap<String, Vec<String>> {
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Asked { line, headers, body } in requests {
        let (path, query) = line.split_once('?').unwrap_or((&line, ""));
        let newer = NEWER.iter().find(|(prefix, _)| path.starts_with(prefix));
        let is_newer = |key: &str| newer.is_some_and(|(_, keys)| keys.contains(&key));
        let body = match serde_json::from_str(&body) {
            Ok(Value::Object(mut map)) if newer.is_some() => {
                map.retain(|key, _| !is_newer(key));
                Value::Object(map).to_string()
            }
            _ => body,
        };
        let query: Vec<_> = query
            .split('&')
            .filter(|pair| !is_newer(pair.split('=').next().unwrap_or_default()))
            .collect();
        let of = |name: &str| headers.get(name).cloned().unwrap_or_default();
        let (media, key) = (of("content-type"), of("authorization"));
        let shown = format!("{}\n{media}\n{key}\n{body}", query.join("\n"));
        out.entry(path.to_owned()).or_default().push(shown);
    }
    // Integrations of one kind run side by side.
    out.values_mut().for_each(|requests| requests.sort());
    out
}

/// A request that came.
#[derive(Clone, Debug)]
struct Asked {
    /// Verb and target.
    line: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// What came since it was asked last, and a bell for more.
type Seen = Arc<(Mutex<Vec<Asked>>, Condvar)>;

/// A server that is content with everything, and a proxy that answers in place of all hosts.
struct Sink {
    address: SocketAddr,
    seen: Seen,
}

impl Sink {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("bound");
        let seen = Seen::default();
        let (known, tls) = (Arc::clone(&seen), tls_config());
        tasks::spawn_thread("sink", move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, tls) = (Arc::clone(&known), Arc::clone(&tls));
                // A client that goes away ends its connection, and no more.
                let serve = move || drop(serve(stream, &seen, tls));
                tasks::spawn_thread("sink connection", serve).expect("a thread");
            }
        })
        .expect("a thread");
        Self { address, seen }
    }

    /// Takes what came, once it is so many.
    #[track_caller]
    fn seen(&self, count: usize) -> Vec<Asked> {
        let (seen, more) = &*self.seen;
        let guard = seen.lock().expect("not poisoned");
        let waited = more.wait_timeout_while(guard, PATIENCE, |seen| seen.len() < count);
        let (mut guard, waited) = waited.expect("not poisoned");
        let lines: Vec<_> = guard.iter().map(|one| one.line.clone()).collect();
        assert!(!waited.timed_out(), "{count} requests are wanted: {lines:?}");
        std::mem::take(&mut guard)
    }
}

fn serve(mut stream: TcpStream, seen: &Seen, tls: Arc<rustls::ServerConfig>) -> io::Result<()> {
    let mut line = [0; 7];
    stream.peek(&mut line)?;
    if &line != b"CONNECT" {
        return answer_all(&mut stream, seen);
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let session = rustls::ServerConnection::new(tls).map_err(io::Error::other)?;
    answer_all(&mut rustls::StreamOwned::new(session, stream), seen)
}

fn answer_all(stream: &mut (impl Read + Write), seen: &Seen) -> io::Result<()> {
    loop {
        let asked = read(stream)?;
        let said = match asked.line.split(['/', ' ']).nth(2) {
            Some("slack") => "ok",
            Some("telegram") => r#"{"ok":true,"result":{"message_id":1,"chat":{"id":1}}}"#,
            _ => "{}",
        };
        {
            // Told before it is answered: the client goes on afterwards.
            let (seen, more) = &**seen;
            seen.lock().expect("not poisoned").push(asked);
            more.notify_all();
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", said.len());
        stream.write_all(&[head.as_bytes(), said.as_bytes()].concat())?;
        stream.flush()?;
    }
}

fn read(stream: &mut impl Read) -> io::Result<Asked> {
    let mut reader = BufReader::with_capacity(1, stream);
    let mut next = || {
        let mut line = String::new();
        match reader.read_line(&mut line)? {
            0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            _ => Ok(line.trim_end().to_owned()),
        }
    };
    let first = next()?;
    let line = first.rsplit_once(' ').map_or(first.as_str(), |(line, _)| line).to_owned();
    let mut headers = BTreeMap::new();
    while let Some((name, value)) = next()?.split_once(": ") {
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let len: u64 = headers.get("content-length").and_then(|len| len.parse().ok()).unwrap_or(0);
    let mut body = String::new();
    reader.take(len).read_to_string(&mut body)?;
    Ok(Asked { line, headers, body })
}

fn tls_config() -> Arc<rustls::ServerConfig> {
    let chain = include_bytes!("../fixtures/tls/server.pem");
    let key = include_bytes!("../fixtures/tls/server.key");
    let chain = CertificateDer::pem_slice_iter(chain).flatten().collect();
    let key = PrivateKeyDer::from_pem_slice(key).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate");
    Arc::new(config)
}
