//! Probes of other servers from outside, as blackbox_exporter makes them: HTTP, TCP, DNS, ICMP.
//!
//! Owns what one probe does and what it says; metrics have blackbox_exporter's names, labels and
//! meanings. Start reading at `Prober::probe`, then `http.rs`, `tcp.rs`, `dns.rs`, `icmp.rs`;
//! `super::config::probe` has the modules as they are written.
//!
//! Everything that a server sends is bounded: bytes that are kept, redirects, cookies, records,
//! certificates, lines of the log, and the time of all of it together.
//!
//! Never: keeping a result, deciding who may ask.

mod address;
mod body;
mod certificate;
mod cookies;
mod dns;
mod dns_message;
mod http;
mod icmp;
mod report;
mod target;
mod tcp;

pub use target::{ProbeJob, ProbeTarget};

use super::config::{Module, ProbeKind};
use super::scrape::printed;
use crate::sys::clock::SystemClock;
use crate::sys::dial::{Dialer, Trusted, host_certificates, verification_time};
use crate::sys::entropy::Entropy;
use crate::sys::http::{Http as _, SystemHttp, TokenSource};
use crate::sys::locks::lock;
use crate::sys::metrics::Family;
use crate::sys::settings::OAuth2;
use body::Budget;
use certificate::Anchor;
use report::Report;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Probes at a time; more wait, and their waiting counts.
const CONCURRENT_MAX: usize = 64;
/// The time that a probe may take when nobody says anything.
const TIMEOUT: Duration = Duration::from_secs(120);
/// So much earlier than the asker gives up is the answer to be there.
const TIMEOUT_OFFSET: Duration = Duration::from_millis(500);

/// Token servers and credentials whose tokens are kept from one probe to the next.
const TOKEN_SOURCES_MAX: usize = 64;

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProbeCall {
    /// What is probed.
    pub target: String,
    /// `http`: the header `Host`; `tcp`: the name in TLS.
    pub hostname: Option<String>,
    /// When the asker gives up.
    pub patience: Option<Duration>,
}

/// What came of a probe.
#[derive(Clone, Debug)]
pub struct Probed {
    /// Whether it succeeded.
    pub success: bool,
    /// All metrics, by name.
    pub families: Vec<Family>,
    /// What happened, line by line with times.
    pub log: String,
}

/// Why there was no probe: the question is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProbeError(String);

/// Makes probes. Clones share what is bounded for all of them.
#[derive(Clone)]
pub struct Prober {
    inner: Arc<Inner>,
}

struct Inner {
    dialer: Dialer,
    entropy: Arc<dyn Entropy>,
    places: Semaphore,
    budget: Budget,
    /// The host's trusted certificates as ends of chains, read at the first need.
    anchors: OnceLock<Vec<Anchor>>,
    /// Talks to token servers, from the first need on.
    http: OnceLock<SystemHttp>,
    /// By settings and the folder of their files; the oldest goes when there are too many.
    tokens: Mutex<Vec<(OAuth2, PathBuf, Arc<TokenSource>)>>,
}

impl fmt::Debug for Prober {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let free = self.inner.places.available_permits();
        f.debug_struct("Prober").field("free", &free).finish_non_exhaustive()
    }
}

/// What a prober has to work with.
struct Context<'a> {
    dialer: &'a Dialer,
    entropy: &'a dyn Entropy,
    base: &'a Path,
    /// The time of the whole probe.
    timeout: Duration,
    inner: &'a Inner,
}

impl Context<'_> {
    /// The value of `Authorization` by these settings: one token for all probes that have the same.
    async fn token(&self, settings: &OAuth2, user_agent: &str) -> Result<String, String> {
        let source = self.token_source(settings)?;
        let token = source.authorization(Some(user_agent), self.timeout).await;
        token.map_err(|err| err.to_string())
    }

    fn token_source(&self, settings: &OAuth2) -> Result<Arc<TokenSource>, String> {
        let mut known = lock(&self.inner.tokens);
        let found = known.iter().find(|(one, base, _)| one == settings && base == self.base);
        if let Some((_, _, source)) = found {
            return Ok(Arc::clone(source));
        }
        let client =
            self.inner.http.get_or_init(SystemHttp::new).client(&settings.client(), self.base);
        let client = client.map_err(|problem| format!("oauth2: {problem}"))?;
        let (base, clock) = (self.base.to_owned(), Arc::new(SystemClock::new()));
        let source = Arc::new(TokenSource::new(settings.clone(), base.clone(), client, clock));
        if known.len() >= TOKEN_SOURCES_MAX {
            known.remove(0);
        }
        known.push((settings.clone(), base, Arc::clone(&source)));
        Ok(source)
    }

    /// When the verified chain that lasts longest ends; `None` where nothing was verified.
    fn chain_expiry(&self, chain: &[Vec<u8>], trusted: &Trusted) -> Option<i64> {
        let read = || certificate::anchors(&host_certificates());
        let anchors = match trusted {
            Trusted::Host => self.inner.anchors.get_or_init(read).as_slice(),
            Trusted::Nobody | Trusted::Own(_) => &[],
        };
        certificate::chain_expiry(chain, trusted, anchors, verification_time())
    }
}

impl Prober {
    /// A prober that looks names up as the host does.
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        let places = Semaphore::new(CONCURRENT_MAX);
        let (dialer, anchors) = (Dialer::system(), OnceLock::new());
        let (budget, http, tokens) = (Budget::default(), OnceLock::new(), Mutex::default());
        let inner = Inner { dialer, entropy, places, budget, anchors, http, tokens };
        Self { inner: Arc::new(inner) }
    }

    /// Probes once with a module. Must be called on the async runtime; takes no longer than
    /// `timeout` says.
    ///
    /// # Errors
    /// The question is wrong, so that there is nothing to measure.
    pub async fn probe(&self, module: &Module, call: &ProbeCall) -> Result<Probed, ProbeError> {
        if call.target.is_empty() {
            return Err(ProbeError("Target parameter is missing".to_owned()));
        }
        if let ProbeKind::Unusable(why) = &module.kind {
            return Err(ProbeError(format!("the module cannot be used: {why}")));
        }
        let timeout = timeout(module, call.patience);
        let mut report = Report::start();
        report.gauge("probe_success", "Displays whether or not the probe was a success");
        let help = "Returns how long the probe took to complete in seconds";
        report.gauge("probe_duration_seconds", help);
        let help = "Returns how long the probe timeout is in seconds";
        report.gauge("probe_timeout_seconds", help);
        report.set("probe_timeout_seconds", timeout.as_secs_f64());
        let seconds = format!("{}", timeout.as_secs_f64());
        report.debug("beginning probe", &[("target", &call.target), ("timeout_seconds", &seconds)]);
        let done =
            tokio::time::timeout(timeout, self.run(module, call, timeout, &mut report)).await;
        let success = match done {
            Ok(success) => success?,
            Err(_) => {
                report.error("context deadline exceeded", &[]);
                false
            }
        };
        let duration = report.seconds();
        report.set("probe_duration_seconds", duration);
        report.set("probe_success", if success { 1.0 } else { 0.0 });
        let seconds = duration.to_string();
        if success {
            report.debug("probe succeeded", &[("duration_seconds", &seconds)]);
        } else {
            report.error("probe failed", &[("duration_seconds", &seconds)]);
        }
        let (families, log) = report.finish();
        Ok(Probed { success, families, log })
    }

    async fn run(
        &self,
        module: &Module,
        call: &ProbeCall,
        timeout: Duration,
        report: &mut Report,
    ) -> Result<bool, ProbeError> {
        let inner = &*self.inner;
        // The semaphore is never closed.
        let _place = inner.places.acquire().await;
        let context = Context {
            dialer: &inner.dialer,
            entropy: inner.entropy.as_ref(),
            base: &module.base,
            timeout,
            inner,
        };
        let (target, hostname) = (call.target.as_str(), call.hostname.as_deref());
        Ok(match &module.kind {
            ProbeKind::Http(probe) => {
                http::probe(&context, report, target, probe, hostname).await?
            }
            ProbeKind::Tcp(probe) => tcp::probe(&context, report, target, probe, hostname).await,
            ProbeKind::Dns(probe) => dns::probe(&context, report, target, probe).await,
            ProbeKind::Icmp(probe) => icmp::probe(&context, report, target, probe).await,
            ProbeKind::Unusable(why) => return Err(ProbeError(why.clone())),
        })
    }
}

/// The module's timeout, or what the asker leaves when that is less.
///
/// Source: prometheus/blackbox_exporter, prober/handler.go (getTimeout).
fn timeout(module: &Module, patience: Option<Duration>) -> Duration {
    let patience = patience.filter(|patience| !patience.is_zero()).unwrap_or(TIMEOUT);
    match patience.checked_sub(TIMEOUT_OFFSET) {
        Some(left) if module.timeout.is_zero() || module.timeout >= left => left,
        // Upstream gives no time at all then.
        None if module.timeout.is_zero() => patience,
        Some(_) | None => module.timeout,
    }
}

/// Reads bytes as everything that a server may send in a form of its own; see `tests/fuzz`.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    crate::sys::dial::fuzz_proxy(bytes);
    let _ = certificate::read(bytes);
    let _ = dns_message::read(bytes);
    let half = bytes.split_at(bytes.len() / 2);
    let chain = [half.0.to_vec(), half.1.to_vec()];
    let _ = certificate::chain_expiry(&chain, &Trusted::Own(vec![bytes.to_vec()]), &[], 0);
}

/// The log, the metrics and the module of a probe, for people.
pub fn explained(probed: &Probed, module: &Module) -> String {
    format!(
        "Logs for the probe:\n{}\n\n\nMetrics that would have been returned:\n{}\n\n\n\
         Module configuration:\n{}\n",
        probed.log,
        printed(&probed.families),
        module.shown
    )
}
