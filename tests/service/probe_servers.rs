//! Servers on loopback for probes, each with a script: HTTP, TLS, lines, DNS, and one that is silent.
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use watchbell::sys::tasks;

const SERVER: &[u8] = include_bytes!("../fixtures/tls/server.pem");
const SERVER_KEY: &[u8] = include_bytes!("../fixtures/tls/server.key");

/// Serves each connection on a thread of its own, as long as the process lives; gives the address.
fn serve(talk: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let at = listener.local_addr().expect("bound").to_string();
    let talk = Arc::new(talk);
    tasks::spawn_thread("server", move || {
        for stream in listener.incoming().flatten() {
            let talk = Arc::clone(&talk);
            // A client that goes away is its own business.
            let one = move || drop(talk(stream));
            tasks::spawn_thread("connection", one).expect("a thread");
        }
    })
    .expect("a thread");
    at
}

/// A server that takes connections and says nothing.
pub(crate) fn silent_server() -> String {
    serve(|mut stream| io::copy(&mut stream, &mut io::sink()).map(drop))
}

/// A request: its first line, its headers with names in lower case, its body.
struct Asked {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Asked {
    fn read(stream: &mut impl Read) -> io::Result<Self> {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut asked = Self { method, path, headers, body: Vec::new() };
        if asked.header("transfer-encoding") == "chunked" {
            loop {
                let mut line = String::new();
                stream.read_line(&mut line)?;
                let size = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
                let mut chunk = vec![0; size + 2];
                stream.read_exact(&mut chunk)?;
                chunk.truncate(size);
                asked.body.extend(chunk);
                if size == 0 {
                    break;
                }
            }
        } else {
            let length = asked.header("content-length").parse().unwrap_or(0);
            asked.body = vec![0; length];
            stream.read_exact(&mut asked.body)?;
        }
        Ok(asked)
    }

    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }
}

/// A whole answer. `head` is the status and further headers.
fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let (status, headers) = head.split_once('\n').unwrap_or((head, ""));
    let headers = headers.replace('\n', "\r\n");
    let end = if headers.is_empty() { "" } else { "\r\n" };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}{end}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(bytes).expect("memory");
    to.finish().expect("memory")
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(bytes).expect("memory");
    to.finish().expect("memory")
}

const BODY: &[u8] = b"a body with some text\n";

/// What the server answers, byte for byte.
fn http_answer(asked: &Asked) -> Vec<u8> {
    let when = |holds: bool| answer(if holds { "200 OK" } else { "400 Bad Request" }, BODY);
    let path = asked.path.as_str();
    if let Some(rest) = path.strip_prefix("/to") {
        return answer(&format!("302 Found\nLocation: {rest}"), b"moved\n");
    }
    if let Some(rest) = path.strip_prefix("/keep") {
        return answer(&format!("307 Temporary Redirect\nLocation: {rest}"), b"moved\n");
    }
    if let Some(value) = path.strip_prefix("/header/") {
        return answer(&format!("200 OK\nX-Test: first\nX-Test: {value}"), BODY);
    }
    match path {
        "/chunked" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n6\r\n chunk\r\n0\r\n\r\n".to_vec(),
        "/until-close" => b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end".to_vec(),
        "/old" => b"HTTP/1.0 200 OK\r\n\r\nold".to_vec(),
        "/modified" => answer("200 OK\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT", BODY),
        "/204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        "/404" => answer("404 Not Found", b"none\n"),
        "/500" => answer("500 Internal Server Error", b"broken\n"),
        "/away" => {
            let host = asked.header("host");
            answer(&format!("301 Moved Permanently\nLocation: http://{host}/"), b"")
        }
        "/loop" => answer("302 Found\nLocation: /loop", b""),
        "/nowhere" => answer("302 Found\nLocation: ftp://127.0.0.1/", b""),
        "/no-location" => answer("302 Found", b"lost"),
        "/cookie" => answer("302 Found\nLocation: /in\nSet-Cookie: a=b; Path=/", b""),
        "/in" => when(asked.header("cookie") == "a=b"),
        "/echo" => {
            let media = asked.header("content-type");
            let text = format!("{} {media} {}", asked.method, asked.header("x-own"));
            answer("200 OK", &[text.as_bytes(), b" ", &asked.body].concat())
        }
        "/body" => when(asked.method == "PUT" && asked.body == b"from a file"),
        "/named" => when(asked.header("host") == "named.example"),
        "/basic" => when(asked.header("authorization") == "Basic dTpw"),
        "/issue" => {
            let body = b"grant_type=client_credentials&scope=a+b";
            let is_asked = asked.method == "POST" && asked.body == body;
            if is_asked && asked.header("authorization") == "Basic aTpz" {
                return answer("200 OK\nContent-Type: application/json", b"{\"access_token\":\"t\"}");
            }
            answer("401 Unauthorized", b"{\"error\":\"invalid_client\"}")
        }
        "/bearer" => when(asked.header("authorization") == "Bearer t"),
        // All the headers that came.
        "/seen" => answer("200 OK", format!("{:?}", asked.headers).as_bytes()),
        "/gzip" => answer("200 OK\nContent-Encoding: gzip", &gzip(b"a packed body")),
        "/deflate" => answer("200 OK\nContent-Encoding: deflate", &deflate(b"a packed body")),
        "/cut" => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort".to_vec(),
        "/nothing" => Vec::new(),
        "/nonsense" => b"this is no HTTP\r\n\r\n".to_vec(),
        _ if asked.method == "HEAD" => {
            let whole = answer("200 OK", BODY);
            whole[..whole.len() - BODY.len()].to_vec()
        }
        _ => answer("200 OK", BODY),
    }
}

/// An HTTP server whose paths say what it answers.
pub(crate) fn http_server() -> String {
    serve(|mut stream| {
        let asked = Asked::read(&mut stream)?;
        stream.write_all(&http_answer(&asked))
    })
}

/// An HTTP proxy for user `u` with password `p`. It wants a header more when it is to connect, and
/// then connects to `names` instead of asking for the name.
pub(crate) fn proxy_server(names: &[(&str, &str)]) -> String {
    let names: Vec<_> = names.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let to = move |place: &str| {
        let known = names.iter().find(|(name, _)| name == place);
        TcpStream::connect(known.map_or(place, |(_, at)| at))
    };
    serve(move |mut stream| {
        let asked = Asked::read(&mut stream)?;
        if asked.header("proxy-authorization") != "Basic dTpw" {
            return stream.write_all(&answer("407 Proxy Authentication Required", b""));
        }
        if asked.method == "CONNECT" {
            if asked.header("x-way") != "k3y" || asked.header("host") != asked.path {
                return stream.write_all(&answer("403 Forbidden", b""));
            }
            let mut far = to(&asked.path)?;
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
            let (mut from, mut back) = (far.try_clone()?, stream.try_clone()?);
            tasks::spawn_thread("back", move || drop(io::copy(&mut from, &mut back)))?;
            return io::copy(&mut stream, &mut far).map(drop);
        }
        let Some(rest) = asked.path.strip_prefix("http://") else {
            return stream.write_all(&answer("400 Bad Request", b"no proxy is asked so"));
        };
        let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let mut far = to(place)?;
        let mut head =
            format!("{} {path} HTTP/1.1\r\nHost: {}\r\n", asked.method, asked.header("host"));
        if asked.header("x-way") == "k3y" {
            head.push_str("x-leaked: X-Leaked\r\n");
        }
        far.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
        io::copy(&mut far, &mut stream).map(drop)
    })
}

fn tls_config(protocols: &[&[u8]]) -> Arc<rustls::ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(SERVER).flatten().collect();
    let key = PrivateKeyDer::from_pem_slice(SERVER_KEY).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate");
    config.alpn_protocols = protocols.iter().map(|one| one.to_vec()).collect();
    Arc::new(config)
}

/// A server with the certificate of the fixtures, speaking HTTP/1.1 or, where that is agreed on, as
/// much of HTTP/2 as a probe needs.
pub(crate) fn tls_server(protocols: &[&[u8]]) -> String {
    let config = tls_config(protocols);
    serve(move |stream| {
        let session = rustls::ServerConnection::new(Arc::clone(&config)).expect("a session");
        let mut tls = rustls::StreamOwned::new(session, stream);
        tls.conn.complete_io(&mut tls.sock)?;
        if tls.conn.alpn_protocol() == Some(b"h2") {
            return http2(&mut tls);
        }
        let asked = Asked::read(&mut tls)?;
        tls.write_all(&http_answer(&asked))?;
        tls.conn.send_close_notify();
        tls.flush()
    })
}

/// One stream, answered with a status and a body. Source: RFC 9113, sections 3.4 and 4.1; RFC 7541,
/// appendix A (8 is `:status: 200`).
fn http2(tls: &mut (impl Read + Write)) -> io::Result<()> {
    let mut preface = [0; 24];
    tls.read_exact(&mut preface)?;
    tls.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0])?;
    loop {
        let mut head = [0; 9];
        tls.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        tls.read_exact(&mut payload)?;
        let (kind, flags, stream) = (head[3], head[4], [head[5], head[6], head[7], head[8]]);
        match kind {
            // SETTINGS that are no acknowledgement.
            4 if flags & 1 == 0 => tls.write_all(&[0, 0, 0, 4, 1, 0, 0, 0, 0])?,
            // HEADERS: the request.
            1 => {
                let size = u8::try_from(BODY.len()).expect("short");
                let frame =
                    |length, kind, flags| [&[0, 0, length, kind, flags][..], &stream].concat();
                tls.write_all(&[frame(1, 1, 4), vec![0x88]].concat())?;
                tls.write_all(&[frame(size, 0, 1), BODY.to_vec()].concat())?;
                tls.flush()?;
            }
            _ => {}
        }
    }
}

/// A server that greets, echoes, and changes to TLS when it is asked to.
pub(crate) fn line_server() -> String {
    let config = tls_config(&[]);
    serve(move |mut stream| {
        stream.write_all(b"first\r\n220 mail ready \xc3\xa9\r\n")?;
        let mut lines = BufReader::new(stream.try_clone()?);
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim_end() {
                "QUIT" => return stream.write_all(b"bye"),
                "STARTTLS" => break,
                other => {
                    let text = other.strip_prefix("ECHO ").unwrap_or(other);
                    stream.write_all(format!("not yet\necho {text}\n").as_bytes())?;
                }
            }
        }
        stream.write_all(b"220 go ahead\r\n")?;
        let session = rustls::ServerConnection::new(Arc::clone(&config)).expect("a session");
        let mut tls = rustls::StreamOwned::new(session, stream);
        let mut line = [0; 6];
        tls.read_exact(&mut line)?;
        tls.write_all(&line)?;
        tls.flush()
    })
}

/// A name as it stands in a message.
fn labels(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        out.push(u8::try_from(label.len()).expect("short"));
        out.extend(label.as_bytes());
    }
    out.push(0);
    out
}

/// The answer to a question: code, records of three sections; `None` to stay silent.
type Answered = (u8, [Vec<(u16, Vec<u8>)>; 3]);

fn zone(name: &[u8]) -> Option<Answered> {
    let soa = [labels("ns"), labels("h")].concat();
    let numbers: Vec<u8> = [7u32, 1, 2, 3, 4].iter().flat_map(|n| n.to_be_bytes()).collect();
    let soa = (6, [soa, numbers].concat());
    let records = |records: Vec<(u16, Vec<u8>)>| (0, [records, Vec::new(), Vec::new()]);
    let name = String::from_utf8_lossy(name).into_owned();
    let is = |known: &str| name.as_bytes() == labels(known);
    Some(if is("a.example") {
        // With the record that modern servers add, and another one there.
        let more = vec![(41, Vec::new()), (1, vec![9, 9, 9, 9])];
        (0, [vec![(1, vec![10, 0, 0, 1]), (1, vec![10, 0, 0, 2])], Vec::new(), more])
    } else if is("example") {
        records(vec![soa])
    } else if is("mx.example") {
        records(vec![(15, [&[0, 10], &*labels("m.example")].concat())])
    } else if is("txt.example") {
        records(vec![(16, b"\x08say \"hi\"\x01\xff".to_vec()), (16, b"\x01x".to_vec())])
    } else if is("srv.example") {
        records(vec![(33, [&[0, 1, 0, 2, 0, 80], &*labels("w")].concat())])
    } else if is("aaaa.example") {
        records(vec![(28, vec![0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])])
    } else if is("caa.example") {
        records(vec![(257, b"\x00\x05issueca".to_vec())])
    } else if is("odd.example") {
        records(vec![(4711, vec![1, 0xab])])
    } else if is("none.example") {
        records(Vec::new())
    } else if is("hang.example") {
        return None;
    } else {
        (3, [Vec::new(), vec![soa], Vec::new()])
    })
}

fn dns_answer(question: &[u8]) -> Option<Vec<u8>> {
    let end = 12 + question.get(12..)?.iter().position(|byte| *byte == 0)? + 1;
    let name = question.get(12..end)?;
    // A record is announced, and missing or cut.
    if name == labels("missing.example") || name == labels("cut.example") {
        let mut out = question.to_vec();
        out[2] |= 0x80;
        out[7] = 1;
        if name == labels("cut.example") {
            out.extend([0xc0, 12, 0, 1]);
        }
        return Some(out);
    }
    let (code, sections) = zone(name)?;
    let mut out = question.get(..2)?.to_vec();
    out.extend([0x80 | question[2], 0x80 | code, 0, 1]);
    for section in &sections {
        out.extend([0, u8::try_from(section.len()).expect("few")]);
    }
    out.extend(question.get(12..end + 4)?);
    for (kind, data) in sections.iter().flatten() {
        // The root for what is about the message, else the name that was asked for.
        out.extend(if *kind == 41 { &[0][..] } else { &[0xc0, 12] });
        out.extend(kind.to_be_bytes());
        out.extend(if *kind == 41 { [4, 208] } else { [0, 1] });
        out.extend(if *kind == 41 { [0; 4] } else { [0, 0, 0, 60] });
        out.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
        out.extend(data);
    }
    Some(out)
}

/// A name server over UDP and TCP on the same port.
pub(crate) fn dns_server() -> String {
    let at = serve(|mut stream| {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut question)?;
        let answer = dns_answer(&question).unwrap_or_default();
        let length = u16::try_from(answer.len()).expect("short").to_be_bytes();
        stream.write_all(&[&length, &*answer].concat())
    });
    let socket = UdpSocket::bind(&at).expect("the port of TCP is free for UDP");
    tasks::spawn_thread("name server", move || {
        let mut question = [0; 1024];
        while let Ok((length, from)) = socket.recv_from(&mut question) {
            if let Some(answer) = dns_answer(&question[..length]) {
                let _ = socket.send_to(&answer, from);
            }
        }
    })
    .expect("a thread");
    at
}
