//! Old data: written as blocks, whatever its age and order.
//!
//! Samples are collected as the head's chunks, by series, so that hundreds of millions fit the budget.
//! When it is full, and at the end, they become blocks, which get their names only when all are
//! written: an import that fails or is killed before leaves nothing. Killed in that last moment,
//! some are visible; the same import once more completes it. Blocks may overlap those that are
//! there: reads and merges join them.

use super::block::{BlockSpec, SealedBlock};
use super::error::Result;
use super::head::{ChunkBytes, OpenChunk};
use super::source::Columns;
use super::store::Storage;
use crate::model::{Labels, Metadata};
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

/// Memory that collected samples take at most, before they become blocks; their series take about
/// 400 bytes each besides.
const BUDGET_BYTES: usize = 256 << 20;

/// A sample in a growing chunk is never larger.
const SAMPLE_BYTES: usize = 18;

/// Windows are widened until there are no more than this many, if retention allows.
const WINDOWS_WANTED: i64 = 12;

/// A series of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportSeries(usize);

/// Takes old samples. Dropped before `finish`, it leaves nothing behind that is visible.
#[derive(Debug)]
pub struct Importer<'a> {
    storage: &'a Storage,
    series: Vec<Collected>,
    by_labels: HashMap<Labels, usize>,
    metadata: Vec<(String, Metadata)>,
    bytes: usize,
    made: Vec<SealedBlock>,
    /// Names that were given before the store knows of them; what is here at the end is taken back.
    named: Vec<PathBuf>,
    done: Imported,
}

/// What was imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Samples.
    pub samples: u64,
    /// Series.
    pub series: u64,
    /// Blocks that were made.
    pub blocks: u64,
    /// The oldest sample, in milliseconds since the epoch.
    pub oldest: Option<i64>,
    /// The newest.
    pub newest: Option<i64>,
}

#[derive(Debug)]
struct Collected {
    labels: Labels,
    chunks: Vec<ChunkBytes>,
    open: OpenChunk,
}

impl Storage {
    /// Begins an import.
    pub fn import(&self) -> Importer<'_> {
        Importer {
            storage: self,
            series: Vec::new(),
            by_labels: HashMap::new(),
            metadata: Vec::new(),
            bytes: 0,
            made: Vec::new(),
            named: Vec::new(),
            done: Imported::default(),
        }
    }
}

impl Importer<'_> {
    /// The series with these labels; `None` when there are as many as a store may have.
    pub fn series(&mut self, labels: Labels) -> Option<ImportSeries> {
        if let Some(place) = self.by_labels.get(&labels) {
            return Some(ImportSeries(*place));
        }
        let place = self.series.len();
        if place >= self.storage.config().series_max {
            return None;
        }
        let (chunks, open) = (Vec::new(), OpenChunk::default());
        self.series.push(Collected { labels: labels.clone(), chunks, open });
        self.by_labels.insert(labels, place);
        Some(ImportSeries(place))
    }

    /// Notes what is said about a metric.
    pub fn describe(&mut self, name: String, metadata: Metadata) {
        self.metadata.push((name, metadata));
    }

    /// Takes a sample, `ts` in milliseconds since the epoch. Of samples of one series and time
    /// the first stays.
    ///
    /// # Errors
    /// The budget was full, and a block could not be written.
    pub fn push(&mut self, series: ImportSeries, ts: i64, value: f64) -> Result<()> {
        let Some(series) = self.series.get_mut(series.0) else { return Ok(()) };
        let rises = series.open.last().is_none_or(|(last, _)| last < ts);
        if !rises || series.open.is_full() {
            let grown = usize::from(series.open.count()) * SAMPLE_BYTES;
            let chunk = std::mem::take(&mut series.open).to_bytes();
            let kept = chunk.bytes.len() + size_of::<ChunkBytes>();
            self.bytes = (self.bytes + kept).saturating_sub(grown);
            series.chunks.push(chunk);
        }
        series.open.push(ts, value.to_bits());
        self.bytes += SAMPLE_BYTES;
        self.done.samples += 1;
        self.done.oldest = Some(self.done.oldest.map_or(ts, |oldest| oldest.min(ts)));
        self.done.newest = self.done.newest.max(Some(ts));
        if self.bytes > BUDGET_BYTES {
            self.spill()?;
        }
        Ok(())
    }

    /// Writes what is left, and makes all of it visible.
    ///
    /// # Errors
    /// A block cannot be written; nothing is visible.
    pub fn finish(mut self) -> Result<Imported> {
        self.spill()?;
        self.done.series = self.series.len() as u64;
        self.done.blocks = self.made.len() as u64;
        for block in std::mem::take(&mut self.made) {
            self.named.push(block.name()?);
        }
        self.storage.take_in(&self.named)?;
        self.named.clear();
        self.storage.describe(&self.metadata);
        Ok(self.done)
    }

    /// Makes blocks of what was collected.
    fn spill(&mut self) -> Result<()> {
        for series in &mut self.series {
            if series.open.count() > 0 {
                series.chunks.push(std::mem::take(&mut series.open).to_bytes());
            }
        }
        let span = self.window_span();
        let windows = self.windows(span);
        let mut order: Vec<usize> = (0..self.series.len()).collect();
        order.sort_by_key(|place| self.series.get(*place).map(|series| &series.labels));
        for window in windows {
            let block = self.write_window(window.saturating_mul(span), span, &order)?;
            self.made.extend(block);
        }
        for series in &mut self.series {
            series.chunks = Vec::new();
        }
        self.bytes = 0;
        Ok(())
    }

    /// The windows of `span` milliseconds in which there are samples, by number. A stray time far
    /// from all others costs one window, not all those between.
    fn windows(&self, span: i64) -> BTreeSet<i64> {
        let (mut windows, mut columns) = (BTreeSet::new(), Columns::default());
        for chunk in self.series.iter().flat_map(|series| &series.chunks) {
            let (first, last) = (chunk.min.div_euclid(span), chunk.max.div_euclid(span));
            windows.extend([first, last]);
            if last - first > 1 {
                columns.clear();
                let read = chunk.decode(chunk.min, chunk.max, &mut columns);
                debug_assert!(read.is_some(), "BUG: a chunk does not come back");
                windows.extend(columns.ts.iter().map(|ts| ts.div_euclid(span)));
            }
        }
        windows
    }

    /// The span of one block: the widest that leaves a few, within what merges make anyway.
    fn window_span(&self) -> i64 {
        let (shortest, widest) = self.storage.block_spans();
        let range = match (self.done.oldest, self.done.newest) {
            (Some(oldest), Some(newest)) => newest.saturating_sub(oldest),
            _ => 0,
        };
        let mut span = shortest;
        while range / span > WINDOWS_WANTED && span.saturating_mul(3) <= widest {
            span *= 3;
        }
        span
    }

    fn write_window(&self, min: i64, span: i64, order: &[usize]) -> Result<Option<SealedBlock>> {
        let end = min.saturating_add(span);
        let spec = BlockSpec {
            min,
            end,
            level: 0,
            id: self.storage.entropy.next_u64(),
            sources: Vec::new(),
            cut_end: None,
        };
        let mut writer = self.storage.blocks.begin(spec)?;
        let mut columns = Columns::default();
        for series in order.iter().filter_map(|place| self.series.get(*place)) {
            columns.clear();
            series.read(min, end - 1, &mut columns);
            writer.put(&series.labels, &columns)?;
        }
        writer.seal()
    }
}

impl Drop for Importer<'_> {
    fn drop(&mut self) {
        for dir in &self.named {
            if let Err(err) = self.storage.files.remove_dir_all(dir) {
                tracing::warn!(block = %dir.display(), %err, "cannot remove a block of a failed import");
            }
        }
    }
}

impl Collected {
    fn read(&self, from: i64, to: i64, out: &mut Columns) {
        for chunk in self.chunks.iter().filter(|chunk| chunk.min <= to && chunk.max >= from) {
            // It was encoded a moment ago.
            let read = chunk.decode(from, to, out);
            debug_assert!(read.is_some(), "BUG: a chunk does not come back");
        }
        if out.ts.is_sorted_by(|a, b| a < b) {
            return;
        }
        let pairs = out.ts.iter().copied().zip(out.values.iter().copied());
        let mut pairs: Vec<(i64, f64)> = pairs.collect();
        // Stable: of equal times the first stays.
        pairs.sort_by_key(|(ts, _)| *ts);
        pairs.dedup_by_key(|(ts, _)| *ts);
        out.clear();
        pairs.into_iter().for_each(|(ts, value)| out.push(ts, value));
    }
}
