//! `watchbell storage` and `watchbell fsck`: a look inside the store.

use super::flags::{FsckFlags, StatusFlags, StatusForm, StorageQuestion, StoreChoice};
use super::{Status, server};
use crate::app;
use crate::storage::check::{self, Checked};
use crate::storage::config::Config;
use crate::storage::{Deps, ReplayProgress, Storage};
use crate::sys::clock::SystemClock;
use crate::sys::entropy::SystemEntropy;
use crate::sys::files::{SharedFiles, SystemFiles};
use crate::sys::metrics::Registry;
use crate::wire::{BlockReport, NameValue, StorageReport};
use anyhow::{Context as _, bail};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// Columns of a bar.
const BAR_WIDTH: usize = 20;

/// The store that the flags name, opened by this process.
pub(super) fn open(choice: &StoreChoice) -> anyhow::Result<Storage> {
    let deps = Deps {
        files: Arc::new(SystemFiles),
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SystemEntropy),
        registry: Registry::new(),
    };
    let config = Config::at(path(choice));
    Storage::open(config, &deps, &ReplayProgress::new())
        .context("the store must be stopped; for a running server pass --url")
}

/// As `open`; a look makes no store where there is none.
fn open_existing(choice: &StoreChoice) -> anyhow::Result<Storage> {
    let dir = path(choice);
    if !dir.is_dir() {
        bail!("cannot find a store in {}; name its folder: --storage.path DIR", dir.display());
    }
    open(choice)
}

fn path(choice: &StoreChoice) -> PathBuf {
    choice.storage_path.clone().unwrap_or_else(|| app::default_data(false))
}

/// Answers a question about the store.
pub(super) fn run(question: &StorageQuestion) -> anyhow::Result<Status> {
    let StorageQuestion::Status(flags) = question;
    let report = report(flags)?;
    let mut out = io::stdout().lock();
    match flags.format {
        StatusForm::Json => {
            serde_json::to_writer_pretty(&mut out, &report)?;
            writeln!(out)?;
        }
        StatusForm::Table => table(&report, &mut out)?,
    }
    Ok(Status::Fine)
}

fn report(flags: &StatusFlags) -> anyhow::Result<StorageReport> {
    match (&flags.store.url, &flags.store.storage_path) {
        (Some(url), _) => Ok(server::at(url)?.storage_report(flags.limit)?),
        (None, Some(_)) => Ok(app::storage_report(&open_existing(&flags.store)?, flags.limit)),
        (None, None) => match server::running() {
            Some(core) => Ok(core.storage_report(flags.limit)?),
            None => Ok(app::storage_report(&open_existing(&flags.store)?, flags.limit)),
        },
    }
}

fn table(report: &StorageReport, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "Blocks ({}; retention {})", report.blocks.len(), report.retention)?;
    if !report.blocks.is_empty() {
        let (from, to) = ("from", "to");
        writeln!(
            out,
            "  {from:<24} {to:<24} {:>5} {:>9} {:>13} {:>10} {:>9} {:>8}",
            "level", "series", "samples", "chunks", "index", "B/sample"
        )?;
    }
    for block in &report.blocks {
        row(block, out)?;
    }
    let sum = |of: fn(&BlockReport) -> u64| report.blocks.iter().map(of).sum::<u64>();
    let (samples, chunks) = (sum(|block| block.samples), sum(|block| block.chunk_bytes));
    let index = sum(|block| block.index_bytes);
    writeln!(
        out,
        "  all: {samples} samples, {} of chunks, {} of index, {} bytes a sample",
        size(chunks),
        size(index),
        share(chunks + index, samples)
    )?;
    let head = &report.tsdb.head_stats;
    writeln!(
        out,
        "\nHead: {} series, {} chunks, {} of log and open chunks; {} free on the disk",
        head.num_series,
        head.chunk_count,
        size(report.wal_bytes),
        size(report.free_bytes)
    )?;
    for damage in &report.damages {
        writeln!(out, "Damage: {damage}")?;
    }
    for (title, ranking) in [
        ("Series by metric", &report.tsdb.series_count_by_metric_name),
        ("Values by label", &report.tsdb.label_value_count_by_label_name),
        ("Bytes of values by label", &report.tsdb.memory_in_bytes_by_label_name),
        ("Series by label pair", &report.tsdb.series_count_by_label_value_pair),
    ] {
        writeln!(out, "\n{title}")?;
        bars(ranking, out)?;
    }
    Ok(())
}

fn row(block: &BlockReport, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "  {:<24} {:<24} {:>5} {:>9} {:>13} {:>10} {:>9} {:>8}",
        date(block.min_time),
        date(block.max_time),
        block.level,
        block.series,
        block.samples,
        size(block.chunk_bytes),
        size(block.index_bytes),
        share(block.chunk_bytes + block.index_bytes, block.samples)
    )
}

fn bars(ranking: &[NameValue], out: &mut dyn Write) -> io::Result<()> {
    let largest = ranking.iter().map(|row| row.value).max().unwrap_or(0).max(1);
    for row in ranking {
        let width = usize::try_from(row.value * BAR_WIDTH as u64 / largest).unwrap_or(0);
        let bar = "#".repeat(width.max(1));
        let name = crate::model::Printable::from(row.name.as_str());
        writeln!(out, "  {:>10} {bar:<BAR_WIDTH$} {name}", row.value)?;
    }
    Ok(())
}

fn date(millis: i64) -> String {
    crate::wire::rfc3339(crate::model::Timestamp::from_millis(millis))
}

fn share(bytes: u64, samples: u64) -> String {
    if samples == 0 { "-".to_owned() } else { format!("{:.3}", bytes as f64 / samples as f64) }
}

fn size(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if size < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1024.0;
    }
    format!("{size:.1} TiB")
}

/// Reads a stopped store whole and tells what is wrong with it.
pub(super) fn fsck(flags: &FsckFlags) -> anyhow::Result<Status> {
    let files: SharedFiles = Arc::new(SystemFiles);
    let dir = flags.storage_path.clone().unwrap_or_else(|| app::default_data(false));
    let mut all: Vec<Checked> = Vec::new();
    let mut out = io::stdout().lock();
    let mut failed = None;
    check::check(&files, &dir, flags.repair, &mut |checked| {
        if failed.is_none() && flags.format == StatusForm::Table {
            failed = line(&checked, &mut out).err();
        }
        all.push(checked);
    })
    .context("cannot check the store; it must be stopped")?;
    if let Some(err) = failed {
        return Err(err.into());
    }
    let damaged = all.iter().filter(|checked| !checked.problems.is_empty()).count();
    match flags.format {
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
