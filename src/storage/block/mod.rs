//! Blocks: what is older than the head, in immutable directories
//! `blocks/<min>-<max>-<id>/{chunks,index.db}`.
//!
//! Owns `blocks/`. Start reading at `write.rs` (how a block is born), then `index.rs` (its SQLite
//! index) and `read.rs`; `list.rs` holds all blocks, `merge.rs` says which become one.
//!
//! Never: changes a block; puts samples into SQLite.

mod chunks;
mod index;
mod list;
mod merge;
mod read;
mod write;

pub(super) use list::Blocks;
pub(super) use read::BlockSeries;
pub(super) use write::BlockSpec;
