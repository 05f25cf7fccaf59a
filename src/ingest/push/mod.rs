//! Pushed groups: what jobs that end before a scrape leave behind, as the Pushgateway keeps it.
//!
//! Owns the grouping keys, the reading of pushed bodies, and the rules of groups: replace, add,
//! delete, consistency, time to live. Start reading at `groups.rs` (the state and its changes),
//! then `key.rs` (from a path to a group), `body.rs` (from bytes to families), `check.rs` (what is
//! refused) and `record.rs` (a group as it is stored).
//!
//! A change is first planned, then stored by the caller, then put in force: what is answered with
//! success is on the disk.
//!
//! Source: prometheus/pushgateway 1.11, README.md and its behaviour over HTTP.
//!
//! Never: HTTP, SQLite, the time of day.

mod body;
mod check;
mod error;
mod family;
mod gather;
mod groups;
mod key;
mod proto;
mod record;

#[cfg(test)]
mod tests;

pub use body::{Body, Pushed, read};
pub use check::type_word;
pub use error::PushError;
pub use family::{PushedFamily, PushedMetric, PushedValue};
pub use groups::{Group, Groups, Held, Limits, Push};
pub use key::GroupKey;
pub use record::{from_row, row_key, to_row};

use crate::model::NameValidation;

/// What a push may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushRules {
    /// Which names are valid; where UTF-8 is, a path may have escaped ones.
    pub names: NameValidation,
    /// Whether metrics may contradict themselves and other groups, as upstream's
    /// `--push.disable-consistency-check` has it: then nobody is told of a push that was read and
    /// cannot be kept, but for the group and the log.
    pub unchecked: bool,
}

impl Default for PushRules {
    fn default() -> Self {
        Self { names: NameValidation::Legacy, unchecked: false }
    }
}

/// When a group was last changed by a push: a gauge of each group.
pub const PUSH_TIME: &str = "push_time_seconds";

/// When a push to a group was last refused: a gauge of each group.
pub const PUSH_FAILURE_TIME: &str = "push_failure_time_seconds";

/// What `PUSH_TIME` says of itself.
pub const PUSH_TIME_HELP: &str =
    "Last Unix time when changing this group in the Pushgateway succeeded.";
/// What `PUSH_FAILURE_TIME` says of itself.
pub const PUSH_FAILURE_TIME_HELP: &str =
    "Last Unix time when changing this group in the Pushgateway failed.";
