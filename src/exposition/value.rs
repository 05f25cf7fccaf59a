//! Sample values and bounds: the floats that Go's `ParseFloat` takes, without hex and underscores.

use crate::model::{ORDINARY_NAN_BITS, value_text};

/// Reads a value; `None` when Go would refuse it.
///
/// Source: prometheus, model/textparse/promparse.go (parseFloat: Go's floats without `p` and `_`).
pub(super) fn parse(token: &[u8]) -> Option<f64> {
    let value: f64 = fast_float2::parse(token).ok()?;
    if value.is_finite() {
        return Some(value);
    }
    let unsigned = match token {
        [b'+' | b'-', rest @ ..] => rest,
        rest => rest,
    };
    if value.is_nan() {
        // Go takes no sign before NaN, and one NaN stands for all that text can say.
        let plain = unsigned.len() == token.len() && unsigned.eq_ignore_ascii_case(b"nan");
        return plain.then(|| f64::from_bits(ORDINARY_NAN_BITS));
    }
    // Digits that overflow are an error in Go; only the word means infinity.
    let word = unsigned.eq_ignore_ascii_case(b"inf") || unsigned.eq_ignore_ascii_case(b"infinity");
    word.then_some(value)
}

/// What nearly every line ends in: a blank, a number, a line break; its value and the bytes of all
/// three. `None` says nothing about the line.
#[inline]
pub(super) fn at_line_end(rest: &[u8]) -> Option<(f64, usize)> {
    let [b' ', number @ ..] = rest else { return None };
    // Words, and the signs that they may not have, are for `parse`.
    if !matches!(number, [b'0'..=b'9', ..] | [b'-', b'0'..=b'9', ..]) {
        return None;
    }
    let (value, len) = fast_float2::parse_partial::<f64, _>(number).ok()?;
    (value.is_finite() && number.get(len) == Some(&b'\n')).then_some((value, len + 2))
}

/// Milliseconds since the epoch, as text 0.0.4 writes timestamps: digits only.
pub(super) fn parse_millis(token: &[u8]) -> Option<i64> {
    if token.is_empty() || !token.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(token).ok()?.parse().ok()
}

/// Seconds since the epoch, as OpenMetrics writes timestamps, cut to milliseconds.
pub(super) fn parse_seconds(token: &[u8]) -> Option<i64> {
    let millis = (parse(token)? * 1000.0).trunc();
    // 2^63 as a float: the first value that no longer fits.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if !(-LIMIT..LIMIT).contains(&millis) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked above")]
    Some(millis as i64)
}

/// A bucket bound or quantile as OpenMetrics writes it: `1` becomes `1.0`; what is no number stays.
///
/// Source: prometheus, model/textparse/interface.go (normalizeFloatsInLabelValues).
pub fn normalized(text: &str) -> Option<String> {
    let normal = uniform(parse(text.as_bytes())?);
    (normal != text).then_some(normal)
}

/// A bucket bound or quantile as OpenMetrics writes it: 1 is `1.0`.
pub(super) fn uniform(bound: f64) -> String {
    let mut text = value_text::go_default(bound);
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        text.push_str(".0");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t12_values_are_those_of_go_without_hex_and_underscores() {
        for (text, value) in [
            ("1", 1.0),
            ("+1", 1.0),
            ("-1.5e3", -1500.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1E2", 100.0),
            ("Inf", f64::INFINITY),
            ("+Inf", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
            ("infinity", f64::INFINITY),
            ("1e-400", 0.0),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(value), "{text}");
        }
        for text in ["", "1_000", "0x1p-2", "0x10", "1e400", "abc", "1 2", ".", "+", "+nan", "1f"] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?} was taken");
        }
        let nan = parse(b"nAn").expect("a value");
        assert_eq!(nan.to_bits(), ORDINARY_NAN_BITS);
    }

    #[test]
    fn t12_text_timestamps_are_milliseconds_and_openmetrics_ones_seconds() {
        assert_eq!(parse_millis(b"1700000000123"), Some(1_700_000_000_123));
        for text in ["-1", "1.5", "", "99999999999999999999"] {
            assert_eq!(parse_millis(text.as_bytes()), None, "{text:?} was taken");
        }
        assert_eq!(parse_seconds(b"1700000000.123"), Some(1_700_000_000_123));
        assert_eq!(parse_seconds(b"-1.5"), Some(-1500));
        for text in ["NaN", "+Inf", "1e300", "x"] {
            assert_eq!(parse_seconds(text.as_bytes()), None, "{text:?} was taken");
        }
    }

    #[test]
    fn t4_bounds_become_openmetrics_floats() {
        for (text, normal) in [
            ("5", Some("5.0")),
            ("-1", Some("-1.0")),
            ("1e6", Some("1e+06")),
            ("0.50", Some("0.5")),
            ("+Inf", None),
            ("0.1", None),
            ("abc", None),
        ] {
            assert_eq!(normalized(text).as_deref(), normal, "{text}");
        }
    }
}
