//! The life of one target: wait for the tick, fetch, take in, commit; and, once removed, the end.
//!
//! A target's state (cache, phase) lives in its task, so a reload only sends new settings and
//! nothing is lost. Parsing and committing run on blocking threads, at most a few at once.

use super::super::config::ScrapeJob;
use super::super::limits::SafetyLimits;
use super::super::target::Target;
use super::cache::SeriesCache;
use super::content;
use super::intake::{Intake, Rejected, Terms};
use super::meters::Meters;
use super::report::{Figures, Report};
use super::schedule::Schedule;
use super::source::LocalTarget;
use super::view::{Health, TargetView};
use crate::model::{Labels, Timestamp, stale_nan};
use crate::storage::append::{AppendSample, Commit, SeriesRef, SharedAppender};
use crate::sys::clock::SharedClock;
use crate::sys::http::{HttpClient, HttpError, Request, Response};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

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
    pub(super) parsing: Semaphore,
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

/// What a scrape brought.
enum Answer {
    Body(Response),
    Local,
}

/// Why there is nothing to take in.
struct Failure {
    text: String,
    too_large: bool,
}

/// What a target remembers between scrapes.
#[derive(Debug, Default)]
struct Memory {
    cache: SeriesCache,
    report: Report,
    /// Samples of the last scrape: room for the next.
    room: usize,
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
    memory: Box<Memory>,
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
            memory: Box::default(),
        }
    }

    /// Runs until told to stop.
    pub(super) async fn run(mut self, mut orders: watch::Receiver<Order>) {
        loop {
            let order = orders.borrow_and_update().clone();
            let goes_on = match order {
                Order::Stop => false,
                Order::Leave => self.leave(&mut orders).await,
                Order::Run(settings) => {
                    self.adopt(settings);
                    self.turn(&mut orders).await
                }
            };
            if !goes_on {
                return;
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
        }
        let before = self.settings.as_ref().map(|before| &before.job);
        if before
            .is_none_or(|before| before.extra_scrape_metrics != settings.job.extra_scrape_metrics)
        {
            self.memory.report = Report::new(&target.labels, settings.job.extra_scrape_metrics);
        }
        if before.is_some_and(|before| !same_mapping(before, &settings.job)) {
            self.memory.cache.forget_lines();
        }
        self.settings = Some(settings);
    }

    /// Waits for the tick and scrapes. `false` once nobody gives orders any more.
    async fn turn(&mut self, orders: &mut watch::Receiver<Order>) -> bool {
        let (Some(settings), Some(schedule)) = (self.settings.clone(), self.schedule) else {
            return false;
        };
        let clock = self.shared.clock.clone();
        let wait = self.tick.since(clock.now());
        tokio::select! {
            biased;
            changed = orders.changed() => return changed.is_ok(),
            () = clock.sleep(wait) => {}
        }
        let started = clock.elapsed();
        let ts = schedule.snapped(self.tick, clock.now());
        let answer = tokio::select! {
            biased;
            // New settings wait for the scrape under way; an end does not.
            ended = orders.wait_for(|order| !matches!(order, Order::Run(_))) => return ended.is_ok(),
            answer = fetch(&self.shared, &settings) => answer,
        };
        self.take_in(settings, answer, ts, started).await;
        self.tick = schedule.next(self.tick, clock.now());
        true
    }

    /// Parses and commits on a blocking thread.
    async fn take_in(
        &mut self,
        settings: Arc<Settings>,
        answer: Result<Answer, Failure>,
        ts: Timestamp,
        started: Duration,
    ) {
        // The semaphore is never closed.
        let _permit = self.shared.parsing.acquire().await;
        let mut memory = std::mem::take(&mut self.memory);
        let shared = Arc::clone(&self.shared);
        let view = Arc::clone(&self.view);
        let work = tokio::task::spawn_blocking(move || {
            let done = Scrape { shared: &shared, settings: &settings, ts, started }
                .run(&mut memory, answer);
            done.show(&settings, &mut view.lock().unwrap_or_else(PoisonError::into_inner));
            if done.committed {
                (shared.on_commit)();
            }
            memory
        });
        match work.await {
            Ok(memory) => self.memory = memory,
            Err(panic) => {
                // The cache is lost with its series' staleness; scraping goes on.
                tracing::error!(%panic, "a scrape panicked");
                self.settings = None;
            }
        }
    }

    /// T7: marks the ends after the next two missed scrapes, dated at the first of them. `true`
    /// when there may be more orders.
    async fn leave(&mut self, orders: &mut watch::Receiver<Order>) -> bool {
        if let Some(schedule) = self.schedule {
            let clock = self.shared.clock.clone();
            let interval_ms = schedule.interval_ms();
            let missed = self.tick;
            let wait_ms = interval_ms.saturating_add(interval_ms / 10);
            let until = missed.plus_millis(wait_ms).since(clock.now());
            tokio::select! {
                biased;
                changed = orders.changed() => return changed.is_ok(),
                () = clock.sleep(until) => {}
            }
            let memory = std::mem::take(&mut self.memory);
            let shared = Arc::clone(&self.shared);
            let work = tokio::task::spawn_blocking(move || mark_ends(&shared, &memory, missed));
            if let Err(panic) = work.await {
                tracing::error!(%panic, "marking the end of a target panicked");
            }
            self.schedule = None;
            self.settings = None;
        }
        self.has_left.store(true, Ordering::Release);
        orders.changed().await.is_ok()
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

async fn fetch(shared: &Shared, settings: &Settings) -> Result<Answer, Failure> {
    let failure = |text: String| Failure { text, too_large: false };
    let client = match &settings.source {
        Source::Local(_) => return Ok(Answer::Local),
        Source::Broken(text) => return Err(failure(text.clone())),
        Source::Http(client) => client,
    };
    let url = &settings.target.url;
    let response = tokio::select! {
        biased;
        response = client.send(request(shared, settings)) => response,
        () = shared.clock.sleep(settings.target.timeout) => Err(HttpError::Timeout),
    };
    let response = response.map_err(|err| Failure {
        too_large: matches!(err, HttpError::TooLarge { .. }),
        text: match &err {
            HttpError::TooLarge { .. } => too_large(shared, settings),
            _ => format!("Get {url:?}: {err}"),
        },
    })?;
    if response.status != 200 {
        let words = content::status_words(response.status);
        return Err(failure(format!("server returned HTTP status {words}")));
    }
    Ok(Answer::Body(response))
}

fn too_large(shared: &Shared, settings: &Settings) -> String {
    let safety = shared.safety.body_bytes_max;
    match usize::try_from(settings.job.limits.body_bytes).unwrap_or(usize::MAX) {
        own if own > 0 && own <= safety => format!("body size limit exceeded: limit {own} bytes"),
        _ => format!(
            "body size limit exceeded: safety limit {safety} bytes (--scrape.max-body-bytes)"
        ),
    }
}

fn request(shared: &Shared, settings: &Settings) -> Request {
    let (job, target) = (&settings.job, &settings.target);
    // A target on this host is not asked to compress: inflating is half of a scrape's cost.
    let encoding = if job.compression && !target.is_local { "gzip" } else { "identity" };
    let headers = [
        ("Accept", content::accept(&job.protocols, job.escaping)),
        ("Accept-Encoding", encoding.to_owned()),
        ("User-Agent", shared.user_agent.clone()),
        ("X-Prometheus-Scrape-Timeout-Seconds", target.timeout.as_secs_f64().to_string()),
    ];
    // T9: a body as long as the limit is already too long.
    let own = usize::try_from(job.limits.body_bytes).unwrap_or(usize::MAX);
    let own = if own == 0 { usize::MAX } else { own - 1 };
    let mut request = Request::get(&target.url);
    request.headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    request.timeout = target.timeout;
    request.body_bytes_max = own.min(shared.safety.body_bytes_max);
    request.unix_socket.clone_from(&target.unix_socket);
    request
}

/// One scrape, after its answer.
struct Scrape<'a> {
    shared: &'a Shared,
    settings: &'a Settings,
    ts: Timestamp,
    started: Duration,
}

/// What came of it.
struct Done {
    ts: Timestamp,
    figures: Figures,
    error: String,
    notes: Vec<String>,
    committed: bool,
}

impl Scrape<'_> {
    fn run(&self, memory: &mut Memory, answer: Result<Answer, Failure>) -> Done {
        memory.cache.begin();
        let own_series = memory.report.labels().to_vec();
        let target = &self.settings.target;
        let terms = Terms {
            job: &self.settings.job,
            safety: &self.shared.safety,
            target: &target.labels,
            own_series: &own_series,
        };
        let mut intake = Intake::new(terms, &mut memory.cache, self.ts, memory.room);
        let mut figures = Figures {
            timeout_seconds: target.timeout.as_secs_f64(),
            sample_limit: self.settings.job.limits.samples,
            ..Figures::default()
        };
        let taken = match answer {
            Ok(answer) => {
                figures.body_bytes = body_bytes(&answer);
                self.intake(&mut intake, &answer)
            }
            Err(failure) => {
                figures.body_bytes = if failure.too_large { -1.0 } else { 0.0 };
                if failure.too_large {
                    self.shared.meters.over_body_limit.inc();
                }
                Err(Rejected::Other(failure.text))
            }
        };
        (figures.scraped, figures.kept) = (intake.scraped, intake.kept);
        self.shared.meters.duplicates.add(count(intake.duplicates));
        let notes = std::mem::take(&mut intake.notes);
        let (samples, places) = (intake.samples, intake.places);
        figures.added = memory.cache.added();
        match taken {
            Ok(()) => {
                memory.room = samples.len() + own_series.len();
                self.write(memory, samples, &places, figures, notes)
            }
            Err(rejected) => {
                // What was collected goes first: it may be large.
                drop(samples);
                self.write_failed(memory, &rejected, figures, notes)
            }
        }
    }

    fn intake(&self, intake: &mut Intake<'_>, answer: &Answer) -> Result<(), Rejected> {
        match (answer, &self.settings.source) {
            (Answer::Body(response), _) => {
                let header = response.header("content-type");
                let format = content::format_of(header, self.settings.job.fallback)
                    .map_err(Rejected::Other)?;
                intake.body(&response.body, format, response.length_known)
            }
            (Answer::Local, Source::Local(local)) => intake.families(&local.gather()),
            (Answer::Local, Source::Http(_) | Source::Broken(_)) => {
                Err(Rejected::Other("the target is not in this process".to_owned()))
            }
        }
    }

    /// One commit: the samples, the ends of series that are gone, and what the scrape says about
    /// itself.
    fn write(
        &self,
        memory: &mut Memory,
        mut samples: Vec<AppendSample>,
        places: &[u32],
        mut figures: Figures,
        notes: Vec<String>,
    ) -> Done {
        samples.extend(memory.cache.ended().map(|series| end(series, self.ts)));
        let report_at = samples.len();
        figures.up = true;
        figures.duration_seconds = self.seconds_since_start();
        samples.extend(memory.report.samples(&figures, self.ts));
        let commit = Commit { samples, metadata: memory.cache.news(), any_age: false };
        match self.shared.appender.commit(&commit) {
            Ok(committed) => {
                self.shared.meters.refused(&committed);
                memory.cache.succeeded();
                for (id, known) in places.iter().zip(&committed.refs) {
                    if let Some(known) = known {
                        memory.cache.set_known(*id, *known);
                    }
                }
                for (place, _) in &committed.refused {
                    if let Some(id) = places.get(*place) {
                        memory.cache.refused(*id);
                    }
                }
                memory.report.learn(committed.refs.get(report_at..).unwrap_or_default());
                Done { ts: self.ts, figures, error: String::new(), notes, committed: true }
            }
            Err(err) => {
                memory.cache.abandoned();
                figures.up = false;
                Done { ts: self.ts, figures, error: err.to_string(), notes, committed: false }
            }
        }
    }

    /// T2: nothing of the scrape stays; the ends of all series and `up` 0 are written.
    fn write_failed(
        &self,
        memory: &mut Memory,
        rejected: &Rejected,
        mut figures: Figures,
        notes: Vec<String>,
    ) -> Done {
        match rejected {
            Rejected::Samples(_) => self.shared.meters.over_sample_limit.inc(),
            Rejected::Labels(_) => self.shared.meters.over_label_limit.inc(),
            Rejected::Other(_) => {}
        }
        let mut samples: Vec<AppendSample> =
            memory.cache.all_live().map(|series| end(series, self.ts)).collect();
        let report_at = samples.len();
        figures.duration_seconds = self.seconds_since_start();
        samples.extend(memory.report.samples(&figures, self.ts));
        let commit = Commit { samples, ..Commit::default() };
        let mut error = rejected.text().to_owned();
        let written = self.shared.appender.commit(&commit);
        match &written {
            Ok(committed) => {
                self.shared.meters.refused(committed);
                memory.report.learn(committed.refs.get(report_at..).unwrap_or_default());
                memory.cache.failed();
            }
            Err(err) => {
                memory.cache.abandoned();
                error = format!("{error}; {err}");
            }
        }
        Done { ts: self.ts, figures, error, notes, committed: written.is_ok() }
    }

    fn seconds_since_start(&self) -> f64 {
        self.shared.clock.elapsed().saturating_sub(self.started).as_secs_f64()
    }
}

impl Done {
    fn show(&self, settings: &Settings, view: &mut TargetView) {
        let health = if self.error.is_empty() { Health::Up } else { Health::Down };
        if view.health != health {
            view.since = Some(self.ts);
        }
        view.health = health;
        view.last_error.clone_from(&self.error);
        view.last_scrape = Some(self.ts);
        view.last_scrape_duration = Duration::from_secs_f64(self.figures.duration_seconds);
        view.samples = self.figures.scraped;
        // A note comes with the first sight of a line, so it stays until the settings change.
        for note in &self.notes {
            if !view.notes.contains(note) && view.notes.len() < super::super::limits::NOTES_MAX {
                view.notes.push(note.clone());
            }
        }
        if !self.error.is_empty() {
            let (job, url) = (&settings.job.name, &settings.target.url);
            tracing::debug!(%job, %url, error = %self.error, "scrape failed");
        }
    }
}

/// T7: a removed target's series end at the first scrape that was missed.
fn mark_ends(shared: &Shared, memory: &Memory, missed: Timestamp) {
    let mut samples: Vec<AppendSample> =
        memory.cache.all_live().map(|series| end(series, missed)).collect();
    samples.extend(memory.report.ends(missed));
    match shared.appender.commit(&Commit { samples, ..Commit::default() }) {
        // Where the series went on elsewhere its marker is out of order, and rightly refused.
        Ok(_) => (shared.on_commit)(),
        Err(err) => tracing::warn!(%err, "cannot mark the ends of a removed target's series"),
    }
}

fn end((labels, known): (&Labels, Option<SeriesRef>), ts: Timestamp) -> AppendSample {
    AppendSample { known, labels: labels.clone(), ts, value: stale_nan() }
}

fn body_bytes(answer: &Answer) -> f64 {
    match answer {
        Answer::Body(response) => count(u64::try_from(response.body.len()).unwrap_or(u64::MAX)),
        Answer::Local => 0.0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "limits hold the counts far below 2^52")]
fn count(number: u64) -> f64 {
    number as f64
}
