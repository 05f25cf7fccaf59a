//! All integrations of the configuration, ready to send, and the loop that tries until the deadline.

use super::config::Receiver;
use super::metrics::Metrics;
use super::outside::Outside;
use super::retry::{Attempt, Backoff, End, FailureClass};
use super::sender::{Job, Sender};
use super::templates::Templates;
use crate::alerts::{Delivery, DeliveryOutcome, IntegrationId};
use crate::model::Problem;
use crate::sys::metrics::Registry;
use futures_util::future::{Either, select};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

/// An attempt of a delivery that failed, and after which another one follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedAttempt {
    /// How often it was tried by now.
    pub attempts: u32,
    /// Why the last attempt failed, without secrets.
    pub error: String,
    /// The status code of its answer, where answers have one.
    pub status: Option<u16>,
    /// The beginning of its answer, at most 200 characters, without secrets. Whoever shows it has
    /// to make it printable.
    pub answer: String,
    /// The elapsed time at which it is tried again.
    pub next: Duration,
}

/// Ends when an attempt may begin. What it gives is dropped when the attempt has ended.
pub type Turn = Pin<Box<dyn Future<Output = Box<dyn Send>> + Send>>;

/// What sends, by integration.
type Senders = BTreeMap<IntegrationId, Box<dyn Sender>>;

/// Makes all senders; one that cannot be made is a problem.
pub(super) fn senders(receivers: &[Receiver], outside: &Outside) -> (Senders, Vec<Problem>) {
    let mut senders = BTreeMap::new();
    let mut problems = Vec::new();
    for (place, receiver) in receivers.iter().enumerate() {
        for (index, one) in receiver.counted() {
            let kind = one.kind();
            match one.sender(outside) {
                Ok(sender) => {
                    let (receiver, kind) = (receiver.name.clone(), kind.to_owned());
                    senders.insert(IntegrationId { receiver, kind, index }, sender);
                }
                Err(problem) => {
                    let at = format!("receivers[{place}].{kind}_configs[{index}]");
                    problems.push(problem.below(&at));
                }
            }
        }
    }
    (senders, problems)
}

/// Every integration that can send.
#[derive(Debug)]
pub struct Receivers {
    senders: Senders,
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
        let (senders, problems) = senders(receivers, &outside);
        let metrics = Metrics::new(registry);
        for id in senders.keys() {
            metrics.register(&id.kind);
        }
        (Self { senders, templates, outside, metrics }, problems)
    }

    /// Sends one delivery, trying again until its deadline. Never fails to answer.
    pub async fn deliver(&self, delivery: &Delivery) -> DeliveryOutcome {
        self.deliver_in_turn(delivery, &at_once, &|_| {}).await
    }

    /// The same; each attempt waits for its `turn`, which is over with the attempt: a pause holds
    /// up nobody. `watch` is told of each attempt that is made again.
    pub async fn deliver_in_turn(
        &self,
        delivery: &Delivery,
        turn: &(dyn Fn() -> Turn + Send + Sync),
        watch: &(dyn Fn(FailedAttempt) + Send + Sync),
    ) -> DeliveryOutcome {
        let kind = delivery.integration.kind.as_str();
        let started = self.outside.clock.elapsed();
        self.metrics.started(kind);
        let Some(sender) = self.senders.get(&delivery.integration) else {
            self.metrics.failed(kind, FailureClass::Other);
            let reason = format!("there is no integration {}", delivery.integration);
            return DeliveryOutcome::failed(reason);
        };
        let mut outcome = DeliveryOutcome::default();
        let again = Again::Until { turn, watch };
        let failure = self.until_deadline(sender.as_ref(), delivery, &mut outcome, again).await;
        outcome.took = self.outside.clock.elapsed().saturating_sub(started);
        outcome.error = failure.map(|(reason, class)| {
            self.metrics.failed(kind, class);
            reason
        });
        outcome
    }

    /// Sends one delivery with a single attempt; no notification is counted.
    pub async fn try_once(&self, delivery: &Delivery) -> DeliveryOutcome {
        let started = self.outside.clock.elapsed();
        let Some(sender) = self.senders.get(&delivery.integration) else {
            return DeliveryOutcome::failed(format!(
                "there is no integration {}",
                delivery.integration
            ));
        };
        let mut outcome = DeliveryOutcome::default();
        let again = Again::Never;
        let failure = self.until_deadline(sender.as_ref(), delivery, &mut outcome, again).await;
        outcome.took = self.outside.clock.elapsed().saturating_sub(started);
        outcome.error = failure.map(|(reason, _)| reason);
        outcome
    }

    /// Counts attempts and keeps the last answer in `outcome`; says why none arrived.
    async fn until_deadline(
        &self,
        sender: &dyn Sender,
        delivery: &Delivery,
        outcome: &mut DeliveryOutcome,
        again: Again<'_>,
    ) -> Option<(String, FailureClass)> {
        let clock = &self.outside.clock;
        let mut backoff = Backoff::default();
        let mut last: Option<(String, FailureClass)> = None;
        loop {
            if clock.elapsed() >= delivery.deadline {
                return Some(last.unwrap_or_else(over));
            }
            let turn = match again {
                Again::Until { turn, .. } => turn(),
                Again::Never => at_once(),
            };
            let Either::Left((turn, _)) = select(turn, clock.sleep_until(delivery.deadline)).await
            else {
                return Some(last.unwrap_or_else(queued));
            };
            outcome.attempts += 1;
            let time_left = delivery.deadline.saturating_sub(clock.elapsed());
            let attempt = self.attempt(sender, delivery, time_left).await;
            drop(turn);
            let Some(attempt) = attempt else { return Some(last.unwrap_or_else(over)) };
            let Attempt { end, status, answer, data } = attempt;
            (outcome.status, outcome.answer) = (status, answer);
            let (reason, class, after) = match end {
                End::Done => {
                    outcome.data = data;
                    return None;
                }
                End::Final { reason, class } => return Some((reason, class)),
                End::Retry { reason, class, after } => (reason, class, after),
            };
            let Again::Until { watch, .. } = again else { return Some((reason, class)) };
            let pause = backoff.pause(self.outside.entropy.next_u64(), after);
            let next = clock.elapsed().saturating_add(pause);
            if next >= delivery.deadline {
                return Some((reason, class));
            }
            watch(FailedAttempt {
                attempts: outcome.attempts,
                error: reason.clone(),
                status: outcome.status,
                answer: outcome.answer.clone(),
                next,
            });
            last = Some((reason, class));
            clock.sleep_until(next).await;
        }
    }

    /// Tries once; `None` when the deadline comes first.
    async fn attempt(
        &self,
        sender: &dyn Sender,
        delivery: &Delivery,
        time_left: Duration,
    ) -> Option<Attempt> {
        let (clock, kind) = (&self.outside.clock, delivery.integration.kind.as_str());
        let started = clock.elapsed();
        let outside = self.outside.for_attempt();
        let job = Job {
            delivery,
            rendering: self.templates.for_notification(&delivery.notification, clock.now()),
            outside: &outside,
            time_left,
        };
        let ended = select(sender.attempt(&job), clock.sleep_until(delivery.deadline)).await;
        let attempt = match ended {
            Either::Left((attempt, _)) => Some(attempt.without_secrets(&outside)),
            Either::Right(_) => None,
        };
        self.metrics.latency(kind, clock.elapsed().saturating_sub(started));
        let arrived = attempt.as_ref().is_some_and(|attempt| attempt.end == End::Done);
        self.metrics.attempt(kind, arrived);
        attempt
    }

    /// The templates in force.
    pub fn templates(&self) -> &Templates {
        &self.templates
    }
}

/// Whether what failed is tried again.
#[derive(Clone, Copy)]
enum Again<'a> {
    /// Until the deadline, each time in turn; `watch` is told before each pause.
    Until {
        turn: &'a (dyn Fn() -> Turn + Send + Sync),
        watch: &'a (dyn Fn(FailedAttempt) + Send + Sync),
    },
    /// It is not.
    Never,
}

/// The turn of somebody who waits for nobody.
fn at_once() -> Turn {
    let turn: Box<dyn Send> = Box::new(());
    Box::pin(std::future::ready(turn))
}

fn queued() -> (String, FailureClass) {
    let reason = "its deadline came before others to the same integration had ended";
    (reason.to_owned(), FailureClass::Deadline)
}

fn over() -> (String, FailureClass) {
    ("context deadline exceeded".to_owned(), FailureClass::Deadline)
}
