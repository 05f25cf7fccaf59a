//! Files of full chunks, `head/<number>.chunks`: appended to, read back on demand.
//!
//! A record is found by its place alone, which the series has, or a later record of it.

use super::open::ChunkBytes;
use super::series::{Chain, Place};
use crate::storage::codec::{Reader, put_signed, put_varint};
use crate::storage::error::{Error, Result};
use crate::storage::wal::frame::{FILE_HEAD, check_file_head, put_file_head};
use crate::sys::files::{Files, SharedFile, SharedFiles};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: [u8; 8] = *b"wbell-hc";
/// Version 2 marks plain chunks.
const VERSION: u32 = 2;

/// Past this a new file is begun, so that old ones can go.
const FILE_BYTES_MAX: u32 = 64 << 20;

/// Set in the count of a chunk that is plain.
const PLAIN: u8 = 0x80;

/// The file that is appended to.
#[derive(Debug)]
pub(super) struct ChunkFiles {
    files: SharedFiles,
    dir: PathBuf,
    active: Option<ActiveFile>,
    /// Files that were ended before they were synced.
    unsynced: Vec<EndedFile>,
    next: NonZeroU32,
    /// Kept between calls for its memory.
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct ActiveFile {
    number: NonZeroU32,
    file: SharedFile,
    offset: u32,
    dirty: bool,
}

/// A file that takes no more, and has what is not on the disk yet.
#[derive(Debug)]
struct EndedFile {
    path: PathBuf,
    file: SharedFile,
    len: u32,
    /// A sync failed: the system has forgotten what it did not write, so a copy takes its place.
    has_failed: bool,
}

/// Full chunks of one series, the oldest first, that follow a chain in files.
#[derive(Clone, Debug)]
pub(super) struct Unwritten {
    /// The series.
    pub(super) number: u64,
    /// What it has in files.
    pub(super) chain: Chain,
    /// What follows.
    pub(super) chunks: Vec<Arc<ChunkBytes>>,
}

/// The file that took what was appended.
#[derive(Clone, Debug)]
pub(super) struct TakenBy {
    /// Its number.
    pub(super) number: NonZeroU32,
    /// To read from.
    pub(super) file: SharedFile,
}

/// Where the file of this number lies.
pub(super) fn path_of(dir: &Path, number: NonZeroU32) -> PathBuf {
    dir.join(format!("{number:010}.chunks"))
}

/// Opens a file to read from. What says nothing of its version is taken as it is: each record has
/// a checksum of its own.
///
/// # Errors
/// It cannot be opened, or is of a later version.
pub(super) fn open(files: &dyn Files, path: &Path) -> Result<SharedFile> {
    let file = files.open_read_only(path).map_err(Error::io("open", path))?;
    let mut head = [0; FILE_HEAD];
    if file.read_exact_at(&mut head, 0).is_ok() {
        check_file_head(&head, MAGIC, VERSION, path)?;
    }
    Ok(file)
}

impl ChunkFiles {
    pub(super) const fn new(files: SharedFiles, dir: PathBuf, next: NonZeroU32) -> Self {
        Self { files, dir, active: None, unsynced: Vec::new(), next, buffer: Vec::new() }
    }

    /// Appends chunks, and moves the chains to their ends.
    ///
    /// # Errors
    /// Nothing counts as written; the next call begins a new file.
    pub(super) fn append(&mut self, run: &mut [Unwritten]) -> Result<TakenBy> {
        if self.active.as_ref().is_some_and(|active| active.offset > FILE_BYTES_MAX) {
            self.sync()?;
            self.active = None;
        }
        if self.active.is_none() {
            self.active = Some(self.begin()?);
        }
        let active = self.active.as_mut().expect("set above");
        let out = &mut self.buffer;
        out.clear();
        for series in run {
            for chunk in &series.chunks {
                let start = out.len();
                put_record(out, active.number, series.number, &series.chain, chunk);
                let place = Place {
                    file: active.number,
                    offset: active.offset + u32_of(start),
                    len: u16::try_from(out.len() - start).expect("120 samples are below 4 KiB"),
                };
                let [before, _] = series.chain.newest;
                series.chain = Chain { newest: [Some(place), before], max: chunk.max };
            }
        }
        if let Err(err) = active.file.write_all_at(out, u64::from(active.offset)) {
            let path = path_of(&self.dir, active.number);
            self.end_file();
            return Err(Error::io("write", &path)(err));
        }
        active.offset += u32_of(out.len());
        active.dirty = true;
        let taken = TakenBy { number: active.number, file: Arc::clone(&active.file) };
        self.buffer.shrink_to(256 << 10);
        Ok(taken)
    }

    /// Syncs what was appended, also to files that were ended since.
    ///
    /// # Errors
    /// The disk refuses; the next append begins a new file, the next call tries again.
    pub(super) fn sync(&mut self) -> Result<()> {
        if let Some(active) = &mut self.active
            && active.dirty
        {
            if let Err(err) = active.file.sync_data() {
                let path = path_of(&self.dir, active.number);
                self.end_file();
                if let Some(ended) = self.unsynced.last_mut() {
                    ended.has_failed = true;
                }
                return Err(Error::io("sync", &path)(err));
            }
            active.dirty = false;
        }
        while let Some(ended) = self.unsynced.last_mut() {
            let synced = ended.sync(&self.files, &self.dir);
            synced.map_err(Error::io("sync", &ended.path))?;
            self.unsynced.pop();
        }
        Ok(())
    }

    /// Begins a new file with the next append.
    pub(super) fn end_file(&mut self) {
        let Some(active) = self.active.take().filter(|active| active.dirty) else { return };
        self.unsynced.push(EndedFile {
            path: path_of(&self.dir, active.number),
            file: active.file,
            len: active.offset,
            has_failed: false,
        });
    }

    /// The file that is appended to now, which must stay.
    pub(super) fn active_number(&self) -> Option<NonZeroU32> {
        self.active.as_ref().map(|active| active.number)
    }

    fn begin(&mut self) -> Result<ActiveFile> {
        let number = self.next;
        self.next = number.checked_add(1).expect("fewer than 2^32 files of 64 MiB");
        let path = path_of(&self.dir, number);
        let file = self.files.create(&path).map_err(Error::io("create", &path))?;
        let mut head = Vec::new();
        put_file_head(&mut head, MAGIC, VERSION, u64::from(number.get()));
        let made = file
            .write_all_at(&head, 0)
            .and_then(|()| file.sync_data())
            .and_then(|()| self.files.sync_dir(&self.dir));
        made.map_err(Error::io("make", &path))?;
        Ok(ActiveFile { number, file, offset: u32_of(FILE_HEAD), dirty: false })
    }
}

impl EndedFile {
    fn sync(&mut self, files: &SharedFiles, dir: &Path) -> std::io::Result<()> {
        if !self.has_failed {
            self.has_failed = true;
            return self.file.sync_data();
        }
        let mut bytes = vec![0; usize::try_from(self.len).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, 0)?;
        let temporary = self.path.with_extension("chunks.tmp");
        let _ = files.remove(&temporary);
        let copy = files.create(&temporary)?;
        copy.write_all_at(&bytes, 0)?;
        copy.sync_data()?;
        files.rename(&temporary, &self.path)?;
        files.sync_dir(dir)
    }
}

fn u32_of(len: usize) -> u32 {
    u32::try_from(len).expect("a file is little over 64 MiB")
}

fn put_record(
    out: &mut Vec<u8>,
    file: NonZeroU32,
    number: u64,
    before: &Chain,
    chunk: &ChunkBytes,
) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.push(chunk.count | if chunk.is_plain { PLAIN } else { 0 });
    put_signed(out, chunk.min);
    for place in before.newest {
        let Some(place) = place else {
            out.push(0);
            continue;
        };
        put_varint(out, u64::from(file.get() - place.file.get()) + 1);
        put_varint(out, u64::from(place.offset));
        put_varint(out, u64::from(place.len));
    }
    if before.newest.iter().any(Option::is_some) {
        put_varint(out, chunk.min.abs_diff(before.max));
    }
    out.extend_from_slice(&chunk.bytes);
    let crc = checksum(number, out.get(start + 4..).unwrap_or_default());
    if let Some(head) = out.get_mut(start..start + 4) {
        head.copy_from_slice(&crc.to_le_bytes());
    }
}

/// A record as it was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// First timestamp.
    pub(super) min: i64,
    /// Samples.
    pub(super) count: u8,
    /// As `ChunkBytes::is_plain`.
    pub(super) is_plain: bool,
    /// The samples.
    pub(super) bytes: &'a [u8],
    /// What came before it.
    pub(super) before: Chain,
}

/// Reads the record of a chunk of this series in this file; `None` when it is damaged or another
/// series'.
pub(super) fn read_record(record: &[u8], file: NonZeroU32, number: u64) -> Option<Record<'_>> {
    let mut reader = Reader::new(record);
    let crc = reader.u32()?;
    if checksum(number, reader.rest()) != crc {
        return None;
    }
    let count = reader.byte()?;
    let min = reader.signed()?;
    let newest = [read_place(&mut reader, file)?, read_place(&mut reader, file)?];
    let max = match newest {
        [None, None] => i64::MIN,
        _ => min.checked_sub_unsigned(reader.varint()?)?,
    };
    let (count, is_plain) = (count & !PLAIN, count & PLAIN != 0);
    Some(Record { min, count, is_plain, bytes: reader.rest(), before: Chain { newest, max } })
}

#[expect(clippy::option_option, reason = "unreadable, none, or one")]
fn read_place(reader: &mut Reader<'_>, file: NonZeroU32) -> Option<Option<Place>> {
    let distance = reader.varint()?;
    let Some(distance) = distance.checked_sub(1) else { return Some(None) };
    let file = file.get().checked_sub(u32::try_from(distance).ok()?)?;
    Some(Some(Place {
        file: NonZeroU32::new(file)?,
        offset: u32::try_from(reader.varint()?).ok()?,
        len: u16::try_from(reader.varint()?).ok()?,
    }))
}

/// Of the series' number too, so that one series' chunk is never read as another's.
fn checksum(number: u64, rest: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place() -> impl Strategy<Value = Option<Place>> {
        let one = (1_u32..100, any::<u32>(), any::<u16>()).prop_map(|(file, offset, len)| Place {
            file: NonZeroU32::new(file).unwrap(),
            offset,
            len,
        });
        proptest::option::of(one)
    }

    proptest! {
        #[test]
        fn a_record_comes_back_or_is_refused(
            number: u64,
            (min, gap) in (-1_000_000_i64..1 << 50, 0_i64..1 << 40),
            (count, is_plain) in (1_u8..120, any::<bool>()),
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
            newest in (place(), place()),
            (flip, bit) in (any::<usize>(), 0_u32..8),
        ) {
            let file = NonZeroU32::new(100).unwrap();
            let newest = [newest.0, newest.1];
            let max = if newest == [None; 2] { i64::MIN } else { min - gap };
            let before = Chain { newest, max };
            let chunk = ChunkBytes { min, max: min, count, is_plain, bytes: bytes.clone().into() };
            let mut out = Vec::new();
            put_record(&mut out, file, number, &before, &chunk);
            let expected = Record { min, count, is_plain, bytes: &bytes, before };
            prop_assert_eq!(read_record(&out, file, number), Some(expected));
            prop_assert_eq!(read_record(&out, file, number ^ 1), None);
            let at = flip % out.len();
            out[at] ^= 1 << bit;
            prop_assert_eq!(read_record(&out, file, number), None);
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes: Vec<u8>, number: u64) {
            let mut record = checksum(number, &bytes).to_le_bytes().to_vec();
            record.extend_from_slice(&bytes);
            let _ = read_record(&record, NonZeroU32::MIN, number);
        }
    }
}
