//! What a query took: Prometheus' own table of samples looked at and read, and the profile.

use crate::memory::Memory;
use std::sync::Arc;
use std::time::Duration;
use watchbell::model::{Labels, Timestamp};
use watchbell::promql::{Config, Engine, Options, Output, Profile};
use watchbell::sys::sim::VirtualClock;

/// Query, when, samples that are looked at, samples that are read.
type Row = (&'static str, (i64, i64, u64), usize, usize);

/// When is start, end and step in seconds; without a step it is an instant query. `one` is a series with a sample each 10 seconds, `three` are three.
/// Source: prometheus, promql/engine_test.go (TestQueryStatistics), without native histograms.
const TABLE: &[Row] = &[
    (r#""literal string""#, (21, 0, 0), 0, 0),
    ("1", (21, 0, 0), 0, 0),
    ("one", (21, 0, 0), 1, 1),
    ("timestamp(one)", (21, 0, 0), 1, 1),
    ("one", (22, 0, 0), 1, 1),
    ("one offset 10s", (21, 0, 0), 1, 1),
    ("one @ 15", (21, 0, 0), 1, 1),
    (r#"three{a="1"}"#, (21, 0, 0), 1, 1),
    (r#"three{a="1"} @ 19"#, (21, 0, 0), 1, 1),
    (r#"three{a="1"}[20s] @ 19"#, (21, 0, 0), 2, 2),
    ("three", (21, 0, 0), 3, 3),
    ("one[60s]", (201, 0, 0), 6, 6),
    ("max_over_time(one[60s])[20s:5s]", (201, 0, 0), 24, 8),
    ("max_over_time(one[61s])[20s:5s]", (201, 0, 0), 26, 8),
    ("one[60s] @ 30", (201, 0, 0), 4, 4),
    ("sum(max_over_time(three[60s] @ 30))", (201, 0, 0), 12, 12),
    ("sum by (b) (max_over_time(three[60s] @ 30))", (201, 0, 0), 12, 12),
    ("one[60s] offset 10s", (201, 0, 0), 6, 6),
    ("three[60s]", (201, 0, 0), 18, 18),
    ("max_over_time(one[60s])", (201, 0, 0), 6, 6),
    ("absent_over_time(one[60s])", (201, 0, 0), 6, 6),
    ("max_over_time(three[60s])", (201, 0, 0), 18, 18),
    ("one[60s:5s]", (201, 0, 0), 12, 12),
    ("one[60s:5s] offset 10s", (201, 0, 0), 12, 12),
    ("max_over_time(three[60s:5s])", (201, 0, 0), 36, 36),
    ("sum(max_over_time(three[60s:5s])) + sum(max_over_time(three[60s:5s]))", (201, 0, 0), 72, 72),
    (r#"three{a="1"}"#, (201, 220, 5), 4, 4),
    (r#"three{a="1"}"#, (204, 223, 5), 4, 4),
    ("timestamp(one)", (201, 220, 5), 4, 4),
    (r#"max_over_time(three{a="1"}[10s])"#, (991, 1021, 10), 2, 2),
    (r#"three{a="1"} offset 10s"#, (201, 220, 5), 4, 4),
    ("max_over_time(three[60s] @ 30)", (201, 220, 5), 48, 12),
    ("three", (201, 220, 5), 12, 12),
    ("max_over_time(three[60s])", (201, 220, 5), 72, 21),
    ("max_over_time(three[60s:5s])", (201, 220, 5), 144, 45),
    ("max_over_time(one[60s:5s])", (201, 220, 5), 48, 15),
    ("sum by (b) (max_over_time(one[60s:5s]))", (201, 220, 5), 48, 15),
    (
        "sum(max_over_time(three[60s:5s])) + sum(max_over_time(three[60s:5s]))",
        (201, 220, 5),
        288,
        90,
    ),
    ("sum(max_over_time(three[60s:5s])) + sum(max_over_time(one[60s:5s]))", (201, 220, 5), 192, 60),
    ("max_over_time(one[20s:10s])", (201, 0, 0), 2, 2),
    ("sum_over_time(one[30s:30s])", (90, 0, 0), 1, 1),
    ("max_over_time(one[30s:2m])", (240, 0, 0), 1, 1),
    ("max_over_time(one[30s:10s])", (201, 231, 30), 6, 6),
    ("max_over_time(one[20s:10s])", (201, 261, 10), 14, 8),
    // Upstream has 6 read: it leaves out steps of a subquery between two windows, which are
    // evaluated there too.
    ("max_over_time(one[30s:10s])", (201, 261, 60), 6, 9),
    ("max_over_time(three[60s:10s])", (200, 400, 30), 126, 72),
    ("predict_linear(one[60s] @ 100, 60)", (100, 300, 100), 18, 6),
    ("sum_over_time(three[20s:10s] @ 200)", (250, 0, 0), 6, 6),
    ("sum_over_time(one[20s:10s] offset 1m)", (240, 0, 0), 2, 2),
    ("sum_over_time(three[1m:10s] @ 200 offset 1m)", (300, 0, 0), 18, 18),
    ("sum_over_time(max_over_time(three[60s] @ 300)[5m:1m] @ 600)[10m:2m]", (800, 0, 0), 75, 18),
    ("rate(sum_over_time(one[30s])[1m:30s])", (240, 0, 0), 2, 6),
];

fn samples() -> Memory {
    let mut memory = Memory::default();
    for n in 0..=100_i64 {
        let mut push = |name: &str, labels: &[(&str, &str)]| {
            let pairs = [("__name__", name)].into_iter().chain(labels.iter().copied());
            memory.push(Labels::from_pairs(pairs), n * 10_000, 1.0 + n as f64);
        };
        push("one", &[]);
        push("three", &[("a", "1"), ("b", "1")]);
        push("three", &[("a", "2"), ("b", "2")]);
        push("three", &[("a", "3"), ("b", "2")]);
    }
    memory
}

fn run(text: &str, (start, end, step): (i64, i64, u64), profile: bool) -> Output {
    let clock = VirtualClock::at(Timestamp::from_millis(0));
    let config = Config { evaluation_interval: Duration::from_secs(5), ..Config::default() };
    let engine = Engine::new(config, Arc::new(clock));
    let options = Options { profile, ..Options::default() };
    let query = engine.parse(text).expect(text);
    let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
    let source = samples();
    let output = match step {
        0 => engine.instant(&source, &query, at(start), &options),
        step => {
            let step = Duration::from_secs(step);
            engine.range(&source, &query, at(start), at(end), step, &options)
        }
    };
    output.unwrap_or_else(|err| panic!("{text}: {err}"))
}

fn profile(text: &str, when: (i64, i64, u64)) -> Profile {
    *run(text, when, true).profile.expect("a profile was asked for")
}

#[test]
fn samples_are_counted_as_in_prometheus() {
    let mut wrong = Vec::new();
    for (text, when, queryable, read) in TABLE {
        let found = profile(text, *when);
        let (found_queryable, found_read) = (found.samples_queryable, found.samples_read);
        if (found_queryable, found_read) != (*queryable, *read) {
            wrong.push(format!(
                "{text} {when:?}: {found_queryable} and {found_read}, not {queryable} and {read}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_profile_changes_no_answer_and_is_made_only_when_asked_for() {
    for (text, when, ..) in TABLE {
        let (plain, told) = (run(text, *when, false), run(text, *when, true));
        assert_eq!(plain.value, told.value, "{text}");
        assert_eq!(plain.stats, told.stats, "{text}");
        assert!(plain.profile.is_none(), "{text}");
    }
}

#[test]
fn each_node_has_its_series_and_samples_and_once_is_said() {
    let text = "sum by (b) (rate(three[60s])) + on () group_left () sum(one @ 100) + 0 * 2";
    let told = profile(text, (200, 300, 10));
    let node = |part: &str| {
        let at = text.find(part).unwrap_or_else(|| panic!("no {part:?}"));
        let found = told
            .nodes
            .iter()
            .find(|node| node.span.start == at && text.get(at..node.span.end) == Some(part));
        found.unwrap_or_else(|| panic!("nothing of {part:?}: {told:?}")).clone()
    };
    let select = node("three[60s]");
    // Samples after 140 s up to 300 s of three series.
    assert_eq!((select.series, select.samples, select.selected), (3, 48, Some(3)));
    assert_eq!(node("rate(three[60s])").series, 3);
    assert_eq!(node("sum by (b) (rate(three[60s]))").series, 2);
    let fixed = node("one @ 100");
    assert!(fixed.once && !select.once);
    assert_eq!((fixed.series, fixed.selected), (1, Some(1)));
    assert_eq!(node("sum(one @ 100)").series, 1);
    assert_eq!(
        told.nodes.iter().map(|node| node.samples).sum::<usize>(),
        run(text, (200, 300, 10), false).stats.samples_read
    );
    let twice = profile("one + one", (200, 300, 10));
    let shared: Vec<bool> =
        twice.nodes.iter().filter(|n| n.selected.is_some()).map(|n| n.shared).collect();
    assert_eq!(shared, [false, true]);
}
