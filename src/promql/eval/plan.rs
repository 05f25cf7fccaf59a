//! The plan: constants folded, times resolved, equal selectors fetched once, and for each node
//! whether it is the same at every step.
//!
//! Source: prometheus, promql/engine.go (PreprocessExpr), promql/functions.go
//! (AtModifierUnsafeFunctions).

use super::{Grid, Settings, matching};
use crate::model::{METRIC_NAME, MatchOp, Matcher, TimeRange, Timestamp};
use crate::promql::Error;
use crate::promql::syntax::{
    AggregateOp, At, BinaryOp, Duration, Expr, ExprKind, Extension, Function, Grouping, Matching,
    Number, Span, ValueType, VectorSelector,
};

/// A node of the plan.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) span: Span,
    pub(super) value_type: ValueType,
    /// The same at every step: evaluated once.
    pub(super) invariant: bool,
    /// All series have one name, so that dropping it leaves them distinct.
    one_name: bool,
    /// Results may have equal labels and must be joined.
    pub(super) may_collide: bool,
    /// Equal labels are an error even at different steps.
    pub(super) collides_strictly: bool,
}

impl Node {
    /// The selector of whose series this node gives each one without its name, if that is all
    /// that it does to labels.
    pub(super) fn nameless_select(&self) -> Option<&Select> {
        match &self.kind {
            Kind::Negate(inner) => inner.select(),
            Kind::Call { function, args } if keeps_other_labels(*function) => {
                args.iter().find_map(Self::select)
            }
            _other => None,
        }
    }

    const fn select(&self) -> Option<&Select> {
        match &self.kind {
            Kind::Select(select) | Kind::Range { select, .. } => Some(select),
            _other => None,
        }
    }
}

#[derive(Debug)]
pub(super) enum Kind {
    Number(f64),
    String(String),
    Negate(Box<Node>),
    /// A vector with a plus sign: the same series, but no selector any more.
    Plus(Box<Node>),
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    Call {
        function: Function,
        args: Vec<Node>,
    },
    Select(Select),
    Range {
        select: Select,
        range: i64,
    },
    Subquery {
        inner: Box<Node>,
        window: Window,
        step: i64,
    },
}

#[derive(Debug)]
pub(super) struct Binary {
    pub(super) op: BinaryOp,
    pub(super) lhs: Node,
    pub(super) rhs: Node,
    pub(super) return_bool: bool,
    /// Present when both sides are vectors.
    pub(super) matching: Option<Matching>,
}

#[derive(Debug)]
pub(super) struct Aggregate {
    pub(super) op: AggregateOp,
    pub(super) param: Option<Node>,
    pub(super) inner: Node,
    pub(super) grouping: Grouping,
}

/// A selector with its times resolved.
#[derive(Clone, Debug)]
pub(super) struct Select {
    pub(super) matchers: Vec<Matcher>,
    pub(super) offset: i64,
    /// The fixed evaluation time of `@`.
    pub(super) at: Option<i64>,
    pub(super) extension: Option<Extension>,
    /// Place in the list of fetches.
    pub(super) fetch: usize,
}

impl Select {
    /// The time that counts as now when the evaluation time is `ts`.
    pub(super) fn reference(&self, ts: i64) -> i64 {
        self.at.unwrap_or(ts).saturating_sub(self.offset)
    }
}

/// The window of a subquery, relative to the evaluation time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) range: i64,
    pub(super) offset: i64,
    pub(super) at: Option<i64>,
}

impl Window {
    pub(super) fn reference(self, ts: i64) -> i64 {
        self.at.unwrap_or(ts).saturating_sub(self.offset)
    }

    /// The instants at which the inner expression is evaluated: multiples of the step, from the
    /// first after the first window's start.
    pub(super) fn grid(self, outer: Grid, step: i64) -> Grid {
        let open_start = self.reference(outer.start).saturating_sub(self.range);
        let end = self.reference(outer.last());
        let start = open_start.div_euclid(step).saturating_add(1).saturating_mul(step);
        let steps =
            if start > end { 0 } else { (end.saturating_sub(start) / step).saturating_add(1) };
        Grid { start, step, count: usize::try_from(steps).unwrap_or(usize::MAX) }
    }
}

/// What is asked of the source for all uses of equal matchers.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) matchers: Vec<Matcher>,
    pub(super) range: TimeRange,
}

/// The whole plan.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) root: Node,
    pub(super) fetches: Vec<Fetch>,
}

/// Plans `expr` for the instants of `grid`.
pub(super) fn build(expr: &Expr, grid: Grid, settings: &Settings) -> Result<Plan, Error> {
    let mut planner = Planner { settings, fetches: Vec::new() };
    let root = planner.node(expr, grid)?;
    Ok(Plan { root, fetches: planner.fetches })
}

struct Planner<'a> {
    settings: &'a Settings,
    fetches: Vec<Fetch>,
}

impl Planner<'_> {
    fn node(&mut self, expr: &Expr, grid: Grid) -> Result<Node, Error> {
        let span = expr.span;
        let plain = |kind, value_type, invariant, one_name| Node {
            kind,
            span,
            value_type,
            invariant,
            one_name,
            may_collide: false,
            collides_strictly: false,
        };
        Ok(match &expr.kind {
            ExprKind::Number(Number { value, .. }) => {
                plain(Kind::Number(*value), ValueType::Scalar, true, true)
            }
            ExprKind::String(text) => {
                plain(Kind::String(text.clone()), ValueType::String, true, true)
            }
            ExprKind::Paren(inner) => self.node(inner, grid)?,
            ExprKind::Unary { negative, expr: inner } => {
                let inner = self.node(inner, grid)?;
                if *negative { self.negated(inner, span) } else { with_plus(inner, span) }
            }
            ExprKind::Binary(_) => self.binary(expr, grid)?,
            ExprKind::Aggregation(aggregation) => {
                let inner = self.node(&aggregation.expr, grid)?;
                let param =
                    aggregation.param.as_ref().map(|param| self.node(param, grid)).transpose()?;
                let grouping = aggregation.grouping.clone();
                let names = grouping.labels.iter().any(|label| label == METRIC_NAME);
                let one_name = grouping.without || !names;
                let keeps_series = matches!(
                    aggregation.op,
                    AggregateOp::Topk
                        | AggregateOp::Bottomk
                        | AggregateOp::Limitk
                        | AggregateOp::LimitRatio
                );
                let one_name = if keeps_series { inner.one_name } else { one_name };
                let invariant = inner.invariant && param.as_ref().is_none_or(|p| p.invariant);
                let aggregate = Aggregate { op: aggregation.op, param, inner, grouping };
                let kind = Kind::Aggregate(Box::new(aggregate));
                plain(kind, ValueType::Vector, invariant, one_name)
            }
            ExprKind::Call(_) => self.call(expr, grid)?,
            ExprKind::Vector(selector) => {
                let select = self.select(selector, grid, 0)?;
                let (invariant, one_name) = (select.at.is_some(), has_one_name(selector));
                plain(Kind::Select(select), ValueType::Vector, invariant, one_name)
            }
            ExprKind::Matrix(matrix) => {
                let range = self.duration(&matrix.range, false)?;
                let select = self.select(&matrix.selector, grid, range)?;
                let (invariant, one_name) = (select.at.is_some(), has_one_name(&matrix.selector));
                plain(Kind::Range { select, range }, ValueType::Matrix, invariant, one_name)
            }
            ExprKind::Subquery(_) => self.subquery(expr, grid)?,
        })
    }

    fn negated(&self, inner: Node, span: Span) -> Node {
        if let Kind::Number(value) = inner.kind {
            return Node { kind: Kind::Number(-value), span, ..inner };
        }
        let may_collide = inner.value_type == ValueType::Vector
            && !inner.one_name
            && !self.settings.delayed_name_removal;
        Node {
            span,
            value_type: inner.value_type,
            invariant: inner.invariant,
            one_name: true,
            may_collide,
            collides_strictly: false,
            kind: Kind::Negate(Box::new(inner)),
        }
    }

    fn binary(&mut self, expr: &Expr, grid: Grid) -> Result<Node, Error> {
        let ExprKind::Binary(binary) = &expr.kind else {
            return Err(Error::execution("a binary operation was expected"));
        };
        let (lhs, rhs) = (self.node(&binary.lhs, grid)?, self.node(&binary.rhs, grid)?);
        let value_type = expr.value_type();
        let drops_name = !(binary.op.is_comparison() || binary.op.is_set()) || binary.return_bool;
        let invariant = lhs.invariant && rhs.invariant;
        let vectors = binary.matching.is_some();
        let sides_have_one_name = lhs.one_name && rhs.one_name;
        let kind = if let (Kind::Number(a), Kind::Number(b)) = (&lhs.kind, &rhs.kind) {
            Kind::Number(matching::scalar_op(binary.op, *a, *b))
        } else {
            Kind::Binary(Box::new(Binary {
                op: binary.op,
                lhs,
                rhs,
                return_bool: binary.return_bool,
                matching: binary.matching.clone(),
            }))
        };
        let collides = !vectors
            && value_type == ValueType::Vector
            && drops_name
            && !sides_have_one_name
            && !self.settings.delayed_name_removal;
        Ok(Node {
            kind,
            span: expr.span,
            value_type,
            invariant,
            one_name: if vectors { drops_name } else { drops_name || sides_have_one_name },
            may_collide: collides,
            collides_strictly: false,
        })
    }

    fn call(&mut self, expr: &Expr, grid: Grid) -> Result<Node, Error> {
        let ExprKind::Call(call) = &expr.kind else {
            return Err(Error::execution("a call was expected"));
        };
        let value_type = expr.value_type();
        let constant = |value| Node {
            kind: Kind::Number(value),
            span: expr.span,
            value_type: ValueType::Scalar,
            invariant: true,
            one_name: true,
            may_collide: false,
            collides_strictly: false,
        };
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let settings = self.settings;
        match call.function {
            Function::Pi => return Ok(constant(std::f64::consts::PI)),
            Function::Start => return Ok(constant(seconds(settings.query_start))),
            Function::End => return Ok(constant(seconds(settings.query_end))),
            Function::Range => {
                return Ok(constant(seconds(
                    settings.query_end.saturating_sub(settings.query_start),
                )));
            }
            Function::Step => {
                let one = settings.query_start == settings.query_end;
                return Ok(constant(if one { 0.0 } else { seconds(settings.query_step) }));
            }
            _other => {}
        }
        let args: Vec<Node> =
            call.args.iter().map(|arg| self.node(arg, grid)).collect::<Result<_, _>>()?;
        let of_selector = matches!(args.first(), Some(Node { kind: Kind::Select(_), .. }));
        let depends_on_time = depends_on_time(call.function)
            && !(call.function == Function::Timestamp && of_selector);
        let invariant = !depends_on_time && args.iter().all(|arg| arg.invariant);
        let of_range = args.iter().any(|arg| arg.value_type == ValueType::Matrix);
        let arg_one_name = args.iter().all(|arg| arg.one_name);
        let relabels = matches!(call.function, Function::LabelReplace | Function::LabelJoin);
        let drops = drops_name(call.function);
        // Two of its quantiles may be the same number.
        let may_collide = relabels
            || call.function == Function::HistogramQuantiles
            || (value_type == ValueType::Vector
                && drops
                && !arg_one_name
                && !settings.delayed_name_removal);
        Ok(Node {
            kind: Kind::Call { function: call.function, args },
            span: expr.span,
            value_type,
            invariant,
            one_name: !relabels && (drops || arg_one_name),
            may_collide,
            collides_strictly: of_range,
        })
    }

    fn select(
        &mut self,
        selector: &VectorSelector,
        grid: Grid,
        range: i64,
    ) -> Result<Select, Error> {
        let offset = match &selector.offset {
            Some(offset) => self.duration(offset, true)?,
            None => 0,
        };
        let at = selector.at.map(|at| self.at(at));
        let select = Select {
            matchers: selector.matchers.clone(),
            offset,
            at,
            extension: selector.extension,
            fetch: 0,
        };
        let lookback = self.settings.lookback;
        let (before, after) = match (selector.extension, range) {
            (None | Some(Extension::Anchored), 0) => (lookback, 0),
            (None, range) => (range, 0),
            (Some(Extension::Anchored), range) => (range.saturating_add(lookback), 0),
            (Some(Extension::Smoothed), range) => (range.saturating_add(lookback), lookback),
        };
        let from = select.reference(grid.start).saturating_sub(before).saturating_add(1);
        let to = select.reference(grid.last()).saturating_add(after);
        let fetch = self.fetch(&select.matchers, from, to.max(from));
        Ok(Select { fetch, ..select })
    }

    /// The place of the fetch for these matchers, widened to `from..=to`.
    fn fetch(&mut self, matchers: &[Matcher], from: i64, to: i64) -> usize {
        let known = self.fetches.iter_mut().enumerate();
        let mut same = known.filter(|(_, fetch)| fetch.matchers == matchers);
        if let Some((place, fetch)) = same.next() {
            let from = fetch.range.from().as_millis().min(from);
            let to = fetch.range.to().as_millis().max(to);
            fetch.range = time_range(from, to);
            return place;
        }
        drop(same);
        self.fetches.push(Fetch { matchers: matchers.to_vec(), range: time_range(from, to) });
        self.fetches.len() - 1
    }

    fn subquery(&mut self, expr: &Expr, grid: Grid) -> Result<Node, Error> {
        let ExprKind::Subquery(subquery) = &expr.kind else {
            return Err(Error::execution("a subquery was expected"));
        };
        let offset = match &subquery.offset {
            Some(offset) => self.duration(offset, true)?,
            None => 0,
        };
        let window = Window {
            range: self.duration(&subquery.range, false)?,
            offset,
            at: subquery.at.map(|at| self.at(at)),
        };
        let step = match &subquery.step {
            Some(step) => self.duration(step, false)?.max(1),
            None => self.settings.subquery_step,
        };
        let inner = self.node(&subquery.expr, window.grid(grid, step))?;
        Ok(Node {
            span: expr.span,
            value_type: ValueType::Matrix,
            invariant: window.at.is_some(),
            one_name: inner.one_name,
            may_collide: false,
            collides_strictly: false,
            kind: Kind::Subquery { inner: Box::new(inner), window, step },
        })
    }

    fn duration(&self, duration: &Duration, may_be_negative: bool) -> Result<i64, Error> {
        let settings = self.settings;
        let range = settings.query_end.saturating_sub(settings.query_start);
        duration.resolve(settings.query_step, range, may_be_negative).map_err(Error::execution)
    }

    const fn at(&self, at: At) -> i64 {
        match at {
            At::Time(ts) => ts.as_millis(),
            At::Start => self.settings.query_start,
            At::End => self.settings.query_end,
        }
    }
}

/// A selector under a plus sign is an expression like any other: `timestamp` and `absent` tell.
fn with_plus(inner: Node, span: Span) -> Node {
    if !matches!(inner.kind, Kind::Select(_)) {
        return inner;
    }
    Node {
        span,
        value_type: inner.value_type,
        invariant: inner.invariant,
        one_name: inner.one_name,
        may_collide: false,
        collides_strictly: false,
        kind: Kind::Plus(Box::new(inner)),
    }
}

fn time_range(from: i64, to: i64) -> TimeRange {
    let (from, to) = (Timestamp::from_millis(from), Timestamp::from_millis(to));
    TimeRange::new(from, to).unwrap_or(TimeRange::at(from))
}

fn has_one_name(selector: &VectorSelector) -> bool {
    selector.matchers.iter().any(|matcher| {
        matcher.name() == METRIC_NAME
            && matcher.op() == MatchOp::Equal
            && !matcher.value().is_empty()
    })
}

/// Whether the result changes with the evaluation time though the arguments do not.
const fn depends_on_time(function: Function) -> bool {
    matches!(
        function,
        Function::DaysInMonth
            | Function::DayOfMonth
            | Function::DayOfWeek
            | Function::DayOfYear
            | Function::Hour
            | Function::Minute
            | Function::Month
            | Function::Year
            | Function::PredictLinear
            | Function::Time
            | Function::Timestamp
    )
}

/// Whether each series of the argument gives one with the same labels, but for its name.
const fn keeps_other_labels(function: Function) -> bool {
    drops_name(function)
        && !matches!(
            function,
            Function::HistogramQuantile
                | Function::HistogramQuantiles
                | Function::HistogramFraction
                | Function::Scalar
        )
}

/// Whether the results have no metric name.
const fn drops_name(function: Function) -> bool {
    !matches!(
        function,
        Function::LastOverTime
            | Function::FirstOverTime
            | Function::Sort
            | Function::SortDesc
            | Function::SortByLabel
            | Function::SortByLabelDesc
            | Function::LabelReplace
            | Function::LabelJoin
            | Function::Info
            | Function::Absent
            | Function::AbsentOverTime
            | Function::Vector
    )
}
