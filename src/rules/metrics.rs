//! The group's own metrics, with upstream's names.
//!
//! Source: prometheus, rules/group.go (NewGroupMetrics).

use crate::sys::metrics::{Buckets, Cell, QUANTILES, Quantiles, Registry};
use std::time::Duration;

/// Bounds of evaluation times, in seconds: upstream's, since dashboards ask for them by value.
const BOUNDS: [f64; 4] = [0.01, 0.1, 1.0, 10.0];

/// The quantiles of the evaluation times of groups.
const GROUP_QUANTILES: &[(&str, f64)] =
    &[("0.01", 0.01), ("0.05", 0.05), ("0.5", 0.5), ("0.9", 0.9), ("0.99", 0.99)];

/// Names and one sentence each of the series that every group has.
const GAUGES: [(&str, &str); 7] = [
    ("prometheus_rule_group_interval_seconds", "The interval of a rule group."),
    ("prometheus_rule_group_rules", "The number of rules."),
    ("prometheus_rule_group_last_duration_seconds", "How long the last evaluation took."),
    (
        "prometheus_rule_group_last_evaluation_timestamp_seconds",
        "When the last evaluation was, in seconds since the epoch.",
    ),
    (
        "prometheus_rule_group_last_evaluation_samples",
        "The number of samples that the last evaluation wrote.",
    ),
    (
        "prometheus_rule_group_last_rule_duration_sum_seconds",
        "The sum of the times that the rules of the last evaluation took.",
    ),
    (
        "prometheus_rule_group_last_restore_duration_seconds",
        "How long it took to look up the alerts of the group in the store.",
    ),
];
const COUNTERS: [(&str, &str); 4] = [
    ("prometheus_rule_evaluations_total", "The total number of rule evaluations."),
    ("prometheus_rule_evaluation_failures_total", "The total number of rule evaluation failures."),
    ("prometheus_rule_group_iterations_total", "The total number of scheduled evaluations."),
    (
        "prometheus_rule_group_iterations_missed_total",
        "The total number of evaluations missed because one before took too long.",
    ),
];
const EXPANSIONS: (&str, &str) =
    ("prometheus_template_text_expansions_total", "The total number of template text expansions.");
const FAILURES: (&str, &str) = (
    "prometheus_template_text_expansion_failures_total",
    "The total number of template text expansion failures.",
);

/// Cells of one group.
#[derive(Clone, Debug)]
pub(super) struct GroupMetrics {
    pub(super) interval: Cell,
    pub(super) rules: Cell,
    pub(super) last_duration: Cell,
    pub(super) last_evaluation: Cell,
    pub(super) last_samples: Cell,
    pub(super) last_rules_took: Cell,
    pub(super) last_restore: Cell,
    pub(super) evaluations: Cell,
    pub(super) failures: Cell,
    pub(super) iterations: Cell,
    pub(super) missed: Cell,
    pub(super) expansions: Cell,
    pub(super) expansion_failures: Cell,
    durations: (Quantiles, Buckets),
    rule_durations: (Quantiles, Buckets),
}

impl GroupMetrics {
    /// The cells of the group with this key.
    pub(super) fn new(registry: &Registry, key: &str) -> Self {
        let labels = [("rule_group", key)];
        let [
            interval,
            rules,
            last_duration,
            last_evaluation,
            last_samples,
            last_rules_took,
            last_restore,
        ] = GAUGES.map(|(name, help)| registry.gauge(name, help, &labels));
        let [evaluations, failures, iterations, missed] =
            COUNTERS.map(|(name, help)| registry.counter(name, help, &labels));
        let spread = |name, help| registry.histogram(name, help, &[], &BOUNDS);
        Self {
            interval,
            rules,
            last_duration,
            last_evaluation,
            last_samples,
            last_rules_took,
            last_restore,
            evaluations,
            failures,
            iterations,
            missed,
            expansions: registry.counter(EXPANSIONS.0, EXPANSIONS.1, &[]),
            expansion_failures: registry.counter(FAILURES.0, FAILURES.1, &[]),
            durations: (
                registry.summary(
                    "prometheus_rule_group_duration_seconds",
                    "The duration of rule group evaluations.",
                    &[],
                    GROUP_QUANTILES,
                ),
                spread(
                    "prometheus_rule_group_duration_histogram_seconds",
                    "How long evaluations of groups took.",
                ),
            ),
            rule_durations: (
                registry.summary(
                    "prometheus_rule_evaluation_duration_seconds",
                    "The duration for a rule to execute.",
                    &[],
                    QUANTILES,
                ),
                spread(
                    "prometheus_rule_evaluation_duration_histogram_seconds",
                    "How long evaluations of rules took.",
                ),
            ),
        }
    }

    /// Counts one evaluation of the group, and how long its rules took together.
    pub(super) fn group_took(&self, span: Duration, rules: Duration) {
        self.last_duration.set(span.as_secs_f64());
        self.last_rules_took.set(rules.as_secs_f64());
        self.durations.0.observe(span.as_secs_f64());
        self.durations.1.observe(span.as_secs_f64());
    }

    /// Counts one evaluation of a rule.
    pub(super) fn rule_took(&self, span: Duration) {
        self.rule_durations.0.observe(span.as_secs_f64());
        self.rule_durations.1.observe(span.as_secs_f64());
    }

    /// Forgets the series of a group that is gone.
    pub(super) fn remove(registry: &Registry, key: &str) {
        for (name, _) in GAUGES.iter().chain(&COUNTERS) {
            registry.remove(name, &[("rule_group", key)]);
        }
    }
}
