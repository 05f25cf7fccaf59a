//! What is wrong with a rule file.
//!
//! Source: prometheus, model/rulefmt/rulefmt.go (Validate).

use super::alert::PREAMBLE;
use super::config::{RuleConfig, RuleFile, RuleGroup};
use crate::model::{METRIC_NAME, Problem, Timestamp};
use crate::promql::syntax::{self, Features};
use crate::template::{RuleContext, Template, TemplateError, rule_functions};
use std::collections::BTreeSet;

/// Every fault for which the file must not be used, with the stable language of PromQL.
pub fn check(file: &RuleFile) -> Vec<Problem> {
    check_with(file, &Features::default())
}

/// As `check`, with what of PromQL beyond the stable language is allowed.
pub fn check_with(file: &RuleFile, features: &Features) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    for (place, group) in file.groups.iter().enumerate() {
        let at = format!("groups[{place}]");
        if group.name.is_empty() {
            problems.push(Problem::new(&at, "group name must not be empty; give it a name"));
        } else if !names.insert(group.name.as_str()) {
            let text = format!("group name {:?} is repeated in the same file", group.name);
            problems.push(Problem::new(format!("{at}.name"), text));
        }
        problems.extend(check_group(group, features).into_iter().map(|problem| problem.below(&at)));
    }
    problems
}

/// What works and is hardly meant: the same rule twice, an alert that is a new one each time.
pub fn lint(file: &RuleFile) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for (place, group) in file.groups.iter().enumerate() {
        for (number, rule) in group.rules.iter().enumerate() {
            let at = format!("groups[{place}].rules[{number}]");
            let labels = group.labels_of(rule);
            if !rule.alert.is_empty() {
                let volatile = labels.iter().filter(|(_, text)| uses_value(text));
                for (name, _) in volatile {
                    let text = "the label holds the value, so that each new value makes a new \
                                alert; use an annotation";
                    problems.push(Problem::new(format!("{at}.labels.{name}"), text));
                }
            }
            if !seen.insert((rule.name().to_owned(), labels)) {
                let text = format!("{:?} with the same labels is there already", rule.name());
                problems.push(Problem::new(at, text));
            }
        }
    }
    problems
}

/// Parses a text of an alerting rule with the short names that such texts have.
pub(super) fn parse_template(alert: &str, text: &str) -> Result<Template, TemplateError> {
    let query = |_: &str| Ok(Vec::new());
    let ctx = RuleContext { query: &query, now: Timestamp::EPOCH, external_url: "" };
    let name = format!("__alert_{alert}");
    Template::parse(&name, &format!("{PREAMBLE}{text}"), &rule_functions(ctx))
}

fn check_group(group: &RuleGroup, features: &Features) -> Vec<Problem> {
    let mut problems = Vec::new();
    if group.interval.is_some_and(|interval| interval.0.is_zero()) {
        let text = "interval 0s is not allowed; leave it out for the global interval";
        problems.push(Problem::new("interval", text));
    }
    for name in group.labels.keys() {
        problems.extend(check_label(name));
    }
    for (place, rule) in group.rules.iter().enumerate() {
        let at = format!("rules[{place}]");
        problems.extend(check_rule(rule, features).into_iter().map(|problem| problem.below(&at)));
    }
    problems
}

fn check_rule(rule: &RuleConfig, features: &Features) -> Vec<Problem> {
    let mut problems = Vec::new();
    match (rule.record.is_empty(), rule.alert.is_empty()) {
        (false, false) => {
            problems.push(Problem::new("", "only one of 'record' and 'alert' must be set"));
        }
        (true, true) => problems.push(Problem::new("", "one of 'record' or 'alert' must be set")),
        (true, false) | (false, true) => {}
    }
    problems.extend(check_expression(&rule.expr, features));
    for name in rule.labels.keys() {
        problems.extend(check_label(name));
    }
    if rule.record.is_empty() {
        problems.extend(check_texts(rule));
    } else {
        problems.extend(check_recording(rule));
    }
    problems
}

fn check_expression(text: &str, features: &Features) -> Option<Problem> {
    if text.trim().is_empty() {
        return Some(Problem::new("expr", "field 'expr' must be set in rule"));
    }
    let err = syntax::parse(text, features).err()?;
    let message = format!("could not parse expression: {err}");
    Some(Problem { offset: Some(err.span.start), ..Problem::new("expr", message) })
}

fn check_recording(rule: &RuleConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut refuse = |there: bool, field: &str| {
        if there {
            let text = format!("invalid field '{field}' in recording rule");
            problems.push(Problem::new(field, text));
        }
    };
    refuse(!rule.annotations.is_empty(), "annotations");
    refuse(rule.hold.is_some_and(|hold| !hold.0.is_zero()), "for");
    refuse(rule.keep_firing_for.is_some_and(|keep| !keep.0.is_zero()), "keep_firing_for");
    if rule.record.contains(['{', '}']) {
        let text = format!(
            "braces present in the recording rule name; should it be in expr?: {}",
            rule.record
        );
        problems.push(Problem::new("record", text));
    }
    problems
}

fn check_label(name: &str) -> Option<Problem> {
    let wrong = name.is_empty() || name == METRIC_NAME;
    wrong.then(|| Problem::new("labels", format!("invalid label name: {name}")))
}

fn check_texts(rule: &RuleConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (what, field, texts) in
        [("label", "labels", &rule.labels), ("annotation", "annotations", &rule.annotations)]
    {
        for (name, text) in texts {
            if field == "annotations" && name.is_empty() {
                problems.push(Problem::new(field, "invalid annotation name: "));
            }
            if let Err(err) = parse_template(&rule.alert, &text.0) {
                let at = format!("{field}.{name}");
                problems.push(Problem::new(at, format!("{what} {name:?}: {err}")));
            }
        }
    }
    problems
}

/// Whether the text of a label has the value of the alert in it.
fn uses_value(text: &str) -> bool {
    text.contains("{{") && (text.contains("$value") || text.contains(".Value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(rules: &str) -> RuleFile {
        serde_yaml::from_str(&format!("groups: [{{name: g, rules: [{rules}]}}]")).expect("a file")
    }

    #[track_caller]
    fn problems(rules: &str) -> Vec<String> {
        check(&file(rules)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_prometheus_refuses_is_refused_at_its_place() {
        // Expectations: prometheus, model/rulefmt/rulefmt_test.go and its testdata.
        for (rules, expected) in [
            ("{expr: up}", "groups[0].rules[0]: one of 'record' or 'alert' must be set"),
            (
                "{record: a, alert: b, expr: up}",
                "groups[0].rules[0]: only one of 'record' and 'alert' must be set",
            ),
            ("{record: a}", "groups[0].rules[0].expr: field 'expr' must be set in rule"),
            (
                "{record: a, expr: up, for: 1m}",
                "groups[0].rules[0].for: invalid field 'for' in recording rule",
            ),
            (
                "{record: a, expr: up, keep_firing_for: 1m}",
                "groups[0].rules[0].keep_firing_for: invalid field 'keep_firing_for' in recording rule",
            ),
            (
                "{record: a, expr: up, annotations: {b: c}}",
                "groups[0].rules[0].annotations: invalid field 'annotations' in recording rule",
            ),
            (
                "{record: 'a{b=\"c\"}', expr: up}",
                "groups[0].rules[0].record: braces present in the recording rule name; \
                 should it be in expr?: a{b=\"c\"}",
            ),
            (
                "{alert: a, expr: up, labels: {__name__: b}}",
                "groups[0].rules[0].labels: invalid label name: __name__",
            ),
            (
                "{alert: a, expr: up, labels: {l: '{{ $x }}'}}",
                "groups[0].rules[0].labels.l: label \"l\": template: __alert_a:1: undefined variable \"$x\"",
            ),
            (
                "{alert: a, expr: up, annotations: {l: '{{ if }}'}}",
                "groups[0].rules[0].annotations.l: annotation \"l\": \
                 template: __alert_a:1: missing value for if",
            ),
        ] {
            assert_eq!(problems(rules), [expected], "{rules}");
        }
        let err = &check(&file("{record: a, expr: 'sum(up'}"))[0];
        assert!(err.message.starts_with("could not parse expression: "), "{err}");
        assert!(err.offset.is_some());
    }

    #[test]
    fn names_of_groups_are_unique_and_not_empty() {
        let text = "groups: [{name: a}, {name: ''}, {name: a, interval: 0s}]";
        let file: RuleFile = serde_yaml::from_str(text).expect("a file");
        let found: Vec<_> = check(&file).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "groups[1]: group name must not be empty; give it a name",
                "groups[2].name: group name \"a\" is repeated in the same file",
                "groups[2].interval: interval 0s is not allowed; leave it out for the global interval",
            ]
        );
    }

    #[test]
    fn t28_a_label_with_the_value_and_a_rule_twice_are_linted() {
        let rules = "{alert: a, expr: up, labels: {l: '{{ $value }}'}}, {record: r, expr: up}, \
                     {record: r, expr: down}, {record: r, expr: up, labels: {x: y}}";
        let found: Vec<_> = lint(&file(rules)).iter().map(|problem| problem.at.clone()).collect();
        assert_eq!(found, ["groups[0].rules[0].labels.l", "groups[0].rules[2]"]);
    }
}
