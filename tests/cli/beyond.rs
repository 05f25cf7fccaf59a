//! Commands for what Alertmanager has not: fire drills, other groups, the dead man's switch, one
//! rule in full, silences that end with their alert; and acknowledgements at an Alertmanager.

use super::served::{CONFIG, ROUTES, Served};
use super::{check, file, text, watchbell, with};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use watchbell::model::{Annotations, Labels};
use watchbell::wire::PostableAlert;

/// A sink on loopback, and what it is sent: the request's first line and its body.
fn sink() -> (String, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    let (said, heard) = channel();
    let serve = move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream);
            let (mut head, mut length) = (Vec::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).is_err() || line.trim().is_empty() {
                    break;
                }
                let (name, value) = line.split_once(':').unwrap_or_default();
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().unwrap_or(0);
                }
                head.push(line.trim().to_owned());
            }
            let mut body = vec![0; length];
            let _ = reader.read_exact(&mut body);
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
            let _ = reader.get_mut().write_all(answer.as_bytes());
            let first = head.into_iter().next().unwrap_or_default();
            if said.send((first, String::from_utf8_lossy(&body).into_owned())).is_err() {
                return;
            }
        }
    };
    watchbell::sys::tasks::spawn_thread("sink", serve).expect("a thread");
    (url, heard)
}

fn json(args: &[&str]) -> Value {
    let output = watchbell(args);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|err| {
        panic!("{args:?}: {err}: {} {}", text(&output.stdout), text(&output.stderr))
    })
}

#[test]
fn a_drill_says_who_is_told_asks_and_tells_each_step() {
    let (sink, heard) = sink();
    let routes = format!(
        "route: {{receiver: none, routes: [{{matchers: [severity=page], receiver: pager, group_wait: 1h}}]}}\n\
         receivers: [{{name: none}}, {{name: pager, webhook_configs: [{{url: '{sink}'}}]}}]\n"
    );
    let server = Served::watchbell_with(CONFIG, "groups: []", &routes);
    let url = ["--url", &server.url];
    let drill = ["alerts", "drill", "severity=page", "alertname=DiskFull"];
    check(&with(&url, &drill), 64, "", "there is no terminal to ask on: say --yes");
    check(
        &with(&url, &drill),
        64,
        "",
        "pager by webhook[0], over the route {}/{severity=\"page\"}",
    );
    check(&with(&url, &drill), 64, "", "a real alert would wait 3600 s");
    assert!(heard.try_recv().is_err(), "nobody was told");
    check(&with(&url, &["alerts", "drill", "--yes"]), 1, "", "nobody would be told: its receivers");
    check(&with(&url, &["alerts", "drill", "a!=b", "--yes"]), 64, "", "labels must be NAME=VALUE");
    check(&["alerts", "drill", "--url", "http://127.0.0.1:1", "--yes"], 3, "", "watchbell: ");
    let output = watchbell(&with(&url, &[&drill[..], &["--yes"]].concat()));
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    let lines: Vec<_> =
        out.lines().map(|line| line.split_once(" s  ").expect("a time").1).collect();
    assert_eq!((lines[0], lines[3], lines.len()), ("the alert fires", "the alert has ended", 5));
    let group = "pager: in the group {}/{severity=\"page\"}:{watchbell_drill=\"TEST-";
    assert!(lines[1].starts_with(group), "{out}");
    assert!(lines[2].starts_with("pager webhook[0]: told in "), "{out}");
    assert!(lines[4].starts_with("pager webhook[0]: end told in "), "{out}");
    assert!(lines[4].ends_with(" ms, status 200: ok"), "{out}");
    assert!(err.contains("all were told that it fires"), "{err}");
    for status in ["firing", "resolved"] {
        let (_, body) = heard.recv().expect("a message");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(body.get("status"), Some(&status.into()));
        assert_eq!(body.pointer("/groupLabels/watchbell_drill").map(Value::is_string), Some(true));
        assert_eq!(body.pointer("/commonLabels/alertname"), Some(&"TEST: DiskFull".into()));
    }
    let found = json(&with(&url, &[&drill[..], &["--yes", "-o", "json"]].concat()));
    assert_eq!(found.get("firing"), Some(&false.into()));
    assert_eq!(found.pointer("/steps/3/what"), Some(&"end told".into()));
    assert_eq!(found.pointer("/waits_for"), Some(&Value::Array(Vec::new())));
}

#[test]
fn the_dead_mans_switch_is_told_both_ways() {
    let (sink, heard) = sink();
    let config = format!(
        "{CONFIG}watchbell:\n  heartbeats:\n  - {{name: hc, url: '{sink}beat', interval: 5s}}\n  \
         expected:\n  - {{name: dog, alert_matchers: [alertname=Dog], within: 1h}}\n  \
         - {{name: backup, push_matchers: [job=backup], within: 1h}}\n"
    );
    let rules = "groups: [{name: g, rules: [{alert: Dog, expr: vector(1)}]}]";
    let server = Served::watchbell_with(&config, rules, ROUTES);
    assert_eq!(heard.recv().expect("a beat").0, "GET /beat HTTP/1.1");
    server.until("both are seen", |core| {
        let status = core.status().expect("answers");
        status.heartbeats[0].last_ok.is_some() && status.expected[0].last_seen.is_some()
    });
    let url = ["--url", &server.url];
    check(&with(&url, &["heartbeats"]), 0, "hc         5s", "");
    check(&with(&url, &["heartbeats"]), 0, "{alertname=\"Dog\"}", "");
    let found = json(&with(&url, &["heartbeats", "-o", "json"]));
    assert_eq!(found.pointer("/expected/1/kind"), Some(&"push".into()));
    assert_eq!(found.pointer("/expected/0/missing"), Some(&false.into()));
    assert_eq!(found.pointer("/heartbeats/0/last_error"), Some(&"".into()));
    check(&["heartbeats", "--url", "http://127.0.0.1:1"], 1, "", "watchbell: ");
}

const RULES: &str = "
groups:
- name: g
  rules:
  - alert: Disk
    expr: 'vector( 93 )>90'
    labels: {severity: critical}
    annotations: {summary: 'full'}
  - {record: 'a:b', expr: vector(1)}
  - {alert: Disk, expr: vector(1) > 2, for: 5m}
";

#[test]
fn one_rule_is_shown_in_full() {
    let server = Served::watchbell(RULES);
    server.until("the alert", |core| core.alert_rows().is_ok_and(|rows| !rows.is_empty()));
    let url = ["--url", &server.url];
    let file = server.folder.path().join("r.yml").display().to_string();
    check(&with(&url, &["rules", "show", "Disk"]), 0, &format!("{file}:5, group g"), "");
    check(&with(&url, &["rules", "show", "Disk"]), 0, &format!("{file}:10, group g"), "");
    check(&with(&url, &["rules", "show", "Disk"]), 0, "expression      vector(93) > 90", "");
    check(&with(&url, &["rules", "show", "Disk"]), 0, "{alertname=\"Disk\", severity=", "");
    check(&with(&url, &["rules", "show", "a:b"]), 0, "a:b (record)", "");
    check(&with(&url, &["rules", "show", "Dsik"]), 1, "", "did you mean \"Disk\"?");
    let found = json(&with(&url, &["rules", "show", "Disk", "--group", "g", "-o", "json"]));
    assert_eq!(found.pointer("/0/line"), Some(&5.into()));
    assert_eq!(found.pointer("/0/rule/alerts/0/state"), Some(&"firing".into()));
    // The file is not that of the rules that run any more.
    std::fs::write(&file, RULES.replace("93", "94")).expect("writes");
    let found = json(&with(&url, &["rules", "show", "Disk", "-o", "json"]));
    assert_eq!((found.pointer("/0/line"), found.pointer("/1/line")), (None, Some(&10.into())));
}

#[test]
fn a_tried_route_says_that_its_receiver_tells_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let routes = file(&folder, "a.yml", "route: {receiver: none}\nreceivers: [{name: none}]\n");
    let test = ["routes", "test", "--config.file", &routes, "a=b"];
    let told = "receiver \"none\" tells nobody: it has no integration";
    check(&test, 0, "none\n", told);
}

#[test]
fn routes_are_tried_on_a_server_and_other_groups_previewed() {
    let rules = "groups: [{name: g, rules: [{alert: A, expr: 'vector(1)', labels: {severity: \
                 critical}}, {alert: B, expr: 'vector(1)', labels: {severity: critical}}]}]";
    let server = Served::watchbell(rules);
    server.until("the alerts", |core| {
        core.alert_groups(&Default::default()).is_ok_and(|groups| groups.len() == 2)
    });
    let url = ["--url", &server.url];
    let test = ["routes", "test", "severity=critical", "alertname=A"];
    check(&with(&url, &test), 0, "  {severity=\"critical\"}  yes, and goes on\n", "");
    let miss = "no: team=~\"web|db\" fails, the label is missing\n";
    check(&with(&url, &test), 0, miss, "");
    check(&with(&url, &["routes", "test", "team=x"]), 0, "fails, found \"x\"\n", "");
    let found = json(&with(&url, &[&test[..], &["-o", "json"]].concat()));
    assert_eq!(found.pointer("/finals/0/group/members"), Some(&1.into()));
    let silence = ["silence", "add", "A", "-c", "x", "--until-resolved"];
    let output = watchbell(&with(&url, &silence));
    let id = text(&output.stdout).trim().to_owned();
    check(&with(&url, &test), 0, "", &format!("silence {id} keeps it quiet"));
    check(&with(&url, &["silence", "list"]), 0, "later until resolved", "");
    let recurs = ["silence", "add", "B", "-c", "x", "--recurs", "nights"];
    check(&with(&url, &recurs), 0, "-", "");
    check(&with(&url, &["silence", "list"]), 0, "acts in nights", "");
    let recurs = ["silence", "add", "B", "-c", "x", "--recurs", "days"];
    check(&with(&url, &recurs), 1, "", "undefined time interval \"days\"");

    check(&with(&url, &["routes", "group-by", "severity"]), 0, "now: 2 alerts in 2 groups\n", "");
    let then = "then: 2 alerts in 1 group\n      2  {severity=\"critical\"}\n";
    check(&with(&url, &["routes", "group-by", "severity"]), 0, then, "");
    let route = ["routes", "group-by", "a", "--route", "{}/{severity=\"citical\"}"];
    check(&with(&url, &route), 1, "", "did you mean {}/{severity=\"critical\"}?");
    check(&with(&url, &["routes", "group-by", "...,a"]), 1, "", "no others can be named beside it");
    let found = json(&with(&url, &["routes", "group-by", "", "-o", "json"]));
    assert_eq!(found.pointer("/after/0/alerts/1").map(Value::is_string), Some(true));
}

#[test]
fn at_an_alertmanager_an_acknowledgement_is_a_silence_of_half_an_hour() {
    let Some(server) = Served::alertmanager() else { return };
    let alert = |name: &str| PostableAlert {
        labels: Labels::from_pairs([("alertname", name), ("instance", "db-1")]),
        annotations: Annotations::empty(),
        starts_at: None,
        ends_at: None,
        generator_url: String::new(),
    };
    server.core.post_alerts(vec![alert("A"), alert("B")]).expect("taken");
    server.until("the alerts", |core| {
        core.alertmanager_alerts(&Default::default()).is_ok_and(|alerts| alerts.len() == 2)
    });
    let place = ["--alertmanager", &server.url];
    let ack = ["alerts", "ack", "A", "-a", "op1", "-c", "disk ordered"];
    let said = "1 alert silenced for 30 minutes: this Alertmanager knows no acknowledgements\n";
    check(&with(&place, &ack), 0, said, "");
    check(&with(&place, &ack), 0, said, "");
    let found = json(&with(&place, &["silence", "list", "-o", "json"]));
    let list = found.as_array().expect("a list");
    assert_eq!(list.len(), 1, "a second one makes it longer: {list:?}");
    let comment = list[0].get("comment").and_then(Value::as_str).expect("a comment");
    assert_eq!(comment, "ACK! op1: disk ordered (acknowledged for 30 minutes from watchbell)");
    let matchers = list[0].get("matchers").and_then(Value::as_array).expect("matchers");
    assert_eq!(matchers.len(), 2, "exactly its labels: {matchers:?}");
    let print = Labels::from_pairs([("alertname", "A"), ("instance", "db-1")]).fingerprint();
    let print = print.to_string();
    check(&with(&place, &["alerts", "unack", &print]), 0, "", "");
    check(&with(&place, &["silence", "list"]), 0, "", "no silences");
    check(&with(&place, &["alerts", "unack", &print]), 64, "", "is not acknowledged");
    check(&with(&place, &["alerts", "ack", "C"]), 64, "", "no firing alert has these labels");
    check(&with(&place, &["alerts", "ack", &print]), 0, "1 alert silenced", "");
    let until = ["silence", "add", "A", "-c", "x", "--until-resolved"];
    check(&with(&place, &until), 2, "", "an Alertmanager knows no silences that end");
}
