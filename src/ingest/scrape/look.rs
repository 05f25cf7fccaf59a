//! One scrape whose samples are shown and not stored: asked, read, limited and relabelled as any
//! other.

use super::super::config::ScrapeJob;
use super::super::limits::SafetyLimits;
use super::super::target::Target;
use super::cache::SeriesCache;
use super::content;
use super::fetch::request;
use super::intake::{Intake, Rejected, Terms};
use crate::exposition::Media;
use crate::model::{Exemplar, Labels, Timestamp};
use crate::storage::append::Commit;
use crate::sys::clock::Clock;
use crate::sys::http::{HttpClient, HttpError, Response};
use std::time::Duration;

/// What is looked at, and how.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The settings of its scrapes.
    pub job: &'a ScrapeJob,
    /// The target.
    pub target: &'a Target,
    /// What it may bring.
    pub safety: &'a SafetyLimits,
    /// The header `User-Agent`.
    pub user_agent: &'a str,
}

/// What came of a look.
#[derive(Clone, Debug)]
pub struct Look {
    /// Headers that were sent, without those that the client's settings add.
    pub request: Vec<(String, String)>,
    /// How long the answer took, to its last byte.
    pub fetched_in: Duration,
    /// How long it took to read it.
    pub read_in: Duration,
    /// The answer, of any status.
    pub response: Option<Response>,
    /// What the answer is, where it is one that can be read.
    pub media: Option<Media>,
    /// Why a scrape would have failed.
    pub error: Option<String>,
    /// Samples before relabelling.
    pub scraped: u64,
    /// What would have been stored, in the order of the body, as far as it was read.
    pub samples: Vec<LookSample>,
    /// What was noticed and does not stop a scrape.
    pub notes: Vec<String>,
}

/// A sample that would have been stored.
#[derive(Clone, Debug, PartialEq)]
pub struct LookSample {
    /// Its series.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
    /// Its own time, where it has one and the job honours it.
    pub ts: Option<Timestamp>,
    /// Its exemplar.
    pub exemplar: Option<Exemplar>,
}

/// Scrapes once, and stores nothing.
pub async fn look(client: &dyn HttpClient, clock: &dyn Clock, subject: Subject<'_>) -> Look {
    let request = request(subject.job, subject.target, subject.safety, subject.user_agent);
    let mut look = Look {
        request: request.headers.clone(),
        fetched_in: Duration::ZERO,
        read_in: Duration::ZERO,
        response: None,
        media: None,
        error: None,
        scraped: 0,
        samples: Vec::new(),
        notes: Vec::new(),
    };
    let started = clock.elapsed();
    let response = tokio::select! {
        biased;
        response = client.send(request) => response,
        () = clock.sleep(subject.target.timeout) => Err(HttpError::Timeout),
    };
    look.fetched_in = clock.elapsed().saturating_sub(started);
    let response = match response {
        Ok(response) => response,
        Err(err) => {
            look.error = Some(err.to_string());
            return look;
        }
    };
    if response.status == 200 {
        let started = clock.elapsed();
        look.error = look.read(&subject, &response, clock.now()).err();
        look.read_in = clock.elapsed().saturating_sub(started);
    } else {
        let words = content::status_words(response.status);
        look.error = Some(format!("server returned HTTP status {words}"));
    }
    look.response = Some(response);
    look
}

impl Look {
    fn read(
        &mut self,
        subject: &Subject<'_>,
        response: &Response,
        now: Timestamp,
    ) -> Result<(), String> {
        let header = response.header("content-type");
        let media = content::media_of(header, subject.job.fallback)?;
        self.media = Some(media);
        let terms = Terms {
            job: subject.job,
            safety: subject.safety,
            target: &subject.target.labels,
            own_series: &[],
        };
        let mut cache = SeriesCache::default();
        cache.begin();
        let mut intake = Intake::new(terms, &mut cache, now, Vec::new());
        let taken = intake.body(&response.body, media, response.length_known);
        self.scraped = intake.scraped;
        self.notes = std::mem::take(&mut intake.notes);
        self.samples = samples(intake.commit, now);
        taken.map_err(|rejected: Rejected| rejected.text().to_owned())
    }
}

fn samples(commit: Commit, now: Timestamp) -> Vec<LookSample> {
    let mut exemplars = commit.exemplars.iter().peekable();
    let rows = commit.samples.iter().enumerate();
    let row = |(place, sample): (usize, &crate::storage::append::AppendSample)| {
        // They come in the order of the samples that they belong to.
        let exemplar = exemplars.next_if(|one| one.series == sample.series);
        Some(LookSample {
            labels: commit.labels_at(place)?.clone(),
            value: sample.value,
            ts: Some(sample.ts).filter(|ts| *ts != now),
            exemplar: exemplar.map(|one| one.exemplar.clone()),
        })
    };
    rows.filter_map(row).collect()
}
