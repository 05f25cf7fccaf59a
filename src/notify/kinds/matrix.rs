//! Matrix: a message in a room, as text and as HTML.
//!
//! Source: the Matrix Client-Server API, v1.12 (sending events with a transaction identifier,
//! `m.room.message`, `m.mentions`, rate limiting, size limits of events).

use super::{Context, Written, check_url, one_of};
use crate::model::{Problem, percent};
use crate::notify::config::Source;
use crate::notify::post::{Answered, Call};
use crate::notify::retry::{Attempt, End};
use crate::notify::sender::{Job, Made};
use crate::notify::truncate;
use crate::notify::vendor::{Message, Talking, Vendor};
use crate::sys::http::Method;
use crate::sys::settings::{HttpClientSettings, Secret, ShownUrl};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// An event has at most 64 KiB, with what the server adds and escapes that may double a text.
const TEXT_BYTES_MAX: usize = 12 << 10;
/// HTML that is cut is none: a longer one is left out.
const HTML_BYTES_MAX: usize = 16 << 10;

/// One item of `matrix_configs`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether resolved alerts are told.
    pub send_resolved: bool,
    /// How to talk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpClientSettings>,
    /// The server.
    pub homeserver_url: ShownUrl,
    /// The room, as in `!abc:example.org`; a template.
    pub room_id: String,
    /// The user's token.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub access_token: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token_file: Option<PathBuf>,
    /// The message as text; a template.
    pub message: String,
    /// The same as HTML; a template; none when empty.
    pub html: String,
    /// `m.text`, or `m.notice`, which bots do not answer.
    pub msgtype: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            send_resolved: true,
            http_config: None,
            homeserver_url: ShownUrl::default(),
            room_id: String::new(),
            access_token: Secret::default(),
            access_token_file: None,
            message: "{{ template \"watchbell.default.title\" . }}\n\
                      {{ template \"watchbell.default.message\" . }}"
                .to_owned(),
            html: r#"{{ template "watchbell.default.html" . }}"#.to_owned(),
            msgtype: "m.text".to_owned(),
        }
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        if self.homeserver_url.is_empty() {
            return Err(Problem::new(at, "missing homeserver_url in matrix_config"));
        }
        check_url(&format!("{at}.homeserver_url"), self.homeserver_url.reveal())?;
        if self.room_id.is_empty() {
            return Err(Problem::new(at, "missing room_id in matrix_config"));
        }
        if !self.room_id.contains("{{") && !self.room_id.starts_with('!') {
            let text = format!("{:?} is no room: its identifier begins with !", self.room_id);
            return Err(Problem::new(format!("{at}.room_id"), text));
        }
        if !["m.text", "m.notice"].contains(&self.msgtype.as_str()) {
            let text = format!("{:?} is neither m.text nor m.notice", self.msgtype);
            return Err(Problem::new(format!("{at}.msgtype"), text));
        }
        let file = self.access_token_file.as_ref();
        let token = one_of(at, "access_token", &self.access_token, file)?;
        let token = token.ok_or_else(|| {
            Problem::new(at, "one of access_token or access_token_file must be configured")
        })?;
        let http = context.http(at, self.http_config.as_ref())?;
        let vendor = Matrix { settings: self.clone(), token };
        Ok(Talking::made("matrix", self.send_resolved, http, vendor))
    }
}

/// One room, checked.
#[derive(Clone, Debug)]
struct Matrix {
    settings: Settings,
    token: Source,
}

#[derive(Serialize)]
struct Form<'a> {
    msgtype: &'a str,
    body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    formatted_body: Option<String>,
    /// Being there, it keeps servers from looking for mentions in the text.
    #[serde(rename = "m.mentions")]
    mentions: Mentions,
}

#[derive(Serialize)]
struct Mentions {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    room: bool,
}

/// What a server says of a failure.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Failure {
    errcode: String,
    error: String,
    retry_after_ms: Option<u64>,
}

impl Vendor for Matrix {
    fn message(&self, job: &Job<'_>) -> Result<Message, String> {
        let settings = &self.settings;
        let room = job.text(&settings.room_id)?;
        let html = job.rendering.html(&settings.html).map_err(|err| err.to_string())?;
        let html = Some(html).filter(|html| !html.is_empty() && html.len() <= HTML_BYTES_MAX);
        let form = Form {
            msgtype: &settings.msgtype,
            body: truncate::bytes(job.text(&settings.message)?.trim(), TEXT_BYTES_MAX),
            format: html.is_some().then_some("org.matrix.custom.html"),
            formatted_body: html,
            // The site may call everybody, an alert may not.
            mentions: Mentions { room: settings.message.contains("@room") },
        };
        let url = format!(
            "{}/_matrix/client/v3/rooms/{}/send/m.room.message/{}",
            settings.homeserver_url.reveal().trim_end_matches('/'),
            percent::encode(&room, b""),
            // A repeated attempt makes no second message.
            percent::encode(&job.delivery.idempotency_key(), b""),
        );
        let token = job.outside.reveal_trimmed(&self.token)?;
        let mut call = Call { method: Method::Put, ..Call::json(url, &form) };
        call.headers.push(("authorization", format!("Bearer {token}")));
        Ok(call.into())
    }

    fn judged(&self, answer: &Answered) -> Attempt {
        let Ok(failure) = answer.json::<Failure>() else {
            return answer.by_status(&[]);
        };
        let detail = match failure.errcode.as_str() {
            "" => answer.head(),
            code => format!("{code}: {}", failure.error),
        };
        let mut attempt = answer.by_status_saying(&[], &detail);
        if let End::Retry { after, .. } = &mut attempt.end {
            *after = after.or(failure.retry_after_ms.map(Duration::from_millis));
        }
        attempt
    }
}
