//! From a name to the one address that is probed.
//!
//! Source: prometheus/blackbox_exporter, prober/utils.go (chooseProtocol, ipHash).

use super::super::config::Family;
use super::Context;
use super::report::Report;
use crate::sys::dial::Stopwatch;
use std::net::IpAddr;

/// The address of `host` that the settings want, and the seconds that the look-up took.
///
/// # Errors
/// Why there is none; it stands in the log.
pub(super) async fn choose(
    context: &Context<'_>,
    report: &mut Report,
    family: Family,
    host: &str,
) -> Result<(IpAddr, f64), ()> {
    let name = "probe_ip_protocol";
    report.gauge(name, "Specifies whether probe ip protocol is IP4 or IP6");
    let lookup = "probe_dns_lookup_time_seconds";
    report.gauge(lookup, "Returns the time taken for probe dns lookup in seconds");
    let help = "Specifies the hash of IP address. It's useful to detect if the IP address changes.";
    report.gauge("probe_ip_addr_hash", help);
    let wanted = if family.prefer_v6 { "ip6" } else { "ip4" };
    report.debug("resolving target address", &[("target", host), ("ip_protocol", wanted)]);
    let watch = Stopwatch::start();
    let found = context.dialer.lookup(host).await;
    let seconds = watch.seconds();
    report.add(lookup, seconds);
    let found = found.map_err(|err| {
        report.error("resolution failed", &[("target", host), ("err", &err.to_string())]);
    })?;
    let liked = found.iter().find(|address| address.is_ipv6() == family.prefer_v6);
    // Of the others upstream takes the last.
    let other = || found.last().filter(|_| family.fallback);
    let Some(address) = liked.or_else(other).copied() else {
        let fields =
            [("target", host), ("ip_protocol", wanted), ("err", "unable to find ip; no fallback")];
        report.error("resolution with IP protocol failed", &fields);
        return Err(());
    };
    report.debug("resolved target address", &[("target", host), ("ip", &address.to_string())]);
    report.set(name, if address.is_ipv6() { 6.0 } else { 4.0 });
    report.set("probe_ip_addr_hash", f64::from(hash(address)));
    Ok((address, seconds))
}

/// FNV-1a over the address' bytes.
fn hash(address: IpAddr) -> u32 {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    match address {
        IpAddr::V4(address) => address.octets().into_iter().fold(0x811c_9dc5, step),
        IpAddr::V6(address) => address.octets().into_iter().fold(0x811c_9dc5, step),
    }
}

/// Host and port of `host:port` or `[host]:port`.
///
/// # Errors
/// In Go's words.
pub(super) fn split(target: &str) -> Result<(&str, u16), String> {
    let failed = |why: &str| format!("address {target}: {why}");
    let (host, port) = target.rsplit_once(':').ok_or_else(|| failed("missing port in address"))?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').ok_or_else(|| failed("missing ']' in address"))?,
        None if host.contains(':') => return Err(failed("too many colons in address")),
        None => host,
    };
    let port = port.parse().map_err(|_| failed("invalid port"))?;
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_as_go_does() {
        for (target, expected) in [
            ("a:1", Some(("a", 1))),
            ("[::1]:80", Some(("::1", 80))),
            ("::1", None),
            ("a", None),
            ("a:b", None),
            ("[::1:80", None),
            ("a:70000", None),
        ] {
            assert_eq!(split(target).ok(), expected, "{target}");
        }
    }

    #[test]
    fn hashes_are_fnv_1a() {
        // Values of hash/fnv's New32a over the four and the sixteen bytes.
        assert_eq!(hash([127, 0, 0, 1].into()), 3_668_918_509);
        assert_eq!(hash("::1".parse().expect("an address")), 1_751_717_746);
    }
}
