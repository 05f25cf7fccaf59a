//! The short form of samples: `1 2 3`, `0+10x5`, `_x3`, `stale`.
//!
//! Values are read as they are asked for, so that `1x99999999999` takes no memory.
//!
//! Source: prometheus, promql/parser/generated_parser.y (series_values), lex.go
//! (lexValueSequence).

use crate::model::stale_nan;
use crate::promql::syntax::{number_fault, parse_number};

/// What is wrong with a text, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) offset: usize,
    pub(super) message: String,
}

/// One item of the text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Item {
    /// So many times no sample.
    Gap(u64),
    /// So many samples, each `step` more than the one before, or all the same.
    Run { value: f64, step: Option<f64>, count: u64 },
    /// So many native histograms.
    Histograms(u64),
}

/// Items of a text, in order.
#[derive(Clone, Debug)]
pub(super) struct Items<'a> {
    text: &'a str,
    at: usize,
}

/// Samples of a text: their place, which times the interval is their time, and their value.
#[derive(Clone, Debug)]
pub(super) struct Values<'a> {
    items: Items<'a>,
    /// Place of the next sample.
    place: u64,
    /// What is left of a run.
    run: Option<(f64, Option<f64>, u64)>,
}

/// The first fault of the text; else whether there are native histograms in it.
pub(super) fn check(text: &str) -> Result<bool, Fault> {
    let mut histograms = false;
    for item in Items::new(text) {
        histograms |= matches!(item?, Item::Histograms(_));
    }
    Ok(histograms)
}

impl<'a> Items<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, c: char) -> bool {
        let taken = self.peek() == Some(c);
        self.at += if taken { c.len_utf8() } else { 0 };
        taken
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault { offset: self.at, message: message.into() }
    }

    fn item(&mut self) -> Result<Item, Fault> {
        let item = match self.peek() {
            Some('_') => {
                self.at += 1;
                Item::Gap(self.times()?.unwrap_or(1))
            }
            Some('{') => self.histograms()?,
            Some(_) | None => self.run()?,
        };
        match self.peek() {
            None => Ok(item),
            Some(c) if c.is_ascii_whitespace() => Ok(item),
            Some(c) => Err(self.fault(format!("unexpected {c:?} in series values"))),
        }
    }

    fn run(&mut self) -> Result<Item, Fault> {
        let value = self.value()?;
        let step = match self.peek() {
            Some('+' | '-') => Some(self.signed("number")?),
            Some(_) | None => None,
        };
        match (self.times()?, step) {
            (Some(times), step) => Ok(Item::Run { value, step, count: times.saturating_add(1) }),
            (None, None) => Ok(Item::Run { value, step, count: 1 }),
            (None, Some(_)) => Err(self.fault("a step wants a count, as in 1+2x10")),
        }
    }

    /// `x5`, if it is there.
    fn times(&mut self) -> Result<Option<u64>, Fault> {
        if !self.take('x') {
            return Ok(None);
        }
        let start = self.at;
        let digits = self.take_while(|c| c.is_ascii_digit());
        let count = digits.parse().map_err(|_| Fault {
            offset: start,
            message: format!("invalid repetition in series values: {digits:?}; write x5"),
        })?;
        Ok(Some(count))
    }

    fn value(&mut self) -> Result<f64, Fault> {
        let word = self.clone().word();
        if word == "stale" {
            self.at += word.len();
            return Ok(stale_nan());
        }
        self.signed("number or \"stale\"")
    }

    /// A number with or without a sign. Hexadecimal is none here: `0x3` is four times zero.
    fn signed(&mut self, wanted: &str) -> Result<f64, Fault> {
        let minus = self.take('-');
        if !minus {
            self.take('+');
        }
        let start = self.at;
        let is_word = self.peek().is_some_and(|c| c.is_ascii_alphabetic());
        let text = if is_word { self.word() } else { self.number() };
        let value = match is_word {
            true => special(text),
            false => Some(text).filter(|text| !text.is_empty()).and_then(parse_number),
        };
        let value = value.ok_or_else(|| {
            let message = match (is_word, self.peek()) {
                (true, _) => format!("unexpected {text:?} in series values, expected {wanted}"),
                (false, _) if text.replace('_', "").parse::<f64>().is_ok() => number_fault(text),
                (false, _) if !text.is_empty() => format!("bad number syntax: {text:?}"),
                (false, Some(c)) => {
                    format!("unexpected {c:?} in series values, expected {wanted}")
                }
                (false, None) => "a number is missing".to_owned(),
            };
            Fault { offset: start, message }
        })?;
        Ok(if minus { -value } else { value })
    }

    fn word(&mut self) -> &'a str {
        self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
    }

    /// The letters of a number, without those that begin a count.
    fn number(&mut self) -> &'a str {
        let mut last = ' ';
        let rest = self.rest();
        let end = rest.find(|c: char| {
            let sign = matches!(c, '+' | '-') && matches!(last, 'e' | 'E');
            // An `e` belongs to a number that has begun.
            let exponent = matches!(c, 'e' | 'E') && last != ' ';
            last = c;
            !(c.is_ascii_digit() || matches!(c, '.' | '_') || exponent || sign)
        });
        let end = end.unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// `{{...}}`, `{{...}}x5`, `{{...}}+{{...}}x5`.
    fn histograms(&mut self) -> Result<Item, Fault> {
        self.histogram()?;
        let grows = self.take('+') || self.take('-');
        if grows {
            self.histogram()?;
        }
        match self.times()? {
            Some(times) => Ok(Item::Histograms(times.saturating_add(1))),
            None if grows => Err(self.fault("a step wants a count, as in {{}}+{{}}x10")),
            None => Ok(Item::Histograms(1)),
        }
    }

    fn histogram(&mut self) -> Result<(), Fault> {
        let open = self.rest().strip_prefix("{{");
        let end = open
            .and_then(|open| open.find("}}"))
            .ok_or_else(|| self.fault("a native histogram begins with {{ and ends with }}"))?;
        self.at += end + 4;
        Ok(())
    }
}

impl Iterator for Items<'_> {
    type Item = Result<Item, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.take_while(|c| c.is_ascii_whitespace());
        self.peek()?;
        let item = self.item();
        if item.is_err() {
            self.at = self.text.len();
        }
        Some(item)
    }
}

impl<'a> Values<'a> {
    /// The samples of a text that passed `check`; those behind a fault are left out, and so are
    /// native histograms.
    pub(super) fn new(text: &'a str) -> Self {
        Self { items: Items::new(text), place: 0, run: None }
    }
}

impl Iterator for Values<'_> {
    type Item = (u64, f64);

    fn next(&mut self) -> Option<(u64, f64)> {
        loop {
            if let Some((value, step, left)) = self.run.filter(|(_, _, left)| *left > 0) {
                let place = self.place;
                self.place = place.saturating_add(1);
                // A staleness marker that something is added to is none any more.
                let next = step.map_or(value, |step| value + step);
                self.run = Some((next, step, left - 1));
                return Some((place, value));
            }
            match self.items.next()?.ok()? {
                Item::Gap(count) | Item::Histograms(count) => {
                    self.place = self.place.saturating_add(count);
                }
                Item::Run { value, step, count } => self.run = Some((value, step, count)),
            }
        }
    }
}

/// `Inf` and `NaN`, in any case.
fn special(word: &str) -> Option<f64> {
    let known = word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("nan");
    known.then(|| parse_number(word)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::is_stale_nan;
    use proptest::prelude::*;

    fn points(text: &str) -> String {
        let point = |(place, value): (u64, f64)| {
            let value = if is_stale_nan(value) { "stale".to_owned() } else { value.to_string() };
            format!("{place}:{value}")
        };
        assert_eq!(check(text).map(|_| ()), Ok(()), "{text}");
        Values::new(text).take(50).map(point).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn values_are_those_of_promtool() {
        for (text, expected) in [
            ("", ""),
            ("1 2\n 3\t", "0:1 1:2 2:3"),
            ("_ 1 _x2 2", "1:1 4:2"),
            ("_x0 1", "0:1"),
            ("1x2", "0:1 1:1 2:1"),
            ("0+10x3", "0:0 1:10 2:20 3:30"),
            ("5-1x2", "0:5 1:4 2:3"),
            ("-2+.5x1", "0:-2 1:-1.5"),
            ("1e3x1 1E-1", "0:1000 1:1000 2:0.1"),
            ("1e+2+1e-1x1", "0:100 1:100.1"),
            ("0x3", "0:0 1:0 2:0 3:0"),
            ("017 1_000", "0:15 1:1000"),
            ("Inf -inf NaN", "0:inf 1:-inf 2:NaN"),
            ("1 stale 2", "0:1 1:stale 2:2"),
            ("{{}} {{sum:1}}x2 1", "4:1"),
            ("{{a b}}+{{c}}x2 1", "3:1"),
        ] {
            assert_eq!(points(text), expected, "{text}");
        }
        assert_eq!(Values::new("1x18446744073709551615 2").nth(1_000), Some((1_000, 1.0)));
        let far = Values::new("_x18446744073709551615 _x5 2").next();
        assert_eq!(far, Some((u64::MAX, 2.0)));
    }

    #[test]
    fn faults_know_their_place() {
        for (text, offset, message) in [
            (
                "1 stalex1",
                2,
                "unexpected \"stalex1\" in series values, expected number or \"stale\"",
            ),
            ("1 2x", 4, "invalid repetition in series values: \"\"; write x5"),
            ("1+2", 3, "a step wants a count, as in 1+2x10"),
            ("1 x3", 2, "unexpected \"x3\" in series values, expected number or \"stale\""),
            ("1,2", 1, "unexpected ',' in series values"),
            ("1 1d", 3, "unexpected 'd' in series values"),
            ("1.2.3", 0, "bad number syntax: \"1.2.3\""),
            ("1e", 0, "bad number syntax: \"1e\""),
            (
                "1 -1e400",
                3,
                "error parsing number: strconv.ParseFloat: parsing \"1e400\": value out of range",
            ),
            ("1 -", 3, "a number is missing"),
            ("é", 0, "unexpected 'é' in series values, expected number or \"stale\""),
            ("+1-+2", 3, "unexpected '+' in series values, expected number"),
            ("1+infx1", 2, "unexpected \"infx1\" in series values, expected number"),
            ("{1}", 0, "a native histogram begins with {{ and ends with }}"),
            ("{{}}+{{}}", 9, "a step wants a count, as in {{}}+{{}}x10"),
        ] {
            let expected = Fault { offset, message: message.to_owned() };
            assert_eq!(check(text), Err(expected), "{text}");
        }
        assert_eq!(check("1 {{}}"), Ok(true));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_inside_of_it(text in "[0-9a-fx_.+\\-{} stale\\PC]{0,40}") {
            if let Err(fault) = check(&text) {
                prop_assert!(text.is_char_boundary(fault.offset), "{} {}", text, fault.offset);
            }
            let _ = Values::new(&text).take(1_000).count();
        }
    }
}
