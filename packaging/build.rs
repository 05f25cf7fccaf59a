//! Leaves `target/<profile>/watchbell` as a link to the binary in its target-named folder.
//!
//! A static build needs a named target, and cargo then puts the binary one folder deeper than
//! people, packagers and harnesses look for it.

use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=packaging/build.rs");
    let (Ok(out), Ok(target)) = (std::env::var("OUT_DIR"), std::env::var("TARGET")) else { return };
    // OUT_DIR is target/<triple>/<profile>/build/watchbell-<hash>/out.
    let out = PathBuf::from(out);
    let Some(profile) = out.ancestors().nth(3) else { return };
    let (Some(name), Some(triple)) = (profile.file_name(), profile.parent()) else { return };
    if triple.file_name().is_none_or(|found| found != target.as_str()) {
        return;
    }
    let Some(root) = triple.parent() else { return };
    let link = root.join(name).join("watchbell");
    let place = PathBuf::from("..").join(&target).join(name).join("watchbell");
    if std::fs::symlink_metadata(&link).is_ok() || std::fs::create_dir_all(root.join(name)).is_err()
    {
        return;
    }
    // A file system without links still has the binary in the deeper folder.
    let _ = std::os::unix::fs::symlink(place, link);
}
