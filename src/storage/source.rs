//! How readers read: a query asks a `Source` for series and decodes their samples into columns.

use crate::model::{Labels, Matcher, TimeRange, is_stale_nan};
use std::fmt;
use std::sync::Arc;

/// Why a read failed as a whole. A damaged chunk is a warning of the set instead.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The store cannot be read.
    #[error("cannot read the store: {0}")]
    Read(String),
    /// The caller has gone away or its time is over.
    #[error("the read was canceled")]
    Canceled,
    /// More series match than the caller's budget allows.
    #[error("the query selects more than {limit} series; add matchers or raise the limit")]
    TooManySeries {
        /// The budget.
        limit: usize,
    },
}

/// Timestamps and values of one series, in order of time, in reusable buffers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns {
    /// Milliseconds since the epoch, rising.
    pub ts: Vec<i64>,
    /// Values; staleness markers are among them.
    pub values: Vec<f64>,
    /// When each sample's counter started, 0 where that is unknown. Empty when no sample of the
    /// series knows, which is the usual case; else of the length of the others.
    pub starts: Vec<i64>,
    /// What is known of those that were appended last.
    pub known: Known,
}

/// What a store may know of the samples that it appended last, without looking at each. Saying
/// nothing is never wrong; whoever changes the columns sees to it that this stays true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Milliseconds between each two neighbours, where that is the same all along.
    pub step: Option<i64>,
    /// Whether no value is a staleness marker.
    pub has_no_markers: bool,
}

impl Known {
    /// Whether it is true of all samples from `start` on, by looking at each.
    pub fn is_true_of(&self, columns: &Columns, start: usize) -> bool {
        let ts = columns.ts.get(start..).unwrap_or_default();
        let mut values = columns.values.iter().skip(start);
        let pairs = || ts.iter().zip(ts.iter().skip(1));
        let is_even = |step: i64| pairs().all(|(a, b)| b.checked_sub(*a) == Some(step));
        self.step.is_none_or(is_even)
            && !(self.has_no_markers && values.any(|value| is_stale_nan(*value)))
    }

    /// What is known of samples and of those behind them together, which begin so many
    /// milliseconds after the last one.
    #[must_use]
    pub fn followed_by(self, next: Self, gap: i64) -> Self {
        Self {
            step: self.step.filter(|step| *step == gap && next.step == Some(*step)),
            has_no_markers: self.has_no_markers && next.has_no_markers,
        }
    }
}

impl Columns {
    /// Empties the columns and keeps their memory.
    pub fn clear(&mut self) {
        self.ts.clear();
        self.values.clear();
        self.starts.clear();
        self.known = Known::default();
    }

    /// Adds one sample of a series without start times.
    pub fn push(&mut self, ts: i64, value: f64) {
        self.known = Known::default();
        self.ts.push(ts);
        self.values.push(value);
    }

    /// What is known of all samples from `start` on, when `known` is of those from `middle` on and
    /// `before` of the others.
    pub fn known_from(&self, start: usize, before: Known, middle: usize) -> Known {
        if middle == start {
            return self.known;
        }
        let last = middle.checked_sub(1).and_then(|last| self.ts.get(last));
        match last.zip(self.ts.get(middle)) {
            Some((last, first)) => before.followed_by(self.known, first.saturating_sub(*last)),
            None => before,
        }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.ts.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.ts.is_empty()
    }
}

/// What a selection of so many series keeps of the store's files at most, in bytes, until all its
/// series are dropped: 2 KiB a series, and 64 KiB to 8 MiB in all.
pub fn selection_bytes(series: usize) -> usize {
    series.saturating_mul(2 << 10).clamp(64 << 10, 8 << 20)
}

/// The samples of all series of a selection. Reading again starts again.
pub trait SelectedSamples: Send + Sync {
    /// As `SelectedSeries::read`, of the series with this number in the selection.
    ///
    /// # Errors
    /// The store cannot be read at all.
    fn read(
        &self,
        number: usize,
        range: TimeRange,
        out: &mut Columns,
    ) -> Result<Vec<String>, SourceError>;
}

/// One selected series.
#[derive(Clone)]
pub struct SelectedSeries {
    /// Its labels, with the metric's name.
    pub labels: Labels,
    samples: Arc<dyn SelectedSamples>,
    number: usize,
}

impl SelectedSeries {
    /// The series with this number in a selection.
    pub const fn new(labels: Labels, samples: Arc<dyn SelectedSamples>, number: usize) -> Self {
        Self { labels, samples, number }
    }

    /// Appends the samples with `range.from() <= ts <= range.to()` to `out`, in order of time,
    /// one a timestamp; returns what could not be read, as warnings.
    ///
    /// # Errors
    /// The store cannot be read at all.
    pub fn read(&self, range: TimeRange, out: &mut Columns) -> Result<Vec<String>, SourceError> {
        self.samples.read(self.number, range, out)
    }
}

impl fmt::Debug for SelectedSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectedSeries").field("labels", &self.labels).finish_non_exhaustive()
    }
}

/// What a selection found.
#[derive(Clone, Debug, Default)]
pub struct SeriesSet {
    /// The series, sorted by labels, each once.
    pub series: Vec<SelectedSeries>,
    /// What may be missing.
    pub warnings: Vec<String>,
}

/// By what series are counted: by these labels, or by all but these and the name.
#[derive(Clone, Copy, Debug)]
pub struct CountBy<'a> {
    /// Names of labels.
    pub labels: &'a [String],
    /// Whether these are the ones that do not count.
    pub without: bool,
}

/// A store as readers see it. Methods block.
pub trait Source: Send + Sync + fmt::Debug {
    /// Series that match all of `matchers` and may have samples in `range`.
    ///
    /// At most `series_max` series, else `SourceError::TooManySeries`.
    ///
    /// # Errors
    /// See `SourceError`.
    fn select(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
        series_max: usize,
    ) -> Result<SeriesSet, SourceError>;

    /// Counts, of series that match all of `matchers`, those whose newest sample in `range` is no
    /// staleness marker: the labels of each group and its count, in no order. `None` when that is
    /// not faster than to select and read them.
    ///
    /// At most `series_max` series, else `SourceError::TooManySeries`.
    ///
    /// # Errors
    /// See `SourceError`.
    fn count(
        &self,
        _range: TimeRange,
        _matchers: &[Matcher],
        _by: CountBy<'_>,
        _series_max: usize,
    ) -> Result<Option<Vec<(Labels, u64)>>, SourceError> {
        Ok(None)
    }

    /// Label sets of series that match all of `matchers`, sorted; samples are not read.
    ///
    /// # Errors
    /// See `SourceError`.
    fn series(&self, range: TimeRange, matchers: &[Matcher]) -> Result<Vec<Labels>, SourceError>;

    /// Label names of series that match all of `matchers`, sorted.
    ///
    /// # Errors
    /// See `SourceError`.
    fn label_names(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
    ) -> Result<Vec<String>, SourceError>;

    /// Values of the label `name` on series that match all of `matchers`, sorted.
    ///
    /// # Errors
    /// See `SourceError`.
    fn label_values(
        &self,
        name: &str,
        range: TimeRange,
        matchers: &[Matcher],
    ) -> Result<Vec<String>, SourceError>;
}
