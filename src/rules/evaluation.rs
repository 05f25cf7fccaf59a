//! One evaluation: what each rule asks, makes of the answer and writes, and what it wants done.
//!
//! Source: prometheus, rules/group.go (Group.Eval).

use super::alert::{Expansion, Moment, Sending};
use super::depend::Slots;
use super::error::RuleError;
use super::group::Context;
use super::metrics::GroupMetrics;
use super::query::{Querier, QuerySample};
use super::record;
use super::rule::{Kind, Rule, Written};
use super::view::{AlertChange, Health, HealthChange, RuleRun};
use crate::model::{Alert, Labels, Timestamp, stale_nan};
use crate::storage::append::{Appender, Commit, Committed};
use crate::sys::clock::Clock;
use crate::sys::locks::lock;
use crate::sys::tasks;
use crate::template::{RuleContext, rule_functions, table_link};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Queries that one expansion of a template may run: reliability.md section 3.
const TEMPLATE_QUERIES_MAX: usize = 16;
/// Answers to queries of templates that are remembered for the other alerts of the rule.
const ANSWERS_KEPT: usize = 64;
/// A longer answer is not remembered.
const ANSWER_SAMPLES_MAX: usize = 1_000;

/// What an evaluation asks of the caller.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    /// Alerts to send on: firing ones and resolved ones, with external labels.
    pub alerts: Vec<Alert>,
    /// Records to keep, or to delete where there is no text.
    pub records: Vec<(String, Option<String>)>,
    /// Rules that failed.
    pub failures: Vec<RuleFailure>,
    /// Alerts that came further or ended.
    pub changes: Vec<AlertChange>,
    /// Rules that began to fail or fail no longer.
    pub health: Vec<HealthChange>,
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

/// What all rules of one evaluation share.
pub(super) struct Evaluator<'a> {
    /// The evaluation's time.
    pub(super) at: Timestamp,
    /// What it sees and writes is of this time.
    pub(super) sampled_at: Timestamp,
    /// The most series or alerts of a rule; 0 is any number.
    pub(super) limit: u64,
    /// Time between evaluations.
    pub(super) interval: Duration,
    /// What all groups share.
    pub(super) ctx: &'a Context,
    /// The group's metrics.
    pub(super) metrics: &'a GroupMetrics,
    /// Answers queries.
    pub(super) querier: &'a dyn Querier,
    /// Takes samples.
    pub(super) appender: &'a dyn Appender,
    /// Measures how long rules take.
    pub(super) clock: &'a dyn Clock,
}

/// What became of one rule.
#[derive(Debug, Default)]
pub(super) struct Done {
    alerts: Vec<Alert>,
    changes: Vec<AlertChange>,
    health: Option<HealthChange>,
    failure: Option<RuleFailure>,
    samples: usize,
    took: Duration,
}

impl Done {
    /// How long the rule took.
    pub(super) const fn took(&self) -> Duration {
        self.took
    }
}

impl Evaluation {
    /// Adds what became of one rule.
    pub(super) fn add(&mut self, done: Done) {
        self.alerts.extend(done.alerts);
        self.changes.extend(done.changes);
        self.health.extend(done.health);
        self.failures.extend(done.failure);
        self.samples += done.samples;
    }
}

impl Evaluator<'_> {
    /// Evaluates one rule. What goes wrong, a panic included, is this rule's alone.
    pub(super) fn run(&self, rule: &mut Rule) -> Done {
        let started = self.clock.elapsed();
        self.metrics.evaluations.inc();
        let mut done = Done::default();
        let name = format!("rule {}", rule.name);
        let outcome = tasks::guarded(&name, || self.evaluate(rule, &mut done));
        let outcome = outcome.unwrap_or(Err(RuleError::Panicked));
        let took = self.clock.elapsed().saturating_sub(started);
        self.metrics.rule_took(took);
        done.took = took;
        self.conclude(rule, outcome, took, &mut done);
        done
    }

    /// Evaluates the rules one after the other; ends early once nothing is wanted any more.
    pub(super) fn in_turn(&self, rules: &mut [Rule]) -> Vec<Done> {
        let wanted = rules.iter_mut().take_while(|_| !self.querier.is_over());
        wanted.map(|rule| self.run(rule)).collect()
    }

    /// As `in_turn`, but the rules of each batch at the same time as far as there are slots.
    pub(super) fn in_batches(
        &self,
        rules: &mut [Rule],
        batches: &[Vec<usize>],
        slots: &Slots,
    ) -> Vec<Done> {
        let mut all = BTreeMap::new();
        for batch in batches {
            let own = rules.iter_mut().enumerate().filter(|(place, _)| batch.contains(place));
            let works: Vec<_> = own
                .map(|(place, rule)| {
                    move || (!self.querier.is_over()).then(|| (place, self.run(rule)))
                })
                .collect();
            let helpers = (1..works.len()).map_while(|_| slots.take()).collect();
            all.extend(tasks::side_by_side("rules", helpers, works).into_iter().flatten());
        }
        all.into_values().collect()
    }

    /// Looks whether alerts that were pending long enough before a restart still hold, and fires
    /// those that do. Nothing else changes: so soon after a restart samples may be missing, and
    /// that an alert is not seen says nothing.
    pub(super) fn catch_up(&self, rule: &mut Rule) -> Done {
        let mut done = Done::default();
        let is_due = rule.alerting().is_some_and(|alerting| alerting.has_due(self.at));
        if !is_due {
            return done;
        }
        let name = format!("rule {}", rule.name);
        let outcome = tasks::guarded(&name, || {
            let result = self.ask(rule)?;
            let Some(alerting) = rule.alerting_mut() else { return Ok(()) };
            let changes = &mut done.changes;
            let series = self
                .expanding(|expansion| alerting.fire_due(self.at, &result, expansion, changes))?;
            self.finish(rule, series, &mut done)
        });
        // The next evaluation meets the same fault and tells it; the alert waits for that one.
        if let Some(Err(error)) = outcome {
            done.failure = Some(RuleFailure { rule: rule.name.clone(), error });
        }
        done
    }

    fn ask(&self, rule: &Rule) -> Result<Vec<QuerySample>, RuleError> {
        self.querier.instant(&rule.expr, self.sampled_at).map_err(RuleError::Query)
    }

    fn evaluate(&self, rule: &mut Rule, done: &mut Done) -> Result<(), RuleError> {
        let result = self.ask(rule)?;
        let Kind::Alerting(alerting) = &mut rule.kind else {
            let series = record::apply(&rule.name, &rule.labels, self.limit, &result)?;
            done.samples = series.len();
            return self.write(rule, series);
        };
        let moment = Moment { at: self.at, limit: self.limit };
        let changes = &mut done.changes;
        let series =
            self.expanding(|expansion| alerting.step(moment, &result, expansion, changes))?;
        self.finish(rule, series, done)
    }

    /// Passes on what an alerting rule came to, and writes its series.
    fn finish(
        &self,
        rule: &mut Rule,
        series: Vec<(Labels, f64)>,
        done: &mut Done,
    ) -> Result<(), RuleError> {
        let sending = Sending {
            at: self.at,
            resend_delay: self.ctx.resend_delay,
            interval: self.interval,
            external_labels: &self.ctx.external_labels,
            generator_url: &format!("{}{}", self.ctx.external_url, table_link(&rule.query)),
        };
        if let Some(alerting) = rule.alerting_mut() {
            done.alerts = alerting.due(&sending);
        }
        done.samples = series.len();
        self.write(rule, series)
    }

    /// Calls `step` with the template functions of this evaluation. All alerts of the rule share
    /// the answers to the queries of its templates: same text, same time, same answer.
    fn expanding<T>(&self, step: impl FnOnce(&Expansion<'_>) -> T) -> T {
        let queries = AtomicUsize::new(0);
        let answers = Mutex::new(BTreeMap::new());
        let query = |text: &str| {
            if queries.fetch_add(1, Ordering::Relaxed) >= TEMPLATE_QUERIES_MAX {
                return Err(format!("more than {TEMPLATE_QUERIES_MAX} queries in one template"));
            }
            self.remembered(&answers, text)
        };
        let external_url = &self.ctx.external_url;
        let functions = rule_functions(RuleContext { query: &query, now: self.at, external_url });
        step(&Expansion {
            functions: &functions,
            external_labels: &self.ctx.external_labels,
            external_url,
            begin: &|| queries.store(0, Ordering::Relaxed),
            count: &|failed| {
                self.metrics.expansions.inc();
                self.metrics.expansion_failures.add(if failed { 1.0 } else { 0.0 });
            },
        })
    }

    fn remembered(&self, answers: &Mutex<Answers>, text: &str) -> Answer {
        if let Some(known) = lock(answers).get(text) {
            return known.clone();
        }
        let answer = self.querier.instant(text, self.at);
        let mut answers = lock(answers);
        let is_short = answer.as_ref().map_or(0, Vec::len) <= ANSWER_SAMPLES_MAX;
        if is_short && answers.len() < ANSWERS_KEPT {
            answers.insert(text.to_owned(), answer.clone());
        }
        answer
    }

    fn conclude(
        &self,
        rule: &mut Rule,
        outcome: Result<(), RuleError>,
        took: Duration,
        done: &mut Done,
    ) {
        let error = outcome.as_ref().err().map(ToString::to_string);
        let has_failed_before = rule.health == Health::Err;
        if has_failed_before != error.is_some() {
            done.health = Some(HealthChange { rule: rule.name.clone(), error: error.clone() });
        }
        rule.note(RuleRun { at: self.at, took, samples: done.samples, error });
        if let Err(error) = outcome {
            // As upstream counts: not the samples that the store refused of a query that succeeded.
            let counts = !matches!(error, RuleError::Refused { .. });
            self.metrics.failures.add(f64::from(u8::from(counts)));
            done.failure = Some(RuleFailure { rule: rule.name.clone(), error });
        }
    }

    /// Writes a rule's series and the ends of those that are no longer there, as one commit.
    fn write(&self, rule: &mut Rule, series: Vec<(Labels, f64)>) -> Result<(), RuleError> {
        let ts = self.sampled_at;
        let count = series.len();
        let now: Written = series.iter().map(|(labels, _)| labels.clone()).collect();
        let vanished = rule.written.difference(&now).map(|labels| marker(labels, ts));
        let samples = series.into_iter().map(|(labels, value)| (labels, ts, value));
        let commit = Commit::of(samples.chain(vanished));
        if commit.samples.is_empty() {
            rule.written = now;
            return Ok(());
        }
        let done =
            self.appender.commit(&commit).map_err(|err| RuleError::Append(err.to_string()))?;
        rule.written = accepted(&commit, &done, count);
        let refused = done.refused.iter().filter(|(place, _)| *place < count);
        match refused.clone().next() {
            None => Ok(()),
            Some((_, reason)) => {
                Err(RuleError::Refused { count: refused.count(), reason: reason.as_str() })
            }
        }
    }
}

type Answer = Result<Vec<QuerySample>, String>;
/// Answers to the queries of a rule's templates, by text.
type Answers = BTreeMap<String, Answer>;

/// The series among the first `count` samples that the store took.
fn accepted(commit: &Commit, done: &Committed, count: usize) -> Written {
    let refused: BTreeSet<usize> = done.refused.iter().map(|(place, _)| *place).collect();
    let taken = (0..count).filter(|place| !refused.contains(place));
    taken.filter_map(|place| commit.labels_at(place).cloned()).collect()
}

/// The end of a series.
pub(super) fn marker(labels: &Labels, ts: Timestamp) -> (Labels, Timestamp, f64) {
    (labels.clone(), ts, stale_nan())
}
