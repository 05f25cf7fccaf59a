//! The tokens of the language.

use super::{AggregateOp, BinaryOp, Span};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name without a colon that is no keyword here.
    Identifier,
    /// A name with a colon.
    MetricIdentifier,
    /// A name that means something in some places.
    Keyword(Keyword),
    /// The name of an aggregation.
    Aggregator(AggregateOp),
    Number,
    Duration,
    /// With its quotes.
    String,
    Operator(BinaryOp),
    /// `=` between a label and its value.
    Assign,
    MatchRegex,
    MatchNotRegex,
    At,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    End,
    /// The text cannot be cut here; the message is in `Tokens::fault`.
    Fault,
}

/// Words that are names unless they stand where they mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    Offset,
    Smoothed,
    Anchored,
    By,
    Without,
    On,
    Ignoring,
    GroupLeft,
    GroupRight,
    Fill,
    FillLeft,
    FillRight,
    Bool,
    Start,
    End,
    Step,
    Range,
    MaxOf,
    MinOf,
}

impl Keyword {
    /// Whether a metric may have this name without quotes.
    pub(super) const fn can_name_metric(self) -> bool {
        !matches!(self, Self::On | Self::Ignoring | Self::GroupLeft | Self::GroupRight | Self::Bool)
    }
}

/// One token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) span: Span,
}

impl Token<'_> {
    /// The token in the words of error texts.
    pub(super) fn description(&self) -> String {
        let quoted = || crate::model::value_text::quoted(self.text);
        match self.kind {
            Kind::Identifier => format!("identifier {}", quoted()),
            Kind::MetricIdentifier => format!("metric identifier {}", quoted()),
            Kind::Keyword(_) => format!("<{}>", self.text),
            Kind::Aggregator(_) => format!("<aggr:{}>", self.text),
            Kind::Operator(_) | Kind::At | Kind::MatchRegex | Kind::MatchNotRegex => {
                format!("<op:{}>", self.text)
            }
            Kind::Number => format!("number {}", shortened(self.text)),
            Kind::Duration => format!("duration {}", shortened(self.text)),
            Kind::String => format!("string {}", shortened(self.text)),
            Kind::Assign
            | Kind::LeftParen
            | Kind::RightParen
            | Kind::LeftBrace
            | Kind::RightBrace
            | Kind::LeftBracket
            | Kind::RightBracket
            | Kind::Comma
            | Kind::Colon => quoted(),
            Kind::End | Kind::Fault => "end of input".to_owned(),
        }
    }
}

/// The quoted text, cut after ten characters.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(10) {
        Some((cut, _)) => {
            let head = text.get(..cut).unwrap_or(text);
            format!("{}...", crate::model::value_text::quoted(head))
        }
        None => crate::model::value_text::quoted(text),
    }
}

/// The keyword, aggregation or operator that a word is, in any case.
pub(super) fn word(text: &str) -> Option<Kind> {
    if text.len() > 12 {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    Some(match lower.as_str() {
        "and" => Kind::Operator(BinaryOp::And),
        "or" => Kind::Operator(BinaryOp::Or),
        "unless" => Kind::Operator(BinaryOp::Unless),
        "atan2" => Kind::Operator(BinaryOp::Atan2),
        "sum" => Kind::Aggregator(AggregateOp::Sum),
        "avg" => Kind::Aggregator(AggregateOp::Avg),
        "count" => Kind::Aggregator(AggregateOp::Count),
        "min" => Kind::Aggregator(AggregateOp::Min),
        "max" => Kind::Aggregator(AggregateOp::Max),
        "group" => Kind::Aggregator(AggregateOp::Group),
        "stddev" => Kind::Aggregator(AggregateOp::Stddev),
        "stdvar" => Kind::Aggregator(AggregateOp::Stdvar),
        "topk" => Kind::Aggregator(AggregateOp::Topk),
        "bottomk" => Kind::Aggregator(AggregateOp::Bottomk),
        "count_values" => Kind::Aggregator(AggregateOp::CountValues),
        "quantile" => Kind::Aggregator(AggregateOp::Quantile),
        "limitk" => Kind::Aggregator(AggregateOp::Limitk),
        "limit_ratio" => Kind::Aggregator(AggregateOp::LimitRatio),
        "offset" => Kind::Keyword(Keyword::Offset),
        "smoothed" => Kind::Keyword(Keyword::Smoothed),
        "anchored" => Kind::Keyword(Keyword::Anchored),
        "by" => Kind::Keyword(Keyword::By),
        "without" => Kind::Keyword(Keyword::Without),
        "on" => Kind::Keyword(Keyword::On),
        "ignoring" => Kind::Keyword(Keyword::Ignoring),
        "group_left" => Kind::Keyword(Keyword::GroupLeft),
        "group_right" => Kind::Keyword(Keyword::GroupRight),
        "fill" => Kind::Keyword(Keyword::Fill),
        "fill_left" => Kind::Keyword(Keyword::FillLeft),
        "fill_right" => Kind::Keyword(Keyword::FillRight),
        "bool" => Kind::Keyword(Keyword::Bool),
        "start" => Kind::Keyword(Keyword::Start),
        "end" => Kind::Keyword(Keyword::End),
        "step" => Kind::Keyword(Keyword::Step),
        "range" => Kind::Keyword(Keyword::Range),
        "max_of" => Kind::Keyword(Keyword::MaxOf),
        "min_of" => Kind::Keyword(Keyword::MinOf),
        "inf" | "nan" => Kind::Number,
        _name => return None,
    })
}

/// Whether a word means something in some place, for highlighting and completion.
pub fn is_keyword(text: &str) -> bool {
    word(text).is_some()
}
