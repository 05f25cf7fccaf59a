//! A connection to a bus, or to one program: authenticated once, then calls and their answers.

use super::message::{Call, HEAD_BYTES, Head, Reply};
use crate::sys::clock::SharedClock;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// The longest line of the authentication that is read.
const LINE_BYTES_MAX: usize = 256;
/// Messages that answer nothing (signals) are passed over, but not without end.
const OTHERS_MAX: usize = 1_000;
/// So many calls are sent before answers are read: neither side's buffer fills, so neither waits
/// for the other.
const CALLS_AHEAD: usize = 32;

/// Why nothing was answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DbusError {
    /// The socket cannot be used.
    #[error("cannot talk over the socket: {0}")]
    Io(#[from] io::Error),
    /// The other side does not accept who we are.
    #[error("the bus answers {0:?} to our authentication")]
    Refused(String),
    /// What came is no D-Bus, or too long.
    #[error("what came is no message of D-Bus that can be read")]
    Damaged,
    /// The other side could not do what was asked.
    #[error("the answer is the error {0}")]
    Answer(String),
}

/// A connection with an end to its patience.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    clock: SharedClock,
    deadline: Duration,
    serial: u32,
}

impl Connection {
    /// Connects to the socket at `path` and says who we are. After `deadline` (elapsed time of
    /// `clock`) nothing is waited for any more.
    ///
    /// # Errors
    /// There is no such socket, or nobody who listens in time, or we may not.
    pub fn open(path: &Path, clock: SharedClock, deadline: Duration) -> Result<Self, DbusError> {
        // Does not wait: a program that hangs accepts nobody, and its queue fills.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        let socket = socket.map_err(io::Error::from)?;
        let address = SocketAddrUnix::new(path).map_err(io::Error::from)?;
        rustix::net::connect(&socket, &address).map_err(io::Error::from)?;
        let stream = UnixStream::from(socket);
        stream.set_nonblocking(false)?;
        let mut connection = Self { stream, clock, deadline, serial: 0 };
        connection.authenticate()?;
        Ok(connection)
    }

    /// Joins the bus at the other end, which must come before any call over it.
    ///
    /// # Errors
    /// As `call`.
    pub fn hello(&mut self) -> Result<(), DbusError> {
        let bus = "org.freedesktop.DBus";
        let path = "/org/freedesktop/DBus";
        let call = Call { destination: bus, path, interface: bus, member: "Hello", args: &[] };
        self.call(&call).map(drop)
    }

    /// The answer to one call.
    ///
    /// # Errors
    /// Nothing came in time, it was damaged, or it is an error.
    pub fn call(&mut self, call: &Call<'_>) -> Result<Reply, DbusError> {
        let serial = self.send(call)?;
        let reply = self.answer(serial)?;
        match reply.error {
            Some(name) => Err(DbusError::Answer(name)),
            None => Ok(reply),
        }
    }

    /// The answers to many calls, in their order; one that is an error is `None`.
    ///
    /// # Errors
    /// Nothing came in time, or it was damaged.
    pub fn call_all(&mut self, calls: &[Call<'_>]) -> Result<Vec<Option<Reply>>, DbusError> {
        let mut replies = Vec::with_capacity(calls.len());
        for calls in calls.chunks(CALLS_AHEAD) {
            let sent: Result<Vec<u32>, DbusError> =
                calls.iter().map(|call| self.send(call)).collect();
            for serial in sent? {
                let reply = self.answer(serial)?;
                replies.push(reply.error.is_none().then_some(reply));
            }
        }
        Ok(replies)
    }

    fn authenticate(&mut self) -> Result<(), DbusError> {
        let user: String = rustix::process::geteuid()
            .as_raw()
            .to_string()
            .bytes()
            .map(|b| format!("{b:02x}"))
            .collect();
        self.write(format!("\0AUTH EXTERNAL {user}\r\n").as_bytes())?;
        let mut line = Vec::new();
        // A byte at a time: nothing may be taken that belongs to what follows.
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.read(&mut byte)?;
            line.extend(byte);
            if line.len() > LINE_BYTES_MAX {
                return Err(DbusError::Damaged);
            }
        }
        if !line.starts_with(b"OK ") {
            return Err(DbusError::Refused(String::from_utf8_lossy(&line).trim().to_owned()));
        }
        self.write(b"BEGIN\r\n")
    }

    fn send(&mut self, call: &Call<'_>) -> Result<u32, DbusError> {
        self.serial += 1;
        self.write(&call.encode(self.serial))?;
        Ok(self.serial)
    }

    /// The answer to the call `serial`: they come in the order of the calls, between other
    /// messages.
    fn answer(&mut self, serial: u32) -> Result<Reply, DbusError> {
        for _ in 0..OTHERS_MAX {
            let mut head = [0; HEAD_BYTES];
            self.read(&mut head)?;
            let head = Head::read(&head).ok_or(DbusError::Damaged)?;
            let mut rest = vec![0; head.rest_bytes()];
            self.read(&mut rest)?;
            match Reply::behind(head, &rest).ok_or(DbusError::Damaged)? {
                Some(reply) if reply.serial == serial => return Ok(reply),
                Some(_) | None => {}
            }
        }
        Err(DbusError::Damaged)
    }

    fn read(&mut self, mut into: &mut [u8]) -> Result<(), DbusError> {
        while !into.is_empty() {
            self.stream.set_read_timeout(Some(self.left()?))?;
            match self.stream.read(into) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(count) => into = into.get_mut(count..).unwrap_or_default(),
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(err.into()),
            }
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), DbusError> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        Ok(self.stream.write_all(bytes)?)
    }

    /// Never zero, which would be no limit.
    fn left(&self) -> Result<Duration, DbusError> {
        let left = self.deadline.saturating_sub(self.clock.elapsed());
        if left.is_zero() { Err(io::Error::from(io::ErrorKind::TimedOut).into()) } else { Ok(left) }
    }
}
