//! What records say, and the memory that makes commits small.
//!
//! A commit whose list of series was seen before in its segment refers to that list, its shape,
//! and packs the values against the commit before it of the same shape. It names the sequence
//! number of that commit, so that a reader that lost it refuses rather than invents values. Every
//! `FULL_EVERY`th commit of a shape stands alone, which bounds what one damaged record takes with
//! it. Shapes end with their segment, so that old segments can go.

use super::LogSample;
use crate::model::Labels;
use crate::storage::chunk::{BitReader, BitWriter};
use crate::storage::codec::{Reader, put_signed, put_text, put_varint};
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use std::hash::{Hash as _, Hasher as _};

/// Kinds of records. A number never changes its meaning.
pub(crate) mod kind {
    /// New series: numbers and labels.
    pub(crate) const SERIES: u8 = 1;
    /// A list of series for commits to refer to.
    pub(crate) const SHAPE: u8 = 2;
    /// Samples of a shape.
    pub(crate) const SHAPED: u8 = 3;
    /// Samples with their series.
    pub(crate) const INLINE: u8 = 4;
    // 5 out-of-order samples, 6 native histograms, 7 start timestamps, 8 tombstones, 9 exemplars:
    // kept for the parts that write them.

    /// Checkpoint: bytes of open chunks.
    pub(crate) const OPEN_CHUNKS: u8 = 16;
    /// Checkpoint: where full chunks lie.
    pub(crate) const FULL_CHUNKS: u8 = 17;
    /// Checkpoint: series that left the head.
    pub(crate) const GONE: u8 = 18;
    /// Checkpoint: everything up to this sequence number is above.
    pub(crate) const END: u8 = 19;
}

/// Values are packed as XOR with their base, whole bytes of it: see `put_xor`.
const PACKING_XOR: u8 = 1;

/// Commits of one shape until one stands alone again.
const FULL_EVERY: u32 = 64;

/// Series numbers held by remembered shapes at most; past it all shapes are forgotten. Each takes
/// 16 bytes.
const SHAPE_NUMBERS_MAX: usize = 4_000_000;

/// Samples of one commit that a reader believes in.
const COMMIT_SAMPLES_MAX: usize = 64 << 20;

/// Writes new series.
pub(crate) fn put_series<'a>(
    out: &mut Vec<u8>,
    series: impl Iterator<Item = (u64, &'a Labels)> + Clone,
) {
    let mut symbols: FxHashMap<&str, u64> = FxHashMap::default();
    let mut texts: Vec<&str> = Vec::new();
    let mut body = Vec::new();
    let mut count = 0;
    for (number, labels) in series {
        count += 1;
        put_varint(&mut body, number);
        put_varint(&mut body, labels.len() as u64);
        for text in labels.iter().flat_map(|(name, value)| [name, value]) {
            let next = texts.len() as u64;
            let id = *symbols.entry(text).or_insert(next);
            if id == next {
                texts.push(text);
            }
            put_varint(&mut body, id);
        }
    }
    put_varint(out, texts.len() as u64);
    for text in texts {
        put_text(out, text);
    }
    put_varint(out, count);
    out.extend_from_slice(&body);
}

/// Reads new series; `None` when the bytes make no sense.
pub(crate) fn read_series(payload: &[u8]) -> Option<Vec<(u64, Labels)>> {
    let mut reader = Reader::new(payload);
    let texts: Vec<&str> = (0..reader.count()?).map(|_| reader.text()).collect::<Option<_>>()?;
    let mut series = Vec::new();
    for _ in 0..reader.count()? {
        let number = reader.varint()?;
        let mut pairs = Vec::new();
        for _ in 0..reader.count()? {
            let (name, value) = (reader.number()?, reader.number()?);
            pairs.push((*texts.get(name)?, *texts.get(value)?));
        }
        series.push((number, labels_of(&pairs)?));
    }
    Some(series)
}

/// The label set of decoded pairs; `None` when they are not what a label set holds.
pub(crate) fn labels_of(pairs: &[(&str, &str)]) -> Option<Labels> {
    let sorted = pairs.is_sorted_by(|(a, _), (b, _)| a < b);
    let full = pairs.iter().all(|(_, value)| !value.is_empty());
    (sorted && full).then(|| Labels::from_sorted(pairs.iter().copied()))
}

/// The writer's memory of one segment.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    known: FxHashMap<u64, WrittenShape>,
    /// Lists that came once: most lists of remote writes never come again.
    seen: FxHashSet<u64>,
    next_id: u64,
    numbers: usize,
}

#[derive(Debug)]
struct WrittenShape {
    id: u64,
    series: Vec<u64>,
    bits: Vec<u64>,
    last_seq: u64,
    since_full: u32,
}

/// How a commit is to be written.
#[derive(Debug)]
pub(crate) enum Plan {
    /// With its series.
    Inline,
    /// As a shape that has to be written first.
    NewShape(u64),
    /// As a known shape.
    Shaped(u64),
}

impl Shapes {
    /// Decides how `samples` are written.
    pub(crate) fn plan(&mut self, samples: &[LogSample]) -> Plan {
        let hash = hash_of(samples);
        if let Some(shape) = self.known.get(&hash) {
            let same = shape.series.iter().copied().eq(samples.iter().map(|s| s.series));
            return if same { Plan::Shaped(hash) } else { Plan::Inline };
        }
        if self.seen.insert(hash) {
            return Plan::Inline;
        }
        if self.numbers + samples.len() > SHAPE_NUMBERS_MAX {
            *self = Self { next_id: self.next_id, ..Self::default() };
        }
        Plan::NewShape(hash)
    }

    /// Writes the shape of `samples` and remembers it under `hash`.
    pub(crate) fn put_shape(&mut self, out: &mut Vec<u8>, hash: u64, samples: &[LogSample]) {
        let id = self.next_id;
        self.next_id += 1;
        self.numbers += samples.len();
        put_varint(out, id);
        put_varint(out, samples.len() as u64);
        let mut before = 0;
        for sample in samples {
            put_signed(out, sample.series.wrapping_sub(before).cast_signed());
            before = sample.series;
        }
        let series = samples.iter().map(|sample| sample.series).collect();
        let bits = vec![0; samples.len()];
        let shape = WrittenShape { id, series, bits, last_seq: 0, since_full: 0 };
        self.known.insert(hash, shape);
    }

    /// Writes `samples` of the shape under `hash`, as commit `seq`.
    pub(crate) fn put_shaped(
        &mut self,
        out: &mut Vec<u8>,
        hash: u64,
        seq: u64,
        samples: &[LogSample],
    ) {
        let shape = self.known.get_mut(&hash).expect("the plan found it");
        if shape.since_full == 0 {
            shape.bits.fill(0);
            shape.last_seq = 0;
        }
        put_varint(out, shape.id);
        put_varint(out, shape.last_seq);
        put_times(out, samples);
        out.push(PACKING_XOR);
        let mut bits = BitWriter::default();
        for (sample, base) in samples.iter().zip(&mut shape.bits) {
            put_xor(&mut bits, sample.bits ^ *base);
            *base = sample.bits;
        }
        out.extend_from_slice(bits.bytes());
        shape.last_seq = seq;
        shape.since_full = (shape.since_full + 1) % FULL_EVERY;
    }
}

/// Writes `samples` with their series: runs of one series, as a remote write has them.
pub(crate) fn put_inline(out: &mut Vec<u8>, samples: &[LogSample]) {
    let runs = samples.chunk_by(|a, b| a.series == b.series);
    put_varint(out, runs.clone().count() as u64);
    let (mut series, mut first_ts) = (0_u64, 0_i64);
    let mut bits = BitWriter::default();
    for run in runs {
        let Some(first) = run.first() else { continue };
        put_signed(out, first.series.wrapping_sub(series).cast_signed());
        put_varint(out, run.len() as u64);
        put_signed(out, first.ts.wrapping_sub(first_ts));
        (series, first_ts) = (first.series, first.ts);
        let (mut ts, mut delta, mut base) = (first.ts, 0_i64, 0);
        for (place, sample) in run.iter().enumerate() {
            if place > 0 {
                let next = sample.ts.wrapping_sub(ts);
                put_signed(out, next.wrapping_sub(delta));
                delta = next;
            }
            ts = sample.ts;
            put_xor(&mut bits, sample.bits ^ base);
            base = sample.bits;
        }
    }
    out.push(PACKING_XOR);
    out.extend_from_slice(bits.bytes());
}

/// The reader's memory of one segment.
#[derive(Debug, Default)]
pub(crate) struct ShapesRead {
    known: FxHashMap<u64, ReadShape>,
}

#[derive(Debug)]
struct ReadShape {
    series: Vec<u64>,
    bits: Vec<u64>,
    last_seq: u64,
}

impl ShapesRead {
    /// Reads a shape; `None` when the bytes make no sense.
    pub(crate) fn read_shape(&mut self, payload: &[u8]) -> Option<()> {
        let mut reader = Reader::new(payload);
        let id = reader.varint()?;
        let mut before = 0_u64;
        let mut series = Vec::new();
        for _ in 0..reader.count()? {
            before = before.wrapping_add(reader.signed()?.cast_unsigned());
            series.push(before);
        }
        let bits = vec![0; series.len()];
        self.known.insert(id, ReadShape { series, bits, last_seq: 0 });
        Some(())
    }

    /// Reads a commit of a shape into `out`; `None` when the bytes make no sense, or the commit
    /// that it is packed against was lost.
    pub(crate) fn read_shaped(
        &mut self,
        payload: &[u8],
        seq: u64,
        out: &mut Vec<LogSample>,
    ) -> Option<()> {
        let mut reader = Reader::new(payload);
        let shape = self.known.get_mut(&reader.varint()?)?;
        let base_seq = reader.varint()?;
        if base_seq == 0 {
            shape.bits.fill(0);
        } else if base_seq != shape.last_seq {
            return None;
        }
        let times = read_times(&mut reader, shape.series.len())?;
        if reader.byte()? != PACKING_XOR {
            return None;
        }
        // A commit that fails in the middle leaves the base half changed: no later one fits it.
        shape.last_seq = u64::MAX;
        let mut bits = BitReader::new(reader.rest());
        let start = out.len();
        for ((series, base), ts) in shape.series.iter().zip(&mut shape.bits).zip(times) {
            let Some(x) = get_xor(&mut bits) else {
                out.truncate(start);
                return None;
            };
            *base ^= x;
            out.push(LogSample { series: *series, ts, bits: *base });
        }
        shape.last_seq = seq;
        Some(())
    }
}

/// Reads a commit with its series into `out`; `None` when the bytes make no sense.
pub(crate) fn read_inline(payload: &[u8], out: &mut Vec<LogSample>) -> Option<()> {
    let mut reader = Reader::new(payload);
    let (mut series, mut first_ts) = (0_u64, 0_i64);
    let mut samples: Vec<LogSample> = Vec::new();
    let mut runs = Vec::new();
    for _ in 0..reader.count()? {
        series = series.wrapping_add(reader.signed()?.cast_unsigned());
        let len = reader.number()?;
        if len > reader.rest().len() + 1 || samples.len() + len > COMMIT_SAMPLES_MAX {
            return None;
        }
        first_ts = first_ts.wrapping_add(reader.signed()?);
        let (mut ts, mut delta) = (first_ts, 0_i64);
        for place in 0..len {
            if place > 0 {
                delta = delta.wrapping_add(reader.signed()?);
                ts = ts.wrapping_add(delta);
            }
            samples.push(LogSample { series, ts, bits: 0 });
        }
        runs.push(len);
    }
    if reader.byte()? != PACKING_XOR {
        return None;
    }
    let mut bits = BitReader::new(reader.rest());
    let mut unset = samples.iter_mut();
    for len in runs {
        let mut base = 0;
        for sample in unset.by_ref().take(len) {
            base ^= get_xor(&mut bits)?;
            sample.bits = base;
        }
    }
    out.append(&mut samples);
    Some(())
}

fn hash_of(samples: &[LogSample]) -> u64 {
    let mut hasher = FxHasher::default();
    for sample in samples {
        sample.series.hash(&mut hasher);
    }
    hasher.finish()
}

/// One timestamp for all (a leading 0), or one each as the difference to the one before.
fn put_times(out: &mut Vec<u8>, samples: &[LogSample]) {
    let first = samples.first().map_or(0, |sample| sample.ts);
    let same = samples.iter().all(|sample| sample.ts == first);
    out.push(u8::from(!same));
    put_signed(out, first);
    if !same {
        let mut before = first;
        for sample in samples {
            put_signed(out, sample.ts.wrapping_sub(before));
            before = sample.ts;
        }
    }
}

fn read_times(reader: &mut Reader<'_>, count: usize) -> Option<Vec<i64>> {
    let each = reader.byte()?;
    let mut ts = reader.signed()?;
    match each {
        0 => Some(vec![ts; count]),
        1 => (0..count)
            .map(|_| {
                ts = ts.wrapping_add(reader.signed()?);
                Some(ts)
            })
            .collect(),
        2.. => None,
    }
}

/// `0` for no difference; else `1`, three bits of leading zero bytes, three bits of trailing zero
/// bytes, and the bytes between them.
fn put_xor(out: &mut BitWriter, x: u64) {
    if x == 0 {
        out.put(0, 1);
        return;
    }
    let leading = x.leading_zeros() / 8;
    let trailing = x.trailing_zeros() / 8;
    out.put(u64::from(0b100_0000 | leading << 3 | trailing), 7);
    out.put(x >> (trailing * 8), 64 - 8 * (leading + trailing));
}

fn get_xor(bits: &mut BitReader<'_>) -> Option<u64> {
    if !bits.bit()? {
        return Some(0);
    }
    let leading = u32::try_from(bits.get(3)?).ok()?;
    let trailing = u32::try_from(bits.get(3)?).ok()?;
    let width = 64_u32.checked_sub(8 * (leading + trailing)).filter(|width| *width > 0)?;
    Some(bits.get(width)? << (trailing * 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn samples() -> impl Strategy<Value = Vec<LogSample>> {
        let one = (0_u64..50, 0_i64..100_000, any::<u64>());
        proptest::collection::vec(one, 1..60).prop_map(|list| {
            list.into_iter().map(|(series, ts, bits)| LogSample { series, ts, bits }).collect()
        })
    }

    proptest! {
        #[test]
        fn commits_come_back(mut commits in proptest::collection::vec(samples(), 1..6)) {
            // Each list three times: inline, as a new shape, as a known one.
            commits = commits.iter().flat_map(|one| [one.clone(), one.clone(), one.clone()]).collect();
            let (mut shapes, mut read) = (Shapes::default(), ShapesRead::default());
            for (place, commit) in commits.iter().enumerate() {
                let (seq, mut out, mut back) = (place as u64 + 1, Vec::new(), Vec::new());
                match shapes.plan(commit) {
                    Plan::Inline => {
                        put_inline(&mut out, commit);
                        read_inline(&out, &mut back).unwrap();
                    }
                    Plan::NewShape(hash) => {
                        let mut shape = Vec::new();
                        shapes.put_shape(&mut shape, hash, commit);
                        read.read_shape(&shape).unwrap();
                        shapes.put_shaped(&mut out, hash, seq, commit);
                        read.read_shaped(&out, seq, &mut back).unwrap();
                    }
                    Plan::Shaped(hash) => {
                        shapes.put_shaped(&mut out, hash, seq, commit);
                        read.read_shaped(&out, seq, &mut back).unwrap();
                    }
                }
                prop_assert_eq!(&back, commit);
            }
        }

        #[test]
        fn series_come_back(pairs in proptest::collection::vec(
            proptest::collection::btree_map("[a-c]{1,2}", "[x-z]{1,3}", 1..4), 1..9)) {
            let all: Vec<_> = pairs.into_iter().map(Labels::from_pairs).collect();
            let mut out = Vec::new();
            put_series(&mut out, all.iter().enumerate().map(|(at, one)| (at as u64, one)));
            let back: Vec<_> = read_series(&out).unwrap().into_iter().map(|(_, one)| one).collect();
            prop_assert_eq!(back, all);
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes: Vec<u8>) {
            let mut out = Vec::new();
            let _ = (read_series(&bytes), read_inline(&bytes, &mut out));
            let mut shapes = ShapesRead::default();
            let _ = shapes.read_shape(&bytes);
            let _ = shapes.read_shaped(&bytes, 1, &mut out);
        }
    }

    #[test]
    fn a_commit_whose_base_was_lost_is_refused_until_one_stands_alone() {
        let commit = |bits| [LogSample { series: 1, ts: 5, bits }];
        let (mut shapes, mut read) = (Shapes::default(), ShapesRead::default());
        let _ = shapes.plan(&commit(1));
        let Plan::NewShape(hash) = shapes.plan(&commit(1)) else { panic!("seen twice") };
        let mut out = Vec::new();
        shapes.put_shape(&mut out, hash, &commit(1));
        read.read_shape(&out).unwrap();
        let mut readable = Vec::new();
        for seq in 1..=70 {
            let mut out = Vec::new();
            shapes.put_shaped(&mut out, hash, seq, &commit(seq));
            let mut back = Vec::new();
            if seq != 3 && read.read_shaped(&out, seq, &mut back).is_some() {
                assert_eq!(back, commit(seq));
                readable.push(seq);
            }
        }
        assert_eq!(readable, [1, 2, 65, 66, 67, 68, 69, 70]);
    }

    #[test]
    fn a_steady_commit_takes_few_bytes_a_sample() {
        let commit = |at: u64| -> Vec<LogSample> {
            let one = |series: u64| LogSample {
                series,
                ts: 1_700_000_000_000 + 15_000 * at.cast_signed(),
                bits: ((1000 * series + 7 * at) as f64).to_bits(),
            };
            (0..1000).map(one).collect()
        };
        let mut shapes = Shapes::default();
        let _ = shapes.plan(&commit(0));
        let Plan::NewShape(hash) = shapes.plan(&commit(1)) else { panic!("seen twice") };
        shapes.put_shape(&mut Vec::new(), hash, &commit(1));
        shapes.put_shaped(&mut Vec::new(), hash, 2, &commit(1));
        let mut out = Vec::new();
        shapes.put_shaped(&mut out, hash, 3, &commit(2));
        assert!(out.len() < 4000, "{} bytes for 1000 samples", out.len());
    }
}
