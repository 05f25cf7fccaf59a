//! What the values of attributes are, by the attribute's name, and URLs among them.
//!
//! Source: Go, html/template/{attr,html,url}.go.

use super::html::UNSAFE;
use crate::model::percent;

/// Attributes whose values are URLs.
const URLS: [&str; 17] = [
    "action",
    "archive",
    "background",
    "cite",
    "classid",
    "codebase",
    "data",
    "formaction",
    "href",
    "icon",
    "longdesc",
    "manifest",
    "poster",
    "profile",
    "src",
    "usemap",
    "xmlns",
];
/// Attributes that change what a page does with others: their names are the template's alone.
const GUARDED: [&str; 21] = [
    "async",
    "challenge",
    "charset",
    "content",
    "crossorigin",
    "defer",
    "enctype",
    "form",
    "formenctype",
    "formmethod",
    "formnovalidate",
    "keytype",
    "language",
    "method",
    "novalidate",
    "pattern",
    "rel",
    "sandbox",
    "srcdoc",
    "type",
    "value",
];

/// What the value of an attribute is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    #[default]
    Plain,
    /// A URL.
    Url,
    /// URLs between commas, each with a size.
    Sources,
    /// A style sheet.
    Style,
    /// A script.
    Script,
    /// One that this module does not follow.
    Unclear,
}

impl Kind {
    /// The kind of an attribute of this name in small letters.
    pub(super) fn of(name: &str) -> Self {
        let name = match (name.strip_prefix("data-"), name.split_once(':')) {
            (Some(name), _) => name,
            (None, Some(("xmlns", _))) => return Self::Url,
            (None, Some((_, name))) => name,
            (None, None) => name,
        };
        match name {
            "style" => Self::Style,
            "srcset" => Self::Sources,
            "srcdoc" | "srclang" => Self::Plain,
            name if URLS.contains(&name) => Self::Url,
            name if name.starts_with("on") => Self::Script,
            name if ["src", "uri", "url"].iter().any(|part| name.contains(part)) => Self::Url,
            _other => Self::Plain,
        }
    }
}

/// A value as a part of the name of a tag or an attribute, or the mark in its place.
pub(super) fn name(text: &str) -> String {
    let name = text.to_lowercase();
    let is_plain = Kind::of(&name) == Kind::Plain && !GUARDED.contains(&name.as_str());
    let is_word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_plain && is_word { name } else { UNSAFE.to_owned() }
}

/// Whether a script element of this `type` holds a script.
pub(super) fn is_script(mime: &str) -> bool {
    let mime = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match mime.split_once('/') {
        Some(("application", "json" | "ld+json")) => true,
        Some((_, kind)) => kind.contains("script"),
        None => matches!(mime.as_str(), "" | "module"),
    }
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

/// The sources of a `srcset`, each safe or marked.
pub(super) fn sources(text: &str) -> String {
    let sources: Vec<_> = text.split(',').map(source).collect();
    sources.join(",")
}

/// A URL with a size behind it, which is letters and digits or anything but that.
fn source(text: &str) -> String {
    let blank = |c: char| c.is_ascii_whitespace();
    let blanks = text.len() - text.trim_start_matches(blank).len();
    let (before, rest) = text.split_at(blanks);
    let (url, size) = rest.split_at(rest.find(blank).unwrap_or(rest.len()));
    let is_size = size.chars().all(|c| blank(c) || c.is_ascii_alphanumeric());
    if is_size && has_safe_scheme(url) {
        format!("{before}{}{size}", normalize_url(url))
    } else {
        format!("#{UNSAFE}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_gos() {
        // As amtool 0.25 treats attributes of these names, and Go, html/template/attr.go.
        for (name, expected) in [
            ("title", Kind::Plain),
            ("href", Kind::Url),
            ("usemap", Kind::Url),
            ("icon", Kind::Url),
            ("profile", Kind::Url),
            ("classid", Kind::Url),
            ("xmlns", Kind::Url),
            ("xmlns:a", Kind::Url),
            ("xlink:href", Kind::Url),
            ("svg:title", Kind::Plain),
            ("a:b:href", Kind::Plain),
            ("data-href", Kind::Url),
            ("data-action", Kind::Url),
            ("x-src", Kind::Url),
            ("g:tweeturl", Kind::Url),
            ("srclang", Kind::Plain),
            ("srcdoc", Kind::Plain),
            ("srcset", Kind::Sources),
            ("data-srcset", Kind::Sources),
            ("data-style", Kind::Style),
            ("onclick", Kind::Script),
            ("data-on", Kind::Script),
            ("x:onclick", Kind::Script),
            ("x-on", Kind::Plain),
        ] {
            assert_eq!(Kind::of(name), expected, "{name}");
        }
    }

    #[test]
    fn names_that_do_nothing_pass() {
        for (text, expected) in [
            ("title", "title"),
            ("TITLE", "title"),
            ("x1", "x1"),
            ("srclang", "srclang"),
            ("", UNSAFE),
            ("href", UNSAFE),
            ("onclick", UNSAFE),
            ("style", UNSAFE),
            ("data-x", UNSAFE),
            ("srcset", UNSAFE),
            ("xsrc", UNSAFE),
            ("value", UNSAFE),
            ("type", UNSAFE),
            ("a b", UNSAFE),
        ] {
            assert_eq!(name(text), expected, "{text}");
        }
    }

    #[test]
    fn each_source_of_a_set_is_filtered() {
        for (text, expected) in [
            ("a.png 1x, javascript:1 2x, b c.png", "a.png 1x,#ZgotmplZ,#ZgotmplZ"),
            ("a b, javascript:x, /c?d=e&f=\"  2x ", "a b,#ZgotmplZ, /c?d=e&f=%22  2x "),
            ("b, , \tx\t2x", "b, , \tx\t2x"),
            ("", ""),
        ] {
            assert_eq!(sources(text), expected, "{text}");
        }
    }
}
