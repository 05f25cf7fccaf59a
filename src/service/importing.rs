//! Imports into the running store: text that comes in parts and is taken as one.
//!
//! A thread reads the parts as they come and keeps what it read where nobody sees it; only behind
//! the last part is it written as blocks. So a request's limit bounds memory and not the length
//! of an import, and one that breaks off leaves nothing.

use super::start::Service;
use crate::exposition::Format;
use crate::ingest::import::{self, ImportError};
use crate::storage::Storage;
use crate::sys::locks::lock;
use crate::sys::tasks;
use crate::wire::{Error, ErrorKind, ImportAnswer, ImportPart};
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Parts that wait to be read; the sender of one more waits.
const WAITING_MAX: usize = 1;

/// An import whose next part does not come for so long is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The import that runs: one at a time, since each takes a few hundred MiB. The lock is held while
/// a part waits for its place: only parts of imports wait for it.
#[derive(Debug, Default)]
pub(super) struct Imports(Mutex<Option<Running>>);

#[derive(Debug)]
struct Running {
    id: u64,
    /// The number of the part that is next.
    next: u64,
    parts: SyncSender<Part>,
    samples: Arc<AtomicU64>,
    thread: JoinHandle<Option<Result<ImportAnswer, Error>>>,
}

#[derive(Debug)]
enum Part {
    Text(Vec<u8>),
    End,
}

/// The parts as one text.
#[derive(Debug)]
struct Parts {
    from: Receiver<Part>,
    patience: Duration,
    part: io::Cursor<Vec<u8>>,
    is_over: bool,
}

impl Service {
    /// Takes a whole text.
    pub(super) fn import_whole(
        &self,
        storage: &Storage,
        text: &[u8],
    ) -> Result<ImportAnswer, Error> {
        let limits = &self.options.limits;
        let now = self.world.clock.now();
        let mut importer = storage.import();
        let format = Format::OpenMetrics;
        import::read(&mut &*text, format, limits, now, &mut importer, &mut |_| ())
            .map_err(refused)?;
        let answer = finish(importer)?;
        self.revision.bump();
        Ok(answer)
    }

    /// Takes a part of a text; the answer to the last one is that to the whole.
    pub(super) fn import_part(
        &self,
        storage: &Arc<Storage>,
        text: Vec<u8>,
        part: ImportPart,
    ) -> Result<ImportAnswer, Error> {
        let mut current = lock(&self.imports.0);
        if part.number == 0 {
            if current.as_ref().is_some_and(|running| !running.thread.is_finished()) {
                let text = "another import runs; one that stalls is given up after a minute";
                return Err(Error::new(ErrorKind::Busy, text));
            }
            *current = Some(self.begin_import(Arc::clone(storage), part.id)?);
        }
        let is_next = |running: &&mut Running| running.id == part.id && running.next == part.number;
        let Some(running) = current.as_mut().filter(is_next) else {
            let text = format!("part {} is not the next of an import that runs", part.number);
            return Err(Error::bad_data(text));
        };
        running.next += 1;
        let end = part.is_last.then_some(Part::End);
        let mut rest = std::iter::once(Part::Text(text)).chain(end);
        let sent = rest.try_for_each(|part| running.parts.send(part));
        if sent.is_ok() && !part.is_last {
            let samples = running.samples.load(Ordering::Relaxed);
            return Ok(ImportAnswer { samples, ..ImportAnswer::default() });
        }
        // It is over, or was refused: the thread says which.
        let thread = current.take().map(|running| running.thread);
        drop(current);
        let answer = thread.and_then(|thread| thread.join().ok().flatten());
        let answer = answer.unwrap_or_else(|| Err(Error::internal("the import's thread died")))?;
        self.revision.bump();
        Ok(answer)
    }

    fn begin_import(&self, storage: Arc<Storage>, id: u64) -> Result<Running, Error> {
        let (parts, from) = sync_channel(WAITING_MAX);
        let samples = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&samples);
        let (limits, now) = (self.options.limits, self.world.clock.now());
        let thread = tasks::spawn_thread("import", move || {
            let mut text = Parts::new(from, PATIENCE);
            let mut importer = storage.import();
            let mut tell =
                |progress: import::Progress| counted.store(progress.samples, Ordering::Relaxed);
            import::read(&mut text, Format::OpenMetrics, &limits, now, &mut importer, &mut tell)
                .map_err(refused)?;
            finish(importer)
        });
        let thread = thread.map_err(|err| Error::internal(err.to_string()))?;
        Ok(Running { id, next: 0, parts, samples, thread })
    }
}

fn finish(importer: crate::storage::import::Importer<'_>) -> Result<ImportAnswer, Error> {
    let done = importer.finish().map_err(|err| Error::internal(err.with_causes()))?;
    Ok(ImportAnswer { samples: done.samples, series: done.series, blocks: done.blocks })
}

fn refused(err: ImportError) -> Error {
    match err {
        ImportError::Store(err) => Error::internal(err.with_causes()),
        ImportError::Read(cause) => Error::bad_data(cause.to_string()),
        wrong @ ImportError::Text { .. } => Error::bad_data(wrong.to_string()),
    }
}

impl Parts {
    fn new(from: Receiver<Part>, patience: Duration) -> Self {
        Self { from, patience, part: io::Cursor::default(), is_over: false }
    }
}

impl Read for Parts {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.part.read(into)?;
            if read > 0 || self.is_over || into.is_empty() {
                return Ok(read);
            }
            match self.from.recv_timeout(self.patience) {
                Ok(Part::Text(text)) => self.part = io::Cursor::new(text),
                Ok(Part::End) => self.is_over = true,
                Err(_) => return Err(io::Error::other("the next part did not come")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(list: Vec<Part>, patience: Duration) -> (SyncSender<Part>, Parts) {
        let (to, from) = sync_channel(list.len());
        list.into_iter().for_each(|part| to.send(part).unwrap());
        (to, Parts::new(from, patience))
    }

    #[test]
    fn parts_are_one_text_and_an_empty_one_is_not_its_end() {
        let text = |text: &str| Part::Text(text.as_bytes().to_vec());
        let list = vec![text("ab"), text(""), text("c\nd"), Part::End, text("e")];
        let (_to, mut parts) = parts(list, Duration::ZERO);
        assert_eq!(io::read_to_string(&mut parts).unwrap(), "abc\nd");
    }

    #[test]
    fn a_text_whose_sender_stalls_or_dies_is_no_whole_text() {
        let some = || vec![Part::Text(b"ab".to_vec())];
        let (to, mut stalled) = parts(some(), Duration::ZERO);
        assert!(io::read_to_string(&mut stalled).is_err());
        drop(to);
        let (to, mut dead) = parts(some(), Duration::MAX);
        drop(to);
        assert!(io::read_to_string(&mut dead).is_err());
    }
}
