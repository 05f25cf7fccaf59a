//! All pushed groups, and what a push, a deletion and time make of them.

use super::super::limits::{PUSH_GROUPS_MAX, PUSH_HELD_BYTES_MAX, PUSH_SAMPLES_MAX, SafetyLimits};
use super::body::Pushed;
use super::error::PushError;
use super::family::PushedFamily;
use super::key::GroupKey;
use super::{PUSH_FAILURE_TIME, PUSH_TIME, check};
use crate::model::{MetricType, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// The gauges that each group has by itself.
const OWN_SAMPLES: usize = 2;

/// What groups may hold. Past it a push is refused; what is held stays.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Limits of a scrape, which all groups are together.
    pub safety: SafetyLimits,
    /// Groups.
    pub groups_max: usize,
    /// Samples of one group.
    pub group_samples_max: usize,
    /// Bytes of all groups, about.
    pub bytes_max: usize,
}

impl Limits {
    /// The limits of a server that scrapes within `safety`.
    pub const fn within(safety: SafetyLimits) -> Self {
        Self {
            safety,
            groups_max: PUSH_GROUPS_MAX,
            group_samples_max: PUSH_SAMPLES_MAX,
            bytes_max: PUSH_HELD_BYTES_MAX,
        }
    }

    /// Samples of all groups: more would fail the scrape that stores them.
    pub fn samples_max(&self) -> usize {
        self.safety.samples_max.min(self.safety.series_max)
    }
}

/// A push that was read.
#[derive(Clone, Debug)]
pub struct Push {
    /// Its metrics.
    pub pushed: Pushed,
    /// Whether the group loses all other metrics (PUT), or only those of the same names (POST).
    pub replaces: bool,
    /// How long the group lives after its last successful push; `None` is until it is deleted.
    pub ttl: Option<Duration>,
}

/// A family in a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// When it was pushed.
    pub at: Timestamp,
    /// What was pushed; labels are those of the series.
    pub family: Arc<PushedFamily>,
}

/// One group. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// When it came to be.
    pub created_at: Timestamp,
    /// The last push that was taken.
    pub pushed_at: Option<Timestamp>,
    /// The last push that was refused.
    pub failed_at: Option<Timestamp>,
    /// How long it lives after its last push.
    pub ttl: Option<Duration>,
    /// Its families by name, without the group's own gauges.
    pub families: BTreeMap<String, Held>,
}

impl Group {
    fn new(now: Timestamp, ttl: Option<Duration>) -> Self {
        let families = BTreeMap::new();
        Self { created_at: now, pushed_at: None, failed_at: None, ttl, families }
    }

    /// Whether the last push was taken.
    pub fn is_last_push_successful(&self) -> bool {
        self.failed_at.is_none_or(|failed| self.pushed_at.is_some_and(|pushed| failed <= pushed))
    }

    /// Whether its time is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        let since = self.pushed_at.or(self.failed_at).unwrap_or(self.created_at);
        self.ttl.is_some_and(|ttl| now >= since.plus(ttl))
    }

    /// Samples that it is, its own gauges among them.
    pub fn sample_count(&self) -> usize {
        let families = self.families.values().map(|held| held.family.sample_count());
        families.sum::<usize>() + OWN_SAMPLES
    }

    fn byte_len(&self) -> usize {
        self.families.values().map(|held| held.family.byte_len()).sum::<usize>() + size_of::<Self>()
    }
}

/// How one metric name is in use.
#[derive(Clone, Copy, Debug)]
struct Usage {
    kind: MetricType,
    groups: usize,
}

/// All groups. Changes are planned first and put in force by `put` and `remove`, so that the
/// caller can store them in between.
#[derive(Debug)]
pub struct Groups {
    limits: Limits,
    groups: BTreeMap<GroupKey, Group>,
    names: HashMap<String, Usage>,
    samples: usize,
    bytes: usize,
}

impl Groups {
    /// No groups yet.
    pub fn new(limits: Limits) -> Self {
        let groups = BTreeMap::new();
        Self { limits, groups, names: HashMap::new(), samples: 0, bytes: 0 }
    }

    /// All groups by key.
    pub fn iter(&self) -> impl Iterator<Item = (&GroupKey, &Group)> {
        self.groups.iter()
    }

    /// One group.
    pub fn get(&self, key: &GroupKey) -> Option<&Group> {
        self.groups.get(key)
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Samples of all groups.
    pub const fn sample_count(&self) -> usize {
        self.samples
    }

    /// The group as this push makes it; nothing has changed yet.
    ///
    /// # Errors
    /// `PushError::Inconsistent`: the group stays what it is, and `plan_failure` says so in it.
    pub fn plan(&self, key: &GroupKey, push: Push, now: Timestamp) -> Result<Group, PushError> {
        let families = &push.pushed.families;
        let names: Vec<String> = families.iter().map(|family| family.name.clone()).collect();
        let group = self.plan_unchecked(key, push, now)?;
        check::check(self, key, &group, &names).map_err(PushError::Inconsistent)?;
        Ok(group)
    }

    /// As `plan`, and metrics may contradict themselves or other groups: then a scrape takes the
    /// first of what is there twice, and the type of one group for all.
    ///
    /// # Errors
    /// As `plan`: timestamps, reserved names, and what passes a limit.
    pub fn plan_unchecked(
        &self,
        key: &GroupKey,
        push: Push,
        now: Timestamp,
    ) -> Result<Group, PushError> {
        let wrong = PushError::Inconsistent;
        if push.pushed.has_timestamps {
            return Err(wrong("pushed metrics must not have timestamps".to_owned()));
        }
        let mut group = match self.groups.get(key) {
            Some(before) => before.clone(),
            None => Group::new(now, push.ttl),
        };
        if push.replaces {
            group.families.clear();
        }
        let fresh = check::placed(key, push.pushed.families, &self.limits.safety).map_err(wrong)?;
        for family in fresh {
            let held = Held { at: now, family: Arc::new(family) };
            group.families.insert(held.family.name.clone(), held);
        }
        (group.pushed_at, group.ttl) = (Some(now), push.ttl);
        self.check_room(key, &group).map_err(wrong)?;
        Ok(group)
    }

    /// The group with a note of a push that was refused; `None` when there is no room for one.
    pub fn plan_failure(
        &self,
        key: &GroupKey,
        ttl: Option<Duration>,
        now: Timestamp,
    ) -> Option<Group> {
        let before = self.groups.get(key);
        let is_new = before.is_none();
        let mut group = before.cloned().unwrap_or_else(|| Group::new(now, ttl));
        group.failed_at = Some(now);
        let fits = || {
            check::check_key(key, &self.limits.safety)?;
            check::check(self, key, &group, &[])?;
            self.check_room(key, &group)
        };
        (!is_new || fits().is_ok()).then_some(group)
    }

    fn check_room(&self, key: &GroupKey, group: &Group) -> Result<(), String> {
        let limits = &self.limits;
        let before = self.groups.get(key);
        if before.is_none() && self.groups.len() >= limits.groups_max {
            return Err(format!(
                "there are {} groups already; delete some, or push with a time to live",
                self.groups.len()
            ));
        }
        let own = group.sample_count();
        if own > limits.group_samples_max {
            let max = limits.group_samples_max;
            return Err(format!("the group would have {own} samples; at most {max} are kept"));
        }
        let samples = self.samples - before.map_or(0, Group::sample_count) + own;
        let max = limits.samples_max();
        if samples > max {
            return Err(format!(
                "all groups would have {samples} samples; at most {max} are kept \
                 (--scrape.max-samples, --scrape.max-series)"
            ));
        }
        let bytes = self.bytes - before.map_or(0, Group::byte_len) + group.byte_len();
        if bytes > limits.bytes_max {
            let max = limits.bytes_max;
            return Err(format!("all groups would take {bytes} bytes; at most {max} are kept"));
        }
        Ok(())
    }

    /// Groups whose time is over.
    pub fn expired(&self, now: Timestamp) -> Vec<GroupKey> {
        let over = self.groups.iter().filter(|(_, group)| group.is_over(now));
        over.map(|(key, _)| key.clone()).collect()
    }

    /// Puts a group in force, in the place of what was there.
    pub fn put(&mut self, key: GroupKey, group: Group) {
        self.remove(&key);
        for held in group.families.values() {
            let kind = held.family.kind;
            let usage = self.names.entry(held.family.name.clone());
            usage.or_insert(Usage { kind, groups: 0 }).groups += 1;
        }
        self.samples += group.sample_count();
        self.bytes += group.byte_len();
        self.groups.insert(key, group);
    }

    /// Removes a group if it is there.
    pub fn remove(&mut self, key: &GroupKey) -> Option<Group> {
        let group = self.groups.remove(key)?;
        for name in group.families.keys() {
            if let Some(usage) = self.names.get_mut(name) {
                usage.groups -= 1;
                if usage.groups == 0 {
                    self.names.remove(name);
                }
            }
        }
        self.samples -= group.sample_count();
        self.bytes -= group.byte_len();
        Some(group)
    }

    /// The type of a metric name in all groups but this one; `None` when it is in none.
    pub(super) fn kind_elsewhere(&self, key: &GroupKey, name: &str) -> Option<MetricType> {
        if matches!(name, PUSH_TIME | PUSH_FAILURE_TIME) {
            return Some(MetricType::Gauge);
        }
        let usage = self.names.get(name)?;
        let own = self.groups.get(key).is_some_and(|group| group.families.contains_key(name));
        (usage.groups > usize::from(own)).then_some(usage.kind)
    }
}
