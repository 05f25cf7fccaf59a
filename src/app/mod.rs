//! Builds, starts, reloads and stops the server: flags and a configuration in, a running service
//! out.
//!
//! Owns the settings that cannot change while it runs, and the order of start and stop. Start
//! reading at `start.rs`.
//!
//! Never: behaviour of its own.

mod settings;
mod start;

pub use settings::{Settings, default_data, default_socket};
pub use start::{Running, start};

pub use crate::service::{Options, SendOptions, WalSync, route_test, storage_look, storage_report};
