//! The file `chunks`: a head, the chunks one behind the other, and a trailer that vouches for
//! `index.db`.
//!
//! A chunk is `[crc32c u32][encoding u8][count varint][bytes]`; the checksum covers what follows
//! it. Where each lies, and how long it is, only the index knows.

use crate::storage::chunk::{Chunk, Encoding};
use crate::storage::codec::{Reader, put_varint};
use crate::storage::error::{Error, Result};
use std::path::Path;

pub(super) const MAGIC: [u8; 8] = *b"wbell-bc";
pub(super) const VERSION: u32 = 1;
const TRAILER_MAGIC: [u8; 8] = *b"wbell-be";

/// Bytes of the trailer.
pub(super) const TRAILER_BYTES: usize = 32;

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

/// Appends a chunk.
pub(super) fn put_chunk(out: &mut Vec<u8>, chunk: &Chunk) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.push(chunk.encoding.tag());
    put_varint(out, u64::from(chunk.count));
    out.extend_from_slice(&chunk.bytes);
    let crc = crc32c::crc32c(out.get(start + 4..).unwrap_or_default());
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&crc.to_le_bytes());
    }
}

/// Encoding, count and bytes of a chunk; what is wrong when it is damaged.
pub(super) fn parse_chunk(record: &[u8]) -> std::result::Result<(Encoding, u16, &[u8]), String> {
    let mut reader = Reader::new(record);
    let crc = reader.u32().ok_or("it is cut off")?;
    let found = crc32c::crc32c(reader.rest());
    if crc != found {
        return Err(format!("its checksum is {found:08x} instead of {crc:08x}"));
    }
    let tag = reader.byte().ok_or("it is cut off")?;
    let encoding =
        Encoding::from_tag(tag).ok_or_else(|| format!("its encoding {tag} is unknown"))?;
    let count = reader.varint().and_then(|count| u16::try_from(count).ok());
    Ok((encoding, count.ok_or("its count makes no sense")?, reader.rest()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_comes_back_and_each_flipped_bit_is_seen() {
        let chunk = Chunk::encode(&[1, 2, 4], &[1.0, 2.0, f64::NAN]);
        let mut out = Vec::new();
        put_chunk(&mut out, &chunk);
        let (encoding, count, bytes) = parse_chunk(&out).unwrap();
        assert_eq!((encoding, count, bytes), (chunk.encoding, 3, &*chunk.bytes));
        for bit in 0..out.len() * 8 {
            let mut out = out.clone();
            out[bit / 8] ^= 1 << (bit % 8);
            assert!(parse_chunk(&out).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_trailer_comes_back_and_a_cut_one_is_refused() {
        let trailer = Trailer { chunk_bytes: 7, index_bytes: 9, index_crc: 11 };
        let bytes = trailer.encode();
        assert_eq!(bytes.len(), TRAILER_BYTES);
        assert_eq!(Trailer::decode(&bytes, Path::new("c")).unwrap(), trailer);
        assert!(Trailer::decode(&bytes[1..], Path::new("c")).is_err());
    }
}
