//! Asks a file system for its room without waiting for one that is dead.
//!
//! `statfs` on a network file system whose server is gone, or on a disk that hangs, does not
//! return and cannot be interrupted. A helper thread makes the calls; when it does not answer in
//! time it is left behind, a new one takes over, and that mount is not asked again until the call
//! has come back. So at most one thread a dead mount waits, and an ordinary pass starts none.

use crate::sys::locks::lock;
use crate::sys::tasks;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long one mount may take. A healthy one needs microseconds, a slow server tens of
/// milliseconds.
const ANSWER_MAX: Duration = Duration::from_millis(500);

/// Room and inodes of a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Usage {
    /// Size.
    pub(super) size_bytes: f64,
    /// Free, with the share that is kept for root.
    pub(super) free_bytes: f64,
    /// Free for ordinary users.
    pub(super) avail_bytes: f64,
    /// Inodes.
    pub(super) files: f64,
    /// Free inodes.
    pub(super) files_free: f64,
}

type Statfs = Arc<dyn Fn(&Path) -> io::Result<Usage> + Send + Sync>;

/// Makes the calls; shared by all passes.
pub(super) struct Prober {
    statfs: Statfs,
    answer_max: Duration,
    /// Mounts with a call under way: at the start of a question those that hang.
    waiting: Arc<Mutex<BTreeSet<PathBuf>>>,
    helper: Mutex<Option<Sender<Job>>>,
}

struct Job {
    path: PathBuf,
    answer: Sender<io::Result<Usage>>,
}

impl Prober {
    /// A prober of this machine's file systems.
    pub(super) fn new() -> Self {
        Self::with(Arc::new(statfs), ANSWER_MAX)
    }

    /// The room of the file system at `path`; waits at most `wait_max`, and less if that is long.
    ///
    /// # Errors
    /// The call failed, did not come back in time, or an earlier one has still not come back.
    pub(super) fn usage(&self, path: &Path, wait_max: Duration) -> io::Result<Usage> {
        // Held while waiting, so that two passes do not take each other's helper away.
        let mut helper = lock(&self.helper);
        if wait_max.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "no time left to ask it"));
        }
        if !lock(&self.waiting).insert(path.to_owned()) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "an earlier call still hangs"));
        }
        let (answer, answered) = channel();
        let sent = self.send(&mut helper, Job { path: path.to_owned(), answer });
        if let Err(err) = sent {
            lock(&self.waiting).remove(path);
            return Err(err);
        }
        match answered.recv_timeout(wait_max.min(self.answer_max)) {
            Ok(usage) => usage,
            Err(RecvTimeoutError::Timeout) => {
                // Without its sender the helper ends as soon as its call comes back.
                *helper = None;
                Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"))
            }
            Err(RecvTimeoutError::Disconnected) => {
                *helper = None;
                lock(&self.waiting).remove(path);
                Err(io::Error::other("the helper thread ended"))
            }
        }
    }

    fn with(statfs: Statfs, answer_max: Duration) -> Self {
        let waiting = Arc::default();
        Self { statfs, answer_max, waiting, helper: Mutex::new(None) }
    }

    fn send(&self, helper: &mut Option<Sender<Job>>, job: Job) -> io::Result<()> {
        let jobs = match helper {
            Some(jobs) => jobs,
            None => {
                let (jobs, queue) = channel();
                let (statfs, waiting) = (Arc::clone(&self.statfs), Arc::clone(&self.waiting));
                tasks::spawn_thread("host-statfs", move || help(&queue, &statfs, &waiting))?;
                helper.insert(jobs)
            }
        };
        jobs.send(job).map_err(|_| {
            *helper = None;
            io::Error::other("the helper thread ended")
        })
    }
}

impl fmt::Debug for Prober {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prober").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

fn help(queue: &Receiver<Job>, statfs: &Statfs, waiting: &Mutex<BTreeSet<PathBuf>>) {
    for job in queue {
        let usage = statfs(&job.path);
        // Before the answer: whoever has it may ask again.
        lock(waiting).remove(&job.path);
        // A caller that no longer waits wants no answer.
        let _ = job.answer.send(usage);
    }
}

fn statfs(path: &Path) -> io::Result<Usage> {
    let found = rustix::fs::statfs(path)?;
    let block_bytes = found.f_bsize as f64;
    Ok(Usage {
        size_bytes: found.f_blocks as f64 * block_bytes,
        free_bytes: found.f_bfree as f64 * block_bytes,
        avail_bytes: found.f_bavail as f64 * block_bytes,
        files: found.f_files as f64,
        files_free: found.f_ffree as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_dead_mount_is_asked_once_and_the_others_go_on() {
        let (revive, dead) = channel::<()>();
        let (came_back, back) = channel::<()>();
        let (dead, calls) = (Mutex::new(dead), Arc::new(Mutex::new(0)));
        let counted = Arc::clone(&calls);
        let prober = Prober::with(
            Arc::new(move |path| {
                if path == Path::new("/dead") {
                    *counted.lock().expect("not poisoned") += 1;
                    let _ = dead.lock().expect("not poisoned").recv();
                    let _ = came_back.send(());
                }
                Ok(Usage::default())
            }),
            Duration::from_millis(20),
        );
        assert_eq!(prober.usage(Path::new("/a"), LONG).expect("answers"), Usage::default());
        let err = prober.usage(Path::new("/dead"), LONG).expect_err("hangs");
        assert_eq!(err.kind(), io::ErrorKind::TimedOut);
        assert!(prober.usage(Path::new("/b"), LONG).is_ok(), "a new helper takes over");
        assert!(prober.usage(Path::new("/dead"), LONG).is_err(), "still hangs");
        assert_eq!(*calls.lock().expect("not poisoned"), 1, "not asked again");

        drop(revive);
        back.recv_timeout(LONG).expect("the call comes back");
        while lock(&prober.waiting).contains(Path::new("/dead")) {
            std::thread::yield_now();
        }
        assert!(prober.usage(Path::new("/dead"), LONG).is_ok(), "asked again once it came back");
    }

    #[test]
    fn without_time_nothing_is_asked() {
        let prober = Prober::with(Arc::new(|_| panic!("asked")), LONG);
        let err = prober.usage(Path::new("/a"), Duration::ZERO).expect_err("no time");
        assert_eq!(err.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_missing_mount_is_an_error_of_its_own() {
        let err = Prober::new().usage(Path::new("/nonexistent"), LONG).expect_err("missing");
        assert_eq!(err.kind(), io::ErrorKind::NotFound);
    }
}
