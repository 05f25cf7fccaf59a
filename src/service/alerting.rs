//! The alert engine, running: one lock around the state machine, its rows in SQLite before
//! anything else happens, its notifications as tasks, its timer.

use super::recording::Recording;
use super::revision::Revision;
use super::sending::Sending;
use crate::alerts::{
    AlertDraft, AlertView, Answer, Awaited, Changes, Delivery, DeliveryId, DeliveryOutcome, Effect,
    Engine, Event, Happening, IntegrationId, Moment, Record, SilenceDraft, SilenceError, Table,
    complete_all, drill,
};
use crate::model::{Alert, Fingerprint, Labels, SilenceId};
use crate::notify::{Receivers, Turn};
use crate::storage::state::{HistoryEntry, StateDb, StateOp, Table as StateTable};
use crate::sys::clock::SharedClock;
use crate::sys::entropy::Entropy;
use crate::sys::locks::lock;
use crate::sys::metrics::{Cell, Registry};
use crate::sys::tasks::{self, Shutdown};
use crate::wire::SendingStatus;
use arc_swap::ArcSwap;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

/// A tick at the latest, so that a lost wake-up costs little.
const TICK_MAX: Duration = Duration::from_secs(60);

/// A timer that was not seen at work for so long has stopped: it looks once in `TICK_MAX`.
const TIMER_LATE: Duration = Duration::from_secs(90);

/// So much history waits for the disk; beyond it the oldest is dropped.
const HISTORY_WAITING_MAX: usize = 10_000;

/// So many attempts are made at one integration at once; others wait for their turn, and fail like
/// any other when their deadline comes. In the pause before the next attempt one waits for nothing.
const AT_ONCE: usize = 16;

/// What the running engine takes from the world.
#[derive(Debug)]
pub(super) struct Deps {
    pub(super) state: Arc<StateDb>,
    pub(super) clock: SharedClock,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) registry: Registry,
    pub(super) revision: Arc<Revision>,
    pub(super) recording: Arc<Recording>,
    pub(super) runtime: Handle,
}

/// The running alert engine.
#[derive(Debug)]
pub(super) struct Alerting {
    inner: Mutex<Inner>,
    deps: Deps,
    receivers: ArcSwap<Receivers>,
    /// How deliveries ended that the engine has not been told of: what comes while it is busy goes
    /// into its next step, and into one transaction.
    finished: Mutex<Vec<(DeliveryId, DeliveryOutcome)>>,
    /// How it goes with deliveries that are tried again.
    sending: Sending,
    /// What each integration may have on its way. A sink that hangs holds up nobody else.
    queues: Mutex<HashMap<IntegrationId, Arc<Semaphore>>>,
    /// When the engine wants its next tick, on the monotonic clock.
    wake_at: watch::Sender<Duration>,
    /// When the timer was last seen at work, in elapsed time.
    timer_seen: Mutex<Duration>,
    unsaved: Cell,
    history_dropped: Cell,
    /// Alerts from outside that cannot be.
    invalid: Cell,
}

#[derive(Debug)]
struct Inner {
    engine: Engine,
    /// Rows that could not be written: they go with the next transaction. Alerts go out from
    /// memory meanwhile, since a full disk must not silence anybody.
    unwritten: BTreeMap<(&'static str, String), StateOp>,
    /// History that could not be written, the oldest first.
    unrecorded: VecDeque<HistoryEntry>,
}

/// Why a silence was not made.
#[derive(Debug)]
pub(super) enum SilenceFailure {
    /// The engine refuses it.
    Refused(SilenceError),
    /// It could not be stored.
    NotStored(String),
}

impl Alerting {
    /// The engine with what an earlier process stored.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(super) fn restore(
        engine: Engine,
        receivers: Receivers,
        deps: Deps,
    ) -> Result<Arc<Self>, crate::storage::Error> {
        let mut records = Vec::new();
        for table in Table::ALL {
            for (key, value) in deps.state.load(state_table(table))? {
                records.push(Record { table, key, value: Some(value) });
            }
        }
        let help = "Rows of the alert engine that wait for the disk.";
        let dropped = "Rows of history that were dropped while the disk could not be written.";
        let alerting = Arc::new(Self {
            inner: Mutex::new(Inner {
                engine,
                unwritten: BTreeMap::new(),
                unrecorded: VecDeque::new(),
            }),
            receivers: ArcSwap::from_pointee(receivers),
            finished: Mutex::default(),
            sending: Sending::default(),
            queues: Mutex::default(),
            wake_at: watch::channel(Duration::ZERO).0,
            timer_seen: Mutex::new(deps.clock.elapsed()),
            unsaved: deps.registry.gauge("watchbell_alert_rows_unwritten", help, &[]),
            history_dropped: deps.registry.counter("watchbell_history_dropped_total", dropped, &[]),
            invalid: deps.registry.counter(
                "alertmanager_alerts_invalid_total",
                "The total number of received alerts that were invalid.",
                &[("version", "v2")],
            ),
            deps,
        });
        alerting.apply(Event::Restored(records));
        alerting.warn_of_silences();
        Ok(alerting)
    }

    /// Ticks until the server stops.
    pub(super) async fn run_timer(self: Arc<Self>, shutdown: Shutdown) {
        let mut wake_at = self.wake_at.subscribe();
        loop {
            *lock(&self.timer_seen) = self.deps.clock.elapsed();
            let deadline = *wake_at.borrow_and_update();
            let latest = self.deps.clock.elapsed() + TICK_MAX;
            tokio::select! {
                () = self.deps.clock.sleep_until(deadline.min(latest)) => {}
                _ = wake_at.changed() => continue,
                () = shutdown.wait() => return,
            }
            let this = self.clone();
            // A tick writes to SQLite, which blocks.
            if tokio::task::spawn_blocking(move || this.apply(Event::Tick)).await.is_err() {
                tracing::error!("the alert engine failed in a tick");
            }
        }
    }

    /// Alerts from rules: they are complete, and the rules tell the history what happens to them.
    pub(super) fn receive(self: &Arc<Self>, alerts: Vec<Alert>) {
        if !alerts.is_empty() {
            self.apply(Event::RulesSent(alerts));
        }
    }

    /// Alerts from outside: the valid ones are taken; returns what is wrong with the others.
    pub(super) fn receive_drafts(self: &Arc<Self>, drafts: Vec<AlertDraft>) -> Vec<String> {
        let config = self.lock().engine.config().clone();
        let (alerts, errors) = complete_all(drafts, self.deps.clock.now(), &config);
        if !alerts.is_empty() {
            self.apply(Event::AlertsReceived(alerts));
        }
        self.invalid.add(errors.len() as f64);
        errors.iter().map(ToString::to_string).collect()
    }

    /// Takes the alert of a fire drill; its identity.
    ///
    /// # Errors
    /// Why it was not taken.
    pub(super) fn drill(
        self: &Arc<Self>,
        draft: AlertDraft,
        waits: bool,
    ) -> Result<Fingerprint, String> {
        let config = self.lock().engine.config().clone();
        let alert =
            draft.complete(self.deps.clock.now(), &config).map_err(|err| err.to_string())?;
        let print = alert.fingerprint();
        self.apply(match waits {
            true => Event::AlertsReceived(vec![alert]),
            false => Event::DrillSent(Box::new(alert)),
        });
        match self.view(|engine, now| engine.alert(print, now)) {
            Some(_) => Ok(print),
            None => Err("the alert was not taken: there is a limit of alerts of one name".into()),
        }
    }

    /// A push to a group with this key was taken: somebody may wait for it.
    pub(super) fn push_taken(self: &Arc<Self>, key: Labels) {
        let is_expected = |engine: &Engine, _| {
            engine.config().expected.iter().any(|one| one.is(Awaited::Push, &key))
        };
        if self.view(is_expected) {
            self.apply(Event::PushTaken(key));
        }
    }

    /// Whether it works: the engine takes a step, nothing waits for the disk, and its timer runs.
    ///
    /// # Errors
    /// What of it does not.
    pub(super) fn look(self: &Arc<Self>) -> Result<(), String> {
        if let Some(why) = self.apply(Event::Tick).not_stored {
            return Err(why);
        }
        match self.lock().unwritten.len() {
            0 => {}
            count => return Err(format!("{count} of its rows wait for the disk")),
        }
        let idle = self.deps.clock.elapsed().saturating_sub(*lock(&self.timer_seen));
        match idle > TIMER_LATE {
            true => Err(format!("its timer has not run for {} s", idle.as_secs())),
            false => Ok(()),
        }
    }

    /// Makes or changes a silence; durable when this returns.
    pub(super) fn set_silence(
        self: &Arc<Self>,
        draft: SilenceDraft,
    ) -> Result<SilenceId, SilenceFailure> {
        let new_id = SilenceId::from_random(self.deps.entropy.next_16());
        self.silence_answered(Event::SilenceSet { draft, new_id })
    }

    /// Ends a silence; durable when this returns.
    pub(super) fn expire_silence(
        self: &Arc<Self>,
        id: SilenceId,
    ) -> Result<SilenceId, SilenceFailure> {
        self.silence_answered(Event::SilenceExpired(id))
    }

    /// Replaces routes and receivers.
    pub(super) fn reconfigure(
        self: &Arc<Self>,
        config: Arc<crate::alerts::Config>,
        receivers: Receivers,
    ) {
        self.receivers.store(Arc::new(receivers));
        // Those of receivers that are gone are not kept; what waits in one keeps it until it ends.
        lock(&self.queues).clear();
        self.apply(Event::ConfigChanged(config));
        self.warn_of_silences();
    }

    /// Silences that a configuration without their time interval keeps from acting.
    pub(super) fn dead_silences(&self) -> Vec<String> {
        self.view(|engine, now| engine.silences_without_interval(now))
    }

    fn warn_of_silences(&self) {
        self.dead_silences().iter().for_each(|why| tracing::warn!("{why}"));
    }

    /// A look at the engine.
    pub(super) fn view<T>(&self, look: impl FnOnce(&Engine, Moment) -> T) -> T {
        let now = self.now();
        look(&self.lock().engine, now)
    }

    /// All alerts by identity, resolved ones included.
    pub(super) fn alerts_by_labels(&self) -> BTreeMap<Fingerprint, AlertView> {
        let views = self.view(|engine, now| engine.all_alerts(now));
        views.into_iter().map(|view| (view.fingerprint, view)).collect()
    }

    /// What is on its way about each alert.
    pub(super) fn sending_by_alert(&self) -> BTreeMap<Fingerprint, Vec<SendingStatus>> {
        let (open, now) = self.view(|engine, now| (engine.open_deliveries(now), now));
        self.sending.by_alert(&open, now)
    }

    /// The engine's counts into the registry.
    pub(super) fn write_metrics(&self) {
        self.view(|engine, now| engine.write_metrics(&self.deps.registry, now));
    }

    /// Steps the engine with what somebody asks for; its answer, and why that is not stored.
    pub(super) fn asked(self: &Arc<Self>, event: Event) -> (Option<Answer>, Option<String>) {
        let Outcome { answer, not_stored } = self.apply(event);
        (answer, not_stored)
    }

    /// All integrations in force.
    pub(super) fn receivers(&self) -> Arc<Receivers> {
        self.receivers.load_full()
    }

    fn silence_answered(self: &Arc<Self>, event: Event) -> Result<SilenceId, SilenceFailure> {
        let outcome = self.apply(event);
        let Some(Answer::Silence(answer)) = outcome.answer else {
            panic!("BUG: a silence without an answer");
        };
        let id = answer.map_err(SilenceFailure::Refused)?;
        match outcome.not_stored {
            None => Ok(id),
            Some(reason) => Err(SilenceFailure::NotStored(reason)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    fn now(&self) -> Moment {
        Moment { wall: self.deps.clock.now(), elapsed: self.deps.clock.elapsed() }
    }

    /// Steps the engine and carries its effects out, in their order.
    fn apply(self: &Arc<Self>, event: Event) -> Outcome {
        self.apply_to(self.lock(), event)
    }

    /// Tells the engine of all deliveries that have ended by now.
    fn apply_finished(self: &Arc<Self>) {
        let inner = self.lock();
        let finished = std::mem::take(&mut *lock(&self.finished));
        if !finished.is_empty() {
            self.apply_to(inner, Event::DeliveriesFinished(finished));
        }
    }

    fn apply_to(self: &Arc<Self>, mut inner: MutexGuard<'_, Inner>, event: Event) -> Outcome {
        let mut outcome = Outcome::default();
        let mut deliveries = Vec::new();
        let effects = inner.engine.step(self.now(), event);
        for effect in effects {
            match effect {
                Effect::Persist(changes) => {
                    outcome.not_stored = self.persist(&mut inner, changes);
                }
                Effect::Answered(answer) => outcome.answer = Some(answer),
                Effect::Deliver(delivery) => deliveries.push(delivery),
                Effect::AlertRefused(err) => tracing::warn!(%err, "an alert was refused"),
                Effect::RecordLeftOut(err) => tracing::warn!(%err, "a stored row was left out"),
                // Within the lock, so that events stand in their order.
                Effect::Occurred(occurred) => self.deps.recording.record(occurred),
                Effect::Changed => self.deps.revision.bump(),
                Effect::WakeAt(deadline) => {
                    self.wake_at.send_replace(deadline);
                }
            }
        }
        drop(inner);
        for delivery in deliveries {
            self.deliver(delivery);
        }
        outcome
    }

    /// Writes rows, and those that could not be written before; says why when it fails.
    fn persist(&self, inner: &mut Inner, changes: Changes) -> Option<String> {
        let Changes { records, happened } = changes;
        inner.unrecorded.extend(happened.iter().map(history_entry));
        // The younger row of a key comes later, and is the one that stays.
        let waiting = std::mem::take(&mut inner.unwritten).into_values();
        let history = std::mem::take(&mut inner.unrecorded).into_iter().map(StateOp::Record);
        let rows = waiting.chain(records.into_iter().map(state_op));
        let ops: Vec<StateOp> = rows.chain(history).collect();
        let failure = self.deps.state.apply(&ops).err();
        if let Some(err) = &failure {
            tracing::error!(%err, "alerts go on from memory; their state waits for the disk");
            self.keep(inner, ops);
        }
        self.unsaved.set(inner.unwritten.len() as f64);
        failure.map(|err| err.to_string())
    }

    /// What could not be written waits: every row, and the youngest of the history.
    fn keep(&self, inner: &mut Inner, ops: Vec<StateOp>) {
        for op in ops {
            match op {
                StateOp::Put { table, ref key, .. } | StateOp::Delete { table, ref key } => {
                    inner.unwritten.insert((table.name(), key.clone()), op);
                }
                StateOp::Record(entry) => inner.unrecorded.push_back(entry),
            }
        }
        let over = inner.unrecorded.len().saturating_sub(HISTORY_WAITING_MAX);
        inner.unrecorded.drain(..over);
        self.history_dropped.add(over as f64);
    }

    /// Sends one notification as a task, and reports how it went.
    fn deliver(self: &Arc<Self>, mut delivery: Box<Delivery>) {
        let this = self.clone();
        delivery.notification = drill::marked(delivery.notification);
        let receivers = self.receivers.load_full();
        let queue = self.queue(&delivery.integration);
        let _runtime = self.deps.runtime.enter();
        let name = format!("notify {}", delivery.integration);
        tasks::spawn(name, async move {
            let turn = || -> Turn {
                let permit = queue.clone().acquire_owned();
                Box::pin(async move { Box::new(permit.await) as Box<dyn Send> })
            };
            let watch = |attempt| {
                this.sending.note(delivery.id, attempt);
                this.deps.revision.bump();
            };
            let outcome = receivers.deliver_in_turn(&delivery, &turn, &watch).await;
            this.sending.forget(delivery.id);
            if let Some(error) = &outcome.error {
                tracing::warn!(integration = %delivery.integration, error, "a notification failed");
            }
            let is_first = {
                let mut finished = lock(&this.finished);
                finished.push((delivery.id, outcome));
                finished.len() == 1
            };
            // Whoever finds others waiting is told of by the one that came first.
            if is_first && tokio::task::spawn_blocking(move || this.apply_finished()).await.is_err()
            {
                tracing::error!("the alert engine failed to take the outcome of deliveries");
            }
        });
    }

    fn queue(&self, integration: &IntegrationId) -> Arc<Semaphore> {
        let mut queues = lock(&self.queues);
        let queue = queues.entry(integration.clone());
        queue.or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))).clone()
    }
}

/// What one step had to say.
#[derive(Debug, Default)]
struct Outcome {
    answer: Option<Answer>,
    not_stored: Option<String>,
}

/// The engine's tables by their names in the database.
const fn state_table(table: Table) -> StateTable {
    match table {
        Table::Alert => StateTable::Alert,
        Table::Silence => StateTable::Silence,
        Table::Log => StateTable::NotificationLog,
        Table::Outbox => StateTable::Outbox,
        Table::Counter => StateTable::Meta,
        Table::Ack => StateTable::Ack,
        Table::Watch => StateTable::Watch,
    }
}

fn history_entry(happening: &Happening) -> HistoryEntry {
    let Happening { at, kind, fingerprint, labels, body } = happening;
    let pairs: BTreeMap<&str, &str> = labels.iter().collect();
    HistoryEntry {
        at: *at,
        kind: (*kind).to_owned(),
        fingerprint: fingerprint.map(|print| print.to_string()).unwrap_or_default(),
        labels: serde_json::json!(pairs).to_string(),
        body: body.to_string(),
    }
}

fn state_op(record: Record) -> StateOp {
    let (table, key) = (state_table(record.table), record.key);
    match record.value {
        Some(value) => StateOp::Put { table, key, value },
        None => StateOp::Delete { table, key },
    }
}
