//! One server: its address, the way to it, and the forms of its answers.

use crate::model::{Timestamp, percent, value_text};
use crate::sys::clock::SharedClock;
use crate::sys::http::{HttpClient, HttpError, Method, Request, Response};
use crate::sys::tasks::BlockingRuntime;
use crate::wire::{Account, Answer, Call, Error, ErrorKind, Explain};
use futures_util::future::{Either, select};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The longest answer that is taken.
const BODY_BYTES_MAX: usize = 128 << 20;
/// How soon a waiting call first looks whether anybody still wants the answer; each look doubles
/// the time to the next, since a long poll would otherwise keep an idle screen awake.
const CANCEL_POLL: Duration = Duration::from_millis(50);
/// The longest time between two looks: an unwanted answer holds a thread no longer than this.
const CANCEL_POLL_MAX: Duration = Duration::from_secs(2);
/// What the way may take beyond the call's own time.
const WAY: Duration = Duration::from_secs(5);

/// A server and the way to it.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// Without a slash at its end.
    base: String,
    socket: Option<PathBuf>,
    client: Arc<dyn HttpClient>,
    runtime: Arc<BlockingRuntime>,
    clock: SharedClock,
}

/// A request before it has an address.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) params: Params,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl<'a> Ask<'a> {
    pub(super) fn get(path: &'a str, params: Params) -> Self {
        Self { method: Method::Get, path, params, headers: Vec::new(), body: Vec::new() }
    }

    pub(super) fn post(path: &'a str, content_type: &str, body: Vec<u8>) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Self { method: Method::Post, path, params: Params::default(), headers, body }
    }

    /// Parameters as a form, which has no limit of length.
    pub(super) fn form(path: &'a str, params: &Params) -> Self {
        Self::post(path, "application/x-www-form-urlencoded", params.0.clone().into_bytes())
    }
}

/// Parameters, escaped.
#[derive(Clone, Debug, Default)]
pub(super) struct Params(String);

impl Params {
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(&escaped(name));
        self.0.push('=');
        self.0.push_str(&escaped(value));
        self
    }

    pub(super) fn maybe(self, name: &str, value: Option<String>) -> Self {
        match value {
            Some(value) => self.with(name, &value),
            None => self,
        }
    }

    /// A count, where 0 is what the server takes for missing.
    pub(super) fn count(self, name: &str, count: usize) -> Self {
        self.maybe(name, (count > 0).then(|| count.to_string()))
    }
}

/// Seconds as the API reads them.
pub(super) fn seconds(ts: Timestamp) -> String {
    value_text::plain(ts.as_seconds())
}

/// A span as the API reads it.
pub(super) fn span(span: Duration) -> String {
    value_text::plain(span.as_secs_f64())
}

/// `text` as one part of a path or of a query.
pub(super) fn escaped(text: &str) -> String {
    percent::encode(text, b"")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<T> {
    #[serde(default)]
    status: String,
    data: Option<T>,
    #[serde(default)]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    infos: Vec<String>,
    explain: Option<Explain>,
}

impl Server {
    pub(super) fn new(
        address: &str,
        client: Arc<dyn HttpClient>,
        runtime: Arc<BlockingRuntime>,
        clock: SharedClock,
    ) -> Result<Self, Error> {
        let (base, socket) = match address.strip_prefix("unix:") {
            // The name is never looked up; it only has to pass the server's guard.
            Some(path) => ("http://localhost".to_owned(), Some(PathBuf::from(path))),
            None if address.starts_with("http://") || address.starts_with("https://") => {
                (address.trim_end_matches('/').to_owned(), None)
            }
            None => {
                let text =
                    format!("cannot use address {address:?}; write http://HOST:PORT or unix:PATH");
                return Err(Error::bad_data(text));
            }
        };
        Ok(Self { base, socket, client, runtime, clock })
    }

    /// The same server below `path`.
    pub(super) fn below(&self, path: &str) -> Self {
        Self { base: format!("{}{path}", self.base), ..self.clone() }
    }

    /// Where it is, for people; without user and password.
    pub(super) fn shown(&self) -> String {
        if let Some(socket) = &self.socket {
            return format!("unix:{}", socket.display());
        }
        match self.base.split_once("://") {
            Some((scheme, rest)) => {
                let bare = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
                format!("{scheme}://{bare}")
            }
            None => self.base.clone(),
        }
    }

    /// The host's name, for people.
    pub(super) fn host(&self) -> String {
        let shown = self.shown();
        let bare = shown.split_once("://").map_or(shown.as_str(), |(_, rest)| rest);
        bare.split('/').next().unwrap_or_default().to_owned()
    }

    /// Asks and waits.
    pub(super) fn send(&self, call: &Call, ask: Ask) -> Result<Response, Error> {
        let question = if ask.params.0.is_empty() { "" } else { "?" };
        let request = Request {
            method: ask.method,
            url: format!("{}{}{question}{}", self.base, ask.path, ask.params.0),
            headers: ask.headers,
            body: ask.body.into(),
            timeout: call.timeout.saturating_add(WAY),
            body_bytes_max: BODY_BYTES_MAX,
            cuts_body: false,
            unix_socket: self.socket.clone(),
        };
        let sent = self.runtime.wait(async {
            let mut pending = self.client.send(request);
            let mut pause = CANCEL_POLL;
            loop {
                match select(pending, self.clock.sleep(pause)).await {
                    Either::Left((answer, _)) => return Some(answer),
                    Either::Right(((), _)) if call.is_canceled() => return None,
                    Either::Right(((), rest)) => pending = rest,
                }
                pause = (pause * 2).min(CANCEL_POLL_MAX);
            }
        });
        match sent {
            None => Err(Error::new(ErrorKind::Canceled, "the request was canceled")),
            Some(answer) => answer.map_err(|err| self.unreached(&err)),
        }
    }

    /// Waits, while blocking is allowed.
    pub(super) fn pause(&self, span: Duration) {
        self.runtime.wait(self.clock.sleep(span));
    }

    /// An answer in Prometheus' envelope.
    pub(super) fn envelope<T: DeserializeOwned>(
        &self,
        call: &Call,
        ask: Ask,
    ) -> Result<Answer<T>, Error> {
        let path = ask.path.to_owned();
        let response = self.send(call, ask)?;
        self.opened(&path, &response)
    }

    /// What is in the envelope of an answer from `path`.
    pub(super) fn opened<T: DeserializeOwned>(
        &self,
        path: &str,
        response: &Response,
    ) -> Result<Answer<T>, Error> {
        let Ok(read) = serde_json::from_slice::<Envelope<T>>(&response.body) else {
            return Err(self.unread::<Envelope<T>>(path, response));
        };
        match read.data {
            Some(data) if read.status == "success" => {
                let account = read.explain.map(|explain| {
                    Box::new(Account { explain: Some(explain), ..Account::default() })
                });
                Ok(Answer { data, warnings: read.warnings, infos: read.infos, account })
            }
            Some(_) | None => {
                let kind = ErrorKind::from_answer(&read.error_type, response.status);
                Err(Error::new(kind, read.error))
            }
        }
    }

    /// An answer without envelope, as Alertmanager's.
    pub(super) fn bare<T: DeserializeOwned>(&self, call: &Call, ask: Ask) -> Result<T, Error> {
        let path = ask.path.to_owned();
        let response = self.success(call, ask)?;
        serde_json::from_slice(&response.body).map_err(|_| self.unread::<T>(&path, &response))
    }

    /// Any answer of the 200s.
    pub(super) fn success(&self, call: &Call, ask: Ask) -> Result<Response, Error> {
        let path = ask.path.to_owned();
        let response = self.send(call, ask)?;
        if (200..300).contains(&response.status) {
            return Ok(response);
        }
        Err(self.refused(&path, &response))
    }

    fn unreached(&self, err: &HttpError) -> Error {
        let kind = match err {
            HttpError::Timeout => ErrorKind::Timeout,
            HttpError::Invalid(_) => ErrorKind::BadData,
            HttpError::Connect(_) | HttpError::TooLarge { .. } | HttpError::Broken(_) => {
                ErrorKind::Unavailable
            }
        };
        Error::new(kind, format!("cannot reach {}: {err}", self.shown()))
    }

    /// The error in an answer that is no success, in whichever form it came.
    fn refused(&self, path: &str, response: &Response) -> Error {
        if let Ok(read) = serde_json::from_slice::<Envelope<serde::de::IgnoredAny>>(&response.body)
            && !read.error.is_empty()
        {
            let kind = ErrorKind::from_answer(&read.error_type, response.status);
            return Error::new(kind, read.error);
        }
        let kind = ErrorKind::from_answer("", response.status);
        #[derive(Deserialize)]
        struct Coded {
            message: String,
        }
        let elsewhere = matches!(response.status, 401 | 403..=405 | 502..=504);
        let text = serde_json::from_slice::<String>(&response.body)
            .or_else(|_| serde_json::from_slice::<Coded>(&response.body).map(|err| err.message))
            .unwrap_or_else(|_| match first_line(&response.body) {
                line if line.is_empty() || elsewhere || is_page(response) => {
                    self.no_api(path, response)
                }
                line => line,
            });
        Error::new(kind, text)
    }

    fn unread<T: DeserializeOwned>(&self, path: &str, response: &Response) -> Error {
        if !(200..300).contains(&response.status) {
            return self.refused(path, response);
        }
        if is_page(response) {
            return Error::internal(self.no_api(path, response));
        }
        let why = serde_json::from_slice::<T>(&response.body)
            .err()
            .map_or_else(String::new, |err| err.to_string());
        Error::internal(format!("cannot read the answer of {}{path}: {why}", self.shown()))
    }

    /// An answer that no API gives, in one sentence, with what may be wrong.
    fn no_api(&self, path: &str, response: &Response) -> String {
        let hint = match response.status {
            200..300 => "; is a proxy or another program at this URL?",
            401 | 403 => "; the URL may need a user: http://USER:PASSWORD@HOST",
            404 | 405 => "; is the URL's path right?",
            502..=504 => "; the server may be starting, or down behind a proxy",
            _ => "",
        };
        let said =
            if is_page(response) { "an HTML page".to_owned() } else { first_line(&response.body) };
        let said = if said.is_empty() { said } else { format!(" and {said}") };
        let (url, status) = (self.shown(), response.status);
        format!("{url}{path} answers with HTTP status {status}{said}, not as Prometheus' API{hint}")
    }
}

/// Whether the body is HTML, for people with a browser.
fn is_page(response: &Response) -> bool {
    response.body.trim_ascii_start().starts_with(b"<")
}

/// The start of a plain text.
fn first_line(body: &[u8]) -> String {
    const CHARS_MAX: usize = 300;
    let text = String::from_utf8_lossy(body.get(..4 * CHARS_MAX).unwrap_or(body)).into_owned();
    text.lines().next().unwrap_or_default().trim().chars().take(CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_survive_the_way() {
        let params = Params::default().with("query", "a{b=\"c d\"}+1").with("match[]", "\u{e4}&=");
        assert_eq!(params.0, "query=a%7Bb%3D%22c%20d%22%7D%2B1&match%5B%5D=%C3%A4%26%3D");
        assert_eq!(seconds(Timestamp::from_millis(1_700_000_000_123)), "1700000000.123");
        assert_eq!(span(Duration::from_millis(1500)), "1.5");
    }
}
