//! Recording rules over stored history: what is asked and how far it is.

use super::forms;
use crate::model::Timestamp;
use serde::{Deserialize, Serialize};

/// A rule file as it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFileText {
    /// Its name: with the group's it decides where the slots lie, where the server does not run
    /// the same group.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Which rules are evaluated for which time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackfillRequest {
    /// The rule files, in order.
    pub files: Vec<RuleFileText>,
    /// Not before this.
    #[serde(with = "forms::time_opt", default)]
    pub start: Option<Timestamp>,
    /// Not after this; until now when missing.
    #[serde(with = "forms::time_opt", default)]
    pub end: Option<Timestamp>,
    /// Milliseconds between evaluations of groups that say nothing; the server's own when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u64>,
}

/// One question about back-filling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackfillStep {
    /// Begin.
    Begin(BackfillRequest),
    /// How far is the one with this id? The answer comes when it has ended, or in a second. One
    /// that nobody asks about for a minute is given up.
    Look(String),
}

/// How far it is, or what was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackfillAnswer {
    /// Which one.
    pub id: String,
    /// Whether it has ended.
    pub is_over: bool,
    /// The rule that is evaluated.
    pub rule: String,
    /// How much is done, from 0 to 1.
    pub share: f64,
    /// Recording rules.
    pub rules: usize,
    /// Alerting rules, which are passed over.
    pub alerting_rules: usize,
    /// Samples, markers of ends among them.
    pub samples: u64,
    /// Series.
    pub series: u64,
    /// Blocks that were made.
    pub blocks: u64,
    /// From when: later than asked where retention drops what is older.
    #[serde(with = "forms::time_opt", default)]
    pub start: Option<Timestamp>,
    /// Until when.
    #[serde(with = "forms::time_opt", default)]
    pub end: Option<Timestamp>,
    /// Names of which the time held samples before.
    pub had_samples: Vec<String>,
    /// Rules that failed.
    pub failures: Vec<BackfillFailureForm>,
}

/// A rule that failed in some slots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackfillFailureForm {
    /// Its group.
    pub group: String,
    /// Its name.
    pub rule: String,
    /// In how many slots.
    pub slots: usize,
    /// The first of them.
    #[serde(with = "forms::time")]
    pub first: Timestamp,
    /// Why.
    pub error: String,
    /// Whether what was behind was given up.
    pub given_up: bool,
}
