//! Talking to a sink over HTTP: the request with the headers that all kinds send, and what its
//! answer means.
//!
//! Source: prometheus/alertmanager, notify/util.go (PostJSON, Retrier).

use super::message::go_json;
use super::outside::Outside;
use super::retry::{Attempt, End, FailureClass, by_status, retry_after};
use super::sender::Job;
use super::truncate;
use crate::model::duration;
use crate::sys::http::{HttpClient, HttpError, Method, Request, Response};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Of an answer nothing is needed but a few words.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Of one that was asked for.
const WANTED_BYTES_MAX: usize = 1 << 20;
/// So much of it is kept for people.
const ANSWER_CHARS_MAX: usize = 200;
/// So much of it is looked at for that: a secret may stand across its end.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// A request to a sink. Every one has the user agent and the key of its delivery.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The verb.
    pub(super) method: Method,
    /// The whole URL.
    pub(super) url: String,
    /// Headers of its own, names in lower case.
    pub(super) headers: Vec<(&'static str, String)>,
    /// The body; empty for none.
    pub(super) body: String,
    /// For this attempt, when it has a limit of its own.
    pub(super) timeout: Option<Duration>,
    /// Whether the answer is worth reading to its end: more of it is taken.
    pub(super) asks: bool,
}

impl Call {
    /// A POST of JSON in Go's spelling.
    pub(super) fn json(url: impl Into<String>, body: &impl Serialize) -> Self {
        Self::json_text(url, go_json(body))
    }

    /// A POST of JSON that is written already.
    pub(super) fn json_text(url: impl Into<String>, body: String) -> Self {
        Self {
            method: Method::Post,
            url: url.into(),
            headers: vec![("content-type", "application/json".to_owned())],
            body,
            timeout: None,
            asks: false,
        }
    }

    /// A GET of JSON.
    pub(super) fn get(url: impl Into<String>) -> Self {
        Self { method: Method::Get, asks: true, ..Self::json_text(url, String::new()) }
    }

    /// The same for an answer that is needed whole.
    pub(super) fn asking(self) -> Self {
        Self { asks: true, ..self }
    }

    /// Sends it once.
    ///
    /// # Errors
    /// The attempt that has failed without an answer.
    pub(super) async fn send(
        self,
        client: &dyn HttpClient,
        job: &Job<'_>,
    ) -> Result<Answered, Attempt> {
        job.outside.revealed.note_user(&self.url);
        let own = self.timeout.filter(|timeout| *timeout < job.time_left);
        let common = [
            ("user-agent", format!("Alertmanager/{}", env!("CARGO_PKG_VERSION"))),
            ("idempotency-key", job.delivery.idempotency_key()),
        ];
        let headers = self.headers.into_iter().chain(common);
        let body_bytes_max = if self.asks { WANTED_BYTES_MAX } else { ANSWER_BYTES_MAX };
        let request = Request {
            method: self.method,
            url: self.url,
            headers: headers.map(|(name, value)| (name.to_owned(), value)).collect(),
            body: Bytes::from(self.body),
            timeout: own.unwrap_or(job.time_left),
            body_bytes_max,
            // What comes of it is told by the status first.
            cuts_body: true,
            unix_socket: None,
        };
        match (client.send(request).await, own) {
            (Ok(answer), _) => Ok(Answered::new(&answer, body_bytes_max, job.outside)),
            (Err(HttpError::Timeout), Some(own)) => {
                let kind = &job.delivery.integration.kind;
                let own = duration::go_text(own);
                let text =
                    format!("{}: configured {kind} timeout reached ({own})", HttpError::Timeout);
                Err(Attempt::retry(FailureClass::Deadline, text))
            }
            (Err(err), _) => Err(by_error(&err)),
        }
    }
}

/// What a sink answered.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    /// The status code.
    pub(super) status: u16,
    /// The header `Content-Type`; empty for none.
    pub(super) content_type: String,
    /// The body, or the beginning of one that is too long; what is no UTF-8 in it is replaced.
    pub(super) body: String,
    /// Whether that may be the beginning alone.
    pub(super) is_cut: bool,
    /// The beginning of the body, for people.
    head: String,
    /// How long the sink asks to wait.
    pub(super) retry_after: Option<Duration>,
}

/// The beginning of what a sink says, for people. Secrets are hidden before it is cut, since half
/// of one would not be found.
pub(super) fn head(said: &str, outside: &Outside) -> String {
    let near = truncate::head(said, HEAD_BYTES_MAX);
    outside.hide_secrets(near).trim().chars().take(ANSWER_CHARS_MAX).collect()
}

impl Answered {
    fn new(answer: &Response, body_bytes_max: usize, outside: &Outside) -> Self {
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        Self {
            status: answer.status,
            content_type: answer.header("content-type").unwrap_or_default().to_owned(),
            head: head(&body, outside),
            body,
            is_cut: answer.body.len() >= body_bytes_max,
            retry_after: retry_after(answer.header("retry-after"), outside.clock.now()),
        }
    }

    /// What the body says in JSON. Of one that was cut, what stands before the cut.
    pub(super) fn json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(&self.body).or_else(|err| match members_before_end(&self.body) {
            Some(members) if self.is_cut => serde_json::from_str(&members),
            _ => Err(err),
        })
    }

    /// The beginning of the body, for people.
    pub(super) fn head(&self) -> String {
        self.head.clone()
    }

    /// What its status means; `retried` are codes that may work later beside 429 and 5xx.
    pub(super) fn by_status(&self, retried: &[u16]) -> Attempt {
        self.by_status_saying(retried, &self.head)
    }

    /// The same with another detail than the body's beginning.
    pub(super) fn by_status_saying(&self, retried: &[u16], detail: &str) -> Attempt {
        self.ended(by_status(self.status, retried, self.retry_after, detail))
    }

    /// Refused by what the body says, whatever the status.
    pub(super) fn refused(&self, class: FailureClass, reason: String) -> Attempt {
        self.ended(End::Final { reason, class })
    }

    /// The same, but it may work later: after the pause that the sink asks for.
    pub(super) fn retry(&self, class: FailureClass, reason: String) -> Attempt {
        self.ended(End::Retry { reason, class, after: self.retry_after })
    }

    /// An end that the body decides, with this answer to show.
    pub(super) fn ended(&self, end: End) -> Attempt {
        Attempt { status: Some(self.status), answer: self.head.clone(), end, ..Attempt::done() }
    }
}

/// What it means that there is no answer.
fn by_error(err: &HttpError) -> Attempt {
    let reason = err.to_string();
    match err {
        HttpError::Timeout => Attempt::retry(FailureClass::Deadline, reason),
        HttpError::Connect(_) | HttpError::Broken(_) | HttpError::TooLarge { .. } => {
            Attempt::retry(FailureClass::Other, reason)
        }
        HttpError::Invalid(_) => Attempt::unsendable(reason),
    }
}

/// An object of JSON whose end is missing, with those of its members that are whole: services
/// tell first how it went, and then all of the message. `None` where there is none.
fn members_before_end(json: &str) -> Option<String> {
    let (mut depth, mut in_text, mut escaped, mut end) = (0_usize, false, false, None);
    for (at, byte) in json.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 1 => end = Some(at),
            _ => {}
        }
    }
    let whole = json.get(..end?)?;
    whole.trim_start().starts_with('{').then(|| format!("{whole}}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_object_without_an_end_the_whole_members_are_left() {
        for (json, expected) in [
            (r#"{"ok":true,"ts":"1","message":{"a":1,"b"#, Some(r#"{"ok":true,"ts":"1"}"#)),
            (
                r#"{"ok":false,"error":"a\",b","text":"x, y"#,
                Some(r#"{"ok":false,"error":"a\",b"}"#),
            ),
            (r#"{"all":[{"a":1},{"b":2}],"c"#, Some(r#"{"all":[{"a":1},{"b":2}]}"#)),
            (r#"{"ok":tr"#, None),
            ("[1,2", None),
            ("<html>, no", None),
            ("", None),
        ] {
            assert_eq!(members_before_end(json).as_deref(), expected, "{json}");
        }
    }
}
