//! Recording rules over the running store's history: a thread does it, and whoever asked looks
//! how far it is. One that nobody looks at is given up.

use super::queries::Queries;
use super::start::{Parts, Service};
use crate::config::{self, LoadedGroup};
use crate::model::Timestamp;
use crate::rules::{Backfill, BackfillError, Backfilled, Progress};
use crate::storage::Storage;
use crate::sys::clock::SharedClock;
use crate::sys::locks::lock;
use crate::sys::tasks::{self, Shutdown};
use crate::wire::{
    BackfillAnswer, BackfillFailureForm, BackfillRequest, BackfillStep, Error, ErrorKind,
};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One that nobody asks about for so long is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a look waits for the end.
const LOOK: Duration = Duration::from_secs(1);
/// Rule files of one request.
const FILES_MAX: usize = 1_000;

/// The one that runs, or ran last: one at a time, since each takes up to a few hundred MiB.
#[derive(Debug, Default)]
pub(super) struct Backfills(Mutex<Option<Arc<Running>>>);

#[derive(Debug)]
struct Running {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    answer: BackfillAnswer,
    error: Option<Error>,
    /// When somebody asked last.
    looked: Duration,
}

/// What the thread works with.
struct Job {
    storage: Arc<Storage>,
    queries: Arc<Queries>,
    groups: Vec<LoadedGroup>,
    start: Timestamp,
    end: Timestamp,
    interval: Duration,
    query_offset: Duration,
    clock: SharedClock,
    shutdown: Shutdown,
    running: Arc<Running>,
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn is_over(&self) -> bool {
        self.lock().answer.is_over
    }

    /// The answer, once it is over or `LOOK` has passed.
    fn look(&self, now: Duration) -> Result<BackfillAnswer, Error> {
        let mut state = self.lock();
        state.looked = now;
        let goes_on = |state: &mut State| !state.answer.is_over;
        let waited = self.changed.wait_timeout_while(state, LOOK, goes_on);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.error.clone().map_or_else(|| Ok(state.answer.clone()), Err)
    }
}

/// Says that it is over also when the thread panics.
struct Ending(Arc<Running>);

impl Drop for Ending {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if !state.answer.is_over {
            state.answer.is_over = true;
            state.error = Some(Error::internal("back-filling panicked; the log says where"));
        }
        self.0.changed.notify_all();
    }
}

impl Service {
    /// As `wire::Core::backfill`.
    pub(super) fn backfill_step(
        &self,
        parts: &Parts,
        step: &BackfillStep,
    ) -> Result<BackfillAnswer, Error> {
        let now = self.world.clock.elapsed();
        let held = || lock(&self.backfills.0);
        match step {
            BackfillStep::Begin(request) => {
                let mut current = held();
                if current.as_ref().is_some_and(|running| !running.is_over()) {
                    let text = "rules are being back-filled already; that ends, or is given up a \
                                minute after nobody asks about it";
                    return Err(Error::new(ErrorKind::Busy, text));
                }
                let running = self.begin_backfill(parts, request)?;
                let answer = running.lock().answer.clone();
                *current = Some(running);
                Ok(answer)
            }
            BackfillStep::Look(id) => {
                let running = held().clone();
                let running = running.filter(|running| running.lock().answer.id == *id);
                let unknown = || Error::not_found(format!("no back-filling {id:?}"));
                running.ok_or_else(unknown)?.look(now)
            }
        }
    }

    fn begin_backfill(
        &self,
        parts: &Parts,
        request: &BackfillRequest,
    ) -> Result<Arc<Running>, Error> {
        let config = self.config.load().config.clone();
        let groups = self.groups_of(request, &config, parts)?;
        let now = self.world.clock.now();
        let asked = request.start.ok_or_else(|| Error::bad_data("start is missing"))?;
        let start = parts.storage.oldest_kept(now).map_or(asked, |oldest| oldest.max(asked));
        let end = request.end.map_or(now, |end| end.min(now));
        if end < start {
            let text = "nothing of that time is both past and kept: it ends before it starts";
            return Err(Error::bad_data(text));
        }
        let id = format!("{:016x}", self.world.entropy.next_u64());
        let times = (Some(start), Some(end));
        let answer =
            BackfillAnswer { id, start: times.0, end: times.1, ..BackfillAnswer::default() };
        let looked = self.world.clock.elapsed();
        let state = Mutex::new(State { answer, error: None, looked });
        let running = Arc::new(Running { state, changed: Condvar::new() });
        let interval = request.interval_ms.filter(|millis| *millis > 0);
        let job = Job {
            storage: parts.storage.clone(),
            queries: parts.queries.clone(),
            groups,
            start,
            end,
            interval: interval.map_or(config.evaluation_interval, Duration::from_millis),
            query_offset: config.rule_query_offset,
            clock: self.world.clock.clone(),
            shutdown: self.world.shutdown.clone(),
            running: running.clone(),
        };
        let revision = self.revision.clone();
        let started = tasks::spawn_thread("backfill", move || {
            let _ending = Ending(job.running.clone());
            job.run();
            revision.bump();
        });
        started.map_err(|err| Error::internal(err.to_string()))?;
        Ok(running)
    }

    /// The groups of the request. One that runs here has its slots where it runs, whatever the
    /// client calls the file.
    fn groups_of(
        &self,
        request: &BackfillRequest,
        config: &config::Config,
        parts: &Parts,
    ) -> Result<Vec<LoadedGroup>, Error> {
        if request.files.is_empty() || request.files.len() > FILES_MAX {
            return Err(Error::bad_data(format!("1 to {FILES_MAX} rule files are wanted")));
        }
        let features = parts.queries.engine().config().features;
        let mut groups = Vec::new();
        for file in &request.files {
            let read = config::parse_rules(Path::new(&file.name), &file.text, &features);
            groups.extend(read.map_err(|err| Error::bad_data(err.to_string()))?);
        }
        for group in &mut groups {
            let live = config.groups.iter().find(|live| live.group == group.group);
            if let Some(live) = live {
                group.file.clone_from(&live.file);
            }
        }
        Ok(groups)
    }
}

impl Job {
    fn run(&self) {
        let backfill = Backfill {
            groups: self.groups.iter().map(|one| (one.file.clone(), &one.group)).collect(),
            start: self.start,
            end: self.end,
            interval: self.interval,
            query_offset: self.query_offset,
        };
        let mut tell = |progress: &Progress| self.tell(progress);
        let outcome = backfill.run(&self.storage, self.queries.engine(), &mut tell);
        let mut state = self.running.lock();
        state.answer.is_over = true;
        match outcome {
            Ok(done) => fill(&mut state.answer, done),
            Err(err) => state.error = Some(refused(&err)),
        }
    }

    /// Notes how far it is; whether it goes on.
    fn tell(&self, progress: &Progress) -> bool {
        let mut state = self.running.lock();
        let answer = &mut state.answer;
        answer.rule.clone_from(&progress.rule);
        (answer.share, answer.rules) = (progress.share, progress.rules);
        answer.samples = progress.samples;
        let is_wanted = self.clock.elapsed().saturating_sub(state.looked) < PATIENCE;
        is_wanted && !self.shutdown.is_triggered()
    }
}

fn fill(answer: &mut BackfillAnswer, done: Backfilled) {
    let Backfilled { rules, alerting, samples, series, blocks, had_samples, failures } = done;
    answer.share = 1.0;
    (answer.rules, answer.alerting_rules) = (rules, alerting);
    (answer.samples, answer.series, answer.blocks) = (samples, series, blocks);
    answer.had_samples = had_samples;
    answer.failures = failures
        .into_iter()
        .map(|one| BackfillFailureForm {
            group: one.group,
            rule: one.rule,
            slots: one.slots,
            first: one.first,
            error: one.error,
            given_up: one.given_up,
        })
        .collect();
}

fn refused(err: &BackfillError) -> Error {
    match err {
        BackfillError::Store(err) => Error::internal(err.with_causes()),
        BackfillError::Read(err) => Error::internal(err.to_string()),
        BackfillError::Stopped => Error::new(ErrorKind::Canceled, err.to_string()),
        BackfillError::NoTime
        | BackfillError::TooLong { .. }
        | BackfillError::TooManySeries { .. } => Error::bad_data(err.to_string()),
    }
}
