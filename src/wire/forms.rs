//! How values of the domain stand in JSON.

use crate::model::{Annotations, Labels, Timestamp};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::collections::BTreeMap;

/// The last instant that can be written; a later one ends never, as far as anybody sees.
const LAST: Timestamp = Timestamp::from_millis(253_402_207_200_000);

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

/// Reads RFC 3339 text, or another that Alertmanager takes; Go's zero time is `None`.
pub(super) fn parse_rfc3339(text: &str) -> Result<Option<Timestamp>, String> {
    if text.is_empty() || text.starts_with("0001-01-01T00:00:00") {
        return Ok(None);
    }
    let instant = text.parse::<jiff::Timestamp>();
    let instant = instant.or_else(|err| loose_time(text).ok_or(err));
    let instant = instant.map_err(|err| format!("cannot read time {text:?}: {err}"))?;
    Ok(Some(Timestamp::from_millis(instant.as_millisecond()).min(LAST)))
}

/// A time of UTC that does not say so, one with more digits than count, or one of the last days
/// of year 9999, for which the last instant that can be written stands.
/// Source: go-openapi/strfmt, time.go (DateTimeFormats).
fn loose_time(text: &str) -> Option<jiff::Timestamp> {
    let text = nine_digits(text);
    if let Ok(instant) = text.parse() {
        return Some(instant);
    }
    let utc = ["Z", "z", "+00:00"].into_iter().find_map(|zone| text.strip_suffix(zone));
    let plain = utc.unwrap_or(&text);
    let mut time = plain.get(10..)?.bytes();
    if !plain.contains(':') || !time.all(|b| b.is_ascii_digit() || b"Tt :.,".contains(&b)) {
        return None;
    }
    let civil: jiff::civil::DateTime = plain.parse().ok()?;
    let last = (civil.year() == 9999).then_some(jiff::Timestamp::MAX);
    jiff::tz::TimeZone::UTC.to_timestamp(civil).ok().or(last)
}

/// `text` without the digits of a second's fraction that are beyond nanoseconds.
fn nine_digits(text: &str) -> String {
    let (whole, rest) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    match rest.split_at_checked(digits) {
        Some((fraction, zone)) if digits > 0 => {
            format!("{whole}.{}{zone}", fraction.get(..9).unwrap_or(fraction))
        }
        Some(_) | None => text.to_owned(),
    }
}

/// A text, which is empty where upstream has `null`.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Names and texts; `null` is no name, or an empty text, as upstream takes it.
fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let found: Option<BTreeMap<String, Option<String>>> = Option::deserialize(from)?;
    let found = found.unwrap_or_default().into_iter();
    Ok(found.map(|(name, text)| (name, text.unwrap_or_default())).collect())
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
        Ok(Labels::from_pairs(texts(from)?))
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
        Ok(Annotations::from_pairs(texts(from)?))
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

    #[test]
    fn times_are_those_that_alertmanager_takes() {
        assert_eq!(LAST.as_millis(), jiff::Timestamp::MAX.as_second() * 1000);
        // Asked of Alertmanager 0.25, all but the last days, which it keeps as they are.
        for (text, wanted) in [
            ("2026-11-27T10:00:00", Some("2026-11-27T10:00:00.000Z")),
            ("2026-11-27T10:00:00.123", Some("2026-11-27T10:00:00.123Z")),
            ("2027-01-01T00:00", Some("2027-01-01T00:00:00.000Z")),
            ("2027-01-01T00:00Z", Some("2027-01-01T00:00:00.000Z")),
            ("2026-11-27 10:00:00", Some("2026-11-27T10:00:00.000Z")),
            ("2026-11-27T10:00:00.123456789123Z", Some("2026-11-27T10:00:00.123Z")),
            ("2026-11-27T10:00:00.123456789123+01:00", Some("2026-11-27T09:00:00.123Z")),
            ("9999-12-31T23:59:59Z", Some("9999-12-30T22:00:00.000Z")),
            ("9999-12-31T23:59:59.9999999Z", Some("9999-12-30T22:00:00.000Z")),
            ("9999-12-31T23:59:59+00:00", Some("9999-12-30T22:00:00.000Z")),
            ("9999-12-31T23:59:59", Some("9999-12-30T22:00:00.000Z")),
            ("9999-13-31T23:59:59Z", None),
            ("2026-01-01", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-02-30T00:00:00", None),
            ("12026-01-01T00:00:00Z", None),
            ("2026-11-27T10:00:00.Z", None),
            ("tomorrow at 10:00", None),
        ] {
            let found = parse_rfc3339(text).ok().flatten().map(rfc3339);
            assert_eq!(found.as_deref(), wanted, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_time_or_none(text in "[0-9TZ:+. ,-]{0,40}|.{0,30}") {
            if let Ok(Some(ts)) = parse_rfc3339(&text) {
                proptest::prop_assert_eq!(parse_rfc3339(&rfc3339(ts)), Ok(Some(ts)));
            }
        }
    }
}
