//! Places of series that have a label: sorted, one byte or two each.
//!
//! Series of one target lie side by side, so most distances are 1 or small. Blocks of at most
//! `BLOCK_BYTES` keep a change in the middle cheap, which a place that is used again makes.

use crate::storage::codec::{Reader, put_varint};

/// Bytes of a block at most, about; it splits in two behind that.
const BLOCK_BYTES: usize = 256;

/// Bytes that a block grows by.
const GROWTH_BYTES: usize = 16;

/// A set of places.
#[derive(Debug, Default)]
pub(super) struct Places {
    blocks: Vec<Block>,
    count: u32,
}

#[derive(Debug)]
struct Block {
    first: u32,
    last: u32,
    /// Distances of all but the first, each to the one before.
    coded: Vec<u8>,
}

impl Places {
    /// How many.
    pub(super) const fn len(&self) -> u32 {
        self.count
    }

    /// Whether there is none.
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends all of them, rising.
    pub(super) fn write_to(&self, out: &mut Vec<u32>) {
        for block in &self.blocks {
            block.write_to(out);
        }
    }

    /// Those of `ids`, which rise, that are among them. Blocks without one of them are not read.
    pub(super) fn meet(&self, ids: &[u32]) -> Vec<u32> {
        let (mut met, mut left) = (Vec::new(), ids);
        for block in &self.blocks {
            let before = left.partition_point(|id| *id < block.first);
            left = left.get(before..).unwrap_or_default();
            let (within, behind) = left.split_at(left.partition_point(|id| *id <= block.last));
            left = behind;
            if block.is_run() {
                met.extend_from_slice(within);
            } else if !within.is_empty() {
                let mut places = block.iter().peekable();
                met.extend(within.iter().filter(|id| {
                    while places.next_if(|place| place < id).is_some() {}
                    places.peek() == Some(id)
                }));
            }
            if left.is_empty() {
                break;
            }
        }
        met
    }

    /// Adds one that may be there already.
    pub(super) fn insert(&mut self, place: u32) {
        let at = self.block_of(place);
        let Some(block) = self.blocks.get_mut(at) else {
            self.blocks.reserve_exact(1);
            self.blocks.push(Block { first: place, last: place, coded: Vec::new() });
            self.count += 1;
            return;
        };
        if block.last < place {
            block.append(place);
        } else {
            let mut all: Vec<u32> = block.iter().collect();
            let Err(slot) = all.binary_search(&place) else { return };
            all.insert(slot, place);
            *block = Block::of(&all);
        }
        self.count += 1;
        if block.coded.len() > BLOCK_BYTES {
            self.split(at);
        }
    }

    /// Takes one away, if it is there.
    pub(super) fn remove(&mut self, place: u32) {
        let at = self.block_of(place);
        let Some(block) = self.blocks.get_mut(at) else { return };
        let mut all: Vec<u32> = block.iter().collect();
        let Ok(slot) = all.binary_search(&place) else { return };
        all.remove(slot);
        self.count -= 1;
        if all.is_empty() {
            self.blocks.remove(at);
        } else {
            *block = Block::of(&all);
        }
    }

    /// The last block that begins at or before `place`, or the first.
    fn block_of(&self, place: u32) -> usize {
        self.blocks.partition_point(|block| block.first <= place).saturating_sub(1)
    }

    fn split(&mut self, at: usize) {
        let Some(block) = self.blocks.get(at) else { return };
        let all: Vec<u32> = block.iter().collect();
        // Places mostly come rising: a full block stays full, the next begins with the last.
        let is_last = at + 1 == self.blocks.len();
        let middle = if is_last { all.len() - 1 } else { all.len() / 2 };
        let (left, right) = all.split_at(middle);
        let both = [Block::of(left), Block::of(right)];
        self.blocks.splice(at..=at, both);
    }
}

impl Block {
    /// A block of at least one place, rising.
    fn of(places: &[u32]) -> Self {
        let mut coded = Vec::new();
        let steps = places.iter().zip(places.iter().skip(1));
        steps.for_each(|(a, b)| put_varint(&mut coded, u64::from(b - a)));
        coded.shrink_to_fit();
        let ends = (places.first(), places.last());
        let (first, last) = (ends.0.copied().unwrap_or(0), ends.1.copied().unwrap_or(0));
        Self { first, last, coded }
    }

    fn write_to(&self, out: &mut Vec<u32>) {
        if self.is_run() {
            return out.extend(self.first..=self.last);
        }
        let mut place = self.first;
        out.push(place);
        if self.coded.is_ascii() {
            // Each distance is one byte.
            out.extend(self.coded.iter().map(|step| {
                place += u32::from(*step);
                place
            }));
            return;
        }
        let (mut step, mut shift) = (0, 0);
        for byte in &self.coded {
            step |= u32::from(byte & 0x7f) << shift;
            shift += 7;
            if *byte < 0x80 {
                place += step;
                out.push(place);
                (step, shift) = (0, 0);
            }
        }
    }

    /// Whether it has all places between its ends: then each distance is 1, and takes a byte.
    fn is_run(&self) -> bool {
        u32::try_from(self.coded.len()).is_ok_and(|bytes| bytes == self.last - self.first)
    }

    fn append(&mut self, place: u32) {
        if self.coded.capacity() == self.coded.len() {
            self.coded.reserve_exact(GROWTH_BYTES);
        }
        put_varint(&mut self.coded, u64::from(place - self.last));
        self.last = place;
    }

    fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let mut reader = Reader::new(&self.coded);
        let mut place = self.first;
        let rest = std::iter::from_fn(move || {
            place += u32::try_from(reader.varint()?).ok()?;
            Some(place)
        });
        std::iter::once(self.first).chain(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(
            rising in 0_u32..2000,
            steps in proptest::collection::vec((any::<bool>(), 0_u32..3000), 0..400),
            (from, to) in (0_u32..3000, 0_u32..3000),
            ids in proptest::collection::btree_set(0_u32..3000, 0..60),
        ) {
            let (mut places, mut oracle) = (Places::default(), BTreeSet::new());
            for place in (0..rising).step_by(3) {
                places.insert(place);
                oracle.insert(place);
            }
            for (add, place) in steps {
                if add {
                    places.insert(place);
                    oracle.insert(place);
                } else {
                    places.remove(place);
                    oracle.remove(&place);
                }
            }
            for place in from..to {
                places.insert(place);
                oracle.insert(place);
            }
            prop_assert_eq!(places.len() as usize, oracle.len());
            prop_assert_eq!(places.is_empty(), oracle.is_empty());
            let mut all = Vec::new();
            places.write_to(&mut all);
            prop_assert!(all.iter().eq(&oracle));
            let met = ids.iter().copied().filter(|id| oracle.contains(id)).collect::<Vec<_>>();
            prop_assert_eq!(places.meet(&ids.into_iter().collect::<Vec<_>>()), met);
        }
    }
}
