//! Exemplars: where to look further for what a sample counts.

use super::{Labels, Timestamp};

/// Characters of an exemplar's label names and values together at most.
///
/// Source: OpenMetrics 1.0, Exemplars.
pub const EXEMPLAR_CHARS_MAX: usize = 128;

/// One event out of those that a sample counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// How to find it elsewhere: the id of a trace, mostly.
    pub labels: Labels,
    /// What was measured.
    pub value: f64,
    /// When.
    pub ts: Timestamp,
    /// Whether its source said when; else `ts` is the sample's.
    pub has_own_ts: bool,
}

impl Exemplar {
    /// Whether its labels are longer than allowed.
    pub fn is_too_long(&self) -> bool {
        let chars = self
            .labels
            .iter()
            .map(|(name, value)| name.chars().count().saturating_add(value.chars().count()));
        chars.sum::<usize>() > EXEMPLAR_CHARS_MAX
    }

    /// Whether both are the same event: one that came without a time comes again with each scrape.
    ///
    /// Source: prometheus, model/exemplar/exemplar.go (Equals).
    pub fn is_same(&self, other: &Self) -> bool {
        let timed = self.has_own_ts || other.has_own_ts;
        self.labels == other.labels
            && self.value.total_cmp(&other.value).is_eq()
            && (!timed || self.ts == other.ts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exemplar(value: &str) -> Exemplar {
        let labels = Labels::from_pairs([("id", value)]);
        Exemplar { labels, value: 1.0, ts: Timestamp::from_millis(1), has_own_ts: false }
    }

    #[test]
    fn its_labels_have_128_characters_of_any_length() {
        for (value, is_too_long) in
            [("x".repeat(126), false), ("x".repeat(127), true), ("\u{1F980}".repeat(126), false)]
        {
            assert_eq!(exemplar(&value).is_too_long(), is_too_long, "{value}");
        }
    }

    #[test]
    fn without_a_time_of_its_own_it_is_the_same_at_each_scrape() {
        let first = exemplar("a");
        let again = Exemplar { ts: Timestamp::from_millis(2), ..first.clone() };
        assert!(first.is_same(&again) && !first.is_same(&exemplar("b")));
        assert!(!first.is_same(&Exemplar { value: 2.0, ..again.clone() }));
        assert!(!first.is_same(&Exemplar { has_own_ts: true, ..again }));
    }
}
