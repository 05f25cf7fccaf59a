//! `/proc/net/snmp`, `snmp6` and `netstat`: protocol counters.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use super::root::number;

/// Adds `node_netstat_<protocol>_<field>`.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    for file in ["proc/net/netstat", "proc/net/snmp"] {
        let text = host.root.read(file)?;
        let fields = tables(&text).ok_or_else(|| host.root.wrong(file, "uneven tables"))?;
        add(host, fields, out);
    }
    // A kernel without IPv6 has no such file.
    if let Ok(text) = host.root.read("proc/net/snmp6") {
        add(host, text.lines().filter_map(snmp6_line).collect(), out);
    }
    Ok(())
}

fn add(host: &Host, fields: Vec<(String, f64)>, out: &mut Families) {
    for (field, value) in fields {
        if host.options.netstat.is_wanted(&field) {
            let name = format!("node_netstat_{field}");
            out.unknown(&name, "A protocol counter of the kernel.", value);
        }
    }
}

/// Fields of pairs of lines: `Tcp: ActiveOpens InSegs` above `Tcp: 22 6572`.
fn tables(text: &str) -> Option<Vec<(String, f64)>> {
    let mut fields = Vec::new();
    let mut lines = text.lines();
    while let Some(names) = lines.next() {
        let (protocol, names) = names.split_once(':')?;
        let (same_protocol, values) = lines.next()?.split_once(':')?;
        if protocol != same_protocol {
            return None;
        }
        let values = values.split_ascii_whitespace();
        for (name, value) in names.split_ascii_whitespace().zip(values) {
            fields.push((format!("{protocol}_{name}"), number(value)?));
        }
    }
    Some(fields)
}

/// `Udp6InErrors   0` is the field `InErrors` of `Udp6`.
fn snmp6_line(line: &str) -> Option<(String, f64)> {
    let mut words = line.split_ascii_whitespace();
    let name = words.next()?;
    let (protocol, field) = name.split_at(name.find('6')? + 1);
    Some((format!("{protocol}_{field}"), number(words.next()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_two_lines_of_one_protocol() {
        let text = "Tcp: ActiveOpens MaxConn\nTcp: 22 -1\n";
        let expected = [("Tcp_ActiveOpens".to_owned(), 22.0), ("Tcp_MaxConn".to_owned(), -1.0)];
        assert_eq!(tables(text), Some(expected.to_vec()));
        for damaged in ["Tcp: A\n", "Tcp: A\nUdp: 1\n", "Tcp: A\nTcp: x\n", "Tcp\n"] {
            assert_eq!(tables(damaged), None, "{damaged:?}");
        }
        assert_eq!(snmp6_line("Udp6NoPorts \t 7"), Some(("Udp6_NoPorts".to_owned(), 7.0)));
    }
}
