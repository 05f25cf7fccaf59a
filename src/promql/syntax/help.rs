//! What could be written instead of what is wrong: the help below a parse error.
//!
//! The messages are Prometheus' and stay so; what stands here is ours and goes to people only.

use super::functions::{function_names, signature_of};
use super::token::{Keyword, Kind, Token};
use super::{
    AggregateOp, Aggregation, Binary, BinaryOp, Call, Duration, Expr, ExprKind, Function, Matrix,
    Place, Span, ValueType, VectorSelector,
};
use crate::model::nearest_name;

/// What other languages call something that PromQL has.
const OTHER_NAMES: [(&str, &str); 12] = [
    ("average", "avg"),
    ("mean", "avg"),
    ("median", "quantile(0.5, ...)"),
    ("percentile", "quantile(0.95, ...)"),
    ("length", "count"),
    ("len", "count"),
    ("last", "last_over_time"),
    ("first", "first_over_time"),
    ("now", "time"),
    ("log", "ln, log2 or log10"),
    ("pow", "the operator ^"),
    ("mod", "the operator %"),
];

/// For a name that is called and that no function has.
pub(super) fn unknown_function(name: &str) -> Option<String> {
    if name == "holt_winters" {
        return Some("holt_winters is double_exponential_smoothing since 3.0".to_owned());
    }
    let lower = name.to_ascii_lowercase();
    if let Some((_, here)) = OTHER_NAMES.iter().find(|(other, _)| *other == lower) {
        return Some(format!("PromQL has {here} for this"));
    }
    let aggregations = AggregateOp::ALL.map(AggregateOp::as_str);
    let near = nearest_name(&lower, function_names().chain(aggregations))?;
    let experimental = signature_of(near).is_some_and(|signature| signature.experimental)
        || AggregateOp::ALL.iter().any(|op| op.as_str() == near && op.is_experimental());
    let flag = if experimental {
        " It is experimental: start the server with --enable-feature=promql-experimental-functions"
    } else {
        ""
    };
    Some(format!("did you mean {near}?{flag}"))
}

/// For a feature that is switched off.
pub(super) fn switch_on(feature: &str) -> Option<String> {
    Some(format!("start the server with --enable-feature={feature}"))
}

/// For a token that stands where it may not, behind `before`.
pub(super) fn unexpected(
    before: Option<Token<'_>>,
    token: Token<'_>,
    after: Token<'_>,
    context: &str,
) -> Option<String> {
    let said = |text: &str| Some(text.to_owned());
    let in_braces = context == "label matching";
    match (before.map(|before| before.kind), token.kind) {
        (Some(Kind::Assign), Kind::Assign) if in_braces => {
            said("inside braces a single = compares: {label=\"value\"}")
        }
        (Some(Kind::Assign | Kind::MatchRegex | Kind::MatchNotRegex), Kind::Identifier)
        | (Some(Kind::Operator(BinaryOp::NotEqual)), Kind::Identifier)
            if in_braces =>
        {
            Some(format!("values stand in quotes: \"{}\"", token.text))
        }
        (_, Kind::Assign) if after.kind == Kind::Operator(BinaryOp::Greater) => {
            said("at least is >=")
        }
        (_, Kind::Assign) if after.kind == Kind::Operator(BinaryOp::Less) => said("at most is <="),
        (_, Kind::Assign) => said("= stands inside braces only; == compares values"),
        (Some(Kind::Operator(BinaryOp::Less)), Kind::Operator(BinaryOp::Greater)) => {
            said("!= compares for being different")
        }
        (Some(Kind::Operator(BinaryOp::Mul)), Kind::Operator(BinaryOp::Mul)) => {
            said("^ is the power")
        }
        (_, Kind::Keyword(Keyword::By | Keyword::Without)) => {
            let name = before.filter(|before| before.kind == Kind::Identifier)?;
            let known = AggregateOp::ALL.map(AggregateOp::as_str);
            let near = nearest_name(&name.text.to_ascii_lowercase(), known);
            Some(match near {
                Some(near) => format!("did you mean {near}?"),
                None => format!("{} groups what an aggregation such as sum joins", token.text),
            })
        }
        (_, Kind::Identifier) if context == "grouping opts" && after.kind != Kind::LeftParen => {
            Some(format!("labels stand in parentheses: ({})", token.text))
        }
        (_, Kind::RightParen | Kind::End) if context == "subquery or range" => {
            said("close the bracket: ]")
        }
        (_, Kind::RightBracket) if context.contains("subquery or range") => {
            said("a range stands inside the brackets: [5m]")
        }
        (Some(Kind::Operator(_)), Kind::End | Kind::RightParen) => {
            Some(format!("an expression is missing behind {}", before?.text))
        }
        (Some(Kind::Comma), Kind::RightParen) => said("take the comma away"),
        (Some(Kind::Identifier | Kind::MetricIdentifier | Kind::RightBrace), Kind::Duration) => {
            Some(format!("a range stands in brackets: [{}]", token.text))
        }
        (Some(Kind::Number | Kind::RightParen | Kind::Identifier), Kind::Identifier) => {
            let known = ["and", "or", "unless", "offset", "by", "without", "bool"];
            // A letter alone is near to anything.
            let word = Some(token.text.to_ascii_lowercase()).filter(|word| word.len() > 1);
            Some(match word.and_then(|word| nearest_name(&word, known)) {
                Some(near) => format!("did you mean {near}?"),
                None => "an operator or a comma is missing before it".to_owned(),
            })
        }
        _other => None,
    }
}

/// For what opens and is never closed.
pub(super) fn unclosed(text: &str, open: usize, close: char) -> Option<String> {
    let place = Place::of(text, open);
    let opened = text.get(open..)?.chars().next()?;
    Some(format!("the {opened} at {place} is never closed; add {close}"))
}

/// For a character that no token begins with.
pub(super) fn character(rest: &str) -> Option<String> {
    let text = match rest.as_bytes() {
        [b'&', ..] => "both: the word and",
        [b'|', ..] => "either: the word or",
        [b'!', b'~', ..] | [b'=', b'~', ..] => "patterns stand inside braces: {label=~\"pattern\"}",
        [b'!', ..] => "other than is !=; all but those of another vector is the word unless",
        [b';', ..] => "an expression has no semicolon at its end",
        [b'$', ..] => "variables of dashboards are filled in by the dashboard",
        [b']', ..] => "no bracket is open here",
        _ => return None,
    };
    Some(text.to_owned())
}

/// For a number or duration that cannot be read.
pub(super) fn bad_number(text: &str) -> Option<String> {
    const UNITS: &str = "the units are ms, s, m, h, d, w and y";
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at_checked(digits)?;
    if let Some(fraction) = unit.strip_prefix('.') {
        let letters = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        if !letters.is_empty() {
            return Some(
                "durations are made of whole numbers: 1h30m for one hour and a half".into(),
            );
        }
        return None;
    }
    let meant = match unit.to_ascii_lowercase().as_str() {
        "ns" | "us" => return Some(format!("the smallest unit is ms; {UNITS}")),
        "msec" | "millis" | "milliseconds" => "ms",
        "sec" | "secs" | "second" | "seconds" => "s",
        "min" | "mins" | "minute" | "minutes" => "m",
        "hr" | "hrs" | "hour" | "hours" => "h",
        "day" | "days" => "d",
        "week" | "weeks" => "w",
        "mo" | "month" | "months" => return Some(format!("a month is 30d; {UNITS}")),
        "yr" | "year" | "years" => "y",
        "s" | "m" | "h" | "d" | "w" | "y" => {
            return Some(format!("units are small letters: {}", text.to_lowercase()));
        }
        _ => return Some(UNITS.to_owned()),
    };
    Some(format!("write {count}{meant}; {UNITS}"))
}

/// For a duration that is out of range or whose units stand in the wrong order.
pub(super) fn duration(text: &str) -> Option<String> {
    let units = text.split(|c: char| c.is_ascii_digit()).filter(|unit| !unit.is_empty());
    (units.count() > 1).then(|| "each unit stands once, the larger first: 1h30m".to_owned())
}

/// For an argument of the wrong type. `call` is the whole call.
pub(super) fn wrong_argument(call: &Call, place: usize, wanted: ValueType) -> Option<String> {
    let arg = call.args.get(place)?;
    let name = call.function.name();
    let with = |text: String| {
        let args = call.args.iter().enumerate();
        let texts: Vec<String> = args
            .map(|(at, arg)| if at == place { text.clone() } else { arg.to_string() })
            .collect();
        format!("{name}({})", texts.join(", "))
    };
    let parameter = parameter(call.function, place);
    let help = match (wanted, arg.value_type()) {
        (ValueType::Matrix, ValueType::Vector) => match arg.unparenthesized() {
            Expr { kind: ExprKind::Vector(selector), .. } => {
                let range = with_range(selector.clone(), Duration::Millis(300_000));
                format!("{name} looks at samples over time: {}", with(range))
            }
            Expr { kind: ExprKind::Aggregation(_), .. } if call.args.len() == 1 => {
                aggregated_first(call.function, arg)?
            }
            _other => format!("{name} looks at samples over time: {}", with(subquery(arg))),
        },
        (wanted, found) => {
            let hint = convert(arg, wanted, found).map(with);
            let hint = hint.map_or_else(String::new, |text| format!(": {text}"));
            format!("{parameter} of {} is {}{hint}", usage(call.function), article(wanted))
        }
    };
    Some(help)
}

/// For a call with too few or too many arguments.
pub(super) fn wrong_count(call: &Call) -> Option<String> {
    let signature = call.function.signature();
    let needed = signature.args.len() - usize::from(signature.variadic != 0);
    let usage = usage(call.function);
    let missing: Vec<&str> =
        (call.args.len()..needed).map(|place| parameter(call.function, place)).collect();
    Some(if missing.is_empty() {
        format!("it is called as {usage}")
    } else {
        format!("{} is missing: {usage}", missing.join(" and "))
    })
}

/// For an aggregation without its operand or parameter, or with too many.
pub(super) fn wrong_aggregation(op: AggregateOp) -> Option<String> {
    let form = match op {
        AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk => "(count, vector)",
        AggregateOp::LimitRatio => "(ratio, vector)",
        AggregateOp::Quantile => "(quantile, vector)",
        AggregateOp::CountValues => "(\"label\", vector)",
        _other => "(vector)",
    };
    Some(format!("it is called as {}{form}", op.as_str()))
}

/// For what an aggregation cannot take.
pub(super) fn wrong_operand(
    aggregation: &Aggregation,
    expr: &Expr,
    wanted: ValueType,
) -> Option<String> {
    let text = convert(expr, wanted, expr.value_type())?;
    let op = aggregation.op.as_str();
    Some(match &aggregation.param {
        None => format!("write {op}({text})"),
        Some(_) => format!("write {text}; {}", wrong_aggregation(aggregation.op)?),
    })
}

/// For an operand that is neither a number nor a vector.
pub(super) fn operand(expr: &Expr) -> Option<String> {
    let text = convert(expr, ValueType::Vector, expr.value_type())?;
    Some(format!("write {text}"))
}

/// For a range behind what is no selector.
pub(super) fn subquery_instead(expr: &Expr, range: &Duration) -> Option<String> {
    (expr.value_type() == ValueType::Vector)
        .then(|| format!("a range of an expression is a subquery: {expr}[{range}:]"))
}

/// For a range behind the selector's modifiers.
pub(super) fn range_first(selector: VectorSelector, range: Duration) -> Option<String> {
    Some(format!("the range comes first: {}", with_range(selector, range)))
}

fn with_range(selector: VectorSelector, range: Duration) -> String {
    let kind = ExprKind::Matrix(Matrix { selector, selector_span: Span::default(), range });
    Expr { kind, span: Span::default() }.to_string()
}

/// For `and`, `or` or `unless` with a number.
pub(super) fn set_operator(binary: &Binary) -> Option<String> {
    let (lhs, rhs) = (&binary.lhs, &binary.rhs);
    let (vector, number) =
        if rhs.value_type() == ValueType::Scalar { (lhs, rhs) } else { (rhs, lhs) };
    Some(format!("set operators take vectors; to filter by value compare: {vector} == {number}"))
}

/// `expr` turned into a value of type `wanted`.
fn convert(expr: &Expr, wanted: ValueType, found: ValueType) -> Option<String> {
    match (wanted, found, &expr.unparenthesized().kind) {
        (ValueType::Vector, ValueType::Matrix, ExprKind::Matrix(_)) => {
            Some(format!("rate({expr}) or last_over_time({expr})"))
        }
        (ValueType::Vector, ValueType::Matrix, _) => Some(format!("max_over_time({expr})")),
        (ValueType::Vector, ValueType::Scalar, _) => Some(format!("vector({expr})")),
        (ValueType::Scalar, ValueType::Vector, _) => Some(format!("scalar({expr})")),
        (ValueType::String, _, ExprKind::Vector(selector)) => {
            selector.name.as_ref().map(|name| format!("\"{name}\""))
        }
        _other => None,
    }
}

/// `sum(rate(x[5m]))` in place of `rate(sum(x))`.
fn aggregated_first(function: Function, arg: &Expr) -> Option<String> {
    let ExprKind::Aggregation(aggregation) = &arg.unparenthesized().kind else { return None };
    let name = function.name();
    let ExprKind::Vector(_) = &aggregation.expr.unparenthesized().kind else {
        return Some(format!("{name} looks at samples over time: {name}({})", subquery(arg)));
    };
    let mut swapped = Aggregation::clone(aggregation);
    let inner = format!("{name}({}[5m])", aggregation.expr);
    swapped.expr = super::parse(&inner, &super::Features::ALL).ok()?;
    let kind = ExprKind::Aggregation(Box::new(swapped));
    Some(format!("{name} comes first, then the aggregation: {}", Expr { kind, span: arg.span }))
}

fn subquery(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Binary(_) | ExprKind::Unary { .. } => format!("({expr})[5m:]"),
        _other => format!("{expr}[5m:]"),
    }
}

fn article(wanted: ValueType) -> &'static str {
    match wanted {
        ValueType::Scalar => "a number",
        ValueType::Vector => "an instant vector",
        ValueType::Matrix => "a range vector",
        ValueType::String => "a text in quotes",
    }
}

/// `histogram_quantile(quantile, buckets)`
fn usage(function: Function) -> String {
    let signature = function.signature();
    let names: Vec<String> = (0..signature.args.len())
        .map(|place| {
            let name = parameter(function, place);
            let last = place + 1 == signature.args.len();
            match signature.variadic {
                0 => name.to_owned(),
                1 if last => format!("[{name}]"),
                _ if last => format!("{name}, ..."),
                _ => name.to_owned(),
            }
        })
        .collect();
    format!("{}({})", signature.name, names.join(", "))
}

/// What the documentation calls an argument.
/// Source: prometheus, docs/querying/functions.md.
fn parameter(function: Function, place: usize) -> &'static str {
    let names: &[&'static str] = match function {
        Function::Clamp => &["vector", "min", "max"],
        Function::ClampMax => &["vector", "max"],
        Function::ClampMin => &["vector", "min"],
        Function::DoubleExponentialSmoothing => &["range", "smoothing factor", "trend factor"],
        Function::HistogramFraction => &["lower", "upper", "buckets"],
        Function::HistogramQuantile => &["quantile", "buckets"],
        Function::HistogramQuantiles => &["buckets", "label", "quantile"],
        Function::Info => &["vector", "{label selectors}"],
        Function::LabelJoin => &["vector", "target label", "separator", "source label"],
        Function::LabelReplace => {
            &["vector", "target label", "replacement", "source label", "regex"]
        }
        Function::MaxOf | Function::MinOf => &["a", "b"],
        Function::PredictLinear => &["range", "seconds"],
        Function::QuantileOverTime => &["quantile", "range"],
        Function::Round => &["vector", "to nearest"],
        Function::SortByLabel | Function::SortByLabelDesc => &["vector", "label"],
        _other => &[],
    };
    let declared = function.signature().args;
    let last = place.min(declared.len().saturating_sub(1));
    names.get(last).copied().unwrap_or(match declared.get(last) {
        Some(ValueType::Matrix) => "range",
        Some(ValueType::Scalar) => "number",
        Some(ValueType::String) => "text",
        Some(ValueType::Vector) | None => "vector",
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Features, ParseError, parse};

    fn refused(text: &str) -> ParseError {
        parse(text, &Features::default()).expect_err(text)
    }

    #[test]
    fn each_usual_slip_gets_what_to_write_instead() {
        let mut wrong = Vec::new();
        for (text, help) in [
            ("rat(a[5m])", "did you mean rate?"),
            ("RATE(a[5m])", "did you mean rate?"),
            ("sums(a)", "did you mean sum?"),
            ("sums by (job) (a)", "did you mean sum?"),
            ("average(a)", "PromQL has avg for this"),
            ("rate(a)", "rate looks at samples over time: rate(a[5m])"),
            ("rate(a{b=\"c\"} offset 1h)", "rate(a{b=\"c\"}[5m] offset 1h)"),
            ("rate(sum(a))", "rate comes first, then the aggregation: sum(rate(a[5m]))"),
            ("rate(sum by (x) (a))", "sum by (x) (rate(a[5m]))"),
            ("max_over_time(a + b)", "max_over_time((a + b)[5m:])"),
            ("quantile_over_time(0.9, a)", "quantile_over_time(0.9, a[5m])"),
            ("sum(a[5m])", "write sum(rate(a[5m]) or last_over_time(a[5m]))"),
            ("a[5m] > 1", "write rate(a[5m]) or last_over_time(a[5m])"),
            ("abs(1)", "vector of abs(vector) is an instant vector: abs(vector(1))"),
            (
                "clamp(a, b, 1)",
                "min of clamp(vector, min, max) is a number: clamp(a, scalar(b), 1)",
            ),
            (
                "histogram_quantile(0.9)",
                "buckets is missing: histogram_quantile(quantile, buckets)",
            ),
            ("abs(a, b)", "it is called as abs(vector)"),
            ("round()", "vector is missing: round(vector, [to nearest])"),
            ("label_join(a, b, 'x')", "target label of label_join("),
            ("topk(a)", "it is called as topk(count, vector)"),
            ("topk(a, b)", "write scalar(a); it is called as topk(count, vector)"),
            ("sum()", "it is called as sum(vector)"),
            ("a{b=\"c\"", "the { at 1:2 is never closed; add }"),
            ("sum(\n  a", "the ( at 1:4 is never closed; add )"),
            ("rate(a[5m", "the [ at 1:7 is never closed; add ]"),
            ("rate(a[5m)", "close the bracket: ]"),
            ("rate(a[])", "a range stands inside the brackets: [5m]"),
            ("a{b=\"c}", "the \" at 1:5 is never closed; add \""),
            ("a[5min]", "write 5m; the units are ms, s, m, h, d, w and y"),
            ("a[5x]", "the units are ms, s, m, h, d, w and y"),
            ("a[5M]", "units are small letters: 5m"),
            ("a[1.5h]", "durations are made of whole numbers"),
            ("a[30s5m]", "each unit stands once, the larger first: 1h30m"),
            ("a = 1", "= stands inside braces only; == compares values"),
            ("a{b==\"c\"}", "inside braces a single = compares"),
            ("a{b=c}", "values stand in quotes: \"c\""),
            ("a =~ \"b\"", "patterns stand inside braces"),
            ("a && b", "both: the word and"),
            ("a || b", "either: the word or"),
            ("a <> b", "!= compares for being different"),
            ("a => 1", "at least is >="),
            ("a ** 2", "^ is the power"),
            ("a annd b", "did you mean and?"),
            ("a b", "an operator or a comma is missing before it"),
            ("sum(a) by job", "labels stand in parentheses: (job)"),
            ("a 5m", "a range stands in brackets: [5m]"),
            ("a and 1", "set operators take vectors; to filter by value compare: a == 1"),
            ("1 > 2", "write 1 > bool 2"),
            ("sum(a)[5m]", "a range of an expression is a subquery: sum(a)[5m:]"),
            ("{}", "name a metric, or all of them: {__name__=~\".+\"}"),
            ("a offset 1h[5m]", "the range comes first: a[5m] offset 1h"),
            ("1 +", "an expression is missing behind +"),
            ("rate(a[5m],)", "take the comma away"),
            ("mad_over_tim(a[5m])", "did you mean mad_over_time? It is experimental: start the"),
            ("info(a)", "start the server with --enable-feature=promql-experimental-functions"),
            (
                "limitk(1, a)",
                "start the server with --enable-feature=promql-experimental-functions",
            ),
            ("rate(a[5m] anchored)", "--enable-feature=promql-extended-range-selectors"),
            ("a + fill(0) b", "--enable-feature=promql-binop-fill-modifiers"),
        ] {
            let err = refused(text);
            let found = err.help.clone().unwrap_or_default();
            if !found.contains(help) {
                wrong.push(format!("{text}: {err}\nhelp: {found}\nwanted: {help}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
