//! Pages of a block: the chunks of neighbouring series, laid together, checked together, and
//! compressed together where that pays.
//!
//! A page stands for itself: it names its series and has the columns of times that its chunks
//! share, so that damage takes one page and an index can be made again from pages alone.
//!
//! ```text
//! | first series | count of columns | count, length, ints ... | count of chunks |
//! | series (distance), column, encoding u8, length ... | bodies |
//! ```
//!
//! All numbers are varints. Pages are records as those of the log (`wal/frame.rs`): kind 32 as it
//! is, 33 compressed by zstd, with the page's number as sequence number.

use crate::storage::chunk::Encoding;
use crate::storage::chunk::body::{self, BODY_SAMPLES_MAX};
use crate::storage::codec::{Reader, put_varint};
use crate::storage::source::{Columns, Known};
use crate::storage::wal::frame::{parse_frame, put_frame};
use std::sync::OnceLock;

/// A page is closed once it is this large: small enough that a single series costs little to
/// read, large enough that its head and columns of times do not count.
const PAGE_BYTES: usize = 32 << 10;

/// No record unpacks to more: a page closes after the chunk that fills it, which has at most
/// `BODY_SAMPLES_MAX` samples of at most 20 bytes with their times; the label sets of a record
/// likewise, and one label set has at most 64 labels of 4 KiB.
const RAW_BYTES_MAX: usize = 1 << 20;

/// Columns of times that a new chunk is compared with: those before are another target's.
const COLUMNS_COMPARED: usize = 4;

/// Compressed is kept when it saves an eighth: less is not worth the time to read it.
const SAVING_MIN: usize = 8;

/// Speed against size; higher levels gained less than 1 % on node_exporter's data.
const ZSTD_LEVEL: i32 = 3;

/// Kinds of records in the file.
pub(super) mod kind {
    /// A page as it is.
    pub(in super::super) const PAGE: u8 = 32;
    /// A page compressed by zstd.
    pub(in super::super) const PAGE_ZSTD: u8 = 33;
    /// Label sets as they are.
    pub(in super::super) const LABELS: u8 = 34;
    /// Label sets compressed by zstd.
    pub(in super::super) const LABELS_ZSTD: u8 = 35;
    /// Facts of the block.
    pub(in super::super) const FACTS: u8 = 36;
}

/// Appends a record of `raw`, compressed where that pays.
pub(super) fn put_record(out: &mut Vec<u8>, seq: u64, plain: u8, packed: u8, raw: &[u8]) {
    match zstd::bulk::compress(raw, ZSTD_LEVEL) {
        Ok(small) if small.len() + raw.len() / SAVING_MIN <= raw.len() => {
            put_frame(out, seq, packed, |out| out.extend_from_slice(&small));
        }
        // A compressor that fails costs size, not data.
        Ok(_) | Err(_) => put_frame(out, seq, plain, |out| out.extend_from_slice(raw)),
    }
}

/// What a record holds, unpacked; `None` when it is of another kind or makes no sense.
pub(super) fn unpack(kind: u8, payload: &[u8], plain: u8, packed: u8) -> Option<Vec<u8>> {
    if kind == plain {
        return Some(payload.to_vec());
    }
    if kind != packed {
        return None;
    }
    zstd::bulk::decompress(payload, RAW_BYTES_MAX).ok()
}

/// A page that grows.
#[derive(Debug, Default)]
pub(super) struct PageWriter {
    columns: Vec<(Vec<i64>, Vec<u8>)>,
    entries: Vec<Entry>,
    bodies: Vec<u8>,
    column_bytes: usize,
}

/// Where one chunk is in its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    series: u32,
    column: u32,
    encoding: Encoding,
    start: usize,
    len: usize,
}

/// One chunk of a page, for those who count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkFacts {
    pub(super) series: u32,
    /// Its column of times.
    pub(super) column: usize,
    pub(super) encoding: Encoding,
    /// Bytes of its values.
    pub(super) bytes: usize,
}

impl PageWriter {
    /// Adds a chunk of 1 to `BODY_SAMPLES_MAX` samples; series come in rising order.
    pub(super) fn put(&mut self, series: u32, ts: &[i64], values: &[f64]) {
        let column = self.column(ts);
        let (encoding, bytes) = body::encode_values(values);
        let (start, len) = (self.bodies.len(), bytes.len());
        self.bodies.extend_from_slice(&bytes);
        self.entries.push(Entry { series, column, encoding, start, len });
    }

    fn column(&mut self, ts: &[i64]) -> u32 {
        let mut recent = self.columns.iter().enumerate().rev().take(COLUMNS_COMPARED);
        let same = recent.find(|(_, (known, _))| known == ts).map(|(place, _)| place);
        let place = same.unwrap_or_else(|| {
            let bytes = body::encode_times(ts);
            self.column_bytes += bytes.len();
            self.columns.push((ts.to_vec(), bytes));
            self.columns.len() - 1
        });
        u32::try_from(place).expect("a page has few columns")
    }

    /// Whether the page is full.
    pub(super) fn is_full(&self) -> bool {
        self.bodies.len() + self.column_bytes + self.entries.len() * 4 >= PAGE_BYTES
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Appends the page as a record and begins a new one.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>, number: u64) {
        let mut raw = Vec::with_capacity(self.bodies.len() + self.column_bytes + 1024);
        let mut before = self.entries.first().map_or(0, |entry| entry.series);
        put_varint(&mut raw, u64::from(before));
        put_varint(&mut raw, self.columns.len() as u64);
        for (ts, bytes) in &self.columns {
            put_varint(&mut raw, ts.len() as u64);
            put_varint(&mut raw, bytes.len() as u64);
            raw.extend_from_slice(bytes);
        }
        put_varint(&mut raw, self.entries.len() as u64);
        for entry in &self.entries {
            put_varint(&mut raw, u64::from(entry.series - before));
            put_varint(&mut raw, u64::from(entry.column));
            raw.push(entry.encoding.tag());
            put_varint(&mut raw, entry.len as u64);
            before = entry.series;
        }
        raw.extend_from_slice(&self.bodies);
        put_record(out, number, kind::PAGE, kind::PAGE_ZSTD, &raw);
        *self = Self::default();
    }
}

/// A page that was read.
#[derive(Debug)]
pub(super) struct Page {
    raw: Vec<u8>,
    columns: Vec<Column>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Column {
    count: usize,
    start: usize,
    len: usize,
    /// Decoded once for all series that share it; `None` when its bytes make no sense.
    times: OnceLock<Option<Times>>,
}

#[derive(Debug)]
struct Times {
    ts: Vec<i64>,
    /// As `Known::step`.
    step: Option<i64>,
}

impl Times {
    fn of(ts: Vec<i64>) -> Self {
        let mut steps = ts.iter().zip(ts.iter().skip(1)).map(|(a, b)| b.saturating_sub(*a));
        let step = steps.next().filter(|step| steps.all(|other| other == *step));
        Self { ts, step }
    }
}

impl Page {
    /// The page of this number in the bytes of its record; what is wrong when it is damaged.
    pub(super) fn read(record: &[u8], number: u64) -> Result<Self, String> {
        let frame = parse_frame(record).ok_or("its checksum is wrong")?;
        if frame.seq != number {
            return Err(format!("it is page {} instead of {number}", frame.seq));
        }
        let raw = unpack(frame.kind, frame.payload, kind::PAGE, kind::PAGE_ZSTD);
        let raw = raw.ok_or("its bytes cannot be unpacked")?;
        Self::parse(raw).ok_or_else(|| "its bytes make no sense".to_owned())
    }

    /// The page of these unpacked bytes.
    pub(super) fn parse(raw: Vec<u8>) -> Option<Self> {
        let mut reader = Reader::new(&raw);
        let mut series = u32::try_from(reader.varint()?).ok()?;
        let place = |reader: &Reader<'_>| raw.len() - reader.rest().len();
        let mut columns = Vec::new();
        for _ in 0..reader.count()? {
            let count = reader.number().filter(|count| *count <= BODY_SAMPLES_MAX)?;
            let len = reader.number()?;
            let start = place(&reader);
            reader.take(len)?;
            columns.push(Column { count, start, len, times: OnceLock::new() });
        }
        let mut entries = Vec::new();
        let mut start = 0_usize;
        for _ in 0..reader.count()? {
            series = series.checked_add(u32::try_from(reader.varint()?).ok()?)?;
            let column = u32::try_from(reader.varint()?).ok()?;
            let encoding = Encoding::from_tag(reader.byte()?)?;
            let len = reader.number()?;
            entries.push(Entry { series, column, encoding, start, len });
            start = start.checked_add(len)?;
        }
        let bodies = place(&reader);
        if bodies.checked_add(start)? != raw.len() {
            return None;
        }
        entries.iter_mut().for_each(|entry| entry.start += bodies);
        Some(Self { raw, columns, entries })
    }

    /// Bytes of the page, unpacked.
    pub(super) fn raw_len(&self) -> usize {
        self.raw.len()
    }

    /// Count and bytes of each column of times.
    pub(super) fn columns(&self) -> impl Iterator<Item = (usize, usize)> {
        self.columns.iter().map(|column| (column.count, column.len))
    }

    /// Its chunks.
    pub(super) fn chunks(&self) -> impl Iterator<Item = ChunkFacts> {
        self.entries.iter().map(|entry| ChunkFacts {
            series: entry.series,
            column: usize::try_from(entry.column).unwrap_or(usize::MAX),
            encoding: entry.encoding,
            bytes: entry.len,
        })
    }

    /// Bytes of memory, about.
    pub(super) fn byte_len(&self) -> usize {
        let times = self.columns.iter().map(|column| column.count).sum::<usize>();
        self.raw.len() + self.entries.len() * size_of::<Entry>() + times * size_of::<i64>()
    }

    /// Appends the samples of a series with `from <= ts <= to` to `out`.
    ///
    /// # Errors
    /// A chunk makes no sense; `out` has what came before it.
    pub(super) fn decode(
        &self,
        series: u32,
        from: i64,
        to: i64,
        out: &mut Columns,
    ) -> Result<(), String> {
        let first = self.entries.partition_point(|entry| entry.series < series);
        let entries = self.entries.get(first..).unwrap_or_default();
        let start = out.len();
        let mut known = Known::default();
        for entry in entries.iter().take_while(|entry| entry.series == series) {
            let before = out.len();
            let decoded = self.parts(entry).map(|(times, values)| {
                out.known = Known { step: times.step, has_no_markers: false };
                body::decode(&times.ts, entry.encoding, values, (from, to), out)
            });
            known = out.known_from(start, known, before);
            out.known = known;
            decoded
                .ok_or("its times or its place in the page make no sense")?
                .map_err(|err| err.to_string())?;
        }
        Ok(())
    }

    /// The times and the encoded values of a chunk.
    fn parts(&self, entry: &Entry) -> Option<(&Times, &[u8])> {
        let column = self.columns.get(usize::try_from(entry.column).ok()?)?;
        let times = column.times.get_or_init(|| {
            let bytes = self.raw.get(column.start..column.start + column.len)?;
            body::decode_times(bytes, column.count).map(Times::of)
        });
        let values = self.raw.get(entry.start..entry.start + entry.len)?;
        Some((times.as_ref()?, values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page(series: &[(u32, Vec<i64>, Vec<f64>)]) -> Vec<u8> {
        let mut writer = PageWriter::default();
        series.iter().for_each(|(number, ts, values)| writer.put(*number, ts, values));
        let mut out = Vec::new();
        writer.flush(&mut out, 7);
        assert!(writer.is_empty());
        out
    }

    fn some() -> Vec<(u32, Vec<i64>, Vec<f64>)> {
        let ts: Vec<i64> = (0..300).map(|at| at * 1000).collect();
        let values = |of: u32| (0..300).map(|at| f64::from(at % 7 * of) / 10.0).collect();
        let mut all: Vec<_> = (1..20).map(|of| (of, ts.clone(), values(of))).collect();
        all.push((19, ts.iter().map(|ts| ts + 300_000).collect(), values(3)));
        all
    }

    #[test]
    fn chunks_of_a_page_come_back() {
        let series = some();
        let read = Page::read(&page(&series), 7).unwrap();
        for number in 1..20 {
            let mut out = Columns::default();
            read.decode(number, i64::MIN, i64::MAX, &mut out).unwrap();
            let own = series.iter().filter(|(of, ..)| *of == number);
            let values: Vec<f64> = own.flat_map(|(_, _, values)| values.clone()).collect();
            assert_eq!(out.values, values, "{number}");
        }
        assert!(read.columns.len() == 2 && read.byte_len() > 0);
        assert!(Page::read(&page(&series), 8).is_err());
    }

    #[test]
    fn each_flipped_bit_is_seen() {
        let bytes = page(&some());
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Page::read(&bytes, 7).is_err(), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(raw: Vec<u8>, series in 0_u32..5) {
            let mut out = Columns::default();
            if let Some(page) = Page::parse(raw.clone()) {
                let _ = page.decode(series, i64::MIN, i64::MAX, &mut out);
            }
            let _ = unpack(kind::PAGE_ZSTD, &raw, kind::PAGE, kind::PAGE_ZSTD);
        }
    }
}
