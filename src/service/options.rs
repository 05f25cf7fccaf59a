//! What the parts need from flags.

use super::forward_queue::SendOptions;
use crate::ingest::limits::SafetyLimits;
use crate::ingest::push::PushRules;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// When the log reaches the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalSync {
    /// Before every answer.
    Always,
    /// Together, this often.
    Every(Duration),
    /// When the kernel likes.
    Off,
}

/// What the parts need from flags.
#[derive(Clone, Debug)]
pub struct Options {
    /// `prometheus.yml`; the built-in configuration when missing.
    pub config_file: Option<PathBuf>,
    /// `alertmanager.yml`.
    pub alertmanager_file: Option<PathBuf>,
    /// Samples and state.
    pub data: PathBuf,
    /// Retention by time, when a flag says so.
    pub retention_time: Option<Duration>,
    /// Retention by size, when a flag says so.
    pub retention_size: Option<u64>,
    /// When the log reaches the disk.
    pub wal_sync: WalSync,
    /// Free bytes below which nothing is taken in.
    pub min_free: Option<u64>,
    /// Series in the head at most; `None` for what half of the memory holds.
    pub series_max: Option<usize>,
    /// The URL under which others reach this server.
    pub external_url: String,
    /// How far back an instant query looks.
    pub lookback: Duration,
    /// How long a query may run.
    pub query_timeout: Duration,
    /// Queries at a time.
    pub query_concurrency: usize,
    /// Samples of one query.
    pub query_samples: usize,
    /// Bytes of all queries together; `None` for a fifth of the memory, at most 256 MiB.
    pub query_bytes: Option<u64>,
    /// How often a firing alert is sent again.
    pub resend_delay: Duration,
    /// The longest outage over which `for` counts on.
    pub outage_tolerance: Duration,
    /// The least `for` that is looked up in the store when no record of the alert is left.
    pub grace_period: Duration,
    /// Quick rule groups at a time, and with `concurrent-rule-eval` threads beside them.
    pub rule_concurrency: usize,
    /// How long notifications and ended silences are kept.
    pub data_retention: Duration,
    /// How long the history of alerts is kept.
    pub history_retention: Duration,
    /// What a target or a sender may bring.
    pub limits: SafetyLimits,
    /// What a push may say.
    pub push: PushRules,
    /// What people and senders may bring to the alerts.
    pub alert_limits: crate::alerts::Limits,
    /// Where alerts of rules go, and how.
    pub sending: SendOptions,
    /// Features by name.
    pub features: Vec<String>,
    /// Flags and values, for the flags page.
    pub flags: BTreeMap<String, String>,
    /// What an operator should know about the flags.
    pub warnings: Vec<String>,
    /// Where HTTP is served, for the status page.
    pub listen: Vec<String>,
}
