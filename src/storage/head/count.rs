//! Counting series that have a value at an instant, group by group: what `count by (__name__)`
//! asks for, without labels of each series, and for most without their samples.

use super::series::Series;
use super::snapshot::{HeadSeries, plain_has_value};
use super::symbols::Symbol;
use super::table::{PairId, Table};
use super::{Head, State};
use crate::model::{Labels, METRIC_NAME, Matcher, TimeRange, is_stale_nan};
use crate::storage::postings::matching;
use crate::storage::source::{Columns, CountBy, SourceError};
use rustc_hash::FxHashMap;

impl Head {
    /// Counts series whose newest sample in `range` is no staleness marker; groups by labels, in
    /// no order. `None` when late samples or damage are in the way: the series have to be read.
    ///
    /// # Errors
    /// More than `series_max` match.
    pub(crate) fn count(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
        by: CountBy<'_>,
        series_max: usize,
    ) -> Result<Option<Vec<(Labels, u64)>>, SourceError> {
        if self.has_late(range) {
            return Ok(None);
        }
        let (mut groups, unread) = self.count_seen(range, matchers, by, series_max)?;
        let (from, to) = (range.from().as_millis(), range.to().as_millis());
        let mut columns = Columns::default();
        for (group, series) in unread {
            if let Some(has_value) = series.has_value(from, to) {
                if has_value {
                    groups.add(group);
                }
                continue;
            }
            columns.clear();
            if !series.read(from, to, &mut columns).is_empty() {
                return Ok(None);
            }
            if columns.values.last().is_some_and(|value| !is_stale_nan(*value)) {
                groups.add(group);
            }
        }
        Ok(Some(groups.counted()))
    }

    /// Counts what the newest samples tell; the others follow with their groups.
    fn count_seen(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
        by: CountBy<'_>,
        series_max: usize,
    ) -> Result<(Groups, Vec<(usize, HeadSeries)>), SourceError> {
        let (from, to) = (range.from().as_millis(), range.to().as_millis());
        let state = self.state();
        let mut groups = Groups::new(&state.table, by);
        let places = matching(&state.table, matchers)?;
        let reads = state.reads(places.len());
        let (mut found, mut unread) = (0, Vec::new());
        for place in places.iter() {
            let Some(series) = state.table.at_place(*place) else { continue };
            if !state.overlaps(series, from, to) {
                continue;
            }
            found += 1;
            if found > series_max {
                return Err(SourceError::TooManySeries { limit: series_max });
            }
            let group = groups.of(&state.table, series);
            match state.has_value(series, from, to) {
                Some(true) => groups.add(group),
                Some(false) => {}
                None => unread
                    .push((group, state.snapshot(series, Labels::empty(), (from, to), &reads))),
            }
        }
        Ok((groups, unread))
    }
}

impl State {
    /// Whether the newest sample with `from <= ts <= to` is there and no staleness marker, as far
    /// as the series tells without its samples.
    fn has_value(&self, series: &Series, from: i64, to: i64) -> Option<bool> {
        if self.deleted.contains_key(&series.number) {
            return None;
        }
        let from = self.read_from.map_or(from, |start| start.max(from));
        let (last, bits) = series.last()?;
        if last <= to {
            return Some(last >= from && !is_stale_nan(f64::from_bits(bits)));
        }
        let open = &series.open;
        let is_in_open = open.min().is_some_and(|min| min <= to) && open.is_plain();
        if is_in_open { plain_has_value(last, from, to) } else { None }
    }
}

/// Groups of series, and how many were counted in each.
struct Groups {
    names: Vec<Symbol>,
    without: bool,
    places: FxHashMap<Box<[PairId]>, usize>,
    groups: Vec<(Labels, u64)>,
    key: Vec<PairId>,
}

impl Groups {
    fn new(table: &Table, by: CountBy<'_>) -> Self {
        let metric_name = by.without.then_some(METRIC_NAME);
        let names = by.labels.iter().map(String::as_str).chain(metric_name);
        Self {
            names: names.filter_map(|name| table.symbols.find(name)).collect(),
            without: by.without,
            places: FxHashMap::default(),
            groups: Vec::new(),
            key: Vec::new(),
        }
    }

    /// The group of a series.
    fn of(&mut self, table: &Table, series: &Series) -> usize {
        self.key.clear();
        if !self.without && self.names.is_empty() {
            // All are in one. Empty keys are slow to compare: memcmp is handed an address where
            // nothing is.
            if self.groups.is_empty() {
                self.groups.push((Labels::empty(), 0));
            }
            return 0;
        }
        if self.without {
            let kept =
                |id: &PairId| table.name_of(*id).is_some_and(|name| !self.names.contains(&name));
            self.key.extend(series.pairs().filter(kept));
        } else {
            let kept =
                |id: &PairId| table.name_of(*id).is_some_and(|name| self.names.contains(&name));
            self.key.extend(series.pairs().filter(kept).take(self.names.len()));
        }
        if let Some(place) = self.places.get(self.key.as_slice()) {
            return *place;
        }
        let place = self.groups.len();
        self.places.insert(self.key.as_slice().into(), place);
        self.groups.push((Labels::from_sorted(table.texts_of(self.key.iter().copied())), 0));
        place
    }

    fn add(&mut self, group: usize) {
        if let Some((_, count)) = self.groups.get_mut(group) {
            *count += 1;
        }
    }

    fn counted(self) -> Vec<(Labels, u64)> {
        self.groups.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{STALE_NAN_BITS, Timestamp};
    use crate::storage::append::Commit;
    use crate::storage::head::tests::{disk, head_on};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const START: i64 = 1_750_000_000_000;
    /// Two in a row without a sample, and a chunk is not plain.
    const STEP: i64 = 25_000;

    fn labels(series: usize) -> Labels {
        let pairs = [("__name__", format!("m{}", series % 2)), ("job", format!("j{}", series % 3))];
        Labels::from_pairs(pairs.into_iter().chain((series > 3).then(|| ("x", "1".to_owned()))))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn counts_are_those_of_reading_each_series(
            steps in proptest::collection::vec(proptest::collection::vec(0_u8..6, 6), 1..300),
            checkpoint in 0_usize..300,
            at in 0_i64..310,
            lookback in 1_i64..20,
        ) {
            let head = head_on(&disk());
            for (step, kinds) in (0_i64..).zip(&steps) {
                let ts = Timestamp::from_millis(START + step * STEP);
                let samples = kinds.iter().enumerate().filter(|(_, kind)| **kind > 0);
                let one = |(series, kind): (usize, &u8)| {
                    let value = if *kind == 1 { f64::from_bits(STALE_NAN_BITS) } else { f64::from(*kind) };
                    (labels(series), ts, value)
                };
                head.commit(&Commit::of(samples.map(one)), false).unwrap();
                if usize::try_from(step).is_ok_and(|step| step == checkpoint) {
                    head.checkpoint().unwrap();
                }
            }
            let to = START + at * STEP;
            let range = TimeRange::new(
                Timestamp::from_millis(to - lookback * STEP + 1),
                Timestamp::from_millis(to),
            ).unwrap();
            let job = ["job".to_owned()];
            for by in [
                CountBy { labels: &[], without: false },
                CountBy { labels: &job, without: false },
                CountBy { labels: &job, without: true },
            ] {
                let mut expected: BTreeMap<Labels, u64> = BTreeMap::new();
                for series in head.select(range, &[], usize::MAX).unwrap() {
                    let mut columns = Columns::default();
                    series.read(range.from().as_millis(), to, &mut columns);
                    if columns.values.last().is_some_and(|value| !is_stale_nan(*value)) {
                        let listed = |name: &str| by.labels.iter().any(|label| label == name);
                        let group = series.labels.filtered(|name| {
                            if by.without { name != METRIC_NAME && !listed(name) } else { listed(name) }
                        });
                        *expected.entry(group).or_default() += 1;
                    }
                }
                let counted = head.count(range, &[], by, usize::MAX).unwrap().expect("nothing is late");
                prop_assert_eq!(counted.into_iter().collect::<BTreeMap<_, _>>(), expected);
            }
        }
    }

    #[test]
    fn more_series_than_allowed_are_refused() {
        let head = head_on(&disk());
        let ts = Timestamp::from_millis(START);
        head.commit(&Commit::of((0..3).map(|series| (labels(series), ts, 1.0))), false).unwrap();
        let by = CountBy { labels: &[], without: false };
        assert!(matches!(
            head.count(TimeRange::ALL, &[], by, 2),
            Err(SourceError::TooManySeries { limit: 2 })
        ));
    }
}
