//! The keys of `global` and `scrape_configs` as they are written. Unknown keys are errors.
//!
//! Source: prometheus, docs/configuration/configuration.md.

use super::discovery::{DnsSdConfig, DockerSdConfig, FileSdConfig, HttpSdConfig};
use super::opaque::Opaque;
use crate::model::Labels;
use crate::sys::settings::{ByteSize, RelabelSettings, Scalar, Span, labels, with_http_client};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `watchbell.push`: what pushed groups fall back to.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PushSettings {
    /// How long a group lives after its last push when the push says nothing else. Without it a
    /// group lives until it is deleted, as in the Pushgateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Span>,
}

impl PushSettings {
    /// Whether the file says nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// `global`: what jobs and rules fall back to. All of its keys, not only those of scraping, since
/// a strict map cannot be read in two halves.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "Prometheus' keys; its manual describes each")]
pub struct Global {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_interval: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_timeout: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_protocols: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_interval: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_query_offset: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_log_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_failure_log_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub external_labels: BTreeMap<String, Scalar>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_size_limit: Option<ByteSize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_name_length_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_value_length_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_dropped_targets: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_name_validation_scheme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_name_escaping_scheme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_native_histograms: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub convert_classic_histograms_to_nhcb: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub always_scrape_classic_histograms: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_scrape_metrics: Option<bool>,
}

/// A group of targets: of `static_configs`, and of a file of `file_sd_configs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetGroup {
    /// Addresses, `host:port`.
    pub targets: Vec<String>,
    /// Labels of all of them.
    #[serde(with = "labels")]
    pub labels: Labels,
}

/// Declares the job's settings; the names at the end are kinds of discovery that are known and
/// not built.
macro_rules! scrape_config {
    ($($discovery:ident),* $(,)?) => {
        with_http_client! {
            /// One entry of `scrape_configs`.
            #[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
            #[serde(deny_unknown_fields, default)]
            #[expect(missing_docs, reason = "Prometheus' keys; its manual describes each")]
            pub struct ScrapeConfig {
                pub job_name: String,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub scrape_interval: Option<Span>,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub scrape_timeout: Option<Span>,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub scrape_protocols: Option<Vec<String>>,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub fallback_scrape_protocol: Option<String>,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub metrics_path: Option<String>,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub scheme: Option<String>,
                #[serde(skip_serializing_if = "BTreeMap::is_empty")]
                pub params: BTreeMap<String, Vec<Scalar>>,
                #[serde(
                    skip_serializing_if = "std::ops::Not::not",
                    deserialize_with = "crate::sys::settings::null_as_default"
                )]
                pub honor_labels: bool,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub honor_timestamps: Option<bool>,
                #[serde(
                    skip_serializing_if = "std::ops::Not::not",
                    deserialize_with = "crate::sys::settings::null_as_default"
                )]
                pub track_timestamps_staleness: bool,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub enable_compression: Option<bool>,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub extra_scrape_metrics: Option<bool>,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub body_size_limit: Option<ByteSize>,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub sample_limit: Option<u64>,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub target_limit: Option<u64>,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub label_limit: Option<u64>,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub label_name_length_limit: Option<u64>,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub label_value_length_limit: Option<u64>,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub keep_dropped_targets: Option<u64>,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub metric_name_validation_scheme: Option<String>,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub metric_name_escaping_scheme: Option<String>,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub native_histogram_bucket_limit: Option<u64>,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub native_histogram_min_bucket_factor: Option<f64>,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub scrape_native_histograms: Option<bool>,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub convert_classic_histograms_to_nhcb: Option<bool>,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub always_scrape_classic_histograms: Option<bool>,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub scrape_failure_log_file: Option<PathBuf>,
            } then {
                #[serde(skip_serializing_if = "Vec::is_empty")]
                pub relabel_configs: Vec<RelabelSettings>,
                #[serde(skip_serializing_if = "Vec::is_empty")]
                pub metric_relabel_configs: Vec<RelabelSettings>,
                #[serde(skip_serializing_if = "Vec::is_empty")]
                pub static_configs: Vec<TargetGroup>,
                #[serde(skip_serializing_if = "Vec::is_empty")]
                pub file_sd_configs: Vec<FileSdConfig>,
                #[serde(skip_serializing_if = "Vec::is_empty")]
                pub http_sd_configs: Vec<HttpSdConfig>,
                #[serde(skip_serializing_if = "Vec::is_empty")]
                pub dns_sd_configs: Vec<DnsSdConfig>,
                #[serde(skip_serializing_if = "Vec::is_empty")]
                pub docker_sd_configs: Vec<DockerSdConfig>,
                $(
                    #[serde(skip_serializing_if = "Vec::is_empty")]
                    pub $discovery: Vec<Opaque>,
                )*
            }
        }

        /// Keys of the kinds of discovery that are known and not built.
        pub const UNBUILT_DISCOVERY: &[&str] = &[$(stringify!($discovery)),*];

        impl ScrapeConfig {
            /// Keys of the kinds of discovery that this job asks for and that are not built.
            pub fn unbuilt_discovery(&self) -> Vec<&'static str> {
                let mut keys = Vec::new();
                $(
                    if !self.$discovery.is_empty() {
                        keys.push(stringify!($discovery));
                    }
                )*
                keys
            }
        }
    };
}

scrape_config!(
    dockerswarm_sd_configs,
    consul_sd_configs,
    kubernetes_sd_configs,
    nomad_sd_configs,
    aws_sd_configs,
    azure_sd_configs,
    digitalocean_sd_configs,
    ec2_sd_configs,
    eureka_sd_configs,
    gce_sd_configs,
    hetzner_sd_configs,
    ionos_sd_configs,
    kuma_sd_configs,
    lightsail_sd_configs,
    linode_sd_configs,
    marathon_sd_configs,
    nerve_sd_configs,
    oci_sd_configs,
    openstack_sd_configs,
    outscale_sd_configs,
    ovhcloud_sd_configs,
    puppetdb_sd_configs,
    scaleway_sd_configs,
    serverset_sd_configs,
    stackit_sd_configs,
    triton_sd_configs,
    uyuni_sd_configs,
    vultr_sd_configs,
);
