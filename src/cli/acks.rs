//! `watchbell alerts ack` and `unack`: who works on what.

use super::flags::ServerChoice;
use super::{Status, Usage, matchers, server};
use crate::sys::process::login;
use crate::wire::{AckRequest, Error, ErrorKind, MatcherForm};
use clap::Args;
use std::io::{self, Write as _};

/// Flags of `watchbell alerts ack`.
#[derive(Clone, Debug, Args)]
pub(super) struct AckFlags {
    /// Fingerprints, or matchers on labels that firing alerts must have; a first word without one
    /// is the alert's name
    #[arg(value_name = "FINGERPRINT|MATCHER", required = true)]
    which: Vec<String>,
    /// What is said about it
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    comment: String,
    /// Who works on it [default: who is logged in]
    #[arg(short, long, value_name = "NAME")]
    author: Option<String>,
    /// Which server
    #[command(flatten)]
    server: ServerChoice,
}

/// Flags of `watchbell alerts unack`.
#[derive(Clone, Debug, Args)]
pub(super) struct UnackFlags {
    /// Fingerprints of the alerts
    #[arg(value_name = "FINGERPRINT", required = true)]
    fingerprints: Vec<String>,
    /// Who takes it back [default: who is logged in]
    #[arg(short, long, value_name = "NAME")]
    author: Option<String>,
    /// Which server
    #[command(flatten)]
    server: ServerChoice,
}

/// Acknowledges, and says how many.
pub(super) fn ack(flags: &AckFlags) -> anyhow::Result<Status> {
    let by = flags.author.clone().unwrap_or_else(login);
    let mut request = AckRequest { by, comment: flags.comment.clone(), ..AckRequest::default() };
    if flags.which.iter().all(|word| is_fingerprint(word)) {
        request.fingerprints.clone_from(&flags.which);
    } else {
        let found = matchers::of_args(&flags.which)?;
        request.matchers = found.iter().map(MatcherForm::from).collect();
    }
    let core = server::connect_alerting(&flags.server)?;
    let by_silence = core.acknowledges_by_silence()?;
    let count = core.acknowledge(&request).map_err(refused)?;
    let what = if count == 1 { "alert" } else { "alerts" };
    match by_silence {
        false => writeln!(io::stdout(), "{count} {what} acknowledged")?,
        true => writeln!(
            io::stdout(),
            "{count} {what} silenced for 30 minutes: this Alertmanager knows no acknowledgements"
        )?,
    }
    Ok(Status::Fine)
}

/// Takes acknowledgements back, one by one.
pub(super) fn unack(flags: &UnackFlags) -> anyhow::Result<Status> {
    let by = flags.author.clone().unwrap_or_else(login);
    let core = server::connect_alerting(&flags.server)?;
    for print in &flags.fingerprints {
        core.withdraw_ack(print, &by).map_err(refused)?;
    }
    Ok(Status::Fine)
}

/// What the server does not know is a wrong argument.
fn refused(err: Error) -> anyhow::Error {
    match err.kind {
        ErrorKind::NotFound | ErrorKind::BadData => Usage(err.message).into(),
        ErrorKind::Execution
        | ErrorKind::Timeout
        | ErrorKind::Canceled
        | ErrorKind::Internal
        | ErrorKind::NotAcceptable
        | ErrorKind::Unavailable
        | ErrorKind::Forbidden
        | ErrorKind::Busy => err.into(),
    }
}

fn is_fingerprint(word: &str) -> bool {
    word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}
