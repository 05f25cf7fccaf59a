//! A group of rules: when it is due, and what stays of it over evaluations, reloads and restarts.
//!
//! Source: prometheus, rules/group.go.

use super::config::RuleGroup;
use super::depend::{self, Slots};
use super::error::RuleError;
use super::evaluation::{Done, Evaluation, Evaluator, RuleFailure, marker};
use super::metrics::GroupMetrics;
use super::query::Querier;
use super::recall::Recall;
use super::rule::{Kind, Rule, Written};
use super::state::{self, Mark};
use super::trust::Outage;
use super::view::{AlertChange, AlertPhase, GroupView, RuleKindView, RuleView};
use crate::model::{Annotations, Fingerprint, Labels, TimeRange, Timestamp};
use crate::storage::append::{Appender, Commit};
use crate::sys::clock::{Clock, WallJumps};
use crate::sys::metrics::Registry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// What all groups share.
#[derive(Clone, Debug)]
pub struct Context {
    /// `global.evaluation_interval`, for groups without one.
    pub interval: Duration,
    /// The longest time between two samples of a target: what a group waits for after a restart.
    pub scrape_interval: Duration,
    /// `global.rule_query_offset`, for groups without one.
    pub query_offset: Duration,
    /// How often an alert is sent again while nothing changes.
    pub resend_delay: Duration,
    /// How much of the time in which nobody evaluated counts towards `for`.
    pub outage_tolerance: Duration,
    /// An alert that the store alone remembers, and that did not fire, waits at least so long; one
    /// with a shorter `for` is not looked up.
    pub grace_period: Duration,
    /// `global.external_labels`.
    pub external_labels: Labels,
    /// Under which URL people reach the server, without a slash at the end.
    pub external_url: String,
    /// Where the metrics of groups go.
    pub registry: Registry,
    /// Threads for rules that do not depend on each other; without them rules go in turn.
    pub slots: Option<Arc<Slots>>,
}

impl Context {
    /// Whether a group evaluates the same way under both.
    pub fn is_like(&self, other: &Self) -> bool {
        let key = |one: &Self| {
            let times = (one.interval, one.query_offset, one.resend_delay);
            (times, one.outage_tolerance, one.grace_period)
        };
        key(self) == key(other)
            && self.external_labels == other.external_labels
            && self.external_url == other.external_url
    }
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
    /// Places of rules that may be evaluated at the same time.
    batches: Vec<Vec<usize>>,
    evaluation_time: Duration,
    last_evaluation: Option<Timestamp>,
    /// Series of rules that are gone: they get a marker with the next evaluation.
    orphans: Written,
    /// Changes that the next evaluation tells: of the alerts of rules that are gone.
    untold: Vec<AlertChange>,
    /// The records that the caller holds.
    saved: BTreeMap<String, Mark>,
    metrics: GroupMetrics,
    wall_jumps: WallJumps,
}

impl Group {
    /// The group as configured, never evaluated. The rules should have passed `check`.
    pub fn new(file: &str, config: &RuleGroup, ctx: &Context) -> Self {
        let fingerprint = state::group_fingerprint(file, &config.name);
        let interval = config.interval.map_or(ctx.interval, |span| span.0);
        let metrics = GroupMetrics::new(&ctx.registry, &format!("{file};{}", config.name));
        metrics.interval.set(interval.as_secs_f64());
        metrics.rules.set(config.rules.len() as f64);
        let rules: Vec<Rule> = config.rules.iter().map(|rule| Rule::new(config, rule)).collect();
        let batches = ctx.slots.as_ref().map(|_| depend::batches(&rules));
        Self {
            name: config.name.clone(),
            file: file.to_owned(),
            fingerprint,
            record_key: fingerprint.to_string(),
            // A timer of zero would never end; `check` refuses what is written so.
            interval: interval.max(Duration::from_millis(1)),
            query_offset: config.query_offset.map_or(ctx.query_offset, |span| span.0),
            limit: config.limit,
            rules,
            batches: batches.unwrap_or_default(),
            evaluation_time: Duration::ZERO,
            last_evaluation: None,
            orphans: Written::new(),
            untold: Vec::new(),
            saved: BTreeMap::new(),
            metrics,
            wall_jumps: WallJumps::default(),
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

    /// The newest slot up to `now` that is behind the last evaluation: one that is still owed.
    /// `None` when there is none, or when there was no evaluation before.
    pub fn missed_slot(&self, now: Timestamp) -> Option<Timestamp> {
        let newest = self.next_after(now).minus(self.interval);
        self.last_evaluation.filter(|last| *last < newest).map(|_| newest)
    }

    /// When it was last evaluated, by this process or an earlier one.
    pub fn last_evaluation(&self) -> Option<Timestamp> {
        self.last_evaluation
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

    /// Whether the wall clock was set since this was last asked. `for`, `keep_firing_for` and what
    /// else counts time go on as if it had not been: to be asked before each evaluation, and where
    /// it was, the slot is one of another time.
    ///
    /// At that time there are no samples yet: an alert that is not seen stays as it is until they
    /// can have come in, as after a restart.
    pub fn follow_clock(&mut self, now: Timestamp, elapsed: Duration, ctx: &Context) -> bool {
        let millis = self.wall_jumps.noticed(now, elapsed);
        if millis == 0 {
            return false;
        }
        let outage = self.outage(now, Duration::from_millis(millis.unsigned_abs()), ctx);
        for rule in &mut self.rules {
            let trusted_from = outage.trusted_from(rule.window);
            if let Some(alerting) = rule.alerting_mut() {
                alerting.shift(millis, trusted_from);
            }
        }
        true
    }

    /// Evaluates all rules in order, at `at`. Each rule's output is a commit of its own, visible
    /// to the rules after it.
    ///
    /// It ends early once the querier says that it is over, and does not count as an evaluation
    /// then.
    pub fn evaluate(
        &mut self,
        at: Timestamp,
        ctx: &Context,
        querier: &dyn Querier,
        appender: &dyn Appender,
        clock: &dyn Clock,
    ) -> Evaluation {
        let started = clock.elapsed();
        self.metrics.iterations.inc();
        let mut evaluation =
            Evaluation { changes: std::mem::take(&mut self.untold), ..Evaluation::default() };
        let batches = std::mem::take(&mut self.batches);
        let (rules, evaluator) = self.evaluator(at, ctx, (querier, appender, clock));
        let done = match &ctx.slots {
            Some(slots) => evaluator.in_batches(rules, &batches, slots),
            None => evaluator.in_turn(rules),
        };
        self.batches = batches;
        let is_whole = done.len() == self.rules.len();
        let rules_took = done.iter().map(Done::took).sum();
        done.into_iter().for_each(|done| evaluation.add(done));
        if is_whole {
            self.mark_orphans(at, appender);
            self.last_evaluation = Some(at);
        }
        evaluation.records = self.changed_records();
        evaluation.took = clock.elapsed().saturating_sub(started);
        self.evaluation_time = evaluation.took;
        self.metrics.group_took(evaluation.took, rules_took);
        self.metrics.last_evaluation.set(at.as_seconds());
        self.metrics.last_samples.set(evaluation.samples as f64);
        evaluation
    }

    /// After a restart: fires the alerts whose `for` ended in a slot that nobody evaluated, if
    /// their conditions still hold at `at`. Nothing else changes, and it does not count as an
    /// evaluation.
    pub fn catch_up(
        &mut self,
        at: Timestamp,
        ctx: &Context,
        querier: &dyn Querier,
        appender: &dyn Appender,
        clock: &dyn Clock,
    ) -> Evaluation {
        let started = clock.elapsed();
        let mut evaluation = Evaluation::default();
        let (rules, evaluator) = self.evaluator(at, ctx, (querier, appender, clock));
        for rule in rules {
            evaluation.add(evaluator.catch_up(rule));
        }
        evaluation.records = self.changed_records();
        evaluation.took = clock.elapsed().saturating_sub(started);
        evaluation
    }

    /// Looks up in the store what is known of the alerts of rules without records: before their
    /// first evaluation, since that writes the same series. They may be in a group that has
    /// records, as a rule is that was in another one. Alerts that appear in the first two
    /// evaluations go on where they were. Returns the rules for which the store did not answer.
    pub fn recall(
        &mut self,
        now: Timestamp,
        ctx: &Context,
        querier: &dyn Querier,
        clock: &dyn Clock,
    ) -> Vec<RuleFailure> {
        let started = clock.elapsed();
        let mut failures = Vec::new();
        let oldest = now.minus(ctx.outage_tolerance);
        let range = TimeRange::new(oldest, now).unwrap_or(TimeRange::at(now));
        for rule in &mut self.rules {
            let name = &rule.name;
            let Kind::Alerting(alerting) = &mut rule.kind else { continue };
            if alerting.hold < ctx.grace_period || !alerting.alerts.is_empty() {
                continue;
            }
            match querier.newest(&alerting.memory(), range) {
                Ok(newest) => alerting.remember(Recall::new(newest, ctx.grace_period)),
                Err(text) => {
                    let error = RuleError::Query(text);
                    failures.push(RuleFailure { rule: name.clone(), error });
                }
            }
        }
        self.metrics.last_restore.set(clock.elapsed().saturating_sub(started).as_secs_f64());
        failures
    }

    /// Takes over what is remembered about the group of the same key before a reload: rules are
    /// paired by name and labels, equal ones in order.
    pub fn adopt(&mut self, old: Group, ctx: &Context) {
        self.evaluation_time = old.evaluation_time;
        self.last_evaluation = old.last_evaluation;
        self.orphans = old.orphans;
        self.untold = old.untold;
        self.saved = old.saved;
        self.wall_jumps = old.wall_jumps;
        let mut left: BTreeMap<Fingerprint, VecDeque<Rule>> = BTreeMap::new();
        for rule in old.rules {
            left.entry(rule.identity()).or_default().push_back(rule);
        }
        for rule in &mut self.rules {
            if let Some(old) = left.get_mut(&rule.identity()).and_then(VecDeque::pop_front) {
                rule.adopt(old);
            }
        }
        for mut rule in left.into_values().flatten() {
            let alerting = rule.alerting_mut();
            let forgotten = alerting.map(|alerting| alerting.forget(&ctx.external_labels));
            self.untold.extend(forgotten.unwrap_or_default());
            self.orphans.extend(rule.written);
        }
    }

    /// Forgets all alerts of a group that is gone for good; returns what that changes.
    pub fn forget_alerts(&mut self, ctx: &Context) -> Vec<AlertChange> {
        let mut changes = std::mem::take(&mut self.untold);
        for alerting in self.rules.iter_mut().filter_map(Rule::alerting_mut) {
            changes.extend(alerting.forget(&ctx.external_labels));
        }
        changes
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
        self.own_record().into_iter().chain(alerts).collect()
    }

    /// Puts the alerts of `records` back, before the first evaluation. Of the time since the last
    /// evaluation at most the outage tolerance counts towards `for` and `keep_firing_for`. An
    /// alert that is not seen stays as it is until its samples can have come in again.
    ///
    /// Records of other groups are passed over. Returns keys of this group's records that belong
    /// to no rule any more, to be deleted.
    pub fn restore<'r>(
        &mut self,
        records: impl IntoIterator<Item = (&'r str, &'r str)> + Clone,
        now: Timestamp,
        ctx: &Context,
    ) -> Vec<String> {
        let own = self.record_key.clone();
        let mut group_records = records.clone().into_iter().filter(|(key, _)| *key == own);
        let last = group_records.find_map(|(_, json)| state::read_group(json));
        self.last_evaluation = last.map(|last| last.min(now));
        let downtime = last.map_or(Duration::ZERO, |last| now.since(last));
        // An evaluation in the future: the wall clock was set back by at least so much.
        let set_back = last.map_or(Duration::ZERO, |last| last.since(now));
        let set_back = i64::try_from(set_back.as_millis()).unwrap_or(i64::MAX);
        let outage = self.outage(now, downtime, ctx);
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
            let rule = rules.get(parent).and_then(|place| self.rules.get_mut(*place));
            let window = rule.as_ref().map_or(Duration::ZERO, |rule| rule.window);
            let alerting = rule.and_then(Rule::alerting_mut);
            match (alerting, state::read_alert(json)) {
                (Some(alerting), Some((labels, mut alert))) => {
                    alert.shift(set_back.saturating_neg());
                    alert.clamp(now);
                    state::shift(&mut alert, downtime, ctx.outage_tolerance);
                    alert.trusted_from = Some(outage.trusted_from(window));
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

    fn outage(&self, now: Timestamp, downtime: Duration, ctx: &Context) -> Outage {
        let (interval, scrape_interval) = (self.interval, ctx.scrape_interval);
        // With an offset, samples are seen so much after they came.
        Outage { now: now.plus(self.query_offset), downtime, interval, scrape_interval }
    }

    /// The rules, and what evaluates each of them at `at`.
    fn evaluator<'a>(
        &'a mut self,
        at: Timestamp,
        ctx: &'a Context,
        (querier, appender, clock): (&'a dyn Querier, &'a dyn Appender, &'a dyn Clock),
    ) -> (&'a mut [Rule], Evaluator<'a>) {
        let evaluator = Evaluator {
            at,
            sampled_at: at.minus(self.query_offset),
            limit: self.limit,
            interval: self.interval,
            ctx,
            metrics: &self.metrics,
            querier,
            appender,
            clock,
        };
        (&mut self.rules, evaluator)
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
    fn changed_records(&mut self) -> Vec<(String, Option<String>)> {
        let own = self.own_record();
        let mut changed: Vec<_> = own.into_iter().map(|(key, json)| (key, Some(json))).collect();
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

    fn own_record(&self) -> Option<(String, String)> {
        let last = self.last_evaluation?;
        Some((self.record_key.clone(), state::group_record(&self.file, &self.name, last)))
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

fn view_rule(rule: &Rule) -> RuleView {
    RuleView {
        name: rule.name.clone(),
        query: rule.query.clone(),
        labels: Annotations::from_pairs(&rule.labels),
        health: rule.health,
        last_error: rule.last_error.clone(),
        evaluation_time: rule.evaluation_time,
        last_evaluation: rule.last_evaluation,
        runs: rule.runs.clone(),
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
