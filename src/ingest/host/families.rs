//! Families as collectors fill them.

use crate::model::{Labels, MetricType};
use crate::sys::metrics::{Family, FamilySample};
use std::collections::BTreeMap;

/// Families by name; the first collector that names one says what it means.
#[derive(Debug, Default)]
pub(super) struct Families(BTreeMap<String, Family>);

impl Families {
    /// Adds a sample of something that only grows.
    pub(super) fn counter(
        &mut self,
        name: &str,
        help: &'static str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        self.add(name, help, MetricType::Counter, labels, value);
    }

    /// Adds a sample of something that goes up and down.
    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &'static str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        self.add(name, help, MetricType::Gauge, labels, value);
    }

    /// Adds a sample of a kernel field that may be either.
    pub(super) fn unknown(&mut self, name: &str, help: &'static str, value: f64) {
        self.add(name, help, MetricType::Unknown, &[], value);
    }

    /// Adds a sample of a metric of this type.
    pub(super) fn add(
        &mut self,
        name: &str,
        help: &'static str,
        kind: MetricType,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        let labels = Labels::from_pairs(labels.iter().copied());
        let sample = FamilySample { suffix: "", labels, value };
        match self.0.get_mut(name) {
            Some(family) => family.samples.push(sample),
            None => {
                let name = name.to_owned();
                let family =
                    Family { name: name.clone(), help: help.into(), kind, samples: vec![sample] };
                self.0.insert(name, family);
            }
        }
    }

    /// All families by name, each with its samples by labels.
    pub(super) fn into_vec(self) -> Vec<Family> {
        let mut families: Vec<Family> = self.0.into_values().collect();
        for family in &mut families {
            family.samples.sort_by(|a, b| a.labels.cmp(&b.labels));
            // The kernel may list a thing twice; a scrape may not.
            family.samples.dedup_by(|a, b| a.labels == b.labels);
        }
        families
    }
}
