//! What the tests of the store share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use watchbell::model::{Labels, TimeRange, Timestamp};
use watchbell::storage::append::{Appender, Commit};
use watchbell::storage::check::{self, Problem, Told};
use watchbell::storage::config::{Config, WalSync};
use watchbell::storage::source::{Columns, Source};
use watchbell::storage::{Deps, ReplayProgress, Result, Storage};
use watchbell::sys::clock::Clock;
use watchbell::sys::files::{SharedFiles, SystemFiles};
use watchbell::sys::metrics::Registry;
use watchbell::sys::sim::{SeededEntropy, VirtualClock};

/// An hour in milliseconds.
pub(crate) const HOUR: i64 = 3_600_000;

/// When the tests begin.
pub(crate) const START: i64 = 1_750_000_000_000;

/// Job, timestamp, bits of the value.
pub(crate) type Samples = BTreeMap<String, BTreeMap<i64, u64>>;

/// A directory, a clock, and stores in them.
pub(crate) struct Setting {
    /// Where the data is.
    pub(crate) dir: tempfile::TempDir,
    /// What time it is.
    pub(crate) clock: VirtualClock,
    entropy: Arc<SeededEntropy>,
}

impl Setting {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock: VirtualClock::at(Timestamp::from_millis(START)),
            entropy: Arc::new(SeededEntropy::new(1)),
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now().as_millis()
    }

    pub(crate) fn config(&self) -> Config {
        let mut config = Config::at(self.dir.path());
        config.wal_sync = WalSync::Off;
        config.min_free_bytes = Some(0);
        config.ballast_bytes = 0;
        config.wal_segment_bytes = 1 << 16;
        config
    }

    pub(crate) fn try_open(&self, config: Config) -> Result<Storage> {
        let deps = Deps {
            files: Arc::new(SystemFiles),
            clock: Arc::new(self.clock.clone()),
            entropy: Arc::clone(&self.entropy) as _,
            registry: Registry::new(),
        };
        Storage::open(config, &deps, &ReplayProgress::new())
    }

    #[track_caller]
    pub(crate) fn open_with(&self, config: Config) -> Storage {
        self.try_open(config).unwrap()
    }

    #[track_caller]
    pub(crate) fn open(&self) -> Storage {
        self.open_with(self.config())
    }
}

/// The labels of a job's series.
pub(crate) fn labels(job: &str) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("job", job)])
}

/// A commit of samples: job, timestamp, value.
pub(crate) fn commit(list: &[(&str, i64, f64)]) -> Commit {
    Commit::of(
        list.iter().map(|(job, ts, value)| (labels(job), Timestamp::from_millis(*ts), *value)),
    )
}

/// Lets `span` pass with a scrape of three series every `every`; answers what was written.
#[track_caller]
pub(crate) fn fill(setting: &Setting, store: &Storage, span: i64, every: i64) -> Samples {
    let mut written = Samples::new();
    let end = setting.now() + span;
    while setting.now() < end {
        setting.clock.advance(std::time::Duration::from_millis(every.unsigned_abs()));
        let at = setting.now();
        let values = [("a", at as f64 / 1e4), ("b", 1.0), ("c", (at % 7) as f64)];
        let list = values.map(|(job, value)| (job, at, value));
        assert_eq!(store.commit(&commit(&list)).unwrap().refused, []);
        for (job, ts, value) in list {
            written.entry(job.to_owned()).or_default().insert(ts, value.to_bits());
        }
    }
    written
}

/// Everything that a store has, and what it warns of.
#[track_caller]
pub(crate) fn all_and_warnings(store: &Storage) -> (Samples, Vec<String>) {
    let set = store.select(TimeRange::ALL, &[], usize::MAX).unwrap();
    let mut warnings = set.warnings;
    let mut found = Samples::new();
    for series in set.series {
        let mut columns = Columns::default();
        warnings.extend(series.read(TimeRange::ALL, &mut columns).unwrap());
        assert!(columns.ts.is_sorted_by(|a, b| a < b), "{:?}", columns.ts);
        let samples = columns.ts.into_iter().zip(columns.values.iter().map(|v| v.to_bits()));
        found.insert(series.labels.value_of("job").to_owned(), samples.collect());
    }
    (found, warnings)
}

/// Everything that a store has.
#[track_caller]
pub(crate) fn all(store: &Storage) -> Samples {
    let (found, warnings) = all_and_warnings(store);
    assert_eq!(warnings, [""; 0]);
    found
}

/// The first block's file of this name.
pub(crate) fn find(dir: &Path, name: &str) -> PathBuf {
    let blocks = std::fs::read_dir(dir.join("blocks")).unwrap();
    let mut blocks: Vec<_> = blocks.map(|entry| entry.unwrap().path()).collect();
    blocks.sort();
    blocks[0].join(name)
}

/// Checks a stopped store.
#[track_caller]
pub(crate) fn check(dir: &Path, repair: bool, tell: &mut dyn FnMut(Told)) {
    let files: SharedFiles = Arc::new(SystemFiles);
    check::check(&files, dir, repair, tell).unwrap();
}

/// What a check finds wrong.
#[track_caller]
pub(crate) fn problems(dir: &Path, repair: bool) -> Vec<Problem> {
    let mut found = Vec::new();
    check(dir, repair, &mut |told| match told {
        Told::File(file) => found.extend(file.problems),
        Told::Progress(_) => {}
    });
    found
}
