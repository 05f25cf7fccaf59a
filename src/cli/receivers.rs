//! `watchbell receivers`: who is told, and whether it works.

use super::flags::{ServerChoice, StatusForm};
use super::{Status, output, server};
use crate::wire::{ReceiverStatus, rfc3339};
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
