//! Recording rules over stored history: what a group would have written had it been there.
//!
//! A rule is asked for all its slots of some hours at once, and what comes out is, sample for
//! sample, what an evaluation in each slot writes: at the group's own slots, with its
//! `query_offset` and its `limit`, and with a marker where a series ends. A slot in which the rule
//! fails is without samples, as when it failed then. A rule sees what rules before it wrote; one
//! that reads a rule behind it, or itself, finds only what was stored before.
//!
//! Source: prometheus, cmd/promtool/rules.go, which writes no markers, looks at no offset and no
//! limit, and lets no rule see another one's output.

use super::config::{RuleConfig, RuleGroup};
use super::depend;
use super::error::RuleError;
use super::group::Group;
use super::query::answer;
use super::{Context, record};
use crate::model::{Labels, METRIC_NAME, Matcher, TimeRange, Timestamp, stale_nan};
use crate::promql::{Engine, Error as QueryError, ErrorKind, Lease, Options, Query, Value};
use crate::storage::import::Importer;
use crate::storage::source::{Columns, Source as _, SourceError};
use crate::storage::{self, Storage};
use crate::sys::metrics::Registry;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Time that one query covers at most, and slots.
const WINDOW: Duration = Duration::from_secs(2 * 3600);
const WINDOW_SLOTS: usize = 1_000;
/// Slots of one rule: more than nineteen years with one a minute.
const SLOTS_MAX: i64 = 10_000_000;
/// How long one query may run, which asks for up to a window.
const QUERY_TIMEOUT: Duration = Duration::from_secs(60);
/// What an expression says whose value depends on where a range begins, ends or steps.
const OF_THE_RANGE: [&str; 4] = ["start()", "end()", "range()", "step()"];

/// Which rules are evaluated for which time.
#[derive(Clone, Debug)]
pub struct Backfill<'a> {
    /// Groups in order, each with its file's name, which decides where its slots lie.
    pub groups: Vec<(String, &'a RuleGroup)>,
    /// The first slot is not before this.
    pub start: Timestamp,
    /// The last slot is not after this.
    pub end: Timestamp,
    /// Time between evaluations of a group that says nothing else.
    pub interval: Duration,
    /// How far before its own time such a group looks.
    pub query_offset: Duration,
}

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// The rule that is evaluated.
    pub rule: String,
    /// Rules that are done.
    pub done: usize,
    /// Rules to do.
    pub rules: usize,
    /// How much of all is done, from 0 to 1.
    pub share: f64,
    /// Samples so far.
    pub samples: u64,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backfilled {
    /// Recording rules that were evaluated.
    pub rules: usize,
    /// Alerting rules, which were passed over: nobody is told of alerts of the past.
    pub alerting: usize,
    /// Samples, markers among them.
    pub samples: u64,
    /// Series; one that two rules write may count twice.
    pub series: u64,
    /// Blocks that were made.
    pub blocks: u64,
    /// Recorded names of which the time held samples before: of two of the same time one stays.
    pub had_samples: Vec<String>,
    /// Rules that failed.
    pub failures: Vec<BackfillFailure>,
}

/// A rule that failed in some slots.
#[derive(Clone, Debug, PartialEq)]
pub struct BackfillFailure {
    /// Its group.
    pub group: String,
    /// Its name.
    pub rule: String,
    /// In how many slots.
    pub slots: usize,
    /// The first of them.
    pub first: Timestamp,
    /// Why it failed there.
    pub error: String,
    /// Whether the slots behind the last failure were given up.
    pub given_up: bool,
}

/// Why it ended early. What was made visible before stays, and doing it again completes it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackfillError {
    /// The time ends before it starts.
    #[error("the time ends before it starts")]
    NoTime,
    /// A group would be evaluated too often.
    #[error("group {group:?} has more than {SLOTS_MAX} slots in that time; ask for less of it")]
    TooLong {
        /// The group.
        group: String,
    },
    /// There are as many series as a store may have.
    #[error("rule {rule:?} makes more series than a store may have")]
    TooManySeries {
        /// The rule.
        rule: String,
    },
    /// The caller wanted no more.
    #[error("back-filling was stopped")]
    Stopped,
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] SourceError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] storage::Error),
}

/// A recording rule and its slots.
struct Target<'a> {
    group: &'a RuleGroup,
    rule: &'a RuleConfig,
    labels: BTreeMap<String, String>,
    /// What each slot sees and writes is of this time: the first and the last.
    first: i64,
    last: i64,
    step: i64,
}

/// What a rule yields over some slots.
#[derive(Default)]
struct Yield {
    series: BTreeMap<Labels, Columns>,
    failed: BTreeMap<i64, RuleError>,
    /// Whether the slots behind the last failed one were given up.
    is_over: bool,
    /// The memory of the answer.
    _lease: Option<Lease>,
}

/// The work under way.
struct Work<'a> {
    storage: &'a Storage,
    engine: &'a Engine,
    tell: &'a mut dyn FnMut(&Progress) -> bool,
    importer: Importer<'a>,
    /// Names that were recorded and are not visible yet.
    hidden: BTreeSet<String>,
    progress: Progress,
    done: Backfilled,
}

impl Backfill<'_> {
    /// Evaluates the rules and writes what they yield as blocks. Blocks the thread, for hours if
    /// the history is long. `tell` is called after each query and says whether to go on.
    ///
    /// # Errors
    /// See `BackfillError`. A rule that fails is told in what is returned.
    pub fn run(
        &self,
        storage: &Storage,
        engine: &Engine,
        tell: &mut dyn FnMut(&Progress) -> bool,
    ) -> Result<Backfilled, BackfillError> {
        let (targets, alerting) = self.targets()?;
        let importer = storage.import();
        let progress = Progress { rules: targets.len(), ..Progress::default() };
        let done = Backfilled { alerting, rules: targets.len(), ..Backfilled::default() };
        let mut work =
            Work { storage, engine, tell, importer, hidden: BTreeSet::new(), progress, done };
        work.note_samples(&targets)?;
        for target in &targets {
            work.evaluate(target)?;
        }
        work.show()?;
        Ok(work.done)
    }

    /// The recording rules in order, and how many alerting ones there are.
    fn targets(&self) -> Result<(Vec<Target<'_>>, usize), BackfillError> {
        if self.end < self.start {
            return Err(BackfillError::NoTime);
        }
        let context = Context {
            interval: self.interval,
            scrape_interval: Duration::ZERO,
            query_offset: self.query_offset,
            resend_delay: Duration::ZERO,
            outage_tolerance: Duration::ZERO,
            grace_period: Duration::ZERO,
            external_labels: Labels::empty(),
            external_url: String::new(),
            registry: Registry::new(),
            slots: None,
        };
        let (mut targets, mut alerting) = (Vec::new(), 0);
        for (file, group) in &self.groups {
            let live = Group::new(file, group, &context);
            let step = i64::try_from(live.interval().as_millis()).unwrap_or(i64::MAX);
            let first = live.next_after(self.start.plus_millis(-1)).as_millis();
            let count = self.end.as_millis().saturating_sub(first).div_euclid(step);
            if count >= SLOTS_MAX {
                return Err(BackfillError::TooLong { group: group.name.clone() });
            }
            let offset = group.query_offset.map_or(self.query_offset, |span| span.0);
            let offset = i64::try_from(offset.as_millis()).unwrap_or(i64::MAX);
            let first = first.saturating_sub(offset);
            for rule in &group.rules {
                if !rule.alert.is_empty() {
                    alerting += 1;
                    continue;
                }
                let labels = group.labels_of(rule);
                // Without a slot the last one lies before the first.
                let last = first.saturating_add(count.saturating_mul(step));
                targets.push(Target { group, rule, labels, first, last, step });
            }
        }
        Ok((targets, alerting))
    }
}

impl Target<'_> {
    /// Its slots in parts that are asked for at once.
    fn windows(&self) -> impl Iterator<Item = Vec<i64>> {
        let width = i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX);
        let count = usize::try_from(width / self.step).unwrap_or(1).clamp(1, WINDOW_SLOTS);
        let mut next = self.first;
        std::iter::from_fn(move || {
            let mut slots = Vec::new();
            while next <= self.last && slots.len() < count {
                slots.push(next);
                next = next.saturating_add(self.step);
            }
            (!slots.is_empty()).then_some(slots)
        })
    }

    /// How many slots `from` and those behind it are.
    fn slots_from(&self, from: i64) -> usize {
        let left = self.last.saturating_sub(from).div_euclid(self.step).saturating_add(1);
        usize::try_from(left).unwrap_or(0)
    }
}

impl Work<'_> {
    /// Notes of which names there are samples already.
    fn note_samples(&mut self, targets: &[Target<'_>]) -> Result<(), BackfillError> {
        let mut seen = BTreeSet::new();
        for target in targets.iter().filter(|target| target.first <= target.last) {
            let (first, last) = (target.first, target.last);
            let times = (Timestamp::from_millis(first), Timestamp::from_millis(last));
            let Some(range) = TimeRange::new(times.0, times.1) else { continue };
            let name = &target.rule.record;
            if !seen.insert(name) {
                continue;
            }
            let found = self.storage.series(range, &[Matcher::equal(METRIC_NAME, name)])?;
            if !found.is_empty() {
                self.done.had_samples.push(name.clone());
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, target: &Target<'_>) -> Result<(), BackfillError> {
        self.progress.rule.clone_from(&target.rule.record);
        let query = match self.engine.parse(target.rule.expr.as_str()) {
            Ok(query) => query,
            Err(err) => {
                let failed = [(target.first, RuleError::Query(err.to_string()))].into();
                self.note(target, failed, true);
                return self.end_of_rule();
            }
        };
        if depend::may_read(query.expr(), &self.hidden) {
            self.show()?;
        }
        self.hidden.insert(target.rule.record.clone());
        let (all, mut done) = (target.slots_from(target.first).max(1), 0);
        let mut alive = BTreeSet::new();
        for slots in target.windows() {
            let mut yielded = self.ask(&query, target, &slots)?;
            check(&mut yielded, target.group.limit);
            self.write(target, &slots, &yielded, &mut alive)?;
            let is_over = yielded.is_over;
            self.note(target, yielded.failed, is_over);
            if is_over {
                break;
            }
            done += slots.len();
            self.tell(done as f64 / all as f64)?;
        }
        self.end_of_rule()
    }

    fn end_of_rule(&mut self) -> Result<(), BackfillError> {
        self.progress.done += 1;
        self.tell(0.0)
    }

    /// Tells how far it is: so much of the rule under way.
    fn tell(&mut self, of_rule: f64) -> Result<(), BackfillError> {
        let rules = self.progress.rules.max(1) as f64;
        self.progress.share = (self.progress.done as f64 + of_rule) / rules;
        match (self.tell)(&self.progress) {
            true => Ok(()),
            false => Err(BackfillError::Stopped),
        }
    }

    /// What the rule yields in these slots.
    fn ask(
        &mut self,
        query: &Query,
        target: &Target<'_>,
        slots: &[i64],
    ) -> Result<Yield, BackfillError> {
        let (Some(first), Some(last)) = (slots.first(), slots.last()) else {
            return Ok(Yield::default());
        };
        let shown = query.expr().to_string();
        if OF_THE_RANGE.iter().any(|text| shown.contains(text)) {
            return self.ask_each(query, target, slots);
        }
        let times = (Timestamp::from_millis(*first), Timestamp::from_millis(*last));
        let step = Duration::from_millis(target.step.unsigned_abs());
        let options = options();
        match self.engine.range(self.storage, query, times.0, times.1, step, &options) {
            Ok(output) => {
                let mut yielded = Yield { _lease: Some(output.lease), ..Yield::default() };
                if let Value::Matrix(series) = output.value {
                    for one in series {
                        let labels =
                            record::named(&target.rule.record, &target.labels, &one.metric);
                        yielded.add(labels, one.samples);
                    }
                }
                Ok(yielded)
            }
            // Some slot failed, or all of them together were too much.
            Err(_) => self.ask_each(query, target, slots),
        }
    }

    /// As `ask`, a query for each slot.
    fn ask_each(
        &mut self,
        query: &Query,
        target: &Target<'_>,
        slots: &[i64],
    ) -> Result<Yield, BackfillError> {
        let mut yielded = Yield::default();
        for (place, ts) in slots.iter().enumerate() {
            let at = Timestamp::from_millis(*ts);
            let found = match self.engine.instant(self.storage, query, at, &options()) {
                // The kind of value is the expression's, and the same in every slot.
                Ok(output) => answer(output.value).map_err(|text| (text, true)),
                Err(err) => Err((err.to_string(), is_hopeless(&err))),
            };
            match found {
                Ok(samples) => {
                    for sample in samples {
                        let labels =
                            record::named(&target.rule.record, &target.labels, &sample.labels);
                        let mut one = Columns::default();
                        one.push(*ts, sample.value);
                        yielded.add(labels, one);
                    }
                }
                Err((text, is_over)) => {
                    yielded.failed.insert(*ts, RuleError::Query(text));
                    yielded.is_over = is_over;
                }
            }
            if yielded.is_over {
                break;
            }
            // The share does not grow, but the caller may have had enough.
            if place % 16 == 15 && !(self.tell)(&self.progress) {
                return Err(BackfillError::Stopped);
            }
        }
        Ok(yielded)
    }

    /// Writes samples, and the ends of series. `alive` are those of the last slot that did not
    /// fail, before and after.
    fn write(
        &mut self,
        target: &Target<'_>,
        slots: &[i64],
        yielded: &Yield,
        alive: &mut BTreeSet<Labels>,
    ) -> Result<(), BackfillError> {
        let failed = yielded.failed.last_key_value().filter(|_| yielded.is_over);
        let end = failed.map_or(i64::MAX, |(ts, _)| *ts);
        let good: Vec<i64> = slots
            .iter()
            .filter(|ts| **ts < end && !yielded.failed.contains_key(ts))
            .copied()
            .collect();
        let nothing = Columns::default();
        let all: BTreeSet<&Labels> = yielded.series.keys().chain(alive.iter()).collect();
        let mut now = BTreeSet::new();
        for labels in all {
            let columns = yielded.series.get(labels).unwrap_or(&nothing);
            let mut samples =
                columns.ts.iter().copied().zip(columns.values.iter().copied()).peekable();
            let mut is_alive = alive.contains(labels);
            let series = self.importer.series(labels.clone());
            let Some(series) = series else {
                return Err(BackfillError::TooManySeries { rule: target.rule.record.clone() });
            };
            for ts in &good {
                while samples.next_if(|(at, _)| at < ts).is_some() {}
                let found = samples.next_if(|(at, _)| at == ts).map(|(_, value)| value);
                if let Some(value) = found.or_else(|| is_alive.then(stale_nan)) {
                    self.importer.push(series, *ts, value)?;
                    self.progress.samples += 1;
                }
                is_alive = found.is_some();
            }
            if is_alive {
                now.insert(labels.clone());
            }
        }
        *alive = now;
        Ok(())
    }

    /// Remembers what went wrong.
    fn note(&mut self, target: &Target<'_>, failed: BTreeMap<i64, RuleError>, given_up: bool) {
        let slots = failed.len();
        let Some((first, error)) = failed.into_iter().next() else { return };
        let (group, rule) = (&target.group.name, &target.rule.record);
        let same = self.done.failures.last_mut();
        match same.filter(|one| one.group == *group && one.rule == *rule) {
            Some(known) => {
                known.slots += slots;
                known.given_up |= given_up;
            }
            None => self.done.failures.push(BackfillFailure {
                group: group.clone(),
                rule: rule.clone(),
                slots,
                first: Timestamp::from_millis(first),
                error: error.to_string(),
                given_up,
            }),
        }
    }

    /// Makes visible what was recorded.
    fn show(&mut self) -> Result<(), BackfillError> {
        let importer = std::mem::replace(&mut self.importer, self.storage.import());
        let shown = importer.finish()?;
        self.hidden.clear();
        self.done.samples += shown.samples;
        self.done.series += shown.series;
        self.done.blocks += shown.blocks;
        Ok(())
    }
}

impl Yield {
    /// Samples of a series. Two that were different before the rule's labels may be the same now.
    fn add(&mut self, labels: Labels, samples: Columns) {
        match self.series.entry(labels) {
            Entry::Vacant(place) => {
                place.insert(samples);
            }
            Entry::Occupied(mut place) => {
                let known = place.get_mut();
                for (ts, value) in samples.ts.into_iter().zip(samples.values) {
                    known.push(ts, value);
                }
            }
        }
    }
}

fn options() -> Options {
    Options { timeout: Some(QUERY_TIMEOUT), ..Options::default() }
}

/// Whether the next slot would end the same way, and take as long.
fn is_hopeless(err: &QueryError) -> bool {
    match err.kind() {
        ErrorKind::Execution => false,
        ErrorKind::BadData
        | ErrorKind::Timeout
        | ErrorKind::Canceled
        | ErrorKind::Internal
        | ErrorKind::Busy => true,
    }
}

/// Fails the slots in which two series are the same, or in which there are more than `limit`
/// (0 is any number), and puts samples in order of time.
fn check(yielded: &mut Yield, limit: u64) {
    let Yield { series, failed, .. } = yielded;
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    for columns in series.values_mut() {
        if !columns.ts.is_sorted_by(|a, b| a < b) {
            let mut pairs: Vec<(i64, f64)> =
                columns.ts.iter().copied().zip(columns.values.iter().copied()).collect();
            pairs.sort_by_key(|(ts, _)| *ts);
            columns.clear();
            for (ts, value) in pairs {
                if columns.ts.last() == Some(&ts) {
                    failed.entry(ts).or_insert(RuleError::Duplicate { kind: "rule" });
                } else {
                    columns.push(ts, value);
                }
            }
        }
        if limit > 0 {
            columns.ts.iter().for_each(|ts| *counts.entry(*ts).or_default() += 1);
        }
    }
    for (ts, found) in counts {
        if u64::try_from(found).unwrap_or(u64::MAX) > limit {
            failed.entry(ts).or_insert(RuleError::Limit { limit, found, what: "series" });
        }
    }
}
