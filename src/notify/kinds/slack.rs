//! Slack: a message with one attachment, by an incoming web hook or by a bot.
//!
//! Source: prometheus/alertmanager, config/notifiers.go (SlackConfig), notify/slack/slack.go.

use super::field::Field;
use super::{Context, Written, bearer, is_authorized, limit, one_of, service_url, url_of};
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
use crate::sys::settings::{GoSpan, HttpClientSettings, Secret, ShownUrl};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

/// Slack's documentation of legacy attachments names 1024, of what it does not say.
const TITLE_RUNES_MAX: usize = 1_024;
/// Slack cuts longer texts of messages itself, and refuses longer ones of attachments.
const TEXT_RUNES_MAX: usize = 40_000;
/// Where bots post; the only URL with which messages can be updated.
const POST_URL: &str = "https://slack.com/api/chat.postMessage";
/// Where they update what they have posted.
const UPDATE_URL: &str = "https://slack.com/api/chat.update";
/// Under these names a group's message is remembered.
const THREAD: &str = "threadTs";
const CHANNEL: &str = "channelId";

keys! {
    /// One item of `slack_configs`.
    pub struct Settings {
        /// Whether resolved alerts are told.
        send_resolved: bool = false,
        /// How to talk.
        http_config: HttpKey = None,
        /// The incoming web hook.
        api_url: Secret = Secret::default(),
        /// A file with it.
        api_url_file: FileKey = None,
        /// The token of a bot.
        app_token: Secret = Secret::default(),
        /// A file with it.
        app_token_file: FileKey = None,
        /// Where bots post.
        app_url: ShownUrl = ShownUrl::default(),
        /// The channel or the user; this and all that follow are templates, but for the switches.
        channel: String = String::new(),
        /// Under which name.
        username: String = template("slack.default.username"),
        /// The color of the bar beside the attachment.
        color: String = template("slack.default.color"),
        /// The title.
        title: String = template("slack.default.title"),
        /// Where it leads.
        title_link: String = template("slack.default.titlelink"),
        /// What stands above the attachment.
        pretext: String = template("slack.default.pretext"),
        /// The attachment's text.
        text: String = template("slack.default.text"),
        /// The message's text.
        message_text: String = String::new(),
        /// A table below the text.
        fields: Vec<Field> = Vec::new(),
        /// Whether fields stand side by side, where they do not say.
        short_fields: bool = false,
        /// What stands below.
        footer: String = template("slack.default.footer"),
        /// For clients that show no attachments.
        fallback: String = template("slack.default.fallback"),
        /// The identity for answers to buttons.
        callback_id: String = template("slack.default.callbackid"),
        /// The picture of the sender, by name.
        icon_emoji: String = template("slack.default.iconemoji"),
        /// The picture of the sender.
        icon_url: String = template("slack.default.iconurl"),
        /// A picture in the attachment.
        image_url: String = String::new(),
        /// A small one.
        thumb_url: String = String::new(),
        /// Whether names of channels and users become links.
        link_names: bool = false,
        /// Where marks are read; no templates.
        mrkdwn_in: Vec<String> = Vec::new(),
        /// Buttons.
        actions: Vec<Action> = Vec::new(),
        /// Whether one message a group is kept up to date; for bots alone.
        update_message: bool = false,
        /// For one attempt; 0 for no limit of its own.
        timeout: GoSpan = GoSpan::default(),
    }
}

keys! {
    /// One item of `actions`.
    pub struct Action {
        /// `button`, in general.
        r#type: String = String::new(),
        /// What is written on it.
        text: String = String::new(),
        /// Where it leads; without it, it sends a message.
        url: String = String::new(),
        /// `primary` or `danger`.
        style: String = String::new(),
        /// The name of the message.
        name: String = String::new(),
        /// Its value.
        value: String = String::new(),
        /// What is asked first.
        confirm: Option<Confirmation> = None,
    }
}

keys! {
    /// `confirm` of an action.
    pub struct Confirmation {
        /// The question.
        text: String = String::new(),
        /// What stands above it.
        title: String = String::new(),
        /// Yes.
        ok_text: String = String::new(),
        /// No.
        dismiss_text: String = String::new(),
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        self.check_parts(at)?;
        let (url, http) = self.way(at, context)?;
        Ok(Talking::made(
            "slack",
            self.send_resolved,
            http,
            Slack {
                url,
                timeout: limit(self.timeout),
                calls_everybody: mentions::are_in_settings(self),
                settings: self.clone(),
            },
        ))
    }
}

impl Settings {
    fn check_parts(&self, at: &str) -> Result<(), Problem> {
        let wanted = |at: String, parts: &[(&str, &str)], what: &str| {
            let missing = parts.iter().find(|(_, value)| value.is_empty());
            missing.map_or(Ok(()), |(name, _)| {
                Err(Problem::new(at, format!("missing {name} in Slack {what} configuration")))
            })
        };
        for (place, field) in self.fields.iter().enumerate() {
            field.check(&format!("{at}.fields[{place}]"), "Slack")?;
        }
        for (place, action) in self.actions.iter().enumerate() {
            let Action { r#type, text, url, name, confirm, .. } = action;
            let at = format!("{at}.actions[{place}]");
            let leads = if url.is_empty() { name } else { url };
            let parts = [("type", r#type.as_str()), ("text", text), ("name or url", leads)];
            wanted(at.clone(), &parts, "action")?;
            if let Some(confirm) = confirm {
                wanted(format!("{at}.confirm"), &[("text", &confirm.text)], "confirmation")?;
            }
        }
        Ok(())
    }

    /// Where to post, and how: what is the receiver's own counts more than what is global.
    fn way(
        &self,
        at: &str,
        context: &Context<'_>,
    ) -> Result<(Source, HttpClientSettings), Problem> {
        let global = context.global;
        let own_url = url_of(at, "api_url", &self.api_url, self.api_url_file.as_ref())?;
        let own_token = one_of(at, "app_token", &self.app_token, self.app_token_file.as_ref())?;
        if own_url.is_some() && own_token.is_some() {
            let text = "at most one of api_url/api_url_file & app_token/app_token_file must be \
                        configured";
            return Err(Problem::new(at, text));
        }
        if self.update_message && self.api_url.reveal() != POST_URL {
            let text = format!(
                "update_message can only be used with bot tokens. api_url must be set to {POST_URL}"
            );
            return Err(Problem::new(at, text));
        }
        let app_url = service_url(at, "app_url", &self.app_url, &global.slack_app_url)?;
        let mut http = context.http(at, self.http_config.as_ref())?;
        let authorized = self.http_config.as_ref().is_some_and(is_authorized);
        let token = own_token.or_else(|| {
            let global = Source::of(&global.slack_app_token, global.slack_app_token_file.as_ref());
            global.filter(|_| !authorized && own_url.is_none())
        });
        if let Some(token) = token {
            if http.authorization.is_some() {
                let text = "http authorization can't be set when using Slack App tokens";
                return Err(Problem::new(at, text));
            }
            http.authorization = Some(bearer(token));
            return Ok((Source::Inline(Secret::new(app_url.reveal())), http));
        }
        let url = own_url
            .or_else(|| Source::of(&global.slack_api_url, global.slack_api_url_file.as_ref()))
            .ok_or_else(|| {
                let text = "no Slack API URL nor App token set either inline or in a file";
                Problem::new(at, text)
            })?;
        Ok((url, http))
    }
}

/// A Slack receiver, checked, with the global defaults.
#[derive(Debug)]
struct Slack {
    settings: Settings,
    url: Source,
    timeout: Option<Duration>,
    /// Whether its own fields call everybody in a channel.
    calls_everybody: bool,
}

impl Vendor for Slack {
    fn message(&self, job: &Job<'_>) -> Result<Message, String> {
        let url = job.outside.reveal_trimmed(&self.url)?;
        let settings = &self.settings;
        // As with Alertmanager a field that cannot be expanded is empty: the rest still says that
        // something is wrong.
        let text = |template: &str| job.text(template).unwrap_or_default();
        let said = |template: &str| {
            let text = mentions::said(job, self.calls_everybody, text(template));
            runes(&text, TEXT_RUNES_MAX)
        };
        let known = |name| job.delivery.data.get(name).filter(|_| settings.update_message);
        let update = known(THREAD).zip(known(CHANNEL));
        let (url, thread, channel) = match update {
            Some((thread, channel)) => (UPDATE_URL.to_owned(), thread.clone(), channel.clone()),
            None => (url, String::new(), text(&settings.channel)),
        };
        let form = Form::default()
            .filled("channel", channel.clone())
            .filled("ts", thread)
            .filled("username", text(&settings.username))
            .filled("icon_emoji", text(&settings.icon_emoji))
            .filled("icon_url", text(&settings.icon_url))
            .filled("link_names", settings.link_names)
            .filled("text", said(&settings.message_text))
            .with("attachments", vec![self.attachment(&text, &said)]);
        let call = Call { timeout: self.timeout, ..Call::json(url, &form) };
        Ok(Message::from(call).naming(&channel))
    }

    fn judged(&self, answer: &Answered) -> Attempt {
        if !(200..300).contains(&answer.status) {
            return answer.by_status(&[]);
        }
        if !answer.content_type.starts_with("application/json") {
            // An incoming web hook.
            return match answer.body.as_str() {
                "ok" => answer.by_status(&[]),
                _ => {
                    let text = format!("received an error response from Slack: {}", answer.head());
                    answer.refused(FailureClass::Client, text)
                }
            };
        }
        let said: Said = match answer.json() {
            Ok(said) => said,
            Err(err) => {
                let head = answer.head();
                let text = format!("could not unmarshal JSON response {head:?}: {err}");
                return answer.retry(FailureClass::Client, text);
            }
        };
        if !said.ok {
            let text = format!("error response from Slack: {}", said.error);
            return answer.refused(FailureClass::Client, text);
        }
        let mut attempt = answer.by_status(&[]);
        if self.settings.update_message && !said.ts.is_empty() && !said.channel.is_empty() {
            let known = [(THREAD, said.ts), (CHANNEL, said.channel)];
            attempt.data = BTreeMap::from(known.map(|(name, value)| (name.to_owned(), value)));
        }
        attempt
    }
}

impl Slack {
    fn attachment(&self, text: &dyn Fn(&str) -> String, said: &dyn Fn(&str) -> String) -> Form {
        let settings = &self.settings;
        let fields: Vec<Value> = settings
            .fields
            .iter()
            .map(|field| {
                let short = field.short.unwrap_or(settings.short_fields);
                let said = |template: &str| Ok::<_, Infallible>(said(template));
                let Ok(form) = field.form(said, Some(short));
                form.into()
            })
            .collect();
        let actions: Vec<Value> =
            settings.actions.iter().map(|action| button(action, text).into()).collect();
        let marked = match settings.mrkdwn_in.as_slice() {
            [] => json!(["fallback", "pretext", "text"]),
            own => json!(own),
        };
        Form::default()
            .filled("title", runes(&said(&settings.title), TITLE_RUNES_MAX))
            .filled("title_link", text(&settings.title_link))
            .filled("pretext", said(&settings.pretext))
            .with("text", said(&settings.text))
            .with("fallback", said(&settings.fallback))
            .with("callback_id", text(&settings.callback_id))
            .filled("fields", fields)
            .filled("actions", actions)
            .filled("image_url", text(&settings.image_url))
            .filled("thumb_url", text(&settings.thumb_url))
            .with("footer", said(&settings.footer))
            .filled("color", text(&settings.color))
            .filled("mrkdwn_in", marked)
    }
}

fn button(action: &Action, text: &dyn Fn(&str) -> String) -> Form {
    let form = Form::default()
        .filled("type", text(&action.r#type))
        .filled("text", text(&action.text))
        .filled("url", text(&action.url))
        .filled("style", text(&action.style));
    // One that leads somewhere sends no message, and asks nothing.
    if !action.url.is_empty() {
        return form;
    }
    let confirm = action.confirm.as_ref().map_or(Value::Null, |confirm| {
        Form::default()
            .filled("text", text(&confirm.text))
            .filled("title", text(&confirm.title))
            .filled("ok_text", text(&confirm.ok_text))
            .filled("dismiss_text", text(&confirm.dismiss_text))
            .into()
    });
    let form = form.filled("name", text(&action.name)).filled("value", text(&action.value));
    if confirm.is_null() { form } else { form.with("confirm", confirm) }
}

/// What Slack's methods answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    ok: bool,
    error: String,
    channel: String,
    ts: String,
}
