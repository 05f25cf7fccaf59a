//! Outbound HTTP: the one place that knows roots of trust, proxies, credentials, timeouts,
//! redirects and the largest body.
//!
//! Owns the seam `Http` and its real form `SystemHttp`. Start reading at
//! `HttpClient`, then `system.rs`; the simulated twin is `sys::sim_http`.
//!
//! Never: a server that the configuration does not name, a file beyond the credentials and
//! certificates that it does name.

mod answer;
pub(super) mod auth;
mod body;
pub(super) mod errors;
mod oauth2;
#[cfg(any(test, fuzzing))]
mod pieces;
mod plain;
mod proxy;
mod system;
pub(super) mod tls;

pub use oauth2::TokenSource;
#[cfg(fuzzing)]
pub use pieces::fuzz;
pub use system::SystemHttp;

use super::settings::HttpClientSettings;
use crate::model::Problem;
use bytes::Bytes;
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// The verb of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// DELETE
    Delete,
}

/// An outbound request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The verb.
    pub method: Method,
    /// The whole URL.
    pub url: String,
    /// Headers; credentials of the settings are added.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Bytes,
    /// From the start of the look-up to the last byte.
    pub timeout: Duration,
    /// A longer answer, once decompressed, is an error.
    pub body_bytes_max: usize,
    /// Whether a longer one is cut there instead: who is told something answers by the status,
    /// however much is said beside it.
    pub cuts_body: bool,
    /// Connect to this socket instead of the URL's host.
    pub unix_socket: Option<PathBuf>,
}

impl Request {
    /// A GET of `url` with ten seconds and 32 MiB, the default limits of a scrape.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: Method::Get,
            url: url.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            timeout: Duration::from_secs(10),
            body_bytes_max: 32 << 20,
            cuts_body: false,
            unix_socket: None,
        }
    }
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, decompressed.
    pub body: Bytes,
    /// Whether the server announced the body's length (and kept its word): a body without a
    /// length may have been cut.
    pub length_known: bool,
}

impl Response {
    /// The first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// Why there is no answer. Texts never hold credentials.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The time was over.
    #[error("context deadline exceeded")]
    Timeout,
    /// No connection: refused, no such host, TLS.
    #[error("{0}")]
    Connect(String),
    /// The answer is longer than allowed.
    #[error("body size limit exceeded: more than {limit} bytes")]
    TooLarge {
        /// The limit that was passed, in bytes.
        limit: usize,
    },
    /// The answer is no HTTP, was cut, or does not decompress.
    #[error("{0}")]
    Broken(String),
    /// The request cannot be made of this URL, these headers or these files, or leads to where it
    /// must not go.
    #[error("{0}")]
    Invalid(String),
}

/// The answer to come.
pub type Pending<'a> = Pin<Box<dyn Future<Output = Result<Response, HttpError>> + Send + 'a>>;

/// A client with its settings: one a scrape job, a receiver, a remote server.
pub trait HttpClient: Send + Sync + fmt::Debug {
    /// Sends a request.
    ///
    /// # Errors
    /// See `HttpError`; any status code is an answer.
    fn send(&self, request: Request) -> Pending<'_>;

    /// Sends a request as `send` does, where the same one is sent again and again: what does not
    /// change about it is made once and kept in `prepared`, which belongs to this client and this
    /// request. `room` is memory for the answer's body, of an answer before. Headers of the answer
    /// that say nothing about its body may be left out.
    ///
    /// # Errors
    /// As `send`.
    fn send_again<'a>(
        &'a self,
        request: &'a Request,
        prepared: &'a mut Prepared,
        room: Vec<u8>,
    ) -> Pending<'a> {
        // Those of tests have nothing to prepare.
        let _ = (prepared, room);
        self.send(request.clone())
    }
}

/// What a client remembers of a request that it sends again and again.
#[derive(Debug, Default)]
pub struct Prepared(Option<Box<system::Asked>>);

/// Makes clients; handed in at construction, so that tests script the network.
pub trait Http: Send + Sync + fmt::Debug {
    /// A client with these settings; relative files are looked up in `base`.
    ///
    /// # Errors
    /// The settings contradict each other or name what cannot be read as a certificate.
    fn client(
        &self,
        settings: &HttpClientSettings,
        base: &Path,
    ) -> Result<Arc<dyn HttpClient>, Problem>;

    /// The same for a sink of notifications, which must not steer us to another server: redirects
    /// that leave it, and those that would leave the message behind, are errors.
    ///
    /// # Errors
    /// As `client`.
    fn sink_client(
        &self,
        settings: &HttpClientSettings,
        base: &Path,
    ) -> Result<Arc<dyn HttpClient>, Problem> {
        // Those of tests follow nothing.
        self.client(settings, base)
    }
}
