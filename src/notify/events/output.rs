//! One output that events are told to: a file, a web hook or standard output.
//!
//! Source: prometheus/alertmanager, eventrecorder/{file,webhook,stdout}.go.

use super::form::Event;
use super::settings::{Batch, EventOutputPlan, Webhook};
use crate::model::Problem;
use crate::notify::outside::Outside;
use crate::sys::http::{HttpClient, HttpError, Method, Request};
use crate::sys::local::{Append, error_text};
use crate::sys::tasks::Shutdown;
use bytes::Bytes;
use futures_util::future::select;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Pauses between attempts double up to this.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Of an answer nothing is needed.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// What a file or standard output takes at once of what waits.
const LINES: Batch = Batch { events_max: 1_000, bytes_max: 1 << 20, wait: Duration::ZERO };
/// What a web hook takes whose events are posted one by one.
const ONE: Batch = Batch { events_max: 1, ..LINES };

/// An output that can be told.
#[derive(Debug)]
pub struct EventOutput {
    plan: EventOutputPlan,
    name: String,
    client: Option<Arc<dyn HttpClient>>,
    outside: Outside,
}

impl EventOutput {
    /// Makes its client, if it needs one.
    ///
    /// # Errors
    /// Why there is none.
    pub fn new(plan: &EventOutputPlan, outside: Outside) -> Result<Self, Problem> {
        let (name, client) = match plan {
            EventOutputPlan::File(path) => {
                (format!("file:{}", outside.base.join(path).display()), None)
            }
            EventOutputPlan::Webhook(webhook) => {
                outside.revealed.note(webhook.url.reveal());
                // The path may be what lets one in: upstream's name has it, ours does not.
                let name = format!("webhook:{}", webhook.url.shown_url());
                (name, Some(outside.client(&webhook.http)?))
            }
            EventOutputPlan::Stdout => ("stdout".to_owned(), None),
        };
        Ok(Self { plan: plan.clone(), name, client, outside })
    }

    /// What it is made of.
    pub const fn plan(&self) -> &EventOutputPlan {
        &self.plan
    }

    /// Its name in metrics and logs, without secrets.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many deliveries it takes at a time.
    pub fn workers(&self) -> usize {
        match &self.plan {
            EventOutputPlan::Webhook(webhook) => webhook.workers,
            EventOutputPlan::File(_) | EventOutputPlan::Stdout => 1,
        }
    }

    /// How many events go into one delivery.
    pub fn batch(&self) -> Batch {
        match &self.plan {
            EventOutputPlan::Webhook(webhook) => webhook.batch.unwrap_or(ONE),
            EventOutputPlan::File(_) | EventOutputPlan::Stdout => LINES,
        }
    }

    /// Bytes that it is told of an event.
    pub fn bytes_of(&self, event: &Event) -> usize {
        event.line().len() + usize::from(self.client.is_none())
    }

    /// Tells events; once `stop` was asked for, nothing is tried again.
    ///
    /// # Errors
    /// Why they did not arrive, without secrets.
    pub async fn deliver(&self, events: &[Arc<Event>], stop: &Shutdown) -> Result<(), String> {
        let lines: Vec<_> = events.iter().map(|event| event.line()).collect();
        match &self.plan {
            EventOutputPlan::File(path) => {
                let path = self.outside.base.join(path);
                // Whoever sets it aside needs to tell nobody: it is opened each time.
                let bytes = lines.join("\n").into_bytes();
                let append = Append { path, bytes: ended(bytes), bytes_max: u64::MAX, keep: 0 };
                self.outside.local.append(append).await.map_err(|err| error_text(&err))
            }
            EventOutputPlan::Stdout => {
                let bytes = ended(lines.join("\n").into_bytes());
                self.outside.local.print(bytes).await.map_err(|err| error_text(&err))
            }
            EventOutputPlan::Webhook(webhook) => {
                let body = match webhook.batch {
                    None => lines.concat(),
                    Some(_) => format!("[{}]", lines.join(",")),
                };
                self.until_given_up(webhook, Bytes::from(body), stop).await
            }
        }
    }

    async fn until_given_up(
        &self,
        webhook: &Webhook,
        body: Bytes,
        stop: &Shutdown,
    ) -> Result<(), String> {
        let mut attempts = 0;
        let mut pause = webhook.backoff;
        loop {
            let Err(reason) = self.post(webhook, body.clone()).await else { return Ok(()) };
            attempts += 1;
            if attempts >= webhook.attempts_max || stop.is_triggered() {
                return Err(reason);
            }
            // One that is asked to stop tries once more, at once.
            select(self.outside.clock.sleep(pause.min(BACKOFF_MAX)), pin!(stop.wait())).await;
            pause = pause.saturating_mul(2);
        }
    }

    async fn post(&self, webhook: &Webhook, body: Bytes) -> Result<(), String> {
        let Some(client) = &self.client else { return Err("no client".to_owned()) };
        let agent = format!("Alertmanager/{}", env!("CARGO_PKG_VERSION"));
        let headers = [("content-type", "application/json".to_owned()), ("user-agent", agent)];
        let request = Request {
            method: Method::Post,
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
            body,
            timeout: webhook.timeout,
            body_bytes_max: ANSWER_BYTES_MAX,
            ..Request::get(webhook.url.reveal())
        };
        match client.send(request).await {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
            Ok(answer) => Err(format!("unexpected status code {}", answer.status)),
            // It was taken; only its answer is too long to be of interest.
            Err(HttpError::TooLarge { .. }) => Ok(()),
            Err(err) => Err(self.outside.for_attempt().hide_secrets(&err.to_string())),
        }
    }
}

fn ended(mut line: Vec<u8>) -> Vec<u8> {
    line.push(b'\n');
    line
}
