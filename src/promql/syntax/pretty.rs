//! Expressions over several lines, as `/api/v1/format_query` answers them.
//!
//! Source: prometheus, promql/parser/prettier.go (the form).

use super::{Expr, ExprKind};

/// A longer expression is split; in bytes, as upstream counts.
const LINE_BYTES_MAX: usize = 100;

impl Expr {
    /// The canonical text, split over indented lines where it is long.
    pub fn pretty(&self) -> String {
        within(self, 0, LINE_BYTES_MAX)
    }
}

fn within(expr: &Expr, level: usize, bytes_max: usize) -> String {
    let whole = expr.to_string();
    let indent = "  ".repeat(level);
    let below = |inner: &Expr| within(inner, level + 1, bytes_max);
    if let ExprKind::Unary { negative, expr: inner } = &expr.kind {
        let sign = if *negative { '-' } else { '+' };
        return format!("{indent}{sign}{}", within(inner, level, bytes_max).trim());
    }
    if whole.len() <= bytes_max {
        // Upstream leaves a subquery that fits where it is.
        let is_subquery = matches!(expr.kind, ExprKind::Subquery(_));
        return if is_subquery { whole } else { format!("{indent}{whole}") };
    }
    match &expr.kind {
        ExprKind::Aggregation(aggregation) => {
            let param = aggregation.param.as_ref();
            let param = param.map_or_else(String::new, |param| format!("{},\n", below(param)));
            let inner = below(&aggregation.expr);
            format!("{indent}{}(\n{param}{inner}\n{indent})", aggregation.head())
        }
        ExprKind::Binary(binary) => {
            let (lhs, rhs) = (below(&binary.lhs), below(&binary.rhs));
            format!("{lhs}\n{indent}{}\n{rhs}", binary.operator())
        }
        ExprKind::Call(call) => {
            let args: Vec<String> = call.args.iter().map(below).collect();
            format!("{indent}{}(\n{}\n{indent})", call.function.name(), args.join(",\n"))
        }
        ExprKind::Paren(inner) => format!("{indent}(\n{}\n{indent})", below(inner)),
        ExprKind::Subquery(subquery) => {
            format!("{}{}", within(&subquery.expr, level, bytes_max), subquery.suffix())
        }
        ExprKind::Number(_)
        | ExprKind::String(_)
        | ExprKind::Unary { .. }
        | ExprKind::Vector(_)
        | ExprKind::Matrix(_) => format!("{indent}{whole}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Features, parse};
    use super::*;

    /// Cases of prometheus, promql/parser/prettier_test.go: ten bytes fit on a line there.
    const CASES: &[(&str, &str)] = &[
        ("sum(foo)", "sum(foo)"),
        (
            r#"sum by() (task:errors:rate10s{job="s"})"#,
            r#"sum(
  task:errors:rate10s{job="s"}
)"#,
        ),
        (
            r#"sum without(job,foo) (task:errors:rate10s{job="s"})"#,
            r#"sum without (job, foo) (
  task:errors:rate10s{job="s"}
)"#,
        ),
        (
            r#"sum(task:errors:rate10s{job="s"}) without(job,foo)"#,
            r#"sum without (job, foo) (
  task:errors:rate10s{job="s"}
)"#,
        ),
        (
            r#"sum by(job,foo) (task:errors:rate10s{job="s"})"#,
            r#"sum by (job, foo) (
  task:errors:rate10s{job="s"}
)"#,
        ),
        (
            r#"sum (task:errors:rate10s{job="s"}) by(job,foo)"#,
            r#"sum by (job, foo) (
  task:errors:rate10s{job="s"}
)"#,
        ),
        (
            r#"topk(10, ask:errors:rate10s{job="s"})"#,
            r#"topk(
  10,
  ask:errors:rate10s{job="s"}
)"#,
        ),
        (
            r#"sum by(job,foo) (sum by(job,foo) (task:errors:rate10s{job="s"}))"#,
            r#"sum by (job, foo) (
  sum by (job, foo) (
    task:errors:rate10s{job="s"}
  )
)"#,
        ),
        (
            r#"sum by(job,foo) (sum by(job,foo) (sum by(job,foo) (task:errors:rate10s{job="s"})))"#,
            r#"sum by (job, foo) (
  sum by (job, foo) (
    sum by (job, foo) (
      task:errors:rate10s{job="s"}
    )
  )
)"#,
        ),
        (
            r#"sum by(job,foo)
(sum by(job,foo) (task:errors:rate10s{job="s"}))"#,
            r#"sum by (job, foo) (
  sum by (job, foo) (
    task:errors:rate10s{job="s"}
  )
)"#,
        ),
        (
            r#"sum by(job,foo)
(sum(task:errors:rate10s{job="s"}) without(job,foo))"#,
            r#"sum by (job, foo) (
  sum without (job, foo) (
    task:errors:rate10s{job="s"}
  )
)"#,
        ),
        (
            r#"sum by(job,foo) # Comment 1.
(sum by(job,foo) ( # Comment 2.
task:errors:rate10s{job="s"}))"#,
            r#"sum by (job, foo) (
  sum by (job, foo) (
    task:errors:rate10s{job="s"}
  )
)"#,
        ),
        ("a+b", "a + b"),
        (
            "a == bool 1",
            r"  a
== bool
  1",
        ),
        (
            "a + ignoring(job) b",
            r"  a
+ ignoring (job)
  b",
        ),
        (
            "foo_1 + foo_2",
            r"  foo_1
+
  foo_2",
        ),
        (
            "foo_1 + foo_2 + foo_3",
            r"    foo_1
  +
    foo_2
+
  foo_3",
        ),
        (
            "foo + baar + foo_3",
            r"  foo + baar
+
  foo_3",
        ),
        (
            "foo_1 + foo_2 + foo_3 + foo_4",
            r"      foo_1
    +
      foo_2
  +
    foo_3
+
  foo_4",
        ),
        (
            "foo_1 + ignoring(foo) foo_2 + ignoring(job) group_left foo_3 + on(instance) group_right foo_4",
            r"      foo_1
    + ignoring (foo)
      foo_2
  + ignoring (job) group_left ()
    foo_3
+ on (instance) group_right ()
  foo_4",
        ),
        (
            "rate(foo[1m])",
            r"rate(
  foo[1m]
)",
        ),
        (
            "sum_over_time(foo[1m])",
            r"sum_over_time(
  foo[1m]
)",
        ),
        (
            "rate(long_vector_selector[10m:1m] @ start() offset 1m)",
            r"rate(
  long_vector_selector[10m:1m] @ start() offset 1m
)",
        ),
        (
            "histogram_quantile(0.9, rate(foo[1m]))",
            r"histogram_quantile(
  0.9,
  rate(
    foo[1m]
  )
)",
        ),
        (
            "max_over_time(rate(demo_api_request_duration_seconds_count[1m])[1m:] @ start() offset 1m)",
            r"max_over_time(
  rate(
    demo_api_request_duration_seconds_count[1m]
  )[1m:] @ start() offset 1m
)",
        ),
        (
            r#"label_replace(up{job="api-server",service="a:c"}, "foo", "$1", "service", "(.*):.*")"#,
            r#"label_replace(
  up{job="api-server",service="a:c"},
  "foo",
  "$1",
  "service",
  "(.*):.*"
)"#,
        ),
        (
            r#"label_replace(label_replace(up{job="api-server",service="a:c"}, "foo", "$1", "service", "(.*):.*"), "foo", "$1", "service", "(.*):.*")"#,
            r#"label_replace(
  label_replace(
    up{job="api-server",service="a:c"},
    "foo",
    "$1",
    "service",
    "(.*):.*"
  ),
  "foo",
  "$1",
  "service",
  "(.*):.*"
)"#,
        ),
        ("(foo)", "(foo)"),
        (
            "(_foo_long_)",
            r"(
  _foo_long_
)",
        ),
        (
            "((foo_long))",
            r"(
  (foo_long)
)",
        ),
        (
            "((_foo_long_))",
            r"(
  (
    _foo_long_
  )
)",
        ),
        (
            "(((foo_long)))",
            r"(
  (
    (foo_long)
  )
)",
        ),
        ("a @ 1", "a @ 1.000"),
        ("a @ start()", "a @ start()"),
        ("vector_selector @ start()", "vector_selector @ start()"),
        ("(1 + 2)", "(1 + 2)"),
        (
            "(foo + bar)",
            r"(
  foo + bar
)",
        ),
        (
            "(foo_long + bar_long)",
            r"(
    foo_long
  +
    bar_long
)",
        ),
        (
            "(foo_long + bar_long + bar_2_long)",
            r"(
      foo_long
    +
      bar_long
  +
    bar_2_long
)",
        ),
        (
            "((foo_long + bar_long) + bar_2_long)",
            r"(
    (
        foo_long
      +
        bar_long
    )
  +
    bar_2_long
)",
        ),
        (
            "(1111 + 2222)",
            r"(
    1111
  +
    2222
)",
        ),
        (
            "(sum_over_time(foo[1m]))",
            r"(
  sum_over_time(
    foo[1m]
  )
)",
        ),
        (
            "histogram_quantile(0.9, rate(foo[1m] @ start()))",
            r"histogram_quantile(
  0.9,
  rate(
    foo[1m] @ start()
  )
)",
        ),
        (
            r#"(label_replace(up{job="api-server",service="a:c"}, "foo", "$1", "service", "(.*):.*"))"#,
            r#"(
  label_replace(
    up{job="api-server",service="a:c"},
    "foo",
    "$1",
    "service",
    "(.*):.*"
  )
)"#,
        ),
        (
            r#"(label_replace(label_replace(up{job="api-server",service="a:c"}, "foo", "$1", "service", "(.*):.*"), "foo", "$1", "service", "(.*):.*"))"#,
            r#"(
  label_replace(
    label_replace(
      up{job="api-server",service="a:c"},
      "foo",
      "$1",
      "service",
      "(.*):.*"
    ),
    "foo",
    "$1",
    "service",
    "(.*):.*"
  )
)"#,
        ),
        (
            r#"(label_replace(label_replace((up{job="api-server",service="a:c"}), "foo", "$1", "service", "(.*):.*"), "foo", "$1", "service", "(.*):.*"))"#,
            r#"(
  label_replace(
    label_replace(
      (
        up{job="api-server",service="a:c"}
      ),
      "foo",
      "$1",
      "service",
      "(.*):.*"
    ),
    "foo",
    "$1",
    "service",
    "(.*):.*"
  )
)"#,
        ),
        (
            "(node_timex_offset_seconds > 0.05 and deriv(node_timex_offset_seconds[5m]) >= 0) or (node_timex_offset_seconds < -0.05 and deriv(node_timex_offset_seconds[5m]) <= 0)",
            r"  (
        node_timex_offset_seconds
      >
        0.05
    and
        deriv(
          node_timex_offset_seconds[5m]
        )
      >=
        0
  )
or
  (
        node_timex_offset_seconds
      <
        -0.05
    and
        deriv(
          node_timex_offset_seconds[5m]
        )
      <=
        0
  )",
        ),
        (
            r#"min by (job, integration) (rate(alertmanager_notifications_failed_total{job="alertmanager", integration=~".*"}[5m]) / rate(alertmanager_notifications_total{job="alertmanager", integration="~.*"}[5m])) > 0.01"#,
            r#"  min by (job, integration) (
      rate(
        alertmanager_notifications_failed_total{integration=~".*",job="alertmanager"}[5m]
      )
    /
      rate(
        alertmanager_notifications_total{integration="~.*",job="alertmanager"}[5m]
      )
  )
>
  0.01"#,
        ),
        (
            r#"(count by (job) (changes(process_start_time_seconds{job="alertmanager"}[10m]) > 4) / count by (job) (up{job="alertmanager"})) >= 0.5"#,
            r#"  (
      count by (job) (
          changes(
            process_start_time_seconds{job="alertmanager"}[10m]
          )
        >
          4
      )
    /
      count by (job) (
        up{job="alertmanager"}
      )
  )
>=
  0.5"#,
        ),
        ("-1", "-1"),
        ("-vector_selector", "-vector_selector"),
        (
            "(-vector_selector)",
            r"(
  -vector_selector
)",
        ),
        (
            "-histogram_quantile(0.9,rate(foo[1m]))",
            r"-histogram_quantile(
  0.9,
  rate(
    foo[1m]
  )
)",
        ),
        (
            "-histogram_quantile(0.99, sum by (le) (rate(foo[1m])))",
            r"-histogram_quantile(
  0.99,
  sum by (le) (
    rate(
      foo[1m]
    )
  )
)",
        ),
        (
            "-histogram_quantile(0.9, -rate(foo[1m] @ start()))",
            r"-histogram_quantile(
  0.9,
  -rate(
    foo[1m] @ start()
  )
)",
        ),
        (
            "(-histogram_quantile(0.9, -rate(foo[1m] @ start())))",
            r"(
  -histogram_quantile(
    0.9,
    -rate(
      foo[1m] @ start()
    )
  )
)",
        ),
        (
            "rate(foo[2*1h])",
            r"rate(
  foo[2 * 1h]
)",
        ),
        (
            "rate(foo[2*1h])",
            r"rate(
  foo[2 * 1h]
)",
        ),
        (
            "rate(foo[-5m+35m])",
            r"rate(
  foo[-5m + 35m]
)",
        ),
    ];

    #[test]
    fn long_expressions_are_split_as_in_prometheus() {
        let mut wrong = Vec::new();
        for (text, expected) in CASES {
            let expr = parse(text, &Features::ALL).expect(text);
            let found = within(&expr, 0, 10);
            if found != *expected {
                wrong.push(format!("{text}\n{found}\nnot\n{expected}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    }

    #[test]
    fn a_line_takes_a_hundred_bytes() {
        let text = |name: usize| format!("sum({})", "x".repeat(name));
        for (name, lines) in [(95, 1), (96, 3)] {
            let expr = parse(&text(name), &Features::ALL).expect("parses");
            assert_eq!(expr.pretty().lines().count(), lines, "{name}");
        }
    }
}
