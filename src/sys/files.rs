//! Files and directories, as one seam.
//!
//! Small on purpose, so that a test can keep two images of everything, written and synced
//! (`sim_files`). SQLite does its own I/O and is the one thing outside it.

use rustix::fs::FallocateFlags;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

/// An open file. Reads and writes name their place, so that a handle can be shared.
pub trait File: Send + Sync + fmt::Debug {
    /// Reads at `offset` into `into`; returns how much, less than asked only at the end.
    ///
    /// # Errors
    /// Those of the system.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`. After an error any part of them may be there.
    ///
    /// # Errors
    /// Those of the system.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Length in bytes.
    ///
    /// # Errors
    /// Those of the system.
    fn byte_len(&self) -> io::Result<u64>;

    /// Cuts or lengthens with zeros.
    ///
    /// # Errors
    /// Those of the system.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes room for `len` bytes, so that writing within them cannot run out of space. The
    /// file is at least that long afterwards; new bytes are zero.
    ///
    /// # Errors
    /// Those of the system.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Returns once everything written, and the length, is on the disk. After an error what was
    /// written since the last success may be lost, even if a later call succeeds.
    ///
    /// # Errors
    /// Those of the system.
    fn sync_data(&self) -> io::Result<()>;

    /// Fills `into` from `offset`.
    ///
    /// # Errors
    /// Those of the system; `UnexpectedEof` when the file is shorter.
    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        let wanted = into.len();
        let mut done = 0;
        while done < wanted {
            let rest = into.get_mut(done..).unwrap_or_default();
            let read = self.read_at(rest, offset.saturating_add(done as u64))?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            done += read;
        }
        Ok(())
    }
}

/// A file as parts hold it.
pub type SharedFile = Arc<dyn File>;

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The last part of the path; names that are not UTF-8 are left out of listings.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Length in bytes; 0 for a directory.
    pub byte_len: u64,
}

/// Room of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this process may still write.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("held by pid {pid}")]
    Held {
        /// That process, as it wrote itself into the file; 0 when it has not yet.
        pid: u32,
    },
    /// The lock file cannot be used.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A lock; released when dropped, or when the process ends in whatever way.
pub trait FileLock: Send + Sync + fmt::Debug {}

/// The file system.
pub trait Files: Send + Sync + fmt::Debug {
    /// Makes a new file, readable by the owner only, and opens it for reading and writing.
    ///
    /// # Errors
    /// Those of the system; `AlreadyExists` when there is one.
    fn create(&self, path: &Path) -> io::Result<SharedFile>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// Those of the system.
    fn open(&self, path: &Path) -> io::Result<SharedFile>;

    /// Opens an existing file for reading.
    ///
    /// # Errors
    /// Those of the system.
    fn open_read_only(&self, path: &Path) -> io::Result<SharedFile>;

    /// Names in a directory, sorted.
    ///
    /// # Errors
    /// Those of the system.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Makes a directory, open to the owner only, and those above it; fine if it is there.
    ///
    /// # Errors
    /// Those of the system.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Gives a file or directory another name, replacing a file of that name.
    ///
    /// # Errors
    /// Those of the system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Those of the system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and all in it.
    ///
    /// # Errors
    /// Those of the system.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Gives a file a second name.
    ///
    /// # Errors
    /// Those of the system.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Returns once the names in a directory are on the disk.
    ///
    /// # Errors
    /// Those of the system.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Room of the file system that holds `dir`.
    ///
    /// # Errors
    /// Those of the system.
    fn space(&self, dir: &Path) -> io::Result<Space>;

    /// Takes the lock file at `path` for the process `pid`, without waiting.
    ///
    /// # Errors
    /// See `LockError`.
    fn lock(&self, path: &Path, pid: u32) -> Result<Box<dyn FileLock>, LockError>;

    /// The whole of a file.
    ///
    /// # Errors
    /// Those of the system; `FileTooLarge` above `bytes_max`.
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        let file = self.open_read_only(path)?;
        let len = file.byte_len()?;
        if len > bytes_max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

/// The file system as parts hold it.
pub type SharedFiles = Arc<dyn Files>;

/// The host's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemFiles;

#[derive(Debug)]
struct SystemFile(fs::File);

impl File for SystemFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn byte_len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len) {
            Ok(()) => Ok(()),
            // Not every file system can; then space runs out at the write instead.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                if self.byte_len()? < len {
                    self.0.set_len(len)?;
                }
                Ok(())
            }
            Err(err) => Err(err.into()),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[derive(Debug)]
struct SystemLock {
    /// Closing it releases the lock.
    _file: fs::File,
}

impl FileLock for SystemLock {}

impl Files for SystemFiles {
    fn create(&self, path: &Path) -> io::Result<SharedFile> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        Ok(Arc::new(SystemFile(options.open(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<SharedFile> {
        Ok(Arc::new(SystemFile(fs::OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn open_read_only(&self, path: &Path) -> io::Result<SharedFile> {
        Ok(Arc::new(SystemFile(fs::File::open(path)?)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let about = match entry.metadata() {
                Ok(about) => about,
                // Removed between the listing and the look.
                Err(err) if err.kind() == io::ErrorKind::NotFound => continue,
                Err(err) => return Err(err),
            };
            let byte_len = if about.is_dir() { 0 } else { about.len() };
            entries.push(DirEntry { name, is_dir: about.is_dir(), byte_len });
        }
        entries.sort();
        Ok(entries)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir_all(dir)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        let found = rustix::fs::statvfs(dir)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Space { free: bytes(found.f_bavail), total: bytes(found.f_blocks) })
    }

    fn lock(&self, path: &Path, pid: u32) -> Result<Box<dyn FileLock>, LockError> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(LockError::Held { pid: pid_in(&file) });
            }
            Err(fs::TryLockError::Error(err)) => return Err(err.into()),
        }
        file.set_len(0)?;
        file.write_all_at(format!("{pid}\n").as_bytes(), 0)?;
        Ok(Box::new(SystemLock { _file: file }))
    }
}

fn pid_in(file: &fs::File) -> u32 {
    let mut text = [0; 16];
    let read = file.read_at(&mut text, 0).unwrap_or(0);
    let text = text.get(..read).unwrap_or_default();
    std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_names_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = SystemFiles.lock(&path, 4711).unwrap();
        match SystemFiles.lock(&path, 1) {
            Err(LockError::Held { pid }) => assert_eq!(pid, 4711),
            other => panic!("{other:?}"),
        }
        drop(held);
        SystemFiles.lock(&path, 1).unwrap();
    }

    #[test]
    fn allocated_bytes_read_as_zero_and_files_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let file = SystemFiles.create(&path).unwrap();
        file.allocate(4096).unwrap();
        file.write_all_at(b"xy", 10).unwrap();
        file.sync_data().unwrap();
        let bytes = SystemFiles.read(&path, 1 << 20).unwrap();
        assert_eq!((bytes.len(), &bytes[9..13]), (4096, &b"\0xy\0"[..]));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(SystemFiles.create(&path).is_err());
    }
}
