//! Reads and writes the text formats that targets answer with: text 0.0.4 and 1.0.0, OpenMetrics
//! 1.0.
//!
//! Owns the grammar of lines, names, labels, values and timestamps. Start reading at `parse.rs`
//! (the walk over a body), then `series.rs` (names and labels), `value.rs`, `print.rs`.
//!
//! Never: what a sample is for, limits of a job, storing.

mod error;
mod parse;
mod print;
mod series;
mod value;

#[cfg(test)]
mod tests;

pub use error::ParseError;
pub use parse::{Carry, Entry, Format, LINE_BYTES_MAX, Parser, SampleLine};
pub use print::{MEDIA_TYPE, Printer};
pub use series::{ExemplarText, Normalize, Pairs, SeriesText};
pub use value::normalized;
