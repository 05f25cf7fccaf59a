//! Telegram: a message of a bot to a chat.
//!
//! Source: prometheus/alertmanager, notify/telegram/telegram.go, notify/telegram/config.go, and
//! what Debian's 0.25 sends; Telegram's documentation of its bots' API for answers.

use super::{Context, Written, one_of, service_url};
use crate::model::Problem;
use crate::notify::config::Source;
use crate::notify::form::Form;
use crate::notify::keys::{FileKey, HttpKey, keys, template};
use crate::notify::post::{Answered, Call};
use crate::notify::retry::{Attempt, End, FailureClass};
use crate::notify::sender::{Job, Made};
use crate::notify::truncate::runes;
use crate::notify::vendor::{Message, Talking, Vendor};
use crate::sys::settings::{Secret, ShownUrl};
use serde::Deserialize;
use std::time::Duration;

/// Telegram's limit of a message.
const MESSAGE_RUNES_MAX: usize = 4_096;
/// So much of the subject is told when a message is too long to be told.
const SUBJECT_RUNES_MAX: usize = 700;
/// Codes of refusals that stay refusals.
const FINAL: [u16; 4] = [400, 401, 403, 404];

keys! {
    /// One item of `telegram_configs`.
    pub struct Settings {
        /// Whether resolved alerts are told.
        send_resolved: bool = true,
        /// How to talk.
        http_config: HttpKey = None,
        /// Where Telegram is.
        api_url: ShownUrl = ShownUrl::default(),
        /// The token of the bot.
        bot_token: Secret = Secret::default(),
        /// A file with it.
        bot_token_file: FileKey = None,
        /// The chat.
        chat_id: i64 = 0,
        /// A file with it.
        chat_id_file: FileKey = None,
        /// The topic in it; 0 for none.
        message_thread_id: i64 = 0,
        /// What is said; a template.
        message: String = template("telegram.default.message"),
        /// Whether phones stay quiet.
        disable_notifications: bool = false,
        /// `HTML`, `Markdown`, `MarkdownV2`, or empty for plain text.
        parse_mode: String = "HTML".to_owned(),
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        let global = context.global;
        let token = one_of(at, "bot_token", &self.bot_token, self.bot_token_file.as_ref())?;
        if self.chat_id == 0 && self.chat_id_file.is_none() {
            return Err(Problem::new(at, "missing chat_id or chat_id_file on telegram_config"));
        }
        if self.chat_id != 0 && self.chat_id_file.is_some() {
            let text = "at most one of chat_id & chat_id_file must be configured";
            return Err(Problem::new(at, text));
        }
        if !["", "Markdown", "MarkdownV2", "HTML"].contains(&self.parse_mode.as_str()) {
            let text = "unknown parse_mode on telegram_config, must be Markdown, MarkdownV2, HTML \
                        or empty string";
            return Err(Problem::new(at, text));
        }
        let token = token
            .or_else(|| {
                Source::of(&global.telegram_bot_token, global.telegram_bot_token_file.as_ref())
            })
            .ok_or_else(|| {
                Problem::new(at, "missing bot_token or bot_token_file on telegram_config")
            })?;
        let url = service_url(at, "api_url", &self.api_url, &global.telegram_api_url)?;
        let http = context.http(at, self.http_config.as_ref())?;
        let vendor = Telegram { url, token, settings: self.clone() };
        Ok(Talking::made("telegram", self.send_resolved, http, vendor))
    }
}

/// A Telegram receiver, checked, with the global defaults.
#[derive(Debug)]
struct Telegram {
    url: ShownUrl,
    token: Source,
    settings: Settings,
}

impl Vendor for Telegram {
    fn message(&self, job: &Job<'_>) -> Result<Message, String> {
        let settings = &self.settings;
        let text = match settings.parse_mode.as_str() {
            "HTML" => self.html(job)?,
            _ => runes(&job.text(&settings.message)?, MESSAGE_RUNES_MAX),
        };
        Ok(self.call(job, &settings.parse_mode, text)?.into())
    }

    /// What an alert says may read as marks that are not whole: in Markdown nothing is escaped.
    /// Without marks it is told all the same.
    fn instead(&self, job: &Job<'_>, refusal: &Answered) -> Option<Call> {
        let said: Said = refusal.json().ok()?;
        let of_marks = said.description.contains("can't parse entities");
        if refusal.status != 400 || !of_marks || self.settings.parse_mode.is_empty() {
            return None;
        }
        let text = runes(&job.text(&self.settings.message).ok()?, MESSAGE_RUNES_MAX);
        self.call(job, "", text).ok()
    }

    fn judged(&self, answer: &Answered) -> Attempt {
        let said: Said = match answer.json() {
            Ok(said) => said,
            // A proxy before it, that says no more than a status.
            Err(_) if !(200..300).contains(&answer.status) => return answer.by_status(&[]),
            Err(err) => {
                let text = format!("telegram: could not read the answer: {err}");
                return answer.retry(FailureClass::Other, text);
            }
        };
        if said.ok {
            return answer.by_status(&[]);
        }
        let code = if said.error_code == 0 { answer.status } else { said.error_code };
        let reason = format!("telegram: {} ({code})", said.description);
        let class = FailureClass::of_status(code);
        if FINAL.contains(&code) {
            return answer.refused(class, reason);
        }
        let after = said.parameters.retry_after.map(Duration::from_secs);
        answer.ended(End::Retry { reason, class, after })
    }
}

impl Telegram {
    fn call(&self, job: &Job<'_>, parse_mode: &str, text: String) -> Result<Call, String> {
        let settings = &self.settings;
        let token = job.outside.reveal_trimmed(&self.token)?;
        let thread = match settings.message_thread_id {
            0 => String::new(),
            thread => thread.to_string(),
        };
        let flag = |on: bool| if on { "true" } else { "" };
        // Upstream's library sends a map of texts.
        let form = Form::default()
            .with("chat_id", self.chat(job)?)
            .filled("disable_notification", flag(settings.disable_notifications))
            .with("disable_web_page_preview", flag(true))
            .filled("message_thread_id", thread)
            .filled("parse_mode", parse_mode)
            .with("text", text);
        Ok(Call::json(format!("{}/bot{token}/sendMessage", self.url.reveal()), &form))
    }

    fn chat(&self, job: &Job<'_>) -> Result<String, String> {
        let Some(path) = &self.settings.chat_id_file else {
            return Ok(self.settings.chat_id.to_string());
        };
        let text = job.outside.read_text(path)?;
        let chat: i64 = text
            .trim()
            .parse()
            .map_err(|err| format!("could not parse chat_id from {}: {err}", path.display()))?;
        Ok(chat.to_string())
    }

    /// HTML cannot be cut: a mark or an escape that is not whole is refused. Of a message that is
    /// too long the subject is told, and that there is more.
    fn html(&self, job: &Job<'_>) -> Result<String, String> {
        let message = job.rendering.html(&self.settings.message).map_err(|err| err.to_string())?;
        let len = message.chars().count();
        if len <= MESSAGE_RUNES_MAX {
            return Ok(message);
        }
        let subject = runes(&job.text(&template("__subject"))?, SUBJECT_RUNES_MAX);
        // Each character becomes five at most, so that all of it is short enough.
        let subject = subject.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        Ok(format!(
            "{}\n(The whole message has {len} characters, and Telegram takes \
             {MESSAGE_RUNES_MAX}: please shorten the receiver's template.)",
            subject
        ))
    }
}

/// What Telegram answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    ok: bool,
    error_code: u16,
    description: String,
    parameters: Parameters,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Parameters {
    /// Seconds.
    retry_after: Option<u64>,
}
