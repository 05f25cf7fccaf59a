//! Cuts a text into tokens. What a character means depends on where it stands: inside braces words
//! are labels, inside brackets only durations stand.
//!
//! Source: prometheus, promql/parser/lex.go (what is a token where).

use super::token::{Keyword, Kind, Token, word};
use super::{BinaryOp, ParseError, Span, help};
use nom::IResult;
use nom::Parser as _;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{char, one_of, satisfy};
use nom::combinator::{map, not, opt, peek, recognize, value};
use nom::multi::{many0_count, many1_count};
use nom::sequence::{pair, preceded};

/// The tokens of a text; the last one is `End` or `Fault`.
pub(super) struct Tokens<'a> {
    pub(super) list: Vec<Token<'a>>,
    /// Why the text cannot be cut further, when the last token is `Fault`.
    pub(super) fault: Option<ParseError>,
}

/// Cuts `text` into tokens.
pub(super) fn lex(text: &str) -> Tokens<'_> {
    let mut lexer =
        Lexer { text, at: 0, parens: Vec::new(), open: 0, place: Context::Plain, list: Vec::new() };
    let fault = lexer.run().err();
    let kind = if fault.is_some() { Kind::Fault } else { Kind::End };
    let span = Span::new(lexer.at, lexer.at);
    lexer.list.push(Token { kind, text: "", span });
    Tokens { list: lexer.list, fault }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Plain,
    Braces,
    Brackets,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Where each open parenthesis stands.
    parens: Vec<usize>,
    /// Where the brace or bracket stands that was opened last.
    open: usize,
    place: Context,
    list: Vec<Token<'a>>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn run(&mut self) -> Result<(), ParseError> {
        loop {
            let (rest, _) = blanks(self.rest()).unwrap_or((self.rest(), ()));
            self.at = self.text.len() - rest.len();
            if rest.is_empty() {
                return self.finish();
            }
            let (after, kind) = self.token(rest)?;
            let span = Span::new(self.at, self.text.len() - after.len());
            let text = self.text.get(span.start..span.end).unwrap_or_default();
            self.list.push(Token { kind, text, span });
            self.at = span.end;
            self.step(kind, span)?;
        }
    }

    fn finish(&self) -> Result<(), ParseError> {
        let unclosed = |message: &str, open: usize, close: char| {
            Err(self.fault(message).with_help(help::unclosed(self.text, open, close)))
        };
        match (self.place, self.parens.last()) {
            (Context::Braces, _) => {
                unclosed("unexpected end of input inside braces", self.open, '}')
            }
            (Context::Brackets, _) => {
                unclosed("unexpected end of input in duration expression", self.open, ']')
            }
            (Context::Plain, Some(open)) => unclosed("unclosed left parenthesis", *open, ')'),
            (Context::Plain, None) => Ok(()),
        }
    }

    /// Follows brackets, braces and parentheses.
    fn step(&mut self, kind: Kind, span: Span) -> Result<(), ParseError> {
        match kind {
            Kind::LeftParen => self.parens.push(span.start),
            Kind::RightParen => self.close(span)?,
            Kind::LeftBrace => (self.place, self.open) = (Context::Braces, span.start),
            Kind::LeftBracket => (self.place, self.open) = (Context::Brackets, span.start),
            Kind::RightBrace | Kind::RightBracket => self.place = Context::Plain,
            _other => {}
        }
        Ok(())
    }

    fn close(&mut self, span: Span) -> Result<(), ParseError> {
        if self.parens.pop().is_some() {
            return Ok(());
        }
        self.list.pop();
        self.at = span.start;
        Err(self.fault("unexpected right parenthesis ')'"))
    }

    fn token(&self, rest: &'a str) -> Result<(&'a str, Kind), ParseError> {
        let first = rest.chars().next().unwrap_or_default();
        if matches!(first, '"' | '\'' | '`') && self.place != Context::Brackets {
            return self.string(rest, first);
        }
        match self.place {
            Context::Plain => self.plain(rest, first),
            Context::Braces => in_braces(rest).map_err(|_| match first {
                '{' => self.fault("unexpected left brace '{'"),
                '!' => self.fault(format!(
                    "unexpected character after '!' inside braces: {}",
                    second(rest)
                )),
                c => self.fault(format!("unexpected character inside braces: {c:?}")),
            }),
            Context::Brackets => self.bracketed(rest, first),
        }
    }

    fn plain(&self, rest: &'a str, first: char) -> Result<(&'a str, Kind), ParseError> {
        if first.is_ascii_digit()
            || (first == '.' && rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit))
        {
            return self.number(rest);
        }
        if let Ok((after, name)) = metric_name(rest) {
            return Ok((after, word_kind(name, after)));
        }
        symbol(rest).map_err(|_| {
            let fault = match first {
                '!' => self.fault(format!("unexpected character after '!': {}", second(rest))),
                '=' => self.fault(format!("unexpected character after '=': {}", second(rest))),
                ']' => self.fault("unexpected right bracket ']'"),
                c => self.fault(format!("unexpected character: {c:?}")),
            };
            fault.with_help(help::character(rest))
        })
    }

    fn bracketed(&self, rest: &'a str, first: char) -> Result<(&'a str, Kind), ParseError> {
        if first.is_ascii_digit() || first == '.' {
            return self.number(rest);
        }
        if let Ok((after, name)) = label_name(rest) {
            let kind = word(name).filter(|kind| {
                use Keyword::{MaxOf, MinOf, Range, Step};
                matches!(kind, Kind::Keyword(Step | Range | MaxOf | MinOf))
            });
            if let Some(kind) = kind {
                return Ok((after, kind));
            }
        }
        in_brackets(rest).map_err(|_| match first {
            '[' => self.fault("unexpected left bracket '['"),
            c => self.fault(format!("unexpected character in duration expression: {c:?}")),
        })
    }

    fn number(&self, rest: &'a str) -> Result<(&'a str, Kind), ParseError> {
        let ends =
            |after: &str| !after.starts_with(|c: char| c == '_' || c.is_ascii_alphanumeric());
        if let Ok((after, _)) = number(rest)
            && ends(after)
        {
            return Ok((after, Kind::Number));
        }
        if let Ok((after, _)) = duration(rest)
            && ends(after)
        {
            return Ok((after, Kind::Duration));
        }
        let in_word = |c: char| c == '.' || c == '_' || c.is_ascii_alphanumeric();
        let end = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
        let wrong = rest.get(..end).unwrap_or(rest);
        let text = crate::model::value_text::quoted(wrong);
        let message = format!("bad number or duration syntax: {text}");
        Err(self.fault(message).with_help(help::bad_number(wrong)))
    }

    fn string(&self, rest: &'a str, quote: char) -> Result<(&'a str, Kind), ParseError> {
        let mut chars = rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            if c == quote {
                let end = at + c.len_utf8();
                return Ok((rest.get(end..).unwrap_or_default(), Kind::String));
            }
            match c {
                '\\' if quote != '`' => {
                    let _escaped = chars.next();
                }
                '\n' if quote != '`' => break,
                _content => {}
            }
        }
        let message =
            if quote == '`' { "unterminated raw string" } else { "unterminated quoted string" };
        Err(self.fault(message).with_help(help::unclosed(self.text, self.at, quote)))
    }

    fn fault(&self, message: impl Into<String>) -> ParseError {
        ParseError::new(message, Span::new(self.at, self.text.len()))
    }
}

/// The character after the first, as an error text names it.
fn second(rest: &str) -> String {
    rest.chars().nth(1).map_or_else(|| "end of input".to_owned(), |c| format!("{c:?}"))
}

/// What a word is: `fill` and its kin are names unless a parenthesis follows, so that older
/// expressions with such metrics go on parsing.
fn word_kind(name: &str, after: &str) -> Kind {
    let plain = || if name.contains(':') { Kind::MetricIdentifier } else { Kind::Identifier };
    match word(name) {
        Some(Kind::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight))
            if !after.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('(') =>
        {
            plain()
        }
        Some(kind) => kind,
        None => plain(),
    }
}

fn blanks(input: &str) -> IResult<&str, ()> {
    let comment = pair(char('#'), take_while(|c| c != '\n' && c != '\r'));
    let space = take_while1(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
    value((), many0_count(alt((recognize(comment), space)))).parse(input)
}

fn metric_name(input: &str) -> IResult<&str, &str> {
    recognize(pair(
        satisfy(|c| c == '_' || c == ':' || c.is_ascii_alphabetic()),
        take_while(|c: char| c == '_' || c == ':' || c.is_ascii_alphanumeric()),
    ))
    .parse(input)
}

fn label_name(input: &str) -> IResult<&str, &str> {
    recognize(pair(
        satisfy(|c| c == '_' || c.is_ascii_alphabetic()),
        take_while(|c: char| c == '_' || c.is_ascii_alphanumeric()),
    ))
    .parse(input)
}

fn symbol(input: &str) -> IResult<&str, Kind> {
    let comparison = alt((
        value(Kind::Operator(BinaryOp::Equal), tag("==")),
        value(Kind::Operator(BinaryOp::NotEqual), tag("!=")),
        value(Kind::Operator(BinaryOp::LessEqual), tag("<=")),
        value(Kind::Operator(BinaryOp::TrimUpper), tag("</")),
        value(Kind::Operator(BinaryOp::Less), tag("<")),
        value(Kind::Operator(BinaryOp::GreaterEqual), tag(">=")),
        value(Kind::Operator(BinaryOp::TrimLower), tag(">/")),
        value(Kind::Operator(BinaryOp::Greater), tag(">")),
    ));
    let assign = value(Kind::Assign, pair(char('='), peek(not(char('~')))));
    let other = alt((
        value(Kind::LeftBrace, char('{')),
        value(Kind::LeftBracket, char('[')),
        value(Kind::At, char('@')),
    ));
    alt((comparison, assign, arithmetic, other)).parse(input)
}

fn in_braces(input: &str) -> IResult<&str, Kind> {
    alt((
        map(label_name, |_| Kind::Identifier),
        value(Kind::MatchRegex, tag("=~")),
        value(Kind::Assign, char('=')),
        value(Kind::MatchNotRegex, tag("!~")),
        value(Kind::Operator(BinaryOp::NotEqual), tag("!=")),
        value(Kind::Comma, char(',')),
        value(Kind::RightBrace, char('}')),
    ))
    .parse(input)
}

fn in_brackets(input: &str) -> IResult<&str, Kind> {
    let ends = alt((value(Kind::RightBracket, char(']')), value(Kind::Colon, char(':'))));
    alt((ends, arithmetic)).parse(input)
}

/// What stands both in plain text and in brackets.
fn arithmetic(input: &str) -> IResult<&str, Kind> {
    alt((
        value(Kind::Operator(BinaryOp::Add), char('+')),
        value(Kind::Operator(BinaryOp::Sub), char('-')),
        value(Kind::Operator(BinaryOp::Mul), char('*')),
        value(Kind::Operator(BinaryOp::Div), char('/')),
        value(Kind::Operator(BinaryOp::Mod), char('%')),
        value(Kind::Operator(BinaryOp::Pow), char('^')),
        value(Kind::LeftParen, char('(')),
        value(Kind::RightParen, char(')')),
        value(Kind::Comma, char(',')),
    ))
    .parse(input)
}

/// A decimal or hexadecimal number; `_` may stand between digits.
fn number(input: &str) -> IResult<&str, &str> {
    let hex = preceded(
        pair(char('0'), one_of("xX")),
        many1_count(pair(opt(char('_')), satisfy(|c| c.is_ascii_hexdigit()))),
    );
    let exponent = (one_of("eE"), opt(one_of("+-")), digits);
    let whole = (digits, opt((char('.'), opt(digits))), opt(exponent));
    let exponent = (one_of("eE"), opt(one_of("+-")), digits);
    let fraction = (char('.'), digits, opt(exponent));
    alt((recognize(hex), recognize(whole), recognize(fraction))).parse(input)
}

fn digits(input: &str) -> IResult<&str, &str> {
    let digit = || satisfy(|c| c.is_ascii_digit());
    recognize(pair(digit(), many0_count(pair(opt(char('_')), digit())))).parse(input)
}

fn duration(input: &str) -> IResult<&str, &str> {
    let unit = alt((tag("ms"), tag("s"), tag("m"), tag("h"), tag("d"), tag("w"), tag("y")));
    recognize(many1_count(pair(take_while1(|c: char| c.is_ascii_digit()), unit))).parse(input)
}
