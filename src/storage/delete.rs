//! Deleting: samples are hidden at once, and gone from the disk once a block is written anew.

use super::error::Result;
use super::store::Storage;
use crate::model::{Matcher, TimeRange};

impl Storage {
    /// Deletes samples in `range` of series that match all of `matchers`. When this returns they
    /// are in no answer any more, not even after a crash; their bytes go with the next cut or
    /// merge, or with `clean_tombstones`. A sample that comes later stays, whatever its time is,
    /// unless it is older than the newest of its series.
    ///
    /// # Errors
    /// The disk refuses; a part may be deleted. Asking again is harmless.
    pub fn delete_series(&self, range: TimeRange, matchers: &[Matcher]) -> Result<()> {
        // No cut and no merge meanwhile: each reads what is deleted here before it writes.
        let _upkeep = self.upkeep();
        // What came late is deleted where it is, in a block.
        self.write_late(&self.config())?;
        let (from, to) = (range.from().as_millis(), range.to().as_millis());
        let in_blocks = self.blocks.delete(from, to, matchers)?;
        let in_head = self.head.delete(range, matchers)?;
        tracing::info!(in_blocks, in_head, from, to, "deleted samples of series");
        self.head.checkpoint()
    }

    /// Writes every block anew from which samples were deleted, without them.
    ///
    /// # Errors
    /// A block could not be written; it stays as it is, with its samples hidden.
    pub fn clean_tombstones(&self) -> Result<()> {
        let mut upkeep = self.upkeep();
        // It says up to where the head was cut, should the block go that says so now.
        self.head.checkpoint()?;
        while self.blocks.clean_step(self.entropy.next_u64())? {}
        self.catalog.save_blocks(&self.blocks.rows())?;
        self.look_around(&mut upkeep)
    }
}
