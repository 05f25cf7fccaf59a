//! What is wrong with an expression, in Go's words.

/// Why an expression cannot be used: Go's sentence for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {0}")]
pub struct RegexError(pub String);

/// The most characters of an expression that a message repeats. Go repeats all of them.
const PART_CHARS_MAX: usize = 400;

/// The kinds of faults that Go tells apart.
///
/// Source: golang/go, src/regexp/syntax/parse.go (ErrorCode).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    ClassRange,
    Escape,
    NamedCapture,
    PerlSyntax,
    NestedRepeat,
    RepeatCount,
    MissingBracket,
    MissingParen,
    MissingRepeatArgument,
    TrailingBackslash,
    UnexpectedParen,
    TooDeep,
    TooLarge,
}

impl Fault {
    /// The error about this `part` of an expression.
    pub(super) fn at(self, part: &str) -> RegexError {
        let what = self.as_str();
        RegexError(match part.char_indices().nth(PART_CHARS_MAX) {
            Some((end, _)) => format!("{what}: `{}...`", part.get(..end).unwrap_or_default()),
            None => format!("{what}: `{part}`"),
        })
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::ClassRange => "invalid character class range",
            Self::Escape => "invalid escape sequence",
            Self::NamedCapture => "invalid named capture",
            Self::PerlSyntax => "invalid or unsupported Perl syntax",
            Self::NestedRepeat => "invalid nested repetition operator",
            Self::RepeatCount => "invalid repeat count",
            Self::MissingBracket => "missing closing ]",
            Self::MissingParen => "missing closing )",
            Self::MissingRepeatArgument => "missing argument to repetition operator",
            Self::TrailingBackslash => "trailing backslash at end of expression",
            Self::UnexpectedParen => "unexpected )",
            Self::TooDeep => "expression nests too deeply",
            Self::TooLarge => "expression too large",
        }
    }
}

/// The part of `before` that was read when `after` is what is left of it.
pub(super) fn consumed<'t>(before: &'t str, after: &str) -> &'t str {
    before.len().checked_sub(after.len()).and_then(|end| before.get(..end)).unwrap_or(before)
}
