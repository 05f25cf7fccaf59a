//! Bits in bytes: the highest bit of a byte comes first, as in Gorilla.

/// Bytes of a buffer that begins.
const FIRST_BYTES: usize = 16;

/// From this size up to `SMALL_BYTES` a buffer grows by `SMALL_STEP`; smaller and larger ones
/// double. Measured with 250,000 series: steps of 16 bytes take more memory than they save, in
/// the holes that all the moves leave, and doubling throughout takes 10 MB more.
const TINY_BYTES: usize = 64;

/// See `TINY_BYTES`.
const SMALL_BYTES: usize = 256;

/// See `TINY_BYTES`.
const SMALL_STEP: usize = 32;

/// Appends bits. A series has one: three words.
#[derive(Clone, Debug, Default)]
pub(crate) struct BitWriter {
    /// The bits, and zeros as far as there is room.
    bytes: Box<[u8]>,
    bit_len: usize,
}

impl BitWriter {
    /// Goes on after `bit_len` bits of `bytes`, in the room that those have; `None` when there are
    /// not so many.
    pub(crate) fn resume(mut bytes: Vec<u8>, bit_len: usize) -> Option<Self> {
        if bytes.len() != bit_len.div_ceil(8) {
            return None;
        }
        if let (used @ 1.., Some(last)) = (bit_len % 8, bytes.last_mut()) {
            *last &= 0xff << (8 - used);
        }
        bytes.resize(bytes.capacity(), 0);
        Some(Self { bytes: bytes.into(), bit_len })
    }

    /// An empty one with room for so many bytes.
    pub(crate) fn with_room(len: usize) -> Self {
        Self { bytes: vec![0; len].into(), bit_len: 0 }
    }

    /// The room that so many bytes have when more are to follow.
    pub(crate) fn room_of(len: usize) -> usize {
        let doubles = !(TINY_BYTES..SMALL_BYTES).contains(&len);
        len + if doubles { len.max(FIRST_BYTES) } else { SMALL_STEP }
    }

    /// Appends the low `count` (at most 64) bits of `value`, the highest first.
    #[inline]
    pub(crate) fn put(&mut self, value: u64, count: u32) {
        debug_assert!(count <= 64, "BUG: more bits than a word has");
        let end = self.bit_len + count as usize;
        if end > self.bytes.len() * 8 {
            self.grow(end.div_ceil(8));
        }
        // Eight bytes with the place in them: at the end of the buffer the last ones.
        let from = (self.bit_len / 8).min(self.bytes.len().saturating_sub(8));
        let used = self.bit_len - from * 8;
        let window = self.bytes.get_mut(from..).unwrap_or_default();
        if let Some(whole) = window.first_chunk_mut::<8>()
            && count > 0
            && used + count as usize <= 64
        {
            // What lies behind the bits is zero, here and in the word.
            let word = value << (64 - count) >> used;
            *whole = (u64::from_be_bytes(*whole) | word).to_be_bytes();
            self.bit_len = end;
            return;
        }
        self.put_bytes(value, count);
    }

    /// As `put`, where the bits are in nine bytes, or there are none.
    #[cold]
    fn put_bytes(&mut self, value: u64, count: u32) {
        if count == 0 {
            return;
        }
        // The bits stand at the top of the word from here on.
        let word = value << (64 - count);
        let used = self.bit_len % 8;
        let mut places = self.bytes.get_mut(self.bit_len / 8..).unwrap_or_default().iter_mut();
        self.bit_len += count as usize;
        let [top, ..] = word.to_be_bytes();
        if let Some(first) = places.next() {
            *first |= top >> used;
        }
        let mut left = (used + count as usize).saturating_sub(8);
        for (place, byte) in places.zip((word << (8 - used)).to_be_bytes()) {
            if left == 0 {
                break;
            }
            *place = byte;
            left = left.saturating_sub(8);
        }
    }

    /// The bytes so far; unused bits of the last one are zero.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.bit_len.div_ceil(8)).unwrap_or_default()
    }

    /// The byte that the next bit belongs to, 0 where there is no room yet.
    pub(crate) fn last_byte(&self) -> u8 {
        self.bytes.get(self.bit_len / 8).copied().unwrap_or_default()
    }

    /// Number of bits so far.
    pub(crate) const fn bit_len(&self) -> usize {
        self.bit_len
    }

    #[cold]
    fn grow(&mut self, to: usize) {
        let mut bytes = std::mem::take(&mut self.bytes).into_vec();
        let held = bytes.len();
        let room = to.max(Self::room_of(held));
        bytes.reserve_exact(room - held);
        bytes.resize(room, 0);
        self.bytes = bytes.into();
    }
}

/// Bits that a reader holds after filling up, at least.
const FILLED_BITS: u32 = 56;

/// Reads bits; `None` past the end.
#[derive(Clone, Debug)]
pub(crate) struct BitReader<'a> {
    rest: &'a [u8],
    /// Bits not yet handed out, at the top. Behind them are zeros, or bits that `rest` begins with.
    word: u64,
    /// How many, but for those of `rest`.
    held: u32,
}

impl<'a> BitReader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, word: 0, held: 0 }
    }

    /// The next bit.
    #[inline]
    pub(crate) fn bit(&mut self) -> Option<bool> {
        self.get(1).map(|bit| bit == 1)
    }

    /// The next `count` (at most 64) bits as a number.
    #[inline]
    pub(crate) fn get(&mut self, count: u32) -> Option<u64> {
        if count <= self.held {
            return Some(self.take(count));
        }
        self.get_slow(count)
    }

    /// Ones before the next zero, as far as there are bits in a word.
    #[inline]
    pub(crate) fn ones(&mut self) -> u32 {
        self.fill();
        self.word.leading_ones().min(self.held)
    }

    /// Zeros before the next one, likewise.
    #[inline]
    pub(crate) fn zeros(&mut self) -> u32 {
        self.fill();
        self.word.leading_zeros().min(self.held)
    }

    /// The bits ahead, at the top of a word; `None` when there are not `count` of them, or more
    /// than one look takes.
    #[inline]
    pub(crate) fn peek(&mut self, count: u32) -> Option<u64> {
        self.fill();
        (count <= self.held).then_some(self.word)
    }

    /// Passes over bits that `ones`, `zeros` or `peek` saw.
    #[inline]
    pub(crate) fn pass(&mut self, count: u32) {
        self.take(count);
    }

    /// The next `count` (1 to 64) bits behind `head` others that `peek` saw; `None` when there are
    /// not so many, and then nothing is passed over.
    #[inline]
    pub(crate) fn get_behind(&mut self, head: u32, count: u32) -> Option<u64> {
        let held = self.held.checked_sub(head)?;
        let mut behind = Self { rest: self.rest, word: self.word << head, held };
        let value = behind.get(count)?;
        (self.rest, self.word, self.held) = (behind.rest, behind.word, behind.held);
        Some(value)
    }

    /// As `get`, of more than are held.
    #[inline]
    fn get_slow(&mut self, count: u32) -> Option<u64> {
        let Some((next, rest)) = self.rest.split_first_chunk::<8>() else {
            let (left, value) = self.clone().get_at_end(count);
            *self = left;
            return value;
        };
        let next = u64::from_be_bytes(*next);
        let value = (self.word | next >> self.held) >> (64 - count);
        let used = count - self.held;
        self.word = next.checked_shl(used).unwrap_or(0);
        self.held = 64 - used;
        self.rest = rest;
        Some(value)
    }

    /// By value, as all that is seldom: a reader whose address nobody takes is kept in registers.
    #[cold]
    fn get_at_end(mut self, count: u32) -> (Self, Option<u64>) {
        let mut value = 0;
        for wanted in [count.saturating_sub(32), count.min(32)] {
            self.fill();
            if self.held < wanted {
                return (self, None);
            }
            // No more than 32 at a time.
            value = value << wanted | self.take(wanted);
        }
        (self, Some(value))
    }

    #[inline]
    fn take(&mut self, count: u32) -> u64 {
        if count == 0 {
            return 0;
        }
        let value = self.word >> (64 - count);
        self.word <<= count;
        self.held -= count;
        value
    }

    /// Holds `FILLED_BITS` at least, or all that are left.
    #[inline]
    fn fill(&mut self) {
        if self.held >= FILLED_BITS {
            return;
        }
        let Some(next) = self.rest.first_chunk::<8>() else {
            *self = self.clone().filled_from_end();
            return;
        };
        // Bits of a byte that is not whole stay in the word; the next time puts them there again.
        self.word |= u64::from_be_bytes(*next) >> self.held;
        let whole = (63 - self.held) / 8;
        self.held += whole * 8;
        self.rest = self.rest.get(whole as usize..).unwrap_or_default();
    }

    /// See `get_at_end`.
    #[cold]
    fn filled_from_end(mut self) -> Self {
        while self.held < FILLED_BITS {
            let Some((first, rest)) = self.rest.split_first() else { break };
            self.word |= u64::from(*first) << (56 - self.held);
            self.held += 8;
            self.rest = rest;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitvec::prelude::*;
    use proptest::prelude::*;

    fn runs() -> impl Strategy<Value = Vec<(u64, u32)>> {
        proptest::collection::vec((any::<u64>(), 0_u32..=64), 0..60)
    }

    proptest! {
        #[test]
        fn bits_are_those_of_bitvec(runs in runs()) {
            let mut ours = BitWriter::default();
            let mut oracle = BitVec::<u8, Msb0>::new();
            for (value, count) in &runs {
                ours.put(*value, *count);
                oracle.extend((0..*count).rev().map(|place| value >> place & 1 == 1));
            }
            prop_assert_eq!(ours.bit_len(), oracle.len());
            oracle.set_uninitialized(false);
            prop_assert_eq!(ours.bytes(), oracle.as_raw_slice());
            let mut reader = BitReader::new(ours.bytes());
            for (value, count) in &runs {
                let expected = if *count == 64 { *value } else { value & ((1 << count) - 1) };
                prop_assert_eq!(reader.get(*count), Some(expected));
            }
        }

        #[test]
        fn writing_goes_on_where_it_stopped(runs in runs(), at in 0_usize..60) {
            let mut whole = BitWriter::default();
            let mut parts = BitWriter::default();
            for (place, (value, count)) in runs.iter().enumerate() {
                if place == at {
                    let bits = parts.bit_len();
                    parts = BitWriter::resume(parts.bytes().to_vec(), bits).unwrap();
                }
                whole.put(*value, *count);
                parts.put(*value, *count);
            }
            prop_assert_eq!(whole.bytes(), parts.bytes());
        }
    }

    #[test]
    fn the_last_word_is_read_as_a_whole() {
        let bytes: Vec<u8> = (0..14).map(|at| at * 17).collect();
        let mut reader = BitReader::new(&bytes);
        reader.peek(1).unwrap();
        reader.pass(48);
        // All that is left is held now.
        assert_eq!(reader.peek(1).unwrap() >> 56, 6 * 17);
        let last = bytes.last_chunk::<8>().unwrap();
        assert_eq!(reader.get(64), Some(u64::from_be_bytes(*last)));
        assert_eq!(reader.get(1), None);
    }

    #[test]
    fn nothing_is_read_past_the_end() {
        let mut reader = BitReader::new(&[0xff]);
        assert_eq!(reader.get(5), Some(31));
        assert_eq!(reader.get(4), None);
        assert_eq!(reader.get(3), Some(7));
        assert_eq!(reader.bit(), None);
    }
}
