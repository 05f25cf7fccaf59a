//! The forms of Alertmanager's API v2.
//!
//! Source: prometheus/alertmanager, api/v2/openapi.yaml.

use super::{Error, forms};
use crate::model::{Annotations, Labels, Matcher, Regex, Timestamp, value_text};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// A matcher in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MatcherForm {
    /// The label.
    pub name: String,
    /// What it is compared with.
    pub value: String,
    /// Whether `value` is a regular expression.
    pub is_regex: bool,
    /// False for `!=` and `!~`.
    #[serde(default = "yes", deserialize_with = "unless_null")]
    pub is_equal: bool,
}

fn yes() -> bool {
    true
}

/// As upstream, where `null` is a missing value.
fn unless_null<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_else(yes))
}

impl From<&Matcher> for MatcherForm {
    fn from(matcher: &Matcher) -> Self {
        Self {
            name: matcher.name().to_owned(),
            value: matcher.value().to_owned(),
            is_regex: matcher.op().is_regex(),
            is_equal: matcher.op().is_positive(),
        }
    }
}

impl fmt::Display for MatcherForm {
    /// `name=~"value"`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match (self.is_equal, self.is_regex) {
            (true, false) => "=",
            (false, false) => "!=",
            (true, true) => "=~",
            (false, true) => "!~",
        };
        write!(f, "{}{op}{}", self.name, value_text::quoted(&self.value))
    }
}

/// Whether a silence acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceStatus {
    /// `active`, `pending` or `expired`.
    pub state: String,
}

/// The annotation of a silence that lasts as long as what it silences, and its value: only
/// watchbell knows it, others keep it without looking at it.
pub const UNTIL_RESOLVED: (&str, &str) = ("watchbell_until", "resolved");
/// The annotation that names the time interval within which a silence acts: as before.
pub const RECURS: &str = "watchbell_recurs";

/// A silence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SilenceForm {
    /// Its identity.
    pub id: String,
    /// Whether it acts.
    pub status: SilenceStatus,
    /// When it was last changed.
    #[serde(with = "forms::time")]
    pub updated_at: Timestamp,
    /// All of them must match.
    pub matchers: Vec<MatcherForm>,
    /// From when it acts.
    #[serde(with = "forms::time")]
    pub starts_at: Timestamp,
    /// Until when it acts.
    #[serde(with = "forms::time")]
    pub ends_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// More about it.
    #[serde(default, with = "forms::annotations", skip_serializing_if = "Annotations::is_empty")]
    pub annotations: Annotations,
}

/// A silence to make, or to change when it has an id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostableSilence {
    /// The silence to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// All of them must match.
    pub matchers: Vec<MatcherForm>,
    /// From when it acts.
    #[serde(with = "forms::time")]
    pub starts_at: Timestamp,
    /// Until when it acts.
    #[serde(with = "forms::time")]
    pub ends_at: Timestamp,
    /// Who makes it.
    #[serde(default)]
    pub created_by: String,
    /// Why.
    #[serde(default)]
    pub comment: String,
    /// More about it.
    #[serde(default, with = "forms::annotations", skip_serializing_if = "Annotations::is_empty")]
    pub annotations: Annotations,
}

/// An alert from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostableAlert {
    /// Its identity.
    #[serde(with = "forms::labels")]
    pub labels: Labels,
    /// What is said about it.
    #[serde(default, with = "forms::annotations")]
    pub annotations: Annotations,
    /// When it began; now when missing.
    #[serde(default, with = "forms::time_opt")]
    pub starts_at: Option<Timestamp>,
    /// When it ended or will end.
    #[serde(default, with = "forms::time_opt")]
    pub ends_at: Option<Timestamp>,
    /// Where it came from.
    #[serde(default, rename = "generatorURL", deserialize_with = "forms::text")]
    pub generator_url: String,
}

/// Which alerts are asked for.
#[derive(Clone, Debug)]
pub struct AlertFilter {
    /// Those that are sent.
    pub active: bool,
    /// Those that a silence holds back.
    pub silenced: bool,
    /// Those that another alert holds back.
    pub inhibited: bool,
    /// Those that a time interval holds back.
    pub muted: bool,
    /// Those that were not looked at yet.
    pub unprocessed: bool,
    /// All of them must match.
    pub matchers: Vec<Matcher>,
    /// A regular expression on the receiver's name, anchored.
    pub receiver: Option<String>,
    /// On labels of a receiver, `name` among them: all must match one that the alert goes to.
    pub receiver_matchers: Vec<Matcher>,
}

impl AlertFilter {
    /// What the receiver's name must match; `None` when any will do.
    ///
    /// # Errors
    /// It is no regular expression.
    pub fn receiver_regex(&self) -> Result<Option<Regex>, Error> {
        // The text that Alertmanager compiles, and so the one that its errors name.
        let compile = |text: &String| Regex::searching(&format!("^(?:{text})$"));
        let regex = self.receiver.as_ref().map(compile).transpose();
        regex.map_err(|err| Error::bad_data(format!("failed to parse receiver param: {err}")))
    }
}

impl Default for AlertFilter {
    fn default() -> Self {
        Self {
            active: true,
            silenced: true,
            inhibited: true,
            muted: true,
            unprocessed: true,
            matchers: Vec::new(),
            receiver: None,
            receiver_matchers: Vec::new(),
        }
    }
}

/// A receiver's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReceiverName {
    /// The name in the configuration.
    pub name: String,
}

/// A receiver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReceiverForm {
    /// The name in the configuration.
    pub name: String,
    /// Its labels with its name; left out when it has none of its own, as before Alertmanager
    /// 0.34.
    #[serde(default, with = "forms::labels", skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

/// What holds an alert back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GettableAlertStatus {
    /// `unprocessed`, `active` or `suppressed`.
    pub state: String,
    /// Ids of silences.
    pub silenced_by: Vec<String>,
    /// Fingerprints of alerts.
    pub inhibited_by: Vec<String>,
    /// Names of time intervals; left out when there is none, as before Alertmanager 0.28.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub muted_by: Vec<String>,
}

/// An alert and what holds it back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GettableAlert {
    /// Its identity.
    #[serde(with = "forms::labels")]
    pub labels: Labels,
    /// What is said about it.
    #[serde(with = "forms::annotations")]
    pub annotations: Annotations,
    /// When it began.
    #[serde(with = "forms::time")]
    pub starts_at: Timestamp,
    /// When it ended or will end.
    #[serde(with = "forms::time")]
    pub ends_at: Timestamp,
    /// When it was last received.
    #[serde(with = "forms::time")]
    pub updated_at: Timestamp,
    /// Where it came from; left out when nobody says.
    #[serde(default, rename = "generatorURL", skip_serializing_if = "String::is_empty")]
    pub generator_url: String,
    /// 16 hex digits.
    pub fingerprint: String,
    /// Who is told.
    pub receivers: Vec<ReceiverName>,
    /// What holds it back.
    pub status: GettableAlertStatus,
}

/// A notification group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertGroup {
    /// The labels that the group shares by configuration.
    #[serde(with = "forms::labels")]
    pub labels: Labels,
    /// Labels of its route, expanded; left out when it has none, as before Alertmanager 0.34.
    #[serde(default, with = "forms::labels", skip_serializing_if = "Labels::is_empty")]
    pub route_labels: Labels,
    /// Who is told.
    pub receiver: ReceiverName,
    /// Its alerts.
    pub alerts: Vec<GettableAlert>,
}

/// Whether Alertmanager runs in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// Always `disabled` here.
    pub status: String,
    /// Always empty here.
    #[serde(default)]
    pub peers: Vec<ReceiverName>,
}

/// Versions in Alertmanager's form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionInfo {
    /// The Alertmanager version whose behaviour this is.
    pub version: String,
    /// The commit.
    pub revision: String,
    /// The branch.
    pub branch: String,
    /// Who built it.
    pub build_user: String,
    /// When it was built.
    pub build_date: String,
    /// Alertmanager's compiler; ours names Rust's.
    pub go_version: String,
}

/// The configuration's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigText {
    /// Secrets replaced.
    pub original: String,
}

/// Alertmanager's `status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertmanagerStatus {
    /// Whether it runs in a cluster.
    pub cluster: ClusterStatus,
    /// Versions.
    pub version_info: VersionInfo,
    /// The configuration in force.
    pub config: ConfigText,
    /// When the server started.
    #[serde(with = "forms::time")]
    pub uptime: Timestamp,
}
