//! Runs scripts and compares as upstream's runner does.
//!
//! An evaluation that fails is excused when it needs native histograms: its own text holds `{{`,
//! or a selection that it made should have found samples loaded with `{{` or converted by
//! `load_with_nhcb`. Of the scripts in the shared folder those are listed in `excused.txt`, and
//! the list must be exactly what the rule says; scripts from elsewhere have the rule alone.

use crate::memory::Memory;
use crate::script::{self, Command, Eval, Text, When};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use watchbell::model::{Labels, Regex, Timestamp, is_stale_nan};
use watchbell::promql::syntax::{At, Expr, ExprKind, Function};
use watchbell::promql::{Config, Engine, Error, Features, Options, Output, Query, Value};
use watchbell::sys::sim::VirtualClock;

const EXCUSED: &str = include_str!("excused.txt");

/// What became of one evaluation.
enum Outcome {
    Passed,
    /// Failed, and needs native histograms.
    Excused(String),
    Failed(String),
}

/// What became of the evaluations of all scripts.
#[derive(Default)]
struct Tally {
    total: usize,
    passed: usize,
    excused: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Tally {
    /// Runs the scripts of a folder and says how many of each pass.
    fn run(&mut self, folder: &Path) {
        for path in scripts(folder) {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let outcomes = run_text(&std::fs::read_to_string(&path).expect("readable"));
            let passed =
                outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Passed)).count();
            println!("{name} {passed}/{}", outcomes.len());
            self.total += outcomes.len();
            self.passed += passed;
            for (line, outcome) in outcomes {
                let place = format!("{name}:{line}");
                match outcome {
                    Outcome::Passed => {}
                    Outcome::Excused(why) => {
                        if std::env::var_os("PROMQLTEST_EXCUSED").is_some() {
                            println!("excused {place}: {why}");
                        }
                        self.excused.insert(place);
                    }
                    Outcome::Failed(why) => self.wrong.push(format!("{place}: {why}")),
                }
            }
        }
    }
}

/// `PROMQLTEST_DIRS` names other folders, parted by colons; `PROMQLTEST_EXCUSED` shows why those
/// that are excused fail.
#[test]
fn prometheus_scripts_pass() {
    let shared = crate::shared("conformance/promqltest");
    let folders: Vec<PathBuf> = match std::env::var("PROMQLTEST_DIRS") {
        Ok(list) => list.split(':').filter(|part| !part.is_empty()).map(PathBuf::from).collect(),
        Err(_) => shared.iter().cloned().collect(),
    };
    let is_shared = |folder: &Path| {
        let shared = shared.as_ref().map(|shared| shared.canonicalize().expect("exists"));
        folder.canonicalize().ok() == shared && shared.is_some()
    };
    let (mut tally, mut listed) = (Tally::default(), true);
    for folder in &folders {
        let mut here = Tally::default();
        here.run(folder);
        if is_shared(folder) {
            listed &= list_agrees(&here.excused);
        }
        tally.total += here.total;
        tally.passed += here.passed;
        tally.excused.extend(here.excused);
        tally.wrong.extend(here.wrong);
    }
    let excused = tally.total - tally.passed - tally.wrong.len();
    println!("total {}/{}; excused for native histograms {excused}", tally.passed, tally.total);
    assert!(folders.is_empty() || tally.total > 0, "no scripts in {folders:?}");
    assert!(tally.wrong.is_empty(), "these fail:\n{}", tally.wrong.join("\n"));
    assert!(listed, "excused.txt is not what the rule says");
}

/// Whether `excused.txt` lists these and no others; says what differs.
fn list_agrees(excused: &BTreeSet<String>) -> bool {
    let listed: BTreeSet<String> = EXCUSED
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    for place in excused.difference(&listed) {
        println!("excused.txt lacks {place}");
    }
    for place in listed.difference(excused) {
        println!("excused.txt lists {place}, which passes or has no excuse");
    }
    *excused == listed
}

/// The scripts that stand beside the tests: operators, modifiers, aggregations and functions, each
/// at least once, with answers that were reckoned by hand.
#[test]
fn our_scripts_pass() {
    for (name, text) in our_scripts() {
        println!("{name}");
        check_script(&text);
    }
}

/// Names and texts of the project's own scripts.
pub(crate) fn our_scripts() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promql/scripts");
    let found: Vec<(String, String)> = scripts(&folder)
        .into_iter()
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("readable"))
        })
        .collect();
    assert!(!found.is_empty(), "no scripts in {folder:?}");
    found
}

/// Runs a script of the project's own, all of which must pass.
#[track_caller]
pub(crate) fn check_script(text: &str) {
    let outcomes = run_text(text);
    assert!(!outcomes.is_empty(), "the script evaluates nothing");
    let wrong = outcomes.into_iter().filter_map(|(line, outcome)| match outcome {
        Outcome::Passed => None,
        Outcome::Failed(why) | Outcome::Excused(why) => Some(format!("line {line}: {why}")),
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn scripts(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|err| panic!("{folder:?}: {err}"));
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "test"))
        .collect();
    paths.sort();
    paths
}

fn run_text(text: &str) -> Vec<(usize, Outcome)> {
    let (mut store, mut outcomes) = (Memory::default(), Vec::new());
    for command in script::parse(text) {
        match command {
            Command::Clear => store = Memory::default(),
            Command::Load(load) => {
                for series in load.series {
                    for (ts, value, start) in series.samples {
                        store.push_started(series.labels.clone(), ts, value, start);
                    }
                    for ts in series.histograms {
                        store.push_histogram(series.labels.clone(), ts);
                    }
                }
                for (labels, times) in load.converted {
                    for ts in times {
                        store.push_histogram(labels.clone(), ts);
                    }
                }
            }
            Command::Eval(eval) => outcomes.push((eval.line, outcome(&store, &eval))),
        }
    }
    outcomes
}

fn outcome(store: &Memory, eval: &Eval) -> Outcome {
    store.take_missed();
    let parsed = Query::parse(&eval.query, &Features::ALL).map_err(|err| err.to_string());
    let result = parsed.and_then(|query| run(store, eval, &query));
    match result {
        Ok(()) => Outcome::Passed,
        Err(why) => {
            let why = format!("{}: {why}", eval.query);
            let excused = eval.histograms || store.take_missed();
            if excused { Outcome::Excused(why) } else { Outcome::Failed(why) }
        }
    }
}

pub(crate) fn engine() -> Engine {
    let config = Config {
        features: Features::ALL,
        delayed_name_removal: true,
        start_timestamps: true,
        ..Config::default()
    };
    Engine::new(config, Arc::new(VirtualClock::at(Timestamp::EPOCH)))
}

fn run(store: &Memory, eval: &Eval, query: &Query) -> Result<(), String> {
    let engine = engine();
    match eval.when {
        When::Range { start, end, step } => {
            let result = range(&engine, store, query, (start, end, step));
            let Some(output) = judged(eval, result)? else { return Ok(()) };
            notes_fit(eval, &output)?;
            let Value::Matrix(series) = &output.value else {
                return Err("the result is no matrix".to_owned());
            };
            let found = series.iter().map(|series| {
                let samples = series.samples.ts.iter().zip(&series.samples.values);
                (series.metric.clone(), samples.map(|(ts, value)| (*ts, *value)).collect())
            });
            matrix_fits(&eval.series, &found.collect::<Vec<_>>(), start, step)
        }
        When::Instant(at) => {
            instant(&engine, store, eval, query, at)?;
            if changes_with_time(query.expr()) {
                return Ok(());
            }
            let text = pinned(query.expr().clone(), at).to_string();
            let pinned = Query::parse(&text, &Features::ALL).map_err(|err| err.to_string())?;
            let times =
                if at == 0 { vec![-1000, 0, 1000] } else { vec![-10 * at, 0, at / 5, at, 10 * at] };
            for time in times {
                instant(&engine, store, eval, &pinned, time)
                    .map_err(|why| format!("pinned as {text} at {time}: {why}"))?;
            }
            Ok(())
        }
    }
}

fn range(
    engine: &Engine,
    store: &Memory,
    query: &Query,
    (start, end, step): (i64, i64, i64),
) -> Result<Output, Error> {
    let step = Duration::from_millis(u64::try_from(step).expect("positive"));
    let (start, end) = (Timestamp::from_millis(start), Timestamp::from_millis(end));
    engine.range(store, query, start, end, step, &Options::default())
}

/// The output, unless a failure was expected and came.
fn judged(eval: &Eval, result: Result<Output, Error>) -> Result<Option<Output>, String> {
    match (result, &eval.fail) {
        (Ok(output), None) => Ok(Some(output)),
        (Ok(_), Some(_)) => Err("a failure was expected".to_owned()),
        (Err(err), Some(wanted)) if fits(wanted, &err.to_string()) => Ok(None),
        (Err(err), wanted) => Err(format!("failed: {err}; expected {wanted:?}")),
    }
}

fn fits(wanted: &Text, found: &str) -> bool {
    match wanted {
        Text::Any => true,
        Text::Exactly(text) => text == found,
        Text::Matches(regex) => {
            let wrapped = Regex::searching(regex).expect("a regular expression");
            wrapped.is_match(found)
        }
    }
}

fn notes_fit(eval: &Eval, output: &Output) -> Result<(), String> {
    for (kind, wanted, none, found) in [
        ("warnings", &eval.warn, eval.no_warn, output.warnings()),
        ("infos", &eval.info, eval.no_info, output.infos()),
    ] {
        if none && !found.is_empty() {
            return Err(format!("no {kind} were expected, found {found:?}"));
        }
        if wanted.is_empty() {
            continue;
        }
        let all_wanted = wanted.iter().all(|wanted| found.iter().any(|text| fits(wanted, text)));
        let all_found = found.iter().all(|text| wanted.iter().any(|wanted| fits(wanted, text)));
        if found.is_empty() || !all_wanted || !all_found {
            return Err(format!("{kind} {wanted:?} expected, found {found:?}"));
        }
    }
    Ok(())
}

fn instant(
    engine: &Engine,
    store: &Memory,
    eval: &Eval,
    query: &Query,
    at: i64,
) -> Result<(), String> {
    let ts = Timestamp::from_millis(at);
    let result = engine.instant(store, query, ts, &Options::default());
    let Some(output) = judged(eval, result)? else { return Ok(()) };
    notes_fit(eval, &output)?;
    instant_fits(eval, &output.value, at)?;
    let text = query.text();
    let by_time = ["start()", "end()", "range()", "step()"].iter().any(|call| text.contains(call));
    if eval.string.is_some() || eval.matrix.is_some() || by_time {
        return Ok(());
    }
    let minute = 60_000;
    let result = range(engine, store, query, (at - minute, at + minute, minute));
    let output = result.map_err(|err| format!("as a range query: {err}"))?;
    let Value::Matrix(series) = output.value else { return Err("no matrix".to_owned()) };
    if !series.is_sorted_by(|a, b| a.metric < b.metric) {
        return Err("the matrix is not sorted".to_owned());
    }
    if eval.ordered {
        return Ok(());
    }
    let at_time = series.iter().filter_map(|series| {
        let place = series.samples.ts.iter().position(|ts| *ts == at)?;
        Some((series.metric.clone(), series.samples.values[place]))
    });
    let found: Vec<_> = at_time.collect();
    if let Some(wanted) = eval.scalar {
        let value = found.first().map(|(_, value)| *value);
        if !value.is_some_and(|value| equal(wanted, value)) {
            return Err(format!("as a range query {wanted} was expected, found {value:?}"));
        }
        return Ok(());
    }
    vector_fits(eval, &found, false).map_err(|why| format!("as a range query: {why}"))
}

fn instant_fits(eval: &Eval, value: &Value, at: i64) -> Result<(), String> {
    match value {
        Value::Scalar(sample) => match eval.scalar {
            Some(wanted) if equal(wanted, sample.value) => Ok(()),
            wanted => Err(format!("{wanted:?} expected, found scalar {}", sample.value)),
        },
        Value::String(_, text) if eval.string.as_ref() == Some(text) => Ok(()),
        Value::String(_, text) => Err(format!("{:?} expected, found {text:?}", eval.string)),
        Value::Vector(samples) => {
            if eval.scalar.is_some() {
                return Err("a scalar was expected".to_owned());
            }
            if samples.iter().any(|sample| sample.ts.as_millis() != at) {
                return Err("a sample has another time".to_owned());
            }
            let found: Vec<_> =
                samples.iter().map(|sample| (sample.metric.clone(), sample.value)).collect();
            vector_fits(eval, &found, eval.ordered)
        }
        Value::Matrix(series) => {
            let Some((start, _, step)) = eval.matrix else {
                return Err("no matrix was expected".to_owned());
            };
            let found = series.iter().map(|series| {
                let samples = series.samples.ts.iter().zip(&series.samples.values);
                (series.metric.clone(), samples.map(|(ts, value)| (*ts, *value)).collect())
            });
            matrix_fits(&eval.series, &found.collect::<Vec<_>>(), start, step)
        }
        other => Err(format!("unknown value {other:?}")),
    }
}

fn vector_fits(eval: &Eval, found: &[(Labels, f64)], ordered: bool) -> Result<(), String> {
    let show = || format!("{:?} expected, found {found:?}", eval.series);
    if found.len() != eval.series.len() {
        return Err(show());
    }
    for (place, (labels, points)) in eval.series.iter().enumerate() {
        let wanted = points.first().copied().flatten().unwrap_or(f64::NAN);
        let mut candidates = found.iter().enumerate();
        let hit = candidates.find(|(_, (metric, _))| metric == labels);
        let Some((found_place, (_, value))) = hit else { return Err(show()) };
        if !equal(wanted, *value) || (ordered && found_place != place) {
            return Err(show());
        }
    }
    Ok(())
}

fn matrix_fits(
    wanted: &[(Labels, Vec<Option<f64>>)],
    found: &[(Labels, Vec<(i64, f64)>)],
    start: i64,
    step: i64,
) -> Result<(), String> {
    if !found.is_sorted_by(|a, b| a.0 < b.0) {
        return Err("the matrix is not sorted".to_owned());
    }
    let wanted: BTreeMap<&Labels, Vec<(i64, f64)>> = wanted
        .iter()
        .map(|(labels, points)| {
            let points = points.iter().enumerate().filter_map(|(n, value)| {
                Some((start + i64::try_from(n).expect("fits") * step, (*value)?))
            });
            (labels, points.collect())
        })
        .collect();
    let show = || format!("{wanted:?} expected, found {found:?}");
    if wanted.len() != found.len() {
        return Err(show());
    }
    for (labels, points) in found {
        let Some(wanted) = wanted.get(labels) else { return Err(show()) };
        let same = wanted.len() == points.len()
            && wanted.iter().zip(points).all(|(a, b)| a.0 == b.0 && equal(a.1, b.1));
        if !same {
            return Err(show());
        }
    }
    Ok(())
}

/// Upstream's tolerance: relative to the sum of both.
fn equal(a: f64, b: f64) -> bool {
    const EPSILON: f64 = 1e-6;
    if is_stale_nan(a) || is_stale_nan(b) {
        return is_stale_nan(a) && is_stale_nan(b);
    }
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

fn changes_with_time(expr: &Expr) -> bool {
    use Function::{
        DayOfMonth, DayOfWeek, DayOfYear, DaysInMonth, End, Hour, Minute, Month, PredictLinear,
        Range, Start, Step, Time, Timestamp, Year,
    };
    let here = match &expr.kind {
        ExprKind::Call(call) => matches!(
            call.function,
            DaysInMonth
                | DayOfMonth
                | DayOfWeek
                | DayOfYear
                | Hour
                | Minute
                | Month
                | Year
                | Time
                | Timestamp
                | PredictLinear
                | Start
                | End
                | Range
                | Step
        ),
        _other => false,
    };
    here || expr.children().into_iter().any(changes_with_time)
}

/// The expression with `@ at` on every selector and subquery that has none, but not below a
/// subquery, which now has one.
fn pinned(mut expr: Expr, at: i64) -> Expr {
    let at_time = At::Time(Timestamp::from_millis(at));
    match &mut expr.kind {
        ExprKind::Vector(selector) => {
            selector.at.get_or_insert(at_time);
        }
        ExprKind::Matrix(matrix) => {
            matrix.selector.at.get_or_insert(at_time);
        }
        ExprKind::Subquery(subquery) => {
            subquery.at.get_or_insert(at_time);
        }
        ExprKind::Paren(inner) | ExprKind::Unary { expr: inner, .. } => {
            **inner = pinned((**inner).clone(), at);
        }
        ExprKind::Binary(binary) => {
            binary.lhs = pinned(binary.lhs.clone(), at);
            binary.rhs = pinned(binary.rhs.clone(), at);
        }
        ExprKind::Aggregation(aggregation) => {
            aggregation.expr = pinned(aggregation.expr.clone(), at);
            aggregation.param = aggregation.param.take().map(|param| pinned(param, at));
        }
        ExprKind::Call(call) => {
            call.args = call.args.iter().cloned().map(|arg| pinned(arg, at)).collect();
        }
        ExprKind::Number(_) | ExprKind::String(_) => {}
    }
    expr
}
