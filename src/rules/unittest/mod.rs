//! Unit tests of rules, in promtool's format: given samples, which alerts fire and what do
//! expressions yield.
//!
//! Start reading at `run.rs`, then `file.rs` (the format) and `values.rs` (samples in short).

mod file;
mod memory;
mod report;
mod run;
mod values;

pub use file::{
    AlertCase, ExpectedAlert, ExpectedSample, ExprCase, InputSeries, StartTime, UnitTest,
    UnitTestFile,
};
pub use report::{AlertText, Failure, Fault, Listed, SampleText, TestOutcome};
pub use run::{Limits, Run};

#[cfg(test)]
mod tests;
