//! `/sys/class/watchdog`: timers that start the machine again when nobody resets them.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;

/// The directory: one entry a timer.
const DIRECTORY: &str = "sys/class/watchdog";

/// File, metric.
const NUMBERS: [(&str, &str); 7] = [
    ("bootstatus", "node_watchdog_bootstatus"),
    ("fw_version", "node_watchdog_fw_version"),
    ("nowayout", "node_watchdog_nowayout"),
    ("timeleft", "node_watchdog_timeleft_seconds"),
    ("timeout", "node_watchdog_timeout_seconds"),
    ("pretimeout", "node_watchdog_pretimeout_seconds"),
    ("access_cs0", "node_watchdog_access_cs0"),
];

/// Adds `node_watchdog_...`.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    for name in host.root.names(DIRECTORY)? {
        let value = |file: &str| host.root.value(&format!("{DIRECTORY}/{name}/{file}"));
        for (file, metric) in NUMBERS {
            if let Some(number) = value(file).as_deref().and_then(number) {
                out.gauge(metric, "A property of the timer.", &[("name", &name)], number);
            }
        }
        let text = |file: &str| value(file).unwrap_or_default();
        let labels = [
            ("name", &*name),
            ("options", &text("options")),
            ("identity", &text("identity")),
            ("state", &text("state")),
            ("status", &text("status")),
            ("pretimeout_governor", &text("pretimeout_governor")),
        ];
        out.gauge("node_watchdog_info", "The timer's properties.", &labels, 1.0);
    }
    Ok(())
}
