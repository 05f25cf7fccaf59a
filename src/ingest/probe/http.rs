//! `http`: a request, its redirects, and what must hold for the last answer.
//!
//! Source: prometheus/blackbox_exporter, prober/http.go; golang/go, src/net/http/client.go
//! (redirectBehavior, shouldCopyHeaderOnRedirect).

use super::super::config::{HeaderMatch, HttpProbe};
use super::body::Taken;
use super::cookies::Cookies;
use super::report::{Level, Report};
use super::{Context, ProbeError, address};
use crate::model::{Regex, Timestamp, percent};
use crate::sys::dial::{
    self, Body, Head, Outgoing, Proxies, Proxy, Stopwatch, Stream, TlsFacts, Trusted,
};
use crate::sys::settings::Secret;
use bytes::Bytes;
use std::io::Read as _;
use std::net::SocketAddr;
use url::Url;

const SECONDS: &str = "probe_http_duration_seconds";
const BY_REGEX: &str = "probe_failed_due_to_regex";
const BODY_BYTES: &str = "probe_http_uncompressed_body_length";
/// Redirects that are followed.
const REDIRECTS_MAX: u32 = 10;
/// A file that is sent as a body.
const BODY_FILE_BYTES_MAX: u64 = 16 << 20;
/// What we call ourselves when the module does not say.
const USER_AGENT: &str = concat!("Blackbox-Exporter/watchbell-", env!("CARGO_PKG_VERSION"));

pub(super) async fn probe(
    context: &Context<'_>,
    report: &mut Report,
    target: &str,
    probe: &HttpProbe,
    hostname: Option<&str>,
) -> Result<bool, ProbeError> {
    let own_host = host_header(probe, hostname)?;
    let help = "Duration of http request by phase, summed over all redirects";
    report.phases(SECONDS, help, &[]);
    for (name, help) in [
        ("probe_http_content_length", "Length of http content response"),
        (BODY_BYTES, "Length of uncompressed response body"),
        ("probe_http_redirects", "The number of redirects"),
        ("probe_http_ssl", "Indicates if SSL was used for the final redirect"),
        ("probe_http_status_code", "Response HTTP status code"),
        ("probe_http_version", "Returns the version of HTTP of the probe response"),
        (BY_REGEX, "Indicates if probe failed due to regex"),
    ] {
        report.gauge(name, help);
    }
    Ok(match follow(context, report, target, probe, own_host).await {
        Ok(last) => judge(context, report, probe, last).await,
        Err(text) => {
            if let Some(text) = text {
                report.error("error for HTTP request", &[("err", &text)]);
            }
            false
        }
    })
}

/// The header `Host` of the module or of the question, which must not contradict each other.
fn host_header(probe: &HttpProbe, asked: Option<&str>) -> Result<Option<String>, ProbeError> {
    let own = probe.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
    match (own.map(|(_, own)| own.reveal()), asked) {
        (Some(own), Some(asked)) if own != asked => Err(ProbeError(format!(
            "host header defined both in module configuration ({own}) and with URL-parameter \
             'hostname' ({asked})"
        ))),
        (own, asked) => Ok(asked.or(own).map(str::to_owned)),
    }
}

/// The last answer.
struct Last {
    head: Head,
    body: Body,
    tls: Option<(TlsFacts, Trusted)>,
    /// A redirect that is not followed: its body is nobody's concern.
    is_unfollowed: bool,
    /// When the head was there.
    since: Stopwatch,
}

/// One request of a probe.
struct Trip {
    url: Url,
    method: String,
    body: Bytes,
    /// The header `Host` where it is not the URL's.
    host: Option<String>,
    /// The proxy that it goes through.
    proxy: Option<Proxy>,
    /// Host and port that a proxy is asked to connect to.
    place: String,
    /// Where to connect to, the best first: addresses of the proxy or of the URL's host.
    addresses: Vec<SocketAddr>,
    /// Whether it goes to the host of the target: the settings' credentials and server name are
    /// meant for that.
    is_first_host: bool,
    referer: Option<String>,
}

/// Why there is no answer; nothing when the log has it already.
type Failed = Option<String>;

/// Sends requests until an answer is no redirect that is to be followed.
async fn follow(
    context: &Context<'_>,
    report: &mut Report,
    target: &str,
    probe: &HttpProbe,
    own_host: Option<String>,
) -> Result<Last, Failed> {
    let proxies = Proxies::of(&probe.client)?;
    let mut trip = first(context, report, target, (probe, proxies.as_ref()), own_host).await?;
    let first_url = trip.url.clone();
    report.phases(SECONDS, "", &["connect", "processing", "tls", "transfer"]);
    let mut cookies = Cookies::default();
    let mut redirects = 0;
    loop {
        let (head, body, tls) = send(context, report, probe, &trip, &cookies).await?;
        let since = Stopwatch::start();
        let host = trip.url.host_str().unwrap_or_default();
        for header in head.all("set-cookie") {
            cookies.take(host, trip.url.path(), header);
        }
        let Some(next) = redirected(&head, &trip)? else {
            return Ok(Last { head, body, tls, is_unfollowed: false, since });
        };
        redirects += 1;
        report.set("probe_http_redirects", f64::from(redirects));
        let location = head.header("location").unwrap_or_default();
        report.log(Level::Info, "received redirect", &[("location", location)]);
        if redirects > REDIRECTS_MAX || !probe.follow_redirects {
            report.log(Level::Info, "not following redirect", &[]);
            return Ok(Last { head, body, tls, is_unfollowed: true, since });
        }
        if !matches!(next.url.scheme(), "http" | "https") {
            return Err(Some(format!("unsupported protocol scheme {:?}", next.url.scheme())));
        }
        trip = next;
        trip.is_first_host = same_place(&trip.url, &first_url);
        trip.proxy = on_the_way(proxies.as_ref(), &trip.url)?;
        trip.place = place(&trip.url, bare_host(&trip.url)?);
        let watch = Stopwatch::start();
        let found = look_up(context, probe, &trip).await;
        report.add_phase(SECONDS, "resolve", watch.seconds());
        trip.addresses = found?;
    }
}

/// The request for the target itself.
async fn first(
    context: &Context<'_>,
    report: &mut Report,
    target: &str,
    (probe, proxies): (&HttpProbe, Option<&Proxies>),
    own_host: Option<String>,
) -> Result<Trip, Failed> {
    let lower = target.to_ascii_lowercase();
    let has_scheme = lower.starts_with("http://") || lower.starts_with("https://");
    let target = if has_scheme { target.to_owned() } else { format!("http://{target}") };
    let url = Url::parse(&target).map_err(|err| format!("could not parse target URL: {err}"))?;
    let host = bare_host(&url)?.to_owned();
    let mut trip = Trip {
        method: probe.method.clone(),
        body: request_body(context, probe)?,
        host: own_host,
        proxy: on_the_way(proxies, &url)?,
        place: place(&url, &host),
        addresses: Vec::new(),
        is_first_host: true,
        referer: None,
        url,
    };
    if !leaves_resolving(probe) {
        report.phases(SECONDS, "", &["resolve"]);
        let (ip, seconds) =
            address::choose(context, report, probe.family, &host).await.map_err(|()| None)?;
        report.add_phase(SECONDS, "resolve", seconds);
        let port = trip.url.port_or_known_default().unwrap_or(80);
        let address = SocketAddr::new(ip, port);
        // `no_proxy` may name the address too.
        let proxied = proxies.map(|all| all.on_the_way(trip.url.scheme(), &address.to_string()));
        if proxied.transpose()?.flatten().is_none() {
            trip.proxy = None;
        }
        trip.place = address.to_string();
        trip.addresses = vec![address];
    }
    if trip.proxy.is_some() || trip.addresses.is_empty() {
        trip.addresses = look_up(context, probe, &trip).await?;
    }
    Ok(trip)
}

/// Whether the name of the target is left to the proxy.
///
/// Source: prometheus/blackbox_exporter, prober/http.go (shouldResolveDNSWithProxy).
fn leaves_resolving(probe: &HttpProbe) -> bool {
    let has_url = probe.client.proxy_url.as_ref().is_some_and(|url| !url.is_empty());
    let has_proxy = has_url || probe.client.proxy_from_environment == Some(true);
    probe.proxy_resolves && has_proxy
}

/// The proxy on the way to a URL.
fn on_the_way(proxies: Option<&Proxies>, url: &Url) -> Result<Option<Proxy>, String> {
    let found = proxies.map(|all| all.on_the_way(url.scheme(), &authority(url)));
    Ok(found.transpose()?.flatten())
}

/// Host and port, as a proxy is told them.
fn place(url: &Url, host: &str) -> String {
    let port = url.port_or_known_default().unwrap_or(80);
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The host without the brackets of IPv6.
fn bare_host(url: &Url) -> Result<&str, String> {
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or("could not parse target URL: no host")?;
    Ok(host.trim_start_matches('[').trim_end_matches(']'))
}

fn request_body(context: &Context<'_>, probe: &HttpProbe) -> Result<Bytes, String> {
    let Some(file) = &probe.body_file else { return Ok(probe.body.clone().into()) };
    let path = context.base.join(file);
    let failed = |err: std::io::Error| format!("cannot read {}: {err}", path.display());
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(&path).map_err(failed)?;
    opened.take(BODY_FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes.into())
}

/// All addresses of the proxy or of the URL's host, those of the wanted family first.
async fn look_up(
    context: &Context<'_>,
    probe: &HttpProbe,
    trip: &Trip,
) -> Result<Vec<SocketAddr>, Failed> {
    let (host, port) = match &trip.proxy {
        Some(proxy) => (proxy.host.as_str(), proxy.port),
        None => (bare_host(&trip.url)?, trip.url.port_or_known_default().unwrap_or(80)),
    };
    let found = context.dialer.lookup(host).await;
    let mut found = found.map_err(|err| format!("dial tcp: {err}"))?;
    found.sort_by_key(|address| address.is_ipv6() != probe.family.prefer_v6);
    Ok(found.into_iter().map(|address| SocketAddr::new(address, port)).collect())
}

fn same_place(a: &Url, b: &Url) -> bool {
    a.host_str() == b.host_str() && a.port_or_known_default() == b.port_or_known_default()
}

/// Connects, and sends one request.
async fn send(
    context: &Context<'_>,
    report: &mut Report,
    probe: &HttpProbe,
    trip: &Trip,
    cookies: &Cookies,
) -> Result<(Head, Body, Option<(TlsFacts, Trusted)>), Failed> {
    let token = match probe.client.oauth2.as_deref().filter(|_| trip.is_first_host) {
        Some(oauth2) => Some(context.token(oauth2, USER_AGENT).await?),
        None => None,
    };
    let (stream, tls) = connected(context, report, probe, trip).await?;
    let over_http2 = tls.as_ref().is_some_and(|(facts, _)| facts.http2);
    let mut headers = headers(context, probe, trip, cookies)?;
    if let Some(token) = token {
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
        headers.push(("Authorization".to_owned(), token));
    }
    let host = trip.host.clone().unwrap_or_else(|| authority(&trip.url));
    let mut path = match trip.url.query() {
        Some(query) => format!("{}?{query}", trip.url.path()),
        None => trip.url.path().to_owned(),
    };
    if let Some(proxy) = trip.proxy.as_ref().filter(|_| tls.is_none()) {
        path.insert_str(0, &format!("http://{host}"));
        let own = proxy.authorization.iter().map(Secret::reveal);
        headers.extend(own.map(|own| ("Proxy-Authorization".to_owned(), own.to_owned())));
    }
    let outgoing = Outgoing {
        method: &trip.method,
        scheme: trip.url.scheme(),
        host: &host,
        path: &path,
        headers: &headers,
        body: trip.body.clone(),
    };
    report.debug("making HTTP request", &[("url", trip.url.as_str()), ("host", &host)]);
    let watch = Stopwatch::start();
    let (head, body) = dial::exchange(stream, &outgoing, over_http2).await?;
    report.add_phase(SECONDS, "processing", watch.seconds());
    let status = head.status.to_string();
    report.debug("received HTTP response", &[("status_code", &status), ("version", head.version)]);
    Ok((head, body, tls))
}

/// A connection to the first address that takes one, with TLS where the URL has it.
async fn connected(
    context: &Context<'_>,
    report: &mut Report,
    probe: &HttpProbe,
    trip: &Trip,
) -> Result<(Stream, Option<(TlsFacts, Trusted)>), Failed> {
    let watch = Stopwatch::start();
    let mut stream = Err("no address".to_owned());
    for address in &trip.addresses {
        stream = context.dialer.connect(*address, None).await;
        if stream.is_ok() {
            break;
        }
    }
    let mut stream: Stream = Box::new(stream?);
    let connect = watch.seconds();
    report.debug("connected", &[("seconds", &connect.to_string())]);
    if trip.url.scheme() != "https" {
        report.add_phase(SECONDS, "connect", connect);
        return Ok((stream, None));
    }
    let mut settings = probe.tls.clone();
    if !trip.is_first_host {
        settings.server_name.clear();
    }
    let client = context.dialer.tls(&settings, context.base, Some(probe.http2));
    let client = client.map_err(|problem| problem.to_string())?;
    if let Some(proxy) = &trip.proxy {
        stream = proxy.connect(stream, &trip.place, USER_AGENT).await?;
        report.debug("connected through the proxy", &[("place", &trip.place)]);
    }
    let own = trip.host.as_deref().filter(|_| trip.is_first_host).map(without_port);
    let name = own.unwrap_or(bare_host(&trip.url)?);
    let watch = Stopwatch::start();
    let (stream, facts) = client.handshake(stream, name).await?;
    report.add_phase(SECONDS, "connect", connect);
    report.add_phase(SECONDS, "tls", watch.seconds());
    report.debug("TLS handshake succeeded", &[("version", facts.version)]);
    Ok((stream, Some((facts, client.trusted))))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

/// Host and, where it is not the scheme's, port.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// All headers but `Host`. Credentials go to the target's host alone.
fn headers(
    context: &Context<'_>,
    probe: &HttpProbe,
    trip: &Trip,
    cookies: &Cookies,
) -> Result<Vec<(String, String)>, String> {
    let mut found: Vec<(String, String)> = Vec::new();
    let has = |found: &[(String, String)], name: &str| {
        found.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    };
    for (name, value) in &probe.headers {
        let is_private = ["authorization", "cookie", "www-authenticate"]
            .iter()
            .any(|private| name.eq_ignore_ascii_case(private));
        let is_host = name.eq_ignore_ascii_case("host");
        if !is_host && (trip.is_first_host || !is_private) && !has(&found, name) {
            found.push((name.clone(), value.reveal().to_owned()));
        }
    }
    if !has(&found, "user-agent") {
        found.push(("User-Agent".to_owned(), USER_AGENT.to_owned()));
    }
    if trip.is_first_host {
        for (name, value) in dial::settings_headers(&probe.client, context.base)? {
            if !has(&found, &name) {
                found.push((name, value));
            }
        }
        let (user, password) = (trip.url.username(), trip.url.password());
        if (!user.is_empty() || password.is_some()) && !has(&found, "authorization") {
            let plain = |text: &str| {
                String::from_utf8_lossy(&percent::decode_leniently(text.as_bytes())).into_owned()
            };
            let value = dial::basic(&plain(user), &plain(password.unwrap_or("")));
            found.push(("Authorization".to_owned(), value));
        }
    }
    let host = trip.url.host_str().unwrap_or_default();
    let is_tls = trip.url.scheme() == "https";
    if let Some(cookie) = cookies.header(host, trip.url.path(), is_tls) {
        found.push(("Cookie".to_owned(), cookie));
    }
    found.extend(trip.referer.clone().map(|referer| ("Referer".to_owned(), referer)));
    Ok(found)
}

/// The request that an answer redirects to; `None` when it is the last one.
///
/// # Errors
/// It leads where no probe can go.
fn redirected(head: &Head, trip: &Trip) -> Result<Option<Trip>, String> {
    let keeps = match head.status {
        301..=303 => false,
        307 | 308 => true,
        _ => return Ok(None),
    };
    let Some(location) = head.header("location").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let failed = |why: &str| format!("failed to parse Location header {location:?}: {why}");
    let url = trip.url.join(location).map_err(|err| failed(&err.to_string()))?;
    let is_relative = Url::parse(location).is_err() && !location.starts_with("//");
    let is_plain = matches!(trip.method.as_str(), "GET" | "HEAD");
    let to_http = trip.url.scheme() == "https" && url.scheme() == "http";
    Ok(Some(Trip {
        url,
        method: if keeps || is_plain { trip.method.clone() } else { "GET".to_owned() },
        body: if keeps { trip.body.clone() } else { Bytes::new() },
        host: trip.host.clone().filter(|_| is_relative),
        proxy: None,
        place: String::new(),
        addresses: Vec::new(),
        is_first_host: false,
        referer: (!to_http).then(|| referer(&trip.url)),
    }))
}

/// The URL without what nobody else should read.
fn referer(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_fragment(None);
    // Both fail only where there is no host.
    let _ = (shown.set_username(""), shown.set_password(None));
    shown.into()
}

/// What must hold for the last answer.
async fn judge(
    context: &Context<'_>,
    report: &mut Report,
    probe: &HttpProbe,
    mut last: Last,
) -> bool {
    tell(context, report, &last);
    let status = last.head.status;
    let mut success = match probe.valid_status_codes.as_slice() {
        [] => (200..300).contains(&status),
        valid => valid.contains(&status),
    };
    if !success {
        report.error("invalid HTTP response status code", &[("status_code", &status.to_string())]);
    }
    let by_header =
        !probe.fail_if_header_matches.is_empty() || !probe.fail_if_header_not_matches.is_empty();
    if success && by_header {
        success = headers_hold(report, probe, &last.head);
        report.set(BY_REGEX, if success { 0.0 } else { 1.0 });
    }
    let by_body =
        !probe.fail_if_body_matches.is_empty() || !probe.fail_if_body_not_matches.is_empty();
    let looks = success && by_body;
    if last.is_unfollowed {
        // As upstream: the body of such an answer is closed already.
        if looks {
            report.set(BY_REGEX, 1.0);
            report.error("the body of a redirect that is not followed is not read", &[]);
            success = false;
        }
    } else {
        success &= read(context, report, probe, &mut last.body, looks).await;
    }
    report.add_phase(SECONDS, "transfer", last.since.seconds());
    let version = last.head.version;
    let versions = &probe.valid_http_versions;
    if !versions.is_empty() && !versions.iter().any(|valid| valid == version) {
        report.error("invalid HTTP version number", &[("version", version)]);
        success = false;
    }
    if last.tls.is_some() && probe.fail_if_ssl {
        report.error("final request was over SSL", &[]);
        success = false;
    } else if last.tls.is_none() && probe.fail_if_not_ssl {
        report.error("final request was not over SSL", &[]);
        success = false;
    }
    success
}

/// What the head says, whatever comes after it.
fn tell(context: &Context<'_>, report: &mut Report, last: &Last) {
    let head = &last.head;
    report.set("probe_http_status_code", f64::from(head.status));
    report.set("probe_http_content_length", head.length.map_or(-1.0, count));
    let version = head.version.trim_start_matches("HTTP/").parse().unwrap_or(0.0);
    report.set("probe_http_version", version);
    if let Some(time) = head
        .header("last-modified")
        .and_then(|text| Timestamp::from_http(text).map(Timestamp::as_seconds))
    {
        let name = "probe_http_last_modified_timestamp_seconds";
        report.gauge(name, "Returns the Last-Modified HTTP response header in unixtime");
        report.set(name, time);
    }
    if let Some((facts, trusted)) = &last.tls {
        report.set("probe_http_ssl", 1.0);
        report.tls(facts, context.chain_expiry(&facts.chain, trusted));
        let help = "Returns the TLS cipher negotiated during handshake";
        report.info("probe_tls_cipher_info", help, [("cipher", facts.cipher.clone())]);
    }
}

/// Reads the body, and holds it against the expressions when it `looks`.
async fn read(
    context: &Context<'_>,
    report: &mut Report,
    probe: &HttpProbe,
    body: &mut Body,
    looks: bool,
) -> bool {
    let taken = Taken::new(probe.body_size_limit, looks, &context.inner.budget);
    let progress = |bytes| report.set(BODY_BYTES, count(bytes));
    let (taken, done) = taken.read(body, probe.compression, progress).await;
    let mut success = true;
    if let Err(err) = &done {
        report.error("failed to read HTTP response body", &[("err", err)]);
        success = false;
    }
    if looks {
        success &= body_holds(report, probe, &String::from_utf8_lossy(&taken.kept));
        report.set(BY_REGEX, if success { 0.0 } else { 1.0 });
    }
    success
}

fn body_holds(report: &mut Report, probe: &HttpProbe, body: &str) -> bool {
    let matches = |regex: &&Regex| regex.is_match(body);
    if let Some(regex) = probe.fail_if_body_matches.iter().find(matches) {
        report.error("body matched regular expression", &[("regexp", regex.as_str())]);
        return false;
    }
    if let Some(regex) = probe.fail_if_body_not_matches.iter().find(|regex| !matches(regex)) {
        report.error("body did not match regular expression", &[("regexp", regex.as_str())]);
        return false;
    }
    true
}

fn headers_hold(report: &mut Report, probe: &HttpProbe, head: &Head) -> bool {
    let mut holds = |one: &HeaderMatch, wanted: bool| {
        let header = [("header", one.header.as_str()), ("regexp", one.regexp.as_str())];
        if head.header(&one.header).is_none() {
            if !one.allow_missing {
                report.error("missing required header", &header);
            }
            return one.allow_missing;
        }
        let found = head.all(&one.header).any(|value| one.regexp.is_match(value));
        if found != wanted {
            let word = if found { "header matched" } else { "header did not match" };
            report.error(&format!("{word} regular expression"), &header);
        }
        found == wanted
    };
    probe.fail_if_header_matches.iter().all(|one| holds(one, false))
        && probe.fail_if_header_not_matches.iter().all(|one| holds(one, true))
}

#[expect(clippy::cast_precision_loss, reason = "lengths beyond 2^52 bytes do not come")]
const fn count(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::super::super::config::{ModuleSettings, ProbeKind, check_module};
    use super::*;
    use std::path::Path;

    fn trip(url: &str, method: &str, host: Option<&str>) -> Trip {
        Trip {
            url: Url::parse(url).expect("a URL"),
            method: method.to_owned(),
            body: Bytes::from_static(b"x"),
            host: host.map(str::to_owned),
            proxy: None,
            place: String::new(),
            addresses: Vec::new(),
            is_first_host: true,
            referer: None,
        }
    }

    fn answer(status: u16, location: &str) -> Head {
        let headers = vec![("location".to_owned(), location.to_owned())];
        Head { status, version: "HTTP/1.1", headers, length: None }
    }

    #[test]
    fn redirects_lead_where_go_s_client_goes() {
        for (status, method, location, expected) in [
            (302, "GET", "/b?c", Some(("http://h/b?c", "GET", true))),
            (301, "POST", "b", Some(("http://h/a/b", "GET", true))),
            (303, "HEAD", "//o/x", Some(("http://o/x", "HEAD", false))),
            (307, "POST", "https://o/", Some(("https://o/", "POST", false))),
            (308, "PUT", "", None),
            (304, "GET", "/b", None),
            (200, "GET", "/b", None),
        ] {
            let from = trip("http://h/a/", method, Some("named"));
            let next = redirected(&answer(status, location), &from).expect("leads somewhere");
            let found = next
                .as_ref()
                .map(|next| (next.url.as_str(), next.method.as_str(), next.host.is_some()));
            assert_eq!(found, expected, "{status} {method} {location:?}");
            if let Some(next) = next {
                assert_eq!(next.body.is_empty(), status < 307, "{status}");
            }
        }
        let from = trip("http://h/", "GET", None);
        assert!(redirected(&answer(302, "http://["), &from).is_err());
    }

    #[test]
    fn a_name_is_left_to_any_proxy_that_is_set() {
        // prometheus/blackbox_exporter, prober/http.go: shouldResolveDNSWithProxy.
        for (keys, expected) in [
            ("", false),
            ("proxy_url: 'http://p'", false),
            ("skip_resolve_phase_with_proxy: true", false),
            ("skip_resolve_phase_with_proxy: true, proxy_url: 'http://p'", true),
            ("skip_resolve_phase_with_proxy: true, proxy_from_environment: true", true),
            ("skip_resolve_phase_with_proxy: true, proxy_from_environment: false", false),
        ] {
            let yaml = format!("{{prober: http, http: {{{keys}}}}}");
            let settings: ModuleSettings = serde_yaml::from_str(&yaml).expect("reads");
            let module = check_module(&settings, Path::new("/")).expect("valid");
            let ProbeKind::Http(probe) = module.kind else { panic!("{module:?}") };
            assert_eq!(leaves_resolving(&probe), expected, "{keys}");
        }
    }

    #[test]
    fn a_referer_tells_no_secret() {
        assert_eq!(referer(&Url::parse("http://u:p@h/a?b#c").expect("a URL")), "http://h/a?b");
    }
}
