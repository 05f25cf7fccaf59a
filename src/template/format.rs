//! Go's fmt package as templates see it: `%v` of every value, and `printf`.
//!
//! Source: Go, fmt/print.go and fmt/format.go.

use super::time::duration_text;
use super::value::{Object, Value};
use crate::model::value_text::{go_default, quoted};

/// Widths and precisions beyond this are refused, as fmt refuses those beyond a million.
const WIDTH_MAX: usize = 10_000;

/// Text that must not grow beyond a limit.
#[derive(Debug)]
pub(super) struct Bounded {
    text: String,
    bytes_max: usize,
}

/// The text would have grown beyond its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("result longer than {0} bytes")]
pub(super) struct TooLong(usize);

type Written = Result<(), TooLong>;

impl Bounded {
    /// An empty text of at most `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { text: String::new(), bytes_max }
    }

    /// Adds `text`, or nothing when it does not fit.
    pub(super) fn push(&mut self, text: &str) -> Written {
        if self.text.len() + text.len() > self.bytes_max {
            return Err(TooLong(self.bytes_max));
        }
        self.text.push_str(text);
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// What an action writes: `%v`, and `<no value>` for nothing.
pub(super) fn write_printed(out: &mut Bounded, value: &Value) -> Written {
    match value {
        Value::Nil => out.push("<no value>"),
        _something => write_value(out, value, &Verb::DEFAULT),
    }
}

/// The value as `%v`, cut at a length that suits messages.
pub(super) fn sprint(value: &Value) -> String {
    let mut out = Bounded::new(1024);
    match write_value(&mut out, value, &Verb::DEFAULT) {
        Ok(()) => out.into_text(),
        Err(TooLong(_)) => format!("{}...", out.into_text()),
    }
}

/// `print`: a space stands between two values of which neither is text.
pub(super) fn print(args: &[Value], bytes_max: usize) -> Result<String, TooLong> {
    let mut out = Bounded::new(bytes_max);
    let mut before_is_text = true;
    for (place, arg) in args.iter().enumerate() {
        let is_text = matches!(arg, Value::String(_) | Value::SafeHtml(_) | Value::SafeUrl(_));
        if place > 0 && !is_text && !before_is_text {
            out.push(" ")?;
        }
        write_value(&mut out, arg, &Verb::DEFAULT)?;
        before_is_text = is_text;
    }
    Ok(out.into_text())
}

/// `println`: a space between any two values, and a newline.
pub(super) fn println(args: &[Value], bytes_max: usize) -> Result<String, TooLong> {
    let mut out = Bounded::new(bytes_max);
    for (place, arg) in args.iter().enumerate() {
        if place > 0 {
            out.push(" ")?;
        }
        write_value(&mut out, arg, &Verb::DEFAULT)?;
    }
    out.push("\n")?;
    Ok(out.into_text())
}

/// `printf`.
pub(super) fn printf(layout: &str, args: &[Value], bytes_max: usize) -> Result<String, TooLong> {
    let mut out = Bounded::new(bytes_max);
    let mut rest = layout;
    let mut next = 0;
    let mut reordered = false;
    while let Some((before, after)) = rest.split_once('%') {
        out.push(before)?;
        let mut spec = Spec { rest: after, args, next, reordered: false, bad_index: false };
        let verb = spec.read();
        (rest, next) = (spec.rest, spec.next);
        reordered |= spec.reordered;
        match verb {
            Err(complaint) => out.push(complaint)?,
            Ok(verb) if verb.letter == '%' => out.push("%")?,
            Ok(verb) if spec.bad_index => out.push(&format!("%!{}(BADINDEX)", verb.letter))?,
            Ok(verb) => {
                match args.get(next) {
                    Some(arg) => write_value(&mut out, arg, &verb)?,
                    None => out.push(&format!("%!{}(MISSING)", verb.letter))?,
                }
                next += 1;
            }
        }
    }
    out.push(rest)?;
    let extra = args.get(next..).unwrap_or_default();
    if !extra.is_empty() && !reordered {
        out.push("%!(EXTRA ")?;
        for (place, arg) in extra.iter().enumerate() {
            out.push(if place > 0 { ", " } else { "" })?;
            write_typed(&mut out, arg, &Verb::DEFAULT)?;
        }
        out.push(")")?;
    }
    Ok(out.into_text())
}

/// A verb with its flags.
#[derive(Clone, Copy, Debug)]
struct Verb {
    letter: char,
    plus: bool,
    /// `%+v`: names of fields, and no signs of numbers.
    names: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

impl Verb {
    const DEFAULT: Self = Self {
        letter: 'v',
        plus: false,
        names: false,
        minus: false,
        sharp: false,
        space: false,
        zero: false,
        width: None,
        precision: None,
    };
}

/// Reads what follows a percent sign.
struct Spec<'a, 'v> {
    rest: &'a str,
    args: &'v [Value],
    next: usize,
    reordered: bool,
    bad_index: bool,
}

impl Spec<'_, '_> {
    fn read(&mut self) -> Result<Verb, &'static str> {
        let mut verb = Verb::DEFAULT;
        while let Some(flag) = self.rest.chars().next() {
            match flag {
                '+' => verb.plus = true,
                '-' => verb.minus = true,
                '#' => verb.sharp = true,
                ' ' => verb.space = true,
                '0' => verb.zero = true,
                _other => break,
            }
            self.skip(1);
        }
        self.index();
        verb.width = self.count(&mut verb.minus)?;
        if self.rest.starts_with('.') {
            self.skip(1);
            self.index();
            let mut negative = false;
            verb.precision = Some(self.count(&mut negative)?.unwrap_or(0)).filter(|_| !negative);
        }
        self.index();
        let letter = self.rest.chars().next().ok_or("%!(NOVERB)")?;
        self.skip(letter.len_utf8());
        verb.letter = letter;
        if letter == 'v' {
            (verb.names, verb.plus) = (verb.plus, false);
        }
        // Left-aligned text is padded with spaces whatever is asked for.
        verb.zero &= !verb.minus;
        Ok(verb)
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// `[3]`: the number of the argument to take next.
    fn index(&mut self) {
        let Some((number, rest)) =
            self.rest.strip_prefix('[').and_then(|inner| inner.split_once(']'))
        else {
            return;
        };
        self.rest = rest;
        self.reordered = true;
        match number.parse::<usize>() {
            Ok(number) if (1..=self.args.len()).contains(&number) => self.next = number - 1,
            Ok(_) | Err(_) => self.bad_index = true,
        }
    }

    /// Digits, or `*` for an argument.
    fn count(&mut self, minus: &mut bool) -> Result<Option<usize>, &'static str> {
        if self.rest.starts_with('*') {
            self.skip(1);
            let arg = self.args.get(self.next);
            self.next += 1;
            let Some(Value::Int(width)) = arg else { return Err("%!(BADWIDTH)") };
            *minus |= *width < 0;
            let width = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
            return if width > WIDTH_MAX { Err("%!(BADWIDTH)") } else { Ok(Some(width)) };
        }
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Ok(None);
        }
        let (number, rest) = self.rest.split_at(digits);
        match number.parse() {
            Ok(width) if width <= WIDTH_MAX => {
                self.rest = rest;
                Ok(Some(width))
            }
            // Go takes the rest of the layout for a part of the number.
            Ok(_) | Err(_) => {
                self.rest = "";
                Err("%!(NOVERB)")
            }
        }
    }
}

fn write_value(out: &mut Bounded, value: &Value, verb: &Verb) -> Written {
    if verb.letter == 'T' {
        let name = value.type_name();
        return pad(out, name.get(..verb.precision.unwrap_or(usize::MAX)).unwrap_or(name), verb);
    }
    match value {
        Value::Nil if verb.letter == 'v' => pad(out, "<nil>", verb),
        Value::Nil => out.push(&format!("%!{}(<nil>)", verb.letter)),
        Value::Bool(value) if matches!(verb.letter, 't' | 'v') => {
            pad(out, if *value { "true" } else { "false" }, verb)
        }
        Value::Int(number) => write_int(out, *number, value, verb),
        Value::Float(number) => write_float(out, *number, value, verb),
        Value::String(text) | Value::SafeHtml(text) | Value::SafeUrl(text) => {
            write_text(out, text, value, verb)
        }
        Value::List(list) => write_list(out, list.items(), verb),
        Value::Map(map) => {
            out.push("map[")?;
            for (place, (key, value)) in map.iter().enumerate() {
                out.push(if place > 0 { " " } else { "" })?;
                write_text(out, key, &Value::string(key), verb)?;
                out.push(":")?;
                write_value(out, value, verb)?;
            }
            out.push("]")
        }
        Value::Object(object) => write_object(out, &**object, value, verb),
        Value::Time(time) => write_text(out, &time.text(), value, verb),
        Value::Duration(nanos) => match verb.letter {
            'v' | 's' | 'q' => write_text(out, &duration_text(*nanos), value, verb),
            _number => write_int(out, *nanos, value, verb),
        },
        Value::Bool(_) => bad_verb(out, value, verb),
    }
}

fn write_list(out: &mut Bounded, items: &[Value], verb: &Verb) -> Written {
    out.push("[")?;
    for (place, item) in items.iter().enumerate() {
        out.push(if place > 0 { " " } else { "" })?;
        write_value(out, item, verb)?;
    }
    out.push("]")
}

fn write_object(out: &mut Bounded, object: &dyn Object, value: &Value, verb: &Verb) -> Written {
    let texty = matches!(verb.letter, 'v' | 's' | 'q' | 'x' | 'X');
    if let Some(text) = object.text().filter(|_| texty) {
        return write_text(out, &text, value, verb);
    }
    if let Some(inner) = object.underlying() {
        return write_value(out, &inner, verb);
    }
    out.push("{")?;
    for (place, field) in object.fields().iter().enumerate() {
        out.push(if place > 0 { " " } else { "" })?;
        if verb.names {
            out.push(field.name)?;
            out.push(":")?;
        }
        write_value(out, &field.value, verb)?;
    }
    out.push("}")
}

fn write_text(out: &mut Bounded, text: &str, value: &Value, verb: &Verb) -> Written {
    let cut = |text: &str| match verb.precision {
        Some(chars) => text.chars().take(chars).collect::<String>(),
        None => text.to_owned(),
    };
    match verb.letter {
        'v' if verb.sharp => pad(out, &quoted(text), verb),
        'v' | 's' => pad(out, &cut(text), verb),
        'q' => pad(out, &quoted_as(&cut(text), verb), verb),
        'x' | 'X' => {
            let bytes = text.bytes().take(verb.precision.unwrap_or(usize::MAX));
            let mark = if verb.sharp { "0x" } else { "" };
            let hex = bytes.enumerate().map(|(place, byte)| match (place > 0, verb.space) {
                (true, true) => format!(" {mark}{byte:02x}"),
                (true, false) => format!("{byte:02x}"),
                (false, _) => format!("{mark}{byte:02x}"),
            });
            let hex: String = hex.collect();
            pad(out, &if verb.letter == 'X' { hex.to_uppercase() } else { hex }, verb)
        }
        _other => bad_verb(out, value, verb),
    }
}

/// `%q`: between backquotes where `#` asks for it and it can be, in ASCII where `+` does.
fn quoted_as(text: &str, verb: &Verb) -> String {
    let raw = |c: char| c == '\t' || !(c == '`' || c.is_control() || c == '\u{feff}');
    if verb.sharp && text.chars().all(raw) {
        return format!("`{text}`");
    }
    let quoted = quoted(text);
    if !verb.plus {
        return quoted;
    }
    let ascii = |c: char| match u32::from(c) {
        code @ 0x80..=0xffff => format!("\\u{code:04x}"),
        code @ 0x1_0000.. => format!("\\U{code:08x}"),
        _ascii => c.to_string(),
    };
    quoted.chars().map(ascii).collect()
}

/// As Go's `strconv.QuoteRune`, or for `%+q` its ASCII form.
fn quoted_char(c: char, verb: &Verb) -> String {
    match c {
        '"' => "'\"'".to_owned(),
        '\'' => r"'\''".to_owned(),
        _ => {
            let text = quoted_as(&c.to_string(), &Verb { sharp: false, ..*verb });
            format!("'{}'", text.trim_matches('"'))
        }
    }
}

fn write_int(out: &mut Bounded, number: i64, value: &Value, verb: &Verb) -> Written {
    let size = number.unsigned_abs();
    let (prefix, digits) = match verb.letter {
        'd' | 'v' => ("", size.to_string()),
        'b' => (if verb.sharp { "0b" } else { "" }, format!("{size:b}")),
        'o' => (if verb.sharp { "0" } else { "" }, format!("{size:o}")),
        'O' => ("0o", format!("{size:o}")),
        'x' => (if verb.sharp { "0x" } else { "" }, format!("{size:x}")),
        'X' => (if verb.sharp { "0X" } else { "" }, format!("{size:X}")),
        'c' => return pad(out, &char_of(number).to_string(), verb),
        'q' => return pad(out, &quoted_char(char_of(number), verb), verb),
        'U' => {
            let shown = if verb.sharp { format!(" '{}'", char_of(number)) } else { String::new() };
            return pad(out, &format!("U+{number:04X}{shown}"), verb);
        }
        _other => return bad_verb(out, value, verb),
    };
    if number == 0 && verb.precision == Some(0) {
        return pad(out, "", &Verb { zero: false, ..*verb });
    }
    let width = verb.precision.unwrap_or(0);
    let digits = format!("{prefix}{digits:0>width$}");
    let verb = Verb { zero: verb.zero && verb.precision.is_none(), ..*verb };
    pad_number(out, number < 0, &digits, &verb)
}

fn char_of(number: i64) -> char {
    u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn write_float(out: &mut Bounded, number: f64, value: &Value, verb: &Verb) -> Written {
    let size = number.abs();
    if number.is_nan() || number.is_infinite() {
        if !"veEfFgGxXb".contains(verb.letter) {
            return bad_verb(out, value, verb);
        }
        let text = match (number.is_nan(), number < 0.0) {
            (true, _) if verb.plus => "+NaN",
            (true, _) => "NaN",
            (false, true) => "-Inf",
            (false, false) => "+Inf",
        };
        return pad(out, text, &Verb { zero: false, ..*verb });
    }
    let digits = match (verb.letter, verb.precision) {
        ('v' | 'g' | 'G', None) => go_default(size),
        ('v' | 'g' | 'G', Some(digits)) => significant(size, digits),
        ('f' | 'F', digits) => format!("{size:.*}", digits.unwrap_or(6)),
        ('e' | 'E', digits) => scientific(size, digits.unwrap_or(6)),
        ('x' | 'X', digits) => hexadecimal(size, digits),
        ('b', _) => {
            let (bits, power) = mantissa_and_power(size);
            format!("{bits}p{power:+}")
        }
        (_, _) => return bad_verb(out, value, verb),
    };
    let digits = if verb.sharp { with_point(&digits, verb) } else { digits };
    let digits =
        if matches!(verb.letter, 'E' | 'G' | 'X') { digits.to_uppercase() } else { digits };
    pad_number(out, number.is_sign_negative(), &digits, verb)
}

/// With `#`: always a point, and for `%g` as many digits as it may have at most.
fn with_point(digits: &str, verb: &Verb) -> String {
    let missing = match verb.letter {
        'e' | 'E' | 'f' | 'F' => 0,
        'g' | 'G' => verb.precision.unwrap_or(6),
        _other => return digits.to_owned(),
    };
    let (number, exponent) = digits.split_at(digits.find('e').unwrap_or(digits.len()));
    let count = number.trim_start_matches(['0', '.']).bytes().filter(u8::is_ascii_digit).count();
    // A lone zero is a digit as well.
    let missing = missing.saturating_sub(if number == "0" { 1 } else { count });
    let point = if number.contains('.') { "" } else { "." };
    format!("{number}{point}{}{exponent}", "0".repeat(missing))
}

/// A finite size as a whole number times a power of two, as IEEE 754 keeps it.
fn mantissa_and_power(size: f64) -> (u64, i32) {
    let bits = size.to_bits();
    let mantissa = bits & ((1 << 52) - 1);
    match i32::try_from((bits >> 52) & 0x7ff).unwrap_or(0) {
        0 => (mantissa, -1074),
        exponent => (mantissa | (1 << 52), exponent - 1075),
    }
}

/// Go's `%x` of a float, `0x1.8p+00`: as many digits as it takes, or so many.
fn hexadecimal(size: f64, digits: Option<usize>) -> String {
    let (mut bits, power) = mantissa_and_power(size);
    if bits == 0 {
        let zeros = "0".repeat(digits.unwrap_or(0));
        return format!("0x0{}{zeros}p+00", if zeros.is_empty() { "" } else { "." });
    }
    // One digit before the point, and fifteen after it.
    let up = bits.leading_zeros() - 3;
    bits <<= up;
    let mut power = power + 60 - i32::try_from(up).unwrap_or(0);
    if let Some(digits) = digits.filter(|digits| *digits < 15) {
        let cut = 60 - 4 * digits;
        let (kept, rest, half) = (bits >> cut, bits & ((1 << cut) - 1), 1_u64 << (cut - 1));
        let is_up = rest > half || (rest == half && kept & 1 == 1);
        bits = (kept + u64::from(is_up)) << cut;
        if bits >> 61 != 0 {
            bits >>= 1;
            power += 1;
        }
    }
    let after = format!("{:015x}", bits & ((1 << 60) - 1));
    let after = match digits {
        None => after.trim_end_matches('0').to_owned(),
        Some(digits) => format!("{after:0<digits$}").chars().take(digits).collect(),
    };
    let point = if after.is_empty() { "" } else { "." };
    let sign = if power < 0 { '-' } else { '+' };
    format!("0x1{point}{after}p{sign}{:02}", power.abs())
}

/// Go's `%.Ne`: at least two digits in the exponent.
fn scientific(size: f64, precision: usize) -> String {
    let text = format!("{size:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').expect("LowerExp writes an exponent");
    let exponent: i32 = exponent.parse().expect("LowerExp writes a whole exponent");
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// Go's `%.Ng`: so many significant digits, without zeros at the end, with an exponent below
/// 1e-4 and from 10^N on.
pub(super) fn significant(size: f64, digits: usize) -> String {
    let digits = digits.max(1);
    let text = scientific(size, digits - 1);
    let (mantissa, exponent) = text.split_once('e').expect("scientific writes an exponent");
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    let power: i64 = exponent.parse().expect("scientific writes a whole exponent");
    let limit = i64::try_from(digits).unwrap_or(i64::MAX);
    if power < -4 || power >= limit {
        return format!("{}e{exponent}", trim(mantissa));
    }
    let places = usize::try_from(limit - 1 - power).unwrap_or(0);
    trim(&format!("{size:.places$}"))
}

/// Sign, zeros, digits.
fn pad_number(out: &mut Bounded, negative: bool, digits: &str, verb: &Verb) -> Written {
    let sign = match (negative, verb.plus, verb.space) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    };
    if verb.zero {
        let width = verb.width.unwrap_or(0).saturating_sub(sign.len());
        return out.push(&format!("{sign}{digits:0>width$}"));
    }
    pad(out, &format!("{sign}{digits}"), verb)
}

fn pad(out: &mut Bounded, text: &str, verb: &Verb) -> Written {
    let missing = verb.width.unwrap_or(0).saturating_sub(text.chars().count());
    let fill = if verb.zero { "0" } else { " " }.repeat(missing);
    if verb.minus {
        out.push(text)?;
        return out.push(&fill);
    }
    out.push(&fill)?;
    out.push(text)
}

/// `%!d(string=x)`
fn bad_verb(out: &mut Bounded, value: &Value, verb: &Verb) -> Written {
    out.push(&format!("%!{}(", verb.letter))?;
    // The flags are still those that were asked for.
    write_typed(out, value, &Verb { letter: 'v', ..*verb })?;
    out.push(")")
}

/// `string=x`
fn write_typed(out: &mut Bounded, value: &Value, verb: &Verb) -> Written {
    if matches!(value, Value::Nil) {
        return out.push("<nil>");
    }
    out.push(value.type_name())?;
    out.push("=")?;
    write_value(out, value, verb)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn printf_is_gos() {
        let float = Value::Float;
        let int = Value::Int;
        // Expectations: Go's fmt package documentation and fmt_test.go.
        for (layout, args, expected) in [
            ("%v %d %s", vec![float(1e6), int(-3), "x".into()], "1e+06 -3 x"),
            (
                "%.2f|%8.3f|%-8.1f|",
                vec![float(1.005), float(-2.5), float(2.25)],
                "1.00|  -2.500|2.2     |",
            ),
            (
                "%e %E %g %G",
                vec![float(1234.5), float(0.5), float(1e21), float(1e-7)],
                "1.234500e+03 5.000000E-01 1e+21 1E-07",
            ),
            (
                "%.3g %.4g %.2g",
                vec![float(1234.0), float(100000.0), float(0.000012345)],
                "1.23e+03 1e+05 1.2e-05",
            ),
            (
                "%05d %+d % d %x %X %o %b %c %q %U",
                vec![
                    int(-42),
                    int(7),
                    int(7),
                    int(255),
                    int(255),
                    int(8),
                    int(5),
                    int(65),
                    int(65),
                    int(0x1f600),
                ],
                "-0042 +7  7 ff FF 10 101 A 'A' U+1F600",
            ),
            (
                "%6s|%-6s|%.2s|%q|%x",
                vec!["ab".into(), "ab".into(), "abc".into(), "a\"b".into(), "hi".into()],
                "    ab|ab    |ab|\"a\\\"b\"|6869",
            ),
            ("%t %v %%", vec![Value::Bool(true), Value::Bool(false)], "true false %"),
            ("%d %s", vec![float(1.5), int(3)], "%!d(float64=1.5) %!s(int=3)"),
            (
                "%+d %6.2f %+v",
                vec![float(2.5), int(7), int(1)],
                "%!d(float64=+2.5) %!f(int=    07) 1",
            ),
            ("%d %d", vec![int(1)], "1 %!d(MISSING)"),
            ("%d", vec![int(1), "x".into(), int(2)], "1%!(EXTRA string=x, int=2)"),
            ("%[2]d %[1]d", vec![int(1), int(2)], "2 1"),
            ("%*d", vec![int(5), int(42)], "   42"),
            ("%v %v", vec![float(f64::INFINITY), float(f64::NAN)], "+Inf NaN"),
            ("%.2f %6.1f", vec![float(f64::NEG_INFINITY), float(f64::INFINITY)], "-Inf   +Inf"),
            ("% x|%#x|%X|%.1x", vec!["hi".into(); 4], "68 69|0x6869|6869|68"),
            ("%+q %#q %#q", vec!["\u{e9}".into(), "a".into(), "`".into()], "\"\\u00e9\" `a` \"`\""),
            ("%#U", vec![int(233)], "U+00E9 '\u{e9}'"),
            ("%", vec![], "%!(NOVERB)"),
            ("%T %T", vec![float(1.0), "x".into()], "float64 string"),
            (
                "%v %q",
                vec![Value::list(["a".into(), int(1)]), Value::list(["b".into()])],
                "[a 1] [\"b\"]",
            ),
            ("%v", vec![Value::Nil], "<nil>"),
            ("%z", vec![int(1)], "%!z(int=1)"),
        ] {
            assert_eq!(printf(layout, &args, 1 << 16).as_deref(), Ok(expected), "{layout}");
        }
    }

    #[test]
    fn floats_are_written_in_the_bases_that_go_has_for_them() {
        let float = Value::Float;
        // Expectations: Go's strconv/ftoa_test.go, and fmt for what has no such verb.
        for (layout, args, expected) in [
            (
                "%x %X %.3x %b %o %x",
                vec![float(-1.5), float(0.1), float(1.0), float(1.0), float(1.0), float(0.0)],
                "-0x1.8p+00 0X1.999999999999AP-04 0x1.000p+00 4503599627370496p-52 \
                 %!o(float64=1) 0x0p+00",
            ),
            (
                "%.0x %.1x %8x|",
                vec![float(1.5), float(1.97), float(1.0)],
                "0x1p+01 0x1.0p+01  0x1p+00|",
            ),
        ] {
            assert_eq!(printf(layout, &args, 1 << 16).as_deref(), Ok(expected), "{layout}");
        }
    }

    #[test]
    fn zero_without_digits_and_points_without_any_behind_are_gos() {
        // As amtool 0.25 renders them.
        let floats = |numbers: &[f64]| numbers.iter().copied().map(Value::Float).collect();
        for (layout, args, expected) in [
            (
                "%.0d|%.0d|%5.0d|%x|%.0x|%+.0d",
                [0, 1, 0, 0, 0, 0].map(Value::Int).to_vec(),
                "|1|     |0||",
            ),
            (
                "%#g|%#g|%#e|%#f|%#.0f|%#.0e|%#.3g|%#g|%#v",
                floats(&[1.0, 1e21, 1.0, 1.0, 3.0, 3.0, 1.0, 0.0, 1.0]),
                "1.00000|1.00000e+21|1.000000e+00|1.000000|3.|3.e+00|1.00|0.00000|1",
            ),
            (
                "%#.0g|%#.10g|%#g|%#G",
                floats(&[2.0, 123.5, 123_456_789.0, 1e-7]),
                "2.|123.5000000|1.23456789e+08|1.00000E-07",
            ),
            ("%.2T|%6.3T|%-9T|", vec![Value::Int(1); 3], "in|   int|int      |"),
        ] {
            assert_eq!(printf(layout, &args, 1 << 16).as_deref(), Ok(expected), "{layout}");
        }
    }

    #[test]
    fn a_text_never_grows_beyond_its_limit() {
        assert_eq!(printf("%1000d", &[Value::Int(1)], 100), Err(TooLong(100)));
        assert_eq!(
            printf("%99999999999d", &[Value::Int(1)], 1000).as_deref(),
            Ok("%!(NOVERB)%!(EXTRA int=1)")
        );
    }

    proptest! {
        #[test]
        fn printf_never_panics(layout in "[%\\[\\]0-9.*+# vdsqxXfegGtcUT-]{0,20}", number in any::<f64>(), whole in any::<i64>()) {
            let args = [Value::Float(number), Value::Int(whole), "é".into()];
            let _ = printf(&layout, &args, 4096);
        }

        #[test]
        fn significant_digits_read_back_near(number in 1e-8f64..1e12) {
            let back: f64 = significant(number, 4).parse().expect("a number");
            prop_assert!((back - number).abs() <= number * 5.1e-4);
        }
    }
}
