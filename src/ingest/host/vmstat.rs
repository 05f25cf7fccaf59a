//! `/proc/vmstat`: paging, swapping, faults, processes killed for lack of memory.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use procfs::{FromRead, VmStat};

/// The file.
const FILE: &str = "proc/vmstat";

/// Adds `node_vmstat_...` for the fields that are wanted.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let text = host.root.read(FILE)?;
    let fields = VmStat::from_read(text.as_bytes());
    let VmStat(fields) = fields.map_err(|err| host.root.wrong(FILE, err.to_string()))?;
    for (field, value) in fields {
        if host.options.vmstat.is_wanted(&field) {
            let name = format!("node_vmstat_{field}");
            out.unknown(&name, "A field of /proc/vmstat.", value as f64);
        }
    }
    Ok(())
}
