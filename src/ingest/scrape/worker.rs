//! The life of one target: wait for the tick, fetch, take in, commit; and, once removed, the end.
//!
//! A target's state (cache, phase) lives in its task, so a reload only sends new settings and
//! nothing is lost. All tasks share one thread, on which usual answers are taken in at once: to
//! hand them to another thread would take longer. Long ones, and what this process has to gather,
//! go to blocking threads, a few at once.

use super::super::config::ScrapeJob;
use super::super::limits::SafetyLimits;
use super::super::target::Target;
use super::fetch::{Answer, Asking, Failure, fetch};
use super::lengths::Lengths;
use super::meters::Meters;
use super::once::{Memory, Scrape, mark_ends};
use super::orders::Hearing;
use super::report::Report;
use super::rooms::Rooms;
use super::schedule::Schedule;
use super::source::LocalTarget;
use super::view::TargetView;
use crate::model::Timestamp;
use crate::storage::append::SharedAppender;
use crate::sys::clock::SharedClock;
use crate::sys::event_loop::EventLoop;
use crate::sys::http::HttpClient;
use crate::sys::locks::lock;
use crate::sys::tasks;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Bytes of an answer that is taken in on the thread of all loops: up to 10,000 samples, which
/// takes some 3 ms, and the first time 30.
pub(super) const SHORT_BYTES_MAX: usize = 1 << 20;

/// Called after each commit.
pub(super) type OnCommit = Arc<dyn Fn() + Send + Sync>;

/// What all loops share.
pub(super) struct Shared {
    pub(super) clock: SharedClock,
    pub(super) appender: SharedAppender,
    pub(super) safety: SafetyLimits,
    pub(super) server_seed: u64,
    pub(super) user_agent: String,
    pub(super) on_commit: OnCommit,
    pub(super) meters: Meters,
    pub(super) lengths: Lengths,
    pub(super) rooms: Rooms,
    pub(super) parsing: Semaphore,
    /// As `Deps::event_loop`.
    pub(super) event_loop: Option<Arc<EventLoop>>,
}

/// Where a target's samples come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// HTTP.
    Http(Arc<dyn HttpClient>),
    /// This process.
    Local(Arc<dyn LocalTarget>),
    /// Nowhere: each scrape fails with this text.
    Broken(String),
}

/// How a target is scraped.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) job: Arc<ScrapeJob>,
    pub(super) target: Target,
    pub(super) source: Source,
}

/// What a loop is told.
#[derive(Clone, Debug)]
pub(super) enum Order {
    /// Scrape with these settings.
    Run(Arc<Settings>),
    /// The target is gone: mark the ends of its series, unless it comes back.
    Leave,
    /// The process stops: mark nothing.
    Stop,
}

impl Order {
    pub(super) const fn is_end(&self) -> bool {
        matches!(self, Self::Leave | Self::Stop)
    }
}

/// One target's task.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) view: Arc<Mutex<TargetView>>,
    /// Set once the ends of a removed target's series are marked.
    pub(super) has_left: Arc<AtomicBool>,
    settings: Option<Arc<Settings>>,
    schedule: Option<Schedule>,
    tick: Timestamp,
    /// When the last scrape of this schedule started.
    started_before: Option<Duration>,
    asking: Asking,
    /// `None` before the first scrape, and while one is taken in.
    memory: Option<Box<Memory>>,
}

impl Worker {
    pub(super) fn new(
        shared: Arc<Shared>,
        view: Arc<Mutex<TargetView>>,
        has_left: Arc<AtomicBool>,
    ) -> Self {
        Self {
            shared,
            view,
            has_left,
            settings: None,
            schedule: None,
            tick: Timestamp::EPOCH,
            started_before: None,
            asking: Asking::default(),
            memory: None,
        }
    }

    /// Runs until told to stop.
    pub(super) async fn run(mut self, mut orders: Hearing) {
        let mut order = orders.newest();
        loop {
            let goes_on = match &order {
                Order::Stop => false,
                Order::Leave => self.leave(&orders).await,
                Order::Run(settings) => {
                    if self.settings.as_ref().is_none_or(|own| !Arc::ptr_eq(own, settings)) {
                        self.adopt(Arc::clone(settings));
                    }
                    self.turn(&orders).await
                }
            };
            if !goes_on {
                return;
            }
            if orders.has_news() {
                order = orders.newest();
            }
        }
    }

    /// Takes new settings; forgets only what they make wrong.
    fn adopt(&mut self, settings: Arc<Settings>) {
        let target = &settings.target;
        let schedule =
            Schedule::new(&target.labels, &target.url, self.shared.server_seed, target.interval);
        if self.schedule != Some(schedule) {
            let now = self.shared.clock.now();
            self.tick = if self.schedule.is_none() {
                schedule.first(now)
            } else {
                schedule.tick_after(now)
            };
            self.schedule = Some(schedule);
            self.started_before = None;
        }
        let before = self.settings.as_ref().map(|before| &before.job);
        if before
            .is_none_or(|before| before.extra_scrape_metrics != settings.job.extra_scrape_metrics)
        {
            let report = Report::new(&target.labels, settings.job.extra_scrape_metrics);
            self.memory.get_or_insert_default().report = report;
        }
        if before.is_some_and(|before| !same_mapping(before, &settings.job)) {
            self.memory.get_or_insert_default().cache.forget_lines();
        }
        self.asking = Asking::new(&self.shared, &settings);
        self.settings = Some(settings);
    }

    /// Waits for the tick and scrapes. `false` once nobody gives orders any more.
    async fn turn(&mut self, orders: &Hearing) -> bool {
        let (Some(settings), Some(schedule)) = (self.settings.clone(), self.schedule) else {
            return false;
        };
        let clock = self.shared.clock.clone();
        let wait = self.tick.since(clock.now());
        tokio::select! {
            biased;
            goes_on = orders.changed() => return goes_on,
            () = clock.sleep(wait) => {}
        }
        let started = clock.elapsed();
        if let Some(before) = self.started_before.replace(started) {
            self.shared.lengths.observe(settings.target.interval, started - before);
        }
        let ts = schedule.snapped(self.tick, clock.now());
        let answer = tokio::select! {
            biased;
            // New settings wait for the scrape under way; an end does not.
            goes_on = orders.ended() => return goes_on,
            answer = fetch(&self.shared, &settings, &mut self.asking) => answer,
        };
        self.take_in(settings, answer, ts, started).await;
        self.tick = schedule.next(self.tick, clock.now());
        true
    }

    /// Parses and commits.
    async fn take_in(
        &mut self,
        settings: Arc<Settings>,
        answer: Result<Answer, Failure>,
        ts: Timestamp,
        started: Duration,
    ) {
        let mut memory = self.memory.take().unwrap_or_default();
        let shared = Arc::clone(&self.shared);
        let view = Arc::clone(&self.view);
        let is_short = is_short(&answer);
        let work = move || {
            let done = Scrape { shared: &shared, settings: &settings, ts, started }
                .run(&mut memory, answer);
            {
                let mut view = lock(&view);
                done.show(&settings, &mut view);
                view.heard.clone_from(&memory.cache.heard);
            }
            if done.committed {
                (shared.on_commit)();
            }
            memory
        };
        let done = if is_short {
            tasks::guarded("scrape", work)
        } else {
            // The semaphore is never closed.
            let _permit = self.shared.parsing.acquire().await;
            let work = || tasks::guarded("scrape", work);
            tokio::task::spawn_blocking(work).await.ok().flatten()
        };
        match done {
            Some(memory) => self.memory = Some(memory),
            // The cache is lost with its series' staleness; scraping goes on.
            None => self.settings = None,
        }
    }

    /// T7: marks the ends after the next two missed scrapes, dated at the first of them. `true`
    /// when there may be more orders.
    async fn leave(&mut self, orders: &Hearing) -> bool {
        if let Some(schedule) = self.schedule {
            let clock = self.shared.clock.clone();
            let interval_ms = schedule.interval_ms();
            let missed = self.tick;
            let wait_ms = interval_ms.saturating_add(interval_ms / 10);
            let until = missed.plus_millis(wait_ms).since(clock.now());
            tokio::select! {
                biased;
                goes_on = orders.changed() => return goes_on,
                () = clock.sleep(until) => {}
            }
            let memory = self.memory.take().unwrap_or_default();
            let shared = Arc::clone(&self.shared);
            let work = tokio::task::spawn_blocking(move || mark_ends(&shared, &memory, missed));
            if let Err(panic) = work.await {
                tracing::error!(%panic, "marking the end of a target panicked");
            }
            self.schedule = None;
            self.settings = None;
        }
        self.has_left.store(true, Ordering::Release);
        orders.changed().await
    }
}

/// Whether it takes no longer to take an answer in than others may wait.
fn is_short(answer: &Result<Answer, Failure>) -> bool {
    match answer {
        Ok(Answer::Body(response)) => response.body.len() <= SHORT_BYTES_MAX,
        Ok(Answer::Local) => false,
        Ok(Answer::Families(_)) | Err(_) => true,
    }
}

/// Whether both jobs make the same series of the same line.
fn same_mapping(a: &ScrapeJob, b: &ScrapeJob) -> bool {
    a.honor_labels == b.honor_labels
        && a.metric_relabel == b.metric_relabel
        && a.validation == b.validation
        && a.limits == b.limits
        && a.extra_scrape_metrics == b.extra_scrape_metrics
}
