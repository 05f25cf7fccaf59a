//! `watchbell silence` and the real amtool, on the same server: ours, and the real Alertmanager.

use super::served::Served;
use super::{check, text, watchbell, with};
use std::collections::BTreeSet;
use std::process::{Command, Stdio};

/// What amtool prints; `None` where it is not installed.
fn amtool(server: &Served, args: &[&str]) -> Option<String> {
    let at = format!("--alertmanager.url={}", server.url);
    let Ok(output) = Command::new("amtool").arg(at).args(args).output() else {
        println!("skipped: amtool is not installed");
        return None;
    };
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    Some(text(&output.stdout))
}

fn ids(printed: &str) -> BTreeSet<&str> {
    printed.split_whitespace().collect()
}

/// Standard output of a command that ends well.
#[track_caller]
fn said(args: &[&str]) -> String {
    let output = watchbell(args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn lives(server: &Served, which: &[&str]) {
    let add = ["silence", "add", "Disk", "instance=~db.*", "-d", "2h", "-c", "swap", "-a", "me"];
    let first = said(&with(which, &add));
    let first = first.trim();
    said(&with(which, &["silence", "add", "team!=web", "-c", "x y", "--annotation", "a=b"]));
    for matchers in [&[][..], &["Disk"], &["team!=web"], &["alertname=Disk"], &["a=b"]] {
        let mine = said(&with(which, &[&["silence", "list", "-q"], matchers].concat()));
        let Some(theirs) = amtool(server, &[&["silence", "query", "-q"], matchers].concat()) else {
            return;
        };
        assert_eq!(ids(&mine), ids(&theirs), "{matchers:?}");
    }
    for flags in [&["--within", "90m"][..], &["--within=3h"], &["--created-by=me"], &["--expired"]]
    {
        let mine = said(&with(which, &[&["silence", "list", "-q"], flags].concat()));
        let theirs = amtool(server, &[&["silence", "query", "-q"], flags].concat());
        assert_eq!(ids(&mine), ids(&theirs.expect("installed")), "{flags:?}");
    }
    // Debian's amtool has no such flag.
    assert_eq!(said(&with(which, &["silence", "list", "-q", "--id", first])).trim(), first);
    check(&with(which, &["silence", "list"]), 0, "alertname=\"Disk\" instance=~\"db.*\"", "");
    check(&with(which, &["silence", "extend", first, "1h"]), 0, "", "it ends 1h later");
    let extended = said(&with(which, &["silence", "list", "-q", "Disk"]));
    let list = said(&with(which, &["silence", "list", "-o", "json"]));
    check(&with(which, &["silence", "expire", extended.trim()]), 0, "", "");
    assert_eq!(said(&with(which, &["silence", "list", "-q", "Disk"])), "");
    check(
        &with(which, &["silence", "extend", extended.trim(), "1h"]),
        1,
        "",
        "has ended; make another",
    );
    check(
        &with(which, &["silence", "expire", "7f3c5a0e-8d0c-4f65-9d0f-2b8f3a1c6f10"]),
        1,
        "",
        "cannot end",
    );
    let file = server.folder.path().join("silences.json");
    std::fs::write(&file, list).expect("writes");
    let imported = said(&with(which, &["silence", "import", &file.display().to_string()]));
    assert_eq!(ids(&imported).len(), 2, "{imported}");
    let back = said(&with(which, &["silence", "list", "-q", "Disk"]));
    assert_eq!(ids(&back).len(), 1, "an ended silence is made anew: {back}");
    // What amtool writes is taken as well.
    let theirs = amtool(server, &["-o", "json", "silence", "query", "Disk"]).expect("installed");
    let mut import = Command::new(env!("CARGO_BIN_EXE_watchbell"))
        .args(with(which, &["silence", "import", "--force"]))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = import.stdin.take().expect("is piped");
    std::io::Write::write_all(&mut stdin, theirs.as_bytes()).expect("writes");
    drop(stdin);
    assert_eq!(import.wait_with_output().expect("ends").status.code(), Some(0));
    assert_eq!(ids(&said(&with(which, &["silence", "list", "-q", "Disk"]))).len(), 2);
}

#[test]
fn silences_live_on_our_server_as_amtool_sees_them() {
    let rules =
        "groups: [{name: g, rules: [{alert: Disk, expr: vector(1), labels: {instance: db-1}}]}]";
    let server = Served::watchbell(rules);
    server.until("the alert", |core| core.alert_rows().is_ok_and(|rows| rows.len() == 1));
    let add = ["silence", "add", "Disk", "-c", "x", "--url", &server.url, "--end", "1h"];
    check(&add, 2, "", "would end before it starts");
    let add = ["silence", "add", "Disk", "-c", "x", "--url", &server.url];
    check(&add, 0, "", "1 alert matches it now");
    let first = said(&["silence", "list", "-q", "--url", &server.url]);
    said(&["silence", "expire", first.trim(), "--url", &server.url]);
    lives(&server, &["--url", &server.url]);
}

#[test]
fn silences_live_on_the_real_alertmanager() {
    let Some(server) = Served::alertmanager() else { return };
    lives(&server, &["--alertmanager", &server.url]);
}

#[test]
fn what_cannot_be_a_silence_is_said() {
    let url = ["--url", "http://127.0.0.1:1"];
    check(&with(&url, &["silence", "add", "a=b"]), 2, "", "say why, with --comment");
    check(&with(&url, &["silence", "add", "a=b", "c", "-c", "x"]), 2, "", "write NAME=VALUE");
    check(&with(&url, &["silence", "add", "-c", "x"]), 2, "", "MATCHER");
    check(
        &with(&url, &["silence", "add", "a=b", "-c", "x", "--annotation", "c"]),
        2,
        "",
        "label \"c\"",
    );
    check(&with(&url, &["silence", "add", "a=b", "-c", "x", "-d", "soon"]), 2, "", "soon");
    check(&with(&url, &["silence", "list"]), 1, "", "watchbell: ");
    check(&["silence", "add", "--help"], 0, "watchbell silence add DiskFull instance=db-1", "");
    check(&["silence", "list"], 1, "", "start one: watchbell");
}
