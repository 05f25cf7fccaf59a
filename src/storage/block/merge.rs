//! Which blocks become one, and how: three of a kind, up the ladder.
//!
//! Spans grow by three: 2 h, 6 h, 18 h, and so on. Blocks that lie in one window of the next span
//! become one once the window is over. The widest window is a tenth of the retention, at most 31
//! days, so that retention, which drops whole blocks, never waits for long. Blocks that overlap,
//! as imported and late samples make them, become one first, if that is no wider; of two samples
//! of one time that of the block which begins earlier stays.
//!
//! A merge reads its blocks side by side, a run of series at a time.

use super::read::{Block, BlockSeries};
use crate::storage::select::{Joined, Part, join};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

const LADDER_STEP: i64 = 3;
const SPAN_MAX: Duration = Duration::from_secs(31 * 24 * 3600);

/// The widest window that blocks are merged into, in milliseconds.
pub(crate) fn span_max(block_span: i64, retention: Option<Duration>) -> i64 {
    let wanted = retention.map_or(SPAN_MAX, |kept| (kept / 10).min(SPAN_MAX));
    i64::try_from(wanted.as_millis()).unwrap_or(i64::MAX).max(block_span)
}

/// The next blocks to merge, oldest first; `blocks` are in order of time. With `force`, windows
/// that are not over yet count as well.
pub(crate) fn next_merge(
    blocks: &[Arc<Block>],
    block_span: i64,
    span_max: i64,
    force: bool,
) -> Option<Vec<Arc<Block>>> {
    if let Some(group) = overlapping(blocks, span_max) {
        return Some(group);
    }
    let newest_end = blocks.iter().map(|block| block.end).max()?;
    let mut span = block_span.max(1).checked_mul(LADDER_STEP)?;
    while span <= span_max {
        let window = |block: &Block| block.min.div_euclid(span);
        let fits = |block: &&Arc<Block>| (block.end - 1).div_euclid(span) == window(block);
        let candidates: Vec<_> = blocks.iter().filter(fits).cloned().collect();
        for group in candidates.chunk_by(|a, b| window(a) == window(b)) {
            let over = group
                .first()
                .is_some_and(|first| (window(first) + 1).saturating_mul(span) <= newest_end);
            if group.len() > 1 && (over || force) {
                return Some(group.to_vec());
            }
        }
        span = span.checked_mul(LADDER_STEP)?;
    }
    None
}

/// The first blocks that overlap, unless what they become is wider than `span_max`.
fn overlapping(blocks: &[Arc<Block>], span_max: i64) -> Option<Vec<Arc<Block>>> {
    let mut group: Vec<Arc<Block>> = Vec::new();
    let mut end = i64::MIN;
    for block in blocks {
        let first = group.first().map_or(block.min, |first| first.min);
        let fits = block.end.max(end).saturating_sub(first) <= span_max;
        if block.min < end && fits {
            group.push(Arc::clone(block));
        } else if group.len() > 1 {
            break;
        } else {
            group = vec![Arc::clone(block)];
            end = i64::MIN;
        }
        end = end.max(block.end);
    }
    (group.len() > 1).then_some(group)
}

/// The series of several blocks, each once, in order of labels.
#[derive(Debug)]
pub(super) struct Merged<'a> {
    blocks: Vec<Rows<'a>>,
    failure: Option<String>,
}

/// The series of one block, in order.
#[derive(Debug)]
struct Rows<'a> {
    block: &'a Block,
    next_run: u32,
    ready: VecDeque<BlockSeries>,
}

impl<'a> Merged<'a> {
    /// The series of these blocks, which are in order of time.
    pub(super) fn of(blocks: &'a [Arc<Block>]) -> Self {
        let rows = |block: &'a Arc<Block>| Rows { block, next_run: 0, ready: VecDeque::new() };
        Self { blocks: blocks.iter().map(rows).collect(), failure: None }
    }

    /// Why a block could not be read to its end.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.clone()
    }

    fn fill(&mut self) {
        for rows in &mut self.blocks {
            while rows.ready.is_empty() && rows.next_run < rows.block.run_count() {
                match rows.block.series_of_run(rows.next_run) {
                    Ok(series) => rows.ready.extend(series),
                    Err(err) => self.failure = Some(err.to_string()),
                }
                rows.next_run += 1;
            }
        }
    }
}

impl Iterator for Merged<'_> {
    type Item = Joined;

    fn next(&mut self) -> Option<Joined> {
        self.fill();
        let first = self.blocks.iter().filter_map(|rows| rows.ready.front());
        let labels = first.map(|series| &series.labels).min()?.clone();
        let same = |rows: &mut Rows<'_>| rows.ready.pop_front_if(|one| one.labels == labels);
        let parts = self.blocks.iter_mut().filter_map(same).map(Part::Block).collect();
        join(parts).pop()
    }
}
