//! Reading the head's files whole, to find out whether they are.

use super::load::load;
use super::snapshot::FileTable;
use super::{State, chunk_file};
use crate::storage::damage::Damages;
use crate::storage::error::{Error, Result};
use crate::storage::source::Columns;
use crate::sys::files::SharedFiles;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

/// Reads every chunk that the newest checkpoint in `dir` knows; answers counts of samples
/// and chunks, and what is wrong.
///
/// # Errors
/// A file cannot be opened, or is of a later version.
pub(in super::super) fn check(files: &SharedFiles, dir: &Path) -> Result<(u64, u64, Vec<String>)> {
    let mut state = State::default();
    let mut damages = Damages::looking(Arc::clone(files));
    let loaded = load(&**files, dir, &mut state, &mut damages)?;
    let mut table = FileTable::new();
    for entry in files.list(dir).map_err(Error::io("list", dir))? {
        let number = entry.name.strip_suffix(".chunks").and_then(|number| number.parse().ok());
        let Some(number) = number.and_then(NonZeroU32::new) else { continue };
        let path = dir.join(&entry.name);
        table.insert(number, chunk_file::open(&**files, &path)?);
    }
    state.chunk_files = Arc::new(table);
    let mut problems = damages.into_notes();
    let (mut samples, mut columns) = (0, Columns::default());
    let reads = state.reads(state.table.len());
    for series in state.table.iter() {
        columns.clear();
        let labels = state.table.labels(series);
        let all = state.snapshot(series, labels, (i64::MIN, i64::MAX), &reads);
        problems.extend(all.read(i64::MIN, i64::MAX, &mut columns));
        samples += columns.len() as u64;
    }
    let full = loaded.files.iter().flat_map(|files| files.values());
    let chunks = full.map(|file| file.chunks).sum::<u64>() + state.open_chunks;
    Ok((samples, chunks, problems))
}
