//! How answers are printed: for people, for programs, as promtool does.

use super::flags::OutputForm;
use crate::model::{Labels, Timestamp, printable, value_text};
use crate::wire::{QueryData, rfc3339};
use std::io::{self, Write};

/// Prints the result of a query.
///
/// # Errors
/// The output is closed.
pub(super) fn query(data: &QueryData, form: OutputForm, out: &mut dyn Write) -> io::Result<()> {
    match form {
        OutputForm::Json => {
            let text = serde_json::to_string(data).map_err(io::Error::other)?;
            writeln!(out, "{text}")
        }
        OutputForm::Plain => plain(data, out),
        OutputForm::Csv => csv(data, out),
        OutputForm::Table => table(data, out),
    }
}

/// Prints a list of words.
///
/// # Errors
/// The output is closed.
pub(super) fn words(words: &[String], form: OutputForm, out: &mut dyn Write) -> io::Result<()> {
    if form == OutputForm::Json {
        let text = serde_json::to_string(words).map_err(io::Error::other)?;
        return writeln!(out, "{text}");
    }
    for word in words {
        writeln!(out, "{}", printable(word))?;
    }
    Ok(())
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

/// One row a sample: series, time, value.
fn rows(data: &QueryData) -> Vec<[String; 3]> {
    let row = |series: String, ts: Timestamp, value: String| [series, rfc3339(ts), value];
    match data {
        QueryData::Vector(samples) => samples
            .iter()
            .map(|sample| {
                row(series_text(&sample.metric), sample.ts, value_text::api(sample.value))
            })
            .collect(),
        QueryData::Matrix(list) => list
            .iter()
            .flat_map(|series| {
                let name = series_text(&series.metric);
                series
                    .values
                    .iter()
                    .map(move |(ts, value)| row(name.clone(), *ts, value_text::api(*value)))
            })
            .collect(),
        QueryData::Scalar(ts, value) => {
            vec![row("scalar".to_owned(), *ts, value_text::api(*value))]
        }
        QueryData::String(ts, text) => {
            vec![row("string".to_owned(), *ts, printable(text).to_string())]
        }
    }
}

fn csv(data: &QueryData, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "series,time,value")?;
    for [series, time, value] in rows(data) {
        writeln!(out, "\"{}\",{time},{value}", series.replace('"', "\"\""))?;
    }
    Ok(())
}

fn table(data: &QueryData, out: &mut dyn Write) -> io::Result<()> {
    let rows = rows(data);
    if rows.is_empty() {
        return writeln!(out, "no series");
    }
    let wide = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|text| text.chars().count()).max()
    };
    let (series_wide, time_wide) = (wide(0).unwrap_or(0).max(6), wide(1).unwrap_or(0));
    writeln!(out, "{:series_wide$}  {:time_wide$}  VALUE", "SERIES", "TIME")?;
    for [series, time, value] in &rows {
        writeln!(out, "{series:series_wide$}  {time:time_wide$}  {value}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::VectorSample;

    fn shown(data: &QueryData, form: OutputForm) -> String {
        let mut out = Vec::new();
        query(data, form, &mut out).expect("writes");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn plain_lines_are_promtools() {
        let data = QueryData::Vector(vec![VectorSample {
            metric: Labels::from_pairs([("__name__", "up"), ("job", "a\u{1b}b")]),
            ts: Timestamp::from_millis(1_700_000_000_123),
            value: 1.0,
        }]);
        // promtool 2.42: `up{instance="...", job="..."} => 1 @[1700000000.123]`.
        let expected = "up{job=\"a\\x1bb\"} => 1 @[1700000000.123]\n";
        assert_eq!(shown(&data, OutputForm::Plain), expected);
        assert!(shown(&data, OutputForm::Table).contains("2023-11-14T22:13:20.123Z  1"));
    }

    #[test]
    fn an_empty_answer_says_so() {
        assert_eq!(shown(&QueryData::Vector(vec![]), OutputForm::Table), "no series\n");
    }
}
