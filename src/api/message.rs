//! Requests and answers, whichever listener brings them.

use crate::wire::{Hurry, Kept};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The unix socket: whoever may open it may administer.
    Socket,
    /// TCP.
    Tcp {
        /// Our end.
        local: IpAddr,
        /// Theirs.
        peer: IpAddr,
    },
}

impl Origin {
    /// Who it is, for lists and logs.
    pub fn client(self) -> String {
        match self {
            Self::Socket => "unix socket".to_owned(),
            Self::Tcp { peer, .. } => peer.to_canonical().to_string(),
        }
    }

    /// Whether both ends are on this host.
    pub fn is_local(self) -> bool {
        match self {
            Self::Socket => true,
            Self::Tcp { local, peer } => is_loopback(local) && is_loopback(peer),
        }
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// A request, whole.
#[derive(Clone, Debug)]
pub struct Request {
    /// The verb, in capitals.
    pub method: String,
    /// The path as sent, still escaped.
    pub path: String,
    /// What follows the question mark, still escaped.
    pub query: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Where it comes from.
    pub origin: Origin,
    /// Set when the client has gone away.
    pub canceled: Arc<AtomicBool>,
    /// What the answer needs until it is sent.
    pub kept: Kept,
    /// Whether the answer must come at once.
    pub hurry: Hurry,
}

impl Request {
    /// A GET of `target` from the unix socket.
    pub fn get(target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method: "GET".to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            origin: Origin::Socket,
            canceled: Arc::default(),
            kept: Kept::default(),
            hurry: Hurry::default(),
        }
    }

    /// The first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// An answer, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer without a body.
    pub const fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// An answer of this media type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, headers, body: body.into() }
    }

    /// A line for people.
    pub fn text(status: u16, text: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text)
    }

    /// The same answer with one header more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| *found == name).map(|(_, value)| value.as_str())
    }
}
