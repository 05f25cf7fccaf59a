//! `/proc/sys/kernel/random`: what the random number generator holds.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;

/// File, metric, meaning.
const METRICS: [(&str, &str, &str); 2] = [
    (
        "proc/sys/kernel/random/entropy_avail",
        "node_entropy_available_bits",
        "Entropy at hand, in bits.",
    ),
    (
        "proc/sys/kernel/random/poolsize",
        "node_entropy_pool_size_bits",
        "Size of the entropy pool, in bits.",
    ),
];

/// Adds the metrics of `METRICS`.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    for (file, name, help) in METRICS {
        let text = host.root.read(file)?;
        let value = number(&text).ok_or_else(|| host.root.wrong(file, format!("{text:?}")))?;
        out.gauge(name, help, &[], value);
    }
    Ok(())
}
