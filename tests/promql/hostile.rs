//! Texts and queries that want to hurt: each ends in a clean error before it takes much.

use crate::memory::Memory;
use crate::runner::engine;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use watchbell::model::{Labels, Timestamp};
use watchbell::promql::syntax::{NESTING_MAX, TEXT_BYTES_MAX, parse};
use watchbell::promql::{Config, Engine, Error, ErrorKind, Features, Light, Options, Query, User};
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
    let alone = ["abs(a)", "-a", "a + 1", "count_over_time(a[1m])"];
    let within = ["sum(abs(a))", "max(-a)", "count(count_over_time(a[1m]))"];
    for text in alone.into_iter().chain(within) {
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

#[test]
fn the_regular_expressions_of_a_query_are_bounded_together() {
    // Each compiles to hundreds of kilobytes, which alone is allowed.
    let one = r#"a=~"(?:\\pL{10}|x)+""#;
    let selector = |count: usize| format!("{{{}}}", vec![one; count].join(","));
    Query::parse(selector(1), &Features::ALL).expect("one is allowed");
    let err = Query::parse(selector(1000), &Features::ALL).expect_err("a thousand are not");
    assert!(err.to_string().contains("regular expressions of the query take more than"), "{err}");
}

const SERIES: u32 = 2_000;

/// Series whose labels are much longer than their samples.
fn many_series() -> Memory {
    let mut memory = Memory::default();
    for number in 0..SERIES {
        memory.push(labels_of(number), 0, f64::from(number));
    }
    memory
}

fn labels_of(number: u32) -> Labels {
    let long = format!("{number}-{}", "x".repeat(200));
    Labels::from_pairs([("__name__", "a"), ("n", long.as_str()), ("le", "1")])
}

/// The least limit in bytes with which a query has an answer, to a few kilobytes.
fn least_bytes(source: &Memory, text: &str) -> usize {
    let query = Query::parse(text, &Features::ALL).expect("parses");
    let (mut too_few, mut enough) = (0, 8 << 20);
    while enough - too_few > 8 << 10 {
        let bytes = usize::midpoint(too_few, enough);
        let options = Options { bytes_max: Some(bytes), ..Options::default() };
        match engine().instant(source, &query, Timestamp::EPOCH, &options) {
            Ok(_) => enough = bytes,
            Err(err) => {
                assert_eq!(err.kind(), ErrorKind::Execution, "{text}: {err}");
                too_few = bytes;
            }
        }
    }
    enough
}

#[test]
fn labels_groups_and_tables_count_and_not_columns_alone() {
    let source = many_series();
    let series = usize::try_from(SERIES).expect("few");
    let columns = series * size_of::<f64>();
    let texts: usize = (0..SERIES).map(|number| labels_of(number).byte_len()).sum();
    // What the selector found is there all the time: a handle and labels each.
    let found = least_bytes(&source, "count(a)");
    assert!(found > texts + series * 32, "{found}");
    for (text, least) in [
        // New labels for each group.
        ("count(count without (le) (a))", texts + columns),
        ("count(quantile without (le) (0.5, a))", texts + 2 * columns),
        ("count(count_values(\"v\", a))", columns),
        ("count(count_values without (le) (\"v\", a))", texts + columns),
        ("count(label_replace(a, \"b\", \"$1$1\", \"n\", \"(.*)\"))", 0),
        ("topk(3000, label_replace(a, \"b\", \"$1$1\", \"n\", \"(.*)\"))", 3 * texts + columns),
        ("count(topk(3000, a))", 2 * columns),
        // Both sides, the groups of both, and the results.
        ("count(a + a)", 2 * texts + 3 * columns),
        ("count(a and a)", texts + 2 * columns),
        ("count(a or a)", texts + 2 * columns),
        ("count(histogram_quantile(0.5, a))", texts + columns),
        // An answer has its text as well.
        ("a", 2 * texts),
        ("a[1m]", texts),
    ] {
        let more = least_bytes(&source, text).saturating_sub(found);
        // By how much an estimate may be too low.
        assert!(more >= least * 2 / 3, "{text} takes {least} bytes and counts {more}");
    }
}

#[test]
fn queries_share_the_memory_and_rules_keep_their_part() {
    let config = Config { bytes_max: 8 << 20, ..Config::default() };
    let clock = Arc::new(VirtualClock::at(Timestamp::EPOCH));
    let (engine, source) = (Engine::new(config, clock), many_series());
    let query = engine.parse("a").expect("parses");
    let ask = |user: User| {
        let options = Options { user, ..Options::default() };
        engine.instant(&source, &query, Timestamp::EPOCH, &options)
    };
    // As long as answers are being sent, their memory is not free.
    let mut answers = Vec::new();
    let err = loop {
        match ask(User::Client) {
            Ok(answer) => answers.push(answer),
            Err(err) => break err,
        }
    };
    assert!(!answers.is_empty());
    assert_eq!(err.kind(), ErrorKind::Busy, "{err}");
    assert!(engine.pool().used() <= 7 << 20);
    let small = engine.parse("a{le=\"2\"} or vector(1)").expect("parses");
    let rule = Options { user: User::Rules, ..Options::default() };
    engine.instant(&source, &small, Timestamp::EPOCH, &rule).expect("rules go on");
    drop(answers);
    assert_eq!(engine.pool().used(), 0);
    ask(User::Client).expect("there is memory again");
}

#[test]
fn a_light_query_ends_where_it_would_do_more_and_says_so() {
    let source = many_series();
    let light = |text: &str, light: Light| {
        let query = Query::parse(text, &Features::ALL).expect("parses");
        let options = Options { light: Some(light), ..Options::default() };
        engine().instant(&source, &query, Timestamp::EPOCH, &options)
    };
    let usual = Light { work_max: 100_000, series_max: 5_000 };
    light("count(a)", usual).expect("little");
    for (text, limits) in [
        // By its series, by what is known beforehand, and by what is done.
        ("count(a)", Light { series_max: 1_999, ..usual }),
        ("count(a)", Light { work_max: 1_999, ..usual }),
        ("count_over_time(a[1y])", usual),
        ("count_over_time(vector(1)[3d:1s])", usual),
        // Its expression alone may take long.
        ("count(a{n=~\"(?:\\\\pL{10}|x)+\"})", usual),
    ] {
        let err = light(text, limits).expect_err(text);
        assert!(err.wants_more(), "{text}: {err}");
    }
}

#[test]
fn everything_joined_with_itself_and_hostile_expressions_end_cleanly() {
    let source = many_series();
    for (text, words) in [
        ("{__name__=~\".+\"} * on (le) {__name__=~\".+\"}", "many-to-many matching not allowed"),
        (
            "{__name__=~\".+\"} * on (le) group_left {__name__=~\".+\"}",
            "many-to-many matching not allowed",
        ),
        ("{__name__=~\".+\"} * on (n) {__name__=~\".+\"}", "more than 1048576 bytes"),
        ("{__name__=~\".+\"} or ignoring (n) {__name__=~\".+\"}", "more than 1048576 bytes"),
    ] {
        let query = Query::parse(text, &Features::ALL).expect("parses");
        let many = !words.contains("bytes");
        let bytes = if many { 64 << 20 } else { 1 << 20 };
        let options = Options { bytes_max: Some(bytes), ..Options::default() };
        let err = engine().instant(&source, &query, Timestamp::EPOCH, &options).expect_err(text);
        assert_eq!(err.kind(), ErrorKind::Execution, "{text}");
        let series = err.to_string().contains("selects more than");
        assert!(series || err.to_string().contains(words), "{text}: {err}");
    }
    for (pattern, is_allowed) in [
        ("(.*.*)*(.*.*)*x", true),
        ("(a|aa)+b", true),
        ("((a{0,100}){0,100}){0,100}", false),
        ("(?:\\\\pL{1000}){1000}", false),
    ] {
        let parsed = Query::parse(format!("a{{n=~\"{pattern}\"}}"), &Features::ALL);
        assert_eq!(parsed.is_ok(), is_allowed, "{pattern}");
        // Matching takes time by the length of the text alone, else this would not end.
        if let Ok(query) = parsed {
            let found = engine().instant(&source, &query, Timestamp::EPOCH, &Options::default());
            found.expect("evaluates");
        }
    }
}

#[test]
fn a_hundred_heavy_queries_at_once_stay_within_the_pool() {
    let config = Config { bytes_max: 12 << 20, ..Config::default() };
    let clock = Arc::new(VirtualClock::at(Timestamp::EPOCH));
    let (engine, source) = (Engine::new(config, clock), many_series());
    let texts = ["a + a", "a", "count_values(\"v\", a)", "sum(a)", "topk(5000, a) or a"];
    std::thread::scope(|scope| {
        for number in 0..100 {
            let (engine, source, text) = (&engine, &source, texts[number % texts.len()]);
            scope.spawn(move || {
                let query = engine.parse(text).expect("parses");
                let at = Timestamp::EPOCH;
                match engine.instant(source, &query, at, &Options::default()) {
                    Ok(_) => {}
                    Err(err) => assert_eq!(err.kind(), ErrorKind::Busy, "{text}: {err}"),
                }
                assert!(engine.pool().used() <= 12 << 20);
            });
        }
    });
    assert_eq!(engine.pool().used(), 0);
}
