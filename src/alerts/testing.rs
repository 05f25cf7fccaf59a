//! What the tests of this module share.

use super::config::{Config, Options, RouteSettings, Settings};
use super::notification::{IntegrationPlan, ReceiverPlan};
use crate::model::Labels;

/// A label set.
pub(super) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

/// A receiver with one web hook.
pub(super) fn plan(name: &str) -> ReceiverPlan {
    let hook = IntegrationPlan { kind: "webhook".to_owned(), index: 0, send_resolved: true };
    ReceiverPlan { name: name.to_owned(), labels: Labels::empty(), integrations: vec![hook] }
}

/// The checked configuration of this text; every receiver that it names has one web hook.
#[track_caller]
pub(super) fn config(yaml: &str) -> Config {
    let settings: Settings = serde_yaml::from_str(yaml).expect("reads");
    let mut receivers = Vec::new();
    collect_names(settings.route.as_ref().expect("a route"), &mut receivers);
    receivers.sort();
    receivers.dedup();
    let plans: Vec<_> = receivers.iter().map(|name| plan(name)).collect();
    settings.check(&plans, &Options::default()).expect("valid")
}

fn collect_names(route: &RouteSettings, names: &mut Vec<String>) {
    if !route.receiver.is_empty() {
        names.push(route.receiver.clone());
    }
    for child in &route.routes {
        collect_names(child, names);
    }
}
