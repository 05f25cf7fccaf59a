//! The store from outside: commits, cuts, restarts and damage on a real file system, with a plain
//! map as the oracle.

#[cfg(test)]
mod crash;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod deletes;
#[cfg(test)]
mod late;
#[cfg(test)]
mod looking;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod shadow;
#[cfg(test)]
mod support;

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;
use support::{HOUR, START, Setting, labels};
use watchbell::model::{
    Exemplar, MatchOp, Matcher, Metadata, MetricType, TimeRange, Timestamp, stale_nan,
};
use watchbell::storage::Error;
use watchbell::storage::append::{
    AppendError, AppendExemplar, Appender, Commit, Refusal, SeriesKey,
};
use watchbell::storage::check::Told;
use watchbell::storage::config::StorageSettings;
use watchbell::storage::source::{Source, SourceError};

#[test]
fn what_was_committed_is_there_after_a_crash_and_after_a_clean_stop() {
    let setting = Setting::new();
    for clean in [false, true] {
        let store = setting.open();
        let before = support::all(&store);
        let at = setting.now() - 1000;
        store.commit(&support::commit(&[("a", at, 1.0), ("b", at, f64::NAN)])).unwrap();
        let mut expected = before;
        expected.entry("a".to_owned()).or_default().insert(at, 1.0_f64.to_bits());
        expected.entry("b".to_owned()).or_default().insert(at, f64::NAN.to_bits());
        if clean {
            store.close().unwrap();
            let again = store.commit(&Commit::default());
            assert!(matches!(again, Err(AppendError::Closed)), "{again:?}");
        }
        drop(store);
        let store = setting.open();
        assert_eq!(support::all(&store), expected, "clean: {clean}");
        drop(store);
        setting.clock.advance(Duration::from_secs(10));
    }
}

#[test]
fn t80_the_same_sample_again_is_fine_and_another_value_is_a_duplicate() {
    let setting = Setting::new();
    let store = setting.open();
    let at = setting.now();
    // A marker begins no series.
    let none = store.commit(&support::commit(&[("a", at - 5, stale_nan())])).unwrap();
    assert_eq!((none.refs, none.created, none.taken), (vec![None], 0, 0));
    let list = [("a", at - 5, 1.0), ("a", at, stale_nan())];
    let first = store.commit(&support::commit(&list)).unwrap();
    for (ts, value, expected) in [
        (at, stale_nan(), None),
        (at, f64::NAN, Some(Refusal::Duplicate)),
        (at - 1, 1.0, Some(Refusal::OutOfOrder)),
        (at + 300_001, 1.0, Some(Refusal::TooFarAhead)),
        (at + 1, 1.0, None),
    ] {
        let mut commit = support::commit(&[("a", ts, value)]);
        for known in [None, first.refs[0]] {
            if let Some(known) = known {
                commit.samples[0].series = SeriesKey::Known(known);
                commit.labels.clear();
            }
            let done = store.commit(&commit).unwrap();
            assert_eq!(done.refused.first().map(|(_, why)| *why), expected, "{ts} {value}");
            assert!(done.refs.iter().all(|found| *found == first.refs[0]));
        }
    }
    assert_eq!(support::all(&store)["a"].len(), 3);
    assert_eq!(store.status().refused_total, 6);
}

#[test]
fn one_commit_may_bring_many_samples_of_a_new_series() {
    let setting = Setting::new();
    let store = setting.open();
    let at = setting.now() - 10_000;
    let done = store
        .commit_synced(&support::commit(&[("a", at, 1.0), ("a", at + 1, 2.0), ("a", at + 1, 3.0)]))
        .unwrap();
    assert_eq!((done.created, done.refused.len()), (1, 1));
    assert_eq!(done.refs[0], done.refs[1]);
    assert_eq!(support::all(&store)["a"].len(), 2);
}

#[test]
fn a_fresh_store_takes_three_hours_of_history_series_by_series() {
    let setting = Setting::new();
    let store = setting.open();
    for name in ["a", "b"] {
        for minute in 0..=179 {
            let at = setting.now() - 3 * HOUR + minute * 60_000;
            let done = store.commit_synced(&support::commit(&[(name, at, 1.0)])).unwrap();
            assert_eq!(done.refused, [], "{name} {minute}");
        }
    }
    assert!(support::all(&store).values().all(|samples| samples.len() == 180));
    // Once a block was cut, an hour behind the newest sample is too old.
    store.compact_all().unwrap();
    let at = setting.now();
    store.commit(&support::commit(&[("a", at, 1.0)])).unwrap();
    let late = store.commit(&support::commit(&[("c", at - HOUR - 1, 1.0)])).unwrap();
    assert_eq!(late.refused, [(0, Refusal::TooOld)]);
}

#[test]
fn labels_that_no_series_may_have_are_refused_and_the_series_limit_holds() {
    let setting = Setting::new();
    let mut config = setting.config();
    config.series_max = 2;
    let store = setting.open_with(config);
    let at = setting.now();
    let mut commit = support::commit(&[("a", at, 1.0), ("b", at, 1.0), ("c", at, 1.0)]);
    commit.labels.push(watchbell::model::Labels::from_pairs([("job", "x")]));
    let mut nameless = commit.samples[0];
    nameless.series = SeriesKey::New(3);
    commit.samples.push(nameless);
    let done = store.commit(&commit).unwrap();
    assert_eq!(done.refused, [(2, Refusal::SeriesLimit), (3, Refusal::BadLabels)]);
}

#[test]
fn when_memory_is_short_new_series_are_refused_and_those_that_are_there_go_on() {
    let setting = Setting::new();
    let store = setting.open();
    let at = setting.now() - 1000;
    store.commit(&support::commit(&[("a", at, 1.0)])).unwrap();
    store.set_memory_short(true);
    store.reconfigure(&watchbell::storage::config::StorageSettings::default());
    let done = store.commit(&support::commit(&[("a", at + 1, 2.0), ("b", at, 1.0)])).unwrap();
    assert_eq!((done.taken, done.refused), (1, vec![(1, Refusal::Memory)]));
    assert_eq!(store.status().refused_total, 1);
    store.set_memory_short(false);
    let done = store.commit(&support::commit(&[("b", at, 1.0)])).unwrap();
    assert_eq!((done.taken, done.created), (1, 1));
}

#[test]
fn a_block_is_cut_read_back_and_survives_a_restart() {
    let setting = Setting::new();
    let store = setting.open();
    let expected = support::fill(&setting, &store, 5 * HOUR, 30_000);
    for _ in 0..4 {
        store.maintain().unwrap();
    }
    let blocks = store.status().blocks;
    assert!(blocks >= 1);
    assert_eq!(support::all(&store), expected);
    drop(store);
    let store = setting.open();
    assert_eq!(store.status().blocks, blocks);
    assert_eq!(support::all(&store), expected);
    assert_eq!(store.status().damages, [""; 0]);
    store.compact_all().unwrap();
    assert_eq!(support::all(&store), expected);
    drop(store);
    assert_eq!(support::all(&setting.open()), expected);
}

#[test]
fn t79_retention_drops_whole_blocks_by_time_and_by_size() {
    let setting = Setting::new();
    let mut config = setting.config();
    config.retention_time = Some(Duration::from_secs(4 * 3600));
    let store = setting.open_with(config.clone());
    support::fill(&setting, &store, 12 * HOUR, 60_000);
    for _ in 0..12 {
        store.maintain().unwrap();
    }
    let newest = store.status().newest.unwrap();
    let oldest = store.status().oldest.unwrap();
    assert!(newest.millis_since(oldest) >= 4 * HOUR, "the newest four hours stay");
    assert!(newest.millis_since(oldest) <= 10 * HOUR, "older blocks are gone");
    // The whole disk leaves all, a share of it that is a few bytes nothing; and flags come back.
    let share = |text: &str| {
        let text = format!("tsdb: {{retention: {{percentage: {text}}}}}");
        serde_yaml::from_str::<StorageSettings>(&text).unwrap()
    };
    let blocks = store.status().blocks;
    store.reconfigure(&share("100"));
    store.maintain().unwrap();
    assert_eq!(store.status().blocks, blocks);
    assert_eq!(store.status().retention, "100%");
    store.reconfigure(&share("0.000000000001"));
    store.maintain().unwrap();
    assert_eq!(store.status().blocks, 0);
    store.reconfigure(&StorageSettings::default());
    assert_eq!(store.status().retention, "4h");
    support::fill(&setting, &store, 6 * HOUR, 60_000);
    store.maintain().unwrap();
    assert!(store.status().blocks > 0);
    let newest = store.status().newest.unwrap();
    drop(store);
    config.retention_time = None;
    config.retention_bytes = Some(1);
    let store = setting.open_with(config);
    store.maintain().unwrap();
    assert_eq!(store.status().blocks, 0);
    assert_eq!(support::all(&store)["a"].keys().max(), Some(&newest.as_millis()));
}

#[test]
fn matchers_find_series_in_head_and_blocks_sorted() {
    let setting = Setting::new();
    let store = setting.open();
    support::fill(&setting, &store, 4 * HOUR, 60_000);
    store.maintain().unwrap();
    assert_eq!(store.status().blocks, 1);
    let everywhere = TimeRange::ALL;
    for (op, value, expected) in [
        (MatchOp::Equal, "a", vec!["a"]),
        (MatchOp::NotEqual, "a", vec!["b", "c"]),
        (MatchOp::Regex, "c|a", vec!["a", "c"]),
        (MatchOp::Regex, "[bc]", vec!["b", "c"]),
        (MatchOp::NotRegex, ".*", vec![]),
        (MatchOp::Equal, "", vec![]),
    ] {
        let matcher = Matcher::new("job", op, value).unwrap();
        let found = store.select(everywhere, std::slice::from_ref(&matcher), 9).unwrap();
        let jobs: Vec<_> = found.series.iter().map(|one| one.labels.value_of("job")).collect();
        assert_eq!(jobs, expected, "{matcher}");
        let sets = store.series(everywhere, &[matcher]).unwrap();
        assert_eq!(sets.len(), expected.len());
    }
    assert_eq!(store.label_names(everywhere, &[]).unwrap(), ["__name__", "job"]);
    assert_eq!(store.label_values("job", everywhere, &[]).unwrap(), ["a", "b", "c"]);
    let only = [Matcher::equal("job", "b")];
    assert_eq!(store.label_values("job", everywhere, &only).unwrap(), ["b"]);
    let too_many = store.select(everywhere, &[], 2);
    assert!(matches!(too_many, Err(SourceError::TooManySeries { limit: 2 })), "{too_many:?}");
    let long_ago = TimeRange::at(Timestamp::from_millis(5));
    assert_eq!(store.select(long_ago, &[], 9).unwrap().series.len(), 0);
}

#[test]
fn a_damaged_chunk_is_a_warning_and_never_a_value() {
    let setting = Setting::new();
    let store = setting.open();
    let expected = support::fill(&setting, &store, 4 * HOUR, 60_000);
    store.maintain().unwrap();
    store.close().unwrap();
    drop(store);
    let chunks = support::find(setting.dir.path(), "chunks");
    let mut bytes = std::fs::read(&chunks).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&chunks, bytes).unwrap();
    let store = setting.open();
    let (found, warnings) = support::all_and_warnings(&store);
    // The three series share a page: each is named.
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings.iter().all(|why| why.contains("checksum")), "{warnings:?}");
    assert_ne!(found, expected);
    for (name, samples) in found {
        assert!(samples.iter().all(|(ts, bits)| expected[&name].get(ts) == Some(bits)));
    }
}

#[test]
fn a_lost_or_damaged_index_or_trailer_is_made_anew() {
    for damage in 0..5 {
        let setting = Setting::new();
        let store = setting.open();
        let expected = support::fill(&setting, &store, 8 * HOUR, 60_000);
        store.compact_all().unwrap();
        store.close().unwrap();
        drop(store);
        let index = support::find(setting.dir.path(), "index.db");
        let chunks = support::find(setting.dir.path(), "chunks");
        let mut bytes = std::fs::read(&index).unwrap();
        let len = std::fs::metadata(&chunks).unwrap().len();
        let file = std::fs::OpenOptions::new().append(true).open(&chunks).unwrap();
        match damage {
            0 => std::fs::remove_file(&index).unwrap(),
            1 => {
                let last = bytes.len() - 100;
                bytes[last] ^= 1;
                std::fs::write(&index, bytes).unwrap();
            }
            2 => std::fs::write(&index, &bytes[..bytes.len() / 2]).unwrap(),
            3 => file.set_len(len - 5).unwrap(),
            _ => file.set_len(len + 5).unwrap(),
        }
        assert_eq!(support::all(&setting.open()), expected, "damage {damage}");
        assert_eq!(support::all(&setting.open()), expected, "damage {damage}, opened again");
    }
}

#[test]
fn a_second_store_on_the_directory_is_refused_with_the_pid() {
    let setting = Setting::new();
    let _held = setting.open();
    match setting.try_open(setting.config()) {
        Err(Error::Held { pid, .. }) => assert_eq!(pid, std::process::id()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_of_a_later_version_is_refused_in_one_sentence() {
    let setting = Setting::new();
    let store = setting.open();
    store.commit(&support::commit(&[("a", setting.now(), 1.0)])).unwrap();
    drop(store);
    let segment = setting.dir.path().join("wal/0000000001.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[8] = 9;
    let crc = crc32c::crc32c(&bytes[..20]);
    bytes[20..24].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(&segment, bytes).unwrap();
    let text = setting.try_open(setting.config()).unwrap_err().to_string();
    assert!(text.contains("its format is 9, this version reads up to 1"), "{text}");
}

#[test]
fn a_nearly_full_disk_refuses_samples_and_serves_reads() {
    let setting = Setting::new();
    let mut config = setting.config();
    let store = setting.open_with(config.clone());
    let at = setting.now();
    store.commit(&support::commit(&[("a", at, 1.0)])).unwrap();
    drop(store);
    config.min_free_bytes = Some(u64::MAX / 2);
    let store = setting.open_with(config);
    store.maintain().unwrap();
    let refused = store.commit(&support::commit(&[("a", at + 1, 1.0)]));
    assert!(matches!(refused, Err(AppendError::Refusing(_))), "{refused:?}");
    assert!(store.status().refusing.is_some_and(|why| why.contains("--storage.min-free")));
    assert_eq!(support::all(&store)["a"].len(), 1);
}

#[test]
fn descriptions_of_metrics_survive_a_restart() {
    let setting = Setting::new();
    let about = Metadata { kind: MetricType::Gauge, help: "H.".to_owned(), unit: "s".to_owned() };
    let store = setting.open();
    let commit = Commit { metadata: vec![("m".to_owned(), about.clone())], ..Commit::default() };
    store.commit(&commit).unwrap();
    store.close().unwrap();
    drop(store);
    assert_eq!(setting.open().metadata(Some("m")), [("m".to_owned(), about)]);
}

#[test]
fn exemplars_are_kept_with_their_series_and_survive_a_restart() {
    let setting = Setting::new();
    let store = setting.open();
    let start = Timestamp::from_millis(START);
    let exemplar = |id: &str, value| Exemplar {
        labels: watchbell::model::Labels::from_pairs([("trace_id", id)]),
        value,
        ts: start,
        has_own_ts: true,
    };
    let mut commit = support::commit(&[("a", START, 1.0)]);
    let nowhere = commit.name(labels("nowhere"));
    let of = |series, id: &str, value| AppendExemplar { series, exemplar: exemplar(id, value) };
    commit.exemplars = vec![of(SeriesKey::New(0), "t1", 0.5), of(nowhere, "t2", 0.5)];
    let committed = store.commit(&commit).unwrap();
    // The next commit knows the series by its reference, and brings the first exemplar again.
    let known = SeriesKey::Known(committed.refs[0].unwrap());
    let exemplars = vec![of(known, "t1", 0.5), of(known, "t3", 0.7)];
    let again = store.commit(&Commit { exemplars, ..Commit::default() }).unwrap();
    assert_eq!(again.exemplars_out_of_order, 0, "a duplicate is none");
    let exemplars = vec![of(known, "t4", 0.6)];
    let before = store.commit(&Commit { exemplars, ..Commit::default() }).unwrap();
    assert_eq!(before.exemplars_out_of_order, 1);
    let expected = vec![(labels("a"), vec![exemplar("t1", 0.5), exemplar("t3", 0.7)])];
    let all = [vec![Matcher::equal("__name__", "m")]];
    assert_eq!(store.exemplars(TimeRange::ALL, &all), expected);
    store.close().unwrap();
    drop(store);
    let store = setting.open();
    assert_eq!(store.exemplars(TimeRange::ALL, &all), expected);
    let settings = serde_yaml::from_str("exemplars: {max_exemplars: 1}").unwrap();
    store.reconfigure(&settings);
    assert_eq!(store.exemplars(TimeRange::ALL, &all)[0].1, [exemplar("t3", 0.7)]);
}

#[test]
fn the_counts_of_the_head_rank_names_and_values() {
    let setting = Setting::new();
    let store = setting.open();
    let at = setting.now();
    store.commit(&support::commit(&[("a", at, 1.0), ("b", at, 1.0)])).unwrap();
    let stats = store.tsdb_stats(1);
    assert_eq!((stats.series, stats.label_pairs, stats.chunks), (2, 3, 2));
    assert_eq!(stats.series_by_metric, [("m".to_owned(), 2)]);
    assert_eq!(stats.values_by_label, [("job".to_owned(), 2)]);
    assert_eq!(stats.series_by_pair, [("__name__=m".to_owned(), 2)]);
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<(u8, u8, u8)>),
    Pass(u32),
    Maintain,
    Compact,
    Crash,
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let commit = proptest::collection::vec((0_u8..6, 0_u8..20, 0_u8..4), 1..12);
    prop_oneof![
        6 => commit.prop_map(Step::Commit),
        4 => (1_u32..4_000).prop_map(Step::Pass),
        2 => Just(Step::Maintain),
        1 => Just(Step::Compact),
        1 => Just(Step::Crash),
        1 => Just(Step::Close),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_store_answers_as_a_map_whatever_happens(steps in proptest::collection::vec(step(), 1..60)) {
        let setting = Setting::new();
        let mut store = setting.open();
        let mut oracle = support::Samples::new();
        for step in steps {
            match step {
                Step::Commit(list) => {
                    let now = setting.now();
                    let commit = Commit::of(list.iter().map(|(series, back, value)| {
                        let ts = Timestamp::from_millis(now - i64::from(*back) * 1000);
                        (labels(&format!("s{series}")), ts, f64::from(*value))
                    }));
                    let done = store.commit(&commit).unwrap();
                    for (place, sample) in commit.samples.iter().enumerate() {
                        if done.refused.iter().all(|(refused, _)| *refused != place) {
                            let name = commit.labels_at(place).unwrap().value_of("job").to_owned();
                            let bits = sample.value.to_bits();
                            oracle.entry(name).or_default().insert(sample.ts.as_millis(), bits);
                        }
                    }
                }
                Step::Pass(seconds) => setting.clock.advance(Duration::from_secs(seconds.into())),
                Step::Maintain => store.maintain().unwrap(),
                Step::Compact => store.compact_all().unwrap(),
                Step::Crash => {
                    drop(store);
                    store = setting.open();
                }
                Step::Close => {
                    store.close().unwrap();
                    drop(store);
                    store = setting.open();
                }
            }
            prop_assert_eq!(support::all(&store), oracle.clone());
        }
        prop_assert_eq!(&store.status().damages, &Vec::<String>::new());
    }
}

#[test]
fn oldest_data_and_labels_look_as_they_were_written() {
    let setting = Setting::new();
    let store = setting.open();
    let empty = store.status();
    assert_eq!((empty.series, empty.oldest, empty.retention.as_str()), (0, None, "15d"));
    store.commit(&support::commit(&[("a", START, 1.0)])).unwrap();
    assert_eq!(store.status().oldest, Some(Timestamp::from_millis(START)));
    let found = store.series(TimeRange::ALL, &[]).unwrap();
    assert_eq!(found, [labels("a")]);
    let _: BTreeMap<_, _> = support::all(&store);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn an_import_joins_what_is_there_whatever_its_order(
        rows in proptest::collection::vec((0_u8..4, -90_000_i64..0, any::<i32>()), 1..300),
        there in any::<bool>(),
    ) {
        let setting = Setting::new();
        let store = setting.open();
        let mut oracle = if there {
            let written = support::fill(&setting, &store, 5 * HOUR, 600_000);
            store.maintain().unwrap();
            written
        } else {
            support::Samples::new()
        };
        let mut importer = store.import();
        let mut added = support::Samples::new();
        for (name, seconds, value) in &rows {
            let name = ["a", "b", "x", "y"][usize::from(*name)];
            // Off the grid of what is there already: which of two values stays is another matter.
            let ts = setting.now() + seconds * 1000 + 1;
            let series = importer.series(labels(name)).unwrap();
            importer.push(series, ts, f64::from(*value)).unwrap();
            let bits = f64::from(*value).to_bits();
            added.entry(name.to_owned()).or_default().entry(ts).or_insert(bits);
        }
        let done = importer.finish().unwrap();
        prop_assert_eq!(done.samples, rows.len() as u64);
        for (name, samples) in added {
            oracle.entry(name).or_default().extend(samples);
        }
        prop_assert_eq!(&support::all(&store), &oracle);
        store.compact_all().unwrap();
        prop_assert_eq!(&support::all(&store), &oracle);
        drop(store);
        prop_assert_eq!(&support::all(&setting.open()), &oracle);
    }
}

#[test]
fn a_stray_time_in_an_import_costs_one_block() {
    let setting = Setting::new();
    let store = setting.open();
    let mut importer = store.import();
    let series = importer.series(labels("a")).unwrap();
    let times = [i64::MIN, -1, 0, setting.now() - 60_000, setting.now()];
    for ts in times {
        importer.push(series, ts, 1.0).unwrap();
    }
    let done = importer.finish().unwrap();
    assert!(done.blocks <= 4, "{done:?}");
    let found = support::all(&store);
    assert_eq!(found["a"].keys().copied().collect::<Vec<_>>(), times);
}

#[test]
fn a_block_of_many_pages_is_whole_and_its_lost_index_comes_back_with_all_facts() {
    let setting = Setting::new();
    let store = setting.open();
    let mut importer = store.import();
    let mut bits = 1_u64;
    for one in 0..60 {
        let series = importer.series(labels(&format!("s{one}"))).unwrap();
        for at in 0..400 {
            // Values that no encoding makes small.
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let value = f64::from_bits(bits >> 2);
            importer.push(series, setting.now() - at * 1000, value).unwrap();
        }
    }
    importer.finish().unwrap();
    let (expected, facts) = (support::all(&store), format!("{:?}", store.blocks()));
    drop(store);
    let problems = || support::problems(setting.dir.path(), false);
    assert_eq!(problems(), []);
    for entry in std::fs::read_dir(setting.dir.path().join("blocks")).unwrap() {
        std::fs::remove_file(entry.unwrap().path().join("index.db")).unwrap();
    }
    let store = setting.open();
    assert_eq!(support::all(&store), expected);
    assert_eq!(format!("{:?}", store.blocks()), facts);
    drop(store);
    assert_eq!(problems(), []);
}

#[test]
fn an_import_that_is_given_up_leaves_nothing() {
    let setting = Setting::new();
    let store = setting.open();
    let mut importer = store.import();
    let series = importer.series(labels("a")).unwrap();
    importer.push(series, 5, 1.0).unwrap();
    drop(importer);
    assert_eq!(support::all(&store), support::Samples::new());
    assert_eq!(std::fs::read_dir(setting.dir.path().join("blocks")).unwrap().count(), 0);
}

#[test]
fn a_check_names_each_damaged_file_and_finds_nothing_in_a_whole_store() {
    use support::problems;
    let setting = Setting::new();
    let store = setting.open();
    let expected = support::fill(&setting, &store, 5 * HOUR, 30_000);
    store.maintain().unwrap();
    store.close().unwrap();
    drop(store);
    assert_eq!(problems(setting.dir.path(), false), []);
    let index = support::find(setting.dir.path(), "index.db");
    std::fs::remove_file(&index).unwrap();
    let found = problems(setting.dir.path(), false);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].file, index, "{found:?}");
    assert!(!index.exists(), "only looked at");
    assert_eq!(problems(setting.dir.path(), true).len(), 2, "found and mended");
    assert_eq!(problems(setting.dir.path(), false), []);
    assert_eq!(support::all(&setting.open()), expected);
}

#[test]
fn damage_is_told_with_file_and_offset_and_what_was_read_is_counted() {
    let setting = Setting::new();
    let store = setting.open();
    let expected = support::fill(&setting, &store, 5 * HOUR, 30_000);
    store.maintain().unwrap();
    let block_end = store.blocks().last().unwrap().end.as_millis();
    drop(store);
    let told = |dir: &std::path::Path| {
        let (mut files, mut progress) = (Vec::new(), Vec::new());
        support::check(dir, false, &mut |told| match told {
            Told::File(file) => files.push(file),
            Told::Progress(one) => progress.push(one),
        });
        assert!(progress.is_sorted_by_key(|one| one.bytes), "{progress:?}");
        assert!(progress.iter().all(|one| one.bytes <= one.bytes_all), "{progress:?}");
        files
    };
    let whole = told(setting.dir.path());
    let in_blocks = whole.iter().filter(|file| file.path.parent().unwrap().ends_with("blocks"));
    let cut: u64 = in_blocks.map(|file| file.samples).sum();
    let model = expected.values().flat_map(|samples| samples.keys());
    assert_eq!(cut, model.filter(|ts| **ts < block_end).count() as u64);
    let commits = expected["a"].len() as u64;
    let log = whole.iter().filter(|file| file.path.extension().is_some_and(|end| end == "log"));
    assert!(log.map(|file| file.records).sum::<u64>() <= commits + 2);
    // One bit of a page, of a record of the log, and of tombstones.
    let chunks = support::find(setting.dir.path(), "chunks");
    let mut bytes = std::fs::read(&chunks).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&chunks, bytes).unwrap();
    let stones = chunks.with_file_name("tombstones");
    std::fs::write(&stones, b"nonsense").unwrap();
    let found = support::problems(setting.dir.path(), false);
    let at = |file: &std::path::Path| {
        let here = found.iter().filter(|problem| problem.file == file);
        here.map(|problem| problem.offset).collect::<Vec<_>>()
    };
    // The first page begins behind the file's head of 24 bytes: told once.
    assert_eq!(at(&chunks), [Some(24)], "{found:?}");
    assert_eq!(at(&stones), [Some(0)], "{found:?}");
    assert!(found[0].to_string().starts_with(&format!("{}:24: ", chunks.display())), "{found:?}");
}
