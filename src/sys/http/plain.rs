//! GET over plain HTTP/1.1: what scraping does nearly always, so it is done with few steps.
//!
//! A connection is kept by its place between requests, and no task of its own reads from it. The
//! head is read first, then the body goes from the socket to where it stays. With a general client
//! each target's connection keeps a buffer as long as its answers: a quarter of the memory of a
//! server with many targets.
//!
//! Source: RFC 9112 (messages), RFC 8305, section 5 (several addresses).

use super::HttpError;
use super::Response;
use super::answer::{Head, Stream, Terms, broken, read};
use super::errors::io_text;
use crate::sys::dns::HostResolver;
use crate::sys::event_loop::{self, Socket};
use crate::sys::locks::lock;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use reqwest::Url;
use reqwest::header::HeaderMap;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

/// An address has so long to answer until the next one is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);
/// A longer usual time is not waited for blindly: an answer that is there sooner for once would be
/// told to have taken that long.
const USUAL_MAX: Duration = Duration::from_millis(20);
/// More answers in a row that were there say no more.
const IN_TIME_MAX: u32 = 32;
/// Connections that wait for the next request are closed after this time.
const IDLE_MAX: Duration = Duration::from_secs(300);
/// Connections that wait at one place: an exporter that asks others is many targets at once.
const IDLE_EACH_MAX: usize = 32;

/// Where a connection leads to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    Tcp(String, u16),
    Unix(PathBuf),
}

type Connection = Box<dyn Stream>;

/// A GET as it is sent, once or many times.
pub(super) struct Get {
    place: Place,
    bytes: Vec<u8>,
    terms: Terms,
    kept: Arc<Kept>,
    usual: Usual,
}

/// How long an answer usually takes until all of it is there. The next one is waited for that long
/// and then read, rather than to be woken for its first bytes and to wait for the others: to be
/// woken costs more than all that is done with a short answer.
///
/// It is a time within which about four of five answers are there: it shrinks after one that was,
/// faster after each more that was, and grows by a quarter of what was missing after one that was
/// not.
#[derive(Debug, Default)]
struct Usual {
    /// 0 when it is not known, or too long.
    micros: AtomicU32,
    /// Answers in a row that were there.
    in_time: AtomicU32,
}

impl Usual {
    fn get(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::Relaxed).into())
    }

    /// An answer took so long, and all of it was there when it was looked for, or not.
    fn learn(&self, took: Duration, was_there: bool) {
        let usual = self.get();
        let in_time = if was_there { self.in_time.load(Ordering::Relaxed) + 1 } else { 0 };
        self.in_time.store(in_time.min(IN_TIME_MAX), Ordering::Relaxed);
        let next = match was_there {
            true => usual - usual / 128 * in_time,
            false if took > USUAL_MAX => Duration::ZERO,
            false => usual + took.saturating_sub(usual) / 4,
        };
        // Both are far below: see `USUAL_MAX`.
        self.micros.store(u32::try_from(next.as_micros()).unwrap_or(0), Ordering::Relaxed);
    }
}

/// Connections that wait for the next request.
#[derive(Debug, Default)]
pub(super) struct PlainPool {
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    kept: HashMap<Place, Arc<Kept>>,
    swept_at: Option<Instant>,
}

/// Connections that wait at one place, the oldest first.
#[derive(Default)]
struct Kept(Mutex<Vec<(Connection, Instant)>>);

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("connections", &self.lock().len()).finish()
    }
}

impl Get {
    /// Waits for the first bytes of an answer to what was just sent; whether they were there after
    /// the usual time.
    async fn begin(&self, head: &mut Head, connection: &mut dyn Stream) -> io::Result<bool> {
        let usual = self.usual.get();
        if !usual.is_zero() && !self.terms.gathering.is_zero() {
            event_loop::sleep(usual).await;
            connection.may_have_come();
            if let Some(begun) = head.begin(connection).now_or_never() {
                return begun.map(|()| true);
            }
        }
        head.begin(connection).await?;
        Ok(false)
    }
}

impl Kept {
    fn take(&self) -> Option<Connection> {
        let (mut connection, since) = self.lock().pop()?;
        (connection.is_quiet() && since.elapsed() < IDLE_MAX).then_some(connection)
    }

    fn put(&self, connection: Connection, now: Instant) {
        let mut kept = self.lock();
        if kept.len() < IDLE_EACH_MAX {
            kept.push((connection, now));
        }
    }

    /// Closes those that wait too long; whether any is left.
    fn sweep(&self, now: Instant) -> bool {
        let mut kept = self.lock();
        kept.retain(|(_, since)| now.duration_since(*since) < IDLE_MAX);
        !kept.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Connection, Instant)>> {
        lock(&self.0)
    }
}

impl PlainPool {
    /// A GET of `url`, over `socket` if there is one.
    pub(super) fn prepare(
        &self,
        url: &Url,
        socket: Option<&Path>,
        headers: [&HeaderMap; 2],
        terms: Terms,
    ) -> Get {
        let place = Place::of(url, socket);
        self.sweep(Instant::now());
        let kept = Arc::clone(self.lock().kept.entry(place.clone()).or_default());
        Get { place, bytes: request(url, headers), terms, kept, usual: Usual::default() }
    }

    /// Asks; `room` is memory for the body. A redirect that is followed has no body.
    ///
    /// # Errors
    /// No connection, no HTTP, or a body that is too long, cut, or does not decompress.
    pub(super) async fn get(
        &self,
        get: &Get,
        resolver: &HostResolver,
        room: Vec<u8>,
    ) -> Result<Response, HttpError> {
        if let Some(mut kept) = get.kept.take() {
            // The server may have closed it in the meantime: then nothing of an answer comes.
            let mut head = Head::default();
            let asked = Instant::now();
            if kept.write_all(&get.bytes).await.is_ok()
                && let Ok(was_there) = get.begin(&mut head, &mut *kept).await
            {
                let (response, has_waited) = self.answer(get, kept, head, room).await?;
                get.usual.learn(asked.elapsed(), was_there && !has_waited);
                return Ok(response);
            }
        }
        let shown = &get.terms.shown;
        let mut fresh = connect(&get.place, shown, resolver).await?;
        let mut head = Head::default();
        fresh.write_all(&get.bytes).await.map_err(|err| broken(&err, shown))?;
        head.begin(&mut *fresh).await.map_err(|err| broken(&err, shown))?;
        self.answer(get, fresh, head, room).await.map(|(response, _)| response)
    }

    /// Reads the rest of an answer that has begun; whether some of it was waited for.
    async fn answer(
        &self,
        get: &Get,
        mut connection: Connection,
        head: Head,
        room: Vec<u8>,
    ) -> Result<(Response, bool), HttpError> {
        let answer = read(&mut *connection, head, &get.terms, room).await?;
        if answer.is_reusable {
            let now = Instant::now();
            get.kept.put(connection, now);
            self.sweep(now);
        }
        Ok((answer.response, answer.has_waited))
    }

    /// From time to time closes connections that wait too long, whose targets may be gone.
    fn sweep(&self, now: Instant) {
        let mut places = self.lock();
        if places.swept_at.is_none_or(|at| now.duration_since(at) > IDLE_MAX) {
            places.swept_at = Some(now);
            // Whoever has prepared a request goes on with the place that it has.
            places.kept.retain(|_, kept| kept.sweep(now) || Arc::strong_count(kept) > 1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        lock(&self.places)
    }
}

impl Place {
    fn of(url: &Url, socket: Option<&Path>) -> Self {
        if let Some(path) = socket {
            return Self::Unix(path.to_owned());
        }
        let host = url.host_str().unwrap_or_default();
        // An address of six is in brackets in a URL.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Self::Tcp(host.to_owned(), url.port_or_known_default().unwrap_or(80))
    }
}

/// The request as it is sent; names as Go writes them: a small exporter may compare letters.
fn request(url: &Url, headers: [&HeaderMap; 2]) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(b"GET ");
    out.extend_from_slice(url.path().as_bytes());
    if let Some(query) = url.query() {
        out.push(b'?');
        out.extend_from_slice(query.as_bytes());
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let named = headers.iter().any(|headers| headers.contains_key("host"));
    if !named {
        out.extend_from_slice(b"Host: ");
        out.extend_from_slice(url.host_str().unwrap_or_default().as_bytes());
        if let Some(port) = url.port() {
            out.extend_from_slice(format!(":{port}").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
    for (name, value) in headers.iter().flat_map(|headers| headers.iter()) {
        let mut is_first = true;
        for byte in name.as_str().bytes() {
            out.push(if is_first { byte.to_ascii_uppercase() } else { byte });
            is_first = byte == b'-';
        }
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

async fn connect(
    place: &Place,
    shown: &str,
    resolver: &HostResolver,
) -> Result<Connection, HttpError> {
    let refused =
        |err: io::Error| HttpError::Connect(format!("dial {shown}: connect: {}", io_text(&err)));
    match place {
        Place::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(refused)?;
            settle(stream, UnixStream::into_std).map_err(refused)
        }
        Place::Tcp(host, port) => {
            let found = match host.parse() {
                Ok(address) => vec![address],
                Err(_) => {
                    let failed = |err| HttpError::Connect(format!("dial tcp: {err}"));
                    resolver.lookup(host).await.map_err(failed)?
                }
            };
            let addresses = found.into_iter().map(|address| SocketAddr::new(address, *port));
            let stream = dial(addresses.collect()).await.map_err(refused)?;
            stream.set_nodelay(true).map_err(refused)?;
            settle(stream, TcpStream::into_std).map_err(refused)
        }
    }
}

/// The stream as it is waited for on this thread: by its loop if it has one, else by tokio.
fn settle<S: Stream + 'static, T: Into<OwnedFd>>(
    stream: S,
    into_std: impl FnOnce(S) -> io::Result<T>,
) -> io::Result<Connection> {
    if event_loop::is_here() {
        Ok(Box::new(Socket::new(into_std(stream)?)?))
    } else {
        Ok(Box::new(stream))
    }
}

/// Connects to the first of the addresses that answers.
async fn dial(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut rest = addresses.into_iter();
    let mut tried = FuturesUnordered::new();
    let mut failure = None;
    loop {
        match rest.next() {
            Some(address) => tried.push(TcpStream::connect(address)),
            None if tried.is_empty() => {
                let nobody = || io::Error::new(io::ErrorKind::NotFound, "no address");
                return Err(failure.unwrap_or_else(nobody));
            }
            None => {}
        }
        let patience = if rest.len() > 0 { HEAD_START } else { Duration::MAX };
        match tokio::time::timeout(patience, tried.next()).await {
            Ok(Some(Ok(stream))) => return Ok(stream),
            Ok(Some(Err(err))) => failure = failure.or(Some(err)),
            Ok(None) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::Wanted;
    use super::*;
    use std::sync::atomic::AtomicBool;
    use tokio::io::{DuplexStream, duplex};

    /// Whether an answer was looked for.
    static LOOKED: AtomicBool = AtomicBool::new(false);

    impl Stream for DuplexStream {
        fn may_have_come(&mut self) {
            LOOKED.store(true, Ordering::Relaxed);
        }
    }

    /// A GET, the near end of its connection, and the far one.
    fn asked() -> (Get, DuplexStream, DuplexStream) {
        let terms = Terms {
            shown: String::new(),
            limit: 1 << 20,
            cuts: false,
            gathering: Duration::from_millis(1),
            follows_redirects: false,
            wanted: Wanted::All,
        };
        let url = Url::parse("http://host/").expect("a URL");
        let get = PlainPool::default().prepare(&url, None, [&HeaderMap::new(); 2], terms);
        let (near, far) = duplex(64);
        (get, near, far)
    }

    #[tokio::test]
    async fn an_answer_is_looked_for_after_its_usual_time_and_then_waited_for() {
        let (get, mut near, mut far) = asked();
        get.usual.micros.store(1, Ordering::Relaxed);
        far.write_all(b"HTTP").await.expect("there is room");
        let mut head = Head::default();
        assert!(get.begin(&mut head, &mut near).await.expect("it came"));
        LOOKED.store(false, Ordering::Relaxed);
        let mut head = Head::default();
        let (begun, ()) = tokio::join!(get.begin(&mut head, &mut near), async {
            while !LOOKED.load(Ordering::Relaxed) {
                tokio::task::yield_now().await;
            }
            far.write_all(b"HTTP").await.expect("there is room");
        });
        assert!(!begun.expect("it came"));
    }

    #[test]
    fn the_usual_time_is_one_within_which_most_answers_are_there() {
        let usual = Usual::default();
        // Between 5 and 7 ms, evenly.
        let took = |round: u64| Duration::from_micros(5_000 + round * 1_237 % 2_000);
        let rounds = 4_000;
        let mut there = 0;
        for round in 0..rounds {
            let was_there = took(round) <= usual.get();
            there += u64::from(was_there);
            usual.learn(took(round).max(usual.get()), was_there);
        }
        let share = there as f64 / rounds as f64;
        assert!((0.6..0.9).contains(&share), "{share}");
        assert!(usual.get() <= Duration::from_millis(7), "{usual:?}");
        // A target that becomes quick is known to be so within some scrapes.
        (0..30).for_each(|_| usual.learn(usual.get(), true));
        assert!(usual.get() <= Duration::from_millis(1), "{usual:?}");
        // One that takes long is not waited for blindly.
        usual.learn(2 * USUAL_MAX, false);
        assert!(usual.get().is_zero());
    }
}
