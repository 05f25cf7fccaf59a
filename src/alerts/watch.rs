//! Alerts and pushes that must keep coming: their absence is an alert of its own.

use super::config::Config;
use super::engine::{Engine, Moment};
use super::held::{Source, Uptime};
use super::record::{self, Record, Table};
use super::step::Step;
use crate::model::{Alert, Annotations, Labels, Matcher, Timestamp, duration};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// When something was seen is stored at most this often.
const STORED_EVERY: Duration = Duration::from_secs(60);
/// What is missing is said again long before this is over.
const MISSING_VALID: Duration = Duration::from_secs(10 * 60);
const MISSING_AGAIN: Duration = Duration::from_secs(4 * 60);

/// After a restart nothing is missing for as long as it may stay away, within these bounds: nobody
/// could be heard while the process was down. Senders repeat an alert about once a minute; what
/// comes more rarely than every ten minutes is not waited for anew at each restart.
const RESTART_GRACE: RangeInclusive<Duration> =
    Duration::from_secs(2 * 60)..=Duration::from_secs(10 * 60);

/// What is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// A firing alert.
    Alert,
    /// A push to a group.
    Push,
}

impl Awaited {
    /// The word in texts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Push => "push",
        }
    }

    /// The name of the alert that says that it is missing.
    const fn alert_name(self) -> &'static str {
        match self {
            Self::Alert => "ExpectedAlertMissing",
            Self::Push => "ExpectedPushMissing",
        }
    }
}

/// An alert or a push that must keep coming.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Its name, unique among them.
    pub name: String,
    /// What it is.
    pub awaited: Awaited,
    /// All must match a firing alert's labels, or those of a pushed group's key, for it to be the
    /// one.
    pub matchers: Vec<Matcher>,
    /// It is missing when it has not come for longer than this.
    pub within: Duration,
    /// More labels for the alert that says so, beside `alertname` (`ExpectedAlertMissing`,
    /// `ExpectedPushMissing`) and `expected`.
    pub labels: Labels,
    /// Annotations for it; without a `summary` it gets one.
    pub annotations: Labels,
}

impl Expected {
    /// Whether something of this kind with these labels is what is expected.
    pub fn is(&self, what: Awaited, labels: &Labels) -> bool {
        self.awaited == what && self.matchers.iter().all(|matcher| matcher.matches(labels))
    }

    /// The alert that says that it is missing.
    fn missing(&self, starts_at: Timestamp, ends_at: Timestamp, now: Moment) -> Alert {
        let mut labels = self.labels.to_builder();
        let alert_name = self.awaited.alert_name();
        labels.set("alertname", alert_name).set("expected", self.name.as_str());
        let (what, within) = (self.awaited.as_str(), duration::format(self.within));
        let text = format!("no {what} that is expected as {:?} came for {within}", self.name);
        let summary = [("summary", text.as_str())];
        let annotations = summary.into_iter().chain(&self.annotations);
        Alert {
            labels: labels.build(),
            annotations: Annotations::from_pairs(annotations),
            starts_at,
            ends_at,
            generator_url: String::new(),
            updated_at: now.wall,
            ends_by_timeout: false,
        }
    }
}

/// When what is expected was last seen.
#[derive(Debug, Default)]
pub(super) struct Watched {
    by_name: BTreeMap<String, Seen>,
    /// When what was stored was put back.
    restored: Option<Uptime>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    /// When it came, or since when it is expected.
    at: Uptime,
    /// Whether it has come.
    came: bool,
    stored: Option<Uptime>,
}

impl Watched {
    /// What was stored. A time in the future is from a wall clock that has been set back.
    pub(super) fn restore(
        &mut self,
        name: String,
        (seen, awaited): (Timestamp, bool),
        now: Moment,
    ) {
        let at = Uptime::of_wall(seen, now).min(Uptime::of(now));
        self.by_name.insert(name, Seen { at, came: !awaited, stored: Some(at) });
        self.restored = Some(Uptime::of(now));
    }

    /// It does not begin to be missing before this.
    fn patient_until(&self, one: &Expected) -> Option<Uptime> {
        let patience = one.within.clamp(*RESTART_GRACE.start(), *RESTART_GRACE.end());
        self.restored.map(|at| at.plus(patience))
    }

    /// A firing alert with these labels came in, or a push to a group with this key.
    pub(super) fn saw(
        &mut self,
        what: Awaited,
        labels: &Labels,
        config: &Config,
        now: Moment,
        step: &mut Step,
    ) {
        let at = Uptime::of(now);
        for one in config.expected.iter().filter(|one| one.is(what, labels)) {
            let first = Seen { at, came: true, stored: None };
            let seen = self.by_name.entry(one.name.clone()).or_insert(first);
            (seen.at, seen.came) = (at, true);
            if seen.stored.is_none_or(|stored| at.since(stored) >= STORED_EVERY) {
                seen.stored = Some(at);
                step.write(record::write_watch(&one.name, now.wall, false));
            }
        }
    }

    /// When it was seen; from now on it is expected if it was not before. Restarts do not begin
    /// anew.
    fn expect(&mut self, name: &str, now: Moment, step: &mut Step) -> Seen {
        let at = Uptime::of(now);
        if let Some(seen) = self.by_name.get(name) {
            return *seen;
        }
        let first = Seen { at, came: false, stored: Some(at) };
        step.write(record::write_watch(name, now.wall, true));
        self.by_name.insert(name.to_owned(), first);
        first
    }

    /// When the next one may be missing, or has to be said again to be.
    pub(super) fn next_look(&self, config: &Config, now: Moment) -> Option<Duration> {
        let look = |one: &Expected| {
            let seen = self.by_name.get(&one.name)?;
            let late = seen.at.plus(one.within).plus(Duration::from_millis(1));
            let late = self.patient_until(one).map_or(late, |until| late.max(until));
            let now = Uptime::of(now);
            Some(if late > now { late } else { now.plus(MISSING_AGAIN) })
        };
        config.expected.iter().filter_map(look).map(Uptime::elapsed).min()
    }
}

/// Something that is expected, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedView {
    /// What is expected.
    pub expected: Expected,
    /// When it came last, as far as is known; an earlier process may not have stored the last
    /// minute.
    pub last_seen: Option<Timestamp>,
    /// Whether it is missing.
    pub is_missing: bool,
}

impl Engine {
    /// All that is expected, in the order of the configuration.
    pub fn expected(&self, now: Moment) -> Vec<ExpectedView> {
        let view = |one: &Expected| {
            let seen = self.watched.by_name.get(&one.name);
            let alert = one.missing(now.wall, now.wall, now).fingerprint();
            ExpectedView {
                expected: one.clone(),
                last_seen: seen.filter(|seen| seen.came).map(|seen| seen.at.to_wall(now)),
                is_missing: self.alerts.is_firing(alert, now),
            }
        };
        self.config.expected.iter().map(view).collect()
    }

    /// Says what is missing, and that it is there again.
    pub(super) fn watch(&mut self, now: Moment, step: &mut Step) {
        let config = self.config.clone();
        let wanted = |name: &String| config.expected.iter().any(|one| one.name == *name);
        for (name, _) in self.watched.by_name.extract_if(.., |name, _| !wanted(name)) {
            step.write(Record::removal(Table::Watch, name));
        }
        for one in &config.expected {
            let seen = self.watched.expect(&one.name, now, step);
            let alert = one.missing(now.wall, now.wall.plus(MISSING_VALID), now);
            let held = self.alerts.get(&alert.fingerprint()).filter(|held| !held.ended);
            let patient = self.watched.patient_until(one);
            let patient = patient.is_some_and(|until| Uptime::of(now) < until);
            let missing =
                Uptime::of(now).since(seen.at) > one.within && (held.is_some() || !patient);
            let alert = match (missing, held) {
                (true, None) => alert,
                (true, Some(held)) => {
                    let left = held.ends.since(Uptime::of(now));
                    if left > MISSING_VALID.saturating_sub(MISSING_AGAIN) {
                        continue;
                    }
                    Alert { starts_at: held.alert.starts_at, ..alert }
                }
                (false, Some(held)) => {
                    Alert { starts_at: held.alert.starts_at, ends_at: now.wall, ..alert }
                }
                (false, None) => continue,
            };
            self.receive(alert, Source::Watch, now, step);
        }
    }
}
