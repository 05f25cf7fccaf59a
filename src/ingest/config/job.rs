//! A scrape job as it runs: every default filled in, every value checked.

use super::discovery::Discovery;
use super::settings::TargetGroup;
use crate::model::relabel::Rule;
use crate::model::{NameValidation, nearest_name};
use crate::sys::settings::HttpClientSettings;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A format that a target may answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScrapeProtocol {
    /// Protobuf, delimited.
    PrometheusProto,
    /// text 0.0.4
    PrometheusText0,
    /// text 1.0.0
    PrometheusText1,
    /// OpenMetrics 0.0.1
    OpenMetricsText0,
    /// OpenMetrics 1.0.0
    OpenMetricsText1,
}

impl ScrapeProtocol {
    /// All that have a name in the configuration.
    pub const ALL: [Self; 5] = [
        Self::PrometheusProto,
        Self::PrometheusText0,
        Self::PrometheusText1,
        Self::OpenMetricsText0,
        Self::OpenMetricsText1,
    ];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PrometheusProto => "PrometheusProto",
            Self::PrometheusText0 => "PrometheusText0.0.4",
            Self::PrometheusText1 => "PrometheusText1.0.0",
            Self::OpenMetricsText0 => "OpenMetricsText0.0.1",
            Self::OpenMetricsText1 => "OpenMetricsText1.0.0",
        }
    }
}

impl FromStr for ScrapeProtocol {
    type Err = String;

    /// Reads the name in the configuration; the error tells which there are.
    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|known| known.as_str() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str);
            let hint = nearest_name(name, names)
                .map(|name| format!("; did you mean {name:?}?"))
                .unwrap_or_default();
            format!("unknown scrape protocol {name}, supported: {}{hint}", names.join(", "))
        })
    }
}

/// How a target writes names that the classic grammar does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escaping {
    /// As they are.
    #[default]
    AllowUtf8,
    /// With underscores.
    Underscores,
    /// With dots kept apart.
    Dots,
    /// With the values of the characters.
    Values,
}

impl Escaping {
    /// All that have a name in the configuration.
    pub const ALL: [Self; 4] = [Self::AllowUtf8, Self::Underscores, Self::Dots, Self::Values];

    /// The name in the configuration and in `Accept`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }
}

/// Limits of a job from the file; 0 is no limit. The safety limits hold beside them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobLimits {
    /// Bytes of an answer, decompressed; that many are already too many.
    pub body_bytes: u64,
    /// Samples of a scrape, after metric relabelling.
    pub samples: u64,
    /// Targets of the job.
    pub targets: u64,
    /// Labels of a series, its name among them.
    pub labels: u64,
    /// Bytes of a label's name.
    pub label_name_bytes: u64,
    /// Bytes of a label's value.
    pub label_value_bytes: u64,
    /// Dropped targets that are remembered.
    pub keep_dropped_targets: u64,
}

/// A scrape job.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapeJob {
    /// Its name, the label `job`.
    pub name: String,
    /// Time between scrapes.
    pub interval: Duration,
    /// Time that a scrape may take.
    pub timeout: Duration,
    /// Formats to ask for, the liked ones first.
    pub protocols: Vec<ScrapeProtocol>,
    /// The format of an answer that does not say.
    pub fallback: Option<ScrapeProtocol>,
    /// How names are to be escaped.
    pub escaping: Escaping,
    /// Which names are valid.
    pub validation: NameValidation,
    /// The URL's path.
    pub metrics_path: String,
    /// The URL's scheme.
    pub scheme: String,
    /// The URL's parameters.
    pub params: BTreeMap<String, Vec<String>>,
    /// Whether a scraped label wins over the target's.
    pub honor_labels: bool,
    /// Whether a sample's own timestamp counts.
    pub honor_timestamps: bool,
    /// Whether series with their own timestamps get staleness markers.
    pub track_timestamps_staleness: bool,
    /// Whether compressed answers are asked for.
    pub compression: bool,
    /// Whether the three more series about the scrape are written.
    pub extra_scrape_metrics: bool,
    /// Whether native histograms are asked for: protobuf goes first then.
    pub native_histograms: bool,
    /// Limits from the file.
    pub limits: JobLimits,
    /// Rules for targets.
    pub relabel: Vec<Rule>,
    /// Rules for samples.
    pub metric_relabel: Vec<Rule>,
    /// How to talk to targets.
    pub client: HttpClientSettings,
    /// Where relative paths of `client` start.
    pub base: PathBuf,
    /// Targets that the file names.
    pub groups: Vec<TargetGroup>,
    /// Sections that name more.
    pub discovery: Vec<Discovery>,
}

impl ScrapeJob {
    /// The job of a target inside this process.
    pub fn local(name: &str, interval: Duration) -> Self {
        Self {
            name: name.to_owned(),
            interval,
            timeout: interval,
            protocols: Vec::new(),
            fallback: None,
            escaping: Escaping::AllowUtf8,
            validation: NameValidation::Utf8,
            metrics_path: String::new(),
            scheme: String::new(),
            params: BTreeMap::new(),
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            compression: false,
            extra_scrape_metrics: false,
            native_histograms: false,
            limits: JobLimits::default(),
            relabel: Vec::new(),
            metric_relabel: Vec::new(),
            client: HttpClientSettings::default(),
            base: PathBuf::new(),
            groups: Vec::new(),
            discovery: Vec::new(),
        }
    }
}
