//! Which samples of a commit are taken.
//!
//! A sample is compared with the newest of its series: later is taken; the same time with the
//! same bits is fine and changes nothing; the same time with other bits is a duplicate; older is
//! out of order. Beyond that its time must not be further ahead of the clock than
//! `too_far_ahead_after`, nor older than the newest block, nor further behind the head's newest
//! sample than `too_old_after`. As long as no block has been cut, the last bound gives way to
//! `fresh_store_reach` behind the clock, so that a fresh store can be filled with the history
//! that a sender has, series by series; such samples still cannot move the head's end.
//!
//! With an out-of-order window, samples that are too old or out of order for their chunk, and not
//! further behind the head's newest than the window, are taken as late ones: see `out_of_order.rs`.
//!
//! Source: prometheus, tsdb/head_append.go (appendable), and reliability.md for the bounds.

use super::State;
use super::table::place_of;
use crate::model::{Labels, STALE_NAN_BITS, Timestamp};
use crate::storage::append::{AppendSample, Commit, Committed, Refusal, SeriesKey, SeriesRef};
use crate::storage::config::Config;
use crate::storage::wal::{LogSample, NewSeries};
use rustc_hash::FxHashMap;

/// Samples whose series are fetched from memory together.
const FETCHED_TOGETHER: usize = 64;

/// The bounds, in milliseconds and counts.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    too_old_after: i64,
    fresh_store_reach: i64,
    too_far_ahead_after: i64,
    out_of_order_window: i64,
    series_max: usize,
    labels_max: usize,
    label_name_bytes_max: usize,
    label_value_bytes_max: usize,
    /// Whether memory runs short, so that no series are made.
    pub(super) is_memory_short: bool,
}

/// What is taken of a commit.
#[derive(Debug, Default)]
pub(super) struct Admission {
    pub(super) committed: Committed,
    pub(super) new_series: Vec<NewSeries>,
    /// Samples that are older than their series' newest.
    pub(super) late: Vec<LogSample>,
    stop: Option<Stop>,
}

impl Limits {
    pub(super) fn of(config: &Config) -> Self {
        let millis =
            |span: std::time::Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self {
            too_old_after: millis(config.too_old_after),
            fresh_store_reach: millis(config.fresh_store_reach),
            too_far_ahead_after: millis(config.too_far_ahead_after),
            out_of_order_window: millis(config.out_of_order_window),
            series_max: config.series_max.min(super::table::PLACES_MAX),
            labels_max: config.labels_max,
            label_name_bytes_max: config.label_name_bytes_max,
            label_value_bytes_max: config.label_value_bytes_max,
            is_memory_short: false,
        }
    }
}

/// Why nothing of a commit is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// A known series has left the head.
    Stale,
    /// Too many late samples wait for a block.
    LateFull,
}

/// Which series a commit has touched already, by their place in the slab; kept between commits
/// for its memory.
#[derive(Debug, Default)]
pub(super) struct Touched {
    words: Vec<u64>,
}

impl Touched {
    /// Marks a series; whether it was marked before.
    fn insert(&mut self, number: u64) -> bool {
        let place = place_of(number) as usize;
        if place / 64 >= self.words.len() {
            self.words.resize(place / 64 + 1, 0);
        }
        let Some(word) = self.words.get_mut(place / 64) else { return false };
        let bit = 1 << (place % 64);
        let before = *word & bit != 0;
        *word |= bit;
        before
    }

    fn remove(&mut self, number: u64) {
        if let Some(word) = self.words.get_mut(place_of(number) as usize / 64) {
            *word = 0;
        }
    }
}

/// Decides about each sample; those that change something are appended to `taken`, which is
/// empty.
pub(super) fn admit(
    state: &State,
    limits: &Limits,
    now: Timestamp,
    commit: &Commit,
    touched: &mut Touched,
    taken: &mut Vec<LogSample>,
) -> Result<Admission, Stop> {
    let comes_once = comes_once(&commit.samples);
    let judge = Judge {
        state,
        comes_once,
        limits,
        bounds: Bounds::of(state, limits, now),
        named: commit.labels.iter().map(|labels| Named::of(state, labels)).collect(),
        numbers: Box::new(state.table.next_numbers()),
        made: FxHashMap::default(),
        touched,
        newest: None,
        new_series: Vec::new(),
        late_from: late_from(state, limits, now, commit),
        late: Vec::new(),
        seen: None,
    };
    let admission = judge.run(commit, taken);
    if !comes_once {
        forget(touched, commit, &admission.committed.refs);
    }
    admission.stop.map_or(Ok(admission), Err)
}

/// Whether each series comes once for sure: their places rise, as those of most scrapes do.
fn comes_once(samples: &[AppendSample]) -> bool {
    samples.is_sorted_by(|before, sample| match (before.series, sample.series) {
        (SeriesKey::Known(before), SeriesKey::Known(series)) => {
            place_of(before.number()) < place_of(series.number())
        }
        (SeriesKey::Known(_) | SeriesKey::New(_), _) => false,
    })
}

/// Unmarks the series of a commit.
fn forget(touched: &mut Touched, commit: &Commit, refs: &[Option<SeriesRef>]) {
    for sample in &commit.samples {
        let series = match sample.series {
            SeriesKey::Known(known) => Some(known),
            SeriesKey::New(at) => {
                usize::try_from(at).ok().and_then(|place| refs.get(place).copied().flatten())
            }
        };
        if let Some(series) = series {
            touched.remove(series.number());
        }
    }
}

/// From when on late samples are taken; `None` when none are.
fn late_from(state: &State, limits: &Limits, now: Timestamp, commit: &Commit) -> Option<i64> {
    let newest = state.max_time.or(state.accept_from).unwrap_or(now.as_millis());
    let window = limits.out_of_order_window;
    (window > 0 && !commit.in_order_only).then(|| newest.saturating_sub(window))
}

/// The times that are taken.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    from: i64,
    to: i64,
}

impl Bounds {
    fn of(state: &State, limits: &Limits, now: Timestamp) -> Self {
        let behind_head = state.max_time.map(|max| max.saturating_sub(limits.too_old_after));
        let from = match (behind_head, state.accept_from) {
            (None, cut) => cut.unwrap_or(i64::MIN),
            (Some(behind), None) => {
                behind.min(now.as_millis().saturating_sub(limits.fresh_store_reach))
            }
            (Some(behind), Some(cut)) => behind.max(cut),
        };
        Self { from, to: now.as_millis().saturating_add(limits.too_far_ahead_after) }
    }
}

/// A label set of the commit.
#[derive(Clone, Copy, Debug)]
enum Named {
    /// With this hash, and no series so far.
    Unknown(u64),
    /// Of this series.
    Series(u64),
}

impl Named {
    fn of(state: &State, labels: &Labels) -> Self {
        let hash = state.table.hash(labels);
        state.table.find(labels, hash).map_or(Self::Unknown(hash), Self::Series)
    }

    const fn series(self) -> Option<SeriesRef> {
        match self {
            Self::Unknown(_) => None,
            Self::Series(number) => Some(SeriesRef::from_number(number)),
        }
    }
}

/// Why a sample is not taken.
enum Verdict {
    Refused(Refusal),
    Stop(Stop),
}

impl From<Refusal> for Verdict {
    fn from(why: Refusal) -> Self {
        Self::Refused(why)
    }
}

struct Judge<'a> {
    state: &'a State,
    limits: &'a Limits,
    bounds: Bounds,
    named: Vec<Named>,
    numbers: Box<dyn Iterator<Item = u64> + 'a>,
    /// Series that this commit makes; labels come from clients, but the map lives for one commit
    /// and is keyed by the seeded hash.
    made: FxHashMap<u64, Vec<usize>>,
    touched: &'a mut Touched,
    /// No series comes twice, so that none need be marked.
    comes_once: bool,
    /// The newest sample of each series that this commit has touched; made when one comes twice.
    newest: Option<FxHashMap<u64, (i64, u64)>>,
    new_series: Vec<NewSeries>,
    late_from: Option<i64>,
    late: Vec<LogSample>,
    /// What was taken by series and time; made with the first late sample.
    seen: Option<FxHashMap<(u64, i64), u64>>,
}

impl State {
    /// Has the processor fetch what it will need of the series of these samples. One that is
    /// scraped every few seconds is in no cache by then, and to wait for each takes longer than
    /// all the rest; in a loop this short it waits for many at once.
    fn fetch<'a>(&self, samples: impl Iterator<Item = &'a AppendSample>) {
        let last = |sample: &AppendSample| match sample.series {
            SeriesKey::Known(known) => {
                self.table.get(known.number()).map_or(0, |series| series.open.last_byte())
            }
            SeriesKey::New(_) => 0,
        };
        std::hint::black_box(samples.fold(0, |all, sample| all ^ last(sample)));
    }
}

impl Judge<'_> {
    fn run(mut self, commit: &Commit, taken: &mut Vec<LogSample>) -> Admission {
        let mut admission = Admission::default();
        for (place, sample) in commit.samples.iter().enumerate() {
            if place % FETCHED_TOGETHER == 0 {
                self.state.fetch(commit.samples.iter().skip(place).take(FETCHED_TOGETHER));
            }
            match self.judge(commit, sample, taken) {
                Ok(()) => {}
                Err(Verdict::Refused(why)) => admission.committed.refused.push((place, why)),
                Err(Verdict::Stop(why)) => {
                    admission.stop = Some(why);
                    break;
                }
            }
        }
        admission.committed.refs = self.named.iter().map(|named| named.series()).collect();
        admission.committed.created = self.new_series.len();
        admission.committed.taken = taken.len() + self.late.len();
        admission.committed.late = self.late.len();
        admission.new_series = self.new_series;
        admission.late = self.late;
        admission
    }

    fn judge(
        &mut self,
        commit: &Commit,
        sample: &AppendSample,
        taken: &mut Vec<LogSample>,
    ) -> Result<(), Verdict> {
        let (ts, bits) = (sample.ts.as_millis(), sample.value.to_bits());
        let state = self.state;
        let (number, last) = match sample.series {
            SeriesKey::Known(known) => match state.table.get(known.number()) {
                Some(series) => (Some(series.number), series.last()),
                None if bits == STALE_NAN_BITS => return Ok(()),
                None => return Err(Verdict::Stop(Stop::Stale)),
            },
            SeriesKey::New(at) => {
                let labels = usize::try_from(at).ok().and_then(|at| commit.labels.get(at));
                let number = self.look_up(at, labels.ok_or(Refusal::BadLabels)?);
                if number.is_none() && bits == STALE_NAN_BITS {
                    return Ok(());
                }
                (number, number.and_then(|number| state.table.get(number)?.last()))
            }
        };
        let comes_again =
            !self.comes_once && number.is_some_and(|number| self.touched.insert(number));
        let last = if comes_again { self.newest(number, taken).or(last) } else { last };
        if let Some((last_ts, last_bits)) = last {
            if ts == last_ts && bits == last_bits {
                return Ok(());
            }
            if ts == last_ts {
                return Err(Refusal::Duplicate.into());
            }
        }
        if ts > self.bounds.to {
            return Err(Refusal::TooFarAhead.into());
        }
        let fault = if last.is_some_and(|(last_ts, _)| ts < last_ts) {
            Some(Refusal::OutOfOrder)
        } else {
            (ts < self.bounds.from).then_some(Refusal::TooOld)
        };
        if let Some(fault) = fault {
            self.check_late(ts, fault)?;
        }
        let series = match (number, sample.series) {
            (Some(number), _) => number,
            (None, SeriesKey::New(at)) => self.make(at, commit)?,
            (None, SeriesKey::Known(_)) => return Err(Verdict::Stop(Stop::Stale)),
        };
        if fault.is_some() {
            return self.take_late(LogSample { series, ts, bits }, taken);
        }
        if let Some(seen) = &mut self.seen {
            seen.insert((series, ts), bits);
        }
        if let Some(newest) = &mut self.newest {
            newest.insert(series, (ts, bits));
        }
        taken.push(LogSample { series, ts, bits });
        Ok(())
    }

    /// Whether a sample that cannot go into its series' chunk may be taken as a late one.
    fn check_late(&self, ts: i64, fault: Refusal) -> Result<(), Verdict> {
        match self.late_from {
            None => Err(fault.into()),
            Some(from) if ts < from => Err(Refusal::TooOld.into()),
            Some(_) if !self.state.late.has_room() => Err(Verdict::Stop(Stop::LateFull)),
            Some(_) => Ok(()),
        }
    }

    /// Takes a late sample, unless the series has one at its time.
    fn take_late(&mut self, sample: LogSample, taken: &[LogSample]) -> Result<(), Verdict> {
        let LogSample { series, ts, bits } = sample;
        let all = || taken.iter().map(|one| ((one.series, one.ts), one.bits)).collect();
        let seen = self.seen.get_or_insert_with(all);
        let other = seen.get(&(series, ts)).copied();
        match other.or_else(|| self.state.bits_near(series, ts)) {
            Some(other) if other == bits => Ok(()),
            Some(_) => Err(Refusal::Duplicate.into()),
            None => {
                seen.insert((series, ts), bits);
                self.late.push(sample);
                Ok(())
            }
        }
    }

    /// The newest sample of a series that this commit has touched before.
    fn newest(&mut self, number: Option<u64>, taken: &[LogSample]) -> Option<(i64, u64)> {
        let all = || taken.iter().map(|one| (one.series, (one.ts, one.bits))).collect();
        self.newest.get_or_insert_with(all).get(&number?).copied()
    }

    /// The series of a label set, if there is one by now.
    fn look_up(&mut self, at: u32, labels: &Labels) -> Option<u64> {
        let named = self.named.get_mut(usize::try_from(at).ok()?)?;
        if let Named::Unknown(hash) = *named {
            // Another set of this commit may be equal.
            let places = self.made.get(&hash)?;
            let mut made = places.iter().filter_map(|place| self.new_series.get(*place));
            let found = made.find(|series| series.labels == *labels)?.number;
            *named = Named::Series(found);
        }
        match *named {
            Named::Series(number) => Some(number),
            Named::Unknown(_) => None,
        }
    }

    fn make(&mut self, at: u32, commit: &Commit) -> Result<u64, Refusal> {
        let place = usize::try_from(at).map_err(|_| Refusal::BadLabels)?;
        let labels = commit.labels.get(place).ok_or(Refusal::BadLabels)?;
        self.check_labels(labels)?;
        if self.limits.is_memory_short {
            return Err(Refusal::Memory);
        }
        if self.state.table.len() + self.new_series.len() >= self.limits.series_max {
            return Err(Refusal::SeriesLimit);
        }
        let number = self.numbers.next().ok_or(Refusal::SeriesLimit)?;
        let hash = self.state.table.hash(labels);
        self.made.entry(hash).or_default().push(self.new_series.len());
        self.new_series.push(NewSeries { number, labels: labels.clone() });
        if let Some(named) = self.named.get_mut(place) {
            *named = Named::Series(number);
        }
        if !self.comes_once {
            self.touched.insert(number);
        }
        Ok(number)
    }

    fn check_labels(&self, labels: &Labels) -> Result<(), Refusal> {
        let limits = self.limits;
        let mut count = 0;
        for (name, value) in labels {
            count += 1;
            let fits = !name.is_empty()
                && name.len() <= limits.label_name_bytes_max
                && value.len() <= limits.label_value_bytes_max;
            if !fits {
                return Err(Refusal::BadLabels);
            }
        }
        let named = labels.metric_name().is_some();
        if named && count <= limits.labels_max { Ok(()) } else { Err(Refusal::BadLabels) }
    }
}
