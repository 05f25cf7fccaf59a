//! Writing the log: segments of fixed size, made before they are needed, never touched again
//! after an error.

use super::frame::{put_file_head, put_frame};
use super::record::{Plan, Shapes, kind, put_inline};
use super::series::SeriesWriter;
use super::sync::Syncer;
use super::{LogCommit, replay::Segment};
use crate::model::Labels;
use crate::storage::error::{Error, Result};
use crate::sys::files::{SharedFile, SharedFiles, Space};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The first bytes of a segment.
pub(super) const MAGIC: [u8; 8] = *b"wbell-wl";
/// The format of a segment.
pub(super) const VERSION: u32 = 1;

/// With less room than for so many segments, the next one is smaller,
const TIGHT_SEGMENTS: u64 = 2;
/// by this factor.
const TIGHT_DIVISOR: u64 = 16;

/// What the log needs to know.
#[derive(Clone, Debug)]
pub(crate) struct WalSettings {
    /// `wal/`.
    pub(crate) dir: PathBuf,
    /// Bytes of a segment.
    pub(crate) segment_bytes: u64,
}

/// A series that a commit brings.
#[derive(Clone, Debug)]
pub(crate) struct NewSeries {
    /// Its number.
    pub(crate) number: u64,
    /// Its labels.
    pub(crate) labels: Labels,
}

/// The log, as its one writer holds it.
#[derive(Debug)]
pub(crate) struct Wal {
    files: SharedFiles,
    settings: WalSettings,
    syncer: Arc<Syncer>,
    /// Segments that are no longer written to, oldest first.
    closed: Vec<Segment>,
    active: Option<Active>,
    next_segment: u64,
    last_seq: u64,
    /// What the next segment knows from the one before.
    shapes: Shapes,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Active {
    file: SharedFile,
    path: PathBuf,
    number: u64,
    offset: u64,
    room: u64,
    shapes: Shapes,
}

impl Wal {
    /// A log that goes on after `last_seq`, with the segments that replay has found. The first
    /// append begins a new segment. A process that was killed may not have synced the old ones:
    /// they are synced with what comes first, which may be of series that they brought.
    ///
    /// # Errors
    /// A segment cannot be opened.
    pub(crate) fn new(
        files: SharedFiles,
        settings: WalSettings,
        closed: Vec<Segment>,
        last_seq: u64,
    ) -> Result<Self> {
        let syncer = Arc::new(Syncer::default());
        if closed.is_empty() {
            syncer.start_at(last_seq);
        } else {
            syncer.doubt();
        }
        for segment in &closed {
            let path = &segment.path;
            let file = files.open(path).map_err(Error::io("open log segment", path))?;
            syncer.wrote(&file, last_seq);
        }
        let next_segment = closed.last().map_or(1, |segment| segment.number + 1);
        Ok(Self {
            files,
            settings,
            syncer,
            closed,
            active: None,
            next_segment,
            last_seq,
            shapes: Shapes::default(),
            buffer: Vec::new(),
        })
    }

    /// What syncs it.
    pub(crate) fn syncer(&self) -> &Arc<Syncer> {
        &self.syncer
    }

    /// The sequence number of the last commit.
    pub(crate) const fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Writes one commit; returns its sequence number once write(2) has.
    ///
    /// # Errors
    /// Nothing of the commit counts; the next one begins a new segment.
    pub(crate) fn append(&mut self, commit: LogCommit<'_>) -> Result<u64> {
        if self.syncer.take_failed() {
            self.close_active();
        }
        let seq = self.last_seq + 1;
        if self.active.is_none() {
            self.begin_segment(bytes_at_most(commit))?;
        }
        self.encode(seq, commit);
        let fits =
            self.active.as_ref().is_some_and(|active| self.buffer.len() as u64 <= active.room);
        if !fits {
            self.close_active();
            self.begin_segment(bytes_at_most(commit))?;
            self.encode(seq, commit);
        }
        self.write_buffer(seq)?;
        self.last_seq = seq;
        Ok(seq)
    }

    /// Removes segments whose records are all at or below `seq`.
    ///
    /// # Errors
    /// A segment cannot be removed; it is tried again the next time.
    pub(crate) fn free_through(&mut self, seq: u64) -> Result<()> {
        let count = self.closed.iter().take_while(|segment| segment.last_seq <= seq).count();
        for segment in self.closed.get(..count).unwrap_or_default() {
            match self.files.remove(&segment.path) {
                Ok(()) => {}
                Err(err) if err.kind() == std::io::ErrorKind::NotFound => {}
                Err(err) => return Err(Error::io("remove log segment", &segment.path)(err)),
            }
        }
        if count > 0 {
            self.closed.drain(..count);
            let dir = &self.settings.dir;
            self.files.sync_dir(dir).map_err(Error::io("sync directory", dir))?;
        }
        Ok(())
    }

    /// Ends the active segment, so that a checkpoint can free it.
    pub(crate) fn close_active(&mut self) {
        let Some(active) = self.active.take() else { return };
        // Give the unused room back. Should this fail, the room is zeros, which are no record.
        if let Err(err) = active.file.set_len(active.offset) {
            tracing::warn!(path = %active.path.display(), error = %err, "cannot cut a log segment");
        }
        self.shapes = active.shapes.into_next();
        self.closed.push(Segment {
            number: active.number,
            path: active.path,
            last_seq: self.last_seq,
        });
    }

    fn begin_segment(&mut self, bytes_min: u64) -> Result<()> {
        let number = self.next_segment;
        let path = segment_path(&self.settings.dir, number);
        // A number is used once, even if making the file fails halfway.
        self.next_segment += 1;
        let file = self.files.create(&path).map_err(Error::io("create log segment", &path))?;
        let len = self.room_for_segment().max(bytes_min);
        let mut head = Vec::new();
        put_file_head(&mut head, MAGIC, VERSION, number);
        let made = file
            .allocate(len)
            .and_then(|()| file.write_all_at(&head, 0))
            .and_then(|()| file.sync_data())
            .and_then(|()| self.files.sync_dir(&self.settings.dir));
        if let Err(err) = made {
            // The half-made file would only take room.
            let _ = self.files.remove(&path);
            return Err(Error::io("make log segment", &path)(err));
        }
        let offset = head.len() as u64;
        let room = len.saturating_sub(offset);
        let shapes = std::mem::take(&mut self.shapes);
        self.active = Some(Active { file, path, number, offset, room, shapes });
        Ok(())
    }

    /// Bytes of the next segment: on a disk that is nearly full only a part of what is set, so
    /// that the log does not take the last room from everything else.
    fn room_for_segment(&self) -> u64 {
        let whole = self.settings.segment_bytes;
        let is_tight = |space: Space| space.free < whole.saturating_mul(TIGHT_SEGMENTS);
        let tight = self.files.space(&self.settings.dir).is_ok_and(is_tight);
        if tight { whole / TIGHT_DIVISOR } else { whole }
    }

    fn encode(&mut self, seq: u64, commit: LogCommit<'_>) {
        let out = &mut self.buffer;
        out.clear();
        let Some(active) = &mut self.active else { return };
        let LogCommit { series, samples, late } = commit;
        if !series.is_empty() {
            let mut writer = SeriesWriter::default();
            series.iter().for_each(|one| writer.put(one.number, one.labels.iter()));
            put_frame(out, seq, kind::SERIES, |out| writer.finish(out));
        }
        if !late.is_empty() {
            put_frame(out, seq, kind::OUT_OF_ORDER, |out| put_inline(out, late));
        }
        if samples.is_empty() {
            return;
        }
        let hash = match active.shapes.plan(samples) {
            Plan::Inline => {
                put_frame(out, seq, kind::INLINE, |out| put_inline(out, samples));
                return;
            }
            Plan::NewShape(hash) => {
                let shapes = &mut active.shapes;
                put_frame(out, seq, kind::SHAPE, |out| shapes.put_shape(out, hash, samples));
                hash
            }
            Plan::Shaped(hash) => hash,
        };
        put_frame(out, seq, kind::SHAPED, |out| active.shapes.put_shaped(out, hash, seq, samples));
    }

    fn write_buffer(&mut self, seq: u64) -> Result<()> {
        let Some(active) = &mut self.active else { return Ok(()) };
        if let Err(err) = active.file.write_all_at(&self.buffer, active.offset) {
            let path = active.path.clone();
            // Half a record may be there: the segment ends before it and is left alone.
            self.close_active();
            return Err(Error::io("write log segment", &path)(err));
        }
        let written = self.buffer.len() as u64;
        active.offset += written;
        active.room -= written;
        self.syncer.wrote(&active.file, seq);
        // One huge commit must not hold its memory for ever.
        if self.buffer.capacity() > 256 << 10 {
            self.buffer = Vec::new();
        }
        Ok(())
    }
}

/// What a commit takes in a fresh segment at most: it has no shapes to lean on there.
fn bytes_at_most(commit: LogCommit<'_>) -> u64 {
    // Number, run length, time and value of a sample are at most 10, 2, 10 and 9 bytes; a label
    // is at least three bytes of a set and takes, beside its texts, two lengths and two numbers.
    let series: usize = commit.series.iter().map(|one| 32 + one.labels.byte_len() * 8).sum();
    (256 + series + (commit.samples.len() + commit.late.len()) * 32) as u64
}

/// Where the segment of this number lies.
pub(super) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:010}.log"))
}
