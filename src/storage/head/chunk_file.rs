//! Files of full chunks, `head/<number>.chunks`: appended to, read back on demand.

use super::series::{FullChunk, Place};
use crate::storage::codec::{Reader, low_byte, put_signed, put_varint};
use crate::storage::error::{Error, Result};
use crate::storage::wal::frame::{FILE_HEAD, parse_frame, put_file_head, put_frame};
use crate::sys::files::{SharedFile, SharedFiles};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: [u8; 8] = *b"wbell-hc";
const VERSION: u32 = 1;

/// Past this a new file is begun, so that old ones can go.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The file that is appended to.
#[derive(Debug)]
pub(super) struct ChunkFiles {
    files: SharedFiles,
    dir: PathBuf,
    active: Option<ActiveFile>,
    next: u64,
}

#[derive(Debug)]
struct ActiveFile {
    number: u64,
    file: SharedFile,
    offset: u64,
    dirty: bool,
}

/// Where the file of this number lies.
pub(super) fn path_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:010}.chunks"))
}

impl ChunkFiles {
    pub(super) const fn new(files: SharedFiles, dir: PathBuf, next: u64) -> Self {
        Self { files, dir, active: None, next }
    }

    /// Appends full chunks in memory; answers their places, and the file.
    ///
    /// # Errors
    /// Nothing counts as written; the next call begins a new file.
    pub(super) fn append(
        &mut self,
        chunks: &[(u64, FullChunk)],
    ) -> Result<(Vec<Place>, u64, SharedFile)> {
        if self.active.as_ref().is_some_and(|active| active.offset > FILE_BYTES_MAX) {
            self.sync()?;
            self.active = None;
        }
        if self.active.is_none() {
            self.active = Some(self.begin()?);
        }
        let active = self.active.as_mut().expect("set above");
        let mut out = Vec::new();
        let mut places = Vec::new();
        for (number, chunk) in chunks {
            let start = out.len();
            put_chunk(&mut out, *number, chunk);
            places.push(Place::File {
                file: active.number,
                offset: active.offset + start as u64,
                len: u32::try_from(out.len() - start).expect("a chunk is far below 4 GiB"),
            });
        }
        if let Err(err) = active.file.write_all_at(&out, active.offset) {
            let path = path_of(&self.dir, active.number);
            self.active = None;
            return Err(Error::io("write", &path)(err));
        }
        active.offset += out.len() as u64;
        active.dirty = true;
        Ok((places, active.number, Arc::clone(&active.file)))
    }

    /// Syncs what was appended.
    ///
    /// # Errors
    /// The disk refuses; the next append begins a new file.
    pub(super) fn sync(&mut self) -> Result<()> {
        let Some(active) = &mut self.active else { return Ok(()) };
        if !active.dirty {
            return Ok(());
        }
        if let Err(err) = active.file.sync_data() {
            let path = path_of(&self.dir, active.number);
            self.active = None;
            return Err(Error::io("sync", &path)(err));
        }
        active.dirty = false;
        Ok(())
    }

    /// Begins a new file with the next append.
    pub(super) fn end_file(&mut self) {
        self.active = None;
    }

    /// The file that is appended to now, which must stay.
    pub(super) fn active_number(&self) -> Option<u64> {
        self.active.as_ref().map(|active| active.number)
    }

    fn begin(&mut self) -> Result<ActiveFile> {
        let number = self.next;
        self.next += 1;
        let path = path_of(&self.dir, number);
        let file = self.files.create(&path).map_err(Error::io("create", &path))?;
        let mut head = Vec::new();
        put_file_head(&mut head, MAGIC, VERSION, number);
        let made = file
            .write_all_at(&head, 0)
            .and_then(|()| file.sync_data())
            .and_then(|()| self.files.sync_dir(&self.dir));
        made.map_err(Error::io("make", &path))?;
        Ok(ActiveFile { number, file, offset: FILE_HEAD as u64, dirty: false })
    }
}

fn put_chunk(out: &mut Vec<u8>, number: u64, chunk: &FullChunk) {
    let Place::Memory(bytes) = &chunk.place else { return };
    put_frame(out, number, chunk.encoding.tag(), |out| {
        out.push(low_byte(u64::from(chunk.count)));
        out.push(low_byte(u64::from(chunk.count >> 8)));
        put_signed(out, chunk.min);
        put_varint(out, chunk.max.abs_diff(chunk.min));
        out.extend_from_slice(bytes);
    });
}

/// The samples of a full chunk's record; `None` when it is damaged or another chunk's.
pub(super) fn bytes_of<'a>(record: &'a [u8], number: u64, chunk: &FullChunk) -> Option<&'a [u8]> {
    let frame = parse_frame(record)?;
    let mut reader = Reader::new(frame.payload);
    let count = u16::from_le_bytes(reader.array()?);
    let min = reader.signed()?;
    let span = reader.varint()?;
    let same = frame.seq == number
        && frame.kind == chunk.encoding.tag()
        && (count, min) == (chunk.count, chunk.min)
        && span == chunk.max.abs_diff(chunk.min);
    same.then(|| reader.rest())
}
