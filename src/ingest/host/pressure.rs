//! `/proc/pressure`: time that work waited for processors, memory or I/O (PSI).

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;

/// File, which of its lines, metric, meaning.
const METRICS: [(&str, &str, &str, &str); 5] = [
    (
        "proc/pressure/cpu",
        "some",
        "node_pressure_cpu_waiting_seconds_total",
        "Time in which some process waited for a processor.",
    ),
    (
        "proc/pressure/io",
        "some",
        "node_pressure_io_waiting_seconds_total",
        "Time in which some process waited for I/O.",
    ),
    (
        "proc/pressure/io",
        "full",
        "node_pressure_io_stalled_seconds_total",
        "Time in which every process that could run waited for I/O.",
    ),
    (
        "proc/pressure/memory",
        "some",
        "node_pressure_memory_waiting_seconds_total",
        "Time in which some process waited for memory.",
    ),
    (
        "proc/pressure/memory",
        "full",
        "node_pressure_memory_stalled_seconds_total",
        "Time in which every process that could run waited for memory.",
    ),
];

/// Adds `node_pressure_...`; fails only when the kernel keeps no such account at all.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let mut failure = None;
    let mut found = false;
    for (file, line, name, help) in METRICS {
        let total = host.root.read(file).and_then(|text| {
            total_us(&text, line).ok_or_else(|| host.root.wrong(file, format!("{text:?}")))
        });
        match total {
            // Divided twice, as node_exporter does: the last bits of the values agree.
            Ok(total_us) => out.counter(name, help, &[], total_us / 1000.0 / 1000.0),
            Err(err) => {
                failure = Some(err);
                continue;
            }
        }
        found = true;
    }
    match failure {
        Some(err) if !found => Err(err),
        Some(_) | None => Ok(()),
    }
}

/// The total of the line `some avg10=0.00 avg60=0.00 avg300=0.00 total=12345`, in microseconds.
fn total_us(text: &str, kind: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.split(' ').next() == Some(kind))?;
    line.split(' ').find_map(|word| number(word.strip_prefix("total=")?))
}
