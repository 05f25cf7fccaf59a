//! Targets inside this process: gathered on the same loop as any other, without HTTP.

use crate::model::Labels;
use crate::sys::metrics::{Family, Registry};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Something that can be asked for its metrics. `gather` may block.
pub trait LocalTarget: Send + Sync + fmt::Debug {
    /// Everything as it is now.
    fn gather(&self) -> Vec<Family>;
}

/// The process' own metrics.
impl LocalTarget for Registry {
    fn gather(&self) -> Vec<Family> {
        Self::gather(self)
    }
}

/// A job with one target inside this process.
#[derive(Clone, Debug)]
pub struct LocalJob {
    /// The label `job`, and the name of the pool.
    pub name: String,
    /// Time between scrapes.
    pub interval: Duration,
    /// What is asked.
    pub target: Arc<dyn LocalTarget>,
    /// Labels of its series; `job` is added where it is absent.
    pub labels: Labels,
    /// Whether a label of a series goes before one of the target.
    pub honor_labels: bool,
}

impl PartialEq for LocalJob {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.interval == other.interval
            && self.labels == other.labels
            && self.honor_labels == other.honor_labels
            && Arc::ptr_eq(&self.target, &other.target)
    }
}
