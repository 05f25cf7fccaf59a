//! What is wrong with a rule file.
//!
//! Source: prometheus, model/rulefmt/rulefmt.go (Validate).

use super::alert::PREAMBLE;
use super::config::{RuleConfig, RuleFile, RuleGroup};
use crate::model::{METRIC_NAME, Problem, Timestamp, is_legacy_label_name, is_legacy_metric_name};
use crate::promql::syntax::{self, Features};
use crate::template::{RuleContext, Template, TemplateError, rule_functions};
use std::collections::BTreeSet;

/// The language of rule files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleLanguage {
    /// What of PromQL beyond the stable language is allowed.
    pub features: Features,
    /// Whether names of metrics and labels are held to the classic grammar:
    /// `metric_name_validation_scheme: legacy`.
    pub legacy_names: bool,
}

/// Every fault for which the file must not be used, with the stable language of PromQL.
pub fn check(file: &RuleFile) -> Vec<Problem> {
    check_with(file, &RuleLanguage::default())
}

/// As `check`, in this language.
pub fn check_with(file: &RuleFile, language: &RuleLanguage) -> Vec<Problem> {
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
        problems.extend(language.group(group).into_iter().map(|problem| problem.below(&at)));
    }
    problems
}

/// Rules with the name and the labels of one before: where both yield, one result is refused.
pub fn duplicates(file: &RuleFile) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for (at, group, rule) in all_rules(file) {
        let labels = group.labels_of(rule);
        let shown: Vec<_> = labels.iter().map(|(name, text)| format!("{name}={text:?}")).collect();
        let text = format!(
            "duplicate rule: {}{{{}}} is there already; might cause inconsistency while recording \
             expressions",
            rule.name(),
            shown.join(", ")
        );
        if !seen.insert((rule.name(), labels)) {
            problems.push(Problem::new(at, text));
        }
    }
    problems
}

/// Labels of alerts that hold the value: an alert with such a label is a new one each time.
pub fn volatile_labels(file: &RuleFile) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (at, group, rule) in all_rules(file) {
        if rule.alert.is_empty() {
            continue;
        }
        for (name, _) in group.labels_of(rule).iter().filter(|(_, text)| uses_value(text)) {
            let text = format!(
                "label {name:?} holds the value, so that each new value makes a new alert; use an \
                 annotation"
            );
            // One of the group's labels is told at each alert that has it.
            let own = rule.labels.contains_key(name);
            let at = if own { format!("{at}.labels.{name}") } else { at.clone() };
            problems.push(Problem::new(at, text));
        }
    }
    problems
}

/// All rules with their paths and groups.
fn all_rules(file: &RuleFile) -> impl Iterator<Item = (String, &RuleGroup, &RuleConfig)> {
    file.groups.iter().enumerate().flat_map(|(place, group)| {
        let rules = group.rules.iter().enumerate();
        rules.map(move |(number, rule)| (format!("groups[{place}].rules[{number}]"), group, rule))
    })
}

/// Parses a text of an alerting rule with the short names that such texts have.
pub(super) fn parse_template(alert: &str, text: &str) -> Result<Template, TemplateError> {
    let query = |_: &str| Ok(Vec::new());
    let ctx = RuleContext { query: &query, now: Timestamp::EPOCH, external_url: "" };
    let name = format!("__alert_{alert}");
    Template::parse(&name, &format!("{PREAMBLE}{text}"), &rule_functions(ctx))
}

impl RuleLanguage {
    fn group(&self, group: &RuleGroup) -> Vec<Problem> {
        let mut problems: Vec<_> =
            group.labels.keys().filter_map(|name| self.label("labels", name)).collect();
        for (place, rule) in group.rules.iter().enumerate() {
            let at = format!("rules[{place}]");
            problems.extend(self.rule(rule).into_iter().map(|problem| problem.below(&at)));
        }
        problems
    }

    fn rule(&self, rule: &RuleConfig) -> Vec<Problem> {
        let mut problems = Vec::new();
        match (rule.record.is_empty(), rule.alert.is_empty()) {
            (false, false) => {
                problems.push(Problem::new("", "only one of 'record' and 'alert' must be set"));
            }
            (true, true) => {
                problems.push(Problem::new("", "one of 'record' or 'alert' must be set"));
            }
            (true, false) | (false, true) => {}
        }
        problems.extend(self.expression(&rule.expr));
        problems.extend(rule.labels.keys().filter_map(|name| self.label("labels", name)));
        if rule.record.is_empty() {
            problems.extend(self.texts(rule));
        } else {
            problems.extend(self.recording(rule));
        }
        problems
    }

    fn expression(&self, text: &str) -> Option<Problem> {
        if text.trim().is_empty() {
            return Some(Problem::new("expr", "field 'expr' must be set in rule"));
        }
        let err = syntax::parse(text, &self.features).err()?;
        let help = err.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        let message = format!("could not parse expression: {err}{help}");
        Some(Problem { offset: Some(err.span.start), ..Problem::new("expr", message) })
    }

    fn recording(&self, rule: &RuleConfig) -> Vec<Problem> {
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
        let name = &rule.record;
        if name.contains(['{', '}']) {
            let text =
                format!("braces present in the recording rule name; should it be in expr?: {name}");
            problems.push(Problem::new("record", text));
        } else if self.legacy_names && !is_legacy_metric_name(name) {
            let text = format!("invalid recording rule name: {name}");
            problems.push(Problem::new("record", text));
        }
        problems
    }

    fn label(&self, field: &str, name: &str) -> Option<Problem> {
        let wrong = name == METRIC_NAME || !self.is_name(name);
        wrong.then(|| Problem::new(field, format!("invalid label name: {name}")))
    }

    fn is_name(&self, name: &str) -> bool {
        if self.legacy_names { is_legacy_label_name(name) } else { !name.is_empty() }
    }

    fn texts(&self, rule: &RuleConfig) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (what, field, texts) in
            [("label", "labels", &rule.labels), ("annotation", "annotations", &rule.annotations)]
        {
            for (name, text) in texts {
                if field == "annotations" && !self.is_name(name) {
                    problems.push(Problem::new(field, format!("invalid annotation name: {name}")));
                }
                if let Err(err) = parse_template(&rule.alert, &text.0) {
                    let at = format!("{field}.{name}");
                    problems.push(Problem::new(at, format!("{what} {name:?}: {err}")));
                }
            }
        }
        problems
    }
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
        let text = "groups: [{name: a}, {name: ''}, {name: a}]";
        let file: RuleFile = serde_yaml::from_str(text).expect("a file");
        let found: Vec<_> = check(&file).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "groups[1]: group name must not be empty; give it a name",
                "groups[2].name: group name \"a\" is repeated in the same file",
            ]
        );
    }

    #[test]
    fn t28_a_label_with_the_value_is_told() {
        let rules = "{alert: a, expr: up, labels: {l: '{{ $value }}'}}, \
                     {record: b, expr: up, labels: {l: '{{ $value }}'}}";
        let found: Vec<_> = volatile_labels(&file(rules)).into_iter().map(|one| one.at).collect();
        assert_eq!(found, ["groups[0].rules[0].labels.l"]);
        let text =
            "groups: [{name: g, labels: {l: '{{ .Value }}'}, rules: [{alert: a, expr: up}]}]";
        let of_group: RuleFile = serde_yaml::from_str(text).expect("a file");
        let found: Vec<_> = volatile_labels(&of_group).into_iter().map(|one| one.at).collect();
        assert_eq!(found, ["groups[0].rules[0]"]);
    }

    #[test]
    fn a_rule_twice_is_told_at_each_repetition() {
        // promtool 2.42: an empty label is one, and an alert may repeat a recorded name.
        let rules = "{record: r, expr: up}, {record: r, expr: down}, \
                     {record: r, expr: up, labels: {x: y}}, {record: r, expr: up, labels: {x: ''}}, \
                     {alert: r, expr: up}";
        let found: Vec<_> = duplicates(&file(rules)).into_iter().map(|one| one.at).collect();
        assert_eq!(found, ["groups[0].rules[1]", "groups[0].rules[4]"]);
    }

    #[test]
    fn the_classic_grammar_holds_where_it_is_asked_for() {
        // Source: prometheus, model/rulefmt/rulefmt.go, with model.LegacyValidation.
        let rules = "{record: 'a.b', expr: up}, {alert: a, expr: up, labels: {'l.m': x}, \
                     annotations: {'é': x}}";
        assert_eq!(check(&file(rules)), []);
        let legacy = RuleLanguage { legacy_names: true, ..RuleLanguage::default() };
        let found = check_with(&file(rules), &legacy);
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "groups[0].rules[0].record: invalid recording rule name: a.b",
                "groups[0].rules[1].labels: invalid label name: l.m",
                "groups[0].rules[1].annotations: invalid annotation name: é",
            ]
        );
    }

    #[test]
    fn an_expression_comes_with_what_to_write_instead() {
        let found = &check(&file("{record: a, expr: 'rat(up[5m])'}"))[0];
        assert!(found.message.ends_with("; did you mean rate?"), "{found}");
    }
}
