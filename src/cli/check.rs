//! `watchbell check`: files are loaded as the server would, and every fault is printed.

use super::Status;
use super::flags::CheckKind;
use crate::config;
use std::io::{self, Write as _};
use std::path::Path;

/// Checks one file: what it holds, or its faults.
type Check = fn(&Path) -> Result<Vec<String>, config::Error>;

/// Checks all files; wrong when one of them is.
pub(super) fn run(kind: &CheckKind) -> anyhow::Result<Status> {
    let mut status = Status::Fine;
    let (files, check): (_, Check) = match kind {
        CheckKind::Config { files } => (files, config::check_config),
        CheckKind::Rules { files } => (files, config::check_rules),
        CheckKind::Alertmanager { files } => (files, config::check_alertmanager),
    };
    let mut out = io::stdout().lock();
    for file in files {
        writeln!(out, "Checking {}", file.display())?;
        match check(file) {
            Ok(lines) => {
                for line in lines {
                    writeln!(out, "  {line}")?;
                }
            }
            Err(err) => {
                status = Status::Wrong;
                writeln!(io::stderr(), "  FAILED:\n{err}")?;
            }
        }
    }
    Ok(status)
}
