//! Processes: how many in which state, and what groups of them use.
//!
//! One walk over /proc serves both collectors. Start reading at `walk.rs` (the walk and what is
//! counted from one to the next), then `rank.rs` (which groups are told), `naming.rs` (which group
//! a process belongs to), `read.rs` (the files).
//!
//! Bounds: a walk reads one file of each process, at most 65,536, and more of at most 5,000
//! processes and threads, of the groups that are told first. When a walk took long, the next one
//! waits until walking takes no more of a processor than the configuration allows, and what the
//! last one found is told meanwhile.
//!
//! Source: process_exporter, collector/process_collector.go and proc/grouper.go (names, and what
//! counts); node_exporter, collector/processes_linux.go.

mod naming;
mod rank;
mod read;
mod told;
mod walk;

#[cfg(test)]
mod tests;

pub(super) use walk::Memory;

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;
use told::{Counts, ToldGroup};

/// File, metric, meaning.
const LIMITS: [(&str, &str, &str); 2] = [
    (
        "proc/sys/kernel/threads-max",
        "node_processes_max_threads",
        "The most threads that there may be.",
    ),
    (
        "proc/sys/kernel/pid_max",
        "node_processes_max_processes",
        "The most processes that there may be.",
    ),
];

/// Adds `node_processes_...`.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    for (file, name, help) in LIMITS {
        let text = host.root.read(file)?;
        let limit = number(&text).ok_or_else(|| host.root.wrong(file, format!("{text:?}")))?;
        out.gauge(name, help, &[], limit);
    }
    host.processes.with_latest(host, |told| {
        out.gauge("node_processes_pids", "Processes.", &[], told.processes);
        out.gauge("node_processes_threads", "Threads.", &[], told.threads);
        for (state, count) in &told.states {
            let labels = [("state", &*state.to_string())];
            out.gauge("node_processes_state", "Processes by state.", &labels, *count);
        }
        for (state, count) in told.thread_states.iter().flatten() {
            let labels = [("thread_state", &*state.to_string())];
            out.gauge("node_processes_threads_state", "Threads by state.", &labels, *count);
        }
    })
}

/// Adds `namedprocess_...`.
pub(super) fn collect_groups(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    host.processes.with_latest(host, |told| {
        for group in &told.groups {
            add_counters(group, out);
            add_gauges(group, told.boot_seconds, out);
        }
        let help = "Walks over the processes that failed.";
        out.counter("namedprocess_scrape_errors", help, &[], told.walk_errors);
        let help = "Processes that could not be looked at.";
        out.counter("namedprocess_scrape_procread_errors", help, &[], told.read_errors);
        let help = "Processes of which not everything could be read.";
        out.counter("namedprocess_scrape_partial_errors", help, &[], told.partial_errors);
    })
}

fn add_counters(group: &ToldGroup, out: &mut Families) {
    let name = ("groupname", &*group.name);
    let Counts { user_ticks, system_ticks, .. } = group.counts;
    let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
    for (mode, ticks) in [("user", user_ticks), ("system", system_ticks)] {
        out.counter(
            "namedprocess_namegroup_cpu_seconds_total",
            "Processor time.",
            &[name, ("mode", mode)],
            ticks as f64 / ticks_per_second,
        );
    }
    let counts = &group.counts;
    let mut add = |metric: &str, help, count: u64| {
        let metric = format!("namedprocess_namegroup_{metric}_total");
        out.counter(&metric, help, &[name], count as f64);
    };
    add("major_page_faults", "Page faults that had to wait for a disk.", counts.major_faults);
    add("minor_page_faults", "Page faults that did not.", counts.minor_faults);
    if !group.is_complete {
        return;
    }
    add("read_bytes", "Bytes read from disks.", counts.read_bytes);
    add("write_bytes", "Bytes written to disks.", counts.write_bytes);
    for (kind, count) in
        [("voluntary", counts.voluntary_switches), ("nonvoluntary", counts.involuntary_switches)]
    {
        out.counter(
            "namedprocess_namegroup_context_switches_total",
            "Context switches of all threads.",
            &[name, ("ctxswitchtype", kind)],
            count as f64,
        );
    }
}

fn add_gauges(group: &ToldGroup, boot_seconds: f64, out: &mut Families) {
    let name = ("groupname", &*group.name);
    let now = &group.now;
    let mut add = |metric: &str, help, value: f64| {
        out.gauge(&format!("namedprocess_namegroup_{metric}"), help, &[name], value);
    };
    add("num_procs", "Processes of the group.", now.processes);
    add("num_threads", "Threads of the group.", now.threads);
    if let Some(ticks) = now.oldest_ticks {
        let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
        let seconds = (boot_seconds + ticks as f64 / ticks_per_second).floor();
        add("oldest_start_time_seconds", "When its oldest process started (Unix time).", seconds);
    }
    if group.is_complete {
        add("open_filedesc", "Files that the group has open.", now.open_files);
        let help = "The largest share of its limit of open files that a process has open.";
        add("worst_fd_ratio", help, now.worst_ratio);
        for (state, count) in &now.states.named() {
            let help = "Processes by state; one of several threads counts once more a thread.";
            let labels = [name, ("state", *state)];
            out.gauge("namedprocess_namegroup_states", help, &labels, *count);
        }
    }
    let swapped = group.is_complete.then_some(("swapped", now.swap_bytes));
    for (kind, bytes) in [("resident", now.resident_bytes), ("virtual", now.virtual_bytes)]
        .into_iter()
        .chain(swapped)
    {
        let labels = [name, ("memtype", kind)];
        let help = "Memory of the group; what processes share counts in each.";
        out.gauge("namedprocess_namegroup_memory_bytes", help, &labels, bytes);
    }
}
