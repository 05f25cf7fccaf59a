//! Calls to everybody in a channel, `@here` and the like: they work when the configuration has
//! one, and not when a label or an annotation does. Alertmanager lets anybody who can raise an
//! alert call everybody.

use super::sender::Job;
use serde::Serialize;
use serde_json::Value;

/// Words after an `@` that call everybody, in lower case.
const EVERYBODY: [&str; 4] = ["all", "channel", "everyone", "here"];
/// The same after Slack's `<!`. Behind others stand groups of people and dates.
const EVERYBODY_OF_SLACK: [&str; 4] = ["channel", "everyone", "group", "here"];
/// Joins what is beside it, and has no width.
const JOINER: char = '\u{200d}';
/// A space without width.
const NO_SPACE: char = '\u{200b}';

/// Whether a text calls everybody: `<!here>` as Slack writes it, `@here` as people do.
pub(super) fn are_in(text: &str) -> bool {
    tamed(text) != text
}

/// Whether a receiver's own fields call everybody.
pub(super) fn are_in_settings(settings: &impl Serialize) -> bool {
    fn in_value(value: &Value) -> bool {
        match value {
            Value::String(text) => are_in(text),
            Value::Array(items) => items.iter().any(in_value),
            Value::Object(map) => map.values().any(in_value),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    serde_json::to_value(settings).is_ok_and(|value| in_value(&value))
}

/// An expanded text for a channel; `own` says whether the receiver's fields call everybody
/// themselves. If so, or if a template of the user does, nothing is changed.
pub(super) fn said(job: &Job<'_>, own: bool, text: String) -> String {
    if own || job.rendering.calls_everybody() { text } else { tamed(&text) }
}

/// The text with its calls broken by characters that are not seen.
fn tamed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = None;
    for (place, c) in text.char_indices() {
        out.push(c);
        let rest = text.get(place + c.len_utf8()..).unwrap_or_default();
        if c == '<' && calls(rest.strip_prefix('!'), &EVERYBODY_OF_SLACK) {
            out.push(NO_SPACE);
        } else if c == '@' && !before.is_some_and(is_of_word) && calls(Some(rest), &EVERYBODY) {
            out.push(JOINER);
        }
        before = Some(c);
    }
    out
}

/// Whether one of these words, whole, is what follows a mark.
fn calls(rest: Option<&str>, words: &[&str]) -> bool {
    let Some(rest) = rest else { return false };
    words.iter().any(|word| {
        let Some((start, after)) = rest.split_at_checked(word.len()) else { return false };
        start.eq_ignore_ascii_case(word) && !after.chars().next().is_some_and(is_of_word)
    })
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn calls_are_broken_and_addresses_are_not() {
        for (text, expected) in [
            ("<!channel> now", "<\u{200b}!channel> now"),
            ("<!Here|here> <!group>", "<\u{200b}!Here|here> <\u{200b}!group>"),
            ("<!everyone @group", "<\u{200b}!everyone @group"),
            ("<!subteam^S012AB> <!date^1^{date}|x>", "<!subteam^S012AB> <!date^1^{date}|x>"),
            ("hey @here, @Channel!", "hey @\u{200d}here, @\u{200d}Channel!"),
            ("@all-hands <@all>", "@\u{200d}all-hands <@\u{200d}all>"),
            ("@everyone", "@\u{200d}everyone"),
            ("ops@all.example @allison <@U1> a<b! @", "ops@all.example @allison <@U1> a<b! @"),
            ("@h\u{e9}re \u{65e5}@here", "@h\u{e9}re \u{65e5}@here"),
        ] {
            assert_eq!(tamed(text), expected);
            assert_eq!(are_in(text), text != expected);
        }
    }

    proptest! {
        #[test]
        fn a_tamed_text_calls_nobody(text in "[ax<!@_ here\u{65e5}]{0,30}") {
            prop_assert!(!are_in(&tamed(&text)), "{text:?}");
        }
    }
}
