//! A store in which some queries take as long as a test wants.

// All of this file is test code; from this line on the checks of the house know it too.
#[cfg(test)]
use super::queries::LIGHT;
use crate::model::{Labels, Matcher, TimeRange};
use crate::storage::source::{SeriesSet, Source, SourceError};
use std::sync::{Condvar, Mutex, MutexGuard};

/// A store without samples. `heavy` has more series than a light query may find, and who may
/// find them waits until they are released.
#[derive(Debug, Default)]
pub(super) struct Slow {
    state: Mutex<State>,
    changed: Condvar,
}

/// Under one lock: who is counted as waiting sees each release that comes after that.
#[derive(Debug, Default)]
struct State {
    is_released: bool,
    waiting: usize,
}

impl Slow {
    /// Lets all queries go on, those that come later as well.
    pub(super) fn release(&self) {
        self.lock().is_released = true;
        self.changed.notify_all();
    }

    /// Queries wait again.
    pub(super) fn hold(&self) {
        self.lock().is_released = false;
    }

    /// Waits until a query waits.
    pub(super) fn wait_for_one(&self) {
        let state = self.lock();
        drop(self.changed.wait_while(state, |state| state.waiting == 0).expect("not poisoned"));
    }

    /// Queries that have come to wait so far.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
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
            let mut state = self.lock();
            state.waiting += 1;
            self.changed.notify_all();
            drop(self.changed.wait_while(state, |state| !state.is_released));
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
