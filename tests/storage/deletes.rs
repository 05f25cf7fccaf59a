//! Deletes and snapshots, with a plain map as the oracle.

use crate::support::{self, HOUR, Samples, Setting};
use proptest::prelude::*;
use std::time::Duration;
use watchbell::model::{MatchOp, Matcher, TimeRange, Timestamp};
use watchbell::storage::Storage;
use watchbell::storage::append::Appender;
use watchbell::storage::source::Source;

fn range(from: i64, to: i64) -> TimeRange {
    TimeRange::new(Timestamp::from_millis(from), Timestamp::from_millis(to)).unwrap()
}

fn job(job: &str) -> Vec<Matcher> {
    vec![Matcher::new("job", MatchOp::Equal, job).unwrap()]
}

#[track_caller]
fn delete(store: &Storage, oracle: &mut Samples, name: &str, from: i64, to: i64) {
    store.delete_series(range(from, to), &job(name)).unwrap();
    if let Some(samples) = oracle.get_mut(name) {
        samples.retain(|ts, _| !(from..=to).contains(ts));
    }
    oracle.retain(|_, samples| !samples.is_empty());
}

fn filled(store: &Storage) -> Samples {
    let mut found = support::all(store);
    found.retain(|_, samples| !samples.is_empty());
    found
}

#[test]
fn what_is_deleted_stays_away_through_crash_cut_merge_and_clean() {
    let setting = Setting::new();
    let store = setting.open();
    let mut oracle = support::fill(&setting, &store, 7 * HOUR, 30_000);
    store.maintain().unwrap();
    assert!(store.status().blocks > 0 && store.status().series == 3);
    let now = setting.now();
    // Across a block and the head; a whole series of blocks; everything of one series.
    delete(&store, &mut oracle, "a", now - 6 * HOUR, now - HOUR / 2);
    delete(&store, &mut oracle, "b", i64::MIN, now - 5 * HOUR);
    delete(&store, &mut oracle, "c", i64::MIN, i64::MAX);
    assert_eq!(filled(&store), oracle);
    drop(store);
    let store = setting.open();
    assert_eq!(filled(&store), oracle, "after a crash");
    // What comes later stays, also inside the span that was deleted.
    setting.clock.advance(Duration::from_secs(10));
    let at = setting.now();
    let done = store.commit(&support::commit(&[("c", at, 4.0)])).unwrap();
    assert_eq!(done.refused, []);
    oracle.entry("c".to_owned()).or_default().insert(at, 4.0_f64.to_bits());
    assert_eq!(filled(&store), oracle);
    store.close().unwrap();
    drop(store);
    let store = setting.open();
    assert_eq!(filled(&store), oracle, "after a clean stop");
    let before = store.status().block_bytes;
    store.clean_tombstones().unwrap();
    assert!(store.status().block_bytes < before, "{} bytes", before);
    assert_eq!(filled(&store), oracle, "after a clean");
    setting.clock.advance(Duration::from_secs(60));
    store.compact_all().unwrap();
    assert_eq!(filled(&store), oracle, "after a merge");
    drop(store);
    assert_eq!(filled(&setting.open()), oracle, "after another crash");
}

#[test]
fn a_series_is_not_listed_where_all_its_samples_are_deleted() {
    let setting = Setting::new();
    let store = setting.open();
    support::fill(&setting, &store, 4 * HOUR, 60_000);
    let listed = |range| {
        let found = store.series(range, &[]).unwrap();
        found.iter().map(|labels| labels.value_of("job").to_owned()).collect::<Vec<_>>()
    };
    let now = setting.now();
    for cut in [false, true] {
        if cut {
            setting.clock.advance(Duration::from_secs(60));
            store.compact_all().unwrap();
        }
        let (first, last) = if cut { ("b", "c") } else { ("a", "b") };
        store.delete_series(range(i64::MIN, now - HOUR), &job(first)).unwrap();
        assert!(!listed(range(now - 3 * HOUR, now - HOUR)).contains(&first.to_owned()), "{cut}");
        assert!(listed(range(now - 3 * HOUR, now)).contains(&first.to_owned()), "{cut}");
        assert!(listed(range(now - 3 * HOUR, now - HOUR)).contains(&last.to_owned()), "{cut}");
    }
}

#[test]
fn a_store_whose_blocks_are_all_deleted_shows_nothing_of_them_again() {
    let setting = Setting::new();
    let store = setting.open();
    support::fill(&setting, &store, 3 * HOUR, 60_000);
    setting.clock.advance(Duration::from_secs(60));
    store.compact_all().unwrap();
    let at = setting.now();
    store.commit(&support::commit(&[("a", at, 1.0)])).unwrap();
    store.delete_series(range(i64::MIN, at - 1), &[]).unwrap();
    store.clean_tombstones().unwrap();
    assert_eq!(store.status().blocks, 0);
    drop(store);
    let found = filled(&setting.open());
    assert_eq!(found.len(), 1);
    assert_eq!(found["a"].len(), 1);
}

#[test]
fn damaged_tombstones_are_told_and_the_block_is_read() {
    let setting = Setting::new();
    let store = setting.open();
    let oracle = support::fill(&setting, &store, 2 * HOUR, 60_000);
    setting.clock.advance(Duration::from_secs(60));
    store.compact_all().unwrap();
    store.delete_series(TimeRange::ALL, &job("a")).unwrap();
    assert!(!filled(&store).contains_key("a"));
    drop(store);
    let path = support::find(setting.dir.path(), "tombstones");
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let store = setting.open();
    assert!(store.status().damages.iter().any(|note| note.contains("tombstones")));
    assert_eq!(filled(&store), oracle);
}

#[test]
fn a_snapshot_opens_as_a_store() {
    let setting = Setting::new();
    let store = setting.open();
    let mut oracle = support::fill(&setting, &store, 5 * HOUR, 30_000);
    store.maintain().unwrap();
    let now = setting.now();
    delete(&store, &mut oracle, "b", i64::MIN, now - HOUR);
    let whole = store.snapshot(false).unwrap();
    let blocks_only = store.snapshot(true).unwrap();
    assert!(whole.starts_with("20250615T") && whole.len() == 33, "{whole}");
    // What happens to the store does not happen to its snapshots.
    store.delete_series(TimeRange::ALL, &[]).unwrap();
    store.clean_tombstones().unwrap();
    drop(store);
    for (name, is_whole) in [(whole, true), (blocks_only, false)] {
        let mut config = setting.config();
        config.dir = setting.dir.path().join("snapshots").join(&name);
        let copy = setting.open_with(config);
        assert_eq!(copy.status().damages, [""; 0]);
        let found = filled(&copy);
        if is_whole {
            assert_eq!(found, oracle);
        } else {
            let newest = found.values().flat_map(|samples| samples.keys()).max().unwrap();
            let older = |samples: &std::collections::BTreeMap<i64, u64>| {
                samples.range(..=newest).map(|(ts, bits)| (*ts, *bits)).collect()
            };
            let expected: Samples =
                oracle.iter().map(|(name, samples)| (name.clone(), older(samples))).collect();
            assert!(*newest < now - HOUR);
            assert_eq!(found, expected.into_iter().filter(|(_, s)| !s.is_empty()).collect());
        }
        // It goes on as a store.
        setting.clock.advance(Duration::from_secs(60));
        let at = setting.now();
        assert_eq!(copy.commit(&support::commit(&[("a", at, 1.0)])).unwrap().refused, []);
    }
}

#[test]
fn an_unfinished_snapshot_goes_with_the_next_start() {
    let setting = Setting::new();
    let half = setting.dir.path().join("snapshots/tmp-x/blocks");
    std::fs::create_dir_all(&half).unwrap();
    drop(setting.open());
    assert!(!half.exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_deletes_between_any_maintenance_match_the_oracle(
        steps in proptest::collection::vec((0_u8..6, 0_usize..3, 0_i64..300, 0_i64..300), 1..8),
    ) {
        let setting = Setting::new();
        let mut store = setting.open();
        let mut oracle = Samples::new();
        for (what, series, ago, span) in steps {
            for (name, samples) in support::fill(&setting, &store, HOUR, 300_000) {
                oracle.entry(name).or_default().extend(samples);
            }
            let from = setting.now() - ago * 60_000;
            delete(&store, &mut oracle, ["a", "b", "c"][series], from, from + span * 60_000);
            match what {
                0 => store.maintain().unwrap(),
                1 => store.clean_tombstones().unwrap(),
                2 => {
                    setting.clock.advance(Duration::from_secs(60));
                    store.compact_all().unwrap();
                }
                3 => {
                    drop(store);
                    store = setting.open();
                }
                4 => {
                    store.close().unwrap();
                    drop(store);
                    store = setting.open();
                }
                _ => {}
            }
            prop_assert_eq!(&filled(&store), &oracle);
        }
    }
}
