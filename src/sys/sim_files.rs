//! A simulated file system: it remembers what was written and what was synced, fails when told
//! to, and hands a test the image that a crash leaves.
//!
//! `after_kill` is what remains when the process dies: everything written. `after_power_cut` is
//! what remains when the host dies: file contents as of each file's last `sync_data`, names as of
//! each directory's last `sync_dir`. A real disk may keep more than that, never less.

use super::files::{DirEntry, File, FileLock, Files, LockError, SharedFile, Space};
use super::locks::lock;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// What goes wrong, once, at the n-th call of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A write, an allocation or a new file finds the disk full; nothing is written.
    Full,
    /// A write finds the disk full in the middle: half of the bytes are there.
    ShortWrite,
    /// A sync fails; what it should have synced is lost on a power cut whatever comes later.
    SyncFailed,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    written: Vec<u8>,
    synced: Vec<u8>,
    dirty: Vec<Range<usize>>,
    /// The length was changed since the last sync.
    resized: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Dir,
    File(usize),
}

#[derive(Clone, Debug, Default)]
struct Disk {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, Node>,
    synced_names: BTreeMap<PathBuf, Node>,
    locks: BTreeMap<PathBuf, u32>,
    capacity: Option<u64>,
    /// Calls that change something, counted from 0.
    changes: u64,
    syncs: u64,
    faults: BTreeSet<(u64, u8)>,
}

/// The simulated file system. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct SimFiles {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug)]
struct SimFile {
    disk: Arc<Mutex<Disk>>,
    inode: usize,
    writable: bool,
}

#[derive(Debug)]
struct SimLock {
    disk: Arc<Mutex<Disk>>,
    path: PathBuf,
}

impl SimFiles {
    /// An empty file system.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a killed process leaves behind.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let mut disk = self.lock_disk().clone();
        disk.calm();
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    /// What a power cut leaves behind, at the least.
    #[must_use]
    pub fn after_power_cut(&self) -> Self {
        let mut disk = self.lock_disk().clone();
        for inode in &mut disk.inodes {
            inode.written.clone_from(&inode.synced);
            inode.dirty.clear();
            inode.resized = false;
        }
        let kept = disk.synced_names.clone();
        let reachable = |path: &Path| {
            path.ancestors()
                .skip(1)
                .all(|above| above.parent().is_none() || kept.contains_key(above))
        };
        disk.names = kept
            .iter()
            .filter(|(path, _)| reachable(path))
            .map(|(path, node)| (path.clone(), *node))
            .collect();
        disk.synced_names.clone_from(&disk.names);
        disk.calm();
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    /// Lets the `nth` call from now on that `fault` can strike (0 is the next) fail.
    pub fn fail_at(&self, nth: u64, fault: Fault) {
        let mut disk = self.lock_disk();
        let (at, code) = match fault {
            Fault::Full => (disk.changes + nth, 0),
            Fault::ShortWrite => (disk.changes + nth, 1),
            Fault::SyncFailed => (disk.syncs + nth, 2),
        };
        disk.faults.insert((at, code));
    }

    /// Sets the size of the disk; `None` for endless.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock_disk().capacity = bytes;
    }

    /// Calls so far that changed something.
    pub fn changes(&self) -> u64 {
        self.lock_disk().changes
    }

    /// Replaces what a file holds, synced, as a bad disk or an operator would.
    ///
    /// # Panics
    /// There is no such file: the test is wrong.
    pub fn overwrite(&self, path: &Path, bytes: &[u8]) {
        let mut disk = self.lock_disk();
        let Some(Node::File(inode)) = disk.names.get(path).copied() else {
            panic!("BUG: no file {}", path.display());
        };
        if let Some(inode) = disk.inodes.get_mut(inode) {
            inode.written = bytes.to_vec();
            inode.synced = bytes.to_vec();
            inode.dirty.clear();
        }
    }

    fn lock_disk(&self) -> MutexGuard<'_, Disk> {
        lock(&self.disk)
    }

    fn handle(&self, path: &Path, writable: bool) -> io::Result<SharedFile> {
        match self.lock_disk().names.get(path) {
            Some(Node::File(inode)) => {
                let disk = Arc::clone(&self.disk);
                Ok(Arc::new(SimFile { disk, inode: *inode, writable }))
            }
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn full() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

impl Disk {
    fn calm(&mut self) {
        self.faults.clear();
        self.locks.clear();
        self.changes = 0;
        self.syncs = 0;
    }

    fn used(&self) -> u64 {
        let files = self.names.values().filter_map(|node| match node {
            Node::File(inode) => self.inodes.get(*inode),
            Node::Dir => None,
        });
        files.map(|inode| inode.written.len() as u64).sum()
    }

    /// Counts a change that needs `more` bytes; `Ok(true)` asks for a short write.
    fn change(&mut self, more: u64) -> io::Result<bool> {
        let at = self.changes;
        self.changes += 1;
        if self.faults.remove(&(at, 0)) {
            return Err(full());
        }
        if self.capacity.is_some_and(|capacity| more > 0 && self.used() + more > capacity) {
            return Err(full());
        }
        Ok(self.faults.remove(&(at, 1)))
    }

    fn children(&self, dir: &Path) -> Vec<(PathBuf, Node)> {
        let below = self.names.iter().filter(|(path, _)| path.parent() == Some(dir));
        below.map(|(path, node)| (path.clone(), *node)).collect()
    }

    fn has_dir(&self, dir: &Path) -> bool {
        dir.parent().is_none() || self.names.get(dir) == Some(&Node::Dir)
    }

    fn inode(&mut self, at: usize) -> &mut Inode {
        self.inodes.get_mut(at).expect("inodes are never taken away")
    }
}

impl Inode {
    fn write(&mut self, bytes: &[u8], at: usize) {
        let end = at + bytes.len();
        if self.written.len() < end {
            self.written.resize(end, 0);
            self.resized = true;
        }
        if let Some(place) = self.written.get_mut(at..end) {
            place.copy_from_slice(bytes);
        }
        self.dirty.push(at..end);
    }

    fn sync(&mut self) {
        if self.resized {
            self.synced.resize(self.written.len(), 0);
        }
        for range in std::mem::take(&mut self.dirty) {
            let end = range.end.min(self.written.len());
            let range = range.start.min(end)..end;
            if let (Some(to), Some(from)) =
                (self.synced.get_mut(range.clone()), self.written.get(range))
            {
                to.copy_from_slice(from);
            }
        }
        self.resized = false;
    }
}

fn place(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(io::Error::other)
}

impl SimFile {
    fn check_writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}

impl File for SimFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut disk = lock(&self.disk);
        let from = disk.inode(self.inode).written.get(place(offset)?..).unwrap_or_default();
        let count = from.len().min(into.len());
        for (to, from) in into.iter_mut().zip(from) {
            *to = *from;
        }
        Ok(count)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        let at = place(offset)?;
        let mut disk = lock(&self.disk);
        let len = disk.inode(self.inode).written.len();
        let more = (at + bytes.len()).saturating_sub(len) as u64;
        if disk.change(more)? {
            let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
            disk.inode(self.inode).write(half, at);
            return Err(full());
        }
        disk.inode(self.inode).write(bytes, at);
        Ok(())
    }

    fn byte_len(&self) -> io::Result<u64> {
        Ok(lock(&self.disk).inode(self.inode).written.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut disk = lock(&self.disk);
        disk.change(0)?;
        let inode = disk.inode(self.inode);
        inode.written.resize(place(len)?, 0);
        inode.resized = true;
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut disk = lock(&self.disk);
        let more = len.saturating_sub(disk.inode(self.inode).written.len() as u64);
        disk.change(more)?;
        let inode = disk.inode(self.inode);
        let len = place(len)?.max(inode.written.len());
        inode.written.resize(len, 0);
        inode.resized = true;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = lock(&self.disk);
        let at = disk.syncs;
        disk.syncs += 1;
        if disk.faults.remove(&(at, 2)) {
            let inode = disk.inode(self.inode);
            inode.dirty.clear();
            return Err(io::Error::other("simulated I/O error at sync"));
        }
        disk.inode(self.inode).sync();
        Ok(())
    }
}

impl FileLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        lock(&self.disk).locks.remove(&self.path);
    }
}

impl Files for SimFiles {
    fn create(&self, path: &Path) -> io::Result<SharedFile> {
        let mut disk = self.lock_disk();
        disk.change(0)?;
        if disk.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !path.parent().is_some_and(|dir| disk.has_dir(dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inode = disk.inodes.len();
        disk.inodes.push(Inode::default());
        disk.names.insert(path.to_owned(), Node::File(inode));
        Ok(Arc::new(SimFile { disk: Arc::clone(&self.disk), inode, writable: true }))
    }

    fn open(&self, path: &Path) -> io::Result<SharedFile> {
        self.handle(path, true)
    }

    fn open_read_only(&self, path: &Path) -> io::Result<SharedFile> {
        self.handle(path, false)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let disk = self.lock_disk();
        if !disk.has_dir(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut entries = Vec::new();
        for (path, node) in disk.children(dir) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let byte_len = match node {
                Node::Dir => 0,
                Node::File(inode) => {
                    disk.inodes.get(inode).map_or(0, |inode| inode.written.len() as u64)
                }
            };
            entries.push(DirEntry { name, is_dir: node == Node::Dir, byte_len });
        }
        Ok(entries)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.lock_disk();
        for above in dir.ancestors().filter(|path| path.parent().is_some()) {
            disk.names.entry(above.to_owned()).or_insert(Node::Dir);
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.lock_disk();
        disk.change(0)?;
        let moved: Vec<_> = disk
            .names
            .iter()
            .filter(|(path, _)| path.starts_with(from))
            .map(|(path, node)| (path.clone(), *node))
            .collect();
        if moved.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        for (path, node) in moved {
            disk.names.remove(&path);
            let rest = path.strip_prefix(from).unwrap_or(Path::new(""));
            let new = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
            // What lies inside a renamed directory keeps its durability under the new name.
            if new != to && disk.synced_names.get(&path) == Some(&node) {
                disk.synced_names.insert(new.clone(), node);
            }
            disk.names.insert(new, node);
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match self.lock_disk().names.remove(path) {
            Some(_) => Ok(()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.lock_disk().names.retain(|path, _| !path.starts_with(dir));
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.lock_disk();
        disk.change(0)?;
        let node = *disk.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        disk.names.insert(to.to_owned(), node);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.lock_disk();
        disk.synced_names.retain(|path, _| path.parent() != Some(dir));
        for (path, node) in disk.children(dir) {
            disk.synced_names.insert(path, node);
        }
        Ok(())
    }

    fn space(&self, _dir: &Path) -> io::Result<Space> {
        let disk = self.lock_disk();
        let total = disk.capacity.unwrap_or(1 << 40);
        Ok(Space { free: total.saturating_sub(disk.used()), total })
    }

    fn lock(&self, path: &Path, pid: u32) -> Result<Box<dyn FileLock>, LockError> {
        let mut disk = self.lock_disk();
        if let Some(holder) = disk.locks.get(path) {
            return Err(LockError::Held { pid: *holder });
        }
        disk.locks.insert(path.to_owned(), pid);
        Ok(Box::new(SimLock { disk: Arc::clone(&self.disk), path: path.to_owned() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir() -> (SimFiles, PathBuf) {
        let files = SimFiles::new();
        let dir = PathBuf::from("/d");
        files.create_dir_all(&dir).unwrap();
        files.sync_dir(Path::new("/")).unwrap();
        (files, dir)
    }

    #[test]
    fn a_power_cut_keeps_what_was_synced_and_a_kill_what_was_written() {
        let (files, dir) = dir();
        let file = files.create(&dir.join("a")).unwrap();
        file.write_all_at(b"one", 0).unwrap();
        file.sync_data().unwrap();
        assert!(files.after_power_cut().read(&dir.join("a"), 99).is_err(), "name was not synced");
        files.sync_dir(&dir).unwrap();
        file.write_all_at(b"two", 3).unwrap();
        assert_eq!(files.after_power_cut().read(&dir.join("a"), 99).unwrap(), b"one");
        assert_eq!(files.after_kill().read(&dir.join("a"), 99).unwrap(), b"onetwo");
    }

    #[test]
    fn a_failed_sync_loses_its_bytes_for_good() {
        let (files, dir) = dir();
        let file = files.create(&dir.join("a")).unwrap();
        files.sync_dir(&dir).unwrap();
        file.write_all_at(b"one", 0).unwrap();
        files.fail_at(0, Fault::SyncFailed);
        assert!(file.sync_data().is_err());
        file.write_all_at(b"two", 3).unwrap();
        file.sync_data().unwrap();
        assert_eq!(files.after_power_cut().read(&dir.join("a"), 99).unwrap(), b"\0\0\0two");
    }

    #[test]
    fn a_full_disk_refuses_and_a_short_write_leaves_half() {
        let (files, dir) = dir();
        let file = files.create(&dir.join("a")).unwrap();
        files.set_capacity(Some(4));
        assert!(file.write_all_at(b"12345", 0).is_err());
        file.write_all_at(b"1234", 0).unwrap();
        files.set_capacity(None);
        files.fail_at(0, Fault::ShortWrite);
        assert!(file.write_all_at(b"abcd", 4).is_err());
        assert_eq!(files.read(&dir.join("a"), 99).unwrap(), b"1234ab");
    }
}
