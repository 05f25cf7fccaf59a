//! What the store remembers of alerts whose state is lost: a history that Prometheus left, or a
//! database of state that is gone.
//!
//! Source: prometheus, rules/group.go (RestoreForState).

use super::query::Newest;
use crate::model::{Labels, Timestamp, is_stale_nan};
use std::collections::BTreeMap;
use std::time::Duration;

/// So many evaluations look for alerts that are remembered: at the first one after a start,
/// targets may not have been scraped yet.
const EVALUATIONS: u32 = 2;

/// Alerts of one rule as the store remembers them.
#[derive(Debug)]
pub(super) struct Recall {
    /// By the labels of their series, without its name.
    alerts: BTreeMap<Labels, Memory>,
    /// An alert that did not fire before waits at least so long.
    grace: Duration,
    evaluations_left: u32,
}

/// The newest sample of an alert's `ALERTS_FOR_STATE`.
#[derive(Clone, Copy, Debug)]
struct Memory {
    at: Timestamp,
    active_at: Timestamp,
}

impl Recall {
    /// What the newest samples of `ALERTS_FOR_STATE` say; of an alert whose series ended, nothing.
    pub(super) fn new(newest: Vec<Newest>, grace: Duration) -> Self {
        let alerts = newest.into_iter().filter_map(|one| {
            let active_at = Timestamp::from_seconds(one.value);
            let active_at = active_at.filter(|_| !is_stale_nan(one.value))?;
            Some((one.labels.without_name(), Memory { at: one.at, active_at }))
        });
        Self { alerts: alerts.collect(), grace, evaluations_left: EVALUATIONS }
    }

    /// Since when the alert of the series with these labels is active, when it is remembered: asked
    /// once. While nobody looked, time counts neither for nor against it.
    pub(super) fn active_since(
        &mut self,
        series: &Labels,
        now: Timestamp,
        hold: Duration,
    ) -> Option<Timestamp> {
        let memory = self.alerts.remove(series)?;
        let left = hold.saturating_sub(memory.at.since(memory.active_at));
        Some(if left.is_zero() {
            memory.active_at
        } else if left < self.grace {
            now.plus(self.grace).minus(hold)
        } else {
            memory.active_at.plus(now.since(memory.at))
        })
    }

    /// What is left of it after an evaluation.
    pub(super) fn after_evaluation(mut self) -> Option<Self> {
        self.evaluations_left -= 1;
        (self.evaluations_left > 0 && !self.alerts.is_empty()).then_some(self)
    }
}
