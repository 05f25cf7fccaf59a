//! `/sys/devices/system/cpu/cpu*/cpufreq`: clock rates of the processors.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;
use std::time::Duration;

/// The directory: one entry a processor, among others.
const DIRECTORY: &str = "sys/devices/system/cpu";

/// All processors together. Some kernels take 20 ms to answer for one; those that are not asked in
/// time are left out.
const PASS_MAX: Duration = Duration::from_millis(500);

/// Unit of the kernel's numbers.
const HERTZ: f64 = 1000.0;

/// File, metric, meaning.
const RATES: [(&str, &str, &str); 7] = [
    ("cpuinfo_cur_freq", "node_cpu_frequency_hertz", "Clock rate, as the hardware tells it."),
    ("cpuinfo_avg_freq", "node_cpu_frequency_avg_hertz", "Clock rate, averaged by the hardware."),
    ("cpuinfo_min_freq", "node_cpu_frequency_min_hertz", "The lowest clock rate."),
    ("cpuinfo_max_freq", "node_cpu_frequency_max_hertz", "The highest clock rate."),
    ("scaling_cur_freq", "node_cpu_scaling_frequency_hertz", "Clock rate, as the kernel set it."),
    ("scaling_min_freq", "node_cpu_scaling_frequency_min_hertz", "The lowest that may be set."),
    ("scaling_max_freq", "node_cpu_scaling_frequency_max_hertz", "The highest that may be set."),
];

/// Adds the metrics of `RATES` and `node_cpu_scaling_governor`; nothing on a machine whose
/// clock rates cannot be set.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let deadline = host.clock.elapsed().saturating_add(PASS_MAX);
    for entry in host.root.names(DIRECTORY)? {
        let Some(cpu) = entry.strip_prefix("cpu").filter(|cpu| number(cpu).is_some()) else {
            continue;
        };
        if host.clock.elapsed() > deadline {
            break;
        }
        add(host, cpu, out);
    }
    Ok(())
}

fn add(host: &Host, cpu: &str, out: &mut Families) {
    let value = |file: &str| host.root.value(&format!("{DIRECTORY}/cpu{cpu}/cpufreq/{file}"));
    let Some(governor) = value("scaling_governor") else { return };
    for (file, name, help) in RATES {
        // Not every driver has every file, and the hardware's rate is root's to read.
        let Some(rate) = value(file).as_deref().and_then(number) else { continue };
        out.gauge(name, help, &[("cpu", cpu)], rate * HERTZ);
    }
    let governors = value("scaling_available_governors").unwrap_or_default();
    for one in governors.split_ascii_whitespace() {
        out.gauge(
            "node_cpu_scaling_governor",
            "1 for the policy that sets the clock rate.",
            &[("cpu", cpu), ("governor", one)],
            if one == governor { 1.0 } else { 0.0 },
        );
    }
}
