//! PromQL: Prometheus' own scripts and ours, the corpus of dashboards and rules, hostile texts,
//! properties, and the real Prometheus as an oracle where `promtool` is installed.
//!
//! Start reading at `script.rs` (what a script says) and `runner.rs` (how it is run).
//!
//! Never: a store, a server, a clock of the host.

#![expect(
    clippy::indexing_slicing,
    reason = "a script or an answer that is shorter than expected stops the test"
)]

mod corpus;
mod hostile;
mod memory;
mod oracle;
mod property;
mod runner;
mod script;
mod stats;
mod traps;
mod two_cores;

use std::path::PathBuf;

/// The folder of shared test data. Without it tests that need it say so and pass, except where
/// continuous integration promises it.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("WATCHBELL_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!ci, "CI=true but {} is missing; set WATCHBELL_SHARED", found.display());
    println!("skipped: {} is missing; set WATCHBELL_SHARED to run this", found.display());
    None
}
