//! What one step of the engine has gathered, and the order in which it becomes effects.

use super::engine::{Answer, Changes, Effect};
use super::happening::Happening;
use super::notification::Delivery;
use super::occurrence::{Occurrence, What};
use super::record::{Record, Table};
use crate::model::{Labels, Timestamp};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a step tells of alerts that come and go. A storm would fill the disk; what is beyond is
/// one entry that tells how many there were.
const TOLD_MAX: usize = 1_000;

/// What a step has gathered.
#[derive(Debug, Default)]
pub(super) struct Step {
    records: BTreeMap<(Table, String), Option<String>>,
    happened: Vec<Happening>,
    /// Entries about alerts that come and go among `happened`.
    told: usize,
    left_out: usize,
    /// For recorders of events; nothing unless `recorded`.
    occurred: Vec<Occurrence>,
    recorded: bool,
    pub(super) answer: Option<Answer>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) others: Vec<Effect>,
    pub(super) changed: bool,
}

impl Step {
    /// A step; `recorded` when recorders of events listen.
    pub(super) fn new(recorded: bool) -> Self {
        Self { recorded, ..Self::default() }
    }

    pub(super) fn write(&mut self, record: Record) {
        self.changed = true;
        self.records.insert((record.table, record.key), record.value);
    }

    /// Adds to the history.
    pub(super) fn happen(&mut self, happening: Happening) {
        self.happened.push(happening);
    }

    /// Adds to the history what comes and goes by itself, as far as there is room.
    pub(super) fn happen_often(&mut self, happening: Happening) {
        if self.told < TOLD_MAX {
            self.told += 1;
            self.happened.push(happening);
        } else {
            self.left_out += 1;
        }
    }

    /// Tells recorders of events, if there are any.
    pub(super) fn occur(&mut self, at: Timestamp, what: impl FnOnce() -> What) {
        if self.recorded {
            self.occurred.push(Occurrence { at, what: what() });
        }
    }

    pub(super) fn into_effects(mut self, at: Timestamp, wake_at: Duration) -> Vec<Effect> {
        if self.left_out > 0 {
            self.happened.push(Happening {
                at,
                kind: "alerts_left_out",
                fingerprint: None,
                labels: Labels::empty(),
                body: json!({ "left_out": self.left_out }),
            });
        }
        let mut effects = Vec::new();
        let records: Vec<_> = self
            .records
            .into_iter()
            .map(|((table, key), value)| Record { table, key, value })
            .collect();
        let happened = self.happened;
        if !records.is_empty() || !happened.is_empty() {
            effects.push(Effect::Persist(Changes { records, happened }));
        }
        effects.extend(self.answer.map(Effect::Answered));
        effects.extend(self.deliveries.into_iter().map(|one| Effect::Deliver(Box::new(one))));
        effects.extend(self.others);
        if !self.occurred.is_empty() {
            effects.push(Effect::Occurred(self.occurred));
        }
        if self.changed {
            effects.push(Effect::Changed);
        }
        effects.push(Effect::WakeAt(wake_at));
        effects
    }
}
