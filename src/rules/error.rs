//! Why a rule could not be evaluated.

/// What went wrong in one evaluation of one rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// The expression failed.
    #[error("{0}")]
    Query(String),
    /// Two elements of the result got the same labels.
    #[error("vector contains metrics with the same labelset after applying {kind} labels")]
    Duplicate {
        /// `alert` or `rule`.
        kind: &'static str,
    },
    /// More elements than the group's `limit`.
    #[error("exceeded limit of {limit} with {found} {what}")]
    Limit {
        /// The group's limit.
        limit: u64,
        /// How many there were.
        found: usize,
        /// `alerts` or `series`.
        what: &'static str,
    },
    /// The store took nothing.
    #[error("cannot write the result: {0}")]
    Append(String),
    /// The store took not all samples.
    #[error("the store refused {count} of the result's samples, the first one as {reason}")]
    Refused {
        /// How many.
        count: usize,
        /// Why the first one was.
        reason: &'static str,
    },
    /// A fault of ours.
    #[error("the evaluation panicked; the log says where")]
    Panicked,
}
