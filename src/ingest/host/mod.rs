//! This machine's own metrics, with the names, labels and values of node_exporter.
//!
//! Owns one file a collector; each reads files below a root and answers with families. Start
//! reading at `collector.rs`, then any collector; `filesystem.rs` is the one that may not block.
//!
//! Never: a collector that fails another, a call that waits for a dead file system, a fact that
//! is not read at the moment it is asked for.

mod collector;

pub use collector::HostCollector;
