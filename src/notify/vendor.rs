//! Kinds that talk HTTP: what they have in common is here, so that each one only says what it
//! sends and what answers mean.

use super::outside::Outside;
use super::post::{Answered, Call};
use super::retry::{Attempt, End};
use super::sender::{Integration, Job, Made, Sender, Trying};
use crate::model::Problem;
use crate::sys::http::HttpClient;
use crate::sys::settings::HttpClientSettings;
use std::fmt::Debug;
use std::sync::Arc;

/// A kind of receiver, checked, that sends requests.
pub(super) trait Vendor: Debug + Send + Sync + 'static {
    /// What is sent in one attempt.
    ///
    /// # Errors
    /// A template fails, or a file cannot be read: no attempt will work.
    fn message(&self, job: &Job<'_>) -> Result<Message, String>;

    /// What an answer means.
    fn judged(&self, answer: &Answered) -> Attempt {
        answer.by_status(&[])
    }
}

/// The requests of one attempt.
#[derive(Debug)]
pub(super) struct Message {
    /// Sent one after the other; the first that fails ends the attempt.
    pub(super) calls: Vec<Call>,
    /// Stands before what is said about refusals; empty for nothing.
    pub(super) about: String,
}

impl From<Call> for Message {
    fn from(call: Call) -> Self {
        Self { calls: vec![call], about: String::new() }
    }
}

impl Message {
    /// With the channel that refusals are to name.
    pub(super) fn naming(self, channel: &str) -> Self {
        Self { about: format!("channel {channel:?}: "), ..self }
    }
}

/// The integration of a vendor.
#[derive(Debug)]
pub(super) struct Talking<V> {
    /// The word before `_configs`.
    pub(super) kind: &'static str,
    /// Whether resolved alerts are told.
    pub(super) send_resolved: bool,
    /// How to talk.
    pub(super) http: HttpClientSettings,
    /// What to say.
    pub(super) vendor: Arc<V>,
}

impl<V: Vendor> Talking<V> {
    /// As `Written::check` answers it.
    pub(super) fn made(
        kind: &'static str,
        send_resolved: bool,
        http: HttpClientSettings,
        vendor: V,
    ) -> Made {
        Arc::new(Self { kind, send_resolved, http, vendor: Arc::new(vendor) })
    }
}

impl<V: Vendor> Integration for Talking<V> {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn send_resolved(&self) -> bool {
        self.send_resolved
    }

    fn sender(&self, outside: &Outside) -> Result<Box<dyn Sender>, Problem> {
        let client = outside.client(&self.http)?;
        Ok(Box::new(VendorSender { vendor: Arc::clone(&self.vendor), client }))
    }
}

#[derive(Debug)]
struct VendorSender<V> {
    vendor: Arc<V>,
    client: Arc<dyn HttpClient>,
}

impl<V: Vendor> Sender for VendorSender<V> {
    fn attempt<'a>(&'a self, job: &'a Job<'a>) -> Trying<'a> {
        Box::pin(async move {
            let message = match self.vendor.message(job) {
                Ok(message) => message,
                Err(reason) => return Attempt::unsendable(reason),
            };
            let mut last = Attempt::done();
            for call in message.calls {
                last = match call.send(self.client.as_ref(), job).await {
                    Ok(answer) => self.vendor.judged(&answer).about(&message.about),
                    Err(failed) => failed,
                };
                if last.end != End::Done {
                    return last;
                }
            }
            last
        })
    }
}
