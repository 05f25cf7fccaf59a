//! `watchbell scrape` against a target on loopback that says what each case wants.

use super::{check, file, text, watchbell};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;

/// A target that gives this answer once; its address, and the head of the request.
fn target(head: &str, body: &[u8]) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let head =
        format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let answer = [head.as_bytes(), body].concat();
    let (sender, asked) = mpsc::channel();
    let serve = move || {
        let (stream, _) = listener.accept().expect("a client");
        let mut reader = BufReader::new(stream);
        let mut request = String::new();
        while reader.read_line(&mut request).is_ok_and(|len| len > 2) {}
        let _ = sender.send(request.to_ascii_lowercase());
        let _ = reader.get_mut().write_all(&answer);
    };
    watchbell::sys::tasks::spawn_thread("target", serve).expect("a thread");
    (address, asked)
}

const TEXT: &str = "200 OK\r\nContent-Type: text/plain; version=0.0.4";

#[test]
fn a_scrape_is_shown_whole() {
    let body = "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"1\"} 1\na_total{x=\"2\"} 2\n\
                b 3\n";
    let (address, asked) = target(TEXT, body.as_bytes());
    let output = watchbell(&[
        "scrape",
        &format!("http://user:canary@{address}/m?p=q"),
        "--header",
        "X-Tenant: t",
        "--timeout",
        "20s",
        "--samples",
        "2",
    ]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!((output.status.code(), err.as_str()), (Some(0), ""), "{out}");
    for part in [
        &format!("GET http://{address}/m?p=q\n"),
        "  > Accept: application/openmetrics-text;version=1.0.0;",
        "  < 200\n",
        "  < content-type: text/plain; version=0.0.4\n",
        "read as   text\n",
        &format!("body      {} B\n", body.len()),
        "samples   3, of 3 series, 0 with an exemplar\n",
        "families  1 counter, 1 unknown\n",
        "values    x 2\n",
        "\nTo mend:\n  b: no type; write # TYPE before its samples\n",
        "\nSamples:\n  a_total{x=\"1\"} 1\n  a_total{x=\"2\"} 2\n  1 more; --samples 3\n",
    ] {
        assert!(out.contains(part), "no {part:?} in {out}");
    }
    assert!(!out.contains("canary"), "{out}");
    let request = asked.recv().expect("a request");
    for part in ["get /m?p=q http/1.1", "x-tenant: t", "x-prometheus-scrape-timeout-seconds: 20\r"]
    {
        assert!(request.contains(part), "no {part:?} in {request}");
    }
}

#[test]
fn a_fault_is_told_with_line_column_and_what_to_write() {
    for (head, body, parts) in [
        (
            TEXT,
            "a 1\nb{c=\"\u{1b}[2J\"} x\n",
            [
                "FAILED: 2:13: expected a value after the metric, got \"x\"",
                "    b{c=\"\\x1b[2J\"} x\n                   ^\n",
                "write NAME{LABEL=\"VALUE\"} NUMBER",
            ],
        ),
        (
            "200 OK\r\nContent-Type: application/openmetrics-text",
            "a 1\n",
            [
                "FAILED: 2:1: data does not end with # EOF",
                "    \n    ^\n",
                "write # EOF as the last line",
            ],
        ),
        (
            "200 OK\r\nContent-Type: application/vnd.google.protobuf",
            "\u{7}",
            ["FAILED: byte 0: the message is cut short", "read as   protobuf", "samples   0,"],
        ),
        (
            "500 Internal Server Error\r\nX: \u{9b}2J",
            "oops",
            ["FAILED: server returned HTTP status 500", "  < 500\n", "GET http://"],
        ),
        ("200 OK", "a 1\n", ["FAILED: non-compliant scrape target", "blank Content-Type", "GET "]),
    ] {
        let (address, _asked) = target(head, body.as_bytes());
        let output = watchbell(&["scrape", &address]);
        let out = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{out}");
        assert!(!out.contains(['\u{1b}', '\u{9b}']), "{out:?}");
        for part in parts {
            assert!(out.contains(part), "no {part:?} in {out}");
        }
    }
    check(&["scrape", "127.0.0.1:1"], 1, "FAILED: ", "");
}

#[test]
fn samples_are_chosen_and_printed_for_programs() {
    let body = "# TYPE a gauge\na{x=\"1\"} 1 1700000000.5\na{x=\"2\"} NaN # {id=\"t\"} 1\n# EOF\n";
    let open = "200 OK\r\nContent-Type: application/openmetrics-text";
    let (address, _asked) = target(open, body.as_bytes());
    let args = ["scrape", &address, "-o", "text", "--match", "a{x=\"1\"}"];
    check(&args, 0, "a{x=\"1\"} 1 1700000000500\n", "");
    let (address, _asked) = target(open, body.as_bytes());
    let output = watchbell(&["scrape", &address, "-o", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["format"], "OpenMetrics");
    assert_eq!(json["status"], 200);
    assert_eq!(json["families"]["gauge"], 1);
    assert_eq!(json["samples"][0]["timestamp_ms"], 1_700_000_000_500_i64);
    assert_eq!(json["samples"][1]["value"], "NaN");
    assert_eq!(json["samples"][1]["exemplar"]["id"], "t");
    assert_eq!(json["error"], serde_json::Value::Null);
}

#[test]
fn a_job_of_a_file_lends_its_settings() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = "scrape_configs:\n- job_name: node\n  sample_limit: 1\n  \
                  basic_auth: {username: u, password: canary}\n  \
                  metric_relabel_configs: [{source_labels: [__name__], regex: drop, action: drop}]\n\
                  - job_name: none\n  relabel_configs: [{action: drop}]\n";
    let config = file(&folder, "p.yml", config);
    let (address, asked) = target(TEXT, b"drop 1\nkeep 1\n");
    let args = ["scrape", &address, "--config.file", &config, "--job", "node"];
    let expected = format!("  keep{{instance=\"{address}\", job=\"node\"}} 1\n");
    check(&args, 0, &expected, "");
    let request = asked.recv().expect("a request");
    assert!(request.contains("authorization: basic "), "{request}");
    let (address, _asked) = target(TEXT, b"a 1\nb 1\n");
    let args = ["scrape", &address, "--config.file", &config, "--job", "node"];
    check(&args, 1, "FAILED: sample limit exceeded: 2 samples, limit 1", "");
    let args = ["scrape", "h:1", "--config.file", &config, "--job", "nod"];
    check(&args, 1, "", "did you mean \"node\"?");
    let args = ["scrape", "h:1", "--config.file", &config, "--job", "none"];
    check(&args, 1, "", "relabel_configs drop \"h:1\"");
}

#[test]
fn a_wrong_flag_is_a_usage_error_and_a_wrong_value_is_told() {
    check(&["scrape"], 2, "", "URL");
    check(&["scrape", "h:1", "--job", "a"], 2, "", "--config.file");
    check(&["scrape", "h:1", "--header", "x"], 2, "", "write NAME: VALUE");
    check(
        &["scrape", "h:1", "--protocol", "PrometheusProt"],
        2,
        "",
        "did you mean \"PrometheusProto\"?",
    );
    check(&["scrape", "ftp://h"], 1, "", "write http:// or https://");
    check(&["scrape", "h:1", "--match", "{"], 1, "", "1:2");
    check(&["scrape", "--help"], 0, "watchbell scrape localhost:9100", "");
}
