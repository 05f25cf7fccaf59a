//! `/proc/schedstat`: how long processors ran, and how long work waited for them.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;

/// The file.
const FILE: &str = "proc/schedstat";

/// Unit of the kernel's times.
const SECONDS: f64 = 1e9;

/// Adds `node_schedstat_...`; fails on a kernel without this account.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    for line in host.root.read(FILE)?.lines() {
        let Some((cpu, [running, waiting, slices])) = cpu_line(line) else { continue };
        let labels = [("cpu", cpu)];
        let help = "Time that the processor ran tasks.";
        out.counter("node_schedstat_running_seconds_total", help, &labels, running / SECONDS);
        let help = "Time that tasks waited for the processor.";
        out.counter("node_schedstat_waiting_seconds_total", help, &labels, waiting / SECONDS);
        let help = "Time slices that the processor ran.";
        out.counter("node_schedstat_timeslices_total", help, &labels, slices);
    }
    Ok(())
}

/// The number of the processor and the last three of the nine fields of `cpu0 ...`.
fn cpu_line(line: &str) -> Option<(&str, [f64; 3])> {
    let mut words = line.split_ascii_whitespace();
    let cpu = words.next()?.strip_prefix("cpu")?;
    let mut words = words.skip(6);
    let mut next = || words.next().and_then(number);
    Some((cpu, [next()?, next()?, next()?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_three_of_nine_fields_count() {
        let line = "cpu1 0 0 0 0 0 0 2045936778163039 343796328169361 4767485306";
        let expected = [2_045_936_778_163_039.0, 343_796_328_169_361.0, 4_767_485_306.0];
        assert_eq!(cpu_line(line), Some(("1", expected)));
        assert_eq!(cpu_line("domain0 03 1 2 3 4 5 6 7 8 9"), None);
        assert_eq!(cpu_line("cpu0 1 2 3"), None);
    }
}
