//! The loop: keys, answers, signals and the clock in; effects and frames out.
//!
//! All messages that wait are applied before one frame is drawn. A key is drawn at once; data
//! alone at most thirty times a second, and less often while the terminal is slow to take frames.

use super::backend::LeanBackend;
use super::error::Error;
use super::keys::Key;
use super::model::Model;
use super::options::{Exit, Options};
use super::screens;
use super::source::{Outcome, Slot, Source};
use super::term::{self, Guard};
use super::update::{Effect, Msg, update};
use crate::sys::clock::SharedClock;
use crate::sys::tasks;
use crate::wire::Core;
use crossterm::event::{Event, EventStream};
use futures_util::StreamExt as _;
use ratatui::Terminal;
use ratatui::layout::Size;
use std::io::{self, Stdout};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{self, Receiver};

/// Between two frames that only data asks for.
const FRAME_GAP: Duration = Duration::from_millis(33);

/// The same while the terminal is slow.
const SLOW_FRAME_GAP: Duration = Duration::from_millis(500);

/// A terminal that takes longer for a frame is slow.
const SLOW_FRAME: Duration = Duration::from_millis(100);

/// Answers that wait for the loop; a worker with one more waits, and asks nothing meanwhile.
const ANSWERS_MAX: usize = 256;

/// Runs the screens on a thread of their own.
pub(crate) fn run(core: Arc<dyn Core>, options: Options) -> Result<Exit, Error> {
    let name = "tui";
    let started = tasks::spawn_thread(name, move || run_here(core, options));
    let thread = started.map_err(|source| Error::Thread { name, source })?;
    match thread.join() {
        Ok(Some(exit)) => exit,
        Ok(None) | Err(_) => Err(Error::Panicked),
    }
}

fn run_here(core: Arc<dyn Core>, options: Options) -> Result<Exit, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| Error::Terminal { action: "wait for", source })?;
    let guard = Guard::enter()?;
    let exit = runtime.block_on(Loop::start(&core, options, guard)?.run());
    // A worker that still waits for the server must not hold up the end.
    runtime.shutdown_background();
    exit
}

/// Signals that end the screens, and those that suspend them.
struct Signals {
    end: [Signal; 3],
    suspend: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let tstp = SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw());
        Ok(Self {
            end: [
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
                signal(SignalKind::interrupt())?,
            ],
            suspend: signal(tstp)?,
        })
    }

    /// The next signal: true ends, false suspends.
    async fn next(&mut self) -> bool {
        let [terminate, hangup, interrupt] = &mut self.end;
        tokio::select! {
            _ = terminate.recv() => true,
            _ = hangup.recv() => true,
            _ = interrupt.recv() => true,
            _ = self.suspend.recv() => false,
        }
    }
}

struct Loop {
    model: Model,
    source: Source,
    answers: Receiver<(Slot, u64, Outcome)>,
    terminal: Terminal<LeanBackend<Stdout>>,
    guard: Guard,
    clock: SharedClock,
    /// `None` while the terminal is given back.
    events: Option<EventStream>,
    /// Whether something may have changed since the last frame, and whether by a key.
    dirty: bool,
    by_key: bool,
    drawn_at: Duration,
    slow: bool,
    exit: Option<Exit>,
}

impl Loop {
    fn start(core: &Arc<dyn Core>, options: Options, guard: Guard) -> Result<Self, Error> {
        let (sender, answers) = mpsc::channel(ANSWERS_MAX);
        let deliver = move |slot, generation, outcome| {
            sender.blocking_send((slot, generation, outcome)).is_ok()
        };
        let source = Source::start(core, Arc::new(deliver))?;
        let (width, height) = crossterm::terminal::size().unwrap_or((80, 24));
        let clock = Arc::clone(&options.clock);
        let size = Size::new(width, height);
        let terminal = Terminal::new(LeanBackend::new(io::stdout(), size));
        let terminal = terminal.map_err(|source| Error::Terminal { action: "draw on", source })?;
        Ok(Self {
            model: Model::new(options, (width, height)),
            source,
            answers,
            terminal,
            guard,
            clock,
            events: Some(EventStream::new()),
            dirty: true,
            by_key: true,
            drawn_at: Duration::ZERO,
            slow: false,
            exit: None,
        })
    }

    async fn run(mut self) -> Result<Exit, Error> {
        let signals = Signals::new();
        let mut signals = signals.map_err(|source| Error::Terminal { action: "watch", source })?;
        // The first frame stands before the first question is asked.
        self.draw()?;
        self.apply(Msg::Start)?;
        loop {
            self.wait(&mut signals).await?;
            self.drain().await?;
            if let Some(exit) = self.exit {
                return Ok(exit);
            }
            let due = self.drawn_at + self.frame_gap();
            if self.dirty && (self.by_key || self.clock.elapsed() >= due) {
                self.draw()?;
            }
        }
    }

    fn frame_gap(&self) -> Duration {
        if self.slow { SLOW_FRAME_GAP } else { FRAME_GAP }
    }

    /// Waits for something to happen and applies it.
    async fn wait(&mut self, signals: &mut Signals) -> Result<(), Error> {
        let mut deadline = self.model.next_change();
        let frame_due = self.drawn_at + self.frame_gap();
        if self.dirty {
            deadline = deadline.min(frame_due);
        }
        let sleep = self.clock.sleep_until(deadline);
        let events = self.events.get_or_insert_with(EventStream::new);
        tokio::select! {
            biased;
            end = signals.next() => {
                if end {
                    let both = self.model.options.in_process;
                    self.exit = Some(if both { Exit::StopServer } else { Exit::Leave });
                } else {
                    self.suspend()?;
                }
            }
            event = events.next() => match event {
                Some(Ok(event)) => self.on_event(event)?,
                // The terminal is gone: end as if it had hung up.
                Some(Err(_)) | None => self.exit = Some(Exit::Leave),
            },
            answer = self.answers.recv() => {
                if let Some((slot, generation, outcome)) = answer {
                    self.apply(Msg::Answer(slot, generation, outcome))?;
                }
            }
            () = sleep => {
                if self.model.next_change() <= self.clock.elapsed() {
                    self.apply(Msg::Tick)?;
                }
            }
        }
        Ok(())
    }

    /// Applies what else has arrived, keys first.
    async fn drain(&mut self) -> Result<(), Error> {
        while self.exit.is_none() {
            let Some(events) = self.events.as_mut() else { break };
            // Polled with the loop's own waker: the stream remembers the first that it is given.
            let next = std::future::poll_fn(|ctx| match events.poll_next_unpin(ctx) {
                Poll::Ready(event) => Poll::Ready(event),
                Poll::Pending => Poll::Ready(None),
            });
            match next.await {
                Some(Ok(event)) => self.on_event(event)?,
                Some(Err(_)) | None => break,
            }
        }
        for _ in 0..ANSWERS_MAX {
            let Ok((slot, generation, outcome)) = self.answers.try_recv() else { break };
            self.apply(Msg::Answer(slot, generation, outcome))?;
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Key(key) => match Key::of_event(&key) {
                Some(key) => {
                    self.by_key = true;
                    self.apply(Msg::Key(key))
                }
                None => Ok(()),
            },
            Event::Paste(text) => {
                self.by_key = true;
                self.apply(Msg::Paste(text))
            }
            Event::Resize(width, height) => {
                self.by_key = true;
                self.resize(width, height)
            }
            Event::FocusGained | Event::FocusLost | Event::Mouse(_) => Ok(()),
        }
    }

    fn resize(&mut self, width: u16, height: u16) -> Result<(), Error> {
        self.terminal.backend_mut().set_size(Size::new(width, height));
        self.apply(Msg::Resize(width, height))
    }

    fn apply(&mut self, msg: Msg) -> Result<(), Error> {
        self.dirty = true;
        for effect in update(&mut self.model, msg) {
            match effect {
                Effect::Ask(slot, generation, request) => {
                    if let Some(refused) = self.source.send(slot, generation, request) {
                        self.apply(Msg::Answer(slot, generation, refused))?;
                    }
                }
                Effect::Copy(text) => self.send(&term::copy_code(&text))?,
                Effect::Bell => self.send("\x07")?,
                Effect::Repaint => self.repaint()?,
                Effect::Suspend => self.suspend()?,
                Effect::Quit(exit) => self.exit = Some(exit),
            }
        }
        Ok(())
    }

    fn send(&mut self, text: &str) -> Result<(), Error> {
        let sent = self.terminal.backend_mut().send(text);
        sent.map_err(|source| Error::Terminal { action: "write to", source })
    }

    fn repaint(&mut self) -> Result<(), Error> {
        self.by_key = true;
        self.dirty = true;
        let cleared = self.terminal.clear();
        cleared.map_err(|source| Error::Terminal { action: "clear", source })
    }

    /// Gives the terminal back, stops the process group, and takes the terminal again when
    /// continued.
    fn suspend(&mut self) -> Result<(), Error> {
        // Dropping the stream is what stops reading keys.
        self.events = None;
        self.guard.release();
        let stopped = rustix::process::kill_current_process_group(rustix::process::Signal::STOP);
        self.guard.take_again()?;
        self.events = Some(EventStream::new());
        if stopped.is_err() {
            self.model.complain("the system does not suspend this process");
        }
        if let Ok((width, height)) = crossterm::terminal::size() {
            self.resize(width, height)?;
        }
        self.repaint()?;
        self.apply(Msg::Tick)
    }

    fn draw(&mut self) -> Result<(), Error> {
        let began = self.clock.elapsed();
        self.model.read_clock();
        let model = &self.model;
        let drawn = self.terminal.draw(|frame| screens::draw(model, frame.buffer_mut()));
        drawn.map_err(|source| Error::Terminal { action: "draw on", source })?;
        self.drawn_at = self.clock.elapsed();
        self.slow = self.drawn_at.saturating_sub(began) > SLOW_FRAME;
        self.dirty = false;
        self.by_key = false;
        Ok(())
    }
}
