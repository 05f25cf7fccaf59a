//! Regular expressions with Go's (RE2) syntax, anchored at both ends, as matchers and relabelling
//! want them.
//!
//! Matching is linear in the text. Sizes are bounded when the expression is compiled.

use regex_automata::meta;
use std::fmt;

/// The largest compiled automaton, in bytes: reliability.md section 3.
const NFA_BYTES_MAX: usize = 1 << 20;

/// Why an expression cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {0}")]
pub struct RegexError(pub String);

/// A compiled expression and its text.
#[derive(Clone)]
pub struct Regex {
    text: String,
    compiled: meta::Regex,
}

impl Regex {
    /// Compiles `text`, anchored at both ends; the dot matches a newline.
    ///
    /// # Errors
    /// Go would refuse the text, or the automaton would be too large.
    pub fn anchored(text: &str) -> Result<Self, RegexError> {
        Self::compile(text, &format!("^(?s:{text})$"))
    }

    /// Compiles `text` to search anywhere, as template functions do.
    ///
    /// # Errors
    /// As `anchored`.
    pub fn searching(text: &str) -> Result<Self, RegexError> {
        Self::compile(text, text)
    }

    fn compile(text: &str, pattern: &str) -> Result<Self, RegexError> {
        let config = meta::Config::new()
            .nfa_size_limit(Some(NFA_BYTES_MAX))
            .onepass_size_limit(Some(NFA_BYTES_MAX))
            .hybrid_cache_capacity(NFA_BYTES_MAX);
        let compiled = meta::Builder::new()
            .configure(config)
            .build(pattern)
            .map_err(|err| RegexError(format!("{err}: `{text}`")))?;
        Ok(Self { text: text.to_owned(), compiled })
    }

    /// The text it was made of, without the anchors.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `haystack` matches.
    pub fn is_match(&self, haystack: &str) -> bool {
        self.compiled.is_match(haystack)
    }

    /// The replacement for a match of the whole of `haystack`: `template` with `$1`, `${1}`,
    /// `$name` and `$$` expanded as Go does; `None` when it does not match.
    pub fn expand(&self, haystack: &str, template: &str) -> Option<String> {
        let mut captures = self.compiled.create_captures();
        self.compiled.captures(haystack, &mut captures);
        if !captures.is_match() {
            return None;
        }
        let mut out = String::new();
        expand_into(&captures, haystack, template, &mut out);
        Some(out)
    }

    /// `haystack` with every match replaced by `template`, expanded as in `expand`.
    pub fn replace_all(&self, haystack: &str, template: &str) -> String {
        self.replace_all_within(haystack, template, usize::MAX).unwrap_or_default()
    }

    /// As `replace_all`; `None` once the result is longer than `bytes_max`, since a template may
    /// repeat the haystack at each of its characters.
    pub fn replace_all_within(
        &self,
        haystack: &str,
        template: &str,
        bytes_max: usize,
    ) -> Option<String> {
        let mut out = String::new();
        let mut copied = 0;
        for captures in self.compiled.captures_iter(haystack) {
            let Some(found) = captures.get_match() else { continue };
            out.push_str(haystack.get(copied..found.start()).unwrap_or_default());
            expand_into(&captures, haystack, template, &mut out);
            copied = found.end();
            if out.len() > bytes_max {
                return None;
            }
        }
        out.push_str(haystack.get(copied..).unwrap_or_default());
        (out.len() <= bytes_max).then_some(out)
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Regex {}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Regex({:?})", self.text)
    }
}

impl fmt::Display for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Go's `Regexp.Expand`: the longest run of word characters after `$` is the group's name, so
/// `$1x` is the group `1x` (empty) and `${1}x` is group 1 followed by an x.
fn expand_into(
    captures: &regex_automata::util::captures::Captures,
    haystack: &str,
    template: &str,
    out: &mut String,
) {
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let after = after.strip_prefix('$').unwrap_or(after);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let Some((name, after)) = group_name(after) else {
            out.push('$');
            rest = after;
            continue;
        };
        let span = match name.parse::<usize>() {
            Ok(index) => captures.get_group(index),
            Err(_) => captures.get_group_by_name(name),
        };
        if let Some(span) = span {
            out.push_str(haystack.get(span.range()).unwrap_or_default());
        }
        rest = after;
    }
    out.push_str(rest);
}

fn group_name(after_dollar: &str) -> Option<(&str, &str)> {
    let is_word = |c: char| c == '_' || c.is_alphanumeric();
    if let Some(braced) = after_dollar.strip_prefix('{') {
        let (name, rest) = braced.split_once('}')?;
        return (!name.is_empty() && name.chars().all(is_word)).then_some((name, rest));
    }
    let end = after_dollar.find(|c| !is_word(c)).unwrap_or(after_dollar.len());
    (end > 0).then(|| after_dollar.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchored_means_both_ends_and_the_dot_takes_newlines() {
        let regex = Regex::anchored("a|b.c").expect("valid");
        for (text, matches) in [("a", true), ("ab", false), ("b\nc", true), ("xa", false)] {
            assert_eq!(regex.is_match(text), matches, "{text:?}");
        }
    }

    #[test]
    fn replacements_expand_as_in_go() {
        let regex = Regex::anchored("(?P<host>[a-z]+):([0-9]+)").expect("valid");
        for (template, expected) in [
            ("$1-$2", "db-9100"),
            ("${1}x", "dbx"),
            ("$1x", ""),
            ("$host", "db"),
            ("$$1", "$1"),
            ("a$", "a$"),
            ("${", "${"),
        ] {
            assert_eq!(regex.expand("db:9100", template).as_deref(), Some(expected), "{template}");
        }
        assert_eq!(regex.expand("nothing", "$1"), None);
    }
}
