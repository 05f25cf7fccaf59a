//! Functions: which works how. Those of one value are maps over columns, those of a range look at
//! windows, the rest have files of their own.
//!
//! Source: prometheus, promql/functions.go.

use super::column::{Scalars, emit_nameless, is_absent, map_present};
use super::math::{Mean, Sum, acosh, asinh, cosh, quantile, regression, sinh, variance};
use super::plan::{Kind, Node};
use super::rate::Slope;
use super::select::Wanted;
use super::window::Window;
use super::{Evaluator, Grid, Sink, annotate, calendar, empty_column, rate};
use crate::model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher};
use crate::promql::Error;
use crate::promql::syntax::{Extension, Function, ValueType};
use std::cell::RefCell;
use std::collections::BTreeSet;

impl Evaluator<'_> {
    pub(super) fn call(
        &self,
        node: &Node,
        function: Function,
        args: &[Node],
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        if let Some(f) = float_function(function) {
            return self.mapped(arg(args, 0)?, grid, sink, |_, value| f(value));
        }
        if args.iter().any(|arg| arg.value_type == ValueType::Matrix) {
            return self.range_call(function, args, grid, sink);
        }
        match function {
            Function::Clamp | Function::ClampMin | Function::ClampMax => {
                self.clamp(function, args, grid, sink)
            }
            Function::Round => {
                let nearest = match args.get(1) {
                    Some(nearest) => self.scalar(nearest, grid)?,
                    None => Scalars::Constant(1.0),
                };
                self.mapped(arg(args, 0)?, grid, sink, |step, value| {
                    // The inverse keeps 0.1 and its like exact, as upstream has it.
                    let inverse = 1.0 / nearest.at(step);
                    (value * inverse + 0.5).floor() / inverse
                })
            }
            Function::Minute
            | Function::Hour
            | Function::DayOfWeek
            | Function::DayOfMonth
            | Function::DayOfYear
            | Function::DaysInMonth
            | Function::Month
            | Function::Year => self.calendar(function, args, grid, sink),
            Function::Timestamp => self.timestamp(arg(args, 0)?, grid, sink),
            Function::StartTimestamp => self.start_timestamp(arg(args, 0)?, grid, sink),
            Function::Vector => {
                let scalars = self.scalar(arg(args, 0)?, grid)?;
                let mut values = (0..grid.count).map(|step| scalars.at(step)).collect();
                sink(&Labels::empty(), false, &mut values)
            }
            Function::Absent => self.absent(arg(args, 0)?, grid, sink),
            Function::HistogramQuantile
            | Function::HistogramQuantiles
            | Function::HistogramFraction => self.histogram(function, args, grid, sink),
            Function::LabelReplace => self.label_replace(args, grid, sink),
            Function::LabelJoin => self.label_join(args, grid, sink),
            Function::Sort
            | Function::SortDesc
            | Function::SortByLabel
            | Function::SortByLabelDesc => self.sort(node, function, args, grid, sink),
            Function::Info => self.info_call(args, grid, sink),
            // These look at native histograms, of which a store of floats has none: all elements
            // are ignored.
            Function::HistogramAvg
            | Function::HistogramCount
            | Function::HistogramSum
            | Function::HistogramStddev
            | Function::HistogramStdvar => self.stream(arg(args, 0)?, grid, &mut |_, _, _| Ok(())),
            other => Err(unexpected(other)),
        }
    }

    /// A scalar function's values.
    pub(super) fn scalar_call(
        &self,
        function: Function,
        args: &[Node],
        grid: Grid,
    ) -> Result<Scalars, Error> {
        self.guard.work(grid.count)?;
        match function {
            Function::Time => {
                Ok(Scalars::PerStep(grid.times().map(|ts| ts as f64 / 1000.0).collect()))
            }
            Function::MaxOf | Function::MinOf => {
                let (a, b) = (self.scalar(arg(args, 0)?, grid)?, self.scalar(arg(args, 1)?, grid)?);
                let larger = function == Function::MaxOf;
                Ok(a.zip(&b, grid.count, |a, b| if larger { max(a, b) } else { min(a, b) }))
            }
            Function::Scalar => {
                // A step without a value or with several is NaN.
                let mut values = empty_column(grid.count);
                let mut several = vec![false; grid.count];
                self.stream(arg(args, 0)?, grid, &mut |_, _, column| {
                    let slots = values.iter_mut().zip(&mut several);
                    for ((slot, several), value) in slots.zip(column.iter()) {
                        if !is_absent(*value) {
                            *several |= !is_absent(*slot);
                            *slot = *value;
                        }
                    }
                    Ok(())
                })?;
                for (slot, several) in values.iter_mut().zip(several) {
                    if several || is_absent(*slot) {
                        *slot = f64::NAN;
                    }
                }
                Ok(Scalars::PerStep(values))
            }
            other => Err(unexpected(other)),
        }
    }

    /// Applies `f` to each value; the name goes.
    fn mapped(
        &self,
        inner: &Node,
        grid: Grid,
        sink: &mut Sink<'_>,
        f: impl Fn(usize, f64) -> f64,
    ) -> Result<(), Error> {
        let delayed = self.settings.delayed_name_removal;
        self.stream(inner, grid, &mut |labels, _, values| {
            self.guard.work(values.len())?;
            for (step, value) in values.iter_mut().enumerate() {
                if !is_absent(*value) {
                    *value = f(step, *value);
                }
            }
            emit_nameless(labels, delayed, values, sink)
        })
    }

    /// A field of the calendar: of the values, or without an argument of the evaluation time.
    fn calendar(
        &self,
        function: Function,
        args: &[Node],
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        if let Some(times) = args.first() {
            return self.mapped(times, grid, sink, |_, value| calendar::field(function, value));
        }
        let now = grid.times().map(|ts| ts.div_euclid(1000) as f64);
        let mut values = now.map(|now| calendar::field(function, now)).collect();
        sink(&Labels::empty(), false, &mut values)
    }

    fn clamp(
        &self,
        function: Function,
        args: &[Node],
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let second = self.scalar(arg(args, 1)?, grid)?;
        let (lowest, highest) = match function {
            Function::Clamp => (second, self.scalar(arg(args, 2)?, grid)?),
            Function::ClampMin => (second, Scalars::Constant(f64::INFINITY)),
            _clamp_max => (Scalars::Constant(f64::NEG_INFINITY), second),
        };
        self.mapped(arg(args, 0)?, grid, sink, |step, value| {
            let (lowest, highest) = (lowest.at(step), highest.at(step));
            if highest < lowest { super::ABSENT } else { max(lowest, min(highest, value)) }
        })
    }

    /// The sample's time of a bare selector, the evaluation time of anything else.
    fn timestamp(&self, inner: &Node, grid: Grid, sink: &mut Sink<'_>) -> Result<(), Error> {
        let delayed = self.settings.delayed_name_removal;
        if let Kind::Select(select) = &inner.kind {
            let mut nameless = |labels: &Labels, _: bool, values: &mut Vec<f64>| {
                emit_nameless(labels, delayed, values, sink)
            };
            return self.traced(inner, &mut nameless, |sink| {
                self.select_instant(select, grid, Wanted::Time, sink)
            });
        }
        self.stream(inner, grid, &mut |labels, _, values| {
            for (ts, value) in grid.times().zip(values.iter_mut()) {
                if !is_absent(*value) {
                    *value = ts as f64 / 1000.0;
                }
            }
            emit_nameless(labels, delayed, values, sink)
        })
    }

    /// When the counter of a bare selector's sample started; nothing of anything else.
    fn start_timestamp(&self, inner: &Node, grid: Grid, sink: &mut Sink<'_>) -> Result<(), Error> {
        let delayed = self.settings.delayed_name_removal;
        match &inner.kind {
            Kind::Select(select) if self.settings.start_timestamps => {
                self.select_instant(select, grid, Wanted::Start, &mut |labels, _, values| {
                    emit_nameless(labels, delayed, values, sink)
                })
            }
            _expression => self.stream(inner, grid, &mut |_, _, _| Ok(())),
        }
    }

    fn absent(&self, inner: &Node, grid: Grid, sink: &mut Sink<'_>) -> Result<(), Error> {
        let mut absent = vec![1.0; grid.count];
        self.stream(inner, grid, &mut |_, _, values| {
            for (slot, value) in absent.iter_mut().zip(values.iter()) {
                if !is_absent(*value) {
                    *slot = super::ABSENT;
                }
            }
            Ok(())
        })?;
        sink(&absent_labels(inner), false, &mut absent)
    }

    fn range_call(
        &self,
        function: Function,
        args: &[Node],
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let range = args.iter().find(|arg| arg.value_type == ValueType::Matrix);
        let range = range.ok_or_else(|| unexpected(function))?;
        check_extension(function, range)?;
        let scalars = args.iter().filter(|arg| arg.value_type == ValueType::Scalar);
        let params: Vec<Scalars> =
            scalars.map(|arg| self.scalar(arg, grid)).collect::<Result<_, _>>()?;
        let param = |place: usize, step: usize| {
            params.get(place).map_or(f64::NAN, |scalars| scalars.at(step))
        };
        match function {
            Function::AbsentOverTime => self.absent_over_time(range, grid, sink),
            Function::Rate => self.slope(Slope::Rate, range, grid, sink),
            Function::Increase => self.slope(Slope::Increase, range, grid, sink),
            Function::Delta => self.slope(Slope::Delta, range, grid, sink),
            Function::QuantileOverTime => {
                let mut scratch = Vec::new();
                let span = arg(args, 0)?.span;
                let f = |step: usize, window: Window<'_>| {
                    let q = param(0, step);
                    if q.is_nan() || !(0.0..=1.0).contains(&q) {
                        self.warn(span, annotate::invalid_quantile(q));
                    }
                    scratch.clear();
                    scratch.extend_from_slice(window.values);
                    Some(quantile(q, &mut scratch))
                };
                self.window_rows(range, grid, f, sink, true)
            }
            Function::PredictLinear => {
                let f = |step: usize, window: Window<'_>| {
                    if window.values.len() < 2 {
                        return None;
                    }
                    let (slope, now) = regression(window.ts, window.values, window.now);
                    Some(slope * param(0, step) + now)
                };
                self.window_rows(range, grid, f, sink, true)
            }
            Function::DoubleExponentialSmoothing => {
                let failed = RefCell::new(None);
                let f = |step: usize, window: Window<'_>| {
                    let (smoothing, trend) = (param(0, step), param(1, step));
                    match smoothed(window.values, smoothing, trend) {
                        Ok(value) => value,
                        Err(err) => {
                            failed.borrow_mut().get_or_insert(err);
                            None
                        }
                    }
                };
                self.window_rows(range, grid, f, sink, true)?;
                failed.into_inner().map_or(Ok(()), Err)
            }
            simple => {
                let mut scratch = Vec::new();
                let f = |_: usize, window: Window<'_>| over_time(simple, &window, &mut scratch);
                let keeps_name = matches!(simple, Function::LastOverTime | Function::FirstOverTime);
                self.window_rows(range, grid, f, sink, !keeps_name)
            }
        }
    }

    /// rate, increase and delta, and the note that a metric may be no counter.
    fn slope(
        &self,
        slope: Slope,
        range: &Node,
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let delayed = self.settings.delayed_name_removal;
        let mut told: BTreeSet<String> = BTreeSet::new();
        self.slopes(range, grid, slope, |labels, _, values| {
            let name = labels.value_of(METRIC_NAME);
            let suits = !slope.is_counter()
                || ["_total", "_sum", "_count", "_bucket"].iter().any(|end| name.ends_with(end));
            if !suits && !name.is_empty() && !told.contains(name) {
                told.insert(name.to_owned());
                self.info(range.span, annotate::possible_non_counter(name));
            }
            emit_nameless(labels, delayed, values, sink)
        })
    }

    fn absent_over_time(&self, range: &Node, grid: Grid, sink: &mut Sink<'_>) -> Result<(), Error> {
        let mut absent = vec![1.0; grid.count];
        self.each_window(
            range,
            grid,
            |_, _| Some(1.0),
            |_, _, values| {
                for (slot, value) in absent.iter_mut().zip(values.iter()) {
                    if !is_absent(*value) {
                        *slot = super::ABSENT;
                    }
                }
                Ok(())
            },
        )?;
        sink(&absent_labels(range), true, &mut absent)
    }
}

/// An argument that the parser has checked to be there.
pub(super) fn arg(args: &[Node], place: usize) -> Result<&Node, Error> {
    args.get(place).ok_or_else(|| Error::execution("an argument is missing"))
}

/// The text of an argument that the parser has checked to be a string.
pub(super) fn text(args: &[Node], place: usize) -> Result<&str, Error> {
    match &arg(args, place)?.kind {
        Kind::String(text) => Ok(text),
        _other => Err(Error::execution("a string argument was expected")),
    }
}

fn unexpected(function: Function) -> Error {
    Error::execution(format!("{} cannot be evaluated here", function.name()))
}

/// Functions from one float to another.
fn float_function(function: Function) -> Option<fn(f64) -> f64> {
    Some(match function {
        Function::Abs => f64::abs,
        Function::Ceil => f64::ceil,
        Function::Floor => f64::floor,
        Function::Exp => f64::exp,
        Function::Sqrt => f64::sqrt,
        Function::Ln => f64::ln,
        Function::Log2 => f64::log2,
        Function::Log10 => f64::log10,
        Function::Sin => f64::sin,
        Function::Cos => f64::cos,
        Function::Tan => f64::tan,
        Function::Asin => f64::asin,
        Function::Acos => f64::acos,
        Function::Atan => f64::atan,
        Function::Sinh => sinh,
        Function::Cosh => cosh,
        Function::Tanh => f64::tanh,
        Function::Asinh => asinh,
        Function::Acosh => acosh,
        Function::Atanh => f64::atanh,
        Function::Rad => |degrees| degrees * std::f64::consts::PI / 180.0,
        Function::Deg => |radians| radians * 180.0 / std::f64::consts::PI,
        Function::Sgn => |value| {
            if value < 0.0 {
                -1.0
            } else if value > 0.0 {
                1.0
            } else {
                value
            }
        },
        _other => return None,
    })
}

/// Functions of a window alone. A window has at least one sample.
fn over_time(function: Function, window: &Window<'_>, scratch: &mut Vec<f64>) -> Option<f64> {
    let values = window.values;
    let (first, last) = (window.sample(0)?, window.sample(values.len().checked_sub(1)?)?);
    let seconds = |ms: i64| ms as f64 / 1000.0;
    match function {
        Function::Irate => rate::instant(window, true),
        Function::Idelta => rate::instant(window, false),
        Function::Resets => rate::resets(window),
        Function::Changes => rate::changes(window),
        Function::Deriv if values.len() < 2 => None,
        Function::Deriv => Some(regression(window.ts, values, first.0).0),
        Function::AvgOverTime => {
            let mut mean = Mean::of(first.1);
            values.iter().skip(1).for_each(|value| mean.add(*value));
            Some(mean.value())
        }
        Function::SumOverTime => {
            let mut sum = Sum::default();
            values.iter().for_each(|value| sum.add(*value));
            Some(sum.total())
        }
        Function::CountOverTime => Some(values.len() as f64),
        Function::PresentOverTime => Some(1.0),
        Function::FirstOverTime => Some(first.1),
        Function::LastOverTime => Some(last.1),
        Function::TsOfFirstOverTime => Some(seconds(first.0)),
        Function::TsOfLastOverTime => Some(seconds(last.0)),
        Function::MaxOverTime => extreme(window, |value, best| value > best).map(|best| best.1),
        Function::MinOverTime => extreme(window, |value, best| value < best).map(|best| best.1),
        Function::TsOfMaxOverTime => {
            extreme(window, |value, best| value >= best).map(|best| seconds(best.0))
        }
        Function::TsOfMinOverTime => {
            extreme(window, |value, best| value <= best).map(|best| seconds(best.0))
        }
        Function::StdvarOverTime => Some(variance(values)),
        Function::StddevOverTime => Some(variance(values).sqrt()),
        Function::MadOverTime => {
            if values.iter().any(|value| value.is_nan()) {
                return Some(f64::NAN);
            }
            scratch.clear();
            scratch.extend_from_slice(values);
            let median = quantile(0.5, scratch);
            map_present(scratch, |value| (value - median).abs());
            Some(quantile(0.5, scratch))
        }
        _other => None,
    }
}

/// The sample that beats all before it; any value beats a NaN.
fn extreme(window: &Window<'_>, beats: impl Fn(f64, f64) -> bool) -> Option<(i64, f64)> {
    let mut best = window.sample(0)?;
    for (ts, value) in window.ts.iter().zip(window.values) {
        if beats(*value, best.1) || best.1.is_nan() {
            best = (*ts, *value);
        }
    }
    Some(best)
}

/// Holt's linear method.
fn smoothed(values: &[f64], smoothing: f64, trend: f64) -> Result<Option<f64>, Error> {
    let open_unit = |factor: f64| factor > 0.0 && factor < 1.0;
    if !open_unit(smoothing) && !smoothing.is_nan() {
        let message =
            format!("invalid smoothing factor. Expected: 0 < sf < 1, got: {smoothing:.6}");
        return Err(Error::execution(message));
    }
    if !open_unit(trend) && !trend.is_nan() {
        let message = format!("invalid trend factor. Expected: 0 < tf < 1, got: {trend:.6}");
        return Err(Error::execution(message));
    }
    let (Some(first), Some(second)) = (values.first(), values.get(1)) else { return Ok(None) };
    let (mut before, mut level, mut slope) = (0.0, *first, second - first);
    for (place, value) in values.iter().skip(1).enumerate() {
        if place > 0 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        (before, level) = (level, smoothing * value + (1.0 - smoothing) * (level + slope));
    }
    Ok(Some(level))
}

/// The labels that an absent selector would have had, as far as its matchers tell.
fn absent_labels(node: &Node) -> Labels {
    let matchers: &[Matcher] = match &node.kind {
        Kind::Select(select) | Kind::Range { select, .. } => &select.matchers,
        _other => return Labels::empty(),
    };
    let mut labels = LabelsBuilder::default();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for matcher in matchers.iter().filter(|matcher| matcher.name() != METRIC_NAME) {
        if matcher.op() == MatchOp::Equal && seen.insert(matcher.name()) {
            labels.set(matcher.name(), matcher.value());
        } else {
            labels.remove(matcher.name());
        }
    }
    labels.build()
}

fn check_extension(function: Function, range: &Node) -> Result<(), Error> {
    let Kind::Range { select, .. } = &range.kind else { return Ok(()) };
    let (name, allowed): (&str, &[&str]) = match select.extension {
        None => return Ok(()),
        Some(Extension::Anchored) => {
            ("anchored", &["changes", "delta", "increase", "rate", "resets"])
        }
        Some(Extension::Smoothed) => ("smoothed", &["delta", "increase", "rate"]),
    };
    if allowed.contains(&function.name()) {
        return Ok(());
    }
    Err(Error::execution(format!(
        "{name} modifier can only be used with: {} - not with {}",
        allowed.join(", "),
        function.name()
    )))
}

/// The larger; a NaN wins over all but positive infinity, as in Go.
fn max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

/// The smaller; a NaN wins over all but negative infinity, as in Go.
fn min(a: f64, b: f64) -> f64 {
    -max(-a, -b)
}
