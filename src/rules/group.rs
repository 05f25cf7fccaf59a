//! A group of rules: when it is due, one evaluation of it, and what stays of it over reloads and
//! restarts.
//!
//! Source: prometheus, rules/group.go.

use super::alert::{Expansion, Moment, Sending};
use super::config::RuleGroup;
use super::error::RuleError;
use super::metrics::GroupMetrics;
use super::query::Querier;
use super::record;
use super::rule::{Kind, Rule, Written};
use super::state::{self, Mark};
use super::view::{AlertPhase, GroupView, Health, RuleKindView, RuleView};
use crate::model::{Alert, Fingerprint, Labels, Timestamp, stale_nan};
use crate::storage::append::{Appender, Commit, Committed};
use crate::sys::clock::Clock;
use crate::sys::metrics::Registry;
use crate::template::{RuleContext, rule_functions, table_link};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Queries that one expansion of a template may run: reliability.md section 3.
const TEMPLATE_QUERIES_MAX: usize = 16;

/// What all groups share.
#[derive(Clone, Debug)]
pub struct Context {
    /// `global.evaluation_interval`, for groups without one.
    pub interval: Duration,
    /// `global.rule_query_offset`, for groups without one.
    pub query_offset: Duration,
    /// How often an alert is sent again while nothing changes.
    pub resend_delay: Duration,
    /// `global.external_labels`.
    pub external_labels: Labels,
    /// Under which URL people reach the server, without a slash at the end.
    pub external_url: String,
    /// Where the metrics of groups go.
    pub registry: Registry,
}

/// A group of rules.
#[derive(Debug)]
pub struct Group {
    name: String,
    file: String,
    fingerprint: Fingerprint,
    /// The key of the group's own record.
    record_key: String,
    interval: Duration,
    query_offset: Duration,
    limit: u64,
    rules: Vec<Rule>,
    evaluation_time: Duration,
    last_evaluation: Option<Timestamp>,
    /// Series of rules that are gone: they get a marker with the next evaluation.
    orphans: Written,
    /// The records that the caller holds.
    saved: BTreeMap<String, Mark>,
    metrics: GroupMetrics,
}

/// What an evaluation asks of the caller.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    /// Alerts to send on: firing ones and resolved ones, with external labels.
    pub alerts: Vec<Alert>,
    /// Records to keep, or to delete where there is no text.
    pub records: Vec<(String, Option<String>)>,
    /// Rules that failed.
    pub failures: Vec<RuleFailure>,
    /// Samples that the rules yielded.
    pub samples: usize,
    /// How long it took.
    pub took: Duration,
}

/// A rule that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFailure {
    /// The rule's name.
    pub rule: String,
    /// Why.
    pub error: RuleError,
}

impl Group {
    /// The group as configured, never evaluated. The rules should have passed `check`.
    pub fn new(file: &str, config: &RuleGroup, ctx: &Context) -> Self {
        let fingerprint =
            Labels::from_pairs([("file", file), ("name", &config.name)]).fingerprint();
        let interval = config.interval.map_or(ctx.interval, |span| span.0);
        let metrics = GroupMetrics::new(&ctx.registry, &format!("{file};{}", config.name));
        metrics.interval.set(interval.as_secs_f64());
        metrics.rules.set(config.rules.len() as f64);
        Self {
            name: config.name.clone(),
            file: file.to_owned(),
            fingerprint,
            record_key: fingerprint.to_string(),
            // A timer of zero would never end; `check` refuses what is written so.
            interval: interval.max(Duration::from_millis(1)),
            query_offset: config.query_offset.map_or(ctx.query_offset, |span| span.0),
            limit: config.limit,
            rules: config.rules.iter().map(|rule| Rule::new(config, rule)).collect(),
            evaluation_time: Duration::ZERO,
            last_evaluation: None,
            orphans: Written::new(),
            saved: BTreeMap::new(),
            metrics,
        }
    }

    /// `file;name`, unique among all groups.
    pub fn key(&self) -> String {
        format!("{};{}", self.file, self.name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Time between evaluations.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// The first slot after `now`. Slots lie an interval apart, at an offset that file and name
    /// decide, so that restarts do not move them and groups spread over time.
    pub fn next_after(&self, now: Timestamp) -> Timestamp {
        let interval = i64::try_from(self.interval.as_millis()).unwrap_or(i64::MAX).max(1);
        let slot = self.fingerprint.bits() % interval.unsigned_abs();
        let slot = i64::try_from(slot).expect("below an interval, which fits");
        let since_slot = now.as_millis().saturating_sub(slot).rem_euclid(interval);
        now.plus_millis(interval - since_slot)
    }

    /// The slot after the one at `evaluated`, given that it is `now`: whole slots that were
    /// overrun are skipped and counted.
    pub fn next_slot(&mut self, evaluated: Timestamp, now: Timestamp) -> Timestamp {
        let interval = self.interval.as_millis().max(1);
        let passed = now.since(evaluated).as_millis() / interval;
        let missed = i64::try_from(passed.saturating_sub(1)).unwrap_or(i64::MAX);
        self.metrics.missed.add(missed as f64);
        self.metrics.iterations.add(missed as f64);
        let step = i64::try_from(interval).unwrap_or(i64::MAX);
        evaluated.plus_millis(step.saturating_mul(missed.saturating_add(1)))
    }

    /// Evaluates all rules in order, at `at`. Each rule's output is a commit of its own, visible
    /// to the rules after it.
    pub fn evaluate(
        &mut self,
        at: Timestamp,
        ctx: &Context,
        querier: &dyn Querier,
        appender: &dyn Appender,
        clock: &dyn Clock,
    ) -> Evaluation {
        let started = clock.elapsed();
        let mut evaluation = Evaluation::default();
        self.metrics.iterations.inc();
        let mut rules = std::mem::take(&mut self.rules);
        for rule in &mut rules {
            let rule_started = clock.elapsed();
            self.metrics.evaluations.inc();
            let outcome = self.evaluate_rule(rule, at, ctx, querier, appender, &mut evaluation);
            rule.evaluation_time = clock.elapsed().saturating_sub(rule_started);
            rule.last_evaluation = Some(at);
            self.metrics.rule_took(rule.evaluation_time);
            self.conclude(rule, outcome, &mut evaluation);
        }
        self.rules = rules;
        self.mark_orphans(at, appender);
        self.last_evaluation = Some(at);
        evaluation.records = self.changed_records(at);
        evaluation.took = clock.elapsed().saturating_sub(started);
        self.evaluation_time = evaluation.took;
        self.metrics.group_took(evaluation.took);
        self.metrics.last_evaluation.set(at.as_seconds());
        self.metrics.last_samples.set(evaluation.samples as f64);
        evaluation
    }

    /// Takes over what is remembered about the group of the same key before a reload: rules are
    /// paired by name and labels, equal ones in order.
    pub fn adopt(&mut self, old: Group) {
        self.evaluation_time = old.evaluation_time;
        self.last_evaluation = old.last_evaluation;
        self.orphans = old.orphans;
        self.saved = old.saved;
        let mut left: Vec<Option<Rule>> = old.rules.into_iter().map(Some).collect();
        for rule in &mut self.rules {
            let same = |old: &&mut Option<Rule>| {
                old.as_ref().is_some_and(|old| old.identity() == rule.identity())
            };
            if let Some(old) = left.iter_mut().find(same).and_then(Option::take) {
                rule.adopt(old);
            }
        }
        for rule in left.into_iter().flatten() {
            self.orphans.extend(rule.written);
        }
    }

    /// What to write two intervals after the group was removed at `stopped`: the end of its
    /// series. A renamed group has written them again by then, and the store refuses the markers.
    pub fn last_words(&self, stopped: Timestamp) -> Commit {
        let all = self.rules.iter().flat_map(|rule| &rule.written).chain(&self.orphans);
        let at = stopped.minus(self.query_offset);
        let mut commit = Commit::of(all.map(|labels| marker(labels, at)));
        commit.in_order_only = true;
        commit
    }

    /// Forgets the metrics of a removed group.
    pub fn forget_metrics(&self, ctx: &Context) {
        GroupMetrics::remove(&ctx.registry, &self.key());
    }

    /// Keys of all records of the group, to delete when it is gone for good.
    pub fn record_keys(&self) -> impl Iterator<Item = &str> {
        [self.record_key.as_str()].into_iter().chain(self.saved.keys().map(String::as_str))
    }

    /// All records as they should be kept now.
    pub fn saved(&self) -> Vec<(String, String)> {
        let group = self.last_evaluation.map(|last| {
            (self.record_key.clone(), state::group_record(&self.file, &self.name, last))
        });
        let alerts = self.numbered().flat_map(|(number, rule)| {
            let identity = rule.identity();
            let alerts = rule.alerting().into_iter().flat_map(|alerting| &alerting.alerts);
            alerts.map(move |(labels, alert)| {
                (
                    state::alert_key(self.fingerprint, identity, number, labels),
                    state::alert_record(&rule.name, labels, alert),
                )
            })
        });
        group.into_iter().chain(alerts).collect()
    }

    /// Puts the alerts of `records` back, before the first evaluation. Of the time since the last
    /// evaluation at most an hour counts towards `for` and `keep_firing_for`.
    ///
    /// Records of other groups are passed over. Returns keys of this group's records that belong
    /// to no rule any more, to be deleted.
    pub fn restore<'r>(
        &mut self,
        records: impl IntoIterator<Item = (&'r str, &'r str)> + Clone,
        now: Timestamp,
    ) -> Vec<String> {
        let own = self.record_key.clone();
        let mut group_records = records.clone().into_iter().filter(|(key, _)| *key == own);
        let last = group_records.find_map(|(_, json)| state::read_group(json));
        let rules: BTreeMap<String, usize> = self
            .numbered()
            .enumerate()
            .map(|(place, (number, rule))| (format!("{own}/{}/{number}", rule.identity()), place))
            .collect();
        let mut unused = Vec::new();
        for (key, json) in records {
            let Some((parent, _)) = key.rsplit_once('/').filter(|_| key.starts_with(&own)) else {
                continue;
            };
            let alerting = rules
                .get(parent)
                .and_then(|place| self.rules.get_mut(*place))
                .and_then(Rule::alerting_mut);
            match (alerting, state::read_alert(json)) {
                (Some(alerting), Some((labels, mut alert))) => {
                    state::shift(&mut alert, last.unwrap_or(now), now);
                    self.saved.insert(key.to_owned(), state::mark(&alert));
                    alerting.alerts.insert(labels, alert);
                }
                (Some(_), None) | (None, _) => unused.push(key.to_owned()),
            }
        }
        unused
    }

    /// The group as it is now.
    pub fn view(&self) -> GroupView {
        GroupView {
            name: self.name.clone(),
            file: self.file.clone(),
            interval: self.interval,
            limit: self.limit,
            evaluation_time: self.evaluation_time,
            last_evaluation: self.last_evaluation,
            rules: self.rules.iter().map(view_rule).collect(),
        }
    }

    fn evaluate_rule(
        &self,
        rule: &mut Rule,
        at: Timestamp,
        ctx: &Context,
        querier: &dyn Querier,
        appender: &dyn Appender,
        evaluation: &mut Evaluation,
    ) -> Result<(), RuleError> {
        let sampled_at = at.minus(self.query_offset);
        let result = querier.instant(&rule.expr, sampled_at).map_err(RuleError::Query)?;
        let series = match &mut rule.kind {
            Kind::Recording => record::apply(&rule.name, &rule.labels, self.limit, &result)?,
            Kind::Alerting(alerting) => {
                let moment = Moment { at, limit: self.limit };
                let series = self.with_expansion(at, ctx, querier, |expansion| {
                    alerting.step(moment, &result, expansion)
                })?;
                let sending = Sending {
                    at,
                    resend_delay: ctx.resend_delay,
                    interval: self.interval,
                    external_labels: &ctx.external_labels,
                    generator_url: &format!("{}{}", ctx.external_url, table_link(&rule.query)),
                };
                evaluation.alerts.extend(alerting.due(&sending));
                series
            }
        };
        evaluation.samples += series.len();
        write(rule, series, sampled_at, appender)
    }

    /// Calls `step` with the template functions of this evaluation.
    fn with_expansion<T>(
        &self,
        at: Timestamp,
        ctx: &Context,
        querier: &dyn Querier,
        step: impl FnOnce(&Expansion<'_>) -> T,
    ) -> T {
        let queries = AtomicUsize::new(0);
        let query = |text: &str| {
            if queries.fetch_add(1, Ordering::Relaxed) >= TEMPLATE_QUERIES_MAX {
                return Err(format!("more than {TEMPLATE_QUERIES_MAX} queries in one template"));
            }
            querier.instant(text, at)
        };
        let functions =
            rule_functions(RuleContext { query: &query, now: at, external_url: &ctx.external_url });
        step(&Expansion {
            functions: &functions,
            external_labels: &ctx.external_labels,
            external_url: &ctx.external_url,
            begin: &|| queries.store(0, Ordering::Relaxed),
            count: &|failed| {
                self.metrics.expansions.inc();
                self.metrics.expansion_failures.add(if failed { 1.0 } else { 0.0 });
            },
        })
    }

    fn conclude(
        &self,
        rule: &mut Rule,
        outcome: Result<(), RuleError>,
        evaluation: &mut Evaluation,
    ) {
        match outcome {
            Ok(()) => {
                rule.health = Health::Ok;
                rule.last_error.clear();
            }
            Err(error) => {
                rule.health = Health::Err;
                rule.last_error = error.to_string();
                self.metrics.failures.inc();
                evaluation.failures.push(RuleFailure { rule: rule.name.clone(), error });
            }
        }
    }

    /// Ends the series of rules that a reload removed. A refusal is no fault: another rule may
    /// write the same series by now.
    fn mark_orphans(&mut self, at: Timestamp, appender: &dyn Appender) {
        if self.orphans.is_empty() {
            return;
        }
        let ts = at.minus(self.query_offset);
        let orphans = std::mem::take(&mut self.orphans);
        let commit = Commit::of(orphans.iter().map(|labels| marker(labels, ts)));
        if appender.commit(&commit).is_err() {
            self.orphans = orphans;
        }
    }

    /// What of the records differs from what the caller holds.
    fn changed_records(&mut self, at: Timestamp) -> Vec<(String, Option<String>)> {
        let group = state::group_record(&self.file, &self.name, at);
        let mut changed = vec![(self.record_key.clone(), Some(group))];
        let mut marks = BTreeMap::new();
        for (number, rule) in self.numbered() {
            let identity = rule.identity();
            for (labels, alert) in rule.alerting().into_iter().flat_map(|rule| &rule.alerts) {
                let key = state::alert_key(self.fingerprint, identity, number, labels);
                let mark = state::mark(alert);
                if self.saved.get(&key) != Some(&mark) {
                    let json = state::alert_record(&rule.name, labels, alert);
                    changed.push((key.clone(), Some(json)));
                }
                marks.insert(key, mark);
            }
        }
        let gone = self.saved.keys().filter(|key| !marks.contains_key(*key));
        changed.extend(gone.map(|key| (key.clone(), None)));
        self.saved = marks;
        changed
    }

    /// The rules, each with its number among equal ones before it.
    fn numbered(&self) -> impl Iterator<Item = (usize, &Rule)> {
        let mut counts: BTreeMap<Fingerprint, usize> = BTreeMap::new();
        self.rules.iter().map(move |rule| {
            let count = counts.entry(rule.identity()).or_default();
            *count += 1;
            (*count - 1, rule)
        })
    }
}

/// Writes a rule's series and the ends of those that are no longer there, as one commit.
fn write(
    rule: &mut Rule,
    series: Vec<(Labels, f64)>,
    ts: Timestamp,
    appender: &dyn Appender,
) -> Result<(), RuleError> {
    let count = series.len();
    let now: Written = series.iter().map(|(labels, _)| labels.clone()).collect();
    let vanished = rule.written.difference(&now).map(|labels| marker(labels, ts));
    let samples = series.into_iter().map(|(labels, value)| (labels, ts, value));
    let commit = Commit::of(samples.chain(vanished));
    if commit.samples.is_empty() {
        rule.written = now;
        return Ok(());
    }
    let done = appender.commit(&commit).map_err(|err| RuleError::Append(err.to_string()))?;
    rule.written = accepted(&commit, &done, count);
    let refused = done.refused.iter().filter(|(place, _)| *place < count);
    match refused.clone().next() {
        None => Ok(()),
        Some((_, reason)) => {
            Err(RuleError::Refused { count: refused.count(), reason: reason.as_str() })
        }
    }
}

/// The series among the first `count` samples that the store took.
fn accepted(commit: &Commit, done: &Committed, count: usize) -> Written {
    let refused: BTreeSet<usize> = done.refused.iter().map(|(place, _)| *place).collect();
    let taken = (0..count).filter(|place| !refused.contains(place));
    taken.filter_map(|place| commit.labels_at(place).cloned()).collect()
}

/// The end of a series.
fn marker(labels: &Labels, ts: Timestamp) -> (Labels, Timestamp, f64) {
    (labels.clone(), ts, stale_nan())
}

fn view_rule(rule: &Rule) -> RuleView {
    let labels = |texts: &BTreeMap<String, String>| Labels::from_pairs(texts.clone());
    RuleView {
        name: rule.name.clone(),
        query: rule.query.clone(),
        labels: labels(&rule.labels),
        health: rule.health,
        last_error: rule.last_error.clone(),
        evaluation_time: rule.evaluation_time,
        last_evaluation: rule.last_evaluation,
        kind: match &rule.kind {
            Kind::Recording => RuleKindView::Recording,
            Kind::Alerting(alerting) => RuleKindView::Alerting {
                phase: match rule.last_evaluation {
                    None => AlertPhase::Unknown,
                    Some(_) => alerting.phase(),
                },
                hold: alerting.hold,
                keep_firing_for: alerting.keep_firing_for,
                annotations: alerting.annotations_as_written(),
                alerts: alerting.active(),
            },
        },
    }
}
