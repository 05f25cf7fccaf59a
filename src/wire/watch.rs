//! What only watchbell can tell: served under `/api/v1/watchbell/`, made up as far as possible by
//! `client` when it looks at somebody else's server.

use super::forms;
use crate::model::{Annotations, Labels, Timestamp};
use serde::{Deserialize, Serialize};

/// One number that grows whenever something that a screen shows has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The revision now; ask for what comes after it.
    pub revision: u64,
}

/// Where an alert stands, one for each mark of the screens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Fires, and notifications go out.
    Firing,
    /// Its `for` is not over.
    Pending,
    /// The condition is gone, `keep_firing_for` holds it.
    KeepFiring,
    /// A silence holds it back.
    Silenced,
    /// Another alert holds it back.
    Inhibited,
    /// A time interval holds it back.
    Muted,
    /// Ended in the last 15 minutes.
    Resolved,
    /// Its rule fails, or the data is stale.
    Unknown,
}

/// The comparison of an alerting rule, taken apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleLimit {
    /// The compared expression, without the comparison.
    pub left: String,
    /// `>`, `<`, `>=`, `<=`, `==` or `!=`.
    pub op: String,
    /// The limit, when it is one number.
    pub value: Option<f64>,
    /// The limit as written.
    pub right: String,
}

/// How a notification went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryStatus {
    /// Who was told.
    pub receiver: String,
    /// By what: `webhook`, `email`.
    pub integration: String,
    /// When.
    #[serde(with = "forms::time")]
    pub at: Timestamp,
    /// Why it failed; `None` when it did not.
    pub error: Option<String>,
    /// Attempts of this delivery.
    pub attempts: u32,
}

/// A notification that is on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SendingStatus {
    /// Who is told.
    pub receiver: String,
    /// By what: `webhook`, `email`.
    pub integration: String,
    /// Since when.
    #[serde(with = "forms::time")]
    pub since: Timestamp,
    /// Attempts that failed by now.
    pub attempts: u32,
    /// Why the last of them failed, without secrets; `None` as long as none has.
    pub error: Option<String>,
    /// The status code of its answer, where answers have one.
    pub code: Option<u16>,
    /// The beginning of its answer, without secrets.
    pub answer: String,
    /// When it is tried again; in the past, or `None`, while it is being tried.
    #[serde(default, with = "forms::time_opt")]
    pub next_attempt: Option<Timestamp>,
    /// When it is given up until its group is looked at again.
    #[serde(with = "forms::time")]
    pub until: Timestamp,
}

/// Who works on an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AckStatus {
    /// Who said so.
    pub by: String,
    /// What was said about it.
    pub comment: String,
    /// When.
    #[serde(with = "forms::time")]
    pub at: Timestamp,
}

/// An alert with all that the screens show of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertRow {
    /// 16 hex digits over the labels.
    pub fingerprint: String,
    /// Its identity.
    #[serde(with = "forms::labels")]
    pub labels: Labels,
    /// What is said about it.
    #[serde(with = "forms::annotations")]
    pub annotations: Annotations,
    /// Where it stands.
    pub state: AlertState,
    /// The value of the last evaluation, when a rule of ours raised it; text since JSON has no NaN.
    pub value: Option<String>,
    /// Since when the condition holds.
    #[serde(with = "forms::time_opt")]
    pub active_at: Option<Timestamp>,
    /// Since when it fires.
    #[serde(with = "forms::time_opt")]
    pub fired_at: Option<Timestamp>,
    /// When it ended.
    #[serde(with = "forms::time_opt")]
    pub resolved_at: Option<Timestamp>,
    /// `for` of its rule, in seconds.
    pub for_seconds: f64,
    /// Who sent it: `rules`, `api` (from outside), `watch` (something expected does not come) or
    /// `drill`; empty when that is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// The expression of its rule; empty for alerts from outside.
    pub expr: String,
    /// The comparison of the expression taken apart.
    pub limit: Option<RuleLimit>,
    /// Its rule's file and group; empty for alerts from outside.
    pub rule_file: String,
    /// The group in that file.
    pub rule_group: String,
    /// Seconds between evaluations of its group.
    pub interval_seconds: f64,
    /// Who is told.
    pub receivers: Vec<String>,
    /// The path through the routing tree, as text.
    pub route: String,
    /// The key of its notification group.
    pub group_key: String,
    /// Ids of silences that hold it back.
    pub silenced_by: Vec<String>,
    /// Fingerprints of alerts that hold it back.
    pub inhibited_by: Vec<String>,
    /// Time intervals that hold it back.
    pub muted_by: Vec<String>,
    /// The last notification to each receiver that had this alert in it.
    pub deliveries: Vec<DeliveryStatus>,
    /// Notifications with this alert that are on their way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sending: Vec<SendingStatus>,
    /// Who works on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack: Option<AckStatus>,
    /// When its group is looked at next.
    #[serde(with = "forms::time_opt")]
    pub next_flush: Option<Timestamp>,
}

impl AlertRow {
    /// A firing alert of which only the labels are known.
    pub fn bare(labels: &Labels) -> Self {
        Self {
            fingerprint: labels.fingerprint().to_string(),
            labels: labels.clone(),
            annotations: Annotations::empty(),
            state: AlertState::Firing,
            value: None,
            active_at: None,
            fired_at: None,
            resolved_at: None,
            for_seconds: 0.0,
            source: String::new(),
            expr: String::new(),
            limit: None,
            rule_file: String::new(),
            rule_group: String::new(),
            interval_seconds: 0.0,
            receivers: Vec::new(),
            route: String::new(),
            group_key: String::new(),
            silenced_by: Vec::new(),
            inhibited_by: Vec::new(),
            muted_by: Vec::new(),
            deliveries: Vec::new(),
            sending: Vec::new(),
            ack: None,
            next_flush: None,
        }
    }
}

/// How a receiver does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReceiverStatus {
    /// Its name.
    pub name: String,
    /// By what: `webhook`, `email`.
    pub integration: String,
    /// The last notification that arrived.
    #[serde(with = "forms::time_opt")]
    pub last_ok: Option<Timestamp>,
    /// Since when it fails; `None` when the last attempt succeeded.
    #[serde(with = "forms::time_opt")]
    pub failing_since: Option<Timestamp>,
    /// Why the last attempt failed.
    pub last_error: String,
    /// Notifications sent.
    pub sent: u64,
    /// Attempts that failed.
    pub failed: u64,
}

/// How a heartbeat to somebody elsewhere does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeartbeatStatus {
    /// Its name.
    pub name: String,
    /// Seconds between beats.
    pub interval_seconds: f64,
    /// The last one that arrived.
    #[serde(with = "forms::time_opt")]
    pub last_ok: Option<Timestamp>,
    /// Since when none arrives; `None` when the last one did.
    #[serde(with = "forms::time_opt")]
    pub failing_since: Option<Timestamp>,
    /// Why not.
    pub last_error: String,
}

/// An alert or a push that must keep coming.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExpectedStatus {
    /// Its name.
    pub name: String,
    /// `alert` or `push`.
    pub kind: String,
    /// What it has to match.
    pub matchers: String,
    /// It is missing when it has not come for so many seconds.
    pub within_seconds: f64,
    /// When it came last.
    #[serde(with = "forms::time_opt")]
    pub last_seen: Option<Timestamp>,
    /// Whether it is missing.
    pub missing: bool,
}

/// How the store does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StorageStatus {
    /// Active series.
    pub series: u64,
    /// Samples taken in since the start.
    pub samples_total: u64,
    /// Samples refused since the start.
    pub refused_total: u64,
    /// Bytes of blocks.
    pub block_bytes: u64,
    /// Number of blocks.
    pub blocks: u64,
    /// Bytes of the log.
    pub wal_bytes: u64,
    /// Free bytes of the file system.
    pub free_bytes: u64,
    /// Oldest sample.
    #[serde(with = "forms::time_opt")]
    pub oldest: Option<Timestamp>,
    /// Retention as configured.
    pub retention: String,
    /// Why nothing is taken in; `None` when all is well.
    pub refusing: Option<String>,
}

/// How the server does: the first page of the screens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WatchStatus {
    /// Its host.
    pub server: String,
    /// watchbell's version; empty on other servers.
    pub version: String,
    /// Its clock.
    #[serde(with = "forms::time")]
    pub now: Timestamp,
    /// When it started.
    #[serde(with = "forms::time")]
    pub started: Timestamp,
    /// Its process; 0 when unknown.
    pub pid: u32,
    /// Resident bytes; 0 when unknown.
    pub resident_bytes: u64,
    /// The newest rule evaluation or scrape: what the screens call live.
    #[serde(with = "forms::time_opt")]
    pub newest: Option<Timestamp>,
    /// Seconds between evaluations.
    pub evaluation_interval_seconds: f64,
    /// How the store does.
    pub storage: StorageStatus,
    /// Receivers with at least one integration.
    pub receivers: Vec<ReceiverStatus>,
    /// Who is told that this server works.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heartbeats: Vec<HeartbeatStatus>,
    /// What must keep coming.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<ExpectedStatus>,
    /// The configuration file; empty for the embedded default.
    pub config_file: String,
    /// Why the last reload failed; `None` when it did not.
    pub config_error: Option<String>,
    /// Things the operator should know: skipped jobs, an open port, a held socket.
    pub warnings: Vec<String>,
    /// Where HTTP is served; empty when it is not.
    pub listen: Vec<String>,
    /// The most recent alert that ended, for an empty alert list.
    pub last_resolved: Option<Box<AlertRow>>,
}

/// A query that runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActiveQuery {
    /// By what it is canceled.
    pub id: String,
    /// The expression, shortened.
    pub query: String,
    /// Who asked: an address, `unix socket`, `rules`.
    pub client: String,
    /// When it came.
    #[serde(with = "forms::time")]
    pub start: Timestamp,
    /// Seconds since then.
    pub duration_seconds: f64,
    /// Samples that it has read so far.
    pub samples: usize,
}

/// What all queries of one text took since the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopQuery {
    /// The expression, shortened.
    pub query: String,
    /// How often it was asked.
    pub count: u64,
    /// Seconds that one took.
    pub average_seconds: f64,
    /// Seconds that all took.
    pub total_seconds: f64,
}

/// What costs most.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TopQueries {
    /// By how often they were asked.
    pub by_count: Vec<TopQuery>,
    /// By what one took.
    pub by_average: Vec<TopQuery>,
    /// By what all took.
    pub by_total: Vec<TopQuery>,
}
