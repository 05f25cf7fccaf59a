//! Kinds that talk HTTP: what they have in common is here, so that each one only says what it
//! sends and what answers mean (`Vendor`), or, where one request depends on another's answer, how
//! it talks (`Dialog`).

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

    /// What is sent in place of a request that was refused as this answer says, because another
    /// form of it will be taken.
    fn instead(&self, job: &Job<'_>, refusal: &Answered) -> Option<Call> {
        let _ = (job, refusal);
        None
    }

    /// What an answer means.
    fn judged(&self, answer: &Answered) -> Attempt {
        answer.by_status(&[])
    }
}

/// A kind of receiver, checked, that talks over HTTP in its own way.
pub(super) trait Dialog: Debug + Send + Sync + 'static {
    /// Tries once. What it awaits may be dropped at any time.
    fn attempt<'a>(&'a self, client: &'a dyn HttpClient, job: &'a Job<'a>) -> Trying<'a>;
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

/// The integration of a kind that talks over HTTP.
#[derive(Debug)]
pub(super) struct Talking<D> {
    /// The word before `_configs`.
    pub(super) kind: &'static str,
    /// Whether resolved alerts are told.
    pub(super) send_resolved: bool,
    /// How to talk.
    pub(super) http: HttpClientSettings,
    /// Who talks.
    pub(super) dialog: Arc<D>,
}

impl<D: Dialog> Talking<D> {
    /// As `Written::check` answers it.
    pub(super) fn made(
        kind: &'static str,
        send_resolved: bool,
        http: HttpClientSettings,
        dialog: D,
    ) -> Made {
        Arc::new(Self { kind, send_resolved, http, dialog: Arc::new(dialog) })
    }
}

impl<D: Dialog> Integration for Talking<D> {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn send_resolved(&self) -> bool {
        self.send_resolved
    }

    fn sender(&self, outside: &Outside) -> Result<Box<dyn Sender>, Problem> {
        let client = outside.client(&self.http)?;
        Ok(Box::new(TalkingSender { dialog: Arc::clone(&self.dialog), client }))
    }
}

#[derive(Debug)]
struct TalkingSender<D> {
    dialog: Arc<D>,
    client: Arc<dyn HttpClient>,
}

impl<D: Dialog> Sender for TalkingSender<D> {
    fn attempt<'a>(&'a self, job: &'a Job<'a>) -> Trying<'a> {
        self.dialog.attempt(self.client.as_ref(), job)
    }
}

impl<V: Vendor> Dialog for V {
    fn attempt<'a>(&'a self, client: &'a dyn HttpClient, job: &'a Job<'a>) -> Trying<'a> {
        Box::pin(async move {
            let message = match self.message(job) {
                Ok(message) => message,
                Err(reason) => return Attempt::unsendable(reason),
            };
            let mut last = Attempt::done();
            for call in message.calls {
                let mut answer = call.send(client, job).await;
                if let Ok(refusal) = &answer
                    && let Some(plainer) = self.instead(job, refusal)
                {
                    answer = plainer.send(client, job).await;
                }
                last = match answer {
                    Ok(answer) => self.judged(&answer).about(&message.about),
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
