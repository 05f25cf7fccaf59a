//! What the engine puts into the history, for people: it decides nothing.

use crate::model::{Fingerprint, Labels, Timestamp};

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// When.
    pub at: Timestamp,
    /// What kind of thing: `firing`, `resolved`, `notified`, `silence`, `ack`.
    pub kind: &'static str,
    /// Which alert; `None` when it is about none, or about several.
    pub fingerprint: Option<Fingerprint>,
    /// By what it is found.
    pub labels: Labels,
    /// The rest.
    pub body: serde_json::Value,
}
