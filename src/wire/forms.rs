//! How values of the domain stand in JSON.

use crate::model::{Annotations, Labels, Timestamp};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::collections::BTreeMap;

/// An instant as RFC 3339 text with milliseconds, UTC.
pub fn rfc3339(ts: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(ts.as_millis()) {
        Ok(instant) => instant.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        // Outside the years -9999 to 9999; Go's zero time says "never".
        Err(_) => "0001-01-01T00:00:00Z".to_owned(),
    }
}

/// As `rfc3339`; Go's zero time when there is none.
pub fn rfc3339_opt(ts: Option<Timestamp>) -> String {
    ts.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), rfc3339)
}

/// Reads RFC 3339 text; Go's zero time is `None`.
pub(super) fn parse_rfc3339(text: &str) -> Result<Option<Timestamp>, String> {
    if text.is_empty() || text.starts_with("0001-01-01T00:00:00") {
        return Ok(None);
    }
    let instant: jiff::Timestamp =
        text.parse().map_err(|err| format!("cannot read time {text:?}: {err}"))?;
    Ok(Some(Timestamp::from_millis(instant.as_millisecond())))
}

/// `serde(with)` for label sets: a JSON object sorted by name.
pub(super) mod labels {
    use super::*;

    pub(in crate::wire) fn serialize<S: Serializer>(
        labels: &Labels,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(labels.len()))?;
        for (name, value) in labels {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }

    pub(in crate::wire) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Labels, D::Error> {
        Ok(Labels::from_pairs(BTreeMap::<String, String>::deserialize(from)?))
    }
}

/// `serde(with)` for annotations: a JSON object sorted by name, with empty texts.
pub(super) mod annotations {
    use super::*;

    pub(in crate::wire) fn serialize<S: Serializer>(
        annotations: &Annotations,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(annotations)
    }

    pub(in crate::wire) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Annotations, D::Error> {
        Ok(Annotations::from_pairs(BTreeMap::<String, String>::deserialize(from)?))
    }
}

/// `serde(with)` for instants as RFC 3339 text.
pub(super) mod time {
    use super::*;

    pub(in crate::wire) fn serialize<S: Serializer>(
        ts: &Timestamp,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        rfc3339(*ts).serialize(to)
    }

    pub(in crate::wire) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        Ok(parse_rfc3339(&text).map_err(D::Error::custom)?.unwrap_or(Timestamp::EPOCH))
    }
}

/// `serde(with)` for instants that may be missing: Go's zero time, or no text.
pub(super) mod time_opt {
    use super::*;

    pub(in crate::wire) fn serialize<S: Serializer>(
        ts: &Option<Timestamp>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        rfc3339_opt(*ts).serialize(to)
    }

    pub(in crate::wire) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        match Option::<String>::deserialize(from)? {
            Some(text) => parse_rfc3339(&text).map_err(D::Error::custom),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc3339_and_the_zero_time_is_none() {
        let ts = Timestamp::from_millis(1_700_000_000_123);
        assert_eq!(rfc3339(ts), "2023-11-14T22:13:20.123Z");
        assert_eq!(parse_rfc3339("2023-11-14T23:13:20.123+01:00"), Ok(Some(ts)));
        assert_eq!(parse_rfc3339("0001-01-01T00:00:00Z"), Ok(None));
        assert!(parse_rfc3339("yesterday").is_err());
    }
}
