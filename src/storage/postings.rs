//! Which series match: matchers over any index of label values, in the head or in a block.

use super::source::SourceError;
use crate::model::{MatchOp, Matcher};
use std::sync::Arc;

/// Series by their place in an index, rising.
pub(super) type Ids = Arc<[u32]>;

/// An index from labels to series.
pub(super) trait LabelIndex {
    /// All series.
    fn all(&self) -> Result<Ids, SourceError>;

    /// Series with this label.
    fn with(&self, name: &str, value: &str) -> Result<Ids, SourceError>;

    /// Series that have the label `name` with a value for which `holds`.
    fn with_any(&self, name: &str, holds: &dyn Fn(&str) -> bool) -> Result<Ids, SourceError>;
}

/// Series for which all matchers hold.
///
/// A matcher that holds for the empty value holds for series without the label, so it takes away
/// those whose value fails instead of adding those whose value holds.
/// Source: prometheus, tsdb/querier.go (PostingsForMatchers).
pub(super) fn matching(index: &dyn LabelIndex, matchers: &[Matcher]) -> Result<Ids, SourceError> {
    let mut found: Option<Ids> = None;
    let (subtracting, adding): (Vec<_>, Vec<_>) = matchers.iter().partition(|m| m.matches_empty());
    for matcher in adding {
        let ids = holding(index, matcher)?;
        let both = match found {
            Some(before) => intersect(&before, &ids),
            None => ids,
        };
        if both.is_empty() {
            return Ok(both);
        }
        found = Some(both);
    }
    let mut found = match found {
        Some(found) => found,
        None => index.all()?,
    };
    for matcher in subtracting {
        let failing = index.with_any(matcher.name(), &|value| !matcher.matches_value(value))?;
        found = subtract(&found, &failing);
    }
    Ok(found)
}

fn holding(index: &dyn LabelIndex, matcher: &Matcher) -> Result<Ids, SourceError> {
    match matcher.op() {
        MatchOp::Equal => index.with(matcher.name(), matcher.value()),
        MatchOp::Regex => match literals(matcher.value()) {
            Some(values) => {
                let lists = values.into_iter().map(|value| index.with(matcher.name(), value));
                Ok(union(lists.collect::<Result<_, _>>()?))
            }
            None => index.with_any(matcher.name(), &|value| matcher.matches_value(value)),
        },
        MatchOp::NotEqual | MatchOp::NotRegex => {
            index.with_any(matcher.name(), &|value| matcher.matches_value(value))
        }
    }
}

/// The alternatives of an expression that is nothing but literals joined by `|`.
fn literals(expression: &str) -> Option<Vec<&str>> {
    let special = |c: char| "\\.+*?()[]{}^$".contains(c);
    (!expression.contains(special)).then(|| expression.split('|').collect())
}

/// Series in any of the lists.
pub(super) fn union(mut lists: Vec<Ids>) -> Ids {
    if lists.len() == 1
        && let Some(only) = lists.pop()
    {
        return only;
    }
    let mut all: Vec<u32> = lists.iter().flat_map(|list| list.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    all.into()
}

fn intersect(a: &[u32], b: &[u32]) -> Ids {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if long.len() / 16 > short.len() {
        return short.iter().copied().filter(|id| long.binary_search(id).is_ok()).collect();
    }
    let mut rest = long.iter().peekable();
    short
        .iter()
        .copied()
        .filter(|id| {
            while rest.next_if(|other| *other < id).is_some() {}
            rest.peek() == Some(&id)
        })
        .collect()
}

fn subtract(from: &[u32], what: &[u32]) -> Ids {
    let mut rest = what.iter().peekable();
    from.iter()
        .copied()
        .filter(|id| {
            while rest.next_if(|other| *other < id).is_some() {}
            rest.peek() != Some(&id)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Labels;
    use proptest::prelude::*;

    /// Looks at every series: slow and plain, as an oracle should be.
    struct Plain(Vec<Labels>);

    impl Plain {
        fn ids(&self, holds: impl Fn(&Labels) -> bool) -> Ids {
            let all = (0_u32..).zip(&self.0);
            all.filter(|(_, labels)| holds(labels)).map(|(id, _)| id).collect()
        }
    }

    impl LabelIndex for Plain {
        fn all(&self) -> Result<Ids, SourceError> {
            Ok(self.ids(|_| true))
        }
        fn with(&self, name: &str, value: &str) -> Result<Ids, SourceError> {
            Ok(self.ids(|labels| labels.get(name) == Some(value)))
        }
        fn with_any(&self, name: &str, holds: &dyn Fn(&str) -> bool) -> Result<Ids, SourceError> {
            Ok(self.ids(|labels| labels.get(name).is_some_and(holds)))
        }
    }

    fn matcher() -> impl Strategy<Value = Matcher> {
        let op = prop_oneof![
            Just(MatchOp::Equal),
            Just(MatchOp::NotEqual),
            Just(MatchOp::Regex),
            Just(MatchOp::NotRegex)
        ];
        let value = prop_oneof![
            Just(""),
            Just("x"),
            Just("x|y"),
            Just("x|"),
            Just(".*"),
            Just(".+"),
            Just("[xz]")
        ];
        ("[ab]", op, value).prop_map(|(name, op, value)| Matcher::new(name, op, value).unwrap())
    }

    proptest! {
        #[test]
        fn postings_find_what_matching_each_series_finds(
            sets in proptest::collection::vec(
                proptest::collection::btree_map("[ab]", "[xyz]", 0..3), 0..20),
            matchers in proptest::collection::vec(matcher(), 1..4),
        ) {
            let index = Plain(sets.into_iter().map(Labels::from_pairs).collect());
            let expected = index.ids(|labels| matchers.iter().all(|m| m.matches(labels)));
            prop_assert_eq!(matching(&index, &matchers).unwrap(), expected);
        }
    }
}
