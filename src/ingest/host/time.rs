//! Time of day, time zone and clock sources.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use jiff::tz::TimeZone;

/// The directory: one entry a clock source device.
const DIRECTORY: &str = "sys/devices/system/clocksource";

/// Adds `node_time_...`.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let now = host.clock.now();
    out.gauge("node_time_seconds", "Time of day (Unix time).", &[], now.as_seconds());
    if let Ok(now) = jiff::Timestamp::from_millisecond(now.as_millis()) {
        let zone = TimeZone::system();
        let zone = zone.to_offset_info(now);
        out.gauge(
            "node_time_zone_offset_seconds",
            "How far local time is ahead of UTC.",
            &[("time_zone", zone.abbreviation())],
            f64::from(zone.offset().seconds()),
        );
    }
    // Architectures without such devices lack the directory; there is nothing to tell then.
    for entry in host.root.names(DIRECTORY).unwrap_or_default() {
        if let Some(device) = entry.strip_prefix("clocksource") {
            add_sources(host, device, out);
        }
    }
    Ok(())
}

fn add_sources(host: &Host, device: &str, out: &mut Families) {
    let words = |file: &str| {
        let file = format!("{DIRECTORY}/clocksource{device}/{file}");
        host.root.value(&file).unwrap_or_default()
    };
    for source in words("available_clocksource").split_ascii_whitespace() {
        out.gauge(
            "node_time_clocksource_available_info",
            "Clock sources that the kernel could use.",
            &[("clocksource", source), ("device", device)],
            1.0,
        );
    }
    for source in words("current_clocksource").split_ascii_whitespace() {
        out.gauge(
            "node_time_clocksource_current_info",
            "The clock source that the kernel uses.",
            &[("clocksource", source), ("device", device)],
            1.0,
        );
    }
}
