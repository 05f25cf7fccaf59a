//! The real form of outbound HTTP, over reqwest.

use super::answer::{GATHERING, Terms, Wanted};
use super::auth;
use super::body::BodySink;
use super::errors::describe;
use super::oauth2::TokenSource;
use super::plain::{Get, PlainPool};
use super::proxy::with_proxy;
use super::tls::{self, HostRoots};
use super::{Http, HttpClient, HttpError, Method, Pending, Prepared, Request, Response};
use crate::model::{Problem, percent};
use crate::sys::clock::SystemClock;
use crate::sys::dns::HostResolver;
use crate::sys::event_loop::{self, within};
use crate::sys::locks::lock;
use crate::sys::settings::HttpClientSettings;
use crate::sys::tasks;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Url, Version};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// A scrape target is where the configuration says; longer chains are mistakes or attacks.
const REDIRECTS_MAX: usize = 3;
/// Unix sockets that one client keeps connections to; more make it start afresh.
const SOCKETS_MAX: usize = 64;
/// What we call ourselves when the caller does not say.
const USER_AGENT: &str = concat!("watchbell/", env!("CARGO_PKG_VERSION"));

/// The host's network.
#[derive(Debug)]
pub struct SystemHttp {
    world: Arc<World>,
}

#[derive(Debug)]
struct World {
    roots: HostRoots,
    resolver: HostResolver,
}

impl SystemHttp {
    /// Outbound HTTP as the host's files have it: `/etc/hosts`, `/etc/resolv.conf`, its trusted
    /// certificates.
    pub fn new() -> Self {
        let resolver = HostResolver::system();
        Self { world: Arc::new(World { roots: HostRoots::default(), resolver }) }
    }
}

impl Default for SystemHttp {
    fn default() -> Self {
        Self::new()
    }
}

impl Http for SystemHttp {
    fn client(
        &self,
        settings: &HttpClientSettings,
        base: &Path,
    ) -> Result<Arc<dyn HttpClient>, Problem> {
        Ok(Arc::new(self.system_client(settings, base, false)?))
    }

    fn sink_client(
        &self,
        settings: &HttpClientSettings,
        base: &Path,
    ) -> Result<Arc<dyn HttpClient>, Problem> {
        Ok(Arc::new(self.system_client(settings, base, true)?))
    }
}

impl SystemHttp {
    fn system_client(
        &self,
        settings: &HttpClientSettings,
        base: &Path,
        for_sink: bool,
    ) -> Result<SystemClient, Problem> {
        settings.check("")?;
        let tokens = settings.oauth2.as_ref().map(|oauth2| {
            let client = self.client(&oauth2.client(), base);
            let client = client.map_err(|problem| problem.below("oauth2"))?;
            let clock = Arc::new(SystemClock::new());
            Ok(TokenSource::new(oauth2.as_ref().clone(), base.to_owned(), client, clock))
        });
        let client = SystemClient {
            tokens: tokens.transpose()?,
            settings: settings.clone(),
            base: base.to_owned(),
            world: Arc::clone(&self.world),
            for_sink,
            plain: PlainPool::default(),
            built: Mutex::new(Built::default()),
        };
        client.reqwest_client(None)?;
        Ok(client)
    }
}

/// A client with its settings.
#[derive(Debug)]
struct SystemClient {
    settings: HttpClientSettings,
    base: PathBuf,
    world: Arc<World>,
    /// Whether redirects stay with the server.
    for_sink: bool,
    plain: PlainPool,
    /// For settings with `oauth2`.
    tokens: Option<TokenSource>,
    built: Mutex<Built>,
}

/// Connections, one set for TCP and one for each unix socket, and the state of the certificate
/// files that they were made with.
#[derive(Debug, Default)]
struct Built {
    stamps: Vec<Option<(SystemTime, u64)>>,
    clients: HashMap<Option<PathBuf>, reqwest::Client>,
}

impl HttpClient for SystemClient {
    fn send(&self, request: Request) -> Pending<'_> {
        Box::pin(async move {
            let timeout = request.timeout;
            within(timeout, self.exchange(&request)).await.unwrap_or(Err(HttpError::Timeout))
        })
    }

    fn send_again<'a>(
        &'a self,
        request: &'a Request,
        prepared: &'a mut Prepared,
        room: Vec<u8>,
    ) -> Pending<'a> {
        Box::pin(async move {
            let exchange = self.exchange_again(request, prepared, room);
            within(request.timeout, exchange).await.unwrap_or(Err(HttpError::Timeout))
        })
    }
}

/// A request that is the same each time.
pub(super) struct Asked {
    hop: Hop,
    get: Get,
}

/// Without credentials.
impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("url", &self.hop.url.as_str()).finish_non_exhaustive()
    }
}

impl SystemClient {
    async fn exchange(&self, request: &Request) -> Result<Response, HttpError> {
        let credentials = self.credentials(request).await?;
        let hop = Hop::first(request, credentials)?;
        let response = self.hop(&hop, request).await?;
        self.follow(&hop, response, request).await
    }

    /// As `exchange`, with what was prepared before.
    async fn exchange_again(
        &self,
        request: &Request,
        prepared: &mut Prepared,
        room: Vec<u8>,
    ) -> Result<Response, HttpError> {
        if prepared.0.is_none() {
            prepared.0 = self.prepare(request)?.map(Box::new);
        }
        let Some(asked) = &prepared.0 else { return self.exchange(request).await };
        let response = self.plain.get(&asked.get, &self.world.resolver, room).await?;
        self.follow(&asked.hop, response, request).await
    }

    /// The request as it is sent each time; `None` where it may be another one next time.
    fn prepare(&self, request: &Request) -> Result<Option<Asked>, HttpError> {
        if self.tokens.is_some() || !auth::are_steady(&self.settings) {
            return Ok(None);
        }
        let hop = Hop::first(request, auth::headers(&self.settings, &self.base)?)?;
        if !self.is_plain(&hop, request.unix_socket.as_deref()) {
            return Ok(None);
        }
        let get = self.plain_get(&hop, request, Wanted::OfBody);
        Ok(Some(Asked { hop, get }))
    }

    /// The answer at the end of the redirects that an answer begins.
    async fn follow(
        &self,
        first: &Hop,
        mut response: Response,
        request: &Request,
    ) -> Result<Response, HttpError> {
        let Some(mut hop) = self.redirect(first, &response)? else { return Ok(response) };
        for _ in 0..REDIRECTS_MAX {
            response = self.hop(&hop, request).await?;
            match self.redirect(&hop, &response)? {
                None => return Ok(response),
                Some(next) => hop = next,
            }
        }
        Err(HttpError::Broken(format!("stopped after {REDIRECTS_MAX} redirects")))
    }

    /// Headers of the settings, with a token where they ask for one.
    async fn credentials(&self, request: &Request) -> Result<Vec<(String, String)>, HttpError> {
        let mut headers = auth::headers(&self.settings, &self.base)?;
        if let Some(tokens) = &self.tokens {
            let named = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("user-agent");
            let agent = request.headers.iter().find(named).map(|(_, value)| value.as_str());
            let token = tokens.authorization(agent, request.timeout).await?;
            headers.push(("authorization".to_owned(), token));
        }
        Ok(headers)
    }

    /// Asks one server. The body of a redirect that is followed is not read.
    async fn hop(&self, hop: &Hop, request: &Request) -> Result<Response, HttpError> {
        let socket = request.unix_socket.as_deref();
        if self.is_plain(hop, socket) {
            let get = self.plain_get(hop, request, Wanted::All);
            return self.plain.get(&get, &self.world.resolver, Vec::new()).await;
        }
        let place = place(&hop.url, socket);
        let (limit, cuts) = (request.body_bytes_max, request.cuts_body);
        let follows_redirects = self.settings.follow_redirects.unwrap_or(true);
        let client = self
            .reqwest_client(socket)
            .map_err(|problem| HttpError::Invalid(problem.to_string()))?;
        let ask = hop.to_reqwest();
        let work = async move {
            let response = client.execute(ask).await.map_err(|err| describe(&err, &place))?;
            read(response, (limit, cuts), &place, follows_redirects).await
        };
        if event_loop::is_here() {
            // tokio has the connection, and would wake the loop for each piece of the answer.
            let panicked = || Err(HttpError::Broken("the request panicked".to_owned()));
            return tasks::apart("request", work).await.unwrap_or_else(panicked);
        }
        work.await
    }

    fn plain_get(&self, hop: &Hop, request: &Request, wanted: Wanted) -> Get {
        let socket = request.unix_socket.as_deref();
        let terms = Terms {
            shown: place(&hop.url, socket),
            limit: request.body_bytes_max,
            cuts: request.cuts_body,
            gathering: GATHERING,
            follows_redirects: self.settings.follow_redirects.unwrap_or(true),
            wanted,
        };
        self.plain.prepare(&hop.url, socket, [&hop.headers, &hop.credentials], terms)
    }

    /// Whether it can do without TLS, proxy and body.
    fn is_plain(&self, hop: &Hop, socket: Option<&Path>) -> bool {
        let settings = &self.settings;
        let has_proxy =
            settings.proxy_url.is_some() || settings.proxy_from_environment == Some(true);
        hop.method == Method::Get
            && hop.body.is_empty()
            && hop.url.scheme() == "http"
            && (socket.is_some() || !has_proxy)
    }

    /// The request that the answer asks for, when it is a redirect that is followed.
    fn redirect(&self, hop: &Hop, response: &Response) -> Result<Option<Hop>, HttpError> {
        let status = response.status;
        if !self.settings.follow_redirects.unwrap_or(true) || !is_redirect(status) {
            return Ok(None);
        }
        let Some(text) = response.header("location") else { return Ok(None) };
        let broken = |text: &str| HttpError::Broken(format!("cannot follow the redirect: {text}"));
        let url = hop.url.join(text).map_err(|_| broken("Location is no URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(broken("Location is not http or https"));
        }
        if self.for_sink {
            hop.check_sink(status, &url)?;
        }
        hop.follow(status, url).map(Some)
    }

    /// The connections for TCP or for one socket, made anew when a certificate file has changed.
    fn reqwest_client(&self, socket: Option<&Path>) -> Result<reqwest::Client, Problem> {
        let stamps = self.stamps();
        let key = socket.map(Path::to_owned);
        let mut built = lock(&self.built);
        if built.stamps != stamps || built.clients.len() > SOCKETS_MAX {
            built.clients.clear();
            built.stamps = stamps;
        }
        if let Some(client) = built.clients.get(&key) {
            return Ok(client.clone());
        }
        let client = self.build(socket)?;
        built.clients.insert(key, client.clone());
        Ok(client)
    }

    fn stamps(&self) -> Vec<Option<(SystemTime, u64)>> {
        let Some(tls) = &self.settings.tls_config else { return Vec::new() };
        let stamp = |path: PathBuf| {
            let facts = std::fs::metadata(path).ok()?;
            Some((facts.modified().ok()?, facts.len()))
        };
        tls::files(tls, &self.base).into_iter().map(stamp).collect()
    }

    fn build(&self, socket: Option<&Path>) -> Result<reqwest::Client, Problem> {
        let http2 = self.settings.enable_http2.unwrap_or(true);
        let tls = self.settings.tls_config.clone().unwrap_or_default();
        let tls = tls::client_config(&tls, &self.base, http2, &self.world.roots)?;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(self.world.resolver.clone())
            .redirect(reqwest::redirect::Policy::none())
            .no_gzip()
            .referer(false)
            .retry(reqwest::retry::never())
            .tcp_nodelay(true)
            // As Go writes them: a small receiver may compare names by letter.
            .http1_title_case_headers()
            .pool_idle_timeout(Duration::from_secs(300));
        if !http2 {
            builder = builder.http1_only();
        }
        builder = match socket {
            Some(path) => builder.no_proxy().unix_socket(path),
            None => with_proxy(builder, &self.settings, |name| std::env::var(name).ok())?,
        };
        builder.build().map_err(|err| Problem::new("", format!("cannot make a client: {err}")))
    }
}

/// One request of a chain of redirects.
struct Hop {
    method: Method,
    url: Url,
    headers: HeaderMap,
    /// Sent only to the host that the caller named.
    credentials: HeaderMap,
    body: bytes::Bytes,
}

impl Hop {
    fn first(request: &Request, credentials: Vec<(String, String)>) -> Result<Self, HttpError> {
        let mut url = Url::parse(&request.url)
            .map_err(|err| HttpError::Invalid(format!("cannot read the URL: {err}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            let text = format!("unsupported protocol scheme {:?}", url.scheme());
            return Err(HttpError::Invalid(text));
        }
        let mut headers = header_map(&request.headers)?;
        let mut credentials = header_map(&credentials)?;
        for name in ["authorization", "cookie", "proxy-authorization"] {
            if let Some(value) = headers.remove(name) {
                credentials.entry(name).or_insert(value);
            }
        }
        if let Some(value) = take_user(&mut url) {
            credentials.entry(reqwest::header::AUTHORIZATION).or_insert(value);
        }
        let agent = HeaderValue::from_static(USER_AGENT);
        headers.entry(reqwest::header::USER_AGENT).or_insert(agent);
        Ok(Self { method: request.method, url, headers, credentials, body: request.body.clone() })
    }

    fn to_reqwest(&self) -> reqwest::Request {
        let method = match self.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut request = reqwest::Request::new(method, self.url.clone());
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().extend(self.credentials.clone());
        if !self.body.is_empty() {
            *request.body_mut() = Some(self.body.clone().into());
        }
        request
    }

    /// Whether a sink may send us on to this URL: the same server, the same message.
    fn check_sink(&self, status: u16, url: &Url) -> Result<(), HttpError> {
        let place = |url: &Url| (url.scheme().to_owned(), url.port_or_known_default());
        let is_upgrade = (place(&self.url), place(url))
            == (("http".to_owned(), Some(80)), ("https".to_owned(), Some(443)));
        let is_there = place(&self.url) == place(url) || is_upgrade;
        let refused = |text: &str| Err(HttpError::Invalid(text.to_owned()));
        if self.url.host() != url.host() || !is_there {
            return refused("refused to follow a redirect to another server");
        }
        if self.method != Method::Get && !matches!(status, 307 | 308) {
            // What is asked for then may be a form to log in: no sign that the message arrived.
            return refused("refused to follow a redirect that leaves the message behind");
        }
        Ok(())
    }

    fn follow(&self, status: u16, url: Url) -> Result<Self, HttpError> {
        let downgrade = self.url.scheme() == "https" && url.scheme() == "http";
        let elsewhere = self.url.host() != url.host() || downgrade;
        if elsewhere && self.method != Method::Get {
            // A receiver must not steer what we send to a host of its choice.
            let text = "refused to follow a redirect of a request with a body to another host";
            return Err(HttpError::Broken(text.to_owned()));
        }
        let keeps_method = matches!(status, 307 | 308) || self.method == Method::Get;
        let mut headers = self.headers.clone();
        if !keeps_method {
            headers.remove(reqwest::header::CONTENT_TYPE);
            headers.remove(CONTENT_ENCODING);
        }
        Ok(Self {
            method: if keeps_method { self.method } else { Method::Get },
            url,
            headers,
            credentials: if elsewhere { HeaderMap::new() } else { self.credentials.clone() },
            body: if keeps_method { self.body.clone() } else { bytes::Bytes::new() },
        })
    }
}

/// User and password of the URL as a header; the URL is without them afterwards.
fn take_user(url: &mut Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let plain = format!("{}:{}", url.username(), url.password().unwrap_or_default());
    // Neither can fail for a URL with a host, which http and https always have.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let plain = percent::decode_leniently(plain.as_bytes());
    HeaderValue::try_from(format!("Basic {}", STANDARD.encode(plain))).ok()
}

fn header_map(headers: &[(String, String)]) -> Result<HeaderMap, HttpError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let wrong = || HttpError::Invalid(format!("cannot send header {name:?}"));
        let name: HeaderName = name.parse().map_err(|_| wrong())?;
        let value = HeaderValue::from_str(value).map_err(|_| wrong())?;
        map.append(name, value);
    }
    Ok(map)
}

/// Where the connection goes, for errors: never with user and password.
fn place(url: &Url, socket: Option<&Path>) -> String {
    if let Some(socket) = socket {
        return format!("unix {}", socket.display());
    }
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    format!("tcp {host}:{port}")
}

/// Whether the answer names another place.
pub(super) const fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

async fn read(
    mut response: reqwest::Response,
    (limit, cuts): (usize, bool),
    place: &str,
    follows_redirects: bool,
) -> Result<Response, HttpError> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: Vec<_> =
        response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let announced = |name: &str| headers.iter().any(|(found, _)| found == name);
    let encoding = headers.iter().find(|(name, _)| name == "content-encoding");
    let encoding = encoding.map(|(_, value)| value.to_ascii_lowercase());
    let length_known = announced("content-length")
        || announced("transfer-encoding")
        || response.version() == Version::HTTP_2;
    let status = response.status().as_u16();
    if follows_redirects && is_redirect(status) && announced("location") {
        return Ok(Response { status, headers, ..Response::default() });
    }
    let is_too_long = response.content_length().is_some_and(|len| len > limit as u64);
    if encoding.is_none() && is_too_long && !cuts {
        return Err(HttpError::TooLarge { limit });
    }
    let mut sink =
        BodySink::new(encoding.as_deref(), limit, response.content_length(), Vec::new())?;
    let came = loop {
        match response.chunk().await.map_err(|err| describe(&err, place)) {
            Ok(None) => break Ok(()),
            Ok(Some(piece)) => {
                if let Err(err) = sink.push(&piece) {
                    break Err(err);
                }
            }
            Err(err) => break Err(err),
        }
    };
    Ok(Response { status, headers, body: sink.finish(came, cuts)?, length_known })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::event_loop::EventLoop;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, UnixListener};
    use tokio::task::JoinHandle;

    /// Answers one connection for each text, and tells the heads of the requests.
    async fn canned(answers: Vec<String>) -> (String, JoinHandle<Option<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let at = listener.local_addr().expect("bound").to_string();
        let task = tasks::spawn("canned", async move {
            let mut heads = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.expect("accepts");
                heads.push(answer_one(&mut stream, &answer).await);
            }
            heads
        });
        (at, task)
    }

    async fn answer_one(
        stream: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin),
        answer: &str,
    ) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("a whole head"));
        }
        stream.write_all(answer.as_bytes()).await.expect("writes");
        if answer.is_empty() {
            std::future::pending::<()>().await;
        }
        String::from_utf8(head).expect("text").to_ascii_lowercase()
    }

    fn client(yaml: &str) -> Arc<dyn HttpClient> {
        let settings = serde_yaml::from_str(yaml).expect("reads");
        SystemHttp::new().client(&settings, Path::new("/")).expect("a client")
    }

    fn ok(body: &str) -> String {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    fn moved(to: &str) -> String {
        format!(
            "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
    }

    #[tokio::test]
    async fn t45_credentials_stay_with_their_host() {
        let (elsewhere, seen_elsewhere) = canned(vec![ok("b")]).await;
        let port = elsewhere.rsplit(':').next().expect("a port").to_owned();
        let (first, seen_first) =
            canned(vec![moved("/next"), moved(&format!("http://localhost:{port}/x"))]).await;
        let client = client(
            "{authorization: {credentials: s3cret}, http_headers: {X-Key: {secrets: [k3y]}}}",
        );
        let answer = client.send(Request::get(format!("http://{first}/a"))).await.expect("follows");
        assert_eq!((answer.status, &answer.body[..], answer.length_known), (200, &b"b"[..], true));
        for head in seen_first.await.expect("joins").expect("no panic") {
            assert!(head.contains("bearer s3cret") && head.contains("x-key: k3y"), "{head}");
        }
        for head in seen_elsewhere.await.expect("joins").expect("no panic") {
            assert!(!head.contains("s3cret") && !head.contains("k3y"), "{head}");
        }
    }

    #[tokio::test]
    async fn a_sink_cannot_send_us_to_another_server() {
        let sink = |yaml: &str| {
            let settings = serde_yaml::from_str(yaml).expect("reads");
            SystemHttp::new().sink_client(&settings, Path::new("/")).expect("a client")
        };
        let (elsewhere, seen_elsewhere) = canned(vec![ok("b")]).await;
        let port = elsewhere.rsplit(':').next().expect("a port").to_owned();
        let to_host = moved(&format!("http://localhost:{port}/x"));
        let to_port = moved(&format!("http://{elsewhere}/x"));
        let kept = moved("/next").replace("302", "307");
        let answers = vec![to_host, to_port, moved("/next"), kept.clone(), kept, ok("")];
        let (first, seen) = canned(answers).await;
        let other = "refused to follow a redirect to another server";
        for (method, expected) in [
            (Method::Get, Err(other)),
            (Method::Post, Err(other)),
            (Method::Post, Err("refused to follow a redirect that leaves the message behind")),
            (Method::Post, Ok(200)),
        ] {
            let mut request = Request::get(format!("http://{first}/a"));
            request.method = method;
            request.body = if method == Method::Post { "told".into() } else { bytes::Bytes::new() };
            let answer = sink("{}").send(request).await;
            let found = answer.map(|answer| answer.status).map_err(|err| err.to_string());
            assert_eq!(found, expected.map_err(str::to_owned), "{method:?}");
        }
        let heads = seen.await.expect("joins").expect("no panic");
        assert!(heads.last().is_some_and(|head| head.starts_with("post /next ")), "{heads:?}");
        assert!(!seen_elsewhere.is_finished(), "nobody came");
    }

    fn json(body: &str) -> String {
        ok(body).replace("Content-Length", "Content-Type: application/json\r\nContent-Length")
    }

    #[tokio::test]
    async fn t45_a_token_is_fetched_over_its_own_client_and_stays_with_its_host() {
        let (elsewhere, seen_elsewhere) = canned(vec![ok("b")]).await;
        let port = elsewhere.rsplit(':').next().expect("a port").to_owned();
        let away = moved(&format!("http://localhost:{port}/x"));
        let (first, seen_first) = canned(vec![moved("/next"), away, ok("")]).await;
        let token = r#"{"access_token": "t0k3n", "expires_in": 3600}"#;
        let (tokens, seen_tokens) = canned(vec![json(token)]).await;
        let client = client(&format!(
            "{{oauth2: {{client_id: i, client_secret: s3cret, token_url: 'http://{tokens}/t'}}}}"
        ));
        let mut request = Request::get(format!("http://{first}/a"));
        request.headers.push(("User-Agent".to_owned(), "me/1".to_owned()));
        for _ in 0..2 {
            assert_eq!(client.send(request.clone()).await.expect("answers").status, 200);
        }
        for head in seen_first.await.expect("joins").expect("no panic") {
            assert!(head.contains("authorization: bearer t0k3n\r\n"), "{head}");
        }
        for head in seen_elsewhere.await.expect("joins").expect("no panic") {
            assert!(!head.contains("t0k3n") && !head.contains("authorization"), "{head}");
        }
        let [head] = &seen_tokens.await.expect("joins").expect("no panic")[..] else {
            panic!("one token for both")
        };
        // Lower-cased by the helper: base64 of "i:s3cret" is aTpzM2NyZXQ=.
        assert!(head.contains("authorization: basic atpzm2nyzxq="), "{head}");
        assert!(head.starts_with("post /t http/1.1\r\n") && head.contains("agent: me/1"), "{head}");
    }

    #[tokio::test]
    async fn a_token_server_that_fails_or_hangs_fails_the_request_within_its_time() {
        let ask = async |tokens: &str| {
            let oauth2 = format!("token_url: 'http://u:hunter2@{tokens}/t?key=hunter2'");
            let client =
                client(&format!("{{oauth2: {{client_id: i, client_secret: hunter2, {oauth2}}}}}"));
            let mut request = Request::get("http://127.0.0.1:1/");
            request.timeout = Duration::from_millis(500);
            client.send(request).await.expect_err("no token").to_string()
        };
        let refused = "HTTP/1.1 403 F\r\nContent-Length: 7\r\nConnection: close\r\n\r\nhunter2";
        let (tokens, seen) = canned(vec![refused.to_owned(), refused.to_owned()]).await;
        assert_eq!(ask(&tokens).await, "oauth2: cannot fetch token: 403 Forbidden");
        assert_eq!(seen.await.expect("joins").expect("no panic").len(), 2, "both ways");
        let text = "Post \"http://u:xxxxx@127.0.0.1:1/t\": dial tcp 127.0.0.1:1: connect: \
                    connection refused";
        assert_eq!(ask("127.0.0.1:1").await, text);
        let (tokens, _task) = canned(vec![String::new()]).await;
        assert_eq!(ask(&tokens).await, "context deadline exceeded");
    }

    #[tokio::test]
    async fn a_proxy_is_told_its_headers_when_it_is_asked_to_connect_and_only_then() {
        let keys = |proxy: &str| {
            format!("proxy_url: 'http://u:p@{proxy}', proxy_connect_header: {{X-Key: [k3y, l]}}")
        };
        let refused = "HTTP/1.1 407 no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let (proxy, seen) = canned(vec![refused.to_owned(), ok("plain")]).await;
        let client = client(&format!("{{{}}}", keys(&proxy)));
        let err = client.send(Request::get("https://target.example/")).await.expect_err("407");
        assert!(!err.to_string().contains("k3y"), "{err}");
        let answer = client.send(Request::get("http://target.example/m")).await.expect("answers");
        assert_eq!(&answer.body[..], b"plain");
        let heads = seen.await.expect("joins").expect("no panic");
        assert!(heads[0].starts_with("connect target.example:443 http/1.1\r\n"), "{}", heads[0]);
        assert!(heads[0].contains("x-key: k3y\r\n") && heads[0].contains("x-key: l\r\n"));
        assert!(heads[1].starts_with("get http://target.example/m "), "{}", heads[1]);
        assert!(!heads[1].contains("k3y"), "{}", heads[1]);
        for head in heads {
            assert!(head.contains("proxy-authorization: basic dtpw"), "{head}");
        }
    }

    #[tokio::test]
    async fn the_token_server_is_reached_through_a_proxy_of_its_own() {
        let (proxy, seen) = canned(vec![json(r#"{"access_token": "t"}"#)]).await;
        let (target, seen_target) = canned(vec![ok("")]).await;
        let client = client(&format!(
            "{{oauth2: {{client_id: i, token_url: 'http://t.example/t', proxy_url: 'http://{proxy}'}}}}"
        ));
        client.send(Request::get(format!("http://{target}/"))).await.expect("answers");
        let heads = seen.await.expect("joins").expect("no panic");
        assert!(heads[0].starts_with("post http://t.example/t "), "{}", heads[0]);
        let heads = seen_target.await.expect("joins").expect("no panic");
        assert!(heads[0].starts_with("get / ") && heads[0].contains("bearer t"), "{}", heads[0]);
    }

    #[tokio::test]
    async fn user_and_password_of_a_url_become_a_header() {
        let (at, seen) = canned(vec![ok("")]).await;
        client("{}").send(Request::get(format!("http://a%40b:c@{at}/"))).await.expect("answers");
        let head = seen.await.expect("joins").expect("no panic").remove(0);
        // Lower-cased by the helper: base64 of "a@b:c" is YUBiOmM=.
        assert!(head.contains("authorization: basic yubiomm=") && !head.contains('@'), "{head}");
    }

    #[tokio::test]
    async fn redirects_end_after_three_and_may_be_switched_off() {
        let (at, _task) = canned(vec![moved("/a"), moved("/b"), moved("/c"), moved("/d")]).await;
        let err = client("{}").send(Request::get(format!("http://{at}/"))).await.expect_err("ends");
        assert_eq!(err.to_string(), "stopped after 3 redirects");
        let (at, _task) = canned(vec![moved("/a")]).await;
        let client = client("{follow_redirects: false}");
        assert_eq!(
            client.send(Request::get(format!("http://{at}/"))).await.expect("302").status,
            302
        );
    }

    #[tokio::test]
    async fn a_sink_cannot_send_our_posts_to_another_host() {
        let (at, _task) = canned(vec![moved("http://localhost:1/meta")]).await;
        let mut request = Request::get(format!("http://{at}/"));
        request.method = Method::Post;
        request.body = "x".into();
        let err = client("{}").send(request).await.expect_err("refused");
        assert!(err.to_string().contains("another host"), "{err}");
    }

    #[tokio::test]
    async fn failures_read_as_in_go_and_hold_no_credentials() {
        let mut request = Request::get("http://user:hunter2@127.0.0.1:1/?token=abc");
        request.timeout = Duration::from_secs(5);
        let err = client("{}").send(request).await.expect_err("nobody listens");
        assert_eq!(err.to_string(), "dial tcp 127.0.0.1:1: connect: connection refused");
        let (at, _task) = canned(vec![String::new()]).await;
        let mut request = Request::get(format!("http://{at}/"));
        request.timeout = Duration::from_millis(50);
        let err = client("{}").send(request).await.expect_err("silent");
        assert_eq!(err.to_string(), "context deadline exceeded");
        let cut = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_owned();
        let (at, _task) = canned(vec![cut]).await;
        let err = client("{}").send(Request::get(format!("http://{at}/"))).await.expect_err("cut");
        assert_eq!(err.to_string(), "unexpected EOF");
        for url in ["file:///etc/passwd", "nonsense"] {
            let err = client("{}").send(Request::get(url)).await.expect_err(url);
            assert!(matches!(err, HttpError::Invalid(_)), "{url}: {err}");
        }
    }

    #[tokio::test]
    async fn a_body_without_a_length_is_told_and_a_long_one_refused() {
        let (at, _task) = canned(vec!["HTTP/1.0 200 OK\r\n\r\nup 1\n".to_owned()]).await;
        let answer = client("{}").send(Request::get(format!("http://{at}/"))).await.expect("reads");
        assert_eq!((&answer.body[..], answer.length_known), (&b"up 1\n"[..], false));
        let (at, _task) = canned(vec![ok("12345")]).await;
        let mut request = Request::get(format!("http://{at}/"));
        request.body_bytes_max = 4;
        let err = client("{}").send(request).await.expect_err("too long");
        assert!(matches!(err, HttpError::TooLarge { limit: 4 }), "{err}");
    }

    #[tokio::test]
    async fn a_long_answer_that_may_be_cut_is_told_with_its_status() {
        for method in [Method::Get, Method::Post] {
            let answer = ok("12345").replace("200 OK", "503 Busy");
            let (at, _task) = canned(vec![answer]).await;
            let request = Request {
                method,
                body_bytes_max: 4,
                cuts_body: true,
                ..Request::get(format!("http://{at}/"))
            };
            let answer = client("{}").send(request).await.expect("cut");
            assert_eq!((answer.status, &answer.body[..]), (503, &b"1234"[..]), "{method:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_is_used_again_and_replaced_once_the_server_has_closed_it() {
        let answer = |body: &str| ok(body).replace("Connection: close\r\n", "");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let at = listener.local_addr().expect("bound");
        let server = tasks::spawn("server", async move {
            let (mut first, _) = listener.accept().await.expect("accepts");
            answer_one(&mut first, &answer("1")).await;
            answer_one(&mut first, &answer("2")).await;
            drop(first);
            let (mut second, _) = listener.accept().await.expect("accepts");
            answer_one(&mut second, &answer("3")).await
        });
        let client = client("{}");
        for expected in ["1", "2", "3"] {
            let answer = client.send(Request::get(format!("http://{at}/m?x=y"))).await;
            assert_eq!(&answer.expect("answers").body[..], expected.as_bytes());
        }
        let head = server.await.expect("joins").expect("no panic");
        assert!(head.starts_with("get /m?x=y http/1.1\r\n"), "{head}");
        assert!(head.contains(&format!("\r\nhost: {at}\r\n")), "{head}");
    }

    #[tokio::test]
    async fn a_request_that_is_sent_again_is_the_same_but_for_secrets_of_files() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let write = |token: &str| std::fs::write(dir.path().join("token"), token).expect("writes");
        for (yaml, expected) in [
            ("{bearer_token: one}", ["one", "one"]),
            ("{bearer_token_file: token}", ["one", "two"]),
            ("{http_headers: {X-Key: {files: [token]}}}", ["one", "two"]),
        ] {
            let settings = serde_yaml::from_str(yaml).expect("reads");
            let client = SystemHttp::new().client(&settings, dir.path()).expect("a client");
            let (at, seen) = canned(vec![ok("1"), ok("2")]).await;
            let (request, mut prepared) =
                (Request::get(format!("http://{at}/")), Prepared::default());
            write("one");
            for expected in ["1", "2"] {
                let answer = client.send_again(&request, &mut prepared, Vec::new()).await;
                assert_eq!(&answer.expect("answers").body[..], expected.as_bytes());
                write("two");
            }
            for (head, token) in seen.await.expect("joins").expect("no panic").iter().zip(expected)
            {
                assert!(head.contains(&format!("{token}\r\n")), "{yaml}: {head}");
            }
        }
    }

    #[tokio::test]
    async fn an_event_loop_asks_over_the_same_connection_and_follows_redirects() {
        let (other, _other) = canned(vec![ok("moved")]).await;
        let (silent, _silent) = canned(vec![String::new()]).await;
        let (proxy, _proxy) = canned(vec![ok("over tokio"), String::new()]).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let at = listener.local_addr().expect("bound");
        let _server = tasks::spawn("server", async move {
            let (mut only, _) = listener.accept().await.expect("accepts");
            for answer in [ok("1"), ok("2"), moved(&format!("http://{other}/"))] {
                answer_one(&mut only, &answer.replace("Connection: close\r\n", "")).await;
            }
        });
        let own = EventLoop::start("loop", tokio::runtime::Handle::current()).expect("a thread");
        let (done, ended) = tokio::sync::oneshot::channel();
        own.spawn("asks", async move {
            let (client, mut prepared) = (client("{}"), Prepared::default());
            let request = Request::get(format!("http://{at}/"));
            let mut found = Vec::new();
            for _ in 0..3 {
                let answer = client.send_again(&request, &mut prepared, Vec::new()).await;
                found.push(String::from_utf8(answer.expect("answers").body.to_vec()));
            }
            let general = self::client(&format!("{{proxy_url: 'http://{proxy}'}}"));
            let mut request = Request::get(format!("http://{silent}/"));
            let answer = general.send(request.clone()).await.expect("answers");
            found.push(String::from_utf8(answer.body.to_vec()));
            request.timeout = Duration::from_millis(50);
            let late = [client.send(request.clone()).await, general.send(request).await];
            let _ = done.send((found, late));
        });
        let (found, late) = ended.await.expect("no panic");
        assert_eq!(found, ["1", "2", "moved", "over tokio"].map(|body| Ok(body.to_owned())));
        for answer in late {
            assert!(matches!(answer, Err(HttpError::Timeout)), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn what_nobody_asked_for_is_not_the_next_answer() {
        let answer = |body: &str| ok(body).replace("Connection: close\r\n", "");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let at = listener.local_addr().expect("bound");
        let (other, _other) = canned(vec![ok("other")]).await;
        let server = tasks::spawn("server", async move {
            let (mut first, _) = listener.accept().await.expect("accepts");
            answer_one(&mut first, &answer("1")).await;
            first.write_all(answer("forged").as_bytes()).await.expect("writes");
            let (mut second, _) = listener.accept().await.expect("accepts");
            answer_one(&mut second, &answer("2")).await;
        });
        let client = client("{}");
        let first = client.send(Request::get(format!("http://{at}/"))).await.expect("answers");
        assert_eq!(&first.body[..], b"1");
        // By the time that this is answered the forged one has come.
        client.send(Request::get(format!("http://{other}/"))).await.expect("answers");
        let second = client.send(Request::get(format!("http://{at}/"))).await.expect("answers");
        assert_eq!(&second.body[..], b"2");
        server.await.expect("joins").expect("no panic");
    }

    #[tokio::test]
    async fn a_unix_socket_stands_in_for_the_host() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("s.sock");
        let listener = UnixListener::bind(&path).expect("binds");
        let task = tasks::spawn("unix", async move {
            let (mut stream, _) = listener.accept().await.expect("accepts");
            answer_one(&mut stream, &ok("u")).await
        });
        let mut request = Request::get("http://target.example/metrics");
        request.unix_socket = Some(path);
        assert_eq!(&client("{}").send(request).await.expect("answers").body[..], b"u");
        let head = task.await.expect("joins").expect("no panic");
        assert!(head.contains("host: target.example"), "{head}");
        let mut request = Request::get("http://target.example/metrics");
        request.unix_socket = Some(dir.path().join("gone.sock"));
        let err = client("{}").send(request).await.expect_err("nobody there");
        assert!(err.to_string().ends_with("connect: no such file or directory"), "{err}");
    }
}
