//! Values in style sheets, as html/template writes them, by following the sheet while it is
//! written.
//!
//! Where a value of a property would stand, innocuous ones are written: sizes, colors, names.
//! What could end the token before or after, or run code, becomes `ZgotmplZ`. In strings and in
//! `url(...)` a value is escaped; in comments it is dropped.
//!
//! Source: Go, html/template/{css,transition}.go and its documentation (the rules).

use super::attributes::{has_safe_scheme, normalize_url};
use super::html::UNSAFE;
use crate::model::percent;
use std::fmt::Write as _;

/// Characters with a meaning of their own in a declaration.
const BOUNDS: &str = "\0\"'()/;@[\\]`{}<>";
/// Names that run code in browsers of old.
const SCRIPTS: [&str; 2] = ["expression", "mozbinding"];
/// So much of a sheet tells where the next character stands.
const SEEN_BYTES_MAX: usize = 16;

/// Follows one sheet, or the value of one `style`.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    place: Place,
    /// What the template has before in the same place; outside of strings and URLs only the end
    /// of it.
    seen: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Plain,
    Comment,
    /// Up to this mark.
    Text(char),
    /// `url(`, up to the mark when there is one.
    Url(Option<char>),
}

impl Sheet {
    /// Moves on over one character of the template.
    pub(super) fn step(&mut self, c: char) {
        match self.place {
            Place::Plain => self.step_plain(c),
            Place::Comment => {
                self.push(c);
                if self.seen.ends_with("*/") {
                    self.enter(Place::Plain);
                }
            }
            Place::Text(mark) | Place::Url(Some(mark)) => {
                let slashes = self.seen.len() - self.seen.trim_end_matches('\\').len();
                if c == '\n' || (c == mark && slashes.is_multiple_of(2)) {
                    self.enter(Place::Plain);
                } else {
                    self.seen.push(c);
                }
            }
            Place::Url(None) => match c {
                ')' => self.enter(Place::Plain),
                '"' | '\'' if self.seen.trim().is_empty() => self.enter(Place::Url(Some(c))),
                c => self.seen.push(c),
            },
        }
    }

    fn step_plain(&mut self, c: char) {
        let opens_url = c == '(' && self.seen.trim_end().ends_with("url");
        self.push(c);
        if self.seen.ends_with("/*") {
            self.enter(Place::Comment);
        } else if matches!(c, '"' | '\'') {
            self.enter(Place::Text(c));
        } else if opens_url {
            self.enter(Place::Url(None));
        }
    }

    fn push(&mut self, c: char) {
        self.seen.push(c.to_ascii_lowercase());
        if self.seen.len() > SEEN_BYTES_MAX {
            self.seen.remove(0);
        }
    }

    fn enter(&mut self, place: Place) {
        self.place = place;
        self.seen.clear();
    }

    /// A value as it may stand here.
    pub(super) fn value(&self, text: &str) -> String {
        let is_url = matches!(self.place, Place::Url(_));
        match self.place {
            Place::Plain => filtered(text),
            Place::Comment => String::new(),
            Place::Text(_) | Place::Url(_) if self.seen.contains(['?', '#']) => {
                percent::encode_lower(text, b"")
            }
            Place::Text(_) | Place::Url(_) => {
                let begins = self.seen.trim().is_empty();
                let text = if begins && !has_safe_scheme(text) {
                    format!("#{UNSAFE}")
                } else {
                    text.to_owned()
                };
                if is_url { normalize_url(&text) } else { escaped(&text) }
            }
        }
    }
}

/// A value of a property, or a mark in its place.
fn filtered(text: &str) -> String {
    let plain = decoded(text);
    let name: String = plain
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_'))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let is_unsafe = plain.contains(|c: char| BOUNDS.contains(c))
        || plain.contains("--")
        || SCRIPTS.iter().any(|script| name.contains(script));
    if is_unsafe { UNSAFE.to_owned() } else { plain }
}

/// The text with CSS's escapes resolved: a backslash before up to six hexadecimal digits and a
/// space, or before any other character.
fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let mut code = String::new();
        while code.len() < 6
            && let Some(digit) = chars.next_if(char::is_ascii_hexdigit)
        {
            code.push(digit);
        }
        if code.is_empty() {
            out.push(chars.next().unwrap_or('\\'));
            continue;
        }
        let code = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32);
        out.push(code.unwrap_or(char::REPLACEMENT_CHARACTER));
        chars.next_if(|c| matches!(c, ' ' | '\t' | '\n' | '\x0c' | '\r'));
    }
    out
}

/// What has a meaning in CSS or HTML by its number.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\0' | '\t' | '\n' | '\x0c' | '\r' | '"' | '&' | '\'' | '(' | ')' | '+' | '/' | ':'
            | ';' | '<' | '>' | '{' | '}' => {
                let _ = write!(out, "\\{:x}", u32::from(c));
                // The number would go on, or take the space that follows for its end.
                let ends = |c: &char| !(c.is_ascii_hexdigit() || c.is_ascii_whitespace());
                if !chars.peek().is_some_and(ends) {
                    out.push(' ');
                }
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn innocuous_values_pass_and_others_do_not() {
        // Cases of Go, html/template/css_test.go (TestCSSValueFilter).
        for (text, expected) in [
            ("", ""),
            ("foo", "foo"),
            ("0", "0"),
            ("0px", "0px"),
            ("-5px", "-5px"),
            ("1.25in", "1.25in"),
            ("+.33em", "+.33em"),
            ("100%", "100%"),
            ("12.5%", "12.5%"),
            (".foo", ".foo"),
            ("#bar", "#bar"),
            ("corner-shape", "corner-shape"),
            ("-moz-corner-radius", "-moz-corner-radius"),
            ("#000", "#000"),
            ("#48f", "#48f"),
            ("#123456", "#123456"),
            ("U+00-FF, U+980-9FF", "U+00-FF, U+980-9FF"),
            ("color: red", "color: red"),
            ("<!--", UNSAFE),
            ("-->", UNSAFE),
            ("<![CDATA[", UNSAFE),
            ("]]>", UNSAFE),
            ("</style", UNSAFE),
            ("\"", UNSAFE),
            ("'", UNSAFE),
            ("`", UNSAFE),
            ("\0", UNSAFE),
            ("/* foo */", UNSAFE),
            ("//", UNSAFE),
            ("[href=~", UNSAFE),
            ("expression(alert(1337))", UNSAFE),
            ("-expression(alert(1337))", UNSAFE),
            ("expression", UNSAFE),
            ("Expression", UNSAFE),
            ("EXPRESSION", UNSAFE),
            ("-moz-binding", UNSAFE),
            ("-expr\0ession(alert(1337))", UNSAFE),
            ("-expr\\0ession(alert(1337))", UNSAFE),
            ("-express\\69on(alert(1337))", UNSAFE),
            ("-express\\69 on(alert(1337))", UNSAFE),
            ("-exp\\72 ession(alert(1337))", UNSAFE),
            ("-exp\\000052 ession(alert(1337))", UNSAFE),
            ("-exp\\72\\65 ssion(alert(1337))", UNSAFE),
        ] {
            assert_eq!(filtered(text), expected, "{text:?}");
        }
    }

    #[test]
    fn strings_and_urls_hold_values_and_comments_do_not() {
        for (before, text, expected) in [
            ("font-family: '", "a'b;c", "a\\27 b\\3b c"),
            ("font-family: 'x\\'", "y", "y"),
            ("content: \"", "javascript:x", "#ZgotmplZ"),
            ("background: url(", "http://x/a b(", "http://x/a%20b%28"),
            ("background: url( '", "javascript:x", "#ZgotmplZ"),
            ("background: url('x?", "a&b", "a%26b"),
            ("background: url('x'); color: ", "red", "red"),
            ("/* '", "x", ""),
            ("/* ' */ width: ", "3px", "3px"),
            ("color: ", "red; x: url(y)", UNSAFE),
        ] {
            let mut sheet = Sheet::default();
            before.chars().for_each(|c| sheet.step(c));
            assert_eq!(sheet.value(text), expected, "{before}");
        }
    }
}
