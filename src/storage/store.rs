//! The store as the rest of the process sees it: head, blocks and catalogue behind one door.

use super::append::{AppendError, Appender, Commit, Committed, SeriesKey, SeriesRef};
use super::ballast::Ballast;
use super::block::{Block, Blocks};
use super::cardinality::Cardinality;
use super::catalog::Catalog;
use super::config::{Config, StorageSettings};
use super::damage::{Damages, NOTES_MAX};
use super::dir;
use super::error::Result;
use super::exemplar::Exemplars;
use super::head::{Head, HeadDeps};
use super::metrics::StoreMetrics;
use super::select::{Part, join, selected, selected_of_head};
use super::source::{CountBy, SeriesSet, Source, SourceError};
use crate::model::{Exemplar, Labels, Matcher, Metadata, TimeRange, Timestamp, duration};
use crate::sys::clock::SharedClock;
use crate::sys::entropy::Entropy;
use crate::sys::files::{FileLock, SharedFiles};
use crate::sys::locks::lock;
use crate::sys::metrics::Registry;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

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
    /// What was found damaged or cut off since the start, one sentence each.
    pub damages: Vec<String>,
}

/// One block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockFacts {
    /// The name of its directory.
    pub name: String,
    /// Its first millisecond.
    pub min: Timestamp,
    /// The millisecond behind its last.
    pub end: Timestamp,
    /// How often it was merged.
    pub level: u32,
    /// Its series.
    pub series: u64,
    /// Its samples.
    pub samples: u64,
    /// Bytes of its chunks.
    pub chunk_bytes: u64,
    /// Bytes of its index.
    pub index_bytes: u64,
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
    pub(super) config: RwLock<Config>,
    pub(super) dir: PathBuf,
    pub(super) files: SharedFiles,
    pub(super) clock: SharedClock,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) head: Head,
    pub(super) blocks: Blocks,
    pub(super) catalog: Catalog,
    exemplars: Exemplars,
    pub(super) metrics: StoreMetrics,
    /// One maintenance at a time; what it remembers.
    pub(super) upkeep: Mutex<Upkeep>,
    pub(super) ballast: Ballast,
    trouble: Trouble,
    damages: Mutex<Vec<String>>,
    _lock: Box<dyn FileLock>,
}

/// What maintenance remembers.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    /// Elapsed time at the last checkpoint.
    pub(super) checkpoint_at: Duration,
    /// Elapsed time when the head last had no late samples.
    pub(super) late_since: Duration,
    pub(super) free_bytes: u64,
    /// Bytes of the file system, free or not.
    pub(super) disk_bytes: u64,
    pub(super) log_bytes: u64,
    /// Elapsed time when sizes were last looked at.
    pub(super) looked_at: Option<Duration>,
}

/// Why nothing is taken in.
#[derive(Debug, Default)]
struct Trouble {
    /// Set while one of the reasons is: the only thing that a commit looks at.
    any: AtomicBool,
    /// The disk is nearly full.
    disk: Mutex<Option<String>>,
    /// The last commit could not be written.
    log: Mutex<Option<String>>,
}

impl Storage {
    /// Opens the store in `config.dir`, replaying the log; a directory that holds a Prometheus
    /// TSDB gets ours in `watchbell/` inside it.
    ///
    /// # Errors
    /// The directory is held by another process, cannot be used, or was written by a later
    /// version. Damage is no error: see `Status::damages`.
    pub fn open(config: Config, deps: &Deps, progress: &ReplayProgress) -> Result<Self> {
        let files = Arc::clone(&deps.files);
        let dir = dir::resolve(&*files, &config.dir)?;
        let lock = dir::claim(&*files, &dir)?;
        let metrics = StoreMetrics::register(&deps.registry);
        let mut damages = Damages::new(Arc::clone(&files), dir.join("quarantine"));
        let blocks = Blocks::open(&files, dir.join("blocks"), &mut damages)?;
        let (catalog, saved) = Catalog::open(&dir, &mut damages)?;
        let exemplars = Exemplars::new(config.exemplars_max, saved, &deps.registry);
        let head_deps = HeadDeps { files: Arc::clone(&files), clock: Arc::clone(&deps.clock) };
        let cut_until = blocks.cut_end();
        let head = Head::open(&config, &dir, &head_deps, cut_until, progress, &mut damages)?;
        let ballast = Ballast::new(Arc::clone(&files), &dir, config.ballast_bytes);
        let storage = Self {
            config: RwLock::new(config),
            dir,
            files,
            clock: Arc::clone(&deps.clock),
            entropy: Arc::clone(&deps.entropy),
            head,
            blocks,
            catalog,
            exemplars,
            metrics,
            upkeep: Mutex::default(),
            ballast,
            trouble: Trouble::default(),
            damages: Mutex::default(),
            _lock: lock,
        };
        storage.tell_damages(damages);
        storage.remove_unfinished_snapshots()?;
        storage.look_around(&mut storage.upkeep())?;
        Ok(storage)
    }

    /// The directory that is really used: where `state.db` belongs.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Takes over settings that may change while running: retention, the out-of-order window and
    /// how many exemplars are kept.
    pub fn reconfigure(&self, settings: &StorageSettings) {
        let mut config = self.config.write().unwrap_or_else(PoisonError::into_inner);
        config.apply(settings);
        self.head.set_limits(&config);
        self.exemplars.set_max(config.exemplars_max);
    }

    /// Whether memory runs short: then samples of new series are refused.
    pub fn set_memory_short(&self, is_short: bool) {
        self.head.set_memory_short(is_short);
    }

    /// Samples before this are dropped for their age; `None` where none are.
    pub fn oldest_kept(&self, now: Timestamp) -> Option<Timestamp> {
        self.config().retention().time.map(|time| now.minus(time))
    }

    /// How it does.
    pub fn status(&self) -> Status {
        let facts = self.head.facts();
        let blocks = self.blocks.list();
        let (free_bytes, wal_bytes) = {
            let upkeep = self.upkeep();
            (upkeep.free_bytes, upkeep.log_bytes)
        };
        let config = self.config();
        let oldest = blocks.iter().map(|block| block.min).chain(facts.min_time).min();
        let newest = blocks.iter().map(|block| block.end - 1).chain(facts.max_time).max();
        Status {
            series: facts.series as u64,
            samples_total: whole(self.metrics.appended.get()),
            refused_total: whole(self.metrics.refused_total()),
            block_bytes: self.blocks.byte_len(),
            blocks: blocks.len() as u64,
            wal_bytes,
            free_bytes,
            oldest: oldest.map(Timestamp::from_millis),
            newest: newest.map(Timestamp::from_millis),
            retention: retention_text(&config),
            refusing: self.trouble.text(),
            damages: self.told().clone(),
        }
    }

    /// Counts of the head, with rankings of `limit` places.
    pub fn tsdb_stats(&self, limit: usize) -> TsdbStats {
        self.head.stats(limit)
    }

    /// Which labels make many series, in head and newest block, with rankings of `limit` places.
    pub fn cardinality(&self, limit: usize) -> TsdbStats {
        let facts = self.head.facts();
        let mut counts = Cardinality::default();
        self.head.pairs(&mut |name, value, count| counts.add(name, value, count));
        if let Some(block) = self.blocks.list().last()
            && let Err(err) = block.pairs(&mut |name, value, count| counts.add(name, value, count))
        {
            tracing::warn!(%err, "the newest block is not counted");
        }
        let mut stats = TsdbStats {
            series: facts.series as u64,
            chunks: facts.chunks,
            min_time: facts.min_time.map(Timestamp::from_millis),
            max_time: facts.max_time.map(Timestamp::from_millis),
            ..TsdbStats::default()
        };
        counts.rank(&mut stats, limit);
        stats
    }

    /// The blocks, in order of time.
    pub fn blocks(&self) -> Vec<BlockFacts> {
        self.blocks.list().iter().map(|block| block.public_facts()).collect()
    }

    /// What is known about metrics, by name: about one, or all. A metric may have been described
    /// differently by different targets; the latest is kept.
    pub fn metadata(&self, metric: Option<&str>) -> Vec<(String, Metadata)> {
        self.catalog.metadata(metric)
    }

    /// Writes a checkpoint, syncs and closes. Later commits answer `AppendError::Closed`; reads
    /// go on.
    ///
    /// # Errors
    /// The checkpoint could not be written; the log still holds everything.
    pub fn close(&self) -> Result<()> {
        let _upkeep = self.upkeep();
        let described = self.save_catalog();
        self.head.close()?;
        described
    }

    /// Collects damages of files in the data directory.
    pub(super) fn damages(&self) -> Damages {
        Damages::new(Arc::clone(&self.files), self.dir.join("quarantine"))
    }

    /// Tells of what was found damaged: in the status, and as a count.
    pub(super) fn tell_damages(&self, found: Damages) {
        self.metrics.corruptions.add(found.count() as f64);
        let mut told = self.told();
        told.extend(found.into_notes());
        told.truncate(NOTES_MAX);
    }

    fn told(&self) -> MutexGuard<'_, Vec<String>> {
        lock(&self.damages)
    }

    /// Exemplars in `range` of series that one of `selectors` selects: series by labels, and each
    /// one's in order of time.
    pub fn exemplars(
        &self,
        range: TimeRange,
        selectors: &[Vec<Matcher>],
    ) -> Vec<(Labels, Vec<Exemplar>)> {
        self.exemplars.select(range, selectors)
    }

    /// Writes what has changed in the catalogue.
    pub(super) fn save_catalog(&self) -> Result<()> {
        let described = self.catalog.save();
        self.exemplars.save(|first, new| self.catalog.save_exemplars(first, new))?;
        described
    }

    pub(super) fn config(&self) -> Config {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn upkeep(&self) -> MutexGuard<'_, Upkeep> {
        lock(&self.upkeep)
    }

    /// Sets or clears the disk's reason to take nothing.
    pub(super) fn set_disk_trouble(&self, why: Option<String>) {
        self.trouble.set(&self.trouble.disk, why);
        self.metrics.refusing.set(f64::from(u8::from(self.trouble.text().is_some())));
    }

    /// Whether the disk is a reason to take nothing.
    pub(super) fn has_disk_trouble(&self) -> bool {
        lock(&self.trouble.disk).is_some()
    }

    fn take(&self, commit: &Commit, synced: bool) -> std::result::Result<Committed, AppendError> {
        if self.trouble.any.load(Ordering::Relaxed)
            && let Some(why) = lock(&self.trouble.disk).clone()
        {
            return Err(AppendError::Refusing(why));
        }
        self.catalog.describe(&commit.metadata);
        let mut done = self.head.commit(commit, synced);
        if matches!(done, Err(AppendError::Log(_))) && self.gives_room() {
            done = self.head.commit(commit, synced);
        }
        match done {
            Ok(mut committed) => {
                self.metrics.committed(&committed);
                if !commit.exemplars.is_empty() {
                    let (taken, out_of_order) = self.take_exemplars(commit, &committed);
                    committed.exemplars_taken = taken;
                    committed.exemplars_out_of_order = out_of_order;
                }
                if self.trouble.any.load(Ordering::Relaxed) {
                    self.set_log_trouble(None);
                }
                Ok(committed)
            }
            Err(err) => {
                if let AppendError::Log(why) = &err {
                    self.metrics.log_failures.inc();
                    self.set_log_trouble(Some(why.clone()));
                }
                Err(err)
            }
        }
    }

    /// Whether the disk is full and room was held back for that.
    fn gives_room(&self) -> bool {
        self.space().is_ok_and(|space| self.ballast.release_if_full(space.free))
    }

    /// Takes those whose series is there; how many are kept and how many were out of order.
    fn take_exemplars(&self, commit: &Commit, committed: &Committed) -> (usize, usize) {
        let refs = commit.exemplars.iter().map(|one| match one.series {
            SeriesKey::Known(series) => Some(series),
            SeriesKey::New(at) => *committed.refs.get(usize::try_from(at).ok()?)?,
        });
        let labels = self.head.labels_of(refs);
        let exemplars = commit.exemplars.iter().map(|one| one.exemplar.clone());
        let brought = labels.into_iter().zip(exemplars);
        let brought = brought.filter_map(|(labels, one)| Some((labels?, one))).collect();
        let ahead = self.config.read().unwrap_or_else(PoisonError::into_inner).too_far_ahead_after;
        self.exemplars.add(brought, self.clock.now().plus(ahead))
    }

    fn set_log_trouble(&self, why: Option<String>) {
        self.trouble.set(&self.trouble.log, why);
        self.metrics.refusing.set(f64::from(u8::from(self.trouble.text().is_some())));
    }
}

impl Storage {
    /// Reads each block that may have samples in `range`; one that cannot be read is logged.
    fn each_block(
        &self,
        range: TimeRange,
        read: impl FnMut(&Block) -> std::result::Result<(), SourceError>,
    ) -> std::result::Result<(), SourceError> {
        let mut unread = Vec::new();
        let (from, to) = (range.from().as_millis(), range.to().as_millis());
        self.blocks.each(from, to, &mut unread, read)?;
        unread.iter().for_each(|why| tracing::warn!(why, "series are missing"));
        Ok(())
    }
}

impl Trouble {
    fn set(&self, place: &Mutex<Option<String>>, why: Option<String>) {
        *lock(place) = why;
        self.any.store(self.text().is_some(), Ordering::Relaxed);
    }

    fn text(&self) -> Option<String> {
        let disk = lock(&self.disk).clone();
        disk.or_else(|| lock(&self.log).clone())
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of samples")]
fn whole(count: f64) -> u64 {
    count as u64
}

fn retention_text(config: &Config) -> String {
    let retention = config.retention();
    let time = retention.time.map(duration::format);
    let bytes = match retention.percentage {
        Some(percentage) => Some(format!("{percentage}%")),
        None => retention.bytes.map(|bytes| format!("{} MiB", bytes >> 20)),
    };
    match (time, bytes) {
        (Some(time), Some(bytes)) => format!("{time} or {bytes}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "forever".to_owned(),
    }
}

impl Appender for Storage {
    fn commit(&self, commit: &Commit) -> std::result::Result<Committed, AppendError> {
        self.take(commit, false)
    }

    fn commit_synced(&self, commit: &Commit) -> std::result::Result<Committed, AppendError> {
        self.take(commit, true)
    }

    fn find(&self, labels: &[Labels]) -> Vec<Option<SeriesRef>> {
        self.head.find(labels)
    }
}

impl Source for Storage {
    fn select(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
        series_max: usize,
    ) -> std::result::Result<SeriesSet, SourceError> {
        let mut warnings = Vec::new();
        // The head first: what a cut takes from it in between is in a block by then.
        let late = self.head.select_late(range, matchers, series_max)?;
        let head = self.head.selection(range, matchers, series_max)?;
        let (from, to) = (range.from().as_millis(), range.to().as_millis());
        let blocks = self.blocks.select(from, to, matchers, series_max, &mut warnings)?;
        if late.is_empty() && blocks.is_empty() {
            return Ok(SeriesSet { series: selected_of_head(head), warnings });
        }
        let blocks = blocks.into_iter().map(Part::Block);
        let head = head.into_sorted().into_iter().map(Part::Head);
        let joined = join(blocks.chain(head).chain(late.into_iter().map(Part::Late)).collect());
        if joined.len() > series_max {
            return Err(SourceError::TooManySeries { limit: series_max });
        }
        Ok(SeriesSet { series: selected(joined), warnings })
    }

    fn count(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
        by: CountBy<'_>,
        series_max: usize,
    ) -> std::result::Result<Option<Vec<(Labels, u64)>>, SourceError> {
        let counted = self.head.count(range, matchers, by, series_max)?;
        // After the head: what a cut took from it in between is in a block by now.
        let (from, to) = (range.from().as_millis(), range.to().as_millis());
        let blocks = self.blocks.list();
        Ok(counted.filter(|_| !blocks.iter().any(|block| block.overlaps(from, to))))
    }

    fn series(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
    ) -> std::result::Result<Vec<Labels>, SourceError> {
        let mut found = self.head.series(range, matchers)?;
        let (from, to) = (range.from().as_millis(), range.to().as_millis());
        self.each_block(range, |block| {
            let series = block.select(from, to, matchers, usize::MAX)?;
            found.extend(series.into_iter().map(|part| part.labels));
            Ok(())
        })?;
        found.sort();
        found.dedup();
        Ok(found)
    }

    fn label_names(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
    ) -> std::result::Result<Vec<String>, SourceError> {
        let mut names = BTreeSet::new();
        self.head.add_names(range, matchers, &mut names)?;
        let (from, to) = (range.from().as_millis(), range.to().as_millis());
        self.each_block(range, |block| block.add_names(from, to, matchers, &mut names))?;
        Ok(names.into_iter().collect())
    }

    fn label_values(
        &self,
        name: &str,
        range: TimeRange,
        matchers: &[Matcher],
    ) -> std::result::Result<Vec<String>, SourceError> {
        let mut values = BTreeSet::new();
        self.head.add_values(name, range, matchers, &mut values)?;
        let within = (range.from().as_millis(), range.to().as_millis());
        self.each_block(range, |block| block.add_values(name, within, matchers, &mut values))?;
        Ok(values.into_iter().collect())
    }
}
