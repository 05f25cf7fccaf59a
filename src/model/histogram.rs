//! The native histogram value: its shape is fixed now, its evaluation comes with its own part.

/// A run of neighbouring buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketSpan {
    /// Gap to the span before, in buckets; for the first span the index of its first bucket.
    pub offset: i32,
    /// Number of buckets in the span.
    pub length: u32,
}

/// What is known about a counter reset between this histogram and the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CounterResetHint {
    /// Nothing is known: compare.
    #[default]
    Unknown,
    /// The counter was reset.
    Reset,
    /// The counter was not reset.
    NotReset,
    /// Not a counter.
    Gauge,
}

/// A native histogram with float counts (an integer histogram is one with whole counts).
///
/// Source: prometheus, model/histogram/float_histogram.go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Resolution: -4..=8 for exponential buckets, -53 for `custom_bounds`.
    pub schema: i32,
    /// Width of the bucket around zero.
    pub zero_threshold: f64,
    /// Observations in the bucket around zero.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Sum of all observed values.
    pub sum: f64,
    /// Which positive buckets `positive_counts` holds.
    pub positive_spans: Vec<BucketSpan>,
    /// Which negative buckets `negative_counts` holds.
    pub negative_spans: Vec<BucketSpan>,
    /// Observations of each positive bucket.
    pub positive_counts: Vec<f64>,
    /// Observations of each negative bucket.
    pub negative_counts: Vec<f64>,
    /// Upper bounds when `schema` is -53.
    pub custom_bounds: Vec<f64>,
    /// What is known of a reset before this histogram.
    pub counter_reset_hint: CounterResetHint,
}
