//! Crashes at the calls of the file system, with and without failing calls, with a clock that is
//! set back now and then, against a map.
//!
//! `WATCHBELL_CRASH_SEEDS` sets how many seeds are run; `WATCHBELL_CRASH_FIRST` the first.

use crate::shadow::{Crash, Image, ShadowFiles, restore};
use crate::support::{self, Samples, Setting};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use watchbell::model::Timestamp;
use watchbell::storage::append::{Appender as _, Commit};
use watchbell::storage::{Deps, ReplayProgress, Storage};
use watchbell::sys::entropy::Entropy as _;
use watchbell::sys::metrics::Registry;
use watchbell::sys::sim::SeededEntropy;

const STEPS: u64 = 60;

/// What the store owes.
#[derive(Clone, Debug, Default)]
struct Model {
    /// Taken: a kill loses none of it.
    taken: Samples,
    /// Synced: a power cut loses none of it.
    durable: Samples,
    /// Taken, but of a sync that failed: a power cut may lose it until the store is closed.
    limbo: Samples,
    /// Refused by an error: may be there or not.
    maybe: Samples,
    /// Being committed: there as a whole or not at all.
    flying: Samples,
    /// The clock was set back: of what is being committed only a part may be taken.
    behind: bool,
}

struct Case {
    crash: Crash,
    image: Image,
    model: Model,
}

fn add(to: &mut Samples, from: &Samples) {
    for (job, samples) in from {
        to.entry(job.clone()).or_default().extend(samples);
    }
}

fn has(all: &Samples, job: &str, ts: i64, bits: u64) -> bool {
    all.get(job).is_some_and(|samples| samples.get(&ts) == Some(&bits))
}

fn each(all: &Samples) -> impl Iterator<Item = (&str, i64, u64)> {
    all.iter().flat_map(|(job, list)| list.iter().map(move |(ts, bits)| (&**job, *ts, *bits)))
}

struct Run {
    setting: Setting,
    files: ShadowFiles,
    random: SeededEntropy,
    model: Arc<Mutex<Model>>,
    cases: Arc<Mutex<Vec<Case>>>,
    faulty: bool,
    value: f64,
    /// The latest time that the clock has shown.
    latest: i64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let setting = Setting::new();
        let model: Arc<Mutex<Model>> = Arc::default();
        let cases: Arc<Mutex<Vec<Case>>> = Arc::default();
        let (seen, into) = (Arc::clone(&model), Arc::clone(&cases));
        let witness = Arc::new(move |crash, image| {
            let model = seen.lock().unwrap().clone();
            into.lock().unwrap().push(Case { crash, image, model });
        });
        let files = ShadowFiles::new(setting.dir.path(), seed, witness);
        let random = SeededEntropy::new(seed ^ 0x5eed);
        Self { setting, files, random, model, cases, faulty: seed % 2 == 1, value: 0.0, latest: 0 }
    }

    fn below(&self, end: u64) -> u64 {
        self.random.next_u64() % end
    }

    fn open(&self) -> Storage {
        // A start that fails is tried again by whoever started it; here it may not fail.
        self.files.set_odds(40, 0);
        let deps = Deps {
            files: Arc::new(self.files.clone()),
            clock: Arc::new(self.setting.clock.clone()),
            entropy: Arc::new(SeededEntropy::new(self.below(u64::MAX))),
            registry: Registry::new(),
        };
        let store = Storage::open(self.setting.config(), &deps, &ReplayProgress::new()).unwrap();
        self.files.set_odds(40, if self.faulty { 30 } else { 0 });
        store
    }

    fn commit(&mut self, store: &Storage) {
        self.setting.clock.advance(Duration::from_millis(1 + self.below(15_000)));
        let now = self.setting.now();
        let mut flying = Samples::new();
        let mut commit = Commit::default();
        let series = (0..4).map(|one| format!("s{one}"));
        let new = (self.below(4) == 0).then(|| format!("new{}", self.below(30)));
        for job in series.chain(new) {
            self.value += 1.0;
            let value = if self.below(3) == 0 { 7.0 } else { self.value / 3.0 };
            flying.entry(job.clone()).or_default().insert(now, value.to_bits());
            let one = Commit::of([(support::labels(&job), Timestamp::from_millis(now), value)]);
            let key = commit.name(one.labels[0].clone());
            commit
                .samples
                .push(watchbell::storage::append::AppendSample { series: key, ..one.samples[0] });
        }
        let behind = now <= self.latest;
        self.latest = self.latest.max(now);
        {
            let mut model = self.model.lock().unwrap();
            model.flying.clone_from(&flying);
            model.behind = behind;
        }
        let failed_before = self.files.faults().1;
        let synced = self.below(3) == 0;
        let done = if synced { store.commit_synced(&commit) } else { store.commit(&commit) };
        let mut model = self.model.lock().unwrap();
        model.flying.clear();
        if self.files.faults().1 > failed_before {
            model.limbo = model.taken.clone();
        }
        match done {
            Ok(done) => {
                assert!(done.refused.is_empty() || behind, "{:?}", done.refused);
                for (place, _) in done.refused {
                    let job = commit.labels_at(place).unwrap().value_of("job");
                    flying.remove(job);
                }
                add(&mut model.taken, &flying);
                if synced {
                    let Model { taken, limbo, durable, .. } = &mut *model;
                    for (job, ts, bits) in each(taken) {
                        if !has(limbo, job, ts, bits) {
                            durable.entry(job.to_owned()).or_default().insert(ts, bits);
                        }
                    }
                }
            }
            Err(err) => {
                assert!(self.faulty, "{err}");
                add(&mut model.maybe, &flying);
            }
        }
    }

    fn close(&self, store: &Storage) {
        self.files.set_odds(40, 0);
        store.close().unwrap();
        let mut model = self.model.lock().unwrap();
        model.limbo.clear();
        model.durable = model.taken.clone();
    }

    fn step(&mut self, store: Storage) -> Storage {
        let failed_before = self.files.faults().1;
        match self.below(21) {
            0..=12 => self.commit(&store),
            20 => {
                // Set back: samples are late until the clock has caught up.
                let back = i64::try_from(self.below(900_000)).unwrap();
                self.setting.clock.set_wall(Timestamp::from_millis(self.setting.now() - back));
            }
            13..=14 => {
                let span = Duration::from_secs(self.below(1800));
                self.setting.clock.advance(span);
            }
            15..=16 => assert!(store.maintain().is_ok() || self.faulty),
            17 => assert!(store.compact_all().is_ok() || self.faulty),
            18 => {
                drop(store);
                return self.open();
            }
            _ => {
                self.close(&store);
                drop(store);
                return self.open();
            }
        }
        if self.files.faults().1 > failed_before {
            let mut model = self.model.lock().unwrap();
            model.limbo = model.taken.clone();
        }
        store
    }
}

fn check(case: &Case, faulty: bool, about: &str) {
    let setting = Setting::new();
    restore(&case.image, setting.dir.path());
    let power = matches!(case.crash, Crash::PowerCut | Crash::PowerCutMixed);
    let Model { taken, durable, maybe, flying, behind, .. } = &case.model;
    // Opened twice: opening must not lose what it found.
    for round in 0..2 {
        let store = setting.open();
        let (found, warnings) = support::all_and_warnings(&store);
        for (job, ts, bits) in each(if power { durable } else { taken }) {
            assert!(
                has(&found, job, ts, bits),
                "{about}: {:?} lost {job} {ts}, round {round}; {warnings:?}; {:?}",
                case.crash,
                store.status().damages
            );
        }
        for (job, ts, bits) in each(&found) {
            let known = [taken, maybe, flying].iter().any(|all| has(all, job, ts, bits));
            assert!(known, "{about}: {:?} made up {job} {ts}", case.crash);
        }
        let there = each(flying).filter(|(job, ts, bits)| has(&found, job, *ts, *bits)).count();
        assert!(
            there == 0 || there == each(flying).count() || *behind,
            "{about}: {:?} tore a commit: {there}",
            case.crash
        );
        if case.crash == Crash::Kill && !faulty {
            assert_eq!(store.status().damages, [""; 0], "{about}");
            assert_eq!(warnings, [""; 0], "{about}");
        }
    }
}

fn env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn run(seed: u64) -> usize {
    let mut run = Run::new(seed);
    let mut store = run.open();
    for _ in 0..STEPS {
        store = run.step(store);
    }
    // Whatever went wrong before: with a disk and a clock that work all of it is well again.
    run.files.set_odds(0, 0);
    let latest = Timestamp::from_millis(run.latest.max(run.setting.now()));
    run.setting.clock.set_wall(latest);
    run.faulty = false;
    run.commit(&store);
    let now = support::all(&store);
    let model = run.model.lock().unwrap().clone();
    for (job, ts, bits) in each(&model.taken) {
        assert!(has(&now, job, ts, bits), "seed {seed}: lost {job} {ts} while running");
    }
    let cases = std::mem::take(&mut *run.cases.lock().unwrap());
    for (place, case) in cases.iter().enumerate() {
        check(case, seed % 2 == 1, &format!("seed {seed}, image {place}"));
    }
    cases.len()
}

#[test]
fn crashes_at_any_call_lose_nothing_that_was_promised() {
    let first = env("WATCHBELL_CRASH_FIRST", 1);
    let images: usize = (first..first + env("WATCHBELL_CRASH_SEEDS", 8)).map(run).sum();
    assert!(images > 0);
}
