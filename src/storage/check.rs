//! Reading a stopped store whole, to find out whether it is: `watchbell fsck`.

use super::block;
use super::dir;
use super::error::{Error, Result};
use super::head;
use super::wal::frame::{FILE_HEAD, Found, Frames};
use crate::sys::files::SharedFiles;
use rusqlite::{Connection, OpenFlags};
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
    /// Records of a log, samples of a block; 0 for a database.
    pub items: u64,
    /// What is wrong with it, one sentence each.
    pub problems: Vec<String>,
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
    tell: &mut dyn FnMut(Checked),
) -> Result<()> {
    let dir = dir::resolve(&**files, named)?;
    if files.list(&dir).is_err() {
        let cause = std::io::ErrorKind::NotFound.into();
        return Err(Error::io("find a store in", &dir)(cause));
    }
    let _lock = dir::claim(&**files, &dir)?;
    for folder in ["wal", "head"] {
        let folder = dir.join(folder);
        let entries = files.list(&folder).unwrap_or_default();
        let last = entries.iter().rfind(|entry| entry.name.ends_with(".log"));
        // Chunks of the head are found by their series alone.
        let has_records = |name: &str| !name.ends_with(".chunks");
        for entry in entries.iter().filter(|entry| !entry.is_dir && has_records(&entry.name)) {
            let is_last = last.is_some_and(|last| last.name == entry.name);
            tell(check_records(files, &folder.join(&entry.name), is_last));
        }
    }
    tell(check_head(files, dir.join("head"))?);
    let blocks = dir.join("blocks");
    for entry in files.list(&blocks).unwrap_or_default() {
        let path = blocks.join(&entry.name);
        if entry.name.starts_with("tmp-") {
            continue;
        }
        let found = block::check(files, &path, repair)?;
        let (bytes, items, problems) = (found.bytes, found.samples, found.problems);
        tell(Checked { path, bytes, items, problems });
    }
    for name in ["catalog.db", "state.db"] {
        let path = dir.join(name);
        if path.exists() {
            tell(check_database(&path));
        }
    }
    Ok(())
}

/// The chunks of the head, by series.
fn check_head(files: &SharedFiles, path: PathBuf) -> Result<Checked> {
    let entries = files.list(&path).unwrap_or_default();
    if entries.is_empty() {
        return Ok(Checked { path, ..Checked::default() });
    }
    let (items, problems) = head::check(files, &path)?;
    let bytes = entries.iter().map(|entry| entry.byte_len).sum();
    Ok(Checked { path, bytes, items, problems })
}

fn check_records(files: &SharedFiles, path: &Path, is_last_segment: bool) -> Checked {
    let mut found = Checked { path: path.to_owned(), ..Checked::default() };
    let bytes = match files.read(path, FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(err) => {
            found.problems.push(format!("cannot be read: {err}"));
            return found;
        }
    };
    found.bytes = bytes.len() as u64;
    for part in Frames::new(&bytes, FILE_HEAD.min(bytes.len())) {
        match part {
            Found::Frame(..) => found.items += 1,
            Found::Damage(range) => found.problems.push(format!(
                "{} bytes at {} are damaged; records behind them are whole",
                range.len(),
                range.start
            )),
            Found::Tail(range) if is_last_segment => found.problems.push(format!(
                "it ends in a torn write of {} bytes at {}, which the next start cuts off",
                range.len(),
                range.start
            )),
            Found::Tail(range) => found.problems.push(format!(
                "its last {} bytes, from {}, are no record",
                range.len(),
                range.start
            )),
        }
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
        Ok(lines) => found.problems.extend(lines.into_iter().filter(|line| line != "ok")),
        Err(err) => found.problems.push(err.to_string()),
    }
    found
}
