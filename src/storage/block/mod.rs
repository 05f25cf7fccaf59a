//! Blocks: what is older than the head, in immutable directories
//! `blocks/<min>-<max>-<id>/{chunks,index.db}`.
//!
//! Owns `blocks/`. Start reading at `write.rs` (how a block is born), then `page.rs` (how samples
//! lie in it), `index.rs` (its SQLite index) `read.rs` and
//! `find.rs` (how series are found in it); `list.rs` holds all blocks, `merge.rs`
//! says which become one, `census.rs` counts what is in them, `rebuild.rs` makes a lost index anew.
//!
//! Never: changes a block (what is deleted lies beside it); puts samples into SQLite.

mod census;
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
pub(super) use list::{Blocks, write_all};
pub(super) use merge::span_max;
pub(super) use read::{Block, BlockSeries};
pub(super) use write::{BlockSpec, BlockWriter, SealedBlock};

/// Reads bytes as each part of a block that a checksum guards otherwise.
#[cfg(fuzzing)]
pub(super) fn fuzz(bytes: &[u8]) {
    use super::wal::frame::Frame;
    if let Some(page) = page::Page::parse(bytes.to_vec()) {
        let mut out = super::source::Columns::default();
        for series in 0..64 {
            out.clear();
            let _ = page.decode(series, i64::MIN, i64::MAX, &mut out);
        }
    }
    for kind in [page::kind::LABELS, page::kind::LABELS_ZSTD] {
        let _ = chunks::read_labels(Frame { seq: 0, kind, payload: bytes });
    }
    let _ = (chunks::read_facts(bytes), index::read_span_run(bytes), index::read_posting(bytes));
    let _ = index::read_label_run(bytes, |_| ());
}
