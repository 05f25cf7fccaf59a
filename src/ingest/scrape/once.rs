//! One scrape after its answer: taken in, committed as a whole, remembered, shown.

use super::cache::SeriesCache;
use super::content;
use super::fetch::{Answer, Failure};
use super::intake::{Intake, Rejected, Terms};
use super::report::{Figures, Report};
use super::view::{Health, TargetView};
use super::worker::{Settings, Shared, Source};
use crate::model::{Timestamp, stale_nan};
use crate::storage::append::{AppendError, AppendSample, Commit, SeriesKey, SeriesRef};
use std::time::Duration;

/// What a target remembers between scrapes.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) cache: SeriesCache,
    pub(super) report: Report,
    /// Samples of the last scrape: room for the next.
    pub(super) room: usize,
}

/// One scrape, after its answer.
pub(super) struct Scrape<'a> {
    pub(super) shared: &'a Shared,
    pub(super) settings: &'a Settings,
    pub(super) ts: Timestamp,
    pub(super) started: Duration,
}

/// What came of it.
pub(super) struct Done {
    ts: Timestamp,
    figures: Figures,
    error: String,
    notes: Vec<String>,
    pub(super) committed: bool,
}

impl Scrape<'_> {
    /// Takes the answer in and commits.
    pub(super) fn run(&self, memory: &mut Memory, answer: Result<Answer, Failure>) -> Done {
        let mut figures = Figures {
            timeout_seconds: self.settings.target.timeout.as_secs_f64(),
            sample_limit: self.settings.job.limits.samples,
            ..Figures::default()
        };
        match answer {
            Ok(answer) => {
                figures.body_bytes = body_bytes(&answer);
                let done = match self.take(memory, &answer, figures) {
                    Err(Again) => {
                        // Series have left the head since the last scrape: by labels, then.
                        memory.cache.forget_lines();
                        memory.report.forget();
                        let error = || Done::lost(self.ts, figures);
                        self.take(memory, &answer, figures).unwrap_or_else(|Again| error())
                    }
                    Ok(done) => done,
                };
                if let Answer::Body(response) = answer {
                    self.shared.rooms.body_done(response.body);
                }
                done
            }
            Err(failure) => {
                memory.cache.begin();
                figures.body_bytes = if failure.too_large { -1.0 } else { 0.0 };
                if failure.too_large {
                    self.shared.meters.over_body_limit.inc();
                }
                self.write_failed(memory, &Rejected::Other(failure.text), figures, Vec::new())
            }
        }
    }

    fn take(&self, memory: &mut Memory, answer: &Answer, figures: Figures) -> Result<Done, Again> {
        memory.cache.begin();
        let own_series = memory.report.labels();
        let own_samples = own_series.len();
        let terms = Terms {
            job: &self.settings.job,
            safety: &self.shared.safety,
            target: &self.settings.target.labels,
            own_series,
        };
        let samples = self.shared.rooms.samples(memory.room);
        let mut intake = Intake::new(terms, &mut memory.cache, self.ts, samples);
        let taken = self.intake(&mut intake, answer);
        let mut figures = figures;
        (figures.scraped, figures.kept) = (intake.scraped, intake.kept);
        let notes = std::mem::take(&mut intake.notes);
        if intake.native > 0 {
            self.shared.meters.native_skipped(&self.settings.job.name, intake.native);
        }
        let commit = intake.commit;
        figures.added = memory.cache.added() as u64;
        match taken {
            Ok(()) => {
                memory.room = commit.samples.len() + own_samples;
                self.write(memory, commit, figures, notes)
            }
            Err(rejected) => {
                // What was collected goes first: it may be large.
                drop(commit);
                Ok(self.write_failed(memory, &rejected, figures, notes))
            }
        }
    }

    fn intake(&self, intake: &mut Intake<'_>, answer: &Answer) -> Result<(), Rejected> {
        match (answer, &self.settings.source) {
            (Answer::Body(response), _) => {
                let header = response.header("content-type");
                let media = content::media_of(header, self.settings.job.fallback)
                    .map_err(Rejected::Other)?;
                intake.body(&response.body, media, response.length_known)
            }
            (Answer::Local, Source::Local(local)) => intake.families(&local.gather()),
            (Answer::Families(families), _) => intake.families(families),
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
        mut commit: Commit,
        mut figures: Figures,
        notes: Vec<String>,
    ) -> Result<Done, Again> {
        let own_samples = commit.samples.len();
        let missing = self.missing(memory, &commit);
        commit.samples.extend(missing.into_iter().map(|series| end(series, self.ts)));
        figures.up = true;
        figures.duration_seconds = self.seconds_since_start();
        let report_at = memory.report.put(&mut commit, &figures, self.ts);
        commit.metadata = memory.cache.news();
        let committed = self.shared.appender.commit(&commit);
        self.shared.rooms.samples_done(std::mem::take(&mut commit.samples));
        match committed {
            Ok(committed) => {
                self.shared.meters.refused(&committed);
                let refused = committed.refused.iter().map(|(place, _)| *place);
                let refused: Vec<usize> = refused.filter(|place| *place < own_samples).collect();
                memory.cache.succeeded(&committed.refs, &refused);
                memory.report.learn(&committed, report_at);
                let error = String::new();
                Ok(Done { ts: self.ts, figures, error, notes, committed: true })
            }
            Err(AppendError::Stale) => {
                memory.cache.abandoned();
                Err(Again)
            }
            Err(err) => {
                memory.cache.abandoned();
                figures.up = false;
                let error = err.to_string();
                Ok(Done { ts: self.ts, figures, error, notes, committed: false })
            }
        }
    }

    /// T5: the series that are gone. A line that changed may lead to the same series as before.
    fn missing(&self, memory: &Memory, commit: &Commit) -> Vec<SeriesRef> {
        let mut missing = memory.cache.missing();
        if !missing.is_empty() && !commit.labels.is_empty() {
            let here = self.shared.appender.find(&commit.labels);
            missing.retain(|series| !here.contains(&Some(*series)));
        }
        missing
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
        figures.duration_seconds = self.seconds_since_start();
        let mut error = rejected.text().to_owned();
        let write = |report: &mut Report| {
            let ends = memory.cache.all_live().into_iter().map(|series| end(series, self.ts));
            let mut commit = Commit { samples: ends.collect(), ..Commit::default() };
            let report_at = report.put(&mut commit, &figures, self.ts);
            let committed = self.shared.appender.commit(&commit)?;
            report.learn(&committed, report_at);
            Ok::<_, AppendError>(committed)
        };
        let mut written = write(&mut memory.report);
        if matches!(written, Err(AppendError::Stale)) {
            memory.report.forget();
            written = write(&mut memory.report);
        }
        match &written {
            Ok(committed) => {
                self.shared.meters.refused(committed);
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

/// The store has forgotten a series that the target's memory knows by reference.
struct Again;

impl Done {
    /// The store forgot series twice in one scrape, which only a cut in between explains.
    fn lost(ts: Timestamp, figures: Figures) -> Self {
        let error = AppendError::Stale.to_string();
        Self { ts, figures, error, notes: Vec::new(), committed: false }
    }

    /// Puts what others may see into `view`.
    pub(super) fn show(&self, settings: &Settings, view: &mut TargetView) {
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
pub(super) fn mark_ends(shared: &Shared, memory: &Memory, missed: Timestamp) {
    let ends = memory.cache.all_live().into_iter().map(|series| end(series, missed));
    let mut commit = Commit { samples: ends.collect(), in_order_only: true, ..Commit::default() };
    memory.report.put_ends(&mut commit, missed);
    if commit.samples.is_empty() {
        return;
    }
    match shared.appender.commit(&commit) {
        // Where the series went on elsewhere its marker is out of order, and rightly refused.
        Ok(_) => (shared.on_commit)(),
        Err(err) => tracing::warn!(%err, "cannot mark the ends of a removed target's series"),
    }
}

fn end(series: SeriesRef, ts: Timestamp) -> AppendSample {
    AppendSample { series: SeriesKey::Known(series), ts, value: stale_nan() }
}

fn body_bytes(answer: &Answer) -> f64 {
    match answer {
        Answer::Body(response) => count(u64::try_from(response.body.len()).unwrap_or(u64::MAX)),
        Answer::Local | Answer::Families(_) => 0.0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "limits hold the counts far below 2^52")]
fn count(number: u64) -> f64 {
    number as f64
}
