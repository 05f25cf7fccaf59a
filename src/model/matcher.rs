//! Label matchers: `name="value"` and its kin.

use super::{Labels, Regex, RegexError};
use std::fmt;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// The operator as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }

    /// Whether the operator takes a regular expression.
    pub const fn is_regex(self) -> bool {
        matches!(self, Self::Regex | Self::NotRegex)
    }

    /// Whether the operator holds when the comparison does.
    pub const fn is_positive(self) -> bool {
        matches!(self, Self::Equal | Self::Regex)
    }
}

/// Why a matcher cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// The regular expression does not compile.
    #[error(transparent)]
    Regex(#[from] RegexError),
}

/// One comparison with one label. An absent label counts as an empty value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    /// Compiled and anchored; present exactly when `op.is_regex()`.
    regex: Option<Regex>,
}

impl Matcher {
    /// The matcher `name op value`.
    ///
    /// # Errors
    /// `value` is not a regular expression although `op` wants one.
    pub fn new(
        name: impl Into<String>,
        op: MatchOp,
        value: impl Into<String>,
    ) -> Result<Self, MatcherError> {
        let value = value.into();
        let regex = if op.is_regex() { Some(Regex::anchored(&value)?) } else { None };
        Ok(Self { name: name.into(), op, value, regex })
    }

    /// The same as Alertmanager has it: the dot of an expression matches no newline.
    /// Source: alertmanager, pkg/labels/matcher.go (NewMatcher).
    ///
    /// # Errors
    /// As `new`.
    pub fn of_alerts(
        name: impl Into<String>,
        op: MatchOp,
        value: impl Into<String>,
    ) -> Result<Self, MatcherError> {
        let value = value.into();
        let regex = if op.is_regex() { Some(Regex::anchored_in_line(&value)?) } else { None };
        Ok(Self { name: name.into(), op, value, regex })
    }

    /// The matcher `name="value"`, which cannot fail.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into(), regex: None }
    }

    /// The label it looks at.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    pub const fn op(&self) -> MatchOp {
        self.op
    }

    /// What it compares with.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The compiled expression, for operators that have one.
    pub const fn regex(&self) -> Option<&Regex> {
        self.regex.as_ref()
    }

    /// Whether a label with this value matches.
    pub fn matches_value(&self, value: &str) -> bool {
        let same = match &self.regex {
            Some(regex) => regex.is_match(value),
            None => self.value == value,
        };
        same == self.op.is_positive()
    }

    /// Whether the label set matches.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matches_value(labels.value_of(&self.name))
    }

    /// Whether a series without the label matches.
    pub fn matches_empty(&self) -> bool {
        self.matches_value("")
    }
}

/// `name="value"`, with Go's quoting.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if super::is_legacy_label_name(&self.name) {
            f.write_str(&self.name)?;
        } else {
            f.write_str(&super::value_text::quoted(&self.name))?;
        }
        write!(f, "{}{}", self.op.as_str(), super::value_text::quoted(&self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_label_is_an_empty_value() {
        let labels = Labels::from_pairs([("a", "x")]);
        for (name, op, value, matches) in [
            ("a", MatchOp::Equal, "x", true),
            ("b", MatchOp::Equal, "", true),
            ("b", MatchOp::NotEqual, "", false),
            ("b", MatchOp::Regex, "x?", true),
            ("a", MatchOp::NotRegex, "x|y", false),
            ("a", MatchOp::Regex, "(?i)X", true),
        ] {
            let matcher = Matcher::new(name, op, value).expect("valid");
            assert_eq!(matcher.matches(&labels), matches, "{matcher}");
        }
    }

    #[test]
    fn a_dot_is_a_newline_in_queries_and_none_about_alerts() {
        // Prometheus compiles ^(?s:a.*)$ and Alertmanager ^(?:a.*)$.
        for (value, query, alert) in
            [("ab", true, true), ("a\nb", true, false), ("\na", false, false), ("a", true, true)]
        {
            let of =
                |made: Result<Matcher, MatcherError>| made.expect("valid").matches_value(value);
            assert_eq!(of(Matcher::new("nl", MatchOp::Regex, "a.*")), query, "{value:?}");
            assert_eq!(of(Matcher::of_alerts("nl", MatchOp::Regex, "a.*")), alert, "{value:?}");
        }
    }
}
