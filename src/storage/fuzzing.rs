//! Ways in for the fuzzer, past the checksums that keep random bytes out; see `tests/fuzz`.

use super::block;
use super::chunk;
use super::codec::Reader;
use super::config::{Config, WalSync};
use super::damage::Damages;
use super::head::{self, Head, HeadDeps};
use super::source::Columns;
use super::store::ReplayProgress;
use super::tombstone::{self, put_tombstones, read_tombstones};
use super::wal::frame::{put_file_head, put_frame};
use super::wal::record::{ShapesRead, kind, read_inline};
use super::wal::series::SeriesRecord;
use crate::model::{TimeRange, Timestamp};
use crate::sys::files::SharedFiles;
use crate::sys::sim::VirtualClock;
use crate::sys::sim_files::SimFiles;
use std::path::Path;
use std::sync::Arc;

/// Where the store of a run lies.
const DIR: &str = "/d";

/// A body of a block's chunk, and a chunk of the head.
pub fn chunks(bytes: &[u8]) {
    chunk::fuzz(bytes);
    head::fuzz(bytes);
}

/// Records of the log, one by one, and as a segment that is replayed.
pub fn log(bytes: &[u8]) {
    let mut samples = Vec::new();
    let _ = read_inline(bytes, &mut samples);
    if let Some(record) = SeriesRecord::read(bytes) {
        let _ = record.series().count();
    }
    // A shape, then commits of it.
    let mut shapes = ShapesRead::default();
    let (shape, commit) = bytes.split_at(bytes.len() / 2);
    let _ = shapes.read_shape(shape);
    let _ = shapes.read_shaped(commit, 1, &mut samples);
    let _ = shapes.read_shaped(commit, 2, &mut samples);
    open_head("wal/0000000001.log", *b"wbell-wl", bytes);
}

/// Records of the head's checkpoint, loaded as a whole.
pub fn checkpoint(bytes: &[u8]) {
    open_head("head/0000000001.open", *b"wbell-cp", bytes);
}

/// Tombstones: what is read is written and read as the same; a file of any bytes is refused.
pub fn tombstones(bytes: &[u8]) {
    if let Some(stones) = read_tombstones(bytes) {
        let mut again = Vec::new();
        put_tombstones(&mut again, &stones);
        assert_eq!(read_tombstones(&again), Some(stones), "BUG: tombstones do not come back");
    }
    for file in [bytes.to_vec(), framed(*b"wbell-ts", bytes)] {
        let files: SharedFiles = Arc::new(SimFiles::new());
        put(&files, &Path::new(DIR).join(tombstone::FILE_NAME), &file);
        let mut damages = Damages::looking(Arc::clone(&files));
        let _ = tombstone::load(&files, Path::new(DIR), &mut damages);
    }
}

/// Opens a head whose only file holds `bytes` as records, reads it, and opens it once more.
fn open_head(name: &str, magic: [u8; 8], bytes: &[u8]) {
    let files: SharedFiles = Arc::new(SimFiles::new());
    put(&files, &Path::new(DIR).join(name), &framed(magic, bytes));
    let first = read_head(&files);
    // Closing wrote a checkpoint of what was read.
    assert_eq!(read_head(&files), first, "BUG: a checkpoint does not come back");
}

/// What the head has, as text; it is closed after that.
fn read_head(files: &SharedFiles) -> Vec<String> {
    let dir = Path::new(DIR);
    let config = Config { wal_sync: WalSync::Off, ..Config::at(dir) };
    let clock = Arc::new(VirtualClock::at(Timestamp::from_millis(1_750_000_000_000)));
    let deps = HeadDeps { files: Arc::clone(files), clock };
    let mut damages = Damages::looking(Arc::clone(files));
    let progress = ReplayProgress::new();
    let head = Head::open(&config, dir, &deps, None, &progress, &mut damages).expect("opens");
    let mut found = Vec::new();
    for series in head.select(TimeRange::ALL, &[], usize::MAX).expect("selects") {
        let mut columns = Columns::default();
        let _ = series.read(i64::MIN, i64::MAX, &mut columns);
        assert!(columns.ts.is_sorted_by(|a, b| a < b), "BUG: times do not rise");
        let bits: Vec<u64> = columns.values.iter().map(|value| value.to_bits()).collect();
        found.push(format!("{} {:?} {bits:?}", series.labels, columns.ts));
    }
    let late = head.select_late(TimeRange::ALL, &[], usize::MAX).expect("selects");
    found.push(late.len().to_string());
    head.close().expect("closes");
    found.sort();
    found
}

/// A file of records with right checksums: kind, length in two bytes, payload. Kinds from 128 on
/// are bytes as they are: damage.
fn framed(magic: [u8; 8], bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut seq) = (Vec::new(), 0);
    put_file_head(&mut out, magic, 1, 1);
    let mut reader = Reader::new(bytes);
    while let (Some(tag), Some(low), Some(high)) = (reader.byte(), reader.byte(), reader.byte()) {
        let len = usize::from(u16::from_le_bytes([low, high])).min(reader.rest().len());
        let payload = reader.take(len).unwrap_or_default();
        if tag >= 128 {
            out.extend_from_slice(payload);
        } else {
            seq += 1;
            put_frame(&mut out, seq, tag % 32, |out| out.extend_from_slice(payload));
        }
    }
    // Records of a checkpoint count once its end is there; replay passes over an end.
    put_frame(&mut out, seq + 1, kind::END, |out| out.push(1));
    out
}

fn put(files: &SharedFiles, path: &Path, bytes: &[u8]) {
    files.create_dir_all(path.parent().expect("a folder")).expect("makes a folder");
    files.create(path).and_then(|file| file.write_all_at(bytes, 0)).expect("writes a file");
}

/// Pages, label sets, facts and blobs of the index.
pub fn blocks(bytes: &[u8]) {
    block::fuzz(bytes);
}
