//! Functions on addresses: hosts with ports, URLs, links to graphs.

use std::net::IpAddr;

pub(super) use crate::template::builtins::query_escape;

/// The path of the page that shows `expression` as a table.
///
/// Source: prometheus, util/strutil/strconv.go.
pub fn table_link(expression: &str) -> String {
    format!("/graph?g0.expr={}&g0.tab=1", query_escape(expression))
}

/// The path of the page that shows `expression` as a graph.
pub(super) fn graph_link(expression: &str) -> String {
    format!("/graph?g0.expr={}&g0.tab=0", query_escape(expression))
}

/// The host of `host:port`, or all of it when it has no port.
pub(super) fn strip_port(address: &str) -> String {
    split(address).map_or(address, |(host, _)| host).to_owned()
}

/// The first part of the host's name, with the port; an address stays.
pub(super) fn strip_domain(address: &str) -> String {
    let (host, port) = split(address).unwrap_or((address, ""));
    if host.parse::<IpAddr>().is_ok() {
        return address.to_owned();
    }
    let name = host.split('.').next().unwrap_or(host);
    if port.is_empty() {
        return name.to_owned();
    }
    if name.contains(':') { format!("[{name}]:{port}") } else { format!("{name}:{port}") }
}

/// The path of a URL.
pub(super) fn path_of(url: &str) -> String {
    let after = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = after.find('/').and_then(|at| after.get(at..)).unwrap_or_default();
    path.split(['?', '#']).next().unwrap_or(path).to_owned()
}

/// Go's `url.QueryUnescape`.
pub(super) fn unescape(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = [rest.next(), rest.next()];
                let [Some(high), Some(low)] = digits.map(|digit| digit.and_then(hex)) else {
                    let shown: String = ['%'].into_iter().chain(shown(digits)).collect();
                    return Err(format!("invalid URL escape {shown:?}"));
                };
                bytes.push(high * 16 + low);
            }
            byte => bytes.push(byte),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn shown(digits: [Option<u8>; 2]) -> impl Iterator<Item = char> {
    digits.into_iter().flatten().map(char::from)
}

/// Go's `net.SplitHostPort`.
fn split(address: &str) -> Option<(&str, &str)> {
    if let Some(inner) = address.strip_prefix('[') {
        let (host, after) = inner.split_once(']')?;
        let port = after.strip_prefix(':')?;
        return (!port.contains([':', '[', ']'])).then_some((host, port));
    }
    let (host, port) = address.rsplit_once(':')?;
    (!host.contains([':', '[', ']']) && !port.contains(['[', ']'])).then_some((host, port))
}
