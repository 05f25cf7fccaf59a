//! Functions on addresses: hosts with ports, URLs, links to graphs.

use crate::model::percent;
use std::net::IpAddr;

/// The path of the page that shows `expression` as a table.
///
/// Source: prometheus, util/strutil/strconv.go.
pub fn table_link(expression: &str) -> String {
    format!("/graph?g0.expr={}&g0.tab=1", percent::encode_form(expression))
}

/// The path of the page that shows `expression` as a graph.
pub(super) fn graph_link(expression: &str) -> String {
    format!("/graph?g0.expr={}&g0.tab=0", percent::encode_form(expression))
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
    let bytes = percent::decode_form(text.as_bytes())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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
