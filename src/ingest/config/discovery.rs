//! Sections that name targets elsewhere: their keys as written, and their checked forms.
//!
//! Source: prometheus, docs/configuration/configuration.md, discovery/{file,http,dns,moby}.

use super::settings::TargetGroup;
use crate::model::{Problem, nearest_name};
use crate::sys::dns::RecordKind;
use crate::sys::settings::{HttpClientSettings, ShownUrl, Span, with_http_client};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

const FILE_REFRESH: Duration = Duration::from_mins(5);
const HTTP_REFRESH: Duration = Duration::from_mins(1);
const DNS_REFRESH: Duration = Duration::from_secs(30);
const DOCKER_REFRESH: Duration = Duration::from_mins(1);

/// More often nobody is asked, whatever the file says: a typing error must not become a flood.
const REFRESH_LEAST: Duration = Duration::from_secs(1);

/// One entry of `file_sd_configs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileSdConfig {
    /// Files; the last element of a path may hold `*`.
    pub files: Vec<String>,
    /// How often files are read without being told of a change; 5 minutes when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_interval: Option<Span>,
}

with_http_client! {
    /// One entry of `http_sd_configs`.
    #[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
    #[serde(deny_unknown_fields, default)]
    #[expect(missing_docs, reason = "Prometheus' keys; its manual describes each")]
    pub struct HttpSdConfig {
        pub url: ShownUrl,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub refresh_interval: Option<Span>,
    } then {}
}

with_http_client! {
    /// One entry of `docker_sd_configs`.
    #[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
    #[serde(deny_unknown_fields, default)]
    #[expect(missing_docs, reason = "Prometheus' keys; its manual describes each")]
    pub struct DockerSdConfig {
        pub host: ShownUrl,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub port: Option<u16>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub host_networking_host: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub match_first_network: Option<bool>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub filters: Vec<DockerFilter>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub refresh_interval: Option<Span>,
    } then {}
}

/// One of `filters`: containers of which one of `values` holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DockerFilter {
    /// What is compared, in Docker's words.
    pub name: String,
    /// With what.
    pub values: Vec<String>,
}

/// One entry of `dns_sd_configs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DnsSdConfig {
    /// Names to ask for.
    pub names: Vec<String>,
    /// Kind of records; `SRV` when missing.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The targets' port; `SRV` records have their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How often is asked; 30 seconds when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_interval: Option<Span>,
}

/// A section that names targets elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub enum Discovery {
    /// Files of targets.
    Files(FileDiscovery),
    /// A server that answers with targets.
    Http(HttpDiscovery),
    /// Records of the name service.
    Dns(DnsDiscovery),
    /// Containers of a Docker daemon.
    Docker(DockerDiscovery),
}

/// Files that name targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDiscovery {
    /// Paths; the last element may hold `*`.
    pub patterns: Vec<PathBuf>,
    /// How often they are read without being told of a change.
    pub refresh: Duration,
}

/// A server that answers with groups of targets.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpDiscovery {
    /// What is fetched.
    pub url: String,
    /// How often.
    pub refresh: Duration,
    /// How to talk to the server.
    pub client: HttpClientSettings,
    /// Where relative paths of `client` start.
    pub base: PathBuf,
}

/// Names whose records are targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsDiscovery {
    /// The names.
    pub names: Vec<String>,
    /// Which records.
    pub kind: RecordKind,
    /// The port of targets whose records have none.
    pub port: u16,
    /// How often is asked.
    pub refresh: Duration,
}

/// Where a Docker daemon listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DockerHost {
    /// A socket of this host.
    Unix(PathBuf),
    /// The front of its URLs, without a slash at the end.
    Url(String),
}

/// A Docker daemon whose containers are targets.
#[derive(Clone, Debug, PartialEq)]
pub struct DockerDiscovery {
    /// The daemon.
    pub host: DockerHost,
    /// The port of containers that expose none.
    pub port: u16,
    /// The address of containers that share the host's network.
    pub host_networking_host: String,
    /// Whether a container in several networks is a target in the first of them alone.
    pub first_network_only: bool,
    /// What the daemon selects by: names, each with its values.
    pub filters: BTreeMap<String, BTreeSet<String>>,
    /// How often is asked.
    pub refresh: Duration,
    /// How to talk to the daemon.
    pub client: HttpClientSettings,
    /// Where relative paths of `client` start.
    pub base: PathBuf,
}

impl Discovery {
    /// What it is called in problems and in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Files(_) => "file_sd_configs",
            Self::Http(_) => "http_sd_configs",
            Self::Dns(_) => "dns_sd_configs",
            Self::Docker(_) => "docker_sd_configs",
        }
    }
}

/// The sections of a job, or of whoever else wants addresses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sections<'a> {
    /// `file_sd_configs`.
    pub files: &'a [FileSdConfig],
    /// `http_sd_configs`.
    pub http: &'a [HttpSdConfig],
    /// `dns_sd_configs`.
    pub dns: &'a [DnsSdConfig],
    /// `docker_sd_configs`.
    pub docker: &'a [DockerSdConfig],
}

impl Sections<'_> {
    /// The checked forms, and what is wrong with the others; relative paths start at `base`.
    pub fn check(&self, base: &Path) -> (Vec<Discovery>, Vec<Problem>) {
        let (mut found, mut problems) = (Vec::new(), Vec::new());
        let mut take = |key: &str, checked: Vec<Result<Discovery, Problem>>| {
            for (place, one) in checked.into_iter().enumerate() {
                match one {
                    Ok(section) => found.push(section),
                    Err(problem) => problems.push(problem.below(&format!("{key}[{place}]"))),
                }
            }
        };
        take("file_sd_configs", self.files.iter().map(|one| one.check(base)).collect());
        take("http_sd_configs", self.http.iter().map(|one| one.check(base)).collect());
        take("dns_sd_configs", self.dns.iter().map(DnsSdConfig::check).collect());
        take("docker_sd_configs", self.docker.iter().map(|one| one.check(base)).collect());
        (found, problems)
    }
}

/// Addresses of `static_configs` that are URLs: a mistake, unless rules make something else of
/// them.
///
/// Source: prometheus, config/config.go (checkStaticTargets).
pub fn check_addresses(groups: &[TargetGroup]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (place, group) in groups.iter().enumerate() {
        for (nth, address) in group.targets.iter().enumerate() {
            if address.contains('/') {
                let at = format!("static_configs[{place}].targets[{nth}]");
                problems.push(Problem::new(at, format!("{address:?} is not a valid hostname")));
            }
        }
    }
    problems
}

impl FileSdConfig {
    /// The checked form; relative paths start at `base`.
    fn check(&self, base: &Path) -> Result<Discovery, Problem> {
        if self.files.is_empty() {
            let text = "file service discovery config must contain at least one path name";
            return Err(Problem::new("files", text));
        }
        for (place, path) in self.files.iter().enumerate() {
            let lower = path.to_ascii_lowercase();
            let known = [".json", ".yml", ".yaml"].iter().any(|end| lower.ends_with(end));
            let folder_star = path.rsplit_once('/').is_some_and(|(folder, _)| folder.contains('*'));
            if !known || folder_star {
                let text = format!("path name {path:?} is not valid for file discovery");
                return Err(Problem::new(format!("files[{place}]"), text));
            }
        }
        Ok(Discovery::Files(FileDiscovery {
            patterns: self.files.iter().map(|path| base.join(path)).collect(),
            refresh: refresh(self.refresh_interval, FILE_REFRESH),
        }))
    }
}

impl HttpSdConfig {
    /// The checked form; relative paths start at `base`.
    fn check(&self, base: &Path) -> Result<Discovery, Problem> {
        let wrong = |text: &str| Problem::new("url", text);
        let url = self.url.reveal();
        if url.is_empty() {
            return Err(wrong("URL is missing"));
        }
        let (scheme, host) = scheme_and_host(url);
        if !matches!(scheme, "http" | "https") {
            return Err(wrong("URL scheme must be 'http' or 'https'"));
        }
        if host.is_empty() {
            return Err(wrong("host is missing in URL"));
        }
        if url.contains(|c: char| c.is_control() || c == ' ') {
            return Err(wrong("the URL holds a blank or a control character"));
        }
        let client = self.client();
        client.check("")?;
        Ok(Discovery::Http(HttpDiscovery {
            url: url.to_owned(),
            refresh: refresh(self.refresh_interval, HTTP_REFRESH),
            client,
            base: base.to_owned(),
        }))
    }
}

impl DnsSdConfig {
    /// The checked form.
    fn check(&self) -> Result<Discovery, Problem> {
        if self.names.is_empty() {
            let text = "DNS-SD config must contain at least one SRV record name";
            return Err(Problem::new("names", text));
        }
        let written = self.kind.as_deref().unwrap_or("SRV");
        let Some(kind) = RecordKind::parse(&written.to_ascii_uppercase()) else {
            let names = RecordKind::ALL.map(RecordKind::as_str);
            let hint = nearest_name(&written.to_ascii_uppercase(), names)
                .map(|name| format!("; did you mean {name:?}?"))
                .unwrap_or_default();
            let text = format!("invalid DNS-SD records type {written}{hint}");
            return Err(Problem::new("type", text));
        };
        let port = self.port.unwrap_or(0);
        if port == 0 && kind != RecordKind::Service {
            let text = "a port is required in DNS-SD configs for all record types except SRV";
            return Err(Problem::new("port", text));
        }
        Ok(Discovery::Dns(DnsDiscovery {
            names: self.names.clone(),
            kind,
            port,
            refresh: refresh(self.refresh_interval, DNS_REFRESH),
        }))
    }
}

impl DockerSdConfig {
    /// The checked form; relative paths start at `base`.
    fn check(&self, base: &Path) -> Result<Discovery, Problem> {
        if self.host.is_empty() {
            return Err(Problem::new("host", "host missing"));
        }
        let client = self.client();
        client.check("")?;
        let mut filters: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for filter in &self.filters {
            filters.entry(filter.name.clone()).or_default().extend(filter.values.iter().cloned());
        }
        filters.retain(|_, values| !values.is_empty());
        let host_networking_host = self.host_networking_host.as_deref().unwrap_or("localhost");
        Ok(Discovery::Docker(DockerDiscovery {
            host: docker_host(self.host.reveal())?,
            port: self.port.unwrap_or(80),
            host_networking_host: host_networking_host.to_owned(),
            first_network_only: self.match_first_network.unwrap_or(true),
            filters,
            refresh: refresh(self.refresh_interval, DOCKER_REFRESH),
            client,
            base: base.to_owned(),
        }))
    }
}

fn docker_host(text: &str) -> Result<DockerHost, Problem> {
    let wrong = |text: String| Err(Problem::new("host", text));
    let (scheme, host) = scheme_and_host(text);
    let front = |scheme: &str| {
        let rest = text.split_once("://").map_or("", |(_, rest)| rest).trim_end_matches('/');
        DockerHost::Url(format!("{scheme}://{rest}"))
    };
    match scheme {
        "unix" => match text.split_once("://") {
            Some((_, path)) if !path.is_empty() => Ok(DockerHost::Unix(path.into())),
            _ => {
                wrong("the socket's path is missing, as in unix:///var/run/docker.sock".to_owned())
            }
        },
        "tcp" | "http" | "https" if host.is_empty() => wrong("host is missing in URL".to_owned()),
        "tcp" => Ok(front("http")),
        "http" | "https" => Ok(front(scheme)),
        _ => wrong(
            "unable to parse docker host; write unix:///var/run/docker.sock, tcp://HOST:PORT, \
             http://HOST:PORT or https://HOST:PORT"
                .to_owned(),
        ),
    }
}

/// The scheme, and the host with its port; empty where there is none.
fn scheme_and_host(url: &str) -> (&str, &str) {
    let Some((scheme, rest)) = url.split_once("://") else { return ("", "") };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    (scheme, authority.rsplit_once('@').map_or(authority, |(_, host)| host))
}

fn refresh(written: Option<Span>, otherwise: Duration) -> Duration {
    let written = written.map(|span| span.0).filter(|span| !span.is_zero());
    written.unwrap_or(otherwise).max(REFRESH_LEAST)
}
