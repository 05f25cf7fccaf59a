//! The way of a label set through the routing tree.

use crate::alerts;
use crate::wire::{OpenGroup, RouteFinal, RouteMiss, RouteStep, RouteTest};

/// The engine's answer in the wire's form.
pub fn route_test(test: &alerts::RouteTest) -> RouteTest {
    let step = |one: &alerts::RouteStep| RouteStep {
        path: one.path.clone(),
        depth: one.depth,
        matchers: one.matchers.clone(),
        matched: one.matched,
        closest_miss: one
            .miss
            .as_ref()
            .map(|miss| RouteMiss { matcher: miss.matcher.clone(), found: miss.found.clone() }),
        continues: one.continues,
    };
    let last = |one: &alerts::RouteFinal| RouteFinal {
        route: one.route.clone(),
        receiver: one.receiver.clone(),
        integrations: one.integrations.clone(),
        group_labels: one.group_labels.clone(),
        group_key: one.group_key.to_string(),
        group_wait_seconds: one.group_wait.as_secs_f64(),
        group_interval_seconds: one.group_interval.as_secs_f64(),
        repeat_interval_seconds: one.repeat_interval.as_secs_f64(),
        muted_by: one.muted_by.clone(),
        group: one
            .group
            .as_ref()
            .map(|group| OpenGroup { members: group.members, next_flush: Some(group.next_flush) }),
    };
    RouteTest {
        nodes: test.nodes.iter().map(step).collect(),
        finals: test.finals.iter().map(last).collect(),
        silenced_by: test.silenced_by.iter().map(ToString::to_string).collect(),
        inhibited_by: test.inhibited_by.iter().map(ToString::to_string).collect(),
    }
}
