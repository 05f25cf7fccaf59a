//! `/sys/class/net/*/bonding`: network devices that stand for several.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;

/// The directory: one entry a device.
const DIRECTORY: &str = "sys/class/net";

/// Adds `node_bonding_slaves` and `node_bonding_active`; fails on a machine without the module.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let masters = host.root.read(&format!("{DIRECTORY}/bonding_masters"))?;
    for master in masters.split_ascii_whitespace() {
        let slaves = host.root.read(&format!("{DIRECTORY}/{master}/bonding/slaves"))?;
        let (mut all, mut active) = (0.0, 0.0);
        for slave in slaves.split_ascii_whitespace() {
            // Kernels before 3.9 call it `slave_`.
            let state = ["lower", "slave"].iter().find_map(|prefix| {
                let file =
                    format!("{DIRECTORY}/{master}/{prefix}_{slave}/bonding_slave/mii_status");
                host.root.value(&file)
            });
            all += 1.0;
            active += if state.as_deref() == Some("up") { 1.0 } else { 0.0 };
        }
        let labels = [("master", master)];
        out.gauge("node_bonding_slaves", "Devices that the bond is made of.", &labels, all);
        out.gauge("node_bonding_active", "Devices of the bond whose link is up.", &labels, active);
    }
    Ok(())
}
