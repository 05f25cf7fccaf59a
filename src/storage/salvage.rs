//! Opening `state.db` whatever has become of it: a damaged one goes to quarantine, and what can
//! still be read of it is carried over into a new one.
//!
//! The new one is made whole beside the old one (`state.db.new`) before that is moved, so that a
//! crash at any point loses nothing more.

use super::damage::Damages;
use super::error::{Error, Result};
use super::state::{STATE_VERSION, StateDb, Table, open_database, schema};
use super::store::Storage;
use crate::sys::files::Files;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, Transaction, TransactionBehavior};
use std::path::{Path, PathBuf};

/// A larger database is not copied to be read.
const FILE_BYTES_MAX: u64 = 1 << 30;

impl Storage {
    /// Opens `state.db`; damage is told, see `Status::damages`.
    ///
    /// # Errors
    /// It was written by a later version, or cannot be read or written at all.
    pub fn open_state(&self) -> Result<StateDb> {
        let mut damages = self.damages();
        let opened = open(&*self.files, &self.dir, &mut damages);
        self.tell_damages(damages);
        opened
    }

    /// Checks the state when there is reason to; what is found is told, and mended by the next
    /// start. To be called now and then, in the background.
    pub fn check_state(&self, state: &StateDb) {
        if !state.take_suspicion() {
            return;
        }
        let Some(found) = state.check() else { return };
        let mut damages = self.damages();
        let mark = Paths::of(&self.dir).mark;
        let left = leave_mark(&*self.files, &mark, &found);
        damages.note(format!(
            "{} is damaged: {found}; the next start carries over what can be read",
            self.dir.join("state.db").display()
        ));
        if let Err(err) = left {
            damages.note(format!("cannot write {}: {err}", mark.display()));
        }
        self.tell_damages(damages);
    }
}

/// The names that mending uses.
struct Paths {
    main: PathBuf,
    /// SQLite's log and its index of that.
    beside: [PathBuf; 2],
    /// What a check found: mend with the next start.
    mark: PathBuf,
    /// A copy that is read, and its log.
    copy: PathBuf,
    copy_log: PathBuf,
    /// The new one while it is made, and when it is whole.
    made: PathBuf,
    new: PathBuf,
}

impl Paths {
    fn of(dir: &Path) -> Self {
        let named = |end: &str| dir.join(format!("state.db{end}"));
        Self {
            main: named(""),
            beside: [named("-wal"), named("-shm")],
            mark: named(".damaged"),
            copy: named(".copy"),
            copy_log: named(".copy-wal"),
            made: named(".tmp"),
            new: named(".new"),
        }
    }

    fn log(&self) -> &Path {
        &self.beside[0]
    }
}

/// Opens `state.db` in `dir`, making it if there is none, mending it if it is damaged.
///
/// # Errors
/// It was written by a later version, or cannot be read or written at all.
pub(super) fn open(files: &dyn Files, dir: &Path, damages: &mut Damages) -> Result<StateDb> {
    let paths = Paths::of(dir);
    finish_mending(files, &paths, damages)?;
    let log = files.read(paths.log(), FILE_BYTES_MAX).unwrap_or_default();
    let len = files.open_read_only(&paths.main).and_then(|file| file.byte_len()).ok();
    // Without either it was never there. One that is smaller than a page is empty to SQLite.
    if len.is_some_and(|len| len < 512) || (len.is_none() && !log.is_empty()) {
        damages.note(format!(
            "{} is gone, with the silences, alerts and notifications in it; a new one is begun",
            paths.main.display()
        ));
        damages.set_aside(&paths.main);
        paths.beside.iter().for_each(|path| damages.set_aside(path));
    } else if let Some(at) = log_damage(&log) {
        damages.quarantine(paths.log(), at as u64, log.get(at..).unwrap_or_default());
    }
    let marked = files.read(&paths.mark, 1 << 16).ok();
    let opened = open_whole(files, &paths.main);
    let why = match (opened, marked) {
        (Ok(connection), None) => {
            return Ok(StateDb::new(paths.main, connection, !log.is_empty()));
        }
        (Ok(_), Some(found)) => String::from_utf8_lossy(&found).into_owned(),
        (Err(err), _) if err.is_damage() => err.with_causes(),
        (Err(err), _) => return Err(err),
    };
    mend(files, &paths, &why, damages)?;
    let connection = open_whole(files, &paths.main)?;
    Ok(StateDb::new(paths.main, connection, false))
}

/// Opens it and looks at everything that a start needs; not at the history, which may be long.
fn open_whole(files: &dyn Files, path: &Path) -> Result<Connection> {
    let mut connection = open_database(path, "FULL", STATE_VERSION, &schema())?;
    let look = |connection: &mut Connection| {
        // What a release before did not have; older ones take no notice of it.
        for table in Table::LATER {
            connection.execute_batch(&table.schema())?;
        }
        for table in Table::ALL {
            let sql = format!("SELECT key, value FROM {}", table.name());
            let mut statement = connection.prepare(&sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let _: (String, String) = (row.get(0)?, row.get(1)?);
            }
        }
        connection.prepare("SELECT at_ms, kind, fingerprint, labels, body FROM history")?;
        // A damaged head may forbid writing.
        connection.transaction_with_behavior(TransactionBehavior::Immediate)?.commit()
    };
    match look(&mut connection) {
        Ok(()) => Ok(connection),
        Err(err)
            if err.sqlite_error_code() == Some(rusqlite::ErrorCode::ReadOnly)
                && files.open(path).is_ok() =>
        {
            let what = "its head forbids writing".to_owned();
            Err(Error::Damaged { path: path.to_owned(), what })
        }
        Err(err) => Err(Error::sql("read", path)(err)),
    }
}

/// Ends a mending that was broken off.
fn finish_mending(files: &dyn Files, paths: &Paths, damages: &mut Damages) -> Result<()> {
    for left in [&paths.copy, &paths.copy_log, &paths.made] {
        // Made anew when it is needed.
        let _ = files.remove(left);
    }
    if !exists(files, &paths.new) {
        return Ok(());
    }
    if exists(files, &paths.main) {
        // The old one was not moved yet: it is looked at again.
        return files.remove(&paths.new).map_err(Error::io("remove", &paths.new));
    }
    damages.note(format!(
        "{} was damaged; the start before this one carried over what could be read",
        paths.main.display()
    ));
    put_in_place(files, paths, damages)
}

/// Moves the old one to quarantine and the new one to its place.
fn put_in_place(files: &dyn Files, paths: &Paths, damages: &mut Damages) -> Result<()> {
    // This first: from here on the new one counts, see `finish_mending`.
    damages.set_aside(&paths.main);
    for path in &paths.beside {
        damages.set_aside(path);
        // SQLite would take a left-over log for that of the new one.
        let _ = files.remove(path);
    }
    if let Some(dir) = paths.main.parent() {
        files.sync_dir(dir).map_err(Error::io("sync directory", dir))?;
    }
    files.rename(&paths.new, &paths.main).map_err(Error::io("name", &paths.main))?;
    let _ = files.remove(&paths.mark);
    Ok(())
}

fn mend(files: &dyn Files, paths: &Paths, why: &str, damages: &mut Damages) -> Result<()> {
    let make = Error::sql("make", &paths.made);
    let mut new = Connection::open(&paths.made).map_err(make)?;
    let begin = |new: &Connection| {
        new.execute_batch(&schema())?;
        new.pragma_update(None, "user_version", STATE_VERSION)
    };
    begin(&new).map_err(Error::sql("make", &paths.made))?;
    let carried = carry_over(files, paths, &mut new)?;
    drop(new);
    let made = files.open(&paths.made).and_then(|file| file.sync_data());
    made.and_then(|()| files.rename(&paths.made, &paths.new))
        .map_err(Error::io("make", &paths.new))?;
    damages.note(format!("{why}; it went to quarantine, {carried}"));
    put_in_place(files, paths, damages)?;
    for left in [&paths.copy, &paths.copy_log] {
        let _ = files.remove(left);
    }
    Ok(())
}

/// Reads a copy of the old one, as it is, and where that fails with a first page that is whole:
/// it says where tables are, and is the same in every `state.db`. Answers what was lost.
fn carry_over(files: &dyn Files, paths: &Paths, new: &mut Connection) -> Result<String> {
    let copied = copy(files, &paths.main, &paths.copy);
    let copied = copied.and_then(|()| match copy(files, paths.log(), &paths.copy_log) {
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    });
    if let Err(err) = copied {
        return Ok(format!("and nothing could be carried over: {err}"));
    }
    let first_page =
        files.read(&paths.made, FILE_BYTES_MAX).map_err(Error::io("read", &paths.made))?;
    let mut rows = 0;
    let mut lost: Vec<(&str, String)> = Vec::new();
    for mended_head in [false, true] {
        if mended_head {
            put_head(files, &paths.copy, &first_page).map_err(Error::io("mend", &paths.copy))?;
        }
        let before = std::mem::take(&mut lost);
        let wanted = |name: &str| !mended_head || before.iter().any(|(table, _)| *table == name);
        let transaction = new.transaction().map_err(Error::sql("write", &paths.made))?;
        for (name, columns) in sources().into_iter().filter(|(name, _)| wanted(name)) {
            let read = Connection::open(&paths.copy).and_then(|old| {
                if is_of_before(&old, name) {
                    return Ok(None);
                }
                carry_table(&old, &transaction, name, columns, &mut rows)
            });
            match read.map_err(Error::sql("read", &paths.copy)) {
                Ok(None) => {}
                Ok(Some(why)) => lost.push((name, why)),
                Err(err) if err.is_damage() => lost.push((name, err.with_causes())),
                Err(err) => return Err(err),
            }
        }
        transaction.commit().map_err(Error::sql("write", &paths.made))?;
        if lost.is_empty() {
            break;
        }
    }
    let lost: Vec<_> = lost.iter().map(|(name, why)| format!("{name} ({why})")).collect();
    Ok(match lost.as_slice() {
        [] => format!("all {rows} rows that it had were carried over into a new one"),
        lost => format!(
            "{rows} rows were carried over into a new one; rows are lost of {}",
            lost.join(", ")
        ),
    })
}

/// Whether the database is of a release that did not have this table.
fn is_of_before(old: &Connection, name: &str) -> bool {
    let has = |name: &str| {
        let sql = "SELECT count(*) FROM sqlite_master WHERE name = ?1";
        old.query_row(sql, [name], |row| row.get::<_, i64>(0))
    };
    let later = Table::LATER.iter().any(|table| table.name() == name);
    later && has(name) == Ok(0) && has(Table::Silence.name()) == Ok(1)
}

/// Tables, each with its columns; the first is its key.
fn sources() -> Vec<(&'static str, &'static str)> {
    let documents = Table::ALL.map(|table| (table.name(), "key, value"));
    let history = ("history", "id, at_ms, kind, fingerprint, labels, body");
    documents.into_iter().chain([history]).collect()
}

/// Carries over the rows of one table: from its begin until an error, then from its end until
/// one. Answers the error.
///
/// # Errors
/// The table cannot be read at all, or the new one cannot be written.
fn carry_table(
    old: &Connection,
    new: &Transaction<'_>,
    name: &str,
    columns: &str,
    rows: &mut u64,
) -> rusqlite::Result<Option<String>> {
    let count = columns.split(',').count();
    let (key, _) = columns.split_once(',').unwrap_or_default();
    let places = vec!["?"; count].join(", ");
    let mut put =
        new.prepare(&format!("INSERT OR IGNORE INTO {name} ({columns}) VALUES ({places})"))?;
    let mut failed = None;
    for order in ["ASC", "DESC"] {
        let mut get =
            old.prepare(&format!("SELECT {columns} FROM {name} ORDER BY {key} {order}"))?;
        let mut found = get.query([])?;
        let mut before: Option<Value> = None;
        let stopped = loop {
            let row = match found.next() {
                Ok(Some(row)) => row,
                Ok(None) => break None,
                Err(err) => break Some(err.to_string()),
            };
            let Some(values) = values_of(row, count) else {
                failed.get_or_insert_with(|| "a row is no row of it".to_owned());
                continue;
            };
            // Keys that do not rise are those of a damaged tree, which may have no end.
            let rises = before.as_ref().is_none_or(|before| {
                values.first().is_some_and(|key| is_before(before, key) == (order == "ASC"))
            });
            if !rises {
                break Some("its rows are in disorder".to_owned());
            }
            before = values.first().cloned();
            *rows += put.execute(rusqlite::params_from_iter(values))? as u64;
        };
        match stopped {
            None => break,
            Some(why) => failed = Some(why),
        }
    }
    Ok(failed)
}

/// The values of a row, if they are numbers and texts.
fn values_of(row: &Row<'_>, count: usize) -> Option<Vec<Value>> {
    let value = |place| match row.get::<_, Value>(place) {
        Ok(value @ (Value::Integer(_) | Value::Text(_))) => Some(value),
        Ok(Value::Null | Value::Real(_) | Value::Blob(_)) | Err(_) => None,
    };
    (0..count).map(value).collect()
}

fn is_before(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Integer(one), Value::Integer(other)) => one < other,
        (Value::Text(one), Value::Text(other)) => one < other,
        _unlike => false,
    }
}

/// Puts the first page of a new database with this schema in the place of `path`'s own.
///
/// Source: the SQLite file format, section 1.3 (the database header).
fn put_head(files: &dyn Files, path: &Path, new: &[u8]) -> std::io::Result<()> {
    let page_bytes = match new.get(16..18) {
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
        _ => 0,
    };
    let mut page = new.get(..page_bytes).unwrap_or_default().to_vec();
    let file = files.open(path)?;
    let pages = u32::try_from(file.byte_len()? / (page_bytes as u64).max(1)).unwrap_or(u32::MAX);
    // Write and read version: with a log. Then the length in pages.
    for (at, bytes) in [(18, &[2, 2][..]), (28, &pages.to_be_bytes())] {
        if let Some(place) = page.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
    file.write_all_at(&page, 0)
}

fn copy(files: &dyn Files, from: &Path, to: &Path) -> std::io::Result<()> {
    let bytes = files.read(from, FILE_BYTES_MAX)?;
    files.create(to)?.write_all_at(&bytes, 0)
}

fn exists(files: &dyn Files, path: &Path) -> bool {
    files.open_read_only(path).is_ok()
}

fn leave_mark(files: &dyn Files, path: &Path, text: &str) -> std::io::Result<()> {
    let _ = files.remove(path);
    let file = files.create(path)?;
    file.write_all_at(text.as_bytes(), 0)?;
    file.sync_data()?;
    path.parent().map_or(Ok(()), |dir| files.sync_dir(dir))
}

/// Where SQLite's log stops being whole, although it once went on; SQLite ignores all from there.
///
/// Source: the SQLite file format, section 4 (the write-ahead log).
fn log_damage(log: &[u8]) -> Option<usize> {
    const HEAD: usize = 32;
    const FRAME_HEAD: usize = 24;
    if log.iter().all(|byte| *byte == 0) {
        return None;
    }
    if log.len() < HEAD {
        return Some(0);
    }
    let word = |bytes: &[u8], at: usize| {
        bytes.get(at..at + 4).and_then(|four| Some(u32::from_be_bytes(four.try_into().ok()?)))
    };
    let (magic, page_bytes) = (word(log, 0)?, usize::try_from(word(log, 8)?).ok()?);
    let (restarts, salt) = (word(log, 12)?, word(log, 16)?);
    let head = log.get(..24)?;
    let mut sums = checksum((0, 0), head, magic);
    let is_head = magic & !1 == 0x377f_0682
        && (512..=1 << 16).contains(&page_bytes)
        && (word(log, 24), word(log, 28)) == (Some(sums.0), Some(sums.1));
    if !is_head {
        return Some(0);
    }
    let mut ended = None;
    let mut at = HEAD;
    while let Some(rest) = log.get(at..).filter(|rest| !rest.is_empty()) {
        let frame = rest.get(..FRAME_HEAD + page_bytes).unwrap_or(rest);
        let of_now = frame.get(8..16) == log.get(16..24);
        // What lies behind the end is of a round before: its salt was counted up since.
        let of_before = word(frame, 8)
            .is_some_and(|before| (1..=restarts).contains(&salt.wrapping_sub(before)));
        let part = |range| frame.get(range).unwrap_or_default();
        let (said, body) = (part(0..8), part(FRAME_HEAD..frame.len()));
        let next = checksum(checksum(sums, said, magic), body, magic);
        let whole = of_now && (word(frame, 16), word(frame, 20)) == (Some(next.0), Some(next.1));
        if whole && ended.is_none() {
            sums = next;
        } else if of_now && frame.len() == FRAME_HEAD {
            // The process was killed between the two writes of a frame.
        } else if of_now || !of_before {
            return Some(ended.unwrap_or(at));
        } else {
            ended = ended.or(Some(at));
        }
        at += frame.len();
    }
    None
}

fn checksum((mut one, mut two): (u32, u32), bytes: &[u8], magic: u32) -> (u32, u32) {
    let word = |four: &[u8]| match <[u8; 4]>::try_from(four) {
        Ok(four) if magic & 1 == 1 => u32::from_be_bytes(four),
        Ok(four) => u32::from_le_bytes(four),
        Err(_) => 0,
    };
    for pair in bytes.chunks(8) {
        one = one.wrapping_add(word(pair.get(..4).unwrap_or_default())).wrapping_add(two);
        two = two.wrapping_add(word(pair.get(4..).unwrap_or_default())).wrapping_add(one);
    }
    (one, two)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::storage::state::{HistoryEntry, HistoryQuery, StateOp};
    use crate::sys::files::SystemFiles;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    const PAGE: usize = 4096;

    struct Setting {
        dir: tempfile::TempDir,
        damages: Damages,
    }

    type Documents = BTreeMap<String, String>;

    impl Setting {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let damages = Damages::new(Arc::new(SystemFiles), dir.path().join("quarantine"));
            Self { dir, damages }
        }

        #[track_caller]
        fn open(&mut self) -> StateDb {
            open(&SystemFiles, self.dir.path(), &mut self.damages).unwrap()
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        /// Silences that take many pages, and some history; what the silences are.
        fn fill(&mut self) -> Documents {
            let silence = |one| (format!("id{one:04}"), format!("{one:0200}"));
            let silences: Documents = (0..300).map(silence).collect();
            let puts = silences.iter().map(|(key, value)| StateOp::Put {
                table: Table::Silence,
                key: key.clone(),
                value: value.clone(),
            });
            let entry = |at| HistoryEntry { at: Timestamp::from_millis(at), ..Default::default() };
            let ops: Vec<_> = puts.chain((0..5).map(|at| StateOp::Record(entry(at)))).collect();
            let db = self.open();
            db.apply(&ops).unwrap();
            db.close().unwrap();
            silences
        }

        fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
            let mut bytes = std::fs::read(self.path(name)).unwrap();
            change(&mut bytes);
            std::fs::write(self.path(name), bytes).unwrap();
        }

        fn told(self) -> Vec<String> {
            self.damages.into_notes()
        }
    }

    fn silences(db: &StateDb) -> Documents {
        db.load(Table::Silence).unwrap().into_iter().collect()
    }

    fn history(db: &StateDb) -> usize {
        db.history(&HistoryQuery { limit: 99, ..Default::default() }).unwrap().len()
    }

    #[test]
    fn a_damaged_head_loses_nothing_and_the_old_file_is_kept() {
        for bytes in [0..16, 16..18, 18..20, 0..100, 0..PAGE] {
            let mut setting = Setting::new();
            let written = setting.fill();
            setting.damage("state.db", |all| all[bytes.clone()].fill(9));
            let damaged = std::fs::read(setting.path("state.db")).unwrap();
            let db = setting.open();
            assert_eq!(silences(&db), written, "{bytes:?}");
            assert_eq!(history(&db), 5, "{bytes:?}");
            assert_eq!(db.check(), None);
            assert_eq!(std::fs::read(setting.path("quarantine/state.db")).unwrap(), damaged);
            drop(db);
            drop(setting.open());
            let told = setting.told();
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].contains("state.db") && told[0].contains("all 305 rows"), "{told:?}");
        }
    }

    #[test]
    fn a_database_of_a_release_with_fewer_tables_is_opened_and_mended() {
        for damage in ["", "mark", "head"] {
            let mut setting = Setting::new();
            let written = setting.fill();
            let raw = Connection::open(setting.path("state.db")).unwrap();
            for table in Table::LATER {
                raw.execute_batch(&format!("DROP TABLE {}", table.name())).unwrap();
            }
            drop(raw);
            match damage {
                "mark" => {
                    let mark = setting.path("state.db.damaged");
                    leave_mark(&SystemFiles, &mark, "odd").unwrap();
                }
                // Nothing may be written, so the table is not made either.
                "head" => setting.damage("state.db", |all| all[18] = 9),
                _ => {}
            }
            let db = setting.open();
            assert_eq!(silences(&db), written);
            for table in Table::LATER {
                let (key, value) = ("k".to_owned(), "{}".to_owned());
                db.apply(&[StateOp::Put { table, key, value }]).unwrap();
            }
            drop(db);
            let again = setting.open();
            assert!(Table::LATER.iter().all(|table| again.load(*table).unwrap().len() == 1));
            drop(again);
            let told = setting.told();
            assert_eq!(told.len(), usize::from(!damage.is_empty()), "{told:?}");
            assert!(told.iter().all(|text| text.contains("all 305 rows")), "{told:?}");
        }
    }

    #[test]
    fn rows_before_and_behind_a_zeroed_page_are_carried_over_and_the_loss_is_told() {
        let mut setting = Setting::new();
        let written = setting.fill();
        setting.damage("state.db", |all| {
            let holds = |page: &[u8], key: &[u8]| page.windows(6).any(|six| six == key);
            let is_leaf = |page: &[u8]| page[0] == 10 && holds(page, b"id0150");
            all.chunks_mut(PAGE).find(|page| is_leaf(page)).unwrap().fill(0);
        });
        let db = setting.open();
        let left = silences(&db);
        assert!(left.len() > 100 && left.len() < 300, "{}", left.len());
        assert!(left.contains_key("id0000") && left.contains_key("id0299"));
        assert!(left.iter().all(|(key, value)| written.get(key) == Some(value)));
        assert_eq!(history(&db), 5);
        let told = setting.told();
        assert!(told.len() == 1 && told[0].contains("rows are lost of silence"), "{told:?}");
    }

    #[test]
    fn a_truncated_or_foreign_file_is_begun_anew_with_what_is_left() {
        for len in [0, 1, 100, PAGE, 3 * PAGE, 5 * PAGE + 7] {
            let mut setting = Setting::new();
            let written = setting.fill();
            setting.damage("state.db", |all| all.truncate(len));
            let db = setting.open();
            assert!(silences(&db).iter().all(|(key, value)| written.get(key) == Some(value)));
            db.apply(&[StateOp::Delete { table: Table::Alert, key: "a".to_owned() }]).unwrap();
            assert_eq!(setting.told().len(), 1, "{len}");
        }
    }

    #[test]
    fn changes_in_a_damaged_log_are_told_and_a_whole_log_is_not() {
        for (cut, is_whole) in [(None, true), (Some(3), false), (Some(32 + 30), false)] {
            let mut setting = Setting::new();
            let written = setting.fill();
            let db = setting.open();
            let put = |key: &str| StateOp::Put {
                table: Table::Silence,
                key: key.to_owned(),
                value: "{}".to_owned(),
            };
            db.apply(&[put("x")]).unwrap();
            db.apply(&[put("y")]).unwrap();
            // As a kill leaves it.
            for name in ["state.db", "state.db-wal"] {
                std::fs::copy(setting.path(name), setting.path(&format!("{name}.kept"))).unwrap();
            }
            drop(db);
            for name in ["state.db", "state.db-wal"] {
                std::fs::rename(setting.path(&format!("{name}.kept")), setting.path(name)).unwrap();
            }
            if let Some(at) = cut {
                setting.damage("state.db-wal", |all| all[at] ^= 4);
            }
            let db = setting.open();
            assert!(db.take_suspicion() && !db.take_suspicion(), "an unclean stop");
            let found = silences(&db);
            assert!(written.iter().all(|(key, value)| found.get(key) == Some(value)));
            assert_eq!(found.contains_key("x") && found.contains_key("y"), is_whole);
            drop(db);
            let told = setting.told();
            assert_eq!(told.is_empty(), is_whole, "{told:?}");
            assert!(told.iter().all(|text| text.contains("state.db-wal")), "{told:?}");
        }
    }

    #[test]
    fn rounds_of_the_log_before_are_no_damage() {
        let mut setting = Setting::new();
        setting.fill();
        let db = setting.open();
        let raw = Connection::open(setting.path("state.db")).unwrap();
        for round in 0..6 {
            let mut ops = Vec::new();
            for one in 0..(40 - round * 6) {
                let (key, value) = (format!("{round}-{one}"), "v".repeat(500));
                ops.push(StateOp::Put { table: Table::Meta, key, value });
            }
            db.apply(&ops).unwrap();
            if round % 2 == 0 {
                // The next change begins the log again over what is there.
                raw.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
            }
            let log = std::fs::read(setting.path("state.db-wal")).unwrap();
            assert_eq!(log_damage(&log), None, "round {round}");
            let mut torn = log.clone();
            torn[32 + 24 + 5] ^= 1;
            assert_eq!(log_damage(&torn), Some(32), "round {round}");
        }
    }

    #[test]
    fn a_check_that_finds_damage_is_acted_upon_by_the_next_start() {
        let mut setting = Setting::new();
        let written = setting.fill();
        leave_mark(&SystemFiles, &setting.path("state.db.damaged"), "a page is odd").unwrap();
        assert_eq!(silences(&setting.open()), written);
        assert!(!setting.path("state.db.damaged").exists());
        assert_eq!(silences(&setting.open()), written);
        let told = setting.told();
        assert!(told.len() == 1 && told[0].starts_with("a page is odd"), "{told:?}");
    }

    #[test]
    fn a_mending_that_was_broken_off_is_ended() {
        let mut setting = Setting::new();
        let written = setting.fill();
        // Whole, and the old one moved already: only the name is missing.
        std::fs::rename(setting.path("state.db"), setting.path("state.db.new")).unwrap();
        std::fs::write(setting.path("state.db-wal"), [1; 900]).unwrap();
        assert_eq!(silences(&setting.open()), written);
        // The old one is still there: it is looked at again.
        std::fs::write(setting.path("state.db.new"), [1; 900]).unwrap();
        std::fs::write(setting.path("state.db.tmp"), [1; 900]).unwrap();
        assert_eq!(silences(&setting.open()), written);
        let names = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        let left: Vec<_> = std::fs::read_dir(setting.dir.path()).unwrap().map(names).collect();
        assert!(left.iter().all(|name| name == "state.db" || name == "quarantine"), "{left:?}");
    }
}
