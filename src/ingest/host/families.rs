//! Families as collectors fill them.

use crate::model::{Labels, MetricType};
use crate::sys::metrics::{Family, FamilySample};
use std::borrow::Cow;
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
        self.push(name, || help.into(), kind, FamilySample { suffix: "", labels, value });
    }

    /// Adds a sample that a file tells, with what follows the family's name.
    pub(super) fn add_read(
        &mut self,
        name: &str,
        help: impl FnOnce() -> String,
        kind: MetricType,
        suffix: &'static str,
        labels: Labels,
        value: f64,
    ) {
        self.push(name, || help().into(), kind, FamilySample { suffix, labels, value });
    }

    fn push(
        &mut self,
        name: &str,
        help: impl FnOnce() -> Cow<'static, str>,
        kind: MetricType,
        sample: FamilySample,
    ) {
        match self.0.get_mut(name) {
            Some(family) => family.samples.push(sample),
            None => {
                let (name, help) = (name.to_owned(), help());
                let family = Family { name: name.clone(), help, kind, samples: vec![sample] };
                self.0.insert(name, family);
            }
        }
    }

    /// All families by name, each with its samples by labels.
    pub(super) fn into_vec(self) -> Vec<Family> {
        let mut families: Vec<Family> = self.0.into_values().collect();
        for family in &mut families {
            let order = |a: &FamilySample, b: &FamilySample| {
                a.labels.cmp(&b.labels).then(a.suffix.cmp(b.suffix))
            };
            family.samples.sort_by(order);
            // The kernel may list a thing twice; a scrape may not.
            family.samples.dedup_by(|a, b| order(a, b).is_eq());
        }
        families
    }
}
