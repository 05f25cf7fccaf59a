//! A block is born: under a temporary name, synced, then named, then its directory synced.
//!
//! Series come one at a time in order of their labels, so that memory does not grow with samples:
//! what is kept is the index, about 50 bytes a series.

use super::chunks::{LabelsWriter, MAGIC, Span, Trailer, VERSION, put_facts};
use super::index::{Facts, IndexWriter, PageRef};
use super::page::PageWriter;
use crate::model::Labels;
use crate::storage::chunk::body::BODY_SAMPLES_MAX;
use crate::storage::error::{Error, Result};
use crate::storage::source::Columns;
use crate::storage::wal::frame::put_file_head;
use crate::sys::files::{SharedFile, SharedFiles};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Pages are written in pieces of about this size.
const BUFFER_BYTES: usize = 1 << 20;

/// An index larger than this is not read to check it.
pub(super) const INDEX_BYTES_MAX: u64 = 16 << 30;

/// Which block is to be written.
#[derive(Clone, Debug)]
pub(crate) struct BlockSpec {
    /// Its first millisecond.
    pub(crate) min: i64,
    /// The millisecond behind its last.
    pub(crate) end: i64,
    /// How often it was merged.
    pub(crate) level: u32,
    /// A random number that makes its name its own.
    pub(crate) id: u64,
    /// Names of the blocks that it takes the place of.
    pub(crate) sources: Vec<String>,
    /// Up to where the head's samples are in it or in blocks before; `None` when they did not
    /// come from the head.
    pub(crate) cut_end: Option<i64>,
}

impl BlockSpec {
    /// The name of its directory.
    pub(super) fn name(&self) -> String {
        format!("{}-{}-{:016x}", self.min, self.end, self.id)
    }
}

/// Writes one block. Dropped before `finish`, it leaves nothing.
#[derive(Debug)]
pub(crate) struct BlockWriter {
    files: SharedFiles,
    blocks_dir: PathBuf,
    temporary: PathBuf,
    spec: BlockSpec,
    out: ChunkOut,
    page: PageWriter,
    labels: LabelsWriter,
    label_records: Vec<u8>,
    index: IndexWriter,
    samples: u64,
    done: bool,
}

impl BlockWriter {
    /// Begins a block in `blocks/`.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) fn begin(files: &SharedFiles, blocks_dir: &Path, spec: BlockSpec) -> Result<Self> {
        let temporary = blocks_dir.join(format!("tmp-{}", spec.name()));
        files.create_dir_all(&temporary).map_err(Error::io("create directory", &temporary))?;
        let path = temporary.join("chunks");
        let file = files.create(&path).map_err(Error::io("create", &path))?;
        let mut out = ChunkOut { file, path, buffer: Vec::new(), flushed: 0 };
        put_file_head(&mut out.buffer, MAGIC, VERSION, spec.id);
        Ok(Self {
            files: files.clone(),
            blocks_dir: blocks_dir.to_owned(),
            temporary,
            spec,
            out,
            page: PageWriter::default(),
            labels: LabelsWriter::default(),
            label_records: Vec::new(),
            index: IndexWriter::default(),
            samples: 0,
            done: false,
        })
    }

    /// Adds a series; each comes once, in rising order of labels, with its samples in order of
    /// time and inside the block's. A series without samples is left out.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) fn put(&mut self, labels: &Labels, columns: &Columns) -> Result<()> {
        let (Some(min), Some(max)) = (columns.ts.first(), columns.ts.last()) else {
            return Ok(());
        };
        let number = u32::try_from(self.index.len() + 1).expect("fewer than 2^32 series");
        let (mut first_page, mut last_page) = (None, 0);
        let chunks = columns.ts.chunks(BODY_SAMPLES_MAX);
        for (ts, values) in chunks.zip(columns.values.chunks(BODY_SAMPLES_MAX)) {
            if self.page.is_full() {
                self.end_page()?;
            }
            last_page = self.page_number();
            first_page.get_or_insert(last_page);
            self.page.put(number, ts, values);
        }
        let page = first_page.unwrap_or(last_page);
        let span = Span { min: *min, max: *max, page, more_pages: last_page - page };
        self.index.put(labels, span);
        self.labels.put(&mut self.label_records, labels, span);
        self.samples += columns.len() as u64;
        Ok(())
    }

    /// Names the block and answers its directory; `None` when there was no sample.
    ///
    /// # Errors
    /// As `seal` and `SealedBlock::name`.
    pub(crate) fn finish(self) -> Result<Option<PathBuf>> {
        self.seal()?.map(SealedBlock::name).transpose()
    }

    /// Makes the block whole under its temporary name; `None` when there was no sample.
    ///
    /// # Errors
    /// The disk refuses; nothing is left.
    pub(crate) fn seal(mut self) -> Result<Option<SealedBlock>> {
        if self.index.len() == 0 {
            return Ok(None);
        }
        self.end_page()?;
        self.labels.flush(&mut self.label_records);
        let records = std::mem::take(&mut self.label_records);
        self.out.buffer.extend_from_slice(&records);
        let facts = Facts {
            series: self.index.len() as u64,
            samples: self.samples,
            level: self.spec.level,
            sources: self.spec.sources.clone(),
            cut_end: self.spec.cut_end,
        };
        put_facts(&mut self.out.buffer, &facts);
        self.out.flush()?;
        let index_path = self.temporary.join("index.db");
        self.index.write(&index_path, &facts).map_err(Error::sql("write", &index_path))?;
        let trailer = trailer_of(&self.files, &index_path, self.out.flushed)?;
        self.out.buffer.extend_from_slice(&trailer.encode());
        self.out.flush()?;
        self.out.file.sync_data().map_err(Error::io("sync", &self.out.path))?;
        let dir = &self.temporary;
        self.files.sync_dir(dir).map_err(Error::io("sync directory", dir))?;
        let named = self.blocks_dir.join(self.spec.name());
        self.done = true;
        let (files, temporary) = (Arc::clone(&self.files), self.temporary.clone());
        Ok(Some(SealedBlock { files, temporary, named, done: false }))
    }

    fn page_number(&self) -> u32 {
        u32::try_from(self.index.pages.len()).expect("fewer than 2^32 pages")
    }

    fn end_page(&mut self) -> Result<()> {
        if self.page.is_empty() {
            return Ok(());
        }
        let number = u64::from(self.page_number());
        let offset = self.out.flushed + self.out.buffer.len() as u64;
        let start = self.out.buffer.len();
        self.page.flush(&mut self.out.buffer, number);
        let len = u32::try_from(self.out.buffer.len() - start).expect("a page is below 1 MiB");
        self.index.pages.push(PageRef { offset, len });
        if self.out.buffer.len() >= BUFFER_BYTES {
            self.out.flush()?;
        }
        Ok(())
    }
}

/// A block that is whole and durable, and not seen: the next start would remove it. Dropped before
/// `name`, it leaves nothing.
#[derive(Debug)]
pub(crate) struct SealedBlock {
    files: SharedFiles,
    temporary: PathBuf,
    named: PathBuf,
    done: bool,
}

impl SealedBlock {
    /// Gives the block its name, durably, and answers its directory.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) fn name(mut self) -> Result<PathBuf> {
        let parent = self.named.parent().unwrap_or(&self.named);
        self.files
            .rename(&self.temporary, &self.named)
            .and_then(|()| self.files.sync_dir(parent))
            .map_err(Error::io("name block", &self.named))?;
        self.done = true;
        Ok(std::mem::take(&mut self.named))
    }
}

impl Drop for SealedBlock {
    fn drop(&mut self) {
        if !self.done {
            // What is left would be removed at the next start anyway.
            let _ = self.files.remove_dir_all(&self.temporary);
        }
    }
}

impl Drop for BlockWriter {
    fn drop(&mut self) {
        if !self.done {
            // What is left would be removed at the next start anyway.
            let _ = self.files.remove_dir_all(&self.temporary);
        }
    }
}

/// Syncs an index and answers the trailer that vouches for it.
///
/// # Errors
/// The disk refuses.
pub(super) fn trailer_of(files: &SharedFiles, index: &Path, chunk_bytes: u64) -> Result<Trailer> {
    let bytes = files.read(index, INDEX_BYTES_MAX).map_err(Error::io("read back", index))?;
    files.open(index).and_then(|file| file.sync_data()).map_err(Error::io("sync", index))?;
    Ok(Trailer { chunk_bytes, index_bytes: bytes.len() as u64, index_crc: crc32c::crc32c(&bytes) })
}

#[derive(Debug)]
struct ChunkOut {
    file: SharedFile,
    path: PathBuf,
    buffer: Vec<u8>,
    flushed: u64,
}

impl ChunkOut {
    fn flush(&mut self) -> Result<()> {
        self.file
            .write_all_at(&self.buffer, self.flushed)
            .map_err(Error::io("write", &self.path))?;
        self.flushed += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
