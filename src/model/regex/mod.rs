//! Regular expressions with Go's (RE2) syntax, as matchers, relabelling and templates want them.
//!
//! Owns the parser of Go's syntax (`parse.rs`, with `class.rs` and `escape.rs`), Go's error texts
//! (`fault.rs`), replacement templates (`expand.rs`) and what the index wants to know of an
//! expression (`hints.rs`). Start reading at `Regex` below, then `parse.rs`. Matching is done by
//! regex-automata and is linear in the text; sizes are bounded when the expression is compiled.
//!
//! Never: back references, look-around, an expression that means another thing than in Go.

mod class;
mod escape;
mod expand;
mod fault;
mod hints;
mod parse;

#[cfg(test)]
mod tests;

use fault::Fault;
use parse::Parsed;
use regex_automata::meta;
use regex_syntax::hir::{Hir, Look};
use std::fmt;

pub use fault::RegexError;

/// The largest compiled automaton, in bytes: reliability.md section 3.
const NFA_BYTES_MAX: usize = 1 << 20;

/// What each byte of a list of literal texts may add to that, so that thousands of names compile.
/// Lists are matched without the automaton, which then serves replacements alone.
const NFA_BYTES_PER_LIST_BYTE: usize = 64;

/// A compiled expression and its text.
#[derive(Clone)]
pub struct Regex {
    text: String,
    compiled: meta::Regex,
    group_names: Vec<Option<String>>,
    /// Sorted.
    set_matches: Option<Vec<String>>,
    literal_prefix: Option<String>,
}

impl Regex {
    /// Compiles `text`, anchored at both ends; the dot matches a newline.
    ///
    /// # Errors
    /// Go would refuse the text, or the automaton would be too large.
    pub fn anchored(text: &str) -> Result<Self, RegexError> {
        Self::whole(text, true)
    }

    /// The same, but the dot matches no newline, as in Alertmanager.
    ///
    /// # Errors
    /// As `anchored`.
    pub fn anchored_in_line(text: &str) -> Result<Self, RegexError> {
        Self::whole(text, false)
    }

    fn whole(text: &str, dot_takes_newlines: bool) -> Result<Self, RegexError> {
        let parsed = parse::parse(text, dot_takes_newlines)?;
        let set_matches = hints::set_matches(&parsed.hir);
        let literal_prefix = hints::literal_prefix(&parsed.hir);
        let ends = [Hir::look(Look::Start), parsed.hir, Hir::look(Look::End)];
        let parsed = Parsed { hir: Hir::concat(ends.into()), ..parsed };
        let list_bytes = if set_matches.is_some() { text.len() } else { 0 };
        let nfa_bytes_max = NFA_BYTES_MAX + NFA_BYTES_PER_LIST_BYTE * list_bytes;
        Ok(Self { set_matches, literal_prefix, ..Self::compile(text, parsed, nfa_bytes_max)? })
    }

    /// Compiles `text` to search anywhere, as template functions do.
    ///
    /// # Errors
    /// As `anchored`.
    pub fn searching(text: &str) -> Result<Self, RegexError> {
        Self::compile(text, parse::parse(text, false)?, NFA_BYTES_MAX)
    }

    /// The text it was made of, without the anchors.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Bytes that the compiled expression takes, without what matching adds.
    pub fn memory(&self) -> usize {
        self.compiled.memory_usage()
    }

    /// All texts that match, sorted, when they are few or written as a list: `a|b|c`,
    /// `foo(1|2)`. `None` when there is no such list, and always for `searching`.
    pub fn set_matches(&self) -> Option<&[String]> {
        self.set_matches.as_deref()
    }

    /// What every matching text begins with, when that is known and not empty; `None` for
    /// `searching`.
    pub fn literal_prefix(&self) -> Option<&str> {
        self.literal_prefix.as_deref()
    }

    /// Whether `haystack` matches.
    pub fn is_match(&self, haystack: &str) -> bool {
        match (&self.set_matches, &self.literal_prefix) {
            (Some(set), _) => set.binary_search_by(|text| text.as_str().cmp(haystack)).is_ok(),
            (None, Some(prefix)) if !haystack.starts_with(prefix) => false,
            (None, _) => self.compiled.is_match(haystack),
        }
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
        expand::expand_into(&captures, &self.group_names, haystack, template, &mut out);
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
            expand::expand_into(&captures, &self.group_names, haystack, template, &mut out);
            copied = found.end();
            if out.len() > bytes_max {
                return None;
            }
        }
        out.push_str(haystack.get(copied..).unwrap_or_default());
        (out.len() <= bytes_max).then_some(out)
    }

    fn compile(text: &str, parsed: Parsed, nfa_bytes_max: usize) -> Result<Self, RegexError> {
        let config = meta::Config::new()
            .nfa_size_limit(Some(nfa_bytes_max))
            .onepass_size_limit(Some(NFA_BYTES_MAX))
            .hybrid_cache_capacity(NFA_BYTES_MAX);
        let compiled = meta::Builder::new()
            .configure(config)
            .build_from_hir(&parsed.hir)
            .map_err(|_| Fault::TooLarge.at(text))?;
        Ok(Self {
            text: text.to_owned(),
            compiled,
            group_names: parsed.group_names,
            set_matches: None,
            literal_prefix: None,
        })
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
