//! What of the language a server offers, by upstream's categories.
//!
//! Source: prometheus, promql/parser/features.go, promql/engine.go (NewEngine).

use super::{AggregateOp, BinaryOp, Features, function_names, signature_of};
use std::collections::BTreeMap;

/// Names of features, and whether they are on.
pub type Offered = BTreeMap<String, bool>;

const AGGREGATIONS: [AggregateOp; 14] = [
    AggregateOp::Avg,
    AggregateOp::Bottomk,
    AggregateOp::Count,
    AggregateOp::CountValues,
    AggregateOp::Group,
    AggregateOp::Limitk,
    AggregateOp::LimitRatio,
    AggregateOp::Max,
    AggregateOp::Min,
    AggregateOp::Quantile,
    AggregateOp::Stddev,
    AggregateOp::Stdvar,
    AggregateOp::Sum,
    AggregateOp::Topk,
];

const OPERATORS: [BinaryOp; 18] = [
    BinaryOp::Add,
    BinaryOp::And,
    BinaryOp::Atan2,
    BinaryOp::Div,
    BinaryOp::Equal,
    BinaryOp::Greater,
    BinaryOp::GreaterEqual,
    BinaryOp::Less,
    BinaryOp::LessEqual,
    BinaryOp::Mod,
    BinaryOp::Mul,
    BinaryOp::NotEqual,
    BinaryOp::Or,
    BinaryOp::Pow,
    BinaryOp::Sub,
    BinaryOp::TrimLower,
    BinaryOp::TrimUpper,
    BinaryOp::Unless,
];

impl Features {
    /// The functions.
    pub fn functions(&self) -> Offered {
        let is_on = |name| {
            let experimental = signature_of(name).is_some_and(|found| found.experimental);
            !experimental || self.experimental_functions
        };
        function_names().map(|name| (name.to_owned(), is_on(name))).collect()
    }

    /// The operators, of selectors too, and the aggregations.
    pub fn operators(&self) -> Offered {
        let operators = OPERATORS.iter().map(|op| (op.as_str(), true));
        let of_selectors = ["=~", "!~", "@"].map(|op| (op, true));
        let aggregations = AGGREGATIONS
            .iter()
            .map(|op| (op.as_str(), !op.is_experimental() || self.experimental_functions));
        let all = operators.chain(of_selectors).chain(aggregations);
        all.map(|(name, is_on)| (name.to_owned(), is_on)).collect()
    }

    /// Keywords, and what else the grammar has.
    pub fn keywords(&self) -> Offered {
        let always = ["bool", "by", "group_left", "group_right", "ignoring", "offset", "on"];
        let always = always.iter().chain(&["without", "at_modifier", "negative_offset"]);
        let always = always.chain(&["subqueries", "per_query_lookback_delta"]);
        let extended = ["anchored", "smoothed"].map(|name| (name, self.extended_ranges));
        let fill = ["fill", "fill_left", "fill_right"].map(|name| (name, self.fill_modifiers));
        let all = always.map(|name| (*name, true)).chain(extended).chain(fill);
        let all = all.chain([("duration_expr", self.duration_expressions)]);
        all.map(|(name, is_on)| (name.to_owned(), is_on)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::syntax::parse;

    #[test]
    fn what_is_offered_is_what_is_read() {
        for features in [Features::default(), Features::ALL] {
            for (name, is_on) in features.operators() {
                let text = match name.as_str() {
                    "=~" | "!~" => format!("a{{b{name}\"c\"}}"),
                    "@" => "a @ 1".to_owned(),
                    "count_values" => "count_values(\"v\", a)".to_owned(),
                    "topk" | "bottomk" | "quantile" | "limitk" | "limit_ratio" => {
                        format!("{name}(1, a)")
                    }
                    word if word.starts_with(char::is_alphabetic)
                        && !["and", "or", "unless", "atan2"].contains(&word) =>
                    {
                        format!("{name}(a)")
                    }
                    _operator => format!("a {name} b"),
                };
                assert_eq!(parse(&text, &features).is_ok(), is_on, "{text}");
            }
            let keywords = features.keywords();
            for (text, name) in [
                ("rate(a[5m] anchored)", "anchored"),
                ("a smoothed", "smoothed"),
                ("a + fill (0) b", "fill"),
                ("a[1m + 1m]", "duration_expr"),
                ("a[1h:1m]", "subqueries"),
            ] {
                assert_eq!(Some(&parse(text, &features).is_ok()), keywords.get(name), "{text}");
            }
            let functions = features.functions();
            assert_eq!(functions.get("abs"), Some(&true));
            assert_eq!(functions.get("mad_over_time"), Some(&features.experimental_functions));
        }
    }
}
