//! Reading a stopped store whole, to find out whether it is: `watchbell fsck`.

use super::block;
use super::dir;
use super::error::{Error, Result};
use super::head;
use super::wal::frame::{FILE_HEAD, Found, Frames};
use crate::sys::files::SharedFiles;
use rusqlite::{Connection, OpenFlags};
use std::fmt;
use std::path::{Path, PathBuf};

/// A file of the head or the log larger than this is not ours.
const FILE_BYTES_MAX: u64 = 8 << 30;

/// What was found in one file, or in one block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The file, or the block's directory.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: u64,
    /// Records of a log.
    pub records: u64,
    /// Chunks of a block or the head.
    pub chunks: u64,
    /// Samples of a block or the head that were read.
    pub samples: u64,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// In which file, or which directory.
    pub file: PathBuf,
    /// At which byte, where that is known.
    pub offset: Option<u64>,
    /// What.
    pub text: String,
}

/// How far a check is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that were read.
    pub bytes: u64,
    /// Bytes of all files.
    pub bytes_all: u64,
}

/// What a check tells while it runs.
#[derive(Debug)]
pub enum Told {
    /// How far it is.
    Progress(Progress),
    /// A file that was read.
    File(Checked),
}

impl Problem {
    pub(super) fn new(file: &Path, offset: Option<u64>, text: impl Into<String>) -> Self {
        Self { file: file.to_owned(), offset, text: text.into() }
    }
}

/// `FILE:OFFSET: TEXT`
impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            Some(offset) => write!(out, "{}:{offset}: {}", self.file.display(), self.text),
            None => write!(out, "{}: {}", self.file.display(), self.text),
        }
    }
}

/// Reads everything in the store that the operator names `named`, and tells of each file. With
/// `repair`, lost indexes of blocks are made anew; the log mends itself when the store is opened.
/// The store must be stopped.
///
/// # Errors
/// Another process holds the store, or a directory cannot be read.
pub fn check(
    files: &SharedFiles,
    named: &Path,
    repair: bool,
    tell: &mut dyn FnMut(Told),
) -> Result<()> {
    let dir = dir::resolve(&**files, named)?;
    if files.list(&dir).is_err() {
        let cause = std::io::ErrorKind::NotFound.into();
        return Err(Error::io("find a store in", &dir)(cause));
    }
    let _lock = dir::claim(&**files, &dir)?;
    let blocks = dir.join("blocks");
    let block_dirs: Vec<PathBuf> = files
        .list(&blocks)
        .unwrap_or_default()
        .iter()
        .filter(|entry| !entry.name.starts_with("tmp-"))
        .map(|entry| blocks.join(&entry.name))
        .collect();
    let folders = ["wal", "head"].map(|folder| dir.join(folder));
    let all = folders.iter().chain(&block_dirs).map(|folder| bytes_in(files, folder)).sum();
    let mut progress = Progress { bytes: 0, bytes_all: all };
    for folder in folders {
        check_folder(files, &folder, tell)?;
        progress.bytes += bytes_in(files, &folder);
        tell(Told::Progress(progress));
    }
    for path in block_dirs {
        let bytes = bytes_in(files, &path);
        let found = block::check(files, &path, repair, &mut |part| {
            let bytes = progress.bytes + scaled(bytes, part);
            tell(Told::Progress(Progress { bytes, ..progress }));
        })?;
        progress.bytes += bytes;
        tell(Told::File(found));
    }
    for name in ["catalog.db", "state.db"] {
        let path = dir.join(name);
        if path.exists() {
            tell(Told::File(check_database(&path)));
        }
    }
    Ok(())
}

fn bytes_in(files: &SharedFiles, folder: &Path) -> u64 {
    files.list(folder).unwrap_or_default().iter().map(|entry| entry.byte_len).sum()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "for show")]
fn scaled(bytes: u64, part: f64) -> u64 {
    (bytes as f64 * part) as u64
}

/// The records of the log or the head; of the head its chunks too.
fn check_folder(files: &SharedFiles, folder: &Path, tell: &mut dyn FnMut(Told)) -> Result<()> {
    let entries = files.list(folder).unwrap_or_default();
    let last = entries.iter().rfind(|entry| entry.name.ends_with(".log"));
    // Chunks of the head are found by their series alone.
    let has_records = |name: &str| !name.ends_with(".chunks");
    for entry in entries.iter().filter(|entry| !entry.is_dir && has_records(&entry.name)) {
        let is_last = last.is_some_and(|last| last.name == entry.name);
        tell(Told::File(check_records(files, &folder.join(&entry.name), is_last)));
    }
    if folder.ends_with("head") && !entries.is_empty() {
        let (samples, chunks, notes) = head::check(files, folder)?;
        let is_chunks = |name: &str| name.ends_with(".chunks");
        let chunk_files = entries.iter().filter(|entry| is_chunks(&entry.name));
        let bytes = chunk_files.map(|entry| entry.byte_len).sum();
        let problems = notes.into_iter().map(|note| Problem::new(folder, None, note)).collect();
        let path = folder.to_owned();
        tell(Told::File(Checked { path, bytes, records: 0, chunks, samples, problems }));
    }
    Ok(())
}

fn check_records(files: &SharedFiles, path: &Path, is_last_segment: bool) -> Checked {
    let mut found = Checked { path: path.to_owned(), ..Checked::default() };
    let bytes = match files.read(path, FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(err) => {
            found.problems.push(Problem::new(path, None, format!("cannot be read: {err}")));
            return found;
        }
    };
    found.bytes = bytes.len() as u64;
    for part in Frames::new(&bytes, FILE_HEAD.min(bytes.len())) {
        let (range, what) = match part {
            Found::Frame(..) => {
                found.records += 1;
                continue;
            }
            Found::Damage(range) => (range, "are damaged; records behind them are whole"),
            Found::Tail(range) if is_last_segment => {
                (range, "are a torn write, which the next start cuts off")
            }
            Found::Tail(range) => (range, "up to its end are no record"),
        };
        let text = format!("{} bytes {what}", range.len());
        found.problems.push(Problem::new(path, Some(range.start as u64), text));
    }
    found
}

fn check_database(path: &Path) -> Checked {
    let mut found = Checked { path: path.to_owned(), ..Checked::default() };
    found.bytes = std::fs::metadata(path).map_or(0, |facts| facts.len());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let check = || {
        let connection = Connection::open_with_flags(path, flags)?;
        let mut statement = connection.prepare("PRAGMA quick_check(20)")?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.collect::<rusqlite::Result<Vec<String>>>()
    };
    match check() {
        Ok(lines) => {
            let lines = lines.into_iter().filter(|line| line != "ok");
            found.problems.extend(lines.map(|line| Problem::new(path, None, line)));
        }
        Err(err) => found.problems.push(Problem::new(path, None, err.to_string())),
    }
    found
}
