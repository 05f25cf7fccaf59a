//! One ICMP echo, over a ping socket that needs no privilege, or a raw one where those are not
//! allowed and this process may.
//!
//! The system numbers echoes of ping sockets itself and hands over only answers to them.

use super::Stopwatch;
use crate::sys::http::errors::io_text;
use rustix::io::Errno;
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ip_ttl,
    set_ipv6_mtu_discover, set_ipv6_unicast_hops,
};
use rustix::net::{
    AddressFamily, Protocol, SocketFlags, SocketType, bind, connect, ipproto, socket_with,
};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::net::UdpSocket;

/// The longest packet, with what a raw socket puts before it.
const PACKET_BYTES_MAX: usize = 65_536;

/// How an echo is sent.
#[derive(Clone, Debug)]
pub struct EchoTerms {
    /// To whom.
    pub to: IpAddr,
    /// From which of our addresses.
    pub from: Option<IpAddr>,
    /// Hops after which the packet is dropped.
    pub hops: u8,
    /// Whether the packet may not be cut into pieces on its way.
    pub whole: bool,
    /// What is to come back.
    pub payload: Vec<u8>,
    /// Tells this echo from others on a raw socket.
    pub id: u16,
    /// The number of the echo.
    pub sequence: u16,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EchoReply {
    /// From making the socket to having it ready.
    pub setup: Duration,
    /// From sending to the answer.
    pub round_trip: Duration,
    /// Hops that the answer had left; `None` where the system does not tell.
    pub hops: Option<u8>,
}

/// Sends one echo and waits for the answer, as long as the caller does.
///
/// # Errors
/// No socket is allowed, or the packet cannot be sent.
pub async fn echo(terms: &EchoTerms) -> Result<EchoReply, String> {
    let setup = Stopwatch::start();
    let (socket, is_raw) = open(terms.to).map_err(|err| {
        format!(
            "no socket for ICMP: {err}; allow this group in net.ipv4.ping_group_range, or give \
             the process CAP_NET_RAW"
        )
    })?;
    prepare(&socket, terms).map_err(|err| format!("cannot prepare a socket for ICMP: {err}"))?;
    let failed = |err: io::Error| format!("no answer: {}", io_text(&err));
    // A socket of datagrams like any other, once it is made.
    let socket = UdpSocket::from_std(socket.into()).map_err(failed)?;
    let setup = setup.elapsed();
    let sent = Stopwatch::start();
    let packet = packet(terms);
    socket.send(&packet).await.map_err(|err| format!("cannot send an echo: {}", io_text(&err)))?;
    let mut buffer = vec![0; PACKET_BYTES_MAX];
    loop {
        // What routers say about the packet comes as an error of the socket.
        let read = socket.recv(&mut buffer).await.map_err(failed)?;
        let answer = buffer.get(..read).unwrap_or_default();
        if let Some(hops) = reply(answer, terms, is_raw) {
            return Ok(EchoReply { setup, round_trip: sent.elapsed(), hops });
        }
    }
}

/// A raw socket where it is allowed, since it tells the hops; else a ping socket.
fn open(to: IpAddr) -> Result<(OwnedFd, bool), Errno> {
    let (family, protocol): (_, Protocol) = match to {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let made = |kind| socket_with(family, kind, flags, Some(protocol));
    match made(SocketType::RAW) {
        Ok(raw) => Ok((raw, true)),
        Err(_) => Ok((made(SocketType::DGRAM)?, false)),
    }
}

fn prepare(socket: &OwnedFd, terms: &EchoTerms) -> Result<(), Errno> {
    if let Some(from) = terms.from {
        bind(socket, &SocketAddr::new(from, 0))?;
    }
    match terms.to {
        IpAddr::V4(_) => {
            set_ip_ttl(socket, u32::from(terms.hops))?;
            if terms.whole {
                set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DO)?;
            }
        }
        IpAddr::V6(_) => {
            set_ipv6_unicast_hops(socket, Some(terms.hops))?;
            if terms.whole {
                set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DO)?;
            }
        }
    }
    connect(socket, &SocketAddr::new(terms.to, 0))
}

/// The echo. Over IPv6, and on ping sockets, the system computes the sum again.
fn packet(terms: &EchoTerms) -> Vec<u8> {
    let kind = if terms.to.is_ipv4() { 8 } else { 128 };
    let mut packet = vec![kind, 0, 0, 0];
    packet.extend(terms.id.to_be_bytes());
    packet.extend(terms.sequence.to_be_bytes());
    packet.extend(&terms.payload);
    let sum = checksum(&packet).to_be_bytes();
    if let Some(place) = packet.get_mut(2..4) {
        place.copy_from_slice(&sum);
    }
    packet
}

/// RFC 1071: the complement of the sum in ones' complement.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        let high = pair.first().copied().unwrap_or_default();
        let low = pair.get(1).copied().unwrap_or_default();
        sum += u32::from(u16::from_be_bytes([high, low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

/// Whether a packet is the answer; then its hops, where they are told.
fn reply(packet: &[u8], terms: &EchoTerms, is_raw: bool) -> Option<Option<u8>> {
    let (hops, icmp) = if is_raw && terms.to.is_ipv4() {
        // A raw socket of IPv4 shows the header: its length in words, and the hops.
        let words = usize::from(packet.first()? & 0x0f);
        (Some(*packet.get(8)?), packet.get(words * 4..)?)
    } else {
        (None, packet)
    };
    let kind = if terms.to.is_ipv4() { 0 } else { 129 };
    let is_ours = !is_raw || icmp.get(4..6)? == terms.id.to_be_bytes();
    let same = *icmp.first()? == kind
        && is_ours
        && icmp.get(6..8)? == terms.sequence.to_be_bytes()
        && icmp.get(8..)? == terms.payload;
    same.then_some(hops)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terms(to: &str) -> EchoTerms {
        EchoTerms {
            to: to.parse().expect("an address"),
            from: None,
            hops: 64,
            whole: false,
            payload: b"abc".to_vec(),
            id: 0x1234,
            sequence: 7,
        }
    }

    #[test]
    fn a_packet_sums_up_to_nothing_and_only_its_answer_is_taken() {
        let terms = terms("127.0.0.1");
        let sent = packet(&terms);
        assert_eq!(checksum(&sent), 0, "{sent:?}");
        assert_eq!(reply(&sent, &terms, false), None, "the echo itself");
        let mut answer = sent.clone();
        answer[0] = 0;
        assert_eq!(reply(&answer, &terms, false), Some(None));
        let mut header = vec![0x45; 20];
        header[8] = 63;
        let raw = [header, answer.clone()].concat();
        assert_eq!(reply(&raw, &terms, true), Some(Some(63)));
        for place in 4..answer.len() {
            let mut other = raw.clone();
            other[20 + place] ^= 1;
            assert_eq!(reply(&other, &terms, true), None, "byte {place}");
        }
    }

    #[tokio::test]
    async fn this_host_answers_where_echoes_are_allowed() {
        match echo(&terms("127.0.0.1")).await {
            Ok(answer) => assert!(answer.round_trip < Duration::from_secs(60), "{answer:?}"),
            Err(err) => assert!(err.contains("ping_group_range"), "{err}"),
        }
    }

    proptest! {
        #[test]
        fn any_packet_is_looked_at(packet in proptest::collection::vec(any::<u8>(), 0..64)) {
            for to in ["127.0.0.1", "::1"] {
                let _ = (reply(&packet, &terms(to), true), reply(&packet, &terms(to), false));
            }
        }
    }
}
