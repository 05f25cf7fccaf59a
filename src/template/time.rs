//! Go's `time.Time` and `time.Duration` as templates use them: layouts, methods, texts.

use super::value::{Object, Value};
use crate::model::Timestamp;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Zoned};
use std::fmt::Write as _;

/// An instant to the nanosecond, with the zone it is shown in.
#[derive(Clone, Debug, PartialEq)]
pub struct Time(Zoned);

impl Time {
    /// The instant, shown in UTC; Go's zero time for what cannot be shown.
    pub fn utc(ts: Timestamp) -> Self {
        match jiff::Timestamp::from_millisecond(ts.as_millis()) {
            Ok(instant) => Self(instant.to_zoned(TimeZone::UTC)),
            Err(_) => Self::zero(),
        }
    }

    /// Go's zero time: the first of January of the year 1, UTC.
    pub fn zero() -> Self {
        let zero = jiff::civil::date(1, 1, 1).at(0, 0, 0, 0);
        Self(zero.to_zoned(TimeZone::UTC).expect("the year 1 is in range"))
    }

    /// The same instant in the zone of this IANA name.
    ///
    /// # Errors
    /// There is no such zone.
    pub fn in_zone(&self, name: &str) -> Result<Self, String> {
        let zone = match name {
            "" | "UTC" => TimeZone::UTC,
            "Local" => TimeZone::system(),
            name => TimeZone::get(name).map_err(|_| format!("unknown time zone {name}"))?,
        };
        Ok(Self(self.0.with_time_zone(zone)))
    }

    /// Nanoseconds from `earlier` to this instant, held at the ends of Go's range.
    pub fn nanos_since(&self, earlier: &Self) -> i64 {
        let nanos = self.0.duration_since(&earlier.0).as_nanos();
        i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
    }

    fn plus(&self, nanos: i64) -> Self {
        let sum = self.0.checked_add(SignedDuration::from_nanos(nanos));
        sum.map_or_else(|_| self.clone(), Self)
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.timestamp() == Self::zero().0.timestamp()
    }

    /// Go's `String`: `2006-01-02 15:04:05.999999999 -0700 MST`.
    pub(super) fn text(&self) -> String {
        self.format("2006-01-02 15:04:05.999999999 -0700 MST")
    }

    /// RFC 3339 with as many digits of the second as needed, as Go writes times to JSON.
    pub(super) fn rfc3339(&self) -> String {
        self.format("2006-01-02T15:04:05.999999999Z07:00")
    }

    /// The time in a layout of Go's: the reference time written the wanted way.
    pub(super) fn format(&self, layout: &str) -> String {
        let mut out = String::new();
        let mut rest = layout;
        while !rest.is_empty() {
            if let Some((word, write)) = WORDS.iter().find(|(word, _)| starts_word(rest, word)) {
                write(&self.0, &mut out);
                rest = rest.get(word.len()..).unwrap_or_default();
                continue;
            }
            if let Some(digits) = fraction(rest) {
                write_fraction(&self.0, digits, &mut out);
                rest = rest.get(digits.len()..).unwrap_or_default();
                continue;
            }
            let mut chars = rest.chars();
            out.extend(chars.next());
            rest = chars.as_str();
        }
        out
    }

    /// Reads a time that is written in a layout of Go's, in UTC unless it names an offset.
    ///
    /// # Errors
    /// The text is not written so.
    pub(super) fn parse(layout: &str, text: &str) -> Result<Self, String> {
        let mut parts = Parts::default();
        let (mut rest_layout, mut rest) = (layout, text);
        let wrong = || format!("parsing time {text:?} as {layout:?}: cannot parse {text:?}");
        while !rest_layout.is_empty() {
            if let Some((word, _)) = WORDS.iter().find(|(word, _)| starts_word(rest_layout, word)) {
                rest = parts.read(word, rest).ok_or_else(wrong)?;
                rest_layout = rest_layout.get(word.len()..).unwrap_or_default();
                continue;
            }
            if let Some(digits) = fraction(rest_layout) {
                rest = parts.read_fraction(rest);
                rest_layout = rest_layout.get(digits.len()..).unwrap_or_default();
                continue;
            }
            let mut layout_chars = rest_layout.chars();
            let mut chars = rest.chars();
            if layout_chars.next() != chars.next() {
                return Err(wrong());
            }
            (rest_layout, rest) = (layout_chars.as_str(), chars.as_str());
        }
        if !rest.is_empty() {
            return Err(format!("parsing time {text:?}: extra text: {rest:?}"));
        }
        parts.time().ok_or_else(wrong)
    }

    /// Calls a method of `time.Time`; `None` when there is none of this name.
    pub(super) fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        let time = &self.0;
        let int = |value: i64| Some(Ok(Value::Int(value)));
        match (name, args) {
            ("Format", [layout]) => Some(match layout.as_text() {
                Some(layout) => Ok(self.format(layout).into()),
                None => Err(wrong_type("string", layout)),
            }),
            ("String", []) => Some(Ok(self.text().into())),
            ("Unix", []) => int(time.timestamp().as_second()),
            ("UnixMilli", []) => int(time.timestamp().as_millisecond()),
            ("UnixMicro", []) => int(time.timestamp().as_microsecond()),
            ("UnixNano", []) => {
                int(i64::try_from(time.timestamp().as_nanosecond()).unwrap_or_default())
            }
            ("Year", []) => int(time.year().into()),
            ("Month", []) => {
                Some(Ok(Value::object(Named("time.Month", month_name(time), time.month().into()))))
            }
            ("Weekday", []) => Some(Ok(Value::object(Named(
                "time.Weekday",
                weekday_name(time),
                time.weekday().to_sunday_zero_offset().into(),
            )))),
            ("Day", []) => int(time.day().into()),
            ("YearDay", []) => int(time.day_of_year().into()),
            ("Hour", []) => int(time.hour().into()),
            ("Minute", []) => int(time.minute().into()),
            ("Second", []) => int(time.second().into()),
            ("Nanosecond", []) => int(time.subsec_nanosecond().into()),
            ("IsZero", []) => Some(Ok(Value::Bool(self.is_zero()))),
            ("UTC", []) => Some(self.in_zone("UTC").map(Value::Time)),
            ("Local", []) => Some(self.in_zone("Local").map(Value::Time)),
            ("Add", [Value::Duration(nanos) | Value::Int(nanos)]) => {
                Some(Ok(Value::Time(self.plus(*nanos))))
            }
            ("Truncate", [Value::Duration(nanos) | Value::Int(nanos)]) => {
                Some(Ok(Value::Time(self.truncated(*nanos))))
            }
            ("AddDate", [Value::Int(years), Value::Int(months), Value::Int(days)]) => {
                Some(self.plus_date(*years, *months, *days))
            }
            ("Sub" | "Before" | "After" | "Equal" | "Compare", [other]) => {
                Some(self.compare(name, other))
            }
            (_, _) => None,
        }
    }

    fn compare(&self, name: &str, other: &Value) -> Result<Value, String> {
        let Value::Time(other) = other else {
            return Err(wrong_type("time.Time", other));
        };
        let order = self.0.timestamp().cmp(&other.0.timestamp());
        Ok(match name {
            "Sub" => Value::Duration(self.nanos_since(other)),
            "Before" => Value::Bool(order.is_lt()),
            "After" => Value::Bool(order.is_gt()),
            "Compare" => Value::Int(order as i64),
            _equal => Value::Bool(order.is_eq()),
        })
    }

    fn plus_date(&self, years: i64, months: i64, days: i64) -> Result<Value, String> {
        let span = Span::new()
            .try_years(years)
            .and_then(|span| span.try_months(months))
            .and_then(|span| span.try_days(days));
        let sum = span.and_then(|span| self.0.checked_add(span));
        sum.map(|sum| Value::Time(Self(sum))).map_err(|err| err.to_string())
    }

    /// Rounded down to a multiple of `nanos` since Go's zero time.
    fn truncated(&self, nanos: i64) -> Self {
        let since_zero = self.0.duration_since(&Self::zero().0).as_nanos();
        let over = since_zero.checked_rem_euclid(i128::from(nanos)).unwrap_or(0);
        self.plus(-i64::try_from(over).unwrap_or(0))
    }
}

/// What was read of a time.
#[derive(Debug)]
struct Parts {
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
    offset_seconds: i32,
    afternoon: Option<bool>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            year: 0,
            month: 1,
            day: 1,
            hour: 0,
            minute: 0,
            second: 0,
            nanos: 0,
            offset_seconds: 0,
            afternoon: None,
        }
    }
}

impl Parts {
    /// Reads what `word` stands for, and returns what follows.
    fn read<'t>(&mut self, word: &str, text: &'t str) -> Option<&'t str> {
        let (two, flexible) = (2..=2, 1..=2);
        match word {
            "2006" => number(text, 4..=4, &mut self.year),
            "06" => {
                let rest = number(text, two, &mut self.year)?;
                self.year += if self.year >= 69 { 1900 } else { 2000 };
                Some(rest)
            }
            "01" => number(text, two, &mut self.month),
            "1" => number(text, flexible, &mut self.month),
            "02" => number(text, two, &mut self.day),
            "2" => number(text, flexible, &mut self.day),
            "_2" => number(text.trim_start_matches(' '), flexible, &mut self.day),
            "15" | "03" => number(text, two, &mut self.hour),
            "3" => number(text, flexible, &mut self.hour),
            "04" => number(text, two, &mut self.minute),
            "4" => number(text, flexible, &mut self.minute),
            "05" => number(text, two, &mut self.second).map(|rest| self.read_fraction(rest)),
            "5" => number(text, flexible, &mut self.second).map(|rest| self.read_fraction(rest)),
            "January" | "Jan" => self.read_month(text, word == "Jan"),
            "Monday" | "Mon" => WEEKDAYS.iter().find_map(|name| {
                text.strip_prefix(if word == "Mon" { name.get(..3)? } else { *name })
            }),
            "PM" | "pm" => {
                let (half, rest) = text.split_at_checked(2)?;
                self.afternoon = Some(half.eq_ignore_ascii_case("pm"));
                half.eq_ignore_ascii_case("am").then_some(rest).or(self.afternoon.map(|_| rest))
            }
            "MST" => {
                let letters = text.bytes().take_while(u8::is_ascii_uppercase).count();
                text.get(letters..).filter(|_| letters >= 3)
            }
            "Z07:00" | "Z0700" if text.starts_with('Z') => text.get(1..),
            "Z07:00" | "Z0700" | "-07:00" | "-0700" | "-07" => self.read_offset(text),
            _other => None,
        }
    }

    fn read_month<'t>(&mut self, text: &'t str, short: bool) -> Option<&'t str> {
        MONTHS.iter().zip(1..).find_map(|(name, month)| {
            let rest = text.strip_prefix(if short { name.get(..3)? } else { *name })?;
            self.month = month;
            Some(rest)
        })
    }

    fn read_offset<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let sign = match text.chars().next()? {
            '+' => 1,
            '-' => -1,
            _other => return None,
        };
        let (mut hours, mut minutes) = (0i32, 0i32);
        let rest = number(text.get(1..)?, 2..=2, &mut hours)?;
        let after_colon = rest.strip_prefix(':').unwrap_or(rest);
        let rest = number(after_colon, 2..=2, &mut minutes).unwrap_or(rest);
        self.offset_seconds = sign * (hours * 3600 + minutes * 60);
        Some(rest)
    }

    /// A fraction of a second may follow the second even when the layout has none.
    fn read_fraction<'t>(&mut self, text: &'t str) -> &'t str {
        let Some(after) = text.strip_prefix(['.', ',']) else { return text };
        let count = after.bytes().take_while(u8::is_ascii_digit).count();
        let Some((digits, rest)) = after.split_at_checked(count).filter(|_| count > 0) else {
            return text;
        };
        let kept = digits.get(..count.min(9)).unwrap_or(digits);
        self.nanos = format!("{kept:0<9}").parse().unwrap_or(0);
        rest
    }

    fn time(self) -> Option<Time> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            Some(_) | None => self.hour,
        };
        let date = jiff::civil::Date::new(self.year, self.month, self.day).ok()?;
        let clock = jiff::civil::Time::new(hour, self.minute, self.second, self.nanos).ok()?;
        let zone = match self.offset_seconds {
            0 => TimeZone::UTC,
            seconds => TimeZone::fixed(jiff::tz::Offset::from_seconds(seconds).ok()?),
        };
        date.to_datetime(clock).to_zoned(zone).ok().map(Time)
    }
}

/// Reads digits, as many as `width` allows.
fn number<'t, N: std::str::FromStr>(
    text: &'t str,
    width: std::ops::RangeInclusive<usize>,
    into: &mut N,
) -> Option<&'t str> {
    let count = text.bytes().take(*width.end()).take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(count).filter(|_| width.contains(&count))?;
    *into = digits.parse().ok()?;
    Some(rest)
}

/// Calls a method of `time.Duration`; `None` when there is none of this name.
pub(super) fn duration_call(
    nanos: i64,
    name: &str,
    args: &[Value],
) -> Option<Result<Value, String>> {
    let seconds = seconds_of(nanos);
    let value = match (name, args) {
        ("Seconds", []) => Value::Float(seconds),
        ("Minutes", []) => Value::Float(seconds / 60.0),
        ("Hours", []) => Value::Float(seconds / 3600.0),
        ("Milliseconds", []) => Value::Int(nanos / 1_000_000),
        ("Microseconds", []) => Value::Int(nanos / 1_000),
        ("Nanoseconds", []) => Value::Int(nanos),
        ("Abs", []) => Value::Duration(nanos.saturating_abs()),
        ("String", []) => duration_text(nanos).into(),
        ("Truncate", [Value::Duration(step) | Value::Int(step)]) => {
            Value::Duration(nanos - nanos.checked_rem(*step).unwrap_or(0))
        }
        ("Round", [Value::Duration(step) | Value::Int(step)]) => {
            Value::Duration(rounded(nanos, *step))
        }
        (_, _) => return None,
    };
    Some(Ok(value))
}

/// Nanoseconds as seconds.
pub(super) fn seconds_of(nanos: i64) -> f64 {
    // Whole seconds and the rest apart, as Go does, so that large spans keep their seconds.
    (nanos / 1_000_000_000) as f64 + (nanos % 1_000_000_000) as f64 / 1e9
}

/// Half away from zero, as Go rounds durations.
fn rounded(nanos: i64, step: i64) -> i64 {
    if step <= 0 {
        return nanos;
    }
    let over = nanos % step;
    let down = nanos - over;
    if over.saturating_abs().saturating_mul(2) >= step {
        down.saturating_add(step * over.signum())
    } else {
        down
    }
}

/// Go's text of a duration: `1h2m3.5s`, `1.5ms`, `0s`.
pub(super) fn duration_text(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let size = nanos.unsigned_abs();
    if size == 0 {
        return "0s".to_owned();
    }
    let with_unit = |unit: u64, name: &str| format!("{sign}{}{name}", decimal(size, unit));
    match size {
        ..1_000 => with_unit(1, "ns"),
        1_000..1_000_000 => with_unit(1_000, "µs"),
        1_000_000..1_000_000_000 => with_unit(1_000_000, "ms"),
        1_000_000_000.. => {
            let (minutes, rest) = (size / 60_000_000_000, size % 60_000_000_000);
            let seconds = decimal(rest, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

/// `size / unit` in decimal without trailing zeros; `unit` is a power of ten.
fn decimal(size: u64, unit: u64) -> String {
    let rest = size % unit;
    if rest == 0 {
        return (size / unit).to_string();
    }
    let width = unit.to_string().len() - 1;
    let digits = format!("{rest:0width$}");
    format!("{}.{}", size / unit, digits.trim_end_matches('0'))
}

/// A number with a name: a month or a day of the week.
#[derive(Debug)]
struct Named(&'static str, &'static str, i64);

impl Object for Named {
    fn type_name(&self) -> &str {
        self.0
    }

    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        (name == "String" && args.is_empty()).then(|| Ok(self.1.into()))
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::Int(self.2))
    }

    fn text(&self) -> Option<String> {
        Some(self.1.to_owned())
    }
}

fn wrong_type(wanted: &str, found: &Value) -> String {
    format!("wrong type for value; expected {wanted}; got {}", found.type_name())
}

type WriteWord = fn(&Zoned, &mut String);

/// Words of a layout, a longer one before its own beginnings.
///
/// Source: Go's time package, Layout and its constants.
const WORDS: [(&str, WriteWord); 31] = [
    ("January", |t, out| out.push_str(month_name(t))),
    ("Jan", |t, out| out.extend(month_name(t).chars().take(3))),
    ("Monday", |t, out| out.push_str(weekday_name(t))),
    ("Mon", |t, out| out.extend(weekday_name(t).chars().take(3))),
    ("MST", |t, out| write_zone_name(t, out)),
    ("2006", |t, out| put(out, format_args!("{:04}", t.year()))),
    ("-07:00:00", |t, out| write_offset(t, out, ":", true)),
    ("-07:00", |t, out| write_offset(t, out, ":", false)),
    ("-070000", |t, out| write_offset(t, out, "", true)),
    ("-0700", |t, out| write_offset(t, out, "", false)),
    ("-07", |t, out| write_hours(t, out)),
    ("Z07:00", |t, out| write_z(t, out, ":")),
    ("Z0700", |t, out| write_z(t, out, "")),
    ("002", |t, out| put(out, format_args!("{:03}", t.day_of_year()))),
    ("01", |t, out| put(out, format_args!("{:02}", t.month()))),
    ("02", |t, out| put(out, format_args!("{:02}", t.day()))),
    ("03", |t, out| put(out, format_args!("{:02}", hour12(t)))),
    ("04", |t, out| put(out, format_args!("{:02}", t.minute()))),
    ("05", |t, out| put(out, format_args!("{:02}", t.second()))),
    ("06", |t, out| put(out, format_args!("{:02}", t.year().rem_euclid(100)))),
    ("15", |t, out| put(out, format_args!("{:02}", t.hour()))),
    ("PM", |t, out| out.push_str(if t.hour() >= 12 { "PM" } else { "AM" })),
    ("pm", |t, out| out.push_str(if t.hour() >= 12 { "pm" } else { "am" })),
    ("__2", |t, out| put(out, format_args!("{:>3}", t.day_of_year()))),
    ("_2006", |t, out| put(out, format_args!("_{:04}", t.year()))),
    ("_2", |t, out| put(out, format_args!("{:>2}", t.day()))),
    ("1", |t, out| put(out, format_args!("{}", t.month()))),
    ("2", |t, out| put(out, format_args!("{}", t.day()))),
    ("3", |t, out| put(out, format_args!("{}", hour12(t)))),
    ("4", |t, out| put(out, format_args!("{}", t.minute()))),
    ("5", |t, out| put(out, format_args!("{}", t.second()))),
];

/// `Jan` and `Mon` only count when no small letter follows: `Month` is a word of its own.
fn starts_word(rest: &str, word: &str) -> bool {
    let Some(after) = rest.strip_prefix(word) else { return false };
    let abbreviation = matches!(word, "Jan" | "Mon");
    !(abbreviation && after.starts_with(|c: char| c.is_ascii_lowercase()))
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

/// `.000` or `,999` that no further digit follows.
fn fraction(rest: &str) -> Option<&str> {
    let after = rest.strip_prefix(['.', ','])?;
    let digit = after.chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let count = after.chars().take_while(|c| *c == digit).count();
    let ends = !after.get(count..)?.starts_with(|c: char| c.is_ascii_digit());
    ends.then(|| rest.get(..=count)).flatten()
}

fn write_fraction(time: &Zoned, digits: &str, out: &mut String) {
    let (mark, places) = digits.split_at(1);
    let nanos = format!("{:09}", time.subsec_nanosecond());
    let mut kept = nanos.get(..places.len().min(9)).unwrap_or(&nanos);
    if places.starts_with('9') {
        kept = kept.trim_end_matches('0');
    }
    if !kept.is_empty() {
        out.push_str(mark);
        out.push_str(kept);
    }
}

fn hour12(time: &Zoned) -> i8 {
    match time.hour() % 12 {
        0 => 12,
        hour => hour,
    }
}

fn write_offset(time: &Zoned, out: &mut String, joint: &str, with_seconds: bool) {
    let seconds = time.offset().seconds();
    let size = seconds.unsigned_abs();
    let sign = if seconds < 0 { '-' } else { '+' };
    put(out, format_args!("{sign}{:02}{joint}{:02}", size / 3600, size / 60 % 60));
    if with_seconds {
        put(out, format_args!("{joint}{:02}", size % 60));
    }
}

fn write_hours(time: &Zoned, out: &mut String) {
    let seconds = time.offset().seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    put(out, format_args!("{sign}{:02}", seconds.unsigned_abs() / 3600));
}

fn write_z(time: &Zoned, out: &mut String, joint: &str) {
    if time.offset().seconds() == 0 {
        out.push('Z');
    } else {
        write_offset(time, out, joint, false);
    }
}

fn write_zone_name(time: &Zoned, out: &mut String) {
    let name = time.strftime("%Z").to_string();
    out.push_str(&name);
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

fn month_name(time: &Zoned) -> &'static str {
    let place = usize::from(time.month().unsigned_abs()) - 1;
    MONTHS.get(place).copied().unwrap_or_default()
}

fn weekday_name(time: &Zoned) -> &'static str {
    let place = usize::from(time.weekday().to_sunday_zero_offset().unsigned_abs());
    WEEKDAYS.get(place).copied().unwrap_or_default()
}
