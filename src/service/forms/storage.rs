//! What the store holds, in the wire's form.

use crate::model::Timestamp;
use crate::storage::analysis::{Analysis, MetricFacts, PartFacts};
use crate::storage::{BlockFacts, Ranking, Storage, TsdbStats};
use crate::sys::files::SharedFiles;
use crate::wire::{
    BlockReport, HeadStats, MetricReport, NameValue, PartReport, StorageAnalysis, StorageReport,
    TsdbStatus,
};
use std::path::Path;

/// Counts of the head, as `status/tsdb` has them.
pub(crate) fn tsdb_status(stats: TsdbStats) -> TsdbStatus {
    TsdbStatus {
        head_stats: HeadStats {
            num_series: stats.series,
            num_label_pairs: stats.label_pairs,
            chunk_count: stats.chunks,
            // Prometheus shows the ends of an empty head as the ends of the type.
            min_time: stats.min_time.map_or(i64::MAX, Timestamp::as_millis),
            max_time: stats.max_time.map_or(i64::MIN, Timestamp::as_millis),
        },
        series_count_by_metric_name: list(stats.series_by_metric),
        label_value_count_by_label_name: list(stats.values_by_label),
        memory_in_bytes_by_label_name: list(stats.bytes_by_label),
        series_count_by_label_value_pair: list(stats.series_by_pair),
    }
}

/// What the store holds, with rankings of `limit` places. Of the blocks, so many bytes of chunks
/// are read at most, the newest first.
pub fn storage_report(storage: &Storage, chunk_bytes_max: u64, limit: usize) -> StorageReport {
    let status = storage.status();
    StorageReport {
        blocks: storage.blocks().into_iter().map(block).collect(),
        wal_bytes: status.wal_bytes,
        free_bytes: status.free_bytes,
        retention: status.retention,
        damages: status.damages,
        tsdb: tsdb_status(storage.cardinality(limit)),
        analysis: analysis(storage.analyze(chunk_bytes_max, limit)),
    }
}

/// What the blocks hold of a store that another process, `pid`, has open.
///
/// # Errors
/// Its folder cannot be read.
pub fn storage_look(
    files: &SharedFiles,
    dir: &Path,
    pid: u32,
    limit: usize,
) -> crate::storage::Result<StorageReport> {
    let look = crate::storage::analysis::look(files, dir, limit)?;
    let mut analysis = analysis(look.analysis);
    let head = format!("head and log, which pid {pid} holds open; ask that server: --url URL");
    analysis.left_out.insert(0, head);
    Ok(StorageReport {
        blocks: look.blocks.into_iter().map(block).collect(),
        free_bytes: files.space(dir).map_or(0, |space| space.free),
        tsdb: tsdb_status(look.labels),
        analysis,
        ..StorageReport::default()
    })
}

fn block(block: BlockFacts) -> BlockReport {
    BlockReport {
        name: block.name,
        min_time: block.min.as_millis(),
        max_time: block.end.as_millis(),
        level: block.level,
        series: block.series,
        samples: block.samples,
        chunk_bytes: block.chunk_bytes,
        index_bytes: block.index_bytes,
    }
}

fn analysis(found: Analysis) -> StorageAnalysis {
    let part = |part: PartFacts| PartReport {
        name: part.name.to_owned(),
        count: part.count,
        samples: part.samples,
        bytes: part.bytes,
        raw_bytes: part.raw_bytes,
    };
    let metric = |metric: MetricFacts| MetricReport {
        name: metric.name,
        series: metric.series,
        samples: metric.samples,
        chunks: metric.chunks,
        bytes: metric.bytes,
    };
    StorageAnalysis {
        blocks: found.blocks,
        series: found.series,
        samples: found.samples,
        chunks: found.chunks,
        page_bytes: found.page_bytes,
        label_bytes: found.label_bytes,
        index_bytes: found.index_bytes,
        parts: found.parts.into_iter().map(part).collect(),
        metric_count: found.metric_count,
        metrics: found.metrics.into_iter().map(metric).collect(),
        begins: found.begins,
        ends: found.ends,
        churn_by_label_pair: list(found.churn_by_pair),
        churn_by_label_name: list(found.churn_by_label),
        left_out: found.left_out,
    }
}

fn list(ranking: Ranking) -> Vec<NameValue> {
    ranking.into_iter().map(|(name, value)| NameValue { name, value }).collect()
}
