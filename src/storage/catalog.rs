//! What is known about metrics, and a record of blocks: `catalog.db`. Its loss is harmless.
//!
//! Reads come from memory; changes are written by `Catalog::save`, so that a commit never waits
//! for SQLite.

use super::damage::Damages;
use super::error::{Error, Result};
use super::state::open_database;
use crate::model::{Metadata, MetricType};
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

const CATALOG_VERSION: u32 = 1;

const SCHEMA: &str = "
    CREATE TABLE metric (name TEXT PRIMARY KEY, type TEXT NOT NULL, help TEXT NOT NULL,
                         unit TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE block (id TEXT PRIMARY KEY, min_ms INTEGER NOT NULL, max_ms INTEGER NOT NULL,
                        series INTEGER NOT NULL, samples INTEGER NOT NULL, bytes INTEGER NOT NULL,
                        level INTEGER NOT NULL) WITHOUT ROWID;";

/// Metrics described at most, so that a hostile target cannot fill memory with names.
const METRICS_MAX: usize = 100_000;

/// A row of the block catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BlockRow {
    pub(super) id: String,
    pub(super) min: i64,
    pub(super) max: i64,
    pub(super) series: u64,
    pub(super) samples: u64,
    pub(super) bytes: u64,
    pub(super) level: u32,
}

#[derive(Debug)]
pub(super) struct Catalog {
    path: PathBuf,
    /// Lock order: `connection`, then `metrics`.
    connection: Mutex<Connection>,
    metrics: Mutex<Metrics>,
}

#[derive(Debug, Default)]
struct Metrics {
    known: BTreeMap<String, Metadata>,
    changed: BTreeSet<String>,
}

impl Catalog {
    /// Opens `catalog.db` in `dir`; a damaged one goes to quarantine, and a new one is begun.
    ///
    /// # Errors
    /// Not even a new one can be made.
    pub(super) fn open(dir: &Path, damages: &mut Damages) -> Result<Self> {
        let path = dir.join("catalog.db");
        let opened = open_database(&path, "NORMAL", CATALOG_VERSION, SCHEMA)
            .and_then(|connection| Ok((load(&connection, &path)?, connection)));
        let (known, connection) = match opened {
            Ok(opened) => opened,
            Err(err @ Error::Newer { .. }) => return Err(err),
            Err(err) => {
                damages.note(format!(
                    "{}; a new one is begun, descriptions of metrics come again with scrapes",
                    err.with_causes()
                ));
                for suffix in ["", "-wal", "-shm"] {
                    damages.set_aside(&dir.join(format!("catalog.db{suffix}")));
                }
                let connection = open_database(&path, "NORMAL", CATALOG_VERSION, SCHEMA)?;
                (BTreeMap::new(), connection)
            }
        };
        let metrics = Metrics { known, changed: BTreeSet::new() };
        Ok(Self { path, connection: Mutex::new(connection), metrics: Mutex::new(metrics) })
    }

    /// Takes over what a commit says about metrics.
    pub(super) fn describe(&self, said: &[(String, Metadata)]) {
        if said.is_empty() {
            return;
        }
        let mut metrics = self.metrics();
        for (name, metadata) in said {
            if metrics.known.get(name) == Some(metadata) {
                continue;
            }
            if metrics.known.len() >= METRICS_MAX && !metrics.known.contains_key(name) {
                continue;
            }
            metrics.known.insert(name.clone(), metadata.clone());
            metrics.changed.insert(name.clone());
        }
    }

    /// What is known about one metric, or all.
    pub(super) fn metadata(&self, metric: Option<&str>) -> Vec<(String, Metadata)> {
        let metrics = self.metrics();
        let wanted = |name: &str| metric.is_none_or(|metric| metric == name);
        let found = metrics.known.iter().filter(|(name, _)| wanted(name));
        found.map(|(name, metadata)| (name.clone(), metadata.clone())).collect()
    }

    /// Writes what has changed.
    ///
    /// # Errors
    /// The database refuses; the next call tries again.
    pub(super) fn save(&self) -> Result<()> {
        let changed: Vec<(String, Metadata)> = {
            let metrics = self.metrics();
            let known = |name: &String| Some((name.clone(), metrics.known.get(name)?.clone()));
            metrics.changed.iter().filter_map(known).collect()
        };
        if changed.is_empty() {
            return Ok(());
        }
        let write = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            let mut statement = transaction.prepare(
                "INSERT INTO metric (name, type, help, unit) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (name) DO UPDATE
                 SET type = excluded.type, help = excluded.help, unit = excluded.unit",
            )?;
            for (name, about) in &changed {
                statement.execute(params![name, about.kind.as_str(), about.help, about.unit])?;
            }
            drop(statement);
            transaction.commit()
        };
        write(&mut self.connection()).map_err(Error::sql("write", &self.path))?;
        let mut metrics = self.metrics();
        for (name, metadata) in changed {
            if metrics.known.get(&name) == Some(&metadata) {
                metrics.changed.remove(&name);
            }
        }
        Ok(())
    }

    /// Replaces the record of blocks.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn save_blocks(&self, blocks: &[BlockRow]) -> Result<()> {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let write = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            transaction.execute("DELETE FROM block", [])?;
            for block in blocks {
                transaction.execute(
                    "INSERT INTO block VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![
                        block.id,
                        block.min,
                        block.max,
                        number(block.series),
                        number(block.samples),
                        number(block.bytes),
                        block.level
                    ],
                )?;
            }
            transaction.commit()
        };
        write(&mut self.connection()).map_err(Error::sql("write", &self.path))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn metrics(&self) -> MutexGuard<'_, Metrics> {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load(connection: &Connection, path: &Path) -> Result<BTreeMap<String, Metadata>> {
    let read = || {
        let mut statement = connection.prepare("SELECT name, type, help, unit FROM metric")?;
        let rows = statement.query_map([], |row| {
            let kind: String = row.get(1)?;
            let kind = kind.parse().unwrap_or(MetricType::Unknown);
            Ok((row.get(0)?, Metadata { kind, help: row.get(2)?, unit: row.get(3)? }))
        })?;
        rows.collect::<rusqlite::Result<_>>()
    };
    read().map_err(Error::sql("read", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::files::SystemFiles;
    use std::sync::Arc;

    #[test]
    fn descriptions_survive_and_a_damaged_catalogue_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let quarantine = dir.path().join("quarantine");
        let mut damages = Damages::new(Arc::new(SystemFiles), quarantine.clone());
        let about =
            Metadata { kind: MetricType::Counter, help: "H.".to_owned(), unit: String::new() };
        let catalog = Catalog::open(dir.path(), &mut damages).unwrap();
        catalog.describe(&[("m".to_owned(), about.clone())]);
        catalog.save().unwrap();
        drop(catalog);
        let catalog = Catalog::open(dir.path(), &mut damages).unwrap();
        assert_eq!(catalog.metadata(Some("m")), [("m".to_owned(), about)]);
        drop(catalog);
        std::fs::write(dir.path().join("catalog.db"), [7; 9000]).unwrap();
        assert_eq!(Catalog::open(dir.path(), &mut damages).unwrap().metadata(None), []);
        assert_eq!(std::fs::read(quarantine.join("catalog.db")).unwrap(), [7; 9000]);
        let told = damages.into_notes();
        assert!(told.len() == 1 && told[0].contains("catalog.db"), "{told:?}");
    }
}
