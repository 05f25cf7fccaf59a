//! The parts running together: owns their tasks, carries out their effects, and answers every
//! question through `wire::Core`.
//!
//! Start reading at `start.rs` (what runs), then `core.rs` (who answers what); `alerting.rs` and
//! `ruling.rs` are the two loops.
//!
//! Never: HTTP, screens, flags.

mod acking;
mod active;
mod alert_metrics;
mod alerting;
mod backfilling;
mod core;
mod drilling;
mod error;
mod explaining;
mod forms;
mod forward_queue;
mod forwarding;
mod gate;
mod heartbeat;
mod hints;
mod history;
mod importing;
mod keeping;
mod lanes;
mod options;
mod pressure;
mod previewing;
mod probing;
mod pushing;
mod queries;
mod query_log;
mod query_metrics;
mod receiving;
mod recording;
mod revision;
mod rule_group;
mod rule_history;
mod ruling;
mod scraping;
mod sending;
mod start;
mod trying;
mod workers;

pub use error::Error;
pub use forms::{route_test, storage_look, storage_report};
pub use forward_queue::SendOptions;
pub use options::{Options, WalSync};
pub use start::{Service, World};

#[cfg(test)]
mod ruling_life;
#[cfg(test)]
mod slow;
