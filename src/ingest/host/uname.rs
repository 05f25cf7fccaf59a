//! The name of the machine and of its kernel.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;

/// Adds `node_uname_info`: a system call, so the same under every root.
pub(super) fn collect(_: &Host, out: &mut Families) -> Result<(), CollectError> {
    let uname = rustix::system::uname();
    let text = |name: &std::ffi::CStr| name.to_string_lossy().into_owned();
    out.gauge(
        "node_uname_info",
        "What the system calls itself.",
        &[
            ("domainname", &text(uname.domainname())),
            ("machine", &text(uname.machine())),
            ("nodename", &text(uname.nodename())),
            ("release", &text(uname.release())),
            ("sysname", &text(uname.sysname())),
            ("version", &text(uname.version())),
        ],
        1.0,
    );
    Ok(())
}
