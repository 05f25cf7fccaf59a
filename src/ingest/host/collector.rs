//! All collectors, run one after the other.

use super::error::CollectError;
use super::families::Families;
use super::root::Root;
use super::statfs::Prober;
use super::{
    conntrack, cpu, diskstats, entropy, filefd, filesystem, loadavg, meminfo, netclass, netdev,
    netstat, pressure, sockstat, stat, thermal_zone, time, uname, vmstat,
};
use crate::sys::clock::SharedClock;
use crate::sys::metrics::Family;
use std::path::PathBuf;

/// Reads this machine's metrics.
#[derive(Debug)]
pub struct HostCollector {
    host: Host,
}

/// What a collector may look at.
#[derive(Debug)]
pub(super) struct Host {
    /// The kernel's files.
    pub(super) root: Root,
    /// Time of day, and what collectors took.
    pub(super) clock: SharedClock,
    /// Asks file systems without waiting for a dead one.
    pub(super) prober: Prober,
    /// Processor times as they were told last.
    pub(super) cpu: cpu::LastTimes,
}

type Collect = fn(&Host, &mut Families) -> Result<(), CollectError>;

/// The collectors under node_exporter's names for them.
const COLLECTORS: [(&str, Collect); 18] = [
    ("conntrack", conntrack::collect),
    ("cpu", cpu::collect),
    ("diskstats", diskstats::collect),
    ("entropy", entropy::collect),
    ("filefd", filefd::collect),
    ("filesystem", filesystem::collect),
    ("loadavg", loadavg::collect),
    ("meminfo", meminfo::collect),
    ("netclass", netclass::collect),
    ("netdev", netdev::collect),
    ("netstat", netstat::collect),
    ("pressure", pressure::collect),
    ("sockstat", sockstat::collect),
    ("stat", stat::collect),
    ("thermal_zone", thermal_zone::collect),
    ("time", time::collect),
    ("uname", uname::collect),
    ("vmstat", vmstat::collect),
];

impl HostCollector {
    /// A collector that reads `proc`, `sys` and `run` below `root`: `/`, or a tree that looks
    /// like it.
    pub fn new(root: PathBuf, clock: SharedClock) -> Self {
        let (root, prober, cpu) = (Root::new(root), Prober::new(), cpu::LastTimes::default());
        Self { host: Host { root, clock, prober, cpu } }
    }

    /// Everything as it is now, by name. Reads files and so blocks, for a few milliseconds; at
    /// most about two seconds when file systems have just stopped answering.
    pub fn gather(&self) -> Vec<Family> {
        let mut out = Families::default();
        for (name, collect) in COLLECTORS {
            let started = self.host.clock.elapsed();
            let result = collect(&self.host, &mut out);
            let took = self.host.clock.elapsed().saturating_sub(started);
            if let Err(err) = &result {
                tracing::debug!(collector = name, error = %err, "a host collector failed");
            }
            let labels = [("collector", name)];
            let success = if result.is_ok() { 1.0 } else { 0.0 };
            out.gauge(
                "node_scrape_collector_duration_seconds",
                "How long the collector took.",
                &labels,
                took.as_secs_f64(),
            );
            out.gauge(
                "node_scrape_collector_success",
                "1 if the collector could read what it reads.",
                &labels,
                success,
            );
        }
        out.into_vec()
    }
}
