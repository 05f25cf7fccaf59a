//! The body of an answer to a probe: unpacked and counted piece by piece, kept only for
//! expressions, and never without bound.

use super::super::config::Compression;
use crate::sys::dial::Body;
use flate2::write::{DeflateDecoder, MultiGzDecoder};
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of one body that expressions look at.
const KEPT_BYTES_MAX: usize = 8 << 20;
/// Bytes that all probes keep at a time.
const BUDGET_BYTES: usize = 64 << 20;
/// So much is unpacked before other tasks have their turn: some milliseconds at the best ratio.
const PIECE_BYTES: usize = 8 << 10;

/// What all probes together may keep.
#[derive(Debug, Default)]
pub(super) struct Budget(AtomicUsize);

impl Budget {
    fn take(&self, bytes: usize) -> bool {
        let more = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= BUDGET_BYTES);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

/// A body that is read.
pub(super) struct Taken<'a> {
    /// Its bytes, as far as they are kept.
    pub(super) kept: Vec<u8>,
    /// How many there were, unpacked.
    pub(super) bytes: u64,
    limit: u64,
    keeps: bool,
    budget: &'a Budget,
    fault: Option<String>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.kept.len(), Ordering::Relaxed);
    }
}

impl<'a> Taken<'a> {
    /// Nothing yet. `limit` is 0 for none; `keeps` when expressions will look at it.
    pub(super) const fn new(limit: u64, keeps: bool, budget: &'a Budget) -> Self {
        Self { kept: Vec::new(), bytes: 0, limit, keeps, budget, fault: None }
    }

    /// Reads the body to its end, telling `progress` how long it is so far.
    ///
    /// # Errors
    /// It broke, is longer than it may be, or is not packed as it should be. What came until then
    /// is counted.
    pub(super) async fn read(
        self,
        body: &mut Body,
        compression: Compression,
        mut progress: impl FnMut(u64),
    ) -> (Self, Result<(), String>) {
        let mut unpacker = Unpacker::new(compression, self);
        loop {
            let piece = match body.next().await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(err) => return (unpacker.into_taken(), Err(err)),
            };
            for part in piece.chunks(PIECE_BYTES) {
                let pushed = unpacker.push(part);
                progress(unpacker.taken().bytes);
                if let Err(err) = pushed {
                    return (unpacker.into_taken(), Err(err));
                }
                if compression != Compression::None {
                    tokio::task::yield_now().await;
                }
            }
        }
        let finished = unpacker.finish();
        progress(unpacker.taken().bytes);
        (unpacker.into_taken(), finished)
    }
}

impl Write for Taken<'_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        if self.limit > 0 && self.bytes.saturating_add(length) > self.limit {
            self.bytes = self.limit;
            self.fault = Some("http: request body too large".to_owned());
            return Err(io::Error::other("bound passed"));
        }
        self.bytes = self.bytes.saturating_add(length);
        if self.keeps {
            if self.kept.len().saturating_add(piece.len()) > KEPT_BYTES_MAX {
                let text = format!("expressions look at {KEPT_BYTES_MAX} bytes of a body at most");
                self.fault = Some(text);
            } else if !self.budget.take(piece.len()) {
                self.fault = Some("too many long bodies are looked at at once".to_owned());
            }
            if self.fault.is_some() {
                return Err(io::Error::other("bound passed"));
            }
            self.kept.extend_from_slice(piece);
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Unpacker<'a> {
    Plain(Taken<'a>),
    Gzip(Box<MultiGzDecoder<Taken<'a>>>),
    Deflate(Box<DeflateDecoder<Taken<'a>>>),
}

impl<'a> Unpacker<'a> {
    fn new(compression: Compression, taken: Taken<'a>) -> Self {
        match compression {
            Compression::None => Self::Plain(taken),
            Compression::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(taken))),
            Compression::Deflate => Self::Deflate(Box::new(DeflateDecoder::new(taken))),
        }
    }

    fn taken(&self) -> &Taken<'a> {
        match self {
            Self::Plain(taken) => taken,
            Self::Gzip(decoder) => decoder.get_ref(),
            Self::Deflate(decoder) => decoder.get_ref(),
        }
    }

    fn taken_mut(&mut self) -> &mut Taken<'a> {
        match self {
            Self::Plain(taken) => taken,
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
        }
    }

    fn push(&mut self, part: &[u8]) -> Result<(), String> {
        let written = match self {
            Self::Plain(taken) => taken.write_all(part),
            Self::Gzip(decoder) => decoder.write_all(part),
            Self::Deflate(decoder) => decoder.write_all(part),
        };
        written.map_err(|err| self.explained(&err))
    }

    fn finish(&mut self) -> Result<(), String> {
        let finished = match self {
            Self::Plain(_) => Ok(()),
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Deflate(decoder) => decoder.try_finish(),
        };
        finished.map_err(|err| self.explained(&err))
    }

    fn explained(&self, err: &io::Error) -> String {
        self.taken().fault.clone().unwrap_or_else(|| err.to_string())
    }

    /// Taken out before its decoder is dropped, which would try to write what it holds.
    fn into_taken(mut self) -> Taken<'a> {
        let taken = self.taken_mut();
        let empty = Taken::new(1, false, taken.budget);
        std::mem::replace(taken, empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::{DeflateEncoder, GzEncoder};
    use proptest::prelude::*;

    fn unpacked(
        compression: Compression,
        limit: u64,
        bytes: &[u8],
        budget: &Budget,
    ) -> (u64, Vec<u8>, Result<(), String>) {
        let mut unpacker = Unpacker::new(compression, Taken::new(limit, true, budget));
        let mut done = bytes.chunks(7).try_for_each(|part| unpacker.push(part));
        if done.is_ok() {
            done = unpacker.finish();
        }
        let mut taken = unpacker.into_taken();
        let kept = taken.kept.clone();
        budget.0.fetch_sub(taken.kept.len(), Ordering::Relaxed);
        taken.kept.clear();
        (taken.bytes, kept, done)
    }

    #[test]
    fn bodies_are_unpacked_up_to_their_limit() {
        let text = b"body ".repeat(20);
        let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).expect("memory");
        let gzip = gzip.finish().expect("memory");
        let mut deflate = DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        deflate.write_all(&text).expect("memory");
        let deflate = deflate.finish().expect("memory");
        let budget = Budget::default();
        for (compression, bytes) in [
            (Compression::None, &text),
            (Compression::Gzip, &gzip),
            (Compression::Deflate, &deflate),
        ] {
            let whole = unpacked(compression, 100, bytes, &budget);
            assert_eq!(whole, (100, text.clone(), Ok(())), "{compression:?}");
            let (length, _, done) = unpacked(compression, 99, bytes, &budget);
            assert_eq!((length, done.is_err()), (99, true), "{compression:?}");
            let cut = bytes.get(..bytes.len() - 2).expect("long enough");
            let (_, _, done) = unpacked(compression, 0, cut, &budget);
            // Only gzip says how long it is: a raw stream that is cut is short, and no fault.
            assert_eq!(done.is_err(), compression == Compression::Gzip, "{compression:?}");
        }
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_is_kept_has_an_end() {
        let budget = Budget::default();
        let long = vec![b'x'; KEPT_BYTES_MAX + 1];
        let mut one = Taken::new(0, true, &budget);
        assert!(one.write_all(&long[..KEPT_BYTES_MAX]).is_ok());
        assert!(one.write_all(b"x").is_err(), "longer than expressions may look at");
        let mut held = Vec::new();
        let mut room = || {
            let mut next = Taken::new(0, true, &budget);
            let fits = next.write_all(&long[..KEPT_BYTES_MAX]).is_ok();
            held.push(next);
            fits
        };
        let fitting = (0..20).filter(|_| room()).count();
        assert_eq!((fitting + 1) * KEPT_BYTES_MAX, BUDGET_BYTES);
        drop((one, held));
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_unpacked(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let budget = Budget::default();
            for compression in [Compression::Gzip, Compression::Deflate] {
                let _ = unpacked(compression, 50, &bytes, &budget);
            }
            prop_assert_eq!(budget.0.load(Ordering::Relaxed), 0);
        }
    }
}
