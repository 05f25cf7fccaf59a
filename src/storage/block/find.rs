//! Finding series in a block: postings, label queries, runs of series, all through its index.

use super::chunks::Span;
use super::index::{self, RUN_SERIES};
use super::read::{Block, BlockSeries, Opened};
use crate::model::{Labels, Matcher};
use crate::storage::postings::{Ids, LabelIndex, Values, matching, union};
use crate::storage::source::SourceError;
use crate::storage::tombstone::Tombstones;
use crate::storage::wal::record::labels_of;
use rusqlite::params;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// Numbers that an open block remembers of its index, about: 4 MiB.
const CACHED_NUMBERS_MAX: usize = 1 << 20;

/// How many of a name's values must be wanted, in parts of all, to read their lists in one go.
const SPARSE: usize = 8;

type Result<T> = std::result::Result<T, SourceError>;

/// Symbols of a name and a value.
pub(super) type Pair = (u32, u32);

/// Is told number, labels as symbols and span of a series.
pub(super) type Tell<'a> = dyn FnMut(u32, &[Pair], Span) -> Result<()> + 'a;

/// What was found in the index, which never changes.
#[derive(Debug, Default)]
pub(super) struct Cache {
    lists: FxHashMap<Pair, Ids>,
    /// Values of a name, with how many series have them.
    values: FxHashMap<u32, Arc<[(u32, u32)]>>,
    /// Series that have a name with a value for which an expression holds: operator and
    /// expression, empty for any value.
    found: FxHashMap<(u32, String), Ids>,
    numbers: usize,
}

impl Cache {
    /// Makes room for so many numbers more.
    fn charge(&mut self, numbers: usize) {
        if self.numbers + numbers > CACHED_NUMBERS_MAX {
            *self = Self::default();
        }
        self.numbers += numbers;
    }
}

impl Block {
    /// Series that match and have chunks in `from..=to`, sorted by labels.
    ///
    /// # Errors
    /// The block cannot be read, or more than `series_max` match.
    pub(crate) fn select(
        &self,
        from: i64,
        to: i64,
        matchers: &[Matcher],
        series_max: usize,
    ) -> Result<Vec<BlockSeries>> {
        let (opened, stones) = (self.open()?, self.tombstones());
        let mut found = Vec::new();
        opened.each_matching(from, to, matchers, &stones, |number, pairs, span| {
            let labels = opened.labels(pairs)?;
            if found.len() >= series_max {
                return Err(SourceError::TooManySeries { limit: series_max });
            }
            let deleted = stones.get(&u64::from(number)).map(Arc::clone);
            found.push(BlockSeries { labels, number, span, block: Arc::clone(&opened), deleted });
            Ok(())
        })?;
        Ok(found)
    }

    /// All its series, a run at a time: what a merge reads.
    ///
    /// # Errors
    /// The block cannot be read.
    pub(super) fn series_of_run(&self, run: u32) -> Result<Vec<BlockSeries>> {
        let (opened, stones) = (self.open()?, self.tombstones());
        let first = run * RUN_SERIES + 1;
        let last = first.saturating_add(RUN_SERIES - 1).min(opened.series);
        let ids: Vec<u32> = (first..=last).collect();
        let mut found = Vec::with_capacity(ids.len());
        opened.read_series(&ids, &mut |number, pairs, span| {
            let labels = opened.labels(pairs)?;
            let deleted = stones.get(&u64::from(number)).map(Arc::clone);
            found.push(BlockSeries { labels, number, span, block: Arc::clone(&opened), deleted });
            Ok(())
        })?;
        Ok(found)
    }

    /// Adds the names of labels of series that match and have chunks in `from..=to`.
    ///
    /// # Errors
    /// The block cannot be read.
    pub(crate) fn add_names(
        &self,
        from: i64,
        to: i64,
        matchers: &[Matcher],
        into: &mut BTreeSet<String>,
    ) -> Result<()> {
        let opened = self.open()?;
        let mut names = FxHashSet::default();
        if matchers.is_empty() {
            names.extend(opened.all_names()?);
        } else {
            opened.each_matching(from, to, matchers, &self.tombstones(), |_, pairs, _| {
                names.extend(pairs.iter().map(|(name, _)| *name));
                Ok(())
            })?;
        }
        into.extend(names.into_iter().map(|name| opened.text(name).to_owned()));
        Ok(())
    }

    /// Adds the values of a label of series that match and have chunks in `from..=to`.
    ///
    /// # Errors
    /// The block cannot be read.
    pub(crate) fn add_values(
        &self,
        name: &str,
        (from, to): (i64, i64),
        matchers: &[Matcher],
        into: &mut BTreeSet<String>,
    ) -> Result<()> {
        let opened = self.open()?;
        let Some(name) = opened.symbol(name) else { return Ok(()) };
        let mut values = FxHashSet::default();
        if matchers.is_empty() {
            values.extend(opened.values_of(name)?.iter().map(|(value, _)| *value));
        } else {
            opened.each_matching(from, to, matchers, &self.tombstones(), |_, pairs, _| {
                values.extend(pairs.iter().find(|pair| pair.0 == name).map(|(_, value)| *value));
                Ok(())
            })?;
        }
        into.extend(values.into_iter().map(|value| opened.text(value).to_owned()));
        Ok(())
    }
}

impl Opened {
    /// Tells number, labels as symbols and span of series that match and have chunks in
    /// `from..=to` that were not deleted.
    fn each_matching(
        &self,
        from: i64,
        to: i64,
        matchers: &[Matcher],
        stones: &Tombstones,
        mut tell: impl FnMut(u32, &[Pair], Span) -> Result<()>,
    ) -> Result<()> {
        let ids = matching(self, matchers)?;
        self.read_series(&ids, &mut |number, pairs, span| {
            let (from, to) = (from.max(span.min), to.min(span.max));
            let deleted = stones.get(&u64::from(number)).is_some_and(|one| one.cover(from, to));
            if from <= to && !deleted { tell(number, pairs, span) } else { Ok(()) }
        })
    }

    /// Tells number, labels as symbols and span of series `ids`, rising.
    pub(super) fn read_series(&self, ids: &[u32], tell: &mut Tell<'_>) -> Result<()> {
        for run in ids.chunk_by(|a, b| run_of(*a) == run_of(*b)) {
            self.read_run(run, tell)?;
        }
        Ok(())
    }

    /// As `read_series`, for series of one run.
    fn read_run(&self, ids: &[u32], tell: &mut Tell<'_>) -> Result<()> {
        let Some(first) = ids.first() else { return Ok(()) };
        let run_first = run_of(*first) * RUN_SERIES + 1;
        let (labels, spans): (Vec<u8>, Vec<u8>) = self
            .index()
            .query_row(
                "SELECT labels, spans FROM series_run WHERE first = ?1",
                [run_first],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .map_err(|err| self.unreadable(&err))?;
        let spans = index::read_span_run(&spans).ok_or_else(|| self.senseless())?;
        let mut wanted = ids.iter().copied().peekable();
        let mut spans = spans.into_iter();
        let mut told = Ok(());
        let mut id = run_first;
        let read = index::read_label_run(&labels, |pairs| {
            let span = spans.next();
            // Labels may have been lost with a part of the chunk file.
            if wanted.next_if_eq(&id).is_some() && !pairs.is_empty() && told.is_ok() {
                told = match span {
                    Some(span) => tell(id, pairs, span),
                    None => Err(self.senseless()),
                };
            }
            id += 1;
        });
        read.ok_or_else(|| self.senseless())?;
        told
    }

    fn labels(&self, pairs: &[Pair]) -> Result<Labels> {
        let texts: Vec<(&str, &str)> =
            pairs.iter().map(|(name, value)| (self.text(*name), self.text(*value))).collect();
        labels_of(&texts).ok_or_else(|| self.senseless())
    }

    fn all_names(&self) -> Result<Vec<u32>> {
        let index = self.index();
        let read = || {
            let mut statement = index.prepare("SELECT DISTINCT name FROM posting")?;
            let rows = statement.query_map([], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<Vec<u32>>>()
        };
        read().map_err(|err| self.unreadable(&err))
    }

    /// Values of a name, rising, which is the order of their texts, each with how many series
    /// have it.
    fn values_of(&self, name: u32) -> Result<Arc<[(u32, u32)]>> {
        let index = self.index();
        if let Some(values) = self.cache().values.get(&name) {
            return Ok(Arc::clone(values));
        }
        let read = || {
            let sql = "SELECT value, count FROM posting WHERE name = ?1";
            let mut statement = index.prepare(sql)?;
            let rows = statement.query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<Arc<[(u32, u32)]>>>()
        };
        let values = read().map_err(|err| self.unreadable(&err))?;
        let mut cache = self.cache();
        cache.charge(2 * values.len());
        cache.values.insert(name, Arc::clone(&values));
        Ok(values)
    }

    /// Posting lists of one label with these values.
    fn lists(&self, name: u32, values: &[u32]) -> Result<Vec<Ids>> {
        let index = self.index();
        let mut statement = None;
        let mut lists = Vec::with_capacity(values.len());
        for value in values {
            if let Some(ids) = self.cache().lists.get(&(name, *value)) {
                lists.push(Arc::clone(ids));
                continue;
            }
            let mut read = || {
                let sql = "SELECT ids FROM posting WHERE name = ?1 AND value = ?2";
                let statement = match &mut statement {
                    Some(statement) => statement,
                    None => statement.insert(index.prepare(sql)?),
                };
                statement.query_row(params![name, value], |row| row.get::<_, Vec<u8>>(0))
            };
            let coded = match read() {
                Ok(coded) => coded,
                Err(rusqlite::Error::QueryReturnedNoRows) => continue,
                Err(err) => return Err(self.unreadable(&err)),
            };
            let ids: Ids = index::read_posting(&coded).ok_or_else(|| self.senseless())?.into();
            let mut cache = self.cache();
            cache.charge(ids.len());
            cache.lists.insert((name, *value), Arc::clone(&ids));
            drop(cache);
            lists.push(ids);
        }
        Ok(lists)
    }

    /// Series that have the name with one of `values`, all of which lie in `within`: the lists
    /// are read in one go and not remembered one by one.
    fn scan(&self, name: u32, within: Range<u32>, values: &FxHashSet<u32>) -> Result<Ids> {
        let index = self.index();
        let mut ids = Vec::new();
        let mut makes_sense = true;
        let mut read = || {
            let sql = "SELECT value, ids FROM posting
                       WHERE name = ?1 AND value >= ?2 AND value < ?3";
            let mut statement = index.prepare(sql)?;
            let mut rows = statement.query(params![name, within.start, within.end])?;
            while let Some(row) = rows.next()? {
                if values.contains(&row.get(0)?) {
                    let list = index::read_posting(row.get_ref(1)?.as_blob()?);
                    makes_sense &= list.is_some();
                    ids.extend(list.unwrap_or_default());
                }
            }
            Ok(())
        };
        let read: rusqlite::Result<()> = read();
        read.map_err(|err| self.unreadable(&err))?;
        if !makes_sense {
            return Err(self.senseless());
        }
        ids.sort();
        ids.dedup();
        Ok(ids.into())
    }

    /// Series that have the name with one of `values`.
    fn find(&self, name: u32, values: &Values<'_>) -> Result<Ids> {
        let all = self.values_of(name)?;
        let prefix = values.prefix();
        let start = all.partition_point(|(value, _)| self.text(*value) < prefix);
        let rest = all.get(start..).unwrap_or_default();
        let count = rest.partition_point(|(value, _)| self.text(*value).starts_with(prefix));
        let within = rest.get(..count).unwrap_or_default();
        let held = within.iter().map(|(value, _)| *value);
        let held: Vec<u32> = held.filter(|value| values.have(self.text(*value))).collect();
        let (Some((first, _)), Some((last, _))) = (within.first(), within.last()) else {
            return Ok(Ids::from([]));
        };
        if held.len().saturating_mul(SPARSE) < within.len() || held.len() == 1 {
            return Ok(union(self.lists(name, &held)?));
        }
        self.scan(name, *first..last.saturating_add(1), &held.into_iter().collect())
    }

    /// Symbols of those values that any series may have, rising.
    fn symbols_of(&self, values: &[&str]) -> Vec<u32> {
        values.iter().filter_map(|value| self.symbol(value)).collect()
    }
}

const fn run_of(id: u32) -> u32 {
    id.saturating_sub(1) / RUN_SERIES
}

impl LabelIndex for Opened {
    fn all(&self) -> Result<Ids> {
        Ok((1..=self.series).collect())
    }

    fn count_max(&self, name: &str, values: &Values<'_>) -> Result<Option<usize>> {
        let Some(name) = self.symbol(name) else { return Ok(Some(0)) };
        let Values::OneOf(values) = values else { return Ok(None) };
        let known = self.values_of(name)?;
        let counts = self.symbols_of(values).into_iter().filter_map(|value| {
            let at = known.binary_search_by_key(&value, |(value, _)| *value).ok()?;
            usize::try_from(known.get(at)?.1).ok()
        });
        Ok(Some(counts.sum()))
    }

    fn with(&self, name: &str, values: &Values<'_>) -> Result<Ids> {
        let Some(name) = self.symbol(name) else { return Ok(Ids::from([])) };
        let text = match values {
            Values::OneOf(values) => return Ok(union(self.lists(name, &self.symbols_of(values))?)),
            Values::All => String::new(),
            Values::Matching { regex, wanted: true } => format!("=~{regex}"),
            Values::Matching { regex, wanted: false } => format!("!~{regex}"),
        };
        let key = (name, text);
        if let Some(found) = self.cache().found.get(&key) {
            return Ok(Arc::clone(found));
        }
        let found = self.find(name, values)?;
        let mut cache = self.cache();
        cache.charge(found.len() + key.1.len());
        cache.found.insert(key, Arc::clone(&found));
        Ok(found)
    }
}
