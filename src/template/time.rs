//! Go's `time.Time` and `time.Duration` as templates use them: layouts, methods, texts.

use super::signature::{Kind, Takes};
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

    /// Calls a method of `time.Time` that `time_method` knows.
    pub(super) fn call(&self, name: &str, args: &[Value]) -> Result<Value, String> {
        let time = &self.0;
        let instant = time.timestamp();
        let named = |kind, name, number: i8| Value::object(Named(kind, name, number.into()));
        Ok(match (name, args) {
            ("Format", [layout]) => self.format(layout.as_text().unwrap_or_default()).into(),
            ("String", _) => self.text().into(),
            ("Unix", _) => Value::Int(instant.as_second()),
            ("UnixMilli", _) => Value::Int(instant.as_millisecond()),
            ("UnixMicro", _) => Value::Int(instant.as_microsecond()),
            ("UnixNano", _) => Value::Int(wrapped(instant.as_nanosecond())),
            ("Year", _) => Value::Int(time.year().into()),
            ("Month", _) => named("time.Month", month_name(time), time.month()),
            ("Weekday", _) => {
                let number = time.weekday().to_sunday_zero_offset();
                named("time.Weekday", weekday_name(time), number)
            }
            ("Day", _) => Value::Int(time.day().into()),
            ("YearDay", _) => Value::Int(time.day_of_year().into()),
            ("Hour", _) => Value::Int(time.hour().into()),
            ("Minute", _) => Value::Int(time.minute().into()),
            ("Second", _) => Value::Int(time.second().into()),
            ("Nanosecond", _) => Value::Int(time.subsec_nanosecond().into()),
            ("IsZero", _) => Value::Bool(self.is_zero()),
            ("IsDST", _) => Value::Bool(time.time_zone().to_offset_info(instant).dst().is_dst()),
            ("UTC" | "Local", _) => Value::Time(self.in_zone(name)?),
            ("Add", [Value::Duration(nanos)]) => Value::Time(self.plus(*nanos)),
            ("Truncate", [Value::Duration(nanos)]) => Value::Time(self.truncated(*nanos)),
            ("Round", [Value::Duration(nanos)]) => Value::Time(self.rounded(*nanos)),
            ("AddDate", [Value::Int(years), Value::Int(months), Value::Int(days)]) => {
                self.plus_date(*years, *months, *days)?
            }
            (name, [Value::Time(other)]) => self.compare(name, other),
            (name, _) => return Err(format!("no method {name} of time.Time")),
        })
    }

    fn compare(&self, name: &str, other: &Self) -> Value {
        let order = self.0.timestamp().cmp(&other.0.timestamp());
        match name {
            "Sub" => Value::Duration(self.nanos_since(other)),
            "Before" => Value::Bool(order.is_lt()),
            "After" => Value::Bool(order.is_gt()),
            "Compare" => Value::Int(order as i64),
            _equal => Value::Bool(order.is_eq()),
        }
    }

    /// A day that the month does not have counts on into the next one, as Go has it.
    fn plus_date(&self, years: i64, months: i64, days: i64) -> Result<Value, String> {
        let zoned = &self.0;
        let months = i64::from(zoned.year())
            .saturating_add(years)
            .saturating_mul(12)
            .saturating_add(i64::from(zoned.month()) - 1)
            .saturating_add(months);
        let month = i8::try_from(months.rem_euclid(12) + 1).unwrap_or(1);
        let days = days.saturating_add(i64::from(zoned.day()) - 1);
        let sum = i16::try_from(months.div_euclid(12)).ok().and_then(|year| {
            let first = jiff::civil::Date::new(year, month, 1).ok()?;
            let date = first.checked_add(Span::new().try_days(days).ok()?).ok()?;
            date.to_datetime(zoned.time()).to_zoned(zoned.time_zone().clone()).ok()
        });
        sum.map(|sum| Value::Time(Self(sum))).ok_or_else(|| "date out of range".to_owned())
    }

    /// Rounded down to a multiple of `nanos` since Go's zero time.
    fn truncated(&self, nanos: i64) -> Self {
        self.plus(-self.beyond(nanos))
    }

    /// Rounded to the nearest multiple of `nanos` since Go's zero time, a half upwards.
    fn rounded(&self, nanos: i64) -> Self {
        let over = self.beyond(nanos);
        self.plus(if over < nanos - over { -over } else { nanos.saturating_sub(over).max(0) })
    }

    /// How far it is beyond a multiple of `nanos` since Go's zero time; 0 for what is no step.
    fn beyond(&self, nanos: i64) -> i64 {
        if nanos <= 0 {
            return 0;
        }
        let since_zero = self.0.duration_since(&Self::zero().0).as_nanos();
        i64::try_from(since_zero.rem_euclid(i128::from(nanos))).unwrap_or(0)
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

/// The parameters of a method of `time.Time`; `None` when there is none of this name.
pub(super) fn time_method(name: &str) -> Option<Takes> {
    match name {
        "String" | "Unix" | "UnixMilli" | "UnixMicro" | "UnixNano" | "Year" | "Month"
        | "Weekday" | "Day" | "YearDay" | "Hour" | "Minute" | "Second" | "Nanosecond"
        | "IsZero" | "IsDST" | "UTC" | "Local" => Some(Takes::exactly(&[])),
        "Format" => Some(Takes::exactly(&[Kind::Text])),
        "Add" | "Truncate" | "Round" => Some(Takes::exactly(&[Kind::Span])),
        "AddDate" => Some(Takes::exactly(&[Kind::Whole; 3])),
        "Sub" | "Before" | "After" | "Equal" | "Compare" => Some(Takes::exactly(&[Kind::Instant])),
        _unknown => None,
    }
}

/// The parameters of a method of `time.Duration`; `None` when there is none of this name.
pub(super) fn duration_method(name: &str) -> Option<Takes> {
    match name {
        "Seconds" | "Minutes" | "Hours" | "Milliseconds" | "Microseconds" | "Nanoseconds"
        | "Abs" | "String" => Some(Takes::exactly(&[])),
        "Truncate" | "Round" => Some(Takes::exactly(&[Kind::Span])),
        _unknown => None,
    }
}

/// Calls a method of `time.Duration` that `duration_method` knows.
pub(super) fn duration_call(nanos: i64, name: &str, args: &[Value]) -> Value {
    let step = match args {
        [Value::Duration(step)] => *step,
        _none => 0,
    };
    match name {
        "Seconds" => Value::Float(seconds_of(nanos)),
        "Minutes" => Value::Float(in_units(nanos, 60_000_000_000)),
        "Hours" => Value::Float(in_units(nanos, 3_600_000_000_000)),
        "Milliseconds" => Value::Int(nanos / 1_000_000),
        "Microseconds" => Value::Int(nanos / 1_000),
        "Nanoseconds" => Value::Int(nanos),
        "Abs" => Value::Duration(nanos.saturating_abs()),
        "Truncate" if step > 0 => Value::Duration(nanos - nanos % step),
        "Round" => Value::Duration(rounded(nanos, step)),
        "Truncate" => Value::Duration(nanos),
        _string => duration_text(nanos).into(),
    }
}

/// As Go divides: whole units and the rest apart, so that large spans keep their digits.
fn in_units(nanos: i64, unit: i64) -> f64 {
    (nanos / unit) as f64 + (nanos % unit) as f64 / unit as f64
}

/// The low 64 bits, as Go's arithmetic keeps them.
fn wrapped(nanos: i128) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "that is what is wanted")]
    let low = nanos as i64;
    low
}

/// Nanoseconds as seconds.
pub(super) fn seconds_of(nanos: i64) -> f64 {
    in_units(nanos, 1_000_000_000)
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

    fn takes(&self, method: &str) -> Option<Takes> {
        (method == "String").then_some(Takes::exactly(&[]))
    }

    fn call(&self, _: &str, _: &[Value]) -> Result<Value, String> {
        Ok(self.1.into())
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::Int(self.2))
    }

    fn text(&self) -> Option<String> {
        Some(self.1.to_owned())
    }
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
