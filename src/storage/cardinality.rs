//! Which labels make many series: counts of pairs, ranked.

use super::{Ranking, TsdbStats};
use crate::model::METRIC_NAME;
use std::collections::HashMap;

/// Counts of series by label name and value. Of several places that have a pair the largest count
/// stays: the series are mostly the same.
#[derive(Debug, Default)]
pub(super) struct Cardinality {
    names: HashMap<String, HashMap<String, u64>>,
}

impl Cardinality {
    /// Notes that so many series have a pair.
    pub(super) fn add(&mut self, name: &str, value: &str, count: u64) {
        if !self.names.contains_key(name) {
            self.names.insert(name.to_owned(), HashMap::new());
        }
        let Some(values) = self.names.get_mut(name) else { return };
        match values.get_mut(value) {
            Some(known) => *known = count.max(*known),
            None => {
                values.insert(value.to_owned(), count);
            }
        }
    }

    /// Fills the rankings, each with `limit` places.
    pub(super) fn rank(&self, stats: &mut TsdbStats, limit: usize) {
        for (name, values) in &self.names {
            stats.label_pairs += values.len() as u64;
            stats.values_by_label.push((name.clone(), values.len() as u64));
            let bytes: usize = values.keys().map(String::len).sum();
            stats.bytes_by_label.push((name.clone(), bytes as u64));
            let pairs = values.iter().map(|(value, count)| (format!("{name}={value}"), *count));
            stats.series_by_pair.extend(pairs);
            if name == METRIC_NAME {
                let metrics = values.iter().map(|(value, count)| (value.clone(), *count));
                stats.series_by_metric.extend(metrics);
            }
        }
        let rankings = [
            &mut stats.series_by_metric,
            &mut stats.values_by_label,
            &mut stats.bytes_by_label,
            &mut stats.series_by_pair,
        ];
        rankings.into_iter().for_each(|ranking| keep_largest(ranking, limit));
    }
}

/// Sorts a ranking, the largest first, and keeps `limit` places.
pub(super) fn keep_largest(ranking: &mut Ranking, limit: usize) {
    ranking.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    ranking.truncate(limit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_first_and_a_pair_counts_once() {
        let mut counts = Cardinality::default();
        for (name, value, count) in
            [("__name__", "up", 3), ("__name__", "down", 5), ("__name__", "up", 4), ("job", "a", 8)]
        {
            counts.add(name, value, count);
        }
        let mut stats = TsdbStats::default();
        counts.rank(&mut stats, 2);
        assert_eq!(stats.label_pairs, 3);
        let ranking = |list: &[(&str, u64)]| -> Ranking {
            list.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
        };
        assert_eq!(stats.series_by_metric, ranking(&[("down", 5), ("up", 4)]));
        assert_eq!(stats.values_by_label, ranking(&[("__name__", 2), ("job", 1)]));
        assert_eq!(stats.series_by_pair, ranking(&[("job=a", 8), ("__name__=down", 5)]));
    }
}
