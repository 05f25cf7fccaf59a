//! What a target says about its metrics: heard by its loop, looked at by others.

use crate::model::{Metadata, MetricType};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is said about a metric, and whether the store has heard it.
#[derive(Clone, Debug, Default)]
struct Said {
    metadata: Metadata,
    is_new: bool,
}

/// Type, help and unit by metric. Clones share it.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<HashMap<String, Said>>>);

impl fmt::Debug for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heard").field("metrics", &self.lock().len()).finish()
    }
}

/// Equal when it is the same target's.
impl PartialEq for Heard {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Heard {
    /// What was said about one metric; `None` when nothing was.
    pub fn of(&self, metric: &str) -> Option<Metadata> {
        self.lock().get(metric).map(|said| said.metadata.clone())
    }

    /// What was said about all metrics, by name.
    pub fn all(&self) -> Vec<(String, Metadata)> {
        let all = self.lock();
        let mut all: Vec<_> =
            all.iter().map(|(name, said)| (name.clone(), said.metadata.clone())).collect();
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// Takes in what is said about a metric. Of more than `metrics_max` all are forgotten first.
    pub(super) fn hear(
        &self,
        name: &str,
        metrics_max: usize,
        kind: Option<MetricType>,
        texts: [Option<&str>; 2],
    ) {
        let mut all = self.lock();
        if !all.contains_key(name) {
            if all.len() >= metrics_max {
                all.clear();
            }
            all.insert(name.to_owned(), Said::default());
        }
        let Some(said) = all.get_mut(name) else { return };
        let known = &mut said.metadata;
        if kind.is_some_and(|kind| kind != known.kind) {
            known.kind = kind.unwrap_or_default();
            said.is_new = true;
        }
        for (text, place) in texts.into_iter().zip([&mut known.help, &mut known.unit]) {
            if let Some(text) = text.filter(|text| text != place) {
                text.clone_into(place);
                said.is_new = true;
            }
        }
    }

    /// What the store has not heard yet.
    pub(super) fn news(&self) -> Vec<(String, Metadata)> {
        let all = self.lock();
        let new = all.iter().filter(|(_, said)| said.is_new);
        new.map(|(name, said)| (name.clone(), said.metadata.clone())).collect()
    }

    /// The store has heard all of it.
    pub(super) fn told(&self) {
        self.lock().values_mut().for_each(|said| said.is_new = false);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Said>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
