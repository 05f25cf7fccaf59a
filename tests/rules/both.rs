//! One file of unit tests, run by us and by promtool.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use watchbell::config::{Error, Unknown, load_unit_tests};
use watchbell::promql::Features;
use watchbell::rules::unittest::{Fault, Limits, Run, TestOutcome};
use watchbell::sys::clock::{SharedClock, SystemClock};

/// Without promtool the tests that compare say so and pass.
pub(crate) fn is_installed() -> bool {
    let installed = Command::new("promtool").arg("--version").output().is_ok();
    if !installed {
        println!("skipped: promtool is not installed");
    }
    installed
}

/// What becomes of each test of a file.
pub(crate) fn ours(file: &Path) -> Result<Vec<TestOutcome>, Error> {
    let features = Features::default();
    let tests = load_unit_tests(file, &features, Unknown::Refused)?;
    let clock: SharedClock = Arc::new(SystemClock::new());
    let run = Run {
        file: &tests.file,
        groups: tests.groups.iter().map(|one| (one.file.clone(), &one.group)).collect(),
        features,
        delayed_name_removal: false,
        only: None,
        limits: Limits { timeout: Duration::from_secs(600), ..Limits::default() },
        keeps_data: false,
        clock,
    };
    Ok(run.chosen().map(|(place, name)| run.run(place, name)).collect())
}

/// Whether a file passes, and what promtool says is wrong.
pub(crate) fn theirs(file: &Path) -> (bool, Vec<String>) {
    let output = Command::new("promtool").args(["test", "rules"]).arg(file).output();
    let output = output.expect("promtool runs");
    let said = String::from_utf8(output.stderr).expect("text");
    (output.status.success(), chunks(&said))
}

/// The failures of outcomes as promtool would tell them: what is wrong with a test itself has
/// other words, and is told once.
pub(crate) fn told(outcomes: &[TestOutcome]) -> Vec<String> {
    let mut told = Vec::new();
    for outcome in outcomes {
        let mut texts: Vec<String> = outcome
            .failures
            .iter()
            .map(|failure| match failure.fault {
                Fault::Test(_) => "a test\n".to_owned(),
                _ => format!("{failure}\n"),
            })
            .collect();
        texts.dedup_by(|a, b| a == b && a.starts_with("a test"));
        told.extend(chunks(&texts.concat()));
    }
    told
}

/// Compares what both say of a file; returns how many failures there are.
#[track_caller]
pub(crate) fn compare(file: &Path) -> usize {
    match ours(file) {
        Ok(outcomes) => compare_with(&outcomes, file),
        Err(err) => {
            let (passes, _) = theirs(file);
            assert!(!passes, "{}: promtool takes it, and we say\n{err}", file.display());
            1
        }
    }
}

/// Compares what became of a file's tests with what promtool says of them.
#[track_caller]
pub(crate) fn compare_with(outcomes: &[TestOutcome], file: &Path) -> usize {
    let name = file.display();
    let ((passes, theirs), ours) = (theirs(file), told(outcomes));
    let differs = ours.iter().zip(&theirs).position(|(ours, theirs)| ours != theirs);
    if let Some(at) = differs {
        panic!("{name}: ours\n{}\npromtool\n{}", ours[at], theirs[at]);
    }
    assert_eq!(ours.len(), theirs.len(), "{name}\nours {ours:#?}\npromtool {theirs:#?}");
    assert_eq!(ours.is_empty(), passes, "{name}");
    ours.len()
}

/// The failures in a text, without what differs between versions and runs.
fn chunks(text: &str) -> Vec<String> {
    let mut chunks: Vec<String> = Vec::new();
    for line in text.lines() {
        let plain = line.trim_start();
        if plain.is_empty() || line == "  FAILED:" || line.starts_with("  WARNING:") {
            continue;
        }
        let after_name = chunks
            .last()
            .is_some_and(|chunk| chunk.starts_with("    name: ") && chunk.lines().count() == 1);
        let begins = match line.strip_prefix("    ") {
            Some(rest) => {
                ["name: ", "expr: ", "rule: "].iter().any(|word| rest.starts_with(word))
                    || rest.starts_with("alertname: ") && !after_name
            }
            None => true,
        };
        let line = match line.starts_with("    ") {
            true => plain_error(line),
            false => "a test".to_owned(),
        };
        match chunks.last_mut().filter(|_| !begins) {
            Some(chunk) => {
                chunk.push('\n');
                chunk.push_str(&line);
            }
            None => chunks.push(line),
        }
    }
    chunks
}

/// The line with an error as both tell it.
fn plain_error(line: &str) -> String {
    let Some((head, error)) = line.split_once(", err: ") else { return line.to_owned() };
    let error = match error.split_once("the first one as ") {
        Some((_, reason)) => reason,
        None => error,
    };
    // The series stand in no order.
    let error = error.split(": [{").next().unwrap_or_default();
    format!("{head}, err: {error}")
}
