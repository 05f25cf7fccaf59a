//! Commands.

use super::{fault, send};
use crate::outside::FakeHttp;
use std::io;
use std::time::Duration;
use watchbell::sys::local::{Command, Ended};
use watchbell::sys::sim_local::{Done, ScriptedLocal};

const PAGE: &str =
    "{command: [/usr/bin/page, '{{ .Status }}'], env: {KEY: k3y}, env_files: {URL: url.txt}}";

fn commands(local: &ScriptedLocal) -> Vec<Command> {
    let command = |done| match done {
        Done::Ran(command) => command,
        other => panic!("{other:?}"),
    };
    local.done().into_iter().map(command).collect()
}

#[test]
fn a_command_gets_the_web_hook_s_json_and_nothing_of_an_alert_in_its_arguments() {
    let local = ScriptedLocal::new();
    local.answer(Ended::Status(0), " paged\u{1b} tim k3y\n");
    let outcome = send("exec", PAGE, &FakeHttp::answering(&[200]), &local);
    assert_eq!((outcome.error, outcome.attempts, outcome.status), (None, 1, None));
    assert_eq!(outcome.answer, "paged\u{1b} tim k3y");
    let commands = commands(&local);
    let [command] = commands.as_slice() else { panic!("{commands:?}") };
    assert_eq!(command.program.to_str(), Some("/usr/bin/page"));
    assert_eq!(command.args, ["{{ .Status }}"]);
    assert_eq!((command.timeout, command.output_bytes_max), (Duration::from_secs(10), 65_536));
    let env: Vec<_> =
        command.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let key = env.iter().find(|(name, _)| *name == "WATCHBELL_IDEMPOTENCY_KEY").expect("a key").1;
    assert!(key.ends_with("-1"), "{key}");
    assert_eq!(
        env,
        [
            ("KEY", "k3y"),
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("URL", "http://from-file/etc/watchbell/url.txt"),
            ("WATCHBELL_GROUP_KEY", "{}:{alertname=\"X\"}"),
            ("WATCHBELL_IDEMPOTENCY_KEY", key),
            ("WATCHBELL_RECEIVER", "team"),
            ("WATCHBELL_STATUS", "firing"),
        ]
    );
    let body: serde_json::Value = serde_json::from_slice(&command.stdin).expect("JSON");
    assert_eq!((&body["version"], &body["truncatedAlerts"]), (&"4".into(), &0.into()));
    assert_eq!(body["alerts"].as_array().map(Vec::len), Some(2));
}

#[test]
fn what_a_command_ends_with_decides_whether_it_is_run_again() {
    for (ended, attempts, text) in [
        (Ended::Status(1), 1, "/usr/bin/page ended with status 1: no\nroom"),
        (Ended::Status(75), 2, "/usr/bin/page ended with status 75: no\nroom"),
        (Ended::Signal(9), 2, "/usr/bin/page was ended by signal 9: no\nroom"),
        (Ended::TimedOut, 2, "/usr/bin/page still ran after 3s and was killed: no\nroom"),
    ] {
        let item = "{command: [/usr/bin/page], timeout: 3s}";
        let run = |then: Option<Ended>| {
            let local = ScriptedLocal::new();
            local.answer(ended, "\n no\nroom \n");
            then.into_iter().for_each(|then| local.answer(then, ""));
            send("exec", item, &FakeHttp::answering(&[200]), &local)
        };
        let outcome = run(None);
        assert_eq!(outcome.error.as_deref(), Some(text));
        assert_eq!(outcome.attempts > 1, attempts > 1, "{ended:?}");
        let outcome = run(Some(Ended::Status(0)));
        assert_eq!((outcome.error.is_none(), outcome.attempts), (attempts == 2, attempts));
    }
    let local = ScriptedLocal::new();
    local.fail(io::ErrorKind::NotFound);
    let outcome = send("exec", PAGE, &FakeHttp::answering(&[200]), &local);
    let text = "run /usr/bin/page: no such file or directory";
    assert_eq!(outcome.error.as_deref(), Some(text));
}

#[test]
fn max_alerts_cuts_and_a_missing_file_is_told() {
    let local = ScriptedLocal::new();
    let http = FakeHttp::answering(&[200]);
    send("exec", "{command: [/usr/bin/page], max_alerts: 1}", &http, &local);
    let commands = commands(&local);
    let body: serde_json::Value =
        serde_json::from_slice(&commands.first().expect("run").stdin).expect("JSON");
    assert_eq!(
        (&body["truncatedAlerts"], body["alerts"].as_array().map(Vec::len)),
        (&1.into(), Some(1))
    );
    let item = "{command: [/usr/bin/page], env_files: {A: missing}}";
    let outcome = send("exec", item, &http, &local);
    assert_eq!(outcome.error.as_deref(), Some("could not read missing: entity not found"));
}

#[test]
fn only_commands_that_are_allowed_pass() {
    let at = "receivers[0].exec_configs[0]";
    for (item, expected) in [
        ("{}", ": missing command in exec_config"),
        ("{command: []}", ": missing command in exec_config"),
        (
            "{command: [/bin/sh, -c, x]}",
            ".command: /bin/sh is not allowed: watchbell.exec_allowed must list it by its absolute name",
        ),
        (
            "{command: [/usr/bin/../bin/page]}",
            ".command: /usr/bin/../bin/page is not allowed: \
             watchbell.exec_allowed must list it by its absolute name",
        ),
        ("{command: [relative]}", ".command: relative is no absolute name of a command"),
        ("{command: [/usr/bin/page, \"\\0\"]}", ".command: a command cannot hold a zero byte"),
        ("{command: [/usr/bin/page], timeout: 0s}", ".timeout: a command needs a time limit"),
        ("{command: [/usr/bin/page], env: {'a=b': c}}", ".env: \"a=b\" is no name of a variable"),
        (
            "{command: [/usr/bin/page], env: {A: c}, env_files: {A: d}}",
            ".env: at most one of env and env_files may hold A",
        ),
    ] {
        assert_eq!(fault("exec", item), format!("{at}{expected}"));
    }
    assert!(fault("exec", "{command: [/usr/bin/page], shell: true}").contains("unknown field"));
}
