//! Operators on two floats, and the labels that decide which series go together.
//!
//! Source: prometheus, promql/engine.go (scalarBinop, vectorElemBinop, resultMetric).

use super::column::without_metadata;
use crate::model::{Labels, METRIC_NAME};
use crate::promql::syntax::{BinaryOp, Cardinality, Matching};

/// The value of an operation between scalars: a comparison yields 0 or 1.
pub(super) fn scalar_op(op: BinaryOp, lhs: f64, rhs: f64) -> f64 {
    match compared(op, lhs, rhs) {
        Some(holds) => f64::from(u8::from(holds)),
        None => arithmetic(op, lhs, rhs),
    }
}

/// The value of an operation between elements of vectors; `None` when it is filtered out.
pub(super) fn element_op(op: BinaryOp, lhs: f64, rhs: f64) -> Option<f64> {
    match compared(op, lhs, rhs) {
        Some(holds) => holds.then_some(lhs),
        None if matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower) => None,
        None => Some(arithmetic(op, lhs, rhs)),
    }
}

/// Whether a comparison holds; `None` for what is no comparison.
pub(super) fn compared(op: BinaryOp, lhs: f64, rhs: f64) -> Option<bool> {
    Some(match op {
        BinaryOp::Equal => lhs == rhs,
        BinaryOp::NotEqual => lhs != rhs,
        BinaryOp::Greater => lhs > rhs,
        BinaryOp::Less => lhs < rhs,
        BinaryOp::GreaterEqual => lhs >= rhs,
        BinaryOp::LessEqual => lhs <= rhs,
        _other => return None,
    })
}

fn arithmetic(op: BinaryOp, lhs: f64, rhs: f64) -> f64 {
    match op {
        BinaryOp::Add => lhs + rhs,
        BinaryOp::Sub => lhs - rhs,
        BinaryOp::Mul => lhs * rhs,
        BinaryOp::Div => lhs / rhs,
        BinaryOp::Mod => lhs % rhs,
        BinaryOp::Pow => lhs.powf(rhs),
        BinaryOp::Atan2 => lhs.atan2(rhs),
        _no_arithmetic => f64::NAN,
    }
}

/// Whether the result is another quantity, so that the metric's name no longer fits.
pub(super) const fn changes_metric(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Div
            | BinaryOp::Mod
            | BinaryOp::Pow
            | BinaryOp::Atan2
    )
}

/// The labels by which series of both sides find each other.
pub(super) fn match_labels(labels: &Labels, matching: &Matching) -> Labels {
    let listed = |name: &str| matching.labels.iter().any(|label| label == name);
    if matching.on {
        labels.filtered(listed)
    } else {
        labels.filtered(|name| name != METRIC_NAME && !listed(name))
    }
}

/// The labels of a result. `many` is the left side, or the many side when there is one.
pub(super) fn result_labels(
    many: &Labels,
    one: &Labels,
    matching: &Matching,
    drops_name: bool,
) -> Labels {
    let mut labels = if drops_name { without_metadata(many) } else { many.clone() };
    if matching.cardinality == Cardinality::OneToOne {
        let listed = |name: &str| matching.labels.iter().any(|label| label == name);
        labels = labels.filtered(|name| listed(name) == matching.on);
    }
    if matching.include.is_empty() {
        return labels;
    }
    let mut builder = labels.to_builder();
    for name in &matching.include {
        // An empty value removes the label.
        builder.set(name.clone(), one.value_of(name));
    }
    builder.build()
}
