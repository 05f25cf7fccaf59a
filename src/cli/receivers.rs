//! `watchbell receivers`: who is told, and whether it works.

use super::flags::{ServerChoice, StatusForm};
use super::{Status, matchers, output, server};
use crate::wire::{IntegrationTest, ReceiverStatus, ReceiverTest, rfc3339};
use clap::{Args, Subcommand};
use std::io::{self, Write as _};

/// Flags of `watchbell receivers`.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct ReceiversFlags {
    /// What is asked
    #[command(subcommand)]
    question: Option<ReceiversQuestion>,
    /// Flags of the list, which is the default
    #[command(flatten)]
    list: ListFlags,
}

/// What is asked about receivers.
#[derive(Clone, Debug, Subcommand)]
enum ReceiversQuestion {
    /// List receivers, what was last sent to them, and since when they fail
    #[command(
        after_help = "Examples:\n  watchbell receivers list\n  watchbell receivers list -o json\n  \
                      watchbell receivers list --alertmanager http://alertmanager:9093\n\nExit \
                      status: 0 none is known to fail, 1 one does, or the server cannot be asked, \
                      2 a wrong flag."
    )]
    List(ListFlags),
    /// Send a message that says TEST through a receiver
    #[command(
        after_help = "Examples:\n  watchbell receivers test team-db\n  watchbell receivers test \
                      team-db --integration slack\n  watchbell receivers test team-db -o json\n\n\
                      Each integration tries once. Incidents that the test opens are closed at \
                      once.\nExit status: 0 all of them took it, 1 one did not, or the server \
                      cannot be asked, 2 a wrong flag."
    )]
    Test(TestFlags),
}

/// Flags of `watchbell receivers test`.
#[derive(Clone, Debug, Args)]
struct TestFlags {
    /// The receiver
    #[arg(value_name = "NAME")]
    name: String,
    /// Only integrations of this kind, such as slack
    #[arg(long, value_name = "KIND")]
    integration: Option<String>,
    /// Only the one at this place among those of its kind, from 0
    #[arg(long, value_name = "NUMBER")]
    index: Option<u32>,
    /// Send the end of an alert
    #[arg(long)]
    resolved: bool,
    /// A label of the test's alert
    #[arg(short, long = "label", value_name = "NAME=VALUE")]
    labels: Vec<String>,
    /// Which server
    #[command(flatten)]
    server: ServerChoice,
    /// How the answer looks
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: StatusForm,
}

/// Flags of `watchbell receivers list`.
#[derive(Clone, Debug, Args)]
struct ListFlags {
    /// Which server
    #[command(flatten)]
    server: ServerChoice,
    /// How the answer looks
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: StatusForm,
}

/// Asks, and prints the answer.
pub(super) fn run(flags: &ReceiversFlags) -> anyhow::Result<Status> {
    let flags = match &flags.question {
        None => &flags.list,
        Some(ReceiversQuestion::List(flags)) => flags,
        Some(ReceiversQuestion::Test(flags)) => return test(flags),
    };
    let core = server::connect_alerting(&flags.server)?;
    // Receivers without an integration have no state, but a name.
    let mut found = match server::is_alertmanager(&flags.server) {
        true => Vec::new(),
        false => core.status()?.receivers,
    };
    let bare = |name: String| ReceiverStatus {
        name,
        integration: String::new(),
        last_ok: None,
        failing_since: None,
        last_error: String::new(),
        sent: 0,
        failed: 0,
    };
    for name in core.receivers(&[])? {
        if !found.iter().any(|one| one.name == name.name) {
            found.push(bare(name.name));
        }
    }
    let mut out = io::stdout().lock();
    match flags.output {
        StatusForm::Json => output::json(&found, &mut out)?,
        StatusForm::Table => {
            let rows: Vec<_> = found.iter().map(row).collect();
            let heading = ["RECEIVER", "BY", "SENT", "FAILED", "LAST OK", "FAILS SINCE", "ERROR"];
            output::columns(&heading, &rows, &mut out)?;
        }
    }
    if found.is_empty() {
        writeln!(io::stderr(), "no receivers")?;
    }
    let fails = found.iter().any(|one| one.failing_since.is_some());
    Ok(if fails { Status::Wrong } else { Status::Fine })
}

fn test(flags: &TestFlags) -> anyhow::Result<Status> {
    let asked = ReceiverTest {
        receiver: flags.name.clone(),
        integration: flags.integration.clone(),
        index: flags.index,
        resolved: flags.resolved,
        labels: matchers::labels(&flags.labels)?,
        ..ReceiverTest::default()
    };
    let told = server::connect(&flags.server)?.test_receiver(&asked)?;
    let mut out = io::stdout().lock();
    match flags.output {
        StatusForm::Json => output::json(&told, &mut out)?,
        StatusForm::Table => {
            let row = |one: &IntegrationTest| {
                vec![
                    format!("{}[{}]", one.integration, one.index),
                    if one.error.is_some() { "failed" } else { "ok" }.to_owned(),
                    one.code.map_or("-".to_owned(), |code| code.to_string()),
                    format!("{} ms", one.took_ms),
                    one.error.clone().unwrap_or_else(|| one.answer.clone()),
                ]
            };
            let rows: Vec<_> = told.iter().map(row).collect();
            output::columns(&["BY", "TEST", "CODE", "TOOK", "SAID"], &rows, &mut out)?;
        }
    }
    let fails = told.iter().any(|one| one.error.is_some());
    Ok(if fails { Status::Wrong } else { Status::Fine })
}

fn row(one: &ReceiverStatus) -> Vec<String> {
    let time = |at| Option::map_or(at, "-".to_owned(), rfc3339);
    let by = if one.integration.is_empty() { "-" } else { &one.integration };
    vec![
        one.name.clone(),
        by.to_owned(),
        one.sent.to_string(),
        one.failed.to_string(),
        time(one.last_ok),
        time(one.failing_since),
        one.last_error.clone(),
    ]
}
