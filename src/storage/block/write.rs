//! How a block is born: written under a temporary name, synced, renamed.

use super::chunks::{MAGIC, Trailer, VERSION, put_chunk};
use super::index::{self, ChunkRef, Facts, IndexedSeries};
use crate::storage::chunk::{CHUNK_SAMPLES_MAX, Chunk};
use crate::storage::error::{Error, Result};
use crate::storage::select::Joined;
use crate::storage::source::Columns;
use crate::storage::wal::frame::put_file_head;
use crate::sys::files::{Files, SharedFile};
use std::path::{Path, PathBuf};

/// Chunks are written in pieces of about this size.
const BUFFER_BYTES: usize = 1 << 20;

/// An index larger than this is not read to check it.
pub(super) const INDEX_BYTES_MAX: u64 = 16 << 30;

/// Which block is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockSpec {
    /// Its first millisecond.
    pub(crate) min: i64,
    /// The millisecond behind its last.
    pub(crate) end: i64,
    /// How often it was merged.
    pub(crate) level: u32,
    /// A random number that makes its name its own.
    pub(crate) id: u64,
}

impl BlockSpec {
    /// The name of its directory.
    pub(super) fn name(&self) -> String {
        format!("{}-{}-{:016x}", self.min, self.end, self.id)
    }
}

/// Writes a block of those samples of `series`, sorted by labels, that lie in its time. Answers
/// its directory, `None` when there was no sample, and what could not be read.
///
/// # Errors
/// Nothing is left of it.
pub(crate) fn write_block(
    files: &dyn Files,
    blocks_dir: &Path,
    spec: BlockSpec,
    series: &[Joined],
) -> Result<(Option<PathBuf>, Vec<String>)> {
    let temporary = blocks_dir.join(format!("tmp-{}", spec.name()));
    let written = write_into(files, &temporary, spec, series);
    let named = match written {
        Ok((true, warnings)) => {
            let dir = blocks_dir.join(spec.name());
            files
                .rename(&temporary, &dir)
                .and_then(|()| files.sync_dir(blocks_dir))
                .map_err(Error::io("name block", &dir))
                .map(|()| (Some(dir), warnings))
        }
        Ok((false, warnings)) => Ok((None, warnings)),
        Err(err) => Err(err),
    };
    if !matches!(named, Ok((Some(_), _))) {
        // What is left would be removed at the next start anyway.
        let _ = files.remove_dir_all(&temporary);
    }
    named
}

fn write_into(
    files: &dyn Files,
    dir: &Path,
    spec: BlockSpec,
    series: &[Joined],
) -> Result<(bool, Vec<String>)> {
    files.create_dir_all(dir).map_err(Error::io("create directory", dir))?;
    let path = dir.join("chunks");
    let file = files.create(&path).map_err(Error::io("create", &path))?;
    let mut out = ChunkOut { file, path, buffer: Vec::new(), flushed: 0 };
    put_file_head(&mut out.buffer, MAGIC, VERSION, spec.id);
    let mut indexed = Vec::new();
    let mut warnings = Vec::new();
    let mut columns = Columns::default();
    let mut samples = 0_u64;
    for one in series {
        columns.clear();
        warnings.extend(one.read_into(spec.min, spec.end.saturating_sub(1), &mut columns));
        if columns.is_empty() {
            continue;
        }
        samples += columns.len() as u64;
        let chunks = out.put_series(&columns)?;
        indexed.push(IndexedSeries { labels: one.labels.clone(), chunks });
    }
    if indexed.is_empty() {
        return Ok((false, warnings));
    }
    out.flush()?;
    let index_path = dir.join("index.db");
    let facts = Facts { series: indexed.len() as u64, samples, level: spec.level };
    index::write(&index_path, &indexed, facts).map_err(Error::sql("write", &index_path))?;
    let bytes =
        files.read(&index_path, INDEX_BYTES_MAX).map_err(Error::io("read back", &index_path))?;
    let trailer = Trailer {
        chunk_bytes: out.flushed,
        index_bytes: bytes.len() as u64,
        index_crc: crc32c::crc32c(&bytes),
    };
    out.buffer.extend_from_slice(&trailer.encode());
    out.flush()?;
    out.file.sync_data().map_err(Error::io("sync", &out.path))?;
    files
        .open(&index_path)
        .and_then(|index| index.sync_data())
        .map_err(Error::io("sync", &index_path))?;
    files.sync_dir(dir).map_err(Error::io("sync directory", dir))?;
    Ok((true, warnings))
}

struct ChunkOut {
    file: SharedFile,
    path: PathBuf,
    buffer: Vec<u8>,
    flushed: u64,
}

impl ChunkOut {
    fn put_series(&mut self, columns: &Columns) -> Result<Vec<ChunkRef>> {
        let mut refs = Vec::new();
        let len = usize::from(CHUNK_SAMPLES_MAX);
        for (ts, values) in columns.ts.chunks(len).zip(columns.values.chunks(len)) {
            let chunk = Chunk::encode(ts, values);
            let start = self.buffer.len();
            put_chunk(&mut self.buffer, &chunk);
            refs.push(ChunkRef {
                min: chunk.min,
                max: chunk.max,
                offset: self.flushed + start as u64,
                len: u32::try_from(self.buffer.len() - start).expect("a chunk is a few KiB"),
            });
        }
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(refs)
    }

    fn flush(&mut self) -> Result<()> {
        self.file
            .write_all_at(&self.buffer, self.flushed)
            .map_err(Error::io("write", &self.path))?;
        self.flushed += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
