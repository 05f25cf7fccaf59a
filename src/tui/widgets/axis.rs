//! Round numbers for the axes of charts.

use crate::model::Timestamp;
use crate::tui::fmt::{self, Unit};
use jiff::tz::TimeZone;

/// The range of values that a chart shows, and the values that are labelled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ValueAxis {
    /// At the lowest dot.
    pub(crate) low: f64,
    /// At the highest dot.
    pub(crate) high: f64,
    /// Labelled values, rising.
    pub(crate) ticks: Vec<f64>,
}

impl ValueAxis {
    /// The axis for values from `low` to `high` with at most `labels` labels (at least two). Zero
    /// belongs to it when the least value is below a quarter of the greatest.
    pub(crate) fn new(low: f64, high: f64, labels: usize, unit: Unit) -> Self {
        let (mut low, mut high) = if low.is_finite() && high.is_finite() && low <= high {
            (low, high)
        } else {
            (0.0, 1.0)
        };
        if low > 0.0 && low < high * 0.25 {
            low = 0.0;
        }
        if high < 0.0 && high > low * 0.25 {
            high = 0.0;
        }
        if (high - low) <= f64::EPSILON * high.abs().max(1.0) {
            (low, high) = around(high, unit);
        }
        let step = nice_step((high - low) / (labels.clamp(2, 6) - 1) as f64, unit);
        let first = (low / step).floor();
        let last = (high / step).ceil();
        let count = fmt::whole(last - first).clamp(1, 12);
        let ticks: Vec<f64> = (0..=count).map(|place| (first + place as f64) * step).collect();
        Self { low: first * step, high: (first + count as f64) * step, ticks }
    }
}

/// A range around one value, since a flat line has none of its own.
fn around(value: f64, unit: Unit) -> (f64, f64) {
    if value == 0.0 {
        return (0.0, 1.0);
    }
    if unit == Unit::Ratio && value > 0.0 && value <= 1.0 {
        return (0.0, 1.0);
    }
    if value > 0.0 { (0.0, value * 1.25) } else { (value * 1.25, 0.0) }
}

/// The smallest round step that is not below `raw`: 1, 2, 2.5, 5 times a power of ten, for bytes
/// 1, 2, 4 .. times a power of 1024, for time the steps of clocks.
fn nice_step(raw: f64, unit: Unit) -> f64 {
    let raw = if raw.is_finite() && raw > 0.0 { raw.max(f64::MIN_POSITIVE * 1e9) } else { 1.0 };
    match unit {
        Unit::Bytes | Unit::BytesPerSecond if raw >= 1.0 => 2f64.powf(raw.log2().ceil()),
        Unit::Seconds if raw >= 10.0 => {
            let steps = [15.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0];
            let found = steps.into_iter().find(|step| *step >= raw);
            found.unwrap_or_else(|| decimal_step(raw / 86_400.0) * 86_400.0)
        }
        Unit::Plain
        | Unit::Ratio
        | Unit::Bytes
        | Unit::BytesPerSecond
        | Unit::Seconds
        | Unit::PerSecond => decimal_step(raw),
    }
}

fn decimal_step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    let found = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|step| step * power >= raw * 0.999_999);
    found.unwrap_or(10.0) * power
}

/// Instants on round local times within `from..=to`, at most `labels` of them, and their labels.
pub(crate) fn time_labels(
    from: Timestamp,
    to: Timestamp,
    labels: usize,
    zone: &TimeZone,
) -> Vec<(Timestamp, String)> {
    const SECOND: i64 = 1000;
    const STEPS: [i64; 16] = [
        SECOND,
        5 * SECOND,
        15 * SECOND,
        30 * SECOND,
        60 * SECOND,
        120 * SECOND,
        300 * SECOND,
        600 * SECOND,
        900 * SECOND,
        1800 * SECOND,
        3600 * SECOND,
        3 * 3600 * SECOND,
        6 * 3600 * SECOND,
        12 * 3600 * SECOND,
        24 * 3600 * SECOND,
        7 * 24 * 3600 * SECOND,
    ];
    let span = to.millis_since(from).max(1);
    let labels = i64::try_from(labels.max(1)).unwrap_or(i64::MAX);
    let step = STEPS.into_iter().find(|step| span / step < labels).unwrap_or(span);
    let offset = fmt::zone_offset_ms(from, zone);
    let local = from.as_millis().saturating_add(offset);
    let first = local.div_euclid(step).saturating_add(i64::from(local.rem_euclid(step) != 0));
    let mut at = first.saturating_mul(step).saturating_sub(offset);
    let mut out = Vec::new();
    while at <= to.as_millis() && out.len() < 64 {
        let ts = Timestamp::from_millis(at);
        let midnight = at.saturating_add(offset).rem_euclid(24 * 3600 * SECOND) == 0;
        let text = if midnight || step >= 24 * 3600 * SECOND {
            fmt::date(ts, zone)
        } else if step < 60 * SECOND {
            fmt::clock_seconds(ts, zone)
        } else {
            fmt::clock(ts, zone)
        };
        out.push((ts, text));
        at = at.saturating_add(step);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ticks_are_round_and_zero_is_there_when_it_is_near() {
        for (low, high, unit, ticks) in [
            (0.1, 0.93, Unit::Ratio, vec![0.0, 0.25, 0.5, 0.75, 1.0]),
            (70.0, 94.0, Unit::Plain, vec![70.0, 80.0, 90.0, 100.0]),
            (5.0, 5.0, Unit::Plain, vec![0.0, 2.0, 4.0, 6.0, 8.0]),
            (0.0, 0.0, Unit::Plain, vec![0.0, 0.25, 0.5, 0.75, 1.0]),
            (0.0, 3e9, Unit::Bytes, (0..=3).map(|n| f64::from(n) * 2f64.powi(30)).collect()),
        ] {
            assert_eq!(ValueAxis::new(low, high, 5, unit).ticks, ticks, "{low} {high}");
        }
    }

    #[test]
    fn times_are_round() {
        let from = Timestamp::from_millis(1_700_000_000_000);
        let labels = time_labels(from, from.plus_millis(3_600_000), 5, &TimeZone::UTC);
        let texts: Vec<_> = labels.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["22:15", "22:30", "22:45", "23:00"]);
    }

    proptest! {
        #[test]
        fn any_range_lies_within_its_axis(a in any::<f64>(), b in any::<f64>(), labels in 0usize..9) {
            let axis = ValueAxis::new(a.min(b), a.max(b), labels, Unit::Plain);
            prop_assert!(axis.ticks.len() >= 2 && axis.ticks.len() <= 13);
        }

        #[test]
        fn any_window_has_few_labels(from in any::<i64>(), span in any::<i64>()) {
            let from = Timestamp::from_millis(from);
            let found = time_labels(from, from.plus_millis(span), 6, &TimeZone::UTC);
            prop_assert!(found.len() <= 64);
        }
    }
}
