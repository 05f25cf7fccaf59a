//! `watchbell alerts`, `why`, `rules` and `receivers` beside a server of this binary.

use super::served::{CONFIG, ROUTES, Served};
use super::{check, text, watchbell, with};
use serde_json::Value;
use watchbell::wire::AlertState;

const RULES: &str = "
groups:
- name: g
  rules:
  - alert: Disk
    expr: vector(93) > 90
    labels: {severity: critical, instance: db-1}
    annotations: {summary: 'disk {{ $value }} full'}
  - {alert: Slow, expr: vector(1), for: 1h, labels: {severity: warning}}
  - {alert: Near, expr: 'vector(88) > 90'}
  - {alert: Blind, expr: 'absent_metric > 1'}
  - {alert: Mild, expr: vector(1), labels: {severity: info, team: web}}
  - {record: 'a:b', expr: vector(1)}
  - record: 'c:d'
    expr: vector(1) or label_replace(vector(2), 'x', '1', '', '')
    labels: {x: y}
";

fn json(args: &[&str]) -> Value {
    let output = watchbell(args);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|err| {
        panic!("{args:?}: {err}: {} {}", text(&output.stdout), text(&output.stderr))
    })
}

fn served() -> Served {
    // Whatever the time of day: nothing is muted.
    let routes = ROUTES.replace(", active_time_intervals: [nights]", "");
    let server = Served::watchbell_with(CONFIG, RULES, &routes);
    server.until("the alerts", |core| {
        let rows = core.alert_rows().expect("rows");
        let fires = |row: &&watchbell::wire::AlertRow| row.state == AlertState::Firing;
        rows.len() == 3 && rows.iter().filter(fires).count() == 2
    });
    server
}

#[test]
fn the_list_is_for_people_and_programs_and_its_status_says_what_fires() {
    let server = served();
    let url = ["--url", &server.url];
    check(&with(&url, &["alerts"]), 2, "firing   CRIT  Disk", "");
    check(&with(&url, &["alerts"]), 2, "93 > 90", "");
    check(&with(&url, &["alerts", "list", "Mild"]), 1, "INFO  Mild", "");
    check(&with(&url, &["alerts", "severity=warning"]), 0, "pending  WARN  Slow", "");
    check(&with(&url, &["alerts", "list", "a=b"]), 0, "", "no alerts");
    check(
        &with(&url, &["alerts", "--state", "pending"]),
        2,
        "Slow",
        "2 of other states; --state all",
    );
    check(&with(&url, &["alerts", "--receiver", "pag.*", "-o", "plain"]), 2, ": disk 93 full", "");
    let found = json(&with(&url, &["alerts", "Disk", "-o", "json"]));
    assert_eq!(found.get("schema"), Some(&1.into()));
    let alert = found.pointer("/alerts/0").expect("an alert");
    assert_eq!(alert.get("value"), Some(&Value::from(93.0)));
    assert_eq!(alert.pointer("/labels/instance"), Some(&"db-1".into()));
    assert_eq!(alert.get("resolved_at"), Some(&Value::Null));
    let csv = text(&watchbell(&with(&url, &["alerts", "--sort", "name", "-o", "csv"])).stdout);
    let names: Vec<_> = csv.lines().filter_map(|line| line.split(',').nth(3)).collect();
    assert_eq!(names, ["alertname", "Disk", "Mild", "Slow"]);
    check(&with(&url, &["alerts", "list", "a", "b"]), 64, "", "write NAME=VALUE");
    check(&with(&url, &["alerts", "--nonsense"]), 64, "", "--nonsense");
    check(&with(&url, &["alerts", "--receiver", "("]), 64, "", "cannot use --receiver");
    check(&["alerts", "--url", "http://127.0.0.1:1"], 3, "", "watchbell: ");
    check(&["alerts"], 3, "", "start one: watchbell");
}

#[test]
fn why_tells_what_kept_an_alert_from_being_told() {
    let server = served();
    let url = ["--url", &server.url];
    let rows = server.core.alert_rows().expect("rows");
    let disk = rows.iter().find(|row| row.labels.value_of("alertname") == "Disk").expect("it");
    // Receivers without an integration are told nothing.
    check(&with(&url, &["why", &disk.fingerprint]), 1, "condition  yes   93 > 90", "");
    check(&with(&url, &["alerts", "why", &disk.fingerprint[..8]]), 1, "-> pager", "");
    check(&with(&url, &["why", "Slow"]), 2, "verdict  pending: fires at", "");
    check(&with(&url, &["why", "Near"]), 2, "        88", "");
    check(&with(&url, &["why", "Near"]), 2, "its condition does not hold", "");
    check(&with(&url, &["why", "Blind"]), 2, "no series has the name absent_metric", "");
    check(&with(&url, &["why", "Dsik"]), 64, "", "did you mean \"Disk\"?");
    check(&["why", "Disk", "--url", "http://127.0.0.1:1"], 3, "", "watchbell: ");
    check(&["why"], 64, "", "FINGERPRINT|NAME");
    let found = json(&with(&url, &["why", "Disk", "-o", "json"]));
    assert_eq!(found.pointer("/alerts/0/told"), Some(&"not_notified".into()));
    check(&with(&url, &["alerts", "show", "Disk"]), 0, "summary      disk 93 full", "");
    check(&with(&url, &["alerts", "show", "Near"]), 64, "", "no alert has the fingerprint or name");
    let shown = json(&with(&url, &["alerts", "show", "Disk", "-o", "json"]));
    assert_eq!(shown.pointer("/why/steps/0/name"), Some(&"condition".into()));

    server
        .core
        .post_silence(watchbell::wire::PostableSilence {
            id: None,
            matchers: vec![(&watchbell::model::Matcher::equal("alertname", "Disk")).into()],
            starts_at: disk.active_at.expect("a time"),
            ends_at: disk.active_at.expect("a time").plus(std::time::Duration::from_secs(7_200)),
            created_by: "me".to_owned(),
            comment: "disk swap".to_owned(),
            annotations: watchbell::model::Annotations::empty(),
        })
        .expect("a silence");
    check(&with(&url, &["why", "Disk"]), 1, "\"disk swap\" of me, until", "");
    check(&with(&url, &["why", "Disk"]), 1, "nobody is told: a silence holds it back", "");
    check(&with(&url, &["alerts"]), 1, "Mild", "1 of other states");
}

#[test]
fn acknowledgements_are_given_taken_back_and_part_of_the_history() {
    let server = served();
    let url = ["--url", &server.url];
    let rows = server.core.alert_rows().expect("rows");
    let print = |name: &str| {
        let row = rows.iter().find(|row| row.labels.value_of("alertname") == name);
        row.expect("an alert").fingerprint.clone()
    };
    let (disk, slow) = (print("Disk"), print("Slow"));
    let ack = ["alerts", "ack", "Disk", "-c", "disk ordered", "-a", "me"];
    check(&with(&url, &ack), 0, "1 alert acknowledged\n", "");
    check(&with(&url, &["alerts", "--state", "acknowledged"]), 2, "acknowledged  CRIT  Disk", "");
    check(&with(&url, &["alerts", "show", "Disk"]), 0, "disk ordered", "");
    check(&with(&url, &["why", "Disk"]), 1, "repeats stop until it ends", "");
    check(&with(&url, &["alerts", "ack", &disk]), 0, "1 alert acknowledged\n", "");
    check(&with(&url, &["alerts", "ack", "Nobody"]), 64, "", "no firing alert has these labels");
    check(&with(&url, &["alerts", "ack", &slow]), 64, "", "is not firing");
    check(&with(&url, &["alerts", "ack", "Disk", "-a", " "]), 64, "", "by must say who");
    check(&with(&url, &["alerts", "unack", &disk, "-a", "you"]), 0, "", "");
    check(&with(&url, &["alerts", "unack", &disk]), 64, "", "is not acknowledged");
    check(&["alerts", "ack", "Disk", "--url", "http://127.0.0.1:1"], 3, "", "watchbell: ");

    let history = ["alerts", "history", "Disk", "--kind", "ack"];
    check(&with(&url, &history), 0, "by=me comment=\"disk ordered\"", "");
    let found = json(&with(&url, &["alerts", "history", "--fingerprint", &disk, "-o", "json"]));
    assert_eq!(found.get("schema"), Some(&1.into()));
    let rows = found.get("rows").and_then(Value::as_array).expect("rows");
    let kinds: Vec<_> = rows.iter().filter_map(|row| row.get("kind")?.as_str()).collect();
    assert!(kinds.ends_with(&["ack", "ack", "ack_ended"]), "{kinds:?}");
    let last = ["alerts", "history", "--fingerprint", &disk, "-n", "1"];
    check(&with(&url, &last), 0, "why=withdrawn", "");
    let never = ["alerts", "history", "--to", "2000-01-01T00:00:00Z"];
    check(&with(&url, &never), 0, "", "nothing in the history");
    check(&with(&url, &["alerts", "history", "--from", "soon"]), 64, "", "cannot read time");
}

#[test]
fn a_tail_goes_on() {
    let server = served();
    let mut tail = std::process::Command::new(env!("CARGO_BIN_EXE_watchbell"))
        .args(["alerts", "tail", "--kind", "ack", "-n", "0", "--url", &server.url])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let disk = vec![(&watchbell::model::Matcher::equal("alertname", "Disk")).into()];
    let request = watchbell::wire::AckRequest {
        matchers: disk,
        by: "me".to_owned(),
        ..watchbell::wire::AckRequest::default()
    };
    let lines = std::io::BufReader::new(tail.stdout.take().expect("is piped"));
    let mut lines = std::io::BufRead::lines(lines);
    let first = std::thread::scope(|scope| {
        // Only what happens once the tail is there is told: until then it happens again.
        let (told, rest) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            let pause = std::time::Duration::from_millis(200);
            while rest.recv_timeout(pause) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                server.core.acknowledge(&request).expect("acknowledges");
            }
        });
        let first = lines.next();
        drop(told);
        first
    });
    tail.kill().expect("ends");
    tail.wait().expect("has ended");
    let first = first.expect("a line").expect("text");
    assert!(first.contains("  ack  ") && first.ends_with("by=me"), "{first}");
}

#[test]
fn rules_and_receivers_are_listed_and_failures_are_a_status() {
    let server = served();
    let url = ["--url", &server.url];
    server.until("all rules", |core| {
        let answer = core.rules(&watchbell::wire::RulesRequest::default()).expect("rules");
        serde_json::to_string(&answer).expect("writes").matches("\"unknown\"").count() == 0
    });
    check(&with(&url, &["rules"]), 1, "g      alert   Disk", "");
    check(&with(&url, &["rules", "list", "--failing"]), 1, "record  c:d", "");
    check(&with(&url, &["rules", "Disk", "--type", "alert"]), 0, "firing", "");
    check(&with(&url, &["rules", "Disk", "--failing"]), 0, "", "no rule fails");
    check(&with(&url, &["rules", "Nothing", "--failing"]), 0, "", "no rules");
    let found = json(&with(&url, &["rules", "list", "a:b", "-o", "json"]));
    assert_eq!(found.pointer("/groups/0/rules/0/health"), Some(&"ok".into()));
    check(&with(&url, &["receivers"]), 0, "pager", "");
    let found = json(&with(&url, &["receivers", "list", "-o", "json"]));
    assert_eq!(found.as_array().map(Vec::len), Some(4), "{found}");
    check(&with(&url, &["receivers", "test", "pager"]), 1, "", "has no such integration");
    check(&with(&url, &["receivers", "test", "pagre"]), 1, "", "no receiver has the name");
}

#[test]
fn a_real_alertmanager_is_asked_alone() {
    let Some(server) = Served::alertmanager() else { return };
    let (mine, at) =
        (["--alertmanager", &server.url], format!("--alertmanager.url={}", server.url));
    let amtool = |args: &[&str]| {
        let command = std::process::Command::new("amtool").arg(&at).args(args).output();
        let output = command.expect("amtool comes with the server");
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    amtool(&["alert", "add", "Disk", "severity=critical", "instance=db-1"]);
    amtool(&["alert", "add", "Mild", "severity=info", "team=web"]);
    server.until("alerts", |core| core.alert_rows().is_ok_and(|rows| rows.len() == 2));
    for matchers in [&["Disk"][..], &["severity=~c.*|i.*"], &["team!=web"], &["a=b"]] {
        let theirs = amtool(&[&["-o", "json", "alert", "query"], matchers].concat());
        let theirs: Value = serde_json::from_str(&theirs).expect("JSON");
        let found = json(&[&["alerts", "-o", "json"], &mine[..], matchers].concat());
        let prints = |list: Option<&Value>| {
            let list = list.and_then(Value::as_array).expect("a list");
            let print = |one: &Value| one.get("fingerprint").expect("one").to_string();
            list.iter().map(print).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(prints(found.get("alerts")), prints(Some(&theirs)), "{matchers:?}");
    }
    check(&[&["alerts"][..], &mine].concat(), 2, "Disk", "");
    check(&[&["why", "Mild"][..], &mine].concat(), 1, "-> team", "");
    check(&[&["receivers"][..], &mine].concat(), 0, "dba", "");
}
