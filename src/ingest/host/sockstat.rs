//! `/proc/net/sockstat` and `sockstat6`: sockets by protocol.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;

/// Adds `node_sockstat_<protocol>_<field>`, and memory also in bytes.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let page_bytes = rustix::param::page_size() as f64;
    add(&host.root.read("proc/net/sockstat")?, page_bytes, out);
    // A kernel without IPv6 has no such file.
    if let Ok(text) = host.root.read("proc/net/sockstat6") {
        add(&text, page_bytes, out);
    }
    Ok(())
}

/// Lines such as `TCP: inuse 4 orphan 0 mem 351`; memory is in pages.
fn add(text: &str, page_bytes: f64, out: &mut Families) {
    for line in text.lines() {
        let Some((protocol, rest)) = line.split_once(':') else { continue };
        let mut words = rest.split_ascii_whitespace();
        while let (Some(field), Some(value)) = (words.next(), words.next().and_then(number)) {
            let name = format!("node_sockstat_{protocol}_{field}");
            out.gauge(&name, "Sockets, or their memory in pages.", &[], value);
            if field == "mem" {
                let help = "Memory of the protocol's sockets.";
                out.gauge(&format!("{name}_bytes"), help, &[], value * page_bytes);
            }
        }
    }
}
