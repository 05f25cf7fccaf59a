//! How much memory this process may use.

use procfs::Current as _;
use std::path::{Path, PathBuf};

/// Bytes that this process may use: the smallest limit of the control groups it is in, or the
/// host's memory; `None` when neither can be read.
pub fn limit_bytes() -> Option<u64> {
    let host = procfs::Meminfo::current().ok().map(|facts| facts.mem_total);
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    group_limit(Path::new("/sys/fs/cgroup"), &groups).into_iter().chain(host).min()
}

/// The smallest limit of the groups that `/proc/self/cgroup` names, and of those above them.
/// Version 2 has one tree, version 1 one for memory.
fn group_limit(root: &Path, groups: &str) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let (root, name) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|one| one == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let group = root.join(path.trim_start_matches('/'));
        let above = group.ancestors().take_while(|dir| dir.starts_with(&root));
        above.filter_map(|dir| read_limit(dir.join(name))).min()
    });
    limits.min()
}

fn read_limit(path: PathBuf) -> Option<u64> {
    // `max` is no number and no limit; version 1 writes a huge one instead.
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_on_the_way_up_counts() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("has one")).expect("makes");
            std::fs::write(path, text).expect("writes");
        };
        write("a/b/memory.max", "max\n");
        write("a/memory.max", "3000\n");
        write("memory/x/memory.limit_in_bytes", "2000\n");
        for (groups, expected) in [
            ("0::/a/b\n", Some(3000)),
            ("0::/a\n", Some(3000)),
            ("0::/other\n", None),
            ("5:cpu,memory:/x/y\n1:name=systemd:/a\n", Some(2000)),
            ("0::/a/b\n5:memory:/x\n", Some(2000)),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(group_limit(dir.path(), groups), expected, "{groups:?}");
        }
        assert!(limit_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
