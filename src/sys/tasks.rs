//! Every task and thread starts here: it has a name, and its panic is told.

use crate::sys::locks::lock;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Panics of tasks and threads since the start.
pub fn panics_total() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Starts a named task on the current runtime. A panic is logged and counted, and ends only the
/// task.
pub fn spawn<F>(name: impl Into<String>, future: F) -> tokio::task::JoinHandle<Option<F::Output>>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    spawn_on(&tokio::runtime::Handle::current(), name, future)
}

/// As `spawn`, on this runtime.
#[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
pub fn spawn_on<F>(
    runtime: &tokio::runtime::Handle,
    name: impl Into<String>,
    future: F,
) -> tokio::task::JoinHandle<Option<F::Output>>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    runtime.spawn(told(name.into(), future))
}

/// What a named task on the current runtime comes to; `None` after a panic. The task ends when
/// nobody waits for it any more.
pub(super) async fn apart<F>(name: impl Into<String>, future: F) -> Option<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    struct Task<T>(tokio::task::JoinHandle<T>);
    impl<T> Drop for Task<T> {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let mut task = Task(spawn(name, future));
    (&mut task.0).await.ok().flatten()
}

/// The future of a task of this name. A panic is logged and counted, and yields `None`.
pub(super) async fn told<F: Future>(name: String, future: F) -> Option<F::Output> {
    use futures_util::FutureExt as _;
    let caught = std::panic::AssertUnwindSafe(future).catch_unwind().await;
    caught.map_err(|panic| report(&name, panic.as_ref())).ok()
}

/// Starts a named thread. A panic is logged and counted, and ends only the thread.
///
/// # Errors
/// The system has no room for another thread.
pub fn spawn_thread<T: Send + 'static>(
    name: impl Into<String>,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<Option<T>>> {
    let name = name.into();
    std::thread::Builder::new().name(name.clone()).spawn(move || guarded(&name, work))
}

/// Does one half of a work on a thread of this name and the other half here, at the same time. A
/// panic of either goes on here.
///
/// # Errors
/// The system has no room for another thread; neither half was begun.
pub fn beside<A: Send, B>(
    name: &str,
    there: impl FnOnce() -> A + Send,
    here: impl FnOnce() -> B,
) -> io::Result<(A, B)> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(name.to_owned());
        let other = thread.spawn_scoped(scope, there)?;
        let here = here();
        match other.join() {
            Ok(there) => Ok((there, here)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Does all `works`, here and, for each of `helpers`, on one more thread of this name. A helper is
/// dropped when its thread finds nothing left to do; where there is no room for its thread the
/// others do its part. The results are in the order of the works. A panic goes on here.
pub fn side_by_side<W, T, H>(name: &str, helpers: Vec<H>, works: Vec<W>) -> Vec<T>
where
    W: FnOnce() -> T + Send,
    T: Send,
    H: Send,
{
    let queue = Mutex::new(works.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    let work_off = || {
        loop {
            let next = lock(&queue).next();
            let Some((place, work)) = next else { return };
            let result = work();
            lock(&done).push((place, result));
        }
    };
    std::thread::scope(|scope| {
        let work_off = &work_off;
        for helper in helpers {
            let thread = std::thread::Builder::new().name(name.to_owned());
            let help = move || {
                let _until_the_end = helper;
                work_off();
            };
            drop(thread.spawn_scoped(scope, help));
        }
        work_off();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Does `work` here and now. A panic is logged and counted, and yields `None`.
pub fn guarded<T>(name: &str, work: impl FnOnce() -> T) -> Option<T> {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    caught.map_err(|panic| report(name, panic.as_ref())).ok()
}

/// A small runtime of its own, for callers that block until an answer is there.
#[derive(Debug)]
pub struct BlockingRuntime(Option<tokio::runtime::Runtime>);

impl BlockingRuntime {
    /// A runtime with one thread of this name.
    ///
    /// # Errors
    /// The system has no room for another thread.
    pub fn new(name: &str) -> io::Result<Self> {
        let built = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(name)
            .enable_all()
            .build()?;
        Ok(Self(Some(built)))
    }

    /// Waits for `future`. Only where blocking is allowed.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.0.as_ref().expect("the runtime lives until it is dropped").block_on(future)
    }
}

impl Drop for BlockingRuntime {
    /// Does not wait for what still runs: it may be dropped where blocking is not allowed.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn report(name: &str, panic: &(dyn std::any::Any + Send)) {
    PANICS.fetch_add(1, Ordering::Relaxed);
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(task = name, panic = text, "a task panicked");
}

/// Tells all parts to stop; clones share the state.
#[derive(Clone, Debug)]
pub struct Shutdown {
    sender: Arc<watch::Sender<bool>>,
    /// For threads: they wait without waking another one for their deadline.
    bell: Arc<(Mutex<()>, Condvar)>,
}

impl Shutdown {
    /// A shutdown that nobody has asked for yet.
    pub fn new() -> Self {
        Self { sender: Arc::new(watch::channel(false).0), bell: Arc::default() }
    }

    /// Asks all parts to stop.
    pub fn trigger(&self) {
        self.sender.send_replace(true);
        let (lock, bell) = &*self.bell;
        // Nobody is between looking and waiting then.
        drop(lock.lock());
        bell.notify_all();
    }

    /// Whether it was asked for.
    pub fn is_triggered(&self) -> bool {
        *self.sender.borrow()
    }

    /// Blocks until it is asked for, `span` at most; whether it was. Only on threads that may block.
    pub fn wait_for(&self, span: Duration) -> bool {
        let (mutex, bell) = &*self.bell;
        let held = lock(mutex);
        let waited = bell.wait_timeout_while(held, span, |()| !self.is_triggered());
        drop(waited);
        self.is_triggered()
    }

    /// Ends when it is asked for.
    pub async fn wait(&self) {
        let mut receiver = self.sender.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = receiver.wait_for(|asked| *asked).await;
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn works_go_on_side_by_side_and_their_results_stay_in_order() {
        let none: Vec<u8> = side_by_side("test", vec![(); 3], Vec::<fn() -> u8>::new());
        assert_eq!(none, [0; 0]);
        // Each waits for the other: one thread alone would never end.
        let both = Barrier::new(2);
        let work = |number: usize| {
            let both = &both;
            move || {
                if number < 2 {
                    both.wait();
                }
                number
            }
        };
        let done = side_by_side("test", vec![()], (0..9).map(work).collect());
        assert_eq!(done, (0..9).collect::<Vec<_>>());
        let alone = side_by_side("test", Vec::<()>::new(), (2..5).map(work).collect());
        assert_eq!(alone, [2, 3, 4]);
    }
}
