//! Ways in for the fuzzer, past the checksums that keep random bytes out; see `tests/fuzz`.

use super::block;
use super::chunk;
use super::head;
use super::tombstone::read_tombstones;
use super::wal::record::{ShapesRead, read_inline};
use super::wal::series::SeriesRecord;

/// A body of a block's chunk, and a chunk of the head.
pub fn chunks(bytes: &[u8]) {
    chunk::fuzz(bytes);
    head::fuzz(bytes);
}

/// Records of the log.
pub fn log(bytes: &[u8]) {
    let mut samples = Vec::new();
    let _ = read_inline(bytes, &mut samples);
    if let Some(record) = SeriesRecord::read(bytes) {
        let _ = record.series().count();
    }
    let _ = read_tombstones(bytes);
    // A shape, then commits of it.
    let mut shapes = ShapesRead::default();
    let (shape, commit) = bytes.split_at(bytes.len() / 2);
    let _ = shapes.read_shape(shape);
    let _ = shapes.read_shaped(commit, 1, &mut samples);
    let _ = shapes.read_shaped(commit, 2, &mut samples);
}

/// Pages, label sets, facts and blobs of the index.
pub fn blocks(bytes: &[u8]) {
    block::fuzz(bytes);
}
