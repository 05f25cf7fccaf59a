//! The forms of Prometheus' HTTP API besides queries.
//!
//! Source: prometheus, docs/querying/api.md and web/api/v1/api.go.

use super::forms;
use crate::model::value_text::quoted;
use crate::model::{Annotations, Labels, Matcher, TimeRange, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The Prometheus whose behaviour is followed, for those who look at versions.
pub const PROMETHEUS_VERSION: &str = "3.14.0";

/// Which series, names or values are asked for.
#[derive(Clone, Debug)]
pub struct SeriesRequest {
    /// A series belongs when all matchers of one of the lists match; no list means all series.
    pub matchers: Vec<Vec<Matcher>>,
    /// Series with samples in it.
    pub range: TimeRange,
    /// At most so many; 0 is all.
    pub limit: usize,
}

/// Whether a target answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetHealth {
    /// The last scrape succeeded.
    Up,
    /// The last scrape failed.
    Down,
    /// Not scraped yet.
    Unknown,
}

/// Which targets are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetState {
    /// Those that are scraped.
    Active,
    /// Those that relabelling dropped.
    Dropped,
    /// Both.
    #[default]
    Any,
}

/// A target that is scraped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetForm {
    /// Labels before relabelling.
    #[serde(with = "forms::labels")]
    pub discovered_labels: Labels,
    /// Labels that its series carry.
    #[serde(with = "forms::labels")]
    pub labels: Labels,
    /// The job of the configuration.
    pub scrape_pool: String,
    /// What is fetched.
    pub scrape_url: String,
    /// The same with a host name that others can reach.
    pub global_url: String,
    /// Why the last scrape failed; empty when it did not.
    pub last_error: String,
    /// When the last scrape began.
    #[serde(with = "forms::time_opt")]
    pub last_scrape: Option<Timestamp>,
    /// How long it took, in seconds.
    pub last_scrape_duration: f64,
    /// Whether it answers.
    pub health: TargetHealth,
    /// As configured, `15s`.
    pub scrape_interval: String,
    /// As configured, `10s`.
    pub scrape_timeout: String,
    /// Samples of the last scrape (ours).
    #[serde(default)]
    pub samples: u64,
    /// Since when it has this health (ours).
    #[serde(default, with = "forms::time_opt")]
    pub since: Option<Timestamp>,
    /// What watchbell noticed and kept going, such as a series that collides with `up` (ours).
    #[serde(default)]
    pub notes: Vec<String>,
}

/// A target that relabelling dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DroppedTarget {
    /// Labels before relabelling.
    #[serde(with = "forms::labels")]
    pub discovered_labels: Labels,
    /// The job of the configuration.
    #[serde(default)]
    pub scrape_pool: String,
    /// Why it is no valid target; `None` when a rule dropped it (ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// All targets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TargetsAnswer {
    /// Those that are scraped.
    pub active_targets: Vec<TargetForm>,
    /// Some of those that were dropped.
    pub dropped_targets: Vec<DroppedTarget>,
    /// How many were dropped, by job.
    pub dropped_target_counts: BTreeMap<String, u64>,
    /// What is wrong with jobs as a whole, by job: it is skipped, its discovery fails, it has too
    /// many targets (ours).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub job_problems: BTreeMap<String, Vec<String>>,
}

/// A relabelling rule with all its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RelabelRule {
    /// Labels whose values are joined.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_labels: Vec<String>,
    /// What stands between them.
    pub separator: String,
    /// The expression, without its anchors.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub regex: String,
    /// For `hashmod`; 0 for others.
    #[serde(skip_serializing_if = "is_zero")]
    pub modulus: u64,
    /// The label that is set or compared with.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target_label: String,
    /// The new value or name.
    pub replacement: String,
    /// The action's name.
    pub action: String,
}

impl fmt::Display for RelabelRule {
    /// As it stands in a file, without what is at its default.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source_labels, separator, regex, modulus, target_label, replacement, action } =
            self;
        f.write_str(action)?;
        if !source_labels.is_empty() {
            write!(f, " source_labels=[{}]", source_labels.join(", "))?;
        }
        for (key, text, default) in [("separator", separator, ";"), ("regex", regex, "(.*)")] {
            if text != default {
                write!(f, " {key}={}", quoted(text))?;
            }
        }
        if *modulus != 0 {
            write!(f, " modulus={modulus}")?;
        }
        if !target_label.is_empty() {
            write!(f, " target_label={target_label}")?;
        }
        if replacement != "$1" {
            write!(f, " replacement={}", quoted(replacement))?;
        }
        Ok(())
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// One rule, and the labels after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelabelStep {
    /// The rule.
    pub rule: RelabelRule,
    /// The labels; none once they are dropped.
    #[serde(with = "forms::labels")]
    pub output: Labels,
    /// Whether they are still kept.
    pub keep: bool,
}

/// What a job's rules make of labels, rule by rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelabelSteps {
    /// One for each rule.
    pub steps: Vec<RelabelStep>,
}

/// Which metadata is asked for.
#[derive(Clone, Debug, Default)]
pub struct MetadataRequest {
    /// One metric, or all.
    pub metric: Option<String>,
    /// At most so many metrics; 0 is all.
    pub limit: usize,
    /// At most so many entries a metric; 0 is all.
    pub limit_per_metric: usize,
}

/// Type, help and unit of a metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataEntry {
    /// The type's word.
    #[serde(rename = "type")]
    pub kind: String,
    /// One sentence.
    pub help: String,
    /// The unit, or empty.
    pub unit: String,
}

/// What targets say about metrics.
#[derive(Clone, Debug, Default)]
pub struct TargetMetadataRequest {
    /// Labels of the targets; none for all.
    pub targets: Vec<Matcher>,
    /// One metric, or all.
    pub metric: Option<String>,
    /// No further target once there are so many entries.
    pub limit: Option<usize>,
}

/// Type, help and unit of a metric, as one target says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetMetadata {
    /// Labels that the target's series carry.
    #[serde(with = "forms::labels")]
    pub target: Labels,
    /// The metric, where not one alone was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// What is said.
    #[serde(flatten)]
    pub said: MetadataEntry,
}

/// Which rules are asked for.
#[derive(Clone, Debug, Default)]
pub struct RulesRequest {
    /// Only alerting or only recording rules.
    pub kind: Option<RuleKind>,
    /// Only rules of these names.
    pub rule_names: Vec<String>,
    /// Only groups of these names.
    pub rule_groups: Vec<String>,
    /// Only groups of these files.
    pub files: Vec<String>,
    /// Only rules whose configured labels match one of the lists.
    pub matchers: Vec<Vec<Matcher>>,
    /// Leave the alerts of each rule out.
    pub exclude_alerts: bool,
    /// Take the comparisons of alerting rules apart (ours).
    pub limits: bool,
    /// Tell the latest evaluations of each rule (ours).
    pub evaluations: bool,
    /// Only a part of the groups; all of them when missing.
    pub page: Option<RulesPage>,
}

/// A part of all groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesPage {
    /// At most so many groups with rules, at least one.
    pub limit: usize,
    /// `group_next_token` of the page before; the first page when missing.
    pub token: Option<String>,
}

/// The two kinds of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleKind {
    /// Raises alerts.
    Alerting,
    /// Records series.
    Recording,
}

/// An alert of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertForm {
    /// Its identity.
    #[serde(with = "forms::labels")]
    pub labels: Labels,
    /// What is said about it.
    #[serde(with = "forms::annotations")]
    pub annotations: Annotations,
    /// `pending` or `firing`.
    pub state: String,
    /// Since when the condition holds.
    #[serde(with = "forms::time_opt", default)]
    pub active_at: Option<Timestamp>,
    /// Since when only `keep_firing_for` holds it.
    #[serde(with = "forms::time_opt", default, skip_serializing_if = "Option::is_none")]
    pub keep_firing_since: Option<Timestamp>,
    /// The value as `1e+00`.
    pub value: String,
}

/// A rule and its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum RuleForm {
    /// Raises alerts.
    #[serde(rename_all = "camelCase")]
    Alerting {
        /// `unknown`, `inactive`, `pending` or `firing`.
        state: String,
        /// The alert's name.
        name: String,
        /// The expression.
        query: String,
        /// `for`, in seconds.
        duration: f64,
        /// `keep_firing_for`, in seconds.
        #[serde(default)]
        keep_firing_for: f64,
        /// Added labels, before templating.
        #[serde(with = "forms::annotations")]
        labels: Annotations,
        /// Annotations, before templating.
        #[serde(with = "forms::annotations")]
        annotations: Annotations,
        /// Its alerts; `None` when they were not asked for.
        #[serde(default)]
        alerts: Option<Vec<AlertForm>>,
        /// `ok`, `err` or `unknown`.
        health: String,
        /// Why the last evaluation failed.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        last_error: String,
        /// How long the last evaluation took, in seconds.
        evaluation_time: f64,
        /// When it was.
        #[serde(with = "forms::time_opt")]
        last_evaluation: Option<Timestamp>,
        /// The comparison of the expression taken apart (ours).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<super::RuleLimit>,
        /// Its latest evaluations, the newest last (ours).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        evaluations: Vec<RuleEvaluationForm>,
    },
    /// Records series.
    #[serde(rename_all = "camelCase")]
    Recording {
        /// The recorded name.
        name: String,
        /// The expression.
        query: String,
        /// Added labels.
        #[serde(with = "forms::annotations", default)]
        labels: Annotations,
        /// `ok`, `err` or `unknown`.
        health: String,
        /// Why the last evaluation failed.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        last_error: String,
        /// How long the last evaluation took, in seconds.
        evaluation_time: f64,
        /// When it was.
        #[serde(with = "forms::time_opt")]
        last_evaluation: Option<Timestamp>,
        /// Its latest evaluations, the newest last (ours).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        evaluations: Vec<RuleEvaluationForm>,
    },
}

/// One evaluation of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleEvaluationForm {
    /// Its time.
    #[serde(with = "forms::time")]
    pub at: Timestamp,
    /// How long it took, in seconds.
    pub evaluation_time: f64,
    /// Samples that it yielded.
    pub samples: usize,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// A group of rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleGroupForm {
    /// Its name, unique in its file.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Its rules, in order.
    pub rules: Vec<RuleForm>,
    /// Seconds between evaluations.
    pub interval: f64,
    /// The most series or alerts that a rule may yield; 0 is any number.
    #[serde(default)]
    pub limit: u64,
    /// How long the last evaluation took, in seconds.
    pub evaluation_time: f64,
    /// When it was.
    #[serde(with = "forms::time_opt")]
    pub last_evaluation: Option<Timestamp>,
}

/// All groups, or a page of them, by file, then name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RulesAnswer {
    /// The groups.
    pub groups: Vec<RuleGroupForm>,
    /// Asks for the next page; `None` when that was the last one.
    #[serde(default, rename = "groupNextToken", skip_serializing_if = "Option::is_none")]
    pub group_next_token: Option<String>,
}

/// All pending and firing alerts of all rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertsAnswer {
    /// The alerts.
    pub alerts: Vec<AlertForm>,
}

/// An Alertmanager that alerts go to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertmanagerTarget {
    /// Where alerts are posted.
    pub url: String,
}

/// The Alertmanagers that alerts go to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertmanagersAnswer {
    /// In use.
    pub active_alertmanagers: Vec<AlertmanagerTarget>,
    /// Dropped by relabelling.
    pub dropped_alertmanagers: Vec<AlertmanagerTarget>,
}

/// `status/config`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigAnswer {
    /// The configuration in force, secrets replaced.
    pub yaml: String,
}

/// `status/runtimeinfo`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(non_snake_case, reason = "Prometheus' own spelling of the Go fields")]
pub struct RuntimeInfo {
    /// When the server started.
    #[serde(rename = "startTime", with = "forms::time")]
    pub start_time: Timestamp,
    /// Its working directory.
    pub CWD: String,
    /// Its host.
    pub hostname: String,
    /// Its clock.
    #[serde(rename = "serverTime", with = "forms::time")]
    pub server_time: Timestamp,
    /// Whether the last reload succeeded.
    #[serde(rename = "reloadConfigSuccess")]
    pub reload_config_success: bool,
    /// When the configuration in force was loaded.
    #[serde(rename = "lastConfigTime", with = "forms::time")]
    pub last_config_time: Timestamp,
    /// Damaged records found in the log.
    #[serde(rename = "corruptionCount")]
    pub corruption_count: u64,
    /// Threads of the process; Prometheus counts goroutines here.
    #[serde(rename = "goroutineCount")]
    pub goroutine_count: u64,
    /// Cores in use.
    pub GOMAXPROCS: u64,
    /// Always empty here.
    pub GOGC: String,
    /// Always empty here.
    pub GODEBUG: String,
    /// The memory limit, 0 when there is none.
    pub GOMEMLIMIT: u64,
    /// `15d`, or `15d or 10GiB`.
    #[serde(rename = "storageRetention")]
    pub storage_retention: String,
}

/// `status/buildinfo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildInfo {
    /// The Prometheus version whose behaviour this is.
    pub version: String,
    /// The commit.
    pub revision: String,
    /// The branch.
    pub branch: String,
    /// Who built it.
    pub build_user: String,
    /// When it was built.
    pub build_date: String,
    /// Prometheus' compiler; ours names Rust's.
    pub go_version: String,
    /// watchbell's own version; absent on other servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watchbell: Option<String>,
}

/// A name and a count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameValue {
    /// What is counted.
    pub name: String,
    /// How many.
    pub value: u64,
}

/// Counts of the head.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeadStats {
    /// Active series.
    pub num_series: u64,
    /// Distinct pairs of label and value.
    pub num_label_pairs: u64,
    /// Chunks in the head.
    pub chunk_count: u64,
    /// Oldest sample, milliseconds.
    pub min_time: i64,
    /// Newest sample, milliseconds.
    pub max_time: i64,
}

/// `status/tsdb`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TsdbStatus {
    /// Counts of the head.
    pub head_stats: HeadStats,
    /// The metrics with most series.
    pub series_count_by_metric_name: Vec<NameValue>,
    /// The labels with most values.
    pub label_value_count_by_label_name: Vec<NameValue>,
    /// The labels whose values take most memory.
    pub memory_in_bytes_by_label_name: Vec<NameValue>,
    /// The pairs with most series.
    pub series_count_by_label_value_pair: Vec<NameValue>,
}

/// What the store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageReport {
    /// The blocks, in order of time.
    pub blocks: Vec<BlockReport>,
    /// Bytes of the log and the head's files.
    pub wal_bytes: u64,
    /// Free bytes of the file system.
    pub free_bytes: u64,
    /// How long data is kept.
    pub retention: String,
    /// What was found damaged.
    pub damages: Vec<String>,
    /// Counts of the head; rankings over head and newest block.
    pub tsdb: TsdbStatus,
    /// What takes the room.
    #[serde(default)]
    pub analysis: StorageAnalysis,
}

/// What takes the room in the blocks that were read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageAnalysis {
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
    /// What the pages hold, by encoding; times and heads of pages last.
    pub parts: Vec<PartReport>,
    /// Metrics.
    pub metric_count: u64,
    /// The metrics whose chunks take most bytes.
    pub metrics: Vec<MetricReport>,
    /// Series that begin within a block.
    pub begins: u64,
    /// Series that end within a block.
    pub ends: u64,
    /// Label pairs by what their series do not cover of the blocks, in series.
    pub churn_by_label_pair: Vec<NameValue>,
    /// Label names likewise.
    pub churn_by_label_name: Vec<NameValue>,
    /// What was not read.
    pub left_out: Vec<String>,
}

/// One kind of bytes in the pages of blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartReport {
    /// An encoding of values, `times` or `page heads`.
    pub name: String,
    /// Chunks, columns or pages.
    pub count: u64,
    /// Samples in them.
    pub samples: u64,
    /// Bytes on the disk.
    pub bytes: u64,
    /// Bytes unpacked.
    pub raw_bytes: u64,
}

/// What one metric takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricReport {
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

/// One block of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockReport {
    /// The name of its directory.
    pub name: String,
    /// Its first millisecond.
    pub min_time: i64,
    /// The millisecond behind its last.
    pub max_time: i64,
    /// How often it was merged.
    pub level: u32,
    /// Its series.
    pub series: u64,
    /// Its samples.
    pub samples: u64,
    /// Bytes of its chunks.
    pub chunk_bytes: u64,
    /// Bytes of its index.
    pub index_bytes: u64,
}

/// Which part of an import a text is; lines may be cut anywhere between two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportPart {
    /// A number that the client drew for this import.
    pub id: u64,
    /// From 0.
    pub number: u64,
    /// Whether it is the last.
    pub is_last: bool,
}

/// What became of imported text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportAnswer {
    /// Samples.
    pub samples: u64,
    /// Series.
    pub series: u64,
    /// Blocks that were made.
    pub blocks: u64,
}

/// `status/walreplay`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalReplay {
    /// The first segment.
    pub min: u64,
    /// The last segment.
    pub max: u64,
    /// The segment that is read now.
    pub current: u64,
}
