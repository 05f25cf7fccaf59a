//! `/proc/sys/kernel/hung_task_detect_count`: tasks that the kernel found hanging.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;

/// The file, of kernels since 6.13.
const FILE: &str = "proc/sys/kernel/hung_task_detect_count";

/// Adds `node_kernel_hung_tasks_total`.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let text = host.root.read(FILE)?;
    let count = number(&text).ok_or_else(|| host.root.wrong(FILE, format!("{text:?}")))?;
    let help = "Tasks that hung for longer than the kernel's limit, since it started.";
    out.counter("node_kernel_hung_tasks_total", help, &[], count);
    Ok(())
}
