//! `/etc/os-release`: the distribution.
//!
//! Source: os-release(5).

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use std::collections::BTreeMap;

/// The file, and where it is when nobody put one there.
const FILES: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];

/// Labels of `node_os_info`: the file's names in lower case.
const LABELS: [&str; 12] = [
    "build_id",
    "id",
    "id_like",
    "image_id",
    "image_version",
    "name",
    "pretty_name",
    "variant",
    "variant_id",
    "version",
    "version_codename",
    "version_id",
];

/// Adds `node_os_info`, `node_os_version` and, where it is told, the end of support.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let [first, second] = FILES;
    let text = host.root.read(first).or_else(|_| host.root.read(second))?;
    let known = fields(&text);
    let get = |name: &str| known.get(name).map(String::as_str).unwrap_or_default();
    let labels = LABELS.map(|label| (label, get(label)));
    out.gauge("node_os_info", "The distribution.", &labels, 1.0);
    if let Some(version) = version(get("version_id")) {
        let labels = ["id", "id_like", "name"].map(|label| (label, get(label)));
        let help = "The distribution's version, as far as it is one number.";
        out.gauge("node_os_version", help, &labels, version);
    }
    if let Ok(day) = get("support_end").parse::<jiff::civil::Date>()
        && let Ok(end) = day.to_zoned(jiff::tz::TimeZone::UTC)
    {
        let help = "When the distribution's support ends (Unix time).";
        let end = end.timestamp().as_second() as f64;
        out.gauge("node_os_support_end_timestamp_seconds", help, &[], end);
    }
    Ok(())
}

/// `VERSION_ID="12"` is `12` under `version_id`.
fn fields(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| {
        let (name, value) = line.trim().split_once('=')?;
        (!name.starts_with('#')).then(|| (name.to_ascii_lowercase(), unquoted(value.trim())))
    });
    pairs.collect()
}

/// A value of the shell without its quotes and backslashes.
fn unquoted(value: &str) -> String {
    if let Some(inside) = value.strip_prefix('\'') {
        return inside.strip_suffix('\'').unwrap_or(inside).to_owned();
    }
    let value = match value.strip_prefix('"') {
        Some(inside) => inside.strip_suffix('"').unwrap_or(inside),
        None => value,
    };
    let mut out = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

/// `22.04.1` is 22.04.
fn version(text: &str) -> Option<f64> {
    let mut points = 0;
    let end = text.find(|c: char| {
        points += usize::from(c == '.');
        !(c.is_ascii_digit() || c == '.' && points == 1)
    });
    let number = text.get(..end.unwrap_or(text.len()))?;
    number.parse().ok().filter(|version| *version > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lose_their_quotes() {
        let known = fields("# x=1\nNAME=\"A \\\"B\\\"\"\nID=deb\nVERSION='1 $x'\nEMPTY=\nwrong\n");
        let expected = [("empty", ""), ("id", "deb"), ("name", "A \"B\""), ("version", "1 $x")];
        let found: Vec<_> = known.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_version_is_what_is_one_number() {
        for (text, expected) in [
            ("12", Some(12.0)),
            ("22.04", Some(22.04)),
            ("22.04.1", Some(22.04)),
            ("8.", Some(8.0)),
            ("20240101-1", Some(20_240_101.0)),
            ("", None),
            (".5", Some(0.5)),
            ("rolling", None),
        ] {
            assert_eq!(version(text), expected, "{text:?}");
        }
    }
}
