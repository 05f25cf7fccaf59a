//! `icmp`: one echo.
//!
//! Source: prometheus/blackbox_exporter, prober/icmp.go.

use super::super::config::IcmpProbe;
use super::report::Report;
use super::{Context, address};
use crate::sys::dial::{self, EchoTerms};

/// What an echo carries when nothing else is said.
const PAYLOAD: &[u8] = b"Prometheus Blackbox Exporter";

pub(super) async fn probe(
    context: &Context<'_>,
    report: &mut Report,
    target: &str,
    probe: &IcmpProbe,
) -> bool {
    const SECONDS: &str = "probe_icmp_duration_seconds";
    let help = "Duration of icmp request by phase";
    report.phases(SECONDS, help, &["resolve", "setup", "rtt"]);
    let Ok((to, lookup)) = address::choose(context, report, probe.family, target).await else {
        return false;
    };
    report.add_phase(SECONDS, "resolve", lookup);
    let payload = match probe.payload_bytes {
        None => PAYLOAD.to_vec(),
        Some(size) => PAYLOAD.iter().copied().chain(std::iter::repeat(0)).take(size).collect(),
    };
    let random = context.entropy.next_u64().to_be_bytes();
    let [a, b, c, d, ..] = random;
    let terms = EchoTerms {
        to,
        from: probe.source,
        hops: probe.ttl,
        whole: probe.dont_fragment,
        payload,
        id: u16::from_be_bytes([a, b]),
        sequence: u16::from_be_bytes([c, d]),
    };
    report.debug("sending an echo", &[("ip", &to.to_string()), ("ttl", &probe.ttl.to_string())]);
    match dial::echo(&terms).await {
        Ok(reply) => {
            report.add_phase(SECONDS, "setup", reply.setup.as_secs_f64());
            report.add_phase(SECONDS, "rtt", reply.round_trip.as_secs_f64());
            if let Some(hops) = reply.hops {
                let name = "probe_icmp_reply_hop_limit";
                report.gauge(name, "Replied packet hop limit (TTL for ipv4)");
                report.set(name, f64::from(hops));
            }
            report.debug("the answer came", &[]);
            true
        }
        Err(err) => {
            report.error("no echo", &[("err", &err)]);
            false
        }
    }
}
