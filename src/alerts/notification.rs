//! What is handed to `notify`: a group's alerts at one moment, for one integration of a receiver.

use super::engine::Moment;
use crate::model::{Alert, AlertStatus, Annotations, Fingerprint, GroupKey, Labels, Timestamp};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// One way in which a receiver is told, in the order of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntegrationId {
    /// The receiver's name.
    pub receiver: String,
    /// `webhook`, `email`.
    pub kind: String,
    /// Place among those of its kind.
    pub index: u32,
}

/// `team/webhook[0]`, as in messages.
impl fmt::Display for IntegrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}[{}]", self.receiver, self.kind, self.index)
    }
}

/// What the engine needs to know about an integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntegrationPlan {
    /// `webhook`, `email`.
    pub kind: String,
    /// Place among those of its kind.
    pub index: u32,
    /// Whether it is told about resolved alerts.
    pub send_resolved: bool,
}

/// What the engine needs to know about a receiver. One without integrations is a black hole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiverPlan {
    /// Its name.
    pub name: String,
    /// Its labels, for the API.
    pub labels: Labels,
    /// How it is told.
    pub integrations: Vec<IntegrationPlan>,
}

/// Why a notification is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The group was not firing before.
    First,
    /// More alerts fire.
    NewAlerts,
    /// Some resolved, others fire.
    SomeResolved,
    /// Nothing fires any more.
    AllResolved,
    /// Nothing changed for `repeat_interval`.
    Repeat,
    /// A test or a preview.
    Unknown,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::First,
        Self::NewAlerts,
        Self::SomeResolved,
        Self::AllResolved,
        Self::Repeat,
        Self::Unknown,
    ];

    /// The words of the payloads.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first notification",
            Self::NewAlerts => "new alerts added",
            Self::SomeResolved => "some alerts resolved",
            Self::AllResolved => "all alerts resolved",
            Self::Repeat => "repeat interval elapsed",
            Self::Unknown => "unknown",
        }
    }
}

/// An alert as a notification tells it: its state is fixed at the flush.
#[derive(Clone, Debug, PartialEq)]
pub struct NotifiedAlert {
    /// Its identity.
    pub labels: Labels,
    /// What is said about it.
    pub annotations: Annotations,
    /// When it began.
    pub starts_at: Timestamp,
    /// When it ended; `None` while it fires.
    pub ends_at: Option<Timestamp>,
    /// Where it came from.
    pub generator_url: String,
}

impl NotifiedAlert {
    /// The alert, told as firing or as resolved.
    pub fn of(alert: &Alert, status: AlertStatus) -> Self {
        let resolved = status == AlertStatus::Resolved;
        Self {
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            starts_at: alert.starts_at,
            ends_at: resolved.then_some(alert.ends_at),
            generator_url: alert.generator_url.clone(),
        }
    }

    /// Firing or resolved.
    pub const fn status(&self) -> AlertStatus {
        match self.ends_at {
            None => AlertStatus::Firing,
            Some(_) => AlertStatus::Resolved,
        }
    }

    /// The identity as the payloads print it.
    pub fn fingerprint(&self) -> Fingerprint {
        self.labels.fingerprint()
    }
}

/// A message about one group, before a receiver's templates make it a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// Route key, colon, group labels.
    pub group_key: GroupKey,
    /// The receiver's name.
    pub receiver: String,
    /// Labels that the group shares by configuration.
    pub group_labels: Labels,
    /// Labels of the route, as templates.
    pub route_labels: Vec<(String, String)>,
    /// The alerts, in the order of the payload.
    pub alerts: Vec<NotifiedAlert>,
    /// Why it is sent.
    pub reason: Reason,
    /// Where people reach this server.
    pub external_url: String,
    /// When the group was looked at.
    pub at: Timestamp,
}

impl Notification {
    /// Firing if any alert fires.
    pub fn status(&self) -> AlertStatus {
        if self.alerts.iter().any(|alert| alert.status() == AlertStatus::Firing) {
            AlertStatus::Firing
        } else {
            AlertStatus::Resolved
        }
    }

    /// Labels that all alerts share.
    pub fn common_labels(&self) -> Labels {
        let mut sets = self.alerts.iter().map(|alert| &alert.labels);
        let Some(first) = sets.next() else { return Labels::empty() };
        let mut shared = first.to_builder();
        for labels in sets {
            shared.retain(|name, value| labels.get(name) == Some(value));
        }
        shared.build()
    }

    /// Annotations that all alerts share; to share an empty one, others need not have it.
    pub fn common_annotations(&self) -> Annotations {
        let mut sets = self.alerts.iter().map(|alert| &alert.annotations);
        let Some(first) = sets.next() else { return Annotations::empty() };
        let shared =
            |(name, value): &(&str, &str)| sets.clone().all(|one| one.value_of(name) == *value);
        Annotations::from_pairs(first.iter().filter(shared))
    }

    /// The first `alerts_max` alerts (0: all), and how many were left out.
    #[must_use]
    pub fn truncated(mut self, alerts_max: usize) -> (Self, usize) {
        if alerts_max == 0 || self.alerts.len() <= alerts_max {
            return (self, 0);
        }
        let left_out = self.alerts.len() - alerts_max;
        self.alerts.truncate(alerts_max);
        (self, left_out)
    }
}

/// A delivery's number, never used twice, also across restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub(super) u64);

impl DeliveryId {
    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// A notification on its way to one integration.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// To name it in `Event::DeliveriesFinished`.
    pub id: DeliveryId,
    /// To whom.
    pub integration: IntegrationId,
    /// What.
    pub notification: Notification,
    /// What the last notification about this group left behind for the next one, such as the
    /// identity of a message that can be changed; empty for the first.
    pub data: BTreeMap<String, String>,
    /// Retries end when this much elapsed time has been reached.
    pub deadline: Duration,
    /// Whether it was on its way when the process ended before.
    pub resumed: bool,
}

impl Delivery {
    /// A delivery that only tries an integration out. Its number is none of a real one's, and so
    /// is its key.
    pub fn trial(
        number: u64,
        integration: &IntegrationId,
        notification: Notification,
        deadline: Duration,
    ) -> Self {
        Self {
            id: DeliveryId(number | (1 << 63)),
            integration: integration.clone(),
            notification,
            data: BTreeMap::new(),
            deadline,
            resumed: false,
        }
    }

    /// The same for each attempt and after a restart: lets a sink drop duplicates.
    pub fn idempotency_key(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.notification.group_key.as_str());
        hash.update([0xff]);
        hash.update(self.integration.to_string());
        let digest: [u8; 32] = hash.finalize().into();
        let head: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("{head}-{}", self.id.0)
    }
}

/// How a delivery ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryOutcome {
    /// Why it failed for good; `None` when it arrived.
    pub error: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// How long all of it took, pauses included.
    pub took: Duration,
    /// The status code of the last answer, where answers have one.
    pub status: Option<u16>,
    /// The beginning of the last answer as it came, at most 200 characters. Whoever shows it has
    /// to make it printable.
    pub answer: String,
    /// What the next notification about the group is to know: kept in the log when it arrived.
    pub data: BTreeMap<String, String>,
}

impl DeliveryOutcome {
    /// A delivery that was never tried.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self { error: Some(reason.into()), ..Self::default() }
    }
}

/// A delivery that has not finished.
#[derive(Clone, Debug)]
pub(super) struct OpenDelivery {
    pub(super) delivery: Delivery,
    /// What the log will hold when it arrives: also what `send_resolved` kept from the payload.
    pub(super) firing: BTreeSet<Fingerprint>,
    pub(super) resolved: BTreeSet<Fingerprint>,
    pub(super) repeat: Duration,
    pub(super) timeout: Duration,
    /// The flush that waits for it; none after a restart.
    pub(super) flush: Option<u64>,
    pub(super) started: Moment,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::testing::labels;

    fn alert(pairs: &[(&str, &str)], ends_at: Option<i64>) -> NotifiedAlert {
        NotifiedAlert {
            labels: labels(pairs),
            annotations: Annotations::empty(),
            starts_at: Timestamp::EPOCH,
            ends_at: ends_at.map(Timestamp::from_millis),
            generator_url: String::new(),
        }
    }

    #[test]
    fn t69_common_labels_are_those_of_all_alerts_that_are_sent() {
        let notification = Notification {
            group_key: GroupKey::from_text("{}:{}"),
            receiver: "r".to_owned(),
            group_labels: Labels::empty(),
            route_labels: Vec::new(),
            alerts: vec![
                alert(&[("a", "1"), ("b", "1")], Some(1)),
                alert(&[("a", "1"), ("b", "2")], None),
            ],
            reason: Reason::First,
            external_url: String::new(),
            at: Timestamp::EPOCH,
        };
        assert_eq!(notification.common_labels(), labels(&[("a", "1")]));
        assert_eq!(notification.status(), AlertStatus::Firing);
        let (cut, left_out) = notification.truncated(1);
        assert_eq!(
            (left_out, cut.common_labels().len(), cut.status()),
            (1, 2, AlertStatus::Resolved)
        );
    }
}
