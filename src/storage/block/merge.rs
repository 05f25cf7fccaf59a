//! Which blocks become one: three of a kind, up the ladder.
//!
//! Spans grow by three: 2 h, 6 h, 18 h, and so on. Blocks that lie in one window of the next span
//! become one once the window is over. The widest window is a tenth of the retention, at most 31
//! days, so that retention, which drops whole blocks, never waits for long.

use super::read::Block;
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
