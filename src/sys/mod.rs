//! The world outside: clock, files, outbound HTTP, randomness, tasks, settings' raw values, own
//! metrics.
//!
//! Each comes as a trait with a real form and, in `sim`, a simulated one that a test drives. Only
//! SQLite (`storage`), the listening sockets (`api`) and the terminal (`tui`) are touched
//! elsewhere. Start reading at `clock.rs`.
//!
//! Never: anything of the domain beyond its values.

pub mod clock;
pub mod dbus;
pub mod dial;
pub mod dns;
pub mod entropy;
pub mod event_loop;
pub mod files;
pub mod glob;
pub mod http;
pub mod local;
pub mod locks;
pub mod log;
pub mod memory;
pub mod metrics;
pub mod ports;
pub mod process;
pub mod settings;
pub mod signal;
pub mod sim;
pub mod sim_files;
pub mod sim_http;
pub mod sim_local;
pub mod tasks;
