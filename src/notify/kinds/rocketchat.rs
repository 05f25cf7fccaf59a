//! Rocket.Chat: a message with one attachment, of a user with a token.
//!
//! Source: prometheus/alertmanager, notify/rocketchat/rocketchat.go, notify/rocketchat/config.go.

use super::field::Field;
use super::{Context, Written, below, one_of, service_url};
use crate::model::Problem;
use crate::notify::config::Source;
use crate::notify::form::Form;
use crate::notify::keys::{FileKey, HttpKey, keys, template};
use crate::notify::mentions;
use crate::notify::post::{Answered, Call};
use crate::notify::retry::{Attempt, FailureClass};
use crate::notify::sender::{Job, Made};
use crate::notify::truncate::runes;
use crate::notify::vendor::{Message, Talking, Vendor};
use crate::sys::settings::{Secret, ShownUrl};
use serde::Deserialize;
use serde_json::Value;

/// Upstream's limit of a title.
const TITLE_RUNES_MAX: usize = 1_024;

keys! {
    /// One item of `rocketchat_configs`. All texts below the tokens are templates.
    pub struct Settings {
        /// Whether resolved alerts are told.
        send_resolved: bool = false,
        /// How to talk.
        http_config: HttpKey = None,
        /// Where Rocket.Chat is.
        api_url: ShownUrl = ShownUrl::default(),
        /// The user's token.
        token: Secret = Secret::default(),
        /// A file with it.
        token_file: FileKey = None,
        /// The user.
        token_id: Secret = Secret::default(),
        /// A file with it.
        token_id_file: FileKey = None,
        /// The channel or the user.
        channel: String = String::new(),
        /// The bar beside the attachment.
        color: String = "{{ if eq .Status \"firing\" }}red{{ else }}green{{ end }}".to_owned(),
        /// The title.
        title: String = template("rocketchat.default.title"),
        /// Where it leads.
        title_link: String = template("rocketchat.default.titlelink"),
        /// The text.
        text: String = template("rocketchat.default.text"),
        /// A table.
        fields: Vec<Field> = Vec::new(),
        /// Whether fields stand side by side, where they do not say.
        short_fields: bool = false,
        /// The picture of the sender, by name.
        emoji: String = template("rocketchat.default.emoji"),
        /// The picture of the sender.
        icon_url: String = template("rocketchat.default.iconurl"),
        /// A picture.
        image_url: String = String::new(),
        /// A small one.
        thumb_url: String = String::new(),
        /// Known, and not sent by upstream either.
        link_names: bool = false,
        /// Buttons.
        actions: Vec<Action> = Vec::new(),
    }
}

keys! {
    /// One item of `actions`. Upstream reads names without underscores; both are taken. What a
    /// button sends is its text, its URL and its message.
    pub struct Action {
        /// Always taken for `button`.
        r#type: String = String::new(),
        /// What is written on it.
        text: String = String::new(),
        /// Where it leads.
        url: String = String::new(),
        /// Not sent.
        #[serde(alias = "image_url")]
        imageurl: String = String::new(),
        /// Not sent.
        #[serde(alias = "is_webview")]
        iswebview: bool = false,
        /// Not sent.
        #[serde(alias = "webview_height_ratio")]
        webviewheightratio: String = String::new(),
        /// What it says in the channel.
        msg: String = String::new(),
        /// Not sent.
        #[serde(alias = "msg_in_chat_window")]
        msginchatwindow: bool = false,
        /// Not sent.
        #[serde(alias = "msg_processing_type")]
        msgprocessingtype: String = String::new(),
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        let global = context.global;
        let token = one_of(at, "token", &self.token, self.token_file.as_ref())?;
        let user = one_of(at, "token_id", &self.token_id, self.token_id_file.as_ref())?;
        let missing = |what: &str| {
            let text = format!("no global Rocketchat {what} set either inline or in a file");
            Problem::new(at, text)
        };
        let user = user
            .or_else(|| {
                let file = global.rocketchat_token_id_file.as_ref();
                Source::of(&global.rocketchat_token_id, file)
            })
            .ok_or_else(|| missing("TokenID"))?;
        let token = token
            .or_else(|| Source::of(&global.rocketchat_token, global.rocketchat_token_file.as_ref()))
            .ok_or_else(|| missing("Token"))?;
        let url = service_url(at, "api_url", &self.api_url, &global.rocketchat_api_url)?;
        let http = context.http(at, self.http_config.as_ref())?;
        let vendor = RocketChat {
            url: ShownUrl::new(below(url.reveal(), "api/v1/chat.postMessage", "")),
            token,
            user,
            calls_everybody: mentions::are_in_settings(self),
            settings: self.clone(),
        };
        Ok(Talking::made("rocketchat", self.send_resolved, http, vendor))
    }
}

/// A Rocket.Chat receiver, checked, with the global defaults.
#[derive(Debug)]
struct RocketChat {
    /// Of the method that posts.
    url: ShownUrl,
    token: Source,
    user: Source,
    /// Whether its own fields call everybody in a channel.
    calls_everybody: bool,
    settings: Settings,
}

impl Vendor for RocketChat {
    fn message(&self, job: &Job<'_>) -> Result<Message, String> {
        let settings = &self.settings;
        let text = |template: &str| job.text(template);
        let channel = text(&settings.channel)?;
        let form = Form::default()
            .filled("channel", channel.as_str())
            .filled("emoji", text(&settings.emoji)?)
            .filled("avatar", text(&settings.icon_url)?)
            .with("attachments", vec![self.attachment(job)?]);
        let mut call = Call::json(self.url.reveal(), &form);
        for (name, source) in [("x-auth-token", &self.token), ("x-user-id", &self.user)] {
            call.headers.push((name, job.outside.reveal_trimmed(source)?));
        }
        Ok(Message::from(call).naming(&channel))
    }

    fn judged(&self, answer: &Answered) -> Attempt {
        if !(200..300).contains(&answer.status) {
            return answer.by_status(&[]);
        }
        match answer.json::<Said>() {
            Ok(Said { success: true, .. }) => answer.by_status(&[]),
            // Whether it is a success stands behind the message, which is long.
            Ok(Said { error, .. }) if answer.is_cut && error.is_empty() => answer.by_status(&[]),
            Ok(Said { error, .. }) => {
                let text = format!("error response from Rocketchat: {error}");
                answer.refused(FailureClass::Client, text)
            }
            Err(err) => {
                let head = answer.head();
                let text = format!("could not unmarshal JSON response {head:?}: {err}");
                answer.retry(FailureClass::Client, text)
            }
        }
    }
}

impl RocketChat {
    fn attachment(&self, job: &Job<'_>) -> Result<Form, String> {
        let settings = &self.settings;
        let text = |template: &str| job.text(template);
        let said = |template: &str| {
            Ok::<_, String>(mentions::said(job, self.calls_everybody, job.text(template)?))
        };
        let mut fields: Vec<Value> = Vec::new();
        for field in &settings.fields {
            // In upstream's order.
            let form = Form::default()
                .with("short", field.short.unwrap_or(settings.short_fields))
                .filled("title", said(&field.title)?)
                .filled("value", said(&field.value)?);
            fields.push(form.into());
        }
        let mut actions: Vec<Value> = Vec::new();
        for action in &settings.actions {
            let form = Form::default()
                .with("type", "button")
                .filled("text", text(&action.text)?)
                .filled("url", text(&action.url)?)
                .with("is_webview", false)
                .filled("msg", text(&action.msg)?)
                .with("msg_in_chat_window", false);
            actions.push(form.into());
        }
        Ok(Form::default()
            .filled("title", runes(&said(&settings.title)?, TITLE_RUNES_MAX))
            .filled("title_link", text(&settings.title_link)?)
            .filled("text", said(&settings.text)?)
            .filled("image_url", text(&settings.image_url)?)
            .filled("thumb_url", text(&settings.thumb_url)?)
            .filled("color", text(&settings.color)?)
            .filled("fields", fields)
            .filled("actions", actions))
    }
}

/// What Rocket.Chat answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    success: bool,
    error: String,
}
