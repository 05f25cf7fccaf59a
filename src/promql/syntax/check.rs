//! Whether the types of an expression fit. Error texts are Prometheus', since clients show them.
//!
//! Source: prometheus, promql/parser/parse.go (checkAST).

use super::{
    Aggregation, Binary, Call, Cardinality, Expr, ExprKind, Function, ParseError, Span, ValueType,
    VectorSelector, help,
};
use crate::model::METRIC_NAME;
use crate::model::value_text::quoted;

type Checked = Result<(), ParseError>;

/// Checks the tree, and settles how series match: set operators are many-to-many, and a binary
/// operation with a scalar has no matching.
pub(super) fn check(expr: &mut Expr) -> Checked {
    let span = expr.span;
    match &mut expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) => Ok(()),
        ExprKind::Paren(inner) => check(inner),
        ExprKind::Unary { expr: inner, .. } => {
            check(inner)?;
            let found = inner.value_type();
            if matches!(found, ValueType::Scalar | ValueType::Vector) {
                return Ok(());
            }
            let found = quoted(found.documented());
            let message = format!(
                "unary expression only allowed on expressions of type scalar or instant vector, \
                 got {found}"
            );
            Err(ParseError::new(message, span))
        }
        ExprKind::Binary(binary) => check_binary(binary, span),
        ExprKind::Aggregation(aggregation) => check_aggregation(aggregation),
        ExprKind::Call(call) => check_call(call, span),
        ExprKind::Vector(selector) => check_selector(selector, span),
        ExprKind::Matrix(matrix) => check_selector(&matrix.selector, matrix.selector_span),
        ExprKind::Subquery(subquery) => {
            check(&mut subquery.expr)?;
            let found = subquery.expr.value_type();
            if found == ValueType::Vector {
                return Ok(());
            }
            let message = format!(
                "subquery is only allowed on instant vector, got {} instead",
                found.as_str()
            );
            Err(ParseError::new(message, span))
        }
    }
}

/// A metric's name may stand outside the braces or inside, and once.
pub(super) fn name_is_given_once(selector: &VectorSelector, span: Span) -> Checked {
    let Some(name) = &selector.name else { return Ok(()) };
    let others = selector.matchers.len().saturating_sub(1);
    match selector.matchers.iter().take(others).find(|matcher| matcher.name() == METRIC_NAME) {
        Some(twice) => {
            let (first, second) = (quoted(name), quoted(twice.value()));
            let message = format!("metric name must not be set twice: {first} or {second}");
            Err(ParseError::new(message, span))
        }
        None => Ok(()),
    }
}

fn check_selector(selector: &VectorSelector, span: Span) -> Checked {
    name_is_given_once(selector, span)?;
    if selector.name.is_none() && selector.matchers.iter().all(|one| one.matches_empty()) {
        let message = "vector selector must contain at least one non-empty matcher";
        let help = "name a metric, or all of them: {__name__=~\".+\"}".to_owned();
        return Err(ParseError::new(message, span).with_help(Some(help)));
    }
    Ok(())
}

fn check_binary(binary: &mut Binary, span: Span) -> Checked {
    check(&mut binary.lhs)?;
    check(&mut binary.rhs)?;
    let (lhs, rhs) = (binary.lhs.value_type(), binary.rhs.value_type());
    let op = binary.op;
    let op_span = Span::new(binary.lhs.span.end, binary.rhs.span.start);
    if binary.return_bool && !op.is_comparison() {
        let message = "bool modifier can only be used on comparison operators";
        return Err(ParseError::new(message, op_span));
    }
    let scalars = lhs == ValueType::Scalar && rhs == ValueType::Scalar;
    if op.is_comparison() && !binary.return_bool && scalars {
        let message = "comparisons between scalars must use BOOL modifier";
        let help = format!("write {} {op} bool {}", binary.lhs, binary.rhs);
        return Err(ParseError::new(message, op_span).with_help(Some(help)));
    }
    for (side, found) in [(&binary.lhs, lhs), (&binary.rhs, rhs)] {
        if !matches!(found, ValueType::Scalar | ValueType::Vector) {
            let message = "binary expression must contain only scalar and instant vector types";
            return Err(ParseError::new(message, side.span).with_help(help::operand(side)));
        }
    }
    check_matching(binary, op_span, span)?;
    if op.is_set() && (lhs == ValueType::Scalar || rhs == ValueType::Scalar) {
        let message =
            format!("set operator {} not allowed in binary scalar expression", quoted(op.as_str()));
        return Err(ParseError::new(message, span).with_help(help::set_operator(binary)));
    }
    Ok(())
}

fn check_matching(binary: &mut Binary, op_span: Span, span: Span) -> Checked {
    let vectors = binary.lhs.value_type() == ValueType::Vector
        && binary.rhs.value_type() == ValueType::Vector;
    let op = binary.op;
    let Some(matching) = &mut binary.matching else { return Ok(()) };
    let fail = |message: String, span| Err(ParseError::new(message, span));
    if op.is_set() && matching.cardinality == Cardinality::OneToOne {
        matching.cardinality = Cardinality::ManyToMany;
    }
    let twice = matching.labels.iter().find(|label| matching.include.contains(label));
    if let Some(label) = twice.filter(|_| matching.on) {
        let label = quoted(label);
        return fail(
            format!("label {label} must not occur in ON and GROUP clause at once"),
            op_span,
        );
    }
    let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
    if !vectors {
        if !matching.labels.is_empty() {
            let message = "vector matching only allowed between instant vectors";
            return fail(message.to_owned(), span);
        }
        if fills {
            let message = "filling in missing series only allowed between instant vectors";
            return fail(message.to_owned(), span);
        }
        binary.matching = None;
        return Ok(());
    }
    if op.is_set() {
        if matching.cardinality != Cardinality::ManyToMany {
            let op = quoted(op.as_str());
            return fail(format!("no grouping allowed for {op} operation"), span);
        }
        if fills {
            let message = "filling in missing series not allowed for set operators";
            return fail(message.to_owned(), span);
        }
    }
    Ok(())
}

fn check_aggregation(aggregation: &mut Aggregation) -> Checked {
    check(&mut aggregation.expr)?;
    let wanted = ValueType::Vector;
    expect(&aggregation.expr, wanted, "aggregation expression").map_err(|err| {
        err.with_help(help::wrong_operand(aggregation, &aggregation.expr, wanted))
    })?;
    if let Some(param) = &mut aggregation.param {
        check(param)?;
    }
    if let (Some(wanted), Some(param)) = (aggregation.op.param_type(), &aggregation.param) {
        expect(param, wanted, "aggregation parameter")
            .map_err(|err| err.with_help(help::wrong_operand(aggregation, param, wanted)))?;
    }
    Ok(())
}

fn expect(expr: &Expr, wanted: ValueType, context: &str) -> Checked {
    let found = expr.value_type();
    if found == wanted {
        return Ok(());
    }
    let (wanted, found) = (wanted.documented(), found.documented());
    let message = format!("expected type {wanted} in {context}, got {found}");
    Err(ParseError::new(message, expr.span))
}

fn check_call(call: &mut Call, span: Span) -> Checked {
    let signature = call.function.signature();
    let (name, found) = (quoted(signature.name), call.args.len());
    let count_wrong = |call: &Call, at: &str, wanted: usize| {
        let message = format!("expected {at}{wanted} argument(s) in call to {name}, got {found}");
        Err(ParseError::new(message, span).with_help(help::wrong_count(call)))
    };
    let declared = signature.args.len();
    if signature.variadic == 0 && found != declared {
        return count_wrong(call, "", declared);
    }
    let least = declared.saturating_sub(usize::from(signature.variadic != 0));
    if found < least {
        return count_wrong(call, "at least ", least);
    }
    if let Ok(more) = usize::try_from(signature.variadic)
        && more > 0
        && found > least + more
    {
        return count_wrong(call, "at most ", least + more);
    }
    let is_info = call.function == Function::Info;
    for place in 0..found {
        let Some(arg) = call.args.get_mut(place) else { break };
        if is_info && place == 1 {
            check_info_selector(arg)?;
        } else {
            check(arg)?;
        }
        let wanted = signature.args.get(place).or(signature.args.last());
        if let (Some(wanted), Some(arg)) = (wanted, call.args.get(place)) {
            expect(arg, *wanted, &format!("call to function {name}"))
                .map_err(|err| err.with_help(help::wrong_argument(call, place, *wanted)))?;
        }
    }
    Ok(())
}

/// The second argument of `info` is labels alone, which may match everything.
fn check_info_selector(arg: &Expr) -> Checked {
    let message = match &arg.kind {
        ExprKind::Vector(selector) if selector.name.is_none() => return Ok(()),
        ExprKind::Vector(_) => "expected label selectors only, got vector selector instead",
        _other => "expected label selectors only",
    };
    expect(arg, ValueType::Vector, "call to function \"info\"")?;
    Err(ParseError::new(message, arg.span))
}
