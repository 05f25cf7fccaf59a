//! `/proc/stat`, lines `cpuN`: processor time by mode.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The file.
const FILE: &str = "proc/stat";

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
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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

/// Adds `node_cpu_seconds_total` and `node_cpu_guest_seconds_total`.
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
    if found { Ok(()) } else { Err(host.root.wrong(FILE, "no line of a processor")) }
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
    fn only_numbered_processors_are_lines_of_a_processor() {
        assert_eq!(cpu_line("cpu  1 2 3 4"), None);
        assert_eq!(cpu_line("intr 1 2"), None);
        let (cpu, times) = cpu_line("cpu3 1 2 3 4").expect("a line of an old kernel");
        assert_eq!((cpu, times), (3, [1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]));
    }
}
