//! YAML of a text that a template made, as Go's older YAML library reads it into no type at all:
//! the rules of YAML 1.1, where `yes` is a boolean and `010` is eight.
//!
//! Source: go-yaml v2, resolve.go.

use super::yaml;
use serde_json::{Map, Number, Value};
use serde_yaml::Value as Yaml;

/// The document; `None` when the text is no YAML or passes a limit. A text without anything in it
/// is null.
pub fn parse_plain_yaml(text: &str) -> Option<Value> {
    let document = yaml::read(text).ok()?;
    Some(typed(&document.root, "", &document))
}

fn typed(value: &Yaml, path: &str, document: &yaml::Document) -> Value {
    match value {
        Yaml::Sequence(items) => {
            let item = |(place, item)| typed(item, &format!("{path}[{place}]"), document);
            items.iter().enumerate().map(item).collect()
        }
        Yaml::Mapping(map) => {
            let pairs = map.iter().map(|(key, value)| {
                let key = key.as_str().unwrap_or_default();
                let dot = if path.is_empty() { "" } else { "." };
                (key.to_owned(), typed(value, &format!("{path}{dot}{key}"), document))
            });
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        Yaml::Tagged(tagged) => typed(&tagged.value, path, document),
        scalar => match document.plain_text(path) {
            Some(text) => resolved(text),
            None => match (scalar, document.style(path)) {
                // It came with an alias.
                (Yaml::String(text), None) => resolved(text),
                (scalar, _) => by_kind(scalar),
            },
        },
    }
}

/// A scalar that is quoted, or one with an alias that is no text.
fn by_kind(scalar: &Yaml) -> Value {
    match scalar {
        Yaml::Null | Yaml::Sequence(_) | Yaml::Mapping(_) | Yaml::Tagged(_) => Value::Null,
        Yaml::Bool(value) => Value::Bool(*value),
        Yaml::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Value::from(whole),
            (None, Some(whole)) => Value::from(whole),
            (None, None) => number.as_f64().map_or(Value::Null, number_or_text),
        },
        Yaml::String(text) => Value::String(text.clone()),
    }
}

/// A plain scalar by YAML 1.1.
fn resolved(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    let first = text.bytes().next().unwrap_or_default();
    if !first.is_ascii_digit() && !b"+-.".contains(&first) {
        return Value::String(text.to_owned());
    }
    let plain = text.replace('_', "");
    let signed = || whole(&plain).and_then(|number| i64::try_from(number).ok()).map(Value::from);
    let large = || whole(&plain).and_then(|number| u64::try_from(number).ok()).map(Value::from);
    signed()
        .or_else(large)
        .or_else(|| float(&plain).map(number_or_text))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// A whole number in any of the bases: `0x1f`, `0b11`, `0o17`, `017`, `12`. It is one of those that
/// `i64` or `u64` can hold.
pub(super) fn whole(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.get(..2) {
        Some("0x") => (16, lower.get(2..)?),
        Some("0b") => (2, lower.get(2..)?),
        Some("0o") => (8, lower.get(2..)?),
        Some(two) if two.starts_with('0') => (8, lower.get(1..)?),
        _ => (10, lower.as_str()),
    };
    if !digits.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return None;
    }
    let size = u64::from_str_radix(digits, base).ok()?;
    if negative {
        return 0_i64.checked_sub_unsigned(size).map(i128::from);
    }
    Some(i128::from(size))
}

/// Decimal digits with a point or an exponent; no `inf` and no `nan`, which JSON has not either.
pub(super) fn float(text: &str) -> Option<f64> {
    let known = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let digits = text.bytes().any(|byte| byte.is_ascii_digit());
    let value = (digits && text.bytes().all(known)).then(|| text.parse().ok()).flatten();
    value.filter(|value: &f64| value.is_finite())
}

/// JSON writes whole numbers without a point, whatever they were made of.
fn number_or_text(number: f64) -> Value {
    if number.fract() == 0.0
        && let Ok(whole) = format!("{number:.0}").parse::<i64>()
    {
        return Value::from(whole);
    }
    Number::from_f64(number).map_or_else(|| Value::String(number.to_string()), Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn scalars_are_those_of_yaml_1_1() {
        for (text, expected) in [
            ("", json!(null)),
            ("null", json!(null)),
            ("2", json!(2)),
            ("-7", json!(-7)),
            ("1_000", json!(1000)),
            ("0x1F", json!(31)),
            ("010", json!(8)),
            ("0o17", json!(15)),
            ("0b11", json!(3)),
            ("08", json!(8)),
            ("1.5", json!(1.5)),
            ("1e3", json!(1000)),
            ("1_0.5", json!(10.5)),
            ("1e400", json!("1e400")),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("y", json!(true)),
            ("'yes'", json!("yes")),
            ("\"5\"", json!("5")),
            ("word", json!("word")),
            ("10.0.0.1", json!("10.0.0.1")),
            ("2024-01-01", json!("2024-01-01")),
            ("2024-01-01T00:00:00Z", json!("2024-01-01T00:00:00Z")),
            ("{a: 1, b: [on, 'x']}", json!({ "a": 1, "b": [true, "x"] })),
            ("a: &x 5\nb: *x", json!({ "a": 5, "b": 5 })),
            ("value: 1", json!({ "value": 1 })),
        ] {
            assert_eq!(parse_plain_yaml(text), Some(expected), "{text:?}");
        }
        assert_eq!(parse_plain_yaml("{a"), None);
        assert_eq!(parse_plain_yaml("[FIRING:1] x"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[ -~\n]{0,100}") {
            let _ = parse_plain_yaml(&text);
        }

        #[test]
        fn json_reads_as_itself(number in any::<i64>(), word in "[a-m]{2,8}") {
            let value = json!({ "n": number, "s": format!("{word} {word}"), "l": [word] });
            prop_assert_eq!(parse_plain_yaml(&value.to_string()), Some(value));
        }
    }
}
