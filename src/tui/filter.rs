//! The filter of the alert list: words, label comparisons, `state:z`, `sev>=warn`, `age<1h`,
//! `@receiver=x`, each of which `!` negates. All must hold.

use super::data::{AlertView, Severity, state_word};
use crate::model::{MatchOp, Matcher, Timestamp, duration};
use std::time::Duration;

/// A filter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    terms: Vec<(bool, Term)>,
}

#[derive(Clone, Debug)]
enum Term {
    Word(String),
    Label(Matcher),
    State(String),
    AtLeast(Severity),
    Younger(Duration),
    Older(Duration),
    Receiver(String),
}

impl Filter {
    /// The filter that `text` says; a term that cannot be read is a word.
    pub(crate) fn parse(text: &str) -> Self {
        let terms = text.split_whitespace().map(|word| match word.strip_prefix('!') {
            Some(rest) if !rest.is_empty() => (false, Term::parse(rest)),
            Some(_) | None => (true, Term::parse(word)),
        });
        Self { terms: terms.collect() }
    }

    /// Whether `alert` passes.
    pub(crate) fn matches(&self, alert: &AlertView, now: Timestamp) -> bool {
        self.terms.iter().all(|(wanted, term)| term.matches(alert, now) == *wanted)
    }
}

/// The matcher that `word` is: `name=value`, or with `=~`, `!=`, `!~`; `None` when it is none.
///
/// # Errors
/// Its regular expression cannot be read.
pub(crate) fn matcher(word: &str) -> Option<Result<Matcher, String>> {
    let at = word.find(['=', '!'])?;
    let (name, rest) = word.split_at_checked(at)?;
    let ops = [MatchOp::Regex, MatchOp::NotRegex, MatchOp::NotEqual, MatchOp::Equal];
    let (op, value) = ops.into_iter().find_map(|op| Some((op, rest.strip_prefix(op.as_str())?)))?;
    if name.is_empty() {
        return None;
    }
    Some(Matcher::new(name, op, value.trim_matches('"')).map_err(|err| err.to_string()))
}

impl Term {
    fn parse(word: &str) -> Self {
        Self::special(word)
            .or_else(|| matcher(word)?.ok().map(Self::Label))
            .unwrap_or_else(|| Self::Word(word.to_lowercase()))
    }

    fn special(word: &str) -> Option<Self> {
        if let Some(state) = word.strip_prefix("state:") {
            return Some(Self::State(state.to_lowercase()));
        }
        if let Some(severity) = word.strip_prefix("sev>=") {
            return Some(Self::AtLeast(Severity::of(severity)));
        }
        if let Some(age) = word.strip_prefix("age<") {
            return duration::parse(age).ok().map(Self::Younger);
        }
        if let Some(age) = word.strip_prefix("age>") {
            return duration::parse(age).ok().map(Self::Older);
        }
        word.strip_prefix("@receiver=").map(|name| Self::Receiver(name.to_owned()))
    }

    fn matches(&self, alert: &AlertView, now: Timestamp) -> bool {
        let age = || alert.since.map_or(Duration::ZERO, |since| now.since(since));
        match self {
            Self::Word(word) => {
                let has = |text: &str| text.to_lowercase().contains(word.as_str());
                alert.row.labels.iter().any(|(_, value)| has(value)) || has(&alert.summary())
            }
            Self::Label(matcher) => matcher.matches(&alert.row.labels),
            Self::State(state) => {
                let words = [alert.state_word(), state_word(alert.row.state)];
                alert.mark() == state || words.iter().any(|word| word.starts_with(state))
            }
            Self::AtLeast(severity) => alert.severity <= *severity,
            Self::Younger(limit) => age() < *limit,
            Self::Older(limit) => age() > *limit,
            Self::Receiver(name) => alert.row.receivers.iter().any(|found| found.contains(name)),
        }
    }
}
