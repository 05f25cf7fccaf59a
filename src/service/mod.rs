//! The parts running together: owns their tasks, carries out their effects, and answers every
//! question through `wire::Core`.
//!
//! Start reading at `core.rs` (who answers what), then `start.rs` (what runs).
//!
//! Never: HTTP, screens, flags.

mod gate;
mod options;
mod queries;
mod revision;

pub use options::{Options, WalSync};
