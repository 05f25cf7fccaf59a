//! Go's `time.Time` and `time.Duration` as templates use them: layouts, methods, texts.

use super::signature::{Kind, Takes};
use super::value::{Object, Value};
use crate::model::Timestamp;
use crate::model::value_text::quoted;
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
            ("Location", _) => Value::object(Location(time.time_zone().clone())),
            ("In", [Value::Object(location)]) => {
                location.call("In", &[Value::Time(self.clone())])?
            }
            ("In", [_nil]) => return Err("time: missing Location in call to Time.In".to_owned()),
            ("GoString", _) => self.go_text().into(),
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

    /// The time as Go's source has it.
    fn go_text(&self) -> String {
        let time = &self.0;
        let location = match location_name(time.time_zone(), time).as_str() {
            name @ ("UTC" | "Local") => format!("time.{name}"),
            name => format!("time.Location({})", quoted(name)),
        };
        format!(
            "time.Date({}, time.{}, {}, {}, {}, {}, {}, {location})",
            time.year(),
            month_name(time),
            time.day(),
            time.hour(),
            time.minute(),
            time.second(),
            time.subsec_nanosecond(),
        )
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
#[derive(Debug, Default)]
struct Parts {
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
    /// From 1.
    day_of_year: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
    offset_seconds: Option<i32>,
    /// The abbreviation of a zone.
    zone: Option<String>,
    afternoon: Option<bool>,
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
            "_2006" => number(text.strip_prefix('_')?, 4..=4, &mut self.year),
            "01" => number(text, two, self.month.insert(0)),
            "1" => number(text, flexible, self.month.insert(0)),
            "02" => number(text, two, self.day.insert(0)),
            "2" => number(text, flexible, self.day.insert(0)),
            "_2" => number(text.trim_start_matches(' '), flexible, self.day.insert(0)),
            "002" => number(text, 3..=3, self.day_of_year.insert(0)),
            "__2" => {
                let digits = text.trim_start_matches(' ');
                let width = 3_usize.checked_sub(text.len() - digits.len())?;
                number(digits, width..=width, self.day_of_year.insert(0))
            }
            "03" => number(text, two, &mut self.hour),
            "15" | "3" => number(text, flexible, &mut self.hour),
            "04" => number(text, two, &mut self.minute),
            "4" => number(text, flexible, &mut self.minute),
            "05" => number(text, two, &mut self.second).map(|rest| self.read_fraction(rest)),
            "5" => number(text, flexible, &mut self.second).map(|rest| self.read_fraction(rest)),
            "January" | "Jan" => self.read_month(text, word == "Jan"),
            "Monday" | "Mon" => WEEKDAYS.iter().find_map(|name| {
                without_case(text, if word == "Mon" { name.get(..3)? } else { name })
            }),
            "PM" | "pm" => {
                let (half, rest) = text.split_at_checked(2)?;
                self.afternoon = match (word, half) {
                    ("PM", "PM") | ("pm", "pm") => Some(true),
                    ("PM", "AM") | ("pm", "am") => Some(false),
                    _other => return None,
                };
                Some(rest)
            }
            "MST" => self.read_zone(text),
            word if word.starts_with("Z07") && text.starts_with('Z') => {
                self.offset_seconds = Some(0);
                text.get(1..)
            }
            word if word.starts_with("Z07") || word.starts_with("-07") => {
                self.read_offset(text, word)
            }
            _other => None,
        }
    }

    fn read_month<'t>(&mut self, text: &'t str, short: bool) -> Option<&'t str> {
        MONTHS.iter().zip(1..).find_map(|(name, month)| {
            let rest = without_case(text, if short { name.get(..3)? } else { name })?;
            self.month = Some(month);
            Some(rest)
        })
    }

    /// An offset as `word` has it: hours, maybe minutes and seconds, maybe colons between them.
    fn read_offset<'t>(&mut self, text: &'t str, word: &str) -> Option<&'t str> {
        let sign = match text.chars().next()? {
            '+' => 1,
            '-' => -1,
            _other => return None,
        };
        let joint = if word.contains(':') { ":" } else { "" };
        let count = word.bytes().filter(u8::is_ascii_digit).count() / 2;
        let (mut rest, mut seconds) = (text.get(1..)?, 0);
        for (place, (unit, most)) in
            [(3600, 24), (60, 59), (1, 59)].into_iter().take(count).enumerate()
        {
            let digits = if place == 0 { rest } else { rest.strip_prefix(joint)? };
            let mut part = 0_i32;
            rest = number(digits, 2..=2, &mut part)?;
            seconds += unit * Some(part).filter(|part| *part <= most)?;
        }
        self.offset_seconds = Some(sign * seconds);
        Some(rest)
    }

    /// The abbreviation of a zone: three capital letters or four, five that end in `T`, an offset.
    /// `GMT` may have hours behind it.
    fn read_zone<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let letters = text.bytes().take_while(u8::is_ascii_uppercase).count();
        let ends_in_t = text.get(..letters)?.ends_with('T');
        let is_signed = text.starts_with(['+', '-']) || text.starts_with("GMT");
        let digits = |from: usize| {
            let hours = text.get(from..)?.strip_prefix(['+', '-'])?;
            let count = hours.bytes().take(2).take_while(u8::is_ascii_digit).count();
            (count > 0).then_some(from + 1 + count)
        };
        let length = match text {
            _ if text.starts_with("UTC") => 3,
            _ if text.starts_with("ChST") || text.starts_with("MeST") => 4,
            _ if is_signed => digits(letters).or((letters == 3).then_some(3))?,
            _ => match letters {
                3 => 3,
                4 if ends_in_t || text.starts_with("WITA") => 4,
                5 if ends_in_t => 5,
                _ => return None,
            },
        };
        let (name, rest) = text.split_at_checked(length)?;
        self.zone = Some(name.to_owned());
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
        let first = jiff::civil::Date::new(self.year, 1, 1).ok()?;
        let date = match self.day_of_year {
            None => first.with().month(self.month.unwrap_or(1)).day(self.day.unwrap_or(1)).build(),
            Some(day) => first.with().day_of_year(day).build(),
        };
        // A day of the year and one of a month are the same, where both are told.
        let date = date.ok().filter(|date| {
            self.month.is_none_or(|month| month == date.month())
                && self.day.is_none_or(|day| day == date.day())
        })?;
        let clock = jiff::civil::Time::new(hour, self.minute, self.second, self.nanos).ok()?;
        date.to_datetime(clock).to_zoned(zone_of(self.zone, self.offset_seconds)?).ok().map(Time)
    }
}

/// The zone of an abbreviation and an offset that were read. Nothing tells how far one is from UTC
/// that only has a name, but for hours behind `GMT`.
fn zone_of(name: Option<String>, offset_seconds: Option<i32>) -> Option<TimeZone> {
    let (name, seconds) = match (name, offset_seconds) {
        (None, None | Some(0)) => return Some(TimeZone::UTC),
        (Some(name), None | Some(0)) if name == "UTC" => return Some(TimeZone::UTC),
        (Some(name), Some(seconds)) => (name, seconds),
        (Some(name), None) => {
            let hours = name.strip_prefix("GMT").and_then(|hours| hours.parse::<i32>().ok());
            let seconds = hours.unwrap_or(0) * 3600;
            (name, seconds)
        }
        (None, Some(seconds)) => (offset_text(seconds, "", false), seconds),
    };
    // A rule of POSIX has a name; it counts westwards, and its names have three characters.
    let rule = format!("<{name:_<3}>{}", offset_text(-seconds, ":", true));
    TimeZone::posix(&rule).ok()
}

/// What follows `prefix`, in whatever letters it is written.
fn without_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
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
        | "IsZero" | "IsDST" | "UTC" | "Local" | "Location" | "GoString" => {
            Some(Takes::exactly(&[]))
        }
        "In" => Some(Takes::exactly(&[Kind::Location])),
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

/// A zone, as templates see it.
#[derive(Debug)]
struct Location(TimeZone);

impl Object for Location {
    fn type_name(&self) -> &str {
        "*time.Location"
    }

    fn takes(&self, method: &str) -> Option<Takes> {
        (method == "String").then_some(Takes::exactly(&[]))
    }

    /// `In` is for `time.Time`, whose method it is: it shows a time in this zone.
    fn call(&self, method: &str, args: &[Value]) -> Result<Value, String> {
        match (method, args) {
            ("In", [Value::Time(time)]) => {
                Ok(Value::Time(Time(time.0.with_time_zone(self.0.clone()))))
            }
            _string => Ok(self.text().unwrap_or_default().into()),
        }
    }

    fn text(&self) -> Option<String> {
        Some(location_name(&self.0, &Time::zero().0))
    }
}

/// Go's name of a zone; one that is only an offset has none.
fn location_name(zone: &TimeZone, at: &Zoned) -> String {
    if let Some(name) = zone.iana_name() {
        return name.to_owned();
    }
    let name = at.with_time_zone(zone.clone()).strftime("%Z").to_string();
    if name.starts_with(['+', '-']) { String::new() } else { name }
}

type WriteWord = fn(&Zoned, &mut String);

/// Words of a layout, a longer one before its own beginnings.
///
/// Source: Go's time package, Layout and its constants.
const WORDS: [(&str, WriteWord); 34] = [
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
    ("Z07:00:00", |t, out| write_z(t, out, |t, out| write_offset(t, out, ":", true))),
    ("Z07:00", |t, out| write_z(t, out, |t, out| write_offset(t, out, ":", false))),
    ("Z070000", |t, out| write_z(t, out, |t, out| write_offset(t, out, "", true))),
    ("Z0700", |t, out| write_z(t, out, |t, out| write_offset(t, out, "", false))),
    ("Z07", |t, out| write_z(t, out, write_hours)),
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
    out.push_str(&offset_text(time.offset().seconds(), joint, with_seconds));
}

fn offset_text(seconds: i32, joint: &str, with_seconds: bool) -> String {
    let size = seconds.unsigned_abs();
    let sign = if seconds < 0 { '-' } else { '+' };
    let mut text = format!("{sign}{:02}{joint}{:02}", size / 3600, size / 60 % 60);
    if with_seconds {
        put(&mut text, format_args!("{joint}{:02}", size % 60));
    }
    text
}

fn write_hours(time: &Zoned, out: &mut String) {
    let seconds = time.offset().seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    put(out, format_args!("{sign}{:02}", seconds.unsigned_abs() / 3600));
}

fn write_z(time: &Zoned, out: &mut String, write: WriteWord) {
    if time.offset().seconds() == 0 {
        out.push('Z');
    } else {
        write(time, out);
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
