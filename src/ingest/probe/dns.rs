//! `dns`: a question to a name server, and what must hold for its answer.
//!
//! Source: prometheus/blackbox_exporter, prober/dns.go.

use super::super::config::{DnsProbe, RecordCheck};
use super::dns_message::{self, Message, Record};
use super::report::Report;
use super::{Context, address};
use crate::sys::dial::{Stopwatch, Stream};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UdpSocket;

const SECONDS: &str = "probe_dns_duration_seconds";
/// Answers to other questions that are read past.
const STRAY_MAX: usize = 1_000;
/// The type of records that hold a zone's serial number.
const SOA: u16 = 6;

pub(super) async fn probe(
    context: &Context<'_>,
    report: &mut Report,
    target: &str,
    probe: &DnsProbe,
) -> bool {
    report.phases(SECONDS, "Duration of DNS request by phase", &["resolve", "connect", "request"]);
    for (name, help) in [
        ("probe_dns_answer_rrs", "Returns number of entries in the answer resource record list"),
        (
            "probe_dns_authority_rrs",
            "Returns number of entries in the authority resource record list",
        ),
        (
            "probe_dns_additional_rrs",
            "Returns number of entries in the additional resource record list",
        ),
        (
            "probe_dns_query_succeeded",
            "Displays whether or not the query was executed successfully",
        ),
    ] {
        report.gauge(name, help);
    }
    let default_port = if probe.over_tls { 853 } else { 53 };
    let (host, port) = address::split(target).unwrap_or((target, default_port));
    let Ok((ip, lookup)) = address::choose(context, report, probe.family, host).await else {
        return false;
    };
    report.add_phase(SECONDS, "resolve", lookup);
    let message = match ask(context, report, SocketAddr::new(ip, port), host, probe).await {
        Ok(message) => message,
        Err(err) => {
            report.error("error while sending a DNS query", &[("err", &err)]);
            return false;
        }
    };
    report.set("probe_dns_query_succeeded", 1.0);
    judge(report, probe, &message)
}

/// Counts, and what must hold.
fn judge(report: &mut Report, probe: &DnsProbe, message: &Message) -> bool {
    let sections = [
        ("probe_dns_answer_rrs", "answer", &message.answer, &probe.answer),
        ("probe_dns_authority_rrs", "authority", &message.authority, &probe.authority),
        ("probe_dns_additional_rrs", "additional", &message.additional, &probe.additional),
    ];
    for (name, _, records, _) in sections {
        report.set(name, f64::from(u32::try_from(records.len()).unwrap_or(u32::MAX)));
    }
    if probe.kind == SOA {
        report.gauge("probe_dns_serial", "Returns the serial number of the zone");
        for serial in message.answer.iter().filter_map(|record| record.serial) {
            report.set("probe_dns_serial", f64::from(serial));
        }
    }
    if !probe.valid_rcodes.contains(&message.rcode) {
        report
            .error("the rcode is none of the valid ones", &[("rcode", &message.rcode.to_string())]);
        return false;
    }
    sections.into_iter().all(|(_, section, records, check)| {
        report.debug("validating RRs", &[("section", section)]);
        holds(report, records, check)
    })
}

/// Upstream's conditions, also where they are not what their names say: `fail_if_all_match` fails
/// when *not* all match.
fn holds(report: &mut Report, records: &[Record], check: &RecordCheck) -> bool {
    if records.is_empty()
        && (!check.fail_if_not_matches.is_empty() || !check.fail_if_none_matches.is_empty())
    {
        report.error("a regexp must match and there are no RRs", &[]);
        return false;
    }
    let (mut all_match, mut any_matches) = (true, false);
    for record in records {
        let text = record.text.as_str();
        report.debug("validating RR", &[("rr", text)]);
        for regex in &check.fail_if_matches {
            if regex.is_match(text) {
                report.error("RR matched regexp", &[("regexp", regex.as_str()), ("rr", text)]);
                return false;
            }
        }
        all_match &= check.fail_if_all_match.iter().all(|regex| regex.is_match(text));
        for regex in &check.fail_if_not_matches {
            if !regex.is_match(text) {
                let fields = [("regexp", regex.as_str()), ("rr", text)];
                report.error("RR did not match regexp", &fields);
                return false;
            }
        }
        any_matches |= check.fail_if_none_matches.iter().any(|regex| regex.is_match(text));
    }
    if !check.fail_if_all_match.is_empty() && !all_match {
        report.error("not all RRs matched regexp", &[]);
        return false;
    }
    if !check.fail_if_none_matches.is_empty() && !any_matches {
        report.error("none of the RRs matched any regexp", &[]);
        return false;
    }
    true
}

/// One question and its answer.
async fn ask(
    context: &Context<'_>,
    report: &mut Report,
    to: SocketAddr,
    host: &str,
    probe: &DnsProbe,
) -> Result<Message, String> {
    let [high, low, ..] = context.entropy.next_u64().to_be_bytes();
    let id = u16::from_be_bytes([high, low]);
    let question =
        dns_message::question(id, &probe.name, probe.kind, probe.class, probe.recursion_desired);
    let fields = [("target", &*to.to_string()), ("query", probe.name.as_str())];
    report.debug("making DNS query", &fields);
    let connecting = Stopwatch::start();
    let answer = if probe.over_tcp {
        let stream = context.dialer.connect(to, probe.source).await?;
        let mut stream: Stream = Box::new(stream);
        if probe.over_tls {
            let client = context.dialer.tls(&probe.tls, context.base, None);
            let client = client.map_err(|problem| problem.to_string())?;
            (stream, _) = client.handshake(stream, host).await?;
        }
        report.add_phase(SECONDS, "connect", connecting.seconds());
        let asking = Stopwatch::start();
        let answer = over_stream(&mut stream, &question).await;
        report.add_phase(SECONDS, "request", asking.seconds());
        answer?
    } else {
        let socket = connected(to, probe.source).await.map_err(|err| err.to_string())?;
        report.add_phase(SECONDS, "connect", connecting.seconds());
        let asking = Stopwatch::start();
        let answer = over_datagrams(&socket, &question, id).await;
        report.add_phase(SECONDS, "request", asking.seconds());
        answer?
    };
    let message = dns_message::read(&answer)?;
    if message.id != id || !message.is_answer {
        return Err("dns: the message is no answer to this question".to_owned());
    }
    Ok(message)
}

async fn connected(to: SocketAddr, from: Option<IpAddr>) -> std::io::Result<UdpSocket> {
    let any: IpAddr =
        if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(from.unwrap_or(any), 0)).await?;
    socket.connect(to).await?;
    Ok(socket)
}

async fn over_datagrams(socket: &UdpSocket, question: &[u8], id: u16) -> Result<Vec<u8>, String> {
    socket.send(question).await.map_err(|err| err.to_string())?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    for _ in 0..STRAY_MAX {
        let read = socket.recv(&mut buffer).await.map_err(|err| err.to_string())?;
        let answer = buffer.get(..read).unwrap_or_default();
        // Anybody may send a datagram.
        if dns_message::id(answer) == Some(id) {
            return Ok(answer.to_vec());
        }
    }
    Err("dns: too many answers to other questions".to_owned())
}

async fn over_stream(stream: &mut Stream, question: &[u8]) -> Result<Vec<u8>, String> {
    let length = u16::try_from(question.len()).unwrap_or(u16::MAX).to_be_bytes();
    let exchange = async {
        stream.write_all(&[&length[..], question].concat()).await?;
        stream.flush().await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    };
    exchange.await.map_err(|err: std::io::Error| err.to_string())
}
