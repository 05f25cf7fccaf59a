//! What hostile clients may not do to the others.

use crate::fixture::{Servers, raw, read_answer, talk};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use watchbell::api::ApiSettings;
use watchbell::api::tcp::TcpLimits;

const PROBE: &[u8] = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

fn limited(change: impl FnOnce(&mut TcpLimits)) -> Servers {
    let mut limits = TcpLimits::default();
    change(&mut limits);
    Servers::start(ApiSettings::default(), limits)
}

#[test]
fn two_lengths_are_refused_in_either_order() {
    let servers = Servers::usual();
    let (length, coding) = ("Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n");
    for (first, second) in [(length, coding), (coding, length)] {
        let text = format!(
            "POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\n{first}{second}\r\n0\r\n\r\n"
        );
        assert_eq!(servers.over_tcp(text.as_bytes()).status, 400, "{first}");
        assert_eq!(servers.over_socket(text.as_bytes()).status, 400, "{first}");
    }
}

#[test]
fn t75_chunked_bodies_work_and_end_the_connection() {
    let servers = Servers::usual();
    let text = b"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nquery=1\r\n0\r\n\r\n";
    let seen = servers.over_tcp(text);
    assert_eq!((seen.status, seen.header("connection")), (200, Some("close")));
    assert!(seen.body.contains("scalar"), "{}", seen.body);
    assert_eq!(servers.over_socket(text).body, seen.body);
}

#[test]
fn a_target_may_have_the_bytes_that_go_takes() {
    let servers = Servers::usual();
    let told = "InstantQuery { expr: \"count(up{job=\\\"ä<>|^`\\\\\\\"}) #\"";
    let text = raw("GET", "/api/v1/query?query=count(up{job=\"ä<>|^`\\\"})+#", &[], "");
    let mut kept = TcpStream::connect(servers.tcp).expect("connects");
    // The second goes over a connection that is kept, after a body.
    let body = "query=%22\"<>\"";
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let posted = raw("POST", "/api/v1/query", &form, body);
    for bytes in [&text, &posted, &text] {
        let bytes = String::from_utf8_lossy(bytes).replace("Connection: close\r\n", "");
        kept.write_all(bytes.as_bytes()).expect("writes");
        assert_eq!(read_answer(&mut kept).status, 200);
    }
    let ascii = String::from_utf8_lossy(&text).replace('ä', "%C3%A4");
    assert_eq!(servers.over_socket(ascii.as_bytes()).status, 200);
    let seen = servers.core.told();
    let exprs: Vec<_> = seen.iter().map(|told| told.starts_with("InstantQuery")).collect();
    assert_eq!(exprs, [true; 4], "{seen:?}");
    for at in [0, 2, 3] {
        assert!(seen[at].starts_with(told), "{}", seen[at]);
    }
    assert!(seen[1].contains("expr: \"\\\"\\\"<>\\\"\""), "{}", seen[1]);
}

#[test]
fn giant_heads_are_refused() {
    let servers = Servers::usual();
    let long = raw("GET", "/-/healthy", &[("X-Long", &"a".repeat(20 << 10))], "");
    assert_eq!(servers.over_tcp(&long).status, 431);
    let names: Vec<String> = (0..101).map(|n| format!("X-{n}")).collect();
    let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    assert_eq!(servers.over_tcp(&raw("GET", "/-/healthy", &headers, "")).status, 431);
    assert_eq!(servers.over_tcp(PROBE).status, 200);
}

#[test]
fn a_slow_head_loses_its_connection_and_others_do_not_notice() {
    let servers = limited(|limits| limits.header_deadline = Duration::from_millis(50));
    let mut slow = TcpStream::connect(servers.tcp).expect("connects");
    slow.write_all(b"GET /-/healthy HTTP/1.1\r\nHost:").expect("writes");
    assert_eq!(servers.over_tcp(PROBE).status, 200);
    let mut rest = Vec::new();
    // Ends with the server's close; the test would hang without a deadline.
    let _ = slow.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
}

#[test]
fn a_slow_body_is_given_up() {
    let servers = limited(|limits| limits.body_deadline = Duration::from_millis(50));
    let text = b"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nque";
    assert_eq!(servers.over_tcp(text).status, 408);
}

#[test]
fn long_bodies_are_refused_by_their_announcement_and_by_their_bytes() {
    let servers = limited(|limits| limits.body_bytes_max = 2000);
    let announced =
        b"POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30000000000\r\n\r\n";
    let mut chunked = b"POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n".to_vec();
    chunked.extend(vec![b'a'; 0xfff]);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    for bytes in [&announced[..], &chunked] {
        assert_eq!(servers.over_tcp(bytes).status, 413);
        let seen = servers.over_socket(bytes);
        assert_eq!(
            (seen.status, seen.body.as_str()),
            (413, "the body is longer than 2000 bytes\n")
        );
    }
    // tiny_http would have allocated 30 GB when it let go of the request.
    assert_eq!(servers.over_socket(PROBE).status, 200);
}

#[test]
fn the_idlest_connection_makes_room() {
    let servers = limited(|limits| limits.connections_max = 2);
    let connect = || TcpStream::connect(servers.tcp).expect("connects");
    let kept = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut first = connect();
    first.write_all(kept).expect("writes");
    assert_eq!(read_answer(&mut first).status, 200);
    let mut second = connect();
    second.write_all(kept).expect("writes");
    assert_eq!(read_answer(&mut second).status, 200);
    assert_eq!(talk(connect(), PROBE).status, 200);
    assert_eq!(first.read(&mut [0]).unwrap_or(0), 0, "the idlest is closed");
    second.write_all(kept).expect("writes");
    assert_eq!(read_answer(&mut second).status, 200);
}

#[test]
fn health_targets_and_small_queries_answer_while_heavy_queries_run() {
    let servers = Servers::usual();
    let heavy = raw("GET", "/api/v1/query_range?query=block&start=0&end=1&step=1", &[], "");
    let mut waiting: Vec<_> = (0..40)
        .map(|_| {
            let mut stream = TcpStream::connect(servers.tcp).expect("connects");
            stream.write_all(&heavy).expect("writes");
            stream
        })
        .collect();
    for target in ["/-/healthy", "/api/v1/targets", "/api/v1/query?query=1"] {
        assert_eq!(servers.over_tcp(&raw("GET", target, &[], "")).status, 200, "{target}");
    }
    servers.core.release();
    for stream in &mut waiting {
        assert_eq!(read_answer(stream).status, 200);
    }
}

#[test]
fn a_query_ends_when_its_client_goes_and_its_place_is_free_again() {
    let settings = ApiSettings { query_concurrency: 1, ..ApiSettings::default() };
    let servers = Servers::start(settings, TcpLimits::default());
    // More than there are places, one after the other.
    for _ in 0..20 {
        let mut stream = TcpStream::connect(servers.tcp).expect("connects");
        stream.write_all(&raw("GET", "/api/v1/query?query=endless", &[], "")).expect("writes");
        while !servers.core.told().iter().any(|told| told.contains("endless")) {
            std::thread::yield_now();
        }
        drop(stream);
        let canceled = "canceled, asked by 127.0.0.1";
        while servers.core.told().last().is_none_or(|told| told != canceled) {
            std::thread::yield_now();
        }
        servers.core.told.lock().expect("not poisoned").clear();
    }
    assert_eq!(servers.over_tcp(&raw("GET", "/api/v1/query?query=1", &[], "")).status, 200);
}

#[test]
fn queries_are_canceled_by_those_who_may_change_things() {
    let servers = Servers::usual();
    let path = "/api/v1/watchbell/cancel_query/7";
    let foreign = [("Origin", "http://evil.example")];
    for (method, headers, status) in
        [("POST", &foreign[..], 403), ("GET", &[], 405), ("POST", &[], 204)]
    {
        assert_eq!(servers.over_tcp(&raw(method, path, headers, "")).status, status, "{method}");
    }
    assert_eq!(servers.core.told(), ["cancel 7"]);
}

#[test]
fn the_socket_is_for_its_owner_and_group_and_has_one_server() {
    use std::os::unix::fs::PermissionsExt as _;
    let servers = Servers::usual();
    let mode = std::fs::metadata(&servers.socket).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let core = std::sync::Arc::new(crate::fixture::Fixture::default());
    let api = || std::sync::Arc::new(crate::fixture::api(core.clone(), ApiSettings::default()));
    let limits = watchbell::api::socket::SocketLimits::default();
    let err = watchbell::api::socket::serve(api(), &servers.socket, limits).expect_err("held");
    assert_eq!(err.kind(), std::io::ErrorKind::AddrInUse);
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("binds"));
    let server =
        watchbell::api::socket::serve(api(), &path, limits).expect("a stale file is replaced");
    assert_eq!(talk(UnixStream::connect(&path).expect("connects"), PROBE).status, 200);
    server.stop();
    assert!(!path.exists());
}

#[test]
fn a_panic_ends_only_its_request() {
    let servers = Servers::usual();
    let bad = raw("GET", "/api/v1/query?query=panic", &[], "");
    for _ in 0..6 {
        assert_eq!(servers.over_tcp(&bad).status, 500);
        assert_eq!(servers.over_socket(&bad).status, 500);
    }
    assert_eq!(servers.over_tcp(PROBE).status, 200);
    assert_eq!(servers.over_socket(PROBE).status, 200);
}

#[test]
fn a_request_in_progress_finishes_when_the_server_stops() {
    let servers = Servers::usual();
    let mut stream = TcpStream::connect(servers.tcp).expect("connects");
    let heavy = raw("GET", "/api/v1/query_range?query=block&start=0&end=1&step=1", &[], "");
    stream.write_all(&heavy).expect("writes");
    while servers.core.told().is_empty() {
        std::thread::yield_now();
    }
    servers.stop();
    servers.core.release();
    assert_eq!(read_answer(&mut stream).status, 200);
}
