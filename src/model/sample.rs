//! Samples and the two NaNs that mean something.

use super::Timestamp;

/// The bits that mark a series as ended at a time. Every other NaN is data.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The NaN that targets and calculations yield.
pub const ORDINARY_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// The staleness marker as a float.
pub const fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether `value` is the staleness marker; compared by bits, since no NaN equals another.
pub const fn is_stale_nan(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// One float observation of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When it was taken.
    pub ts: Timestamp,
    /// What was seen; the bits are kept exactly.
    pub value: f64,
}

impl Sample {
    /// A sample of `value` at `ts`.
    pub const fn new(ts: Timestamp, value: f64) -> Self {
        Self { ts, value }
    }

    /// Whether this marks the end of the series.
    pub const fn is_stale(&self) -> bool {
        is_stale_nan(self.value)
    }
}
