//! `watchbell check` beside the real promtool: what each takes, what lint finds, and the status.

use super::{check, file, text, watchbell};
use std::process::{Command, Stdio};

/// Rule files; whether they are taken, and the line of the first fault.
const FILES: [(&str, Option<usize>); 26] = [
    ("groups: []\n", None),
    ("groups:\n- name: g\n  rules:\n  - record: r\n    expr: sum(up)\n", None),
    ("groups:\n- name: g\n  interval: 0s\n  rules:\n  - {record: r, expr: up}\n", None),
    ("groups:\n- name: g\n  rules:\n  - record: r\n    expr: sum(up\n", Some(5)),
    (
        "groups:\n- name: g\n  rules:\n  - record: r\n    expr: |\n      sum(\n        up[5m])\n",
        Some(7),
    ),
    ("groups:\n- name: g\n  rules:\n  - record: r\n    exprr: up\n", Some(5)),
    ("groups:\n- name: g\n- name: g\n", Some(3)),
    ("groups:\n- rules: []\n", Some(2)),
    ("groups:\n- name: g\n  rules:\n  - record: r\n    alert: a\n    expr: up\n", Some(4)),
    ("groups:\n- name: g\n  rules:\n  - record: r\n    expr: up\n    for: 5m\n", Some(6)),
    ("groups:\n- name: g\n  rules:\n  - alert: a\n    expr: up\n    for: 5\n", Some(6)),
    (
        "groups:\n- name: g\n  rules:\n  - alert: a\n    expr: up\n    labels: {__name__: x}\n",
        Some(6),
    ),
    (
        "groups:\n- name: g\n  rules:\n  - alert: a\n    expr: up\n    annotations:\n      s: '{{ $x }}'\n",
        Some(7),
    ),
    ("groups:\n- name: g\n  rules:\n  - record: r{a=\"b\"}\n    expr: up\n", Some(4)),
    ("groups:\n- name: g\n  limit: many\n", Some(3)),
    ("groups:\n- name: g\n  limit:\n", None),
    ("groups:\n- name: g\n  limit: 5.5\n", None),
    ("groups:\n- name: g\n  limit: 1_0\n", None),
    ("groups:\n- name: g\n  limit: 0b11\n", None),
    ("groups:\n- name: g\n  limit: '5'\n", Some(3)),
    ("groups:\n-\n- name: g\n  rules:\n  -\n  - {record: r, expr: up}\n", None),
    ("groups:\n- {}\n", Some(2)),
    ("groups: []\n---\ngroups: [{rules: []}]\n", None),
    ("groups: []\n---\ngroups: [\n", None),
    ("groups:\n- name: g\n  rules:\n  - {record: r, expr: '1 + 1e400'}\n", Some(4)),
    ("groups: [\n", Some(2)),
];

fn promtool(args: &[&str]) -> Option<(bool, String)> {
    let Ok(output) = Command::new("promtool").args(args).output() else {
        println!("skipped: promtool is not installed");
        return None;
    };
    Some((output.status.success(), text(&output.stderr)))
}

#[test]
fn promtool_takes_what_is_taken_here_and_refuses_the_rest() {
    let folder = tempfile::tempdir().expect("a folder");
    for (rules, fault) in FILES {
        let path = file(&folder, "r.yml", rules);
        let output = watchbell(&["check", "rules", &path]);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(i32::from(fault.is_some())), "{rules}\n{told}");
        if let Some(line) = fault {
            assert!(told.contains(&format!("{path}:{line}:")), "no line {line}: {rules}\n{told}");
        }
        if let Some((taken, said)) = promtool(&["check", "rules", &path]) {
            assert_eq!(taken, fault.is_none(), "{rules}\n{said}");
        }
    }
}

#[test]
fn every_fault_is_told_at_once_where_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = "groups:\n- name: g\n  rules:\n  - {record: a, exprr: up}\n  - record: b\n    expr: |\n      \
                 sum(\n        rat(up[5m]))\n    nonsense: 1\n  - {alert: c, expr: up, for: never}\n  - {alert: d, expr: \"up == bool\"}\n";
    let path = file(&folder, "r.yml", rules);
    let told = text(&watchbell(&["check", "rules", &path]).stderr);
    let places: Vec<_> =
        told.lines().filter_map(|line| line.strip_prefix(&path)?.split(':').nth(1)).collect();
    assert_eq!(places, ["4", "8", "9", "10", "11"], "{told}");
    assert!(told.contains(&format!("{path}:8:9: could not parse expression: 2:3: parse error: \
                                    unknown function with name \"rat\"; did you mean rate?\n            \
                                    rat(up[5m]))\n            ^")), "{told}");
    assert!(
        told.contains(&format!("{path}:4:17: unknown field \"exprr\"; did you mean \"expr\"?"))
    );
    let config = file(
        &folder,
        "p.yml",
        "globl: {}\nrule_files: [r.yml]\nscrape_configs:\n- {job_name: a, scrape_timeout: 2m}\n",
    );
    let told = text(&watchbell(&["check", "config", &config]).stderr);
    for place in [format!("{config}:1:1"), format!("{config}:4:"), format!("{path}:11:")] {
        assert!(told.contains(&place), "no {place}: {told}");
    }
    let only = watchbell(&["check", "config", "--syntax-only", &config]);
    assert!(!text(&only.stderr).contains("r.yml"), "{}", text(&only.stderr));
    let routes = file(
        &folder,
        "a.yml",
        "route: {reciever: x, group_wait: soon}\nreceivers: [{name: x, webhook_configs: [{urll: 'http://x'}]}]\n",
    );
    let told = text(&watchbell(&["check", "alertmanager", &routes]).stderr);
    let faults = told.lines().filter(|line| line.starts_with(&routes)).count();
    assert_eq!(faults, 3, "{told}");
}

#[test]
fn lint_has_promtools_statuses() {
    let folder = tempfile::tempdir().expect("a folder");
    let twice =
        "groups:\n- name: g\n  rules:\n  - {record: r, expr: up}\n  - {record: r, expr: down}\n";
    let twice = file(&folder, "twice.yml", twice);
    let wrong = file(&folder, "wrong.yml", "groups: [{}]\n");
    for (flags, status) in [
        (&[][..], 0),
        (&["--lint-fatal"], 3),
        (&["--lint=none", "--lint-fatal"], 0),
        (&["--lint=all", "--lint-fatal"], 3),
        (&["--lint-fatal", &wrong], 1),
    ] {
        let args = [&["check", "rules", &twice], flags].concat();
        let output = watchbell(&args);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {}", text(&output.stderr));
        if let Ok(output) = Command::new("promtool").args(&args).output() {
            assert_eq!(output.status.code(), Some(status), "promtool {args:?}");
        }
    }
    let found = format!("{twice}:5:5: lint error: duplicate rule: r{{}} is there already");
    check(&["check", "rules", &twice], 0, "Checking", &found);
    let volatile =
        "groups: [{name: g, rules: [{alert: a, expr: up, labels: {v: '{{ $value }}'}}]}]\n";
    let volatile = file(&folder, "volatile.yml", volatile);
    check(&["check", "rules", "--lint=volatile-labels", &volatile], 0, "", "holds the value");
    check(&["check", "rules", &volatile], 0, "SUCCESS: 1 rules found", "");
    let slow = "global: {scrape_interval: 1m}\nrule_files: [twice.yml]\nscrape_configs:\n- job_name: slow\n  scrape_interval: 5m\n- job_name: b\n";
    let slow = file(&folder, "p.yml", slow);
    let found = format!("{slow}:5:20: lint error: too long scrape interval");
    check(&["check", "config", "--lint=all", "--lint-fatal", &slow], 3, "", &found);
    check(
        &["check", "config", "--lint=too-long-scrape-interval", "--query.lookback-delta=6m", &slow],
        0,
        "SUCCESS",
        "",
    );
    check(&["check", "config", "--lint-fatal", &slow], 3, "", &format!("{twice}:5:5: lint error"));
    check(&["check", "config", "--lint=none", "--lint-fatal", &slow], 0, "SUCCESS", "");
}

#[test]
fn flags_change_what_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let unknown = "groups: [{name: g, nonsense: 1, rules: [{record: r, expr: up}]}]\n";
    let unknown = file(&folder, "u.yml", unknown);
    check(&["check", "rules", &unknown], 1, "", "unknown field \"nonsense\"");
    check(&["check", "rules", "--ignore-unknown-fields", &unknown], 0, "SUCCESS", "");
    let new = "groups: [{name: g, rules: [{record: r, expr: 'limitk(1, up)'}]}]\n";
    let new = file(&folder, "n.yml", new);
    check(&["check", "rules", &new], 1, "", "could not parse expression");
    let feature = "--enable-feature=promql-experimental-functions";
    check(&["check", "rules", feature, &new], 0, "SUCCESS", "");
    let legacy = "groups: [{name: g, rules: [{record: 'a.b', expr: up}]}]\n";
    file(&folder, "l.yml", legacy);
    let config = "global: {metric_name_validation_scheme: legacy}\nrule_files: [l.yml]\n";
    let config = file(&folder, "p.yml", config);
    check(&["check", "config", &config], 1, "", "invalid recording rule name: a.b");
    let output = watchbell(&["check", "rules", "-o", "json", &unknown, &new]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(found.pointer("/0/faults/0/line"), Some(&1.into()), "{found}");
    assert_eq!(found.pointer("/0/faults/0/column"), Some(&20.into()), "{found}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_cannot_be_started_does_not_pass() {
    let folder = tempfile::tempdir().expect("a folder");
    let route = "route: {receiver: x}\n";
    let receiver = "receivers: [{name: x, webhook_configs: [{url: 'http://x'";
    file(&folder, "bad.tmpl", "{{ if }}");
    file(&folder, "twice.tmpl", "{{ define \"a\" }}1{{ end }}{{ define \"a\" }}2{{ end }}");
    for (text, expected) in [
        (format!("templates: ['*d.tmpl']\n{receiver}}}]}}]\n"), "bad.tmpl: template: bad.tmpl:1"),
        (
            format!("templates: [twice.tmpl]\n{receiver}}}]}}]\n"),
            "multiple definition of template \"a\"",
        ),
        (format!("templates: ['[a']\n{receiver}}}]}}]\n"), "syntax error in pattern"),
        (
            format!("{receiver}, http_config: {{tls_config: {{ca_file: gone.pem}}}}}}]}}]\n"),
            "unable to read",
        ),
        (
            format!("{receiver}, http_config: {{tls_config: {{cert_file: gone.pem}}}}}}]}}]\n"),
            "exactly one of key or key_file must be configured when a client certificate",
        ),
    ] {
        let routes = file(&folder, "a.yml", &format!("{route}{text}"));
        check(&["check", "alertmanager", &routes], 1, "", expected);
    }
    // A file of templates that is not there is none, as upstream has it.
    let text = format!("{route}templates: [gone.tmpl]\n{receiver}}}]}}]\n");
    let routes = file(&folder, "a.yml", &text);
    check(&["check", "alertmanager", &routes], 0, "1 receivers", "");
    check(&["check", "alertmanager", &routes], 0, "gone.tmpl; no template is read", "");
}

#[test]
fn rules_come_from_standard_input_too() {
    for (rules, status) in [("groups: [{name: g}]\n", 0), ("groups: [{}]\n", 1)] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_watchbell"))
            .args(["check", "rules"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut stdin = child.stdin.take().expect("is piped");
        std::io::Write::write_all(&mut stdin, rules.as_bytes()).expect("writes");
        drop(stdin);
        let output = child.wait_with_output().expect("ends");
        assert_eq!(output.status.code(), Some(status), "{rules}: {}", text(&output.stderr));
        assert!(text(&output.stdout).starts_with("Checking standard input\n"));
    }
}
