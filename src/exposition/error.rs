//! Why a body cannot be read, with the place.

/// A fault in an exposition, with its place in the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
    /// What was found and what is wanted.
    pub message: String,
}

impl ParseError {
    /// The error at byte `offset` of `body`.
    pub(super) fn at(body: &[u8], offset: usize, message: impl Into<String>) -> Self {
        let before = body.get(..offset).unwrap_or(body);
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        Self {
            line: memchr::memchr_iter(b'\n', before).count() + 1,
            column: before.len() - line_start + 1,
            message: message.into(),
        }
    }
}

/// A fault inside a part of a line: how far from the part's start, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) offset: usize,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(offset: usize, message: impl Into<String>) -> Self {
        Self { offset, message: message.into() }
    }
}

/// The start of `bytes` as text for a message: short and on one line.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    // Enough to find the place by eye; the line and column say the rest.
    const EXCERPT_CHARS: usize = 40;
    let text: String = String::from_utf8_lossy(bytes.get(..200).unwrap_or(bytes))
        .chars()
        .take(EXCERPT_CHARS)
        .collect();
    crate::model::value_text::quoted(&text)
}
