//! PagerDuty: events of its API v2, and of v1 for keys of services.
//!
//! Source: prometheus/alertmanager, notify/pagerduty/pagerduty.go, notify/pagerduty/config.go.

use super::{Context, Written, limit, one_of, service_url};
use crate::model::{AlertStatus, Problem};
use crate::notify::config::Source;
use crate::notify::deep;
use crate::notify::form::Form;
use crate::notify::keys::{FileKey, HttpKey, keys, template};
use crate::notify::message::go_json;
use crate::notify::post::{Answered, Call};
use crate::notify::retry::Attempt;
use crate::notify::sender::{Job, Made};
use crate::notify::truncate::runes;
use crate::notify::vendor::{Message, Talking, Vendor};
use crate::sys::settings::{GoSpan, Secret, ShownUrl};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// PagerDuty's limit of an event, in bytes.
const EVENT_BYTES_MAX: usize = 512_000;
/// Its limit of a summary (v2) and of a description (v1).
const SUMMARY_RUNES_MAX: usize = 1_024;
/// What it knows severities by.
const SEVERITIES: [&str; 4] = ["critical", "error", "warning", "info"];
/// Where events of v1 go.
const V1_URL: &str = "https://events.pagerduty.com/generic/2010-04-15/create_event.json";
/// In place of details that are too long.
const REMOVED: &str = "Custom details have been removed because the original event exceeds the \
                       maximum size of 512KB";
/// Details that are sent unless the receiver has its own of the same name.
const DETAILS: [(&str, &str); 4] = [
    ("firing", "{{ .Alerts.Firing | toJson }}"),
    ("resolved", "{{ .Alerts.Resolved | toJson }}"),
    ("num_firing", "{{ .Alerts.Firing | len }}"),
    ("num_resolved", "{{ .Alerts.Resolved | len }}"),
];

keys! {
    /// One item of `pagerduty_configs`.
    pub struct Settings {
        /// Whether resolved alerts are told.
        send_resolved: bool = true,
        /// How to talk.
        http_config: HttpKey = None,
        /// The key of a service, for v1; a template, as all below but files.
        service_key: Secret = Secret::default(),
        /// A file with it.
        service_key_file: FileKey = None,
        /// The key of an integration, for v2.
        routing_key: Secret = Secret::default(),
        /// A file with it.
        routing_key_file: FileKey = None,
        /// Where events of v2 go; no template.
        url: ShownUrl = ShownUrl::default(),
        /// Who says so.
        client: String = template("pagerduty.default.client"),
        /// Where that is.
        client_url: String = template("pagerduty.default.clientURL"),
        /// What happened.
        description: String = template("pagerduty.default.description"),
        /// More about it, of any structure.
        details: Map<String, Value> = Map::new(),
        /// Pictures.
        images: Vec<Image> = Vec::new(),
        /// Links.
        links: Vec<Link> = Vec::new(),
        /// Where it happened; `client` when empty.
        source: String = String::new(),
        /// `critical`, `error`, `warning` or `info`; `error` when empty or any other.
        severity: String = String::new(),
        /// The kind of event.
        class: String = String::new(),
        /// The part that is broken.
        component: String = String::new(),
        /// The group of parts.
        group: String = String::new(),
        /// For one attempt; 0 for no limit of its own.
        timeout: GoSpan = GoSpan::default(),
    }
}

keys! {
    /// One item of `images`.
    pub struct Image {
        /// Where it is; without it, it is left out.
        src: String = String::new(),
        /// What it shows.
        alt: String = String::new(),
        /// Where it leads.
        href: String = String::new(),
    }
}

keys! {
    /// One item of `links`.
    pub struct Link {
        /// Where it leads; without it, it is left out.
        href: String = String::new(),
        /// What it says.
        text: String = String::new(),
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        let routing_key =
            one_of(at, "routing_key", &self.routing_key, self.routing_key_file.as_ref())?;
        let service_key =
            one_of(at, "service_key", &self.service_key, self.service_key_file.as_ref())?;
        let missing = "missing service or routing key in PagerDuty config";
        let key = match (service_key, routing_key) {
            (Some(key), _) => Key::Service(key),
            (None, Some(key)) => Key::Routing(key),
            (None, None) => return Err(Problem::new(at, missing)),
        };
        let url = service_url(at, "url", &self.url, &context.global.pagerduty_url)?;
        let http = context.http(at, self.http_config.as_ref())?;
        let settings = self.clone();
        let vendor = PagerDuty { key, url, timeout: limit(self.timeout), settings };
        Ok(Talking::made("pagerduty", self.send_resolved, http, vendor))
    }
}

/// Which API is meant.
#[derive(Debug)]
enum Key {
    /// v1.
    Service(Source),
    /// v2.
    Routing(Source),
}

/// A PagerDuty receiver, checked, with the global defaults.
#[derive(Debug)]
struct PagerDuty {
    key: Key,
    /// Where events of v2 go.
    url: ShownUrl,
    timeout: Option<Duration>,
    settings: Settings,
}

impl Vendor for PagerDuty {
    fn message(&self, job: &Job<'_>) -> Result<Message, String> {
        let details =
            self.details(job).map_err(|err| format!("failed to render details: {err}"))?;
        let (url, body) = match &self.key {
            Key::Service(key) => {
                let key = self.revealed(job, key, "service", "v1")?;
                let event = |details: &Value| self.event_v1(job, &key, details);
                (V1_URL, in_size(&event, &details))
            }
            Key::Routing(key) => {
                let key = self.revealed(job, key, "routing", "v2")?;
                let event = |details: &Value| self.event_v2(job, &key, details);
                (self.url.reveal(), in_size(&event, &details))
            }
        };
        Ok(Call { timeout: self.timeout, ..Call::json_text(url, body?) }.into())
    }

    fn judged(&self, answer: &Answered) -> Attempt {
        let retried: &[u16] = match self.key {
            // v1 says so when it gets too much.
            Key::Service(_) => &[403],
            Key::Routing(_) => &[],
        };
        let detail = match answer.status {
            400 => answer.json().map_or_else(
                |_| String::new(),
                |Refusal { message, errors }| format!("{message}: {}", errors.join(",")),
            ),
            _ => String::new(),
        };
        answer.by_status_saying(retried, &detail)
    }
}

impl PagerDuty {
    fn revealed(
        &self,
        job: &Job<'_>,
        key: &Source,
        what: &str,
        version: &str,
    ) -> Result<String, String> {
        let read = job.outside.reveal_trimmed(key);
        let read = read.map_err(|err| format!("failed to read {what} key from file: {err}"))?;
        let key = job.text(&read).map_err(|err| untemplated(version, &err))?;
        if key.is_empty() { Err(format!("{what} key cannot be empty")) } else { Ok(key) }
    }

    fn details(&self, job: &Job<'_>) -> Result<Value, String> {
        let text = |template: &str| job.text(template);
        let expanded = |value: &Value| deep::expanded(value, &text, &job.outside.read_yaml);
        let own = &self.settings.details;
        let mut details = BTreeMap::new();
        for (name, value) in own {
            details.insert(name.clone(), expanded(value)?);
        }
        for (name, default) in DETAILS {
            if !own.contains_key(name) {
                details.insert(name.to_owned(), expanded(&json!(default))?);
            }
        }
        Ok(Value::Object(details.into_iter().collect()))
    }

    fn event_v1(&self, job: &Job<'_>, key: &str, details: &Value) -> Result<Form, String> {
        let settings = &self.settings;
        let text = |template: &str| job.text(template).map_err(|err| untemplated("v1", &err));
        let firing = job.status() == AlertStatus::Firing;
        let (client, client_url) = match firing {
            true => (text(&settings.client)?, text(&settings.client_url)?),
            false => (String::new(), String::new()),
        };
        Ok(Form::default()
            .filled("service_key", key)
            .filled("incident_key", job.hash())
            .filled("event_type", if firing { "trigger" } else { "resolve" })
            .filled("description", runes(&text(&settings.description)?, SUMMARY_RUNES_MAX))
            .with("event_action", "")
            .with("payload", Value::Null)
            .filled("client", client)
            .filled("client_url", client_url)
            .filled("details", details.clone()))
    }

    fn event_v2(&self, job: &Job<'_>, key: &str, details: &Value) -> Result<Form, String> {
        let settings = &self.settings;
        let text = |template: &str| job.text(template).map_err(|err| untemplated("v2", &err));
        let or = |own: &String, default: &str| text(if own.is_empty() { default } else { own });
        let payload = Form::default()
            .with("summary", runes(&text(&settings.description)?, SUMMARY_RUNES_MAX))
            .with("source", or(&settings.source, &settings.client)?)
            .with("severity", severity(&or(&settings.severity, "error")?))
            .filled("class", text(&settings.class)?)
            .filled("component", text(&settings.component)?)
            .filled("group", text(&settings.group)?)
            .filled("custom_details", details.clone());
        let mut images: Vec<Value> = Vec::new();
        for Image { src, alt, href } in &settings.images {
            let (src, alt, href) = (text(src)?, text(alt)?, text(href)?);
            if !src.is_empty() {
                images.push(
                    Form::default().with("src", src).with("alt", alt).with("href", href).into(),
                );
            }
        }
        let mut links: Vec<Value> = Vec::new();
        for Link { href, text: label } in &settings.links {
            let (href, label) = (text(href)?, text(label)?);
            if !href.is_empty() {
                links.push(Form::default().with("href", href).with("text", label).into());
            }
        }
        let firing = job.status() == AlertStatus::Firing;
        Ok(Form::default()
            .filled("routing_key", key)
            .filled("dedup_key", job.hash())
            .with("event_action", if firing { "trigger" } else { "resolve" })
            .with("payload", payload)
            .filled("client", text(&settings.client)?)
            .filled("client_url", text(&settings.client_url)?)
            .filled("images", images)
            .filled("links", links))
    }
}

/// A severity that PagerDuty knows. It refuses an event with another for good, such as the
/// `page` of a label.
fn severity(text: &str) -> &'static str {
    let text = text.trim().to_lowercase();
    SEVERITIES.into_iter().find(|known| *known == text).unwrap_or("error")
}

/// The event with its details, or without when PagerDuty would not take it.
fn in_size(
    event: &dyn Fn(&Value) -> Result<Form, String>,
    details: &Value,
) -> Result<String, String> {
    let body = go_json(&event(details)?);
    if body.len() <= EVENT_BYTES_MAX {
        return Ok(body);
    }
    Ok(go_json(&event(&json!({ "error": REMOVED }))?))
}

fn untemplated(version: &str, err: &str) -> String {
    format!("failed to template PagerDuty {version} message: {err}")
}

/// Why an event is refused.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    message: String,
    errors: Vec<String>,
}
