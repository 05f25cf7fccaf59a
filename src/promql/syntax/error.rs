//! What is wrong with a text, and where.

use super::Span;
use std::fmt;

/// A line and a column, both from 1; the column counts bytes as Prometheus does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Place {
    /// The place of a byte offset in `text`.
    pub fn of(text: &str, offset: usize) -> Self {
        let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        Self { line, column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Why a text is no expression. Displays as Prometheus' API does: `1:5: parse error: ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong, in Prometheus' words where they are part of the API.
    pub message: String,
    /// Which bytes are wrong.
    pub span: Span,
    /// Line and column of the span's start; `None` when there is no text at all.
    pub place: Option<Place>,
    /// What could be written instead.
    pub help: Option<String>,
}

impl ParseError {
    pub(super) fn new(message: impl Into<String>, span: Span) -> Self {
        Self { message: message.into(), span, place: None, help: None }
    }

    pub(super) fn with_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    pub(super) fn placed(mut self, text: &str) -> Self {
        self.place = (!text.is_empty()).then(|| Place::of(text, self.span.start));
        self
    }

    /// The message with the line it is about, a caret below the place, and the help.
    pub fn explain(&self, text: &str) -> String {
        let mut out = self.to_string();
        if let Some(place) = self.place {
            let line = text.lines().nth(place.line - 1).unwrap_or_default();
            let before = line.get(..place.column - 1).unwrap_or(line);
            let pad: String = before.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            let marked = line.get(place.column - 1..).unwrap_or_default();
            let width = self.span.end.saturating_sub(self.span.start);
            let carets = marked.char_indices().take_while(|(at, _)| *at < width).count().max(1);
            out.push_str(&format!("\n  {line}\n  {pad}{}", "^".repeat(carets)));
        }
        if let Some(help) = &self.help {
            out.push_str(&format!("\n  {help}"));
        }
        out
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(place) => write!(f, "{place}: parse error: {}", self.message),
            None => write!(f, "unknown position: parse error: {}", self.message),
        }
    }
}

impl std::error::Error for ParseError {}
