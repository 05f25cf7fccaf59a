//! Expressions as canonical text, as `/api/v1/format_query` and rules show them.
//!
//! Source: prometheus, promql/parser/printer.go (the form).

use super::{
    Aggregation, At, Binary, BinaryOp, Cardinality, Duration, DurationExpr, DurationKind,
    DurationOp, Expr, ExprKind, Extension, Grouping, Matching, Matrix, Number, Subquery,
    VectorSelector,
};
use crate::model::value_text::{go_default, plain, quoted};
use crate::model::{METRIC_NAME, MatchOp, duration, is_legacy_label_name};
use std::fmt::{Display, Formatter, Result};
use std::time;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.kind {
            ExprKind::Number(number) => number.fmt(f),
            ExprKind::String(text) => f.write_str(&quoted(text)),
            ExprKind::Paren(expr) => write!(f, "({expr})"),
            ExprKind::Unary { negative, expr } => {
                write!(f, "{}{expr}", if *negative { '-' } else { '+' })
            }
            ExprKind::Binary(binary) => binary.fmt(f),
            ExprKind::Aggregation(aggregation) => aggregation.fmt(f),
            ExprKind::Call(call) => {
                write!(f, "{}(", call.function.name())?;
                write_list(f, call.args.iter())?;
                f.write_str(")")
            }
            ExprKind::Vector(selector) => selector.fmt(f),
            ExprKind::Matrix(matrix) => matrix.fmt(f),
            ExprKind::Subquery(subquery) => subquery.fmt(f),
        }
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if !self.is_duration {
            return f.write_str(&plain(self.value));
        }
        let sign = if self.value.is_sign_negative() { "-" } else { "" };
        let span = time::Duration::try_from_secs_f64(self.value.abs()).unwrap_or_default();
        // Whole milliseconds were read; of a long one the float may lie below.
        let nearest = span.saturating_add(time::Duration::from_micros(500));
        write!(f, "{sign}{}", duration::format(nearest))
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        // A sign binds weaker than the power: infinity stands there without its plus.
        match &self.lhs.kind {
            ExprKind::Number(Number { value: f64::INFINITY, is_duration: false })
                if self.op == BinaryOp::Pow =>
            {
                f.write_str("Inf")?;
            }
            _other => self.lhs.fmt(f)?,
        }
        write!(f, " {} {}", self.operator(), self.rhs)
    }
}

impl Binary {
    /// The operator with what modifies it.
    pub(super) fn operator(&self) -> String {
        let return_bool = if self.return_bool { " bool" } else { "" };
        let matching = self.matching.as_ref().map_or_else(String::new, ToString::to_string);
        format!("{}{return_bool}{matching}", self.op)
    }
}

impl Display for Matching {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let group = match self.cardinality {
            Cardinality::ManyToOne => Some("group_left"),
            Cardinality::OneToMany => Some("group_right"),
            Cardinality::OneToOne | Cardinality::ManyToMany => None,
        };
        if !self.labels.is_empty() || self.on || group.is_some() {
            f.write_str(if self.on { " on (" } else { " ignoring (" })?;
            write_labels(f, &self.labels)?;
        }
        if let Some(group) = group {
            write!(f, " {group} (")?;
            write_labels(f, &self.include)?;
        }
        match (self.fill_left, self.fill_right) {
            (Some(left), Some(right)) if left == right => {
                write!(f, " fill ({})", go_default(left))
            }
            (left, right) => {
                if let Some(left) = left {
                    write!(f, " fill_left ({})", go_default(left))?;
                }
                match right {
                    Some(right) => write!(f, " fill_right ({})", go_default(right)),
                    None => Ok(()),
                }
            }
        }
    }
}

impl Display for Aggregation {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}(", self.head())?;
        if let Some(param) = &self.param {
            write!(f, "{param}, ")?;
        }
        write!(f, "{})", self.expr)
    }
}

impl Aggregation {
    /// All that stands before the parenthesis of the operands.
    pub(super) fn head(&self) -> String {
        let Grouping { without, labels } = &self.grouping;
        let op = self.op.as_str();
        if !without && labels.is_empty() {
            return op.to_owned();
        }
        let word = if *without { "without" } else { "by" };
        let labels: Vec<String> = labels.iter().map(|label| label_text(label)).collect();
        format!("{op} {word} ({}) ", labels.join(", "))
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write_series(f, self)?;
        f.write_str(&at_text(self.at))?;
        write_extension(f, self.extension)?;
        f.write_str(&offset_text(self.offset.as_ref()))
    }
}

impl Display for Matrix {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write_series(f, &self.selector)?;
        write!(f, "[{}]", self.range)?;
        write_extension(f, self.selector.extension)?;
        f.write_str(&at_text(self.selector.at))?;
        f.write_str(&offset_text(self.selector.offset.as_ref()))
    }
}

impl Display for Subquery {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}{}", self.expr, self.suffix())
    }
}

impl Subquery {
    /// All that stands behind the expression.
    pub(super) fn suffix(&self) -> String {
        let step = self.step.as_ref().map_or_else(String::new, ToString::to_string);
        format!("[{}:{step}]{}{}", self.range, at_text(self.at), offset_text(self.offset.as_ref()))
    }
}

impl Display for Duration {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Millis(ms) => {
                let span = std::time::Duration::from_millis(ms.unsigned_abs());
                write!(f, "{}{}", if *ms < 0 { "-" } else { "" }, duration::format(span))
            }
            Self::Expr(expr) => expr.fmt(f),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.kind {
            DurationKind::Number(number) => number.fmt(f),
            DurationKind::Step => f.write_str("step()"),
            DurationKind::Range => f.write_str("range()"),
            DurationKind::Negative(expr) => write!(f, "-{expr}"),
            DurationKind::Paren(expr) => write!(f, "({expr})"),
            DurationKind::Binary { op, lhs, rhs } => {
                let sign = match op {
                    DurationOp::MinOf => return write!(f, "min_of({lhs}, {rhs})"),
                    DurationOp::MaxOf => return write!(f, "max_of({lhs}, {rhs})"),
                    DurationOp::Add => '+',
                    DurationOp::Sub => '-',
                    DurationOp::Mul => '*',
                    DurationOp::Div => '/',
                    DurationOp::Mod => '%',
                    DurationOp::Pow => '^',
                };
                write!(f, "{lhs} {sign} {rhs}")
            }
        }
    }
}

fn write_list<T: Display>(f: &mut Formatter<'_>, list: impl Iterator<Item = T>) -> Result {
    for (place, item) in list.enumerate() {
        if place > 0 {
            f.write_str(", ")?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

/// A label's name, in quotes when it is none that stands alone.
fn label_text(name: &str) -> String {
    if is_legacy_label_name(name) { name.to_owned() } else { quoted(name) }
}

/// Label names and the closing parenthesis.
fn write_labels(f: &mut Formatter<'_>, labels: &[String]) -> Result {
    let names = labels.iter().map(|name| label_text(name));
    write_list(f, names)?;
    f.write_str(")")
}

/// The name and the matchers, in the order of their texts.
fn write_series(f: &mut Formatter<'_>, selector: &VectorSelector) -> Result {
    let name = selector.name.as_deref().unwrap_or_default();
    let mut texts: Vec<String> = selector
        .matchers
        .iter()
        .filter(|matcher| {
            let is_name = matcher.name() == METRIC_NAME && matcher.op() == MatchOp::Equal;
            !(is_name && matcher.value() == name && !name.is_empty())
        })
        .map(ToString::to_string)
        .collect();
    texts.sort();
    f.write_str(name)?;
    if texts.is_empty() && !name.is_empty() {
        return Ok(());
    }
    write!(f, "{{{}}}", texts.join(","))
}

fn at_text(at: Option<At>) -> String {
    match at {
        Some(At::Time(ts)) => {
            let (ms, sign) = (ts.as_millis().unsigned_abs(), ts.as_millis() < 0);
            format!(" @ {}{}.{:03}", if sign { "-" } else { "" }, ms / 1000, ms % 1000)
        }
        Some(At::Start) => " @ start()".to_owned(),
        Some(At::End) => " @ end()".to_owned(),
        None => String::new(),
    }
}

fn write_extension(f: &mut Formatter<'_>, extension: Option<Extension>) -> Result {
    f.write_str(match extension {
        Some(Extension::Anchored) => " anchored",
        Some(Extension::Smoothed) => " smoothed",
        None => "",
    })
}

fn offset_text(offset: Option<&Duration>) -> String {
    offset.map_or_else(String::new, |offset| format!(" offset {offset}"))
}
