//! The queries that run: who asks what, since when; what ran most; and a small file from which
//! the next start knows what ran when the process ended.

use crate::model::{Timestamp, printable};
use crate::sys::clock::SharedClock;
use crate::sys::files::{Files, SharedFile};
use crate::sys::locks::lock;
use crate::wire::{ActiveQuery, TopQueries, TopQuery};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Where running queries are noted.
const FILE: &str = "queries.active";
/// A place for one query in that file.
const SLOT_BYTES: usize = 1024;
/// More than may run at a time; what finds no place is not noted.
const SLOTS: usize = 128;
/// Of an expression so many characters are noted and shown.
const EXPR_CHARS_MAX: usize = 400;
/// Texts whose costs are remembered; the cheapest makes room.
const TOP_MAX: usize = 1000;

/// The queries that run.
#[derive(Debug)]
pub(super) struct Active {
    clock: SharedClock,
    state: Mutex<State>,
    /// Missing when the disk does not take it: queries go on.
    file: Option<SharedFile>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    running: BTreeMap<u64, Entry>,
    finished: BTreeMap<String, Cost>,
}

#[derive(Debug)]
struct Entry {
    text: String,
    client: String,
    started: Timestamp,
    since: Duration,
    canceled: Arc<AtomicBool>,
    progress: Arc<AtomicUsize>,
    slot: Option<usize>,
}

/// What all runs of one text took.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    count: u64,
    seconds: f64,
}

impl State {
    fn count(&mut self, text: String, took: Duration) {
        if !self.finished.contains_key(&text) && self.finished.len() >= TOP_MAX {
            let costs = self.finished.iter();
            let least = costs.min_by(|a, b| a.1.seconds.total_cmp(&b.1.seconds));
            if let Some(least) = least.map(|(text, _)| text.clone()) {
                self.finished.remove(&least);
            }
        }
        let cost = self.finished.entry(text).or_default();
        cost.count += 1;
        cost.seconds += took.as_secs_f64();
    }
}

impl Active {
    /// None yet. Also what ran when the last process ended, one line each.
    pub(super) fn open(
        files: &dyn Files,
        folder: &Path,
        clock: SharedClock,
    ) -> (Self, Vec<String>) {
        let (file, left) = match open_file(files, &folder.join(FILE)) {
            Ok((file, left)) => (Some(file), left),
            Err(err) => {
                tracing::warn!(%err, "running queries are not noted on the disk");
                (None, Vec::new())
            }
        };
        (Self { clock, state: Mutex::default(), file }, left)
    }

    /// Notes a query that begins; it is forgotten when the ticket is dropped.
    pub(super) fn begin(&self, expr: &str, client: &str, canceled: Arc<AtomicBool>) -> Ticket<'_> {
        let progress = Arc::new(AtomicUsize::new(0));
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        let taken: Vec<usize> = state.running.values().filter_map(|entry| entry.slot).collect();
        let entry = Entry {
            text: shortened(expr),
            client: client.to_owned(),
            started: self.clock.now(),
            since: self.clock.elapsed(),
            canceled,
            progress: progress.clone(),
            slot: (0..SLOTS).find(|slot| !taken.contains(slot)),
        };
        self.note(entry.slot, &line(&entry));
        state.running.insert(id, entry);
        Ticket { active: self, id, progress }
    }

    /// The queries that run, the oldest first.
    pub(super) fn list(&self) -> Vec<ActiveQuery> {
        let now = self.clock.elapsed();
        let state = self.lock();
        let form = |(id, entry): (&u64, &Entry)| ActiveQuery {
            id: id.to_string(),
            query: entry.text.clone(),
            client: entry.client.clone(),
            start: entry.started,
            duration_seconds: now.saturating_sub(entry.since).as_secs_f64(),
            samples: entry.progress.load(Ordering::Relaxed),
        };
        state.running.iter().map(form).collect()
    }

    /// What took most since the start, `limit` of each kind.
    pub(super) fn top(&self, limit: usize) -> TopQueries {
        let state = self.lock();
        let all = state.finished.iter().map(|(text, cost)| TopQuery {
            query: text.clone(),
            count: cost.count,
            average_seconds: cost.seconds / cost.count as f64,
            total_seconds: cost.seconds,
        });
        let all: Vec<TopQuery> = all.collect();
        let most = |key: fn(&TopQuery) -> f64| {
            let mut list = all.clone();
            list.sort_by(|a, b| key(b).total_cmp(&key(a)));
            list.truncate(limit);
            list
        };
        TopQueries {
            by_count: most(|one| one.count as f64),
            by_average: most(|one| one.average_seconds),
            by_total: most(|one| one.total_seconds),
        }
    }

    /// Ends the query of this id soon; whether there is one.
    pub(super) fn cancel(&self, id: &str) -> bool {
        let state = self.lock();
        let entry = id.parse().ok().and_then(|id: u64| state.running.get(&id));
        entry.inspect(|entry| entry.canceled.store(true, Ordering::Relaxed)).is_some()
    }

    /// Ends all queries soon.
    pub(super) fn cancel_all(&self) {
        let state = self.lock();
        state.running.values().for_each(|entry| entry.canceled.store(true, Ordering::Relaxed));
    }

    fn end(&self, id: u64) {
        let mut state = self.lock();
        let Some(entry) = state.running.remove(&id) else { return };
        self.note(entry.slot, "");
        let took = self.clock.elapsed().saturating_sub(entry.since);
        state.count(entry.text, took);
    }

    /// Counts a query that ran without being noted, for it was too short.
    pub(super) fn count(&self, expr: &str, took: Duration) {
        self.lock().count(shortened(expr), took);
    }

    /// Writes a place of the file. Nothing is synced: the kernel keeps it when the process is
    /// killed, and after a power cut nobody asks which query it was.
    fn note(&self, slot: Option<usize>, line: &str) {
        let (Some(file), Some(slot)) = (&self.file, slot) else { return };
        let mut bytes = vec![b' '; SLOT_BYTES];
        let room = bytes.iter_mut().take(SLOT_BYTES - 1);
        room.zip(line.bytes()).for_each(|(place, byte)| *place = byte);
        if let Some(last) = bytes.last_mut() {
            *last = b'\n';
        }
        if let Err(err) = file.write_all_at(&bytes, (slot * SLOT_BYTES) as u64) {
            tracing::debug!(%err, "a running query is not noted on the disk");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// A query that runs.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    active: &'a Active,
    id: u64,
    /// Samples that it has read.
    pub(super) progress: Arc<AtomicUsize>,
}

impl Ticket<'_> {
    /// How many samples that is so far.
    pub(super) fn samples(&self) -> usize {
        self.progress.load(Ordering::Relaxed)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.active.end(self.id);
    }
}

/// One line without control characters, so that a log and a screen may show it.
fn shortened(expr: &str) -> String {
    let mut words = expr.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(EXPR_CHARS_MAX) {
        words.truncate(end);
        words.push('…');
    }
    printable(&words).to_string()
}

fn line(entry: &Entry) -> String {
    let started = entry.started.as_seconds();
    let line = serde_json::json!({
        "query": entry.text, "client": entry.client, "timestamp_sec": started,
    });
    let line = line.to_string();
    if line.len() < SLOT_BYTES {
        return line;
    }
    // Texts of long characters: the beginning has to do.
    let text: String = entry.text.chars().take(EXPR_CHARS_MAX / 8).collect();
    serde_json::json!({ "query": text, "client": "", "timestamp_sec": started }).to_string()
}

/// Opens the file and empties it; also what was in it.
fn open_file(files: &dyn Files, path: &Path) -> io::Result<(SharedFile, Vec<String>)> {
    let size = (SLOTS * SLOT_BYTES) as u64;
    let file = match files.create(path) {
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists => files.open(path)?,
        made => made?,
    };
    let mut bytes = vec![0; SLOTS * SLOT_BYTES];
    let read = file.read_at(&mut bytes, 0)?;
    let text = String::from_utf8_lossy(bytes.get(..read).unwrap_or_default());
    let left = text.lines().filter_map(told).collect();
    file.set_len(0)?;
    file.set_len(size)?;
    Ok((file, left))
}

/// A noted query in words.
fn told(line: &str) -> Option<String> {
    let noted: serde_json::Value = serde_json::from_str(line.trim()).ok()?;
    let query = noted.get("query")?.as_str()?;
    let client = noted.get("client").and_then(|client| client.as_str()).unwrap_or_default();
    Some(format!("{} (asked by {})", printable(query), printable(client)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::files::SystemFiles;
    use crate::sys::sim::VirtualClock;

    fn open(folder: &Path, clock: &VirtualClock) -> (Active, Vec<String>) {
        Active::open(&SystemFiles, folder, Arc::new(clock.clone()))
    }

    #[test]
    fn what_runs_when_the_process_ends_is_told_at_the_next_start_and_no_more_after() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = VirtualClock::at(Timestamp::from_millis(1_700_000_000_000));
        let (active, left) = open(folder.path(), &clock);
        assert_eq!(left, Vec::<String>::new());
        let long = format!("sum({})", "é\u{1b}".repeat(2000));
        let ended = active.begin("ended", "a", Arc::default());
        let kept = ["sum by (job)\n\t(rate(x[5m]))", &long]
            .map(|expr| active.begin(expr, "127.0.0.1", Arc::default()));
        drop(ended);
        // As a kill leaves it: nothing is cleared.
        let _ = kept.map(std::mem::forget);
        let (_, left) = open(folder.path(), &clock);
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(left.contains(&"sum by (job) (rate(x[5m])) (asked by 127.0.0.1)".to_owned()));
        assert!(left.iter().all(|line| !line.contains('\u{1b}')), "{left:?}");
        assert_eq!(open(folder.path(), &clock).1, Vec::<String>::new());
    }

    #[test]
    fn a_file_of_anything_is_no_reason_not_to_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = VirtualClock::at(Timestamp::EPOCH);
        for content in [&b"\xff\xfe{\n{}\n[1]\n{\"query\":1}\n"[..], &[0; 200_000], b""] {
            std::fs::write(folder.path().join(FILE), content).expect("writes");
            assert_eq!(open(folder.path(), &clock).1, Vec::<String>::new());
        }
    }

    #[test]
    fn running_queries_are_listed_canceled_and_ranked() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = VirtualClock::at(Timestamp::EPOCH);
        let (active, _) = open(folder.path(), &clock);
        for (expr, runs, seconds) in [("often", 3, 1), ("long", 1, 2)] {
            for _ in 0..runs {
                let _ticket = active.begin(expr, "a", Arc::default());
                clock.advance(Duration::from_secs(seconds));
            }
        }
        let names = |list: Vec<TopQuery>| -> Vec<String> {
            list.into_iter().map(|one| one.query).collect()
        };
        let top = active.top(1);
        assert_eq!(names(top.by_count), ["often"]);
        assert_eq!(names(top.by_average), ["long"]);
        assert_eq!(names(top.by_total), ["often"]);
        let canceled = Arc::new(AtomicBool::new(false));
        let ticket = active.begin("up", "me", canceled.clone());
        clock.advance(Duration::from_secs(5));
        let list = active.list();
        let [one] = list.as_slice() else { panic!("{list:?}") };
        assert_eq!((one.query.as_str(), one.client.as_str()), ("up", "me"));
        assert_eq!(one.duration_seconds.to_bits(), 5.0_f64.to_bits());
        assert!(!active.cancel("x") && !active.cancel("99") && active.cancel(&one.id));
        assert!(canceled.load(Ordering::Relaxed));
        drop(ticket);
        assert!(!active.cancel(&one.id) && active.list().is_empty());
    }
}
