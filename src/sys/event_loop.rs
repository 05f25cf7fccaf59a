//! One thread that runs tasks and waits for their sockets and deadlines with one system call.
//!
//! For tasks that mostly wait, as scraping is. A general runtime wakes such a thread for each
//! packet of an answer and for each level of its wheel of timers, and takes locks at every step.
//! Here a socket is listened to only while somebody waits for it, a deadline wakes once, and what
//! a task does with either stays on its thread and needs no lock.
//!
//! What tasks wait for elsewhere (channels, TLS, names, blocking work) is driven by the tokio
//! runtime that the loop is given, and wakes them from its threads.
//!
//! Source: epoll(7), epoll_ctl(2) (EPOLLONESHOT), eventfd(2).

use super::tasks;
use crate::sys::locks::lock;
use rustc_hash::FxHashMap;
use rustix::buffer::{Buffer, spare_capacity};
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;

/// Events that are taken from the system at once.
const EVENTS_MAX: usize = 64;
/// Reads and writes of a task until others have their turn: a fast sender must not keep a deadline
/// from passing.
const BUDGET: u32 = 64;
/// The longest wait, since old systems cannot count further than a month.
const WAIT_MAX: Duration = Duration::from_secs(3600);
/// The event of the bell that other threads ring; those of sockets are above.
const BELL: u64 = 0;

thread_local! {
    /// What tasks on this thread wait for, when it is a loop's.
    static HERE: RefCell<Option<Waiting>> = const { RefCell::new(None) };
}

/// A loop on a thread of its own; it ends some time after this is dropped, with all its tasks.
#[derive(Debug)]
pub struct EventLoop {
    shared: Arc<Shared>,
    last_task: AtomicU64,
}

impl EventLoop {
    /// A loop on a thread of this name. What its tasks need of tokio they find in `runtime`.
    ///
    /// # Errors
    /// The system has no room for another thread or file descriptor.
    pub fn start(name: &str, runtime: Handle) -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &bell, epoll::EventData::new_u64(BELL), epoll::EventFlags::IN)?;
        let shared = Arc::new(Shared { epoll, bell, messages: Mutex::default() });
        let here = Arc::clone(&shared);
        tasks::spawn_thread(name, move || {
            let _runtime = runtime.enter();
            HERE.set(Some(Waiting::new(Arc::clone(&here))));
            run(&here);
            HERE.set(None);
        })?;
        Ok(Self { shared, last_task: AtomicU64::new(0) })
    }

    /// Starts a named task. A panic is logged and counted, and ends only the task.
    pub fn spawn(&self, name: impl Into<String>, work: impl Future<Output = ()> + Send + 'static) {
        let id = self.last_task.fetch_add(1, Ordering::Relaxed);
        let work = tasks::told(name.into(), work);
        let work = Box::pin(async move {
            let _ = work.await;
        });
        self.shared.tell(Message::Start(id, work));
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        self.shared.tell(Message::Stop);
    }
}

/// What a loop's thread is told by others.
enum Message {
    Start(u64, Work),
    Wake(u64),
    Stop,
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What all threads may touch of a loop.
struct Shared {
    epoll: OwnedFd,
    bell: OwnedFd,
    messages: Mutex<Vec<Message>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("messages", &self.messages().len()).finish_non_exhaustive()
    }
}

impl Shared {
    fn tell(&self, message: Message) {
        let was_empty = {
            let mut messages = self.messages();
            messages.push(message);
            messages.len() == 1
        };
        if was_empty {
            // Fails only when it has rung 2^64 times and nobody came.
            let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        }
    }

    fn told(&self) -> Vec<Message> {
        // Silent before the messages are taken: who comes later rings again.
        let _ = rustix::io::read(&self.bell, &mut [0_u8; 8]);
        std::mem::take(&mut *self.messages())
    }

    fn messages(&self) -> MutexGuard<'_, Vec<Message>> {
        lock(&self.messages)
    }
}

/// What the tasks of a loop wait for; only its thread sees it.
#[derive(Debug)]
struct Waiting {
    shared: Arc<Shared>,
    /// Tasks to go on with.
    ready: VecDeque<u64>,
    deadlines: BTreeMap<(Instant, u64), Waker>,
    sockets: FxHashMap<u64, Waker>,
    last_id: u64,
    budget: u32,
}

impl Waiting {
    fn new(shared: Arc<Shared>) -> Self {
        let (ready, deadlines, sockets) = Default::default();
        Self { shared, ready, deadlines, sockets, last_id: BELL, budget: BUDGET }
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Whoever waits for a deadline that has passed.
    fn due(&mut self, now: Instant) -> Option<Waker> {
        let first = self.deadlines.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

/// Does something with what tasks on this thread wait for; `None` when it is no loop's.
fn here<T>(work: impl FnOnce(&mut Waiting) -> T) -> Option<T> {
    // The state is gone when a thread ends and its last values are dropped.
    HERE.try_with(|here| here.borrow_mut().as_mut().map(work)).ok().flatten()
}

/// Whether this is the thread of a loop.
pub(super) fn is_here() -> bool {
    here(|_| ()).is_some()
}

/// A task, by its number, to whoever wakes it.
struct Ticket {
    id: u64,
    is_ready: AtomicBool,
    shared: Arc<Shared>,
}

impl Wake for Ticket {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_ready.swap(true, Ordering::AcqRel) {
            return;
        }
        let is_near = here(|waiting| {
            let is_same = Arc::ptr_eq(&waiting.shared, &self.shared);
            if is_same {
                waiting.ready.push_back(self.id);
            }
            is_same
        });
        if is_near != Some(true) {
            self.shared.tell(Message::Wake(self.id));
        }
    }
}

struct Task {
    work: Work,
    ticket: Arc<Ticket>,
    waker: Waker,
}

/// Runs tasks until told to stop.
fn run(shared: &Arc<Shared>) {
    let mut tasks = FxHashMap::default();
    let mut events = Vec::with_capacity(EVENTS_MAX);
    loop {
        let now = now();
        while let Some(waker) = here(|waiting| waiting.due(now)).flatten() {
            waker.wake();
        }
        go_on(&mut tasks);
        events.clear();
        let wait = here(|waiting| patience(waiting)).unwrap_or_default();
        match epoll::wait(&shared.epoll, spare_capacity(&mut events), Some(&wait)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(err) => panic!("BUG: cannot wait for events: {err}"),
        }
        for event in &events {
            match event.data.u64() {
                BELL => {
                    if !heed(shared, &mut tasks) {
                        return;
                    }
                }
                id => {
                    if let Some(waker) = here(|waiting| waiting.sockets.remove(&id)).flatten() {
                        waker.wake();
                    }
                }
            }
        }
    }
}

/// Goes on with the tasks that are ready now; those that become so meanwhile come next time.
fn go_on(tasks: &mut FxHashMap<u64, Task>) {
    for _ in 0..here(|waiting| waiting.ready.len()).unwrap_or_default() {
        let next = here(|waiting| {
            waiting.budget = BUDGET;
            waiting.ready.pop_front()
        });
        let Some(id) = next.flatten() else { return };
        let Some(task) = tasks.get_mut(&id) else { continue };
        task.ticket.is_ready.store(false, Ordering::Release);
        if task.work.as_mut().poll(&mut Context::from_waker(&task.waker)).is_ready() {
            tasks.remove(&id);
        }
    }
}

/// Does as others have told; `false` to stop.
fn heed(shared: &Arc<Shared>, tasks: &mut FxHashMap<u64, Task>) -> bool {
    for message in shared.told() {
        let id = match message {
            Message::Stop => return false,
            Message::Wake(id) => id,
            Message::Start(id, work) => {
                let is_ready = AtomicBool::new(true);
                let ticket = Arc::new(Ticket { id, is_ready, shared: Arc::clone(shared) });
                let waker = Waker::from(Arc::clone(&ticket));
                tasks.insert(id, Task { work, ticket, waker });
                id
            }
        };
        here(|waiting| waiting.ready.push_back(id));
    }
    true
}

/// How long the loop may wait for an event.
fn patience(waiting: &Waiting) -> Timespec {
    let wait = match waiting.deadlines.first_key_value() {
        _ if !waiting.ready.is_empty() => Duration::ZERO,
        Some(((deadline, _), _)) => deadline.saturating_duration_since(now()).min(WAIT_MAX),
        None => WAIT_MAX,
    };
    Timespec::try_from(wait).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "deadlines are kept in the host's time")]
fn now() -> Instant {
    Instant::now()
}

/// Ends at `deadline`, on a loop's thread or any of tokio's.
pub(super) async fn sleep_until(deadline: Instant) {
    if is_here() {
        Alarm { deadline, id: None }.await;
    } else {
        tokio::time::sleep_until(deadline.into()).await;
    }
}

/// Ends after `span`, as `sleep_until`.
pub(super) async fn sleep(span: Duration) {
    match now().checked_add(span) {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// What `work` comes to, unless it takes longer than `span`.
pub(super) async fn within<F: Future>(span: Duration, work: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = work => Some(output),
        () = sleep(span) => None,
    }
}

/// A deadline that a task of this thread's loop waits for.
struct Alarm {
    deadline: Instant,
    /// Its number while it is waited for.
    id: Option<u64>,
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        let is_set = here(|waiting| match self.id {
            None => {
                let id = waiting.next_id();
                waiting.deadlines.insert((deadline, id), context.waker().clone());
                self.id = Some(id);
                true
            }
            Some(id) => {
                let waker = waiting.deadlines.get_mut(&(deadline, id));
                waker.map(|waker| waker.clone_from(context.waker())).is_some()
            }
        });
        if is_set == Some(true) { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            here(|waiting| waiting.deadlines.remove(&(self.deadline, id)));
        }
    }
}

/// A connected stream that the loop of its thread listens to; only tasks there can use it.
#[derive(Debug)]
pub(super) struct Socket {
    stream: OwnedFd,
    id: u64,
    shared: Arc<Shared>,
    is_known: bool,
    /// Something was sent: the answer is waited for before it is looked for.
    has_asked: bool,
    said_more: bool,
}

impl Socket {
    /// Takes over a stream that never blocks.
    ///
    /// # Errors
    /// This is no loop's thread.
    pub(super) fn new(stream: impl Into<OwnedFd>) -> io::Result<Self> {
        let found = here(|waiting| (waiting.next_id(), Arc::clone(&waiting.shared)));
        let (id, shared) = found.ok_or_else(|| io::Error::other("no event loop on this thread"))?;
        let (is_known, has_asked, said_more) = (false, false, false);
        Ok(Self { stream: stream.into(), id, shared, is_known, has_asked, said_more })
    }

    /// Whether it is open and says nothing, as it should between two answers, and can be used on
    /// this thread.
    pub(super) fn is_quiet(&self) -> bool {
        let is_near = here(|waiting| Arc::ptr_eq(&waiting.shared, &self.shared));
        let said = recv(&self.stream, &mut [0_u8], RecvFlags::empty());
        is_near == Some(true) && !self.said_more && matches!(said, Err(Errno::AGAIN))
    }

    /// Appends what has come to `out`, up to `want` bytes and what `out` has room for; answers how
    /// much that is, 0 at the end.
    pub(super) fn poll_append(
        &mut self,
        context: &Context<'_>,
        out: &mut Vec<u8>,
        want: usize,
    ) -> Poll<io::Result<usize>> {
        let len = out.len();
        let read = self.poll_recv(context, spare_capacity(out));
        read.map_ok(|count| {
            // More than was asked for: not what an idle connection says.
            self.said_more |= count > want;
            out.truncate(len + want);
            count.min(want)
        })
    }

    /// What was asked may be answered by now: the next read looks before it waits.
    pub(super) fn may_have_come(&mut self) {
        self.has_asked = false;
    }

    fn poll_recv<B: Buffer<u8>>(
        &mut self,
        context: &Context<'_>,
        out: B,
    ) -> Poll<io::Result<usize>> {
        if std::mem::take(&mut self.has_asked) {
            return self.listen(context, epoll::EventFlags::IN | epoll::EventFlags::RDHUP);
        }
        if is_others_turn(context) {
            return Poll::Pending;
        }
        match recv(&self.stream, out, RecvFlags::empty()) {
            Ok((_, count)) => Poll::Ready(Ok(count)),
            Err(Errno::AGAIN | Errno::INTR) => {
                self.listen(context, epoll::EventFlags::IN | epoll::EventFlags::RDHUP)
            }
            Err(err) => Poll::Ready(Err(err.into())),
        }
    }

    /// Wakes the task once at the next of these events.
    fn listen<T>(
        &mut self,
        context: &Context<'_>,
        events: epoll::EventFlags,
    ) -> Poll<io::Result<T>> {
        let events = events | epoll::EventFlags::ONESHOT;
        let data = epoll::EventData::new_u64(self.id);
        let epoll = &self.shared.epoll;
        let listens = if std::mem::replace(&mut self.is_known, true) {
            epoll::modify(epoll, &self.stream, data, events)
        } else {
            epoll::add(epoll, &self.stream, data, events)
        };
        if let Err(err) = listens {
            return Poll::Ready(Err(err.into()));
        }
        let waker = context.waker();
        match here(|waiting| waiting.sockets.insert(self.id, waker.clone())) {
            Some(_) => Poll::Pending,
            None => Poll::Ready(Err(io::Error::other("the connection belongs to another thread"))),
        }
    }
}

/// Whether the task has done much at once: then it is woken again after others.
fn is_others_turn(context: &Context<'_>) -> bool {
    let spent = here(|waiting| {
        waiting.budget = waiting.budget.saturating_sub(1);
        waiting.budget == 0
    });
    let is_spent = spent == Some(true);
    if is_spent {
        context.waker().wake_by_ref();
    }
    is_spent
}

impl Drop for Socket {
    fn drop(&mut self) {
        here(|waiting| waiting.sockets.remove(&self.id));
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.poll_recv(context, out.initialize_unfilled());
        read.map_ok(|count| out.advance(count))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if is_others_turn(context) {
            return Poll::Pending;
        }
        match send(&self.stream, bytes, SendFlags::NOSIGNAL) {
            Ok(count) => {
                // An answer takes longer than to look for it.
                self.has_asked = true;
                Poll::Ready(Ok(count))
            }
            Err(Errno::AGAIN | Errno::INTR) => self.listen(context, epoll::EventFlags::OUT),
            Err(err) => Poll::Ready(Err(err.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;
    use futures_util::stream::FuturesUnordered;
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot;

    const SOON: Duration = Duration::from_millis(1);
    const NEVER: Duration = Duration::from_secs(86_400);

    fn event_loop() -> (tokio::runtime::Runtime, EventLoop) {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("a thread");
        let own = EventLoop::start("loop", runtime.handle().clone()).expect("a thread");
        (runtime, own)
    }

    /// What `work` comes to on a loop.
    fn on_loop<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
        let (_runtime, own) = event_loop();
        let (done, ended) = mpsc::channel();
        own.spawn("test", async move {
            let _ = done.send(work.await);
        });
        ended.recv().expect("no panic")
    }

    fn pair() -> (UnixStream, UnixStream) {
        let (near, far) = UnixStream::pair().expect("a pair");
        near.set_nonblocking(true).expect("a socket");
        (near, far)
    }

    #[test]
    fn deadlines_pass_in_their_order_and_one_that_is_given_up_wakes_nobody() {
        let order = on_loop(async {
            assert!(within(SOON, sleep(NEVER)).await.is_none());
            let started = now();
            // Each is polled when it is woken.
            let all = [30, 1, 5].map(|count| async move {
                sleep_until(started + count * SOON).await;
                count
            });
            let order = all.into_iter().collect::<FuturesUnordered<_>>().collect::<Vec<_>>().await;
            assert_eq!(here(|waiting| waiting.deadlines.len()), Some(0));
            order
        });
        assert_eq!(order, [1, 5, 30]);
    }

    #[test]
    fn a_task_reads_what_comes_and_hears_of_the_end() {
        let (near, mut far) = pair();
        let (asked, came) = mpsc::channel();
        let peer = tasks::spawn_thread("peer", move || {
            let mut said = [0; 3];
            far.read_exact(&mut said).expect("reads");
            asked.send(said).expect("heard");
            far.write_all(b"answer").expect("writes");
        });
        let said = on_loop(async move {
            let mut socket = Socket::new(near).expect("on a loop");
            assert!(socket.is_quiet());
            socket.write_all(b"ask").await.expect("writes");
            let mut said = Vec::with_capacity(100);
            while std::future::poll_fn(|context| socket.poll_append(context, &mut said, 4))
                .await
                .expect("reads")
                > 0
            {}
            said
        });
        assert_eq!((came.recv(), &said[..4]), (Ok(*b"ask"), &b"answ"[..]));
        peer.expect("a thread").join().expect("ends");
    }

    #[test]
    fn more_than_was_asked_for_spoils_a_connection() {
        on_loop(async {
            let (near, mut far) = pair();
            let mut socket = Socket::new(near).expect("on a loop");
            far.write_all(b"answer").expect("writes");
            let mut said = Vec::with_capacity(100);
            let read = std::future::poll_fn(|context| socket.poll_append(context, &mut said, 4));
            assert_eq!(read.await.expect("reads"), 4);
            assert_eq!((&said[..], socket.is_quiet()), (&b"answ"[..], false));
        });
    }

    #[test]
    fn a_fast_sender_does_not_keep_a_deadline_from_passing() {
        let (near, mut far) = pair();
        let _sender =
            tasks::spawn_thread("sender", move || while far.write(&[b'x'; 64]).is_ok() {});
        on_loop(async move {
            let mut socket = Socket::new(near).expect("on a loop");
            let all = async { while socket.read(&mut [0]).await.is_ok_and(|count| count > 0) {} };
            assert!(within(20 * SOON, all).await.is_none());
        });
    }

    #[test]
    fn others_wake_tasks_and_a_panic_ends_only_its_own() {
        let (_runtime, own) = event_loop();
        let before = tasks::panics_total();
        own.spawn("panics", async { panic!("on purpose") });
        let (ask, asked) = oneshot::channel();
        let (done, ended) = mpsc::channel();
        own.spawn("waits", async move {
            let number: u32 = asked.await.expect("asked");
            let blocking = tokio::task::spawn_blocking(move || number + 1);
            let _ = done.send(blocking.await.expect("no panic"));
        });
        ask.send(1).expect("it waits");
        assert_eq!(ended.recv(), Ok(2));
        assert!(tasks::panics_total() > before);
    }

    #[test]
    fn a_loop_that_is_dropped_drops_its_tasks() {
        let (_runtime, own) = event_loop();
        let (held, gone) = oneshot::channel::<()>();
        own.spawn("waits", async move {
            sleep(NEVER).await;
            drop(held);
        });
        drop(own);
        assert!(gone.blocking_recv().is_err());
    }
}
