//! `watchbell fsck`: reads a stopped store whole.

use super::Status;
use super::flags::{FsckFlags, StatusForm};
use super::store::size;
use super::teller::Teller;
use crate::app;
use crate::model::duration;
use crate::storage::check::{self, Checked, Progress, Told};
use crate::sys::files::{SharedFiles, SystemFiles};
use anyhow::Context as _;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

/// Reads a stopped store whole and tells what is wrong with it.
pub(super) fn run(flags: &FsckFlags) -> anyhow::Result<Status> {
    let files: SharedFiles = Arc::new(SystemFiles);
    let dir = flags.storage_path.clone().unwrap_or_else(|| app::default_data(false));
    let is_table = flags.output == StatusForm::Table;
    let mut teller = if is_table { Teller::on_terminal() } else { Teller::silent() };
    let mut all: Vec<Checked> = Vec::new();
    let mut out = io::stdout().lock();
    let mut written = Ok(());
    let checked = check::check(&files, &dir, flags.repair, &mut |told| match told {
        Told::Progress(progress) => teller.tell(|elapsed| shown(progress, elapsed)),
        Told::File(checked) => {
            teller.clear();
            if written.is_ok() && is_table {
                written = line(&checked, &mut out);
            }
            all.push(checked);
        }
    });
    teller.clear();
    checked.context("cannot check the store; it must be stopped")?;
    written?;
    let damaged = all.iter().filter(|checked| !checked.problems.is_empty()).count();
    match flags.output {
        StatusForm::Json => json(&all, &mut out)?,
        StatusForm::Table => writeln!(out, "{}", summary(&all, damaged))?,
    }
    Ok(if damaged == 0 { Status::Fine } else { Status::Wrong })
}

/// One line: how much, how fast, how long still.
fn shown(progress: Progress, elapsed: Duration) -> String {
    let Progress { bytes, bytes_all } = progress;
    let part = bytes as f64 / bytes_all.max(1) as f64;
    let rate = bytes as f64 / elapsed.as_secs_f64().max(0.001) / f64::from(1 << 20);
    let left = if bytes == 0 { 0.0 } else { elapsed.as_secs_f64() * (1.0 / part - 1.0).max(0.0) };
    let left = Duration::try_from_secs_f64(left.round()).unwrap_or(Duration::MAX);
    let (read, all, left) = (size(bytes), size(bytes_all), duration::format(left));
    format!("{:.0} %  {read} of {all}, {rate:.0} MiB/s  {left} left", part * 100.0)
}

fn summary(all: &[Checked], damaged: usize) -> String {
    let sum = |of: fn(&Checked) -> u64| all.iter().map(of).sum::<u64>();
    let state = match damaged {
        0 => "all whole".to_owned(),
        damaged => format!("{damaged} damaged"),
    };
    format!(
        "{} files, {state}; read {}, {} records, {} chunks, {} samples",
        all.len(),
        size(sum(|checked| checked.bytes)),
        sum(|checked| checked.records),
        sum(|checked| checked.chunks),
        sum(|checked| checked.samples)
    )
}

fn line(checked: &Checked, out: &mut dyn Write) -> io::Result<()> {
    let state = if checked.problems.is_empty() { "ok" } else { "DAMAGED" };
    writeln!(out, "{state:<8} {:>10}  {}", size(checked.bytes), checked.path.display())?;
    for problem in &checked.problems {
        writeln!(out, "{problem}")?;
    }
    Ok(())
}

fn json(all: &[Checked], out: &mut dyn Write) -> anyhow::Result<()> {
    let problem = |problem: &check::Problem| {
        serde_json::json!({
            "file": problem.file.display().to_string(),
            "offset": problem.offset,
            "text": problem.text,
        })
    };
    let file = |checked: &Checked| {
        serde_json::json!({
            "path": checked.path.display().to_string(),
            "bytes": checked.bytes,
            "records": checked.records,
            "chunks": checked.chunks,
            "samples": checked.samples,
            "problems": checked.problems.iter().map(problem).collect::<Vec<_>>(),
        })
    };
    let files: Vec<_> = all.iter().map(file).collect();
    serde_json::to_writer_pretty(&mut *out, &files)?;
    writeln!(out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_how_much_how_fast_and_how_long() {
        let progress = Progress { bytes: 256 << 20, bytes_all: 1 << 30 };
        let text = shown(progress, Duration::from_secs(2));
        assert_eq!(text, "25 %  256.0 MiB of 1.0 GiB, 128 MiB/s  6s left");
        assert_eq!(shown(Progress::default(), Duration::ZERO), "0 %  0 B of 0 B, 0 MiB/s  0s left");
    }

    #[test]
    fn a_summary_counts_what_was_read() {
        let one = Checked { bytes: 512, records: 1, chunks: 2, samples: 3, ..Checked::default() };
        assert_eq!(
            summary(&[one.clone(), one], 1),
            "2 files, 1 damaged; read 1.0 KiB, 2 records, 4 chunks, 6 samples"
        );
    }
}
