//! `watchbell import rules`, beside promtool's back-filling from the same server.

use super::served::Served;
use super::{file, text, watchbell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use watchbell::model::Timestamp;
use watchbell::wire::{Call, Core, InstantQuery, QueryData};

/// Without chained rules, offsets and limits, of which promtool takes no notice.
const RULES: &str = "
groups:
- name: g
  interval: 45s
  rules:
  - {record: 'job:m:sum', expr: 'sum by (job) (m)', labels: {team: x}}
  - {record: 'm:rate', expr: 'rate(m[5m])'}
- name: h
  rules:
  - {record: 'm:plus', expr: 'm + 0.1', labels: {k: ''}}
";

/// Three hours of two series, with hours that end at `now`.
fn history(now: i64) -> String {
    let mut out = "# TYPE m gauge\n".to_owned();
    for (number, k) in (0_i64..).zip(["a", "b"]) {
        for second in (now - 4 * 3600..now - 3600).step_by(15) {
            let value = (second / 15 * (3 + number)) % 17;
            writeln!(out, "m{{job=\"j{k}\",k=\"{k}\"}} {value} {second}").expect("writes");
        }
    }
    out + "# EOF\n"
}

/// The samples of our rules as `series time value`.
fn samples(core: &dyn Core, start: i64, end: i64) -> BTreeSet<String> {
    let call = Call::with_timeout(Duration::from_secs(60));
    let mut all = BTreeSet::new();
    // A selector over all the time at one instant.
    let query = InstantQuery {
        time: Some(Timestamp::from_millis(end * 1000)),
        ..InstantQuery::now(format!("{{__name__=~\"job:m:sum|m:.*\"}}[{}s]", end - start))
    };
    let QueryData::Matrix(found) = core.query(&call, &query).expect("an answer").data else {
        panic!("no matrix");
    };
    for series in found {
        for (ts, value) in series.values {
            all.insert(format!("{} {} {value}", series.metric, ts.as_millis()));
        }
    }
    all
}

#[test]
fn promtool_back_fills_the_same_series_from_the_same_server() {
    let server = Served::watchbell("groups: []\n");
    let now = server.core.status().expect("answers").now.as_millis() / 1000;
    let socket = format!("unix:{}", server.folder.path().join("s").display());
    let run = |args: &[&str]| {
        let output = watchbell(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let om = file(&server.folder, "h.om", &history(now));
    run(&["import", "openmetrics", &om, "--url", &socket]);
    let rules = file(&server.folder, "fill.yml", RULES);
    let (start, end) = (now - 4 * 3600, now - 3600);
    let times = (start.to_string(), end.to_string());
    let (from, to) = (times.0.as_str(), times.1.as_str());
    let filling = ["import", "rules", &rules, "--start", from, "--end", to];
    let interval = ["--eval-interval", "1m"];
    let said = run(&[&filling[..], &interval, &["--url", &socket]].concat());
    let ours = samples(server.core.as_ref(), start - 60, end + 60);
    assert!(said.starts_with("3 recording rules from ") && ours.len() > 1000, "{said}");
    assert!(said.contains(&format!(" {} samples of 6 series", ours.len())), "{said}");

    // The same into a stopped store.
    let stopped = tempfile::tempdir().expect("a folder");
    let dir = stopped.path().display().to_string();
    run(&["import", "openmetrics", &om, "--storage.path", &dir]);
    let same = run(&[&filling[..], &interval, &["--storage.path", &dir]].concat());
    assert_eq!(same.split(" in ").next(), said.split(" in ").next());

    let out = tempfile::tempdir().expect("a folder");
    let out = out.path().display().to_string();
    let promtool = |args: &[&str]| Command::new("promtool").args(args).output();
    let made = promtool(&[
        "tsdb",
        "create-blocks-from",
        "rules",
        "--url",
        &server.url,
        "--start",
        from,
        "--end",
        to,
        "--eval-interval",
        "1m",
        "--output-dir",
        &out,
        &rules,
    ]);
    let Ok(made) = made else {
        println!("skipped: promtool is not installed");
        return;
    };
    assert!(made.status.success(), "{}", text(&made.stderr));
    // It opens no store without a log.
    std::fs::create_dir_all(Path::new(&out).join("wal")).expect("a folder");
    let dumped = promtool(&["tsdb", "dump", &out]).expect("runs");
    assert!(dumped.status.success(), "{}", text(&dumped.stderr));
    let theirs: BTreeSet<String> = text(&dumped.stdout)
        .lines()
        .map(|line| {
            let mut parts = line.rsplitn(3, ' ');
            let (ts, value) = (parts.next().expect("a time"), parts.next().expect("a value"));
            let value: f64 = value.parse().expect("a number");
            let series = parts.next().expect("a series");
            format!("{series} {ts} {value}")
        })
        .collect();
    // Slots come from another hash, so that times and values differ: series and numbers do not.
    let counts = |all: &BTreeSet<String>| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for line in all {
            let series = line.rsplitn(3, ' ').last().unwrap_or_default();
            *counts.entry(series.to_owned()).or_default() += 1;
        }
        counts
    };
    let (ours, theirs) = (counts(&ours), counts(&theirs));
    assert!(ours.keys().eq(theirs.keys()), "{ours:?} {theirs:?}");
    let is_near = |(a, b): (&usize, &usize)| a.abs_diff(*b) <= 1;
    assert!(ours.values().zip(theirs.values()).all(is_near), "{ours:?} {theirs:?}");
}

#[test]
fn what_is_wrong_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().display().to_string();
    let om = file(&folder, "h.om", &history(1_700_000_000));
    let import = watchbell(&["import", "openmetrics", &om, "--storage.path", &dir]);
    assert!(import.status.success(), "{}", text(&import.stderr));
    let check = |rules: &str, start: &str, status: i32, told: &str| {
        let rules = file(&folder, "r.yml", rules);
        let args = ["import", "rules", &rules, "--start", start, "--end", "1700000000"];
        let output = watchbell(&[&args[..], &["--storage.path", &dir]].concat());
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{err}");
        assert!(err.contains(told), "{told:?} is not in {err:?}");
    };
    let rule = |rule: &str| format!("groups: [{{name: g, rules: [{rule}]}}]");
    let start = "1699990000";
    check(&rule("{record: a, expr: 'sum('}"), start, 1, "r.yml:1:");
    check(&rule("{record: a, expr: 'm * on () m'}"), start, 1, "rule a of group g failed in ");
    check(&rule("{alert: A, expr: 'm'}"), start, 0, "1 alerting rules were passed over");
    check(&rule("{record: a, expr: 'm'}"), "1700000001", 1, "ends before it starts");
    check(&rule("{record: a, expr: 'm'}"), start, 0, "");
    check(&rule("{record: a, expr: 'm'}"), start, 0, "a had samples in that time");
}
