//! What would be: the way of a label set through the routing tree, and the alerts of now grouped
//! otherwise. Nothing here changes anything.

use super::config::Config;
use super::drill;
use super::engine::{Engine, Moment};
use super::group::{GroupId, label_set_order};
use super::route::{GroupBy, Route};
use super::view::next_flush;
use crate::model::{Fingerprint, GroupKey, Labels, SilenceId, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The matcher for which a route was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteMiss {
    /// The matcher.
    pub matcher: String,
    /// What the label holds.
    pub found: String,
}

/// A route that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteStep {
    /// Matchers from the root down.
    pub path: String,
    /// How many routes are above it.
    pub depth: usize,
    /// Its own matchers.
    pub matchers: String,
    /// Whether they match.
    pub matched: bool,
    /// The first of them that does not.
    pub miss: Option<RouteMiss>,
    /// Whether later siblings are tried too.
    pub continues: bool,
}

/// A group that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenGroup {
    /// How many alerts are in it.
    pub members: usize,
    /// When it is looked at next.
    pub next_flush: Timestamp,
}

/// A route that takes the alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteFinal {
    /// Matchers from the root down.
    pub route: String,
    /// Who is told.
    pub receiver: String,
    /// By what, as `webhook[0]`.
    pub integrations: Vec<String>,
    /// What the alert's group shares.
    pub group_labels: Labels,
    /// The group's key.
    pub group_key: GroupKey,
    /// How long a new group waits.
    pub group_wait: Duration,
    /// Time between looks at the group.
    pub group_interval: Duration,
    /// When an unchanged notification is repeated.
    pub repeat_interval: Duration,
    /// Time intervals that keep the route quiet at that time.
    pub muted_by: Vec<String>,
    /// The group, when there is one.
    pub group: Option<OpenGroup>,
}

/// The way of a label set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteTest {
    /// Routes in the order in which they were looked at.
    pub nodes: Vec<RouteStep>,
    /// Those that take it.
    pub finals: Vec<RouteFinal>,
    /// Silences that act on it at that time.
    pub silenced_by: Vec<SilenceId>,
    /// An alert that inhibits it now.
    pub inhibited_by: Option<Fingerprint>,
}

/// The firing alerts, grouped as they are and as they would be; the largest group first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupingPreview {
    /// As they are.
    pub before: Vec<(Labels, Vec<Fingerprint>)>,
    /// As they would be.
    pub after: Vec<(Labels, Vec<Fingerprint>)>,
}

impl Config {
    /// Where an alert with these labels would go at `at`, as far as the configuration alone says
    /// it: groups, silences and what inhibits it are left out.
    pub fn route_test(&self, labels: &Labels, at: Timestamp) -> RouteTest {
        let mut nodes = Vec::new();
        look(&self.route, labels, 0, &mut nodes);
        let routes = self.route.matching(labels).into_iter();
        RouteTest {
            nodes,
            finals: routes.map(|route| self.route_final(route, labels, at)).collect(),
            ..RouteTest::default()
        }
    }

    fn route_final(&self, route: &Route, labels: &Labels, at: Timestamp) -> RouteFinal {
        let group_labels = route.group_labels(labels);
        let plans = self.receiver(&route.receiver).map(|plan| &plan.integrations);
        let plans = plans.into_iter().flatten();
        RouteFinal {
            route: route.key.to_string(),
            receiver: route.receiver.clone(),
            integrations: plans.map(|plan| format!("{}[{}]", plan.kind, plan.index)).collect(),
            group_key: GroupKey::new(&route.key, &group_labels),
            group_labels,
            group_wait: route.group_wait,
            group_interval: route.group_interval,
            repeat_interval: route.repeat_interval,
            muted_by: self.quiet_by(route, at),
            group: None,
        }
    }
}

impl Engine {
    /// Where an alert with these labels would go at `at`, which decides about time intervals and
    /// silences; what inhibits it and which groups there are is as of `now`.
    pub fn route_test(&self, labels: &Labels, at: Timestamp, now: Moment) -> RouteTest {
        let mut test = self.config.route_test(labels, at);
        for (one, route) in test.finals.iter_mut().zip(self.config.route.matching(labels)) {
            let id = GroupId { route: route.id.clone(), labels: one.group_labels.clone() };
            one.group = self.groups.get(&id).map(|group| OpenGroup {
                members: group.members.len(),
                next_flush: next_flush(group, now),
            });
        }
        test.silenced_by = self.silences.acting_on(labels, at, &self.config).cloned().collect();
        test.inhibited_by = self.inhibited_by(labels, now);
        test
    }

    /// What the firing alerts of a route, named by its path, or of all routes would be grouped
    /// into by `by`.
    pub fn grouping_preview(
        &self,
        route: Option<&str>,
        by: &GroupBy,
        now: Moment,
    ) -> GroupingPreview {
        type Groups = BTreeMap<(Arc<str>, Labels), Vec<Fingerprint>>;
        let (mut before, mut after) = (Groups::new(), Groups::new());
        for (print, held) in self.alerts.iter() {
            let labels = &held.alert.labels;
            if !self.alerts.is_firing(*print, now) || drill::is_one(labels) {
                continue;
            }
            for one in self.config.route.matching(labels) {
                if route.is_some_and(|wanted| *wanted != *one.key && *wanted != *one.id) {
                    continue;
                }
                let key = |by: &GroupBy| (one.id.clone(), by.group_labels(labels));
                before.entry(key(&one.group_by)).or_default().push(*print);
                after.entry(key(by)).or_default().push(*print);
            }
        }
        let sorted = |groups: Groups| {
            let mut all: Vec<_> =
                groups.into_iter().map(|((_, labels), prints)| (labels, prints)).collect();
            all.sort_by(|(a, of_a), (b, of_b)| {
                of_b.len().cmp(&of_a.len()).then_with(|| label_set_order(a, b))
            });
            all
        };
        GroupingPreview { before: sorted(before), after: sorted(after) }
    }
}

/// Adds the routes that are looked at, as `Route::matching` does it; returns whether this one
/// matches.
fn look(route: &Route, labels: &Labels, depth: usize, nodes: &mut Vec<RouteStep>) -> bool {
    let matchers: Vec<_> = route.matchers.iter().map(ToString::to_string).collect();
    let miss = route.matchers.iter().find(|matcher| !matcher.matches(labels));
    let matched = miss.is_none();
    nodes.push(RouteStep {
        path: route.key.to_string(),
        depth,
        matchers: format!("{{{}}}", matchers.join(",")),
        matched,
        miss: miss.map(|matcher| RouteMiss {
            matcher: matcher.to_string(),
            found: labels.value_of(matcher.name()).to_owned(),
        }),
        continues: route.continues,
    });
    if matched {
        for child in &route.routes {
            if look(child, labels, depth + 1, nodes) && !child.continues {
                break;
            }
        }
    }
    matched
}
