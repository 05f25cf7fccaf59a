//! `/proc/net/softnet_stat`: packets that processors took from network devices.
//!
//! Source: Linux, net/core/net-procfs.c (softnet_seq_show).

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use crate::model::MetricType;

/// The file: a line of hexadecimal numbers a processor.
const FILE: &str = "proc/net/softnet_stat";

/// Column in which the processor's number stands, in kernels since 5.14.
const CPU_COLUMN: usize = 12;
/// Columns that every kernel has.
const COLUMNS_MIN: usize = 9;

/// Column, metric, type, meaning.
const COLUMNS: [(usize, &str, MetricType, &str); 7] = [
    (0, "node_softnet_processed_total", MetricType::Counter, "Packets processed."),
    (1, "node_softnet_dropped_total", MetricType::Counter, "Packets dropped: the queue was full."),
    (
        2,
        "node_softnet_times_squeezed_total",
        MetricType::Counter,
        "Times that packets were left for later: the quota was used up.",
    ),
    (
        8,
        "node_softnet_cpu_collision_total",
        MetricType::Counter,
        "Times that the device was locked while sending.",
    ),
    (
        9,
        "node_softnet_received_rps_total",
        MetricType::Counter,
        "Times that another processor woke this one for packets.",
    ),
    (
        10,
        "node_softnet_flow_limit_count_total",
        MetricType::Counter,
        "Times that one flow's packets were too many.",
    ),
    (11, "node_softnet_backlog_len", MetricType::Gauge, "Packets that wait."),
];

/// Adds `node_softnet_...`.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    for (place, line) in host.root.read(FILE)?.lines().enumerate() {
        let cells: Option<Vec<u32>> =
            line.split_ascii_whitespace().map(|cell| u32::from_str_radix(cell, 16).ok()).collect();
        let cells = cells.filter(|cells| cells.len() >= COLUMNS_MIN);
        let cells = cells.ok_or_else(|| host.root.wrong(FILE, format!("{line:?}")))?;
        let cpu = match cells.get(CPU_COLUMN) {
            Some(cpu) => cpu.to_string(),
            None => place.to_string(),
        };
        for (column, name, kind, help) in COLUMNS {
            // What an old kernel does not count is zero, as in node_exporter.
            let value = cells.get(column).copied().unwrap_or_default();
            out.add(name, help, kind, &[("cpu", &cpu)], f64::from(value));
        }
    }
    Ok(())
}
