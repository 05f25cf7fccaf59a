//! A block's index, `index.db`: SQLite, written once, then opened as immutable.
//!
//! Series are numbered from 1 in the order of their labels, so that an ascending list of numbers
//! is a sorted list of label sets. Symbols are numbered in the order of their texts. Series lie in
//! runs of 256, two blobs each. Labels: for each series how many pairs it shares with the one
//! before from the start, how many follow, and those as symbols. Spans: for each series its first
//! timestamp, its length in time and its first page as distances to those of the series before,
//! and how many pages follow. A row for each series took 12 bytes more.

use super::chunks::Span;
use crate::model::Labels;
use crate::storage::codec::{Reader, put_signed, put_varint};
use rusqlite::{Connection, OpenFlags, params};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The format of `index.db`, in its `user_version`.
pub(super) const INDEX_VERSION: u32 = 1;

/// Series of one run.
pub(super) const RUN_SERIES: u32 = 256;

/// Where a page is in `chunks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageRef {
    pub(super) offset: u64,
    pub(super) len: u32,
}

/// Facts of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) series: u64,
    pub(crate) samples: u64,
    pub(crate) level: u32,
    /// Names of the blocks that it was merged from; they go when this one is there.
    pub(super) sources: Vec<String>,
    /// Up to where the head's samples were taken over; `None` when none were.
    pub(super) cut_end: Option<i64>,
}

const SCHEMA: &str = "
    CREATE TABLE symbol (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
    CREATE TABLE posting (name INTEGER NOT NULL, value INTEGER NOT NULL, count INTEGER NOT NULL,
                          ids BLOB NOT NULL, PRIMARY KEY (name, value)) WITHOUT ROWID;
    CREATE TABLE page (id INTEGER PRIMARY KEY, offset INTEGER NOT NULL, length INTEGER NOT NULL);
    CREATE TABLE series_run (first INTEGER PRIMARY KEY, labels BLOB NOT NULL,
                             spans BLOB NOT NULL);
    CREATE TABLE fact (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE source (block TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE VIEW label AS
        SELECT n.text AS name, v.text AS value, p.count AS series_count
        FROM posting p JOIN symbol n ON n.id = p.name JOIN symbol v ON v.id = p.value;
    CREATE VIEW metric AS
        SELECT value AS name, series_count FROM label WHERE name = '__name__';";

/// Collects the series of a block: labels as symbols, about 30 bytes a series.
#[derive(Debug, Default)]
pub(super) struct IndexWriter {
    symbols: HashMap<Box<str>, u32>,
    /// Symbols of names and values in turn; numbered as they came.
    labels: Vec<u8>,
    ends: Vec<usize>,
    spans: Vec<Span>,
    pub(super) pages: Vec<PageRef>,
}

impl IndexWriter {
    /// Adds the next series.
    pub(super) fn put(&mut self, labels: &Labels, span: Span) {
        for (name, value) in labels {
            for text in [name, value] {
                let id = self.symbol(text);
                put_varint(&mut self.labels, u64::from(id));
            }
        }
        self.ends.push(self.labels.len());
        self.spans.push(span);
    }

    fn symbol(&mut self, text: &str) -> u32 {
        if let Some(id) = self.symbols.get(text) {
            return *id;
        }
        let id = u32::try_from(self.symbols.len()).expect("fewer than 2^32 texts");
        self.symbols.insert(text.into(), id);
        id
    }

    /// Number of series.
    pub(super) const fn len(&self) -> usize {
        self.spans.len()
    }

    /// Writes the index.
    ///
    /// # Errors
    /// Those of SQLite.
    pub(super) fn write(&self, path: &Path, facts: &Facts) -> rusqlite::Result<()> {
        let mut connection = Connection::open(path)?;
        // The file counts only once it is whole and synced, so SQLite need not guard the way
        // there.
        connection.pragma_update(None, "journal_mode", "OFF")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        let transaction = connection.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "user_version", INDEX_VERSION)?;
        let order = self.write_symbols(&transaction)?;
        self.write_series(&transaction, &order)?;
        self.write_pages(&transaction)?;
        write_facts(&transaction, facts)?;
        transaction.commit()?;
        connection.close().map_err(|(_, err)| err)
    }

    /// Writes the symbols in order of their texts; answers the new number of each.
    fn write_symbols(&self, to: &Connection) -> rusqlite::Result<Vec<u32>> {
        let mut texts: Vec<(&str, u32)> =
            self.symbols.iter().map(|(text, id)| (&**text, *id)).collect();
        texts.sort_unstable();
        let mut order = vec![0; texts.len()];
        let mut insert = to.prepare("INSERT INTO symbol VALUES (?1, ?2)")?;
        for (id, (text, came)) in (1_u32..).zip(texts) {
            insert.execute(params![id, text])?;
            if let Some(place) = usize::try_from(came).ok().and_then(|at| order.get_mut(at)) {
                *place = id;
            }
        }
        Ok(order)
    }

    fn write_series(&self, to: &Connection, order: &[u32]) -> rusqlite::Result<()> {
        let mut insert = to.prepare("INSERT INTO series_run VALUES (?1, ?2, ?3)")?;
        let mut postings: BTreeMap<(u32, u32), (u32, u32, Vec<u8>)> = BTreeMap::new();
        let run_series = usize::try_from(RUN_SERIES).expect("256 fits");
        let runs = self.ends.chunks(run_series).zip(self.spans.chunks(run_series));
        let mut start = 0;
        for ((ends, spans), first) in runs.zip((1_u32..).step_by(run_series)) {
            let mut coded = Vec::new();
            let mut before: Vec<(u32, u32)> = Vec::new();
            for (id, end) in (first..).zip(ends) {
                let pairs = pairs(self.labels.get(start..*end).unwrap_or_default(), order);
                put_pairs(&mut coded, &before, &pairs);
                for pair in &pairs {
                    let (count, last, ids) = postings.entry(*pair).or_default();
                    put_varint(ids, u64::from(id - *last));
                    (*count, *last) = (*count + 1, id);
                }
                (before, start) = (pairs, *end);
            }
            insert.execute(params![first, coded, coded_spans(spans)])?;
        }
        let mut insert = to.prepare("INSERT INTO posting VALUES (?1, ?2, ?3, ?4)")?;
        for ((name, value), (count, _, ids)) in postings {
            insert.execute(params![name, value, count, ids])?;
        }
        Ok(())
    }

    fn write_pages(&self, to: &Connection) -> rusqlite::Result<()> {
        let mut insert = to.prepare("INSERT INTO page VALUES (?1, ?2, ?3)")?;
        for (id, page) in (0_u32..).zip(&self.pages) {
            let offset = i64::try_from(page.offset).unwrap_or(i64::MAX);
            insert.execute(params![id, offset, page.len])?;
        }
        Ok(())
    }
}

/// The pairs of one series, as symbols in order of their texts.
fn pairs(coded: &[u8], order: &[u32]) -> Vec<(u32, u32)> {
    let mut reader = Reader::new(coded);
    let mut symbol = || order.get(reader.number()?).copied();
    std::iter::from_fn(|| Some((symbol()?, symbol()?))).collect()
}

fn put_pairs(out: &mut Vec<u8>, before: &[(u32, u32)], pairs: &[(u32, u32)]) {
    let same = before.iter().zip(pairs).take_while(|(a, b)| a == b).count();
    put_varint(out, same as u64);
    put_varint(out, (pairs.len() - same) as u64);
    for (name, value) in pairs.iter().skip(same) {
        put_varint(out, u64::from(*name));
        put_varint(out, u64::from(*value));
    }
}

fn coded_spans(spans: &[Span]) -> Vec<u8> {
    let mut coded = Vec::new();
    let (mut min, mut length, mut page) = (0_i64, 0_u64, 0_u32);
    for span in spans {
        let own_length = span.max.abs_diff(span.min);
        put_signed(&mut coded, span.min.wrapping_sub(min));
        put_signed(&mut coded, own_length.wrapping_sub(length).cast_signed());
        put_varint(&mut coded, u64::from(span.page - page));
        put_varint(&mut coded, u64::from(span.more_pages));
        (min, length, page) = (span.min, own_length, span.page);
    }
    coded
}

fn write_facts(to: &Connection, facts: &Facts) -> rusqlite::Result<()> {
    let numbers = [
        ("series", i64::try_from(facts.series).unwrap_or(i64::MAX)),
        ("samples", i64::try_from(facts.samples).unwrap_or(i64::MAX)),
        ("level", i64::from(facts.level)),
    ];
    let cut_end = facts.cut_end.map(|end| ("cut_end", end));
    for (name, value) in numbers.into_iter().chain(cut_end) {
        to.execute("INSERT INTO fact VALUES (?1, ?2)", params![name, value])?;
    }
    for block in &facts.sources {
        to.execute("INSERT OR IGNORE INTO source VALUES (?1)", params![block])?;
    }
    Ok(())
}

/// Tells the pairs of each series of a run, in order; `None` when the bytes make no sense.
pub(super) fn read_label_run(coded: &[u8], mut tell: impl FnMut(&[(u32, u32)])) -> Option<()> {
    let mut reader = Reader::new(coded);
    let mut pairs: Vec<(u32, u32)> = Vec::new();
    while !reader.is_empty() {
        let same = reader.number().filter(|same| *same <= pairs.len())?;
        pairs.truncate(same);
        for _ in 0..reader.count()? {
            let name = u32::try_from(reader.varint()?).ok()?;
            pairs.push((name, u32::try_from(reader.varint()?).ok()?));
        }
        tell(&pairs);
    }
    Some(())
}

/// Reads a run of spans; `None` when the bytes make no sense.
pub(super) fn read_span_run(coded: &[u8]) -> Option<Vec<Span>> {
    let mut reader = Reader::new(coded);
    let mut all = Vec::new();
    let (mut min, mut length, mut page) = (0_i64, 0_u64, 0_u32);
    while !reader.is_empty() {
        min = min.wrapping_add(reader.signed()?);
        length = length.wrapping_add(reader.signed()?.cast_unsigned());
        page = page.checked_add(u32::try_from(reader.varint()?).ok()?)?;
        let more_pages = u32::try_from(reader.varint()?).ok()?;
        all.push(Span { min, max: min.checked_add_unsigned(length)?, page, more_pages });
    }
    Some(all)
}

/// Reads a posting list; `None` when the bytes make no sense.
pub(super) fn read_posting(coded: &[u8]) -> Option<Vec<u32>> {
    let mut reader = Reader::new(coded);
    let mut ids = Vec::new();
    let mut before = 0_u32;
    while !reader.is_empty() {
        let distance = u32::try_from(reader.varint()?).ok().filter(|distance| *distance > 0)?;
        before = before.checked_add(distance)?;
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
    if version > INDEX_VERSION {
        return Ok((version, facts));
    }
    let mut statement = connection.prepare("SELECT name, value FROM fact")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let value: i64 = row.get(1)?;
        match name.as_str() {
            "series" => facts.series = value.unsigned_abs(),
            "samples" => facts.samples = value.unsigned_abs(),
            "level" => facts.level = u32::try_from(value).unwrap_or(0),
            "cut_end" => facts.cut_end = Some(value),
            // A later version may add facts without changing the format.
            _later => {}
        }
    }
    let mut statement = connection.prepare("SELECT block FROM source")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    facts.sources = rows.collect::<rusqlite::Result<_>>()?;
    Ok((version, facts))
}

/// The pages of an index, by number.
///
/// # Errors
/// Those of SQLite.
pub(super) fn read_pages(connection: &Connection) -> rusqlite::Result<Vec<PageRef>> {
    let mut statement = connection.prepare("SELECT offset, length FROM page ORDER BY id")?;
    let rows = statement.query_map([], |row| {
        let offset: i64 = row.get(0)?;
        Ok(PageRef { offset: offset.unsigned_abs(), len: row.get(1)? })
    })?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_blob_is_refused_or_read(bytes: Vec<u8>) {
            let _ = (read_span_run(&bytes), read_posting(&bytes));
            let _ = read_label_run(&bytes, |_| ());
        }
    }

    #[test]
    fn the_index_reads_with_plain_sql() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.db");
        let mut index = IndexWriter::default();
        let spans = [
            Span { min: 10, max: 30, page: 0, more_pages: 0 },
            Span { min: 5, max: 90, page: 0, more_pages: 2 },
        ];
        for (job, span) in ["b", "a"].iter().zip(spans) {
            index.put(&Labels::from_pairs([("__name__", "up"), ("job", job)]), span);
        }
        index.pages = vec![PageRef { offset: 24, len: 9 }, PageRef { offset: 33, len: 7 }];
        let sources = vec!["0-1-ab".to_owned()];
        let facts = Facts { series: 2, samples: 8, level: 1, sources, cut_end: Some(-7) };
        index.write(&path, &facts).unwrap();
        let found = open(&path).unwrap();
        assert_eq!(read_facts(&found).unwrap(), (1, facts));
        assert_eq!(read_pages(&found).unwrap(), index.pages);
        let count: i64 = found
            .query_row("SELECT series_count FROM metric WHERE name = 'up'", [], |row| row.get(0))
            .unwrap();
        assert_eq!(count, 2);
        let run: Vec<u8> =
            found.query_row("SELECT spans FROM series_run", [], |row| row.get(0)).unwrap();
        assert_eq!(read_span_run(&run), Some(spans.to_vec()));
        let run: Vec<u8> =
            found.query_row("SELECT labels FROM series_run", [], |row| row.get(0)).unwrap();
        let mut labels = Vec::new();
        read_label_run(&run, |pairs| labels.push(pairs.to_vec())).unwrap();
        // In order of texts: __name__ a b job up.
        assert_eq!(labels, [[(1, 5), (4, 3)], [(1, 5), (4, 2)]]);
    }
}
