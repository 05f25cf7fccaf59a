//! Mail: the message made of a notification. Sending is `smtp.rs`'s.
//!
//! Source: prometheus/alertmanager, notify/email/email.go.

use super::smtp;
use super::{Email, Threading};
use crate::alerts::Delivery;
use crate::model::Timestamp;
use crate::notify::outside::Outside;
use crate::notify::retry::Attempt;
use crate::notify::sender::{Job, Sender, Trying};
use crate::notify::templates::Rendering;
use jiff::fmt::rfc2822;
use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailboxes, MultiPart, SinglePart};
use lettre::{Address, Message};
use std::collections::BTreeMap;

/// A message as it goes out.
#[derive(Clone, Debug)]
pub(super) struct Mail {
    pub(super) envelope: Envelope,
    pub(super) bytes: Vec<u8>,
}

/// One e-mail receiver.
#[derive(Debug)]
pub(super) struct EmailSender {
    settings: Email,
}

impl Sender for EmailSender {
    fn attempt<'a>(&'a self, job: &'a Job<'a>) -> Trying<'a> {
        Box::pin(async move {
            match self.compose(job) {
                Ok(mail) => smtp::send(&self.settings, &mail, job.outside, job.time_left).await,
                Err(reason) => Attempt::unsendable(reason),
            }
        })
    }
}

impl EmailSender {
    pub(super) fn new(settings: &Email) -> Self {
        Self { settings: settings.clone() }
    }

    /// The whole message. The same delivery gives the same message, but for its date.
    fn compose(&self, job: &Job<'_>) -> Result<Mail, String> {
        let Job { delivery, rendering, outside, .. } = job;
        let settings = &self.settings;
        let now = outside.clock.now();
        let from = addresses(rendering, "from", &settings.from)?;
        let [sender] = from.as_slice() else {
            let found = from.len();
            return Err(format!("must be exactly one 'from' address (got: {found})"));
        };
        let to = addresses(rendering, "to", &settings.to)?;
        let envelope = Envelope::new(Some(sender.clone()), to)
            .map_err(|err| format!("parse addresses: {err}"))?;
        let mut builder = Message::builder().envelope(envelope.clone());
        for (name, value) in self.headers(delivery, rendering, outside, now)? {
            let name = HeaderName::new_from_ascii(name.clone())
                .map_err(|_| format!("{name:?} is no name of a header"))?;
            builder = builder.raw_header(HeaderValue::new(name, one_line(&value)));
        }
        let body = self.body(delivery, rendering)?;
        let message = builder.multipart(body).map_err(|err| format!("compose mail: {err}"))?;
        Ok(Mail { envelope, bytes: message.formatted() })
    }

    fn headers(
        &self,
        delivery: &Delivery,
        rendering: &Rendering<'_>,
        outside: &Outside,
        now: Timestamp,
    ) -> Result<BTreeMap<String, String>, String> {
        let settings = &self.settings;
        let mut templates = settings.headers.clone();
        for (name, default) in [
            ("Subject", "{{ template \"email.default.subject\" . }}"),
            ("To", settings.to.as_str()),
            ("From", settings.from.as_str()),
        ] {
            templates.entry(name.to_owned()).or_insert_with(|| default.to_owned());
        }
        let mut headers = BTreeMap::new();
        for (name, template) in templates {
            let value = rendering
                .text(&template)
                .map_err(|err| format!("execute {name:?} header template: {err}"))?;
            headers.insert(name, value);
        }
        let host = &outside.hostname;
        let id = || format!("<{}.{}@{host}>", now.as_millis(), delivery.idempotency_key());
        headers.entry("Message-Id".to_owned()).or_insert_with(id);
        if let Some(root) = thread_root(settings.threading, delivery, now) {
            headers.insert("References".to_owned(), root.clone());
            headers.insert("In-Reply-To".to_owned(), root);
        }
        headers.insert("Date".to_owned(), rfc2822_date(now)?);
        headers.insert("X-Watchbell-Delivery".to_owned(), delivery.idempotency_key());
        Ok(headers)
    }

    /// Text first, HTML last: the preferred form stands last in an alternative.
    fn body(&self, delivery: &Delivery, rendering: &Rendering<'_>) -> Result<MultiPart, String> {
        let boundary = format!("watchbell-{}", delivery.idempotency_key());
        let builder = MultiPart::alternative().boundary(boundary);
        let text = if self.settings.text.is_empty() {
            None
        } else {
            let text = rendering.text(&self.settings.text);
            Some(text.map_err(|err| format!("execute text template: {err}"))?)
        };
        let html = if self.settings.html.is_empty() {
            None
        } else {
            let html = rendering.html(&self.settings.html);
            Some(html.map_err(|err| format!("execute html template: {err}"))?)
        };
        Ok(match (text, html) {
            (Some(text), Some(html)) => {
                builder.singlepart(SinglePart::plain(text)).singlepart(SinglePart::html(html))
            }
            (Some(text), None) => builder.singlepart(SinglePart::plain(text)),
            (None, Some(html)) => builder.singlepart(SinglePart::html(html)),
            (None, None) => builder.build(),
        })
    }
}

fn addresses(rendering: &Rendering<'_>, what: &str, field: &str) -> Result<Vec<Address>, String> {
    let text = rendering.text(field).map_err(|err| format!("execute '{what}' template: {err}"))?;
    let found: Mailboxes =
        text.parse().map_err(|err| format!("parse '{what}' addresses: {err}"))?;
    Ok(found.iter().map(|mailbox| mailbox.email.clone()).collect())
}

/// A header is one line: whatever would end it, or is no text, becomes a space.
fn one_line(value: &str) -> String {
    value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The id of a message that never was: mail programs hang all of a group below it.
fn thread_root(threading: Threading, delivery: &Delivery, now: Timestamp) -> Option<String> {
    let by = match threading {
        Threading::Off => return None,
        Threading::Always => String::new(),
        Threading::Daily => jiff::Timestamp::from_millisecond(now.as_millis())
            .ok()?
            .strftime("%Y-%m-%d")
            .to_string(),
    };
    let hash = delivery.notification.group_key.hash();
    let head = hash.get(..16).unwrap_or_default();
    Some(format!("<alert-{head}-{by}@alertmanager>"))
}

fn rfc2822_date(now: Timestamp) -> Result<String, String> {
    jiff::Timestamp::from_millisecond(now.as_millis()).map_err(|err| err.to_string()).and_then(
        |instant| {
            let zoned = instant.to_zoned(jiff::tz::TimeZone::UTC);
            rfc2822::to_string(&zoned).map_err(|err| err.to_string())
        },
    )
}
