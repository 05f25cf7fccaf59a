//! Microsoft Teams by workflows: an adaptive card.
//!
//! Source: prometheus/alertmanager, notify/msteamsv2/msteamsv2.go, notify/msteamsv2/config.go.

use super::msteams::MESSAGE_BYTES_MAX;
use super::{Context, Written, url_of};
use crate::model::{AlertStatus, Problem};
use crate::notify::config::Source;
use crate::notify::keys::{FileKey, HttpKey, keys, template};
use crate::notify::message::go_json;
use crate::notify::post::Call;
use crate::notify::sender::{Job, Made};
use crate::notify::truncate::fitting;
use crate::notify::vendor::{Message, Talking, Vendor};
use crate::sys::settings::Secret;
use serde_json::json;

keys! {
    /// One item of `msteamsv2_configs`.
    pub struct Settings {
        /// Whether resolved alerts are told.
        send_resolved: bool = true,
        /// How to talk; one without a proxy takes the global proxy.
        http_config: HttpKey = None,
        /// The workflow's URL.
        webhook_url: Secret = Secret::default(),
        /// A file with it.
        webhook_url_file: FileKey = None,
        /// The title; a template.
        title: String = template("msteamsv2.default.title"),
        /// The text; a template.
        text: String = template("msteamsv2.default.text"),
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        let url = url_of(at, "webhook_url", &self.webhook_url, self.webhook_url_file.as_ref())?
            .ok_or_else(|| {
                Problem::new(at, "one of webhook_url or webhook_url_file must be configured")
            })?;
        // Its own settings are checked as they are written: the proxy that is taken over may stand
        // beside what is not allowed together with one.
        let mut http = context.http(at, self.http_config.as_ref())?;
        if http.proxy_url.is_none() && http.proxy_from_environment != Some(true) {
            let global = context.global.http_config.as_ref();
            http.proxy_url = global.and_then(|global| global.proxy_url.clone());
        }
        let vendor = Workflow { url, settings: self.clone() };
        Ok(Talking::made("msteamsv2", self.send_resolved, http, vendor))
    }
}

/// A workflow, checked.
#[derive(Debug)]
struct Workflow {
    url: Source,
    settings: Settings,
}

impl Vendor for Workflow {
    fn message(&self, job: &Job<'_>) -> Result<Message, String> {
        let title = job.text(&self.settings.title)?;
        let color = if job.status() == AlertStatus::Firing { "Attention" } else { "Good" };
        let body = |text: &str| {
            go_json(&json!({
                "type": "message",
                "attachments": [{
                    "contentType": "application/vnd.microsoft.card.adaptive",
                    "contentUrl": null,
                    "content": {
                        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                        "type": "AdaptiveCard",
                        "version": "1.2",
                        "body": [
                            {
                                "type": "TextBlock",
                                "text": title,
                                "weight": "Bolder",
                                "size": "Medium",
                                "wrap": true,
                                "style": "heading",
                                "color": color,
                            },
                            { "type": "TextBlock", "text": text, "wrap": true },
                        ],
                        "msteams": { "width": "full" },
                    },
                }],
            }))
        };
        let body = fitting(&job.text(&self.settings.text)?, MESSAGE_BYTES_MAX, &body);
        let url = job.outside.reveal_trimmed(&self.url);
        let url = url.map_err(|err| format!("read webhook_url_file: {err}"))?;
        Ok(Call::json_text(url, body).into())
    }
}
