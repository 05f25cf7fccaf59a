//! Remote write 2.0: texts are sent once, in a table, and series refer to them.
//!
//! Source: prometheus, prompb/io/prometheus/write/v2/types.proto and the specification of remote
//! write 2.0.

use super::{
    Message, ReceiveError, Received, Written, checked_labels, cut, family, malformed, metric_type,
    next_field,
};
use crate::ingest::limits::{HELP_BYTES_MAX, METADATA_MAX, SYMBOLS_MAX, SafetyLimits};
use crate::model::{EXEMPLAR_CHARS_MAX, Exemplar, Labels, Metadata, Timestamp};
use crate::storage::append::{AppendExemplar, AppendSample, Committed};
use prost::Message as _;
use std::collections::HashSet;

const SYMBOLS_TAG: u32 = 4;
const SERIES_TAG: u32 = 5;

/// Bytes of a reference to a text at most.
const REF_BYTES: usize = 5;

/// Bytes of an exemplar that has not too many labels: two references each, value and time.
const EXEMPLAR_BYTES_MAX: usize = EXEMPLAR_CHARS_MAX * 2 * REF_BYTES + 64;

#[derive(Clone, PartialEq, prost::Message)]
struct TimeSeries {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<SampleMessage>,
    /// Only counted.
    #[prost(message, repeated, tag = "3")]
    histograms: Vec<Counted>,
    /// Not read yet: each is bounded by itself.
    #[prost(bytes = "vec", repeated, tag = "4")]
    exemplars: Vec<Vec<u8>>,
    #[prost(message, optional, tag = "5")]
    metadata: Option<MetadataMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SampleMessage {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
    #[prost(int64, tag = "3")]
    start_timestamp: i64,
}

/// A message of which only the presence matters.
#[derive(Clone, PartialEq, prost::Message)]
struct Counted {}

#[derive(Clone, PartialEq, prost::Message)]
struct ExemplarMessage {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct MetadataMessage {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(uint32, tag = "3")]
    help_ref: u32,
    #[prost(uint32, tag = "4")]
    unit_ref: u32,
}

/// The table of texts.
struct Symbols<'a>(Vec<&'a str>);

impl<'a> Symbols<'a> {
    /// All texts of a message, wherever they stand in it.
    fn of(body: &'a [u8]) -> Result<Self, ReceiveError> {
        let (mut found, mut rest) = (Vec::new(), body);
        while !rest.is_empty() {
            if let (SYMBOLS_TAG, Some(bytes)) = next_field(&mut rest)? {
                if found.len() >= SYMBOLS_MAX {
                    let text = format!("more than {SYMBOLS_MAX} symbols in one request");
                    return Err(ReceiveError::Malformed(text));
                }
                let text = std::str::from_utf8(bytes).map_err(|_| {
                    ReceiveError::Malformed(format!("symbol {} is not UTF-8", found.len()))
                })?;
                found.push(text);
            }
        }
        Ok(Self(found))
    }

    fn get(&self, at: u32) -> Option<&'a str> {
        self.0.get(usize::try_from(at).ok()?).copied()
    }

    /// Names and values that references stand for.
    ///
    /// Source: prometheus, prompb/io/prometheus/write/v2/symbols.go.
    fn pairs(&self, refs: &[u32]) -> Result<Vec<(&'a str, &'a str)>, String> {
        let (pairs, odd) = refs.as_chunks::<2>();
        if !odd.is_empty() {
            return Err(format!("invalid labelRefs length {}", refs.len()));
        }
        let size = self.0.len();
        let one = |&[name, value]: &[u32; 2]| {
            self.get(name).zip(self.get(value)).ok_or_else(|| {
                format!(
                    "labelRefs {name} (name) = {value} (value) outside of symbols table (size {size})"
                )
            })
        };
        pairs.iter().map(one).collect()
    }

    fn metadata(&self, said: &MetadataMessage) -> Result<Metadata, String> {
        let text = |what: &str, at: u32| {
            let size = self.0.len();
            let outside = || format!("metadata {what} {at} outside of symbols table (size {size})");
            self.get(at).ok_or_else(outside)
        };
        let unit = text("unit_ref", said.unit_ref)?;
        let help = text("help_ref", said.help_ref)?;
        let kind = metric_type(said.kind);
        // One text may be the help of many: each keeps a sentence.
        let text = |text| cut(text, HELP_BYTES_MAX).to_owned();
        Ok(Metadata { kind, help: text(help), unit: text(unit) })
    }
}

/// Reads an uncompressed message.
pub(super) fn read(body: &[u8], limits: &SafetyLimits) -> Result<Received, ReceiveError> {
    let symbols = Symbols::of(body)?;
    let mut reader = Reader {
        symbols,
        limits,
        received: Received { message: Message::V2, ..Received::default() },
        described: HashSet::new(),
    };
    let mut rest = body;
    while !rest.is_empty() {
        if let (SERIES_TAG, Some(bytes)) = next_field(&mut rest)? {
            reader.take_series(bytes)?;
        }
    }
    Ok(reader.received)
}

struct Reader<'a> {
    symbols: Symbols<'a>,
    limits: &'a SafetyLimits,
    received: Received,
    /// Families whose metadata was taken: each of their series carries it.
    described: HashSet<String>,
}

impl Reader<'_> {
    fn take_series(&mut self, bytes: &[u8]) -> Result<(), ReceiveError> {
        // Counted before it is built: an empty sample is two bytes here and twenty in memory.
        let (mut ref_bytes, mut others, mut rest) = (0, 0, bytes);
        while !rest.is_empty() {
            match next_field(&mut rest)? {
                (1, field) => ref_bytes += field.map_or(REF_BYTES, <[u8]>::len),
                (_, _) => others += 1,
            }
        }
        self.received.check_room(others)?;
        if ref_bytes > self.limits.labels_max * 2 * REF_BYTES {
            let max = self.limits.labels_max;
            self.received
                .refuse(format!("{ref_bytes} bytes of labels; at most {max} labels are taken"));
            return Ok(());
        }
        let series = TimeSeries::decode(bytes).map_err(malformed)?;
        let pairs = self.symbols.pairs(&series.labels_refs);
        if let Ok(pairs) = &pairs {
            self.received.count_labels(pairs.iter().copied())?;
        }
        match self.checked(&series, pairs) {
            Ok((labels, metadata)) => self.keep(series, labels, metadata),
            Err(reason) => {
                self.received.refuse(reason);
                Ok(())
            }
        }
    }

    /// Labels and metadata of a series, when both are in order and it has anything to tell.
    fn checked(
        &self,
        series: &TimeSeries,
        pairs: Result<Vec<(&str, &str)>, String>,
    ) -> Result<(Labels, Metadata), String> {
        let refs = &series.labels_refs;
        let of_series = |what: &str, why: String| {
            let shown: Vec<_> = refs.iter().take(20).map(u32::to_string).collect();
            format!("parsing {what} for series [{}]: {why}", shown.join(" "))
        };
        let pairs = pairs.map_err(|why| of_series("labels", why))?;
        if pairs.len() > self.limits.labels_max {
            let max = self.limits.labels_max;
            return Err(format!("{} labels; at most {max} are taken", pairs.len()));
        }
        let said = series.metadata.clone().unwrap_or_default();
        let metadata = self.symbols.metadata(&said).map_err(|why| of_series("metadata", why))?;
        let labels = checked_labels(&pairs, self.limits)?;
        if series.samples.is_empty() && series.histograms.is_empty() {
            return Err(format!(
                "TimeSeries must contain at least one sample or histogram for series {labels}"
            ));
        }
        Ok((labels, metadata))
    }

    fn keep(
        &mut self,
        series: TimeSeries,
        labels: Labels,
        metadata: Metadata,
    ) -> Result<(), ReceiveError> {
        if !series.histograms.is_empty() {
            self.received.histograms += series.histograms.len();
            let reason = || format!("native histograms are disabled for series {labels}");
            self.received.refuse_with(reason);
        }
        if series.samples.is_empty() {
            return Ok(());
        }
        self.describe(&labels, metadata);
        let mut begun = None;
        for sample in &series.samples {
            let start = sample.start_timestamp;
            if start != 0 && start < sample.timestamp && begun != Some(start) {
                begun = Some(start);
                self.received.starts.push((labels.clone(), Timestamp::from_millis(start)));
            }
        }
        let key = self.received.commit.name(labels.clone());
        for bytes in &series.exemplars {
            match self.exemplar(bytes)? {
                Ok(exemplar) => {
                    let exemplar = AppendExemplar { series: key, exemplar };
                    self.received.commit.exemplars.push(exemplar);
                }
                Err(why) => {
                    let reason = || format!("parsing exemplar for series {labels}: {why}");
                    self.received.refuse_with(reason);
                }
            }
        }
        let samples = series.samples.into_iter().map(|sample| AppendSample {
            series: key,
            ts: Timestamp::from_millis(sample.timestamp),
            value: sample.value,
        });
        self.received.commit.samples.extend(samples);
        Ok(())
    }

    /// One exemplar, or why it is left out.
    fn exemplar(&self, bytes: &[u8]) -> Result<Result<Exemplar, String>, ReceiveError> {
        let too_long = || {
            Err(format!("label length exceeds maximum of {EXEMPLAR_CHARS_MAX} UTF-8 characters"))
        };
        if bytes.len() > EXEMPLAR_BYTES_MAX {
            return Ok(too_long());
        }
        let read = ExemplarMessage::decode(bytes).map_err(malformed)?;
        let pairs = match self.symbols.pairs(&read.labels_refs) {
            Ok(pairs) => pairs,
            Err(why) => return Ok(Err(why)),
        };
        // Before they are copied: one text may be named by each.
        if pairs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
            > EXEMPLAR_CHARS_MAX * 4
        {
            return Ok(too_long());
        }
        let exemplar = Exemplar {
            labels: Labels::from_pairs(pairs),
            value: read.value,
            ts: Timestamp::from_millis(read.timestamp),
            has_own_ts: read.timestamp != 0,
        };
        Ok(if exemplar.is_too_long() { too_long() } else { Ok(exemplar) })
    }

    fn describe(&mut self, labels: &Labels, metadata: Metadata) {
        let is_empty = metadata == Metadata::default();
        let Some(name) = labels.metric_name().filter(|_| !is_empty) else { return };
        let name = family(name, metadata.kind);
        if self.described.len() < METADATA_MAX && !self.described.contains(name) {
            self.described.insert(name.to_owned());
            self.received.commit.metadata.push((name.to_owned(), metadata));
        }
    }
}

/// What of the request is stored now. What was there before with the same value counts too.
pub(super) fn written(received: &Received, committed: &Committed) -> Written {
    Written {
        samples: received.commit.samples.len().saturating_sub(committed.refused.len()),
        histograms: 0,
        exemplars: committed.exemplars_taken,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{REASONS_MAX, answer, decode};
    use super::*;
    use crate::ingest::limits::LABEL_BYTES_MAX;
    use crate::model::MetricType;
    use crate::storage::append::{Commit, Refusal, SeriesKey};
    use proptest::prelude::*;

    const TYPE: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

    #[derive(Clone, PartialEq, prost::Message)]
    struct Request {
        #[prost(string, repeated, tag = "4")]
        symbols: Vec<String>,
        #[prost(message, repeated, tag = "5")]
        series: Vec<TimeSeries>,
    }

    fn sample(value: f64, timestamp: i64) -> SampleMessage {
        SampleMessage { value, timestamp, start_timestamp: 0 }
    }

    fn series(refs: &[u32], samples: &[(f64, i64)]) -> TimeSeries {
        TimeSeries {
            labels_refs: refs.to_vec(),
            samples: samples.iter().map(|(value, at)| sample(*value, *at)).collect(),
            ..TimeSeries::default()
        }
    }

    fn packed(message: &[u8]) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(message).expect("fits")
    }

    fn take(body: &[u8]) -> Result<Received, ReceiveError> {
        decode(Some(TYPE), Some("snappy"), body, &SafetyLimits::default())
    }

    #[track_caller]
    fn sent(symbols: &[&str], series: Vec<TimeSeries>) -> Received {
        let symbols = symbols.iter().map(|text| (*text).to_owned()).collect();
        take(&packed(&Request { symbols, series }.encode_to_vec())).expect("reads")
    }

    const SYMBOLS: [&str; 8] =
        ["", "__name__", "a_total", "job", "j", "Counts.", "trace_id", "abc"];

    #[test]
    fn a_series_comes_with_all_that_belongs_to_it() {
        let mut one = series(&[3, 4, 1, 2], &[(1.5, 1_000), (2.5, 2_000)]);
        for sample in &mut one.samples {
            sample.start_timestamp = 500;
        }
        one.metadata = Some(MetadataMessage { kind: 1, help_ref: 5, unit_ref: 0 });
        let exemplar = ExemplarMessage { labels_refs: vec![6, 7], value: 0.5, timestamp: 900 };
        one.exemplars = vec![exemplar.encode_to_vec()];
        let received = sent(&SYMBOLS, vec![one]);
        let commit = &received.commit;
        let labels = Labels::from_pairs([("__name__", "a_total"), ("job", "j")]);
        assert_eq!(commit.labels, std::slice::from_ref(&labels));
        let samples: Vec<_> =
            commit.samples.iter().map(|one| (one.ts.as_millis(), one.value)).collect();
        assert_eq!(samples, [(1_000, 1.5), (2_000, 2.5)]);
        assert_eq!(received.starts, [(labels, Timestamp::from_millis(500))]);
        let about =
            Metadata { kind: MetricType::Counter, help: "Counts.".into(), unit: String::new() };
        assert_eq!(commit.metadata, [("a_total".to_owned(), about)]);
        let exemplar = &commit.exemplars[0];
        assert_eq!(exemplar.series, SeriesKey::New(0));
        assert_eq!(exemplar.exemplar.labels, Labels::from_pairs([("trace_id", "abc")]));
        let committed = Committed { taken: 2, exemplars_taken: 1, ..Committed::default() };
        let answered = answer(&received, &committed);
        assert_eq!((answered.status, answered.body.as_str()), (204, ""));
        let written = Written { samples: 2, histograms: 0, exemplars: 1 };
        assert_eq!(answered.written, Some(written));
    }

    #[test]
    fn the_table_may_stand_behind_the_series() {
        let request = Request {
            symbols: SYMBOLS.map(str::to_owned).to_vec(),
            series: vec![series(&[1, 2], &[(1.0, 1)])],
        };
        let mut message =
            Request { symbols: Vec::new(), series: request.series.clone() }.encode_to_vec();
        message.extend(Request { series: Vec::new(), ..request }.encode_to_vec());
        let received = take(&packed(&message)).expect("reads");
        assert_eq!(received.commit.labels[0].metric_name(), Some("a_total"));
    }

    #[test]
    fn what_is_wrong_is_left_out_in_prometheus_words() {
        let histograms =
            |count| TimeSeries { histograms: vec![Counted {}; count], ..series(&[1, 2], &[]) };
        let metadata = |kind, help_ref, unit_ref| TimeSeries {
            metadata: Some(MetadataMessage { kind, help_ref, unit_ref }),
            ..series(&[1, 2], &[(1.0, 1)])
        };
        for (bad, reason) in [
            (
                series(&[1, 2, 3], &[(1.0, 1)]),
                "parsing labels for series [1 2 3]: invalid labelRefs length 3",
            ),
            (
                series(&[1, 99], &[(1.0, 1)]),
                "parsing labels for series [1 99]: labelRefs 1 (name) = 99 (value) outside of symbols table (size 8)",
            ),
            (
                metadata(1, 99, 0),
                "parsing metadata for series [1 2]: metadata help_ref 99 outside of symbols table (size 8)",
            ),
            (
                metadata(1, 0, 99),
                "parsing metadata for series [1 2]: metadata unit_ref 99 outside of symbols table (size 8)",
            ),
            (series(&[3, 4], &[(1.0, 1)]), "invalid metric name or labels, got {job=\"j\"}"),
            (
                series(&[1, 2, 3, 4, 3, 4], &[(1.0, 1)]),
                "invalid labels for series, labels {__name__=\"a_total\", job=\"j\"}, duplicated label job",
            ),
            (
                series(&[1, 2], &[]),
                "TimeSeries must contain at least one sample or histogram for series {__name__=\"a_total\"}",
            ),
            (histograms(3), "native histograms are disabled for series {__name__=\"a_total\"}"),
        ] {
            let received = sent(&SYMBOLS, vec![bad, series(&[1, 2, 3, 4], &[(1.0, 1)])]);
            assert_eq!(received.commit.samples.len(), 1, "{reason}");
            let answered = answer(&received, &Committed::default());
            assert_eq!((answered.status, answered.body.as_str()), (400, reason));
            assert_eq!(answered.written.expect("counted").samples, 1);
        }
        assert_eq!(sent(&SYMBOLS, vec![histograms(3)]).histograms, 3);
    }

    #[test]
    fn a_partial_write_is_a_400_with_counts_and_few_lines() {
        let many: Vec<_> = (0..20).map(|at| (1.0, at)).collect();
        let received = sent(&SYMBOLS, vec![series(&[1, 2], &many)]);
        let refused = (0..15).map(|place| (place, Refusal::OutOfOrder)).collect();
        let committed = Committed { refused, exemplars_out_of_order: 2, ..Committed::default() };
        let answered = answer(&received, &committed);
        assert_eq!(answered.status, 400);
        assert_eq!(answered.written.expect("counted").samples, 5);
        let lines: Vec<_> = answered.body.lines().collect();
        assert_eq!(lines.len(), REASONS_MAX + 1);
        assert_eq!(lines[0], "out of order sample for series {__name__=\"a_total\"}");
        assert_eq!(lines[REASONS_MAX], "and 8 more");
    }

    #[test]
    fn metadata_of_a_histograms_parts_is_told_once() {
        let symbols = ["", "__name__", "h_bucket", "h_sum", "h_count", "Help."];
        let part = |name| TimeSeries {
            metadata: Some(MetadataMessage { kind: 3, help_ref: 5, unit_ref: 0 }),
            ..series(&[1, name], &[(1.0, 1)])
        };
        let received = sent(&symbols, vec![part(2), part(3), part(4)]);
        assert_eq!(received.commit.metadata.len(), 1);
        assert_eq!(received.commit.metadata[0].0, "h");
    }

    #[test]
    fn exemplars_with_too_much_text_are_said_and_left_out() {
        let long = "x".repeat(EXEMPLAR_CHARS_MAX);
        let symbols = ["", "__name__", "a", "trace_id", long.as_str()];
        let mut one = series(&[1, 2], &[(1.0, 1)]);
        let exemplar = |refs: Vec<u32>| {
            ExemplarMessage { labels_refs: refs, value: 1.0, timestamp: 1 }.encode_to_vec()
        };
        one.exemplars = vec![exemplar(vec![3, 4]), exemplar(vec![3, 77]), exemplar(vec![4; 9_000])];
        let received = sent(&symbols, vec![one]);
        assert!(received.commit.exemplars.is_empty());
        assert_eq!((received.commit.samples.len(), received.reasons.len()), (1, 3));
        assert!(received.reasons[1].ends_with("outside of symbols table (size 5)"));
    }

    #[test]
    fn t46_a_text_named_often_does_not_become_a_large_structure() {
        // Two labels of 4 KiB each in a few bytes a series.
        let long = "x".repeat(4 << 10);
        let symbols = ["", "__name__", "a", "b", long.as_str()].map(str::to_owned).to_vec();
        let one = series(&[1, 2, 3, 4], &[(1.0, 1)]);
        let series = vec![one; LABEL_BYTES_MAX / (4 << 10) + 1];
        let body = packed(&Request { symbols, series }.encode_to_vec());
        assert!(body.len() < 1 << 20);
        let err = take(&body).expect_err("too much");
        assert!(err.to_string().contains("more than 64 MiB"), "{err}");
        // The same in series that are refused: their reasons would be as long.
        let long = "x".repeat(4_000);
        let symbols = ["", "__name__", "a", long.as_str()].map(str::to_owned).to_vec();
        let one = super::tests::series(&[1, 2, 1, 3], &[(1.0, 1)]);
        let body = packed(&Request { symbols, series: vec![one; 20_000] }.encode_to_vec());
        assert!(take(&body).expect_err("too much").to_string().contains("more than 64 MiB"));
        // More labels than any series may have, and more texts than any request needs.
        let wide = sent(&SYMBOLS, vec![super::tests::series(&[1; 5_000], &[(1.0, 1)])]);
        assert_eq!((wide.invalid_series, wide.commit.samples.len()), (1, 0));
        let texts = packed(&[0x22, 0x00].repeat(SYMBOLS_MAX + 1));
        assert_eq!(take(&texts).expect_err("too many").status(), 400);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = take(&bytes);
            let _ = take(&packed(&bytes));
        }

        #[test]
        fn what_is_sent_is_read(
            values in proptest::collection::vec((any::<i32>(), 0..3u32), 0..20),
            refs in proptest::collection::vec(0..10u32, 0..8),
        ) {
            let good: Vec<_> = values
                .iter()
                .enumerate()
                .map(|(at, (value, job))| series(&[1, 2, 3, 5 + job], &[(f64::from(*value), at as i64)]))
                .collect();
            let mut all = good.clone();
            all.push(series(&refs, &[(1.0, 1)]));
            let received = sent(&SYMBOLS, all);
            let read: &Commit = &received.commit;
            prop_assert!(read.samples.len() >= good.len());
            for (sample, (value, _)) in read.samples.iter().zip(&values) {
                prop_assert_eq!(sample.value, f64::from(*value));
            }
            prop_assert_eq!(read.samples.len() - good.len() + received.invalid_series, 1);
        }
    }
}
