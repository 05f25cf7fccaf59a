//! Group sync: one `fdatasync` serves all commits written before it.

use crate::storage::error::{Error, Result};
use crate::sys::files::SharedFile;
use crate::sys::locks::lock;
use crate::sys::tasks;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What is written and what is synced; shared by the writer, the sync thread and those who wait.
#[derive(Debug, Default)]
pub(crate) struct Syncer {
    /// Lock order: `running`, then `queue`.
    running: Mutex<()>,
    queue: Mutex<Queue>,
    wake: Condvar,
    synced: AtomicU64,
    /// A sync failed: the active segment must not be written to again.
    failed: AtomicBool,
    /// Syncs that failed: what they should have synced may be on no disk until a checkpoint that
    /// begins later is there.
    failures: AtomicU64,
    /// Those of them that a checkpoint has made good.
    made_good: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    /// Files with unsynced writes, oldest first; the active segment is among them.
    files: Vec<SharedFile>,
    written: u64,
    /// The thread waits for a first write, and not for the time to be over.
    is_idle: bool,
    stop: bool,
}

impl Syncer {
    /// Tells that all up to `seq` is written, the last of it to `file`.
    pub(crate) fn wrote(&self, file: &SharedFile, seq: u64) {
        let mut queue = self.lock();
        queue.written = seq;
        // To wake the thread for each commit would cost as much as the commit's write.
        let is_idle = std::mem::take(&mut queue.is_idle);
        if !queue.files.iter().any(|one| Arc::ptr_eq(one, file)) {
            queue.files.push(Arc::clone(file));
        }
        drop(queue);
        if is_idle {
            self.wake.notify_one();
        }
    }

    /// Sets where the sequence begins.
    pub(crate) fn start_at(&self, seq: u64) {
        self.lock().written = seq;
        self.synced.store(seq, Ordering::Release);
    }

    /// A process before this one was killed: whether a sync had failed by then is unknown, and
    /// another sync of the same pages would not tell. A checkpoint is due.
    pub(crate) fn doubt(&self) {
        self.failures.fetch_add(1, Ordering::AcqRel);
    }

    /// Returns once all up to `seq` is on the disk.
    ///
    /// # Errors
    /// The disk refuses; what was written since the last sync may be lost on a power cut.
    pub(crate) fn sync_to(&self, seq: u64) -> std::io::Result<()> {
        let _one_at_a_time = lock(&self.running);
        if self.synced.load(Ordering::Acquire) >= seq {
            return Ok(());
        }
        let (files, written) = {
            let mut queue = self.lock();
            (std::mem::take(&mut queue.files), queue.written)
        };
        for file in files {
            if let Err(err) = file.sync_data() {
                self.failed.store(true, Ordering::Release);
                self.failures.fetch_add(1, Ordering::AcqRel);
                return Err(err);
            }
        }
        self.synced.store(written, Ordering::Release);
        Ok(())
    }

    /// Syncs whatever is written.
    ///
    /// # Errors
    /// As `sync_to`.
    pub(crate) fn sync_all(&self) -> std::io::Result<()> {
        let written = self.lock().written;
        self.sync_to(written)
    }

    /// Whether a sync has failed since the last call.
    pub(crate) fn take_failed(&self) -> bool {
        self.failed.swap(false, Ordering::AcqRel)
    }

    /// Whether a checkpoint has to make good for a failed sync.
    pub(crate) fn checkpoint_due(&self) -> bool {
        self.failures() > self.made_good.load(Ordering::Acquire)
    }

    /// Syncs that have failed so far.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Acquire)
    }

    /// A checkpoint was made that began after so many failures.
    pub(crate) fn checkpoint_done(&self, failures: u64) {
        self.made_good.fetch_max(failures, Ordering::AcqRel);
    }

    /// Starts the thread that syncs `every` so often while there is something to sync.
    ///
    /// # Errors
    /// The system has no room for a thread.
    pub(crate) fn start(self: &Arc<Self>, every: Duration) -> Result<JoinHandle<Option<()>>> {
        let syncer = Arc::clone(self);
        tasks::spawn_thread("wal-sync", move || syncer.run(every)).map_err(Error::Thread)
    }

    /// Ends the thread after a last sync.
    pub(crate) fn stop(&self) {
        self.lock().stop = true;
        self.wake.notify_all();
    }

    fn run(&self, every: Duration) {
        loop {
            // Others join the group until the time is over.
            let waited = self.wake.wait_timeout_while(self.lock(), every, |queue| !queue.stop);
            let mut queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            if queue.files.is_empty() && !queue.stop {
                queue.is_idle = true;
                let idle = |queue: &mut Queue| queue.is_idle && !queue.stop;
                let woken = self.wake.wait_while(queue, idle);
                drop(woken);
                continue;
            }
            let stop = queue.stop;
            drop(queue);
            if let Err(err) = self.sync_all() {
                tracing::error!(error = %err, "cannot sync the log");
            }
            if stop {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }
}
