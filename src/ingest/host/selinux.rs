//! `/sys/fs/selinux`: whether mandatory access control is on.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;

/// 1 while access is denied, 0 while it is only told; absent where SELinux is off.
const ENFORCE: &str = "sys/fs/selinux/enforce";
/// What the next start does: a line `SELINUX=enforcing`.
const CONFIG: &str = "etc/selinux/config";

/// Adds `node_selinux_...`.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let current = host.root.value(ENFORCE).as_deref().and_then(number);
    let enabled = if current.is_some() { 1.0 } else { 0.0 };
    out.gauge("node_selinux_enabled", "1 if SELinux is on.", &[], enabled);
    if let Some(current) = current {
        let help = "1 while SELinux denies, 0 while it only tells.";
        out.gauge("node_selinux_current_mode", help, &[], current);
        let text = host.root.read(CONFIG).unwrap_or_default();
        let mode = text.lines().find_map(|line| line.trim().strip_prefix("SELINUX="));
        let mode = match mode.map(str::trim) {
            Some("enforcing") => 1.0,
            Some("permissive") => 0.0,
            Some(_) | None => -1.0,
        };
        let help = "What the configuration says: 1 denies, 0 only tells, -1 is off.";
        out.gauge("node_selinux_config_mode", help, &[], mode);
    }
    Ok(())
}
