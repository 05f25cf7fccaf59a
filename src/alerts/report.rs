//! What became of notifications: for screens and for metrics, not for decisions.

use super::config::Config;
use super::engine::Moment;
use super::log::LogKey;
use super::notification::{DeliveryId, DeliveryOutcome, IntegrationId, OpenDelivery};
use crate::model::{Fingerprint, GroupKey, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Groups whose last deliveries are remembered; the oldest are forgotten first.
const LAST_DELIVERIES_MAX: usize = 4096;

/// How an integration does.
#[derive(Clone, Debug, PartialEq)]
pub struct IntegrationReport {
    /// Which one.
    pub integration: IntegrationId,
    /// The last notification that arrived.
    pub last_ok: Option<Timestamp>,
    /// Since when it fails; `None` when the last one arrived.
    pub failing_since: Option<Timestamp>,
    /// Why the last one failed; empty when it arrived.
    pub last_error: String,
    /// Notifications that arrived.
    pub sent: u64,
    /// Notifications that failed for good.
    pub failed: u64,
}

/// The last notification about a group to one integration.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryReport {
    /// To whom.
    pub integration: IntegrationId,
    /// When it ended.
    pub at: Timestamp,
    /// Why it failed; `None` when it arrived.
    pub error: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// The alerts in it.
    pub(super) members: BTreeSet<Fingerprint>,
}

/// Alerts that looks at groups kept from being told, by what kept them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Suppressed {
    pub(super) inhibited: usize,
    pub(super) silenced: usize,
    pub(super) muted: usize,
    pub(super) inactive: usize,
}

/// A notification that is on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenReport {
    /// By what its attempts are known.
    pub id: DeliveryId,
    /// To whom.
    pub integration: IntegrationId,
    /// Since when; after a restart since that.
    pub since: Timestamp,
    /// When it is given up until its group is looked at again.
    pub until: Timestamp,
    /// The alerts in it.
    pub alerts: BTreeSet<Fingerprint>,
}

impl OpenReport {
    pub(super) fn of(open: &OpenDelivery, now: Moment) -> Self {
        Self {
            id: open.delivery.id,
            integration: open.delivery.integration.clone(),
            since: open.started.wall,
            until: now.wall.plus(open.delivery.deadline.saturating_sub(now.elapsed)),
            alerts: open.firing.union(&open.resolved).copied().collect(),
        }
    }
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub(super) struct Reports {
    integrations: BTreeMap<IntegrationId, IntegrationReport>,
    last: BTreeMap<LogKey, DeliveryReport>,
    pub(super) received_firing: u64,
    pub(super) received_resolved: u64,
    pub(super) suppressed: Suppressed,
    /// Alerts that there was no room for.
    pub(super) limited: usize,
    /// How often the notification log was asked what somebody was told.
    pub(super) log_queries: usize,
}

impl Reports {
    pub(super) fn new(config: &Config) -> Self {
        let mut reports = Self::default();
        reports.reconfigure(config);
        reports
    }

    /// Keeps the counts of integrations that stay.
    pub(super) fn reconfigure(&mut self, config: &Config) {
        let mut before = std::mem::take(&mut self.integrations);
        for receiver in &config.receivers {
            for plan in &receiver.integrations {
                let id = IntegrationId {
                    receiver: receiver.name.clone(),
                    kind: plan.kind.clone(),
                    index: plan.index,
                };
                let report = before.remove(&id).unwrap_or_else(|| IntegrationReport {
                    integration: id.clone(),
                    last_ok: None,
                    failing_since: None,
                    last_error: String::new(),
                    sent: 0,
                    failed: 0,
                });
                self.integrations.insert(id, report);
            }
        }
    }

    pub(super) fn count_received(&mut self, firing: bool) {
        if firing {
            self.received_firing += 1;
        } else {
            self.received_resolved += 1;
        }
    }

    pub(super) fn count_suppressed(&mut self, more: Suppressed) {
        let all = &mut self.suppressed;
        all.inhibited += more.inhibited;
        all.silenced += more.silenced;
        all.muted += more.muted;
        all.inactive += more.inactive;
    }

    pub(super) fn finished(&mut self, open: &OpenDelivery, outcome: &DeliveryOutcome, now: Moment) {
        let integration = open.delivery.integration.clone();
        if let Some(report) = self.integrations.get_mut(&integration) {
            match &outcome.error {
                None => {
                    report.sent += 1;
                    report.last_ok = Some(now.wall);
                    report.failing_since = None;
                    report.last_error.clear();
                }
                Some(error) => {
                    report.failed += 1;
                    report.last_error.clone_from(error);
                    // It has failed since it was first tried.
                    let tried = now.elapsed.saturating_sub(open.started.elapsed);
                    report.failing_since.get_or_insert(now.wall.minus(tried));
                }
            }
        }
        if self.last.len() >= LAST_DELIVERIES_MAX {
            let oldest = self.last.iter().min_by_key(|(_, one)| one.at).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.last.remove(&key));
        }
        let group = open.delivery.notification.group_key.clone();
        let members = open.firing.union(&open.resolved).copied().collect();
        let report = DeliveryReport {
            integration: integration.clone(),
            at: now.wall,
            error: outcome.error.clone(),
            attempts: outcome.attempts,
            members,
        };
        self.last.insert(LogKey { group, integration }, report);
    }

    pub(super) fn integrations(&self) -> impl Iterator<Item = &IntegrationReport> {
        self.integrations.values()
    }

    /// The last deliveries about a group that had this alert in them.
    pub(super) fn about(&self, group: &GroupKey, alert: Fingerprint) -> Vec<DeliveryReport> {
        let first = IntegrationId { receiver: String::new(), kind: String::new(), index: 0 };
        let from = LogKey { group: group.clone(), integration: first };
        self.last
            .range(from..)
            .take_while(|(key, _)| key.group == *group)
            .filter(|(_, report)| report.members.contains(&alert))
            .map(|(_, report)| report.clone())
            .collect()
    }
}
