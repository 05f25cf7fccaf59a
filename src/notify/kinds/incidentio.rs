//! incident.io: the web hook's JSON under its own version, with a token.
//!
//! Source: prometheus/alertmanager, notify/incidentio/incidentio.go, notify/incidentio/config.go.

use super::{Context, Written, bearer, is_authorized, limit, one_of, url_of};
use crate::model::Problem;
use crate::notify::config::Source;
use crate::notify::keys::{FileKey, HttpKey, keys};
use crate::notify::message::versioned_json;
use crate::notify::post::{Answered, Call};
use crate::notify::retry::Attempt;
use crate::notify::sender::{Job, Made};
use crate::notify::vendor::{Message, Talking, Vendor};
use crate::sys::settings::{GoSpan, Secret, ShownUrl};
use serde::Deserialize;
use std::time::Duration;

/// incident.io's limit of a message.
const MESSAGE_BYTES_MAX: usize = 512 << 10;

keys! {
    /// One item of `incidentio_configs`.
    pub struct Settings {
        /// Whether resolved alerts are told.
        send_resolved: bool = true,
        /// How to talk.
        http_config: HttpKey = None,
        /// Where the alert source is.
        url: ShownUrl = ShownUrl::default(),
        /// A file with it.
        url_file: FileKey = None,
        /// The alert source's token.
        alert_source_token: Secret = Secret::default(),
        /// A file with it.
        alert_source_token_file: FileKey = None,
        /// Alerts in one message; 0 for all.
        max_alerts: u64 = 0,
        /// For one attempt; 0 for no limit of its own.
        timeout: GoSpan = GoSpan::default(),
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        let url = url_of(at, "url", &Secret::new(self.url.reveal()), self.url_file.as_ref())?
            .ok_or_else(|| Problem::new(at, "one of url or url_file must be configured"))?;
        let file = self.alert_source_token_file.as_ref();
        let token = one_of(at, "alert_source_token", &self.alert_source_token, file)?;
        let authorized = self.http_config.as_ref().map(is_authorized);
        match (authorized, &token) {
            (Some(true), Some(_)) => {
                let text = "cannot specify alert_source_token or alert_source_token_file when \
                            using http_config.authorization";
                return Err(Problem::new(at, text));
            }
            (Some(false), None) => {
                let text = "at least one of alert_source_token, alert_source_token_file or \
                            http_config.authorization must be configured";
                return Err(Problem::new(at, text));
            }
            _ => {}
        }
        let mut http = context.http(at, self.http_config.as_ref())?;
        http.authorization = token.map(bearer).or(http.authorization);
        let vendor = IncidentIo {
            url,
            alerts_max: usize::try_from(self.max_alerts).unwrap_or(usize::MAX),
            timeout: limit(self.timeout),
        };
        Ok(Talking::made("incidentio", self.send_resolved, http, vendor))
    }
}

/// An incident.io receiver, checked.
#[derive(Debug)]
struct IncidentIo {
    url: Source,
    /// Alerts in one message; 0 for all.
    alerts_max: usize,
    timeout: Option<Duration>,
}

impl Vendor for IncidentIo {
    fn message(&self, job: &Job<'_>) -> Result<Message, String> {
        let url = job.outside.reveal_trimmed(&self.url);
        let url = url.map_err(|err| format!("read url_file: {err}"))?;
        let (notification, rendering, left_out) = job.cut_to(self.alerts_max);
        let labels = rendering.route_labels();
        let body = |alerts_max| versioned_json("1", &notification, labels, left_out, alerts_max);
        let whole = body(usize::MAX);
        // One incident is made of a group: the first alert does for it.
        let body = if whole.len() <= MESSAGE_BYTES_MAX { whole } else { body(1) };
        Ok(Call { timeout: self.timeout, ..Call::json_text(url, body) }.into())
    }

    fn judged(&self, answer: &Answered) -> Attempt {
        let detail = answer.json::<Refusal>().map_or_else(
            |_| String::new(),
            |Refusal { message, error, errors }| {
                let parts = [message, error, errors.join(", ")];
                let said: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
                said.join(": ")
            },
        );
        answer.by_status_saying(&[], &detail)
    }
}

/// Why a message is refused.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    message: String,
    error: String,
    errors: Vec<String>,
}
