//! What can be wrong with what is asked of the engine.

use crate::model::{Fingerprint, SilenceId};

/// Why a silence was not made, changed or ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SilenceError {
    /// Nothing has this identity.
    #[error("silence not found")]
    NotFound(SilenceId),
    /// Its matchers or times cannot be.
    #[error("{0}")]
    Invalid(String),
    /// As many as are allowed exist.
    #[error("exceeded maximum number of silences: {found} (limit: {limit})")]
    TooMany {
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// It is larger than allowed.
    #[error("silence exceeded maximum size: {found} bytes (limit: {limit} bytes)")]
    TooLarge {
        /// Its size as it would be stored.
        found: usize,
        /// The largest size.
        limit: usize,
    },
}

/// Why an acknowledgement was not taken, or not taken back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// Only what fires can be acknowledged.
    #[error("alert {0} is not firing")]
    NotFiring(Fingerprint),
    /// There is nothing to take back.
    #[error("alert {0} is not acknowledged")]
    NotAcknowledged(Fingerprint),
}

/// Why an alert from outside was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AlertError {
    /// No label is left once empty ones are dropped.
    #[error("at least one label pair required")]
    NoLabels,
    /// It would end before it began.
    #[error("start time must be before end time")]
    EndsBeforeStart,
    /// A label's or an annotation's name cannot be.
    #[error("invalid {what} set: invalid name {name:?}")]
    BadName {
        /// `label` or `annotation`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Too many alerts of this name are firing.
    #[error("cannot take alert {name:?}: the limit of {limit} alerts of one name is reached")]
    TooMany {
        /// The alert's name.
        name: String,
        /// How many there may be.
        limit: usize,
    },
}

/// Why a stored record was left out at a restart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {table} record {key:?}: {reason}; it is left out")]
pub struct RecordError {
    /// Its table.
    pub table: &'static str,
    /// Its key.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}
