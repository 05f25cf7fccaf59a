//! Reads a script: `load`, `clear` and `eval` commands.
//!
//! Source: the format's description beside the scripts (PROMQLTEST.md).

use watchbell::model::{Labels, duration, stale_nan};
use watchbell::promql::syntax::{self, ExprKind, Features, parse_series};

/// One command.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Clear,
    Load(Load),
    Eval(Box<Eval>),
}

/// Samples to be added.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub series: Vec<Loaded>,
    /// Series that turn into native histograms with custom buckets, and when.
    pub converted: Vec<(Labels, Vec<i64>)>,
}

/// One series to be added.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub labels: Labels,
    /// Times, values and start times, which are 0 when unknown.
    pub samples: Vec<(i64, f64, i64)>,
    /// Times of native histograms, whose content is not read.
    pub histograms: Vec<i64>,
}

/// What stands at one place of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Point {
    None,
    Float(f64),
    Histogram,
}

/// When an expression is evaluated.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    Instant(i64),
    Range { start: i64, end: i64, step: i64 },
}

/// What is expected of the texts of errors, warnings and infos.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    Any,
    Exactly(String),
    Matches(String),
}

/// One evaluation and what is expected.
#[derive(Clone, Debug)]
pub(crate) struct Eval {
    pub line: usize,
    pub when: When,
    pub query: String,
    pub fail: Option<Text>,
    pub warn: Vec<Text>,
    pub info: Vec<Text>,
    pub no_warn: bool,
    pub no_info: bool,
    pub ordered: bool,
    pub string: Option<String>,
    pub scalar: Option<f64>,
    /// The result of an instant query is a matrix with these steps.
    pub matrix: Option<(i64, i64, i64)>,
    /// Series and the values at each step, `None` where there is none.
    pub series: Vec<(Labels, Vec<Option<f64>>)>,
    /// Its own text holds `{{`.
    pub histograms: bool,
}

/// The commands of a script.
pub(crate) fn parse(text: &str) -> Vec<Command> {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .map(|line| if line.starts_with('#') { "" } else { line })
        .collect();
    let (mut commands, mut at) = (Vec::new(), 0);
    while at < lines.len() {
        let line = lines[at];
        let word = line.split_whitespace().next().unwrap_or_default().to_lowercase();
        match word.as_str() {
            "" => at += 1,
            "clear" => {
                commands.push(Command::Clear);
                at += 1;
            }
            word if word.starts_with("load") => {
                let end = body_end(&lines, at + 1);
                commands.push(Command::Load(load(line, &lines[at + 1..end])));
                at = end;
            }
            word if word.starts_with("eval") => {
                let (eval, end) = eval(&lines, at);
                commands.push(Command::Eval(Box::new(eval)));
                at = end;
            }
            other => panic!("line {}: unknown command {other}", at + 1),
        }
    }
    commands
}

pub(crate) fn millis(text: &str) -> i64 {
    let span = duration::parse(text).unwrap_or_else(|err| panic!("{text}: {err}"));
    i64::try_from(span.as_millis()).expect("fits")
}

fn body_end(lines: &[&str], start: usize) -> usize {
    lines[start..].iter().position(|line| line.is_empty()).map_or(lines.len(), |n| start + n)
}

fn load(head: &str, body: &[&str]) -> Load {
    let mut words = head.split_whitespace();
    let with_nhcb = words.next().is_some_and(|word| word.contains("nhcb"));
    let step = millis(words.next().expect("a step"));
    let mut load = Load { series: Vec::new(), converted: Vec::new() };
    let mut offsets: Option<(Labels, Vec<Option<i64>>)> = None;
    for line in body {
        let first = line.split_whitespace().next().unwrap_or_default();
        if let Some(series) = first.strip_suffix("@st") {
            let labels = parse_series(series).unwrap_or_else(|err| panic!("{series}: {err}"));
            offsets = Some((labels, start_offsets(&line[first.len()..])));
            continue;
        }
        let (labels, points) = series_line(line);
        let starts = match offsets.take() {
            None => Vec::new(),
            Some((of, starts)) => {
                assert_eq!((&of, starts.len()), (&labels, points.len()), "{line}");
                starts
            }
        };
        let mut loaded = Loaded { labels, samples: Vec::new(), histograms: Vec::new() };
        for (place, point) in points.iter().enumerate() {
            let ts = i64::try_from(place).expect("fits") * step;
            match point {
                Point::None => {}
                Point::Histogram => loaded.histograms.push(ts),
                Point::Float(value) => {
                    let offset = starts.get(place).copied().flatten();
                    loaded.samples.push((ts, *value, offset.map_or(0, |offset| ts + offset)));
                }
            }
        }
        if with_nhcb && let Some(base) = classic_base(&loaded.labels) {
            load.converted.push((base, loaded.samples.iter().map(|sample| sample.0).collect()));
        }
        load.series.retain(|known| known.labels != loaded.labels);
        load.series.push(loaded);
    }
    load
}

/// The labels of the histogram that a series of buckets, counts or sums is of.
fn classic_base(labels: &Labels) -> Option<Labels> {
    let name = labels.metric_name()?;
    let base = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end))?;
    let mut builder = labels.to_builder();
    builder.set("__name__", base).remove("le");
    Some(builder.build())
}

/// From each sample to when its counter started.
fn start_offsets(text: &str) -> Vec<Option<i64>> {
    let mut out = Vec::new();
    for item in text.split_whitespace() {
        if let Some(times) = item.strip_prefix('_') {
            let times = times.strip_prefix('x').map_or(1, |n| n.parse().expect("N"));
            out.extend(std::iter::repeat_n(None, times));
            continue;
        }
        let (spans, times) = match item.rsplit_once('x') {
            Some((spans, times)) => (spans, times.parse::<usize>().expect("N")),
            None => (item, 0),
        };
        let (mut offset, step) = match growth(spans) {
            Some((first, step)) => (signed_millis(first), signed_millis(step)),
            None => (signed_millis(spans), 0),
        };
        for _ in 0..=times {
            out.push(Some(offset));
            offset += step;
        }
    }
    out
}

fn signed_millis(text: &str) -> i64 {
    match text.strip_prefix('-') {
        Some(rest) => -millis(rest),
        None => millis(text.strip_prefix('+').unwrap_or(text)),
    }
}

/// A series and its points.
fn series_line(line: &str) -> (Labels, Vec<Point>) {
    let (mut quote, mut braces, mut end) = (None, 0, line.len());
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '{') => braces += 1,
            (None, '}') => braces -= 1,
            (None, c) if c.is_whitespace() && braces == 0 => {
                end = at;
                break;
            }
            (None, _) => {}
        }
    }
    // White space may stand between the name and the braces.
    if let Some(open) = line[end..].trim_start().strip_prefix('{')
        && !open.starts_with('{')
        && !line[..end].contains('{')
    {
        let joined = format!("{}{}", &line[..end], line[end..].trim_start());
        return series_line(&joined);
    }
    let series = &line[..end];
    let labels = parse_series(series).unwrap_or_else(|err| panic!("{series}: {err}"));
    (labels, points(&line[end..]))
}

fn points(text: &str) -> Vec<Point> {
    let (mut out, mut rest) = (Vec::new(), text.trim());
    while !rest.is_empty() {
        if rest.starts_with("{{") {
            let end = rest.find("}}").expect("closed") + 2;
            rest = &rest[end..];
            while let Some(after) = rest.strip_prefix(['+', '-']) {
                rest = after.find("}}").map_or("", |end| &after[end + 2..]);
            }
            let count = rest.split_whitespace().next().filter(|_| rest.starts_with('x'));
            let repeat = count.map_or(1, |count| count[1..].parse::<usize>().expect("N") + 1);
            out.extend(std::iter::repeat_n(Point::Histogram, repeat));
            rest = rest.find(char::is_whitespace).map_or("", |at| rest[at..].trim_start());
            continue;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        item(&rest[..end], &mut out);
        rest = rest[end..].trim_start();
    }
    out
}

fn item(text: &str, out: &mut Vec<Point>) {
    if let Some(times) = text.strip_prefix("_") {
        let times = times.strip_prefix('x').map_or(1, |n| n.parse().expect("N"));
        out.extend(std::iter::repeat_n(Point::None, times));
        return;
    }
    if text == "stale" {
        out.push(Point::Float(stale_nan()));
        return;
    }
    let Some((values, times)) = text.rsplit_once('x').filter(|(_, n)| n.parse::<u64>().is_ok())
    else {
        out.push(Point::Float(number(text)));
        return;
    };
    let times: usize = times.parse().expect("N");
    if values == "stale" {
        out.extend(std::iter::repeat_n(Point::Float(stale_nan()), times + 1));
        return;
    }
    let (mut value, step) = match growth(values) {
        Some((value, step)) => (number(value), number(step)),
        None => (number(values), 0.0),
    };
    for _ in 0..=times {
        out.push(Point::Float(value));
        value += step;
    }
}

/// Parts `1+2` and `1-2`, where the sign follows a digit and no exponent.
fn growth(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let at = (1..bytes.len()).find(|at| {
        matches!(bytes[*at], b'+' | b'-') && !matches!(bytes[*at - 1], b'e' | b'E' | b'+' | b'-')
    })?;
    Some((&text[..at], &text[at..]))
}

pub(crate) fn number(text: &str) -> f64 {
    try_number(text).unwrap_or_else(|| panic!("not a number: {text}"))
}

fn try_number(text: &str) -> Option<f64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let plain = digits.replace('_', "");
    if let Some(hex) = plain.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok().map(|value| sign * value as f64);
    }
    if let Some(octal) = plain.strip_prefix("0o") {
        return i64::from_str_radix(octal, 8).ok().map(|value| sign * value as f64);
    }
    if let Some(binary) = plain.strip_prefix("0b") {
        return i64::from_str_radix(binary, 2).ok().map(|value| sign * value as f64);
    }
    plain.parse::<f64>().ok().map(|value| sign * value)
}

fn eval(lines: &[&str], at: usize) -> (Eval, usize) {
    let head = lines[at];
    let (when, query, mark) = head_of(head);
    let mut eval = Eval {
        line: at + 1,
        when,
        query: query.to_owned(),
        fail: (mark == "fail").then_some(Text::Any),
        warn: if mark == "warn" { vec![Text::Any] } else { Vec::new() },
        info: if mark == "info" { vec![Text::Any] } else { Vec::new() },
        no_warn: false,
        no_info: false,
        ordered: mark == "ordered",
        string: None,
        scalar: None,
        matrix: None,
        series: Vec::new(),
        histograms: head.contains("{{"),
    };
    let mut next = at + 1;
    while next < lines.len() && !lines[next].is_empty() {
        let line = lines[next];
        next += 1;
        eval.histograms |= line.contains("{{");
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if word == "expect" {
            expect(&mut eval, rest.trim());
        } else if word == "expected_fail_message" {
            eval.fail = Some(Text::Exactly(rest.trim().to_owned()));
            break;
        } else if word == "expected_fail_regexp" {
            eval.fail = Some(Text::Matches(rest.trim().to_owned()));
            break;
        } else if let Some(value) = try_number(line) {
            eval.scalar = Some(value);
            break;
        } else {
            let (labels, points) = series_line(line);
            let float = |point: &Point| match point {
                Point::Float(value) => Some(*value),
                Point::None | Point::Histogram => None,
            };
            eval.series.push((labels, points.iter().map(float).collect()));
        }
    }
    (eval, next)
}

fn head_of(head: &str) -> (When, &str, &str) {
    let (word, rest) = head.split_once(char::is_whitespace).expect("eval has arguments");
    let mark = word.strip_prefix("eval").unwrap_or_default().trim_start_matches('_');
    let rest = rest.trim_start();
    if let Some(rest) = rest.strip_prefix("instant") {
        let rest = rest.trim_start();
        let Some(rest) = rest.strip_prefix("at ") else { return (When::Instant(0), rest, mark) };
        let (time, query) = rest.trim_start().split_once(char::is_whitespace).expect("a query");
        return (When::Instant(millis(time)), query.trim(), mark);
    }
    let rest = rest.strip_prefix("range").expect("instant or range").trim_start();
    let mut rest = rest;
    let mut value = |word: &str| {
        let after = rest.strip_prefix(word).unwrap_or_else(|| panic!("{head}: no {word}"));
        let (span, after) = after.trim_start().split_once(char::is_whitespace).expect("a duration");
        rest = after.trim_start();
        millis(span)
    };
    let (start, end, step) = (value("from"), value("to"), value("step"));
    (When::Range { start, end, step }, rest, mark)
}

fn expect(eval: &mut Eval, text: &str) {
    let (kind, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let wanted = if let Some(message) = rest.strip_prefix("msg:") {
        Text::Exactly(message.trim().to_owned())
    } else if let Some(regex) = rest.strip_prefix("regex:") {
        Text::Matches(regex.trim().to_owned())
    } else {
        Text::Any
    };
    match kind {
        "fail" => eval.fail = Some(wanted),
        "warn" => eval.warn.push(wanted),
        "info" => eval.info.push(wanted),
        "no_warn" => eval.no_warn = true,
        "no_info" => eval.no_info = true,
        "ordered" => eval.ordered = true,
        "string" => {
            // PromQL's quoting is Go's.
            let literal = syntax::parse(rest, &Features::ALL).map(|expr| expr.kind);
            let Ok(ExprKind::String(text)) = literal else { panic!("no string: {rest}") };
            eval.string = Some(text);
        }
        "range" => {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let [_, _, start, _, end, _, step] = words.as_slice() else {
                panic!("expect range vector: {rest}")
            };
            let matrix = (millis(start), millis(end), millis(step));
            eval.matrix = Some(matrix);
            eval.when = When::Instant(matrix.1);
        }
        other => panic!("line {}: expect {other}", eval.line),
    }
}
