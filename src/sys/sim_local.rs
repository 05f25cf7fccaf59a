//! A scripted host: what commands come to, and a record of all that was done.

use super::local::{Append, Command, Ended, Local, LogSocket, Pending, Ran};
use crate::sys::locks::lock;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};

/// One thing that was done.
#[derive(Clone, Debug)]
pub enum Done {
    /// A command was run.
    Ran(Command),
    /// Messages were sent.
    Told(LogSocket, Vec<Vec<u8>>),
    /// A file got longer.
    Appended(Append),
    /// Lines went to standard output.
    Printed(Vec<u8>),
}

/// The twin of `SystemLocal`. Clones share the script.
#[derive(Clone, Debug, Default)]
pub struct ScriptedLocal {
    script: Arc<Mutex<Script>>,
}

#[derive(Debug, Default)]
struct Script {
    answers: VecDeque<Result<Ran, io::ErrorKind>>,
    done: Vec<Done>,
    variables: HashMap<String, String>,
}

impl ScriptedLocal {
    /// A host where all works.
    pub fn new() -> Self {
        Self::default()
    }

    /// What comes of the next thing that is done; the last one given repeats. Of a command all of
    /// it is told, of other things whether they work.
    pub fn answer(&self, ended: Ended, output: &str) {
        self.lock().answers.push_back(Ok(Ran { ended, output: output.into() }));
    }

    /// The failure of the next thing that is done.
    pub fn fail(&self, kind: io::ErrorKind) {
        self.lock().answers.push_back(Err(kind));
    }

    /// Sets a variable of the environment; there are none at first.
    pub fn set_variable(&self, name: &str, value: &str) {
        self.lock().variables.insert(name.to_owned(), value.to_owned());
    }

    /// All that was done so far.
    pub fn done(&self) -> Vec<Done> {
        self.lock().done.clone()
    }

    fn next(&self, done: Done) -> io::Result<Ran> {
        let mut script = self.lock();
        script.done.push(done);
        let answer = match script.answers.len() {
            0 | 1 => script.answers.front().cloned(),
            _ => script.answers.pop_front(),
        };
        let worked = || Ran { ended: Ended::Status(0), output: Vec::new() };
        answer.map_or_else(|| Ok(worked()), |answer| answer.map_err(io::Error::from))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Script> {
        lock(&self.script)
    }
}

impl Local for ScriptedLocal {
    fn run(&self, command: Command) -> Pending<'_, Ran> {
        let answer = self.next(Done::Ran(command));
        Box::pin(std::future::ready(answer))
    }

    fn tell(&self, to: LogSocket, messages: Vec<Vec<u8>>) -> Pending<'_, ()> {
        let answer = self.next(Done::Told(to, messages)).map(drop);
        Box::pin(std::future::ready(answer))
    }

    fn append(&self, append: Append) -> Pending<'_, ()> {
        let answer = self.next(Done::Appended(append)).map(drop);
        Box::pin(std::future::ready(answer))
    }

    fn print(&self, lines: Vec<u8>) -> Pending<'_, ()> {
        let answer = self.next(Done::Printed(lines)).map(drop);
        Box::pin(std::future::ready(answer))
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.lock().variables.get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn answers_come_in_order_and_the_last_one_stays() {
        let local = ScriptedLocal::new();
        let tell = || {
            let told = local.tell(LogSocket::Unix("/x".into()), Vec::new());
            told.now_or_never().expect("no waiting").is_ok()
        };
        assert!(tell());
        local.fail(io::ErrorKind::NotFound);
        local.answer(Ended::Status(0), "");
        assert_eq!((tell(), tell(), tell()), (false, true, true));
        assert_eq!(local.done().len(), 4);
    }
}
