//! Scraping: one loop for each target, one commit for each scrape.
//!
//! Owns when a target is asked, what its answer becomes, and the staleness of its series. Start
//! reading at `manager.rs` (jobs and targets), `sections.rs` (what discovery tells them), then `worker.rs` (the life of one target), `once.rs`
//! (one scrape), `intake.rs` (from a body to samples) and `cache.rs` (what series are known by).
//!
//! Never: reading series back; parsing on a worker of the async runtime.

mod cache;
mod content;
mod fetch;
mod heard;
mod intake;
mod lengths;
mod look;
mod manager;
mod meters;
mod once;
mod orders;
mod pool;
mod proto;
mod report;
mod rooms;
mod schedule;
mod sections;
mod source;
mod view;
mod worker;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod proto_tests;
#[cfg(test)]
mod section_tests;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tests;

pub use look::{Look, LookSample, Subject, look};
pub use manager::{Deps, ScrapeManager};
pub use source::{LocalJob, LocalMember, LocalTarget, PendingFamilies, printed};
pub use view::{DroppedView, Health, PoolView, TargetView};
