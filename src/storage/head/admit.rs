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
//! Source: prometheus, tsdb/head_append.go (appendable), and reliability.md for the bounds.

use super::{State, Verdict};
use crate::model::{Labels, Timestamp};
use crate::storage::append::{Commit, Committed, Refusal, SeriesRef};
use crate::storage::config::Config;
use crate::storage::wal::{LogSample, NewSeries};
use rustc_hash::FxHashMap;

/// The bounds, in milliseconds and counts.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    too_old_after: i64,
    fresh_store_reach: i64,
    too_far_ahead_after: i64,
    series_max: usize,
    labels_max: usize,
    label_name_bytes_max: usize,
    label_value_bytes_max: usize,
}

/// What is taken of a commit.
#[derive(Debug, Default)]
pub(super) struct Admission {
    pub(super) committed: Committed,
    pub(super) new_series: Vec<NewSeries>,
}

impl Limits {
    pub(super) fn of(config: &Config) -> Self {
        let millis =
            |span: std::time::Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self {
            too_old_after: millis(config.too_old_after),
            fresh_store_reach: millis(config.fresh_store_reach),
            too_far_ahead_after: millis(config.too_far_ahead_after),
            series_max: config.series_max.min(super::table::PLACES_MAX),
            labels_max: config.labels_max,
            label_name_bytes_max: config.label_name_bytes_max,
            label_value_bytes_max: config.label_value_bytes_max,
        }
    }
}

/// Decides about each sample; those that change something are appended to `taken`.
pub(super) fn admit(
    state: &State,
    limits: &Limits,
    now: Timestamp,
    commit: &Commit,
    taken: &mut Vec<LogSample>,
) -> Admission {
    let bounds = Bounds::of(state, limits, now, commit.any_age);
    let mut judge = Judge {
        state,
        limits,
        bounds,
        numbers: Box::new(state.table.next_numbers()),
        made: FxHashMap::default(),
        newest: FxHashMap::default(),
        new_series: Vec::new(),
    };
    let mut committed = Committed::default();
    for (place, sample) in commit.samples.iter().enumerate() {
        let verdict = judge.judge(sample.known, &sample.labels, sample.ts, sample.value, taken);
        match verdict {
            Ok(series) => committed.refs.push(Some(series)),
            Err(why) => {
                committed.refs.push(None);
                committed.refused.push((place, why));
            }
        }
    }
    committed.created = judge.new_series.len();
    Admission { committed, new_series: judge.new_series }
}

/// The times that are taken.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    from: i64,
    to: i64,
}

impl Bounds {
    fn of(state: &State, limits: &Limits, now: Timestamp, any_age: bool) -> Self {
        let behind_head = state.max_time.map(|max| max.saturating_sub(limits.too_old_after));
        let from = match (behind_head, state.accept_from) {
            (_, cut) if any_age => cut.unwrap_or(i64::MIN),
            (None, cut) => cut.unwrap_or(i64::MIN),
            (Some(behind), None) => {
                behind.min(now.as_millis().saturating_sub(limits.fresh_store_reach))
            }
            (Some(behind), Some(cut)) => behind.max(cut),
        };
        Self { from, to: now.as_millis().saturating_add(limits.too_far_ahead_after) }
    }
}

struct Judge<'a> {
    state: &'a State,
    limits: &'a Limits,
    bounds: Bounds,
    numbers: Box<dyn Iterator<Item = u64> + 'a>,
    /// Series that this commit makes; labels come from clients, but the map lives for one commit
    /// and is keyed by the seeded hash.
    made: FxHashMap<u64, Vec<usize>>,
    /// The newest sample of each series that this commit has touched.
    newest: FxHashMap<u64, (i64, u64)>,
    new_series: Vec<NewSeries>,
}

impl Judge<'_> {
    fn judge(
        &mut self,
        known: Option<SeriesRef>,
        labels: &Labels,
        ts: Timestamp,
        value: f64,
        taken: &mut Vec<LogSample>,
    ) -> Verdict {
        let (ts, bits) = (ts.as_millis(), value.to_bits());
        let table = &self.state.table;
        let found = known.and_then(|known| table.get(known.number()));
        let found = match found {
            Some(series) => Some(series.number),
            None => {
                let hash = table.hash(labels);
                match table.find(labels, hash) {
                    Some(number) => Some(number),
                    None => self.find_made(hash, labels),
                }
            }
        };
        let last = match found {
            Some(number) => match self.newest.get(&number) {
                Some(newest) => Some(*newest),
                None => table.get(number).and_then(super::series::Series::last),
            },
            None => None,
        };
        if let (Some(number), Some((last_ts, last_bits))) = (found, last) {
            if ts == last_ts && bits == last_bits {
                return Ok(SeriesRef::from_number(number));
            }
            if ts == last_ts {
                return Err(Refusal::Duplicate);
            }
            if ts < last_ts {
                return Err(Refusal::OutOfOrder);
            }
        }
        if ts > self.bounds.to {
            return Err(Refusal::TooFarAhead);
        }
        if ts < self.bounds.from {
            return Err(Refusal::TooOld);
        }
        let number = match found {
            Some(number) => number,
            None => self.make(labels)?,
        };
        self.newest.insert(number, (ts, bits));
        taken.push(LogSample { series: number, ts, bits });
        Ok(SeriesRef::from_number(number))
    }

    fn find_made(&self, hash: u64, labels: &Labels) -> Option<u64> {
        let places = self.made.get(&hash)?;
        let mut made = places.iter().filter_map(|place| self.new_series.get(*place));
        made.find(|series| series.labels == *labels).map(|series| series.number)
    }

    fn make(&mut self, labels: &Labels) -> Result<u64, Refusal> {
        self.check_labels(labels)?;
        if self.state.table.len() + self.new_series.len() >= self.limits.series_max {
            return Err(Refusal::SeriesLimit);
        }
        let number = self.numbers.next().ok_or(Refusal::SeriesLimit)?;
        let hash = self.state.table.hash(labels);
        self.made.entry(hash).or_default().push(self.new_series.len());
        self.new_series.push(NewSeries { number, labels: labels.clone() });
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
