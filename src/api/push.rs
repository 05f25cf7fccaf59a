//! The Pushgateway's paths: pushes, deletions, what is held, and the wipe.
//!
//! Source: prometheus/pushgateway, README.md (API, Admin API, Query API).

use super::answer::success;
use super::message::Response;
use super::params::Params;
use super::route::Asked;
use crate::wire::{BuildInfo, Error, PushVerb, RawPush};
use serde::Serialize;
use std::collections::BTreeMap;

/// A push whose group has its `job` as it is.
pub(super) fn push(asked: &Asked) -> Result<Response, Error> {
    take(asked, "job")
}

/// A push whose `job` is in base64.
pub(super) fn push_base64(asked: &Asked) -> Result<Response, Error> {
    take(asked, "job@base64")
}

/// Errors are plain text, as clients log them.
fn take(asked: &Asked, job: &str) -> Result<Response, Error> {
    let request = asked.request;
    let verb = match request.method.as_str() {
        "PUT" => PushVerb::Replace,
        "POST" => PushVerb::Add,
        _delete => PushVerb::Delete,
    };
    let is_unchecked = verb == PushVerb::Delete || asked.api.settings.push_unchecked;
    let done = if is_unchecked { 202 } else { 200 };
    let header = |name: &str| request.header(name).unwrap_or_default().to_owned();
    // Never out of the body: curl sends every body as a form.
    let params = Params::of_url(request);
    let push = RawPush {
        verb,
        path: format!("{job}/{}", asked.slug),
        ttl: params.get("ttl").map_or_else(|| header("x-watchbell-ttl"), str::to_owned),
        content_type: header("content-type"),
        content_encoding: header("content-encoding"),
        body: request.body.clone(),
    };
    Ok(match asked.core().push(push) {
        Ok(()) => Response::empty(done),
        Err(err) => plain(&err),
    })
}

fn plain(err: &Error) -> Response {
    let response = Response::text(err.kind.status(), &format!("{}\n", err.message));
    if response.status == 503 { response.with("retry-after", "1") } else { response }
}

/// All groups.
pub(super) fn groups(asked: &Asked) -> Result<Response, Error> {
    Ok(success(asked.core().push_groups()?))
}

/// The metrics of all groups, for those who scrape them from here.
pub(super) fn metrics(asked: &Asked) -> Result<Response, Error> {
    let text = asked.core().push_text()?;
    Ok(Response::new(200, "text/plain; version=0.0.4; charset=utf-8", text))
}

#[derive(Serialize)]
struct Status {
    build_information: BuildInfo,
    flags: BTreeMap<String, String>,
    start_time: String,
}

/// Versions, flags, and the time of the start.
pub(super) fn status(asked: &Asked) -> Result<Response, Error> {
    let core = asked.core();
    Ok(success(Status {
        build_information: core.build_info()?,
        flags: core.flags()?,
        start_time: crate::wire::rfc3339(core.runtime_info()?.start_time),
    }))
}

/// Deletes all groups. Without the admin API there is no such path, as upstream.
pub(super) fn wipe(asked: &Asked) -> Result<Response, Error> {
    if !asked.is_trusted() && !asked.api.settings.enable_admin {
        return Ok(Response::text(404, "404 page not found\n"));
    }
    asked.core().wipe_push()?;
    Ok(Response::empty(202))
}
