//! The web hook: version 4 of Alertmanager's JSON, or a body of the user's own, by POST.
//!
//! Source: prometheus/alertmanager, notify/webhook/webhook.go, notify/webhook/config.go.

use super::{Context, Written, limit, url_of};
use crate::model::Problem;
use crate::notify::config::Source;
use crate::notify::deep;
use crate::notify::message::{go_json, webhook_json};
use crate::notify::outside::Outside;
use crate::notify::post::Call;
use crate::notify::retry::Attempt;
use crate::notify::sender::{Integration, Job, Made, Sender, Trying};
use crate::sys::http::HttpClient;
use crate::sys::settings::{HttpClientSettings, Secret, Span};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// One item of `webhook_configs`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether resolved alerts are told.
    pub send_resolved: bool,
    /// How to talk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpClientSettings>,
    /// Where to post; a template.
    #[serde(skip_serializing_if = "Secret::is_empty", serialize_with = "Secret::serialize_url")]
    pub url: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// Alerts in one message; 0 for all.
    pub max_alerts: u64,
    /// For one attempt; 0 for no limit of its own.
    #[serde(skip_serializing_if = "Span::is_zero")]
    pub timeout: Span,
    /// A body of one's own: JSON whose texts are templates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<serde_json::Value>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            send_resolved: true,
            http_config: None,
            url: Secret::default(),
            url_file: None,
            max_alerts: 0,
            timeout: Span::default(),
            payload: None,
        }
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        let url = url_of(at, "url", &self.url, self.url_file.as_ref())?
            .ok_or_else(|| Problem::new(at, "one of url or url_file must be configured"))?;
        Ok(Arc::new(Webhook {
            send_resolved: self.send_resolved,
            http: context.http(at, self.http_config.as_ref())?,
            url,
            alerts_max: usize::try_from(self.max_alerts).unwrap_or(usize::MAX),
            timeout: limit(self.timeout),
            payload: self.payload.clone(),
        }))
    }
}

/// A web hook, checked, with the global defaults.
#[derive(Clone, Debug)]
struct Webhook {
    send_resolved: bool,
    http: HttpClientSettings,
    /// Where to post; a template.
    url: Source,
    /// Alerts in one message; 0 for all.
    alerts_max: usize,
    /// For one attempt, when it has a limit of its own.
    timeout: Option<Duration>,
    /// A body of one's own.
    payload: Option<serde_json::Value>,
}

impl Integration for Webhook {
    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn send_resolved(&self) -> bool {
        self.send_resolved
    }

    fn sender(&self, outside: &Outside) -> Result<Box<dyn Sender>, Problem> {
        let client = outside.client(&self.http)?;
        Ok(Box::new(WebhookSender { settings: self.clone(), client }))
    }
}

/// One web hook with its client.
#[derive(Debug)]
struct WebhookSender {
    settings: Webhook,
    client: Arc<dyn HttpClient>,
}

impl Sender for WebhookSender {
    fn attempt<'a>(&'a self, job: &'a Job<'a>) -> Trying<'a> {
        Box::pin(async move {
            let call = match self.call(job) {
                Ok(call) => call,
                Err(reason) => return Attempt::unsendable(reason),
            };
            match call.send(self.client.as_ref(), job).await {
                Ok(answer) => answer.by_status(&[]),
                Err(failed) => failed,
            }
        })
    }
}

impl WebhookSender {
    fn call(&self, job: &Job<'_>) -> Result<Call, String> {
        let (notification, rendering, left_out) = job.cut_to(self.settings.alerts_max);
        let text = |field: &str| rendering.text(field).map_err(|err| err.to_string());
        let url = job.outside.reveal_trimmed(&self.settings.url);
        let url = url.map_err(|err| format!("read url_file: {err}"))?;
        let url = text(&url).map_err(|err| format!("failed to template webhook URL: {err}"))?;
        job.outside.revealed.note(&url);
        if url.is_empty() {
            return Err("webhook URL is empty after templating".to_owned());
        }
        let body = match &self.settings.payload {
            None => webhook_json(&notification, rendering.route_labels(), left_out),
            Some(payload) => {
                let expanded = deep::expanded(payload, &text, &job.outside.read_yaml)
                    .map_err(|err| format!("failed to render custom payload: {err}"))?;
                go_json(&expanded)
            }
        };
        Ok(Call { timeout: self.settings.timeout, ..Call::json_text(url, body) })
    }
}
