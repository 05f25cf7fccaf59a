//! What is wrong with a text, and where.

use super::Span;
use crate::model::printable;
use std::fmt;
use unicode_width::UnicodeWidthStr as _;

/// A longer line is cut in front of the place.
const BEFORE_MAX: usize = 100;
/// A longer line is cut behind the place.
const AFTER_MAX: usize = 100;

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

    /// The message with the line it is about, carets below the place, and the help, as compilers
    /// show it:
    ///
    /// ```text
    /// 1:1: parse error: unknown function with name "rat"
    ///   |
    /// 1 | rat(up[5m])
    ///   | ^^^
    ///   = help: did you mean rate?
    /// ```
    pub fn explain(&self, text: &str) -> String {
        let mut out = self.to_string();
        let mut gutter = 1;
        if let Some(place) = self.place {
            let number = place.line.to_string();
            gutter = number.len();
            let (line, marks) = self.marked(text, place);
            out.push_str(&format!(
                "\n{:gutter$} |\n{number} | {line}\n{:gutter$} | {marks}",
                "", ""
            ));
        }
        if let Some(help) = &self.help {
            out.push_str(&format!("\n{:gutter$} = help: {}", "", printable(help)));
        }
        out
    }

    /// The line of the place, cut where it is long, and what marks the span below it.
    fn marked(&self, text: &str, place: Place) -> (String, String) {
        let line = text.split('\n').nth(place.line - 1).unwrap_or_default();
        let start = line.floor_char_boundary(place.column - 1);
        let (before, from) = line.split_at(start);
        let width = self.span.end.saturating_sub(self.span.start);
        let (marked, after) = from.split_at(from.floor_char_boundary(width));
        // A control character is as wide as its escape; a tab is one blank.
        let shown = |text: &str| printable(&text.replace('\t', " ")).to_string();
        let (mut before, marked, mut after) = (shown(before), shown(marked), shown(after));
        if before.width() > BEFORE_MAX {
            let keep = before.char_indices().rev().nth(BEFORE_MAX / 2).map_or(0, |(at, _)| at);
            before = format!("...{}", before.get(keep..).unwrap_or_default());
        }
        if marked.width() + after.width() > AFTER_MAX {
            let keep = AFTER_MAX.saturating_sub(marked.width());
            let end = after.char_indices().nth(keep).map_or(after.len(), |(at, _)| at);
            after = format!("{}...", after.get(..end).unwrap_or_default());
        }
        let marks = "^".repeat(marked.width().max(1));
        let blanks = before.width();
        (format!("{before}{marked}{after}").trim_end().to_owned(), format!("{:blanks$}{marks}", ""))
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
