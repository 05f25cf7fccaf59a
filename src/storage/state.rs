//! The database of state, `state.db`: silences, notification log, alerts, rules, outbox, pushed
//! groups, history.
//!
//! Each change is durable before the call returns. What the documents hold is their owners'
//! affair; here they have a table, a key and an order. What happens to a damaged one is in
//! `salvage.rs`.

use super::error::{Error, Result};
use crate::model::Timestamp;
use crate::sys::locks::lock;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Statement, params};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// The format of `state.db`, in its `user_version`.
pub(super) const STATE_VERSION: u32 = 1;

/// How long one connection waits for another.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// So many entries of the history are kept, whatever their age: about a gigabyte of them.
pub const HISTORY_ROWS_MAX: usize = 1_000_000;
/// So many entries are removed at a time: of the largest ones, 20 kB each, that is 10 MB.
const PRUNED_AT_ONCE: u16 = 500;
/// So many are removed by one call. Who waits for the database does not get it between two
/// removals, since the lock is not a fair one.
const PRUNED_MAX: usize = 2_000;

/// What of the history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryKept {
    /// Entries up to this old.
    pub age: Duration,
    /// At most so many.
    pub rows: usize,
}

/// How far the removal of old history came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// So many entries were removed.
    pub rows: usize,
    /// Nothing is left to remove: what is left is for later calls.
    pub is_done: bool,
}

/// A kind of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// Silences, by id.
    Silence,
    /// What was notified, by group and receiver.
    NotificationLog,
    /// Alerts, by fingerprint.
    Alert,
    /// State of rules, by group and rule.
    RuleState,
    /// Messages that are still to be sent, by id.
    Outbox,
    /// Configurations that were in force, by revision.
    ConfigRevision,
    /// Single facts, by name.
    Meta,
    /// Pushed groups, by key.
    PushGroup,
    /// Acknowledgements, by the alert's fingerprint.
    Ack,
    /// When an alert that is expected was last seen, by its name.
    Watch,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Silence,
        Self::NotificationLog,
        Self::Alert,
        Self::RuleState,
        Self::Outbox,
        Self::ConfigRevision,
        Self::Meta,
        Self::PushGroup,
        Self::Ack,
        Self::Watch,
    ];

    /// Those that databases of earlier releases may lack.
    pub(super) const LATER: [Self; 3] = [Self::PushGroup, Self::Ack, Self::Watch];

    /// What makes the table where it is not there yet: a database of an earlier release has fewer.
    pub(super) fn schema(self) -> String {
        format!(
            "CREATE TABLE IF NOT EXISTS {} (key TEXT PRIMARY KEY, value TEXT NOT NULL)
             WITHOUT ROWID;",
            self.name()
        )
    }

    /// The table's name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::NotificationLog => "notification_log",
            Self::Alert => "alert",
            Self::RuleState => "rule_state",
            Self::Outbox => "outbox",
            Self::ConfigRevision => "config_revision",
            Self::Meta => "meta",
            Self::PushGroup => "push_group",
            Self::Ack => "acknowledgement",
            Self::Watch => "watch",
        }
    }
}

/// One change of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateOp {
    /// Writes a document, replacing the one of that key.
    Put {
        /// Where.
        table: Table,
        /// Under which key.
        key: String,
        /// The document, as JSON.
        value: String,
    },
    /// Removes a document if it is there.
    Delete {
        /// Where.
        table: Table,
        /// Under which key.
        key: String,
    },
    /// Adds to the history.
    Record(HistoryEntry),
}

/// Something that happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryEntry {
    /// When.
    pub at: Timestamp,
    /// What kind of thing: `firing`, `resolved`, `notified`, `silenced`.
    pub kind: String,
    /// Which alert, as 16 hex digits; empty when it is about none.
    pub fingerprint: String,
    /// Its labels, as JSON.
    pub labels: String,
    /// The rest, as JSON.
    pub body: String,
}

/// Which part of the history is wanted.
#[derive(Clone, Debug, Default)]
pub struct HistoryQuery {
    /// Not before this.
    pub from: Option<Timestamp>,
    /// Not after this.
    pub to: Option<Timestamp>,
    /// This kind only.
    pub kind: Option<String>,
    /// This alert only: what has its fingerprint, and what names it among others.
    pub fingerprint: Option<String>,
    /// What follows this row when the newest come first.
    pub before: Option<HistoryPlace>,
    /// At most so many, the newest.
    pub limit: usize,
}

/// Where a row stands in the history: by its time, then in the order of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryPlace {
    /// The row's time.
    pub at: Timestamp,
    /// Its number.
    pub id: i64,
}

/// `1704067200000:17`.
impl fmt::Display for HistoryPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.at.as_millis(), self.id)
    }
}

impl FromStr for HistoryPlace {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let read = || {
            let (at, id) = text.split_once(':')?;
            Some(Self { at: Timestamp::from_millis(at.parse().ok()?), id: id.parse().ok()? })
        };
        read().ok_or_else(|| format!("cannot read cursor {text:?}; milliseconds:number is wanted"))
    }
}

/// The open database. Methods block; a change is on the disk when its call returns.
#[derive(Debug)]
pub struct StateDb {
    path: PathBuf,
    /// One writer, few and short reads: one connection serves both.
    connection: Mutex<Connection>,
    /// There is reason to check it: an unclean stop, or SQLite came upon damage.
    suspect: AtomicBool,
}

impl StateDb {
    pub(super) fn new(path: PathBuf, connection: Connection, suspect: bool) -> Self {
        let suspect = AtomicBool::new(suspect);
        Self { path, connection: Mutex::new(connection), suspect }
    }

    /// All documents of a table, by key.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn load(&self, table: Table) -> Result<Vec<(String, String)>> {
        let connection = self.lock();
        let sql = format!("SELECT key, value FROM {} ORDER BY key", table.name());
        let read = || {
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(Error::sql("read", &self.path))
    }

    /// One document.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn get(&self, table: Table, key: &str) -> Result<Option<String>> {
        let connection = self.lock();
        let sql = format!("SELECT value FROM {} WHERE key = ?1", table.name());
        connection
            .query_row(&sql, [key], |row| row.get(0))
            .optional()
            .map_err(Error::sql("read", &self.path))
    }

    /// Makes all of these changes, or none.
    ///
    /// # Errors
    /// The database cannot be written; then nothing has changed.
    pub fn apply(&self, ops: &[StateOp]) -> Result<()> {
        if ops.is_empty() {
            return Ok(());
        }
        let done = apply_all(&mut self.lock(), ops).map_err(Error::sql("write", &self.path));
        if done.as_ref().is_err_and(Error::is_damage) {
            self.suspect.store(true, Ordering::Relaxed);
        }
        done
    }

    /// What happened, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryEntry>> {
        Ok(self.history_page(query)?.into_iter().map(|(_, entry)| entry).collect())
    }

    /// What happened, newest first, and where it stands: `HistoryQuery::before` goes on there.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn history_page(&self, query: &HistoryQuery) -> Result<Vec<(HistoryPlace, HistoryEntry)>> {
        let connection = self.lock();
        let read = || {
            let mut statement = connection.prepare(
                "SELECT at_ms, kind, fingerprint, labels, body, id FROM history
                 WHERE at_ms BETWEEN ?1 AND ?2 AND (?3 IS NULL OR kind = ?3)
                   AND (?4 IS NULL OR fingerprint = ?4
                        OR (fingerprint = '' AND instr(body, ?4) > 0))
                   AND (at_ms < ?6 OR (at_ms = ?6 AND id < ?7))
                 ORDER BY at_ms DESC, id DESC LIMIT ?5",
            )?;
            let before =
                query.before.map_or((i64::MAX, i64::MAX), |place| (place.at.as_millis(), place.id));
            let bounds = (
                query.from.map_or(i64::MIN, Timestamp::as_millis),
                query.to.map_or(i64::MAX, Timestamp::as_millis).min(before.0),
                &query.kind,
                &query.fingerprint,
                i64::try_from(query.limit).unwrap_or(i64::MAX),
                before.0,
                before.1,
            );
            let rows = statement.query_map(bounds, |row| {
                let at = Timestamp::from_millis(row.get(0)?);
                let entry = HistoryEntry {
                    at,
                    kind: row.get(1)?,
                    fingerprint: row.get(2)?,
                    labels: row.get(3)?,
                    body: row.get(4)?,
                };
                Ok((HistoryPlace { at, id: row.get(5)? }, entry))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(Error::sql("read", &self.path))
    }

    /// Removes history from before `kept` ago, and the oldest of more entries than there may be. A
    /// call removes a few: the alerts need the database before the next one.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn prune_history(&self, now: Timestamp, kept: HistoryKept) -> Result<Pruned> {
        let oldest = now.minus(kept.age).as_millis();
        let rows = i64::try_from(kept.rows).unwrap_or(i64::MAX);
        let by_age = "DELETE FROM history WHERE id IN
                      (SELECT id FROM history WHERE at_ms < ?1 LIMIT ?2)";
        // Numbers follow each other: to count the rows would be to read them all.
        let by_rows = "DELETE FROM history WHERE id IN
                       (SELECT id FROM history
                        WHERE id <= (SELECT max(id) FROM history) - ?1 LIMIT ?2)";
        let mut pruned = Pruned { rows: 0, is_done: false };
        for (sql, bound) in [(by_age, oldest), (by_rows, rows)] {
            loop {
                if pruned.rows + usize::from(PRUNED_AT_ONCE) > PRUNED_MAX {
                    return Ok(pruned);
                }
                let done = self.lock().execute(sql, params![bound, PRUNED_AT_ONCE]);
                let done = done.map_err(Error::sql("write", &self.path))?;
                pruned.rows += done;
                if done < usize::from(PRUNED_AT_ONCE) {
                    break;
                }
            }
        }
        Ok(Pruned { is_done: true, ..pruned })
    }

    /// Whether there is reason to check it, told once.
    pub(super) fn take_suspicion(&self) -> bool {
        self.suspect.swap(false, Ordering::Relaxed)
    }

    /// What SQLite's `quick_check` finds wrong with it. Readers and writers go on meanwhile.
    pub(super) fn check(&self) -> Option<String> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let check = || {
            let connection = Connection::open_with_flags(&self.path, flags)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        };
        match check().map_err(Error::sql("check", &self.path)) {
            Ok(found) if found == "ok" => None,
            Ok(found) => Some(found),
            Err(err) if err.is_damage() => Some(err.with_causes()),
            Err(err) => {
                tracing::warn!(%err, "the state could not be checked");
                None
            }
        }
    }

    /// Moves all changes from SQLite's log into the database: a log with something in it is what
    /// an unclean stop leaves.
    ///
    /// # Errors
    /// The database cannot be written; nothing is lost.
    pub fn close(&self) -> Result<()> {
        self.lock()
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(Error::sql("close", &self.path))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        lock(&self.connection)
    }
}

fn apply_all(connection: &mut Connection, ops: &[StateOp]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    {
        let mut prepared = Prepared { connection: &transaction, statements: BTreeMap::new() };
        for op in ops {
            match op {
                StateOp::Put { table, key, value } => prepared
                    .statement(("put", table.name()), || {
                        format!(
                            "INSERT INTO {} (key, value) VALUES (?1, ?2)
                             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                            table.name()
                        )
                    })?
                    .execute([key, value])?,
                StateOp::Delete { table, key } => prepared
                    .statement(("delete", table.name()), || {
                        format!("DELETE FROM {} WHERE key = ?1", table.name())
                    })?
                    .execute([key])?,
                StateOp::Record(entry) => prepared
                    .statement(("record", "history"), || {
                        "INSERT INTO history (at_ms, kind, fingerprint, labels, body)
                         VALUES (?1, ?2, ?3, ?4, ?5)"
                            .to_owned()
                    })?
                    .execute(params![
                        entry.at.as_millis(),
                        entry.kind,
                        entry.fingerprint,
                        entry.labels,
                        entry.body
                    ])?,
            };
        }
    }
    transaction.commit()
}

/// Statements of one transaction: thousands of rows are written with few of them.
struct Prepared<'a> {
    connection: &'a Connection,
    statements: BTreeMap<(&'static str, &'static str), Statement<'a>>,
}

impl<'a> Prepared<'a> {
    /// The statement that does this to this table; `sql` makes it where it is new.
    fn statement(
        &mut self,
        what: (&'static str, &'static str),
        sql: impl FnOnce() -> String,
    ) -> rusqlite::Result<&mut Statement<'a>> {
        match self.statements.entry(what) {
            Entry::Occupied(found) => Ok(found.into_mut()),
            Entry::Vacant(new) => Ok(new.insert(self.connection.prepare(&sql())?)),
        }
    }
}

pub(super) fn schema() -> String {
    let mut sql = String::from(
        "CREATE TABLE history (
             id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, kind TEXT NOT NULL,
             fingerprint TEXT NOT NULL, labels TEXT NOT NULL, body TEXT NOT NULL);
         CREATE INDEX history_at ON history (at_ms);
         CREATE INDEX history_alert ON history (fingerprint, at_ms);",
    );
    Table::ALL.into_iter().for_each(|table| sql.push_str(&table.schema()));
    sql
}

/// Opens a mutable database in WAL mode and gives it `schema` when it is new.
///
/// # Errors
/// It cannot be opened or written, or its `user_version` is above `version`.
pub(super) fn open_database(
    path: &Path,
    synchronous: &str,
    version: u32,
    schema: &str,
) -> Result<Connection> {
    let mut connection = Connection::open(path).map_err(Error::sql("open", path))?;
    let set_up = |connection: &mut Connection| {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", synchronous)?;
        let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found == 0 {
            let transaction = connection.transaction()?;
            transaction.execute_batch(schema)?;
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()?;
        }
        Ok(found)
    };
    let found = set_up(&mut connection).map_err(Error::sql("open", path))?;
    if found > version {
        return Err(Error::Newer { path: path.to_owned(), found, known: version });
    }
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::damage::Damages;
    use crate::storage::salvage;

    fn open(dir: &Path) -> Result<StateDb> {
        let files = crate::sys::files::SystemFiles;
        let mut damages = Damages::looking(std::sync::Arc::new(files));
        salvage::open(&files, dir, &mut damages)
    }

    fn put(key: &str, value: &str) -> StateOp {
        StateOp::Put { table: Table::Silence, key: key.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn documents_survive_reopening_and_each_table_is_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(dir.path()).unwrap();
        db.apply(&[put("b", "1"), put("a", "2"), put("b", "3")]).unwrap();
        db.apply(&[StateOp::Delete { table: Table::Alert, key: "a".to_owned() }]).unwrap();
        drop(db);
        let db = open(dir.path()).unwrap();
        let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
        assert_eq!(db.load(Table::Silence).unwrap(), [pair("a", "2"), pair("b", "3")]);
        assert_eq!(db.load(Table::Alert).unwrap(), []);
        assert_eq!(db.get(Table::Silence, "b").unwrap().as_deref(), Some("3"));
        assert_eq!(db.check(), None);
    }

    #[test]
    fn history_answers_newest_first_and_forgets_the_oldest() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(dir.path()).unwrap();
        let day = 86_400_000;
        let entry = |at: i64, kind: &str| HistoryEntry {
            at: Timestamp::from_millis(at),
            kind: kind.to_owned(),
            ..HistoryEntry::default()
        };
        let ops: Vec<_> = [(0, "firing"), (50 * day, "resolved"), (99 * day, "firing")]
            .map(|(at, kind)| StateOp::Record(entry(at, kind)))
            .into();
        db.apply(&ops).unwrap();
        let firing =
            HistoryQuery { kind: Some("firing".to_owned()), limit: 9, ..Default::default() };
        let found = db.history(&firing).unwrap();
        assert_eq!(found, [entry(99 * day, "firing"), entry(0, "firing")]);
        let age = Duration::from_secs(90 * 24 * 3600);
        let (now, kept) = (Timestamp::from_millis(100 * day), HistoryKept { age, rows: 10 });
        let one = Pruned { rows: 1, is_done: true };
        assert_eq!(db.prune_history(now, kept).unwrap(), one);
        let all = HistoryQuery { limit: 9, ..Default::default() };
        assert_eq!(db.history(&all).unwrap().len(), 2);
        // Of more than there may be the newest stay.
        let kept = HistoryKept { age, rows: 1 };
        assert_eq!(db.prune_history(now, kept).unwrap(), one);
        assert_eq!(db.history(&all).unwrap(), [entry(99 * day, "firing")]);
    }

    #[test]
    fn one_removal_of_history_holds_the_database_for_a_few_entries_only() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(dir.path()).unwrap();
        let old = (0..4_600)
            .map(|at| HistoryEntry { at: Timestamp::from_millis(at), ..HistoryEntry::default() });
        let ops: Vec<_> = old.map(StateOp::Record).collect();
        db.apply(&ops).unwrap();
        // 2,600 are too old, and of the 2,000 that are not there may be 10.
        let age = Duration::from_millis(2_000);
        let (now, kept) = (Timestamp::from_millis(4_600), HistoryKept { age, rows: 10 });
        let calls: Vec<_> = (0..4)
            .map(|_| db.prune_history(now, kept).unwrap())
            .map(|pruned| (pruned.rows, pruned.is_done))
            .collect();
        assert_eq!(calls, [(2_000, false), (1_600, false), (990, true), (0, true)]);
        let all = HistoryQuery { limit: 99, ..Default::default() };
        assert_eq!(db.history(&all).unwrap().len(), 10);
    }

    #[test]
    fn pages_of_history_follow_each_other_and_an_alert_finds_what_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(dir.path()).unwrap();
        let entry = |at: i64, fingerprint: &str, body: &str| HistoryEntry {
            at: Timestamp::from_millis(at),
            fingerprint: fingerprint.to_owned(),
            body: body.to_owned(),
            ..HistoryEntry::default()
        };
        // Three of the same time: a page may end among them.
        let entries = [
            entry(1, "aa", "0"),
            entry(2, "aa", "1"),
            entry(2, "", "{aa}"),
            entry(2, "bb", "{aa}"),
            entry(3, "", "2"),
        ];
        let ops: Vec<_> = entries.iter().cloned().map(StateOp::Record).collect();
        db.apply(&ops).unwrap();
        let mut query = HistoryQuery { limit: 2, ..HistoryQuery::default() };
        let mut found = Vec::new();
        loop {
            let page = db.history_page(&query).unwrap();
            let Some((place, _)) = page.last() else { break };
            query.before = Some(place.to_string().parse().unwrap());
            found.extend(page.into_iter().map(|(_, entry)| entry));
        }
        found.reverse();
        assert_eq!(found, entries);
        let of_one = HistoryQuery {
            fingerprint: Some("aa".to_owned()),
            limit: 9,
            ..HistoryQuery::default()
        };
        let found = db.history(&of_one).unwrap();
        assert_eq!(found, [entries[2].clone(), entries[1].clone(), entries[0].clone()]);
        for text in ["", "1", "1:", ":1", "x:1", "1:2:3"] {
            assert!(text.parse::<HistoryPlace>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_database_of_a_later_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()).unwrap());
        let raw = Connection::open(dir.path().join("state.db")).unwrap();
        raw.pragma_update(None, "user_version", 99).unwrap();
        drop(raw);
        let text = open(dir.path()).unwrap_err().to_string();
        assert!(text.contains("its format is 99"), "{text}");
    }
}
