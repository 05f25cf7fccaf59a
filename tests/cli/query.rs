//! `watchbell query` against a server that is not watchbell: fixed answers on a port.

use super::{check, text, watchbell};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use watchbell::sys::tasks;

/// A server that gives these answers: part of the request, status, body.
fn server(answers: &[(&str, &str, &str)]) -> String {
    let owned =
        |(part, status, body): &(&str, &str, &str)| [*part, *status, *body].map(str::to_owned);
    let answers: Vec<[String; 3]> = answers.iter().map(owned).collect();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let thread = tasks::spawn_thread("answers", move || {
        for stream in listener.incoming() {
            answer(stream.expect("a connection"), &answers);
        }
    });
    drop(thread.expect("a thread"));
    url
}

/// Answers the one request of a connection.
fn answer(mut stream: TcpStream, answers: &[[String; 3]]) {
    let mut lines = BufReader::new(stream.try_clone().expect("a second handle"));
    let (mut request, mut length) = (String::new(), 0);
    while !request.ends_with("\r\n\r\n") {
        let mut line = String::new();
        if lines.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().expect("a length");
        }
        request.push_str(&line);
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).expect("a body");
    request.push_str(&text(&body));
    let found = answers.iter().find(|[part, ..]| request.contains(part));
    let (status, body) =
        found.map_or(("404 Not Found", "no\n"), |[_, status, body]| (status, body));
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n");
    let answer = format!("{head}connection: close\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).expect("writes");
}

const VECTOR: &str = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a\u001b[31m,b"},"value":[1700000000,"1"]}]},"warnings":["careful \u001b[2J"]}"#;
const MATRIX: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"job":"a"},"values":[[1700000000,"1"],[1700000060,"2000"],[1700000120,"3000"]]}]}}"#;

#[test]
fn an_answer_is_printed_in_each_form_without_control_characters() {
    let url = server(&[("/api/v1/query", "200 OK", VECTOR)]);
    for (form, expected) in [
        (
            "table",
            "SERIES                 TIME                      VALUE\n\
             up{job=\"a\\x1b[31m,b\"}  2023-11-14T22:13:20.000Z  1\n",
        ),
        ("csv", "time,value,__name__,job\n2023-11-14T22:13:20.000Z,1,up,\"a\\x1b[31m,b\"\n"),
        (
            "json",
            "{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__name__\":\"up\",\
             \"job\":\"a\\u001b[31m,b\"},\"value\":[1700000000,\"1\"]}]}\n",
        ),
        ("plain", "up{job=\"a\\x1b[31m,b\"} => 1 @[1700000000]\n"),
    ] {
        let output = watchbell(&["query", "instant", "up", "--url", &url, "-o", form]);
        assert_eq!(text(&output.stdout), expected, "{form}");
        assert_eq!(text(&output.stderr), "careful \\x1b[2J\n", "{form}");
        assert_eq!(output.status.code(), Some(0), "{form}");
    }
}

#[test]
fn a_plot_is_text_as_wide_as_eighty_columns_and_without_color() {
    let url = server(&[("/api/v1/query", "200 OK", MATRIX)]);
    let range = ["--start", "1700000000", "--end", "1700000120", "--step", "60s"];
    let args = ["query", "range", "sum by (job) (x)", "--url", &url, "--plot", "--utc"];
    let output = watchbell(&[&args[..], &range[..], &["--charset", "ascii"]].concat());
    let shown = text(&output.stdout);
    assert!(shown.is_ascii() && !shown.contains('\u{1b}'), "{shown}");
    assert!(shown.lines().all(|line| line.len() <= 80), "{shown}");
    for part in ["sum by (job) (x)", "22:13 to 22:15 UTC", "3k |", "22:14", "SERIES", "job=a"] {
        assert!(shown.contains(part), "no {part:?} in {shown}");
    }
    let braille = watchbell(&[&args[..], &range[..], &["--charset", "braille"]].concat());
    assert!(text(&braille.stdout).contains(|c| ('\u{2801}'..='\u{28ff}').contains(&c)));
    // A range vector of an instant query has samples over time as well.
    let plot = ["query", "instant", "x[5m]", "--url", &url, "--plot", "--charset", "ascii"];
    check(&plot, 0, "job=a", "");
    check(&[&args[..], &["-o", "csv"]].concat(), 2, "", "cannot be used with");
}

#[test]
fn what_is_no_api_is_told_in_one_sentence() {
    let page = "<!DOCTYPE html><html><body>Bad gateway, so sorry</body></html>";
    for (status, body, expected) in [
        ("404 Not Found", "404 page not found\n", "HTTP status 404 and 404 page not found, not as"),
        ("404 Not Found", "<html>no</html>", "an HTML page, not as Prometheus' API; is the URL's"),
        ("502 Bad Gateway", "<html>sorry</html>", "HTTP status 502 and an HTML page"),
        ("200 OK", "<html>a shop</html>", "is a proxy or another program at this URL?"),
        (
            "401 Unauthorized",
            "",
            "HTTP status 401, not as Prometheus' API; the URL may need a user",
        ),
    ] {
        let url = server(&[("/api/v1/query", status, body)]);
        let output = watchbell(&["query", "instant", "up", "--url", &url]);
        let told = text(&output.stderr);
        assert!(told.contains(expected), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(!told.contains(page), "{told}");
    }
}

#[test]
fn an_expression_that_a_server_refuses_is_explained_here() {
    let refused = r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:5: parse error: unknown function with name \"rat\""}"#;
    let url = server(&[("/api/v1/query", "400 Bad Request", refused)]);
    let expected = "1:5: parse error: unknown function with name \"rat\"";
    check(&["query", "instant", "1 + rat(a[5m])", "--url", &url], 1, "", expected);
    let caret = "1 | 1 + rat(a[5m])\n  |     ^^^\n";
    check(&["query", "range", "1 + rat(a[5m])", "--url", &url], 1, "", caret);
    check(&["query", "range", "1 + rat(a[5m])", "--url", &url], 1, "", "did you mean rate?");
    check(&["query", "series", "up{", "--url", &url], 1, "", "unexpected end of input inside");
}

#[test]
fn no_series_is_an_answer_and_said_on_standard_error() {
    let none = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    let url = server(&[
        ("/api/v1/query", "200 OK", none),
        ("/api/v1/", "200 OK", r#"{"status":"success","data":[]}"#),
    ]);
    check(&["query", "instant", "up", "--url", &url], 0, "", "no series");
    check(&["query", "instant", "up", "--url", &url, "-o", "csv"], 0, "time,value\n", "no series");
    check(&["query", "series", "up", "--url", &url], 0, "", "no series");
    check(&["query", "labels", "job", "--url", &url], 0, "", "no series has it");
}

#[test]
fn an_empty_answer_of_any_server_names_what_was_probably_meant() {
    let none = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    let url = server(&[
        ("/api/v1/query_range", "200 OK", none),
        ("__name__%3D%22upp%22", "200 OK", r#"{"status":"success","data":[]}"#),
        ("/api/v1/label/__name__/values", "200 OK", r#"{"status":"success","data":["up"]}"#),
    ]);
    let output = watchbell(&["query", "range", "rate(upp[5m])", "--url", &url, "-o", "json"]);
    let expected = "no series\nhint: no series has the name upp; did you mean up?\n";
    assert_eq!(text(&output.stderr), expected);
    assert_eq!(text(&output.stdout), "{\"resultType\":\"matrix\",\"result\":[]}\n");
    assert_eq!(output.status.code(), Some(0));
    // A label that only the question has is named although there is an answer.
    let url = server(&[
        ("/api/v1/query", "200 OK", VECTOR),
        ("/api/v1/label/__name__/values", "200 OK", r#"{"status":"success","data":["up"]}"#),
        ("/api/v1/labels", "200 OK", r#"{"status":"success","data":["__name__","job"]}"#),
    ]);
    let by = "hint: no series in up has the label jbo; did you mean job?\n";
    check(&["query", "instant", "sum by (jbo) (up)", "--url", &url], 0, "VALUE", by);
}
