//! What the store holds, in the wire's form.

use crate::model::Timestamp;
use crate::storage::{Storage, TsdbStats};
use crate::wire::{BlockReport, HeadStats, NameValue, StorageReport, TsdbStatus};

/// Counts of the head, as `status/tsdb` has them.
pub(crate) fn tsdb_status(stats: TsdbStats) -> TsdbStatus {
    let list = |ranking: Vec<(String, u64)>| {
        ranking.into_iter().map(|(name, value)| NameValue { name, value }).collect()
    };
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

/// What the store holds, with rankings of `limit` places.
pub fn storage_report(storage: &Storage, limit: usize) -> StorageReport {
    let status = storage.status();
    let block = |block: crate::storage::BlockFacts| BlockReport {
        name: block.name,
        min_time: block.min.as_millis(),
        max_time: block.end.as_millis(),
        level: block.level,
        series: block.series,
        samples: block.samples,
        chunk_bytes: block.chunk_bytes,
        index_bytes: block.index_bytes,
    };
    StorageReport {
        blocks: storage.blocks().into_iter().map(block).collect(),
        wal_bytes: status.wal_bytes,
        free_bytes: status.free_bytes,
        retention: status.retention,
        damages: status.damages,
        tsdb: tsdb_status(storage.cardinality(limit)),
    }
}
