//! One HTTP request and its answer over a connection that is there already.

use super::Stream;
use crate::sys::tasks;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::error::Error as _;
use std::future::Future;
use tokio::task::JoinHandle;

/// Bytes of an answer's head: what Go's client takes at most is 10 MB, and no server needs it.
const HEAD_BYTES_MAX: usize = 256 << 10;
/// Headers of an answer.
const HEADERS_MAX: usize = 256;

/// A request. Over HTTP/2 `host` and `scheme` become part of its target.
#[derive(Clone, Debug)]
pub struct Outgoing<'a> {
    /// The verb.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The header `Host`, with the port where it is not the scheme's.
    pub host: &'a str,
    /// Path and query; the whole URL for a proxy.
    pub path: &'a str,
    /// All other headers.
    pub headers: &'a [(String, String)],
    /// The body.
    pub body: Bytes,
}

/// The head of an answer.
#[derive(Debug)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// As in `HTTP/1.1`.
    pub version: &'static str,
    /// Headers, names in lower case; bytes that are no UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// The body's length as far as the head tells; `None` when it does not.
    pub length: Option<u64>,
}

impl Head {
    /// The first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// All headers of this name, which is in lower case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// The body of an answer, and what keeps its connection going.
#[derive(Debug)]
pub struct Body {
    incoming: Incoming,
    _connection: Driven,
}

impl Body {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// The connection broke or the body was cut.
    pub async fn next(&mut self) -> Result<Option<Bytes>, String> {
        loop {
            match self.incoming.frame().await {
                None => return Ok(None),
                Some(Err(err)) => return Err(text(&err)),
                Some(Ok(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }
}

/// A connection that is driven until this is dropped.
#[derive(Debug)]
struct Driven(JoinHandle<Option<()>>);

impl Driven {
    fn start(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) -> Self {
        // What goes wrong is told to who waits for the answer.
        Self(tasks::spawn("probe connection", async move { drop(connection.await) }))
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends the request and waits for the head of the answer.
///
/// # Errors
/// The request cannot be made, or there is no answer.
pub async fn exchange(
    stream: Stream,
    request: &Outgoing<'_>,
    over_http2: bool,
) -> Result<(Head, Body), String> {
    let made = made(request, over_http2)?;
    let io = TokioIo::new(stream);
    let (response, driven) = if over_http2 {
        let handshake = http2::Builder::new(TokioExecutor::new()).handshake(io).await;
        let (mut sender, connection) = handshake.map_err(|err| text(&err))?;
        let driven = Driven::start(connection);
        (sender.send_request(made).await, driven)
    } else {
        let mut builder = http1::Builder::new();
        builder.title_case_headers(true).max_headers(HEADERS_MAX).max_buf_size(HEAD_BYTES_MAX);
        let (mut sender, connection) = builder.handshake(io).await.map_err(|err| text(&err))?;
        let driven = Driven::start(connection);
        (sender.send_request(made).await, driven)
    };
    let response = response.map_err(|err| text(&err))?;
    let head = head(request.method, &response);
    Ok((head, Body { incoming: response.into_body(), _connection: driven }))
}

fn made(request: &Outgoing<'_>, over_http2: bool) -> Result<Request<Full<Bytes>>, String> {
    let Outgoing { method, scheme, host, path, headers, body } = request;
    let builder = Request::builder().method(*method);
    let mut builder = if over_http2 {
        builder.uri(format!("{scheme}://{host}{path}")).version(Version::HTTP_2)
    } else {
        builder.uri(*path).header("host", *host).header("connection", "close")
    };
    for (name, value) in *headers {
        builder = builder.header(name, value);
    }
    builder
        .body(Full::new(body.clone()))
        .map_err(|err| format!("net/http: cannot make the request: {err}"))
}

fn head(method: &str, response: &Response<Incoming>) -> Head {
    let headers: Vec<_> = response
        .headers()
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let status = response.status().as_u16();
    let announced = response.headers().get("content-length");
    let announced = announced.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let over_http2 = response.version() == Version::HTTP_2;
    let length = if method == "HEAD" {
        announced
    } else if matches!(status, 204 | 304) {
        Some(0)
    } else if over_http2 && response.body().is_end_stream() {
        Some(announced.unwrap_or(0))
    } else {
        announced
    };
    let version = match response.version() {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    };
    Head { status, version, headers, length }
}

/// The deepest reason: hyper's own words say only in which step it failed.
fn text(err: &hyper::Error) -> String {
    let mut deepest = err.to_string();
    let mut cause = err.source();
    while let Some(one) = cause {
        deepest = one.to_string();
        cause = one.source();
    }
    if err.is_incomplete_message() { "unexpected EOF".to_owned() } else { deepest }
}
