//! Groups, rules and alerts as they are now, for whoever shows them.

use crate::model::{Annotations, Labels, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How the last evaluation of a rule went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// There was none.
    #[default]
    Unknown,
    /// Well.
    Ok,
    /// It failed.
    Err,
}

impl Health {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Err => "err",
        }
    }
}

/// How far an alert, or the furthest alert of a rule, has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertPhase {
    /// The rule was not evaluated yet.
    Unknown,
    /// The condition does not hold.
    Inactive,
    /// It holds, but not for long enough.
    Pending,
    /// It holds.
    Firing,
}

impl AlertPhase {
    /// The word of the API and of the label `alertstate`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// A group of rules.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Time between evaluations.
    pub interval: Duration,
    /// The most series or alerts that a rule may yield; 0 is any number.
    pub limit: u64,
    /// How long the last evaluation took.
    pub evaluation_time: Duration,
    /// When it was.
    pub last_evaluation: Option<Timestamp>,
    /// Its rules, in order.
    pub rules: Vec<RuleView>,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct RuleView {
    /// The alert's name or the recorded one.
    pub name: String,
    /// The expression.
    pub query: String,
    /// Its labels with the group's, before templating; those without a value, which take a label
    /// away, too.
    pub labels: Annotations,
    /// How the last evaluation went.
    pub health: Health,
    /// Why it failed; empty when it did not.
    pub last_error: String,
    /// How long it took.
    pub evaluation_time: Duration,
    /// When it was.
    pub last_evaluation: Option<Timestamp>,
    /// Its latest evaluations, the newest last.
    pub runs: Arc<VecDeque<RuleRun>>,
    /// What only one of the two kinds has.
    pub kind: RuleKindView,
}

/// One evaluation of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleRun {
    /// Its time.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// Samples that it yielded.
    pub samples: usize,
    /// Why it failed.
    pub error: Option<String>,
}

/// What only alerting rules have.
#[derive(Clone, Debug)]
pub enum RuleKindView {
    /// Records series.
    Recording,
    /// Raises alerts.
    Alerting {
        /// The furthest of its alerts.
        phase: AlertPhase,
        /// `for`.
        hold: Duration,
        /// `keep_firing_for`.
        keep_firing_for: Duration,
        /// Before templating.
        annotations: Annotations,
        /// Pending and firing alerts, by labels.
        alerts: Vec<ActiveAlert>,
    },
}

/// What became of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Its condition holds, but not for long enough.
    Pending,
    /// It fires.
    Firing,
    /// It fires no longer.
    Resolved,
    /// It was pending and does not hold any more.
    PendingEnded,
    /// Its rule is gone or had more alerts than it may: nobody is told that it ended.
    Forgotten,
}

impl Turn {
    /// The word of the history.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::PendingEnded => "pending_ended",
            Self::Forgotten => "forgotten",
        }
    }
}

/// An alert that came further or ended.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertChange {
    /// What became of it.
    pub turn: Turn,
    /// The name of its rule.
    pub rule: String,
    /// Its labels as it is sent, with external ones.
    pub labels: Labels,
    /// The value at the last evaluation that saw it.
    pub value: f64,
    /// Since when the condition holds, or held.
    pub active_at: Timestamp,
}

/// A rule that began to fail or fails no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthChange {
    /// The rule's name.
    pub rule: String,
    /// Why it fails; `None` when it does no longer.
    pub error: Option<String>,
}

/// A pending or firing alert.
#[derive(Clone, Debug, PartialEq)]
pub struct ActiveAlert {
    /// Its identity.
    pub labels: Labels,
    /// What is said about it.
    pub annotations: Annotations,
    /// Pending or firing.
    pub phase: AlertPhase,
    /// Since when the condition holds.
    pub active_at: Timestamp,
    /// Since when only `keep_firing_for` holds it.
    pub keep_firing_since: Option<Timestamp>,
    /// The value at the last evaluation.
    pub value: f64,
}
