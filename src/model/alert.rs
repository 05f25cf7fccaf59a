//! An alert as it passes from rules, or from outside, to the notification engine.

use super::{Annotations, Fingerprint, Labels, Timestamp};

/// Whether an alert's condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlertStatus {
    /// It ends in the future.
    Firing,
    /// It has ended.
    Resolved,
}

impl AlertStatus {
    /// The word of the payloads.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// An alert: its labels are its identity.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// What makes it this alert and not another.
    pub labels: Labels,
    /// What is said about it.
    pub annotations: Annotations,
    /// When it began to fire.
    pub starts_at: Timestamp,
    /// When it ended or, while it fires, when it ends unless it is sent again.
    pub ends_at: Timestamp,
    /// Where it came from: a link for people.
    pub generator_url: String,
    /// When it was last received.
    pub updated_at: Timestamp,
    /// Whether `ends_at` was made from `resolve_timeout` because the sender gave none.
    pub ends_by_timeout: bool,
}

impl Alert {
    /// The identity as Alertmanager prints it.
    pub fn fingerprint(&self) -> Fingerprint {
        self.labels.fingerprint()
    }

    /// Firing until `ends_at`, resolved from then on.
    pub fn status(&self, now: Timestamp) -> AlertStatus {
        if self.ends_at <= now { AlertStatus::Resolved } else { AlertStatus::Firing }
    }

    /// The label `alertname`, empty when absent.
    pub fn name(&self) -> &str {
        self.labels.get("alertname").unwrap_or_default()
    }
}
