//! Time intervals: when a route speaks and when it is quiet.
//!
//! Source: prometheus/alertmanager, timeinterval/timeinterval.go.

use crate::model::{Problem, Timestamp};
use crate::sys::settings::Scalar;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// A span of a day, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimesSettings {
    /// `HH:MM`, belongs to the span.
    pub start_time: Scalar,
    /// `HH:MM` up to `24:00`, does not belong to it.
    pub end_time: Scalar,
}

/// One interval, as written: all fields that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct IntervalSettings {
    /// Spans of the day; one must hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<Vec<TimesSettings>>,
    /// `monday:friday`, `sunday`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weekdays: Option<Vec<Scalar>>,
    /// `1:5`, `-3:-1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_of_month: Option<Vec<Scalar>>,
    /// `january:march`, `5:8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub months: Option<Vec<Scalar>>,
    /// `2020:2022`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub years: Option<Vec<Scalar>>,
    /// An IANA zone or `Local`; UTC when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// An interval that was checked.
#[derive(Clone, Debug)]
pub struct TimeInterval {
    /// Minutes of the day, the end excluded.
    times: Option<Vec<(i32, i32)>>,
    /// Sunday is 0.
    weekdays: Option<Vec<(i32, i32)>>,
    days_of_month: Option<Vec<(i32, i32)>>,
    months: Option<Vec<(i32, i32)>>,
    years: Option<Vec<(i32, i32)>>,
    zone: TimeZone,
}

impl IntervalSettings {
    /// Checks the interval.
    ///
    /// # Errors
    /// Every field that cannot be.
    pub fn check(&self) -> Result<TimeInterval, Vec<Problem>> {
        let mut problems = Vec::new();
        let zone = match zone(self.location.as_deref()) {
            Ok(zone) => zone,
            Err(message) => {
                problems.push(Problem::new("location", message));
                TimeZone::UTC
            }
        };
        let times = self.times.as_ref().map(|list| {
            let one = |times: &TimesSettings| minutes_range(times);
            collect("times", list, one, &mut problems)
        });
        let mut ranges = |at: &str, list: &Option<Vec<Scalar>>, read: ReadRange| {
            list.as_ref().map(|list| {
                collect(at, list, |text: &Scalar| read(&text.0.to_lowercase()), &mut problems)
            })
        };
        let weekdays = ranges("weekdays", &self.weekdays, weekday_range);
        let days_of_month = ranges("days_of_month", &self.days_of_month, day_range);
        let months = ranges("months", &self.months, month_range);
        let years = ranges("years", &self.years, year_range);
        if problems.is_empty() {
            Ok(TimeInterval { times, weekdays, days_of_month, months, years, zone })
        } else {
            Err(problems)
        }
    }
}

impl TimeInterval {
    /// Whether the instant lies in the interval.
    pub fn contains(&self, at: Timestamp) -> bool {
        let Ok(instant) = jiff::Timestamp::from_millisecond(at.as_millis()) else { return false };
        let local = self.zone.to_datetime(instant);
        let holds = |ranges: &Option<Vec<(i32, i32)>>, value: i32| {
            ranges
                .as_ref()
                .is_none_or(|ranges| ranges.iter().any(|(from, to)| (*from..=*to).contains(&value)))
        };
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        let in_times = self
            .times
            .as_ref()
            .is_none_or(|times| times.iter().any(|(from, to)| (*from..*to).contains(&minute)));
        let in_days = self.days_of_month.as_ref().is_none_or(|days| {
            let last = i32::from(local.date().days_in_month());
            days.iter().any(|range| day_matches(*range, i32::from(local.day()), last))
        });
        in_times
            && in_days
            && holds(&self.months, i32::from(local.month()))
            && holds(&self.weekdays, i32::from(local.weekday().to_sunday_zero_offset()))
            && holds(&self.years, i32::from(local.year()))
    }
}

type ReadRange = fn(&str) -> Result<(i32, i32), String>;

fn collect<T>(
    at: &str,
    list: &[T],
    read: impl Fn(&T) -> Result<(i32, i32), String>,
    problems: &mut Vec<Problem>,
) -> Vec<(i32, i32)> {
    let mut ranges = Vec::new();
    for (place, one) in list.iter().enumerate() {
        match read(one) {
            Ok(range) => ranges.push(range),
            Err(message) => problems.push(Problem::new(format!("{at}[{place}]"), message)),
        }
    }
    ranges
}

/// Negative days count from the end of the month; ranges are cut at its ends, and one that
/// begins past its end never matches.
fn day_matches((from, to): (i32, i32), day: i32, last: i32) -> bool {
    let real = |day: i32| if day < 0 { last + day + 1 } else { day };
    let (from, to) = (real(from), real(to));
    from <= last && (from.clamp(-last, last)..=to.clamp(-last, last)).contains(&day)
}

fn zone(name: Option<&str>) -> Result<TimeZone, String> {
    match name {
        None | Some("" | "UTC") => Ok(TimeZone::UTC),
        // The second is a file among those of the zones.
        Some("Local" | "localtime") => Ok(TimeZone::system()),
        Some(name) => {
            let found = TimeZone::get(name).ok();
            // Files have their case, and so have zones where Go looks for them.
            let same = found.filter(|zone| zone.iana_name() == Some(name));
            same.ok_or_else(|| format!("unknown time zone {name}"))
        }
    }
}

fn minutes_range(times: &TimesSettings) -> Result<(i32, i32), String> {
    let (start, end) = (&times.start_time.0, &times.end_time.0);
    if start.is_empty() || end.is_empty() {
        return Err("both start and end times must be provided".to_owned());
    }
    let (from, to) = (minutes(start)?, minutes(end)?);
    if from >= to {
        return Err("start time cannot be equal or greater than end time".to_owned());
    }
    Ok((from, to))
}

fn minutes(text: &str) -> Result<i32, String> {
    let wrong = || format!("couldn't parse timestamp {text}, invalid format");
    let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
    let two = |part: &str| {
        let fits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        if fits { part.parse::<i32>().ok() } else { None }
    };
    let (hours, minutes) = two(hours).zip(two(minutes)).ok_or_else(wrong)?;
    if !((0..24).contains(&hours) && (0..60).contains(&minutes) || (hours, minutes) == (24, 0)) {
        return Err(wrong());
    }
    Ok(hours * 60 + minutes)
}

fn range(text: &str, member: impl Fn(&str) -> Result<i32, String>) -> Result<(i32, i32), String> {
    match text.split_once(':') {
        None => member(text).map(|one| (one, one)),
        Some((_, to)) if to.contains(':') => {
            Err(format!("couldn't parse range {text}, invalid format"))
        }
        Some((from, to)) => Ok((member(from)?, member(to)?)),
    }
}

fn weekday_range(text: &str) -> Result<(i32, i32), String> {
    let (from, to) = range(text, |name| {
        let days = [
            ("sunday", Weekday::Sunday),
            ("monday", Weekday::Monday),
            ("tuesday", Weekday::Tuesday),
            ("wednesday", Weekday::Wednesday),
            ("thursday", Weekday::Thursday),
            ("friday", Weekday::Friday),
            ("saturday", Weekday::Saturday),
        ];
        let day = days.iter().find(|(known, _)| *known == name);
        day.map(|(_, day)| i32::from(day.to_sunday_zero_offset()))
            .ok_or_else(|| format!("{name} is not a valid weekday"))
    })?;
    if from > to {
        return Err("start day cannot be before end day".to_owned());
    }
    Ok((from, to))
}

fn day_range(text: &str) -> Result<(i32, i32), String> {
    let (from, to) = range(text, number)?;
    for day in [from, to] {
        if day == 0 || !(-31..=31).contains(&day) {
            return Err(format!("{day} is not a valid day of the month: out of range"));
        }
    }
    if from < 0 && to > 0 {
        return Err("end day must be negative if start day is negative".to_owned());
    }
    // The shortest month has 28 days: what is out of order there is so in every month.
    let least = |day: i32| if day < 0 { 28 + day } else { day };
    if least(from) > least(to) {
        return Err(format!("end day {to} is always before start day {from}"));
    }
    Ok((from, to))
}

fn month_range(text: &str) -> Result<(i32, i32), String> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let (from, to) = range(text, |name| {
        let known = (1..).zip(NAMES).find(|(_, known)| *known == name).map(|(month, _)| month);
        let month = known.or_else(|| name.parse().ok());
        month
            .filter(|month| (1..=12).contains(month))
            .ok_or_else(|| format!("{name} is not a valid month"))
    })?;
    if from > to {
        return Err(format!("end month {to} is before start month {from}"));
    }
    Ok((from, to))
}

fn year_range(text: &str) -> Result<(i32, i32), String> {
    let (from, to) = range(text, number)?;
    if from > to {
        return Err(format!("end year {to} is before start year {from}"));
    }
    Ok((from, to))
}

fn number(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(yaml: &str, table: &[(&str, bool)]) {
        let settings: IntervalSettings = serde_yaml::from_str(yaml).expect("reads");
        let interval = settings.check().expect("valid");
        for (time, inside) in table {
            let instant: jiff::Timestamp = time.parse().expect("a time");
            let at = Timestamp::from_millis(instant.as_millisecond());
            assert_eq!(interval.contains(at), *inside, "{yaml}: {time}");
        }
    }

    #[test]
    fn t40_the_end_is_excluded_and_midnight_may_be_written_24() {
        check(
            "times: [{start_time: '09:00', end_time: '17:00'}, {start_time: '23:00', end_time: '24:00'}]",
            &[
                ("2024-01-01T08:59:59Z", false),
                ("2024-01-01T09:00:00Z", true),
                ("2024-01-01T16:59:59Z", true),
                ("2024-01-01T17:00:00Z", false),
                ("2024-01-01T23:59:59Z", true),
                ("2024-01-02T00:00:00Z", false),
            ],
        );
    }

    #[test]
    fn t40_days_count_from_the_end_and_are_cut_at_the_month() {
        check(
            "days_of_month: ['-3:-1']",
            &[
                ("2024-02-26T12:00:00Z", false),
                ("2024-02-27T12:00:00Z", true),
                ("2024-02-29T12:00:00Z", true),
                ("2023-02-26T12:00:00Z", true),
            ],
        );
        // Begins past the end of February: never; otherwise cut.
        check("days_of_month: ['30:31']", &[("2023-02-28T12:00:00Z", false)]);
        check("days_of_month: ['27:31']", &[("2023-02-28T12:00:00Z", true)]);
    }

    #[test]
    fn t40_fields_are_anded_and_lists_are_ored() {
        check(
            "{weekdays: ['monday:wednesday', saturday], months: ['january', '3:4'], years: ['2024']}",
            &[
                ("2024-01-01T00:00:00Z", true),
                ("2024-01-04T00:00:00Z", false),
                ("2024-01-06T00:00:00Z", true),
                ("2024-02-05T00:00:00Z", false),
                ("2024-04-01T00:00:00Z", true),
                ("2025-01-06T00:00:00Z", false),
            ],
        );
    }

    #[test]
    fn t40_the_zone_of_the_interval_counts_also_when_clocks_change() {
        let nine = "{times: [{start_time: '09:00', end_time: '10:00'}], location: Europe/Berlin}";
        check(
            nine,
            &[
                // Winter, UTC+1; the last Sunday of March 2024 is the 31st: UTC+2 from 01:00Z on.
                ("2024-03-30T08:30:00Z", true),
                ("2024-03-30T07:30:00Z", false),
                ("2024-03-31T07:30:00Z", true),
                ("2024-03-31T08:30:00Z", false),
            ],
        );
        // 02:30 local does not exist on that day: nothing matches it.
        check(
            "{times: [{start_time: '02:00', end_time: '03:00'}], location: Europe/Berlin}",
            &[("2024-03-31T00:30:00Z", false), ("2024-03-31T01:30:00Z", false)],
        );
    }

    #[test]
    fn zones_are_named_as_their_files() {
        for name in [
            "",
            "UTC",
            "Local",
            "localtime",
            "Etc/UTC",
            "Etc/GMT+5",
            "GMT",
            "EST",
            "US/Pacific",
            "Asia/Kolkata",
            "Asia/Calcutta",
            "America/Argentina/Buenos_Aires",
        ] {
            assert!(zone(Some(name)).is_ok(), "{name}");
        }
    }

    #[test]
    fn t40_what_alertmanager_refuses_is_refused() {
        for (yaml, message) in [
            ("times: [{start_time: '09:00'}]", "both start and end times"),
            ("times: [{start_time: '17:00', end_time: '09:00'}]", "start time cannot be equal"),
            ("times: [{start_time: '9:00', end_time: '10:00'}]", "invalid format"),
            ("times: [{start_time: '00:00', end_time: '24:01'}]", "invalid format"),
            ("weekdays: ['saturday:sunday']", "start day cannot be before end day"),
            ("weekdays: [mon]", "not a valid weekday"),
            ("days_of_month: ['0']", "out of range"),
            ("days_of_month: ['-3:3']", "must be negative"),
            ("days_of_month: ['5:1']", "always before start day"),
            ("months: ['march:january']", "is before start month"),
            ("months: ['13']", "not a valid month"),
            ("years: ['2024:2023']", "is before start year"),
            ("location: Nowhere/Land", "unknown time zone"),
            ("location: europe/berlin", "unknown time zone"),
            ("location: utc", "unknown time zone"),
        ] {
            let settings: IntervalSettings = serde_yaml::from_str(yaml).expect("reads");
            let problems = settings.check().expect_err(yaml);
            assert!(problems[0].message.contains(message), "{yaml}: {problems:?}");
        }
    }
}
