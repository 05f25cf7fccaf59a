//! Records of new series: each text once, each pair of name and value once, then series as lists
//! of pairs.

use crate::storage::codec::{Reader, Steps, put_text, put_varint};
use rustc_hash::FxHashMap;
use std::ops::Range;

/// Labels of one series that a reader believes in; far above any limit of a writer.
const LABELS_MAX: usize = 1 << 16;

/// Collects the texts and pairs of one record.
#[derive(Debug, Default)]
pub(crate) struct SeriesWriter<'a> {
    texts: FxHashMap<&'a str, u64>,
    pairs: FxHashMap<(u64, u64), u64>,
    text_bytes: Vec<u8>,
    pair_bytes: Vec<u8>,
    series_bytes: Vec<u8>,
    numbers: Steps,
    count: u64,
}

impl<'a> SeriesWriter<'a> {
    /// Adds a series.
    pub(crate) fn put(
        &mut self,
        number: u64,
        labels: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) {
        self.numbers.put(&mut self.series_bytes, number);
        put_varint(&mut self.series_bytes, labels.clone().count() as u64);
        for (name, value) in labels {
            let key = (self.text(name), self.text(value));
            let next = self.pairs.len() as u64;
            let pair = *self.pairs.entry(key).or_insert(next);
            if pair == next {
                put_varint(&mut self.pair_bytes, key.0);
                put_varint(&mut self.pair_bytes, key.1);
            }
            put_varint(&mut self.series_bytes, pair);
        }
        self.count += 1;
    }

    /// Whether there is no series.
    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends the record's payload.
    pub(crate) fn finish(self, out: &mut Vec<u8>) {
        put_varint(out, self.texts.len() as u64);
        out.extend_from_slice(&self.text_bytes);
        put_varint(out, self.pairs.len() as u64);
        out.extend_from_slice(&self.pair_bytes);
        put_varint(out, self.count);
        out.extend_from_slice(&self.series_bytes);
    }

    fn text(&mut self, text: &'a str) -> u64 {
        let next = self.texts.len() as u64;
        let id = *self.texts.entry(text).or_insert(next);
        if id == next {
            put_text(&mut self.text_bytes, text);
        }
        id
    }
}

/// A record of new series as it was read.
#[derive(Debug, Default)]
pub(crate) struct SeriesRecord<'a> {
    /// Pairs of name and value, each once.
    pub(crate) pairs: Vec<(&'a str, &'a str)>,
    numbers: Vec<(u64, Range<usize>)>,
    ids: Vec<u32>,
}

impl<'a> SeriesRecord<'a> {
    /// Reads a record; `None` when the bytes make no sense. Each series is a label set: sorted,
    /// and without empty values.
    pub(crate) fn read(payload: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        let texts: Vec<&str> =
            (0..reader.count()?).map(|_| reader.text()).collect::<Option<_>>()?;
        let pairs: Vec<(&str, &str)> = (0..reader.count()?)
            .map(|_| {
                let (name, value) = (*texts.get(reader.number()?)?, *texts.get(reader.number()?)?);
                (!value.is_empty()).then_some((name, value))
            })
            .collect::<Option<_>>()?;
        let ranks = name_ranks(&pairs);
        let mut record = Self { pairs, ..Self::default() };
        let mut numbers = Steps::default();
        for _ in 0..reader.count()? {
            let number = numbers.get(&mut reader)?;
            let start = record.ids.len();
            let mut above = 0;
            for _ in 0..reader.count().filter(|count| *count <= LABELS_MAX)? {
                let id = reader.number()?;
                let rank = *ranks.get(id)?;
                if rank <= above {
                    return None;
                }
                above = rank;
                record.ids.push(u32::try_from(id).ok()?);
            }
            record.numbers.push((number, start..record.ids.len()));
        }
        Some(record)
    }

    /// How many series a record says it has, without reading them; nought when it makes no sense.
    /// No more than the payload has bytes.
    pub(crate) fn count_in(payload: &[u8]) -> usize {
        let count = || {
            let mut reader = Reader::new(payload);
            for _ in 0..reader.count()? {
                reader.text()?;
            }
            for _ in 0..reader.count()?.checked_mul(2)? {
                reader.varint()?;
            }
            reader.count()
        };
        count().unwrap_or_default()
    }

    /// The series: number, and places in `pairs`.
    pub(crate) fn series(&self) -> impl Iterator<Item = (u64, &[u32])> {
        let ids = |range: &Range<usize>| self.ids.get(range.clone()).unwrap_or_default();
        self.numbers.iter().map(move |(number, range)| (*number, ids(range)))
    }
}

/// For each pair the place of its name among the names, from 1.
fn name_ranks(pairs: &[(&str, &str)]) -> Vec<usize> {
    let mut names: Vec<&str> = pairs.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    let ranks: FxHashMap<&str, usize> = names.into_iter().zip(1..).collect();
    pairs.iter().map(|(name, _)| ranks.get(name).copied().unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Labels;
    use proptest::prelude::*;

    /// The labels of a series of the record; asserts that they are a label set.
    fn labels(record: &SeriesRecord<'_>, ids: &[u32]) -> Labels {
        Labels::from_sorted(ids.iter().map(|id| record.pairs[*id as usize]))
    }

    proptest! {
        #[test]
        fn series_come_back(sets in proptest::collection::vec(
            (any::<u64>(), proptest::collection::btree_map("[a-c]{1,2}", "[x-z]{1,3}", 0..4)),
            0..9,
        )) {
            let all: Vec<(u64, Labels)> =
                sets.into_iter().map(|(number, set)| (number, Labels::from_pairs(set))).collect();
            let mut writer = SeriesWriter::default();
            for (number, labels) in &all {
                writer.put(*number, labels.iter());
            }
            let mut out = Vec::new();
            writer.finish(&mut out);
            prop_assert_eq!(SeriesRecord::count_in(&out), all.len());
            let record = SeriesRecord::read(&out).unwrap();
            let back: Vec<(u64, Labels)> =
                record.series().map(|(number, ids)| (number, labels(&record, ids))).collect();
            prop_assert_eq!(back, all);
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes: Vec<u8>, at in 0_usize..60, flip: u8) {
            let _ = SeriesRecord::read(&bytes);
            prop_assert!(SeriesRecord::count_in(&bytes) <= bytes.len());
            let mut writer = SeriesWriter::default();
            writer.put(9, [("a", "x"), ("b", "y")].into_iter());
            let mut out = Vec::new();
            writer.finish(&mut out);
            if let Some(byte) = out.get_mut(at) {
                *byte ^= flip;
            }
            if let Some(record) = SeriesRecord::read(&out) {
                record.series().for_each(|(_, ids)| drop(labels(&record, ids)));
            }
        }
    }
}
