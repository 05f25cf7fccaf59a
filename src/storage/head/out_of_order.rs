//! Out-of-order samples: older than the newest of their series, and inside the window that the
//! operator allows. They stay beside the chunks, whose times must rise, until a block takes them.
//!
//! A sample whose time its series has here or in its open chunk is a duplicate. What full chunks
//! and blocks have is not looked up, as upstream; the sample that came in order wins when read.

use super::{Head, State};
use crate::model::{Labels, Matcher, TimeRange};
use crate::storage::postings::matching;
use crate::storage::source::{Columns, SourceError};
use crate::storage::wal::LogSample;
use crate::storage::wal::frame::put_frame;
use crate::storage::wal::record::{kind, put_inline};
use std::collections::BTreeMap;

/// Samples at most, about 40 bytes each. They go to blocks long before; past it a commit with
/// more of them is to be sent again later.
pub(super) const LATE_SAMPLES_MAX: usize = 1 << 20;

/// So many are worth blocks of their own at once.
const LATE_SAMPLES_DUE: usize = LATE_SAMPLES_MAX / 4;

/// Samples of one record of a checkpoint.
const RECORD_SAMPLES: usize = 16 << 10;

/// Samples that came late and that no block has.
#[derive(Debug, Default)]
pub(super) struct LateSamples {
    /// Bits of values, by number of series and time.
    samples: BTreeMap<(u64, i64), u64>,
    /// Those that the checkpoint does not have.
    unsaved: Vec<LogSample>,
    /// Whether the checkpoint has some that blocks have by now.
    outdated: bool,
    /// None is older, none newer.
    times: Option<(i64, i64)>,
}

/// Samples of one series as they were when it was selected.
#[derive(Clone, Debug)]
pub(crate) struct LateSeries {
    /// Its labels.
    pub(crate) labels: Labels,
    /// The series' number.
    pub(crate) number: u64,
    /// Times and bits of values, in order of time.
    pub(crate) samples: Vec<(i64, u64)>,
}

impl LateSeries {
    /// Appends samples with `from <= ts <= to` to `out`.
    pub(crate) fn read(&self, from: i64, to: i64, out: &mut Columns) {
        let wanted = self.samples.iter().filter(|(ts, _)| (from..=to).contains(ts));
        wanted.for_each(|(ts, bits)| out.push(*ts, f64::from_bits(*bits)));
    }

    /// Those with `from <= ts <= to`, if there are any.
    pub(crate) fn within(&self, from: i64, to: i64) -> Option<Self> {
        let wanted = self.samples.iter().filter(|(ts, _)| (from..=to).contains(ts));
        let samples: Vec<_> = wanted.copied().collect();
        let labels = || self.labels.clone();
        (!samples.is_empty()).then(|| Self { labels: labels(), number: self.number, samples })
    }
}

impl LateSamples {
    /// Whether another commit may bring some.
    pub(super) fn has_room(&self) -> bool {
        self.samples.len() < LATE_SAMPLES_MAX
    }

    /// The value's bits at this time, if there is one.
    pub(super) fn bits_at(&self, series: u64, ts: i64) -> Option<u64> {
        self.samples.get(&(series, ts)).copied()
    }

    /// Whether the series has any.
    pub(super) fn has(&self, series: u64) -> bool {
        self.samples.range((series, i64::MIN)..=(series, i64::MAX)).next().is_some()
    }

    /// Adds one, unless its time is taken.
    pub(super) fn insert(&mut self, sample: LogSample) {
        let LogSample { series, ts, bits } = sample;
        if self.bits_at(series, ts).is_some() {
            return;
        }
        self.samples.insert((series, ts), bits);
        self.unsaved.push(sample);
        let (min, max) = self.times.unwrap_or((ts, ts));
        self.times = Some((min.min(ts), max.max(ts)));
    }

    /// Forgets all: what a checkpoint said before is in blocks.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Puts into a checkpoint what it does not have, all of it with `whole`.
    pub(super) fn put(&mut self, out: &mut Vec<u8>, seq: u64, whole: bool) {
        let mut unsaved = std::mem::take(&mut self.unsaved);
        if self.outdated && !whole {
            put_frame(out, seq, kind::LATE_DONE, |_| {});
        }
        if self.outdated || whole {
            let all = self.samples.iter();
            unsaved = all.map(|((series, ts), bits)| LogSample::new(*series, *ts, *bits)).collect();
        }
        self.outdated = false;
        for run in unsaved.chunks(RECORD_SAMPLES) {
            put_frame(out, seq, kind::OUT_OF_ORDER, |out| put_inline(out, run));
        }
    }

    fn of(&self, series: u64, from: i64, to: i64) -> Vec<(i64, u64)> {
        if from > to {
            return Vec::new();
        }
        let samples = self.samples.range((series, from)..=(series, to));
        samples.map(|((_, ts), bits)| (*ts, *bits)).collect()
    }

    fn overlaps(&self, from: i64, to: i64) -> bool {
        self.times.is_some_and(|(min, max)| min <= to && max >= from)
    }

    fn remove(&mut self, written: &[LateSeries]) {
        for series in written {
            for (ts, _) in &series.samples {
                self.samples.remove(&(series.number, *ts));
            }
        }
        self.outdated = true;
        self.unsaved.retain(|one| self.samples.contains_key(&(one.series, one.ts)));
        let times = || self.samples.keys().map(|(_, ts)| *ts);
        self.times = times().min().zip(times().max());
    }
}

impl Head {
    /// Late samples in `range` of series that match.
    ///
    /// # Errors
    /// More than `series_max` match.
    pub(crate) fn select_late(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
        series_max: usize,
    ) -> Result<Vec<LateSeries>, SourceError> {
        let state = self.state();
        let (from, to) = (range.from().as_millis(), range.to().as_millis());
        if !state.late.overlaps(from, to) {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for place in matching(&state.table, matchers)?.iter() {
            let Some(series) = state.table.at_place(*place) else { continue };
            let samples = state.late.of(series.number, from, to);
            if samples.is_empty() {
                continue;
            }
            if found.len() >= series_max {
                return Err(SourceError::TooManySeries { limit: series_max });
            }
            let labels = state.table.labels(series);
            found.push(LateSeries { labels, number: series.number, samples });
        }
        Ok(found)
    }

    /// Whether a late sample may lie in `range`.
    pub(crate) fn has_late(&self, range: TimeRange) -> bool {
        self.state().late.overlaps(range.from().as_millis(), range.to().as_millis())
    }

    /// Number of late samples, and whether they are so many that blocks should take them.
    pub(crate) fn late_len(&self) -> (usize, bool) {
        let len = self.state().late.samples.len();
        (len, len >= LATE_SAMPLES_DUE)
    }

    /// All late samples, the series in order of labels.
    pub(crate) fn late_samples(&self) -> Vec<LateSeries> {
        let mut found: Vec<LateSeries> = Vec::new();
        let state = self.state();
        for ((number, ts), bits) in &state.late.samples {
            match found.last_mut() {
                Some(last) if last.number == *number => last.samples.push((*ts, *bits)),
                Some(_) | None => {
                    let Some(series) = state.table.get(*number) else { continue };
                    let labels = state.table.labels(series);
                    found.push(LateSeries { labels, number: *number, samples: vec![(*ts, *bits)] });
                }
            }
        }
        drop(state);
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        found
    }

    /// Forgets late samples, which a block has now; so does the next checkpoint.
    pub(crate) fn forget_late(&self, written: &[LateSeries]) {
        self.state_mut().late.remove(written);
    }
}

impl State {
    /// The value's bits that a series has at this time, here or in its open chunk.
    pub(super) fn bits_near(&self, number: u64, ts: i64) -> Option<u64> {
        if let Some(bits) = self.late.bits_at(number, ts) {
            return Some(bits);
        }
        let open = &self.table.get(number)?.open;
        open.min().filter(|min| *min <= ts)?;
        let mut columns = Columns::default();
        open.to_bytes().decode(ts, ts, &mut columns)?;
        columns.values.first().map(|value| value.to_bits())
    }

    /// Forgets late samples of series that nothing describes; how many.
    pub(super) fn settle_late(&mut self) -> u64 {
        let before = self.late.samples.len();
        let table = &self.table;
        self.late.samples.retain(|(series, _), _| table.get(*series).is_some());
        (before - self.late.samples.len()) as u64
    }
}
