//! Deleting from the head: samples are hidden at once and left out when they are cut.

use super::{Head, State};
use crate::model::{Matcher, TimeRange};
use crate::storage::error::{Error, Result};
use crate::storage::postings::matching;
use crate::storage::tombstone::bury;
use std::sync::Arc;

impl Head {
    /// Deletes samples in `range` of series that match; how many series had any there. Samples
    /// that come later stay, whatever their time is. Durable with the next checkpoint.
    ///
    /// Source: prometheus, tsdb/head.go (Head.Delete: no further than the newest sample).
    ///
    /// # Errors
    /// Those of the index: none here.
    pub(crate) fn delete(&self, range: TimeRange, matchers: &[Matcher]) -> Result<usize> {
        let mut state = self.state_mut();
        let places = matching(&state.table, matchers)
            .map_err(|err| Error::Damaged { path: self.dir.clone(), what: err.to_string() })?;
        let (from, to) = (range.from().as_millis(), range.to().as_millis());
        let State { table, deleted, saved_deleted, .. } = &mut *state;
        let mut count = 0;
        for series in places.iter().filter_map(|place| table.at_place(*place)) {
            let Some((last, _)) = series.last() else { continue };
            let (from, to) = (from.max(series.start), to.min(last));
            if from <= to {
                bury(deleted, series.number, from, to);
                *saved_deleted = false;
                count += 1;
            }
        }
        Ok(count)
    }
}

impl State {
    /// Forgets tombstones of samples before `until` and of series that have gone.
    pub(super) fn drop_tombstones(&mut self, until: i64) {
        let Self { table, deleted, .. } = self;
        deleted.retain(|number, intervals| {
            Arc::make_mut(intervals).drop_before(until);
            !intervals.is_empty() && table.get(*number).is_some()
        });
    }
}
