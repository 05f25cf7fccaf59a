//! From text to tokens: plain text outside `{{ }}`, Go's words and signs inside.

use crate::model::value_text::quoted;
use nom::IResult;
use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_while};
use nom::character::complete::{char, one_of, satisfy};
use nom::combinator::{fail, opt, recognize};
use nom::multi::many0_count;
use nom::sequence::{pair, preceded, terminated};

/// Texts longer than this are no templates that somebody wrote.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// What trimming takes away.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// A token and its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// Byte in the whole text.
    pub(super) pos: usize,
    /// As written.
    pub(super) text: &'a str,
    /// Whether space stands before it: `.A .B` are two operands, `.A.B` is one.
    pub(super) spaced: bool,
}

/// Kinds of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text outside the braces, trimmed.
    Text,
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// `.`
    Dot,
    /// `.Name`
    Field,
    /// `$` or `$name`
    Variable,
    /// A word: keyword, function, constant.
    Word,
    /// A number.
    Number,
    /// `'a'`
    Char,
    /// `"text"`
    Quoted,
    /// `` `text` ``
    Raw,
    /// `|`
    Pipe,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    /// `,`
    Comma,
    /// `(`
    LeftParen,
    /// `)`
    RightParen,
    /// Any other sign that can be printed.
    Sign,
    /// What cannot be read; nothing follows but the end.
    Fault,
    /// The end of the text.
    End,
}

/// A fault and its place.
pub(super) type LexError = (usize, String);

/// The tokens of a text, the last one of kind `End`. What cannot be read is a fault only when the
/// parser comes to it, as in Go: until then the text may have others.
pub(super) fn lex(text: &str) -> (Vec<Token<'_>>, Option<LexError>) {
    let mut lexer = Lexer { whole: text, rest: text, tokens: Vec::new(), trim: false };
    let fault = match text.len() > TEXT_BYTES_MAX {
        true => Some((0, format!("template longer than {TEXT_BYTES_MAX} bytes"))),
        false => lexer.all().err(),
    };
    if fault.is_some() {
        lexer.push(Kind::Fault, "", true);
    }
    lexer.push(Kind::End, "", false);
    (lexer.tokens, fault)
}

struct Lexer<'a> {
    whole: &'a str,
    rest: &'a str,
    tokens: Vec<Token<'a>>,
    /// The action before asked to trim the text that follows.
    trim: bool,
}

impl<'a> Lexer<'a> {
    fn pos(&self) -> usize {
        self.whole.len() - self.rest.len()
    }

    fn push(&mut self, kind: Kind, text: &'a str, spaced: bool) {
        let pos = self.pos();
        self.tokens.push(Token { kind, pos, text, spaced });
    }

    fn all(&mut self) -> Result<(), LexError> {
        while !self.rest.is_empty() {
            self.text()?;
        }
        Ok(())
    }

    /// Takes the text up to the next action, and that action.
    fn text(&mut self) -> Result<(), LexError> {
        let end = self.rest.find("{{").unwrap_or(self.rest.len());
        let (mut text, after) = self.rest.split_at(end);
        if std::mem::take(&mut self.trim) {
            let trimmed = text.trim_start_matches(SPACE);
            self.rest = self.rest.get(text.len() - trimmed.len()..).unwrap_or_default();
            text = trimmed;
        }
        let inside = after.strip_prefix("{{");
        let marked = inside.and_then(trim_marker_open);
        if marked.is_some() {
            text = text.trim_end_matches(SPACE);
        }
        if !text.is_empty() {
            self.push(Kind::Text, text, false);
        }
        self.rest = after;
        let Some(inside) = inside else { return Ok(()) };
        let body = marked.unwrap_or(inside);
        if body.starts_with("/*") {
            return self.comment(body);
        }
        self.push(Kind::Open, "{{", false);
        self.rest = body;
        self.action()
    }

    fn comment(&mut self, body: &'a str) -> Result<(), LexError> {
        let start = self.pos();
        let Some((_, after)) = body.split_once("*/") else {
            return Err((start, "unclosed comment".to_owned()));
        };
        if let Some(after) = trim_marker_close(after) {
            self.trim = true;
            self.rest = after;
        } else if let Some(after) = after.strip_prefix("}}") {
            self.rest = after;
        } else {
            return Err((start, "comment ends before closing delimiter".to_owned()));
        }
        Ok(())
    }

    /// Takes tokens up to the closing braces.
    fn action(&mut self) -> Result<(), LexError> {
        let mut parens = 0usize;
        loop {
            let marked = trim_marker_close(self.rest);
            let before = self.rest.len();
            if marked.is_none() {
                self.rest = self.rest.trim_start_matches(SPACE);
            }
            let spaced = marked.is_some() || self.rest.len() < before;
            if let Some(after) = marked.or_else(|| self.rest.strip_prefix("}}")) {
                if parens > 0 {
                    return Err((self.pos(), "unclosed left paren".to_owned()));
                }
                self.push(Kind::Close, "}}", spaced);
                self.trim = marked.is_some();
                self.rest = after;
                return Ok(());
            }
            if self.rest.is_empty() {
                return Err((self.pos(), "unclosed action".to_owned()));
            }
            let Ok((after, (kind, text))) = token(self.rest) else {
                return Err((self.pos(), complaint(self.rest)));
            };
            match kind {
                Kind::LeftParen => parens += 1,
                Kind::RightParen => parens = parens.saturating_sub(1),
                _other => {}
            }
            self.check_end(kind, text, after)?;
            self.push(kind, text, spaced);
            self.rest = after;
        }
    }

    /// A word or a number must end where the next thing may begin.
    fn check_end(&self, kind: Kind, text: &str, after: &str) -> Result<(), LexError> {
        let next = after.chars().next();
        match (kind, next) {
            (Kind::Number, Some(c)) if is_word_char(c) => {
                Err((self.pos(), format!("bad number syntax: {}", quoted(&format!("{text}{c}")))))
            }
            (Kind::Field | Kind::Variable | Kind::Word, Some(c))
                if !" \t\r\n.,|:()".contains(c) && !after.starts_with("}}") =>
            {
                Err((self.pos(), format!("bad character {}", named(c))))
            }
            (_, _) => Ok(()),
        }
    }
}

/// `- ` after the opening braces.
fn trim_marker_open(inside: &str) -> Option<&str> {
    let after = inside.strip_prefix('-')?;
    after.starts_with(SPACE).then(|| after.get(1..).unwrap_or_default())
}

/// ` -}}`
fn trim_marker_close(rest: &str) -> Option<&str> {
    rest.strip_prefix(SPACE)?.strip_prefix("-}}")
}

type Found<'a> = IResult<&'a str, (Kind, &'a str)>;

fn token(input: &str) -> Found<'_> {
    alt((number_token, field, variable, word_token, character, quoted_token, raw, sign))
        .parse(input)
}

fn sign(input: &str) -> Found<'_> {
    alt((
        tag(":=").map(|text| (Kind::Declare, text)),
        tag("=").map(|text| (Kind::Assign, text)),
        tag("|").map(|text| (Kind::Pipe, text)),
        tag(",").map(|text| (Kind::Comma, text)),
        tag("(").map(|text| (Kind::LeftParen, text)),
        tag(")").map(|text| (Kind::RightParen, text)),
        recognize(satisfy(|c| matches!(c, '!'..='~') && !"\"`':".contains(c)))
            .map(|text| (Kind::Sign, text)),
    ))
    .parse(input)
}

fn is_word_char(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn field(input: &str) -> Found<'_> {
    let name = take_while(is_word_char);
    recognize(preceded(char('.'), name))
        .map(|text: &str| (if text.len() == 1 { Kind::Dot } else { Kind::Field }, text))
        .parse(input)
}

fn variable(input: &str) -> Found<'_> {
    recognize(pair(char('$'), take_while(is_word_char)))
        .map(|text| (Kind::Variable, text))
        .parse(input)
}

fn word_token(input: &str) -> Found<'_> {
    let first = satisfy(|c| c == '_' || c.is_alphabetic());
    recognize(pair(first, take_while(is_word_char))).map(|text| (Kind::Word, text)).parse(input)
}

/// A sign, a base, digits and an exponent, each of which may be missing: the parser looks closer.
fn number_token(input: &str) -> Found<'_> {
    let next = input.strip_prefix(['+', '-']).unwrap_or(input);
    let begins = next.len() < input.len()
        || next.strip_prefix('.').unwrap_or(next).starts_with(|c: char| c.is_ascii_digit());
    if !begins {
        return fail().parse(input);
    }
    let digits = |c: char| c.is_ascii_digit() || c == '_';
    let base = (char('0'), one_of("oObB"), take_while(|c: char| c.is_ascii_hexdigit() || c == '_'));
    let hex = |c: char| c.is_ascii_hexdigit() || c == '_';
    let sign = || opt(one_of("+-"));
    let power = (one_of("pP"), sign(), take_while(digits));
    let point = opt((char('.'), take_while(hex)));
    let hex = (char('0'), one_of("xX"), take_while(hex), point, opt(power));
    let exponent = (one_of("eE"), sign(), take_while(digits));
    let plain = (take_while(digits), opt((char('.'), take_while(digits))), opt(exponent));
    recognize((sign(), alt((recognize(hex), recognize(base), recognize(plain)))))
        .map(|text| (Kind::Number, text))
        .parse(input)
}

/// Up to the closing mark, on one line, with escaped characters inside.
fn closed(mark: char, input: &str) -> IResult<&str, &str> {
    let plain = recognize(satisfy(move |c| c != mark && c != '\\' && c != '\n'));
    let escaped = recognize(preceded(char('\\'), satisfy(|c| c != '\n')));
    recognize((char(mark), many0_count(alt((plain, escaped))), char(mark))).parse(input)
}

fn character(input: &str) -> Found<'_> {
    closed('\'', input).map(|(rest, text)| (rest, (Kind::Char, text)))
}

fn quoted_token(input: &str) -> Found<'_> {
    closed('"', input).map(|(rest, text)| (rest, (Kind::Quoted, text)))
}

fn raw(input: &str) -> Found<'_> {
    recognize(terminated(preceded(char('`'), take_till(|c| c == '`')), char('`')))
        .map(|text| (Kind::Raw, text))
        .parse(input)
}

/// Why nothing could be made of what follows, in Go's words.
fn complaint(rest: &str) -> String {
    match rest.chars().next() {
        Some('"') => "unterminated quoted string".to_owned(),
        Some('`') => "unterminated raw quoted string".to_owned(),
        Some('\'') => "unterminated character constant".to_owned(),
        Some(':') => "expected :=".to_owned(),
        Some(c) => format!("unrecognized character in action: {}", named(c)),
        None => "unclosed action".to_owned(),
    }
}

/// Go's `%#U`.
fn named(c: char) -> String {
    format!("U+{:04X} '{c}'", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        let (tokens, fault) = lex(text);
        assert_eq!(fault, None, "{text}");
        tokens.iter().map(|token| (token.kind, token.text)).collect()
    }

    #[test]
    fn braces_split_text_from_actions_and_dashes_trim() {
        use Kind::{Close, End, Field, Open, Text, Variable};
        assert_eq!(
            kinds("a {{- .B -}} \n c {{/* no */}}{{$x.Y}}"),
            [
                (Text, "a"),
                (Open, "{{"),
                (Field, ".B"),
                (Close, "}}"),
                (Text, "c "),
                (Open, "{{"),
                (Variable, "$x"),
                (Field, ".Y"),
                (Close, "}}"),
                (End, ""),
            ]
        );
    }

    #[test]
    fn a_minus_before_a_digit_is_a_number() {
        assert_eq!(kinds("{{-3}}")[1], (Kind::Number, "-3"));
        assert_eq!(kinds("{{._1}}")[1], (Kind::Field, "._1"));
        for number in ["1", "-1.5e3", "0x1F", ".5", "1_000", "+2.", "-0x1.8p-2", "0x_1P+4"] {
            assert_eq!(kinds(&format!("{{{{{number}}}}}"))[1], (Kind::Number, number));
        }
    }

    #[test]
    fn faults_have_gos_words() {
        for (text, message) in [
            ("{{", "unclosed action"),
            ("{{\"a}}", "unterminated quoted string"),
            ("{{/* }}", "unclosed comment"),
            ("{{(}}", "unclosed left paren"),
            ("{{12ab}}", "bad number syntax: \"12a\""),
            ("{{-.S}}", "bad number syntax: \"-.S\""),
            ("{{$x=1}}", "bad character U+003D '='"),
            ("{{\u{a7}}}", "unrecognized character in action: U+00A7 '\u{a7}'"),
        ] {
            let (_, fault) = lex(text);
            assert_eq!(fault.map(|(_, message)| message), Some(message.to_owned()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn lexing_never_panics(text in "(\\{\\{|\\}\\}|[-. $a-z0-9\"'`(|):=/*\\\\é]){0,40}") {
            let _ = lex(&text);
        }
    }
}
