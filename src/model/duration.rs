//! Prometheus durations as text: `1h30m`, `15s`, `2w`.
//!
//! Source: prometheus/common, model/time.go (ParseDuration, String); Go, time (Duration.String).

use std::fmt::Write as _;
use std::time::Duration;

/// Units in the order in which they must stand, with their length in milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads a duration such as `1h30m`: whole numbers with units, each unit once and in falling
/// order, or a lone `0`.
///
/// # Errors
/// A sentence that names the text and the form that is wanted.
pub fn parse(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.is_empty() {
        return Err("empty duration string".to_owned());
    }
    let wrong = || format!("not a valid duration string: {text:?}");
    let mut rest = text;
    let mut next_unit = 0;
    let mut total_ms: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let (place, (_, unit_ms)) = UNITS
            .iter()
            .enumerate()
            .skip(next_unit)
            .find(|(_, (name, _))| *name == unit)
            .ok_or_else(wrong)?;
        let count: u64 = number.parse().map_err(|_| wrong())?;
        let span = count.checked_mul(*unit_ms);
        total_ms = span
            .and_then(|span| total_ms.checked_add(span))
            // Go's time.Duration holds at most 2^63 nanoseconds, about 292 years.
            .filter(|ms| *ms <= i64::MAX as u64 / 1_000_000)
            .ok_or_else(|| "duration out of range".to_owned())?;
        next_unit = place + 1;
        rest = after;
    }
    Ok(Duration::from_millis(total_ms))
}

/// Writes a duration the way Prometheus does: the largest units first, years and weeks only
/// when they divide it exactly.
pub fn format(duration: Duration) -> String {
    let mut ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (name, unit_ms) in UNITS {
        let exact_only = matches!(name, "y" | "w" | "d");
        if ms < unit_ms || (exact_only && name != "d" && !ms.is_multiple_of(unit_ms)) {
            continue;
        }
        let _ = write!(text, "{}{name}", ms / unit_ms);
        ms %= unit_ms;
    }
    text
}

/// Reads a duration as Go does: numbers that may have a point, each with a unit up to the hour, in
/// any order: `1.5h`, `300us`, `1h30m`. One below nothing is nothing.
///
/// # Errors
/// Go's sentence: `time: unknown unit "d" in duration "1d"`.
pub fn parse_go(text: &str) -> Result<Duration, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let (whole, after) = rest.split_at(digits(rest));
        let (part, after) = match after.strip_prefix('.') {
            Some(after) => after.split_at(digits(after)),
            None => ("", after),
        };
        if whole.is_empty() && part.is_empty() {
            return Err(invalid());
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let nanos: u128 = match unit {
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            unit => return Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
        };
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        // More digits than these are less than a nanosecond of an hour.
        let part = part.get(..part.len().min(18)).unwrap_or_default();
        let scale = 10_u128.pow(u32::try_from(part.len()).unwrap_or(0));
        let part: u128 = if part.is_empty() { 0 } else { part.parse().map_err(|_| invalid())? };
        total += u128::from(whole) * nanos + part * nanos / scale;
        if total > i64::MAX.unsigned_abs().into() {
            return Err(invalid());
        }
        rest = after;
    }
    let total = if is_negative { 0 } else { u64::try_from(total).map_err(|_| invalid())? };
    Ok(Duration::from_nanos(total))
}

/// Writes a duration the way Go does: `1m0s`.
pub fn go_text(duration: Duration) -> String {
    let (whole, nanos) = (duration.as_secs(), duration.subsec_nanos());
    if whole == 0 && nanos != 0 {
        let (unit, name) = match nanos {
            ..1_000 => (1_u32, "ns"),
            1_000..1_000_000 => (1_000, "\u{b5}s"),
            1_000_000.. => (1_000_000, "ms"),
        };
        return format!("{}{name}", f64::from(nanos) / f64::from(unit));
    }
    let seconds = (duration - Duration::from_secs(whole - whole % 60)).as_secs_f64();
    let seconds = if nanos == 0 { (whole % 60).to_string() } else { seconds.to_string() };
    match (whole / 3600, whole / 60 % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_read_and_write_as_in_prometheus() {
        for (text, ms) in [
            ("0", 0),
            ("324ms", 324),
            ("3s", 3_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("4d", 345_600_000),
            ("3w", 1_814_400_000),
            ("10y", 315_360_000_000),
            ("1h30m", 5_400_000),
            ("4d1h", 349_200_000),
        ] {
            let expected = Duration::from_millis(ms);
            assert_eq!(parse(text), Ok(expected), "{text}");
            let back = if text == "0" { "0s" } else { text };
            assert_eq!(format(expected), back, "{text}");
        }
    }

    #[test]
    fn what_prometheus_refuses_is_refused() {
        for text in ["", "1", "-1s", "1.5h", "1m1h", "1h1h", " 1s", "1", "1year", "99999999y", "s"]
        {
            assert!(parse(text).is_err(), "{text:?} was taken");
        }
    }
    #[test]
    fn durations_are_read_as_go_reads_them() {
        // Cases of Go, time/time_test.go (TestParseDuration, TestParseDurationErrors).
        for (text, nanos) in [
            ("0", 0),
            ("5s", 5_000_000_000_u64),
            ("+5s", 5_000_000_000),
            ("-5s", 0),
            ("5.s", 5_000_000_000),
            (".5s", 500_000_000),
            ("1.004s", 1_004_000_000),
            ("1.5h", 5_400_000_000_000),
            ("300us", 300_000),
            ("12\u{b5}s", 12_000),
            ("12\u{3bc}s", 12_000),
            ("10ns", 10),
            ("3h30m", 12_600_000_000_000),
            ("30m3h", 12_600_000_000_000),
            ("10.5s4m", 250_500_000_000),
            ("9223372036.854775807s", 9_223_372_036_854_775_807),
            ("0.3333333333333333333h", 1_200_000_000_000 - 1),
        ] {
            let found = parse_go(text).expect(text);
            let expected = Duration::from_nanos(nanos);
            assert!(found.abs_diff(expected) <= Duration::from_nanos(1), "{text}: {found:?}");
            assert_eq!(
                parse_go(&go_text(found)).map(|span| span.as_millis()),
                Ok(found.as_millis())
            );
        }
        for (text, error) in [
            ("", "time: invalid duration \"\""),
            ("3", "time: missing unit in duration \"3\""),
            ("-", "time: invalid duration \"-\""),
            ("s", "time: invalid duration \"s\""),
            ("1..5s", "time: missing unit in duration \"1..5s\""),
            ("9e9h", "time: unknown unit \"e\" in duration \"9e9h\""),
            (".s", "time: invalid duration \".s\""),
            ("1d", "time: unknown unit \"d\" in duration \"1d\""),
            ("3000000h", "time: invalid duration \"3000000h\""),
        ] {
            assert_eq!(parse_go(text), Err(error.to_owned()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[-0-9.hmsnuµ]{0,12}") {
            let _ = parse_go(&text);
        }
    }

    #[test]
    fn durations_are_spelled_as_go_spells_them() {
        for (millis, text) in [
            (0, "0s"),
            (500, "500ms"),
            (1_500, "1.5s"),
            (15_000, "15s"),
            (60_000, "1m0s"),
            (90_000, "1m30s"),
            (3_600_000, "1h0m0s"),
        ] {
            assert_eq!(go_text(Duration::from_millis(millis)), text);
        }
    }
}
