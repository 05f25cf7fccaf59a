//! Reads a history as text, OpenMetrics or Prometheus' own format with timestamps, piece by piece.

use super::limits::{HELP_BYTES_MAX, SafetyLimits};
use crate::exposition::{Carry, Entry, Format, LINE_BYTES_MAX, Pairs, Parser, SampleLine};
use crate::model::{Labels, LabelsBuilder, Metadata, Timestamp};
use crate::storage::import::{ImportSeries, Importer};
use foldhash::quality::RandomState;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::hash::BuildHasher as _;
use std::io::Read;

/// Bytes that are read at a time; a line is far shorter.
const PIECE_BYTES: usize = 1 << 20;

/// Lines whose series is remembered: 24 bytes each.
const LINES_MAX: usize = 4_000_000;

/// Why a history is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The text is wrong at this place.
    #[error("{line}:{column}: {message}")]
    Text {
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
        /// What was found and what is wanted.
        message: String,
    },
    /// The text cannot be read.
    #[error("cannot read the text")]
    Read(#[from] std::io::Error),
    /// The store cannot write.
    #[error(transparent)]
    Store(#[from] crate::storage::Error),
}

/// How far a reading is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of text.
    pub bytes: u64,
    /// Samples.
    pub samples: u64,
}

/// Reads all of `text` into `importer`; `tell` is called after each piece.
///
/// # Errors
/// See `ImportError`; what was read so far is in the importer, which must be dropped.
pub fn read(
    text: &mut dyn Read,
    format: Format,
    limits: &SafetyLimits,
    now: Timestamp,
    importer: &mut Importer<'_>,
    tell: &mut dyn FnMut(Progress),
) -> Result<(), ImportError> {
    let mut reading = Reading {
        format,
        limits,
        // As far ahead of the clock as any sample may be.
        newest: now.plus_millis(300_000),
        importer,
        keys: RandomState::default(),
        lines: FxHashMap::default(),
        said: BTreeMap::new(),
        carry: Carry::default(),
        line: 1,
        progress: Progress::default(),
    };
    let mut buffer = Vec::with_capacity(PIECE_BYTES + LINE_BYTES_MAX);
    loop {
        let kept = buffer.len();
        let read = text.take((PIECE_BYTES) as u64).read_to_end(&mut buffer)?;
        let is_end = read == 0;
        let whole = if is_end { buffer.len() } else { line_end(&buffer) };
        if whole == 0 && !is_end && kept > LINE_BYTES_MAX {
            return Err(reading.wrong("the line is longer than 64 KiB"));
        }
        reading.piece(buffer.get(..whole).unwrap_or_default())?;
        buffer.drain(..whole);
        reading.progress.bytes += read as u64;
        tell(reading.progress);
        if is_end {
            return reading.end();
        }
    }
}

fn line_end(bytes: &[u8]) -> usize {
    memchr::memrchr(b'\n', bytes).map_or(0, |place| place + 1)
}

struct Reading<'a, 'b> {
    format: Format,
    limits: &'a SafetyLimits,
    newest: Timestamp,
    importer: &'a mut Importer<'b>,
    keys: RandomState,
    lines: FxHashMap<u64, ImportSeries>,
    said: BTreeMap<String, Metadata>,
    carry: Carry,
    /// The line at which the next piece begins.
    line: usize,
    progress: Progress,
}

impl Reading<'_, '_> {
    fn piece(&mut self, bytes: &[u8]) -> Result<(), ImportError> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.carry.saw_eof {
            return Err(self.wrong("unexpected data after # EOF"));
        }
        let carry = std::mem::take(&mut self.carry);
        let mut parser = Parser::piece(bytes, self.format, &carry);
        while let Some(entry) = parser.next() {
            let entry = entry.map_err(|err| ImportError::Text {
                line: self.line + err.line - 1,
                column: err.column,
                message: err.message,
            })?;
            let taken = match entry {
                Entry::Sample(line) => self.sample(&line),
                Entry::Type { name, kind } => {
                    self.said.entry(name.into_owned()).or_default().kind = kind;
                    Ok(())
                }
                Entry::Help { name, text } => {
                    let kept = text.floor_char_boundary(HELP_BYTES_MAX);
                    let text = text.get(..kept).unwrap_or_default();
                    text.clone_into(&mut self.said.entry(name.into_owned()).or_default().help);
                    Ok(())
                }
                Entry::Unit { name, unit } => {
                    self.said.entry(name.into_owned()).or_default().unit = unit.into_owned();
                    Ok(())
                }
            };
            if let Err(wrong) = taken {
                // The parser stands behind the line that is wrong.
                let before = bytes.len() - parser.rest_len();
                let lines = bytes.get(..before).unwrap_or(bytes);
                let count = memchr::memchr_iter(b'\n', lines).count().max(1);
                return Err(match wrong {
                    Wrong::Line(message) => {
                        ImportError::Text { line: self.line + count - 1, column: 1, message }
                    }
                    Wrong::Store(err) => err.into(),
                });
            }
        }
        let next = parser.carry();
        self.carry = next;
        self.line += memchr::memchr_iter(b'\n', bytes).count();
        Ok(())
    }

    fn end(mut self) -> Result<(), ImportError> {
        if self.format == Format::OpenMetrics && !self.carry.saw_eof {
            return Err(self.wrong("data does not end with # EOF; the file may be cut off"));
        }
        for (name, metadata) in std::mem::take(&mut self.said) {
            self.importer.describe(name, metadata);
        }
        Ok(())
    }

    fn sample(&mut self, line: &SampleLine<'_>) -> Result<(), Wrong> {
        let Some(ts) = line.ts else {
            let text = "the sample has no timestamp; a history needs one on every line";
            return Err(Wrong::Line(text.to_owned()));
        };
        if ts > self.newest {
            return Err(Wrong::Line(format!("the timestamp {ts} is in the future")));
        }
        let key = self.keys.hash_one((line.series.raw(), line.series.normalize()));
        let series = match self.lines.get(&key) {
            Some(series) => *series,
            None => self.learn(key, line)?,
        };
        self.progress.samples += 1;
        self.importer.push(series, ts.as_millis(), line.value).map_err(Wrong::Store)
    }

    fn learn(&mut self, key: u64, line: &SampleLine<'_>) -> Result<ImportSeries, Wrong> {
        let mut pairs = Pairs::new();
        line.series.read(&mut pairs).map_err(|err| Wrong::Line(err.message))?;
        let labels = self.labels(&pairs).map_err(Wrong::Line)?;
        let full = || Wrong::Line("there are more series than a store may have".to_owned());
        let series = self.importer.series(labels).ok_or_else(full)?;
        if self.lines.len() >= LINES_MAX {
            self.lines.clear();
        }
        self.lines.insert(key, series);
        Ok(series)
    }

    fn labels(&self, pairs: &Pairs<'_>) -> Result<Labels, String> {
        let limits = self.limits;
        let mut labels = LabelsBuilder::default();
        for (name, value) in pairs {
            if name.len() > limits.label_name_bytes_max
                || value.len() > limits.label_value_bytes_max
            {
                let shown: String = name.chars().take(50).collect();
                return Err(format!("label {shown:?} or its value is too long"));
            }
            labels.set(name.as_ref(), value.as_ref());
        }
        let labels = labels.build();
        if labels.len() > limits.labels_max {
            return Err(format!("more than {} labels", limits.labels_max));
        }
        if labels.metric_name().is_none() {
            return Err("the series has no metric name".to_owned());
        }
        Ok(labels)
    }

    fn wrong(&self, message: &str) -> ImportError {
        ImportError::Text { line: self.line, column: 1, message: message.to_owned() }
    }
}

/// What is wrong with a sample.
enum Wrong {
    Line(String),
    Store(crate::storage::Error),
}
