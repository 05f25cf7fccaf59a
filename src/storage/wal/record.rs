//! What records say, and the memory that makes commits small.
//!
//! A commit whose list of series was seen before in its segment refers to that list, its shape,
//! and packs the values against the commit before it of the same shape. It names the sequence
//! number of that commit, so that a reader that lost it refuses rather than invents values. Every
//! `FULL_EVERY`th commit of a shape stands alone, which bounds what one damaged record takes with
//! it. Shapes end with their segment, so that old segments can go; a list that the writer knew in
//! the segment before becomes a shape at once.

use super::LogSample;
use crate::model::Labels;
use crate::storage::chunk::{BitReader, BitWriter};
use crate::storage::codec::{Reader, Steps, put_signed, put_varint};
use crate::storage::pack::{Mode, get_value, put_value};
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
    /// Samples with their series that are older than the newest of it.
    pub(crate) const OUT_OF_ORDER: u8 = 5;
    // 6 native histograms, 7 start timestamps: kept for the parts that write them. 9 is free:
    // exemplars lie in the catalogue.

    /// Checkpoint, and a block's file: what was deleted.
    pub(crate) const TOMBSTONES: u8 = 8;

    /// Checkpoint: bytes of open chunks.
    pub(crate) const OPEN_CHUNKS: u8 = 16;
    /// Checkpoint: where the newest full chunks lie.
    pub(crate) const FULL_CHUNKS: u8 = 17;
    /// Checkpoint: series that left the head.
    pub(crate) const GONE: u8 = 18;
    /// Checkpoint: everything up to this sequence number is above.
    pub(crate) const END: u8 = 19;
    /// Checkpoint: files of full chunks, and how new their samples are.
    pub(crate) const FILES: u8 = 20;
    /// Checkpoint: the out-of-order samples of records before this one are in blocks.
    pub(crate) const LATE_DONE: u8 = 21;
}

/// The label set of decoded pairs; `None` when they are not what a label set holds.
pub(crate) fn labels_of(pairs: &[(&str, &str)]) -> Option<Labels> {
    let sorted = pairs.is_sorted_by(|(a, _), (b, _)| a < b);
    let full = pairs.iter().all(|(_, value)| !value.is_empty());
    (sorted && full).then(|| Labels::from_sorted(pairs.iter().copied()))
}

/// How values are packed: see `pack.rs`.
const PACKING: u8 = 1;

/// Bytes that the values of a commit take, each, as a rule.
const BYTES_PER_SAMPLE: usize = 2;

/// Commits of one shape until one stands alone again.
const FULL_EVERY: u32 = 64;

/// Samples of remembered shapes at most; past it all shapes are forgotten. Each takes about 12
/// bytes.
const SHAPE_SAMPLES_MAX: usize = 4_000_000;

/// Hashes of lists seen at most; past it they are forgotten.
const SEEN_MAX: usize = 10_000;

/// Samples of one commit that a reader believes in.
const COMMIT_SAMPLES_MAX: usize = 64 << 20;

/// The writer's memory of one segment.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    known: FxHashMap<u64, WrittenShape>,
    /// The hash of the latest shape that begins with a series, so that the same list again need
    /// not be hashed.
    latest: FxHashMap<u64, u64>,
    /// Lists that came once: most lists of remote writes never come again.
    seen: FxHashSet<u64>,
    next_id: u64,
    samples: usize,
}

#[derive(Debug)]
struct WrittenShape {
    id: u64,
    /// The series as the SHAPE record has them.
    series: Box<[u8]>,
    bits: Box<[u64]>,
    modes: Box<[Mode]>,
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
    /// What is worth knowing in the segment after this one.
    pub(crate) fn into_next(mut self) -> Self {
        self.seen.clear();
        // What was not written again since it became a shape is given up.
        let lively = self.known.iter().filter(|(_, shape)| shape.since_full != 1);
        let seen = lively.map(|(hash, _)| *hash).collect();
        Self { seen, ..Self::default() }
    }

    /// Decides how `samples` are written.
    pub(crate) fn plan(&mut self, samples: &[LogSample]) -> Plan {
        let latest = samples.first().and_then(|first| self.latest.get(&first.series));
        if let Some(hash) = latest
            && self.known.get(hash).is_some_and(|shape| shape.has(samples))
        {
            return Plan::Shaped(*hash);
        }
        // Runs lean on themselves better than on the commit before.
        let Some(hash) = hash_without_runs(samples) else { return Plan::Inline };
        if let Some(shape) = self.known.get(&hash) {
            if !shape.has(samples) {
                return Plan::Inline;
            }
            self.remember(hash, samples);
            return Plan::Shaped(hash);
        }
        if self.seen.len() >= SEEN_MAX {
            self.seen.clear();
        }
        if self.seen.insert(hash) {
            return Plan::Inline;
        }
        if self.samples + samples.len() > SHAPE_SAMPLES_MAX {
            *self = Self { next_id: self.next_id, ..Self::default() };
        }
        Plan::NewShape(hash)
    }

    /// Writes the shape of `samples` and remembers it under `hash`.
    pub(crate) fn put_shape(&mut self, out: &mut Vec<u8>, hash: u64, samples: &[LogSample]) {
        let id = self.next_id;
        self.next_id += 1;
        self.samples += samples.len();
        put_varint(out, id);
        put_varint(out, samples.len() as u64);
        let mut series = Vec::new();
        let mut numbers = Steps::default();
        samples.iter().for_each(|sample| numbers.put(&mut series, sample.series));
        out.extend_from_slice(&series);
        let shape = WrittenShape {
            id,
            series: series.into(),
            bits: vec![0; samples.len()].into(),
            modes: vec![Mode::default(); samples.len()].into(),
            last_seq: 0,
            since_full: 0,
        };
        self.known.insert(hash, shape);
        self.remember(hash, samples);
    }

    fn remember(&mut self, hash: u64, samples: &[LogSample]) {
        if let Some(first) = samples.first() {
            self.latest.insert(first.series, hash);
        }
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
            shape.modes.fill(Mode::default());
            shape.last_seq = 0;
        }
        put_varint(out, shape.id);
        put_varint(out, shape.last_seq);
        put_times(out, samples);
        out.push(PACKING);
        let mut bits = BitWriter::with_room(samples.len() * BYTES_PER_SAMPLE);
        for ((sample, base), mode) in samples.iter().zip(&mut shape.bits).zip(&mut shape.modes) {
            put_value(&mut bits, mode, *base, sample.bits);
            *base = sample.bits;
        }
        out.extend_from_slice(bits.bytes());
        shape.last_seq = seq;
        shape.since_full = (shape.since_full + 1) % FULL_EVERY;
    }
}

impl WrittenShape {
    fn has(&self, samples: &[LogSample]) -> bool {
        let mut series = SeriesList::new(&self.series);
        self.bits.len() == samples.len()
            && samples.iter().all(|sample| series.next() == Some(sample.series))
    }
}

/// The series of a SHAPE record.
#[derive(Debug)]
struct SeriesList<'a> {
    reader: Reader<'a>,
    numbers: Steps,
}

impl<'a> SeriesList<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes), numbers: Steps::default() }
    }
}

impl Iterator for SeriesList<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.numbers.get(&mut self.reader)
    }
}

/// Writes `samples` with their series: runs of one series, as a remote write has them.
pub(crate) fn put_inline(out: &mut Vec<u8>, samples: &[LogSample]) {
    let runs = samples.chunk_by(|a, b| a.series == b.series);
    put_varint(out, runs.clone().count() as u64);
    let mut numbers = Steps::default();
    let mut before: &[LogSample] = &[];
    let mut bits = BitWriter::default();
    for run in runs {
        let Some(first) = run.first() else { continue };
        numbers.put(out, first.series);
        let same = run.iter().map(|one| one.ts).eq(before.iter().map(|one| one.ts));
        put_varint(out, (run.len() as u64) << 1 | u64::from(same));
        if !same {
            put_run_times(out, run, before.first().map_or(0, |one| one.ts));
        }
        before = run;
        let (mut mode, mut base) = (Mode::default(), 0);
        for sample in run {
            put_value(&mut bits, &mut mode, base, sample.bits);
            base = sample.bits;
        }
    }
    out.push(PACKING);
    out.extend_from_slice(bits.bytes());
}

fn put_run_times(out: &mut Vec<u8>, run: &[LogSample], mut before: i64) {
    let mut delta = 0_i64;
    for (place, sample) in run.iter().enumerate() {
        let next = sample.ts.wrapping_sub(before);
        put_signed(out, next.wrapping_sub(delta));
        // The first one's distance says nothing about the next.
        delta = if place == 0 { 0 } else { next };
        before = sample.ts;
    }
}

/// The reader's memory of one segment.
#[derive(Debug, Default)]
pub(crate) struct ShapesRead {
    known: FxHashMap<u64, ReadShape>,
}

#[derive(Debug)]
struct ReadShape {
    series: Box<[u8]>,
    bits: Box<[u64]>,
    modes: Box<[Mode]>,
    last_seq: u64,
}

impl ShapesRead {
    /// Reads a shape; `None` when the bytes make no sense.
    pub(crate) fn read_shape(&mut self, payload: &[u8]) -> Option<()> {
        let mut reader = Reader::new(payload);
        let id = reader.varint()?;
        let count = reader.count()?;
        let series: Box<[u8]> = reader.rest().into();
        if SeriesList::new(&series).take(count).count() != count {
            return None;
        }
        let bits = vec![0; count].into();
        let modes = vec![Mode::default(); count].into();
        self.known.insert(id, ReadShape { series, bits, modes, last_seq: 0 });
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
            shape.modes.fill(Mode::default());
        } else if base_seq != shape.last_seq {
            return None;
        }
        // A commit that fails in the middle leaves the base half changed: no later one fits it.
        shape.last_seq = u64::MAX;
        let start = out.len();
        if shape.read(&mut reader, out).is_none() {
            out.truncate(start);
            return None;
        }
        shape.last_seq = seq;
        Some(())
    }
}

impl ReadShape {
    fn read(&mut self, reader: &mut Reader<'_>, out: &mut Vec<LogSample>) -> Option<()> {
        let times = read_times(reader, self.bits.len())?;
        if reader.byte()? != PACKING {
            return None;
        }
        let mut bits = BitReader::new(reader.rest());
        let places = self.bits.iter_mut().zip(&mut self.modes);
        for ((series, (base, mode)), ts) in SeriesList::new(&self.series).zip(places).zip(times) {
            *base = get_value(&mut bits, mode, *base)?;
            out.push(LogSample { series, ts, bits: *base });
        }
        Some(())
    }
}

/// Reads a commit with its series into `out`; `None` when the bytes make no sense.
pub(crate) fn read_inline(payload: &[u8], out: &mut Vec<LogSample>) -> Option<()> {
    let mut reader = Reader::new(payload);
    // Each sample takes a bit at least.
    let samples_max = COMMIT_SAMPLES_MAX.min(payload.len().saturating_mul(8));
    let mut numbers = Steps::default();
    let mut samples: Vec<LogSample> = Vec::new();
    let mut runs = Vec::new();
    let mut before = 0..0;
    for _ in 0..reader.count()? {
        let series = numbers.get(&mut reader)?;
        let head = reader.number()?;
        let (len, same) = (head >> 1, head & 1 == 1);
        if samples.len().checked_add(len)? > samples_max || (same && len != before.len()) {
            return None;
        }
        let start = samples.len();
        let times = before.start..;
        let first = samples.get(before.start).map_or(0, |one| one.ts);
        let (mut ts, mut delta) = (first, 0_i64);
        for (place, at) in (0..len).zip(times) {
            if same {
                ts = samples.get(at)?.ts;
            } else {
                let next = delta.wrapping_add(reader.signed()?);
                ts = ts.wrapping_add(next);
                delta = if place == 0 { 0 } else { next };
            }
            samples.push(LogSample { series, ts, bits: 0 });
        }
        before = start..samples.len();
        runs.push(len);
    }
    if reader.byte()? != PACKING {
        return None;
    }
    let mut bits = BitReader::new(reader.rest());
    let mut unset = samples.iter_mut();
    for len in runs {
        let (mut mode, mut base) = (Mode::default(), 0);
        for sample in unset.by_ref().take(len) {
            base = get_value(&mut bits, &mut mode, base)?;
            sample.bits = base;
        }
    }
    out.append(&mut samples);
    Some(())
}

/// A hash of the series; `None` when some have two samples in a row.
fn hash_without_runs(samples: &[LogSample]) -> Option<u64> {
    let mut hasher = FxHasher::default();
    let mut before = None;
    for sample in samples {
        if before.replace(sample.series) == Some(sample.series) {
            return None;
        }
        sample.series.hash(&mut hasher);
    }
    Some(hasher.finish())
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
        fn any_bytes_are_refused_or_read(bytes: Vec<u8>) {
            let mut out = Vec::new();
            let _ = read_inline(&bytes, &mut out);
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
        shapes.put_shaped(&mut Vec::new(), hash, 3, &commit(2));
        let mut out = Vec::new();
        shapes.put_shaped(&mut out, hash, 4, &commit(3));
        assert!(out.len() < 1000, "{} bytes for 1000 samples", out.len());
    }
}
