//! What takes the room: bytes by metric and by encoding, and which labels come and go.

use super::block::{Block, Blocks};
use super::cardinality::{Cardinality, keep_largest};
use super::chunk::Encoding;
use super::error::Result;
use super::store::{BlockFacts, Storage, TsdbStats};
use super::{Ranking, dir};
use crate::sys::files::SharedFiles;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// What is in the blocks that were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Analysis {
    /// Blocks that were read.
    pub blocks: u64,
    /// Their series; one that is in several counts in each.
    pub series: u64,
    /// Samples.
    pub samples: u64,
    /// Chunks.
    pub chunks: u64,
    /// Bytes of pages, which hold the chunks.
    pub page_bytes: u64,
    /// Bytes of label sets and the rest of the chunk files.
    pub label_bytes: u64,
    /// Bytes of indexes.
    pub index_bytes: u64,
    /// What the pages hold, by encoding; the columns of times and the heads of pages last.
    pub parts: Vec<PartFacts>,
    /// Metrics.
    pub metric_count: u64,
    /// The metrics whose chunks take most bytes, their times and parts of page heads included.
    pub metrics: Vec<MetricFacts>,
    /// Series that begin within a block, later than others.
    pub begins: u64,
    /// Series that end within a block, earlier than others.
    pub ends: u64,
    /// Pairs `name=value` by the part of their blocks that their series do not cover, in series.
    pub churn_by_pair: Ranking,
    /// As `churn_by_pair`, by label name.
    pub churn_by_label: Ranking,
    /// What was not read, one sentence each.
    pub left_out: Vec<String>,
}

/// One kind of bytes in pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartFacts {
    /// An encoding of values, `times` or `page heads`.
    pub name: &'static str,
    /// Chunks, columns or pages.
    pub count: u64,
    /// Samples in them.
    pub samples: u64,
    /// Bytes on the disk: their share of the packed page.
    pub bytes: u64,
    /// Bytes unpacked.
    pub raw_bytes: u64,
}

/// One metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricFacts {
    /// Its name.
    pub name: String,
    /// Its series; one that is in several blocks counts in each.
    pub series: u64,
    /// Its samples.
    pub samples: u64,
    /// Its chunks.
    pub chunks: u64,
    /// Bytes on the disk.
    pub bytes: u64,
}

/// The blocks of a folder that another process holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The blocks, in order of time.
    pub blocks: Vec<BlockFacts>,
    /// Rankings of labels in the newest block.
    pub labels: TsdbStats,
    /// What is in them.
    pub analysis: Analysis,
}

/// What a page is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Values of chunks.
    Values(Encoding),
    /// Columns of times.
    Times,
    /// What says where they lie.
    Heads,
}

/// Counts of one metric.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MetricCount {
    pub(super) series: u64,
    pub(super) samples: u64,
    pub(super) chunks: u64,
    pub(super) bytes: f64,
}

/// Counts that grow, block by block.
#[derive(Debug, Default)]
pub(super) struct Census {
    pub(super) blocks: u64,
    pub(super) series: u64,
    pub(super) samples: u64,
    pub(super) chunks: u64,
    pub(super) page_bytes: u64,
    pub(super) label_bytes: u64,
    pub(super) index_bytes: u64,
    pub(super) begins: u64,
    pub(super) ends: u64,
    pub(super) left_out: Vec<String>,
    parts: BTreeMap<Part, PartFacts>,
    metrics: HashMap<String, MetricCount>,
    churn_by_pair: HashMap<String, u64>,
    churn_by_label: HashMap<String, u64>,
    /// Rankings of labels, where they are wanted.
    labels: Option<Cardinality>,
}

impl Storage {
    /// Reads the newest blocks, up to `chunk_bytes_max` of chunk files, and tells what takes the
    /// room in them, with rankings of `limit` places.
    pub fn analyze(&self, chunk_bytes_max: u64, limit: usize) -> Analysis {
        let mut census = Census::default();
        let series = self.head.facts().series;
        if series > 0 {
            census.left_out.push(format!("the head: {series} series whose chunks are still open"));
        }
        census.read(&self.blocks.list(), chunk_bytes_max);
        census.finish(limit)
    }
}

/// Looks at the blocks of the store that the operator names `named` without opening it: blocks
/// never change, so this is safe while a server runs. Nothing is written.
///
/// # Errors
/// The directory cannot be read.
pub fn look(files: &SharedFiles, named: &Path, limit: usize) -> Result<Look> {
    let folder = dir::resolve(&**files, named)?.join("blocks");
    let mut census = Census::default();
    let list = Blocks::look(files, &folder, &mut census.left_out)?;
    let mut labels = TsdbStats::default();
    if let Some((newest, older)) = list.split_last() {
        census.labels = Some(Cardinality::default());
        census.read(std::slice::from_ref(newest), u64::MAX);
        if let Some(counts) = census.labels.take() {
            counts.rank(&mut labels, limit);
        }
        census.read(older, u64::MAX);
    }
    let blocks = list.iter().map(|block| block.public_facts()).collect();
    Ok(Look { blocks, labels, analysis: census.finish(limit) })
}

impl Census {
    /// Reads blocks, the newest first.
    fn read(&mut self, list: &[Arc<Block>], chunk_bytes_max: u64) {
        let (mut bytes, mut unread, mut unread_bytes) = (0_u64, 0, 0);
        for block in list.iter().rev() {
            let size = block.byte_len - block.index_bytes;
            if bytes + size > chunk_bytes_max {
                unread += 1;
                unread_bytes += size;
                continue;
            }
            bytes += size;
            if let Err(err) = block.count_into(self) {
                self.left_out.push(format!("block {}: {err}", block.name));
            }
        }
        if unread > 0 {
            self.left_out.push(format!(
                "{unread} blocks with {} MiB of chunks; a running server reads {} MiB at most",
                unread_bytes >> 20,
                chunk_bytes_max >> 20
            ));
        }
    }

    /// Adds to a part of pages.
    pub(super) fn part(&mut self, part: Part, count: u64, samples: u64, bytes: u64, raw: u64) {
        let facts = self.parts.entry(part).or_default();
        facts.name = part.name();
        facts.count += count;
        facts.samples += samples;
        facts.bytes += bytes;
        facts.raw_bytes += raw;
    }

    /// The counts of a metric.
    pub(super) fn metric(&mut self, name: &str) -> &mut MetricCount {
        if !self.metrics.contains_key(name) {
            self.metrics.insert(name.to_owned(), MetricCount::default());
        }
        self.metrics.get_mut(name).expect("it was just put there")
    }

    /// A pair of a block: its series, and how many of them are missing. One series alone never
    /// misses a whole one, so that labels of unique values take no memory.
    pub(super) fn pair(&mut self, name: &str, value: &str, series: u64, missing: u64) {
        if let Some(labels) = &mut self.labels {
            labels.add(name, value, series);
        }
        if missing > 0 {
            *self.churn_by_pair.entry(format!("{name}={value}")).or_default() += missing;
        }
    }

    /// A label name of a block.
    pub(super) fn label(&mut self, name: &str, missing: u64) {
        if missing > 0 {
            *self.churn_by_label.entry(name.to_owned()).or_default() += missing;
        }
    }

    fn finish(self, limit: usize) -> Analysis {
        let mut metrics: Vec<MetricFacts> =
            self.metrics.iter().map(|(name, count)| count.facts(name)).collect();
        metrics.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
        let metric_count = metrics.len() as u64;
        metrics.truncate(limit);
        let rank = |counts: HashMap<String, u64>| {
            let mut ranking: Ranking = counts.into_iter().collect();
            keep_largest(&mut ranking, limit);
            ranking
        };
        Analysis {
            blocks: self.blocks,
            series: self.series,
            samples: self.samples,
            chunks: self.chunks,
            page_bytes: self.page_bytes,
            label_bytes: self.label_bytes,
            index_bytes: self.index_bytes,
            parts: self.parts.into_values().collect(),
            metric_count,
            metrics,
            begins: self.begins,
            ends: self.ends,
            churn_by_pair: rank(self.churn_by_pair),
            churn_by_label: rank(self.churn_by_label),
            left_out: self.left_out,
        }
    }
}

impl MetricCount {
    /// Adds what another place has.
    pub(super) fn add(&mut self, other: &Self) {
        self.series += other.series;
        self.samples += other.samples;
        self.chunks += other.chunks;
        self.bytes += other.bytes;
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes of files")]
    fn facts(&self, name: &str) -> MetricFacts {
        let Self { series, samples, chunks, bytes } = *self;
        let bytes = bytes.round() as u64;
        MetricFacts { name: name.to_owned(), series, samples, chunks, bytes }
    }
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Values(encoding) => encoding.name(),
            Self::Times => "times",
            Self::Heads => "page heads",
        }
    }
}
