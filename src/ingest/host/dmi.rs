//! `/sys/class/dmi/id`: what the firmware says the machine is.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;

/// The directory: one file a property.
const DIRECTORY: &str = "sys/class/dmi/id";

/// File and label; they differ in one case.
const PROPERTIES: [(&str, &str); 20] = [
    ("bios_date", "bios_date"),
    ("bios_release", "bios_release"),
    ("bios_vendor", "bios_vendor"),
    ("bios_version", "bios_version"),
    ("board_asset_tag", "board_asset_tag"),
    ("board_name", "board_name"),
    ("board_serial", "board_serial"),
    ("board_vendor", "board_vendor"),
    ("board_version", "board_version"),
    ("chassis_asset_tag", "chassis_asset_tag"),
    ("chassis_serial", "chassis_serial"),
    ("chassis_vendor", "chassis_vendor"),
    ("chassis_version", "chassis_version"),
    ("product_family", "product_family"),
    ("product_name", "product_name"),
    ("product_serial", "product_serial"),
    ("product_sku", "product_sku"),
    ("product_uuid", "product_uuid"),
    ("product_version", "product_version"),
    ("sys_vendor", "system_vendor"),
];

/// Adds `node_dmi_info`; fails on a machine without such firmware. Serial numbers are root's to
/// read and left out for others.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    host.root.names(DIRECTORY)?;
    let found = PROPERTIES.iter().filter_map(|(file, label)| {
        Some((*label, host.root.value(&format!("{DIRECTORY}/{file}"))?))
    });
    let found: Vec<(&str, String)> = found.collect();
    let labels: Vec<(&str, &str)> = found.iter().map(|(label, value)| (*label, &**value)).collect();
    out.gauge("node_dmi_info", "What the firmware says the machine is.", &labels, 1.0);
    Ok(())
}
