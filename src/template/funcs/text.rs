//! Functions on text.

use crate::model::Regex;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;

/// The longest text that a replacement may make.
const REPLACED_BYTES_MAX: usize = 256 << 10;

/// The first letter of every word large; the others small when `lower`.
///
/// Words end as Unicode has it, in short: letters, digits and `_` belong to a word, and so do an
/// apostrophe, a dot or a colon between letters.
pub(super) fn title(text: &str, lower: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut begun = false;
    let mut before = ' ';
    while let Some(c) = chars.next() {
        let joins = matches!(c, '\'' | '\u{2019}' | '.' | ':')
            && before.is_alphabetic()
            && chars.peek().is_some_and(|next| next.is_alphabetic());
        if c.is_alphabetic() && !begun {
            out.extend(c.to_uppercase());
            begun = true;
        } else if c.is_alphabetic() && lower {
            out.extend(c.to_lowercase());
        } else {
            out.push(c);
            begun &= c.is_alphanumeric() || c == '_' || joins;
        }
        before = c;
    }
    out
}

/// Whether the expression is found in the text.
pub(super) fn matches(pattern: &str, text: &str) -> Result<bool, String> {
    Ok(Regex::searching(pattern).map_err(|err| err.to_string())?.is_match(text))
}

/// The text with every match replaced.
pub(super) fn replace_all(pattern: &str, with: &str, text: &str) -> Result<String, String> {
    let regex =
        Regex::searching(pattern).map_err(|err| format!("regexp: Compile(`{pattern}`): {err}"))?;
    regex
        .replace_all_within(text, with, REPLACED_BYTES_MAX)
        .ok_or_else(|| format!("result longer than {REPLACED_BYTES_MAX} bytes"))
}

/// The URL-safe alphabet, with padding.
pub(super) fn base64_encode(text: &str) -> String {
    URL_SAFE.encode(text)
}

/// As `base64_encode`, back.
pub(super) fn base64_decode(text: &str) -> Result<String, String> {
    let bytes = URL_SAFE.decode(text).map_err(|err| format!("illegal base64 data: {err}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
