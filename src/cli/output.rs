//! How answers are printed: for people, for programs, as promtool does.
//!
//! What comes from outside never reaches the terminal as a control character: it is escaped as
//! `\x1b` in the forms for people and in CSV, and as `\u001b` in JSON, where it means the same.

use super::flags::OutputForm;
use crate::model::{Labels, Timestamp, printable, value_text};
use crate::wire::{QueryData, rfc3339};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr as _;

/// Prints the result of a query.
///
/// # Errors
/// The output is closed.
pub(super) fn query(data: &QueryData, form: OutputForm, out: &mut dyn Write) -> io::Result<()> {
    match form {
        OutputForm::Json => json(data, out),
        OutputForm::Plain => plain(data, out),
        OutputForm::Csv => csv(data, out),
        OutputForm::Table => table(data, out),
    }
}

/// Prints label sets.
///
/// # Errors
/// The output is closed.
pub(super) fn series(list: &[Labels], form: OutputForm, out: &mut dyn Write) -> io::Result<()> {
    match form {
        OutputForm::Json => {
            let maps: Vec<BTreeMap<&str, &str>> =
                list.iter().map(|labels| labels.iter().collect()).collect();
            json(&maps, out)
        }
        OutputForm::Csv => {
            let names = label_names(list.iter());
            record(names.iter().copied(), out)?;
            list.iter()
                .try_for_each(|labels| record(names.iter().map(|name| labels.value_of(name)), out))
        }
        OutputForm::Table | OutputForm::Plain => {
            list.iter().try_for_each(|labels| writeln!(out, "{}", series_text(labels)))
        }
    }
}

/// Prints a list of words; `heading` is that of their column.
///
/// # Errors
/// The output is closed.
pub(super) fn words(
    words: &[String],
    heading: &str,
    form: OutputForm,
    out: &mut dyn Write,
) -> io::Result<()> {
    match form {
        OutputForm::Json => json(words, out),
        OutputForm::Csv => {
            let words = words.iter().map(String::as_str);
            [heading].into_iter().chain(words).try_for_each(|word| record([word].into_iter(), out))
        }
        OutputForm::Table | OutputForm::Plain => {
            words.iter().try_for_each(|word| writeln!(out, "{}", printable(word)))
        }
    }
}

/// `up{job="node"}`: the name before the braces, as people write it.
pub(super) fn series_text(labels: &Labels) -> String {
    let name = labels.metric_name().unwrap_or_default();
    let rest = labels.without_name();
    let text = match (name.is_empty(), rest.is_empty()) {
        (false, true) => name.to_owned(),
        _ => format!("{name}{rest}"),
    };
    printable(&text).to_string()
}

/// Prints JSON.
///
/// # Errors
/// The output is closed.
pub(super) fn json<T: Serialize + ?Sized>(value: &T, out: &mut dyn Write) -> io::Result<()> {
    let text = serde_json::to_string(value).map_err(io::Error::other)?;
    if printable(&text).as_str() == text {
        return writeln!(out, "{text}");
    }
    let mut safe = String::with_capacity(text.len() + 1);
    let mut units = [0; 2];
    for c in text.chars() {
        if printable(c.encode_utf8(&mut [0; 4])).as_str().starts_with(c) {
            safe.push(c);
            continue;
        }
        // Such a character stands inside a string only.
        for unit in c.encode_utf16(&mut units) {
            safe.push_str(&format!("\\u{unit:04x}"));
        }
    }
    writeln!(out, "{safe}")
}

fn plain(data: &QueryData, out: &mut dyn Write) -> io::Result<()> {
    match data {
        QueryData::Vector(samples) => {
            for sample in samples {
                let (series, value) = (series_text(&sample.metric), value_text::api(sample.value));
                writeln!(out, "{series} => {value} @[{}]", seconds(sample.ts))?;
            }
        }
        QueryData::Matrix(list) => {
            for series in list {
                writeln!(out, "{} =>", series_text(&series.metric))?;
                for (ts, value) in &series.values {
                    writeln!(out, "{} @[{}]", value_text::api(*value), seconds(*ts))?;
                }
            }
        }
        QueryData::Scalar(ts, value) => {
            writeln!(out, "scalar: {} @[{}]", value_text::api(*value), seconds(*ts))?;
        }
        QueryData::String(_, text) => writeln!(out, "{}", printable(text))?,
    }
    Ok(())
}

fn seconds(ts: Timestamp) -> String {
    value_text::plain(ts.as_seconds())
}

/// Calls `row` for each sample: its series, its time, its value.
fn each_sample(
    data: &QueryData,
    row: &mut dyn FnMut(&Labels, String, String) -> io::Result<()>,
) -> io::Result<()> {
    let mut number = |labels: &Labels, ts: Timestamp, value: f64| {
        row(labels, rfc3339(ts), value_text::api(value))
    };
    match data {
        QueryData::Vector(samples) => {
            samples.iter().try_for_each(|sample| number(&sample.metric, sample.ts, sample.value))
        }
        QueryData::Matrix(list) => list.iter().try_for_each(|series| {
            let mut values = series.values.iter();
            values.try_for_each(|(ts, value)| number(&series.metric, *ts, *value))
        }),
        QueryData::Scalar(ts, value) => number(&Labels::empty(), *ts, *value),
        QueryData::String(ts, text) => row(&Labels::empty(), rfc3339(*ts), text.clone()),
    }
}

/// All names of labels, sorted.
fn label_names<'a>(all: impl Iterator<Item = &'a Labels>) -> BTreeSet<&'a str> {
    all.flat_map(Labels::iter).map(|(name, _)| name).collect()
}

fn csv(data: &QueryData, out: &mut dyn Write) -> io::Result<()> {
    let names = match data {
        QueryData::Vector(samples) => label_names(samples.iter().map(|sample| &sample.metric)),
        QueryData::Matrix(list) => label_names(list.iter().map(|series| &series.metric)),
        QueryData::Scalar(..) | QueryData::String(..) => BTreeSet::new(),
    };
    record(["time", "value"].into_iter().chain(names.iter().copied()), out)?;
    each_sample(data, &mut |labels, time, value| {
        let values = names.iter().map(|name| labels.value_of(name));
        record([time.as_str(), &value].into_iter().chain(values), out)
    })
}

/// Prints one record of CSV; a field is quoted where RFC 4180 wants it.
///
/// # Errors
/// The output is closed.
pub(super) fn record<'a>(
    fields: impl Iterator<Item = &'a str>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut line = String::new();
    for (place, field) in fields.enumerate() {
        if place > 0 {
            line.push(',');
        }
        let field = printable(field);
        let field = field.as_str();
        if field.contains([',', '"']) || field.starts_with(' ') || field.ends_with(' ') {
            line.push_str(&format!("\"{}\"", field.replace('"', "\"\"")));
        } else {
            line.push_str(field);
        }
    }
    writeln!(out, "{line}")
}

fn table(data: &QueryData, out: &mut dyn Write) -> io::Result<()> {
    let kind = match data {
        QueryData::Vector(_) | QueryData::Matrix(_) => None,
        QueryData::Scalar(..) | QueryData::String(..) => Some(data.type_name()),
    };
    let mut rows: Vec<Vec<String>> = Vec::new();
    each_sample(data, &mut |labels, time, value| {
        let series = kind.map_or_else(|| series_text(labels), str::to_owned);
        rows.push(vec![series, time, value]);
        Ok(())
    })?;
    columns(&["SERIES", "TIME", "VALUE"], &rows, out)
}

/// Prints rows in columns below a heading; nothing when there are none.
///
/// # Errors
/// The output is closed.
pub(super) fn columns(
    heading: &[&str],
    rows: &[Vec<String>],
    out: &mut dyn Write,
) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let shown = |cells: &[String]| -> Vec<String> {
        cells.iter().map(|cell| printable(cell).to_string()).collect()
    };
    let heading: Vec<String> = heading.iter().map(|&cell| cell.to_owned()).collect();
    let rows: Vec<_> = [&heading].into_iter().chain(rows).map(|row| shown(row)).collect();
    let wide = |place: usize| {
        rows.iter().filter_map(|row| row.get(place)).map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(wide).collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let blanks = width.saturating_sub(cell.width()) + 2;
            line.push_str(cell);
            // Formatting pads by no more than a cell of u16 and panics beyond.
            line.extend(std::iter::repeat_n(' ', blanks));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{MatrixSeries, VectorSample};

    const AT: Timestamp = Timestamp::from_millis(1_700_000_000_123);

    fn shown(data: &QueryData, form: OutputForm) -> String {
        let mut out = Vec::new();
        query(data, form, &mut out).expect("writes");
        String::from_utf8(out).expect("text")
    }

    fn vector(labels: &[&[(&str, &str)]]) -> QueryData {
        let sample = |pairs: &&[(&str, &str)]| {
            let metric = Labels::from_pairs(pairs.iter().copied());
            VectorSample { metric, ts: AT, value: 1.0 }
        };
        QueryData::Vector(labels.iter().map(sample).collect())
    }

    #[test]
    fn plain_lines_are_promtools() {
        let data = vector(&[&[("__name__", "up"), ("job", "a\u{1b}b")]]);
        // promtool 2.42: `up{instance="...", job="..."} => 1 @[1700000000.123]`.
        let expected = "up{job=\"a\\x1bb\"} => 1 @[1700000000.123]\n";
        assert_eq!(shown(&data, OutputForm::Plain), expected);
    }

    #[test]
    fn csv_has_a_column_for_each_label_and_is_quoted() {
        let data = vector(&[
            &[("__name__", "up"), ("job", "a,\"b\"")],
            &[("__name__", "up"), ("zone", "x\ny")],
        ]);
        // RFC 4180: a quote inside quotes is doubled.
        let expected = "time,value,__name__,job,zone\n\
                        2023-11-14T22:13:20.123Z,1,up,\"a,\"\"b\"\"\",\n\
                        2023-11-14T22:13:20.123Z,1,up,,x\\x0ay\n";
        assert_eq!(shown(&data, OutputForm::Csv), expected);
        let scalar = QueryData::Scalar(AT, f64::NEG_INFINITY);
        let expected = "time,value\n2023-11-14T22:13:20.123Z,-Inf\n";
        assert_eq!(shown(&scalar, OutputForm::Csv), expected);
    }

    #[test]
    fn a_column_may_be_wider_than_formatting_pads() {
        let long = "a".repeat(70_000);
        let rows = [vec![long.clone(), "b".to_owned()], vec!["c".to_owned(), "d".to_owned()]];
        let mut out = Vec::new();
        columns(&["X", "Y"], &rows, &mut out).expect("writes");
        let text = String::from_utf8(out).expect("text");
        let lines: Vec<_> = text.lines().map(str::len).collect();
        assert_eq!(lines, [long.len() + 3; 3]);
    }

    #[test]
    fn columns_stand_below_each_other_also_behind_wide_glyphs() {
        let data = vector(&[&[("__name__", "up"), ("a", "日本")], &[("__name__", "up")]]);
        assert_eq!(
            shown(&data, OutputForm::Table),
            "SERIES        TIME                      VALUE\n\
             up{a=\"日本\"}  2023-11-14T22:13:20.123Z  1\n\
             up            2023-11-14T22:13:20.123Z  1\n"
        );
        assert_eq!(shown(&vector(&[]), OutputForm::Table), "");
    }

    #[test]
    fn json_is_the_apis_data_and_holds_no_control_character() {
        let series = MatrixSeries {
            metric: Labels::from_pairs([("a", "\u{9b}2J\u{1b}[0m\u{e0001}é")]),
            values: vec![(AT, 0.5)],
        };
        let data = QueryData::Matrix(vec![series]);
        let text = shown(&data, OutputForm::Json);
        assert!(text.trim_end().chars().all(|c| !c.is_control()), "{text:?}");
        assert!(text.contains("\\u009b2J\\u001b[0m\\udb40\\udc01é"), "{text}");
        assert_eq!(serde_json::from_str::<QueryData>(&text).expect("reads"), data);
    }

    #[test]
    fn label_sets_are_objects_in_json_and_columns_in_csv() {
        let list = [Labels::from_pairs([("__name__", "up"), ("job", "node")]), Labels::empty()];
        for (form, expected) in [
            (OutputForm::Json, "[{\"__name__\":\"up\",\"job\":\"node\"},{}]\n"),
            (OutputForm::Csv, "__name__,job\nup,node\n,\n"),
            (OutputForm::Table, "up{job=\"node\"}\n{}\n"),
        ] {
            let mut out = Vec::new();
            series(&list, form, &mut out).expect("writes");
            assert_eq!(String::from_utf8(out).expect("text"), expected, "{form:?}");
        }
    }
}
