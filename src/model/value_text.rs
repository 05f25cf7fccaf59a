//! Floats and strings as Go writes them: clients and templates compare bytes.

use std::fmt::Write as _;

/// Hands on the text of `api` without making a `String` of it where that can be avoided: answers
/// have hundreds of thousands of values.
pub fn with_api<R>(value: f64, take: impl FnOnce(&str) -> R) -> R {
    let size = value.abs();
    // Here ryu writes plain notation, as well.
    if size == 0.0 || (1e-5..1e16).contains(&size) {
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(value);
        return take(text.strip_suffix(".0").unwrap_or(text));
    }
    take(&api(value))
}

/// A sample value in the API: plain notation, an exponent only below 1e-6 and from 1e21 on, of two
/// digits at least. Source: prometheus, util/jsonutil/marshal.go (MarshalFloat).
pub fn api(value: f64) -> String {
    if let Some(word) = special(value) {
        return word.to_owned();
    }
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        return exponent(value);
    }
    plain(value)
}

/// The shortest decimal text without an exponent, as label values have it (Go's `'f', -1`).
pub fn plain(value: f64) -> String {
    if let Some(word) = special(value) {
        return word.to_owned();
    }
    let Digits { sign, digits, exponent } = Digits::of(value);
    let Ok(before) = usize::try_from(exponent) else {
        let zeros = usize::try_from(-exponent - 1).unwrap_or_default();
        return format!("{sign}0.{:0<zeros$}{digits}", "");
    };
    match digits.split_at_checked(before + 1) {
        Some((whole, "")) => format!("{sign}{whole}"),
        Some((whole, fraction)) => format!("{sign}{whole}.{fraction}"),
        None => format!("{sign}{digits:0<width$}", width = before + 1),
    }
}

/// Go's default format (`%v`, and `strconv.FormatFloat(v, 'g', -1, 64)`): an exponent below 1e-4
/// and from 1e6 on, since `%g` with the shortest digits decides with a precision of 6.
pub fn go_default(value: f64) -> String {
    if let Some(word) = special(value) {
        return word.to_owned();
    }
    if value == 0.0 {
        return plain(value);
    }
    let (mantissa, exponent) = parts(value);
    if (-4..6).contains(&exponent) { plain(value) } else { with_exponent(&mantissa, exponent) }
}

/// Go's `'e', -1`: always an exponent, as the alerts API writes values (`1e+00`).
pub fn exponent(value: f64) -> String {
    if let Some(word) = special(value) {
        return word.to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0e+00" } else { "0e+00" }.to_owned();
    }
    let (mantissa, exponent) = parts(value);
    with_exponent(&mantissa, exponent)
}

/// The text in double quotes with Go's escapes (`strconv.Quote`).
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\x0b' => out.push_str("\\v"),
            c if u32::from(c) < 0x20 || c == '\x7f' => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn special(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value == f64::INFINITY {
        Some("+Inf")
    } else if value == f64::NEG_INFINITY {
        Some("-Inf")
    } else {
        None
    }
}

/// The shortest decimal digits that read back as the value.
struct Digits {
    sign: &'static str,
    /// Without zeros in front or behind, but for zero itself.
    digits: String,
    /// Of ten, for the first digit.
    exponent: i32,
}

impl Digits {
    /// Of a finite value. ryu's: where two texts of the same length are equally near, it takes the
    /// even one, as Go does; the standard library does not.
    fn of(value: f64) -> Self {
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(value.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let exponent: i32 = exponent.parse().expect("ryu writes a whole exponent");
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let digits = all.trim_start_matches('0');
        let zeros = all.len() - digits.len();
        let first = i32::try_from(whole.len()).unwrap_or_default() - 1;
        let exponent = exponent + first - i32::try_from(zeros).unwrap_or_default();
        let sign = if value.is_sign_negative() { "-" } else { "" };
        match digits.trim_end_matches('0') {
            "" => Self { sign, digits: "0".to_owned(), exponent: 0 },
            digits => Self { sign, digits: digits.to_owned(), exponent },
        }
    }
}

/// The shortest mantissa with its sign, and the decimal exponent. `value` is finite.
fn parts(value: f64) -> (String, i32) {
    let Digits { sign, digits, exponent } = Digits::of(value);
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    (format!("{sign}{first}{point}{rest}"), exponent)
}

fn with_exponent(mantissa: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_quick_text_is_the_same(bits: u64, whole in -1_000_000_i64..1_000_000, scale in 0_i32..24) {
            let scaled = whole as f64 * 10_f64.powi(scale - 12);
            for value in [f64::from_bits(bits), scaled, -scaled, whole as f64, 1e16, 1e-5] {
                prop_assert_eq!(with_api(value, str::to_owned), api(value));
            }
        }
    }

    #[test]
    fn of_two_nearest_texts_the_even_one_is_written() {
        // As Prometheus 2.42 answers.
        for (bits, text) in [
            (4_819_621_959_921_975_236, "164811195716094.12"),
            (4_823_199_202_927_789_932, "276600039647803.38"),
            (4_830_261_496_655_289_522, "863286967686038.2"),
            (4_830_333_814_162_586_130, "872326656098114.2"),
            (4_828_600_828_847_786_690, "655703491748184.2"),
            (4_815_564_896_626_213_992, "89382728039441.62"),
        ] {
            let value = f64::from_bits(bits);
            assert_eq!(api(value), text);
            assert_eq!(with_api(value, str::to_owned), text);
        }
    }

    #[test]
    fn values_read_as_go_writes_them() {
        for (value, api_text, go, exp) in [
            (0.0, "0", "0", "0e+00"),
            (1.0, "1", "1", "1e+00"),
            (1e6, "1000000", "1e+06", "1e+06"),
            (123_456_789.0, "123456789", "1.23456789e+08", "1.23456789e+08"),
            (0.1, "0.1", "0.1", "1e-01"),
            (1e-7, "1e-07", "1e-07", "1e-07"),
            (0.00001, "0.00001", "1e-05", "1e-05"),
            (1e21, "1e+21", "1e+21", "1e+21"),
            (-2.5, "-2.5", "-2.5", "-2.5e+00"),
            (f64::INFINITY, "+Inf", "+Inf", "+Inf"),
            (f64::NAN, "NaN", "NaN", "NaN"),
        ] {
            assert_eq!(api(value), api_text);
            assert_eq!(with_api(value, str::to_owned), api_text);
            assert_eq!(go_default(value), go);
            assert_eq!(exponent(value), exp);
        }
        assert_eq!(plain(1e30), "1000000000000000000000000000000");
    }
}
