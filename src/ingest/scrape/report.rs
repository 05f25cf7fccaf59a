//! The series that a scrape writes about itself: `up` and its kin, with the target's labels only.

use crate::model::{Labels, METRIC_NAME, Timestamp, stale_nan};
use crate::storage::append::{AppendSample, Commit, Committed, SeriesKey, SeriesRef};

const NAMES: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

const EXTRA_NAMES: [&str; 3] =
    ["scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"];

/// What a scrape says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) up: bool,
    pub(super) duration_seconds: f64,
    pub(super) scraped: u64,
    pub(super) kept: u64,
    pub(super) added: u64,
    pub(super) timeout_seconds: f64,
    pub(super) sample_limit: u64,
    /// -1 when the body was too big, 0 when there was none for another reason.
    pub(super) body_bytes: f64,
}

impl Figures {
    #[expect(clippy::cast_precision_loss, reason = "limits hold the counts far below 2^52")]
    fn values(&self) -> [f64; 8] {
        [
            f64::from(u8::from(self.up)),
            self.duration_seconds,
            self.scraped as f64,
            self.kept as f64,
            self.added as f64,
            self.timeout_seconds,
            self.sample_limit as f64,
            self.body_bytes,
        ]
    }
}

/// The synthetic series of one target.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    labels: Vec<Labels>,
    known: Vec<Option<SeriesRef>>,
}

impl Report {
    /// The series of a target with these labels.
    pub(super) fn new(target: &Labels, extra: bool) -> Self {
        let extra = if extra { &EXTRA_NAMES[..] } else { &[] };
        let named = |name: &&str| target.to_builder().set(METRIC_NAME, *name).build();
        let labels: Vec<Labels> = NAMES.iter().chain(extra).map(named).collect();
        let known = vec![None; labels.len()];
        Self { labels, known }
    }

    /// The labels of all of them.
    pub(super) fn labels(&self) -> &[Labels] {
        &self.labels
    }

    /// Adds the samples that say `figures`; answers where their labels begin, for `learn`.
    pub(super) fn put(&self, commit: &mut Commit, figures: &Figures, ts: Timestamp) -> usize {
        let labels_at = commit.labels.len();
        for ((labels, known), value) in self.labels.iter().zip(&self.known).zip(figures.values()) {
            let series = known.map_or_else(|| commit.name(labels.clone()), SeriesKey::Known);
            commit.samples.push(AppendSample { series, ts, value });
        }
        labels_at
    }

    /// Adds the samples that mark the end of those that were ever written (T7).
    pub(super) fn put_ends(&self, commit: &mut Commit, ts: Timestamp) {
        let known = self.known.iter().flatten();
        let end = |known: &SeriesRef| AppendSample {
            series: SeriesKey::Known(*known),
            ts,
            value: stale_nan(),
        };
        commit.samples.extend(known.map(end));
    }

    /// Remembers what the store calls the series.
    pub(super) fn learn(&mut self, committed: &Committed, labels_at: usize) {
        let refs = committed.refs.get(labels_at..).unwrap_or_default();
        let unknown = self.known.iter_mut().filter(|known| known.is_none());
        for (known, found) in unknown.zip(refs) {
            *known = *found;
        }
    }

    /// Forgets what the store calls the series.
    pub(super) fn forget(&mut self) {
        self.known.fill(None);
    }
}
