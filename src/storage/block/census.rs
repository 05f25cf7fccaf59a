//! Counting what a block holds: bytes by metric and encoding, and series that come and go.

use super::page::{ChunkFacts, Page};
use super::read::{Block, Opened};
use crate::model::METRIC_NAME;
use crate::storage::analysis::{Census, MetricCount, Part};
use crate::storage::source::SourceError;
use rustc_hash::FxHashMap;

/// Between the block's first sample and a series' first, in milliseconds, for the series to begin
/// within the block: as long as a query looks back.
const GRACE_MS: u64 = 300_000;

/// Series of a label or a pair, and the time that they cover together.
#[derive(Clone, Copy, Debug, Default)]
struct Covered {
    series: u64,
    millis: u64,
}

/// What the index says about the series.
#[derive(Debug, Default)]
struct Indexed {
    /// Symbol of the metric's name, by number of series less one.
    metric_of: Vec<u32>,
    spans: Vec<(i64, i64)>,
    pairs: FxHashMap<(u32, u32), Covered>,
    names: FxHashMap<u32, Covered>,
}

impl Block {
    /// Adds what is in this block; nothing is changed, a lost index stays lost. A page that
    /// cannot be read is told and left out.
    ///
    /// # Errors
    /// The index cannot be read; nothing is added.
    pub(crate) fn count_into(&self, census: &mut Census) -> Result<(), SourceError> {
        let opened = Opened::open(self).map_err(|err| SourceError::Read(err.with_causes()))?;
        let indexed = opened.count_series()?;
        let mut metrics = FxHashMap::<u32, MetricCount>::default();
        for metric in &indexed.metric_of {
            metrics.entry(*metric).or_default().series += 1;
        }
        let (mut page_bytes, mut lost) = (0, 0);
        for (number, place) in (0..).zip(&opened.page_refs) {
            match opened.page(number) {
                Ok(page) => {
                    page_bytes += u64::from(place.len);
                    count_page(&page, u64::from(place.len), &indexed, &mut metrics, census);
                }
                Err(_damaged) => lost += 1,
            }
        }
        if lost > 0 {
            let text = format!("{lost} damaged pages of block {}; see fsck", self.name);
            census.left_out.push(text);
        }
        census.blocks += 1;
        census.series += indexed.spans.len() as u64;
        census.page_bytes += page_bytes;
        census.label_bytes += self.byte_len - self.index_bytes - page_bytes;
        census.index_bytes += self.index_bytes;
        for (metric, count) in metrics {
            census.metric(opened.text(metric)).add(&count);
        }
        indexed.count_churn(&opened, census);
        Ok(())
    }
}

impl Opened {
    fn count_series(&self) -> Result<Indexed, SourceError> {
        let mut found = Indexed::default();
        let metric_name = self.symbol(METRIC_NAME).unwrap_or_default();
        let ids: Vec<u32> = (1..=self.series).collect();
        self.read_series(&ids, &mut |number, pairs, span| {
            // Series that lost their labels are not told.
            let before = usize::try_from(number - 1).unwrap_or(usize::MAX);
            found.metric_of.resize(before.max(found.metric_of.len()), 0);
            let metric = pairs.iter().find(|(name, _)| *name == metric_name);
            found.metric_of.push(metric.map_or(0, |(_, value)| *value));
            found.spans.push((span.min, span.max));
            let millis = span.max.abs_diff(span.min);
            for (name, value) in pairs {
                found.pairs.entry((*name, *value)).or_default().add(millis);
                found.names.entry(*name).or_default().add(millis);
            }
            Ok(())
        })?;
        Ok(found)
    }
}

impl Indexed {
    /// As Prometheus: series times the part of the block that they do not cover, in whole series.
    ///
    /// Source: prometheus, cmd/promtool/tsdb.go (analyzeBlock).
    fn count_churn(&self, opened: &Opened, census: &mut Census) {
        let first = self.spans.iter().map(|(min, _)| *min).min().unwrap_or_default();
        let last = self.spans.iter().map(|(_, max)| *max).max().unwrap_or_default();
        let range = last.abs_diff(first).saturating_add(1);
        let grace = GRACE_MS.min(range / 10);
        let late = |(min, _): &&(i64, i64)| min.abs_diff(first) > grace;
        let early = |(_, max): &&(i64, i64)| last.abs_diff(*max) > grace;
        census.begins += self.spans.iter().filter(late).count() as u64;
        census.ends += self.spans.iter().filter(early).count() as u64;
        for ((name, value), covered) in &self.pairs {
            let (name, value) = (opened.text(*name), opened.text(*value));
            census.pair(name, value, covered.series, covered.missing(range));
        }
        for (name, covered) in &self.names {
            census.label(opened.text(*name), covered.missing(range));
        }
    }
}

impl Covered {
    const fn add(&mut self, millis: u64) {
        self.series += 1;
        self.millis = self.millis.saturating_add(millis);
    }

    /// How many whole series of `range` milliseconds are not covered.
    fn missing(self, range: u64) -> u64 {
        let all = u128::from(self.series) * u128::from(range);
        let missing = all.saturating_sub(u128::from(self.millis)) / u128::from(range.max(1));
        u64::try_from(missing).unwrap_or(u64::MAX)
    }
}

/// Counts a page whose record has so many bytes. What is packed together is shared out by the
/// bytes that each part has unpacked.
fn count_page(
    page: &Page,
    record_bytes: u64,
    indexed: &Indexed,
    metrics: &mut FxHashMap<u32, MetricCount>,
    census: &mut Census,
) {
    let raw = page.raw_len().max(1);
    let columns: Vec<(usize, usize)> = page.columns().collect();
    let mut users = vec![0_u32; columns.len()];
    let chunks: Vec<ChunkFacts> = page.chunks().collect();
    for chunk in &chunks {
        if let Some(user) = users.get_mut(chunk.column) {
            *user += 1;
        }
    }
    let mut parts: Vec<(Part, u64, u64, usize)> = Vec::new();
    for chunk in &chunks {
        let samples = columns.get(chunk.column).map_or(0, |(samples, _)| *samples) as u64;
        parts.push((Part::Values(chunk.encoding), 1, samples, chunk.bytes));
        census.chunks += 1;
        census.samples += samples;
    }
    for (samples, bytes) in &columns {
        parts.push((Part::Times, 1, *samples as u64, *bytes));
    }
    let heads = raw.saturating_sub(parts.iter().map(|(.., bytes)| *bytes).sum());
    parts.push((Part::Heads, 1, 0, heads));
    // Each gets what lies between its ends in the record, so that all together are the record.
    let (mut end, mut stored) = (0_u64, 0_u64);
    for (part, count, samples, bytes) in parts {
        end += bytes as u64;
        let until = end.saturating_mul(record_bytes) / raw as u64;
        census.part(part, count, samples, until - stored, bytes as u64);
        stored = until;
    }
    let scale = record_bytes as f64 / raw as f64;
    let head = heads as f64 / chunks.len().max(1) as f64;
    for chunk in &chunks {
        let column = columns.get(chunk.column).zip(users.get(chunk.column));
        let (samples, times) = column.map_or((0, 0.0), |((samples, bytes), users)| {
            (*samples as u64, *bytes as f64 / f64::from(*users).max(1.0))
        });
        let place = usize::try_from(chunk.series).unwrap_or(0).checked_sub(1);
        let metric = place.and_then(|place| indexed.metric_of.get(place));
        let count = metrics.entry(metric.copied().unwrap_or_default()).or_default();
        count.chunks += 1;
        count.samples += samples;
        count.bytes += (chunk.bytes as f64 + times + head) * scale;
    }
}
