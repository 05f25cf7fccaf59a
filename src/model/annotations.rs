//! What is said about an alert or a silence.

use super::labels::{Labels, LabelsIter};
use std::collections::BTreeMap;

/// Texts by name, sorted by name. Unlike a label an annotation may be empty and is there all the
/// same: its template came to nothing, and who reads a message finds its key. Clones are cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations(Labels);

impl Annotations {
    /// No annotations.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The set of these pairs. A later pair replaces an earlier one of the same name.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        let sorted: BTreeMap<String, String> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let pairs = sorted.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Self(Labels::with_empty(pairs))
    }

    /// The same with another text for `name`.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        Self::from_pairs(self.iter().chain([(name, value)]))
    }

    /// The text of `name`, `None` when absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)
    }

    /// The text of `name`, empty when absent: how templates see it.
    pub fn value_of(&self, name: &str) -> &str {
        self.0.value_of(name)
    }

    /// Names and texts in order of the names.
    pub fn iter(&self) -> LabelsIter<'_> {
        self.0.iter()
    }

    /// Number of annotations.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of names and texts, for limits.
    pub fn byte_len(&self) -> usize {
        self.0.byte_len()
    }
}

impl<'a> IntoIterator for &'a Annotations {
    type Item = (&'a str, &'a str);
    type IntoIter = LabelsIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_text_is_there() {
        let found = Annotations::from_pairs([("b", "1"), ("a", ""), ("b", "2")]);
        assert_eq!(found.iter().collect::<Vec<_>>(), [("a", ""), ("b", "2")]);
        assert_eq!((found.get("a"), found.get("c"), found.value_of("c")), (Some(""), None, ""));
        assert!(!found.is_empty() && found != Annotations::from_pairs([("b", "2")]));
        let other = found.with("a", "x").with("c", "");
        assert_eq!(other.iter().collect::<Vec<_>>(), [("a", "x"), ("b", "2"), ("c", "")]);
        assert_eq!((Annotations::empty().len(), other.len()), (0, 3));
    }
}
