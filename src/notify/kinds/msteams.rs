//! Microsoft Teams by the older connectors: a message card.
//!
//! Source: prometheus/alertmanager, notify/msteams/msteams.go, notify/msteams/config.go.

use super::{Context, Written, url_of};
use crate::model::{AlertStatus, Problem};
use crate::notify::config::Source;
use crate::notify::form::Form;
use crate::notify::keys::{FileKey, HttpKey, keys, template};
use crate::notify::message::go_json;
use crate::notify::post::Call;
use crate::notify::sender::{Job, Made};
use crate::notify::truncate::fitting;
use crate::notify::vendor::{Message, Talking, Vendor};
use crate::sys::settings::Secret;

/// What Teams takes at once, in bytes: 28 KB, by Microsoft's documentation of incoming web hooks.
pub(super) const MESSAGE_BYTES_MAX: usize = 28 << 10;

keys! {
    /// One item of `msteams_configs`.
    pub struct Settings {
        /// Whether resolved alerts are told.
        send_resolved: bool = true,
        /// How to talk.
        http_config: HttpKey = None,
        /// The web hook.
        webhook_url: Secret = Secret::default(),
        /// A file with it.
        webhook_url_file: FileKey = None,
        /// The title; a template, as those below.
        title: String = template("msteams.default.title"),
        /// What lists of messages show.
        summary: String = template("msteams.default.summary"),
        /// The text.
        text: String = template("msteams.default.text"),
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        let url = url_of(at, "webhook_url", &self.webhook_url, self.webhook_url_file.as_ref())?
            .ok_or_else(|| {
                Problem::new(at, "one of webhook_url or webhook_url_file must be configured")
            })?;
        let http = context.http(at, self.http_config.as_ref())?;
        let vendor = Teams { url, settings: self.clone() };
        Ok(Talking::made("msteams", self.send_resolved, http, vendor))
    }
}

/// A Teams receiver, checked.
#[derive(Debug)]
struct Teams {
    url: Source,
    settings: Settings,
}

impl Vendor for Teams {
    fn message(&self, job: &Job<'_>) -> Result<Message, String> {
        let settings = &self.settings;
        let (title, summary) = (job.text(&settings.title)?, job.text(&settings.summary)?);
        let color = if job.status() == AlertStatus::Firing { "8C1A1A" } else { "2DC72D" };
        let body = |text: &str| {
            let form = Form::default()
                .with("@context", "http://schema.org/extensions")
                .with("type", "MessageCard")
                .with("title", title.as_str())
                .with("summary", summary.as_str())
                .with("text", text)
                .with("themeColor", color);
            go_json(&form)
        };
        let body = fitting(&job.text(&settings.text)?, MESSAGE_BYTES_MAX, &body);
        let url = job.outside.reveal_trimmed(&self.url);
        let url = url.map_err(|err| format!("read webhook_url_file: {err}"))?;
        Ok(Call::json_text(url, body).into())
    }
}
