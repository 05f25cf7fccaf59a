//! `watchbell heartbeats`: the dead man's switch, both ways.

use super::flags::{ServerChoice, StatusForm};
use super::{Status, output, server};
use crate::model::{Timestamp, duration};
use crate::wire::{ExpectedStatus, HeartbeatStatus, rfc3339};
use clap::Args;
use serde::Serialize;
use std::io::{self, Write as _};
use std::time::Duration;

/// Flags of `watchbell heartbeats`.
#[derive(Clone, Debug, Args)]
pub(super) struct HeartbeatsFlags {
    /// Which server
    #[command(flatten)]
    server: ServerChoice,
    /// How the answer looks
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: StatusForm,
}

/// What is told, for programs.
#[derive(Serialize)]
struct Answer {
    heartbeats: Vec<HeartbeatStatus>,
    expected: Vec<ExpectedStatus>,
}

/// Asks, and prints the answer.
pub(super) fn run(flags: &HeartbeatsFlags) -> anyhow::Result<Status> {
    let status = server::connect(&flags.server)?.status()?;
    let answer = Answer { heartbeats: status.heartbeats, expected: status.expected };
    let mut out = io::stdout().lock();
    match flags.output {
        StatusForm::Json => output::json(&answer, &mut out)?,
        StatusForm::Table => {
            if answer.heartbeats.is_empty() {
                let text = "nobody is told that this server works; see watchbell.heartbeats";
                writeln!(io::stderr(), "{text}")?;
            } else {
                let rows: Vec<_> = answer.heartbeats.iter().map(sent).collect();
                let heading = ["HEARTBEAT", "EVERY", "LAST OK", "FAILS SINCE", "ERROR"];
                output::columns(&heading, &rows, &mut out)?;
            }
            if !answer.expected.is_empty() {
                let rows: Vec<_> = answer.expected.iter().map(awaited).collect();
                let heading = ["EXPECTED", "KIND", "MATCHERS", "WITHIN", "LAST SEEN", "STATE"];
                output::columns(&heading, &rows, &mut out)?;
            }
        }
    }
    let fails = answer.heartbeats.iter().any(|one| one.failing_since.is_some())
        || answer.expected.iter().any(|one| one.missing);
    Ok(if fails { Status::Wrong } else { Status::Fine })
}

fn sent(one: &HeartbeatStatus) -> Vec<String> {
    vec![
        one.name.clone(),
        span(one.interval_seconds),
        time(one.last_ok),
        time(one.failing_since),
        one.last_error.clone(),
    ]
}

fn awaited(one: &ExpectedStatus) -> Vec<String> {
    vec![
        one.name.clone(),
        one.kind.clone(),
        one.matchers.clone(),
        span(one.within_seconds),
        time(one.last_seen),
        if one.missing { "missing" } else { "ok" }.to_owned(),
    ]
}

fn time(at: Option<Timestamp>) -> String {
    at.map_or("-".to_owned(), rfc3339)
}

fn span(seconds: f64) -> String {
    Duration::try_from_secs_f64(seconds).map_or("-".to_owned(), duration::format)
}
