//! The file `chunks`: a head, pages of chunks, the label sets and facts, and a trailer that
//! vouches for `index.db`. The index is made from nothing else, so it can be made again.

use super::index::Facts;
use super::page::{kind, put_record, unpack};
use crate::model::Labels;
use crate::storage::codec::{Reader, put_signed, put_text, put_varint};
use crate::storage::error::{Error, Result};
use crate::storage::wal::frame::{Frame, put_frame};
use std::path::Path;

pub(super) const MAGIC: [u8; 8] = *b"wbell-bc";
pub(super) const VERSION: u32 = 1;
const TRAILER_MAGIC: [u8; 8] = *b"wbell-be";

/// Bytes of the trailer.
pub(super) const TRAILER_BYTES: usize = 32;

/// A record of label sets is closed once it is this large.
const LABEL_BYTES: usize = 64 << 10;

/// The end of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trailer {
    /// Bytes of the file before the trailer.
    pub(super) chunk_bytes: u64,
    /// Bytes of `index.db`.
    pub(super) index_bytes: u64,
    /// Checksum of `index.db`: SQLite has none of its own.
    pub(super) index_crc: u32,
}

impl Trailer {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(TRAILER_BYTES);
        out.extend_from_slice(&TRAILER_MAGIC);
        out.extend_from_slice(&self.chunk_bytes.to_le_bytes());
        out.extend_from_slice(&self.index_bytes.to_le_bytes());
        out.extend_from_slice(&self.index_crc.to_le_bytes());
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// # Errors
    /// The bytes are no trailer.
    pub(super) fn decode(bytes: &[u8], path: &Path) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let body = bytes.get(..TRAILER_BYTES - 4).unwrap_or_default();
        let mut read = || {
            let magic = reader.array::<8>()?;
            let trailer = Self {
                chunk_bytes: reader.u64()?,
                index_bytes: reader.u64()?,
                index_crc: reader.u32()?,
            };
            let whole = magic == TRAILER_MAGIC && reader.u32()? == crc32c::crc32c(body);
            whole.then_some(trailer)
        };
        let what = || "it has no whole trailer; it was cut off or damaged".to_owned();
        read().ok_or_else(|| Error::Damaged { path: path.to_owned(), what: what() })
    }
}

/// The label sets of the series, in order, with what the index knows of each: enough to make an
/// index anew. A set is written as what differs from the one before it.
#[derive(Debug, Default)]
pub(super) struct LabelsWriter {
    raw: Vec<u8>,
    before: Vec<(String, String)>,
    /// Series in records so far, and in this one.
    ended: u64,
    here: u64,
}

/// A series as the index has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// First timestamp.
    pub(super) min: i64,
    /// Last timestamp.
    pub(super) max: i64,
    /// The page of its first chunk.
    pub(super) page: u32,
    /// How many pages follow that have chunks of it.
    pub(super) more_pages: u32,
}

impl LabelsWriter {
    /// Adds the next series; a full record goes to `out`.
    pub(super) fn put(&mut self, out: &mut Vec<u8>, labels: &Labels, span: Span) {
        let same = labels.iter().zip(&self.before);
        let same = same.take_while(|((an, av), (bn, bv))| an == bn && av == bv).count();
        put_varint(&mut self.raw, same as u64);
        put_varint(&mut self.raw, (labels.len() - same) as u64);
        for (name, value) in labels.iter().skip(same) {
            put_text(&mut self.raw, name);
            put_text(&mut self.raw, value);
        }
        put_signed(&mut self.raw, span.min);
        put_varint(&mut self.raw, span.max.abs_diff(span.min));
        put_varint(&mut self.raw, u64::from(span.page));
        put_varint(&mut self.raw, u64::from(span.more_pages));
        self.before.truncate(same);
        self.here += 1;
        let rest = labels.iter().skip(same);
        self.before.extend(rest.map(|(name, value)| (name.to_owned(), value.to_owned())));
        if self.raw.len() >= LABEL_BYTES {
            self.flush(out);
        }
    }

    /// Appends what is left as a record.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        if self.raw.is_empty() {
            return;
        }
        put_record(out, self.ended, kind::LABELS, kind::LABELS_ZSTD, &self.raw);
        self.ended += self.here;
        self.here = 0;
        self.raw.clear();
        self.before.clear();
    }
}

/// Appends the facts of a block as a record.
pub(super) fn put_facts(out: &mut Vec<u8>, facts: &Facts) {
    put_frame(out, 0, kind::FACTS, |out| {
        put_varint(out, facts.series);
        put_varint(out, facts.samples);
        put_varint(out, u64::from(facts.level));
        out.push(u8::from(facts.cut_end.is_some()));
        put_signed(out, facts.cut_end.unwrap_or_default());
        put_varint(out, facts.sources.len() as u64);
        facts.sources.iter().for_each(|block| put_text(out, block));
    });
}

/// Reads the facts of a block; `None` when the bytes make no sense.
pub(super) fn read_facts(payload: &[u8]) -> Option<Facts> {
    let mut reader = Reader::new(payload);
    let mut facts = Facts {
        series: reader.varint()?,
        samples: reader.varint()?,
        level: u32::try_from(reader.varint()?).ok()?,
        ..Facts::default()
    };
    let is_cut = reader.byte()? == 1;
    let end = reader.signed()?;
    facts.cut_end = is_cut.then_some(end);
    for _ in 0..reader.count()? {
        facts.sources.push(reader.text()?.to_owned());
    }
    Some(facts)
}

/// The series of a record of label sets, whose sequence number says how many came before;
/// `None` when it is another record or makes no sense.
pub(super) fn read_labels(frame: Frame<'_>) -> Option<Vec<(Labels, Span)>> {
    let raw = unpack(frame.kind, frame.payload, kind::LABELS, kind::LABELS_ZSTD)?;
    let mut reader = Reader::new(&raw);
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    let mut series = Vec::new();
    while !reader.is_empty() {
        let same = reader.number()?;
        if same > pairs.len() {
            return None;
        }
        pairs.truncate(same);
        for _ in 0..reader.count()? {
            pairs.push((reader.text()?, reader.text()?));
        }
        let labels = crate::storage::wal::record::labels_of(&pairs)?;
        let min = reader.signed()?;
        let max = min.checked_add_unsigned(reader.varint()?)?;
        let page = u32::try_from(reader.varint()?).ok()?;
        let more_pages = u32::try_from(reader.varint()?).ok()?;
        series.push((labels, Span { min, max, page, more_pages }));
    }
    Some(series)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::wal::frame::parse_frame;
    use proptest::prelude::*;

    #[test]
    fn a_trailer_comes_back_and_a_cut_one_is_refused() {
        let trailer = Trailer { chunk_bytes: 7, index_bytes: 9, index_crc: 11 };
        let bytes = trailer.encode();
        assert_eq!(bytes.len(), TRAILER_BYTES);
        assert_eq!(Trailer::decode(&bytes, Path::new("c")).unwrap(), trailer);
        assert!(Trailer::decode(&bytes[1..], Path::new("c")).is_err());
    }

    #[test]
    fn label_sets_come_back() {
        let one = |at: i64| {
            let labels = Labels::from_pairs([
                ("__name__", format!("m{}", at / 10)),
                ("job", "x".to_owned()),
                ("pod", at.to_string()),
            ]);
            (labels, Span { min: -at, max: at * 2, page: 3, more_pages: u32::from(at > 50) })
        };
        let series: Vec<_> = (0..100).map(one).collect();
        let (mut writer, mut out) = (LabelsWriter::default(), Vec::new());
        series.iter().for_each(|(labels, span)| writer.put(&mut out, labels, *span));
        writer.flush(&mut out);
        assert_eq!(read_labels(parse_frame(&out).unwrap()), Some(series));
        assert!(out.len() < 1000, "{} bytes for 100 series", out.len());
    }

    #[test]
    fn facts_come_back() {
        let sources = vec!["0-1-ab".to_owned(), "1-2-cd".to_owned()];
        for cut_end in [None, Some(-5)] {
            let sources = sources.clone();
            let facts = Facts { series: 3, samples: 9, level: 2, sources, cut_end };
            let mut out = Vec::new();
            put_facts(&mut out, &facts);
            assert_eq!(read_facts(parse_frame(&out).unwrap().payload), Some(facts));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(payload: Vec<u8>) {
            let _ = read_labels(Frame { seq: 0, kind: kind::LABELS, payload: &payload });
            let _ = read_facts(&payload);
            let _ = Trailer::decode(&payload, Path::new("c"));
        }
    }
}
