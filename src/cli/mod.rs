//! Commands and flags: arguments in, exit status out.
//!
//! Owns the table of flags and one file a command. Start reading at `flags.rs`.
//!
//! Never: behaviour of its own beyond asking and printing.

mod acks;
mod alerts;
mod ask;
mod backfill;
mod check;
mod drill;
mod explain;
mod flags;
mod fsck;
mod happened;
mod heartbeats;
mod history;
mod matchers;
mod output;
mod probe;
mod receivers;
mod routes;
mod rules;
mod scrape;
mod serve;
mod server;
mod silence;
mod store;
mod targets;
mod teller;
mod test_rules;
mod tui;
mod why;

use clap::{CommandFactory as _, Parser as _};
use flags::{Cli, Command};
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    /// Fine.
    Fine,
    /// The thing asked about is wrong: a check failed, a query errored.
    Wrong,
    /// A status that the command's help explains.
    Own(u8),
}

/// An argument that cannot be used, though the table of flags took it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// A wrong flag or argument.
const USAGE: u8 = 2;

/// Runs the command that the arguments name.
pub fn run(args: Vec<String>) -> ExitCode {
    let (args, meaningless) = flags::without_meaningless(args);
    let usage = match args.get(1).map(String::as_str) {
        Some("alerts" | "why") => alerts::USAGE,
        Some(_) | None => USAGE,
    };
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(err) => {
            // Help and version are answers on standard output; the rest is a usage error.
            let _ = err.print();
            return ExitCode::from(if err.use_stderr() { usage } else { 0 });
        }
    };
    match dispatch(cli, &meaningless) {
        Ok(Status::Fine) => ExitCode::SUCCESS,
        Ok(Status::Wrong) => ExitCode::from(1),
        Ok(Status::Own(status)) => ExitCode::from(status),
        Err(err) if is_closed_pipe(&err) => ExitCode::SUCCESS,
        Err(err) => {
            let text = format!("{err:#}");
            let _ = writeln!(std::io::stderr(), "watchbell: {text}");
            ExitCode::from(if err.is::<Usage>() { USAGE } else { 1 })
        }
    }
}

fn dispatch(cli: Cli, meaningless: &[String]) -> anyhow::Result<Status> {
    match cli.command {
        None if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() => {
            tui::here(&cli.server, &cli.screen, meaningless)
        }
        None => serve::run(&cli.server, meaningless),
        Some(Command::Serve(flags)) => serve::run(&flags, meaningless),
        Some(Command::Tui(flags)) => tui::attach(&flags),
        Some(Command::Query(flags)) => ask::run(flags.question),
        Some(Command::Targets { question }) => targets::run(&question),
        Some(Command::Probe(flags)) => probe::run(&flags),
        Some(Command::Scrape(flags)) => scrape::run(&flags),
        Some(Command::Import { kind }) => history::run(&kind),
        Some(Command::Storage { question }) => store::run(&question),
        Some(Command::Fsck(flags)) => fsck::run(&flags),
        Some(Command::Alerts(flags)) => alerts::run(&flags),
        Some(Command::Why(flags)) => alerts::run_why(&flags),
        Some(Command::Silence { question }) => silence::run(&question),
        Some(Command::Routes { question }) => routes::run(&question),
        Some(Command::Receivers(flags)) => receivers::run(&flags),
        Some(Command::Heartbeats(flags)) => heartbeats::run(&flags),
        Some(Command::Rules(flags)) => rules::run(&flags),
        Some(Command::Check { kind }) => check::run(&kind),
        Some(Command::Test { kind }) => test_rules::run(&kind),
        Some(Command::Completions { shell }) => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "watchbell", &mut text);
            std::io::stdout().write_all(&text)?;
            Ok(Status::Fine)
        }
    }
}

/// A reader that had enough, as in `watchbell query ... | head`, is no error.
fn is_closed_pipe(err: &anyhow::Error) -> bool {
    err.downcast_ref::<std::io::Error>()
        .is_some_and(|err| err.kind() == std::io::ErrorKind::BrokenPipe)
}
