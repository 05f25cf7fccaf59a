//! All integrations of the configuration, ready to send, and the loop that tries until the deadline.

use super::config::Receiver;
use super::email::EmailSender;
use super::metrics::Metrics;
use super::outside::Outside;
use super::retry::{Attempt, Backoff, FailureClass};
use super::templates::Templates;
use super::webhook::WebhookSender;
use crate::alerts::{Delivery, DeliveryOutcome, IntegrationId};
use crate::model::Problem;
use crate::sys::metrics::Registry;
use futures_util::future::{Either, select};
use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

/// One way of sending.
#[derive(Debug)]
enum Sender {
    Webhook(Box<WebhookSender>),
    Email(Box<EmailSender>),
}

impl Sender {
    async fn attempt(
        &self,
        delivery: &Delivery,
        templates: &Templates,
        outside: &Outside,
        time_left: Duration,
    ) -> Attempt {
        match self {
            Self::Webhook(sender) => sender.attempt(delivery, templates, outside, time_left).await,
            Self::Email(sender) => sender.attempt(delivery, templates, outside, time_left).await,
        }
    }
}

/// Every integration that can send.
#[derive(Debug)]
pub struct Receivers {
    senders: BTreeMap<IntegrationId, Sender>,
    templates: Templates,
    outside: Outside,
    metrics: Metrics,
}

impl Receivers {
    /// Makes all senders; one that cannot be made is a problem, and the others work.
    pub fn new(
        receivers: &[Receiver],
        templates: Templates,
        outside: Outside,
        registry: &Registry,
    ) -> (Self, Vec<Problem>) {
        let mut senders = BTreeMap::new();
        let mut problems = Vec::new();
        for (place, receiver) in receivers.iter().enumerate() {
            let id = |kind: &str, index| IntegrationId {
                receiver: receiver.name.clone(),
                kind: kind.to_owned(),
                index,
            };
            for (index, hook) in (0_u32..).zip(&receiver.webhooks) {
                match WebhookSender::new(hook, &outside) {
                    Ok(sender) => {
                        senders.insert(id("webhook", index), Sender::Webhook(Box::new(sender)));
                    }
                    Err(problem) => {
                        let at = format!("receivers[{place}].webhook_configs[{index}].http_config");
                        problems.push(problem.below(&at));
                    }
                }
            }
            for (index, mail) in (0_u32..).zip(&receiver.emails) {
                senders.insert(id("email", index), Sender::Email(Box::new(EmailSender::new(mail))));
            }
        }
        let metrics = Metrics::new(registry);
        for id in senders.keys() {
            metrics.register(&id.kind);
        }
        (Self { senders, templates, outside, metrics }, problems)
    }

    /// Sends one delivery, trying again until its deadline. Never fails to answer.
    pub async fn deliver(&self, delivery: &Delivery) -> DeliveryOutcome {
        let kind = delivery.integration.kind.as_str();
        let started = self.outside.clock.elapsed();
        self.metrics.started(kind);
        let Some(sender) = self.senders.get(&delivery.integration) else {
            let reason = format!("there is no integration {}", delivery.integration);
            self.metrics.failed(kind, FailureClass::Other);
            return DeliveryOutcome { error: Some(reason), attempts: 0 };
        };
        let (attempts, failure) = self.until_deadline(sender, delivery).await;
        self.metrics.latency(kind, self.outside.clock.elapsed().saturating_sub(started));
        let error = failure.map(|(reason, class)| {
            self.metrics.failed(kind, class);
            reason
        });
        DeliveryOutcome { error, attempts }
    }

    async fn until_deadline(
        &self,
        sender: &Sender,
        delivery: &Delivery,
    ) -> (u32, Option<(String, FailureClass)>) {
        let clock = &self.outside.clock;
        let kind = delivery.integration.kind.as_str();
        let mut backoff = Backoff::default();
        let mut attempts: u32 = 0;
        let mut last: Option<(String, FailureClass)> = None;
        loop {
            let time_left = delivery.deadline.saturating_sub(clock.elapsed());
            if time_left.is_zero() {
                return (attempts, Some(last.unwrap_or_else(over)));
            }
            attempts += 1;
            let attempt = pin!(sender.attempt(delivery, &self.templates, &self.outside, time_left));
            let attempt = match select(attempt, clock.sleep_until(delivery.deadline)).await {
                Either::Left((attempt, _)) => attempt,
                Either::Right(_) => {
                    self.metrics.attempt(kind, false);
                    return (attempts, Some(last.unwrap_or_else(over)));
                }
            };
            self.metrics.attempt(kind, attempt == Attempt::Done);
            let pause = match attempt {
                Attempt::Done => return (attempts, None),
                Attempt::Final { reason, class } => return (attempts, Some((reason, class))),
                Attempt::Retry { reason, class, after } => {
                    last = Some((reason, class));
                    after.unwrap_or_else(|| backoff.pause(self.outside.entropy.next_u64()))
                }
            };
            let next = clock.elapsed().saturating_add(pause);
            if next >= delivery.deadline {
                return (attempts, Some(last.unwrap_or_else(over)));
            }
            clock.sleep_until(next).await;
        }
    }

    /// The templates in force.
    pub fn templates(&self) -> &Templates {
        &self.templates
    }
}

fn over() -> (String, FailureClass) {
    ("context deadline exceeded".to_owned(), FailureClass::Deadline)
}
