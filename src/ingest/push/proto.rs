//! Pushed protobuf: families one after another, each with its length before it.
//!
//! Native histograms are not kept: their classic buckets are, where there are some.

use super::super::limits::{HELP_BYTES_MAX, PUSH_SAMPLES_MAX};
use super::body::{BOUNDS_MAX, Pushed, check_label_name, check_metric_name, whole};
use super::family::{PushedFamily, PushedMetric, PushedValue};
use crate::exposition::{
    Bucket, Families, Family, Histogram, Metric, MetricValue, Pairs, ProtoError, Summary,
};
use crate::model::{Labels, MetricType, NameValidation};
use std::collections::BTreeMap;

/// Labels that any metric may have before limits are looked at.
const LABELS_MAX: usize = 1_000;

/// Reads a body of delimited families whose names are valid by `names`. As upstream: a later family
/// replaces one of its name.
///
/// # Errors
/// It is cut short, no such message, or passes a limit.
pub(super) fn read(body: &[u8], names: NameValidation) -> Result<Pushed, String> {
    let mut pushed = Pushed::default();
    let (mut families, mut samples) = (BTreeMap::new(), 0);
    for family in Families::new(body) {
        let read = family.map_err(text)?;
        check_metric_name(read.name, names)?;
        let end = read.help.floor_char_boundary(HELP_BYTES_MAX);
        let mut family = PushedFamily {
            help: read.help.get(..end).unwrap_or_default().to_owned(),
            kind: read.kind,
            name: read.name.to_owned(),
            metrics: Vec::new(),
        };
        for metric in read.metrics() {
            // An empty metric is two bytes there and a hundred in memory.
            if family.metrics.len() >= PUSH_SAMPLES_MAX {
                return Err(format!("more than {PUSH_SAMPLES_MAX} metrics in one family"));
            }
            let metric = metric.map_err(text)?;
            pushed.has_timestamps |= metric.timestamp_ms.is_some();
            family.metrics.push(pushed_metric(&read, &metric, names)?);
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

fn text(err: ProtoError) -> String {
    err.to_string()
}

fn pushed_metric(
    family: &Family<'_>,
    metric: &Metric<'_>,
    valid: NameValidation,
) -> Result<PushedMetric, String> {
    let name = family.name;
    let mut pairs = Pairs::new();
    metric.read_labels(&mut pairs).map_err(text)?;
    if pairs.len() > LABELS_MAX {
        return Err(format!("more than {LABELS_MAX} labels of one metric"));
    }
    for (label, _) in &pairs {
        check_label_name(label, name, valid)?;
    }
    let mut names: Vec<&str> = pairs.iter().map(|(label, _)| label.as_ref()).collect();
    names.sort_unstable();
    if let Some([twice, _]) = names.array_windows().find(|[one, other]| one == other) {
        return Err(format!("label {twice:?} stands twice in a metric {name:?}"));
    }
    let value = match (family.kind, metric.value) {
        (_, None) => return Err(format!("a metric {name:?} has no value of its family's type")),
        // The Pushgateway knows no such type.
        (MetricType::GaugeHistogram, _) => {
            return Err(format!("metric {name:?}: gauge histograms are not accepted"));
        }
        (_, Some(MetricValue::Single(value, _))) => PushedValue::Single(plain(value)),
        (_, Some(MetricValue::Summary(read))) => summary(&read)?,
        (_, Some(MetricValue::Histogram(read))) => histogram(&read)?,
    };
    check_bounds(&value, name)?;
    let labels = pairs.iter().map(|(label, value)| (label.as_ref(), value.as_ref()));
    Ok(PushedMetric { labels: Labels::from_pairs(labels), value })
}

fn summary(read: &Summary<'_>) -> Result<PushedValue, String> {
    let mut quantiles = Vec::new();
    for quantile in read.quantiles() {
        let (rank, value) = quantile.map_err(text)?;
        add_bound(&mut quantiles, (rank, plain(value)))?;
    }
    Ok(PushedValue::Summary { quantiles, sum: plain(read.sum), count: number(read.count, 0.0) })
}

fn histogram(read: &Histogram<'_>) -> Result<PushedValue, String> {
    let mut buckets = Vec::new();
    for bucket in read.buckets() {
        let Bucket { count, float_count, bound, .. } = bucket.map_err(text)?;
        add_bound(&mut buckets, (bound, number(count, float_count)))?;
    }
    let count = number(read.count, read.float_count);
    Ok(PushedValue::Histogram { buckets, sum: plain(read.sum), count })
}

fn add_bound(bounds: &mut Vec<(f64, f64)>, bound: (f64, f64)) -> Result<(), String> {
    if bounds.len() >= BOUNDS_MAX {
        return Err(format!("more than {BOUNDS_MAX} bounds of one metric"));
    }
    bounds.push(bound);
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::{
        BOUNDS_MAX, LABELS_MAX, MetricType, NameValidation, PUSH_SAMPLES_MAX, PushedValue,
    };
    use crate::exposition::messages::{
        Histogram, Metric, Quantile, Summary, bucket, family, gauge, single,
    };
    use proptest::prelude::*;

    fn read(body: &[u8]) -> Result<super::Pushed, String> {
        super::read(body, NameValidation::Legacy)
    }

    #[test]
    fn names_may_be_utf8_where_that_is_valid() {
        let body = family("a.b", 1, vec![gauge(&[("c.d", "1")], 1.0)]);
        assert!(read(&body).is_err());
        let pushed = super::read(&body, NameValidation::Utf8).expect("reads");
        let [one] = &pushed.families[..] else { panic!("{pushed:?}") };
        assert_eq!((one.name.as_str(), one.metrics[0].labels.get("c.d")), ("a.b", Some("1")));
    }

    #[test]
    fn families_of_all_types_are_read() {
        let histogram = Histogram {
            count: 3,
            sum: 4.5,
            buckets: vec![bucket(1.0, 2), bucket(f64::INFINITY, 3)],
            ..Histogram::default()
        };
        let quantiles = vec![Quantile { rank: 0.5, value: 2.0 }];
        let summary = Summary { count: 7, sum: 8.0, quantiles };
        let body = [
            family("g", 1, vec![gauge(&[("a", "1")], 1.0), gauge(&[("a", "2")], 2.0)]),
            family("c", 0, vec![Metric { counter: single(1.0), ..Metric::default() }]),
            family("u", 3, vec![Metric { untyped: single(1.0), ..Metric::default() }]),
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
        let of = |one| Metric { histogram: Some(one), ..Metric::default() };
        let summary = |one| Metric { summary: Some(one), ..Metric::default() };
        for (body, reason) in [
            (family("a.b", 1, vec![gauge(&[], 1.0)]), "invalid metric name"),
            (family("a", 1, vec![gauge(&[("b.c", "1")], 1.0)]), "invalid label name"),
            (family("a", 1, vec![gauge(&[("b", "1"), ("b", "2")], 1.0)]), "stands twice"),
            (family("a", 0, vec![gauge(&[], 1.0)]), "has no value of its family's type"),
            (family("a", 6, vec![gauge(&[], 1.0)]), "metric type 6 is not known"),
            (family("a", 5, vec![of(Histogram::default())]), "gauge histograms are not accepted"),
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
        // A metric, a label or a bucket that says next to nothing is a few bytes.
        let message = |fields: Vec<u8>| {
            let mut out = Vec::new();
            prost::encoding::encode_varint(fields.len() as u64, &mut out);
            out.extend(fields);
            out
        };
        let inside = |tag: u8, fields: Vec<u8>| [vec![tag << 3 | 2], message(fields)].concat();
        let family = |kind: u8, metrics: Vec<u8>| {
            message([inside(1, b"a".to_vec()), vec![3 << 3, kind], metrics].concat())
        };
        let gauge = inside(4, inside(2, Vec::new()));
        let metrics = family(1, gauge.repeat(PUSH_SAMPLES_MAX + 1));
        assert!(read(&metrics).expect_err("many").contains("metrics in one family"));
        let label = inside(1, inside(1, b"l".to_vec()));
        let labels = family(1, inside(4, label.repeat(LABELS_MAX + 1)));
        assert!(read(&labels).expect_err("many").contains("labels of one metric"));
        let bucket = inside(3, Vec::new());
        let buckets = family(4, inside(4, inside(7, bucket.repeat(BOUNDS_MAX + 1))));
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
