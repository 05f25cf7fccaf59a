//! Discovery: who names targets besides the configuration itself.
//!
//! Owns one loop for each section of a job: it asks, keeps the last good answer of each part, and
//! tells what it knows. Start reading at `run`, then `files.rs` (files, watched), `http.rs`,
//! `dns.rs` and `docker.rs` (asked now and then), and `json.rs` (bounded decoding). `finder.rs` is
//! for those who want addresses and scrape nothing.
//!
//! Never: relabelling, and anybody whom the configuration does not name.

mod dns;
mod docker;
mod files;
mod finder;
mod http;
mod json;

pub use docker::decode as decode_docker;
pub use files::{HostFiles, ParseGroups, ReadFiles};
pub use finder::Finder;
pub use http::decode as decode_groups;

use super::config::{Discovery, TargetGroup};
use super::limits::{DISCOVERED_LABEL_BYTES_MAX, DISCOVERED_TARGETS_MAX};
use crate::sys::clock::SharedClock;
use crate::sys::dns::Dns;
use crate::sys::http::{Http, HttpClient, Request, Response};
use crate::sys::settings::HttpClientSettings;
use crate::sys::tasks::Shutdown;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A server that hangs is given up on after this time, or when it is to be asked again.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// What discovery needs of the rest of the process.
#[derive(Clone)]
pub struct Means {
    /// Time.
    pub clock: SharedClock,
    /// Outbound HTTP.
    pub http: Arc<dyn Http>,
    /// Records of the name service.
    pub dns: Arc<dyn Dns>,
    /// Where files of targets come from.
    pub files: Arc<dyn ReadFiles>,
    /// Reads such a file, YAML or JSON.
    pub parse: ParseGroups,
    /// The header `User-Agent`.
    pub user_agent: String,
}

impl fmt::Debug for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Means").field("user_agent", &self.user_agent).finish_non_exhaustive()
    }
}

/// What a section says now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// All its groups; the last good ones of what cannot be asked.
    pub(super) groups: Vec<TargetGroup>,
    /// What is wrong with it.
    pub(super) problems: Vec<String>,
}

/// The answers to one asking: each part has its groups, or why there are none. Parts are as many
/// and in the same order each time.
type Answers = Vec<Result<Vec<TargetGroup>, String>>;

/// Asks a section again and again until stopped; tells `found` each time.
pub(super) async fn run(
    section: Discovery,
    means: Means,
    stop: Shutdown,
    found: impl Fn(Found) + Send,
) {
    let clock = Arc::clone(&means.clock);
    match section {
        Discovery::Files(section) => {
            let (files, parse) = (means.files, means.parse);
            files::Watch { clock, files, parse, section, stop }.run(found).await;
        }
        Discovery::Http(section) => {
            let server = http::Server::new(&section, &means);
            repeat(&clock, section.refresh, stop, || server.ask(), found).await;
        }
        Discovery::Dns(section) => {
            let dns = means.dns.as_ref();
            repeat(&clock, section.refresh, stop, || dns::ask(&section, dns), found).await;
        }
        Discovery::Docker(section) => {
            let daemon = docker::Daemon::new(&section, &means);
            repeat(&clock, section.refresh, stop, || daemon.ask(), found).await;
        }
    }
}

async fn repeat<F: Future<Output = Answers> + Send>(
    clock: &SharedClock,
    refresh: Duration,
    stop: Shutdown,
    ask: impl Fn() -> F + Send,
    found: impl Fn(Found) + Send,
) {
    let mut last_good: Vec<Vec<TargetGroup>> = Vec::new();
    loop {
        let next = clock.elapsed().saturating_add(refresh);
        let answers = tokio::select! {
            biased;
            () = stop.wait() => return,
            answers = ask() => answers,
        };
        last_good.resize(answers.len(), Vec::new());
        let mut problems = Vec::new();
        for (kept, answer) in last_good.iter_mut().zip(answers) {
            match answer {
                Ok(groups) => *kept = groups,
                Err(problem) => problems.push(problem),
            }
        }
        found(Found { groups: last_good.concat(), problems });
        tokio::select! {
            biased;
            () = stop.wait() => return,
            () = clock.sleep_until(next) => {}
        }
    }
}

/// A client, or why there is none: told each time that it is wanted.
type Client = Result<Arc<dyn HttpClient>, String>;

fn client(http: &dyn Http, settings: &HttpClientSettings, base: &Path) -> Client {
    http.client(settings, base).map_err(|problem| problem.to_string())
}

/// Sends a request; only the status 200 is an answer.
async fn fetch(client: &Client, request: Request) -> Result<Response, String> {
    let client = client.as_ref().map_err(Clone::clone)?;
    let response = client.send(request).await.map_err(|err| err.to_string())?;
    match response.status {
        200 => Ok(response),
        status => Err(format!("server returned HTTP status {status}")),
    }
}

/// Decodes away from the runtime's workers: an answer may be long.
async fn decoded<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| Err(format!("decoding the answer panicked: {panic}")))
}

/// The groups, unless they name more than is taken.
fn within_bounds(groups: Vec<TargetGroup>) -> Result<Vec<TargetGroup>, String> {
    let mut targets = 0_usize;
    let mut bytes = 0_usize;
    for group in &groups {
        let labels: usize = group.labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        targets = targets.saturating_add(group.targets.len());
        bytes = bytes.saturating_add(labels.saturating_mul(group.targets.len()));
    }
    if targets > DISCOVERED_TARGETS_MAX || groups.len() > DISCOVERED_TARGETS_MAX {
        return Err(format!("more than {DISCOVERED_TARGETS_MAX} targets"));
    }
    if bytes > DISCOVERED_LABEL_BYTES_MAX {
        return Err(format!("more than {DISCOVERED_LABEL_BYTES_MAX} bytes of labels"));
    }
    Ok(groups)
}

/// `host:port`, as Go joins them: an IPv6 address stands in brackets.
fn host_port(host: &str, port: u16) -> String {
    if host.contains([':', '%']) { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests;
