//! This process as the kernel sees it.

use super::metrics::Registry;
use procfs::process::Process;

/// What the kernel counts for this process; zeros where it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessFacts {
    /// CPU time in user and kernel mode, seconds.
    pub cpu_seconds: f64,
    /// Resident memory.
    pub resident_bytes: u64,
    /// Address space.
    pub virtual_bytes: u64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// How many it may open.
    pub fds_max: u64,
    /// Threads.
    pub threads: u64,
    /// When it started, seconds since the epoch.
    pub start_seconds: f64,
}

/// From now on, files that this process makes are its owner's alone: samples, labels and state may
/// hold what other users of the host should not read.
pub fn keep_files_private() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// From now on, the calling thread runs where no other wants to, for the most part. It cannot be
/// taken back without rights that a server does not have.
pub fn yield_to_other_threads() {
    // On Linux this is the thread's own; refused only where it is as low already.
    let _ = rustix::process::nice(NICE);
}

/// A tenth of the share of others.
const NICE: i32 = 10;

/// Who is at the terminal: that of `SUDO_USER`, then `LOGNAME`, then `USER`; where none is set, as
/// in a container, the user of this process by `/etc/passwd`, and by number where that has no line.
pub fn login() -> String {
    let named = ["SUDO_USER", "LOGNAME", "USER"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty());
    named.unwrap_or_else(|| {
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let uid = rustix::process::getuid().as_raw();
        user_name(&passwd, uid).unwrap_or_else(|| format!("uid {uid}"))
    })
}

/// The name of a user in the text of passwd(5).
fn user_name(passwd: &str, uid: u32) -> Option<String> {
    let mine = |line: &&str| line.split(':').nth(2) == Some(uid.to_string().as_str());
    let name = passwd.lines().find(mine)?.split(':').next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// Resident memory, in bytes; 0 where the kernel does not say.
pub fn resident_bytes() -> u64 {
    // The second number, in pages; see proc(5).
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0).saturating_mul(procfs::page_size())
}

/// Reads the facts.
pub fn facts() -> ProcessFacts {
    read().unwrap_or_default()
}

fn read() -> procfs::ProcResult<ProcessFacts> {
    let process = Process::myself()?;
    let stat = process.stat()?;
    let ticks = procfs::ticks_per_second() as f64;
    let boot = procfs::boot_time_secs()? as f64;
    let limits = process.limits()?;
    let fds_max = match limits.max_open_files.soft_limit {
        procfs::process::LimitValue::Value(count) => count,
        procfs::process::LimitValue::Unlimited => u64::MAX,
    };
    Ok(ProcessFacts {
        cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
        resident_bytes: stat.rss.saturating_mul(procfs::page_size()),
        virtual_bytes: stat.vsize,
        open_fds: process.fd_count()? as u64,
        fds_max,
        threads: u64::try_from(stat.num_threads).unwrap_or(0),
        start_seconds: boot + stat.starttime as f64 / ticks,
    })
}

/// Writes the facts into the registry under the names that Prometheus' clients use.
pub fn record(registry: &Registry) {
    let facts = facts();
    let cpu = "Total user and system CPU time spent in seconds.";
    // A counter that the kernel keeps: set, not added to.
    registry.counter("process_cpu_seconds_total", cpu, &[]).set(facts.cpu_seconds);
    let gauges = [
        (
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            facts.resident_bytes as f64,
        ),
        (
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes.",
            facts.virtual_bytes as f64,
        ),
        ("process_open_fds", "Number of open file descriptors.", facts.open_fds as f64),
        ("process_max_fds", "Maximum number of open file descriptors.", facts.fds_max as f64),
        (
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            facts.start_seconds,
        ),
    ];
    for (name, help, value) in gauges {
        registry.gauge(name, help, &[]).set(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_by_number() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\nsrc:x:1000:1000::/home/src:/bin/sh\n:x:7::::\n";
        let names = [0, 1000, 7, 100].map(|uid| user_name(passwd, uid));
        assert_eq!(names, [Some("root".to_owned()), Some("src".to_owned()), None, None]);
    }

    #[test]
    fn this_process_has_memory_files_and_a_start() {
        let facts = facts();
        assert!(facts.resident_bytes > 1 << 20 && facts.open_fds >= 3, "{facts:?}");
        assert!(facts.start_seconds > 1.6e9, "{facts:?}");
        // Read by another file; tests beside this one take and give memory meanwhile.
        let ratio = resident_bytes() as f64 / facts.resident_bytes as f64;
        assert!((0.25..4.0).contains(&ratio), "{ratio}");
    }
}
