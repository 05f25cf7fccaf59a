//! Warnings and infos of an evaluation: each text once, with its place in the query.
//!
//! Source: prometheus, util/annotations/annotations.go (texts).

use super::syntax::{Place, Span};
use std::collections::BTreeSet;

/// Warnings and infos, each text once, in order of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    warnings: Vec<String>,
    infos: Vec<String>,
}

impl Annotations {
    /// The warnings as the API prints them.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The infos as the API prints them.
    pub fn infos(&self) -> &[String] {
        &self.infos
    }
}

/// Collects annotations while a query runs.
#[derive(Debug, Default)]
pub(super) struct Notes {
    warnings: BTreeSet<Note>,
    infos: BTreeSet<Note>,
    from_source: BTreeSet<String>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Note {
    text: String,
    at: usize,
}

/// So many texts of each kind are kept: a hostile query cannot fill memory with them.
const NOTES_MAX: usize = 100;

impl Notes {
    /// Adds a warning about the expression at `span`.
    pub(super) fn warn(&mut self, span: Span, text: impl Into<String>) {
        if self.warnings.len() < NOTES_MAX {
            self.warnings.insert(Note { text: text.into(), at: span.start });
        }
    }

    /// Adds an info about the expression at `span`.
    pub(super) fn info(&mut self, span: Span, text: impl Into<String>) {
        if self.infos.len() < NOTES_MAX {
            self.infos.insert(Note { text: text.into(), at: span.start });
        }
    }

    /// Adds a warning of the source.
    pub(super) fn source(&mut self, text: String) {
        if self.from_source.len() < NOTES_MAX {
            self.from_source.insert(text);
        }
    }

    /// The texts with the places in `query`.
    pub(super) fn finish(self, query: &str) -> Annotations {
        let print = |kind: &str, note: Note| {
            format!("PromQL {kind}: {} ({})", note.text, Place::of(query, note.at))
        };
        let mut warnings: Vec<String> = self.from_source.into_iter().collect();
        warnings.extend(self.warnings.into_iter().map(|note| print("warning", note)));
        let infos = self.infos.into_iter().map(|note| print("info", note)).collect();
        Annotations { warnings, infos }
    }
}
