//! Escaping for HTML, as html/template does it, by following the page while it is written.
//!
//! Covered: text, `<title>` and `<textarea>`, names and values of attributes (`attributes.rs`) in
//! double, single or no quotes, scripts (`js.rs`), style (`css.rs`), comments (dropped). Only what
//! the template itself says decides where the page is: no value moves it.
//!
//! Source: Go, html/template/{transition,escape,html}.go.

use super::attributes::{self, Kind, has_safe_scheme, normalize_url};
use super::css::Sheet;
use super::format::{Bounded, TooLong};
use super::js::{Script, printed};
use super::value::Value;
use crate::model::percent;
use std::fmt::Write as _;

/// What Go writes instead of a value that is not safe in its place.
pub(super) const UNSAFE: &str = "ZgotmplZ";

/// Follows the page.
#[derive(Debug, Default)]
pub(super) struct Escaper {
    place: Place,
    /// The name of the tag at work, small letters.
    tag: String,
    /// The name of the attribute at work, small letters.
    attribute: String,
    /// What the template's own beginning of a name tells, where a value is a part of the name.
    begun: Kind,
    /// What its value is.
    kind: Kind,
    /// What the template itself says of the attribute's value.
    value: String,
    /// What the script element at work holds.
    content: Content,
    /// The style at work.
    sheet: Sheet,
    /// The script at work.
    script: Script,
}

/// Where the page is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Text,
    /// Inside a script or style element.
    Code,
    /// Inside a title or textarea element: text without tags.
    Tagless,
    Comment,
    TagName,
    /// Inside a tag, between attributes.
    Tag,
    AttributeName,
    /// After the name, before an equals sign or the next name.
    AfterName,
    /// After the equals sign.
    BeforeValue,
    /// In a value that ends at this mark; a space means that it has no quotes.
    Value(char),
}

/// What a script element holds, by its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Content {
    #[default]
    Script,
    Text,
    /// A value is a part of the type.
    Unclear,
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
            let is_sign = match self.place {
                Place::Text => c == '<' && !begins_tag(rest) && !is_doctype(rest),
                Place::Tagless => c == '<' && !ends_element(&self.tag, rest),
                _other => false,
            };
            // One that begins nothing, as Go has it.
            kept.push_str(if is_sign { "&lt;" } else { rest.get(..c.len_utf8()).unwrap_or("") });
            self.step(c, rest);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
        out.push(&kept)
    }

    /// Writes a value, escaped for the place.
    pub(super) fn value(&mut self, value: &Value, out: &mut Bounded) -> Result<(), TooLong> {
        let bytes_max = out.bytes_max();
        let text = printed(value, bytes_max)?;
        if self.place == Place::BeforeValue {
            self.enter_value(' ');
        }
        let escaped = match self.place {
            Place::Text => match value {
                Value::SafeHtml(_) => text,
                _unsafe => escape(&text, false, false),
            },
            Place::Tagless => escape(&text, false, matches!(value, Value::SafeHtml(_))),
            Place::Comment => String::new(),
            Place::Code if self.tag == "style" => self.sheet.value(&text),
            Place::Code => self.script.value(value, bytes_max)?,
            Place::TagName => {
                let name = attributes::name(&text);
                self.tag.push_str(&name);
                name
            }
            Place::Tag | Place::AfterName | Place::AttributeName => self.attribute_name(&text),
            Place::Value(mark) => self.attribute_value(value, &text, mark == ' ', bytes_max)?,
            Place::BeforeValue => UNSAFE.to_owned(),
        };
        // With nothing behind the equals sign, what follows would be the value.
        let escaped = match self.place {
            Place::Value(' ') if escaped.is_empty() => UNSAFE.to_owned(),
            _ => escaped,
        };
        out.push(&escaped)
    }

    fn attribute_name(&mut self, text: &str) -> String {
        if self.place == Place::AttributeName {
            if self.begun == Kind::Plain {
                self.begun = Kind::of(&self.attribute);
            }
        } else {
            self.begin_name();
        }
        let name = attributes::name(text);
        self.attribute.push_str(&name);
        name
    }

    fn attribute_value(
        &mut self,
        value: &Value,
        text: &str,
        bare: bool,
        bytes_max: usize,
    ) -> Result<String, TooLong> {
        if self.is_type_of_script() {
            self.content = Content::Unclear;
        }
        let written = match self.kind {
            Kind::Script => self.script.value(value, bytes_max)?,
            Kind::Style => self.sheet.value(text),
            Kind::Sources => match value {
                Value::SafeUrl(_) => normalize_url(text).replace(',', "%2c"),
                _text => attributes::sources(text),
            },
            Kind::Url => self.url(value, text),
            Kind::Unclear => UNSAFE.to_owned(),
            Kind::Plain => {
                // What is HTML already loses its tags and keeps its references.
                return Ok(match value {
                    Value::SafeHtml(_) => escape(&without_tags(text), bare, true),
                    _text => escape(text, bare, false),
                });
            }
        };
        Ok(escape(&written, bare, false))
    }

    fn url(&self, value: &Value, text: &str) -> String {
        let trusted = matches!(value, Value::SafeUrl(_));
        if self.value.contains(['?', '#']) && !trusted {
            percent::encode_lower(text, b"")
        } else if self.value.trim().is_empty() && !trusted && !has_safe_scheme(text) {
            format!("#{UNSAFE}")
        } else {
            normalize_url(text)
        }
    }

    /// Moves on over one character of the template.
    fn step(&mut self, c: char, rest: &str) {
        match self.place {
            Place::Text | Place::Comment => self.step_text(c, rest),
            Place::Code | Place::Tagless => {
                if ends_element(&self.tag, rest) {
                    self.tag.clear();
                    self.place = Place::TagName;
                } else {
                    match self.tag.as_str() {
                        "style" => self.sheet.step(c),
                        "script" => self.script.step(c, rest),
                        _tagless => {}
                    }
                }
            }
            Place::TagName => match c {
                '>' => self.end_tag(),
                // At the beginning it is that of a tag that ends an element.
                '/' if !self.tag.is_empty() => self.place = Place::Tag,
                c if c.is_ascii_whitespace() => self.place = Place::Tag,
                c => self.tag.extend(c.to_lowercase()),
            },
            Place::Tag | Place::AttributeName | Place::AfterName => self.step_name(c),
            Place::BeforeValue => self.begin_value(c, rest),
            Place::Value(mark) => self.step_value(c, rest, mark),
        }
    }

    fn step_text(&mut self, c: char, rest: &str) {
        if c == '<' && begins_tag(rest) {
            self.tag.clear();
            self.content = Content::Script;
            self.place = Place::TagName;
        }
    }

    /// In a tag, outside of values.
    fn step_name(&mut self, c: char) {
        match (c, self.place) {
            ('>', _) => self.end_tag(),
            ('=', Place::AttributeName | Place::AfterName) => self.place = Place::BeforeValue,
            ('/', _) => self.place = Place::Tag,
            (c, Place::AttributeName) if c.is_ascii_whitespace() => self.place = Place::AfterName,
            (c, _) if c.is_ascii_whitespace() => {}
            (c, place) => {
                if place != Place::AttributeName {
                    self.begin_name();
                }
                self.attribute.extend(c.to_lowercase());
            }
        }
    }

    fn begin_name(&mut self) {
        self.attribute.clear();
        self.begun = Kind::Plain;
        self.place = Place::AttributeName;
    }

    fn enter_value(&mut self, mark: char) {
        self.value.clear();
        self.sheet = Sheet::default();
        self.script = Script::default();
        self.kind = match self.begun {
            Kind::Plain => Kind::of(&self.attribute),
            begun => begun,
        };
        self.place = Place::Value(mark);
    }

    fn begin_value(&mut self, c: char, rest: &str) {
        match c {
            '"' | '\'' => self.enter_value(c),
            '>' => self.end_tag(),
            c if c.is_ascii_whitespace() => {}
            c => {
                self.enter_value(' ');
                self.step_value(c, rest, ' ');
            }
        }
    }

    fn step_value(&mut self, c: char, rest: &str, mark: char) {
        let is_end = c == mark || (mark == ' ' && (c == '>' || c.is_ascii_whitespace()));
        if !is_end {
            self.value.push(c);
            match self.kind {
                // A reference is a character that is not known here: it may be a quote, or a blank
                // before a scheme. Where it is cut off, the value would complete it.
                Kind::Style | Kind::Script if rest == "&" || begins_reference(rest) => {
                    self.kind = Kind::Unclear;
                }
                Kind::Url | Kind::Sources if is_reference(rest) && !rest.starts_with("&amp;") => {
                    self.kind = Kind::Unclear;
                }
                Kind::Style => self.sheet.step(c),
                Kind::Script => self.script.step(c, rest),
                Kind::Plain | Kind::Url | Kind::Sources | Kind::Unclear => {}
            }
            return;
        }
        if self.is_type_of_script()
            && self.content != Content::Unclear
            && !attributes::is_script(&self.value)
        {
            self.content = Content::Text;
        }
        self.place = Place::Tag;
        if c == '>' && mark == ' ' {
            self.end_tag();
        }
    }

    fn is_type_of_script(&self) -> bool {
        self.tag == "script" && self.attribute == "type"
    }

    fn end_tag(&mut self) {
        self.sheet = Sheet::default();
        self.script = match self.content {
            Content::Unclear => Script::unclear(),
            Content::Script | Content::Text => Script::default(),
        };
        self.place = match self.tag.as_str() {
            "script" if self.content == Content::Text => Place::Text,
            "script" | "style" => Place::Code,
            "title" | "textarea" => Place::Tagless,
            _other => Place::Text,
        };
    }
}

/// Whether a tag begins here: the name of one follows, or of one that ends.
fn begins_tag(rest: &str) -> bool {
    let name = rest.strip_prefix("</").or_else(|| rest.strip_prefix('<'));
    name.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// Whether the tag that ends an element of this name begins here.
fn ends_element(name: &str, rest: &str) -> bool {
    let Some((head, after)) =
        rest.strip_prefix("</").and_then(|tag| tag.split_at_checked(name.len()))
    else {
        return false;
    };
    head.eq_ignore_ascii_case(name)
        && after.starts_with(|c: char| c.is_ascii_whitespace() || matches!(c, '>' | '/'))
}

/// Whether a character is written by its name or number here.
fn begins_reference(rest: &str) -> bool {
    let name = rest.strip_prefix('&');
    name.is_some_and(|name| name.starts_with(|c: char| c == '#' || c.is_ascii_alphanumeric()))
}

/// Whether it is sure to be one, and not an `&` between the parts of a query: in an attribute a
/// name needs its semicolon.
fn is_reference(rest: &str) -> bool {
    let name = rest.strip_prefix('&').unwrap_or(rest);
    let after = name.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    begins_reference(rest) && (rest.starts_with("&#") || after.starts_with(';'))
}

fn is_doctype(rest: &str) -> bool {
    rest.get(..9).is_some_and(|head| head.eq_ignore_ascii_case("<!DOCTYPE"))
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
