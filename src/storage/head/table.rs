//! The head's table: series in a slab, found by number, by labels, or through postings.

use super::series::Series;
use super::symbols::{NumberMap, Symbol, Symbols};
use crate::model::Labels;
use crate::storage::codec::{Reader, put_varint};
use crate::storage::postings::{Ids, LabelIndex, union};
use crate::storage::source::SourceError;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

/// Bits of a series number that are its place in the slab; the generation stands above.
const PLACE_BITS: u32 = 24;

/// Places of the slab at most.
pub(super) const PLACES_MAX: usize = 1 << PLACE_BITS;

/// The table.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) symbols: Symbols,
    slots: Vec<Option<Series>>,
    free: Vec<u32>,
    next_generation: u64,
    by_hash: NumberMap<u64, u32>,
    /// Places of series whose hash another series has already.
    clashes: Vec<u32>,
    /// Label name, label value, places of series.
    postings: NumberMap<Symbol, NumberMap<Symbol, Vec<u32>>>,
    hasher: RandomState,
    count: usize,
}

/// The place that a number holds.
pub(super) const fn place_of(number: u64) -> u32 {
    let [a, b, c, ..] = number.to_le_bytes();
    u32::from_le_bytes([a, b, c, 0])
}

fn at(place: u32) -> usize {
    usize::try_from(place).expect("32 bits fit")
}

impl Table {
    /// Number of series.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// The series of this number, if it is still here.
    pub(super) fn get(&self, number: u64) -> Option<&Series> {
        let series = self.slots.get(at(place_of(number)))?.as_ref()?;
        (series.number == number).then_some(series)
    }

    /// As `get`.
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Series> {
        let series = self.slots.get_mut(at(place_of(number)))?.as_mut()?;
        (series.number == number).then_some(series)
    }

    /// The series at this place.
    pub(super) fn at_place(&self, place: u32) -> Option<&Series> {
        self.slots.get(at(place))?.as_ref()
    }

    /// All series.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Series> {
        self.slots.iter().flatten()
    }

    /// All series.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Series> {
        self.slots.iter_mut().flatten()
    }

    /// The hash by which `find` looks.
    pub(super) fn hash(&self, labels: &Labels) -> u64 {
        self.hasher.hash_one(labels)
    }

    /// The number of the series with these labels.
    pub(super) fn find(&self, labels: &Labels, hash: u64) -> Option<u64> {
        let first = self.at_place(*self.by_hash.get(&hash)?)?;
        if self.has_labels(first, labels) {
            return Some(first.number);
        }
        let others = self.clashes.iter().filter_map(|place| self.at_place(*place));
        others
            .filter(|series| series.hash == hash)
            .find(|series| self.has_labels(series, labels))
            .map(|series| series.number)
    }

    /// Numbers that the next new series will have, without end.
    pub(super) fn next_numbers(&self) -> impl Iterator<Item = u64> + use<'_> {
        let fresh = u32::try_from(self.slots.len()).expect("places are fewer than 2^24");
        let places = self.free.iter().rev().copied().chain(fresh..);
        (self.next_generation..)
            .zip(places)
            .map(|(generation, place)| (generation << PLACE_BITS) | u64::from(place))
    }

    /// The generation that the next series gets.
    pub(super) const fn next_generation(&self) -> u64 {
        self.next_generation
    }

    /// Never gives a generation below this one.
    pub(super) fn raise_generation(&mut self, to: u64) {
        self.next_generation = self.next_generation.max(to);
    }

    /// Puts a series under its number. A series that held the place before is gone: its number
    /// was given up before this one was made. When the labels are here already under another
    /// number, nothing is put.
    pub(super) fn insert(&mut self, number: u64, labels: &Labels) -> Option<&mut Series> {
        let hash = self.hash(labels);
        if let Some(found) = self.find(labels, hash) {
            return if found == number { self.get_mut(number) } else { None };
        }
        let place = place_of(number);
        self.remove_place(place);
        if self.slots.len() <= at(place) {
            let fresh = u32::try_from(self.slots.len()).expect("places are fewer than 2^24");
            self.free.extend(fresh..place);
            self.slots.resize_with(at(place) + 1, || None);
        } else if let Some(freed) = self.free.iter().rposition(|free| *free == place) {
            self.free.remove(freed);
        }
        self.raise_generation((number >> PLACE_BITS) + 1);
        let mut coded = Vec::new();
        for (name, value) in labels {
            let (name, value) = (self.symbols.acquire(name), self.symbols.acquire(value));
            put_varint(&mut coded, u64::from(name));
            put_varint(&mut coded, u64::from(value));
            let places = self.postings.entry(name).or_default().entry(value).or_default();
            if let Err(slot) = places.binary_search(&place) {
                places.insert(slot, place);
            }
        }
        if *self.by_hash.entry(hash).or_insert(place) != place {
            self.clashes.push(place);
        }
        self.count += 1;
        let slot = self.slots.get_mut(at(place))?;
        Some(slot.insert(Series::new(number, hash, coded.into())))
    }

    /// Removes series for which `gone` holds; returns their numbers.
    pub(super) fn remove_where(&mut self, gone: impl Fn(&Series) -> bool) -> Vec<u64> {
        let numbers: Vec<u64> =
            self.iter().filter(|series| gone(series)).map(|series| series.number).collect();
        for number in &numbers {
            self.remove_place(place_of(*number));
        }
        numbers
    }

    /// The labels of a series.
    pub(super) fn labels(&self, series: &Series) -> Labels {
        Labels::from_sorted(
            self.pairs(series).map(|(n, v)| (self.symbols.text(n), self.symbols.text(v))),
        )
    }

    /// Label names, their values, and the places of series that have them.
    pub(super) fn labels_and_places(&self) -> impl Iterator<Item = (&str, &str, &[u32])> {
        self.postings.iter().flat_map(move |(name, values)| {
            values.iter().map(move |(value, places)| {
                (self.symbols.text(*name), self.symbols.text(*value), places.as_slice())
            })
        })
    }

    /// Label names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.postings.keys().map(|name| self.symbols.text(*name))
    }

    /// Values of a label.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.symbols.find(name).and_then(|name| self.postings.get(&name));
        values.into_iter().flatten().map(|(value, _)| self.symbols.text(*value))
    }

    fn pairs<'a>(&self, series: &'a Series) -> impl Iterator<Item = (Symbol, Symbol)> + use<'a> {
        let mut reader = Reader::new(&series.labels);
        std::iter::from_fn(move || {
            let name = Symbol::try_from(reader.varint()?).ok()?;
            Some((name, Symbol::try_from(reader.varint()?).ok()?))
        })
    }

    fn has_labels(&self, series: &Series, labels: &Labels) -> bool {
        let ours = self.pairs(series).map(|(n, v)| (self.symbols.text(n), self.symbols.text(v)));
        ours.eq(labels.iter())
    }

    fn remove_place(&mut self, place: u32) {
        let Some(series) = self.slots.get_mut(at(place)).and_then(Option::take) else { return };
        self.count -= 1;
        self.free.push(place);
        let pairs: Vec<_> = self.pairs(&series).collect();
        for (name, value) in pairs {
            self.remove_posting(name, value, place);
            self.symbols.release(name);
            self.symbols.release(value);
        }
        if self.by_hash.get(&series.hash) == Some(&place) {
            self.by_hash.remove(&series.hash);
            self.promote_clash(series.hash);
        } else {
            self.clashes.retain(|clash| *clash != place);
        }
    }

    fn remove_posting(&mut self, name: Symbol, value: Symbol, place: u32) {
        let Some(values) = self.postings.get_mut(&name) else { return };
        if let Some(places) = values.get_mut(&value) {
            if let Ok(slot) = places.binary_search(&place) {
                places.remove(slot);
            }
            if places.is_empty() {
                values.remove(&value);
            }
        }
        if values.is_empty() {
            self.postings.remove(&name);
        }
    }

    fn promote_clash(&mut self, hash: u64) {
        let same = |place: &u32| self.at_place(*place).is_some_and(|series| series.hash == hash);
        if let Some(slot) = self.clashes.iter().position(same) {
            let place = self.clashes.swap_remove(slot);
            self.by_hash.insert(hash, place);
        }
    }
}

impl LabelIndex for Table {
    fn all(&self) -> Result<Ids, SourceError> {
        Ok(self.iter().map(|series| place_of(series.number)).collect())
    }

    fn with(&self, name: &str, value: &str) -> Result<Ids, SourceError> {
        let find = || {
            let values = self.postings.get(&self.symbols.find(name)?)?;
            Some(Ids::from(values.get(&self.symbols.find(value)?)?.as_slice()))
        };
        Ok(find().unwrap_or_else(|| Ids::from([])))
    }

    fn with_any(&self, name: &str, holds: &dyn Fn(&str) -> bool) -> Result<Ids, SourceError> {
        let values = self.symbols.find(name).and_then(|name| self.postings.get(&name));
        let lists = values
            .into_iter()
            .flatten()
            .filter(|(value, _)| holds(self.symbols.text(**value)))
            .map(|(_, places)| Ids::from(places.as_slice()));
        Ok(union(lists.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(value: &str) -> Labels {
        Labels::from_pairs([("__name__", "m"), ("v", value)])
    }

    #[test]
    fn a_number_outlives_no_series_although_its_place_does() {
        let mut table = Table::default();
        let first = table.next_numbers().next().unwrap();
        table.insert(first, &labels("a")).unwrap();
        let hash = table.hash(&labels("a"));
        assert_eq!(table.find(&labels("a"), hash), Some(first));
        assert_eq!(table.remove_where(|_| true), [first]);
        let second = table.next_numbers().next().unwrap();
        assert_eq!(place_of(second), place_of(first));
        table.insert(second, &labels("b")).unwrap();
        assert!(table.get(first).is_none() && table.get(second).is_some());
        assert_eq!(table.symbols.find("a"), None);
        assert_eq!(table.with("v", "b").unwrap().as_ref(), [place_of(second)]);
        assert_eq!(table.labels(table.get(second).unwrap()), labels("b"));
    }

    #[test]
    fn numbers_come_in_the_order_in_which_they_were_announced() {
        let mut table = Table::default();
        let announced: Vec<u64> = table.next_numbers().take(3).collect();
        for (number, value) in announced.iter().zip(["a", "b", "c"]) {
            table.insert(*number, &labels(value)).unwrap();
        }
        table.remove_where(|series| series.number == announced[1]);
        let next: Vec<u64> = table.next_numbers().take(2).collect();
        assert_eq!(next.iter().map(|n| place_of(*n)).collect::<Vec<_>>(), [1, 3]);
    }
}
