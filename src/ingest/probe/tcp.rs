//! `tcp`: a connection, TLS where it is wanted, and a conversation line by line.
//!
//! Source: prometheus/blackbox_exporter, prober/tcp.go and prober/query_response.go. Unlike there,
//! bytes that came with a line are not lost to `expect_bytes`; to `starttls` they are, since
//! nobody has vouched for them.

use super::super::config::{Step, TcpProbe};
use super::report::Report;
use super::{Context, address};
use crate::sys::dial::{Stream, TlsClient};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The longest line, as Go's scanner has it.
const LINE_BYTES_MAX: usize = 64 << 10;

const BY_REGEX: &str = "probe_failed_due_to_regex";
const BY_BYTES: &str = "probe_failed_due_to_bytes";

pub(super) async fn probe(
    context: &Context<'_>,
    report: &mut Report,
    target: &str,
    probe: &TcpProbe,
    hostname: Option<&str>,
) -> bool {
    let failed = match talk(context, report, target, probe, hostname).await {
        Ok(()) => return true,
        Err(failed) => failed,
    };
    if let Some(text) = failed {
        report.error("the probe failed", &[("err", &text)]);
    }
    false
}

/// Why a probe ends; nothing when the log has it already.
type Failed = Option<String>;

async fn talk(
    context: &Context<'_>,
    report: &mut Report,
    target: &str,
    probe: &TcpProbe,
    hostname: Option<&str>,
) -> Result<(), Failed> {
    let (host, port) = address::split(target)?;
    let chosen = address::choose(context, report, probe.family, host).await;
    let (ip, _) = chosen.map_err(|()| None)?;
    let stream = context.dialer.connect(SocketAddr::new(ip, port), probe.source).await?;
    report.debug("connected", &[("ip", &ip.to_string())]);
    report.gauge(BY_REGEX, "Indicates if probe failed due to regex");
    report.gauge(BY_BYTES, "Indicates if probe failed due to bytes");
    let name = hostname.unwrap_or(host);
    let mut line = Line { stream: Box::new(stream), buffer: Vec::new(), is_at_end: false };
    let tls = || {
        let made = context.dialer.tls(&probe.tls, context.base, None);
        made.map_err(|problem| problem.to_string())
    };
    if probe.is_tls {
        line = line.upgraded(context, report, &tls()?, name).await?;
    }
    for (place, step) in probe.steps.iter().enumerate() {
        report.debug("processing query response entry", &[("entry_number", &place.to_string())]);
        take_step(&mut line, report, step).await?;
        if step.starttls {
            line = line.upgraded(context, report, &tls()?, name).await?;
        }
    }
    Ok(())
}

/// Expects, then sends.
async fn take_step(line: &mut Line, report: &mut Report, step: &Step) -> Result<(), Failed> {
    let mut send = step.send.clone();
    if let Some(expect) = &step.expect {
        let found = loop {
            let Some(read) = line.next().await? else {
                report.set(BY_REGEX, 1.0);
                report.error("regexp did not match", &[("regexp", expect.as_str())]);
                return Err(None);
            };
            report.debug("read line", &[("line", &read)]);
            if expect.is_match(&read) {
                break read;
            }
        };
        report.set(BY_REGEX, 0.0);
        report.debug("regexp matched", &[("regexp", expect.as_str()), ("line", &found)]);
        let expand = |template: &str| expect.expand(&found, template).unwrap_or_default();
        send = expand(&send);
        if let Some(labels) = &step.labels {
            let labels = labels.iter().map(|(name, value)| (name.as_str(), expand(value)));
            report.info("probe_expect_info", "Explicit content matched", labels);
        }
    }
    if !step.expect_bytes.is_empty() {
        let read = line.exactly(step.expect_bytes.len()).await?;
        let is_it = read == step.expect_bytes;
        report.set(BY_BYTES, if is_it { 0.0 } else { 1.0 });
        if !is_it {
            let (expected, found) = (format!("{:?}", step.expect_bytes), format!("{read:?}"));
            report.error("bytes did not match", &[("expected", &expected), ("bytes", &found)]);
            return Err(None);
        }
    }
    if !send.is_empty() {
        report.debug("sending line", &[("line", &send)]);
        send.push('\n');
        let written = line.stream.write_all(send.as_bytes()).await;
        written.map_err(|err| Some(format!("failed to send: {err}")))?;
        line.stream.flush().await.map_err(|err| Some(format!("failed to send: {err}")))?;
    }
    Ok(())
}

/// A connection that is read by lines.
struct Line {
    stream: Stream,
    /// What was read and not taken yet.
    buffer: Vec<u8>,
    is_at_end: bool,
}

impl Line {
    /// The same connection with TLS over it.
    async fn upgraded(
        self,
        context: &Context<'_>,
        report: &mut Report,
        client: &TlsClient,
        host: &str,
    ) -> Result<Self, Failed> {
        let (stream, facts) = client.handshake(self.stream, host).await?;
        report.debug("TLS handshake succeeded", &[("version", facts.version)]);
        let expiry = context.chain_expiry(&facts.chain, &client.trusted);
        report.tls(&facts, expiry);
        Ok(Self { stream, buffer: Vec::new(), is_at_end: false })
    }

    /// The next line without its end, bytes that are no UTF-8 replaced; `None` at the end.
    async fn next(&mut self) -> Result<Option<String>, Failed> {
        let mut looked_at = 0;
        loop {
            let fresh = self.buffer.get(looked_at..).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', fresh) {
                let rest = self.buffer.split_off(looked_at + end + 1);
                let line = std::mem::replace(&mut self.buffer, rest);
                return Ok(Some(text(line.strip_suffix(b"\n").unwrap_or(&line))));
            }
            looked_at = self.buffer.len();
            if looked_at >= LINE_BYTES_MAX {
                return Err(Some("error reading from connection: token too long".to_owned()));
            }
            if self.is_at_end {
                let rest = std::mem::take(&mut self.buffer);
                return Ok((!rest.is_empty()).then(|| text(&rest)));
            }
            self.read().await?;
        }
    }

    async fn exactly(&mut self, count: usize) -> Result<Vec<u8>, Failed> {
        while self.buffer.len() < count {
            if self.is_at_end {
                return Err(Some("error reading from connection: EOF".to_owned()));
            }
            self.read().await?;
        }
        let rest = self.buffer.split_off(count);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    async fn read(&mut self) -> Result<(), Failed> {
        let mut piece = [0; 4096];
        let read = self.stream.read(&mut piece).await;
        let read = read.map_err(|err| Some(format!("error reading from connection: {err}")))?;
        self.is_at_end = read == 0;
        self.buffer.extend(piece.get(..read).unwrap_or_default());
        Ok(())
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &[u8]) -> Line {
        let stream: Stream = Box::new(tokio::io::join(
            std::io::Cursor::new(text.to_vec()),
            std::io::Cursor::new(Vec::new()),
        ));
        Line { stream, buffer: Vec::new(), is_at_end: false }
    }

    #[tokio::test]
    async fn lines_are_those_of_go_s_scanner() {
        let mut one = line(b"a\r\nb\n\n\xff\nrest");
        let mut found = Vec::new();
        while let Some(line) = one.next().await.expect("reads") {
            found.push(line);
        }
        assert_eq!(found, ["a", "b", "", "\u{fffd}", "rest"]);
    }

    #[tokio::test]
    async fn bytes_that_came_with_a_line_are_read_and_long_lines_are_refused() {
        let mut one = line(b"a\nSxyz");
        assert_eq!(one.next().await, Ok(Some("a".to_owned())));
        assert_eq!(one.exactly(1).await, Ok(b"S".to_vec()));
        assert_eq!(
            one.exactly(4).await,
            Err(Some("error reading from connection: EOF".to_owned()))
        );
        let mut endless = line(&vec![b'x'; LINE_BYTES_MAX + 1]);
        let failed = endless.next().await.expect_err("too long").expect("says why");
        assert!(failed.ends_with("token too long"), "{failed}");
    }
}
