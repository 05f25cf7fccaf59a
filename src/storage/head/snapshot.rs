//! What a query takes along of a series, so that it decodes without holding up the writer.

use super::chunk_file::{Record, read_record};
use super::open::{ChunkBytes, PLAIN_GAP_MAX, Spacing, decode};
use super::reads::{ChunkReads, Reading, RecordBytes};
use super::series::{Chain, Place, Series};
use super::symbols::Symbol;
use super::table::{PairId, Table, generation_of};
use super::{Head, State};
use crate::model::{Labels, Matcher, TimeRange};
use crate::storage::TsdbStats;
use crate::storage::cardinality::Cardinality;
use crate::storage::postings::matching;
use crate::storage::source::{Columns, Known, SourceError};
use crate::storage::tombstone::Intervals;
use crate::sys::files::SharedFile;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

/// Series that are read under one lock: well below a millisecond.
const BATCH_SERIES: usize = 1024;

/// Open files of full chunks, by number.
pub(super) type FileTable = BTreeMap<NonZeroU32, SharedFile>;

/// A series of the head as it was when it was selected.
#[derive(Clone, Debug)]
pub(crate) struct HeadSeries {
    /// Its labels.
    pub(crate) labels: Labels,
    number: u64,
    chain: Chain,
    /// Chunks that follow the chain and are not in a file yet.
    pending: Vec<Arc<ChunkBytes>>,
    /// The one that was open.
    open: Option<ChunkBytes>,
    read_from: Option<i64>,
    files: Arc<ChunkReads>,
    deleted: Option<Arc<Intervals>>,
}

/// Series of the head that were selected together.
#[derive(Debug)]
pub(crate) struct HeadSelection {
    /// In the order of their places.
    pub(crate) series: Vec<HeadSeries>,
    /// Numbers of those that still have labels, sorted by those.
    pub(crate) order: Vec<usize>,
}

impl HeadSelection {
    /// The series, sorted by labels.
    pub(crate) fn into_sorted(self) -> Vec<HeadSeries> {
        let mut series: Vec<Option<HeadSeries>> = self.series.into_iter().map(Some).collect();
        let mut sorted = Vec::with_capacity(self.order.len());
        sorted.extend(self.order.iter().filter_map(|number| series.get_mut(*number)?.take()));
        sorted
    }
}

/// A chunk that was read back.
#[derive(Debug)]
struct Loaded {
    min: i64,
    count: u8,
    is_plain: bool,
    record: RecordBytes,
    /// Where in the record the samples begin.
    samples_from: usize,
    before: Chain,
}

impl Loaded {
    /// The packed samples.
    fn bytes(&self) -> &[u8] {
        self.record.get().get(self.samples_from..).unwrap_or_default()
    }
}

impl HeadSeries {
    /// Appends samples with `from <= ts <= to` to `out`; says what could not be read.
    pub(crate) fn read(&self, from: i64, to: i64, out: &mut Columns) -> Vec<String> {
        let from = self.read_from.map_or(from, |start| start.max(from));
        let mut warnings = Vec::new();
        let start = out.len();
        let loaded = self.load(from, to, &mut warnings);
        let mut learned = Learned::default();
        let in_files = loaded.iter().rev();
        let in_files = in_files.map(|one| (one.min, one.count, one.bytes(), one.is_plain));
        let later = self.later().filter(|chunk| chunk.min <= to && chunk.max >= from);
        let later = later.map(|one| (one.min, one.count, one.bytes.as_ref(), one.is_plain));
        for (min, count, bytes, is_plain) in in_files.chain(later) {
            let before = out.len();
            match decode(min, count, bytes, from, to, out) {
                Some(spacing) => learned.add(&out.ts, before, spacing, is_plain),
                None => warnings.push(self.missing(min, "its bytes make no sense")),
            }
        }
        if let Some(deleted) = &self.deleted {
            deleted.strike(out, start);
        }
        out.known = if self.deleted.is_none() { learned.known() } else { Known::default() };
        debug_assert!(
            out.known.is_true_of(out, start),
            "BUG: samples are not what is known of them"
        );
        warnings
    }

    /// Chunks that follow the chain.
    fn later(&self) -> impl DoubleEndedIterator<Item = &ChunkBytes> {
        self.pending.iter().map(Arc::as_ref).chain(&self.open)
    }

    /// Walks back over the chunks in files; the newest first.
    fn load(&self, from: i64, to: i64, warnings: &mut Vec<String>) -> Vec<Loaded> {
        let mut found: Vec<Loaded> = Vec::new();
        let mut chain = self.chain;
        let mut reading = self.files.reading();
        while let [Some(place), other] = chain.newest {
            if chain.max < from {
                break;
            }
            match self.load_one(place, &mut reading) {
                Ok(chunk) => {
                    let min = chunk.min;
                    chain = chunk.before;
                    if min <= to {
                        found.push(chunk);
                    }
                    if min <= from {
                        break;
                    }
                }
                // Files that only have what blocks have are gone.
                Err(_) if self.files.is_dropped(place) => break,
                Err(why) => {
                    warnings.push(self.missing(chain.max, &why));
                    // Where the one before it ends is not known.
                    chain.newest = [other, None];
                }
            }
        }
        found
    }

    fn load_one(&self, place: Place, reading: &mut Reading<'_>) -> Result<Loaded, String> {
        let record = reading.read(place)?;
        let Record { min, count, is_plain, bytes, before } =
            read_record(record.get(), place.file, self.number).ok_or("its checksum is wrong")?;
        let samples_from = record.get().len() - bytes.len();
        Ok(Loaded { min, count, is_plain, record, samples_from, before })
    }

    /// Whether the newest sample with `from <= ts <= to` is there and no staleness marker; `None`
    /// when only its samples tell.
    pub(super) fn has_value(&self, from: i64, to: i64) -> Option<bool> {
        if self.deleted.is_some() {
            return None;
        }
        let from = self.read_from.map_or(from, |start| start.max(from));
        if let Some(chunk) = self.later().rev().find(|chunk| chunk.min <= to) {
            return chunk.is_plain.then(|| plain_has_value(chunk.max, from, to)).flatten();
        }
        let mut chain = self.chain;
        let mut reading = self.files.reading();
        while let [Some(place), _] = chain.newest {
            let chunk = self.load_one(place, &mut reading).ok()?;
            if chunk.min <= to {
                return chunk.is_plain.then(|| plain_has_value(chain.max, from, to)).flatten();
            }
            chain = chunk.before;
        }
        None
    }

    fn missing(&self, at: i64, why: &str) -> String {
        format!("a chunk of {} at {at} is missing: {why}", self.labels)
    }
}

/// What is known of chunks that were read one after another.
#[derive(Debug, Default)]
struct Learned {
    step: Option<i64>,
    is_uneven: bool,
    has_others: bool,
}

impl Learned {
    /// Adds a chunk, whose samples stand from `start` on.
    fn add(&mut self, ts: &[i64], start: usize, spacing: Spacing, is_plain: bool) {
        self.has_others |= !is_plain;
        if let Spacing::Even(step) = spacing {
            self.meet(step);
        }
        self.is_uneven |= spacing == Spacing::Uneven;
        let last = start.checked_sub(1).and_then(|last| ts.get(last));
        if let Some((last, first)) = last.zip(ts.get(start)) {
            self.meet(first.saturating_sub(*last));
        }
    }

    fn meet(&mut self, step: i64) {
        self.is_uneven |= *self.step.get_or_insert(step) != step;
    }

    fn known(&self) -> Known {
        let step = self.step.filter(|_| !self.is_uneven);
        Known { step, has_no_markers: !self.has_others }
    }
}

/// Whether a plain chunk that begins at or before `to` and ends at `max` has a sample with
/// `from <= ts <= to`; `None` when that is not certain.
pub(super) const fn plain_has_value(max: i64, from: i64, to: i64) -> Option<bool> {
    if max <= to {
        return Some(max >= from);
    }
    // The newest one up to `to` is followed by one beyond it, no further away than that.
    if to.saturating_sub(from) >= PLAIN_GAP_MAX { Some(true) } else { None }
}

impl Head {
    /// Series that match and may have samples in `range`, as they are at one moment: of a commit
    /// all samples are there or none. Labels, which never change, follow in batches.
    ///
    /// # Errors
    /// More than `series_max` match.
    pub(crate) fn selection(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
        series_max: usize,
    ) -> Result<HeadSelection, SourceError> {
        let mut series = self.select_samples(range, matchers, series_max)?;
        let (mut keys, mut text) = (Keys::default(), String::new());
        for batch in series.chunks_mut(BATCH_SERIES) {
            let state = self.state();
            for one in batch {
                let series = state.table.get(one.number);
                one.labels =
                    series.map_or_else(Labels::empty, |one| state.table.labels_in(&mut text, one));
                keys.push(series.into_iter().flat_map(Series::pairs));
            }
        }
        let mut order = keys.order(&series);
        // What has gone since is in a block, and those are asked later.
        order.retain(|number| series.get(*number).is_some_and(|one| !one.labels.is_empty()));
        Ok(HeadSelection { series, order })
    }

    /// As `selection`, sorted by labels.
    ///
    /// # Errors
    /// As `selection`.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn select(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
        series_max: usize,
    ) -> Result<Vec<HeadSeries>, SourceError> {
        Ok(self.selection(range, matchers, series_max)?.into_sorted())
    }

    fn select_samples(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
        series_max: usize,
    ) -> Result<Vec<HeadSeries>, SourceError> {
        let state = self.state();
        let (from, to) = (range.from().as_millis(), range.to().as_millis());
        let ids = matching(&state.table, matchers)?;
        let mut found = Vec::with_capacity(ids.len().min(series_max));
        let reads = state.reads(found.capacity());
        for place in ids.iter() {
            let Some(series) = state.table.at_place(*place) else { continue };
            if !state.overlaps(series, from, to) {
                continue;
            }
            if found.len() >= series_max {
                return Err(SourceError::TooManySeries { limit: series_max });
            }
            found.push(state.snapshot(series, Labels::empty(), (from, to), &reads));
        }
        Ok(found)
    }

    /// Labels of series that match and may have samples in `range`.
    ///
    /// # Errors
    /// Those of the index: none here.
    pub(crate) fn series(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
    ) -> Result<Vec<Labels>, SourceError> {
        let mut found = Vec::new();
        self.each_batch(range, matchers, |table, batch| {
            found.extend(batch.iter().map(|series| table.labels(series)));
        })?;
        Ok(found)
    }

    /// Adds the names of labels of series that match and may have samples in `range`.
    ///
    /// # Errors
    /// Those of the index: none here.
    pub(crate) fn add_names(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
        into: &mut BTreeSet<String>,
    ) -> Result<(), SourceError> {
        if matchers.is_empty() {
            if self.overlaps(range) || self.has_late(range) {
                into.extend(self.state().table.names().map(str::to_owned));
            }
            return Ok(());
        }
        self.each_batch(range, matchers, |table, batch| {
            let all = batch.iter().flat_map(|series| table.symbols_of(series));
            let names: FxHashSet<Symbol> = all.map(|(name, _)| name).collect();
            into.extend(names.into_iter().map(|name| table.symbols.text(name).to_owned()));
        })
    }

    /// Adds the values of a label of series that match and may have samples in `range`.
    ///
    /// # Errors
    /// Those of the index: none here.
    pub(crate) fn add_values(
        &self,
        name: &str,
        range: TimeRange,
        matchers: &[Matcher],
        into: &mut BTreeSet<String>,
    ) -> Result<(), SourceError> {
        if matchers.is_empty() {
            if self.overlaps(range) || self.has_late(range) {
                into.extend(self.state().table.values(name).map(str::to_owned));
            }
            return Ok(());
        }
        self.each_batch(range, matchers, |table, batch| {
            let Some(name) = table.symbols.find(name) else { return };
            let all = batch
                .iter()
                .filter_map(|series| table.symbols_of(series).find(|(found, _)| *found == name));
            let values: FxHashSet<Symbol> = all.map(|(_, value)| value).collect();
            into.extend(values.into_iter().map(|value| table.symbols.text(value).to_owned()));
        })
    }

    /// Shows series that match and may have samples in `range`, late ones too, in batches between which commits
    /// get their turn. A series that comes in between is not shown.
    fn each_batch(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
        mut show: impl FnMut(&Table, &[&Series]),
    ) -> Result<(), SourceError> {
        let (from, to) = (range.from().as_millis(), range.to().as_millis());
        let (places, generation) = {
            let state = self.state();
            (matching(&state.table, matchers)?, state.table.next_generation())
        };
        for batch in places.chunks(BATCH_SERIES) {
            let state = self.state();
            let series = batch.iter().filter_map(|place| state.table.at_place(*place));
            let series = series.filter(|series| generation_of(series.number) < generation);
            let series = series.filter(|series| {
                state.overlaps(series, from, to) || state.late.has_in(series.number, from, to)
            });
            show(&state.table, &series.collect::<Vec<_>>());
        }
        Ok(())
    }

    /// Whether any sample of the head may lie in `range`.
    fn overlaps(&self, range: TimeRange) -> bool {
        let state = self.state();
        let after_start = state.max_time.is_some_and(|max| max >= range.from().as_millis());
        after_start && state.read_from.is_none_or(|from| from <= range.to().as_millis())
    }

    /// Counts for `status/tsdb`.
    pub(crate) fn stats(&self, limit: usize) -> TsdbStats {
        let facts = self.facts();
        let state = self.state();
        let mut stats = TsdbStats {
            series: facts.series as u64,
            chunks: facts.chunks,
            min_time: facts.min_time.map(crate::model::Timestamp::from_millis),
            max_time: facts.max_time.map(crate::model::Timestamp::from_millis),
            ..TsdbStats::default()
        };
        let mut counts = Cardinality::default();
        for (name, value, count) in state.table.labels_and_counts() {
            counts.add(name, value, u64::from(count));
        }
        counts.rank(&mut stats, limit);
        stats
    }

    /// Tells each pair of label name and value with its count of series.
    pub(crate) fn pairs(&self, tell: &mut dyn FnMut(&str, &str, u64)) {
        let state = self.state();
        for (name, value, count) in state.table.labels_and_counts() {
            tell(name, value, u64::from(count));
        }
    }
}

/// The pairs of several series, to sort those by: texts are compared once a pair.
#[derive(Debug, Default)]
struct Keys {
    pairs: Vec<PairId>,
    /// Where the pairs of each series end.
    ends: Vec<usize>,
}

impl Keys {
    fn push(&mut self, pairs: impl Iterator<Item = PairId>) {
        self.pairs.extend(pairs);
        self.ends.push(self.pairs.len());
    }

    /// Those of the series with this number.
    fn of(&self, number: usize) -> &[PairId] {
        let start = number.checked_sub(1).and_then(|before| self.ends.get(before).copied());
        let end = self.ends.get(number).copied().unwrap_or_default();
        self.pairs.get(start.unwrap_or_default()..end).unwrap_or_default()
    }

    /// The numbers of the series whose pairs were pushed in this order, sorted by labels.
    fn order(mut self, series: &[HeadSeries]) -> Vec<usize> {
        let mut texts: FxHashMap<PairId, (&str, &str)> = FxHashMap::default();
        // Series that come one after another have most labels in common.
        let mut before: &[PairId] = &[];
        for (number, one) in series.iter().enumerate() {
            let pairs = self.of(number);
            for (place, pair) in pairs.iter().enumerate() {
                if before.get(place) != Some(pair)
                    && let Entry::Vacant(entry) = texts.entry(*pair)
                    && let Some(text) = one.labels.iter().nth(place)
                {
                    entry.insert(text);
                }
            }
            before = pairs;
        }
        let mut order: Vec<_> = texts.into_iter().collect();
        order.sort_unstable_by_key(|(_, text)| *text);
        let rank_bits = u32::BITS - u32::try_from(order.len()).unwrap_or(u32::MAX).leading_zeros();
        let ranks: FxHashMap<PairId, u32> =
            (1..).zip(order).map(|(rank, (pair, _))| (pair, rank)).collect();
        for pair in &mut self.pairs {
            *pair = ranks.get(pair).copied().unwrap_or_default();
        }
        let mut order: Vec<(u128, usize)> = Vec::with_capacity(series.len());
        order.extend(
            (0..series.len()).map(|number| (first_ranks(self.of(number), rank_bits), number)),
        );
        order.sort_unstable_by(|(first_a, a), (first_b, b)| {
            first_a.cmp(first_b).then_with(|| self.of(*a).cmp(self.of(*b)))
        });
        order.into_iter().map(|(_, number)| number).collect()
    }
}

/// The first ranks, counted from 1, in so many bits each: words of two series compare as their
/// ranks do, as far as those are in them.
fn first_ranks(ranks: &[u32], rank_bits: u32) -> u128 {
    let fitting = u128::BITS / rank_bits.max(1);
    let all = ranks.iter().copied().chain(std::iter::repeat(0));
    all.zip(0..fitting).fold(0, |word, (rank, _)| word << rank_bits | u128::from(rank))
}

impl State {
    pub(super) fn overlaps(&self, series: &Series, from: i64, to: i64) -> bool {
        let from = self.read_from.map_or(from, |start| start.max(from));
        let Some(((last, _), min)) = series.last().zip(series.min_time()) else { return false };
        let (from, to) = (from.max(min), to.min(last));
        let deleted = || self.deleted.get(&series.number).is_some_and(|one| one.cover(from, to));
        from <= to && !deleted()
    }

    /// The chunk files that are there now, for reading about so many series.
    pub(super) fn reads(&self, series: usize) -> Arc<ChunkReads> {
        Arc::new(ChunkReads::new(Arc::clone(&self.chunk_files), (series, self.table.len())))
    }

    pub(super) fn snapshot(
        &self,
        series: &Series,
        labels: Labels,
        (from, to): (i64, i64),
        reads: &Arc<ChunkReads>,
    ) -> HeadSeries {
        let overlaps = |min: i64, max: i64| min <= to && max >= from;
        let pending = self.pending.get(&series.number).into_iter().flatten();
        let open = series.open.min().zip(series.open.last());
        HeadSeries {
            labels,
            number: series.number,
            chain: series.chain(),
            pending: pending.filter(|chunk| overlaps(chunk.min, chunk.max)).cloned().collect(),
            open: open
                .filter(|(min, (max, _))| overlaps(*min, *max))
                .map(|_| series.open.to_bytes()),
            read_from: self.read_from,
            files: Arc::clone(reads),
            deleted: self.deleted.get(&series.number).map(Arc::clone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranks() -> impl Strategy<Value = (u32, Vec<Vec<u32>>)> {
        (1_u32..=32).prop_flat_map(|bits| {
            let max = u32::MAX >> (32 - bits);
            let few = 1..=max.min(3);
            let rank = prop_oneof![few, 1..=max];
            let lists = proptest::collection::vec(proptest::collection::vec(rank, 0..20), 2..6);
            (Just(bits), lists)
        })
    }

    proptest! {
        #[test]
        fn words_of_ranks_compare_as_the_ranks_do((bits, lists) in ranks()) {
            for (a, b) in lists.iter().zip(lists.iter().skip(1)) {
                let words = first_ranks(a, bits).cmp(&first_ranks(b, bits));
                prop_assert!(words.is_eq() || words == a.cmp(b), "{a:?} {b:?}");
                let fitting = usize::try_from(128 / bits).unwrap();
                let differ_early = a.iter().zip(b).take(fitting).any(|(a, b)| a != b);
                prop_assert!(!differ_early || words.is_ne(), "{a:?} {b:?}");
            }
        }
    }
}
