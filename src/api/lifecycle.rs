//! Health, readiness, reload, stop, own metrics, and what writes into the store.

use super::answer::success;
use super::message::Response;
use super::params::invalid;
use super::route::Asked;
use super::status;
use crate::model::{TimeRange, Timestamp};
use crate::wire::{
    BackfillRequest, BackfillStep, Error, ErrorKind, ImportPart, OtlpPartial, OtlpResponse,
    RawWrite, Readiness, WriteOutcome, Written,
};
use prost::Message as _;
use std::collections::BTreeMap;

pub(super) fn healthy(_: &Asked) -> Result<Response, Error> {
    Ok(Response::text(200, "watchbell is Healthy.\n"))
}

pub(super) fn ready(asked: &Asked) -> Result<Response, Error> {
    Ok(match asked.core().readiness() {
        Readiness::Ready => Response::text(200, "watchbell is Ready.\n"),
        other => not_ready(&other),
    })
}

/// Alertmanager's two probes.
pub(super) fn alert_ok(asked: &Asked) -> Result<Response, Error> {
    Ok(match asked.core().readiness() {
        Readiness::Ready => Response::text(200, "OK"),
        other => not_ready(&other),
    })
}

/// The answer while the log is read and while the server stops.
pub(super) fn not_ready(readiness: &Readiness) -> Response {
    let stopping = matches!(readiness, Readiness::Stopping);
    Response::text(503, "Service Unavailable").with("x-prometheus-stopping", stopping.to_string())
}

pub(super) fn reload(asked: &Asked) -> Result<Response, Error> {
    if let Some(refused) = lifecycle_refused(asked) {
        return Ok(refused);
    }
    Ok(match asked.core().reload() {
        Ok(told) if told.is_empty() => Response::empty(200),
        Ok(told) => Response::text(200, &format!("{}\n", told.join("\n"))),
        Err(err) => Response::text(500, &format!("failed to reload config: {}\n", err.message)),
    })
}

pub(super) fn quit(asked: &Asked) -> Result<Response, Error> {
    if let Some(refused) = lifecycle_refused(asked) {
        return Ok(refused);
    }
    asked.core().quit()?;
    Ok(Response::text(200, "Requesting termination... Goodbye!"))
}

fn lifecycle_refused(asked: &Asked) -> Option<Response> {
    let allowed = asked.is_trusted() || asked.api.settings.enable_lifecycle;
    let text = "Lifecycle API is not enabled.";
    (!allowed).then(|| Response::text(403, text))
}

pub(super) fn metrics(asked: &Asked) -> Result<Response, Error> {
    let text = asked.core().own_metrics()?;
    Ok(Response::new(200, "text/plain; version=0.0.4; charset=utf-8", text))
}

pub(super) fn version(asked: &Asked) -> Result<Response, Error> {
    status::bare_version(asked)
}

pub(super) fn compact(asked: &Asked) -> Result<Response, Error> {
    check_admin(asked)?;
    asked.core().compact()?;
    Ok(Response::empty(204))
}

/// A history as OpenMetrics text; with `import`, `part` and `last`, a part of one.
pub(super) fn import(asked: &Asked) -> Result<Response, Error> {
    check_admin(asked)?;
    let number = |name: &str| {
        let text = asked.params.get(name);
        let wrong = |_| Error::bad_data(format!("{name} must be a number"));
        text.map(|text| text.parse::<u64>().map_err(wrong)).transpose()
    };
    let part = match (number("import")?, number("part")?) {
        (None, None) => None,
        (Some(id), Some(number)) => {
            let is_last = asked.params.get("last") == Some("true");
            Some(ImportPart { id, number, is_last })
        }
        _ => return Err(Error::bad_data("import and part go together")),
    };
    Ok(success(asked.core().import(asked.request.body.clone(), part)?))
}

/// Begins to evaluate recording rules over stored history; the request is JSON.
pub(super) fn backfill(asked: &Asked) -> Result<Response, Error> {
    check_admin(asked)?;
    let request: BackfillRequest = serde_json::from_slice(&asked.request.body)
        .map_err(|err| Error::bad_data(format!("cannot read the request: {err}")))?;
    Ok(success(asked.core().backfill(&BackfillStep::Begin(request))?))
}

/// How far it is; answered at its end, or in a second.
pub(super) fn backfill_progress(asked: &Asked) -> Result<Response, Error> {
    check_admin(asked)?;
    let id = asked.params.get("id").ok_or_else(|| Error::bad_data("no id parameter provided"))?;
    Ok(success(asked.core().backfill(&BackfillStep::Look(id.to_owned()))?))
}

/// Source: prometheus, web/api/v1/api.go (deleteSeries).
pub(super) fn delete_series(asked: &Asked) -> Result<Response, Error> {
    check_admin(asked)?;
    let params = &asked.params;
    if params.all("match[]").next().is_none() {
        return Err(Error::bad_data("no match[] parameter provided"));
    }
    let start = params.time("start")?.unwrap_or(Timestamp::MIN);
    let end = params.time("end")?.unwrap_or(Timestamp::MAX);
    let selectors = params.selectors(asked.core())?;
    // As upstream: a range that ends before it starts holds nothing.
    if let Some(range) = TimeRange::new(start, end) {
        asked.core().delete_series(&selectors, range)?;
    }
    Ok(Response::empty(204))
}

pub(super) fn clean_tombstones(asked: &Asked) -> Result<Response, Error> {
    check_admin(asked)?;
    asked.core().clean_tombstones()?;
    Ok(Response::empty(204))
}

/// Source: prometheus, web/api/v1/api.go (snapshot).
pub(super) fn snapshot(asked: &Asked) -> Result<Response, Error> {
    check_admin(asked)?;
    let wrong = |why: String| invalid("skip_head", &why);
    let skip_head = asked.params.flag("skip_head").map_err(wrong)?;
    let name = asked.core().snapshot(skip_head.unwrap_or(false))?;
    Ok(success(BTreeMap::from([("name", name)])))
}

fn check_admin(asked: &Asked) -> Result<(), Error> {
    if asked.is_trusted() || asked.api.settings.enable_admin {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unavailable, "admin APIs disabled"))
}

/// Remote write; errors are plain text, as senders log them.
pub(super) fn write(asked: &Asked) -> Result<Response, Error> {
    if !asked.is_trusted() && !asked.api.settings.enable_remote_write {
        let text =
            "remote write receiver needs to be enabled with --web.enable-remote-write-receiver\n";
        return Ok(Response::text(404, text));
    }
    let request = raw_write(asked);
    let wants_counts = request.content_type.contains("io.prometheus.write.v2.Request");
    let (response, written) = match asked.core().remote_write(request) {
        Ok(WriteOutcome { refused: None, written }) => (Response::empty(204), written),
        Ok(WriteOutcome { refused: Some(why), written }) => {
            (Response::text(400, &format!("{why}\n")), written)
        }
        Err(err) => (write_failure(&err), None),
    };
    // Senders of 2.0 are always told, so that one that counts nothing is known not to speak it.
    let written = written.or(wants_counts.then(Written::default));
    Ok(match written {
        Some(Written { samples, histograms, exemplars }) => response
            .with("x-prometheus-remote-write-samples-written", samples.to_string())
            .with("x-prometheus-remote-write-histograms-written", histograms.to_string())
            .with("x-prometheus-remote-write-exemplars-written", exemplars.to_string()),
        None => response,
    })
}

/// OTLP: what is stored is answered in the encoding of the request, errors are plain text.
///
/// Source: prometheus, storage/remote/write_otlp_handler.go; opentelemetry.io, docs/specs/otlp.
pub(super) fn otlp_write(asked: &Asked) -> Result<Response, Error> {
    if !asked.is_trusted() && !asked.api.settings.enable_otlp {
        let text = "otlp write receiver needs to be enabled with --web.enable-otlp-receiver\n";
        return Ok(Response::text(404, text));
    }
    let request = raw_write(asked);
    let is_json = request.content_type.contains("json");
    let outcome = match asked.core().otlp_write(request) {
        Ok(outcome) => outcome,
        Err(err) => return Ok(write_failure(&err)),
    };
    if let Some(why) = outcome.refused {
        return Ok(Response::text(400, &format!("{why}\n")));
    }
    let partial = (outcome.rejected_points > 0).then(|| OtlpPartial {
        rejected_data_points: i64::try_from(outcome.rejected_points).unwrap_or(i64::MAX),
        error_message: outcome.message,
    });
    let answer = OtlpResponse { partial_success: partial };
    Ok(if is_json {
        Response::new(200, "application/json", serde_json::to_vec(&answer).unwrap_or_default())
    } else {
        Response::new(200, "application/x-protobuf", answer.encode_to_vec())
    })
}

fn raw_write(asked: &Asked) -> RawWrite {
    let header = |name: &str| asked.request.header(name).unwrap_or_default().to_owned();
    RawWrite {
        content_type: header("content-type"),
        content_encoding: header("content-encoding"),
        body: asked.request.body.clone(),
    }
}

/// Why nothing was taken. Senders retry 5xx and drop the rest.
fn write_failure(err: &Error) -> Response {
    let status = match err.kind {
        ErrorKind::NotAcceptable => 415,
        ErrorKind::Execution => 400,
        ErrorKind::BadData
        | ErrorKind::Timeout
        | ErrorKind::Canceled
        | ErrorKind::Internal
        | ErrorKind::NotFound
        | ErrorKind::Unavailable
        | ErrorKind::Forbidden
        | ErrorKind::Busy => err.kind.status(),
    };
    let response = Response::text(status, &format!("{}\n", err.message));
    if status == 503 { response.with("retry-after", "1") } else { response }
}
