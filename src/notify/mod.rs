//! Says it: receivers, the texts of their messages, and trying again until the deadline.
//!
//! Owns the receivers' part of `alertmanager.yml` and the file as a whole, the templates of
//! messages, and one sender for each kind of receiver. Start reading at `receiver.rs`, then
//! `webhook.rs`; `message.rs` has what templates and payloads see.
//!
//! Never: deciding whether, when or to whom.

pub mod config;
mod email;
mod message;
mod metrics;
mod opaque;
mod outside;
mod receiver;
mod retry;
mod smtp;
mod templates;
#[cfg(test)]
mod testing;
mod webhook;

pub use opaque::{HttpConfig, Opaque};
pub use outside::{Outside, ReadFile};
pub use receiver::Receivers;
pub use templates::{Rendering, Templates};
