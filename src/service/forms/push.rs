//! Pushed groups in the Pushgateway's form.

use crate::ingest::push::{
    Group, GroupKey, PUSH_FAILURE_TIME, PUSH_FAILURE_TIME_HELP, PUSH_TIME, PUSH_TIME_HELP,
    PushedFamily, PushedMetric, PushedValue, type_word,
};
use crate::model::value_text::go_default;
use crate::model::{Labels, MetricType, Timestamp};
use crate::wire::{PushFamily, PushField, PushGroup, PushMetric};
use std::collections::BTreeMap;

/// One group, with the gauges that each has.
pub(in crate::service) fn push_group(key: &GroupKey, group: &Group) -> PushGroup {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let mut fields = BTreeMap::from([
        ("labels".to_owned(), PushField::Labels(key.iter().map(owned).collect())),
        ("last_push_successful".to_owned(), PushField::Flag(group.is_last_push_successful())),
    ]);
    let own = [
        (PUSH_TIME, PUSH_TIME_HELP, group.pushed_at),
        (PUSH_FAILURE_TIME, PUSH_FAILURE_TIME_HELP, group.failed_at),
    ];
    for (name, help, at) in own {
        let value = PushedValue::Single(at.map_or(0.0, Timestamp::as_seconds));
        let metrics = vec![PushedMetric { labels: key.labels(), value }];
        let (name, help) = (name.to_owned(), help.to_owned());
        let family = PushedFamily { name, help, kind: MetricType::Gauge, metrics };
        let form = push_family(key, at.unwrap_or(group.created_at), &family);
        fields.insert(family.name, PushField::Family(form));
    }
    for held in group.families.values() {
        let form = push_family(key, held.at, &held.family);
        fields.insert(held.family.name.clone(), PushField::Family(form));
    }
    PushGroup(fields)
}

fn push_family(key: &GroupKey, at: Timestamp, family: &PushedFamily) -> PushFamily {
    let kind = type_word(family.kind);
    PushFamily {
        time_stamp: at,
        kind: kind.to_owned(),
        help: family.help.clone(),
        metrics: family.metrics.iter().map(|metric| push_metric(key, metric)).collect(),
    }
}

fn push_metric(key: &GroupKey, metric: &PushedMetric) -> PushMetric {
    let mut form = PushMetric { labels: all_labels(key, &metric.labels), ..PushMetric::default() };
    let by_bound = |bounds: &[(f64, f64)], text: fn(f64) -> String| {
        bounds.iter().map(|(bound, value)| (go_default(*bound), text(*value))).collect()
    };
    match &metric.value {
        PushedValue::Single(value) => form.value = Some(go_default(*value)),
        PushedValue::Histogram { buckets, sum, count } => {
            form.buckets = Some(by_bound(buckets, whole));
            (form.sum, form.count) = (Some(go_default(*sum)), Some(whole(*count)));
        }
        PushedValue::Summary { quantiles, sum, count } => {
            form.quantiles = Some(by_bound(quantiles, go_default));
            (form.sum, form.count) = (Some(go_default(*sum)), Some(whole(*count)));
        }
    }
    form
}

/// A count as an integer prints.
fn whole(count: f64) -> String {
    format!("{count:.0}")
}

/// The labels with the empty ones that the Pushgateway shows: those of the group, and `instance`.
fn all_labels(key: &GroupKey, labels: &Labels) -> BTreeMap<String, String> {
    let empty = key.iter().filter(|(_, value)| value.is_empty()).chain([("instance", "")]);
    let all = empty.chain(labels.iter());
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
