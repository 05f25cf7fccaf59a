//! What web pages in an operator's browser, and other hosts, may not do.

use super::ApiSettings;
use super::message::{Origin, Request, Response};

/// Refuses a request over loopback that carries a foreign host name: a page whose name was
/// rebound to 127.0.0.1 would otherwise read everything.
pub(super) fn check_host(settings: &ApiSettings, request: &Request) -> Result<(), Response> {
    let over_loopback = match request.origin {
        Origin::Socket => false,
        Origin::Tcp { local, .. } => local.to_canonical().is_loopback(),
    };
    let Some(host) = request.header("host").filter(|_| over_loopback) else { return Ok(()) };
    let name = without_port(host);
    // A name without a dot is a host's or a container's: nobody outside can own it and rebind it.
    if !name.is_empty() && !name.contains(['.', ':']) {
        return Ok(());
    }
    let own = ["localhost", "127.0.0.1", "[::1]", "::1"];
    let external = external_host(settings);
    let mut allowed = own
        .into_iter()
        .chain(settings.hosts.iter().map(String::as_str))
        .chain(external.map(without_port));
    if allowed.any(|allowed| allowed.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    let text = format!(
        "host {name:?} is not allowed on a loopback listener; \
         use localhost, or name it with --web.external-url\n"
    );
    Err(Response::text(403, &text))
}

/// Refuses what changes state when another host, or a page of another site, asks for it.
pub(super) fn check_change(settings: &ApiSettings, request: &Request) -> Result<(), Response> {
    if !request.origin.is_local() {
        let text = "changes are accepted over loopback and the unix socket only; \
                    run the command on the server's host, or forward a port over ssh\n";
        return Err(Response::text(403, text));
    }
    check_page(settings, request)
}

/// Refuses what a page of another site asks for.
pub(super) fn check_page(settings: &ApiSettings, request: &Request) -> Result<(), Response> {
    if request.origin != Origin::Socket && is_foreign(settings, request) {
        let text = "the request comes from another site's page; open watchbell itself\n";
        return Err(Response::text(403, text));
    }
    Ok(())
}

fn is_foreign(settings: &ApiSettings, request: &Request) -> bool {
    let site = request.header("sec-fetch-site");
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return true;
    }
    let Some(origin) = request.header("origin") else { return false };
    let Some((_, host)) = origin.split_once("://") else { return true };
    let own = request.header("host").into_iter().chain(external_host(settings));
    !own.into_iter().any(|own| own.eq_ignore_ascii_case(host))
}

fn external_host(settings: &ApiSettings) -> Option<&str> {
    let (_, rest) = settings.external_url.split_once("://")?;
    rest.split('/').next()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            // An IPv6 address without brackets has colons of its own.
            if name.contains(':') && !name.ends_with(']') { host } else { name }
        }
        Some(_) | None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn request(local: IpAddr, peer: IpAddr, headers: &[(&str, &str)]) -> Request {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers = headers.iter().map(own).collect();
        Request { origin: Origin::Tcp { local, peer }, headers, ..Request::get("/") }
    }

    #[test]
    fn a_rebound_name_is_refused_on_loopback() {
        let settings = ApiSettings {
            hosts: vec!["box".to_owned()],
            external_url: "https://mon.example/prom".to_owned(),
            ..ApiSettings::default()
        };
        for (local, host, allowed) in [
            (HERE, "localhost:9090", true),
            (HERE, "127.0.0.1", true),
            (HERE, "[::1]:9090", true),
            (HERE, "BOX:9090", true),
            (HERE, "mon.example", true),
            (HERE, "prometheus:9090", true),
            (HERE, "", false),
            (HERE, "evil.example:9090", false),
            (HERE, "127.0.0.1.evil.example", false),
            (THERE, "anything.example", true),
        ] {
            let request = request(local, local, &[("host", host)]);
            assert_eq!(check_host(&settings, &request).is_ok(), allowed, "{host}");
        }
    }

    #[test]
    fn changes_come_from_this_host_and_not_from_foreign_pages() {
        let settings = ApiSettings::default();
        let host = ("host", "localhost:9090");
        for (peer, headers, allowed) in [
            (HERE, vec![host], true),
            (HERE, vec![host, ("origin", "http://localhost:9090")], true),
            (HERE, vec![host, ("origin", "http://localhost:3000")], false),
            (HERE, vec![host, ("origin", "null")], false),
            (HERE, vec![host, ("sec-fetch-site", "cross-site")], false),
            (HERE, vec![host, ("sec-fetch-site", "same-site")], false),
            (HERE, vec![host, ("sec-fetch-site", "same-origin")], true),
            (THERE, vec![host], false),
        ] {
            let request = request(HERE, peer, &headers);
            assert_eq!(check_change(&settings, &request).is_ok(), allowed, "{headers:?}");
        }
        assert!(check_change(&settings, &Request::get("/")).is_ok());
    }
}
