//! `/api/v1/query` and its kin.

use super::answer::{answered_in, success};
use super::message::{Request, Response};
use super::params::{Params, invalid};
use super::route::Asked;
use crate::model::TimeRange;
use crate::model::value_text::quoted;
use crate::wire::{
    Answer, Detail, Error, ErrorKind, ExemplarQuery, InstantQuery, QueryData, QueryStats,
    RangeQuery,
};
use serde::Serialize;
use std::time::Duration;

/// Points that one series of an answer may have.
const POINTS_MAX: u128 = 11_000;
/// The longest expression; reliability.md, section 3.
const EXPR_BYTES_MAX: usize = 64 << 10;
/// An expression up to this length without a range is taken for small.
const SMALL_EXPR_BYTES: usize = 256;

/// Whether a query is probably quick, so that it may use a thread kept for cheap requests.
pub(super) fn is_small(request: &Request) -> bool {
    let params = Params::of(request);
    let expr = params.get("query").or_else(|| params.get("g0.expr")).unwrap_or_default();
    expr.len() <= SMALL_EXPR_BYTES && !expr.contains('[')
}

pub(super) fn instant(asked: &Asked) -> Result<Response, Error> {
    let params = &asked.params;
    let limit = params.limit()?;
    let time = params.evaluation_time("time")?;
    let query = InstantQuery {
        expr: expr(params)?,
        time,
        timeout: params.span("timeout")?,
        lookback: lookback(params)?,
        limit,
        detail: detail(params),
    };
    let call = asked.call(query.timeout);
    let answer = asked.core().query(&call, &query).map_err(name_query)?;
    Ok(told(answer, params))
}

pub(super) fn range(asked: &Asked) -> Result<Response, Error> {
    let params = &asked.params;
    let limit = params.limit()?;
    let (start, end) = (params.required_time("start")?, params.required_time("end")?);
    if end < start {
        return Err(invalid("end", "end timestamp must not be before start time"));
    }
    let step = step(params)?;
    if end.since(start).as_millis() / step.as_millis().max(1) > POINTS_MAX {
        let text = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
        return Err(Error::bad_data(text));
    }
    let query = RangeQuery {
        expr: expr(params)?,
        start,
        end,
        step,
        timeout: params.span("timeout")?,
        lookback: lookback(params)?,
        limit,
        detail: detail(params),
    };
    let call = asked.call(query.timeout);
    let answer = asked.core().query_range(&call, &query).map_err(name_query)?;
    Ok(told(answer, params))
}

/// A result with what it took.
#[derive(Serialize)]
struct Counted {
    #[serde(flatten)]
    data: QueryData,
    stats: QueryStats,
}

/// What is to be told besides the answer. Any text asks for statistics, as in Prometheus.
fn detail(params: &Params) -> Detail {
    let explain = params.lenient_flag("explain").unwrap_or(false);
    Detail { stats: params.get("stats").is_some(), explain }
}

fn told(mut answer: Answer<QueryData>, params: &Params) -> Response {
    let bytes = answer.data.text_bytes();
    if let Some(other) = params.get("stats").filter(|text| !matches!(*text, "true" | "all")) {
        answer.warnings.push(format!(
            "value {} for parameter \"stats\" is deprecated and will be rejected in the next \
             major release, use \"true\" or \"all\"",
            quoted(other)
        ));
    }
    match answer.account.as_mut().and_then(|account| account.stats.take()) {
        Some(stats) => answered_in(&answer.map(|data| Counted { data, stats }), bytes),
        None => answered_in(&answer, bytes),
    }
}

pub(super) fn format(asked: &Asked) -> Result<Response, Error> {
    let text = asked.core().format_query(&expr(&asked.params)?).map_err(name_query)?;
    Ok(success(text))
}

pub(super) fn parse(asked: &Asked) -> Result<Response, Error> {
    Ok(success(asked.core().parse_query(&expr(&asked.params)?).map_err(name_query)?))
}

pub(super) fn hints(asked: &Asked) -> Result<Response, Error> {
    let params = &asked.params;
    let range = range_of(params)?;
    let found = asked.core().query_hints(&asked.call(None), &expr(params)?, range);
    Ok(success(found.map_err(name_query)?))
}

pub(super) fn exemplars(asked: &Asked) -> Result<Response, Error> {
    let params = &asked.params;
    let query = ExemplarQuery { range: range_of(params)?, expr: expr(params)? };
    Ok(match asked.core().query_exemplars(&asked.call(None), &query)? {
        Some(found) => success(found),
        // Prometheus' answer to an expression that reads no series.
        None => Response::empty(204),
    })
}

/// From `start` to `end`; all of time where one is missing.
fn range_of(params: &Params) -> Result<TimeRange, Error> {
    let start = params.time("start")?.unwrap_or(TimeRange::ALL.from());
    let end = params.time("end")?.unwrap_or(TimeRange::ALL.to());
    TimeRange::new(start, end)
        .ok_or_else(|| Error::bad_data("end timestamp must not be before start timestamp"))
}

fn expr(params: &Params) -> Result<String, Error> {
    let expr = params.get("query").unwrap_or_default();
    if expr.len() > EXPR_BYTES_MAX {
        let text = format!("the expression has {} bytes; {EXPR_BYTES_MAX} are allowed", expr.len());
        return Err(invalid("query", &text));
    }
    Ok(expr.to_owned())
}

fn step(params: &Params) -> Result<Duration, Error> {
    let text = params.get("step").unwrap_or_default();
    let not_positive = || {
        let text = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        invalid("step", text)
    };
    if text.parse::<f64>().is_ok_and(|seconds| seconds < 0.0) {
        return Err(not_positive());
    }
    let missing = || invalid("step", "cannot parse \"\" to a valid duration");
    let step = params.span("step")?.ok_or_else(missing)?;
    // The data model's resolution is a millisecond; less would be a step of nothing.
    if step.as_millis() == 0 { Err(not_positive()) } else { Ok(step) }
}

fn lookback(params: &Params) -> Result<Option<Duration>, Error> {
    let wrong =
        |reason: &str| Error::bad_data(format!("error parsing lookback delta duration: {reason}"));
    let span = params.span("lookback_delta").map_err(|err| {
        let message = err.message;
        wrong(message.split_once(": ").map_or(message.as_str(), |(_, reason)| reason))
    })?;
    if span.is_some_and(|span| span.is_zero()) {
        return Err(wrong("lookback delta duration must be positive"));
    }
    Ok(span)
}

/// Parse errors are errors of the parameter.
fn name_query(err: Error) -> Error {
    match err.kind {
        ErrorKind::BadData => invalid("query", &err.message),
        ErrorKind::Execution
        | ErrorKind::Timeout
        | ErrorKind::Canceled
        | ErrorKind::Internal
        | ErrorKind::NotFound
        | ErrorKind::NotAcceptable
        | ErrorKind::Unavailable
        | ErrorKind::Forbidden
        | ErrorKind::Busy => err,
    }
}
