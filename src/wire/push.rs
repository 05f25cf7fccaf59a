//! The Pushgateway's forms.

use super::forms;
use crate::model::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a push does to its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushVerb {
    /// PUT: the group has these metrics and no others.
    Replace,
    /// POST: metrics of the same names are replaced, others stay.
    Add,
    /// DELETE: the group is gone. There is no body.
    Delete,
}

/// A push as it came: `ingest` reads it within its limits.
#[derive(Clone, Debug)]
pub struct RawPush {
    /// What it does.
    pub verb: PushVerb,
    /// The path below `/metrics/`, escapes resolved: `job/some_job/instance/i`.
    pub path: String,
    /// How long the group lives after this push, as `1h30m` or in seconds: 0 is until it is
    /// deleted, empty is what the configuration says.
    pub ttl: String,
    /// The header `Content-Type`.
    pub content_type: String,
    /// The header `Content-Encoding`.
    pub content_encoding: String,
    /// The body, still packed.
    pub body: Vec<u8>,
}

/// One group in `/api/v1/metrics`: `labels`, `last_push_successful`, and each family under its
/// name. As upstream: a family that has one of those two names hides it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PushGroup(pub BTreeMap<String, PushField>);

/// What a name stands for in a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PushField {
    /// Whether the last push was taken.
    Flag(bool),
    /// A family.
    Family(PushFamily),
    /// The labels of the group.
    Labels(BTreeMap<String, String>),
}

/// One family of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PushFamily {
    /// When it was pushed.
    #[serde(with = "forms::time")]
    pub time_stamp: Timestamp,
    /// Its type in capitals.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its help.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// Its metrics.
    pub metrics: Vec<PushMetric>,
}

/// One metric; numbers are text as Go prints them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PushMetric {
    /// Counts by upper bound: a histogram.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buckets: Option<BTreeMap<String, String>>,
    /// How much was observed: a histogram or a summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<String>,
    /// All labels; `instance` is always there.
    pub labels: BTreeMap<String, String>,
    /// Values by quantile: a summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantiles: Option<BTreeMap<String, String>>,
    /// Sum of what was observed: a histogram or a summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sum: Option<String>,
    /// The value: everything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}
