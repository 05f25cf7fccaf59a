//! Expressions as JSON, for tree views.
//!
//! Source: prometheus, web/api/v1/translate_ast.go (the form; Go sorts the keys).

use crate::model::value_text::plain;
use crate::promql::syntax::{
    Aggregation, At, Binary, Call, Cardinality, Duration, DurationExpr, DurationKind, DurationOp,
    Expr, ExprKind, Extension, Number, Subquery, VectorSelector,
};
use serde_json::{Value, json};

/// The tree of an expression.
pub(in crate::service) fn ast(expr: &Expr) -> Value {
    match &expr.kind {
        ExprKind::Number(number) => json!({"type": "numberLiteral", "val": plain(number.value)}),
        ExprKind::String(text) => json!({"type": "stringLiteral", "val": text}),
        ExprKind::Paren(inner) => json!({"expr": ast(inner), "type": "parenExpr"}),
        ExprKind::Unary { negative, expr } => {
            let op = if *negative { "-" } else { "+" };
            json!({"expr": ast(expr), "op": op, "type": "unaryExpr"})
        }
        ExprKind::Binary(binary) => binary_form(binary),
        ExprKind::Aggregation(aggregation) => aggregation_form(aggregation),
        ExprKind::Call(call) => call_form(call),
        ExprKind::Vector(selector) => selector_form(selector, None),
        ExprKind::Matrix(matrix) => selector_form(&matrix.selector, Some(&matrix.range)),
        ExprKind::Subquery(subquery) => subquery_form(subquery),
    }
}

fn aggregation_form(aggregation: &Aggregation) -> Value {
    json!({
        "expr": ast(&aggregation.expr),
        "grouping": aggregation.grouping.labels,
        "op": aggregation.op.as_str(),
        "param": aggregation.param.as_ref().map(ast),
        "type": "aggregation",
        "without": aggregation.grouping.without,
    })
}

fn binary_form(binary: &Binary) -> Value {
    let matching = binary.matching.as_ref().map(|matching| {
        let card = match matching.cardinality {
            Cardinality::OneToOne => "one-to-one",
            Cardinality::ManyToOne => "many-to-one",
            Cardinality::OneToMany => "one-to-many",
            Cardinality::ManyToMany => "many-to-many",
        };
        json!({
            "card": card,
            "fillValues": {"lhs": matching.fill_left, "rhs": matching.fill_right},
            "include": matching.include,
            "labels": matching.labels,
            "on": matching.on,
        })
    });
    json!({
        "bool": binary.return_bool,
        "lhs": ast(&binary.lhs),
        "matching": matching,
        "op": binary.op.as_str(),
        "rhs": ast(&binary.rhs),
        "type": "binaryExpr",
    })
}

fn call_form(call: &Call) -> Value {
    let signature = call.function.signature();
    let types: Vec<&str> = signature.args.iter().map(|one| one.as_str()).collect();
    json!({
        "args": call.args.iter().map(ast).collect::<Vec<_>>(),
        "func": {
            "argTypes": types,
            "name": signature.name,
            "returnType": signature.returns.as_str(),
            "variadic": signature.variadic,
        },
        "type": "call",
    })
}

fn selector_form(selector: &VectorSelector, range: Option<&Duration>) -> Value {
    let matchers: Vec<Value> = selector
        .matchers
        .iter()
        .map(|one| json!({"name": one.name(), "type": one.op().as_str(), "value": one.value()}))
        .collect();
    let name = selector.name.as_deref().unwrap_or_default();
    let (offset, offset_expr) =
        (millis(selector.offset.as_ref()), duration_expr(selector.offset.as_ref()));
    let (anchored, smoothed) = (
        selector.extension == Some(Extension::Anchored),
        selector.extension == Some(Extension::Smoothed),
    );
    let (edge, ts) = (start_or_end(selector.at), timestamp(selector.at));
    match range {
        None => json!({
            "anchored": anchored,
            "matchers": matchers,
            "name": name,
            "offset": offset,
            "offsetExpr": offset_expr,
            "smoothed": smoothed,
            "startOrEnd": edge,
            "timestamp": ts,
            "type": "vectorSelector",
        }),
        Some(range) => json!({
            "anchored": anchored,
            "matchers": matchers,
            "name": name,
            "offset": offset,
            "offsetExpr": offset_expr,
            "range": millis(Some(range)),
            "rangeExpr": duration_expr(Some(range)),
            "smoothed": smoothed,
            "startOrEnd": edge,
            "timestamp": ts,
            "type": "matrixSelector",
        }),
    }
}

fn subquery_form(subquery: &Subquery) -> Value {
    json!({
        "expr": ast(&subquery.expr),
        "offset": millis(subquery.offset.as_ref()),
        "offsetExpr": duration_expr(subquery.offset.as_ref()),
        "range": millis(Some(&subquery.range)),
        "rangeExpr": duration_expr(Some(&subquery.range)),
        "startOrEnd": start_or_end(subquery.at),
        "step": millis(subquery.step.as_ref()),
        "stepExpr": duration_expr(subquery.step.as_ref()),
        "timestamp": timestamp(subquery.at),
        "type": "subquery",
    })
}

/// Milliseconds of a literal; 0 when there is none, and for an expression.
fn millis(duration: Option<&Duration>) -> i64 {
    match duration {
        Some(Duration::Millis(ms)) => *ms,
        Some(Duration::Expr(_)) | None => 0,
    }
}

fn start_or_end(at: Option<At>) -> Option<&'static str> {
    match at {
        Some(At::Start) => Some("start"),
        Some(At::End) => Some("end"),
        Some(At::Time(_)) | None => None,
    }
}

fn timestamp(at: Option<At>) -> Option<i64> {
    match at {
        Some(At::Time(ts)) => Some(ts.as_millis()),
        Some(At::Start | At::End) | None => None,
    }
}

fn duration_expr(duration: Option<&Duration>) -> Value {
    match duration {
        Some(Duration::Expr(expr)) => duration_form(expr, false),
        Some(Duration::Millis(_)) | None => Value::Null,
    }
}

fn duration_form(expr: &DurationExpr, wrapped: bool) -> Value {
    let node = |op: &str, lhs: Value, rhs: Value| json!({"lhs": lhs, "op": op, "rhs": rhs, "type": "durationExpr", "wrapped": wrapped});
    match &expr.kind {
        // A number has no parentheses of its own: upstream puts a plus around it.
        DurationKind::Number(number) if wrapped => node("+", Value::Null, number_form(number)),
        DurationKind::Number(number) => number_form(number),
        DurationKind::Step => node("step", Value::Null, Value::Null),
        DurationKind::Range => node("range", Value::Null, Value::Null),
        DurationKind::Negative(inner) => node("-", Value::Null, duration_form(inner, false)),
        DurationKind::Paren(inner) => duration_form(inner, true),
        DurationKind::Binary { op, lhs, rhs } => {
            let op = match op {
                DurationOp::Add => "+",
                DurationOp::Sub => "-",
                DurationOp::Mul => "*",
                DurationOp::Div => "/",
                DurationOp::Mod => "%",
                DurationOp::Pow => "^",
                DurationOp::MinOf => "min_of",
                DurationOp::MaxOf => "max_of",
            };
            node(op, duration_form(lhs, false), duration_form(rhs, false))
        }
    }
}

fn number_form(number: &Number) -> Value {
    json!({"duration": number.is_duration, "type": "numberLiteral", "val": plain(number.value)})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::syntax::{Features, parse};

    fn form(text: &str) -> String {
        ast(&parse(text, &Features::ALL).expect(text)).to_string()
    }

    #[test]
    fn trees_have_upstreams_form() {
        // Read off prometheus, web/api/v1/translate_ast.go; Go writes maps with sorted keys.
        let a = r#"{"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"a"}],"name":"a","offset":0,"offsetExpr":null,"smoothed":false,"startOrEnd":null,"timestamp":null,"type":"vectorSelector"}"#;
        for (text, expected) in [
            ("a", a.to_owned()),
            ("-a", format!(r#"{{"expr":{a},"op":"-","type":"unaryExpr"}}"#)),
            ("(1.50)", r#"{"expr":{"type":"numberLiteral","val":"1.5"},"type":"parenExpr"}"#.to_owned()),
            ("1h", r#"{"type":"numberLiteral","val":"3600"}"#.to_owned()),
            ("'x'", r#"{"type":"stringLiteral","val":"x"}"#.to_owned()),
            (
                "topk by (x) (1, a)",
                format!(
                    r#"{{"expr":{a},"grouping":["x"],"op":"topk","param":{{"type":"numberLiteral","val":"1"}},"type":"aggregation","without":false}}"#
                ),
            ),
            (
                "a > bool 1",
                format!(
                    r#"{{"bool":true,"lhs":{a},"matching":null,"op":">","rhs":{{"type":"numberLiteral","val":"1"}},"type":"binaryExpr"}}"#
                ),
            ),
            (
                "a / on (x) group_left (y) a",
                format!(
                    r#"{{"bool":false,"lhs":{a},"matching":{{"card":"many-to-one","fillValues":{{"lhs":null,"rhs":null}},"include":["y"],"labels":["x"],"on":true}},"op":"/","rhs":{a},"type":"binaryExpr"}}"#
                ),
            ),
            (
                "time()",
                r#"{"args":[],"func":{"argTypes":[],"name":"time","returnType":"scalar","variadic":0},"type":"call"}"#
                    .to_owned(),
            ),
            (
                r#"b{c!~"d"}[5m] @ 1.5 offset -1m"#,
                r#"{"anchored":false,"matchers":[{"name":"c","type":"!~","value":"d"},{"name":"__name__","type":"=","value":"b"}],"name":"b","offset":-60000,"offsetExpr":null,"range":300000,"rangeExpr":null,"smoothed":false,"startOrEnd":null,"timestamp":1500,"type":"matrixSelector"}"#
                    .to_owned(),
            ),
            (
                "a[1h:] @ end()",
                format!(
                    r#"{{"expr":{a},"offset":0,"offsetExpr":null,"range":3600000,"rangeExpr":null,"startOrEnd":"end","step":0,"stepExpr":null,"timestamp":null,"type":"subquery"}}"#
                ),
            ),
        ] {
            assert_eq!(form(text), expected, "{text}");
        }
        let range = form("a[-step() + (5m)]");
        let expected = r#""range":0,"rangeExpr":{"lhs":{"lhs":null,"op":"-","rhs":{"lhs":null,"op":"step","rhs":null,"type":"durationExpr","wrapped":false},"type":"durationExpr","wrapped":false},"op":"+","rhs":{"lhs":null,"op":"+","rhs":{"duration":true,"type":"numberLiteral","val":"300"},"type":"durationExpr","wrapped":true},"type":"durationExpr","wrapped":false}"#;
        assert!(range.contains(expected), "{range}");
    }
}
