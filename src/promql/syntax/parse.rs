//! From tokens to a tree, by precedence.
//!
//! Source: prometheus, promql/parser/generated_parser.y (the grammar), parse.go (error texts).

use super::lex::lex;
use super::token::{Keyword, Kind, Token};
use super::{
    AggregateOp, Aggregation, At, Binary, BinaryOp, Call, Cardinality, Duration, Expr, ExprKind,
    Extension, Features, Grouping, Matching, Matrix, NESTING_MAX, Number, ParseError,
    REGEX_BYTES_MAX, Span, Subquery, TEXT_BYTES_MAX, VectorSelector, check, functions, help,
    literal,
};
use crate::model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher, Regex, Timestamp};
use std::collections::BTreeSet;

/// Reads and checks an expression.
///
/// # Errors
/// The text is too long, nests too deep, is no expression, or its types do not fit.
pub fn parse(text: &str, features: &Features) -> Result<Expr, ParseError> {
    let read = || {
        let mut parser = Parser::new(text, features)?;
        let (mut expr, _) = parser.expr(0)?;
        parser.end()?;
        check::check(&mut expr)?;
        Ok(expr)
    };
    read().map_err(|err: ParseError| err.placed(text))
}

/// Reads a selector without range, offset or `@`, as `match[]` has it.
///
/// # Errors
/// As `parse`.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let read = || {
        let mut parser = Parser::new(text, &Features::default())?;
        let (selector, _) = parser.vector_selector()?;
        parser.end()?;
        check::name_is_given_once(&selector, Span::new(0, text.len()))?;
        Ok(selector.matchers)
    };
    read().map_err(|err: ParseError| err.placed(text))
}

/// Reads one series, `name{label="value"}`, as test files have it.
///
/// # Errors
/// As `parse`; and every matcher must be an equality, of a label that has no other.
pub fn parse_series(text: &str) -> Result<Labels, ParseError> {
    let matchers = if text.trim() == "{}" { Vec::new() } else { parse_selector(text)? };
    let mut labels = LabelsBuilder::default();
    let mut seen = BTreeSet::new();
    let fault = |message: String| ParseError::new(message, Span::new(0, text.len())).placed(text);
    for matcher in &matchers {
        if matcher.op() != MatchOp::Equal {
            return Err(fault("a series has labels with = only".to_owned()));
        }
        if !seen.insert(matcher.name()) {
            return Err(fault(format!("label name {:?} is not unique", matcher.name())));
        }
        labels.set(matcher.name(), matcher.value());
    }
    Ok(labels.build())
}

pub(super) struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    fault: Option<ParseError>,
    pub(super) features: Features,
    depth: usize,
    /// What the regular expressions take that were read so far.
    regex_bytes: usize,
}

/// An expression and its height.
type Parsed = (Expr, usize);

impl<'a> Parser<'a> {
    fn new(text: &'a str, features: &Features) -> Result<Self, ParseError> {
        if text.len() > TEXT_BYTES_MAX {
            let message = format!(
                "query of {} bytes is too long; at most {TEXT_BYTES_MAX} bytes are read",
                text.len()
            );
            return Err(ParseError::new(message, Span::new(0, 0)));
        }
        let tokens = lex(text);
        let (list, fault) = (tokens.list, tokens.fault);
        if list.len() == 1 && fault.is_none() {
            return Err(ParseError::new("no expression found in input", Span::new(0, 0)));
        }
        Ok(Self { tokens: list, at: 0, fault, features: *features, depth: 0, regex_bytes: 0 })
    }

    pub(super) fn peek(&self) -> Token<'a> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Token<'a> {
        let last = self.tokens.last().expect("a token list ends with End or Fault");
        *self.tokens.get(self.at + ahead).unwrap_or(last)
    }

    pub(super) fn advance(&mut self) -> Token<'a> {
        let token = self.peek();
        self.at += 1;
        token
    }

    pub(super) fn take(&mut self, kind: Kind) -> Option<Token<'a>> {
        (self.peek().kind == kind).then(|| self.advance())
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn rewind(&mut self, position: usize) {
        self.at = position;
    }

    /// The error for the token ahead; `context` and `expected` may be empty.
    pub(super) fn unexpected(&self, context: &str, expected: &str) -> ParseError {
        let token = self.peek();
        if let (Kind::Fault, Some(fault)) = (token.kind, &self.fault) {
            return fault.clone();
        }
        let mut message = format!("unexpected {}", token.description());
        if !context.is_empty() {
            message.push_str(&format!(" in {context}"));
        }
        if !expected.is_empty() {
            message.push_str(&format!(", expected {expected}"));
        }
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).copied();
        let help = help::unexpected(before, token, self.peek_at(1), context);
        ParseError::new(message, token.span).with_help(help)
    }

    fn end(&self) -> Result<(), ParseError> {
        if self.peek().kind == Kind::End { Ok(()) } else { Err(self.unexpected("", "")) }
    }

    /// Counts a level of nesting around `work`.
    pub(super) fn nested<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(too_deep(self.peek().span));
        }
        let result = work(self);
        self.depth -= 1;
        result
    }

    fn expr(&mut self, precedence_min: u8) -> Result<Parsed, ParseError> {
        self.nested(|parser| {
            let mut lhs = parser.operand()?;
            while let Kind::Operator(op) = parser.peek().kind {
                if op.precedence() < precedence_min.max(1) {
                    break;
                }
                parser.advance();
                lhs = parser.binary(lhs, op)?;
            }
            Ok(lhs)
        })
    }

    fn binary(&mut self, lhs: Parsed, op: BinaryOp) -> Result<Parsed, ParseError> {
        let (return_bool, matching) = self.binary_modifiers()?;
        // All but the power bind to the left.
        let next_min = if op == BinaryOp::Pow { op.precedence() } else { op.precedence() + 1 };
        let rhs = self.expr(next_min)?;
        let span = lhs.0.span.to(rhs.0.span);
        let filled = matching.fill_left.is_some() || matching.fill_right.is_some();
        if filled && !self.features.fill_modifiers {
            let message = "binop fill modifiers are experimental and not enabled";
            let help = help::switch_on("promql-binop-fill-modifiers");
            return Err(ParseError::new(message, span).with_help(help));
        }
        let height = 1 + lhs.1.max(rhs.1);
        let binary = Binary { op, lhs: lhs.0, rhs: rhs.0, return_bool, matching: Some(matching) };
        above(ExprKind::Binary(Box::new(binary)), span, height)
    }

    /// `bool`, `on`, `group_left`, `fill` and their kin after an operator.
    fn binary_modifiers(&mut self) -> Result<(bool, Matching), ParseError> {
        let return_bool = self.take(Kind::Keyword(Keyword::Bool)).is_some();
        let mut matching = Matching {
            cardinality: Cardinality::OneToOne,
            on: false,
            labels: Vec::new(),
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
        };
        if let Kind::Keyword(keyword @ (Keyword::On | Keyword::Ignoring)) = self.peek().kind {
            self.advance();
            matching.on = keyword == Keyword::On;
            matching.labels = self.grouping_labels()?;
            let grouped = match self.peek().kind {
                Kind::Keyword(Keyword::GroupLeft) => Some(Cardinality::ManyToOne),
                Kind::Keyword(Keyword::GroupRight) => Some(Cardinality::OneToMany),
                _other => None,
            };
            if let Some(cardinality) = grouped {
                self.advance();
                matching.cardinality = cardinality;
                if self.peek().kind == Kind::LeftParen {
                    matching.include = self.grouping_labels()?;
                }
            }
        }
        self.fill_modifiers(&mut matching)?;
        Ok((return_bool, matching))
    }

    fn fill_modifiers(&mut self, matching: &mut Matching) -> Result<(), ParseError> {
        if self.take(Kind::Keyword(Keyword::Fill)).is_some() {
            let value = self.fill_value()?;
            (matching.fill_left, matching.fill_right) = (Some(value), Some(value));
            return Ok(());
        }
        loop {
            match self.peek().kind {
                Kind::Keyword(Keyword::FillLeft) if matching.fill_left.is_none() => {
                    self.advance();
                    matching.fill_left = Some(self.fill_value()?);
                }
                Kind::Keyword(Keyword::FillRight) if matching.fill_right.is_none() => {
                    self.advance();
                    matching.fill_right = Some(self.fill_value()?);
                }
                _other => return Ok(()),
            }
        }
    }

    fn fill_value(&mut self) -> Result<f64, ParseError> {
        let unexpected = |parser: &Self| parser.unexpected("fill modifier", "(number)");
        self.take(Kind::LeftParen).ok_or_else(|| unexpected(self))?;
        let negative = self.sign().is_some_and(|(negative, _)| negative);
        let (number, _) = self.number_literal()?.ok_or_else(|| unexpected(self))?;
        self.take(Kind::RightParen).ok_or_else(|| unexpected(self))?;
        Ok(if negative { -number.value } else { number.value })
    }

    /// A leading plus or minus: whether it is a minus, and its place.
    pub(super) fn sign(&mut self) -> Option<(bool, Span)> {
        let negative = match self.peek().kind {
            Kind::Operator(BinaryOp::Sub) => true,
            Kind::Operator(BinaryOp::Add) => false,
            _other => return None,
        };
        Some((negative, self.advance().span))
    }

    /// A signed operand, or a primary expression with its modifiers.
    fn operand(&mut self) -> Result<Parsed, ParseError> {
        let Some((negative, sign_span)) = self.sign() else {
            let primary = self.primary()?;
            return self.modifiers(primary);
        };
        // The sign binds weaker than the power and as tightly as a product.
        let (expr, height) = self.expr(BinaryOp::Pow.precedence())?;
        let span = sign_span.to(expr.span);
        if let ExprKind::Number(number) = expr.kind {
            let value = if negative { -number.value } else { number.value };
            let kind = ExprKind::Number(Number { value, ..number });
            return Ok((Expr { kind, span }, height));
        }
        above(ExprKind::Unary { negative, expr: Box::new(expr) }, span, height + 1)
    }

    fn primary(&mut self) -> Result<Parsed, ParseError> {
        let token = self.peek();
        let next = self.peek_at(1).kind;
        match token.kind {
            Kind::Number | Kind::Duration => {
                let found = self.number_literal()?;
                let (number, span) = found.ok_or_else(|| self.unexpected("", ""))?;
                Ok((Expr { kind: ExprKind::Number(number), span }, 1))
            }
            Kind::String => {
                self.advance();
                let kind = ExprKind::String(unquote(token)?);
                Ok((Expr { kind, span: token.span }, 1))
            }
            Kind::LeftParen => {
                self.advance();
                let (expr, height) = self.expr(0)?;
                let close = self.take(Kind::RightParen);
                let close = close.ok_or_else(|| self.unexpected("", ""))?;
                let span = token.span.to(close.span);
                above(ExprKind::Paren(Box::new(expr)), span, height + 1)
            }
            Kind::Aggregator(op)
                if matches!(
                    next,
                    Kind::LeftParen | Kind::Keyword(Keyword::By | Keyword::Without)
                ) =>
            {
                self.aggregation(op)
            }
            Kind::Identifier if next == Kind::LeftParen => self.call(),
            Kind::Keyword(keyword) if next == Kind::LeftParen && can_be_called(keyword) => {
                self.call()
            }
            _selector => {
                let (selector, span) = self.vector_selector()?;
                Ok((Expr { kind: ExprKind::Vector(selector), span }, 1))
            }
        }
    }

    /// A number or duration token, if one is ahead.
    pub(super) fn number_literal(&mut self) -> Result<Option<(Number, Span)>, ParseError> {
        let token = self.peek();
        let number = match token.kind {
            Kind::Number => {
                let value = literal::number(token.text).ok_or_else(|| {
                    ParseError::new(literal::number_fault(token.text), token.span)
                })?;
                Number { value, is_duration: false }
            }
            Kind::Duration => {
                let value = literal::seconds(token.text).map_err(|message| {
                    ParseError::new(message, token.span).with_help(help::duration(token.text))
                })?;
                Number { value, is_duration: true }
            }
            _other => return Ok(None),
        };
        self.advance();
        Ok(Some((number, token.span)))
    }

    fn aggregation(&mut self, op: AggregateOp) -> Result<Parsed, ParseError> {
        let name = self.advance();
        let before = self.grouping()?;
        let (args, height) = self.arguments("aggregation")?;
        let grouping = match before {
            Some(grouping) => grouping,
            None => self.grouping()?.unwrap_or_default(),
        };
        let span = name.span.to(self.last_span());
        let fail = |message: String| {
            Err(ParseError::new(message, span).with_help(help::wrong_aggregation(op)))
        };
        if args.is_empty() {
            return fail("no arguments for aggregate expression provided".to_owned());
        }
        if op.is_experimental() && !self.features.experimental_functions {
            let message = format!(
                "{}() is experimental and must be enabled with \
                 --enable-feature=promql-experimental-functions",
                op.as_str()
            );
            let help = help::switch_on("promql-experimental-functions");
            return Err(ParseError::new(message, span).with_help(help));
        }
        let wanted = 1 + usize::from(op.param_type().is_some());
        let found = args.len();
        let mut args = args.into_iter();
        let param = if wanted == 2 { args.next() } else { None };
        match (args.next(), args.next()) {
            (Some(expr), None) => {
                let aggregation = Aggregation { op, param, expr, grouping };
                above(ExprKind::Aggregation(Box::new(aggregation)), span, height + 1)
            }
            (None, _) | (_, Some(_)) => fail(format!(
                "wrong number of arguments for aggregate expression provided, expected \
                 {wanted}, got {found}"
            )),
        }
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, ParseError> {
        let Kind::Keyword(keyword @ (Keyword::By | Keyword::Without)) = self.peek().kind else {
            return Ok(None);
        };
        self.advance();
        let labels = self.grouping_labels()?;
        Ok(Some(Grouping { without: keyword == Keyword::Without, labels }))
    }

    fn grouping_labels(&mut self) -> Result<Vec<String>, ParseError> {
        const CONTEXT: &str = "grouping opts";
        let mut labels = Vec::new();
        if self.take(Kind::LeftParen).is_none() {
            return Err(self.unexpected(CONTEXT, "\"(\""));
        }
        loop {
            if self.take(Kind::RightParen).is_some() && !self.comma_without_label(&labels) {
                return Ok(labels);
            }
            labels.push(self.grouping_label()?);
            if self.take(Kind::Comma).is_none() && self.peek().kind != Kind::RightParen {
                return Err(self.unexpected(CONTEXT, "\",\" or \")\""));
            }
        }
    }

    /// Whether the tokens just taken were `(` `,` `)`, which no grammar rule allows.
    fn comma_without_label(&self, labels: &[String]) -> bool {
        let before = self.at.checked_sub(2).and_then(|at| self.tokens.get(at));
        labels.is_empty() && before.is_some_and(|token| token.kind == Kind::Comma)
    }

    fn grouping_label(&mut self) -> Result<String, ParseError> {
        let token = self.peek();
        let label = match token.kind {
            Kind::String => unquote(token)?,
            Kind::Identifier
            | Kind::MetricIdentifier
            | Kind::Keyword(_)
            | Kind::Aggregator(_)
            | Kind::Operator(BinaryOp::And | BinaryOp::Or | BinaryOp::Unless | BinaryOp::Atan2) => {
                token.text.to_owned()
            }
            _other => return Err(self.unexpected("grouping opts", "label")),
        };
        self.advance();
        if label.is_empty() {
            let message = "invalid label name for grouping: \"\"";
            return Err(ParseError::new(message, token.span));
        }
        Ok(label)
    }

    fn call(&mut self) -> Result<Parsed, ParseError> {
        let name = self.advance();
        let (args, height) = self.arguments("")?;
        let span = name.span.to(self.last_span());
        let Some(signature) = functions::signature_of(name.text) else {
            let text = crate::model::value_text::quoted(name.text);
            let message = format!("unknown function with name {text}");
            let help = help::unknown_function(name.text);
            return Err(ParseError::new(message, name.span).with_help(help));
        };
        if signature.experimental && !self.features.experimental_functions {
            let message = format!("function {:?} is not enabled", name.text);
            let help = help::switch_on("promql-experimental-functions");
            return Err(ParseError::new(message, name.span).with_help(help));
        }
        let call = Call { function: signature.function, args };
        above(ExprKind::Call(call), span, height + 1)
    }

    /// `(expr, expr)`, with the greatest height among them.
    fn arguments(&mut self, context: &str) -> Result<(Vec<Expr>, usize), ParseError> {
        let (mut args, mut height) = (Vec::new(), 0);
        if self.take(Kind::LeftParen).is_none() {
            return Err(self.unexpected(context, ""));
        }
        if self.take(Kind::RightParen).is_some() {
            return Ok((args, height));
        }
        loop {
            let (arg, arg_height) = self.expr(0)?;
            args.push(arg);
            height = height.max(arg_height);
            if self.take(Kind::RightParen).is_some() {
                return Ok((args, height));
            }
            let comma = self.take(Kind::Comma).ok_or_else(|| self.unexpected("", ""))?;
            if self.peek().kind == Kind::RightParen {
                let message = "trailing commas not allowed in function call args";
                let help = Some("take the comma away".to_owned());
                return Err(ParseError::new(message, comma.span).with_help(help));
            }
        }
    }

    fn last_span(&self) -> Span {
        let last = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        last.map(|token| token.span).unwrap_or_default()
    }

    fn vector_selector(&mut self) -> Result<(VectorSelector, Span), ParseError> {
        let token = self.peek();
        let name = match token.kind {
            Kind::Identifier | Kind::MetricIdentifier | Kind::Aggregator(_) => Some(token.text),
            Kind::Keyword(keyword) if keyword.can_name_metric() => Some(token.text),
            Kind::Operator(BinaryOp::And | BinaryOp::Or | BinaryOp::Unless) => Some(token.text),
            Kind::LeftBrace => None,
            _other => return Err(self.unexpected("", "")),
        };
        if name.is_some() {
            self.advance();
        }
        let mut matchers =
            if self.peek().kind == Kind::LeftBrace { self.matchers()? } else { Vec::new() };
        if let Some(name) = name {
            matchers.push(Matcher::equal(METRIC_NAME, name));
        }
        let name = name.map(str::to_owned);
        let span = token.span.to(self.last_span());
        Ok((VectorSelector { name, matchers, offset: None, at: None, extension: None }, span))
    }

    fn matchers(&mut self) -> Result<Vec<Matcher>, ParseError> {
        const CONTEXT: &str = "label matching";
        let mut matchers = Vec::new();
        self.advance();
        while self.take(Kind::RightBrace).is_none() {
            let token = self.peek();
            let label = match token.kind {
                Kind::Identifier => token.text.to_owned(),
                Kind::String => unquote(token)?,
                _other => return Err(self.unexpected(CONTEXT, "identifier or \"}\"")),
            };
            self.advance();
            let op = match self.peek().kind {
                Kind::Assign => MatchOp::Equal,
                Kind::Operator(BinaryOp::NotEqual) => MatchOp::NotEqual,
                Kind::MatchRegex => MatchOp::Regex,
                Kind::MatchNotRegex => MatchOp::NotRegex,
                _end if token.kind == Kind::String => {
                    matchers.push(Matcher::equal(METRIC_NAME, label));
                    self.matcher_end()?;
                    continue;
                }
                _other => return Err(self.unexpected(CONTEXT, "label matching operator")),
            };
            self.advance();
            let value =
                self.take(Kind::String).ok_or_else(|| self.unexpected(CONTEXT, "string"))?;
            let matcher = Matcher::new(label, op, unquote(value)?)
                .map_err(|err| ParseError::new(err.to_string(), token.span.to(value.span)))?;
            self.regex_bytes += matcher.regex().map_or(0, Regex::memory);
            if self.regex_bytes > REGEX_BYTES_MAX {
                let message = format!(
                    "the regular expressions of the query take more than {REGEX_BYTES_MAX} bytes"
                );
                return Err(ParseError::new(message, token.span.to(value.span)));
            }
            matchers.push(matcher);
            self.matcher_end()?;
        }
        Ok(matchers)
    }

    fn matcher_end(&mut self) -> Result<(), ParseError> {
        if self.take(Kind::Comma).is_none() && self.peek().kind != Kind::RightBrace {
            return Err(self.unexpected("label matching", "\",\" or \"}\""));
        }
        Ok(())
    }

    /// Ranges, subqueries, `offset`, `@`, `anchored` and `smoothed` after an expression.
    fn modifiers(&mut self, primary: Parsed) -> Result<Parsed, ParseError> {
        let (mut expr, mut height) = primary;
        loop {
            match self.peek().kind {
                Kind::LeftBracket => {
                    (expr, height) = self.range(expr, height)?;
                    if height > NESTING_MAX {
                        return Err(too_deep(expr.span));
                    }
                }
                Kind::Keyword(Keyword::Offset) => {
                    self.advance();
                    let offset = self.offset_duration()?;
                    set_offset(&mut expr, offset)?;
                    expr.span.end = self.last_span().end;
                }
                Kind::At => {
                    self.advance();
                    let at = self.at_time(&expr)?;
                    set_at(&mut expr, at)?;
                    expr.span.end = self.last_span().end;
                }
                Kind::Keyword(Keyword::Anchored) => {
                    self.advance();
                    set_extension(&mut expr, Extension::Anchored, &self.features)?;
                }
                Kind::Keyword(Keyword::Smoothed) => {
                    self.advance();
                    set_extension(&mut expr, Extension::Smoothed, &self.features)?;
                }
                _other => return Ok((expr, height)),
            }
        }
    }

    fn range(&mut self, expr: Expr, height: usize) -> Result<Parsed, ParseError> {
        let open = self.advance();
        let range = self.positive_duration()?.ok_or_else(|| {
            let expected = "number, duration, step(), or range()";
            self.unexpected("subquery or range selector", expected)
        })?;
        if self.take(Kind::Colon).is_some() {
            let step = self.positive_duration()?;
            let close = self.take(Kind::RightBracket).ok_or_else(|| {
                let expected = if step.is_some() {
                    "\"]\""
                } else {
                    "number, duration, step(), range(), or \"]\""
                };
                self.unexpected("subquery selector", expected)
            })?;
            let span = expr.span.to(close.span);
            let subquery = Subquery { expr, range, step, offset: None, at: None };
            let kind = ExprKind::Subquery(Box::new(subquery));
            return Ok((Expr { kind, span }, height + 1));
        }
        let close = self
            .take(Kind::RightBracket)
            .ok_or_else(|| self.unexpected("subquery or range", "\":\" or \"]\""))?;
        let fail = |message: &str, help: Option<String>| {
            Err(ParseError::new(message, open.span.to(close.span)).with_help(help))
        };
        let span = expr.span.to(close.span);
        let selector_span = expr.span;
        let ExprKind::Vector(selector) = expr.kind else {
            let help = help::subquery_instead(&expr, &range);
            return fail("ranges only allowed for vector selectors", help);
        };
        if selector.offset.is_some() {
            let help = help::range_first(selector, range);
            return fail("no offset modifiers allowed before range", help);
        }
        if selector.at.is_some() {
            let help = help::range_first(selector, range);
            return fail("no @ modifiers allowed before range", help);
        }
        let kind = ExprKind::Matrix(Matrix { selector, selector_span, range });
        Ok((Expr { kind, span }, height))
    }

    fn at_time(&mut self, expr: &Expr) -> Result<At, ParseError> {
        if let Kind::Keyword(keyword @ (Keyword::Start | Keyword::End)) = self.peek().kind {
            self.advance();
            let closed = self.take(Kind::LeftParen).and_then(|_| self.take(Kind::RightParen));
            closed.ok_or_else(|| self.unexpected("@", "timestamp"))?;
            return Ok(if keyword == Keyword::Start { At::Start } else { At::End });
        }
        let negative = self.sign().is_some_and(|(negative, _)| negative);
        let found = self.number_literal()?;
        let (number, _) = found.ok_or_else(|| self.unexpected("@", "timestamp"))?;
        let seconds = if negative { -number.value } else { number.value };
        let ts = Timestamp::from_seconds(seconds).ok_or_else(|| {
            let text = crate::model::value_text::plain(seconds);
            let message = format!("timestamp out of bounds for @ modifier: {text}");
            ParseError::new(message, expr.span)
        })?;
        Ok(At::Time(ts))
    }
}

fn can_be_called(keyword: Keyword) -> bool {
    use Keyword::{End, MaxOf, MinOf, Range, Start, Step};
    matches!(keyword, Start | End | Step | Range | MaxOf | MinOf)
}

/// The node with its height, unless that is too much.
fn above(kind: ExprKind, span: Span, height: usize) -> Result<Parsed, ParseError> {
    if height > NESTING_MAX {
        return Err(too_deep(span));
    }
    Ok((Expr { kind, span }, height))
}

fn too_deep(span: Span) -> ParseError {
    let message = format!("expression nests deeper than {NESTING_MAX} levels");
    ParseError::new(message, span)
}

fn unquote(token: Token<'_>) -> Result<String, ParseError> {
    literal::unquoted(token.text).map_err(|message| {
        ParseError::new(format!("error unquoting string {}: {message}", token.text), token.span)
    })
}

fn set_offset(expr: &mut Expr, offset: Duration) -> Result<(), ParseError> {
    let span = expr.span;
    let place = match &mut expr.kind {
        ExprKind::Vector(selector) => &mut selector.offset,
        ExprKind::Matrix(matrix) => &mut matrix.selector.offset,
        ExprKind::Subquery(subquery) => &mut subquery.offset,
        _other => {
            let message = "offset modifier must be preceded by an instant vector selector or \
             range vector selector or a subquery";
            return Err(ParseError::new(message, span));
        }
    };
    if place.is_some() {
        return Err(ParseError::new("offset may not be set multiple times", span));
    }
    *place = (offset != Duration::Millis(0)).then_some(offset);
    Ok(())
}

fn set_at(expr: &mut Expr, at: At) -> Result<(), ParseError> {
    let span = expr.span;
    let place = match &mut expr.kind {
        ExprKind::Vector(selector) => &mut selector.at,
        ExprKind::Matrix(matrix) => &mut matrix.selector.at,
        ExprKind::Subquery(subquery) => &mut subquery.at,
        _other => {
            let message = "@ modifier must be preceded by an instant vector selector or range \
             vector selector or a subquery";
            return Err(ParseError::new(message, span));
        }
    };
    if place.replace(at).is_some() {
        return Err(ParseError::new("@ <timestamp> may not be set multiple times", span));
    }
    Ok(())
}

fn set_extension(
    expr: &mut Expr,
    extension: Extension,
    features: &Features,
) -> Result<(), ParseError> {
    let name = match extension {
        Extension::Anchored => "anchored",
        Extension::Smoothed => "smoothed",
    };
    let span = expr.span;
    let fail = |message: String| Err(ParseError::new(message, span));
    if !features.extended_ranges {
        let message = format!("{name} modifier is experimental and not enabled");
        let help = help::switch_on("promql-extended-range-selectors");
        return Err(ParseError::new(message, span).with_help(help));
    }
    let place = match &mut expr.kind {
        ExprKind::Vector(selector) => &mut selector.extension,
        ExprKind::Matrix(matrix) => &mut matrix.selector.extension,
        ExprKind::Subquery(_) => {
            return fail(format!("{name} modifier is not supported for subqueries"));
        }
        _other => return fail(format!("{name} modifier not implemented")),
    };
    if place.replace(extension).is_some_and(|before| before != extension) {
        return fail("anchored and smoothed modifiers cannot be used together".to_owned());
    }
    Ok(())
}
