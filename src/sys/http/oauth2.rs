//! Tokens of the OAuth 2.0 client credentials grant: fetched when one is needed, kept until they
//! expire.
//!
//! Source: RFC 6749, sections 2.3.1 and 4.4; golang.org/x/oauth2, internal/token.go and
//! clientcredentials (what is asked, in which order); prometheus/common, config/http_config.go.

use super::auth::{basic_header, read_secret};
use super::{HttpClient, HttpError, Method, Request, Response};
use crate::model::percent::encode_form;
use crate::sys::clock::SharedClock;
use crate::sys::settings::{OAuth2, Secret};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// A longer answer is no token.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// A longer token would be refused by every server: it goes into a header.
const TOKEN_BYTES_MAX: usize = 64 << 10;
/// A token is not used in its last seconds: it has to arrive in time.
const LEEWAY: Duration = Duration::from_secs(10);
/// Longer lives are taken for as long as this, as upstream does: 2^31 - 1 seconds.
const LIFE_SECONDS_MAX: u64 = 2_147_483_647;

/// Where a client's tokens come from.
#[derive(Debug)]
pub struct TokenSource {
    settings: OAuth2,
    base: PathBuf,
    /// Talks to the token server with TLS and proxy of its own.
    client: Arc<dyn HttpClient>,
    clock: SharedClock,
    /// Held while a token is fetched: who comes meanwhile waits for the same one.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the token was fetched with; another one makes everything start anew.
    secret: Secret,
    style: Option<Style>,
    token: Option<Token>,
}

#[derive(Debug)]
struct Token {
    /// The value of `Authorization`.
    header: Secret,
    /// By the clock's elapsed time; `None` for never.
    expires: Option<Duration>,
}

/// How the token server wants to know who asks. Servers understand one or both, and nothing says
/// which, so the first is tried before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Header,
    Params,
}

impl TokenSource {
    /// Tokens by these settings. `client` is one with `OAuth2::client`'s settings; a relative file
    /// is looked up in `base`.
    pub fn new(
        settings: OAuth2,
        base: PathBuf,
        client: Arc<dyn HttpClient>,
        clock: SharedClock,
    ) -> Self {
        Self { settings, base, client, clock, state: Mutex::default() }
    }

    /// The value of `Authorization` for a request of this client, which calls itself `user_agent`.
    /// The caller bounds the time; a token server that hangs costs no more than that.
    ///
    /// # Errors
    /// The secret's file cannot be read, or the token server gives no token.
    pub async fn authorization(
        &self,
        user_agent: Option<&str>,
        timeout: Duration,
    ) -> Result<String, HttpError> {
        let secret = match &self.settings.client_secret_file {
            Some(file) => Secret::new(read_secret(&self.base, file)?),
            None => self.settings.client_secret.clone(),
        };
        let mut state = self.state.lock().await;
        if state.secret != secret {
            *state = State { secret, ..State::default() };
        }
        let now = self.clock.elapsed();
        let lives = |token: &&Token| token.expires.is_none_or(|at| now + LEEWAY <= at);
        if let Some(token) = state.token.as_ref().filter(lives) {
            return Ok(token.header.reveal().to_owned());
        }
        let request = |style| self.request(style, state.secret.reveal(), user_agent, timeout);
        let (token, style) = match state.style {
            Some(style) => (self.fetch(request(style)).await??, style),
            None => match self.fetch(request(Style::Header)).await? {
                Ok(token) => (token, Style::Header),
                Err(_) => (self.fetch(request(Style::Params)).await??, Style::Params),
            },
        };
        state.style = Some(style);
        let header = token.header.reveal().to_owned();
        state.token = Some(token);
        Ok(header)
    }

    fn request(
        &self,
        style: Style,
        secret: &str,
        user_agent: Option<&str>,
        timeout: Duration,
    ) -> Request {
        let settings = &self.settings;
        let mut params: BTreeMap<&str, String> = BTreeMap::new();
        params.insert("grant_type", "client_credentials".to_owned());
        if !settings.scopes.is_empty() {
            params.insert("scope", settings.scopes.join(" "));
        }
        // A grant of another name wins: there are servers that want one.
        let more = settings.endpoint_params.iter();
        params.extend(more.map(|(name, value)| (name.as_str(), value.0.clone())));
        let mut request = Request::get(settings.token_url.reveal());
        request.method = Method::Post;
        request.timeout = timeout;
        request.body_bytes_max = ANSWER_BYTES_MAX;
        let mut header = |name: &str, value: String| request.headers.push((name.to_owned(), value));
        header("content-type", "application/x-www-form-urlencoded".to_owned());
        if let Some(agent) = user_agent {
            header("user-agent", agent.to_owned());
        }
        match style {
            Style::Header => {
                let (id, secret) = (encode_form(&settings.client_id), encode_form(secret));
                header("authorization", basic_header(&id, &secret));
            }
            Style::Params => {
                params.insert("client_id", settings.client_id.clone());
                if !secret.is_empty() {
                    params.insert("client_secret", secret.to_owned());
                }
            }
        }
        let pair = |(name, value): (&&str, &String)| {
            format!("{}={}", encode_form(name), encode_form(value))
        };
        request.body = params.iter().map(pair).collect::<Vec<_>>().join("&").into();
        request
    }

    /// A token, or why the answer is none. To ask in another way is of use only after an answer,
    /// so that none at all is an error of its own.
    async fn fetch(&self, request: Request) -> Result<Result<Token, HttpError>, HttpError> {
        let answer = self.client.send(request).await.map_err(|err| self.failed(&err))?;
        Ok(self.token(&answer))
    }

    fn token(&self, answer: &Response) -> Result<Token, HttpError> {
        if !(200..300).contains(&answer.status) {
            let words = reqwest::StatusCode::from_u16(answer.status).map(|code| code.to_string());
            let status = words.unwrap_or_else(|_| answer.status.to_string());
            // The answer itself is not shown: it may hold what was sent.
            let reason = error_code(&answer.body).map_or(String::new(), |code| format!(": {code}"));
            let text = format!("oauth2: cannot fetch token: {status}{reason}");
            return Err(HttpError::Broken(text));
        }
        let said = read(answer).map_err(|text| HttpError::Broken(format!("oauth2: {text}")))?;
        let now = self.clock.elapsed();
        let header = Secret::new(format!("{} {}", word(&said.token_type), said.access_token));
        Ok(Token { header, expires: said.life.map(|life| now.saturating_add(life)) })
    }

    /// A failure to talk to the token server; other than a timeout it is none of the target's.
    fn failed(&self, err: &HttpError) -> HttpError {
        if matches!(err, HttpError::Timeout) {
            return HttpError::Timeout;
        }
        let url = self.settings.token_url.to_string();
        let url = url.split(['?', '#']).next().unwrap_or_default();
        HttpError::Broken(format!("Post {url:?}: {err}"))
    }
}

/// What a token server said.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    access_token: String,
    token_type: String,
    /// `None` for a token that does not expire.
    life: Option<Duration>,
}

fn read(answer: &Response) -> Result<Said, String> {
    let media = answer.header("content-type").unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let said = match media.as_str() {
        "application/x-www-form-urlencoded" | "text/plain" => read_form(&answer.body),
        _ => read_json(&answer.body)?,
    };
    if said.access_token.is_empty() {
        return Err("server response missing access_token".to_owned());
    }
    if said.access_token.len() > TOKEN_BYTES_MAX {
        return Err(format!("cannot use a token longer than {TOKEN_BYTES_MAX} bytes"));
    }
    Ok(said)
}

fn read_json(body: &[u8]) -> Result<Said, String> {
    #[derive(Deserialize)]
    struct Form {
        #[serde(default)]
        access_token: Option<String>,
        #[serde(default)]
        token_type: Option<String>,
        #[serde(default)]
        expires_in: Option<serde_json::Value>,
    }
    // The parser's own words may quote the answer.
    let form: Form = serde_json::from_slice(body)
        .map_err(|err| format!("cannot parse json, at column {}", err.column()))?;
    let seconds = match &form.expires_in {
        None | Some(serde_json::Value::Null) => Some(0),
        Some(serde_json::Value::String(text)) => text.parse().ok(),
        Some(number) => number.as_i64().or_else(|| {
            // Some servers write 3600.0.
            number.as_f64().and_then(|number| format!("{number:.0}").parse().ok())
        }),
    };
    let seconds: i64 = seconds.ok_or("cannot parse json: expires_in is no number of seconds")?;
    Ok(Said {
        access_token: form.access_token.unwrap_or_default(),
        token_type: form.token_type.unwrap_or_default(),
        life: life(seconds),
    })
}

fn read_form(body: &[u8]) -> Said {
    let mut said = Said { access_token: String::new(), token_type: String::new(), life: None };
    // The URL's own reader of forms.
    let mut url = reqwest::Url::parse("http://form/").expect("a URL");
    url.set_query(Some(&String::from_utf8_lossy(body)));
    for (name, value) in url.query_pairs() {
        match name.as_ref() {
            "access_token" => said.access_token = value.into_owned(),
            "token_type" => said.token_type = value.into_owned(),
            "expires_in" => said.life = life(value.parse().unwrap_or(0)),
            _ => {}
        }
    }
    said
}

/// Nothing and zero are for ever, as upstream; what has expired already is used once.
fn life(seconds: i64) -> Option<Duration> {
    let seconds = u64::try_from(seconds).unwrap_or(0).min(LIFE_SECONDS_MAX);
    (seconds != 0).then(|| Duration::from_secs(seconds))
}

/// The word before the token in a header.
fn word(token_type: &str) -> &str {
    let known = [("", "Bearer"), ("bearer", "Bearer"), ("mac", "MAC"), ("basic", "Basic")];
    let found = known.iter().find(|(name, _)| token_type.eq_ignore_ascii_case(name));
    found.map_or(token_type, |(_, word)| word)
}

/// The code of a refusal, one of those that the standard names: any other text is the server's.
fn error_code(body: &[u8]) -> Option<&'static str> {
    const CODES: [&str; 6] = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    ];
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let code = answer.get("error")?.as_str()?;
    CODES.into_iter().find(|known| *known == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::http::Http as _;
    use crate::sys::sim::VirtualClock;
    use crate::sys::sim_http::ScriptedHttp;
    use proptest::prelude::*;
    use std::path::Path;

    const URL: &str = "http://t/token";

    struct Scene {
        http: ScriptedHttp,
        clock: VirtualClock,
        tokens: TokenSource,
        folder: tempfile::TempDir,
    }

    impl Scene {
        fn new(keys: &str) -> Self {
            let yaml = format!("{{client_id: 'a b:c', token_url: '{URL}'{keys}}}");
            let settings: OAuth2 = serde_yaml::from_str(&yaml).expect("reads");
            let http = ScriptedHttp::new();
            let client = http.client(&settings.client(), Path::new("/")).expect("a client");
            let clock = VirtualClock::at(crate::model::Timestamp::EPOCH);
            let folder = tempfile::tempdir().expect("a folder");
            let base = folder.path().to_owned();
            let tokens = TokenSource::new(settings, base, client, Arc::new(clock.clone()));
            Self { http, clock, tokens, folder }
        }

        fn answers(&self, status: u16, media: &str, body: &str) {
            self.http.on(URL, ScriptedHttp::answer(status, media, body));
        }

        async fn ask(&self) -> Result<String, String> {
            let asked = self.tokens.authorization(Some("me/1"), Duration::from_secs(1));
            asked.await.map_err(|err| err.to_string())
        }

        fn asked(&self) -> Vec<Request> {
            self.http.requests()
        }
    }

    fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
        let found = request.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    const JSON: &str = "application/json";

    #[tokio::test]
    async fn a_token_is_fetched_once_and_again_before_it_expires() {
        let scene = Scene::new(", client_secret: 'd&e'");
        scene.answers(200, JSON, r#"{"access_token": "t1", "expires_in": 60, "x": 1}"#);
        scene.answers(200, JSON, r#"{"access_token": "t2", "token_type": "mac"}"#);
        for _ in 0..3 {
            assert_eq!(scene.ask().await.as_deref(), Ok("Bearer t1"));
        }
        let asked = scene.asked();
        let [one] = &asked[..] else { panic!("{asked:?}") };
        assert_eq!((one.method, one.url.as_str()), (Method::Post, URL));
        // RFC 6749: both parts are encoded as in a form, then "a+b%3Ac:d%26e" in base64.
        assert_eq!(header(one, "authorization"), Some("Basic YStiJTNBYzpkJTI2ZQ=="));
        assert_eq!(header(one, "content-type"), Some("application/x-www-form-urlencoded"));
        assert_eq!(header(one, "user-agent"), Some("me/1"));
        assert_eq!(
            (&one.body[..], one.body_bytes_max),
            (&b"grant_type=client_credentials"[..], 1 << 20)
        );
        scene.clock.advance(Duration::from_secs(50));
        assert_eq!(scene.ask().await.as_deref(), Ok("Bearer t1"));
        scene.clock.advance(Duration::from_millis(1));
        assert_eq!(scene.ask().await.as_deref(), Ok("MAC t2"), "ten seconds before its end");
        scene.clock.advance(Duration::from_secs(1 << 32));
        assert_eq!(scene.ask().await.as_deref(), Ok("MAC t2"), "it has no end");
        assert_eq!(scene.asked().len(), 2);
    }

    #[tokio::test]
    async fn a_server_that_refuses_the_header_is_asked_with_parameters_from_then_on() {
        let keys = ", client_secret: d, scopes: [x, 'y:z'], endpoint_params: {audience: q, n: 5}";
        let scene = Scene::new(keys);
        scene.answers(401, JSON, r#"{"error": "invalid_client", "error_description": "canary"}"#);
        let told = "oauth2: cannot fetch token: 401 Unauthorized: invalid_client";
        assert_eq!(scene.ask().await, Err(told.to_owned()));
        let bodies = |asked: &[Request]| -> Vec<(bool, String)> {
            let body = |one: &Request| String::from_utf8_lossy(&one.body).into_owned();
            asked.iter().map(|one| (header(one, "authorization").is_some(), body(one))).collect()
        };
        let plain = "grant_type=client_credentials&n=5&scope=x+y%3Az";
        let first = (true, format!("audience=q&{plain}"));
        let second = (false, format!("audience=q&client_id=a+b%3Ac&client_secret=d&{plain}"));
        assert_eq!(bodies(&scene.asked()), [first, second]);
    }

    #[tokio::test]
    async fn a_secret_that_changes_in_its_file_makes_a_new_token() {
        let scene = Scene::new(", client_secret_file: s");
        let err = scene.ask().await.expect_err("no file");
        assert!(err.contains("unable to read file") && scene.asked().is_empty(), "{err}");
        let file = scene.folder.path().join("s");
        std::fs::write(&file, "one\n").expect("writes");
        scene.answers(200, JSON, r#"{"access_token": "t1"}"#);
        scene.answers(200, JSON, r#"{"access_token": "t2"}"#);
        assert_eq!(scene.ask().await.as_deref(), Ok("Bearer t1"));
        std::fs::write(&file, "two\n").expect("writes");
        assert_eq!(scene.ask().await.as_deref(), Ok("Bearer t2"));
        let shown = format!("{:?}", scene.tokens.state);
        assert!(!shown.contains("t2") && !shown.contains("two"), "{shown}");
    }

    #[tokio::test]
    async fn answers_that_are_no_tokens_are_told_without_their_words() {
        for (media, body, text) in [
            (JSON, "canary", "oauth2: cannot parse json, at column 1"),
            (JSON, "{\"error\": \"canary\"}", "oauth2: server response missing access_token"),
            (
                JSON,
                r#"{"access_token": "a", "expires_in": "canary"}"#,
                "oauth2: cannot parse json: expires_in is no number of seconds",
            ),
            ("text/plain", "canary=1", "oauth2: server response missing access_token"),
        ] {
            let scene = Scene::new("");
            scene.answers(200, media, body);
            assert_eq!(scene.ask().await, Err(text.to_owned()), "{body}");
        }
        let scene = Scene::new("");
        let long = format!("{{\"access_token\": \"{}\"}}", "a".repeat(TOKEN_BYTES_MAX + 1));
        scene.answers(200, JSON, &long);
        let err = scene.ask().await.expect_err("too long");
        assert_eq!(err, "oauth2: cannot use a token longer than 65536 bytes");
        let scene = Scene::new("");
        scene.http.on_error(URL, HttpError::TooLarge { limit: 1 });
        let err = scene.tokens.authorization(None, Duration::from_secs(1)).await;
        let err = err.expect_err("too long");
        assert!(matches!(err, HttpError::Broken(_)), "not the target's body: {err}");
        assert!(err.to_string().starts_with("Post \"http://t/token\": body size"), "{err}");
    }

    #[test]
    fn answers_are_read_as_upstream_reads_them() {
        let answer = |media: &str, body: &str| Response {
            status: 200,
            headers: vec![("content-type".to_owned(), media.to_owned())],
            body: body.to_owned().into(),
            length_known: true,
        };
        for (media, body, token, kind, seconds) in [
            (JSON, r#"{"access_token": "a", "expires_in": "90"}"#, "a", "", Some(90)),
            (JSON, r#"{"access_token": "a", "expires_in": 90.0}"#, "a", "", Some(90)),
            (JSON, r#"{"access_token": "a", "expires_in": null}"#, "a", "", None),
            (
                JSON,
                r#"{"access_token": "a", "expires_in": 99999999999}"#,
                "a",
                "",
                Some(LIFE_SECONDS_MAX),
            ),
            ("", r#"{"access_token": "a", "token_type": "X"}"#, "a", "X", None),
            ("text/plain; charset=x", "access_token=a%20b+c&expires_in=5", "a b c", "", Some(5)),
            (
                "application/x-www-form-urlencoded",
                "token_type=y&access_token=a&expires_in=x",
                "a",
                "y",
                None,
            ),
        ] {
            let said = read(&answer(media, body)).expect(body);
            let expected = Said {
                access_token: token.to_owned(),
                token_type: kind.to_owned(),
                life: seconds.map(Duration::from_secs),
            };
            assert_eq!(said, expected, "{body}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_token_server_answers_is_a_token_or_an_error(
            body in prop::collection::vec(any::<u8>(), 0..200),
            is_form in any::<bool>(),
        ) {
            let media = if is_form { "text/plain" } else { JSON };
            let answer = Response {
                headers: vec![("content-type".to_owned(), media.to_owned())],
                body: body.into(),
                ..Response::default()
            };
            let is_token = read(&answer).is_ok_and(|said| !said.access_token.is_empty());
            prop_assert!(is_token || read(&answer).is_err());
            error_code(&answer.body);
        }

        #[test]
        fn what_is_escaped_reads_back(text in ".{0,40}") {
            let form = format!("access_token={}", encode_form(&text));
            prop_assert_eq!(read_form(form.as_bytes()).access_token, text);
        }
    }
}
