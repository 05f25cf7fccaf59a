//! The open chunks of a checkpoint, which has them in parts: each record that names one adds what
//! came since the record before.

use super::load::read_full;
use super::open::OpenChunk;
use super::table::{PAGE_SLOTS, generation_of, place_of};
use crate::storage::chunk::BitWriter;
use crate::storage::codec::{Reader, Steps};
use crate::storage::wal::frame::Frame;
use crate::storage::wal::record::kind;

/// The open chunks of a checkpoint, ready to grow.
#[derive(Debug)]
pub(super) struct Resumed {
    /// By the places of their series.
    pub(super) chunks: Vec<ResumedChunk>,
    /// Records that made no sense.
    pub(super) senseless: u64,
}

/// One of them, and the number of its series.
#[derive(Debug)]
pub(super) struct ResumedChunk {
    pub(super) number: u64,
    /// `None` when its bytes make no sense.
    pub(super) chunk: Option<OpenChunk>,
}

/// Reads them from the records of a checkpoint, which are in order.
pub(super) fn resume(frames: &[Frame<'_>]) -> Resumed {
    let (mut opens, mut senseless) = (Opens::default(), 0);
    for frame in frames {
        // What else makes no sense is for those to tell who take it in.
        match frame.kind {
            kind::OPEN_CHUNKS => senseless += u64::from(opens.read(frame.payload).is_none()),
            kind::FULL_CHUNKS => {
                // One that begins with or before the end of full ones is among those.
                let _ = read_full(frame.payload, |full| {
                    opens.forget_if(full.number, |open| open.min <= full.chain.max);
                });
            }
            kind::GONE => {
                let mut reader = Reader::new(frame.payload);
                while let Some(number) = reader.varint() {
                    opens.forget_if(number, |_| true);
                }
            }
            _other => {}
        }
    }
    Resumed { chunks: opens.resumed(), senseless }
}

/// Open chunks as far as they were read.
#[derive(Debug, Default)]
struct Opens<'a> {
    /// By the places of their series, in pages that are made when they are needed.
    pages: Vec<Vec<Option<Open>>>,
    parts: Vec<Part<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    number: u64,
    min: i64,
    bit_len: u32,
    count: u8,
    /// The newest part, a place in `Opens::parts`.
    newest: u32,
}

/// Bytes of an open chunk from some place on. What older parts have from there on does not count.
#[derive(Clone, Copy, Debug)]
struct Part<'a> {
    bytes: &'a [u8],
    from: u32,
    /// The part before, if it counts; else `NO_PART`.
    before: u32,
}

/// No place in `Opens::parts`.
const NO_PART: u32 = u32::MAX;

impl Open {
    const fn byte_len(&self) -> u32 {
        self.bit_len.div_ceil(8)
    }

    /// Its bytes, with room for what comes next.
    fn bytes(&self, parts: &[Part<'_>]) -> Vec<u8> {
        let len = self.byte_len() as usize;
        let mut bytes = Vec::with_capacity(BitWriter::room_of(len));
        bytes.resize(len, 0);
        let (mut end, mut next) = (len, self.newest);
        while let Some(part) = parts.get(next as usize) {
            let from = part.from as usize;
            if let Some(to) = bytes.get_mut(from..end) {
                to.iter_mut().zip(part.bytes).for_each(|(to, byte)| *to = *byte);
            }
            (end, next) = (end.min(from), part.before);
        }
        bytes
    }
}

impl<'a> Opens<'a> {
    fn read(&mut self, payload: &'a [u8]) -> Option<()> {
        let mut reader = Reader::new(payload);
        let (mut numbers, mut min) = (Steps::default(), 0_i64);
        while !reader.is_empty() {
            let number = numbers.get(&mut reader)?;
            min = min.wrapping_add(reader.signed()?);
            let from = u32::try_from(reader.varint()?).ok()?;
            let count = reader.byte()?;
            let bit_len = u32::try_from(reader.varint()?).ok()?;
            let len = bit_len.div_ceil(8).checked_sub(from)?;
            let bytes = reader.take(usize::try_from(len).ok()?)?;
            let Some(slot) = slot_of(&mut self.pages, number) else { continue };
            // A part belongs to the chunk that begins at `min`; when a part between is lost, what
            // came before it stays.
            let before = slot.filter(|open| open.number == number && open.min == min);
            if before.map_or(0, |open| open.byte_len()) < from {
                continue;
            }
            let newest = u32::try_from(self.parts.len()).ok()?;
            *slot = Some(Open { number, min, bit_len, count, newest });
            let before = before.map(|open| open.newest).filter(|_| from > 0);
            self.parts.push(Part { bytes, from, before: before.unwrap_or(NO_PART) });
        }
        Some(())
    }

    fn forget_if(&mut self, number: u64, is_past: impl FnOnce(&Open) -> bool) {
        let place = place_of(number) as usize;
        let page = self.pages.get_mut(place / PAGE_SLOTS);
        if let Some(slot) = page.and_then(|page| page.get_mut(place % PAGE_SLOTS)) {
            slot.take_if(|open| open.number == number && is_past(open));
        }
    }

    fn resumed(self) -> Vec<ResumedChunk> {
        let Self { pages, parts } = self;
        let count = pages.iter().flatten().flatten().count();
        let mut chunks = Vec::with_capacity(count);
        // Each page goes when it was read: all of them together are as large as what they become.
        for open in pages.into_iter().flatten().flatten() {
            let Open { number, min, bit_len, count, .. } = open;
            let bytes = open.bytes(&parts);
            let chunk = OpenChunk::resume(min, count, bit_len as usize, bytes);
            chunks.push(ResumedChunk { number, chunk });
        }
        chunks
    }
}

/// The slot of a series; `None` when a later one has taken its place.
fn slot_of(pages: &mut Vec<Vec<Option<Open>>>, number: u64) -> Option<&mut Option<Open>> {
    let place = place_of(number) as usize;
    if pages.len() <= place / PAGE_SLOTS {
        pages.resize_with(place / PAGE_SLOTS + 1, Vec::new);
    }
    let page = pages.get_mut(place / PAGE_SLOTS)?;
    if page.is_empty() {
        page.resize(PAGE_SLOTS, None);
    }
    let is_later = |open: &Open| generation_of(open.number) > generation_of(number);
    page.get_mut(place % PAGE_SLOTS).filter(|slot| !slot.as_ref().is_some_and(is_later))
}
