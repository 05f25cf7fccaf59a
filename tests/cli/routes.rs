//! `watchbell routes` and the real amtool over the same trees.

use super::served::{ROUTES, Served};
use super::{check, file, text, watchbell};
use std::process::Command;
use watchbell::sys::entropy::Entropy as _;
use watchbell::sys::sim::SeededEntropy;

/// Trees that are made, and label sets that are tried on each.
const TREES: u64 = 8;
const SETS: usize = 25;

/// Status and standard output of amtool; `None` where it is not installed.
fn amtool(args: &[&str]) -> Option<(Option<i32>, String)> {
    let Ok(output) = Command::new("amtool").args(args).output() else {
        println!("skipped: amtool is not installed");
        return None;
    };
    // Its trees hold blanks that do not break.
    Some((output.status.code(), text(&output.stdout).replace('\u{a0}', " ")))
}

fn ours(args: &[&str]) -> (Option<i32>, String) {
    let output = watchbell(args);
    (output.status.code(), text(&output.stdout))
}

/// Few names and values, so that they meet.
struct Dice(SeededEntropy);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.0.next_u64() % count as u64).expect("is below a usize")
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from.get(self.below(from.len())).expect("is below the length")
    }

    fn matchers(&mut self) -> String {
        let one = |dice: &mut Self| {
            let name = dice.pick(&["a", "b", "c"]);
            let op = dice.pick(&["=", "=", "!=", "=~", "!~"]);
            let value = dice.pick(&["1", "2", "", "1|2", ".*", "2.*"]);
            format!("'{name}{op}\"{value}\"'")
        };
        let all: Vec<_> = (0..=self.below(2)).map(|_| one(self)).collect();
        format!("[{}]", all.join(", "))
    }

    fn routes(&mut self, depth: usize) -> String {
        let one = |dice: &mut Self| {
            let (matchers, receiver) = (dice.matchers(), dice.pick(&["r1", "r2", "r3"]));
            let continues = dice.pick(&["", ", continue: true"]);
            let below = if depth > 0 { dice.routes(depth - 1) } else { "[]".to_owned() };
            format!("{{matchers: {matchers}, receiver: {receiver}{continues}, routes: {below}}}")
        };
        let all: Vec<_> = (0..self.below(4)).map(|_| one(self)).collect();
        format!("[{}]", all.join(", "))
    }
}

#[test]
fn alerts_go_where_amtool_says_over_random_trees() {
    let folder = tempfile::tempdir().expect("a folder");
    for seed in 0..TREES {
        let mut dice = Dice(SeededEntropy::new(seed));
        let tree = format!(
            "route: {{receiver: root, routes: {}}}\nreceivers: [{{name: root}}, {{name: r1}}, {{name: r2}}, {{name: r3}}]\n",
            dice.routes(2)
        );
        let config = format!("--config.file={}", file(&folder, "a.yml", &tree));
        let Some(theirs) = amtool(&["config", "routes", "show", &config]) else { return };
        assert_eq!(ours(&["routes", "show", &config]), theirs, "seed {seed}\n{tree}");
        for _ in 0..SETS {
            let mut labels = Vec::new();
            for name in ["a", "b", "c"] {
                let value = dice.pick(&["1", "2", "", "12"]);
                labels.extend((!value.is_empty()).then(|| format!("{name}={value}")));
            }
            let labels: Vec<_> = labels.iter().map(String::as_str).collect();
            let flags = ["--tree", &config, "--verify.receivers=r1"];
            let args = [&flags[..], &labels].concat();
            let theirs = amtool(&[&["config", "routes", "test"], &args[..]].concat());
            let mine = ours(&[&["routes", "test", "-o", "plain"], &args[..]].concat());
            assert_eq!(Some(mine), theirs, "seed {seed} {labels:?}\n{tree}");
        }
    }
}

#[test]
fn a_test_tells_groups_times_and_what_mutes() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = format!("--config.file={}", file(&folder, "a.yml", ROUTES));
    let labels = ["severity=critical", "team=web", "alertname=A"];
    let night = ["routes", "test", &config, "--at", "2026-01-31T03:00:00Z"];
    let walked = "pager,team\n\n{}  yes\n  {severity=\"critical\"}  yes, and goes on\n  {team=";
    check(&[&night[..], &labels].concat(), 0, walked, "");
    let output = watchbell(&[&night[..], &labels].concat());
    // By night nothing is muted: it is only that these receivers have nobody to tell.
    let told = text(&output.stderr);
    let told: Vec<_> = told.lines().map(|line| line.split(':').next().unwrap_or("")).collect();
    let nobody = |name: &str| format!("receiver {name:?} tells nobody");
    assert_eq!(told, [nobody("pager"), nobody("team")]);
    let day = ["routes", "test", &config, "--at", "2026-01-31T12:00:00Z"];
    let muted = "nights    -       {}/{team";
    check(&[&day[..], &labels].concat(), 0, muted, "muted routes tell nobody at");
    let output = watchbell(&[&day[..], &labels, &["-o", "json"]].concat());
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(found.pointer("/finals/0/group_wait_seconds"), Some(&1.0.into()));
    let key = "{}/{severity=\"critical\"}:{alertname=\"A\"}";
    assert_eq!(found.pointer("/finals/0/group_key"), Some(&key.into()));
    assert_eq!(found.pointer("/finals/1/muted_by/0"), Some(&"nights".into()));
    let shown = watchbell(&["routes", "show", &config, "-o", "json"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!(shown.pointer("/routes/1/routes/0/receiver"), Some(&"dba".into()));
    check(&["routes", "test", &config, "a"], 2, "", "cannot read label \"a\"");
    check(&["routes", "test", &config, "a!=b"], 2, "", "labels must be NAME=VALUE");
    check(&["routes", "show", "--config.file", "/nowhere/a.yml"], 1, "", "cannot read the file");
}

#[test]
fn the_routes_of_a_server_are_those_of_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = format!("--config.file={}", file(&folder, "a.yml", ROUTES));
    let expected = ours(&["routes", "show", &config]);
    let server = Served::watchbell("groups: []");
    assert_eq!(ours(&["routes", "show", "--url", &server.url]), expected);
    // As of any Alertmanager, only the routes are known.
    let url = format!("{}/alertmanager", server.url);
    let output = watchbell(&["routes", "test", "--alertmanager", &url, "-o", "plain", "team=db"]);
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("dba\n".into(), "".into()));
    let Some(server) = Served::alertmanager() else { return };
    assert_eq!(ours(&["routes", "show", "--alertmanager", &server.url]), expected);
    let labels = ["team=db", "-o", "plain"];
    let args = [&["routes", "test", "--alertmanager", &server.url], &labels[..]].concat();
    assert_eq!(ours(&args), (Some(0), "dba\n".to_owned()));
}
