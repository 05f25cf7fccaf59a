//! Groups: alerts that are told together, and when the next look at them is due.
//!
//! Source: prometheus/alertmanager, dispatch/dispatch.go.

use super::engine::Moment;
use super::route::Route;
use crate::model::{Alert, Fingerprint, GroupKey, Labels};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A group's identity, which outlives a reload that leaves its route as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupId {
    /// The route's identity.
    pub(super) route: Arc<str>,
    /// The group's labels.
    pub(super) labels: Labels,
}

/// Alerts that share a route and its group labels.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// For the log and the payloads.
    pub(super) key: GroupKey,
    /// Who is told.
    pub(super) receiver: String,
    /// Its alerts, resolved ones until their end has been told.
    pub(super) members: BTreeSet<Fingerprint>,
    /// When it is looked at next, in elapsed time.
    pub(super) next_flush: Duration,
    /// Intervals that kept it quiet at the last look.
    pub(super) muted: Vec<String>,
    /// Those that flapped at the last look.
    pub(super) flapping: BTreeSet<Fingerprint>,
    /// Whether it is of a fire drill that does not wait: it is looked at all the time.
    pub(super) hurried: bool,
}

/// Time between looks at a group that does not wait.
const HURRIED_INTERVAL: Duration = Duration::from_secs(1);

impl Group {
    /// A group made by its first alert: it waits for more, unless the alert has waited enough.
    pub(super) fn new(route: &Route, labels: &Labels, first: &Alert, now: Moment) -> Self {
        let waited = first.starts_at.plus(route.group_wait) < now.wall;
        let wait = if waited { Duration::ZERO } else { route.group_wait };
        Self {
            key: GroupKey::new(&route.key, labels),
            receiver: route.receiver.clone(),
            members: BTreeSet::new(),
            next_flush: now.elapsed.saturating_add(wait),
            muted: Vec::new(),
            flapping: BTreeSet::new(),
            hurried: false,
        }
    }

    /// Looks at it at once, and then all the time.
    pub(super) fn hurry(&mut self, now: Moment) {
        self.hurried = true;
        self.next_flush = now.elapsed;
    }

    /// Time until the next look.
    pub(super) const fn interval(&self, route: &Route) -> Duration {
        if self.hurried { HURRIED_INTERVAL } else { route.group_interval }
    }
}

/// The order of alerts in a payload: by `job`, by `instance` (those without come last), then
/// smaller label sets first, then label by label.
pub(super) fn payload_order(a: &Labels, b: &Labels) -> Ordering {
    for name in ["job", "instance"] {
        let order = match (a.get(name), b.get(name)) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => a.cmp(b),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    label_set_order(a, b)
}

/// Go's `LabelSet.Before` as an order: size, then the first label in which they differ; a set
/// that lacks the smaller name comes first.
pub(super) fn label_set_order(a: &Labels, b: &Labels) -> Ordering {
    let by_size = a.len().cmp(&b.len());
    let by_label = || {
        a.iter().zip(b.iter()).map(|((a_name, a_value), (b_name, b_value))| {
            b_name.cmp(a_name).then_with(|| a_value.cmp(b_value))
        })
    };
    by_size.then_with(|| by_label().find(|order| order.is_ne()).unwrap_or(Ordering::Equal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::testing::labels;

    #[test]
    fn alerts_of_a_payload_are_in_alertmanagers_order() {
        let mut sets = [
            labels(&[("a", "1"), ("b", "1")]),
            labels(&[("a", "2")]),
            labels(&[("b", "1")]),
            labels(&[("instance", "y"), ("job", "x")]),
            labels(&[("job", "x")]),
            labels(&[("a", "1")]),
        ];
        sets.sort_by(payload_order);
        let shown: Vec<_> = sets.iter().map(Labels::to_string).collect();
        assert_eq!(
            shown,
            [
                r#"{instance="y", job="x"}"#,
                r#"{job="x"}"#,
                r#"{b="1"}"#,
                r#"{a="1"}"#,
                r#"{a="2"}"#,
                r#"{a="1", b="1"}"#,
            ]
        );
    }
}
