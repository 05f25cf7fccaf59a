//! `/run/udev/data`: what udev knows of a block device.

use super::root::Root;
use std::collections::BTreeMap;

/// Properties by name.
#[derive(Debug, Default)]
pub(super) struct Properties(BTreeMap<String, String>);

impl Properties {
    /// The properties of the block device with these numbers; none where udev does not run.
    pub(super) fn of_block_device(root: &Root, major: i32, minor: i32) -> Self {
        let text = root.read(&format!("run/udev/data/b{major}:{minor}")).unwrap_or_default();
        Self::parse(&text)
    }

    /// The value of a property, empty when absent.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    fn parse(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| {
            let (name, value) = line.strip_prefix("E:")?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        });
        Self(pairs.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_properties_count() {
        let found = Properties::parse("S:disk/by-id/x\nE:ID_MODEL=A=B\nE:EMPTY\nI:1\n");
        assert_eq!(found.get("ID_MODEL"), "A=B");
        assert_eq!(found.get("EMPTY"), "");
    }
}
