//! Opsgenie: an alert is made, kept up to date if wanted, and closed.
//!
//! Source: prometheus/alertmanager, notify/opsgenie/opsgenie.go, notify/opsgenie/config.go; the
//! limits beside that of messages are of Opsgenie's own documentation of its alert API.

use super::{Context, Written, below, one_of, service_url};
use crate::model::{AlertStatus, Problem};
use crate::notify::config::Source;
use crate::notify::form::Form;
use crate::notify::keys::{FileKey, HttpKey, keys, template};
use crate::notify::post::Call;
use crate::notify::sender::{Job, Made};
use crate::notify::truncate::runes;
use crate::notify::vendor::{Message, Talking, Vendor};
use crate::sys::http::Method;
use crate::sys::settings::{Secret, ShownUrl};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Opsgenie's limits, in characters.
const MESSAGE_RUNES_MAX: usize = 130;
/// See above.
const DESCRIPTION_RUNES_MAX: usize = 15_000;
/// See above.
const NOTE_RUNES_MAX: usize = 25_000;
/// See above: of all names and values together.
const DETAILS_RUNES_MAX: usize = 8_000;
/// See above.
const TAG_RUNES_MAX: usize = 50;
/// See above.
const SOURCE_RUNES_MAX: usize = 100;
/// See above.
const ENTITY_RUNES_MAX: usize = 512;
/// See above.
const ACTION_RUNES_MAX: usize = 50;
/// How many actions it takes.
const ACTIONS_MAX: usize = 10;
/// The priorities it takes.
const PRIORITIES: [&str; 5] = ["P1", "P2", "P3", "P4", "P5"];
/// How many tags it takes.
const TAGS_MAX: usize = 20;
/// What a responder may be.
const TYPES: [&str; 5] = ["team", "teams", "user", "escalation", "schedule"];

keys! {
    /// One item of `opsgenie_configs`.
    pub struct Settings {
        /// Whether resolved alerts are told.
        send_resolved: bool = true,
        /// How to talk.
        http_config: HttpKey = None,
        /// The key; a template, as all below but the switch.
        api_key: Secret = Secret::default(),
        /// A file with it.
        api_key_file: FileKey = None,
        /// Where Opsgenie is; no template.
        api_url: ShownUrl = ShownUrl::default(),
        /// What happened.
        message: String = template("opsgenie.default.message"),
        /// The same at length.
        description: String = template("opsgenie.default.description"),
        /// Who says so.
        source: String = template("opsgenie.default.source"),
        /// More about it, beside the common labels.
        details: BTreeMap<String, String> = BTreeMap::new(),
        /// What it is about.
        entity: String = String::new(),
        /// Who is to act.
        responders: Vec<Responder> = Vec::new(),
        /// What may be done, separated by commas.
        actions: String = String::new(),
        /// Tags, separated by commas.
        tags: String = String::new(),
        /// A note.
        note: String = String::new(),
        /// `P1` to `P5`; any other is not sent.
        priority: String = String::new(),
        /// Whether message and description of an alert are kept up to date.
        update_alerts: bool = false,
    }
}

keys! {
    /// One item of `responders`.
    pub struct Responder {
        /// One of this,
        id: String = String::new(),
        /// this,
        name: String = String::new(),
        /// or this.
        username: String = String::new(),
        /// `team`, `user`, `escalation`, `schedule`, or `teams` with names separated by commas.
        r#type: String = String::new(),
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        let global = context.global;
        for (place, responder) in self.responders.iter().enumerate() {
            responder.check(&format!("{at}.responders[{place}]"))?;
        }
        let key = one_of(at, "api_key", &self.api_key, self.api_key_file.as_ref())?
            .or_else(|| Source::of(&global.opsgenie_api_key, global.opsgenie_api_key_file.as_ref()))
            .ok_or_else(|| {
                let text = "no global OpsGenie API Key set either inline or in a file";
                Problem::new(at, text)
            })?;
        let url = service_url(at, "api_url", &self.api_url, &global.opsgenie_api_url)?;
        let http = context.http(at, self.http_config.as_ref())?;
        let vendor = Opsgenie { key, url, settings: self.clone() };
        Ok(Talking::made("opsgenie", self.send_resolved, http, vendor))
    }
}

impl Responder {
    fn check(&self, at: &str) -> Result<(), Problem> {
        let Self { id, name, username, r#type } = self;
        let shown = format!("opsGenieConfig responder {{{id} {name} {username} {type}}}");
        if [id, name, username].into_iter().all(String::is_empty) {
            let text =
                format!("{shown} has to have at least one of id, username or name specified");
            return Err(Problem::new(at, text));
        }
        let known = TYPES.contains(&r#type.to_lowercase().as_str());
        if !known && !r#type.contains("{{") {
            let types = TYPES.join("|");
            let text = format!("{shown} type does not match valid options ^({types})$");
            return Err(Problem::new(at, text));
        }
        Ok(())
    }
}

/// An Opsgenie receiver, checked, with the global defaults.
#[derive(Debug)]
struct Opsgenie {
    key: Source,
    url: ShownUrl,
    settings: Settings,
}

impl Vendor for Opsgenie {
    fn message(&self, job: &Job<'_>) -> Result<Message, String> {
        let read = job.outside.reveal(&self.key);
        let read = read.map_err(|err| format!("read key_file error: {err}"))?;
        let key = text(job, &read)?;
        let mut calls = match job.status() {
            AlertStatus::Resolved => vec![self.close(job)?],
            AlertStatus::Firing => self.create(job)?,
        };
        for call in &mut calls {
            call.headers.push(("authorization", format!("GenieKey {}", key.trim())));
        }
        Ok(Message { calls, about: String::new() })
    }
}

impl Opsgenie {
    /// A URL that is about the alert of the group.
    fn alert_url(&self, job: &Job<'_>, what: &str) -> String {
        let tail = format!("v2/alerts/{}/{what}", job.hash());
        below(self.url.reveal(), &tail, "identifierType=alias")
    }

    fn close(&self, job: &Job<'_>) -> Result<Call, String> {
        let source = runes(&text(job, &self.settings.source)?, SOURCE_RUNES_MAX);
        let form = Form::default().with("source", source);
        Ok(Call::json(self.alert_url(job, "close"), &form))
    }

    fn create(&self, job: &Job<'_>) -> Result<Vec<Call>, String> {
        let settings = &self.settings;
        let text = |template: &str| text(job, template);
        let message = runes(&text(&settings.message)?, MESSAGE_RUNES_MAX);
        let description = runes(&text(&settings.description)?, DESCRIPTION_RUNES_MAX);
        let listed = |list: &str, most: usize, runes_max: usize| -> Result<Vec<Value>, String> {
            let list = text(list)?;
            Ok(parts(&list).take(most).map(|part| runes(part, runes_max).into()).collect())
        };
        let priority = text(&settings.priority)?.trim().to_uppercase();
        // An alert with another priority would be refused for good.
        let priority = PRIORITIES.into_iter().find(|known| *known == priority);
        let form = Form::default()
            .with("alias", job.hash())
            .with("message", message.clone())
            .filled("description", description.clone())
            .with("details", self.details(job)?)
            .with("source", runes(&text(&settings.source)?, SOURCE_RUNES_MAX))
            .filled("responders", self.responders(job)?)
            .filled("tags", listed(&settings.tags, TAGS_MAX, TAG_RUNES_MAX)?)
            .filled("note", runes(&text(&settings.note)?, NOTE_RUNES_MAX))
            .filled("priority", priority)
            .filled("entity", runes(&text(&settings.entity)?, ENTITY_RUNES_MAX))
            .filled("actions", listed(&settings.actions, ACTIONS_MAX, ACTION_RUNES_MAX)?);
        let mut calls = vec![Call::json(below(self.url.reveal(), "v2/alerts", ""), &form)];
        if settings.update_alerts {
            for (what, value) in [("message", message), ("description", description)] {
                let form = Form::default().filled(what, value);
                let call = Call::json(self.alert_url(job, what), &form);
                calls.push(Call { method: Method::Put, ..call });
            }
        }
        Ok(calls)
    }

    fn details(&self, job: &Job<'_>) -> Result<Map<String, Value>, String> {
        let labels = job.delivery.notification.common_labels();
        let mut details: BTreeMap<String, String> =
            labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        for (name, value) in &self.settings.details {
            details.insert(name.clone(), text(job, value)?);
        }
        let mut left = DETAILS_RUNES_MAX;
        let cut = |(name, value): (String, String)| {
            left = left.checked_sub(name.chars().count())?;
            let value = runes(&value, left);
            left = left.saturating_sub(value.chars().count());
            Some((name, Value::from(value)))
        };
        Ok(details.into_iter().filter_map(cut).collect())
    }

    fn responders(&self, job: &Job<'_>) -> Result<Vec<Value>, String> {
        let mut responders = Vec::new();
        for Responder { id, name, username, r#type } in &self.settings.responders {
            let name = text(job, name)?;
            let kind = text(job, r#type)?;
            if kind == "teams" {
                let team = |name| Form::default().filled("name", name).with("type", "team").into();
                responders.extend(parts(&name).map(team));
                continue;
            }
            let (id, username) = (text(job, id)?, text(job, username)?);
            // One that is made of labels that are not there.
            if [&id, &name, &username, &kind].into_iter().all(String::is_empty) {
                continue;
            }
            let form = Form::default()
                .filled("id", id)
                .filled("name", name)
                .filled("username", username)
                .with("type", kind);
            responders.push(form.into());
        }
        Ok(responders)
    }
}

fn text(job: &Job<'_>, template: &str) -> Result<String, String> {
    job.text(template).map_err(|err| format!("templating error: {err}"))
}

/// What stands between commas and is not empty.
fn parts(list: &str) -> impl Iterator<Item = &str> {
    list.trim().split(',').filter(|part| !part.is_empty())
}
