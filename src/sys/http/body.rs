//! The body of an answer: taken piece by piece, decompressed on the way, never past its bounds.

use super::HttpError;
use bytes::buf::Limit;
use bytes::{BufMut as _, Bytes};
use flate2::write::MultiGzDecoder;
use std::io::{self, Write};

/// Text that compresses better than this is a bomb; measured scrapes reach 30.
const RATIO_MAX: usize = 100;
/// Below this many decoded bytes the ratio says nothing.
const RATIO_FROM_BYTES: usize = 1 << 20;

/// What is set aside for a body before it comes, at most.
const ROOM_BYTES_MAX: usize = 1 << 20;

/// Room for a body that is longer than that.
const LONG_BYTES: usize = 32 << 20;

/// Takes the pieces of one body.
pub(super) enum BodySink {
    /// As it came.
    Plain(Bounded),
    /// Compressed with gzip.
    Gzip(Box<MultiGzDecoder<Bounded>>),
}

impl BodySink {
    /// A sink for a body with this `Content-Encoding`, which holds at most `limit` bytes, and as
    /// many as `announced` when it tells the truth. It goes into `out`, if that has memory.
    ///
    /// # Errors
    /// The encoding is none that was asked for.
    pub(super) fn new(
        encoding: Option<&str>,
        limit: usize,
        announced: Option<u64>,
        mut out: Vec<u8>,
    ) -> Result<Self, HttpError> {
        // A text that grows is copied again and again; one that lies gets little for it.
        let room = announced.and_then(|len| usize::try_from(len).ok()).unwrap_or_default();
        out.clear();
        out.reserve_exact(room.min(limit).min(ROOM_BYTES_MAX));
        let bounded = Bounded { out, limit, taken: 0, over: None };
        match encoding.map(str::trim) {
            None | Some("" | "identity") => Ok(Self::Plain(bounded)),
            Some("gzip" | "x-gzip") => Ok(Self::Gzip(Box::new(MultiGzDecoder::new(bounded)))),
            Some(other) => {
                Err(HttpError::Broken(format!("unknown content encoding {other:?}; gzip is known")))
            }
        }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// A bound is passed, or the piece does not decompress.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), HttpError> {
        match self {
            Self::Plain(bounded) => {
                bounded.taken = bounded.taken.saturating_add(piece.len());
                bounded.write_all(piece).map_err(|err| bounded.explain(&err))
            }
            Self::Gzip(decoder) => {
                let bounded = decoder.get_mut();
                bounded.taken = bounded.taken.saturating_add(piece.len());
                if bounded.taken > bounded.limit {
                    return Err(HttpError::TooLarge { limit: bounded.limit });
                }
                decoder.write_all(piece).map_err(|err| decoder.get_ref().explain(&err))
            }
        }
    }

    /// Where the next `want` bytes, or some of them, may be read to: `took` is told how many were.
    /// `None` for a compressed body, and at the limit.
    pub(super) fn room(&mut self, want: usize) -> Option<Limit<&mut Vec<u8>>> {
        let Self::Plain(bounded) = self else { return None };
        let want = want.min(bounded.limit.saturating_sub(bounded.out.len()));
        if want > 0 && bounded.out.len() == bounded.out.capacity() {
            bounded.grow_to(bounded.out.len() + 1);
        }
        let free = bounded.out.capacity() - bounded.out.len();
        (want > 0).then(|| (&mut bounded.out).limit(want.min(free)))
    }

    /// So many bytes were read into the room.
    pub(super) fn took(&mut self, count: usize) {
        if let Self::Plain(bounded) = self {
            bounded.taken = bounded.taken.saturating_add(count);
        }
    }

    /// The whole body, once all of it `came`. Where it is longer than the limit and `cuts` is set,
    /// what of it is within.
    ///
    /// # Errors
    /// The body did not come, is too long, or the compressed body was cut.
    pub(super) fn finish(
        mut self,
        came: Result<(), HttpError>,
        cuts: bool,
    ) -> Result<Bytes, HttpError> {
        let finished = came.and_then(|()| match &mut self {
            Self::Plain(_) => Ok(()),
            Self::Gzip(decoder) => {
                decoder.try_finish().map_err(|err| decoder.get_ref().explain(&err))
            }
        });
        match finished {
            Err(err) if !(cuts && matches!(err, HttpError::TooLarge { .. })) => Err(err),
            Ok(()) | Err(_) => Ok(std::mem::take(&mut self.bounded().out).into()),
        }
    }

    fn bounded(&mut self) -> &mut Bounded {
        match self {
            Self::Plain(bounded) => bounded,
            Self::Gzip(decoder) => decoder.get_mut(),
        }
    }
}

/// Bytes up to a limit.
pub(super) struct Bounded {
    out: Vec<u8>,
    limit: usize,
    /// Bytes that came over the wire.
    taken: usize,
    over: Option<HttpError>,
}

impl Bounded {
    /// Makes room for `size` bytes in all, and more if they are no more than the limit.
    fn grow_to(&mut self, size: usize) {
        // By doubling as long as it is short. Of a long one there would be two copies for a
        // moment; room that nothing was written to yet costs no memory.
        let least = if size > ROOM_BYTES_MAX { LONG_BYTES } else { 0 };
        let room = size.saturating_mul(2).max(least).min(self.limit);
        self.out.reserve_exact(room.saturating_sub(self.out.len()));
    }

    fn explain(&self, err: &io::Error) -> HttpError {
        self.over.clone().unwrap_or_else(|| HttpError::Broken(format!("gzip: {err}")))
    }
}

impl Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let size = self.out.len().saturating_add(piece.len());
        let bomb = size > RATIO_FROM_BYTES && size / RATIO_MAX > self.taken;
        if size > self.limit {
            let within = self.limit - self.out.len();
            self.out.extend_from_slice(piece.get(..within).unwrap_or_default());
            self.over = Some(HttpError::TooLarge { limit: self.limit });
        } else if bomb {
            let text = format!("gzip: the body grows more than {RATIO_MAX} times; refused");
            self.over = Some(HttpError::Broken(text));
        }
        if self.over.is_some() {
            return Err(io::Error::other("bound passed"));
        }
        if size > self.out.capacity() {
            self.grow_to(size);
        }
        self.out.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn take(encoding: Option<&str>, limit: usize, body: &[u8]) -> Result<Bytes, HttpError> {
        let announced = Some(body.len() as u64);
        let mut sink = BodySink::new(encoding, limit, announced, Vec::new())?;
        for piece in body.chunks(1000) {
            sink.push(piece)?;
        }
        sink.finish(Ok(()), false)
    }

    #[test]
    fn a_body_takes_no_more_room_than_it_may_have_bytes() {
        let mut sink = BodySink::new(None, 3 << 20, None, Vec::new()).expect("a known encoding");
        for _ in 0..3 << 10 {
            sink.push(&[b'x'; 1 << 10]).expect("fits");
        }
        let BodySink::Plain(bounded) = &sink else { panic!("it is not compressed") };
        assert_eq!((bounded.out.len(), bounded.out.capacity()), (3 << 20, 3 << 20));
    }

    #[test]
    fn a_body_past_its_limit_is_refused_however_it_is_packed() {
        let noise: Vec<u8> =
            (0..40_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
        assert_eq!(take(None, 40_000, &noise).expect("fits"), noise);
        assert_eq!(take(Some("gzip"), 40_000, &gzip(&noise)).expect("fits"), noise);
        for (encoding, body) in [(None, noise.clone()), (Some("gzip"), gzip(&noise))] {
            let err = take(encoding, 39_999, &body).expect_err("too long");
            assert!(matches!(err, HttpError::TooLarge { limit: 39_999 }), "{err}");
        }
    }

    #[test]
    fn of_a_body_that_is_cut_is_kept_what_is_within_the_limit() {
        let body = b"0123456789".repeat(100);
        for (encoding, packed) in [(None, body.clone()), (Some("gzip"), gzip(&body))] {
            let mut sink = BodySink::new(encoding, 995, None, Vec::new()).expect("known");
            let came = packed.chunks(300).try_for_each(|piece| sink.push(piece));
            assert_eq!(sink.finish(came, true).expect("cut"), body[..995], "{encoding:?}");
        }
        let sink = BodySink::new(None, 9, None, Vec::new()).expect("known");
        assert!(sink.finish(Err(HttpError::Timeout), true).is_err());
    }

    #[test]
    fn a_bomb_and_a_cut_body_are_refused() {
        let bomb = gzip(&vec![0; 20 << 20]);
        let err = take(Some("gzip"), 32 << 20, &bomb).expect_err("a bomb");
        assert!(err.to_string().contains("more than 100 times"), "{err}");
        let whole = gzip(b"up 1\n");
        let cut = &whole[..whole.len() - 4];
        assert!(take(Some("gzip"), 100, cut).is_err());
        assert!(take(Some("br"), 100, b"x").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer_within_the_limit(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(body) = take(Some("gzip"), 64, &bytes) {
                prop_assert!(body.len() <= 64);
            }
        }
    }
}
