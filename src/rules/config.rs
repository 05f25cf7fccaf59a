//! Rule files as written.
//!
//! Source: prometheus, model/rulefmt/rulefmt.go.

pub use super::check::{RuleLanguage, check_with, duplicates, volatile_labels};
pub use super::unittest::UnitTestFile;

use crate::sys::settings::{Scalar, Span};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A rule file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleFile {
    /// Its groups, evaluated apart from each other.
    #[serde(deserialize_with = "or_default")]
    pub groups: Vec<RuleGroup>,
}

/// Rules that are evaluated together, in order.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleGroup {
    /// Its name, unique in the file.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// Time between evaluations; the global `evaluation_interval` when missing or zero.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "some_time")]
    pub interval: Option<Span>,
    /// The most series or alerts that a rule may yield; 0 is any number, and so is what is written
    /// as less.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "limit")]
    pub limit: u64,
    /// How far before its own time a rule looks; the global `rule_query_offset` when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_offset: Option<Span>,
    /// Labels added to all rules; a rule's own label of the same name wins.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Scalar>,
    /// The rules.
    #[serde(deserialize_with = "or_default")]
    pub rules: Vec<RuleConfig>,
}

/// A recording or alerting rule.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleConfig {
    /// The name of the recorded series; empty for an alerting rule.
    #[serde(deserialize_with = "text", skip_serializing_if = "String::is_empty")]
    pub record: String,
    /// The name of the alert; empty for a recording rule.
    #[serde(deserialize_with = "text", skip_serializing_if = "String::is_empty")]
    pub alert: String,
    /// The PromQL expression.
    #[serde(deserialize_with = "text")]
    pub expr: String,
    /// How long the condition must hold before the alert fires.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<Span>,
    /// How long the alert goes on firing after the condition has gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_firing_for: Option<Span>,
    /// Labels set on the result; an empty one deletes. Templates in alerting rules.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Scalar>,
    /// What is said about the alert: templates.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, Scalar>,
}

impl RuleConfig {
    /// The name of the alert or of the recorded series.
    pub fn name(&self) -> &str {
        if self.alert.is_empty() { &self.record } else { &self.alert }
    }
}

impl RuleGroup {
    /// The labels of `rule` with those of the group where the rule has none of its own.
    pub fn labels_of(&self, rule: &RuleConfig) -> BTreeMap<String, String> {
        let both = self.labels.iter().chain(&rule.labels);
        both.map(|(name, value)| (name.clone(), value.0.clone())).collect()
    }
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// A key without a value is a missing key.
pub(super) fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// Less than nothing is any number, as in Prometheus, and so is no value; of a float the whole part
/// counts.
fn limit<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    struct Limit;
    impl Visitor<'_> for Limit {
        type Value = i64;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("i64")
        }
        fn visit_unit<E>(self) -> Result<i64, E> {
            Ok(0)
        }
        fn visit_i64<E>(self, value: i64) -> Result<i64, E> {
            Ok(value)
        }
        fn visit_u64<E: Error>(self, value: u64) -> Result<i64, E> {
            let wrong = |_| E::invalid_value(Unexpected::Unsigned(value), &self);
            i64::try_from(value).map_err(wrong)
        }
        fn visit_f64<E: Error>(self, value: f64) -> Result<i64, E> {
            let wrong = |_| E::invalid_value(Unexpected::Float(value), &self);
            format!("{:.0}", value.trunc()).parse().map_err(wrong)
        }
    }
    Ok(u64::try_from(from.deserialize_any(Limit)?).unwrap_or(0))
}

/// No time at all is a missing one, as in Prometheus.
fn some_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Span>, D::Error> {
    Ok(Option::<Span>::deserialize(from)?.filter(|span| !span.0.is_zero()))
}

pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Scalar::deserialize(from)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_file_reads_as_written() {
        let file: RuleFile = serde_yaml::from_str(
            "groups:\n- name: g\n  interval: 30s\n  labels: {team: a, level: 1}\n  rules:\n  \
             - alert: A\n    expr: up == 0\n    for: 5m\n    labels: {level: 2}\n    annotations:\n",
        )
        .expect("valid");
        let group = &file.groups[0];
        assert_eq!(group.interval, Some(Span::seconds(30)));
        let rule = &group.rules[0];
        assert_eq!(rule.hold, Some(Span::seconds(300)));
        let labels: Vec<_> = group.labels_of(rule).into_iter().collect();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(labels, [pair("level", "2"), pair("team", "a")]);
    }

    #[test]
    fn an_interval_of_nothing_is_the_global_one() {
        let file: RuleFile =
            serde_yaml::from_str("groups: [{name: g, interval: 0s, query_offset: 0s}]")
                .expect("valid");
        let group = &file.groups[0];
        assert_eq!((group.interval, group.query_offset), (None, Some(Span::seconds(0))));
    }

    #[test]
    fn unknown_keys_and_wrong_durations_are_refused() {
        for text in [
            "groups: [{name: a, rulez: []}]",
            "group: []",
            "groups: [{name: a, interval: 5, rules: []}]",
            "groups: [{name: a, rules: [{alert: A, expr: up, for: 5 m}]}]",
        ] {
            assert!(serde_yaml::from_str::<RuleFile>(text).is_err(), "{text} was taken");
        }
    }
}
