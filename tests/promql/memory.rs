//! A source in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use watchbell::model::{Labels, Matcher, TimeRange};
use watchbell::storage::source::{
    Columns, SelectedSamples, SelectedSeries, SeriesSet, Source, SourceError,
};

/// Series and their samples, and where native histograms would be, which it does not hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    series: BTreeMap<Labels, Arc<Samples>>,
    histograms: BTreeMap<Labels, BTreeSet<i64>>,
    /// Whether a selection should have found a native histogram.
    missed: Arc<AtomicBool>,
}

/// Value and start time at each timestamp.
#[derive(Clone, Debug, Default)]
struct Samples(BTreeMap<i64, (f64, i64)>, Option<Flaw>);

/// What is wrong with a series.
#[derive(Clone, Debug)]
pub(crate) enum Flaw {
    /// Reading it warns of this.
    Warns(String),
    /// It cannot be read at all.
    Fails(SourceError),
}

impl Memory {
    pub(crate) fn push(&mut self, labels: Labels, ts: i64, value: f64) {
        self.push_started(labels, ts, value, 0);
    }

    /// As `push`, with the time when the counter started, 0 for unknown.
    pub(crate) fn push_started(&mut self, labels: Labels, ts: i64, value: f64, start: i64) {
        let samples = Arc::make_mut(self.series.entry(labels).or_default());
        samples.0.insert(ts, (value, start));
    }

    /// Damages a series.
    pub(crate) fn damage(&mut self, labels: Labels, flaw: Flaw) {
        Arc::make_mut(self.series.entry(labels).or_default()).1 = Some(flaw);
    }

    /// Here a native histogram would be.
    pub(crate) fn push_histogram(&mut self, labels: Labels, ts: i64) {
        self.histograms.entry(labels).or_default().insert(ts);
    }

    /// Whether a selection since the last call should have found a native histogram.
    pub(crate) fn take_missed(&self) -> bool {
        self.missed.swap(false, Ordering::Relaxed)
    }
}

impl SelectedSamples for Samples {
    fn read(
        &self,
        _number: usize,
        range: TimeRange,
        out: &mut Columns,
    ) -> Result<Vec<String>, SourceError> {
        let warnings = match &self.1 {
            None => Vec::new(),
            Some(Flaw::Warns(warning)) => vec![warning.clone()],
            Some(Flaw::Fails(err)) => return Err(err.clone()),
        };
        let known = self.0.values().any(|(_, start)| *start != 0);
        for (ts, (value, start)) in self.0.range(range.from().as_millis()..=range.to().as_millis())
        {
            out.push(*ts, *value);
            out.starts.extend(known.then_some(*start));
        }
        Ok(warnings)
    }
}

impl Source for Memory {
    fn select(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
        series_max: usize,
    ) -> Result<SeriesSet, SourceError> {
        let matches = |labels: &Labels| matchers.iter().all(|matcher| matcher.matches(labels));
        let (from, to) = (range.from().as_millis(), range.to().as_millis());
        let mut histograms = self.histograms.iter();
        if histograms.any(|(labels, at)| matches(labels) && at.range(from..=to).next().is_some()) {
            self.missed.store(true, Ordering::Relaxed);
        }
        let matching = self.series.iter().filter(|(labels, _)| matches(labels));
        let series: Vec<SelectedSeries> = matching
            .map(|(labels, samples)| SelectedSeries::new(labels.clone(), samples.clone(), 0))
            .collect();
        if series.len() > series_max {
            return Err(SourceError::TooManySeries { limit: series_max });
        }
        Ok(SeriesSet { series, warnings: Vec::new() })
    }

    fn series(&self, range: TimeRange, matchers: &[Matcher]) -> Result<Vec<Labels>, SourceError> {
        let set = self.select(range, matchers, usize::MAX)?;
        Ok(set.series.into_iter().map(|series| series.labels).collect())
    }

    fn label_names(
        &self,
        _range: TimeRange,
        _matchers: &[Matcher],
    ) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn label_values(
        &self,
        _name: &str,
        _range: TimeRange,
        _matchers: &[Matcher],
    ) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }
}
