//! Evaluation: any expression over any series ends with an answer or an error, within small
//! budgets. The bytes choose the series, the times and the expression, mostly of the right types.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use watchbell::model::{Labels, Matcher, TimeRange, Timestamp, stale_nan};
use watchbell::promql::{Config, Engine, Features, Options, Output, Query, Value};
use watchbell::storage::source::{
    Columns, SelectedSamples, SelectedSeries, SeriesSet, Source, SourceError,
};
use watchbell::sys::clock::{Clock, Sleep};

/// Looks at the clock before a query is over; there is one for about a thousand samples.
const LOOKS_MAX: u32 = 2000;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = Bytes(bytes);
    let config = Config {
        features: Features::ALL,
        delayed_name_removal: bytes.flag(),
        start_timestamps: bytes.flag(),
        samples_max: 50_000,
        bytes_max: 1 << 20,
        series_max: 100,
        timeout: Duration::from_secs(u64::from(LOOKS_MAX)),
        ..Config::default()
    };
    let source = bytes.series();
    let start = Timestamp::from_millis(bytes.time());
    let step = Duration::from_millis(bytes.pick(&[1, 7_000, 60_000, 300_000, u64::MAX / 2]));
    let steps = u32::from(bytes.next() % 12);
    let text = if bytes.next() > 223 {
        String::from_utf8_lossy(bytes.0).into_owned()
    } else {
        bytes.vector(5)
    };
    let Ok(query) = Query::parse(text, &Features::ALL) else { return };
    let engine = || Engine::new(config.clone(), Arc::new(Ticking::default()));
    if let Ok(output) = engine().instant(&source, &query, start, &Options::default()) {
        check(&output);
    }
    let end = start.plus(step.saturating_mul(steps));
    if let Ok(output) = engine().range(&source, &query, start, end, step, &Options::default()) {
        check(&output);
    }
});

/// No answer has a staleness marker, a series without samples, or times that do not rise.
fn check(output: &Output) {
    match &output.value {
        Value::Vector(samples) => {
            assert!(samples.iter().all(|sample| sample.value.to_bits() != stale_nan().to_bits()));
        }
        Value::Matrix(list) => {
            assert!(list.is_sorted_by(|a, b| a.metric < b.metric));
            for series in list {
                assert!(!series.samples.is_empty());
                assert!(series.samples.ts.is_sorted_by(|a, b| a < b));
                let mut values = series.samples.values.iter();
                assert!(values.all(|value| value.to_bits() != stale_nan().to_bits()));
            }
        }
        _scalar_or_string => {}
    }
}

/// A clock that goes on by a second whenever it is looked at: a query's work is bounded, not its
/// time on this machine.
#[derive(Debug, Default)]
struct Ticking(AtomicU32);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(u64::from(self.0.fetch_add(1, Ordering::Relaxed)))
    }

    fn sleep_until(&self, _deadline: Duration) -> Sleep {
        Box::pin(std::future::ready(()))
    }
}

#[derive(Debug, Default)]
struct Series(Vec<(Labels, Arc<Samples>)>);

#[derive(Debug, Default)]
struct Samples {
    columns: Columns,
}

impl SelectedSamples for Samples {
    fn read(
        &self,
        _number: usize,
        range: TimeRange,
        out: &mut Columns,
    ) -> Result<Vec<String>, SourceError> {
        let Columns { ts, values, starts, .. } = &self.columns;
        for ((ts, value), start) in ts.iter().zip(values).zip(starts) {
            if (range.from().as_millis()..=range.to().as_millis()).contains(ts) {
                out.push(*ts, *value);
                out.starts.push(*start);
            }
        }
        Ok(Vec::new())
    }
}

impl Source for Series {
    fn select(
        &self,
        _range: TimeRange,
        matchers: &[Matcher],
        series_max: usize,
    ) -> Result<SeriesSet, SourceError> {
        let matches = |labels: &Labels| matchers.iter().all(|matcher| matcher.matches(labels));
        let found = self.0.iter().filter(|(labels, _)| matches(labels));
        let found =
            found.map(|(labels, samples)| SelectedSeries::new(labels.clone(), samples.clone(), 0));
        let series: Vec<_> = found.take(series_max).collect();
        Ok(SeriesSet { series, warnings: Vec::new() })
    }

    fn series(&self, range: TimeRange, matchers: &[Matcher]) -> Result<Vec<Labels>, SourceError> {
        let set = self.select(range, matchers, usize::MAX)?;
        Ok(set.series.into_iter().map(|series| series.labels).collect())
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

/// The input, and what is chosen by it. Without bytes the first choice is taken.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn flag(&mut self) -> bool {
        self.next() & 1 == 1
    }

    fn word(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.next()))
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[usize::from(self.next()) % list.len()]
    }

    fn time(&mut self) -> i64 {
        match self.next() % 16 {
            0..8 => i64::from(self.next()) * 10_000,
            8..11 => i64::from(self.next()) * -10_000,
            11 => i64::MIN + i64::from(self.next()),
            12 => i64::MAX - i64::from(self.next()),
            13 => i64::from(self.next()) - 128,
            14 => 1_700_000_000_000 + i64::from(self.next()) * 1000,
            _any => self.word().cast_signed(),
        }
    }

    fn value(&mut self) -> f64 {
        let special = [
            0.0,
            -0.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            stale_nan(),
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            5e-324,
            1e-300,
            1e308,
            0.1,
            9_007_199_254_740_993.0,
        ];
        match self.next() {
            choice @ 0..64 => special[usize::from(choice) % special.len()],
            64..224 => f64::from(self.next()),
            _any => f64::from_bits(self.word()),
        }
    }

    fn series(&mut self) -> Series {
        let mut list: Vec<(Labels, Arc<Samples>)> = Vec::new();
        for _ in 0..self.next() % 8 {
            let pairs = [
                ("__name__", self.pick(&["a", "b", "a_bucket", "target_info", ""])),
                ("x", self.pick(&["1", "2", ""])),
                ("le", self.pick(&["", "", "1", "2.5", "+Inf", "NaN", "le"])),
                ("__type__", self.pick(&["", "", "counter"])),
                ("instance", self.pick(&["", "i"])),
            ];
            let labels = Labels::from_pairs(pairs);
            let mut samples: Vec<(i64, f64, i64)> = Vec::new();
            let (mut ts, gap) = (self.time(), self.pick(&[10_000, 1, 60_000, 301_000, i64::MAX]));
            for _ in 0..self.next() % 24 {
                let start = self.pick(&[0, 0, -1, -10_000, -1_000_000, 10]);
                let start = if start == 0 { 0 } else { ts.saturating_add(start) };
                samples.push((ts, self.value(), start));
                ts = if self.next() < 8 { self.time() } else { ts.saturating_add(gap) };
            }
            samples.sort_by_key(|sample| sample.0);
            samples.dedup_by_key(|sample| sample.0);
            let mut columns = Columns::default();
            for (ts, value, start) in samples {
                columns.push(ts, value);
                columns.starts.push(start);
            }
            list.push((labels, Arc::new(Samples { columns })));
        }
        list.sort_by(|a, b| a.0.cmp(&b.0));
        list.dedup_by(|a, b| a.0 == b.0);
        Series(list)
    }

    fn duration(&mut self) -> &'static str {
        self.pick(&[
            "5m",
            "10s",
            "1ms",
            "1h30m",
            "3y",
            "290y",
            "90",
            "step()",
            "range() + 1s",
            "1m * 2",
            "max_of(step(), 1m)",
            "0.5",
        ])
    }

    fn times(&mut self) -> String {
        let offset = self.duration();
        match self.next() % 12 {
            0 => format!(" offset ({offset})"),
            1 => format!(" offset -({offset})"),
            2 => " @ start()".to_owned(),
            3 => " @ end() offset 1m".to_owned(),
            4 => format!(" @ {}", self.time() / 1000),
            5 => " @ -9223372036854000 offset 1m".to_owned(),
            6 => " @ 9223372036854000 offset -1m".to_owned(),
            _none => String::new(),
        }
    }

    fn selector(&mut self) -> &'static str {
        self.pick(&[
            "a",
            "b",
            "a_bucket",
            "{__name__=~\"a.*|b\"}",
            "a{x=\"1\"}",
            "{x!=\"\"}",
            "b{x=~\"1|2\"}",
            "{le!=\"\"}",
        ])
    }

    fn range(&mut self, depth: u32) -> String {
        let (duration, step) = (self.duration(), self.pick(&["", "1m", "10s", "7s", "1ms", "1h"]));
        if depth > 0 && self.next() < 96 {
            let inner = self.vector(depth - 1);
            return format!("({inner})[{duration}:{step}]{}", self.times());
        }
        let extension = self.pick(&["", "", "", " anchored", " smoothed"]);
        format!("{}[{duration}]{extension}{}", self.selector(), self.times())
    }

    fn scalar(&mut self, depth: u32) -> String {
        match self.next() % 12 {
            0 => self.value().to_string(),
            1 => "time()".to_owned(),
            2 => "1e308".to_owned(),
            3 => "-Inf".to_owned(),
            4 => "NaN".to_owned(),
            5 if depth > 0 => format!("scalar({})", self.vector(depth - 1)),
            6 if depth > 0 => {
                let op = self.pick(&["+", "-", "*", "/", "%", "^", "atan2", "< bool"]);
                format!("({} {op} {})", self.scalar(depth - 1), self.scalar(depth - 1))
            }
            7 => self.pick(&["start()", "end()", "step()", "range()", "pi()"]).to_owned(),
            small => format!("{}", i32::from(small) - 8),
        }
    }

    fn vector(&mut self, depth: u32) -> String {
        if depth == 0 || self.0.is_empty() {
            return format!("{}{}", self.selector(), self.times());
        }
        let down = depth - 1;
        match self.next() % 20 {
            0 => format!("{} smoothed{}", self.selector(), self.times()),
            1 => format!("vector({})", self.scalar(down)),
            2..5 => self.binary(down),
            5..8 => self.aggregation(down),
            8..13 => self.over_range(down),
            13..16 => self.function(down),
            16 => format!("-({})", self.vector(down)),
            17 => format!("+{}", self.selector()),
            _plain => format!("{}{}", self.selector(), self.times()),
        }
    }

    fn binary(&mut self, depth: u32) -> String {
        let op = self.pick(&[
            "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<=", "== bool", "< bool",
            "and", "or", "unless",
        ]);
        let matching = self.pick(&[
            "",
            "",
            " on (x)",
            " ignoring (le)",
            " on ()",
            " on (x) group_left",
            " on (x) group_right (le)",
            " ignoring (x) group_left (__name__)",
            " on (x) fill (0)",
            " fill_left (1) fill_right (NaN)",
        ]);
        match self.next() % 6 {
            0 => format!("({}) {op} {}", self.vector(depth), self.scalar(depth)),
            1 => format!("{} {op} ({})", self.scalar(depth), self.vector(depth)),
            _vectors => format!("({}) {op}{matching} ({})", self.vector(depth), self.vector(depth)),
        }
    }

    fn aggregation(&mut self, depth: u32) -> String {
        let by = self.pick(&["", "by (x)", "without (x)", "by (le, __name__)", "without ()"]);
        let plain = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];
        let ranked = ["topk", "bottomk", "quantile", "limitk", "limit_ratio"];
        let inner = self.vector(depth);
        match self.next() % 3 {
            0 => format!("{} {by} ({}, {inner})", self.pick(&ranked), self.scalar(depth)),
            1 if self.flag() => format!("count_values {by} (\"v\", {inner})"),
            _plain => format!("{} {by} ({inner})", self.pick(&plain)),
        }
    }

    fn over_range(&mut self, depth: u32) -> String {
        let function = self.pick(&[
            "rate",
            "increase",
            "delta",
            "irate",
            "idelta",
            "resets",
            "changes",
            "deriv",
            "sum_over_time",
            "avg_over_time",
            "min_over_time",
            "max_over_time",
            "count_over_time",
            "last_over_time",
            "first_over_time",
            "present_over_time",
            "absent_over_time",
            "stddev_over_time",
            "stdvar_over_time",
            "mad_over_time",
            "ts_of_first_over_time",
            "ts_of_last_over_time",
            "ts_of_max_over_time",
            "ts_of_min_over_time",
        ]);
        let range = self.range(depth);
        match self.next() % 12 {
            0 => format!("quantile_over_time({}, {range})", self.scalar(depth)),
            1 => format!("predict_linear({range}, {})", self.scalar(depth)),
            2 => {
                let (a, b) = (self.scalar(depth), self.scalar(depth));
                format!("double_exponential_smoothing({range}, {a}, {b})")
            }
            _one => format!("{function}({range})"),
        }
    }

    fn function(&mut self, depth: u32) -> String {
        let function = self.pick(&[
            "abs",
            "ceil",
            "exp",
            "ln",
            "sqrt",
            "sgn",
            "acosh",
            "atanh",
            "rad",
            "sort",
            "sort_desc",
            "timestamp",
            "start_timestamp",
            "absent",
            "hour",
            "year",
            "days_in_month",
            "day_of_year",
            "info",
            "histogram_count",
        ]);
        let inner = self.vector(depth);
        match self.next() % 12 {
            0 => format!("clamp({inner}, {}, {})", self.scalar(depth), self.scalar(depth)),
            1 => format!("round({inner}, {})", self.scalar(depth)),
            2 => format!("histogram_quantile({}, {inner})", self.scalar(depth)),
            3 => {
                let (a, b) = (self.scalar(depth), self.scalar(depth));
                format!("histogram_fraction({a}, {b}, {inner})")
            }
            4 => {
                let (a, b) = (self.scalar(depth), self.scalar(depth));
                format!("histogram_quantiles({inner}, \"q\", {a}, {b})")
            }
            5 => {
                let to = self.pick(&["x", "__name__", "le", "new"]);
                format!("label_replace({inner}, \"{to}\", \"$1\", \"x\", \"(.*)\")")
            }
            6 => format!("label_join({inner}, \"x\", \"-\", \"le\", \"instance\")"),
            7 => format!("sort_by_label({inner}, \"x\", \"le\")"),
            _one => format!("{function}({inner})"),
        }
    }
}
