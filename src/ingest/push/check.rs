//! What a push may not say: the consistency that a scrape of all groups needs.
//!
//! Source: prometheus/client_golang, prometheus/registry.go (checkMetricConsistency,
//! checkSuffixCollisions), which the Pushgateway asks. Labels that only differ in empty ones are
//! one series here, as they are to who scrapes.

use super::super::limits::SafetyLimits;
use super::family::PushedFamily;
use super::groups::{Group, Groups};
use super::key::GroupKey;
use super::{PUSH_FAILURE_TIME, PUSH_TIME};
use crate::model::{Labels, METRIC_NAME, MetricType, value_text};
use std::collections::HashSet;

/// Families with the labels of the group on each metric: those of the path win. The group's own
/// gauges are left out, which upstream overwrites.
pub(super) fn placed(
    key: &GroupKey,
    families: Vec<PushedFamily>,
    safety: &SafetyLimits,
) -> Result<Vec<PushedFamily>, String> {
    check_key(key, safety)?;
    let mut out: Vec<PushedFamily> = Vec::with_capacity(families.len());
    let mut names = HashSet::new();
    for mut family in families {
        if matches!(family.name.as_str(), PUSH_TIME | PUSH_FAILURE_TIME) {
            continue;
        }
        let name = value_text::quoted(&family.name);
        if is_reserved(&family.name) {
            return Err(format!("the metric name {name} is reserved; push it under another name"));
        }
        if !names.insert(family.name.clone()) {
            return Err(format!("the metric {name} is there twice"));
        }
        for metric in &mut family.metrics {
            let mut labels = metric.labels.to_builder();
            for (name, value) in key.iter() {
                labels.set(name, value);
            }
            metric.labels = labels.build();
            check_labels(&family.name, &metric.labels, safety)?;
        }
        out.push(family);
    }
    Ok(out)
}

/// Names that the server writes itself.
fn is_reserved(name: &str) -> bool {
    matches!(name, "up" | "ALERTS" | "ALERTS_FOR_STATE")
        || name.starts_with("scrape_")
        || name.starts_with("watchbell_")
}

/// The labels that every series of a group has, checked against the limits of a scrape.
pub(super) fn check_key(key: &GroupKey, safety: &SafetyLimits) -> Result<(), String> {
    check_labels(PUSH_FAILURE_TIME, &key.labels(), safety)
}

/// A label over a limit would fail the scrape of all groups. The name and one label more, as
/// buckets have it, count too.
fn check_labels(metric: &str, labels: &Labels, safety: &SafetyLimits) -> Result<(), String> {
    let shown: String = metric.chars().take(50).collect();
    let count = labels.len() + 2;
    if count > safety.labels_max {
        let max = safety.labels_max;
        return Err(format!("{shown} has {count} labels; at most {max} are taken"));
    }
    for (name, value) in labels.iter().chain([(METRIC_NAME, metric)]) {
        let is_long =
            name.len() > safety.label_name_bytes_max || value.len() > safety.label_value_bytes_max;
        if is_long {
            let name: String = name.chars().take(50).collect();
            return Err(format!("label {name:?} of {shown}, or its value, is too long"));
        }
    }
    Ok(())
}

/// Checks the families of these names in `group`, as it would be.
pub(super) fn check(
    groups: &Groups,
    key: &GroupKey,
    group: &Group,
    names: &[String],
) -> Result<(), String> {
    let rivals: Vec<(&GroupKey, &Group)> =
        groups.iter().filter(|(other, _)| *other != key && !other.is_disjoint(key)).collect();
    // Two keys of the same labels but for empty ones: their own gauges would be the same series.
    let labels = key.labels();
    if let Some((other, _)) = rivals.iter().find(|(other, _)| other.labels() == labels) {
        return Err(format!(
            "the group {} has the same series; empty labels make no difference",
            shown(other)
        ));
    }
    for name in names {
        let Some(held) = group.families.get(name) else { continue };
        let family = held.family.as_ref();
        check_kind(groups, key, family)?;
        check_suffixes(groups, key, group, family)?;
        check_twice(family, &rivals)?;
    }
    Ok(())
}

fn check_kind(groups: &Groups, key: &GroupKey, family: &PushedFamily) -> Result<(), String> {
    match groups.kind_elsewhere(key, &family.name) {
        Some(kind) if kind != family.kind => Err(format!(
            "collected metric {} is a {}, and in another group a {}",
            value_text::quoted(&family.name),
            type_word(family.kind),
            type_word(kind)
        )),
        Some(_) | None => Ok(()),
    }
}

/// `x_count` beside the summary `x`, or the other way round, in any group.
fn check_suffixes(
    groups: &Groups,
    key: &GroupKey,
    group: &Group,
    family: &PushedFamily,
) -> Result<(), String> {
    let kind_of = |name: &str| {
        let own = group.families.get(name).map(|held| held.family.kind);
        own.or_else(|| groups.kind_elsewhere(key, name))
    };
    let collides = |name: &str, base: &str, kind: MetricType| {
        Err(format!(
            "collected metric named {} collides with the {} named {}",
            value_text::quoted(name),
            kind.as_str(),
            value_text::quoted(base)
        ))
    };
    for suffix in ["_count", "_sum", "_bucket"] {
        let spreads = |kind: MetricType| match kind {
            MetricType::Histogram => true,
            MetricType::Summary => suffix != "_bucket",
            _single => false,
        };
        if spreads(family.kind) {
            let name = format!("{}{suffix}", family.name);
            if kind_of(&name).is_some() {
                return collides(&name, &family.name, family.kind);
            }
        }
        if let Some(base) = family.name.strip_suffix(suffix)
            && let Some(kind) = kind_of(base).filter(|kind| spreads(*kind))
        {
            return collides(&family.name, base, kind);
        }
    }
    Ok(())
}

/// The same series twice, in the push or in another group.
fn check_twice(family: &PushedFamily, rivals: &[(&GroupKey, &Group)]) -> Result<(), String> {
    let twice = |labels: &Labels| {
        Err(format!(
            "collected metric {} {labels} was collected before with the same name and label values",
            value_text::quoted(&family.name)
        ))
    };
    let mut seen: HashSet<&Labels> = HashSet::with_capacity(family.metrics.len());
    for metric in &family.metrics {
        if !seen.insert(&metric.labels) {
            return twice(&metric.labels);
        }
    }
    let theirs = rivals.iter().filter_map(|(_, group)| group.families.get(&family.name));
    for metric in theirs.flat_map(|held| &held.family.metrics) {
        if seen.contains(&metric.labels) {
            return twice(&metric.labels);
        }
    }
    Ok(())
}

fn shown(key: &GroupKey) -> String {
    let pair = |(name, value)| format!("{name}={}", value_text::quoted(value));
    let pairs: Vec<String> = key.iter().map(pair).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// The word of a type where the Pushgateway shows one.
pub const fn type_word(kind: MetricType) -> &'static str {
    match kind {
        MetricType::Counter => "COUNTER",
        MetricType::Gauge => "GAUGE",
        MetricType::Histogram => "HISTOGRAM",
        MetricType::Summary => "SUMMARY",
        MetricType::GaugeHistogram
        | MetricType::Info
        | MetricType::StateSet
        | MetricType::Unknown => "UNTYPED",
    }
}
