//! `/proc/loadavg`.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;

/// The file.
const FILE: &str = "proc/loadavg";

const METRICS: [(&str, &str); 3] = [
    ("node_load1", "Load, averaged over 1 minute."),
    ("node_load5", "Load, averaged over 5 minutes."),
    ("node_load15", "Load, averaged over 15 minutes."),
];

/// Adds `node_load1`, `node_load5` and `node_load15`.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let text = host.root.read(FILE)?;
    let mut words = text.split_ascii_whitespace();
    for (name, help) in METRICS {
        let value = words.next().and_then(number);
        let value = value.ok_or_else(|| host.root.wrong(FILE, format!("{text:?}")))?;
        out.gauge(name, help, &[], value);
    }
    Ok(())
}
