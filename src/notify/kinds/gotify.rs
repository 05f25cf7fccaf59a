//! Gotify: messages from a server of one's own.
//!
//! Source: Gotify's API (POST /message) and its documentation of message extras.

use super::{Context, Written, check_url, one_of};
use crate::model::{AlertStatus, Problem};
use crate::notify::config::Source;
use crate::notify::post::Call;
use crate::notify::sender::{Job, Made};
use crate::notify::vendor::{Message, Talking, Vendor};
use crate::sys::settings::{HttpClientSettings, Scalar, Secret, ShownUrl};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::PathBuf;

/// One item of `gotify_configs`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether resolved alerts are told.
    pub send_resolved: bool,
    /// How to talk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpClientSettings>,
    /// The server, with the path before `/message`.
    pub url: ShownUrl,
    /// The application's token.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub token: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// The title; a template.
    pub title: String,
    /// The message; a template.
    pub message: String,
    /// A number, from 0 (silent) to 10; a template.
    pub priority: Scalar,
    /// Where a click leads; a template.
    pub click: String,
    /// Whether the message is Markdown.
    pub markdown: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            send_resolved: true,
            http_config: None,
            url: ShownUrl::default(),
            token: Secret::default(),
            token_file: None,
            title: r#"{{ template "watchbell.default.title" . }}"#.to_owned(),
            message: r#"{{ template "watchbell.default.message" . }}"#.to_owned(),
            priority: Scalar(r#"{{ if eq .Status "firing" }}8{{ else }}3{{ end }}"#.to_owned()),
            click: r#"{{ template "__alertmanagerURL" . }}"#.to_owned(),
            markdown: false,
        }
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        if self.url.is_empty() {
            return Err(Problem::new(at, "missing url in gotify_config"));
        }
        check_url(&format!("{at}.url"), self.url.reveal())?;
        let token = one_of(at, "token", &self.token, self.token_file.as_ref())?
            .ok_or_else(|| Problem::new(at, "one of token or token_file must be configured"))?;
        let http = context.http(at, self.http_config.as_ref())?;
        let vendor = Gotify { settings: self.clone(), token };
        Ok(Talking::made("gotify", self.send_resolved, http, vendor))
    }
}

/// One application of a server, checked.
#[derive(Clone, Debug)]
struct Gotify {
    settings: Settings,
    token: Source,
}

#[derive(Serialize)]
struct Form {
    title: String,
    message: String,
    priority: i64,
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    extras: serde_json::Map<String, serde_json::Value>,
}

impl Vendor for Gotify {
    fn message(&self, job: &Job<'_>) -> Result<Message, String> {
        let settings = &self.settings;
        let mut extras = serde_json::Map::new();
        if settings.markdown {
            let display = json!({ "contentType": "text/markdown" });
            extras.insert("client::display".to_owned(), display);
        }
        let click = job.text(&settings.click)?;
        if !click.is_empty() {
            let notification = json!({ "click": { "url": click } });
            extras.insert("client::notification".to_owned(), notification);
        }
        // A priority that is no number is no reason to keep an alert back.
        let firing = job.delivery.notification.status() == AlertStatus::Firing;
        let priority = job.text(&settings.priority.0)?.trim().parse();
        let form = Form {
            title: job.text(&settings.title)?.trim().to_owned(),
            message: job.text(&settings.message)?.trim().to_owned(),
            priority: priority.unwrap_or(if firing { 8 } else { 3 }),
            extras,
        };
        let url = settings.url.reveal().trim_end_matches('/');
        let mut call = Call::json(format!("{url}/message"), &form);
        call.headers.push(("x-gotify-key", job.outside.reveal_trimmed(&self.token)?));
        Ok(call.into())
    }
}
