//! The store of one test, in memory, with the store's rules about what it takes.

use crate::model::{Labels, METRIC_NAME, MatchOp, Matcher, TimeRange, is_stale_nan};
use crate::storage::append::{
    AppendError, AppendSample, Appender, Commit, Committed, Refusal, SeriesRef,
};
use crate::storage::source::{
    Columns, SelectedSamples, SelectedSeries, SeriesSet, Source, SourceError,
};
use crate::sys::locks::lock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

/// A store.
#[derive(Debug)]
pub(super) struct Memory {
    series: Mutex<Series>,
    samples_max: usize,
}

/// All series.
#[derive(Debug, Default)]
struct Series {
    /// By name, then by labels: most selectors name their metric.
    by_name: BTreeMap<String, BTreeMap<Labels, Arc<Samples>>>,
    count: usize,
}

/// Samples of a series.
#[derive(Clone, Debug, Default)]
struct Samples(Columns);

impl Memory {
    /// An empty store for so many samples.
    pub(super) fn new(samples_max: usize) -> Self {
        Self { series: Mutex::default(), samples_max }
    }

    /// All series with their samples, sorted by labels.
    pub(super) fn dump(&self) -> Vec<(Labels, Columns)> {
        let series = self.lock();
        let all = series.by_name.values().flatten();
        let mut all: Vec<_> =
            all.map(|(labels, samples)| (labels.clone(), samples.0.clone())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    fn lock(&self) -> MutexGuard<'_, Series> {
        lock(&self.series)
    }

    /// Series that match and may have samples in `range`, sorted.
    fn matching(&self, range: TimeRange, matchers: &[Matcher]) -> Vec<(Labels, Arc<Samples>)> {
        let series = self.lock();
        let name = matchers
            .iter()
            .find(|matcher| matcher.name() == METRIC_NAME && matcher.op() == MatchOp::Equal);
        let groups: Vec<_> = match name {
            Some(name) => series.by_name.get(name.value()).into_iter().collect(),
            None => series.by_name.values().collect(),
        };
        let matches = |(labels, samples): &(&Labels, &Arc<Samples>)| {
            samples.overlaps(range) && matchers.iter().all(|matcher| matcher.matches(labels))
        };
        let found = groups.into_iter().flatten().filter(matches);
        let mut found: Vec<_> =
            found.map(|(labels, samples)| (labels.clone(), samples.clone())).collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }
}

impl Series {
    /// Stores one sample: whether it is new, or why it is refused.
    fn push(&mut self, labels: &Labels, ts: i64, value: f64) -> Result<bool, Refusal> {
        if labels.is_empty() {
            return Err(Refusal::BadLabels);
        }
        let name = labels.metric_name().unwrap_or_default();
        let known = self.by_name.get_mut(name).and_then(|group| group.get_mut(labels));
        let samples = match known {
            Some(samples) => samples,
            None if is_stale_nan(value) => return Ok(false),
            None => {
                let group = self.by_name.entry(name.to_owned()).or_default();
                group.entry(labels.clone()).or_default()
            }
        };
        let newest = samples.0.ts.last().copied().zip(samples.0.values.last().copied());
        if let Some((last, before)) = newest.filter(|(last, _)| ts <= *last) {
            return match ts == last {
                true if value.to_bits() == before.to_bits() => Ok(false),
                true => Err(Refusal::Duplicate),
                false => Err(Refusal::OutOfOrder),
            };
        }
        // No query runs while something is written, so that nothing is copied here.
        Arc::make_mut(samples).0.push(ts, value);
        self.count += 1;
        Ok(true)
    }
}

impl Samples {
    fn overlaps(&self, range: TimeRange) -> bool {
        let ends = self.0.ts.first().zip(self.0.ts.last());
        ends.is_some_and(|(first, last)| {
            *first <= range.to().as_millis() && *last >= range.from().as_millis()
        })
    }
}

impl SelectedSamples for Samples {
    fn read(
        &self,
        _number: usize,
        range: TimeRange,
        out: &mut Columns,
    ) -> Result<Vec<String>, SourceError> {
        let start = self.0.ts.partition_point(|ts| *ts < range.from().as_millis());
        let pairs = self.0.ts.iter().zip(&self.0.values).skip(start);
        for (ts, value) in pairs.take_while(|(ts, _)| **ts <= range.to().as_millis()) {
            out.push(*ts, *value);
        }
        Ok(Vec::new())
    }
}

impl Source for Memory {
    fn select(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
        series_max: usize,
    ) -> Result<SeriesSet, SourceError> {
        let found = self.matching(range, matchers);
        if found.len() > series_max {
            return Err(SourceError::TooManySeries { limit: series_max });
        }
        let series = found
            .into_iter()
            .map(|(labels, samples)| SelectedSeries::new(labels, samples, 0))
            .collect();
        Ok(SeriesSet { series, warnings: Vec::new() })
    }

    fn series(&self, range: TimeRange, matchers: &[Matcher]) -> Result<Vec<Labels>, SourceError> {
        Ok(self.matching(range, matchers).into_iter().map(|(labels, _)| labels).collect())
    }

    fn label_names(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
    ) -> Result<Vec<String>, SourceError> {
        let found = self.matching(range, matchers);
        let names: BTreeSet<&str> =
            found.iter().flat_map(|(labels, _)| labels.iter().map(|(name, _)| name)).collect();
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    fn label_values(
        &self,
        name: &str,
        range: TimeRange,
        matchers: &[Matcher],
    ) -> Result<Vec<String>, SourceError> {
        let found = self.matching(range, matchers);
        let values: BTreeSet<&str> =
            found.iter().filter_map(|(labels, _)| labels.get(name)).collect();
        Ok(values.into_iter().map(str::to_owned).collect())
    }
}

impl Appender for Memory {
    fn commit(&self, commit: &Commit) -> Result<Committed, AppendError> {
        let mut series = self.lock();
        if series.count.saturating_add(commit.samples.len()) > self.samples_max {
            let why = format!("a test holds at most {} samples", self.samples_max);
            return Err(AppendError::Refusing(why));
        }
        let mut done = Committed::default();
        for (place, AppendSample { ts, value, .. }) in commit.samples.iter().enumerate() {
            // References are never given out.
            let labels = commit.labels_at(place).ok_or(AppendError::Stale)?;
            match series.push(labels, ts.as_millis(), *value) {
                Ok(is_new) => done.taken += usize::from(is_new),
                Err(refusal) => done.refused.push((place, refusal)),
            }
        }
        Ok(done)
    }

    fn commit_synced(&self, commit: &Commit) -> Result<Committed, AppendError> {
        self.commit(commit)
    }

    fn find(&self, labels: &[Labels]) -> Vec<Option<SeriesRef>> {
        vec![None; labels.len()]
    }
}
