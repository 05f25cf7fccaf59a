//! Syslog, the journal and files.

use super::{fault, send};
use crate::outside::FakeHttp;
use std::io;
use watchbell::sys::local::LogSocket;
use watchbell::sys::sim_local::{Done, ScriptedLocal};

/// What is told to a log with these settings.
fn told(item: &str) -> (LogSocket, Vec<String>) {
    let local = ScriptedLocal::new();
    let outcome = send("syslog", item, &FakeHttp::answering(&[200]), &local);
    assert_eq!(outcome.error, None);
    match local.done().pop() {
        Some(Done::Told(to, messages)) => {
            let text = |bytes| String::from_utf8(bytes).expect("text");
            (to, messages.into_iter().map(text).collect())
        }
        other => panic!("{other:?}"),
    }
}

/// When the alerts began, as the clock on the wall has it wherever this runs.
fn began() -> String {
    let began: jiff::Timestamp = "2024-01-01T00:00:00Z".parse().expect("a time");
    began.to_zoned(jiff::tz::TimeZone::system()).strftime("%b %e %H:%M:%S").to_string()
}

#[test]
fn each_alert_is_a_message() {
    let (to, messages) = told("{}");
    assert_eq!(to, LogSocket::Unix("/dev/log".into()));
    // Facility 3, severity 5; no alert makes up a line.
    let line = |sev: &str| {
        let began = began();
        format!("<29>{began} watchbell: FIRING alertname=X sev={sev} summary: <b>& Bcc: evil@x")
    };
    assert_eq!(messages, [line("a"), line("b")]);
}

#[test]
fn severities_are_those_of_the_alert() {
    let item = "{address: 'udp:loghost:514', facility: local0, app_name: bell, message: '{{ len .Alerts }}', \
        severity: '{{ if eq .CommonLabels.sev \"a\" }}crit{{ else }}nonsense{{ end }}'}";
    let (to, messages) = told(item);
    assert_eq!(to, LogSocket::Udp("loghost".to_owned(), 514));
    let [first, second] = messages.as_slice() else { panic!("{messages:?}") };
    let head =
        "2024-01-01T00:00:00Z bell bell - alert [alert@32473 status=\"firing\" receiver=\"team\" ";
    assert!(first.starts_with(&format!("<130>1 {head}")), "{first}");
    assert!(first.ends_with("][labels@32473 alertname=\"X\" sev=\"a\"] 1"), "{first}");
    assert!(second.starts_with("<133>1 "), "{second}");
}

#[test]
fn in_a_stream_each_message_stands_behind_its_length() {
    let (to, messages) = told("{address: 'tcp:[::1]:601', format: rfc3164, message: m}");
    assert_eq!(to, LogSocket::Tcp("::1".to_owned(), 601));
    let line = format!("<29>{} bell watchbell: m", began());
    assert_eq!(messages.first(), Some(&format!("{} {line}", line.len())));
}

#[test]
fn the_journal_gets_fields() {
    let (to, messages) = told("{address: journal, message: m}");
    assert_eq!(to, LogSocket::Unix("/run/systemd/journal/socket".into()));
    let first = messages.first().expect("told");
    let start = "MESSAGE=m\nPRIORITY=5\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=watchbell\n";
    assert!(first.starts_with(start), "{first}");
    assert!(first.ends_with("LABEL_ALERTNAME=X\nLABEL_SEV=a\n"), "{first}");
}

#[test]
fn a_log_that_is_gone_is_tried_again() {
    let local = ScriptedLocal::new();
    local.fail(io::ErrorKind::ConnectionRefused);
    let outcome = send("syslog", "{}", &FakeHttp::answering(&[200]), &local);
    assert_eq!(outcome.error.as_deref(), Some("tell unix:/dev/log: connection refused"));
    assert!(outcome.attempts > 3, "{}", outcome.attempts);
}

#[test]
fn what_is_wrong_is_told() {
    let at = "receivers[0].syslog_configs[0]";
    for address in ["x", "udp:host", "udp::514", "tcp:h:99999", "unix:log", "http:h:1", "journal:x"]
    {
        let expected = format!(
            "{at}.address: cannot read {address:?}; write unix:/dev/log, udp:HOST:PORT, \
             tcp:HOST:PORT or journal"
        );
        assert_eq!(fault("syslog", &format!("{{address: '{address}'}}")), expected);
    }
    for (item, expected) in [
        ("{address: journal, format: rfc5424}", ".format: the journal has a format of its own"),
        ("{format: x}", ".format: \"x\" is neither rfc5424 nor rfc3164"),
        (
            "{app_name: 'a b'}",
            ".app_name: 1 to 48 printable ASCII characters without spaces are wanted",
        ),
    ] {
        assert_eq!(fault("syslog", item), format!("{at}{expected}"));
    }
    let found = fault("syslog", "{facility: local9}");
    assert!(
        found.starts_with(&format!("{at}.facility: \"local9\" is none of kern, user")),
        "{found}"
    );
}
