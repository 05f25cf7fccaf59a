//! A block's index, `index.db`: SQLite, written once, then opened as immutable.
//!
//! Series are numbered from 1 in the order of their labels, so that an ascending list of numbers
//! is a sorted list of label sets. Symbols are numbered in the order of their texts. Chunks of a
//! run of series are one blob: for each series the count of its chunks, and for each chunk the
//! distance of its first timestamp to the last one before, its span, the gap to the end of the
//! chunk before in the file, and its length.

use crate::model::Labels;
use crate::storage::codec::{Reader, put_signed, put_varint};
use rusqlite::{Connection, OpenFlags, params};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// The format of `index.db`, in its `user_version`.
pub(super) const INDEX_VERSION: u32 = 1;

/// Series of one chunk run.
pub(super) const RUN_SERIES: u32 = 256;

/// Where a chunk is, and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkRef {
    pub(super) min: i64,
    pub(super) max: i64,
    pub(super) offset: u64,
    pub(super) len: u32,
}

/// One series of a block that is being written.
#[derive(Clone, Debug)]
pub(super) struct IndexedSeries {
    pub(super) labels: Labels,
    pub(super) chunks: Vec<ChunkRef>,
}

/// Facts of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) series: u64,
    pub(super) samples: u64,
    pub(super) level: u32,
}

const SCHEMA: &str = "
    CREATE TABLE symbol (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
    CREATE TABLE series (id INTEGER PRIMARY KEY, labels BLOB NOT NULL);
    CREATE TABLE posting (name INTEGER NOT NULL, value INTEGER NOT NULL, count INTEGER NOT NULL,
                          ids BLOB NOT NULL, PRIMARY KEY (name, value)) WITHOUT ROWID;
    CREATE TABLE chunk_run (first INTEGER PRIMARY KEY, chunks BLOB NOT NULL);
    CREATE TABLE fact (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE VIEW label AS
        SELECT n.text AS name, v.text AS value, p.count AS series_count
        FROM posting p JOIN symbol n ON n.id = p.name JOIN symbol v ON v.id = p.value;
    CREATE VIEW metric AS
        SELECT value AS name, series_count FROM label WHERE name = '__name__';";

/// Writes the index of these series, which are in order of their labels.
///
/// # Errors
/// Those of SQLite.
pub(super) fn write(path: &Path, series: &[IndexedSeries], facts: Facts) -> rusqlite::Result<()> {
    let mut connection = Connection::open(path)?;
    // The file counts only once it is whole and synced, so SQLite need not guard the way there.
    connection.pragma_update(None, "journal_mode", "OFF")?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "user_version", INDEX_VERSION)?;
    let symbols = write_symbols(&transaction, series)?;
    write_series(&transaction, series, &symbols)?;
    write_chunk_runs(&transaction, series)?;
    let numbers = [
        ("series", i64::try_from(facts.series).unwrap_or(i64::MAX)),
        ("samples", i64::try_from(facts.samples).unwrap_or(i64::MAX)),
        ("level", i64::from(facts.level)),
    ];
    for (name, value) in numbers {
        transaction.execute("INSERT INTO fact VALUES (?1, ?2)", params![name, value])?;
    }
    transaction.commit()?;
    connection.close().map_err(|(_, err)| err)
}

fn write_symbols<'a>(
    to: &Connection,
    series: &'a [IndexedSeries],
) -> rusqlite::Result<HashMap<&'a str, u32>> {
    let texts = series.iter().flat_map(|one| one.labels.iter());
    let texts: BTreeSet<&str> = texts.flat_map(|(name, value)| [name, value]).collect();
    let mut insert = to.prepare("INSERT INTO symbol VALUES (?1, ?2)")?;
    let mut symbols = HashMap::with_capacity(texts.len());
    for (id, text) in (1_u32..).zip(texts) {
        insert.execute(params![id, text])?;
        symbols.insert(text, id);
    }
    Ok(symbols)
}

fn write_series(
    to: &Connection,
    series: &[IndexedSeries],
    symbols: &HashMap<&str, u32>,
) -> rusqlite::Result<()> {
    let mut insert = to.prepare("INSERT INTO series VALUES (?1, ?2)")?;
    let mut postings: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
    let symbol = |text: &str| symbols.get(text).copied().unwrap_or_default();
    for (id, one) in (1_u32..).zip(series) {
        let mut coded = Vec::new();
        for (name, value) in &one.labels {
            let (name, value) = (symbol(name), symbol(value));
            put_varint(&mut coded, u64::from(name));
            put_varint(&mut coded, u64::from(value));
            postings.entry((name, value)).or_default().push(id);
        }
        insert.execute(params![id, coded])?;
    }
    let mut insert = to.prepare("INSERT INTO posting VALUES (?1, ?2, ?3, ?4)")?;
    for ((name, value), ids) in postings {
        let mut coded = Vec::new();
        let mut before = 0;
        for id in &ids {
            put_varint(&mut coded, u64::from(id - before));
            before = *id;
        }
        let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
        insert.execute(params![name, value, count, coded])?;
    }
    Ok(())
}

fn write_chunk_runs(to: &Connection, series: &[IndexedSeries]) -> rusqlite::Result<()> {
    let mut insert = to.prepare("INSERT INTO chunk_run VALUES (?1, ?2)")?;
    let run_series = usize::try_from(RUN_SERIES).expect("256 fits");
    for (run, first) in series.chunks(run_series).zip((1_u32..).step_by(run_series)) {
        let mut coded = Vec::new();
        let mut end = 0;
        for one in run {
            put_varint(&mut coded, one.chunks.len() as u64);
            let mut last = 0_i64;
            for chunk in &one.chunks {
                put_signed(&mut coded, chunk.min.wrapping_sub(last));
                put_varint(&mut coded, chunk.max.abs_diff(chunk.min));
                put_varint(&mut coded, chunk.offset.wrapping_sub(end));
                put_varint(&mut coded, u64::from(chunk.len));
                last = chunk.max;
                end = chunk.offset + u64::from(chunk.len);
            }
        }
        insert.execute(params![first, coded])?;
    }
    Ok(())
}

/// Reads a chunk run; `None` when the bytes make no sense.
pub(super) fn read_chunk_run(coded: &[u8]) -> Option<Vec<Vec<ChunkRef>>> {
    let mut reader = Reader::new(coded);
    let mut all = Vec::new();
    let mut end = 0_u64;
    while !reader.is_empty() {
        let mut chunks = Vec::new();
        let mut last = 0_i64;
        for _ in 0..reader.count()? {
            let min = last.wrapping_add(reader.signed()?);
            let max = min.checked_add_unsigned(reader.varint()?)?;
            let offset = end.checked_add(reader.varint()?)?;
            let len = u32::try_from(reader.varint()?).ok()?;
            end = offset.checked_add(u64::from(len))?;
            last = max;
            chunks.push(ChunkRef { min, max, offset, len });
        }
        all.push(chunks);
    }
    Some(all)
}

/// Reads a posting list; `None` when the bytes make no sense.
pub(super) fn read_posting(coded: &[u8]) -> Option<Vec<u32>> {
    let mut reader = Reader::new(coded);
    let mut ids = Vec::new();
    let mut before = 0_u32;
    while !reader.is_empty() {
        before = before.checked_add(u32::try_from(reader.varint()?).ok()?)?;
        ids.push(before);
    }
    Some(ids)
}

/// Opens a finished index.
///
/// # Errors
/// Those of SQLite.
pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    // What a URI gives a meaning to has to be written in hex.
    let mut uri = String::from("file:");
    for c in path.to_string_lossy().chars() {
        match c {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            c => uri.push(c),
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri, flags)?;
    // 512 KiB a block: the postings cache holds what is asked for again.
    connection.pragma_update(None, "cache_size", -512)?;
    Ok(connection)
}

/// Format and facts of an index.
///
/// # Errors
/// Those of SQLite.
pub(super) fn read_facts(connection: &Connection) -> rusqlite::Result<(u32, Facts)> {
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let mut facts = Facts::default();
    let mut statement = connection.prepare("SELECT name, value FROM fact")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let value: i64 = row.get(1)?;
        let value = u64::try_from(value).unwrap_or(0);
        match name.as_str() {
            "series" => facts.series = value,
            "samples" => facts.samples = value,
            "level" => facts.level = u32::try_from(value).unwrap_or(0),
            // A later version may add facts without changing the format.
            _later => {}
        }
    }
    Ok((version, facts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_blob_is_refused_or_read(bytes: Vec<u8>) {
            let _ = (read_chunk_run(&bytes), read_posting(&bytes));
        }
    }

    #[test]
    fn the_index_reads_with_plain_sql() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.db");
        let series: Vec<_> = [("a", 24), ("b", 38)]
            .map(|(job, offset)| IndexedSeries {
                labels: Labels::from_pairs([("__name__", "up"), ("job", job)]),
                chunks: vec![
                    ChunkRef { min: 10, max: 20, offset, len: 9 },
                    ChunkRef { min: 30, max: 30, offset: offset + 9, len: 5 },
                ],
            })
            .into();
        write(&path, &series, Facts { series: 2, samples: 8, level: 1 }).unwrap();
        let index = open(&path).unwrap();
        assert_eq!(read_facts(&index).unwrap(), (1, Facts { series: 2, samples: 8, level: 1 }));
        let count: i64 = index
            .query_row("SELECT series_count FROM metric WHERE name = 'up'", [], |row| row.get(0))
            .unwrap();
        assert_eq!(count, 2);
        let run: Vec<u8> =
            index.query_row("SELECT chunks FROM chunk_run", [], |row| row.get(0)).unwrap();
        let expected: Vec<_> = series.iter().map(|one| one.chunks.clone()).collect();
        assert_eq!(read_chunk_run(&run), Some(expected));
    }
}
