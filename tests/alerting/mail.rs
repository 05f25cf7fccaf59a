//! Mail as a server sees it: a scripted SMTP sink on loopback.

use crate::outside::{FakeHttp, delivery, outside_at};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use watchbell::alerts::{Delivery, DeliveryOutcome, Options};
use watchbell::notify::config::File;
use watchbell::notify::{Receivers, Templates};
use watchbell::sys::clock::{Clock as _, SystemClock};
use watchbell::sys::metrics::Registry;
use watchbell::sys::tasks;

/// What the server says.
#[derive(Clone, Debug, Default)]
struct Script {
    /// Lines of the greeting's answer.
    features: Vec<&'static str>,
    /// The answer to RCPT; accepted when missing.
    recipient: Option<&'static str>,
}

/// A server that talks to its first client, lets others wait, and gives what it heard.
fn server(script: Script) -> (u16, TcpListener, JoinHandle<Option<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let waiting = listener.try_clone().expect("a handle");
    let port = listener.local_addr().expect("an address").port();
    let thread = tasks::spawn_thread("smtp sink", move || {
        let (stream, _) = listener.accept().expect("a connection");
        converse(stream, &script)
    });
    (port, waiting, thread.expect("a thread"))
}

fn converse(stream: TcpStream, script: &Script) -> Vec<String> {
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    let mut writer = stream;
    let mut heard = Vec::new();
    let mut say = |text: &str| {
        // A client that has gone is the end of the conversation, not an error.
        let _ = writer.write_all(text.as_bytes());
    };
    say("220 sink\r\n");
    let (mut in_data, mut login_left) = (false, 0);
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|count| count > 0) {
        let text = line.trim_end_matches(['\r', '\n']).to_owned();
        line.clear();
        heard.push(text.clone());
        if in_data {
            if text == "." {
                in_data = false;
                say("250 queued\r\n");
            }
            continue;
        }
        if login_left > 0 {
            login_left -= 1;
            say(if login_left == 0 { "235 welcome\r\n" } else { "334 UGFzc3dvcmQ6\r\n" });
            continue;
        }
        let verb = text.split([' ', ':']).next().unwrap_or_default().to_uppercase();
        match (verb.as_str(), text.as_str()) {
            ("EHLO", _) => {
                let mut lines = vec!["250-sink".to_owned()];
                lines.extend(script.features.iter().map(|feature| format!("250-{feature}")));
                say(&(lines.join("\r\n") + "\r\n250 8BITMIME\r\n"));
            }
            ("AUTH", "AUTH LOGIN") => {
                login_left = 2;
                say("334 VXNlcm5hbWU6\r\n");
            }
            ("AUTH", "AUTH CRAM-MD5") => {
                login_left = 1;
                say("334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n");
            }
            ("AUTH", _) => say("235 welcome\r\n"),
            ("RCPT", _) => say(script.recipient.unwrap_or("250 ok\r\n")),
            ("DATA", _) => {
                in_data = true;
                say("354 go on\r\n");
            }
            ("QUIT", _) => {
                say("221 bye\r\n");
                break;
            }
            _ => say("250 ok\r\n"),
        }
    }
    heard
}

/// Sends one delivery to a server with this script.
fn run(settings: &str, script: Script) -> (DeliveryOutcome, Vec<String>, Delivery) {
    run_changed(settings, script, |_| {})
}

/// The error, if there is one, and what a server heard that takes all of it, of a delivery that is
/// changed before.
pub(crate) fn told(
    settings: &str,
    change: impl FnOnce(&mut Delivery),
) -> (Option<String>, Vec<String>) {
    let (outcome, heard, _) = run_changed(settings, Script::default(), change);
    (outcome.error, heard)
}

fn run_changed(
    settings: &str,
    script: Script,
    change: impl FnOnce(&mut Delivery),
) -> (DeliveryOutcome, Vec<String>, Delivery) {
    let (port, _waiting, thread) = server(script);
    let to = if settings.contains("to: ") { "" } else { "to: 'a@b.example, c@d.example', " };
    let yaml = format!(
        "{{global: {{smtp_smarthost: '127.0.0.1:{port}', smtp_from: 'bell <bell@x.example>'}}, \
          route: {{receiver: team}}, \
          receivers: [{{name: team, email_configs: [{{{to}{settings}}}]}}]}}"
    );
    let file: File = serde_yaml::from_str(&yaml).expect("reads");
    let checked = file.check(&Options::default()).expect("valid");
    let clock = Arc::new(SystemClock::new());
    let outside = outside_at(FakeHttp::answering(&[200]), clock.clone());
    let templates = Templates::new(&[]).expect("templates");
    let registry = Registry::new();
    let (receivers, _) = Receivers::new(&checked.receivers, templates, outside, &registry);
    let mut delivery = delivery("team", "email");
    change(&mut delivery);
    // Long enough for one conversation; a second client is kept waiting until it is over. A long
    // mail takes its time.
    let patience = if delivery.notification.alerts.len() > 2 { 600_000 } else { 2_000 };
    delivery.deadline = clock.elapsed() + std::time::Duration::from_millis(patience);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.expect("a runtime").block_on(receivers.deliver(&delivery));
    let heard = thread.join().expect("no panic").expect("no panic");
    (outcome, heard, delivery)
}

#[track_caller]
fn header<'a>(heard: &'a [String], name: &str) -> &'a str {
    let prefix = format!("{name}: ");
    let found = heard.iter().find_map(|line| line.strip_prefix(prefix.as_str()));
    found.unwrap_or_else(|| panic!("no header {name} in {heard:#?}"))
}

#[test]
fn a_mail_has_both_parts_and_headers_that_cannot_be_split() {
    let settings = "require_tls: false, text: 'text {{ .CommonAnnotations.summary }}', \
        headers: {subject: '{{ .CommonAnnotations.summary }} gr\u{fc}n'}, threading: {enabled: true}";
    let (outcome, heard, delivery) = run(settings, Script::default());
    assert_eq!((outcome.error, outcome.attempts), (None, 1));
    assert!(heard.contains(&"MAIL FROM:<bell@x.example>".to_owned()), "{heard:#?}");
    for to in ["RCPT TO:<a@b.example>", "RCPT TO:<c@d.example>"] {
        assert!(heard.contains(&to.to_owned()), "{heard:#?}");
    }
    let head: Vec<_> = heard.iter().take_while(|line| !line.is_empty()).collect();
    let injected = head.iter().any(|line| line.starts_with("Bcc:"));
    assert!(!injected, "an annotation became a header: {heard:#?}");
    let subject = header(&heard, "Subject");
    assert!(subject.is_ascii() && subject.contains("=?utf-8?"), "{subject}");
    assert_eq!(header(&heard, "To"), "a@b.example, c@d.example");
    assert_eq!(header(&heard, "From"), "bell <bell@x.example>");
    let id = header(&heard, "Message-Id");
    assert!(id.contains(&delivery.idempotency_key()) && id.ends_with("@bell>"), "{id}");
    let root = header(&heard, "References");
    assert!(root.starts_with("<alert-") && root.ends_with("@alertmanager>"), "{root}");
    assert_eq!(header(&heard, "In-Reply-To"), root);
    assert!(header(&heard, "Content-Type").starts_with("multipart/alternative"));
    let all = heard.join("\n");
    let (text, html) =
        (all.find("text/plain").expect("text"), all.find("text/html").expect("HTML"));
    assert!(text < html, "the preferred form stands last");
}

#[test]
fn blanks_and_empty_entries_of_lists_of_addresses_are_passed_over() {
    let settings = "require_tls: false, html: x, from: 'Bell <bell@x.example>, ', \
        to: ' a@b.example,, {{ if false }}x@y{{ end }}, c@d.example ,'";
    let (outcome, heard, _) = run(settings, Script::default());
    assert_eq!((outcome.error, outcome.attempts), (None, 1));
    let told: Vec<_> = heard.iter().filter(|line| line.starts_with("RCPT")).collect();
    assert_eq!(told, ["RCPT TO:<a@b.example>", "RCPT TO:<c@d.example>"]);
    assert_eq!(header(&heard, "To"), "a@b.example, c@d.example");
    assert_eq!(header(&heard, "From"), "Bell <bell@x.example>");
    // What the header says is the user's.
    let settings = "require_tls: false, html: x, headers: {From: 'Nobody, at all'}";
    let (outcome, heard, _) = run(settings, Script::default());
    assert_eq!(outcome.error, None);
    assert_eq!(header(&heard, "From"), "Nobody, at all");
}

#[test]
fn the_default_mail_names_the_alerts_and_escapes_what_they_say() {
    let (outcome, heard, _) = run("require_tls: false", Script::default());
    assert_eq!(outcome.error, None);
    assert_eq!(header(&heard, "Subject"), "[FIRING:2] X ");
    let all = heard.join("\n").replace("=\n", "");
    assert!(all.contains("&lt;b&gt;&amp;"), "annotations are escaped: {all}");
    assert!(!all.contains("<b>"), "{all}");
}

#[test]
fn t70_starttls_is_required_unless_it_is_switched_off() {
    let (outcome, heard, _) = run("html: x", Script::default());
    let error = outcome.error.expect("refused");
    assert!(error.contains("does not advertise the STARTTLS extension"), "{error}");
    assert!(!heard.iter().any(|line| line.starts_with("MAIL")), "{heard:#?}");
}

#[test]
fn t70_the_first_mechanism_of_the_server_that_is_configured_is_used() {
    let auth = |features: &'static str, settings: &str| {
        let settings = format!("require_tls: false, html: x, auth_username: tim, {settings}");
        let script = Script { features: vec![features], ..Script::default() };
        let (outcome, heard, _) = run(&settings, script);
        let said = heard.iter().skip_while(|line| !line.starts_with("AUTH"));
        let said: Vec<_> = said.take_while(|line| !line.starts_with("MAIL")).cloned().collect();
        (outcome.error, said)
    };
    let (error, said) = auth("AUTH LOGIN PLAIN", "auth_password: secret");
    assert_eq!((error, said), (None, vec!["AUTH LOGIN".into(), "dGlt".into(), "c2VjcmV0".into()]));
    let (error, said) = auth("AUTH PLAIN LOGIN", "auth_password: secret, auth_identity: id");
    // "id", zero, "tim", zero, "secret".
    assert_eq!((error, said), (None, vec!["AUTH PLAIN aWQAdGltAHNlY3JldA==".into()]));
    let (error, said) = auth("AUTH PLAIN CRAM-MD5", "auth_secret: tanstaaftanstaaf");
    // RFC 2195, section 2: "tim b913a602c7eda7a495b4e6e7334d3890".
    let answer = "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw".to_owned();
    assert_eq!((error, said), (None, vec!["AUTH CRAM-MD5".into(), answer]));
    let (error, said) = auth("AUTH XOAUTH2", "auth_password: secret");
    assert!(error.is_some_and(|error| error.contains("unknown auth mechanism")));
    assert_eq!(said, Vec::<String>::new());
}

#[test]
fn a_recipient_that_is_refused_for_good_is_not_tried_again() {
    let script = Script { recipient: Some("550 no such user\r\n"), ..Script::default() };
    let (outcome, _, _) = run("require_tls: false, html: x", script);
    assert_eq!(outcome.attempts, 1);
    let error = outcome.error.expect("refused");
    assert!(error.contains("no such user"), "{error}");
}
