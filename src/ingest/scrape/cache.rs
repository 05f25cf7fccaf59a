//! What a target's lines lead to, so that a steady scrape neither reads labels nor relabels.
//!
//! A target answers the same lines in the same order, so the lines of the last good scrape are
//! kept in that order, 16 bytes each: a hash of the line's series part, with a key of this
//! process, and the store's reference. A line that is where it was costs one comparison. From the
//! first line that is not, an index of the rest is made for this one scrape, and the lines are
//! written down anew.
//!
//! How long the series part of a line is, is kept too: where the same line comes again its end
//! need not be looked for.
//!
//! The texts themselves would cost more memory than all the rest, and no target can aim for a
//! collision of hashes whose key it does not know.

use super::super::limits::METADATA_MAX;
use super::heard::Heard;
use crate::exposition::Normalize;
use crate::model::{Metadata, MetricType};
use crate::storage::append::SeriesRef;
use bitvec::vec::BitVec;
use foldhash::quality::RandomState;
use rustc_hash::{FxHashMap, FxHashSet};
use std::hash::{BuildHasher as _, Hash};

/// Comments that are remembered by their place: three for each metric that is described, while a
/// body may hold one for every few bytes.
const COMMENTS_MAX: usize = 3 * METADATA_MAX;
/// New lines of failed scrapes that are remembered, for what is said to be added; 8 bytes each.
const FAILED_MAX: usize = 1 << 16;

/// What is known of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Its series.
    Series(SeriesRef),
    /// That relabelling drops it.
    Dropped,
    /// Nothing.
    Unknown,
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    key: u64,
    leads_to: LeadsTo,
}

/// Where a line leads: a series' number, and what holds for it, in its highest bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LeadsTo(u64);

impl LeadsTo {
    const DROPPED: Self = Self(u64::MAX);
    /// The end of the series is to be marked.
    const TRACKED: u64 = 1 << 63;
    /// The store refused the last sample.
    const REFUSED: u64 = 1 << 62;
    /// The number is a place among the labels of the commit under way.
    const NEW: u64 = 1 << 61;
    const FLAGS: u64 = Self::TRACKED | Self::REFUSED | Self::NEW;

    const fn is_dropped(self) -> bool {
        self.0 == Self::DROPPED.0
    }

    const fn has(self, flag: u64) -> bool {
        !self.is_dropped() && self.0 & flag != 0
    }

    const fn with(self, flag: u64, holds: bool) -> Self {
        if self.is_dropped() {
            self
        } else if holds {
            Self(self.0 | flag)
        } else {
            Self(self.0 & !flag)
        }
    }

    const fn series(self) -> SeriesRef {
        SeriesRef::from_number(self.0 & !Self::FLAGS)
    }

    const fn known(self) -> Known {
        if self.is_dropped() { Known::Dropped } else { Known::Series(self.series()) }
    }
}

/// Comments that came before, one behind the other: as a rule what is said about one metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CommentRun {
    /// A hash of all their bytes.
    pub(super) key: u64,
    /// How many those are.
    pub(super) bytes: u32,
    /// How many comments.
    pub(super) comments: u16,
    /// Whether a type is among them.
    pub(super) has_type: bool,
}

/// The scrape under way, from the first line that is not where it was.
#[derive(Debug, Default)]
struct Moved {
    lines: Vec<Line>,
    lens: Vec<u8>,
    /// Places of the lines of the last good scrape that have not come yet.
    places: FxHashMap<u64, u32>,
    /// Lines of the last good scrape that have come, so that their series go on.
    came: BitVec,
}

/// The lines of one target.
#[derive(Debug, Default)]
pub(super) struct SeriesCache {
    keys: RandomState,
    /// Those of the last good scrape, in order.
    lines: Vec<Line>,
    /// Bytes of the series part of each, 0 when that is not known or the line had a time of its own.
    lens: Vec<u8>,
    /// The ends of all their series are marked already.
    is_ended: bool,
    /// Lines lead elsewhere by now: relabelling changed.
    is_forgotten: bool,
    /// Some line is marked as refused.
    has_refused: bool,
    /// How many lines are where they were, so far.
    cursor: usize,
    moved: Option<Moved>,
    /// Keys of the new lines of failed scrapes, sorted; kept until the second good one after them.
    failed: Vec<u64>,
    /// A good scrape came since.
    failed_is_old: bool,
    /// What it says about its metrics.
    pub(super) heard: Heard,
    has_news: bool,
    /// Keys of the comments of the last scrape, in order, and how many came again.
    comments: Vec<u64>,
    comments_seen: usize,
    /// The same comments taken together, as far as they need not be read, and how many came again.
    runs: Vec<CommentRun>,
    runs_seen: usize,
}

impl SeriesCache {
    /// Begins a scrape.
    pub(super) fn begin(&mut self) {
        self.cursor = 0;
        self.comments_seen = 0;
        self.runs_seen = 0;
        self.moved = self
            .is_forgotten
            .then(|| Moved { came: BitVec::repeat(false, self.lines.len()), ..Moved::default() });
    }

    /// The key of a line's series part.
    #[inline]
    pub(super) fn line_key(&self, raw: &[u8], normalize: Normalize) -> u64 {
        let key = self.keys.hash_one(raw);
        match normalize {
            Normalize::Nothing => key,
            Normalize::Bounds => key ^ 1,
            Normalize::Quantiles => key ^ 2,
        }
    }

    /// The key of anything else that stands for a line, and of comments.
    pub(super) fn key_of(&self, line: impl Hash) -> u64 {
        self.keys.hash_one(line)
    }

    /// How long the series part of the next line is, if the lines go on as they did.
    #[inline]
    pub(super) fn expected_len(&self) -> Option<usize> {
        let len = if self.moved.is_none() { self.lens.get(self.cursor).copied() } else { None };
        len.filter(|len| *len > 0).map(usize::from)
    }

    /// Whether the next line has this key, if they do.
    #[inline]
    pub(super) fn is_expected(&self, key: u64) -> bool {
        self.lines.get(self.cursor).is_some_and(|line| line.key == key)
    }

    /// What is known of the next line, which `is_expected`.
    #[inline]
    pub(super) fn pass_expected(&mut self) -> Option<Known> {
        let known = self.lines.get(self.cursor)?.leads_to.known();
        self.cursor += 1;
        Some(known)
    }

    /// What is known of the next line, with a series part of `len` bytes; its end is to be marked
    /// if it is `tracked`.
    pub(super) fn look_up(&mut self, key: u64, len: usize, tracked: bool) -> Known {
        if self.moved.is_none() {
            match self.lines.get(self.cursor) {
                Some(line)
                    if line.key == key
                        && (line.leads_to.is_dropped()
                            || line.leads_to.has(LeadsTo::TRACKED) == tracked) =>
                {
                    self.cursor += 1;
                    return line.leads_to.known();
                }
                Some(_) | None => {}
            }
        }
        let (lines, lens) = (&self.lines, &self.lens);
        let cursor = self.cursor;
        let moved = self.moved.get_or_insert_with(|| Moved::after(lines, lens, cursor));
        let place = moved.places.remove(&key).and_then(|place| usize::try_from(place).ok());
        let Some((place, line)) = place.and_then(|place| Some((place, lines.get(place)?))) else {
            return Known::Unknown;
        };
        // T6: a series whose sample has a time of its own now ends as far as scrapes know it.
        moved.came.set(place, tracked);
        let leads_to = line.leads_to.with(LeadsTo::TRACKED, tracked);
        moved.push(Line { key, leads_to }, len);
        leads_to.known()
    }

    /// Number of lines of the scrape so far.
    pub(super) fn line_count(&self) -> usize {
        self.moved.as_ref().map_or(self.cursor, |moved| moved.lines.len())
    }

    /// Remembers that relabelling drops the line that was looked up last.
    pub(super) fn learn_dropped(&mut self, key: u64, len: usize) {
        self.learn(Line { key, leads_to: LeadsTo::DROPPED }, len);
    }

    /// Remembers that the line that was looked up last leads to the series whose labels are at
    /// this place of the commit.
    pub(super) fn learn_new(&mut self, (key, len): (u64, usize), place: u32, tracked: bool) {
        let leads_to = LeadsTo(LeadsTo::NEW | u64::from(place));
        self.learn(Line { key, leads_to: leads_to.with(LeadsTo::TRACKED, tracked) }, len);
    }

    fn learn(&mut self, line: Line, len: usize) {
        if let Some(moved) = &mut self.moved {
            moved.push(line, len);
        }
    }

    /// New lines of the scrape so far, each text once: those that neither the last good scrape had
    /// nor a failed one around it.
    pub(super) fn added(&self) -> usize {
        let keys = self.new_keys();
        keys.iter().filter(|key| self.failed.binary_search(key).is_err()).count()
    }

    /// Keys of the lines that are new, each once.
    fn new_keys(&self) -> FxHashSet<u64> {
        let lines = self.moved.as_ref().map_or(&[][..], |moved| &moved.lines);
        let new = lines.iter().filter(|line| line.leads_to.has(LeadsTo::NEW));
        let mut keys: FxHashSet<u64> = new.map(|line| line.key).collect();
        if !keys.is_empty() && !self.is_forgotten {
            // A line that comes twice is new the second time, as far as lines in order are known.
            for line in &self.lines {
                keys.remove(&line.key);
            }
        }
        keys
    }

    /// T5: series whose lines the last good scrape had and this one has not; each once. A line may
    /// have changed and lead to the same series: the caller takes those away.
    pub(super) fn missing(&self) -> Vec<SeriesRef> {
        if self.is_ended || (self.moved.is_none() && self.cursor == self.lines.len()) {
            return Vec::new();
        }
        let came = |place: usize| match &self.moved {
            Some(moved) => moved.came.get(place).is_some_and(|bit| *bit),
            None => place < self.cursor,
        };
        let mut missing = self.live(|place| !came(place));
        let here = match &self.moved {
            Some(moved) => moved.lines.as_slice(),
            None => self.lines.get(..self.cursor).unwrap_or_default(),
        };
        let here: FxHashSet<SeriesRef> = known_and_tracked(here).collect();
        missing.retain(|series| !here.contains(series));
        missing
    }

    /// T2, T7: all series whose end is to be marked when there is no scrape; each once.
    pub(super) fn all_live(&self) -> Vec<SeriesRef> {
        if self.is_ended { Vec::new() } else { self.live(|_| true) }
    }

    fn live(&self, wanted: impl Fn(usize) -> bool) -> Vec<SeriesRef> {
        let lines = self.lines.iter().enumerate().filter(|(place, _)| wanted(*place));
        let live = lines
            .map(|(_, line)| line.leads_to)
            .filter(|leads_to| leads_to.has(LeadsTo::TRACKED) && !leads_to.has(LeadsTo::REFUSED));
        let mut series: Vec<SeriesRef> = live.map(LeadsTo::series).collect();
        series.sort_unstable_by_key(|series| series.number());
        series.dedup();
        series
    }

    /// The scrape succeeded and is written: `refs` are those of the labels of the commit, and
    /// `refused` the places of its samples that were not taken. Each line that is not dropped has
    /// one sample, in order, before all others of the commit.
    pub(super) fn succeeded(&mut self, refs: &[Option<SeriesRef>], refused: &[usize]) {
        let moved = self.moved.take();
        let is_moved = moved.is_some();
        match moved {
            Some(moved) => (self.lines, self.lens) = (moved.lines, moved.lens),
            None => {
                self.lines.truncate(self.cursor);
                self.lens.truncate(self.cursor);
            }
        }
        if self.has_refused || !refused.is_empty() {
            self.mark_refused(refused);
        }
        if is_moved {
            let stays: Vec<bool> = self.lines.iter_mut().map(|line| line.resolve(refs)).collect();
            let (mut line, mut len) = (stays.iter(), stays.iter());
            self.lines.retain(|_| line.next() == Some(&true));
            self.lens.retain(|_| len.next() == Some(&true));
            self.lines.shrink_to_fit();
            self.lens.shrink_to_fit();
        }
        self.is_ended = false;
        self.is_forgotten = false;
        if std::mem::replace(&mut self.failed_is_old, true) {
            self.failed = Vec::new();
        }
        self.comments.truncate(self.comments_seen);
        self.runs.truncate(self.runs_seen);
        if std::mem::take(&mut self.has_news) {
            self.heard.told();
        }
    }

    fn mark_refused(&mut self, refused: &[usize]) {
        let refused: FxHashSet<usize> = refused.iter().copied().collect();
        self.has_refused = !refused.is_empty();
        let lines = self.lines.iter_mut().filter(|line| !line.leads_to.is_dropped());
        for (place, line) in lines.enumerate() {
            line.leads_to = line.leads_to.with(LeadsTo::REFUSED, refused.contains(&place));
        }
    }

    /// The scrape failed and the ends of all series are written.
    pub(super) fn failed(&mut self) {
        let new = self.new_keys();
        if std::mem::take(&mut self.failed_is_old) {
            self.failed.clear();
        }
        self.failed.extend(new);
        self.failed.sort_unstable();
        self.failed.dedup();
        // A target that makes up names each time does not fill the memory.
        self.failed.truncate(FAILED_MAX);
        self.abandoned();
        self.is_ended = true;
    }

    /// The scrape came to nothing: forgets what it brought.
    pub(super) fn abandoned(&mut self) {
        self.moved = None;
    }

    /// Forgets what lines lead to; the series' ends are still marked. For a change of
    /// relabelling, and when the store has forgotten a series.
    pub(super) fn forget_lines(&mut self) {
        self.is_forgotten = true;
    }

    /// Whether the next comment of the last scrape had this key.
    pub(super) fn is_heard(&self, key: u64) -> bool {
        self.comments.get(self.comments_seen) == Some(&key)
    }

    /// Whether the last scrape had a comment with this key at the same place; the next is looked
    /// for behind it.
    pub(super) fn heard(&mut self, key: u64) -> bool {
        let place = self.comments_seen;
        self.comments_seen += 1;
        match self.comments.get_mut(place) {
            Some(known) if *known == key => return true,
            Some(known) => *known = key,
            None if place < COMMENTS_MAX => self.comments.push(key),
            None => {}
        }
        false
    }

    /// The next comments of the last scrape, if they come again.
    #[inline]
    pub(super) fn expected_run(&self) -> Option<CommentRun> {
        self.runs.get(self.runs_seen).copied()
    }

    /// The `expected_run` came again.
    #[inline]
    pub(super) fn pass_run(&mut self, run: CommentRun) {
        self.runs_seen += 1;
        self.comments_seen += usize::from(run.comments);
    }

    /// Comments were passed one by one that will be looked for together in the next scrape.
    pub(super) fn learn_run(&mut self, run: CommentRun) {
        match self.runs.get_mut(self.runs_seen) {
            Some(known) => *known = run,
            // Each has a comment that is remembered, so there are no more of them.
            None => self.runs.push(run),
        }
        self.runs_seen += 1;
    }

    /// Takes in what is said about a metric: its type, help and unit.
    pub(super) fn hear(
        &mut self,
        name: &str,
        metrics_max: usize,
        kind: Option<MetricType>,
        texts: [Option<&str>; 2],
    ) {
        self.has_news = true;
        if self.heard.hear(name, metrics_max, kind, texts) {
            // Comments that came before may say what no longer holds: they are heard again.
            self.comments.clear();
            self.comments_seen = 0;
            self.runs.clear();
            self.runs_seen = 0;
        }
    }

    /// What the store has not heard yet.
    pub(super) fn news(&self) -> Vec<(String, Metadata)> {
        if self.has_news { self.heard.news() } else { Vec::new() }
    }
}

impl Moved {
    /// After `cursor` lines that were where they had been.
    fn after(lines: &[Line], lens: &[u8], cursor: usize) -> Self {
        let mut came = BitVec::repeat(false, lines.len());
        if let Some(seen) = came.get_mut(..cursor) {
            seen.fill(true);
        }
        let rest = (0_u32..).zip(lines).skip(cursor);
        let mut places = FxHashMap::default();
        for (place, line) in rest {
            // Of equal lines the first comes first.
            places.entry(line.key).or_insert(place);
        }
        let lines = lines.get(..cursor).unwrap_or_default().to_vec();
        let lens = lens.get(..cursor).unwrap_or_default().to_vec();
        Self { lines, lens, places, came }
    }

    fn push(&mut self, line: Line, len: usize) {
        let is_bare = line.leads_to.is_dropped() || line.leads_to.has(LeadsTo::TRACKED);
        let len = if is_bare { len } else { 0 };
        self.lines.push(line);
        self.lens.push(u8::try_from(len).unwrap_or_default());
    }
}

impl Line {
    /// Puts the store's reference in the place of a new series; whether it has one.
    fn resolve(&mut self, refs: &[Option<SeriesRef>]) -> bool {
        if !self.leads_to.has(LeadsTo::NEW) {
            return true;
        }
        let place = usize::try_from(self.leads_to.series().number());
        let found = place.ok().and_then(|place| refs.get(place).copied().flatten());
        let flags = self.leads_to.0 & LeadsTo::FLAGS & !LeadsTo::NEW;
        self.leads_to = LeadsTo(found.map_or(0, SeriesRef::number) | flags);
        found.is_some()
    }
}

/// The series that lines lead to, as far as they are known and their ends are to be marked.
fn known_and_tracked(lines: &[Line]) -> impl Iterator<Item = SeriesRef> {
    let leads_to = lines.iter().map(|line| line.leads_to);
    let known = leads_to.filter(|one| one.has(LeadsTo::TRACKED) && !one.has(LeadsTo::NEW));
    known.map(LeadsTo::series)
}
