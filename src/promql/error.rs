//! Why a query has no answer. Texts are Prometheus', since clients show and compare them.

use super::syntax::ParseError;
use crate::storage::source::SourceError;

/// The API's classes of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong.
    BadData,
    /// The expression cannot be evaluated on this data.
    Execution,
    /// It took too long.
    Timeout,
    /// The client went away.
    Canceled,
    /// The store cannot be read.
    Internal,
    /// Other queries hold the memory.
    Busy,
}

/// Why a query has no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no expression.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// A parameter of the query is wrong.
    #[error("{0}")]
    BadData(String),
    /// The expression cannot be evaluated on this data.
    #[error("{0}")]
    Execution(String),
    /// More samples than one query may hold.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// More memory than one query may hold.
    #[error("query processing would take more than {limit} bytes of memory in query execution")]
    TooManyBytes {
        /// The budget.
        limit: usize,
    },
    /// Other queries hold the memory that this one needs.
    #[error(
        "all running queries together would take more than {limit} bytes of memory in query \
         execution; ask again when others have ended"
    )]
    MemoryBusy {
        /// The budget of all.
        limit: usize,
    },
    /// A query that may only do little would do more.
    #[error("the query takes more work than a light one may")]
    Heavy,
    /// The deadline has passed.
    #[error("query timed out in expression evaluation")]
    Timeout,
    /// The caller has gone away.
    #[error("query was canceled in expression evaluation")]
    Canceled,
    /// The store failed.
    #[error("expanding series: {0}")]
    Source(SourceError),
}

impl Error {
    /// The API's class of this error.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Parse(_) | Self::BadData(_) => ErrorKind::BadData,
            Self::Execution(_)
            | Self::Heavy
            | Self::TooManySamples
            | Self::TooManyBytes { .. }
            | Self::Source(SourceError::TooManySeries { .. }) => ErrorKind::Execution,
            Self::MemoryBusy { .. } => ErrorKind::Busy,
            Self::Timeout => ErrorKind::Timeout,
            Self::Canceled | Self::Source(SourceError::Canceled) => ErrorKind::Canceled,
            Self::Source(SourceError::Read(_)) => ErrorKind::Internal,
        }
    }

    /// Whether a light query fails with this because it is none, and may go on with the budget of
    /// a heavy one.
    pub const fn wants_more(&self) -> bool {
        matches!(
            self,
            Self::Heavy
                | Self::TooManySamples
                | Self::TooManyBytes { .. }
                | Self::Source(SourceError::TooManySeries { .. })
        )
    }

    pub(super) fn execution(message: impl Into<String>) -> Self {
        Self::Execution(message.into())
    }
}
