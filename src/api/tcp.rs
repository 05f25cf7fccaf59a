//! The public listener: hyper with our own accept loop, limits and deadlines.

use super::connections::{Connection, Connections, Watched};
use super::lanes::Lanes;
use super::message::{Origin, Request, Response};
use super::{Api, handle, route};
use crate::sys::tasks::{self, Shutdown};
use crate::wire::{Hurry, Kept};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Bounds of the listener; reliability.md, section 3.
#[derive(Clone, Copy, Debug)]
pub struct TcpLimits {
    /// Open connections: `--web.max-connections`.
    pub connections_max: usize,
    /// From the first moment a head may come until it is whole.
    pub header_deadline: Duration,
    /// Bytes of a head.
    pub header_bytes_max: usize,
    /// Headers of a request.
    pub headers_max: usize,
    /// Bytes of a body.
    pub body_bytes_max: usize,
    /// From the head to the last byte of the body.
    pub body_deadline: Duration,
    /// A client that takes no byte of its answer for so long is let go.
    pub stall_deadline: Duration,
    /// How long requests in progress may finish when the server stops.
    pub drain_deadline: Duration,
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            connections_max: 512,
            header_deadline: Duration::from_secs(5),
            header_bytes_max: 16 << 10,
            headers_max: 100,
            // The largest remote write, decoded, is 16 MiB.
            body_bytes_max: 16 << 20,
            body_deadline: Duration::from_secs(30),
            stall_deadline: Duration::from_secs(30),
            drain_deadline: Duration::from_secs(5),
        }
    }
}

#[derive(Debug)]
struct Server {
    api: Arc<Api>,
    limits: TcpLimits,
    lanes: Lanes,
    connections: Connections,
}

/// A listener at `address`, such as `127.0.0.1:9090`; port 0 takes any.
///
/// # Errors
/// The address is none, or is taken.
pub fn bind(address: &str) -> io::Result<std::net::TcpListener> {
    // `:9090` means every address, as in Go.
    let address = match address.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => address.replace("localhost:", "127.0.0.1:"),
    };
    let address: SocketAddr = address.parse().map_err(|_| {
        let text = format!("cannot listen on {address:?}; write an address and a port");
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })?;
    std::net::TcpListener::bind(address)
}

/// Answers until `shutdown`; then lets requests in progress finish.
///
/// # Errors
/// The listener cannot be used.
pub async fn serve(
    api: Arc<Api>,
    listener: std::net::TcpListener,
    limits: TcpLimits,
    shutdown: Shutdown,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let connections = Connections::new(Arc::clone(&api.clock));
    let lanes = Lanes::new(api.settings.query_concurrency);
    let server = Arc::new(Server { api, limits, lanes, connections });
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => accept(&server, stream, peer, &shutdown),
                Err(err) => {
                    // Mostly: no file descriptor left. The loop goes on once one is free again.
                    tracing::warn!(error = %err, "cannot accept a connection");
                    server.api.clock.sleep(Duration::from_millis(100)).await;
                }
            },
            () = shutdown.wait() => break,
        }
    }
    drop(listener);
    drain(&server).await;
    Ok(())
}

async fn drain(server: &Server) {
    let clock = &server.api.clock;
    let deadline = clock.elapsed().saturating_add(server.limits.drain_deadline);
    while server.connections.len() > 0 && clock.elapsed() < deadline {
        clock.sleep(Duration::from_millis(20)).await;
    }
}

fn accept(server: &Arc<Server>, stream: TcpStream, peer: SocketAddr, shutdown: &Shutdown) {
    let Ok(local) = stream.local_addr() else { return };
    // Without it each answer on a kept connection waits for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let connection = server.connections.open(peer.ip(), server.limits.connections_max);
    let (server, shutdown) = (Arc::clone(server), shutdown.clone());
    let origin = Origin::Tcp { local: local.ip(), peer: peer.ip() };
    tasks::spawn("http connection", async move {
        talk(&server, stream, &connection, origin, &shutdown).await;
        server.connections.closed(&connection);
    });
}

async fn talk(
    server: &Arc<Server>,
    stream: TcpStream,
    connection: &Arc<Connection>,
    origin: Origin,
    shutdown: &Shutdown,
) {
    let limits = server.limits;
    let io = TokioIo::new(Watched::new(stream, Arc::clone(connection)));
    let service = service_fn(|request| {
        let (server, connection) = (Arc::clone(server), Arc::clone(connection));
        async move {
            connection.begin();
            let response = answer(&server, &connection, request, origin).await;
            connection.finish();
            Ok::<_, Infallible>(response)
        }
    });
    let mut talking = pin!(
        hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_deadline)
            .max_header_size(limits.header_bytes_max)
            .max_headers(limits.headers_max)
            .serve_connection(io, service)
    );
    let mut stopping = false;
    loop {
        tokio::select! {
            _ = talking.as_mut() => return,
            () = connection.told_to_close() => return,
            () = shutdown.wait(), if !stopping => {
                stopping = true;
                talking.as_mut().graceful_shutdown();
            }
            () = server.api.clock.sleep(limits.stall_deadline) => {
                if connection.stalled_for() >= limits.stall_deadline {
                    return;
                }
            }
        }
    }
}

async fn answer(
    server: &Arc<Server>,
    connection: &Connection,
    request: hyper::Request<Incoming>,
    origin: Origin,
) -> hyper::Response<Full<Bytes>> {
    if connection.had_two_lengths() {
        let text = "a request has Content-Length or Transfer-Encoding, not both\n";
        return last(Response::text(400, text));
    }
    let chunked = request.headers().contains_key(hyper::header::TRANSFER_ENCODING);
    let request = match whole(&server.limits, request, origin).await {
        Ok(request) => request,
        Err(refused) => return last(refused),
    };
    let kept = request.kept.clone();
    let response = work(server, request).await;
    // A body whose end the client marks is the end of the connection too: what follows it could
    // be a smuggled request.
    let response = if chunked { response.with("connection", "close") } else { response };
    to_hyper(response, kept)
}

/// Runs the handler: here, when it is a query that takes less than handing it on would, else on a
/// thread that may block.
async fn work(server: &Arc<Server>, request: Request) -> Response {
    let mut request = request;
    if route::may_be_quick(&server.api, &request) {
        request.hurry = Hurry::on();
        let response = handle(&server.api, &request);
        if !request.hurry.was_given_up() {
            return response;
        }
        request.hurry = Hurry::default();
    }
    let lane = route::lane(&server.api, &request);
    let _gone = SetOnDrop(Arc::clone(&request.canceled));
    let Some(place) = server.lanes.enter(lane).await else { return route::overloaded() };
    let api = Arc::clone(&server.api);
    let done = tokio::task::spawn_blocking(move || {
        let _place = place;
        handle(&api, &request)
    });
    // The handler catches panics itself; only a runtime that ends leaves a request without answer.
    done.await.unwrap_or_else(|_| Response::text(503, "the server stops\n"))
}

/// Tells the handler that nobody waits any more: hyper drops the service when the client goes.
struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn whole(
    limits: &TcpLimits,
    request: hyper::Request<Incoming>,
    origin: Origin,
) -> Result<Request, Response> {
    let (parts, body) = request.into_parts();
    let too_long = || {
        let text = format!("the body is longer than {} bytes\n", limits.body_bytes_max);
        Response::text(413, &text)
    };
    if body.size_hint().lower() > limits.body_bytes_max as u64 {
        return Err(too_long());
    }
    let collected = Limited::new(body, limits.body_bytes_max).collect();
    let body = match tokio::time::timeout(limits.body_deadline, collected).await {
        Ok(Ok(body)) => body.to_bytes().into(),
        Ok(Err(err)) if err.is::<LengthLimitError>() => return Err(too_long()),
        Ok(Err(err)) => return Err(Response::text(400, &format!("cannot read the body: {err}\n"))),
        Err(_) => return Err(Response::text(408, "the body did not come in time\n")),
    };
    let text =
        |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
        body,
        origin,
        canceled: Arc::default(),
        kept: Kept::default(),
        hurry: Hurry::default(),
    })
}

/// An answer after which the connection ends.
fn last(response: Response) -> hyper::Response<Full<Bytes>> {
    to_hyper(response.with("connection", "close"), Kept::default())
}

/// A body, and what it needs until it is sent.
struct Body {
    bytes: Vec<u8>,
    _kept: Kept,
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn to_hyper(response: Response, kept: Kept) -> hyper::Response<Full<Bytes>> {
    let mut builder = hyper::Response::builder().status(response.status);
    for (name, value) in response.headers {
        builder = builder.header(name, value);
    }
    let body = Bytes::from_owner(Body { bytes: response.body, _kept: kept });
    builder.body(Full::new(body)).unwrap_or_else(|_| {
        // A header value out of our own hands, such as an echoed origin, that is none.
        let mut plain = hyper::Response::new(Full::default());
        *plain.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
        plain
    })
}

/// Whether anybody but this host can reach a listener at `address`.
pub fn is_open(address: IpAddr) -> bool {
    !address.to_canonical().is_loopback()
}
