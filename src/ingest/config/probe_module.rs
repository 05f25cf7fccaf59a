//! Modules of probes as they run, and what is probed from here: every default filled in, every
//! expression compiled.

use crate::model::{Labels, Regex};
use crate::sys::settings::{HttpClientSettings, Secret, TlsSettings};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// All that a file says of probes, checked.
#[derive(Clone, Debug, Default)]
pub struct Probing {
    /// Modules by name.
    pub modules: BTreeMap<String, Arc<Module>>,
    /// What is probed from here.
    pub entries: Vec<ProbeEntry>,
    /// Whether other hosts may have any target probed.
    pub from_anywhere: bool,
}

/// One target that is probed from here.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeEntry {
    /// What is probed.
    pub target: String,
    /// The module's name.
    pub module: String,
    /// The job.
    pub job: String,
    /// Time between probes.
    pub interval: Duration,
    /// The longest time that one may take.
    pub timeout: Duration,
    /// Labels of its series, `job` and `instance` among them.
    pub labels: Labels,
}

/// A module as it runs.
#[derive(Clone, Debug)]
pub struct Module {
    /// What it does.
    pub kind: ProbeKind,
    /// The longest time a probe may take; zero for what the asker gives.
    pub timeout: Duration,
    /// Where relative paths of files start.
    pub base: PathBuf,
    /// As it is shown, JSON, which YAML reads too: secrets replaced.
    pub shown: String,
}

/// What a module does.
#[derive(Clone, Debug)]
pub enum ProbeKind {
    /// One HTTP request with its redirects.
    Http(Box<HttpProbe>),
    /// A connection, and what is said on it.
    Tcp(Box<TcpProbe>),
    /// A question to a name server.
    Dns(Box<DnsProbe>),
    /// An echo.
    Icmp(IcmpProbe),
    /// Nothing: it needs what is not built here, so it would not test what is meant.
    Unusable(String),
}

/// Which addresses of a name are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// IPv6 before IPv4.
    pub prefer_v6: bool,
    /// Whether the other one will do.
    pub fallback: bool,
}

/// `http`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "as the settings of the same names")]
pub struct HttpProbe {
    pub family: Family,
    pub valid_status_codes: Vec<u16>,
    pub valid_http_versions: Vec<String>,
    pub follow_redirects: bool,
    pub fail_if_ssl: bool,
    pub fail_if_not_ssl: bool,
    pub method: String,
    pub headers: Vec<(String, Secret)>,
    pub fail_if_body_matches: Vec<Regex>,
    pub fail_if_body_not_matches: Vec<Regex>,
    pub fail_if_header_matches: Vec<HeaderMatch>,
    pub fail_if_header_not_matches: Vec<HeaderMatch>,
    pub body: String,
    pub body_file: Option<PathBuf>,
    pub compression: Compression,
    /// 0 for none.
    pub body_size_limit: u64,
    pub http2: bool,
    /// Whether the target's name is left to the proxy, where there is one.
    pub proxy_resolves: bool,
    pub client: HttpClientSettings,
    pub tls: TlsSettings,
}

/// How a body must be packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Nothing is unpacked.
    None,
    /// gzip
    Gzip,
    /// deflate, without a head
    Deflate,
}

/// One condition on a header, whose name is in lower case.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "as the settings of the same names")]
pub struct HeaderMatch {
    pub header: String,
    pub regexp: Regex,
    pub allow_missing: bool,
}

/// `tcp`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "as the settings of the same names")]
pub struct TcpProbe {
    pub family: Family,
    pub source: Option<IpAddr>,
    pub steps: Vec<Step>,
    pub is_tls: bool,
    pub tls: TlsSettings,
}

/// One step of a conversation.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "as the settings of the same names")]
pub struct Step {
    pub expect: Option<Regex>,
    pub expect_bytes: Vec<u8>,
    pub labels: Option<Vec<(String, String)>>,
    pub send: String,
    pub starttls: bool,
}

/// `icmp`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "as the settings of the same names")]
pub struct IcmpProbe {
    pub family: Family,
    pub source: Option<IpAddr>,
    pub payload_bytes: Option<usize>,
    pub dont_fragment: bool,
    pub ttl: u8,
}

/// `dns`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "as the settings of the same names")]
pub struct DnsProbe {
    pub family: Family,
    pub source: Option<IpAddr>,
    pub over_tcp: bool,
    pub over_tls: bool,
    pub tls: TlsSettings,
    pub class: u16,
    pub name: String,
    pub kind: u16,
    pub recursion_desired: bool,
    pub valid_rcodes: Vec<u16>,
    pub answer: RecordCheck,
    pub authority: RecordCheck,
    pub additional: RecordCheck,
}

/// Conditions on the records of one section.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "as the settings of the same names")]
pub struct RecordCheck {
    pub fail_if_matches: Vec<Regex>,
    pub fail_if_all_match: Vec<Regex>,
    pub fail_if_not_matches: Vec<Regex>,
    pub fail_if_none_matches: Vec<Regex>,
}
