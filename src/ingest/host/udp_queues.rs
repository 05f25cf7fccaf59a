//! `/proc/net/udp` and `udp6`: bytes that wait in sockets.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;

/// File, label `ip`.
const FILES: [(&str, &str); 2] = [("proc/net/udp", "v4"), ("proc/net/udp6", "v6")];

/// Column of `tx_queue:rx_queue`, in hexadecimal.
const COLUMN: usize = 4;

/// Adds `node_udp_queues`; fails where there is neither.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let mut missing = None;
    let mut found = false;
    for (file, ip) in FILES {
        let text = match host.root.read(file) {
            Ok(text) => text,
            Err(err) => {
                missing = Some(err);
                continue;
            }
        };
        let (sent, received) = sums(&text).ok_or_else(|| host.root.wrong(file, "a line"))?;
        let help = "Bytes that wait in sockets of UDP.";
        out.gauge("node_udp_queues", help, &[("ip", ip), ("queue", "tx")], sent);
        out.gauge("node_udp_queues", help, &[("ip", ip), ("queue", "rx")], received);
        found = true;
    }
    match missing {
        Some(err) if !found => Err(err),
        Some(_) | None => Ok(()),
    }
}

/// The sums of both queues over all sockets; below a line of headings.
fn sums(text: &str) -> Option<(f64, f64)> {
    let mut sums = (0.0, 0.0);
    for line in text.lines().skip(1) {
        let (sent, received) = line.split_ascii_whitespace().nth(COLUMN)?.split_once(':')?;
        let bytes = |text| u32::from_str_radix(text, 16).ok().map(f64::from);
        sums.0 += bytes(sent)?;
        sums.1 += bytes(received)?;
    }
    Some(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_hexadecimal_and_summed() {
        let text = "sl local rem st tx_queue rx_queue\n 0: 0:0 0:0 07 00000015:00000000 0\n\
                    1: 0:0 0:0 07 00000001:0000000A 0\n";
        assert_eq!(sums(text), Some((22.0, 10.0)));
        assert_eq!(sums("heading\n"), Some((0.0, 0.0)));
        assert_eq!(sums("heading\n0: 0:0 0:0 07 x:1\n"), None);
    }
}
