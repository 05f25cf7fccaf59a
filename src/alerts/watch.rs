//! Alerts that must keep coming: their absence is an alert of its own.

use super::config::Config;
use super::engine::{Engine, Moment};
use super::held::{Source, Uptime};
use super::record::{self, Record, Table};
use super::step::Step;
use crate::model::{Alert, Annotations, Labels, Matcher, Timestamp, duration};
use std::collections::BTreeMap;
use std::time::Duration;

/// When something was seen is stored at most this often.
const STORED_EVERY: Duration = Duration::from_secs(60);
/// What is missing is said again long before this is over.
const MISSING_VALID: Duration = Duration::from_secs(10 * 60);
const MISSING_AGAIN: Duration = Duration::from_secs(4 * 60);

/// An alert that must keep coming.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Its name, unique among them.
    pub name: String,
    /// All must match a firing alert for it to be the one.
    pub matchers: Vec<Matcher>,
    /// It is missing when it has not been sent for longer than this.
    pub within: Duration,
    /// More labels for the alert that says so, beside `alertname="ExpectedAlertMissing"` and
    /// `expected`.
    pub labels: Labels,
    /// Annotations for it; without a `summary` it gets one.
    pub annotations: Labels,
}

impl Expected {
    /// The alert that says that it is missing.
    fn missing(&self, starts_at: Timestamp, ends_at: Timestamp, now: Moment) -> Alert {
        let mut labels = self.labels.to_builder();
        labels.set("alertname", "ExpectedAlertMissing").set("expected", self.name.as_str());
        let within = duration::format(self.within);
        let text = format!("no alert that is expected as {:?} came for {within}", self.name);
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
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Uptime,
    stored: Option<Uptime>,
}

impl Watched {
    /// What was stored. A time in the future is from a wall clock that has been set back.
    pub(super) fn restore(&mut self, name: String, seen: Timestamp, now: Moment) {
        let at = Uptime::of_wall(seen, now).min(Uptime::of(now));
        self.by_name.insert(name, Seen { at, stored: Some(at) });
    }

    /// A firing alert with these labels came in.
    pub(super) fn saw(&mut self, labels: &Labels, config: &Config, now: Moment, step: &mut Step) {
        let at = Uptime::of(now);
        for one in &config.expected {
            if !one.matchers.iter().all(|matcher| matcher.matches(labels)) {
                continue;
            }
            let seen = self.by_name.entry(one.name.clone()).or_insert(Seen { at, stored: None });
            seen.at = at;
            if seen.stored.is_none_or(|stored| at.since(stored) >= STORED_EVERY) {
                seen.stored = Some(at);
                step.write(record::write_watch(&one.name, now.wall));
            }
        }
    }

    /// When the next one may be missing, or has to be said again to be.
    pub(super) fn next_look(&self, config: &Config, now: Moment) -> Option<Duration> {
        let look = |one: &Expected| {
            let seen = self.by_name.get(&one.name)?;
            let late = seen.at.plus(one.within).plus(Duration::from_millis(1));
            let now = Uptime::of(now);
            Some(if late > now { late } else { now.plus(MISSING_AGAIN) })
        };
        config.expected.iter().filter_map(look).map(Uptime::elapsed).min()
    }
}

impl Engine {
    /// Says what is missing, and that it is there again.
    pub(super) fn watch(&mut self, now: Moment, step: &mut Step) {
        let config = self.config.clone();
        let wanted = |name: &String| config.expected.iter().any(|one| one.name == *name);
        for (name, _) in self.watched.by_name.extract_if(.., |name, _| !wanted(name)) {
            step.write(Record::removal(Table::Watch, name));
        }
        for one in &config.expected {
            let first = Seen { at: Uptime::of(now), stored: None };
            let seen = *self.watched.by_name.entry(one.name.clone()).or_insert(first);
            let missing = Uptime::of(now).since(seen.at) > one.within;
            let alert = one.missing(now.wall, now.wall.plus(MISSING_VALID), now);
            let held = self.alerts.get(&alert.fingerprint()).filter(|held| !held.ended);
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
