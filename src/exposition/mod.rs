//! Reads and writes the formats that targets answer with: text 0.0.4 and 1.0.0, OpenMetrics 1.0,
//! and delimited protobuf.
//!
//! Owns the grammar of lines, names, labels, values and timestamps, and the messages of families.
//! Start reading at `parse.rs` (the walk over a body of text), then `series.rs` (names and labels),
//! `value.rs`, `print.rs`; for protobuf at `proto/mod.rs`.
//!
//! Never: what a sample is for, limits of a job, storing.

mod error;
mod parse;
mod print;
mod proto;
mod series;
mod survey;
mod value;

#[cfg(test)]
mod tests;

pub use error::ParseError;
pub use parse::{Carry, Entry, Format, LINE_BYTES_MAX, Media, Parser, SampleLine};
pub use print::{MEDIA_TYPE, Printer};
pub use proto::{
    Bucket, ExemplarMessage, Families, Family, Histogram, Metric, MetricSample, MetricValue,
    ProtoError, RawLabels, Summary,
};
pub use series::{ExemplarText, Normalize, Pairs, SeriesText};
pub use survey::{Fault, Survey};
pub use value::normalized;

#[cfg(test)]
pub(crate) use proto::messages;
