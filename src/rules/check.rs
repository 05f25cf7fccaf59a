//! What is wrong with a rule file.
//!
//! Source: prometheus, model/rulefmt/rulefmt.go (Validate).

use super::alert::PREAMBLE;
use super::config::{RuleConfig, RuleFile, RuleGroup};
use crate::model::{METRIC_NAME, Problem, Timestamp};
use crate::template::{RuleContext, Template, TemplateError, rule_functions};
use std::collections::BTreeSet;

/// Every fault for which the file must not be used.
pub fn check(file: &RuleFile) -> Vec<Problem> {
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
        problems.extend(check_group(group).into_iter().map(|problem| problem.below(&at)));
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

fn check_group(group: &RuleGroup) -> Vec<Problem> {
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
        problems.extend(check_rule(rule).into_iter().map(|problem| problem.below(&at)));
    }
    problems
}

fn check_rule(rule: &RuleConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    match (rule.record.is_empty(), rule.alert.is_empty()) {
        (false, false) => {
            problems.push(Problem::new("", "only one of 'record' and 'alert' must be set"));
        }
        (true, true) => problems.push(Problem::new("", "one of 'record' or 'alert' must be set")),
        (true, false) | (false, true) => {}
    }
    problems.extend(check_expression(&rule.expr));
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

fn check_expression(text: &str) -> Option<Problem> {
    if text.trim().is_empty() {
        return Some(Problem::new("expr", "field 'expr' must be set in rule"));
    }
    None
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
