//! The write-ahead log: every commit is one record, on its way to the disk before anyone sees it.
//!
//! Owns `wal/` and the framing that the head's checkpoint shares. Start reading at `frame.rs`
//! (how a record lies in a file), then `record.rs` and `series.rs` (what it says), `write.rs` and
//! `replay.rs`.
//!
//! Never: deletes a segment that is still needed; goes on in a segment after an error.

pub(super) mod frame;
pub(super) mod record;
mod replay;
pub(super) mod series;
mod sync;
mod write;

pub(super) use replay::{Known, Read, Replayed, replay};
pub(super) use sync::Syncer;
pub(super) use write::{NewSeries, Wal, WalSettings};

/// One accepted sample as the log has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LogSample {
    /// The series' number.
    pub(super) series: u64,
    /// Milliseconds.
    pub(super) ts: i64,
    /// The value's bits.
    pub(super) bits: u64,
}

impl LogSample {
    /// A sample of the series with this number.
    pub(super) const fn new(series: u64, ts: i64, bits: u64) -> Self {
        Self { series, ts, bits }
    }
}

/// What a commit brings.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LogCommit<'a> {
    /// Series that are new.
    pub(super) series: &'a [NewSeries],
    /// Samples newer than their series.
    pub(super) samples: &'a [LogSample],
    /// Samples older than the newest of their series.
    pub(super) late: &'a [LogSample],
}
