//! Mounted file systems: their room, their inodes, whether they can be written and answer.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::statfs::Usage;
use std::collections::BTreeSet;
use std::time::Duration;

/// All mounts of one pass together. Mounts that could not be asked in it count as failed, and
/// since a mount that did not answer is not asked again, the next pass gets further.
const PASS_MAX: Duration = Duration::from_secs(2);

/// One line of the mount table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mount {
    device: String,
    point: String,
    kind: String,
    readonly: bool,
}

/// Adds `node_filesystem_...` for each mount with data.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    // The first process sees the machine's mounts; a hidden /proc/1 leaves our own view.
    let table = host.root.read("proc/1/mounts").or_else(|_| host.root.read("proc/self/mounts"))?;
    let deadline = host.clock.elapsed().saturating_add(PASS_MAX);
    let mut seen = BTreeSet::new();
    for mount in table.lines().filter_map(mount_line).filter(|mount| is_wanted(mount, host)) {
        let identity = (mount.device.clone(), mount.point.clone(), mount.kind.clone());
        if seen.insert(identity) {
            let left = deadline.saturating_sub(host.clock.elapsed());
            let usage = host.prober.usage(&host.root.path(&mount.point), left);
            if let Err(err) = &usage {
                tracing::debug!(mount = mount.point, error = %err, "a file system did not answer");
            }
            add(&mount, usage.ok(), out);
        }
    }
    Ok(())
}

fn add(mount: &Mount, usage: Option<Usage>, out: &mut Families) {
    let labels =
        [("device", &*mount.device), ("mountpoint", &*mount.point), ("fstype", &*mount.kind)];
    let failed = if usage.is_none() { 1.0 } else { 0.0 };
    out.gauge(
        "node_filesystem_device_error",
        "1 if the file system failed or did not answer when asked.",
        &labels,
        failed,
    );
    let Some(usage) = usage else { return };
    let readonly = if mount.readonly { 1.0 } else { 0.0 };
    for (name, help, value) in [
        ("node_filesystem_size_bytes", "Size.", usage.size_bytes),
        ("node_filesystem_free_bytes", "Free room, root's share included.", usage.free_bytes),
        ("node_filesystem_avail_bytes", "Free room for ordinary users.", usage.avail_bytes),
        ("node_filesystem_files", "Inodes.", usage.files),
        ("node_filesystem_files_free", "Free inodes.", usage.files_free),
        ("node_filesystem_readonly", "1 if it is mounted read-only.", readonly),
    ] {
        out.gauge(name, help, &labels, value);
    }
}

fn is_wanted(mount: &Mount, host: &Host) -> bool {
    let options = &host.options;
    options.fs_types.is_wanted(&mount.kind) && options.mount_points.is_wanted(&mount.point)
}

/// Reads `device point type options ...`. Not procfs' reader: it leaves `\040` in mount points.
fn mount_line(line: &str) -> Option<Mount> {
    let mut words = line.split(' ');
    let (device, point) = (words.next()?, words.next()?);
    let (kind, options) = (words.next()?, words.next()?);
    Some(Mount {
        device: device.to_owned(),
        point: point.replace("\\040", " ").replace("\\011", "\t"),
        kind: kind.to_owned(),
        readonly: options.split(',').any(|option| option == "ro"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(line: &str) -> Mount {
        mount_line(line).expect("a mount")
    }

    #[test]
    fn spaces_in_mount_points_come_back() {
        let found = mount("/dev/sdb1 /srv/big\\040disk xfs ro,noatime 0 0");
        assert_eq!(found.point, "/srv/big disk");
        assert!(found.readonly);
        // `errors=remount-ro` is no `ro`.
        assert!(!mount("/dev/sda1 / ext4 rw,errors=remount-ro 0 0").readonly);
        assert_eq!(mount_line("/dev/sda1 / ext4"), None);
    }
}
