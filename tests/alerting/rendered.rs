//! Templates as people write them, rendered by us and, where it is installed, by amtool: the same
//! text byte for byte, and the same words for what fails.
//!
//! Users' files are in `templates/user`; each of their templates is called for every notification.

use crate::grammar::Writer;
use std::path::{Path, PathBuf};
use std::process::Command;
use watchbell::alerts::{Notification, NotifiedAlert, Reason};
use watchbell::model::{Annotations, GroupKey, Labels, Timestamp};
use watchbell::notify::Templates;

/// Texts that stand in fields, one a line; some fail. What came after 0.25 is in the library's
/// own tests.
const FIELDS: &str = include_str!("templates/fields.txt");

/// Generated texts; `WATCHBELL_SEED` begins elsewhere.
const GENERATED: u64 = 300;

/// Templates of notifications.
const GRAMMAR: &str = include_str!("templates/grammar.txt");

fn amtool() -> Option<&'static str> {
    let installed = Command::new("amtool").arg("--version").output().is_ok();
    if !installed {
        println!("skipped: amtool is not installed");
    }
    installed.then_some("amtool")
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

fn alert(own: &[(&str, &str)], annotations: &[(&str, &str)], ended: bool) -> NotifiedAlert {
    let began = 1_709_210_096_789 + own.len() as i64 * 3_600_000;
    NotifiedAlert {
        labels: labels(own),
        annotations: Annotations::from_pairs(annotations.iter().copied()),
        starts_at: Timestamp::from_millis(began),
        ends_at: ended.then_some(Timestamp::from_millis(began + 5_432_100)),
        generator_url: "http://prom:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1".to_owned(),
    }
}

fn notification(group: &[(&str, &str)], alerts: Vec<NotifiedAlert>) -> Notification {
    Notification {
        group_key: GroupKey::from_text("{}:{}"),
        receiver: "team-x".to_owned(),
        group_labels: labels(group),
        route_labels: Vec::new(),
        alerts,
        reason: Reason::First,
        external_url: "https://am.example.com/am".to_owned(),
        at: Timestamp::from_millis(1_709_300_000_000),
    }
}

/// Several alerts, one, only ended ones, hostile texts, none.
fn notifications() -> Vec<Notification> {
    let node = |instance, severity| {
        [
            ("alertname", "InstanceDown"),
            ("cluster", "eu-1"),
            ("instance", instance),
            ("job", "node"),
            ("severity", severity),
            ("team", "storage ops"),
        ]
    };
    let said = [
        ("summary", "Instance it's down: x"),
        ("description", "No answer\nfor 5 minutes."),
        ("dashboard", "abc/down"),
        ("runbook_url", "https://runbooks.example.com/InstanceDown?a=1&b=2"),
    ];
    let bad = [
        ("alertname", "<script>alert(\"x\")</script>"),
        ("instance", "a\"b'c\\d\n\té世界🚨"),
        ("job", "javascript:alert(1)"),
        ("severity", "critical"),
    ];
    let bad_said = [
        ("summary", "<b>bold</b> & \"quoted\" 'it' `code` *x* _y_ {{ .Status }} %d +=\u{0}\u{7f}"),
        ("runbook_url", "javascript:alert('x') é%zz%41"),
        ("dashboard", "https://d/?q=<&>"),
    ];
    let group = [("alertname", "InstanceDown"), ("cluster", "eu-1")];
    vec![
        notification(
            &group,
            vec![
                alert(&node("db-1.example.com:9100", "critical"), &said, false),
                alert(&node("db-2.example.com:9100", "warning"), &said[..2], false),
                alert(&node("10.0.0.7:9100", "critical")[..5], &said[..1], true),
            ],
        ),
        notification(&group[..1], vec![alert(&node("web:80", "warning")[..3], &said[..1], false)]),
        notification(&group[..1], vec![alert(&node("web:80", "page"), &said, true)]),
        notification(
            &bad[..1],
            vec![alert(&bad, &bad_said, false), alert(&bad[..3], &bad_said[..2], true)],
        ),
        notification(&[], Vec::new()),
    ]
}

/// What both make of texts, under a folder with users' files.
struct Both {
    amtool: &'static str,
    folder: PathBuf,
    templates: Templates,
    data: tempfile::TempDir,
    wrong: Vec<String>,
    same: usize,
    errors: usize,
}

impl Both {
    fn new(amtool: &'static str, folder: PathBuf) -> Self {
        let mut files = Vec::new();
        let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().expect("named").to_string_lossy().into_owned();
            files.push((name, std::fs::read_to_string(&path).expect("text")));
        }
        let templates = Templates::new(&files).expect("templates");
        let data = tempfile::tempdir().expect("a folder");
        Self { amtool, folder, templates, data, wrong: Vec::new(), same: 0, errors: 0 }
    }

    /// Renders a text both ways and keeps what differs.
    fn compare(&mut self, about: &Notification, text: &str, is_html: bool) {
        let rendering = self.templates.for_notification(about, about.at);
        let ours = if is_html { rendering.html(text) } else { rendering.text(text) };
        let ours = ours.map_err(|err| err.to_string());
        let data = self.data.path().join("data.json");
        let json = rendering.text("{{ toJson . }}").expect("data is JSON");
        std::fs::write(&data, json).expect("writes");
        let theirs = self.theirs(&data, text, is_html);
        if ours == theirs {
            self.same += 1;
            self.errors += usize::from(ours.is_err());
        } else {
            let kind = if is_html { "html" } else { "text" };
            self.wrong.push(format!("{kind} of {text}\n  amtool {theirs:?}\n  ours   {ours:?}"));
        }
    }

    fn theirs(&self, data: &Path, text: &str, is_html: bool) -> Result<String, String> {
        let output = Command::new(self.amtool)
            .args(["template", "render"])
            // amtool has no templates of its own: it gets ours.
            .arg(format!("--template.glob={}/*.tmpl", repository("src/notify/templates").display()))
            .arg(format!("--template.glob={}/*.tmpl", self.folder.display()))
            .arg(format!("--template.text={text}"))
            .arg(format!("--template.type={}", if is_html { "html" } else { "text" }))
            .arg(format!("--template.data={}", data.display()))
            .output()
            .expect("amtool runs");
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout).expect("text"));
        }
        let said = String::from_utf8(output.stderr).expect("text");
        Err(said.trim_end_matches('\n').trim_start_matches("amtool: error: ").to_owned())
    }

    #[track_caller]
    fn finish(&self, at_least: usize) {
        let count = self.wrong.len();
        println!("{} texts are the same, {} of them errors", self.same, self.errors);
        let all: String = self.wrong.iter().map(|wrong| format!("{wrong}\n")).collect();
        assert!(self.wrong.is_empty(), "{count} differ:\n{all}");
        assert!(self.same >= at_least, "only {}", self.same);
    }
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn folder(name: &str) -> PathBuf {
    repository("tests/alerting/templates").join(name)
}

/// The templates that a file defines and that stand for themselves.
fn defined(text: &str) -> Vec<String> {
    let after = text.split("define \"").skip(1);
    after.filter_map(|after| after.split('"').next()).map(str::to_owned).collect()
}

/// Calls every template of a folder's files for every notification, but for those that others
/// call with a part of it, and upstream's own.
fn compare_folder(name: &str, amtool: &'static str) -> Both {
    let inner = ["tg.list", "nested.call", "nested.leaf", "__alertmanager", "__alertmanagerURL"];
    let mut calls: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(folder(name)).expect("a folder") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("text");
        calls.extend(defined(&text).into_iter().filter(|name| !inner.contains(&name.as_str())));
    }
    calls.sort();
    let mut both = Both::new(amtool, folder(name));
    for notification in notifications() {
        for name in &calls {
            let text = format!("{{{{ template \"{name}\" . }}}}");
            both.compare(&notification, &text, false);
            both.compare(&notification, &text, true);
        }
    }
    both
}

#[test]
fn t69_users_files_render_as_amtool_renders_them() {
    let Some(amtool) = amtool() else { return };
    compare_folder("user", amtool).finish(500);
    compare_folder("overriding", amtool).finish(50);
}

#[test]
fn texts_of_fields_render_as_amtool_renders_them() {
    let Some(amtool) = amtool() else { return };
    let mut both = Both::new(amtool, folder("user"));
    let all = notifications();
    for text in FIELDS.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        both.compare(&all[0], text, false);
        both.compare(&all[3], text, true);
    }
    both.finish(200);
}

#[test]
fn generated_templates_render_as_amtool_renders_them() {
    let Some(amtool) = amtool() else { return };
    let first: u64 =
        std::env::var("WATCHBELL_SEED").map_or(1, |seed| seed.parse().expect("a seed"));
    let mut both = Both::new(amtool, folder("user"));
    let all = notifications();
    for seed in first..first + GENERATED {
        let mut writer = Writer::new(GRAMMAR, seed);
        let defined = format!(
            "{{{{ define \"t\" }}}}[{{{{ . }}}}]{{{{ end }}}}{{{{ define \"u\" }}}}{}{{{{ end }}}}",
            writer.write("Data", "part", 2).replace("{{ template \"u\" $ }}", "u"),
        );
        let text = format!("{defined}{}", writer.write("Data", "body", 4));
        let place = usize::try_from(seed).expect("small") % all.len();
        both.compare(&all[place], &text, seed % 4 == 0);
    }
    both.finish(250);
}
