//! Blocks: what is older than the head, in immutable directories
//! `blocks/<min>-<max>-<id>/{chunks,index.db}`.
//!
//! Owns `blocks/`. Start reading at `write.rs` (how a block is born), then `page.rs` (how samples
//! lie in it), `index.rs` (its SQLite index) `read.rs` and
//! `find.rs` (how series are found in it); `list.rs` holds all blocks, `merge.rs`
//! says which become one, `rebuild.rs` makes a lost index anew.
//!
//! Never: changes a block; puts samples into SQLite.

mod check;
mod chunks;
mod find;
mod index;
mod list;
mod merge;
mod page;
mod read;
mod rebuild;
mod write;

pub(super) use check::check;
pub(super) use list::Blocks;
pub(super) use merge::span_max;
pub(super) use read::{Block, BlockSeries};
pub(super) use write::{BlockSpec, SealedBlock};
