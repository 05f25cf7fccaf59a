//! What a target says about its metrics: heard by its loop, looked at by others.

use crate::model::{Metadata, MetricType};
use crate::sys::locks::lock;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

/// What is said about a metric, and whether the store has heard it.
#[derive(Clone, Debug, Default)]
struct Said {
    metadata: Metadata,
    is_new: bool,
    /// Whether type, help and unit were said.
    has: [bool; 3],
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

    /// Takes in what is said about a metric; whether something that was said before no longer
    /// holds. Of more than `metrics_max` all are forgotten first.
    pub(super) fn hear(
        &self,
        name: &str,
        metrics_max: usize,
        kind: Option<MetricType>,
        texts: [Option<&str>; 2],
    ) -> bool {
        let mut all = self.lock();
        let mut is_unsaid = false;
        if !all.contains_key(name) {
            if all.len() >= metrics_max {
                all.clear();
                is_unsaid = true;
            }
            all.insert(name.to_owned(), Said::default());
        }
        let Some(Said { metadata: known, is_new, has }) = all.get_mut(name) else {
            return is_unsaid;
        };
        let [has_kind, has_texts @ ..] = has;
        if let Some(kind) = kind {
            if kind != known.kind {
                is_unsaid |= *has_kind;
                known.kind = kind;
                *is_new = true;
            }
            *has_kind = true;
        }
        let places = [&mut known.help, &mut known.unit].into_iter().zip(has_texts);
        for (text, (place, has)) in texts.into_iter().zip(places) {
            let Some(text) = text else { continue };
            if text != place {
                is_unsaid |= *has;
                text.clone_into(place);
                *is_new = true;
            }
            *has = true;
        }
        is_unsaid
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
        lock(&self.0)
    }
}
