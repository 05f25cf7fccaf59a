//! The text of matchers: Alertmanager's UTF-8 grammar, the classic one before it, and the rule
//! which of them wins.
//!
//! Source: prometheus/alertmanager, matcher/parse, matcher/compat, pkg/labels/parse.go.

use crate::model::{MatchOp, Matcher, is_legacy_label_name, is_legacy_metric_name, value_text};

/// Longer text is refused before it is looked at.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// More matchers in one text are refused.
const MATCHERS_MAX: usize = 1_000;

/// Which grammar is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// UTF-8 first, classic second; where both read a text differently, classic wins.
    #[default]
    Fallback,
    /// UTF-8 alone.
    Utf8Strict,
    /// Classic alone.
    Classic,
}

impl Mode {
    /// Whether it takes `name` for a label's or an annotation's.
    pub fn is_label_name(self, name: &str) -> bool {
        match self {
            Self::Classic => is_legacy_label_name(name),
            Self::Fallback | Self::Utf8Strict => !name.is_empty(),
        }
    }
}

/// Reads a list such as `{a="1", b=~"x|y"}`, with or without braces.
///
/// # Errors
/// What is wrong and in which column.
pub fn parse_list(text: &str, mode: Mode) -> Result<Vec<Matcher>, String> {
    bounded(text)?;
    match mode {
        Mode::Classic => classic_list(text),
        Mode::Utf8Strict => Utf8Parser::new(text).list(),
        Mode::Fallback => {
            let (new, old) = (Utf8Parser::new(text).list(), classic_list(text));
            match (new, old) {
                (Ok(new), Ok(old)) if new != old => Ok(old),
                (Ok(new), _) => Ok(new),
                // A lone brace reads as an empty list in the classic grammar: nobody means that.
                (Err(err), Ok(old)) if old.is_empty() => Err(err),
                (Err(_), Ok(old)) => Ok(old),
                (Err(_), Err(err)) => Err(err),
            }
        }
    }
}

/// Reads one matcher, without braces.
///
/// # Errors
/// What is wrong and in which column.
pub fn parse_one(text: &str, mode: Mode) -> Result<Matcher, String> {
    bounded(text)?;
    if mode != Mode::Classic && (text.starts_with('{') || text.ends_with('}')) {
        return Err(format!("unexpected open or close brace: {text}"));
    }
    match mode {
        Mode::Classic => classic_one(text),
        Mode::Utf8Strict => utf8_one(text),
        Mode::Fallback => match (utf8_one(text), classic_one(text)) {
            (_, Ok(old)) => Ok(old),
            (Ok(new), Err(_)) => Ok(new),
            (Err(_), Err(err)) => Err(err),
        },
    }
}

/// Writes a list as route keys hold it: `{a="1",b=~"x|y"}`.
pub fn format_list(matchers: &[Matcher]) -> String {
    let one = |matcher: &Matcher| {
        let name = matcher.name();
        let op = matcher.op().as_str();
        if name.chars().any(is_reserved) {
            let (name, value) = (value_text::quoted(name), value_text::quoted(matcher.value()));
            return format!("{name}{op}{value}");
        }
        format!("{name}{op}\"{}\"", open_metrics_escaped(matcher.value()))
    };
    let all: Vec<_> = matchers.iter().map(one).collect();
    format!("{{{}}}", all.join(","))
}

/// Sorts as Alertmanager does before it makes a route's key: name, value, operator.
pub fn sort(matchers: &mut [Matcher]) {
    let rank = |op: MatchOp| match op {
        MatchOp::Equal => 0,
        MatchOp::NotEqual => 1,
        MatchOp::Regex => 2,
        MatchOp::NotRegex => 3,
    };
    matchers.sort_by(|a, b| {
        (a.name(), a.value(), rank(a.op())).cmp(&(b.name(), b.value(), rank(b.op())))
    });
}

fn bounded(text: &str) -> Result<(), String> {
    if text.len() > TEXT_BYTES_MAX {
        let len = text.len();
        return Err(format!("matchers of {len} bytes; at most {TEXT_BYTES_MAX} are allowed"));
    }
    Ok(())
}

fn open_metrics_escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

fn is_reserved(c: char) -> bool {
    c.is_whitespace() || "{}!=~,\\\"'`".contains(c)
}

fn utf8_one(text: &str) -> Result<Matcher, String> {
    let mut found = Utf8Parser::new(text).list()?;
    match (found.pop(), found.len()) {
        (Some(one), 0) => Ok(one),
        (None, _) => Err("no matchers".to_owned()),
        (Some(_), before) => Err(format!("expected 1 matcher, found {}", before + 1)),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token<'a> {
    OpenBrace,
    CloseBrace,
    Comma,
    Operator(MatchOp),
    /// With its quotes.
    Quoted(&'a str),
    Unquoted(&'a str),
    End,
}

#[derive(Clone, Debug)]
struct Utf8Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Utf8Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, rest: text }
    }

    fn list(mut self) -> Result<Vec<Matcher>, String> {
        let mut found = Vec::new();
        let braced = self.peek()? == Token::OpenBrace;
        if braced {
            self.next()?;
        }
        loop {
            match self.peek()? {
                Token::End | Token::CloseBrace => break,
                _ if found.len() >= MATCHERS_MAX => {
                    return Err(format!("more than {MATCHERS_MAX} matchers"));
                }
                _ => found.push(self.matcher()?),
            }
            match self.peek()? {
                Token::End | Token::CloseBrace => break,
                Token::Comma => {
                    self.next()?;
                }
                _ => return Err(self.wrong("expected a comma or close brace")),
            }
        }
        match (braced, self.next()?) {
            (true, Token::CloseBrace) => {}
            (true, _) => return Err(self.wrong("expected close brace")),
            (false, Token::CloseBrace) => return Err(self.wrong("expected opening brace")),
            (false, _) => return Ok(found),
        }
        match self.next()? {
            Token::End => Ok(found),
            _ => Err(self.wrong("expected end of input")),
        }
    }

    fn matcher(&mut self) -> Result<Matcher, String> {
        let name = self.word("expected label name")?;
        let op = match self.next()? {
            Token::Operator(op) => op,
            _ => return Err(self.wrong("expected an operator such as '=', '!=', '=~' or '!~'")),
        };
        let value = self.word("expected label value")?;
        if name.is_empty() {
            return Err(self.wrong("empty label name"));
        }
        Matcher::of_alerts(name, op, value)
            .map_err(|err| format!("failed to create matcher: {err}"))
    }

    fn word(&mut self, wanted: &str) -> Result<String, String> {
        match self.next()? {
            Token::Unquoted(text) => Ok(text.to_owned()),
            Token::Quoted(text) => {
                unquoted(text).ok_or_else(|| self.wrong(&format!("{text}: invalid input")))
            }
            _ => Err(self.wrong(wanted)),
        }
    }

    fn peek(&self) -> Result<Token<'a>, String> {
        self.clone().next()
    }

    fn next(&mut self) -> Result<Token<'a>, String> {
        self.rest = self.rest.trim_start();
        let Some(first) = self.rest.chars().next() else { return Ok(Token::End) };
        let two = self.rest.get(..2).unwrap_or_default();
        let (token, len) = match first {
            '{' => (Token::OpenBrace, 1),
            '}' => (Token::CloseBrace, 1),
            ',' => (Token::Comma, 1),
            '=' if two == "=~" => (Token::Operator(MatchOp::Regex), 2),
            '=' => (Token::Operator(MatchOp::Equal), 1),
            '!' if two == "!=" => (Token::Operator(MatchOp::NotEqual), 2),
            '!' if two == "!~" => (Token::Operator(MatchOp::NotRegex), 2),
            '!' => return Err(self.wrong("expected one of '=~'")),
            '"' => {
                let len = quoted_len(self.rest).ok_or_else(|| self.wrong("missing end \""))?;
                (Token::Quoted(self.rest.get(..len).unwrap_or_default()), len)
            }
            c if !is_reserved(c) => {
                let len = self.rest.find(is_reserved).unwrap_or(self.rest.len());
                (Token::Unquoted(self.rest.get(..len).unwrap_or_default()), len)
            }
            _ => return Err(self.wrong("invalid input")),
        };
        self.rest = self.rest.get(len..).unwrap_or_default();
        Ok(token)
    }

    /// The message with the column, in characters, at which the parser stands.
    fn wrong(&self, message: &str) -> String {
        let read = self.text.len() - self.rest.len();
        let column = self.text.get(..read).unwrap_or_default().chars().count();
        format!("{column}: {message} in {:?}", self.text)
    }
}

/// Length of the quoted text at the start, quotes included.
fn quoted_len(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// What Go's `strconv.Unquote` makes of a text in double quotes.
fn unquoted(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..)?;
        if c == '\n' {
            return None;
        }
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let kind = rest.chars().next()?;
        rest = rest.get(kind.len_utf8()..)?;
        let (digits, radix) = match kind {
            'x' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='7' => (2, 8),
            _ => {
                bytes.push(simple_escape(kind)?);
                continue;
            }
        };
        let number = rest.get(..digits)?;
        rest = rest.get(digits..)?;
        if !number.chars().all(|c| c.is_digit(radix)) {
            return None;
        }
        let low = u32::from_str_radix(number, radix).ok()?;
        match kind {
            'x' => bytes.push(u8::try_from(low).ok()?),
            'u' | 'U' => {
                let c = char::from_u32(low)?;
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            octal => bytes.push(u8::try_from(octal.to_digit(8)? * 64 + low).ok()?),
        }
    }
    String::from_utf8(bytes).ok()
}

fn simple_escape(kind: char) -> Option<u8> {
    Some(match kind {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '"' => b'"',
        _ => return None,
    })
}

fn classic_list(text: &str) -> Result<Vec<Matcher>, String> {
    let inner = text.strip_prefix('{').unwrap_or(text);
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    let mut tokens = vec![String::new()];
    let (mut inside, mut escaped) = (false, false);
    for c in inner.chars() {
        match c {
            ',' if !inside => {
                tokens.push(String::new());
                continue;
            }
            '"' if escaped => escaped = false,
            '"' => inside = !inside,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
        if let Some(last) = tokens.last_mut() {
            last.push(c);
        }
    }
    if tokens.last().is_some_and(|last| last.trim().is_empty()) {
        tokens.pop();
    }
    if tokens.len() > MATCHERS_MAX {
        return Err(format!("more than {MATCHERS_MAX} matchers"));
    }
    tokens.iter().map(|token| classic_one(token)).collect()
}

/// Go's `\s`; other blanks belong to the value.
fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\u{c}' | '\r' | ' ')
}

fn classic_one(text: &str) -> Result<Matcher, String> {
    let bad = || format!("bad matcher format: {text}");
    let trimmed = text.trim_matches(is_blank);
    let end = trimmed
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .ok_or_else(bad)?;
    let (name, rest) = trimmed.split_at(end);
    if !is_legacy_metric_name(name) {
        return Err(bad());
    }
    let rest = rest.trim_start_matches(is_blank);
    let ops = [
        ("=~", MatchOp::Regex),
        ("!=", MatchOp::NotEqual),
        ("!~", MatchOp::NotRegex),
        ("=", MatchOp::Equal),
    ];
    let (op, value) = ops
        .into_iter()
        .find_map(|(sign, op)| {
            rest.strip_prefix(sign).map(|value| (op, value.trim_matches(is_blank)))
        })
        .ok_or_else(bad)?;
    let value = classic_value(value)?;
    Matcher::of_alerts(name, op, value).map_err(|err| err.to_string())
}

/// A value with OpenMetrics' escapes, in quotes or without.
fn classic_value(raw: &str) -> Result<String, String> {
    let stray = || format!("matcher value contains unescaped double quote: {raw}");
    let (inner, mut wants_end) = match raw.strip_prefix('"') {
        Some(inner) => (inner, true),
        None => (raw, false),
    };
    let mut value = String::new();
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.peek() {
                Some('n') => {
                    chars.next();
                    value.push('\n');
                }
                Some(next @ ('"' | '\\')) => {
                    value.push(*next);
                    chars.next();
                }
                // A stray backslash stands for itself.
                Some(_) | None => value.push('\\'),
            },
            '"' if wants_end && chars.peek().is_none() => wants_end = false,
            '"' => return Err(stray()),
            c => value.push(c),
        }
    }
    if wants_end { Err(stray()) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(result: Result<Vec<Matcher>, String>) -> Option<String> {
        result.ok().map(|matchers| format_list(&matchers))
    }

    #[test]
    fn t66_matchers_read_as_in_alertmanager() {
        // Text; UTF-8 alone; classic alone; both with the fall-back.
        let table = [
            ("foo=bar", Some(r#"{foo="bar"}"#), Some(r#"{foo="bar"}"#), Some(r#"{foo="bar"}"#)),
            ("foo=", None, Some(r#"{foo=""}"#), Some(r#"{foo=""}"#)),
            (
                "foo=~bar|baz",
                Some(r#"{foo=~"bar|baz"}"#),
                Some(r#"{foo=~"bar|baz"}"#),
                Some(r#"{foo=~"bar|baz"}"#),
            ),
            (
                r#"{foo="a, b",}"#,
                Some(r#"{foo="a, b"}"#),
                Some(r#"{foo="a, b"}"#),
                Some(r#"{foo="a, b"}"#),
            ),
            ("\u{1f642}=x", Some("{\u{1f642}=\"x\"}"), None, Some("{\u{1f642}=\"x\"}")),
            (r#""a b"!=x"#, Some(r#"{"a b"!="x"}"#), None, Some(r#"{"a b"!="x"}"#)),
            ("{foo=bar", None, Some(r#"{foo="bar"}"#), Some(r#"{foo="bar"}"#)),
            ("{", None, Some("{}"), None),
            ("", Some("{}"), Some("{}"), Some("{}")),
            // Both read it, differently: the classic reading wins.
            (
                r#"foo="\x41""#,
                Some(r#"{foo="A"}"#),
                Some(r#"{foo="\\x41"}"#),
                Some(r#"{foo="\\x41"}"#),
            ),
            (r#"foo="\d""#, None, Some(r#"{foo="\\d"}"#), Some(r#"{foo="\\d"}"#)),
            ("foo=bar baz", None, Some(r#"{foo="bar baz"}"#), Some(r#"{foo="bar baz"}"#)),
            // A blank beyond ASCII is one for the newer grammar alone.
            (
                "foo=\u{a0}bar",
                Some(r#"{foo="bar"}"#),
                Some("{foo=\"\u{a0}bar\"}"),
                Some("{foo=\"\u{a0}bar\"}"),
            ),
            ("foo=~(", None, None, None),
            ("foo", None, None, None),
            ("=bar", None, None, None),
        ];
        for (text, utf8, classic, both) in table {
            let found = |mode| shown(parse_list(text, mode));
            assert_eq!(found(Mode::Utf8Strict).as_deref(), utf8, "UTF-8 {text:?}");
            assert_eq!(found(Mode::Classic).as_deref(), classic, "classic {text:?}");
            assert_eq!(found(Mode::Fallback).as_deref(), both, "both {text:?}");
        }
    }

    #[test]
    fn one_matcher_has_no_braces_and_no_companion() {
        for text in ["{a=b}", "a=b}", "\u{e4}=1,b=2", ""] {
            assert!(parse_one(text, Mode::Fallback).is_err(), "{text:?}");
        }
        assert_eq!(
            parse_one("a=\"b\"", Mode::Fallback).map(|one| one.to_string()),
            Ok(r#"a="b""#.to_owned())
        );
    }

    #[test]
    fn keys_sort_by_name_then_value() {
        let mut matchers = parse_list(r#"{b="2",a=~"z",a="y"}"#, Mode::Fallback).expect("valid");
        sort(&mut matchers);
        assert_eq!(format_list(&matchers), r#"{a="y",a=~"z",b="2"}"#);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,60}") {
            for mode in [Mode::Fallback, Mode::Utf8Strict, Mode::Classic] {
                let _ = parse_list(&text, mode);
                let _ = parse_one(&text, mode);
            }
        }

        #[test]
        fn what_is_written_reads_back(name in "[a-z]{1,5}", value in ".{0,20}") {
            let matcher = Matcher::equal(name, value);
            let text = format_list(std::slice::from_ref(&matcher));
            prop_assert_eq!(parse_list(&text, Mode::Fallback), Ok(vec![matcher]));
        }
    }
}
