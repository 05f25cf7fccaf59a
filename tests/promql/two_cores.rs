//! Queries on two cores: the same answers as on one, and an end when they fail.

use crate::memory::Memory;
use std::sync::Arc;
use std::time::Duration;
use watchbell::model::{Labels, Matcher, TimeRange, Timestamp};
use watchbell::promql::{Config, Engine, ErrorKind, Features, Options, Query, Value};
use watchbell::storage::source::{
    Columns, SelectedSeries, SeriesSamples, SeriesSet, Source, SourceError,
};
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

/// Hands out one series again and again; the one at this place cannot be read.
#[derive(Debug)]
struct Broken(usize);

#[derive(Debug)]
struct Part {
    is_broken: bool,
    number: usize,
}

impl SeriesSamples for Part {
    fn read(&self, _range: TimeRange, out: &mut Columns) -> Result<Vec<String>, SourceError> {
        if self.is_broken {
            return Err(SourceError::Canceled);
        }
        out.push(300_000, 1.0);
        Ok(vec![format!("part {} is damaged", self.number % 3)])
    }
}

impl Source for Broken {
    fn select(&self, _: TimeRange, _: &[Matcher], _: usize) -> Result<SeriesSet, SourceError> {
        let series = (0..2_000).map(|number| {
            let labels = Labels::from_pairs([("n", format!("{number:05}"))]);
            let samples = Arc::new(Part { is_broken: number == self.0, number });
            SelectedSeries { labels, samples }
        });
        Ok(SeriesSet { series: series.collect(), warnings: Vec::new() })
    }

    fn series(&self, _: TimeRange, _: &[Matcher]) -> Result<Vec<Labels>, SourceError> {
        Ok(Vec::new())
    }

    fn label_names(&self, _: TimeRange, _: &[Matcher]) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn label_values(
        &self,
        _: &str,
        _: TimeRange,
        _: &[Matcher],
    ) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }
}

#[test]
fn what_could_not_be_read_is_told_as_it_is_on_one_core() {
    let query = Query::parse("sum(x)", &Features::ALL).expect("parses");
    let at = Timestamp::from_millis(300_000);
    let ask = |cores, broken| {
        let output = engine(cores).instant(&Broken(broken), &query, at, &Options::default());
        let told = output.map(|output| (format!("{:?}", output.value), output.warnings().to_vec()));
        told.map_err(|err| err.kind())
    };
    let alone = ask(1, usize::MAX).expect("is readable");
    assert!(alone.0.contains("2000") && alone.1.len() == 3, "{alone:?}");
    assert_eq!(ask(2, usize::MAX), Ok(alone));
    for broken in [0, 1, 300, 1_999] {
        assert_eq!(ask(2, broken), Err(ErrorKind::Canceled), "{broken}");
    }
}
