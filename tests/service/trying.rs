//! A receiver is tried out: a message arrives that says so, and the history knows.

use super::live::Live;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use watchbell::wire::{Core as _, HistoryRequest, ReceiverTest};

/// Takes one request, answers it, and returns its body.
pub(super) fn take_one(listener: &TcpListener, answer: &str) -> String {
    let (stream, _) = listener.accept().expect("a request");
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a head");
        if line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n", answer.len());
    write!(reader.get_mut(), "{head}\r\n{answer}").expect("writes");
    String::from_utf8(body).expect("text")
}

#[test]
fn each_integration_is_tried_once_and_says_how_it_went() {
    let live = Live::start("{}", &[]);
    let sink = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let good = sink.local_addr().expect("bound");
    // Nobody listens on port 1.
    let routes = format!(
        "{{route: {{receiver: none}}, receivers: [{{name: none}}, {{name: both, webhook_configs: \
         [{{url: 'http://{good}/'}}, {{url: 'http://127.0.0.1:1/'}}]}}]}}"
    );
    std::fs::write(live.folder.path().join("a.yml"), routes).expect("writes");
    live.service.reload().expect("reloads");
    let test = ReceiverTest { receiver: "both".to_owned(), ..ReceiverTest::default() };
    let (told, body) = std::thread::scope(|scope| {
        let taken = scope.spawn(|| take_one(&sink, "thank you"));
        let told = live.service.test_receiver(&test).expect("tries");
        (told, taken.join().expect("a request"))
    });
    let (first, second) = (&told[0], &told[1]);
    assert_eq!((first.index, &first.error, first.code), (0, &None, Some(200)));
    assert_eq!(first.answer, "thank you");
    assert!(second.index == 1 && second.error.is_some(), "{second:?}");
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let at = |pointer: &str| body.pointer(pointer).and_then(serde_json::Value::as_str);
    assert_eq!(at("/alerts/0/labels/watchbell_test"), Some("true"));
    assert_eq!(
        at("/alerts/0/annotations/summary"),
        Some("TEST: watchbell tries the receiver both out")
    );
    let kind = Some("notified".to_owned());
    let found = live.service.history(&HistoryRequest { kind, ..HistoryRequest::default() });
    let rows = found.expect("answers").rows;
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.body.get("test") == Some(&true.into())), "{rows:?}");
    let status = |row: &watchbell::wire::HistoryRow| row.body.get("status").cloned();
    assert_eq!((status(&rows[0]), status(&rows[1])), (Some("failed".into()), Some("ok".into())));
}
