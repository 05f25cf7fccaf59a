//! Unit-test files as written.
//!
//! Source: prometheus, cmd/promtool/unittest.go (unitTestFile, testGroup).

use crate::model::{Labels, Problem, Timestamp};
use crate::rules::config::{or_default, text};
use crate::sys::settings::{self, Scalar, Span};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use std::collections::{BTreeMap, BTreeSet};

/// A file of unit tests.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnitTestFile {
    /// Rule files, as patterns relative to the test file's folder.
    #[serde(deserialize_with = "or_default")]
    pub rule_files: Vec<String>,
    /// Time between evaluations; a minute when missing or zero.
    pub evaluation_interval: Option<Span>,
    /// Groups in the order in which they are evaluated; those that are not named come first.
    #[serde(deserialize_with = "or_default")]
    pub group_eval_order: Vec<String>,
    /// Whether neighbouring floats are equal.
    #[serde(deserialize_with = "or_default")]
    pub fuzzy_compare: bool,
    /// The tests, each with a store of its own.
    #[serde(deserialize_with = "or_default")]
    pub tests: Vec<UnitTest>,
}

/// One test: what is in the store over time, and what must come out of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnitTest {
    /// Its name, by which it is chosen.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// Time between samples; the evaluation interval when missing or zero.
    pub interval: Option<Span>,
    /// When it begins; the epoch when missing.
    pub start_timestamp: StartTime,
    /// What is stored.
    #[serde(deserialize_with = "or_default")]
    pub input_series: Vec<InputSeries>,
    /// Which alerts fire.
    #[serde(deserialize_with = "or_default")]
    pub alert_rule_test: Vec<AlertCase>,
    /// What expressions yield, after all evaluations.
    #[serde(deserialize_with = "or_default")]
    pub promql_expr_test: Vec<ExprCase>,
    /// What templates see as the server's labels.
    #[serde(with = "settings::labels")]
    pub external_labels: Labels,
    /// What templates see as the server's address.
    #[serde(deserialize_with = "text")]
    pub external_url: String,
}

/// A series and its samples.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InputSeries {
    /// `name{label="value"}`.
    #[serde(deserialize_with = "text")]
    pub series: String,
    /// Its values in the short form, see `values.rs`; as written, since `0x3` is no number here.
    #[serde(deserialize_with = "or_default")]
    pub values: String,
}

/// Which alerts of a name fire at a time.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertCase {
    /// Since the test's beginning.
    #[serde(deserialize_with = "or_default")]
    pub eval_time: Span,
    /// The name of the alerting rules.
    #[serde(deserialize_with = "text")]
    pub alertname: String,
    /// All alerts of that name that fire.
    #[serde(deserialize_with = "or_default")]
    pub exp_alerts: Vec<ExpectedAlert>,
}

/// A firing alert.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedAlert {
    /// Its labels, but for its name.
    #[serde(deserialize_with = "or_default")]
    pub exp_labels: BTreeMap<String, Scalar>,
    /// Its annotations.
    #[serde(deserialize_with = "or_default")]
    pub exp_annotations: BTreeMap<String, Scalar>,
}

/// What an expression yields at a time.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExprCase {
    /// The expression.
    #[serde(deserialize_with = "text")]
    pub expr: String,
    /// Since the test's beginning.
    #[serde(deserialize_with = "or_default")]
    pub eval_time: Span,
    /// All elements of the vector.
    #[serde(deserialize_with = "or_default")]
    pub exp_samples: Vec<ExpectedSample>,
}

/// An element of a vector.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedSample {
    /// `name{label="value"}`; nothing is the empty set.
    #[serde(deserialize_with = "text")]
    pub labels: String,
    /// Its value.
    #[serde(deserialize_with = "or_default")]
    pub value: f64,
    /// A native histogram in place of the value.
    #[serde(deserialize_with = "text")]
    pub histogram: String,
}

/// When a test begins: RFC 3339, or seconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartTime(pub Timestamp);

impl Default for StartTime {
    fn default() -> Self {
        Self(Timestamp::EPOCH)
    }
}

impl<'de> Deserialize<'de> for StartTime {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Scalar::deserialize(from)?.0;
        if text.is_empty() {
            return Ok(Self::default());
        }
        let seconds = text.parse().ok().and_then(Timestamp::from_seconds);
        let written = || text.parse::<jiff::Timestamp>().ok();
        let instant = seconds
            .or_else(|| written().map(|at| Timestamp::from_millis(at.as_millisecond())))
            .ok_or_else(|| {
                D::Error::custom(format!(
                    "cannot read the time {text:?}; write 2026-01-31T09:00:00Z or seconds since \
                     the epoch"
                ))
            })?;
        Ok(Self(instant))
    }
}

impl UnitTestFile {
    /// What makes the whole file unusable: a group that stands twice in the order.
    pub fn check(&self) -> Vec<Problem> {
        let mut seen = BTreeSet::new();
        let named = self.group_eval_order.iter().enumerate();
        let again = named.filter(|(_, name)| !seen.insert(name.as_str()));
        again
            .map(|(place, name)| {
                let text = format!("group name repeated in evaluation order: {name}");
                Problem::new(format!("group_eval_order[{place}]"), text)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_file_reads_as_go_reads_it() {
        let file: UnitTestFile = serde_yaml::from_str(
            "tests:\n- input_series: [{series: up, values: '1'}]\n  start_timestamp: 1609459200\n  \
             external_labels: {n: 1}\n  alert_rule_test: [{eval_time: 0, alertname: A}]\n  \
             promql_expr_test: [{expr: 1, eval_time: 1m, exp_samples: [{value: 1e3}]}]\n\
             - start_timestamp: '2024-01-01T00:00:00Z'\n  input_series:\n",
        )
        .expect("valid");
        let test = &file.tests[0];
        assert_eq!(test.input_series[0].values, "1");
        assert_eq!(test.start_timestamp.0.as_millis(), 1_609_459_200_000);
        assert_eq!(test.external_labels.get("n"), Some("1"));
        assert_eq!(test.alert_rule_test[0].eval_time, Span::default());
        assert_eq!(test.promql_expr_test[0].exp_samples[0].value, 1000.0);
        assert_eq!(file.tests[1].start_timestamp.0.as_millis(), 1_704_067_200_000);
        assert!(serde_yaml::from_str::<UnitTestFile>("tests: [{exp: 1}]").is_err());
        let wrong = serde_yaml::from_str::<StartTime>("yesterday").expect_err("no time");
        assert!(wrong.to_string().contains("cannot read the time \"yesterday\""), "{wrong}");
    }

    #[test]
    fn a_group_stands_once_in_the_order() {
        let file: UnitTestFile =
            serde_yaml::from_str("group_eval_order: [a, b, a]\n").expect("valid");
        let problems: Vec<_> = file.check().iter().map(ToString::to_string).collect();
        assert_eq!(problems, ["group_eval_order[2]: group name repeated in evaluation order: a"]);
    }
}
