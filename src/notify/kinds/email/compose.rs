//! Mail: the message made of a notification. Sending is `smtp.rs`'s.
//!
//! Source: prometheus/alertmanager, notify/email/email.go.

use super::smtp;
use super::{Email, Threading};
use crate::alerts::Delivery;
use crate::model::{GroupKey, Timestamp};
use crate::notify::outside::Outside;
use crate::notify::retry::Attempt;
use crate::notify::sender::{Job, Sender, Trying};
use crate::notify::templates::Rendering;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
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
        let mut said_from = None;
        for (name, value) in self.headers(delivery, rendering, outside, now)? {
            let header = HeaderName::new_from_ascii(name.clone())
                .map_err(|_| format!("{name:?} is no name of a header"))?;
            let value = match name.as_str() {
                "From" | "To" => entries(&value).join(", "),
                _ => value,
            };
            let value = HeaderValue::new(header, one_line(&value));
            builder = if name == "From" {
                said_from = Some(value);
                builder.from(Mailbox::new(None, sender.clone()))
            } else {
                builder.raw_header(value)
            };
        }
        let body = self.body(delivery, rendering)?;
        let mut message = builder.multipart(body).map_err(|err| format!("compose mail: {err}"))?;
        // What the header says is free, as upstream has it; the library wants to read it.
        if let Some(value) = said_from {
            message.headers_mut().insert_raw(value);
        }
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
        let group = &delivery.notification.group_key;
        if let Some(root) = thread_root(settings.threading, group, now, TimeZone::system()) {
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
    let read = |entry: &str| entry.parse().map(|mailbox: Mailbox| mailbox.email);
    let found: Result<Vec<_>, _> = entries(&text).into_iter().map(read).collect();
    let found = found.map_err(|err| format!("parse '{what}' addresses: {err}"))?;
    match found.is_empty() {
        true => Err(format!("parse '{what}' addresses: mail: no address")),
        false => Ok(found),
    }
}

/// The entries of a list of addresses, those of groups (`name: entry, entry;`) among them. As Go has
/// it, there may be blanks around each and commas with nothing between them.
fn entries(list: &str) -> Vec<&str> {
    let (mut in_quotes, mut escaped, mut in_group, mut depth) = (false, false, false, 0_usize);
    let (mut entries, mut start) = (Vec::new(), 0);
    for (place, c) in list.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = in_quotes || depth > 0,
            '"' => in_quotes = !in_quotes,
            _ if in_quotes => {}
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            // What stands before is the group's name.
            ':' if depth == 0 && !in_group => {
                in_group = true;
                start = place + 1;
            }
            ',' | ';' if depth == 0 && (c == ',' || in_group) => {
                in_group &= c == ',';
                entries.extend(list.get(start..place));
                start = place + 1;
            }
            _ => {}
        }
    }
    entries.extend(list.get(start..));
    entries.into_iter().map(str::trim).filter(|entry| !entry.is_empty()).collect()
}

/// A header is one line: whatever would end it, or is no text, becomes a space.
fn one_line(value: &str) -> String {
    value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The id of a message that never was: mail programs hang all of a group below it, or all of a day
/// in this zone.
fn thread_root(
    threading: Threading,
    group: &GroupKey,
    now: Timestamp,
    zone: TimeZone,
) -> Option<String> {
    let by = match threading {
        Threading::Off => return None,
        Threading::Always => String::new(),
        Threading::Daily => jiff::Timestamp::from_millisecond(now.as_millis())
            .ok()?
            .to_zoned(zone)
            .strftime("%Y-%m-%d")
            .to_string(),
    };
    let hash = group.hash();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_addresses_may_have_blanks_and_nothing_between_commas() {
        // Cases of Go, net/mail/message_test.go (TestAddressParsing, TestEmptyAddressList).
        for (list, expected) in [
            ("a@b", vec!["a@b"]),
            (" a@b , c@d ,\r\n", vec!["a@b", "c@d"]),
            (",,a@b,,, c@d,", vec!["a@b", "c@d"]),
            (r#""Doe, \"J\", x" <j@d>, k@d"#, vec![r#""Doe, \"J\", x" <j@d>"#, "k@d"]),
            ("<@a,@b:c@d>, e@f (g, h)", vec!["<@a,@b:c@d>", "e@f (g, h)"]),
            ("team: a@b.c, d@b.c;", vec!["a@b.c", "d@b.c"]),
            ("Group1: <a@b>;, Group 2: c@d;, John <e@f>", vec!["<a@b>", "c@d", "John <e@f>"]),
            ("x:y@[IPv6:::1], \"a:b;c\"@d;", vec!["y@[IPv6:::1]", "\"a:b;c\"@d"]),
            ("nobody: ;", vec![]),
            ("a@b; c@d", vec!["a@b; c@d"]),
            (" , ", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(entries(list), expected, "{list:?}");
        }
    }

    #[test]
    fn a_day_of_a_thread_ends_at_local_midnight() {
        // prometheus/alertmanager, notify/email/email.go: `time.Now().Format`.
        let group = GroupKey::from_text("{}:{}");
        // 2024-01-01T23:30:00Z.
        let now = Timestamp::from_millis(1_704_151_800_000);
        for (hours, day) in [(0, "2024-01-01"), (1, "2024-01-02")] {
            let zone = TimeZone::fixed(jiff::tz::offset(hours));
            let root = thread_root(Threading::Daily, &group, now, zone).expect("a root");
            assert!(root.ends_with(&format!("-{day}@alertmanager>")), "{root}");
        }
    }
}
