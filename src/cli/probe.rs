//! `watchbell probe`: one probe by the running server, told line by line.

use super::flags::ProbeFlags;
use super::{Status, server};
use crate::model::printable;
use crate::wire::ProbeRequest;
use std::io::{self, Write as _};

/// Probes once, and prints the log, the metrics and the module.
pub(super) fn run(flags: &ProbeFlags) -> anyhow::Result<Status> {
    let core = server::connect(&flags.server)?;
    let request = ProbeRequest {
        target: flags.target.clone(),
        module: flags.module.clone(),
        hostname: flags.hostname.clone().unwrap_or_default(),
        patience: Some(flags.timeout),
        debug: true,
        listed_only: false,
    };
    let text = core.probe(&request)?;
    let mut out = io::stdout().lock();
    // Servers that were probed wrote some of it.
    for line in text.lines() {
        writeln!(out, "{}", printable(line))?;
    }
    let succeeded = text.lines().any(|line| line == "probe_success 1");
    Ok(if succeeded { Status::Fine } else { Status::Wrong })
}
