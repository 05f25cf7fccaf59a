//! What screens and the API see of the engine. Nothing here changes anything.
//!
//! Source: prometheus/alertmanager, api/v2/api.go.

use super::ack::Ack;
use super::engine::{Engine, Moment};
use super::group::{Group, GroupId, label_set_order, payload_order};
use super::held::Held;
use super::notification::ReceiverPlan;
use super::report::{DeliveryReport, IntegrationReport, OpenReport};
use super::silence::{Silence, SilenceState};
use crate::model::{Alert, AlertStatus, Fingerprint, GroupKey, Labels, SilenceId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// What keeps an alert quiet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertQuiet {
    /// Silences that act on it.
    pub silenced_by: Vec<SilenceId>,
    /// An alert that inhibits it.
    pub inhibited_by: Vec<Fingerprint>,
    /// Time intervals of its groups; empty unless all of its groups are muted.
    pub muted_by: Vec<String>,
}

impl AlertQuiet {
    /// `active` or `suppressed`, as the API says it: muted by an interval counts as active there.
    pub fn api_state(&self) -> &'static str {
        let free = self.silenced_by.is_empty() && self.inhibited_by.is_empty();
        if free { "active" } else { "suppressed" }
    }
}

/// A group that an alert is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The group.
    pub group: GroupKey,
    /// Who is told.
    pub receiver: String,
    /// The path through the routing tree: matchers from the root down.
    pub route: String,
    /// When the group is looked at next.
    pub next_flush: Timestamp,
}

/// An alert with all that is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertView {
    /// The alert.
    pub alert: Alert,
    /// Its identity.
    pub fingerprint: Fingerprint,
    /// Firing or resolved.
    pub status: AlertStatus,
    /// Who sent it: `rules`, `api`, `watch` (something expected does not come) or `drill`.
    pub source: &'static str,
    /// Who works on it.
    pub ack: Option<Ack>,
    /// What keeps it quiet.
    pub quiet: AlertQuiet,
    /// Who is told, in the order of the routes.
    pub receivers: Vec<String>,
    /// Its groups.
    pub groups: Vec<Membership>,
    /// The last notifications with it.
    pub deliveries: Vec<DeliveryReport>,
}

/// A group with its alerts.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupView {
    /// Its key.
    pub key: GroupKey,
    /// Labels that it shares by configuration.
    pub labels: Labels,
    /// Labels of its route, as templates.
    pub route_labels: Vec<(String, String)>,
    /// Where people reach this server, for those templates.
    pub external_url: String,
    /// Who is told.
    pub receiver: String,
    /// Time intervals that keep it quiet.
    pub muted_by: Vec<String>,
    /// When it is looked at next.
    pub next_flush: Timestamp,
    /// Its firing alerts, in the order of a payload.
    pub alerts: Vec<AlertView>,
}

/// A silence and whether it acts.
#[derive(Clone, Debug, PartialEq)]
pub struct SilenceView {
    /// The silence.
    pub silence: Silence,
    /// Whether its time has come, or is over.
    pub state: SilenceState,
    /// Whether it keeps alerts quiet now: one that recurs does not always.
    pub acts: bool,
}

impl Engine {
    /// Alerts that fire, by fingerprint: the API's list.
    pub fn firing_alerts(&self, now: Moment) -> Vec<AlertView> {
        self.views(now, |held| held.status(now) == AlertStatus::Firing)
    }

    /// Alerts that fire or ended less than 15 minutes ago, by fingerprint: the screens' list.
    pub fn all_alerts(&self, now: Moment) -> Vec<AlertView> {
        self.views(now, |_| true)
    }

    /// One alert.
    pub fn alert(&self, fingerprint: Fingerprint, now: Moment) -> Option<AlertView> {
        let held = self.alerts.get(&fingerprint)?;
        let groups = self.groups_of(&[fingerprint].into());
        Some(self.view(fingerprint, held, &groups, now))
    }

    /// Groups with a firing alert, by labels, then receiver: the API's list.
    pub fn alert_groups(&self, now: Moment) -> Vec<GroupView> {
        let mut views: Vec<_> =
            self.groups.iter().filter_map(|(id, group)| self.group_view(id, group, now)).collect();
        views.sort_by(|a, b| {
            label_set_order(&a.labels, &b.labels).then_with(|| a.receiver.cmp(&b.receiver))
        });
        views
    }

    /// Silences in the API's order: active ones by their end, pending ones by their start, then
    /// expired ones, the latest first.
    pub fn silences(&self, now: Moment) -> Vec<SilenceView> {
        let view = |silence: &Silence| self.silence_view(silence, now);
        let mut views: Vec<_> = self.silences.iter().map(view).collect();
        views.sort_by_key(|view| {
            let time = match view.state {
                SilenceState::Active => view.silence.ends_at.as_millis(),
                SilenceState::Pending => view.silence.starts_at.as_millis(),
                SilenceState::Expired => view.silence.ends_at.as_millis().saturating_neg(),
            };
            (view.state, time)
        });
        views
    }

    /// Silences that never act since their time interval is not in the configuration, for people.
    pub fn silences_without_interval(&self, now: Moment) -> Vec<String> {
        let dead = self.silences.without_interval(&self.config);
        let open = dead.filter(|one| self.silences.state(one, now.wall) != SilenceState::Expired);
        let tell = |one: &Silence| {
            let (id, by) = (one.id.as_str(), &one.created_by);
            let name = one.recurs().unwrap_or_default();
            format!("silence {id} of {by} does not act: there is no time interval {name:?}")
        };
        open.map(tell).collect()
    }

    /// One silence.
    pub fn silence(&self, id: &SilenceId, now: Moment) -> Option<SilenceView> {
        Some(self.silence_view(self.silences.get(id)?, now))
    }

    fn silence_view(&self, silence: &Silence, now: Moment) -> SilenceView {
        SilenceView {
            state: self.silences.state(silence, now.wall),
            acts: self.silences.state(silence, now.wall) == SilenceState::Active
                && silence.acts(now.wall, &self.config),
            silence: silence.clone(),
        }
    }

    /// Receivers, in the order of the configuration.
    pub fn receivers(&self) -> &[ReceiverPlan] {
        &self.config.receivers
    }

    /// Notifications that are on their way, the oldest first.
    pub fn open_deliveries(&self, now: Moment) -> Vec<OpenReport> {
        self.open.iter().map(|open| OpenReport::of(open, now)).collect()
    }

    /// How each integration does.
    pub fn integrations(&self) -> Vec<IntegrationReport> {
        self.reports.integrations().cloned().collect()
    }

    fn views(&self, now: Moment, keep: impl Fn(&Held) -> bool) -> Vec<AlertView> {
        let kept: BTreeMap<_, _> = self.alerts.iter().filter(|(_, held)| keep(held)).collect();
        let groups = self.groups_of(&kept.keys().map(|print| **print).collect());
        kept.into_iter().map(|(print, held)| self.view(*print, held, &groups, now)).collect()
    }

    /// The groups of these alerts, by alert.
    fn groups_of(
        &self,
        prints: &BTreeSet<Fingerprint>,
    ) -> BTreeMap<Fingerprint, Vec<(&GroupId, &Group)>> {
        let mut found: BTreeMap<Fingerprint, Vec<_>> = BTreeMap::new();
        for (id, group) in &self.groups {
            for print in group.members.intersection(prints) {
                found.entry(*print).or_default().push((id, group));
            }
        }
        found
    }

    fn view(
        &self,
        fingerprint: Fingerprint,
        held: &Held,
        groups: &BTreeMap<Fingerprint, Vec<(&GroupId, &Group)>>,
        now: Moment,
    ) -> AlertView {
        let alert = &held.alert;
        let mine = groups.get(&fingerprint).map(Vec::as_slice).unwrap_or_default();
        let routes = mine.iter().filter_map(|(id, _)| self.config.route.find(&id.route));
        let muted: Vec<_> = routes.map(|route| self.quiet_by(route, now.wall)).collect();
        let all_muted = !muted.is_empty() && muted.iter().all(|names| !names.is_empty());
        let mut muted_by: Vec<_> =
            if all_muted { muted.into_iter().flatten().collect() } else { Vec::new() };
        muted_by.sort();
        muted_by.dedup();
        let membership = |(id, group): &(&GroupId, &Group)| Membership {
            group: group.key.clone(),
            receiver: group.receiver.clone(),
            route: self
                .config
                .route
                .find(&id.route)
                .map_or_else(String::new, |r| r.key.to_string()),
            next_flush: next_flush(group, now),
        };
        AlertView {
            fingerprint,
            status: held.status(now),
            source: held.source.as_str(),
            ack: self.acks.get(fingerprint).cloned(),
            quiet: AlertQuiet {
                silenced_by: self
                    .silences
                    .acting_on(&alert.labels, now.wall, &self.config)
                    .cloned()
                    .collect(),
                inhibited_by: self.inhibited_by(&alert.labels, now).into_iter().collect(),
                muted_by,
            },
            receivers: self
                .config
                .route
                .matching(&alert.labels)
                .into_iter()
                .map(|route| route.receiver.clone())
                .collect(),
            deliveries: mine
                .iter()
                .flat_map(|(_, group)| self.reports.about(&group.key, fingerprint))
                .collect(),
            groups: mine.iter().map(membership).collect(),
            alert: alert.clone(),
        }
    }

    fn group_view(&self, id: &GroupId, group: &Group, now: Moment) -> Option<GroupView> {
        let route = self.config.route.find(&id.route)?;
        let memberships = self.groups_of(&group.members);
        let mut alerts: Vec<_> = group
            .members
            .iter()
            .filter_map(|print| Some((*print, self.alerts.get(print)?)))
            .filter(|(_, held)| held.status(now) == AlertStatus::Firing)
            .map(|(print, held)| self.view(print, held, &memberships, now))
            .collect();
        if alerts.is_empty() {
            return None;
        }
        alerts.sort_by(|a, b| payload_order(&a.alert.labels, &b.alert.labels));
        Some(GroupView {
            key: group.key.clone(),
            labels: id.labels.clone(),
            route_labels: route.labels.clone(),
            external_url: self.config.external_url.clone(),
            receiver: group.receiver.clone(),
            muted_by: self.quiet_by(route, now.wall),
            next_flush: next_flush(group, now),
            alerts,
        })
    }
}

pub(super) fn next_flush(group: &Group, now: Moment) -> Timestamp {
    now.wall.plus(group.next_flush.saturating_sub(now.elapsed))
}
