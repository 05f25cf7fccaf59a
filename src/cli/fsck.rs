//! `watchbell fsck`: reads a stopped store whole.

use super::Status;
use super::flags::{FsckFlags, StatusForm};
use super::store::size;
use crate::app;
use crate::storage::check::{self, Checked};
use crate::sys::files::{SharedFiles, SystemFiles};
use anyhow::Context as _;
use std::io::{self, Write};
use std::sync::Arc;

/// Reads a stopped store whole and tells what is wrong with it.
pub(super) fn run(flags: &FsckFlags) -> anyhow::Result<Status> {
    let files: SharedFiles = Arc::new(SystemFiles);
    let dir = flags.storage_path.clone().unwrap_or_else(|| app::default_data(false));
    let mut all: Vec<Checked> = Vec::new();
    let mut out = io::stdout().lock();
    let mut failed = None;
    check::check(&files, &dir, flags.repair, &mut |checked| {
        if failed.is_none() && flags.output == StatusForm::Table {
            failed = line(&checked, &mut out).err();
        }
        all.push(checked);
    })
    .context("cannot check the store; it must be stopped")?;
    if let Some(err) = failed {
        return Err(err.into());
    }
    let damaged = all.iter().filter(|checked| !checked.problems.is_empty()).count();
    match flags.output {
        StatusForm::Json => json(&all, &mut out)?,
        StatusForm::Table if damaged == 0 => writeln!(out, "{} files, all whole", all.len())?,
        StatusForm::Table => writeln!(out, "{damaged} of {} files are damaged", all.len())?,
    }
    Ok(if damaged == 0 { Status::Fine } else { Status::Wrong })
}

fn line(checked: &Checked, out: &mut dyn Write) -> io::Result<()> {
    let state = if checked.problems.is_empty() { "ok" } else { "DAMAGED" };
    writeln!(out, "{state:<8} {:>10}  {}", size(checked.bytes), checked.path.display())?;
    for problem in &checked.problems {
        writeln!(out, "           {problem}")?;
    }
    Ok(())
}

fn json(all: &[Checked], out: &mut dyn Write) -> anyhow::Result<()> {
    let file = |checked: &Checked| {
        serde_json::json!({
            "path": checked.path.display().to_string(),
            "bytes": checked.bytes,
            "items": checked.items,
            "problems": checked.problems,
        })
    };
    let files: Vec<_> = all.iter().map(file).collect();
    serde_json::to_writer_pretty(&mut *out, &files)?;
    writeln!(out)?;
    Ok(())
}
