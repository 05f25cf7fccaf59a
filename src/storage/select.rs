//! One series out of its parts: head and blocks, joined in order of time.

use super::block::BlockSeries;
use super::head::{HeadSelection, HeadSeries, LateSeries};
use super::source::{Columns, Known, SelectedSamples, SelectedSeries, SourceError};
use crate::model::{Labels, TimeRange};
use std::sync::Arc;

/// Samples of one series in one place.
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// In a block.
    Block(BlockSeries),
    /// In the head.
    Head(HeadSeries),
    /// In the head, out of order.
    Late(LateSeries),
}

impl Part {
    /// The series' labels.
    pub(super) const fn labels(&self) -> &Labels {
        match self {
            Self::Block(part) => &part.labels,
            Self::Head(part) => &part.labels,
            Self::Late(part) => &part.labels,
        }
    }

    /// Of two samples of one time that of the lower rank is read: what came in order before what
    /// came late, whether a block has it yet or not.
    fn rank(&self) -> u8 {
        match self {
            Self::Block(part) if part.is_cut() => 0,
            Self::Head(_) => 1,
            Self::Block(_) => 2,
            Self::Late(_) => 3,
        }
    }

    fn read(&self, from: i64, to: i64, out: &mut Columns) -> Vec<String> {
        match self {
            Self::Block(part) => part.read(from, to, out),
            Self::Head(part) => part.read(from, to, out),
            Self::Late(part) => {
                part.read(from, to, out);
                Vec::new()
            }
        }
    }
}

/// One series with all its parts.
#[derive(Clone, Debug)]
pub(super) struct Joined {
    pub(super) labels: Labels,
    parts: Vec<Part>,
}

impl Joined {
    /// Appends samples with `from <= ts <= to` to `out`, one a timestamp; says what could not be
    /// read.
    pub(super) fn read_into(&self, from: i64, to: i64, out: &mut Columns) -> Vec<String> {
        let start = out.len();
        let mut warnings = Vec::new();
        let mut known = Known::default();
        for part in &self.parts {
            let before = out.len();
            out.known = Known::default();
            warnings.extend(part.read(from, to, out));
            known = out.known_from(start, known, before);
            let last = before.checked_sub(1).filter(|last| *last >= start);
            let last = last.and_then(|last| out.ts.get(last).copied());
            let first = out.ts.get(before).copied();
            if let (Some(last), Some(first)) = (last, first)
                && first <= last
            {
                interleave(out, start, before);
                known = Known::default();
            }
        }
        out.known = known;
        debug_assert!(known.is_true_of(out, start), "BUG: samples are not what is known of them");
        warnings
    }
}

impl SelectedSamples for Vec<Joined> {
    fn read(
        &self,
        number: usize,
        range: TimeRange,
        out: &mut Columns,
    ) -> Result<Vec<String>, SourceError> {
        let (from, to) = (range.from().as_millis(), range.to().as_millis());
        Ok(self.get(number).map(|one| one.read_into(from, to, out)).unwrap_or_default())
    }
}

/// Merges `out[start..middle]` and `out[middle..]`, each in order; of two samples of one time the
/// first part's stays.
fn interleave(out: &mut Columns, start: usize, middle: usize) {
    let take = |columns: &Columns, from: usize, to: usize| -> Vec<(i64, f64)> {
        let pairs = columns.ts.iter().copied().zip(columns.values.iter().copied());
        pairs.skip(from).take(to - from).collect()
    };
    let first = take(out, start, middle);
    let second = take(out, middle, out.len());
    out.ts.truncate(start);
    out.values.truncate(start);
    let (mut a, mut b) = (first.into_iter().peekable(), second.into_iter().peekable());
    loop {
        let next = match (a.peek(), b.peek()) {
            (Some((ta, _)), Some((tb, _))) if ta < tb => a.next(),
            (Some((ta, _)), Some((tb, _))) if ta > tb => b.next(),
            (Some(_), Some(_)) => {
                b.next();
                a.next()
            }
            (Some(_), None) => a.next(),
            (None, _) => b.next(),
        };
        let Some((ts, value)) = next else { return };
        out.push(ts, value);
    }
}

/// Parts that a series has for a few hours: the head's and a block's or two.
const PARTS_USUAL: usize = 3;

/// Joins parts of the same series; sorted by labels. Parts of one rank keep their order, which is
/// that of time.
pub(super) fn join(parts: Vec<Part>) -> Vec<Joined> {
    // Sorted by reference: parts are large, and sorting moves them many times.
    let mut order: Vec<(usize, &Part)> = parts.iter().enumerate().collect();
    order
        .sort_by(|(_, a), (_, b)| a.labels().cmp(b.labels()).then_with(|| a.rank().cmp(&b.rank())));
    let order: Vec<usize> = order.into_iter().map(|(place, _)| place).collect();
    let mut parts: Vec<Option<Part>> = parts.into_iter().map(Some).collect();
    let mut joined: Vec<Joined> = Vec::with_capacity(parts.len());
    for place in order {
        let Some(part) = parts.get_mut(place).and_then(Option::take) else { continue };
        match joined.last_mut() {
            Some(last) if last.labels == *part.labels() => last.parts.push(part),
            Some(_) | None => {
                let labels = part.labels().clone();
                let mut parts = Vec::with_capacity(PARTS_USUAL);
                parts.push(part);
                joined.push(Joined { labels, parts });
            }
        }
    }
    joined
}

/// Series as those who asked for them get them.
pub(super) fn selected(joined: Vec<Joined>) -> Vec<SelectedSeries> {
    let joined = Arc::new(joined);
    let each = joined.iter().enumerate();
    let each = each.map(|(number, one)| {
        SelectedSeries::new(one.labels.clone(), Arc::<Vec<Joined>>::clone(&joined), number)
    });
    each.collect()
}

/// As `selected`, of series of the head that have nothing beside them.
pub(super) fn selected_of_head(
    HeadSelection { series, order }: HeadSelection,
) -> Vec<SelectedSeries> {
    let series = Arc::new(series);
    let each = order.into_iter().filter_map(|number| {
        let labels = series.get(number)?.labels.clone();
        Some(SelectedSeries::new(labels, Arc::<Vec<HeadSeries>>::clone(&series), number))
    });
    each.collect()
}

impl SelectedSamples for Vec<HeadSeries> {
    fn read(
        &self,
        number: usize,
        range: TimeRange,
        out: &mut Columns,
    ) -> Result<Vec<String>, SourceError> {
        let (from, to) = (range.from().as_millis(), range.to().as_millis());
        Ok(self.get(number).map(|one| one.read(from, to, out)).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn interleaving_is_a_union_in_order(
            a in proptest::collection::btree_map(0_i64..50, 0_i32..9, 0..20),
            b in proptest::collection::btree_map(0_i64..50, 0_i32..9, 0..20),
        ) {
            let mut out = Columns::default();
            out.push(-1, 0.0);
            for (ts, value) in a.iter().chain(&b) {
                out.push(*ts, f64::from(*value));
            }
            interleave(&mut out, 1, 1 + a.len());
            let mut union: BTreeMap<i64, i32> = b;
            union.extend(a);
            prop_assert_eq!(&out.ts[1..], union.keys().copied().collect::<Vec<_>>());
            let values: Vec<f64> = union.values().map(|value| f64::from(*value)).collect();
            prop_assert_eq!(&out.values[1..], values);
        }
    }
}
