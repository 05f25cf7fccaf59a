//! From modules as written to modules as they run: defaults, expressions and checks, as in
//! blackbox_exporter.
//!
//! Source: prometheus/blackbox_exporter, config/config.go (UnmarshalYAML of each section).

use super::dns_names::{CLASSES, RCODES, RECORD_TYPES};
use super::probe::{
    DnsProbeSettings, HeaderMatchSettings, HttpProbeSettings, IcmpProbeSettings, ModuleSettings,
    ProbeSettings, QueryResponseSettings, RecordCheckSettings, TcpProbeSettings,
};
use super::probe_module::{
    Compression, DnsProbe, Family, HeaderMatch, HttpProbe, IcmpProbe, Module, ProbeEntry,
    ProbeKind, RecordCheck, Step, TcpProbe,
};
use super::settings::Global;
use crate::model::{Problem, Regex, is_legacy_label_name, nearest_name};
use crate::sys::dial::Proxies;
use crate::sys::settings::{Scalar, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
/// Longer payloads do not fit a packet: 65,535 bytes without both heads.
const PAYLOAD_BYTES_MAX: usize = 65_507;
/// Hops of an echo when nothing else is said.
const TTL: u8 = 64;
/// The job of probes that name none.
const JOB: &str = "probe";
/// The module of probes that name none.
const MODULE: &str = "http_2xx";

/// Checks `watchbell.probes` against the modules. Names in `taken` belong to other jobs.
///
/// # Errors
/// No target, an unknown module, a job of another kind, or the same labels twice; paths start at
/// the list.
pub fn check_probes(
    list: &[ProbeSettings],
    modules: &BTreeMap<String, Arc<Module>>,
    global: &Global,
    taken: &BTreeSet<String>,
) -> Result<Vec<ProbeEntry>, Vec<Problem>> {
    let mut problems = Problems::default();
    let (mut entries, mut seen) = (Vec::new(), BTreeSet::new());
    let span = |span: Option<Span>, otherwise| {
        span.map(|span| span.0).filter(|span| !span.is_zero()).unwrap_or(otherwise)
    };
    let interval = span(global.scrape_interval, Duration::from_mins(1));
    for (place, one) in list.iter().enumerate() {
        let at = |key: &str| format!("[{place}]{key}");
        if one.target.is_empty() {
            problems.add(&at(""), "target is missing");
        }
        let module = one.module.clone().unwrap_or_else(|| MODULE.to_owned());
        match modules.get(&module).map(|module| &module.kind) {
            None => {
                let hint = nearest_name(&module, modules.keys().map(String::as_str));
                let hint = hint.map(|name| format!("; did you mean {name:?}?"));
                let text = format!("unknown module {module:?}{}", hint.unwrap_or_default());
                problems.add(&at(if one.module.is_some() { ".module" } else { "" }), text);
            }
            Some(ProbeKind::Unusable(why)) => {
                let text = format!("module {module:?} cannot be used: {why}");
                problems.add(&at(".module"), text);
            }
            Some(_) => {}
        }
        let job = one.job.clone().unwrap_or_else(|| JOB.to_owned());
        if taken.contains(&job) {
            let text = format!("{job:?} is a job of scrape_configs; name another");
            problems.add(&at(if one.job.is_some() { ".job" } else { "" }), text);
        }
        let mut labels = one.labels.to_builder();
        labels.set("job", job.as_str());
        if labels.get("instance").is_none() {
            labels.set("instance", one.target.as_str());
        }
        let labels = labels.build();
        for (name, _) in one.labels.iter().filter(|(name, _)| !is_legacy_label_name(name)) {
            problems.add(&at(".labels"), format!("{name:?} is not a valid label name"));
        }
        if !seen.insert(labels.clone()) {
            let text = format!("{} is probed twice; tell them apart by job or labels", one.target);
            problems.add(&at(""), text);
        }
        let interval = span(one.interval, interval);
        let timeout = span(global.scrape_timeout, Duration::from_secs(10)).min(interval);
        entries.push(ProbeEntry {
            target: one.target.clone(),
            module,
            job,
            interval,
            timeout,
            labels,
        });
    }
    if problems.0.is_empty() { Ok(entries) } else { Err(problems.0) }
}

/// Checks a module; relative paths of files start at `base`.
///
/// # Errors
/// Everything that blackbox_exporter would refuse.
pub fn check_module(settings: &ModuleSettings, base: &Path) -> Result<Module, Vec<Problem>> {
    let mut problems = Problems::default();
    let kind = match settings.prober.as_str() {
        "http" => {
            http(settings.http.as_deref().unwrap_or(&HttpProbeSettings::default()), &mut problems)
        }
        "tcp" => {
            tcp(settings.tcp.as_deref().unwrap_or(&TcpProbeSettings::default()), &mut problems)
        }
        "icmp" => {
            icmp(settings.icmp.as_deref().unwrap_or(&IcmpProbeSettings::default()), &mut problems)
        }
        "dns" => {
            dns(settings.dns.as_deref().unwrap_or(&DnsProbeSettings::default()), &mut problems)
        }
        other @ ("grpc" | "unix" | "websocket") => {
            ProbeKind::Unusable(format!("the prober {other:?} is not built"))
        }
        other => {
            let names = ["http", "tcp", "icmp", "dns"];
            let hint = nearest_name(other, names).map(|name| format!("; did you mean {name:?}?"));
            let text = format!("prober '{other}' is not valid{}", hint.unwrap_or_default());
            problems.0.push(Problem::new("prober", text));
            ProbeKind::Unusable(String::new())
        }
    };
    if !problems.0.is_empty() {
        return Err(problems.0);
    }
    Ok(Module {
        kind,
        timeout: settings.timeout.unwrap_or_default().0,
        base: base.to_owned(),
        shown: serde_json::to_string_pretty(settings).unwrap_or_default(),
    })
}

/// Faults, gathered.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, at: &str, text: impl Into<String>) {
        self.0.push(Problem::new(at, text));
    }

    fn regex(&mut self, at: &str, text: &str) -> Option<Regex> {
        Regex::searching(text)
            .map_err(|err| self.add(at, format!("cannot compile {text:?}: {err}")))
            .ok()
    }

    fn regexes(&mut self, at: &str, list: &[Scalar]) -> Vec<Regex> {
        let compiled = list.iter().enumerate();
        compiled.filter_map(|(place, one)| self.regex(&format!("{at}[{place}]"), &one.0)).collect()
    }

    fn address(&mut self, at: &str, text: &str) -> Option<IpAddr> {
        if text.is_empty() {
            return None;
        }
        text.parse().map_err(|_| self.add(at, format!("{text:?} is no address"))).ok()
    }

    fn family(&mut self, section: &str, preferred: &str, fallback: Option<bool>) -> Family {
        if !matches!(preferred, "" | "ip4" | "ip6") {
            let at = format!("{section}.preferred_ip_protocol");
            self.add(&at, format!("{preferred:?} is neither \"ip4\" nor \"ip6\""));
        }
        Family { prefer_v6: preferred != "ip4", fallback: fallback.unwrap_or(true) }
    }

    fn number(&mut self, at: &str, what: &str, name: &str, table: &[(&str, u16)]) -> u16 {
        let found = table.iter().find(|(known, _)| *known == name);
        if let Some((_, number)) = found {
            return *number;
        }
        let hint = nearest_name(name, table.iter().map(|(known, _)| *known));
        let hint = hint.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
        self.add(at, format!("{what} '{name}' is not valid{hint}"));
        0
    }
}

/// A key without which a probe would not test what is meant.
fn unbuilt_http(settings: &HttpProbeSettings) -> Option<String> {
    let proxy = unbuilt_proxy(settings).map(|scheme| format!("proxy_url: {scheme}://"));
    let keys = [
        (settings.fail_if_body_json_matches_cel.is_some(), "fail_if_body_json_matches_cel"),
        (settings.fail_if_body_json_not_matches_cel.is_some(), "fail_if_body_json_not_matches_cel"),
        (settings.enable_http3, "enable_http3"),
        (proxy.is_some(), proxy.as_deref().unwrap_or_default()),
        (settings.compression.eq_ignore_ascii_case("br"), "compression: br"),
    ];
    let found: Vec<_> = keys.into_iter().filter(|(set, _)| *set).map(|(_, key)| key).collect();
    (!found.is_empty()).then(|| format!("{} of http is not built", found.join(", ")))
}

/// The scheme of the proxy's URL, where it is another than HTTP.
fn unbuilt_proxy(settings: &HttpProbeSettings) -> Option<&str> {
    let (scheme, _) = settings.proxy_url.as_ref()?.reveal().split_once("://")?;
    (!scheme.eq_ignore_ascii_case("http")).then_some(scheme)
}

fn http(settings: &HttpProbeSettings, problems: &mut Problems) -> ProbeKind {
    let family =
        problems.family("http", &settings.preferred_ip_protocol, settings.ip_protocol_fallback);
    if !settings.body.is_empty() && settings.body_file.is_some() {
        problems.add("http.body_file", "setting body and body_file both are not allowed");
    }
    if !settings.enable_http3 && settings.valid_http_versions.iter().any(|one| one == "HTTP/3.0") {
        let text = "HTTP/3 cannot be used as a valid HTTP version when enable_http3 is false";
        problems.add("http.valid_http_versions", text);
    }
    let compression = match settings.compression.to_ascii_lowercase().as_str() {
        "gzip" => Compression::Gzip,
        "deflate" => Compression::Deflate,
        "" | "identity" | "br" => Compression::None,
        other => {
            problems
                .add("http.compression", format!("unsupported compression algorithm {other:?}"));
            Compression::None
        }
    };
    check_encoding(settings, problems);
    let client = settings.client();
    problems.0.extend(client.check("http").err());
    if let (None, Err(text)) = (unbuilt_proxy(settings), Proxies::of(&client)) {
        problems.add("http.proxy_url", text);
    }
    let redirects = settings.no_follow_redirects.map(|no| !no).or(settings.follow_redirects);
    let headers = settings.headers.iter();
    let probe = HttpProbe {
        family,
        valid_status_codes: settings.valid_status_codes.clone(),
        valid_http_versions: settings.valid_http_versions.clone(),
        follow_redirects: redirects.unwrap_or(true),
        fail_if_ssl: settings.fail_if_ssl,
        fail_if_not_ssl: settings.fail_if_not_ssl,
        method: if settings.method.is_empty() { "GET".to_owned() } else { settings.method.clone() },
        headers: headers.map(|(name, value)| (name.clone(), value.clone())).collect(),
        fail_if_body_matches: problems
            .regexes("http.fail_if_body_matches_regexp", &settings.fail_if_body_matches_regexp),
        fail_if_body_not_matches: problems.regexes(
            "http.fail_if_body_not_matches_regexp",
            &settings.fail_if_body_not_matches_regexp,
        ),
        fail_if_header_matches: header_matches(
            "http.fail_if_header_matches",
            &settings.fail_if_header_matches,
            problems,
        ),
        fail_if_header_not_matches: header_matches(
            "http.fail_if_header_not_matches",
            &settings.fail_if_header_not_matches,
            problems,
        ),
        body: settings.body.clone(),
        body_file: settings.body_file.clone(),
        compression,
        body_size_limit: settings.body_size_limit.unwrap_or_default().0,
        http2: client.enable_http2.unwrap_or(true),
        proxy_resolves: settings.skip_resolve_phase_with_proxy,
        tls: client.tls_config.clone().unwrap_or_default(),
        client,
    };
    match unbuilt_http(settings) {
        Some(why) => ProbeKind::Unusable(why),
        None => ProbeKind::Http(Box::new(probe)),
    }
}

/// A header that asks for encodings must ask for the one that is expected.
fn check_encoding(settings: &HttpProbeSettings, problems: &mut Problems) {
    let wanted = settings.compression.as_str();
    for (name, value) in &settings.headers {
        let value = value.reveal();
        let is_it = name.eq_ignore_ascii_case("accept-encoding");
        if is_it && !wanted.is_empty() && !value.is_empty() && !accepts(value, wanted) {
            let text =
                format!("invalid configuration \"{name}: {value}\", \"compression: {wanted}\"");
            problems.add("http.compression", text);
        }
    }
}

/// Whether `header` asks for `wanted`: the liked ones are looked at first, as upstream does.
fn accepts(header: &str, wanted: &str) -> bool {
    let mut offered: Vec<(&str, f32)> = header
        .split(',')
        .map(|part| match part.rsplit_once(';') {
            None => (part.trim(), 1.0),
            Some((name, quality)) => {
                let quality = quality.trim().trim_start_matches("q=");
                (name.trim(), quality.parse().unwrap_or(0.0))
            }
        })
        .collect();
    offered.sort_by(|a, b| b.1.total_cmp(&a.1));
    let found = offered.iter().find(|(name, _)| *name == wanted || *name == "*");
    found.is_some_and(|(_, quality)| *quality > 0.0)
}

fn header_matches(
    at: &str,
    list: &[HeaderMatchSettings],
    problems: &mut Problems,
) -> Vec<HeaderMatch> {
    let mut found = Vec::new();
    for (place, one) in list.iter().enumerate() {
        let at = format!("{at}[{place}]");
        if one.header.is_empty() {
            problems.add(&at, "header name must be set for HTTP header matchers");
        } else if one.regexp.0.is_empty() {
            problems.add(&at, "regexp must be set for HTTP header matchers");
        } else if let Some(regexp) = problems.regex(&format!("{at}.regexp"), &one.regexp.0) {
            let header = one.header.to_ascii_lowercase();
            found.push(HeaderMatch { header, regexp, allow_missing: one.allow_missing });
        }
    }
    found
}

fn tcp(settings: &TcpProbeSettings, problems: &mut Problems) -> ProbeKind {
    let mut steps = Vec::new();
    for (place, one) in settings.query_response.iter().enumerate() {
        steps.push(step(&format!("tcp.query_response[{place}]"), one, problems));
    }
    ProbeKind::Tcp(Box::new(TcpProbe {
        family: problems.family(
            "tcp",
            &settings.preferred_ip_protocol,
            settings.ip_protocol_fallback,
        ),
        source: problems.address("tcp.source_ip_address", &settings.source_ip_address),
        steps,
        is_tls: settings.tls,
        tls: settings.tls_config.clone().unwrap_or_default(),
    }))
}

fn step(at: &str, one: &QueryResponseSettings, problems: &mut Problems) -> Step {
    let expect = one.expect.as_ref().map(|text| text.0.as_str()).filter(|text| !text.is_empty());
    if expect.is_some() && !one.expect_bytes.is_empty() {
        problems.add(at, "expect and expect_bytes are mutually exclusive");
    }
    for (place, label) in one.labels.iter().flatten().enumerate() {
        if !is_legacy_label_name(&label.name) {
            let text = format!("{:?} is not a valid label name", label.name);
            problems.add(&format!("{at}.labels[{place}].name"), text);
        }
    }
    let labels = one.labels.as_ref();
    Step {
        expect: expect.and_then(|text| problems.regex(&format!("{at}.expect"), text)),
        expect_bytes: one.expect_bytes.clone().into_bytes(),
        labels: labels.map(|list| {
            list.iter().map(|label| (label.name.clone(), label.value.clone())).collect()
        }),
        send: one.send.clone(),
        starttls: one.starttls,
    }
}

fn icmp(settings: &IcmpProbeSettings, problems: &mut Problems) -> ProbeKind {
    let ttl = match settings.ttl {
        None | Some(0) => TTL,
        Some(ttl) => u8::try_from(ttl).unwrap_or_else(|_| {
            let word = if ttl < 0 { "cannot be negative" } else { "cannot exceed 255" };
            problems.add("icmp.ttl", format!("\"ttl\" {word}"));
            TTL
        }),
    };
    let payload_bytes = settings.payload_size.filter(|size| *size != 0).and_then(|size| {
        let fitting = usize::try_from(size).ok().filter(|size| *size <= PAYLOAD_BYTES_MAX);
        if fitting.is_none() {
            let text = format!("payload_size {size} is not between 0 and {PAYLOAD_BYTES_MAX}");
            problems.add("icmp.payload_size", text);
        }
        fitting
    });
    ProbeKind::Icmp(IcmpProbe {
        family: problems.family(
            "icmp",
            &settings.preferred_ip_protocol,
            settings.ip_protocol_fallback,
        ),
        source: problems.address("icmp.source_ip_address", &settings.source_ip_address),
        payload_bytes,
        dont_fragment: settings.dont_fragment,
        ttl,
    })
}

fn dns(settings: &DnsProbeSettings, problems: &mut Problems) -> ProbeKind {
    if settings.query_name.is_empty() {
        problems.add("dns", "query name must be set for DNS module");
    } else if let Err(text) = check_query_name(&settings.query_name) {
        problems.add("dns.query_name", text);
    }
    let over_tcp = match settings.transport_protocol.as_str() {
        "" | "udp" => false,
        "tcp" => true,
        other => {
            let text = format!("transport protocol {other:?} is neither \"udp\" nor \"tcp\"");
            problems.add("dns.transport_protocol", text);
            false
        }
    };
    if settings.dns_over_tls && !over_tcp {
        problems.add("dns.dns_over_tls", "expected transport protocol tcp for DNS over TLS");
    }
    let or = |text: &str, default: &str| if text.is_empty() { default } else { text }.to_owned();
    let class = or(&settings.query_class, "IN");
    let kind = or(&settings.query_type, "ANY");
    let noerror = vec!["NOERROR".to_owned()];
    let mut valid_rcodes = Vec::new();
    for (place, name) in settings.valid_rcodes.as_ref().unwrap_or(&noerror).iter().enumerate() {
        let at = format!("dns.valid_rcodes[{place}]");
        valid_rcodes.push(problems.number(&at, "rcode", name, &RCODES));
    }
    ProbeKind::Dns(Box::new(DnsProbe {
        family: problems.family(
            "dns",
            &settings.preferred_ip_protocol,
            settings.ip_protocol_fallback,
        ),
        source: problems.address("dns.source_ip_address", &settings.source_ip_address),
        over_tcp,
        over_tls: settings.dns_over_tls,
        tls: settings.tls_config.clone().unwrap_or_default(),
        class: problems.number("dns.query_class", "query class", &class, &CLASSES),
        name: settings.query_name.clone(),
        kind: problems.number("dns.query_type", "query type", &kind, &RECORD_TYPES),
        recursion_desired: settings.recursion_desired.unwrap_or(true),
        valid_rcodes,
        answer: records("dns.validate_answer_rrs", &settings.validate_answer_rrs, problems),
        authority: records(
            "dns.validate_authority_rrs",
            &settings.validate_authority_rrs,
            problems,
        ),
        additional: records(
            "dns.validate_additional_rrs",
            &settings.validate_additional_rrs,
            problems,
        ),
    }))
}

/// RFC 1035, section 2.3.4: labels of 63 bytes, names of 255 with their lengths.
fn check_query_name(name: &str) -> Result<(), String> {
    let bare = name.trim_end_matches('.');
    let too_long = bare.len() > 253 || bare.split('.').any(|label| label.len() > 63);
    let has_empty = !bare.is_empty() && bare.split('.').any(str::is_empty);
    if too_long || has_empty { Err(format!("{name:?} is no name of DNS")) } else { Ok(()) }
}

fn records(at: &str, settings: &RecordCheckSettings, problems: &mut Problems) -> RecordCheck {
    let mut list = |key: &str, list: &[Scalar]| problems.regexes(&format!("{at}.{key}"), list);
    RecordCheck {
        fail_if_matches: list("fail_if_matches_regexp", &settings.fail_if_matches_regexp),
        fail_if_all_match: list("fail_if_all_match_regexp", &settings.fail_if_all_match_regexp),
        fail_if_not_matches: list(
            "fail_if_not_matches_regexp",
            &settings.fail_if_not_matches_regexp,
        ),
        fail_if_none_matches: list(
            "fail_if_none_matches_regexp",
            &settings.fail_if_none_matches_regexp,
        ),
    }
}
