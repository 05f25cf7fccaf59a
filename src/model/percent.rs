//! Percent-encoding, `%41`, of URLs and forms.
//!
//! Source: RFC 3986, sections 2.1 and 2.3 (what never needs an escape); Go's net/url (`+` for a
//! space in forms).

const UPPER: &[u8; 16] = b"0123456789ABCDEF";
const LOWER: &[u8; 16] = b"0123456789abcdef";

/// `text` with everything as `%XX` but letters, digits, `-._~` and the characters of `kept`.
pub fn encode(text: &str, kept: &[u8]) -> String {
    escaped(text, UPPER, kept)
}

/// The same with `%xx`, as Go's html/template writes it.
pub fn encode_lower(text: &str, kept: &[u8]) -> String {
    escaped(text, LOWER, kept)
}

/// `text` as a name or value of a form, as Go's `url.QueryEscape` has it: a space is `+`.
pub fn encode_form(text: &str) -> String {
    // No other space is left in an encoded text.
    encode(text, b" ").replace(' ', "+")
}

fn escaped(text: &str, digits: &[u8; 16], kept: &[u8]) -> String {
    let digit = |value: u8| digits.get(usize::from(value)).copied().map_or('0', char::from);
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}

/// The bytes that `text` stands for.
///
/// # Errors
/// An escape is none; in Go's words.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, String> {
    Pieces { rest: text, plus_is_space: false }.map(|piece| piece.map_err(invalid)).collect()
}

/// The same of a name or value of a form, where `+` is a space.
///
/// # Errors
/// As [`decode`].
pub fn decode_form(text: &[u8]) -> Result<Vec<u8>, String> {
    Pieces { rest: text, plus_is_space: true }.map(|piece| piece.map_err(invalid)).collect()
}

/// The same as [`decode`], but what is no escape stays as it is.
pub fn decode_leniently(text: &[u8]) -> Vec<u8> {
    let pieces = Pieces { rest: text, plus_is_space: false };
    pieces.map(|piece| piece.unwrap_or(b'%')).collect()
}

/// Source: Go, net/url (EscapeError).
fn invalid(broken: &[u8]) -> String {
    let shown = broken.get(..3).unwrap_or(broken);
    format!("invalid URL escape {:?}", String::from_utf8_lossy(shown))
}

/// What is left to decode. Gives each byte, or all that begins with a broken escape, of which
/// only the `%` is taken.
struct Pieces<'a> {
    rest: &'a [u8],
    plus_is_space: bool,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Result<u8, &'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        let whole = self.rest;
        let (first, rest) = whole.split_first()?;
        self.rest = rest;
        match (first, rest) {
            (b'+', _) if self.plus_is_space => Some(Ok(b' ')),
            (b'%', [high, low, rest @ ..]) => match (value(*high), value(*low)) {
                (Some(high), Some(low)) => {
                    self.rest = rest;
                    Some(Ok(high << 4 | low))
                }
                _broken => Some(Err(whole)),
            },
            (b'%', _cut) => Some(Err(whole)),
            (byte, _) => Some(Ok(*byte)),
        }
    }
}

fn value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_kept_is_told() {
        let text = "a-._~Z9 /+%é";
        assert_eq!(encode(text, b""), "a-._~Z9%20%2F%2B%25%C3%A9");
        assert_eq!(encode(text, b"/"), "a-._~Z9%20/%2B%25%C3%A9");
        assert_eq!(encode_lower(text, b""), "a-._~Z9%20%2f%2b%25%c3%a9");
        assert_eq!(encode_form(text), "a-._~Z9+%2F%2B%25%C3%A9");
    }

    #[test]
    fn a_broken_escape_is_told_or_stays() {
        assert_eq!(decode(b"a%2fb+%2B"), Ok(b"a/b++".to_vec()));
        assert_eq!(decode_form(b"a%2fb+%2B"), Ok(b"a/b +".to_vec()));
        for (text, broken, leniently) in [
            ("a%zz1", "%zz", "a%zz1"),
            ("%", "%", "%"),
            ("%4", "%4", "%4"),
            ("%+f%41", "%+f", "%+fA"),
            ("%%41", "%%4", "%A"),
        ] {
            let told = format!("invalid URL escape {broken:?}");
            assert_eq!(decode(text.as_bytes()), Err(told.clone()), "{text}");
            assert_eq!(decode_form(text.as_bytes()), Err(told), "{text}");
            assert_eq!(decode_leniently(text.as_bytes()), leniently.as_bytes(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_comes_back(text in any::<String>(), kept in "[ -$&-*,-~]{0,4}") {
            for encoded in [encode(&text, kept.as_bytes()), encode_lower(&text, kept.as_bytes())] {
                prop_assert_eq!(decode(encoded.as_bytes()), Ok(text.clone().into_bytes()));
            }
            let form = encode_form(&text);
            prop_assert_eq!(decode_form(form.as_bytes()), Ok(text.clone().into_bytes()));
        }

        #[test]
        fn any_bytes_decode(text in prop::collection::vec(any::<u8>(), 0..60)) {
            let leniently = decode_leniently(&text);
            prop_assert!(leniently.len() <= text.len());
            if let Ok(strictly) = decode(&text) {
                prop_assert_eq!(strictly, leniently);
            }
        }
    }
}
