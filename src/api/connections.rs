//! The open TCP connections: which one is idlest, and what passes through each.

use crate::sys::clock::SharedClock;
use crate::sys::locks::lock;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// A longer head is refused before it is looked at here.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// What is known of one connection.
#[derive(Debug)]
pub(super) struct Connection {
    id: u64,
    peer: IpAddr,
    clock: SharedClock,
    /// Milliseconds of the clock at the last byte.
    last_byte_ms: AtomicU64,
    /// Whether a request is being answered.
    busy: AtomicBool,
    close: Notify,
    head: Mutex<Head>,
}

impl Connection {
    /// Ends when somebody else needs the place.
    pub(super) async fn told_to_close(&self) {
        self.close.notified().await;
    }

    /// A request is there and is being answered.
    pub(super) fn begin(&self) {
        self.busy.store(true, Ordering::Relaxed);
        self.touch();
    }

    /// Its answer is ready to be written; the next head may come.
    pub(super) fn finish(&self) {
        self.busy.store(false, Ordering::Relaxed);
        self.touch();
        *self.head() = Head::default();
    }

    /// Whether the head that came had two lengths, so that two servers could read it as two
    /// different requests.
    pub(super) fn has_two_lengths(&self) -> bool {
        self.head().two_lengths
    }

    /// How long no byte has passed while nothing was being worked on.
    pub(super) fn stalled_for(&self) -> Duration {
        if self.busy.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let last = Duration::from_millis(self.last_byte_ms.load(Ordering::Relaxed));
        self.clock.elapsed().saturating_sub(last)
    }

    fn touch(&self) {
        let now = u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_byte_ms.store(now, Ordering::Relaxed);
    }

    fn head(&self) -> std::sync::MutexGuard<'_, Head> {
        lock(&self.head)
    }
}

/// All open connections.
#[derive(Debug)]
pub(super) struct Connections {
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    next_id: AtomicU64,
    clock: SharedClock,
}

impl Connections {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self { open: Mutex::default(), next_id: AtomicU64::new(0), clock }
    }

    /// Notes a new connection; over `most`, the idlest one of the fullest address gives its place.
    pub(super) fn open(&self, peer: IpAddr, most: usize) -> Arc<Connection> {
        let connection = Arc::new(Connection {
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            peer,
            clock: Arc::clone(&self.clock),
            last_byte_ms: AtomicU64::new(0),
            busy: AtomicBool::new(false),
            close: Notify::new(),
            head: Mutex::default(),
        });
        connection.touch();
        let mut open = self.lock();
        while open.len() >= most.max(1) {
            let Some(victim) = idlest_of_fullest(&open) else { break };
            if let Some(victim) = open.remove(&victim) {
                victim.close.notify_one();
            }
        }
        open.insert(connection.id, Arc::clone(&connection));
        connection
    }

    /// Forgets a connection that has ended.
    pub(super) fn closed(&self, connection: &Connection) {
        self.lock().remove(&connection.id);
    }

    /// Number of open connections.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        lock(&self.open)
    }
}

fn idlest_of_fullest(open: &HashMap<u64, Arc<Connection>>) -> Option<u64> {
    let mut by_peer: HashMap<IpAddr, Vec<&Arc<Connection>>> = HashMap::new();
    for connection in open.values() {
        by_peer.entry(connection.peer).or_default().push(connection);
    }
    let fullest = by_peer.into_values().max_by_key(Vec::len)?;
    let idle_first = |connection: &&Arc<Connection>| {
        let busy = connection.busy.load(Ordering::Relaxed);
        (busy, connection.last_byte_ms.load(Ordering::Relaxed), connection.id)
    };
    fullest.into_iter().min_by_key(idle_first).map(|connection| connection.id)
}

/// The head of a request as it comes, kept until it is whole. hyper hides a `Content-Length`
/// beside a `Transfer-Encoding`, so both are looked for here.
#[derive(Debug, Default)]
struct Head {
    bytes: Vec<u8>,
    whole: bool,
    two_lengths: bool,
}

impl Head {
    fn take(&mut self, piece: &[u8]) {
        if self.whole || self.bytes.len() > HEAD_BYTES_MAX {
            return;
        }
        // The end may lie across two pieces.
        let from = self.bytes.len().saturating_sub(3);
        self.bytes.extend_from_slice(piece);
        let tail = self.bytes.get(from..).unwrap_or_default();
        let Some(end) = memchr::memmem::find(tail, b"\r\n\r\n") else { return };
        self.whole = true;
        let head = self.bytes.get(..from + end).unwrap_or_default();
        let has = |name: &[u8]| {
            head.split(|byte| *byte == b'\n').any(|line| {
                let found = line.split(|byte| *byte == b':').next().unwrap_or_default();
                found.trim_ascii().eq_ignore_ascii_case(name)
            })
        };
        self.two_lengths = has(b"content-length") && has(b"transfer-encoding");
        self.bytes = Vec::new();
    }
}

/// A stream that tells its connection of every byte.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) stream: TcpStream,
    pub(super) connection: Arc<Connection>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = &polled {
            let piece = buffer.filled().get(before..).unwrap_or_default();
            self.connection.touch();
            self.connection.head().take(piece);
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        if polled.is_ready() {
            self.connection.touch();
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::sys::sim::VirtualClock;
    use futures_util::FutureExt as _;
    use proptest::prelude::*;

    #[test]
    fn the_idlest_connection_of_the_fullest_address_gives_its_place() {
        let clock = VirtualClock::at(Timestamp::EPOCH);
        let connections = Connections::new(Arc::new(clock.clone()));
        let open = |last: u8| {
            clock.advance(Duration::from_secs(1));
            connections.open(IpAddr::from([192, 0, 2, last]), 4)
        };
        let (alone, busy, idle, fresh) = (open(1), open(2), open(2), open(2));
        busy.begin();
        open(3);
        assert!(idle.told_to_close().now_or_never().is_some());
        for kept in [alone, busy, fresh] {
            assert!(kept.told_to_close().now_or_never().is_none());
        }
        assert_eq!(connections.len(), 4);
    }

    #[test]
    fn two_lengths_are_seen_wherever_the_head_is_cut() {
        let text =
            b"POST /x HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc";
        for cut in 0..text.len() {
            let mut head = Head::default();
            head.take(&text[..cut]);
            head.take(&text[cut..]);
            assert!(head.two_lengths, "cut at {cut}");
        }
        let mut head = Head::default();
        head.take(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\ntransfer-encoding: x\r\n\r\n");
        assert!(!head.two_lengths);
    }

    proptest! {
        #[test]
        fn any_bytes_may_come(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..10)) {
            let mut head = Head::default();
            for piece in pieces {
                head.take(&piece);
            }
        }
    }
}
