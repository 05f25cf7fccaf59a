//! Points of each kind as samples: numbers, histograms with their buckets, summaries.
//!
//! Source: prometheus, storage/remote/otlptranslator/prometheusremotewrite (helper.go,
//! number_data_points.go).

use super::context::count;
use super::message::{
    ExemplarMessage, ExemplarNumber, HistogramPoint, Number, NumberPoint, SummaryPoint,
};
use super::translate::{Family, Point, Translator, millis};
use crate::ingest::limits::{ATTRIBUTES_MAX, EXEMPLARS_MAX};
use crate::ingest::receive::{ReceiveError, malformed};
use crate::model::{EXEMPLAR_CHARS_MAX, Exemplar, Labels, STALE_NAN_BITS, value_text};
use prost::Message as _;
use std::fmt::Write as _;

/// The flag of a point that only says that there is none.
const NO_RECORDED_VALUE: u32 = 1;

/// Bytes of an exemplar that may have few enough characters, and room for fields that are not used.
const EXEMPLAR_BYTES_MAX: usize = 4 << 10;

impl Translator<'_> {
    /// One point of a gauge or a sum. Only those of sums have exemplars.
    pub(super) fn number(
        &mut self,
        bytes: &[u8],
        family: &Family<'_>,
        has_exemplars: bool,
    ) -> Result<(), ReceiveError> {
        if !self.fits(bytes, family, [7, 5])? {
            return Ok(());
        }
        let point = NumberPoint::decode(bytes).map_err(malformed)?;
        let Some(labels) = self.labels_of(&point.attributes, family)? else { return Ok(()) };
        let value = match point.value {
            Some(Number::Double(value)) => value,
            #[expect(clippy::cast_precision_loss, reason = "samples are floats, as in Prometheus")]
            Some(Number::Int(value)) => value as f64,
            None => 0.0,
        };
        let exemplars = if has_exemplars { self.exemplars(&point.exemplars)? } else { Vec::new() };
        let value = recorded(value, point.flags);
        let (start, time) = (point.start, point.time);
        self.push(&family.name, family.counts, Point { labels, start, time, value, exemplars })
    }

    /// One point of a histogram with explicit bounds: each bucket counts all below it.
    pub(super) fn histogram(
        &mut self,
        bytes: &[u8],
        family: &Family<'_>,
    ) -> Result<(), ReceiveError> {
        if !self.fits(bytes, family, [9, 8])? {
            return Ok(());
        }
        let point = HistogramPoint::decode(bytes).map_err(malformed)?;
        self.received.check_room(point.bounds.len())?;
        let Some(labels) = self.labels_of(&point.attributes, family)? else { return Ok(()) };
        let one = |labels, value, exemplars| Point {
            labels,
            start: point.start,
            time: point.time,
            value: recorded(value, point.flags),
            exemplars,
        };
        let total = whole(point.count);
        if let Some(sum) = point.sum {
            let sum = one(labels.clone(), sum, Vec::new());
            self.push(&format!("{}_sum", family.name), family.counts, sum)?;
        }
        let count = one(labels.clone(), total, Vec::new());
        self.push(&format!("{}_count", family.name), family.counts, count)?;
        let bucket = format!("{}_bucket", family.name);
        // Each belongs to the first bucket that counts it; what is left, to the last.
        let mut left = self.exemplars(&point.exemplars)?;
        let mut below = 0_u64;
        for (bound, inside) in point.bounds.iter().zip(&point.bucket_counts) {
            below = below.saturating_add(*inside);
            let mut labels = labels.clone();
            labels.insert("le".to_owned(), value_text::plain(*bound));
            let (own, later) = left.into_iter().partition(|exemplar| exemplar.value <= *bound);
            left = later;
            self.push(&bucket, family.counts, one(labels, whole(below), own))?;
        }
        let mut labels = labels;
        labels.insert("le".to_owned(), "+Inf".to_owned());
        self.push(&bucket, family.counts, one(labels, total, left))
    }

    /// One point of a summary.
    pub(super) fn summary(
        &mut self,
        bytes: &[u8],
        family: &Family<'_>,
    ) -> Result<(), ReceiveError> {
        if !self.fits(bytes, family, [7, 0])? {
            return Ok(());
        }
        // Counted before they are built: an empty one is two bytes here and sixteen in memory.
        self.received.check_room(count(bytes, [6])?[0])?;
        let point = SummaryPoint::decode(bytes).map_err(malformed)?;
        let Some(labels) = self.labels_of(&point.attributes, family)? else { return Ok(()) };
        let one = |labels, value| Point {
            labels,
            start: point.start,
            time: point.time,
            value: recorded(value, point.flags),
            exemplars: Vec::new(),
        };
        let (sum, count) =
            (one(labels.clone(), point.sum), one(labels.clone(), whole(point.count)));
        self.push(&format!("{}_sum", family.name), family.counts, sum)?;
        self.push(&format!("{}_count", family.name), family.counts, count)?;
        for quantile in &point.quantiles {
            let mut labels = labels.clone();
            labels.insert("quantile".to_owned(), value_text::plain(quantile.quantile));
            // Quantiles count nothing, so nothing of them began at zero.
            self.push(&family.name, false, one(labels, quantile.value))?;
        }
        Ok(())
    }

    /// Whether a point has no more attributes and exemplars than any may have; counted before
    /// anything is built.
    fn fits(
        &mut self,
        bytes: &[u8],
        family: &Family<'_>,
        tags: [u32; 2],
    ) -> Result<bool, ReceiveError> {
        let [attributes, exemplars] = count(bytes, tags)?;
        let fits = attributes <= ATTRIBUTES_MAX && exemplars <= EXEMPLARS_MAX;
        if !fits {
            let name = &family.name;
            self.received.refuse(format!(
                "{name}: {attributes} attributes and {exemplars} exemplars; \
                 at most {ATTRIBUTES_MAX} and {EXEMPLARS_MAX} are taken"
            ));
        }
        Ok(fits)
    }

    /// Exemplars in order of time; those that are none are left out and said.
    fn exemplars(&mut self, list: &[Vec<u8>]) -> Result<Vec<Exemplar>, ReceiveError> {
        let mut found = Vec::with_capacity(list.len());
        for bytes in list {
            match exemplar(bytes)? {
                Ok(exemplar) => found.push(exemplar),
                Err(reason) => self.received.refuse(reason),
            }
        }
        found.sort_by_key(|exemplar| exemplar.ts);
        Ok(found)
    }
}

fn exemplar(bytes: &[u8]) -> Result<Result<Exemplar, String>, ReceiveError> {
    if bytes.len() > EXEMPLAR_BYTES_MAX {
        let size = bytes.len();
        return Ok(Err(format!("an exemplar has {size} bytes; at most {EXEMPLAR_BYTES_MAX}")));
    }
    let read = ExemplarMessage::decode(bytes).map_err(malformed)?;
    let value = match read.value {
        Some(ExemplarNumber::Double(value)) => value,
        #[expect(clippy::cast_precision_loss, reason = "samples are floats, as in Prometheus")]
        Some(ExemplarNumber::Int(value)) => value as f64,
        None => return Ok(Err("unsupported exemplar value type: Empty".to_owned())),
    };
    let mut pairs: Vec<(String, String)> =
        [("trace_id", &read.trace_id), ("span_id", &read.span_id)]
            .into_iter()
            .filter(|(_, id)| id.iter().any(|byte| *byte != 0))
            .map(|(name, id)| (name.to_owned(), hex(id)))
            .collect();
    let others: Vec<_> = read
        .attributes
        .into_iter()
        .map(|pair| (pair.key, pair.value.map(|value| value.text()).unwrap_or_default()))
        .collect();
    let chars = |(name, value): &(String, String)| name.chars().count() + value.chars().count();
    // Attributes are the first to go: the ids lead on.
    if pairs.iter().chain(&others).map(chars).sum::<usize>() <= EXEMPLAR_CHARS_MAX {
        pairs.extend(others);
    }
    let ts = millis(read.time);
    let has_own_ts = ts.as_millis() != 0;
    Ok(Ok(Exemplar { labels: Labels::from_pairs(pairs), value, ts, has_own_ts }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The value, or the marker of an end.
fn recorded(value: f64, flags: u32) -> f64 {
    if flags & NO_RECORDED_VALUE == 0 { value } else { f64::from_bits(STALE_NAN_BITS) }
}

/// A count as a sample.
#[expect(clippy::cast_precision_loss, reason = "samples are floats, as in Prometheus")]
const fn whole(count: u64) -> f64 {
    count as f64
}
