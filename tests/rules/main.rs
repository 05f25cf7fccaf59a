//! Unit tests of rules: files of ours, generated ones and those of others, by `watchbell` and,
//! where it is installed, by promtool, which must say the same.
//!
//! Start reading at `both.rs`.

#![expect(
    clippy::indexing_slicing,
    reason = "an answer that is shorter than expected stops the test"
)]

mod backfill;
mod both;
mod corpus;
#[path = "../alerting/grammar.rs"]
mod grammar;
mod random;
mod sourcegraph;
mod templates;

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
