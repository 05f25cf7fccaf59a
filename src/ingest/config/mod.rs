//! Settings of scraping: `global`, `scrape_configs`, and the checked job made of them.
//!
//! Owns the keys, their defaults and their checks. Start reading at `settings.rs` (the keys as
//! written), then `job.rs` (a job as it runs), `check.rs` (from one to the other) and `discovery.rs`
//! (sections that name targets elsewhere), `host.rs` (this host's own metrics).
//!
//! Never: reading files, discovery, HTTP.

mod check;
mod discovery;
mod host;
mod job;
mod opaque;
mod otlp;
mod settings;

#[cfg(test)]
mod tests;

pub use check::{Checked, SkippedJob, check};
pub use discovery::{
    Discovery, DnsDiscovery, DnsSdConfig, DockerDiscovery, DockerFilter, DockerHost,
    DockerSdConfig, FileDiscovery, FileSdConfig, HttpDiscovery, HttpSdConfig,
};
pub use host::{
    COLLECTORS, Filter, HostMetrics, HostOptions, HostSettings, NamePart, ProcessGroupOptions,
    ProcessName, ProcessNameSettings, SystemdSettings,
};
pub use job::{Escaping, JobLimits, NameValidation, ScrapeJob, ScrapeProtocol};
pub use opaque::Opaque;
pub use otlp::{OtlpSettings, TranslationStrategy};
pub use settings::{Global, PushSettings, ScrapeConfig, TargetGroup};
