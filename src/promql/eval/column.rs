//! Columns: one slot a step, and a marker where a series has no value.

use super::Sink;
use crate::model::{Labels, STALE_NAN_BITS};
use crate::promql::Error;
use rustc_hash::FxBuildHasher;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};

/// A slot without a value. Results never have these bits: staleness markers end at the selectors,
/// and arithmetic turns a signaling NaN into a quiet one.
pub(super) const ABSENT: f64 = f64::from_bits(STALE_NAN_BITS);

/// Whether a slot has no value.
pub(super) const fn is_absent(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// One series of an intermediate result.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) labels: Labels,
    /// The name goes at the end of the query; only when removal is delayed.
    pub(super) drop_name: bool,
    /// One slot a step.
    pub(super) values: Vec<f64>,
}

/// The series of an intermediate result, in the order of their making.
pub(super) type Rows = Vec<Row>;

/// A scalar at every step.
#[derive(Clone, Debug)]
pub(super) enum Scalars {
    /// The same at every step.
    Constant(f64),
    /// One value a step.
    PerStep(Vec<f64>),
}

impl Scalars {
    /// The value at a step.
    pub(super) fn at(&self, step: usize) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::PerStep(values) => values.get(step).copied().unwrap_or(f64::NAN),
        }
    }

    pub(super) fn map(self, f: impl Fn(f64) -> f64) -> Self {
        match self {
            Self::Constant(value) => Self::Constant(f(value)),
            Self::PerStep(mut values) => {
                for value in &mut values {
                    *value = f(*value);
                }
                Self::PerStep(values)
            }
        }
    }

    pub(super) fn zip(self, other: &Self, count: usize, f: impl Fn(f64, f64) -> f64) -> Self {
        if let (Self::Constant(a), Self::Constant(b)) = (&self, other) {
            return Self::Constant(f(*a, *b));
        }
        Self::PerStep((0..count).map(|step| f(self.at(step), other.at(step))).collect())
    }

    /// All values that occur, in order of the steps.
    pub(super) fn iter(&self) -> impl Iterator<Item = f64> {
        match self {
            Self::Constant(value) => std::slice::from_ref(value),
            Self::PerStep(values) => values.as_slice(),
        }
        .iter()
        .copied()
    }
}

/// Applies `f` to every value that is there.
pub(super) fn map_present(values: &mut [f64], f: impl Fn(f64) -> f64) {
    for value in values {
        if !is_absent(*value) {
            *value = f(*value);
        }
    }
}

fn is_metadata(name: &str) -> bool {
    matches!(name, "__name__" | "__type__" | "__unit__")
}

/// Whether names from this one on may say something of the metric: those that do, begin so.
fn may_be_metadata(name: &str) -> bool {
    name.as_bytes().first().is_none_or(|first| *first <= b'_')
}

/// Whether labels say of what type or unit a metric is.
pub(super) fn tells_type(labels: &Labels) -> bool {
    let names = labels.iter().map(|(name, _)| name);
    names
        .take_while(|name| may_be_metadata(name))
        .any(|name| matches!(name, "__type__" | "__unit__"))
}

/// Labels that are hashed as if they had no name and nothing said of the metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct LabelsWithoutMetadata<'a>(pub(super) &'a Labels);

impl Hash for LabelsWithoutMetadata<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut labels = self.0.iter();
        loop {
            let ahead = labels.as_text();
            match labels.next() {
                Some((name, _)) if is_metadata(name) => {}
                Some(pair) if may_be_metadata(pair.0) => pair.hash(state),
                Some(_) | None => return ahead.hash(state),
            }
        }
    }
}

/// Labels without the name and what is said of the metric.
pub(super) fn without_metadata(labels: &Labels) -> Labels {
    if tells_type(labels) {
        labels.filtered(|name| !is_metadata(name))
    } else {
        labels.without_name()
    }
}

/// Hands a series on whose name goes: now, or at the end of the query.
pub(super) fn emit_nameless(
    labels: &Labels,
    delayed: bool,
    values: &mut Vec<f64>,
    sink: &mut Sink<'_>,
) -> Result<(), Error> {
    if delayed { sink(labels, true, values) } else { sink(&without_metadata(labels), true, values) }
}

/// The error for two results with equal labels.
pub(super) fn same_labels() -> Error {
    Error::execution("vector cannot contain metrics with the same labelset")
}

/// Joins rows with equal labels, which must not have values at the same step; `strictly` they must
/// not exist at all.
///
/// # Errors
/// Two series would be one.
pub(super) fn merged(rows: Rows, strictly: bool) -> Result<Rows, Error> {
    let mut places: HashMap<(Labels, bool), usize, FxBuildHasher> = HashMap::default();
    let mut out: Rows = Vec::with_capacity(rows.len());
    for row in rows {
        // A name that is still to go makes another series than the same name that stays.
        let loses_name = row.drop_name && row.labels.metric_name().is_some();
        let place = *places.entry((row.labels.clone(), loses_name)).or_insert(out.len());
        let Some(first) = out.get_mut(place) else {
            out.push(row);
            continue;
        };
        if strictly {
            return Err(same_labels());
        }
        for (slot, value) in first.values.iter_mut().zip(&row.values) {
            if is_absent(*value) {
                continue;
            }
            if !is_absent(*slot) {
                return Err(same_labels());
            }
            *slot = *value;
        }
    }
    Ok(out)
}
