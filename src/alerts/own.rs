//! What `watchbell:` says about alerts beside `alertmanager.yml`, as written: what counts as
//! flapping, and what must keep coming.

use super::damping::Damping;
use super::matchers::{Mode, parse_list};
use super::watch::{Awaited, Expected};
use crate::model::{Labels, Matcher, Problem, is_legacy_label_name, nearest_name};
use crate::sys::settings::{self, Scalar, Span};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The end of an alert that flaps is held back for no longer: after a day it is given up.
const DAMPED_MAX: Duration = Duration::from_secs(12 * 3600);

/// One item of `watchbell.damping`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DampingSettings {
    /// Only routes to this receiver; all when missing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub receiver: String,
    /// Only alerts that all of these match; each may be a list in braces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub matchers: Vec<Scalar>,
    /// So many turns from firing to resolved or back are flapping.
    pub changes: usize,
    /// Within this time.
    pub within: Span,
    /// It ends after this long without a turn; `within` when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable: Option<Span>,
}

impl Default for DampingSettings {
    fn default() -> Self {
        Self {
            receiver: String::new(),
            matchers: Vec::new(),
            changes: 4,
            within: Span::seconds(600),
            stable: None,
        }
    }
}

/// One item of `watchbell.expected`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedSettings {
    /// Its name, unique among them.
    pub name: String,
    /// A firing alert that all of these match must keep coming.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alert_matchers: Vec<Scalar>,
    /// A group whose key all of these match must keep being pushed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub push_matchers: Vec<Scalar>,
    /// It is missing when it has not come for longer than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// More labels for the alert that says so.
    #[serde(with = "settings::labels", skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// Annotations for it.
    #[serde(with = "settings::labels", skip_serializing_if = "Labels::is_empty")]
    pub annotations: Labels,
}

/// Checks `watchbell.damping`; places are below `damping`.
///
/// # Errors
/// Every fault.
pub fn check_damping(
    list: &[DampingSettings],
    receivers: &[&str],
    mode: Mode,
) -> Result<Vec<Damping>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut found = Vec::new();
    for (place, one) in list.iter().enumerate() {
        let at = format!("damping[{place}]");
        let matchers = matchers(&at, "matchers", &one.matchers, mode, &mut problems);
        let mut fault = |key: &str, text: String| {
            problems.push(Problem::new(format!("{at}.{key}"), text));
        };
        if !one.receiver.is_empty() && !receivers.contains(&one.receiver.as_str()) {
            let hint = nearest_name(&one.receiver, receivers.iter().copied())
                .map(|name| format!("; did you mean {name:?}?"))
                .unwrap_or_default();
            fault("receiver", format!("undefined receiver {:?} in damping{hint}", one.receiver));
        }
        if !(2..=Damping::CHANGES_MAX).contains(&one.changes) {
            let text = format!(
                "changes must be from 2 to {}, found {}",
                Damping::CHANGES_MAX,
                one.changes
            );
            fault("changes", text);
        }
        let stable = one.stable.unwrap_or(one.within);
        let spans = [("within", Some(one.within)), ("stable", one.stable)];
        for (key, span) in spans {
            if span.is_some_and(|span| span.0.is_zero() || span.0 > DAMPED_MAX) {
                let limit = Span(DAMPED_MAX);
                fault(key, format!("{key} must be more than 0s and at most {limit}"));
            }
        }
        found.push(Damping {
            receiver: Some(one.receiver.clone()).filter(|name| !name.is_empty()),
            matchers,
            changes: one.changes,
            within: one.within.0,
            stable: stable.0,
        });
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

/// Checks `watchbell.expected`; places are below `expected`.
///
/// # Errors
/// Every fault.
pub fn check_expected(
    list: &[ExpectedSettings],
    mode: Mode,
) -> Result<Vec<Expected>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut found: Vec<Expected> = Vec::new();
    for (place, one) in list.iter().enumerate() {
        let at = format!("expected[{place}]");
        let of_alert = matchers(&at, "alert_matchers", &one.alert_matchers, mode, &mut problems);
        let of_push = matchers(&at, "push_matchers", &one.push_matchers, mode, &mut problems);
        one.check_rest(&at, mode, &mut problems);
        if found.iter().any(|before| before.name == one.name) {
            let text = format!("expected {:?} is not unique", one.name);
            problems.push(Problem::new(format!("{at}.name"), text));
        }
        let (awaited, matchers) = match one.push_matchers.is_empty() {
            true => (Awaited::Alert, of_alert),
            false => (Awaited::Push, of_push),
        };
        found.push(Expected {
            name: one.name.clone(),
            awaited,
            matchers,
            within: one.within.unwrap_or_default().0,
            labels: one.labels.clone(),
            annotations: one.annotations.clone(),
        });
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

impl ExpectedSettings {
    fn check_rest(&self, at: &str, mode: Mode, problems: &mut Vec<Problem>) {
        let mut fault = |at: String, text: String| problems.push(Problem::new(at, text));
        if self.name.is_empty() {
            fault(at.to_owned(), "missing name in expected".to_owned());
        }
        if self.alert_matchers.is_empty() == self.push_matchers.is_empty() {
            let text = "one of alert_matchers and push_matchers must say what is expected";
            fault(at.to_owned(), text.to_owned());
        }
        match self.within {
            None => {
                let text = "within must say how long it may be missing, as 10m";
                fault(at.to_owned(), text.to_owned());
            }
            Some(span) if span.0.is_zero() => {
                fault(format!("{at}.within"), "within must be more than 0s".to_owned());
            }
            Some(_) => {}
        }
        for (name, _) in &self.labels {
            let text = if ["alertname", "expected"].contains(&name) {
                format!("label {name:?} is set already, to the alert's name and to {:?}", self.name)
            } else if name.is_empty() || (mode == Mode::Classic && !is_legacy_label_name(name)) {
                format!("invalid label name {name:?}")
            } else {
                continue;
            };
            fault(format!("{at}.labels.{name}"), text);
        }
    }
}

/// The matchers of a list; each item may be several in braces.
fn matchers(
    at: &str,
    key: &str,
    list: &[Scalar],
    mode: Mode,
    problems: &mut Vec<Problem>,
) -> Vec<Matcher> {
    let mut found = Vec::new();
    for (place, text) in list.iter().enumerate() {
        match parse_list(&text.0, mode) {
            Ok(more) => found.extend(more),
            Err(err) => problems.push(Problem::new(format!("{at}.{key}[{place}]"), err)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn told(damping: &str, expected: &str) -> Vec<String> {
        let damping: Vec<DampingSettings> = serde_yaml::from_str(damping).expect("reads");
        let expected: Vec<ExpectedSettings> = serde_yaml::from_str(expected).expect("reads");
        let damping = check_damping(&damping, &["team", "pager"], Mode::Fallback).err();
        let expected = check_expected(&expected, Mode::Fallback).err();
        let all = damping.into_iter().chain(expected).flatten();
        all.map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let found = check_damping(
            &serde_yaml::from_str::<Vec<_>>("[{}, {within: 1m, matchers: ['{a=b,c=d}']}]")
                .expect("reads"),
            &[],
            Mode::Fallback,
        )
        .expect("valid");
        let minutes = |count: u64| Duration::from_secs(60 * count);
        let shown: Vec<_> = found
            .iter()
            .map(|one| (one.changes, one.within, one.stable, one.matchers.len()))
            .collect();
        assert_eq!(shown, [(4, minutes(10), minutes(10), 0), (4, minutes(1), minutes(1), 2)]);
        let list = "[{name: a, push_matchers: ['job=\"backup\"'], within: 26h}]";
        let list: Vec<_> = serde_yaml::from_str(list).expect("reads");
        let found = check_expected(&list, Mode::Fallback).expect("valid");
        assert_eq!((found[0].awaited, found[0].matchers.len()), (Awaited::Push, 1));
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let damping =
            "[{receiver: paper, changes: 1, within: 0s, matchers: ['a=']}, {stable: 13h}]";
        for expected in [
            "damping[0].receiver: undefined receiver \"paper\" in damping; did you mean \"pager\"?",
            "damping[0].changes: changes must be from 2 to 32, found 1",
            "damping[0].within: within must be more than 0s and at most 12h",
            "damping[1].stable: stable must be more than 0s and at most 12h",
        ] {
            assert!(told(damping, "[]").iter().any(|one| one == expected), "{expected}");
        }
        for (list, expected) in [
            ("[{}]", "expected[0]: missing name in expected"),
            ("[{name: a}]", "expected[0]: one of alert_matchers and push_matchers must say"),
            (
                "[{name: a, alert_matchers: [a=b], push_matchers: [a=b], within: 1m}]",
                "expected[0]: one of alert_matchers and push_matchers",
            ),
            ("[{name: a, alert_matchers: [a=b]}]", "expected[0]: within must say how long"),
            ("[{name: a, alert_matchers: [a=b], within: 0s}]", "expected[0].within: within must"),
            ("[{name: a, alert_matchers: ['a=~\"(\"']}]", "expected[0].alert_matchers[0]: "),
            (
                "[{name: a, alert_matchers: [a=b], within: 1m}, {name: a, push_matchers: [a=b], within: 1m}]",
                "expected[1].name: expected \"a\" is not unique",
            ),
            (
                "[{name: a, labels: {alertname: x}}]",
                "expected[0].labels.alertname: label \"alertname\" is set already",
            ),
        ] {
            let found = told("[]", list);
            assert!(found.iter().any(|one| one.starts_with(expected)), "{list}: {found:?}");
        }
    }
}
