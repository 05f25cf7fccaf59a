//! The half of Alertmanager's API v2 that changes something.

use super::answer::json;
use super::message::Response;
use super::route::Asked;
use crate::wire::{Error, ErrorKind, PostableAlert, PostableSilence};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Validation<'a> {
    code: u16,
    message: &'a str,
}

#[derive(Serialize)]
struct Posted {
    #[serde(rename = "silenceID")]
    silence_id: String,
}

/// What upstream's generated server answers before its handlers run.
/// Source: go-openapi/errors, schema.go and api.go (the codes).
pub(super) fn validation(status: u16, code: u16, message: &str) -> Response {
    json(status, &Validation { code, message })
}

pub(super) fn post_alerts(asked: &Asked) -> Result<Response, Error> {
    let alerts: Vec<PostableAlert> = match body(asked, "alerts") {
        Ok(alerts) => alerts,
        Err(refused) => return Ok(refused),
    };
    for (place, alert) in alerts.iter().enumerate() {
        if !is_uri(&alert.generator_url) {
            let text = format!(
                "{place}.generatorURL in body must be of type uri: {:?}",
                alert.generator_url
            );
            return Ok(validation(422, 601, &text));
        }
    }
    asked.core().post_alerts(alerts)?;
    Ok(Response::empty(200))
}

pub(super) fn post_silence(asked: &Asked) -> Result<Response, Error> {
    let silence: PostableSilence = match body(asked, "silence") {
        Ok(silence) => silence,
        Err(refused) => return Ok(refused),
    };
    if silence.matchers.is_empty() {
        let text = "matchers in body should have at least 1 items";
        return Ok(validation(422, 612, text));
    }
    let silence_id = asked.core().post_silence(silence)?;
    Ok(json(200, &Posted { silence_id }))
}

pub(super) fn expire_silence(asked: &Asked) -> Result<Response, Error> {
    if let Some(refused) = bad_id(&asked.slug) {
        return Ok(refused);
    }
    match asked.core().expire_silence(&asked.slug) {
        Ok(()) => Ok(Response::empty(200)),
        Err(err) if err.kind == ErrorKind::NotFound => Ok(Response::empty(404)),
        Err(err) => Err(err),
    }
}

/// The answer to a silence id that is no UUID.
pub(super) fn bad_id(id: &str) -> Option<Response> {
    let lengths: Vec<_> = id.split('-').map(str::len).collect();
    let hex = id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if hex && lengths == [8, 4, 4, 4, 12] {
        return None;
    }
    Some(validation(422, 601, &format!("silenceID in path must be of type uuid: {id:?}")))
}

/// The body as JSON; serde_json bounds its depth, the listeners its length.
fn body<T: for<'de> Deserialize<'de>>(asked: &Asked, what: &str) -> Result<T, Response> {
    serde_json::from_slice(&asked.request.body).map_err(|err| {
        let text = err.to_string();
        let missing = text.strip_prefix("missing field `").and_then(|rest| rest.split_once('`'));
        match missing {
            Some((field, _)) => validation(422, 602, &format!("{field} in body is required")),
            None => {
                let text = format!("parsing {what} body from \"\" failed, because {text}");
                validation(400, 400, &text)
            }
        }
    })
}

/// An absolute URL, a path, or nothing.
fn is_uri(text: &str) -> bool {
    let blank = text.chars().any(|c| c.is_whitespace() || c.is_control());
    text.is_empty() || (!blank && (text.starts_with('/') || text.contains(':')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_uuid_is_a_silence_id() {
        assert!(bad_id("a1b2c3d4-0000-4000-8000-0123456789ab").is_none());
        for id in ["nope", "", "a1b2c3d4-0000-4000-8000-0123456789ag", "../../etc/passwd"] {
            assert_eq!(bad_id(id).map(|refused| refused.status), Some(422), "{id}");
        }
    }

    #[test]
    fn a_generator_is_a_uri() {
        for (text, ok) in
            [("", true), ("http://x/y?z", true), ("/graph", true), ("not a url", false)]
        {
            assert_eq!(is_uri(text), ok, "{text}");
        }
    }
}
