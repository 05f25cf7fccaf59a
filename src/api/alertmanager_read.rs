//! The half of Alertmanager's API v2 that only reads.

use super::alertmanager::{bad_id, validation};
use super::answer::json;
use super::message::Response;
use super::route::Asked;
use crate::model::{Matcher, Regex};
use crate::wire::{AlertFilter, Error, ErrorKind};

pub(super) fn status(asked: &Asked) -> Result<Response, Error> {
    Ok(json(200, &asked.core().alertmanager_status()?))
}

pub(super) fn receivers(asked: &Asked) -> Result<Response, Error> {
    Ok(json(200, &asked.core().receivers()?))
}

pub(super) fn alerts(asked: &Asked) -> Result<Response, Error> {
    match filter(asked)? {
        Ok(filter) => Ok(json(200, &asked.core().alertmanager_alerts(&filter)?)),
        Err(refused) => Ok(refused),
    }
}

pub(super) fn groups(asked: &Asked) -> Result<Response, Error> {
    match filter(asked)? {
        Ok(filter) => Ok(json(200, &asked.core().alert_groups(&filter)?)),
        Err(refused) => Ok(refused),
    }
}

pub(super) fn silences(asked: &Asked) -> Result<Response, Error> {
    let mut found = asked.core().silences(&matchers(asked)?)?;
    for state in ["active", "expired", "pending"] {
        match asked.params.flag(state) {
            Ok(Some(false)) => found.retain(|silence| silence.status.state != state),
            Ok(Some(true) | None) => {}
            Err(text) => return Ok(not_boolean(state, &text)),
        }
    }
    Ok(json(200, &found))
}

pub(super) fn silence(asked: &Asked) -> Result<Response, Error> {
    if let Some(refused) = bad_id(&asked.slug) {
        return Ok(refused);
    }
    match asked.core().silence(&asked.slug) {
        Ok(silence) => Ok(json(200, &silence)),
        // Upstream's answer has no body.
        Err(err) if err.kind == ErrorKind::NotFound => Ok(Response::empty(404)),
        Err(err) => Err(err),
    }
}

/// The filter, or the answer to a parameter that is no boolean.
fn filter(asked: &Asked) -> Result<Result<AlertFilter, Response>, Error> {
    let mut filter = AlertFilter::default();
    let flags = [
        ("active", &mut filter.active),
        ("silenced", &mut filter.silenced),
        ("inhibited", &mut filter.inhibited),
        ("muted", &mut filter.muted),
        ("unprocessed", &mut filter.unprocessed),
    ];
    for (name, flag) in flags {
        match asked.params.flag(name) {
            Ok(found) => *flag = found.unwrap_or(true),
            Err(text) => return Ok(Err(not_boolean(name, &text))),
        }
    }
    filter.matchers = matchers(asked)?;
    if let Some(receiver) = asked.params.get("receiver") {
        Regex::anchored(receiver)
            .map_err(|err| Error::bad_data(format!("failed to parse receiver param: {err}")))?;
        filter.receiver = Some(receiver.to_owned());
    }
    Ok(Ok(filter))
}

fn matchers(asked: &Asked) -> Result<Vec<Matcher>, Error> {
    let mut all = Vec::new();
    // The client library's spelling and the specification's.
    for text in asked.params.all("filter").chain(asked.params.all("filter[]")) {
        all.extend(asked.core().parse_alert_matchers(text)?);
    }
    Ok(all)
}

fn not_boolean(name: &str, text: &str) -> Response {
    validation(422, 601, &format!("{name} in query must be of type boolean: {text:?}"))
}
