//! Arguments that are matchers or labels, as amtool takes them.

use super::Usage;
use crate::alerts::matchers::{Mode, parse_one};
use crate::model::{Labels, MatchOp, Matcher};

/// The matchers of a command, one an argument; a first one that is none is the name of an alert.
///
/// # Errors
/// Another one that is none.
pub(super) fn of_args(args: &[String]) -> Result<Vec<Matcher>, Usage> {
    let read = |(place, text): (usize, &String)| match parse_one(text, Mode::Fallback) {
        Ok(matcher) => Ok(matcher),
        Err(_) if place == 0 => Ok(Matcher::equal("alertname", text.as_str())),
        Err(err) => Err(Usage(format!(
            "cannot read matcher {text:?}: {err}; write NAME=VALUE, or !=, =~, !~"
        ))),
    };
    args.iter().enumerate().map(read).collect()
}

/// Labels written as `NAME=VALUE`, one an argument.
///
/// # Errors
/// One that is written otherwise.
pub(super) fn labels(args: &[String]) -> Result<Labels, Usage> {
    let read = |text: &String| {
        let matcher = parse_one(text, Mode::Fallback)
            .map_err(|err| Usage(format!("cannot read label {text:?}: {err}")))?;
        if matcher.op() == MatchOp::Equal {
            return Ok((matcher.name().to_owned(), matcher.value().to_owned()));
        }
        Err(Usage(format!("labels must be NAME=VALUE, not {text:?}")))
    };
    let pairs = args.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(Labels::from_pairs(pairs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_first_word_is_the_name_of_an_alert() {
        // Source: prometheus/alertmanager, cli/silence_add.go.
        for (texts, expected) in [
            (&["A", "b=c"][..], &["alertname=\"A\"", "b=\"c\""][..]),
            (&["a b"], &["alertname=\"a b\""]),
            (&["a=~x.*", "b!=\"c d\""], &["a=~\"x.*\"", "b!=\"c d\""]),
        ] {
            let found = of_args(&args(texts)).expect("reads");
            let found: Vec<_> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{texts:?}");
        }
        let err = of_args(&args(&["A", "B"])).expect_err("a second word is none");
        assert!(err.to_string().contains("write NAME=VALUE"), "{err}");
    }

    #[test]
    fn labels_are_pairs() {
        let found = labels(&args(&["a=b", "c=\"d e\""])).expect("reads");
        assert_eq!(found, Labels::from_pairs([("a", "b"), ("c", "d e")]));
        for text in ["a!=b", "a", "{a=b}"] {
            assert!(labels(&args(&[text])).is_err(), "{text}");
        }
    }
}
