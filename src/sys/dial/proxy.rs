//! The way through an HTTP proxy: which URLs take it, and how a connection through it begins.
//!
//! Source: RFC 9110, section 9.3.6 (CONNECT); golang/go, src/net/http/transport.go (what goes to the
//! proxy alone, in which words it is told when a proxy refuses).

use super::Stream;
use crate::sys::settings::{HttpClientSettings, Secret, ShownUrl};
use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The head of a proxy's answer; a longer one is none.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Headers of a proxy's answer.
const HEADERS_MAX: usize = 64;

/// The proxies of a client's settings. Which hosts go without is decided as for scrapes.
#[derive(Debug)]
pub struct Proxies {
    matcher: Matcher,
    connect_headers: Vec<(String, Secret)>,
}

/// A proxy that is on the way to a URL.
#[derive(Debug)]
pub struct Proxy {
    /// Its host, without the brackets of IPv6.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The header `Proxy-Authorization`, where its URL has a user.
    pub authorization: Option<Secret>,
    /// What it is told besides when it is asked to connect.
    connect_headers: Vec<(String, Secret)>,
}

impl Proxies {
    /// Those of these settings; `None` when they have none.
    ///
    /// # Errors
    /// The proxy's URL cannot be read. It is not repeated: it may hold a password.
    pub fn of(settings: &HttpClientSettings) -> Result<Option<Self>, String> {
        let url = settings.proxy_url.as_ref().map(ShownUrl::reveal).filter(|url| !url.is_empty());
        let matcher = match url {
            Some(url) => {
                let all = || Matcher::builder().all(url.to_owned());
                // What the matcher cannot read it passes by.
                if all().build().intercept(&Uri::from_static("http://any/")).is_none() {
                    return Err("cannot read the proxy's URL".to_owned());
                }
                all().no(settings.no_proxy.clone().unwrap_or_default()).build()
            }
            None if settings.proxy_from_environment == Some(true) => Matcher::from_env(),
            None => return Ok(None),
        };
        let headers = settings.proxy_connect_header.iter();
        let headers =
            headers.flat_map(|(name, list)| list.iter().map(|one| (name.clone(), one.clone())));
        Ok(Some(Self { matcher, connect_headers: headers.collect() }))
    }

    /// The proxy on the way to a host; `None` when there is none. `authority` is the host and,
    /// where it is not the scheme's, the port.
    ///
    /// # Errors
    /// The proxy does not speak plain HTTP, or there is no such host.
    pub fn on_the_way(&self, scheme: &str, authority: &str) -> Result<Option<Proxy>, String> {
        let uri: Uri = format!("{scheme}://{authority}/")
            .parse()
            .map_err(|_| format!("cannot find the proxy for {authority:?}"))?;
        let Some(found) = self.matcher.intercept(&uri) else { return Ok(None) };
        let proxy = found.uri();
        if proxy.scheme_str() != Some("http") {
            let scheme = proxy.scheme_str().unwrap_or_default();
            return Err(format!("a proxy of scheme {scheme:?} is not built; use http"));
        }
        let host = proxy.host().unwrap_or_default();
        let authorization = found.basic_auth().and_then(|value| value.to_str().ok());
        Ok(Some(Proxy {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: proxy.port_u16().unwrap_or(80),
            authorization: authorization.map(Secret::new),
            connect_headers: self.connect_headers.clone(),
        }))
    }
}

impl Proxy {
    /// Makes a connection to the proxy one to `to`, which is `HOST:PORT`.
    ///
    /// # Errors
    /// The proxy refuses, or what it says is no answer.
    pub async fn connect(
        &self,
        mut stream: Stream,
        to: &str,
        user_agent: &str,
    ) -> Result<Stream, String> {
        let mut head =
            format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\nUser-Agent: {user_agent}\r\n");
        let own = self.authorization.iter().map(|value| ("Proxy-Authorization", value));
        let named = self.connect_headers.iter().map(|(name, value)| (name.as_str(), value));
        for (name, value) in own.chain(named) {
            let value = value.reveal();
            if format!("{name}{value}").contains(char::is_control) {
                return Err(format!("cannot send {name:?} to the proxy"));
            }
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let failed = |err: std::io::Error| crate::sys::http::errors::io_text(&err);
        stream.write_all(head.as_bytes()).await.map_err(failed)?;
        stream.flush().await.map_err(failed)?;
        let mut answer = Vec::new();
        // TLS begins with the client: a proxy that connects sends nothing after its head.
        while !is_whole(&answer)? {
            if answer.len() >= HEAD_BYTES_MAX {
                return Err(format!("the proxy's answer has more than {HEAD_BYTES_MAX} bytes"));
            }
            if stream.read_buf(&mut answer).await.map_err(failed)? == 0 {
                return Err("unexpected EOF".to_owned());
            }
        }
        Ok(stream)
    }
}

/// Whether this is all of an answer by which the way is open.
///
/// # Errors
/// It refuses, or is none.
fn is_whole(answer: &[u8]) -> Result<bool, String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut headers);
    let status =
        parsed.parse(answer).map_err(|err| format!("the proxy's answer is no HTTP: {err}"))?;
    let httparse::Status::Complete(head_bytes) = status else { return Ok(false) };
    match (parsed.code, parsed.reason) {
        (Some(200), _) if head_bytes == answer.len() => Ok(true),
        (Some(200), _) => Err("the proxy sent more than its answer".to_owned()),
        (_, Some(reason)) if !reason.is_empty() => Err(reason.to_owned()),
        (code, _) => Err(format!("the proxy answered {}", code.unwrap_or_default())),
    }
}

/// Reads any bytes as a proxy's answer; see `tests/fuzz`.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    let _ = is_whole(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn proxies(yaml: &str) -> Option<Proxies> {
        Proxies::of(&serde_yaml::from_str(yaml).expect("reads")).expect("can be read")
    }

    #[test]
    fn a_proxy_that_cannot_be_read_is_not_passed_by() {
        for url in ["http://u:hunter2@[", "ftp://p", "http://", "http://p q"] {
            let settings = serde_yaml::from_str(&format!("{{proxy_url: '{url}'}}")).expect("reads");
            let err = Proxies::of(&settings).expect_err(url);
            assert_eq!(err, "cannot read the proxy's URL");
        }
    }

    #[test]
    fn hosts_of_no_proxy_go_without() {
        assert!(proxies("{}").is_none());
        let found =
            proxies("{proxy_url: 'http://u:p@p.example', no_proxy: 'a.example, 10.0.0.0/8'}");
        let found = found.expect("one");
        for without in ["a.example", "b.a.example:1", "10.1.2.3:80"] {
            assert!(found.on_the_way("http", without).expect("answers").is_none(), "{without}");
        }
        let proxy = found.on_the_way("https", "b.example:1").expect("answers").expect("a proxy");
        assert_eq!((proxy.host.as_str(), proxy.port), ("p.example", 80));
        assert_eq!(proxy.authorization, Some(Secret::new("Basic dTpw")));
        let found = proxies("{proxy_url: 'socks5://p:1'}").expect("one");
        let err = found.on_the_way("http", "a").expect_err("not built");
        assert_eq!(err, "a proxy of scheme \"socks5\" is not built; use http");
    }

    /// What a proxy is told, and what comes of its answer.
    async fn told(answer: &[u8], yaml: &str) -> (String, Result<(), String>) {
        let found = proxies(yaml).expect("one");
        let proxy = found.on_the_way("https", "t:1").expect("answers").expect("a proxy");
        let (near, mut far) = tokio::io::duplex(1 << 16);
        far.write_all(answer).await.expect("room");
        far.shutdown().await.expect("closes");
        let connected = proxy.connect(Box::new(near), "t:1", "me").await;
        let mut head = String::new();
        let connected = connected.map(drop);
        far.read_to_string(&mut head).await.expect("text");
        (head, connected)
    }

    #[tokio::test]
    async fn a_proxy_opens_the_way_or_says_why_not() {
        let yaml = "{proxy_url: 'http://u:p@p', proxy_connect_header: {X-Key: [k3y]}}";
        let (head, connected) = told(b"HTTP/1.1 200 Connection established\r\n\r\n", yaml).await;
        assert_eq!(connected, Ok(()));
        let expected = "CONNECT t:1 HTTP/1.1\r\nHost: t:1\r\nUser-Agent: me\r\n\
                        Proxy-Authorization: Basic dTpw\r\nX-Key: k3y\r\n\r\n";
        assert_eq!(head, expected);
        for (answer, expected) in [
            ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "Proxy Authentication Required"),
            ("HTTP/1.1 403 \r\n\r\n", "the proxy answered 403"),
            ("HTTP/1.1 200 OK\r\n\r\nhello", "the proxy sent more than its answer"),
            ("HTTP/1.1 200 OK\r\nA: b\r\n", "unexpected EOF"),
            ("what?\r\n\r\n", "the proxy's answer is no HTTP: invalid HTTP version"),
        ] {
            let (_, connected) = told(answer.as_bytes(), yaml).await;
            assert_eq!(connected, Err(expected.to_owned()), "{answer:?}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(HEAD_BYTES_MAX));
        let (_, connected) = told(endless.as_bytes(), yaml).await;
        assert!(connected.is_err_and(|err| err.contains("more than 16384 bytes")));
        let (head, connected) =
            told(b"", "{proxy_url: 'http://p', proxy_connect_header: {A: [\"k3y\\r\\nB: c\"]}}")
                .await;
        assert_eq!(
            (head.as_str(), connected),
            ("", Err("cannot send \"A\" to the proxy".to_owned()))
        );
    }

    proptest! {
        #[test]
        fn any_answer_is_read(answer in "HTTP/1.1 [0-9]{0,4} [a-z]{0,4}(\r\n[A-Za-z:]{0,5}){0,4}(\r\n\r\n)?") {
            let _ = is_whole(answer.as_bytes());
        }

        #[test]
        fn any_bytes_are_read(answer in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = is_whole(&answer);
        }
    }
}
