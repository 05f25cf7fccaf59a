//! What a query answers.
//!
//! All values are floats. Native histograms will come as a second column beside `samples` and as
//! a second field beside `value`, which is why the enum is not exhaustive.

use super::{Annotations, Lease, Profile};
use crate::model::{Labels, Sample, Timestamp};
use crate::storage::source::Columns;
use std::time::Duration;

/// The value of an expression.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// One number.
    Scalar(Sample),
    /// A text.
    String(Timestamp, String),
    /// A number for each series.
    Vector(Vec<VectorSample>),
    /// Numbers over time for each series, sorted by labels.
    Matrix(Vec<Series>),
}

/// One series at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    /// The series.
    pub metric: Labels,
    /// When.
    pub ts: Timestamp,
    /// The value.
    pub value: f64,
}

/// One series over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The series.
    pub metric: Labels,
    /// Instants and values, in order of time.
    pub samples: Columns,
}

/// What it took to answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Steps that were evaluated.
    pub steps: usize,
    /// Series that selectors found, each selector for itself.
    pub series_selected: usize,
    /// Samples that were read from the source.
    pub samples_read: usize,
    /// The most samples that were held at a time.
    pub samples_peak: usize,
    /// How long planning took.
    pub prepared: Duration,
    /// How long it took to put the result in order.
    pub sorted: Duration,
}

/// An answer with what is to be said about it.
#[derive(Debug)]
pub struct Output {
    /// The value.
    pub value: Value,
    /// Warnings and infos, with positions.
    pub annotations: Annotations,
    /// What it took.
    pub stats: Stats,
    /// The memory of the value and of its text: kept as long as either is.
    pub lease: Lease,
    /// Where the work went, when that was asked.
    pub profile: Option<Box<Profile>>,
}

impl Output {
    /// The warnings as the API prints them.
    pub fn warnings(&self) -> &[String] {
        self.annotations.warnings()
    }

    /// The infos as the API prints them.
    pub fn infos(&self) -> &[String] {
        self.annotations.infos()
    }
}
