//! The half of Alertmanager's API v2 that changes something.

use super::answer::json;
use super::loose_json::{self, Shape};
use super::message::Response;
use super::route::Asked;
use super::uri::is_uri;
use crate::wire::{Error, ErrorKind, PostableAlert, PostableSilence};
use serde::de::IgnoredAny;
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

/// What must be there, looked for before the rest is read: a missing field is another error than
/// a broken one.
#[derive(Deserialize)]
struct AlertFields {
    labels: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SilenceFields {
    comment: Option<IgnoredAny>,
    created_by: Option<IgnoredAny>,
    ends_at: Option<IgnoredAny>,
    matchers: Option<Vec<MatcherFields>>,
    starts_at: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MatcherFields {
    is_regex: Option<IgnoredAny>,
    name: Option<IgnoredAny>,
    value: Option<IgnoredAny>,
}

/// The names in a list of alerts.
const ALERTS: Shape = Shape(&[
    ("labels", None),
    ("annotations", None),
    ("startsAt", None),
    ("endsAt", None),
    ("generatorURL", None),
]);

/// The names in a silence.
const SILENCE: Shape = Shape(&[
    ("id", None),
    ("matchers", Some(&MATCHERS)),
    ("startsAt", None),
    ("endsAt", None),
    ("createdBy", None),
    ("comment", None),
    ("annotations", None),
]);

const MATCHERS: Shape =
    Shape(&[("name", None), ("value", None), ("isRegex", None), ("isEqual", None)]);

impl SilenceFields {
    fn missing(&self) -> Option<String> {
        let own = [
            ("comment", self.comment.is_none()),
            ("createdBy", self.created_by.is_none()),
            ("endsAt", self.ends_at.is_none()),
            ("matchers", self.matchers.is_none()),
            ("startsAt", self.starts_at.is_none()),
        ];
        if let Some((name, _)) = own.into_iter().find(|(_, missing)| *missing) {
            return Some(name.to_owned());
        }
        let matchers = self.matchers.iter().flatten().enumerate();
        matchers.flat_map(|(place, fields)| fields.missing(place)).next()
    }
}

impl MatcherFields {
    fn missing(&self, place: usize) -> Option<String> {
        let own = [
            ("isRegex", self.is_regex.is_none()),
            ("name", self.name.is_none()),
            ("value", self.value.is_none()),
        ];
        let (name, _) = own.into_iter().find(|(_, missing)| *missing)?;
        Some(format!("matchers.{place}.{name}"))
    }
}

pub(super) fn post_alerts(asked: &Asked) -> Result<Response, Error> {
    let read = |body: &[u8]| {
        let fields: Option<Vec<AlertFields>> = parsed(body, "alerts")?;
        let fields = fields.unwrap_or_default();
        if let Some(place) = fields.iter().position(|fields| fields.labels.is_none()) {
            return Err(required(&format!("{place}.labels")));
        }
        let alerts: Option<Vec<PostableAlert>> = parsed(body, "alerts")?;
        Ok(alerts.unwrap_or_default())
    };
    let alerts = match posted(asked, "alerts", &ALERTS, read) {
        Ok(alerts) => alerts,
        Err(refused) => return Ok(refused),
    };
    for (place, alert) in alerts.iter().enumerate() {
        if !alert.generator_url.is_empty() && !is_uri(&alert.generator_url) {
            let url = &alert.generator_url;
            let text = format!("{place}.generatorURL in body must be of type uri: {url:?}");
            return Ok(validation(422, 601, &text));
        }
    }
    asked.core().post_alerts(alerts)?;
    Ok(Response::empty(200))
}

pub(super) fn post_silence(asked: &Asked) -> Result<Response, Error> {
    let read = |body: &[u8]| {
        let fields: Option<SilenceFields> = parsed(body, "silence")?;
        if let Some(name) = fields.unwrap_or_default().missing() {
            return Err(required(&name));
        }
        parsed::<PostableSilence>(body, "silence")
    };
    let silence = match posted(asked, "silence", &SILENCE, read) {
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
        // As Alertmanager 0.25, which the acceptance compares with; 0.26 and later say 404 here,
        // without a word.
        Err(err) if err.kind == ErrorKind::NotFound => Ok(json(500, &err.message)),
        Err(err) => Err(err),
    }
}

/// The answer to a silence id that is no UUID.
pub(super) fn bad_id(id: &str) -> Option<Response> {
    let lengths: Vec<_> = id.split('-').map(str::len).collect();
    let hex = id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if hex && matches!(lengths.as_slice(), [8, 4, 4, 4, 12] | [32]) {
        return None;
    }
    Some(validation(422, 601, &format!("silenceID in path must be of type uuid: {id:?}")))
}

/// What `read` makes of the body, or else of the body as Go would take it.
fn posted<T>(
    asked: &Asked,
    what: &str,
    shape: &Shape,
    read: impl Fn(&[u8]) -> Result<T, Response>,
) -> Result<T, Response> {
    let body = &asked.request.body;
    if body.is_empty() {
        return Err(required(what));
    }
    let media = asked.request.header("content-type").unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        let text = format!("unsupported media type {media:?}, only [application/json] are allowed");
        return Err(validation(415, 415, &text));
    }
    let refused = match read(body) {
        Ok(found) => return Ok(found),
        Err(refused) => refused,
    };
    match loose_json::respelt(body, shape).map(|body| read(&body)) {
        // The first names places in the text that was sent.
        Some(Err(again)) if (again.status, refused.status) == (400, 400) => Err(refused),
        Some(read) => read,
        None => Err(refused),
    }
}

/// A value of JSON; serde_json bounds its depth, the listeners its length.
fn parsed<T: for<'de> Deserialize<'de>>(body: &[u8], what: &str) -> Result<T, Response> {
    serde_json::from_slice(body).map_err(|err| {
        let text = format!("parsing {what} body from \"\" failed, because {err}");
        validation(400, 400, &text)
    })
}

fn required(field: &str) -> Response {
    validation(422, 602, &format!("{field} in body is required"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_uuid_is_a_silence_id() {
        // Source: go-openapi/strfmt, default.go (UUIDPattern).
        assert!(bad_id("a1b2c3d4-0000-4000-8000-0123456789ab").is_none());
        assert!(bad_id("a1b2c3d4000040008000-0123456789ab").is_some());
        assert!(bad_id("a1B2c3d40000400080000123456789ab").is_none());
        for id in ["nope", "", "a1b2c3d4-0000-4000-8000-0123456789ag", "../../etc/passwd"] {
            assert_eq!(bad_id(id).map(|refused| refused.status), Some(422), "{id}");
        }
    }
}
