//! Settings of scraping: `global`, `scrape_configs`, and the checked job made of them.
//!
//! Owns the keys, their defaults and their checks. Start reading at `settings.rs` (the keys as
//! written), then `job.rs` (a job as it runs), `check.rs` (from one to the other) and `discovery.rs`
//! (sections that name targets elsewhere), `host.rs` (this host's own metrics); `probe.rs` and
//! `probe_check.rs` are the same for probes.
//!
//! Never: reading files, discovery, HTTP.

mod check;
mod discovery;
mod dns_names;
mod host;
mod job;
mod opaque;
mod otlp;
mod probe;
mod probe_check;
mod probe_module;
mod settings;

#[cfg(test)]
mod tests;

pub use check::{Checked, SkippedJob, check};
pub use discovery::{
    Discovery, DnsDiscovery, DnsSdConfig, DockerDiscovery, DockerFilter, DockerHost,
    DockerSdConfig, FileDiscovery, FileSdConfig, HttpDiscovery, HttpSdConfig, Sections,
    check_addresses,
};
pub(super) use dns_names::RECORD_TYPES;
pub use host::{
    COLLECTORS, Filter, HostMetrics, HostOptions, HostSettings, NamePart, ProcessGroupOptions,
    ProcessName, ProcessNameSettings, SystemdSettings,
};
pub use job::{Escaping, JobLimits, ScrapeJob, ScrapeProtocol};
pub use opaque::Opaque;
pub use otlp::{OtlpSettings, TranslationStrategy};
pub use probe::{
    DnsProbeSettings, HeaderMatchSettings, HttpProbeSettings, IcmpProbeSettings, LabelSettings,
    ModuleFile, ModuleSettings, ProbeSettings, ProbingSettings, QueryResponseSettings,
    RecordCheckSettings, TcpProbeSettings,
};
pub use probe_check::{check_module, check_probes};
pub use probe_module::{
    Compression, DnsProbe, Family, HeaderMatch, HttpProbe, IcmpProbe, Module, ProbeEntry,
    ProbeKind, Probing, RecordCheck, Step, TcpProbe,
};
pub use settings::{Global, PushSettings, ScrapeConfig, TargetGroup, UNBUILT_DISCOVERY};
