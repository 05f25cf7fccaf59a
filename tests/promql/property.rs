//! What holds for every text and every tree.

use crate::memory::Memory;
use crate::runner::engine;
use proptest::prelude::*;
use watchbell::model::{Labels, Timestamp, stale_nan};
use watchbell::promql::syntax::{Features, parse, parse_selector, parse_series, split_limit};
use watchbell::promql::{Options, Query};

/// A random expression as text, mostly of the right types.
fn vector() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("a".to_owned()),
        Just("b{x=\"1\"}".to_owned()),
        Just("{__name__=~\"a|b\", x!=\"\"}".to_owned()),
        Just("a offset 1m".to_owned()),
        Just("b @ 120 offset -30s".to_owned()),
        Just("a @ end()".to_owned()),
        Just("vector(time())".to_owned()),
        Just("{\"a\", 'x'=~\"[12]\",}".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let scalar = prop_oneof![
            Just("1".to_owned()),
            Just("-0x1F".to_owned()),
            Just("1h30m".to_owned()),
            Just("NaN".to_owned()),
            Just("scalar(a)".to_owned()),
            Just("2 ^ -1".to_owned()),
        ];
        let op = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">= bool", "<= bool",
        ]);
        let set =
            prop::sample::select(vec!["and", "or", "unless", "and on (x)", "or ignoring (x)"]);
        let matching = prop::sample::select(vec![
            "",
            " on (x)",
            " ignoring (y)",
            " on (x) group_left",
            " ignoring (x) group_right (y)",
            " on (x) fill (0)",
            " fill_left (1) fill_right (-2)",
            " fill (NaN)",
            " fill_left (-0)",
        ]);
        let over_time = prop::sample::select(vec![
            "rate",
            "increase",
            "delta",
            "irate",
            "idelta",
            "sum_over_time",
            "avg_over_time",
            "last_over_time",
            "stddev_over_time",
            "changes",
            "resets",
            "deriv",
            "absent_over_time",
            "mad_over_time",
            "ts_of_max_over_time",
        ]);
        let range = prop::sample::select(vec![
            "[5m]",
            "[2m:]",
            "[2m:30s]",
            "[step() + 1m]",
            "[-0m + 35m]",
            "[2m:30s] offset 1m",
            "[90] @ 60",
        ]);
        let function = prop::sample::select(vec![
            "abs",
            "ceil",
            "sort",
            "sort_desc",
            "timestamp",
            "absent",
            "hour",
            "sgn",
            "ln",
        ]);
        let aggregation = prop::sample::select(vec![
            "sum",
            "avg by (x)",
            "max without (x)",
            "count",
            "stddev",
            "group by (x, y)",
            "topk by (x) (1,",
            "quantile(0.5,",
            "count_values(\"v\",",
            "bottomk(2,",
            "limitk(1,",
            "limit_ratio(0.5,",
        ]);
        prop_oneof![
            (inner.clone(), op.clone(), scalar.clone())
                .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            (scalar, op.clone(), inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            (inner.clone(), op, matching, inner.clone())
                .prop_map(|(a, op, matching, b)| format!("({a}) {op}{matching} ({b})")),
            (inner.clone(), set, inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            (function, inner.clone()).prop_map(|(f, a)| format!("{f}({a})")),
            (aggregation, inner.clone()).prop_map(|(f, a)| {
                if f.ends_with(',') { format!("{f} {a})") } else { format!("{f} ({a})") }
            }),
            (over_time, inner.clone(), range).prop_map(|(f, a, range)| {
                let a = if range.contains(':') { format!("({a})") } else { "a".to_owned() };
                format!("{f}({a}{range})")
            }),
            inner.clone().prop_map(|a| format!("-({a})")),
            inner.prop_map(|a| format!("label_replace({a}, \"y\", \"$1\", \"x\", \"(.*)\")")),
        ]
    })
}

fn small_source() -> Memory {
    let mut memory = Memory::default();
    for (n, (name, x)) in [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")].into_iter().enumerate() {
        let labels = Labels::from_pairs([("__name__", name), ("x", x)]);
        for minute in 0..10_i32 {
            let value = f64::from(minute % 4) * (1.5 + n as f64);
            memory.push(labels.clone(), i64::from(minute) * 60_000, value);
        }
    }
    memory
}

/// Times and values that want to hurt.
fn hostile_source() -> impl Strategy<Value = Memory> {
    let ts = prop_oneof![
        4 => -600_000_i64..600_000,
        1 => any::<i64>(),
        1 => (0..3_i64).prop_map(|n| i64::MIN + n),
        1 => (0..3_i64).prop_map(|n| i64::MAX - n),
    ];
    let value = prop_oneof![
        4 => any::<f64>(),
        2 => -3.0..3.0_f64,
        1 => Just(stale_nan()),
        1 => Just(f64::NAN),
        1 => Just(-0.0),
        1 => Just(f64::INFINITY),
    ];
    let sample = (prop::sample::select(vec!["a", "b"]), "[12]?", ts, value);
    prop::collection::vec(sample, 0..40).prop_map(|samples| {
        let mut memory = Memory::default();
        for (name, x, ts, value) in samples {
            memory.push(Labels::from_pairs([("__name__", name), ("x", &x)]), ts, value);
        }
        memory
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_reads_as_the_same_tree(text in vector()) {
        let Ok(expr) = parse(&text, &Features::ALL) else { return Ok(()) };
        let printed = expr.to_string();
        let again = parse(&printed, &Features::ALL);
        prop_assert_eq!(again.as_ref(), Ok(&expr), "{} printed as {}", text, printed);
        prop_assert_eq!(again.expect("parsed").to_string(), printed);
    }

    #[test]
    fn no_text_panics_the_parser(text in "\\PC{0,80}") {
        let _ = parse(&text, &Features::ALL);
        let _ = parse_selector(&text);
        let _ = parse_series(&text);
    }

    #[test]
    fn no_sequence_of_tokens_panics_the_parser(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "a", "sum", "by", "(", ")", "{", "}", "[", "]", "1", "5m", "-", "+", "^", "==", "=~",
            "\"x\"", "'", "`", ",", ":", "@", "offset", "on", "ignoring", "group_left", "bool",
            "start", "end", "step", "range", "max_of", "fill", "anchored", "and", "rate", "#",
            "\n", "=", "!", "inf", "0x", ".", "1e", "\\", "\u{e4}",
        ]), 0..24),
        glue in prop::sample::select(vec!["", " "]),
    ) {
        let text = tokens.join(glue);
        if let Ok(expr) = parse(&text, &Features::ALL) {
            let _ = split_limit(&expr);
            prop_assert_eq!(parse(&expr.to_string(), &Features::ALL), Ok(expr));
        } else if let Err(err) = parse(&text, &Features::ALL) {
            let _ = err.explain(&text);
        }
    }

    #[test]
    fn no_samples_and_no_times_panic_the_evaluator(
        text in vector(),
        source in hostile_source(),
        at in prop_oneof![
            Just(0), Just(i64::MIN), Just(i64::MAX), any::<i64>(), -600_000_i64..600_000
        ],
        step in prop::sample::select(vec![1, 60_000, u64::MAX]),
        steps in 0..5_u32,
    ) {
        let Ok(query) = Query::parse(text, &Features::ALL) else { return Ok(()) };
        let options = Options { samples_max: Some(100_000), ..Options::default() };
        let (start, step) = (Timestamp::from_millis(at), std::time::Duration::from_millis(step));
        let _ = engine().instant(&source, &query, start, &options);
        let end = start.plus(step.saturating_mul(steps));
        let _ = engine().range(&source, &query, start, end, step, &options);
    }

    #[test]
    fn t50_a_range_query_equals_that_many_instant_queries(text in vector()) {
        let Ok(query) = Query::parse(text.as_str(), &Features::ALL) else { return Ok(()) };
        let calls_for_instants =
            ["sort", "end()", "step()", "range()"].iter().any(|word| text.contains(word));
        if calls_for_instants {
            return Ok(());
        }
        let (source, engine, options) = (small_source(), engine(), Options::default());
        let (start, step) = (Timestamp::from_millis(200_000), std::time::Duration::from_secs(70));
        let end = start.plus(step * 4);
        let Ok(output) = engine.range(&source, &query, start, end, step, &options) else {
            return Ok(());
        };
        let watchbell::promql::Value::Matrix(series) = output.value else {
            return Err(TestCaseError::fail("no matrix"));
        };
        for n in 0..=4_u32 {
            let at = start.plus(step * n);
            let output = engine.instant(&source, &query, at, &options);
            let output = output.map_err(|err| TestCaseError::fail(format!("{text}: {err}")))?;
            let watchbell::promql::Value::Vector(mut samples) = output.value else {
                return Err(TestCaseError::fail("no vector"));
            };
            samples.sort_by(|a, b| a.metric.cmp(&b.metric));
            let instant: Vec<_> =
                samples.iter().map(|sample| (sample.metric.clone(), sample.value.to_bits())).collect();
            let column: Vec<_> = series
                .iter()
                .filter_map(|series| {
                    let place = series.samples.ts.iter().position(|ts| *ts == at.as_millis())?;
                    Some((series.metric.clone(), series.samples.values[place].to_bits()))
                })
                .collect();
            prop_assert_eq!(column, instant, "{} at {}", text, at);
        }
    }
}
