//! Names of labels and metrics written in the characters of the classic grammar.

use std::borrow::Cow;

/// Undoes `U__`: `_2e_` is the character 0x2e and `__` an underscore. A name that is not escaped
/// in this way stays as it is.
///
/// Source: prometheus/common, model/metric.go (UnescapeName, ValueEncodingEscaping).
pub fn unescaped_name(name: &str) -> Cow<'_, str> {
    let Some(escaped) = name.strip_prefix("U__") else { return Cow::Borrowed(name) };
    decoded(escaped).map_or(Cow::Borrowed(name), Cow::Owned)
}

fn decoded(escaped: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = escaped;
    while let Some((plain, after)) = rest.split_once('_') {
        out.push_str(plain);
        if let Some(after) = after.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let (code, after) = after.split_once('_')?;
        // Six hex digits hold the last code point; a sign would pass `from_str_radix`.
        if code.len() > 6 || !code.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        out.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn t74_escaped_names_are_read_back() {
        for (escaped, name) in [
            ("job", "job"),
            ("U__a_2e_b", "a.b"),
            ("U__a__b", "a_b"),
            ("U__http_2e_status_3a_sum", "http.status:sum"),
            ("U__bad_zz_", "U__bad_zz_"),
            ("U__open_2e", "U__open_2e"),
            ("U___1f600_", "\u{1f600}"),
        ] {
            assert_eq!(unescaped_name(escaped), name, "{escaped}");
        }
    }

    proptest! {
        #[test]
        fn any_name_is_read(name in "(U__)?.{0,40}") {
            unescaped_name(&name);
        }
    }
}
