//! How the store is set: flags as plain values, and the section `storage.tsdb` of the
//! configuration file.

use super::ballast::BALLAST_BYTES;
use crate::sys::settings::{ByteSize, Span};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// When the log is synced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalSync {
    /// Before each commit is visible.
    Always,
    /// This long after the first commit that is not synced, at the latest.
    Every(Duration),
    /// When the kernel likes; `commit_synced` still syncs.
    Off,
}

impl WalSync {
    /// Reads `always`, `off` or a duration such as `200ms`.
    ///
    /// # Errors
    /// A sentence that names the text and what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "always" => Ok(Self::Always),
            "off" => Ok(Self::Off),
            _ => match crate::model::duration::parse(text) {
                Ok(span) if !span.is_zero() => Ok(Self::Every(span)),
                Ok(_) | Err(_) => Err(format!(
                    "cannot read log sync {text:?}; write always, off or a duration such as 200ms"
                )),
            },
        }
    }
}

/// What the store needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data directory as the operator names it; see `dir::resolve` for a foreign one.
    pub dir: PathBuf,
    /// Blocks whose newest sample is older than this are dropped; `None` keeps them for ever.
    pub retention_time: Option<Duration>,
    /// The oldest blocks are dropped when blocks, log and head together hold more bytes.
    pub retention_bytes: Option<u64>,
    /// When the log is synced.
    pub wal_sync: WalSync,
    /// Free bytes below which no samples are taken; `None` for 3 % or 512 MB, the smaller.
    pub min_free_bytes: Option<u64>,
    /// Bytes of the file that is given up when the disk is full; 0 for none.
    pub ballast_bytes: u64,
    /// How far a sample may be behind the newest of its series. Zero: not at all.
    pub out_of_order_window: Duration,
    /// How far a sample may be behind the newest of the head.
    pub too_old_after: Duration,
    /// How far back data may reach while no block has been cut yet: a back-fill into a fresh
    /// store is older than an hour and welcome.
    pub fresh_store_reach: Duration,
    /// How far a sample may be ahead of the clock.
    pub too_far_ahead_after: Duration,
    /// Series in the head at most.
    pub series_max: usize,
    /// Labels of one series at most.
    pub labels_max: usize,
    /// Bytes of one label value at most.
    pub label_value_bytes_max: usize,
    /// Bytes of one label name at most.
    pub label_name_bytes_max: usize,
    /// Time that a freshly cut block spans; block boundaries are multiples of it.
    pub block_span: Duration,
    /// Time between checkpoints of the head.
    pub checkpoint_every: Duration,
    /// Bytes of one log segment.
    pub wal_segment_bytes: u64,
}

impl Config {
    /// The defaults, for data in `dir`.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            // Prometheus' default.
            retention_time: Some(Duration::from_secs(15 * 24 * 3600)),
            retention_bytes: None,
            wal_sync: WalSync::Every(Duration::from_millis(200)),
            min_free_bytes: None,
            ballast_bytes: BALLAST_BYTES,
            out_of_order_window: Duration::ZERO,
            too_old_after: Duration::from_secs(3600),
            fresh_store_reach: Duration::from_secs(24 * 3600),
            too_far_ahead_after: Duration::from_secs(300),
            // 400 bytes a series: 800 MB. `service` lowers it to the memory budget.
            series_max: 2_000_000,
            labels_max: 64,
            label_value_bytes_max: 4096,
            label_name_bytes_max: 128,
            block_span: Duration::from_secs(2 * 3600),
            checkpoint_every: Duration::from_secs(120),
            wal_segment_bytes: 16 << 20,
        }
    }

    /// Takes over what the configuration file says.
    pub fn apply(&mut self, settings: &TsdbSettings) {
        self.out_of_order_window = settings.out_of_order_time_window.0;
        if let Some(retention) = &settings.retention {
            if let Some(time) = retention.time {
                self.retention_time = (!time.0.is_zero()).then_some(time.0);
            }
            if let Some(bytes) = retention.size {
                self.retention_bytes = (bytes.0 > 0).then_some(bytes.0);
            }
        }
    }
}

/// `storage` of the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageSettings {
    /// `tsdb`.
    pub tsdb: TsdbSettings,
}

/// `storage.tsdb` of the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TsdbSettings {
    /// How far a sample may be behind the newest of its series.
    pub out_of_order_time_window: Span,
    /// How long data is kept; stands over the flags.
    pub retention: Option<RetentionSettings>,
}

/// `storage.tsdb.retention` of the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSettings {
    /// By age; 0 keeps data for ever.
    pub time: Option<Span>,
    /// By bytes; 0 sets no limit.
    pub size: Option<ByteSize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_sync_reads_its_three_forms() {
        for (text, expected) in [
            ("always", Some(WalSync::Always)),
            ("off", Some(WalSync::Off)),
            ("1s", Some(WalSync::Every(Duration::from_secs(1)))),
            ("0", None),
            ("sometimes", None),
        ] {
            assert_eq!(WalSync::parse(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn the_file_stands_over_the_flags() {
        let text = "tsdb: {out_of_order_time_window: 10m, retention: {time: 30d, size: 2GB}}";
        let settings: StorageSettings = serde_yaml::from_str(text).unwrap();
        let mut config = Config::at("/x");
        config.apply(&settings.tsdb);
        assert_eq!(config.out_of_order_window, Duration::from_secs(600));
        assert_eq!(config.retention_time, Some(Duration::from_secs(30 * 86400)));
        assert_eq!(config.retention_bytes, Some(2 << 30));
    }
}
