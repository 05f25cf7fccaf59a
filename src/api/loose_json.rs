//! JSON as Go's decoder takes it, spelt so that a strict reader takes it too.

use serde::Deserialize as _;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A longer body is left to the strict reader: what is read here takes up to eighty times its
/// bytes in memory (a list of digits does).
const BODY_BYTES_MAX: usize = 128 << 10;

/// The names of an object, or of each object in a list, with what their values hold.
#[derive(Debug)]
pub(super) struct Shape(pub(super) &'static [(&'static str, Option<&'static Shape>)]);

/// The first value of `body`: with U+FFFD for what is no text, the names of `shape` in their own
/// letters, and of two values for one name the last, or both where they are objects. `None` when
/// it is no JSON for Go either, or too long.
/// Source: go, encoding/json/decode.go (unquoteBytes, object).
pub(super) fn respelt(body: &[u8], shape: &Shape) -> Option<Vec<u8>> {
    if body.len() > BODY_BYTES_MAX {
        return None;
    }
    let text = paired(&String::from_utf8_lossy(body)).into_owned();
    // Whatever follows the value is not looked at.
    let value = Value::deserialize(&mut serde_json::Deserializer::from_str(&text)).ok()?;
    serde_json::to_vec(&named(value, shape)).ok()
}

fn named(value: Value, shape: &Shape) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(|item| named(item, shape)).collect(),
        Value::Object(fields) => {
            let mut out = Map::new();
            for (name, value) in fields {
                let mut known = shape.0.iter();
                let Some((name, inner)) = known.find(|(own, _)| own.eq_ignore_ascii_case(&name))
                else {
                    continue;
                };
                let value = match inner {
                    Some(inner) => named(value, inner),
                    None => value,
                };
                match (out.get_mut(*name), value) {
                    // Go adds to the map that is there.
                    (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
                    (_, value) => {
                        out.insert((*name).to_owned(), value);
                    }
                }
            }
            Value::Object(out)
        }
        other => other,
    }
}

/// `text` with another escape for each half of a surrogate pair that lacks the other.
fn paired(text: &str) -> Cow<'_, str> {
    if !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.find('\\').and_then(|at| rest.split_at_checked(at)) {
        out.push_str(before);
        let (bytes, spelt) = match (unit(from), from.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (12, None),
            (Some(0xd800..=0xdfff), _) => (6, Some("\\ufffd")),
            // A backslash takes the next character with it.
            _ => (1 + from.chars().nth(1).map_or(0, char::len_utf8), None),
        };
        let (escape, after) = from.split_at_checked(bytes).unwrap_or((from, ""));
        out.push_str(spelt.unwrap_or(escape));
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The number of the escape that `text` begins with.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(digits)?;
    u16::from_str_radix(digits, 16).ok()
}

/// What is spelt anew is JSON; see `tests/fuzz`.
#[cfg(fuzzing)]
pub fn fuzz(body: &[u8]) {
    const INNER: Shape = Shape(&[("name", None)]);
    let spelt = respelt(body, &Shape(&[("labels", None), ("matchers", Some(&INNER))]));
    let is_json = |spelt: Vec<u8>| serde_json::from_slice::<Value>(&spelt).is_ok();
    assert!(spelt.is_none_or(is_json), "BUG: what is spelt anew is no JSON");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INNER: Shape = Shape(&[("isEqual", None)]);
    const SHAPE: Shape = Shape(&[("labels", None), ("endsAt", None), ("matchers", Some(&INNER))]);

    #[test]
    fn what_go_takes_is_spelt_strictly() {
        for (body, spelt) in [
            (&br#"[{"LABELS":{"A":"b"}}]"#[..], Some(r#"[{"labels":{"A":"b"}}]"#)),
            (
                br#"{"labels":{"a":"1","b":"1"},"Labels":{"b":"2"}}"#,
                Some(r#"{"labels":{"a":"1","b":"2"}}"#),
            ),
            (br#"{"endsAt":"1","endsAt":"2"}"#, Some(r#"{"endsAt":"2"}"#)),
            (br#"{"Matchers":[{"isequal":true}]}"#, Some(r#"{"matchers":[{"isEqual":true}]}"#)),
            (br#"[] x"#, Some("[]")),
            (br#"{"endsAt":"a\ud83d"}"#, Some("{\"endsAt\":\"a\u{fffd}\"}")),
            (br#"{"endsAt":"\udc00\ud83d\ude00"}"#, Some("{\"endsAt\":\"\u{fffd}\u{1f600}\"}")),
            (br#"{"endsAt":"\ud83d\ud83d\ude00"}"#, Some("{\"endsAt\":\"\u{fffd}\u{1f600}\"}")),
            (br#"{"endsAt":"\\ud83d"}"#, Some(r#"{"endsAt":"\\ud83d"}"#)),
            (b"{\"endsAt\":\"\xff\"}", Some("{\"endsAt\":\"\u{fffd}\"}")),
            (b"[", None),
            (b"", None),
        ] {
            let found = respelt(body, &SHAPE).and_then(|body| String::from_utf8(body).ok());
            assert_eq!(found.as_deref(), spelt, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn a_long_body_is_not_read_at_leisure() {
        let body = |items: usize| format!("[{}{{}}]", "{},".repeat(items)).into_bytes();
        assert!(respelt(&body(1_000), &SHAPE).is_some());
        assert_eq!(respelt(&body(BODY_BYTES_MAX / 3), &SHAPE), None);
    }

    proptest! {
        #[test]
        fn any_bytes_may_come(body in proptest::collection::vec(any::<u8>(), 0..100)) {
            respelt(&body, &SHAPE);
        }

        #[test]
        fn escapes_are_left_alone_but_for_lone_halves(text in r#"(\\|u|d8|dc|00|é|x){0,20}"#) {
            let once = paired(&text).into_owned();
            prop_assert_eq!(paired(&once).into_owned(), &once[..]);
            if !text.contains("\\ud8") && !text.contains("\\udc") {
                prop_assert_eq!(once, text);
            }
        }
    }
}
