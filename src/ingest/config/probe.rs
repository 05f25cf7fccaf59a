//! `watchbell.probing` and `watchbell.probes`: modules in the grammar of blackbox_exporter, and
//! what is probed from here. Unknown keys are errors.
//!
//! Source: prometheus/blackbox_exporter, CONFIGURATION.md and config/config.go.

use super::opaque::Opaque;
use crate::model::Labels;
use crate::sys::settings::{
    ByteSize, GoSpan, Scalar, Secret, Span, TlsSettings, labels, with_http_client,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `watchbell.probing`: how probes are made.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProbingSettings {
    /// A `blackbox.yml`; its modules come beside those below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_file: Option<PathBuf>,
    /// Modules by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub modules: BTreeMap<String, ModuleSettings>,
    /// Whether other hosts may have `/probe` reach any target; without it they may ask for what
    /// `probes` lists.
    #[serde(skip_serializing_if = "is_false")]
    pub from_anywhere: bool,
}

impl ProbingSettings {
    /// Whether the file says nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A `blackbox.yml`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModuleFile {
    /// Modules by name.
    pub modules: BTreeMap<String, ModuleSettings>,
}

/// One entry of `watchbell.probes`: a target that is probed from here.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeSettings {
    /// What is probed, as `/probe` takes it; the label `instance`.
    pub target: String,
    /// The module; `http_2xx` when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// The job; `probe` when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Time between probes; `global.scrape_interval` when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
    /// More labels.
    #[serde(with = "labels", skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

/// One module as written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "blackbox_exporter's keys; its manual describes each")]
pub struct ModuleSettings {
    pub prober: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoSpan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<Box<HttpProbeSettings>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<Box<TcpProbeSettings>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp: Option<Box<IcmpProbeSettings>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<Box<DnsProbeSettings>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<Opaque>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unix: Option<Opaque>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub websocket: Option<Opaque>,
}

with_http_client! {
    /// `http`.
    #[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
    #[serde(deny_unknown_fields, default)]
    #[expect(missing_docs, reason = "blackbox_exporter's keys; its manual describes each")]
    pub struct HttpProbeSettings {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub valid_status_codes: Vec<u16>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub valid_http_versions: Vec<String>,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub preferred_ip_protocol: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub ip_protocol_fallback: Option<bool>,
        #[serde(skip_serializing_if = "is_false")]
        pub skip_resolve_phase_with_proxy: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub no_follow_redirects: Option<bool>,
        #[serde(skip_serializing_if = "is_false")]
        pub fail_if_ssl: bool,
        #[serde(skip_serializing_if = "is_false")]
        pub fail_if_not_ssl: bool,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub method: String,
        /// Values may be credentials, so none is shown.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        pub headers: BTreeMap<String, Secret>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub fail_if_body_matches_regexp: Vec<Scalar>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub fail_if_body_not_matches_regexp: Vec<Scalar>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub fail_if_body_json_matches_cel: Option<Opaque>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub fail_if_body_json_not_matches_cel: Option<Opaque>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub fail_if_header_matches: Vec<HeaderMatchSettings>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub fail_if_header_not_matches: Vec<HeaderMatchSettings>,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub body: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub body_file: Option<PathBuf>,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub compression: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub body_size_limit: Option<ByteSize>,
        #[serde(skip_serializing_if = "is_false")]
        pub enable_http3: bool,
    } then {}
}

/// One entry of `fail_if_header_matches` and `fail_if_header_not_matches`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "blackbox_exporter's keys; its manual describes each")]
pub struct HeaderMatchSettings {
    pub header: String,
    pub regexp: Scalar,
    #[serde(skip_serializing_if = "is_false")]
    pub allow_missing: bool,
}

/// `tcp`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "blackbox_exporter's keys; its manual describes each")]
pub struct TcpProbeSettings {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub preferred_ip_protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_protocol_fallback: Option<bool>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source_ip_address: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query_response: Vec<QueryResponseSettings>,
    #[serde(skip_serializing_if = "is_false")]
    pub tls: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsSettings>,
}

/// One step of `query_response`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "blackbox_exporter's keys; its manual describes each")]
pub struct QueryResponseSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<Scalar>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub expect_bytes: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<LabelSettings>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub send: String,
    #[serde(skip_serializing_if = "is_false")]
    pub starttls: bool,
}

/// A label made of what a step read.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "blackbox_exporter's keys; its manual describes each")]
pub struct LabelSettings {
    pub name: String,
    pub value: String,
}

/// `icmp`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "blackbox_exporter's keys; its manual describes each")]
pub struct IcmpProbeSettings {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub preferred_ip_protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_protocol_fallback: Option<bool>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source_ip_address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_size: Option<i64>,
    #[serde(skip_serializing_if = "is_false")]
    pub dont_fragment: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<i64>,
}

/// `dns`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "blackbox_exporter's keys; its manual describes each")]
pub struct DnsProbeSettings {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub preferred_ip_protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_protocol_fallback: Option<bool>,
    #[serde(skip_serializing_if = "is_false")]
    pub dns_over_tls: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsSettings>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source_ip_address: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub transport_protocol: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub query_class: String,
    pub query_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub query_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recursion_desired: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_rcodes: Option<Vec<String>>,
    pub validate_answer_rrs: RecordCheckSettings,
    pub validate_authority_rrs: RecordCheckSettings,
    pub validate_additional_rrs: RecordCheckSettings,
}

/// What must hold for the records of one section.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "blackbox_exporter's keys; its manual describes each")]
pub struct RecordCheckSettings {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fail_if_matches_regexp: Vec<Scalar>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fail_if_all_match_regexp: Vec<Scalar>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fail_if_not_matches_regexp: Vec<Scalar>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fail_if_none_matches_regexp: Vec<Scalar>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}
