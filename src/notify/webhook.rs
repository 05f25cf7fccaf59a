//! The web hook: version 4 of Alertmanager's JSON, or a body of the user's own, by POST.
//!
//! Source: prometheus/alertmanager, notify/webhook/webhook.go.

use super::config::Webhook;
use super::message::{go_escaped, webhook_json};
use super::outside::Outside;
use super::retry::{Attempt, FailureClass, by_status, retry_after};
use super::templates::Templates;
use crate::alerts::Delivery;
use crate::model::Problem;
use crate::sys::http::{HttpClient, HttpError, Method, Request};
use crate::template::TemplateError;
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Of an answer nothing is needed but the reason of a refusal.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// So much of the reason is kept.
const REASON_CHARS_MAX: usize = 200;
/// Texts of a payload inside each other, as deep as its YAML may be.
const PAYLOAD_DEPTH_MAX: usize = 64;

/// One web hook with its client.
#[derive(Debug)]
pub(super) struct WebhookSender {
    settings: Webhook,
    client: Arc<dyn HttpClient>,
}

impl WebhookSender {
    pub(super) fn new(settings: &Webhook, outside: &Outside) -> Result<Self, Problem> {
        let client = outside.http.client(&settings.http, &outside.base)?;
        Ok(Self { settings: settings.clone(), client })
    }

    /// Posts the delivery once.
    pub(super) async fn attempt(
        &self,
        delivery: &Delivery,
        templates: &Templates,
        outside: &Outside,
        time_left: Duration,
    ) -> Attempt {
        let request = match self.request(delivery, templates, outside, time_left) {
            Ok(request) => request,
            Err(reason) => return Attempt::Final { reason, class: FailureClass::Other },
        };
        match self.client.send(request).await {
            Ok(answer) => {
                let after = retry_after(answer.header("retry-after"));
                let text = String::from_utf8_lossy(&answer.body);
                let reason: String = text.trim().chars().take(REASON_CHARS_MAX).collect();
                by_status(answer.status, after, &reason)
            }
            Err(err) => by_error(&err),
        }
    }

    fn request(
        &self,
        delivery: &Delivery,
        templates: &Templates,
        outside: &Outside,
        time_left: Duration,
    ) -> Result<Request, String> {
        let (notification, left_out) =
            delivery.notification.clone().truncated(self.settings.alerts_max);
        let rendering = templates.for_notification(&notification, outside.clock.now());
        let text = |field: &str| rendering.text(field);
        let url =
            outside.reveal(&self.settings.url).map_err(|err| format!("read url_file: {err}"))?;
        let url =
            text(url.trim()).map_err(|err| format!("failed to template webhook URL: {err}"))?;
        if url.is_empty() {
            return Err("webhook URL is empty after templating".to_owned());
        }
        let body = match &self.settings.payload {
            None => webhook_json(&notification, rendering.route_labels(), left_out),
            Some(payload) => {
                let expanded = expanded(payload, &text, 0)
                    .map_err(|err| format!("failed to render custom payload: {err}"))?;
                go_escaped(&expanded.to_string())
            }
        };
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("user-agent", format!("Alertmanager/{}", env!("CARGO_PKG_VERSION"))),
            ("idempotency-key", delivery.idempotency_key()),
        ];
        Ok(Request {
            method: Method::Post,
            url,
            headers: headers.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            body: Bytes::from(body),
            timeout: self.settings.timeout.unwrap_or(time_left).min(time_left),
            body_bytes_max: ANSWER_BYTES_MAX,
            unix_socket: None,
        })
    }
}

pub(super) fn by_error(err: &HttpError) -> Attempt {
    let reason = err.to_string();
    let retry = |class| Attempt::Retry { reason: reason.clone(), class, after: None };
    match err {
        HttpError::Timeout => retry(FailureClass::Deadline),
        HttpError::Connect(_) | HttpError::Broken(_) => retry(FailureClass::Other),
        // The sink has the message; only its answer is too long to be of interest.
        HttpError::TooLarge { .. } => Attempt::Done,
        HttpError::Invalid(_) => Attempt::Final { reason, class: FailureClass::Other },
    }
}

/// The payload with every text expanded, keys included. A text that expands to JSON stays a text.
fn expanded(
    value: &Value,
    text: &dyn Fn(&str) -> Result<String, TemplateError>,
    depth: usize,
) -> Result<Value, String> {
    if depth > PAYLOAD_DEPTH_MAX {
        return Err(format!("nested more than {PAYLOAD_DEPTH_MAX} deep"));
    }
    let told = |err: TemplateError| err.to_string();
    Ok(match value {
        Value::String(field) => Value::String(text(field).map_err(told)?),
        Value::Array(items) => {
            let items = items.iter().map(|item| expanded(item, text, depth + 1));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Object(map) => {
            let pair = |(key, value): (&String, &Value)| {
                Ok((text(key).map_err(told)?, expanded(value, text, depth + 1)?))
            };
            let pairs: Result<std::collections::BTreeMap<_, _>, String> =
                map.iter().map(pair).collect();
            Value::Object(pairs?.into_iter().collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}
