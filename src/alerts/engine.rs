//! The state machine: events in, effects out. It holds every alert, group, silence and log entry,
//! and neither waits nor sends.

use super::ack::{Ack, AckDraft, Acks};
use super::config::Config;
use super::error::{AckError, AlertError, RecordError, SilenceError};
use super::group::{Group, GroupId, payload_order};
use super::happening::Happening;
use super::inhibit::Inhibitor;
use super::log::{self, Log, LogEntry, LogKey};
use super::notification::{
    Delivery, DeliveryId, DeliveryOutcome, IntegrationId, IntegrationPlan, Notification,
    NotifiedAlert, OpenDelivery, Reason,
};
use super::receive;
use super::record::{self, Record, Table};
use super::report::Reports;
use super::route::Route;
use super::silence::{SilenceDraft, Silences};
use crate::model::{Alert, AlertStatus, Fingerprint, GroupKey, Labels, SilenceId, Timestamp};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A send has at least this long, however short `group_interval` is.
const DELIVERY_TIMEOUT_MIN: Duration = Duration::from_secs(10);
/// A delivery that nobody reports on for this long past its deadline has failed.
const REPORT_GRACE: Duration = Duration::from_secs(15);
/// Resolved alerts stay visible for this long.
const RESOLVED_KEPT: Duration = Duration::from_secs(15 * 60);
/// After a restart an alert that fired keeps firing for at most this long without being sent
/// again: its sender was not heard while the process was down.
const RESTART_GRACE_MAX: Duration = Duration::from_secs(5 * 60);

/// An instant on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time of day: stamps and ends of alerts, silences, time intervals.
    pub wall: Timestamp,
    /// Time since the process started: drives every timer.
    pub elapsed: Duration,
}

/// What happens to the engine.
#[derive(Clone, Debug)]
pub enum Event {
    /// Alerts came in, from rules or from outside (see `receive::complete_all`).
    AlertsReceived(Vec<Alert>),
    /// Deliveries ended: which, and how.
    DeliveriesFinished(Vec<(DeliveryId, DeliveryOutcome)>),
    /// Somebody makes or changes a silence.
    SilenceSet {
        /// What is wanted.
        draft: SilenceDraft,
        /// The identity it gets if it is a new one.
        new_id: SilenceId,
    },
    /// Somebody ends a silence.
    SilenceExpired(SilenceId),
    /// Somebody acknowledges alerts: all of them, or none when one does not fire.
    Acknowledged(AckDraft),
    /// Somebody takes acknowledgements back: the alerts, and who.
    AckWithdrawn(Vec<Fingerprint>, String),
    /// Time has passed.
    Tick,
    /// A new configuration is in force.
    ConfigChanged(Arc<Config>),
    /// What was stored is there again: once, right after `new`.
    Restored(Vec<Record>),
}

/// What is to be stored in one transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Rows of the engine's memory.
    pub records: Vec<Record>,
    /// What is added to the history.
    pub happened: Vec<Happening>,
}

/// The answer to an event that somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To `SilenceSet` and `SilenceExpired`.
    Silence(Result<SilenceId, SilenceError>),
    /// To `Acknowledged` and `AckWithdrawn`: how many alerts it was about.
    Ack(Result<usize, AckError>),
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Store these in one transaction, before any later effect.
    Persist(Changes),
    /// Answer whoever waits for the event.
    Answered(Answer),
    /// Send this, and report with `Event::DeliveriesFinished`.
    Deliver(Box<Delivery>),
    /// An alert was not taken.
    AlertRefused(AlertError),
    /// A stored row was left out.
    RecordLeftOut(RecordError),
    /// Something that a screen shows has changed.
    Changed,
    /// Send a `Tick` when this much elapsed time is reached. The last effect of every step, and
    /// `Duration::MAX` when there is nothing to wait for: it replaces the one before.
    WakeAt(Duration),
}

/// An alert and what is remembered beside it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) alert: Alert,
    /// Grows with every change: tells whether it changed during a flush.
    version: u64,
    /// Groups that it is in.
    groups: usize,
}

/// A look at a group whose deliveries are not all back.
#[derive(Debug)]
struct Flush {
    group: GroupId,
    /// Deliveries on their way.
    open: usize,
    failed: bool,
    /// Resolved members and their versions: they leave the group when all succeeded.
    resolved: Vec<(Fingerprint, u64)>,
}

/// What a step has gathered.
#[derive(Debug, Default)]
struct Step {
    records: BTreeMap<(Table, String), Option<String>>,
    happened: Vec<Happening>,
    answer: Option<Answer>,
    deliveries: Vec<Delivery>,
    others: Vec<Effect>,
    changed: bool,
}

impl Step {
    fn write(&mut self, record: Record) {
        self.changed = true;
        self.records.insert((record.table, record.key), record.value);
    }

    fn into_effects(self, wake_at: Duration) -> Vec<Effect> {
        let mut effects = Vec::new();
        let records: Vec<_> = self
            .records
            .into_iter()
            .map(|((table, key), value)| Record { table, key, value })
            .collect();
        let happened = self.happened;
        if !records.is_empty() || !happened.is_empty() {
            effects.push(Effect::Persist(Changes { records, happened }));
        }
        effects.extend(self.answer.map(Effect::Answered));
        effects.extend(self.deliveries.into_iter().map(|one| Effect::Deliver(Box::new(one))));
        effects.extend(self.others);
        if self.changed {
            effects.push(Effect::Changed);
        }
        effects.push(Effect::WakeAt(wake_at));
        effects
    }
}

/// Decides who is told what, when.
#[derive(Debug)]
pub struct Engine {
    pub(super) config: Arc<Config>,
    pub(super) alerts: BTreeMap<Fingerprint, Held>,
    pub(super) groups: BTreeMap<GroupId, Group>,
    pub(super) silences: Silences,
    pub(super) acks: Acks,
    pub(super) log: Log,
    pub(super) reports: Reports,
    inhibitor: Inhibitor,
    deliveries: BTreeMap<DeliveryId, OpenDelivery>,
    flushes: BTreeMap<u64, Flush>,
    deliveries_made: u64,
    versions_made: u64,
}

impl Engine {
    /// An engine that knows nothing yet.
    pub fn new(config: Arc<Config>) -> Self {
        Self {
            inhibitor: Inhibitor::new(&config.inhibit_rules),
            reports: Reports::new(&config),
            config,
            alerts: BTreeMap::new(),
            groups: BTreeMap::new(),
            silences: Silences::default(),
            acks: Acks::default(),
            log: Log::default(),
            deliveries: BTreeMap::new(),
            flushes: BTreeMap::new(),
            deliveries_made: 0,
            versions_made: 0,
        }
    }

    /// The configuration in force.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Takes one event in and answers with what is to be done.
    pub fn step(&mut self, now: Moment, event: Event) -> Vec<Effect> {
        let mut step = Step::default();
        match event {
            Event::AlertsReceived(alerts) => {
                for alert in alerts {
                    self.receive(alert, now, &mut step);
                }
            }
            Event::DeliveriesFinished(finished) => {
                for (id, outcome) in finished {
                    self.finish(id, outcome, now, &mut step);
                }
            }
            Event::SilenceSet { draft, new_id } => {
                let limits = &self.config.limits;
                let done = self.silences.set(draft, new_id, limits, now.wall);
                let answer = done.map(|(id, changed)| {
                    self.write_silences(&changed, &mut step);
                    id
                });
                step.answer = Some(Answer::Silence(answer));
            }
            Event::SilenceExpired(id) => {
                let answer = self.silences.expire(&id, now.wall).map(|changed| {
                    self.write_silences(changed.as_slice(), &mut step);
                    id
                });
                step.answer = Some(Answer::Silence(answer));
            }
            Event::Acknowledged(draft) => self.acknowledge(&draft, now, &mut step),
            Event::AckWithdrawn(prints, by) => self.withdraw_acks(&prints, &by, now, &mut step),
            Event::Tick => {}
            Event::ConfigChanged(config) => self.reconfigure(config, now, &mut step),
            Event::Restored(records) => self.restore(&records, now, &mut step),
        }
        self.give_up_overdue(now, &mut step);
        self.end_acks(now, &mut step);
        self.flush_due(now, &mut step);
        self.forget(now, &mut step);
        step.into_effects(self.next_wake(now))
    }

    fn write_silences(&self, ids: &[SilenceId], step: &mut Step) {
        for silence in ids.iter().filter_map(|id| self.silences.get(id)) {
            step.write(record::write_silence(silence));
        }
    }

    fn acknowledge(&mut self, draft: &AckDraft, now: Moment, step: &mut Step) {
        let fires = |print| is_firing(&self.alerts, print, now.wall);
        let done = self.acks.acknowledge(draft, fires, now.wall);
        let answer = done.map(|prints| {
            let ack = Ack { by: draft.by.clone(), comment: draft.comment.clone(), at: now.wall };
            for print in &prints {
                step.write(record::write_ack(*print, &ack));
                let what = json!({ "by": draft.by, "comment": draft.comment });
                self.happen("ack", *print, what, now, step);
            }
            prints.len()
        });
        step.answer = Some(Answer::Ack(answer));
    }

    fn withdraw_acks(&mut self, prints: &[Fingerprint], by: &str, now: Moment, step: &mut Step) {
        let answer = self.acks.withdraw(prints).map(|prints| {
            for print in &prints {
                step.write(Record::removal(Table::Ack, print.to_string()));
                let what = json!({ "by": by, "why": "withdrawn" });
                self.happen("ack_ended", *print, what, now, step);
            }
            prints.len()
        });
        step.answer = Some(Answer::Ack(answer));
    }

    /// An acknowledgement ends with its alert.
    fn end_acks(&mut self, now: Moment, step: &mut Step) {
        for print in self.acks.end(|print| is_firing(&self.alerts, print, now.wall)) {
            step.write(Record::removal(Table::Ack, print.to_string()));
            self.happen("ack_ended", print, json!({ "why": "resolved" }), now, step);
        }
    }

    /// Puts something about an alert into the history.
    fn happen(
        &self,
        kind: &'static str,
        print: Fingerprint,
        body: serde_json::Value,
        now: Moment,
        step: &mut Step,
    ) {
        let labels = self.alerts.get(&print).map(|held| held.alert.labels.clone());
        let labels = labels.unwrap_or_else(Labels::empty);
        let fingerprint = Some(print);
        step.happened.push(Happening { at: now.wall, kind, fingerprint, labels, body });
    }

    fn receive(&mut self, alert: Alert, now: Moment, step: &mut Step) {
        let print = alert.fingerprint();
        let firing = alert.status(now.wall) == AlertStatus::Firing;
        self.reports.count_received(firing);
        let alert = match self.alerts.get(&print) {
            Some(held) => receive::merge(&held.alert, alert, now.wall),
            None if firing && !self.has_room_for(alert.name(), now.wall) => {
                let limit = self.config.limits.alerts_per_name_max;
                let refused = AlertError::TooMany { name: alert.name().to_owned(), limit };
                step.others.push(Effect::AlertRefused(refused));
                return;
            }
            None => {
                self.inhibitor.insert(print, &alert.labels);
                alert
            }
        };
        self.hold(print, alert);
        self.route_alert(print, now);
        self.write_alert(print, step);
    }

    fn has_room_for(&self, name: &str, now: Timestamp) -> bool {
        let limit = self.config.limits.alerts_per_name_max;
        let same = |held: &&Held| {
            held.alert.name() == name && held.alert.status(now) == AlertStatus::Firing
        };
        limit == 0 || self.alerts.values().filter(same).count() < limit
    }

    fn hold(&mut self, print: Fingerprint, alert: Alert) {
        self.versions_made += 1;
        let groups = self.alerts.get(&print).map_or(0, |held| held.groups);
        self.alerts.insert(print, Held { alert, version: self.versions_made, groups });
    }

    fn write_alert(&self, print: Fingerprint, step: &mut Step) {
        if let Some(held) = self.alerts.get(&print) {
            step.write(record::write_alert(&held.alert, held.groups == 0));
        }
    }

    /// Puts an alert into its groups.
    fn route_alert(&mut self, print: Fingerprint, now: Moment) {
        let config = self.config.clone();
        let Some(held) = self.alerts.get_mut(&print) else { return };
        for route in config.route.matching(&held.alert.labels) {
            let labels = route.group_by.group_labels(&held.alert.labels);
            let id = GroupId { route: route.id.clone(), labels };
            let group = self
                .groups
                .entry(id)
                .or_insert_with_key(|id| Group::new(route, &id.labels, &held.alert, now));
            if group.members.insert(print) {
                held.groups += 1;
            }
        }
    }

    fn reconfigure(&mut self, config: Arc<Config>, now: Moment, step: &mut Step) {
        self.inhibitor = Inhibitor::new(&config.inhibit_rules);
        self.reports.reconfigure(&config);
        self.config = config;
        self.groups.clear();
        let prints: Vec<_> = self.alerts.keys().copied().collect();
        for print in prints {
            let Some(held) = self.alerts.get_mut(&print) else { continue };
            self.inhibitor.insert(print, &held.alert.labels);
            // What has ended and been told everywhere is not told again.
            let open = held.groups > 0 || held.alert.status(now.wall) == AlertStatus::Firing;
            held.groups = 0;
            if open {
                self.route_alert(print, now);
            }
        }
        step.changed = true;
    }

    fn restore(&mut self, records: &[Record], now: Moment, step: &mut Step) {
        for record in records {
            if let Err(err) = self.restore_one(record, now) {
                step.others.push(Effect::RecordLeftOut(err));
            }
        }
        // Rows of the outbox come after all else is there: they may belong to nobody any more.
        for record in records.iter().filter(|record| record.table == Table::Outbox) {
            match record::read_outbox(record, now) {
                Ok(open) => self.resume(open, step),
                Err(err) => {
                    step.write(Record::removal(Table::Outbox, record.key.clone()));
                    step.others.push(Effect::RecordLeftOut(err));
                }
            }
        }
        step.changed = true;
    }

    fn restore_one(&mut self, record: &Record, now: Moment) -> Result<(), RecordError> {
        match record.table {
            Table::Alert => {
                let stored = record::read_alert(record)?;
                let print = stored.alert.fingerprint();
                self.inhibitor.insert(print, &stored.alert.labels);
                if stored.settled {
                    self.hold(print, stored.alert);
                } else {
                    self.hold(print, after_restart(stored.alert, now.wall));
                    self.route_alert(print, now);
                }
            }
            Table::Silence => self.silences.restore(record::read_silence(record)?),
            Table::Log => {
                let (key, entry) = record::read_log(record)?;
                self.log.set(key, entry);
            }
            Table::Counter if record.key == record::DELIVERIES => {
                self.deliveries_made = self.deliveries_made.max(record::read_counter(record)?);
            }
            Table::Ack => {
                let (print, ack) = record::read_ack(record)?;
                self.acks.set(print, ack);
            }
            Table::Counter | Table::Outbox | Table::Watch => {}
        }
        Ok(())
    }

    /// Sends what was on its way once more, with the same key, if there is still such a receiver.
    fn resume(&mut self, open: OpenDelivery, step: &mut Step) {
        let id = open.delivery.id;
        self.deliveries_made = self.deliveries_made.max(id.number());
        if self.plan(&open.delivery.integration).is_none() {
            step.write(Record::removal(Table::Outbox, record::outbox_row_key(id)));
            return;
        }
        step.deliveries.push(open.delivery.clone());
        self.deliveries.insert(id, open);
    }

    fn plan(&self, integration: &IntegrationId) -> Option<&IntegrationPlan> {
        let receiver = self.config.receiver(&integration.receiver)?;
        receiver
            .integrations
            .iter()
            .find(|plan| plan.kind == integration.kind && plan.index == integration.index)
    }

    fn flush_due(&mut self, now: Moment, step: &mut Step) {
        let busy = self.busy_groups();
        let due: Vec<_> = self
            .groups
            .iter()
            .filter(|(_, group)| group.next_flush <= now.elapsed && !is_busy(&busy, group))
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            self.flush(&id, now, step);
        }
    }

    /// Groups with a delivery on its way: the next look waits until it is back, or the log would
    /// be read before it is written.
    fn busy_groups(&self) -> BTreeSet<(GroupKey, String)> {
        self.deliveries
            .values()
            .map(|open| {
                let notification = &open.delivery.notification;
                (notification.group_key.clone(), notification.receiver.clone())
            })
            .collect()
    }

    /// One look at a group, in upstream's order: inhibition, intervals, silences, then each
    /// integration decides by the log.
    fn flush(&mut self, id: &GroupId, now: Moment, step: &mut Step) {
        let config = self.config.clone();
        let Some(route) = config.route.find(&id.route) else { return };
        let Some(group) = self.groups.get_mut(id) else { return };
        group.next_flush = now.elapsed.saturating_add(route.group_interval);
        let key = group.key.clone();
        let mut members: Vec<(Fingerprint, &Held)> = group
            .members
            .iter()
            .filter_map(|print| Some((*print, self.alerts.get(print)?)))
            .collect();
        members.sort_by(|(_, a), (_, b)| payload_order(&a.alert.labels, &b.alert.labels));
        let resolved = members
            .iter()
            .filter(|(_, held)| held.alert.status(now.wall) == AlertStatus::Resolved)
            .map(|(print, held)| (*print, held.version))
            .collect();
        let quiet = !self.quiet_by(route, now.wall).is_empty();
        let audible = |(print, held): &(Fingerprint, &Held)| {
            !quiet
                && self.inhibited_by(&held.alert, now.wall).is_none()
                && self.silences.acting_on(&held.alert.labels, now.wall).is_empty()
                && self.alerts.contains_key(print)
        };
        let told: Vec<_> = members
            .iter()
            .filter(|member| audible(member))
            .map(|(_, held)| NotifiedAlert::at(&held.alert, now.wall))
            .collect();
        let flush_id = self.next_version();
        let mut flush = Flush { group: id.clone(), open: 0, failed: false, resolved };
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
            let plans = config.receiver(&route.receiver).map(|plan| plan.integrations.as_slice());
            for plan in plans.unwrap_or_default() {
                let sent = self.decide(plan, &notification, route, (flush_id, now), step);
                flush.open += usize::from(sent);
            }
        }
        if flush.open == 0 {
            self.settle(flush, step);
        } else {
            self.flushes.insert(flush_id, flush);
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
        let integration = IntegrationId {
            receiver: route.receiver.clone(),
            kind: plan.kind.clone(),
            index: plan.index,
        };
        let (mut firing, mut resolved) = (BTreeSet::new(), BTreeSet::new());
        for alert in &notification.alerts {
            match alert.status() {
                AlertStatus::Firing => firing.insert(alert.fingerprint()),
                AlertStatus::Resolved => resolved.insert(alert.fingerprint()),
            };
        }
        let log_key = LogKey { group: notification.group_key.clone(), integration };
        let entry = self.log.get(&log_key);
        let repeat = route.repeat_interval;
        let due = log::due(entry, &firing, &resolved, plan.send_resolved, repeat, now);
        let Some(reason) = due else { return false };
        let mut notification = Notification { reason, ..notification.clone() };
        if !plan.send_resolved {
            notification.alerts.retain(|alert| alert.status() == AlertStatus::Firing);
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
        self.deliveries.insert(open.delivery.id, open);
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
        let entry = LogEntry {
            firing,
            resolved,
            sent_at: now.wall,
            sent_elapsed: Some(now.elapsed),
            expires_at: now.wall.plus(kept),
            data,
        };
        step.write(record::write_log(&key, &entry));
        self.log.set(key, entry);
    }

    fn finish(&mut self, id: DeliveryId, outcome: DeliveryOutcome, now: Moment, step: &mut Step) {
        // One that was given up may still come back: its row is gone already.
        let Some(open) = self.deliveries.remove(&id) else { return };
        step.write(Record::removal(Table::Outbox, record::outbox_row_key(id)));
        self.reports.finished(&open, &outcome, now);
        let failed = outcome.error.is_some();
        if !failed {
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
        if flush.open == 0
            && let Some(flush) = self.flushes.remove(&flush_id)
            && !flush.failed
        {
            self.settle(flush, step);
        }
    }

    /// After a successful flush resolved alerts leave the group, unless they changed meanwhile.
    /// An empty group ends.
    fn settle(&mut self, flush: Flush, step: &mut Step) {
        let Some(group) = self.groups.get_mut(&flush.group) else { return };
        let mut left = Vec::new();
        for (print, version) in flush.resolved {
            let Some(held) = self.alerts.get_mut(&print) else { continue };
            if held.version == version && group.members.remove(&print) {
                held.groups = held.groups.saturating_sub(1);
                left.push(print);
            }
        }
        if group.members.is_empty() {
            self.groups.remove(&flush.group);
        }
        for print in left {
            self.write_alert(print, step);
        }
    }

    /// A delivery without a report long after its deadline must not hold up its group.
    fn give_up_overdue(&mut self, now: Moment, step: &mut Step) {
        let overdue: Vec<_> = self
            .deliveries
            .values()
            .filter(|open| open.delivery.deadline.saturating_add(REPORT_GRACE) <= now.elapsed)
            .map(|open| open.delivery.id)
            .collect();
        for id in overdue {
            let outcome = DeliveryOutcome::failed("no report by its deadline");
            self.finish(id, outcome, now, step);
        }
    }

    /// Drops what is over: log entries, silences, alerts whose end was told.
    fn forget(&mut self, now: Moment, step: &mut Step) {
        // While an alert is open that was told as firing, its end must still be told, however long
        // the sink was dead: upstream forgets after twice the repeat interval.
        let open = |print: &Fingerprint| self.alerts.get(print).is_some_and(|held| held.groups > 0);
        let needed = |entry: &LogEntry| entry.firing.iter().any(open);
        for key in self.log.expire(now.wall, needed) {
            step.write(Record::removal(Table::Log, record::log_row_key(&key)));
        }
        for id in self.silences.forget(self.config.retention, now.wall) {
            step.write(Record::removal(Table::Silence, id.as_str().to_owned()));
        }
        let over =
            |held: &Held| held.groups == 0 && held.alert.ends_at.plus(RESOLVED_KEPT) <= now.wall;
        let gone: Vec<_> = self.alerts.extract_if(.., |_, held| over(held)).collect();
        for (print, held) in gone {
            self.inhibitor.remove(print, &held.alert.labels);
            step.write(Record::removal(Table::Alert, print.to_string()));
        }
    }

    fn next_wake(&self, now: Moment) -> Duration {
        let busy = self.busy_groups();
        let flushes = self
            .groups
            .values()
            .filter(|group| !is_busy(&busy, group))
            .map(|group| group.next_flush);
        let reports = self
            .deliveries
            .values()
            .map(|open| open.delivery.deadline.saturating_add(REPORT_GRACE));
        let forgotten = self.next_forgotten(now.wall).map(|at| {
            // Never at once: a wall clock set back must not make the loop spin.
            now.elapsed.saturating_add(at.since(now.wall).max(Duration::from_secs(1)))
        });
        flushes.chain(reports).chain(forgotten).min().unwrap_or(Duration::MAX)
    }

    fn next_forgotten(&self, now: Timestamp) -> Option<Timestamp> {
        let settled = self.alerts.values().filter(|held| held.groups == 0);
        let alerts = settled.map(|held| held.alert.ends_at.plus(RESOLVED_KEPT));
        let silences = self.silences.iter().map(|one| one.ends_at.plus(self.config.retention));
        alerts.chain(silences).chain(self.log.next_expiry(now)).min()
    }

    /// Names of the intervals that keep a route quiet at this time.
    pub(super) fn quiet_by(&self, route: &Route, now: Timestamp) -> Vec<String> {
        self.config.quiet_by(route, now)
    }

    pub(super) fn inhibited_by(&self, alert: &Alert, now: Timestamp) -> Option<Fingerprint> {
        let fires = |print| is_firing(&self.alerts, print, now);
        self.inhibitor.inhibited_by(&alert.labels, fires)
    }

    fn next_version(&mut self) -> u64 {
        self.versions_made += 1;
        self.versions_made
    }
}

fn is_firing(alerts: &BTreeMap<Fingerprint, Held>, print: Fingerprint, now: Timestamp) -> bool {
    alerts.get(&print).is_some_and(|held| held.alert.status(now) == AlertStatus::Firing)
}

fn is_busy(busy: &BTreeSet<(GroupKey, String)>, group: &Group) -> bool {
    !busy.is_empty() && busy.contains(&(group.key.clone(), group.receiver.clone()))
}

/// An alert that fired when it was last heard of goes on firing for a while, so that its sender
/// can be heard again before its end is told.
fn after_restart(mut alert: Alert, now: Timestamp) -> Alert {
    let fired = alert.ends_at > alert.updated_at;
    if fired {
        let span = alert.ends_at.since(alert.updated_at).min(RESTART_GRACE_MAX);
        alert.ends_at = alert.ends_at.max(now.plus(span));
    }
    alert
}
