//! `watchbell import`: a history from a file, into a stopped store or a running server.

use super::flags::{ImportKind, StoreChoice};
use super::{Status, server, store};
use crate::exposition::{Format, LINE_BYTES_MAX};
use crate::ingest::import::{self, ImportError, Progress};
use crate::ingest::limits::SafetyLimits;
use crate::model::duration;
use crate::sys::clock::{Clock, SystemClock};
use crate::wire::{Core, ImportAnswer};
use anyhow::{Context as _, bail};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read, Write as _};
use std::path::Path;
use std::time::Duration;

/// Bytes of one request to a running server, half of what it takes.
const REQUEST_BYTES: usize = 8 << 20;

/// Between two looks at the progress.
const TOLD_EVERY: Duration = Duration::from_millis(200);

/// Imports the file that the flags name.
pub(super) fn run(kind: &ImportKind) -> anyhow::Result<Status> {
    let ImportKind::Openmetrics { file, store: choice } = kind;
    let (text, bytes) = open(file)?;
    let mut teller = Teller::new(bytes);
    let answer = match &choice.url {
        Some(url) => into_server(&*server::at(url)?, file, text, &mut teller)?,
        None => into_store(choice, file, text, &mut teller)?,
    };
    teller.end()?;
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
    teller: &mut Teller,
) -> anyhow::Result<ImportAnswer> {
    let storage = store::open(choice)?;
    let mut importer = storage.import();
    let limits = SafetyLimits::default();
    let now = SystemClock::new().now();
    let mut tell = |progress| teller.tell(progress);
    let read =
        import::read(&mut *text, Format::OpenMetrics, &limits, now, &mut importer, &mut tell);
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

/// Sends the text in parts, each of which the server takes whole or not at all.
fn into_server(
    core: &dyn Core,
    file: &Path,
    text: Box<dyn Read>,
    teller: &mut Teller,
) -> anyhow::Result<ImportAnswer> {
    let mut lines = BufReader::with_capacity(1 << 20, text);
    let (mut sum, mut progress) = (ImportAnswer::default(), Progress::default());
    let (mut request, mut line, mut family) = (Vec::new(), Vec::new(), Vec::new());
    // Lines of the text before those of the request, less the line that is repeated in it.
    let (mut before, mut seen) = (0_usize, 0_usize);
    let saw_end = loop {
        line.clear();
        let read = (&mut lines).take(LINE_BYTES_MAX as u64 + 2).read_until(b'\n', &mut line)?;
        seen += 1;
        if read > LINE_BYTES_MAX && !line.ends_with(b"\n") {
            bail!("{}:{seen}:1: the line is longer than 64 KiB", file.display());
        }
        progress.bytes += read as u64;
        let saw_end = line.trim_ascii_end() == b"# EOF";
        let is_end = read == 0 || saw_end;
        if line.starts_with(b"# TYPE ") {
            family.clone_from(&line);
        }
        if !is_end {
            request.extend_from_slice(&line);
        }
        if is_end || request.len() >= REQUEST_BYTES {
            request.extend_from_slice(b"# EOF\n");
            let done = core.import(std::mem::take(&mut request));
            let done = done.map_err(|err| in_file(&err.message, before, file, &sum))?;
            sum.samples += done.samples;
            sum.series = sum.series.max(done.series);
            sum.blocks += done.blocks;
            progress.samples = sum.samples;
            teller.tell(progress);
            request.extend_from_slice(&family);
            before = seen - usize::from(!family.is_empty());
        }
        if is_end {
            break saw_end;
        }
    };
    let rest = lines.read(&mut [0])?;
    match (saw_end, rest) {
        (false, _) => bail!("{}:{seen}:1: the text does not end with # EOF{KEPT}", file.display()),
        (true, 0) => Ok(sum),
        (true, _) => bail!("{}:{seen}:1: there is text behind # EOF{KEPT}", file.display()),
    }
}

/// Ends an error that came when all was sent.
const KEPT: &str = "; what came before is imported";

/// A server's error with its place in the whole text: `before` lines came before the request's.
fn in_file(message: &str, before: usize, file: &Path, sum: &ImportAnswer) -> anyhow::Error {
    let placed = message.split_once(':').and_then(|(line, rest)| {
        let line = line.parse::<usize>().ok()?.checked_add(before)?;
        Some(format!("{}:{line}:{rest}", file.display()))
    });
    let text = placed.unwrap_or_else(|| format!("cannot import {}: {message}", file.display()));
    match sum.samples {
        0 => anyhow::anyhow!("{text}; nothing was imported"),
        samples => anyhow::anyhow!("{text}; the {samples} samples before are imported"),
    }
}

/// Shows on a terminal how far it is.
struct Teller {
    clock: SystemClock,
    bytes: Option<u64>,
    told: Duration,
    shows: bool,
}

impl Teller {
    fn new(bytes: Option<u64>) -> Self {
        let shows = io::stderr().is_terminal();
        Self { clock: SystemClock::new(), bytes, told: Duration::ZERO, shows }
    }

    fn tell(&mut self, progress: Progress) {
        let elapsed = self.clock.elapsed();
        if !self.shows || elapsed.saturating_sub(self.told) < TOLD_EVERY {
            return;
        }
        self.told = elapsed;
        let line = shown(progress, self.bytes, elapsed);
        // A terminal that went away is no reason to stop.
        let _ = write!(io::stderr(), "\r\x1b[K{line}");
    }

    fn end(&self) -> io::Result<()> {
        if self.shows {
            write!(io::stderr(), "\r\x1b[K")?;
        }
        Ok(())
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
    fn an_error_of_a_part_has_its_place_in_the_file() {
        let file = Path::new("h.om");
        let mut sum = ImportAnswer::default();
        let text = |message, sum: &ImportAnswer| in_file(message, 40, file, sum).to_string();
        assert_eq!(text("2:7: odd", &sum), "h.om:42:7: odd; nothing was imported");
        sum.samples = 9;
        assert_eq!(text("2:7: odd", &sum), "h.om:42:7: odd; the 9 samples before are imported");
        assert_eq!(
            text("it is full", &sum),
            "cannot import h.om: it is full; the 9 samples before are imported"
        );
    }

    #[test]
    fn progress_says_how_much_how_fast_and_how_long() {
        let progress = Progress { bytes: 25, samples: 3_000_000 };
        let ten = Duration::from_secs(10);
        assert_eq!(shown(progress, Some(100), ten), "25 %  3000000 samples, 0.30 M/s  30s left");
        assert_eq!(shown(progress, None, ten), "0 MiB  3000000 samples, 0.30 M/s");
    }
}
