//! The answer to a GET over plain HTTP/1.1: its head, then its body, from the socket to where it
//! stays.
//!
//! Source: RFC 9112, sections 4 to 7.

use super::HttpError;
use super::Response;
use super::body::BodySink;
use super::errors::{eof, io_text};
use super::system::is_redirect;
use crate::sys::event_loop::{self, Socket};
use bytes::BufMut as _;
use bytes::buf::Limit;
use futures_util::FutureExt as _;
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// Bytes of an answer's head at most, and of what follows a chunked body.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Headers of an answer at most.
const HEADERS_MAX: usize = 100;
/// Bytes that are read at once before it is known how long the body is.
const PIECE_BYTES: usize = 16 << 10;
/// As many once an answer was longer than that: most that goes on is several times as long.
const LONG_PIECE_BYTES: usize = 64 << 10;
/// Characters of a chunk's length and its extensions.
const CHUNK_LINE_BYTES_MAX: usize = 4 << 10;
/// A good pause between two reads of one body: see `Terms::gathering`.
pub(super) const GATHERING: Duration = Duration::from_millis(1);

/// How an answer is read.
#[derive(Debug)]
pub(super) struct Terms {
    /// The place for errors, as in `tcp 127.0.0.1:9100`.
    pub(super) shown: String,
    /// A longer body is an error.
    pub(super) limit: usize,
    /// Whether it is cut instead.
    pub(super) cuts: bool,
    /// What of a body comes within this time after all that was there is read together.
    pub(super) gathering: Duration,
    /// Whether a redirect's body is of no interest.
    pub(super) follows_redirects: bool,
    pub(super) wanted: Wanted,
}

/// Headers of an answer that are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    All,
    /// Those that say what the body is, and where it is instead.
    OfBody,
}

impl Wanted {
    fn has(self, name: &str) -> bool {
        let of_body = ["content-type", "content-encoding", "location"];
        self == Self::All || of_body.iter().any(|one| name.eq_ignore_ascii_case(one))
    }
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

    /// What was asked may be answered by now, so that it is worth a look.
    fn may_have_come(&mut self) {}

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

    fn may_have_come(&mut self) {
        Self::may_have_come(self);
    }

    fn is_quiet(&mut self) -> bool {
        Self::is_quiet(self)
    }
}

/// An answer that was read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response,
    /// Whether the connection can be used again.
    pub(super) is_reusable: bool,
    /// Whether some of it was waited for.
    pub(super) has_waited: bool,
}

/// Reads the rest of an answer that has begun.
pub(super) async fn read(
    connection: &mut dyn Stream,
    mut head: Head,
    terms: &Terms,
    room: Vec<u8>,
) -> Result<Answer, HttpError> {
    let io = |err: io::Error| broken(&err, &terms.shown);
    let answered = head.read(connection, terms.wanted).await.map_err(io)?;
    let Head { came: rest } = head;
    let mut response = Response {
        status: answered.status,
        length_known: !matches!(answered.length, Length::UntilClose),
        headers: answered.headers,
        ..Response::default()
    };
    let names_other = is_redirect(response.status) && response.header("location").is_some();
    if terms.follows_redirects && names_other {
        return Ok(Answer { response, is_reusable: false, has_waited: false });
    }
    let encoding = response.header("content-encoding").map(str::to_ascii_lowercase);
    let announced = match answered.length {
        Length::Bytes(len) => Some(len),
        Length::Chunked | Length::UntilClose => None,
    };
    let is_too_long = announced.is_some_and(|len| len > terms.limit as u64);
    if encoding.is_none() && is_too_long && !terms.cuts {
        return Err(HttpError::TooLarge { limit: terms.limit });
    }
    let mut sink = BodySink::new(encoding.as_deref(), terms.limit, announced, room)?;
    let mut body = Body { connection, rest, terms, has_waited: false };
    let came = match answered.length {
        Length::Bytes(len) => body.bytes(len, &mut sink).await,
        Length::Chunked => body.chunks(&mut sink).await,
        Length::UntilClose => body.until_close(&mut sink).await,
    };
    let has_waited = body.has_waited;
    let is_whole = *came.as_ref().unwrap_or(&false);
    response.body = sink.finish(came.map(drop), terms.cuts)?;
    Ok(Answer { response, is_reusable: is_whole && answered.keeps_alive, has_waited })
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

/// What came and is not taken yet.
#[derive(Debug, Default)]
struct Came {
    bytes: Vec<u8>,
    taken: usize,
    /// Whether the last read took all that was there.
    is_drained: bool,
    /// Whether it took all that there was room for.
    was_full: bool,
}

impl Came {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    /// Takes so many bytes, or what is there.
    fn take(&mut self, count: usize) -> &[u8] {
        let from = self.taken;
        self.taken += count.min(self.len());
        self.bytes.get(from..self.taken).unwrap_or_default()
    }

    /// Reads on; how much that is, 0 at the end.
    async fn read(&mut self, connection: &mut dyn Stream) -> io::Result<usize> {
        let wanted = if self.was_full { LONG_PIECE_BYTES } else { PIECE_BYTES };
        self.bytes.drain(..self.taken);
        self.taken = 0;
        if self.bytes.is_empty() && self.bytes.capacity() < wanted {
            // To let it grow would copy what it held.
            self.bytes = Vec::with_capacity(wanted);
        }
        self.bytes.reserve(wanted);
        let offered = self.bytes.capacity() - self.bytes.len();
        let mut room = (&mut self.bytes).limit(offered);
        let count = poll_fn(|context| connection.poll_append(context, &mut room)).await?;
        (self.is_drained, self.was_full) = (count < offered, count == offered);
        Ok(count)
    }
}

/// The head of an answer, as far as it came, and what came with it.
#[derive(Debug, Default)]
pub(super) struct Head {
    came: Came,
}

impl Head {
    /// Waits for the first bytes.
    pub(super) async fn begin(&mut self, connection: &mut dyn Stream) -> io::Result<()> {
        let count = self.came.read(connection).await?;
        if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// What the head says; the bytes of the body that came with it are left.
    async fn read(&mut self, connection: &mut dyn Stream, wanted: Wanted) -> io::Result<Answered> {
        loop {
            if let Some((answered, len)) = parse_head(self.came.rest(), wanted)? {
                self.came.take(len);
                // Told before the answer proper: 100 Continue and its kin.
                if (100..200).contains(&answered.status) {
                    continue;
                }
                return Ok(answered);
            }
            if self.came.len() > HEAD_BYTES_MAX {
                return Err(io::Error::other("the head of the answer is too long"));
            }
            self.begin(connection).await?;
        }
    }
}

/// The head and its length, once it is whole.
fn parse_head(bytes: &[u8], wanted: Wanted) -> io::Result<Option<(Answered, usize)>> {
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
    let mut headers = Vec::new();
    for header in parsed.headers.iter() {
        let text = String::from_utf8_lossy(header.value);
        let (name, value) = (header.name, text.trim());
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let has = |word: &str| value.split(',').any(|one| one.trim().eq_ignore_ascii_case(word));
        if is("connection") {
            keeps_alive = !has("close") && (keeps_alive || has("keep-alive"));
        } else if is("transfer-encoding") {
            // Anything but chunks cannot be read.
            if !value.eq_ignore_ascii_case("chunked") {
                return Err(malformed(format!("unsupported transfer encoding {value:?}")));
            }
            is_chunked = true;
        } else if is("content-length") {
            let wrong = || malformed(format!("bad Content-Length {value:?}"));
            let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
            let said: u64 = value.parse().ok().filter(|_| is_number).ok_or_else(wrong)?;
            // Two that differ: somebody wants us to read what others do not.
            if said_len.replace(said).is_some_and(|before| before != said) {
                return Err(wrong());
            }
        }
        if wanted.has(name) {
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
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
    rest: Came,
    terms: &'a Terms,
    /// Whether `let_more_come` waited.
    has_waited: bool,
}

impl Body<'_> {
    /// Takes so many bytes. As the others: whether the connection can be used again.
    async fn bytes(&mut self, len: u64, sink: &mut BodySink) -> Result<bool, HttpError> {
        let mut left = usize::try_from(len).unwrap_or(usize::MAX);
        let here = self.rest.len().min(left);
        sink.push(self.rest.take(here))?;
        left -= here;
        while left > 0 {
            left -= match sink.room(left) {
                // From the socket to where it stays.
                Some(mut room) => {
                    self.let_more_come().await;
                    let offered = room.remaining_mut();
                    let append =
                        |context: &mut Context<'_>| self.connection.poll_append(context, &mut room);
                    let read = poll_fn(append).await;
                    let count = read.map_err(|err| broken(&err, &self.terms.shown))?;
                    if count == 0 {
                        return Err(eof());
                    }
                    self.rest.is_drained = count < offered;
                    sink.took(count);
                    count
                }
                None => {
                    self.more().await?;
                    let here = self.rest.len().min(left);
                    sink.push(self.rest.take(here))?;
                    here
                }
            };
        }
        Ok(self.rest.len() == 0)
    }

    async fn chunks(&mut self, sink: &mut BodySink) -> Result<bool, HttpError> {
        loop {
            let mut left = self.chunk_len().await?;
            if left == 0 {
                return self.trailer().await;
            }
            while left > 0 {
                if self.rest.len() == 0 {
                    self.more().await?;
                }
                let here =
                    usize::try_from(left).map_or(self.rest.len(), |left| left.min(self.rest.len()));
                sink.push(self.rest.take(here))?;
                left -= here as u64;
            }
            while self.rest.len() < 2 {
                self.more().await?;
            }
            if self.rest.take(2) != b"\r\n" {
                return Err(HttpError::Broken("malformed chunked encoding".to_owned()));
            }
        }
    }

    /// The length of the chunk that begins here.
    async fn chunk_len(&mut self) -> Result<u64, HttpError> {
        let malformed = || HttpError::Broken("malformed chunked encoding".to_owned());
        loop {
            match httparse::parse_chunk_size(self.rest.rest()) {
                Ok(httparse::Status::Complete((used, len))) => {
                    self.rest.take(used);
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
            match memchr::memchr(b'\n', self.rest.rest()).map(|end| self.rest.take(end + 1)) {
                Some(b"\r\n" | b"\n") => return Ok(self.rest.len() == 0),
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
            sink.push(self.rest.take(usize::MAX))?;
            let read = self.rest.read(self.connection).await;
            if read.map_err(|err| broken(&err, &self.terms.shown))? == 0 {
                return Ok(false);
            }
        }
    }

    /// Reads on.
    async fn more(&mut self) -> Result<(), HttpError> {
        self.let_more_come().await;
        let read = self.rest.read(self.connection).await;
        let count = read.map_err(|err| broken(&err, &self.terms.shown))?;
        if count == 0 { Err(eof()) } else { Ok(()) }
    }

    /// Waits a moment where nothing is left to read: to be woken for each packet would cost more
    /// than to read it.
    async fn let_more_come(&mut self) {
        if self.rest.is_drained && !self.terms.gathering.is_zero() {
            self.has_waited = true;
            event_loop::sleep(self.terms.gathering).await;
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
