//! A source in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use watchbell::model::{Labels, Matcher, TimeRange};
use watchbell::storage::source::{
    Columns, SelectedSeries, SeriesSamples, SeriesSet, Source, SourceError,
};

/// Series and their samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    series: BTreeMap<Labels, Arc<Samples>>,
}

#[derive(Clone, Debug, Default)]
struct Samples(BTreeMap<i64, f64>);

impl Memory {
    pub(crate) fn push(&mut self, labels: Labels, ts: i64, value: f64) {
        Arc::make_mut(self.series.entry(labels).or_default()).0.insert(ts, value);
    }
}

impl SeriesSamples for Samples {
    fn read(&self, range: TimeRange, out: &mut Columns) -> Result<Vec<String>, SourceError> {
        for (ts, value) in self.0.range(range.from().as_millis()..=range.to().as_millis()) {
            out.push(*ts, *value);
        }
        Ok(Vec::new())
    }
}

impl Source for Memory {
    fn select(
        &self,
        _range: TimeRange,
        matchers: &[Matcher],
        series_max: usize,
    ) -> Result<SeriesSet, SourceError> {
        let matching = self
            .series
            .iter()
            .filter(|(labels, _)| matchers.iter().all(|matcher| matcher.matches(labels)));
        let series: Vec<SelectedSeries> = matching
            .map(|(labels, samples)| SelectedSeries {
                labels: labels.clone(),
                samples: samples.clone(),
            })
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
