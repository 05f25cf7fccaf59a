//! What decides a test, beside what `tests/rules` compares with promtool.

use super::*;
use crate::promql::syntax::Features;
use crate::rules::config::RuleFile;
use crate::sys::clock::{SharedClock, SystemClock};
use std::sync::Arc;
use std::time::Duration;

const RULES: &str = "
groups:
- name: g
  rules:
  - {alert: Hot, expr: v > 1}
  - {record: w, expr: v * 2}
";

struct Case {
    file: UnitTestFile,
    rules: RuleFile,
    limits: Limits,
}

impl Case {
    fn new(tests: &str) -> Self {
        let file = serde_yaml::from_str(&format!("tests:\n{tests}")).expect("a test file");
        let rules = serde_yaml::from_str(RULES).expect("a rule file");
        Self { file, rules, limits: Limits::default() }
    }

    /// `path@offset: text` of each failure.
    fn failures(&self) -> Vec<String> {
        let clock: SharedClock = Arc::new(SystemClock::new());
        let run = Run {
            file: &self.file,
            groups: self.rules.groups.iter().map(|group| ("r.yml".to_owned(), group)).collect(),
            features: Features::default(),
            delayed_name_removal: false,
            only: None,
            limits: self.limits,
            keeps_data: false,
            clock,
        };
        let outcomes = run.chosen().map(|(place, name)| run.run(place, name));
        let told = |failure: Failure| {
            let offset = failure.offset.map(|at| format!("@{at}")).unwrap_or_default();
            format!("{}{offset}: {}", failure.at, failure.to_string().trim_start())
        };
        outcomes.flat_map(|outcome| outcome.failures).map(told).collect()
    }
}

#[test]
fn every_fault_of_a_test_is_told_at_its_place() {
    let case = Case::new(
        "- name: n\n  input_series:\n  - {series: 'v{a=5}', values: '1'}\n  - {series: v, values: \
         '1 2y 3'}\n  - {series: h, values: '{{}}'}\n  alert_rule_test:\n  - {eval_time: 1m}\n",
    );
    assert_eq!(
        case.failures(),
        [
            "tests[0].input_series[0].series@4: series \"v{a=5}\": 1:5: parse error: unexpected \
             character inside braces: '5'",
            "tests[0].input_series[1].values@3: values of {__name__=\"v\"}: unexpected 'y' in \
             series values",
            "tests[0].input_series[2].values: {__name__=\"h\"}: native histograms are not kept \
             yet, so that this cannot be tested",
            "tests[0].alert_rule_test[0]: an item under alert_rule_test misses required attribute \
             alertname at eval_time 1m (in TestGroup n)",
        ]
    );
}

#[test]
fn a_case_that_is_wrong_is_told_at_its_place() {
    let case = Case::new(
        "- input_series: [{series: v, values: '3'}]\n  alert_rule_test: [{eval_time: 0, alertname: \
         Hot, exp_alerts: [{}]}, {eval_time: 0s, alertname: Hot}]\n  promql_expr_test:\n  \
         - {expr: w, eval_time: 0s, exp_samples: [{labels: w, value: 6}]}\n  - {expr: 'w +', \
         eval_time: 0s}\n  - {expr: w, eval_time: 0s, exp_samples: [{labels: w}]}\n  - {expr: w, \
         eval_time: 0s, exp_samples: [{labels: 'w{a', value: 6}]}\n",
    );
    let failures = case.failures();
    let heads: Vec<&str> = failures.iter().map(|text| text.split(' ').next().unwrap()).collect();
    assert_eq!(
        heads,
        [
            "tests[0].alert_rule_test[1]:",
            "tests[0].promql_expr_test[1].expr@3:",
            "tests[0].promql_expr_test[2]:",
            "tests[0].promql_expr_test[3].exp_samples[0].labels@3:",
        ],
        "{failures:#?}"
    );
    assert!(
        failures[2].ends_with("exp: {__name__=\"w\"} 0E+00\n        got: {__name__=\"w\"} 6E+00")
    );
}

#[test]
fn what_is_different_is_shown_line_by_line() {
    let case = Case::new(
        "- input_series: [{series: 'v{a=\"1\"}', values: '3'}, {series: 'v{a=\"2\"}', values: '4'}]\n  \
         alert_rule_test: [{eval_time: 0, alertname: Hot, exp_alerts: [{exp_labels: {a: 1}}, \
         {exp_labels: {a: 3}}]}]\n  promql_expr_test: [{expr: w, eval_time: 0, exp_samples: \
         [{labels: 'w{a=\"1\"}', value: 6}, {labels: 'w{a=\"2\"}', value: 7}]}]\n",
    );
    let clock: SharedClock = Arc::new(SystemClock::new());
    let run = Run {
        file: &case.file,
        groups: case.rules.groups.iter().map(|group| (String::new(), group)).collect(),
        features: Features::default(),
        delayed_name_removal: false,
        only: None,
        limits: case.limits,
        keeps_data: true,
        clock,
    };
    let outcome = run.run(0, "n".to_owned());
    let diffs: Vec<_> = outcome.failures.iter().map(|failure| failure.diff().unwrap()).collect();
    assert_eq!(
        diffs[0],
        [
            "  Labels:{a=\"1\", alertname=\"Hot\"}",
            "  Annotations:{}",
            "+ Labels:{a=\"2\", alertname=\"Hot\"}",
            "+ Annotations:{}",
            "- Labels:{a=\"3\", alertname=\"Hot\"}",
            "- Annotations:{}",
        ]
    );
    assert_eq!(
        diffs[1],
        [
            "  {__name__=\"w\", a=\"1\"} 6E+00",
            "- {__name__=\"w\", a=\"2\"} 7E+00",
            "+ {__name__=\"w\", a=\"2\"} 8E+00",
        ]
    );
    let names: Vec<_> =
        outcome.data.iter().filter_map(|(labels, _)| labels.metric_name()).collect();
    assert_eq!(
        names,
        ["ALERTS", "ALERTS", "ALERTS_FOR_STATE", "ALERTS_FOR_STATE", "v", "v", "w", "w"]
    );
}

#[test]
fn hostile_tests_end_with_a_sentence() {
    // More samples than a test may store, of which only those that are wanted are made.
    let many = "- interval: 1ms\n  input_series: [{series: v, values: '1x99999999999999999999'}]\n";
    assert!(Case::new(many).failures()[0].contains("invalid repetition in series values"));
    let many = "- interval: 1ms\n  input_series: [{series: v, values: '1x99999999999999999'}]\n  \
                promql_expr_test: [{expr: v, eval_time: 0s, exp_samples: [{labels: v, value: 1}]}]\n";
    assert_eq!(Case::new(many).failures(), Vec::<String>::new());
    let many = many.replace("eval_time: 0s", "eval_time: 1d");
    let mut case = Case::new(&many);
    case.limits.samples_max = 100_000;
    case.file.evaluation_interval = Some(crate::sys::settings::Span::seconds(86_400));
    assert_eq!(
        case.failures(),
        ["tests[0]: the store takes no samples: a test holds at most 100000 samples"]
    );
    // More evaluations than there is time for.
    let long = "- promql_expr_test: [{expr: '1', eval_time: 290y}]\n";
    let mut case = Case::new(long);
    case.limits.timeout = Duration::ZERO;
    assert_eq!(
        case.failures(),
        ["tests[0]: the test takes longer than 0s; allow more with --timeout"]
    );
}

#[test]
fn groups_that_are_not_named_tie_with_the_first_one_named() {
    let text = "groups:\n- {name: a, rules: [{record: a, expr: count(b)}]}\n- {name: b, rules: \
                [{record: b, expr: '1'}]}\n";
    let tests = "- promql_expr_test: [{expr: a, eval_time: 0s, exp_samples: [{labels: a, value: \
                 1}]}]\n";
    for (order, passes) in
        [(&["b", "a"][..], true), (&["a", "b"], false), (&[], false), (&["b"], false)]
    {
        let mut case = Case::new(tests);
        case.rules = serde_yaml::from_str(text).expect("a rule file");
        case.file.group_eval_order = order.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(case.failures().is_empty(), passes, "{order:?}");
    }
}
