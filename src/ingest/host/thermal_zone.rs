//! `/sys/class/thermal`: temperatures, and what cools.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;

/// The directory: `thermal_zoneN` and `cooling_deviceN`.
const DIRECTORY: &str = "sys/class/thermal";

/// Adds `node_thermal_zone_temp` and `node_cooling_device_..._state`.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    for entry in host.root.names(DIRECTORY)? {
        let value = |file: &str| host.root.value(&format!("{DIRECTORY}/{entry}/{file}"));
        let figure = |file: &str| value(file).as_deref().and_then(number);
        let kind = value("type").unwrap_or_default();
        if let Some(zone) = entry.strip_prefix("thermal_zone") {
            // A sensor that is asleep refuses to be read.
            let Some(millidegrees) = figure("temp") else { continue };
            out.gauge(
                "node_thermal_zone_temp",
                "Temperature of the zone, in degrees Celsius.",
                &[("type", &kind), ("zone", zone)],
                millidegrees / 1000.0,
            );
        } else if let Some(name) = entry.strip_prefix("cooling_device") {
            let labels = [("name", name), ("type", kind.as_str())];
            if let Some(state) = figure("cur_state") {
                let help = "How hard the device cools now.";
                out.gauge("node_cooling_device_cur_state", help, &labels, state);
            }
            if let Some(state) = figure("max_state") {
                let help = "How hard the device can cool.";
                out.gauge("node_cooling_device_max_state", help, &labels, state);
            }
        }
    }
    Ok(())
}
