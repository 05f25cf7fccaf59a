//! Keeps samples, finds series, survives crashes.
//!
//! Owns the write-ahead log, the head, the blocks, the catalogue and the database of state. Start
//! reading at `source.rs` (how readers read) and `append.rs` (how writers write), then
//! `store.rs`, which joins the parts.
//!
//! Never: PromQL, HTTP, why a sample came.
#![doc = include_str!("FORMAT.md")]

pub mod analysis;
pub mod append;
mod ballast;
mod block;
mod cardinality;
mod catalog;
pub mod check;
mod chunk;
mod codec;
pub mod config;
mod damage;
mod delete;
pub mod dir;
mod error;
mod exemplar;
#[cfg(fuzzing)]
pub mod fuzzing;
mod head;
pub mod import;
mod metrics;
mod pack;
mod postings;
mod salvage;
mod select;
mod snapshot;
pub mod source;
pub mod state;
mod store;
mod tombstone;
mod upkeep;
mod wal;

pub use error::{Error, Result};
pub use store::{BlockFacts, Deps, Ranking, ReplayProgress, Status, Storage, TsdbStats};
