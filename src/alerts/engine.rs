//! The state machine: events in, effects out. It holds every alert, group, silence and log entry,
//! and neither waits nor sends.

use super::ack::{Ack, AckDraft, Acks};
use super::config::Config;
use super::drill;
use super::error::{AckError, AlertError, RecordError, SilenceError};
use super::flush::Flush;
use super::group::{Group, GroupId};
use super::happening::{self, Happening};
use super::held::{Alerts, Source, Uptime};
use super::inhibit::Inhibitor;
use super::log::Log;
use super::notification::{Delivery, DeliveryId, DeliveryOutcome};
use super::occurrence::{Occurrence, What};
use super::open::Open;
use super::record::{self, Record, Table};
use super::report::Reports;
use super::route::Route;
use super::silence::{SilenceDraft, Silences};
use super::step::Step;
use super::watch::{Awaited, Watched};
use crate::model::{Alert, Fingerprint, Labels, SilenceId, Timestamp};
use crate::sys::clock::WallJumps;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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
    /// Alerts came in from outside (see `receive::complete_all`).
    AlertsReceived(Vec<Alert>),
    /// Rules of ours sent alerts. When they begin and end is in the history already.
    RulesSent(Vec<Alert>),
    /// A fire drill begins: see `drill::draft`. It waits for nothing.
    DrillSent(Box<Alert>),
    /// A fire drill ends before its time, whether it waits or not.
    DrillEnded(Fingerprint),
    /// A push to a group whose key has these labels was taken.
    PushTaken(Labels),
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
    /// Recorders of events are to be told this.
    Occurred(Vec<Occurrence>),
    /// Something that a screen shows has changed.
    Changed,
    /// Send a `Tick` when this much elapsed time is reached. The last effect of every step, and
    /// `Duration::MAX` when there is nothing to wait for: it replaces the one before.
    WakeAt(Duration),
}

/// Decides who is told what, when.
#[derive(Debug)]
pub struct Engine {
    pub(super) config: Arc<Config>,
    pub(super) alerts: Alerts,
    pub(super) groups: BTreeMap<GroupId, Group>,
    pub(super) silences: Silences,
    pub(super) acks: Acks,
    pub(super) log: Log,
    pub(super) reports: Reports,
    pub(super) open: Open,
    pub(super) flushes: BTreeMap<u64, Flush>,
    pub(super) deliveries_made: u64,
    pub(super) inhibitor: Inhibitor,
    pub(super) watched: Watched,
    wall_jumps: WallJumps,
    /// The time of day at the last step.
    pub(super) looked_at: Timestamp,
}

impl Engine {
    /// An engine that knows nothing yet.
    pub fn new(config: Arc<Config>) -> Self {
        Self {
            inhibitor: Inhibitor::new(&config.inhibit_rules),
            reports: Reports::new(&config),
            config,
            alerts: Alerts::default(),
            groups: BTreeMap::new(),
            silences: Silences::default(),
            acks: Acks::default(),
            log: Log::default(),
            open: Open::default(),
            flushes: BTreeMap::new(),
            deliveries_made: 0,
            watched: Watched::default(),
            wall_jumps: WallJumps::default(),
            looked_at: Timestamp::MAX,
        }
    }

    /// The configuration in force.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Takes one event in and answers with what is to be done.
    pub fn step(&mut self, now: Moment, event: Event) -> Vec<Effect> {
        let mut step = Step::new(self.config.recorded);
        self.follow_clock(now, &mut step);
        self.take(event, now, &mut step);
        self.watch(now, &mut step);
        self.notice_ends(now, &mut step);
        self.give_up_overdue(now, &mut step);
        self.end_acks(now, &mut step);
        self.flush_due(now, &mut step);
        self.forget(now, &mut step);
        step.into_effects(now.wall, self.next_wake(now))
    }

    fn take(&mut self, event: Event, now: Moment, step: &mut Step) {
        match event {
            Event::AlertsReceived(alerts) => {
                for alert in alerts {
                    self.receive(alert, Source::Outside, now, step);
                }
            }
            Event::RulesSent(alerts) => {
                for alert in alerts {
                    self.receive(alert, Source::Rules, now, step);
                }
            }
            Event::DrillSent(alert) => self.receive(*alert, Source::Drill, now, step),
            Event::DrillEnded(print) => {
                let held = self.alerts.get(&print).filter(|held| drill::is_one(&held.alert.labels));
                if let Some(held) = held.filter(|held| !held.ended) {
                    let (alert, source) = (held.alert.clone(), held.source);
                    self.receive(Alert { ends_at: now.wall, ..alert }, source, now, step);
                }
            }
            Event::PushTaken(key) => {
                self.watched.saw(Awaited::Push, &key, &self.config, now, step);
            }
            Event::DeliveriesFinished(finished) => {
                for (id, outcome) in finished {
                    self.finish(id, outcome, now, step);
                }
            }
            Event::SilenceSet { draft, new_id } => self.set_silence(draft, new_id, now, step),
            Event::SilenceExpired(id) => {
                let answer = self.silences.expire(&id, now.wall).map(|changed| {
                    changed.iter().for_each(|id| self.tell_silence(id, "expired", now, step));
                    id
                });
                step.answer = Some(Answer::Silence(answer));
            }
            Event::Acknowledged(draft) => self.acknowledge(&draft, now, step),
            Event::AckWithdrawn(prints, by) => self.withdraw_acks(&prints, &by, now, step),
            Event::Tick => {}
            Event::ConfigChanged(config) => self.reconfigure(config, now, step),
            Event::Restored(records) => self.restore(&records, now, step),
        }
    }

    /// A wall clock that was set moves what is promised by it: when alerts end unless they are
    /// sent again, and how long silences that act go on.
    fn follow_clock(&mut self, now: Moment, step: &mut Step) {
        let millis = self.wall_jumps.noticed(now.wall, now.elapsed);
        if millis != 0 {
            self.alerts.shift(millis);
            // What was over before the jump stays over.
            for id in self.silences.notice_ends(now.wall.plus_millis(millis.saturating_neg())) {
                self.tell_end(&id, now, step);
            }
            for id in self.silences.shift(millis, now.wall) {
                if let Some(silence) = self.silences.get(&id) {
                    step.write(self.silences.record(silence));
                }
            }
        }
    }

    fn set_silence(
        &mut self,
        draft: SilenceDraft,
        new_id: SilenceId,
        now: Moment,
        step: &mut Step,
    ) {
        let done = self.silences.set(draft, new_id.clone(), &self.config, now.wall);
        let answer = done.map(|(id, changed)| {
            for one in &changed {
                let what = match (*one == id, id == new_id) {
                    (false, _) => "expired",
                    (true, true) => "created",
                    (true, false) => "updated",
                };
                self.tell_silence(one, what, now, step);
                if let Some(silence) = self.silences.get(one) {
                    match what {
                        "created" => step.occur(now.wall, || What::SilenceCreated(silence.clone())),
                        "updated" => step.occur(now.wall, || What::SilenceUpdated(silence.clone())),
                        _ => {}
                    }
                }
            }
            id
        });
        step.answer = Some(Answer::Silence(answer));
    }

    /// Stores a silence, and what became of it.
    pub(super) fn tell_silence(
        &self,
        id: &SilenceId,
        what: &'static str,
        now: Moment,
        step: &mut Step,
    ) {
        if let Some(silence) = self.silences.get(id) {
            step.write(self.silences.record(silence));
            step.happen(happening::of_silence(silence, what, now.wall));
        }
    }

    /// Stores that a silence has ended, and tells it with the time at which it did.
    pub(super) fn tell_end(&self, id: &SilenceId, now: Moment, step: &mut Step) {
        let ended = self.silences.get(id).map_or(now.wall, |silence| silence.ends_at);
        self.tell_silence(id, "ended", Moment { wall: ended.min(now.wall), ..now }, step);
    }

    fn acknowledge(&mut self, draft: &AckDraft, now: Moment, step: &mut Step) {
        let fires = |print| self.alerts.is_firing(print, now);
        let done = self.acks.acknowledge(draft, fires, now.wall);
        let answer = done.map(|prints| {
            let ack = Ack { by: draft.by.clone(), comment: draft.comment.clone(), at: now.wall };
            for print in &prints {
                step.write(record::write_ack(*print, &ack));
                let what = json!({ "by": draft.by, "comment": draft.comment });
                step.happen(self.about("ack", *print, what, now));
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
                step.happen(self.about("ack_ended", *print, what, now));
            }
            prints.len()
        });
        step.answer = Some(Answer::Ack(answer));
    }

    /// An acknowledgement ends with its alert.
    fn end_acks(&mut self, now: Moment, step: &mut Step) {
        for print in self.acks.end(|print| self.alerts.is_firing(print, now)) {
            step.write(Record::removal(Table::Ack, print.to_string()));
            step.happen(self.about("ack_ended", print, json!({ "why": "resolved" }), now));
        }
    }

    /// Something about one alert, for the history.
    pub(super) fn about(
        &self,
        kind: &'static str,
        print: Fingerprint,
        body: serde_json::Value,
        now: Moment,
    ) -> Happening {
        let labels = self.alerts.get(&print).map(|held| held.alert.labels.clone());
        let labels = labels.unwrap_or_else(Labels::empty);
        Happening { at: now.wall, kind, fingerprint: Some(print), labels, body }
    }

    /// When something is due next.
    fn next_wake(&self, now: Moment) -> Duration {
        let flushes = self
            .groups
            .values()
            .filter(|group| !self.open.is_busy(group))
            .map(|one| one.next_flush);
        let told = self.alerts.next_due().into_iter().chain(self.log.next_expiry());
        let told = told.map(Uptime::elapsed);
        let by_wall = self.next_by_wall(now.wall).map(|at| {
            // Never at once: a wall clock set back must not make the loop spin.
            now.elapsed.saturating_add(at.since(now.wall).max(Duration::from_secs(1)))
        });
        let watch = self.watched.next_look(&self.config, now);
        let others = told.chain(by_wall).chain(self.open.next_report()).chain(watch);
        flushes.chain(others).min().unwrap_or(Duration::MAX)
    }

    fn next_by_wall(&self, now: Timestamp) -> Option<Timestamp> {
        let silences = self.silences.iter().map(|one| one.ends_at.plus(self.config.retention));
        let turns = self.silences.next_turn(now).into_iter();
        let turns = turns.chain(self.silences.next_extension(now));
        silences.chain(turns).min()
    }

    /// Names of the intervals that keep a route quiet at this time.
    pub(super) fn quiet_by(&self, route: &Route, now: Timestamp) -> Vec<String> {
        self.config.quiet_by(route, now)
    }

    pub(super) fn inhibited_by(&self, labels: &Labels, now: Moment) -> Option<Fingerprint> {
        let fires = |print| self.alerts.is_firing(print, now);
        self.inhibitor.inhibited_by(labels, fires)
    }
}
