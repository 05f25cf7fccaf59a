//! How writers write: a commit holds all samples of one scrape, push or evaluation, and becomes
//! visible and durable as a whole or not at all.

use crate::model::{Exemplar, Labels, Metadata, Timestamp};
use std::fmt;
use std::sync::Arc;

/// A series that the store knows, remembered between commits so that labels are looked up once.
///
/// It may go out of date when the series leaves the head; see `AppendError::Stale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesRef(u64);

impl SeriesRef {
    /// The reference with this number; only the store makes them.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// Which series a sample belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesKey {
    /// The one of an earlier commit's answer.
    Known(SeriesRef),
    /// The one with the labels at this place of `Commit::labels`.
    New(u32),
}

/// One sample of a commit.
#[derive(Clone, Copy, Debug)]
pub struct AppendSample {
    /// Whose it is.
    pub series: SeriesKey,
    /// When.
    pub ts: Timestamp,
    /// What; any bits.
    pub value: f64,
}

/// One exemplar of a commit. It is kept when its series is there once the commit is written.
#[derive(Clone, Debug)]
pub struct AppendExemplar {
    /// Whose it is.
    pub series: SeriesKey,
    /// What it says.
    pub exemplar: Exemplar,
}

/// All samples that become visible together.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Label sets that the sender has no reference for: each is looked up, or made with its first
    /// sample that is taken.
    pub labels: Vec<Labels>,
    /// The samples, at most one for a series and timestamp.
    pub samples: Vec<AppendSample>,
    /// What is said about metrics, by name.
    pub metadata: Vec<(String, Metadata)>,
    /// Exemplars, in order within a series; those that do not fit are only counted.
    pub exemplars: Vec<AppendExemplar>,
    /// Whether samples older than the newest of their series are refused even inside the
    /// out-of-order window: a marker of an end, which says nothing once the series went on.
    pub in_order_only: bool,
}

impl Commit {
    /// Samples of series that are known by their labels only.
    pub fn of(samples: impl IntoIterator<Item = (Labels, Timestamp, f64)>) -> Self {
        let mut commit = Self::default();
        for (labels, ts, value) in samples {
            let series = commit.name(labels);
            commit.samples.push(AppendSample { series, ts, value });
        }
        commit
    }

    /// The key for samples of a series with these labels.
    pub fn name(&mut self, labels: Labels) -> SeriesKey {
        self.labels.push(labels);
        SeriesKey::New(u32::try_from(self.labels.len() - 1).unwrap_or(u32::MAX))
    }

    /// The labels of the sample at `place`, when it names them.
    pub fn labels_at(&self, place: usize) -> Option<&Labels> {
        match self.samples.get(place)?.series {
            SeriesKey::Known(_) => None,
            SeriesKey::New(at) => self.labels.get(usize::try_from(at).ok()?),
        }
    }
}

/// Why one sample was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Older than the newest sample of its series, outside the out-of-order window.
    OutOfOrder,
    /// The same timestamp with another value.
    Duplicate,
    /// Too far behind the newest sample of the head.
    TooOld,
    /// Too far ahead of the clock.
    TooFarAhead,
    /// A new series, and the limit of series is reached.
    SeriesLimit,
    /// A new series, and memory runs short.
    Memory,
    /// Labels that no series may have: no name, too many, too long.
    BadLabels,
}

impl Refusal {
    /// The sentence for the sender.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OutOfOrder => "out of order sample",
            Self::Duplicate => "duplicate sample for timestamp",
            Self::TooOld => "too old sample",
            Self::TooFarAhead => "out of bounds: sample is too far in the future",
            Self::SeriesLimit => "the limit of active series is reached",
            Self::Memory => "memory runs short, so no new series are taken",
            Self::BadLabels => "invalid labels",
        }
    }
}

/// What became of a commit.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// For each of `Commit::labels`, in order, its series; `None` when there is none.
    pub refs: Vec<Option<SeriesRef>>,
    /// Places of refused samples, and why.
    pub refused: Vec<(usize, Refusal)>,
    /// Samples that were new and taken.
    pub taken: usize,
    /// Those of them that were older than the newest of their series.
    pub late: usize,
    /// Series that were new.
    pub created: usize,
    /// Exemplars refused because they were before the newest of their series.
    pub exemplars_out_of_order: usize,
    /// Exemplars that are kept, those among them that were kept before.
    pub exemplars_taken: usize,
}

/// Why nothing of a commit was taken.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The log could not be written.
    #[error("cannot write the log: {0}")]
    Log(String),
    /// The store refuses writes: the disk is full, or a write failed before.
    #[error("the store takes no samples: {0}")]
    Refusing(String),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
    /// A series that the sender knows by reference has left the head. Send it again by labels.
    #[error("a series is no longer known by its reference")]
    Stale,
}

/// A store as writers see it. Methods block.
pub trait Appender: Send + Sync + fmt::Debug {
    /// Writes the commit to the log, then makes it visible. When this returns, a process kill
    /// loses nothing of it; a power cut at most the last sync interval. A staleness marker for a
    /// series that is not there ends nothing, and is neither taken nor refused.
    ///
    /// # Errors
    /// See `AppendError`; single samples are refused in `Committed`.
    fn commit(&self, commit: &Commit) -> Result<Committed, AppendError>;

    /// As `commit`, and synced to the disk before it returns: for answers to other programs.
    ///
    /// # Errors
    /// As `commit`.
    fn commit_synced(&self, commit: &Commit) -> Result<Committed, AppendError>;

    /// The series that have these labels, in order; makes none.
    fn find(&self, labels: &[Labels]) -> Vec<Option<SeriesRef>>;
}

/// The store as parts hold it.
pub type SharedAppender = Arc<dyn Appender>;
