//! `/sys/class/hwmon`: temperatures, fans, voltages and what else sensor chips tell.
//!
//! Source: Linux, Documentation/hwmon/sysfs-interface.rst; names are node_exporter's.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;
use std::collections::BTreeMap;

/// The directory: one entry a chip.
const DIRECTORY: &str = "sys/class/hwmon";

/// Kinds of sensors. Some have no number and no property: their file is the value.
const KINDS: [&str; 13] = [
    "beep_enable",
    "cpu",
    "curr",
    "energy",
    "fan",
    "humidity",
    "in",
    "intrusion",
    "power",
    "pwm",
    "temp",
    "update_interval",
    "vrm",
];

/// Properties of one sensor by name; the empty name is the sensor's own file.
type Properties = BTreeMap<String, String>;

/// Adds `node_hwmon_...`; fails on a machine without sensors.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    for entry in host.root.names(DIRECTORY)? {
        let directory = format!("{DIRECTORY}/{entry}");
        let chip_name = host.root.value(&format!("{directory}/name"));
        let chip_name = chip_name.map(|name| clean(&name)).unwrap_or_default();
        let chip = device(host, &directory)
            .or_else(|| Some(chip_name.clone()).filter(|name| !name.is_empty()))
            .unwrap_or_else(|| clean(&entry));
        if !host.options.hwmon.is_wanted(&chip) {
            continue;
        }
        if !chip_name.is_empty() {
            let labels = [("chip", chip.as_str()), ("chip_name", &chip_name)];
            out.gauge("node_hwmon_chip_names", "What the chip calls itself.", &labels, 1.0);
        }
        let mut sensors = BTreeMap::new();
        add_files(host, &directory, &mut sensors)?;
        // Old drivers have their files beside the device.
        let _ = add_files(host, &format!("{directory}/device"), &mut sensors);
        for ((kind, number), properties) in &sensors {
            add_sensor(&chip, kind, *number, properties, out);
        }
    }
    Ok(())
}

/// The device's bus and name, which stay the same over restarts; numbers of chips do not.
fn device(host: &Host, directory: &str) -> Option<String> {
    let path = host.root.path(&format!("{directory}/device")).canonicalize().ok()?;
    let name = clean(path.file_name()?.to_str()?);
    let bus = clean(path.parent()?.file_name()?.to_str()?);
    let parts: Vec<String> = [bus, name].into_iter().filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join("_"))
}

fn add_files(
    host: &Host,
    directory: &str,
    sensors: &mut BTreeMap<(&'static str, u32), Properties>,
) -> Result<(), CollectError> {
    for file in host.root.names(directory)? {
        let Some((kind, number, property)) = file_name(&file) else { continue };
        let Some(value) = host.root.value(&format!("{directory}/{file}")) else { continue };
        sensors.entry((kind, number)).or_default().insert(property.to_owned(), value);
    }
    Ok(())
}

/// `temp1_input` is the property `input` of the sensor `temp` 1.
fn file_name(file: &str) -> Option<(&'static str, u32, &str)> {
    let digit = file.find(|c: char| c.is_ascii_digit()).unwrap_or(file.len());
    let (kind, rest) = file.split_at(digit);
    let kind = KINDS.into_iter().find(|known| *known == kind)?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, rest) = rest.split_at(end);
    let number = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    match rest.strip_prefix('_') {
        Some("") => None,
        Some(property) => Some((kind, number, property)),
        None if rest.is_empty() => Some((kind, number, "")),
        None => None,
    }
}

fn add_sensor(
    chip: &str,
    kind: &str,
    sensor_number: u32,
    properties: &Properties,
    out: &mut Families,
) {
    let sensor = format!("{kind}{sensor_number}");
    let labels = [("chip", chip), ("sensor", sensor.as_str())];
    for (property, text) in properties {
        if property == "label" {
            let labels = [labels[0], labels[1], ("label", text.as_str())];
            out.gauge("node_hwmon_sensor_label", "What the sensor is for.", &labels, 1.0);
            continue;
        }
        let Some(value) = number(text) else { continue };
        let (suffix, factor) = unit(kind, property);
        let middle = match property.as_str() {
            "input" if !properties.contains_key("") => String::new(),
            "" => String::new(),
            property => format!("_{}", clean(property)),
        };
        let (name, help) = match kind {
            "beep_enable" => ("node_hwmon_beep_enabled".to_owned(), "1 if the chip may beep."),
            "vrm" => {
                ("node_hwmon_voltage_regulator_version".to_owned(), "Version of the regulator.")
            }
            "update_interval" => {
                ("node_hwmon_update_interval_seconds".to_owned(), "How often the chip measures.")
            }
            kind => (format!("node_hwmon_{kind}{middle}{suffix}"), "A property of the sensor."),
        };
        if kind == "energy" && suffix == "_joule_total" {
            out.counter(&name, help, &labels, value * factor);
        } else {
            out.gauge(&name, help, &labels, value * factor);
        }
    }
}

/// What follows the metric's name, and what makes the kernel's number the metric's unit.
fn unit(kind: &str, property: &str) -> (&'static str, f64) {
    const MILLI: f64 = 0.001;
    const MICRO: f64 = 1e-6;
    match (kind, property) {
        ("update_interval", _) => ("", MILLI),
        (_, "fault" | "alarm") => ("", 1.0),
        (_, "beep") => ("_enabled", 1.0),
        ("in" | "cpu", _) => ("_volts", MILLI),
        ("temp", "type") => ("", 1.0),
        ("temp", _) => ("_celsius", MILLI),
        ("curr", _) => ("_amps", MILLI),
        ("energy", _) => ("_joule_total", MICRO),
        ("power", "accuracy") => ("", MICRO),
        ("power", "average_interval" | "average_interval_min" | "average_interval_max") => {
            ("_seconds", MILLI)
        }
        ("power", _) => ("_watt", MICRO),
        ("humidity", _) => ("", MICRO),
        ("fan", "input" | "min" | "max" | "target") => ("_rpm", 1.0),
        (_, _) => ("", 1.0),
    }
}

/// A name as a metric may have it.
fn clean(name: &str) -> String {
    let keep = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, ':' | '_');
    let name = name.to_lowercase();
    let name: String = name.chars().map(|c| if keep(c) { c } else { '_' }).collect();
    name.trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_kinds_numbers_and_properties() {
        for (file, expected) in [
            ("temp1_input", Some(("temp", 1, "input"))),
            ("temp12_crit_alarm", Some(("temp", 12, "crit_alarm"))),
            ("pwm2", Some(("pwm", 2, ""))),
            ("in0_label", Some(("in", 0, "label"))),
            ("update_interval", Some(("update_interval", 0, ""))),
            ("name", None),
            ("temp1x", None),
            ("temp1_", None),
            ("temp99999999999_input", None),
        ] {
            assert_eq!(file_name(file), expected, "{file}");
        }
    }
}
