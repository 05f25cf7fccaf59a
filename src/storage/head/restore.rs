//! Opening the head: the checkpoint, then what the log has beyond it.

use super::admit::Limits;
use super::checkpoint::CheckpointLog;
use super::chunk_file::{self, ChunkFiles};
use super::keep::Keeper;
use super::load::{self, Loaded};
use super::series::Series;
use super::snapshot::FileTable;
use super::symbols::NumberMap;
use super::{FileFacts, Head, HeadDeps, State, Writer};
use crate::storage::config::Config;
use crate::storage::damage::Damages;
use crate::storage::error::{Error, Result};
use crate::storage::store::ReplayProgress;
use crate::storage::wal::series::SeriesRecord;
use crate::storage::wal::{Known, LogSample, Read, Replayed, Wal, WalSettings, replay};
use crate::sys::files::Files;
use crate::sys::tasks;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock, mpsc};

impl Head {
    /// Opens the head in `dir`; samples before `cut_until` are in blocks already.
    ///
    /// # Errors
    /// A file cannot be read or written, or is of a later version.
    pub(crate) fn open(
        config: &Config,
        dir: &Path,
        deps: &HeadDeps,
        cut_until: Option<i64>,
        progress: &ReplayProgress,
        damages: &mut Damages,
    ) -> Result<Self> {
        let files = Arc::clone(&deps.files);
        let (head_dir, wal_dir) = (dir.join("head"), dir.join("wal"));
        for made in [&head_dir, &wal_dir] {
            files.create_dir_all(made).map_err(Error::io("create directory", made))?;
        }
        files.sync_dir(dir).map_err(Error::io("sync directory", dir))?;
        remove_temporary(&*files, &head_dir)?;

        let mut state = State { accept_from: cut_until, read_from: cut_until, ..State::default() };
        let loaded = load::load(&*files, &head_dir, &mut state, damages)?;
        let known = Known { after: loaded.whole_seq, seen: loaded.end.seq };
        let mut tail =
            Tail { state, lost: Lost::default(), aliases: NumberMap::default(), samples: 0 };
        let log = tail.replay(|tell| replay(&*files, &wal_dir, known, progress, damages, tell))?;
        let Tail { mut state, mut lost, samples: replayed, .. } = tail;
        let is_lost = tell_lost_checkpoint(&*files, &head_dir, &loaded, &log, damages)?;
        let next_file =
            open_chunk_files(&*files, &head_dir, &mut state, &loaded, is_lost, damages)?;
        lost.samples += state.settle_late();
        lost.tell(damages);

        let settings = WalSettings { dir: wal_dir, segment_bytes: config.wal_segment_bytes };
        let wal = Wal::new(Arc::clone(&files), settings, log.segments, log.last_seq)?;
        let syncer = Arc::clone(wal.syncer());
        let keeper = Keeper::new(
            ChunkFiles::new(Arc::clone(&files), head_dir.clone(), next_file),
            CheckpointLog::new(Arc::clone(&files), head_dir, loaded.next_file),
        );
        let head = Self {
            files,
            clock: Arc::clone(&deps.clock),
            dir: dir.to_owned(),
            wal_sync: config.wal_sync,
            limits: RwLock::new(Limits::of(config)),
            keeper: Mutex::new(keeper),
            writer: Mutex::new(Writer {
                wal,
                closed: false,
                samples: Vec::new(),
                touched: super::admit::Touched::default(),
            }),
            state: RwLock::new(state),
            syncer,
            logged: AtomicU64::new(replayed),
            sync_thread: Mutex::new(None),
        };
        head.start_sync_thread()?;
        Ok(head)
    }
}

/// Samples that wait for one another between the thread that reads the log and the one that takes
/// them in, at most, times `BATCHES_WAITING`.
const BATCH_SAMPLES: usize = 8192;

/// Batches that wait: 200 KiB each.
const BATCHES_WAITING: usize = 4;

/// What the log tells, on its way from one thread to the other.
#[derive(Debug)]
enum Batch {
    /// The payload of a record, which is known to make sense.
    Series(Vec<u8>),
    /// Of one commit or several.
    Samples(Vec<LogSample>),
    Late(Vec<LogSample>),
}

/// Puts what the log has into the state.
#[derive(Debug)]
struct Tail {
    state: State,
    lost: Lost,
    /// Numbers of series that are here under another one.
    aliases: NumberMap<u64, u64>,
    /// Samples that were told.
    samples: u64,
}

impl Tail {
    /// Has `read` read the log here, and takes in what it tells on another thread.
    fn replay(
        &mut self,
        read: impl FnOnce(&mut dyn FnMut(Replayed<'_>)) -> Result<Read>,
    ) -> Result<Read> {
        let (sender, receiver) = mpsc::sync_channel(BATCHES_WAITING);
        let take = || receiver.into_iter().for_each(|batch| self.take(batch));
        let read = move || {
            let mut gathered = Vec::new();
            // Nobody waits for it any more when the other thread has panicked, which is told there.
            let send = |batch: Batch| drop(sender.send(batch));
            let log = read(&mut |told| match told {
                Replayed::Commit(samples) => {
                    gathered.extend_from_slice(samples);
                    if gathered.len() >= BATCH_SAMPLES {
                        send(Batch::Samples(std::mem::take(&mut gathered)));
                    }
                }
                Replayed::Series(payload) => {
                    send(Batch::Samples(std::mem::take(&mut gathered)));
                    send(Batch::Series(payload.into()));
                }
                Replayed::Late(samples) => {
                    send(Batch::Samples(std::mem::take(&mut gathered)));
                    send(Batch::Late(samples.into()));
                }
            });
            send(Batch::Samples(gathered));
            log
        };
        let ((), log) = tasks::beside("replay", take, read).map_err(Error::Thread)?;
        log
    }

    fn take(&mut self, batch: Batch) {
        match batch {
            Batch::Series(payload) => {
                if let Some(record) = SeriesRecord::read(&payload) {
                    self.take_series(&record);
                }
            }
            Batch::Samples(samples) => self.take_samples(&samples),
            Batch::Late(samples) => {
                for sample in samples {
                    let series = self.number(sample.series);
                    self.state.late.insert(LogSample { series, ..sample });
                }
            }
        }
    }

    fn take_series(&mut self, record: &SeriesRecord<'_>) {
        // One that is here already had left the head and come back under this number, and the
        // checkpoint that would have said so was not finished.
        let Self { state, aliases, .. } = self;
        state.insert_record(
            record,
            |_| {},
            |number, known| {
                aliases.insert(number, known);
            },
        );
    }

    fn take_samples(&mut self, samples: &[LogSample]) {
        self.samples += samples.len() as u64;
        for sample in samples {
            if self.state.read_from.is_some_and(|from| sample.ts < from) {
                continue;
            }
            let series = self.number(sample.series);
            if !self.state.push(LogSample { series, ..*sample }) {
                self.lost.samples += 1;
                self.lost.series.insert(sample.series);
            }
        }
    }

    /// The number under which a series of the log is here.
    fn number(&self, told: u64) -> u64 {
        if self.aliases.is_empty() {
            return told;
        }
        self.aliases.get(&told).copied().unwrap_or(told)
    }
}

/// Counts what the log names but nothing describes.
#[derive(Debug, Default)]
struct Lost {
    samples: u64,
    series: BTreeSet<u64>,
}

impl Lost {
    fn tell(&self, damages: &mut Damages) {
        if self.samples > 0 {
            damages.note(format!(
                "{} samples of {} series in the log were lost with the record that names the series",
                self.samples,
                self.series.len()
            ));
        }
    }
}

fn remove_temporary(files: &dyn Files, dir: &Path) -> Result<()> {
    for entry in files.list(dir).map_err(Error::io("list", dir))? {
        if entry.name.ends_with(".tmp") {
            let path = dir.join(&entry.name);
            files.remove(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Tells of a checkpoint that is gone, or lost its end, although the log was freed for it;
/// whether it is gone.
fn tell_lost_checkpoint(
    files: &dyn Files,
    dir: &Path,
    loaded: &Loaded,
    log: &Read,
    damages: &mut Damages,
) -> Result<bool> {
    if let Some(path) = &loaded.path {
        if loaded.torn_seq.is_some_and(|seq| seq > log.last_seq) {
            damages.note(format!(
                "checkpoint {} ends in the middle, and the log has nothing of what it said there",
                path.display()
            ));
        }
        return Ok(false);
    }
    let entries = files.list(dir).map_err(Error::io("list", dir))?;
    let is_lost = !log.is_complete && !entries.is_empty();
    if is_lost {
        damages.note(format!(
            "no checkpoint in {} is whole, and the log does not go back to its begin: series and \
             samples between the newest block and the log are lost",
            dir.display()
        ));
    }
    Ok(is_lost)
}

/// Opens the chunk files, removes what was written after the checkpoint, and answers the next
/// number. With a lost checkpoint nothing says whose the chunks are: they go to quarantine.
fn open_chunk_files(
    files: &dyn Files,
    dir: &Path,
    state: &mut State,
    loaded: &Loaded,
    is_lost: bool,
    damages: &mut Damages,
) -> Result<NonZeroU32> {
    let mut table = FileTable::new();
    // A chain says how many files before its own the chunk before is, be it gone to a block or not.
    let chained = state.table.iter().flat_map(|series| series.chain().newest).flatten();
    let named = loaded.files.iter().flat_map(|named| named.keys().copied());
    let used = chained.map(|place| place.file).chain(named).max();
    let mut next = used.map_or(NonZeroU32::MIN, |number| number.saturating_add(1));
    for entry in files.list(dir).map_err(Error::io("list", dir))? {
        let number = entry.name.strip_suffix(".chunks").and_then(|name| name.parse().ok());
        let Some(number) = number else { continue };
        next = next.max(NonZeroU32::saturating_add(number, 1));
        let path = chunk_file::path_of(dir, number);
        if is_lost {
            damages.set_aside(&path);
            continue;
        }
        // What the checkpoint does not name the log has; when damage hides what it names, all
        // stays.
        let unknown = FileFacts { newest: i64::MAX, chunks: 0 };
        let facts = match &loaded.files {
            Some(named) => named.get(&number).copied(),
            None => (damages.count() > 0).then_some(unknown),
        };
        match facts {
            Some(facts) => {
                table.insert(number, chunk_file::open(files, &path)?);
                state.file_facts.insert(number, facts);
            }
            None => files.remove(&path).map_err(Error::io("remove", &path))?,
        }
    }
    for (lost, facts) in loaded.files.iter().flatten() {
        // One whose samples are all in blocks was removed before the next checkpoint could say so.
        let in_blocks = state.read_from.is_some_and(|until| facts.newest < until);
        if !table.contains_key(lost) && !in_blocks {
            let path = chunk_file::path_of(dir, *lost);
            damages.note(format!("chunk file {} is gone, with what it held", path.display()));
        }
    }
    state.chunk_files = Arc::new(table);
    Ok(next)
}

impl State {
    /// Puts the series of a record that are new, and tells of those that are here under another
    /// number.
    pub(super) fn insert_record(
        &mut self,
        record: &SeriesRecord<'_>,
        mut put: impl FnMut(&mut Series),
        mut known: impl FnMut(u64, u64),
    ) {
        let ids = load::pairs_of(record, self);
        let mut pairs = Vec::new();
        for (number, places) in record.series() {
            pairs.clear();
            let place = |place: &u32| ids.get(usize::try_from(*place).ok()?).copied();
            pairs.extend(places.iter().filter_map(place));
            match self.table.insert_pairs(number, &pairs) {
                Ok(series) => put(series),
                Err(other) => known(number, other),
            }
        }
        ids.into_iter().for_each(|pair| self.table.forget_unused(pair));
    }

    /// Works out the bounds after a checkpoint was read.
    pub(super) fn settle(&mut self) {
        for series in self.table.iter() {
            self.max_time = self.max_time.max(series.last().map(|(ts, _)| ts));
            if let Some(start) = series.min_time() {
                self.min_time = Some(self.min_time.map_or(start, |min| min.min(start)));
            }
        }
    }
}
