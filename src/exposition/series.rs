//! The series part of a line: a name and labels, read only when the text has not been seen before.

use super::error::{Fault, ParseError, excerpt};
use super::parse::Format;
use super::value;
use crate::model::{Exemplar, METRIC_NAME, Timestamp};
use nom::IResult;
use nom::Parser as _;
use nom::branch::alt;
use nom::bytes::complete::{tag, take, take_while1};
use nom::combinator::{recognize, verify};
use nom::multi::many0_count;
use nom::sequence::{delimited, preceded};
use std::borrow::Cow;

/// Which label holds a number whose text is made uniform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Normalize {
    /// None: no `# TYPE` spoke of buckets or quantiles.
    #[default]
    Nothing,
    /// `le`, below `# TYPE x histogram`.
    Bounds,
    /// `quantile`, below `# TYPE x summary`.
    Quantiles,
}

/// Labels as read: names and values, the metric's name as `__name__`, in the order of the text.
pub type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The series part of a line, not read yet. Equal `raw` and `normalize` mean equal labels.
#[derive(Clone, Copy, Debug)]
pub struct SeriesText<'a> {
    pub(super) body: &'a [u8],
    pub(super) start: usize,
    pub(super) raw: &'a [u8],
    pub(super) format: Format,
    pub(super) normalize: Normalize,
}

impl<'a> SeriesText<'a> {
    /// The bytes: a name, braces, or both.
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Which label is made uniform.
    pub const fn normalize(&self) -> Normalize {
        self.normalize
    }

    /// Reads name and labels into `pairs`, which is emptied first.
    ///
    /// # Errors
    /// The text is no series, is no UTF-8, or names a label twice.
    pub fn read(&self, pairs: &mut Pairs<'a>) -> Result<(), ParseError> {
        pairs.clear();
        let placed =
            |fault: Fault| ParseError::at(self.body, self.start + fault.offset, fault.message);
        read(self.raw, self.format, pairs).map_err(placed)?;
        let wanted = match self.normalize {
            Normalize::Nothing => return Ok(()),
            Normalize::Bounds => "le",
            Normalize::Quantiles => "quantile",
        };
        for (name, text) in pairs.iter_mut() {
            if name == wanted
                && let Some(normal) = value::normalized(text)
            {
                *text = Cow::Owned(normal);
            }
        }
        Ok(())
    }
}

/// A name and labels, or labels alone (as an exemplar has them).
fn read<'a>(raw: &'a [u8], format: Format, pairs: &mut Pairs<'a>) -> Result<(), Fault> {
    let mut rest = raw;
    if raw.first() != Some(&b'{') {
        let (after, name) =
            bare_metric_name(raw).map_err(|_| fault(raw, raw, "expected a metric name"))?;
        pairs.push((Cow::Borrowed(METRIC_NAME), text(raw, name)?));
        rest = skip_blanks(after, format);
    }
    if let Some((b'{', inside)) = rest.split_first() {
        labels(raw, inside, format, true, pairs)?;
    }
    if !pairs.iter().any(|(name, _)| name == METRIC_NAME) {
        return Err(fault(raw, raw, "metric name not set"));
    }
    refuse_twice(raw, pairs)
}

/// What an OpenMetrics line says after ` # {`, up to its end; whole, but not taken apart.
#[derive(Clone, Copy, Debug)]
pub struct ExemplarText<'a>(&'a [u8]);

impl<'a> ExemplarText<'a> {
    /// The exemplar of a sample at `sample_ts`, which is its time when it has none of its own.
    pub fn read(&self, sample_ts: Timestamp) -> Option<Exemplar> {
        let (pairs, value, ts) = exemplar(self.0).ok()?;
        let has_own_ts = ts.is_some();
        let ts = ts.unwrap_or(sample_ts);
        Some(Exemplar { labels: pairs.into_iter().collect(), value, ts, has_own_ts })
    }

    /// The text, when it is an exemplar.
    pub(super) fn checked(after_brace: &'a [u8]) -> Result<Self, Fault> {
        exemplar(after_brace).map(|_| Self(after_brace))
    }
}

type ExemplarParts<'a> = (Pairs<'a>, f64, Option<Timestamp>);

fn exemplar(after_brace: &[u8]) -> Result<ExemplarParts<'_>, Fault> {
    let mut pairs = Pairs::new();
    let rest = labels(after_brace, after_brace, Format::OpenMetrics, false, &mut pairs)?;
    let mut words = rest.split(|byte| *byte == b' ');
    let is_empty = words.next().is_some_and(<[u8]>::is_empty);
    let value = words.next().and_then(value::parse);
    let ts = words.next().map(value::parse_seconds);
    match (value, ts, words.next()) {
        (Some(value), None, None) if is_empty => Ok((pairs, value, None)),
        (Some(value), Some(Some(ts)), None) if is_empty => {
            Ok((pairs, value, Some(Timestamp::from_millis(ts))))
        }
        _ => Err(Fault::new(0, format!("invalid exemplar {}", excerpt(after_brace)))),
    }
}

/// Reads labels up to the closing brace and answers what follows it. A quoted text without a value
/// is the metric's name where `may_name` allows one.
fn labels<'a>(
    whole: &'a [u8],
    mut rest: &'a [u8],
    format: Format,
    may_name: bool,
    pairs: &mut Pairs<'a>,
) -> Result<&'a [u8], Fault> {
    rest = skip_blanks(rest, format);
    loop {
        if let Some((b'}', after)) = rest.split_first() {
            return Ok(after);
        }
        let is_quoted = rest.first() == Some(&b'"');
        let (after, name) = alt((quoted, bare_label_name))
            .parse(rest)
            .map_err(|_| fault(whole, rest, "expected a label name"))?;
        let after = skip_blanks(after, format);
        let name_text = unescaped(text(whole, name)?);
        rest = match after.split_first() {
            Some((b',' | b'}', _)) if is_quoted && may_name => {
                if pairs.iter().any(|(name, _)| name == METRIC_NAME) {
                    return Err(fault(whole, rest, "metric name already set"));
                }
                pairs.push((Cow::Borrowed(METRIC_NAME), name_text));
                after
            }
            Some((b'=', value)) => {
                let value = skip_blanks(value, format);
                let (after, found) =
                    quoted(value).map_err(|_| fault(whole, value, "expected a label value"))?;
                pairs.push((name_text, unescaped(text(whole, found)?)));
                skip_blanks(after, format)
            }
            Some(_) | None => return Err(fault(whole, after, "expected an equals sign")),
        };
        rest = match rest.split_first() {
            Some((b',', after)) => skip_blanks(after, format),
            // Text allows labels without commas, upstream's lenience.
            _ if format == Format::OpenMetrics && rest.first() != Some(&b'}') => {
                return Err(fault(whole, rest, "expected a comma or a closing brace"));
            }
            Some(_) | None => rest,
        };
    }
}

fn refuse_twice(raw: &[u8], pairs: &Pairs<'_>) -> Result<(), Fault> {
    match named_twice(pairs) {
        Some(name) => Err(fault(raw, raw, &format!("label name {name:?} is not unique"))),
        None => Ok(()),
    }
}

/// A name that more than one of `pairs` has.
pub(super) fn named_twice<'p>(pairs: &'p Pairs<'_>) -> Option<&'p str> {
    // Sorted neighbours instead of a nested scan: a line may hold thousands of labels.
    let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair.first() == pair.last())?;
    twice.first().copied()
}

fn bare_metric_name(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b':';
    verify(
        take_while1(move |byte: u8| first(byte) || byte.is_ascii_digit()),
        move |name: &[u8]| name.first().is_some_and(|byte| first(*byte)),
    )
    .parse(input)
}

fn bare_label_name(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    verify(
        take_while1(move |byte: u8| first(byte) || byte.is_ascii_digit()),
        move |name: &[u8]| name.first().is_some_and(|byte| first(*byte)),
    )
    .parse(input)
}

/// A text in double quotes; the answer is what stands between them, escapes and all.
pub(super) fn quoted(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let plain = take_while1(|byte| byte != b'"' && byte != b'\\');
    let escape = preceded(tag(&b"\\"[..]), take(1usize));
    let piece = alt((plain, escape));
    delimited(tag(&b"\""[..]), recognize(many0_count(piece)), tag(&b"\""[..])).parse(input)
}

/// The name of a `# TYPE`, `# HELP` or `# UNIT` line, and what follows it.
pub(super) fn metadata_name(input: &[u8]) -> Result<(&[u8], Cow<'_, str>), Fault> {
    let (rest, name) = alt((quoted, bare_metric_name))
        .parse(input)
        .map_err(|_| fault(input, input, "expected a metric name"))?;
    Ok((rest, unescaped(text(input, name)?)))
}

fn skip_blanks(input: &[u8], format: Format) -> &[u8] {
    let blanks = match format {
        Format::Text => input.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count(),
        Format::OpenMetrics => 0,
    };
    input.get(blanks..).unwrap_or_default()
}

fn text<'a>(whole: &[u8], part: &'a [u8]) -> Result<Cow<'a, str>, Fault> {
    let name = std::str::from_utf8(part);
    name.map(Cow::Borrowed).map_err(|_| fault(whole, part, "invalid UTF-8"))
}

/// Resolves `\\`, `\"` and `\n`; any other backslash stays, as in Prometheus.
pub(super) fn unescaped(text: Cow<'_, str>) -> Cow<'_, str> {
    resolved(text, &['\\', '"'])
}

/// Resolves `\\` and `\n`, the escapes of a help in text.
pub(super) fn unescaped_help(text: &str) -> Cow<'_, str> {
    resolved(Cow::Borrowed(text), &['\\'])
}

/// Resolves `\n`, and the escapes of characters that stand for themselves.
fn resolved<'a>(text: Cow<'a, str>, themselves: &[char]) -> Cow<'a, str> {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some(escaped) if themselves.contains(&escaped) => out.push(escaped),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    Cow::Owned(out)
}

/// A fault at the start of `part`, which lies in `whole`.
fn fault(whole: &[u8], part: &[u8], wanted: &str) -> Fault {
    let offset = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    Fault::new(offset.min(whole.len()), format!("{wanted}, got {}", excerpt(part)))
}
