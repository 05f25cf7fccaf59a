//! The open TCP connections: which one is idlest, and what passes through each.

use super::heads::Heads;
use crate::sys::clock::SharedClock;
use crate::sys::locks::lock;
use bytes::Bytes;
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
    heads: Mutex<Heads>,
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
    }

    /// Whether a head that came had two lengths.
    pub(super) fn had_two_lengths(&self) -> bool {
        self.heads().had_two_lengths()
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

    fn heads(&self) -> std::sync::MutexGuard<'_, Heads> {
        lock(&self.heads)
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
            heads: Mutex::default(),
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

/// A stream that tells its connection of every byte.
#[derive(Debug)]
pub(super) struct Watched {
    stream: TcpStream,
    connection: Arc<Connection>,
    /// What came and found no room once it was spelt longer.
    waiting: Bytes,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Self { stream, connection, waiting: Bytes::new() }
    }

    fn give(&mut self, buffer: &mut ReadBuf<'_>) {
        let room = buffer.remaining().min(self.waiting.len());
        buffer.put_slice(&self.waiting.split_to(room));
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.waiting.is_empty() {
            self.give(buffer);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = &polled {
            let piece = buffer.filled().get(before..).unwrap_or_default();
            self.connection.touch();
            let respelt = self.connection.heads().take(piece);
            if let Some(respelt) = respelt {
                buffer.set_filled(before);
                self.waiting = respelt.into();
                self.give(buffer);
            }
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
}
