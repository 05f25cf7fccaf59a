//! Numbers for people: metric prefixes, binary prefixes, durations, percents, times.
//!
//! Source: prometheus/common, helpers/templates/convert.go and time.go.

use crate::model::Timestamp;
use crate::template::format::significant;
use crate::template::time::{Time, seconds_of};
use crate::template::value::Value;

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];
const BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];

/// `1234567` as `1.235M`.
pub(super) fn decimal(value: &Value) -> Result<Value, String> {
    let number = to_float(value)?;
    let text = if number == 0.0 || !number.is_finite() {
        four(number)
    } else if number.abs() >= 1.0 {
        scaled(number, &LARGE, |size| size >= 1000.0, |number| number / 1000.0)
    } else {
        scaled(number, &SMALL, |size| size < 1.0, |number| number * 1000.0)
    };
    Ok(text.into())
}

/// `1048576` as `1Mi`.
pub(super) fn binary(value: &Value) -> Result<Value, String> {
    let number = to_float(value)?;
    let text = if number.abs() <= 1.0 || !number.is_finite() {
        four(number)
    } else {
        scaled(number, &BINARY, |size| size >= 1024.0, |number| number / 1024.0)
    };
    Ok(text.into())
}

/// Seconds as `1d 2h 3m 4s`, or with a prefix below one second.
pub(super) fn duration(value: &Value) -> Result<Value, String> {
    let number = to_float(value)?;
    if !number.is_finite() {
        return Ok(four(number).into());
    }
    if number == 0.0 {
        return Ok("0s".into());
    }
    if number.abs() < 1.0 {
        let scaled = scaled(number, &SMALL, |size| size < 1.0, |number| number * 1000.0);
        return Ok(format!("{scaled}s").into());
    }
    let sign = if number < 0.0 { "-" } else { "" };
    let whole = whole_seconds(number.abs());
    let (days, hours, minutes, seconds) =
        (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
    let text = match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", four(number.abs())),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, _, _) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        (_, _, _) => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    };
    Ok(text.into())
}

/// `0.123` as `12.3%`.
pub(super) fn percentage(value: &Value) -> Result<Value, String> {
    Ok(format!("{}%", four(to_float(value)? * 100.0)).into())
}

/// Seconds since the epoch as `2006-01-02 15:04:05 +0000 UTC`.
pub(super) fn timestamp(value: &Value) -> Result<Value, String> {
    let number = to_float(value)?;
    if !number.is_finite() {
        return Ok(four(number).into());
    }
    Ok(time(value)?.text().into())
}

/// Seconds since the epoch as a time.
pub(super) fn time(value: &Value) -> Result<Time, String> {
    let number = to_float(value)?;
    if !number.is_finite() {
        return Err("value is NaN or Inf".to_owned());
    }
    // Go's nanoseconds since the epoch fit 64 bits from the year 1678 to 2262.
    if (number * 1e9).abs() >= 9_223_372_036_854_775_808.0 {
        let text = crate::model::value_text::go_default(number);
        return Err(format!(
            "{text} cannot be represented as a nanoseconds timestamp since it overflows int64"
        ));
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked above")]
    let nanos = (number * 1e9) as i64;
    Ok(Time::utc(Timestamp::from_millis(nanos / 1_000_000)))
}

/// Seconds as a duration.
pub(super) fn to_duration(value: &Value) -> Result<Value, String> {
    let nanos = to_float(value)? * 1e9;
    #[expect(clippy::cast_possible_truncation, reason = "the cast holds at the ends of the range")]
    Ok(Value::Duration(nanos as i64))
}

fn to_float(value: &Value) -> Result<f64, String> {
    match value.plain() {
        Value::Float(number) => Ok(number),
        Value::Int(number) => Ok(number as f64),
        Value::Duration(nanos) => Ok(seconds_of(nanos)),
        Value::String(text) => parse_float(&text),
        Value::Nil
        | Value::Bool(_)
        | Value::List(_)
        | Value::Map(_)
        | Value::Object(_)
        | Value::Time(_)
        | Value::SafeHtml(_)
        | Value::SafeUrl(_) => Err(format!("can't convert {} to float", value.type_name())),
    }
}

/// Go's `ParseFloat` of a decimal number: underscores may stand between digits.
fn parse_float(text: &str) -> Result<f64, String> {
    let quoted = crate::model::value_text::quoted(text);
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let is_joint = |place: usize| {
        let (before, after) = text.split_at(place);
        digit(before.chars().next_back()) && digit(after.chars().nth(1))
    };
    let joined = text.match_indices('_').all(|(place, _)| is_joint(place));
    let plain = if joined { text.replace('_', "") } else { text.to_owned() };
    plain.parse().map_err(|_| format!("strconv.ParseFloat: parsing {quoted}: invalid syntax"))
}

/// Go's `%.4g`.
fn four(number: f64) -> String {
    if !number.is_finite() {
        return crate::model::value_text::go_default(number);
    }
    let sign = if number.is_sign_negative() { "-" } else { "" };
    format!("{sign}{}", significant(number.abs(), 4))
}

fn scaled(
    mut number: f64,
    prefixes: &[&str],
    goes_on: impl Fn(f64) -> bool,
    step: impl Fn(f64) -> f64,
) -> String {
    let mut shown = "";
    for prefix in prefixes {
        if !goes_on(number.abs()) {
            break;
        }
        shown = prefix;
        number = step(number);
    }
    format!("{}{shown}", four(number))
}

fn whole_seconds(seconds: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive; the cast holds at the end of the range"
    )]
    let whole = seconds as u64;
    whole
}
