//! Pushed protobuf: families one after another, each with its length before it.
//!
//! A field is counted before it is built: an empty metric is two bytes there and a hundred in
//! memory.
//!
//! Source: prometheus/client_model, io/prometheus/client/metrics.proto. Native histograms are not
//! kept: their classic buckets are, where there are some.

use super::super::limits::{HELP_BYTES_MAX, PUSH_SAMPLES_MAX};
use super::body::{BOUNDS_MAX, Pushed, check_label_name, check_metric_name, whole};
use super::family::{PushedFamily, PushedMetric, PushedValue};
use crate::model::{Labels, MetricType};
use prost::Message as _;
use prost::encoding::{WireType, decode_key, decode_varint};

#[derive(Clone, PartialEq, prost::Message)]
struct LabelPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// A gauge, a counter, or untyped: they are alike.
#[derive(Clone, PartialEq, prost::Message)]
struct Single {
    #[prost(double, tag = "1")]
    value: f64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Quantile {
    #[prost(double, tag = "1")]
    rank: f64,
    #[prost(double, tag = "2")]
    value: f64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Summary {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "2")]
    sum: f64,
    #[prost(message, repeated, tag = "3")]
    quantiles: Vec<Quantile>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Bucket {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "2")]
    bound: f64,
    #[prost(double, tag = "4")]
    float_count: f64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Histogram {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "2")]
    sum: f64,
    #[prost(message, repeated, tag = "3")]
    buckets: Vec<Bucket>,
    #[prost(double, tag = "4")]
    float_count: f64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Single>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Single>,
    #[prost(message, optional, tag = "4")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "5")]
    untyped: Option<Single>,
    #[prost(int64, optional, tag = "6")]
    timestamp_ms: Option<i64>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Family {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    help: String,
    #[prost(int32, tag = "3")]
    kind: i32,
    /// Not read yet: they are counted first.
    #[prost(bytes = "vec", repeated, tag = "4")]
    metrics: Vec<Vec<u8>>,
}

/// Labels that any metric may have before limits are looked at.
const LABELS_MAX: usize = 1_000;

/// Reads a body of delimited families. As upstream: a later family replaces one of its name.
///
/// # Errors
/// It is cut short, no such message, or passes a limit.
pub(super) fn read(mut body: &[u8]) -> Result<Pushed, String> {
    let mut pushed = Pushed::default();
    let (mut families, mut samples) = (std::collections::BTreeMap::new(), 0);
    while !body.is_empty() {
        let bytes = delimited(&mut body)?;
        check_count(bytes, &[4], PUSH_SAMPLES_MAX, "metrics in one family")?;
        let read = Family::decode(bytes).map_err(|err| err.to_string())?;
        check_metric_name(&read.name)?;
        let end = read.help.floor_char_boundary(HELP_BYTES_MAX);
        let mut family = PushedFamily {
            help: read.help.get(..end).unwrap_or_default().to_owned(),
            kind: kind(read.kind)?,
            name: read.name,
            metrics: Vec::with_capacity(read.metrics.len()),
        };
        for bytes in read.metrics {
            let metric = metric(&bytes, family.kind, &family.name, &mut pushed.has_timestamps)?;
            family.metrics.push(metric);
        }
        samples += family.sample_count();
        if samples > PUSH_SAMPLES_MAX {
            return Err(format!("more than {PUSH_SAMPLES_MAX} samples in one push"));
        }
        if families.len() >= PUSH_SAMPLES_MAX {
            return Err(format!("more than {PUSH_SAMPLES_MAX} metric names in one push"));
        }
        families.insert(family.name.clone(), family);
    }
    families.retain(|_, family| !family.metrics.is_empty());
    pushed.families = families.into_values().collect();
    Ok(pushed)
}

fn kind(number: i32) -> Result<MetricType, String> {
    match number {
        0 => Ok(MetricType::Counter),
        1 => Ok(MetricType::Gauge),
        2 => Ok(MetricType::Summary),
        3 => Ok(MetricType::Unknown),
        4 => Ok(MetricType::Histogram),
        other => Err(format!("metric type {other} is not known; 0 to 4 are")),
    }
}

fn metric(
    bytes: &[u8],
    kind: MetricType,
    name: &str,
    has_timestamps: &mut bool,
) -> Result<PushedMetric, String> {
    check_count(bytes, &[1], LABELS_MAX, "labels of one metric")?;
    // The lists of bounds are one level deeper.
    each_field(bytes, |tag, inner| match tag {
        4 | 7 => check_count(inner, &[3], BOUNDS_MAX, "bounds of one metric"),
        _ => Ok(()),
    })?;
    let read = Metric::decode(bytes).map_err(|err| err.to_string())?;
    *has_timestamps |= read.timestamp_ms.is_some();
    for pair in &read.labels {
        check_label_name(&pair.name, name)?;
    }
    let mut names: Vec<&str> = read.labels.iter().map(|pair| pair.name.as_str()).collect();
    names.sort_unstable();
    if let Some([twice, _]) = names.array_windows().find(|[one, other]| one == other) {
        return Err(format!("label {twice:?} stands twice in a metric {name:?}"));
    }
    let missing = || format!("a metric {name:?} has no value of its family's type");
    let single = |one: Option<Single>| {
        one.map(|one| PushedValue::Single(plain(one.value))).ok_or_else(missing)
    };
    let value = match kind {
        MetricType::Counter => single(read.counter)?,
        MetricType::Gauge => single(read.gauge)?,
        MetricType::Summary => summary(&read.summary.ok_or_else(missing)?),
        MetricType::Histogram => histogram(&read.histogram.ok_or_else(missing)?),
        MetricType::GaugeHistogram
        | MetricType::Info
        | MetricType::StateSet
        | MetricType::Unknown => single(read.untyped)?,
    };
    check_bounds(&value, name)?;
    let labels = Labels::from_pairs(read.labels.into_iter().map(|pair| (pair.name, pair.value)));
    Ok(PushedMetric { labels, value })
}

fn summary(read: &Summary) -> PushedValue {
    PushedValue::Summary {
        quantiles: read.quantiles.iter().map(|one| (one.rank, plain(one.value))).collect(),
        sum: plain(read.sum),
        count: number(read.count, 0.0),
    }
}

fn histogram(read: &Histogram) -> PushedValue {
    let bucket = |one: &Bucket| (one.bound, number(one.count, one.float_count));
    PushedValue::Histogram {
        buckets: read.buckets.iter().map(bucket).collect(),
        sum: plain(read.sum),
        count: number(read.count, read.float_count),
    }
}

/// Every NaN is the ordinary one: the others mark the ends of series.
const fn plain(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}

/// A count; a histogram has whole ones or those with a fraction, of which the whole is kept.
#[expect(clippy::cast_precision_loss, reason = "samples are floats: upstream rounds them too")]
fn number(count: u64, float_count: f64) -> f64 {
    if float_count > 0.0 { whole(float_count) } else { count as f64 }
}

/// Two bounds that are equal, or are none, would be one series twice.
fn check_bounds(value: &PushedValue, name: &str) -> Result<(), String> {
    let (PushedValue::Histogram { buckets: bounds, .. }
    | PushedValue::Summary { quantiles: bounds, .. }) = value
    else {
        return Ok(());
    };
    let mut seen: Vec<f64> = bounds.iter().map(|(bound, _)| *bound).collect();
    seen.sort_by(f64::total_cmp);
    let twice = seen.array_windows().any(|[one, other]| one.to_bits() == other.to_bits());
    if twice || seen.iter().any(|bound| bound.is_nan()) {
        return Err(format!("the bounds of a metric {name:?} are not all different numbers"));
    }
    Ok(())
}

/// The next message with its length before it.
fn delimited<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let cut = || "the message is cut short".to_owned();
    let len = decode_varint(rest).map_err(|err| err.to_string())?;
    let len = usize::try_from(len).map_err(|_| cut())?;
    let (message, after) = rest.split_at_checked(len).ok_or_else(cut)?;
    *rest = after;
    Ok(message)
}

/// Refuses a message with more than `max` fields of these tags.
fn check_count(message: &[u8], tags: &[u32], max: usize, what: &str) -> Result<(), String> {
    let mut count = 0;
    each_field(message, |tag, _| {
        count += usize::from(tags.contains(&tag));
        if count > max { Err(format!("more than {max} {what}")) } else { Ok(()) }
    })
}

/// Calls `take` with the tag of each field, and its bytes where it has any.
fn each_field(
    mut rest: &[u8],
    mut take: impl FnMut(u32, &[u8]) -> Result<(), String>,
) -> Result<(), String> {
    while !rest.is_empty() {
        let (tag, wire) = decode_key(&mut rest).map_err(|err| err.to_string())?;
        let fixed = match wire {
            WireType::Varint => {
                decode_varint(&mut rest).map_err(|err| err.to_string())?;
                0
            }
            WireType::LengthDelimited => {
                take(tag, delimited(&mut rest)?)?;
                continue;
            }
            WireType::ThirtyTwoBit => 4,
            WireType::SixtyFourBit => 8,
            WireType::StartGroup | WireType::EndGroup => {
                return Err("groups are not accepted".to_owned());
            }
        };
        rest = rest.get(fixed..).ok_or("the message is cut short")?;
        take(tag, &[])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As a client writes a family.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Whole {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(string, tag = "2")]
        help: String,
        #[prost(int32, tag = "3")]
        kind: i32,
        #[prost(message, repeated, tag = "4")]
        metrics: Vec<Metric>,
    }

    fn family(name: &str, kind: i32, metrics: Vec<Metric>) -> Vec<u8> {
        let family = Whole { name: name.to_owned(), help: "Helps.".to_owned(), kind, metrics };
        family.encode_length_delimited_to_vec()
    }

    fn labels(pairs: &[(&str, &str)]) -> Vec<LabelPair> {
        let pair = |(name, value): &(&str, &str)| LabelPair {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        };
        pairs.iter().map(pair).collect()
    }

    fn gauge(pairs: &[(&str, &str)], value: f64) -> Metric {
        Metric { labels: labels(pairs), gauge: Some(Single { value }), ..Metric::default() }
    }

    #[test]
    fn families_of_all_types_are_read() {
        let bucket = |bound, count| Bucket { count, bound, float_count: 0.0 };
        let histogram = Histogram {
            count: 3,
            sum: 4.5,
            buckets: vec![bucket(1.0, 2), bucket(f64::INFINITY, 3)],
            float_count: 0.0,
        };
        let quantiles = vec![Quantile { rank: 0.5, value: 2.0 }];
        let summary = Summary { count: 7, sum: 8.0, quantiles };
        let single = Some(Single { value: 1.0 });
        let body = [
            family("g", 1, vec![gauge(&[("a", "1")], 1.0), gauge(&[("a", "2")], 2.0)]),
            family("c", 0, vec![Metric { counter: single.clone(), ..Metric::default() }]),
            family("u", 3, vec![Metric { untyped: single, ..Metric::default() }]),
            family("h", 4, vec![Metric { histogram: Some(histogram), ..Metric::default() }]),
            family("s", 2, vec![Metric { summary: Some(summary), ..Metric::default() }]),
            family("none", 1, vec![]),
        ];
        let pushed = read(&body.concat()).expect("reads");
        let found: Vec<(&str, MetricType, usize)> = pushed
            .families
            .iter()
            .map(|one| (one.name.as_str(), one.kind, one.sample_count()))
            .collect();
        let expected = [
            ("c", MetricType::Counter, 1),
            ("g", MetricType::Gauge, 2),
            ("h", MetricType::Histogram, 4),
            ("s", MetricType::Summary, 3),
            ("u", MetricType::Unknown, 1),
        ];
        assert_eq!(found, expected);
        assert!(!pushed.has_timestamps);
        let stale = f64::from_bits(crate::model::STALE_NAN_BITS);
        let ended = read(&family("g", 1, vec![gauge(&[], stale)])).expect("reads");
        let PushedValue::Single(found) = ended.families[0].metrics[0].value else { panic!("one") };
        assert_eq!(found.to_bits(), f64::NAN.to_bits(), "no end of a series");
        let stamped = Metric { timestamp_ms: Some(0), ..gauge(&[], 1.0) };
        assert!(read(&family("g", 1, vec![stamped])).expect("reads").has_timestamps);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let quantile = || Quantile { rank: 0.5, value: 2.0 };
        let twice = Summary { count: 1, sum: 1.0, quantiles: vec![quantile(), quantile()] };
        let nan =
            Summary { quantiles: vec![Quantile { rank: f64::NAN, value: 1.0 }], ..twice.clone() };
        let summary = |one| Metric { summary: Some(one), ..Metric::default() };
        for (body, reason) in [
            (family("a.b", 1, vec![gauge(&[], 1.0)]), "invalid metric name"),
            (family("a", 1, vec![gauge(&[("b.c", "1")], 1.0)]), "invalid label name"),
            (family("a", 1, vec![gauge(&[("b", "1"), ("b", "2")], 1.0)]), "stands twice"),
            (family("a", 0, vec![gauge(&[], 1.0)]), "has no value of its family's type"),
            (family("a", 5, vec![gauge(&[], 1.0)]), "metric type 5 is not known"),
            (family("a", 2, vec![summary(twice)]), "not all different"),
            (family("a", 2, vec![summary(nan)]), "not all different"),
            (family("a", 1, vec![gauge(&[], 1.0)])[..9].to_vec(), "cut short"),
            (vec![255; 11], "varint"),
        ] {
            let err = read(&body).expect_err(reason);
            assert!(err.contains(reason), "{err}");
        }
    }

    #[test]
    fn a_small_body_does_not_become_a_large_structure() {
        // An empty metric, label or bucket is two bytes.
        let message = |fields: Vec<u8>| {
            let mut out = Vec::new();
            prost::encoding::encode_varint(fields.len() as u64, &mut out);
            out.extend(fields);
            out
        };
        let many = |tag: u8, count: usize| [tag << 3 | 2, 0].repeat(count);
        let metrics = message(many(4, PUSH_SAMPLES_MAX + 1));
        assert!(read(&metrics).expect_err("many").contains("metrics in one family"));
        let inside = |tag: u8, fields: Vec<u8>| [vec![tag << 3 | 2], message(fields)].concat();
        let named = [inside(1, b"a".to_vec()), vec![3 << 3, 4]].concat();
        let of = |metric: Vec<u8>| message([named.clone(), inside(4, metric)].concat());
        let labels = of(many(1, LABELS_MAX + 1));
        assert!(read(&labels).expect_err("many").contains("labels of one metric"));
        let buckets = of(inside(7, many(3, BOUNDS_MAX + 1)));
        assert!(read(&buckets).expect_err("many").contains("bounds of one metric"));
    }

    /// Not the negative zero, which is the default to who writes here, and no other NaN than ours.
    fn any_value() -> impl Strategy<Value = f64> {
        prop_oneof![9 => any::<f64>().prop_map(|value| value + 0.0), 1 => Just(f64::NAN)]
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn gauges_come_back(
            values in prop::collection::btree_map("[a-z]{1,5}", any_value(), 1..20),
            cut in any::<prop::sample::Index>(),
        ) {
            let metrics = values.iter().map(|(name, value)| gauge(&[("x", name)], *value));
            let body = family("g", 1, metrics.collect());
            let pushed = read(&body).expect("reads");
            for (metric, (name, value)) in pushed.families[0].metrics.iter().zip(&values) {
                prop_assert_eq!(metric.labels.get("x"), Some(name.as_str()));
                let PushedValue::Single(found) = metric.value else { panic!("a single value") };
                prop_assert_eq!(found.to_bits(), value.to_bits());
            }
            prop_assert_eq!(pushed.families[0].metrics.len(), values.len());
            let cut = cut.index(body.len());
            prop_assert!(cut == 0 || read(&body[..cut]).is_err());
        }
    }
}
