//! Annotations as people write them and generated ones, by us and by promtool: the same texts, and
//! the same words for what fails.

use crate::both::{compare, is_installed, ours};
use crate::grammar::Writer;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Texts of annotations; below the last comment stand those that are no templates.
const TEXTS: &str = include_str!("templates.txt");

/// Generated annotations; `WATCHBELL_SEED` begins elsewhere.
const GENERATED: u64 = 400;

/// Annotations.
const GRAMMAR: &str = include_str!("grammar.txt");

/// Quoted as YAML reads it.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("writes")
}

/// A rule for each text, and a test that tells what becomes of it.
fn write(folder: &Path, name: &str, texts: &[String]) -> PathBuf {
    let mut rules = "groups:\n- name: g\n  rules:\n".to_owned();
    let mut test = format!(
        "rule_files: [{name}.rules.yml]\nevaluation_interval: 1m\ntests:\n- interval: 1m\n  \
         external_labels: {{cluster: eu-1, replica: \"0\"}}\n  \
         external_url: http://prom.example.com:9090/base?x=1\n  input_series:\n"
    );
    for (labels, values) in [
        (r#"job="a",instance="db-1.example.com:9100",msg="<b>&'q' \"é\\n""#, "1234567.891x20"),
        (r#"job="b",instance="10.0.0.1:80",severity="page""#, "0.00042x20"),
        (r#"job="b",instance="[::1]:9090""#, "NaN NaN NaN NaN NaN NaN NaN"),
        (r#"job="c",instance="plain""#, "-3x20"),
    ] {
        let _ = writeln!(
            test,
            "  - {{series: {}, values: '{values}'}}",
            quoted(&format!("v{{{labels}}}"))
        );
    }
    test.push_str("  alert_rule_test:\n");
    for (number, text) in texts.iter().enumerate() {
        // An annotation without any text is kept by promtool alone.
        let (label, text) = (quoted(text), quoted(&format!("={text}")));
        let _ = writeln!(
            rules,
            "  - {{alert: A{number}, expr: v, labels: {{l: {label}}}, annotations: {{t: {text}}}}}"
        );
        let _ = writeln!(test, "  - {{eval_time: 5m, alertname: A{number}}}");
    }
    std::fs::write(folder.join(format!("{name}.rules.yml")), rules).expect("writes");
    let file = folder.join(format!("{name}.yml"));
    std::fs::write(&file, test).expect("writes");
    file
}

fn texts() -> (Vec<String>, Vec<String>) {
    let (good, bad) = TEXTS.split_once("# Those below are no templates.\n").expect("two parts");
    let lines = |part: &str| -> Vec<String> {
        let lines = part.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
        lines.map(str::to_owned).collect()
    };
    (lines(good), lines(bad))
}

#[test]
fn annotations_render_as_promtool_renders_them() {
    if !is_installed() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (good, _) = texts();
    assert!(good.len() >= 100, "{}", good.len());
    let mut count = 0;
    // Few at a time, so that a difference names its rule.
    for (number, some) in good.chunks(20).enumerate() {
        count += compare(&write(folder.path(), &format!("n{number}"), some));
    }
    assert_eq!(count, good.len(), "every rule tells its alerts");
}

#[test]
fn what_is_no_template_is_refused_in_promtools_words() {
    if !is_installed() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (_, bad) = texts();
    assert!(bad.len() >= 25, "{}", bad.len());
    let mut wrong = Vec::new();
    for text in bad {
        let file = write(folder.path(), "bad", std::slice::from_ref(&text));
        let output = Command::new("promtool").args(["test", "rules"]).arg(&file).output();
        let output = output.expect("promtool runs");
        let theirs = reason(&String::from_utf8_lossy(&output.stderr));
        let ours = match ours(&file) {
            Ok(_) => None,
            Err(err) => reason(&err.to_string()),
        };
        if ours != theirs {
            wrong.push(format!("{text}\n  promtool {theirs:?}\n  ours     {ours:?}\n"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.concat());
}

/// What is said of the first template.
fn reason(said: &str) -> Option<String> {
    let (_, after) = said.split_once("template: __alert_A0:")?;
    after.lines().next().map(str::to_owned)
}

#[test]
fn generated_annotations_render_as_promtool_renders_them() {
    if !is_installed() {
        return;
    }
    let first: u64 =
        std::env::var("WATCHBELL_SEED").map_or(1, |seed| seed.parse().expect("a seed"));
    let folder = tempfile::tempdir().expect("a folder");
    let mut texts: Vec<String> = Vec::new();
    for seed in first..first + GENERATED {
        texts.push(Writer::new(GRAMMAR, seed).write("Data", "body", 4));
    }
    let mut count = 0;
    for (number, some) in texts.chunks(20).enumerate() {
        println!("seeds from {}", first + number as u64 * 20);
        count += compare(&write(folder.path(), &format!("n{number}"), some));
    }
    assert_eq!(count, texts.len(), "every rule tells its alerts");
}
