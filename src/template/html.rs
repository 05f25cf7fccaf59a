//! Escaping for HTML, as html/template does it, by following the page while it is written.
//!
//! Covered: text, `<title>` and `<textarea>`, attribute values in double, single or no quotes,
//! values of attributes that hold URLs (scheme filtered, then normalized; escaped as a query
//! after `?` or `#`), style (`css.rs`), comments (dropped). Where code would stand (`<script>`,
//! `on...` attributes, names of tags and attributes) no value is written at all but `ZgotmplZ`,
//! Go's mark for a value that is not safe in its place.
//!
//! Source: Go, html/template/{transition,escape,html,url}.go.

use super::css::Sheet;
use super::format::{Bounded, TooLong, print};
use super::value::Value;
use crate::model::percent;
use std::fmt::Write as _;

/// What Go writes instead of a value that is not safe in its place.
pub(super) const UNSAFE: &str = "ZgotmplZ";

/// Attributes whose values are URLs.
const URL_ATTRIBUTES: [&str; 12] = [
    "action",
    "archive",
    "background",
    "cite",
    "codebase",
    "data",
    "formaction",
    "href",
    "longdesc",
    "manifest",
    "poster",
    "src",
];

/// Follows the page.
#[derive(Debug, Default)]
pub(super) struct Escaper {
    place: Place,
    /// The name of the tag at work, small letters.
    tag: String,
    /// The name of the attribute at work, small letters.
    attribute: String,
    /// What of the attribute's value is written already.
    value: String,
    /// The style at work.
    sheet: Sheet,
}

/// Where the page is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Text,
    /// Inside a script or style element.
    Code,
    Comment,
    TagName,
    /// Inside a tag, between attributes.
    Tag,
    AttributeName,
    /// After the name, before or after the equals sign.
    BeforeValue,
    /// In a value that ends at this mark; a space means that it has no quotes.
    Value(char),
}

impl Escaper {
    /// Writes a part of the page as the template has it.
    pub(super) fn literal(&mut self, text: &str, out: &mut Bounded) -> Result<(), TooLong> {
        let mut kept = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if self.place == Place::Text && rest.starts_with("<!--") {
                self.place = Place::Comment;
                rest = rest.get(4..).unwrap_or_default();
                continue;
            }
            if self.place == Place::Comment {
                let end = rest.find("-->");
                rest = end.and_then(|end| rest.get(end + 3..)).unwrap_or_default();
                if end.is_some() {
                    self.place = Place::Text;
                }
                continue;
            }
            if self.place == Place::Text && c == '<' && !begins_tag(rest) && !is_doctype(rest) {
                // One that begins nothing, as Go has it.
                kept.push_str("&lt;");
            } else {
                kept.push(c);
                self.step(c, rest);
            }
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
        out.push(&kept)
    }

    /// Writes a value, escaped for the place.
    pub(super) fn value(&mut self, value: &Value, out: &mut Bounded) -> Result<(), TooLong> {
        let text = match value {
            Value::Nil => String::new(),
            something => print(std::slice::from_ref(something), out.bytes_max())?,
        };
        let escaped = match self.place {
            Place::Text => match value {
                Value::SafeHtml(_) => text,
                _unsafe => escape(&text, false, false),
            },
            Place::Comment => String::new(),
            Place::Code if self.tag == "style" => self.sheet.value(&text),
            Place::Code | Place::TagName | Place::AttributeName => UNSAFE.to_owned(),
            Place::Tag => {
                self.place = Place::AttributeName;
                UNSAFE.to_owned()
            }
            Place::BeforeValue => {
                self.enter_value(' ');
                self.attribute_value(value, &text, true)
            }
            Place::Value(mark) => self.attribute_value(value, &text, mark == ' '),
        };
        // With nothing behind the equals sign, what follows would be the value.
        let escaped = match self.place {
            Place::Value(' ') if escaped.is_empty() => UNSAFE.to_owned(),
            _ => escaped,
        };
        if matches!(self.place, Place::Value(_)) {
            self.value.push_str(&escaped);
        }
        out.push(&escaped)
    }

    fn attribute_value(&mut self, value: &Value, text: &str, bare: bool) -> String {
        let name = self.attribute.as_str();
        if name.starts_with("on") {
            return UNSAFE.to_owned();
        }
        if name == "style" {
            return escape(&self.sheet.value(text), bare, false);
        }
        if !is_url_attribute(name) {
            // What is HTML already loses its tags and keeps its references.
            return match value {
                Value::SafeHtml(_) => escape(&without_tags(text), bare, true),
                _text => escape(text, bare, false),
            };
        }
        let trusted = matches!(value, Value::SafeUrl(_));
        if self.value.contains(['?', '#']) && !trusted {
            return escape(&percent::encode_lower(text, b""), bare, false);
        }
        if self.value.trim().is_empty() && !trusted && !has_safe_scheme(text) {
            return format!("#{UNSAFE}");
        }
        escape(&normalize_url(text), bare, false)
    }

    /// Moves on over one character of the template.
    fn step(&mut self, c: char, rest: &str) {
        match self.place {
            Place::Text | Place::Comment => self.step_text(c, rest),
            Place::Code => {
                let close = format!("</{}", self.tag);
                let head = rest.get(..close.len()).unwrap_or_default();
                if head.eq_ignore_ascii_case(&close) {
                    self.tag.clear();
                    self.place = Place::TagName;
                } else if self.tag == "style" {
                    self.sheet.step(c);
                }
            }
            Place::TagName => match c {
                '>' => self.end_tag(),
                c if c.is_ascii_whitespace() => self.place = Place::Tag,
                c => self.tag.extend(c.to_lowercase()),
            },
            Place::Tag => match c {
                '>' => self.end_tag(),
                c if c.is_ascii_whitespace() || c == '/' => {}
                c => {
                    self.attribute = c.to_lowercase().collect();
                    self.place = Place::AttributeName;
                }
            },
            Place::AttributeName => match c {
                '>' => self.end_tag(),
                '=' => self.place = Place::BeforeValue,
                c if c.is_ascii_whitespace() => self.place = Place::Tag,
                c => self.attribute.extend(c.to_lowercase()),
            },
            Place::BeforeValue => self.begin_value(c),
            Place::Value(mark) => self.step_value(c, mark),
        }
    }

    fn step_text(&mut self, c: char, rest: &str) {
        if c == '<' && begins_tag(rest) {
            self.tag.clear();
            self.place = Place::TagName;
        }
    }

    fn enter_value(&mut self, mark: char) {
        self.value.clear();
        self.sheet = Sheet::default();
        self.place = Place::Value(mark);
    }

    fn begin_value(&mut self, c: char) {
        match c {
            '"' | '\'' => self.enter_value(c),
            '>' => self.end_tag(),
            c if c.is_ascii_whitespace() => {}
            c => {
                self.enter_value(' ');
                self.step_value(c, ' ');
            }
        }
    }

    fn step_value(&mut self, c: char, mark: char) {
        if c == mark || (mark == ' ' && c.is_ascii_whitespace()) {
            self.place = Place::Tag;
        } else if mark == ' ' && c == '>' {
            self.end_tag();
        } else {
            self.value.push(c);
            if self.attribute == "style" {
                self.sheet.step(c);
            }
        }
    }

    fn end_tag(&mut self) {
        self.sheet = Sheet::default();
        let code = matches!(self.tag.as_str(), "script" | "style");
        self.place = if code { Place::Code } else { Place::Text };
    }
}

/// Whether a tag begins here: the name of one follows, or of one that ends.
fn begins_tag(rest: &str) -> bool {
    let name = rest.strip_prefix("</").or_else(|| rest.strip_prefix('<'));
    name.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
}

fn is_doctype(rest: &str) -> bool {
    rest.get(..9).is_some_and(|head| head.eq_ignore_ascii_case("<!DOCTYPE"))
}

fn is_url_attribute(name: &str) -> bool {
    let name = name.strip_prefix("data-").unwrap_or(name);
    URL_ATTRIBUTES.contains(&name)
        || name.contains("src")
        || name.contains("uri")
        || name.contains("url")
}

/// Whether a URL has no scheme, or one that cannot run code.
pub(super) fn has_safe_scheme(url: &str) -> bool {
    match url.split_once(':') {
        Some((scheme, _)) if !scheme.contains('/') => {
            ["http", "https", "mailto"].iter().any(|safe| scheme.eq_ignore_ascii_case(safe))
        }
        Some(_) | None => true,
    }
}

/// Percent-encodes what may not stand in a URL, and leaves what is encoded already.
pub(super) fn normalize_url(url: &str) -> String {
    let mut parts = url.split('%');
    let reserved = b"!#$&*+,/:;=?@[]";
    let mut out = percent::encode_lower(parts.next().unwrap_or_default(), reserved);
    for part in parts {
        let mut digits = part.bytes().take(2).filter(u8::is_ascii_hexdigit);
        let is_encoded = digits.next().and(digits.next()).is_some();
        out.push_str(if is_encoded { "%" } else { "%25" });
        out.push_str(&percent::encode_lower(part, reserved));
    }
    out
}

/// HTML's special characters as references, or all but that of references themselves; in a value
/// without quotes also what would end it.
fn escape(text: &str, bare: bool, keeps_references: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' if bare => out.push_str("&#xfffd;"),
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '&' if !keeps_references => out.push_str("&amp;"),
            '\'' => out.push_str("&#39;"),
            '+' => out.push_str("&#43;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\t' | '\n' | '\x0b' | '\x0c' | '\r' | ' ' | '=' | '`' if bare => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// The text of a piece of HTML: what is left without its tags.
fn without_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' if inside => inside = false,
            c if !inside => out.push(c),
            _dropped => {}
        }
    }
    out
}
