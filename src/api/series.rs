//! Series, label names and values, metadata.

use super::answer::{answered, success};
use super::message::Response;
use super::params;
use super::route::Asked;
use crate::model::{TimeRange, Timestamp};
use crate::wire::{Error, MetadataRequest, SeriesRequest, TargetMetadataRequest};
use std::borrow::Cow;

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
    let name = unescape_name(&asked.slug);
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

/// Undoes `U__`: `_2e_` is the character 0x2e and `__` an underscore. A name that is not escaped
/// in this way stays as it is.
/// Source: prometheus/common, model/metric.go (UnescapeName, ValueEncodingEscaping).
fn unescape_name(name: &str) -> Cow<'_, str> {
    let Some(escaped) = name.strip_prefix("U__") else { return Cow::Borrowed(name) };
    decoded(escaped).map_or(Cow::Borrowed(name), Cow::Owned)
}

fn decoded(escaped: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = escaped;
    while let Some((plain, after)) = rest.split_once('_') {
        out.push_str(plain);
        if let Some(after) = after.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let (code, after) = after.split_once('_')?;
        // Six hex digits hold the last code point; a sign would pass `from_str_radix`.
        if code.len() > 6 || !code.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        out.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// A label set as a JSON object.
struct LabelsForm(crate::model::Labels);

impl serde::Serialize for LabelsForm {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn t74_escaped_names_are_read_back() {
        for (escaped, name) in [
            ("job", "job"),
            ("U__a_2e_b", "a.b"),
            ("U__a__b", "a_b"),
            ("U__http_2e_status_3a_sum", "http.status:sum"),
            ("U__bad_zz_", "U__bad_zz_"),
            ("U__open_2e", "U__open_2e"),
            ("U___1f600_", "\u{1f600}"),
        ] {
            assert_eq!(unescape_name(escaped), name, "{escaped}");
        }
    }

    proptest! {
        #[test]
        fn any_name_is_read(name in "(U__)?.{0,40}") {
            unescape_name(&name);
        }
    }
}
