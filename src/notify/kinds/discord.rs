//! Discord: a message with one embed, by a web hook.
//!
//! Source: prometheus/alertmanager, notify/discord/discord.go, notify/discord/config.go.

use super::{Context, Written, url_of};
use crate::model::{AlertStatus, Problem};
use crate::notify::config::Source;
use crate::notify::form::Form;
use crate::notify::keys::{FileKey, HttpKey, keys, template};
use crate::notify::mentions;
use crate::notify::post::Call;
use crate::notify::sender::{Job, Made};
use crate::notify::truncate::runes;
use crate::notify::vendor::{Message, Talking, Vendor};
use crate::sys::settings::Secret;
use serde_json::json;

/// Discord's limits, in characters. All of an embed may have 6,000, which these cannot pass.
const TITLE_RUNES_MAX: usize = 256;
/// See above.
const DESCRIPTION_RUNES_MAX: usize = 4_096;
/// See above.
const CONTENT_RUNES_MAX: usize = 2_000;
/// Of an embed about firing alerts.
const RED: u32 = 0x99_2D22;
/// Of one about resolved alerts.
const GREEN: u32 = 0x2E_CC71;

keys! {
    /// One item of `discord_configs`.
    pub struct Settings {
        /// Whether resolved alerts are told.
        send_resolved: bool = true,
        /// How to talk.
        http_config: HttpKey = None,
        /// The web hook.
        webhook_url: Secret = Secret::default(),
        /// A file with it.
        webhook_url_file: FileKey = None,
        /// What stands above the embed; a template.
        content: String = String::new(),
        /// The embed's title; a template.
        title: String = template("discord.default.title"),
        /// Its text; a template.
        message: String = template("discord.default.message"),
        /// Under which name; no template.
        username: String = String::new(),
        /// The picture of the sender; no template.
        avatar_url: String = String::new(),
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        let url = url_of(at, "webhook_url", &self.webhook_url, self.webhook_url_file.as_ref())?
            .ok_or_else(|| {
                Problem::new(at, "one of webhook_url or webhook_url_file must be configured")
            })?;
        let http = context.http(at, self.http_config.as_ref())?;
        let calls_everybody = mentions::are_in_settings(self);
        let vendor = Discord { url, calls_everybody, settings: self.clone() };
        Ok(Talking::made("discord", self.send_resolved, http, vendor))
    }
}

/// A Discord receiver, checked.
#[derive(Debug)]
struct Discord {
    url: Source,
    /// Whether its own fields call everybody in a channel.
    calls_everybody: bool,
    settings: Settings,
}

impl Vendor for Discord {
    fn message(&self, job: &Job<'_>) -> Result<Message, String> {
        let settings = &self.settings;
        let embed = Form::default()
            .with("title", runes(&job.text(&settings.title)?, TITLE_RUNES_MAX))
            .with("description", runes(&job.text(&settings.message)?, DESCRIPTION_RUNES_MAX))
            .with("color", if job.status() == AlertStatus::Firing { RED } else { GREEN });
        let form = Form::default()
            .with("content", runes(&job.text(&settings.content)?, CONTENT_RUNES_MAX))
            .with("embeds", vec![embed])
            .filled("username", settings.username.as_str())
            .filled("avatar_url", settings.avatar_url.as_str());
        let form = if self.calls_everybody || job.rendering.calls_everybody() {
            form
        } else {
            // Beyond Alertmanager: no text of an alert can call anybody.
            form.with("allowed_mentions", json!({ "parse": [] }))
        };
        let url = job.outside.reveal_trimmed(&self.url);
        let url = url.map_err(|err| format!("read webhook_url_file: {err}"))?;
        Ok(Call::json(url, &form).into())
    }
}
