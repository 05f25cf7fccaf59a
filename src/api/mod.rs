//! HTTP in front of any `Core`: Prometheus' API, Alertmanager's API v2, and a few plain pages.
//!
//! Owns the listening sockets, the routes, the reading of parameters and the guards against
//! foreign web pages. Start reading at `route.rs`, whose tables name every path; `tcp.rs` and
//! `socket.rs` bring requests to it.
//!
//! Never: an engine module, a file path out of a URL, an answer that `Core` did not give.

mod alertmanager;
mod alertmanager_read;
mod answer;
mod connections;
mod counting;
mod guard;
mod heads;
mod lanes;
mod lifecycle;
mod loose_json;
mod message;
mod pages;
mod params;
mod probe;
mod push;
mod query;
mod route;
mod series;
pub mod socket;
mod status;
pub mod tcp;
mod uri;
mod watch;

#[cfg(fuzzing)]
pub use heads::fuzz as fuzz_heads;
#[cfg(fuzzing)]
pub use loose_json::fuzz as fuzz_loose_json;
pub use message::{Origin, Request, Response};
pub use route::handle;

use crate::model::Regex;
use crate::sys::clock::SharedClock;
use crate::sys::metrics::Registry;
use crate::wire::Core;
use counting::Counts;
use std::sync::Arc;
use std::time::Duration;

/// What the flags say about HTTP.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// `/-/reload` and `/-/quit` over TCP; the unix socket always has them.
    pub enable_lifecycle: bool,
    /// `/api/v1/admin` over TCP; the unix socket always has it.
    pub enable_admin: bool,
    /// `/api/v1/write` over TCP from loopback; the unix socket always has it.
    pub enable_remote_write: bool,
    /// Whether OTLP is taken over TCP.
    pub enable_otlp: bool,
    /// Whether pushes are taken unchecked, which is answered with another status.
    pub push_unchecked: bool,
    /// Where browsers reach the server; empty when they use the listening address.
    pub external_url: String,
    /// Before every path; `/` for none.
    pub route_prefix: String,
    /// The title of the pages.
    pub page_title: String,
    /// Host names that requests over loopback may carry, besides localhost and `external_url`'s.
    pub hosts: Vec<String>,
    /// Origins whose pages may read answers; none when missing.
    pub cors_origin: Option<Regex>,
    /// The longest time a query may ask for.
    pub query_timeout: Duration,
    /// Heavy queries that the core admits at a time.
    pub query_concurrency: usize,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            enable_lifecycle: false,
            enable_admin: false,
            enable_remote_write: true,
            enable_otlp: true,
            push_unchecked: false,
            external_url: String::new(),
            route_prefix: "/".to_owned(),
            page_title: "watchbell".to_owned(),
            hosts: Vec::new(),
            cors_origin: None,
            // Prometheus' --query.timeout.
            query_timeout: Duration::from_secs(120),
            // Prometheus' --query.max-concurrency.
            query_concurrency: 20,
        }
    }
}

/// What every request is answered with.
#[derive(Clone, Debug)]
pub struct Api {
    core: Arc<dyn Core>,
    settings: ApiSettings,
    counts: Arc<Counts>,
    clock: SharedClock,
}

impl Api {
    /// HTTP in front of `core`; requests are counted in `metrics`.
    pub fn new(
        core: Arc<dyn Core>,
        settings: ApiSettings,
        metrics: Registry,
        clock: SharedClock,
    ) -> Self {
        let counts = Arc::new(Counts::new(metrics));
        Self { core, settings, counts, clock }
    }
}
