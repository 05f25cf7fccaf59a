//! Selections and label queries over head and blocks, against a filter over all label sets.

use crate::support::{HOUR, Setting};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use watchbell::model::{Labels, MatchOp, Matcher, TimeRange, Timestamp};
use watchbell::storage::Storage;
use watchbell::storage::append::{Appender, Commit};
use watchbell::storage::source::{Columns, Source};

/// When a series has samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Early,
    Late,
    Throughout,
}

type Series = BTreeMap<Labels, Life>;

fn series() -> impl Strategy<Value = Series> {
    let labels = ("m|n", proptest::collection::btree_map("a|b|path", "[xy]{1,3}", 0..4));
    let labels = labels.prop_map(|(metric, rest)| {
        let rest = rest.into_iter();
        Labels::from_pairs(rest.chain([("__name__".to_owned(), metric)]))
    });
    let life = prop_oneof![Just(Life::Early), Just(Life::Late), Just(Life::Throughout)];
    proptest::collection::btree_map(labels, life, 1..60)
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let op = prop_oneof![
        Just(MatchOp::Equal),
        Just(MatchOp::NotEqual),
        Just(MatchOp::Regex),
        Just(MatchOp::NotRegex)
    ];
    let value = prop_oneof![
        Just(String::new()),
        "[mxy]{1,2}",
        "[xy]{1,2}[.][*+]",
        "x[|](yy)?",
        "(x[|]yx)?",
        Just(".*".to_owned()),
        Just(".+".to_owned()),
        Just(".*y".to_owned()),
        Just("[x-z]y?".to_owned()),
    ];
    ("a|b|path|__name__|absent", op, value)
        .prop_map(|(name, op, value)| Matcher::new(name, op, value).unwrap())
}

/// Two blocks and a head; how many samples each series has.
fn fill(setting: &Setting, store: &Storage, series: &Series) -> BTreeMap<Labels, usize> {
    let mut counts = BTreeMap::new();
    for (steps, gone) in [(36, Life::Late), (24, Life::Early)] {
        for _ in 0..steps {
            setting.clock.advance(Duration::from_mins(10));
            let at = Timestamp::from_millis(setting.now());
            let alive = series.iter().filter(|(_, life)| **life != gone).map(|(labels, _)| labels);
            let alive: Vec<Labels> = alive.cloned().collect();
            alive.iter().for_each(|one| *counts.entry(one.clone()).or_default() += 1);
            let commit = Commit::of(alive.into_iter().map(|labels| (labels, at, 1.0)));
            assert_eq!(store.commit(&commit).unwrap().refused, []);
        }
        store.maintain().unwrap();
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn selections_and_label_queries_find_what_a_filter_finds(
        series in series(),
        asked in proptest::collection::vec(proptest::collection::vec(matcher(), 1..4), 60),
    ) {
        let setting = Setting::new();
        let store = setting.open();
        let counts = fill(&setting, &store, &series);
        prop_assert!(store.status().blocks > 0);
        for matchers in &asked {
            let holds = |labels: &&Labels| matchers.iter().all(|one| one.matches(labels));
            let expected: Vec<&Labels> = series.keys().filter(holds).collect();
            let found = store.select(TimeRange::ALL, matchers, expected.len()).unwrap();
            prop_assert_eq!(
                found.series.iter().map(|one| &one.labels).collect::<Vec<_>>(), &*expected);
            for one in &found.series {
                let mut columns = Columns::default();
                one.read(TimeRange::ALL, &mut columns).unwrap();
                prop_assert_eq!(columns.len(), counts[&one.labels]);
            }
            let sets = store.series(TimeRange::ALL, matchers).unwrap();
            prop_assert_eq!(sets.iter().collect::<Vec<_>>(), &*expected);
            let pairs: BTreeSet<_> = expected.iter().flat_map(|labels| labels.iter()).collect();
            let names: BTreeSet<_> = pairs.iter().map(|(name, _)| *name).collect();
            let found = store.label_names(TimeRange::ALL, matchers).unwrap();
            prop_assert_eq!(found, names.into_iter().collect::<Vec<_>>());
            for name in ["a", "__name__", "absent"] {
                let values: Vec<_> =
                    pairs.iter().filter(|pair| pair.0 == name).map(|pair| pair.1).collect();
                let found = store.label_values(name, TimeRange::ALL, matchers).unwrap();
                prop_assert_eq!(found, values);
            }
        }
    }
}

#[test]
fn series_of_another_time_are_not_among_the_label_sets() {
    let setting = Setting::new();
    let store = setting.open();
    let labels = |a: &str| Labels::from_pairs([("__name__", "m"), ("a", a)]);
    let series = [("x", Life::Early), ("y", Life::Late), ("z", Life::Throughout)];
    fill(&setting, &store, &series.map(|(a, life)| (labels(a), life)).into());
    let named = [Matcher::equal("__name__", "m")];
    let end = setting.now();
    for (from, to, expected) in [
        (end - HOUR, end, vec!["y", "z"]),
        (end - 9 * HOUR, end - 8 * HOUR, vec!["x", "z"]),
        (end - 9 * HOUR, end, vec!["x", "y", "z"]),
        (0, 9, vec![]),
    ] {
        let range = TimeRange::new(Timestamp::from_millis(from), Timestamp::from_millis(to));
        let range = range.unwrap();
        assert_eq!(store.label_values("a", range, &named).unwrap(), expected);
        let found = store.series(range, &named).unwrap();
        assert_eq!(found, expected.iter().map(|a| labels(a)).collect::<Vec<_>>());
    }
}

#[test]
fn a_late_sample_brings_its_series_into_the_label_sets_of_its_time() {
    let setting = Setting::new();
    let mut config = setting.config();
    config.out_of_order_window = Duration::from_hours(5);
    let store = setting.open_with(config);
    let labels = Labels::from_pairs([("__name__", "m"), ("a", "x")]);
    let named = [Matcher::equal("__name__", "m")];
    for age in [0, 3 * HOUR] {
        let ts = Timestamp::from_millis(setting.now() - age);
        store.commit(&Commit::of([(labels.clone(), ts, 1.0)])).unwrap();
    }
    for (age, expected) in [(0, 1), (2 * HOUR, 0), (3 * HOUR, 1), (4 * HOUR, 0)] {
        let range = TimeRange::at(Timestamp::from_millis(setting.now() - age));
        let found = [
            store.select(range, &named, 9).unwrap().series.len(),
            store.series(range, &named).unwrap().len(),
            store.label_values("a", range, &named).unwrap().len(),
            store.label_names(range, &named).unwrap().len() / 2,
        ];
        assert_eq!(found, [expected; 4], "{age}");
    }
}
