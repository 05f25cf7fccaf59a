//! What a screen may ask, and the threads that ask it of the core.
//!
//! The core's methods block, so each runs on a worker thread; its answer comes back as a message.
//! Every request carries the generation of its slot: the model drops answers of older ones.

use super::error::Error;
use crate::model::{Labels, Matcher, TimeRange, Timestamp};
use crate::sys::locks::lock;
use crate::sys::tasks;
use crate::wire::{
    AckRequest, AlertRow, Call, Changes, Core, HistoryAnswer, HistoryRequest, MatrixSeries,
    PostableSilence, QueryData, RangeQuery, RelabelSteps, RulesAnswer, RulesRequest, SeriesRequest,
    SilenceForm, TargetState, TargetsAnswer, WatchStatus,
};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// No answer is waited for longer.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the server holds a question for changes.
const WATCH_TIMEOUT: Duration = Duration::from_secs(50);

/// Threads for questions besides the one that waits for changes.
const WORKERS: usize = 3;

/// Requests that wait for a worker. The model has one open request a slot, so a longer queue
/// means workers that hang; a request that finds it full fails at once.
const QUEUE_MAX: usize = 64;

/// What an answer is for; a newer request for the same slot outdates the older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Slot {
    /// Waits for changes.
    Watch,
    /// How the server does.
    Status,
    /// All alerts.
    Alerts,
    /// All targets.
    Targets,
    /// What a job's rules make of a target.
    Steps,
    /// All rules.
    Rules,
    /// All silences.
    Silences,
    /// The newest rows of the history, or older ones.
    History,
    /// Rows of the history that are new since.
    News,
    /// The host's series on Overview.
    Host,
    /// Firing alerts of the last day on Overview.
    Strip,
    /// The chart of the selected alert.
    Preview,
    /// The chart of Explore.
    Explore,
    /// Why the chart of Explore is empty.
    Hints,
    /// Names of metrics.
    Metrics,
    /// Proposals at the cursor.
    Proposals,
    /// A change of the server.
    Write,
}

/// Which rows of the history an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The newest of all.
    Newest,
    /// Those since the rows that are known.
    News,
    /// Those before.
    Older,
}

/// A question, or a change.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// Waits until the revision is past this one.
    Changes(u64),
    /// How the server does.
    Status,
    /// All alerts.
    Alerts,
    /// All targets.
    Targets,
    /// What a job's rules make of labels.
    RelabelSteps {
        /// The job.
        job: String,
        /// Labels before relabelling.
        labels: Labels,
    },
    /// All rules.
    Rules,
    /// All silences.
    Silences,
    /// A part of the history.
    History {
        /// By what the model knows whether it still wants the answer.
        number: u64,
        /// Which rows.
        part: Part,
        /// What is asked.
        request: HistoryRequest,
    },
    /// Several expressions over the same time; one that fails yields no series.
    Ranges(Vec<RangeQuery>),
    /// One expression over time.
    Range(RangeQuery),
    /// Why an expression may answer nothing.
    Hints {
        /// The expression.
        expr: String,
        /// When it was evaluated.
        range: TimeRange,
    },
    /// Names of labels of the series of a metric, or of all.
    LabelNames(Option<String>),
    /// Values of a label, of the series of a metric or of all.
    LabelValues {
        /// The label.
        name: String,
        /// The metric.
        metric: Option<String>,
        /// Until when series are looked at.
        now: Timestamp,
    },
    /// Makes a silence.
    PostSilence(PostableSilence),
    /// Ends a silence.
    ExpireSilence(String),
    /// Acknowledges alerts.
    Acknowledge(AckRequest),
    /// Takes acknowledgements back.
    WithdrawAcks {
        /// Fingerprints of the alerts.
        fingerprints: Vec<String>,
        /// Who does.
        by: String,
    },
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// To `Changes`.
    Changes(Changes),
    /// To `Status`.
    Status(Box<WatchStatus>),
    /// To `Alerts`.
    Alerts(Vec<AlertRow>),
    /// To `Targets`.
    Targets(TargetsAnswer),
    /// To `RelabelSteps`.
    Steps(RelabelSteps),
    /// To `Rules`.
    Rules(RulesAnswer),
    /// To `Silences`.
    Silences(Vec<SilenceForm>),
    /// To `History`, with its number and part.
    History(u64, Part, HistoryAnswer),
    /// To `Ranges`, in the same order.
    Ranges(Vec<Vec<MatrixSeries>>),
    /// To `Range`.
    Range(Vec<MatrixSeries>),
    /// To `Hints`, `LabelNames` and `LabelValues`.
    Words(Vec<String>),
    /// To `PostSilence`: the id.
    Posted(String),
    /// To `ExpireSilence`.
    Expired,
    /// To `Acknowledge`: how many alerts.
    Acknowledged(usize),
    /// To `WithdrawAcks`: how many.
    Withdrawn(usize),
}

/// An answer, or the words for why there is none.
pub(crate) type Outcome = Result<Answer, crate::wire::Error>;

/// Asks the core; blocks.
pub(crate) fn ask(core: &dyn Core, call: &Call, request: Request) -> Outcome {
    Ok(match request {
        Request::Changes(revision) => Answer::Changes(core.changes_after(revision, WATCH_TIMEOUT)?),
        Request::Status => Answer::Status(Box::new(core.status()?)),
        Request::Alerts => Answer::Alerts(core.alert_rows()?),
        Request::Targets => Answer::Targets(core.targets(TargetState::Any, None)?),
        Request::RelabelSteps { job, labels } => Answer::Steps(core.relabel_steps(&job, &labels)?),
        Request::Rules => {
            Answer::Rules(core.rules(&RulesRequest { limits: true, ..RulesRequest::default() })?)
        }
        Request::Silences => Answer::Silences(core.silences(&[])?),
        Request::History { number, part, request } => {
            Answer::History(number, part, core.history(&request)?)
        }
        Request::Ranges(queries) => {
            // A host without one of the metrics still has the others.
            let all = queries.iter().map(|query| range(core, call, query).unwrap_or_default());
            Answer::Ranges(all.collect())
        }
        Request::Range(query) => Answer::Range(range(core, call, &query)?),
        Request::Hints { expr, range } => Answer::Words(core.query_hints(call, &expr, range)?),
        Request::LabelNames(metric) => {
            Answer::Words(core.label_names(call, &series_of(metric, None))?.data)
        }
        Request::LabelValues { name, metric, now } => {
            Answer::Words(core.label_values(call, &name, &series_of(metric, Some(now)))?.data)
        }
        Request::PostSilence(silence) => Answer::Posted(core.post_silence(silence)?),
        Request::ExpireSilence(id) => {
            core.expire_silence(&id)?;
            Answer::Expired
        }
        Request::Acknowledge(request) => Answer::Acknowledged(core.acknowledge(&request)?),
        Request::WithdrawAcks { fingerprints, by } => {
            for print in &fingerprints {
                core.withdraw_ack(print, &by)?;
            }
            Answer::Withdrawn(fingerprints.len())
        }
    })
}

fn range(
    core: &dyn Core,
    call: &Call,
    query: &RangeQuery,
) -> Result<Vec<MatrixSeries>, crate::wire::Error> {
    match core.query_range(call, query)?.data {
        QueryData::Matrix(series) => Ok(series),
        QueryData::Vector(_) | QueryData::Scalar(..) | QueryData::String(..) => Ok(Vec::new()),
    }
}

fn series_of(metric: Option<String>, now: Option<Timestamp>) -> SeriesRequest {
    let matchers = metric.map(|metric| vec![Matcher::equal("__name__", metric)]);
    let lately = now.and_then(|now| TimeRange::new(now.minus(Duration::from_secs(3600)), now));
    SeriesRequest {
        matchers: matchers.into_iter().collect(),
        range: lately.unwrap_or(TimeRange::ALL),
        limit: 10_000,
    }
}

/// A request on its way.
struct Job {
    slot: Slot,
    generation: u64,
    request: Request,
    call: Call,
}

/// Sends answers to the loop; false when the loop has ended.
type Deliver = Arc<dyn Fn(Slot, u64, Outcome) -> bool + Send + Sync>;

/// The threads that ask.
pub(crate) struct Source {
    questions: SyncSender<Job>,
    watch: SyncSender<Job>,
    open: HashMap<Slot, Arc<AtomicBool>>,
}

impl Source {
    /// Starts the threads; they end when the source is dropped and their answers are out.
    ///
    /// # Errors
    /// The system has no room for another thread.
    pub(crate) fn start(core: &Arc<dyn Core>, deliver: Deliver) -> Result<Self, Error> {
        let (questions, jobs) = sync_channel(QUEUE_MAX);
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..WORKERS {
            work("tui-source", core, &jobs, &deliver)?;
        }
        let (watch, jobs) = sync_channel(QUEUE_MAX);
        work("tui-watch", core, &Arc::new(Mutex::new(jobs)), &deliver)?;
        Ok(Self { questions, watch, open: HashMap::new() })
    }

    /// Sends a request on its way; the older one of the same slot is told that nobody waits.
    /// Answers at once, with an error, when no worker is left to take it.
    pub(crate) fn send(
        &mut self,
        slot: Slot,
        generation: u64,
        request: Request,
    ) -> Option<Outcome> {
        let call = Call::with_timeout(ANSWER_TIMEOUT);
        if let Some(older) = self.open.insert(slot, Arc::clone(&call.canceled)) {
            older.store(true, Ordering::Relaxed);
        }
        let queue = if slot == Slot::Watch { &self.watch } else { &self.questions };
        let full = match queue.try_send(Job { slot, generation, request, call }) {
            Ok(()) => return None,
            Err(TrySendError::Full(_)) => "the server does not answer: too many questions wait",
            Err(TrySendError::Disconnected(_)) => "the threads that ask have ended",
        };
        Some(Err(crate::wire::Error::new(crate::wire::ErrorKind::Busy, full)))
    }
}

fn work(
    name: &'static str,
    core: &Arc<dyn Core>,
    jobs: &Arc<Mutex<Receiver<Job>>>,
    deliver: &Deliver,
) -> Result<(), Error> {
    let (core, jobs, deliver) = (Arc::clone(core), Arc::clone(jobs), Arc::clone(deliver));
    let run = move || {
        loop {
            let next = lock(&jobs).recv();
            let Ok(job) = next else { return };
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                ask(core.as_ref(), &job.call, job.request)
            }));
            let outcome = outcome.unwrap_or_else(|_| {
                Err(crate::wire::Error::internal("the server panicked; its log has more"))
            });
            if !deliver(job.slot, job.generation, outcome) {
                return;
            }
        }
    };
    let started = tasks::spawn_thread(name, run);
    started.map(drop).map_err(|source| Error::Thread { name, source })
}
