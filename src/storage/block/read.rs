//! Reading a block: its index through SQLite, its chunks by position, each checked when read.

use super::chunks::{MAGIC, Span, TRAILER_BYTES, Trailer, VERSION};
use super::find::Cache;
use super::index::{self, Facts, INDEX_VERSION, PageRef, RUN_SERIES};
use super::page::Page;
use super::rebuild::rebuild;
use super::write::INDEX_BYTES_MAX;
use crate::model::{Labels, Matcher, Timestamp};
use crate::storage::BlockFacts;
use crate::storage::damage::Damages;
use crate::storage::error::{Error, Result};
use crate::storage::source::{Columns, Known, SourceError};
use crate::storage::tombstone::{self, Intervals, Tombstones, bury};
use crate::storage::wal::frame::{FILE_HEAD, check_file_head};
use crate::sys::files::{Files, SharedFile, SharedFiles};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// A block as it lies in its directory. It is opened when it is first read.
#[derive(Debug)]
pub(crate) struct Block {
    /// The name of its directory.
    pub(crate) name: String,
    /// Its first millisecond.
    pub(crate) min: i64,
    /// The millisecond behind its last.
    pub(crate) end: i64,
    /// Bytes of its files.
    pub(crate) byte_len: u64,
    /// Bytes of its index.
    pub(crate) index_bytes: u64,
    pub(crate) facts: Facts,
    dir: PathBuf,
    files: SharedFiles,
    opened: Mutex<Option<Arc<Opened>>>,
    tombstones: RwLock<Arc<Tombstones>>,
    /// When it was last read, in reads of all blocks: the least recent is closed first.
    used: AtomicU64,
}

/// Bytes of unpacked pages that an open block remembers: what runs over its series in order
/// needs the last one only, several at once a few.
const CACHED_PAGE_BYTES_MAX: usize = 512 << 10;

/// An open block.
#[derive(Debug)]
pub(super) struct Opened {
    name: String,
    chunks: SharedFile,
    pub(super) page_refs: Vec<PageRef>,
    /// Pages read last, the newest at the end.
    pages: Mutex<Vec<(u32, Arc<Page>)>>,
    /// Lock order: `index`, then `cache`.
    index: Mutex<Connection>,
    cache: Mutex<Cache>,
    symbols: Vec<Box<str>>,
    pub(super) series: u32,
    is_cut: bool,
}

/// A series of a block.
#[derive(Clone, Debug)]
pub(crate) struct BlockSeries {
    /// Its labels.
    pub(crate) labels: Labels,
    pub(super) number: u32,
    pub(super) span: Span,
    pub(super) block: Arc<Opened>,
    pub(super) deleted: Option<Arc<Intervals>>,
}

impl Block {
    /// The block in `dir`; its index is looked into once, and made anew when it is lost, which
    /// is told.
    ///
    /// # Errors
    /// The name is no block's, the chunk file is missing or has nothing whole, or it is of a later
    /// version.
    pub(super) fn at(files: &SharedFiles, dir: &Path, damages: &mut Damages) -> Result<Self> {
        let block = match Self::whole(files, dir) {
            Err(Error::Damaged { .. } | Error::Io { .. } | Error::Sql { .. })
                if Self::name_of(dir).is_ok() && files.open(&dir.join("chunks")).is_ok() =>
            {
                damages.note(rebuild(files, dir)?);
                Self::whole(files, dir)?
            }
            other => other?,
        };
        block.set_tombstones(tombstone::load(files, dir, damages)?);
        Ok(block)
    }

    fn name_of(dir: &Path) -> Result<(String, (i64, i64))> {
        let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let times = parse_name(&name).ok_or_else(|| Error::Damaged {
            path: dir.to_owned(),
            what: "its name is not <min>-<max>-<id>".to_owned(),
        })?;
        Ok((name, times))
    }

    /// The block in `dir`, which is whole: a block that was just written.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn whole(files: &SharedFiles, dir: &Path) -> Result<Self> {
        let (name, (min, end)) = Self::name_of(dir)?;
        let (_, trailer) = open_chunks(&**files, &dir.join("chunks"))?;
        let path = dir.join("index.db");
        let index = files.open_read_only(&path).map_err(Error::io("open", &path))?;
        if index.byte_len().map_err(Error::io("read", &path))? != trailer.index_bytes {
            let what = "it is not as long as the chunk file says".to_owned();
            return Err(Error::Damaged { path, what });
        }
        let connection = index::open(&path).map_err(Error::sql("open", &path))?;
        let (found, facts) = index::read_facts(&connection).map_err(Error::sql("read", &path))?;
        if found > INDEX_VERSION {
            return Err(Error::Newer { path, found, known: INDEX_VERSION });
        }
        Ok(Self {
            name,
            min,
            end,
            byte_len: trailer.chunk_bytes + TRAILER_BYTES as u64 + trailer.index_bytes,
            index_bytes: trailer.index_bytes,
            facts,
            dir: dir.to_owned(),
            files: Arc::clone(files),
            opened: Mutex::new(None),
            tombstones: RwLock::default(),
            used: AtomicU64::new(0),
        })
    }

    /// As `whole`, with the checksum of the index.
    ///
    /// # Errors
    /// As `whole`.
    pub(super) fn verified(files: &SharedFiles, dir: &Path) -> Result<Self> {
        let block = Self::whole(files, dir)?;
        let (_, trailer) = open_chunks(&**files, &dir.join("chunks"))?;
        check_index(&**files, &dir.join("index.db"), trailer)?;
        Ok(block)
    }

    /// What the world may know of it.
    pub(crate) fn public_facts(&self) -> BlockFacts {
        BlockFacts {
            name: self.name.clone(),
            min: Timestamp::from_millis(self.min),
            end: Timestamp::from_millis(self.end),
            level: self.facts.level,
            series: self.facts.series,
            samples: self.facts.samples,
            chunk_bytes: self.byte_len - self.index_bytes,
            index_bytes: self.index_bytes,
        }
    }

    /// Whether it may have samples with `from <= ts <= to`.
    pub(crate) const fn overlaps(&self, from: i64, to: i64) -> bool {
        self.min <= to && self.end > from
    }

    /// Deletes samples in `from..=to` of series that match; how many series may have had any
    /// there.
    ///
    /// # Errors
    /// The block cannot be read, or its tombstones cannot be written; nothing is deleted.
    pub(super) fn delete(&self, from: i64, to: i64, matchers: &[Matcher]) -> Result<usize> {
        let unread =
            |err: SourceError| Error::Damaged { path: self.dir.clone(), what: err.to_string() };
        let found = self.select(from, to, matchers, usize::MAX).map_err(unread)?;
        if found.is_empty() {
            return Ok(0);
        }
        let mut stones = Tombstones::clone(&self.tombstones());
        for series in &found {
            let (from, to) = (from.max(series.span.min), to.min(series.span.max));
            bury(&mut stones, u64::from(series.number), from, to);
        }
        let id = self.name.rsplit_once('-').and_then(|(_, id)| u64::from_str_radix(id, 16).ok());
        tombstone::save(&self.files, &self.dir, id.unwrap_or_default(), &stones)?;
        self.set_tombstones(stones);
        Ok(found.len())
    }

    /// Whether samples were deleted from it that it still holds.
    pub(super) fn has_tombstones(&self) -> bool {
        !self.tombstones().is_empty()
    }

    /// What was deleted from it, by number of series.
    pub(super) fn tombstones(&self) -> Arc<Tombstones> {
        Arc::clone(&self.tombstones.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_tombstones(&self, stones: Tombstones) {
        *self.tombstones.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(stones);
    }

    /// Number of runs.
    pub(super) fn run_count(&self) -> u32 {
        u32::try_from(self.facts.series.div_ceil(u64::from(RUN_SERIES))).unwrap_or(u32::MAX)
    }

    /// Tells each pair of label name and value with its count of series.
    ///
    /// # Errors
    /// The block cannot be read.
    pub(crate) fn pairs(
        &self,
        tell: &mut dyn FnMut(&str, &str, u64),
    ) -> std::result::Result<(), SourceError> {
        let opened = self.open()?;
        let index = opened.index();
        let read = || {
            let mut statement = index.prepare("SELECT name, value, count FROM posting")?;
            let rows =
                statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            rows.collect::<rusqlite::Result<Vec<(u32, u32, u32)>>>()
        };
        let pairs = read().map_err(|err| opened.unreadable(&err))?;
        for (name, value, count) in pairs {
            tell(opened.text(name), opened.text(value), u64::from(count));
        }
        Ok(())
    }

    /// When it was last used; see `Blocks`.
    pub(super) fn last_used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Says that it is used now.
    pub(super) fn touch(&self, at: u64) {
        self.used.store(at, Ordering::Relaxed);
    }

    /// Whether its files are open.
    pub(super) fn is_open(&self) -> bool {
        self.lock().is_some()
    }

    /// Closes its files once those who read now are done.
    pub(super) fn close(&self) {
        *self.lock() = None;
    }

    /// Its directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn open(&self) -> std::result::Result<Arc<Opened>, SourceError> {
        let mut opened = self.lock();
        if let Some(opened) = &*opened {
            return Ok(Arc::clone(opened));
        }
        let made = match Opened::open(self) {
            Err(Error::Damaged { .. } | Error::Sql { .. }) => {
                // All that it says stands in the chunk file as well.
                rebuild(&self.files, &self.dir).and_then(|note| {
                    tracing::warn!(damage = note, "found damage");
                    Opened::open(self)
                })
            }
            other => other,
        };
        let made = made.map_err(|err| SourceError::Read(err.with_causes()))?;
        Ok(Arc::clone(opened.insert(Arc::new(made))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Opened>>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `<min>-<end>-<id>`; the times may be negative.
fn parse_name(name: &str) -> Option<(i64, i64)> {
    let (rest, id) = name.rsplit_once('-')?;
    u64::from_str_radix(id, 16).ok()?;
    let dash = rest.char_indices().skip(1).find(|(_, c)| *c == '-')?.0;
    let (min, end) = rest.split_at(dash);
    let (min, end) = (min.parse().ok()?, end.strip_prefix('-')?.parse().ok()?);
    (min < end).then_some((min, end))
}

fn open_chunks(files: &dyn Files, path: &Path) -> Result<(SharedFile, Trailer)> {
    let file = files.open_read_only(path).map_err(Error::io("open", path))?;
    let mut head = [0; FILE_HEAD];
    file.read_exact_at(&mut head, 0).map_err(Error::io("read", path))?;
    if !check_file_head(&head, MAGIC, VERSION, path)? {
        let what = "its head is damaged".to_owned();
        return Err(Error::Damaged { path: path.to_owned(), what });
    }
    let len = file.byte_len().map_err(Error::io("read", path))?;
    let mut trailer = [0; TRAILER_BYTES];
    let at = len.saturating_sub(TRAILER_BYTES as u64);
    file.read_exact_at(&mut trailer, at).map_err(Error::io("read", path))?;
    Ok((file, Trailer::decode(&trailer, path)?))
}

/// Checks the index against the checksum in the chunk file, since SQLite has none.
fn check_index(files: &dyn Files, path: &Path, trailer: Trailer) -> Result<()> {
    let bytes = files.read(path, INDEX_BYTES_MAX).map_err(Error::io("read", path))?;
    if crc32c::crc32c(&bytes) == trailer.index_crc {
        return Ok(());
    }
    let what = "its checksum is not the one in the chunk file".to_owned();
    Err(Error::Damaged { path: path.to_owned(), what })
}

impl Opened {
    /// Opens the files as they are.
    ///
    /// # Errors
    /// One is missing or damaged.
    pub(super) fn open(block: &Block) -> Result<Self> {
        let (chunks, trailer) = open_chunks(&*block.files, &block.dir.join("chunks"))?;
        let path = block.dir.join("index.db");
        check_index(&*block.files, &path, trailer)?;
        let connection = index::open(&path).map_err(Error::sql("open", &path))?;
        let symbols = read_symbols(&connection).map_err(Error::sql("read", &path))?;
        let page_refs = index::read_pages(&connection).map_err(Error::sql("read", &path))?;
        Ok(Self {
            name: block.name.clone(),
            chunks,
            page_refs,
            pages: Mutex::default(),
            index: Mutex::new(connection),
            cache: Mutex::default(),
            symbols,
            series: u32::try_from(block.facts.series).unwrap_or(u32::MAX),
            is_cut: block.facts.cut_end.is_some(),
        })
    }

    pub(super) fn text(&self, symbol: u32) -> &str {
        let at = usize::try_from(symbol).ok().and_then(|at| at.checked_sub(1));
        at.and_then(|at| self.symbols.get(at)).map_or("", |text| text)
    }

    pub(super) fn symbol(&self, text: &str) -> Option<u32> {
        let at = self.symbols.binary_search_by(|found| (**found).cmp(text)).ok()?;
        u32::try_from(at + 1).ok()
    }

    pub(super) fn index(&self) -> MutexGuard<'_, Connection> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn unreadable(&self, err: &rusqlite::Error) -> SourceError {
        SourceError::Read(format!("index of block {}: {err}", self.name))
    }

    pub(super) fn senseless(&self) -> SourceError {
        SourceError::Read(format!("index of block {} makes no sense", self.name))
    }
}

fn read_symbols(connection: &Connection) -> rusqlite::Result<Vec<Box<str>>> {
    let mut statement = connection.prepare("SELECT text FROM symbol ORDER BY id")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0).map(Into::into))?;
    rows.collect()
}

impl BlockSeries {
    /// Whether its block has samples that were cut from the head in order.
    pub(crate) fn is_cut(&self) -> bool {
        self.block.is_cut
    }

    /// Appends samples with `from <= ts <= to` to `out`; says what could not be read.
    pub(crate) fn read(&self, from: i64, to: i64, out: &mut Columns) -> Vec<String> {
        let mut warnings = Vec::new();
        let start = out.len();
        let mut known = Known::default();
        for page in self.span.page..=self.span.page.saturating_add(self.span.more_pages) {
            let (read, before) = (self.block.page(page), out.len());
            let read = read.and_then(|page| page.decode(self.number, from, to, out));
            known = out.known_from(start, known, before);
            if let Err(why) = read {
                warnings.push(format!(
                    "chunks of {} in block {} are missing: page {page}: {why}",
                    self.labels, self.block.name
                ));
            }
        }
        out.known = known;
        if let Some(deleted) = &self.deleted {
            deleted.strike(out, start);
            out.known = Known::default();
        }
        warnings
    }
}

impl Opened {
    /// A page, read and checked unless it was a moment ago.
    pub(super) fn page(&self, number: u32) -> std::result::Result<Arc<Page>, String> {
        if let Some(page) = self.cached_page(number) {
            return Ok(page);
        }
        let place = usize::try_from(number).ok().and_then(|at| self.page_refs.get(at));
        let place = place.ok_or("the index does not know it")?;
        let mut record = vec![0; usize::try_from(place.len).map_err(|err| err.to_string())?];
        self.chunks.read_exact_at(&mut record, place.offset).map_err(|err| err.to_string())?;
        let page = Arc::new(Page::read(&record, u64::from(number))?);
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.push((number, Arc::clone(&page)));
        let mut bytes = pages.iter().map(|(_, page)| page.byte_len()).sum::<usize>();
        while pages.len() > 1 && bytes > CACHED_PAGE_BYTES_MAX {
            bytes -= pages.remove(0).1.byte_len();
        }
        Ok(page)
    }

    fn cached_page(&self, number: u32) -> Option<Arc<Page>> {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let found = pages.iter().rev().find(|(cached, _)| *cached == number);
        found.map(|(_, page)| Arc::clone(page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_blocks_hold_their_times() {
        for (name, expected) in [
            ("0-7200000-00000000000000ff", Some((0, 7_200_000))),
            ("-7200000--1-ab", Some((-7_200_000, -1))),
            ("7-3-ab", None),
            ("tmp-0-1-ab", None),
            ("x", None),
        ] {
            assert_eq!(parse_name(name), expected, "{name}");
        }
    }
}
