//! The history of alerts, acknowledgements, and trying out who would be told: what only watchbell's
//! alerting can do.

use super::alertmanager::MatcherForm;
use super::forms;
use crate::model::{Labels, Matcher, Timestamp};
use serde::{Deserialize, Serialize};

/// Which part of the history is asked for.
#[derive(Clone, Debug, Default)]
pub struct HistoryRequest {
    /// All of them must match the row's labels.
    pub matchers: Vec<Matcher>,
    /// Not before this.
    pub start: Option<Timestamp>,
    /// Not after this.
    pub end: Option<Timestamp>,
    /// This kind only.
    pub kind: Option<String>,
    /// This alert only, as 16 hex digits.
    pub fingerprint: Option<String>,
    /// At most so many rows; 0 for as many as are answered at once.
    pub limit: usize,
    /// Where the answer before ended; what follows it is older.
    pub cursor: Option<String>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// Counts up in the order of writing.
    pub id: i64,
    /// When.
    #[serde(with = "forms::time")]
    pub at: Timestamp,
    /// What kind of thing: `firing`, `resolved`, `notified`, `silence`, `ack`.
    pub kind: String,
    /// Which alert, as 16 hex digits; empty when it is about none or several.
    pub fingerprint: String,
    /// By what it is found.
    #[serde(with = "forms::labels")]
    pub labels: Labels,
    /// The rest; an object whose keys depend on the kind.
    pub body: serde_json::Value,
}

/// Rows of the history, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HistoryAnswer {
    /// The rows.
    pub rows: Vec<HistoryRow>,
    /// Asks for what is older; `None` when that was all. There may be one without any row: what
    /// was looked through had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Alerts that somebody takes on, by fingerprint or by matchers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AckRequest {
    /// The alerts, as 16 hex digits each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fingerprints: Vec<String>,
    /// All firing alerts that all of these match, when no fingerprint is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matchers: Vec<MatcherForm>,
    /// Who.
    pub by: String,
    /// What is said about it.
    #[serde(default)]
    pub comment: String,
}

/// A message to a receiver that only tries it out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReceiverTest {
    /// The receiver.
    #[serde(default)]
    pub receiver: String,
    /// Only integrations of this kind, such as `slack`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration: Option<String>,
    /// Only the one at this place among those of its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// Whether the test's alert has ended.
    #[serde(default)]
    pub resolved: bool,
    /// More labels for the test's alert.
    #[serde(default, with = "forms::labels", skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// More annotations for it.
    #[serde(default, with = "forms::labels", skip_serializing_if = "Labels::is_empty")]
    pub annotations: Labels,
}

/// How one integration took a test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntegrationTest {
    /// Its kind.
    pub integration: String,
    /// Its place among those of its kind.
    pub index: u32,
    /// Why it failed; `None` when the message arrived.
    pub error: Option<String>,
    /// The status code of the answer, where answers have one.
    pub code: Option<u16>,
    /// The beginning of the answer.
    pub answer: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// An alert that goes the whole way, marked as a test, and ends by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drill {
    /// Its labels; `alertname` is `FireDrill` when missing.
    #[serde(default, with = "forms::labels", skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// Its annotations.
    #[serde(default, with = "forms::labels", skip_serializing_if = "Labels::is_empty")]
    pub annotations: Labels,
    /// How long it fires unless it is ended, from `1s` to `1h`; `5m` when empty.
    #[serde(default, rename = "for", skip_serializing_if = "String::is_empty")]
    pub span: String,
    /// Whether it waits `group_wait` and `group_interval` as a real alert does.
    #[serde(default)]
    pub waits: bool,
}

/// Something that happened to a drill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrillStep {
    /// When.
    #[serde(with = "forms::time")]
    pub at: Timestamp,
    /// `received`, `told`, `failed`, `suppressed`, `unsuppressed`, `ended`, `end told`,
    /// `end failed`.
    pub what: String,
    /// The receiver, where one is told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub receiver: String,
    /// By what, as `webhook[0]`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub integration: String,
    /// How long the notification took, in milliseconds, pauses included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// How often it was tried.
    #[serde(default)]
    pub attempts: u64,
    /// The status code of the answer, where answers have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u64>,
    /// The error, the beginning of the answer, or what keeps it quiet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub said: String,
}

/// An integration that a drill has not reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillWait {
    /// The receiver.
    pub receiver: String,
    /// By what, as `webhook[0]`.
    pub integration: String,
    /// When its group is looked at next.
    #[serde(with = "forms::time_opt")]
    pub next_flush: Option<Timestamp>,
}

/// How far a drill is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrillReport {
    /// The alert, as 16 hex digits: by this the drill is looked at and ended.
    pub fingerprint: String,
    /// The alert's labels.
    #[serde(with = "forms::labels")]
    pub labels: Labels,
    /// When it began.
    #[serde(with = "forms::time")]
    pub started: Timestamp,
    /// When it ends, or ended.
    #[serde(with = "forms::time")]
    pub ends: Timestamp,
    /// Whether it fires.
    pub firing: bool,
    /// Its way through the routing tree.
    pub route: RouteTest,
    /// What happened, the oldest first.
    pub steps: Vec<DrillStep>,
    /// Who was not told that it fires, or that it ended once it has. An integration that is told
    /// of no ends is not waited for.
    pub waits_for: Vec<DrillWait>,
}

/// A label set whose way through the routing tree is asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteTestRequest {
    /// The labels.
    #[serde(with = "forms::labels")]
    pub labels: Labels,
    /// For time intervals and silences; now when missing.
    #[serde(default, with = "forms::time_opt")]
    pub at: Option<Timestamp>,
}

/// The matcher of a route that came nearest to matching.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteMiss {
    /// The matcher.
    pub matcher: String,
    /// What the label holds.
    pub found: String,
}

/// A route that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteStep {
    /// Its path from the root.
    pub path: String,
    /// How many routes are above it.
    #[serde(default)]
    pub depth: usize,
    /// Its matchers.
    pub matchers: String,
    /// Whether they match.
    pub matched: bool,
    /// Why not.
    pub closest_miss: Option<RouteMiss>,
    /// Whether later siblings are tried too.
    pub continues: bool,
}

/// A group that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenGroup {
    /// How many alerts are in it.
    pub members: usize,
    /// When it is looked at next.
    #[serde(with = "forms::time_opt")]
    pub next_flush: Option<Timestamp>,
}

/// A route that takes the alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteFinal {
    /// Its path from the root.
    pub route: String,
    /// Who is told.
    pub receiver: String,
    /// By what, as `webhook[0]`.
    pub integrations: Vec<String>,
    /// What the alert's group shares.
    #[serde(with = "forms::labels")]
    pub group_labels: Labels,
    /// The group's key.
    pub group_key: String,
    /// How long a new group waits, in seconds.
    pub group_wait_seconds: f64,
    /// Seconds between looks at the group.
    pub group_interval_seconds: f64,
    /// Seconds after which an unchanged notification is repeated.
    pub repeat_interval_seconds: f64,
    /// Time intervals that keep the route quiet.
    pub muted_by: Vec<String>,
    /// The group, when there is one.
    pub group: Option<OpenGroup>,
}

/// The way of a label set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteTest {
    /// Routes in the order in which they were looked at.
    pub nodes: Vec<RouteStep>,
    /// Those that take it.
    pub finals: Vec<RouteFinal>,
    /// Ids of silences that hold it back.
    pub silenced_by: Vec<String>,
    /// Fingerprints of alerts that hold it back.
    pub inhibited_by: Vec<String>,
}

/// Other labels to group by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupingRequest {
    /// The route's path; all routes when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Labels, or `...` for all of them.
    pub group_by: Vec<String>,
}

/// A group as it would be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupPreview {
    /// What its alerts share.
    #[serde(with = "forms::labels")]
    pub labels: Labels,
    /// Fingerprints of its alerts.
    pub alerts: Vec<String>,
}

/// The alerts of now, grouped as they are and as they would be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupingPreview {
    /// As they are.
    pub before: Vec<GroupPreview>,
    /// As they would be.
    pub after: Vec<GroupPreview>,
}
