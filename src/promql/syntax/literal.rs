//! The values of literals: numbers, durations and quoted strings.

use crate::model::duration;

/// The value of a number token, which has no sign: Go's integers of any base, else a Go float.
/// `None` when it is none, or larger than floats are.
pub fn number(text: &str) -> Option<f64> {
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    let lower = plain.to_ascii_lowercase();
    if let Some(hex) = lower.strip_prefix("0x") {
        return integer(hex, 16);
    }
    // Go reads a leading zero as octal; what is not octal is read as a decimal float.
    let octal = lower.len() > 1 && lower.starts_with('0');
    if octal
        && lower.bytes().all(|byte| (b'0'..=b'7').contains(&byte))
        && let Some(value) = integer(&lower, 8)
    {
        return Some(value);
    }
    match lower.as_str() {
        "inf" => Some(f64::INFINITY),
        "nan" => Some(f64::from_bits(crate::model::ORDINARY_NAN_BITS)),
        number => number.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

/// Why `number` has no value for this text, in Go's words.
pub fn number_fault(text: &str) -> String {
    let is_large = !text.starts_with("0x") && !text.starts_with("0X");
    let is_large = is_large && text.replace('_', "").parse::<f64>().is_ok_and(f64::is_infinite);
    let why = if is_large { "value out of range" } else { "invalid syntax" };
    let text = crate::model::value_text::quoted(text);
    format!("error parsing number: strconv.ParseFloat: parsing {text}: {why}")
}

/// An integer of up to 63 bits. Go reads a larger one as a decimal float, which hexadecimal is not.
fn integer(digits: &str, radix: u32) -> Option<f64> {
    i64::from_str_radix(digits, radix).ok().map(|value| value as f64)
}

/// The seconds of a duration token such as `1h30m`.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    duration::parse(text).map(|span| span.as_secs_f64())
}

/// The text between the quotes of a string token, with Go's escapes resolved.
pub(super) fn unquoted(token: &str) -> Result<String, String> {
    let mut chars = token.chars();
    let quote = chars.next().ok_or("invalid syntax")?;
    if chars.next_back() != Some(quote) {
        return Err("invalid syntax".to_owned());
    }
    let inner = chars.as_str();
    if quote == '`' {
        return Ok(inner.to_owned());
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        bytes.extend_from_slice(before.as_bytes());
        rest = unescape(escape, quote, &mut bytes)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).map_err(|_| "invalid UTF-8 in string".to_owned())
}

/// Resolves the escape at the start of `escape`; returns what follows it.
fn unescape<'a>(escape: &'a str, quote: char, out: &mut Vec<u8>) -> Result<&'a str, String> {
    let mut chars = escape.chars().skip(1);
    let c = chars.next().ok_or("escape sequence not terminated")?;
    let after = escape.get(1 + c.len_utf8()..).unwrap_or_default();
    let byte = match c {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '0'..='7' => return numeric(escape.get(1..).unwrap_or_default(), 3, 8, out),
        'x' => return numeric(after, 2, 16, out),
        'u' => return numeric(after, 4, 16, out),
        'U' => return numeric(after, 8, 16, out),
        c if c == quote => {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(after);
        }
        c => return Err(format!("unknown escape sequence U+{:04X} {c:?}", u32::from(c))),
    };
    out.push(byte);
    Ok(after)
}

/// Resolves `count` digits: a byte for octal and `\x`, else a character.
fn numeric<'a>(
    text: &'a str,
    count: usize,
    radix: u32,
    out: &mut Vec<u8>,
) -> Result<&'a str, String> {
    let digits = text.get(..count).ok_or("escape sequence not terminated")?;
    let code = u32::from_str_radix(digits, radix)
        .ok()
        .filter(|_| digits.chars().all(|c| c.is_digit(radix)))
        .ok_or_else(|| format!("illegal character in escape sequence {digits:?}"))?;
    let invalid = || "escape sequence is an invalid Unicode code point".to_owned();
    if count <= 3 {
        out.push(u8::try_from(code).map_err(|_| invalid())?);
    } else {
        let c = char::from_u32(code).ok_or_else(invalid)?;
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(text.get(count..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_in_go() {
        for (text, value) in [
            ("1", 1.0),
            ("1_000", 1000.0),
            ("0x1F", 31.0),
            ("017", 15.0),
            ("08", 8.0),
            ("1.5e3", 1500.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("InF", f64::INFINITY),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
            ("0777777777777777777777777", 777_777_777_777_777_777_777_777.0),
            ("1e-400", 0.0),
        ] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        for text in ["1e400", "0x1FFFFFFFFFFFFFFFFFF", "1e", "0x"] {
            assert_eq!(number(text), None, "{text}");
        }
        assert!(number("nan").is_some_and(f64::is_nan));
    }

    #[test]
    fn strings_unquote_as_in_go() {
        for (text, value) in [
            (r#""a\"b\n""#, "a\"b\n"),
            (r"'it\'s'", "it's"),
            (r"`a\n`", r"a\n"),
            (r#""\u00e4\x41\101""#, "\u{e4}AA"),
        ] {
            assert_eq!(unquoted(text).as_deref(), Ok(value), "{text}");
        }
        for text in [r#""\q""#, r#""\'""#, r#""\x4""#, r#""\ud800""#] {
            assert!(unquoted(text).is_err(), "{text} was taken");
        }
    }
}
