//! What back-filling writes over stored history beside what the same groups write when they are
//! evaluated at their slots while the history comes in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use watchbell::model::{Labels, METRIC_NAME, MatchOp, Matcher, TimeRange, Timestamp, is_stale_nan};
use watchbell::promql::{Config as EngineConfig, Engine, Options};
use watchbell::rules::config::RuleFile;
use watchbell::rules::{
    Backfill, BackfillError, Backfilled, Context, Group, Progress, Querier, QuerySample, answer,
};
use watchbell::storage::append::{Appender as _, Commit};
use watchbell::storage::config::{Config, WalSync};
use watchbell::storage::source::{Columns, Source as _};
use watchbell::storage::{Deps, ReplayProgress, Storage};
use watchbell::sys::files::SystemFiles;
use watchbell::sys::metrics::Registry;
use watchbell::sys::sim::{SeededEntropy, VirtualClock};

const START: i64 = 1_700_000_000_000;
const HOURS: i64 = 5;
const END: i64 = START + HOURS * 3_600_000;
const RULES: &str = "
groups:
- name: first
  interval: 1m
  query_offset: 30s
  labels: {group: first}
  rules:
  - {record: 'a:sum', expr: 'sum by (job) (m)', labels: {team: x, group: own}}
  - {record: 'a:rate', expr: 'rate(c[5m])'}
  - {record: 'a:chain', expr: 'avg_over_time({__name__=~\"a:s.m\"}[10m]) + 1'}
  - {record: 'a:chain:chain', expr: 'max(a:chain)'}
  - {record: 'a:some', expr: 'm > 5'}
  - {record: 'a:matched', expr: 'm * on (job) n'}
  - {record: 'a:same', expr: 'm', labels: {k: ''}}
  - {record: 'a:scalar', expr: '1 + 1'}
  - {record: 'a:time', expr: 'vector(time())'}
  - {record: 'a:at', expr: 'm @ start() - m @ end() + time()'}
  - {record: 'a:text', expr: '\"text\"'}
  - {alert: Passed, expr: 'm > 5'}
- name: second
  limit: 3
  rules:
  - {record: 'b:limited', expr: 'm'}
  - {record: 'b:first', expr: 'sum(b:limited)'}
";

struct Scene {
    clock: VirtualClock,
    storage: Storage,
    engine: Engine,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = VirtualClock::at(Timestamp::from_millis(END));
        let mut config = Config::at(folder.path());
        config.wal_sync = WalSync::Off;
        config.min_free_bytes = Some(0);
        config.ballast_bytes = 0;
        let deps = Deps {
            files: Arc::new(SystemFiles),
            clock: Arc::new(clock.clone()),
            entropy: Arc::new(SeededEntropy::new(1)),
            registry: Registry::new(),
        };
        let storage = Storage::open(config, &deps, &ReplayProgress::new()).expect("opens");
        let engine = Engine::new(EngineConfig::default(), Arc::new(clock.clone()));
        Self { clock, storage, engine, _folder: folder }
    }

    /// One with the history in blocks.
    fn imported() -> Self {
        let scene = Self::new();
        let mut importer = scene.storage.import();
        for (ts, labels, value) in history() {
            let series = importer.series(labels).expect("there is room");
            importer.push(series, ts, value).expect("writes");
        }
        importer.finish().expect("writes");
        scene
    }

    /// All samples of series whose names this matches, markers as text.
    fn samples(&self, name: &str) -> BTreeMap<Labels, Vec<(i64, String)>> {
        let matcher = Matcher::new(METRIC_NAME, MatchOp::Regex, name).expect("an expression");
        let found = self.storage.select(TimeRange::ALL, &[matcher], 1_000).expect("reads");
        let read = |series: watchbell::storage::source::SelectedSeries| {
            let mut columns = Columns::default();
            series.read(TimeRange::ALL, &mut columns).expect("reads");
            let values = columns.values.iter().map(|value| match is_stale_nan(*value) {
                true => "end".to_owned(),
                false => format!("{value:e}"),
            });
            (series.labels, columns.ts.iter().copied().zip(values).collect())
        };
        found.series.into_iter().map(read).collect()
    }

    fn fill(
        &self,
        rules: &RuleFile,
        tell: &mut dyn FnMut(&Progress) -> bool,
    ) -> Result<Backfilled, BackfillError> {
        let backfill = Backfill {
            groups: rules.groups.iter().map(|group| ("r.yml".to_owned(), group)).collect(),
            start: Timestamp::from_millis(START),
            end: Timestamp::from_millis(END),
            interval: Duration::from_secs(120),
            query_offset: Duration::ZERO,
        };
        backfill.run(&self.storage, &self.engine, tell)
    }
}

/// What targets exposed, in order of time: series come and go, and sometimes there are more.
fn history() -> Vec<(i64, Labels, f64)> {
    let series = |name: &str, k: &str, job: &str| {
        Labels::from_pairs([(METRIC_NAME, name), ("k", k), ("job", job)])
    };
    let mut all = Vec::new();
    for (step, ts) in (START - 600_000..=END).step_by(15_000).enumerate() {
        let step = u32::try_from(step).expect("is small");
        for (number, k) in (0_u32..).zip(["a", "b", "c", "d"]) {
            // Each is away for some of its time.
            let is_there = (step / 37 + number) % (number + 2) != 0;
            if is_there {
                let job = if number < 2 { "x" } else { "y" };
                let value = f64::from((step * 7 + number * 11) % 13) + 0.1;
                all.push((ts, series("m", k, job), value));
            }
        }
        all.push((ts, series("c", "a", "x"), f64::from(step % 211) * 3.3));
        all.push((ts, series("n", "a", "x"), 2.0));
        if (step / 100) % 3 == 1 {
            all.push((ts, series("n", "b", "x"), 3.0));
        }
    }
    all
}

fn rules(text: &str) -> RuleFile {
    serde_yaml::from_str(text).expect("a rule file")
}

#[derive(Debug)]
struct Asks<'a>(&'a Engine, &'a Storage);

impl Querier for Asks<'_> {
    fn instant(&self, query: &str, at: Timestamp) -> Result<Vec<QuerySample>, String> {
        let query = self.0.parse(query).map_err(|err| err.to_string())?;
        let found = self.0.instant(self.1, &query, at, &Options::default());
        answer(found.map_err(|err| err.to_string())?.value)
    }
}

/// Evaluates the groups at their slots while the history comes in; how often each rule failed.
fn live(scene: &Scene, rules: &RuleFile) -> BTreeMap<String, usize> {
    let context = Context {
        interval: Duration::from_secs(120),
        scrape_interval: Duration::ZERO,
        query_offset: Duration::ZERO,
        resend_delay: Duration::from_secs(60),
        outage_tolerance: Duration::ZERO,
        grace_period: Duration::ZERO,
        external_labels: Labels::empty(),
        external_url: String::new(),
        registry: Registry::new(),
        slots: None,
    };
    let mut groups: Vec<(Timestamp, Group)> = rules
        .groups
        .iter()
        .map(|config| Group::new("r.yml", config, &context))
        .map(|group| (group.next_after(Timestamp::from_millis(START - 1)), group))
        .collect();
    let mut history = history().into_iter().peekable();
    let mut failed = BTreeMap::new();
    loop {
        let next = groups.iter_mut().min_by_key(|(slot, _)| *slot).expect("a group");
        let slot = next.0;
        if slot.as_millis() > END {
            return failed;
        }
        let mut come = Vec::new();
        while let Some((ts, labels, value)) = history.next_if(|(ts, ..)| *ts <= slot.as_millis()) {
            come.push((labels, Timestamp::from_millis(ts), value));
        }
        let done = scene.storage.commit(&Commit::of(come)).expect("writes");
        assert_eq!(done.refused, []);
        let asks = Asks(&scene.engine, &scene.storage);
        let evaluation = next.1.evaluate(slot, &context, &asks, &scene.storage, &scene.clock);
        for failure in evaluation.failures {
            *failed.entry(failure.rule).or_default() += 1;
        }
        next.0 = slot.plus(next.1.interval());
    }
}

#[test]
fn it_writes_what_groups_write_that_are_there() {
    let rules = rules(RULES);
    let (filled, lived) = (Scene::imported(), Scene::new());
    let mut shares = Vec::new();
    let done = filled.fill(&rules, &mut |progress| {
        shares.push(progress.share);
        true
    });
    let done = done.expect("the store works");
    let failed = live(&lived, &rules);
    let (ours, theirs) = (filled.samples("[ab]:.*"), lived.samples("[ab]:.*"));
    let names: BTreeSet<_> = ours.keys().filter_map(|one| one.get(METRIC_NAME)).collect();
    assert_eq!(names.len(), 12, "{names:?}");
    for (labels, samples) in &theirs {
        assert_eq!(ours.get(labels), Some(samples), "{labels}");
    }
    assert_eq!(ours.len(), theirs.len());
    let ends = ours.values().flatten().filter(|(_, value)| value == "end").count();
    assert!(ends > 20, "{ends} series ended");

    let told: BTreeMap<String, usize> =
        done.failures.iter().map(|one| (one.rule.clone(), one.slots)).collect();
    let mut failed = failed;
    // A rule that can never work is given up at once.
    assert!(failed.remove("a:text") > Some(100));
    assert_eq!(told.get("a:text"), Some(&1));
    assert!(told.iter().all(|(rule, slots)| rule == "a:text" || failed.get(rule) == Some(slots)));
    assert_eq!(told.len(), failed.len() + 1, "{told:?} {failed:?}");
    assert!(failed.len() == 3 && failed.values().all(|slots| *slots > 10), "{failed:?}");

    assert_eq!((done.rules, done.alerting), (13, 1));
    assert_eq!(done.samples, ours.values().map(|all| all.len() as u64).sum::<u64>());
    assert!(shares.is_sorted() && shares.last() == Some(&1.0), "{shares:?}");
    assert_eq!(done.had_samples, Vec::<String>::new());
}

#[test]
fn done_again_it_says_that_there_are_samples_and_changes_nothing() {
    let rules = rules("groups: [{name: g, rules: [{record: 'a:sum', expr: 'sum(m)'}]}]");
    let scene = Scene::imported();
    let first = scene.fill(&rules, &mut |_| true).expect("works");
    let before = scene.samples("a:sum");
    let again = scene.fill(&rules, &mut |_| true).expect("works");
    assert_eq!((first.had_samples.len(), again.had_samples), (0, vec!["a:sum".to_owned()]));
    assert_eq!(scene.samples("a:sum"), before);
}

#[test]
fn stopped_it_leaves_nothing_of_what_was_under_way() {
    let rules = rules(
        "groups: [{name: g, rules: [{record: a, expr: 'sum(m)'}, {record: b, expr: 'count(m)'}]}]",
    );
    let scene = Scene::imported();
    let mut calls = 0;
    let stopped = scene.fill(&rules, &mut |_| {
        calls += 1;
        calls < 4
    });
    assert!(matches!(stopped, Err(BackfillError::Stopped)), "{stopped:?}");
    assert_eq!(scene.samples("a|b"), BTreeMap::new());
}

#[test]
fn a_time_that_is_none_or_too_long_is_refused() {
    let scene = Scene::new();
    let fill = |text: &str, start: i64| {
        let rules = rules(text);
        let backfill = Backfill {
            groups: rules.groups.iter().map(|group| ("r.yml".to_owned(), group)).collect(),
            start: Timestamp::from_millis(start),
            end: Timestamp::from_millis(END),
            interval: Duration::from_secs(60),
            query_offset: Duration::ZERO,
        };
        backfill.run(&scene.storage, &scene.engine, &mut |_| true)
    };
    let rule = "rules: [{record: a, expr: '1'}]";
    let often = format!("groups: [{{name: g, interval: 1ms, {rule}}}]");
    let usual = format!("groups: [{{name: g, {rule}}}]");
    assert!(matches!(fill(&usual, END + 1), Err(BackfillError::NoTime)));
    assert!(matches!(fill(&often, START), Err(BackfillError::TooLong { .. })));
    // Between two slots.
    let done = fill(&usual, END).expect("works");
    assert!(done.samples <= 1, "{done:?}");
}
