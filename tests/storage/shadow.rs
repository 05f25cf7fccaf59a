//! A file system that keeps two images of everything: the real directory is what was written, and
//! beside it stands what was synced. It takes crash images at its calls and fails when told to.
//!
//! SQLite writes past it; what it wrote counts as synced once the store syncs the file.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use watchbell::sys::entropy::Entropy as _;
use watchbell::sys::files::{
    DirEntry, File, FileLock, Files, LockError, SharedFile, Space, SystemFiles,
};
use watchbell::sys::sim::SeededEntropy;

/// Files of a directory by their path below it.
pub(crate) type Image = BTreeMap<PathBuf, Vec<u8>>;

/// How a crash came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The process died between two calls.
    Kill,
    /// The process died inside a write: the first part of it is there.
    TornWrite,
    /// The host died; the disk has what was synced and nothing else.
    PowerCut,
    /// The host died; of what was not synced the disk has some pages and not others.
    PowerCutMixed,
}

/// Told of each image, at the moment that it is taken.
pub(crate) type Witness = Arc<dyn Fn(Crash, Image) + Send + Sync>;

const PAGE: usize = 512;

#[derive(Clone, Debug, Default)]
struct Inode {
    synced: Vec<u8>,
    /// A sync failed: the system has dropped what it could not write.
    failed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Dir,
    File(usize),
}

struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, Node>,
    synced_names: BTreeMap<PathBuf, Node>,
    random: SeededEntropy,
    /// One call in so many leaves images; 0 for none.
    image_every: u64,
    /// One call in so many fails; 0 for none.
    fault_every: u64,
    faults: u64,
    syncs_failed: u64,
}

/// The file system below `root`. Clones share it.
#[derive(Clone)]
pub(crate) struct ShadowFiles {
    root: PathBuf,
    state: Arc<Mutex<State>>,
    witness: Witness,
}

impl std::fmt::Debug for ShadowFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ShadowFiles({})", self.root.display())
    }
}

impl State {
    fn one_in(&mut self, every: u64) -> bool {
        every > 0 && self.random.next_u64().is_multiple_of(every)
    }

    fn node(&mut self, path: &Path) -> usize {
        if let Some(Node::File(inode)) = self.names.get(path) {
            return *inode;
        }
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        self.names.insert(path.to_owned(), Node::File(inode));
        inode
    }
}

impl ShadowFiles {
    pub(crate) fn new(root: &Path, seed: u64, witness: Witness) -> Self {
        let state = State {
            inodes: Vec::new(),
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            random: SeededEntropy::new(seed),
            image_every: 0,
            fault_every: 0,
            faults: 0,
            syncs_failed: 0,
        };
        Self { root: root.to_owned(), state: Arc::new(Mutex::new(state)), witness }
    }

    /// Sets how often calls leave images and fail.
    pub(crate) fn set_odds(&self, image_every: u64, fault_every: u64) {
        let mut state = self.lock_state();
        (state.image_every, state.fault_every) = (image_every, fault_every);
    }

    /// Faults so far, and those among them that were failed syncs.
    pub(crate) fn faults(&self) -> (u64, u64) {
        let state = self.lock_state();
        (state.faults, state.syncs_failed)
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A call that changes something: takes images before it, or fails it.
    fn point(&self, verb: &str) -> io::Result<()> {
        let take = {
            let mut state = self.lock_state();
            let every = state.image_every;
            state.one_in(every)
        };
        if take {
            (self.witness)(Crash::Kill, self.written());
            (self.witness)(Crash::PowerCut, self.synced(false));
            (self.witness)(Crash::PowerCutMixed, self.synced(true));
        }
        let mut state = self.lock_state();
        let every = state.fault_every;
        if state.one_in(every) {
            state.faults += 1;
            let full = state.one_in(2);
            drop(state);
            return Err(if full {
                io::ErrorKind::StorageFull.into()
            } else {
                io::Error::other(format!("simulated I/O error at {verb}"))
            });
        }
        Ok(())
    }

    fn written(&self) -> Image {
        let mut image = Image::new();
        gather(&self.root, &self.root, &mut image);
        image
    }

    fn synced(&self, mixed: bool) -> Image {
        let mut state = self.lock_state();
        let kept = state.synced_names.clone();
        let reachable = |path: &Path| {
            let above = path.ancestors().skip(1).take_while(|above| *above != self.root);
            above.into_iter().all(|above| kept.contains_key(above))
        };
        let mut image = Image::new();
        for (path, node) in kept.iter().filter(|(path, _)| reachable(path)) {
            let Node::File(inode) = node else { continue };
            let synced = state.inodes[*inode].synced.clone();
            let now = state.names.iter().find(|(_, one)| *one == node).map(|(now, _)| now.clone());
            let bytes = match now.filter(|_| mixed) {
                Some(now) => mix(&synced, &std::fs::read(now).unwrap_or_default(), &mut state),
                None => synced,
            };
            image.insert(path.strip_prefix(&self.root).unwrap().to_owned(), bytes);
        }
        image
    }

    fn handle(&self, path: &Path, inner: SharedFile) -> SharedFile {
        let inode = self.lock_state().node(path);
        Arc::new(ShadowFile { files: self.clone(), inner, inode, path: path.to_owned() })
    }
}

/// What was synced, with some pages of what was written.
fn mix(synced: &[u8], written: &[u8], state: &mut State) -> Vec<u8> {
    let mut bytes = synced.to_vec();
    if state.one_in(2) {
        bytes.resize(written.len(), 0);
    }
    for (to, from) in bytes.chunks_mut(PAGE).zip(written.chunks(PAGE)) {
        if to.len() == from.len() && state.one_in(2) {
            to.copy_from_slice(from);
        }
    }
    bytes
}

fn gather(root: &Path, dir: &Path, image: &mut Image) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            gather(root, &path, image);
        } else if !name.starts_with("catalog.db") && name != "lock.watchbell" {
            let bytes = std::fs::read(&path).unwrap();
            image.insert(path.strip_prefix(root).unwrap().to_owned(), bytes);
        }
    }
}

#[derive(Debug)]
struct ShadowFile {
    files: ShadowFiles,
    inner: SharedFile,
    inode: usize,
    path: PathBuf,
}

impl File for ShadowFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(into, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let part = {
            let mut state = self.files.lock_state();
            let every = state.image_every;
            let part = usize::try_from(state.random.next_u64() % (bytes.len() as u64 + 1)).unwrap();
            state.one_in(every).then_some(part)
        };
        if let Some(part) = part {
            let mut image = self.files.written();
            let name = self.path.strip_prefix(&self.files.root).unwrap();
            if let Some(file) = image.get_mut(name) {
                let at = usize::try_from(offset).unwrap();
                file.resize(file.len().max(at + part), 0);
                file[at..at + part].copy_from_slice(&bytes[..part]);
            }
            (self.files.witness)(Crash::TornWrite, image);
        }
        if let Err(err) = self.files.point("write") {
            // A failed write may have left any part of it.
            let half = &bytes[..bytes.len() / 2];
            self.inner.write_all_at(half, offset)?;
            return Err(err);
        }
        self.inner.write_all_at(bytes, offset)
    }

    fn byte_len(&self) -> io::Result<u64> {
        self.inner.byte_len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.files.point("set length")?;
        self.inner.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.files.point("allocate")?;
        self.inner.allocate(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if let Err(err) = self.files.point("sync") {
            let mut state = self.files.lock_state();
            state.syncs_failed += 1;
            state.inodes[self.inode].failed = true;
            return Err(err);
        }
        let len = self.inner.byte_len()?;
        let mut bytes = vec![0; usize::try_from(len).unwrap()];
        self.inner.read_exact_at(&mut bytes, 0)?;
        let mut state = self.files.lock_state();
        let inode = &mut state.inodes[self.inode];
        if !inode.failed {
            inode.synced = bytes;
        }
        Ok(())
    }
}

impl Files for ShadowFiles {
    fn create(&self, path: &Path) -> io::Result<SharedFile> {
        self.point("create")?;
        let inner = SystemFiles.create(path)?;
        self.lock_state().names.remove(path);
        Ok(self.handle(path, inner))
    }

    fn open(&self, path: &Path) -> io::Result<SharedFile> {
        Ok(self.handle(path, SystemFiles.open(path)?))
    }

    fn open_read_only(&self, path: &Path) -> io::Result<SharedFile> {
        SystemFiles.open_read_only(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        SystemFiles.list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        SystemFiles.create_dir_all(dir)?;
        let mut state = self.lock_state();
        for above in dir.ancestors().take_while(|above| *above != self.root) {
            state.names.entry(above.to_owned()).or_insert(Node::Dir);
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.point("rename")?;
        SystemFiles.rename(from, to)?;
        let mut state = self.lock_state();
        let below = state.names.iter().filter(|(path, _)| path.starts_with(from));
        let moved: Vec<_> = below.map(|(path, node)| (path.clone(), *node)).collect();
        for (path, node) in moved {
            state.names.remove(&path);
            let rest = path.strip_prefix(from).unwrap();
            let new = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
            // What lies inside a renamed directory keeps its durability under the new name.
            if new != to && state.synced_names.get(&path) == Some(&node) {
                state.synced_names.insert(new.clone(), node);
            }
            state.names.insert(new, node);
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.point("remove")?;
        SystemFiles.remove(path)?;
        self.lock_state().names.remove(path);
        Ok(())
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.point("remove directory")?;
        SystemFiles.remove_dir_all(dir)?;
        self.lock_state().names.retain(|path, _| !path.starts_with(dir));
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.point("link")?;
        SystemFiles.hard_link(from, to)?;
        let mut state = self.lock_state();
        let inode = state.node(from);
        state.names.insert(to.to_owned(), Node::File(inode));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.point("sync directory")?;
        let mut state = self.lock_state();
        state.synced_names.retain(|path, _| path.parent() != Some(dir));
        let children = state.names.iter().filter(|(path, _)| path.parent() == Some(dir));
        let children: Vec<_> = children.map(|(path, node)| (path.clone(), *node)).collect();
        state.synced_names.extend(children);
        Ok(())
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        SystemFiles.space(dir)
    }

    fn lock(&self, path: &Path, pid: u32) -> Result<Box<dyn FileLock>, LockError> {
        SystemFiles.lock(path, pid)
    }
}

/// Puts an image into a directory.
pub(crate) fn restore(image: &Image, dir: &Path) {
    for (name, bytes) in image {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(&path).unwrap().write_all_at(bytes, 0).unwrap();
    }
}
