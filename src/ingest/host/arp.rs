//! `/proc/net/arp`: neighbours on the networks.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use std::collections::BTreeMap;

/// The file: a line of headings, then a line a neighbour that ends with the device.
const FILE: &str = "proc/net/arp";

/// Adds `node_arp_entries`; nothing for a device without neighbours.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let text = host.root.read(FILE)?;
    let mut entries: BTreeMap<&str, f64> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let Some(device) = line.split_ascii_whitespace().nth(5) else {
            return Err(host.root.wrong(FILE, format!("{line:?}")));
        };
        *entries.entry(device).or_default() += 1.0;
    }
    for (device, count) in entries {
        if host.options.arp.is_wanted(device) {
            let help = "Entries in the table of neighbours.";
            out.gauge("node_arp_entries", help, &[("device", device)], count);
        }
    }
    Ok(())
}
