//! Rule groups, running: each at its own slots, its alerts on to the engine, its records in SQLite.

use super::alerting::Alerting;
use super::forwarding::Forwarding;
use super::queries::Queries;
use super::query_log::RuleGroup;
use super::revision::Revision;
use crate::config::LoadedGroup;
use crate::model::relabel::{self, Outcome, Rule};
use crate::model::{Alert, Timestamp};
use crate::rules::{Context, Evaluation, Group, GroupView, Querier, QuerySample, answer};
use crate::storage::append::SharedAppender;
use crate::storage::state::{StateDb, StateOp, Table};
use crate::sys::clock::SharedClock;
use crate::sys::tasks::{self, Shutdown};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// What running groups take from the world.
#[derive(Debug)]
pub(super) struct Deps {
    pub(super) queries: Arc<Queries>,
    pub(super) appender: SharedAppender,
    pub(super) state: Arc<StateDb>,
    pub(super) clock: SharedClock,
    pub(super) alerting: Arc<Alerting>,
    pub(super) upstreams: Arc<Forwarding>,
    pub(super) revision: Arc<Revision>,
    pub(super) runtime: Handle,
    pub(super) concurrency: usize,
}

/// All running groups.
#[derive(Debug)]
pub(super) struct Ruling {
    deps: Arc<Deps>,
    permits: Arc<Semaphore>,
    groups: Mutex<Vec<Arc<Running>>>,
}

/// What groups share until the next reload.
#[derive(Debug)]
struct Shared {
    context: Context,
    alert_relabel: Vec<Rule>,
}

/// One running group.
#[derive(Debug)]
struct Running {
    key: String,
    /// Taken out when a reload replaces the group.
    group: Mutex<Option<Group>>,
    /// The group after its last evaluation: screens never wait for a running one.
    view: Mutex<Arc<GroupView>>,
    shared: Shared,
    stop: Shutdown,
    /// Records that could not be written yet.
    unwritten: Mutex<BTreeMap<String, Option<String>>>,
    /// The last failure of each rule: told once, not at every evaluation.
    failures: Mutex<BTreeMap<String, String>>,
}

impl Ruling {
    /// No groups yet.
    pub(super) fn new(deps: Deps) -> Self {
        let permits = Arc::new(Semaphore::new(deps.concurrency));
        Self { deps: Arc::new(deps), permits, groups: Mutex::new(Vec::new()) }
    }

    /// Starts the groups with what an earlier process stored.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub(super) fn start(
        &self,
        loaded: &[LoadedGroup],
        context: &Context,
        alert_relabel: &[Rule],
    ) -> Result<(), crate::storage::Error> {
        let stored = self.deps.state.load(Table::RuleState)?;
        let records = stored.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let now = self.deps.clock.now();
        let mut kept = BTreeSet::new();
        let mut groups = Vec::new();
        for one in loaded {
            let mut group = Group::new(&one.file, &one.group, context);
            group.restore(records.clone(), now);
            kept.extend(group.record_keys().map(str::to_owned));
            groups.push(group);
        }
        let left_over = stored.iter().filter(|(key, _)| !kept.contains(key));
        let ops: Vec<_> = left_over.map(|(key, _)| rule_op(key, None)).collect();
        self.deps.state.apply(&ops)?;
        let mut running = self.lock();
        *running =
            groups.into_iter().map(|group| self.run(group, context, alert_relabel)).collect();
        Ok(())
    }

    /// Replaces the groups; those of the same file and name go on with what they remember.
    pub(super) fn reload(&self, loaded: &[LoadedGroup], context: &Context, alert_relabel: &[Rule]) {
        let mut running = self.lock();
        let mut old: BTreeMap<String, Group> = BTreeMap::new();
        for group in running.drain(..) {
            group.stop.trigger();
            // Waits for an evaluation that is under way: its state must not be lost.
            if let Some(inner) = lock(&group.group).take() {
                old.insert(group.key.clone(), inner);
            }
        }
        for one in loaded {
            let mut group = Group::new(&one.file, &one.group, context);
            if let Some(before) = old.remove(&group.key()) {
                group.adopt(before);
            }
            running.push(self.run(group, context, alert_relabel));
        }
        for group in old.into_values() {
            group.forget_metrics(context);
            self.retire(group);
        }
    }

    /// Stops all groups; ends when no evaluation runs.
    pub(super) fn stop(&self) {
        for group in self.lock().drain(..) {
            group.stop.trigger();
            lock(&group.group).take();
        }
    }

    /// All groups, by file, then name.
    pub(super) fn views(&self) -> Vec<Arc<GroupView>> {
        let mut views: Vec<_> = self.lock().iter().map(|group| lock(&group.view).clone()).collect();
        views.sort_by(|a, b| (&a.file, &a.name).cmp(&(&b.file, &b.name)));
        views
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Running>>> {
        lock(&self.groups)
    }

    fn run(&self, group: Group, context: &Context, alert_relabel: &[Rule]) -> Arc<Running> {
        let running = Arc::new(Running {
            key: group.key(),
            view: Mutex::new(Arc::new(group.view())),
            group: Mutex::new(Some(group)),
            shared: Shared { context: context.clone(), alert_relabel: alert_relabel.to_vec() },
            stop: Shutdown::new(),
            unwritten: Mutex::default(),
            failures: Mutex::default(),
        });
        let _runtime = self.deps.runtime.enter();
        let (deps, permits) = (self.deps.clone(), self.permits.clone());
        let name = format!("rules {}", running.key);
        tasks::spawn(name, run_group(running.clone(), deps, permits));
        running
    }

    /// Ends the series of a removed group two intervals later, and forgets its records now.
    fn retire(&self, group: Group) {
        let ops: Vec<_> = group.record_keys().map(|key| rule_op(key, None)).collect();
        if let Err(err) = self.deps.state.apply(&ops) {
            tracing::warn!(%err, group = group.key(), "records of a removed group stay behind");
        }
        let deps = self.deps.clone();
        let stopped = deps.clock.now();
        let _runtime = self.deps.runtime.enter();
        tasks::spawn(format!("end of rules {}", group.key()), async move {
            deps.clock.sleep(group.interval() * 2).await;
            let commit = group.last_words(stopped);
            let write = move || deps.appender.commit(&commit);
            if let Ok(Err(err)) = tokio::task::spawn_blocking(write).await {
                tracing::warn!(%err, "series of a removed group end by lookback, not by marker");
            }
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn rule_op(key: &str, value: Option<String>) -> StateOp {
    let (table, key) = (Table::RuleState, key.to_owned());
    match value {
        Some(value) => StateOp::Put { table, key, value },
        None => StateOp::Delete { table, key },
    }
}

/// Evaluates one group at its slots until it is stopped.
async fn run_group(running: Arc<Running>, deps: Arc<Deps>, permits: Arc<Semaphore>) {
    let first = lock(&running.group)
        .as_ref()
        .map(|group| (group.next_after(deps.clock.now()), group.interval()));
    let Some((mut slot, interval)) = first else { return };
    loop {
        let now = deps.clock.now();
        // The wall clock was set back: the slot would be further away than slots ever are.
        if slot.since(now) > interval {
            slot = now.plus(interval);
        }
        tokio::select! {
            () = deps.clock.sleep(slot.since(now)) => {}
            () = running.stop.wait() => return,
        }
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        let (this, world) = (running.clone(), deps.clone());
        let evaluated = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            evaluate(&this, &world, slot)
        });
        match evaluated.await {
            Ok(Some(next)) => slot = next,
            Ok(None) => return,
            Err(err) => {
                tracing::error!(group = running.key, %err, "the evaluation of a group failed");
                slot = slot.plus(interval);
            }
        }
    }
}

/// One evaluation and what follows from it; the next slot, or `None` when the group was taken.
fn evaluate(running: &Running, deps: &Deps, at: Timestamp) -> Option<Timestamp> {
    let view = lock(&running.view).clone();
    let querier = RuleQuerier { queries: deps.queries.clone(), view };
    let context = &running.shared.context;
    let mut guard = lock(&running.group);
    let group = guard.as_mut()?;
    let evaluation =
        group.evaluate(at, context, &querier, deps.appender.as_ref(), deps.clock.as_ref());
    *lock(&running.view) = Arc::new(group.view());
    let next = group.next_slot(at, deps.clock.now());
    let Evaluation { alerts, records, failures, .. } = evaluation;
    tell_failures(running, failures.iter().map(|one| (&one.rule, one.error.to_string())));
    let alerts = relabelled(alerts, &running.shared.alert_relabel);
    // The alert engine stores them before the group's own records are stored: a crash in between
    // repeats alerts that it knows, where the other order would lose them.
    // Firing and resolved alerts are told at once; pending ones and values can wait a little.
    let has_changed = !alerts.is_empty();
    deps.upstreams.send(&alerts);
    deps.alerting.receive(alerts);
    store(running, deps, records);
    match has_changed {
        true => deps.revision.bump(),
        false => deps.revision.nudge(deps.clock.elapsed()),
    }
    Some(next)
}

fn store(running: &Running, deps: &Deps, records: Vec<(String, Option<String>)>) {
    let mut unwritten = lock(&running.unwritten);
    unwritten.extend(records);
    let ops: Vec<_> = unwritten.iter().map(|(key, value)| rule_op(key, value.clone())).collect();
    match deps.state.apply(&ops) {
        Ok(()) => unwritten.clear(),
        Err(err) => {
            tracing::error!(%err, group = running.key, "rules go on; their state waits for the disk");
        }
    }
}

fn tell_failures<'a>(running: &Running, failures: impl Iterator<Item = (&'a String, String)>) {
    let mut known = lock(&running.failures);
    let now: BTreeMap<String, String> =
        failures.map(|(rule, error)| (rule.clone(), error)).collect();
    for (rule, error) in &now {
        if known.get(rule) != Some(error) {
            tracing::warn!(group = running.key, rule, error, "a rule fails");
        }
    }
    *known = now;
}

fn relabelled(alerts: Vec<Alert>, rules: &[Rule]) -> Vec<Alert> {
    if rules.is_empty() {
        return alerts;
    }
    let relabel = |mut alert: Alert| {
        let mut labels = alert.labels.to_builder();
        let outcome = relabel::apply(rules, &mut labels);
        alert.labels = labels.build();
        (outcome == Outcome::Keep).then_some(alert)
    };
    alerts.into_iter().filter_map(relabel).collect()
}

/// Queries of rules: they do not wait behind those of people.
#[derive(Debug)]
struct RuleQuerier {
    queries: Arc<Queries>,
    view: Arc<GroupView>,
}

/// A rule's query ends before its group's next slot is long overdue.
const RULE_TIMEOUT: Duration = Duration::from_secs(30);

impl Querier for RuleQuerier {
    fn instant(&self, query: &str, at: Timestamp) -> Result<Vec<QuerySample>, String> {
        let group = RuleGroup { file: &self.view.file, name: &self.view.name };
        let output = self.queries.rule(query, at, RULE_TIMEOUT, group);
        let output = output.map_err(|err| err.to_string())?;
        answer(output.value)
    }
}
