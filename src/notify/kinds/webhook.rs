//! The web hook: version 4 of Alertmanager's JSON, or a body of the user's own, by POST.
//!
//! Source: prometheus/alertmanager, notify/webhook/webhook.go, notify/webhook/config.go.

use super::{Context, Written, check_url, limit, one_of};
use crate::alerts::config::null_as_default;
use crate::model::Problem;
use crate::notify::config::Source;
use crate::notify::deep;
use crate::notify::message::{go_json, webhook_json};
use crate::notify::post::Call;
use crate::notify::sender::{Job, Made};
use crate::notify::vendor::{Message, Talking, Vendor};
use crate::sys::settings::{GoSpan, HttpClientSettings, Secret};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// One item of `webhook_configs`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether resolved alerts are told.
    #[serde(deserialize_with = "null_as_default")]
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
    #[serde(deserialize_with = "null_as_default")]
    pub max_alerts: u64,
    /// For one attempt; 0 for no limit of its own.
    #[serde(skip_serializing_if = "GoSpan::is_zero", deserialize_with = "null_as_default")]
    pub timeout: GoSpan,
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
            timeout: GoSpan::default(),
            payload: None,
        }
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        // The one URL that is a template: only what it expands to can be checked.
        if !self.url.is_empty() && !self.url.reveal().contains("{{") {
            check_url(&format!("{at}.url"), self.url.reveal())?;
        }
        let url = one_of(at, "url", &self.url, self.url_file.as_ref())?
            .ok_or_else(|| Problem::new(at, "one of url or url_file must be configured"))?;
        let http = context.http(at, self.http_config.as_ref())?;
        let vendor = Webhook {
            url,
            alerts_max: usize::try_from(self.max_alerts).unwrap_or(usize::MAX),
            timeout: limit(self.timeout),
            payload: self.payload.clone(),
        };
        Ok(Talking::made("webhook", self.send_resolved, http, vendor))
    }
}

/// A web hook, checked, with the global defaults.
#[derive(Clone, Debug)]
struct Webhook {
    /// Where to post; a template.
    url: Source,
    /// Alerts in one message; 0 for all.
    alerts_max: usize,
    /// For one attempt, when it has a limit of its own.
    timeout: Option<Duration>,
    /// A body of one's own.
    payload: Option<serde_json::Value>,
}

impl Vendor for Webhook {
    fn message(&self, job: &Job<'_>) -> Result<Message, String> {
        let (notification, rendering, left_out) = job.cut_to(self.alerts_max);
        let text = |field: &str| rendering.text(field).map_err(|err| err.to_string());
        let url = job.outside.reveal_trimmed(&self.url);
        let url = url.map_err(|err| format!("read url_file: {err}"))?;
        let url = text(&url).map_err(|err| format!("failed to template webhook URL: {err}"))?;
        job.outside.revealed.note(&url);
        if url.is_empty() {
            return Err("webhook URL is empty after templating".to_owned());
        }
        let body = match &self.payload {
            None => webhook_json(&notification, rendering.route_labels(), left_out),
            Some(payload) => {
                let expanded = deep::expanded(payload, &text, &job.outside.read_yaml)
                    .map_err(|err| format!("failed to render custom payload: {err}"))?;
                go_json(&expanded)
            }
        };
        Ok(Call { timeout: self.timeout, ..Call::json_text(url, body) }.into())
    }
}
