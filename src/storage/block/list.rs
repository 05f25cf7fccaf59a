//! All blocks, in order of time; few of them open at once.

use super::merge::{Merged, next_merge, span_max};
use super::read::{Block, BlockSeries};
use super::write::{BlockSpec, BlockWriter};
use crate::model::Matcher;
use crate::storage::catalog::BlockRow;
use crate::storage::damage::Damages;
use crate::storage::error::{Error, Result};
use crate::storage::select::Joined;
use crate::storage::source::{Columns, SourceError};
use crate::storage::tombstone;
use crate::sys::files::SharedFiles;
use std::collections::BTreeSet;
use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Blocks with open files at most: two descriptors and some memory each.
const OPEN_MAX: usize = 24;

/// The blocks of a store.
#[derive(Debug)]
pub(crate) struct Blocks {
    files: SharedFiles,
    dir: PathBuf,
    list: RwLock<Arc<Vec<Arc<Block>>>>,
    reads: AtomicU64,
}

/// What became of a block that was to be written.
#[derive(Debug)]
pub(crate) struct Written {
    /// Whether there was a sample in its time, and so a block.
    pub(crate) made: bool,
    /// What could not be read.
    pub(crate) warnings: Vec<String>,
}

impl Blocks {
    /// Finds the blocks in `blocks/`, and removes what was left half-made. A damaged block is
    /// told and left where it is.
    ///
    /// # Errors
    /// The directory cannot be used, or a block is of a later version.
    pub(crate) fn open(files: &SharedFiles, dir: PathBuf, damages: &mut Damages) -> Result<Self> {
        files.create_dir_all(&dir).map_err(Error::io("create directory", &dir))?;
        let mut list = Vec::new();
        for entry in files.list(&dir).map_err(Error::io("list", &dir))? {
            let path = dir.join(&entry.name);
            if entry.name.starts_with("tmp-") {
                files.remove_dir_all(&path).map_err(Error::io("remove", &path))?;
                continue;
            }
            match Block::at(files, &path, damages) {
                Ok(block) => list.push(Arc::new(block)),
                Err(err @ Error::Newer { .. }) => return Err(err),
                Err(err) => damages.note(format!("block left out: {}", err.with_causes())),
            }
        }
        remove_merged(files, &mut list)?;
        list.sort_by_key(|block| (block.min, block.end));
        let list = RwLock::new(Arc::new(list));
        Ok(Self { files: Arc::clone(files), dir, list, reads: AtomicU64::new(0) })
    }

    /// The blocks in `dir`, in order of time, for one who only looks: nothing is changed, and
    /// what cannot be read is told in `left_out`.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(crate) fn look(
        files: &SharedFiles,
        dir: &Path,
        left_out: &mut Vec<String>,
    ) -> Result<Vec<Arc<Block>>> {
        let mut list = Vec::new();
        for entry in files.list(dir).map_err(Error::io("list", dir))? {
            if entry.name.starts_with("tmp-") {
                continue;
            }
            match Block::whole(files, &dir.join(&entry.name)) {
                Ok(block) => list.push(Arc::new(block)),
                Err(err) => left_out.push(format!("block {}: {}", entry.name, err.with_causes())),
            }
        }
        let merged = merged_names(&list);
        list.retain(|block| !merged.contains(&block.name));
        list.sort_by_key(|block| (block.min, block.end));
        Ok(list)
    }

    /// The blocks as they are now, in order of time.
    pub(crate) fn list(&self) -> Arc<Vec<Arc<Block>>> {
        Arc::clone(&self.list.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The end of the newest block.
    pub(crate) fn end(&self) -> Option<i64> {
        self.list().iter().map(|block| block.end).max()
    }

    /// Up to where the samples of the head are in blocks.
    pub(crate) fn cut_end(&self) -> Option<i64> {
        self.list().iter().filter_map(|block| block.facts.cut_end).max()
    }

    /// Begins a block; `add` makes it one of these.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) fn begin(&self, spec: BlockSpec) -> Result<BlockWriter> {
        BlockWriter::begin(&self.files, &self.dir, spec)
    }

    /// Takes in blocks that were written: all of them become visible at once.
    ///
    /// # Errors
    /// One cannot be read back; none is visible.
    pub(crate) fn add(&self, dirs: &[PathBuf]) -> Result<()> {
        let read = dirs.iter().map(|dir| Block::whole(&self.files, dir).map(Arc::new));
        let made = read.collect::<Result<Vec<_>>>()?;
        self.replace(&[], made);
        Ok(())
    }

    /// Bytes of all blocks.
    pub(crate) fn byte_len(&self) -> u64 {
        self.list().iter().map(|block| block.byte_len).sum()
    }

    /// Rows for the catalogue.
    pub(crate) fn rows(&self) -> Vec<BlockRow> {
        let list = self.list();
        let row = |block: &Arc<Block>| BlockRow {
            id: block.name.clone(),
            min: block.min,
            max: block.end - 1,
            series: block.facts.series,
            samples: block.facts.samples,
            bytes: block.byte_len,
            level: block.facts.level,
        };
        list.iter().map(row).collect()
    }

    /// Blocks that may have samples in `from..=to`, ready to be read.
    fn overlapping(&self, from: i64, to: i64) -> Vec<Arc<Block>> {
        let list = self.list();
        let found: Vec<_> = list.iter().filter(|block| block.overlaps(from, to)).cloned().collect();
        for block in &found {
            block.touch(self.reads.fetch_add(1, Ordering::Relaxed) + 1);
        }
        found
    }

    /// Series of all blocks that match; blocks that cannot be read are warnings.
    ///
    /// # Errors
    /// More than `series_max` match in one block.
    pub(crate) fn select(
        &self,
        from: i64,
        to: i64,
        matchers: &[Matcher],
        series_max: usize,
        warnings: &mut Vec<String>,
    ) -> std::result::Result<Vec<BlockSeries>, SourceError> {
        let mut found = Vec::new();
        self.each(from, to, warnings, |block| {
            found.extend(block.select(from, to, matchers, series_max)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// Calls `read` for each block that may have samples in `from..=to`; blocks that cannot be
    /// read are warnings.
    ///
    /// # Errors
    /// `read` failed, not because a block cannot be read.
    pub(crate) fn each(
        &self,
        from: i64,
        to: i64,
        warnings: &mut Vec<String>,
        mut read: impl FnMut(&Block) -> std::result::Result<(), SourceError>,
    ) -> std::result::Result<(), SourceError> {
        for block in self.overlapping(from, to) {
            match read(&block) {
                Err(SourceError::Read(why)) => warnings.push(why),
                other => other?,
            }
        }
        self.close_idle();
        Ok(())
    }

    /// Writes a block of those samples of these series, sorted by labels, that lie in its time.
    ///
    /// # Errors
    /// Nothing is left of it.
    pub(crate) fn write(
        &self,
        spec: BlockSpec,
        series: impl Iterator<Item = Joined>,
    ) -> Result<Written> {
        let (dir, warnings) = self.write_series(spec, series)?;
        let made = dir.is_some();
        self.add(dir.as_slice())?;
        Ok(Written { made, warnings })
    }

    fn write_series(
        &self,
        spec: BlockSpec,
        series: impl Iterator<Item = Joined>,
    ) -> Result<(Option<PathBuf>, Vec<String>)> {
        let (min, max) = (spec.min, spec.end.saturating_sub(1));
        write_all(self.begin(spec)?, min, max, series)
    }

    /// Merges what is due, one step; whether there was something.
    ///
    /// # Errors
    /// The merged block could not be written; the old ones stay.
    pub(crate) fn merge_step(
        &self,
        block_span: i64,
        retention: Option<Duration>,
        id: u64,
        force: bool,
    ) -> Result<bool> {
        let list = self.list();
        let Some(group) = next_merge(&list, block_span, span_max(block_span, retention), force)
        else {
            return Ok(false);
        };
        let spec = BlockSpec {
            min: group.iter().map(|block| block.min).min().unwrap_or_default(),
            end: group.iter().map(|block| block.end).max().unwrap_or_default(),
            level: group.iter().map(|block| block.facts.level).max().unwrap_or_default() + 1,
            id,
            sources: group.iter().map(|block| block.name.clone()).collect(),
            cut_end: group.iter().filter_map(|block| block.facts.cut_end).max(),
        };
        self.rewrite(&group, spec)?;
        Ok(true)
    }

    /// Writes one block without what was deleted from it; whether there was one.
    ///
    /// # Errors
    /// It could not be written; the old one stays.
    pub(crate) fn clean_step(&self, id: u64) -> Result<bool> {
        let list = self.list();
        let Some(block) = list.iter().find(|block| block.has_tombstones()) else {
            return Ok(false);
        };
        let spec = BlockSpec {
            min: block.min,
            end: block.end,
            level: block.facts.level,
            id,
            sources: vec![block.name.clone()],
            cut_end: block.facts.cut_end,
        };
        self.rewrite(&[Arc::clone(block)], spec)?;
        Ok(true)
    }

    /// Deletes samples in `from..=to` of series that match; how many series of blocks may have
    /// had any there.
    ///
    /// # Errors
    /// A block could not be read or written; the others were gone through.
    pub(crate) fn delete(&self, from: i64, to: i64, matchers: &[Matcher]) -> Result<usize> {
        let blocks = self.overlapping(from, to);
        let done: Vec<_> = blocks.iter().map(|block| block.delete(from, to, matchers)).collect();
        self.close_idle();
        done.into_iter().sum()
    }

    /// Links all blocks into `dir`, which is to be the `blocks/` of another store.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) fn link_into(&self, dir: &Path) -> Result<()> {
        for block in self.list().iter() {
            let to = dir.join(&block.name);
            self.files.create_dir_all(&to).map_err(Error::io("create directory", &to))?;
            for name in ["chunks", "index.db", tombstone::FILE_NAME] {
                let linked = self.files.hard_link(&block.dir().join(name), &to.join(name));
                match linked {
                    Err(err) if name == tombstone::FILE_NAME && err.kind() == NotFound => {}
                    other => other.map_err(Error::io("link into", &to))?,
                }
            }
            self.files.sync_dir(&to).map_err(Error::io("sync directory", &to))?;
        }
        Ok(())
    }

    /// Puts one block in the place of `group`: what they have together, less what was deleted.
    fn rewrite(&self, group: &[Arc<Block>], spec: BlockSpec) -> Result<()> {
        let mut merged = Merged::of(group);
        let (dir, warnings) = self.write_series(spec, &mut merged)?;
        if let Some(why) = merged.failure().or_else(|| warnings.first().cloned()) {
            // Merging would drop for good what another look may still save.
            if let Some(dir) = &dir {
                self.files.remove_dir_all(dir).map_err(Error::io("remove", dir))?;
            }
            return Err(Error::Damaged { path: self.dir.clone(), what: why });
        }
        let made = dir.map(|dir| Block::whole(&self.files, &dir)).transpose()?;
        self.replace(group, made.map(Arc::new));
        for block in group {
            self.remove_dir(block)?;
        }
        self.close_idle();
        Ok(())
    }

    /// Drops blocks that retention no longer covers: those that end `kept` or more before the
    /// newest sample, then the oldest as long as all take more than `bytes_max` with `beside`.
    ///
    /// Source: prometheus, tsdb/db.go (BeyondTimeRetention, BeyondSizeRetention).
    ///
    /// # Errors
    /// A block could not be removed; it is gone from reads and removed at the next start.
    pub(crate) fn retain(
        &self,
        newest: i64,
        kept: Option<Duration>,
        bytes_max: Option<u64>,
        beside: u64,
    ) -> Result<usize> {
        let list = self.list();
        let kept = kept.map(|kept| i64::try_from(kept.as_millis()).unwrap_or(i64::MAX));
        let expired =
            |block: &Block| kept.is_some_and(|kept| newest.saturating_sub(block.end) >= kept);
        let (mut dropped, rest): (Vec<_>, Vec<_>) =
            list.iter().cloned().partition(|block| expired(block));
        let mut bytes = beside + rest.iter().map(|block| block.byte_len).sum::<u64>();
        for block in rest {
            if bytes_max.is_none_or(|bytes_max| bytes <= bytes_max) {
                break;
            }
            bytes -= block.byte_len;
            dropped.push(block);
        }
        self.replace(&dropped, None);
        for block in &dropped {
            tracing::info!(block = block.name, "retention drops a block");
            self.remove_dir(block)?;
        }
        Ok(dropped.len())
    }

    fn replace(&self, gone: &[Arc<Block>], made: impl IntoIterator<Item = Arc<Block>>) {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        let stays = |block: &&Arc<Block>| !gone.iter().any(|one| Arc::ptr_eq(one, block));
        let mut new: Vec<_> = list.iter().filter(stays).cloned().chain(made).collect();
        new.sort_by_key(|block| (block.min, block.end));
        *list = Arc::new(new);
    }

    /// Removes a block's directory, which counts as gone from the rename on.
    fn remove_dir(&self, block: &Block) -> Result<()> {
        let temporary = self.dir.join(format!("tmp-{}", block.name));
        self.files
            .rename(block.dir(), &temporary)
            .and_then(|()| self.files.sync_dir(&self.dir))
            .and_then(|()| self.files.remove_dir_all(&temporary))
            .map_err(Error::io("remove", block.dir()))
    }

    fn close_idle(&self) {
        let list = self.list();
        let mut open: Vec<_> = list.iter().filter(|block| block.is_open()).collect();
        open.sort_by_key(|block| std::cmp::Reverse(block.last_used()));
        open.iter().skip(OPEN_MAX).for_each(|block| block.close());
    }
}

/// Puts samples in `min..=max` into a block that was begun and ends it: its directory, if there
/// was such a sample, and what could not be read.
///
/// # Errors
/// Nothing is left of it.
pub(crate) fn write_all(
    mut writer: BlockWriter,
    min: i64,
    max: i64,
    series: impl Iterator<Item = Joined>,
) -> Result<(Option<PathBuf>, Vec<String>)> {
    let mut columns = Columns::default();
    let mut warnings = Vec::new();
    for one in series {
        columns.clear();
        warnings.extend(one.read_into(min, max, &mut columns));
        writer.put(&one.labels, &columns)?;
    }
    Ok((writer.finish()?, warnings))
}

/// Names of blocks that were merged into one of these.
fn merged_names(list: &[Arc<Block>]) -> BTreeSet<String> {
    list.iter().flat_map(|block| block.facts.sources.iter().cloned()).collect()
}

/// Removes blocks that another one names as its sources: they were merged into it, and the
/// process died before it could remove them.
fn remove_merged(files: &SharedFiles, list: &mut Vec<Arc<Block>>) -> Result<()> {
    let merged = merged_names(list);
    let gone: Vec<_> = list.iter().filter(|block| merged.contains(&block.name)).cloned().collect();
    for block in &gone {
        let path: &Path = block.dir();
        files.remove_dir_all(path).map_err(Error::io("remove", path))?;
    }
    list.retain(|block| !gone.iter().any(|one| Arc::ptr_eq(one, block)));
    Ok(())
}
