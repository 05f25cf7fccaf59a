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
use super::body::BodySink;
use super::errors::{eof, io_text};
use super::system::is_redirect;
use crate::sys::dns::HostResolver;
use crate::sys::event_loop::{self, Socket};
use bytes::buf::Limit;
use bytes::{BufMut as _, BytesMut};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use reqwest::Url;
use reqwest::header::HeaderMap;
use std::collections::HashMap;
use std::future::{Future as _, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

/// Bytes of an answer's head at most, and of what follows a chunked body.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Headers of an answer at most.
const HEADERS_MAX: usize = 100;
/// Bytes that are read at once before it is known how long the body is.
const PIECE_BYTES: usize = 16 << 10;
/// Characters of a chunk's length and its extensions.
const CHUNK_LINE_BYTES_MAX: usize = 4 << 10;
/// An address has so long to answer until the next one is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);
/// A good pause between two reads of one body: see `Get::gathering`.
pub(super) const GATHERING: Duration = Duration::from_millis(1);
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

/// A stream of bytes to a server.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {
    /// Appends what has come, as much as there may be in `room`; answers how much that is, 0 at
    /// the end.
    fn poll_append(
        &mut self,
        context: &mut Context<'_>,
        room: &mut Limit<&mut Vec<u8>>,
    ) -> Poll<io::Result<usize>> {
        pin!(self.read_buf(room)).poll(context)
    }

    /// Whether it is open and says nothing: else it is closed, or about to pass something off as
    /// the next answer.
    fn is_quiet(&mut self) -> bool {
        self.read(&mut [0]).now_or_never().is_none()
    }
}

impl Stream for TcpStream {}
impl Stream for UnixStream {}

impl Stream for Socket {
    fn poll_append(
        &mut self,
        context: &mut Context<'_>,
        room: &mut Limit<&mut Vec<u8>>,
    ) -> Poll<io::Result<usize>> {
        let limit = room.remaining_mut();
        Self::poll_append(self, context, room.get_mut(), limit)
    }

    fn is_quiet(&mut self) -> bool {
        Self::is_quiet(self)
    }
}

type Connection = Box<dyn Stream>;

/// One GET.
#[derive(Debug)]
pub(super) struct Get<'a> {
    pub(super) url: &'a Url,
    pub(super) socket: Option<&'a Path>,
    pub(super) headers: [&'a HeaderMap; 2],
    /// A longer body is an error.
    pub(super) limit: usize,
    /// For errors, as in `tcp 127.0.0.1:9100`.
    pub(super) place: &'a str,
    /// What of a body comes within this time after all that was there is read together.
    pub(super) gathering: Duration,
    /// Whether a redirect's body is of no interest.
    pub(super) follows_redirects: bool,
}

/// Connections that wait for the next request.
#[derive(Default)]
pub(super) struct PlainPool {
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    by_place: HashMap<Place, Vec<(Connection, Instant)>>,
    swept_at: Option<Instant>,
}

impl std::fmt::Debug for PlainPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlainPool").field("places", &self.lock().by_place.len()).finish()
    }
}

impl PlainPool {
    /// Asks; `room` is memory for the body. A redirect that is followed has no body.
    ///
    /// # Errors
    /// No connection, no HTTP, or a body that is too long, cut, or does not decompress.
    pub(super) async fn get(
        &self,
        get: &Get<'_>,
        resolver: &HostResolver,
        room: Vec<u8>,
    ) -> Result<Response, HttpError> {
        let place = Place::of(get);
        let request = request(get);
        if let Some(mut kept) = self.take(&place) {
            // The server may have closed it in the meantime: then nothing of an answer comes.
            let mut head = Head::default();
            if kept.write_all(&request).await.is_ok() && head.begin(&mut *kept).await.is_ok() {
                return self.answer(get, place, kept, head, room).await;
            }
        }
        let mut fresh = connect(&place, get.place, resolver).await?;
        let mut head = Head::default();
        fresh.write_all(&request).await.map_err(|err| broken(&err, get.place))?;
        head.begin(&mut *fresh).await.map_err(|err| broken(&err, get.place))?;
        self.answer(get, place, fresh, head, room).await
    }

    /// Reads the rest of an answer that has begun.
    async fn answer(
        &self,
        get: &Get<'_>,
        place: Place,
        mut connection: Connection,
        head: Head,
        room: Vec<u8>,
    ) -> Result<Response, HttpError> {
        let (response, is_done) = read(&mut *connection, head, get, room).await?;
        if is_done {
            self.put(place, connection);
        }
        Ok(response)
    }

    fn take(&self, place: &Place) -> Option<Connection> {
        let mut idle = self.lock();
        let kept = idle.by_place.get_mut(place)?;
        let (mut connection, since) = kept.pop()?;
        (connection.is_quiet() && since.elapsed() < IDLE_MAX).then_some(connection)
    }

    /// Keeps a connection for the next request; from time to time those go that wait too long,
    /// whose targets may be gone.
    fn put(&self, place: Place, connection: Connection) {
        let now = Instant::now();
        let mut idle = self.lock();
        if idle.swept_at.is_none_or(|at| now.duration_since(at) > IDLE_MAX) {
            idle.swept_at = Some(now);
            idle.by_place.retain(|_, kept| {
                kept.retain(|(_, since)| now.duration_since(*since) < IDLE_MAX);
                !kept.is_empty()
            });
        }
        let kept = idle.by_place.entry(place).or_default();
        if kept.len() < IDLE_EACH_MAX {
            kept.push((connection, now));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn of(get: &Get<'_>) -> Self {
        if let Some(path) = get.socket {
            return Self::Unix(path.to_owned());
        }
        let host = get.url.host_str().unwrap_or_default();
        // An address of six is in brackets in a URL.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Self::Tcp(host.to_owned(), get.url.port_or_known_default().unwrap_or(80))
    }
}

/// The request as it is sent; names as Go writes them: a small exporter may compare letters.
fn request(get: &Get<'_>) -> Vec<u8> {
    let url = get.url;
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(b"GET ");
    out.extend_from_slice(url.path().as_bytes());
    if let Some(query) = url.query() {
        out.push(b'?');
        out.extend_from_slice(query.as_bytes());
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let named = get.headers.iter().any(|headers| headers.contains_key("host"));
    if !named {
        out.extend_from_slice(b"Host: ");
        out.extend_from_slice(url.host_str().unwrap_or_default().as_bytes());
        if let Some(port) = url.port() {
            out.extend_from_slice(format!(":{port}").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
    for (name, value) in get.headers.iter().flat_map(|headers| headers.iter()) {
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
            if !event_loop::is_here() {
                return Ok(Box::new(stream));
            }
            let stream = stream.into_std().map_err(refused)?;
            Ok(Box::new(Socket::new(stream).map_err(refused)?))
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
            if !event_loop::is_here() {
                return Ok(Box::new(stream));
            }
            let stream = stream.into_std().map_err(refused)?;
            Ok(Box::new(Socket::new(stream).map_err(refused)?))
        }
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

/// Reads the rest of an answer that has begun; whether the connection can be used again.
pub(super) async fn read(
    connection: &mut dyn Stream,
    head: Head,
    get: &Get<'_>,
    room: Vec<u8>,
) -> Result<(Response, bool), HttpError> {
    let io = |err: io::Error| broken(&err, get.place);
    let (answered, rest) = head.read(connection).await.map_err(io)?;
    let mut response = Response {
        status: answered.status,
        length_known: !matches!(answered.length, Length::UntilClose),
        headers: answered.headers,
        ..Response::default()
    };
    let names_other = is_redirect(response.status) && response.header("location").is_some();
    if get.follows_redirects && names_other {
        return Ok((response, false));
    }
    let encoding = response.header("content-encoding").map(str::to_ascii_lowercase);
    let announced = match answered.length {
        Length::Bytes(len) => Some(len),
        Length::Chunked | Length::UntilClose => None,
    };
    if encoding.is_none() && announced.is_some_and(|len| len > get.limit as u64) {
        return Err(HttpError::TooLarge { limit: get.limit });
    }
    let mut sink = BodySink::new(encoding.as_deref(), get.limit, announced, room)?;
    let mut body = Body { connection, rest, is_drained: false, get };
    let is_whole = match answered.length {
        Length::Bytes(len) => body.bytes(len, &mut sink).await?,
        Length::Chunked => body.chunks(&mut sink).await?,
        Length::UntilClose => body.until_close(&mut sink).await?,
    };
    response.body = sink.finish()?;
    Ok((response, is_whole && answered.keeps_alive))
}

/// How long the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Bytes(u64),
    Chunked,
    UntilClose,
}

/// What the head of an answer says.
#[derive(Debug)]
struct Answered {
    status: u16,
    headers: Vec<(String, String)>,
    length: Length,
    keeps_alive: bool,
}

/// The head of an answer, as far as it came, and what came with it.
#[derive(Debug, Default)]
pub(super) struct Head {
    bytes: BytesMut,
}

impl Head {
    /// Waits for the first bytes.
    pub(super) async fn begin(&mut self, connection: &mut dyn Stream) -> io::Result<()> {
        self.bytes.reserve(PIECE_BYTES / 4);
        match connection.read_buf(&mut self.bytes).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// The head, and the bytes of the body that came with it.
    async fn read(mut self, connection: &mut dyn Stream) -> io::Result<(Answered, BytesMut)> {
        loop {
            if let Some((answered, len)) = parse_head(&self.bytes)? {
                let rest = self.bytes.split_off(len);
                // Told before the answer proper: 100 Continue and its kin.
                if (100..200).contains(&answered.status) {
                    self.bytes = rest;
                    continue;
                }
                return Ok((answered, rest));
            }
            if self.bytes.len() > HEAD_BYTES_MAX {
                return Err(io::Error::other("the head of the answer is too long"));
            }
            self.begin(connection).await?;
        }
    }
}

/// The head and its length, once it is whole.
fn parse_head(bytes: &[u8]) -> io::Result<Option<(Answered, usize)>> {
    let malformed = |what: String| io::Error::other(format!("malformed HTTP response: {what}"));
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut headers);
    let len = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(err) => return Err(malformed(err.to_string())),
    };
    let status = parsed.code.unwrap_or_default();
    let mut keeps_alive = parsed.version == Some(1);
    let (mut said_len, mut is_chunked) = (None, false);
    let mut headers = Vec::with_capacity(parsed.headers.len());
    for header in parsed.headers.iter() {
        let name = header.name.to_ascii_lowercase();
        let value = String::from_utf8_lossy(header.value).trim().to_owned();
        let has = |word: &str| value.split(',').any(|one| one.trim().eq_ignore_ascii_case(word));
        match name.as_str() {
            "connection" if has("close") => keeps_alive = false,
            "connection" if has("keep-alive") => keeps_alive = true,
            // Anything but chunks cannot be read.
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => is_chunked = true,
            "transfer-encoding" => {
                return Err(malformed(format!("unsupported transfer encoding {value:?}")));
            }
            "content-length" => {
                let wrong = || malformed(format!("bad Content-Length {value:?}"));
                let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
                let said: u64 = value.parse().ok().filter(|_| is_number).ok_or_else(wrong)?;
                // Two that differ: somebody wants us to read what others do not.
                if said_len.replace(said).is_some_and(|before| before != said) {
                    return Err(wrong());
                }
            }
            _ => {}
        }
        headers.push((name, value));
    }
    let length = match said_len {
        _ if matches!(status, 100..200 | 204 | 304) => Length::Bytes(0),
        // It outweighs a length.
        _ if is_chunked => Length::Chunked,
        Some(said) => Length::Bytes(said),
        None => Length::UntilClose,
    };
    Ok(Some((Answered { status, headers, length, keeps_alive }, len)))
}

/// A body on its way.
struct Body<'a> {
    connection: &'a mut dyn Stream,
    /// What came and is not taken yet.
    rest: BytesMut,
    /// Whether the last read took all that was there.
    is_drained: bool,
    get: &'a Get<'a>,
}

impl Body<'_> {
    /// Takes so many bytes. As the others: whether the connection can be used again.
    async fn bytes(&mut self, len: u64, sink: &mut BodySink) -> Result<bool, HttpError> {
        let mut left = usize::try_from(len).unwrap_or(usize::MAX);
        let here = self.rest.len().min(left);
        sink.push(&self.rest.split_to(here))?;
        left -= here;
        while left > 0 {
            left -= match sink.room(left) {
                // From the socket to where it stays.
                Some(mut room) => {
                    self.let_more_come().await;
                    let offered = room.remaining_mut();
                    let append = |context: &mut Context<'_>| {
                        self.connection.poll_append(context, &mut room)
                    };
                    let read = poll_fn(append).await;
                    let count = read.map_err(|err| broken(&err, self.get.place))?;
                    if count == 0 {
                        return Err(eof());
                    }
                    self.is_drained = count < offered;
                    sink.took(count);
                    count
                }
                None => {
                    self.more().await?;
                    let here = self.rest.len().min(left);
                    sink.push(&self.rest.split_to(here))?;
                    here
                }
            };
        }
        Ok(self.rest.is_empty())
    }

    async fn chunks(&mut self, sink: &mut BodySink) -> Result<bool, HttpError> {
        loop {
            let mut left = self.chunk_len().await?;
            if left == 0 {
                return self.trailer().await;
            }
            while left > 0 {
                if self.rest.is_empty() {
                    self.more().await?;
                }
                let here =
                    usize::try_from(left).map_or(self.rest.len(), |left| left.min(self.rest.len()));
                sink.push(&self.rest.split_to(here))?;
                left -= here as u64;
            }
            while self.rest.len() < 2 {
                self.more().await?;
            }
            if &self.rest.split_to(2)[..] != b"\r\n" {
                return Err(HttpError::Broken("malformed chunked encoding".to_owned()));
            }
        }
    }

    /// The length of the chunk that begins here.
    async fn chunk_len(&mut self) -> Result<u64, HttpError> {
        let malformed = || HttpError::Broken("malformed chunked encoding".to_owned());
        loop {
            match httparse::parse_chunk_size(&self.rest) {
                Ok(httparse::Status::Complete((used, len))) => {
                    let _ = self.rest.split_to(used);
                    return Ok(len);
                }
                Ok(httparse::Status::Partial) if self.rest.len() < CHUNK_LINE_BYTES_MAX => {
                    self.more().await?;
                }
                Ok(httparse::Status::Partial) | Err(_) => return Err(malformed()),
            }
        }
    }

    /// Reads past the lines that may follow the last chunk.
    async fn trailer(&mut self) -> Result<bool, HttpError> {
        let mut taken = 0;
        loop {
            let line = memchr::memchr(b'\n', &self.rest).map(|end| self.rest.split_to(end + 1));
            match line {
                Some(line) if matches!(&line[..], b"\r\n" | b"\n") => {
                    return Ok(self.rest.is_empty());
                }
                Some(line) => taken += line.len(),
                None => self.more().await?,
            }
            if taken + self.rest.len() > HEAD_BYTES_MAX {
                return Err(HttpError::Broken("malformed chunked encoding".to_owned()));
            }
        }
    }

    async fn until_close(&mut self, sink: &mut BodySink) -> Result<bool, HttpError> {
        loop {
            sink.push(&self.rest)?;
            self.rest.clear();
            self.rest.reserve(PIECE_BYTES);
            let read = self.connection.read_buf(&mut self.rest).await;
            if read.map_err(|err| broken(&err, self.get.place))? == 0 {
                return Ok(false);
            }
        }
    }

    /// Reads on.
    async fn more(&mut self) -> Result<(), HttpError> {
        self.let_more_come().await;
        self.rest.reserve(PIECE_BYTES);
        let offered = self.rest.capacity() - self.rest.len();
        let read = self.connection.read_buf(&mut self.rest).await;
        let count = read.map_err(|err| broken(&err, self.get.place))?;
        self.is_drained = count < offered;
        if count == 0 { Err(eof()) } else { Ok(()) }
    }

    /// Waits a moment where nothing is left to read: to be woken for each packet would cost more
    /// than to read it.
    async fn let_more_come(&self) {
        if self.is_drained && !self.get.gathering.is_zero() {
            event_loop::sleep(self.get.gathering).await;
        }
    }
}

/// What a failure of the connection means.
pub(super) fn broken(err: &io::Error, place: &str) -> HttpError {
    match err.kind() {
        io::ErrorKind::UnexpectedEof => eof(),
        io::ErrorKind::Other => HttpError::Broken(err.to_string()),
        _ => HttpError::Broken(format!("read {place}: {}", io_text(err))),
    }
}
