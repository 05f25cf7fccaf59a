//! `/proc/stat`, lines `cpuN`: processor time by mode; `/sys/devices/system/cpu`: processors that were
//! slowed down for their heat, and those that are kept out of the scheduler's hands.
//!
//! Source: prometheus/node_exporter, collector/cpu_linux.go.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use crate::sys::locks::lock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// The file.
const FILE: &str = "proc/stat";
/// The directory with one directory a processor.
const DIRECTORY: &str = "sys/devices/system/cpu";

/// Modes in the order of the columns. Guest time is also part of user and nice time, so it has a
/// metric of its own.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
const GUEST_MODES: [&str; 2] = ["user", "nice"];
const COLUMNS: usize = MODES.len() + GUEST_MODES.len();
const IDLE_COLUMN: usize = 3;

/// An idle time that falls by this much means that the processor was taken away and came back.
const HOTPLUG_SECONDS: f64 = 3.0;

type Times = [f64; COLUMNS];

/// Times as they were told last, by processor number. The kernel's idle and iowait times now and
/// then go back a little, which a counter may not.
#[derive(Debug, Default)]
pub(super) struct LastTimes(Mutex<BTreeMap<u32, Times>>);

impl LastTimes {
    /// The times to tell when the kernel says `now`.
    fn raise(&self, cpu: u32, now: Times) -> Times {
        let mut last = lock(&self.0);
        let told = last.entry(cpu).or_insert(now);
        let idle = |times: &Times| times.get(IDLE_COLUMN).copied().unwrap_or_default();
        if idle(told) - idle(&now) >= HOTPLUG_SECONDS {
            *told = now;
        }
        for (told, now) in told.iter_mut().zip(now) {
            *told = told.max(now);
        }
        *told
    }
}

/// Adds `node_cpu_seconds_total`, `node_cpu_guest_seconds_total`, `node_cpu_isolated`, and
/// `node_cpu_core_throttles_total` and `node_cpu_package_throttles_total` where the hardware counts.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let text = host.root.read(FILE)?;
    let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
    let mut found = false;
    for line in text.lines() {
        let Some((cpu, ticks)) = cpu_line(line) else { continue };
        found = true;
        let seconds = ticks.map(|ticks| ticks / ticks_per_second);
        add(cpu, host.cpu.raise(cpu, seconds), out);
    }
    if !found {
        return Err(host.root.wrong(FILE, "no line of a processor"));
    }
    add_isolated(host, out)?;
    add_throttles(host, out);
    Ok(())
}

fn add_isolated(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let file = format!("{DIRECTORY}/isolated");
    let Some(text) = host.root.value(&file) else { return Ok(()) };
    for cpu in cpu_list(&text).ok_or_else(|| host.root.wrong(&file, "no list of processors"))? {
        out.gauge(
            "node_cpu_isolated",
            "1 for each processor that the scheduler gives no work to by itself.",
            &[("cpu", &cpu.to_string())],
            1.0,
        );
    }
    Ok(())
}

/// The numbers of `1,3-5,9`.
fn cpu_list(text: &str) -> Option<BTreeSet<u16>> {
    let mut found = BTreeSet::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        found.extend(first.parse::<u16>().ok()?..=last.parse().ok()?);
    }
    Some(found)
}

/// The processors of a core, and the cores of a package, tell the same number: the first is told.
fn add_throttles(host: &Host, out: &mut Families) {
    let (mut cores, mut packages) = (BTreeMap::new(), BTreeMap::new());
    for entry in host.root.names(DIRECTORY).unwrap_or_default() {
        let is_cpu = entry.strip_prefix("cpu").is_some_and(|cpu| cpu.parse::<u32>().is_ok());
        let folder = format!("{DIRECTORY}/{entry}");
        // Virtual machines have none.
        if !is_cpu || !host.root.path(&format!("{folder}/thermal_throttle")).is_dir() {
            continue;
        }
        let count = |file: &str| host.root.value(&format!("{folder}/{file}"))?.parse::<u64>().ok();
        let package = count("topology/physical_package_id");
        let Some((package, core)) = package.zip(count("topology/core_id")) else { continue };
        for (told, key, file) in [
            (&mut cores, (package, core), "thermal_throttle/core_throttle_count"),
            (&mut packages, (package, 0), "thermal_throttle/package_throttle_count"),
        ] {
            if !told.contains_key(&key)
                && let Some(count) = count(file)
            {
                told.insert(key, count);
            }
        }
    }
    for ((package, core), count) in cores {
        out.counter(
            "node_cpu_core_throttles_total",
            "How often the core was slowed down for its heat.",
            &[("package", &package.to_string()), ("core", &core.to_string())],
            count as f64,
        );
    }
    for ((package, _), count) in packages {
        out.counter(
            "node_cpu_package_throttles_total",
            "How often the package was slowed down for its heat.",
            &[("package", &package.to_string())],
            count as f64,
        );
    }
}

fn add(cpu: u32, times: Times, out: &mut Families) {
    let cpu = cpu.to_string();
    let (plain, guest) = times.split_at(MODES.len());
    for (mode, seconds) in MODES.iter().zip(plain) {
        out.counter(
            "node_cpu_seconds_total",
            "Time that each processor spent in each mode.",
            &[("cpu", &cpu), ("mode", mode)],
            *seconds,
        );
    }
    for (mode, seconds) in GUEST_MODES.iter().zip(guest) {
        out.counter(
            "node_cpu_guest_seconds_total",
            "Time that each processor spent running virtual machines; also part of its mode.",
            &[("cpu", &cpu), ("mode", mode)],
            *seconds,
        );
    }
}

/// The number and the ticks of a line `cpu0 1 2 3 ...`; columns that old kernels lack are zero.
fn cpu_line(line: &str) -> Option<(u32, Times)> {
    let mut words = line.split_ascii_whitespace();
    let cpu = words.next()?.strip_prefix("cpu")?.parse().ok()?;
    let mut times = [0.0; COLUMNS];
    for (time, word) in times.iter_mut().zip(words) {
        *time = super::root::number(word)?;
    }
    Some((cpu, times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_never_go_back_unless_the_processor_came_back() {
        let last = LastTimes::default();
        let times = |idle: f64, iowait: f64| {
            let mut times = [0.0; COLUMNS];
            times[IDLE_COLUMN] = idle;
            times[IDLE_COLUMN + 1] = iowait;
            times
        };
        assert_eq!(last.raise(0, times(100.0, 5.0)), times(100.0, 5.0));
        assert_eq!(last.raise(0, times(99.5, 5.5)), times(100.0, 5.5));
        assert_eq!(last.raise(0, times(2.0, 0.5)), times(2.0, 0.5));
        assert_eq!(last.raise(1, times(7.0, 0.0)), times(7.0, 0.0));
    }

    #[test]
    fn lists_of_processors_are_read() {
        // prometheus/node_exporter, collector/fixtures: 1,3-5,9.
        for (text, expected) in [
            ("1,3-5,9", Some(vec![1, 3, 4, 5, 9])),
            ("0-1", Some(vec![0, 1])),
            ("", Some(vec![])),
            ("1-2-3", None),
            ("a", None),
            ("70000", None),
        ] {
            let found = cpu_list(text).map(|list| list.into_iter().collect::<Vec<_>>());
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn only_numbered_processors_are_lines_of_a_processor() {
        assert_eq!(cpu_line("cpu  1 2 3 4"), None);
        assert_eq!(cpu_line("intr 1 2"), None);
        let (cpu, times) = cpu_line("cpu3 1 2 3 4").expect("a line of an old kernel");
        assert_eq!((cpu, times), (3, [1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]));
    }
}
