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
    // Half of what many targets say is 0 or 1.
    if let [b' ', digit @ b'0'..=b'9', b'\n', ..] = rest {
        return Some((f64::from(digit - b'0'), 3));
    }
    let [b' ', number @ ..] = rest else { return None };
    if let Some((value, len)) = short_at_line_end(number) {
        return Some((value, len + 2));
    }
    // Words, and the signs that they may not have, are for `parse`.
    if !matches!(number, [b'0'..=b'9', ..] | [b'-', b'0'..=b'9', ..]) {
        return None;
    }
    let (value, len) = fast_float2::parse_partial::<f64, _>(number).ok()?;
    (value.is_finite() && number.get(len) == Some(&b'\n')).then_some((value, len + 2))
}

/// A number of few digits up to the line break, and its bytes: the digits are a whole number and
/// the places behind the point a power of ten, both of which a float has exactly, so that one
/// division rounds as the number itself would be.
///
/// Source: Clinger, PLDI 1990 (the fast path of reading floats).
#[inline]
fn short_at_line_end(text: &[u8]) -> Option<(f64, usize)> {
    let sign_len = usize::from(text.first() == Some(&b'-'));
    let (whole, len) = digits(text.get(sign_len..)?)?;
    let mut end = sign_len + len;
    let mut value = whole as f64;
    if text.get(end) == Some(&b'.') {
        let (part, places) = digits(text.get(end + 1..)?)?;
        let power = *POWERS.get(places)?;
        // Ten to the fifteenth is below 2^53.
        if len + places >= POWERS.len() {
            return None;
        }
        value = (value * power + part as f64) / power;
        end += 1 + places;
    }
    if len == 0 || text.get(end) != Some(&b'\n') {
        return None;
    }
    Some((if sign_len > 0 { -value } else { value }, end))
}

/// The digits that a text begins with, up to fifteen, as a number, and how many; `None` when there
/// are more, or too few bytes behind them to look at.
#[inline]
fn digits(text: &[u8]) -> Option<(u64, usize)> {
    let (first, count) = digits_of_eight(text.first_chunk()?);
    if count < 8 {
        return Some((first, count));
    }
    let (more, count) = digits_of_eight(text.get(8..)?.first_chunk()?);
    (count < 8).then(|| (first * 10_u64.pow(u32::try_from(count).unwrap_or(0)) + more, 8 + count))
}

/// As `digits` of eight bytes. All at once: numbers are of any length, and a loop that ends anywhere
/// is guessed wrong each time.
///
/// Source: D. Lemire, "Quickly parsing eight digits" (2018).
#[inline]
fn digits_of_eight(bytes: &[u8; 8]) -> (u64, usize) {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    // A byte above nine has a bit of this after its sum.
    const OVER_NINE: u64 = 0x7676_7676_7676_7676;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const PAIRS: u64 = 0x0000_00ff_0000_00ff;
    // The first digit is the lowest byte.
    let values = u64::from_le_bytes(*bytes) ^ ZEROS;
    let others = (((values & !HIGH) + OVER_NINE) | values) & HIGH;
    let count = others.trailing_zeros() / 8;
    if count == 0 {
        return (0, 0);
    }
    // Behind zeros in the place of what is no digit.
    let values = values << (64 - 8 * count);
    let pairs = values * 10 + (values >> 8);
    let hundreds = (pairs & PAIRS).wrapping_mul(100 + (1_000_000 << 32));
    let units = (pairs >> 16 & PAIRS).wrapping_mul(1 + (10_000 << 32));
    (hundreds.wrapping_add(units) >> 32, count as usize)
}

/// Ten to the number of places.
const POWERS: [f64; 16] =
    [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

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
    use proptest::prelude::*;

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
    fn a_number_at_a_line_end_is_read_as_any_other() {
        for text in [
            "0",
            "7",
            "007",
            "999999999999999",
            "1000000000000000",
            "18446744073709551616",
            "-0",
            "-5",
            "1.5",
            "-1.5",
            "5.",
            ".5",
            "-.5",
            ".",
            "-.",
            "-0.0",
            "0.1",
            "1.2.3",
            "123456789.012345",
            "99999999999999.9",
            "0.000000000000001",
            "0.0000000000000001",
            "1234567890123456.5",
            "0.30000000000000004",
            "4.4721330131779515",
            "1e3",
            "1e400",
            "NaN",
            "+Inf",
            "-inf",
            "-nan",
            "",
            "-",
            "1x",
            "1 2",
            "0x1",
        ] {
            let line = format!(" {text}\nnext_line_that_is_long_enough 1\n");
            let found = at_line_end(line.as_bytes());
            // Words and what begins with a point are for `parse`.
            let is_plain = text.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit())
                && text.bytes().all(|byte| b"0123456789.e-".contains(&byte));
            let expected = parse(text.as_bytes()).filter(|_| is_plain);
            let expected = expected.map(|value| (value.to_bits(), text.len() + 2));
            assert_eq!(found.map(|(value, len)| (value.to_bits(), len)), expected, "{text:?}");
            assert_eq!(at_line_end(format!(" {text}").as_bytes()), None, "{text:?} may be cut");
        }
    }

    proptest! {
        #[test]
        fn digits_at_a_line_end_are_read_as_std_does(text in "-?[0-9]{0,18}(\\.[0-9]{0,18})?") {
            let line = format!(" {text}\n");
            let expected: Option<f64> = text.parse().ok();
            let found = at_line_end(line.as_bytes());
            if let Some((value, len)) = found {
                prop_assert_eq!(Some(value.to_bits()), expected.map(f64::to_bits));
                prop_assert_eq!(len, line.len());
            }
            let has_digit_first = text.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit());
            prop_assert!(found.is_some() || !has_digit_first, "{text:?} was not read");
        }
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
