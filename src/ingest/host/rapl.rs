//! `/sys/class/powercap`: energy that parts of the processor used.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;
use std::collections::BTreeMap;

/// The directory: one entry a zone, and their parents.
const DIRECTORY: &str = "sys/class/powercap";

/// Unit of the kernel's numbers.
const JOULES: f64 = 1_000_000.0;

/// Adds `node_rapl_<zone>_joules_total`; fails where there is no such account, and where it is
/// root's to read.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let mut used: BTreeMap<String, u32> = BTreeMap::new();
    for entry in host.root.names(DIRECTORY)? {
        let directory = format!("{DIRECTORY}/{entry}");
        let Some(name) = host.root.value(&format!("{directory}/name")) else { continue };
        // Zones of one name are told apart by their number, or by their order.
        let (zone, index) = match name.split_once('-') {
            Some((zone, digits)) if digits.parse::<u32>().is_ok() => {
                (zone.to_owned(), digits.parse().unwrap_or_default())
            }
            Some(_) | None => (name.clone(), used.get(&name).copied().unwrap_or_default()),
        };
        used.insert(zone.clone(), index + 1);
        let file = format!("{directory}/energy_uj");
        let text = host.root.read(&file)?;
        let energy = number(&text).ok_or_else(|| host.root.wrong(&file, format!("{text:?}")))?;
        let valid = |c: char| if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' };
        let zone: String = zone.chars().map(valid).collect();
        let path = host.root.path(&directory);
        out.counter(
            &format!("node_rapl_{zone}_joules_total"),
            "Energy that the zone used.",
            &[("index", &index.to_string()), ("path", &path.to_string_lossy())],
            energy / JOULES,
        );
    }
    Ok(())
}
