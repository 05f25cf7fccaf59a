//! Keeps samples, finds series, survives crashes.
//!
//! Owns the write-ahead log, the head, the blocks, the catalogue and the database of state. Start
//! reading at `source.rs` (how readers read) and `append.rs` (how writers write), then
//! `store.rs`, which joins the parts.
//!
//! Never: PromQL, HTTP, why a sample came.

pub mod append;
pub mod config;
mod error;
pub mod source;
pub mod state;
mod store;

pub use error::{Error, Result};
pub use store::{Deps, Ranking, ReplayProgress, Status, Storage, TsdbStats};
