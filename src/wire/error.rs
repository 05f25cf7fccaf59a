//! What can go wrong with a request, in the API's words.

use std::fmt;

/// Prometheus' error types, each with its status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A parameter is missing or wrong: 400.
    BadData,
    /// The evaluation failed: 422.
    Execution,
    /// It took too long: 503.
    Timeout,
    /// The client went away: 499.
    Canceled,
    /// Our fault: 500.
    Internal,
    /// There is no such thing: 404.
    NotFound,
    /// No form that the client accepts: 406.
    NotAcceptable,
    /// Switched off, or not possible now: 500, as upstream has it.
    Unavailable,
    /// The caller may not do this: 403.
    Forbidden,
    /// Too busy or not ready: 503.
    Busy,
}

impl ErrorKind {
    /// The word in `errorType`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::Execution => "execution",
            Self::Timeout => "timeout",
            Self::Canceled => "canceled",
            Self::Internal => "internal",
            Self::NotFound => "not_found",
            Self::NotAcceptable => "not_acceptable",
            Self::Unavailable | Self::Busy => "unavailable",
            Self::Forbidden => "forbidden",
        }
    }

    /// The HTTP status code.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadData => 400,
            Self::Execution => 422,
            Self::Timeout | Self::Busy => 503,
            Self::Canceled => 499,
            Self::Internal | Self::Unavailable => 500,
            Self::NotFound => 404,
            Self::NotAcceptable => 406,
            Self::Forbidden => 403,
        }
    }

    /// The kind that an answer with this `errorType` and status means.
    pub fn from_answer(word: &str, status: u16) -> Self {
        match (word, status) {
            ("bad_data", _) | (_, 400) => Self::BadData,
            ("execution", _) | (_, 422) => Self::Execution,
            ("timeout", _) => Self::Timeout,
            ("canceled", _) => Self::Canceled,
            ("not_found", _) | (_, 404) => Self::NotFound,
            ("not_acceptable", _) => Self::NotAcceptable,
            (_, 503) => Self::Busy,
            ("unavailable", _) => Self::Unavailable,
            ("forbidden", _) | (_, 401 | 403) => Self::Forbidden,
            _ => Self::Internal,
        }
    }
}

/// An error as the API answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Which family it belongs to.
    pub kind: ErrorKind,
    /// What went wrong, in words for the person who asked.
    pub message: String,
}

impl Error {
    /// An error of `kind`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A wrong or missing parameter.
    pub fn bad_data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadData, message)
    }

    /// Something that does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Something that this server, of whatever make it is, has not.
    pub fn not_offered(what: &str) -> Self {
        Self::new(ErrorKind::Unavailable, format!("this server has no {what}"))
    }

    /// Our own failure.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
