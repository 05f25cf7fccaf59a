//! A store in which some queries take as long as a test wants.

// All of this file is test code; from this line on the checks of the house know it too.
#[cfg(test)]
use super::queries::LIGHT;
use crate::model::{Labels, Matcher, TimeRange};
use crate::storage::source::{SeriesSet, Source, SourceError};
use std::sync::{Condvar, Mutex};

/// A store without samples. `heavy` has more series than a light query may find, and who may
/// find them waits until they are released.
#[derive(Debug, Default)]
pub(super) struct Slow {
    released: Mutex<bool>,
    changed: Condvar,
    waiting: Mutex<usize>,
}

impl Slow {
    /// Lets all queries go on, those that come later as well.
    pub(super) fn release(&self) {
        *self.released.lock().expect("not poisoned") = true;
        self.changed.notify_all();
    }

    /// Queries wait again.
    pub(super) fn hold(&self) {
        *self.released.lock().expect("not poisoned") = false;
    }

    /// Waits until a query waits.
    pub(super) fn wait_for_one(&self) {
        let waiting = self.waiting.lock().expect("not poisoned");
        drop(self.changed.wait_while(waiting, |waiting| *waiting == 0).expect("not poisoned"));
    }

    /// Queries that have come to wait so far.
    pub(super) fn waiting(&self) -> usize {
        *self.waiting.lock().expect("not poisoned")
    }
}

impl Source for Slow {
    fn select(
        &self,
        _range: TimeRange,
        matchers: &[Matcher],
        series_max: usize,
    ) -> Result<SeriesSet, SourceError> {
        if matchers.iter().any(|matcher| matcher.value() == "heavy") {
            if series_max <= LIGHT.series_max {
                return Err(SourceError::TooManySeries { limit: series_max });
            }
            *self.waiting.lock().expect("not poisoned") += 1;
            self.changed.notify_all();
            let released = self.released.lock().expect("not poisoned");
            drop(self.changed.wait_while(released, |released| !*released));
        }
        Ok(SeriesSet { series: Vec::new(), warnings: Vec::new() })
    }

    fn series(&self, _range: TimeRange, _matchers: &[Matcher]) -> Result<Vec<Labels>, SourceError> {
        Ok(Vec::new())
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
