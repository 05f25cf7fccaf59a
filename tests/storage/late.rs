//! The out-of-order window: late samples are read at once, survive a kill, and end in blocks.

use crate::support::{self, HOUR, Setting, labels};
use proptest::prelude::*;
use std::time::Duration;
use watchbell::model::{Timestamp, stale_nan};
use watchbell::storage::Storage;
use watchbell::storage::append::{Appender, Commit, Refusal};
use watchbell::storage::config::{Config, StorageSettings, TsdbSettings};
use watchbell::sys::settings::Span;

const MINUTE: i64 = 60_000;
const WINDOW: i64 = 5 * HOUR;

fn config(setting: &Setting) -> Config {
    let mut config = setting.config();
    config.out_of_order_window = Duration::from_millis(WINDOW.unsigned_abs());
    config
}

#[track_caller]
fn refusals(store: &Storage, list: &[(&str, i64, f64)]) -> Vec<(usize, Refusal)> {
    store.commit(&support::commit(list)).unwrap().refused
}

#[test]
fn t82_a_late_sample_is_read_at_once_and_stays_whatever_comes() {
    let setting = Setting::new();
    let mut store = setting.open_with(config(&setting));
    let mut expected = support::fill(&setting, &store, 3 * HOUR, MINUTE);
    let now = setting.now();
    let late = [("a", now - HOUR - 1), ("b", now - 4 * HOUR), ("new", now - 2 * HOUR)];
    let list = late.map(|(job, ts)| (job, ts, ts as f64));
    // The third begins its series, and no block is cut yet.
    assert_eq!(store.commit(&support::commit(&list)).unwrap().late, 2);
    for (job, ts, value) in list {
        expected.entry(job.to_owned()).or_default().insert(ts, value.to_bits());
    }
    assert_eq!(support::all(&store), expected);
    drop(store);
    store = setting.open_with(config(&setting));
    assert_eq!(support::all(&store), expected, "after a kill");
    store.close().unwrap();
    drop(store);
    store = setting.open_with(config(&setting));
    assert_eq!(support::all(&store), expected, "after a checkpoint");
    setting.clock.advance(Duration::from_secs(60));
    store.compact_all().unwrap();
    assert_eq!(support::all(&store), expected, "in blocks");
    drop(store);
    store = setting.open_with(config(&setting));
    assert_eq!(support::all(&store), expected, "in blocks, after a kill");
    assert_eq!(store.status().damages, [""; 0]);
}

#[test]
fn duplicates_and_what_is_behind_the_window_are_refused() {
    let setting = Setting::new();
    let store = setting.open_with(config(&setting));
    let now = setting.now();
    let ago = |minutes: i64| now - minutes * MINUTE;
    let first = [("a", ago(3), 1.0), ("a", ago(1), 1.0), ("a", ago(0), 1.0)];
    assert_eq!(refusals(&store, &first), []);
    assert_eq!(refusals(&store, &[("a", ago(2), 2.0)]), []);
    let open_chunk = [("a", ago(1), 1.0), ("a", ago(1), 9.0)];
    assert_eq!(refusals(&store, &open_chunk), [(1, Refusal::Duplicate)]);
    let beside_it = [("a", ago(2), 2.0), ("a", ago(2), 9.0)];
    assert_eq!(refusals(&store, &beside_it), [(1, Refusal::Duplicate)]);
    let in_one = [("a", ago(9), 1.0), ("a", ago(9), 9.0), ("z", ago(0), 1.0), ("z", ago(0), 2.0)];
    assert_eq!(refusals(&store, &in_one), [(1, Refusal::Duplicate), (3, Refusal::Duplicate)]);
    let old = [("a", now - WINDOW, 1.0), ("a", now - WINDOW - 1, 1.0)];
    assert_eq!(refusals(&store, &old), [(1, Refusal::TooOld)]);
    assert_eq!(support::all(&store)["a"].len(), 6);
}

#[test]
fn t7_ends_that_come_late_are_refused_inside_the_window_too() {
    let setting = Setting::new();
    let store = setting.open_with(config(&setting));
    let now = setting.now();
    store.commit(&support::commit(&[("a", now, 1.0)])).unwrap();
    let mut end = support::commit(&[("a", now - MINUTE, stale_nan())]);
    end.in_order_only = true;
    assert_eq!(store.commit(&end).unwrap().refused, [(0, Refusal::OutOfOrder)]);
    end.in_order_only = false;
    assert_eq!(store.commit(&end).unwrap().refused, []);
}

#[test]
fn the_window_may_change_while_running() {
    let setting = Setting::new();
    let store = setting.open();
    let now = setting.now();
    let late = [("a", now - MINUTE, 2.0)];
    assert_eq!(refusals(&store, &[("a", now, 1.0)]), []);
    assert_eq!(refusals(&store, &late), [(0, Refusal::OutOfOrder)]);
    let window = Span(Duration::from_secs(600));
    let tsdb = TsdbSettings { out_of_order_time_window: window, ..Default::default() };
    store.reconfigure(&StorageSettings { tsdb, ..Default::default() });
    assert_eq!(refusals(&store, &late), []);
    store.reconfigure(&StorageSettings::default());
    assert_eq!(refusals(&store, &[("a", now - 2 * MINUTE, 2.0)]), [(0, Refusal::OutOfOrder)]);
    assert_eq!(support::all(&store)["a"].len(), 2);
}

#[derive(Clone, Debug)]
enum Step {
    /// Series and minutes back.
    Commit(Vec<(u8, u16)>),
    Pass(u32),
    Maintain,
    Compact,
    Crash,
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let back = prop_oneof![3 => 0_u16..5, 3 => 0_u16..400];
    let commit = proptest::collection::vec((0_u8..4, back), 1..20);
    prop_oneof![
        6 => commit.prop_map(Step::Commit),
        4 => (1_u32..4_000).prop_map(Step::Pass),
        2 => Just(Step::Maintain),
        1 => Just(Step::Compact),
        1 => Just(Step::Crash),
        1 => Just(Step::Close),
    ]
}

/// Commits and notes what must be there; what is refused must be behind the window.
fn commit(setting: &Setting, store: &Storage, oracle: &mut support::Samples, list: &[(u8, u16)]) {
    let newest = oracle.values().filter_map(|one| one.keys().last()).max().copied();
    let newest = newest.unwrap_or(setting.now());
    let now = setting.now().div_euclid(MINUTE) * MINUTE;
    let samples: Vec<_> = list
        .iter()
        .map(|(series, back)| (format!("s{series}"), now - i64::from(*back) * MINUTE))
        .collect();
    let value = |ts: i64| (ts % 7919) as f64;
    let commit = Commit::of(
        samples.iter().map(|(job, ts)| (labels(job), Timestamp::from_millis(*ts), value(*ts))),
    );
    let refused = store.commit(&commit).unwrap().refused;
    for (place, (job, ts)) in samples.into_iter().enumerate() {
        let why = refused.iter().find(|(refused, _)| *refused == place);
        if why.is_none() {
            oracle.entry(job).or_default().insert(ts, value(ts).to_bits());
        } else {
            assert!(ts <= newest - WINDOW, "{job} {ts}: {why:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn with_a_window_the_store_answers_as_a_map(steps in proptest::collection::vec(step(), 1..50)) {
        let setting = Setting::new();
        let open = || setting.open_with(config(&setting));
        let mut store = open();
        let mut oracle = support::Samples::new();
        for step in steps {
            match step {
                Step::Commit(list) => commit(&setting, &store, &mut oracle, &list),
                Step::Pass(seconds) => setting.clock.advance(Duration::from_secs(seconds.into())),
                Step::Maintain => store.maintain().unwrap(),
                Step::Compact => store.compact_all().unwrap(),
                Step::Crash => {
                    drop(store);
                    store = open();
                }
                Step::Close => {
                    store.close().unwrap();
                    drop(store);
                    store = open();
                }
            }
            prop_assert_eq!(support::all(&store), oracle.clone());
        }
        prop_assert_eq!(&store.status().damages, &Vec::<String>::new());
    }
}

#[test]
fn a_sample_older_than_the_head_is_cut_when_its_series_was_kept_for_late_ones() {
    let setting = Setting::new();
    let store = setting.open_with(config(&setting));
    let mut oracle = support::Samples::new();
    commit(&setting, &store, &mut oracle, &[(2, 0), (2, 1)]);
    store.compact_all().unwrap();
    setting.clock.advance(Duration::from_secs(3_620));
    commit(&setting, &store, &mut oracle, &[(0, 0)]);
    setting.clock.advance(Duration::from_secs(5_700));
    // The first is in order for its series, and older than all that the head has.
    let list = [(2, 155), (3, 2), (1, 4), (0, 156), (0, 350), (2, 213)];
    commit(&setting, &store, &mut oracle, &list);
    store.compact_all().unwrap();
    assert_eq!(support::all(&store), oracle);
}
