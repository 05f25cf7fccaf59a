//! Rule groups, running: each at its own slots, its alerts on to the engine, its records in SQLite.
//!
//! Nothing here waits for an evaluation: a reload keeps the groups that stay the same, and of the
//! others each begins when the one before it has come to rest.

use super::alerting::Alerting;
use super::forwarding::Forwarding;
use super::lanes::Lanes;
use super::queries::Queries;
use super::query_log::RuleGroup;
use super::revision::Revision;
use super::rule_group::{Held, Running, Shared, Start, group_key, rule_op};
use crate::config::LoadedGroup;
use crate::model::relabel::Rule;
use crate::model::{Matcher, TimeRange, Timestamp};
use crate::rules::{
    Context, Group, GroupView, Newest, Querier, QuerySample, Slots, answer, respell,
};
use crate::storage::append::SharedAppender;
use crate::storage::state::{StateDb, Table};
use crate::sys::clock::SharedClock;
use crate::sys::locks::lock;
use crate::sys::tasks::{self, Shutdown};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::runtime::Handle;

/// What running groups take from the world.
#[derive(Debug)]
pub(super) struct Deps {
    pub(super) queries: Arc<Queries>,
    pub(super) appender: SharedAppender,
    pub(super) state: Arc<StateDb>,
    pub(super) clock: SharedClock,
    pub(super) alerting: Arc<Alerting>,
    pub(super) forwarding: Arc<Forwarding>,
    pub(super) revision: Arc<Revision>,
    pub(super) runtime: Handle,
    pub(super) concurrency: usize,
    /// Whether rules that do not depend on each other are evaluated at the same time.
    pub(super) concurrent_rules: bool,
}

/// All running groups.
#[derive(Debug)]
pub(super) struct Ruling {
    deps: Arc<Deps>,
    lanes: Arc<Lanes>,
    slots: Option<Arc<Slots>>,
    groups: Mutex<Groups>,
}

#[derive(Debug, Default)]
struct Groups {
    running: Vec<Arc<Running>>,
    /// Removed ones that may still be evaluated: one that comes back goes on after that.
    leaving: BTreeMap<String, Weak<Running>>,
}

impl Ruling {
    /// No groups yet.
    pub(super) fn new(deps: Deps) -> Self {
        let lanes = Arc::new(Lanes::new(deps.concurrency));
        let slots = deps.concurrent_rules.then(|| Arc::new(Slots::new(deps.concurrency)));
        Self { deps: Arc::new(deps), lanes, slots, groups: Mutex::default() }
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
        let mut stored = self.deps.state.load(Table::RuleState)?;
        let files: BTreeSet<_> = loaded.iter().map(|one| one.file.as_str()).collect();
        let moved = respell(&mut stored, |file| files.contains(file));
        let records = stored.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let now = self.deps.clock.now();
        let shared = self.shared(context, alert_relabel);
        let context = &shared.context;
        let mut kept = BTreeSet::new();
        let mut groups = Vec::new();
        for (_, one) in distinct(loaded) {
            let mut group = Group::new(&one.file, &one.group, context);
            group.restore(records.clone(), now, context);
            kept.extend(group.record_keys().map(str::to_owned));
            let start = match group.last_evaluation() {
                Some(_) => Start::Restored,
                None => Start::Unknown,
            };
            groups.push(Running::new(one.clone(), shared.clone(), Held::new(group, start, now)));
        }
        let left_over = stored.iter().filter(|(key, _)| !kept.contains(key));
        let mut ops: Vec<_> = left_over.map(|(key, _)| rule_op(key, None)).collect();
        for (before, key, value) in moved {
            ops.push(rule_op(&before, None));
            ops.extend(kept.contains(&key).then(|| rule_op(&key, Some(value))));
        }
        self.deps.state.apply(&ops)?;
        groups.iter().for_each(|group| self.run(group));
        lock(&self.groups).running = groups;
        Ok(())
    }

    /// Replaces the groups; those of the same file and name go on with what they remember, and
    /// those of which nothing has changed as if nothing had happened. Waits for no evaluation.
    pub(super) fn reload(&self, loaded: &[LoadedGroup], context: &Context, alert_relabel: &[Rule]) {
        let shared = self.shared(context, alert_relabel);
        let mut groups = lock(&self.groups);
        let mut old: BTreeMap<String, Arc<Running>> =
            groups.running.drain(..).map(|group| (group.key(), group)).collect();
        groups.leaving.retain(|_, group| group.strong_count() > 0);
        for (key, one) in distinct(loaded) {
            let before = old.remove(&key);
            if let Some(same) = before.as_ref().filter(|before| before.is_like(one, &shared)) {
                groups.running.push(same.clone());
                continue;
            }
            let before =
                before.or_else(|| groups.leaving.remove(&key).and_then(|gone| gone.upgrade()));
            let group = match before {
                Some(before) => Running::replacing(&before, one.clone(), shared.clone()),
                None => {
                    let group = Group::new(&one.file, &one.group, &shared.context);
                    let held = Held::new(group, Start::New, Timestamp::EPOCH);
                    Running::new(one.clone(), shared.clone(), held)
                }
            };
            self.run(&group);
            groups.running.push(group);
        }
        for (key, group) in old {
            group.dismiss();
            groups.leaving.insert(key.clone(), Arc::downgrade(&group));
            let retire = retire(group, self.deps.clone());
            tasks::spawn_on(&self.deps.runtime, format!("end of rules {key}"), retire);
        }
    }

    /// Tells all groups to begin no further rule. What they evaluate goes on.
    pub(super) fn dismiss_all(&self) {
        lock(&self.groups).running.iter().for_each(|group| group.dismiss());
    }

    /// Stops all groups; ends when no evaluation runs. Must not be called on a task.
    pub(super) fn stop(&self) {
        let mut groups = lock(&self.groups);
        groups.running.iter().for_each(|group| group.dismiss());
        let Groups { running, leaving } = std::mem::take(&mut *groups);
        drop(groups);
        let leaving = leaving.into_values().filter_map(|group| group.upgrade());
        running.into_iter().chain(leaving).for_each(|group| group.end());
    }

    /// All groups, by file, then name.
    pub(super) fn views(&self) -> Vec<Arc<GroupView>> {
        let mut views: Vec<_> = self.running().iter().map(|group| group.view()).collect();
        views.sort_by(|a, b| (&a.file, &a.name).cmp(&(&b.file, &b.name)));
        views
    }

    /// All groups, in no order.
    pub(super) fn running(&self) -> Vec<Arc<Running>> {
        lock(&self.groups).running.clone()
    }

    /// How long a query of a rule may run.
    pub(super) fn query_timeout(&self) -> Duration {
        query_timeout(&self.deps.queries)
    }

    fn shared(&self, context: &Context, alert_relabel: &[Rule]) -> Arc<Shared> {
        let context = Context { slots: self.slots.clone(), ..context.clone() };
        Arc::new(Shared { context, alert_relabel: alert_relabel.to_vec() })
    }

    fn run(&self, group: &Arc<Running>) {
        let run = group.clone().run(self.deps.clone(), self.lanes.clone());
        tasks::spawn_on(&self.deps.runtime, format!("rules {}", group.key()), run);
    }
}

/// The groups with their keys, each key once: of two groups with one key, the next reload would
/// lose sight of one, and nobody could stop it any more.
fn distinct(loaded: &[LoadedGroup]) -> impl Iterator<Item = (String, &LoadedGroup)> {
    let mut seen = BTreeSet::new();
    let keyed = loaded.iter().map(|one| (group_key(one), one));
    keyed.filter(move |(key, _)| seen.insert(key.clone()))
}

/// As long as one of a person: a slow one holds up its own group alone, see `lanes.rs`.
fn query_timeout(queries: &Queries) -> Duration {
    queries.engine().config().timeout
}

/// Forgets the records of a removed group once it has come to rest, and ends its series two
/// intervals later.
async fn retire(running: Arc<Running>, deps: Arc<Deps>) {
    let (guard, held) = running.take().await;
    // It came back meanwhile.
    let Some(mut held) = held else { return };
    let stopped = deps.clock.now();
    let (this, world) = (running.clone(), deps.clone());
    let forgotten = tokio::task::spawn_blocking(move || {
        held.group.forget_metrics(this.context());
        let mut ops: Vec<_> = held.group.record_keys().map(|key| rule_op(key, None)).collect();
        ops.extend(this.told(stopped).alerts(&held.group.forget_alerts(this.context())));
        if let Err(err) = world.state.apply(&ops) {
            tracing::warn!(%err, group = this.key(), "records of a removed group stay behind");
        }
        held.group
    });
    let Ok(group) = forgotten.await else { return };
    drop(guard);
    drop(running);
    deps.clock.sleep(group.interval() * 2).await;
    let commit = group.last_words(stopped);
    let write = move || deps.appender.commit(&commit);
    if let Ok(Err(err)) = tokio::task::spawn_blocking(write).await {
        tracing::warn!(%err, "series of a removed group end by lookback, not by marker");
    }
}

/// Queries of rules: they do not wait behind those of people.
#[derive(Debug)]
pub(super) struct RuleQuerier {
    pub(super) queries: Arc<Queries>,
    pub(super) view: Arc<GroupView>,
    pub(super) quit: Shutdown,
}

impl Querier for RuleQuerier {
    fn instant(&self, query: &str, at: Timestamp) -> Result<Vec<QuerySample>, String> {
        let group = RuleGroup { file: &self.view.file, name: &self.view.name };
        let timeout = query_timeout(&self.queries);
        let output = self.queries.rule(query, at, timeout, group);
        let output = output.map_err(|err| err.to_string())?;
        answer(output.value)
    }

    fn newest(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Newest>, String> {
        self.queries.newest(matchers, range).map_err(|err| err.to_string())
    }

    fn is_over(&self) -> bool {
        self.quit.is_triggered()
    }
}
