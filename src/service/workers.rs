//! Threads for heavy queries: few, and of lower priority than all others, so that scrapes, rules
//! and small queries stay on time.

use crate::sys::locks::lock;
use crate::sys::{process, tasks};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How often a query that waits looks whether its client is still there.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Queries in the queue, with those that nobody waits for any more and that end at once when
/// their turn comes.
const QUEUE_MAX: usize = 1024;

type Job = Box<dyn FnOnce() + Send>;

/// Why a heavy query has no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotDone {
    /// As many queries as may are there.
    Full,
    /// It did not end in time.
    Late,
    /// Its client has gone.
    Canceled,
    /// It panicked.
    Broken,
}

/// The threads.
#[derive(Debug)]
pub(super) struct Workers {
    jobs: SyncSender<Job>,
    /// Queries that run or wait, of `admitted_max`.
    admitted: AtomicUsize,
    admitted_max: usize,
}

impl Workers {
    /// Starts so many threads, for at most `admitted_max` queries at a time.
    ///
    /// # Errors
    /// The system has no room for another thread.
    pub(super) fn start(threads: usize, admitted_max: usize) -> io::Result<Self> {
        let (jobs, waiting) = sync_channel::<Job>(QUEUE_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..threads.max(1) {
            let waiting = waiting.clone();
            tasks::spawn_thread(format!("query {number}"), move || work(&waiting))?;
        }
        Ok(Self { jobs, admitted: AtomicUsize::new(0), admitted_max })
    }

    /// Runs `work` when its turn comes, and waits for it, at most so long. When nobody waits any
    /// more `canceled` is set: that is how the work knows.
    ///
    /// # Errors
    /// See `NotDone`.
    pub(super) fn run<T: Send + 'static>(
        &self,
        patience: Duration,
        canceled: &AtomicBool,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotDone> {
        let _place = self.admit().ok_or(NotDone::Full)?;
        let (answer, answered) = sync_channel(1);
        let job = move || {
            // Nobody may be waiting any more.
            let _ = answer.send(work());
        };
        self.jobs.try_send(Box::new(job)).map_err(|_| NotDone::Full)?;
        let mut left = patience;
        while !left.is_zero() {
            let pause = left.min(LOOK_EVERY);
            match answered.recv_timeout(pause) {
                Ok(value) => return Ok(value),
                Err(RecvTimeoutError::Disconnected) => return Err(NotDone::Broken),
                Err(RecvTimeoutError::Timeout) if canceled.load(Ordering::Relaxed) => {
                    return Err(NotDone::Canceled);
                }
                Err(RecvTimeoutError::Timeout) => left -= pause,
            }
        }
        canceled.store(true, Ordering::Relaxed);
        Err(NotDone::Late)
    }

    /// Queries that run or wait.
    #[cfg(test)]
    pub(super) fn admitted(&self) -> usize {
        self.admitted.load(Ordering::Relaxed)
    }

    fn admit(&self) -> Option<Place<'_>> {
        let more = |admitted: usize| (admitted < self.admitted_max).then_some(admitted + 1);
        self.admitted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Place(self))
    }
}

/// The place of a query among those that are admitted.
struct Place<'a>(&'a Workers);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.admitted.fetch_sub(1, Ordering::Relaxed);
    }
}

fn work(waiting: &Mutex<Receiver<Job>>) {
    process::yield_to_other_threads();
    loop {
        // The one that waits holds the lock, and the others wait for that.
        let job = lock(waiting).recv();
        let Ok(job) = job else { return };
        tasks::guarded("query", job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Workers of which one is busy until the sender is dropped.
    fn with_one_busy(
        workers: &Arc<Workers>,
    ) -> (SyncSender<()>, std::thread::JoinHandle<Option<()>>) {
        let (release, released) = sync_channel::<()>(0);
        let (begin, began) = sync_channel(1);
        let workers = workers.clone();
        let waiter = tasks::spawn_thread("test", move || {
            let job = move || {
                begin.send(()).expect("the test waits");
                let _ = released.recv();
            };
            workers.run(LONG, &AtomicBool::new(false), job).expect("ends");
        });
        began.recv().expect("begins");
        (release, waiter.expect("starts"))
    }

    #[test]
    fn more_than_may_are_refused_at_once_and_places_come_back() {
        let workers = Arc::new(Workers::start(2, 1).expect("threads"));
        let never = AtomicBool::new(false);
        let (release, waiter) = with_one_busy(&workers);
        assert_eq!(workers.run(LONG, &never, || 1), Err(NotDone::Full));
        drop(release);
        waiter.join().expect("ends");
        assert_eq!(workers.run(LONG, &never, || 1), Ok(1));
    }

    #[test]
    fn who_waits_leaves_when_it_is_late_or_the_client_has_gone() {
        let workers = Arc::new(Workers::start(1, 9).expect("threads"));
        let (release, waiter) = with_one_busy(&workers);
        let canceled = AtomicBool::new(false);
        assert_eq!(workers.run(Duration::from_millis(1), &canceled, || 1), Err(NotDone::Late));
        assert!(canceled.load(Ordering::Relaxed), "the work is told");
        assert_eq!(workers.run(LONG, &canceled, || 1), Err(NotDone::Canceled));
        drop(release);
        waiter.join().expect("ends");
    }

    #[test]
    fn a_panic_ends_its_query_and_not_the_thread() {
        let workers = Workers::start(1, 9).expect("threads");
        let never = AtomicBool::new(false);
        let panics = || -> i32 { panic!("a test asked for it") };
        assert_eq!(workers.run(LONG, &never, panics), Err(NotDone::Broken));
        assert_eq!(workers.run(LONG, &never, || 1), Ok(1));
    }
}
