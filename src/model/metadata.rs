//! What a target says about its metrics.

use std::fmt;
use std::str::FromStr;

/// The type of a metric family, in the words of the exposition formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MetricType {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets.
    Histogram,
    /// Buckets that are gauges.
    GaugeHistogram,
    /// Quantiles computed by the target.
    Summary,
    /// Constant facts as labels.
    Info,
    /// A set of booleans.
    StateSet,
    /// The target said nothing.
    #[default]
    Unknown,
}

impl MetricType {
    /// The word of the exposition formats and of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for MetricType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MetricType {
    type Err = ();

    /// Reads the word of a `# TYPE` line; `untyped` is text 0.0.4's word for unknown.
    fn from_str(word: &str) -> Result<Self, ()> {
        Ok(match word {
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            "histogram" => Self::Histogram,
            "gaugehistogram" => Self::GaugeHistogram,
            "summary" => Self::Summary,
            "info" => Self::Info,
            "stateset" => Self::StateSet,
            "unknown" | "untyped" => Self::Unknown,
            _ => return Err(()),
        })
    }
}

/// Type, help and unit of one metric family.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Metadata {
    /// The type.
    pub kind: MetricType,
    /// One sentence for people.
    pub help: String,
    /// The base unit, empty when not given.
    pub unit: String,
}
