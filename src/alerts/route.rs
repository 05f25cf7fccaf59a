//! The routing tree: which receivers an alert goes to, and how its groups are keyed and timed.
//!
//! Source: prometheus/alertmanager, dispatch/route.go.

use super::inhibit::DRILL_LABEL;
use crate::model::{Labels, Matcher};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// What alerts are grouped by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Every label: each alert is its own group.
    All,
    /// These labels; those that an alert lacks are absent from its group's labels.
    Labels(BTreeSet<String>),
}

impl GroupBy {
    /// The labels of the group in which an alert with these labels is.
    pub fn group_labels(&self, alert: &Labels) -> Labels {
        match self {
            Self::All => alert.clone(),
            Self::Labels(names) => alert.filtered(|name| names.contains(name)),
        }
    }
}

/// One node of the tree, with everything inherited.
#[derive(Clone, Debug)]
pub struct Route {
    /// Matchers from the root down to here; not unique among siblings.
    pub key: Arc<str>,
    /// As `key`, with the place among the siblings: unique.
    pub id: Arc<str>,
    /// All must match, and those of the parents before.
    pub matchers: Vec<Matcher>,
    /// Who is told.
    pub receiver: String,
    /// What alerts are grouped by.
    pub group_by: GroupBy,
    /// How long a new group waits for more alerts.
    pub group_wait: Duration,
    /// Time between two looks at a group.
    pub group_interval: Duration,
    /// When an unchanged notification is sent again.
    pub repeat_interval: Duration,
    /// Whether siblings behind this one are tried although it matched.
    pub continues: bool,
    /// Intervals in which nothing is sent; not inherited.
    pub mute_intervals: Vec<String>,
    /// Intervals outside of which nothing is sent; not inherited.
    pub active_intervals: Vec<String>,
    /// Labels of the route, as templates; inherited and merged.
    pub labels: Vec<(String, String)>,
    /// Tried in order.
    pub routes: Vec<Route>,
}

impl Route {
    /// The labels of the group in which an alert with these labels is. That of a fire drill shares
    /// its group with no other: nobody is to take real alerts for a part of the drill.
    pub fn group_labels(&self, alert: &Labels) -> Labels {
        let labels = self.group_by.group_labels(alert);
        match alert.get(DRILL_LABEL) {
            None => labels,
            Some(id) => {
                let mut labels = labels.to_builder();
                labels.set(DRILL_LABEL, id);
                labels.build()
            }
        }
    }

    /// The nodes that take an alert with these labels, depth first. Never empty for a root
    /// without matchers.
    pub fn matching<'a>(&'a self, labels: &Labels) -> Vec<&'a Route> {
        let mut found = Vec::new();
        self.collect(labels, &mut found);
        found
    }

    /// The node with this identity.
    pub fn find(&self, id: &str) -> Option<&Route> {
        if &*self.id == id {
            return Some(self);
        }
        self.routes.iter().find_map(|route| route.find(id))
    }

    /// Calls `visit` for this node and all below it, parents first.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Route)) {
        visit(self);
        for route in &self.routes {
            route.walk(visit);
        }
    }

    /// Whether this node matches; then it or its descendants are in `found`.
    fn collect<'a>(&'a self, labels: &Labels, found: &mut Vec<&'a Route>) -> bool {
        if !self.matchers.iter().all(|matcher| matcher.matches(labels)) {
            return false;
        }
        let before = found.len();
        for route in &self.routes {
            if route.collect(labels, found) && !route.continues {
                break;
            }
        }
        if found.len() == before {
            found.push(self);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::alerts::testing::{config, labels};

    const TREE: &str = "
route:
  receiver: root
  group_by: [alertname]
  routes:
  - matchers: ['team=\"x\"']
    receiver: x
    continue: true
    routes:
    - {matchers: ['sev=~\"a|b\"'], receiver: xa, group_by: []}
  - {match: {team: x}, match_re: {sev: 'a.*'}, receiver: old}
  - {matchers: ['team=\"x\"'], receiver: second, group_by: ['...']}
  - {matchers: ['team=\"x\"'], receiver: never}
";

    #[track_caller]
    fn check(alert: &[(&str, &str)], expected: &[(&str, &str)]) {
        let config = config(TREE);
        let alert = labels(alert);
        let found: Vec<_> = config
            .route
            .matching(&alert)
            .into_iter()
            .map(|route| {
                (
                    route.receiver.clone(),
                    format!("{}:{}", route.key, route.group_by.group_labels(&alert)),
                )
            })
            .collect();
        let found: Vec<_> = found.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn t30_depth_first_and_the_first_match_without_continue_ends_it() {
        check(&[("alertname", "A")], &[("root", r#"{}:{alertname="A"}"#)]);
        // A parent that matched does not receive what a child took, even with `continue`.
        check(
            &[("alertname", "A"), ("team", "x"), ("sev", "a")],
            &[
                ("xa", r#"{}/{team="x"}/{sev=~"a|b"}:{}"#),
                ("old", r#"{}/{sev=~"^(?:a.*)$",team="x"}:{alertname="A"}"#),
            ],
        );
        check(
            &[("alertname", "A"), ("team", "x")],
            &[
                ("x", r#"{}/{team="x"}:{alertname="A"}"#),
                ("second", r#"{}/{team="x"}:{alertname="A", team="x"}"#),
            ],
        );
    }

    #[test]
    fn t31_an_absent_label_is_absent_from_the_key_and_siblings_differ_by_place() {
        check(&[("a", "1")], &[("root", "{}:{}")]);
        let config = config(TREE);
        let mut ids = Vec::new();
        config.route.walk(&mut |route| ids.push(route.id.to_string()));
        assert_eq!(
            ids,
            [
                "{}",
                r#"{}/{team="x"}/0"#,
                r#"{}/{team="x"}/0/{sev=~"a|b"}/0"#,
                r#"{}/{sev=~"^(?:a.*)$",team="x"}/1"#,
                r#"{}/{team="x"}/2"#,
                r#"{}/{team="x"}/3"#,
            ]
        );
    }

    #[test]
    fn t31_an_empty_group_by_overrides_and_an_absent_one_inherits() {
        let config = config(TREE);
        let by: Vec<_> = config
            .route
            .matching(&labels(&[("alertname", "A"), ("team", "x"), ("sev", "a")]))
            .into_iter()
            .map(|route| route.group_by.group_labels(&labels(&[("alertname", "A")])).len())
            .collect();
        assert_eq!(by, [0, 1]);
    }
}
