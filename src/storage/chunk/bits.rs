//! Bits in bytes: the highest bit of a byte comes first, as in Gorilla.

use crate::storage::codec::low_byte;

/// Appends bits. Whole bytes go to the buffer at once, so that a chunk's bytes can be saved while
/// it is still open.
#[derive(Clone, Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of the last byte that are used; 0 when it is full or there is none.
    used: u8,
}

impl BitWriter {
    /// Goes on after `bit_len` bits of `bytes`; `None` when there are not so many.
    pub(crate) fn resume(mut bytes: Vec<u8>, bit_len: usize) -> Option<Self> {
        if bytes.len() != bit_len.div_ceil(8) {
            return None;
        }
        let used = u8::try_from(bit_len % 8).ok()?;
        if used > 0
            && let Some(last) = bytes.last_mut()
        {
            *last &= 0xff << (8 - used);
        }
        Some(Self { bytes, used })
    }

    /// Grows a full buffer by `step` bytes, not by its own length: for buffers of which there are
    /// many.
    pub(crate) fn make_room(&mut self, step: usize) {
        if self.bytes.capacity() == self.bytes.len() {
            self.bytes.reserve_exact(step);
        }
    }

    /// Appends the low `count` (at most 64) bits of `value`, the highest first.
    pub(crate) fn put(&mut self, value: u64, count: u32) {
        debug_assert!(count <= 64, "BUG: more bits than a word has");
        if count == 0 {
            return;
        }
        // The bits stand at the top of the word from here on.
        let mut word = value << (64 - count);
        let mut left = count;
        if self.used > 0
            && let Some(last) = self.bytes.last_mut()
        {
            let room = u32::from(8 - self.used);
            let [top, ..] = word.to_be_bytes();
            *last |= top >> self.used;
            if left < room {
                self.used += low_byte(u64::from(left));
                return;
            }
            word <<= room;
            left -= room;
            self.used = 0;
        }
        let whole = (left / 8) as usize;
        let tail = left % 8;
        let bytes = word.to_be_bytes();
        self.bytes.extend_from_slice(bytes.get(..whole).unwrap_or_default());
        if tail > 0 {
            self.bytes.push(bytes.get(whole).copied().unwrap_or_default());
            self.used = low_byte(u64::from(tail));
        }
    }

    /// The bytes so far; unused bits of the last one are zero.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of bits so far.
    pub(crate) fn bit_len(&self) -> usize {
        self.bytes.len() * 8 - if self.used == 0 { 0 } else { 8 - usize::from(self.used) }
    }
}

/// Reads bits; `None` past the end.
#[derive(Clone, Debug)]
pub(crate) struct BitReader<'a> {
    rest: &'a [u8],
    /// Bits not yet handed out, at the top.
    word: u64,
    /// How many.
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
        if count <= self.held && count < 64 {
            return Some(self.take(count));
        }
        self.get_slow(count)
    }

    fn get_slow(&mut self, count: u32) -> Option<u64> {
        if count > 56 {
            let high = self.get(count - 32)?;
            return Some((high << 32) | self.get(32)?);
        }
        self.fill();
        if self.held < count {
            return None;
        }
        Some(self.take(count))
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

    fn fill(&mut self) {
        while self.held <= 56 {
            let Some((first, rest)) = self.rest.split_first() else { return };
            self.word |= u64::from(*first) << (56 - self.held);
            self.held += 8;
            self.rest = rest;
        }
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
    fn nothing_is_read_past_the_end() {
        let mut reader = BitReader::new(&[0xff]);
        assert_eq!(reader.get(5), Some(31));
        assert_eq!(reader.get(4), None);
        assert_eq!(reader.get(3), Some(7));
        assert_eq!(reader.bit(), None);
    }
}
