//! Webex: a message of a bot to a room.
//!
//! Source: prometheus/alertmanager, config/notifiers.go (WebexConfig), notify/webex/webex.go.

use super::{Context, Written, is_authorized, service_url};
use crate::model::Problem;
use crate::notify::form::Form;
use crate::notify::keys::{HttpKey, keys, template};
use crate::notify::mentions;
use crate::notify::post::Call;
use crate::notify::sender::{Job, Made};
use crate::notify::truncate::bytes;
use crate::notify::vendor::{Message, Talking, Vendor};
use crate::sys::settings::ShownUrl;

/// Webex' limit of a message.
const MESSAGE_BYTES_MAX: usize = 7_439;

keys! {
    /// One item of `webex_configs`.
    pub struct Settings {
        /// Whether resolved alerts are told.
        send_resolved: bool = true,
        /// How to talk; it must have `authorization`.
        http_config: HttpKey = None,
        /// Where messages go.
        api_url: ShownUrl = ShownUrl::default(),
        /// What is said, as Markdown; a template.
        message: String = template("webex.default.message"),
        /// The room; a template.
        room_id: String = String::new(),
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        if self.room_id.is_empty() {
            return Err(Problem::new(at, "missing room_id on webex_config"));
        }
        if !self.http_config.as_ref().is_some_and(is_authorized) {
            return Err(Problem::new(at, "missing webex_configs.http_config.authorization"));
        }
        let url = service_url(at, "api_url", &self.api_url, &context.global.webex_api_url)?;
        let http = context.http(at, self.http_config.as_ref())?;
        let calls_everybody = mentions::are_in_settings(self);
        let vendor = Webex { url, calls_everybody, settings: self.clone() };
        Ok(Talking::made("webex", self.send_resolved, http, vendor))
    }
}

/// A Webex receiver, checked, with the global defaults.
#[derive(Debug)]
struct Webex {
    url: ShownUrl,
    /// Whether its own fields call everybody in a room.
    calls_everybody: bool,
    settings: Settings,
}

impl Vendor for Webex {
    fn message(&self, job: &Job<'_>) -> Result<Message, String> {
        let message = job.text(&self.settings.message)?;
        let message = mentions::said(job, self.calls_everybody, message);
        let form = Form::default()
            .with("markdown", bytes(&message, MESSAGE_BYTES_MAX))
            .filled("roomId", job.text(&self.settings.room_id)?);
        Ok(Call::json(self.url.reveal(), &form).into())
    }
}
