//! `/proc/stat`, the single lines: boot time, switches, forks, interrupts, processes.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;
use crate::model::MetricType;

/// The file.
const FILE: &str = "proc/stat";

/// Keyword of the line, metric, type, meaning. The number is the first after the keyword.
const LINES: [(&str, &str, MetricType, &str); 6] = [
    ("btime", "node_boot_time_seconds", MetricType::Gauge, "When the machine started (Unix time)."),
    ("ctxt", "node_context_switches_total", MetricType::Counter, "Context switches."),
    ("intr", "node_intr_total", MetricType::Counter, "Interrupts served."),
    ("processes", "node_forks_total", MetricType::Counter, "Processes and threads started."),
    ("procs_blocked", "node_procs_blocked", MetricType::Gauge, "Processes waiting for I/O."),
    ("procs_running", "node_procs_running", MetricType::Gauge, "Processes that can run."),
];

/// Adds the metrics of `LINES`.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let text = host.root.read(FILE)?;
    for (keyword, name, kind, help) in LINES {
        let value = text.lines().find_map(|line| {
            let (word, rest) = line.split_once(' ')?;
            if word == keyword { number(rest.split(' ').next()?) } else { None }
        });
        let Some(value) = value else {
            return Err(host.root.wrong(FILE, format!("no line {keyword:?} with a number")));
        };
        out.add(name, help, kind, &[], value);
    }
    Ok(())
}
