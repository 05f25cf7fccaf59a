//! Why a push is refused.

/// A push that changes no metric. All of them are the sender's to mend: status 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The path names no group.
    #[error("{0}")]
    Path(String),
    /// The body cannot be read.
    #[error("{0}")]
    Body(String),
    /// The metrics contradict themselves, other groups, or a limit; the failure is noted in the
    /// group.
    #[error("pushed metrics are invalid or inconsistent with existing metrics: {0}")]
    Inconsistent(String),
}

impl PushError {
    /// Whether the group's `push_failure_time_seconds` tells of it. As upstream: not of a push
    /// that could not even be read.
    pub const fn is_noted(&self) -> bool {
        matches!(self, Self::Inconsistent(_))
    }
}
