//! Which rules of a group may be evaluated at the same time.
//!
//! Source: prometheus, rules/group.go (buildDependencyMap), rules/manager.go
//! (SplitGroupIntoBatches).

use super::rule::Rule;
use crate::model::{METRIC_NAME, Matcher};
use crate::promql::syntax::{self, Expr, Features, VectorSelector};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads that the independent rules of all groups may take beside those of their groups.
#[derive(Debug)]
pub struct Slots {
    free: AtomicUsize,
}

/// A thread's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot<'a>(&'a Slots);

impl Slots {
    /// So many threads.
    pub const fn new(count: usize) -> Self {
        Self { free: AtomicUsize::new(count) }
    }

    /// A place, if there is one.
    pub(super) fn take(&self) -> Option<Slot<'_>> {
        let less = |free: usize| free.checked_sub(1);
        let taken = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.is_ok().then(|| Slot(self))
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.free.fetch_add(1, Ordering::Relaxed);
    }
}

/// Batches of places of rules, to be evaluated one batch after the other: first the rules that
/// read no other rule's output, then, each alone, those that read and are read, at last those that
/// only read. Where nobody can tell who reads what, each rule is a batch.
pub(super) fn batches(rules: &[Rule]) -> Vec<Vec<usize>> {
    let Some(reads) =
        rules.iter().enumerate().map(|one| reads(one, rules)).collect::<Option<Vec<_>>>()
    else {
        return (0..rules.len()).map(|place| vec![place]).collect();
    };
    let is_read = |place: usize| reads.iter().flatten().any(|read| *read == place);
    let (mut first, mut alone, mut last) = (Vec::new(), Vec::new(), Vec::new());
    for (place, read) in reads.iter().enumerate() {
        if read.is_empty() {
            first.push(place);
        } else if is_read(place) {
            alone.push(vec![place]);
        } else {
            last.push(place);
        }
    }
    let all = std::iter::once(first).chain(alone).chain([last]);
    all.filter(|batch| !batch.is_empty()).collect()
}

/// Places of the rules before this one whose output it reads; `None` when it may be any.
fn reads((place, rule): (usize, &Rule), rules: &[Rule]) -> Option<Vec<usize>> {
    // What cannot be read fails, and reads nothing.
    let Ok(expr) = syntax::parse(&rule.expr, &Features::ALL) else { return Some(Vec::new()) };
    let mut read = Vec::new();
    for selector in syntax::selectors(&expr) {
        let name = name_of(selector)?;
        let of_alerts = ["ALERTS", "ALERTS_FOR_STATE"].iter().any(|one| name.matches_value(one));
        let alert = selector.matchers.iter().find(|matcher| matcher.name() == "alertname");
        let is_read = |other: &Rule| {
            name.matches_value(&other.name)
                || of_alerts
                    && other.alerting().is_some()
                    && alert.is_none_or(|matcher| matcher.matches_value(&other.name))
        };
        let before = rules.iter().take(place).enumerate();
        read.extend(before.filter(|(_, other)| is_read(other)).map(|(place, _)| place));
    }
    Some(read)
}

/// Whether the expression may read a series of one of these names.
pub(super) fn may_read(expr: &Expr, names: &BTreeSet<String>) -> bool {
    let reads = |selector: &VectorSelector| match name_of(selector) {
        Some(name) => names.iter().any(|one| name.matches_value(one)),
        None => !names.is_empty(),
    };
    syntax::selectors(expr).into_iter().any(reads)
}

fn name_of(selector: &VectorSelector) -> Option<Matcher> {
    match &selector.name {
        Some(name) => Some(Matcher::equal(METRIC_NAME, name)),
        None => selector.matchers.iter().find(|matcher| matcher.name() == METRIC_NAME).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::RuleFile;
    use super::*;

    fn rules(yaml: &str) -> Vec<Rule> {
        let text = format!("groups: [{{name: g, rules: [{yaml}]}}]");
        let file: RuleFile = serde_yaml::from_str(&text).expect("a rule file");
        let group = &file.groups[0];
        group.rules.iter().map(|rule| Rule::new(group, rule)).collect()
    }

    #[test]
    fn rules_that_read_no_other_go_together_and_readers_after_them() {
        for (yaml, expected) in [
            ("{record: a, expr: up}, {record: b, expr: up}", vec![vec![0, 1]]),
            ("{record: a, expr: up}, {record: b, expr: a}", vec![vec![0], vec![1]]),
            // The other way round nothing is owed.
            ("{record: b, expr: a}, {record: a, expr: up}", vec![vec![0, 1]]),
            (
                "{record: a, expr: up}, {record: b, expr: a}, {record: c, expr: b + up}, \
                 {record: d, expr: 'sum(rate(a[5m]))'}, {record: e, expr: b}",
                vec![vec![0], vec![1], vec![2, 3, 4]],
            ),
            (
                "{record: a, expr: up}, {record: b, expr: '{__name__=~\"a|x\"}'}",
                vec![vec![0], vec![1]],
            ),
            ("{record: a, expr: up}, {record: b, expr: '{__name__=~\"x|y\"}'}", vec![vec![0, 1]]),
            // Any name.
            ("{record: a, expr: up}, {record: b, expr: '{job=\"x\"}'}", vec![vec![0], vec![1]]),
            // Alerts are read by their own series.
            ("{alert: A, expr: up}, {record: b, expr: 'count(ALERTS)'}", vec![vec![0], vec![1]]),
            (
                "{alert: A, expr: up}, {record: b, expr: 'ALERTS_FOR_STATE{alertname=\"B\"}'}",
                vec![vec![0, 1]],
            ),
            (
                "{record: A, expr: up}, {record: b, expr: 'ALERTS{alertname=\"A\"}'}",
                vec![vec![0, 1]],
            ),
        ] {
            assert_eq!(batches(&rules(yaml)), expected, "{yaml}");
        }
    }

    #[test]
    fn slots_come_back() {
        let slots = Slots::new(2);
        let (one, two) = (slots.take(), slots.take());
        assert!(one.is_some() && two.is_some() && slots.take().is_none());
        drop(one);
        assert!(slots.take().is_some());
        assert_eq!(slots.free.load(Ordering::Relaxed), 1);
    }
}
