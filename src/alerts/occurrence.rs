//! What recorders of events are told: more of each thing than the history keeps, and only while
//! somebody listens (`Config::recorded`).
//!
//! Source: prometheus/alertmanager, eventrecorder/eventrecorderpb/eventrecorder.proto (when each
//! event comes); dispatch/dispatch.go, notify/retry_stage.go, silence/silence.go,
//! inhibit/inhibit.go. Upstream tells that an alert is grouped each time it is sent again; ours
//! tells the first time alone, as its schema says.

use super::engine::{Engine, Moment};
use super::flush::Member;
use super::group::Group;
use super::held::QuietBy;
use super::inhibit::InhibitRule;
use super::notification::{IntegrationId, Notification, OpenDelivery};
use super::silence::Silence;
use super::step::Step;
use crate::model::{Alert, Fingerprint, GroupKey, Labels, Matcher, Timestamp};
use std::time::Duration;

/// Something that happened, whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Occurrence {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// An alert came that was not known.
    AlertCreated(Alert),
    /// An alert joined a group.
    AlertGrouped(Alert, GroupInfo),
    /// An alert left its group, since its end was told.
    AlertResolved(Alert, GroupInfo),
    /// A notification arrived.
    Notified(Box<Notified>),
    /// Somebody made a silence.
    SilenceCreated(Silence),
    /// Somebody changed a silence.
    SilenceUpdated(Silence),
    /// At a look at its group a silence kept an alert with these labels quiet.
    SilenceMuted(Silence, Labels),
    /// At a look at its group another alert kept one with these labels quiet.
    InhibitionMuted {
        /// By which rule.
        rule: Box<InhibitRule>,
        /// Who is quiet.
        labels: Labels,
        /// By whom.
        by: Fingerprint,
    },
}

/// A group as events name it.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupInfo {
    /// Route key, colon, group labels.
    pub key: GroupKey,
    /// Labels that the group shares by configuration.
    pub labels: Labels,
    /// Who is told.
    pub receiver: String,
}

/// A notification that arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Notified {
    /// What was told.
    pub notification: Notification,
    /// To whom.
    pub integration: IntegrationId,
    /// Those that fired, also those that this integration was not told of.
    pub firing: Vec<Fingerprint>,
    /// Those that had ended, also those that this integration was not told of.
    pub resolved: Vec<Fingerprint>,
    /// Those that were kept quiet at the same look.
    pub muted: Vec<Fingerprint>,
    /// The matchers of the route; none after a restart.
    pub matchers: Vec<Matcher>,
    /// When it is repeated.
    pub repeat: Duration,
    /// The look at the group, numbers rising; none after a restart.
    pub flush: Option<u64>,
}

impl GroupInfo {
    pub(super) fn of(group: &Group, labels: &Labels) -> Self {
        let (key, receiver) = (group.key.clone(), group.receiver.clone());
        Self { key, labels: labels.clone(), receiver }
    }
}

impl Engine {
    /// What keeps each member of a group quiet at this look: inhibition, or else silences, unless
    /// an interval keeps all of the group quiet.
    pub(super) fn tell_muted(
        &self,
        members: &[Member<'_>],
        is_muted: bool,
        now: Moment,
        step: &mut Step,
    ) {
        for member in members {
            let Some(quiet) = &member.quiet else { continue };
            let labels = &member.held.alert.labels;
            match quiet.by {
                QuietBy::Inhibition => {
                    let fires = |print| self.alerts.is_firing(print, now);
                    if let Some((rule, by)) = self.inhibitor.inhibiting(labels, fires) {
                        let (rule, labels) = (Box::new(rule.clone()), labels.clone());
                        step.occur(now.wall, || What::InhibitionMuted { rule, labels, by });
                    }
                }
                QuietBy::Silence if is_muted => {}
                QuietBy::Silence => {
                    let acting = self.silences.acting_on(labels, now.wall, &self.config);
                    for silence in acting.filter_map(|id| self.silences.get(id)) {
                        let muted = || What::SilenceMuted(silence.clone(), labels.clone());
                        step.occur(now.wall, muted);
                    }
                }
            }
        }
    }

    /// A delivery that arrived.
    pub(super) fn tell_delivered(&self, open: &OpenDelivery, now: Moment, step: &mut Step) {
        step.occur(now.wall, || {
            let flush = open.flush.and_then(|id| self.flushes.get(&id));
            let route = flush.and_then(|flush| self.config.route.find(flush.route()));
            What::Notified(Box::new(Notified {
                notification: open.delivery.notification.clone(),
                integration: open.delivery.integration.clone(),
                firing: open.firing.iter().copied().collect(),
                resolved: open.resolved.iter().copied().collect(),
                muted: flush.map(|flush| flush.quiet.clone()).unwrap_or_default(),
                matchers: route.map(|route| route.matchers.clone()).unwrap_or_default(),
                repeat: open.repeat,
                flush: open.flush,
            }))
        });
    }
}
