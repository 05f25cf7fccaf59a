//! The screens without a terminal: driven by names of keys, read as text.
//!
//! `watchbell tui --once` prints one screen so, and the tests drive whole sessions.

use super::backend;
use super::keys::Key;
use super::model::Model;
use super::options::{Exit, Options, ScreenName};
use super::screens;
use super::source::{self, ANSWER_TIMEOUT, Request, Slot};
use super::update::{Effect, Msg, update};
use crate::wire::{Call, Core};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use std::collections::VecDeque;
use std::sync::Arc;

/// Answers in a row after which a session counts as settled: each round asks for the next.
const ANSWERS_MAX: usize = 200;

/// The screens over a core, on a picture instead of a terminal. Effects are performed at once and
/// on the caller's thread.
#[derive(Debug)]
pub struct Session {
    core: Arc<dyn Core>,
    model: Model,
    open: VecDeque<(Slot, u64, Request)>,
    copied: Vec<String>,
    bells: usize,
    exit: Option<Exit>,
}

impl Session {
    /// Starts the screens in a picture of this size and waits for the first answers.
    pub fn new(core: Arc<dyn Core>, options: Options, width: u16, height: u16) -> Self {
        let model = Model::new(options, (width, height));
        let open = VecDeque::new();
        let mut session = Self { core, model, open, copied: Vec::new(), bells: 0, exit: None };
        session.apply(Msg::Start);
        session.settle();
        session
    }

    /// Presses keys, by their names with spaces between; answers arrive after each.
    ///
    /// # Panics
    /// A name is no key's: the caller's script is wrong.
    pub fn keys(&mut self, script: &str) {
        for name in script.split_whitespace() {
            let key = Key::parse(name).unwrap_or_else(|| panic!("BUG: no key {name:?}"));
            self.press(key);
            self.settle();
        }
    }

    /// Presses one key; nothing is answered.
    pub fn press(&mut self, key: Key) {
        self.apply(Msg::Key(key));
    }

    /// Pastes text.
    pub fn paste(&mut self, text: &str) {
        self.apply(Msg::Paste(text.to_owned()));
        self.settle();
    }

    /// Changes the size of the picture.
    pub fn resize(&mut self, width: u16, height: u16) {
        self.apply(Msg::Resize(width, height));
    }

    /// Lets the screens notice that time has passed.
    pub fn tick(&mut self) {
        self.apply(Msg::Tick);
        self.settle();
    }

    /// Answers the question for changes, as a server does that has some.
    pub fn notice(&mut self) {
        let watch = self.open.iter().position(|(slot, ..)| *slot == Slot::Watch);
        if let Some((slot, generation, request)) = watch.and_then(|at| self.open.remove(at)) {
            self.answer(slot, generation, request);
            self.settle();
        }
    }

    /// Answers all questions but that for changes.
    pub fn settle(&mut self) {
        for _ in 0..ANSWERS_MAX {
            let next = self.open.iter().position(|(slot, ..)| *slot != Slot::Watch);
            let Some((slot, generation, request)) = next.and_then(|at| self.open.remove(at)) else {
                return;
            };
            self.answer(slot, generation, request);
        }
    }

    /// Answers the oldest open question, if there is one.
    pub fn answer_one(&mut self) {
        if let Some((slot, generation, request)) = self.open.pop_front() {
            self.answer(slot, generation, request);
        }
    }

    /// The picture.
    pub fn picture(&self) -> Buffer {
        let (width, height) = self.model.size;
        let mut buf = Buffer::empty(Rect::new(0, 0, width, height));
        screens::draw(&self.model, &mut buf);
        buf
    }

    /// The picture as text, without blanks at the ends of lines.
    pub fn text(&self) -> String {
        let mut picture = self.picture();
        for cell in &mut picture.content {
            cell.set_style(Style::reset());
        }
        backend::lines(&picture)
    }

    /// Texts that were copied.
    pub fn copied(&self) -> &[String] {
        &self.copied
    }

    /// How often the bell rang.
    pub fn bells(&self) -> usize {
        self.bells
    }

    /// How the user left, when he did.
    pub fn exit(&self) -> Option<Exit> {
        self.exit
    }

    /// How long nothing changes by itself.
    pub fn idle_for(&self) -> std::time::Duration {
        self.model.next_change().saturating_sub(self.model.elapsed)
    }

    fn answer(&mut self, slot: Slot, generation: u64, request: Request) {
        let call = Call::with_timeout(ANSWER_TIMEOUT);
        let outcome = source::ask(self.core.as_ref(), &call, request);
        self.apply(Msg::Answer(slot, generation, outcome));
    }

    fn apply(&mut self, msg: Msg) {
        for effect in update(&mut self.model, msg) {
            match effect {
                Effect::Ask(slot, generation, request) => {
                    self.open.push_back((slot, generation, request));
                }
                Effect::Copy(text) => self.copied.push(text),
                Effect::Bell => self.bells += 1,
                Effect::Quit(exit) => self.exit = Some(exit),
                Effect::Repaint | Effect::Suspend => {}
            }
        }
    }
}

/// One screen as text, with the data of now.
pub fn once(
    core: Arc<dyn Core>,
    screen: ScreenName,
    width: u16,
    height: u16,
    options: Options,
) -> String {
    let mut options = options;
    options.screen = Some(screen);
    let mut session = Session::new(core, options, width, height);
    session.press(Key::Char(screen.number()));
    session.settle();
    session.text()
}
