//! The notification log: what each receiver was last told about each group, and whether it has to
//! be told again.
//!
//! Source: prometheus/alertmanager, nflog/nflog.go, notify/dedup_stage.go.

use super::engine::Moment;
use super::held::Uptime;
use super::notification::{IntegrationId, Reason};
use crate::model::{Fingerprint, GroupKey, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An entry that is over but needed is looked at again after this long.
const NEEDED_AGAIN: Duration = Duration::from_secs(60);

/// Whom an entry is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LogKey {
    /// The group.
    pub(super) group: GroupKey,
    /// The integration that was told.
    pub(super) integration: IntegrationId,
}

/// The last notification that arrived.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LogEntry {
    /// Alerts that it called firing.
    pub(super) firing: BTreeSet<Fingerprint>,
    /// Alerts that it called resolved.
    pub(super) resolved: BTreeSet<Fingerprint>,
    /// When it had arrived.
    pub(super) sent_at: Timestamp,
    /// The same on the clock that never jumps. After a restart as the wall clock had it then.
    pub(super) sent: Uptime,
    /// How long after that the entry is forgotten.
    pub(super) kept: Duration,
    /// What the integration left behind for its next notification.
    pub(super) data: BTreeMap<String, String>,
}

impl LogEntry {
    /// Whether more than `repeat` has passed since it was sent.
    fn is_older_than(&self, repeat: Duration, now: Moment) -> bool {
        Uptime::of(now).since(self.sent) > repeat
    }

    fn expires(&self) -> Uptime {
        self.sent.plus(self.kept)
    }
}

/// Why a notification is due; `None` when it is not.
pub(super) fn due(
    entry: Option<&LogEntry>,
    firing: &BTreeSet<Fingerprint>,
    resolved: &BTreeSet<Fingerprint>,
    send_resolved: bool,
    repeat: Duration,
    now: Moment,
) -> Option<Reason> {
    let Some(entry) = entry else {
        return (!firing.is_empty()).then_some(Reason::First);
    };
    if !firing.is_subset(&entry.firing) {
        return Some(if entry.firing.is_empty() { Reason::First } else { Reason::NewAlerts });
    }
    if firing.is_empty() {
        // Also without `send_resolved`: the entry must forget them, or the next firing would be
        // taken for a repeat.
        return (!entry.firing.is_empty()).then_some(Reason::AllResolved);
    }
    if send_resolved && !resolved.is_subset(&entry.resolved) {
        return Some(Reason::SomeResolved);
    }
    entry.is_older_than(repeat, now).then_some(Reason::Repeat)
}

/// All entries.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: BTreeMap<LogKey, LogEntry>,
    /// Nothing expires before; `None` when there is nothing.
    look_at: Option<Uptime>,
    /// How often it was gone through for what has expired.
    maintained: usize,
}

impl Log {
    pub(super) fn get(&self, key: &LogKey) -> Option<&LogEntry> {
        self.entries.get(key)
    }

    pub(super) fn set(&mut self, key: LogKey, entry: LogEntry) {
        let expires = entry.expires();
        self.look_at = Some(self.look_at.map_or(expires, |at| at.min(expires)));
        self.entries.insert(key, entry);
    }

    /// All alerts that somebody was told of as firing, and not of their end.
    pub(super) fn firing(&self) -> BTreeSet<Fingerprint> {
        self.entries.values().flat_map(|entry| entry.firing.iter().copied()).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&LogKey, &LogEntry)> {
        self.entries.iter()
    }

    pub(super) fn maintained(&self) -> usize {
        self.maintained
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Forgets what has expired and is not `needed`, and says what that was.
    pub(super) fn expire(
        &mut self,
        now: Moment,
        needed: impl Fn(&LogEntry) -> bool,
    ) -> Vec<LogKey> {
        let now = Uptime::of(now);
        if self.look_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.maintained += 1;
        let over = |entry: &LogEntry| entry.expires() <= now && !needed(entry);
        let gone =
            self.entries.extract_if(.., |_, entry| over(entry)).map(|(key, _)| key).collect();
        // What is over and still needed is looked at again later.
        let next = |entry: &LogEntry| entry.expires().max(now.plus(NEEDED_AGAIN));
        self.look_at = self.entries.values().map(next).min();
        gone
    }

    /// When something may expire.
    pub(super) fn next_expiry(&self) -> Option<Uptime> {
        self.look_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(prints: &[u64]) -> BTreeSet<Fingerprint> {
        prints.iter().copied().map(Fingerprint::from_bits).collect()
    }

    #[test]
    fn t34_when_to_tell_again() {
        let at = |seconds: u64| Moment {
            wall: Timestamp::from_millis(i64::try_from(seconds * 1000).expect("small")),
            elapsed: Duration::from_secs(seconds),
        };
        let entry = |firing: &[u64], resolved: &[u64]| LogEntry {
            firing: set(firing),
            resolved: set(resolved),
            sent_at: at(100).wall,
            sent: Uptime::of(at(100)),
            kept: Duration::MAX,
            data: BTreeMap::new(),
        };
        let repeat = Duration::from_secs(60);
        for (name, entry, firing, resolved, send_resolved, now, expected) in [
            ("no entry, firing", None, &[1][..], &[][..], true, 100, Some(Reason::First)),
            ("no entry, resolved only", None, &[], &[1], true, 100, None),
            (
                "a new member",
                Some(entry(&[1], &[])),
                &[1, 2],
                &[],
                true,
                110,
                Some(Reason::NewAlerts),
            ),
            (
                "after all resolved",
                Some(entry(&[], &[1])),
                &[1],
                &[],
                true,
                110,
                Some(Reason::First),
            ),
            (
                "all resolved",
                Some(entry(&[1], &[])),
                &[],
                &[1],
                true,
                110,
                Some(Reason::AllResolved),
            ),
            (
                "all resolved, unsent",
                Some(entry(&[1], &[])),
                &[],
                &[1],
                false,
                110,
                Some(Reason::AllResolved),
            ),
            ("fired and resolved unseen", Some(entry(&[], &[])), &[], &[1], true, 110, None),
            (
                "one resolved",
                Some(entry(&[1, 2], &[])),
                &[1],
                &[2],
                true,
                110,
                Some(Reason::SomeResolved),
            ),
            ("one resolved, unsent", Some(entry(&[1, 2], &[])), &[1], &[2], false, 110, None),
            ("resolved told before", Some(entry(&[1], &[2])), &[1], &[2], true, 110, None),
            ("shrunk", Some(entry(&[1, 2], &[])), &[1], &[], true, 110, None),
            ("repeat not over", Some(entry(&[1], &[])), &[1], &[], true, 160, None),
            ("repeat over", Some(entry(&[1], &[])), &[1], &[], true, 161, Some(Reason::Repeat)),
        ] {
            let found =
                due(entry.as_ref(), &set(firing), &set(resolved), send_resolved, repeat, at(now));
            assert_eq!(found, expected, "{name}");
        }
    }
}
