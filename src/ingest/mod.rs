//! Brings samples in: discovery, scraping, receiving.
//!
//! Owns the settings of scraping, targets and their labels, the loop of each target, and what
//! other programs push. Start reading at `scrape/mod.rs` (the manager and the life of a target),
//! then `target.rs`, `discover/mod.rs`, `receive/mod.rs`, `otlp/mod.rs`, `push/mod.rs`,
//! `import.rs` (a history from a file), `probe/mod.rs` (other servers from outside).
//!
//! Never: reading series back, PromQL, deciding who is told.

pub mod config;
pub mod discover;
pub mod host;
pub mod import;
pub mod limits;
pub mod otlp;
pub mod probe;
pub mod push;
pub mod receive;
pub mod scrape;
pub mod target;
