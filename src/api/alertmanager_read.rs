//! The half of Alertmanager's API v2 that only reads.

use super::alertmanager::bad_id;
use super::answer::json;
use super::message::Response;
use super::route::Asked;
use crate::model::Matcher;
use crate::wire::{AlertFilter, Error, ErrorKind};

pub(super) fn status(asked: &Asked) -> Result<Response, Error> {
    Ok(json(200, &asked.core().alertmanager_status()?))
}

pub(super) fn receivers(asked: &Asked) -> Result<Response, Error> {
    Ok(json(200, &asked.core().receivers(&matchers(asked, "receiver_matchers")?)?))
}

pub(super) fn alerts(asked: &Asked) -> Result<Response, Error> {
    Ok(json(200, &asked.core().alertmanager_alerts(&filter(asked)?)?))
}

pub(super) fn groups(asked: &Asked) -> Result<Response, Error> {
    Ok(json(200, &asked.core().alert_groups(&filter(asked)?)?))
}

pub(super) fn silences(asked: &Asked) -> Result<Response, Error> {
    let mut found = asked.core().silences(&matchers(asked, "filter")?)?;
    for state in ["active", "expired", "pending"] {
        if asked.params.lenient_flag(state) == Some(false) {
            found.retain(|silence| silence.status.state != state);
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

fn filter(asked: &Asked) -> Result<AlertFilter, Error> {
    let flag = |name: &str| asked.params.lenient_flag(name).unwrap_or(true);
    let filter = AlertFilter {
        active: flag("active"),
        silenced: flag("silenced"),
        inhibited: flag("inhibited"),
        muted: flag("muted"),
        unprocessed: flag("unprocessed"),
        matchers: matchers(asked, "filter")?,
        receiver: asked.params.last("receiver").map(str::to_owned),
        receiver_matchers: matchers(asked, "receiver_matchers")?,
    };
    filter.receiver_regex()?;
    Ok(filter)
}

/// All matchers of a parameter, each of which is one.
pub(super) fn matchers(asked: &Asked, name: &'static str) -> Result<Vec<Matcher>, Error> {
    // The client library's spelling and the specification's.
    let listed = format!("{name}[]");
    let texts = asked.params.all(name).chain(asked.params.all(&listed));
    let read = |text| {
        asked.core().parse_alert_matcher(text).map_err(|err| match name {
            "receiver_matchers" => {
                Error::bad_data(format!("failed to parse receiver_matchers param: {}", err.message))
            }
            _ => err,
        })
    };
    texts.map(read).collect()
}
