//! PromQL as text and as a tree: read, check, print, take apart.
//!
//! Owns the grammar, the types and the table of functions. Start reading at `ast.rs`, then
//! `parse.rs`. Text is limited to 64 KiB and trees to a fixed height, so that nothing that walks a
//! tree can run out of stack.
//!
//! Never: data, time, evaluation.

mod analyze;
mod ast;
mod check;
mod durations;
mod error;
mod functions;
mod help;
mod lex;
mod literal;
mod offered;
mod parse;
mod pretty;
mod print;
mod token;

pub use analyze::{Limit, metric_names, selectors, split_limit};
pub use ast::{
    AggregateOp, Aggregation, At, Binary, BinaryOp, Call, Cardinality, Duration, DurationExpr,
    DurationKind, DurationOp, Expr, ExprKind, Extension, Grouping, Matching, Matrix, Number, Span,
    Subquery, ValueType, VectorSelector,
};
pub use error::{ParseError, Place};
pub use functions::{Function, Signature, function_names, signature_of};
pub use literal::{number as parse_number, number_fault};
pub use offered::Offered;
pub use parse::{parse, parse_selector, parse_series};
pub use token::is_keyword;

/// The longest text that is read, in bytes.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// The highest tree: so many nodes may lie above a leaf. Walks use the stack.
pub const NESTING_MAX: usize = 128;

/// Bytes that the compiled regular expressions of one query may take together. Each alone is
/// bounded as well; a text of the largest size could hold a thousand of them.
pub const REGEX_BYTES_MAX: usize = 16 << 20;

/// What beyond the stable language is allowed, as `--enable-feature` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Features {
    /// `promql-experimental-functions`: functions and aggregations that may still change.
    pub experimental_functions: bool,
    /// `promql-duration-expr`: arithmetic where a duration stands; stable since 3.14.
    pub duration_expressions: bool,
    /// `promql-extended-range-selectors`: `anchored` and `smoothed`.
    pub extended_ranges: bool,
    /// `promql-binop-fill-modifiers`: `fill`, `fill_left`, `fill_right`.
    pub fill_modifiers: bool,
}

impl Features {
    /// The whole language.
    pub const ALL: Self = Self {
        experimental_functions: true,
        duration_expressions: true,
        extended_ranges: true,
        fill_modifiers: true,
    };

    /// What names of `--enable-feature` switch on beside what is on by default; names of other
    /// features change nothing.
    pub fn named<S: AsRef<str>>(names: &[S]) -> Self {
        let has = |name: &str| names.iter().any(|one| one.as_ref() == name);
        Self {
            experimental_functions: has("promql-experimental-functions"),
            duration_expressions: true,
            extended_ranges: has("promql-extended-range-selectors"),
            fill_modifiers: has("promql-binop-fill-modifiers"),
        }
    }
}

impl Default for Features {
    fn default() -> Self {
        Self {
            experimental_functions: false,
            duration_expressions: true,
            extended_ranges: false,
            fill_modifiers: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fails(text: &str) -> String {
        parse(text, &Features::ALL).expect_err("was taken").to_string()
    }

    #[test]
    fn texts_print_in_canonical_form() {
        for (text, printed) in [
            ("sum by(job,)(rate(a{b='c',}[5m]))", r#"sum by (job) (rate(a{b="c"}[5m]))"#),
            ("sum(a) without (b)", "sum without (b) (a)"),
            ("a+on(x)group_left(y)b", "a + on (x) group_left (y) b"),
            ("-2^2", "-2 ^ 2"),
            ("1 - -0x1F", "1 - -31"),
            ("1h30m + 1_000", "1h30m + 1000"),
            ("50360065051ms * 1131ms", "582d20h54m25s51ms * 1s131ms"),
            (r#"{"a.b", "l.x"="v"}"#, r#"{"l.x"="v",__name__="a.b"}"#),
            ("a offset -5m @ 10", "a @ 10.000 offset -5m"),
            ("a[5m] @ start() offset 1w", "a[5m] @ start() offset 1w"),
            ("rate(a[1m])[1h:] # comment", "rate(a[1m])[1h:]"),
            ("a[step() * 2 + (1m)]", "a[step() * 2 + (1m)]"),
            ("a[300]", "a[5m]"),
            ("a[-0m + 35m]", "a[-0s + 35m]"),
            ("rate(a[5m] smoothed)", "rate(a[5m] smoothed)"),
            ("a > bool on () fill(0) b", "a > bool on () fill (0) b"),
            ("a offset (5m) + b", "a offset (5m) + b"),
            ("sum + by / offset", "sum + by / offset"),
            ("fill + fill", "fill + fill"),
            ("count_values('x', a)", r#"count_values("x", a)"#),
            ("start() + end", "start() + end"),
            ("Inf", "+Inf"),
        ] {
            let expr = parse(text, &Features::ALL).unwrap_or_else(|err| panic!("{text}: {err}"));
            assert_eq!(expr.to_string(), printed, "{text}");
        }
    }

    #[test]
    fn t49_operators_bind_as_in_prometheus() {
        for (text, same) in [
            ("2^3^2", "2^(3^2)"),
            ("-a*b", "(-a)*b"),
            ("a-b-c", "(a-b)-c"),
            ("a or b and c", "a or (b and c)"),
            ("a == b + c * d", "a == (b + (c * d))"),
            ("a unless b and c", "(a unless b) and c"),
        ] {
            let bare = |text: &str| {
                let expr = parse(text, &Features::ALL).expect("parses");
                grouped(&expr)
            };
            assert_eq!(bare(text), bare(same), "{text}");
        }
    }

    /// The text with a parenthesis around every operation and no other.
    fn grouped(expr: &Expr) -> String {
        match &expr.kind {
            ExprKind::Paren(expr) => grouped(expr),
            ExprKind::Binary(binary) => {
                format!("({} {} {})", grouped(&binary.lhs), binary.op, grouped(&binary.rhs))
            }
            ExprKind::Unary { expr, .. } => format!("(-{})", grouped(expr)),
            _other => expr.to_string(),
        }
    }

    #[test]
    fn faults_are_told_in_prometheus_words_with_their_place() {
        for (text, message) in [
            ("", "unknown position: parse error: no expression found in input"),
            ("# x", "1:1: parse error: no expression found in input"),
            ("1 +", "1:4: parse error: unexpected end of input"),
            ("foo{", "1:5: parse error: unexpected end of input inside braces"),
            ("(1", "1:3: parse error: unclosed left parenthesis"),
            ("1)", "1:2: parse error: unexpected right parenthesis ')'"),
            ("rat(a[5m])", "1:1: parse error: unknown function with name \"rat\""),
            (
                "rate(a)",
                "1:6: parse error: expected type range vector in call to function \"rate\", got \
                 instant vector",
            ),
            ("rate()", "1:1: parse error: expected 1 argument(s) in call to \"rate\", got 0"),
            ("sum()", "1:1: parse error: no arguments for aggregate expression provided"),
            (
                "topk(a)",
                "1:1: parse error: wrong number of arguments for aggregate expression provided, \
                 expected 2, got 1",
            ),
            ("1 > 2", "1:2: parse error: comparisons between scalars must use BOOL modifier"),
            (
                "a and 1",
                "1:1: parse error: set operator \"and\" not allowed in binary scalar expression",
            ),
            (
                "a and on (x) group_left b",
                "1:1: parse error: no grouping allowed for \"and\" operation",
            ),
            ("a{x=5}", "1:5: parse error: unexpected character inside braces: '5'"),
            (
                "a{x}",
                "1:4: parse error: unexpected \"}\" in label matching, expected label matching \
                 operator",
            ),
            ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
            (
                "a{__name__='b'}",
                "1:1: parse error: metric name must not be set twice: \"a\" or \"b\"",
            ),
            (
                "1 + 1e400",
                "1:5: parse error: error parsing number: strconv.ParseFloat: parsing \"1e400\": \
                 value out of range",
            ),
            (
                "0x1FFFFFFFFFFFFFFFFFF",
                "1:1: parse error: error parsing number: strconv.ParseFloat: parsing \
                 \"0x1FFFFFFFFFFFFFFFFFF\": invalid syntax",
            ),
            ("a[0s]", "1:3: parse error: duration must be greater than 0"),
            ("a[5m", "1:5: parse error: unexpected end of input in duration expression"),
            ("sum(a)[5m]", "1:7: parse error: ranges only allowed for vector selectors"),
            ("a offset 5m offset 5m", "1:1: parse error: offset may not be set multiple times"),
            ("a\n  b", "2:3: parse error: unexpected identifier \"b\""),
            (
                "rate(a[5m],)",
                "1:11: parse error: trailing commas not allowed in function call args",
            ),
        ] {
            assert_eq!(fails(text), message, "{text}");
        }
    }

    #[test]
    fn a_wrong_function_name_gets_a_hint_and_a_caret() {
        let text = "1 + histogram_quantille(0.9, a)";
        let err = parse(text, &Features::default()).expect_err("no such function");
        let told = err.explain(text);
        let expected = "1:5: parse error: unknown function with name \"histogram_quantille\"\n  |\n\
                        1 | 1 + histogram_quantille(0.9, a)\n  |     ^^^^^^^^^^^^^^^^^^^\n  \
                        = help: did you mean histogram_quantile?";
        assert_eq!(told, expected);
        let wide = "日\u{1b} +\n  rat(a)";
        let err = parse(wide, &Features::default()).expect_err("no such character");
        assert!(err.explain(wide).contains("\n1 | 日\\x1b +\n  | ^^"), "{}", err.explain(wide));
        let long = format!("{}\n  rat({}b)", "a +".repeat(90), "b + ".repeat(90));
        let told = parse(&long, &Features::default()).expect_err("no such function").explain(&long);
        assert!(told.contains("\n2 |   rat(b + b") && told.contains("...\n  |   ^^^\n"), "{told}");
    }

    #[test]
    fn experiments_want_their_flag() {
        let plain = Features { duration_expressions: false, ..Features::default() };
        for text in [
            "limitk(1, a)",
            "start()",
            "rate(a[5m] anchored)",
            "a + fill(0) b",
            "a[1m + 1m]",
            "info(a)",
        ] {
            assert!(parse(text, &plain).is_err(), "{text}");
            assert!(parse(text, &Features::ALL).is_ok(), "{text}");
        }
    }

    #[test]
    fn t56_keywords_are_names_where_nothing_else_fits() {
        for text in [
            "offset",
            "step",
            "range",
            "anchored offset 5m",
            "sum by (sum, by, on, bool) (a)",
            "a{by='x', offset='y', bool='z'}",
            "min_of",
            "end",
            "limitk",
            "or or or",
        ] {
            assert!(parse(text, &Features::default()).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_label_stands_once_in_a_series() {
        assert!(parse_series(r#"x{a="1", b="1"}"#).is_ok());
        for text in [r#"x{a="1",a="2"}"#, r#"{b="", a="1", b=""}"#] {
            let err = parse_series(text).expect_err("promtool refuses it").to_string();
            let name = if text.starts_with('x') { "a" } else { "b" };
            assert!(
                err.ends_with(&format!("label name \"{name}\" is not unique")),
                "{text}: {err}"
            );
        }
    }
}
