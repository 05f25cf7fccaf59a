//! Alerts come into the engine's memory, come back after a restart, end, and are forgotten.

use super::config::Config;
use super::drill;
use super::engine::{Effect, Engine, Moment};
use super::error::{AlertError, RecordError};
use super::group::{Group, GroupId};
use super::happening;
use super::held::{Alerts, Held, RESOLVED_TRIED, Source, Uptime};
use super::inhibit::Inhibitor;
use super::log::LogEntry;
use super::notification::{IntegrationId, IntegrationPlan, OpenDelivery};
use super::occurrence::{GroupInfo, What};
use super::receive;
use super::record::{self, Record, StoredAlert, Table};
use super::silence::Silence;
use super::step::Step;
use super::watch::Awaited;
use crate::model::{Alert, AlertStatus, Fingerprint, SilenceId};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// After a restart an alert that fired keeps firing for at most this long without being sent
/// again: its sender was not heard while the process was down.
const RESTART_GRACE_MAX: Duration = Duration::from_secs(5 * 60);

impl Engine {
    pub(super) fn receive(&mut self, alert: Alert, source: Source, now: Moment, step: &mut Step) {
        let print = alert.fingerprint();
        let firing = alert.status(now.wall) == AlertStatus::Firing;
        if source != Source::Watch {
            self.reports.count_received(firing);
            if firing && !drill::is_one(&alert.labels) {
                self.watched.saw(Awaited::Alert, &alert.labels, &self.config, now, step);
            }
        }
        let before = self.alerts.get(&print).cloned();
        let fired = before.as_ref().is_some_and(|held| !held.ended);
        if before.is_none() && firing && !self.has_room_for(alert.name()) {
            let limit = self.config.limits.alerts_per_name_max;
            let refused = AlertError::TooMany { name: alert.name().to_owned(), limit };
            step.others.push(Effect::AlertRefused(refused));
            self.reports.limited += 1;
            return;
        }
        let held = match &before {
            // Senders repeat an end. A wall clock set back must not make a firing alert of it.
            Some(held) if is_known_end(held, &alert, now) => {
                // Who was told that it fires, and could not be told of the end, is told now.
                self.route_received(print, now, step);
                return;
            }
            Some(held) => {
                let alert = receive::merge(&held.alert, held.ended, alert, now.wall);
                let fresh = Held::new(alert, source, now);
                Held {
                    alert: fresh.alert,
                    source,
                    ends: fresh.ends,
                    ended: fresh.ended,
                    ..held.clone()
                }
            }
            None => {
                self.inhibitor.insert(print, &alert.labels);
                Held::new(alert, source, now)
            }
        };
        let ended = held.ended;
        if before.is_none() {
            step.occur(now.wall, || What::AlertCreated(held.alert.clone()));
        }
        self.alerts.put(print, held);
        if fired == ended {
            self.turned(print, None, now, step);
        }
        // One that goes on firing is in all of its groups.
        if !fired || ended {
            self.route_received(print, now, step);
        }
        let refreshed = before.is_some_and(|before| self.is_refreshed(print, &before, now));
        if !refreshed {
            self.write_alert(print, now, step);
        }
    }

    fn has_room_for(&self, name: &str) -> bool {
        let limit = self.config.limits.alerts_per_name_max;
        limit == 0 || self.alerts.firing_of(name) < limit
    }

    /// Whether it was only said again that the alert fires, and its row will do for a while.
    fn is_refreshed(&self, print: Fingerprint, before: &Held, now: Moment) -> bool {
        let Some(held) = self.alerts.get(&print) else { return false };
        let (old, new) = (&before.alert, &held.alert);
        let same = old.annotations == new.annotations
            && old.starts_at == new.starts_at
            && old.generator_url == new.generator_url
            && old.ends_by_timeout == new.ends_by_timeout;
        let left = held.stored_end.since(now.wall);
        same && !before.ended && !held.ended && left >= new.ends_at.since(now.wall) / 2
    }

    /// An alert began to fire or ended. Of a rule's alert the rule tells both, but not that it is
    /// no longer sent.
    fn turned(&mut self, print: Fingerprint, why: Option<&str>, now: Moment, step: &mut Step) {
        let Some(held) = self.alerts.get(&print) else { return };
        let kind = if held.ended { "resolved" } else { "firing" };
        if held.source != Source::Rules || why.is_some() {
            let mut body = json!({
                "source": held.source.as_str(),
                "starts_at_ms": held.alert.starts_at.as_millis(),
                "ends_at_ms": held.alert.ends_at.as_millis(),
            });
            if let Some(why) = why {
                happening::put(&mut body, "why", json!(why));
            }
            step.happen_often(self.about(kind, print, body, now));
        }
        self.alerts.change(print, |held| {
            held.turn(now);
            held.quiet = None;
        });
    }

    /// Alerts that nobody mentions any more end, and so do silences.
    pub(super) fn notice_ends(&mut self, now: Moment, step: &mut Step) {
        for print in self.alerts.notice_ends(now) {
            self.turned(print, Some("not sent again"), now, step);
            self.write_alert(print, now, step);
        }
        let fires = |silence: &Silence| fires_under(&self.alerts, silence);
        let extended = self.silences.extend(now.wall, fires);
        self.write_silences(&extended, step);
        for id in self.silences.notice_ends(now.wall) {
            self.tell_end(&id, now, step);
        }
        // Screens show what acts.
        step.changed |= self.silences.has_begun_since(self.looked_at, now.wall);
        self.looked_at = now.wall;
    }

    fn write_silences(&self, ids: &[SilenceId], step: &mut Step) {
        for silence in ids.iter().filter_map(|id| self.silences.get(id)) {
            step.write(self.silences.record(silence));
        }
    }

    pub(super) fn write_alert(&mut self, print: Fingerprint, now: Moment, step: &mut Step) {
        let written = self.alerts.change(print, |held| {
            held.stored_end = held.alert.ends_at;
        });
        if written.is_some()
            && let Some(held) = self.alerts.get(&print)
        {
            step.write(record::write_alert(held, now));
        }
    }

    /// Puts an alert that came in into its groups, and tells which ones it joins.
    fn route_received(&mut self, print: Fingerprint, now: Moment, step: &mut Step) {
        let joined = self.route_alert(print, now);
        let Some(held) = self.alerts.get(&print) else { return };
        for id in &joined {
            if let Some(group) = self.groups.get(id) {
                let info = || GroupInfo::of(group, &id.labels);
                step.occur(now.wall, || What::AlertGrouped(held.alert.clone(), info()));
            }
        }
    }

    /// Puts an alert into its groups; those that it joins.
    pub(super) fn route_alert(&mut self, print: Fingerprint, now: Moment) -> Vec<GroupId> {
        let config = self.config.clone();
        let Some(held) = self.alerts.get(&print) else { return Vec::new() };
        let mut joined = Vec::new();
        for route in config.route.matching(&held.alert.labels) {
            let labels = route.group_labels(&held.alert.labels);
            let id = GroupId { route: route.id.clone(), labels };
            let group = self
                .groups
                .entry(id.clone())
                .or_insert_with_key(|id| Group::new(route, &id.labels, &held.alert, now));
            if held.source == Source::Drill {
                group.hurry(now);
            }
            if group.members.insert(print) {
                joined.push(id);
            }
        }
        self.alerts.change(print, |held| held.groups += joined.len());
        joined
    }

    pub(super) fn reconfigure(&mut self, config: Arc<Config>, now: Moment, step: &mut Step) {
        self.tell_intervals(&config, now, step);
        self.inhibitor = Inhibitor::new(&config.inhibit_rules);
        self.reports.reconfigure(&config);
        self.config = config;
        self.groups.clear();
        let told = self.log.firing();
        for print in self.alerts.prints() {
            let Some(held) = self.alerts.get(&print) else { continue };
            self.inhibitor.insert(print, &held.alert.labels);
            // What has ended and been told everywhere is not told again; but a route that comes
            // back may have been away when an alert ended.
            let open = held.groups > 0 || !held.ended || told.contains(&print);
            self.alerts.change(print, |held| held.groups = 0);
            if open {
                self.route_alert(print, now);
            }
        }
        step.changed = true;
    }

    /// Of which silences a new configuration takes the time interval away, or brings it back.
    fn tell_intervals(&self, new: &Config, now: Moment, step: &mut Step) {
        let dead = |config: &Config| -> BTreeSet<SilenceId> {
            self.silences.without_interval(config).map(|one| one.id.clone()).collect()
        };
        let (before, after) = (dead(&self.config), dead(new));
        let gone = after.difference(&before).map(|id| (id, "interval_gone"));
        let back = before.difference(&after).map(|id| (id, "interval_back"));
        for (id, what) in gone.chain(back) {
            if let Some(silence) = self.silences.get(id) {
                step.happen(happening::of_silence(silence, what, now.wall));
            }
        }
    }

    pub(super) fn restore(&mut self, records: &[Record], now: Moment, step: &mut Step) {
        for record in records {
            if let Err(err) = self.restore_one(record, now) {
                step.others.push(Effect::RecordLeftOut(err));
            }
        }
        // A route may have been away when an alert ended, and be back: as after a reload.
        for print in self.log.firing() {
            if self.alerts.get(&print).is_some_and(|held| held.ended && held.groups == 0) {
                self.route_alert(print, now);
            }
        }
        let fires = |silence: &Silence| fires_under(&self.alerts, silence);
        let revived = self.silences.revive(now.wall, fires);
        self.write_silences(&revived, step);
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
            Table::Alert => self.restore_alert(record::read_alert(record, now)?, now),
            Table::Silence => self.silences.restore(record::read_silence(record)?),
            Table::Log => {
                let (key, entry) = record::read_log(record, now)?;
                self.log.set(key, entry);
            }
            Table::Counter if record.key == record::DELIVERIES => {
                self.deliveries_made = self.deliveries_made.max(record::read_counter(record)?);
            }
            Table::Ack => {
                let (print, ack) = record::read_ack(record)?;
                self.acks.set(print, ack);
            }
            Table::Watch => {
                let seen = record::read_watch(record)?;
                self.watched.restore(record.key.clone(), seen, now);
            }
            Table::Counter | Table::Outbox => {}
        }
        Ok(())
    }

    fn restore_alert(&mut self, stored: StoredAlert, now: Moment) {
        let StoredAlert { mut held, settled } = stored;
        let print = held.alert.fingerprint();
        self.inhibitor.insert(print, &held.alert.labels);
        held.stored_end = held.alert.ends_at;
        held.ended |= settled || held.alert.ends_at <= held.alert.updated_at;
        if !held.ended {
            // So that its sender can be heard again before its end is told; and, whatever became
            // of the wall clock, not for longer than it was promised.
            let promised = held.alert.ends_at.since(held.alert.updated_at);
            let left = held.alert.ends_at.since(now.wall);
            // Nobody says a drill again.
            let is_said_again = held.source != Source::Drill;
            let grace = if is_said_again { RESTART_GRACE_MAX } else { Duration::ZERO };
            let left = left.max(promised.min(grace)).min(promised);
            held.alert.ends_at = now.wall.plus(left);
            // Or the next restart would take the time between the two for a longer promise.
            held.alert.updated_at = held.alert.ends_at.minus(promised);
            held.ends = Uptime::of(now).plus(left);
        }
        if held.ended {
            // A wall clock that was set back must not keep it for longer.
            held.ends = held.ends.min(Uptime::of(now));
        }
        self.alerts.put(print, held);
        if !settled {
            self.route_alert(print, now);
        }
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
        self.open.insert(open);
    }

    fn plan(&self, integration: &IntegrationId) -> Option<&IntegrationPlan> {
        let receiver = self.config.receiver(&integration.receiver)?;
        receiver
            .integrations
            .iter()
            .find(|plan| plan.kind == integration.kind && plan.index == integration.index)
    }

    /// Drops what is over: log entries, silences, alerts whose end was told, and those whose end
    /// could not be told for a day.
    pub(super) fn forget(&mut self, now: Moment, step: &mut Step) {
        while let Some(print) = self.alerts.next_over(now) {
            self.give_up(print, now, step);
            if let Some(held) = self.alerts.remove(print) {
                self.inhibitor.remove(print, &held.alert.labels);
            }
            step.write(Record::removal(Table::Alert, print.to_string()));
        }
        // While an alert is open that was told as firing, its end must still be told, however long
        // the sink was dead: upstream forgets after twice the repeat interval.
        let alerts = &self.alerts;
        let open = |print: &Fingerprint| alerts.get(print).is_some_and(|held| held.groups > 0);
        let needed = |entry: &LogEntry| entry.firing.iter().any(open);
        for key in self.log.expire(now, needed) {
            step.write(Record::removal(Table::Log, record::log_row_key(&key)));
        }
        for id in self.silences.forget(self.config.retention, now.wall) {
            step.write(Record::removal(Table::Silence, id.as_str().to_owned()));
        }
    }

    /// An alert leaves the groups that could not tell its end in `RESOLVED_TRIED`.
    fn give_up(&mut self, print: Fingerprint, now: Moment, step: &mut Step) {
        if self.alerts.get(&print).is_none_or(|held| held.groups == 0) {
            return;
        }
        let mut receivers = Vec::new();
        self.groups.retain(|_, group| {
            if group.members.remove(&print) {
                receivers.push(group.receiver.clone());
            }
            !group.members.is_empty()
        });
        let hours = RESOLVED_TRIED.as_secs() / 3600;
        let body = json!({ "receivers": receivers, "hours": hours });
        step.happen_often(self.about("given_up", print, body, now));
    }
}

/// Whether an alert fires that the silence is about.
fn fires_under(alerts: &Alerts, silence: &Silence) -> bool {
    alerts.iter().any(|(_, held)| !held.ended && silence.matches(&held.alert.labels))
}

/// Whether this only says again when the alert ended. What is known of an alert that came in parts
/// began with the first of them.
fn is_known_end(held: &Held, alert: &Alert, now: Moment) -> bool {
    let known = &held.alert;
    // A sender whose end was taken but not answered may say that it goes on: after the wall clock
    // was set back its promise lies before that end.
    let is_over = alert.status(now.wall) == AlertStatus::Resolved;
    let is_inside = alert.starts_at == known.starts_at && alert.ends_at <= known.ends_at && is_over;
    let is_same_end = alert.starts_at >= known.starts_at && alert.ends_at == known.ends_at;
    held.ended && (is_inside || is_same_end)
}
