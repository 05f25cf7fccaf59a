//! The store's own metrics, by the names that published dashboards read.

use super::append::{Committed, Refusal};
use super::head::HeadFacts;
use crate::sys::metrics::{Cell, Registry};

/// All of them.
#[derive(Debug)]
pub(super) struct StoreMetrics {
    pub(super) appended: Cell,
    pub(super) out_of_order: Cell,
    pub(super) late: Cell,
    pub(super) too_old: Cell,
    pub(super) out_of_bound: Cell,
    pub(super) log_failures: Cell,
    pub(super) series_created: Cell,
    pub(super) compactions: Cell,
    pub(super) compactions_failed: Cell,
    pub(super) corruptions: Cell,
    pub(super) blocks: Cell,
    pub(super) block_bytes: Cell,
    pub(super) wal_bytes: Cell,
    pub(super) free_bytes: Cell,
    pub(super) refusing: Cell,
    pub(super) blocks_dropped: Cell,
    checkpoints: Cell,
    series: Cell,
    chunks: Cell,
    symbol_bytes: Cell,
    min_time: Cell,
    max_time: Cell,
    min_time_seconds: Cell,
    max_time_seconds: Cell,
    lowest_seconds: Cell,
    refused: Vec<(Refusal, Cell)>,
}

/// Every reason, with the label value that stands for it.
const REASONS: [(Refusal, &str); 7] = [
    (Refusal::OutOfOrder, "out_of_order"),
    (Refusal::Duplicate, "duplicate"),
    (Refusal::TooOld, "too_old"),
    (Refusal::TooFarAhead, "too_far_ahead"),
    (Refusal::SeriesLimit, "series_limit"),
    (Refusal::Memory, "memory"),
    (Refusal::BadLabels, "bad_labels"),
];

impl StoreMetrics {
    pub(super) fn register(to: &Registry) -> Self {
        let counter = |name: &str, help| to.counter(&format!("prometheus_tsdb_{name}"), help, &[]);
        let gauge = |name: &str, help| to.gauge(&format!("prometheus_tsdb_{name}"), help, &[]);
        let own = |name: &str, help| to.gauge(&format!("watchbell_storage_{name}"), help, &[]);
        let float = |name: &str, help| {
            to.counter(&format!("prometheus_tsdb_{name}"), help, &[("type", "float")])
        };
        let refused = REASONS.map(|(why, reason)| {
            let name = "watchbell_storage_samples_refused_total";
            (why, to.counter(name, "Samples refused, by reason.", &[("reason", reason)]))
        });
        let dropped = "watchbell_storage_blocks_dropped_total";
        Self {
            appended: float("head_samples_appended_total", "Samples taken."),
            out_of_order: float("out_of_order_samples_total", "Samples refused as out of order."),
            late: float(
                "head_out_of_order_samples_appended_total",
                "Samples taken that were older than the newest of their series.",
            ),
            too_old: float("too_old_samples_total", "Samples refused as too old."),
            out_of_bound: float("out_of_bound_samples_total", "Samples refused as out of bounds."),
            log_failures: counter("wal_writes_failed_total", "Commits that the log did not take."),
            series_created: counter("head_series_created_total", "Series made in the head."),
            compactions: counter("compactions_total", "Blocks cut or merged."),
            compactions_failed: counter("compactions_failed_total", "Cuts and merges that failed."),
            corruptions: counter("wal_corruptions_total", "Damages found in any of its files."),
            blocks: gauge("blocks_loaded", "Blocks."),
            block_bytes: gauge("storage_blocks_bytes", "Bytes of blocks."),
            wal_bytes: gauge("wal_storage_size_bytes", "Bytes of the log."),
            free_bytes: own("free_bytes", "Free bytes of the file system that holds the data."),
            refusing: own("refusing", "Whether no samples are taken: disk full, or log broken."),
            blocks_dropped: to.counter(dropped, "Blocks dropped by retention.", &[]),
            checkpoints: counter("checkpoint_creations_total", "Checkpoints."),
            series: gauge("head_series", "Series in the head."),
            chunks: gauge("head_chunks", "Chunks in the head."),
            symbol_bytes: gauge(
                "symbol_table_size_bytes",
                "Bytes of names and values in the head.",
            ),
            min_time: gauge("head_min_time", "Oldest sample of the head, ms."),
            max_time: gauge("head_max_time", "Newest sample of the head, ms."),
            min_time_seconds: gauge("head_min_time_seconds", "Oldest sample of the head."),
            max_time_seconds: gauge("head_max_time_seconds", "Newest sample of the head."),
            lowest_seconds: gauge("lowest_timestamp_seconds", "Oldest sample of all."),
            refused: refused.into(),
        }
    }

    /// Counts what became of a commit.
    pub(super) fn committed(&self, committed: &Committed) {
        self.appended.add(committed.taken as f64);
        if committed.late > 0 {
            self.late.add(committed.late as f64);
        }
        if committed.created > 0 {
            self.series_created.add(committed.created as f64);
        }
        for (_, why) in &committed.refused {
            if let Some((_, cell)) = self.refused.iter().find(|(reason, _)| reason == why) {
                cell.inc();
            }
            match why {
                Refusal::OutOfOrder => self.out_of_order.inc(),
                Refusal::TooOld => self.too_old.inc(),
                Refusal::TooFarAhead => self.out_of_bound.inc(),
                Refusal::Duplicate
                | Refusal::SeriesLimit
                | Refusal::Memory
                | Refusal::BadLabels => {}
            }
        }
    }

    /// Samples refused since the start.
    pub(super) fn refused_total(&self) -> f64 {
        self.refused.iter().map(|(_, cell)| cell.get()).sum()
    }

    /// Counts a checkpoint.
    pub(super) fn checkpointed(&self) {
        self.checkpoints.inc();
    }

    /// Shows the head as it is now.
    pub(super) fn show_head(&self, facts: HeadFacts, oldest: Option<i64>) {
        self.series.set(facts.series as f64);
        self.chunks.set(facts.chunks as f64);
        self.symbol_bytes.set(facts.symbol_bytes as f64);
        let (min, max) = (facts.min_time.unwrap_or(0), facts.max_time.unwrap_or(0));
        self.min_time.set(min as f64);
        self.max_time.set(max as f64);
        self.min_time_seconds.set(min as f64 / 1000.0);
        self.max_time_seconds.set(max as f64 / 1000.0);
        self.lowest_seconds.set(oldest.unwrap_or(0) as f64 / 1000.0);
    }
}
