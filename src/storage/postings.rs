//! Which series match: matchers over any index of label values, in the head or in a block.
//!
//! A matcher is first taken apart into a step (`Step`): the values that a label may have, as a
//! list wherever the expression is one, and whether series with them stay or go. The step that
//! finds the fewest series comes first; the others only look at what it left.

use super::source::SourceError;
use crate::model::{Matcher, Regex};
use std::sync::Arc;

/// Series by their place in an index, rising.
pub(super) type Ids = Arc<[u32]>;

/// How many times longer than the other a list must be to be searched by leaps.
const LEAP_RATIO: usize = 8;

/// Values of a label that is there.
#[derive(Clone, Debug)]
pub(super) enum Values<'a> {
    /// Each of them.
    All,
    /// These, sorted.
    OneOf(Vec<&'a str>),
    /// Those that match the expression, or those that do not.
    Matching {
        /// The expression.
        regex: &'a Regex,
        /// Whether they match.
        wanted: bool,
    },
}

/// An index from labels to series.
pub(super) trait LabelIndex {
    /// All series.
    fn all(&self) -> Result<Ids, SourceError>;

    /// How many series have the label with one of these values, or more than that; `None` when
    /// only finding them would tell.
    fn count_max(&self, name: &str, values: &Values<'_>) -> Result<Option<usize>, SourceError>;

    /// Series that have the label with one of these values.
    fn with(&self, name: &str, values: &Values<'_>) -> Result<Ids, SourceError>;

    /// Those of `ids` that have the label with one of these values, or those that have not.
    fn narrow(
        &self,
        ids: &Ids,
        name: &str,
        values: &Values<'_>,
        wanted: bool,
    ) -> Result<Ids, SourceError> {
        let found = self.with(name, values)?;
        Ok(if wanted { intersect(ids, &found) } else { subtract(ids, &found) })
    }
}

impl Values<'_> {
    /// Whether `value`, which is not empty, is among them.
    pub(super) fn have(&self, value: &str) -> bool {
        match self {
            Self::All => true,
            Self::OneOf(values) => values.binary_search(&value).is_ok(),
            Self::Matching { regex, wanted } => regex.is_match(value) == *wanted,
        }
    }

    const fn are_none(&self) -> bool {
        matches!(self, Self::OneOf(values) if values.is_empty())
    }

    /// What each of them begins with.
    pub(super) fn prefix(&self) -> &str {
        match self {
            Self::Matching { regex, wanted: true } => regex.literal_prefix().unwrap_or_default(),
            Self::All | Self::OneOf(_) | Self::Matching { .. } => "",
        }
    }
}

/// What a matcher asks of an index.
#[derive(Debug)]
struct Step<'a> {
    name: &'a str,
    values: Values<'a>,
    /// Whether series with these values stay; else they go, and all others stay.
    keeps: bool,
}

/// Series for which all matchers hold.
///
/// A matcher that holds for the empty value holds for series without the label, so it takes away
/// those whose value fails instead of adding those whose value holds.
/// Source: prometheus, tsdb/querier.go (PostingsForMatchers).
pub(super) fn matching(index: &dyn LabelIndex, matchers: &[Matcher]) -> Result<Ids, SourceError> {
    let (keeping, dropping): (Vec<_>, Vec<_>) =
        matchers.iter().filter_map(step).partition(|step| step.keeps);
    let mut ordered = Vec::with_capacity(keeping.len());
    for step in keeping {
        let count = index.count_max(step.name, &step.values)?;
        if count == Some(0) {
            return Ok(Ids::from([]));
        }
        ordered.push((count.unwrap_or(usize::MAX), step));
    }
    ordered.sort_by_key(|(count, step)| (*count, matches!(step.values, Values::All)));
    let mut steps = ordered.into_iter().map(|(_, step)| step).chain(dropping).peekable();
    let mut found = match steps.next_if(|step| step.keeps) {
        Some(first) => index.with(first.name, &first.values)?,
        None => index.all()?,
    };
    for step in steps {
        if found.is_empty() {
            break;
        }
        found = index.narrow(&found, step.name, &step.values, step.keeps)?;
    }
    Ok(found)
}

/// Takes a matcher apart; `None` when it always holds.
fn step(matcher: &Matcher) -> Option<Step<'_>> {
    let holds_for_empty = matcher.matches_empty();
    let values = if matcher.op().is_positive() == holds_for_empty {
        values_apart_from(matcher)
    } else {
        values_compared_with(matcher)
    };
    let drops_nothing = holds_for_empty && values.are_none();
    (!drops_nothing).then_some(Step { name: matcher.name(), values, keeps: !holds_for_empty })
}

/// Values for which the comparison, be it negated or not, finds the same.
fn values_compared_with(matcher: &Matcher) -> Values<'_> {
    let Some(regex) = matcher.regex() else { return Values::OneOf(vec![matcher.value()]) };
    match regex.set_matches() {
        _ if regex.as_str() == ".+" => Values::All,
        Some(set) => {
            let set = set.iter().map(String::as_str);
            Values::OneOf(set.filter(|value| !value.is_empty()).collect())
        }
        None => Values::Matching { regex, wanted: true },
    }
}

/// Values for which a comparison that holds for the empty value does not.
fn values_apart_from(matcher: &Matcher) -> Values<'_> {
    match matcher.regex() {
        None => Values::All,
        Some(regex) if regex.as_str() == ".*" => Values::OneOf(Vec::new()),
        Some(regex) if regex.as_str().is_empty() => Values::All,
        Some(regex) => Values::Matching { regex, wanted: false },
    }
}

/// Series in any of the lists.
pub(super) fn union(mut lists: Vec<Ids>) -> Ids {
    if lists.len() == 1
        && let Some(only) = lists.pop()
    {
        return only;
    }
    let total = lists.iter().map(|list| list.len()).sum();
    let mut all: Vec<u32> = Vec::with_capacity(total);
    lists.iter().for_each(|list| all.extend_from_slice(list));
    // Finds the runs that the lists are and merges them.
    all.sort();
    all.dedup();
    all.into()
}

/// Series in both lists.
pub(super) fn intersect(a: &[u32], b: &[u32]) -> Ids {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let mut rest = Rest::of(long, short.len());
    short.iter().copied().filter(|id| rest.reach(*id)).collect()
}

/// Series in `from` that are not in `what`.
pub(super) fn subtract(from: &[u32], what: &[u32]) -> Ids {
    let mut rest = Rest::of(what, from.len());
    from.iter().copied().filter(|id| !rest.reach(*id)).collect()
}

/// What is left of a list while another is walked beside it.
struct Rest<'a> {
    ids: &'a [u32],
    leaps: bool,
}

impl<'a> Rest<'a> {
    const fn of(ids: &'a [u32], other_len: usize) -> Self {
        Self { ids, leaps: ids.len() / LEAP_RATIO > other_len }
    }

    /// Skips what is below `id`; whether `id` is there. The ids that are asked for rise.
    fn reach(&mut self, id: u32) -> bool {
        let below = if self.leaps {
            self.leap(id)
        } else {
            self.ids.iter().position(|other| *other >= id).unwrap_or(self.ids.len())
        };
        self.ids = self.ids.get(below..).unwrap_or_default();
        self.ids.first() == Some(&id)
    }

    /// How many are below `id`: steps that double, then halves of the last.
    fn leap(&self, id: u32) -> usize {
        let mut step = 1;
        while self.ids.get(step).is_some_and(|other| *other < id) {
            step *= 2;
        }
        let start = step / 2;
        let within = self.ids.get(start..self.ids.len().min(step + 1)).unwrap_or_default();
        start + within.partition_point(|other| *other < id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Labels, MatchOp};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

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
        fn count_max(&self, name: &str, values: &Values<'_>) -> Result<Option<usize>, SourceError> {
            let counted = matches!(values, Values::OneOf(_));
            Ok(counted.then(|| self.with(name, values).unwrap().len()))
        }
        fn with(&self, name: &str, values: &Values<'_>) -> Result<Ids, SourceError> {
            Ok(self.ids(|labels| labels.get(name).is_some_and(|value| values.have(value))))
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
            Just("[xz]"),
            Just("[xz]?"),
            Just("x.*"),
            Just("y.+|")
        ];
        ("[ab]", op, value).prop_map(|(name, op, value)| Matcher::new(name, op, value).unwrap())
    }

    proptest! {
        #[test]
        fn postings_find_what_matching_each_series_finds(
            sets in proptest::collection::vec(
                proptest::collection::btree_map("[ab]", "[xyz]{1,2}", 0..3), 0..20),
            matchers in proptest::collection::vec(matcher(), 1..4),
        ) {
            let index = Plain(sets.into_iter().map(Labels::from_pairs).collect());
            let expected = index.ids(|labels| matchers.iter().all(|m| m.matches(labels)));
            prop_assert_eq!(matching(&index, &matchers).unwrap(), expected);
        }

        #[test]
        fn lists_meet_as_sets_do(
            a in proptest::collection::btree_set(0_u32..300, 0..200),
            b in proptest::collection::btree_set(0_u32..300, 0..200),
            few in proptest::collection::btree_set(0_u32..300, 0..4),
        ) {
            let list = |set: &BTreeSet<u32>| set.iter().copied().collect::<Ids>();
            for (a, b) in [(&a, &b), (&a, &few), (&few, &a)] {
                let (first, second) = (list(a), list(b));
                prop_assert_eq!(intersect(&first, &second), list(&(a & b)));
                prop_assert_eq!(subtract(&first, &second), list(&(a - b)));
                prop_assert_eq!(union(vec![first, second]), list(&(a | b)));
            }
        }
    }
}
