//! Numbers, ages and times as the screens write them.

use crate::model::Timestamp;
use jiff::tz::TimeZone;

/// What a number counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A count, with SI prefixes.
    #[default]
    Plain,
    /// A share of one, shown in percent.
    Ratio,
    /// Bytes, with IEC prefixes.
    Bytes,
    /// Bytes a second.
    BytesPerSecond,
    /// Seconds.
    Seconds,
    /// Events a second.
    PerSecond,
}

impl Unit {
    /// The unit that an expression's metric names promise.
    pub(crate) fn of_expr(expr: &str) -> Self {
        let has = |text: &str| expr.contains(text);
        let rate = has("rate(") || has("increase(");
        if has("_ratio") && !has("* 100") {
            Self::Ratio
        } else if has("_bytes") && has("/") {
            if expr.matches("_bytes").count() >= 2 && !has("100") {
                Self::Ratio
            } else {
                Self::Plain
            }
        } else if has("_bytes") {
            if rate { Self::BytesPerSecond } else { Self::Bytes }
        } else if has("_seconds_total") || has("_seconds_count") || has("_seconds_bucket{") {
            if has("histogram_quantile") { Self::Seconds } else { Self::Plain }
        } else if has("_seconds") && !has("/") {
            if has("time()") || !rate { Self::Seconds } else { Self::Plain }
        } else if has("rate(") && !has("/") {
            Self::PerSecond
        } else {
            Self::Plain
        }
    }

    /// `value` in this unit, in at most about seven columns.
    pub(crate) fn text(self, value: f64) -> String {
        if !value.is_finite() {
            return crate::model::value_text::api(value);
        }
        match self {
            Self::Plain => si(value, ""),
            Self::Ratio => format!("{}%", three_digits(value * 100.0)),
            Self::Bytes => iec(value, "B"),
            Self::BytesPerSecond => iec(value, "B/s"),
            Self::Seconds => seconds(value),
            Self::PerSecond => si(value, "/s"),
        }
    }
}

/// At most three significant digits and no more decimals than that takes.
fn three_digits(value: f64) -> String {
    let size = value.abs();
    let decimals = if size >= 99.95 || size == 0.0 {
        0
    } else if size >= 9.995 {
        1
    } else if size >= 0.0995 {
        2
    } else if size >= 0.00995 {
        3
    } else {
        4
    };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    };
    if text == "-0" { "0".to_owned() } else { text }
}

fn scaled(value: f64, base: f64, prefixes: &[&str], unit: &str) -> String {
    let mut value = value;
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < base * 0.9995 {
            break;
        }
        value /= base;
        prefix = next;
    }
    let space = if unit.starts_with('B') { " " } else { "" };
    format!("{}{space}{prefix}{unit}", three_digits(value))
}

/// `1.2k`, `340m` becomes `0.34`; very small numbers get an exponent.
pub(crate) fn si(value: f64, unit: &str) -> String {
    if value != 0.0 && value.abs() < 0.000_995 {
        return format!("{value:.1e}{unit}");
    }
    scaled(value, 1000.0, &["k", "M", "G", "T", "P", "E"], unit)
}

/// `1.2 GiB`.
pub(crate) fn iec(value: f64, unit: &str) -> String {
    scaled(value, 1024.0, &["Ki", "Mi", "Gi", "Ti", "Pi"], unit)
}

/// A count from the wire.
pub(crate) fn count(value: u64) -> String {
    si(value as f64, "")
}

/// Bytes from the wire.
pub(crate) fn bytes(value: u64) -> String {
    iec(value as f64, "B")
}

/// A length of time that may be tiny: `1.2 ms`, `3.4 s`, `2h10`.
pub(crate) fn seconds(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        "0 s".to_owned()
    } else if size < 0.000_999_5 {
        format!("{} us", three_digits(value * 1e6))
    } else if size < 0.999_5 {
        format!("{} ms", three_digits(value * 1e3))
    } else if size < 60.0 {
        format!("{} s", three_digits(value))
    } else {
        let sign = if value < 0.0 { "-" } else { "" };
        let ms = Timestamp::from_seconds(size).map_or(i64::MAX, Timestamp::as_millis);
        format!("{sign}{}", age(ms))
    }
}

/// An age in milliseconds: `<1m`, `41m`, `2h10`, `3d4h`.
pub(crate) fn age(ms: i64) -> String {
    let minutes = ms / 60_000;
    let (hours, days) = (minutes / 60, minutes / 1440);
    if minutes < 1 {
        "<1m".to_owned()
    } else if hours < 1 {
        format!("{minutes}m")
    } else if days < 1 {
        if minutes % 60 == 0 { format!("{hours}h") } else { format!("{hours}h{:02}", minutes % 60) }
    } else if hours % 24 == 0 {
        format!("{days}d")
    } else {
        format!("{days}d{}h", hours % 24)
    }
}

/// The age of an instant.
pub(crate) fn since(now: Timestamp, then: Timestamp) -> String {
    age(now.millis_since(then))
}

/// An age with seconds below a minute, where a second matters.
pub(crate) fn short_age(ms: i64) -> String {
    if ms < 60_000 { format!("{}s", ms.max(0) / 1000) } else { age(ms) }
}

/// How far the data may be behind, in steps that do not tick every second.
pub(crate) fn age_bound(ms: i64) -> (String, i64) {
    let steps = [5_000, 10_000, 15_000, 30_000, 60_000];
    match steps.into_iter().find(|step| ms < *step) {
        Some(60_000) => ("<1m".to_owned(), 60_000),
        Some(step) => (format!("<{}s", step / 1000), step),
        None => (age(ms), (ms / 60_000).saturating_add(1).saturating_mul(60_000)),
    }
}

/// A time of day, `03:12`.
pub(crate) fn clock(ts: Timestamp, zone: &TimeZone) -> String {
    formatted(ts, zone, "%H:%M")
}

/// A time of day with seconds, `03:12:09`.
pub(crate) fn clock_seconds(ts: Timestamp, zone: &TimeZone) -> String {
    formatted(ts, zone, "%H:%M:%S")
}

/// A time of day, with the date in front when it is not the day of `now`.
pub(crate) fn moment(ts: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let day = |ts| formatted(ts, zone, "%Y-%m-%d");
    if day(ts) == day(now) { clock(ts, zone) } else { formatted(ts, zone, "%b %d %H:%M") }
}

/// A date, `Nov 21`.
pub(crate) fn date(ts: Timestamp, zone: &TimeZone) -> String {
    formatted(ts, zone, "%b %d")
}

/// The zone's short name.
pub(crate) fn zone_name(ts: Timestamp, zone: &TimeZone) -> String {
    formatted(ts, zone, "%Z")
}

/// The zone's distance from UTC in milliseconds, for labels on round local times.
pub(crate) fn zone_offset_ms(ts: Timestamp, zone: &TimeZone) -> i64 {
    jiff::Timestamp::from_millisecond(ts.as_millis())
        .map_or(0, |at| i64::from(zone.to_offset(at).seconds()) * 1000)
}

fn formatted(ts: Timestamp, zone: &TimeZone, form: &str) -> String {
    match jiff::Timestamp::from_millisecond(ts.as_millis()) {
        Ok(at) => at.to_zoned(zone.clone()).strftime(form).to_string(),
        Err(_) => "--:--".to_owned(),
    }
}

/// A float as a whole number that is not negative; NaN is 0.
#[expect(clippy::cast_possible_truncation, reason = "a float cast saturates, as drawing wants")]
pub(crate) fn whole(value: f64) -> usize {
    value.floor() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_minutes_and_no_more() {
        for (ms, text) in [
            (-5, "<1m"),
            (59_999, "<1m"),
            (60_000, "1m"),
            (41 * 60_000, "41m"),
            (130 * 60_000, "2h10"),
            (120 * 60_000, "2h"),
            (76 * 3_600_000, "3d4h"),
            (72 * 3_600_000, "3d"),
        ] {
            assert_eq!(age(ms), text, "{ms}");
        }
    }

    #[test]
    fn numbers_keep_three_digits_and_their_unit() {
        for (unit, value, text) in [
            (Unit::Plain, 0.0, "0"),
            (Unit::Plain, 1234.0, "1.23k"),
            (Unit::Plain, 999.9, "1k"),
            (Unit::Plain, 0.25, "0.25"),
            (Unit::Plain, 0.0125, "0.013"),
            (Unit::Plain, 0.0062, "0.0062"),
            (Unit::Plain, 0.0001, "1.0e-4"),
            (Unit::Plain, -12_345_678.0, "-12.3M"),
            (Unit::Plain, f64::NAN, "NaN"),
            (Unit::Plain, f64::INFINITY, "+Inf"),
            (Unit::Ratio, 0.938, "93.8%"),
            (Unit::Ratio, 1.0, "100%"),
            (Unit::Bytes, 3.4 * 1024.0 * 1024.0 * 1024.0, "3.4 GiB"),
            (Unit::BytesPerSecond, 12_582_912.0, "12 MiB/s"),
            (Unit::Seconds, 0.0312, "31.2 ms"),
            (Unit::Seconds, 0.000_02, "20 us"),
            (Unit::Seconds, 9.1, "9.1 s"),
            (Unit::Seconds, 7_800.0, "2h10"),
            (Unit::PerSecond, 5_100.0, "5.1k/s"),
        ] {
            assert_eq!(unit.text(value), text, "{unit:?} {value}");
        }
    }

    #[test]
    fn metric_names_tell_the_unit() {
        for (expr, unit) in [
            ("node_memory_MemFree_bytes", Unit::Bytes),
            ("rate(node_network_receive_bytes_total[1m])", Unit::BytesPerSecond),
            ("1 - node_filesystem_avail_bytes / node_filesystem_size_bytes", Unit::Ratio),
            ("scrape_duration_seconds", Unit::Seconds),
            ("rate(node_cpu_seconds_total[1m])", Unit::Plain),
            ("rate(http_requests_total[5m])", Unit::PerSecond),
            ("up", Unit::Plain),
        ] {
            assert_eq!(Unit::of_expr(expr), unit, "{expr}");
        }
    }

    #[test]
    fn freshness_is_a_bound_that_stands_still() {
        assert_eq!(age_bound(3_999), ("<5s".to_owned(), 5_000));
        assert_eq!(age_bound(5_000), ("<10s".to_owned(), 10_000));
        assert_eq!(age_bound(61_000), ("1m".to_owned(), 120_000));
    }
}
