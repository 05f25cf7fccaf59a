//! Which groups are told by their own name: those that use most.

use crate::ingest::config::ProcessGroupOptions;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Processor time counts half after so long: a group that was busy a moment ago is still told,
/// one that was busy this morning is not.
const HALF_LIFE: Duration = Duration::from_secs(300);
/// A group that is told gives way only to one that uses so much more, lest two that use the same
/// take turns.
const STICKINESS: f64 = 1.25;

/// A group that may be told.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Its name.
    pub(super) name: Arc<str>,
    /// Processor time of late.
    pub(super) cpu: f64,
    /// Resident memory.
    pub(super) memory: f64,
    /// Whether the configuration names it.
    pub(super) is_named: bool,
    /// Whether it was told last.
    pub(super) is_told: bool,
}

/// What is left of a score after `span`.
pub(super) fn decayed(score: f64, span: Duration) -> f64 {
    score * (-span.as_secs_f64() / HALF_LIFE.as_secs_f64()).exp2()
}

/// The names to tell, in the order in which they deserve a closer look.
pub(super) fn told(candidates: &[Candidate], options: &ProcessGroupOptions) -> Vec<Arc<str>> {
    let named = candidates.iter().filter(|one| one.is_named).map(|one| one.name.clone());
    let mut told: Vec<Arc<str>> = named.collect();
    told.extend(top(candidates, options.top_cpu, |one| one.cpu));
    told.extend(top(candidates, options.top_memory, |one| one.memory));
    let mut seen = BTreeSet::new();
    told.retain(|name| seen.insert(name.clone()));
    told
}

fn top(
    candidates: &[Candidate],
    count: usize,
    measure: fn(&Candidate) -> f64,
) -> impl Iterator<Item = Arc<str>> {
    let score = |one: &Candidate| measure(one) * if one.is_told { STICKINESS } else { 1.0 };
    let mut ranked: Vec<(f64, &Candidate)> =
        candidates.iter().map(|one| (score(one), one)).filter(|(score, _)| *score > 0.0).collect();
    ranked.sort_by(|(a, one), (b, other)| b.total_cmp(a).then_with(|| one.name.cmp(&other.name)));
    let names: Vec<Arc<str>> =
        ranked.into_iter().take(count).map(|(_, one)| one.name.clone()).collect();
    names.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &str, cpu: f64, memory: f64) -> Candidate {
        Candidate { name: name.into(), cpu, memory, is_named: false, is_told: false }
    }

    fn options(top_cpu: usize, top_memory: usize) -> ProcessGroupOptions {
        ProcessGroupOptions { top_cpu, top_memory, cpu_share: 1.0, names: Vec::new() }
    }

    #[test]
    fn the_top_of_both_measures_and_the_named_are_told() {
        let mut candidates = [
            candidate("a", 9.0, 1.0),
            candidate("b", 8.0, 9.0),
            candidate("c", 0.0, 8.0),
            candidate("d", 7.0, 0.0),
            candidate("e", 0.0, 0.0),
        ];
        candidates[4].is_named = true;
        let names = |options| -> Vec<String> {
            told(&candidates, &options).iter().map(ToString::to_string).collect()
        };
        assert_eq!(names(options(2, 1)), ["e", "a", "b"]);
        assert_eq!(names(options(0, 2)), ["e", "b", "c"]);
        assert_eq!(names(options(9, 0)), ["e", "a", "b", "d"]);
    }

    #[test]
    fn a_told_group_keeps_its_place_against_a_slightly_larger_one() {
        let mut candidates = [candidate("a", 9.0, 0.0), candidate("b", 10.0, 0.0)];
        assert_eq!(told(&candidates, &options(1, 0)), ["b".into()]);
        candidates[0].is_told = true;
        assert_eq!(told(&candidates, &options(1, 0)), ["a".into()]);
        candidates[1].cpu = 12.0;
        assert_eq!(told(&candidates, &options(1, 0)), ["b".into()]);
    }

    #[test]
    fn processor_time_counts_half_after_five_minutes() {
        assert_eq!(decayed(8.0, Duration::from_secs(300)), 4.0);
        assert_eq!(decayed(8.0, Duration::ZERO), 8.0);
    }
}
