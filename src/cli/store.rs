//! `watchbell storage`: a look inside the store.

use super::flags::{StatusFlags, StatusForm, StorageQuestion, StoreChoice};
use super::{Status, server};
use crate::app;
use crate::model::{Printable, Timestamp, duration};
use crate::storage::config::Config;
use crate::storage::{Deps, Error, ReplayProgress, Storage};
use crate::sys::clock::SystemClock;
use crate::sys::entropy::SystemEntropy;
use crate::sys::files::{SharedFiles, SystemFiles};
use crate::sys::metrics::Registry;
use crate::wire::{BlockReport, NameValue, StorageAnalysis, StorageReport};
use anyhow::{Context as _, bail};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Columns of a bar.
const BAR_WIDTH: usize = 20;

/// The store that the flags name, opened by this process.
pub(super) fn open(choice: &StoreChoice) -> anyhow::Result<Storage> {
    open_at(path(choice)).context(STOPPED)
}

/// Why a store is not opened.
const STOPPED: &str = "the store must be stopped; for a running server pass --url";

fn open_at(dir: PathBuf) -> Result<Storage, Error> {
    let deps = Deps {
        files: Arc::new(SystemFiles),
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SystemEntropy),
        registry: Registry::new(),
    };
    Storage::open(Config::at(dir), &deps, &ReplayProgress::new())
}

/// The folder that the flags name.
pub(super) fn path(choice: &StoreChoice) -> PathBuf {
    choice.storage_path.clone().unwrap_or_else(|| app::default_data(false))
}

/// Answers a question about the store.
pub(super) fn run(question: &StorageQuestion) -> anyhow::Result<Status> {
    let StorageQuestion::Status(flags) = question;
    let report = report(flags)?;
    let mut out = io::stdout().lock();
    match flags.output {
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
        (None, Some(dir)) => in_folder(dir, flags.limit),
        (None, None) => match server::running() {
            Some(core) => Ok(core.storage_report(flags.limit)?),
            None => in_folder(&path(&flags.store), flags.limit),
        },
    }
}

/// What a stopped store holds, or the blocks of one that a running server holds. A look makes no
/// store where there is none.
fn in_folder(dir: &Path, limit: usize) -> anyhow::Result<StorageReport> {
    if !dir.is_dir() {
        bail!("cannot find a store in {}; name its folder: --storage.path DIR", dir.display());
    }
    match open_at(dir.to_owned()) {
        Ok(storage) => Ok(app::storage_report(&storage, u64::MAX, limit)),
        Err(Error::Held { pid, .. }) => {
            let files: SharedFiles = Arc::new(SystemFiles);
            Ok(app::storage_look(&files, dir, pid, limit)?)
        }
        Err(err) => Err(anyhow::Error::from(err).context(STOPPED)),
    }
}

fn table(report: &StorageReport, out: &mut dyn Write) -> io::Result<()> {
    blocks(report, out)?;
    let head = &report.tsdb.head_stats;
    if !report.retention.is_empty() {
        writeln!(
            out,
            "\nHead: {} series, {} chunks, {} of log and open chunks\n{} free on the disk",
            head.num_series,
            head.chunk_count,
            size(report.wal_bytes),
            size(report.free_bytes)
        )?;
    }
    for damage in &report.damages {
        writeln!(out, "Damage: {damage}")?;
    }
    let analysis = &report.analysis;
    for left_out in &analysis.left_out {
        writeln!(out, "Not read: {left_out}")?;
    }
    if analysis.blocks > 0 {
        room(analysis, out)?;
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
    if analysis.blocks > 0 {
        churn(analysis, out)?;
    }
    Ok(())
}

fn blocks(report: &StorageReport, out: &mut dyn Write) -> io::Result<()> {
    let retention = match report.retention.as_str() {
        "" => String::new(),
        kept => format!("; retention {kept}"),
    };
    writeln!(out, "Blocks ({}{retention})", report.blocks.len())?;
    if !report.blocks.is_empty() {
        writeln!(
            out,
            "  {:<17} {:>8} {:>5} {:>9} {:>13} {:>10} {:>9}",
            "from (UTC)", "span", "level", "series", "samples", "bytes", "B/sample"
        )?;
    }
    for block in &report.blocks {
        let bytes = block.chunk_bytes + block.index_bytes;
        writeln!(
            out,
            "  {:<17} {:>8} {:>5} {:>9} {:>13} {:>10} {:>9}",
            minute(block.min_time),
            duration::format(Duration::from_millis(block.max_time.abs_diff(block.min_time))),
            block.level,
            block.series,
            block.samples,
            size(bytes),
            share(bytes, block.samples)
        )?;
    }
    let sum = |of: fn(&BlockReport) -> u64| report.blocks.iter().map(of).sum::<u64>();
    let (samples, chunks) = (sum(|block| block.samples), sum(|block| block.chunk_bytes));
    let index = sum(|block| block.index_bytes);
    writeln!(
        out,
        "  all: {samples} samples, {} of chunks, {} of index, {} B/sample",
        size(chunks),
        size(index),
        share(chunks + index, samples)
    )
}

/// What takes the room: encodings and metrics.
fn room(analysis: &StorageAnalysis, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "\nBytes in blocks ({} read): {} of pages, {} of labels, {} of index",
        analysis.blocks,
        size(analysis.page_bytes),
        size(analysis.label_bytes),
        size(analysis.index_bytes)
    )?;
    let heading = |count: &str, name: &str| {
        let (samples, bytes, each, share) = ("samples", "bytes", "B/sample", "share");
        format!("  {count:>10} {samples:>13} {bytes:>10} {each:>9} {share:>6}  {name}")
    };
    let row = |count: u64, samples: u64, bytes: u64, name: &str| {
        let part = bytes as f64 / analysis.page_bytes.max(1) as f64 * 100.0;
        let (size, share, name) = (size(bytes), share(bytes, samples), Printable::from(name));
        format!("  {count:>10} {samples:>13} {size:>10} {share:>9} {part:>5.1}%  {name}")
    };
    writeln!(out, "{}", heading("chunks", "encoding"))?;
    for part in &analysis.parts {
        writeln!(out, "{}", row(part.count, part.samples, part.bytes, &part.name))?;
    }
    let (shown, all) = (analysis.metrics.len(), analysis.metric_count);
    writeln!(out, "\nBytes by metric, series counted in each block (the first {shown} of {all})")?;
    writeln!(out, "{}", heading("series", "metric"))?;
    for metric in &analysis.metrics {
        writeln!(out, "{}", row(metric.series, metric.samples, metric.bytes, &metric.name))?;
    }
    Ok(())
}

fn churn(analysis: &StorageAnalysis, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "\nChurn: of {} series in blocks, {} begin and {} end within their block",
        analysis.series, analysis.begins, analysis.ends
    )?;
    for (title, ranking) in [
        ("Label names by churn", &analysis.churn_by_label_name),
        ("Label pairs by churn", &analysis.churn_by_label_pair),
    ] {
        if !ranking.is_empty() {
            writeln!(out, "\n{title} (series missing from their block)")?;
            bars(ranking, out)?;
        }
    }
    Ok(())
}

fn bars(ranking: &[NameValue], out: &mut dyn Write) -> io::Result<()> {
    let largest = ranking.iter().map(|row| row.value).max().unwrap_or(0).max(1);
    for row in ranking {
        let width = usize::try_from(row.value * BAR_WIDTH as u64 / largest).unwrap_or(0);
        let bar = "#".repeat(width.max(1));
        let name = Printable::from(row.name.as_str());
        writeln!(out, "  {:>10} {bar:<BAR_WIDTH$} {name}", row.value)?;
    }
    Ok(())
}

/// As `2026-11-25 19:16`.
fn minute(millis: i64) -> String {
    let text = crate::wire::rfc3339(Timestamp::from_millis(millis));
    let minutes = text.rsplitn(2, ':').last().unwrap_or_default();
    minutes.replace('T', " ")
}

fn share(bytes: u64, samples: u64) -> String {
    if samples == 0 { "-".to_owned() } else { format!("{:.3}", bytes as f64 / samples as f64) }
}

/// Bytes, for people.
pub(super) fn size(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if size < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1024.0;
    }
    format!("{size:.1} TiB")
}
