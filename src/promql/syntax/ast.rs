//! The tree of an expression. Every node knows its place in the text; two trees are equal when
//! they mean the same, wherever they stood.

use super::Function;
use crate::model::{Matcher, Timestamp};
use std::fmt;

/// A range of bytes in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Span {
    /// The bytes `start..end`.
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// From the start of this one to the end of `other`.
    #[must_use]
    pub const fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end }
    }
}

/// The four types of PromQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// One number.
    Scalar,
    /// A value for each series, at one instant.
    Vector,
    /// Samples over time for each series.
    Matrix,
    /// A text.
    String,
}

impl ValueType {
    /// The word of the API's `resultType`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "vector",
            Self::Matrix => "matrix",
            Self::String => "string",
        }
    }

    /// The word of error texts and manuals.
    pub const fn documented(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::String => "string",
        }
    }
}

/// An expression and its place.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// The kinds of expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `1.5`, `1h`
    Number(Number),
    /// `"text"`
    String(String),
    /// `(expr)`
    Paren(Box<Expr>),
    /// `-expr`, `+expr`
    Unary {
        /// Whether the sign is a minus.
        negative: bool,
        /// The operand.
        expr: Box<Expr>,
    },
    /// `lhs op rhs`
    Binary(Box<Binary>),
    /// `sum by (job) (expr)`
    Aggregation(Box<Aggregation>),
    /// `rate(expr)`
    Call(Call),
    /// `name{label="value"}`
    Vector(VectorSelector),
    /// `name{label="value"}[5m]`
    Matrix(Matrix),
    /// `expr[1h:1m]`
    Subquery(Box<Subquery>),
}

impl Expr {
    /// The type of the value.
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number(_) => ValueType::Scalar,
            ExprKind::String(_) => ValueType::String,
            ExprKind::Paren(expr) | ExprKind::Unary { expr, .. } => expr.value_type(),
            ExprKind::Binary(binary) => {
                let scalar = |expr: &Self| expr.value_type() == ValueType::Scalar;
                if scalar(&binary.lhs) && scalar(&binary.rhs) {
                    ValueType::Scalar
                } else {
                    ValueType::Vector
                }
            }
            ExprKind::Aggregation(_) | ExprKind::Vector(_) => ValueType::Vector,
            ExprKind::Call(call) => call.function.signature().returns,
            ExprKind::Matrix(_) | ExprKind::Subquery(_) => ValueType::Matrix,
        }
    }

    /// The expressions directly below, in order of the text.
    pub fn children(&self) -> Vec<&Self> {
        match &self.kind {
            ExprKind::Number(_)
            | ExprKind::String(_)
            | ExprKind::Vector(_)
            | ExprKind::Matrix(_) => Vec::new(),
            ExprKind::Paren(expr) | ExprKind::Unary { expr, .. } => vec![expr],
            ExprKind::Binary(binary) => vec![&binary.lhs, &binary.rhs],
            ExprKind::Aggregation(aggregation) => {
                aggregation.param.iter().chain([&aggregation.expr]).collect()
            }
            ExprKind::Call(call) => call.args.iter().collect(),
            ExprKind::Subquery(subquery) => vec![&subquery.expr],
        }
    }

    /// The expression inside any number of parentheses.
    pub fn unparenthesized(&self) -> &Self {
        match &self.kind {
            ExprKind::Paren(expr) => expr.unparenthesized(),
            _other => self,
        }
    }
}

/// A number, and whether it was written as a duration.
#[derive(Clone, Copy, Debug)]
pub struct Number {
    /// The number; seconds when written as a duration.
    pub value: f64,
    /// Written as `1h30m`.
    pub is_duration: bool,
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.is_duration == other.is_duration && is_same(self.value, other.value)
    }
}

/// Whether two numbers mean the same in a text: a NaN is a NaN there.
const fn is_same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// An operation with two operands.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// The left operand.
    pub lhs: Expr,
    /// The right operand.
    pub rhs: Expr,
    /// A comparison that yields 0 or 1 instead of filtering.
    pub return_bool: bool,
    /// How series find their partners; present exactly when both operands are vectors.
    pub matching: Option<Matching>,
}

/// Operators between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
    /// `atan2`
    Atan2,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `<`
    Less,
    /// `>=`
    GreaterEqual,
    /// `<=`
    LessEqual,
    /// `</`: cuts a native histogram above a value.
    TrimUpper,
    /// `>/`: cuts a native histogram below a value.
    TrimLower,
    /// `and`
    And,
    /// `or`
    Or,
    /// `unless`
    Unless,
}

impl BinaryOp {
    /// The operator as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::GreaterEqual => ">=",
            Self::LessEqual => "<=",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }

    /// Whether it compares.
    pub const fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::NotEqual
                | Self::Greater
                | Self::Less
                | Self::GreaterEqual
                | Self::LessEqual
        )
    }

    /// Whether it works on label sets and not on values.
    pub const fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    /// How tightly it binds: higher is tighter.
    pub const fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Equal
            | Self::NotEqual
            | Self::Greater
            | Self::Less
            | Self::GreaterEqual
            | Self::LessEqual
            | Self::TrimUpper
            | Self::TrimLower => 3,
            Self::Add | Self::Sub => 4,
            Self::Mul | Self::Div | Self::Mod | Self::Atan2 => 5,
            Self::Pow => 6,
        }
    }
}

impl fmt::Display for BinaryOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many series of one side go with how many of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cardinality {
    /// One with one.
    OneToOne,
    /// `group_left`: many of the left with one of the right.
    ManyToOne,
    /// `group_right`: one of the left with many of the right.
    OneToMany,
    /// Set operators.
    ManyToMany,
}

/// How series of two vectors find their partners.
#[derive(Clone, Debug)]
pub struct Matching {
    /// How many go with how many.
    pub cardinality: Cardinality,
    /// `on` instead of `ignoring`.
    pub on: bool,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// The labels of `group_left` or `group_right`.
    pub include: Vec<String>,
    /// The value of a missing partner on the left.
    pub fill_left: Option<f64>,
    /// The value of a missing partner on the right.
    pub fill_right: Option<f64>,
}

impl PartialEq for Matching {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => is_same(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        (self.cardinality, self.on) == (other.cardinality, other.on)
            && (&self.labels, &self.include) == (&other.labels, &other.include)
            && same(self.fill_left, other.fill_left)
            && same(self.fill_right, other.fill_right)
    }
}

/// An aggregation over series.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregation {
    /// What is computed.
    pub op: AggregateOp,
    /// The first argument of those that have one, as `topk`.
    pub param: Option<Expr>,
    /// What is aggregated.
    pub expr: Expr,
    /// Which series go together.
    pub grouping: Grouping,
}

/// `by` or `without`, and the labels. No clause is `by ()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grouping {
    /// `without` instead of `by`.
    pub without: bool,
    /// The labels.
    pub labels: Vec<String>,
}

/// The aggregations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateOp {
    /// `sum`
    Sum,
    /// `avg`
    Avg,
    /// `count`
    Count,
    /// `min`
    Min,
    /// `max`
    Max,
    /// `group`
    Group,
    /// `stddev`
    Stddev,
    /// `stdvar`
    Stdvar,
    /// `topk`
    Topk,
    /// `bottomk`
    Bottomk,
    /// `count_values`
    CountValues,
    /// `quantile`
    Quantile,
    /// `limitk`
    Limitk,
    /// `limit_ratio`
    LimitRatio,
}

impl AggregateOp {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Sum,
        Self::Avg,
        Self::Count,
        Self::Min,
        Self::Max,
        Self::Group,
        Self::Stddev,
        Self::Stdvar,
        Self::Topk,
        Self::Bottomk,
        Self::CountValues,
        Self::Quantile,
        Self::Limitk,
        Self::LimitRatio,
    ];

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Count => "count",
            Self::Min => "min",
            Self::Max => "max",
            Self::Group => "group",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Topk => "topk",
            Self::Bottomk => "bottomk",
            Self::CountValues => "count_values",
            Self::Quantile => "quantile",
            Self::Limitk => "limitk",
            Self::LimitRatio => "limit_ratio",
        }
    }

    /// The type of the first argument, for those that have one before the vector.
    pub const fn param_type(self) -> Option<ValueType> {
        match self {
            Self::Topk | Self::Bottomk | Self::Quantile | Self::Limitk | Self::LimitRatio => {
                Some(ValueType::Scalar)
            }
            Self::CountValues => Some(ValueType::String),
            Self::Sum
            | Self::Avg
            | Self::Count
            | Self::Min
            | Self::Max
            | Self::Group
            | Self::Stddev
            | Self::Stdvar => None,
        }
    }

    /// Whether it may still change upstream.
    pub const fn is_experimental(self) -> bool {
        matches!(self, Self::Limitk | Self::LimitRatio)
    }
}

/// A function and its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function.
    pub function: Function,
    /// The arguments.
    pub args: Vec<Expr>,
}

/// The evaluation time that `@` sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// `@ 1609746000`
    Time(Timestamp),
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
}

/// How a range takes the samples at its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// With the last sample at or before the start of the range.
    Anchored,
    /// With values at both ends, interpolated from samples around.
    Smoothed,
}

/// Selects series by their labels. The order of matchers does not count in comparisons.
#[derive(Clone, Debug)]
pub struct VectorSelector {
    /// The name outside the braces.
    pub name: Option<String>,
    /// All matchers; that of `name` is the last.
    pub matchers: Vec<Matcher>,
    /// How much earlier than the evaluation time.
    pub offset: Option<Duration>,
    /// Instead of the evaluation time.
    pub at: Option<At>,
    /// `anchored` or `smoothed`.
    pub extension: Option<Extension>,
}

impl PartialEq for VectorSelector {
    fn eq(&self, other: &Self) -> bool {
        let sorted = |selector: &Self| {
            let mut texts: Vec<String> = selector.matchers.iter().map(Matcher::to_string).collect();
            texts.sort();
            texts
        };
        self.name == other.name
            && self.offset == other.offset
            && self.at == other.at
            && self.extension == other.extension
            && sorted(self) == sorted(other)
    }
}

/// A selector with a range. Offset and `@` are those of the selector.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// Which series.
    pub selector: VectorSelector,
    /// Where the selector alone stands.
    pub selector_span: Span,
    /// How far back.
    pub range: Duration,
}

impl PartialEq for Matrix {
    fn eq(&self, other: &Self) -> bool {
        self.selector == other.selector && self.range == other.range
    }
}

/// An expression evaluated over a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// What is evaluated.
    pub expr: Expr,
    /// How far back.
    pub range: Duration,
    /// Between evaluations; the engine's default when absent.
    pub step: Option<Duration>,
    /// How much earlier than the evaluation time.
    pub offset: Option<Duration>,
    /// Instead of the evaluation time.
    pub at: Option<At>,
}

/// A duration in the place of a range, a step or an offset.
#[derive(Clone, Debug, PartialEq)]
pub enum Duration {
    /// A literal, in milliseconds.
    Millis(i64),
    /// Arithmetic that may depend on the query's step and range.
    Expr(DurationExpr),
}

/// An arithmetic expression of durations, and its place.
#[derive(Clone, Debug)]
pub struct DurationExpr {
    /// What it is.
    pub kind: DurationKind,
    /// Where it stands.
    pub span: Span,
}

impl PartialEq for DurationExpr {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// The kinds of duration expression. Values are seconds.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationKind {
    /// A literal.
    Number(Number),
    /// `step()`
    Step,
    /// `range()`
    Range,
    /// `-expr`
    Negative(Box<DurationExpr>),
    /// `(expr)`
    Paren(Box<DurationExpr>),
    /// `lhs op rhs`, `min_of(lhs, rhs)`
    Binary {
        /// The operator.
        op: DurationOp,
        /// The left operand.
        lhs: Box<DurationExpr>,
        /// The right operand.
        rhs: Box<DurationExpr>,
    },
}

/// Operators between durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DurationOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
    /// `min_of`
    MinOf,
    /// `max_of`
    MaxOf,
}
