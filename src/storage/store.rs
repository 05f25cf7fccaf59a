//! The store as the rest of the process sees it: head, blocks and catalogue behind one door.

use super::append::{AppendError, Appender, Commit, Committed};
use super::config::Config;
use super::error::Result;
use super::source::{SeriesSet, Source, SourceError};
use crate::model::{Labels, Matcher, Metadata, TimeRange, Timestamp};
use crate::sys::clock::SharedClock;
use crate::sys::entropy::Entropy;
use crate::sys::files::SharedFiles;
use crate::sys::metrics::Registry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the store takes from the world.
#[derive(Clone, Debug)]
pub struct Deps {
    /// Files.
    pub files: SharedFiles,
    /// Time.
    pub clock: SharedClock,
    /// Randomness, for names of blocks.
    pub entropy: Arc<dyn Entropy>,
    /// Where its own metrics go.
    pub registry: Registry,
}

/// How far the log has been read again; clones share it, so that it can be watched while
/// `Storage::open` runs.
#[derive(Clone, Debug, Default)]
pub struct ReplayProgress(Arc<ReplayState>);

#[derive(Debug, Default)]
struct ReplayState {
    first: AtomicU64,
    last: AtomicU64,
    current: AtomicU64,
}

impl ReplayProgress {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first segment, the last, and the one that is read now.
    pub fn segments(&self) -> (u64, u64, u64) {
        let get = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        (get(&self.0.first), get(&self.0.last), get(&self.0.current))
    }

    pub(super) fn set_range(&self, first: u64, last: u64) {
        self.0.first.store(first, Ordering::Relaxed);
        self.0.last.store(last, Ordering::Relaxed);
        self.0.current.store(first, Ordering::Relaxed);
    }

    pub(super) fn set_current(&self, current: u64) {
        self.0.current.store(current, Ordering::Relaxed);
    }
}

/// How the store does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Series in the head.
    pub series: u64,
    /// Samples taken since the start.
    pub samples_total: u64,
    /// Samples refused since the start.
    pub refused_total: u64,
    /// Bytes of blocks.
    pub block_bytes: u64,
    /// Number of blocks.
    pub blocks: u64,
    /// Bytes of the log and the head's files.
    pub wal_bytes: u64,
    /// Free bytes of the file system.
    pub free_bytes: u64,
    /// Oldest sample of head and blocks.
    pub oldest: Option<Timestamp>,
    /// Newest sample of head and blocks.
    pub newest: Option<Timestamp>,
    /// Retention as configured: `15d`, `15d or 2GB`, `forever`.
    pub retention: String,
    /// Why nothing is taken in; `None` when all is well.
    pub refusing: Option<String>,
    /// What was found damaged or cut off when the store was opened, one sentence each.
    pub damages: Vec<String>,
}

/// Names with a number each, the largest first.
pub type Ranking = Vec<(String, u64)>;

/// Counts of the head for `status/tsdb`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TsdbStats {
    /// Series in the head.
    pub series: u64,
    /// Pairs of label name and value.
    pub label_pairs: u64,
    /// Chunks in the head.
    pub chunks: u64,
    /// Oldest sample of the head.
    pub min_time: Option<Timestamp>,
    /// Newest sample of the head.
    pub max_time: Option<Timestamp>,
    /// Metrics with most series.
    pub series_by_metric: Ranking,
    /// Label names with most values.
    pub values_by_label: Ranking,
    /// Label names whose values take most bytes.
    pub bytes_by_label: Ranking,
    /// Pairs `name=value` with most series.
    pub series_by_pair: Ranking,
}

/// The store. Methods block. Dropping it without `close` is a crash that loses nothing.
#[derive(Debug)]
pub struct Storage {
    config: Config,
}

impl Storage {
    /// Opens the store in `config.dir`, replaying the log; a directory that holds a Prometheus
    /// TSDB gets ours in `watchbell/` inside it.
    ///
    /// # Errors
    /// The directory is held by another process, cannot be used, or was written by a later
    /// version. Damage is no error: see `Status::damages`.
    pub fn open(config: Config, deps: &Deps, progress: &ReplayProgress) -> Result<Self> {
        let _ = (deps, progress);
        Ok(Self { config })
    }

    /// The directory that is really used: where `state.db` belongs.
    pub fn dir(&self) -> &std::path::Path {
        &self.config.dir
    }

    /// Does what is due: checkpoint, cut, retention, disk reserve. To be called every few
    /// seconds by one thread.
    ///
    /// # Errors
    /// Something could not be written; the next call tries again.
    pub fn maintain(&self) -> Result<()> {
        Ok(())
    }

    /// Cuts and merges everything now.
    ///
    /// # Errors
    /// A block could not be written; the head keeps its samples.
    pub fn compact_all(&self) -> Result<()> {
        Ok(())
    }

    /// Takes over settings that may change while running: retention and the out-of-order window.
    pub fn reconfigure(&self, settings: &super::config::TsdbSettings) {
        let _ = settings;
    }

    /// How it does.
    pub fn status(&self) -> Status {
        Status::default()
    }

    /// Counts of the head, with rankings of `limit` places.
    pub fn tsdb_stats(&self, limit: usize) -> TsdbStats {
        let _ = limit;
        TsdbStats::default()
    }

    /// What is known about metrics, by name: about one, or all. A metric may have been described
    /// differently by different targets; the latest is kept.
    pub fn metadata(&self, metric: Option<&str>) -> Vec<(String, Metadata)> {
        let _ = metric;
        Vec::new()
    }

    /// Writes a checkpoint, syncs and closes. Later commits answer `AppendError::Closed`.
    ///
    /// # Errors
    /// The checkpoint could not be written; the log still holds everything.
    pub fn close(&self) -> Result<()> {
        Ok(())
    }
}

impl Appender for Storage {
    fn commit(&self, commit: &Commit) -> std::result::Result<Committed, AppendError> {
        let _ = commit;
        Err(AppendError::Closed)
    }

    fn commit_synced(&self, commit: &Commit) -> std::result::Result<Committed, AppendError> {
        self.commit(commit)
    }
}

impl Source for Storage {
    fn select(
        &self,
        _range: TimeRange,
        _matchers: &[Matcher],
        _series_max: usize,
    ) -> std::result::Result<SeriesSet, SourceError> {
        Ok(SeriesSet::default())
    }

    fn series(
        &self,
        _range: TimeRange,
        _matchers: &[Matcher],
    ) -> std::result::Result<Vec<Labels>, SourceError> {
        Ok(Vec::new())
    }

    fn label_names(
        &self,
        _range: TimeRange,
        _matchers: &[Matcher],
    ) -> std::result::Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn label_values(
        &self,
        _name: &str,
        _range: TimeRange,
        _matchers: &[Matcher],
    ) -> std::result::Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }
}
