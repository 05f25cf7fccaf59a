//! A look at a group: who of it is audible, which integrations are told, and what follows when
//! they were.
//!
//! Source: prometheus/alertmanager, dispatch/dispatch.go, notify/notify.go.

use super::config::Config;
use super::damping::{Damping, is_flapping};
use super::engine::{Engine, Moment};
use super::group::{GroupId, payload_order};
use super::happening;
use super::held::{Held, Quiet, QuietBy, Uptime};
use super::log::{self, LogEntry, LogKey};
use super::notification::{
    Delivery, DeliveryId, DeliveryOutcome, IntegrationId, IntegrationPlan, Notification,
    NotifiedAlert, OpenDelivery, Reason,
};
use super::occurrence::{GroupInfo, What};
use super::record::{self, Record, Table};
use super::report::Suppressed;
use super::route::Route;
use super::step::Step;
use crate::model::{AlertStatus, Fingerprint, GroupKey, Labels};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A send has at least this long, however short `group_interval` is.
const DELIVERY_TIMEOUT_MIN: Duration = Duration::from_secs(10);

/// A look at a group whose deliveries are not all back.
#[derive(Debug)]
pub(super) struct Flush {
    group: GroupId,
    /// Deliveries on their way.
    open: usize,
    failed: bool,
    /// Resolved members and their versions: they leave the group when all succeeded.
    resolved: Vec<(Fingerprint, u64)>,
    /// Members that were kept quiet at this look.
    pub(super) quiet: Vec<Fingerprint>,
}

impl Flush {
    /// The route of its group.
    pub(super) fn route(&self) -> &str {
        &self.group.route
    }
}

/// A member of a group at a look.
pub(super) struct Member<'a> {
    print: Fingerprint,
    pub(super) held: &'a Held,
    /// What is told of it.
    status: AlertStatus,
    pub(super) quiet: Option<Quiet>,
    flapping: bool,
}

/// What keeps members from being told at one look: for each the first that does.
fn suppressed(members: &[Member<'_>], is_inactive: bool, is_muted: bool) -> Suppressed {
    let mut found = Suppressed::default();
    for member in members {
        let count = match (member.quiet.as_ref().map(|quiet| quiet.by), is_inactive, is_muted) {
            (Some(QuietBy::Inhibition), ..) => &mut found.inhibited,
            (_, true, _) => &mut found.inactive,
            (_, _, true) => &mut found.muted,
            (Some(QuietBy::Silence), ..) => &mut found.silenced,
            (None, ..) => continue,
        };
        *count += 1;
    }
    found
}

impl Engine {
    pub(super) fn flush_due(&mut self, now: Moment, step: &mut Step) {
        let due: Vec<_> = self
            .groups
            .iter()
            .filter(|(_, group)| group.next_flush <= now.elapsed && !self.open.is_busy(group))
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            self.flush(&id, now, step);
        }
    }

    /// One look at a group, in upstream's order: inhibition, intervals, silences, then each
    /// integration decides by the log.
    fn flush(&mut self, id: &GroupId, now: Moment, step: &mut Step) {
        let config = self.config.clone();
        let Some(route) = config.route.find(&id.route) else { return };
        let Some(group) = self.groups.get_mut(id) else { return };
        group.next_flush = now.elapsed.saturating_add(group.interval(route));
        let key = group.key.clone();
        let muted = self.quiet_by(route, now.wall);
        let members = self.members(id, route, now);
        let resolved = members
            .iter()
            .filter(|one| one.status == AlertStatus::Resolved)
            .map(|one| (one.print, one.held.version))
            .collect();
        let audible = members.iter().filter(|one| muted.is_empty() && one.quiet.is_none());
        let told: Vec<_> =
            audible.map(|one| NotifiedAlert::of(&one.held.alert, one.status)).collect();
        let inactive = config.is_inactive(route, now.wall);
        let suppressed = suppressed(&members, inactive, !muted.is_empty());
        let quiet = members.iter().filter(|one| one.quiet.is_some()).map(|one| one.print).collect();
        if config.recorded {
            self.tell_muted(&members, !muted.is_empty(), now, step);
        }
        self.reports.count_suppressed(suppressed);
        self.tell_looks(id, &muted, &config.damping, now, step);
        let flush_id = self.alerts.next_version();
        let mut flush = Flush { group: id.clone(), open: 0, failed: false, resolved, quiet };
        if !told.is_empty() {
            let notification = Notification {
                group_key: key,
                receiver: route.receiver.clone(),
                group_labels: id.labels.clone(),
                route_labels: route.labels.clone(),
                alerts: told,
                reason: Reason::Unknown,
                external_url: config.external_url.clone(),
                at: now.wall,
            };
            for plan in plans(&config, route) {
                let sent = self.decide(plan, &notification, route, (flush_id, now), step);
                flush.open += usize::from(sent);
            }
        }
        if flush.open == 0 {
            self.settle(flush, now, step);
        } else {
            self.flushes.insert(flush_id, flush);
        }
    }

    /// The members in the order of the payload. One that has ended but flaps goes on firing for
    /// those who were told that it fires.
    fn members(&self, id: &GroupId, route: &Route, now: Moment) -> Vec<Member<'_>> {
        let Some(group) = self.groups.get(id) else { return Vec::new() };
        let member = |print: &Fingerprint| {
            let held = self.alerts.get(print)?;
            let flapping = self.flaps(route, held, now);
            let status = match held.status(now) {
                AlertStatus::Resolved if flapping && self.is_told(&group.key, route, *print) => {
                    AlertStatus::Firing
                }
                status => status,
            };
            let quiet = self.kept_quiet(&held.alert.labels, now);
            Some(Member { print: *print, held, status, quiet, flapping })
        };
        let mut members: Vec<_> = group.members.iter().filter_map(member).collect();
        members.sort_by(|a, b| payload_order(&a.held.alert.labels, &b.held.alert.labels));
        members
    }

    fn flaps(&self, route: &Route, held: &Held, now: Moment) -> bool {
        let found =
            self.config.damping.iter().find(|one| one.applies(&route.receiver, &held.alert.labels));
        found.is_some_and(|damping| is_flapping(&held.turns, damping, now))
    }

    /// Whether somebody of this route was told that the alert fires, and not that it ended.
    fn is_told(&self, key: &GroupKey, route: &Route, print: Fingerprint) -> bool {
        let told = |plan: &IntegrationPlan| {
            let entry = self.log.get(&log_key(key, route, plan));
            entry.is_some_and(|entry| entry.firing.contains(&print))
        };
        plans(&self.config, route).iter().any(told)
    }

    fn kept_quiet(&self, labels: &Labels, now: Moment) -> Option<Quiet> {
        if let Some(source) = self.inhibited_by(labels, now) {
            return Some(Quiet { by: QuietBy::Inhibition, id: source.to_string() });
        }
        let silence = self.silences.acting_on(labels, now.wall, &self.config).next()?;
        Some(Quiet { by: QuietBy::Silence, id: silence.as_str().to_owned() })
    }

    /// What changed since the last look, for the history.
    fn tell_looks(
        &mut self,
        id: &GroupId,
        muted: &[String],
        damping: &[Damping],
        now: Moment,
        step: &mut Step,
    ) {
        let config = self.config.clone();
        let Some(route) = config.route.find(&id.route) else { return };
        let mut turns = Vec::new();
        let mut flapping = BTreeSet::new();
        for member in self.members(id, route, now) {
            let fires = member.held.status(now) == AlertStatus::Firing;
            if fires && member.quiet != member.held.quiet {
                turns.push((member.print, member.quiet));
            }
            if member.flapping {
                flapping.insert(member.print);
            }
        }
        for (print, quiet) in turns {
            let (kind, body) = match &quiet {
                Some(quiet) => ("suppressed", json!({ "by": quiet.by.as_str(), "id": quiet.id })),
                None => ("unsuppressed", json!({})),
            };
            step.happen_often(self.about(kind, print, body, now));
            self.alerts.change(print, |held| held.quiet = quiet);
            self.write_alert(print, now, step);
        }
        let Some(group) = self.groups.get_mut(id) else { return };
        let (before, prints) = (std::mem::take(&mut group.flapping), group.members.clone());
        let muted_before = std::mem::replace(&mut group.muted, muted.to_vec());
        let receiver = group.receiver.clone();
        if !damping.is_empty() {
            group.flapping.clone_from(&flapping);
            let begun = flapping.difference(&before).map(|print| ("flapping", *print));
            let over = before.difference(&flapping).map(|print| ("stable", *print));
            for (kind, print) in begun.chain(over) {
                step.happen_often(self.about(kind, print, json!({ "receiver": receiver }), now));
            }
        }
        if muted_before != muted {
            let kind = if muted.is_empty() { "unsuppressed" } else { "suppressed" };
            let body = happening::muted(muted, &receiver, &prints);
            let labels = id.labels.clone();
            step.happen(happening::Happening {
                at: now.wall,
                kind,
                fingerprint: None,
                labels,
                body,
            });
        }
    }

    /// Whether one integration is told; a log entry alone may be due where it sends no resolved.
    fn decide(
        &mut self,
        plan: &IntegrationPlan,
        notification: &Notification,
        route: &Route,
        (flush_id, now): (u64, Moment),
        step: &mut Step,
    ) -> bool {
        let (mut firing, mut resolved) = (BTreeSet::new(), BTreeSet::new());
        for alert in &notification.alerts {
            match alert.status() {
                AlertStatus::Firing => firing.insert(alert.fingerprint()),
                AlertStatus::Resolved => resolved.insert(alert.fingerprint()),
            };
        }
        let log_key = log_key(&notification.group_key, route, plan);
        self.reports.log_queries += 1;
        let entry = self.log.get(&log_key);
        let repeat = route.repeat_interval;
        let due = log::due(entry, &firing, &resolved, plan.send_resolved, repeat, now);
        let Some(reason) = due else { return false };
        let mut notification = Notification { reason, ..notification.clone() };
        if !plan.send_resolved {
            notification.alerts.retain(|alert| alert.status() == AlertStatus::Firing);
        }
        if reason == Reason::Repeat {
            // Nobody has to be told again what somebody works on. The log stays as it is, so that
            // a repeat is due as soon as that is taken back.
            notification.alerts.retain(|alert| !self.acks.contains(alert.fingerprint()));
            if notification.status() == AlertStatus::Resolved {
                return false;
            }
        }
        if notification.alerts.is_empty() {
            let data = entry.map(|entry| entry.data.clone()).unwrap_or_default();
            self.write_log(log_key, (firing, resolved), data, (repeat, now), step);
            return false;
        }
        // A message of an earlier incident is not changed any more.
        let data = entry.filter(|_| reason != Reason::First).map(|entry| entry.data.clone());
        self.deliveries_made += 1;
        let timeout = route.group_interval.max(DELIVERY_TIMEOUT_MIN);
        let delivery = Delivery {
            id: DeliveryId(self.deliveries_made),
            integration: log_key.integration,
            notification,
            data: data.unwrap_or_default(),
            deadline: now.elapsed.saturating_add(timeout),
            resumed: false,
        };
        let flush = Some(flush_id);
        let open =
            OpenDelivery { delivery, firing, resolved, repeat, timeout, flush, started: now };
        step.write(record::write_outbox(&open));
        step.write(record::write_counter(record::DELIVERIES, self.deliveries_made));
        step.deliveries.push(open.delivery.clone());
        self.open.insert(open);
        true
    }

    fn write_log(
        &mut self,
        key: LogKey,
        (firing, resolved): (BTreeSet<Fingerprint>, BTreeSet<Fingerprint>),
        data: BTreeMap<String, String>,
        (repeat, now): (Duration, Moment),
        step: &mut Step,
    ) {
        let kept = repeat.saturating_mul(2).min(self.config.retention);
        let entry =
            LogEntry { firing, resolved, sent_at: now.wall, sent: Uptime::of(now), kept, data };
        step.write(record::write_log(&key, &entry));
        self.log.set(key, entry);
    }

    pub(super) fn finish(
        &mut self,
        id: DeliveryId,
        outcome: DeliveryOutcome,
        now: Moment,
        step: &mut Step,
    ) {
        // One that was given up may still come back: its row is gone already.
        let Some(open) = self.open.remove(id) else { return };
        step.write(Record::removal(Table::Outbox, record::outbox_row_key(id)));
        self.reports.finished(&open, &outcome, now);
        step.happen(happening::of_delivery(&open, &outcome, now.wall));
        let failed = outcome.error.is_some();
        if !failed {
            self.tell_delivered(&open, now, step);
            let key = LogKey {
                group: open.delivery.notification.group_key,
                integration: open.delivery.integration,
            };
            let mut data = open.delivery.data;
            data.extend(outcome.data);
            self.write_log(key, (open.firing, open.resolved), data, (open.repeat, now), step);
        }
        let Some(flush_id) = open.flush else { return };
        let Some(flush) = self.flushes.get_mut(&flush_id) else { return };
        flush.failed |= failed;
        flush.open = flush.open.saturating_sub(1);
        if failed && let Some(group) = self.groups.get_mut(&flush.group) {
            // A sink that fails is not asked all the time.
            group.hurried = false;
        }
        if flush.open == 0
            && let Some(flush) = self.flushes.remove(&flush_id)
            && !flush.failed
        {
            self.settle(flush, now, step);
        }
    }

    /// After a successful flush resolved alerts leave the group, unless they changed meanwhile.
    /// An empty group ends.
    fn settle(&mut self, flush: Flush, now: Moment, step: &mut Step) {
        let Some(group) = self.groups.get_mut(&flush.group) else { return };
        let mut left = BTreeSet::new();
        for (print, version) in flush.resolved {
            let held = self.alerts.get(&print).filter(|held| held.version == version);
            if let Some(held) = held
                && group.members.remove(&print)
            {
                let info = || GroupInfo::of(group, &flush.group.labels);
                step.occur(now.wall, || What::AlertResolved(held.alert.clone(), info()));
                left.insert(print);
            }
        }
        if group.members.is_empty() {
            self.groups.remove(&flush.group);
        }
        for print in &left {
            self.alerts.change(*print, |held| held.groups = held.groups.saturating_sub(1));
            self.write_alert(*print, now, step);
        }
    }

    /// A delivery without a report long after its deadline must not hold up its group.
    pub(super) fn give_up_overdue(&mut self, now: Moment, step: &mut Step) {
        for id in self.open.overdue(now.elapsed) {
            let outcome = DeliveryOutcome::failed("no report by its deadline");
            self.finish(id, outcome, now, step);
        }
    }
}

/// How the route's receiver is told.
fn plans<'a>(config: &'a Config, route: &Route) -> &'a [IntegrationPlan] {
    config.receiver(&route.receiver).map(|plan| plan.integrations.as_slice()).unwrap_or_default()
}

fn log_key(group: &GroupKey, route: &Route, plan: &IntegrationPlan) -> LogKey {
    let integration = IntegrationId {
        receiver: route.receiver.clone(),
        kind: plan.kind.clone(),
        index: plan.index,
    };
    LogKey { group: group.clone(), integration }
}
