//! `watchbell alerts history` and `tail`: what happened to alerts, and what happens.

use super::flags::{ServerChoice, StatusForm};
use super::{Status, Usage, alerts, ask, matchers, output, server};
use crate::model::{Matcher, Timestamp, printable};
use crate::sys::clock::{Clock as _, SystemClock};
use crate::wire::{Core, HistoryRequest, HistoryRow, rfc3339};
use clap::Args;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::time::Duration;

/// Rows are written a little later than they happened: so far back new ones are looked for.
const LATE: Duration = Duration::from_secs(60);
/// How long one wait for changes takes.
const WAIT: Duration = Duration::from_secs(30);

/// Which rows are meant, of which server.
#[derive(Clone, Debug, Args)]
struct Meant {
    /// Matchers on labels, as amtool takes them; a first word without one is the alert's name
    #[arg(value_name = "MATCHER")]
    matchers: Vec<String>,
    /// Only this kind: firing, resolved, notified, silence, ack ..
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only this alert, also as one of several that were told
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<String>,
    /// Which server
    #[command(flatten)]
    server: ServerChoice,
}

impl Meant {
    fn request(&self) -> Result<HistoryRequest, Usage> {
        let matchers: Vec<Matcher> = matchers::of_args(&self.matchers)?;
        let (kind, fingerprint) = (self.kind.clone(), self.fingerprint.clone());
        Ok(HistoryRequest { matchers, kind, fingerprint, ..HistoryRequest::default() })
    }
}

/// Flags of `watchbell alerts history`.
#[derive(Clone, Debug, Args)]
pub(super) struct HistoryFlags {
    /// Which rows
    #[command(flatten)]
    meant: Meant,
    /// Not before: RFC 3339, seconds since the epoch, or a span before now
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Not after
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// So many rows at most, the newest
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 100)]
    limit: usize,
    /// How the answer looks
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: StatusForm,
}

/// Flags of `watchbell alerts tail`.
#[derive(Clone, Debug, Args)]
pub(super) struct TailFlags {
    /// Which rows
    #[command(flatten)]
    meant: Meant,
    /// So many rows of before come first
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 10)]
    lines: usize,
}

/// Prints what happened, the oldest first.
pub(super) fn history(flags: &HistoryFlags) -> anyhow::Result<Status> {
    let now = SystemClock::new().now();
    let time = |text: &Option<String>| {
        let read = |text: &str| ask::instant(text, now).map_err(|err| Usage(format!("{err:#}")));
        text.as_deref().map(read).transpose()
    };
    let mut request = flags.meant.request()?;
    (request.start, request.end) = (time(&flags.from)?, time(&flags.to)?);
    let core = server::connect(&flags.meant.server)?;
    let rows = collect(&*core, request, flags.limit, 0)?;
    let mut out = io::stdout().lock();
    match flags.output {
        StatusForm::Json => {
            output::json(&json!({ "schema": alerts::SCHEMA, "rows": rows }), &mut out)?;
        }
        StatusForm::Table => {
            let cells: Vec<_> = rows.iter().map(|row| cells(row).to_vec()).collect();
            let heading = ["TIME", "KIND", "FINGERPRINT", "LABELS", "WHAT"];
            output::columns(&heading, &cells, &mut out)?;
        }
    }
    if rows.is_empty() {
        writeln!(io::stderr(), "nothing in the history")?;
    }
    Ok(Status::Fine)
}

/// Prints what happens, until interrupted.
pub(super) fn tail(flags: &TailFlags) -> anyhow::Result<Status> {
    let request = flags.meant.request()?;
    let core = server::connect(&flags.meant.server)?;
    let mut revision = core.changes_after(0, Duration::ZERO)?.revision;
    let mut rows = collect(&*core, request.clone(), flags.lines.max(1), 0)?;
    let mut newest: Option<Timestamp> = None;
    let mut last = 0;
    if flags.lines == 0 {
        last = rows.iter().map(|row| row.id).max().unwrap_or(0);
        newest = rows.last().map(|row| row.at);
        rows.clear();
    }
    loop {
        let mut out = io::stdout().lock();
        for row in &rows {
            let line = cells(row).join("  ");
            writeln!(out, "{}", printable(line.trim_end()))?;
            (newest, last) = (newest.max(Some(row.at)), last.max(row.id));
        }
        out.flush()?;
        revision = core.changes_after(revision, WAIT)?.revision;
        let start = newest.map(|at| at.minus(LATE));
        rows = collect(&*core, HistoryRequest { start, ..request.clone() }, usize::MAX, last)?;
    }
}

/// The newest `limit` rows with a number above `after`, the oldest first.
fn collect(
    core: &dyn Core,
    mut request: HistoryRequest,
    limit: usize,
    after: i64,
) -> anyhow::Result<Vec<HistoryRow>> {
    let mut rows = Vec::new();
    loop {
        request.limit = limit.saturating_sub(rows.len()).clamp(1, 10_000);
        let answer = core.history(&request)?;
        rows.extend(answer.rows.into_iter().filter(|row| row.id > after));
        request.cursor = answer.cursor;
        if request.cursor.is_none() || rows.len() >= limit {
            break;
        }
    }
    rows.truncate(limit);
    rows.reverse();
    Ok(rows)
}

fn cells(row: &HistoryRow) -> [String; 5] {
    let labels = if row.labels.is_empty() { "-".to_owned() } else { row.labels.to_string() };
    let print = if row.fingerprint.is_empty() { "-" } else { &row.fingerprint };
    [rfc3339(row.at), row.kind.clone(), print.to_owned(), labels, said(&row.body)]
}

/// What a body says, in its order: `receiver=ops code=200`. Lists are counted; `active_at_ms` is
/// told as a time.
fn said(body: &Value) -> String {
    let Value::Object(fields) = body else { return String::new() };
    let word = |(name, value): (&String, &Value)| match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) if text.contains(char::is_whitespace) => {
            Some(format!("{name}={text:?}"))
        }
        Value::String(text) => Some(format!("{name}={text}")),
        Value::Number(number) if let Some((name, at)) = moment(name, number) => {
            Some(format!("{name}={}", rfc3339(at)))
        }
        Value::Array(list) => Some(format!("{name}={}", list.len())),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => Some(format!("{name}={value}")),
    };
    fields.iter().filter_map(word).collect::<Vec<_>>().join(" ")
}

/// The name without its unit, and the time, where a field is one.
fn moment<'a>(name: &'a str, number: &serde_json::Number) -> Option<(&'a str, Timestamp)> {
    let name = name.strip_suffix("_ms").filter(|name| name.ends_with("_at"))?;
    Some((name, Timestamp::from_millis(number.as_i64()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_said_in_words() {
        let body = json!({
            "receiver": "ops", "code": 200, "error": null, "answer": "", "comment": "disk swap",
            "firing": ["a", "b"], "test": true, "took_ms": 12, "active_at_ms": 1_795_778_953_235_i64,
        });
        // The time as `date -u -d @1795778953.235 +%FT%T.%3NZ` writes it.
        let expected = "receiver=ops code=200 comment=\"disk swap\" firing=2 test=true \
                        took_ms=12 active_at=2026-11-27T11:29:13.235Z";
        assert_eq!(said(&body), expected);
        assert_eq!(said(&json!([])), "");
    }
}
