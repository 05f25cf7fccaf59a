//! How the store is set: flags as plain values, and the section `storage` of the configuration
//! file.

use super::ballast::BALLAST_BYTES;
use crate::model::Problem;
use crate::sys::settings::{ByteSize, Span};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Exemplars when the file does not say how many: Prometheus' default.
const EXEMPLARS_MAX: usize = 100_000;

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
    /// What flags say about retention by time; see `retention`.
    pub retention_time: Option<Duration>,
    /// What flags say about retention by size; see `retention`.
    pub retention_bytes: Option<u64>,
    /// What the file says about retention.
    pub retention_file: RetentionSettings,
    /// When the log is synced.
    pub wal_sync: WalSync,
    /// Free bytes below which no samples are taken; `None` for 3 % or 512 MB, the smaller.
    pub min_free_bytes: Option<u64>,
    /// Bytes of the file that is given up when the disk is full; 0 for none.
    pub ballast_bytes: u64,
    /// Exemplars that are kept at most, over all series.
    pub exemplars_max: usize,
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
            retention_file: RetentionSettings::default(),
            wal_sync: WalSync::Every(Duration::from_millis(900)),
            min_free_bytes: None,
            ballast_bytes: BALLAST_BYTES,
            exemplars_max: EXEMPLARS_MAX,
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
    pub fn apply(&mut self, settings: &StorageSettings) {
        self.out_of_order_window = settings.tsdb.out_of_order_time_window.0;
        self.retention_file = settings.tsdb.retention.clone().unwrap_or_default();
        let exemplars_max = settings.exemplars.as_ref().and_then(|one| one.max_exemplars);
        self.exemplars_max =
            exemplars_max.map_or(EXEMPLARS_MAX, |max| usize::try_from(max).unwrap_or(0));
    }

    /// What is dropped. A section of the file that says anything stands in the place of all flags.
    ///
    /// Source: prometheus, cmd/prometheus/main.go (`DefaultTSDBRetentionConfig`).
    pub fn retention(&self) -> Retention {
        let file = &self.retention_file;
        if *file == RetentionSettings::default() {
            let (time, bytes) = (self.retention_time, self.retention_bytes);
            return Retention { time, bytes, percentage: None };
        }
        Retention {
            time: file.time.map(|time| time.0).filter(|time| !time.is_zero()),
            bytes: file.size.map(|size| size.0).filter(|bytes| *bytes > 0),
            percentage: file.percentage.map(|share| share.0).filter(|share| *share > 0.0),
        }
    }
}

/// Which blocks are dropped: whatever limit is reached first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Retention {
    /// Blocks whose newest sample is older than this; `None` keeps them for ever.
    pub time: Option<Duration>,
    /// The oldest, while blocks, log and head together hold more bytes.
    pub bytes: Option<u64>,
    /// As `bytes`, in percent of the disk; stands over it.
    pub percentage: Option<f64>,
}

impl Retention {
    /// The bytes that all may take on a disk of `total` bytes.
    ///
    /// Source: prometheus, tsdb/db.go (BeyondSizeRetention).
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of at most the whole, and no disk has 2^52 bytes"
    )]
    pub fn bytes_max(&self, total: u64) -> Option<u64> {
        match self.percentage {
            Some(percentage) if total > 0 => Some((total as f64 * percentage / 100.0) as u64),
            Some(_) | None => self.bytes,
        }
    }
}

/// `storage` of the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageSettings {
    /// `tsdb`.
    pub tsdb: TsdbSettings,
    /// `exemplars`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exemplars: Option<ExemplarSettings>,
}

/// `storage.exemplars` of the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExemplarSettings {
    /// How many are kept at most; 0 or less keeps none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_exemplars: Option<i64>,
}

/// `storage.tsdb` of the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TsdbSettings {
    /// How far a sample may be behind the newest of its series.
    pub out_of_order_time_window: Span,
    /// The share of ended series in the head from which Prometheus writes them out early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_series_compaction_threshold: Option<f64>,
    /// How Prometheus packs samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk_encoding: Option<EncodingSettings>,
    /// How long data is kept; stands over the flags.
    pub retention: Option<RetentionSettings>,
}

/// `storage.tsdb.chunk_encoding` of the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncodingSettings {
    /// For floats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floats: Option<FloatEncoding>,
}

/// How Prometheus packs floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FloatEncoding {
    /// Gorilla.
    Xor,
    /// Its second edition.
    Xor2,
}

/// `storage.tsdb.retention` of the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSettings {
    /// By age; 0 keeps data for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Span>,
    /// By bytes; 0 sets no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<ByteSize>,
    /// By the share of the disk; 0 sets no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percentage: Option<Percentage>,
}

/// A share, 0 to 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Percentage(f64);

impl TryFrom<f64> for Percentage {
    type Error = String;

    fn try_from(share: f64) -> Result<Self, String> {
        if (0.0..=100.0).contains(&share) {
            return Ok(Self(share));
        }
        Err(format!("must be in the range [0, 100], got {share}"))
    }
}

impl From<Percentage> for f64 {
    fn from(share: Percentage) -> Self {
        share.0
    }
}

impl StorageSettings {
    /// Keys that are set and have no effect.
    pub fn without_effect(&self) -> Vec<Problem> {
        let tsdb = &self.tsdb;
        let retention = tsdb.retention.clone().unwrap_or_default();
        let keys = [
            (
                tsdb.stale_series_compaction_threshold.is_some_and(|share| share > 0.0),
                "tsdb.stale_series_compaction_threshold",
                "has no effect: series that ended leave the head with the next block",
            ),
            (
                tsdb.chunk_encoding.as_ref().is_some_and(|one| one.floats.is_some()),
                "tsdb.chunk_encoding.floats",
                "has no effect: each chunk is packed in the way that makes it smallest",
            ),
            (
                retention.size.is_some_and(|size| size.0 > 0)
                    && retention.percentage.is_some_and(|share| share.0 > 0.0),
                "tsdb.retention.size",
                "has no effect beside percentage",
            ),
        ];
        let set = keys.into_iter().filter(|(is_set, ..)| *is_set);
        set.map(|(_, at, why)| {
            let key = at.rsplit('.').next().unwrap_or(at);
            Problem::new(at, format!("{key} {why}"))
        })
        .collect()
    }
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

    fn settings(text: &str) -> StorageSettings {
        serde_yaml::from_str(text).unwrap()
    }

    #[test]
    fn the_file_stands_over_the_flags() {
        let day = |days: u64| Some(Duration::from_secs(days * 86_400));
        let flags = Retention { time: day(3), bytes: Some(1 << 30), percentage: None };
        let none = Retention::default();
        // Prometheus takes the section for all of retention once there is one.
        for (text, expected) in [
            ("{}", flags),
            ("tsdb: {retention: {}}", flags),
            ("tsdb: {retention: {time: 30d}}", Retention { time: day(30), ..none }),
            ("tsdb: {retention: {size: 2GB}}", Retention { bytes: Some(2 << 30), ..none }),
            ("tsdb: {retention: {percentage: 80}}", Retention { percentage: Some(80.0), ..none }),
            ("tsdb: {retention: {time: 0s, size: 0B, percentage: 0}}", none),
        ] {
            let mut config = Config::at("/x");
            (config.retention_time, config.retention_bytes) = (flags.time, flags.bytes);
            // What was in force before is forgotten.
            config.apply(&settings("tsdb: {retention: {time: 1d, size: 5GB, percentage: 5}}"));
            config.apply(&settings(text));
            assert_eq!(config.retention(), expected, "{text}");
        }
        let mut config = Config::at("/x");
        config.apply(&settings("tsdb: {out_of_order_time_window: 10m}"));
        assert_eq!(config.out_of_order_window, Duration::from_secs(600));
    }

    #[test]
    fn exemplars_have_a_maximum_that_may_be_none() {
        for (text, expected) in [
            ("{}", 100_000),
            ("exemplars: {}", 100_000),
            ("exemplars: {max_exemplars: 7}", 7),
            ("exemplars: {max_exemplars: 0}", 0),
            ("exemplars: {max_exemplars: -1}", 0),
        ] {
            let mut config = Config::at("/x");
            config.apply(&settings(text));
            assert_eq!(config.exemplars_max, expected, "{text}");
        }
    }

    #[test]
    fn a_share_of_the_disk_stands_over_bytes() {
        let both = Retention { bytes: Some(7), percentage: Some(12.5), time: None };
        assert_eq!(both.bytes_max(1000), Some(125));
        assert_eq!(both.bytes_max(0), Some(7), "a disk that does not say how large it is");
        assert_eq!(Retention { percentage: None, ..both }.bytes_max(1000), Some(7));
    }

    #[test]
    fn shares_and_encodings_are_checked() {
        for text in ["101", "-1", ".nan"] {
            let text = format!("tsdb: {{retention: {{percentage: {text}}}}}");
            let err = serde_yaml::from_str::<StorageSettings>(&text).unwrap_err().to_string();
            assert!(err.contains("must be in the range [0, 100]"), "{text}: {err}");
        }
        let text = "tsdb: {chunk_encoding: {floats: gorilla}}";
        assert!(serde_yaml::from_str::<StorageSettings>(text).is_err());
    }

    #[test]
    fn keys_without_effect_are_named() {
        let set = settings(
            "tsdb: {stale_series_compaction_threshold: 0.3, chunk_encoding: {floats: xor2}, \
             retention: {size: 1GB, percentage: 10}}",
        );
        let named: Vec<_> = set.without_effect().into_iter().map(|problem| problem.at).collect();
        assert_eq!(
            named,
            [
                "tsdb.stale_series_compaction_threshold",
                "tsdb.chunk_encoding.floats",
                "tsdb.retention.size"
            ]
        );
        let unset = settings("tsdb: {stale_series_compaction_threshold: 0, chunk_encoding: {}}");
        assert_eq!(unset.without_effect(), []);
    }
}
