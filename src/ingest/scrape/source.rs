//! Targets inside this process: gathered on the same loop as any other, without HTTP.

use crate::exposition::Printer;
use crate::model::Labels;
use crate::sys::metrics::{Family, Registry};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Something that can be asked for its metrics. `gather` may block.
pub trait LocalTarget: Send + Sync + fmt::Debug {
    /// Everything as it is now.
    fn gather(&self) -> Vec<Family>;

    /// The same for what has to be waited for, without a thread to do that: the metrics of the
    /// target with this URL within `timeout`. `None` where `gather` is to be called.
    fn wait(&self, _url: &str, _timeout: Duration) -> Option<PendingFamilies> {
        None
    }
}

/// Metrics to come, or why there are none.
pub type PendingFamilies = Pin<Box<dyn Future<Output = Result<Vec<Family>, String>> + Send>>;

/// The process' own metrics.
impl LocalTarget for Registry {
    fn gather(&self) -> Vec<Family> {
        Self::gather(self)
    }
}

/// A job with one target inside this process, or as many as `members`.
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
    /// Targets that are told apart by their URLs; none for the one that the job is itself.
    pub members: Vec<LocalMember>,
}

/// One of several targets of a job inside this process.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalMember {
    /// What it is asked by, and shown as.
    pub url: String,
    /// Time between scrapes.
    pub interval: Duration,
    /// Time that a scrape may take.
    pub timeout: Duration,
    /// Labels of its series; `job` is added where it is absent.
    pub labels: Labels,
}

impl PartialEq for LocalJob {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.interval == other.interval
            && self.labels == other.labels
            && self.honor_labels == other.honor_labels
            && self.members == other.members
            && Arc::ptr_eq(&self.target, &other.target)
    }
}

/// Families in the text format.
pub fn printed(families: &[Family]) -> String {
    let mut printer = Printer::new();
    for family in families {
        printer.family(&family.name, &family.help, family.kind);
        for sample in &family.samples {
            printer.sample(sample.suffix, &sample.labels, sample.value);
        }
    }
    printer.finish()
}
