//! Mattermost: a message with attachments, by an incoming web hook.
//!
//! Source: prometheus/alertmanager, notify/mattermost/mattermost.go, notify/mattermost/config.go.

use super::field::Field;
use super::{Context, Written, url_of};
use crate::model::Problem;
use crate::notify::config::Source;
use crate::notify::form::Form;
use crate::notify::keys::{FileKey, HttpKey, keys, template};
use crate::notify::mentions;
use crate::notify::post::Call;
use crate::notify::sender::{Job, Made};
use crate::notify::truncate::runes;
use crate::notify::vendor::{Message, Talking, Vendor};
use crate::sys::settings::Secret;
use serde_json::Value;

/// Mattermost's limit of a message.
const TEXT_RUNES_MAX: usize = 16_383;

keys! {
    /// One item of `mattermost_configs`. All texts but the type of `priority` are templates.
    pub struct Settings {
        /// Whether resolved alerts are told.
        send_resolved: bool = true,
        /// How to talk.
        http_config: HttpKey = None,
        /// The incoming web hook.
        webhook_url: Secret = Secret::default(),
        /// A file with it.
        webhook_url_file: FileKey = None,
        /// The channel or the user.
        channel: String = String::new(),
        /// Under which name.
        username: String = template("mattermost.default.username"),
        /// The attachment's text; the message's where there are `attachments`.
        text: String = template("mattermost.default.text"),
        /// Of the attachment: for clients that show none.
        fallback: String = template("mattermost.default.fallback"),
        /// Of the attachment: the bar beside it.
        color: String = template("mattermost.default.color"),
        /// Of the attachment: what stands above.
        pretext: String = String::new(),
        /// Of the attachment: who says so.
        author_name: String = String::new(),
        /// Of the attachment: where that leads.
        author_link: String = String::new(),
        /// Of the attachment: the picture of the author.
        author_icon: String = String::new(),
        /// Of the attachment: its title.
        title: String = template("mattermost.default.title"),
        /// Of the attachment: where that leads.
        title_link: String = template("mattermost.default.titlelink"),
        /// Of the attachment: a table.
        fields: Vec<Field> = Vec::new(),
        /// Of the attachment: a small picture.
        thumb_url: String = String::new(),
        /// Of the attachment: what stands below.
        footer: String = String::new(),
        /// Of the attachment: a picture beside that.
        footer_icon: String = String::new(),
        /// Of the attachment: a picture.
        image_url: String = String::new(),
        /// The picture of the sender.
        icon_url: String = String::new(),
        /// The same by name.
        icon_emoji: String = String::new(),
        /// Attachments, in place of the one of the fields above.
        attachments: Vec<Attachment> = Vec::new(),
        /// The type of the message.
        r#type: String = String::new(),
        /// More about the message.
        props: Option<Props> = None,
        /// How urgent it is.
        priority: Option<Priority> = None,
    }
}

keys! {
    /// One item of `attachments`; the fields are those of the receiver.
    pub struct Attachment {
        /// For clients that show no attachments.
        fallback: String = String::new(),
        /// The bar beside it.
        color: String = String::new(),
        /// What stands above.
        pretext: String = String::new(),
        /// Its text.
        text: String = String::new(),
        /// Who says so.
        author_name: String = String::new(),
        /// Where that leads.
        author_link: String = String::new(),
        /// The picture of the author.
        author_icon: String = String::new(),
        /// Its title.
        title: String = String::new(),
        /// Where that leads.
        title_link: String = String::new(),
        /// A table.
        fields: Vec<Field> = Vec::new(),
        /// A small picture.
        thumb_url: String = String::new(),
        /// What stands below.
        footer: String = String::new(),
        /// A picture beside that.
        footer_icon: String = String::new(),
        /// A picture.
        image_url: String = String::new(),
    }
}

keys! {
    /// `props`.
    pub struct Props {
        /// What stands in the bar at the side.
        card: String = String::new(),
    }
}

keys! {
    /// `priority`.
    pub struct Priority {
        /// `urgent`, `important` or `standard`; a template.
        priority: String = String::new(),
        /// Whether readers are to say that they have read it.
        requested_ack: bool = false,
        /// Whether they are told until they do.
        persistent_notifications: bool = false,
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        let global = context.global;
        let own = self.attachments.iter().flat_map(|attachment| &attachment.fields);
        for field in self.fields.iter().chain(own) {
            field.check(at, "Mattermost")?;
        }
        let url = url_of(at, "webhook_url", &self.webhook_url, self.webhook_url_file.as_ref())?
            .or_else(|| {
                let file = global.mattermost_webhook_url_file.as_ref();
                Source::of(&global.mattermost_webhook_url, file)
            })
            .ok_or_else(|| {
                let text = "missing webhook_url or webhook_url_file on mattermost_config";
                Problem::new(at, text)
            })?;
        let http = context.http(at, self.http_config.as_ref())?;
        let calls_everybody = mentions::are_in_settings(self);
        let vendor = Mattermost { url, calls_everybody, settings: self.clone() };
        Ok(Talking::made("mattermost", self.send_resolved, http, vendor))
    }
}

impl Settings {
    /// What the message holds when `attachments` are not written.
    fn attachment(&self) -> Attachment {
        let own = self.clone();
        Attachment {
            fallback: own.fallback,
            color: own.color,
            pretext: own.pretext,
            text: own.text,
            author_name: own.author_name,
            author_link: own.author_link,
            author_icon: own.author_icon,
            title: own.title,
            title_link: own.title_link,
            fields: own.fields,
            thumb_url: own.thumb_url,
            footer: own.footer,
            footer_icon: own.footer_icon,
            image_url: own.image_url,
        }
    }
}

/// A Mattermost receiver, checked, with the global defaults.
#[derive(Debug)]
struct Mattermost {
    url: Source,
    /// Whether its own fields call everybody in a channel.
    calls_everybody: bool,
    settings: Settings,
}

impl Vendor for Mattermost {
    fn message(&self, job: &Job<'_>) -> Result<Message, String> {
        let url = job.outside.reveal_trimmed(&self.url)?;
        if url.is_empty() {
            return Err("webhook url missing".to_owned());
        }
        let settings = &self.settings;
        let text = |template: &str| job.text(template);
        let channel = text(&settings.channel)?;
        let (said, attachments) = match settings.attachments.as_slice() {
            [] => (String::new(), vec![self.attached(job, &settings.attachment())?]),
            own => {
                let attached = own.iter().map(|one| self.attached(job, one));
                (self.said(job, &settings.text)?, attached.collect::<Result<_, _>>()?)
            }
        };
        let card = match &settings.props {
            Some(props) => Form::default().filled("card", self.said(job, &props.card)?),
            None => Form::default(),
        };
        let form = Form::default()
            .filled("text", runes(&said, TEXT_RUNES_MAX))
            .filled("channel", channel.as_str())
            .filled("username", text(&settings.username)?)
            .filled("icon_url", text(&settings.icon_url)?)
            .filled("icon_emoji", text(&settings.icon_emoji)?)
            .filled("attachments", attachments)
            .filled("type", text(&settings.r#type)?)
            .filled("props", card)
            .filled("priority", self.priority(job)?);
        Ok(Message::from(Call::json(url, &form)).naming(&channel))
    }
}

impl Mattermost {
    fn said(&self, job: &Job<'_>, template: &str) -> Result<String, String> {
        Ok(mentions::said(job, self.calls_everybody, job.text(template)?))
    }

    fn attached(&self, job: &Job<'_>, attachment: &Attachment) -> Result<Form, String> {
        let text = |template: &str| job.text(template);
        let said = |template: &str| self.said(job, template);
        let mut fields: Vec<Value> = Vec::new();
        for field in &attachment.fields {
            fields.push(field.form(said, field.short)?.into());
        }
        Ok(Form::default()
            .filled("fallback", said(&attachment.fallback)?)
            .filled("color", text(&attachment.color)?)
            .filled("pretext", said(&attachment.pretext)?)
            .filled("text", runes(&said(&attachment.text)?, TEXT_RUNES_MAX))
            .filled("author_name", said(&attachment.author_name)?)
            .filled("author_link", text(&attachment.author_link)?)
            .filled("author_icon", text(&attachment.author_icon)?)
            .filled("title", said(&attachment.title)?)
            .filled("title_link", text(&attachment.title_link)?)
            .filled("fields", fields)
            .filled("thumb_url", text(&attachment.thumb_url)?)
            .filled("footer", said(&attachment.footer)?)
            .filled("footer_icon", text(&attachment.footer_icon)?)
            .filled("image_url", text(&attachment.image_url)?))
    }

    /// How urgent the message is; what Mattermost would refuse is left out.
    fn priority(&self, job: &Job<'_>) -> Result<Form, String> {
        let Some(own) = self.settings.priority.as_ref().filter(|own| !own.priority.is_empty())
        else {
            return Ok(Form::default());
        };
        let priority = job.text(&own.priority)?.to_lowercase();
        let known = ["urgent", "important"].into_iter().find(|known| *known == priority);
        let priority = known.unwrap_or("standard");
        let persistent = own.persistent_notifications && priority == "urgent";
        Ok(Form::default()
            .with("priority", priority)
            .filled("requested_ack", own.requested_ack && priority != "standard")
            .filled("persistent_notifications", persistent))
    }
}
