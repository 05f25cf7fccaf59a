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

/// One of them.
#[derive(Debug)]
pub(super) struct ResumedChunk {
    pub(super) number: u64,
    pub(super) min: i64,
    pub(super) count: u8,
    pub(super) bit_len: usize,
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
    bit_len: usize,
    count: u8,
    /// The newest part, a place in `Opens::parts`.
    newest: usize,
}

/// Bytes of an open chunk from some place on. What older parts have from there on does not count.
#[derive(Clone, Copy, Debug)]
struct Part<'a> {
    from: usize,
    bytes: &'a [u8],
    before: Option<usize>,
}

impl Open {
    const fn byte_len(&self) -> usize {
        self.bit_len.div_ceil(8)
    }
}

impl<'a> Opens<'a> {
    fn read(&mut self, payload: &'a [u8]) -> Option<()> {
        let mut reader = Reader::new(payload);
        let (mut numbers, mut min) = (Steps::default(), 0_i64);
        while !reader.is_empty() {
            let number = numbers.get(&mut reader)?;
            min = min.wrapping_add(reader.signed()?);
            let from = reader.number()?;
            let count = reader.byte()?;
            let bit_len = reader.number()?;
            let bytes = reader.take(bit_len.div_ceil(8).checked_sub(from)?)?;
            let Some(slot) = slot_of(&mut self.pages, number) else { continue };
            // A part belongs to the chunk that begins at `min`; when a part between is lost, what
            // came before it stays.
            let before = slot.filter(|open| open.number == number && open.min == min);
            if before.map_or(0, |open| open.byte_len()) < from {
                continue;
            }
            let newest = self.parts.len();
            *slot = Some(Open { number, min, bit_len, count, newest });
            let before = before.map(|open| open.newest).filter(|_| from > 0);
            self.parts.push(Part { from, bytes, before });
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

    fn resumed(&self) -> Vec<ResumedChunk> {
        let opens = self.pages.iter().flatten().flatten();
        let chunks = opens.map(|open| {
            let Open { number, min, bit_len, count, .. } = *open;
            let chunk = OpenChunk::resume(min, count, bit_len, self.bytes(open));
            ResumedChunk { number, min, count, bit_len, chunk }
        });
        chunks.collect()
    }

    /// The bytes of an open chunk, with room for what comes next.
    fn bytes(&self, open: &Open) -> Vec<u8> {
        let len = open.byte_len();
        let mut bytes = Vec::with_capacity(BitWriter::room_of(len));
        bytes.resize(len, 0);
        let (mut end, mut next) = (len, Some(open.newest));
        while let Some(part) = next.and_then(|place| self.parts.get(place)) {
            if let Some(to) = bytes.get_mut(part.from..end) {
                to.iter_mut().zip(part.bytes).for_each(|(to, byte)| *to = *byte);
            }
            end = end.min(part.from);
            next = part.before;
        }
        bytes
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
