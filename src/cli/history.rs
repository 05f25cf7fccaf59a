//! `watchbell import`: a history from a file, into a stopped store or a running server.

use super::flags::{ImportKind, StoreChoice};
use super::teller::Teller;
use super::{Status, backfill, server, store};
use crate::exposition::Format;
use crate::ingest::import::{self, ImportError, Progress};
use crate::ingest::limits::SafetyLimits;
use crate::model::duration;
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::entropy::{Entropy as _, SystemEntropy};
use crate::wire::{Core, ImportAnswer, ImportPart};
use anyhow::Context as _;
use std::fs::File;
use std::io::{self, BufReader, Read, Write as _};
use std::path::Path;
use std::time::Duration;

/// Bytes of one request to a running server, half of what it takes.
const PART_BYTES: u64 = 8 << 20;

/// Imports the file that the flags name.
pub(super) fn run(kind: &ImportKind) -> anyhow::Result<Status> {
    let (file, choice) = match kind {
        ImportKind::Openmetrics { file, store } => (file, store),
        ImportKind::Rules(flags) => return backfill::run(flags),
    };
    let (text, bytes) = open(file)?;
    let mut teller = Teller::on_terminal();
    let mut tell = |progress: Progress| teller.tell(|elapsed| shown(progress, bytes, elapsed));
    let answer = match &choice.url {
        Some(url) => into_server(&*server::at(url)?, file, text, &mut tell)?,
        None => into_store(choice, file, text, &mut tell)?,
    };
    teller.clear();
    let mut out = io::stdout().lock();
    let ImportAnswer { samples, series, blocks } = answer;
    writeln!(out, "{samples} samples of {series} series imported into {blocks} blocks")?;
    Ok(Status::Fine)
}

/// The text, unpacked, and the bytes of the file.
fn open(path: &Path) -> anyhow::Result<(Box<dyn Read>, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin().lock()), None));
    }
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    if path.extension().is_some_and(|extension| extension == "gz") {
        return Ok((Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(file))), None));
    }
    let bytes = file.metadata().map(|facts| facts.len()).ok();
    Ok((Box::new(file), bytes))
}

fn into_store(
    choice: &StoreChoice,
    file: &Path,
    mut text: Box<dyn Read>,
    tell: &mut dyn FnMut(Progress),
) -> anyhow::Result<ImportAnswer> {
    let storage = store::open(choice)?;
    let mut importer = storage.import();
    let limits = SafetyLimits::default();
    let now = SystemClock::new().now();
    let read = import::read(&mut *text, Format::OpenMetrics, &limits, now, &mut importer, tell);
    read.map_err(|err| placed(err, file))?;
    let done = importer.finish()?;
    storage.close()?;
    Ok(ImportAnswer { samples: done.samples, series: done.series, blocks: done.blocks })
}

/// The error with the file's name before its place.
fn placed(err: ImportError, file: &Path) -> anyhow::Error {
    match err {
        ImportError::Text { .. } => {
            anyhow::anyhow!("{}:{err}; nothing was imported", file.display())
        }
        other => anyhow::Error::from(other).context(format!("cannot import {}", file.display())),
    }
}

/// Sends the text in parts, of which the server takes all or none.
fn into_server(
    core: &dyn Core,
    file: &Path,
    mut text: Box<dyn Read>,
    tell: &mut dyn FnMut(Progress),
) -> anyhow::Result<ImportAnswer> {
    let mut part = ImportPart { id: SystemEntropy.next_u64(), ..ImportPart::default() };
    let mut progress = Progress::default();
    loop {
        let mut bytes = Vec::new();
        let read = (&mut text).take(PART_BYTES).read_to_end(&mut bytes)? as u64;
        part.is_last = read < PART_BYTES;
        progress.bytes += read;
        let done = core.import(bytes, Some(part)).map_err(|err| in_file(&err.message, file))?;
        if part.is_last {
            return Ok(done);
        }
        part.number += 1;
        progress.samples = done.samples;
        tell(progress);
    }
}

/// A server's error, with the file's name before its place.
fn in_file(message: &str, file: &Path) -> anyhow::Error {
    let place = message.split_once(':').map(|(line, _)| line.parse::<usize>());
    match place {
        Some(Ok(_)) => anyhow::anyhow!("{}:{message}; nothing was imported", file.display()),
        Some(Err(_)) | None => {
            anyhow::anyhow!("cannot import {}: {message}; nothing was imported", file.display())
        }
    }
}

/// One line: how much, how fast, how long still.
fn shown(progress: Progress, all: Option<u64>, elapsed: Duration) -> String {
    let rate = progress.samples as f64 / elapsed.as_secs_f64().max(0.001);
    let speed = format!("{} samples, {:.2} M/s", progress.samples, rate / 1e6);
    match all.filter(|all| *all > 0 && progress.bytes > 0) {
        Some(all) => {
            let share = progress.bytes as f64 / all as f64;
            let left = elapsed.mul_f64((1.0 / share - 1.0).max(0.0));
            let left = duration::format(Duration::from_secs(left.as_secs()));
            format!("{:.0} %  {speed}  {left} left", share * 100.0)
        }
        None => format!("{} MiB  {speed}", progress.bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_server_has_its_place_in_the_file() {
        let text = |message| in_file(message, Path::new("h.om")).to_string();
        assert_eq!(text("42:7: odd"), "h.om:42:7: odd; nothing was imported");
        assert_eq!(text("disk: full"), "cannot import h.om: disk: full; nothing was imported");
    }

    #[test]
    fn progress_says_how_much_how_fast_and_how_long() {
        let progress = Progress { bytes: 25, samples: 3_000_000 };
        let ten = Duration::from_secs(10);
        assert_eq!(shown(progress, Some(100), ten), "25 %  3000000 samples, 0.30 M/s  30s left");
        assert_eq!(shown(progress, None, ten), "0 MiB  3000000 samples, 0.30 M/s");
    }
}
