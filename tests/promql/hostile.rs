//! Texts and queries that want to hurt: each ends in a clean error before it takes much.

use crate::memory::Memory;
use crate::runner::engine;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use watchbell::model::{Labels, Timestamp};
use watchbell::promql::syntax::{NESTING_MAX, TEXT_BYTES_MAX, parse};
use watchbell::promql::{Config, Engine, Error, ErrorKind, Features, Options, Query};
use watchbell::sys::sim::VirtualClock;

#[test]
fn deep_and_long_texts_are_refused() {
    for (what, text) in [
        ("parentheses", format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000))),
        ("pluses", vec!["1"; 100_000].join("+")),
        ("calls", format!("{}a{}", "abs(".repeat(20_000), ")".repeat(20_000))),
        ("parentheses that fit", "(".repeat(TEXT_BYTES_MAX)),
        ("signs", "-".repeat(TEXT_BYTES_MAX)),
        ("operands", format!("a{}", "+a".repeat(TEXT_BYTES_MAX / 2 - 1))),
        ("powers", format!("1{}", "^1".repeat(TEXT_BYTES_MAX / 2 - 1))),
        ("subqueries", format!("a{}", "[1m:]".repeat(TEXT_BYTES_MAX / 5 - 1))),
        ("durations", format!("a[1{}]", "+1".repeat(TEXT_BYTES_MAX / 2 - 5))),
        ("nested durations", format!("a[{}", "(".repeat(TEXT_BYTES_MAX - 2))),
        ("braces", "{".repeat(TEXT_BYTES_MAX)),
        ("a quote", format!("\"{}", "\\".repeat(TEXT_BYTES_MAX - 1))),
    ] {
        let err = parse(&text, &Features::ALL).expect_err(what).to_string();
        assert!(err.len() < 300, "{what}: the error repeats the text");
    }
}

#[test]
fn the_deepest_text_that_is_read_is_evaluated_on_a_small_stack() {
    let depth = NESTING_MAX / 2 - 2;
    for text in [
        format!("{}a{}", "abs(".repeat(depth), ")".repeat(depth)),
        format!("{}1{}", "(".repeat(depth), ")".repeat(depth)),
        format!("a{}", " + a".repeat(depth)),
        format!("{}a{}", "sum(-(".repeat(depth / 3), "))".repeat(depth / 3)),
    ] {
        let query = Query::parse(&text, &Features::ALL).expect("allowed");
        let at = Timestamp::from_millis(0);
        engine().instant(&one_series(), &query, at, &Options::default()).expect("evaluates");
        assert_eq!(parse(&query.expr().to_string(), &Features::ALL).as_ref(), Ok(query.expr()));
    }
}

#[test]
fn hostile_expressions_of_constant_size_end_within_their_budget() {
    let day = 86_400_000;
    for text in [
        // A thousand million inner steps for one result.
        "max_over_time(a[10y:1ms])",
        "max_over_time(max_over_time(a[10y:1s])[10y:1s])",
        "count_over_time(vector(1)[10y:1ms])",
    ] {
        let query = Query::parse(text, &Features::ALL).expect("parses");
        let at = Timestamp::from_millis(day);
        let err = engine().instant(&one_series(), &query, at, &Options::default());
        assert_eq!(err.expect_err(text).kind(), ErrorKind::Execution, "{text}");
    }
}

#[test]
fn a_hundred_years_by_the_second_are_too_many_samples() {
    let query = Query::parse("a", &Features::ALL).expect("parses");
    let century = Timestamp::from_millis(100 * 365 * 86_400_000);
    let err = engine()
        .range(
            &Memory::default(),
            &query,
            Timestamp::EPOCH,
            century,
            Duration::from_secs(1),
            &Options::default(),
        )
        .expect_err("too large");
    assert_eq!(
        err.to_string(),
        "query processing would load too many samples into memory in query execution"
    );
}

#[test]
fn t53_each_end_has_its_own_class_and_words() {
    let clock = Arc::new(VirtualClock::at(Timestamp::EPOCH));
    let engine = Engine::new(Config::default(), clock);
    let query = engine.parse("sum(a)").expect("parses");
    let run = |options: &Options| {
        engine.instant(&one_series(), &query, Timestamp::EPOCH, options).expect_err("ends early")
    };
    let late = Options { timeout: Some(Duration::ZERO), ..Options::default() };
    let gone = Options { canceled: Arc::new(AtomicBool::new(true)), ..Options::default() };
    let poor = Options { bytes_max: Some(4), ..Options::default() };
    let few = Options { samples_max: Some(0), ..Options::default() };
    for (options, kind, text) in [
        (late, ErrorKind::Timeout, "query timed out in expression evaluation"),
        (gone, ErrorKind::Canceled, "query was canceled in expression evaluation"),
        (
            few,
            ErrorKind::Execution,
            "query processing would load too many samples into memory in query execution",
        ),
        (
            poor,
            ErrorKind::Execution,
            "query processing would take more than 4 bytes of memory in query execution",
        ),
    ] {
        let err = run(&options);
        assert_eq!((err.kind(), err.to_string().as_str()), (kind, text));
    }
    let err = engine.parse("a b").expect_err("no expression");
    assert_eq!(err.kind(), ErrorKind::BadData);
    assert!(matches!(err, Error::Parse(_)));
}

#[test]
fn series_of_two_types_that_become_equal_are_an_error() {
    let mut memory = Memory::default();
    for kind in ["", "counter"] {
        let labels = Labels::from_pairs([("__name__", "a"), ("__type__", kind)]);
        memory.push(labels, 0, 1.0);
    }
    let engine = Engine::new(Config::default(), Arc::new(VirtualClock::at(Timestamp::EPOCH)));
    for text in ["abs(a)", "-a", "a + 1", "count_over_time(a[1m])"] {
        let query = engine.parse(text).expect("parses");
        let err = engine.instant(&memory, &query, Timestamp::EPOCH, &Options::default());
        let err = err.expect_err(text).to_string();
        assert_eq!(err, "vector cannot contain metrics with the same labelset", "{text}");
    }
}

#[test]
fn a_query_that_is_canceled_while_it_runs_ends() {
    /// Cancels at the first look at the source.
    #[derive(Debug)]
    struct Canceling(Memory, Arc<AtomicBool>);
    impl watchbell::storage::source::Source for Canceling {
        fn select(
            &self,
            range: watchbell::model::TimeRange,
            matchers: &[watchbell::model::Matcher],
            series_max: usize,
        ) -> Result<watchbell::storage::source::SeriesSet, watchbell::storage::source::SourceError>
        {
            self.1.store(true, Ordering::Relaxed);
            self.0.select(range, matchers, series_max)
        }

        fn series(
            &self,
            range: watchbell::model::TimeRange,
            matchers: &[watchbell::model::Matcher],
        ) -> Result<Vec<Labels>, watchbell::storage::source::SourceError> {
            self.0.series(range, matchers)
        }

        fn label_names(
            &self,
            range: watchbell::model::TimeRange,
            matchers: &[watchbell::model::Matcher],
        ) -> Result<Vec<String>, watchbell::storage::source::SourceError> {
            self.0.label_names(range, matchers)
        }

        fn label_values(
            &self,
            name: &str,
            range: watchbell::model::TimeRange,
            matchers: &[watchbell::model::Matcher],
        ) -> Result<Vec<String>, watchbell::storage::source::SourceError> {
            self.0.label_values(name, range, matchers)
        }
    }
    let canceled = Arc::new(AtomicBool::new(false));
    let options = Options { canceled: canceled.clone(), ..Options::default() };
    let query = Query::parse("sum_over_time(a[1d:1s])", &Features::ALL).expect("parses");
    let source = Canceling(one_series(), canceled);
    let at = Timestamp::from_millis(86_400_000);
    let err = engine().instant(&source, &query, at, &options).expect_err("canceled");
    assert_eq!(err.kind(), ErrorKind::Canceled);
}

fn one_series() -> Memory {
    let mut memory = Memory::default();
    memory.push(Labels::from_pairs([("__name__", "a")]), 0, 1.0);
    memory
}
