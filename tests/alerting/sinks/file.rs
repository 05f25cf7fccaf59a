//! Files of this host.

use super::{fault, send};
use crate::outside::FakeHttp;
use std::io;
use watchbell::sys::local::Append;
use watchbell::sys::sim_local::{Done, ScriptedLocal};

fn appended(item: &str) -> Append {
    let local = ScriptedLocal::new();
    let outcome = send("file", item, &FakeHttp::answering(&[200]), &local);
    assert_eq!((outcome.error, outcome.attempts), (None, 1));
    match local.done().pop() {
        Some(Done::Appended(append)) => append,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_notification_is_a_line_of_json_with_its_key() {
    let append = appended("{path: /var/log/alerts/all.json, max_alerts: 1}");
    assert_eq!(append.path.to_str(), Some("/var/log/alerts/all.json"));
    assert_eq!((append.bytes_max, append.keep), (64 << 20, 3));
    let text = String::from_utf8(append.bytes).expect("text");
    assert_eq!((text.lines().count(), text.ends_with('\n')), (1, true));
    let form: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&form["version"], &form["truncatedAlerts"]), (&"4".into(), &1.into()));
    assert_eq!(form["at"], "2024-01-01T00:00:00Z");
    assert!(form["idempotencyKey"].as_str().is_some_and(|key| key.ends_with("-1")), "{form}");
}

#[test]
fn an_alert_is_a_line_of_text_and_cannot_make_up_another() {
    let append = appended("{path: /var/log/alerts, format: text, max_bytes: 1KB, keep: 0}");
    assert_eq!((append.bytes_max, append.keep), (1024, 0));
    let line = |sev: &str| {
        format!("2024-01-01T00:00:00Z FIRING alertname=X sev={sev} summary: <b>& Bcc: evil@x\n")
    };
    let text = String::from_utf8(append.bytes).expect("text");
    assert_eq!(text, line("a") + &line("b"));
}

#[test]
fn a_full_disk_is_tried_again() {
    let local = ScriptedLocal::new();
    local.fail(io::ErrorKind::PermissionDenied);
    let outcome = send("file", "{path: /var/log/alerts}", &FakeHttp::answering(&[200]), &local);
    assert_eq!(outcome.error.as_deref(), Some("append to /var/log/alerts: permission denied"));
    assert!(outcome.attempts > 3, "{}", outcome.attempts);
}

#[test]
fn only_files_that_are_allowed_pass() {
    let at = "receivers[0].file_configs[0]";
    assert_eq!(fault("file", "{}"), format!("{at}: missing path in file_config"));
    for path in ["/etc/passwd", "/var/log/alertsx", "/var/log/alerts/../x", "var/log/alerts", "/"] {
        let expected = format!(
            "{at}.path: {path} is not allowed: watchbell.file_allowed must list it, or a folder \
             above it, by its absolute name"
        );
        assert_eq!(fault("file", &format!("{{path: '{path}'}}")), expected);
    }
    for (item, expected) in [
        ("format: xml", ".format: \"xml\" is neither json nor text"),
        ("max_bytes: 0", ".max_bytes: a file needs a limit"),
        ("keep: 1001", ".keep: at most 1000"),
    ] {
        let item = format!("{{path: /var/log/alerts, {item}}}");
        assert_eq!(fault("file", &item), format!("{at}{expected}"));
    }
}
