//! The unix socket for screens, commands and operations: tiny_http on threads of its own, so that
//! it answers even when the asynchronous runtime is stuck.

use super::lanes::Lane;
use super::message::{Origin, Request, Response};
use super::{Api, handle, route};
use crate::sys::locks::lock;
use crate::sys::tasks;
use crate::wire::{Hurry, Kept};
use std::fs::{self, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tiny_http::{Header, StatusCode};

/// Owner and group: whoever may open it may administer.
const MODE: u32 = 0o660;

/// Between looks at whether the socket still accepts.
const WATCH_EVERY: Duration = Duration::from_secs(30);
/// How long an idle server may take to answer the look.
const WATCH_PATIENCE: Duration = Duration::from_secs(2);
/// What the look asks for; it is answered here and counted nowhere.
const WATCH_PATH: &str = "/-/socket";

/// Between attempts to listen again.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Bounds of the socket.
#[derive(Clone, Copy, Debug)]
pub struct SocketLimits {
    /// Threads that answer.
    pub workers: usize,
    /// Screens that may wait for a change at the same time, each on a thread of its own.
    pub waiters_max: usize,
    /// Bytes of a body.
    pub body_bytes_max: usize,
}

impl Default for SocketLimits {
    fn default() -> Self {
        Self { workers: 4, waiters_max: 16, body_bytes_max: 16 << 20 }
    }
}

struct Shared {
    listener: UnixListener,
    /// Made anew when it gives up: it stops listening at the first failed accept.
    server: Mutex<Arc<tiny_http::Server>>,
    api: Arc<Api>,
    limits: SocketLimits,
    waiters: AtomicUsize,
    /// Workers that answer right now.
    busy: AtomicUsize,
    stopping: AtomicBool,
}

/// A socket that is served until this is stopped or dropped.
pub struct SocketServer {
    shared: Option<Arc<Shared>>,
    workers: Vec<JoinHandle<Option<()>>>,
    path: PathBuf,
}

impl std::fmt::Debug for SocketServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SocketServer").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Serves the socket at `path`. A file that a dead server left there is replaced.
///
/// # Errors
/// Another server holds the socket (`AddrInUse`), or the folder does not take it.
pub fn serve(api: Arc<Api>, path: &Path, limits: SocketLimits) -> io::Result<SocketServer> {
    let listener = listen(path)?;
    let server = Mutex::new(Arc::new(over(&listener)?));
    let (waiters, busy) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let stopping = AtomicBool::new(false);
    let shared = Arc::new(Shared { listener, server, api, limits, waiters, busy, stopping });
    let mut workers = Vec::new();
    for place in 0..limits.workers.max(1) {
        let shared = Arc::clone(&shared);
        workers.push(tasks::spawn_thread(format!("socket {place}"), move || work(&shared))?);
    }
    let (watched, at) = (Arc::clone(&shared), path.to_owned());
    workers.push(tasks::spawn_thread("socket watch", move || watch(&watched, &at))?);
    Ok(SocketServer { shared: Some(shared), workers, path: path.to_owned() })
}

impl SocketServer {
    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Stops listening, lets the workers finish and removes the file.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(shared) = self.shared.take() else { return };
        shared.stopping.store(true, Ordering::Relaxed);
        let server = shared.server();
        for _ in &self.workers {
            server.unblock();
        }
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A panic of a worker was told when it happened.
            let _ = worker.join();
        }
        drop((server, shared));
        // tiny_http's accept thread looks at its flag after the next connection; it knows the
        // socket by a name that is gone.
        let _ = UnixStream::connect(&self.path);
        let _ = fs::remove_file(&self.path);
    }
}

impl Drop for SocketServer {
    fn drop(&mut self) {
        self.end();
    }
}

/// Binds under another name and renames, so that nobody ever sees the socket with wider rights.
fn listen(path: &Path) -> io::Result<UnixListener> {
    if UnixStream::connect(path).is_ok() {
        let text = format!("socket {} is held by another server", path.display());
        return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
    }
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    match fs::remove_file(&fresh) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&fresh)?;
    fs::set_permissions(&fresh, Permissions::from_mode(MODE))?;
    fs::rename(&fresh, path)?;
    Ok(listener)
}

fn over(listener: &UnixListener) -> io::Result<tiny_http::Server> {
    tiny_http::Server::from_listener(listener.try_clone()?, None)
        .map_err(|err| io::Error::other(err.to_string()))
}

impl Shared {
    fn server(&self) -> Arc<tiny_http::Server> {
        Arc::clone(&lock(&self.server))
    }

    /// Replaces a server that gave up, unless another worker has done so already.
    fn revive(&self, failed: &Arc<tiny_http::Server>) -> io::Result<()> {
        let mut server = lock(&self.server);
        if Arc::ptr_eq(&server, failed) {
            *server = Arc::new(over(&self.listener)?);
            // The others wait for a request that the old one will never get.
            for _ in 0..self.limits.workers {
                failed.unblock();
            }
        }
        Ok(())
    }
}

fn work(shared: &Arc<Shared>) {
    while !shared.stopping.load(Ordering::Relaxed) {
        let server = shared.server();
        let Err(err) = server.recv().map(|request| take(shared, request)) else { continue };
        if shared.stopping.load(Ordering::Relaxed) {
            return;
        }
        // Mostly: no file descriptor left. One may be free after a pause.
        std::thread::park_timeout(RETRY_PAUSE);
        if let Err(again) = shared.revive(&server) {
            tracing::warn!(error = %err, again = %again, "the unix socket does not accept");
        }
    }
}

/// Looks now and then whether the socket still accepts: where the process has no file descriptor
/// left, tiny_http's accept thread may panic without telling anybody.
fn watch(shared: &Arc<Shared>, path: &Path) {
    loop {
        std::thread::park_timeout(WATCH_EVERY);
        if shared.stopping.load(Ordering::Relaxed) {
            return;
        }
        let server = shared.server();
        let idle = || shared.busy.load(Ordering::Relaxed) == 0;
        // A busy server may be slow; one that was idle before and after is dead.
        if idle() && answers(path) == Some(false) && idle() {
            tracing::warn!("the unix socket no longer accepts; listening again");
            if let Err(err) = shared.revive(&server) {
                tracing::warn!(error = %err, "cannot listen again");
            }
        }
    }
}

/// Whether the socket answers; `None` when it could not be asked.
fn answers(path: &Path) -> Option<bool> {
    let mut stream = UnixStream::connect(path).ok()?;
    stream.set_read_timeout(Some(WATCH_PATIENCE)).ok()?;
    let ask = format!("GET {WATCH_PATH} HTTP/1.0\r\n\r\n");
    io::Write::write_all(&mut stream, ask.as_bytes()).ok()?;
    Some(stream.read(&mut [0]).is_ok_and(|bytes| bytes > 0))
}

fn take(shared: &Arc<Shared>, request: tiny_http::Request) {
    if request.url() == WATCH_PATH {
        return reply(request, Response::empty(200));
    }
    shared.busy.fetch_add(1, Ordering::Relaxed);
    tasks::guarded("socket request", || respond(shared, request));
    shared.busy.fetch_sub(1, Ordering::Relaxed);
}

fn respond(shared: &Arc<Shared>, mut request: tiny_http::Request) {
    if request.body_length().is_some_and(|length| length > shared.limits.body_bytes_max) {
        return refuse_unread(request, shared.limits.body_bytes_max);
    }
    let read = match read(&mut request, shared.limits.body_bytes_max) {
        Ok(read) => read,
        Err(refused) => return reply(request, refused),
    };
    if !matches!(route::lane(&shared.api, &read), Lane::Wait | Lane::Probe) {
        let response = handle(&shared.api, &read);
        return reply(request, response);
    }
    wait(shared, request, read);
}

/// A request that waits gets a thread of its own, so that the workers stay free.
fn wait(shared: &Arc<Shared>, request: tiny_http::Request, read: Request) {
    let before = shared.waiters.fetch_add(1, Ordering::Relaxed);
    let place = Place(Arc::clone(shared));
    if before >= shared.limits.waiters_max {
        return reply(request, route::overloaded());
    }
    let spawned = tasks::spawn_thread("socket wait", move || {
        let response = handle(&place.0.api, &read);
        reply(request, response);
    });
    if let Err(err) = spawned {
        tracing::warn!(error = %err, "cannot start a thread for a waiting request");
    }
}

struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiters.fetch_sub(1, Ordering::Relaxed);
    }
}

fn read(request: &mut tiny_http::Request, body_bytes_max: usize) -> Result<Request, Response> {
    let headers: Vec<(String, String)> = request
        .headers()
        .iter()
        .map(|header| {
            (header.field.as_str().as_str().to_ascii_lowercase(), header.value.to_string())
        })
        .collect();
    let has = |name: &str| headers.iter().any(|(found, _)| found == name);
    if has("content-length") && has("transfer-encoding") {
        let text = "a request has Content-Length or Transfer-Encoding, not both\n";
        return Err(Response::text(400, text));
    }
    let mut body = Vec::new();
    let limit = u64::try_from(body_bytes_max).unwrap_or(u64::MAX);
    let taken = request.as_reader().take(limit.saturating_add(1)).read_to_end(&mut body);
    taken.map_err(|err| Response::text(400, &format!("cannot read the body: {err}\n")))?;
    if body.len() > body_bytes_max {
        return Err(too_long(body_bytes_max));
    }
    let (path, query) = request.url().split_once('?').unwrap_or((request.url(), ""));
    Ok(Request {
        method: request.method().to_string(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body,
        origin: Origin::Socket,
        canceled: Arc::default(),
        kept: Kept::default(),
        hurry: Hurry::default(),
    })
}

fn too_long(body_bytes_max: usize) -> Response {
    Response::text(413, &format!("the body is longer than {body_bytes_max} bytes\n"))
}

/// Refuses a body that was announced too long without reading it.
///
/// tiny_http allocates the whole announced length when it drops such a request, which ends the
/// process. The connection is given up instead, with its thread: only those who may administer
/// can open one.
fn refuse_unread(request: tiny_http::Request, body_bytes_max: usize) {
    tracing::warn!(length = request.body_length(), "refused a body on the unix socket");
    let body = too_long(body_bytes_max).body;
    // Handing the stream over is the only way to answer that keeps it from being dropped, and
    // then tiny_http writes no length; it goes in behind the media type.
    let value = format!("text/plain; charset=utf-8\r\nContent-Length: {}", body.len());
    let head = Response::empty(413).with("content-type", value);
    let mut stream = request.upgrade("close", to_tiny(head));
    let _ = io::Write::write_all(&mut stream, &body);
    let _ = io::Write::flush(&mut stream);
    std::mem::forget(stream);
}

fn reply(request: tiny_http::Request, response: Response) {
    // The client may be gone; nobody is left to be told.
    let _ = request.respond(to_tiny(response));
}

fn to_tiny(response: Response) -> tiny_http::Response<io::Cursor<Vec<u8>>> {
    let headers = response
        .headers
        .iter()
        .filter_map(|(name, value)| Header::from_bytes(name.as_bytes(), value.as_bytes()).ok())
        .collect();
    let length = response.body.len();
    tiny_http::Response::new(
        StatusCode(response.status),
        headers,
        io::Cursor::new(response.body),
        Some(length),
        None,
    )
    .with_chunked_threshold(usize::MAX)
}
