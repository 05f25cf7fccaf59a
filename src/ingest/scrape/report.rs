//! The series that a scrape writes about itself: `up` and its kin, with the target's labels only.

use crate::model::{Labels, METRIC_NAME, Timestamp, stale_nan};
use crate::storage::append::{AppendSample, SeriesRef};

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

    /// The samples that say `figures`.
    pub(super) fn samples(&self, figures: &Figures, ts: Timestamp) -> Vec<AppendSample> {
        let values = figures.values();
        self.with_values(values.into_iter(), ts)
    }

    /// The samples that mark the end of them all (T7).
    pub(super) fn ends(&self, ts: Timestamp) -> Vec<AppendSample> {
        self.with_values(std::iter::repeat(stale_nan()), ts)
    }

    /// Remembers what the store calls the series; `refs` are those of `samples`, in order.
    pub(super) fn learn(&mut self, refs: &[Option<SeriesRef>]) {
        for (known, found) in self.known.iter_mut().zip(refs) {
            *known = found.or(*known);
        }
    }

    fn with_values(&self, values: impl Iterator<Item = f64>, ts: Timestamp) -> Vec<AppendSample> {
        let series = self.labels.iter().zip(&self.known).zip(values);
        series
            .map(|((labels, known), value)| AppendSample {
                known: *known,
                labels: labels.clone(),
                ts,
                value,
            })
            .collect()
    }
}
