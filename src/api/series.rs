//! Series, label names and values, metadata.

use super::answer::{answered, success};
use super::message::Response;
use super::params;
use super::route::Asked;
use crate::model::{TimeRange, Timestamp, unescaped_name};
use crate::wire::{Error, MetadataRequest, SeriesRequest, TargetMetadataRequest};

pub(super) fn series(asked: &Asked) -> Result<Response, Error> {
    if asked.params.all("match[]").next().is_none() {
        return Err(Error::bad_data("no match[] parameter provided"));
    }
    let request = request(asked)?;
    if let (Some(start), Some(end)) = (asked.params.time("start")?, asked.params.time("end")?)
        && end < start
    {
        return Ok(success(Vec::<()>::new()));
    }
    let answer = asked.core().series(&asked.call(None), &request)?;
    Ok(answered(&answer.map(|list| list.into_iter().map(LabelsForm).collect::<Vec<_>>())))
}

/// Upstream keeps this way open and has never built it.
pub(super) fn drop_series(_: &Asked) -> Result<Response, Error> {
    Err(Error::internal("not implemented"))
}

pub(super) fn label_names(asked: &Asked) -> Result<Response, Error> {
    let request = request(asked)?;
    Ok(answered(&asked.core().label_names(&asked.call(None), &request)?))
}

pub(super) fn label_values(asked: &Asked) -> Result<Response, Error> {
    let name = unescaped_name(&asked.slug);
    if name.is_empty() {
        return Err(Error::bad_data(format!("invalid label name: {:?}", asked.slug)));
    }
    let request = request(asked)?;
    Ok(answered(&asked.core().label_values(&asked.call(None), &name, &request)?))
}

pub(super) fn metadata(asked: &Asked) -> Result<Response, Error> {
    let number = |name: &str| match asked.params.get(name).map(str::parse::<i64>) {
        // Upstream: a negative number is no limit, and zero yields nothing.
        None => Ok(None),
        Some(Ok(count)) => Ok(usize::try_from(count).ok()),
        Some(Err(_)) => Err(Error::bad_data(format!("{name} must be a number"))),
    };
    let (limit, limit_per_metric) = (number("limit")?, number("limit_per_metric")?);
    let request = MetadataRequest {
        metric: asked.params.get("metric").map(str::to_owned),
        limit: limit.unwrap_or(0),
        limit_per_metric: limit_per_metric.unwrap_or(0),
    };
    let mut found = asked.core().metadata(&request)?;
    if limit == Some(0) {
        found.clear();
    }
    Ok(success(found))
}

/// What targets say about metrics.
///
/// Source: prometheus, web/api/v1/api.go (targetMetadata).
pub(super) fn targets_metadata(asked: &Asked) -> Result<Response, Error> {
    let given = |name: &str| asked.params.get(name).filter(|value| !value.is_empty());
    let limit: Option<i64> = match given("limit").map(str::parse) {
        None => None,
        Some(Ok(limit)) => Some(limit),
        Some(Err(_)) => return Err(Error::bad_data("limit must be a number")),
    };
    let targets = match given("match_target") {
        None => Vec::new(),
        Some(text) => asked
            .core()
            .parse_matchers(text)
            .map_err(|err| params::invalid("match_target", &err.message))?,
    };
    let request = TargetMetadataRequest {
        targets,
        metric: given("metric").map(str::to_owned),
        // A negative number is no limit.
        limit: limit.and_then(|limit| usize::try_from(limit).ok()),
    };
    Ok(success(asked.core().targets_metadata(&request)?))
}

/// The request. A range that ends before it starts is turned around: upstream looks whether the
/// store overlaps each of both ends, which is the same question.
fn request(asked: &Asked) -> Result<SeriesRequest, Error> {
    let params = &asked.params;
    let matchers = params.narrow_selectors(asked.core())?;
    let limit = params.limit()?;
    let start = params.time("start")?.unwrap_or(Timestamp::MIN);
    let end = params.time("end")?.unwrap_or(Timestamp::MAX);
    let range = TimeRange::new(start, end).or_else(|| TimeRange::new(end, start));
    Ok(SeriesRequest { matchers, range: range.unwrap_or(TimeRange::ALL), limit })
}

/// A label set as a JSON object.
struct LabelsForm(crate::model::Labels);

impl serde::Serialize for LabelsForm {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(&self.0)
    }
}
