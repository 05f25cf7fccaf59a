//! What other parts want to know of an expression without evaluating it.

use super::{BinaryOp, Expr, ExprKind, Number, VectorSelector};
use crate::model::{METRIC_NAME, MatchOp};
use std::collections::BTreeSet;

/// A comparison taken apart, so that a chart can show the left side and the limit as a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// What is compared, as an expression of its own.
    pub left: String,
    /// How it is compared.
    pub op: BinaryOp,
    /// What it is compared with, as an expression of its own.
    pub right: String,
    /// The value of the right side, when it is a constant.
    pub value: Option<f64>,
}

/// Takes the outermost comparison apart. A constant on the left changes sides. In `a > 1 and b`
/// the comparison on the left of the set operator counts.
pub fn split_limit(expr: &Expr) -> Option<Limit> {
    let ExprKind::Binary(binary) = &expr.unparenthesized().kind else { return None };
    if binary.op.is_set() {
        return split_limit(&binary.lhs);
    }
    if !binary.op.is_comparison() {
        return None;
    }
    let (lhs, rhs) = (binary.lhs.unparenthesized(), binary.rhs.unparenthesized());
    let (left, op, right) = if constant(lhs).is_some() && constant(rhs).is_none() {
        (rhs, mirrored(binary.op), lhs)
    } else {
        (lhs, binary.op, rhs)
    };
    Some(Limit { left: left.to_string(), op, right: right.to_string(), value: constant(right) })
}

/// The names of the metrics that an expression reads, where they are spelled out.
pub fn metric_names(expr: &Expr) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for selector in selectors(expr) {
        for matcher in &selector.matchers {
            if matcher.name() == METRIC_NAME && matcher.op() == MatchOp::Equal {
                names.insert(matcher.value().to_owned());
            }
        }
    }
    names
}

/// All selectors of an expression, in order of the text.
pub fn selectors(expr: &Expr) -> Vec<&VectorSelector> {
    match &expr.kind {
        ExprKind::Vector(selector) => vec![selector],
        ExprKind::Matrix(matrix) => vec![&matrix.selector],
        _inner => expr.children().into_iter().flat_map(selectors).collect(),
    }
}

/// The value of an expression of numbers alone.
fn constant(expr: &Expr) -> Option<f64> {
    match &expr.kind {
        ExprKind::Number(Number { value, .. }) => Some(*value),
        ExprKind::Paren(inner) => constant(inner),
        ExprKind::Unary { negative, expr } => {
            constant(expr).map(|value| if *negative { -value } else { value })
        }
        ExprKind::Binary(binary) => {
            let (lhs, rhs) = (constant(&binary.lhs)?, constant(&binary.rhs)?);
            match binary.op {
                BinaryOp::Add => Some(lhs + rhs),
                BinaryOp::Sub => Some(lhs - rhs),
                BinaryOp::Mul => Some(lhs * rhs),
                BinaryOp::Div => Some(lhs / rhs),
                BinaryOp::Mod => Some(lhs % rhs),
                BinaryOp::Pow => Some(lhs.powf(rhs)),
                _other => None,
            }
        }
        _other => None,
    }
}

const fn mirrored(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Greater => BinaryOp::Less,
        BinaryOp::Less => BinaryOp::Greater,
        BinaryOp::GreaterEqual => BinaryOp::LessEqual,
        BinaryOp::LessEqual => BinaryOp::GreaterEqual,
        same => same,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Features, parse};
    use super::*;

    #[test]
    fn a_comparison_comes_apart_for_charts() {
        for (text, left, op, right, value) in [
            ("sum(a) > 5", "sum(a)", ">", "5", Some(5.0)),
            ("5 < sum(a)", "sum(a)", ">", "5", Some(5.0)),
            ("(a >= 2 * 60) and b", "a", ">=", "2 * 60", Some(120.0)),
            ("a > b", "a", ">", "b", None),
        ] {
            let expr = parse(text, &Features::default()).expect("parses");
            let limit = split_limit(&expr).expect("a comparison");
            assert_eq!((limit.left.as_str(), limit.op.as_str()), (left, op), "{text}");
            assert_eq!((limit.right.as_str(), limit.value), (right, value), "{text}");
        }
        let none = parse("rate(a[5m])", &Features::default()).expect("parses");
        assert_eq!(split_limit(&none), None);
    }

    #[test]
    fn names_are_found_wherever_they_stand() {
        let text = r#"rate(a[5m]) + {"b.c"} / max_over_time(d[1h:]) unless {__name__=~"e.*"}"#;
        let expr = parse(text, &Features::default()).expect("parses");
        assert_eq!(metric_names(&expr).into_iter().collect::<Vec<_>>(), ["a", "b.c", "d"]);
    }
}
