//! Connection tracking: `/proc/sys/net/netfilter` and `/proc/net/stat/nf_conntrack`.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;

/// Table of counts: a line of names, then a line of hexadecimal numbers a processor.
const STAT_FILE: &str = "proc/net/stat/nf_conntrack";

/// File, metric, meaning.
const SIZES: [(&str, &str, &str); 2] = [
    (
        "proc/sys/net/netfilter/nf_conntrack_count",
        "node_nf_conntrack_entries",
        "Tracked connections.",
    ),
    (
        "proc/sys/net/netfilter/nf_conntrack_max",
        "node_nf_conntrack_entries_limit",
        "The most connections that can be tracked.",
    ),
];

/// Column, meaning.
const COLUMNS: [(&str, &str); 8] = [
    ("drop", "Packets dropped because tracking failed."),
    ("early_drop", "Entries removed to make room for others."),
    ("found", "Look-ups that found an entry."),
    ("ignore", "Packets of connections that were already tracked."),
    ("insert", "Entries added."),
    ("insert_failed", "Entries that could not be added."),
    ("invalid", "Packets that cannot be tracked."),
    ("search_restart", "Look-ups begun again because the table was resized."),
];

/// Adds `node_nf_conntrack_...`; fails on a machine that tracks no connections.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    for (file, name, help) in SIZES {
        let text = host.root.read(file)?;
        let value = number(&text).ok_or_else(|| host.root.wrong(file, format!("{text:?}")))?;
        out.gauge(name, help, &[], value);
    }
    let table = host.root.read(STAT_FILE)?;
    for (column, help) in COLUMNS {
        let name = format!("node_nf_conntrack_stat_{column}");
        // A kernel that does not count something has no column for it: zero, as in node_exporter.
        out.gauge(&name, help, &[], column_sum(&table, column).unwrap_or(0.0));
    }
    Ok(())
}

fn column_sum(table: &str, column: &str) -> Option<f64> {
    let mut lines = table.lines();
    let place = lines.next()?.split_ascii_whitespace().position(|name| name == column)?;
    let cells = lines.filter_map(|line| line.split_ascii_whitespace().nth(place));
    Some(cells.filter_map(|cell| u64::from_str_radix(cell, 16).ok()).map(|n| n as f64).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_hexadecimal_and_summed_over_processors() {
        let table = "entries  found drop\n0000000a 00000001 0000000f\n0000000a 00000002 00000001\n";
        assert_eq!(column_sum(table, "drop"), Some(16.0));
        assert_eq!(column_sum(table, "found"), Some(3.0));
        assert_eq!(column_sum(table, "ignore"), None);
    }
}
