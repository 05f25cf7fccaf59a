//! What only watchbell's alerting can do: the history, acknowledgements, tests of receivers and
//! routes, fire drills.

use super::alertmanager_read::matchers;
use super::answer::success;
use super::message::Response;
use super::params::invalid;
use super::route::Asked;
use crate::wire::{
    AckRequest, Drill, Error, GroupingRequest, HistoryRequest, ReceiverTest, RouteTestRequest,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What happened to alerts, newest first.
pub(super) fn history(asked: &Asked) -> Result<Response, Error> {
    let params = &asked.params;
    let own = |name: &str| params.get(name).map(str::to_owned);
    let fingerprint = own("fingerprint");
    if fingerprint.as_ref().is_some_and(|print| !is_fingerprint(print)) {
        return Err(invalid("fingerprint", "16 hex digits are wanted"));
    }
    let request = HistoryRequest {
        matchers: matchers(asked, "filter")?,
        start: params.time("start")?,
        end: params.time("end")?,
        kind: own("kind"),
        fingerprint,
        limit: params.limit()?,
        cursor: own("cursor"),
    };
    Ok(success(asked.core().history(&request)?))
}

#[derive(Serialize)]
struct Acknowledged {
    acknowledged: usize,
}

/// Alerts that somebody takes on.
pub(super) fn acknowledge(asked: &Asked) -> Result<Response, Error> {
    let request: AckRequest = body(asked)?;
    Ok(success(Acknowledged { acknowledged: asked.core().acknowledge(&request)? }))
}

/// An acknowledgement that somebody takes back.
pub(super) fn withdraw_ack(asked: &Asked) -> Result<Response, Error> {
    let by = asked.params.get("by").unwrap_or_default();
    asked.core().withdraw_ack(&asked.slug, by)?;
    Ok(Response::empty(204))
}

/// A message that only tries a receiver out.
pub(super) fn test_receiver(asked: &Asked) -> Result<Response, Error> {
    let test: ReceiverTest = match asked.request.body.is_empty() {
        true => ReceiverTest::default(),
        false => body(asked)?,
    };
    let test = ReceiverTest { receiver: asked.slug.clone(), ..test };
    Ok(success(asked.core().test_receiver(&test)?))
}

/// A fire drill.
pub(super) fn begin_drill(asked: &Asked) -> Result<Response, Error> {
    let drill: Drill = body(asked)?;
    Ok(success(asked.core().begin_drill(&drill)?))
}

/// How far a fire drill is.
pub(super) fn drill(asked: &Asked) -> Result<Response, Error> {
    Ok(success(asked.core().drill(&asked.slug)?))
}

/// A fire drill that ends before its time.
pub(super) fn end_drill(asked: &Asked) -> Result<Response, Error> {
    Ok(success(asked.core().end_drill(&asked.slug)?))
}

/// The way of a label set through the routing tree.
pub(super) fn route_test(asked: &Asked) -> Result<Response, Error> {
    let request: RouteTestRequest = body(asked)?;
    Ok(success(asked.core().route_test(&request)?))
}

/// The alerts of now, grouped otherwise.
pub(super) fn grouping_preview(asked: &Asked) -> Result<Response, Error> {
    let request: GroupingRequest = body(asked)?;
    Ok(success(asked.core().grouping_preview(&request)?))
}

/// The body as JSON; serde_json bounds its depth, the listeners its length.
fn body<T: DeserializeOwned>(asked: &Asked) -> Result<T, Error> {
    serde_json::from_slice(&asked.request.body)
        .map_err(|err| Error::bad_data(format!("cannot read the body: {err}")))
}

fn is_fingerprint(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
