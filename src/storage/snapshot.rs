//! Snapshots: a directory that a store opens as it is, made of links to the blocks and of one
//! block with what the head has.

use super::block::{BlockSpec, BlockWriter, write_all};
use super::error::{Error, Result};
use super::select::{Part, join};
use super::store::Storage;
use crate::model::Timestamp;
use std::path::Path;

/// Where snapshots are, in the data directory.
const SNAPSHOTS: &str = "snapshots";

impl Storage {
    /// Makes a snapshot in `snapshots/` and answers its name; without the head's samples when
    /// `skip_head`. Blocks take no room of their own as long as the store has them too.
    ///
    /// Source: prometheus, web/api/v1/api.go (snapshot: the name).
    ///
    /// # Errors
    /// The disk refuses; nothing is left of it.
    pub fn snapshot(&self, skip_head: bool) -> Result<String> {
        // Blocks stay where they are meanwhile.
        let _upkeep = self.upkeep();
        self.write_late(&self.config())?;
        let dir = self.dir.join(SNAPSHOTS);
        let name = format!("{}-{:016x}", stamp(self.clock.now()), self.entropy.next_u64());
        let temporary = dir.join(format!("tmp-{name}"));
        let made = self.fill_snapshot(&temporary.join("blocks"), skip_head).and_then(|()| {
            let path = dir.join(&name);
            self.files
                .sync_dir(&temporary)
                .and_then(|()| self.files.rename(&temporary, &path))
                .and_then(|()| self.files.sync_dir(&dir))
                .and_then(|()| self.files.sync_dir(&self.dir))
                .map_err(Error::io("name snapshot", &path))
        });
        if made.is_err() {
            // What is there of it would only take room; the next start removes it too.
            let _ = self.files.remove_dir_all(&temporary);
        }
        made.map(|()| name)
    }

    /// Removes snapshots that were not finished.
    pub(super) fn remove_unfinished_snapshots(&self) -> Result<()> {
        let dir = self.dir.join(SNAPSHOTS);
        let entries = match self.files.list(&dir) {
            Ok(entries) => entries,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(err) => return Err(Error::io("list", &dir)(err)),
        };
        for entry in entries.iter().filter(|entry| entry.name.starts_with("tmp-")) {
            let path = dir.join(&entry.name);
            self.files.remove_dir_all(&path).map_err(Error::io("remove", &path))?;
        }
        Ok(())
    }

    fn fill_snapshot(&self, blocks: &Path, skip_head: bool) -> Result<()> {
        self.files.create_dir_all(blocks).map_err(Error::io("create directory", blocks))?;
        self.blocks.link_into(blocks)?;
        if !skip_head {
            self.write_head_block(blocks)?;
        }
        self.files.sync_dir(blocks).map_err(Error::io("sync directory", blocks))
    }

    fn write_head_block(&self, blocks: &Path) -> Result<()> {
        let cut_until = self.head.cut_until().max(self.blocks.cut_end());
        let Some(oldest) = self.head.oldest_after(cut_until) else { return Ok(()) };
        // Samples that come from here on are not in it.
        let Some(newest) = self.head.facts().max_time else { return Ok(()) };
        let end = newest.saturating_add(1);
        let spec = BlockSpec {
            min: oldest,
            end,
            level: 0,
            id: self.entropy.next_u64(),
            sources: Vec::new(),
            cut_end: Some(end),
        };
        let order = self.head.cut_order(oldest, newest);
        let series = order.into_iter().filter_map(|number| {
            let series = self.head.cut_one(number, oldest, newest)?;
            join(vec![Part::Head(series)]).pop()
        });
        let writer = BlockWriter::begin(&self.files, blocks, spec)?;
        let (_, warnings) = write_all(writer, oldest, newest, series)?;
        for warning in &warnings {
            tracing::warn!(warning, "the snapshot misses samples that the head had lost");
        }
        Ok(())
    }
}

/// A moment as `20261124T020304Z`.
fn stamp(at: Timestamp) -> String {
    let moment = jiff::Timestamp::from_millisecond(at.as_millis());
    moment.unwrap_or(jiff::Timestamp::UNIX_EPOCH).strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_when() {
        assert_eq!(stamp(Timestamp::from_millis(1_795_485_784_999)), "20261124T020304Z");
        assert_eq!(stamp(Timestamp::MAX), "19700101T000000Z");
    }
}
