//! Instants and ranges of the data model.

use std::fmt;
use std::time::Duration;

/// An instant, in milliseconds since the Unix epoch, UTC: the resolution of the data model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest instant that exists here.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest instant that exists here.
    pub const MAX: Self = Self(i64::MAX);
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// The instant `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// The instant `seconds` after the epoch, rounded to the millisecond; `None` outside the range.
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        let millis = (seconds * 1000.0).round();
        // 2^63 as a float: the first value that no longer fits.
        const LIMIT: f64 = 9_223_372_036_854_775_808.0;
        if !(-LIMIT..LIMIT).contains(&millis) {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "the range was checked above")]
        Some(Self(millis as i64))
    }

    /// The instant of a date in a header of HTTP, in any of the three forms of RFC 9110, section
    /// 5.6.7; `None` for other texts.
    pub fn from_http(text: &str) -> Option<Self> {
        let forms =
            ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
        let read = |form: &&str| jiff::civil::DateTime::strptime(form, text).ok();
        let time = forms.iter().find_map(read)?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(Self(time.timestamp().as_millisecond()))
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The instant `millis` later (earlier when negative), held at the ends of the range.
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// The instant `span` later, held at the end of the range.
    pub fn plus(self, span: Duration) -> Self {
        self.plus_millis(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
    }

    /// The instant `span` earlier, held at the start of the range.
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Milliseconds from `earlier` to this instant; negative when `earlier` is later.
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The span from `earlier` to this instant; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.millis_since(earlier)).unwrap_or(0))
    }
}

/// Milliseconds since the epoch, for messages that engineers read.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A span of time. Both ends belong to it, as in the query API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    from: Timestamp,
    to: Timestamp,
}

impl TimeRange {
    /// All of time.
    pub const ALL: Self = Self { from: Timestamp::MIN, to: Timestamp::MAX };

    /// The range `from..=to`; `None` when it would end before it starts.
    pub fn new(from: Timestamp, to: Timestamp) -> Option<Self> {
        (from <= to).then_some(Self { from, to })
    }

    /// The range that holds `at` alone.
    pub const fn at(at: Timestamp) -> Self {
        Self { from: at, to: at }
    }

    /// The first instant of the range.
    pub const fn from(self) -> Timestamp {
        self.from
    }

    /// The last instant of the range.
    pub const fn to(self) -> Timestamp {
        self.to
    }

    /// Whether `ts` lies in the range.
    pub fn contains(self, ts: Timestamp) -> bool {
        self.from <= ts && ts <= self.to
    }

    /// Whether the two ranges share an instant.
    pub fn overlaps(self, other: Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_round_to_the_millisecond() {
        for (seconds, millis) in [(1.0, 1000), (0.0004, 0), (0.0005, 1), (-1.2346, -1235)] {
            assert_eq!(
                Timestamp::from_seconds(seconds),
                Some(Timestamp::from_millis(millis)),
                "{seconds}"
            );
        }
        for out_of_range in [f64::NAN, f64::INFINITY, 1e300, -1e17 * 1e3] {
            assert_eq!(Timestamp::from_seconds(out_of_range), None, "{out_of_range}");
        }
    }

    #[test]
    fn dates_of_http_come_in_three_forms() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            let found = Timestamp::from_http(text);
            assert_eq!(found, Some(Timestamp::from_millis(784_111_777_000)), "{text}");
        }
        assert_eq!(Timestamp::from_http("yesterday"), None);
    }

    #[test]
    fn a_range_never_ends_before_it_starts() {
        let (a, b) = (Timestamp::from_millis(1), Timestamp::from_millis(2));
        assert!(TimeRange::new(b, a).is_none());
        let range = TimeRange::new(a, b).expect("in order");
        assert!(range.contains(a) && range.contains(b));
        assert!(range.overlaps(TimeRange::at(b)));
    }
}
