//! ntfy: messages for phones, on a server of one's own or the public one.
//!
//! Source: ntfy's documentation, "Publishing" (as JSON, priorities, action buttons, limits).

use super::{Context, Written, check_url, is_authorized, one_of};
use crate::alerts::config::null_as_default;
use crate::model::{AlertStatus, Problem};
use crate::notify::config::Source;
use crate::notify::post::Call;
use crate::notify::sender::{Job, Made};
use crate::notify::truncate;
use crate::notify::vendor::{Message, Talking, Vendor};
use crate::sys::settings::{HttpClientSettings, Scalar, Secret, ShownUrl};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A longer message becomes an attachment, which not every server takes.
const MESSAGE_BYTES_MAX: usize = 4_096;

/// A button of the message. All texts are templates.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Action {
    /// `view`, `http` or `broadcast`.
    pub action: String,
    /// What stands on it.
    pub label: String,
    /// Where it leads; for `view` and `http`.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub url: Secret,
    /// The verb of the request; for `http`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// Headers of the request; for `http`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_as_default")]
    pub headers: BTreeMap<String, Secret>,
    /// The body of the request; for `http`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// Whether the message goes away.
    pub clear: bool,
}

/// One item of `ntfy_configs`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether resolved alerts are told.
    pub send_resolved: bool,
    /// How to talk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpClientSettings>,
    /// The server.
    pub url: ShownUrl,
    /// The topic; a template. Who knows it can read along on a public server.
    pub topic: Secret,
    /// The access token.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub token: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// The title; a template.
    pub title: String,
    /// The message; a template.
    pub message: String,
    /// 1 to 5, or `min`, `low`, `default`, `high`, `max`; a template.
    pub priority: Scalar,
    /// Tags, of which some show as pictures; templates.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub tags: Vec<String>,
    /// Where a click leads; a template.
    pub click: String,
    /// The URL of a picture; a template.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub icon: String,
    /// Buttons, at most three.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub actions: Vec<Action>,
    /// Whether the message is Markdown.
    pub markdown: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            send_resolved: true,
            http_config: None,
            url: ShownUrl::new("https://ntfy.sh"),
            topic: Secret::default(),
            token: Secret::default(),
            token_file: None,
            title: r#"{{ template "watchbell.default.title" . }}"#.to_owned(),
            message: r#"{{ template "watchbell.default.message" . }}"#.to_owned(),
            priority: Scalar(r#"{{ if eq .Status "firing" }}4{{ else }}3{{ end }}"#.to_owned()),
            tags: Vec::new(),
            click: r#"{{ template "__alertmanagerURL" . }}"#.to_owned(),
            icon: String::new(),
            actions: Vec::new(),
            markdown: false,
        }
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        if self.topic.is_empty() {
            return Err(Problem::new(at, "missing topic in ntfy_config"));
        }
        let token = one_of(at, "token", &self.token, self.token_file.as_ref())?;
        check_url(&format!("{at}.url"), self.url.reveal())?;
        // The global way to talk may have credentials that are meant for others.
        if token.is_some() && self.http_config.as_ref().is_some_and(is_authorized) {
            let text = "cannot specify token or token_file when using http_config.authorization";
            return Err(Problem::new(at, text));
        }
        for (place, action) in self.actions.iter().enumerate() {
            let at = format!("{at}.actions[{place}]");
            if !["view", "http", "broadcast"].contains(&action.action.as_str()) {
                let text = format!("{:?} is none of view, http and broadcast", action.action);
                return Err(Problem::new(at, text));
            }
            if action.action != "broadcast" && action.url.is_empty() {
                return Err(Problem::new(at, "missing url in ntfy action"));
            }
        }
        let http = context.http(at, self.http_config.as_ref())?;
        let vendor = Ntfy { settings: self.clone(), token };
        Ok(Talking::made("ntfy", self.send_resolved, http, vendor))
    }
}

/// One topic, checked.
#[derive(Clone, Debug)]
struct Ntfy {
    settings: Settings,
    token: Option<Source>,
}

#[derive(Serialize)]
struct Form {
    topic: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    priority: u8,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    click: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    icon: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<ActionForm>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    markdown: bool,
}

#[derive(Serialize)]
struct ActionForm {
    action: String,
    label: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    method: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    body: String,
    clear: bool,
}

impl Vendor for Ntfy {
    fn message(&self, job: &Job<'_>) -> Result<Message, String> {
        let settings = &self.settings;
        let secret = |secret: &Secret| {
            let text = job.text(secret.reveal())?;
            job.outside.revealed.note(&text);
            Ok::<_, String>(text)
        };
        let topic = secret(&settings.topic)?;
        if topic.is_empty() {
            return Err("ntfy topic is empty after templating".to_owned());
        }
        let action = |action: &Action| {
            let header = |(name, value): (&String, _)| Ok((name.clone(), secret(value)?));
            Ok(ActionForm {
                action: action.action.clone(),
                label: job.text(&action.label)?,
                url: secret(&action.url)?,
                method: action.method.clone(),
                headers: action.headers.iter().map(header).collect::<Result<_, String>>()?,
                body: job.text(&action.body)?,
                clear: action.clear,
            })
        };
        let tags = settings.tags.iter().map(|tag| job.text(tag));
        let mut tags: Vec<String> = tags.collect::<Result<_, _>>()?;
        tags.retain(|tag| !tag.is_empty());
        let form = Form {
            topic,
            title: job.text(&settings.title)?.trim().to_owned(),
            message: truncate::bytes(job.text(&settings.message)?.trim(), MESSAGE_BYTES_MAX),
            priority: priority(&job.text(&settings.priority.0)?, job),
            tags,
            click: job.text(&settings.click)?,
            icon: job.text(&settings.icon)?,
            actions: settings.actions.iter().map(action).collect::<Result<_, String>>()?,
            markdown: settings.markdown,
        };
        let mut call = Call::json(settings.url.reveal(), &form);
        if let Some(token) = &self.token {
            let token = job.outside.reveal_trimmed(token)?;
            call.headers.push(("authorization", format!("Bearer {token}")));
        }
        Ok(call.into())
    }
}

/// The number of a priority. One that is none is no reason to keep an alert back.
fn priority(text: &str, job: &Job<'_>) -> u8 {
    let names = ["min", "low", "default", "high", "max"];
    let text = text.trim().to_ascii_lowercase();
    let text = if text == "urgent" { "max" } else { text.as_str() };
    let named = (1..=5).zip(names).find(|(_, name)| *name == text).map(|(number, _)| number);
    let number = named.or_else(|| text.parse().ok().filter(|number| (1..=5).contains(number)));
    let firing = job.delivery.notification.status() == AlertStatus::Firing;
    number.unwrap_or(if firing { 4 } else { 3 })
}
