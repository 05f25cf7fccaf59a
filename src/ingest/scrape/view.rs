//! What others see of targets.

use super::heard::Heard;
use crate::model::{Labels, Timestamp};
use std::time::Duration;

/// Whether a target answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Not scraped yet.
    #[default]
    Unknown,
    /// The last scrape succeeded.
    Up,
    /// The last scrape failed.
    Down,
}

/// A target that is scraped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetView {
    /// Labels before relabelling.
    pub discovered: Labels,
    /// Labels that its series carry.
    pub labels: Labels,
    /// The job.
    pub pool: String,
    /// What is fetched.
    pub url: String,
    /// Why the last scrape failed; empty when it did not.
    pub last_error: String,
    /// When the last scrape began.
    pub last_scrape: Option<Timestamp>,
    /// How long it took.
    pub last_scrape_duration: Duration,
    /// Whether it answers.
    pub health: Health,
    /// Time between scrapes.
    pub interval: Duration,
    /// Time that a scrape may take.
    pub timeout: Duration,
    /// Samples of the last scrape, before relabelling.
    pub samples: u64,
    /// Since when it has this health.
    pub since: Option<Timestamp>,
    /// What was noticed and did not stop the scrape.
    pub notes: Vec<String>,
    /// What it says about its metrics.
    pub heard: Heard,
}

/// A target that is not scraped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedView {
    /// Labels before relabelling.
    pub discovered: Labels,
    /// The job.
    pub pool: String,
    /// Why; `None` when relabelling dropped it.
    pub reason: Option<String>,
}

/// A job's targets in numbers, and what is wrong with the job as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolView {
    /// The job.
    pub name: String,
    /// Targets that are scraped.
    pub active: usize,
    /// Targets that are not, in full.
    pub dropped: usize,
    /// Faults of discovery and of the client.
    pub problems: Vec<String>,
}
