//! The same samples and expressions in the real Prometheus, where `promtool` is installed: it runs
//! them in one process of its own (`test rules`), without a server and without waiting.
//!
//! Evaluation times fall on no sample and no left end of a range, where 2.x and 3.x differ, and
//! counters stay far above zero, where their extrapolation differs.

use crate::memory::Memory;
use crate::runner::our_scripts;
use crate::script::{self, When};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;
use watchbell::model::{Labels, Timestamp, is_stale_nan, stale_nan};
use watchbell::promql::syntax::{ExprKind, Features, parse, parse_series};
use watchbell::promql::{Config, Engine, Options, Value};
use watchbell::sys::sim::VirtualClock;

const STEP_SECONDS: i64 = 15;
const POINTS: usize = 241;
/// 7 s after a sample each, in seconds.
const TIMES: [i64; 3] = [1207, 2482, 3592];
const RANGES: [&str; 3] = ["45s", "3m", "17m"];

/// How equal the answers must be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Equal {
    /// The versions compute alike.
    Bits,
    /// 3.x sums with compensation and takes other ways to a mean.
    Nearly,
}

/// Without promtool these tests say so and pass.
fn is_installed() -> bool {
    let installed = Command::new("promtool").arg("--version").output().is_ok();
    if !installed {
        println!("skipped: promtool is not installed");
    }
    installed
}

#[test]
fn real_prometheus_answers_the_same() {
    if !is_installed() {
        return;
    }
    let (series, exprs) = (series(), expressions());
    let asked = exprs.iter().flat_map(|(expr, _)| TIMES.map(|at| (expr.clone(), at)));
    let theirs = theirs(STEP_SECONDS, &series, &asked.collect::<Vec<_>>());
    let (source, mut wrong, mut answered) = (source(&series), Vec::new(), 0);
    for (expr, equal) in &exprs {
        for at in TIMES {
            let ours = ours(&source, expr, at);
            let empty = BTreeMap::new();
            let theirs = theirs.get(&(expr.clone(), at)).unwrap_or(&empty);
            answered += usize::from(!theirs.is_empty());
            if let Some(why) = difference(&ours, theirs, *equal) {
                wrong.push(format!("{expr} at {at}s: {why}"));
            }
        }
    }
    println!("{} of {} answers have samples", answered, exprs.len() * TIMES.len());
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(answered * 10 > exprs.len() * TIMES.len() * 9, "too few expressions find anything");
}

/// What our scripts expect was reckoned by hand; of what 2.x has, it is also what 2.x says.
#[test]
fn real_prometheus_says_what_our_scripts_expect() {
    if !is_installed() {
        return;
    }
    let scripts = our_scripts().into_iter().filter(|(name, _)| name != "later.test");
    for (name, text) in scripts {
        let (mut series, mut evals) = (Vec::new(), Vec::new());
        for command in script::parse(&text) {
            match command {
                script::Command::Load(load) => series.extend(load.series.iter().map(loaded)),
                script::Command::Eval(eval) if eval.fail.is_none() => evals.push(eval),
                script::Command::Eval(_) => {}
                script::Command::Clear => panic!("{name}: one load for promtool"),
            }
        }
        let asked = evals.iter().filter_map(|eval| match eval.when {
            When::Instant(at) => Some((eval.query.clone(), at / 1000)),
            When::Range { .. } => None,
        });
        let theirs = theirs(60, &series, &asked.collect::<Vec<_>>());
        for eval in &evals {
            let When::Instant(at) = eval.when else { continue };
            let scalar = eval.scalar.map(|value| (Labels::empty(), value));
            let listed = eval.series.iter().map(|(labels, points)| {
                (labels.clone(), points[0].expect("a value at an instant"))
            });
            let ours: BTreeMap<Labels, f64> = listed.chain(scalar).collect();
            let empty = BTreeMap::new();
            let theirs = theirs.get(&(eval.query.clone(), at / 1000)).unwrap_or(&empty);
            let why = difference(&ours, theirs, Equal::Nearly);
            assert!(why.is_none(), "{name}:{}: {} {}", eval.line, eval.query, why.unwrap());
        }
    }
}

fn loaded(series: &script::Loaded) -> (String, Points) {
    let last = series.samples.last().map_or(-1, |sample| sample.0 / 60_000);
    let mut points = vec![None; usize::try_from(last + 1).expect("small")];
    for (ts, value, _) in &series.samples {
        points[usize::try_from(ts / 60_000).expect("small")] = Some(*value);
    }
    (series.labels.to_string(), points)
}

fn difference(
    ours: &BTreeMap<Labels, f64>,
    theirs: &BTreeMap<Labels, f64>,
    equal: Equal,
) -> Option<String> {
    if !ours.keys().eq(theirs.keys()) {
        return Some(format!("{ours:?}, Prometheus {theirs:?}"));
    }
    ours.iter().zip(theirs.values()).find_map(|((labels, ours), theirs)| {
        let same = match equal {
            Equal::Bits => ours.to_bits() == theirs.to_bits(),
            Equal::Nearly => {
                ours == theirs || (ours - theirs).abs() <= 1e-9 * ours.abs().max(theirs.abs())
            }
        };
        let same = same || (ours.is_nan() && theirs.is_nan());
        (!same).then(|| format!("{labels} {ours:?}, Prometheus {theirs:?}"))
    })
}

fn expressions() -> Vec<(String, Equal)> {
    let mut out: Vec<(String, Equal)> = Vec::new();
    let mut add = |expr: String, equal| out.push((expr, equal));
    for metric in ["req_total", "mem", "temp"] {
        for range in RANGES {
            for function in [
                "rate",
                "increase",
                "delta",
                "irate",
                "idelta",
                "resets",
                "changes",
                "deriv",
                "count_over_time",
                "sum_over_time",
                "min_over_time",
                "max_over_time",
                "last_over_time",
                "present_over_time",
                "stddev_over_time",
                "stdvar_over_time",
            ] {
                add(format!("{function}({metric}[{range}])"), Equal::Bits);
            }
            add(format!("avg_over_time({metric}[{range}])"), Equal::Nearly);
            add(format!("quantile_over_time(0.3, {metric}[{range}] offset 2m)"), Equal::Bits);
            add(format!("predict_linear({metric}[{range}], 600)"), Equal::Bits);
        }
    }
    for inner in ["mem", "temp", "rate(req_total[3m])", "(mem > 40)"] {
        for grouping in ["", "by (job)", "without (instance)"] {
            for op in ["min", "max", "count", "group", "quantile"] {
                let param = if op == "quantile" { "0.9, " } else { "" };
                add(format!("{op} {grouping} ({param}{inner})"), Equal::Bits);
            }
            // Sums of sixty-fourths are exact, however they are added.
            let exact = inner.contains("mem");
            let equal = if exact { Equal::Bits } else { Equal::Nearly };
            add(format!("sum {grouping} ({inner})"), equal);
            // A storage gives series in an order of its own, and these depend on it.
            for op in ["avg", "stddev", "stdvar"] {
                add(format!("{op} {grouping} ({inner})"), Equal::Nearly);
            }
        }
    }
    for range in RANGES {
        add(format!("sum by (job) (rate(req_total[{range}]))"), Equal::Nearly);
        add(format!("max_over_time(rate(req_total[50s])[{range}:30s])"), Equal::Bits);
        add(format!("sum_over_time((temp - mem)[{range}:10s])"), Equal::Bits);
        add(format!("avg_over_time(sum by (job) (mem)[{range}:])"), Equal::Nearly);
    }
    for q in [0.0, 0.5, 0.9, 0.99, 1.0] {
        for range in RANGES {
            let rates = format!("sum by (le, job) (rate(lat_bucket[{range}]))");
            add(format!("histogram_quantile({q}, {rates})"), Equal::Nearly);
        }
        add(format!("histogram_quantile({q}, lat_bucket)"), Equal::Bits);
    }
    for expr in [
        "mem + on (job, instance) temp",
        "mem * temp",
        "mem / ignoring (room) temp",
        "temp % 7",
        "temp ^ 0.5",
        "mem - 2.5",
        "mem > temp",
        "mem >= bool temp",
        "mem != 3",
        "-temp",
        "1 / mem",
        "mem and on (job) (temp > 20)",
        "mem or temp",
        "mem unless (mem < 40)",
        "mem * on (job) group_left (owner) team",
        "mem / on (job) group_left () sum by (job) (mem)",
        "topk(2, temp)",
        "bottomk by (job) (1, temp)",
        "count_values(\"v\", resets(req_total[17m]))",
        "abs(temp - 25)",
        "ceil(temp)",
        "floor(temp)",
        "round(temp, 0.5)",
        "exp(temp / 10)",
        "ln(mem)",
        "log2(mem)",
        "log10(mem)",
        "sqrt(mem)",
        "sin(temp)",
        "cosh(temp / 10)",
        "sgn(mem)",
        "deg(temp)",
        "clamp(temp, 20, 24)",
        "clamp_min(temp, 21)",
        "hour(mem * 3600)",
        "day_of_week(mem * 86400)",
        "days_in_month(mem * 2592000)",
        "timestamp(mem)",
        "time() - temp",
        "scalar(sum(mem)) + temp",
        "vector(time())",
        "absent(nosuch{a=\"b\"})",
        "absent_over_time(nosuch[3m])",
        "label_replace(mem, \"x\", \"$1-y\", \"job\", \"(.).*\")",
        "label_join(mem, \"x\", \"/\", \"job\", \"instance\")",
        "mem @ 600",
        "mem offset 7m",
        "rate(req_total[3m] @ 1807)",
        "temp offset -1m",
        "sum(mem @ 600) - sum(mem)",
    ] {
        // Go has routines of its own for these, whose last bit may be another.
        let nearly = ["exp", "ln", "log", "sin", "cosh", "temp ^"];
        let nearly = nearly.iter().any(|start| expr.starts_with(start));
        add(expr.to_owned(), if nearly { Equal::Nearly } else { Equal::Bits });
    }
    out
}

/// Values of a series, `None` where there is none.
type Points = Vec<Option<f64>>;

fn series() -> Vec<(String, Points)> {
    let mut dice = Dice(0x5eed);
    let mut out = Vec::new();
    for (job, instance) in [("api", "1"), ("api", "2"), ("db", "1"), ("db", "2"), ("web", "1")] {
        let labels = format!("job=\"{job}\", instance=\"{instance}\"");
        let mut total = 1e6;
        let counter = (0..POINTS).map(|_| {
            total = if dice.below(60) == 0 { 5e5 } else { total + dice.below(900) as f64 };
            total
        });
        let counter: Points = counter.map(Some).collect();
        out.push((format!("req_total{{{labels}}}"), dice.with_gaps(counter)));
        let mem = (0..POINTS).map(|_| Some(1.0 + dice.below(6400) as f64 / 64.0)).collect();
        out.push((format!("mem{{{labels}}}"), dice.with_gaps(mem)));
        let temp = (0..POINTS).map(|_| Some(15.0 + dice.below(2000) as f64 / 100.0)).collect();
        out.push((format!("temp{{{labels}}}"), dice.with_gaps(temp)));
        let mut counts = [1e5; 4];
        let mut rows: Vec<Points> = vec![Vec::new(); counts.len()];
        for _ in 0..POINTS {
            for (place, (row, count)) in rows.iter_mut().zip(&mut counts).enumerate() {
                *count += dice.below(20 + 20 * place as u64) as f64;
                // Buckets are cumulative.
                let below = place as f64 * 1e6;
                row.push(Some(*count + below));
            }
        }
        for (le, row) in ["0.1", "0.5", "2.5", "+Inf"].iter().zip(rows) {
            out.push((format!("lat_bucket{{{labels}, le=\"{le}\"}}"), row));
        }
    }
    for (job, owner) in [("api", "x"), ("db", "y"), ("web", "z")] {
        let constant = vec![Some(2.0); POINTS];
        out.push((format!("team{{job=\"{job}\", owner=\"{owner}\"}}"), constant));
    }
    out
}

/// A generator of numbers that are the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Takes some samples away and makes a few into staleness markers.
    fn with_gaps(&mut self, mut points: Points) -> Points {
        for point in &mut points {
            match self.below(40) {
                0..2 => *point = None,
                2 => *point = Some(stale_nan()),
                _kept => {}
            }
        }
        points
    }
}

fn source(series: &[(String, Points)]) -> Memory {
    let mut memory = Memory::default();
    for (name, points) in series {
        let labels = parse_series(name).expect("a series");
        for (ts, value) in (0_i64..).step_by(15_000).zip(points) {
            if let Some(value) = value {
                memory.push(labels.clone(), ts, *value);
            }
        }
    }
    memory
}

fn ours(source: &Memory, expr: &str, at: i64) -> BTreeMap<Labels, f64> {
    let clock = Arc::new(VirtualClock::at(Timestamp::EPOCH));
    let engine = Engine::new(Config::default(), clock);
    let query = engine.parse(expr).unwrap_or_else(|err| panic!("{expr}: {err}"));
    let at = Timestamp::from_millis(at * 1000);
    let output = engine.instant(source, &query, at, &Options::default());
    match output.unwrap_or_else(|err| panic!("{expr}: {err}")).value {
        Value::Vector(samples) => {
            samples.into_iter().map(|sample| (sample.metric, sample.value)).collect()
        }
        other => panic!("{expr}: {other:?}"),
    }
}

/// What Prometheus answers to expressions at times in seconds: each is expected to find nothing,
/// and promtool says what it found instead, with all digits.
fn theirs(
    step_seconds: i64,
    series: &[(String, Points)],
    asked: &[(String, i64)],
) -> BTreeMap<(String, i64), BTreeMap<Labels, f64>> {
    let mut text = format!("tests:\n- interval: {step_seconds}s\n  input_series:\n");
    for (name, points) in series {
        let values: Vec<String> = points.iter().map(point_text).collect();
        let _ = writeln!(text, "  - series: '{name}'\n    values: '{}'", values.join(" "));
    }
    text.push_str("  promql_expr_test:\n");
    for (expr, at) in asked {
        let _ = writeln!(text, "  - expr: '{expr}'\n    eval_time: {at}s");
    }
    // Samples are loaded up to the last minute that is asked for.
    text.push_str("  - expr: 'time()'\n    eval_time: 2h\n");
    let dir = tempfile::tempdir().expect("temporary folder");
    let file = dir.path().join("oracle.yml");
    std::fs::write(&file, text).expect("written");
    let output = Command::new("promtool").args(["test", "rules"]).arg(&file).output();
    let output = output.expect("promtool runs");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    read_answers(&said)
}

fn point_text(point: &Option<f64>) -> String {
    match point {
        None => "_".to_owned(),
        Some(value) if is_stale_nan(*value) => "stale".to_owned(),
        Some(value) => format!("{value}"),
    }
}

fn read_answers(said: &str) -> BTreeMap<(String, i64), BTreeMap<Labels, f64>> {
    let (mut out, mut asked) = (BTreeMap::new(), None);
    for line in said.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("expr: ") {
            let (expr, time) = rest.rsplit_once(", time: ").unwrap_or_else(|| panic!("{line}"));
            let Ok(ExprKind::String(expr)) = parse(expr, &Features::ALL).map(|expr| expr.kind)
            else {
                panic!("no quoted expression: {line}")
            };
            let time = time.trim_end_matches(',');
            asked = Some((expr, script::millis(time) / 1000));
        } else if let Some(found) = line.strip_prefix("got: ") {
            let asked = asked.take().unwrap_or_else(|| panic!("an answer to nothing: {line}"));
            out.insert(asked, samples(found));
        } else {
            let plain = ["", "FAILED:", "exp: nil"].contains(&line);
            assert!(plain || line.starts_with("Unit Testing"), "promtool says: {line}");
        }
    }
    out
}

/// Reads `{a="b"} 1E+00, {a="c"} 2E+00`.
fn samples(mut text: &str) -> BTreeMap<Labels, f64> {
    let mut out = BTreeMap::new();
    while let Some((labels, rest)) = text.split_once('}') {
        let labels =
            parse_series(&format!("{labels}}}")).unwrap_or_else(|err| panic!("{text}: {err}"));
        let (value, after) = rest.split_once(", ").unwrap_or((rest, ""));
        out.insert(labels, value.trim().parse().unwrap_or_else(|_| panic!("no number: {value}")));
        text = after;
    }
    out
}
