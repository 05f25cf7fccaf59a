//! The head's table: series in a slab, found by number, by labels, or through postings.
//!
//! A label, a pair of name and value, is one entry with a number; a series is a list of such
//! numbers, and a posting list hangs at each. What a series costs here beside its slot: about 20
//! bytes of labels, 10 in the table of hashes, 15 in posting lists.

use super::places::Places;
use super::series::Series;
use super::symbols::{NumberMap, Symbol, Symbols};
use crate::model::Labels;
use crate::storage::codec::put_varint;
use crate::storage::postings::{Ids, LabelIndex, Values, intersect, subtract, union};
use crate::storage::source::SourceError;
use hashbrown::HashTable;
use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

/// Bits of a series number that are its place in the slab; the generation stands above.
const PLACE_BITS: u32 = 24;

/// Places of the slab at most.
pub(super) const PLACES_MAX: usize = 1 << PLACE_BITS;

/// What it costs to ask one series for a label, in numbers of a posting list.
const SERIES_COST: usize = 32;

/// What it costs to try an expression on a value and to join the list of it, likewise.
const VALUE_COST: usize = 64;

/// Slots of one page of the slab: it grows by pages, not by doubling, and pages without a series
/// take no room.
pub(super) const PAGE_SLOTS: usize = 512;

/// Places of a gap that are free, those before its end; what lies before them waits for a restart.
/// A checkpoint has gaps where series are gone.
const GAP_MAX: u32 = 1 << 16;

/// The number of a pair of name and value.
pub(super) type PairId = u32;

/// The table.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) symbols: Symbols,
    pages: Vec<Vec<Option<Series>>>,
    free: BTreeSet<u32>,
    next_generation: u64,
    /// Places, by the hash of labels.
    by_hash: HashTable<u32>,
    pairs: Vec<Option<Pair>>,
    free_pairs: Vec<PairId>,
    /// Name, value, pair.
    by_text: NumberMap<Symbol, NumberMap<Symbol, PairId>>,
    hasher: RandomState,
    count: usize,
}

#[derive(Debug)]
struct Pair {
    name: Symbol,
    value: Symbol,
    /// Of both texts.
    hash: u64,
    places: Places,
}

/// The generation that a number holds: later series have higher ones.
pub(super) const fn generation_of(number: u64) -> u64 {
    number >> PLACE_BITS
}

/// The place that a number holds.
pub(super) const fn place_of(number: u64) -> u32 {
    let [a, b, c, ..] = number.to_le_bytes();
    u32::from_le_bytes([a, b, c, 0])
}

fn at(place: u32) -> usize {
    usize::try_from(place).expect("32 bits fit")
}

/// Adds the hash of a pair to that of the pairs before it. Those are keyed, so that no client can
/// make series clash.
const fn join_hash(hash: u64, pair: u64) -> u64 {
    (hash.rotate_left(5) ^ pair).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn slot(pages: &[Vec<Option<Series>>], place: u32) -> Option<&Series> {
    pages.get(at(place) / PAGE_SLOTS)?.get(at(place) % PAGE_SLOTS)?.as_ref()
}

fn hash_of(all: &[Option<Pair>], pairs: impl Iterator<Item = PairId>) -> u64 {
    let hashes = pairs.filter_map(|id| Some(all.get(at(id))?.as_ref()?.hash));
    hashes.fold(0, join_hash)
}

/// The hash of the series at a place, for a table of hashes that grows.
fn hash_at(pages: &[Vec<Option<Series>>], all: &[Option<Pair>], place: u32) -> u64 {
    slot(pages, place).map_or(0, |series| hash_of(all, series.pairs()))
}

impl Table {
    /// Number of series.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// The series of this number, if it is still here.
    pub(super) fn get(&self, number: u64) -> Option<&Series> {
        let series = self.at_place(place_of(number))?;
        (series.number == number).then_some(series)
    }

    /// As `get`.
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Series> {
        let series = self.slot_mut(place_of(number))?.as_mut()?;
        (series.number == number).then_some(series)
    }

    /// The series at this place.
    pub(super) fn at_place(&self, place: u32) -> Option<&Series> {
        slot(&self.pages, place)
    }

    /// As `at_place`.
    pub(super) fn at_place_mut(&mut self, place: u32) -> Option<&mut Series> {
        self.slot_mut(place)?.as_mut()
    }

    /// One more than the highest place.
    pub(super) fn places_end(&self) -> u32 {
        let full = self.pages.len().saturating_sub(1) * PAGE_SLOTS;
        let last = self.pages.last().map_or(0, Vec::len);
        u32::try_from(full + last).expect("places are fewer than 2^24")
    }

    /// All series.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Series> {
        self.pages.iter().flatten().flatten()
    }

    /// The hash by which `find` looks.
    pub(super) fn hash(&self, labels: &Labels) -> u64 {
        labels.iter().fold(0, |hash, (name, value)| join_hash(hash, self.pair_hash(name, value)))
    }

    /// The number of the series with these labels.
    pub(super) fn find(&self, labels: &Labels, hash: u64) -> Option<u64> {
        self.find_where(hash, |series| self.texts(series).eq(labels.iter()))
    }

    /// Numbers that the next new series will have, without end.
    pub(super) fn next_numbers(&self) -> impl Iterator<Item = u64> + use<'_> {
        let places = self.free.iter().copied().chain(self.places_end()..);
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
    /// number, nothing is put, and that number is the error.
    pub(super) fn insert(&mut self, number: u64, labels: &Labels) -> Result<&mut Series, u64> {
        let pairs: Vec<PairId> = labels.iter().map(|(n, v)| self.pair(n, v)).collect();
        self.insert_pairs(number, &pairs)
    }

    /// As `insert`, with the labels as numbers from `pair`, in order of names. Whatever comes of
    /// it, the numbers without a series must go by `forget_unused`; `insert` needs none.
    pub(super) fn insert_pairs(
        &mut self,
        number: u64,
        pairs: &[PairId],
    ) -> Result<&mut Series, u64> {
        let hash = self.hash_of(pairs.iter().copied());
        let same = |series: &Series| series.pairs().eq(pairs.iter().copied());
        match self.find_where(hash, same) {
            None => {}
            Some(found) if found == number => return self.get_mut(number).ok_or(found),
            Some(found) => return Err(found),
        }
        let place = place_of(number);
        let before = self.unlink(place).map(|(_, pairs)| pairs);
        self.take_place(place);
        self.raise_generation(generation_of(number) + 1);
        let mut coded = Vec::with_capacity(pairs.len() * 3);
        for pair in pairs {
            put_varint(&mut coded, u64::from(*pair));
            if let Some(pair) = self.pair_mut(*pair) {
                pair.places.insert(place);
            }
        }
        // Not sooner: the new series may have some of them.
        before.into_iter().flatten().for_each(|pair| self.forget_unused(pair));
        let Self { by_hash, pages, pairs, .. } = self;
        by_hash.insert_unique(hash, place, |place| hash_at(pages, pairs, *place));
        self.count += 1;
        let slot = self.slot_mut(place).expect("the place was taken");
        Ok(slot.insert(Series::new(number, coded.into())))
    }

    /// The number of a pair, made when it is new.
    pub(super) fn pair(&mut self, name: &str, value: &str) -> PairId {
        if let Some(pair) = self.find_pair(name, value) {
            return pair;
        }
        let hash = self.pair_hash(name, value);
        let (name, value) = (self.symbols.acquire(name), self.symbols.acquire(value));
        let made = Some(Pair { name, value, hash, places: Places::default() });
        let id = self.free_pairs.pop().unwrap_or_else(|| {
            self.pairs.push(None);
            PairId::try_from(self.pairs.len() - 1).expect("far fewer than 2^32 labels")
        });
        if let Some(slot) = self.pairs.get_mut(at(id)) {
            *slot = made;
        }
        self.by_text.entry(name).or_default().insert(value, id);
        id
    }

    /// Forgets the pair if no series has it.
    pub(super) fn forget_unused(&mut self, id: PairId) {
        let Some(slot) = self.pairs.get_mut(at(id)) else { return };
        let Some(pair) = slot.take_if(|pair| pair.places.is_empty()) else { return };
        self.free_pairs.push(id);
        if let Some(values) = self.by_text.get_mut(&pair.name) {
            values.remove(&pair.value);
            if values.is_empty() {
                self.by_text.remove(&pair.name);
            }
        }
        self.symbols.release(pair.name);
        self.symbols.release(pair.value);
    }

    /// Makes room for so many series at once.
    pub(super) fn reserve(&mut self, series: usize) {
        let Self { by_hash, pages, pairs, .. } = self;
        by_hash.reserve(series, |place| hash_at(pages, pairs, *place));
    }

    /// Removes the series at this place; its number.
    pub(super) fn remove_place(&mut self, place: u32) -> Option<u64> {
        let (number, pairs) = self.unlink(place)?;
        pairs.into_iter().for_each(|pair| self.forget_unused(pair));
        Some(number)
    }
    /// The labels of a series.
    pub(super) fn labels(&self, series: &Series) -> Labels {
        Labels::from_sorted(self.texts(series))
    }

    /// As `labels`, with room to work in, for who makes many.
    pub(super) fn labels_in(&self, text: &mut String, series: &Series) -> Labels {
        Labels::from_sorted_in(text, self.texts(series))
    }

    /// Names and values of a series.
    pub(super) fn texts<'a>(
        &'a self,
        series: &'a Series,
    ) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
        self.texts_of(series.pairs())
    }

    /// Names and values of pairs.
    pub(super) fn texts_of<'a>(
        &'a self,
        pairs: impl Iterator<Item = PairId> + Clone + 'a,
    ) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
        let pairs = pairs.filter_map(|id| self.pair_at(id));
        pairs.map(|pair| (self.symbols.text(pair.name), self.symbols.text(pair.value)))
    }

    /// The name of a pair.
    pub(super) fn name_of(&self, id: PairId) -> Option<Symbol> {
        self.pair_at(id).map(|pair| pair.name)
    }

    /// Names and values of a series, as symbols.
    pub(super) fn symbols_of(&self, series: &Series) -> impl Iterator<Item = (Symbol, Symbol)> {
        series.pairs().filter_map(|id| self.pair_at(id)).map(|pair| (pair.name, pair.value))
    }

    /// Label names, their values, and how many series have them.
    pub(super) fn labels_and_counts(&self) -> impl Iterator<Item = (&str, &str, u32)> {
        let pairs = self.pairs.iter().flatten();
        pairs.map(|pair| {
            let texts = (self.symbols.text(pair.name), self.symbols.text(pair.value));
            (texts.0, texts.1, pair.places.len())
        })
    }

    /// Label names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_text.keys().map(|name| self.symbols.text(*name))
    }

    /// Values of a label.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values_of(name).map(|(value, _)| self.symbols.text(value))
    }

    /// For each pair its place in the order of names and values: series compare by these as they
    /// do by labels.
    pub(super) fn ranks(&self) -> Vec<u32> {
        let used = (0..).zip(&self.pairs).filter(|(_, pair)| pair.is_some());
        let mut ids: Vec<PairId> = used.map(|(id, _)| id).collect();
        let text = |id: &PairId| {
            let pair = self.pairs.get(at(*id))?.as_ref()?;
            Some((self.symbols.text(pair.name), self.symbols.text(pair.value)))
        };
        ids.sort_unstable_by(|a, b| text(a).cmp(&text(b)));
        let mut ranks = vec![0; self.pairs.len()];
        for (rank, id) in (0..).zip(ids) {
            if let Some(slot) = ranks.get_mut(at(id)) {
                *slot = rank;
            }
        }
        ranks
    }

    fn values_of(&self, name: &str) -> impl Iterator<Item = (Symbol, PairId)> {
        let values = self.symbols.find(name).and_then(|name| self.by_text.get(&name));
        values.into_iter().flatten().map(|(value, pair)| (*value, *pair))
    }

    fn find_pair(&self, name: &str, value: &str) -> Option<PairId> {
        let values = self.by_text.get(&self.symbols.find(name)?)?;
        values.get(&self.symbols.find(value)?).copied()
    }

    fn find_where(&self, hash: u64, same: impl Fn(&Series) -> bool) -> Option<u64> {
        let is = |place: &u32| self.at_place(*place).is_some_and(&same);
        let place = self.by_hash.find(hash, is)?;
        Some(self.at_place(*place)?.number)
    }

    fn pair_hash(&self, name: &str, value: &str) -> u64 {
        self.hasher.hash_one((name, value))
    }

    fn hash_of(&self, pairs: impl Iterator<Item = PairId>) -> u64 {
        hash_of(&self.pairs, pairs)
    }

    /// The pair of a series with this name.
    fn pair_of(&self, series: &Series, name: Symbol) -> Option<(PairId, &Pair)> {
        let mut pairs = series.pairs().filter_map(|id| Some((id, self.pair_at(id)?)));
        pairs.find(|(_, pair)| pair.name == name)
    }

    fn pair_at(&self, id: PairId) -> Option<&Pair> {
        self.pairs.get(at(id))?.as_ref()
    }

    fn values_count(&self, name: &str) -> usize {
        let values = self.symbols.find(name).and_then(|name| self.by_text.get(&name));
        values.map_or(0, NumberMap::len)
    }

    fn pair_mut(&mut self, id: PairId) -> Option<&mut Pair> {
        self.pairs.get_mut(at(id))?.as_mut()
    }

    fn slot_mut(&mut self, place: u32) -> Option<&mut Option<Series>> {
        self.pages.get_mut(at(place) / PAGE_SLOTS)?.get_mut(at(place) % PAGE_SLOTS)
    }

    /// Makes the slot of this place, and takes it off the free ones.
    fn take_place(&mut self, place: u32) {
        self.free.remove(&place);
        let end = self.places_end();
        self.free.extend(end.max(place.saturating_sub(GAP_MAX))..place);
        let (page, slot) = (at(place) / PAGE_SLOTS, at(place) % PAGE_SLOTS);
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, Vec::new);
        }
        if let Some(page) = self.pages.get_mut(page) {
            page.reserve_exact(PAGE_SLOTS - page.len());
            page.resize_with(page.len().max(slot + 1), || None);
        }
    }

    /// Takes a series out; its number, and its pairs, which may be unused now.
    fn unlink(&mut self, place: u32) -> Option<(u64, Vec<PairId>)> {
        let series = self.slot_mut(place)?.take()?;
        self.count -= 1;
        self.free.insert(place);
        let pairs: Vec<PairId> = series.pairs().collect();
        let hash = self.hash_of(pairs.iter().copied());
        for id in &pairs {
            if let Some(pair) = self.pair_mut(*id) {
                pair.places.remove(place);
            }
        }
        if let Ok(entry) = self.by_hash.find_entry(hash, |other| *other == place) {
            entry.remove();
        }
        Some((series.number, pairs))
    }

    fn ids(&self, pair: PairId) -> Ids {
        let mut ids = Vec::new();
        if let Some(pair) = self.pair_at(pair) {
            ids.reserve_exact(at(pair.places.len()));
            pair.places.write_to(&mut ids);
        }
        ids.into()
    }
}

impl LabelIndex for Table {
    fn all(&self) -> Result<Ids, SourceError> {
        Ok(self.iter().map(|series| place_of(series.number)).collect())
    }

    fn count_max(&self, name: &str, values: &Values<'_>) -> Result<Option<usize>, SourceError> {
        let Values::OneOf(values) = values else { return Ok(None) };
        let pairs = values.iter().filter_map(|value| self.find_pair(name, value));
        Ok(Some(pairs.filter_map(|id| self.pair_at(id)).map(|pair| at(pair.places.len())).sum()))
    }

    fn with(&self, name: &str, values: &Values<'_>) -> Result<Ids, SourceError> {
        let found: Vec<Ids> = match values {
            Values::OneOf(values) => {
                let pairs = values.iter().filter_map(|value| self.find_pair(name, value));
                pairs.map(|pair| self.ids(pair)).collect()
            }
            Values::All | Values::Matching { .. } => {
                let all = self.values_of(name);
                let held = all.filter(|(value, _)| values.have(self.symbols.text(*value)));
                held.map(|(_, pair)| self.ids(pair)).collect()
            }
        };
        Ok(union(found))
    }

    /// Few series are asked one by one, which spares the lists, and the expression all values
    /// that they do not have.
    fn narrow(
        &self,
        ids: &Ids,
        name: &str,
        values: &Values<'_>,
        wanted: bool,
    ) -> Result<Ids, SourceError> {
        let listed = match values {
            Values::OneOf(_) => self.count_max(name, values)?.unwrap_or(0),
            Values::All => self.count,
            Values::Matching { .. } => self.values_count(name).saturating_mul(VALUE_COST),
        };
        if ids.len().saturating_mul(SERIES_COST) > listed {
            if let (Values::OneOf(values), true) = (values, wanted)
                && let [value] = values.as_slice()
            {
                let pair = self.find_pair(name, value).and_then(|id| self.pair_at(id));
                return Ok(pair.map_or_else(|| Ids::from([]), |pair| pair.places.meet(ids).into()));
            }
            let found = self.with(name, values)?;
            return Ok(if wanted { intersect(ids, &found) } else { subtract(ids, &found) });
        }
        let Some(name) = self.symbols.find(name) else {
            return Ok(if wanted { Ids::from([]) } else { Ids::clone(ids) });
        };
        let mut known: NumberMap<PairId, bool> = NumberMap::default();
        let mut has = |place: &u32| {
            let series = self.at_place(*place)?;
            let (id, pair) = self.pair_of(series, name)?;
            let holds = || values.have(self.symbols.text(pair.value));
            Some(*known.entry(id).or_insert_with(holds))
        };
        Ok(ids.iter().copied().filter(|id| has(id).unwrap_or(false) == wanted).collect())
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
        assert_eq!(table.remove_place(place_of(first)), Some(first));
        let second = table.next_numbers().next().unwrap();
        assert_eq!(place_of(second), place_of(first));
        table.insert(second, &labels("b")).unwrap();
        assert!(table.get(first).is_none() && table.get(second).is_some());
        assert_eq!(table.symbols.find("a"), None);
        assert_eq!(
            table.with("v", &Values::OneOf(vec!["b"])).unwrap().as_ref(),
            [place_of(second)]
        );
        assert_eq!(table.labels(table.get(second).unwrap()), labels("b"));
        assert_eq!(table.insert(99, &labels("b")).map(|one| one.number), Err(second));
    }

    #[test]
    fn a_series_far_behind_all_others_is_kept_and_the_places_between_take_no_room() {
        let mut table = Table::default();
        let far = (7 << PLACE_BITS) | 3_000_000;
        table.insert(far, &labels("far")).unwrap();
        assert_eq!(table.pages.iter().filter(|page| page.capacity() > 0).count(), 1);
        let near = table.next_numbers().next().unwrap();
        assert_eq!(place_of(near), 3_000_000 - GAP_MAX);
        table.insert(near, &labels("near")).unwrap();
        for (number, value) in [(far, "far"), (near, "near")] {
            assert_eq!(table.labels(table.get(number).unwrap()), labels(value));
        }
        assert_eq!((table.len(), table.iter().count(), table.places_end()), (2, 2, 3_000_001));
        assert_eq!(table.remove_place(3_000_000), Some(far));
        assert_eq!(
            table.next_numbers().map(place_of).find(|place| *place >= 2_999_999),
            Some(2_999_999)
        );
    }

    #[test]
    fn numbers_come_in_the_order_in_which_they_were_announced() {
        let mut table = Table::default();
        let announced: Vec<u64> = table.next_numbers().take(3).collect();
        for (number, value) in announced.iter().zip(["a", "b", "c"]) {
            table.insert(*number, &labels(value)).unwrap();
        }
        table.remove_place(1);
        let next: Vec<u64> = table.next_numbers().take(2).collect();
        assert_eq!(next.iter().map(|n| place_of(*n)).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn series_of_one_hash_are_told_apart() {
        let mut table = Table::default();
        let numbers: Vec<u64> = table.next_numbers().take(3).collect();
        for (number, value) in numbers.iter().zip(["a", "b", "c"]) {
            table.insert(*number, &labels(value)).unwrap();
        }
        // As if all three had the first one's hash.
        let hash = table.hash(&labels("a"));
        table.by_hash = HashTable::new();
        for place in 0..3 {
            table.by_hash.insert_unique(hash, place, |_| hash);
        }
        for (number, value) in numbers.iter().zip(["a", "b", "c"]) {
            assert_eq!(table.find(&labels(value), hash), Some(*number));
        }
        assert_eq!(table.find(&labels("d"), hash), None);
    }

    #[test]
    fn ranks_order_series_as_their_labels_do() {
        let mut table = Table::default();
        let sets = [
            Labels::from_pairs([("a", "2"), ("b", "1")]),
            Labels::from_pairs([("a", "2")]),
            Labels::from_pairs([("a", "10"), ("c", "1")]),
            Labels::from_pairs([("b", "0")]),
        ];
        for set in &sets {
            let number = table.next_numbers().next().unwrap();
            table.insert(number, set).unwrap();
        }
        let ranks = table.ranks();
        let key = |place: u32| -> Vec<u32> {
            table.at_place(place).unwrap().pairs().map(|id| ranks[id as usize]).collect()
        };
        for (a, one) in (0..).zip(&sets) {
            for (b, other) in (0..).zip(&sets) {
                assert_eq!(key(a).cmp(&key(b)), one.cmp(other), "{one} {other}");
            }
        }
    }
}
