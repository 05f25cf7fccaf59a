//! The data directory: whose it is, and that nobody else works in it.

use super::error::{Error, Result};
use crate::sys::files::{FileLock, Files, LockError};
use std::io;
use std::path::{Path, PathBuf};

/// Where ours goes inside a directory that holds a Prometheus TSDB.
const OURS: &str = "watchbell";

/// The directory that is used when the operator names `dir`: that one, or `watchbell/` inside it
/// when it holds the data of a Prometheus, which is never written into.
///
/// # Errors
/// The directory cannot be read.
pub fn resolve(files: &dyn Files, dir: &Path) -> Result<PathBuf> {
    let entries = match files.list(dir) {
        Ok(entries) => entries,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(dir.to_owned()),
        Err(err) => return Err(Error::io("list", dir)(err)),
    };
    let ours = |name: &str| matches!(name, "lock.watchbell" | "state.db" | "blocks");
    if entries.iter().any(|entry| ours(&entry.name)) {
        return Ok(dir.to_owned());
    }
    let foreign_block =
        |name: &str| name.len() == 26 && name.bytes().all(|b| b.is_ascii_alphanumeric());
    let foreign_wal = || {
        let segments = files.list(&dir.join("wal")).unwrap_or_default();
        segments.iter().any(|entry| !entry.name.ends_with(".log"))
    };
    let foreign = entries.iter().any(|entry| {
        entry.is_dir
            && (entry.name == "chunks_head"
                || foreign_block(&entry.name)
                || (entry.name == "wal" && foreign_wal()))
    });
    Ok(if foreign { dir.join(OURS) } else { dir.to_owned() })
}

/// Makes the directory and takes its lock for this process.
///
/// # Errors
/// Another process holds it, or it cannot be made.
pub(super) fn claim(files: &dyn Files, dir: &Path) -> Result<Box<dyn FileLock>> {
    files.create_dir_all(dir).map_err(Error::io("create directory", dir))?;
    let path = dir.join("lock.watchbell");
    files.lock(&path, std::process::id()).map_err(|err| match err {
        LockError::Held { pid } => Error::Held { dir: dir.to_owned(), pid },
        LockError::Io(cause) => Error::io("lock", &path)(cause),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::sim_files::SimFiles;

    #[track_caller]
    fn check(made: &[&str], expected: &str) {
        let files = SimFiles::new();
        files.create_dir_all(Path::new("/d")).unwrap();
        for path in made {
            let path = Path::new("/d").join(path);
            files.create_dir_all(path.parent().unwrap()).unwrap();
            files.create(&path).unwrap();
        }
        assert_eq!(resolve(&files, Path::new("/d")).unwrap(), Path::new(expected), "{made:?}");
    }

    #[test]
    fn a_prometheus_folder_is_never_written_into() {
        check(&[], "/d");
        check(&["wal/0000000001.log", "head/x"], "/d");
        check(&["wal/00000001"], "/d/watchbell");
        check(&["chunks_head/000001"], "/d/watchbell");
        check(&["01BKGV7JBM69T2G1BGBGM6KB12/meta.json"], "/d/watchbell");
        check(&["wal/00000001", "state.db"], "/d");
    }

    #[test]
    fn a_second_process_is_refused_by_the_holders_pid() {
        let files = SimFiles::new();
        let held = claim(&files, Path::new("/d")).unwrap();
        let text = claim(&files, Path::new("/d")).unwrap_err().to_string();
        assert!(text.contains(&format!("held by pid {}", std::process::id())), "{text}");
        drop(held);
        claim(&files, Path::new("/d")).unwrap();
    }
}
