//! One scrape after its answer: taken in, committed as a whole, remembered, shown.

use super::cache::SeriesCache;
use super::content;
use super::fetch::{Answer, Failure};
use super::intake::{Intake, Rejected, Terms};
use super::report::{Figures, Report};
use super::view::{Health, TargetView};
use super::worker::{Settings, Shared, Source};
use crate::model::{Labels, Timestamp, stale_nan};
use crate::storage::append::{AppendSample, Commit, SeriesRef};
use std::time::Duration;

/// What a target remembers between scrapes.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) cache: SeriesCache,
    pub(super) report: Report,
    /// Samples of the last scrape: room for the next.
    room: usize,
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
