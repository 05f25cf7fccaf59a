//! What is known about metrics, exemplars, and a record of blocks: `catalog.db`. Its loss is
//! harmless.
//!
//! Reads come from memory; changes are written by `Catalog::save` and `Catalog::save_exemplars`,
//! so that a commit never waits for SQLite.

use super::damage::Damages;
use super::error::{Error, Result};
use super::exemplar::Numbered;
use super::state::open_database;
use crate::model::{Exemplar, Labels, Metadata, MetricType, Timestamp};
use crate::sys::locks::lock;
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

const CATALOG_VERSION: u32 = 1;

const SCHEMA: &str = "
    CREATE TABLE metric (name TEXT PRIMARY KEY, type TEXT NOT NULL, help TEXT NOT NULL,
                         unit TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE block (id TEXT PRIMARY KEY, min_ms INTEGER NOT NULL, max_ms INTEGER NOT NULL,
                        series INTEGER NOT NULL, samples INTEGER NOT NULL, bytes INTEGER NOT NULL,
                        level INTEGER NOT NULL) WITHOUT ROWID;";

/// Made at each start: catalogues of the first days have none, and lose nothing by it.
const EXEMPLAR_SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS exemplar (
        id INTEGER PRIMARY KEY, series TEXT NOT NULL, labels TEXT NOT NULL, value REAL,
        at_ms INTEGER NOT NULL, has_own_time INTEGER NOT NULL);";

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
    /// Opens `catalog.db` in `dir`, with the exemplars that it has; a damaged one goes to
    /// quarantine, and a new one is begun.
    ///
    /// # Errors
    /// Not even a new one can be made.
    pub(super) fn open(dir: &Path, damages: &mut Damages) -> Result<(Self, Vec<Numbered>)> {
        let path = dir.join("catalog.db");
        let begin = || {
            let connection = open_database(&path, "NORMAL", CATALOG_VERSION, SCHEMA)?;
            connection.execute_batch(EXEMPLAR_SCHEMA).map_err(Error::sql("open", &path))?;
            Ok(connection)
        };
        let opened = begin().and_then(|connection| {
            let known = load(&connection).map_err(Error::sql("read", &path))?;
            let exemplars = load_exemplars(&connection).map_err(Error::sql("read", &path))?;
            Ok((known, exemplars, connection))
        });
        let (known, exemplars, connection) = match opened {
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
                (BTreeMap::new(), Vec::new(), begin()?)
            }
        };
        let metrics = Metrics { known, changed: BTreeSet::new() };
        let (connection, metrics) = (Mutex::new(connection), Mutex::new(metrics));
        Ok((Self { path, connection, metrics }, exemplars))
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

    /// Writes exemplars that are new and removes those before the number `first`.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn save_exemplars(&self, first: i64, new: &[Numbered]) -> Result<()> {
        let write = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            transaction.execute("DELETE FROM exemplar WHERE id < ?1", [first])?;
            let sql = "INSERT OR REPLACE INTO exemplar VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let mut statement = transaction.prepare(sql)?;
            for Numbered { number, series, exemplar } in new {
                statement.execute(params![
                    number,
                    to_json(series),
                    to_json(&exemplar.labels),
                    // NaN becomes NULL.
                    exemplar.value,
                    exemplar.ts.as_millis(),
                    exemplar.has_own_ts
                ])?;
            }
            drop(statement);
            transaction.commit()
        };
        write(&mut self.connection()).map_err(Error::sql("write", &self.path))
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
        lock(&self.connection)
    }

    fn metrics(&self) -> MutexGuard<'_, Metrics> {
        lock(&self.metrics)
    }
}

fn load(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Metadata>> {
    let mut statement = connection.prepare("SELECT name, type, help, unit FROM metric")?;
    let rows = statement.query_map([], |row| {
        let kind: String = row.get(1)?;
        let kind = kind.parse().unwrap_or(MetricType::Unknown);
        Ok((row.get(0)?, Metadata { kind, help: row.get(2)?, unit: row.get(3)? }))
    })?;
    rows.collect()
}

fn load_exemplars(connection: &Connection) -> rusqlite::Result<Vec<Numbered>> {
    let sql = "SELECT id, series, labels, value, at_ms, has_own_time FROM exemplar ORDER BY id";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        let exemplar = Exemplar {
            labels: of_json(&row.get::<_, String>(2)?),
            value: row.get::<_, Option<f64>>(3)?.unwrap_or(f64::NAN),
            ts: Timestamp::from_millis(row.get(4)?),
            has_own_ts: row.get(5)?,
        };
        Ok(Numbered { number: row.get(0)?, series: of_json(&row.get::<_, String>(1)?), exemplar })
    })?;
    rows.collect()
}

fn to_json(labels: &Labels) -> String {
    let pairs: BTreeMap<&str, &str> = labels.iter().collect();
    serde_json::to_string(&pairs).unwrap_or_default()
}

/// Empty when the text is none of ours: the exemplar is found by no selector of a metric.
fn of_json(text: &str) -> Labels {
    let pairs: BTreeMap<String, String> = serde_json::from_str(text).unwrap_or_default();
    Labels::from_pairs(pairs)
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
        let (catalog, _) = Catalog::open(dir.path(), &mut damages).unwrap();
        catalog.describe(&[("m".to_owned(), about.clone())]);
        catalog.save().unwrap();
        drop(catalog);
        let (catalog, _) = Catalog::open(dir.path(), &mut damages).unwrap();
        assert_eq!(catalog.metadata(Some("m")), [("m".to_owned(), about)]);
        drop(catalog);
        std::fs::write(dir.path().join("catalog.db"), [7; 9000]).unwrap();
        let (catalog, exemplars) = Catalog::open(dir.path(), &mut damages).unwrap();
        assert_eq!((catalog.metadata(None), exemplars), (Vec::new(), Vec::new()));
        assert_eq!(std::fs::read(quarantine.join("catalog.db")).unwrap(), [7; 9000]);
        let told = damages.into_notes();
        assert!(told.len() == 1 && told[0].contains("catalog.db"), "{told:?}");
    }

    #[test]
    fn exemplars_come_back_and_a_catalogue_of_the_first_days_gets_a_place_for_them() {
        let dir = tempfile::tempdir().unwrap();
        let mut damages = Damages::new(Arc::new(SystemFiles), dir.path().join("quarantine"));
        let path = dir.path().join("catalog.db");
        drop(open_database(&path, "NORMAL", CATALOG_VERSION, SCHEMA).unwrap());
        let (catalog, exemplars) = Catalog::open(dir.path(), &mut damages).unwrap();
        assert_eq!(exemplars, []);
        let one = |number, value| Numbered {
            number,
            series: Labels::from_pairs([("__name__", "m"), ("quoted", "\"\n\\")]),
            exemplar: Exemplar {
                labels: Labels::from_pairs([("trace_id", "\u{e9}")]),
                value,
                ts: Timestamp::from_millis(-5),
                has_own_ts: number == 2,
            },
        };
        let rows = [one(1, 0.1), one(2, f64::INFINITY), one(3, f64::NAN)];
        catalog.save_exemplars(1, &rows).unwrap();
        catalog.save_exemplars(2, &[]).unwrap();
        drop(catalog);
        let (_, found) = Catalog::open(dir.path(), &mut damages).unwrap();
        assert_eq!(format!("{found:?}"), format!("{:?}", &rows[1..]), "NaN is among them");
        assert_eq!(damages.into_notes(), Vec::<String>::new());
    }
}
