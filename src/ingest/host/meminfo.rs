//! `/proc/meminfo`, every field.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;

/// The file.
const FILE: &str = "proc/meminfo";

/// Adds one `node_memory_..._bytes` a field, without `_bytes` where the kernel gives no unit.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    for line in host.root.read(FILE)?.lines() {
        let (name, value) =
            field(line).ok_or_else(|| host.root.wrong(FILE, format!("{line:?}")))?;
        out.gauge(&name, "A field of /proc/meminfo.", &[], value);
    }
    Ok(())
}

/// `Active(anon):   12 kB` is `node_memory_Active_anon_bytes` of 12288.
fn field(line: &str) -> Option<(String, f64)> {
    let (name, rest) = line.split_once(':')?;
    let name = name.replace('(', "_").replace(')', "");
    let mut words = rest.split_ascii_whitespace();
    let value = number(words.next()?)?;
    match words.next() {
        None => Some((format!("node_memory_{name}"), value)),
        Some("kB") => Some((format!("node_memory_{name}_bytes"), value * 1024.0)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_carry_their_unit_in_their_name() {
        for (line, expected) in [
            ("MemTotal:       24684096 kB", Some(("node_memory_MemTotal_bytes", 25_276_514_304.0))),
            ("Active(anon):       1572 kB", Some(("node_memory_Active_anon_bytes", 1_609_728.0))),
            ("HugePages_Total:       0", Some(("node_memory_HugePages_Total", 0.0))),
            ("MemTotal: 1 MB", None),
            ("MemTotal", None),
        ] {
            let expected = expected.map(|(name, value)| (name.to_owned(), value));
            assert_eq!(field(line), expected, "{line:?}");
        }
    }
}
