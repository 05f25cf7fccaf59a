//! The same probes by the real blackbox_exporter, where it is installed: names, labels, help and
//! values of all metrics are equal, but for times.
//!
//! Debian's is 0.23. What later releases added is looked at here alone: `probe_timeout_seconds`,
//! `probe_failed_due_to_bytes`, `probe_tls_cipher_info`, `body_file`, the label `serialnumber` of
//! `probe_ssl_last_chain_info`, and that a connection that fails tells nothing of expressions.

use super::live::{Real, ask, escaped, flag};
use super::probe_servers::{
    dns_server, http_server, line_server, proxy_server, silent_server, tls_server,
};
use super::{Scene, values};
use std::path::Path;
use std::sync::Arc;
use watchbell::api::{Api, ApiSettings, Origin, Request, Response, handle};
use watchbell::service::Service;
use watchbell::sys::metrics::Registry;
use watchbell::wire::Core as _;

/// A blackbox_exporter with the modules of this scene.
fn real(scene: &Scene) -> Option<Real> {
    let modules = flag("--config.file", &scene.folder.path().join("blackbox.yml"));
    let args = [modules, "--web.listen-address=127.0.0.1:0".to_owned()];
    Real::start("prometheus-blackbox-exporter", &args)
}

/// Status and body of its answer.
fn answer_of(real: &Real, query: &str) -> (u16, String) {
    let (status, _, body) = ask(real.address, "GET", &format!("/probe?{query}"), &[], b"");
    (status, body)
}

fn ours(api: &Ours, query: &str) -> (u16, String) {
    let response = handle(&api.api, &Request::get(&format!("/probe?{query}")));
    (response.status, String::from_utf8(response.body).expect("text"))
}

/// Metrics of releases after Debian's.
const LATER: [&str; 3] =
    ["probe_timeout_seconds", "probe_failed_due_to_bytes", "probe_tls_cipher_info"];

/// The lines of an answer without what differs by time or release, sorted.
fn comparable(text: &str, leaves_out: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
        let name = name.split(['{', ' ']).next().expect("a name");
        if LATER.contains(&name) || leaves_out.contains(&name) {
            continue;
        }
        let is_time =
            name.ends_with("_duration_seconds") || name == "probe_dns_lookup_time_seconds";
        let line = match line.rsplit_once(' ') {
            Some((series, _)) if is_time && !line.starts_with('#') => format!("{series} some"),
            _ => without_serial(line),
        };
        lines.push(line);
    }
    lines.sort();
    lines
}

fn without_serial(line: &str) -> String {
    let Some((before, rest)) = line.split_once("serialnumber=\"") else { return line.to_owned() };
    let (_, after) = rest.split_once('"').expect("a closed quote");
    let after = after.strip_prefix(',').unwrap_or(after);
    format!("{before}{after}")
}

/// One question to both.
struct Case {
    module: &'static str,
    target: String,
    /// More of the query.
    more: &'static str,
    /// `probe_success`.
    success: bool,
    leaves_out: &'static [&'static str],
}

fn case(module: &'static str, target: impl Into<String>, success: bool) -> Case {
    Case { module, target: target.into(), more: "", success, leaves_out: &[] }
}

/// A service behind its API.
struct Ours {
    api: Api,
    service: Arc<Service>,
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.service.close();
    }
}

/// A service whose modules are those of a `blackbox.yml`.
fn started(scene: &Scene, modules: &str, section: &str) -> Ours {
    let folder = scene.folder.path();
    std::fs::write(folder.join("blackbox.yml"), modules).expect("writes");
    let config = format!("watchbell:\n  probing: {{config_file: blackbox.yml}}\n{section}");
    std::fs::write(folder.join("p.yml"), config).expect("writes");
    let service = scene.start();
    let clock = Arc::new(scene.clock.clone());
    let api = Api::new(service.clone(), ApiSettings::default(), Registry::new(), clock);
    Ours { api, service }
}

/// Asks both, and holds the answers against each other.
fn compare(modules: &str, cases: &[Case]) {
    let scene = Scene::new();
    let api = started(&scene, modules, "");
    let real = real(&scene);
    let mut wrong = Vec::new();
    for one in cases {
        let query = format!("module={}&target={}{}", one.module, escaped(&one.target), one.more);
        let (status, found) = ours(&api, &query);
        assert_eq!(status, 200, "{query}: {found}");
        let expected = format!("\nprobe_success {}\n", u8::from(one.success));
        let log = || ours(&api, &format!("{query}&debug=true")).1;
        assert!(found.contains(&expected), "{} {}: {}", one.module, one.target, log());
        let Some(real) = &real else { continue };
        let (status, theirs) = answer_of(real, &query);
        assert_eq!(status, 200, "{query}: {theirs}");
        let (mut left, mut right) =
            (comparable(&found, one.leaves_out), comparable(&theirs, one.leaves_out));
        let same: Vec<String> = left.iter().filter(|line| right.contains(line)).cloned().collect();
        left.retain(|line| !same.contains(line));
        right.retain(|line| !same.contains(line));
        if left != right {
            wrong.push(format!("{} {}: {left:?} and not {right:?}", one.module, one.target));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{} probes, compared: {}", cases.len(), real.is_some());
}

const HTTP_MODULES: &str = r#"
modules:
  plain: {prober: http, http: {preferred_ip_protocol: ip4}}
  codes: {prober: http, http: {valid_status_codes: [404, 302], no_follow_redirects: true}}
  still: {prober: http, http: {follow_redirects: false}}
  post: {prober: http, http: {method: POST, body: 'a=b', headers: {Content-Type: text/x, X-Own: own}}}
  post_empty: {prober: http, http: {method: POST}}
  head: {prober: http, http: {method: HEAD}}
  named: {prober: http, http: {headers: {Host: named.example, User-Agent: own}}}
  basic: {prober: http, http: {basic_auth: {username: u, password: p}}}
  bearer: {prober: http, http: {bearer_token: t}}
  versions: {prober: http, http: {valid_http_versions: [HTTP/1.0, HTTP/2.0]}}
  ssl: {prober: http, http: {fail_if_not_ssl: true}}
  matches: {prober: http, http: {fail_if_body_matches_regexp: ['b.dy', 'error']}}
  not_matches: {prober: http, http: {fail_if_body_not_matches_regexp: ['b.dy', '(?i)WITH']}}
  header: {prober: http, http: {fail_if_header_matches: [{header: x-test, regexp: '^bad'}]}}
  header_missing: {prober: http, http: {fail_if_header_matches: [{header: X-None, regexp: x, allow_missing: true}], fail_if_header_not_matches: [{header: X-Test, regexp: good}]}}
  header_absent: {prober: http, http: {fail_if_header_not_matches: [{header: X-None, regexp: x}]}}
  gzip: {prober: http, http: {compression: gzip, headers: {Accept-Encoding: 'gzip, *;q=0.1'}, fail_if_body_not_matches_regexp: [packed]}}
  deflate: {prober: http, http: {compression: deflate}}
  short: {prober: http, http: {body_size_limit: 4B}}
  fits: {prober: http, http: {body_size_limit: 1KB}}
  quick: {prober: http, timeout: 300ms}
  v6: {prober: http, http: {preferred_ip_protocol: ip6, ip_protocol_fallback: false}}
"#;

#[test]
fn http_probes_are_those_of_the_real_one() {
    let at = http_server();
    let url = |path: &str| format!("http://{at}{path}");
    let silent = silent_server();
    let cases = vec![
        case("plain", url("/"), true),
        case("plain", at.clone(), true),
        case("plain", url("/chunked"), true),
        case("plain", url("/until-close"), true),
        case("plain", url("/modified"), true),
        case("plain", url("/204"), true),
        case("plain", url("/404"), false),
        case("plain", url("/500"), false),
        case("codes", url("/404"), true),
        case("codes", url("/200"), false),
        case("codes", url("/to/200"), true),
        case("still", url("/to/200"), false),
        case("plain", url("/to/to/200"), true),
        case("plain", url("/away"), true),
        case("plain", url("/loop"), false),
        case("plain", url("/nowhere"), false),
        case("plain", url("/no-location"), false),
        case("plain", url("/cookie"), true),
        case("post", url("/echo"), true),
        case("post_empty", url("/echo"), true),
        case("post", url("/to/echo"), true),
        case("post", url("/keep/echo"), true),
        case("head", url("/"), true),
        case("named", url("/named"), true),
        case("plain", url("/named"), false),
        Case { more: "&hostname=named.example", ..case("plain", url("/named"), true) },
        Case { more: "&hostname=named.example", ..case("named", url("/named"), true) },
        case("basic", url("/basic"), true),
        case("plain", url("/basic"), false),
        case("plain", format!("http://u:p@{at}/basic"), true),
        case("bearer", url("/bearer"), true),
        case("versions", url("/"), false),
        case("versions", url("/old"), true),
        case("ssl", url("/"), false),
        case("matches", url("/"), false),
        case("matches", url("/chunked"), true),
        case("not_matches", url("/"), true),
        case("not_matches", url("/chunked"), false),
        case("not_matches", url("/404"), false),
        case("header", url("/header/bad"), false),
        case("header", url("/header/good"), true),
        case("header", url("/"), false),
        case("header_missing", url("/header/good"), true),
        case("header_missing", url("/header/bad"), false),
        case("header_absent", url("/"), false),
        case("gzip", url("/gzip"), true),
        case("deflate", url("/deflate"), true),
        case("deflate", url("/gzip"), false),
        case("short", url("/"), false),
        case("fits", url("/"), true),
        case("plain", url("/cut"), false),
        case("plain", url("/nothing"), false),
        case("plain", url("/nonsense"), false),
        case("quick", format!("http://{silent}/"), false),
        case("v6", url("/"), false),
        case("plain", "http://127.0.0.1:1/", false),
        case("plain", "http://surely.invalid:1/", false),
    ];
    compare(HTTP_MODULES, &cases);
}

const TLS_MODULES: &str = r#"
modules:
  trusting: {prober: http, http: {tls_config: {ca_file: CA_FILE, server_name: target.example}}}
  http1: {prober: http, http: {enable_http2: false, fail_if_not_ssl: true, tls_config: {ca_file: CA_FILE, server_name: target.example}}}
  by_header: {prober: http, http: {headers: {Host: target.example}, tls_config: {ca_file: CA_FILE}}}
  careless: {prober: http, http: {tls_config: {insecure_skip_verify: true}}}
  strict: {prober: http}
  other: {prober: http, http: {tls_config: {ca_file: CA_FILE, server_name: other.example}}}
  never: {prober: http, http: {fail_if_ssl: true, tls_config: {insecure_skip_verify: true}}}
  tcp: {prober: tcp, tcp: {tls: true, tls_config: {ca_file: CA_FILE, server_name: target.example}}}
  tcp_careless: {prober: tcp, tcp: {tls: true, tls_config: {insecure_skip_verify: true}}}
  tcp_strict: {prober: tcp, tcp: {tls: true}}
  upgrade: {prober: tcp, tcp: {query_response: [{expect: '^220'}, {send: 'STARTTLS'}, {expect: '^220 go'}, {starttls: true}, {send: hello}, {expect: '^hello'}], tls_config: {ca_file: CA_FILE, server_name: target.example}}}
"#;

#[test]
fn tls_probes_are_those_of_the_real_one() {
    let ca = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls/ca.pem");
    let modules = TLS_MODULES.replace("CA_FILE", &ca.display().to_string());
    let (both, http1) = (tls_server(&[b"h2", b"http/1.1"]), tls_server(&[b"http/1.1"]));
    let upgrade = line_server();
    let plain = http_server();
    // What stands in later releases only after a connection.
    const UNCONNECTED: &[&str] = &["probe_failed_due_to_regex"];
    let cases = vec![
        case("trusting", format!("https://{http1}/"), true),
        case("trusting", format!("https://{both}/"), true),
        case("http1", format!("https://{both}/"), true),
        case("by_header", format!("https://{both}/"), true),
        case("careless", format!("https://{both}/"), true),
        case("strict", format!("https://{both}/"), false),
        case("other", format!("https://{both}/"), false),
        case("never", format!("https://{both}/"), false),
        case("trusting", format!("https://{plain}/"), false),
        case("tcp", both.clone(), true),
        case("tcp_careless", both.clone(), true),
        Case { leaves_out: UNCONNECTED, ..case("tcp_strict", both.clone(), false) },
        case("upgrade", upgrade, true),
    ];
    compare(&modules, &cases);
}

const WAY_MODULES: &str = r#"
modules:
  token: {prober: http, http: {preferred_ip_protocol: ip4, oauth2: {client_id: i, client_secret: s, scopes: [a, b], token_url: 'http://SERVER/issue'}}}
  no_token: {prober: http, http: {preferred_ip_protocol: ip4, oauth2: {client_id: i, client_secret: wrong, token_url: 'http://SERVER/issue'}}}
  proxy: {prober: http, http: {preferred_ip_protocol: ip4, proxy_url: 'http://u:p@PROXY', proxy_connect_header: {X-Way: [k3y]}, tls_config: {ca_file: CA_FILE, server_name: target.example}}}
  refused: {prober: http, http: {preferred_ip_protocol: ip4, proxy_url: 'http://u:wrong@PROXY', tls_config: {insecure_skip_verify: true}}}
  by_name: {prober: http, http: {preferred_ip_protocol: ip4, proxy_url: 'http://u:p@PROXY', skip_resolve_phase_with_proxy: true}}
  nobody: {prober: http, http: {preferred_ip_protocol: ip4, proxy_url: 'http://127.0.0.1:1'}}
"#;

#[test]
fn http_probes_with_tokens_and_proxies_are_those_of_the_real_one() {
    let ca = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls/ca.pem");
    let (server, tls) = (http_server(), tls_server(&[b"http/1.1"]));
    let proxy = proxy_server(&[("far.example", &server), ("far.example:80", &server)]);
    let modules = WAY_MODULES
        .replace("SERVER", &server)
        .replace("PROXY", &proxy)
        .replace("CA_FILE", &ca.display().to_string());
    let url = |path: &str| format!("http://{server}{path}");
    let cases = vec![
        case("token", url("/bearer"), true),
        case("token", url("/to/bearer"), true),
        case("no_token", url("/bearer"), false),
        case("proxy", url("/"), true),
        case("proxy", url("/to/to/200"), true),
        case("proxy", url("/404"), false),
        case("proxy", format!("https://{tls}/"), true),
        case("refused", url("/"), false),
        case("refused", format!("https://{tls}/"), false),
        case("by_name", "http://far.example/", true),
        case("by_name", "http://far.example/to/200", true),
        case("nobody", url("/"), false),
    ];
    compare(&modules, &cases);
}

#[test]
fn hosts_of_no_proxy_are_reached_without_and_a_proxy_sees_no_more_than_its_own() {
    let scene = Scene::new();
    let server = http_server();
    let proxy = proxy_server(&[]);
    let http = |keys: &str| {
        format!("{{prober: http, http: {{proxy_url: 'http://u:PASSWORD@{proxy}', {keys}}}}}")
    };
    let modules = format!(
        "modules:\n  address: {}\n  name: {}\n  leak: {}\n",
        http("no_proxy: 127.0.0.0/8").replace("PASSWORD", "wrong"),
        http("no_proxy: localhost, preferred_ip_protocol: ip4").replace("PASSWORD", "wrong"),
        http("proxy_connect_header: {X-Way: [k3y]}, fail_if_body_matches_regexp: [X-Leaked]")
            .replace("PASSWORD", "p"),
    );
    let api = started(&scene, &modules, "");
    let by_name = server.replace("127.0.0.1", "localhost");
    for (module, target) in [("address", &server), ("name", &by_name), ("leak", &server)] {
        let query = format!("module={module}&target={}", escaped(&format!("http://{target}/seen")));
        let (_, text) = ours(&api, &format!("{query}&debug=true"));
        assert!(text.contains("\nprobe_success 1\n"), "{module}: {text}");
        assert!(text.contains("u:xxxxx@") && !text.contains("k3y"), "{text}");
    }
}

const TCP_MODULES: &str = r#"
modules:
  connect: {prober: tcp}
  v4: {prober: tcp, tcp: {preferred_ip_protocol: ip4, source_ip_address: 127.0.0.1}}
  banner: {prober: tcp, tcp: {query_response: [{expect: '^220 '}]}}
  talk: {prober: tcp, tcp: {query_response: [{expect: '^220 (\S+) (?P<word>\S+)'}, {send: 'ECHO one'}, {expect: '^ec(ho) (one)$', send: 'ECHO ${2}-$1$$'}, {expect: '^echo one-ho[$]$'}]}}
  wrong: {prober: tcp, tcp: {query_response: [{expect: '^220 '}, {send: QUIT}, {expect: never}]}}
  silent: {prober: tcp, timeout: 300ms, tcp: {query_response: [{expect: '^220 '}]}}
"#;

#[test]
fn tcp_probes_are_those_of_the_real_one() {
    let (lines, silent) = (line_server(), silent_server());
    const UNCONNECTED: &[&str] = &["probe_failed_due_to_regex"];
    let cases = vec![
        case("connect", lines.clone(), true),
        case("v4", lines.clone(), true),
        case("banner", lines.clone(), true),
        case("talk", lines.clone(), true),
        case("wrong", lines.clone(), false),
        case("silent", silent, false),
        Case { leaves_out: UNCONNECTED, ..case("connect", "127.0.0.1:1", false) },
        Case { leaves_out: UNCONNECTED, ..case("connect", "127.0.0.1", false) },
    ];
    compare(TCP_MODULES, &cases);
}

const DNS_MODULES: &str = r#"
modules:
  a: {prober: dns, dns: {query_name: a.example, query_type: A}}
  a_tcp: {prober: dns, dns: {query_name: a.example, query_type: A, transport_protocol: tcp, preferred_ip_protocol: ip4}}
  any: {prober: dns, dns: {query_name: a.example.}}
  soa: {prober: dns, dns: {query_name: example, query_type: SOA, recursion_desired: false}}
  mx: {prober: dns, dns: {query_name: mx.example, query_type: MX, validate_answer_rrs: {fail_if_not_matches_regexp: ["^mx\\.example\\.\t60\tIN\tMX\t10 m\\.example\\.$"]}}}
  txt: {prober: dns, dns: {query_name: txt.example, query_type: TXT, validate_answer_rrs: {fail_if_none_matches_regexp: ["TXT\t\"say \\\\\"hi\\\\\"\" \"\\\\255\"$"]}}}
  srv: {prober: dns, dns: {query_name: srv.example, query_type: SRV, validate_answer_rrs: {fail_if_matches_regexp: [tcp], fail_if_not_matches_regexp: ["SRV\t1 2 80 w\\."]}}}
  aaaa: {prober: dns, dns: {query_name: aaaa.example, query_type: AAAA, validate_answer_rrs: {fail_if_not_matches_regexp: ["AAAA\t2001:db8::1$"]}}}
  caa: {prober: dns, dns: {query_name: caa.example, query_type: CAA, validate_answer_rrs: {fail_if_not_matches_regexp: ['CAA	0 issue "ca"$']}}}
  odd: {prober: dns, dns: {query_name: odd.example, query_type: ANY, validate_answer_rrs: {fail_if_not_matches_regexp: ['TYPE4711	\\# 2 01ab$']}}}
  matches: {prober: dns, dns: {query_name: a.example, query_type: A, validate_answer_rrs: {fail_if_matches_regexp: ['10\.0\.0\.2']}}}
  all: {prober: dns, dns: {query_name: a.example, query_type: A, validate_answer_rrs: {fail_if_all_match_regexp: ['10\.0\.0\.']}}}
  not_all: {prober: dns, dns: {query_name: a.example, query_type: A, validate_answer_rrs: {fail_if_all_match_regexp: ['10\.0\.0\.2']}}}
  none: {prober: dns, dns: {query_name: none.example, query_type: A, validate_answer_rrs: {fail_if_not_matches_regexp: ['.']}}}
  empty: {prober: dns, dns: {query_name: none.example, query_type: A}}
  nx: {prober: dns, dns: {query_name: nx.example, query_type: A}}
  nx_valid: {prober: dns, dns: {query_name: nx.example, query_type: A, valid_rcodes: [NXDOMAIN], validate_authority_rrs: {fail_if_not_matches_regexp: ["SOA\tns\\. h\\. 7 1 2 3 4$"]}}}
  missing: {prober: dns, dns: {query_name: missing.example, query_type: A}}
  cut: {prober: dns, dns: {query_name: cut.example, query_type: A}}
  hang: {prober: dns, timeout: 300ms, dns: {query_name: hang.example, query_type: A}}
"#;

#[test]
fn dns_probes_are_those_of_the_real_one() {
    let at = dns_server();
    let names = [
        ("a", true),
        ("a_tcp", true),
        ("any", true),
        ("soa", true),
        ("mx", true),
        ("txt", true),
        ("srv", true),
        ("aaaa", true),
        ("caa", true),
        ("odd", true),
        ("matches", false),
        ("all", true),
        ("not_all", false),
        ("none", false),
        ("empty", true),
        ("nx", false),
        ("nx_valid", true),
        ("missing", true),
        ("cut", false),
        ("hang", false),
    ];
    let cases: Vec<Case> =
        names.into_iter().map(|(module, success)| case(module, at.clone(), success)).collect();
    compare(DNS_MODULES, &cases);
}

const ICMP_MODULES: &str = r#"
modules:
  icmp: {prober: icmp}
  long: {prober: icmp, icmp: {payload_size: 1000, ttl: 3, preferred_ip_protocol: ip4}}
  whole: {prober: icmp, icmp: {dont_fragment: true, payload_size: 4}}
"#;

#[test]
fn echoes_are_those_of_the_real_one() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let terms = watchbell::sys::dial::EchoTerms {
        to: [127, 0, 0, 1].into(),
        from: None,
        hops: 64,
        whole: false,
        payload: Vec::new(),
        id: 1,
        sequence: 1,
    };
    let echo = runtime.expect("a runtime").block_on(watchbell::sys::dial::echo(&terms));
    let hops = match echo {
        Ok(reply) => reply.hops,
        Err(err) => {
            println!("skipped: {err}");
            return;
        }
    };
    // The hops of ping sockets are not read here, of which upstream knows some.
    let leaves_out: &[&str] = if hops.is_some() { &[] } else { &["probe_icmp_reply_hop_limit"] };
    let cases: Vec<Case> = ["icmp", "long", "whole"]
        .into_iter()
        .map(|module| Case { leaves_out, ..case(module, "127.0.0.1", true) })
        .collect();
    compare(ICMP_MODULES, &cases);
}

#[test]
fn questions_that_cannot_be_answered_are_refused_as_upstream_does() {
    let scene = Scene::new();
    let modules =
        "modules: {http_2xx: {prober: http}, named: {prober: http, http: {headers: {host: a}}}}";
    let api = started(&scene, modules, "");
    let real = real(&scene);
    for (query, text) in [
        ("", "Target parameter is missing"),
        ("module=http_2xx", "Target parameter is missing"),
        ("module=x&target=y", "Unknown module \"x\""),
        (
            "module=named&target=y&hostname=b",
            "host header defined both in module configuration (a)",
        ),
    ] {
        let found = ours(&api, query);
        assert_eq!(found.0, 400, "{query}");
        assert!(found.1.starts_with(text), "{query}: {found:?}");
        if let Some(real) = &real {
            assert_eq!(found, answer_of(real, query), "{query}");
        }
    }
}

#[test]
fn later_releases_metrics_are_there_and_times_are_upstream_s() {
    let scene = Scene::new();
    let ca = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls/ca.pem");
    let modules = format!(
        "modules:\n  tls: {{prober: http, timeout: 7s, http: {{tls_config: {{ca_file: {}, \
         server_name: target.example}}}}}}\n  \
         bytes: {{prober: tcp, tcp: {{query_response: [{{expect: '^220 (.*) ready', labels: [{{name: \
         word, value: 'a $1'}}]}}, {{send: ECHO x}}, {{expect_bytes: nope}}]}}}}\n  \
         file: {{prober: http, http: {{method: PUT, body_file: body.txt}}}}\n",
        ca.display()
    );
    let api = started(&scene, &modules, "");
    let at = tls_server(&[b"http/1.1"]);
    let query = format!("module=tls&target=https://{at}/");
    let ask = |patience: &str| {
        let header = ("x-prometheus-scrape-timeout-seconds".to_owned(), patience.to_owned());
        let request = Request::get(&format!("/probe?{query}"));
        let response = handle(&api.api, &Request { headers: vec![header], ..request });
        (response.status, String::from_utf8(response.body).expect("text"))
    };
    for (patience, seconds) in
        [("", "7"), ("10", "7"), ("7.5", "7"), ("5", "4.5"), ("0.2", "7"), ("0", "7")]
    {
        let (_, text) = ask(patience);
        let line = format!("\nprobe_timeout_seconds {seconds}\n");
        assert!(text.contains(&line), "{patience:?}: {text}");
        assert!(text.contains("\nprobe_success 1\n"), "{text}");
        assert!(text.contains("serialnumber=\"01\""), "{text}");
        assert!(text.contains("\nprobe_tls_cipher_info{cipher=\"TLS_"), "{text}");
    }
    assert_eq!(ask("soon").0, 500);
    let (_, text) = ours(&api, &format!("module=bytes&target={}", line_server()));
    assert!(text.contains("\nprobe_failed_due_to_bytes 1\n"), "{text}");
    assert!(text.contains("\nprobe_expect_info{word=\"a mail\"} 1\n"), "{text}");
    std::fs::write(scene.folder.path().join("body.txt"), "from a file").expect("writes");
    let (_, text) = ours(&api, &format!("module=file&target=http://{}/body", http_server()));
    assert!(text.contains("\nprobe_success 1\n"), "{text}");
}

#[test]
fn other_hosts_may_have_probed_what_is_listed_and_pages_nothing() {
    let scene = Scene::new();
    let at = http_server();
    let listed = format!("  probes: [{{target: 'http://{at}/', module: plain}}]\n");
    let api = started(&scene, "modules: {plain: {prober: http}, other: {prober: http}}", &listed);
    let there = Origin::Tcp { local: [192, 0, 2, 1].into(), peer: [192, 0, 2, 2].into() };
    let here = Origin::Tcp { local: [127, 0, 0, 1].into(), peer: [127, 0, 0, 1].into() };
    let ask = |origin, query: &str, headers: &[(&str, &str)]| -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let request = Request::get(&format!("/probe?{query}"));
        handle(&api.api, &Request { origin, headers: headers.collect(), ..request })
    };
    let own = format!("module=plain&target=http://{at}/");
    for (origin, query, headers, status) in [
        (there, own.clone(), &[][..], 200),
        (there, format!("{own}&hostname=x"), &[], 403),
        (there, format!("{own}&debug=true"), &[], 403),
        (there, format!("module=other&target=http://{at}/"), &[], 403),
        (there, format!("module=plain&target=http://{at}/404"), &[], 403),
        (here, format!("module=other&target=http://{at}/404"), &[], 200),
        (here, own.clone(), &[("sec-fetch-site", "cross-site")], 403),
        (here, own.clone(), &[("origin", "http://evil.example")], 403),
        (here, own.clone(), &[("host", "evil.example")], 403),
        (Origin::Socket, own, &[], 200),
    ] {
        let response = ask(origin, &query, headers);
        let text = String::from_utf8_lossy(&response.body).into_owned();
        assert_eq!(response.status, status, "{origin:?} {query} {headers:?}: {text}");
    }
}

#[test]
fn listed_probes_become_series_of_their_own_job() {
    let scene = Scene::new();
    let at = http_server();
    let listed = format!(
        "  probes:\n  - {{target: 'http://{at}/', module: plain, labels: {{team: a}}, interval: 1s}}\n  \
         - {{target: 'http://{at}/404', module: plain, job: web, interval: 2s}}\n"
    );
    let api = started(&scene, "modules: {plain: {prober: http}}", &listed);
    let service = &api.service;
    let value = |expr: &str| values(service.as_ref(), expr).first().copied();
    scene.until(service, "both are probed", |_| value("count(probe_success) == 2").is_some());
    let good = format!("probe_success{{job=\"probe\", team=\"a\", instance=\"http://{at}/\"}}");
    assert_eq!(value(&good), Some(1.0));
    let bad = format!("probe_success{{job=\"web\", instance=\"http://{at}/404\"}}");
    assert_eq!(value(&bad), Some(0.0));
    assert_eq!(value("probe_http_status_code{job=\"web\"}"), Some(404.0));
    assert_eq!(value("sum(up{job=~\"probe|web\"})"), Some(2.0));
    let targets = service.targets(watchbell::wire::TargetState::Active, Some("web"));
    let targets = targets.expect("answers").active_targets;
    assert_eq!(targets.len(), 1);
    assert_eq!(targets[0].scrape_interval, "2s");
    assert!(targets[0].scrape_url.starts_with("watchbell:probe?module=plain&target=http://"));
}
