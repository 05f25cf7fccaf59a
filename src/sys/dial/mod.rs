//! Single connections, step by step: look-up, TCP, TLS, one HTTP exchange, one echo. For those who
//! want to know how long each step took and what the other end showed of itself.
//!
//! Owns sockets that are opened to look at a server rather than to use it. Start reading at
//! `Dialer`, then `exchange.rs` (HTTP), `proxy.rs` (the way through one) and `echo.rs` (ICMP).
//!
//! Never: keeping a connection for later, following a redirect, a server that nobody named.

mod echo;
mod exchange;
mod proxy;

pub use echo::{EchoReply, EchoTerms, echo};
pub use exchange::{Body, Head, Outgoing, exchange};
#[cfg(fuzzing)]
pub use proxy::fuzz as fuzz_proxy;
pub use proxy::{Proxies, Proxy};

use super::dns::{HostResolver, LookupError};
use super::http::auth;
use super::http::errors::{io_text, tls_text};
use super::http::tls::{self, HostRoots};
use super::settings::{HttpClientSettings, TlsSettings};
use crate::model::Problem;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ProtocolVersion};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

/// Real time that has passed, also where the rest of the process runs on a simulated clock: what
/// is measured here is a real network.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(tokio::time::Instant);

impl Stopwatch {
    /// Starts it.
    pub fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    /// Time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// Seconds since the start.
    pub fn seconds(self) -> f64 {
        self.elapsed().as_secs_f64()
    }
}

/// Anything that bytes go through both ways.
pub trait Pipe: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Pipe for T {}

/// A connection, whatever is inside.
pub type Stream = Box<dyn Pipe>;

/// What a server showed in a TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// The protocol in Go's words, as in `TLS 1.3`.
    pub version: &'static str,
    /// The cipher suite by its registered name.
    pub cipher: String,
    /// Certificates as sent, DER, the server's own first.
    pub chain: Vec<Vec<u8>>,
    /// Whether HTTP/2 was agreed on.
    pub http2: bool,
}

/// Which certificates were trusted in a handshake.
#[derive(Clone, Debug)]
pub enum Trusted {
    /// None: nothing was verified.
    Nobody,
    /// Those of the host.
    Host,
    /// These, DER.
    Own(Vec<Vec<u8>>),
}

/// How TLS is spoken with one server.
#[derive(Clone, Debug)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    /// Set when the settings name the server.
    server_name: Option<String>,
    /// Who is trusted.
    pub trusted: Trusted,
}

/// Opens connections. Clones share what is known of the host.
#[derive(Clone, Debug)]
pub struct Dialer {
    resolver: HostResolver,
    roots: Arc<HostRoots>,
}

impl Dialer {
    /// Look-up and trust as the host has them.
    pub fn system() -> Self {
        Self { resolver: HostResolver::system(), roots: Arc::default() }
    }

    /// The addresses of a name or of an address in text.
    ///
    /// # Errors
    /// There is none, or nobody to ask.
    pub async fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(address) => Ok(vec![address]),
            Err(_) => self.resolver.lookup(host).await,
        }
    }

    /// Connects to `to`, from the address `from` where one is wanted.
    ///
    /// # Errors
    /// In Go's words, with the address.
    pub async fn connect(&self, to: SocketAddr, from: Option<IpAddr>) -> Result<TcpStream, String> {
        let connect = async {
            let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            if let Some(from) = from {
                socket.bind(SocketAddr::new(from, 0))?;
            }
            let stream = socket.connect(to).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        connect.await.map_err(|err: io::Error| format!("dial tcp {to}: connect: {}", io_text(&err)))
    }

    /// A client with these settings; relative files are looked up in `base`.
    ///
    /// # Errors
    /// The settings contradict each other or name what cannot be read as a certificate.
    pub fn tls(
        &self,
        settings: &TlsSettings,
        base: &Path,
        http2: Option<bool>,
    ) -> Result<TlsClient, Problem> {
        let mut config =
            tls::client_config(settings, base, http2.unwrap_or_default(), &self.roots)?;
        if http2.is_none() {
            config.alpn_protocols.clear();
        }
        let named = !settings.server_name.is_empty();
        let own = tls::authority(settings, base)?;
        let trusted = match own {
            _ if settings.insecure_skip_verify => Trusted::Nobody,
            None => Trusted::Host,
            Some(pem) => Trusted::Own(certificates(&pem)),
        };
        Ok(TlsClient {
            config: Arc::new(config),
            server_name: named.then(|| settings.server_name.clone()),
            trusted,
        })
    }
}

/// The certificates that the host trusts, DER; none where it has no file of them.
pub fn host_certificates() -> Vec<Vec<u8>> {
    tls::bundle().map(|pem| certificates(&pem)).unwrap_or_default()
}

/// Seconds since 1970 by the clock that certificates are verified by.
pub fn verification_time() -> i64 {
    i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX)
}

/// The headers that an HTTP client's settings add: credentials, then those that are named.
///
/// # Errors
/// A file cannot be read.
pub fn settings_headers(
    settings: &HttpClientSettings,
    base: &Path,
) -> Result<Vec<(String, String)>, String> {
    auth::headers(settings, base).map_err(|err| err.to_string())
}

/// The value of `Authorization` for a user and a password.
pub fn basic(user: &str, password: &str) -> String {
    auth::basic_header(user, password)
}

fn certificates(pem: &[u8]) -> Vec<Vec<u8>> {
    CertificateDer::pem_slice_iter(pem).flatten().map(|one| one.to_vec()).collect()
}

impl TlsClient {
    /// Speaks TLS over `stream`; `host` is the server's name where the settings have none.
    ///
    /// # Errors
    /// In Go's words: no TLS, or a certificate that is not trusted.
    pub async fn handshake(
        &self,
        stream: Stream,
        host: &str,
    ) -> Result<(Stream, TlsFacts), String> {
        let name = self.server_name.as_deref().unwrap_or(host);
        let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
        let server = ServerName::try_from(name.clone())
            .map_err(|_| format!("tls: {name:?} is no host name"))?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let connected = connector.connect(server, stream).await.map_err(|err| failure(&err))?;
        let session = connected.get_ref().1;
        let facts = TlsFacts {
            version: version(session.protocol_version()),
            cipher: session
                .negotiated_cipher_suite()
                .map(|suite| format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1))
                .unwrap_or_default(),
            chain: session
                .peer_certificates()
                .unwrap_or_default()
                .iter()
                .map(|one| one.to_vec())
                .collect(),
            http2: session.alpn_protocol() == Some(b"h2"),
        };
        Ok((Box::new(connected), facts))
    }
}

fn failure(err: &io::Error) -> String {
    let inner = err.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    inner.map_or_else(|| io_text(err), tls_text)
}

fn version(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        _ => "unknown",
    }
}
