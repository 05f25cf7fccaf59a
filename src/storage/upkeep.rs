//! What has to be done now and then: reserve, checkpoint, cut, merge, retention.

use super::block::{BlockSpec, span_max};
use super::config::Config;
use super::error::{Error, Result};
use super::head::LateSeries;
use super::select::{Part, join};
use super::source::Columns;
use super::store::{Storage, Upkeep};
use crate::model::Metadata;
use crate::sys::files::Space;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What `compact_all` leaves in the head: scrapes that began before it still come in.
const STILL_COMING_MS: i64 = 30_000;

/// The reserve of free bytes, unless it is set: this, or 3 % of the disk when that is less.
const MIN_FREE_BYTES: u64 = 512 << 20;

/// How often sizes are looked at, which nothing depends on: an idle server does little else.
const LOOKED_AROUND_EVERY: Duration = Duration::from_secs(15);

impl Storage {
    /// Does what is due: disk reserve, checkpoint, cut, merge, retention. To be called every few
    /// seconds by one thread.
    ///
    /// # Errors
    /// The first of the things that failed; the others were done, and the next call tries again.
    pub fn maintain(&self) -> Result<()> {
        let mut upkeep = self.upkeep();
        let config = self.config();
        let done = [
            self.keep_reserve(&config, &mut upkeep),
            self.checkpoint_if_due(&config, &mut upkeep),
            self.cut(&config, None).map(|_| ()),
            self.write_late_if_due(&config, &mut upkeep),
            self.merge(&config, false).map(|_| ()),
            self.retain(&config, &upkeep),
            self.look_around_if_due(&mut upkeep),
        ];
        done.into_iter().collect()
    }

    /// Whether the head holds a window that belongs into a block.
    pub fn cut_is_due(&self) -> bool {
        self.next_cut(&self.config(), None).is_some()
    }

    /// Looks whether the disk is a reason to take nothing, and no more.
    ///
    /// # Errors
    /// The file system cannot be asked.
    pub fn look_at_disk(&self) -> Result<()> {
        self.keep_reserve(&self.config(), &mut self.upkeep())
    }

    /// Cuts and merges everything now, and answers when it is done. The last half minute stays in
    /// the head.
    ///
    /// # Errors
    /// A block could not be written; the head keeps its samples.
    pub fn compact_all(&self) -> Result<()> {
        let mut upkeep = self.upkeep();
        let config = self.config();
        // A fixed end: new samples come as fast as blocks are cut.
        let settled = self.clock.now().as_millis().saturating_sub(STILL_COMING_MS);
        while self.cut(&config, Some(settled))? {}
        self.write_late(&config)?;
        while self.merge(&config, true)? {}
        self.retain(&config, &upkeep)?;
        self.look_around(&mut upkeep)
    }

    /// The spans of a block when it is cut, and when it is merged no more, in milliseconds.
    pub(super) fn block_spans(&self) -> (i64, i64) {
        let config = self.config();
        let span = millis(config.block_span).max(1);
        (span, span_max(span, config.retention().time))
    }

    /// Takes in blocks that were written.
    pub(super) fn take_in(&self, dirs: &[PathBuf]) -> Result<()> {
        let mut upkeep = self.upkeep();
        self.blocks.add(dirs)?;
        self.catalog.save_blocks(&self.blocks.rows())?;
        self.look_around(&mut upkeep)
    }

    /// Remembers what is said about metrics.
    pub(super) fn describe(&self, metadata: &[(String, Metadata)]) {
        self.catalog.describe(metadata);
    }

    fn look_around_if_due(&self, upkeep: &mut Upkeep) -> Result<()> {
        let now = self.clock.elapsed();
        if upkeep.looked_at.is_some_and(|before| now < before + LOOKED_AROUND_EVERY) {
            return Ok(());
        }
        upkeep.looked_at = Some(now);
        self.look_around(upkeep)
    }

    /// Looks at sizes and free space, and shows them.
    pub(super) fn look_around(&self, upkeep: &mut Upkeep) -> Result<()> {
        upkeep.log_bytes = self.bytes_in("wal")? + self.bytes_in("head")?;
        let space = self.space()?;
        (upkeep.free_bytes, upkeep.disk_bytes) = (space.free, space.total);
        self.metrics.wal_bytes.set(upkeep.log_bytes as f64);
        self.metrics.free_bytes.set(upkeep.free_bytes as f64);
        let blocks = self.blocks.list();
        self.metrics.blocks.set(blocks.len() as f64);
        self.metrics.block_bytes.set(self.blocks.byte_len() as f64);
        let facts = self.head.facts();
        let oldest = blocks.iter().map(|block| block.min).chain(facts.min_time).min();
        self.metrics.show_head(facts, oldest);
        Ok(())
    }

    fn keep_reserve(&self, config: &Config, upkeep: &mut Upkeep) -> Result<()> {
        let space = self.space()?;
        upkeep.free_bytes = space.free;
        let reserve =
            config.min_free_bytes.unwrap_or_else(|| MIN_FREE_BYTES.min(space.total / 100 * 3));
        self.ballast.keep(space.free, reserve);
        // A tenth more to come back, so that the state does not flicker.
        let wanted = if self.has_disk_trouble() { reserve + reserve / 10 } else { reserve };
        let why = (space.free < wanted).then(|| {
            format!(
                "only {} MiB are free on the disk, {} MiB are kept in reserve; free some or lower --storage.min-free",
                space.free >> 20,
                reserve >> 20
            )
        });
        if why.is_some() != self.has_disk_trouble() {
            match &why {
                Some(why) => tracing::error!(why, "the store takes no samples"),
                None => tracing::info!("the store takes samples again"),
            }
        }
        self.set_disk_trouble(why);
        Ok(())
    }

    fn checkpoint_if_due(&self, config: &Config, upkeep: &mut Upkeep) -> Result<()> {
        let now = self.clock.elapsed();
        let due = now.saturating_sub(upkeep.checkpoint_at) >= config.checkpoint_every;
        if !due && !self.head.checkpoint_due() {
            return self.head.write_full_chunks();
        }
        self.head.checkpoint()?;
        upkeep.checkpoint_at = now;
        self.metrics.checkpointed();
        self.save_catalog()
    }

    /// Cuts the head's oldest window into a block when it is due, or in any case what lies before
    /// `until`; whether there was something to cut.
    fn cut(&self, config: &Config, until: Option<i64>) -> Result<bool> {
        let Some((start, end)) = self.next_cut(config, until) else { return Ok(false) };
        // From here on nothing may come that the block would miss.
        self.head.accept_from(end);
        let order = self.head.cut_order(start, end - 1);
        // One series at a time, so that a cut takes no memory for all.
        let series = order.into_iter().filter_map(|one| self.head.cut_one(one, start, end - 1));
        let joined = series.flat_map(|one| join(vec![Part::Head(one)]));
        let spec = BlockSpec {
            min: start,
            end,
            level: 0,
            id: self.entropy.next_u64(),
            sources: Vec::new(),
            cut_end: Some(end),
        };
        let written = self.blocks.write(spec, joined);
        self.count_compaction(written.is_ok());
        let written = written?;
        for warning in &written.warnings {
            tracing::warn!(warning, "a block misses samples that the head had lost");
        }
        if !written.made {
            // A chunk reached over the window without a sample in it: go on where there is one.
            let next = self.head.first_sample_from(end).unwrap_or(end);
            let span = millis(config.block_span).max(1);
            self.head.skip_to(end.max(next.div_euclid(span).saturating_mul(span)));
            return Ok(true);
        }
        self.head.drop_before(end)?;
        self.catalog.save_blocks(&self.blocks.rows())?;
        Ok(true)
    }

    fn write_late_if_due(&self, config: &Config, upkeep: &mut Upkeep) -> Result<()> {
        let (len, many) = self.head.late_len();
        let now = self.clock.elapsed();
        if len == 0 {
            upkeep.late_since = now;
            return Ok(());
        }
        if !many && now.saturating_sub(upkeep.late_since) < config.block_span {
            return Ok(());
        }
        self.write_late(config)
    }

    /// Writes late samples to blocks, one for each window; none reaches over the last cut, so
    /// that what is cut next stays apart from them.
    pub(super) fn write_late(&self, config: &Config) -> Result<()> {
        let series = self.head.late_samples();
        if series.is_empty() {
            return Ok(());
        }
        let span = millis(config.block_span).max(1);
        let cut_until = self.head.cut_until().unwrap_or(i64::MIN);
        let mut windows: BTreeMap<(i64, bool), (i64, i64)> = BTreeMap::new();
        for (ts, _) in series.iter().flat_map(|one| &one.samples) {
            let window = windows.entry((ts.div_euclid(span), *ts >= cut_until));
            let (min, max) = window.or_insert((*ts, *ts));
            (*min, *max) = ((*min).min(*ts), (*max).max(*ts));
        }
        for (min, max) in windows.into_values() {
            let inside: Vec<_> = series.iter().filter_map(|one| one.within(min, max)).collect();
            let written = self.late_block(&inside, min, max);
            let added = written.and_then(|dir| self.blocks.add(dir.as_slice()));
            self.count_compaction(added.is_ok());
            added?;
            self.head.forget_late(&inside);
        }
        self.head.checkpoint()?;
        self.catalog.save_blocks(&self.blocks.rows())
    }

    fn late_block(&self, series: &[LateSeries], min: i64, max: i64) -> Result<Option<PathBuf>> {
        let mut writer = self.blocks.begin(BlockSpec {
            min,
            end: max.saturating_add(1),
            level: 0,
            id: self.entropy.next_u64(),
            sources: Vec::new(),
            cut_end: None,
        })?;
        let mut columns = Columns::default();
        for one in series {
            columns.clear();
            one.read(min, max, &mut columns);
            writer.put(&one.labels, &columns)?;
        }
        writer.finish()
    }

    fn next_cut(&self, config: &Config, until: Option<i64>) -> Option<(i64, i64)> {
        let span = millis(config.block_span).max(1);
        let facts = self.head.facts();
        let newest = facts.max_time?;
        let cut_until = self.head.cut_until().max(self.blocks.cut_end());
        let oldest = self.head.oldest_after(cut_until)?;
        let mut end = (oldest.div_euclid(span).checked_add(1)?).checked_mul(span)?;
        if let Some(until) = until {
            end = end.min(newest + 1).min(until);
        } else if newest.saturating_sub(oldest) <= span + span / 2 {
            return None;
        }
        let start = oldest.div_euclid(span) * span;
        let start = cut_until.map_or(start, |before| before.max(start));
        (oldest < end && start < end).then_some((start, end))
    }

    fn merge(&self, config: &Config, force: bool) -> Result<bool> {
        let (span, kept) = (millis(config.block_span), config.retention().time);
        let merged = self.blocks.merge_step(span, kept, self.entropy.next_u64(), force);
        match merged {
            Ok(false) => return Ok(false),
            Ok(true) | Err(_) => self.count_compaction(merged.is_ok()),
        }
        merged?;
        self.catalog.save_blocks(&self.blocks.rows())?;
        Ok(true)
    }

    fn retain(&self, config: &Config, upkeep: &Upkeep) -> Result<()> {
        let Some(newest) = self.blocks.end() else { return Ok(()) };
        let retention = config.retention();
        let bytes_max = retention.bytes_max(upkeep.disk_bytes);
        let dropped = self.blocks.retain(newest, retention.time, bytes_max, upkeep.log_bytes)?;
        self.metrics.blocks_dropped.add(dropped as f64);
        Ok(())
    }

    fn count_compaction(&self, succeeded: bool) {
        if succeeded {
            self.metrics.compactions.inc();
        } else {
            self.metrics.compactions_failed.inc();
        }
    }

    pub(super) fn space(&self) -> Result<Space> {
        self.files.space(&self.dir).map_err(Error::io("look at the file system of", &self.dir))
    }

    fn bytes_in(&self, name: &str) -> Result<u64> {
        let dir = self.dir.join(name);
        let entries = self.files.list(&dir).map_err(Error::io("list", &dir))?;
        Ok(entries.iter().map(|entry| entry.byte_len).sum())
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
