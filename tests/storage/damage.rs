//! Random damage to any file of the data folder, against a map of what was written.
//!
//! `WATCHBELL_DAMAGE_SEEDS` sets how many seeds are run; `WATCHBELL_DAMAGE_FIRST` the first.

use crate::support::{self, HOUR, Samples, Setting};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use watchbell::model::{MatchOp, Matcher, Metadata, MetricType, TimeRange, Timestamp};
use watchbell::storage::Storage;
use watchbell::storage::append::{Appender as _, Commit};
use watchbell::storage::state::{HistoryEntry, HistoryQuery, StateDb, StateOp, Table};
use watchbell::sys::entropy::Entropy as _;
use watchbell::sys::sim::SeededEntropy;

type Rows = BTreeMap<(&'static str, String), String>;

/// A data folder and what is in it.
struct Made {
    setting: Setting,
    /// All that was ever written.
    written: Samples,
    /// Of that, what was deleted.
    deleted: Samples,
    rows: Rows,
    /// When the last checkpoint was written.
    checkpoint_at: i64,
    blocks: Vec<(String, i64, i64)>,
    last_segment: String,
}

fn env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn each(all: &Samples) -> impl Iterator<Item = (&str, i64, u64)> {
    all.iter().flat_map(|(job, list)| list.iter().map(move |(ts, bits)| (&**job, *ts, *bits)))
}

fn has(all: &Samples, job: &str, ts: i64, bits: u64) -> bool {
    all.get(job).is_some_and(|samples| samples.get(&ts) == Some(&bits))
}

/// Scrapes of ten series that stay and one that is new every ten minutes.
fn fill(setting: &Setting, store: &Storage, random: &SeededEntropy, span: i64, to: &mut Samples) {
    let end = setting.now() + span;
    while setting.now() < end {
        setting.clock.advance(Duration::from_secs(30));
        let at = setting.now();
        let jobs = (0..10).map(|one| format!("s{one}"));
        let list: Vec<_> = jobs
            .chain([format!("new{}", at / 600_000)])
            .map(|job| {
                // Below 2^53, so a value, and none that is short in any encoding.
                let value = f64::from_bits((1023 << 52) | (random.next_u64() >> 12));
                (job, at, value)
            })
            .collect();
        let mut commit =
            Commit::of(list.iter().map(|(job, ts, value)| {
                (support::labels(job), Timestamp::from_millis(*ts), *value)
            }));
        let about = Metadata { kind: MetricType::Gauge, help: "H.".into(), unit: String::new() };
        commit.metadata.push(("m".to_owned(), about));
        assert_eq!(store.commit(&commit).unwrap().refused, []);
        for (job, ts, value) in list {
            to.entry(job).or_default().insert(ts, value.to_bits());
        }
    }
}

fn fill_state(db: &StateDb) -> Rows {
    let mut rows = Rows::new();
    let mut ops = Vec::new();
    for table in [Table::Silence, Table::NotificationLog, Table::Outbox, Table::Meta] {
        for one in 0..60 {
            let (key, value) = (format!("k{one:03}"), format!("{one:0300}"));
            rows.insert((table.name(), key.clone()), value.clone());
            ops.push(StateOp::Put { table, key, value });
        }
    }
    let entry = |at| HistoryEntry { at: Timestamp::from_millis(at), ..Default::default() };
    ops.extend((0..50).map(|at| StateOp::Record(entry(at))));
    for some in ops.chunks(40) {
        db.apply(some).unwrap();
    }
    rows
}

/// Several blocks, one with tombstones, a head with full chunks, a checkpoint, log after it, and
/// state; as a kill leaves it, or a clean stop.
fn make(seed: u64, clean: bool) -> Made {
    let setting = Setting::new();
    let random = SeededEntropy::new(seed);
    let store = setting.open();
    let state = store.open_state().unwrap();
    let (mut written, mut deleted) = (Samples::new(), Samples::new());
    for _ in 0..4 {
        fill(&setting, &store, &random, 3 * HOUR, &mut written);
        store.maintain().unwrap();
    }
    let from = written["s3"].keys().next().copied().unwrap();
    let to = from + HOUR;
    let range = TimeRange::new(Timestamp::from_millis(from), Timestamp::from_millis(to)).unwrap();
    let only = Matcher::new("job", MatchOp::Equal, "s3").unwrap();
    store.delete_series(range, &[only]).unwrap();
    let gone = written["s3"].range(from..=to).map(|(ts, bits)| (*ts, *bits));
    deleted.insert("s3".to_owned(), gone.collect());
    fill(&setting, &store, &random, 50 * 60_000, &mut written);
    store.maintain().unwrap();
    let checkpoint_at = setting.now();
    fill(&setting, &store, &random, 10 * 60_000, &mut written);
    let rows = fill_state(&state);
    let list = store.blocks().into_iter();
    let blocks = list.map(|one| (one.name, one.min.as_millis(), one.end.as_millis())).collect();
    if clean {
        store.close().unwrap();
        state.close().unwrap();
    }
    let image = Setting::new();
    image.clock.advance(Duration::from_millis((setting.now() - image.now()).unsigned_abs()));
    copy_tree(setting.dir.path(), image.dir.path());
    let segments = fs::read_dir(image.dir.path().join("wal")).unwrap();
    let last_segment = segments.map(|entry| entry.unwrap().file_name()).max().unwrap_or_default();
    let last_segment = format!("wal/{}", last_segment.to_string_lossy());
    Made { setting: image, written, deleted, rows, checkpoint_at, blocks, last_segment }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn files_in(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_in(&path, into);
        } else if !path.ends_with("lock.watchbell") && !path.ends_with("state.db-shm") {
            into.push(path);
        }
    }
    into.sort();
}

/// Damages a file; says how, `None` when nothing of it changed.
fn damage(path: &Path, random: &SeededEntropy) -> Option<&'static str> {
    let below = |end: usize| usize::try_from(random.next_u64()).unwrap() % end.max(1);
    let before = fs::read(path).unwrap();
    let mut bytes = before.clone();
    let how = match below(6) {
        0 => {
            let at = below(bytes.len());
            let byte = bytes.get_mut(at)?;
            // A format number that says "later" is refused, and must be.
            if (60..64).contains(&at) && path.extension().is_some_and(|end| end == "db") {
                return None;
            }
            *byte ^= 1 << below(8);
            "flipped"
        }
        1 => {
            let (at, len) = (below(bytes.len()), 1 + below(40));
            let end = (at + len).min(bytes.len());
            bytes[at..end].iter_mut().for_each(|byte| *byte = random.next_u64().to_le_bytes()[0]);
            if path.extension().is_some_and(|end| end == "db") && at < 64 && end > 60 {
                return None;
            }
            "scribbled"
        }
        2 => {
            let at = below(bytes.len().div_ceil(4096)) * 4096;
            let end = (at + 4096).min(bytes.len());
            bytes[at..end].fill(0);
            "zeroed"
        }
        3 => {
            bytes.truncate(below(bytes.len()));
            "truncated"
        }
        4 => {
            fs::remove_file(path).unwrap();
            return Some("deleted");
        }
        _ => {
            bytes.extend((0..1 + below(5000)).map(|_| random.next_u64().to_le_bytes()[0]));
            "appended"
        }
    };
    fs::write(path, &bytes).unwrap();
    (bytes != before).then_some(how)
}

impl Made {
    /// Samples that lie in files that were not damaged.
    fn owed(&self, hit: &BTreeMap<String, &'static str>) -> Samples {
        let is_hit = |start: &str| hit.keys().any(|path| path.starts_with(start));
        let ends = |end: &str| hit.keys().any(|path| path.ends_with(end));
        let (head, log) = (is_hit("head/"), is_hit("wal/"));
        let mut owed = Samples::new();
        for (job, ts, bits) in each(&self.written) {
            if has(&self.deleted, job, ts, bits) {
                continue;
            }
            let block = self.blocks.iter().find(|(_, min, end)| (*min..*end).contains(&ts));
            let whole = match block {
                // An index is made anew from the chunks, whatever became of it.
                Some((name, ..)) => !is_hit(&format!("blocks/{name}/chunks")),
                None if ts <= self.checkpoint_at => !head,
                // The checkpoint has the names of series; full chunks beside it do not matter.
                None => !log && !ends(".open"),
            };
            if whole {
                owed.entry(job.to_owned()).or_default().insert(ts, bits);
            }
        }
        owed
    }

    fn check(&self, hit: &BTreeMap<String, &'static str>, about: &str) {
        let owed = self.owed(hit);
        let mut told = Vec::new();
        for round in 0..2 {
            let store = self.setting.open();
            let state = store.open_state().unwrap();
            store.check_state(&state);
            let (found, warnings) = support::all_and_warnings(&store);
            told.extend(warnings);
            told.extend(store.status().damages);
            let about = format!("{about}, round {round}: {told:?}");
            for (job, ts, bits) in each(&found) {
                assert!(has(&self.written, job, ts, bits), "{about}: made up {job} {ts} {bits:x}");
            }
            let lost = each(&owed).filter(|(job, ts, bits)| !has(&found, job, *ts, *bits));
            let lost: Vec<_> = lost.map(|(job, ts, _)| (job, ts)).collect();
            assert!(lost.is_empty(), "{about}: {} owed, first {:?}", lost.len(), lost[0]);
            // Neither a number nor a name elsewhere tells of the log's end.
            let traceless = hit.get(&self.last_segment) == Some(&"deleted");
            let missing = each(&self.written).find(|(job, ts, bits)| {
                !has(&found, job, *ts, *bits) && !has(&self.deleted, job, *ts, *bits)
            });
            assert!(
                missing.is_none() || traceless || !told.is_empty(),
                "{about}: missing {missing:?}, untold"
            );
            // Nothing says that there were any.
            let traceless =
                hit.iter().any(|(name, how)| name.ends_with("tombstones") && *how == "deleted");
            let again = each(&self.deleted).any(|(job, ts, bits)| has(&found, job, ts, bits));
            assert!(
                !again || traceless || !told.is_empty(),
                "{about}: deleted samples show again, untold"
            );
            self.check_rows(&state, hit, &told, &about);
        }
    }

    fn check_rows(
        &self,
        state: &StateDb,
        hit: &BTreeMap<String, &'static str>,
        told: &[String],
        about: &str,
    ) {
        let mut found = Rows::new();
        for table in Table::ALL {
            let rows = state.load(table).unwrap().into_iter();
            found.extend(rows.map(|(key, value)| ((table.name(), key), value)));
        }
        let (main, log) = (hit.get("state.db"), hit.get("state.db-wal"));
        if main.is_none() && log.is_none() {
            assert_eq!(found, self.rows, "{about}");
            return;
        }
        // SQLite has no checksums: a changed byte inside a text is that text.
        if !main.is_some_and(|how| matches!(*how, "flipped" | "scribbled")) {
            let made_up = found.iter().find(|(key, value)| self.rows.get(*key) != Some(value));
            assert!(made_up.is_none(), "{about}: made up {made_up:?}");
        }
        // What is gone whole, or ends at a whole change, leaves no trace of what is missing.
        let traceless = (main == Some(&"deleted") && log.is_none_or(|how| *how == "deleted"))
            || log.is_some_and(|how| matches!(*how, "deleted" | "truncated"));
        let lost = self.rows.keys().find(|key| !found.contains_key(*key));
        assert!(
            lost.is_none()
                || traceless
                || main.is_some_and(|how| *how == "flipped")
                || told.iter().any(|text| text.contains("state.db")),
            "{about}: {lost:?} is gone, untold"
        );
    }
}

fn run(seed: u64, clean: &Made, killed: &Made) {
    let random = SeededEntropy::new(seed);
    let is_clean = seed.is_multiple_of(2);
    let base = if is_clean { clean } else { killed };
    let setting = Setting::new();
    setting
        .clock
        .advance(Duration::from_millis((base.setting.now() - setting.now()).unsigned_abs()));
    copy_tree(base.setting.dir.path(), setting.dir.path());
    let mut files = Vec::new();
    files_in(setting.dir.path(), &mut files);
    let mut hit = BTreeMap::new();
    let mut chosen = BTreeSet::new();
    for _ in 0..1 + random.next_u64() % 3 {
        chosen.insert(usize::try_from(random.next_u64()).unwrap() % files.len());
    }
    for place in chosen {
        let path = &files[place];
        let name = path.strip_prefix(setting.dir.path()).unwrap();
        if let Some(how) = damage(path, &random) {
            hit.insert(name.to_string_lossy().into_owned(), how);
        }
    }
    let about = format!("seed {seed}, {}, {hit:?}", if is_clean { "clean" } else { "killed" });
    let damaged = Made {
        setting,
        written: base.written.clone(),
        deleted: base.deleted.clone(),
        rows: base.rows.clone(),
        checkpoint_at: if is_clean { i64::MAX } else { base.checkpoint_at },
        blocks: base.blocks.clone(),
        last_segment: base.last_segment.clone(),
    };
    damaged.check(&hit, &about);
}

#[test]
fn whatever_is_damaged_the_store_starts_makes_nothing_up_and_tells_what_is_missing() {
    let (clean, killed) = (make(1, true), make(2, false));
    for made in [&clean, &killed] {
        assert!(made.blocks.len() >= 3, "{:?}", made.blocks);
    }
    let first = env("WATCHBELL_DAMAGE_FIRST", 1);
    let seeds = first..first + env("WATCHBELL_DAMAGE_SEEDS", 32);
    let one = |seed: &u64| std::panic::catch_unwind(|| run(*seed, &clean, &killed)).is_err();
    let failed: Vec<_> = seeds.filter(one).collect();
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
}

#[test]
fn a_check_after_an_unclean_stop_is_told_and_the_next_start_mends() {
    let setting = Setting::new();
    let store = setting.open();
    let state = store.open_state().unwrap();
    let entry = |at| HistoryEntry {
        at: Timestamp::from_millis(at),
        body: format!("{at:0400}"),
        ..Default::default()
    };
    let ops: Vec<_> = (0..300).map(|at| StateOp::Record(entry(at))).collect();
    state.apply(&ops).unwrap();
    state.close().unwrap();
    state.apply(&[StateOp::Record(entry(300))]).unwrap();
    let killed = Setting::new();
    copy_tree(setting.dir.path(), killed.dir.path());
    let path = killed.dir.path().join("state.db");
    let mut bytes = fs::read(&path).unwrap();
    let holds =
        |page: &[u8]| page.windows(400).any(|text| text == format!("{:0400}", 150).as_bytes());
    bytes.chunks_mut(4096).find(|page| holds(page)).unwrap().fill(0);
    fs::write(&path, bytes).unwrap();

    let store = killed.open();
    let state = store.open_state().unwrap();
    assert_eq!(store.status().damages, [""; 0], "a start looks at no history");
    store.check_state(&state);
    let told = store.status().damages;
    assert!(told.len() == 1 && told[0].contains("the next start"), "{told:?}");
    drop((store, state));

    let store = killed.open();
    let state = store.open_state().unwrap();
    let told = store.status().damages;
    assert!(told.len() == 1 && told[0].contains("rows are lost of history"), "{told:?}");
    let all = HistoryQuery { limit: 999, ..Default::default() };
    let left: Vec<_> = state.history(&all).unwrap().iter().map(|one| one.at.as_millis()).collect();
    assert!(left.len() > 250 && left.len() < 301, "{}", left.len());
    assert!(left.contains(&0) && left.contains(&300));
    store.check_state(&state);
    assert_eq!(store.status().damages, told);
}
