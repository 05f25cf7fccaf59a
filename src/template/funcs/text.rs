//! Functions on text.

use crate::model::Regex;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;

/// The longest text that a replacement may make; of most templates the limits are lower.
const REPLACED_BYTES_MAX: usize = 32 << 20;

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
            out.extend(title_case(c));
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

/// A letter as a word begins: of one that becomes several, the first alone is large.
fn title_case(c: char) -> impl Iterator<Item = char> {
    let digraph = [("\u{1c4}\u{1c5}\u{1c6}", '\u{1c5}'), ("\u{1c7}\u{1c8}\u{1c9}", '\u{1c8}')]
        .into_iter()
        .chain([("\u{1ca}\u{1cb}\u{1cc}", '\u{1cb}'), ("\u{1f1}\u{1f2}\u{1f3}", '\u{1f2}')])
        .find_map(|(forms, title)| forms.contains(c).then_some(title));
    let mut upper = c.to_uppercase();
    let first = upper.next().map(|first| digraph.unwrap_or(first));
    first.into_iter().chain(upper.flat_map(char::to_lowercase))
}

/// Large letters as Go makes them: one for each, or none other where that takes several.
pub(super) fn upper(text: &str) -> String {
    text.chars().map(|c| single(c.to_uppercase(), c)).collect()
}

/// Small letters in the same way.
pub(super) fn lower(text: &str) -> String {
    let small = |c: char| match c {
        '\u{130}' => 'i',
        c => single(c.to_lowercase(), c),
    };
    text.chars().map(small).collect()
}

fn single(mut mapped: impl Iterator<Item = char>, otherwise: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(only), None) => only,
        (_, _) => otherwise,
    }
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
