//! Lays the binary out, and leaves a link to it where people look for it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Functions that a serving watchbell runs; `text-order.sh` says why and makes it.
const TEXT_ORDER: &str = "packaging/text-order.txt";

fn main() {
    println!("cargo::rerun-if-changed=packaging/build.rs");
    println!("cargo::rerun-if-changed={TEXT_ORDER}");
    if is_shipped() {
        order_text();
        pack_relocations();
    }
    leave_link();
}

/// Whether this is a build that people run, for the target whose linker we know.
fn is_shipped() -> bool {
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    is("TARGET", "x86_64-unknown-linux-gnu") && is("PROFILE", "release")
}

/// Has the functions in use laid side by side. The option is LLD's, which links for this target
/// alone unless told otherwise.
fn order_text() {
    let Ok(root) = env::var("CARGO_MANIFEST_DIR") else { return };
    let list = Path::new(&root).join(TEXT_ORDER);
    println!("cargo::rustc-link-arg-bins=-Wl,--symbol-ordering-file={}", list.display());
    // Names of functions that changed since are no reason to warn.
    println!("cargo::rustc-link-arg-bins=-Wl,--no-warn-symbol-ordering");
}

/// Has the relocations packed: a static binary applies them to itself at each start, and as a plain
/// table they are 0.9 MB that stay resident. The C library's start code knows the packed form from
/// 2.36 on.
fn pack_relocations() {
    let Ok(told) = Command::new("getconf").arg("GNU_LIBC_VERSION").output() else { return };
    let told = String::from_utf8_lossy(&told.stdout);
    let version = told.trim().strip_prefix("glibc ").and_then(|version| version.split_once('.'));
    let Some((Ok(major), Ok(minor))) = version.map(|(a, b)| (a.parse(), b.parse())) else {
        return;
    };
    if (major, minor) >= (2_u32, 36_u32) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Leaves `target/<profile>/watchbell` as a link to the binary in its target-named folder: a
/// static build needs a named target, and cargo then puts the binary one folder deeper than
/// people, packagers and harnesses look for it.
fn leave_link() {
    let (Ok(out), Ok(target)) = (env::var("OUT_DIR"), env::var("TARGET")) else { return };
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
