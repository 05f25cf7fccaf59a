//! `/proc/sys/fs/file-nr`: open files of the whole machine.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;

/// The file.
const FILE: &str = "proc/sys/fs/file-nr";

/// Adds `node_filefd_allocated` and `node_filefd_maximum`.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let text = host.root.read(FILE)?;
    let mut words = text.split_ascii_whitespace();
    // The second number has been zero since Linux 2.6.
    let (allocated, maximum) = (words.next().and_then(number), words.nth(1).and_then(number));
    let (Some(allocated), Some(maximum)) = (allocated, maximum) else {
        return Err(host.root.wrong(FILE, format!("{text:?}")));
    };
    out.gauge("node_filefd_allocated", "Open files.", &[], allocated);
    out.gauge("node_filefd_maximum", "The most files that may be open.", &[], maximum);
    Ok(())
}
