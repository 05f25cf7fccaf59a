//! The walk over a body: line by line, without copying, without recursion.
//!
//! The steady path touches each byte about once: the end of the series is found by its quotes and
//! braces, value and timestamp are read, and the labels are left to `SeriesText::read`, which the
//! caller needs only for text it has not seen before.

use super::error::{Fault, ParseError, excerpt};
use super::series::{self, ExemplarText, Normalize, SeriesText};
use super::value;
use crate::model::{MetricType, Timestamp};
use memchr::{memchr, memchr2};
use std::borrow::Cow;

/// The longest line: an honest series is below 2 KiB, an endless one must not fill the memory.
pub const LINE_BYTES_MAX: usize = 64 << 10;

/// Which grammar a body follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// text 0.0.4 and 1.0.0.
    Text,
    /// OpenMetrics 0.0.1 and 1.0.0.
    OpenMetrics,
}

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// Lines of text.
    Text(Format),
    /// Delimited `io.prometheus.client.MetricFamily` messages.
    Protobuf,
}

/// A sample's line.
#[derive(Clone, Copy, Debug)]
pub struct SampleLine<'a> {
    /// Name and labels, not read yet.
    pub series: SeriesText<'a>,
    /// The value; every NaN is the ordinary one.
    pub value: f64,
    /// The line's own timestamp.
    pub ts: Option<Timestamp>,
    /// Its exemplar, not read yet.
    pub exemplar: Option<ExemplarText<'a>>,
}

/// What a line says.
#[derive(Clone, Debug)]
pub enum Entry<'a> {
    /// A sample.
    Sample(SampleLine<'a>),
    /// The type of a metric.
    Type {
        /// The metric.
        name: Cow<'a, str>,
        /// Its type.
        kind: MetricType,
    },
    /// A sentence about a metric.
    Help {
        /// The metric.
        name: Cow<'a, str>,
        /// The sentence.
        text: Cow<'a, str>,
    },
    /// The unit of a metric.
    Unit {
        /// The metric.
        name: Cow<'a, str>,
        /// Its unit, empty for none.
        unit: Cow<'a, str>,
    },
}

/// Reads a body entry by entry; ends after the first error.
#[derive(Debug)]
pub struct Parser<'a> {
    body: &'a [u8],
    at: usize,
    format: Format,
    normalize: Normalize,
    /// The metric of the latest `# TYPE` that asks for normalization.
    family: Cow<'a, str>,
    done: bool,
    saw_eof: bool,
    /// More may follow.
    is_piece: bool,
    has_loose_comments: bool,
}

/// What a parser knows at the end of a piece, for the next one.
#[derive(Clone, Debug, Default)]
pub struct Carry {
    family: String,
    normalize: Normalize,
    /// Whether the text has ended by its own mark.
    pub saw_eof: bool,
}

impl<'a> Parser<'a> {
    /// A parser at the start of `body`.
    pub const fn new(body: &'a [u8], format: Format) -> Self {
        Self {
            body,
            at: 0,
            format,
            normalize: Normalize::Nothing,
            family: Cow::Borrowed(""),
            done: false,
            saw_eof: false,
            is_piece: false,
            has_loose_comments: false,
        }
    }

    /// Reads comments of text as the parser of prometheus/common does, which reads what is pushed
    /// and what lies in files of node_exporter: blanks before the words do not belong to them, and
    /// a help may have its quotes escaped.
    #[must_use]
    pub fn with_loose_comments(self) -> Self {
        Self { has_loose_comments: true, ..self }
    }

    /// A parser of whole lines of a longer text, after what `carry` tells of.
    pub fn piece(body: &'a [u8], format: Format, carry: &'a Carry) -> Self {
        Self {
            normalize: carry.normalize,
            family: Cow::Borrowed(&carry.family),
            saw_eof: carry.saw_eof,
            is_piece: true,
            ..Self::new(body, format)
        }
    }

    /// Bytes that were not read yet.
    pub fn rest_len(&self) -> usize {
        self.rest().len()
    }

    /// What the next piece needs to know.
    pub fn carry(&self) -> Carry {
        let family = self.family.clone().into_owned();
        Carry { family, normalize: self.normalize, saw_eof: self.saw_eof }
    }

    /// Passes over the next line, when its series part is so many bytes long and `is_known`, and
    /// nothing but a number stands behind it: the number. `None` leaves the line to `next`.
    #[inline]
    pub fn known_value(
        &mut self,
        len: usize,
        is_known: impl FnOnce(&[u8], Normalize) -> bool,
    ) -> Option<f64> {
        let (raw, after) = self.rest().split_at_checked(len)?;
        // What is known ends here too: it is followed by a blank and a digit, not by braces.
        let (value, value_len) = value::at_line_end(after)?;
        let fits = len + value_len <= LINE_BYTES_MAX;
        if self.done || !fits || !is_known(raw, self.normalize_for(raw)) {
            return None;
        }
        self.at += len + value_len;
        Some(value)
    }

    /// The next line as it is written, without its end, when it is a `# HELP` or a `# TYPE`.
    /// Without a line break behind it, it may be cut, which `next` tells.
    #[inline]
    pub fn comment_ahead(&self) -> Option<&'a [u8]> {
        let rest = self.rest();
        let is_comment = matches!(rest, [b'#', b' ', b'H' | b'T', ..])
            && (rest.starts_with(b"# HELP ") || rest.starts_with(b"# TYPE "));
        if self.done || !is_comment {
            return None;
        }
        rest.get(..memchr(b'\n', rest)?)
    }

    /// Whether a comment begins here.
    #[inline]
    pub fn is_at_comment(&self) -> bool {
        self.rest().first() == Some(&b'#')
    }

    /// Where the next line begins.
    pub const fn offset(&self) -> usize {
        self.at
    }

    /// Passes over so many bytes of lines that `pass_comment` passed before, one behind the other,
    /// with a type among them or without; whether they are here and `is_known`.
    #[inline]
    pub fn pass_comments(
        &mut self,
        len: usize,
        has_type: bool,
        is_known: impl FnOnce(&[u8]) -> bool,
    ) -> bool {
        let Some(lines) = self.rest().get(..len) else { return false };
        if self.done || !is_known(lines) {
            return false;
        }
        if has_type {
            self.normalize = Normalize::Nothing;
        }
        self.at += len;
        true
    }

    /// Passes over a line of `comment_ahead` that came before and was read without a fault; whether
    /// it did. Comments are half of what many targets say, and nothing depends on most: types that
    /// bounds or quantiles are written anew for have to be read.
    pub fn pass_comment(&mut self, line: &[u8]) -> bool {
        if line.starts_with(b"# TYPE ") {
            let plain: [&[u8]; 4] = [b" gauge", b" counter", b" untyped", b" unknown"];
            if !plain.iter().any(|kind| line.ends_with(kind)) {
                return false;
            }
            self.normalize = Normalize::Nothing;
        }
        self.at += line.len() + 1;
        true
    }

    fn step(&mut self) -> Result<Option<Entry<'a>>, Fault> {
        loop {
            if self.format == Format::Text {
                self.skip_blanks();
            }
            match self.rest().first() {
                None => return self.finish(),
                Some(b'\n') if self.format == Format::Text => self.at += 1,
                Some(b'#') => {
                    if let Some(entry) = self.comment()? {
                        return Ok(Some(entry));
                    }
                    if self.saw_eof {
                        return self.finish();
                    }
                }
                Some(_) => return self.sample().map(Some),
            }
        }
    }

    /// At the end of the body.
    fn finish(&self) -> Result<Option<Entry<'a>>, Fault> {
        match self.format {
            Format::Text => Ok(None),
            Format::OpenMetrics if !self.saw_eof && !self.is_piece => {
                Err(Fault::new(self.at, "data does not end with # EOF"))
            }
            Format::OpenMetrics if self.at < self.body.len() => {
                Err(Fault::new(self.at, "unexpected data after # EOF"))
            }
            Format::OpenMetrics => Ok(None),
        }
    }

    /// A line that begins with `#`: metadata, the end, or (in text) anything else.
    fn comment(&mut self) -> Result<Option<Entry<'a>>, Fault> {
        let start = self.at;
        let line = self.line()?;
        let after = line.get(1..).unwrap_or_default();
        let blanks = self.blanks(after);
        let words = after.get(blanks..).unwrap_or_default();
        if self.format == Format::OpenMetrics {
            if line == b"# EOF" {
                self.saw_eof = true;
                return Ok(None);
            }
            if self.body.get(self.at - 1) != Some(&b'\n') {
                return Err(Fault::new(self.at, "data does not end with # EOF"));
            }
        }
        let keyword = words.get(..4).filter(|_| blanks > 0).and_then(|keyword| {
            let rest = words.get(4..)?;
            let gap = self.blanks(rest);
            (gap > 0).then(|| (keyword, rest.get(gap..).unwrap_or_default()))
        });
        let placed = |fault: Fault, part: &[u8]| {
            let offset = (part.as_ptr() as usize).saturating_sub(line.as_ptr() as usize);
            Fault::new(start + offset + fault.offset, fault.message)
        };
        let unknown = match keyword {
            Some((b"HELP" | b"TYPE", rest)) => rest,
            Some((b"UNIT", rest)) if self.format == Format::OpenMetrics => rest,
            Some(_) | None if self.format == Format::Text => return Ok(None),
            Some(_) | None => {
                let text = format!("expected HELP, TYPE, UNIT or EOF, got {}", excerpt(line));
                return Err(Fault::new(start, text));
            }
        };
        let kind = keyword.map_or(&b""[..], |(keyword, _)| keyword);
        self.metadata(kind, unknown).map(Some).map_err(|fault| placed(fault, unknown))
    }

    fn metadata(&mut self, keyword: &[u8], rest: &'a [u8]) -> Result<Entry<'a>, Fault> {
        let (after, name) = series::metadata_name(rest)?;
        let name_bytes = rest.len() - after.len();
        let blanks = self.blanks(after);
        let is_strict = self.format == Format::Text && !self.has_loose_comments;
        // Prometheus passes over one byte, whatever it is, unless there is nothing but blanks.
        let gap = if is_strict && blanks < after.len() { 1 } else { blanks };
        if gap == 0 && !after.is_empty() {
            return Err(Fault::new(name_bytes, "expected a blank after the metric name"));
        }
        let text = after.get(gap..).unwrap_or_default();
        let text = std::str::from_utf8(text)
            .map_err(|_| Fault::new(name_bytes + gap, "the text is not valid UTF-8"))?;
        match keyword {
            b"TYPE" => {
                let kind = self.kind(text).ok_or_else(|| {
                    let message = format!("invalid metric type {}", excerpt(text.as_bytes()));
                    Fault::new(name_bytes + gap, message)
                })?;
                self.normalize = match kind {
                    MetricType::Histogram => Normalize::Bounds,
                    MetricType::Summary => Normalize::Quantiles,
                    MetricType::Counter
                    | MetricType::Gauge
                    | MetricType::GaugeHistogram
                    | MetricType::Info
                    | MetricType::StateSet
                    | MetricType::Unknown => Normalize::Nothing,
                };
                self.family = name.clone();
                Ok(Entry::Type { name, kind })
            }
            b"UNIT" => {
                let fits = name.strip_suffix(text).is_some_and(|stem| stem.ends_with('_'));
                if !text.is_empty() && !fits {
                    let message = format!("unit {text:?} not a suffix of metric {name:?}");
                    return Err(Fault::new(name_bytes + gap, message));
                }
                Ok(Entry::Unit { name, unit: Cow::Borrowed(text) })
            }
            _ if is_strict => Ok(Entry::Help { name, text: series::unescaped_help(text) }),
            _ => Ok(Entry::Help { name, text: series::unescaped(Cow::Borrowed(text)) }),
        }
    }

    fn kind(&self, word: &str) -> Option<MetricType> {
        let kind: MetricType = word.parse().ok()?;
        let known = match (self.format, kind) {
            (Format::Text, MetricType::Unknown) => word == "untyped",
            (Format::OpenMetrics, MetricType::Unknown) => word == "unknown",
            (
                Format::Text,
                MetricType::GaugeHistogram | MetricType::Info | MetricType::StateSet,
            ) => false,
            (Format::Text | Format::OpenMetrics, _) => true,
        };
        known.then_some(kind)
    }

    fn sample(&mut self) -> Result<Entry<'a>, Fault> {
        let start = self.at;
        self.skip_series()?;
        let raw = self.body.get(start..self.at).unwrap_or_default();
        self.behind_series(start, raw, self.normalize_for(raw)).map(Entry::Sample)
    }

    /// The rest of a sample's line, whose series part was passed.
    #[inline]
    fn behind_series(
        &mut self,
        start: usize,
        raw: &'a [u8],
        normalize: Normalize,
    ) -> Result<SampleLine<'a>, Fault> {
        if let Some((value, len)) = value::at_line_end(self.rest())
            && self.at + len - start <= LINE_BYTES_MAX
        {
            self.at += len;
            let series = SeriesText { body: self.body, start, raw, format: self.format, normalize };
            return Ok(SampleLine { series, value, ts: None, exemplar: None });
        }
        self.behind_series_anyhow(start, raw, normalize)
    }

    /// As `behind_series`, whatever stands there.
    fn behind_series_anyhow(
        &mut self,
        start: usize,
        raw: &'a [u8],
        normalize: Normalize,
    ) -> Result<SampleLine<'a>, Fault> {
        let value_at = self.gap("expected a value after the metric")?;
        let token = self.token();
        let value = value::parse(token).ok_or_else(|| {
            Fault::new(
                value_at,
                format!("expected a value after the metric, got {}", excerpt(token)),
            )
        })?;
        let (ts, exemplar) = self.after_value()?;
        if self.at - start > LINE_BYTES_MAX {
            return Err(Fault::new(start, format!("line longer than {LINE_BYTES_MAX} bytes")));
        }
        let format = self.format;
        let series = SeriesText { body: self.body, start, raw, format, normalize };
        Ok(SampleLine { series, value, ts, exemplar })
    }

    /// The timestamp, the exemplar and the end of the line.
    fn after_value(&mut self) -> Result<(Option<Timestamp>, Option<ExemplarText<'a>>), Fault> {
        let (mut ts, mut exemplar) = (None, None);
        let blanks = self.blanks(self.rest());
        let next = self.rest().get(blanks);
        if !matches!(next, None | Some(b'\n' | b'#')) {
            let ts_at = self.gap("expected a timestamp or a new line")?;
            let token = self.token();
            let millis = match self.format {
                Format::Text => value::parse_millis(token),
                Format::OpenMetrics => value::parse_seconds(token),
            };
            let millis = millis.ok_or_else(|| {
                Fault::new(ts_at, format!("invalid timestamp {}", excerpt(token)))
            })?;
            ts = Some(Timestamp::from_millis(millis));
        }
        if self.format == Format::Text {
            self.skip_blanks();
        } else if self.rest().starts_with(b" # {") {
            exemplar = Some(self.exemplar()?);
        }
        match self.rest().first() {
            Some(b'\n') => {
                self.at += 1;
                Ok((ts, exemplar))
            }
            None if self.format == Format::Text => Ok((ts, exemplar)),
            None => Err(Fault::new(self.at, "data does not end with # EOF")),
            Some(_) => {
                let text = format!("expected the end of the line, got {}", excerpt(self.rest()));
                Err(Fault::new(self.at, text))
            }
        }
    }

    /// The exemplar that begins here; moves to the end of the line.
    fn exemplar(&mut self) -> Result<ExemplarText<'a>, Fault> {
        let rest = self.rest();
        let line_end = memchr(b'\n', rest).unwrap_or(rest.len());
        let base = self.at + 4;
        let after_brace = rest.get(4..line_end).unwrap_or_default();
        let text = ExemplarText::checked(after_brace)
            .map_err(|fault| Fault::new(base + fault.offset, fault.message))?;
        self.at += line_end;
        Ok(text)
    }

    /// Moves past a name and braces without reading what stands in them.
    fn skip_series(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let name = self.rest().iter().take_while(|byte| is_name_byte(**byte)).count();
        self.at += name;
        let brace = match self.format {
            Format::Text => self.blanks(self.rest()),
            Format::OpenMetrics => 0,
        };
        if self.rest().get(brace) == Some(&b'{') {
            self.at += brace + 1;
            return self.skip_braces(start);
        }
        if name == 0 {
            let text = format!("expected a metric, got {}", excerpt(self.rest()));
            return Err(Fault::new(start, text));
        }
        Ok(())
    }

    fn skip_braces(&mut self, start: usize) -> Result<(), Fault> {
        // A label value may hold a line break, so the search is bounded by bytes, not by the line.
        let end = self.body.len().min(start + LINE_BYTES_MAX);
        let open = |fault_at: usize| {
            let text = if end == start + LINE_BYTES_MAX {
                format!("line longer than {LINE_BYTES_MAX} bytes")
            } else {
                "unexpected end of the body inside braces".to_owned()
            };
            Fault::new(fault_at, text)
        };
        let find = |from: usize, a: u8, b: u8| {
            let window = self.body.get(from..end).unwrap_or_default();
            let at = from + memchr2(a, b, window)?;
            Some((at, *self.body.get(at)?))
        };
        let mut at = self.at;
        loop {
            let (found, byte) = find(at, b'"', b'}').ok_or_else(|| open(start))?;
            at = found + 1;
            if byte == b'}' {
                self.at = at;
                return Ok(());
            }
            loop {
                let (found, byte) = find(at, b'"', b'\\').ok_or_else(|| open(found))?;
                at = found + 1 + usize::from(byte == b'\\');
                if byte == b'"' {
                    break;
                }
            }
        }
    }

    fn normalize_for(&self, raw: &[u8]) -> Normalize {
        let belongs = || raw.first() == Some(&b'{') || raw.starts_with(self.family.as_bytes());
        if self.normalize != Normalize::Nothing && belongs() {
            self.normalize
        } else {
            Normalize::Nothing
        }
    }

    /// Moves past the blank that must stand here (any number in text, one in OpenMetrics).
    fn gap(&mut self, wanted: &str) -> Result<usize, Fault> {
        let blanks = self.blanks(self.rest());
        let after_brace = self.at > 0 && self.body.get(self.at - 1) == Some(&b'}');
        if blanks == 0 && !(self.format == Format::Text && after_brace) {
            let text = format!("{wanted}, got {}", excerpt(self.rest()));
            return Err(Fault::new(self.at, text));
        }
        self.at += blanks;
        Ok(self.at)
    }

    /// The bytes up to the next blank or line break; moves past them.
    fn token(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let len = rest.iter().take_while(|byte| !matches!(byte, b' ' | b'\t' | b'\n')).count();
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }

    /// The line from here, without its break; moves past both.
    fn line(&mut self) -> Result<&'a [u8], Fault> {
        let rest = self.rest();
        let len = memchr(b'\n', rest).unwrap_or(rest.len());
        if len > LINE_BYTES_MAX {
            return Err(Fault::new(self.at, format!("line longer than {LINE_BYTES_MAX} bytes")));
        }
        self.at = self.body.len().min(self.at + len + 1);
        Ok(rest.get(..len).unwrap_or_default())
    }

    fn skip_blanks(&mut self) {
        self.at += self.blanks(self.rest());
    }

    /// How many blanks `rest` starts with; OpenMetrics has one where it has any.
    fn blanks(&self, rest: &[u8]) -> usize {
        match self.format {
            Format::Text => rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count(),
            Format::OpenMetrics => usize::from(rest.first() == Some(&b' ')),
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.body.get(self.at..).unwrap_or_default()
    }
}

impl<'a> Iterator for Parser<'a> {
    type Item = Result<Entry<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        match self.step() {
            Ok(Some(entry)) => Some(Ok(entry)),
            Ok(None) => {
                self.done = true;
                None
            }
            Err(fault) => {
                self.done = true;
                Some(Err(ParseError::at(self.body, fault.offset, fault.message)))
            }
        }
    }
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':'
}
