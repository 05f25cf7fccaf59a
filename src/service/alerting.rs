//! The alert engine, running: one lock around the state machine, its rows in SQLite before
//! anything else happens, its notifications as tasks, its timer.

use super::revision::Revision;
use crate::alerts::{
    AlertDraft, AlertView, Answer, Changes, Delivery, Effect, Engine, Event, Happening, Moment,
    Record, SilenceDraft, SilenceError, Table, complete_all,
};
use crate::model::{Alert, SilenceId};
use crate::notify::Receivers;
use crate::storage::state::{HistoryEntry, StateDb, StateOp, Table as StateTable};
use crate::sys::clock::SharedClock;
use crate::sys::entropy::Entropy;
use crate::sys::metrics::{Cell, Registry};
use crate::sys::tasks::{self, Shutdown};
use arc_swap::ArcSwap;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// A tick at the latest, so that a lost wake-up costs little.
const TICK_MAX: Duration = Duration::from_secs(60);

/// So much history waits for the disk; beyond it the oldest is dropped.
const HISTORY_WAITING_MAX: usize = 10_000;

/// What the running engine takes from the world.
#[derive(Debug)]
pub(super) struct Deps {
    pub(super) state: Arc<StateDb>,
    pub(super) clock: SharedClock,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) registry: Registry,
    pub(super) revision: Arc<Revision>,
    pub(super) runtime: Handle,
}

/// The running alert engine.
#[derive(Debug)]
pub(super) struct Alerting {
    inner: Mutex<Inner>,
    deps: Deps,
    receivers: ArcSwap<Receivers>,
    /// When the engine wants its next tick, on the monotonic clock.
    wake_at: watch::Sender<Duration>,
    unsaved: Cell,
    history_dropped: Cell,
}

#[derive(Debug)]
struct Inner {
    engine: Engine,
    /// Rows that could not be written: they go with the next transaction. Alerts go out from
    /// memory meanwhile, since a full disk must not silence anybody.
    unwritten: BTreeMap<(Table, String), Option<String>>,
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
            wake_at: watch::channel(Duration::ZERO).0,
            unsaved: deps.registry.gauge("watchbell_alert_rows_unwritten", help, &[]),
            history_dropped: deps.registry.counter("watchbell_history_dropped_total", dropped, &[]),
            deps,
        });
        alerting.apply(Event::Restored(records));
        Ok(alerting)
    }

    /// Ticks until the server stops.
    pub(super) async fn run_timer(self: Arc<Self>, shutdown: Shutdown) {
        let mut wake_at = self.wake_at.subscribe();
        loop {
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

    /// Alerts from rules: they are complete.
    pub(super) fn receive(self: &Arc<Self>, alerts: Vec<Alert>) {
        if !alerts.is_empty() {
            self.apply(Event::AlertsReceived(alerts));
        }
    }

    /// Alerts from outside: the valid ones are taken; returns what is wrong with the others.
    pub(super) fn receive_drafts(self: &Arc<Self>, drafts: Vec<AlertDraft>) -> Vec<String> {
        let config = self.lock().engine.config().clone();
        let (alerts, errors) = complete_all(drafts, self.deps.clock.now(), &config);
        self.receive(alerts);
        errors.iter().map(ToString::to_string).collect()
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
        self.apply(Event::ConfigChanged(config));
    }

    /// A look at the engine.
    pub(super) fn view<T>(&self, look: impl FnOnce(&Engine, Moment) -> T) -> T {
        let now = self.now();
        look(&self.lock().engine, now)
    }

    /// All alerts by identity, resolved ones included.
    pub(super) fn alerts_by_labels(&self) -> BTreeMap<crate::model::Fingerprint, AlertView> {
        let views = self.view(|engine, now| engine.all_alerts(now));
        views.into_iter().map(|view| (view.fingerprint, view)).collect()
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
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        Moment { wall: self.deps.clock.now(), elapsed: self.deps.clock.elapsed() }
    }

    /// Steps the engine and carries its effects out, in their order.
    fn apply(self: &Arc<Self>, event: Event) -> Outcome {
        let mut outcome = Outcome::default();
        let mut deliveries = Vec::new();
        {
            let mut inner = self.lock();
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
                    Effect::Changed => self.deps.revision.bump(),
                    Effect::WakeAt(deadline) => {
                        self.wake_at.send_replace(deadline);
                    }
                }
            }
        }
        for delivery in deliveries {
            self.deliver(*delivery);
        }
        outcome
    }

    /// Writes rows, and those that could not be written before; says why when it fails.
    fn persist(&self, inner: &mut Inner, changes: Changes) -> Option<String> {
        let Changes { records, happened } = changes;
        let rows = records.into_iter().map(|record| ((record.table, record.key), record.value));
        inner.unwritten.extend(rows);
        inner.unrecorded.extend(happened.iter().map(history_entry));
        let rows = inner.unwritten.iter();
        let rows = rows.map(|((table, key), value)| state_op(*table, key, value.as_deref()));
        let history = inner.unrecorded.iter().cloned().map(StateOp::Record);
        let ops: Vec<StateOp> = rows.chain(history).collect();
        let failure = match self.deps.state.apply(&ops) {
            Ok(()) => {
                inner.unwritten.clear();
                inner.unrecorded.clear();
                None
            }
            Err(err) => {
                tracing::error!(%err, "alerts go on from memory; their state waits for the disk");
                let over = inner.unrecorded.len().saturating_sub(HISTORY_WAITING_MAX);
                inner.unrecorded.drain(..over);
                self.history_dropped.add(over as f64);
                Some(err.to_string())
            }
        };
        self.unsaved.set(inner.unwritten.len() as f64);
        failure
    }

    /// Sends one notification as a task, and reports how it went.
    fn deliver(self: &Arc<Self>, delivery: Delivery) {
        let this = self.clone();
        let receivers = self.receivers.load_full();
        let _runtime = self.deps.runtime.enter();
        let name = format!("notify {}", delivery.integration);
        tasks::spawn(name, async move {
            let id = delivery.id;
            let outcome = receivers.deliver(&delivery).await;
            if let Some(error) = &outcome.error {
                tracing::warn!(integration = %delivery.integration, error, "a notification failed");
            }
            let report = move || this.apply(Event::DeliveriesFinished(vec![(id, outcome)]));
            if tokio::task::spawn_blocking(report).await.is_err() {
                tracing::error!("the alert engine failed to take a delivery's outcome");
            }
        });
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

fn state_op(table: Table, key: &str, value: Option<&str>) -> StateOp {
    let (table, key) = (state_table(table), key.to_owned());
    match value {
        Some(value) => StateOp::Put { table, key, value: value.to_owned() },
        None => StateOp::Delete { table, key },
    }
}
