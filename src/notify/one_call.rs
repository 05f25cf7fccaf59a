//! Kinds whose attempt is one request.

use super::outside::Outside;
use super::post::{Answered, Call};
use super::retry::Attempt;
use super::sender::{Job, Sender, Trying};
use crate::model::Problem;
use crate::sys::http::HttpClient;
use crate::sys::settings::HttpClientSettings;
use std::fmt::Debug;
use std::sync::Arc;

/// A kind that tells a notification with one request.
pub(super) trait OneCall: Clone + Debug + Send + Sync + 'static {
    /// The request.
    ///
    /// # Errors
    /// None can be made of this notification: a template fails, a secret's file is missing.
    fn call(&self, job: &Job<'_>) -> Result<Call, String>;

    /// What its answer means.
    fn ended(&self, answer: &Answered) -> Attempt {
        answer.by_status(&[])
    }

    /// What sends these requests.
    ///
    /// # Errors
    /// A client cannot be made of the settings.
    fn one_call_sender(
        &self,
        http: &HttpClientSettings,
        outside: &Outside,
    ) -> Result<Box<dyn Sender>, Problem> {
        let client = outside.client(http)?;
        Ok(Box::new(OneCallSender { kind: self.clone(), client }))
    }
}

#[derive(Debug)]
struct OneCallSender<T> {
    kind: T,
    client: Arc<dyn HttpClient>,
}

impl<T: OneCall> Sender for OneCallSender<T> {
    fn attempt<'a>(&'a self, job: &'a Job<'a>) -> Trying<'a> {
        Box::pin(async move {
            let call = match self.kind.call(job) {
                Ok(call) => call,
                Err(reason) => return Attempt::unsendable(reason),
            };
            match call.send(self.client.as_ref(), job).await {
                Ok(answer) => self.kind.ended(&answer),
                Err(failed) => failed,
            }
        })
    }
}
