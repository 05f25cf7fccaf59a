//! Duration expressions: how they are read, and what they are worth.
//!
//! Source: prometheus, promql/parser/generated_parser.y (duration_expr), promql/durations.go.

use super::parse::Parser;
use super::token::{Keyword, Kind};
use super::{
    BinaryOp, Duration, DurationExpr, DurationKind, DurationOp, Number, ParseError, Span, help,
};

/// Go's time.Duration in seconds: 2^63 nanoseconds.
const SECONDS_MAX: f64 = 9_223_372_036.854_776;

impl Duration {
    /// The milliseconds, for a query whose steps are `step_ms` apart and which spans `range_ms`.
    ///
    /// # Errors
    /// The arithmetic does not yield a duration, or a negative one where that is not allowed.
    pub fn resolve(
        &self,
        step_ms: i64,
        range_ms: i64,
        may_be_negative: bool,
    ) -> Result<i64, String> {
        let expr = match self {
            Self::Millis(ms) => return Ok(*ms),
            Self::Expr(expr) => expr,
        };
        let at = |message: &str| Err(format!("{}:{}: {message}", expr.span.start, expr.span.end));
        let seconds = expr.seconds(step_ms as f64 / 1000.0, range_ms as f64 / 1000.0)?;
        if !seconds.is_finite() {
            return at("duration is NaN or infinite");
        }
        if seconds <= 0.0 && !may_be_negative {
            return at("duration must be greater than 0");
        }
        match millis(seconds.abs()) {
            Some(ms) => Ok(if seconds < 0.0 { -ms } else { ms }),
            None => at("duration is out of range"),
        }
    }
}

impl DurationExpr {
    fn seconds(&self, step: f64, range: f64) -> Result<f64, String> {
        Ok(match &self.kind {
            DurationKind::Number(number) => number.value,
            DurationKind::Step => step,
            DurationKind::Range => range,
            DurationKind::Negative(expr) => -expr.seconds(step, range)?,
            DurationKind::Paren(expr) => expr.seconds(step, range)?,
            DurationKind::Binary { op, lhs, rhs } => {
                let (lhs, rhs) = (lhs.seconds(step, range)?, rhs.seconds(step, range)?);
                let by_zero = |what: &str| {
                    Err(format!("{}:{}: {what} by zero", self.span.start, self.span.end))
                };
                match op {
                    DurationOp::Add => lhs + rhs,
                    DurationOp::Sub => lhs - rhs,
                    DurationOp::Mul => lhs * rhs,
                    DurationOp::Div if rhs == 0.0 => return by_zero("division"),
                    DurationOp::Mod if rhs == 0.0 => return by_zero("modulo"),
                    DurationOp::Div => lhs / rhs,
                    DurationOp::Mod => lhs % rhs,
                    DurationOp::Pow => lhs.powf(rhs),
                    DurationOp::MinOf => lhs.min(rhs),
                    DurationOp::MaxOf => lhs.max(rhs),
                }
            }
        })
    }
}

/// Whole milliseconds of not negative seconds, cut as Go does; `None` beyond Go's range.
fn millis(seconds: f64) -> Option<i64> {
    if seconds > SECONDS_MAX {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked above")]
    Some((seconds * 1000.0) as i64)
}

/// The milliseconds of a literal; a positive one below a millisecond counts as one, so that a
/// range is never empty.
fn literal_millis(number: Number, span: Span) -> Result<i64, ParseError> {
    let fail = || ParseError::new("duration out of range", span);
    if number.value.abs() > SECONDS_MAX {
        return Err(fail());
    }
    // Through whole nanoseconds, as in Go: 1.001 s is 1001 ms although the product is less.
    let nanos = std::time::Duration::try_from_secs_f64(number.value.abs()).map_err(|_| fail())?;
    let ms = i64::try_from(nanos.as_millis()).map_err(|_| fail())?;
    let ms = if number.value != 0.0 { ms.max(1) } else { 0 };
    Ok(if number.value < 0.0 { -ms } else { ms })
}

impl Parser<'_> {
    /// The range or step inside brackets; `None` when no duration stands here.
    pub(super) fn positive_duration(&mut self) -> Result<Option<Duration>, ParseError> {
        if matches!(self.peek().kind, Kind::RightBracket | Kind::Colon | Kind::End) {
            return Ok(None);
        }
        let expr = self.duration_expr(0)?;
        let DurationKind::Number(number) = expr.kind else {
            return Ok(Some(Duration::Expr(expr)));
        };
        if number.value.is_nan() || number.value <= 0.0 {
            return Err(ParseError::new("duration must be greater than 0", expr.span));
        }
        Ok(Some(Duration::Millis(literal_millis(number, expr.span)?)))
    }

    /// What stands after `offset`: a literal or a call, with a sign, or anything in parentheses.
    pub(super) fn offset_duration(&mut self) -> Result<Duration, ParseError> {
        let expected = "number, duration, step(), or range()";
        let sign = self.sign();
        let starts = match self.peek().kind {
            Kind::Number | Kind::Duration | Kind::LeftParen => true,
            Kind::Keyword(keyword) => is_call(keyword),
            _other => false,
        };
        if !starts {
            return Err(self.unexpected("offset", expected));
        }
        let parenthesized = self.peek().kind == Kind::LeftParen;
        let mut expr = self.duration_operand()?;
        match sign {
            Some((negative, span)) => expr = signed(expr, negative, span),
            None if parenthesized => expr = self.continued(expr),
            None => {}
        }
        if let DurationKind::Number(number) = expr.kind {
            return Ok(Duration::Millis(literal_millis(number, expr.span)?));
        }
        Ok(Duration::Expr(expr))
    }

    /// After a parenthesis upstream's grammar goes on with arithmetic of durations. Where what
    /// follows is none, the operator belongs to the expression around, as a reader expects.
    fn continued(&mut self, first: DurationExpr) -> DurationExpr {
        let position = self.position();
        let follows = |parser: &Self| match parser.peek().kind {
            Kind::Operator(op) => duration_op(op).is_some(),
            _other => false,
        };
        if !follows(self) {
            return first;
        }
        match self.duration_binary(first.clone(), 0) {
            Ok(expr) if !matches!(self.peek().kind, Kind::LeftParen | Kind::LeftBrace) => expr,
            Ok(_) | Err(_) => {
                self.rewind(position);
                first
            }
        }
    }

    fn duration_expr(&mut self, precedence_min: u8) -> Result<DurationExpr, ParseError> {
        self.nested(|parser| {
            let first = if let Some((negative, span)) = parser.sign() {
                let operand = parser.duration_expr(BinaryOp::Pow.precedence())?;
                signed(operand, negative, span)
            } else {
                parser.duration_operand()?
            };
            parser.duration_binary(first, precedence_min)
        })
    }

    fn duration_binary(
        &mut self,
        mut lhs: DurationExpr,
        precedence_min: u8,
    ) -> Result<DurationExpr, ParseError> {
        // A chain is as high as it is long, and walks use the stack.
        let mut operators_left = super::NESTING_MAX;
        while let Kind::Operator(written) = self.peek().kind {
            let Some(op) = duration_op(written) else { break };
            if written.precedence() < precedence_min {
                break;
            }
            let operator = self.advance();
            operators_left = operators_left.checked_sub(1).ok_or_else(|| {
                ParseError::new("duration expression has too many operators", operator.span)
            })?;
            self.duration_expr_allowed(lhs.span)?;
            let next = written.precedence() + u8::from(written != BinaryOp::Pow);
            let rhs = self.duration_expr(next)?;
            if let (DurationOp::Div | DurationOp::Mod, DurationKind::Number(number)) =
                (op, &rhs.kind)
                && number.value == 0.0
            {
                let what = if op == DurationOp::Div { "division" } else { "modulo" };
                return Err(ParseError::new(format!("{what} by zero"), operator.span));
            }
            let span = lhs.span.to(rhs.span);
            let kind = DurationKind::Binary { op, lhs: Box::new(lhs), rhs: Box::new(rhs) };
            lhs = DurationExpr { kind, span };
        }
        Ok(lhs)
    }

    fn duration_operand(&mut self) -> Result<DurationExpr, ParseError> {
        if let Some((number, span)) = self.number_literal()? {
            if number.value.abs() > SECONDS_MAX {
                return Err(ParseError::new("duration out of range", span));
            }
            return Ok(DurationExpr { kind: DurationKind::Number(number), span });
        }
        let first = self.peek();
        let expected = "number, duration, step(), or range()";
        let kind = match first.kind {
            Kind::LeftParen => {
                self.advance();
                DurationKind::Paren(Box::new(self.duration_expr(0)?))
            }
            Kind::Keyword(keyword) if is_call(keyword) => {
                self.advance();
                if self.take(Kind::LeftParen).is_none() {
                    return Err(self.unexpected("duration expression", "\"(\""));
                }
                self.duration_call(keyword)?
            }
            _other => return Err(self.unexpected("subquery or range selector", expected)),
        };
        let Some(close) = self.take(Kind::RightParen) else {
            return Err(self.unexpected("duration expression", "\")\""));
        };
        let span = first.span.to(close.span);
        self.duration_expr_allowed(span)?;
        Ok(DurationExpr { kind, span })
    }

    fn duration_call(&mut self, keyword: Keyword) -> Result<DurationKind, ParseError> {
        let op = match keyword {
            Keyword::Step => return Ok(DurationKind::Step),
            Keyword::MinOf => DurationOp::MinOf,
            Keyword::MaxOf => DurationOp::MaxOf,
            _range => return Ok(DurationKind::Range),
        };
        let lhs = Box::new(self.duration_expr(0)?);
        if self.take(Kind::Comma).is_none() {
            return Err(self.unexpected("duration expression", "\",\""));
        }
        let rhs = Box::new(self.duration_expr(0)?);
        Ok(DurationKind::Binary { op, lhs, rhs })
    }

    fn duration_expr_allowed(&self, span: Span) -> Result<(), ParseError> {
        if self.features.duration_expressions {
            return Ok(());
        }
        let message = "experimental duration expression is not enabled";
        Err(ParseError::new(message, span).with_help(help::switch_on("promql-duration-expr")))
    }
}

fn is_call(keyword: Keyword) -> bool {
    matches!(keyword, Keyword::Step | Keyword::Range | Keyword::MinOf | Keyword::MaxOf)
}

fn signed(expr: DurationExpr, negative: bool, sign_span: Span) -> DurationExpr {
    let span = sign_span.to(expr.span);
    if !negative {
        return DurationExpr { span, ..expr };
    }
    let kind = match expr.kind {
        DurationKind::Number(number) => {
            DurationKind::Number(Number { value: -number.value, ..number })
        }
        kind => DurationKind::Negative(Box::new(DurationExpr { kind, span: expr.span })),
    };
    DurationExpr { kind, span }
}

const fn duration_op(op: BinaryOp) -> Option<DurationOp> {
    Some(match op {
        BinaryOp::Add => DurationOp::Add,
        BinaryOp::Sub => DurationOp::Sub,
        BinaryOp::Mul => DurationOp::Mul,
        BinaryOp::Div => DurationOp::Div,
        BinaryOp::Mod => DurationOp::Mod,
        BinaryOp::Pow => DurationOp::Pow,
        _other => return None,
    })
}
