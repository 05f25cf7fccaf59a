//! Queries on two cores: the same answers as on one, and an end when they fail.

use crate::memory::{Flaw, Memory};
use std::sync::Arc;
use std::time::Duration;
use watchbell::model::{Labels, Timestamp};
use watchbell::promql::{Config, Engine, ErrorKind, Features, Options, Query, Value};
use watchbell::storage::source::{Source, SourceError};
use watchbell::sys::sim::VirtualClock;

/// More than a batch has, by series as by samples.
const SERIES: u32 = 600;
const SAMPLES: i64 = 90;

fn engine(cores: usize) -> Engine {
    let features = Features::ALL;
    let config = Config { cores, large_samples_min: 0, features, ..Config::default() };
    Engine::new(config, Arc::new(VirtualClock::at(Timestamp::EPOCH)))
}

fn source() -> Memory {
    let mut memory = Memory::default();
    for number in 0..SERIES {
        let name = if number % 3 == 0 { "a_total" } else { "b" };
        let labels = [("__name__", name.to_owned()), ("n", number.to_string())];
        let group = ("g", (number % 7).to_string());
        let labels = Labels::from_pairs(labels.into_iter().chain([group]));
        for at in 0..SAMPLES {
            let value = f64::from(number) / 3.0 + (at * at % 41) as f64;
            memory.push(labels.clone(), at * 15_000, value);
        }
    }
    memory
}

fn value(
    engine: &Engine,
    source: &dyn Source,
    text: &str,
    options: &Options,
) -> Result<Value, ErrorKind> {
    let query = Query::parse(text, &Features::ALL).expect("parses");
    let (start, end) = (Timestamp::from_millis(300_000), Timestamp::from_millis(1_200_000));
    let output = engine.range(source, &query, start, end, Duration::from_secs(15), options);
    output.map(|output| output.value).map_err(|err| err.kind())
}

#[test]
fn on_two_cores_an_answer_is_the_same() {
    let source = source();
    for text in [
        "b",
        "sum by (g) (rate(a_total[5m]))",
        "avg by (g) ({__name__=~\"a_total|b\"})",
        "max_over_time(b[2m]) - on (n, g) b offset 1m",
        "quantile_over_time(0.5, b[5m])",
        "rate(b[3m] smoothed)",
        "b smoothed",
        "count(b) + count(max_over_time(rate(a_total[2m])[3m:30s]))",
    ] {
        let options = Options::default();
        let alone = value(&engine(1), &source, text, &options).expect(text);
        assert_eq!(value(&engine(2), &source, text, &options).expect(text), alone, "{text}");
    }
}

#[test]
fn a_query_that_fails_midway_ends() {
    let (source, options) = (source(), Options { samples_max: Some(2_000), ..Options::default() });
    for cores in [1, 2] {
        let ended = value(&engine(cores), &source, "rate(b[5m])", &options);
        assert_eq!(ended.expect_err("too many samples"), ErrorKind::Execution, "{cores}");
    }
}

#[test]
fn what_could_not_be_read_is_told_as_it_is_on_one_core() {
    let labels = |number: usize| Labels::from_pairs([("n", format!("{number:05}"))]);
    let mut damaged = Memory::default();
    for number in 0..2_000 {
        damaged.push(labels(number), 300_000, 1.0);
        damaged.damage(labels(number), Flaw::Warns(format!("part {} is gone", number % 3)));
    }
    let query = Query::parse("sum({n=~\".+\"})", &Features::ALL).expect("parses");
    let at = Timestamp::from_millis(300_000);
    let ask = |cores, source: &Memory| {
        let output = engine(cores).instant(source, &query, at, &Options::default());
        let told = output.map(|output| (format!("{:?}", output.value), output.warnings().to_vec()));
        told.map_err(|err| err.kind())
    };
    let alone = ask(1, &damaged).expect("is readable");
    assert!(alone.0.contains("2000") && alone.1.len() == 3, "{alone:?}");
    assert_eq!(ask(2, &damaged), Ok(alone));
    for broken in [0, 1, 300, 1_999] {
        let mut broken_one = damaged.clone();
        broken_one.damage(labels(broken), Flaw::Fails(SourceError::Canceled));
        assert_eq!(ask(2, &broken_one), Err(ErrorKind::Canceled), "{broken}");
    }
}
