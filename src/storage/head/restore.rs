//! Opening the head: the checkpoint, then what the log has beyond it.

use super::admit::Limits;
use super::checkpoint::{self, CheckpointLog, End, Restored, RestoredSeries};
use super::chunk_file::{self, ChunkFiles};
use super::keep::Keeper;
use super::series::Place;
use super::snapshot::FileTable;
use super::symbols::NumberMap;
use super::{Head, HeadDeps, State, Writer};
use crate::model::Labels;
use crate::storage::config::Config;
use crate::storage::damage::Damages;
use crate::storage::error::{Error, Result};
use crate::storage::store::ReplayProgress;
use crate::storage::wal::{LogSample, Replayed, Wal, WalSettings, replay};
use crate::sys::files::Files;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

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
        let (loaded, next_checkpoint) = checkpoint::load(&*files, &head_dir, damages)?;
        let (series, end) = loaded.unwrap_or_default();
        let next_file = open_chunk_files(&*files, &head_dir, &mut state, &series)?;
        state.restore(series, end, damages);
        let mut lost = Lost::default();
        let mut aliases = NumberMap::default();
        let (segments, last_seq) =
            replay(&*files, &wal_dir, end.seq, progress, damages, |told| match told {
                Replayed::Series(list) => state.replay_series(list, &mut aliases),
                Replayed::Commit(samples) => state.replay_commit(samples, &aliases, &mut lost),
            })?;
        lost.tell(damages);

        let settings = WalSettings { dir: wal_dir, segment_bytes: config.wal_segment_bytes };
        let wal = Wal::new(Arc::clone(&files), settings, segments, last_seq);
        let syncer = Arc::clone(wal.syncer());
        let keeper = Keeper::new(
            ChunkFiles::new(Arc::clone(&files), head_dir.clone(), next_file),
            CheckpointLog::new(Arc::clone(&files), head_dir, next_checkpoint),
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
            sync_thread: Mutex::new(None),
        };
        head.start_sync_thread()?;
        Ok(head)
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

/// Opens the chunk files that the checkpoint names, removes others, and answers the next number.
fn open_chunk_files(
    files: &dyn Files,
    dir: &Path,
    state: &mut State,
    series: &RestoredSeries,
) -> Result<u64> {
    let places = series.values().flat_map(|series| &series.full).map(|chunk| &chunk.place);
    let named: BTreeSet<u64> = places
        .filter_map(|place| match place {
            Place::File { file, .. } => Some(*file),
            Place::Memory(_) => None,
        })
        .collect();
    let mut table = FileTable::new();
    let mut next = 1;
    for entry in files.list(dir).map_err(Error::io("list", dir))? {
        let number = entry.name.strip_suffix(".chunks").and_then(|name| name.parse::<u64>().ok());
        let Some(number) = number else { continue };
        next = next.max(number + 1);
        let path = chunk_file::path_of(dir, number);
        if named.contains(&number) {
            let file = files.open_read_only(&path).map_err(Error::io("open", &path))?;
            table.insert(number, file);
        } else {
            // Written after the last checkpoint: the log has its samples.
            files.remove(&path).map_err(Error::io("remove", &path))?;
        }
    }
    state.chunk_files = Arc::new(table);
    Ok(next)
}

impl State {
    fn restore(&mut self, series: RestoredSeries, end: End, damages: &mut Damages) {
        let mut broken = 0_u64;
        for (number, restored) in series {
            broken += u64::from(!self.restore_one(number, restored));
        }
        self.table.raise_generation(end.next_generation);
        if broken > 0 {
            damages.note(format!("{broken} open chunks of the checkpoint make no sense"));
        }
    }

    fn restore_one(&mut self, number: u64, mut restored: Restored) -> bool {
        let has_open = restored.has_open();
        let open = restored.take_open();
        let whole = open.is_some() || !has_open;
        let Some(series) = self.table.insert(number, &restored.labels) else { return whole };
        series.full = restored.full;
        series.saved_labels = true;
        series.last = series.full.last().map(|chunk| (chunk.max, 0));
        if let Some(open) = open {
            series.last = open.max().map(|max| (max, open.last_value_bits()));
            series.open = open;
        }
        self.chunks += series.full.len() as u64 + u64::from(series.open.count() > 0);
        let newest = series.last.map(|(ts, _)| ts);
        self.max_time = self.max_time.max(newest);
        whole
    }

    fn replay_series(&mut self, list: Vec<(u64, Labels)>, aliases: &mut NumberMap<u64, u64>) {
        for (number, labels) in list {
            if self.table.insert(number, &labels).is_some() {
                continue;
            }
            // The series had left the head and come back under this number, and the checkpoint
            // that would have said so was not finished.
            let hash = self.table.hash(&labels);
            if let Some(known) = self.table.find(&labels, hash) {
                aliases.insert(number, known);
            }
        }
    }

    fn replay_commit(
        &mut self,
        samples: &[LogSample],
        aliases: &NumberMap<u64, u64>,
        lost: &mut Lost,
    ) {
        for sample in samples {
            if self.read_from.is_some_and(|from| sample.ts < from) {
                continue;
            }
            let number = aliases.get(&sample.series).copied().unwrap_or(sample.series);
            if self.table.get(number).is_none() {
                lost.samples += 1;
                lost.series.insert(sample.series);
                continue;
            }
            self.push(LogSample { series: number, ..*sample });
        }
    }
}
