//! Room held back for the worst moment: a file that is given up when the disk is full, so that the
//! log's last record and the state of alerts still fit.

use crate::sys::files::SharedFiles;
use crate::sys::locks::lock;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

/// The file's length, unless it is set.
pub(super) const BALLAST_BYTES: u64 = 16 << 20;
/// With less than the file's length over this free, the disk is full: others write too, and state
/// may want as much at once.
const FULL_FRACTION: u64 = 4;
/// It is made again with so many times its length free, so that it does not fill the disk itself.
const ROOM_FACTOR: u64 = 4;

/// The file.
#[derive(Debug)]
pub(super) struct Ballast {
    files: SharedFiles,
    dir: PathBuf,
    bytes: u64,
    is_there: Mutex<bool>,
}

impl Ballast {
    /// The one in `dir`, of so many bytes; 0 for none.
    pub(super) fn new(files: SharedFiles, dir: &Path, bytes: u64) -> Self {
        let path = path_in(dir);
        let found = files.open_read_only(&path).and_then(|file| file.byte_len());
        let is_there = Mutex::new(found.is_ok());
        Self { files, dir: dir.to_owned(), bytes, is_there }
    }

    /// Gives it up when the disk is full, and makes it when there is room beside what is
    /// kept in `reserve`.
    pub(super) fn keep(&self, free: u64, reserve: u64) {
        if self.release_if_full(free) || self.bytes == 0 {
            return;
        }
        let mut is_there = self.lock();
        let enough = reserve.saturating_add(self.bytes.saturating_mul(ROOM_FACTOR));
        if *is_there || free < enough {
            return;
        }
        match self.make() {
            Ok(()) => *is_there = true,
            Err(err) => {
                // Half of it would only take room.
                let _ = self.files.remove(&path_in(&self.dir));
                tracing::warn!(%err, "no room could be held back for a full disk");
            }
        }
    }

    /// Gives it up when so few bytes are free that the disk is full; whether it did.
    pub(super) fn release_if_full(&self, free: u64) -> bool {
        let mut is_there = self.lock();
        if !*is_there || free >= self.bytes / FULL_FRACTION {
            return false;
        }
        match self.files.remove(&path_in(&self.dir)) {
            Ok(()) => {
                let freed = self.bytes;
                tracing::error!(freed, "the disk is full: the room held back is given up");
            }
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            Err(err) => {
                tracing::error!(%err, "the room held back cannot be given up");
                return false;
            }
        }
        *is_there = false;
        true
    }

    fn make(&self) -> io::Result<()> {
        let file = self.files.create(&path_in(&self.dir))?;
        file.allocate(self.bytes)?;
        file.sync_data()?;
        self.files.sync_dir(&self.dir)
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        lock(&self.is_there)
    }
}

fn path_in(dir: &Path) -> PathBuf {
    dir.join("ballast")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::files::Files as _;
    use crate::sys::sim_files::{Fault, SimFiles};
    use std::sync::Arc;

    const BYTES: u64 = 16 << 10;

    fn free(files: &SimFiles) -> u64 {
        files.space(Path::new("/d")).unwrap().free
    }

    fn setting() -> (SimFiles, Ballast) {
        let files = SimFiles::new();
        files.create_dir_all(Path::new("/d")).unwrap();
        files.set_capacity(Some(20 * BYTES));
        let ballast = Ballast::new(Arc::new(files.clone()), Path::new("/d"), BYTES);
        (files, ballast)
    }

    #[test]
    fn what_did_not_fit_fits_once_the_room_is_given_up_and_it_is_made_again_later() {
        let (files, ballast) = setting();
        ballast.keep(free(&files), 0);
        assert_eq!(free(&files), 19 * BYTES, "it takes its room");
        let others = files.create(Path::new("/d/others")).unwrap();
        others.allocate(free(&files)).unwrap();
        let state = files.create(Path::new("/d/state")).unwrap();
        assert!(state.write_all_at(&[1; 4096], 0).is_err(), "full");
        ballast.keep(free(&files), 0);
        state.write_all_at(&[1; 4096], 0).unwrap();
        ballast.keep(free(&files), 0);
        assert!(files.open(Path::new("/d/ballast")).is_err(), "not while there is no room");
        others.set_len(0).unwrap();
        ballast.keep(free(&files), 18 * BYTES);
        assert!(files.open(Path::new("/d/ballast")).is_err(), "not into the reserve");
        ballast.keep(free(&files), BYTES);
        let made = files.open(Path::new("/d/ballast")).unwrap();
        assert_eq!(made.byte_len().unwrap(), BYTES);
    }

    #[test]
    fn one_of_an_earlier_start_is_known_and_one_that_cannot_be_made_leaves_nothing() {
        let (files, ballast) = setting();
        files.fail_at(1, Fault::Full);
        ballast.keep(free(&files), 0);
        assert_eq!(free(&files), 20 * BYTES, "its allocation failed");
        ballast.keep(free(&files), 0);
        let again = Ballast::new(Arc::new(files.clone()), Path::new("/d"), BYTES);
        assert!(!again.release_if_full(BYTES), "there is room");
        assert!(again.release_if_full(0) && !again.release_if_full(0));
        assert_eq!(free(&files), 20 * BYTES);
    }
}
