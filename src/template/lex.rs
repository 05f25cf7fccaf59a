//! From text to tokens: plain text outside `{{ }}`, Go's words and signs inside.

use nom::IResult;
use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_while, take_while1};
use nom::character::complete::{char, satisfy};
use nom::combinator::{opt, recognize};
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
    /// The end of the text.
    End,
}

/// A fault and its place.
pub(super) type LexError = (usize, String);

/// The tokens of a text, the last one of kind `End`.
pub(super) fn lex(text: &str) -> Result<Vec<Token<'_>>, LexError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err((0, format!("template longer than {TEXT_BYTES_MAX} bytes")));
    }
    let mut lexer = Lexer { whole: text, rest: text, tokens: Vec::new(), trim: false };
    while !lexer.rest.is_empty() {
        lexer.text()?;
    }
    lexer.push(Kind::End, "", false);
    Ok(lexer.tokens)
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
            if let Some(after) = trim_marker_close(self.rest) {
                self.push(Kind::Close, "}}", true);
                self.trim = true;
                self.rest = after;
                break;
            }
            let before = self.rest.len();
            self.rest = self.rest.trim_start_matches(SPACE);
            let spaced = self.rest.len() < before;
            if let Some(after) = self.rest.strip_prefix("}}") {
                self.push(Kind::Close, "}}", spaced);
                self.rest = after;
                break;
            }
            if self.rest.is_empty() {
                return Err((self.pos(), "unclosed action".to_owned()));
            }
            let Ok((after, (kind, text))) = token(self.rest) else {
                return Err((self.pos(), complaint(self.rest)));
            };
            match kind {
                Kind::LeftParen => parens += 1,
                Kind::RightParen if parens == 0 => {
                    return Err((self.pos(), "unexpected right paren".to_owned()));
                }
                Kind::RightParen => parens -= 1,
                _other => {}
            }
            self.check_end(kind, text, after)?;
            self.push(kind, text, spaced);
            self.rest = after;
        }
        if parens > 0 { Err((self.pos(), "unclosed left paren".to_owned())) } else { Ok(()) }
    }

    /// A word or a number must end where the next thing may begin.
    fn check_end(&self, kind: Kind, text: &str, after: &str) -> Result<(), LexError> {
        let next = after.chars().next();
        let runs_on = next.is_some_and(|c| c == '_' || c.is_alphanumeric());
        match kind {
            Kind::Number if runs_on => {
                let tail = after.chars().take_while(|c| c.is_alphanumeric()).collect::<String>();
                Err((self.pos(), format!("bad number syntax: {:?}", format!("{text}{tail}"))))
            }
            Kind::Field | Kind::Variable | Kind::Word
                if next.is_some_and(|c| !" \t\r\n.,|:()=}".contains(c)) =>
            {
                let c = next.unwrap_or_default();
                Err((self.pos(), format!("bad character {}", named(c))))
            }
            _other => Ok(()),
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
    alt((number_token, sign, field, variable, word_token, character, quoted, raw)).parse(input)
}

fn sign(input: &str) -> Found<'_> {
    alt((
        tag(":=").map(|text| (Kind::Declare, text)),
        tag("=").map(|text| (Kind::Assign, text)),
        tag("|").map(|text| (Kind::Pipe, text)),
        tag(",").map(|text| (Kind::Comma, text)),
        tag("(").map(|text| (Kind::LeftParen, text)),
        tag(")").map(|text| (Kind::RightParen, text)),
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

fn number_token(input: &str) -> Found<'_> {
    let digits = || take_while1(|c: char| c.is_ascii_digit() || c == '_');
    let prefixed = (
        char('0'),
        alt((tag("x"), tag("X"), tag("o"), tag("O"), tag("b"), tag("B"))),
        take_while1(|c: char| c.is_ascii_hexdigit() || c == '_'),
    );
    let exponent = (alt((char('e'), char('E'))), opt(alt((char('+'), char('-')))), digits());
    let whole = (digits(), opt((char('.'), opt(digits()))), opt(exponent));
    let exponent = (alt((char('e'), char('E'))), opt(alt((char('+'), char('-')))), digits());
    let fraction = (char('.'), digits(), opt(exponent));
    let sign = opt(alt((char('+'), char('-'))));
    recognize((sign, alt((recognize(prefixed), recognize(whole), recognize(fraction)))))
        .map(|text| (Kind::Number, text))
        .parse(input)
}

/// Up to the closing mark, on one line, with escaped characters inside.
fn closed<'a>(mark: char, input: &'a str) -> IResult<&'a str, &'a str> {
    let plain = recognize(satisfy(move |c| c != mark && c != '\\' && c != '\n'));
    let escaped = recognize(preceded(char('\\'), satisfy(|c| c != '\n')));
    recognize((char(mark), many0_count(alt((plain, escaped))), char(mark))).parse(input)
}

fn character(input: &str) -> Found<'_> {
    closed('\'', input).map(|(rest, text)| (rest, (Kind::Char, text)))
}

fn quoted(input: &str) -> Found<'_> {
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
        lex(text).expect("lexes").iter().map(|token| (token.kind, token.text)).collect()
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
        for number in ["1", "-1.5e3", "0x1F", ".5", "1_000", "+2."] {
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
            ("{{1a}}", "bad number syntax: \"1a\""),
            ("{{#}}", "unrecognized character in action: U+0023 '#'"),
        ] {
            assert_eq!(
                lex(text).map_err(|(_, message)| message),
                Err(message.to_owned()),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn lexing_never_panics(text in "(\\{\\{|\\}\\}|[-. $a-z0-9\"'`(|):=/*\\\\é]){0,40}") {
            let _ = lex(&text);
        }
    }
}
