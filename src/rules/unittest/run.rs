//! Runs unit tests: samples go in, groups are evaluated at each interval, and what fires and what
//! is stored is compared.
//!
//! Source: prometheus, cmd/promtool/unittest.go (testGroup.test).

use super::file::{AlertCase, ExpectedSample, ExprCase, UnitTest, UnitTestFile};
use super::memory::Memory;
use super::report::{AlertText, Failure, Fault, Listed, SampleText, TestOutcome};
use super::values::{self, Values};
use crate::model::{Labels, Regex, Timestamp, duration};
use crate::promql::syntax::{Features, parse_series};
use crate::promql::{Config, Engine, Error, Options};
use crate::rules::config::RuleGroup;
use crate::rules::{
    AlertPhase, Context, Group, GroupView, Querier, QuerySample, RuleKindView, answer,
};
use crate::storage::append::{AppendSample, Appender as _, Commit};
use crate::sys::clock::SharedClock;
use crate::sys::metrics::Registry;
use crate::sys::settings::{Scalar, Span};
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::time::Duration;

/// Time between evaluations when the file says nothing.
const EVALUATION_INTERVAL: Duration = Duration::from_secs(60);
/// How long one query may run, as promtool has it.
const QUERY_TIMEOUT: Duration = Duration::from_secs(100);
/// How often an alert would be sent again; here nobody is told.
const RESEND_DELAY: Duration = Duration::from_secs(60);
/// Samples that are stored at once.
const COMMIT_SAMPLES: usize = 65_536;
/// What tests with native histograms are told.
const NO_HISTOGRAMS: &str = "native histograms are not kept yet, so that this cannot be tested";

/// The tests of one file, ready to be run.
#[derive(Debug)]
pub struct Run<'a> {
    /// The file.
    pub file: &'a UnitTestFile,
    /// The groups of its rule files, each with its file's name, as they stand there.
    pub groups: Vec<(String, &'a RuleGroup)>,
    /// What of PromQL is allowed.
    pub features: Features,
    /// `promql-delayed-name-removal`.
    pub delayed_name_removal: bool,
    /// Tests whose names it finds are run; all when missing.
    pub only: Option<&'a Regex>,
    /// What one test may take.
    pub limits: Limits,
    /// Whether outcomes hold all that was stored.
    pub keeps_data: bool,
    /// Measures the time that tests take.
    pub clock: SharedClock,
}

/// What one test may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time.
    pub timeout: Duration,
    /// Samples that are stored, 16 bytes each.
    pub samples_max: usize,
}

impl Default for Limits {
    /// Five minutes, and as many samples as 250 series hold after four weeks with one a minute.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(300), samples_max: 10_000_000 }
    }
}

/// A test that runs.
#[derive(Debug)]
struct Running<'a> {
    run: &'a Run<'a>,
    test: &'a UnitTest,
    /// Its path in the file.
    path: String,
    world: World<'a>,
    failures: Vec<Failure>,
}

/// What rules see.
#[derive(Debug)]
struct World<'a> {
    run: &'a Run<'a>,
    memory: Memory,
    engine: Engine,
    deadline: Duration,
}

/// A series and what of it is not stored yet.
#[derive(Debug)]
struct Input<'a> {
    labels: Labels,
    values: Peekable<Values<'a>>,
}

impl<'a> Run<'a> {
    /// The tests that are to be run, each with its place in the file and its name.
    pub fn chosen(&self) -> impl Iterator<Item = (usize, String)> {
        let all = self.file.tests.iter().enumerate();
        let chosen = all.filter(|(_, test)| self.only.is_none_or(|only| only.is_match(&test.name)));
        chosen.map(|(place, test)| {
            let named = Some(test.name.clone()).filter(|name| !name.is_empty());
            (place, named.unwrap_or_else(|| format!("unnamed#{place}")))
        })
    }

    /// Runs one of them.
    pub fn run(&self, place: usize, name: String) -> TestOutcome {
        let started = self.clock.elapsed();
        let Some(test) = self.file.tests.get(place) else {
            return TestOutcome { name, failures: vec![], took: Duration::ZERO, data: vec![] };
        };
        let config = Config {
            evaluation_interval: self.evaluation_interval(),
            features: self.features,
            delayed_name_removal: self.delayed_name_removal,
            timeout: QUERY_TIMEOUT,
            ..Config::default()
        };
        let world = World {
            run: self,
            memory: Memory::new(self.limits.samples_max),
            engine: Engine::new(config, self.clock.clone()),
            deadline: started.saturating_add(self.limits.timeout),
        };
        let path = format!("tests[{place}]");
        let mut running = Running { run: self, test, path, world, failures: Vec::new() };
        running.run();
        let Running { failures, world, .. } = running;
        let data = if self.keeps_data { world.memory.dump() } else { Vec::new() };
        let took = self.clock.elapsed().saturating_sub(started);
        TestOutcome { name, failures, took, data }
    }

    fn evaluation_interval(&self) -> Duration {
        nonzero(self.file.evaluation_interval).unwrap_or(EVALUATION_INTERVAL)
    }

    /// The groups, in the order of their evaluation. One that the file does not name ties with
    /// the first one that it names, as in promtool.
    fn ordered(&self, ctx: &Context) -> Vec<Group> {
        let named = self.file.group_eval_order.iter().enumerate();
        let order: BTreeMap<&str, usize> =
            named.map(|(place, name)| (name.as_str(), place)).collect();
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(_, group)| order.get(group.name.as_str()).copied().unwrap_or(0));
        groups.into_iter().map(|(file, group)| Group::new(file, group, ctx)).collect()
    }
}

impl<'a> Running<'a> {
    fn run(&mut self) {
        let inputs = self.inputs();
        for (place, case) in self.test.alert_rule_test.iter().enumerate() {
            if case.alertname.is_empty() {
                let name = match self.test.name.as_str() {
                    "" => String::new(),
                    name => format!(" (in TestGroup {name})"),
                };
                let text = format!(
                    "an item under alert_rule_test misses required attribute alertname at \
                     eval_time {}{name}",
                    case.eval_time
                );
                self.fail(&format!("alert_rule_test[{place}]"), None, Fault::Test(text));
            }
        }
        if !self.failures.is_empty() || !self.evaluate(inputs) {
            return;
        }
        let test = self.test;
        for (place, case) in test.promql_expr_test.iter().enumerate() {
            self.compare_samples(&format!("promql_expr_test[{place}]"), case);
        }
    }

    fn fail(&mut self, at: &str, offset: Option<usize>, fault: Fault) {
        let joint = if at.is_empty() { "" } else { "." };
        let at = format!("{}{joint}{at}", self.path);
        self.failures.push(Failure { at, offset, test: self.test.name.clone(), fault });
    }

    /// The series; of two with the same labels the later one.
    fn inputs(&mut self) -> Vec<Input<'a>> {
        let mut inputs = BTreeMap::new();
        let test = self.test;
        for (place, input) in test.input_series.iter().enumerate() {
            let path = format!("input_series[{place}]");
            let labels = match parse_series(&input.series) {
                Ok(labels) => labels,
                Err(err) => {
                    let fault = Fault::Test(format!("series {:?}: {err}", input.series));
                    self.fail(&format!("{path}.series"), Some(err.span.start), fault);
                    continue;
                }
            };
            let at = format!("{path}.values");
            match values::check(&input.values) {
                Ok(false) => {
                    let values = Values::new(&input.values).peekable();
                    inputs.insert(labels, values);
                }
                Ok(true) => {
                    let fault = Fault::Test(format!("{labels}: {NO_HISTOGRAMS}"));
                    self.fail(&at, None, fault);
                }
                Err(values::Fault { offset, message }) => {
                    let fault = Fault::Test(format!("values of {labels}: {message}"));
                    self.fail(&at, Some(offset), fault);
                }
            }
        }
        inputs.into_iter().map(|(labels, values)| Input { labels, values }).collect()
    }

    /// Evaluates all groups until the last case's time; false when the test has to end.
    fn evaluate(&mut self, mut inputs: Vec<Input<'a>>) -> bool {
        let (test, interval) = (self.test, self.run.evaluation_interval());
        let step = nonzero(test.interval).unwrap_or(interval);
        let ctx = Context {
            interval: step,
            scrape_interval: Duration::ZERO,
            query_offset: Duration::ZERO,
            resend_delay: RESEND_DELAY,
            // Nothing was before the first tick.
            outage_tolerance: Duration::ZERO,
            grace_period: Duration::ZERO,
            external_labels: test.external_labels.clone(),
            external_url: test.external_url.clone(),
            registry: Registry::new(),
            slots: None,
        };
        let mut groups = self.run.ordered(&ctx);
        let mut cases: Vec<(usize, &AlertCase)> = test.alert_rule_test.iter().enumerate().collect();
        cases.sort_by_key(|(_, case)| case.eval_time);
        let mut cases = cases.into_iter().peekable();
        let start = test.start_timestamp.0;
        let alert_times = test.alert_rule_test.iter().map(|case| case.eval_time.0);
        let expr_times = test.promql_expr_test.iter().map(|case| case.eval_time.0);
        let end = start.plus(alert_times.chain(expr_times).max().unwrap_or_default());
        let mut at = start;
        while at <= end {
            if let Err(why) = self.world.feed(&mut inputs, start, step, at) {
                self.fail("", None, Fault::Test(why));
                return false;
            }
            if !self.tick(&mut groups, at, &ctx) {
                return false;
            }
            let next = at.plus(interval);
            let due = |case: &(usize, &AlertCase)| case.1.eval_time.0 < next.since(start);
            if cases.peek().is_some_and(due) {
                let views: Vec<GroupView> = groups.iter().map(Group::view).collect();
                while let Some((place, case)) = cases.next_if(due) {
                    self.compare_alerts(&format!("alert_rule_test[{place}]"), case, &views);
                }
            }
            if next == at {
                break;
            }
            at = next;
        }
        true
    }

    /// One evaluation of all groups; false when a rule failed.
    fn tick(&mut self, groups: &mut [Group], at: Timestamp, ctx: &Context) -> bool {
        if self.world.left().is_zero() {
            let allowed = duration::format(self.run.limits.timeout);
            let text = format!("the test takes longer than {allowed}; allow more with --timeout");
            self.fail("", None, Fault::Test(text));
            return false;
        }
        let before = self.failures.len();
        for group in groups {
            let world = &self.world;
            let clock = self.run.clock.as_ref();
            let evaluation = group.evaluate(at, ctx, world, &world.memory, clock);
            for failure in evaluation.failures {
                let error = failure.error.to_string();
                self.fail("", None, Fault::Rule { rule: failure.rule, at, error });
            }
        }
        self.failures.len() == before
    }

    fn compare_alerts(&mut self, at: &str, case: &AlertCase, views: &[GroupView]) {
        let mut got: Vec<AlertText> = firing(views, &case.alertname).collect();
        let mut exp: Vec<AlertText> = case
            .exp_alerts
            .iter()
            .map(|alert| {
                let texts = |map: &BTreeMap<String, Scalar>| -> BTreeMap<String, String> {
                    map.iter().map(|(name, text)| (name.clone(), text.0.clone())).collect()
                };
                let mut labels = texts(&alert.exp_labels);
                labels.insert("alertname".to_owned(), case.alertname.clone());
                AlertText { labels, annotations: texts(&alert.exp_annotations) }
            })
            .collect();
        got.sort();
        exp.sort();
        if exp != got {
            let fault = Fault::Alerts {
                alertname: case.alertname.clone(),
                eval_time: case.eval_time.0,
                exp: Listed::new(exp),
                got: Listed::new(got),
            };
            self.fail(at, None, fault);
        }
    }

    fn compare_samples(&mut self, at: &str, case: &ExprCase) {
        let (expr, eval_time) = (case.expr.clone(), case.eval_time.0);
        let instant = self.test.start_timestamp.0.plus(eval_time);
        let mut got = match self.world.ask(&case.expr, instant) {
            Ok(found) => found,
            Err(err) => {
                let offset = match &err {
                    Error::Parse(err) => Some(err.span.start),
                    _other => None,
                };
                let error = err.to_string();
                return self.fail(
                    &format!("{at}.expr"),
                    offset,
                    Fault::Expr { expr, eval_time, error },
                );
            }
        };
        let mut exp = Vec::new();
        for (place, sample) in case.exp_samples.iter().enumerate() {
            match expected(sample) {
                Ok(sample) => exp.push(sample),
                Err((field, offset, error)) => {
                    let at = format!("{at}.exp_samples[{place}].{field}");
                    return self.fail(&at, offset, Fault::Expr { expr, eval_time, error });
                }
            }
        }
        got.sort_by(|a, b| a.labels.cmp(&b.labels));
        exp.sort_by(|a, b| a.labels.cmp(&b.labels));
        let fuzzy = self.run.file.fuzzy_compare;
        let same = |(a, b): (&SampleText, &SampleText)| {
            a.labels == b.labels && is_equal(a.value, b.value, fuzzy)
        };
        if exp.len() != got.len() || !exp.iter().zip(&got).all(same) {
            let (exp, got) = (Listed::new(exp), Listed::new(got));
            self.fail(at, None, Fault::Samples { expr, eval_time, exp, got });
        }
    }
}

impl World<'_> {
    /// How long the test may still take.
    fn left(&self) -> Duration {
        self.deadline.saturating_sub(self.run.clock.elapsed())
    }

    /// Stores what of the series is not after `till`.
    fn feed(
        &self,
        inputs: &mut [Input<'_>],
        start: Timestamp,
        step: Duration,
        till: Timestamp,
    ) -> Result<(), String> {
        let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
        let mut commit = Commit::default();
        for input in inputs {
            let mut series = None;
            let time = |place: u64| {
                let place = i64::try_from(place).unwrap_or(i64::MAX);
                start.plus_millis(place.saturating_mul(step))
            };
            while let Some((place, value)) = input.values.next_if(|(place, _)| time(*place) <= till)
            {
                let key = *series.get_or_insert_with(|| commit.name(input.labels.clone()));
                commit.samples.push(AppendSample { series: key, ts: time(place), value });
                if commit.samples.len() >= COMMIT_SAMPLES {
                    self.store(&std::mem::take(&mut commit))?;
                    series = None;
                }
            }
        }
        self.store(&commit)
    }

    fn store(&self, commit: &Commit) -> Result<(), String> {
        let done = self.memory.commit(commit).map_err(|err| err.to_string())?;
        let Some((place, reason)) = done.refused.first() else { return Ok(()) };
        let labels = commit.labels_at(*place).cloned().unwrap_or_default();
        Err(format!("cannot store a sample of {labels}: {}", reason.as_str()))
    }

    fn instant(&self, text: &str, at: Timestamp) -> Result<Vec<QuerySample>, Error> {
        let query = self.engine.parse(text)?;
        let timeout = Some(self.left());
        let options = Options { timeout, ..Options::default() };
        let output = self.engine.instant(&self.memory, &query, at, &options)?;
        answer(output.value).map_err(Error::BadData)
    }

    fn ask(&self, text: &str, at: Timestamp) -> Result<Vec<SampleText>, Error> {
        let found = self.instant(text, at)?;
        let sample = |one: QuerySample| SampleText { labels: one.labels, value: one.value };
        Ok(found.into_iter().map(sample).collect())
    }
}

impl Querier for World<'_> {
    fn instant(&self, query: &str, at: Timestamp) -> Result<Vec<QuerySample>, String> {
        World::instant(self, query, at).map_err(|err| err.to_string())
    }
}

/// The alerts of this name that fire.
fn firing(views: &[GroupView], alertname: &str) -> impl Iterator<Item = AlertText> {
    let rules =
        views.iter().flat_map(|view| &view.rules).filter(move |rule| rule.name == alertname);
    let alerts = rules.flat_map(|rule| match &rule.kind {
        RuleKindView::Alerting { alerts, .. } => alerts.as_slice(),
        RuleKindView::Recording => &[],
    });
    alerts.filter(|alert| alert.phase == AlertPhase::Firing).map(move |alert| AlertText {
        labels: texts(&alert.labels),
        annotations: texts(&alert.annotations),
    })
}

fn texts<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What a sample should be; else the field that is wrong, where in it, and why.
fn expected(sample: &ExpectedSample) -> Result<SampleText, (&'static str, Option<usize>, String)> {
    if !sample.histogram.is_empty() {
        return Err(("histogram", None, NO_HISTOGRAMS.to_owned()));
    }
    let text = sample.labels.as_str();
    let labels = match text.trim() {
        "" => Ok(Labels::empty()),
        _ => parse_series(text),
    };
    let labels = labels
        .map_err(|err| ("labels", Some(err.span.start), format!("labels {text:?}: {err}")))?;
    Ok(SampleText { labels, value: sample.value })
}

/// Whether two values are the same: no NaN is, and neighbours are when that is allowed.
fn is_equal(a: f64, b: f64, fuzzy: bool) -> bool {
    a == b || fuzzy && (a.next_down() == b || a.next_up() == b)
}

fn nonzero(span: Option<Span>) -> Option<Duration> {
    span.map(|span| span.0).filter(|span| !span.is_zero())
}
