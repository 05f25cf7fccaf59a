//! What a target's series are known by, so that a steady scrape neither reads labels nor relabels.
//!
//! Two maps: the text of a line leads to a series, and a series is known by its labels after
//! relabelling, which is what staleness is decided by (T5). Both are keyed by a 64-bit hash with a
//! key of this process: the texts themselves would cost more memory than all the rest, and no
//! target can aim for a collision. Series are numbered; a number is freed only in a sweep, which
//! takes all lines that lead to it in the same step.

use crate::exposition::Normalize;
use crate::model::{Labels, Metadata};
use crate::storage::append::SeriesRef;
use rustc_hash::FxHashMap;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, Hasher as _, RandomState};

/// A line that relabelling drops.
const DROPPED: u32 = u32::MAX;

/// Lines that may lie unused before a sweep pays.
const SLACK: usize = 1_000;

/// A series' number in the cache.
pub(super) type SeriesId = u32;

/// What is known of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Its series.
    Series(SeriesId),
    /// That relabelling drops it.
    Dropped,
    /// Nothing.
    Unknown,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    series: SeriesId,
    /// The scrape that had it last.
    seen: u32,
}

#[derive(Clone, Debug)]
struct Series {
    labels: Labels,
    known: Option<SeriesRef>,
    /// The scrape that had it last, and the one before, for scrapes that fail in the middle.
    seen: u32,
    seen_before: u32,
    /// Its own timestamp in the scrape `seen`.
    own_ts: Option<i64>,
    /// Whether its end is to be marked, as the scrape `seen` has it.
    tracked: bool,
    /// Whether its end is to be marked, as of the last scrape that succeeded.
    live: bool,
}

/// What is said about a metric, and whether the store has heard it.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) metadata: Metadata,
    pub(super) is_new: bool,
    seen: u32,
}

/// The series of one target.
#[derive(Debug, Default)]
pub(super) struct SeriesCache {
    keys: RandomState,
    lines: FxHashMap<u64, Line>,
    series: Vec<Series>,
    free: Vec<SeriesId>,
    by_labels: FxHashMap<u64, SeriesId>,
    said: HashMap<String, Said>,
    /// The number of the scrape under way; the first is 1.
    scrape: u32,
    /// The last scrape that succeeded.
    last_ok: u32,
    lines_seen: usize,
    live: usize,
    live_seen: usize,
    added: u64,
    fresh_lines: Vec<u64>,
    fresh_series: Vec<SeriesId>,
    becoming: Vec<SeriesId>,
}

impl SeriesCache {
    /// Begins a scrape.
    pub(super) fn begin(&mut self) {
        self.scrape = self.scrape.wrapping_add(1);
        self.lines_seen = 0;
        self.live_seen = 0;
        self.added = 0;
        self.fresh_lines.clear();
        self.fresh_series.clear();
        self.becoming.clear();
    }

    /// The key of a line's series part.
    pub(super) fn line_key(&self, raw: &[u8], normalize: Normalize) -> u64 {
        let mut hasher = self.keys.build_hasher();
        hasher.write(raw);
        hasher.write_u8(match normalize {
            Normalize::Nothing => 0,
            Normalize::Bounds => 1,
            Normalize::Quantiles => 2,
        });
        hasher.finish()
    }

    /// The key of anything else that stands for a line.
    pub(super) fn key_of(&self, line: impl Hash) -> u64 {
        self.keys.hash_one(line)
    }

    /// What is known of the line with this key.
    pub(super) fn look_up(&mut self, key: u64) -> Known {
        let Some(line) = self.lines.get_mut(&key) else { return Known::Unknown };
        if line.seen != self.scrape {
            line.seen = self.scrape;
            self.lines_seen += 1;
        }
        if line.series == DROPPED { Known::Dropped } else { Known::Series(line.series) }
    }

    /// Number of remembered lines.
    pub(super) fn line_count(&self) -> usize {
        self.lines.len()
    }

    /// Number of series that this scrape has added to the cache.
    pub(super) fn fresh_count(&self) -> usize {
        self.fresh_series.len()
    }

    /// Remembers that relabelling drops a line.
    pub(super) fn insert_dropped(&mut self, key: u64) {
        self.insert_line(key, DROPPED);
    }

    /// Remembers the series of a line.
    pub(super) fn insert(&mut self, key: u64, labels: Labels) -> SeriesId {
        let id = self.series_of(labels);
        self.insert_line(key, id);
        id
    }

    fn insert_line(&mut self, key: u64, series: SeriesId) {
        self.lines.insert(key, Line { series, seen: self.scrape });
        self.lines_seen += 1;
        self.fresh_lines.push(key);
    }

    fn series_of(&mut self, labels: Labels) -> SeriesId {
        let key = self.keys.hash_one(&labels);
        if let Some(id) = self.by_labels.get(&key)
            && self.at(*id).is_some_and(|series| series.labels == labels)
        {
            return *id;
        }
        let series = Series {
            labels,
            known: None,
            seen: 0,
            seen_before: 0,
            own_ts: None,
            tracked: false,
            live: false,
        };
        let id = match self.free.pop() {
            Some(id) => {
                if let Some(place) = self.at_mut(id) {
                    *place = series;
                }
                id
            }
            None => {
                self.series.push(series);
                // Limits hold the number of series far below 2^32.
                SeriesId::try_from(self.series.len() - 1).unwrap_or(DROPPED)
            }
        };
        self.by_labels.insert(key, id);
        self.fresh_series.push(id);
        id
    }

    /// Notes that the scrape has a sample of the series. `false` when it already had one with the
    /// same timestamp (T11: the first wins).
    pub(super) fn touch(&mut self, id: SeriesId, own_ts: Option<i64>, tracked: bool) -> bool {
        let (scrape, last_ok) = (self.scrape, self.last_ok);
        let Some(series) = self.at_mut(id) else { return false };
        if series.seen == scrape {
            let repeated = series.own_ts == own_ts;
            series.own_ts = own_ts;
            return !repeated;
        }
        series.seen_before = series.seen;
        series.seen = scrape;
        series.own_ts = own_ts;
        series.tracked = tracked;
        let (is_added, live) = (series.seen_before != last_ok || last_ok == 0, series.live);
        self.added += u64::from(is_added);
        if tracked && live {
            self.live_seen += 1;
        } else if tracked {
            self.becoming.push(id);
        }
        true
    }

    /// Labels and reference of a series.
    pub(super) fn series(&self, id: SeriesId) -> Option<(&Labels, Option<SeriesRef>)> {
        self.at(id).map(|series| (&series.labels, series.known))
    }

    /// Remembers what the store calls a series.
    pub(super) fn set_known(&mut self, id: SeriesId, known: SeriesRef) {
        if let Some(series) = self.at_mut(id) {
            series.known = Some(known);
        }
    }

    /// The store refused the sample: the series' end is not to be marked.
    pub(super) fn refused(&mut self, id: SeriesId) {
        if let Some(series) = self.at_mut(id)
            && std::mem::take(&mut series.live)
        {
            self.live = self.live.saturating_sub(1);
        }
    }

    /// Series that this scrape has and the last good one had not.
    pub(super) const fn added(&self) -> u64 {
        self.added
    }

    /// T5: the series whose end this scrape shows, if it succeeds.
    pub(super) fn ended(&self) -> impl Iterator<Item = (&Labels, Option<SeriesRef>)> {
        let none = self.live_seen == self.live;
        let scrape = self.scrape;
        self.series
            .iter()
            .filter(move |series| {
                !none && series.live && !(series.seen == scrape && series.tracked)
            })
            .map(|series| (&series.labels, series.known))
    }

    /// T2, T7: all series whose end is to be marked when there is no scrape.
    pub(super) fn all_live(&self) -> impl Iterator<Item = (&Labels, Option<SeriesRef>)> {
        let live = self.series.iter().filter(|series| series.live);
        live.map(|series| (&series.labels, series.known))
    }

    /// The scrape succeeded and is written.
    pub(super) fn succeeded(&mut self) {
        let scrape = self.scrape;
        if self.live_seen != self.live {
            for series in &mut self.series {
                series.live &= series.seen == scrape && series.tracked;
            }
            self.live = self.live_seen;
        }
        for id in std::mem::take(&mut self.becoming) {
            if let Some(series) = self.at_mut(id) {
                series.live = true;
                self.live += 1;
            }
        }
        self.last_ok = scrape;
        for said in self.said.values_mut() {
            said.is_new = false;
        }
        if self.lines.len() > 2 * self.lines_seen + SLACK {
            self.sweep();
        }
    }

    /// The scrape failed and the ends of all series are written.
    pub(super) fn failed(&mut self) {
        self.abandoned();
        for series in &mut self.series {
            series.live = false;
        }
        self.live = 0;
    }

    /// The scrape came to nothing: forgets what it brought.
    pub(super) fn abandoned(&mut self) {
        for key in std::mem::take(&mut self.fresh_lines) {
            self.lines.remove(&key);
        }
        for id in std::mem::take(&mut self.fresh_series) {
            self.remove(id);
        }
        self.becoming.clear();
        let scrape = self.scrape;
        for series in self.series.iter_mut().filter(|series| series.seen == scrape) {
            series.seen = series.seen_before;
        }
    }

    /// Forgets what lines lead to; series and their staleness stay. For a change of relabelling.
    pub(super) fn forget_lines(&mut self) {
        self.lines.clear();
    }

    /// Removes lines and series that the last scrape did not have.
    fn sweep(&mut self) {
        let scrape = self.scrape;
        self.lines.retain(|_, line| line.seen == scrape);
        self.lines.shrink_to_fit();
        let gone: Vec<SeriesId> = (0..)
            .zip(&self.series)
            .filter(|(_, series)| series.seen != scrape && !series.labels.is_empty())
            .map(|(id, _)| id)
            .collect();
        for id in gone {
            self.remove(id);
        }
        self.said.retain(|_, said| said.seen == scrape);
    }

    fn remove(&mut self, id: SeriesId) {
        let Some(series) = self.at_mut(id) else { return };
        let labels = std::mem::take(&mut series.labels);
        series.live = false;
        let key = self.keys.hash_one(&labels);
        if self.by_labels.get(&key) == Some(&id) {
            self.by_labels.remove(&key);
        }
        self.free.push(id);
    }

    /// What is said about a metric, to be changed; `None` when too many metrics are known.
    pub(super) fn said(&mut self, name: &str, metrics_max: usize) -> Option<&mut Said> {
        if !self.said.contains_key(name) {
            if self.said.len() >= metrics_max {
                return None;
            }
            self.said.insert(name.to_owned(), Said::default());
        }
        let scrape = self.scrape;
        let said = self.said.get_mut(name)?;
        said.seen = scrape;
        Some(said)
    }

    /// What the store has not heard yet.
    pub(super) fn news(&self) -> Vec<(String, Metadata)> {
        let new = self.said.iter().filter(|(_, said)| said.is_new);
        new.map(|(name, said)| (name.clone(), said.metadata.clone())).collect()
    }

    fn at(&self, id: SeriesId) -> Option<&Series> {
        self.series.get(usize::try_from(id).ok()?)
    }

    fn at_mut(&mut self, id: SeriesId) -> Option<&mut Series> {
        self.series.get_mut(usize::try_from(id).ok()?)
    }
}
