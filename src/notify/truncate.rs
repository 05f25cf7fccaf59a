//! Cutting texts to what a service takes, as upstream does.
//!
//! Source: prometheus/alertmanager, notify/util.go (TruncateInRunes, TruncateInBytes).

/// Stands for what was cut; three bytes.
const MARK: &str = "\u{2026}";

/// At most `max` characters; the last is a mark when something was cut and `max` is above 3.
pub(super) fn runes(text: &str, max: usize) -> String {
    if text.chars().nth(max).is_none() {
        return text.to_owned();
    }
    if max <= 3 {
        return text.chars().take(max).collect();
    }
    text.chars().take(max - 1).chain(MARK.chars()).collect()
}

/// At most `max` bytes; the last three are a mark when something was cut, or points where there
/// is no room for it.
pub(super) fn bytes(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    if max < MARK.len() {
        return ".".repeat(max);
    }
    let mut out = head(text, max - MARK.len()).to_owned();
    out.push_str(MARK);
    out
}

/// The whole characters within the first `max` bytes.
pub(super) fn head(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or_default()
}

/// A body with a text in it, of at most `max` bytes: where it is longer, the text is cut as little
/// as need be. It is longer still when all else in it is.
pub(super) fn fitting(text: &str, max: usize, body: &dyn Fn(&str) -> String) -> String {
    let whole = body(text);
    if whole.len() <= max {
        return whole;
    }
    // How much a text grows when it is escaped is not known before.
    let (mut fits, mut too_long) = (0, text.len().min(max));
    while fits + 1 < too_long {
        let between = usize::midpoint(fits, too_long);
        if body(&bytes(text, between)).len() <= max {
            fits = between;
        } else {
            too_long = between;
        }
    }
    body(&bytes(text, fits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_are_cut_as_upstream_cuts_them() {
        // Upstream's own cases, notify/util_test.go.
        for (text, max, in_runes, in_bytes) in [
            ("", 5, "", ""),
            ("abcde", 2, "ab", ".."),
            ("abcde", 3, "abc", "\u{2026}"),
            ("abcde", 4, "abc\u{2026}", "a\u{2026}"),
            ("abcde", 5, "abcde", "abcde"),
            ("abcdefgh", 5, "abcd\u{2026}", "ab\u{2026}"),
            ("a\u{2318}cde", 5, "a\u{2318}cde", "a\u{2026}"),
            ("a\u{2318}cdef", 5, "a\u{2318}cd\u{2026}", "a\u{2026}"),
            ("\u{65e5}\u{672c}\u{8a9e}", 8, "\u{65e5}\u{672c}\u{8a9e}", "\u{65e5}\u{2026}"),
            ("x", 0, "", ""),
        ] {
            assert_eq!(runes(text, max), in_runes, "{text:?} to {max} runes");
            assert_eq!(bytes(text, max), in_bytes, "{text:?} to {max} bytes");
        }
    }

    proptest! {
        #[test]
        fn no_cut_text_is_too_long(text in ".{0,40}", max in 0_usize..50) {
            prop_assert!(runes(&text, max).chars().count() <= max);
            prop_assert!(bytes(&text, max).len() <= max);
            let body = fitting(&text, max + 2, &|text| format!("<{}>", text.replace('a', "&lt;")));
            prop_assert!(body.len() <= max + 2, "{body:?}");
            prop_assert!(head(&text, max).len() <= max && text.starts_with(head(&text, max)));
        }
    }
}
