//! Values in scripts, as html/template writes them, by following the script while it is written.
//!
//! Where an expression would stand, a value is written as JSON, which no script can take for code;
//! inside of quotes its characters are escaped; in comments it is dropped. Where it is not clear
//! what a value would be (regular expressions, template literals, escapes that are cut in two) it
//! becomes `ZgotmplZ`. Whether a slash divides or begins an expression is guessed, as in Go.
//!
//! Source: Go, html/template/{js,transition}.go and its documentation (the rules).

use super::format::{Bounded, TooLong, print};
use super::html::UNSAFE;
use super::json::to_json;
use super::value::Value;
use std::fmt::Write as _;

/// So much of the code tells what a slash means: the longest word that matters, and one more.
const SEEN_BYTES_MAX: usize = 16;
/// Words after which a slash begins a regular expression.
const WORDS_BEFORE_PATTERNS: [&str; 14] = [
    "break",
    "case",
    "continue",
    "delete",
    "do",
    "else",
    "finally",
    "in",
    "instanceof",
    "return",
    "throw",
    "try",
    "typeof",
    "void",
];

/// Follows one script, or the value of one `on...`.
#[derive(Debug, Default)]
pub(super) struct Script {
    place: Place,
    /// The end of the code before, with single spaces.
    seen: String,
    /// Whether a backslash stands right before, in quotes or a pattern.
    escaped: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Code,
    /// Up to this mark.
    Text(char),
    /// Between backquotes.
    Literal,
    /// A regular expression; whether in a set of characters.
    Pattern {
        in_set: bool,
    },
    LineComment,
    /// The character before, from the star that begins it on.
    BlockComment(Option<char>),
    /// Whatever it is, no value is safe in it.
    Unclear,
}

impl Script {
    /// A script of which nothing is known.
    pub(super) fn unclear() -> Self {
        Self { place: Place::Unclear, ..Self::default() }
    }

    /// Moves on over the first character of what follows in the template.
    pub(super) fn step(&mut self, c: char, rest: &str) {
        let is_escaped = std::mem::take(&mut self.escaped);
        match self.place {
            Place::Code => self.step_code(c, rest),
            Place::Unclear => {}
            Place::LineComment => {
                if matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}') {
                    self.place = Place::Code;
                }
            }
            Place::BlockComment(before) => {
                self.place = match before {
                    Some('*') if c == '/' => Place::Code,
                    Some(_) => Place::BlockComment(Some(c)),
                    None => Place::BlockComment(Some(' ')),
                };
            }
            Place::Text(_) | Place::Literal | Place::Pattern { .. } if is_escaped => {}
            Place::Text(_) | Place::Literal | Place::Pattern { .. } if c == '\\' => {
                self.escaped = true;
            }
            Place::Text(mark) if c == mark => self.end_operand(),
            Place::Text(_) => {}
            Place::Literal if c == '`' => self.end_operand(),
            // Code that holds literals that hold code.
            Place::Literal if rest.starts_with("${") => self.place = Place::Unclear,
            Place::Literal => {}
            Place::Pattern { in_set } => match c {
                '/' if !in_set => self.end_operand(),
                '[' => self.place = Place::Pattern { in_set: true },
                ']' => self.place = Place::Pattern { in_set: false },
                // It was none.
                '\n' | '\r' => self.place = Place::Unclear,
                _ => {}
            },
        }
    }

    fn step_code(&mut self, c: char, rest: &str) {
        self.place = match c {
            '"' | '\'' => Place::Text(c),
            '`' => Place::Literal,
            '/' if rest.starts_with("//") => Place::LineComment,
            '/' if rest.starts_with("/*") => Place::BlockComment(None),
            '/' if begins_pattern(&self.seen) => Place::Pattern { in_set: false },
            // Comments as well, in memory of browsers that took scripts for text.
            _ if ["<!--", "-->", "#!"].iter().any(|open| rest.starts_with(open)) => {
                Place::LineComment
            }
            c => return self.push(c),
        };
    }

    fn push(&mut self, c: char) {
        let c = if c.is_whitespace() { ' ' } else { c };
        if c == ' ' && self.seen.ends_with(' ') {
            return;
        }
        self.seen.push(c);
        while self.seen.len() > SEEN_BYTES_MAX {
            self.seen.remove(0);
        }
    }

    /// Back in code, after a text or a pattern: what a slash behind it divides.
    fn end_operand(&mut self) {
        self.place = Place::Code;
        self.seen.replace_range(.., "x");
    }

    /// A value as it may stand here; `text` is what it prints.
    pub(super) fn value(&mut self, value: &Value, bytes_max: usize) -> Result<String, TooLong> {
        Ok(match self.place {
            Place::Code => {
                self.end_operand();
                expression(value, bytes_max)?
            }
            Place::Text(_) if std::mem::take(&mut self.escaped) => UNSAFE.to_owned(),
            Place::Text(_) => escaped(&printed(value, bytes_max)?),
            Place::LineComment | Place::BlockComment(_) => String::new(),
            Place::Literal | Place::Pattern { .. } | Place::Unclear => UNSAFE.to_owned(),
        })
    }
}

/// What a value prints; nothing prints nothing.
pub(super) fn printed(value: &Value, bytes_max: usize) -> Result<String, TooLong> {
    match value {
        Value::Nil => Ok(String::new()),
        something => print(std::slice::from_ref(something), bytes_max),
    }
}

/// Whether a slash after this code begins a regular expression, and divides nothing.
fn begins_pattern(code: &str) -> bool {
    let code = code.trim_end();
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$');
    match code.chars().next_back() {
        None => true,
        // `a++ / b` divides, `a + /b/` does not.
        Some(sign @ ('+' | '-')) => (code.len() - code.trim_end_matches(sign).len()) % 2 == 1,
        Some('.') => !code.trim_end_matches('.').ends_with(|c: char| c.is_ascii_digit()),
        Some(c) if is_of_word(c) => {
            let word = code.rsplit(|c| !is_of_word(c)).next().unwrap_or_default();
            WORDS_BEFORE_PATTERNS.contains(&word)
        }
        Some(c) => ",<>=*%&|^?!~([:;{}".contains(c),
    }
}

/// A value as JSON, between spaces where it could run into a word.
fn expression(value: &Value, bytes_max: usize) -> Result<String, TooLong> {
    let texty = match value {
        Value::Object(object) => object.text().map(Value::from),
        Value::Duration(_) => Some(printed(value, bytes_max)?.into()),
        _other => None,
    };
    // What JSON cannot hold is nothing.
    let json = to_json(texty.as_ref().unwrap_or(value)).unwrap_or_else(|_| "null".to_owned());
    let mut out = Bounded::new(bytes_max);
    if json.starts_with(|c: char| c == '-' || c.is_ascii_alphanumeric()) {
        out.push(" ")?;
        out.push(&json)?;
        out.push(" ")?;
    } else {
        out.push(&json)?;
    }
    Ok(out.into_text())
}

/// A text between quotes: what could end it, or the script, by its number.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\x0c' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '/' | '\\' => out.extend(['\\', c]),
            '\0'..=' ' if c != ' ' => by_number(&mut out, c),
            '"' | '&' | '\'' | '+' | '<' | '>' | '`' | '\u{2028}' | '\u{2029}' => {
                by_number(&mut out, c);
            }
            c => out.push(c),
        }
    }
    out
}

fn by_number(out: &mut String, c: char) {
    let _ = write!(out, "\\u{:04x}", u32::from(c));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(before: &str, value: &Value) -> String {
        let mut script = Script::default();
        for (at, c) in before.char_indices() {
            script.step(c, &before[at..]);
        }
        script.value(value, 1 << 16).expect("short")
    }

    #[test]
    fn values_are_json_outside_of_quotes_and_escaped_inside() {
        // As amtool 0.25 renders them, but for the places where no value is written.
        let text = || Value::from("a\"'</script>/\\&+\n`\u{b}\u{2028}\u{e9}");
        for (before, value, expected) in [
            (
                "x = ",
                text(),
                "\"a\\\"'\\u003c/script\\u003e/\\\\\\u0026+\\n`\\u000b\\u2028\u{e9}\"",
            ),
            (
                "x = '",
                text(),
                "a\\u0022\\u0027\\u003c\\/\
                 script\\u003e\\/\\\\\\u0026\\u002b\\n\\u0060\\u000b\\u2028\u{e9}",
            ),
            ("x = \"\\\"", "b".into(), "b"),
            ("x = \"\\", "b".into(), UNSAFE),
            ("x = '\\\\'; y = ", "q".into(), "\"q\""),
            ("f(", Value::Int(1), " 1 "),
            ("f(", Value::Bool(true), " true "),
            ("f(", Value::Nil, " null "),
            ("f(", Value::list(["a".into()]), "[\"a\"]"),
            ("a = 1 /", Value::Int(2), " 2 "),
            ("b = (c) / d; e = \"", "q".into(), "q"),
            ("a = b++ / c / \"", "q".into(), "q"),
            ("a = b + /'/ + ", "q".into(), "\"q\""),
            ("return  /x[/\"]y/; \"", "q".into(), "q"),
            ("x = /", "a.b".into(), UNSAFE),
            ("x = `a`; y = ", "q".into(), "\"q\""),
            ("x = `a", "q".into(), UNSAFE),
            ("x = `a${`b`}`; y = ", "q".into(), UNSAFE),
            ("// '", "c".into(), ""),
            ("// '\n x = ", "c".into(), "\"c\""),
            ("/*/ ' ", "c".into(), ""),
            ("/*/ ' **/ x = ", "c".into(), "\"c\""),
            ("a = \"<!-- ", "x'".into(), "x\\u0027"),
            ("a <!-- ' ", "x".into(), ""),
        ] {
            assert_eq!(written(before, &value), expected, "{before}");
        }
    }

    proptest! {
        #[test]
        fn no_value_ends_the_quotes_that_it_stands_in(text in any::<String>()) {
            let written = written("x = '", &text.into());
            prop_assert!(!written.contains(['\'', '"', '<', '\n', '`']), "{written}");
        }
    }
}
