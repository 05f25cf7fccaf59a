//! Reading a block whole, to find out whether it is.

use super::read::{Block, Opened};
use super::rebuild;
use crate::storage::check::{Checked, Problem};
use crate::storage::damage::Damages;
use crate::storage::error::{Error, Result};
use crate::storage::source::{Columns, SourceError};
use crate::storage::tombstone;
use crate::sys::files::SharedFiles;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Problems of one block that are told one by one.
const PROBLEMS_MAX: usize = 20;

/// Reads every record and every sample of the block in `dir`; with `repair`, a lost index is made
/// anew first. `progress` is told the part that was read, from 0 to 1.
///
/// # Errors
/// With `repair`: the index cannot be made.
pub(crate) fn check(
    files: &SharedFiles,
    dir: &Path,
    repair: bool,
    progress: &mut dyn FnMut(f64),
) -> Result<Checked> {
    let mut found = Checked { path: dir.to_owned(), ..Checked::default() };
    let block = match Block::verified(files, dir) {
        Ok(block) => block,
        Err(err) if repair => {
            found.problems.push(problem_of(err, dir));
            found.problems.push(Problem::new(dir, None, rebuild::rebuild(files, dir)?));
            Block::whole(files, dir)?
        }
        Err(err) => {
            found.problems.push(problem_of(err, dir));
            return Ok(found);
        }
    };
    found.bytes = block.byte_len;
    let chunks = dir.join("chunks");
    let damaged = rebuild::damaged(files, dir)?;
    for range in &damaged {
        let text = format!("{} bytes are damaged", range.end - range.start);
        found.problems.push(Problem::new(&chunks, Some(range.start), text));
    }
    let mut looking = Damages::looking(Arc::clone(files));
    if let Err(err) = tombstone::load(files, dir, &mut looking) {
        found.problems.push(problem_of(err, dir));
    }
    if looking.count() > 0 {
        let text = "it is damaged: samples that were deleted show again; delete them once more";
        found.problems.push(Problem::new(&dir.join(tombstone::FILE_NAME), Some(0), text));
    }
    match Opened::open(&block) {
        Ok(opened) => {
            let lost = check_pages(&opened, &chunks, &damaged, &mut found);
            check_series(&block, &lost, &mut found, progress);
        }
        Err(err) => found.problems.push(problem_of(err, dir)),
    }
    let untold = found.problems.len().saturating_sub(PROBLEMS_MAX);
    if untold > 0 {
        found.problems.truncate(PROBLEMS_MAX);
        found.problems.push(Problem::new(dir, None, format!("and {untold} more")));
    }
    if found.samples != block.facts.samples {
        let (read, known) = (found.samples, block.facts.samples);
        let text = format!("it has {read} readable samples of {known}");
        found.problems.push(Problem::new(dir, None, text));
    }
    Ok(found)
}

/// Reads each page; answers the numbers of those that are lost. What is wrong in `damaged` bytes
/// was told already.
fn check_pages(
    opened: &Opened,
    chunks: &Path,
    damaged: &[Range<u64>],
    found: &mut Checked,
) -> BTreeSet<u32> {
    let mut lost = BTreeSet::new();
    for (number, place) in (0..).zip(&opened.page_refs) {
        match opened.page(number) {
            Ok(page) => found.chunks += page.chunks().count() as u64,
            Err(why) => {
                lost.insert(number);
                if damaged.iter().any(|range| range.contains(&place.offset)) {
                    continue;
                }
                let text = format!("page {number}: {why}");
                // A page that an index made anew does not know has no place.
                let offset = (place.len > 0).then_some(place.offset);
                found.problems.push(Problem::new(chunks, offset, text));
            }
        }
    }
    lost
}

/// Decodes each series. Of those with chunks in lost pages, the first is named.
fn check_series(
    block: &Block,
    lost: &BTreeSet<u32>,
    found: &mut Checked,
    progress: &mut dyn FnMut(f64),
) {
    let mut columns = Columns::default();
    let (mut missing, mut first) = (0_u64, None);
    for run in 0..block.run_count() {
        progress(f64::from(run) / f64::from(block.run_count()));
        let series = match block.series_of_run(run) {
            Ok(series) => series,
            Err(SourceError::Read(why)) => {
                found.problems.push(Problem::new(&block.dir().join("index.db"), None, why));
                continue;
            }
            Err(other) => {
                found.problems.push(Problem::new(block.dir(), None, other.to_string()));
                continue;
            }
        };
        for one in series {
            columns.clear();
            let problems = one.read(i64::MIN, i64::MAX, &mut columns);
            found.samples += columns.len() as u64;
            let last = one.span.page.saturating_add(one.span.more_pages);
            if lost.range(one.span.page..=last).next().is_some() {
                missing += 1;
                first.get_or_insert(one.labels);
                continue;
            }
            let told = problems.into_iter().map(|text| Problem::new(block.dir(), None, text));
            found.problems.extend(told);
        }
    }
    if let Some(first) = first {
        let text = format!("samples of {missing} series are lost, of {first} first");
        found.problems.push(Problem::new(block.dir(), None, text));
    }
}

/// An error with the file that it is about, else the block's directory.
fn problem_of(err: Error, dir: &Path) -> Problem {
    match err {
        Error::Damaged { path, what } => Problem::new(&path, None, what),
        Error::Io { ref path, .. } | Error::Sql { ref path, .. } => {
            Problem::new(path, None, err.with_causes())
        }
        other => Problem::new(dir, None, other.with_causes()),
    }
}
