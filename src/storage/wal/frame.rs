//! How records lie in a file: `[len u32][crc32c u32][seq u64][kind u8][payload]`, little-endian.
//!
//! `len` counts kind and payload. The checksum covers `len`, `seq`, kind and payload, so that a
//! record found in the middle of damage is surely one. Zeros from a record's place to the end of
//! the file are room that was not used yet.

use crate::storage::codec::Reader;
use crate::storage::error::{Error, Result};
use std::ops::Range;
use std::path::Path;

/// Bytes before kind and payload.
pub(crate) const FRAME_HEAD: usize = 16;

/// Bytes before the first record of a file: eight of magic, version u32, number u64, crc32c u32.
pub(crate) const FILE_HEAD: usize = 24;

/// A record of kind and payload is never larger: a bound for readers.
const RECORD_BYTES_MAX: usize = 256 << 20;

/// One record as it lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// Its sequence number.
    pub(crate) seq: u64,
    /// What it is; see `record::Kind`.
    pub(crate) kind: u8,
    /// What it says.
    pub(crate) payload: &'a [u8],
}

/// What was found in a file, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// A whole record, and where it ends.
    Frame(Frame<'a>, usize),
    /// Bytes that are no record, with records behind them.
    Damage(Range<usize>),
    /// Bytes at the end that are no record: a torn write.
    Tail(Range<usize>),
}

/// Appends a record made by `payload`.
pub(crate) fn put_frame(out: &mut Vec<u8>, seq: u64, kind: u8, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&seq.to_le_bytes());
    out.push(kind);
    payload(out);
    let len = u32::try_from(out.len() - start - FRAME_HEAD).expect("a record is below 256 MiB");
    let body = out.get(start + 8..).unwrap_or_default();
    let crc = crc32c::crc32c_append(crc32c::crc32c(&len.to_le_bytes()), body);
    let [a, b, c, d] = len.to_le_bytes();
    let [e, f, g, h] = crc.to_le_bytes();
    if let Some(head) = out.get_mut(start..start + 8) {
        head.copy_from_slice(&[a, b, c, d, e, f, g, h]);
    }
}

/// Appends a file's head.
pub(crate) fn put_file_head(out: &mut Vec<u8>, magic: [u8; 8], version: u32, number: u64) {
    let start = out.len();
    out.extend_from_slice(&magic);
    out.extend_from_slice(&version.to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    let crc = crc32c::crc32c(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&crc.to_le_bytes());
}

/// Checks a file's head; `Ok(false)` when it is damaged.
///
/// # Errors
/// The file is of a later version.
pub(crate) fn check_file_head(
    bytes: &[u8],
    magic: [u8; 8],
    version: u32,
    path: &Path,
) -> Result<bool> {
    let mut reader = Reader::new(bytes);
    let head = bytes.get(..FILE_HEAD - 4).unwrap_or_default();
    let read = (reader.array::<8>(), reader.u32(), reader.u64(), reader.u32());
    let (Some(found_magic), Some(found), Some(_), Some(crc)) = read else { return Ok(false) };
    if found_magic != magic || crc != crc32c::crc32c(head) {
        return Ok(false);
    }
    if found > version {
        return Err(Error::Newer { path: path.to_owned(), found, known: version });
    }
    Ok(true)
}

/// The one record that `bytes` hold, if they hold one and nothing else.
pub(crate) fn parse_frame(bytes: &[u8]) -> Option<Frame<'_>> {
    let (frame, end) = Frames::new(bytes, 0).frame_at(0)?;
    (end == bytes.len()).then_some(frame)
}

/// Walks over the records of `bytes` from `at` on. Where sequence numbers rise, smaller ones are
/// taken for leftovers and not for records.
#[derive(Debug)]
pub(crate) struct Frames<'a> {
    bytes: &'a [u8],
    at: usize,
    seq_min: u64,
    seqs_rise: bool,
}

impl<'a> Frames<'a> {
    pub(crate) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, seq_min: 0, seqs_rise: true }
    }

    /// As `new`, of a file that numbers its records by kind: a block's.
    pub(crate) const fn numbered_by_kind(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, seq_min: 0, seqs_rise: false }
    }

    fn frame_at(&self, at: usize) -> Option<(Frame<'a>, usize)> {
        let mut reader = Reader::new(self.bytes.get(at..)?);
        let len_bytes = reader.array::<4>()?;
        let len = usize::try_from(u32::from_le_bytes(len_bytes)).ok()?;
        let crc = reader.u32()?;
        let body = reader.rest().get(..len.checked_add(8)?)?;
        if len == 0 || len > RECORD_BYTES_MAX {
            return None;
        }
        let seq = reader.u64()?;
        if seq < self.seq_min || crc32c::crc32c_append(crc32c::crc32c(&len_bytes), body) != crc {
            return None;
        }
        let kind = reader.byte()?;
        let payload = reader.take(len - 1)?;
        Some((Frame { seq, kind, payload }, at + FRAME_HEAD + len))
    }
}

/// The sequence number in the head of a record that is not whole; not to be relied on.
pub(crate) fn claimed_seq(bytes: &[u8]) -> Option<u64> {
    let mut reader = Reader::new(bytes);
    reader.take(8)?;
    reader.u64()
}

impl<'a> Iterator for Frames<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        let start = self.at;
        if let Some((frame, end)) = self.frame_at(start) {
            self.at = end;
            if self.seqs_rise {
                self.seq_min = frame.seq;
            }
            return Some(Found::Frame(frame, end));
        }
        let rest = self.bytes.get(start..).unwrap_or_default();
        let used = rest.iter().rposition(|byte| *byte != 0)?;
        let end = start + used + 1;
        let next = (start + 1..end).find(|at| self.frame_at(*at).is_some());
        self.at = next.unwrap_or(self.bytes.len());
        Some(match next {
            Some(next) => Found::Damage(start..next),
            None => Found::Tail(start..end),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn three() -> (Vec<u8>, Vec<usize>) {
        let mut out = Vec::new();
        let mut ends = vec![0];
        for seq in 1..=3_u64 {
            put_frame(&mut out, seq, 7, |out| out.extend_from_slice(&[0xab; 20]));
            ends.push(out.len());
        }
        (out, ends)
    }

    fn seqs(bytes: &[u8]) -> Vec<u64> {
        let frames = Frames::new(bytes, 0).filter_map(|found| match found {
            Found::Frame(frame, _) => Some(frame.seq),
            Found::Damage(_) | Found::Tail(_) => None,
        });
        frames.collect()
    }

    #[test]
    fn unused_room_is_the_end_and_a_torn_record_is_a_tail() {
        let (mut bytes, ends) = three();
        bytes.resize(bytes.len() + 100, 0);
        assert_eq!(Frames::new(&bytes, 0).count(), 3);
        for cut in ends[2] + 1..ends[3] {
            let found: Vec<_> = Frames::new(&bytes[..cut], 0).collect();
            assert_eq!(seqs(&bytes[..cut]), [1, 2]);
            assert!(matches!(found.last(), Some(Found::Tail(range)) if range.start == ends[2]));
        }
    }

    #[test]
    fn the_record_behind_a_damage_is_found() {
        for place in 0..3 {
            let (bytes, ends) = three();
            for at in ends[place]..ends[place + 1] {
                let mut bytes = bytes.clone();
                bytes[at] ^= 0x40;
                let kept: Vec<u64> = (1..=3).filter(|seq| *seq != place as u64 + 1).collect();
                assert_eq!(seqs(&bytes), kept, "byte {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_to_the_end(bytes: Vec<u8>) {
            prop_assert!(Frames::new(&bytes, 0).count() <= bytes.len() + 1);
        }
    }
}
