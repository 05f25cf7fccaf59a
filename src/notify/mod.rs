//! Says it: receivers, the texts of their messages, and trying again until the deadline.
//!
//! Owns the receivers' part of `alertmanager.yml` and the file as a whole, the templates of
//! messages, and one sender for each kind of receiver. Start reading at `receiver.rs`, then
//! `sender.rs`, `vendor.rs` and `kinds/slack.rs`; `message.rs` has what templates and payloads see.
//!
//! Never: deciding whether, when or to whom.

pub mod config;
mod deep;
mod events;
mod form;
pub mod heartbeat;
mod hmac;
mod keys;
mod kinds;
mod mentions;
mod message;
mod metrics;
mod opaque;
mod outside;
mod post;
mod receiver;
mod retry;
mod revealed;
mod sender;
mod templates;
#[cfg(test)]
mod testing;
mod trial;
mod truncate;
pub mod upstream;
mod vendor;
mod written;

pub use events::{Event, EventOutput};
pub use outside::{Outside, ReadFile, ReadYaml};
pub use receiver::{FailedAttempt, Receivers, Turn};
pub use revealed::Revealed;
pub use templates::{Rendering, Templates};
