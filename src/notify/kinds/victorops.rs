//! VictorOps, now Splunk On-Call: an event for a routing key.
//!
//! Source: prometheus/alertmanager, config/notifiers.go (VictorOpsConfig),
//! notify/victorops/victorops.go.

use super::{Context, Written, below, one_of, service_url};
use crate::model::{AlertStatus, Problem, percent};
use crate::notify::config::Source;
use crate::notify::keys::{FileKey, HttpKey, keys, template};
use crate::notify::post::Call;
use crate::notify::sender::{Job, Made};
use crate::notify::truncate::runes;
use crate::notify::vendor::{Message, Talking, Vendor};
use crate::sys::settings::{Secret, ShownUrl};
use std::collections::BTreeMap;

/// VictorOps' limit of a text.
const MESSAGE_RUNES_MAX: usize = 20_480;
/// What Go leaves as it is in a path.
const OF_PATHS: &[u8] = b"$&+,/:;=@";
/// Fields that are not one's own.
const RESERVED: [&str; 7] = [
    "routing_key",
    "message_type",
    "state_message",
    "entity_display_name",
    "monitoring_tool",
    "entity_id",
    "entity_state",
];

keys! {
    /// One item of `victorops_configs`. All texts below the key are templates.
    pub struct Settings {
        /// Whether resolved alerts are told.
        send_resolved: bool = true,
        /// How to talk.
        http_config: HttpKey = None,
        /// The key.
        api_key: Secret = Secret::default(),
        /// A file with it.
        api_key_file: FileKey = None,
        /// Where VictorOps is; no template.
        api_url: ShownUrl = ShownUrl::default(),
        /// Who is to be told.
        routing_key: String = String::new(),
        /// `CRITICAL`, `WARNING` or `INFO`, of firing alerts.
        message_type: String = "CRITICAL".to_owned(),
        /// What happened.
        state_message: String = template("victorops.default.state_message"),
        /// What it is about.
        entity_display_name: String = template("victorops.default.entity_display_name"),
        /// Who says so.
        monitoring_tool: String = template("victorops.default.monitoring_tool"),
        /// More fields.
        custom_fields: BTreeMap<String, String> = BTreeMap::new(),
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        let global = context.global;
        if self.routing_key.is_empty() {
            return Err(Problem::new(at, "missing Routing key in VictorOps config"));
        }
        let key = one_of(at, "api_key", &self.api_key, self.api_key_file.as_ref())?;
        if let Some(name) = RESERVED.iter().find(|name| self.custom_fields.contains_key(**name)) {
            let text = format!(
                "victorOps config contains custom field {name} which cannot be used as it \
                 conflicts with the fixed/static fields"
            );
            return Err(Problem::new(at, text));
        }
        let key = key
            .or_else(|| {
                Source::of(&global.victorops_api_key, global.victorops_api_key_file.as_ref())
            })
            .ok_or_else(|| Problem::new(at, "no global VictorOps API Key set"))?;
        let url = service_url(at, "api_url", &self.api_url, &global.victorops_api_url)?;
        let http = context.http(at, self.http_config.as_ref())?;
        let vendor = VictorOps { key, url, settings: self.clone() };
        Ok(Talking::made("victorops", self.send_resolved, http, vendor))
    }
}

/// A VictorOps receiver, checked, with the global defaults.
#[derive(Debug)]
struct VictorOps {
    key: Source,
    url: ShownUrl,
    settings: Settings,
}

impl Vendor for VictorOps {
    fn message(&self, job: &Job<'_>) -> Result<Message, String> {
        let settings = &self.settings;
        let text =
            |template: &str| job.text(template).map_err(|err| format!("templating error: {err}"));
        let key = job.outside.reveal_trimmed(&self.key);
        let key = key.map_err(|err| format!("failed to read API key from file: {err}"))?;
        let tail = percent::encode(&format!("{key}/{}", text(&settings.routing_key)?), OF_PATHS);
        let own = text(&settings.message_type)?;
        let message_type = match job.status() {
            AlertStatus::Resolved => "RECOVERY",
            AlertStatus::Firing if ["INFO", "WARNING"].contains(&own.as_str()) => own.as_str(),
            AlertStatus::Firing => "CRITICAL",
        };
        let mut event = BTreeMap::from([
            ("message_type", message_type.to_owned()),
            ("entity_id", job.hash()),
            ("entity_display_name", text(&settings.entity_display_name)?),
            ("state_message", runes(&text(&settings.state_message)?, MESSAGE_RUNES_MAX)),
            ("monitoring_tool", text(&settings.monitoring_tool)?),
        ]);
        for (name, value) in &settings.custom_fields {
            event.insert(name, text(value)?);
        }
        Ok(Call::json(below(self.url.reveal(), &tail, ""), &event).into())
    }
}
