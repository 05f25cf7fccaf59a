//! `/proc/vmstat`: paging, swapping, faults, processes killed for lack of memory.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use procfs::{FromRead, VmStat};

/// The file.
const FILE: &str = "proc/vmstat";

/// Adds `node_vmstat_...` for the fields that node_exporter takes by default.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let text = host.root.read(FILE)?;
    let fields = VmStat::from_read(text.as_bytes());
    let VmStat(fields) = fields.map_err(|err| host.root.wrong(FILE, err.to_string()))?;
    for (field, value) in fields {
        if is_wanted(&field) {
            let name = format!("node_vmstat_{field}");
            out.unknown(&name, "A field of /proc/vmstat.", value as f64);
        }
    }
    Ok(())
}

/// node_exporter's default: `^(oom_kill|pgpg|pswp|pg.*fault).*`.
fn is_wanted(field: &str) -> bool {
    let fault = || field.strip_prefix("pg").is_some_and(|rest| rest.contains("fault"));
    ["oom_kill", "pgpg", "pswp"].iter().any(|start| field.starts_with(start)) || fault()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_fields_are_paging_swapping_faults_and_kills() {
        for (field, wanted) in [
            ("pgpgin", true),
            ("pswpout", true),
            ("pgmajfault", true),
            ("oom_kill", true),
            ("nr_free_pages", false),
            ("thp_fault_alloc", false),
            ("pgsteal_kswapd", false),
        ] {
            assert_eq!(is_wanted(field), wanted, "{field}");
        }
    }
}
