//! The binary from outside: arguments in; standard output, standard error and exit status out.

mod alerts;
mod backfill;
mod beyond;
mod check;
#[path = "../service/programs.rs"]
#[expect(dead_code, reason = "only the service's tests run agents and Prometheus")]
mod programs;
mod query;
mod routes;
mod rules;
mod scrape;
mod served;
mod silence;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

fn watchbell(args: &[&str]) -> Output {
    let nowhere = tempfile::tempdir().expect("a folder");
    Command::new(env!("CARGO_BIN_EXE_watchbell"))
        .args(args)
        .env("XDG_STATE_HOME", nowhere.path())
        .env("XDG_RUNTIME_DIR", nowhere.path())
        .env_remove("STATE_DIRECTORY")
        .env_remove("RUNTIME_DIRECTORY")
        .current_dir(nowhere.path())
        .output()
        .expect("the binary runs")
}

/// The arguments with those that name a server.
fn with<'a>(server: &[&'a str], args: &[&'a str]) -> Vec<&'a str> {
    [args, server].concat()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is text")
}

/// Runs, and compares exit status and parts of both outputs.
#[track_caller]
fn check(args: &[&str], status: i32, stdout: &str, stderr: &str) {
    let output = watchbell(args);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{args:?}\n{out}\n{err}");
    assert!(out.contains(stdout), "{args:?}: no {stdout:?} in {out:?}");
    assert!(err.contains(stderr), "{args:?}: no {stderr:?} in {err:?}");
}

fn file(folder: &tempfile::TempDir, name: &str, content: &str) -> String {
    let path: PathBuf = folder.path().join(name);
    fs::write(&path, content).expect("writes");
    path.display().to_string()
}

#[test]
fn help_and_version_are_answers_and_a_wrong_flag_is_a_usage_error() {
    check(&["--version"], 0, concat!("watchbell ", env!("CARGO_PKG_VERSION")), "");
    check(&["help", "serve"], 0, "watchbell serve --config.file prometheus.yml", "");
    check(&["query", "--help"], 0, "Examples:", "");
    check(&["probe", "--help"], 0, "watchbell probe 192.0.2.1 --module icmp", "");
    check(&["targets", "explain", "--help"], 0, "watchbell targets explain node -o json", "");
    check(&["serve", "--web.listen-adress=:1"], 2, "", "--web.listen-address");
    check(&["sreve"], 2, "", "serve");
    check(&["completions", "bash"], 0, "complete -F", "");
}

#[test]
fn a_wrong_file_is_told_with_place_and_the_nearest_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let wrong = file(&folder, "p.yml", "scrape_configs:\n- job_nam: a\n");
    let expected = format!("{wrong}:2:3: unknown field \"job_nam\"; did you mean \"job_name\"?");
    check(&["check", "config", &wrong], 1, "Checking", &expected);
    check(&["serve", "--config.file", &wrong], 1, "", &expected);
    let rules =
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: 'sum('}\n  - {alert: B, expr: 'up'}\n";
    let rules = file(&folder, "r.yml", rules);
    check(&["check", "rules", &rules], 1, "", &format!("{rules}:4:"));
    let routes = file(&folder, "a.yml", "route: {receiver: x}\nreceivers: [{name: y}]\n");
    check(&["check", "alertmanager", &routes], 1, "", "undefined receiver \"x\"");
    check(&["check", "rules", "/nowhere/r.yml"], 1, "", "cannot read the file");
}

#[test]
fn what_is_known_and_has_no_effect_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = "scrape_configs:\n- job_name: k\n  kubernetes_sd_configs: [{role: pod}]\n\
                  remote_write: [{url: 'http://127.0.0.1:1'}]\n\
                  storage: {tsdb: {stale_series_compaction_threshold: 0.5}}\n";
    let config = file(&folder, "p.yml", config);
    check(&["check", "config", &config], 0, "job \"k\" is skipped", "");
    check(&["check", "config", &config], 0, "\"remote_write\" is known and has no effect", "");
    let stale = format!("{config}:5:53: stale_series_compaction_threshold has no effect");
    check(&["check", "config", &config], 0, &stale, "");
    let native = file(&folder, "o.yml", "otlp: {convert_histograms_to_nhcb: true}\n");
    let expected = format!("{native}:1:36: convert_histograms_to_nhcb has no effect");
    check(&["check", "config", &native], 0, &expected, "");
    let wrong = file(&folder, "w.yml", "otlp: {promote_resource_attribute: [a]}\n");
    let expected = format!("{wrong}:1:8: unknown field \"promote_resource_attribute\"");
    check(&["check", "config", &wrong], 1, "", &expected);
}

#[test]
fn without_a_server_a_question_says_how_to_start_one() {
    check(&["query", "instant", "up"], 1, "", "start one: watchbell");
    check(&["targets", "explain", "node"], 1, "", "start one: watchbell");
    check(&["query", "instant", "up", "--url", "example"], 1, "", "write http://HOST:PORT");
}

#[test]
fn the_corpus_loads_without_a_change() {
    let shared = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/sourcegraph");
    if !shared.exists() {
        assert!(std::env::var_os("CI").is_none(), "{} is missing", shared.display());
        println!("skipped: {} does not exist", shared.display());
        return;
    }
    for (folder, kind) in [("config", "config"), ("docker_compose", "config"), ("k8s", "config")] {
        for entry in fs::read_dir(shared.join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let kind = match name.as_str() {
                "alertmanager.yml" => "alertmanager",
                name if name.ends_with("_rules.yml") => "rules",
                name if name.ends_with("_targets.yml") => continue,
                _ => kind,
            };
            check(&["check", kind, &path.display().to_string()], 0, "SUCCESS", "");
        }
    }
    let rules = shared.join("generated_rules.yml").display().to_string();
    check(&["check", "rules", &rules], 0, "SUCCESS: 482 rules found", "");
}

#[test]
fn a_history_comes_in_and_can_be_looked_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines: String =
        (0..100).map(|at| format!("a{{x=\"1\"}} {at} {}\n", 1_700_000_000 + at * 60)).collect();
    let text = format!("# TYPE a gauge\n{lines}b 1 1700000000.5\n# EOF\n");
    let history = file(&folder, "h.om", &text);
    let store = folder.path().join("store").display().to_string();
    let into = ["import", "openmetrics", &history, "--storage.path", &store];
    check(&into, 0, "101 samples of 2 series imported into 1 blocks", "");
    check(&["storage", "status", "--storage.path", &store], 0, "all: 101 samples", "");
    check(
        &["storage", "status", "--storage.path", &store, "-o", "json"],
        0,
        "\"samples\": 101",
        "",
    );
    check(&["fsck", "--storage.path", &store], 0, "all whole; read ", "");
    check(&["fsck", "--storage.path", &store], 0, "101 samples\n", "");
    let blocks = fs::read_dir(folder.path().join("store/blocks")).expect("blocks");
    let block = blocks.map(|entry| entry.expect("an entry").path()).next().expect("a block");
    let mut bytes = fs::read(block.join("chunks")).expect("reads");
    bytes[60] ^= 1;
    fs::write(block.join("chunks"), bytes).expect("writes");
    check(&["fsck", "--storage.path", &store], 1, "DAMAGED", "");
    // The first page begins behind the file's head.
    let told = format!("{}:24: ", block.join("chunks").display());
    check(&["fsck", "--storage.path", &store], 1, &told, "");
    check(&["fsck", "--storage.path", &store, "-o", "json"], 1, "\"offset\": 24", "");
}

#[test]
fn a_history_that_is_wrong_is_told_by_place_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store").display().to_string();
    for (text, expected) in [
        ("a 1 1700000000\nb 2\n# EOF\n", ":2:1: the sample has no timestamp"),
        ("a 1 1700000000\n", ":2:1: data does not end with # EOF"),
        ("a 1 99999999999\n# EOF\n", "is in the future"),
        ("a x 1700000000\n# EOF\n", ":1:3:"),
    ] {
        let history = file(&folder, "h.om", text);
        let into = ["import", "openmetrics", &history, "--storage.path", &store];
        check(&into, 1, "", expected);
        check(&["storage", "status", "--storage.path", &store], 0, "Blocks (0;", "");
    }
    check(&["import", "openmetrics", "/no/such", "--storage.path", &store], 1, "", "cannot open");
    let nowhere = folder.path().join("nowhere");
    let asked = ["storage", "status", "--storage.path", &nowhere.display().to_string()];
    check(&asked, 1, "", "cannot find a store in");
    assert!(!nowhere.exists(), "a look makes no store");
}
