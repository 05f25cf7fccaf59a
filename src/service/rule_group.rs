//! One running group of rules: its slots, each evaluation and what follows from it, and how it
//! takes over from the group that it replaces.

use super::lanes::Lanes;
use super::rule_history::Told;
use super::ruling::{Deps, RuleQuerier};
use crate::config::LoadedGroup;
use crate::model::Timestamp;
use crate::model::relabel::Rule;
use crate::notify::upstream::relabelled;
use crate::rules::{Context, Evaluation, Group, GroupView};
use crate::storage::state::{StateOp, Table};
use crate::sys::locks::lock;
use crate::sys::tasks::Shutdown;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Entries of the history that wait for the disk; the oldest are given up first.
const ENTRIES_WAITING_MAX: usize = 10_000;

/// What groups share until the next reload.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) context: Context,
    pub(super) alert_relabel: Vec<Rule>,
}

impl Shared {
    fn is_like(&self, other: &Self) -> bool {
        self.context.is_like(&other.context) && self.alert_relabel == other.alert_relabel
    }
}

/// One running group.
#[derive(Debug)]
pub(super) struct Running {
    loaded: LoadedGroup,
    shared: Arc<Shared>,
    /// Locked while it is evaluated. Who waits here for an evaluation takes no thread. Of two
    /// groups the one that replaces the other is locked first.
    state: Arc<AsyncMutex<State>>,
    /// The group after its last evaluation: screens never wait for a running one.
    view: Mutex<Arc<GroupView>>,
    /// Ends its task. An evaluation that is under way goes on.
    stop: Shutdown,
    /// Ends an evaluation before its next rule, also that of a group before: nobody will go on
    /// with it.
    quit: Shutdown,
}

/// Where the group is.
#[derive(Debug)]
pub(super) enum State {
    /// Still with the one that this one replaces.
    Before(Arc<Running>),
    /// Here.
    Here(Box<Held>),
    /// With the one that replaced this one, or gone.
    Taken,
}

/// A group with what its evaluations left to do.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) group: Group,
    start: Start,
    /// Slots before this are another process'.
    began: Timestamp,
    /// Records that could not be written yet.
    unwritten: BTreeMap<String, Option<String>>,
    /// Entries of the history that could not be written yet.
    untold: VecDeque<StateOp>,
    /// The last failure of each rule: told once, not at every evaluation.
    failures: BTreeMap<String, String>,
}

/// What a group does before its first slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Nothing: it is new.
    New,
    /// Evaluates the newest slot that was missed while another evaluation or a reload went on.
    Replaced,
    /// Fires what should have fired while no process was there, and asks the store for alerts of
    /// rules of which no record is left: they may have been in another group.
    Restored,
    /// Asks the store for alerts of which no record is left.
    Unknown,
}

impl Held {
    /// A group that has not been evaluated by this process.
    pub(super) fn new(group: Group, start: Start, began: Timestamp) -> Self {
        Self {
            group,
            start,
            began,
            unwritten: BTreeMap::new(),
            untold: VecDeque::new(),
            failures: BTreeMap::new(),
        }
    }

    /// The group of a new configuration with what the old one left.
    fn of(loaded: &LoadedGroup, shared: &Shared, before: Option<Self>) -> Self {
        let mut group = Group::new(&loaded.file, &loaded.group, &shared.context);
        match before {
            None => Self::new(group, Start::New, Timestamp::EPOCH),
            Some(before) => {
                group.adopt(before.group, &shared.context);
                let start = match before.start {
                    Start::New | Start::Replaced => Start::Replaced,
                    // Still to be done.
                    Start::Restored | Start::Unknown => before.start,
                };
                Self { group, start, ..before }
            }
        }
    }
}

impl Running {
    /// A group that runs.
    pub(super) fn new(loaded: LoadedGroup, shared: Arc<Shared>, held: Held) -> Arc<Self> {
        Self::here(loaded, shared, held, Shutdown::new())
    }

    /// A group in place of `before`, which is stopped, and which may still be evaluated: this one
    /// begins afterwards, and shows the other one until then.
    pub(super) fn replacing(
        before: &Arc<Self>,
        loaded: LoadedGroup,
        shared: Arc<Shared>,
    ) -> Arc<Self> {
        before.stop.trigger();
        // One that was removed before has been told to quit, and this one has not.
        let quit = match before.quit.is_triggered() {
            true => Shutdown::new(),
            false => before.quit.clone(),
        };
        let Ok(mut state) = before.state.try_lock() else {
            let view = before.view();
            return Self::with(loaded, shared, (State::Before(before.clone()), view), quit);
        };
        let held = match std::mem::replace(&mut *state, State::Taken) {
            State::Before(earlier) => return Self::replacing(&earlier, loaded, shared),
            State::Here(held) => Some(*held),
            State::Taken => None,
        };
        let held = Held::of(&loaded, &shared, held);
        Self::here(loaded, shared, held, quit)
    }

    fn here(loaded: LoadedGroup, shared: Arc<Shared>, held: Held, quit: Shutdown) -> Arc<Self> {
        let view = Arc::new(held.group.view());
        Self::with(loaded, shared, (State::Here(Box::new(held)), view), quit)
    }

    fn with(
        loaded: LoadedGroup,
        shared: Arc<Shared>,
        (state, view): (State, Arc<GroupView>),
        quit: Shutdown,
    ) -> Arc<Self> {
        Arc::new(Self {
            loaded,
            shared,
            state: Arc::new(AsyncMutex::new(state)),
            view: Mutex::new(view),
            stop: Shutdown::new(),
            quit,
        })
    }

    /// The group is no longer wanted: its task ends, and an evaluation before its next rule.
    pub(super) fn dismiss(&self) {
        self.quit.trigger();
        self.stop.trigger();
    }

    /// `file;name`, unique among all groups.
    pub(super) fn key(&self) -> String {
        group_key(&self.loaded)
    }

    /// Whether it would run the same way as this.
    pub(super) fn is_like(&self, loaded: &LoadedGroup, shared: &Shared) -> bool {
        self.loaded.file == loaded.file
            && self.loaded.group == loaded.group
            && self.shared.is_like(shared)
    }

    /// The group after its last evaluation.
    pub(super) fn view(&self) -> Arc<GroupView> {
        lock(&self.view).clone()
    }

    /// Takes the group out and drops it; ends when no evaluation of it runs. Must not be called on
    /// a task.
    pub(super) fn end(&self) {
        let mut place = std::mem::replace(&mut *self.state.blocking_lock(), State::Taken);
        while let State::Before(earlier) = place {
            place = std::mem::replace(&mut *earlier.state.blocking_lock(), State::Taken);
        }
    }

    /// Takes the group out for good, once no evaluation runs; `None` when it is elsewhere. Until
    /// the guard is dropped nobody begins in its place.
    pub(super) async fn take(&self) -> (OwnedMutexGuard<State>, Option<Held>) {
        let mut state = self.state.clone().lock_owned().await;
        let held = Self::take_from(&mut state).await;
        (state, held)
    }

    async fn take_from(state: &mut State) -> Option<Held> {
        let mut place = std::mem::replace(state, State::Taken);
        loop {
            match place {
                State::Here(held) => return Some(*held),
                State::Taken => return None,
                State::Before(earlier) => {
                    let mut state = earlier.state.lock().await;
                    place = std::mem::replace(&mut *state, State::Taken);
                }
            }
        }
    }

    /// Evaluates the group at its slots until it is stopped.
    pub(super) async fn run(self: Arc<Self>, deps: Arc<Deps>, lanes: Arc<Lanes>) {
        let Some(mut slot) = self.begin(&deps, &lanes).await else { return };
        loop {
            let now = deps.clock.now();
            let interval = self.view().interval;
            // The wall clock was set back: the slot would be further away than slots ever are.
            if slot.since(now) > interval {
                slot = now.plus(interval);
            }
            tokio::select! {
                biased;
                () = self.stop.wait() => return,
                () = deps.clock.sleep(slot.since(now)) => {}
            }
            let after = slot.plus(interval);
            let evaluated = self.in_lane(&deps, &lanes, after, move |running, held, deps| {
                running.evaluate(held, deps, slot)
            });
            match evaluated.await {
                Some(next) => slot = next,
                None => return,
            }
        }
    }

    /// Takes over from the group before, does what is owed, and says when the first slot is.
    async fn begin(self: &Arc<Self>, deps: &Arc<Deps>, lanes: &Lanes) -> Option<Timestamp> {
        {
            let mut state = self.state.lock().await;
            if let State::Before(_) = &*state {
                let before = Self::take_from(&mut state).await;
                let held = Held::of(&self.loaded, &self.shared, before);
                *lock(&self.view) = Arc::new(held.group.view());
                *state = State::Here(Box::new(held));
            }
        }
        let after = deps.clock.now().plus(self.view().interval);
        self.in_lane(deps, lanes, after, Self::do_owed).await
    }

    /// Does `work` with the group in a lane. It says when the next slot is, and that is `after`
    /// when it panics. `None` when the group is stopped or elsewhere.
    async fn in_lane(
        self: &Arc<Self>,
        deps: &Arc<Deps>,
        lanes: &Lanes,
        after: Timestamp,
        work: impl FnOnce(&Self, &mut Held, &Deps) -> Timestamp + Send + 'static,
    ) -> Option<Timestamp> {
        let took = self.view().evaluation_time;
        let place = tokio::select! {
            biased;
            () = self.stop.wait() => return None,
            place = lanes.enter(took) => place,
        };
        let mut state = self.state.clone().lock_owned().await;
        let (running, world) = (self.clone(), deps.clone());
        let done = lanes.run(place, &deps.clock, move || match &mut *state {
            State::Here(held) => Some(work(&running, held, &world)),
            State::Before(_) | State::Taken => None,
        });
        match done.await {
            Ok(done) => done,
            Err(err) => {
                tracing::error!(group = self.key(), %err, "the evaluation of a group failed");
                Some(after)
            }
        }
    }

    /// What a group does before its first slot, which this returns.
    fn do_owed(&self, held: &mut Held, deps: &Deps) -> Timestamp {
        let now = deps.clock.now();
        held.group.follow_clock(now, deps.clock.elapsed(), &self.shared.context);
        let next = held.group.next_after(now);
        let missed = held.group.missed_slot(now);
        match (std::mem::replace(&mut held.start, Start::New), missed) {
            // In a slot of another process targets may not have been scraped yet.
            (Start::Replaced, Some(missed)) if missed >= held.began => return missed,
            (Start::Restored, missed) => {
                self.recall(held, deps, now);
                let missed = missed.filter(|_| self.has_samples_of(held, deps, now));
                missed.into_iter().for_each(|missed| self.catch_up(held, deps, missed));
            }
            (Start::Unknown, _) => self.recall(held, deps, now),
            (Start::New | Start::Replaced, _) => {}
        }
        next
    }

    fn catch_up(&self, held: &mut Held, deps: &Deps, missed: Timestamp) {
        let (context, querier) = (&self.shared.context, self.querier(deps));
        let (appender, clock) = (deps.appender.as_ref(), deps.clock.as_ref());
        let done = held.group.catch_up(missed, context, &querier, appender, clock);
        self.carry_out(held, deps, missed, done);
    }

    fn recall(&self, held: &mut Held, deps: &Deps, now: Timestamp) {
        let (context, querier) = (&self.shared.context, self.querier(deps));
        for failure in held.group.recall(now, context, &querier, deps.clock.as_ref()) {
            let (rule, error) = (failure.rule, failure.error);
            tracing::warn!(rule, %error, "what the store knows of alerts is not looked up");
        }
    }

    /// Whether queries still see samples of before the downtime. Where they do not, nothing can be
    /// told until targets were scraped again.
    fn has_samples_of(&self, held: &Held, deps: &Deps, now: Timestamp) -> bool {
        let lookback = deps.queries.engine().config().lookback;
        held.group.last_evaluation().is_some_and(|last| now.since(last) < lookback)
    }

    /// One evaluation and what follows from it; returns the next slot.
    fn evaluate(&self, held: &mut Held, deps: &Deps, at: Timestamp) -> Timestamp {
        let (context, querier) = (&self.shared.context, self.querier(deps));
        let (appender, clock) = (deps.appender.as_ref(), deps.clock.as_ref());
        let now = clock.now();
        let at = match held.group.follow_clock(now, clock.elapsed(), context) {
            true => held.group.next_after(now).minus(held.group.interval()),
            false => at,
        };
        let evaluation = held.group.evaluate(at, context, &querier, appender, clock);
        let next = held.group.next_slot(at, deps.clock.now());
        self.carry_out(held, deps, at, evaluation);
        next
    }

    fn querier(&self, deps: &Deps) -> RuleQuerier {
        RuleQuerier { queries: deps.queries.clone(), view: self.view(), quit: self.quit.clone() }
    }

    fn carry_out(&self, held: &mut Held, deps: &Deps, at: Timestamp, evaluation: Evaluation) {
        *lock(&self.view) = Arc::new(held.group.view());
        let relabel = &self.shared.alert_relabel;
        let entries = self.told(at).evaluation(&evaluation);
        let Evaluation { alerts, records, failures, .. } = evaluation;
        let failures = failures.into_iter().map(|one| (one.rule, one.error.to_string())).collect();
        self.tell_failures(held, failures);
        let alerts = relabelled(alerts, relabel);
        // The alert engine stores them before the group's own records are stored: a crash in
        // between repeats alerts that it knows, where the other order would lose them.
        // Firing and resolved alerts are told at once; pending ones and values can wait a little.
        let has_changed = !alerts.is_empty();
        deps.forwarding.send(&alerts);
        if deps.forwarding.tells_built_in() {
            deps.alerting.receive(alerts);
        }
        self.store(held, deps, records, entries);
        match has_changed {
            true => deps.revision.bump(),
            false => deps.revision.nudge(deps.clock.elapsed()),
        }
    }

    /// How the history tells what happens at `at`.
    pub(super) fn told(&self, at: Timestamp) -> Told<'_> {
        Told {
            file: &self.loaded.file,
            group: &self.loaded.group.name,
            alert_relabel: &self.shared.alert_relabel,
            at,
        }
    }

    /// What all groups of its configuration share.
    pub(super) fn context(&self) -> &Context {
        &self.shared.context
    }

    /// Records and entries in one transaction: an entry is there once, whatever fails.
    fn store(
        &self,
        held: &mut Held,
        deps: &Deps,
        records: Vec<(String, Option<String>)>,
        entries: Vec<StateOp>,
    ) {
        held.unwritten.extend(records);
        held.untold.extend(entries);
        let rows = held.unwritten.iter().map(|(key, value)| rule_op(key, value.clone()));
        let ops: Vec<_> = rows.chain(held.untold.iter().cloned()).collect();
        match deps.state.apply(&ops) {
            Ok(()) => {
                held.unwritten.clear();
                held.untold.clear();
            }
            Err(err) => {
                let too_many = held.untold.len().saturating_sub(ENTRIES_WAITING_MAX);
                held.untold.drain(..too_many);
                let group = self.key();
                tracing::error!(%err, group, "rules go on; their state waits for the disk");
            }
        }
    }

    fn tell_failures(&self, held: &mut Held, now: BTreeMap<String, String>) {
        for (rule, error) in &now {
            if held.failures.get(rule) != Some(error) {
                tracing::warn!(group = self.key(), rule, error, "a rule fails");
            }
        }
        held.failures = now;
    }
}

/// `file;name` of a group as written.
pub(super) fn group_key(loaded: &LoadedGroup) -> String {
    format!("{};{}", loaded.file, loaded.group.name)
}

/// The change of a group's record.
pub(super) fn rule_op(key: &str, value: Option<String>) -> StateOp {
    let (table, key) = (Table::RuleState, key.to_owned());
    match value {
        Some(value) => StateOp::Put { table, key, value },
        None => StateOp::Delete { table, key },
    }
}
