//! Files of targets: YAML, of which JSON is a part.

use super::file::Source;
use crate::ingest::config::TargetGroup;
use std::path::Path;

/// The groups of a file of `file_sd_configs`.
///
/// # Errors
/// What is wrong, with line and column.
pub fn parse_target_groups(file: &Path, text: &str) -> Result<Vec<TargetGroup>, String> {
    let source = Source::parse(file, text).map_err(|err| err.to_string())?;
    source.typed().map_err(|err| err.to_string())
}
