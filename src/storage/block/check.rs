//! Reading a block whole, to find out whether it is.

use super::read::Block;
use super::rebuild;
use crate::storage::error::Result;
use crate::storage::source::Columns;
use crate::sys::files::SharedFiles;
use std::path::Path;

/// Problems of one block that are told one by one.
const PROBLEMS_MAX: usize = 20;

/// What a whole reading of a block found.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockCheck {
    pub(crate) bytes: u64,
    pub(crate) samples: u64,
    pub(crate) problems: Vec<String>,
}

/// Reads every record and every sample of the block in `dir`; with `repair`, a lost index is made
/// anew first.
///
/// # Errors
/// With `repair`: the index cannot be made.
pub(crate) fn check(files: &SharedFiles, dir: &Path, repair: bool) -> Result<BlockCheck> {
    let mut found = BlockCheck::default();
    let block = match Block::verified(files, dir) {
        Ok(block) => block,
        Err(err) if repair => {
            found.problems.push(err.with_causes());
            found.problems.push(rebuild::rebuild(files, dir)?);
            Block::whole(files, dir)?
        }
        Err(err) => {
            found.problems.push(err.with_causes());
            return Ok(found);
        }
    };
    found.bytes = block.byte_len;
    let damaged = rebuild::damaged_bytes(files, dir)?;
    if damaged > 0 {
        found.problems.push(format!("{damaged} bytes of its chunks are damaged"));
    }
    let mut columns = Columns::default();
    let mut untold = 0;
    for run in 0..block.run_count() {
        let series = match block.series_of_run(run) {
            Ok(series) => series,
            Err(err) => {
                found.problems.push(err.to_string());
                continue;
            }
        };
        for one in series {
            columns.clear();
            for problem in one.read(i64::MIN, i64::MAX, &mut columns) {
                if found.problems.len() < PROBLEMS_MAX {
                    found.problems.push(problem);
                } else {
                    untold += 1;
                }
            }
            found.samples += columns.len() as u64;
        }
    }
    if untold > 0 {
        found.problems.push(format!("and {untold} more"));
    }
    if found.samples != block.facts.samples {
        let (read, known) = (found.samples, block.facts.samples);
        found.problems.push(format!("it has {read} readable samples of {known}"));
    }
    Ok(found)
}
